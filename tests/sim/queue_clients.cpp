// See queue_clients.hpp.
#include "queue_clients.hpp"

#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "msg/limits.hpp"
#include "queue_wishes.hpp"

namespace kvd::sim {
namespace {

constexpr std::string_view kQueueNames[] = {"a", "b", "c"};
constexpr std::string_view kDeadQueue = "dead";
constexpr std::string_view kGroups[] = {"", "", "g", "h"};
constexpr uint32_t kQueueConnection = 7u << 26;  // apart from those of all other clients

}  // namespace

QueueClients::QueueClients(SimContext& context, Hosts& hosts, Checkers& checkers)
    : MessageClients(context, hosts, checkers, checkers.queues(), context.options.queues, "queues",
                     kQueueConnection) {}

std::string QueueClients::any_queue() {
  if (prng_.one_in(12)) return std::string(kDeadQueue);
  return std::string(kQueueNames[prng_.below(std::size(kQueueNames))]);
}

Operation QueueClients::any_send() {
  SendMessages send;
  send.queue = any_queue();
  send.create = !prng_.one_in(8);
  const uint64_t count = prng_.one_in(3) ? 1 + prng_.below(4) : 1;
  for (uint64_t i = 0; i < count; ++i) {
    NewMessage message;
    message.body = Bytes(new_body());
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

TxnOp QueueClients::any_sent() {
  TxnOp send{TxnOp::Kind::kSend, any_queue(), {}, 0};
  send.message = NewMessage{Bytes(new_body()), 100, 0, 0, {}, {}, {}};
  return send;
}

std::string QueueClients::done_key_of(const Held& held) const { return done_key(held.id); }

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

Operation QueueClients::any_change() {
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
