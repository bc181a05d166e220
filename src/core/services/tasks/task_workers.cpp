// See task_workers.hpp.
#include "core/services/tasks/task_workers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/json_writer.hpp"
#include "core/services/zk_refusal.hpp"
#include "msg/name_rules.hpp"

namespace kvd {
namespace {

constexpr Duration kRefusedRetry = seconds(1);
constexpr char kTaken[] = "there is a worker of that name";

std::string task_line(const char* state, std::string_view id) {
  JsonWriter json;
  return json.begin_object().member("state", state).member("id", id).end_object().take();
}

std::string state_line(std::string_view data) {
  return worker_idle(data) ? R"({"state":"idle"})" : task_line("assigned", data);
}

// Of a worker's watches: on itself, its task, and the data of that.
size_t watch_bytes(const Outbox& out, const std::string& name) {
  return out.watches.bytes_of(name) + 2 * (out.watches.bytes_of("") + kTaskNameBytes);
}

std::string worker_json(std::string_view name) {
  JsonWriter json;
  return json.begin_object().member("worker", name).end_object().take();
}

}  // namespace

// What is said on behalf of a worker as it was before it was put off is not heard of any more.
void TaskWorkers::call(const std::string& name, ZkRequest request,
                       std::function<void(Worker&, const ZkResult&)> then) {
  const uint64_t era = workers_.at(name).era;
  zk_.call(std::move(request), [this, name, era, then = std::move(then)](const ZkResult& result) {
    const auto it = workers_.find(name);
    if (it == workers_.end() || it->second.era != era) return;
    if (zk_silent(result.code)) return put_off(it->second);
    then(it->second, result);
  });
}

void TaskWorkers::put_off(Worker& worker, Duration pause) {
  worker.era = ++eras_;
  worker.adrift = true;
  if (connected_) retry_at_ = std::min(retry_at_, out_.now + pause);
}

std::vector<std::string> TaskWorkers::names() const {
  std::vector<std::string> all;
  for (const auto& [name, worker] : workers_) all.push_back(name);
  return all;
}

// ---- a name, and the znode that stands for it ----

void TaskWorkers::enroll(const ServiceAsked& asked, std::string name) {
  candidates_[asked.token] = {std::move(name), asked.holder, asked.streams, asked.until > out_.now,
                              asked.until};
  claim(asked.token);
}

void TaskWorkers::claim(uint64_t token) {
  const Candidate& candidate = candidates_.at(token);
  const auto it = workers_.find(candidate.name);
  if (it == workers_.end()) {
    if (!out_.watches.take(watch_bytes(out_, candidate.name)))
      return refuse(token, ServiceStatus::kUnavailable, kWatchesFull);
    Worker& made = workers_[candidate.name];
    made.holder = candidate.holder;
    made.era = ++eras_;
    made.candidate = token;
    by_holder_.emplace(made.holder, candidate.name);
    return make(std::string(candidate.name));
  }
  Worker& worker = it->second;
  if (worker.holder == candidate.holder && worker.phase == Phase::kStanding && !worker.over) {
    candidates_.erase(token);
    return reply_(token, ServiceStatus::kCreated, worker_json(it->first));
  }
  waiting_[candidate.name].insert(token);
  if (worker.holder != candidate.holder) refuse_late(token);
}

// Whoever would not wait for the name, or no longer.
void TaskWorkers::refuse_late(uint64_t token) {
  const Candidate& candidate = candidates_.at(token);
  if (candidate.until > out_.now) {
    due_ = std::min(due_, candidate.until);
  } else {
    refuse(token, candidate.waits ? ServiceStatus::kNotInTime : ServiceStatus::kConflict, kTaken);
  }
}

void TaskWorkers::refuse(uint64_t token, ServiceStatus status, const std::string& why) {
  const std::string name = candidates_.at(token).name;
  candidates_.erase(token);
  waiting_[name].erase(token);
  if (waiting_[name].empty()) waiting_.erase(name);
  reply_(token, status, why);
  const auto it = workers_.find(name);
  if (it != workers_.end() && it->second.candidate == token) give_up(name);
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
  if (worker.over) return erase(name);
  if (result.code == ZkCode::kNoNode && !std::exchange(worker.made_path, true)) {
    return zk_.make_path(kWorkersPath, [this, name, era = worker.era](ZkCode code) {
      const auto it = workers_.find(name);
      if (it == workers_.end() || it->second.era != era) return;
      const bool forbidden = code != ZkCode::kOk && !zk_silent(code) && !it->second.over;
      forbidden ? not_made(name, code) : inspect(name);
    });
  }
  not_made(name, result.code);
}

void TaskWorkers::not_made(const std::string& name, ZkCode why) {
  Worker& worker = workers_.at(name);
  worker.phase = Phase::kTaken;  // there is nothing of ours to be removed
  const ServiceAnswer answer = zk_refusal(why, true);
  refuse(*worker.candidate, answer.status, answer.text);
}

// The sync: one of ours that is overlooked would be a worker that never works.
void TaskWorkers::inspect(const std::string& name) {
  zk_.call(ZkSync{worker_path(name)}, [](const ZkResult&) {});
  call(name, ZkExists{worker_path(name), true}, [this, name](Worker& worker, const ZkResult& result) {
    if (result.code != ZkCode::kOk) return worker.over ? erase(name) : make(name);
    if (worker.maybe_made && result.stat.ephemeral_owner == session_) return stand(name);
    if (worker.over) return erase(name);
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
    streams_.open(name, token);
    streams_.say(name, worker_json(name));
  } else {
    reply_(token, ServiceStatus::kCreated, worker_json(name));
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
  call(name, ZkDelete{worker_path(name)}, [this, name](Worker&, const ZkResult&) { erase(name); });
}

void TaskWorkers::erase(const std::string& name) {
  assigned(name, workers_.at(name), "", 0);
  by_holder_.erase({workers_.at(name).holder, name});
  workers_.erase(name);
  streams_.forget(name);
  out_.watches.give_back(watch_bytes(out_, name));
  wake(name);
}

// ---- the end of one ----

void TaskWorkers::end_calls(Worker& worker, const std::string& why) {
  for (const auto& [token, until] : std::exchange(worker.asking, {})) {
    tokens_.erase(token);
    reply_(token, ServiceStatus::kGone, why);
  }
}

// Its client hears of it first; the znode goes when the client has let go, or after the grace.
void TaskWorkers::take_back(const std::string& name, const std::string& why, Duration grace) {
  Worker& worker = workers_.at(name);
  if (worker.over) return;
  end_calls(worker, why);
  if (worker.candidate) return refuse(*worker.candidate, ServiceStatus::kGone, why);
  if (!streams_.part(name, why, grace)) return give_up(name);
  worker.over = true;
}

void TaskWorkers::give_up(const std::string& name) {
  Worker& worker = workers_.at(name);
  worker.over = worker.leaves = true;
  worker.candidate.reset();
  if (worker.phase == Phase::kTaken) {
    out_.watches.leave_behind(worker_path(name));
    return erase(name);
  }
  if (worker.phase == Phase::kStanding && !worker.adrift) remove(name);
}

void TaskWorkers::lose(const std::string& name, const std::string& why) {
  end_calls(workers_.at(name), why);
  streams_.end_lost(name, why);
  erase(name);
}

// ---- what it is to do ----

void TaskWorkers::look(const std::string& name) {
  call(name, ZkGet{worker_path(name), true},
       [this, name](Worker& worker, const ZkResult& result) { on_looked(name, worker, result); });
}

void TaskWorkers::on_looked(const std::string& name, Worker& worker, const ZkResult& result) {
  if (worker.over) return;
  if (result.code != ZkCode::kOk) return lose(name, "its znode was deleted");
  if (result.stat.ephemeral_owner != session_) return lose(name, "its znode is another one's");
  if (!worker.known || result.stat.modified_zxid != worker.fence)
    assigned(name, worker, result.data, result.stat.modified_zxid);
  worker.known = true;
  worker.version = result.stat.version;
  streams_.repeat(name, state_line(worker.data));
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
    if (zk_silent(found->first)) return put_off(worker);
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
      streams_.tell(name, task_line("cancel", worker.data));
    if (!worker.handed || !worker.asking.empty()) set_idle(name, worker);
    return;
  }
  if (worker.asking.empty()) return;
  worker.handed = true;
  JsonWriter json;
  json.begin_object().member("id", worker.data).member("attempt", worker.task->note.attempt);
  json.member("fence", worker.fence).member("kind", worker.task->note.kind);
  json.bytes_member("data", worker.task_data);
  const std::string words = json.end_object().take();
  for (const auto& [token, until] : std::exchange(worker.asking, {})) {
    tokens_.erase(token);
    reply_(token, ServiceStatus::kOk, words);
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
    tokens_.erase(token);
    reply_(token, ServiceStatus::kDone, "");
  }
}

void TaskWorkers::set_idle(const std::string& name, Worker& worker) {
  call(name, ZkSet{worker_path(name), kIdle, worker.version},
       [this, name](Worker& same, const ZkResult& result) {
         const bool refused = result.code != ZkCode::kOk && result.code != ZkCode::kBadVersion;
         refused ? put_off(same, kRefusedRetry) : look(name);
       });
}

void TaskWorkers::next(const ServiceAsked& asked, const std::string& name) {
  const auto it = workers_.find(name);
  if (it == workers_.end() || it->second.over || it->second.phase != Phase::kStanding)
    return reply_(asked.token, ServiceStatus::kGone, "there is no such worker on this server, or no more");
  Worker& worker = it->second;
  if (worker.holder != asked.holder && (asked.holder != HolderId() || !streams_.has(name)))
    return reply_(asked.token, ServiceStatus::kGone, "the client's session has no such worker");
  tokens_[asked.token] = name;
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
    return refuse(message.token, ServiceStatus::kGone, "the connection was closed");
  if (const auto held = streams_.dropped(message.token)) {
    end_calls(workers_.at(*held), "the connection was closed");
    return give_up(*held);
  }
  const auto it = tokens_.find(message.token);
  if (it == tokens_.end()) return;
  workers_.at(it->second).asking.erase(message.token);
  tokens_.erase(it);
}

void TaskWorkers::on(const HoldersEnded& message) {
  std::vector<std::string> theirs;
  for (const HolderId holder : message.holders) {
    for (auto it = by_holder_.lower_bound({holder, ""}); it != by_holder_.end() && it->first == holder; ++it)
      theirs.push_back(it->second);
  }
  for (const std::string& name : theirs) take_back(name, message.why, message.grace);
  const std::set<HolderId> ended(message.holders.begin(), message.holders.end());
  std::vector<uint64_t> waiting;
  for (const auto& [token, candidate] : candidates_) {
    if (ended.contains(candidate.holder)) waiting.push_back(token);
  }
  for (const uint64_t token : waiting) {
    if (candidates_.contains(token)) refuse(token, ServiceStatus::kGone, message.why);
  }
}

// A task's znode tells that something was done to it, the worker's znode whether that was our doing.
void TaskWorkers::on(const ZkWatchFired& message) {
  const size_t slash = message.path.rfind('/');
  const std::string name = message.path.substr(slash + 1);
  if (message.path == worker_path(name)) {
    const auto it = workers_.find(name);
    if (it == workers_.end()) return;
    if (it->second.phase == Phase::kStanding) look(name);
    if (it->second.phase != Phase::kTaken) return;
    it->second.era = ++eras_;  // two looks at once would both make it, and it would stand twice
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
  connected_ = message.state == ZkState::kConnected;
  if (!connected_) return;
  const bool other = std::exchange(session_, message.session) != message.session;
  for (const std::string& name : names()) {
    Worker& worker = workers_.at(name);
    worker.era = ++eras_;
    if (other && (worker.over || worker.phase == Phase::kStanding)) {
      lose(name, "the ZooKeeper session ended");
    } else {
      go_on(name);
    }
  }
}

void TaskWorkers::go_on(const std::string& name) {
  Worker& worker = workers_.at(name);
  worker.adrift = false;
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
  if (retry_at_ <= out_.now) {
    retry_at_ = kNever;
    for (const std::string& name : names()) {
      const auto it = workers_.find(name);
      if (it != workers_.end() && it->second.adrift) go_on(name);
    }
  }
  for (const std::string& name : streams_.on_time()) give_up(name);
  if (due_ > out_.now) return;
  for (auto& [name, worker] : workers_) {
    if (worker.known) answer_late(worker);
    if (worker.data_due <= out_.now && !worker.over) read_its_task(name);
  }
  std::vector<uint64_t> late;
  for (const auto& [token, candidate] : candidates_) {
    const auto worker = workers_.find(candidate.name);
    const bool makes = worker != workers_.end() && worker->second.candidate == token;
    const bool waits = !makes || worker->second.phase == Phase::kTaken;
    if (candidate.until <= out_.now && waits) late.push_back(token);
  }
  for (const uint64_t token : late) {
    if (candidates_.contains(token)) refuse_late(token);  // to refuse one may have refused others
  }
  due_ = next_due();
}

Instant TaskWorkers::next_due() const {
  Instant next = kNever;
  for (const auto& [name, worker] : workers_) {
    if (!worker.known) continue;
    if (worker.data_due > out_.now) next = std::min(next, worker.data_due);
    for (const auto& [token, until] : worker.asking) next = std::min(next, until);
  }
  for (const auto& [token, candidate] : candidates_) {
    if (candidate.until > out_.now) next = std::min(next, candidate.until);
  }
  return next;
}

Instant TaskWorkers::deadline() const { return std::min({due_, retry_at_, streams_.deadline()}); }

}  // namespace kvd
