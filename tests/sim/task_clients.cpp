// See task_clients.hpp.
#include "task_clients.hpp"

#include <fmt/format.h>

#include "call_text.hpp"
#include "msg/text.hpp"

namespace kvd::sim {
namespace {

constexpr Duration kTaskThinkMost = milliseconds(400);
constexpr Duration kRestMost = milliseconds(300);
constexpr int kLookWaitMs = 1000;
constexpr int kNextWaitMs = 2000;
constexpr int kTaskTtl = 4;  // seconds
constexpr size_t kOpenMost = 8;

}  // namespace

TaskClients::TaskClients(SimContext& context, ServiceCalls& calls)
    : ServiceClients(context, calls, static_cast<uint64_t>(context.options.tasks) + 43) {
  leavers_.resize(static_cast<size_t>(context.options.tasks));
  workers_.resize(static_cast<size_t>(context.options.tasks));
}

void TaskClients::start() {
  for (size_t i = 0; i < leavers_.size(); ++i) think(static_cast<int>(i));
  for (size_t i = 0; i < workers_.size(); ++i) rest(static_cast<int>(i));
}

// ---- who leaves tasks ----

void TaskClients::think(int index) {
  within(kTaskThinkMost, [this, index] {
    const bool more = open_.size() < kOpenMost && (!progress_expected() || leavers_[index].left_since == 0);
    if (more && (open_.empty() || prng_.one_in(2))) return leave(index);
    if (open_.empty()) return think(index);
    look(index);
  });
}

void TaskClients::leave(int index) {
  const std::string data = fmt::format("data-{}", ++left_);
  const int64_t retries = prng_.one_in(4) ? 0 : 50;
  calls_.call(
      any_server(), fmt::format("POST tasks?retries={}", retries),
      [this, index, data, retries, since = progress_expected()](const ServiceReply* reply) {
        if (reply != nullptr && reply->answer.status == kvd::ServiceStatus::kAccepted) {
          const std::string id = member_of(reply->answer, "id");
          Task& task = tasks_[id];
          if (!task.data.empty()) return wrong(fmt::format("two tasks have the id {}", id));
          task.data = data;
          task.retries = retries;
          open_.insert(id);
          if (since) ++leavers_[index].left_since;
        }
        think(index);
      },
      data);
}

void TaskClients::look(int index) {
  auto it = open_.begin();
  std::advance(it, static_cast<ptrdiff_t>(prng_.below(open_.size())));
  calls_.call(any_server(), fmt::format("GET tasks/{}?wait={}", *it, kLookWaitMs),
              [this, index, id = *it](const ServiceReply* reply) {
                if (reply != nullptr && reply->answer.status == kvd::ServiceStatus::kOk)
                  told(id, reply->answer);
                think(index);
              });
}

void TaskClients::told(const std::string& id, const ServiceAnswer& answer) {
  const std::string state = member_of(answer, "state");
  if (state == "waiting" || state == "assigned") return;
  open_.erase(id);
  const Task& task = tasks_.at(id);
  const int64_t attempt = number_of(answer, "attempt");
  const std::string result = member_of(answer, "result");
  for (const auto& [fence, one] : task.attempts) {
    if (one.number > attempt)
      return wrong(fmt::format("{}: attempt {} was under way: {}", id, one.number, kvd::words_of(answer)));
    if (one.accepted && one.result != result)
      return wrong(fmt::format("{}: the result {} was accepted: {}", id, one.result, kvd::words_of(answer)));
  }
  if (state == "failed") {
    if (attempt <= task.retries)
      wrong(fmt::format("{}: there were attempts left of {}: {}", id, task.retries, kvd::words_of(answer)));
    return;
  }
  for (const auto& [fence, one] : task.attempts) {
    if (state == "done" && one.number == attempt && one.result == result && !result.empty()) return;
  }
  wrong(fmt::format("{}: no worker gave that: {}", id, kvd::words_of(answer)));
}

// ---- workers ----

void TaskClients::rest(int index) {
  ++workers_[index].life;
  within(kRestMost, [this, index] { enroll(index); });
}

void TaskClients::enroll(int index) {
  Worker& worker = workers_[index];
  worker.server = any_server();
  worker.session.clear();
  if (prng_.one_in(2)) {
    worker.call = calls_.call(worker.server, fmt::format("POST workers?name=w{}&hold=1&wait=1000", index),
                              [this, index, life = worker.life](const ServiceReply* reply) {
                                if (workers_[index].life != life) return;
                                const bool line = reply != nullptr && reply->line;
                                if (line && !member_of(reply->answer, "worker").empty()) enrolled(index);
                                const bool lost = line && member_of(reply->answer, "state") == "lost";
                                if (lost && !reply->last) hang_up(index);
                                if (reply == nullptr || reply->last || lost) rest(index);
                              });
    return;
  }
  open_session(worker.server, kTaskTtl, [this, index](const std::string& id) {
    if (id.empty()) return rest(index);
    workers_[index].session = id;
    calls_.call(any_server(), fmt::format("POST workers?name=w{}&wait=1000&session={}", index, id),
                [this, index](const ServiceReply* reply) {
                  if (reply == nullptr || reply->answer.status != kvd::ServiceStatus::kCreated)
                    return rest(index);
                  enrolled(index);
                });
  });
}

void TaskClients::enrolled(int index) { ask_for_next(index, workers_[index].life); }

void TaskClients::ask_for_next(int index, uint64_t life) {
  const Worker& worker = workers_[index];
  if (worker.life != life) return;
  std::string call = fmt::format("POST workers/w{}/next?wait={}", index, kNextWaitMs);
  if (!worker.session.empty()) call += fmt::format("&session={}", worker.session);
  calls_.call(worker.session.empty() ? worker.server : any_server(), call,
              [this, index, life](const ServiceReply* reply) {
                if (workers_[index].life == life) hear_next(index, reply);
              });
}

void TaskClients::hear_next(int index, const ServiceReply* reply) {
  const kvd::ServiceStatus verdict = reply == nullptr ? kvd::ServiceStatus::kUnknown : reply->answer.status;
  if (verdict == kvd::ServiceStatus::kOk) return work(index, reply->answer);
  if (verdict == kvd::ServiceStatus::kGone) {
    hang_up(index);
    return rest(index);
  }
  within(kRestMost, [this, index, life = workers_[index].life] { ask_for_next(index, life); });
}

// One in five dies over it, and comes back as another.
void TaskClients::work(int index, const ServiceAnswer& answer) {
  Worker& worker = workers_[index];
  worker.task = member_of(answer, "id");
  worker.fence = number_of(answer, "fence");
  Task& task = tasks_[worker.task];
  const int64_t number = number_of(answer, "attempt");
  if (!task.data.empty() && member_of(answer, "data") != task.data)
    return wrong(fmt::format("{} was left with {}: {}", worker.task, task.data, kvd::words_of(answer)));
  const auto [it, fresh] = task.attempts.try_emplace(worker.fence, Attempt{index, number, now(), "", false});
  if (it->second.worker != index || it->second.number != number)
    return wrong(fmt::format("worker {} has had {} by the same fence: {}", it->second.worker, worker.task,
                             kvd::words_of(answer)));
  for (const auto& [fence, other] : task.attempts) {
    if ((other.number < number) == (fence < worker.fence) &&
        (other.number == number) == (fence == worker.fence))
      continue;
    return wrong(fmt::format("{}: attempt {} has fence {}: {}", worker.task, other.number, fence,
                             kvd::words_of(answer)));
  }
  if (prng_.one_in(5)) {
    hang_up(index);
    return rest(index);
  }
  within(keeping(), [this, index, life = worker.life] { give_result(index, life); });
}

// Also of a worker that was lost meanwhile, and does not know or does not mind; if it has not begun anew.
void TaskClients::give_result(int index, uint64_t life) {
  Worker& worker = workers_[index];
  if (worker.life != life && worker.life != life + 1) return;
  Attempt& attempt = tasks_.at(worker.task).attempts.at(worker.fence);
  attempt.result = fmt::format("result-{}", worker.fence);
  calls_.call(
      any_server(), fmt::format("PUT tasks/{}/result?fence={}", worker.task, worker.fence),
      [this, index, life, id = worker.task, fence = worker.fence, sent = now()](const ServiceReply* reply) {
        if (reply != nullptr && reply->answer.status == kvd::ServiceStatus::kOk) accepted(id, fence, sent);
        const bool again = reply == nullptr || reply->answer.status == kvd::ServiceStatus::kUnknown ||
                           reply->answer.status == kvd::ServiceStatus::kUnavailable;
        if (workers_[index].life != life) return;
        if (!again) return ask_for_next(index, life);
        within(kRestMost, [this, index, life] { give_result(index, life); });
      },
      attempt.result);
}

void TaskClients::accepted(const std::string& id, int64_t fence, Instant sent) {
  std::map<int64_t, Attempt>& attempts = tasks_.at(id).attempts;
  attempts.at(fence).accepted = true;
  for (const auto& [other, attempt] : attempts) {
    if (other != fence && attempt.accepted)
      return wrong(
          fmt::format("{}: results of the attempts with fence {} and {} are accepted", id, fence, other));
    if (other > fence && attempt.given < sent)
      return wrong(
          fmt::format("{}: the result with fence {} is accepted, but {} was under way", id, fence, other));
  }
}

void TaskClients::hang_up(int index) {
  const Worker& worker = workers_[index];
  if (worker.session.empty()) return calls_.hang_up(worker.call);
  if (prng_.one_in(2))
    calls_.call(any_server(), fmt::format("DELETE sessions/{}", worker.session), [](const ServiceReply*) {});
}

void TaskClients::on_progress_expected() {
  for (Leaver& leaver : leavers_) leaver.left_since = 0;
}

std::string TaskClients::stuck() const {
  for (size_t i = 0; i < leavers_.size(); ++i) {
    if (leavers_[i].left_since == 0) return fmt::format("client {} can leave no task; ", i);
  }
  return open_.empty() ? ""
                       : fmt::format("{} and {} more tasks are not over; ", *open_.begin(), open_.size() - 1);
}

}  // namespace kvd::sim
