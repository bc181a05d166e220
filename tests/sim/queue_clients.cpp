// See queue_clients.hpp.
#include "queue_clients.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "msg/limits.hpp"

namespace kvd::sim {
namespace {

constexpr std::string_view kQueueNames[] = {"a", "b", "c"};
constexpr std::string_view kDeadQueue = "dead";
constexpr std::string_view kGroups[] = {"", "", "g", "h"};
constexpr uint32_t kQueueConnection = 7u << 26;  // apart from those of all other clients
constexpr Duration kQueuePauseMost = milliseconds(300);
constexpr Duration kReceiveWaitMost = seconds(3);
constexpr Duration kDrainWait = seconds(5);
constexpr Duration kServedWithin =
    seconds(3);                              // somebody who waits, when there is something and nothing fails
constexpr Duration kCalmAfter = seconds(5);  // the last one has died
constexpr Duration kGoneSoon = milliseconds(60);
constexpr Duration kPlayedOn = seconds(6);  // when nothing fails any more
constexpr Duration kGrantsWatched = milliseconds(500);
constexpr Duration kGivenBackAfter = seconds(3);  // beyond its time limit, what was granted to nobody
constexpr int kQueueTries = 3;
constexpr size_t kKeptMost = 6;

}  // namespace

QueueClients::QueueClients(SimContext& context, Hosts& hosts, Checkers& checkers)
    : context_(context),
      hosts_(hosts),
      checkers_(checkers),
      prng_(context.options.queues == 0 ? 0 : context.prng.next()),
      clients_(static_cast<size_t>(context.options.queues)) {}

void QueueClients::start() {
  for (Client& client : clients_) think(client);
}

void QueueClients::on_healed() {
  healed_ = true;
  calm_ = context_.queue.now();
  if (!clients_.empty()) watch_grants();
}

void QueueClients::stop() {
  context_.queue.after(kPlayedOn, [this] { stopped_ = true; });
}

// Now and then it goes on at once, so that what is not committed yet is met.
void QueueClients::think(Client& client) {
  client.id = RequestId(0);
  const Duration pause = prng_.one_in(3) ? Duration(0) : up_to(kQueuePauseMost);
  context_.queue.after(pause, [this, &client, turn = ++client.turn] {
    if (client.turn == turn) act(client);
  });
}

void QueueClients::act(Client& client) {
  if (!stopped_) return ask(client, any_operation(client));
  if (client.held.empty() && checkers_.queues().left().empty()) return think(client);  // more may come
  ask(client, drain(client));
}

void QueueClients::ask(Client& client, Operation operation) {
  client.call = StoreCall();
  client.call.operation = std::move(operation);
  client.call.read = prng_.one_in(2) ? ReadMode::kLinear : ReadMode::kLocal;
  client.tries = 0;
  const bool receives = std::holds_alternative<Box<ReceiveMessages>>(client.call.operation);
  if (is_write(client.call.operation) && !receives && prng_.one_in(4))
    client.call.idempotency_key = fmt::format("queues-{}", ++keyed_);
  client.asked = checkers_.stamp();
  client.epoch = checkers_.config() ? checkers_.config()->epoch : Epoch();
  checkers_.on_queue_asked(client.call.operation);
  send(client);
}

void QueueClients::send(Client& client) {
  client.server = static_cast<int>(prng_.below(static_cast<uint64_t>(context_.options.servers)));
  if (hosts_.host_state(client.server) != HostState::kRunning) {
    if (client.tries == 0)
      checkers_.on_queue_answer(client.server, client.call, StoreAnswer{Failed(), {}, {}, {}});
    return think(client);
  }
  ++client.turn;
  ++client.tries;
  client.in_time = healed_;
  client.id = request_id(kQueueConnection + ++connections_, 0);
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

void QueueClients::give_up(Client& client) {
  if (client.in_time)
    context_.fail(Verdict::kLiveness, fmt::format("s{} did not answer client {} of queues in time",
                                                  client.server, &client - clients_.data()));
  hosts_.deliver(client.server, CallCancelled{client.id});
  ask_again(client);
}

void QueueClients::hang_up(Client& client) {
  hosts_.deliver(client.server, CallCancelled{client.id});
  think(client);
}

void QueueClients::ask_again(Client& client) {
  if (client.call.idempotency_key.empty() || client.tries == kQueueTries || stopped_) return think(client);
  send(client);
}

void QueueClients::on_process_died(int server) {
  calm_ = context_.queue.now();
  for (Client& client : clients_) {
    if (client.id != RequestId(0) && client.server == server) ask_again(client);
  }
}

bool QueueClients::on_reply(int server, const NumberedAnswer& reply) {
  const uint32_t number = connection_of(reply.id);
  if (number <= kQueueConnection || number > kQueueConnection + connections_) return false;
  if (!answered_.insert(reply.id.value).second)
    context_.fail(Verdict::kCorrectness, fmt::format("s{} answers a client of queues twice", server));
  const auto client = std::find_if(clients_.begin(), clients_.end(),
                                   [&](const Client& other) { return other.id == reply.id; });
  if (client == clients_.end()) {  // it has given up
    checkers_.on_queue_unheard(reply);
    return true;
  }
  const auto* failed = std::get_if<Failed>(&reply.answer);
  if (failed != nullptr && failed->outcome == Outcome::kUnknown) {
    ask_again(*client);
    return true;
  }
  // One of its tries may have been done before this one was refused.
  if (failed == nullptr || client->tries == 1) checkers_.on_queue_answer(server, client->call, reply);
  hear(*client, reply);
  think(*client);
  return true;
}

void QueueClients::hear(Client& client, const StoreAnswer& answer) {
  const auto* received = std::get_if<Box<Received>>(&answer.answer);
  if (received == nullptr) return;
  for (const QueuedMessage& message : (*received)->messages)
    client.held.push_back({(*received)->queue, message.id, message.receipt});
  if (client.held.size() > kKeptMost && !stopped_) client.held.erase(client.held.begin());  // forgotten
  if ((*received)->messages.empty()) judge_wait(client, answer);
}

// Who waits at a leader that takes writes is served as soon as there is something: that there was nothing when its time
// was over is so.
void QueueClients::judge_wait(const Client& client, const StoreAnswer& answer) {
  const Options& options = context_.options;
  const bool may_be_put_off = options.min_in_sync > 1 || options.settings != 0 ||
                              options.uncommitted_entries != 0 || options.moves != 0 ||
                              options.zk_back != 0 || options.old_copy != 0;
  if (!healed_ || may_be_put_off || answer.epoch != client.epoch) return;
  const auto& receive = *std::get<Box<ReceiveMessages>>(client.call.operation);
  const std::optional<Instant> since = checkers_.queues().grantable_since(receive.queue);
  if (!since) return;
  const Duration served = client.asked + receive.wait - std::max(client.asked, *since);
  if (served < kServedWithin) return;
  context_.fail(
      Verdict::kLiveness,
      fmt::format("client {} waited for a message of {} until revision {}, and there was one for {} us",
                  &client - clients_.data(), receive.queue, answer.revision.value, served.count()));
}

// What was granted to who has gone is given back. (Where servers end it may be forgotten, until its time is over.)
void QueueClients::watch_grants() {
  const Options& options = context_.options;
  if (options.zk_back != 0 || options.old_copy != 0) return;
  const Duration within = Duration(options.timeout_us) + kReplyGrace + kGivenBackAfter;
  const Instant now = checkers_.stamp();
  const Instant since = now - (context_.queue.now() - calm_) + kCalmAfter;
  const std::string why = checkers_.queues().unheard(since, now - within, now);
  if (!why.empty()) context_.fail(Verdict::kLiveness, why);
  context_.queue.after(kGrantsWatched, [this] { watch_grants(); });
}

std::string QueueClients::stuck() const {
  if (clients_.empty()) return {};
  return stopped_ ? checkers_.queues().left() : "clients of queues go on; ";
}

// ---- what they ask ----

std::string QueueClients::any_queue() {
  if (prng_.one_in(12)) return std::string(kDeadQueue);
  return std::string(kQueueNames[prng_.below(std::size(kQueueNames))]);
}

Operation QueueClients::any_operation(Client& client) {
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
      return about_queues();
    case 8:
      return any_read();
    case 9:
    case 10:
    case 11:
    case 12:
      if (!client.held.empty() && prng_.one_in(3)) return any_transaction(client);
      if (!client.held.empty()) {
        SettleMessages settle;
        settle.queue = client.held[prng_.below(client.held.size())].queue;
        settle.atomic = prng_.one_in(4);
        settle.settlings = settle_some(client, settle.queue, false);
        return settle;
      }
      [[fallthrough]];
    default:
      return any_receive(client);
  }
}

Operation QueueClients::any_send() {
  SendMessages send;
  send.queue = any_queue();
  send.create = !prng_.one_in(8);
  const uint64_t count = prng_.one_in(3) ? 1 + prng_.below(4) : 1;
  for (uint64_t i = 0; i < count; ++i) {
    NewMessage message;
    message.body = Bytes(fmt::format("m{}", ++bodies_));
    if (prng_.one_in(3)) message.priority = static_cast<uint8_t>(prng_.below(3));
    message.group = kGroups[prng_.below(std::size(kGroups))];
    if (message.group.empty() && prng_.one_in(5)) message.delay_ms = 100 + prng_.below(1'500);
    if (prng_.one_in(8)) message.max_age_ms = 200 + prng_.below(3'000);
    if (prng_.one_in(4)) message.dedup = fmt::format("d{}", prng_.below(4));
    if (prng_.one_in(4)) message.type = "t";
    send.messages.push_back(std::move(message));
  }
  return send;
}

// What is done for a message, what follows from it, and that it is done with.
Operation QueueClients::any_transaction(Client& client) {
  const auto it = client.held.begin() + static_cast<std::ptrdiff_t>(prng_.below(client.held.size()));
  const Held held = *it;
  client.held.erase(it);
  Transaction transaction;
  if (prng_.one_in(2)) {
    transaction.conditions.push_back(
        {held.queue, TxnCondition::Of::kReceipt, TxnCondition::Is::kEqual, held.receipt, {}, held.id});
  }
  TxnOp ack{TxnOp::Kind::kAck, held.queue, {}, 0};
  ack.settling = Settling{Settling::Kind::kAck, held.id, held.receipt, {}, {}};
  transaction.then_ops.push_back(std::move(ack));
  transaction.then_ops.push_back({TxnOp::Kind::kAdd, done_key(held.id), {}, 1});
  if (prng_.one_in(2)) {
    TxnOp send{TxnOp::Kind::kSend, any_queue(), {}, 0};
    send.message = NewMessage{Bytes(fmt::format("m{}", ++bodies_)), 100, 0, 0, {}, {}, {}};
    transaction.then_ops.push_back(std::move(send));
  }
  transaction.else_ops.push_back({TxnOp::Kind::kGet, done_key(held.id), {}, 0});
  return transaction;
}

Operation QueueClients::any_receive(Client& client) {
  ReceiveMessages receive;
  const bool settles = !client.held.empty() && prng_.one_in(2);
  receive.queue = settles ? client.held[prng_.below(client.held.size())].queue : any_queue();
  receive.max = prng_.one_in(2) ? 1 : 1 + static_cast<uint32_t>(prng_.below(4));
  if (prng_.one_in(2)) receive.wait = up_to(kReceiveWaitMost);
  if (prng_.one_in(3)) receive.ttr_ms = prng_.one_in(3) ? 30'000 : limits::kTtrMsMin + prng_.below(1'500);
  if (settles) receive.settlings = settle_some(client, receive.queue, false);
  return receive;
}

// What it has is done; what is left it asks for.
Operation QueueClients::drain(Client& client) {
  ReceiveMessages receive;
  const std::vector<std::string> left = checkers_.queues().queues_left();
  receive.queue = left.empty() ? any_queue() : left[prng_.below(left.size())];
  if (!client.held.empty()) receive.queue = client.held.front().queue;
  receive.max = 1 + static_cast<uint32_t>(prng_.below(8));
  receive.wait = prng_.one_in(4) ? kDrainWait : up_to(seconds(1));
  receive.settlings = settle_some(client, receive.queue, true);
  return receive;
}

Settling QueueClients::any_settling(const Held& held) {
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

// Of what it has in the queue; what is settled it has no more.
std::vector<Settling> QueueClients::settle_some(Client& client, const std::string& queue, bool all) {
  std::vector<Settling> settlings;
  std::vector<Held> kept;
  for (const Held& held : client.held) {
    if (held.queue != queue || (!all && !settlings.empty() && prng_.one_in(2))) {
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

QueueConfig QueueClients::any_config() {
  QueueConfig config;
  config.ttr_ms = prng_.one_in(5) ? 30'000 : limits::kTtrMsMin + prng_.below(1'500);
  config.max_deliveries = prng_.one_in(3) ? 20 : 1 + static_cast<uint32_t>(prng_.below(3));
  if (prng_.one_in(2)) config.backoff_ms = {100, 500};
  if (prng_.one_in(2)) config.dead_letter = prng_.one_in(4) ? any_queue() : std::string(kDeadQueue);
  config.dedup_window_ms = prng_.one_in(2) ? 300'000 : 200 + prng_.below(3'000);
  if (prng_.one_in(4)) config.max_messages = 1 + prng_.below(5);
  if (prng_.one_in(6)) config.max_bytes = 10 + prng_.below(20);
  if (prng_.one_in(6)) config.max_age_ms = 200 + prng_.below(3'000);
  if (prng_.one_in(3)) config.max_in_flight = 2;
  config.fifo = prng_.one_in(5);
  config.discard_old = prng_.one_in(4);
  return config;
}

Operation QueueClients::about_queues() {
  const MessageState states[] = {MessageState::kReady, MessageState::kDelayed, MessageState::kDead};
  switch (prng_.below(12)) {
    case 0:
      return DeleteQueue{any_queue(), prng_.one_in(2)};
    case 1:
      return PurgeMessages{any_queue(), std::nullopt};
    case 2:
    case 3:
      return PurgeMessages{any_queue(), states[prng_.below(std::size(states))]};
    case 4:
    case 5:
    case 6: {
      KickMessages kick;
      kick.queue = any_queue();
      kick.state = prng_.one_in(3) ? MessageState::kDelayed : MessageState::kDead;
      kick.max = 1 + static_cast<uint32_t>(prng_.below(5));
      if (prng_.one_in(2)) kick.to = any_queue();
      if (kick.to == kick.queue) kick.to.clear();
      if (!kick.to.empty() && prng_.one_in(4)) kick.state = MessageState::kReady;
      return kick;
    }
    default: {
      MakeQueue make{any_queue(), any_config()};
      return make;
    }
  }
}

Operation QueueClients::any_read() {
  switch (prng_.below(3)) {
    case 0:
      return ReadQueue{any_queue()};
    case 1:
      return ListQueues{"", "", 2};
    default:
      return PeekMessages{any_queue(), static_cast<MessageState>(prng_.below(4)), {}, 3};
  }
}

}  // namespace kvd::sim
