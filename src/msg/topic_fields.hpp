// The fields of what is said of topics, in the order of the wire (wire.cpp), and what must hold of them when they are
// read.
#pragma once
#include <tuple>

#include "msg/codec.hpp"
#include "msg/queue_fields.hpp"
#include "msg/topics.hpp"

namespace kvd {

auto fields(Of<TopicConfig> auto& m) {
  return std::tie(m.dedup_window_ms, m.max_messages, m.max_bytes, m.max_age_ms, m.discard_old);
}
auto fields(Of<SubscriptionConfig> auto& m) {
  return std::tie(m.ttr_ms, m.max_deliveries, m.backoff_ms, m.dead_letter, m.max_in_flight, m.ordered,
                  m.expires_ms);
}
auto fields(Of<TopicPlace> auto& m) { return std::tie(m.kind, m.id, m.ms); }
auto fields(Of<MakeTopic> auto& m) { return std::tie(m.name, m.config); }
auto fields(Of<DeleteTopic> auto& m) { return std::tie(m.name); }
auto fields(Of<PublishMessages> auto& m) { return std::tie(m.topic, m.messages, m.create); }
auto fields(Of<MakeSubscription> auto& m) { return std::tie(m.topic, m.name, m.config, m.from); }
auto fields(Of<DeleteSubscription> auto& m) { return std::tie(m.topic, m.name); }
auto fields(Of<SeekSubscription> auto& m) { return std::tie(m.topic, m.name, m.to); }
auto fields(Of<ReadTopic> auto& m) { return std::tie(m.name); }
auto fields(Of<ListTopics> auto& m) { return std::tie(m.prefix, m.after, m.limit); }
auto fields(Of<ReadSubscription> auto& m) { return std::tie(m.topic, m.name); }
auto fields(Of<ListSubscriptions> auto& m) { return std::tie(m.topic, m.after, m.limit); }
auto fields(Of<PageTopic> auto& m) { return std::tie(m.topic, m.after, m.limit); }

auto fields(Of<TopicMade> auto& m) { return std::tie(m.created); }
auto fields(Of<TopicDeleted> auto&) { return std::tie(); }
auto fields(Of<SubscriptionMoved> auto& m) { return std::tie(m.to); }
auto fields(Of<TopicInfo> auto& m) {
  return std::tie(m.name, m.config, m.messages, m.bytes, m.first, m.last, m.oldest_ms, m.subscriptions);
}
auto fields(Of<TopicFound> auto& m) { return std::tie(m.topic, m.complete); }
auto fields(Of<TopicList> auto& m) { return std::tie(m.topics, m.more, m.complete); }
auto fields(Of<SubscriptionInfo> auto& m) {
  return std::tie(m.topic, m.name, m.config, m.behind, m.ready, m.delayed, m.in_flight, m.dead, m.gaps,
                  m.cursor, m.waiting);
}
auto fields(Of<SubscriptionFound> auto& m) { return std::tie(m.subscription, m.complete); }
auto fields(Of<SubscriptionList> auto& m) { return std::tie(m.subscriptions, m.more, m.complete); }

template <>
inline constexpr uint8_t kLast<TopicPlace::Kind> = static_cast<uint8_t>(TopicPlace::Kind::kTime);

template <>
inline constexpr size_t kSmallest<TopicInfo> = 4 + 8 + 8;
template <>
inline constexpr size_t kSmallest<SubscriptionInfo> = 4 + 4 + 8;

inline void check_topic(Decoder& decoder, std::string_view name) {
  if (name.empty()) decoder.fail("a topic without a name");
  check_text(decoder, "topic's name", name, limits::kQueueNameBytes);
}
inline void check_subscription(Decoder& decoder, std::string_view topic, std::string_view name) {
  check_topic(decoder, topic);
  if (name.empty()) decoder.fail("a subscription without a name");
  check_text(decoder, "subscription's name", name, limits::kQueueNameBytes);
}
inline void check_value(Decoder& decoder, const TopicConfig& config) {
  check_number(decoder, "a window", config.dedup_window_ms, 0, limits::kTtlMsMax);
  check_number(decoder, "an age", config.max_age_ms, 0, limits::kTtlMsMax);
}
inline void check_value(Decoder& decoder, const SubscriptionConfig& config) {
  check_number(decoder, "a time to run", config.ttr_ms, limits::kTtrMsMin, limits::kTtrMsMax);
  check_number(decoder, "a list of delays", config.backoff_ms.size(), 0, limits::kBackoffs);
  for (const uint64_t ms : config.backoff_ms) check_number(decoder, "a delay", ms, 0, limits::kTtlMsMax);
  check_text(decoder, "queue's name", config.dead_letter, limits::kQueueNameBytes);
  check_number(decoder, "a bound in flight", config.max_in_flight, 1, limits::kWindowMax);
  if (config.expires_ms != 0)
    check_number(decoder, "an end", config.expires_ms, limits::kExpiresMsMin, limits::kTtlMsMax);
}
inline void check_value(Decoder& decoder, const MakeTopic& make) { check_topic(decoder, make.name); }
inline void check_value(Decoder& decoder, const DeleteTopic& remove) { check_topic(decoder, remove.name); }
inline void check_published(Decoder& decoder, const NewMessage& message) {
  check_number(decoder, "a delay", message.delay_ms, 0, 0);
  if (message.past && message.past->dead) decoder.fail("a dead message of a topic");
}
inline void check_value(Decoder& decoder, const PublishMessages& publish) {
  check_topic(decoder, publish.topic);
  check_messages(decoder, publish.messages);
  for (const NewMessage& message : publish.messages) check_published(decoder, message);
}
inline void check_value(Decoder& decoder, const MakeSubscription& make) {
  check_subscription(decoder, make.topic, make.name);
}
inline void check_value(Decoder& decoder, const DeleteSubscription& remove) {
  check_subscription(decoder, remove.topic, remove.name);
}
inline void check_value(Decoder& decoder, const SeekSubscription& seek) {
  check_subscription(decoder, seek.topic, seek.name);
}
inline void check_value(Decoder& decoder, const ReadTopic& read) { check_topic(decoder, read.name); }
inline void check_value(Decoder& decoder, const ListTopics& list) {
  check_number(decoder, "a page", list.limit, 1, limits::kListItemsMax);
}
inline void check_value(Decoder& decoder, const ReadSubscription& read) {
  check_subscription(decoder, read.topic, read.name);
}
inline void check_value(Decoder& decoder, const ListSubscriptions& list) {
  check_topic(decoder, list.topic);
  check_number(decoder, "a page", list.limit, 1, limits::kListItemsMax);
}
inline void check_value(Decoder& decoder, const PageTopic& page) {
  check_topic(decoder, page.topic);
  check_number(decoder, "a page", page.limit, 1, limits::kListItemsMax);
}

}  // namespace kvd
