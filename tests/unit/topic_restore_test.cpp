// Topics of a backup, as they are written into a cluster (core/replica/topic_restore): by the write evaluator, without
// a cluster.
#include "core/replica/topic_restore.hpp"

#include <doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "core/queues/queue_views.hpp"
#include "core/replica/backup_restore.hpp"
#include "core/topics/topic_reads.hpp"
#include "evaluator_fixture.hpp"
#include "msg/limits.hpp"

namespace kvd::topic_restore_test {
namespace {

using namespace kvd::evaluator_test;
using Kind = Settling::Kind;

struct Side : Leader {
  Side() {
    room.memory_max = 1u << 30;
    room.wall_ms = 1'000'000;
    room.clock = 5'000;
  }
  Answer ask(Operation operation) {
    commit();
    const ReadAt at{room.clock, room.wall_ms, true};
    if (const auto* keys = std::get_if<ListKeys>(&operation)) return store.list(*keys);
    if (const auto* queues = std::get_if<ListQueues>(&operation)) return list_queues(store, *queues, at);
    if (const auto* topics = std::get_if<ListTopics>(&operation)) return list_topics(store, *topics, at);
    Evaluation evaluation = write(std::move(operation));
    if (auto* change = std::get_if<Change>(&evaluation)) return std::move(change->answer);
    if (auto* same = std::get_if<Unchanged>(&evaluation)) return std::move(same->answer);
    return std::get<Failed>(evaluation);
  }
  void publish(const std::vector<std::string>& bodies) {
    std::vector<NewMessage> messages;
    for (const std::string& body : bodies) messages.push_back(NewMessage{Bytes(body)});
    CHECK(std::holds_alternative<Sent>(ask(Box(PublishMessages{"t", std::move(messages), true}))));
  }
  void subscribe(const std::string& name, const SubscriptionConfig& config = {}) {
    CHECK(std::holds_alternative<TopicMade>(ask(Box(MakeSubscription{"t", name, config, {}}))));
  }
  std::vector<QueuedMessage> receive(const std::string& name, uint32_t max) {
    ReceiveMessages wanted;
    wanted.queue = "t";
    wanted.subscription = name;
    wanted.max = max;
    return std::get<Box<Received>>(ask(Box(std::move(wanted))))->messages;
  }
  void settle(const std::string& name, const QueuedMessage& message, Kind kind = Kind::kAck) {
    ask(Box(SettleMessages{"t", {{kind, message.id, message.receipt, {}, ""}}, false, 0, name}));
  }
  std::string page() {
    commit();
    return bodies(
        std::get<Peeked>(page_topic(store, {"t", {}, 100}, {room.clock, room.wall_ms, true})).messages);
  }
  static std::string bodies(const std::vector<QueuedMessage>& messages) {
    std::string all;
    for (const QueuedMessage& message : messages) all += std::string(message.body.view()) + " ";
    return all;
  }
  Store backup() {
    commit();
    Store copy;
    for (size_t space = 0; space < kSpaces; ++space)
      for (const Record& item : store.items(static_cast<Space>(space))) copy.put(item);
    copy.reach_clock(room.clock);
    return copy;
  }
};

// `pass_ms`: by the log's clock, after each of its writes.
void restore_into(Side& into, Store backup, bool replace, uint64_t pass_ms = 0) {
  BackupRestore restore(std::move(backup), replace, seconds(5));
  for (int turn = 0; turn < 1000 && !restore.ended(); ++turn) {
    auto next = restore.next(Instant{});
    if (!next) continue;
    Answer answer = into.ask(std::move(next->operation));
    if (pass_ms != 0) {
      into.commit();
      into.room.clock += pass_ms;
      into.expire();
    }
    restore.on_reply(next->number, {std::move(answer), Epoch(1), into.log.last().revision, {}}, Instant{});
  }
  REQUIRE(restore.ended());
  CHECK_FALSE(restore.failed());
  CHECK(restore.topics().written() == restore.topics().messages());
}

}  // namespace

TEST_CASE("restore of topics: messages in their order, and subscriptions where they were") {
  Side from;
  from.publish({"a", "b"});
  from.publish({"c", "d", "e"});
  for (const char* name : {"new", "done", "holes", "dead"}) from.subscribe(name);
  for (const QueuedMessage& message : from.receive("done", 5)) from.settle("done", message);
  const auto held = from.receive("holes", 3);
  from.settle("holes", held.at(0));
  from.settle("holes", held.at(2));
  const auto spoilt = from.receive("dead", 3);
  from.settle("dead", spoilt.at(0));
  from.settle("dead", spoilt.at(1), Kind::kDead);
  from.settle("dead", spoilt.at(2));
  TopicConfig config;
  config.max_messages = 2;
  from.ask(Box(MakeTopic{"t", config}));
  for (const bool replace : {false, true}) {
    Side into;
    if (replace) {
      into.publish({"old"});
      into.subscribe("old");
      into.ask(Box(PublishMessages{"other", {NewMessage{Bytes("x")}}, true}));
    }
    restore_into(into, from.backup(), replace);
    CHECK(into.store.queues().count(QueueView::Kind::kTopic) == 1);
    CHECK(into.store.queues().count(QueueView::Kind::kSubscription) == 4);
    CHECK(into.page() == "a b c d e ");
    CHECK(Side::bodies(into.receive("new", 9)) == "a b c d e ");
    CHECK(into.receive("done", 9).empty());
    CHECK(Side::bodies(into.receive("holes", 9)) == "b c d e ");
    CHECK(Side::bodies(into.receive("dead", 9)) == "b c d e ");
    CHECK(
        std::holds_alternative<Failed>(into.ask(Box(PublishMessages{"t", {NewMessage{Bytes("f")}}, true}))));
  }
}

TEST_CASE("restore of topics: what is too old, and a subscription still needs, is there for it") {
  Side from;
  TopicConfig config;
  config.max_age_ms = 60'000;
  from.ask(Box(MakeTopic{"t", config}));
  from.subscribe("s");
  from.publish({"old"});
  from.room.clock += 50'000;
  from.publish({"young"});
  from.room.clock += 50'000;
  Side into;
  restore_into(into, from.backup(), false, 20'000);
  CHECK(Side::bodies(into.receive("s", 9)) == "old young ");
}

TEST_CASE("restore of topics: a topic without messages, and a cluster that has one is not empty") {
  Side from;
  from.ask(Box(MakeTopic{"t", {}}));
  from.subscribe("s");
  Side into;
  restore_into(into, from.backup(), false);
  into.publish({"a"});
  CHECK(Side::bodies(into.receive("s", 9)) == "a ");
  BackupRestore again(from.backup(), false, seconds(5));
  const auto first = again.next(Instant{});
  REQUIRE(first);
  CHECK(std::holds_alternative<Failed>(into.ask(Operation(first->operation))));
}

}  // namespace kvd::topic_restore_test
