// Barriers, single and double, in the layouts of kazoo's Barrier and DoubleBarrier, whose clients they work with.
//
// Their calls (msg/calls.cpp) are answered so:
//   kRaiseBarrier   201 {"path"}; 200 when it is there already
//   kShowBarrier    200 {"path","up":false} once it is not there; 408 it still is
//   kLowerBarrier   204, also when it is not there; 409 members are in
//   kEnterBarrier   200 {"state":"released","member"} once all are in; 202 {"state":"waiting","present","size"}: the
//                   place is kept, ask again
//       by lines    waiting, released, then the connection is the membership: timeout, lost
//   kLeaveBarrier   200 {"state":"left"} once all have left; 202 {"state":"leaving","present"}
//
// A single one is there while its znode is. Of a double one each member is an ephemeral child, 32 hexadecimal digits
// with the member's name in it, and `ready` the child by which who completes it releases all. `ready` is not counted.
// Who enters watches it before its own znode is made, and looks again afterwards. Who leaves takes `ready` away first;
// then the member with the lowest name waits for the highest, and the others go and wait for the lowest, as kazoo's
// do.
//
// A use is told from the next: only a `ready` younger than the own znode releases; a former one that is in the way is
// replaced by who completes the barrier, and removed when nobody is in. Whoever was cut off while `ready` came and
// went finds {"released_by"} in the barrier's own znode, written together with it (not if somebody keeps other data
// there, nor by kazoo's clients). Who leaves waits for those only that were in with it.
//
// A client's session may be several members, under several names, as one client of kazoo's may have several
// DoubleBarriers; under one name it is one member, through however many calls. Others may delete a member's znode,
// which it watches: its stream, or the call that waits, hears so at once (410), and a session without either by its
// next call for that member, once.
//
// A member that dies before the barrier is complete has never entered; afterwards it has left. The session's end is a
// death, and so is the close of a connection that holds. Not cured, because it is in kazoo's clients: they count a
// `ready` that a use left behind whose members all died; enter through kvd or DELETE the barrier to clear it away.
#pragma once
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/services/holdings.hpp"
#include "core/services/zk_calls.hpp"
#include "core/services/zk_refusal.hpp"

namespace kvd {

class Barriers {
 public:
  explicit Barriers(Outbox& out);

  void handle(ServiceMessage&& message);
  void on_time();
  Instant deadline() const;

 private:
  struct PendingCall {  // one that looks
    std::string path;
    Instant until{};
    bool waiting = false;
  };
  using MemberId = uint64_t;
  enum class Phase : uint8_t { kEntering, kWaiting, kReleased, kLeaving, kLeft };
  struct Member : Holding {
    std::string path;    // the barrier's
    std::string member;  // as the client calls it
    size_t size = 0;
    std::string name;  // its znode's
    Phase phase = Phase::kEntering;
    int64_t czxid = 0;          // 0: not known to be there
    int attempts = 0;           // to make it
    size_t present = 0;         // members when it last looked
    bool ready_absent = false;  // as of the last read, and its watch stands: an event means that it came
    bool own_watched = false;   // what happens to its znode will be heard
    bool stuck = false;         // leaving: something was refused; the next call to leave tries again
    bool ready_gone = false;    // leaving: it was taken away
    bool own_gone = false;      // leaving: so was the own znode
    bool looked = false;        // leaving: `present` is known
    std::set<std::string> generation;  // leaving: who was in with it, by znode
    bool known = false;                // the client was told of it
    std::string watched;               // the path; empty: none
    std::optional<uint64_t> stream;
    std::set<uint64_t> entering;  // requests that wait
  };

  void on(ServiceAsked message);
  void on(const ServiceDropped& message);
  void on(const HoldersEnded& message) { members_.on(message); }
  void on(const SessionJudged&) {}
  void on(const ZkSessionChanged& message);
  void on(const ZkResult& message) { zk_.on(message); }
  void on(const ZkWatchFired& message);
  void reply(uint64_t token, ServiceAnswer answer);
  void refuse(uint64_t token, ZkCode code, bool write = true);

  // ---- single ----
  void raise(uint64_t token, const std::string& path, bool parents);
  void show(uint64_t token);
  void shown(uint64_t token, const ZkResult& result, bool watches);
  void look_for(const std::string& path, std::vector<uint64_t> tokens);
  bool stop_waiting(uint64_t token);
  void forget_until(uint64_t token);
  void lower(uint64_t token, const std::string& path);

  // ---- double (barriers_double.cpp) ----
  void enter(ServiceAsked message);
  void leave(ServiceAsked message);
  void prepare(MemberId id);
  void clear_away(MemberId id, const std::string& data);
  void create(MemberId id);
  void on_created(MemberId id, const ZkResult& result);
  void there(MemberId id, int64_t czxid);
  void find(MemberId id);
  void look(MemberId id);
  void check_own(MemberId id);
  void judge(MemberId id, const ZkResult& barrier, const ZkResult& ready, const ZkResult& list);
  void complete(MemberId id, const ZkResult& barrier, const std::vector<std::string>& members, bool replace);
  void release(MemberId id);
  void waits(MemberId id);
  void begin_leaving(MemberId id);
  void look_who_is_left(MemberId id);
  void wait_for(MemberId id, const std::string& name, bool readable = true);
  void go_away(MemberId id, bool last);
  void has_left(MemberId id);
  bool may_go_on(MemberId id, ZkCode code);
  void remove_own(MemberId id);
  void answer(MemberId id);
  bool end_calls(MemberId id, const ServiceAnswer& answer);
  void unasked(MemberId id, uint64_t token);
  void end_stream(Member& member);
  void fail(MemberId id, ZkCode code);
  void fail_known(MemberId id, ZkCode code);
  void lose_deleted(MemberId id);
  void forgotten(MemberId id, Member& member);
  void watch(MemberId id, std::string path);
  void watch_no_more(MemberId id, const std::string& path);
  void woken(MemberId id);
  void go_on(MemberId id);
  std::optional<MemberId> find_place(HolderId holder, const std::string& path,
                                     const std::string& member) const;

  Outbox& out_;
  ZkCalls zk_;
  std::map<uint64_t, PendingCall> pending_;
  std::multimap<std::string, uint64_t> waiting_;   // lifts, by path
  std::map<uint64_t, Instant> until_;              // of every request that may wait
  std::set<std::pair<Instant, uint64_t>> untils_;  // of those that do
  uint64_t counter_ = 0;
  Holdings<MemberId, Member> members_;
  std::multimap<std::string, MemberId> watched_;
};

}  // namespace kvd
