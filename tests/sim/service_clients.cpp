// See service_clients.hpp.
#include "service_clients.hpp"

#include <fmt/format.h>

#include "barrier_clients.hpp"
#include "call_text.hpp"
#include "id_clients.hpp"
#include "lock_clients.hpp"
#include "name_clients.hpp"
#include "task_clients.hpp"
#include "zk_queue_clients.hpp"

namespace kvd::sim {

std::string Grants::hear(const std::string& what, int64_t number, int client, Instant asked, Instant now) {
  auto& told = told_[what];
  const auto [it, fresh] = told.try_emplace(number, Told{client, now});
  if (it->second.client != client)
    return fmt::format("{} is given to clients {} and {} by the same number, {}", what, it->second.client,
                       client, number);
  for (auto newer = std::next(it); newer != told.end(); ++newer) {
    if (newer->second.at <= asked)
      return fmt::format("{} is given by number {} although {} had been given", what, number, newer->first);
  }
  return {};
}

void ServiceClients::open_session(int server, int ttl_s, std::function<void(const std::string& id)> then) {
  calls_.call(server, fmt::format("POST sessions?ttl={}", ttl_s),
              [then = std::move(then)](const ServiceReply* reply) {
                const bool opened = reply != nullptr && reply->answer.status == kvd::ServiceStatus::kCreated;
                then(opened ? member_of(reply->answer, "id") : std::string());
              });
}

void ServiceClients::hang_up_after(Duration span, uint64_t call, EventQueue::Action then) {
  context_.queue.after(span, [this, call, then = std::move(then)] {
    if (!calls_.open(call)) return;
    calls_.hang_up(call);
    then();
  });
}

void ServiceClients::give_back(const std::string& session, const std::string& what, EventQueue::Action then) {
  if (prng_.one_in(4)) return then();
  const bool all = prng_.one_in(3);
  calls_.call(
      any_server(),
      all ? fmt::format("DELETE sessions/{}", session) : fmt::format("DELETE {}?session={}", what, session),
      [then = std::move(then)](const ServiceReply*) { then(); });
}

std::vector<std::unique_ptr<ServiceClients>> make_service_clients(SimContext& context, ServiceCalls& calls) {
  std::vector<std::unique_ptr<ServiceClients>> all;
  if (context.options.locks != 0) all.push_back(std::make_unique<LockClients>(context, calls));
  if (context.options.ids != 0) all.push_back(std::make_unique<IdClients>(context, calls));
  if (context.options.names != 0) all.push_back(std::make_unique<NameClients>(context, calls));
  if (context.options.tasks != 0) all.push_back(std::make_unique<TaskClients>(context, calls));
  if (context.options.barriers != 0) all.push_back(std::make_unique<BarrierClients>(context, calls));
  if (context.options.zkqueues != 0) all.push_back(std::make_unique<ZkQueueClients>(context, calls));
  return all;
}

}  // namespace kvd::sim
