// See topic_clients.hpp.
#include "topic_clients.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "msg/limits.hpp"
#include "topic_model.hpp"

namespace kvd::sim {
namespace {

constexpr std::string_view kTopicNames[] = {"t", "u"};
constexpr std::string_view kSubscriptionNames[] = {"x", "y", "z"};
constexpr std::string_view kTopicGroups[] = {"", "g", "h"};
constexpr std::string_view kBuriedQueue = "buried";
constexpr uint32_t kTopicConnection = 9u << 26;  // apart from those of all other clients

}  // namespace

TopicClients::TopicClients(SimContext& context, Hosts& hosts, Checkers& checkers)
    : MessageClients(context, hosts, checkers, checkers.topics(), context.options.topics, "topics",
                     kTopicConnection) {
  body_prefix_ = "p";
}

std::string TopicClients::any_topic() { return std::string(kTopicNames[prng_.one_in(3) ? 1 : 0]); }

SourceOf TopicClients::any_source() {
  return {any_topic(), std::string(kSubscriptionNames[prng_.below(std::size(kSubscriptionNames))])};
}

NewMessage TopicClients::any_message() {
  NewMessage message;
  message.body = Bytes(new_body());
  message.group = kTopicGroups[prng_.below(std::size(kTopicGroups))];
  if (prng_.one_in(8)) message.max_age_ms = 200 + prng_.below(3'000);
  if (prng_.one_in(4)) message.dedup = fmt::format("d{}", prng_.below(4));
  if (prng_.one_in(4)) message.type = "t";
  return message;
}

// Now and then somebody changes what there is instead.
Operation TopicClients::any_send() {
  if (prng_.one_in(5)) return any_change();
  PublishMessages publish;
  publish.topic = any_topic();
  publish.create = !prng_.one_in(8);
  const uint64_t count = prng_.one_in(3) ? 1 + prng_.below(4) : 1;
  for (uint64_t i = 0; i < count; ++i) publish.messages.push_back(any_message());
  return publish;
}

TxnOp TopicClients::any_sent() {
  TxnOp publish{TxnOp::Kind::kPublish, any_topic(), {}, 0};
  publish.message = any_message();
  return publish;
}

std::string TopicClients::done_key_of(const Held& held) const { return acked_key(held.source, held.id); }

// Of one that there was lately, perhaps.
MessageId TopicClients::any_id() {
  const uint64_t newest = checkers_.committed().newest().value;
  return {Revision(newest - std::min(newest, prng_.below(60))), static_cast<uint16_t>(prng_.below(3))};
}

TopicPlace TopicClients::any_place() {
  TopicPlace place;
  place.kind = static_cast<TopicPlace::Kind>(prng_.below(4));
  if (place.kind == TopicPlace::Kind::kId) place.id = any_id();
  if (place.kind == TopicPlace::Kind::kTime) {
    const uint64_t now = static_cast<uint64_t>(to_ms(checkers_.stamp().time_since_epoch()));
    place.ms = now - std::min(now, prng_.below(3'000));
  }
  return place;
}

TopicConfig TopicClients::any_topic_config() {
  TopicConfig config;
  config.dedup_window_ms = prng_.one_in(2) ? 300'000 : 200 + prng_.below(3'000);
  if (prng_.one_in(3)) config.max_messages = 2 + prng_.below(8);
  if (prng_.one_in(6)) config.max_bytes = 10 + prng_.below(30);
  if (prng_.one_in(4)) config.max_age_ms = 200 + prng_.below(3'000);
  config.discard_old = prng_.one_in(2);
  return config;
}

SubscriptionConfig TopicClients::any_subscription_config() {
  SubscriptionConfig config;
  config.ttr_ms = prng_.one_in(5) ? 30'000 : limits::kTtrMsMin + prng_.below(1'500);
  config.max_deliveries = prng_.one_in(3) ? 20 : 1 + static_cast<uint32_t>(prng_.below(3));
  if (prng_.one_in(2)) config.backoff_ms = {100, 500};
  if (prng_.one_in(2)) config.dead_letter = kBuriedQueue;
  if (prng_.one_in(3)) config.max_in_flight = 1 + static_cast<uint32_t>(prng_.below(4));
  config.ordered = prng_.one_in(2);
  if (prng_.one_in(6)) config.expires_ms = limits::kExpiresMsMin;
  return config;
}

Operation TopicClients::any_change() {
  const SourceOf source = any_source();
  switch (prng_.below(20)) {
    case 0:
      if (prng_.one_in(2)) return DeleteTopic{source.first};
      return DeleteSubscription{source.first, source.second};
    case 1:
    case 2:
    case 3:
    case 4:
      return SeekSubscription{source.first, source.second, any_place()};
    case 5:
    case 6:
    case 7: {
      KickMessages kick;
      kick.queue = source.first;
      kick.subscription = source.second;
      kick.state = prng_.one_in(3) ? MessageState::kDelayed : MessageState::kDead;
      kick.max = 1 + static_cast<uint32_t>(prng_.below(5));
      return kick;
    }
    case 8:
    case 9:
    case 10:
      return MakeTopic{source.first, any_topic_config()};
    case 11: {
      MakeQueue make{std::string(kBuriedQueue), {}};
      if (prng_.one_in(2)) make.config.max_messages = 1 + prng_.below(6);
      return make;
    }
    default:
      return MakeSubscription{source.first, source.second, any_subscription_config(), any_place()};
  }
}

Operation TopicClients::any_read() {
  const auto [topic, subscription] = any_source();
  switch (prng_.below(7)) {
    case 0:
      return ReadTopic{topic};
    case 1:
      return ListTopics{"", "", 1};
    case 2:
      return ReadSubscription{topic, subscription};
    case 3:
      return ListSubscriptions{topic, "", 2};
    case 4: {
      PeekMessages peek{topic, static_cast<MessageState>(prng_.below(4)), {}, 3};
      peek.subscription = subscription;
      return peek;
    }
    case 5: {
      PeekMessage peek{topic, any_id()};
      peek.subscription = subscription;
      return peek;
    }
    default:
      return PageTopic{topic, any_place(), 1 + static_cast<uint32_t>(prng_.below(4))};
  }
}

}  // namespace kvd::sim
