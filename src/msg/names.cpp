// The words for kvd's enumerations, one per value: what the HTTP interface, the logs and the trace all say.
// Declared next to the enumerations in client.hpp, services.hpp, peer.hpp and zk.hpp. Never parsed back,
// but for collections, which URLs name.
#include "base/check.hpp"
#include "msg/actors.hpp"
#include "msg/client.hpp"
#include "msg/peer.hpp"
#include "msg/services.hpp"
#include "msg/zk.hpp"

namespace kvd {

const char* role_name(Role role) {
  switch (role) {
    case Role::kCandidate:
      return "candidate";
    case Role::kLearner:
      return "learner";
    case Role::kSparse:
      return "sparse";
    case Role::kFollower:
      return "follower";
    case Role::kLeader:
      return "leader";
  }
  CHECK(false);
}

const char* zk_state_name(ZkState state) {
  switch (state) {
    case ZkState::kConnecting:
      return "connecting";
    case ZkState::kConnected:
      return "connected";
    case ZkState::kExpired:
      return "expired";
  }
  CHECK(false);
}

const char* link_end_name(LinkEnd end) {
  switch (end) {
    case LinkEnd::kRefused:
      return "refused";
    case LinkEnd::kUnreachable:
      return "unreachable";
    case LinkEnd::kReset:
      return "reset";
    case LinkEnd::kUntrusted:
      return "untrusted";
    case LinkEnd::kProtocol:
      return "protocol";
    case LinkEnd::kOverflow:
      return "overflow";
  }
  CHECK(false);
}

const char* zk_code_name(ZkCode code) {
  switch (code) {
    case ZkCode::kOk:
      return "ok";
    case ZkCode::kNoNode:
      return "no_node";
    case ZkCode::kNodeExists:
      return "node_exists";
    case ZkCode::kBadVersion:
      return "bad_version";
    case ZkCode::kNotEmpty:
      return "not_empty";
    case ZkCode::kNoChildrenForEphemerals:
      return "no_children_for_ephemerals";
    case ZkCode::kNoAuth:
      return "no_auth";
    case ZkCode::kRolledBack:
      return "rolled_back";
    case ZkCode::kInvalid:
      return "invalid";
    case ZkCode::kNotConnected:
      return "not_connected";
    case ZkCode::kUnknown:
      return "unknown";
  }
  CHECK(false);
}

const char* election_cause_name(ElectionCause cause) {
  switch (cause) {
    case ElectionCause::kBootstrap:
      return "bootstrap";
    case ElectionCause::kDead:
      return "dead";
    case ElectionCause::kSilent:
      return "silent";
    case ElectionCause::kHandedOver:
      return "handed-over";
    case ElectionCause::kFirstInLine:
      return "first-in-line";
    case ElectionCause::kNewLineage:
      return "new-lineage";
    case ElectionCause::kRestored:
      return "restored";
    case ElectionCause::kForced:
      return "forced";
  }
  CHECK(false);
}

const char* register_fault_name(RegisterFault fault) {
  switch (fault) {
    case RegisterFault::kAbsent:
      return "nothing";
    case RegisterFault::kOlder:
      return "an older one";
    case RegisterFault::kForked:
      return "one of another history";
    case RegisterFault::kForeign:
      return "another cluster's";
    case RegisterFault::kUnreadable:
      return "something unreadable";
  }
  CHECK(false);
}

Failed lease_over() {
  return {ErrorCode::kLeaseOver, Outcome::kNotApplied, "there is no such lease, or it is over"};
}

Failed no_queue(std::string_view name) {
  return {ErrorCode::kNoQueue, Outcome::kNotApplied, "there is no queue " + std::string(name)};
}

Failed no_access(AccessKind kind, std::string_view name) {
  return {ErrorCode::kNoAccess, Outcome::kNotApplied,
          "there is no " + std::string(access_kind_name(kind)) + " " + std::string(name)};
}

Failed no_topic(std::string_view name) {
  return {ErrorCode::kNoTopic, Outcome::kNotApplied, "there is no topic " + std::string(name)};
}

Failed no_subscription(std::string_view topic, std::string_view name) {
  return {ErrorCode::kNoTopic, Outcome::kNotApplied,
          "the topic " + std::string(topic) + " has no subscription " + std::string(name)};
}

Failed no_source(std::string_view queue, std::string_view subscription) {
  return subscription.empty() ? no_queue(queue) : no_subscription(queue, subscription);
}

namespace {

bool is_queue_write(const Operation& operation) {
  return std::holds_alternative<Box<MakeQueue>>(operation) ||
         std::holds_alternative<DeleteQueue>(operation) ||
         std::holds_alternative<Box<SendMessages>>(operation) ||
         std::holds_alternative<Box<ReceiveMessages>>(operation) ||
         std::holds_alternative<Box<SettleMessages>>(operation) ||
         std::holds_alternative<KickMessages>(operation) || std::holds_alternative<PurgeMessages>(operation);
}

bool is_topic_write(const Operation& operation) {
  return std::holds_alternative<Box<MakeTopic>>(operation) ||
         std::holds_alternative<DeleteTopic>(operation) ||
         std::holds_alternative<Box<PublishMessages>>(operation) ||
         std::holds_alternative<Box<MakeSubscription>>(operation) ||
         std::holds_alternative<DeleteSubscription>(operation) ||
         std::holds_alternative<SeekSubscription>(operation);
}

}  // namespace

bool lacks_right(const Failed& failed) {
  return failed.code == ErrorCode::kForbidden || failed.code == ErrorCode::kUnauthenticated;
}

bool is_access_write(const Operation& operation) {
  return std::holds_alternative<Box<PutPolicy>>(operation) ||
         std::holds_alternative<Box<PutUser>>(operation) ||
         std::holds_alternative<Box<CreateToken>>(operation) ||
         std::holds_alternative<Box<ReplaceAccess>>(operation) ||
         std::holds_alternative<DeleteAccess>(operation);
}

bool is_write(const Operation& operation) {
  return std::holds_alternative<PutKey>(operation) || std::holds_alternative<DeleteKey>(operation) ||
         std::holds_alternative<DeletePrefix>(operation) || std::holds_alternative<WriteBatch>(operation) ||
         std::holds_alternative<ChangeSettings>(operation) || std::holds_alternative<MoveLeader>(operation) ||
         std::holds_alternative<Box<Transaction>>(operation) ||
         std::holds_alternative<AddNumber>(operation) || std::holds_alternative<AppendBytes>(operation) ||
         std::holds_alternative<TouchKey>(operation) || std::holds_alternative<GrantLease>(operation) ||
         std::holds_alternative<TakeLease>(operation) || std::holds_alternative<RenewLeases>(operation) ||
         std::holds_alternative<EndLease>(operation) || std::holds_alternative<DropFence>(operation) ||
         is_queue_write(operation) || is_topic_write(operation) || is_access_write(operation);
}

size_t transaction_bytes(const Transaction& transaction) {
  size_t bytes = 0;
  for (const TxnCondition& condition : transaction.conditions)
    bytes += sizeof condition + condition.key.size() + condition.value.size();
  for (const auto* branch : {&transaction.then_ops, &transaction.else_ops}) {
    for (const TxnOp& op : *branch) {
      bytes += sizeof op + op.key.size() + op.value.size();
      if (op.settling) bytes += sizeof *op.settling;
      if (op.message) bytes += bytes_of(*op.message);
    }
  }
  return bytes;
}

size_t operation_bytes(const Operation& operation) {
  if (const auto* put = std::get_if<PutKey>(&operation)) return put->key.size() + put->value.size();
  if (const auto* append = std::get_if<AppendBytes>(&operation))
    return append->key.size() + append->value.size();
  if (const auto* transaction = std::get_if<Box<Transaction>>(&operation))
    return transaction_bytes(**transaction);
  if (const auto* renewal = std::get_if<RenewLeases>(&operation))
    return (renewal->ids.size() + renewal->holds.size()) * sizeof(uint64_t);
  size_t bytes = 0;
  if (const auto* send = std::get_if<Box<SendMessages>>(&operation)) {
    for (const NewMessage& message : (*send)->messages) bytes += bytes_of(message);
  }
  if (const auto* publish = std::get_if<Box<PublishMessages>>(&operation)) {
    for (const NewMessage& message : (*publish)->messages) bytes += bytes_of(message);
  }
  if (const auto* receive = std::get_if<Box<ReceiveMessages>>(&operation))
    return bytes_of((*receive)->settlings);
  if (const auto* settle = std::get_if<Box<SettleMessages>>(&operation))
    return bytes_of((*settle)->settlings);
  if (const auto* access = std::get_if<Box<ReplaceAccess>>(&operation)) return bytes_of(**access);
  if (const auto* batch = std::get_if<WriteBatch>(&operation)) {
    for (const BatchOp& op : batch->ops) bytes += op.key.size() + (op.value ? op.value->size() : 0);
  }
  return bytes;
}

const char* collection_name(Collection collection) {
  switch (collection) {
    case Collection::kSessions:
      return "sessions";
    case Collection::kLocks:
      return "locks";
    case Collection::kElections:
      return "elections";
    case Collection::kBarriers:
      return "barriers";
    case Collection::kIds:
      return "ids";
    case Collection::kNames:
      return "names";
    case Collection::kHosts:
      return "hosts";
    case Collection::kTasks:
      return "tasks";
    case Collection::kWorkers:
      return "workers";
    case Collection::kZnodes:
      return "znodes";
    case Collection::kZkQueues:
      return "zkqueues";
  }
  CHECK(false);
}

const char* verb_name(Verb verb) {
  switch (verb) {
    case Verb::kGet:
      return "GET";
    case Verb::kPut:
      return "PUT";
    case Verb::kPost:
      return "POST";
    case Verb::kDelete:
      return "DELETE";
  }
  CHECK(false);
}

const char* service_status_name(ServiceStatus status) {
  switch (status) {
    case ServiceStatus::kOk:
      return "ok";
    case ServiceStatus::kCreated:
      return "created";
    case ServiceStatus::kAccepted:
      return "accepted";
    case ServiceStatus::kDone:
      return "done";
    case ServiceStatus::kInvalid:
      return "invalid";
    case ServiceStatus::kUnauthenticated:
      return "unauthenticated";
    case ServiceStatus::kForbidden:
      return "forbidden";
    case ServiceStatus::kNotFound:
      return "not_found";
    case ServiceStatus::kWrongVerb:
      return "wrong_verb";
    case ServiceStatus::kNotInTime:
      return "not_in_time";
    case ServiceStatus::kConflict:
      return "conflict";
    case ServiceStatus::kGone:
      return "gone";
    case ServiceStatus::kConditionFailed:
      return "condition_failed";
    case ServiceStatus::kTooLarge:
      return "too_large";
    case ServiceStatus::kUnavailable:
      return "unavailable";
    case ServiceStatus::kUnknown:
      return "unknown";
  }
  CHECK(false);
}

}  // namespace kvd
