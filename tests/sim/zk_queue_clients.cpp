// See zk_queue_clients.hpp. A client puts an entry into one of the queues, takes one of the same, keeps it for a while,
// says that it is done or lets go of it, thinks, and begins again through other servers.
#include "zk_queue_clients.hpp"

#include <fmt/format.h>

#include "call_text.hpp"
#include "msg/text.hpp"

namespace kvd::sim {
namespace {

constexpr int kEntryTtl = 2;  // seconds
constexpr int kEntryWaitMs = 1000;

}  // namespace

ZkQueueClients::ZkQueueClients(SimContext& context, ServiceCalls& calls)
    : ServiceClients(context, calls, static_cast<uint64_t>(context.options.zkqueues) + 41) {
  clients_.resize(static_cast<size_t>(context.options.zkqueues));
}

void ZkQueueClients::start() {
  for (size_t i = 0; i < clients_.size(); ++i) think(static_cast<int>(i));
}

void ZkQueueClients::think(int index) {
  clients_[index].entry.clear();
  within(kThinkMost, [this, index] { put(index); });
}

// Whether it was put or not, it takes one.
void ZkQueueClients::put(int index) {
  const bool locking = prng_.one_in(2);
  calls_.call(
      any_server(),
      fmt::format("POST zkqueues/{}&priority={}", locking ? "jobs?locking=1" : "mail?locking=0",
                  prng_.below(3)),
      [this, index, locking](const ServiceReply*) {
        if (!locking) return take(index);
        prng_.one_in(2) ? hold(index) : lock_by_session(index);
      },
      fmt::format("{}", ++puts_));
}

// ---- out of the plain queue ----

void ZkQueueClients::take(int index) {
  ++unheard_;
  calls_.call(any_server(), fmt::format("POST zkqueues/mail/take?wait={}", kEntryWaitMs),
              [this, index](const ServiceReply* reply) { hear_taken(index, reply); });
}

void ZkQueueClients::hear_taken(int index, const ServiceReply* reply) {
  think(index);
  if (reply == nullptr || reply->answer.status == kvd::ServiceStatus::kUnknown) return;
  --unheard_;
  if (reply->answer.status != kvd::ServiceStatus::kOk) return;
  ++clients_[index].entries_since;
  if (!told_.insert(member_of(reply->answer, "data")).second)
    wrong(fmt::format("{} is taken twice", kvd::words_of(reply->answer)));
}

// ---- out of the locking queue ----

void ZkQueueClients::hold(int index) {
  Client& client = clients_[index];
  client.session.clear();
  client.server = any_server();
  client.call = calls_.call(client.server,
                            fmt::format("POST zkqueues/jobs/take?locking=1&hold=1&wait={}", kEntryWaitMs),
                            [this, index, asked = now()](const ServiceReply* reply) {
                              if (reply == nullptr) return think(index);
                              hear_line(index, asked, *reply);
                              if (reply->last) think(index);
                            });
}

void ZkQueueClients::hear_line(int index, Instant asked, const ServiceReply& reply) {
  Client& client = clients_[index];
  const std::string state = reply.line ? member_of(reply.answer, "state") : "";
  if (state == "held" && client.entry.empty()) {
    given(index, reply.answer, asked);
    if (prng_.one_in(4)) return hang_up_after(keeping(), client.call, [this, index] { think(index); });
    context_.queue.after(keeping(), [this, index, call = client.call] {
      if (calls_.open(call) && !clients_[index].entry.empty()) finish(index);
    });
  }
  if (state == "lost") {
    client.entry.clear();
    if (!reply.last) hang_up_after(up_to(kLetGoMost), client.call, [this, index] { think(index); });
  }
}

void ZkQueueClients::lock_by_session(int index) {
  open_session(any_server(), kEntryTtl, [this, index](const std::string& id) {
    if (id.empty()) return think(index);
    clients_[index].session = id;
    calls_.call(any_server(),
                fmt::format("POST zkqueues/jobs/take?locking=1&session={}&wait={}", id, kEntryWaitMs),
                [this, index, asked = now()](const ServiceReply* reply) {
                  if (reply == nullptr || reply->answer.status != kvd::ServiceStatus::kOk)
                    return think(index);
                  given(index, reply->answer, asked);
                  within(kThinkMost, [this, index] { finish(index); });
                });
  });
}

void ZkQueueClients::given(int index, const ServiceAnswer& answer, Instant asked) {
  Client& client = clients_[index];
  client.entry = member_of(answer, "entry");
  client.fence = number_of(answer, "fence");
  ++client.entries_since;
  const std::string why = grants_.hear(client.entry, client.fence, index, asked, now());
  if (!why.empty()) return wrong("entry " + why);
  for (const Client& other : clients_) {
    const bool believes = &other != &client && other.entry == client.entry && other.session.empty();
    if (!believes || other.fence > client.fence || !calls_.runs(other.server)) continue;
    return wrong(fmt::format("{} is given while s{} has not told its client that it is lost", client.entry,
                             other.server));
  }
}

// Who has it by a session goes on with the answer, who has it by a connection with its last line.
void ZkQueueClients::finish(int index) {
  const Client& client = clients_[index];
  const bool by_session = !client.session.empty();
  to_be_done_.insert(client.entry);
  const std::string what = "zkqueues/jobs/" + client.entry;
  if (by_session && prng_.one_in(4)) return give_back(client.session, what, [this, index] { think(index); });
  const std::string whose = by_session ? "session=" + client.session : fmt::format("fence={}", client.fence);
  calls_.call(by_session ? any_server() : client.server, fmt::format("DELETE {}?{}", what, whose),
              [this, index, by_session, entry = client.entry, call = client.call](const ServiceReply* reply) {
                hear_finished(entry, reply);
                if (by_session) return think(index);
                hang_up_after(up_to(kLetGoMost), call, [this, index] { think(index); });
              });
}

void ZkQueueClients::hear_finished(const std::string& entry, const ServiceReply* reply) {
  if (reply == nullptr || reply->answer.status != kvd::ServiceStatus::kDone) return;
  if (tree().contains("/jobs/entries/" + entry))
    wrong(fmt::format("{} is there although it was told as done", entry));
}

// ---- the referee ----

std::set<std::string> ZkQueueClients::names_below(const std::string& path) const {
  std::set<std::string> names;
  const std::string below = path + "/";
  for (auto it = tree().lower_bound(below); it != tree().end() && it->first.starts_with(below); ++it)
    names.insert(it->first.substr(below.size()));
  return names;
}

void ZkQueueClients::on_zookeeper_changed() {
  std::set<std::string> plain = names_below("/mail");
  for (const std::string& name : plain_) vanished_ += !plain.contains(name);
  plain_ = std::move(plain);
  if (vanished_ > told_.size() + unheard_)
    wrong(fmt::format("{} entries are gone, {} were told", vanished_, told_.size()));
  std::set<std::string> entries = names_below("/jobs/entries");
  for (const std::string& name : entries_) {
    if (!entries.contains(name) && !to_be_done_.contains(name))
      wrong(fmt::format("{} is gone although nobody has said that it is done", name));
  }
  entries_ = std::move(entries);
}

void ZkQueueClients::on_progress_expected() {
  for (Client& client : clients_) client.entries_since = 0;
}

std::string ZkQueueClients::stuck() const {
  for (size_t i = 0; i < clients_.size(); ++i) {
    if (clients_[i].entries_since == 0) return fmt::format("queue client {} gets no entry; ", i);
  }
  return {};
}

}  // namespace kvd::sim
