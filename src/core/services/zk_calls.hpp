// How a service speaks to ZooKeeper: each call with what is to be done with its result. The calls of all services stand
// in one line (core/zk_call_window.hpp), so that the election's never wait for theirs.
#pragma once
#include <functional>
#include <map>
#include <string>

#include "core/outbox.hpp"

namespace kvd {

inline constexpr char kZnodeDeleted[] = "its znode was deleted";  // what a client is told of what it had

// Nothing was learned of the outcome, or nothing was done for want of a connection.
inline bool zk_silent(ZkCode code) { return code == ZkCode::kUnknown || code == ZkCode::kNotConnected; }

class ZkCalls {
 public:
  // Runs on the actor that asked, when it is given its result; never from within call().
  using Then = std::function<void(const ZkResult&)>;

  ZkCalls(Outbox& out, ServiceActor owner) : out_(out), owner_(owner) {}

  void call(ZkRequest request, Then then);
  // On behalf of a client that may have to wait: a read, which watches if the account of watches has room.
  // `watches`: it does now.
  using WatchThen = std::function<void(const ZkResult&, bool watches)>;
  void watch(ZkRequest request, WatchThen then);
  void on(const ZkResult& result);

  // Makes the persistent znode at `path` and all above it; kOk also when it was there.
  void make_path(const std::string& path, std::function<void(ZkCode)> then);

 private:
  Outbox& out_;
  ServiceActor owner_;
  uint64_t counter_ = 0;
  std::map<ZkCallId, Then> pending_;
};

}  // namespace kvd
