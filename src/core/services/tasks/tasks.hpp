// Tasks and workers, master and backups: clients leave tasks, whichever server leads gives each to an idle worker
// (task_master.hpp), workers fetch what they were given (task_workers.hpp). All of it stands in ZooKeeper in a layout
// that programs without kvd can take part in (task_layout.hpp), so any server answers for any task.
//
// Their calls (msg/calls.cpp) are answered so:
//   kCreateTask     the body is the data; 202 {"id"}, kNoteMade
//   kShowTask       200 {"id","state","attempt","worker","kind","progress","result"}; state: waiting, assigned, done,
//                   failed, cancelled; waits for one of the last three
//   kListTasks      200 {"tasks":[{"id","state"}..],"truncated"}; limits::kListItems of them; one that an ACL hides is
//                   "unreadable"
//   kDeleteTask     200 {"id","state":"cancelled"}; 204 removed, when it was over
//   kEnrollWorker   201 {"worker"}; 409 (408 when it waited) that name is taken
//       by lines    {"worker"}; repeated: {"state":"idle"} or {"state":"assigned","id"}; {"state":"cancel","id"},
//                   {"state":"lost","reason"}
//   kNextTask       200 {"id","attempt","fence","kind","data"}, the same again until it is over; 204 none in time; 410
//                   not here. Names the session for a session's worker
//   kPutResult      the body is the result; 200 {"id","state"}; 412 when it is another's by now
//   kPutProgress    the body is a short text; 204; 412
//
// The fence is the zxid of the transaction that assigned: one transaction assigns one task once, so no two attempts
// have the same one, and a later one has a larger one. It is also the last change of the worker's znode while the
// worker has that task, and a result is one transaction which requires that znode to be as that change left it, and the
// task to be open still.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "core/services/tasks/task_layout.hpp"
#include "core/services/tasks/task_master.hpp"
#include "core/services/tasks/task_workers.hpp"

namespace kvd {

class Tasks {
 public:
  explicit Tasks(Outbox& out);

  void handle(ServiceMessage&& message);
  void on_time();
  Instant deadline() const;

 private:
  struct PendingCall {  // a call, until it is answered
    CallName what = CallName::kShowTask;
    std::string id;
    std::string body;
    TaskNote note;                 // of kCreateTask
    TaskEnd end = TaskEnd::kDone;  // of kPutResult
    int64_t fence = 0;
    Instant until{};
    bool cancels = false;  // kDeleteTask: the task was open when first seen
    bool unsure = false;   // it may have been done
    bool adrift = false;   // ZooKeeper did not answer
    bool waiting = false;  // kShowTask: for a change
    bool made_paths = false;
    bool tried = false;  // kPutResult: with what the server of its worker knows
    std::string
        failed;  // kPutResult: nobody may write to the task, and this is what its note is to tell instead
  };
  struct Listing;

  void on(ServiceAsked message);
  void on(const ServiceDropped& message);
  void on(const HoldersEnded& message) { workers_.on(message); }
  void on(const SessionJudged& message) { master_.on(message); }
  void on(const ZkSessionChanged& message);
  void on(const ZkResult& message) { zk_.on(message); }
  void on(const ZkWatchFired& message);

  void ask(ServiceAsked message);
  void run(uint64_t token);
  void create(uint64_t token);
  void read(uint64_t token, void (Tasks::*then)(uint64_t, const Task&));
  void show(uint64_t token, const Task& task);
  void show_assigned(uint64_t token, const Task& task);
  void answer_show(uint64_t token, const Task& task, bool assigned);
  void end(uint64_t token, const Task& task);
  bool try_result(uint64_t token);
  void work(uint64_t token, const Task& task);
  void work_of(uint64_t token, const Task& task, const std::string& worker, const ZkResult& result);
  void work_now(uint64_t token, const Task& task, const std::string& worker, int32_t worker_version);
  void list(uint64_t token);
  void answer_list(uint64_t token, const Listing& listing);
  void change(uint64_t token, ZkMulti multi, ServiceAnswer answer);
  void make_paths(uint64_t token);
  void refuse(uint64_t token, ZkCode code);
  void refused(uint64_t token, const ZkResult& result);
  void put_off(uint64_t token, ZkCode code);
  void run_adrift();
  void stop_waiting(uint64_t token);
  void reply(uint64_t token, ServiceAnswer answer);

  Outbox& out_;
  ZkCalls zk_;
  TaskMaster master_;
  TaskWorkers workers_;
  bool connected_ = false;
  Instant retry_at_ = kNever;
  std::map<uint64_t, PendingCall> pending_;
  std::map<std::string, std::set<uint64_t>> waiting_on_;  // those who wait for a change, by task
  std::set<std::pair<Instant, uint64_t>> until_;          // likewise, how long
};

}  // namespace kvd
