// See id_clients.hpp. A client asks for an id, keeps it for a while, gives it back or just goes away, thinks, and asks
// again through another server.
#include "id_clients.hpp"

#include <fmt/format.h>

#include "call_text.hpp"
#include "msg/text.hpp"

namespace kvd::sim {
namespace {

constexpr Duration kConfirmMost = milliseconds(800);
constexpr int kIdTtl = 2;  // seconds

struct Pool {
  const char* name;
  int max;
  int rest_ms_max;  // 0: as is usual
};
constexpr Pool kPools[] = {{"scarce", 3, 400}, {"wide", 40, 0}};

}  // namespace

IdClients::IdClients(SimContext& context, ServiceCalls& calls)
    : ServiceClients(context, calls, static_cast<uint64_t>(context.options.ids) + 29) {
  clients_.resize(static_cast<size_t>(context.options.ids));
}

void IdClients::start() {
  for (size_t i = 0; i < clients_.size(); ++i) think(static_cast<int>(i));
}

void IdClients::think(int index) {
  clients_[index].number.clear();
  within(kThinkMost, [this, index] { ask(index); });
}

void IdClients::ask(int index) {
  Client& client = clients_[index];
  const Pool& pool = kPools[prng_.below(std::size(kPools))];
  client.pool = pool.name;
  std::string query = fmt::format("?name=c{}&max={}", index, pool.max);
  if (pool.rest_ms_max != 0)
    query += fmt::format("&rest={}", prng_.below(static_cast<uint64_t>(pool.rest_ms_max) + 1));
  if (prng_.one_in(3)) return ask_by_session(index, query);
  client.session.clear();
  client.server = any_server();
  client.call = calls_.call(client.server, fmt::format("POST ids/{}{}&hold=1", client.pool, query),
                            [this, index, asked = now()](const ServiceReply* reply) {
                              if (reply == nullptr) return think(index);
                              hear_line(index, asked, *reply);
                              if (reply->last) think(index);
                            });
}

void IdClients::hear_line(int index, Instant asked, const ServiceReply& reply) {
  Client& client = clients_[index];
  const std::string state = reply.line ? member_of(reply.answer, "state") : "";
  if (!reply.line) refused(client, reply.answer, asked);
  if (state == "held" && client.number.empty()) {
    granted(index, reply.answer, asked);
    hang_up_after(keeping(), client.call, [this, index] { think(index); });
  }
  if (state == "lost") {
    client.number.clear();
    if (!reply.last) hang_up_after(up_to(kLetGoMost), client.call, [this, index] { think(index); });
  }
}

// ---- by a session, at any server ----

void IdClients::ask_by_session(int index, const std::string& query) {
  open_session(any_server(), kIdTtl, [this, index, query](const std::string& id) {
    if (id.empty()) return think(index);
    Client& client = clients_[index];
    client.session = id;
    calls_.call(any_server(), fmt::format("POST ids/{}{}&session={}", client.pool, query, id),
                [this, index, asked = now()](const ServiceReply* reply) {
                  if (reply == nullptr) return think(index);
                  if (reply->answer.status != kvd::ServiceStatus::kCreated) {
                    refused(clients_[index], reply->answer, asked);
                    return think(index);
                  }
                  granted(index, reply->answer, asked);
                  within(kConfirmMost, [this, index] { confirm(index); });
                });
  });
}

void IdClients::confirm(int index) {
  const Client& client = clients_[index];
  calls_.call(
      any_server(), fmt::format("PUT ids/{}?session={}", client.number, client.session),
      [this, index, asked = now()](const ServiceReply* reply) { hear_confirmed(index, asked, reply); });
}

void IdClients::hear_confirmed(int index, Instant asked, const ServiceReply* reply) {
  const Client& client = clients_[index];
  const kvd::ServiceStatus verdict = reply == nullptr ? kvd::ServiceStatus::kUnknown : reply->answer.status;
  if (verdict == kvd::ServiceStatus::kGone) return think(index);
  if (verdict == kvd::ServiceStatus::kOk) {
    if (number_of(reply->answer, "fence") != client.fence)
      return wrong(
          fmt::format("{} is confirmed with another fence: {}", client.number, kvd::words_of(reply->answer)));
    const std::string why = grants_.hear(client.number, client.fence, index, asked, now());
    if (!why.empty()) return wrong("id " + why);
  }
  if (prng_.one_in(2))
    return give_back(client.session, "ids/" + client.number, [this, index] { think(index); });
  within(kConfirmMost, [this, index] { confirm(index); });
}

// ---- the referee ----

void IdClients::granted(int index, const ServiceAnswer& answer, Instant asked) {
  Client& client = clients_[index];
  const std::string number = fmt::format("{}/{}", client.pool, number_of(answer, "id"));
  const int64_t fence = number_of(answer, "fence");
  const std::string why = grants_.hear(number, fence, index, asked, now());
  if (!why.empty()) return wrong("id " + why);
  for (const Client& other : clients_) {
    const bool believes = &other != &client && other.number == number && other.session.empty();
    if (!believes || other.fence > fence || !calls_.runs(other.server)) continue;
    return wrong(fmt::format("id {} is given while s{} has not told its client that it is lost", number,
                             other.server));
  }
  client.number = number;
  client.fence = fence;
  ++client.grants_since;
}

// What rests is free once the rest that its claim asked for is over, by the clock of ZooKeeper.
void IdClients::refused(const Client& client, const ServiceAnswer& answer, Instant asked) {
  if (!answer.why.starts_with("all ids")) return;
  const Pool& pool = client.pool == kPools[0].name ? kPools[0] : kPools[1];
  for (int number = 1; number <= pool.max; ++number) {
    const auto claim = tree().find(fmt::format("/kvd/ids/{}/claims/{}", pool.name, number));
    const auto rest = tree().find(fmt::format("/kvd/ids/{}/resting/{}", pool.name, number));
    if (claim != tree().end()) {
      if (rest == tree().end()) continue;
      const int64_t over = rest->second.created_ms + json_number(claim->second.data, "rest_ms");
      if (over > to_ms(asked.time_since_epoch())) continue;
    }
    return wrong(fmt::format("\"{}\", but {}/{} was free all along", answer.why, pool.name, number));
  }
}

void IdClients::on_zookeeper_changed() {
  const int64_t now_ms = to_ms(now().time_since_epoch());
  for (auto& [number, lent] : lent_) {
    if (!lent.held || tree().contains("/ids/" + number)) continue;
    lent.held = false;
    lent.ended_ms = now_ms;
  }
  const std::string prefix = "/ids/";
  for (auto it = tree().lower_bound(prefix); it != tree().end() && it->first.starts_with(prefix); ++it) {
    const std::string number = it->first.substr(prefix.size());
    const size_t slash = number.find('/');
    if (slash == std::string::npos) continue;
    const auto [known, fresh] = lent_.try_emplace(number);
    Lent& lent = known->second;
    if (lent.held) continue;
    if (!fresh && now_ms < lent.ended_ms + lent.rest_ms)
      wrong(fmt::format("id {} is lent after {} ms of rest, not {}", number, now_ms - lent.ended_ms,
                        lent.rest_ms));
    lent.held = true;
    const auto claim =
        tree().find(fmt::format("/kvd/ids/{}/claims/{}", number.substr(0, slash), number.substr(slash + 1)));
    if (claim == tree().end()) return wrong(fmt::format("id {} is lent without a claim", number));
    lent.rest_ms = json_number(claim->second.data, "rest_ms");
  }
}

void IdClients::on_progress_expected() {
  for (Client& client : clients_) client.grants_since = 0;
}

std::string IdClients::stuck() const {
  for (size_t i = 0; i < clients_.size(); ++i) {
    if (clients_[i].grants_since == 0) return fmt::format("id client {} gets none; ", i);
  }
  return {};
}

}  // namespace kvd::sim
