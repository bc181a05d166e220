// See tasks.hpp.
#include "core/services/tasks/tasks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/json_writer.hpp"
#include "base/utf8.hpp"
#include "core/mutation.hpp"
#include "core/services/parameters.hpp"
#include "core/services/zk_refusal.hpp"

namespace kvd {
namespace {

constexpr Duration kRetry = milliseconds(20);
constexpr uint64_t kRetriesMax = 1000;
constexpr int kListingsAtOnce = 4;  // each reads all tasks
constexpr char kCancelledWord[] = "cancelled";
constexpr char kNoTask[] = "there is no such task, or no more";
constexpr char kNotYours[] = "the task is over, or was given to a worker again";

std::string state_words(std::string_view id, const char* state) {
  JsonWriter json;
  return json.begin_object().member("id", id).member("state", state).end_object().take();
}

std::string id_words(std::string_view id) {
  JsonWriter json;
  return json.begin_object().member("id", id).end_object().take();
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
    : out_(out),
      zk_(out, ServiceActor::kTasks),
      master_(out, zk_),
      workers_(out, zk_, [this](uint64_t token, Verdict verdict, std::string text) {
        reply(token, verdict, std::move(text));
      }) {}

void Tasks::handle(ServiceMessage&& message) {
  std::visit([this](auto&& m) { on(std::forward<decltype(m)>(m)); }, std::move(message));
}

void Tasks::reply(uint64_t token, Verdict verdict, std::string text) {
  ServiceAnswer answer{verdict, std::move(text), Form::kJson, {}};
  const auto it = deeds_.find(token);
  if (it != deeds_.end()) {
    if (verdict == Verdict::kAccepted)
      answer.fields.push_back({"Location", fmt::format("/v1/tasks/{}", it->second.id)});
    stop_waiting(token);
    deeds_.erase(it);
  }
  out_.desk.post(ServiceAnswered{token, std::move(answer), false, true});
}

void Tasks::stop_waiting(uint64_t token) {
  Deed& deed = deeds_.at(token);
  if (!std::exchange(deed.waiting, false)) return;
  until_.erase({deed.until, token});
  const auto it = waiting_on_.find(deed.id);
  it->second.erase(token);
  if (it->second.empty()) waiting_on_.erase(it);
}

// ---- what is asked ----

void Tasks::on(ServiceAsked message) {
  if (message.call.collection == Collection::kWorkers) return asked_workers(std::move(message));
  if (message.streams) return reply(message.token, Verdict::kInvalid, "'hold' is for workers");
  Deed deed;
  deed.until = message.until;
  const Verb verb = message.call.verb;
  const std::string path = message.call.path;
  const size_t slash = std::min(path.find('/'), path.size());
  deed.id = path.substr(0, slash);
  if (path.empty()) {
    if (verb != Verb::kGet && verb != Verb::kPost)
      return reply(message.token, Verdict::kWrongVerb, "GET, HEAD, POST");
    deed.what = verb == Verb::kGet ? What::kList : What::kCreate;
  } else if (!task_name_valid(deed.id)) {
    return reply(message.token, Verdict::kInvalid, "that cannot be the id of a task");
  } else if (slash == path.size()) {
    if (verb != Verb::kGet && verb != Verb::kDelete)
      return reply(message.token, Verdict::kWrongVerb, "GET, HEAD, DELETE");
    deed.what = verb == Verb::kGet ? What::kShow : What::kDelete;
  } else {
    const std::string part = path.substr(slash + 1);
    if (part != "result" && part != "progress")
      return reply(message.token, Verdict::kNotFound, "a task has a 'result' and a 'progress'");
    if (verb != Verb::kPut) return reply(message.token, Verdict::kWrongVerb, "PUT");
    deed.what = part == "result" ? What::kResult : What::kProgress;
  }
  const std::string wrong = read_call(message, deed);
  if (!wrong.empty()) return reply(message.token, Verdict::kInvalid, wrong);
  if (deed.body.size() > limits::kTaskBytes)
    return reply(message.token, Verdict::kTooLarge,
                 fmt::format("a task's data and its result have at most {} bytes", limits::kTaskBytes));
  deeds_[message.token] = std::move(deed);
  run(message.token);
}

// What is wrong with it, or nothing.
std::string Tasks::read_call(ServiceAsked& message, Deed& deed) {
  Parameters parameters(message.call);
  deed.body = std::move(message.call.body);
  if (deed.what == What::kCreate) {
    deed.id = fmt::format("task-{:016x}", out_.prng.next());
    deed.note.kind = parameters.text("kind").value_or("");
    deed.note.retries = parameters.number("retries", 0, kRetriesMax).value_or(kUsualRetries);
    if (!task_kind_valid(deed.note.kind))
      return fmt::format("a kind is a text of at most {} bytes, none of them zero", kTaskKindBytes);
  } else if (deed.what == What::kResult || deed.what == What::kProgress) {
    const std::optional<uint64_t> fence = parameters.number("fence", 1, INT64_MAX);
    if (!fence && parameters.problem().empty())
      return "the query parameter 'fence' has to name the attempt; it came with the task";
    deed.fence = static_cast<int64_t>(fence.value_or(0));
  }
  if (deed.what == What::kResult) {
    const std::string status = parameters.text("status").value_or("done");
    if (status != "done" && status != "failed")
      return "the query parameter 'status' has to be done or failed";
    deed.end = status == "done" ? TaskEnd::kDone : TaskEnd::kFailed;
  } else if (deed.what == What::kProgress &&
             (deed.body.size() > limits::kTaskProgressBytes || !is_utf8(deed.body))) {
    return fmt::format("progress is a text of at most {} bytes", limits::kTaskProgressBytes);
  }
  return parameters.finish();
}

void Tasks::asked_workers(ServiceAsked message) {
  if (message.call.verb != Verb::kPost) return reply(message.token, Verdict::kWrongVerb, "POST");
  const std::string path = message.call.path;
  Parameters parameters(message.call);
  if (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    if (path.substr(slash) != "/next")
      return reply(message.token, Verdict::kNotFound, "a worker has a 'next'");
    const std::string wrong = parameters.finish();
    if (!wrong.empty()) return reply(message.token, Verdict::kInvalid, wrong);
    if (message.streams)
      return reply(message.token, Verdict::kInvalid, "'next' gives one task; it cannot be held");
    return workers_.next(message, path.substr(0, slash));
  }
  const std::optional<std::string> name = parameters.text("name");
  std::string wrong = parameters.finish();
  if (wrong.empty() && !name) wrong = "the query parameter 'name' has to name the worker";
  if (wrong.empty() && !task_name_valid(*name))
    wrong =
        fmt::format("a worker's name is a text of 1 to {} bytes that can stand in a path, without a slash",
                    kTaskNameBytes);
  if (wrong.empty() && message.holder == HolderId())
    wrong = "whose worker? name a session with 'session' (POST /v1/sessions opens one), or ask with 'hold=1'";
  if (!wrong.empty()) return reply(message.token, Verdict::kInvalid, wrong);
  workers_.enroll(message, *name);
}

// From its beginning, the first time or because something came between.
void Tasks::run(uint64_t token) {
  Deed& deed = deeds_.at(token);
  deed.adrift = false;
  switch (deed.what) {
    case What::kCreate:
      return create(token);
    case What::kShow:
      return read(token, &Tasks::show);
    case What::kList:
      return list(token);
    case What::kDelete:
      return read(token, &Tasks::end);
    case What::kResult:
      if (try_result(token)) return;
      [[fallthrough]];
    case What::kProgress:
      return read(token, &Tasks::work);
  }
}

void Tasks::put_off(uint64_t token, ZkCode code) {
  Deed& deed = deeds_.at(token);
  if (code == ZkCode::kNotConnected && !deed.unsure && deed.what != What::kShow)
    return reply(token, Verdict::kUnavailable, "this server cannot reach ZooKeeper");
  deed.adrift = true;
  if (connected_) retry_at_ = std::min(retry_at_, out_.now + kRetry);
}

void Tasks::run_adrift() {
  retry_at_ = kNever;
  std::vector<uint64_t> tokens;
  for (const auto& [token, deed] : deeds_) {
    if (deed.adrift) tokens.push_back(token);
  }
  for (const uint64_t token : tokens) run(token);
}

void Tasks::read(uint64_t token, void (Tasks::*then)(uint64_t, const Task&)) {
  const Deed& deed = deeds_.at(token);
  read_task(zk_, deed.id, false, [this, token, then](ZkCode code, const Task& task) {
    if (!deeds_.contains(token)) return;
    if (zk_silent(code)) return put_off(token, code);
    if (code != ZkCode::kOk) return refuse(token, code);
    if (!task.there) {
      const Deed& again = deeds_.at(token);  // that may have removed it
      const bool done = again.what == What::kDelete && again.unsure && !again.cancels;
      return done ? reply(token, Verdict::kDone) : reply(token, Verdict::kNotFound, kNoTask);
    }
    (this->*then)(token, task);
  });
}

// A transaction on which all depends; when somebody came between, everything is looked at again.
void Tasks::change(uint64_t token, ZkMulti multi, Verdict verdict, std::string text) {
  zk_.call(std::move(multi), [this, token, verdict, text = std::move(text)](const ZkResult& result) {
    const auto it = deeds_.find(token);
    if (it == deeds_.end()) return;
    Deed& deed = it->second;
    switch (result.code) {
      case ZkCode::kOk:
        return reply(token, verdict, text);
      case ZkCode::kUnknown:
        deed.unsure = true;
        return put_off(token, result.code);
      case ZkCode::kNotConnected:
        return put_off(token, result.code);
      case ZkCode::kNoNode:
        if (!std::exchange(deed.made_paths, true)) return make_paths(token);
        if (deed.what == What::kCreate)
          return reply(token, Verdict::kUnavailable, "the paths of tasks vanish from ZooKeeper");
        return run(token);
      case ZkCode::kBadVersion:
        return run(token);
      case ZkCode::kNodeExists:
        if (deed.what != What::kCreate) return run(token);
        return reply(token, verdict, text);  // the id is ours alone: it was done, without our hearing of it
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
      if (!last || !deeds_.contains(token)) return;
      const bool final = deeds_.at(token).what == What::kCreate && *why != ZkCode::kOk && !zk_silent(*why);
      final ? refuse(token, *why) : run(token);
    });
  }
}

void Tasks::refuse(uint64_t token, ZkCode code) {
  const Deed& deed = deeds_.at(token);
  const ServiceAnswer answer = zk_refusal(code, deed.what != What::kShow && deed.what != What::kList);
  reply(token, answer.verdict, answer.text);
}

// For good. A task whose result nobody may write ends as failed all the same, and frees its worker.
void Tasks::refused(uint64_t token, const ZkResult& result) {
  Deed& deed = deeds_.at(token);
  if (deed.what == What::kResult && deed.failed.empty() && forbidden_at(result, 0)) {
    deed.failed = fmt::format("failed: ZooKeeper forbids to write to {}", task_path(deed.id));
    return read(token, &Tasks::work);
  }
  refuse(token, result.code);
}

void Tasks::create(uint64_t token) {
  const Deed& deed = deeds_.at(token);
  ZkMulti multi;
  multi.ops = {ZkCreate{task_data_path(deed.id), deed.body, ZkMode::kPersistent},
               ZkCreate{task_note_path(deed.id), encode_task_note(deed.note), ZkMode::kPersistent},
               ZkCreate{task_path(deed.id), "", ZkMode::kPersistent}};
  change(token, std::move(multi), Verdict::kAccepted, id_words(deed.id));
}

// ---- what has become of one ----

void Tasks::show(uint64_t token, const Task& task) {
  Deed& deed = deeds_.at(token);
  if (task.over()) return answer_show(token, task, false);
  if (deed.until <= out_.now) return show_assigned(token, task);
  // Only what is open is watched: the watch on what is over would stand until it is removed.
  zk_.watch(ZkExists{task_path(deed.id)},
            [this, token, stat = task.stat](const ZkResult& result, bool watches) {
              if (!deeds_.contains(token)) return;
              if (zk_silent(result.code)) return put_off(token, result.code);
              if (result.code != ZkCode::kOk || result.stat.modified_zxid != stat.modified_zxid)
                return run(token);
              if (!watches) return reply(token, Verdict::kUnavailable, kWatchesFull);
              Deed& waits = deeds_.at(token);
              if (std::exchange(waits.waiting, true)) return;
              waiting_on_[waits.id].insert(token);
              until_.emplace(waits.until, token);
            });
}

void Tasks::show_assigned(uint64_t token, const Task& task) {
  if (task.note.worker.empty()) return answer_show(token, task, false);
  zk_.call(ZkGet{worker_path(task.note.worker)}, [this, token, task](const ZkResult& result) {
    if (!deeds_.contains(token)) return;
    if (zk_silent(result.code)) return put_off(token, result.code);
    answer_show(token, task, result.code == ZkCode::kOk && result.data == task.id);
  });
}

void Tasks::answer_show(uint64_t token, const Task& task, bool assigned) {
  JsonWriter json;
  json.begin_object().member("id", task.id).member("state", state_of(task, assigned));
  json.member("attempt", task.note.attempt);
  if (!task.note.worker.empty() && (assigned || task.over())) json.member("worker", task.note.worker);
  if (!task.note.kind.empty()) json.member("kind", task.note.kind);
  if (!task.note.progress.empty()) json.member("progress", task.note.progress);
  if (task.over() && task.end() != TaskEnd::kCancelled) text_member(json, "result", task.result());
  reply(token, Verdict::kOk, json.end_object().take());
}

void Tasks::list(uint64_t token) {
  const auto listings = std::count_if(deeds_.begin(), deeds_.end(),
                                      [](const auto& one) { return one.second.what == What::kList; });
  if (listings > kListingsAtOnce)
    return reply(token, Verdict::kUnavailable, "too many ask for the list of tasks at once");
  const auto listing = std::make_shared<Listing>();
  // Every answer passes here; the last one makes the reply.
  const auto heard = [this, token, listing](ZkCode code) {
    if (!deeds_.contains(token)) return false;
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
  JsonWriter json;
  json.begin_object().key("tasks").begin_array();
  for (const auto& [id, task] : listing.tasks) {
    json.begin_object()
        .member("id", id)
        .member("state", listing.unreadable.contains(id) ? "unreadable"
                                                         : state_of(task, listing.assigned.contains(id)))
        .end_object();
  }
  json.end_array().member("truncated", listing.truncated).end_object();
  reply(token, Verdict::kOk, json.take());
}

// ---- its end ----

// An open one is cancelled; one that is over goes, but not if it was open when this was asked.
void Tasks::end(uint64_t token, const Task& task) {
  Deed& deed = deeds_.at(token);
  ZkMulti multi;
  if (!task.over()) {
    deed.cancels = true;
    TaskNote note = task.note;
    note.end = TaskEnd::kCancelled;
    multi.ops = {end_task(task, kCancelledWord), write_note(task, note)};
    return change(token, std::move(multi), Verdict::kOk, state_words(task.id, kCancelledWord));
  }
  if (deed.cancels) {
    if (task.end() == TaskEnd::kCancelled)
      return reply(token, Verdict::kOk, state_words(task.id, kCancelledWord));
    return reply(token, Verdict::kConflict, fmt::format("it was {} meanwhile", task_end_name(task.end())));
  }
  zk_.call(ZkDelete{task_data_path(task.id)}, [](const ZkResult&) {});
  multi.ops = {ZkDelete{task_path(task.id), task.stat.version}};
  if (task.noted) multi.ops.push_back(ZkDelete{task_note_path(task.id)});
  change(token, std::move(multi), Verdict::kDone, "");
}

// The server that keeps the worker knows what the transaction requires. If that is no longer so it fails, and then
// everything is read.
bool Tasks::try_result(uint64_t token) {
  Deed& deed = deeds_.at(token);
  const std::string worker = workers_.who_has(deed.id, deed.fence);
  if (worker.empty() || std::exchange(deed.tried, true)) return false;
  const auto known = workers_.open_task(worker);
  if (known) work_now(token, *known->first, worker, known->second);
  return known.has_value();
}

// A worker's word: its znode has to be as the master left it. Who it is says the note, or, if another program
// assigned, only the server that keeps the worker.
void Tasks::work(uint64_t token, const Task& task) {
  const Deed& deed = deeds_.at(token);
  if (task.over()) {
    const bool same = deed.what == What::kResult && task.note.fence == deed.fence && task.end() == deed.end;
    if (!same) return reply(token, Verdict::kConditionFailed, kNotYours);
    return reply(token, Verdict::kOk, state_words(task.id, task_end_name(deed.end)));  // said again
  }
  std::string worker = workers_.who_has(task.id, deed.fence);
  if (worker.empty()) worker = task.note.worker;
  if (worker.empty()) return reply(token, Verdict::kConditionFailed, kNotYours);
  zk_.call(ZkGet{worker_path(worker)}, [this, token, task, worker](const ZkResult& result) {
    if (!deeds_.contains(token)) return;
    if (zk_silent(result.code)) return put_off(token, result.code);
    work_of(token, task, worker, result);
  });
}

void Tasks::work_of(uint64_t token, const Task& task, const std::string& worker, const ZkResult& result) {
  const Deed& deed = deeds_.at(token);
  const bool other = result.stat.modified_zxid != deed.fence && !mutated(Mutation::kAttemptUnchecked);
  if (result.code != ZkCode::kOk || result.data != task.id || other)
    return reply(token, Verdict::kConditionFailed, kNotYours);
  work_now(token, task, worker, result.stat.version);
}

void Tasks::work_now(uint64_t token, const Task& task, const std::string& worker, int32_t worker_version) {
  const Deed& deed = deeds_.at(token);
  TaskNote note = task.note;
  note.worker = worker;
  ZkMulti multi;
  if (deed.what == What::kProgress) {
    note.progress = deed.body;
    multi.ops = {ZkCheck{worker_path(worker), worker_version}, ZkCheck{task_path(task.id), task.stat.version},
                 write_note(task, note)};
    return change(token, std::move(multi), Verdict::kDone, "");
  }
  if (!deed.failed.empty()) {
    multi.ops = {ZkSet{worker_path(worker), kIdle, worker_version}};
    add_failure(multi, task, note, deed.failed, true);
    return change(token, std::move(multi), Verdict::kForbidden, deed.failed);
  }
  note.end = deed.end;
  note.fence = deed.fence;
  multi.ops = {end_task(task, deed.body), ZkSet{worker_path(worker), kIdle, worker_version},
               write_note(task, note)};
  change(token, std::move(multi), Verdict::kOk, state_words(task.id, task_end_name(deed.end)));
}

// ---- what happens ----

void Tasks::on(const ServiceDropped& message) {
  workers_.on(message);
  if (!deeds_.contains(message.token)) return;
  stop_waiting(message.token);
  deeds_.erase(message.token);
}

void Tasks::on(const ZkSessionChanged& message) {
  connected_ = message.state == ZkState::kConnected;
  master_.on(message);
  workers_.on(message);
  if (!connected_) return;
  for (auto& [token, deed] : deeds_) deed.adrift |= deed.waiting;  // what it watched may have changed unseen
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
