// The fields of what is said of queues, in the order of the wire (wire.cpp), and what must hold of them when they are
// read.
#pragma once
#include <tuple>

#include "msg/client.hpp"
#include "msg/codec.hpp"
#include "msg/queues.hpp"

namespace kvd {

auto fields(Of<MessageId> auto& m) { return std::tie(m.revision, m.index); }
auto fields(Of<QueueConfig> auto& m) {
  return std::tie(m.ttr_ms, m.max_deliveries, m.backoff_ms, m.dead_letter, m.dedup_window_ms, m.max_messages,
                  m.max_bytes, m.max_age_ms, m.max_in_flight, m.fifo, m.discard_old);
}
auto fields(Of<MakeQueue> auto& m) { return std::tie(m.name, m.config); }
auto fields(Of<DeleteQueue> auto& m) { return std::tie(m.name, m.if_empty); }
auto fields(Of<MessagePast> auto& m) {
  return std::tie(m.sent_ms, m.dead_from, m.reason, m.attempts, m.dead, m.why, m.attempt);
}
auto fields(Of<NewMessage> auto& m) {
  return std::tie(m.body, m.priority, m.delay_ms, m.max_age_ms, m.group, m.dedup, m.type, m.past);
}
auto fields(Of<SendMessages> auto& m) { return std::tie(m.queue, m.messages, m.create); }
auto fields(Of<Settling> auto& m) { return std::tie(m.kind, m.id, m.receipt, m.ms, m.reason); }
auto fields(Of<SettleMessages> auto& m) {
  return std::tie(m.queue, m.settlings, m.atomic, m.ticket, m.subscription);
}
auto fields(Of<ReceiveMessages> auto& m) {
  return std::tie(m.queue, m.max, m.wait, m.ttr_ms, m.ticket, m.turn, m.credit, m.settlings, m.subscription);
}
auto fields(Of<KickMessages> auto& m) { return std::tie(m.queue, m.state, m.max, m.to, m.subscription); }
auto fields(Of<PurgeMessages> auto& m) { return std::tie(m.queue, m.state); }
auto fields(Of<ReadQueue> auto& m) { return std::tie(m.name); }
auto fields(Of<ListQueues> auto& m) { return std::tie(m.prefix, m.after, m.limit); }
auto fields(Of<PeekMessages> auto& m) { return std::tie(m.queue, m.state, m.after, m.limit, m.subscription); }
auto fields(Of<PeekMessage> auto& m) { return std::tie(m.queue, m.id, m.subscription); }

auto fields(Of<QueueMade> auto& m) { return std::tie(m.created); }
auto fields(Of<QueueDeleted> auto&) { return std::tie(); }
auto fields(Of<Sent::Duplicate> auto& m) { return std::tie(m.place, m.id); }
auto fields(Of<Sent> auto& m) { return std::tie(m.count, m.duplicates); }
auto fields(Of<QueuedMessage> auto& m) {
  return std::tie(m.id, m.state, m.receipt, m.attempt, m.left_ms, m.priority, m.group, m.type, m.sent_ms,
                  m.body, m.reason, m.dead_from, m.attempts);
}
auto fields(Of<Settled::One> auto& m) { return std::tie(m.result, m.receipt, m.left_ms); }
auto fields(Of<Settled> auto& m) { return std::tie(m.results, m.refused); }
auto fields(Of<Received::Gap> auto& m) { return std::tie(m.after, m.last); }
auto fields(Of<Received> auto& m) {
  return std::tie(m.queue, m.turn, m.messages, m.settled, m.subscription, m.gap);
}
auto fields(Of<Peeked> auto& m) { return std::tie(m.messages, m.more, m.complete, m.last, m.gap); }
auto fields(Of<MessagesMoved> auto& m) { return std::tie(m.count); }
auto fields(Of<MessagesPurged> auto& m) { return std::tie(m.count, m.more); }
auto fields(Of<QueueInfo> auto& m) {
  return std::tie(m.name, m.config, m.ready, m.delayed, m.in_flight, m.dead, m.bytes, m.groups, m.blocked,
                  m.oldest_ms, m.waiting);
}
auto fields(Of<QueueFound> auto& m) { return std::tie(m.queue, m.complete); }
auto fields(Of<QueueList> auto& m) { return std::tie(m.queues, m.more, m.complete); }

template <>
inline constexpr uint8_t kLast<Settling::Kind> = static_cast<uint8_t>(Settling::Kind::kDead);
template <>
inline constexpr uint8_t kLast<SettleResult> = static_cast<uint8_t>(SettleResult::kStale);
template <>
inline constexpr uint8_t kLast<MessageState> = static_cast<uint8_t>(MessageState::kSettled);

template <>
inline constexpr size_t kSmallest<NewMessage> = 4 + 1 + 8 + 8 + 4 + 4 + 4 + 1;
template <>
inline constexpr size_t kSmallest<Settling> = 1 + 10 + 8 + 1 + 4;
template <>
inline constexpr size_t kSmallest<Sent::Duplicate> = 2 + 10;
template <>
inline constexpr size_t kSmallest<QueuedMessage> = 10 + 1 + 8 + 4 + 8 + 1 + 4 + 4 + 8 + 4 + 4 + 4 + 4;
template <>
inline constexpr size_t kSmallest<Settled::One> = 1 + 8 + 8;
template <>
inline constexpr size_t kSmallest<QueueInfo> = 4 + 8 + 4 + 4;

inline void check_text(Decoder& decoder, const char* what, std::string_view text, size_t most) {
  if (text.size() > most) decoder.fail(fmt::format("a {} of {} bytes", what, text.size()));
}
inline void check_queue(Decoder& decoder, std::string_view name) {
  if (name.empty()) decoder.fail("a queue without a name");
  check_text(decoder, "queue's name", name, limits::kQueueNameBytes);
}
inline void check_number(Decoder& decoder, const char* what, uint64_t number, uint64_t least, uint64_t most) {
  if (number < least || number > most) decoder.fail(fmt::format("{} of {}", what, number));
}
inline void check_value(Decoder& decoder, const MessageId& id) {
  check_number(decoder, "a place", id.index, 0, limits::kKicked - 1);
}
inline void check_value(Decoder& decoder, const QueueConfig& config) {
  check_number(decoder, "a time to run", config.ttr_ms, limits::kTtrMsMin, limits::kTtrMsMax);
  check_number(decoder, "a list of delays", config.backoff_ms.size(), 0, limits::kBackoffs);
  for (const uint64_t ms : config.backoff_ms) check_number(decoder, "a delay", ms, 0, limits::kTtlMsMax);
  check_text(decoder, "queue's name", config.dead_letter, limits::kQueueNameBytes);
  check_number(decoder, "a window", config.dedup_window_ms, 0, limits::kTtlMsMax);
  check_number(decoder, "an age", config.max_age_ms, 0, limits::kTtlMsMax);
  check_number(decoder, "a bound in flight", config.max_in_flight, 1, limits::kInFlightMax);
}
inline void check_value(Decoder& decoder, const MakeQueue& make) { check_queue(decoder, make.name); }
inline void check_value(Decoder& decoder, const DeleteQueue& remove) { check_queue(decoder, remove.name); }
inline void check_value(Decoder& decoder, const MessagePast& past) {
  check_text(decoder, "name", past.dead_from,
             2 * limits::kQueueNameBytes + 1);  // a topic's and a subscription's
  check_text(decoder, "reason", past.reason, limits::kReasonBytes);
  check_text(decoder, "reason", past.why, limits::kReasonBytes);
}
inline void check_value(Decoder& decoder, const NewMessage& message) {
  check_number(decoder, "a delay", message.delay_ms, 0, message.group.empty() ? limits::kTtlMsMax : 0);
  check_number(decoder, "an age", message.max_age_ms, 0, limits::kTtlMsMax);
  check_text(decoder, "group", message.group, limits::kGroupBytes);
  check_text(decoder, "dedup name", message.dedup, limits::kDedupBytes);
  check_text(decoder, "type", message.type, limits::kTypeBytes);
}
inline void check_messages(Decoder& decoder, const std::vector<NewMessage>& messages) {
  check_number(decoder, "a send", messages.size(), 1, limits::kMessagesAtOnce);
  size_t bytes = 0;
  for (const NewMessage& message : messages) bytes += bytes_of(message);
  check_number(decoder, "messages", bytes, 0, limits::kWriteBytes);
}
inline void check_value(Decoder& decoder, const SendMessages& send) {
  check_queue(decoder, send.queue);
  check_messages(decoder, send.messages);
}
inline void check_value(Decoder& decoder, const Settling& settling) {
  if (settling.ms) check_number(decoder, "a delay", *settling.ms, 0, limits::kTtlMsMax);
  check_text(decoder, "reason", settling.reason, limits::kReasonBytes);
}
inline void check_value(Decoder& decoder, const SettleMessages& settle) {
  check_queue(decoder, settle.queue);
  check_text(decoder, "subscription's name", settle.subscription, limits::kQueueNameBytes);
  check_number(decoder, "a list of messages", settle.settlings.size(), settle.ticket == 0 ? 1 : 0,
               limits::kMessagesAtOnce);
}
inline void check_value(Decoder& decoder, const ReceiveMessages& receive) {
  check_queue(decoder, receive.queue);
  check_text(decoder, "subscription's name", receive.subscription, limits::kQueueNameBytes);
  check_number(decoder, "a receive", receive.max, 1, limits::kMessagesAtOnce);
  check_number(decoder, "a list of messages", receive.settlings.size(), 0, limits::kMessagesAtOnce);
  if (receive.ttr_ms != 0)
    check_number(decoder, "a time to run", receive.ttr_ms, limits::kTtrMsMin, limits::kTtrMsMax);
  if (receive.wait > milliseconds(static_cast<int64_t>(limits::kWaitMs))) decoder.fail("a wait too long");
}
inline void check_value(Decoder& decoder, const KickMessages& kick) {
  check_queue(decoder, kick.queue);
  check_text(decoder, "subscription's name", kick.subscription, limits::kQueueNameBytes);
  if (!kick.subscription.empty() && !kick.to.empty()) decoder.fail("a kick out of a subscription");
  check_text(decoder, "queue's name", kick.to, limits::kQueueNameBytes);
  check_number(decoder, "a kick", kick.max, 1, limits::kKicked);
  const bool ready_here = kick.state == MessageState::kReady && kick.to.empty();
  if (kick.state == MessageState::kInFlight || ready_here)
    decoder.fail("a kick of what is ready, or in flight");
}
inline void check_value(Decoder& decoder, const PurgeMessages& purge) {
  check_queue(decoder, purge.queue);
  if (purge.state == MessageState::kInFlight) decoder.fail("a purge of what is in flight");
}
inline void check_value(Decoder& decoder, const ReadQueue& read) { check_queue(decoder, read.name); }
inline void check_value(Decoder& decoder, const ListQueues& list) {
  check_number(decoder, "a page", list.limit, 1, limits::kListItemsMax);
}
inline void check_value(Decoder& decoder, const PeekMessages& peek) {
  check_queue(decoder, peek.queue);
  check_text(decoder, "subscription's name", peek.subscription, limits::kQueueNameBytes);
  check_number(decoder, "a page", peek.limit, 1, limits::kListItemsMax);
}
inline void check_value(Decoder& decoder, const PeekMessage& peek) {
  check_queue(decoder, peek.queue);
  check_text(decoder, "subscription's name", peek.subscription, limits::kQueueNameBytes);
}

}  // namespace kvd
