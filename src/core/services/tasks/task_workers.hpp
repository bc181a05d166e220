// The part of tasks that keeps the workers which clients have on this server: each is an ephemeral znode below /workers
// (task_layout.hpp) that bears the name its client chose, and so there is one of a name at a time. What a master writes
// there is the worker's next task; the client gets it by asking for the next one, the same again until it is over.
//
// A part of the actor that owns it.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/outbox.hpp"
#include "core/services/holdings.hpp"
#include "core/services/tasks/task_layout.hpp"
#include "core/services/zk_calls.hpp"

namespace kvd {

class TaskWorkers {
 public:
  TaskWorkers(Outbox& out, ZkCalls& zk);

  void enroll(const ServiceAsked& asked, std::string name);
  void next(const ServiceAsked& asked, const std::string& name);
  // Who of ours has the task by that attempt; empty: nobody.
  std::string who_has(const std::string& id, int64_t fence) const;
  // Of one of these: its task as last seen, if that is open, and the version of the worker's znode then. Until the next
  // message.
  std::optional<std::pair<const Task*, int32_t>> open_task(const std::string& name) const;

  void on(const ServiceDropped& message);
  void on(const HoldersEnded& message);
  void on(const ZkSessionChanged& message);
  void on(const ZkWatchFired& message);
  void on_time();
  Instant deadline() const;

 private:
  enum class Phase : uint8_t {
    kMaking,  // its znode, or finding out whether it was made
    kTaken,   // another's is there
    kStanding,
    kRemoving,
  };
  struct Candidate {  // a call to be enrolled
    std::string name;
    HolderId holder;
    bool streams = false;
    bool waits = false;  // was ready to
    Instant until{};
  };
  struct Worker : Holding {
    Phase phase = Phase::kMaking;
    uint64_t era = 0;                    // what was asked in an earlier one is of no interest
    bool maybe_made = false;             // by us
    bool made_path = false;              // tried once to make what is above it
    std::optional<uint64_t> candidate;   // the call for which it is made
    std::map<uint64_t, Instant> asking;  // for its next task, and until when
    // As of the last look:
    bool known = false;
    std::string data;
    int32_t version = 0;
    int64_t fence = 0;  // the zxid of what it says
    std::optional<Task> task;
    std::string task_data;
    Instant data_due = kNever;  // the task's data is awaited so long
    bool open = false;          // the task is there and not over
    bool handed = false;        // its client was given the task
    bool told = false;          // ... and that it is not wanted any more
  };

  void claim(uint64_t token);
  void make(const std::string& name);
  void on_made(const std::string& name, const ZkResult& result, bool maybe_before);
  void not_made(const std::string& name, ZkCode why);
  void inspect(const std::string& name);
  void stand(const std::string& name);
  void refuse(uint64_t token, const ServiceAnswer& answer);
  void refuse_late(uint64_t token);
  void leave(const std::string& name);
  void remove(const std::string& name);
  void wake(const std::string& name);
  bool end_calls(const std::string& name, const ServiceAnswer& answer);
  void go_on(const std::string& name);

  void look(const std::string& name);
  void on_looked(const std::string& name, Worker& worker, const ZkResult& result);
  void assigned(const std::string& name, Worker& worker, std::string data, int64_t fence);
  void read_its_task(const std::string& name);
  void on_data(const std::string& name, Worker& worker, Task task, const ZkResult& result);
  void await_data(const std::string& name, Worker& worker);
  void fail_task(const std::string& name, const std::string& words, bool by_note = false);
  void serve(const std::string& name, Worker& worker);
  void answer_late(Worker& worker);
  void set_idle(const std::string& name, Worker& worker);

  void call(const std::string& name, ZkRequest request, std::function<void(Worker&, const ZkResult&)> then);
  void put_off(const std::string& name, Duration pause = kZkRetry);
  void reply(uint64_t token, ServiceAnswer answer);
  Instant next_due() const;

  Outbox& out_;
  ZkCalls& zk_;
  Holdings<std::string, Worker> workers_;  // by name; which znode is whose tells the phase
  uint64_t eras_ = 0;
  std::map<uint64_t, Candidate> candidates_;
  std::map<std::string, std::set<uint64_t>> waiting_;  // candidates, until the name is no other's here
  std::multimap<std::string, std::string> by_task_;    // who has it
  Instant due_ = kNever;  // nothing that waits for a moment waits for an earlier one
};

}  // namespace kvd
