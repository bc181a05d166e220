// Queues (core/queues), as the write evaluator decides what is sent, granted and settled: a log, a store and a clock
// that the test sets, and nobody who leads. After each write the views are held against views made anew.
#include <doctest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/prng.hpp"
#include "core/queues/queue_reads.hpp"
#include "core/queues/queue_views.hpp"
#include "core/replica/table.hpp"
#include "evaluator_fixture.hpp"
#include "msg/limits.hpp"
#include "views_anew.hpp"

namespace kvd::queues_test {
namespace {

using namespace kvd::evaluator_test;
using Kind = Settling::Kind;

NewMessage text(const std::string& body) {
  NewMessage message;
  message.body = Bytes(body);
  return message;
}
NewMessage urgent(const std::string& body, uint8_t priority) {
  NewMessage message = text(body);
  message.priority = priority;
  return message;
}
NewMessage of_group(const std::string& body, const std::string& group) {
  NewMessage message = text(body);
  message.group = group;
  return message;
}
NewMessage later(const std::string& body, uint64_t delay_ms) {
  NewMessage message = text(body);
  message.delay_ms = delay_ms;
  return message;
}
NewMessage named(const std::string& body, const std::string& dedup) {
  NewMessage message = text(body);
  message.dedup = dedup;
  return message;
}

struct Queues : Leader {
  Queues() { room.wall_ms = 1'000'000; }
  Evaluation call(Operation operation, const std::string& key = "") {
    Evaluation evaluation = write(std::move(operation), key);
    check();
    return evaluation;
  }
  void check() { CHECK(store.queues().equals(made_anew(*this))); }
  void pass(uint64_t ms) {
    room.clock += ms;
    store.queues().ripen(room.clock);
  }
  void make(const std::string& name, QueueConfig config) {
    const auto made = changed<QueueMade>(call(Box(MakeQueue{name, std::move(config)})));
    REQUIRE(made);
  }
  Sent send(const std::string& queue, std::vector<NewMessage> messages) {
    const Evaluation evaluation = call(Box(SendMessages{queue, std::move(messages)}));
    if (const auto same = unchanged<Sent>(evaluation)) return *same;
    const auto sent = changed<Sent>(evaluation);
    REQUIRE(sent);
    return *sent;
  }
  std::vector<QueuedMessage> receive(const std::string& queue, uint32_t max = 1, uint64_t ticket = 1) {
    ReceiveMessages wanted;
    wanted.queue = queue;
    wanted.max = max;
    wanted.ticket = ticket;
    wanted.turn = ++turn << kSendingBits;
    return received(wanted).messages;
  }
  Received received(const ReceiveMessages& wanted) {
    const Evaluation evaluation = call(Box(wanted));
    if (const auto none = unchanged<Box<Received>>(evaluation)) return **none;
    const auto some = changed<Box<Received>>(evaluation);
    REQUIRE(some);
    return **some;
  }
  Settled::One settle(const std::string& queue, Kind kind, const QueuedMessage& message,
                      std::optional<uint64_t> ms = {}, const std::string& reason = "") {
    const Evaluation evaluation =
        call(Box(SettleMessages{queue, {{kind, message.id, message.receipt, ms, reason}}, false}));
    const auto settled = changed<Settled>(evaluation);
    const auto same = unchanged<Settled>(evaluation);
    REQUIRE((settled || same));
    return (settled ? *settled : *same).results.at(0);
  }
  QueueInfo info(const std::string& queue) {
    const Answer answer = read_queue(store, ReadQueue{queue}, {room.clock, room.wall_ms, true});
    const auto* found = std::get_if<Box<QueueFound>>(&answer);
    REQUIRE(found != nullptr);
    return (*found)->queue;
  }
  std::vector<std::string> peek(const std::string& queue, MessageState state) {
    const Answer answer =
        peek_messages(store, PeekMessages{queue, state, {}, 1000}, {room.clock, room.wall_ms, true});
    std::vector<std::string> bodies;
    for (const QueuedMessage& message : std::get<Peeked>(answer).messages)
      bodies.emplace_back(message.body.view());
    return bodies;
  }
  uint64_t turn = 0;
};

std::vector<std::string> bodies(const std::vector<QueuedMessage>& messages) {
  std::vector<std::string> found;
  for (const QueuedMessage& message : messages) found.emplace_back(message.body.view());
  return found;
}
using Bodies = std::vector<std::string>;

}  // namespace

TEST_CASE("queues: a send makes its queue; what it sent is granted in its order, and settled") {
  Queues leader;
  const Evaluation first = leader.call(Box(SendMessages{"q", {text("a"), text("b")}}));
  CHECK(changed<Sent>(first)->count == 2);
  CHECK(effects(first).size() == 3);  // the queue, and two messages
  leader.send("q", {text("c")});
  const auto one = leader.receive("q");
  REQUIRE(bodies(one) == Bodies{"a"});
  CHECK(one[0].receipt == 3);  // the entry that granted it
  CHECK(one[0].attempt == 1);
  CHECK(one[0].sent_ms == 1'000'000);
  CHECK(to_text(one[0].id) == "1");
  const auto rest = leader.receive("q", 10);
  REQUIRE(bodies(rest) == Bodies{"b", "c"});
  CHECK(to_text(rest[0].id) == "1.1");
  CHECK(leader.receive("q").empty());
  CHECK(leader.settle("q", Kind::kAck, one[0]).result == SettleResult::kDone);
  CHECK(leader.settle("q", Kind::kAck, one[0]).result == SettleResult::kGone);
  leader.commit();
  CHECK(leader.info("q").in_flight == 2);
  CHECK(leader.info("q").ready == 0);
  CHECK(leader.store.size(Space::kMessages) == 2);
}

TEST_CASE("queues: there is no queue of that name") {
  Queues leader;
  CHECK(refused(leader.call(Box(SendMessages{"q", {text("a")}, false}))) == ErrorCode::kNoQueue);
  CHECK(refused(leader.call(Box(ReceiveMessages{"q"}))) == ErrorCode::kNoQueue);
  CHECK(refused(leader.call(Box(SettleMessages{"q", {{Kind::kAck, {}, 1, {}, ""}}, false}))) ==
        ErrorCode::kNoQueue);
  CHECK(refused(leader.call(DeleteQueue{"q", false})) == ErrorCode::kNoQueue);
  CHECK(refused(leader.call(PurgeMessages{"q", {}})) == ErrorCode::kNoQueue);
  CHECK(refused(leader.call(KickMessages{"q"})) == ErrorCode::kNoQueue);
}

TEST_CASE("queues: the more urgent goes first, and of the same the older one") {
  Queues leader;
  leader.send("q", {urgent("b", 100), urgent("c", 200)});
  leader.send("q", {urgent("a", 0), urgent("b2", 100)});
  CHECK(bodies(leader.receive("q", 10)) == Bodies{"a", "b", "b2", "c"});
}

TEST_CASE("queues: a grant ends by its time, and the next one has another receipt") {
  Queues leader;
  leader.send("q", {text("a")});
  const auto first = leader.receive("q");
  leader.pass(29'999);
  CHECK(leader.receive("q").empty());
  leader.pass(1);
  CHECK(leader.settle("q", Kind::kExtend, first[0], 1000).left_ms == 1000);  // nobody else has begun it
  CHECK(leader.receive("q").empty());
  leader.pass(1000);
  const auto second = leader.receive("q");
  REQUIRE(second.size() == 1);
  CHECK(second[0].attempt == 2);
  CHECK(second[0].receipt > first[0].receipt);
  const Settled::One stale = leader.settle("q", Kind::kAck, first[0]);
  CHECK(stale.result == SettleResult::kStale);
  CHECK(stale.receipt == second[0].receipt);
  CHECK(leader.settle("q", Kind::kAck, second[0]).result == SettleResult::kDone);
}

TEST_CASE("queues: a message that was refused waits as long as its queue says, or its worker") {
  Queues leader;
  QueueConfig config;
  config.backoff_ms = {100, 1000};
  leader.make("q", config);
  leader.send("q", {text("a")});
  const uint64_t waits[] = {100, 1000, 1000};
  for (const uint64_t wait : waits) {
    const auto got = leader.receive("q");
    REQUIRE(got.size() == 1);
    leader.settle("q", Kind::kNack, got[0]);
    CHECK(leader.settle("q", Kind::kAck, got[0]).result == SettleResult::kStale);
    leader.pass(wait - 1);
    CHECK(leader.receive("q").empty());
    leader.pass(1);
  }
  const auto got = leader.receive("q");
  leader.settle("q", Kind::kNack, got.at(0), 0, "busy");
  const auto again = leader.receive("q");
  REQUIRE(again.size() == 1);
  CHECK(again[0].attempt == 5);
  CHECK(again[0].reason == "busy");
}

TEST_CASE("queues: what is given back has not been tried") {
  Queues leader;
  leader.send("q", {text("a")});
  leader.settle("q", Kind::kRelease, leader.receive("q").at(0));
  leader.commit();
  CHECK(leader.store.size(Space::kDeliveries) == 0);
  const auto first = leader.receive("q");
  CHECK(first.at(0).attempt == 1);
  leader.settle("q", Kind::kNack, first[0]);
  leader.settle("q", Kind::kRelease, leader.receive("q").at(0));
  CHECK(leader.receive("q").at(0).attempt == 2);
}

TEST_CASE("queues: after its last delivery a message is dead, here or where the dead go") {
  Queues leader;
  QueueConfig config;
  config.max_deliveries = 2;
  config.ttr_ms = 1000;
  leader.make("q", config);
  leader.send("q", {urgent("a", 7)});
  leader.settle("q", Kind::kNack, leader.receive("q").at(0));
  leader.receive("q");
  leader.pass(1000);  // the last one is not settled in time
  CHECK(leader.receive("q").empty());
  CHECK(leader.expire().size() == 1);
  leader.check();
  CHECK(leader.expire().empty());
  leader.commit();
  CHECK(leader.info("q").dead == 1);
  CHECK(leader.peek("q", MessageState::kDead) == Bodies{"a"});

  config.dead_letter = "graves";
  leader.make("q", config);
  leader.make("graves", {});
  leader.send("q", {urgent("b", 7)});
  leader.settle("q", Kind::kNack, leader.receive("q").at(0));
  const auto last = leader.receive("q");
  CHECK(leader.settle("q", Kind::kNack, last.at(0), {}, "no use").result == SettleResult::kDone);
  const auto dead = leader.receive("graves");
  REQUIRE(dead.size() == 1);
  CHECK(dead[0].body.view() == "b");
  CHECK(dead[0].priority == 7);
  CHECK(dead[0].dead_from == "q");
  CHECK(dead[0].reason == "no use");
  CHECK(dead[0].attempts == 2);
  CHECK(dead[0].attempt == 1);
  CHECK(leader.settle("q", Kind::kAck, last[0]).result == SettleResult::kGone);
}

TEST_CASE("queues: dead letters stay where they are when nobody has room for them") {
  Queues leader;
  QueueConfig full;
  full.max_messages = 1;
  leader.make("graves", full);
  leader.send("graves", {text("x")});
  QueueConfig config;
  config.dead_letter = "graves";
  leader.make("q", config);
  leader.send("q", {text("a")});
  leader.settle("q", Kind::kDead, leader.receive("q").at(0), {}, "bad");
  leader.commit();
  CHECK(leader.info("q").dead == 1);
  CHECK(leader.info("graves").ready == 1);
}

TEST_CASE("queues: dead letters cannot come back") {
  Queues leader;
  QueueConfig to_b;
  to_b.dead_letter = "b";
  QueueConfig to_a;
  to_a.dead_letter = "a";
  CHECK(refused(leader.call(Box(MakeQueue{"a", to_a}))) == ErrorCode::kQueueCycle);
  leader.make("a", to_b);
  CHECK(refused(leader.call(Box(MakeQueue{"b", to_a}))) == ErrorCode::kQueueCycle);
}

TEST_CASE("queues: of a group one is in flight, and the others keep their order") {
  Queues leader;
  leader.send("q", {of_group("a1", "a"), of_group("b1", "b"), of_group("a2", "a"), text("free")});
  const auto got = leader.receive("q", 10);
  REQUIRE(bodies(got) == Bodies{"a1", "b1", "free"});
  leader.settle("q", Kind::kNack, got[0], 500);
  CHECK(leader.receive("q", 10).empty());  // a1 blocks its group
  leader.commit();
  CHECK(leader.info("q").groups == 2);
  CHECK(leader.info("q").blocked == 1);
  leader.pass(500);
  const auto again = leader.receive("q", 10);
  REQUIRE(bodies(again) == Bodies{"a1"});
  leader.settle("q", Kind::kAck, again[0]);
  CHECK(bodies(leader.receive("q", 10)) == Bodies{"a2"});
}

TEST_CASE("queues: of a dead message's group the next one goes on; once it is kicked it is first again") {
  Queues leader;
  leader.send("q", {of_group("1", "g"), of_group("2", "g"), of_group("3", "g")});
  leader.settle("q", Kind::kDead, leader.receive("q").at(0));
  const auto second = leader.receive("q");
  REQUIRE(bodies(second) == Bodies{"2"});
  leader.commit();
  CHECK(changed<MessagesMoved>(leader.call(KickMessages{"q"}))->count == 1);
  CHECK(leader.receive("q").empty());  // 2 is in flight
  leader.settle("q", Kind::kAck, second[0]);
  const auto kicked = leader.receive("q");
  REQUIRE(bodies(kicked) == Bodies{"1"});
  CHECK(kicked[0].attempt == 1);
}

TEST_CASE("queues: who gives one of a group more time when that was over is not granted another one of it") {
  for (const bool fifo : {false, true}) {
    Queues leader;
    QueueConfig config;
    config.fifo = fifo;
    leader.make("q", config);
    const std::string group = fifo ? "" : "g";
    leader.send("q", {of_group("a", group), of_group("b", group)});
    leader.send("other", {of_group("c", "g")});
    leader.settle("q", Kind::kDead, leader.receive("q").at(0));
    const auto held = leader.receive("q");
    REQUIRE(held.size() == 1);
    leader.commit();
    CHECK(changed<MessagesMoved>(leader.call(KickMessages{"q"}))->count == 1);
    leader.pass(30'001);
    ReceiveMessages wanted;
    wanted.queue = "q";
    wanted.max = 5;
    wanted.settlings = {{Kind::kExtend, held[0].id, held[0].receipt, 500, ""}};
    const Received told = leader.received(wanted);
    CHECK(told.settled.at(0).result == SettleResult::kDone);
    CHECK(told.messages.empty());
    CHECK(leader.receive("q").empty());
    leader.settle("q", Kind::kAck, held[0]);
    const auto next = leader.receive("q");
    REQUIRE(next.size() == 1);
    CHECK(next[0].body.view() == "a");
  }
}

TEST_CASE("queues: in a queue of order fifo all are one group") {
  Queues leader;
  QueueConfig config;
  config.fifo = true;
  leader.make("q", config);
  leader.send("q", {urgent("late", 200), urgent("urgent", 0)});
  CHECK(refused(leader.call(Box(SendMessages{"q", {later("x", 5)}}))) == ErrorCode::kInvalid);
  const auto first = leader.receive("q", 10);
  REQUIRE(bodies(first) == Bodies{"late"});
  leader.settle("q", Kind::kAck, first[0]);
  CHECK(bodies(leader.receive("q", 10)) == Bodies{"urgent"});
  config.fifo = false;
  CHECK(refused(leader.call(Box(MakeQueue{"q", config}))) == ErrorCode::kNotEmpty);
}

TEST_CASE("queues: delayed messages are ready when their time has come") {
  Queues leader;
  leader.send("q", {later("a", 1000), text("b")});
  CHECK(bodies(leader.receive("q", 10)) == Bodies{"b"});
  leader.commit();
  CHECK(leader.info("q").delayed == 1);
  CHECK(leader.peek("q", MessageState::kDelayed) == Bodies{"a"});
  leader.pass(1000);
  CHECK(leader.info("q").ready == 1);
  CHECK(leader.peek("q", MessageState::kReady) == Bodies{"a"});
  CHECK(bodies(leader.receive("q", 10)) == Bodies{"a"});
}

TEST_CASE("queues: two sends of one name are one, as long as its window lasts") {
  for (const bool committed : {false, true}) {
    Queues leader;
    const Sent first = leader.send("q", {named("a", "n"), named("b", "m"), named("c", "n")});
    REQUIRE(first.duplicates.size() == 1);
    CHECK(first.duplicates[0].place == 2);
    CHECK(to_text(first.duplicates[0].id) == "1");
    if (committed) leader.commit();
    leader.settle("q", Kind::kAck, leader.receive("q").at(0));
    leader.pass(299'999);
    CHECK(leader.send("q", {named("a", "n")}).duplicates.size() == 1);
    leader.pass(1);
    CHECK(leader.send("q", {named("a", "n")}).duplicates.empty());
    leader.commit();
    leader.pass(300'000);
    CHECK(leader.expire().size() == 2);
    leader.commit();
    CHECK(leader.store.size(Space::kDedup) == 0);
  }
}

TEST_CASE("queues: a full queue refuses, or lets the oldest of the least urgent go") {
  Queues leader;
  QueueConfig config;
  config.max_messages = 2;
  leader.make("q", config);
  leader.send("q", {urgent("a", 10), urgent("b", 20)});
  CHECK(refused(leader.call(Box(SendMessages{"q", {text("c")}}))) == ErrorCode::kQueueFull);
  config.discard_old = true;
  leader.make("q", config);
  leader.send("q", {urgent("c", 5)});
  leader.commit();
  CHECK(leader.peek("q", MessageState::kReady) == Bodies{"a", "c"});
  leader.receive("q", 10);
  CHECK(refused(leader.call(Box(SendMessages{"q", {text("d")}}))) ==
        ErrorCode::kQueueFull);  // all are in flight
  QueueConfig small;
  small.max_bytes = 3;
  leader.make("r", small);
  leader.send("r", {text("abc")});
  CHECK(refused(leader.call(Box(SendMessages{"r", {text("d")}}))) == ErrorCode::kQueueFull);
}

TEST_CASE("queues: what is too old is dead, or goes, but not while somebody has it") {
  for (const bool discard : {false, true}) {
    Queues leader;
    QueueConfig config;
    config.max_age_ms = 1000;
    config.discard_old = discard;
    leader.make("q", config);
    leader.send("q", {text("a"), text("b")});
    const auto got = leader.receive("q");
    leader.pass(1000);
    leader.expire();
    leader.check();
    leader.commit();
    CHECK(leader.info("q").dead == (discard ? 0 : 1));
    CHECK(leader.info("q").ready == 0);
    CHECK(leader.settle("q", Kind::kAck, got[0]).result == SettleResult::kDone);
  }
}

TEST_CASE("queues: no more are in flight than may be, in the queue and under a ticket") {
  Queues leader;
  QueueConfig config;
  config.max_in_flight = 3;
  leader.make("q", config);
  leader.send("q", {text("a"), text("b"), text("c"), text("d")});
  ReceiveMessages wanted{"q", 10};
  wanted.ticket = 7;
  wanted.credit = 2;
  wanted.turn = 1 << kSendingBits;
  const auto first = leader.received(wanted).messages;
  CHECK(bodies(first) == Bodies{"a", "b"});
  wanted.turn = 2 << kSendingBits;
  CHECK(leader.received(wanted).messages.empty());
  CHECK(bodies(leader.receive("q", 10)) == Bodies{"c"});
  CHECK(leader.receive("q", 10).empty());
  leader.settle("q", Kind::kAck, first[0]);
  CHECK(bodies(leader.received(wanted).messages) == Bodies{"d"});
}

TEST_CASE("queues: a call that is repeated gets the same messages, whoever leads by then") {
  Queues leader;
  leader.send("q", {text("a"), text("b"), text("c")});
  ReceiveMessages wanted{"q", 2};
  wanted.ticket = 9;
  wanted.turn = 1 << kSendingBits;
  const auto first = leader.received(wanted).messages;
  leader.take_over();
  ++wanted.turn;
  const auto again = leader.received(wanted).messages;
  CHECK(bodies(again) == Bodies{"a", "b"});
  CHECK(again[0].receipt > first[0].receipt);  // who gives the lost answer back gives nothing back
  CHECK(again[0].attempt == 1);
  CHECK(leader.settle("q", Kind::kRelease, first[0]).result == SettleResult::kStale);
  --wanted.turn;  // the first sending comes late
  CHECK(refused(leader.call(Box(wanted))) == ErrorCode::kTimedOut);
  wanted.turn = 2 << kSendingBits;
  CHECK(bodies(leader.received(wanted).messages) == Bodies{"c"});
}

TEST_CASE("queues: what a call settles is done before it receives") {
  Queues leader;
  leader.send("q", {text("a"), text("b")});
  const auto first = leader.receive("q");
  ReceiveMessages wanted{"q", 1};
  wanted.settlings = {{Kind::kAck, first.at(0).id, first[0].receipt, {}, ""},
                      {Kind::kAck, first[0].id, first[0].receipt, {}, ""}};
  const Received next = leader.received(wanted);
  CHECK(bodies(next.messages) == Bodies{"b"});
  REQUIRE(next.settled.size() == 2);
  CHECK(next.settled[0].result == SettleResult::kDone);
  CHECK(next.settled[1].result == SettleResult::kGone);
}

TEST_CASE("queues: all or none are settled") {
  Queues leader;
  leader.send("q", {text("a"), text("b")});
  const auto got = leader.receive("q", 2);
  SettleMessages both{"q",
                      {{Kind::kAck, got.at(0).id, got[0].receipt, {}, ""},
                       {Kind::kAck, got.at(1).id, got[1].receipt + 1, {}, ""}},
                      true};
  const auto none = unchanged<Settled>(leader.call(Box(both)));
  REQUIRE(none);
  CHECK(none->refused);
  CHECK(none->results.at(1).result == SettleResult::kStale);
  both.settlings[1].receipt = got[1].receipt;
  const auto all = changed<Settled>(leader.call(Box(both)));
  REQUIRE(all);
  CHECK_FALSE(all->refused);
}

TEST_CASE("queues: to empty a queue is one record; what was in it goes bit by bit, and nobody finds it") {
  for (const bool whole : {false, true}) {
    Queues leader;
    std::vector<NewMessage> many(1000, text("m"));
    for (int i = 0; i < 3; ++i) leader.send("q", many);
    leader.send("q", {named("a", "n"), later("l", 99)});
    const auto got = leader.receive("q");
    leader.commit();
    if (whole) {
      CHECK(changed<QueueDeleted>(leader.call(DeleteQueue{"q", false})));
    } else {
      CHECK(changed<MessagesPurged>(leader.call(PurgeMessages{"q", {}}))->count == 3002);
      CHECK(leader.settle("q", Kind::kAck, got.at(0)).result == SettleResult::kGone);
      CHECK(leader.receive("q").empty());
      CHECK(leader.send("q", {named("a", "n")}).duplicates.size() == 1);
    }
    leader.send("q", {text("new")});
    leader.commit();
    CHECK(leader.info("q").ready == 1);
    int entries = 0;
    while (!leader.expire().empty() && ++entries < 100) leader.commit();
    leader.check();
    CHECK(entries < 10);
    CHECK(leader.store.size(Space::kMessages) == 1);
    CHECK(leader.store.size(Space::kDeliveries) == 0);
    CHECK(leader.store.size(Space::kQueues) == 1);
    CHECK(leader.store.size(Space::kDedup) == (whole ? 0 : 1));
    CHECK(bodies(leader.receive("q", 10)) == Bodies{"new"});
  }
}

TEST_CASE("queues: one state is emptied by itself") {
  Queues leader;
  leader.send("q", {text("a"), text("b"), later("c", 1000)});
  leader.settle("q", Kind::kDead, leader.receive("q").at(0));
  leader.commit();
  CHECK(changed<MessagesPurged>(leader.call(PurgeMessages{"q", MessageState::kDelayed}))->count == 1);
  CHECK(changed<MessagesPurged>(leader.call(PurgeMessages{"q", MessageState::kDead}))->count == 1);
  leader.commit();
  CHECK(leader.info("q").ready == 1);
  CHECK(leader.store.size(Space::kMessages) == 1);
}

TEST_CASE("queues: kicked messages go to another queue as new") {
  Queues leader;
  leader.make("r", {});
  leader.send("q", {later("a", 1000), later("b", 1000)});
  leader.commit();
  KickMessages kick{"q", MessageState::kDelayed, 1, "r"};
  CHECK(changed<MessagesMoved>(leader.call(kick))->count == 1);
  CHECK(bodies(leader.receive("r", 10)) == Bodies{"a"});
  leader.commit();
  CHECK(leader.peek("q", MessageState::kDelayed) == Bodies{"b"});
}

TEST_CASE("queues: sends need room; what makes room does not") {
  Queues leader;
  leader.send("q", {text("a"), text("b")});
  leader.room.memory_max = leader.store.bytes();
  CHECK(refused(leader.call(Box(SendMessages{"q", {text("c")}}))) == ErrorCode::kMemoryFull);
  const auto got = leader.receive("q", 2);
  REQUIRE(got.size() == 2);
  CHECK(leader.settle("q", Kind::kNack, got[0]).result == SettleResult::kDone);
  CHECK(leader.settle("q", Kind::kAck, got[1]).result == SettleResult::kDone);
}

TEST_CASE("queues: a send that is repeated with its key is answered as before") {
  Queues leader;
  const auto first = changed<Sent>(leader.call(Box(SendMessages{"q", {text("a"), named("b", "n")}}), "key"));
  REQUIRE(first);
  const Evaluation again = leader.call(Box(SendMessages{"q", {text("a"), named("b", "n")}}), "key");
  const auto same = unchanged<Sent>(again);
  REQUIRE(same);
  CHECK(same->count == 2);
  CHECK(same->duplicates.empty());
  CHECK(std::get<Unchanged>(again).about == Revision(1));
}

TEST_CASE("queues: what dies at once is no more than one entry may hold") {
  Queues leader;
  leader.room.memory_max = 100u << 20;
  leader.make("graves", {});
  QueueConfig config;
  config.max_deliveries = 1;
  config.dead_letter = "graves";
  leader.make("q", config);
  constexpr size_t kMany = 20;
  for (size_t i = 0; i < kMany; ++i) leader.send("q", {text(std::string(1u << 20, 'x'))});
  for (size_t i = 0; i < kMany; ++i) REQUIRE(leader.receive("q").size() == 1);
  leader.pass(config.ttr_ms);
  size_t entries = 0;
  for (std::vector<Record> swept = leader.expire(); !swept.empty(); swept = leader.expire(), ++entries) {
    size_t bytes = 0;
    for (const Record& effect : swept) bytes += effect.has_value() ? effect.value().size() : 0;
    CHECK(bytes <= limits::kWriteBytes + (2u << 20));
    REQUIRE(entries < kMany);
  }
  CHECK(entries == 2);
  leader.check();
  leader.commit();
  CHECK(leader.info("graves").ready == kMany);
}

TEST_CASE("queues: a queue that has become much too large is cut down send by send") {
  Queues leader;
  QueueConfig config;
  config.discard_old = true;
  leader.make("q", config);
  leader.room.memory_max = 100u << 20;
  const std::vector<NewMessage> many(limits::kMessagesAtOnce, text("m"));
  for (int i = 0; i < 20; ++i) leader.send("q", many);
  leader.commit();
  config.max_messages = 5;
  leader.make("q", config);
  const Evaluation first = leader.call(Box(SendMessages{"q", {text("new")}}));
  CHECK(effects(first).size() == limits::kPurged + 1);
  leader.send("q", {text("newer")});
  leader.commit();
  CHECK(leader.info("q").ready == 5);
}

TEST_CASE("queues: what is ready is kicked to another queue, and not to its own") {
  Queues leader;
  leader.make("r", {});
  leader.send("q", {text("a")});
  leader.commit();
  CHECK(unchanged<MessagesMoved>(leader.call(KickMessages{"q", MessageState::kReady, 9, "q"}))->count == 0);
  CHECK(changed<MessagesMoved>(leader.call(KickMessages{"q", MessageState::kReady, 9, "r"}))->count == 1);
  CHECK(bodies(leader.receive("r")) == Bodies{"a"});
}

TEST_CASE("queues: one that is too old by the time its turn comes is not granted") {
  Queues leader;
  QueueConfig config;
  config.max_age_ms = 1000;
  config.ttr_ms = 700;
  leader.make("q", config);
  leader.send("q", {text("a"), text("b")});
  leader.pass(600);
  REQUIRE(bodies(leader.receive("q")) == Bodies{"a"});  // until 1300
  leader.pass(800);
  leader.check();
  CHECK(leader.receive("q", 10).empty());
  leader.commit();
  CHECK(leader.info("q").dead == 2);
}

TEST_CASE("queues: a copy that has met messages before their queue makes its views anew") {
  Queues leader;
  QueueConfig config;
  config.fifo = true;
  leader.make("q", config);
  leader.send("q", {text("a"), text("b")});
  leader.commit();
  Store copy;
  for (const Space space : {Space::kMessages, Space::kQueues})
    for (const Record& item : leader.store.items(space)) copy.put(item);
  CHECK_FALSE(copy.queues().equals(leader.store.queues()));
  copy.view_anew();
  CHECK(copy.queues().equals(leader.store.queues()));
}

TEST_CASE("queues: a page that finds nothing ends, too, and tells how far it has looked") {
  Queues leader;
  leader.room.memory_max = 100u << 20;
  const std::vector<NewMessage> many(limits::kMessagesAtOnce, later("late", 1000));
  for (size_t sent = 0; sent <= limits::kPeeked; sent += many.size())
    REQUIRE(changed<Sent>(leader.write(Box(SendMessages{"q", many}))));
  leader.send("q", {text("ready")});
  leader.commit();
  const auto page = [&](const MessageId& after) {
    const PeekMessages peek{"q", MessageState::kReady, after, 10};
    return std::get<Peeked>(peek_messages(leader.store, peek, {leader.room.clock, 0, true}));
  };
  const Peeked first = page({});
  CHECK(first.messages.empty());
  CHECK(first.more);
  const Peeked second = page(first.last);
  CHECK(bodies(second.messages) == Bodies{"ready"});
  CHECK_FALSE(second.more);
}

// Q12: whatever is done, and whoever leads, the views are those of the records.
TEST_CASE("queues: views follow from the records, at every write and takeover") {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    Prng prng(seed);
    Queues leader;
    std::vector<std::pair<std::string, QueuedMessage>> held;
    const auto name = [&] { return std::string(prng.one_in(3) ? "r" : "q"); };
    for (int step = 0; step < 120; ++step) {
      const std::string queue = name();
      switch (prng.below(12)) {
        case 0: {
          QueueConfig config;
          config.max_deliveries = static_cast<uint32_t>(prng.below(3));
          config.ttr_ms = 200;
          config.max_in_flight = 1 + static_cast<uint32_t>(prng.below(4));
          config.max_age_ms = prng.one_in(3) ? 700 : 0;
          config.fifo = prng.one_in(4);
          if (prng.one_in(2)) config.dead_letter = queue == "q" ? "r" : "";
          leader.call(Box(MakeQueue{queue, config}));
          break;
        }
        case 1:
        case 2:
        case 3: {
          NewMessage message = text("m");
          message.priority = static_cast<uint8_t>(prng.below(3));
          if (prng.one_in(3)) message.group = prng.one_in(2) ? "g" : "h";
          if (message.group.empty() && prng.one_in(3)) message.delay_ms = prng.below(400);
          leader.call(Box(SendMessages{queue, {message, message}}));
          break;
        }
        case 4:
        case 5:
        case 6: {
          ReceiveMessages wanted{queue, 1 + static_cast<uint32_t>(prng.below(3))};
          wanted.ticket = 1 + prng.below(3);
          wanted.turn = prng.below(3) << kSendingBits;
          const Evaluation evaluation = leader.call(Box(wanted));
          if (const auto got = changed<Box<Received>>(evaluation)) {
            for (const QueuedMessage& message : (*got)->messages) held.emplace_back(queue, message);
          }
          break;
        }
        case 7:
        case 8: {
          if (held.empty()) break;
          const auto& [of, message] = held[prng.below(held.size())];
          const auto kind = static_cast<Kind>(prng.below(5));
          leader.call(Box(SettleMessages{of, {{kind, message.id, message.receipt, {}, ""}}, false}));
          break;
        }
        case 9:
          leader.pass(prng.below(300));
          leader.expire();
          break;
        case 10:
          if (prng.one_in(4)) leader.call(PurgeMessages{queue, {}});
          if (prng.one_in(4)) leader.call(DeleteQueue{queue, false});
          if (prng.one_in(2)) leader.call(KickMessages{queue});
          break;
        default:
          if (prng.one_in(2)) leader.commit();
      }
      leader.check();
      if (!prng.one_in(6)) continue;
      // Another one leads, with less of the log or all of it.
      leader.evaluator.reset();
      leader.log.truncate_after(
          Revision(leader.committed.value +
                   prng.below(leader.log.last().revision.value - leader.committed.value + 1)));
      leader.evaluator.emplace(leader.log, leader.store, leader.committed);
      leader.store.queues().unripen(leader.room.clock);
      leader.check();
    }
  }
}

}  // namespace kvd::queues_test
