// See service_clients.hpp.
#include "service_clients.hpp"

#include <fmt/format.h>

#include "call_text.hpp"
#include "id_clients.hpp"
#include "lock_clients.hpp"
#include "task_clients.hpp"

namespace kvd::sim {

void ServiceClients::open_session(int server, int ttl_s, std::function<void(const std::string& id)> then) {
  calls_.call(server, fmt::format("POST sessions?ttl={}", ttl_s),
              [then = std::move(then)](const ServiceReply* reply) {
                const bool opened = reply != nullptr && reply->answer.verdict == kvd::Verdict::kCreated;
                then(opened ? json_member(reply->answer.text, "id") : std::string());
              });
}

std::vector<std::unique_ptr<ServiceClients>> make_service_clients(SimContext& context, ServiceCalls& calls) {
  std::vector<std::unique_ptr<ServiceClients>> all;
  if (context.options.locks != 0) all.push_back(std::make_unique<LockClients>(context, calls));
  if (context.options.ids != 0) all.push_back(std::make_unique<IdClients>(context, calls));
  if (context.options.tasks != 0) all.push_back(std::make_unique<TaskClients>(context, calls));
  return all;
}

}  // namespace kvd::sim
