// Queues of a backup, as they are written into a cluster (core/replica/queue_restore): by the write evaluator, without
// a cluster. Two leaders: of one the backup was taken, into the other it is restored.
#include <doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/queues/queue_reads.hpp"
#include "core/queues/queue_views.hpp"
#include "core/replica/backup_restore.hpp"
#include "core/replica/table.hpp"
#include "core/topics/topic_reads.hpp"
#include "evaluator_fixture.hpp"
#include "msg/limits.hpp"

namespace kvd::queue_restore_test {
namespace {

using namespace kvd::evaluator_test;
using Kind = Settling::Kind;
using Lines = std::vector<std::string>;

NewMessage message(const std::string& body, const std::string& group = "", uint8_t priority = 100) {
  NewMessage made;
  made.body = Bytes(body);
  made.group = group;
  made.priority = priority;
  return made;
}

Store copy_of(const Store& store, uint64_t clock) {
  Store copy;
  for (size_t space = 0; space < kSpaces; ++space)
    for (const Record& item : store.items(static_cast<Space>(space))) copy.put(item);
  copy.reach_clock(clock);
  return copy;
}

struct Side : Leader {
  Side() {
    room.memory_max = 1u << 30;
    room.wall_ms = 1'000'000;
    room.clock = 5'000;
  }
  Answer ask(Operation operation) {
    if (const auto* keys = std::get_if<ListKeys>(&operation)) return committed_store().list(*keys);
    if (const auto* queues = std::get_if<ListQueues>(&operation))
      return list_queues(committed_store(), *queues, {room.clock, room.wall_ms, true});
    if (const auto* topics = std::get_if<ListTopics>(&operation))
      return list_topics(committed_store(), *topics, {room.clock, room.wall_ms, true});
    Evaluation evaluation = write(std::move(operation));
    if (auto* change = std::get_if<Change>(&evaluation)) return std::move(change->answer);
    if (auto* same = std::get_if<Unchanged>(&evaluation)) return std::move(same->answer);
    return std::get<Failed>(evaluation);
  }
  template <class T>
  T must(Operation operation) {
    const Answer answer = ask(std::move(operation));
    const T* expected = std::get_if<T>(&answer);
    REQUIRE(expected != nullptr);
    return *expected;
  }
  const Store& committed_store() {
    commit();
    return store;
  }
  void pass(uint64_t ms) {
    room.clock += ms;
    room.wall_ms += ms;
    store.queues().ripen(room.clock);
  }
  void make(const std::string& queue, QueueConfig config) {
    must<QueueMade>(Box(MakeQueue{queue, std::move(config)}));
  }
  void send(const std::string& queue, std::vector<NewMessage> messages) {
    must<Sent>(Box(SendMessages{queue, std::move(messages)}));
  }
  std::vector<QueuedMessage> receive(const std::string& queue, uint32_t max = 1) {
    ReceiveMessages wanted;
    wanted.queue = queue;
    wanted.max = max;
    return must<Box<Received>>(Box(wanted))->messages;
  }
  void settle(const std::string& queue, Kind kind, const QueuedMessage& of, const std::string& reason = "",
              std::optional<uint64_t> ms = {}) {
    must<Settled>(Box(SettleMessages{queue, {{kind, of.id, of.receipt, ms, reason}}, false}));
  }
  QueueInfo info(const std::string& queue) {
    const Answer answer = read_queue(committed_store(), ReadQueue{queue}, {room.clock, room.wall_ms, true});
    return std::get<Box<QueueFound>>(answer)->queue;
  }
  // What stands of it, in the order in which it was sent.
  Lines content(const std::string& queue) {
    std::map<MessageId, std::string> found;
    for (const MessageState state :
         {MessageState::kReady, MessageState::kDelayed, MessageState::kInFlight, MessageState::kDead}) {
      const PeekMessages peek{queue, state, {}, limits::kListItemsMax};
      const Answer answer = peek_messages(committed_store(), peek, {room.clock, room.wall_ms, true});
      for (const QueuedMessage& one : std::get<Peeked>(answer).messages) {
        found[one.id] = fmt::format(
            "{} {} priority={} group={} type={} sent={} attempt={} left={} reason={} from={} attempts={}",
            one.body.view(), message_state_name(state), one.priority, one.group, one.type, one.sent_ms,
            one.attempt, one.left_ms, one.reason, one.dead_from, one.attempts);
      }
    }
    Lines lines;
    for (const auto& [id, line] : found) lines.push_back(line);
    return lines;
  }
  std::vector<std::pair<std::string, QueueConfig>> queues() {
    const auto list = must<QueueList>(ListQueues{"", "", limits::kListItemsMax});
    std::vector<std::pair<std::string, QueueConfig>> found;
    for (const QueueInfo& one : list.queues) found.emplace_back(one.name, one.config);
    return found;
  }
  // Grants one message after the other until none is ready, and deletes each.
  Lines drain(const std::string& queue) {
    Lines bodies;
    for (auto got = receive(queue); !got.empty(); got = receive(queue)) {
      bodies.emplace_back(got[0].body.view());
      settle(queue, Kind::kAck, got[0]);
    }
    return bodies;
  }
  Store backup() { return copy_of(committed_store(), room.clock); }
};

// Carries `count` requests of the restore to the leader. True: it has ended.
bool carry(Side& leader, BackupRestore& restore, size_t count = SIZE_MAX) {
  while (!restore.ended()) {
    std::vector<BackupRestore::Request> all;
    while (auto next = restore.next(Instant{})) all.push_back(std::move(*next));
    for (BackupRestore::Request& request : all) {
      if (count-- == 0) return false;
      Answer answer = leader.ask(std::move(request.operation));
      restore.on_reply(request.number, {std::move(answer), Epoch(1), leader.log.last().revision, {}},
                       Instant{});
    }
  }
  return true;
}

void restore_into(Side& leader, Store backup, bool replace = false) {
  BackupRestore restore(std::move(backup), replace, seconds(5));
  REQUIRE(carry(leader, restore));
  if (restore.failed()) FAIL(std::get<Failed>(restore.failed()->answer).detail);
  CHECK(restore.queues().written() == restore.queues().messages());
}

QueueConfig with_dead_letters(const std::string& queue) {
  QueueConfig config;
  config.dead_letter = queue;
  config.max_deliveries = 1;
  return config;
}

}  // namespace

TEST_CASE("restore of queues: a message has everything that it was sent with, and the time that was left") {
  Side from;
  NewMessage timed = message("timed", "", 7);
  timed.type = "text/plain";
  timed.max_age_ms = 10'000;
  NewMessage late = message("late");
  late.delay_ms = 3'000;
  from.send("q", {message("grouped", "g"), timed, late});
  from.pass(1'000);
  from.send("q", {message("newer", "g")});
  Side into;
  into.pass(700'000);
  restore_into(into, from.backup());
  CHECK(into.content("q") == from.content("q"));
  CHECK(into.content("q")[2] ==
        "late delayed priority=100 group= type= sent=1000000 attempt=0 left=2000 reason= from= attempts=0");
  into.pass(2'000);
  CHECK(into.info("q").delayed == 0);
  into.pass(6'999);
  CHECK(into.expire().empty());
  into.pass(1);
  CHECK_FALSE(into.expire().empty());
  CHECK(into.info("q").dead == 1);
  CHECK(into.store.queues().find("q")->ready.size() == 2);  // the other one of the group waits
}

TEST_CASE("restore of queues: what was in flight or refused is as if it had never been granted") {
  Side from;
  from.send("q", {message("held", "g"), message("refused"), message("waits"), message("behind", "g"),
                  message("over")});
  const auto got = from.receive("q", 4);
  REQUIRE(got.size() == 4);
  from.settle("q", Kind::kNack, got[1], "not now", 0);
  from.settle("q", Kind::kNack, got[2], "not now", 500);
  from.pass(30'000);
  CHECK(from.info("q").ready == 5);
  from.receive("q", 1);
  const auto line = [](const char* body, const char* state, int left) {
    return fmt::format(
        "{} {} priority=100 group={} type= sent=1000000 attempt=0 left={} reason= from= attempts=0", body,
        state, std::string(body) == "held" || std::string(body) == "behind" ? "g" : "", left);
  };
  Side into;
  restore_into(into, from.backup());
  CHECK(into.content("q") == Lines{line("held", "ready", 0), line("refused", "ready", 0),
                                   line("waits", "ready", 0), line("behind", "ready", 0),
                                   line("over", "ready", 0)});
  CHECK(into.store.size(Space::kDeliveries) == 0);
}

TEST_CASE("restore of queues: of a group, or in a queue of order fifo, nothing is delayed") {
  Side from;
  QueueConfig fifo;
  fifo.fifo = true;
  from.make("f", fifo);
  from.send("f", {message("a"), message("b")});
  from.send("q", {message("a", "g"), message("b", "g")});
  for (const char* queue : {"f", "q"}) from.settle(queue, Kind::kNack, from.receive(queue).at(0), "", 5'000);
  CHECK(from.receive("q").empty());
  Side into;
  restore_into(into, from.backup());
  CHECK(into.queues() == from.queues());
  for (const char* queue : {"f", "q"}) CHECK(into.drain(queue) == Lines{"a", "b"});
}

TEST_CASE("restore of queues: the dead are dead again, and dead letters tell where they come from") {
  Side from;
  from.make("graves", {});
  from.make("q", with_dead_letters("graves"));
  from.send("q", {message("moved"), message("twice")});
  from.send("r", {message("stays"), message("alive")});
  from.settle("q", Kind::kNack, from.receive("q").at(0), "broken");
  from.settle("q", Kind::kDead, from.receive("q").at(0), "spoiled");
  from.settle("r", Kind::kDead, from.receive("r").at(0), "hopeless");
  const auto letters = from.receive("graves", 2);
  REQUIRE(letters.size() == 2);
  from.settle("graves", Kind::kRelease, letters[0]);
  from.settle("graves", Kind::kDead, letters[1], "no use");
  Side into;
  restore_into(into, from.backup());
  for (const char* queue : {"graves", "q", "r"}) CHECK(into.content(queue) == from.content(queue));
  CHECK(into.content("graves")[1] ==
        "twice dead priority=100 group= type= sent=1000000 attempt=1 left=0 reason=no use from=q attempts=1");
  CHECK(into.must<MessagesMoved>(KickMessages{"r"}).count == 1);
  CHECK(into.drain("r") == Lines{"stays", "alive"});
  CHECK(into.queues() == from.queues());
}

TEST_CASE("restore of queues: the order is kept across batches, and by priority and group") {
  Side from;
  for (int i = 0; i < 3; ++i) {
    std::vector<NewMessage> many;
    for (int j = 0; j < 1000; ++j) {
      const std::string body = fmt::format("{}-{}", i, j);
      many.push_back(message(body, j % 7 == 0 ? fmt::format("g{}", j % 5) : "", static_cast<uint8_t>(j % 3)));
    }
    from.send("many", std::move(many));
    from.send("large", {message(fmt::format("{}", i) + std::string(700'000, 'x')),
                        message(fmt::format("{}", i) + std::string(2'000'000, 'y'))});
  }
  Side into;
  BackupRestore restore(from.backup(), false, seconds(5));
  REQUIRE(carry(into, restore));
  CHECK(restore.queues().queues() == 2);
  CHECK(restore.queues().written() == 3006);
  for (const char* queue : {"many", "large"}) CHECK(into.drain(queue) == from.drain(queue));
}

TEST_CASE("restore of queues: more than the bounds allow is restored, and nothing is discarded for it") {
  Side from;
  std::vector<NewMessage> aged(40, message("0123456789"));
  for (NewMessage& one : aged) one.max_age_ms = 1'000;
  from.send("messages", {message("ageless")});
  from.send("messages", aged);
  from.send("bytes", aged);
  from.send("old", aged);
  QueueConfig config;
  config.max_messages = 3;
  config.max_age_ms = 50;
  from.make("messages", config);
  config.discard_old = true;
  from.make("old", config);
  config.max_messages = 0;
  config.max_bytes = 30;
  from.make("bytes", config);
  from.pass(999);
  Side into;
  restore_into(into, from.backup());
  CHECK(into.queues() == from.queues());
  CHECK(into.info("messages").ready == 41);
  for (const char* queue : {"bytes", "old"}) CHECK(into.info(queue).ready == 40);
  CHECK(std::holds_alternative<Failed>(into.ask(Box(SendMessages{"messages", {message("new")}}))));
  into.send("old", {message("new")});
  CHECK(into.info("old").ready == 3);
  into.pass(1'000);
  into.expire();
  CHECK(into.info("messages").ready == 1);
  CHECK(into.info("messages").dead == 40);
}

TEST_CASE("restore of queues: what becomes too old meanwhile goes, where the old are to go") {
  Side from;
  NewMessage brief = message("brief");
  brief.max_age_ms = 1'000;
  from.send("old", {brief, brief});
  QueueConfig config;
  config.discard_old = true;
  from.make("old", config);
  Side into;
  BackupRestore restore(from.backup(), false, seconds(5));
  for (int turn = 0; turn < 100 && !restore.ended(); ++turn) {
    auto next = restore.next(Instant{});
    if (!next) continue;
    Answer answer = into.ask(std::move(next->operation));
    restore.on_reply(next->number, {std::move(answer), Epoch(1), into.log.last().revision, {}}, Instant{});
    into.pass(1'001);
    into.expire();
  }
  REQUIRE(restore.ended());
  CHECK(restore.queues().written() == 2);
  CHECK(into.info("old").ready == 0);
  CHECK(into.info("old").dead == 0);
}

TEST_CASE("restore of queues: what was purged or deleted and is not swept yet is in no queue") {
  Side from;
  from.send("purged", {message("a"), message("b")});
  from.send("deleted", {message("c")});
  from.must<MessagesPurged>(PurgeMessages{"purged", std::nullopt});
  from.must<QueueDeleted>(DeleteQueue{"deleted", false});
  from.send("purged", {message("new")});
  REQUIRE(from.committed_store().size(Space::kMessages) == 4);
  Side into;
  BackupRestore restore(from.backup(), false, seconds(5));
  CHECK(restore.queues().messages() == 1);
  REQUIRE(carry(into, restore));
  CHECK(into.queues().size() == 1);
  CHECK(into.drain("purged") == Lines{"new"});
}

TEST_CASE("restore of queues: a name of a send of before counts no more") {
  Side from;
  NewMessage once = message("once");
  once.dedup = "name";
  from.send("q", {once});
  Side into;
  restore_into(into, from.backup());
  CHECK(into.must<Sent>(Box(SendMessages{"q", {once}})).duplicates.empty());
}

TEST_CASE("restore of queues: into a cluster that has none, however it became so") {
  Side from;
  from.send("q", {message("a")});
  Side into;
  bool empty = true;
  SUBCASE("new") {}
  SUBCASE("a queue without messages") {
    into.make("r", {});
    empty = false;
  }
  SUBCASE("a queue that is not committed") {
    into.commit();
    into.write(Box(MakeQueue{"r", {}}));
    empty = false;
  }
  SUBCASE("a deleted queue whose messages are still there") {
    into.send("r", {message("old")});
    into.must<QueueDeleted>(DeleteQueue{"r", false});
    REQUIRE(into.committed_store().size(Space::kMessages) == 1);
  }
  SUBCASE("a key") {
    into.write(put("k", "v"));
    empty = false;
  }
  BackupRestore restore(from.backup(), false, seconds(5));
  REQUIRE(carry(into, restore));
  CHECK(restore.failed().has_value() != empty);
  if (empty) {
    CHECK(into.drain("q") == Lines{"a"});
  } else {
    CHECK(std::get<Failed>(restore.failed()->answer).code == ErrorCode::kNotEmpty);
    CHECK_FALSE(restore.may_have_changed());
  }
}

// Queues that the backup does not have, others of another order, and messages that die and go from queue to queue.
void spoil(Side& into) {
  into.make("graves", with_dead_letters("z-graves"));
  into.make("z-graves", {});
  QueueConfig dying = with_dead_letters("graves");
  dying.ttr_ms = 100;
  into.make("q", dying);
  into.make("fifo", dying);
  into.make("stranger", dying);
  for (const char* queue : {"q", "fifo", "stranger", "graves"}) {
    into.send(queue, {message("spoiled 1"), message("spoiled 2", "g"), message("spoiled 3")});
    into.receive(queue, 2);
  }
  into.write(put("stranger", "v"));
}

Store mixed_backup() {
  Side from;
  QueueConfig fifo = with_dead_letters("graves");
  fifo.fifo = true;
  fifo.max_messages = 1;
  from.make("graves", {});
  from.make("q", with_dead_letters("graves"));
  from.make("other", {});
  for (int i = 0; i < 2100; i += 700)
    from.send("q", std::vector<NewMessage>(700, message(fmt::format("q{}", i))));
  from.make("fifo", fifo);
  from.send("fifo", {message("d")});
  from.send("graves", {message("e")});
  from.settle("q", Kind::kDead, from.receive("q").at(0), "dead");
  from.write(put("key", "v"));
  return from.backup();
}

TEST_CASE("restore of queues: in place of what is there, from wherever a restore before was given up") {
  const Store backup = mixed_backup();
  const auto copy = [&] { return copy_of(backup, backup.clock()); };
  Side fresh;
  restore_into(fresh, copy());
  const auto is_restored = [&](Side& into) {
    if (into.queues() != fresh.queues()) return false;
    for (const auto& [name, config] : fresh.queues()) {
      if (into.content(name) != fresh.content(name)) return false;
    }
    return into.committed_store().size() == 1;
  };
  for (size_t given_up_after = 0;; ++given_up_after) {
    CAPTURE(given_up_after);
    Side into;
    spoil(into);
    BackupRestore first(copy(), true, seconds(5));
    const bool whole = carry(into, first, given_up_after);
    CHECK_FALSE(first.failed());
    CHECK(is_restored(into) == whole);
    if (whole) {
      CHECK(given_up_after > 15);
      CHECK(first.queues().written() == first.queues().messages());
      break;
    }
    into.pass(200);  // what was in flight is dead
    into.expire();
    restore_into(into, copy(), true);
    CHECK(is_restored(into));
  }
}

// What dies between two requests must not come to a queue that is empty already.
TEST_CASE("restore of queues: what dies while it is replaced goes nowhere") {
  const Store backup = mixed_backup();
  for (size_t dies_at = 0, requests = 1; dies_at < requests; ++dies_at) {
    CAPTURE(dies_at);
    Side into;
    spoil(into);
    BackupRestore restore(copy_of(backup, backup.clock()), true, seconds(5));
    for (requests = 0; !restore.ended(); ++requests) {
      if (requests == dies_at) {
        into.pass(200);
        into.expire();
      }
      auto next = restore.next(Instant{});
      REQUIRE(next);
      Answer answer = into.ask(std::move(next->operation));
      restore.on_reply(next->number, {std::move(answer), Epoch(1), into.log.last().revision, {}}, Instant{});
    }
    CHECK_FALSE(restore.failed());
    CHECK(into.info("graves").ready == 2);
    CHECK(into.info("fifo").ready == 1);
    CHECK(into.info("q").ready == 2099);
  }
}

TEST_CASE("restore of queues: a batch that is refused is not overtaken") {
  Side from;
  for (const char* queue : {"a", "b"}) {
    for (int i = 0; i < 3; ++i)
      from.send(queue, std::vector<NewMessage>(limits::kMessagesAtOnce, message(std::to_string(i))));
  }
  Side into;
  BackupRestore restore(from.backup(), false, seconds(60));
  Instant now{};
  size_t turn = 0;
  while (!restore.ended()) {
    now += milliseconds(100);
    std::vector<BackupRestore::Request> all;
    while (auto next = restore.next(now)) all.push_back(std::move(*next));
    REQUIRE(all.size() <= 2);
    for (BackupRestore::Request& request : all) {
      const bool taken = ++turn % 3 == 0;
      Answer answer = taken ? into.ask(std::move(request.operation))
                            : Failed{ErrorCode::kOverloaded, Outcome::kNotApplied, "too many"};
      restore.on_reply(request.number, {std::move(answer), Epoch(1), into.log.last().revision, {}}, now);
    }
  }
  CHECK_FALSE(restore.failed());
  for (const char* queue : {"a", "b"}) CHECK(into.content(queue) == from.content(queue));
}

}  // namespace kvd::queue_restore_test
