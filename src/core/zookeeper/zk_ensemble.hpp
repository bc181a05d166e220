// A ZooKeeper ensemble as a value: a tree of versioned znodes, sessions with ephemerals, one-shot watches and
// servers that lag. It decides what ZooKeeper would answer; when and whether that reaches anybody is its owner's
// affair: no clock of its own, no delays, no lost messages in here. One thread; the same calls give the same state.
//
// How it is driven, with one FIFO per session and direction, which a lost connection empties:
//   a request arrives      out = apply(session, call); on the way back go out.fired, then out itself
//   ... executed too late for its connection: apply_unseen(session, call); the client sees kUnknown
//   a reply gets there     reply_delivered(session, out). Only this registers a watch with the client, so one whose
//                          reply is lost does not exist: that is how the real client behaves
//   an event gets there    if watch_delivered(session, fired): the node gets ZkWatchFired
//   time goes by           advance(session, zxid()) for a connected session gives events to send. Until then the
//                          session reads the past: the later this is called, the more its server lags
//   connected again        reconnect(session, to) gives events to send; any `to` in [seen(session), zxid()] will do
//   heartbeats             touch(); expire() ends who was silent. A client learns of it when it reconnects and
//                          alive() is false
//
// There is one tree, the newest. What a transaction changed is kept as it was before, for as long as a session may
// still look at it: that takes a transaction back, and shows the past. So a write costs what it touches.
#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "base/time.hpp"
#include "msg/limits.hpp"
#include "msg/zk.hpp"

namespace kvd {

struct ZkZnode {
  std::string data;
  int32_t version = 0;
  int64_t created_zxid = 0;
  int64_t modified_zxid = 0;
  int64_t created_ms = 0;  // by the ensemble's clock
  int64_t modified_ms = 0;
  int64_t children_zxid = 0;  // last change of the list of children
  int32_t children_count = 0;
  uint64_t ephemeral_owner = 0;
  bool read_only = false;
  bool hidden = false;
  int32_t next_sequence = 0;  // children ever created here, sequential or not; starts again with the znode
};
using ZkTree = std::map<std::string, ZkZnode>;                   // by absolute path; "/" is always there
using ZkBefore = std::map<std::string, std::optional<ZkZnode>>;  // by path; nothing: it was not there

bool zk_is_write(const ZkRequest& request);

struct ZkWatch {
  enum class Kind : uint8_t { kData, kAbsent, kChildren };  // kAbsent: exists() found nothing
  Kind kind = Kind::kData;
  std::string path;
  int64_t zxid = 0;  // of the state that was read
  auto operator<=>(const ZkWatch&) const = default;
};

struct ZkFired {  // one event on its way to a client
  std::string path;
  bool data = false;      // takes its watches of kData and kAbsent there
  bool children = false;  // takes those of kChildren
  int64_t zxid = 0;
};

struct ZkOutcome {
  std::vector<ZkFired> fired;  // events of the caller that go out before the result
  ZkResult result;             // kUnknown when the session is over or the ensemble is down
  std::optional<ZkWatch> watch;
  int64_t zxid = 0;  // of the state that the result speaks of
};

class ZkEnsemble {
 public:
  // `prng` outlives the ensemble; it draws the session ids (random, so that nobody relies on their order). Beyond
  // `bytes_max` of all znodes whatever grows is refused (kNoAuth), as by a quota.
  explicit ZkEnsemble(Prng& prng, uint64_t bytes_max = limits::kZnodesBytes);

  // ---- the ensemble ----
  // Down: calls have no effect, sessions do not age. Up again: every session gets its whole timeout anew, as
  // under a new ZooKeeper leader.
  void set_up(bool up, Instant now);
  // What its wall clock shows from now on: stamps on znodes, which no answer depends on. Not back.
  void set_clock(Instant now) { clock_ms_ = to_ms(now.time_since_epoch()); }
  bool up() const { return up_; }
  int64_t zxid() const { return zxid_; }
  const ZkTree& tree() const { return tree_; }  // the newest state
  // What the newest transaction touched, as it was before.
  const ZkBefore& newest_change() const { return states_.rbegin()->second.before; }
  uint64_t state_hash() const;

  // All sessions and their ephemerals are gone, and the znodes are those of `tree`: another, older or empty one.
  // (Clients find their sessions expired; a real client has to be told so by its maker, since its server only hangs
  // up.)
  void restore_tree(const ZkTree& tree);

  // The persistent znodes of an earlier life, before the first session; transactions go on above `zxid`.
  void resume(ZkTree tree, int64_t zxid);

  // By an ACL, as an operator sets it: its data and its list of children can no longer be changed. For good;
  // `path` exists. Ephemerals below it vanish all the same.
  void make_read_only(const std::string& path);
  // As after 2^31 children: each one that comes gets the last number, as ZooKeeper 3.8 has it.
  void use_up_numbers(const std::string& path);
  // By an ACL, too: its data, its list of children and, to transactions, its version cannot be read.
  void hide(const std::string& path);
  void permit(const std::string& path);  // all of it again

  // ---- sessions ----
  uint64_t open_session(Duration timeout, Instant now);  // only while up
  void touch(uint64_t session, Instant now);
  std::vector<uint64_t> expire(Instant now);  // ends the overdue; their ephemerals vanish. Returns who
  Instant next_expiry() const;                // kNever: no session
  void close_session(uint64_t session);
  bool alive(uint64_t session) const { return sessions_.contains(session); }

  // ---- calls, in the order in which the ensemble takes them ----
  ZkOutcome apply(uint64_t session, const ZkCall& call);
  // Executed, but nobody hears of it and the session's view stays where it is.
  void apply_unseen(uint64_t session, const ZkCall& call);

  void reply_delivered(uint64_t session, const ZkOutcome& outcome);
  // False: the client has no such watch any more, and tells nobody.
  bool watch_delivered(uint64_t session, const ZkFired& fired);

  // ---- what a session sees ----
  int64_t view(uint64_t session) const;  // of its server
  int64_t seen(uint64_t session) const;  // newest that was delivered: a server behind that refuses the client
  // The session's server has caught up to `to`; beyond zxid() or before view(): as near as can be.
  std::vector<ZkFired> advance(uint64_t session, int64_t to);
  // The server at `to` compares its state with what the client's watches are about; what came and went in
  // between is missed.
  std::vector<ZkFired> reconnect(uint64_t session, int64_t to);

 private:
  enum class Happened : uint8_t { kCreated, kDeleted, kDataChanged, kChildrenChanged, kRightsChanged };
  struct Change {
    Happened what;
    std::string path;
  };
  struct State {
    ZkBefore before;
    std::vector<Change> changes;  // that led here from the state before
  };
  struct Session {
    Duration timeout{0};
    Instant deadline;
    int64_t view = 0;
    int64_t seen = 0;
    // (path, kind) each: set at the server when it reads, known to the client (with the zxid read) from the
    // reply on.
    std::set<std::pair<std::string, ZkWatch::Kind>> server_watches;
    std::map<std::pair<std::string, ZkWatch::Kind>, int64_t> client_watches;
  };
  struct Draft {  // a transaction in the making
    State state;
    int64_t zxid;
    uint64_t session;
    uint64_t bytes;  // before it
  };
  struct OpResult {
    ZkCode code = ZkCode::kOk;
    std::string path;
    ZkStat stat;
  };

  OpResult run(Draft& draft, const ZkCreate& op);
  OpResult run(Draft& draft, const ZkDelete& op);
  OpResult run(Draft& draft, const ZkSet& op);
  OpResult run(Draft& draft, const ZkCheck& op);
  ZkZnode& change(Draft& draft, const std::string& path);  // it is there
  void remove(Draft& draft, const std::string& path);
  void remove_ephemerals(Draft& draft, uint64_t owner);  // 0: of all
  void roll_back(Draft& draft);
  Draft new_draft(uint64_t session) const { return {{}, zxid_ + 1, session, bytes_}; }

  ZkResult write(uint64_t session, const ZkRequest& request);
  ZkResult write_multi(Draft& draft, const ZkMulti& multi);
  ZkResult read(int64_t at, const ZkRequest& request) const;
  const ZkZnode* find(int64_t at, const std::string& path) const;
  std::vector<std::string> children(int64_t at, const std::string& path) const;
  void commit(Draft draft);
  void end_session(uint64_t session);
  std::vector<ZkFired> move_view(Session& session, int64_t to);
  void forget_old_states();

  Prng& prng_;
  const uint64_t bytes_max_;
  bool up_ = true;
  int64_t zxid_ = 0;
  int64_t clock_ms_ = 0;
  ZkTree tree_;
  uint64_t bytes_ = 0;               // of all znodes
  std::map<int64_t, State> states_;  // from the oldest that a session may still look at to the newest
  std::map<uint64_t, Session> sessions_;
};

}  // namespace kvd
