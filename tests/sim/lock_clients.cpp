// See lock_clients.hpp. A client asks, holds for a while when it is granted the lock, hangs up, thinks, and asks again
// through another server.
#include "lock_clients.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kvd::sim {
namespace {

constexpr uint64_t kFirstRequest = uint64_t{1} << 40;  // beyond what other clients reach
constexpr Duration kHoldMost = milliseconds(800);
constexpr Duration kThinkMost = milliseconds(200);
constexpr Duration kLetGoMost = milliseconds(300);
constexpr uint64_t kLocks = 2;

}  // namespace

LockClients::LockClients(SimContext& context, Hosts hosts)
    : context_(context), hosts_(std::move(hosts)), prng_(static_cast<uint64_t>(context.options.locks) + 17) {
  clients_.resize(static_cast<size_t>(context.options.locks));
}

void LockClients::start() {
  for (size_t i = 0; i < clients_.size(); ++i) think(static_cast<int>(i));
}

void LockClients::think(int index) {
  context_.queue.after(up_to(kThinkMost), [this, index] { ask(index); });
}

void LockClients::ask(int index) {
  Client& client = clients_[index];
  client.server = static_cast<int>(prng_.below(static_cast<uint64_t>(context_.options.servers)));
  client.path = fmt::format("locks/{}", prng_.below(kLocks));
  if (!hosts_.alive(client.server)) return think(index);
  client.request = kFirstRequest + ++requests_;
  ServiceRequest request;
  request.id = RequestId(client.request);
  request.call.collection = Collection::kLocks;
  request.call.verb = Verb::kPost;
  request.call.path = client.path;
  request.call.parameters = {{"hold", "1"}, {"name", fmt::format("c{}", index)}};
  hosts_.deliver(client.server, std::move(request));
}

bool LockClients::on_reply(int server, const ServiceReply& reply) {
  if (reply.id.value < kFirstRequest) return false;
  const auto it = std::find_if(clients_.begin(), clients_.end(),
                               [&](const Client& one) { return one.request == reply.id.value; });
  if (it == clients_.end() || it->server != server) return true;  // its client has hung up
  const int index = static_cast<int>(it - clients_.begin());
  const std::string& text = reply.answer.text;
  if (reply.line && text.starts_with(R"({"state":"held","fence":)")) {
    if (!it->held) granted(index, std::stoll(text.substr(text.rfind(':') + 1)));
    return true;
  }
  if (reply.line && text.starts_with(R"({"state":"lost")")) {
    it->held = false;
    if (!reply.last) hang_up_later(index, kLetGoMost);
  }
  if (reply.last) {
    it->request = 0;
    it->held = false;
    think(index);
  }
  return true;
}

void LockClients::granted(int index, int64_t fence) {
  Client& client = clients_[index];
  int64_t& newest = fences_[client.path];
  if (fence <= newest) {
    return context_.fail(Verdict::kCorrectness, fmt::format("{} is granted with fence {} after {}", client.path, fence,
                                                            newest));
  }
  newest = fence;
  for (const Client& other : clients_) {
    if (&other == &client || !other.held || other.path != client.path || !hosts_.runs(other.server)) continue;
    return context_.fail(Verdict::kCorrectness,
                         fmt::format("{} is granted by s{} while s{} has not told its client that it is lost",
                                     client.path, client.server, other.server));
  }
  client.held = true;
  ++grants_;
  ++client.grants_since;
  hang_up_later(index, kHoldMost);
}

void LockClients::hang_up_later(int index, Duration most) {
  context_.queue.after(up_to(most), [this, index, request = clients_[index].request] { hang_up(index, request); });
}

void LockClients::hang_up(int index, uint64_t request) {
  Client& client = clients_[index];
  if (client.request != request) return;
  client.request = 0;
  client.held = false;
  if (hosts_.alive(client.server)) hosts_.deliver(client.server, ClientCancelled{RequestId(request)});
  think(index);
}

void LockClients::on_process_died(int server) {
  for (size_t i = 0; i < clients_.size(); ++i) {
    Client& client = clients_[i];
    if (client.request == 0 || client.server != server) continue;
    client.request = 0;
    client.held = false;
    think(static_cast<int>(i));
  }
}

void LockClients::expect_progress() {
  if (std::exchange(progress_expected_, true)) return;
  for (Client& client : clients_) client.grants_since = 0;
}

std::string LockClients::stuck() const {
  if (context_.options.standalone != 0) return {};  // there is no ZooKeeper, and so no lock
  for (size_t i = 0; i < clients_.size(); ++i) {
    if (clients_[i].grants_since == 0) return fmt::format("lock client {} gets no lock", i);
  }
  return {};
}

}  // namespace kvd::sim
