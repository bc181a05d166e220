// See text.hpp. Form: name, then the fields that matter as name=value. Keys are quoted and escaped, values
// are sizes such as 5B, members are id/incarnation, log positions epoch:revision.
#include "msg/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "msg/access_text.hpp"
#include "msg/queue_text.hpp"
#include "msg/znodes.hpp"

namespace kvd {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c < ' ' || c > '~') {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

namespace {

constexpr size_t kListShown = 4;  // longer lists: the first ones, then how many there are

std::string size_of(std::string_view value) { return fmt::format("{}B", value.size()); }
std::string size_of(const Bytes& value) { return size_of(value.view()); }
const char* yes(bool flag) { return flag ? "yes" : "no"; }

template <class T, class Print>
std::string list(const std::vector<T>& items, Print print) {
  std::string out = "[";
  for (size_t i = 0; i < items.size() && i < kListShown; ++i) {
    if (i > 0) out += ", ";
    out += print(items[i]);
  }
  if (items.size() > kListShown) out += fmt::format(", ... {} in all", items.size());
  return out + ']';
}

std::string text_of(const LogPosition& position) {
  return fmt::format("{}:{}", position.epoch.value, position.revision.value);
}
std::string text_of_item(const Record& item) {
  return fmt::format("{}@{}={}", quoted(item.key()), item.modified().value, size_of(item.value()));
}
std::string text_of(const Term& term) {
  switch (term.kind) {
    case Term::Kind::kNone:
      return "";
    case Term::Kind::kKeep:
      return " ttl=keep";
    case Term::Kind::kTime:
      return fmt::format(" ttl={}ms", term.number);
    case Term::Kind::kLease:
      return fmt::format(" lease={}", term.number);
  }
  return " ?";
}
const char* text_of(Space space) {
  switch (space) {
    case Space::kData:
      return "";
    case Space::kRequests:
      return "request ";
    case Space::kFences:
      return "fence ";
    case Space::kTerms:
      return "term ";
    case Space::kLeases:
      return "lease ";
    case Space::kQueues:
      return "queue ";
    case Space::kMessages:
      return "message ";
    case Space::kDeliveries:
      return "delivery ";
    case Space::kDedup:
      return "dedup ";
    case Space::kAccess:
      return "access ";
  }
  return "?";
}
std::string text_of_effect(const Record& effect) {
  return text_of(effect.space()) + quoted(effect.key()) +
         (effect.has_value() ? "=" + size_of(effect.value())
          : effect.expired() ? " expired"
                             : " deleted");
}
std::string text_of(const EntryPointer& entry) {
  return fmt::format("{}:{}@{} {}", entry->epoch.value, entry->revision.value, entry->clock,
                     list(entry->effects, text_of_effect));
}
std::string text_of(const BatchOp& op) {
  return quoted(op.key) + (op.value ? "=" + size_of(*op.value) + text_of(op.term) : " deleted");
}
std::string text_of(const Fence& fence) { return fmt::format("{}:{}", quoted(fence.resource), fence.token); }
std::string text_of(const OptionalBox<Fence>& fence) { return fence ? " fence=" + text_of(*fence) : ""; }
std::string text_of(const EntityTags& tags) {
  if (tags.any) return "*";
  return list(tags.revisions, [](Revision revision) { return fmt::format("{}", revision.value); });
}
std::string text_of(const Condition& condition) {
  std::string out;
  if (condition.if_match) out += " if_match=" + text_of(*condition.if_match);
  if (condition.if_none_match) out += " if_none_match=" + text_of(*condition.if_none_match);
  return out;
}

std::string text_of(const TxnCondition& condition) {
  if (condition.of == TxnCondition::Of::kLease) return fmt::format("lease {}", condition.number);
  if (condition.of == TxnCondition::Of::kReceipt)
    return fmt::format("{} {} receipt={}", source_text(condition.key, condition.subscription),
                       to_text(condition.message), condition.number);
  const char* const of[] = {"exists", "revision", "version", "value"};
  const char* const is[] = {"=", "!=", "<", ">"};
  const std::string what = condition.of == TxnCondition::Of::kValue ? size_of(condition.value)
                                                                    : fmt::format("{}", condition.number);
  return fmt::format("{} {}{}{}", quoted(condition.key), of[static_cast<size_t>(condition.of)],
                     is[static_cast<size_t>(condition.is)], what);
}
std::string text_of(const TxnOp& op) {
  switch (op.kind) {
    case TxnOp::Kind::kPut:
      return quoted(op.key) + "=" + size_of(op.value) + text_of(op.term);
    case TxnOp::Kind::kDelete:
      return quoted(op.key) + " deleted";
    case TxnOp::Kind::kAdd:
      return fmt::format("{}+={}", quoted(op.key), op.by);
    case TxnOp::Kind::kAppend:
      return quoted(op.key) + "+=" + size_of(op.value);
    case TxnOp::Kind::kGet:
      return quoted(op.key);
    case TxnOp::Kind::kTouch:
      return quoted(op.key) + text_of(op.term);
    case TxnOp::Kind::kAck:
      return fmt::format("{} ack {} receipt={}", source_text(op.key, op.subscription),
                         to_text(op.settling->id), op.settling->receipt);
    case TxnOp::Kind::kSend:
      return fmt::format("{} send {}", quoted(op.key), size_of(op.message->body));
    case TxnOp::Kind::kPublish:
      return fmt::format("{} publish {}", quoted(op.key), size_of(op.message->body));
  }
  return "?";
}
struct OpResultText {
  std::string operator()(const OpPut& m) const { return m.created ? "put created" : "put"; }
  std::string operator()(const OpDeleted& m) const { return m.deleted ? "deleted" : "absent"; }
  std::string operator()(const OpAdded& m) const { return fmt::format("is {}", m.value); }
  std::string operator()(const OpAppended& m) const { return m.created ? "appended created" : "appended"; }
  std::string operator()(const OpFound& m) const {
    return fmt::format("found {}@{}", size_of(m.value), m.revision.value);
  }
  std::string operator()(const OpTouched& m) const { return m.touched ? "touched" : "absent"; }
  std::string operator()(const OpMissing&) const { return "missing"; }
  std::string operator()(const OpAcked&) const { return "acked"; }
  std::string operator()(const OpSent& m) const {
    return fmt::format("sent {}{}", to_text(m.id), m.duplicate ? " before" : "");
  }
};

const char* error_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNoLeader:
      return "no_leader";
    case ErrorCode::kNotEnoughInSync:
      return "not_enough_in_sync";
    case ErrorCode::kOverloaded:
      return "overloaded";
    case ErrorCode::kNotReady:
      return "not_ready";
    case ErrorCode::kTimedOut:
      return "timed_out";
    case ErrorCode::kSteppedDown:
      return "stepped_down";
    case ErrorCode::kLinkLost:
      return "link_lost";
    case ErrorCode::kTooLarge:
      return "too_large";
    case ErrorCode::kShuttingDown:
      return "shutting_down";
    case ErrorCode::kInvalid:
      return "invalid";
    case ErrorCode::kKeyReused:
      return "key_reused";
    case ErrorCode::kNotInSync:
      return "not_in_sync";
    case ErrorCode::kKeyEvicted:
      return "key_evicted";
    case ErrorCode::kDiskFull:
      return "disk_full";
    case ErrorCode::kMemoryFull:
      return "memory_full";
    case ErrorCode::kNotEmpty:
      return "not_empty";
    case ErrorCode::kNotANumber:
      return "not_a_number";
    case ErrorCode::kOverflow:
      return "overflow";
    case ErrorCode::kLeaseOver:
      return "lease_over";
    case ErrorCode::kLeaseFull:
      return "lease_full";
    case ErrorCode::kNoQueue:
      return "no_queue";
    case ErrorCode::kNoMessage:
      return "no_message";
    case ErrorCode::kQueueFull:
      return "queue_full";
    case ErrorCode::kQueueCycle:
      return "queue_cycle";
    case ErrorCode::kStale:
      return "stale";
    case ErrorCode::kNoTopic:
      return "no_topic";
    case ErrorCode::kUnauthenticated:
      return "unauthenticated";
    case ErrorCode::kForbidden:
      return "forbidden";
    case ErrorCode::kNoAccess:
      return "no_access";
    case ErrorCode::kAccessExists:
      return "access_exists";
  }
  return "?";
}
const char* mode_name(ZkMode mode) {
  switch (mode) {
    case ZkMode::kPersistent:
      return "persistent";
    case ZkMode::kPersistentSequential:
      return "persistent_sequential";
    case ZkMode::kEphemeral:
      return "ephemeral";
    case ZkMode::kEphemeralSequential:
      return "ephemeral_sequential";
  }
  return "?";
}
const char* level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "?";
}

// ---- operations and answers ----

std::string text_of(const Lifetime& life) {
  if (life.lease != 0) return fmt::format(" lease={}", life.lease);
  return life.left_ms ? fmt::format(" left={}ms", *life.left_ms) : "";
}
std::string text_of(const LeaseInfo& lease) {
  return fmt::format("{} ttl={}ms left={}ms", lease.id, lease.ttl_ms, lease.left_ms);
}

std::string numbers(const std::vector<uint64_t>& all) {
  return list(all, [](uint64_t number) { return std::to_string(number); });
}

struct OperationText : QueueOperationText, AccessOperationText {
  using AccessOperationText::operator();
  using QueueOperationText::operator();
  std::string operator()(const ReadKey& m) const { return "ReadKey " + quoted(m.key); }
  std::string operator()(const ListKeys& m) const {
    return fmt::format("ListKeys prefix={} after={} limit={}{}", quoted(m.prefix), quoted(m.after), m.limit,
                       m.keys_only ? " keys_only" : "");
  }
  std::string operator()(const PutKey& m) const {
    return fmt::format("PutKey {}={}{}{}", quoted(m.key), size_of(m.value), text_of(m.term),
                       text_of(m.condition));
  }
  std::string operator()(const DeleteKey& m) const {
    return fmt::format("DeleteKey {}{}", quoted(m.key), text_of(m.condition));
  }
  std::string operator()(const DeletePrefix& m) const {
    return "DeletePrefix " + quoted(m.prefix) + (m.limit != 0 ? fmt::format(" limit={}", m.limit) : "");
  }
  std::string operator()(const WriteBatch& m) const {
    return std::string(m.if_empty ? "WriteBatch if_empty " : "WriteBatch ") +
           list(m.ops, [](const BatchOp& op) { return text_of(op); }) +
           (m.fences.empty() ? "" : " fences=" + list(m.fences, [](const Fence& f) { return text_of(f); }));
  }
  std::string operator()(const Box<Transaction>& m) const {
    const auto ops = [](const TxnOp& op) { return text_of(op); };
    return fmt::format("Transaction if={} then={} else={}",
                       list(m->conditions, [](const TxnCondition& condition) { return text_of(condition); }),
                       list(m->then_ops, ops), list(m->else_ops, ops));
  }
  std::string operator()(const AddNumber& m) const {
    return fmt::format("AddNumber {}+={}{}", quoted(m.key), m.by, text_of(m.condition));
  }
  std::string operator()(const AppendBytes& m) const {
    return fmt::format("AppendBytes {}+={}{}", quoted(m.key), size_of(m.value), text_of(m.condition));
  }
  std::string operator()(const TouchKey& m) const {
    return fmt::format("TouchKey {}{}{}", quoted(m.key), text_of(m.term), text_of(m.condition));
  }
  std::string operator()(const GrantLease& m) const {
    return fmt::format("GrantLease ttl={}ms {}", m.ttl_ms, quoted(m.name));
  }
  std::string operator()(const DropFence& m) const { return "DropFence " + quoted(m.resource); }
  std::string operator()(const TakeLease& m) const { return fmt::format("TakeLease {}", m.id); }
  std::string operator()(const RenewLeases& m) const {
    return "RenewLeases " + numbers(m.ids) + (m.holds.empty() ? "" : " holds=" + numbers(m.holds));
  }
  std::string operator()(const EndLease& m) const {
    return fmt::format("EndLease {}{}", m.id, m.hold == 0 ? "" : fmt::format(" hold={}", m.hold));
  }
  std::string operator()(const ReadLease& m) const {
    return fmt::format("ReadLease {}{}", m.id, m.keys ? " keys" : "");
  }
  std::string operator()(const ListLeases& m) const {
    return fmt::format("ListLeases after={} limit={}", m.after, m.limit);
  }
  std::string operator()(const ChangeSettings& m) const {
    return fmt::format("ChangeSettings min_in_sync={}", m.min_in_sync);
  }
  std::string operator()(const QueryStatus&) const { return "QueryStatus"; }
  std::string operator()(const DecideLineage&) const { return "DecideLineage"; }
  std::string operator()(const MoveLeader& m) const {
    return "MoveLeader to=" + (m.to ? m.to->value : "next");
  }
  std::string operator()(const ReadSnapshot& m) const {
    if (!m.since) return "ReadSnapshot";
    return fmt::format("ReadSnapshot since={} after={}{}", m.since->value, text_of(m.space), quoted(m.after));
  }
};

const char* incomplete(bool complete) { return complete ? "" : " incomplete"; }

struct AnswerText : QueueAnswerText, AccessAnswerText {
  using AccessAnswerText::operator();
  using QueueAnswerText::operator();
  std::string operator()(const KeyFound& m) const {
    return fmt::format("KeyFound {}{}{}", text_of_item(m.item), text_of(m.life), incomplete(m.complete));
  }
  std::string operator()(const KeyMissing& m) const {
    return fmt::format("KeyMissing{}", incomplete(m.complete));
  }
  std::string operator()(const Listing& m) const {
    return fmt::format("Listing {}{}{}", list(m.items, text_of_item), m.more ? " more" : "",
                       incomplete(m.complete));
  }
  std::string operator()(const KeyWritten& m) const {
    return m.created ? "KeyWritten created" : "KeyWritten";
  }
  std::string operator()(const KeyDeleted&) const { return "KeyDeleted"; }
  std::string operator()(const KeyAbsent&) const { return "KeyAbsent"; }
  std::string operator()(const PrefixDeleted& m) const { return fmt::format("PrefixDeleted {}", m.count); }
  std::string operator()(const BatchWritten&) const { return "BatchWritten"; }
  std::string operator()(const ConditionFailed& m) const {
    return "ConditionFailed current=" + (m.current ? fmt::format("{}", m.current->value) : "none");
  }
  std::string operator()(const Box<Fenced>& m) const {
    return fmt::format("Fenced {} current={}", text_of(m->fence), m->current);
  }
  std::string operator()(const SettingsChanged& m) const {
    return fmt::format("SettingsChanged min_in_sync={}", m.min_in_sync);
  }
  std::string operator()(const LeaderMoved& m) const { return "LeaderMoved leader=" + m.leader.value; }
  std::string operator()(const LineageForced& m) const {
    return fmt::format("LineageForced lineage={}", m.lineage.value);
  }
  std::string operator()(const Box<SnapshotPart>& box) const {
    const SnapshotPart& m = *box;
    return fmt::format("SnapshotPart at={} entries={} items={}{}{}", text_of(m.at), m.entries.size(),
                       m.items.size(), m.more ? " more" : fmt::format(" digest={:016x}", m.digest),
                       incomplete(m.complete));
  }
  std::string operator()(const Box<TxnDone>& m) const {
    return fmt::format("TxnDone {} {}", m->succeeded ? "then" : "else",
                       list(m->results, [](const OpResult& r) { return std::visit(OpResultText(), r); }));
  }
  std::string operator()(const KeyTouched& m) const { return fmt::format("KeyTouched left={}ms", m.left_ms); }
  std::string operator()(const LeaseGranted& m) const { return fmt::format("LeaseGranted {}", m.id); }
  std::string operator()(const LeaseTaken& m) const {
    return fmt::format("LeaseTaken ttl={}ms hold={}", m.ttl_ms, m.hold);
  }
  std::string operator()(const LeasesRenewed& m) const {
    const std::string left = list(m.left_ms, [](const std::optional<uint64_t>& ms) {
      return ms ? fmt::format("{}ms", *ms) : std::string("not");
    });
    return "LeasesRenewed " + left + (m.taken.empty() ? "" : " taken=" + numbers(m.taken));
  }
  std::string operator()(const LeaseEnded&) const { return "LeaseEnded"; }
  std::string operator()(const Box<LeaseFound>& m) const {
    return fmt::format("LeaseFound {} keys={}", text_of(m->lease), m->keys.size());
  }
  std::string operator()(const LeaseList& m) const {
    return fmt::format("LeaseList {}{}",
                       list(m.leases, [](const LeaseInfo& lease) { return text_of(lease); }),
                       m.more ? " more" : "");
  }
  std::string operator()(const NumberIs& m) const { return fmt::format("NumberIs {}", m.value); }
  std::string operator()(const Failed& m) const {
    return fmt::format(
        "Failed {} {}{}{}", error_name(m.code), m.outcome == Outcome::kUnknown ? "unknown" : "not_applied",
        m.op != kNoOp ? fmt::format(" op={}", m.op) : "", m.detail.empty() ? "" : " " + quoted(m.detail));
  }
  std::string operator()(const Box<Status>& box) const {
    const Status& m = *box;
    return fmt::format("Status role={} leader={} ready={} complete={} keys={} digest={:016x}",
                       role_name(m.role), m.leader ? to_text(m.leader->member) : "none", yes(m.ready),
                       yes(m.complete), m.keys, m.digest);
  }
};

std::string text_of(const ServiceCall& call) {
  std::string out =
      fmt::format("{} {}/{}", verb_name(call.verb), collection_name(call.collection), call.path);
  for (const auto& [name, value] : call.parameters) out += fmt::format(" {}={}", name, quoted(value));
  return call.body.empty() ? out : fmt::format("{} body={}", out, size_of(call.body));
}

// ---- peers ----

struct PeerText {
  std::string operator()(const Box<Hello>& box) const {
    const Hello& m = *box;
    return fmt::format("Hello from={} to={} cluster={} lineage={} epoch={}{}", to_text(m.from.member),
                       m.to.value, m.cluster.empty() ? "none" : m.cluster, m.lineage.value, m.epoch.value,
                       m.sparse ? " sparse" : "");
  }
  std::string operator()(const Append& m) const {
    return fmt::format("Append epoch={} previous={} commit={} entries={}", m.epoch.value, text_of(m.previous),
                       m.commit.value,
                       list(m.entries, [](const EntryPointer& entry) { return text_of(entry); }));
  }
  std::string operator()(const AppendAck& m) const {
    return fmt::format("AppendAck epoch={} match={}", m.epoch.value, m.match.value);
  }
  std::string operator()(const AppendNack& m) const {
    if (m.held != LogPosition{})
      return fmt::format("AppendNack epoch={} held={}", m.epoch.value, text_of(m.held));
    return fmt::format("AppendNack epoch={} {} hint={}", m.epoch.value, m.stale ? "stale" : "mismatch",
                       m.hint.value);
  }
  std::string operator()(const Heartbeat& m) const {
    return fmt::format("Heartbeat epoch={} commit={} round={} digest={:016x}", m.epoch.value, m.commit.value,
                       m.round, m.digest);
  }
  std::string operator()(const HeartbeatAck& m) const {
    return fmt::format("HeartbeatAck epoch={} round={}{}{} snapshot={}", m.epoch.value, m.round,
                       m.whole ? " whole" : "", m.differs ? " differs" : "", m.snapshot);
  }
  std::string operator()(const SnapshotBegin& m) const {
    return fmt::format("SnapshotBegin epoch={} number={} base={}{}", m.epoch.value, m.number, text_of(m.base),
                       m.sparse ? " sparse" : "");
  }
  std::string operator()(const SnapshotChunk& m) const {
    return fmt::format("SnapshotChunk epoch={} items={}", m.epoch.value, list(m.items, text_of_item));
  }
  std::string operator()(const SnapshotEnd& m) const {
    return fmt::format("SnapshotEnd epoch={} revision={} digest={:016x}", m.epoch.value, m.revision.value,
                       m.digest);
  }
  std::string operator()(const SnapshotAck& m) const {
    return fmt::format("SnapshotAck epoch={} number={} chunks={}{}", m.epoch.value, m.number, m.chunks,
                       m.failed ? " failed" : "");
  }
  std::string operator()(const Forward& m) const {
    return fmt::format("Forward request={} timeout={}us{}{}{} {}", m.request, m.timeout.count(),
                       m.idempotency_key.empty() ? "" : " key=" + quoted(m.idempotency_key), text_of(m.fence),
                       m.caller ? " user=" + quoted(m.caller->user) : "", to_text(m.operation));
  }
  std::string operator()(const ForwardResult& m) const {
    return fmt::format("ForwardResult request={} revision={} {}", m.request, m.revision.value,
                       to_text(m.answer));
  }
  std::string operator()(const Suspect& m) const {
    return fmt::format("Suspect epoch={} leader={}", m.epoch.value, to_text(m.leader));
  }
  std::string operator()(const SuspectReply& m) const {
    return fmt::format("SuspectReply epoch={} leader={} agrees={}", m.epoch.value, to_text(m.leader),
                       yes(m.agrees));
  }
  std::string operator()(const TakeOver& m) const {
    return fmt::format("TakeOver epoch={}{}", m.epoch.value, m.leaves ? " leaves" : "");
  }
  std::string operator()(const Box<ServiceForward>& m) const {
    return fmt::format("ServiceForward {} {}", m->request, text_of(m->call));
  }
  std::string operator()(const Box<ServiceForwardResult>& m) const {
    return fmt::format("ServiceForwardResult {} {}", m->request, to_text(m->answer));
  }
  std::string operator()(const ForwardCancelled& m) const {
    return fmt::format("ForwardCancelled {}", m.request);
  }
  std::string operator()(const ServiceForwardCancelled& m) const {
    return fmt::format("ServiceForwardCancelled {}", m.request);
  }
};

// ---- ZooKeeper ----

// The register is what decides, so it is shown in full; anything else is a size.
std::string data_text(const std::string& data) {
  Result<Register> content = decode_register(data);
  return content ? to_text(*content) : fmt::format("{}B", data.size());
}

struct ZkRequestText {
  std::string operator()(const ZkCreate& m) const {
    return fmt::format("create {} {} {}", m.path, mode_name(m.mode), data_text(m.data));
  }
  std::string operator()(const ZkDelete& m) const {
    return fmt::format("delete {} version={}", m.path, m.version);
  }
  std::string operator()(const ZkSet& m) const {
    return fmt::format("set {} version={} {}", m.path, m.version, data_text(m.data));
  }
  std::string operator()(const ZkCheck& m) const {
    return fmt::format("check {} version={}", m.path, m.version);
  }
  std::string operator()(const ZkMulti& m) const {
    std::string out = "multi (";
    for (const auto& op : m.ops) out += (&op == m.ops.data() ? "" : "; ") + std::visit(*this, op);
    return out + ')';
  }
  std::string operator()(const ZkGet& m) const { return "get " + m.path + watched(m.watch); }
  std::string operator()(const ZkExists& m) const { return "exists " + m.path + watched(m.watch); }
  std::string operator()(const ZkChildren& m) const { return "children " + m.path + watched(m.watch); }
  std::string operator()(const ZkSync& m) const { return "sync " + m.path; }

  static const char* watched(bool watch) { return watch ? " watch" : ""; }
};

// ---- the disk ----

std::string text_of(const DiskFacts& facts) {
  return fmt::format("cluster={} lineage={} epoch={} self={}", facts.cluster, facts.lineage.value,
                     facts.epoch.value, to_text(facts.self));
}

std::string text_of(const DiskRecord& record) {
  if (const auto* entry = std::get_if<EntryPointer>(&record)) return text_of(*entry);
  if (const auto* cut = std::get_if<DiskTruncate>(&record))
    return fmt::format("truncate {}", cut->last.value);
  return fmt::format("commit {}", std::get<DiskCommit>(record).revision.value);
}

std::string records_text(const std::vector<DiskRecord>& records) {
  return list(records, [](const DiskRecord& record) { return text_of(record); });
}

struct DiskText {
  std::string operator()(const DiskRead&) const { return "DiskRead"; }
  std::string operator()(const DiskKeep& m) const { return "DiskKeep " + text_of(m.facts); }
  std::string operator()(const DiskWrite& m) const {
    return fmt::format("DiskWrite {} {}", m.number, records_text(m.records));
  }
  std::string operator()(const DiskSnapshotBegin& m) const {
    return fmt::format("DiskSnapshotBegin {} base={}{}", m.number, text_of(m.base), m.fresh ? " fresh" : "");
  }
  std::string operator()(const DiskSnapshotItems& m) const {
    return fmt::format("DiskSnapshotItems {} items={}", m.number, m.items.size());
  }
  std::string operator()(const DiskSnapshotEnd& m) const {
    return fmt::format("DiskSnapshotEnd {} revision={} digest={:016x}", m.number, m.revision.value, m.digest);
  }
  std::string operator()(const DiskClose&) const { return "DiskClose"; }

  std::string operator()(const DiskFound& m) const {
    return fmt::format("DiskFound {} base={} end={}", text_of(m.facts), text_of(m.base),
                       m.snapshot_end.value);
  }
  std::string operator()(const DiskPart& m) const {
    return fmt::format("DiskPart items={} records={}", m.items.size(), records_text(m.records));
  }
  std::string operator()(const DiskOpened& m) const {
    return fmt::format("DiskOpened intact={} usable={} {}", yes(m.intact), yes(m.usable), quoted(m.why));
  }
  std::string operator()(const DiskKept& m) const { return "DiskKept " + text_of(m.facts); }
  std::string operator()(const DiskWritten& m) const { return fmt::format("DiskWritten {}", m.number); }
  std::string operator()(const DiskSnapshotTaken& m) const {
    return fmt::format("DiskSnapshotTaken {}", m.number);
  }
  std::string operator()(const DiskSnapshotDone& m) const {
    return fmt::format("DiskSnapshotDone {} done={}", m.number, yes(m.done));
  }
  std::string operator()(const DiskSpace& m) const {
    return fmt::format("DiskSpace low={} {}", yes(m.low), quoted(m.detail));
  }
  std::string operator()(const DiskFailed& m) const { return "DiskFailed " + quoted(m.what); }
  std::string operator()(const DiskClosed&) const { return "DiskClosed"; }
};

// ---- the node's edge ----

std::string text_of(const Address& address) { return format_address(address); }

std::string text_of(const StoreCall& call) {
  return fmt::format(
      "{}{}{}{}", to_text(call.operation), call.read == ReadMode::kLinear ? " linear" : "",
      call.min_revision == Revision(0) ? "" : fmt::format(" min_revision={}", call.min_revision.value),
      text_of(call.fence));
}

std::string text_of(const ServiceAnswer& answer) { return to_text(answer); }
std::string text_of(const StoreAnswer& answer) {
  return fmt::format("{} epoch={} revision={} leader={}", to_text(answer.answer), answer.epoch.value,
                     answer.revision.value, answer.leader ? text_of(*answer.leader) : "none");
}

std::string text_of(const WatchFilter& filter) {
  return fmt::format("{}={}", filter.prefix ? "prefix" : "key", quoted(filter.key));
}
std::string text_of(const Box<WatchCall>& box) {
  const WatchCall& m = *box;
  return fmt::format("Watch {}{}{}{}{}", text_of(m.filter),
                     m.since ? fmt::format(" since={}", m.since->value) : "", m.state ? " state" : "",
                     m.values ? "" : " no values", m.linear ? " linear" : "");
}
std::string text_of(const ConsumeQueue& m) {
  return fmt::format("ConsumeQueue {} credit={}", quoted(m.queue), m.credit);
}

std::string text_of(const Box<FollowTopic>& box) {
  return fmt::format("FollowTopic {}{}", to_text(Operation(box->page)),
                     box->wait ? fmt::format(" wait={}us", box->wait->count()) : "");
}

std::string text_of(const HoldLease& m) {
  if (m.id != 0) return fmt::format("HoldLease {}", m.id);
  return fmt::format("HoldLease ttl={}ms {}", m.grant.ttl_ms, quoted(m.grant.name));
}
std::string text_of(const Box<PollCall>& box) {
  return fmt::format("Poll {} since={} wait={}us", text_of(box->filter), box->since.value, box->wait.count());
}

struct WatchText {
  std::string operator()(const WatchOpened& m) const {
    return fmt::format("WatchOpened complete={}", yes(m.complete));
  }
  std::string operator()(const HistoryGone& m) const {
    return fmt::format("HistoryGone oldest={}", m.oldest.value);
  }
  std::string operator()(const NotChanged&) const { return "NotChanged"; }
  std::string operator()(const WatchEvent& m) const {
    return fmt::format("{}@{}{}{}", text_of_effect(m.record), m.record.modified().value,
                       m.more ? " more" : "", m.state ? " state" : "");
  }
  std::string operator()(const WatchProgress& m) const {
    return fmt::format("progress {}{}", m.revision.value, m.linear ? " linear" : "");
  }
  std::string operator()(const WatchWaiting& m) const { return fmt::format("waiting {}", m.revision.value); }
  std::string operator()(const WatchStale& m) const { return fmt::format("stale {}us", m.silent.count()); }
  std::string operator()(const WatchCurrent& m) const { return fmt::format("current {}", m.revision.value); }
  std::string operator()(const WatchSynced& m) const {
    return fmt::format("synced {} complete={}", m.revision.value, yes(m.complete));
  }
  std::string operator()(const WatchReset& m) const {
    return fmt::format("reset {} {}", m.revision.value, watch_break_name(m.reason));
  }
  std::string operator()(const WatchGone& m) const {
    return fmt::format("gone {} oldest={} {}", m.revision.value, m.oldest.value, watch_break_name(m.reason));
  }
};
std::string text_of(const WatchAnswer& answer) {
  return fmt::format("{} epoch={} revision={}", std::visit(WatchText{}, answer.what), answer.epoch.value,
                     answer.revision.value);
}

struct EdgeText {
  std::string operator()(const Call& m) const {
    const std::string what = std::visit([](const auto& call) { return text_of(call); }, m.what);
    return fmt::format("Call {} {} timeout={}us", m.id.value, what, m.timeout.count());
  }
  std::string operator()(const CallCancelled& m) const { return fmt::format("CallCancelled {}", m.id.value); }
  std::string operator()(const LinkOpened& m) const { return fmt::format("LinkOpened {}", m.link.value); }
  std::string operator()(const LinkAccepted& m) const {
    return fmt::format("LinkAccepted {} from={}", m.link.value, m.from);
  }
  std::string operator()(const LinkReceived& m) const {
    return fmt::format("LinkReceived {} {}", m.link.value, to_text(m.message));
  }
  std::string operator()(const LinkEnded& m) const {
    return fmt::format("LinkEnded {} {}{}", m.link.value, link_end_name(m.why),
                       m.detail.empty() ? "" : " " + quoted(m.detail));
  }
  std::string operator()(const ZkResult& m) const { return to_text(m); }
  std::string operator()(const ZkWatchFired& m) const { return "ZkWatchFired " + m.path; }
  std::string operator()(const ZkSessionChanged& m) const {
    return fmt::format("ZkSessionChanged {} session={:x} timeout={}us", zk_state_name(m.state), m.session,
                       m.timeout.count());
  }
  std::string operator()(const ZkAccessJudged& m) const {
    return "ZkAccessJudged" + (m.refusal.empty() ? "" : " " + quoted(m.refusal));
  }
  std::string operator()(const DiskAnswer& m) const { return std::visit(DiskText{}, m); }
  std::string operator()(const TlsState& m) const {
    return fmt::format("TlsState {} expires={} problem={}", m.use, m.expires_s, quoted(m.problem));
  }
  std::string operator()(const StopRequested&) const { return "StopRequested"; }

  std::string operator()(const Reply& m) const {
    const std::string what = std::visit([](const auto& answer) { return text_of(answer); }, m.what);
    return fmt::format("Reply {} {}{}", m.id.value, what, !m.line ? "" : m.last ? " last line" : " line");
  }
  std::string operator()(const StreamLines& m) const {
    return fmt::format("StreamLines {} {}{}", m.id.value,
                       list(m.lines, [](const WatchLine& line) { return std::visit(WatchText{}, line); }),
                       m.last ? " last" : "");
  }
  std::string operator()(const StreamTaken& m) const {
    return fmt::format("StreamTaken {} {}B", m.id.value, m.bytes);
  }
  std::string operator()(const LinkDial& m) const {
    return fmt::format("LinkDial {} to={}", m.link.value, text_of(m.to));
  }
  std::string operator()(const LinkSend& m) const {
    return fmt::format("LinkSend {} {}", m.link.value, to_text(m.message));
  }
  std::string operator()(const LinkClose& m) const { return fmt::format("LinkClose {}", m.link.value); }
  std::string operator()(const ZkCall& m) const {
    return fmt::format("ZkCall {} {}", m.id.value, to_text(m.request));
  }
  std::string operator()(const ZkReopen&) const { return "ZkReopen"; }
  std::string operator()(const DiskOrder& m) const { return std::visit(DiskText{}, m); }
  std::string operator()(const AccessChanged&) const { return "AccessChanged"; }
  std::string operator()(const LogLine& m) const {
    std::string out = fmt::format("LogLine {} {}", level_name(m.level), quoted(m.message));
    for (const auto& field : m.fields) out += fmt::format(" {}={}", field.first, quoted(field.second));
    return out;
  }
  std::string operator()(const Exit& m) const {
    return fmt::format("Exit {}{}", m.code, m.reason.empty() ? "" : " " + quoted(m.reason));
  }
};

}  // namespace

std::string words_of(const ServiceAnswer& answer) {
  if (const auto* document = std::get_if<Document>(&answer.content)) return to_json(*document);
  if (const auto* plain = std::get_if<PlainText>(&answer.content)) return plain->text;
  if (const auto* octets = std::get_if<Octets>(&answer.content)) return octets->bytes;
  return answer.why;
}

std::string to_text(const ServiceAnswer& answer) {
  return fmt::format("{} {}", service_status_name(answer.status), quoted(words_of(answer)));
}

std::string to_text(const Member& member) {
  if (member.id.value.empty()) return "none";
  return fmt::format("{}/{:x}", member.id.value, member.incarnation.value);
}

std::string to_text(const Register& content) {
  std::string in_sync;
  for (const Member& member : content.in_sync) in_sync += (in_sync.empty() ? "" : ", ") + to_text(member);
  return fmt::format(
      "{{cluster={} lineage={} epoch={} serial={} leader={} znode={} in_sync=[{}] min_in_sync={} "
      "change={:x}}}",
      content.cluster, content.lineage.value, content.epoch.value, content.serial, to_text(content.leader),
      content.leader_znode, in_sync, content.min_in_sync, content.change_id);
}

std::string to_text(const Operation& operation) { return std::visit(OperationText{}, operation); }
std::string to_text(const Answer& answer) { return std::visit(AnswerText{}, answer); }
std::string to_text(const PeerMessage& message) { return std::visit(PeerText{}, message); }
std::string to_text(const ZkRequest& request) { return std::visit(ZkRequestText{}, request); }
std::string to_text(const NodeInput& input) { return std::visit(EdgeText{}, input); }
std::string to_text(const NodeEffect& effect) { return std::visit(EdgeText{}, effect); }

std::string to_text(const ZkResult& result) {
  std::string out = fmt::format("ZkResult {} {}", result.id.value, zk_code_name(result.code));
  if (!result.path.empty()) out += " path=" + result.path;
  if (!result.data.empty()) out += " data=" + data_text(result.data);
  if (result.stat != ZkStat{}) {
    out += fmt::format(" version={} created={} owner={:x}", result.stat.version, result.stat.created_zxid,
                       result.stat.ephemeral_owner);
  }
  if (!result.children.empty()) out += fmt::format(" children=[{}]", fmt::join(result.children, ", "));
  for (size_t i = 0; i < result.codes.size(); ++i) {
    out += fmt::format("{}{}", i == 0 ? " codes=" : ",", zk_code_name(result.codes[i]));
  }
  for (const std::string& path : result.paths) {
    if (!path.empty()) out += " made=" + path;
  }
  return out;
}

}  // namespace kvd
