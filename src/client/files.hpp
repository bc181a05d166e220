// Files by their descriptors, which have an owner, and read and written as a whole. Blocking calls; any thread, one at
// a time.
#pragma once
#include <unistd.h>

#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"

namespace kvd::client {

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

// From the first byte on. 0, or errno.
int write_all(int fd, std::string_view bytes);
// From the first byte to the last. The Error is what errno says.
Result<std::string> read_all(int fd);

}  // namespace kvd::client
