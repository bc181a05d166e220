// A client that writes one new key after another, to one server after another, in a thread of its own while
// the test breaks things; it remembers what was acknowledged.
#pragma once
#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "msg/types.hpp"

namespace kvd::testing {

class Writer {
 public:
  explicit Writer(std::vector<Address> servers);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  size_t acknowledged() const;                // how many so far
  std::map<std::string, std::string> stop();  // and what they were; ends the thread

 private:
  void run();
  const std::vector<Address> servers_;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::map<std::string, std::string> acknowledged_;  // under mutex_
  std::thread thread_;
};

}  // namespace kvd::testing
