// See wire.hpp. Each type's fields are listed once, in fields(), and both directions follow that list (msg/codec.hpp);
// what a decoded value must also satisfy stands in check_value(). A message's type byte is its place in PeerMessage,
// from 1; that of an operation or answer its place in the variant, from 0: reordering a variant
// changes the format.
#include "msg/wire.hpp"

#include <fmt/format.h>

#include <tuple>

#include "base/check.hpp"
#include "base/hash.hpp"
#include "msg/access_fields.hpp"
#include "msg/codec.hpp"
#include "msg/limits.hpp"
#include "msg/queue_fields.hpp"
#include "msg/topic_fields.hpp"

namespace kvd {
namespace {

constexpr std::string_view kMagic = "kvda";
constexpr size_t kNameBytes = 3;  // of the magic; behind it stands the version
constexpr char kNoHello[] = "not a kvd peer: no hello";
constexpr uint8_t kHelloType = 1;
constexpr size_t kLengthBytes = 4;
constexpr size_t kHostBytes = 255;
// More than any hello takes, so that a stranger cannot make us wait for megabytes.
constexpr size_t kHelloBytes = 4096;
constexpr size_t kClusterBytes = 255;
// A reader keeps at most this much memory while it waits for the next frame.
constexpr size_t kIdleBufferBytes = 1u << 20;

}  // namespace

// ---- the fields of each type, in the order of the wire ----

auto fields(Of<Address> auto& m) { return std::tie(m.host, m.port); }
auto fields(Of<ServerInfo> auto& m) { return std::tie(m.member, m.http, m.peer, m.durable); }

auto fields(Of<EntityTags> auto& m) { return std::tie(m.any, m.revisions); }
auto fields(Of<Condition> auto& m) { return std::tie(m.if_match, m.if_none_match); }
auto fields(Of<Fence> auto& m) { return std::tie(m.resource, m.token); }
auto fields(Of<DropFence> auto& m) { return std::tie(m.resource); }
auto fields(Of<ReadKey> auto& m) { return std::tie(m.key); }
auto fields(Of<ListKeys> auto& m) { return std::tie(m.prefix, m.after, m.limit, m.keys_only); }
auto fields(Of<Term> auto& m) { return std::tie(m.kind, m.number); }
auto fields(Of<PutKey> auto& m) { return std::tie(m.key, m.value, m.condition, m.term); }
auto fields(Of<DeleteKey> auto& m) { return std::tie(m.key, m.condition); }
auto fields(Of<DeletePrefix> auto& m) { return std::tie(m.prefix, m.limit); }
auto fields(Of<BatchOp> auto& m) { return std::tie(m.key, m.value, m.term); }
auto fields(Of<WriteBatch> auto& m) { return std::tie(m.ops, m.if_empty, m.fences); }
auto fields(Of<TxnCondition> auto& m) {
  return std::tie(m.key, m.of, m.is, m.number, m.value, m.message, m.subscription);
}
auto fields(Of<TxnOp> auto& m) {
  return std::tie(m.kind, m.key, m.value, m.by, m.term, m.settling, m.message, m.subscription);
}
auto fields(Of<Transaction> auto& m) { return std::tie(m.conditions, m.then_ops, m.else_ops); }
auto fields(Of<AddNumber> auto& m) { return std::tie(m.key, m.by, m.condition); }
auto fields(Of<AppendBytes> auto& m) { return std::tie(m.key, m.value, m.condition); }
auto fields(Of<TouchKey> auto& m) { return std::tie(m.key, m.term, m.condition); }
auto fields(Of<GrantLease> auto& m) { return std::tie(m.ttl_ms, m.name); }
auto fields(Of<TakeLease> auto& m) { return std::tie(m.id); }
auto fields(Of<RenewLeases> auto& m) { return std::tie(m.ids, m.holds); }
auto fields(Of<EndLease> auto& m) { return std::tie(m.id, m.hold); }
auto fields(Of<ReadLease> auto& m) { return std::tie(m.id, m.keys); }
auto fields(Of<ListLeases> auto& m) { return std::tie(m.after, m.limit); }
auto fields(Of<ChangeSettings> auto& m) { return std::tie(m.min_in_sync); }
auto fields(Of<QueryStatus> auto& m) { return std::tie(m.use); }
auto fields(Of<MoveLeader> auto& m) { return std::tie(m.to); }
auto fields(Of<DecideLineage> auto&) { return std::tie(); }
auto fields(Of<ReadSnapshot> auto& m) { return std::tie(m.since, m.space, m.after); }

auto fields(Of<Lifetime> auto& m) { return std::tie(m.left_ms, m.lease); }
auto fields(Of<KeyFound> auto& m) { return std::tie(m.item, m.complete, m.life); }
auto fields(Of<KeyMissing> auto& m) { return std::tie(m.complete); }
auto fields(Of<Listing> auto& m) { return std::tie(m.items, m.more, m.complete); }
auto fields(Of<KeyWritten> auto& m) { return std::tie(m.created); }
auto fields(Of<KeyDeleted> auto&) { return std::tie(); }
auto fields(Of<KeyAbsent> auto&) { return std::tie(); }
auto fields(Of<PrefixDeleted> auto& m) { return std::tie(m.count); }
auto fields(Of<BatchWritten> auto&) { return std::tie(); }
auto fields(Of<ConditionFailed> auto& m) { return std::tie(m.current); }
auto fields(Of<SettingsChanged> auto& m) { return std::tie(m.min_in_sync); }
auto fields(Of<Fenced> auto& m) { return std::tie(m.fence, m.current); }
auto fields(Of<LeaderMoved> auto& m) { return std::tie(m.leader); }
auto fields(Of<LineageForced> auto& m) { return std::tie(m.lineage); }
auto fields(Of<KeyTouched> auto& m) { return std::tie(m.left_ms); }
auto fields(Of<LeaseGranted> auto& m) { return std::tie(m.id, m.ttl_ms); }
auto fields(Of<LeaseTaken> auto& m) { return std::tie(m.ttl_ms, m.hold); }
auto fields(Of<LeasesRenewed> auto& m) { return std::tie(m.left_ms, m.taken); }
auto fields(Of<LeaseEnded> auto&) { return std::tie(); }
auto fields(Of<LeaseInfo> auto& m) { return std::tie(m.id, m.ttl_ms, m.left_ms, m.name); }
auto fields(Of<LeaseFound> auto& m) { return std::tie(m.lease, m.keys, m.complete); }
auto fields(Of<LeaseList> auto& m) { return std::tie(m.leases, m.more, m.complete); }
auto fields(Of<NumberIs> auto& m) { return std::tie(m.value); }
auto fields(Of<OpPut> auto& m) { return std::tie(m.created); }
auto fields(Of<OpDeleted> auto& m) { return std::tie(m.deleted); }
auto fields(Of<OpAdded> auto& m) { return std::tie(m.value); }
auto fields(Of<OpAppended> auto& m) { return std::tie(m.created); }
auto fields(Of<OpFound> auto& m) { return std::tie(m.value, m.revision); }
auto fields(Of<OpMissing> auto&) { return std::tie(); }
auto fields(Of<OpTouched> auto& m) { return std::tie(m.touched); }
auto fields(Of<OpAcked> auto&) { return std::tie(); }
auto fields(Of<OpSent> auto& m) { return std::tie(m.id, m.duplicate); }
auto fields(Of<TxnDone> auto& m) { return std::tie(m.succeeded, m.results); }
auto fields(Of<Failed> auto& m) { return std::tie(m.code, m.outcome, m.detail, m.op); }

auto fields(Of<Guard> auto& m) { return std::tie(m.auth, m.insecure); }
auto fields(Of<Hello> auto& m) {
  return std::tie(m.cluster, m.lineage, m.from, m.to, m.epoch, m.sparse, m.recovered, m.guard);
}
auto fields(Of<Append> auto& m) { return std::tie(m.epoch, m.previous, m.commit, m.entries); }
auto fields(Of<AppendAck> auto& m) { return std::tie(m.epoch, m.match, m.snapshot); }
auto fields(Of<AppendNack> auto& m) {
  return std::tie(m.epoch, m.stale, m.hint, m.snapshot, m.sparse, m.held);
}
auto fields(Of<Heartbeat> auto& m) {
  return std::tie(m.epoch, m.commit, m.round, m.digest, m.end, m.notice, m.clock);
}
auto fields(Of<HeartbeatAck> auto& m) { return std::tie(m.epoch, m.round, m.whole, m.snapshot, m.differs); }
auto fields(Of<SnapshotBegin> auto& m) {
  return std::tie(m.epoch, m.number, m.base, m.sparse, m.keys, m.clock);
}
auto fields(Of<SnapshotChunk> auto& m) { return std::tie(m.epoch, m.items); }
auto fields(Of<SnapshotEnd> auto& m) { return std::tie(m.epoch, m.revision, m.digest); }
auto fields(Of<SnapshotAck> auto& m) { return std::tie(m.epoch, m.number, m.chunks, m.failed); }
auto fields(Of<Forward> auto& m) {
  return std::tie(m.request, m.operation, m.timeout, m.idempotency_key, m.fence, m.term, m.caller);
}
auto fields(Of<ForwardResult> auto& m) { return std::tie(m.request, m.answer, m.revision); }
auto fields(Of<ForwardCancelled> auto& m) { return std::tie(m.request); }
auto fields(Of<Suspect> auto& m) { return std::tie(m.epoch, m.leader); }
auto fields(Of<SuspectReply> auto& m) { return std::tie(m.epoch, m.leader, m.agrees); }
auto fields(Of<TakeOver> auto& m) { return std::tie(m.epoch, m.leaves); }

auto fields(Of<NamedText> auto& m) { return std::tie(m.name, m.value); }
auto fields(Of<ServiceCall> auto& m) {
  return std::tie(m.collection, m.verb, m.path, m.parameters, m.body, m.user);
}
auto fields(Of<Nothing> auto&) { return std::tie(); }
auto fields(Of<Octets> auto& m) { return std::tie(m.bytes); }
auto fields(Of<StoredJson> auto& m) { return std::tie(m.text); }
auto fields(Of<PlainText> auto& m) { return std::tie(m.text); }
auto fields(Of<Value> auto& m) { return std::tie(m.content); }
auto fields(Of<Document::Member> auto& m) { return std::tie(m.name, m.value); }
auto fields(Of<Document> auto& m) { return std::tie(m.members); }
auto fields(Of<ServiceAnswer> auto& m) { return std::tie(m.status, m.why, m.content, m.notes); }
auto fields(Of<ServiceForward> auto& m) { return std::tie(m.request, m.call, m.timeout); }
auto fields(Of<ServiceForwardResult> auto& m) { return std::tie(m.request, m.answer); }
auto fields(Of<ServiceForwardCancelled> auto& m) { return std::tie(m.request); }

template <>
constexpr uint8_t kLast<ErrorCode> = static_cast<uint8_t>(ErrorCode::kAccessExists);
template <>
constexpr uint8_t kLast<QueryStatus::Use> = static_cast<uint8_t>(QueryStatus::Use::kMetrics);
template <>
constexpr uint8_t kLast<Outcome> = static_cast<uint8_t>(Outcome::kUnknown);

template <>
constexpr uint8_t kLast<TxnCondition::Of> = static_cast<uint8_t>(TxnCondition::Of::kReceipt);
template <>
constexpr uint8_t kLast<TxnCondition::Is> = static_cast<uint8_t>(TxnCondition::Is::kGreater);
template <>
constexpr uint8_t kLast<TxnOp::Kind> = static_cast<uint8_t>(TxnOp::Kind::kPublish);
template <>
constexpr uint8_t kLast<Term::Kind> = static_cast<uint8_t>(Term::Kind::kLease);

template <>
constexpr uint8_t kLast<Collection> = static_cast<uint8_t>(kLastCollection);
template <>
constexpr uint8_t kLast<Verb> = static_cast<uint8_t>(Verb::kDelete);
template <>
constexpr uint8_t kLast<ServiceStatus> = static_cast<uint8_t>(kLastServiceStatus);

template <>
constexpr size_t kSmallest<BatchOp> = 4 + 1 + 1 + 8;
template <>
constexpr size_t kSmallest<Value> = 1;
template <>
constexpr size_t kSmallest<Document::Member> = 4 + 1;
template <>
constexpr size_t kSmallest<TxnCondition> = 4 + 1 + 1 + 8 + 4 + 8 + 2 + 4;
template <>
constexpr size_t kSmallest<TxnOp> = 1 + 4 + 4 + 8 + 1 + 8 + 1 + 1 + 4;
template <>
constexpr size_t kSmallest<std::optional<uint64_t>> = 1;
template <>
constexpr size_t kSmallest<LeaseInfo> = 8 + 8 + 8 + 4;
template <>
constexpr size_t kSmallest<OpResult> = 1;
template <>
constexpr size_t kSmallest<NamedText> = 4 + 4;
template <>
constexpr size_t kSmallest<Fence> = 4 + 8;

// ---- what a decoded value must also satisfy ----

// What becomes of it must fit into a frame again, next to others: an answer, an Append.
inline void check_write(Decoder& decoder, size_t bytes) {
  if (bytes > limits::kWriteBytes) decoder.fail(fmt::format("a write of {} bytes", bytes));
}
inline void check_value(Decoder& decoder, const Fence& fence) {
  if (fence.resource.empty() || fence.resource.size() > limits::kFenceResourceBytes)
    decoder.fail(fmt::format("a fence's resource of {} bytes", fence.resource.size()));
  if (fence.token == 0 || fence.token > limits::kFenceTokenMax)
    decoder.fail(fmt::format("a fence's token of {}", fence.token));
}
inline void check_value(Decoder& decoder, const Term& term) {
  if (term.kind == Term::Kind::kTime && (term.number < limits::kTtlMsMin || term.number > limits::kTtlMsMax))
    decoder.fail(fmt::format("a term of {} ms", term.number));
}
inline void check_value(Decoder& decoder, const TouchKey& touch) { check_key(decoder, touch.key); }
inline void check_value(Decoder& decoder, const GrantLease& grant) {
  if (grant.ttl_ms < limits::kLeaseTtlMsMin || grant.ttl_ms > limits::kLeaseTtlMsMax)
    decoder.fail(fmt::format("a lease of {} ms", grant.ttl_ms));
  if (grant.name.size() > limits::kLeaseNameBytes)
    decoder.fail(fmt::format("a name of {} bytes", grant.name.size()));
}
inline void check_value(Decoder& decoder, const RenewLeases& renewal) {
  if (renewal.ids.empty() || renewal.ids.size() > limits::kLeasesAtOnce)
    decoder.fail(fmt::format("a renewal of {} leases", renewal.ids.size()));
  if (!renewal.holds.empty() && renewal.holds.size() != renewal.ids.size())
    decoder.fail(fmt::format("a renewal of {} leases by {} holds", renewal.ids.size(), renewal.holds.size()));
}
inline void check_value(Decoder& decoder, const ListLeases& list) {
  if (list.limit == 0 || list.limit > limits::kListItemsMax)
    decoder.fail(fmt::format("a page of {} leases", list.limit));
}
inline void check_value(Decoder& decoder, const Caller& caller) {
  check_text(decoder, "user's name", caller.user, limits::kAccessNameBytes);
  check_text(decoder, "identity", caller.via, limits::kIdentityBytes);
}
inline void check_access_name(Decoder& decoder, AccessKind kind, std::string_view name) {
  if (kind == AccessKind::kToken ? !is_token_id(name) : !problem_of_access_name(name).empty())
    decoder.fail(fmt::format("a {}'s name of {} bytes", access_kind_name(kind), name.size()));
}
inline void refuse_for(Decoder& decoder, std::string problem) {
  if (!problem.empty()) decoder.fail(std::move(problem));
}
inline void check_value(Decoder& decoder, const PutPolicy& put) { refuse_for(decoder, problem_of(put)); }
inline void check_value(Decoder& decoder, const PutUser& put) { refuse_for(decoder, problem_of(put)); }
inline void check_value(Decoder& decoder, const KeptToken& kept) { refuse_for(decoder, problem_of(kept)); }
inline void check_value(Decoder& decoder, const CreateToken& create) {
  refuse_for(decoder, problem_of(KeptToken{create.id, {create.user, 0, create.digest, 0, 0, create.note}}));
  if (create.ttl_ms > limits::kTtlMsMax) decoder.fail(fmt::format("a token for {} ms", create.ttl_ms));
}
inline void check_value(Decoder& decoder, const ReplaceAccess& all) {
  if (bytes_of(all) > limits::kAccessAtOnceBytes)
    decoder.fail(fmt::format("{} bytes of rights at once", bytes_of(all)));
}
inline void check_value(Decoder& decoder, const DeleteAccess& remove) {
  check_access_name(decoder, remove.kind, remove.name);
}
inline void check_value(Decoder& decoder, const DropFence& drop) {
  if (drop.resource.empty() || drop.resource.size() > limits::kFenceResourceBytes)
    decoder.fail(fmt::format("a fence's resource of {} bytes", drop.resource.size()));
}
inline void check_value(Decoder& decoder, const ListAccess& list) {
  if (list.limit == 0 || list.limit > limits::kListItemsMax)
    decoder.fail(fmt::format("a page of {} users", list.limit));
}
inline void check_value(Decoder& decoder, const ReadKey& read) { check_key(decoder, read.key); }
inline void check_value(Decoder& decoder, const PutKey& put) {
  check_key(decoder, put.key);
  check_write(decoder, put.key.size() + put.value.size());
}
inline void check_value(Decoder& decoder, const ListKeys& list) {
  if (list.limit > limits::kListItemsMax) decoder.fail(fmt::format("a page of {} keys", list.limit));
}
inline void check_value(Decoder& decoder, const DeleteKey& deletion) { check_key(decoder, deletion.key); }
inline void check_value(Decoder& decoder, const BatchOp& op) { check_key(decoder, op.key); }
inline void check_value(Decoder& decoder, const DeletePrefix& deletion) {
  if (deletion.prefix.empty()) decoder.fail("an empty prefix");
  if (deletion.limit > limits::kListItemsMax) decoder.fail(fmt::format("a page of {} keys", deletion.limit));
}
inline void check_value(Decoder& decoder, const WriteBatch& batch) {
  if (batch.ops.size() > limits::kBatchOps) decoder.fail(fmt::format("a batch of {}", batch.ops.size()));
  if (batch.fences.size() > limits::kBatchOps)
    decoder.fail(fmt::format("a batch with {} fences", batch.fences.size()));
  size_t bytes = 0;
  for (const BatchOp& op : batch.ops) bytes += op.key.size() + (op.value ? op.value->size() : 0);
  check_write(decoder, bytes);
}
inline void check_value(Decoder& decoder, const TxnCondition& condition) {
  if (condition.of != TxnCondition::Of::kLease) check_key(decoder, condition.key);
  const bool granted = condition.of == TxnCondition::Of::kReceipt;
  check_text(decoder, "subscription's name", condition.subscription, granted ? limits::kQueueNameBytes : 0);
}
inline void check_value(Decoder& decoder, const TxnOp& op) {
  check_key(decoder, op.key);
  const bool acks = op.kind == TxnOp::Kind::kAck;
  const bool publishes = op.kind == TxnOp::Kind::kPublish;
  const bool sends = op.kind == TxnOp::Kind::kSend || publishes;
  check_text(decoder, "subscription's name", op.subscription, acks ? limits::kQueueNameBytes : 0);
  if ((acks || sends) && op.key.size() > limits::kQueueNameBytes)
    decoder.fail(fmt::format("the name of a queue of {} bytes", op.key.size()));
  if (bool(op.settling) != acks || bool(op.message) != sends ||
      (acks && op.settling->kind != Settling::Kind::kAck))
    decoder.fail("an operation of a transaction without what it settles or sends, or with too much");
  if (publishes && op.message) check_published(decoder, *op.message);
}
inline void check_value(Decoder& decoder, const Transaction& transaction) {
  if (transaction.conditions.size() > limits::kTxnConditions)
    decoder.fail(fmt::format("a transaction with {} conditions", transaction.conditions.size()));
  for (const auto* branch : {&transaction.then_ops, &transaction.else_ops}) {
    if (branch->size() > limits::kBatchOps) decoder.fail(fmt::format("a branch of {}", branch->size()));
  }
  if (transaction.then_ops.empty() && transaction.else_ops.empty())
    decoder.fail("a transaction without operations");
  check_write(decoder, transaction_bytes(transaction));
}
inline void check_value(Decoder& decoder, const TxnDone& done) {
  if (done.results.size() > limits::kBatchOps)
    decoder.fail(fmt::format("a transaction with {} results", done.results.size()));
}
inline void check_value(Decoder& decoder, const AddNumber& add) { check_key(decoder, add.key); }
inline void check_value(Decoder& decoder, const AppendBytes& append) {
  check_key(decoder, append.key);
  check_write(decoder, append.key.size() + append.value.size());
}
inline void check_value(Decoder& decoder, const Address& address) {
  if (address.host.empty() || address.host.size() > kHostBytes)
    decoder.fail("an address without a usable host");
  if (address.port == 0) decoder.fail("an address without a port");
}
inline void check_value(Decoder& decoder, const Hello& hello) {
  if (hello.from.member.id.value.empty() || hello.to.value.empty())
    decoder.fail("a hello without a server id");
  if (hello.cluster.size() > kClusterBytes) decoder.fail("a hello with an endless cluster name");
}
inline void check_value(Decoder& decoder, const Forward& forward) {
  if (forward.idempotency_key.size() > limits::kScopedKeyBytes) decoder.fail("an endless idempotency key");
}
inline void check_value(Decoder& decoder, const Suspect& suspect) {
  if (suspect.leader.id.value.empty()) decoder.fail("a suspicion without a server id");
}
inline void check_value(Decoder& decoder, const Heartbeat& heartbeat) {
  if (heartbeat.clock > kClockMax) decoder.fail("a clock out of range");
}
inline void check_value(Decoder& decoder, const SnapshotBegin& begin) {
  if (begin.clock > kClockMax) decoder.fail("a clock out of range");
}
inline void check_value(Decoder& decoder, const Append& append) {
  Revision last = append.previous.revision;
  for (const EntryPointer& entry : append.entries) {
    if (last.next() < last || entry->revision != last.next()) {
      return decoder.fail(fmt::format("revision {} behind {}", entry->revision.value, last.value));
    }
    last = entry->revision;
  }
}

namespace {

uint32_t frame_length(std::string_view bytes) {
  uint32_t length = 0;
  Decoder(bytes.substr(0, kLengthBytes)).get(length);
  return length;
}

// What a link's first bytes must be, as far as they are there: a frame of a possible length, Hello's type, the magic.
// Empty: they are; else what is wrong, in one line for an operator.
std::string not_like_hello(std::string_view bytes) {
  if (bytes.size() > kLengthBytes && static_cast<uint8_t>(bytes[kLengthBytes]) != kHelloType) return kNoHello;
  if (bytes.size() <= kLengthBytes + 1) return {};
  const std::string_view magic = bytes.substr(kLengthBytes + 1, kMagic.size());
  if (magic == kMagic.substr(0, magic.size())) return {};
  const bool other_version = magic.size() == kMagic.size() &&
                             magic.starts_with(kMagic.substr(0, kNameBytes)) && magic.back() >= '0' &&
                             magic.back() <= '9';
  if (!other_version) return kNoHello;
  return fmt::format(
      "a kvd of another version: it speaks {}, and this server {}; all servers have to be of one version",
      magic, kMagic);
}

}  // namespace

void encode_frame(const PeerMessage& message, std::string& out) {
  size_t start = out.size();
  Encoder encoder(out);
  encoder.put(uint32_t{0});
  encoder.put(static_cast<uint8_t>(message.index() + 1));
  if (std::holds_alternative<Box<Hello>>(message)) out += kMagic;
  std::visit([&encoder](const auto& content) { encoder.put(content); }, message);

  size_t length = out.size() - start - kLengthBytes;
  CHECK(length <= limits::kFrameBytes);
  std::string prefix;
  Encoder(prefix).put(static_cast<uint32_t>(length));
  out.replace(start, kLengthBytes, prefix);
}

std::string encode_answer(const Answer& answer) {
  std::string out;
  Encoder(out).put(answer);
  return out;
}

Result<Answer> decode_answer(std::string_view bytes) {
  Decoder decoder(bytes);
  Answer answer;
  decoder.get(answer);
  decoder.finish();
  if (decoder.failed()) return failure(decoder.take_error());
  return answer;
}

uint64_t operation_digest(const Operation& operation, const OptionalBox<Fence>& fence) {
  std::string bytes;
  Encoder(bytes).put(operation);
  if (fence) Encoder(bytes).put(*fence);
  return hash_bytes(bytes);
}

Result<PeerMessage> decode_body(std::string_view body) {
  Decoder decoder(body);
  uint8_t type = 0;
  decoder.get(type);
  if (type == kHelloType && decoder.take(kMagic.size()) != kMagic)
    decoder.fail("no kvd peer of this version");
  PeerMessage message;
  if (!decoder.failed()) decoder.get_alternative(size_t{type} - 1, message);
  decoder.finish();
  if (decoder.failed()) return failure(fmt::format("frame of type {}: {}", type, decoder.take_error()));
  return message;
}

void FrameReader::feed(std::string_view bytes) {
  // Moving the rest forward only when it is the smaller half keeps the cost linear in what arrives.
  if (start_ > buffer_.size() / 2 || start_ == buffer_.size()) {
    buffer_.erase(0, start_);
    start_ = 0;
    if (buffer_.empty() && buffer_.capacity() > kIdleBufferBytes) std::string().swap(buffer_);
  }
  buffer_.append(bytes);
}

Result<std::optional<PeerMessage>> FrameReader::next() {
  std::string_view rest = std::string_view(buffer_).substr(start_);
  if (std::string wrong = greeted_ ? std::string() : not_like_hello(rest); !wrong.empty())
    return failure(std::move(wrong));
  if (rest.size() < kLengthBytes) return std::optional<PeerMessage>();
  size_t length = frame_length(rest);
  if (length == 0 || length > (greeted_ ? limits::kFrameBytes : kHelloBytes)) {
    return failure(greeted_ ? fmt::format("a frame of {} bytes", length) : kNoHello);
  }
  if (rest.size() < kLengthBytes + length) return std::optional<PeerMessage>();
  Result<PeerMessage> message = decode_body(rest.substr(kLengthBytes, length));
  if (!message) return failure(message.error().detail);
  start_ += kLengthBytes + length;
  greeted_ = true;
  return std::optional<PeerMessage>(std::move(*message));
}

}  // namespace kvd
