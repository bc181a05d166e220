// See lock_clients.hpp. A client asks, holds for a while when it is granted the lock, hangs up, thinks, and asks again
// through another server.
#include "lock_clients.hpp"

#include <fmt/format.h>

#include "call_text.hpp"

namespace kvd::sim {
namespace {

constexpr uint64_t kLocks = 2;

}  // namespace

LockClients::LockClients(SimContext& context, ServiceCalls& calls)
    : ServiceClients(context, calls, static_cast<uint64_t>(context.options.locks) + 17) {
  clients_.resize(static_cast<size_t>(context.options.locks));
}

void LockClients::start() {
  for (size_t i = 0; i < clients_.size(); ++i) think(static_cast<int>(i));
}

void LockClients::think(int index) {
  clients_[index].held = false;
  within(kThinkMost, [this, index] { ask(index); });
}

void LockClients::ask(int index) {
  Client& client = clients_[index];
  client.server = any_server();
  client.path = fmt::format("locks/{}", prng_.below(kLocks));
  client.call = calls_.call(client.server, fmt::format("POST {}?hold=1&name=c{}", client.path, index),
                            [this, index](const ServiceReply* reply) { hear(index, reply); });
}

void LockClients::hear(int index, const ServiceReply* reply) {
  Client& client = clients_[index];
  if (reply == nullptr) return think(index);
  const std::string state = reply->line ? member_of(reply->answer, "state") : "";
  if (state == "held" && !client.held) granted(index, number_of(reply->answer, "fence"));
  if (state == "lost") {
    client.held = false;
    if (!reply->last) hang_up_after(up_to(kLetGoMost), client.call, [this, index] { think(index); });
  }
  if (reply->last) think(index);
}

void LockClients::granted(int index, int64_t fence) {
  Client& client = clients_[index];
  int64_t& newest = fences_[client.path];
  if (fence <= newest)
    return wrong(fmt::format("{} is granted with fence {} after {}", client.path, fence, newest));
  newest = fence;
  for (const Client& other : clients_) {
    if (&other == &client || !other.held || other.path != client.path || !calls_.runs(other.server)) continue;
    return wrong(fmt::format("{} is granted by s{} while s{} has not told its client that it is lost",
                             client.path, client.server, other.server));
  }
  client.held = true;
  ++client.grants_since;
  hang_up_after(keeping(), client.call, [this, index] { think(index); });
}

void LockClients::on_progress_expected() {
  for (Client& client : clients_) client.grants_since = 0;
}

std::string LockClients::stuck() const {
  for (size_t i = 0; i < clients_.size(); ++i) {
    if (clients_[i].grants_since == 0) return fmt::format("lock client {} gets no lock; ", i);
  }
  return {};
}

}  // namespace kvd::sim
