// Who can be told what: one variant per receiver. This file is the architecture in one page.
//
//   shell --> node     NodeInput            (clients, links, ZooKeeper, the disk, signals)
//   node  --> shell    NodeEffect           (replies, links, ZooKeeper, the disk, log lines, exit)
//   inside the node    one variant per actor; actors only ever talk through these
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "msg/access_table.hpp"
#include "msg/call.hpp"
#include "msg/disk.hpp"
#include "msg/peer.hpp"
#include "msg/typed_call.hpp"
#include "msg/zk.hpp"

namespace kvd {

// ---- the node's own edge ----
struct StopRequested {};  // SIGTERM, SIGINT: hand over, drain, exit

using NodeInput = std::variant<Call, CallCancelled, StreamTaken, LinkOpened, LinkAccepted, LinkReceived,
                               LinkEnded, ZkResult, ZkWatchFired, ZkSessionChanged, ZkAccessJudged,
                               DiskAnswer, TlsState, StopRequested>;

enum class LogLevel : uint8_t { kDebug, kInfo, kWarn, kError };
struct LogLine {
  LogLevel level = LogLevel::kInfo;
  std::string message;                                      // a fixed phrase, e.g. "elected"
  std::vector<std::pair<std::string, std::string>> fields;  // name, value
};
struct Exit {
  int code = 0;        // sysexits; 0 after StopRequested
  std::string reason;  // one line for the operator; empty with 0
};

// Who may do what, once it has changed here: the shell tells by it who asks.
struct AccessChanged {
  AccessTablePointer table;
  bool whole = false;  // this copy misses nothing of it: who is not in there is nobody
};

using NodeEffect = std::variant<Reply, StreamLines, LinkDial, LinkSend, LinkClose, ZkCall, ZkReopen,
                                DiskOrder, AccessChanged, LogLine, Exit>;

// ---- between the actors ----
// From the register keeper to everyone: the register as it stands, after every change of it and after every
// reconnection.
struct RegisterSeen {
  Register content;
  int32_t version = 0;
  bool ours = false;  // its epoch was begun by this life of this server
};
struct RegisterAbsent {};  // ZooKeeper answered that there is none: a new cluster

// From the register keeper to everyone: what ZooKeeper shows does not follow from the register that this server
// remembers. So ZooKeeper went back, or was emptied, or somebody else wrote there. Until it is settled nobody leads,
// follows or counts by either of them (rule 17).
enum class RegisterFault : uint8_t {
  kAbsent,      // there is none
  kOlder,       // what is remembered was made of it
  kForked,      // of this cluster, but neither was made of the other
  kForeign,     // another cluster's
  kUnreadable,  // not what kvd writes
};
const char* register_fault_name(RegisterFault fault);
struct RegisterDoubted {
  RegisterFault fault = RegisterFault::kAbsent;
  int32_t version = kNoVersion;   // of what is there
  std::optional<Register> found;  // that, as far as it can be read
  Register remembered;
  std::optional<Register> proposed;  // ordered as leader, with an unknown outcome: a larger in-sync set
};

// From links to replica, KV router and election.
struct PeerUp {
  LinkId link;
  bool dialed = false;  // by us: our conversations go there; otherwise it carries the peer's
  ServerInfo info;
  bool sparse = false;
  Epoch epoch;            // the newest that it knows
  LogPosition recovered;  // Hello::recovered
};
struct PeerDown {
  LinkId link;
  bool dialed = false;
  Member member;
};
struct PeerDead {  // proof: its port refused twice in a row, or a newer incarnation of it was met
  Member member;
};
// Whether its port is open and closes links before it greets: a process is there and may read its directory. It no
// longer starts when it greets, when a dial is refused, and when two in a row have no end of that kind.
struct PeerStarting {
  Member member;
  bool starts = false;
};
struct PeerSaid {
  LinkId link;
  Member from;
  PeerMessage message;
};
struct Stalled {};  // the loop itself slept: what looks like others' silence is our own

// To links.
struct MembersListed {  // from election: who is registered
  std::vector<ServerInfo> members;
};
struct AliveCheck {  // from election: does this former registration of our own id still answer?
  ServerInfo suspect;
};
struct AliveChecked {
  enum class Verdict : uint8_t { kAlive, kDead, kSilent };
  Verdict verdict = Verdict::kSilent;
};
struct LogRecovered {  // from replica: where its log ended when it started
  LogPosition end;
};
struct SparseChanged {  // from replica
  bool sparse = false;
};
struct LinkStale {  // from replica: nothing has come back on this link for long; dial anew
  LinkId link;
};
using LinksMessage =
    std::variant<LinkOpened, LinkAccepted, LinkReceived, LinkEnded, RegisterSeen, RegisterDoubted,
                 MembersListed, AliveCheck, LogRecovered, SparseChanged, LinkStale, Stalled>;

// To the register keeper.
struct BootstrapWanted {  // from election: our znode is the smallest of a new cluster
  std::string own_znode;
};
// Both name the version of the register that was judged: a verdict on an older one must not be carried out on
// a newer.
struct TakeoverWanted {  // from election: rule 3, "the takeover"
  int32_t version = 0;
  std::string own_znode;
  std::vector<std::string> smaller_znodes;
  std::optional<Member> exclude;  // the former leader, when it is dead or leaves
  ElectionCause cause = ElectionCause::kFirstInLine;
};
struct NewLineageWanted {  // from election: everything is lost, or an operator says so
  int32_t version = 0;
  std::string own_znode;
  std::vector<Member> lost;     // the in-sync set: no life of it may be registered
  bool superseded_only = true;  // and each one's id must be, anew; false: on an operator's word
  bool forced = false;          // on an operator's word: with this server's copy
};
// From election, instead of a register that is not believed: a takeover from `base` that names what was found.
struct RestoreWanted {
  int32_t version = kNoVersion;
  Register base;
  Epoch above;  // every epoch that anybody speaks of
  std::string own_znode;
  std::vector<std::string> smaller_znodes;
  // Whose registrations, by their versions, this was judged by.
  std::vector<std::pair<ServerId, int32_t>> told;
  // On an operator's word: a new lineage with this server's copy, from which everybody goes on who remembers one of
  // these; no life of `lost` may be registered.
  bool forced = false;
  std::vector<PastEpoch> given_up;
  std::vector<Member> lost;
};
struct RegisterLearned {  // from election: another server remembers a newer one, made of ours
  Register content;
  bool retreats = false;  // this server leads an epoch in which it has promised nothing yet, and gives it up
};
struct MembersRead {};  // from election: all that others remember is known, and obeyed, in this connection
struct RegisterChangeWanted {  // from replica, while leading
  Register content;
};
struct LeadActive {  // from replica: this server's reign may acknowledge from now on, or no longer
  bool active = true;
};
struct EpochHeard {  // from replica: somebody speaks of an epoch that the register has not shown us yet
  Epoch epoch;
};
using RegisterKeeperMessage =
    std::variant<ZkSessionChanged, ZkResult, ZkWatchFired, BootstrapWanted, TakeoverWanted, NewLineageWanted,
                 RestoreWanted, RegisterLearned, MembersRead, RegisterChangeWanted, LeadActive, EpochHeard>;

// To election.
struct TakeoverFailed {};  // from the register keeper: certainly not done, or overtaken; look again
struct LeaderSilent {      // from replica, again and again while it lasts
  Member leader;
  Epoch epoch;
  Duration silent{0};
};
struct HandOverWanted {        // from replica, drained: find the successor and tell it
  std::optional<ServerId> to;  // none: the next in line
  bool leaves = false;         // this server stops
};
struct CopyHeld {   // from replica, while nobody leads it: what this server has
  LogPosition end;  // of its log
  Revision commit;
  uint64_t digest = 0;
  Epoch knows;  // the newest epoch that somebody spoke of
};
struct CopyDiffers {  // from replica: this server's copy contradicts the leader's (rule 18), or no longer
  bool differs = false;
};
struct ForceLineage {  // from the KV router: an operator decides for this server's copy
  uint64_t token = 0;
  Instant until{};
};
using ElectionMessage =
    std::variant<ZkSessionChanged, ZkResult, ZkWatchFired, RegisterSeen, RegisterAbsent, RegisterDoubted,
                 CopyHeld, CopyDiffers, ForceLineage, PeerUp, PeerDown, PeerDead, PeerStarting, PeerSaid,
                 AliveChecked, TakeoverFailed, LeaderSilent, HandOverWanted, LeadActive, Stalled>;

// To replica. A token names the request in the KV router.
struct Propose {
  uint64_t token = 0;
  Operation operation;  // a write
  std::string idempotency_key;
  OptionalBox<Fence> fence;
  // Whose KV router sent it: another server's, by this link, or our own (0). Its terms ascend: one begins whenever it
  // sends writes elsewhere from there on, and when it hears that one of the present term was refused for nothing but
  // that no writes were taken. It sends that one again, and those of its term that were already behind it are refused
  // as well. 0: it has no place among them.
  LinkId from;
  uint64_t term = 0;
  Instant until{};                            // the KV router waits so long
  std::shared_ptr<const Caller> caller = {};  // on whose behalf; null: rights do not count
};
struct SenderGone {  // none of its Propose will come any more
  LinkId link;
};
struct Withdraw {  // from the KV router, of a receive: nobody waits for its answer any more
  uint64_t token = 0;
};
struct Read {
  uint64_t token = 0;
  Operation operation;  // a read
  bool linear = false;  // the KV router's alone
  enum class By : uint8_t { kKvRouter, kWatch, kTopicReaders } by = By::kKvRouter;
  std::shared_ptr<const Caller> caller = {};  // of a linear one: as in Propose
};
struct TopicsRead {  // from the topic readers: whether they want to hear what is committed
  bool wanted = false;
};
struct CopyAsked {};     // from election: nobody is left who was in sync
struct ChangeResolved {  // from the register keeper: what became of a RegisterChangeWanted
  uint64_t change_id = 0;
  bool applied = false;
};
using ReplicaMessage =
    std::variant<RegisterSeen, RegisterAbsent, RegisterDoubted, CopyAsked, ChangeResolved, PeerUp, PeerDown,
                 PeerDead, PeerStarting, MembersListed, PeerSaid, Propose, SenderGone, Withdraw, Read,
                 TopicsRead, DiskAnswer, Stalled, StopRequested>;

// To the KV router. What replica tells of its role, and what it answers, watch hears as well.
struct RoleChanged {  // from replica
  bool leading = false;
  bool active = false;    // leading: may acknowledge
  bool readable = false;  // local reads may be answered from this copy
  bool complete = false;  // ... and it misses nothing that it should have
  bool doubted = false;   // nobody leads, since the register is not believed
  Epoch epoch;
  std::optional<Member> leader;
};
struct Applied {  // from replica: local reads now see this revision
  Revision revision;
};
struct Answered {  // from replica; and from the KV router, to an Ask
  uint64_t token = 0;
  Answer answer;
  Revision revision;
  bool local = false;  // to a Read that was not linear
};
// From watch, the lease keeper and the consumers: to be done by the leader, and answered to who asks (Answered), by its
// token. A write whose answer is lost is not repeated.
struct Ask {
  enum class By : uint8_t { kWatch, kLeaseKeeper, kConsumers } by = By::kWatch;
  uint64_t token = 0;
  Operation operation;
  Duration timeout{0};
  std::shared_ptr<const Caller> caller = {};  // as in Propose
};
struct AskWithdrawn {  // from the consumers: nobody waits for this receive any more; it is answered soon
  uint64_t token = 0;
};
using KvRouterMessage = std::variant<Call, CallCancelled, PeerUp, PeerDown, PeerSaid, RoleChanged, Applied,
                                     Answered, Ask, AskWithdrawn, StopRequested>;

// To watch, and to the topic readers.
struct Committed {  // from replica, as soon as reads see it
  std::vector<EntryPointer> entries;
};
struct HistoryReset {  // from replica: this server's copy is another one now, or older than it was
  Revision base;       // what it is at
  WatchBreak why = WatchBreak::kSnapshot;
};
struct CopyHeard {  // from replica: whether this server leads, or hears who does
  bool current = false;
  Duration silent{0};  // if not: the leader, so far
};
using WatchMessage = std::variant<Call, CallCancelled, StreamTaken, Committed, HistoryReset, RoleChanged,
                                  CopyHeard, Answered, StopRequested>;

// To the lease keeper.
using LeaseKeeperMessage = std::variant<Call, CallCancelled, Answered, StopRequested>;

// To the consumers.
using ConsumersMessage = std::variant<Call, CallCancelled, StreamTaken, Answered, StopRequested>;

// To the topic readers.
using TopicReadersMessage = std::variant<Call, CallCancelled, StreamTaken, Committed, HistoryReset,
                                         RoleChanged, CopyHeard, Answered, StopRequested>;

// ---- the coordination services: the router and sessions first, then one actor each ----
using HolderId = StrongId<struct HolderIdTag>;  // a client's session on this server; 0: none

// From the service router to a service, read by the table of calls; by way of sessions where there is a holder. A
// token names the call at the router.
struct ServiceAsked {
  uint64_t token = 0;
  TypedCall call;
  HolderId holder;       // whose what it grants is to be
  bool streams = false;  // answered line by line, and the holder ends with its connection
  Instant until{};       // it may wait for others until then
};
struct HolderWanted {  // from the service router to sessions
  ServiceAsked asked;
  std::string session;  // its id; empty: one for this connection alone
};
// From the service router, on the way that the call went: nobody waits for it any more.
struct ServiceDropped {
  uint64_t token = 0;
  Collection collection = Collection::kSessions;
};
// From the service router to sessions: one that named a session; its client has been there until now.
struct CallAnswered {
  uint64_t token = 0;
};
struct HoldersEnded {  // from sessions: what they hold is to be given back ...
  std::vector<HolderId> holders;
  std::string why;
  Duration grace{0};  // ... once its stream has been told and this has passed, or its connection is closed
};
// From election to the services, of another server's session in ZooKeeper: its process is proven dead, so that what it
// made there stands for nobody any more; or it has been met since.
struct SessionJudged {
  uint64_t session = 0;
  bool dead = false;
};
using ServiceMessage = std::variant<ServiceAsked, ServiceDropped, HoldersEnded, SessionJudged,
                                    ZkSessionChanged, ZkResult, ZkWatchFired>;
using SessionsMessage = std::variant<ServiceAsked, HolderWanted, ServiceDropped, CallAnswered,
                                     ZkSessionChanged, ZkResult, StopRequested>;

struct ServiceAnswered {  // from sessions and the services
  uint64_t token = 0;
  ServiceAnswer answer;
  bool line = false;  // one line of a stream ...
  bool last = true;   // ... and its last one
};
using ServiceRouterMessage = std::variant<Call, CallCancelled, PeerUp, PeerDown, PeerSaid, MembersListed,
                                          ServiceAnswered, ZkSessionChanged, StopRequested>;

}  // namespace kvd
