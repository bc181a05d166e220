// Znodes as they are, for those who have no ZooKeeper client: what one does with zkCli. Clients write a path without
// the slash at its beginning.
//
// Their calls (msg/calls.cpp) are answered so:
//   kReadZnode         200, the data as it is; beside it kNoteZnode...: version, czxid, mzxid, owner
//   kStatZnode         200 {"path","version","czxid",..}
//   kListZnode         200 {"children":[..],"path",..}; at most kNamesMax names, then "more":true
//       all three wait while it is not there, or, where a version is named, while it is there with that version
//   kCreateZnode       201 {"path","czxid"}, kNoteMade; the body is its data; 404 without what is above it
//   kCreateEphemeral   the same; goes with the session, or with the connection: lines {"state":"held","path","czxid"},
//                      {"state":"lost","reason"}
//   kSetZnode          200 {"version"}; 412 when it has another one
//   kDeleteZnode       204; with what is below it, bottom up and not at once: more than kSweepMax znodes are 413
//
// Reads show what this server's connection to ZooKeeper has seen;
// a znode that was deleted and made anew counts its versions from 0 again, which only its czxid tells.
//
// What is not known after a lost connection (504): a set, a delete and the create of a persistent znode are not looked
// for, as they bear no mark of who did them. An ephemeral one is: by its path, that it belongs to this server's
// ZooKeeper session, its data, and that nobody else here has it. If the client waits no longer, it is removed. With
// seq=1 those that could be it are the newest kFoundMax with that name, data and owner: of several clients that made
// such at once each gets one, no matter which; if it is not among them, it stays until this server's ZooKeeper session
// ends. An ephemeral that another service of kvd made at the same path with the same data at that moment cannot be told
// apart. It is removed by its path right after its czxid was seen, for ZooKeeper has no delete by czxid.
#pragma once
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

class Znodes {
 public:
  static constexpr size_t kNamesMax = 10'000;
  static constexpr size_t kSweepMax = 10'000;
  static constexpr size_t kFoundMax = 1'000;

  explicit Znodes(Outbox& out);

  void handle(ServiceMessage&& message);
  void on_time();
  Instant deadline() const;

 private:
  struct PendingCall {  // one that looks
    CallName what{};
    std::string path;
    std::optional<int32_t> version;  // of the data or the children: to be waited away
    Instant until{};
    int64_t czxid = 0;  // when it was first seen
    bool waiting = false;
  };
  struct Sweep {  // a DELETE of all that is below, too
    std::string top;
    int32_t version = -1;
    std::vector<std::string> found;  // each behind its parent
    size_t next = 0;                 // to be listed; once all are: so many are left to be deleted
    size_t under_way = 0;
  };
  using MadeId = uint64_t;
  struct Made : Holding {  // an ephemeral, wanted or had
    std::string asked;     // its path, without digits
    std::string data;
    bool sequential = false;
    bool parents = false;  // are to be made
    int64_t czxid = 0;
    std::optional<uint64_t> asker;  // of a client's session
  };

  void on(ServiceAsked message);
  void on(const ServiceDropped& message);
  void on(const HoldersEnded& message) { made_.on(message); }
  void on(const SessionJudged&) {}
  void on(const ZkSessionChanged& message);
  void on(const ZkResult& message) { zk_.on(message); }
  void on(const ZkWatchFired& message);

  void reply(uint64_t token, ServiceAnswer answer);
  void refuse(uint64_t token, ZkCode code);

  // ---- reads ----
  void get(ServiceAsked message);
  void look(uint64_t token);
  void on_looked(uint64_t token, const ZkResult& result, bool watches);
  void await_creation(uint64_t token);
  void wait(uint64_t token, bool watches);
  bool stop_waiting(uint64_t token);
  void look_again(uint64_t token);
  ServiceAnswer shown(const PendingCall& pending, const ZkResult& result) const;

  // ---- writes ----
  void set(ServiceAsked message);
  void post(ServiceAsked message);
  void create(uint64_t token, ZkCreate create, bool parents);
  void answer_created(uint64_t token, const std::string& path, int64_t czxid);
  void remove(ServiceAsked message);
  void sweep(uint64_t token);
  void on_listed(uint64_t token, const std::string& path, const ZkResult& result);
  void on_swept(uint64_t token, bool top, const ZkResult& result);
  void go_on_sweeping(uint64_t token);

  // ---- ephemerals (znodes_ephemeral.cpp) ----
  void make(ServiceAsked message, bool sequential, bool parents);
  void make_now(MadeId id);
  void on_made(MadeId id, const ZkResult& result);
  void find(MadeId id);
  void find_sequential(MadeId id);
  void look_at_found(MadeId id, std::vector<std::string> candidates);
  bool is_it(const Made& made, const std::string& path, const ZkResult& result) const;
  bool is_known(const std::string& path, int64_t czxid) const;
  void not_made(MadeId id);
  void there(MadeId id, std::string path, int64_t czxid);
  void check_own(MadeId id);
  bool end_calls(MadeId id, const ServiceAnswer& answer);
  void unasked(MadeId id);
  void remove_own(MadeId id);
  void fail(MadeId id, ZkCode code);
  void forget_deleted(const std::string& path);

  Outbox& out_;
  ZkCalls zk_;
  std::map<uint64_t, PendingCall> pending_;
  std::multimap<std::string, uint64_t> waiting_;   // looks, by path
  std::set<std::pair<Instant, uint64_t>> untils_;  // likewise
  std::map<uint64_t, Sweep> sweeps_;
  uint64_t counter_ = 0;
  Holdings<MadeId, Made> made_;
};

}  // namespace kvd
