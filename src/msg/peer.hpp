// What servers say to each other. Every server dials every other one; a conversation lives on one link, from
// its dialer (requests) and back (answers), so that the end of a link ends exactly the conversations that it
// carried:
//
//   dialed by the leader     Append, Heartbeat, Snapshot*, TakeOver        answered by AppendAck/Nack,
//   HeartbeatAck, ... dialed by anyone         Forward (to the leader), Suspect              answered by
//   ForwardResult, SuspectReply
//
// The first message in both directions is Hello. It carries what is fixed for the life of the link (cluster,
// lineage, incarnation); the others carry the epoch. A new link voids everything of the former one.
#pragma once
#include <string>
#include <variant>
#include <vector>

#include "msg/client.hpp"
#include "msg/record.hpp"
#include "msg/services.hpp"
#include "msg/types.hpp"

namespace kvd {

// How a server guards what it has. All should do it alike: whoever may not at one goes to another.
struct Guard {
  AuthMode auth = AuthMode::kOff;
  bool insecure = false;  // --insecure
  bool operator==(const Guard&) const = default;
};
struct Hello {
  std::string cluster;  // empty: none known yet
  Lineage lineage;
  ServerInfo from;
  ServerId to;            // who the dialer believes to reach; in the reply: the dialer
  Epoch epoch;            // the newest that the sender knows
  bool sparse = false;    // wants no snapshot: fills only as keys are updated
  LogPosition recovered;  // where its log ended when it started
  Guard guard;
};
struct Append {
  Epoch epoch;
  LogPosition previous;  // the entry before the first one
  Revision commit;
  std::vector<EntryPointer> entries;  // consecutive
};
struct AppendAck {
  Epoch epoch;
  Revision match;  // this log is the leader's up to here
  uint64_t snapshot =
      0;  // of the log behind this snapshot, see HeartbeatAck; another one's answer counts for nothing
};
struct AppendNack {
  Epoch epoch;         // newest that the refuser knows: when larger than the sender's, the sender is deposed
  bool stale = false;  // true: refused for its epoch; false: the logs do not match at `previous`
  Revision hint;       // where the refuser's log may match at the latest
  uint64_t snapshot = 0;
  bool sparse = false;  // the refuser's copy still is
  // Rule 18: the refuser knows more to be committed than the leader's log has, and follows it no further. Where that
  // ends; default: it is not so.
  LogPosition held;
};
struct Heartbeat {
  Epoch epoch;
  Revision commit;
  uint64_t round = 0;   // of the linear reads' confirmation
  uint64_t digest = 0;  // of the leader's store at `commit`
  Revision end;         // of the leader's log: entries of former epochs behind it are void
  bool notice = false;  // it only tells of the commit: no answer is wanted
  uint64_t clock = 0;   // ms, the log's (core/replica/log_clock.hpp); 0: the leader is not active
};
struct HeartbeatAck {
  Epoch epoch;  // larger than the heartbeat's: the leader is deposed, and this confirms nothing
  uint64_t round = 0;
  // The copy behind this log misses nothing: not sparse, and no snapshot under way. True as of the snapshot
  // that bears this number; a leader that has begun another one since must not believe it.
  bool whole = false;
  uint64_t snapshot = 0;  // the last one taken up on this link; 0: none
  bool differs = false;   // rule 18: this copy contradicts the leader's
};
struct SnapshotBegin {  // what follows in Append starts behind `base`; the chunks are the store at `base` or
                        // later
  Epoch epoch;
  uint64_t number = 0;  // counts them on this link, from 1
  LogPosition base;
  bool sparse = false;  // no chunks and no end will come: start with nothing
  uint64_t keys = 0;    // about so many items will come
  uint64_t clock = 0;   // ms, of the newest entry that the store has
};
struct SnapshotChunk {
  Epoch epoch;
  std::vector<Record> items;  // in key order over all chunks
};
struct SnapshotEnd {  // all chunks are sent; with the log up to `revision` the content's digest is `digest`
  Epoch epoch;
  Revision revision;
  uint64_t digest = 0;
};
struct SnapshotAck {
  Epoch epoch;
  uint64_t number = 0;  // which
  uint64_t chunks = 0;  // of it taken
  bool failed = false;  // its digest was wrong: begin another one
};
struct Forward {
  uint64_t request = 0;  // the dialer's number, unique on this link
  Operation operation;   // a write, or a read that is to be linear
  Duration timeout{0};
  std::string idempotency_key;  // of a write; empty: none
  OptionalBox<Fence> fence;     // of a write
  uint64_t term = 0;            // of a write, of its sender's: see Propose
  OptionalBox<Caller> caller;   // of a write: on whose behalf, where rights count
};
struct ForwardResult {
  uint64_t request = 0;
  Answer answer;  // never Status
  Revision revision;
};
struct ForwardCancelled {  // of a receive: nobody waits for its answer any more
  uint64_t request = 0;
};
struct Suspect {
  Epoch epoch;
  Member leader;
};
struct SuspectReply {
  Epoch epoch;
  Member leader;
  bool agrees = false;
};
struct TakeOver {  // from a leader that has finished what it had begun: the receiver is to depose it now
  Epoch epoch;
  bool leaves = false;  // it stops, and does not stay in the in-sync set
};

using PeerMessage = std::variant<Box<Hello>, Append, AppendAck, AppendNack, Heartbeat, HeartbeatAck,
                                 SnapshotBegin, SnapshotChunk, SnapshotEnd, SnapshotAck, Forward,
                                 ForwardResult, Suspect, SuspectReply, TakeOver, Box<ServiceForward>,
                                 Box<ServiceForwardResult>, ServiceForwardCancelled, ForwardCancelled>;

// ---- links, between the shell and the node ----
enum class LinkEnd : uint8_t {
  kRefused,      // nobody listens there
  kUnreachable,  // no answer in time, no route, no such name
  kReset,        // the other side is gone: reset or closed by it
  kProtocol,     // what came could not be read
  kUntrusted,    // no TLS: who is there is not known, so nothing follows of whoever was expected
  kOverflow,     // too much unsent
};
const char* link_end_name(LinkEnd end);

// With TLS each link tells the names of the other side's certificate, as "dns:kvd1.example" or "ip:10.0.0.1".
struct LinkOpened {  // a link that the node dialed stands
  LinkId link;
  std::vector<std::string> names{};
};
struct LinkAccepted {  // somebody dialed us
  LinkId link;
  std::string from;  // address, for the logs
  std::vector<std::string> names{};
};
struct LinkReceived {
  LinkId link;
  PeerMessage message;
};
struct LinkEnded {  // not sent for links that the node closed itself
  LinkId link;
  LinkEnd why = LinkEnd::kReset;
  std::string detail;  // for the logs
};
// ... and what the node orders:
struct LinkDial {
  LinkId link;
  Address to;
};
struct LinkSend {
  LinkId link;
  PeerMessage message;
};
struct LinkClose {  // after what was sent
  LinkId link;
};

}  // namespace kvd
