// See zk_gateway.hpp.
#include "zk_gateway.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kvd::sim {
namespace {

// A set that only one state of the register admits: applied late it does what it would have done, or nothing.
bool is_conditional_set(const ZkRequest& request) {
  if (const auto* set = std::get_if<ZkSet>(&request)) return set->version >= 0;
  const auto* multi = std::get_if<ZkMulti>(&request);
  if (multi == nullptr || multi->ops.empty()) return false;
  const auto* first = std::get_if<ZkSet>(&multi->ops.front());
  return first != nullptr && first->version >= 0;
}

bool needs_leader(const ZkRequest& request) {
  return zk_is_write(request) || std::holds_alternative<ZkSync>(request);
}

}  // namespace

ZkGateway::ZkGateway(SimContext& context, int servers, Deliver deliver, Changed changed)
    : context_(context),
      deliver_(std::move(deliver)),
      changed_(std::move(changed)),
      zk_(context.prng),
      clients_(static_cast<size_t>(servers)) {}

void ZkGateway::process_started(int server) {
  Client& client = clients_[server];
  client.state = State::kConnecting;
  client.session = 0;
  client.paused = false;
  const uint64_t connection = ++client.connection;
  context_.queue.after(delay(), [this, server, connection] { try_connect(server, connection); });
}

void ZkGateway::process_died(int server, bool closes_session) {
  Client& client = clients_[server];
  if (client.state == State::kConnected) abandon_requests(client);
  const uint64_t session = client.session;
  const bool heard = client.state == State::kConnected && !client.is_cut && !client.stranded;
  if (closes_session && heard && session != 0) {
    context_.queue.at(std::max(client.settled, context_.queue.now() + delay()), [this, session] {
      if (!zk_.up() || !zk_.alive(session)) return;
      zk_.close_session(session);
      after_change();
    });
  }
  client.state = State::kNone;
  client.stranded = false;
  client.session = 0;
  ++client.connection;
  ++client.life;
}

void ZkGateway::process_paused(int server) {
  clients_[server].paused = true;
  clients_[server].paused_at = context_.queue.now();
}

void ZkGateway::process_resumed(int server) {
  Client& client = clients_[server];
  if (!client.paused) return;
  client.paused = false;
  // The client gives a connection up after two thirds of its session without a word.
  if (context_.queue.now() - client.paused_at > session_timeout() * 2 / 3) lose_connection(server);
}

void ZkGateway::perform(int server, ZkCall call) {
  Client& client = clients_[server];
  const uint64_t connection = client.connection;
  if (client.state != State::kConnected) {
    ZkResult result;
    result.id = call.id;
    result.code = ZkCode::kNotConnected;
    // By the client itself, whatever becomes of the connection meanwhile; not after the process has died.
    context_.queue.after(Duration(1), [this, server, result, life = client.life] {
      if (clients_[server].life == life) deliver_(server, result);
    });
    return;
  }
  const uint64_t unlucky = static_cast<uint64_t>(context_.options.zk_lose_sets);
  if (unlucky != 0 && is_conditional_set(call.request) && context_.prng.below(100) < unlucky) {
    context_.queue.after(context_.up_to(2 * context_.options.zk_delay_us_max), [this, server, connection] {
      if (clients_[server].connection == connection) lose_connection(server);
    });
  }
  client.pending.push_back({std::move(call)});
  client.last_request = std::max(client.last_request, context_.queue.now() + delay());
  context_.queue.at(client.last_request, [this, server, connection] { take_request(server, connection); });
}

void ZkGateway::perform(int server, ZkReopen) {
  Client& client = clients_[server];
  if (client.state == State::kConnected) abandon_requests(client);
  client.stranded = false;
  client.state = State::kConnecting;
  client.session = 0;
  const uint64_t connection = ++client.connection;
  context_.queue.after(delay(), [this, server, connection] { try_connect(server, connection); });
}

// The oldest request that has not been applied reaches the ensemble.
void ZkGateway::take_request(int server, uint64_t connection) {
  Client& client = clients_[server];
  if (client.connection != connection || client.is_cut || !zk_.up())
    return;  // it stays pending until the loss
  auto next =
      std::find_if(client.pending.begin(), client.pending.end(), [](const Pending& p) { return !p.applied; });
  if (next == client.pending.end()) return;
  if (client.stranded && needs_leader(next->call.request)) return;  // until it rejoins
  if (!zk_.alive(client.session)) {
    lose_connection(server);
    return;
  }
  next->applied = true;
  zk_.set_clock(context_.queue.now());
  ZkOutcome outcome = zk_.apply(client.session, next->call);
  if (!client.stranded) zk_.touch(client.session, context_.queue.now());
  after_change();
  reply(server, connection, [this, server, outcome = std::move(outcome)] {
    Client& receiver = clients_[server];
    deliver_fired(server, outcome.fired);
    receiver.pending.pop_front();
    zk_.reply_delivered(receiver.session, outcome);
    deliver_(server, outcome.result);
  });
}

void ZkGateway::deliver_fired(int server, const std::vector<ZkFired>& fired) {
  for (const ZkFired& event : fired) {
    if (zk_.watch_delivered(clients_[server].session, event)) deliver_(server, ZkWatchFired{event.path});
  }
}

// Everything that a client hears comes in one order.
void ZkGateway::reply(int server, uint64_t connection, EventQueue::Action action) {
  Client& client = clients_[server];
  client.last_reply = std::max(client.last_reply, context_.queue.now() + delay());
  context_.queue.at(client.last_reply, [this, server, connection, action = std::move(action)] {
    Client& receiver = clients_[server];
    if (receiver.connection != connection || receiver.is_cut) return;
    action();
  });
}

void ZkGateway::lose_connection(int server) {
  Client& client = clients_[server];
  if (client.state != State::kConnected) return;
  if (context_.trace.wanted()) {
    context_.trace.add(
        fmt::format("{} zookeeper: s{} loses its connection", to_us(context_.queue.now()), server));
  }
  std::vector<ZkCallId> lost;
  for (const Pending& pending : client.pending) lost.push_back(pending.call.id);
  abandon_requests(client);
  client.stranded = false;  // it connects to another server
  client.state = State::kConnecting;
  const uint64_t connection = ++client.connection;
  const bool state_first = context_.prng.one_in(2);
  ZkSessionChanged changed;
  changed.state = ZkState::kConnecting;
  if (state_first) deliver_(server, changed);
  for (ZkCallId id : lost) {
    ZkResult result;
    result.id = id;
    result.code = ZkCode::kUnknown;
    deliver_(server, result);
  }
  if (!state_first) deliver_(server, changed);
  context_.queue.after(delay() + context_.up_to(300'000),
                       [this, server, connection] { try_connect(server, connection); });
}

// Of the requests on a connection that breaks the first few still reach the ensemble, the others never do.
void ZkGateway::abandon_requests(Client& client) {
  const Instant now = context_.queue.now();
  client.settled = now;
  size_t open = 0;
  for (const Pending& pending : client.pending) open += pending.applied ? 0 : 1;
  size_t reached = client.stranded ? 0 : context_.prng.below(open + 1);
  Instant when = now;
  for (Pending& pending : client.pending) {
    if (pending.applied || reached == 0) continue;
    --reached;
    when += delay();
    if (!zk_is_write(pending.call.request)) continue;
    const bool late = is_conditional_set(pending.call.request);
    apply_unseen_at(late ? when + context_.up_to(context_.options.zk_late_us_max) : when, client,
                    std::move(pending.call));
  }
  client.settled = when;
  client.pending.clear();
  client.last_request = client.last_reply = now;
}

bool ZkGateway::changes_register(int server) const {
  const Client& client = clients_[server];
  return client.abandoned != 0 ||
         std::any_of(client.pending.begin(), client.pending.end(),
                     [](const Pending& p) { return !p.applied && is_conditional_set(p.call.request); });
}

void ZkGateway::apply_unseen_at(Instant when, Client& client, ZkCall call) {
  const int change = is_conditional_set(call.request) ? 1 : 0;
  client.abandoned += change;
  context_.queue.at(when, [this, &client, change, session = client.session, call = std::move(call)] {
    client.abandoned -= change;
    if (!zk_.up() || !zk_.alive(session)) return;
    zk_.set_clock(context_.queue.now());
    zk_.apply_unseen(session, call);
    after_change();
  });
}

void ZkGateway::try_connect(int server, uint64_t connection) {
  Client& client = clients_[server];
  if (client.connection != connection || client.state != State::kConnecting) return;
  if (client.is_cut || client.paused || !zk_.up() || context_.queue.now() < client.settled) {
    context_.queue.after(Duration(20'000) + context_.up_to(300'000),
                         [this, server, connection] { try_connect(server, connection); });
    return;
  }
  if (client.session == 0) {
    client.session = zk_.open_session(session_timeout(), context_.queue.now());
    connected(server, {});
    return;
  }
  if (!zk_.alive(client.session)) {
    client.state = State::kExpired;
    client.session = 0;
    ZkSessionChanged changed;
    changed.state = ZkState::kExpired;
    deliver_(server, changed);
    return;
  }
  const int64_t oldest = zk_.seen(client.session);
  const bool lags = context_.options.zk_lag_us_max > 0;
  connected(server,
            zk_.reconnect(client.session, lags ? context_.prng.between(oldest, zk_.zxid()) : zk_.zxid()));
}

void ZkGateway::connected(int server, const std::vector<ZkFired>& fired) {
  Client& client = clients_[server];
  client.state = State::kConnected;
  zk_.touch(client.session, context_.queue.now());
  ZkSessionChanged changed;
  changed.state = ZkState::kConnected;
  changed.session = client.session;
  changed.timeout = session_timeout();
  deliver_(server, changed);
  const uint64_t connection = client.connection;
  if (!fired.empty()) reply(server, connection, [this, server, fired] { deliver_fired(server, fired); });
  ping(server, client.connection);
  plan_expiry();
  after_change();
  advance(server);
}

void ZkGateway::ping(int server, uint64_t connection) {
  Client& client = clients_[server];
  if (client.connection != connection) return;
  if (!client.paused && !client.is_cut && zk_.up()) {
    if (!client.stranded) zk_.touch(client.session, context_.queue.now());
    if (!zk_.alive(client.session)) {
      lose_connection(server);
      return;
    }
  }
  context_.queue.after(session_timeout() / 3, [this, server, connection] { ping(server, connection); });
}

void ZkGateway::plan_expiry() {
  if (expiry_planned_ || zk_.next_expiry() == kNever) return;
  expiry_planned_ = true;
  const Instant when = std::max(zk_.next_expiry(), context_.queue.now() + Duration(10'000));
  context_.queue.at(when, [this] {
    expiry_planned_ = false;
    if (zk_.up()) zk_.expire(context_.queue.now());
    after_change();
    plan_expiry();
  });
}

void ZkGateway::after_change() {
  if (zk_.zxid() == seen_zxid_) return;
  seen_zxid_ = zk_.zxid();
  changed_();
  for (size_t i = 0; i < clients_.size(); ++i) advance(static_cast<int>(i));
}

// The session's server catches up a while after a change.
void ZkGateway::advance(int server) {
  Client& client = clients_[server];
  if (client.state != State::kConnected || client.advance_planned || client.view_held || client.stranded)
    return;
  client.advance_planned = true;
  context_.queue.after(delay() + context_.up_to(context_.options.zk_lag_us_max), [this, server] {
    Client& late = clients_[server];
    late.advance_planned = false;
    if (late.view_held || late.stranded || late.state != State::kConnected || late.is_cut || !zk_.up() ||
        !zk_.alive(late.session))
      return;
    const std::vector<ZkFired> fired = zk_.advance(late.session, zk_.zxid());
    if (fired.empty()) return;
    reply(server, late.connection, [this, server, fired] { deliver_fired(server, fired); });
  });
}

void ZkGateway::release_view(int server) {
  clients_[server].view_held = false;
  advance(server);
}

void ZkGateway::strand(int server) {
  if (clients_[server].state == State::kConnected) clients_[server].stranded = true;
}

void ZkGateway::rejoin(int server) {
  Client& client = clients_[server];
  if (!std::exchange(client.stranded, false)) return;
  zk_.touch(client.session, context_.queue.now());
  for (size_t i = 0; i < client.pending.size(); ++i)
    context_.queue.after(
        delay(), [this, server, connection = client.connection] { take_request(server, connection); });
  advance(server);
}

void ZkGateway::cut(int server) {
  Client& client = clients_[server];
  if (client.is_cut) return;
  client.is_cut = true;
  const uint64_t connection = client.connection;
  context_.queue.after(context_.up_to(session_timeout().count() * 2 / 3), [this, server, connection] {
    if (clients_[server].connection == connection) lose_connection(server);
  });
}

void ZkGateway::mend(int server) {
  if (!clients_[server].is_cut) return;
  clients_[server].is_cut = false;
  lose_connection(server);  // what was sent meanwhile is gone
}

void ZkGateway::restore_tree(const ZkTree& tree) {
  zk_.restore_tree(tree);
  for (size_t i = 0; i < clients_.size(); ++i) lose_connection(static_cast<int>(i));
  after_change();
}

void ZkGateway::by_hand(ZkRequest request) {
  const uint64_t session = zk_.open_session(seconds(1), context_.queue.now());
  zk_.apply(session, ZkCall{ZkCallId(1), std::move(request)});
  zk_.close_session(session);
  after_change();
}

void ZkGateway::set_ensemble_up(bool up) {
  if (zk_.up() == up) return;
  zk_.set_up(up, context_.queue.now());
  if (up) {
    plan_expiry();
    return;
  }
  for (size_t i = 0; i < clients_.size(); ++i) {
    const int server = static_cast<int>(i);
    const uint64_t connection = clients_[i].connection;
    context_.queue.after(context_.up_to(500'000), [this, server, connection] {
      if (clients_[server].connection == connection) lose_connection(server);
    });
  }
}

}  // namespace kvd::sim
