// See hold_clients.hpp.
#include "hold_clients.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "msg/limits.hpp"

namespace kvd::sim {
namespace {

constexpr uint32_t kHoldConnection = 5u << 26;  // apart from those of all other clients
constexpr Duration kHeldMost = seconds(3);
constexpr Duration kPauseMost = milliseconds(500);
constexpr uint64_t kHoldTtlMore = 2'500;            // ms, than the least
constexpr uint64_t kHoldTtlLong = 60'000;           // ms: it does not end by itself so soon ...
constexpr Duration kEndPatience = seconds(30);      // ... but has to when its connection was closed
constexpr Duration kRoundedLeft = milliseconds(1);  // what is left is said in whole ones

}  // namespace

HoldClients::HoldClients(SimContext& context, Hosts& hosts, Checkers& checkers)
    : context_(context),
      hosts_(hosts),
      checkers_(checkers),
      prng_(context.options.holds == 0 ? 0 : context.prng.next()),
      clients_(static_cast<size_t>(context.options.holds)) {}

Duration HoldClients::up_to(Duration most) {
  return Duration(static_cast<int64_t>(prng_.below(static_cast<uint64_t>(most.count()) + 1)));
}

void HoldClients::start() {
  for (Client& client : clients_) plan(client, kPauseMost);
}

void HoldClients::wrong(const Client& client, const std::string& what) {
  context_.fail(Verdict::kCorrectness, fmt::format("client {} that holds lease {}: {}",
                                                   &client - clients_.data(), client.lease, what));
}

// What was acknowledged in a lineage that is lost counts for nothing.
bool HoldClients::same_lineage(uint64_t lease) const {
  const Lineage lineage = lineage_of(Revision(lease));
  return lineage == lineage_of(checkers_.committed().newest()) && checkers_.config() &&
         lineage == checkers_.config()->lineage;
}

// ---- what they do ----

void HoldClients::plan(Client& client, Duration most) {
  context_.queue.after(up_to(most), [this, &client, turn = ++client.turn] {
    if (client.turn == turn) act(client);
  });
}

void HoldClients::act(Client& client) {
  if (client.former.id != RequestId(0) && (stopped_ || prng_.one_in(2))) close(client.former);
  if (client.holding.id == RequestId(0)) {
    client.rests = stopped_ && client.lease == 0;
    if (!client.rests) open(client);
    return;
  }
  if (stopped_) return;  // hear() lets go
  const uint64_t what = prng_.below(3);
  if (what == 0) {
    let_go(client);
  } else if (what == 1) {
    return open(client);
  }
  plan(client, kHeldMost);
}

void HoldClients::close(Connection& connection) {
  if (connection.id == RequestId(0)) return;
  hosts_.deliver(connection.server, CallCancelled{connection.id});
  connection.id = RequestId(0);
}

void HoldClients::let_go(Client& client) {
  close(client.holding);
  if (healed_ && !client.doubt) {
    context_.queue.after(kEndPatience, [this, lease = client.lease] {
      if (checkers_.terms().lives(lease))
        context_.fail(Verdict::kLiveness,
                      fmt::format("lease {} lives, though its connection was closed", lease));
    });
  }
  forget_lease(client);
}

void HoldClients::forget_lease(Client& client) {
  client.lease = 0;
  client.until = {};
  client.known = {};
  client.doubt = false;
}

// A new lease, or its own at another server.
void HoldClients::open(Client& client) {
  Connection& opening = client.opening;
  opening.server = static_cast<int>(prng_.below(static_cast<uint64_t>(context_.options.servers)));
  if (hosts_.host_state(opening.server) != HostState::kRunning) return plan(client, kPauseMost);
  ++client.turn;
  opening.id = request_id(kHoldConnection + ++connections_, 0);
  HoldLease wanted;
  wanted.id = client.lease;
  wanted.grant.ttl_ms =
      healed_ && prng_.one_in(2) ? kHoldTtlLong : limits::kLeaseTtlMsMin + prng_.below(kHoldTtlMore);
  const Duration timeout(context_.options.timeout_us);
  context_.queue.after(timeout + kReplyGrace, [this, &client, id = opening.id, in_time = healed_] {
    if (client.opening.id != id) return;
    if (in_time)
      context_.fail(Verdict::kLiveness,
                    fmt::format("s{} did not answer client {} that wants to hold a lease in time",
                                client.opening.server, &client - clients_.data()));
    client.given_up = client.opening.id;
    close(client.opening);
    client.doubt = true;
    plan(client, kPauseMost);
  });
  hosts_.deliver(opening.server, Call{opening.id, std::move(wanted), timeout});
}

void HoldClients::on_process_died(int server) {
  for (Client& client : clients_) {
    const bool held = client.holding.id != RequestId(0) && client.holding.server == server;
    const bool opened = client.opening.id != RequestId(0) && client.opening.server == server;
    for (Connection* connection : {&client.holding, &client.opening, &client.former}) {
      if (connection->server == server) connection->id = RequestId(0);
    }
    client.doubt |= opened;
    if ((held && client.opening.id == RequestId(0)) || opened) plan(client, kPauseMost);
  }
}

// ---- what they are told ----

bool HoldClients::on_effect(int server, const NodeEffect& effect) {
  const auto* reply = std::get_if<Reply>(&effect);
  if (reply == nullptr) return false;
  const uint32_t number = connection_of(reply->id);
  if (number <= kHoldConnection || number > kHoldConnection + connections_) return false;
  for (Client& client : clients_) {
    for (Connection* connection : {&client.holding, &client.opening, &client.former}) {
      if (connection->id != reply->id) continue;
      if (connection->server != server) wrong(client, fmt::format("s{} answers", server));
      if (reply->last) connection->id = RequestId(0);
      const auto* line = std::get_if<ServiceAnswer>(&reply->what);
      if (line == nullptr) {
        refused(client, std::get<StoreAnswer>(reply->what));
      } else if (connection == &client.opening) {
        opened(client, std::get<Document>(line->content));
      } else if (connection == &client.holding) {
        hear(client, std::get<Document>(line->content));
      }
      return true;
    }
    // It was granted to who had just hung up: so it is let go of where it was.
    if (client.given_up == reply->id && reply->line) client.until = {};
  }
  return true;
}

// What is said to be left is a promise, whoever leads from here on.
void HoldClients::promise(Client& client, int64_t left_ms, int server) {
  if (context_.options.jump_us != 0)
    return;  // the log's clock may have counted it between question and answer
  const Instant now = checkers_.stamp();
  client.known =
      now + milliseconds(left_ms) - milliseconds(left_ms) * 2 * context_.options.rate_ppm / 1'000'000;
  if (left_ms == 0) return;  // which says nothing about what others have said
  client.until = client.known;
  StoreCall call;
  call.operation = RenewLeases{{client.lease}, {}};
  StoreAnswer answer;
  answer.answer = LeasesRenewed{{static_cast<uint64_t>(left_ms)}, {}};
  checkers_.on_term_answer(server, call, answer, now);
}

void HoldClients::opened(Client& client, const Document& line) {
  const auto lease = static_cast<uint64_t>(line.number("lease").value_or(0));
  if (lease == 0 || (client.lease != 0 && lease != client.lease))
    return wrong(client, fmt::format("it gets lease {}", lease));
  close(client.former);
  client.former = std::exchange(client.holding, std::exchange(client.opening, {}));
  client.lease = lease;
  promise(client, line.number("left_ms").value_or(0), client.holding.server);
  plan(client, kHeldMost);
}

void HoldClients::refused(Client& client, const StoreAnswer& answer) {
  const auto* failed = std::get_if<Failed>(&answer.answer);
  if (failed != nullptr && failed->code == ErrorCode::kLeaseOver) {
    if (checkers_.stamp() + kRoundedLeft < client.until && same_lineage(client.lease))
      wrong(client, "it is over, and was said to live");
    close(client.holding);
    forget_lease(client);
  } else {
    client.doubt |= failed == nullptr || failed->outcome == Outcome::kUnknown;
  }
  plan(client, kPauseMost);
}

void HoldClients::hear(Client& client, const Document& line) {
  const std::string state = line.text("state").value_or("");
  if (state == "held") {
    promise(client, line.number("left_ms").value_or(0), client.holding.server);
    if (!stopped_) return;
    let_go(client);
    plan(client, kPauseMost);
  } else if (state == "unsure") {
    if (checkers_.stamp() + kRoundedLeft < client.known)
      wrong(client, "nobody knows of it, and it was said to live");
  } else if (state == "lost") {
    lost(client, line.text("reason").value_or(""));
  } else if (state == "stopping") {
    if (client.opening.id == RequestId(0)) plan(client, kPauseMost);
  } else {
    wrong(client, "it is told: " + to_json(line));
  }
}

void HoldClients::lost(Client& client, const std::string& reason) {
  const bool lives = checkers_.stamp() + kRoundedLeft < client.until && same_lineage(client.lease);
  if (reason == "over" && lives) wrong(client, "it is lost, and was said to live");
  if (reason == "taken" && !client.doubt && client.opening.id == RequestId(0))
    wrong(client, "it is another's, and nobody took it up");
  // Whose take-up has gone through unheard takes it up again.
  if (reason != "taken") forget_lease(client);
  if (client.opening.id == RequestId(0)) plan(client, kPauseMost);
}

std::string HoldClients::stuck() const {
  std::string why;
  for (const Client& client : clients_) {
    if (!client.rests)
      why += fmt::format("client {} cannot let go of lease {}; ", &client - clients_.data(), client.lease);
  }
  if (clients_.empty() || !why.empty()) return why;
  return checkers_.terms().left();
}

}  // namespace kvd::sim
