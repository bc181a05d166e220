// Tasks and workers, master and backups: clients leave tasks, whichever server leads gives each to an idle worker
// (task_master.hpp), workers fetch what they were given (task_workers.hpp). All of it stands in ZooKeeper in a layout
// that programs without kvd can take part in (task_layout.hpp), so any server answers for any task.
//
//   POST   /v1/tasks[?kind=K&retries=N]  the body is the data, at most 60 KiB; 202 {"id"}, Location
//   GET    /v1/tasks/ID[?wait=MS]        200 {"id","state","attempt","worker","kind","progress","result"}; state:
//                                        waiting, assigned, done, failed, cancelled; waits for one of the last three
//   GET    /v1/tasks                     200 {"tasks":[{"id","state"}..],"truncated"}; limits::kListItems of them;
//                                        one that an ACL hides is "unreadable"
//   DELETE /v1/tasks/ID                  200 {"id","state":"cancelled"}; 204 removed, when it was over
//   POST   /v1/workers?name=W&session=S  201 {"worker"}; 409 (408 with wait) that name is taken
//          ?name=W&hold=1[&wait=MS]      lines {"worker"}; repeated: {"state":"idle"} or {"state":"assigned","id"};
//                                        {"state":"cancel","id"}, {"state":"lost","reason"}
//   POST   /v1/workers/W/next[?wait=MS]  200 {"id","attempt","fence","kind","data"}, the same again until it is over;
//                                        204 none in time; 410 not here. With session=S for a session's worker
//   PUT    /v1/tasks/ID/result?fence=F[&status=done|failed]
//                                        the body is the result; 200 {"id","state"}; 412 when it is another's by now
//   PUT    /v1/tasks/ID/progress?fence=F
//                                        the body is a short text; 204; 412
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
  enum class What : uint8_t { kCreate, kShow, kList, kDelete, kResult, kProgress };
  struct PendingCall {  // a call, until it is answered
    What what = What::kShow;
    std::string id;
    std::string body;
    TaskNote note;                 // of kCreate
    TaskEnd end = TaskEnd::kDone;  // of kResult
    int64_t fence = 0;
    Instant until{};
    bool cancels = false;  // kDelete: the task was open when first seen
    bool unsure = false;   // it may have been done
    bool adrift = false;   // ZooKeeper did not answer
    bool waiting = false;  // kShow: for a change
    bool made_paths = false;
    bool tried = false;  // kResult: with what the server of its worker knows
    std::string
        failed;  // kResult: nobody may write to the task, and this is what its note is to tell instead
  };
  struct Listing;

  void on(ServiceAsked message);
  void on(const ServiceDropped& message);
  void on(const HoldersEnded& message) { workers_.on(message); }
  void on(const SessionJudged& message) { master_.on(message); }
  void on(const ZkSessionChanged& message);
  void on(const ZkResult& message) { zk_.on(message); }
  void on(const ZkWatchFired& message);

  void asked_workers(ServiceAsked message);
  std::string read_call(ServiceAsked& message, PendingCall& pending);
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
  void change(uint64_t token, ZkMulti multi, ServiceStatus status, std::string text);
  void make_paths(uint64_t token);
  void refuse(uint64_t token, ZkCode code);
  void refused(uint64_t token, const ZkResult& result);
  void put_off(uint64_t token, ZkCode code);
  void run_adrift();
  void stop_waiting(uint64_t token);
  void reply(uint64_t token, ServiceStatus status, std::string text = "");

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
