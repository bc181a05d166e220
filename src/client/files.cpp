// See files.hpp.
#include "client/files.hpp"

#include <errno.h>

#include <cstring>

namespace kvd::client {

int write_all(int fd, std::string_view bytes) {
  for (size_t at = 0; at < bytes.size();) {
    const ssize_t written = ::pwrite(fd, bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (written < 0 && errno != EINTR) return errno;
    if (written > 0) at += static_cast<size_t>(written);
  }
  return 0;
}

Result<std::string> read_all(int fd) {
  std::string content;
  char part[65'536];
  for (;;) {
    const ssize_t size = ::pread(fd, part, sizeof part, static_cast<off_t>(content.size()));
    if (size == 0) return content;
    if (size < 0 && errno != EINTR) return failure(std::strerror(errno));
    if (size > 0) content.append(part, static_cast<size_t>(size));
  }
}

}  // namespace kvd::client
