// What a client can ask of the store and what it can be told, free of HTTP: a face turns requests into these (in a
// Call, call.hpp), one server forwards them to another in the same words, and the face turns answers into its own.
#pragma once
#include <array>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/box.hpp"
#include "base/time.hpp"
#include "msg/access.hpp"
#include "msg/queues.hpp"
#include "msg/record.hpp"
#include "msg/topics.hpp"
#include "msg/types.hpp"

namespace kvd {

// If-Match and If-None-Match (RFC 9110, 13.1) on one key.
struct EntityTags {
  bool any = false;  // "*"
  std::vector<Revision>
      revisions;  // the tags listed; a tag that is no revision of ours is left out and matches nothing
  bool operator==(const EntityTags&) const = default;
};
struct Condition {
  OptionalBox<EntityTags> if_match;
  OptionalBox<EntityTags> if_none_match;
  bool operator==(const Condition&) const = default;
};

// A write may bring the token of the lock, lease or reign under which it is made. A write with a smaller token than one
// that came before it for that resource is refused (Fenced): its sender has been replaced, and does not know it.
struct Fence {
  std::string resource;  // any 1 to limits::kFenceResourceBytes bytes, chosen by clients; no key
  uint64_t token = 0;    // 1 to limits::kFenceTokenMax
  bool operator==(const Fence&) const = default;
};

// ---- requests ----
struct ReadKey {
  std::string key;
};
struct ListKeys {
  std::string prefix;
  std::string after;  // start behind this key; empty: from the start
  uint32_t limit = 0;
  bool keys_only = false;
};
// How long a key is to live from a write on (core/replica/terms.hpp).
struct Term {
  enum class Kind : uint8_t {
    kNone,   // until it is deleted
    kKeep,   // as it was
    kTime,   // `number` ms, limits::kTtlMsMin to limits::kTtlMsMax
    kLease,  // as long as the lease of that id
  };
  Kind kind = Kind::kNone;
  uint64_t number = 0;
  bool operator==(const Term&) const = default;
};
struct PutKey {
  std::string key;
  Bytes value;
  Condition condition;
  Term term = {};
};
struct DeleteKey {
  std::string key;
  Condition condition;
};
struct DeletePrefix {
  std::string prefix;  // never empty
  uint32_t limit = 0;  // a page: so many keys, the first in order, 1 to limits::kListItemsMax; 0: all of them
};
struct BatchOp {
  std::string key;
  std::optional<Bytes> value;  // none: delete
  Term term = {};              // of a value
};
struct WriteBatch {  // one revision, all or nothing, in order
  std::vector<BatchOp> ops;
  bool if_empty = false;      // refused (kNotEmpty) when there is any key, or queue
  std::vector<Fence> fences;  // of a backup that is restored: each is remembered unless a larger one is
};
// What has to be true of a key for a transaction's first branch. A key that is not there has revision 0 and version 0,
// and no value.
struct TxnCondition {
  enum class Of : uint8_t { kExists, kRevision, kVersion, kValue, kLease, kReceipt };
  enum class Is : uint8_t { kEqual, kNotEqual, kLess, kGreater };
  std::string key;
  Of of = Of::kExists;
  Is is = Is::kEqual;  // kExists: always kEqual
  // To compare with a revision or version; kExists: 1, or 0 for a key that is not there; kLease: the id of one that
  // has not ended (there is no key then); kReceipt: by which `message` of the queue `key` is granted, and may be
  // settled.
  uint64_t number = 0;
  Bytes value;  // kValue; with kLess or kGreater a decimal number (base/decimal.hpp)
  MessageId message = {};
  std::string subscription = {};  // ... or of this subscription of the topic `key`
};
struct TxnOp {
  enum class Kind : uint8_t { kPut, kDelete, kAdd, kAppend, kGet, kTouch, kAck, kSend, kPublish };
  Kind kind = Kind::kGet;
  std::string key;  // kAck, kSend: the queue, or of a subscription the topic; kPublish: the topic
  Bytes value;      // kPut, kAppend
  int64_t by = 0;   // kAdd
  Term term = {};   // kPut, kTouch
  OptionalBox<Settling> settling = {};   // kAck
  OptionalBox<NewMessage> message = {};  // kSend, kPublish
  std::string subscription = {};         // kAck: of the topic
};
// One revision, all or nothing: when all conditions hold the first branch is done, else the second one, in order.
// At least one operation in the two of them.
struct Transaction {
  std::vector<TxnCondition> conditions;  // at most limits::kTxnConditions
  std::vector<TxnOp> then_ops;           // at most limits::kBatchOps each
  std::vector<TxnOp> else_ops;
};
struct ChangeSettings {
  uint32_t min_in_sync = 1;
};
struct MoveLeader {            // a planned hand-over
  std::optional<ServerId> to;  // in sync; none: whoever is next in line
};
// An operator decides for this server's copy, while the register in ZooKeeper is not believed (rule 17): it begins a
// new lineage. Never forwarded.
struct DecideLineage {};
// Answered by this node alone, always at once.
struct QueryStatus {
  enum class Use : uint8_t {
    kHealth,  // is it alive, is it ready: anybody may know
    kCluster,
    kMetrics,
  };
  Use use = Use::kCluster;
};

// The next part of this server's own copy, in sync or not, and what was committed since the part before. Never
// forwarded.
struct ReadSnapshot {
  std::optional<Revision> since;  // the revision of the part before; none: the first
  Space space = Space::kData;     // of the last item so far ...
  std::string after;              // ... its key
};

// The key's value is a decimal number (base/decimal.hpp), or there is none yet: that counts as 0.
struct AddNumber {
  std::string key;
  int64_t by = 0;
  Condition condition;
};
struct AppendBytes {  // to the key's value; to nothing where there is none yet
  std::string key;
  Bytes value;
  Condition condition;
};

// The largest token that came for a resource is forgotten: an operator's way out, where somebody has brought one that
// nobody can reach. From then on whoever was shut out is not any more.
struct DropFence {
  std::string resource;
};

// Another term for a key, and nothing else: it keeps its revision.
struct TouchKey {
  std::string key;
  Term term;
  Condition condition;
};
// ---- leases (core/replica/leases.hpp) ----
struct GrantLease {
  uint64_t ttl_ms = 0;  // limits::kLeaseTtlMsMin to limits::kLeaseTtlMsMax
  std::string name;     // for people, at most limits::kLeaseNameBytes
};
// Who takes a lease up holds it from then on: it is renewed, and its former holder can neither renew nor end it.
struct TakeLease {
  uint64_t id = 0;
};
struct RenewLeases {
  std::vector<uint64_t> ids;  // 1 to limits::kLeasesAtOnce
  // By which hold each of them is held; empty: by anybody's.
  std::vector<uint64_t> holds;
};
struct EndLease {
  uint64_t id = 0;
  uint64_t hold = 0;  // ... by which it is held; 0: by anybody's
};
struct ReadLease {
  uint64_t id = 0;
  bool keys = false;
};
struct ListLeases {
  uint64_t after = 0;
  uint32_t limit = 0;  // 1 to limits::kListItemsMax
};

using Operation =
    std::variant<ReadKey, ListKeys, PutKey, DeleteKey, DeletePrefix, WriteBatch, ChangeSettings, QueryStatus,
                 MoveLeader, ReadSnapshot, DecideLineage, Box<Transaction>, AddNumber, AppendBytes, TouchKey,
                 GrantLease, TakeLease, RenewLeases, EndLease, ReadLease, ListLeases, Box<MakeQueue>,
                 DeleteQueue, Box<SendMessages>, Box<ReceiveMessages>, Box<SettleMessages>, KickMessages,
                 PurgeMessages, ReadQueue, ListQueues, PeekMessages, PeekMessage, Box<MakeTopic>, DeleteTopic,
                 Box<PublishMessages>, Box<MakeSubscription>, DeleteSubscription, SeekSubscription, ReadTopic,
                 ListTopics, ReadSubscription, ListSubscriptions, PageTopic, Box<PutPolicy>, Box<PutUser>,
                 Box<CreateToken>, Box<ReplaceAccess>, DeleteAccess, ListAccess, DropFence>;

enum class ReadMode { kLocal, kLinear };

struct StoreCall {
  Operation operation;
  ReadMode read = ReadMode::kLocal;  // for reads
  Revision min_revision;             // for local reads: wait until this server has it
  std::string idempotency_key;       // of a write, 1 to limits::kIdempotencyKeyBytes; empty: none
  OptionalBox<Fence> fence;          // of a write of keys
};

// ---- replies ----
struct Lifetime {                   // of a key, as far as the server that answers has heard
  std::optional<uint64_t> left_ms;  // none: until it is deleted
  uint64_t lease = 0;               // by which it lives; 0: none
};
struct KeyFound {
  Record item;
  bool complete = true;  // false: this server knows that it misses keys
  Lifetime life = {};
};
struct KeyMissing {
  bool complete = true;
};
struct Listing {
  std::vector<Record> items;  // values are empty when only keys were asked for
  bool more = false;
  bool complete = true;
};
struct KeyWritten {  // the reply's revision is the key's
  bool created = false;
};
struct KeyDeleted {};
struct KeyAbsent {};  // a delete found nothing
struct PrefixDeleted {
  uint64_t count = 0;
};
struct BatchWritten {};
struct ConditionFailed {
  std::optional<Revision> current;  // none: there is no such key
};
struct SettingsChanged {
  uint32_t min_in_sync = 1;
};
struct Fenced {  // nothing was done: a write with a larger token came first
  Fence fence;   // the refused write's
  uint64_t current = 0;
};

struct LeaderMoved {
  ServerId leader;
};
struct LineageForced {
  Lineage lineage;
};

struct KeyTouched {
  uint64_t left_ms = 0;
};
struct LeaseGranted {
  uint64_t id = 0;
  uint64_t ttl_ms = 0;
};
// A lease's holds are counted: the first is that of its grant.
inline constexpr uint64_t kHoldOfGrant = 1;
struct LeaseTaken {
  uint64_t ttl_ms = 0;
  uint64_t hold = 0;
};
struct LeasesRenewed {
  std::vector<std::optional<uint64_t>> left_ms;  // of each that was named; none: it was not renewed
  std::vector<uint64_t>
      taken;  // those which were not, since another hold holds them; else there is no such lease
};
struct LeaseEnded {};
struct LeaseInfo {
  uint64_t id = 0;
  uint64_t ttl_ms = 0;
  uint64_t left_ms = 0;
  std::string name;
};
struct LeaseFound {
  LeaseInfo lease;
  std::vector<std::string> keys;  // when they were asked for
  bool complete = true;
};
struct LeaseList {
  std::vector<LeaseInfo> leases;
  bool more = false;
  bool complete = true;
};

struct NumberIs {  // after an addition; the reply's revision is the key's
  int64_t value = 0;
};

// What each operation of a transaction led to.
struct OpPut {
  bool created = false;
};
struct OpDeleted {
  bool deleted = false;  // false: there was no such key
};
struct OpAdded {
  int64_t value = 0;  // the sum
};
struct OpAppended {
  bool created = false;
};
struct OpFound {
  Bytes value;
  Revision revision;  // 0: that of the answer, since an operation before this one wrote the key
};
struct OpMissing {};
struct OpTouched {
  bool touched = false;  // false: there was no such key
};
struct OpAcked {};
struct OpSent {
  MessageId id;
  bool duplicate = false;  // it was sent before
};
using OpResult =
    std::variant<OpPut, OpDeleted, OpAdded, OpAppended, OpFound, OpMissing, OpTouched, OpAcked, OpSent>;
struct TxnDone {
  bool succeeded = false;         // all conditions held
  std::vector<OpResult> results;  // of the branch that was done
};

enum class ErrorCode : uint8_t {
  kNoLeader,         // none known in time
  kNotEnoughInSync,  // fewer than --min-in-sync, or a new cluster waits for --expect
  kOverloaded,       // a queue is full
  kNotReady,         // this server has no copy to read from yet, and no leader to ask
  kTimedOut,         // in time neither done nor refused
  kSteppedDown,      // the leader stopped leading before it knew
  kLinkLost,         // the link to the leader died before the answer came
  kTooLarge,         // 413
  kShuttingDown,
  kInvalid,     // 400: the detail says what is wrong
  kKeyReused,   // 422: another request had this idempotency key
  kNotInSync,   // 409: the server that is to lead may not
  kKeyEvicted,  // 409: a write with this idempotency key was done, but its answer is no longer remembered
  kDiskFull,    // 507: too little space is left on the leader's disk for a write that grows
  kMemoryFull,  // 507: ... or below --max-memory
  kNotEmpty,    // 409: there are keys, queues or messages, and there should be none
  kNotANumber,  // 409: what is to be added to is no decimal number
  kOverflow,    // 409: the sum is beyond 64 bits
  kLeaseOver,   // 410: there is no such lease, or no more
  kLeaseFull,   // 409: it has as many keys as it may
  kNoQueue,     // 404
  kNoMessage,   // 404: there is no such message, or no more
  kQueueFull,   // 507: it has as many messages as it may, or dedup names
  kQueueCycle,  // 409: what is dead would come back
  kStale,       // 412: a receipt that does not count any more
  kNoTopic,     // 404: or no such subscription
  kUnauthenticated,  // 401: who asks has to show who he is
  kForbidden,        // 403: he may not
  kNoAccess,         // 404: no such policy, user or token
  kAccessExists,     // 409: a token of this id, or an identity that is another user's
};
enum class Outcome : uint8_t { kNotApplied, kUnknown };

inline constexpr uint32_t kNoOp = UINT32_MAX;
struct Failed {
  Failed() = default;
  Failed(ErrorCode what, Outcome what_became, std::string why, uint32_t which = kNoOp)
      : code(what), outcome(what_became), op(which), detail(std::move(why)) {}

  ErrorCode code = ErrorCode::kNoLeader;
  Outcome outcome = Outcome::kNotApplied;  // for writes; reads are always kNotApplied
  uint32_t op = kNoOp;                     // the operation of a transaction that could not be done, from 0
  std::string detail;
};

// ---- status ----
enum class Role : uint8_t { kCandidate, kLearner, kSparse, kFollower, kLeader };
const char* role_name(Role role);

struct MemberStatus {
  ServerInfo info;
  Role role = Role::kLearner;
  std::optional<Revision> match;   // known by the leader only
  std::optional<Duration> silent;  // since this server last heard from it; none: no link
};
enum class ZkState : uint8_t { kConnecting, kConnected, kExpired };
const char* zk_state_name(ZkState state);

struct Counters {       // monotonic since the start
  uint64_t writes = 0;  // committed while leading
  uint64_t reads_local = 0;
  uint64_t reads_linear = 0;
  uint64_t forwarded = 0;
  uint64_t refused = 0;    // Failed replies
  uint64_t elections = 0;  // times this node became leader
  uint64_t step_downs = 0;
  uint64_t snapshots_sent = 0;
  uint64_t snapshots_installed = 0;
  uint64_t in_sync_changes = 0;
  uint64_t unauthenticated = 0;  // calls of who shows nothing and may not, with --auth warn or on
  uint64_t forbidden = 0;        // ... and of users
  uint64_t expired = 0;          // keys whose end by their time this node has written while leading
};

struct ElectionRecord {  // one reign, as this server saw it begin
  Epoch epoch;
  ServerId leader;
  ElectionCause cause = ElectionCause::kBootstrap;
  Duration ago{0};
  // Only known to the one that was elected: how long the leader before had been silent when it was suspected, and from
  // then on until it was decided to depose it (a second opinion, its turn in line), until the register said so, and
  // until the first write could be acknowledged.
  std::optional<Duration> silent;
  std::optional<Duration> agreed;
  std::optional<Duration> deposed;
  std::optional<Duration> activated;
};

struct WorkStatus {  // something that takes long
  std::string what;
  std::string unit;  // of the following
  uint64_t done = 0;
  uint64_t total = 0;  // 0: not known
  uint64_t per_second = 0;
};

// Why a stream of a watch (watch.hpp) cannot go on without a gap.
enum class WatchBreak : uint8_t {
  kHistory,   // what follows is no longer in the history: it is read too slowly, or was left off too long ago
  kSnapshot,  // this server has taken another's copy instead of what came in between
  kLineage,   // a new lineage has begun
  kCopy,      // this server has given its copy up, and what it said of it may not be so
  kStopping,  // the server stops
};
inline constexpr size_t kWatchBreaks = 5;

struct WatchStatus {
  uint64_t streams = 0;  // open
  uint64_t polls = 0;    // waiting
  Revision oldest;       // a stream may begin behind it, or later
  uint64_t history_bytes = 0;
  std::array<uint64_t, kWatchBreaks> breaks{};  // of streams since the start, by WatchBreak
};

// Of what a server shows where it speaks TLS.
struct TlsState {
  std::string use;        // "http" or "peer"
  int64_t expires_s = 0;  // its certificate, in Unix time
  std::string problem;    // one line for the status; empty: all is well
};

struct Status {
  ServerInfo self;
  Role role = Role::kCandidate;
  std::optional<Register> config;    // what the register said last; none: not read yet
  std::optional<ServerInfo> leader;  // none: unknown
  Revision revision;                 // applied here
  Epoch epoch;
  std::vector<MemberStatus> members;
  ZkState zk_state = ZkState::kConnecting;
  Duration zk_session_timeout{0};  // negotiated; 0: none yet
  bool standalone = false;
  AuthMode auth = AuthMode::kOff;
  bool complete = false;  // this copy misses nothing that it should have
  bool ready = false;
  std::vector<std::string> degraded;  // one line each; empty: all is well
  std::vector<TlsState> tls;          // none: nothing is encrypted
  std::string not_ready;              // one line; empty when ready
  uint64_t keys = 0;
  uint64_t value_bytes = 0;
  uint64_t terms = 0;  // keys that live for a time
  uint64_t leases = 0;
  uint64_t leases_held = 0;  // by connections to this server
  uint64_t queues = 0;
  uint64_t topics = 0;
  uint64_t subscriptions = 0;
  uint64_t messages = 0;    // of queues and topics
  uint64_t deliveries = 0;  // of these: granted, delayed, or dead
  uint64_t consumers = 0;   // connected to this server
  uint64_t topic_streams = 0;
  uint64_t store_bytes = 0;   // about what the copy takes in memory
  bool hears_leader = false;  // or leads
  bool durable = false;       // there is a disk ...
  bool disk_low = false;      // ... with little space
  uint64_t digest = 0;
  uint64_t log_clock_ms = 0;  // as far as this server has heard
  uint64_t waiting_requests = 0;
  std::optional<WorkStatus> work;         // recovery, catching up
  std::vector<ElectionRecord> elections;  // newest first
  Duration uptime{0};
  Counters counters;
  WatchStatus watch;
};

struct SnapshotPart {  // the entries come before the items; stays within its node
  std::string cluster;
  Lineage lineage;
  Member from;
  LogPosition at;  // with this part; the next one's `since`
  std::vector<EntryPointer> entries;
  std::vector<Record> items;
  bool more = false;    // false: the parts together are the store at `at`, ...
  uint64_t digest = 0;  // ... whose digest this is
  bool complete = true;
  uint64_t clock = 0;  // ms, of the newest entry that the store has
};

using Answer =
    std::variant<KeyFound, KeyMissing, Listing, KeyWritten, KeyDeleted, KeyAbsent, PrefixDeleted,
                 BatchWritten, ConditionFailed, SettingsChanged, Failed, Box<Status>, LeaderMoved,
                 Box<SnapshotPart>, Box<Fenced>, LineageForced, Box<TxnDone>, NumberIs, KeyTouched,
                 LeaseGranted, LeaseTaken, LeasesRenewed, LeaseEnded, Box<LeaseFound>, LeaseList, QueueMade,
                 QueueDeleted, Sent, Box<Received>, Settled, MessagesMoved, MessagesPurged, Box<QueueFound>,
                 QueueList, Peeked, TopicMade, TopicDeleted, SubscriptionMoved, Box<TopicFound>, TopicList,
                 Box<SubscriptionFound>, SubscriptionList, TokenMade>;

struct StoreAnswer {
  Answer answer;
  Epoch epoch;                    // that the answering node is in
  Revision revision;              // that the answer reflects
  std::optional<Address> leader;  // of a Failed: its HTTP address, where known
};

Failed lease_over();                                                      // kLeaseOver
Failed no_access(AccessKind kind, std::string_view name);                 // kNoAccess
Failed no_queue(std::string_view name);                                   // kNoQueue
Failed no_topic(std::string_view name);                                   // kNoTopic
Failed no_subscription(std::string_view topic, std::string_view name);    // likewise
Failed no_source(std::string_view queue, std::string_view subscription);  // one or the other
bool lacks_right(const Failed& failed);                                   // kForbidden, kUnauthenticated
bool is_write(const Operation& operation);
bool is_access_write(const Operation& operation);    // of users, tokens and policies
size_t operation_bytes(const Operation& operation);  // of its keys and values; 0 for what has none
size_t transaction_bytes(const Transaction& transaction);

}  // namespace kvd
