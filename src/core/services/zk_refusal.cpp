// See zk_refusal.hpp.
#include "core/services/zk_refusal.hpp"

namespace kvd {

ServiceAnswer zk_refusal(ZkCode code, bool write) {
  const auto refusal = [](ServiceStatus status, std::string_view why) {
    return ServiceAnswer(status, std::string(why));
  };
  switch (code) {
    case ZkCode::kNoNode:
      return refusal(ServiceStatus::kNotFound, "there is no such znode");
    case ZkCode::kNodeExists:
      return refusal(ServiceStatus::kConflict, "there is such a znode already");
    case ZkCode::kBadVersion:
      return refusal(ServiceStatus::kConditionFailed, "the znode has another version");
    case ZkCode::kNotEmpty:
      return refusal(ServiceStatus::kConflict, "there are znodes below it");
    case ZkCode::kNoChildrenForEphemerals:
      return refusal(ServiceStatus::kConflict, "there is nothing below an ephemeral znode");
    case ZkCode::kNoAuth:
      return refusal(ServiceStatus::kForbidden, "an ACL or a quota in ZooKeeper forbids it");
    case ZkCode::kInvalid:
    case ZkCode::kRolledBack:
    case ZkCode::kOk:
      return refusal(ServiceStatus::kInvalid, "ZooKeeper does not take that");
    case ZkCode::kNotConnected:
      return refusal(ServiceStatus::kUnavailable, "this server cannot reach ZooKeeper; nothing was done");
    case ZkCode::kUnknown:
      break;
  }
  if (!write) return refusal(ServiceStatus::kUnavailable, "ZooKeeper did not answer; try again");
  return refusal(ServiceStatus::kUnknown,
                 "the connection to ZooKeeper broke: nobody knows whether it was done; have a look");
}

}  // namespace kvd
