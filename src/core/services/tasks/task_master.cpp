// See task_master.hpp.
#include "core/services/tasks/task_master.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/mutation.hpp"

namespace kvd {
namespace {

constexpr char kMasterPath[] = "/master";
constexpr char kMasterPrefix[] = "master-";
constexpr char kFailedWord[] = "failed";
constexpr Duration kLongRetry = seconds(1);  // where somebody has to do something first
constexpr Duration kForbiddenRetry = seconds(10);
constexpr size_t kRemovalsAtOnce = 100;
constexpr int kRefusalsMax = 50;  // of one task; then something in ZooKeeper is in its way for good

}  // namespace

TaskMaster::TaskMaster(Outbox& out, ZkCalls& zk)
    : out_(out),
      zk_(zk),
      candidacy_(out, zk, kMasterPath, kMasterPrefix, out.config.self.member.id.value,
                 {[this] { rebuild(); }, [this] { clear(); }}),
      layout_(out, zk, {kTasksPath, kTaskDataPath, kWorkersPath, kMasterPath, kTaskNotesPath}) {}

// ---- is there anything to do at all? ----

// The layout first: what is read of it after that is watched.
void TaskMaster::on(const ZkSessionChanged& message) {
  layout_.on(message);
  zookeeper_ = message;
  if (used_) return candidacy_.on(message);
  look_for_use();
}

void TaskMaster::look_for_use() {
  look_at_ = kNever;
  if (used_ || zookeeper_.state != ZkState::kConnected) return;
  zk_.call(ZkChildren{kTasksPath, true}, [this](const ZkResult& result) {
    if (used_ || result.code == ZkCode::kNoNode) return;  // layout_ will tell
    if (result.code != ZkCode::kOk) {
      look_at_ = out_.now + (zk_silent(result.code) ? kZkRetry : kLongRetry);
      return;
    }
    if (result.stat.children_version == 0) return;  // it has never had one
    used_ = true;
    candidacy_.on(zookeeper_);
  });
}

void TaskMaster::on(const SessionJudged& message) {
  candidacy_.on(message);
  for (const auto& [name, worker] : workers_) file_worker(name);
  assign();
}

// ---- its view ----

void TaskMaster::clear() {
  ++era_;
  retry_at_ = kNever;
  dismiss_at_ = kNever;
  list_workers_at_ = kNever;
  reading_ = 0;
  expired_ = 0;
  built_ = false;
  notes_.clear();
  tasks_.clear();
  for (const auto& [name, worker] : workers_) {
    out_.watches.give_back(watch_bytes(name));
    out_.watches.leave_behind(worker_path(name));
  }
  workers_.clear();
  held_.clear();
  open_.clear();
  free_.clear();
  expiring_.clear();
  data_due_.clear();
}

// The notes before the tasks: a note whose task is not listed after it is left over.
void TaskMaster::rebuild() {
  clear();
  read(ZkChildren{kTaskNotesPath}, [this](const ZkResult& result) {
    notes_ = std::set<std::string>(result.children.begin(), result.children.end());
  });
  list(kTasksPath, &TaskMaster::on_tasks);
  list(kWorkersPath, &TaskMaster::on_workers);
}

// Without an answer the view is not worth anything: it is built anew, with the next connection or in a moment.
void TaskMaster::put_off() {
  clear();
  if (candidacy_.leading()) retry_at_ = out_.now + kZkRetry;
}

void TaskMaster::read(ZkRequest request, ZkCalls::Then then) {
  ++reading_;
  zk_.call(std::move(request), [this, era = era_, then = std::move(then)](const ZkResult& result) {
    if (era != era_) return;
    if (zk_silent(result.code)) return put_off();
    then(result);
    read_done();
  });
}

void TaskMaster::read_done() {
  if (--reading_ == 0 && retry_at_ == kNever && !std::exchange(built_, true)) {
    unlisted_.clear();
    out_.log(LogLevel::kInfo, "assigns tasks",
             {{"tasks", std::to_string(tasks_.size())}, {"workers", std::to_string(workers_.size())}});
    for (const auto& [name, worker] : workers_) file_worker(name);
    std::vector<std::string> ids;
    for (const auto& [id, entry] : tasks_) ids.push_back(id);
    for (const std::string& id : ids) file(id);
  }
  assign();
}

// What is not there is watched by layout_. What may not be read is not taken for empty.
void TaskMaster::list(const char* path, void (TaskMaster::*then)(const ZkResult&)) {
  read(ZkChildren{path, true}, [this, path, then](const ZkResult& result) {
    if (result.code != ZkCode::kOk && result.code != ZkCode::kNoNode) return no_list(path, result.code);
    (this->*then)(result);
  });
}

// All begins anew then.
void TaskMaster::no_list(const char* path, ZkCode why) {
  if (std::exchange(unlisted_, path) != path)
    out_.log(LogLevel::kWarn, "cannot assign tasks", {{"path", path}, {"why", zk_code_name(why)}});
  retry_at_ = out_.now + kForbiddenRetry;
}

void TaskMaster::on_tasks(const ZkResult& result) {
  const std::vector<std::string>& ids = result.children;
  for (const std::string& id : std::exchange(notes_, {})) {
    if (!std::binary_search(ids.begin(), ids.end(), id))
      zk_.call(ZkDelete{task_note_path(id)}, [](const ZkResult&) {});
  }
  std::vector<std::string> gone;
  for (const auto& [id, entry] : tasks_) {
    if (!std::binary_search(ids.begin(), ids.end(), id)) gone.push_back(id);
  }
  for (const std::string& id : gone) forget_task(id);
  // More came and went than can be seen: some may be others of the same name.
  const size_t seen = gone.size() + (ids.size() - tasks_.size());
  const bool unseen = static_cast<size_t>(result.stat.children_version - tasks_version_) != seen;
  tasks_version_ = result.stat.children_version;
  for (const std::string& id : ids) {
    if (unseen || !tasks_.contains(id)) read_one_task(id);
  }
}

void TaskMaster::read_one_task(const std::string& id) {
  const uint64_t number = ++reads_;
  tasks_[id].reading = number;
  file(id);
  ++reading_;
  read_task(zk_, id, false, [this, era = era_, id, number](ZkCode code, Task task) {
    if (era != era_) return;
    if (zk_silent(code)) return put_off();
    on_task(id, number, code, std::move(task));
    read_done();
  });
}

// A later read that is under way tells of what came after this one.
void TaskMaster::on_task(const std::string& id, uint64_t number, ZkCode code, Task task) {
  const auto it = tasks_.find(id);
  if (it == tasks_.end() || it->second.reading != number) return;
  Entry& entry = it->second;
  entry.reading = 0;
  if (code != ZkCode::kOk) return bar(id, code);
  if (task.stat.created_zxid != entry.task.stat.created_zxid) entry.data_there = entry.failing = false;
  entry.task = std::move(task);
  if (!entry.task.there) {
    ++tasks_version_;  // the next list counts a deletion that is known already
    return forget_task(id);
  }
  if (!entry.task.over()) {
    entry.seen_open = true;
    expired_ -= std::exchange(entry.expired, false);
    set_expiry(id, entry, kNever);
    await_data(id);
  } else if (entry.expired) {
    if (!entry.barred && !entry.pending) remove(id);
  } else {
    if (entry.task.said_over()) entry.task.data = id + "=";  // that may be long
    if (entry.expires == kNever) set_expiry(id, entry, expiry(entry));
  }
  file(id);
}

// Of tasks that have a note the data came with the task, or it has been assigned before.
void TaskMaster::await_data(const std::string& id) {
  Entry& entry = tasks_.at(id);
  if (entry.task.noted || entry.data_there || entry.data_due != kNever) return;
  set_data_due(id, entry, out_.now + kTaskDataPatience);
  look_for_data(id, false);
}

// Only of what is not there a watch is of use.
void TaskMaster::look_for_data(const std::string& id, bool watch) {
  const auto then = [this, id, watch, era = era_](const ZkResult& result) {
    if (era != era_) return;
    if (zk_silent(result.code)) return put_off();
    on_data(id, watch, result.code);
    assign();
  };
  const ZkExists exists{task_data_path(id)};
  if (!watch) return zk_.call(exists, then);
  zk_.watch(exists, [then](const ZkResult& result, bool) { then(result); });
}

void TaskMaster::on_data(const std::string& id, bool watched, ZkCode code) {
  const auto it = tasks_.find(id);
  if (it == tasks_.end() || it->second.data_there) return;
  Entry& entry = it->second;
  if (code == ZkCode::kOk) {
    entry.data_there = true;
    set_data_due(id, entry, kNever);
  } else if (entry.data_due == kNever) {  // it has been awaited for long enough
    entry.failing = true;
  } else if (!watched) {
    look_for_data(id, true);
  }
  file(id);
}

void TaskMaster::set_data_due(const std::string& id, Entry& entry, Instant due) {
  if (entry.data_due != kNever) data_due_.erase({entry.data_due, id});
  entry.data_due = due;
  if (due != kNever) data_due_.emplace(due, id);
}

void TaskMaster::set_expiry(const std::string& id, Entry& entry, Instant expires) {
  if (entry.expires != kNever) expiring_.erase({entry.expires, id});
  entry.expires = expires;
  if (expires != kNever) expiring_.emplace(expires, id);
}

// Whoever removed the task may not know of notes.
void TaskMaster::forget_task(const std::string& id) {
  const auto it = tasks_.find(id);
  if (it->second.task.noted) zk_.call(ZkDelete{task_note_path(id)}, [](const ZkResult&) {});
  set_expiry(id, it->second, kNever);
  set_data_due(id, it->second, kNever);
  expired_ -= it->second.expired;
  if (it->second.filed) open_.erase({*it->second.filed, id});
  tasks_.erase(it);
}

void TaskMaster::on_workers(const ZkResult& result) {
  const std::vector<std::string>& names = result.children;
  std::vector<std::string> gone;
  for (const auto& [name, worker] : workers_) {
    if (!std::binary_search(names.begin(), names.end(), name)) gone.push_back(name);
  }
  for (const std::string& name : gone) forget_worker(name);
  for (const std::string& name : names) {
    if (workers_.contains(name)) continue;
    if (!out_.watches.take(watch_bytes(name))) {
      if (std::exchange(crowded_out_, name) != name)
        out_.log(LogLevel::kWarn, "more workers than this master can watch", {{"first_without_tasks", name}});
      list_workers_at_ = out_.now + kLongRetry;
      return;
    }
    read_worker(name);
  }
}

void TaskMaster::read_worker(const std::string& name) {
  const uint64_t number = ++reads_;
  workers_[name].reading = number;
  file_worker(name);
  read(ZkGet{worker_path(name), true},
       [this, name, number](const ZkResult& result) { on_worker(name, number, result); });
}

void TaskMaster::on_worker(const std::string& name, uint64_t number, const ZkResult& result) {
  const auto it = workers_.find(name);
  if (it == workers_.end() || it->second.reading != number) return;
  Worker& worker = it->second;
  worker.reading = 0;
  if (result.code != ZkCode::kOk) return forget_worker(name);
  worker.owner = result.stat.ephemeral_owner;
  worker.version = result.stat.version;
  worker.since = result.stat.modified_zxid;
  says(name, result.data);
  file_worker(name);
}

// A task that a worker no longer has is read: a worker writes the result before it calls itself idle, so that whoever
// has seen the latter sees the former.
void TaskMaster::says(const std::string& name, std::string data) {
  Worker& worker = workers_.at(name);
  const std::string before = std::exchange(worker.data, std::move(data));
  if (before == worker.data) return;
  if (!worker_idle(worker.data)) {
    ++held_[worker.data];
    file(worker.data);
  }
  if (worker_idle(before)) return;
  if (--held_.at(before) == 0) held_.erase(before);
  if (tasks_.contains(before)) read_one_task(before);
}

void TaskMaster::forget_worker(const std::string& name) {
  Worker& worker = workers_.at(name);
  says(name, "");
  if (worker.filed) free_.erase({*worker.filed, name});
  workers_.erase(name);
  out_.watches.give_back(watch_bytes(name));
}

void TaskMaster::on(const ZkWatchFired& message) {
  layout_.on(message);
  if (!used_ && message.path == kTasksPath) return look_for_use();
  candidacy_.on(message);
  if (!candidacy_.leading()) return;
  if (message.path == kTasksPath) return list(kTasksPath, &TaskMaster::on_tasks);
  if (message.path == kWorkersPath) return list(kWorkersPath, &TaskMaster::on_workers);
  const std::string name = message.path.substr(message.path.rfind('/') + 1);
  if (message.path == worker_path(name) && workers_.contains(name)) read_worker(name);
  if (message.path == task_data_path(name) && tasks_.contains(name)) look_for_data(name, false);
}

// ---- who gets what ----

// Where it belongs after any change of it.
void TaskMaster::file(const std::string& id) {
  const auto it = tasks_.find(id);
  if (it == tasks_.end() || !built_) return;
  Entry& entry = it->second;
  if (entry.filed) open_.erase({*entry.filed, id});
  entry.filed.reset();
  const bool open = entry.task.there && !entry.task.over() && entry.reading == 0 && !entry.pending &&
                    !entry.barred && !held_.contains(id);
  if (!open) return;
  if (!task_id_usable(id)) return fail(id, "failed: its id cannot be used");
  if (entry.task.note.attempt > entry.task.note.retries) return fail(id, kFailedWord);
  if (!entry.task.noted && !entry.data_there) {
    if (entry.failing) fail(id, fmt::format("failed: {} did not come", task_data_path(id)));
    return;
  }
  entry.filed = entry.task.stat.created_zxid;
  open_.emplace(*entry.filed, id);
}

void TaskMaster::file_worker(const std::string& name) {
  Worker& worker = workers_.at(name);
  if (worker.filed) free_.erase({*worker.filed, name});
  worker.filed.reset();
  if (worker.reading != 0 || worker.pending || worker.barred) return;
  const bool idle = worker_idle(worker.data);
  if (const Instant died = candidacy_.died(worker.owner); died != kNever) {
    const bool at_once = idle || mutated(Mutation::kTaskTakenAtOnce);
    return dismiss(name, at_once ? died : died + zookeeper_.timeout / 3);
  }
  if (!idle) return;
  worker.filed = worker.since;
  free_.emplace(worker.since, name);
}

// Of a dead server's. What it has can be given to another one then.
void TaskMaster::dismiss(const std::string& name, Instant due) {
  if (!built_) return;
  if (due > out_.now) {
    dismiss_at_ = std::min(dismiss_at_, due);
    return;
  }
  Worker& worker = workers_.at(name);
  worker.pending = true;
  ZkMulti multi;
  multi.ops = {check_contender(), ZkDelete{worker_path(name), worker.version}};
  zk_.call(std::move(multi), [this, era = era_, name](const ZkResult& result) {
    if (era != era_) return;
    if (zk_silent(result.code)) return put_off();
    on_dismissed(name, result);
  });
}

void TaskMaster::on_dismissed(const std::string& name, const ZkResult& result) {
  if (Candidacy::check_failed(result)) return candidacy_.look_again();
  const auto it = workers_.find(name);
  if (it == workers_.end()) return;
  it->second.pending = false;
  if (result.code == ZkCode::kOk)
    out_.log(LogLevel::kInfo, "has removed a worker of a dead server",
             {{"worker", name}, {"task", it->second.data}});
  it->second.barred = forbidden_at(result, 1);
  read_worker(name);
}

void TaskMaster::assign() {
  if (!built_) return;
  while (!open_.empty() && !free_.empty()) {
    const std::string id = open_.begin()->second;
    const std::string name = free_.begin()->second;
    assign(id, name);
  }
}

void TaskMaster::assign(const std::string& id, const std::string& name) {
  Entry& entry = tasks_.at(id);
  Worker& worker = workers_.at(name);
  TaskNote note = entry.task.note;
  ++note.attempt;
  note.worker = name;
  note.progress.clear();
  ZkMulti multi;
  multi.ops = {check_contender(), ZkSet{worker_path(name), id, worker.version},
               ZkCheck{task_path(id), entry.task.stat.version}, write_note(entry.task, note)};
  worker.pending = true;
  file_worker(name);
  change(id, std::move(multi),
         [this, id, name, note](const ZkResult& result) { on_assigned(id, name, note, result); });
}

// A read of that worker that is still under way was asked for later, and so tells of this or what came after it.
void TaskMaster::on_assigned(const std::string& id, const std::string& name, TaskNote note,
                             const ZkResult& result) {
  const bool done = result.code == ZkCode::kOk;
  if (const auto worker = workers_.find(name); worker != workers_.end()) {
    worker->second.pending = false;
    if (done) says(name, id);
    if (!done) read_worker(name);
  }
  if (forbidden_at(result, 1)) {
    if (const auto worker = workers_.find(name); worker != workers_.end()) worker->second.barred = true;
    if (tasks_.contains(id)) read_one_task(id);
    return;
  }
  if (!done) return refused(id, result);
  const auto it = tasks_.find(id);
  if (it == tasks_.end()) return;
  it->second.refusals = 0;
  it->second.task.note = std::move(note);
  it->second.task.noted = true;
  it->second.task.note_version = result.stats.back().version;
  file(id);
}

// Any transaction about that task, and only one at a time.
void TaskMaster::change(const std::string& id, ZkMulti multi, ZkCalls::Then then) {
  tasks_.at(id).pending = true;
  file(id);
  zk_.call(std::move(multi), [this, era = era_, id, then = std::move(then)](const ZkResult& result) {
    if (era != era_) return;
    if (zk_silent(result.code)) return put_off();
    if (const auto it = tasks_.find(id); it != tasks_.end()) it->second.pending = false;
    then(result);
    assign();
  });
}

// Somebody was faster: what is there now?
void TaskMaster::refused(const std::string& id, const ZkResult& result) {
  if (Candidacy::check_failed(result)) return candidacy_.look_again();
  const auto it = tasks_.find(id);
  if (it == tasks_.end()) return;
  const bool overtaken = result.code == ZkCode::kNoNode || result.code == ZkCode::kBadVersion ||
                         result.code == ZkCode::kNodeExists;
  if (!overtaken || ++it->second.refusals > kRefusalsMax) return stumble(id, result.code);
  zk_.make_path(kTaskNotesPath, [](ZkCode) {});  // that, too, may be what is missing
  read_one_task(id);
}

// It cannot be assigned, and so has failed. If it cannot be that either, it is left alone.
void TaskMaster::stumble(const std::string& id, ZkCode why) {
  Entry& entry = tasks_.at(id);
  if (entry.task.over() || std::exchange(entry.failing, true)) {
    bar(id, why);
    return read_one_task(id);
  }
  entry.refusals = 0;
  fail(id, fmt::format("failed: ZooKeeper refuses to have it assigned: {}", zk_code_name(why)));
}

void TaskMaster::bar(const std::string& id, ZkCode why) {
  Entry& entry = tasks_.at(id);
  entry.barred = true;
  expired_ -= std::exchange(entry.expired, false);
  out_.log(LogLevel::kWarn, "cannot read or change a task", {{"task", id}, {"why", zk_code_name(why)}});
}

// As a result, so that no client waits for ever and no other master takes it up.
void TaskMaster::fail(const std::string& id, const std::string& words, bool by_note) {
  const Entry& entry = tasks_.at(id);
  ZkMulti multi{{check_contender()}};
  add_failure(multi, entry.task, entry.task.note, words, by_note);
  change(id, std::move(multi), [this, id, words, by_note](const ZkResult& result) {
    if (!by_note && forbidden_at(result, 1) && tasks_.contains(id)) return fail(id, words, true);
    if (result.code != ZkCode::kOk) return refused(id, result);
    out_.log(LogLevel::kWarn, "a task has failed", {{"task", id}, {"why", words}});
    if (tasks_.contains(id)) read_one_task(id);
  });
}

// ---- what is over ----

Instant TaskMaster::expiry(const Entry& entry) const {
  if (entry.seen_open) return out_.now + kTaskRetention;
  const int64_t ensemble_ms = candidacy_.created_ms() + to_ms(out_.now - candidacy_.created_at());
  const Duration age = milliseconds(ensemble_ms - entry.task.stat.modified_ms);
  return out_.now + kTaskRetention - std::clamp(age, Duration(0), Duration(kTaskRetention));
}

// The data first: it is looked for by nobody once the task is gone.
void TaskMaster::remove(const std::string& id) {
  const Entry& entry = tasks_.at(id);
  zk_.call(ZkDelete{task_data_path(id)}, [](const ZkResult&) {});
  ZkMulti multi;
  multi.ops = {check_contender(), ZkDelete{task_path(id), entry.task.stat.version}};
  if (entry.task.noted) multi.ops.push_back(ZkDelete{task_note_path(id)});
  change(id, std::move(multi), [this, id](const ZkResult& result) {
    if (result.code != ZkCode::kOk) return refused(id, result);
    if (const auto it = tasks_.find(id); it != tasks_.end()) it->second.task.noted = false;
  });
}

void TaskMaster::on_time() {
  if (look_at_ <= out_.now) look_for_use();
  layout_.on_time();
  candidacy_.on_time();
  if (retry_at_ <= out_.now && candidacy_.leading()) rebuild();
  if (dismiss_at_ <= out_.now) {
    dismiss_at_ = kNever;
    for (const auto& [name, worker] : workers_) file_worker(name);
  }
  if (list_workers_at_ <= out_.now) {
    list_workers_at_ = kNever;
    list(kWorkersPath, &TaskMaster::on_workers);
  }
  while (!data_due_.empty() && data_due_.begin()->first <= out_.now) {
    const std::string id = data_due_.begin()->second;
    set_data_due(id, tasks_.at(id), kNever);
    look_for_data(id, false);
  }
  while (next_expiry() <= out_.now) {
    const std::string id = expiring_.begin()->second;
    Entry& entry = tasks_.at(id);
    set_expiry(id, entry, kNever);
    if (entry.barred) continue;
    expired_ += !std::exchange(entry.expired, true);
    read_one_task(id);  // is it still what it was?
  }
}

Instant TaskMaster::next_expiry() const {
  if (expired_ >= kRemovalsAtOnce) return kNever;  // one that goes makes room
  if (expiring_.size() > limits::kTasksKept) return out_.now;
  return expiring_.empty() ? kNever : expiring_.begin()->first;
}

Instant TaskMaster::deadline() const {
  const Instant data_due = data_due_.empty() ? kNever : data_due_.begin()->first;
  return std::min({layout_.deadline(), candidacy_.deadline(), retry_at_, look_at_, dismiss_at_,
                   list_workers_at_, next_expiry(), data_due});
}

}  // namespace kvd
