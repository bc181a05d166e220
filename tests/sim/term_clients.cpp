// See term_clients.hpp.
#include "term_clients.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "msg/limits.hpp"

namespace kvd::sim {
namespace {

constexpr uint32_t kTermConnection = 3u << 27;  // apart from those of all other clients
constexpr Duration kTermPauseMost = milliseconds(300);
constexpr uint64_t kTtlMsMore = 2'500;  // than the least
constexpr size_t kLeasesKnown = 6;
constexpr int kTries = 3;

}  // namespace

TermClients::TermClients(SimContext& context, Hosts& hosts, Checkers& checkers)
    : context_(context),
      hosts_(hosts),
      checkers_(checkers),
      prng_(context.options.terms == 0 ? 0 : context.prng.next()),
      clients_(static_cast<size_t>(context.options.terms)) {}

void TermClients::start() {
  for (Client& client : clients_) think(client);
}

// Now and then it goes on at once, so that what is not committed yet is met.
void TermClients::think(Client& client) {
  client.id = RequestId(0);
  const Duration pause = prng_.one_in(3) ? Duration(0) : up_to(kTermPauseMost);
  context_.queue.after(pause, [this, &client, turn = ++client.turn] {
    if (client.turn == turn) act(client);
  });
}

void TermClients::act(Client& client) {
  if (stopped_) return;
  client.call = StoreCall();
  client.call.operation = any_operation();
  client.call.read = prng_.one_in(2) ? ReadMode::kLinear : ReadMode::kLocal;
  client.tries_left = 0;
  if (is_write(client.call.operation) && prng_.one_in(4)) {
    client.call.idempotency_key = fmt::format("terms-{}", ++keyed_);
    client.tries_left = kTries;
  }
  client.asked = checkers_.stamp();
  send(client);
}

void TermClients::send(Client& client) {
  client.server = static_cast<int>(prng_.below(static_cast<uint64_t>(context_.options.servers)));
  if (hosts_.host_state(client.server) != HostState::kRunning) return think(client);
  ++client.turn;
  client.in_time = healed_;
  client.id = request_id(kTermConnection + ++connections_, 0);
  const Duration timeout(context_.options.timeout_us);
  context_.queue.after(timeout + kReplyGrace, [this, &client, id = client.id] {
    if (client.id == id) give_up(client);
  });
  hosts_.deliver(client.server, Call{client.id, client.call, timeout});
}

void TermClients::give_up(Client& client) {
  if (client.in_time)
    context_.fail(Verdict::kLiveness, fmt::format("s{} did not answer client {} with terms in time",
                                                  client.server, &client - clients_.data()));
  hosts_.deliver(client.server, CallCancelled{client.id});
  ask_again(client);
}

void TermClients::ask_again(Client& client) {
  if (client.tries_left == 0 || stopped_) return think(client);
  --client.tries_left;
  send(client);
}

void TermClients::on_process_died(int server) {
  for (Client& client : clients_) {
    if (client.id != RequestId(0) && client.server == server) ask_again(client);
  }
}

bool TermClients::on_reply(int server, const NumberedAnswer& reply) {
  const uint32_t number = connection_of(reply.id);
  if (number <= kTermConnection || number > kTermConnection + connections_) return false;
  const auto client = std::find_if(clients_.begin(), clients_.end(),
                                   [&](const Client& other) { return other.id == reply.id; });
  if (client == clients_.end()) return true;  // it has given up
  const auto* failed = std::get_if<Failed>(&reply.answer);
  if (failed != nullptr && failed->outcome == Outcome::kUnknown) {
    ask_again(*client);
    return true;
  }
  if (failed == nullptr) {
    checkers_.on_reply(server, client->call, reply, Revision(0));
    checkers_.on_term_answer(server, client->call, reply, client->asked);
  }
  if (const auto* granted = std::get_if<LeaseGranted>(&reply.answer)) {
    leases_.push_back(granted->id);
    if (leases_.size() > kLeasesKnown) leases_.erase(leases_.begin());
  }
  think(*client);
  return true;
}

std::string TermClients::stuck() const {
  if (clients_.empty()) return {};
  return checkers_.terms().left();
}

// ---- what they ask ----

std::string TermClients::any_key() { return std::string(kTermKeys[prng_.below(std::size(kTermKeys))]); }

uint64_t TermClients::any_lease() { return leases_.empty() ? 0 : leases_[prng_.below(leases_.size())]; }

Term TermClients::any_term() {
  switch (prng_.below(8)) {
    case 0:
      return {Term::Kind::kNone, 0};
    case 1:
      return {Term::Kind::kKeep, 0};
    case 2:
    case 3:
    case 4:
      return {Term::Kind::kLease, any_lease()};
    default:
      return {Term::Kind::kTime, limits::kTtlMsMin + prng_.below(kTtlMsMore)};
  }
}

Operation TermClients::any_operation() {
  const std::string key = any_key();
  switch (prng_.below(16)) {
    case 0:
      return DeleteKey{key, {}};
    case 1:
      return DeletePrefix{"e/", static_cast<uint32_t>(prng_.below(3))};
    case 2:
      return AddNumber{key, prng_.between(-9, 9), {}};
    case 3:
      return AppendBytes{key, any_number(), {}};
    case 4:
    case 5: {
      Term term = any_term();
      if (term.kind == Term::Kind::kKeep) term = {};
      return TouchKey{key, term, {}};
    }
    case 6:
    case 7:
      return several_writes();
    case 8:
    case 9:
    case 10:
      return about_leases();
    case 11:
    case 12:
      return any_read();
    default:
      return PutKey{key, any_number(), {}, any_term()};
  }
}

Operation TermClients::about_leases() {
  switch (prng_.below(6)) {
    case 0:
    case 1:
      return GrantLease{limits::kLeaseTtlMsMin + prng_.below(kTtlMsMore), "n"};
    case 2:
      return EndLease{any_lease()};
    default: {
      RenewLeases renewal;
      for (uint64_t count = 1 + prng_.below(3); count > 0; --count) renewal.ids.push_back(any_lease());
      return renewal;
    }
  }
}

Operation TermClients::any_read() {
  switch (prng_.below(5)) {
    case 0:
      return ReadLease{any_lease(), true};
    case 1:
      return ListLeases{0, 1 + static_cast<uint32_t>(prng_.below(4))};
    default:
      return ReadKey{any_key()};
  }
}

TxnOp TermClients::any_op() {
  TxnOp op;
  op.key = any_key();
  op.kind = static_cast<TxnOp::Kind>(prng_.below(6));
  op.by = 1;
  op.value = any_number();
  op.term = any_term();
  if (op.kind == TxnOp::Kind::kTouch && op.term.kind == Term::Kind::kKeep) op.term = {};
  return op;
}

Operation TermClients::several_writes() {
  const uint64_t count = 1 + prng_.below(4);
  if (prng_.one_in(2)) {
    WriteBatch batch;
    for (uint64_t i = 0; i < count; ++i) {
      BatchOp op{any_key(), any_number(), any_term()};
      if (prng_.one_in(4)) op.value.reset();
      batch.ops.push_back(std::move(op));
    }
    return batch;
  }
  Transaction transaction;
  if (prng_.one_in(2))
    transaction.conditions.push_back(
        {"", TxnCondition::Of::kLease, TxnCondition::Is::kEqual, any_lease(), {}});
  for (uint64_t i = 0; i < count; ++i) transaction.then_ops.push_back(any_op());
  return transaction;
}

}  // namespace kvd::sim
