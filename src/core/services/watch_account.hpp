// How many bytes of paths the services of one server watch in ZooKeeper, at most: whoever reconnects names all its
// watches in one message, which ZooKeeper refuses beyond about 1 MiB (msg/zk.hpp). What a client holds is counted as
// long as it is held. What a client merely waits for is counted until it fires: also when nobody waits any more, since
// the watch still stands.
#pragma once
#include <cstddef>
#include <set>
#include <string>

#include "msg/limits.hpp"

namespace kvd {

class WatchAccount {
 public:
  // Of one watch, about; also where only what is above the watched znode is known.
  static size_t bytes_of(const std::string& path) { return path.size() + 64; }

  // For a while. False: there is no room.
  bool take(size_t bytes) {
    if (bytes_ + bytes > limits::kWatchedBytes) return false;
    bytes_ += bytes;
    return true;
  }
  void give_back(size_t bytes) { bytes_ -= bytes; }

  // Until it fires. False: there is no room for one more.
  bool add(const std::string& path) {
    if (paths_.contains(path)) return true;
    if (!take(bytes_of(path))) return false;
    paths_.insert(path);
    return true;
  }
  void fired(const std::string& path) {
    if (paths_.erase(path) > 0) give_back(bytes_of(path));
  }
  // ZooKeeper's session has ended, and has taken the watches with it.
  void forget_watches() {
    for (const std::string& path : paths_) give_back(bytes_of(path));
    paths_.clear();
  }

 private:
  std::set<std::string> paths_;
  size_t bytes_ = 0;
};

}  // namespace kvd
