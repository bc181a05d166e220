// Subscribers that were away for long, at a node that leads alone: time passes by the log's clock, as it does for a
// cluster.
#include <doctest.h>

#include <string>
#include <vector>

#include "msg/limits.hpp"
#include "single_node_harness.hpp"

namespace kvd::sim::topic_node_test {
namespace {

constexpr Duration kAway = std::chrono::hours(1);
constexpr int kPublished = 60;

struct Leader : SingleNodeHarness {
  Leader() : SingleNodeHarness(NodeConfig()) {
    connect();
    REQUIRE(node().view().active);
  }
  template <class T>
  T done(Operation operation) {
    ask(std::move(operation));
    step(milliseconds(1));
    auto all = replies();
    REQUIRE(all.size() == 1);
    REQUIRE(std::holds_alternative<T>(all[0].answer));
    return std::get<T>(std::move(all[0].answer));
  }
  // In turns that the log's clock counts.
  void wait(Duration span) {
    for (const Instant until = now() + span; now() < until;) step(milliseconds(100));
  }
  std::vector<std::string> receive(const std::string& subscription) {
    ReceiveMessages receive;
    receive.queue = "t";
    receive.subscription = subscription;
    receive.max = kPublished + 1;
    const Box<Received> received = done<Box<Received>>(Box(std::move(receive)));
    CHECK_FALSE(received->gap);
    std::vector<std::string> bodies;
    for (const QueuedMessage& message : received->messages) bodies.emplace_back(message.body.view());
    return bodies;
  }
};

}  // namespace

TEST_CASE("topics: who was away for an hour gets everything, in its order, also what is too old by then") {
  Leader a;
  MakeTopic topic{"t", {}};
  topic.config.max_age_ms = 60'000;
  a.done<TopicMade>(Box(topic));
  a.done<TopicMade>(Box(MakeSubscription{"t", "away", {}, {TopicPlace::Kind::kFirst, {}, 0}}));
  SubscriptionConfig unused;
  unused.expires_ms = limits::kExpiresMsMin;
  a.done<TopicMade>(Box(MakeSubscription{"t", "unused", unused, {TopicPlace::Kind::kFirst, {}, 0}}));
  std::vector<std::string> published;
  for (int i = 0; i < kPublished; ++i) {
    published.push_back("m" + std::to_string(i));
    NewMessage message;
    message.body = Bytes(published.back());
    a.done<Sent>(Box(PublishMessages{"t", {message}, true}));
    a.wait(kAway / kPublished);
  }
  a.wait(kAway / 6);  // what nobody uses goes up to an eighth of its time later
  CHECK(a.receive("away") == published);
  a.ask(ReadSubscription{"t", "unused"});
  auto replies = a.replies();
  REQUIRE(replies.size() == 1);
  const auto* gone = std::get_if<Failed>(&replies[0].answer);
  REQUIRE(gone != nullptr);
  CHECK(gone->code == ErrorCode::kNoTopic);
}

}  // namespace kvd::sim::topic_node_test
