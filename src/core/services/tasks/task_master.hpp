// The part of tasks that assigns (task_layout.hpp): on every server, but only the one that leads has anything to do.
// It reads all tasks and workers before it assigns, and from then on what its watches tell it: one on the list of
// tasks, one on that of workers, one on each worker. The oldest task that no worker has goes to the worker that has
// been idle for longest.
//
// To assign is one transaction: our contender is there, the worker is idle still and now has the task's id, the task is
// not over yet, and its note counts the attempt. So a master that lags, or has been cut off, assigns nothing. A task
// whose worker went without a result is assigned again, 1 + retries times altogether; then it has failed.
//
// A task that another program made is assigned once its data is there. One that can never be done has failed, with the
// reason: its data does not come, its id is none that can be used, ZooKeeper forbids what has to be done with it.
//
// A server that is proven dead does not keep the others waiting for ZooKeeper to count its session's timeout: its
// contender is removed (candidacy.hpp), and so are its workers: the idle ones at once, those that have a task after a
// third of that timeout, which is what whoever loses a server is given to let go. If it lives after all they hear that
// they are lost, and their results are refused.
//
// The layout stands as soon as a server is connected, so that other programs find it, and is made anew when somebody
// has deleted it. Before the first task nobody stands: a server waits for that, which costs nothing.
//
// What is over for kTaskRetention is removed, and sooner when there are more than limits::kTasksKept of that: each new
// task makes the master list them all. The time is the master's own if it saw the end, and otherwise judged by the
// ensemble's clock.
//
// A part of the actor that owns it.
#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/services/standing_paths.hpp"
#include "core/services/tasks/candidacy.hpp"
#include "core/services/tasks/task_layout.hpp"

namespace kvd {

inline constexpr Duration kTaskRetention = std::chrono::hours(1);

class TaskMaster {
 public:
  TaskMaster(Outbox& out, ZkCalls& zk);

  void on(const ZkSessionChanged& message);
  void on(const ZkWatchFired& message);
  void on(const SessionJudged& message);
  void on_time();
  Instant deadline() const;

 private:
  struct Worker {
    bool barred = false;   // ZooKeeper refuses to change its znode
    uint64_t owner = 0;    // the session that it belongs to
    uint64_t reading = 0;  // the number of the latest read that is under way; 0: none
    bool pending = false;  // a task for it is under way
    std::string data;
    int32_t version = 0;
    int64_t since = 0;             // the zxid of what it says
    std::optional<int64_t> filed;  // as which it stands in free_
  };
  struct Entry {
    Task task;             // without its data once it is over
    uint64_t reading = 0;  // likewise
    int refusals = 0;      // one after another
    bool pending = false;
    bool seen_open = false;
    bool barred = false;           // ZooKeeper refuses for good
    bool failing = false;          // it has to end as failed
    bool data_there = false;       // was, when looked for; of tasks without a note only
    Instant data_due = kNever;     // it stands in data_due_ as that
    std::optional<int64_t> filed;  // as which it stands in open_
    Instant expires = kNever;      // it stands in expiring_ as that
    bool expired = false;
  };

  void look_for_use();
  void rebuild();
  void clear();
  size_t watch_bytes(const std::string& name) const { return out_.watches.bytes_of(name); }
  void read(ZkRequest request, ZkCalls::Then then);
  void put_off();
  void read_done();

  void list(const char* path, void (TaskMaster::*then)(const ZkResult&));
  void no_list(const char* path, ZkCode why);
  void on_tasks(const ZkResult& result);
  void read_one_task(const std::string& id);
  void on_task(const std::string& id, uint64_t number, ZkCode code, Task task);
  void forget_task(const std::string& id);
  void on_workers(const ZkResult& result);
  void read_worker(const std::string& name);
  void on_worker(const std::string& name, uint64_t number, const ZkResult& result);
  void says(const std::string& name, std::string data);
  void forget_worker(const std::string& name);

  void await_data(const std::string& id);
  void look_for_data(const std::string& id, bool watch);
  void on_data(const std::string& id, bool watched, ZkCode code);
  void set_data_due(const std::string& id, Entry& entry, Instant due);
  void set_expiry(const std::string& id, Entry& entry, Instant expires);

  void file(const std::string& id);
  void file_worker(const std::string& name);
  void dismiss(const std::string& name, Instant due);
  void on_dismissed(const std::string& name, const ZkResult& result);
  void assign();
  void assign(const std::string& id, const std::string& name);
  void on_assigned(const std::string& id, const std::string& name, TaskNote note, const ZkResult& result);
  void fail(const std::string& id, const std::string& words, bool by_note = false);
  void remove(const std::string& id);
  void change(const std::string& id, ZkMulti multi, ZkCalls::Then then);
  void refused(const std::string& id, const ZkResult& result);
  void stumble(const std::string& id, ZkCode why);
  void bar(const std::string& id, ZkCode why);
  Instant expiry(const Entry& entry) const;
  Instant next_expiry() const;
  ZkOp check_contender() const { return ZkCheck{candidacy_.contender()}; }

  Outbox& out_;
  ZkCalls& zk_;
  Candidacy candidacy_;
  StandingPaths layout_;
  ZkSessionChanged zookeeper_;  // as heard last
  bool used_ = false;           // there are tasks, or were
  Instant look_at_ = kNever;    // for that
  uint64_t era_ = 0;            // what was asked in an earlier one is of no interest
  Instant retry_at_ = kNever;
  Instant dismiss_at_ = kNever;       // workers of dead servers
  Instant list_workers_at_ = kNever;  // there was no room to watch them all:
  std::string crowded_out_;           // the first of those
  std::string unlisted_;              // what could not be listed last
  size_t reading_ = 0;
  uint64_t reads_ = 0;
  bool built_ = false;           // all has been read once in this era
  std::set<std::string> notes_;  // that were there before the tasks were listed
  int32_t tasks_version_ = 0;    // of the list of tasks as it was read last
  std::map<std::string, Entry> tasks_;
  std::map<std::string, Worker> workers_;
  std::map<std::string, size_t> held_;              // by so many workers, of those tasks that any has
  std::set<std::pair<int64_t, std::string>> open_;  // tasks that can be assigned, by age
  std::set<std::pair<int64_t, std::string>> free_;  // workers that can take one, by how long
  std::set<std::pair<Instant, std::string>> expiring_;
  size_t expired_ = 0;                                  // and not removed yet
  std::set<std::pair<Instant, std::string>> data_due_;  // tasks whose data is awaited
};

}  // namespace kvd
