// See tasks.hpp.
#include "core/services/tasks/tasks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/check.hpp"
#include "core/mutation.hpp"
#include "core/services/zk_refusal.hpp"

namespace kvd {
namespace {

constexpr int kListingsAtOnce = 4;  // each reads all tasks
constexpr char kCancelledWord[] = "cancelled";
constexpr char kNoTask[] = "there is no such task, or no more";
constexpr char kNotYours[] = "the task is over, or was given to a worker again";

Document state_shown(std::string_view id, const char* state) {
  return Document().add("id", id).add("state", state);
}

const char* state_of(const Task& task, bool assigned) {
  if (task.over()) return task_end_name(task.end());
  return assigned ? "assigned" : "waiting";
}

}  // namespace

struct Tasks::Listing {
  std::set<std::string> assigned;
  std::map<std::string, Task> tasks;
  std::set<std::string> unreadable;  // of these
  bool truncated = false;
  size_t left = 1;  // reads under way
};

Tasks::Tasks(Outbox& out)
    : out_(out), zk_(out, ServiceActor::kTasks), master_(out, zk_), workers_(out, zk_) {}

void Tasks::handle(ServiceMessage&& message) {
  std::visit([this](auto&& m) { on(std::forward<decltype(m)>(m)); }, std::move(message));
}

void Tasks::reply(uint64_t token, ServiceAnswer answer) {
  const auto it = pending_.find(token);
  if (it != pending_.end()) {
    if (answer.status == ServiceStatus::kAccepted)
      answer.notes.add(kNoteMade, fmt::format("tasks/{}", it->second.id));
    stop_waiting(token);
    pending_.erase(it);
  }
  out_.service_router.post(ServiceAnswered{token, std::move(answer), false, true});
}

void Tasks::stop_waiting(uint64_t token) {
  PendingCall& pending = pending_.at(token);
  if (!std::exchange(pending.waiting, false)) return;
  until_.erase({pending.until, token});
  const auto it = waiting_on_.find(pending.id);
  it->second.erase(token);
  if (it->second.empty()) waiting_on_.erase(it);
}

// ---- what is asked ----

void Tasks::on(ServiceAsked message) {
  switch (message.call.name) {
    case CallName::kEnrollWorker:
      return workers_.enroll(message, *message.call.text(Parameter::kName));
    case CallName::kNextTask:
      return workers_.next(message, message.call.path);
    default:
      return ask(std::move(message));
  }
}

void Tasks::ask(ServiceAsked message) {
  TypedCall& call = message.call;
  PendingCall pending;
  pending.what = call.name;
  pending.until = message.until;
  pending.id = std::move(call.path);
  pending.body = std::move(call.body);
  if (call.name == CallName::kCreateTask) {
    pending.id = fmt::format("task-{:016x}", out_.prng.next());
    pending.note.kind = call.text(Parameter::kKind).value_or("");
    pending.note.retries = *call.number(Parameter::kRetries);
  }
  pending.fence = static_cast<int64_t>(call.number(Parameter::kFence).value_or(0));
  pending.end = call.text(Parameter::kStatus) == "failed" ? TaskEnd::kFailed : TaskEnd::kDone;
  pending_[message.token] = std::move(pending);
  run(message.token);
}

// From its beginning, the first time or because something came between.
void Tasks::run(uint64_t token) {
  PendingCall& pending = pending_.at(token);
  pending.adrift = false;
  switch (pending.what) {
    case CallName::kCreateTask:
      return create(token);
    case CallName::kShowTask:
      return read(token, &Tasks::show);
    case CallName::kListTasks:
      return list(token);
    case CallName::kDeleteTask:
      return read(token, &Tasks::end);
    case CallName::kPutResult:
      if (try_result(token)) return;
      [[fallthrough]];
    case CallName::kPutProgress:
      return read(token, &Tasks::work);
    default:
      CHECK(!"a call of tasks");
  }
}

void Tasks::put_off(uint64_t token, ZkCode code) {
  PendingCall& pending = pending_.at(token);
  if (code == ZkCode::kNotConnected && !pending.unsure && pending.what != CallName::kShowTask)
    return reply(token, {ServiceStatus::kUnavailable, "this server cannot reach ZooKeeper"});
  pending.adrift = true;
  if (connected_) retry_at_ = std::min(retry_at_, out_.now + kZkRetry);
}

void Tasks::run_adrift() {
  retry_at_ = kNever;
  std::vector<uint64_t> tokens;
  for (const auto& [token, pending] : pending_) {
    if (pending.adrift) tokens.push_back(token);
  }
  for (const uint64_t token : tokens) run(token);
}

void Tasks::read(uint64_t token, void (Tasks::*then)(uint64_t, const Task&)) {
  const PendingCall& pending = pending_.at(token);
  read_task(zk_, pending.id, false, [this, token, then](ZkCode code, const Task& task) {
    if (!pending_.contains(token)) return;
    if (zk_silent(code)) return put_off(token, code);
    if (code != ZkCode::kOk) return refuse(token, code);
    if (!task.there) {
      const PendingCall& again = pending_.at(token);  // that may have removed it
      const bool done = again.what == CallName::kDeleteTask && again.unsure && !again.cancels;
      return done ? reply(token, ServiceStatus::kDone) : reply(token, {ServiceStatus::kNotFound, kNoTask});
    }
    (this->*then)(token, task);
  });
}

// A transaction on which all depends; when somebody came between, everything is looked at again.
void Tasks::change(uint64_t token, ZkMulti multi, ServiceAnswer answer) {
  zk_.call(std::move(multi), [this, token, answer = std::move(answer)](const ZkResult& result) {
    const auto it = pending_.find(token);
    if (it == pending_.end()) return;
    PendingCall& pending = it->second;
    switch (result.code) {
      case ZkCode::kOk:
        return reply(token, answer);
      case ZkCode::kUnknown:
        pending.unsure = true;
        return put_off(token, result.code);
      case ZkCode::kNotConnected:
        return put_off(token, result.code);
      case ZkCode::kNoNode:
        if (!std::exchange(pending.made_paths, true)) return make_paths(token);
        if (pending.what == CallName::kCreateTask)
          return reply(token, {ServiceStatus::kUnavailable, "the paths of tasks vanish from ZooKeeper"});
        return run(token);
      case ZkCode::kBadVersion:
        return run(token);
      case ZkCode::kNodeExists:
        if (pending.what != CallName::kCreateTask) return run(token);
        return reply(token, answer);  // the id is ours alone: it was done, without our hearing of it
      default:
        return refused(token, result);
    }
  });
}

// One that cannot be made tells why.
void Tasks::make_paths(uint64_t token) {
  const auto why = std::make_shared<ZkCode>(ZkCode::kOk);
  for (const std::string path : {kTasksPath, kTaskDataPath, kTaskNotesPath}) {
    zk_.make_path(path, [this, token, why, last = path == kTaskNotesPath](ZkCode code) {
      if (code != ZkCode::kOk && *why == ZkCode::kOk) *why = code;
      if (!last || !pending_.contains(token)) return;
      const bool final =
          pending_.at(token).what == CallName::kCreateTask && *why != ZkCode::kOk && !zk_silent(*why);
      final ? refuse(token, *why) : run(token);
    });
  }
}

void Tasks::refuse(uint64_t token, ZkCode code) {
  const PendingCall& pending = pending_.at(token);
  const bool write = pending.what != CallName::kShowTask && pending.what != CallName::kListTasks;
  reply(token, zk_refusal(code, write));
}

// For good. A task whose result nobody may write ends as failed all the same, and frees its worker.
void Tasks::refused(uint64_t token, const ZkResult& result) {
  PendingCall& pending = pending_.at(token);
  if (pending.what == CallName::kPutResult && pending.failed.empty() && forbidden_at(result, 0)) {
    pending.failed = fmt::format("failed: ZooKeeper forbids to write to {}", task_path(pending.id));
    return read(token, &Tasks::work);
  }
  refuse(token, result.code);
}

void Tasks::create(uint64_t token) {
  const PendingCall& pending = pending_.at(token);
  ZkMulti multi;
  multi.ops = {ZkCreate{task_data_path(pending.id), pending.body, ZkMode::kPersistent},
               ZkCreate{task_note_path(pending.id), encode_task_note(pending.note), ZkMode::kPersistent},
               ZkCreate{task_path(pending.id), "", ZkMode::kPersistent}};
  change(token, std::move(multi), {ServiceStatus::kAccepted, Document().add("id", pending.id)});
}

// ---- what has become of one ----

void Tasks::show(uint64_t token, const Task& task) {
  PendingCall& pending = pending_.at(token);
  if (task.over()) return answer_show(token, task, false);
  if (pending.until <= out_.now) return show_assigned(token, task);
  // Only what is open is watched: the watch on what is over would stand until it is removed.
  zk_.watch(ZkExists{task_path(pending.id)},
            [this, token, stat = task.stat](const ZkResult& result, bool watches) {
              if (!pending_.contains(token)) return;
              if (zk_silent(result.code)) return put_off(token, result.code);
              if (result.code != ZkCode::kOk || result.stat.modified_zxid != stat.modified_zxid)
                return run(token);
              if (!watches) return reply(token, {ServiceStatus::kUnavailable, kWatchesFull});
              PendingCall& waits = pending_.at(token);
              if (std::exchange(waits.waiting, true)) return;
              waiting_on_[waits.id].insert(token);
              until_.emplace(waits.until, token);
            });
}

void Tasks::show_assigned(uint64_t token, const Task& task) {
  if (task.note.worker.empty()) return answer_show(token, task, false);
  zk_.call(ZkGet{worker_path(task.note.worker)}, [this, token, task](const ZkResult& result) {
    if (!pending_.contains(token)) return;
    if (zk_silent(result.code)) return put_off(token, result.code);
    answer_show(token, task, result.code == ZkCode::kOk && result.data == task.id);
  });
}

void Tasks::answer_show(uint64_t token, const Task& task, bool assigned) {
  Document document = state_shown(task.id, state_of(task, assigned));
  document.add("attempt", task.note.attempt);
  if (!task.note.worker.empty() && (assigned || task.over())) document.add("worker", task.note.worker);
  if (!task.note.kind.empty()) document.add("kind", task.note.kind);
  if (!task.note.progress.empty()) document.add("progress", task.note.progress);
  if (task.over() && task.end() != TaskEnd::kCancelled)
    document.add("result", Octets{std::string(task.result())});
  reply(token, {ServiceStatus::kOk, std::move(document)});
}

void Tasks::list(uint64_t token) {
  const auto listings = std::count_if(pending_.begin(), pending_.end(), [](const auto& one) {
    return one.second.what == CallName::kListTasks;
  });
  if (listings > kListingsAtOnce)
    return reply(token, {ServiceStatus::kUnavailable, "too many ask for the list of tasks at once"});
  const auto listing = std::make_shared<Listing>();
  // Every answer passes here; the last one makes the reply.
  const auto heard = [this, token, listing](ZkCode code) {
    if (!pending_.contains(token)) return false;
    const bool known = code == ZkCode::kOk || code == ZkCode::kNoNode;
    if (!known) refuse(token, code);
    return known;
  };
  const auto done = [this, token, listing] {
    if (--listing->left == 0) answer_list(token, *listing);
  };
  ++listing->left;
  zk_.call(ZkChildren{kWorkersPath}, [this, listing, heard, done](const ZkResult& workers) {
    if (!heard(workers.code)) return;
    for (const std::string& name : workers.children) {
      ++listing->left;
      zk_.call(ZkGet{worker_path(name)}, [listing, heard, done](const ZkResult& worker) {
        if (!heard(worker.code)) return;
        listing->assigned.insert(worker.data);
        done();
      });
    }
    done();
  });
  zk_.call(ZkChildren{kTasksPath}, [this, listing, heard, done](const ZkResult& tasks) {
    if (!heard(tasks.code)) return;
    listing->truncated = tasks.children.size() > limits::kListItems;
    for (size_t i = 0; i < std::min(tasks.children.size(), limits::kListItems); ++i) {
      ++listing->left;
      read_task(zk_, tasks.children[i], false, [listing, heard, done](ZkCode code, Task task) {
        if (!heard(code == ZkCode::kNoAuth ? ZkCode::kOk : code)) return;
        task.data.resize(std::min(task.data.size(), task.id.size() + 1));  // the result may be long
        const std::string id = task.id;
        if (code == ZkCode::kNoAuth) listing->unreadable.insert(id);
        if (task.there || code == ZkCode::kNoAuth) listing->tasks.emplace(id, std::move(task));
        done();
      });
    }
    done();
  });
}

void Tasks::answer_list(uint64_t token, const Listing& listing) {
  ValueList tasks;
  for (const auto& [id, task] : listing.tasks) {
    const bool readable = !listing.unreadable.contains(id);
    tasks.push_back(state_shown(id, readable ? state_of(task, listing.assigned.contains(id)) : "unreadable"));
  }
  Document document = Document().add("tasks", std::move(tasks)).add("truncated", listing.truncated);
  reply(token, {ServiceStatus::kOk, std::move(document)});
}

// ---- its end ----

// An open one is cancelled; one that is over goes, but not if it was open when this was asked.
void Tasks::end(uint64_t token, const Task& task) {
  PendingCall& pending = pending_.at(token);
  ZkMulti multi;
  if (!task.over()) {
    pending.cancels = true;
    TaskNote note = task.note;
    note.end = TaskEnd::kCancelled;
    multi.ops = {end_task(task, kCancelledWord), write_note(task, note)};
    return change(token, std::move(multi), {ServiceStatus::kOk, state_shown(task.id, kCancelledWord)});
  }
  if (pending.cancels) {
    if (task.end() == TaskEnd::kCancelled)
      return reply(token, {ServiceStatus::kOk, state_shown(task.id, kCancelledWord)});
    return reply(token,
                 {ServiceStatus::kConflict, fmt::format("it was {} meanwhile", task_end_name(task.end()))});
  }
  zk_.call(ZkDelete{task_data_path(task.id)}, [](const ZkResult&) {});
  multi.ops = {ZkDelete{task_path(task.id), task.stat.version}};
  if (task.noted) multi.ops.push_back(ZkDelete{task_note_path(task.id)});
  change(token, std::move(multi), ServiceStatus::kDone);
}

// The server that keeps the worker knows what the transaction requires. If that is no longer so it fails, and then
// everything is read.
bool Tasks::try_result(uint64_t token) {
  PendingCall& pending = pending_.at(token);
  const std::string worker = workers_.who_has(pending.id, pending.fence);
  if (worker.empty() || std::exchange(pending.tried, true)) return false;
  const auto known = workers_.open_task(worker);
  if (known) work_now(token, *known->first, worker, known->second);
  return known.has_value();
}

// A worker's word: its znode has to be as the master left it. Who it is says the note, or, if another program
// assigned, only the server that keeps the worker.
void Tasks::work(uint64_t token, const Task& task) {
  const PendingCall& pending = pending_.at(token);
  if (task.over()) {
    const bool same =
        pending.what == CallName::kPutResult && task.note.fence == pending.fence && task.end() == pending.end;
    if (!same) return reply(token, {ServiceStatus::kConditionFailed, kNotYours});
    return reply(token,
                 {ServiceStatus::kOk, state_shown(task.id, task_end_name(pending.end))});  // said again
  }
  std::string worker = workers_.who_has(task.id, pending.fence);
  if (worker.empty()) worker = task.note.worker;
  if (worker.empty()) return reply(token, {ServiceStatus::kConditionFailed, kNotYours});
  zk_.call(ZkGet{worker_path(worker)}, [this, token, task, worker](const ZkResult& result) {
    if (!pending_.contains(token)) return;
    if (zk_silent(result.code)) return put_off(token, result.code);
    work_of(token, task, worker, result);
  });
}

void Tasks::work_of(uint64_t token, const Task& task, const std::string& worker, const ZkResult& result) {
  const PendingCall& pending = pending_.at(token);
  const bool other = result.stat.modified_zxid != pending.fence && !mutated(Mutation::kAttemptUnchecked);
  if (result.code != ZkCode::kOk || result.data != task.id || other)
    return reply(token, {ServiceStatus::kConditionFailed, kNotYours});
  work_now(token, task, worker, result.stat.version);
}

void Tasks::work_now(uint64_t token, const Task& task, const std::string& worker, int32_t worker_version) {
  const PendingCall& pending = pending_.at(token);
  TaskNote note = task.note;
  note.worker = worker;
  ZkMulti multi;
  if (pending.what == CallName::kPutProgress) {
    note.progress = pending.body;
    multi.ops = {ZkCheck{worker_path(worker), worker_version}, ZkCheck{task_path(task.id), task.stat.version},
                 write_note(task, note)};
    return change(token, std::move(multi), ServiceStatus::kDone);
  }
  if (!pending.failed.empty()) {
    multi.ops = {ZkSet{worker_path(worker), kIdle, worker_version}};
    add_failure(multi, task, note, pending.failed, true);
    return change(token, std::move(multi), {ServiceStatus::kForbidden, pending.failed});
  }
  note.end = pending.end;
  note.fence = pending.fence;
  multi.ops = {end_task(task, pending.body), ZkSet{worker_path(worker), kIdle, worker_version},
               write_note(task, note)};
  change(token, std::move(multi), {ServiceStatus::kOk, state_shown(task.id, task_end_name(pending.end))});
}

// ---- what happens ----

void Tasks::on(const ServiceDropped& message) {
  workers_.on(message);
  if (!pending_.contains(message.token)) return;
  stop_waiting(message.token);
  pending_.erase(message.token);
}

void Tasks::on(const ZkSessionChanged& message) {
  connected_ = message.state == ZkState::kConnected;
  master_.on(message);
  workers_.on(message);
  if (!connected_) return;
  for (auto& [token, pending] : pending_)
    pending.adrift |= pending.waiting;  // what it watched may have changed unseen
  run_adrift();
}

void Tasks::on(const ZkWatchFired& message) {
  master_.on(message);
  workers_.on(message);
  const std::string id = message.path.substr(message.path.rfind('/') + 1);
  const auto it = waiting_on_.find(id);
  if (it == waiting_on_.end() || message.path != task_path(id)) return;
  for (const uint64_t token : std::set<uint64_t>(it->second)) run(token);
}

void Tasks::on_time() {
  master_.on_time();
  workers_.on_time();
  if (retry_at_ <= out_.now) run_adrift();
  while (!until_.empty() && until_.begin()->first <= out_.now) {
    const uint64_t token = until_.begin()->second;
    stop_waiting(token);
    run(token);
  }
}

Instant Tasks::deadline() const {
  const Instant until = until_.empty() ? kNever : until_.begin()->first;
  return std::min({master_.deadline(), workers_.deadline(), retry_at_, until});
}

}  // namespace kvd
