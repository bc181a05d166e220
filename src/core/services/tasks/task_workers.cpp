// See task_workers.hpp.
#include "core/services/tasks/task_workers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "core/services/zk_refusal.hpp"
#include "msg/name_rules.hpp"

namespace kvd {
namespace {

constexpr Duration kWorkerRefusedRetry = seconds(1);
constexpr char kTaken[] = "there is a worker of that name";

Document task_line(const char* state, std::string_view id) {
  return Document().add("state", state).add("id", id);
}

Document state_line(std::string_view data) {
  return worker_idle(data) ? Document().add("state", "idle") : task_line("assigned", data);
}

// Of a worker's watches: on itself, its task, and the data of that.
size_t watch_bytes(const Outbox& out, const std::string& name) {
  return out.watches.bytes_of(name) + 2 * (out.watches.bytes_of("") + kTaskNameBytes);
}

Document worker_shown(std::string_view name) { return Document().add("worker", name); }

}  // namespace

TaskWorkers::TaskWorkers(Outbox& out, ZkCalls& zk)
    : out_(out),
      zk_(zk),
      workers_(
          out,
          {.find = [this](const auto& name) { go_on(name); },
           .check = {},
           .remove = [this](const auto& name) { leave(name); },
           .end_calls = [this](const auto& name, const auto& answer) { return end_calls(name, answer); },
           .unasked = [this](const auto& name, uint64_t token) { workers_.at(name).asking.erase(token); },
           .forgotten =
               [this](const auto& name, Worker& worker) {
                 assigned(name, worker, "", 0);
                 wake(name);
               }}) {}

void TaskWorkers::reply(uint64_t token, ServiceAnswer answer) { workers_.reply(token, std::move(answer)); }

// What is said on behalf of a worker as it was before it was put off is not heard of any more.
void TaskWorkers::call(const std::string& name, ZkRequest request,
                       std::function<void(Worker&, const ZkResult&)> then) {
  const uint64_t era = workers_.at(name).era;
  zk_.call(std::move(request), [this, name, era, then = std::move(then)](const ZkResult& result) {
    Worker* worker = workers_.find(name);
    if (worker == nullptr || worker->era != era) return;
    if (zk_silent(result.code)) return put_off(name);
    then(*worker, result);
  });
}

void TaskWorkers::put_off(const std::string& name, Duration pause) {
  workers_.at(name).era = ++eras_;
  workers_.put_off(name, pause);
}

// ---- a name, and the znode that stands for it ----

void TaskWorkers::enroll(const ServiceAsked& asked, std::string name) {
  candidates_[asked.token] = {std::move(name), asked.holder, asked.streams, asked.until > out_.now,
                              asked.until};
  claim(asked.token);
}

void TaskWorkers::claim(uint64_t token) {
  const Candidate& candidate = candidates_.at(token);
  const Worker* worker = workers_.find(candidate.name);
  if (worker == nullptr) {
    Worker made;
    made.holder = candidate.holder;
    made.watch_bytes = watch_bytes(out_, candidate.name);
    made.era = ++eras_;
    made.candidate = token;
    if (workers_.add(candidate.name, std::move(made))) return make(std::string(candidate.name));
    return refuse(token, {ServiceStatus::kUnavailable, kWatchesFull});
  }
  if (worker->holder == candidate.holder && worker->phase == Phase::kStanding && !worker->over) {
    reply(token, {ServiceStatus::kCreated, worker_shown(candidate.name)});
    candidates_.erase(token);
    return;
  }
  waiting_[candidate.name].insert(token);
  if (worker->holder != candidate.holder) refuse_late(token);
}

// Whoever would not wait for the name, or no longer.
void TaskWorkers::refuse_late(uint64_t token) {
  const Candidate& candidate = candidates_.at(token);
  if (candidate.until > out_.now) {
    due_ = std::min(due_, candidate.until);
  } else {
    refuse(token, {candidate.waits ? ServiceStatus::kNotInTime : ServiceStatus::kConflict, kTaken});
  }
}

void TaskWorkers::refuse(uint64_t token, const ServiceAnswer& answer) {
  const std::string name = candidates_.at(token).name;
  candidates_.erase(token);
  waiting_[name].erase(token);
  if (waiting_[name].empty()) waiting_.erase(name);
  reply(token, answer);
  const Worker* worker = workers_.find(name);
  if (worker != nullptr && worker->candidate == token) workers_.give_up(name);
}

void TaskWorkers::make(const std::string& name) {
  Worker& worker = workers_.at(name);
  worker.phase = Phase::kMaking;
  const bool before = std::exchange(worker.maybe_made, true);
  call(name, ZkCreate{worker_path(name), kIdle, ZkMode::kEphemeral},
       [this, name, before](Worker&, const ZkResult& result) { on_made(name, result, before); });
}

void TaskWorkers::on_made(const std::string& name, const ZkResult& result, bool maybe_before) {
  Worker& worker = workers_.at(name);
  if (result.code == ZkCode::kOk) return stand(name);
  worker.maybe_made = maybe_before;
  if (result.code == ZkCode::kNodeExists) return inspect(name);
  if (worker.over) return workers_.forget(name);
  if (result.code == ZkCode::kNoNode && !std::exchange(worker.made_path, true)) {
    return zk_.make_path(kWorkersPath, [this, name, era = worker.era](ZkCode code) {
      const Worker* same = workers_.find(name);
      if (same == nullptr || same->era != era) return;
      const bool forbidden = code != ZkCode::kOk && !zk_silent(code) && !same->over;
      forbidden ? not_made(name, code) : inspect(name);
    });
  }
  not_made(name, result.code);
}

void TaskWorkers::not_made(const std::string& name, ZkCode why) {
  Worker& worker = workers_.at(name);
  worker.phase = Phase::kTaken;  // there is nothing of ours to be removed
  refuse(*worker.candidate, zk_refusal(why, true));
}

// The sync: one of ours that is overlooked would be a worker that never works.
void TaskWorkers::inspect(const std::string& name) {
  zk_.call(ZkSync{worker_path(name)}, [](const ZkResult&) {});
  call(name, ZkExists{worker_path(name), true}, [this, name](Worker& worker, const ZkResult& result) {
    if (result.code != ZkCode::kOk) return worker.over ? workers_.forget(name) : make(name);
    if (worker.maybe_made && result.stat.ephemeral_owner == workers_.session()) return stand(name);
    if (worker.over) return workers_.forget(name);
    worker.phase = Phase::kTaken;
    refuse_late(*worker.candidate);
  });
}

void TaskWorkers::stand(const std::string& name) {
  Worker& worker = workers_.at(name);
  worker.phase = Phase::kStanding;
  if (worker.over) return remove(name);
  const uint64_t token = *std::exchange(worker.candidate, std::nullopt);
  const bool streams = candidates_.at(token).streams;
  candidates_.erase(token);
  if (streams) {
    workers_.streams().open(name, token);
    workers_.streams().say(name, worker_shown(name));
  } else {
    reply(token, {ServiceStatus::kCreated, worker_shown(name)});
  }
  look(name);
  wake(name);
}

void TaskWorkers::wake(const std::string& name) {
  const auto it = waiting_.find(name);
  if (it == waiting_.end()) return;
  const std::set<uint64_t> tokens = std::move(it->second);
  waiting_.erase(it);
  for (const uint64_t token : tokens) {
    if (candidates_.contains(token)) claim(token);
  }
}

void TaskWorkers::remove(const std::string& name) {
  Worker& worker = workers_.at(name);
  worker.phase = Phase::kRemoving;
  worker.era = ++eras_;
  call(name, ZkDelete{worker_path(name)}, [this, name](Worker&, const ZkResult&) { workers_.forget(name); });
}

// ---- the end of one ----

bool TaskWorkers::end_calls(const std::string& name, const ServiceAnswer& answer) {
  Worker& worker = workers_.at(name);
  for (const auto& [token, until] : std::exchange(worker.asking, {})) workers_.reply(token, answer);
  if (worker.candidate) refuse(*worker.candidate, answer);
  return true;
}

void TaskWorkers::leave(const std::string& name) {
  Worker& worker = workers_.at(name);
  worker.candidate.reset();
  end_calls(name, {ServiceStatus::kGone, "the connection was closed"});
  if (worker.phase == Phase::kTaken) {
    out_.watches.leave_behind(worker_path(name));
    return workers_.forget(name);
  }
  if (worker.phase == Phase::kStanding && !workers_.is_adrift(name)) remove(name);
}

// ---- what it is to do ----

void TaskWorkers::look(const std::string& name) {
  call(name, ZkGet{worker_path(name), true},
       [this, name](Worker& worker, const ZkResult& result) { on_looked(name, worker, result); });
}

void TaskWorkers::on_looked(const std::string& name, Worker& worker, const ZkResult& result) {
  if (worker.over) return;
  if (result.code != ZkCode::kOk) return workers_.lose(name, kZnodeDeleted);
  if (result.stat.ephemeral_owner != workers_.session())
    return workers_.lose(name, "its znode is another one's");
  if (!worker.known || result.stat.modified_zxid != worker.fence)
    assigned(name, worker, result.data, result.stat.modified_zxid);
  worker.known = true;
  worker.version = result.stat.version;
  workers_.streams().repeat(name, state_line(worker.data));
  if (!worker_idle(worker.data) && !worker.task) return read_its_task(name);
  serve(name, worker);
}

void TaskWorkers::assigned(const std::string& name, Worker& worker, std::string data, int64_t fence) {
  const auto [begin, end] = by_task_.equal_range(worker.data);
  const auto former = std::find_if(begin, end, [&](const auto& one) { return one.second == name; });
  if (former != end) by_task_.erase(former);
  worker.data = std::move(data);
  worker.fence = fence;
  worker.task.reset();
  worker.task_data.clear();
  worker.data_due = kNever;
  worker.handed = worker.told = false;
  if (!worker_idle(worker.data)) by_task_.emplace(worker.data, name);
}

void TaskWorkers::read_its_task(const std::string& name) {
  const std::string id = workers_.at(name).data;
  const int64_t fence = workers_.at(name).fence;
  const auto found = std::make_shared<std::pair<ZkCode, Task>>();
  read_task(zk_, id, true, [found](ZkCode code, Task task) { *found = {code, std::move(task)}; });
  call(name, ZkGet{task_data_path(id)}, [this, name, fence, found](Worker& worker, const ZkResult& result) {
    if (worker.fence != fence || worker.over) return;
    if (zk_silent(found->first)) return put_off(name);
    on_data(name, worker, std::move(found->second), result);
  });
}

// A client may make its task first and then the data: without it nothing can be done yet.
void TaskWorkers::on_data(const std::string& name, Worker& worker, Task task, const ZkResult& result) {
  worker.task = std::move(task);
  worker.open = worker.task->there && !worker.task->over();
  worker.task->data.clear();  // that may be long
  if (worker.open && result.code == ZkCode::kNoNode) return await_data(name, worker);
  if (worker.open && result.code != ZkCode::kOk)
    return fail_task(name, fmt::format("failed: {} cannot be read: {}", task_data_path(worker.data),
                                       zk_code_name(result.code)));
  worker.task_data = result.data;
  serve(name, worker);
}

void TaskWorkers::await_data(const std::string& name, Worker& worker) {
  if (worker.data_due == kNever) worker.data_due = out_.now + kTaskDataPatience;
  if (worker.data_due <= out_.now)
    return fail_task(name, fmt::format("failed: {} did not come", task_data_path(worker.data)));
  due_ = std::min(due_, worker.data_due);
  worker.task.reset();
  call(name, ZkExists{task_data_path(worker.data), true},
       [this, name](Worker& again, const ZkResult& exists) {
         if (exists.code == ZkCode::kOk && !again.task && !worker_idle(again.data)) read_its_task(name);
       });
}

// It goes on with the next one then. What somebody did to either meanwhile is looked at again.
void TaskWorkers::fail_task(const std::string& name, const std::string& words, bool by_note) {
  const Worker& worker = workers_.at(name);
  TaskNote note = worker.task->note;
  note.worker = name;
  ZkMulti multi{{ZkSet{worker_path(name), kIdle, worker.version}}};
  add_failure(multi, *worker.task, note, words, by_note);
  call(name, std::move(multi), [this, name, words, by_note](Worker& same, const ZkResult& result) {
    if (result.code == ZkCode::kOk)
      out_.log(LogLevel::kWarn, "a task has failed", {{"task", same.data}, {"why", words}});
    if (!by_note && forbidden_at(result, 1) && same.task) return fail_task(name, words, true);
    const bool looks = result.code == ZkCode::kOk || result.code == ZkCode::kBadVersion;
    looks ? look(name) : set_idle(name, same);
  });
}

// Tells all who ask what is known.
void TaskWorkers::serve(const std::string& name, Worker& worker) {
  if (worker_idle(worker.data)) return answer_late(worker);
  if (!worker.open) {
    if (worker.handed && !std::exchange(worker.told, true))
      workers_.streams().tell(name, task_line("cancel", worker.data));
    if (!worker.handed || !worker.asking.empty()) set_idle(name, worker);
    return;
  }
  if (worker.asking.empty()) return;
  worker.handed = true;
  const Document document = Document()
                                .add("id", worker.data)
                                .add("attempt", worker.task->note.attempt)
                                .add("fence", worker.fence)
                                .add("kind", worker.task->note.kind)
                                .add("data", Octets{worker.task_data});
  for (const auto& [token, until] : std::exchange(worker.asking, {})) {
    reply(token, {ServiceStatus::kOk, document});
  }
}

// Those who may wait no longer.
void TaskWorkers::answer_late(Worker& worker) {
  for (auto it = worker.asking.begin(); it != worker.asking.end();) {
    const auto [token, until] = *it;
    if (until > out_.now) {
      due_ = std::min(due_, until);
      ++it;
      continue;
    }
    it = worker.asking.erase(it);
    reply(token, ServiceStatus::kDone);
  }
}

void TaskWorkers::set_idle(const std::string& name, Worker& worker) {
  call(name, ZkSet{worker_path(name), kIdle, worker.version}, [this, name](Worker&, const ZkResult& result) {
    const bool refused = result.code != ZkCode::kOk && result.code != ZkCode::kBadVersion;
    refused ? put_off(name, kWorkerRefusedRetry) : look(name);
  });
}

void TaskWorkers::next(const ServiceAsked& asked, const std::string& name) {
  if (workers_.find(name) == nullptr || workers_.at(name).over || workers_.at(name).phase != Phase::kStanding)
    return reply(asked.token, {ServiceStatus::kGone, "there is no such worker on this server, or no more"});
  Worker& worker = workers_.at(name);
  if (worker.holder != asked.holder && (asked.holder != HolderId() || !workers_.streams().has(name)))
    return reply(asked.token, {ServiceStatus::kGone, "the client's session has no such worker"});
  workers_.ask(asked.token, name);
  worker.asking[asked.token] = asked.until;
  if (worker.known && (worker_idle(worker.data) || worker.task)) {
    serve(name, worker);
  } else {
    due_ = std::min(due_, asked.until);
  }
}

std::string TaskWorkers::who_has(const std::string& id, int64_t fence) const {
  const auto [begin, end] = by_task_.equal_range(id);
  const auto it =
      std::find_if(begin, end, [&](const auto& one) { return workers_.at(one.second).fence == fence; });
  return it == end ? std::string() : it->second;
}

std::optional<std::pair<const Task*, int32_t>> TaskWorkers::open_task(const std::string& name) const {
  const Worker& worker = workers_.at(name);
  if (!worker.task || !worker.open) return std::nullopt;
  return std::pair(&*worker.task, worker.version);
}

// ---- what happens ----

void TaskWorkers::on(const ServiceDropped& message) {
  if (candidates_.contains(message.token))
    return refuse(message.token, {ServiceStatus::kGone, "the connection was closed"});
  workers_.on(message);
}

void TaskWorkers::on(const HoldersEnded& message) {
  workers_.on(message);
  const std::set<HolderId> ended(message.holders.begin(), message.holders.end());
  std::vector<uint64_t> waiting;
  for (const auto& [token, candidate] : candidates_) {
    if (ended.contains(candidate.holder)) waiting.push_back(token);
  }
  for (const uint64_t token : waiting) {
    if (candidates_.contains(token)) refuse(token, {ServiceStatus::kGone, message.why});
  }
}

// A task's znode tells that something was done to it, the worker's znode whether that was our doing.
void TaskWorkers::on(const ZkWatchFired& message) {
  const size_t slash = message.path.rfind('/');
  const std::string name = message.path.substr(slash + 1);
  if (message.path == worker_path(name)) {
    Worker* worker = workers_.find(name);
    if (worker == nullptr) return;
    if (worker->phase == Phase::kStanding) look(name);
    if (worker->phase != Phase::kTaken) return;
    worker->era = ++eras_;  // two looks at once would both make it, and it would stand twice
    inspect(name);
    return;
  }
  if (message.path != task_path(name) && message.path != task_data_path(name)) return;
  const auto [begin, end] = by_task_.equal_range(name);
  for (auto it = begin; it != end; ++it) {
    workers_.at(it->second).task.reset();
    look(it->second);
  }
}

// With the session end all its znodes.
void TaskWorkers::on(const ZkSessionChanged& message) {
  const bool other = workers_.on(message);
  if (!workers_.connected()) return;
  for (const std::string& name : workers_.keys()) {
    Worker& worker = workers_.at(name);
    worker.era = ++eras_;
    if (other && (worker.over || worker.phase == Phase::kStanding)) {
      workers_.lose(name, "the ZooKeeper session ended");
    } else {
      go_on(name);
    }
  }
}

void TaskWorkers::go_on(const std::string& name) {
  Worker& worker = workers_.at(name);
  workers_.forget_adrift(name);
  if (worker.over && !worker.leaves) return;  // not yet
  if (worker.phase == Phase::kStanding && !worker.over) {
    worker.task.reset();  // its watch may have missed something
    look(name);
  } else {
    inspect(name);
  }
}

// Looked through only when the earliest moment that was ever given since the last look has passed.
void TaskWorkers::on_time() {
  workers_.on_time();
  if (due_ > out_.now) return;
  for (const std::string& name : workers_.keys()) {
    Worker& worker = workers_.at(name);
    if (worker.known) answer_late(worker);
    if (worker.data_due <= out_.now && !worker.over) read_its_task(name);
  }
  std::vector<uint64_t> late;
  for (const auto& [token, candidate] : candidates_) {
    const Worker* worker = workers_.find(candidate.name);
    const bool makes = worker != nullptr && worker->candidate == token;
    const bool waits = !makes || worker->phase == Phase::kTaken;
    if (candidate.until <= out_.now && waits) late.push_back(token);
  }
  for (const uint64_t token : late) {
    if (candidates_.contains(token)) refuse_late(token);  // to refuse one may have refused others
  }
  due_ = next_due();
}

Instant TaskWorkers::next_due() const {
  Instant next = kNever;
  for (const auto& [name, worker] : workers_.all()) {
    if (!worker.known) continue;
    if (worker.data_due > out_.now) next = std::min(next, worker.data_due);
    for (const auto& [token, until] : worker.asking) next = std::min(next, until);
  }
  for (const auto& [token, candidate] : candidates_) {
    if (candidate.until > out_.now) next = std::min(next, candidate.until);
  }
  return next;
}

Instant TaskWorkers::deadline() const { return std::min(due_, workers_.deadline()); }

}  // namespace kvd
