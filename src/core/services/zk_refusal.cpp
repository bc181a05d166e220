// See zk_refusal.hpp.
#include "core/services/zk_refusal.hpp"

namespace kvd {

ServiceAnswer zk_refusal(ZkCode code, bool write) {
  const auto refusal = [](Verdict verdict, std::string_view why) {
    return ServiceAnswer{verdict, std::string(why), Form::kJson, {}};
  };
  switch (code) {
    case ZkCode::kNoNode:
      return refusal(Verdict::kNotFound, "there is no such znode");
    case ZkCode::kNodeExists:
      return refusal(Verdict::kConflict, "there is such a znode already");
    case ZkCode::kBadVersion:
      return refusal(Verdict::kConditionFailed, "the znode has another version");
    case ZkCode::kNotEmpty:
      return refusal(Verdict::kConflict, "there are znodes below it");
    case ZkCode::kNoChildrenForEphemerals:
      return refusal(Verdict::kConflict, "there is nothing below an ephemeral znode");
    case ZkCode::kNoAuth:
      return refusal(Verdict::kForbidden, "an ACL or a quota in ZooKeeper forbids it");
    case ZkCode::kInvalid:
    case ZkCode::kRolledBack:
    case ZkCode::kOk:
      return refusal(Verdict::kInvalid, "ZooKeeper does not take that");
    case ZkCode::kNotConnected:
      return refusal(Verdict::kUnavailable, "this server cannot reach ZooKeeper; nothing was done");
    case ZkCode::kUnknown:
      break;
  }
  if (!write) return refusal(Verdict::kUnavailable, "ZooKeeper did not answer; try again");
  return refusal(Verdict::kUnknown,
                 "the connection to ZooKeeper broke: nobody knows whether it was done; have a look");
}

}  // namespace kvd
