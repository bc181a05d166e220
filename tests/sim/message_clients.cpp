// See message_clients.hpp.
#include "message_clients.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "msg/limits.hpp"

namespace kvd::sim {
namespace {

constexpr Duration kMessagePause = milliseconds(300);
constexpr Duration kReceiveWaitMost = seconds(3);
constexpr Duration kDrainWait = seconds(5);
constexpr Duration kServedWithin =
    seconds(3);                              // somebody who waits, when there is something and nothing fails
constexpr Duration kCalmAfter = seconds(5);  // the last one has died
constexpr Duration kGoneSoon = milliseconds(60);
constexpr Duration kPlayedOn = seconds(6);  // when nothing fails any more
constexpr Duration kGrantsWatched = milliseconds(500);
constexpr Duration kGivenBackAfter = seconds(3);  // beyond its time limit, what was granted to nobody
constexpr int kMessageTries = 3;
constexpr size_t kKeptMost = 6;

}  // namespace

MessageClients::MessageClients(SimContext& context, Hosts& hosts, Checkers& checkers, MessageJudge& judge,
                               int64_t count, std::string of, uint32_t connection)
    : checkers_(checkers),
      prng_(count == 0 ? 0 : context.prng.next()),
      context_(context),
      hosts_(hosts),
      judge_(judge),
      of_(std::move(of)),
      first_connection_(connection),
      clients_(static_cast<size_t>(count)) {}

void MessageClients::start() {
  for (Client& client : clients_) think(client);
}

void MessageClients::on_healed() {
  healed_ = true;
  calm_ = context_.queue.now();
  if (!clients_.empty()) watch_grants();
}

void MessageClients::stop() {
  context_.queue.after(kPlayedOn, [this] { stopped_ = true; });
}

// Now and then it goes on at once, so that what is not committed yet is met.
void MessageClients::think(Client& client) {
  client.id = RequestId(0);
  const Duration pause = prng_.one_in(3) ? Duration(0) : up_to(kMessagePause);
  context_.queue.after(pause, [this, &client, turn = ++client.turn] {
    if (client.turn == turn) act(client);
  });
}

void MessageClients::act(Client& client) {
  if (!stopped_) return ask(client, any_operation(client));
  if (client.held.empty() && judge_.left().empty()) return think(client);  // more may come
  ask(client, drain(client));
}

void MessageClients::ask(Client& client, Operation operation) {
  client.call = StoreCall();
  client.call.operation = std::move(operation);
  client.call.read = prng_.one_in(2) ? ReadMode::kLinear : ReadMode::kLocal;
  client.tries = 0;
  const bool receives = std::holds_alternative<Box<ReceiveMessages>>(client.call.operation);
  if (is_write(client.call.operation) && !receives && prng_.one_in(4))
    client.call.idempotency_key = fmt::format("{}-{}", of_, ++keyed_);
  client.asked = checkers_.stamp();
  client.epoch = checkers_.config() ? checkers_.config()->epoch : Epoch();
  judge_.on_asked(client.call.operation);
  send(client);
}

void MessageClients::send(Client& client) {
  client.server = static_cast<int>(prng_.below(static_cast<uint64_t>(context_.options.servers)));
  if (hosts_.host_state(client.server) != HostState::kRunning) {
    if (client.tries == 0) judge(client.server, client.call, StoreAnswer{Failed(), {}, {}, {}});
    return think(client);
  }
  ++client.turn;
  ++client.tries;
  client.in_time = healed_;
  client.id = request_id(first_connection_ + ++connections_, 0);
  Duration timeout(context_.options.timeout_us);
  const auto* receive = std::get_if<Box<ReceiveMessages>>(&client.call.operation);
  if (receive != nullptr) {
    timeout += (*receive)->wait;
    if (!stopped_ && prng_.one_in(4)) {
      const Duration most = prng_.one_in(2) ? kGoneSoon : (*receive)->wait + kGoneSoon;
      context_.queue.after(up_to(most), [this, &client, id = client.id] {
        if (client.id == id) hang_up(client);
      });
    }
  }
  context_.queue.after(timeout + kReplyGrace, [this, &client, id = client.id] {
    if (client.id == id) give_up(client);
  });
  hosts_.deliver(client.server, Call{client.id, client.call, timeout});
}

void MessageClients::give_up(Client& client) {
  if (client.in_time)
    context_.fail(Verdict::kLiveness, fmt::format("s{} did not answer client {} of {} in time", client.server,
                                                  &client - clients_.data(), of_));
  hosts_.deliver(client.server, CallCancelled{client.id});
  ask_again(client);
}

void MessageClients::hang_up(Client& client) {
  hosts_.deliver(client.server, CallCancelled{client.id});
  think(client);
}

void MessageClients::ask_again(Client& client) {
  if (client.call.idempotency_key.empty() || client.tries == kMessageTries || stopped_) return think(client);
  send(client);
}

void MessageClients::on_process_died(int server) {
  calm_ = context_.queue.now();
  for (Client& client : clients_) {
    if (client.id != RequestId(0) && client.server == server) ask_again(client);
  }
}

bool MessageClients::on_reply(int server, const NumberedAnswer& reply) {
  const uint32_t number = connection_of(reply.id);
  if (number <= first_connection_ || number > first_connection_ + connections_) return false;
  if (!answered_.insert(reply.id.value).second)
    context_.fail(Verdict::kCorrectness, fmt::format("s{} answers a client of {} twice", server, of_));
  const auto client = std::find_if(clients_.begin(), clients_.end(),
                                   [&](const Client& other) { return other.id == reply.id; });
  if (client == clients_.end()) {  // it has given up
    judge_.on_unheard(reply);
    return true;
  }
  const auto* failed = std::get_if<Failed>(&reply.answer);
  if (failed != nullptr && failed->outcome == Outcome::kUnknown) {
    ask_again(*client);
    return true;
  }
  // One of its tries may have been done before this one was refused.
  if (failed == nullptr || client->tries == 1) judge(server, client->call, reply);
  hear(*client, reply);
  think(*client);
  return true;
}

void MessageClients::judge(int server, const StoreCall& call, const StoreAnswer& answer) {
  const std::string why = judge_.on_answer(call.operation, answer);
  if (!why.empty())
    context_.fail(Verdict::kCorrectness, fmt::format("s{} tells a client of {}: {}", server, of_, why));
}

void MessageClients::hear(Client& client, const StoreAnswer& answer) {
  const auto* received = std::get_if<Box<Received>>(&answer.answer);
  if (received == nullptr) return;
  for (const QueuedMessage& message : (*received)->messages)
    client.held.push_back({{(*received)->queue, (*received)->subscription}, message.id, message.receipt});
  if (client.held.size() > kKeptMost && !stopped_) client.held.erase(client.held.begin());  // forgotten
  if ((*received)->messages.empty() && !(*received)->gap) judge_wait(client, answer);
}

// Who waits at a leader that takes writes is served as soon as there is something: that there was nothing when its time
// was over is so.
void MessageClients::judge_wait(const Client& client, const StoreAnswer& answer) {
  const Options& options = context_.options;
  const bool may_be_put_off = options.min_in_sync > 1 || options.settings != 0 ||
                              options.uncommitted_entries != 0 || options.moves != 0 ||
                              options.zk_back != 0 || options.old_copy != 0;
  if (!healed_ || may_be_put_off || answer.epoch != client.epoch) return;
  const auto& receive = *std::get<Box<ReceiveMessages>>(client.call.operation);
  const std::optional<Instant> since = judge_.grantable_since({receive.queue, receive.subscription});
  if (!since) return;
  const Duration served = client.asked + receive.wait - std::max(client.asked, *since);
  if (served < kServedWithin) return;
  context_.fail(
      Verdict::kLiveness,
      fmt::format("client {} waited for a message of {} {} until revision {}, and there was one for {} us",
                  &client - clients_.data(), receive.queue, receive.subscription, answer.revision.value,
                  served.count()));
}

// What was granted to who has gone is given back. (Where servers end it may be forgotten, until its time is over.)
void MessageClients::watch_grants() {
  const Options& options = context_.options;
  if (options.zk_back != 0 || options.old_copy != 0) return;
  const Duration within = Duration(options.timeout_us) + kReplyGrace + kGivenBackAfter;
  const Instant now = checkers_.stamp();
  const Instant since = now - (context_.queue.now() - calm_) + kCalmAfter;
  const std::string why = judge_.unheard(since, now - within, now);
  if (!why.empty()) context_.fail(Verdict::kLiveness, why);
  context_.queue.after(kGrantsWatched, [this] { watch_grants(); });
}

std::string MessageClients::stuck() const {
  if (clients_.empty()) return {};
  return stopped_ ? judge_.left() : fmt::format("clients of {} go on; ", of_);
}

// ---- what they ask ----

Operation MessageClients::any_operation(Client& client) {
  switch (prng_.below(20)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
      return any_send();
    case 7:
      return any_change();
    case 8:
      return any_read();
    case 9:
    case 10:
    case 11:
    case 12:
      if (!client.held.empty() && prng_.one_in(3)) return any_transaction(client);
      if (!client.held.empty()) {
        SettleMessages settle;
        const SourceOf source = client.held[prng_.below(client.held.size())].source;
        std::tie(settle.queue, settle.subscription) = source;
        settle.atomic = prng_.one_in(4);
        settle.settlings = settle_some(client, source, false);
        return settle;
      }
      [[fallthrough]];
    default:
      return any_receive(client);
  }
}

// What is done for a message, what follows from it, and that it is done with.
Operation MessageClients::any_transaction(Client& client) {
  const auto it = client.held.begin() + static_cast<std::ptrdiff_t>(prng_.below(client.held.size()));
  const Held held = *it;
  client.held.erase(it);
  Transaction transaction;
  if (prng_.one_in(2)) {
    transaction.conditions.push_back({held.source.first,
                                      TxnCondition::Of::kReceipt,
                                      TxnCondition::Is::kEqual,
                                      held.receipt,
                                      {},
                                      held.id,
                                      held.source.second});
  }
  TxnOp ack{TxnOp::Kind::kAck, held.source.first, {}, 0};
  ack.subscription = held.source.second;
  ack.settling = Settling{Settling::Kind::kAck, held.id, held.receipt, {}, {}};
  transaction.then_ops.push_back(std::move(ack));
  transaction.then_ops.push_back({TxnOp::Kind::kAdd, done_key_of(held), {}, 1});
  if (prng_.one_in(2)) transaction.then_ops.push_back(any_sent());
  transaction.else_ops.push_back({TxnOp::Kind::kGet, done_key_of(held), {}, 0});
  return transaction;
}

Operation MessageClients::any_receive(Client& client) {
  ReceiveMessages receive;
  const bool settles = !client.held.empty() && prng_.one_in(2);
  const SourceOf source = settles ? client.held[prng_.below(client.held.size())].source : any_source();
  std::tie(receive.queue, receive.subscription) = source;
  receive.max = prng_.one_in(2) ? 1 : 1 + static_cast<uint32_t>(prng_.below(4));
  if (prng_.one_in(2)) receive.wait = up_to(kReceiveWaitMost);
  if (prng_.one_in(3)) receive.ttr_ms = prng_.one_in(3) ? 30'000 : limits::kTtrMsMin + prng_.below(1'500);
  if (settles) receive.settlings = settle_some(client, source, false);
  return receive;
}

// What it has is done; what is left it asks for.
Operation MessageClients::drain(Client& client) {
  ReceiveMessages receive;
  const std::vector<SourceOf> left = judge_.sources_left();
  SourceOf source = left.empty() ? any_source() : left[prng_.below(left.size())];
  if (!client.held.empty()) source = client.held.front().source;
  std::tie(receive.queue, receive.subscription) = source;
  receive.max = 1 + static_cast<uint32_t>(prng_.below(8));
  receive.wait = prng_.one_in(4) ? kDrainWait : up_to(seconds(1));
  receive.settlings = settle_some(client, source, true);
  return receive;
}

Settling MessageClients::any_settling(const Held& held) {
  Settling settling;
  settling.id = held.id;
  settling.receipt = held.receipt;
  settling.kind = Settling::Kind::kAck;
  if (prng_.one_in(2)) settling.kind = static_cast<Settling::Kind>(prng_.below(5));
  if (settling.kind == Settling::Kind::kNack && prng_.one_in(2)) settling.ms = prng_.below(1'000);
  if (settling.kind == Settling::Kind::kExtend && prng_.one_in(2)) settling.ms = 200 + prng_.below(2'000);
  if (prng_.one_in(8)) settling.receipt -= 1 + prng_.below(20);  // somebody else's, perhaps
  return settling;
}

// Of what it has from there; what is settled it has no more.
std::vector<Settling> MessageClients::settle_some(Client& client, const SourceOf& source, bool all) {
  std::vector<Settling> settlings;
  std::vector<Held> kept;
  for (const Held& held : client.held) {
    if (held.source != source || (!all && !settlings.empty() && prng_.one_in(2))) {
      kept.push_back(held);
      continue;
    }
    settlings.push_back(all ? Settling{Settling::Kind::kAck, held.id, held.receipt, {}, {}}
                            : any_settling(held));
    const bool keeps =
        settlings.back().kind == Settling::Kind::kExtend || settlings.back().receipt != held.receipt;
    if (keeps) kept.push_back(held);
  }
  client.held = std::move(kept);
  return settlings;
}

}  // namespace kvd::sim
