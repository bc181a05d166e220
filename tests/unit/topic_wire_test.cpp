// Topics and subscriptions between servers: all that is asked and answered survives the trip, and what is beyond its
// bounds is no message. (wire_test has the rest.)
#include <doctest.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "msg/limits.hpp"
#include "msg/text.hpp"
#include "msg/wire.hpp"

namespace kvd::topic_wire_test {
namespace {

using From = TopicPlace::Kind;

std::string body_of(const PeerMessage& message) {
  std::string frame;
  encode_frame(message, frame);
  return frame.substr(4);
}
bool passes(Operation what) {
  return decode_body(body_of(Forward{1, std::move(what), seconds(1)})).has_value();
}
std::string text(size_t bytes) { return std::string(bytes, 'x'); }

TopicConfig whole_topic() {
  TopicConfig config;
  config.dedup_window_ms = 1;
  config.max_messages = 2;
  config.max_bytes = UINT64_MAX;
  config.max_age_ms = limits::kTtlMsMax;
  config.discard_old = true;
  return config;
}
SubscriptionConfig whole_subscription() {
  SubscriptionConfig config;
  config.ttr_ms = limits::kTtrMsMin;
  config.max_deliveries = UINT32_MAX;
  config.backoff_ms = {0, limits::kTtlMsMax};
  config.dead_letter = "d";
  config.max_in_flight = 1;
  config.ordered = true;
  config.expires_ms = limits::kExpiresMsMin;
  return config;
}

const MessageId kId{Revision(9), 3};

std::vector<Operation> topic_operations() {
  NewMessage message;
  message.body = Bytes(std::string_view("b\0\xff", 3));
  message.group = "g";
  message.dedup = "d";
  message.type = "t";
  ReceiveMessages receive;
  receive.queue = "t";
  receive.subscription = "s";
  receive.settlings = {{Settling::Kind::kAck, kId, 7, {}, ""}};
  TxnOp ack{TxnOp::Kind::kAck, "t", {}, 0};
  ack.settling = Settling{Settling::Kind::kAck, kId, 95, {}, {}};
  ack.subscription = "s";
  TxnOp publish{TxnOp::Kind::kPublish, "t", {}, 0};
  publish.message = message;
  TxnCondition granted;
  granted.key = "t";
  granted.subscription = "s";
  granted.of = TxnCondition::Of::kReceipt;
  granted.number = 95;
  granted.message = kId;
  return {MakeTopic{"t", {}},
          MakeTopic{std::string(limits::kQueueNameBytes, '\xff'), whole_topic()},
          DeleteTopic{"t"},
          PublishMessages{"t", {message, {}}, false},
          MakeSubscription{"t", "s", {}, {}},
          MakeSubscription{"t", "s", whole_subscription(), {From::kId, kId, 0}},
          MakeSubscription{"t", "s", {}, {From::kTime, {}, UINT64_MAX}},
          DeleteSubscription{"t", "s"},
          SeekSubscription{"t", "s", {From::kNow, {}, 0}},
          ReadTopic{"t"},
          ListTopics{"p", "a", 10},
          ReadSubscription{"t", "s"},
          ListSubscriptions{"t", "a", 10},
          PageTopic{"t", {From::kId, kId, 0}, 10},
          std::move(receive),
          SettleMessages{"t", {{Settling::Kind::kAck, kId, 7, {}, ""}}, true, 0, "s"},
          KickMessages{"t", MessageState::kDelayed, 7, "", "s"},
          PeekMessages{"t", MessageState::kReady, kId, 10, "s"},
          PeekMessage{"t", kId, "s"},
          Transaction{{granted}, {std::move(ack), std::move(publish)}, {}}};
}

std::vector<Answer> topic_answers() {
  Received received;
  received.queue = "t";
  received.subscription = "s";
  received.gap = Received::Gap{{Revision(7), 0}, kId};
  TopicInfo info;
  info.name = "t";
  info.config = whole_topic();
  info.messages = 1;
  info.bytes = 2;
  info.first = {Revision(7), 0};
  info.last = kId;
  info.oldest_ms = 3;
  info.subscriptions = 4;
  SubscriptionInfo subscription;
  subscription.topic = "t";
  subscription.name = "s";
  subscription.config = whole_subscription();
  subscription.behind = 1;
  subscription.ready = 2;
  subscription.delayed = 3;
  subscription.in_flight = 4;
  subscription.dead = 5;
  subscription.gaps = 6;
  subscription.cursor = kId;
  subscription.waiting = 7;
  return {TopicMade{true},
          TopicDeleted{},
          SubscriptionMoved{kId},
          Box(TopicFound{info, false}),
          TopicList{{info, {}}, true, false},
          Box(SubscriptionFound{subscription, false}),
          SubscriptionList{{subscription, {}}, true, false},
          Box(std::move(received)),
          Failed{ErrorCode::kNoTopic, Outcome::kNotApplied, "why"}};
}

void check_trip(const PeerMessage& message) {
  const std::string body = body_of(message);
  const auto back = decode_body(body);
  CAPTURE(to_text(message));
  REQUIRE(back);
  CHECK(to_text(*back) == to_text(message));
  CHECK(body_of(*back) == body);
  for (size_t size = 0; size < body.size(); ++size)
    CHECK_FALSE(decode_body(std::string_view(body).substr(0, size)));
  CHECK_FALSE(decode_body(body + "x"));
}

}  // namespace

TEST_CASE(
    "topics on the wire: what is asked and answered survives the trip, and nothing else passes for it") {
  for (Operation& operation : topic_operations())
    check_trip(Forward{1, std::move(operation), seconds(1), "once", Fence{"f", 5}});
  for (Answer& answer : topic_answers()) check_trip(ForwardResult{1, std::move(answer), Revision(9)});
}

TEST_CASE("topics on the wire: an answer that is remembered comes back as it was") {
  const auto moved = decode_answer(encode_answer(SubscriptionMoved{kId}));
  REQUIRE(moved);
  CHECK(std::get<SubscriptionMoved>(*moved).to == kId);
  CHECK(operation_digest(SeekSubscription{"t", "s", {From::kId, kId, 0}}) !=
        operation_digest(SeekSubscription{"t", "s", {From::kNow, kId, 0}}));
  CHECK(operation_digest(SettleMessages{"t", {}, false, 7, "s"}) !=
        operation_digest(SettleMessages{"t", {}, false, 7, "r"}));
}

TEST_CASE("topics on the wire: names have their bounds") {
  using Named = std::function<Operation(std::string)>;
  const auto ack_of = [](std::string topic, std::string subscription) {
    TxnOp ack{TxnOp::Kind::kAck, std::move(topic), {}, 0};
    ack.settling = Settling{Settling::Kind::kAck, kId, 95, {}, {}};
    ack.subscription = std::move(subscription);
    return Transaction{{}, {std::move(ack)}, {}};
  };
  const Named topics[] = {
      [](std::string name) {
        return MakeTopic{std::move(name), {}};
      },
      [](std::string name) { return DeleteTopic{std::move(name)}; },
      [](std::string name) {
        return PublishMessages{std::move(name), {NewMessage()}, true};
      },
      [](std::string name) {
        return MakeSubscription{std::move(name), "s", {}, {}};
      },
      [](std::string name) {
        return DeleteSubscription{std::move(name), "s"};
      },
      [](std::string name) {
        return SeekSubscription{std::move(name), "s", {}};
      },
      [](std::string name) { return ReadTopic{std::move(name)}; },
      [](std::string name) {
        return ReadSubscription{std::move(name), "s"};
      },
      [](std::string name) {
        return ListSubscriptions{std::move(name), "", 1};
      },
      [](std::string name) {
        return PageTopic{std::move(name), {}, 1};
      },
      [](std::string name) {
        return MakeSubscription{"t", std::move(name), {}, {}};
      },
      [](std::string name) {
        return DeleteSubscription{"t", std::move(name)};
      },
      [](std::string name) {
        return SeekSubscription{"t", std::move(name), {}};
      },
      [](std::string name) {
        return ReadSubscription{"t", std::move(name)};
      },
  };
  for (const Named& make : topics) {
    CHECK(passes(make("n")));
    CHECK(passes(make(text(limits::kQueueNameBytes))));
    CHECK_FALSE(passes(make("")));
    CHECK_FALSE(passes(make(text(limits::kQueueNameBytes + 1))));
  }
  const Named subscriptions[] = {
      [](std::string name) {
        ReceiveMessages receive;
        receive.queue = "t";
        receive.subscription = std::move(name);
        return receive;
      },
      [](std::string name) {
        return SettleMessages{"t", {Settling()}, false, 0, std::move(name)};
      },
      [](std::string name) {
        return KickMessages{"t", MessageState::kDead, 1, "", std::move(name)};
      },
      [](std::string name) {
        return PeekMessages{"t", MessageState::kReady, {}, 1, std::move(name)};
      },
      [](std::string name) {
        return PeekMessage{"t", {}, std::move(name)};
      },
      [&](std::string name) { return ack_of("t", std::move(name)); },
      [](std::string name) {
        TxnCondition granted;
        granted.key = "t";
        granted.of = TxnCondition::Of::kReceipt;
        granted.subscription = std::move(name);
        TxnOp get{TxnOp::Kind::kGet, "k", {}, 0};
        return Transaction{{granted}, {std::move(get)}, {}};
      },
  };
  for (const Named& make : subscriptions) {
    CHECK(passes(make("")));  // then it is of a queue
    CHECK(passes(make(text(limits::kQueueNameBytes))));
    CHECK_FALSE(passes(make(text(limits::kQueueNameBytes + 1))));
  }
}

// Of each pair the first one passes, and the second one does not.
TEST_CASE("topics on the wire: numbers keep within their bounds") {
  const auto topic = [](auto set) {
    MakeTopic make{"t", {}};
    set(make.config);
    return passes(std::move(make));
  };
  const auto subscription = [](auto set) {
    MakeSubscription make{"t", "s", {}, {}};
    set(make.config);
    return passes(std::move(make));
  };
  for (const uint64_t beyond : {0, 1}) {
    CAPTURE(beyond);
    const bool fits = beyond == 0;
    CHECK(topic([&](TopicConfig& c) { c.dedup_window_ms = limits::kTtlMsMax + beyond; }) == fits);
    CHECK(topic([&](TopicConfig& c) { c.max_age_ms = limits::kTtlMsMax + beyond; }) == fits);
    CHECK(subscription([&](SubscriptionConfig& c) { c.ttr_ms = limits::kTtrMsMin - beyond; }) == fits);
    CHECK(subscription([&](SubscriptionConfig& c) { c.ttr_ms = limits::kTtrMsMax + beyond; }) == fits);
    CHECK(subscription([&](SubscriptionConfig& c) { c.backoff_ms.resize(limits::kBackoffs + beyond); }) ==
          fits);
    CHECK(subscription([&](SubscriptionConfig& c) { c.backoff_ms = {limits::kTtlMsMax + beyond}; }) == fits);
    CHECK(subscription([&](SubscriptionConfig& c) {
            c.dead_letter = text(limits::kQueueNameBytes + beyond);
          }) == fits);
    CHECK(subscription([&](SubscriptionConfig& c) { c.max_in_flight = static_cast<uint32_t>(1 - beyond); }) ==
          fits);
    CHECK(subscription([&](SubscriptionConfig& c) {
            c.max_in_flight = static_cast<uint32_t>(limits::kWindowMax + beyond);
          }) == fits);
    CHECK(subscription([&](SubscriptionConfig& c) { c.expires_ms = limits::kExpiresMsMin - beyond; }) ==
          fits);
    CHECK(subscription([&](SubscriptionConfig& c) { c.expires_ms = limits::kTtlMsMax + beyond; }) == fits);
    NewMessage message;
    message.delay_ms = beyond;
    CHECK(passes(PublishMessages{"t", {message}, true}) == fits);
    TxnOp publish{TxnOp::Kind::kPublish, "t", {}, 0};
    publish.message = message;
    CHECK(passes(Transaction{{}, {publish}, {}}) == fits);
    message.delay_ms = 0;
    message.past.emplace().dead = !fits;
    CHECK(passes(PublishMessages{"t", {message}, true}) == fits);
    const size_t many = limits::kMessagesAtOnce + beyond;
    CHECK(passes(PublishMessages{"t", std::vector<NewMessage>(many), true}) == fits);
    CHECK(passes(PublishMessages{"t", std::vector<NewMessage>(1 - beyond), true}) == fits);
    for (const size_t limit : {limits::kListItemsMax + beyond, size_t{1} - beyond}) {
      const auto page = static_cast<uint32_t>(limit);
      CHECK(passes(ListTopics{"", "", page}) == fits);
      CHECK(passes(ListSubscriptions{"t", "", page}) == fits);
      CHECK(passes(PageTopic{"t", {}, page}) == fits);
    }
    CHECK(passes(KickMessages{"t", MessageState::kDead, 1, fits ? "" : "q", "s"}) == fits);
    const auto place = static_cast<uint16_t>(limits::kKicked - 1 + beyond);
    CHECK(passes(SeekSubscription{"t", "s", {From::kId, {Revision(1), place}, 0}}) == fits);
  }
}

}  // namespace kvd::topic_wire_test
