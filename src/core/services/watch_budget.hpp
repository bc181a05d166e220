// How many bytes of paths the services of one server watch in ZooKeeper, at most: whoever reconnects names all its
// watches in one message, which ZooKeeper refuses beyond about 1 MiB (msg/zk.hpp). What a client holds is counted as
// long as it is held, and its watch until it fires. What a client merely waits for is counted while its watch stands,
// also when nobody waits any more, and may take half of it all: so that those who wait do not keep others from
// holding.
#pragma once
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "msg/limits.hpp"
#include "msg/zk.hpp"

namespace kvd {

class WatchBudget {
 public:
  enum class Kind : uint8_t { kData, kChildren };

  // `prefix`: bytes that stand before every path in ZooKeeper.
  explicit WatchBudget(size_t prefix) : prefix_(prefix) {}

  // Of one watch, about; also where only what is above the watched znode is known.
  size_t bytes_of(const std::string& path) const { return prefix_ + path.size() + 64; }

  // What is held. False: there is no room.
  bool take(size_t bytes);
  void give_back(size_t bytes) { bytes_ -= bytes; }

  // A read is about to ask for a watch. False: there is no room, and it must not.
  bool ask(ZkCallId call, const std::string& path, Kind kind, bool also_of_nothing);
  // A result, of any call: that tells whether there is a watch.
  void answered(const ZkResult& result);
  void fired(const std::string& path);
  // What was held is given back, and its watch of the data at `path` stands: counted from now on, room or not.
  void leave_behind(const std::string& path);
  // ZooKeeper's session has ended, and has taken the watches with it; there is one again.
  void forget_watches();
  void begin_session() { lives_ = true; }

 private:
  using Watched = std::pair<std::string, Kind>;
  struct Watch {
    int asked = 0;  // reads under way that may make it stand
    bool stands = false;
  };
  struct Asked {
    Watched watched;
    bool also_of_nothing = false;  // it stands where there is no znode, too
  };

  void settle(const Watched& watched);

  size_t prefix_;
  bool lives_ = false;  // ZooKeeper's session
  size_t bytes_ = 0;
  size_t waiting_bytes_ = 0;  // of these for those who wait
  std::map<Watched, Watch> watches_;
  std::map<ZkCallId, Asked> asked_;
};

}  // namespace kvd
