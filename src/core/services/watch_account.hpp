// How many bytes of paths a service watches on behalf of clients, at most: whoever reconnects to ZooKeeper names all
// its watches in one message, which must stay small (msg/zk.hpp). A watch that nobody waits for any more still stands.
#pragma once
#include <cstddef>
#include <set>
#include <string>

namespace kvd {

class WatchAccount {
 public:
  static constexpr size_t kBytes = 128u << 10;
  static constexpr size_t kBytesEach = 16;  // beside the path

  // False: there is no room for one more.
  bool add(const std::string& path) {
    if (paths_.contains(path)) return true;
    if (bytes_ + path.size() + kBytesEach > kBytes) return false;
    bytes_ += path.size() + kBytesEach;
    paths_.insert(path);
    return true;
  }
  void fired(const std::string& path) {
    if (paths_.erase(path) > 0) bytes_ -= path.size() + kBytesEach;
  }
  void clear() {  // ZooKeeper has forgotten them all
    paths_.clear();
    bytes_ = 0;
  }

 private:
  std::set<std::string> paths_;
  size_t bytes_ = 0;
};

}  // namespace kvd
