// Topics and subscriptions (core/topics), as the write evaluator decides what is published, granted, settled and cut
// off: a log, a store and a clock that the test sets, and nobody who leads. After each write the views are held against
// views made anew.
#include <doctest.h>

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/prng.hpp"
#include "core/queues/queue_reads.hpp"
#include "core/topics/topic_reads.hpp"
#include "evaluator_fixture.hpp"
#include "msg/limits.hpp"
#include "views_anew.hpp"

namespace kvd::topics_test {
namespace {

using namespace kvd::evaluator_test;
using Kind = Settling::Kind;
using From = TopicPlace::Kind;

NewMessage text(const std::string& body, const std::string& group = "") {
  NewMessage message;
  message.body = Bytes(body);
  message.group = group;
  return message;
}

struct Topics : Leader {
  Topics() { room.wall_ms = 1'000'000; }
  Evaluation call(Operation operation) {
    Evaluation evaluation = write(std::move(operation));
    check();
    return evaluation;
  }
  void check() { CHECK(store.queues().equals(made_anew(*this))); }
  void pass(uint64_t ms) {
    room.clock += ms;
    room.wall_ms += ms;
    store.queues().ripen(room.clock);
  }
  void publish(const std::vector<std::string>& bodies, const std::string& group = "") {
    std::vector<NewMessage> messages;
    for (const std::string& body : bodies) messages.push_back(text(body, group));
    REQUIRE(changed<Sent>(call(Box(PublishMessages{"t", std::move(messages), true}))));
  }
  void subscribe(const std::string& name, SubscriptionConfig config = {}, TopicPlace from = {}) {
    REQUIRE(changed<TopicMade>(call(Box(MakeSubscription{"t", name, std::move(config), from}))));
  }
  Received received(const std::string& name, uint32_t max, uint64_t ticket = 1) {
    ReceiveMessages wanted;
    wanted.queue = "t";
    wanted.subscription = name;
    wanted.max = max;
    wanted.ticket = ticket;
    wanted.turn = ++turn << kSendingBits;
    const Evaluation evaluation = call(Box(std::move(wanted)));
    if (const auto none = unchanged<Box<Received>>(evaluation)) return **none;
    const auto some = changed<Box<Received>>(evaluation);
    REQUIRE(some);
    return **some;
  }
  std::vector<QueuedMessage> receive(const std::string& name, uint32_t max = 1) {
    return received(name, max).messages;
  }
  SettleResult settle(const std::string& name, const QueuedMessage& message, Kind kind = Kind::kAck,
                      std::optional<uint64_t> ms = {}) {
    SettleMessages settle{"t", {{kind, message.id, message.receipt, ms, ""}}, false, 0, name};
    const Evaluation evaluation = call(Box(std::move(settle)));
    if (const auto same = unchanged<Settled>(evaluation)) return same->results.at(0).result;
    return changed<Settled>(evaluation)->results.at(0).result;
  }
  SubscriptionInfo info(const std::string& name) {
    commit();
    const Answer answer = read_subscription(store, {"t", name}, {room.clock, room.wall_ms, true});
    return std::get<Box<SubscriptionFound>>(answer)->subscription;
  }
  TopicInfo topic() {
    commit();
    return std::get<Box<TopicFound>>(read_topic(store, {"t"}, {room.clock, room.wall_ms, true}))->topic;
  }
  std::string page(TopicPlace after, uint32_t limit = 100) {
    commit();
    const Answer answer = page_topic(store, {"t", after, limit}, {room.clock, room.wall_ms, true});
    return bodies(std::get<Peeked>(answer).messages);
  }
  static std::string bodies(const std::vector<QueuedMessage>& messages) {
    std::string all;
    for (const QueuedMessage& message : messages) all += std::string(message.body.view()) + " ";
    return all;
  }
  uint64_t turn = 0;
};

}  // namespace

TEST_CASE("topics: each subscription gets all that is published, and the topic keeps it") {
  Topics leader;
  leader.publish({"a", "b"});
  leader.subscribe("all");
  leader.subscribe("new", {}, {From::kNow, {}, 0});
  leader.publish({"c"});
  const auto all = leader.receive("all", 10);
  CHECK(Topics::bodies(all) == "a b c ");
  CHECK(Topics::bodies(leader.receive("new", 10)) == "c ");
  CHECK(all.at(1).receipt == all.at(0).receipt);
  CHECK(all[0].attempt == 1);
  CHECK(leader.receive("all").empty());
  for (const QueuedMessage& message : all) CHECK(leader.settle("all", message) == SettleResult::kDone);
  CHECK(leader.settle("all", all[0]) == SettleResult::kGone);
  CHECK(leader.page({}) == "a b c ");
  CHECK(leader.info("all").behind == 0);
  CHECK(leader.info("all").cursor == all[2].id);
  CHECK(leader.info("new").behind == 1);
  CHECK(leader.info("new").in_flight == 1);
  CHECK(leader.topic().messages == 3);
  CHECK(leader.topic().bytes == 3);
  CHECK(leader.topic().subscriptions == 2);
  CHECK(leader.topic().last == all[2].id);
}

TEST_CASE("topics: what there is not") {
  Topics leader;
  CHECK(refused(leader.call(Box(MakeSubscription{"t", "s", {}, {}}))) == ErrorCode::kNoTopic);
  CHECK(refused(leader.call(Box(PublishMessages{"t", {text("a")}, false}))) == ErrorCode::kNoTopic);
  CHECK(refused(leader.call(DeleteTopic{"t"})) == ErrorCode::kNoTopic);
  leader.publish({"a"});
  CHECK(refused(leader.call(DeleteSubscription{"t", "s"})) == ErrorCode::kNoTopic);
  CHECK(refused(leader.call(SeekSubscription{"t", "s", {}})) == ErrorCode::kNoTopic);
  ReceiveMessages receive;
  receive.queue = "t";
  receive.subscription = "s";
  CHECK(refused(leader.call(Box(receive))) == ErrorCode::kNoTopic);
  receive.subscription.clear();
  CHECK(refused(leader.call(Box(receive))) == ErrorCode::kNoQueue);  // a topic is none
}

TEST_CASE("topics: the cursor moves over what is settled, one after the other") {
  Topics leader;
  leader.publish({"a", "b", "c", "d"});
  leader.subscribe("s");
  const auto got = leader.receive("s", 4);
  REQUIRE(got.size() == 4);
  leader.settle("s", got[2]);
  leader.settle("s", got[1]);
  CHECK(leader.info("s").cursor == MessageId());
  CHECK(leader.info("s").behind == 2);
  CHECK(leader.settle("s", got[1]) == SettleResult::kGone);
  leader.settle("s", got[0]);
  CHECK(leader.info("s").cursor == got[2].id);
  CHECK(leader.info("s").behind == 1);
  leader.settle("s", got[3]);
  CHECK(leader.info("s").cursor == got[3].id);
  leader.commit();
  CHECK(leader.store.size(Space::kDeliveries) == 0);
}

TEST_CASE("topics: what is refused or not settled in time comes again, before what is new") {
  Topics leader;
  SubscriptionConfig config;
  config.max_deliveries = 2;
  leader.publish({"a", "b"});
  leader.subscribe("s", config);
  const auto first = leader.receive("s");
  leader.settle("s", first.at(0), Kind::kNack);
  const auto again = leader.receive("s");
  REQUIRE(again.size() == 1);
  CHECK(again[0].body.view() == "a");
  CHECK(again[0].attempt == 2);
  CHECK(leader.settle("s", first[0]) == SettleResult::kStale);
  CHECK(leader.settle("s", again[0], Kind::kRelease) == SettleResult::kDone);
  const auto third = leader.receive("s");
  CHECK(third.at(0).attempt == 2);  // that one did not count
  leader.pass(30'001);
  CHECK(Topics::bodies(leader.receive("s", 5)) == "b ");
  leader.append(leader.evaluator->expire(leader.room));
  leader.check();
  CHECK(leader.info("s").dead == 1);
  CHECK(leader.info("s").cursor == third[0].id);  // a dead letter holds nobody up
  CHECK(changed<MessagesMoved>(leader.call(KickMessages{"t", MessageState::kDead, 9, "", "s"}))->count == 1);
  const auto kicked = leader.receive("s");
  REQUIRE(kicked.size() == 1);
  CHECK(kicked[0].body.view() == "a");
  CHECK(kicked[0].attempt == 1);
  CHECK(leader.info("s").behind == 2);
  CHECK(leader.settle("s", kicked[0]) == SettleResult::kDone);
  CHECK(leader.info("s").behind == 1);
}

TEST_CASE("topics: a dead letter goes to a queue, and stays in the topic") {
  Topics leader;
  SubscriptionConfig config;
  config.dead_letter = "dead";
  leader.call(Box(MakeQueue{"dead", {}}));
  leader.publish({"a"});
  leader.subscribe("s", config);
  leader.settle("s", leader.receive("s").at(0), Kind::kDead);
  CHECK(leader.info("s").behind == 0);
  CHECK(leader.info("s").dead == 0);
  CHECK(leader.page({}) == "a ");
  CHECK(leader.store.queues().find("dead")->messages == 1);
  ReceiveMessages receive;
  receive.queue = "dead";
  const auto dead = changed<Box<Received>>(leader.call(Box(receive)));
  REQUIRE(dead);
  REQUIRE((*dead)->messages.size() == 1);
  CHECK((*dead)->messages[0].dead_from == "t/s");
  CHECK((*dead)->messages[0].priority == 100);
}

TEST_CASE("topics: of a group one is in flight, where the subscription is ordered") {
  Topics leader;
  SubscriptionConfig ordered;
  ordered.ordered = true;
  leader.publish({"a1", "a2"}, "a");
  leader.publish({"b1"}, "b");
  leader.publish({"x"});
  leader.publish({"a3"}, "a");
  leader.subscribe("s", ordered);
  leader.subscribe("free");
  CHECK(Topics::bodies(leader.receive("free", 9)) == "a1 a2 b1 x a3 ");
  const auto got = leader.receive("s", 9);
  CHECK(Topics::bodies(got) == "a1 b1 x ");
  leader.settle("s", got.at(0), Kind::kNack, 50);
  CHECK(leader.receive("s").empty());
  leader.pass(50);
  const auto again = leader.receive("s");
  CHECK(Topics::bodies(again) == "a1 ");
  leader.settle("s", again.at(0));
  const auto second = leader.receive("s", 9);
  CHECK(Topics::bodies(second) == "a2 ");
  leader.settle("s", second.at(0));
  CHECK(Topics::bodies(leader.receive("s", 9)) == "a3 ");
}

TEST_CASE("topics: no more are between the cursor and the newest grant than may be") {
  Topics leader;
  SubscriptionConfig small;
  small.max_in_flight = 2;
  leader.publish({"a", "b", "c"});
  leader.subscribe("s", small);
  const auto got = leader.receive("s", 9);
  REQUIRE(got.size() == 2);
  leader.settle("s", got[1]);  // the first one holds the window
  CHECK(leader.receive("s").empty());
  leader.settle("s", got[0]);
  CHECK(Topics::bodies(leader.receive("s", 9)) == "c ");
}

TEST_CASE("topics: a subscription that is moved begins anew, and former receipts count no more") {
  Topics leader;
  leader.publish({"a", "b"});
  leader.pass(1000);
  leader.publish({"c"});
  leader.subscribe("s");
  const auto got = leader.receive("s", 9);
  REQUIRE(got.size() == 3);
  CHECK(changed<SubscriptionMoved>(leader.call(SeekSubscription{"t", "s", {From::kId, got[0].id, 0}}))->to ==
        got[0].id);
  CHECK(leader.settle("s", got[1]) == SettleResult::kStale);
  CHECK(Topics::bodies(leader.receive("s", 9)) == "b c ");
  leader.call(SeekSubscription{"t", "s", {}});
  CHECK(Topics::bodies(leader.receive("s", 9)) == "a b c ");
  leader.commit();
  leader.call(SeekSubscription{"t", "s", {From::kTime, {}, 1'000'500}});
  CHECK(Topics::bodies(leader.receive("s", 9)) == "c ");
  leader.call(SeekSubscription{"t", "s", {From::kNow, {}, 0}});
  CHECK(leader.receive("s").empty());
  leader.publish({"d"});
  CHECK(Topics::bodies(leader.receive("s", 9)) == "d ");
  for (int i = 0; i < 8; ++i) {
    leader.commit();
    leader.append(leader.evaluator->expire(leader.room));
  }
  leader.commit();
  leader.check();
  CHECK(leader.store.size(Space::kDeliveries) == 1);
}

TEST_CASE("topics: a page is behind a message, or from a time on, and readers keep their place") {
  Topics leader;
  leader.publish({"a", "b"});
  leader.pass(1000);
  leader.publish({"c"});
  CHECK(leader.page({}, 2) == "a b ");
  CHECK(leader.page({From::kId, {Revision(1), 0}, 0}) == "b c ");
  CHECK(leader.page({From::kId, {Revision(1), 7}, 0}) == "c ");
  CHECK(leader.page({From::kNow, {}, 0}).empty());
  CHECK(leader.page({From::kTime, {}, 0}) == "a b c ");
  CHECK(leader.page({From::kTime, {}, 1'000'001}) == "c ");
  CHECK(leader.page({From::kTime, {}, 1'001'000}) == "c ");
  CHECK(leader.page({From::kTime, {}, 1'001'001}).empty());
}

TEST_CASE("topics: a peek shows what a subscription has, also what it was never granted") {
  Topics leader;
  leader.publish({"a", "b", "c", "d"});
  leader.subscribe("s");
  const auto got = leader.receive("s", 3);
  leader.settle("s", got.at(0));
  leader.settle("s", got.at(1), Kind::kRelease);
  leader.commit();
  const ReadAt at{leader.room.clock, leader.room.wall_ms, true};
  const auto peeked = [&](MessageState state, MessageId after, uint32_t limit) {
    return std::get<Peeked>(peek_messages(leader.store, {"t", state, after, limit, "s"}, at));
  };
  CHECK(Topics::bodies(peeked(MessageState::kReady, {}, 9).messages) == "b d ");
  CHECK(Topics::bodies(peeked(MessageState::kInFlight, {}, 9).messages) == "c ");
  const Peeked first = peeked(MessageState::kReady, {}, 1);
  CHECK(first.more);
  CHECK(Topics::bodies(peeked(MessageState::kReady, first.last, 1).messages) == "d ");
  CHECK_FALSE(peeked(MessageState::kReady, first.last, 1).more);
  const auto state_of = [&](const MessageId& id) {
    return std::get<Peeked>(peek_message(leader.store, {"t", id, "s"}, at)).messages.at(0).state;
  };
  CHECK(state_of(got[0].id) == MessageState::kSettled);
  CHECK(state_of(got[1].id) == MessageState::kReady);
  CHECK(state_of(got[2].id) == MessageState::kInFlight);
  CHECK(state_of({Revision(1), 3}) == MessageState::kReady);
}

TEST_CASE("topics: what is settled by all goes first, what is not stays, or is told as a gap") {
  Topics leader;
  TopicConfig small;
  small.max_messages = 2;
  leader.call(Box(MakeTopic{"t", small}));
  leader.publish({"a", "b"});
  leader.subscribe("s");
  CHECK(refused(leader.call(Box(PublishMessages{"t", {text("c")}, true}))) == ErrorCode::kQueueFull);
  leader.settle("s", leader.receive("s").at(0));
  leader.publish({"c"});
  CHECK(leader.page({}) == "b c ");
  CHECK(leader.info("s").behind == 2);
  small.discard_old = true;
  leader.call(Box(MakeTopic{"t", small}));
  const auto held = leader.receive("s");
  const MessageId last = leader.topic().last;
  leader.publish({"d", "e"});
  CHECK(leader.page({}) == "d e ");
  CHECK(leader.settle("s", held.at(0)) == SettleResult::kGone);
  const Received told = leader.received("s", 9);
  REQUIRE(told.gap);
  CHECK(told.gap->last == last);
  CHECK(Topics::bodies(told.messages) == "d e ");
  CHECK_FALSE(leader.received("s", 9).gap);
  CHECK(leader.info("s").gaps == 1);
  leader.subscribe("late");
  CHECK_FALSE(leader.received("late", 9).gap);  // it was not there
}

TEST_CASE("topics: who waits is told of a gap also where nothing is left") {
  Topics leader;
  TopicConfig young;
  young.max_age_ms = 1'000;
  young.discard_old = true;
  leader.call(Box(MakeTopic{"t", young}));
  leader.publish({"a"});
  leader.subscribe("s");
  leader.receive("s");
  const auto serves = [&] {
    const QueueViews& queues = leader.store.queues();
    return queues.may_grant(*queues.find_subscription("t", "s"));
  };
  CHECK_FALSE(serves());
  leader.commit();
  leader.pass(2'000);
  leader.expire();
  CHECK(leader.page({}) == "");
  CHECK(serves());
  CHECK(leader.received("s", 9).gap);
  CHECK_FALSE(serves());
}

TEST_CASE(
    "topics: what is dead is not granted again while one before it is held, and takes room in the window") {
  Topics leader;
  SubscriptionConfig small;
  small.max_in_flight = 2;
  leader.publish({"a", "b", "c"});
  leader.subscribe("s", small);
  const auto got = leader.receive("s", 2);
  leader.settle("s", got.at(1), Kind::kDead);
  CHECK(leader.receive("s", 9).empty());
  leader.settle("s", got[0]);
  CHECK(Topics::bodies(leader.receive("s", 9)) == "c ");
  CHECK(leader.info("s").dead == 1);
}

TEST_CASE("topics: a subscription goes on behind what it has lost and what it has settled there") {
  Topics leader;
  leader.publish({"a", "b", "c"});
  leader.subscribe("s");
  const auto got = leader.receive("s", 3);
  leader.settle("s", got.at(1));
  leader.settle("s", got.at(2));
  TopicConfig none;
  none.max_messages = 3;
  none.discard_old = true;
  leader.call(Box(MakeTopic{"t", none}));
  leader.publish({"d"});
  SubscriptionConfig smaller;
  smaller.max_in_flight = 1;
  leader.call(Box(MakeSubscription{"t", "s", smaller, {}}));
  const Received told = leader.received("s", 9);
  REQUIRE(told.gap);
  CHECK(told.gap->last == got[0].id);
  const auto next = told.messages.empty() ? leader.receive("s") : told.messages;
  CHECK(Topics::bodies(next) == "d ");
  CHECK(leader.info("s").cursor == got[2].id);
}

TEST_CASE("topics: the oldest go first, also when one behind them is to live shorter") {
  Topics leader;
  TopicConfig config;
  config.max_age_ms = 10'000;
  leader.call(Box(MakeTopic{"t", config}));
  leader.publish({"a"});
  config.max_age_ms = 100;
  leader.call(Box(MakeTopic{"t", config}));
  leader.publish({"b"});
  leader.pass(100);
  CHECK(leader.evaluator->expire(leader.room).empty());
  CHECK(leader.page({}) == "a b ");
  leader.pass(9'900);
  leader.append(leader.evaluator->expire(leader.room));
  leader.check();
  CHECK(leader.page({}).empty());
}

TEST_CASE("topics: the time after which a subscription goes is counted from when it was set") {
  Topics leader;
  leader.publish({"a"});
  leader.subscribe("s");
  leader.pass(10 * limits::kExpiresMsMin);
  SubscriptionConfig config;
  config.expires_ms = limits::kExpiresMsMin;
  leader.call(Box(MakeSubscription{"t", "s", config, {}}));
  CHECK(leader.evaluator->expire(leader.room).empty());
  leader.pass(limits::kExpiresMsMin * 9 / 8);
  leader.append(leader.evaluator->expire(leader.room));
  leader.check();
  CHECK(leader.store.queues().find_subscription("t", "s") == nullptr);
}

TEST_CASE("topics: so many subscriptions, and no more") {
  Topics leader;
  leader.publish({"a"});
  for (size_t i = 0; i < limits::kSubscriptions; ++i)
    REQUIRE(changed<TopicMade>(leader.write(Box(MakeSubscription{"t", std::to_string(i), {}, {}}))));
  CHECK(refused(leader.write(Box(MakeSubscription{"t", "s", {}, {}}))) == ErrorCode::kQueueFull);
  CHECK(changed<TopicDeleted>(leader.call(DeleteTopic{"t"})));
  CHECK(leader.store.queues().sources() == 0);
}

TEST_CASE("topics: what is too old goes when all have settled it") {
  Topics leader;
  TopicConfig brief;
  brief.max_age_ms = 1000;
  leader.call(Box(MakeTopic{"t", brief}));
  leader.publish({"a", "b"});
  leader.subscribe("s");
  leader.pass(1000);
  CHECK(leader.evaluator->expire(leader.room).empty());
  leader.settle("s", leader.receive("s").at(0));
  leader.append(leader.evaluator->expire(leader.room));
  leader.check();
  CHECK(leader.page({}) == "b ");
  leader.call(DeleteSubscription{"t", "s"});
  leader.append(leader.evaluator->expire(leader.room));
  leader.check();
  CHECK(leader.page({}).empty());
}

TEST_CASE("topics: the cursor waits until a gap is told, and then passes what was settled behind it") {
  Topics leader;
  TopicConfig small;
  small.max_messages = 3;
  small.discard_old = true;
  leader.call(Box(MakeTopic{"t", small}));
  leader.publish({"a", "b", "c"});
  leader.subscribe("s");
  const auto got = leader.receive("s", 3);
  REQUIRE(got.size() == 3);
  leader.settle("s", got[1]);
  leader.publish({"d"});
  CHECK(leader.settle("s", got[2]) == SettleResult::kDone);
  CHECK(leader.info("s").cursor == MessageId());
  const Received told = leader.received("s", 9);
  REQUIRE(told.gap);
  CHECK(told.gap->after == MessageId());
  CHECK(told.gap->last == got[0].id);
  CHECK(Topics::bodies(told.messages) == "d ");
  CHECK(leader.info("s").cursor == got[2].id);
  CHECK(leader.info("s").gaps == 1);
}

TEST_CASE(
    "topics: a dead letter that comes back is of its group, also if it died before there was an order") {
  Topics leader;
  SubscriptionConfig config;
  leader.publish({"a", "b"}, "g");
  leader.subscribe("s", config);
  const auto first = leader.receive("s").at(0);
  leader.settle("s", first, Kind::kDead);
  config.ordered = true;
  leader.subscribe("s", config);
  const auto second = leader.receive("s").at(0);
  leader.commit();
  CHECK(changed<MessagesMoved>(leader.call(KickMessages{"t", MessageState::kDead, 9, "", "s"}))->count == 1);
  CHECK(leader.receive("s").empty());
  leader.settle("s", second);
  CHECK(Topics::bodies(leader.receive("s", 9)) == "a ");
}

TEST_CASE("topics: what goes while its last delivery ends is a gap, and no dead letter") {
  Topics leader;
  TopicConfig brief;
  brief.max_age_ms = 1000;
  brief.discard_old = true;
  leader.call(Box(MakeTopic{"t", brief}));
  SubscriptionConfig once;
  once.max_deliveries = 1;
  once.ttr_ms = 500;
  leader.publish({"a"});
  leader.subscribe("s", once);
  CHECK(leader.receive("s").size() == 1);
  leader.pass(1000);
  leader.append(leader.evaluator->expire(leader.room));
  leader.check();
  CHECK(leader.info("s").dead == 0);
  CHECK(leader.received("s", 1).gap);
}

TEST_CASE("topics: a subscription that nobody uses ends, and one that is used does not") {
  Topics leader;
  SubscriptionConfig config;
  config.expires_ms = limits::kExpiresMsMin;
  leader.publish({"a"});
  leader.subscribe("used", config);
  leader.subscribe("left", config);
  leader.pass(limits::kExpiresMsMin / 8 - 1);
  leader.receive("used");  // too soon to be noted
  leader.receive("left");
  leader.pass(limits::kExpiresMsMin - 1);
  CHECK(leader.evaluator->expire(leader.room).empty());
  leader.receive("used");
  leader.pass(2);
  leader.append(leader.evaluator->expire(leader.room));
  leader.check();
  CHECK(leader.store.queues().find_subscription("t", "left") == nullptr);
  CHECK(leader.store.queues().find_subscription("t", "used") != nullptr);
}

TEST_CASE("topics: a topic goes with its subscriptions, and nothing is left") {
  Topics leader;
  leader.publish({"a", "b"});
  leader.subscribe("s");
  leader.receive("s");
  CHECK(changed<TopicDeleted>(leader.call(DeleteTopic{"t"})));
  CHECK(leader.store.queues().sources() == 0);
  for (int i = 0; i < 4; ++i) {
    leader.commit();
    leader.append(leader.evaluator->expire(leader.room));
    leader.check();
  }
  leader.commit();
  for (const Space space : {Space::kQueues, Space::kMessages, Space::kDeliveries, Space::kDedup})
    CHECK(leader.store.size(space) == 0);
  leader.publish({"c"});
  CHECK(leader.page({}) == "c ");
}

TEST_CASE("topics: two of one name are one in its window") {
  Topics leader;
  NewMessage named = text("a");
  named.dedup = "d";
  CHECK(changed<Sent>(leader.call(Box(PublishMessages{"t", {named}, true})))->duplicates.empty());
  CHECK(unchanged<Sent>(leader.call(Box(PublishMessages{"t", {named}, true})))->duplicates.size() == 1);
  CHECK(leader.topic().messages == 1);
}

TEST_CASE("topics: a transaction publishes, and settles for a subscription") {
  Topics leader;
  leader.publish({"a"});
  leader.subscribe("s");
  const auto got = leader.receive("s");
  TxnOp ack{TxnOp::Kind::kAck, "t", {}, 0};
  ack.settling = Settling{Kind::kAck, got.at(0).id, got[0].receipt, {}, ""};
  ack.subscription = "s";
  TxnOp publish{TxnOp::Kind::kPublish, "t", {}, 0};
  publish.message = text("b");
  const auto done = changed<Box<TxnDone>>(leader.call(Box(Transaction{{}, {ack, publish}, {}})));
  REQUIRE(done);
  CHECK(std::holds_alternative<OpSent>((*done)->results.at(1)));
  CHECK(leader.info("s").cursor == got[0].id);
  CHECK(leader.page({}) == "a b ");
  CHECK(refused(leader.call(Box(Transaction{{}, {publish, ack}, {}}))) == ErrorCode::kNoMessage);
  CHECK(leader.page({}) == "a b ");
}

TEST_CASE("topics: views follow from the records, at every write and takeover") {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Prng prng(seed);
    Topics leader;
    std::vector<std::pair<std::string, QueuedMessage>> held;
    const auto any = [&] { return prng.one_in(2) ? std::string("s") : std::string("r"); };
    leader.publish({"first"});
    for (int step = 0; step < 120; ++step) {
      switch (prng.below(10)) {
        case 0:
        case 1:
        case 2: {
          std::vector<NewMessage> messages(1 + prng.below(3), text("m", prng.one_in(2) ? "g" : ""));
          leader.call(Box(PublishMessages{"t", std::move(messages), true}));
          break;
        }
        case 3: {
          SubscriptionConfig config;
          config.ordered = prng.one_in(2);
          config.max_in_flight = 1 + static_cast<uint32_t>(prng.below(5));
          config.max_deliveries = 1 + static_cast<uint32_t>(prng.below(3));
          config.ttr_ms = 100 + prng.below(500);
          leader.call(
              Box(MakeSubscription{"t", any(), config, {prng.one_in(2) ? From::kFirst : From::kNow, {}, 0}}));
          break;
        }
        case 4:
        case 5: {
          const std::string name = any();
          if (leader.store.queues().find_subscription("t", name) == nullptr) break;
          for (QueuedMessage& message : leader.receive(name, 1 + static_cast<uint32_t>(prng.below(4))))
            held.emplace_back(name, std::move(message));
          break;
        }
        case 6: {
          if (held.empty()) break;
          const auto it = held.begin() + static_cast<std::ptrdiff_t>(prng.below(held.size()));
          if (leader.store.queues().find_subscription("t", it->first) != nullptr)
            leader.settle(it->first, it->second, static_cast<Kind>(prng.below(5)));
          held.erase(it);
          break;
        }
        case 7: {
          TopicConfig config;
          config.max_messages = prng.below(6);
          config.max_age_ms = prng.one_in(2) ? 0 : 300;
          config.discard_old = prng.one_in(2);
          leader.call(Box(MakeTopic{"t", config}));
          break;
        }
        case 8:
          if (prng.one_in(3)) leader.call(SeekSubscription{"t", any(), {}});
          if (prng.one_in(6)) leader.call(DeleteSubscription{"t", any()});
          if (prng.one_in(3)) leader.call(KickMessages{"t", MessageState::kDead, 3, "", any()});
          leader.pass(prng.below(400));
          leader.append(leader.evaluator->expire(leader.room));
          leader.check();
          break;
        default:
          leader.commit();
          if (prng.one_in(3)) leader.take_over();
          leader.check();
          break;
      }
    }
  }
}

}  // namespace kvd::topics_test
