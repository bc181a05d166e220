// Queues in ZooKeeper as kazoo's Queue and LockingQueue have them: a place where clients and programs with kazoo meet.
//
//   Queue          PATH/entry-PPP-N, persistent sequential: three digits of priority, ten of ZooKeeper's. Who reads
//                  one and deletes it in the version that was read has it.
//   LockingQueue   PATH/entries/entry-PPP-N. Who makes the ephemeral PATH/taken/NAME has that one; its data is a
//                  number of the taker's alone. Done: both go in one multi. Given back: the ephemeral goes.
//
// The first is the first by name. What does not begin with "entry-" is no entry: kazoo's Queue takes it, and would take
// the `entries` of a locking queue.
//
// Their calls (msg/calls.cpp) are answered so:
//   kPutEntry     201 {"path","entry"}; the path is made when it is missing
//   kListEntries  200 {"path","entries":[..]}, and "taken":[..] of a locking queue; more than kEntriesMax are 413
//   kTakeEntry    200 {"path","entry","data"}; 204 none in time
//   kLockEntry    200 {"path","entry","fence","data"}; 204 none in time
//      by lines   {"state":"waiting"}, {"state":"held","entry","fence","data"} (no data when it is repeated),
//                 {"state":"timeout"}, {"state":"done"}, {"state":"lost","reason"}
//   kFinishEntry  204; 404 when the session, or a connection to this server, does not have it; 412 another fence; 410
//                 its znode was deleted
//
// All at this server who want an entry of one queue stand in one line: one look at the queue is for all of them, and
// no two try the same entry. A session has one entry of a queue at a time; the same call again finds it.
//
// What is not known after a lost connection (504): whether an entry was put, or taken out of a plain queue. One that
// was locked is looked for by what stands in its znode. Whether one was finished the next kFinishEntry tells.
#pragma once
#include <compare>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/services/holdings.hpp"
#include "core/services/zk_calls.hpp"

namespace kvd {

class ZkQueues {
 public:
  static constexpr size_t kEntriesMax = 5'000;  // that are listed

  explicit ZkQueues(Outbox& out);

  void handle(ServiceMessage&& message);
  void on_time();
  Instant deadline() const;

 private:
  struct QueueName {
    std::string path;
    bool locking = false;
    auto operator<=>(const QueueName&) const = default;

    std::string entries() const { return locking ? path + "/entries" : path; }
    std::string entry(std::string_view name) const { return entries() + "/" + std::string(name); }
    std::string taken() const { return path + "/taken"; }  // of a locking one
    std::string taken(std::string_view name) const { return taken() + "/" + std::string(name); }
  };
  using TakeId = uint64_t;
  struct Queue {                  // of which entries are wanted here
    std::deque<TakeId> waiting;   // for one, in the order in which they came
    std::set<std::string> tried;  // entries, each by one of those who came
    bool looking = false;
    bool again = false;  // something has happened since that look began
  };
  // An entry, wanted or had. Its znode is known once its data has been read; of a plain queue there is none.
  struct Take : Holding {
    QueueName queue;
    std::string guid;                    // what stands in its znode
    std::map<uint64_t, Instant> asking;  // calls, and how long they may wait
    Instant stream_until = kNever;
    bool told_waiting = false;
    std::string entry;       // that it tries or has; empty: it stands in line
    int64_t fence = 0;       // 0: not known to have it
    bool known = false;      // its session has been told that it has it
    bool finishing = false;  // perhaps it is done
  };
  struct Listing {
    ZkCode code = ZkCode::kOk;         // of the first that failed
    std::vector<std::string> entries;  // in their order
    std::vector<std::string> taken;    // likewise
    bool watched = false;
  };

  void on(ServiceAsked message);
  void on(const ServiceDropped& message) { takes_.on(message); }
  void on(const HoldersEnded& message) { takes_.on(message); }
  void on(const SessionJudged&) {}
  void on(const ZkSessionChanged& message);
  void on(const ZkResult& message) { zk_.on(message); }
  void on(const ZkWatchFired& message);

  void reply(uint64_t token, ServiceAnswer answer) { takes_.reply(token, std::move(answer)); }

  // ---- the queue itself ----
  void put(ServiceAsked message);
  void put_now(uint64_t token, const QueueName& name, ZkCreate create, bool made);
  void make_paths(const QueueName& name, std::function<void(ZkCode)> then);
  void list(const QueueName& name, bool watch, std::function<void(const Listing&)> then);
  void read_names(const std::string& path, bool watch, ZkCalls::WatchThen then);
  void show(const ServiceAsked& message);

  // ---- the line of those who want an entry ----
  void take(ServiceAsked message);
  void look(const QueueName& name);
  void on_looked(const QueueName& name, const Listing& listing);
  void give_out(const QueueName& name, const Listing& listing);
  bool anybody_waits(const Queue& queue) const;
  void end_look(const QueueName& name, ZkCode code);
  void refuse_all(const QueueName& name, const ServiceAnswer& answer);
  void answer_late(const QueueName& name, const ServiceAnswer& none);
  void answer_late(TakeId id, const ServiceAnswer& none);
  void try_entry(TakeId id, std::string entry);
  void try_again(TakeId id);
  void forgotten(TakeId id, const Take& was);
  void end_try(const QueueName& name, const std::string& entry, bool freed);
  void fail(TakeId id, ZkCode code, bool write);

  // ---- of a plain queue ----
  void take_out(TakeId id);
  void on_taken_out(TakeId id, const std::string& data, const ZkResult& result);

  // ---- of a locking queue (zk_queues_locked.cpp) ----
  void lock(TakeId id);
  void on_locked(TakeId id, const ZkResult& result);
  void find(TakeId id);
  void locked(TakeId id, int64_t fence);
  void read(TakeId id);
  void has(TakeId id, const std::string& data);
  void check_own(TakeId id);
  void finish(const ServiceAsked& message);
  void finish_now(uint64_t token, TakeId id, const ZkResult& own);
  void on_finished(uint64_t token, TakeId id, const ZkResult& result);
  void lost_or_done(TakeId id, std::optional<uint64_t> token);
  void lost(TakeId id, std::optional<uint64_t> token);
  void done(TakeId id, std::optional<uint64_t> token);
  bool end_calls(TakeId id, const ServiceAnswer& answer);
  void unasked(TakeId id, uint64_t token);
  void remove(TakeId id);
  void release(TakeId id);
  void released(TakeId id);

  Outbox& out_;
  ZkCalls zk_;
  uint64_t counter_ = 0;
  Holdings<TakeId, Take> takes_;
  std::map<QueueName, Queue> queues_;
  Adrift<QueueName> looks_;  // that were put off
  Instant due_ = kNever;     // nothing that waits for a moment waits for an earlier one
};

}  // namespace kvd
