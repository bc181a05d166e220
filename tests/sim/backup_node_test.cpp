// What a restore is to the replica that leads: batches that want an empty cluster (WriteBatch.if_empty), beside keys
// that are committed, that are only in the tail of the log, and that this tail deletes; and one that replaces what is
// there, given up at any moment and begun anew.
#include <doctest.h>

#include <algorithm>
#include <map>

#include "core/replica/backup_restore.hpp"
#include "core/replica/terms.hpp"
#include "msg/limits.hpp"
#include "single_node_harness.hpp"

namespace kvd::sim::backup_node_test {
namespace {

const Member kA = member("a", 1);
const Member kB = member("b", 1);

// The node leads, and commits nothing that b, which is in sync, has not acknowledged.
struct Leader : SingleNodeHarness {
  Leader() {
    link = lead_with(*this, kB);
    acknowledge();
    REQUIRE(node().view().active);
  }
  void acknowledge() {  // everything
    push(LinkReceived{link, AppendAck{Epoch(1), node().view().last.revision, 0}});
    for (const Heartbeat& beat : sent<Heartbeat>(link))
      push(LinkReceived{link, HeartbeatAck{Epoch(1), beat.round, true, 0}});
  }
  void put(const std::string& key) { ask(PutKey{key, Bytes("v"), {}}); }
  void remove(const std::string& key) { ask(DeleteKey{key, {}}); }
  uint64_t restore(const std::vector<std::string>& keys, bool if_empty = true) {
    WriteBatch batch;
    for (const std::string& key : keys) batch.ops.push_back(BatchOp{key, Bytes("restored")});
    batch.if_empty = if_empty;
    return ask(std::move(batch));
  }
  // Nothing is answered before b has everything. Those of `numbers`, in their order.
  std::vector<Answer> answers_to(const std::vector<uint64_t>& numbers) {
    CHECK(replies().empty());
    acknowledge();
    const std::vector<NumberedAnswer> all = replies();
    std::vector<Answer> answers;
    for (const uint64_t number : numbers) {
      const auto it = std::find_if(
          all.begin(), all.end(), [&](const NumberedAnswer& reply) { return reply.id == RequestId(number); });
      REQUIRE(it != all.end());
      answers.push_back(it->answer);
    }
    return answers;
  }
  // With nothing appended, once what is there is committed.
  bool refuses() {
    replies();
    const LogPosition before = node().view().last;
    const uint64_t number = restore({"r"});
    if (node().view().last != before) return false;
    return is_refusal(answers_to({number})[0]);
  }
  static bool is_refusal(const Answer& answer) {
    const auto* failed = std::get_if<Failed>(&answer);
    return failed != nullptr && failed->code == ErrorCode::kNotEmpty &&
           failed->outcome == Outcome::kNotApplied;
  }
  // Appended, and acknowledged once b has it.
  bool takes() {
    replies();
    const uint64_t number = restore({"r"});
    return std::holds_alternative<BatchWritten>(answers_to({number})[0]);
  }
  LinkId link;
};

}  // namespace

TEST_CASE("a batch for an empty cluster is taken by one that is empty, however it became so") {
  Leader a;
  SUBCASE("new") {}
  SUBCASE("all keys are deleted") {
    a.put("k");
    a.remove("k");
    a.acknowledge();
  }
  SUBCASE("the tail deletes the only key") {
    a.put("k");
    a.acknowledge();
    a.remove("k");
  }
  SUBCASE("the tail makes a key, and deletes it together with the committed ones") {
    a.put("k1");
    a.put("k2");
    a.acknowledge();
    a.put("k3");
    a.ask(DeletePrefix{"k"});
  }
  SUBCASE("what idempotency keys led to is remembered") {
    a.ask_once("once", PutKey{"k", Bytes("v"), {}});
    a.ask_once("twice", DeleteKey{"k", {}});
  }
  CHECK(a.takes());
  CHECK(a.refuses());
}

TEST_CASE("a batch for an empty cluster is refused when there is a key, or will be") {
  Leader a;
  SUBCASE("committed") {
    a.put("k");
    a.acknowledge();
  }
  SUBCASE("in the tail alone") { a.put("k"); }
  SUBCASE("or a queue, in the tail alone") { a.ask(Box(MakeQueue{"q", {}})); }
  SUBCASE("overwritten in the tail") {
    a.put("k");
    a.acknowledge();
    a.put("k");
  }
  SUBCASE("deleted and made again in the tail") {
    a.put("k");
    a.acknowledge();
    a.remove("k");
    a.put("k");
  }
  SUBCASE("beside one that the tail deletes") {
    a.put("k1");
    a.put("k2");
    a.acknowledge();
    a.remove("k1");
  }
  SUBCASE("in the tail, beside one that the tail deletes") {
    a.put("k1");
    a.acknowledge();
    a.remove("k1");
    a.put("k2");
  }
  CHECK(a.refuses());
  a.acknowledge();
  CHECK(a.refuses());
}

TEST_CASE("an empty batch for an empty cluster is done, and refused where there are keys") {
  Leader a;
  auto answer = [&] {
    a.replies();
    return a.answers_to({a.restore({})})[0];
  };
  CHECK(std::holds_alternative<BatchWritten>(answer()));
  a.put("k");
  CHECK(Leader::is_refusal(answer()));
}

// As BackupRestore sends them: the first one wants an empty cluster, and once it is written the others come at once.
TEST_CASE("a restore in several batches keeps another one out from its first batch on") {
  Leader a;
  const uint64_t first = a.restore({"k1", "k2"});
  const uint64_t other = a.restore({"r"});  // another one, which began at the same time
  const std::vector<Answer> begun = a.answers_to({first, other});
  CHECK(std::holds_alternative<BatchWritten>(begun[0]));
  CHECK(Leader::is_refusal(begun[1]));
  CHECK(a.refuses());
  std::vector<uint64_t> batches;
  for (const char* key : {"k3", "k4", "k5"}) batches.push_back(a.restore({key}, false));
  batches.push_back(a.restore({"r"}));
  std::vector<Answer> answers = a.answers_to(batches);
  CHECK(Leader::is_refusal(answers.back()));
  answers.pop_back();
  for (const Answer& answer : answers) CHECK(std::holds_alternative<BatchWritten>(answer));
  a.ask(ListKeys{"", "", 10, true}, ReadMode::kLocal);
  CHECK(std::get<Listing>(a.replies().at(0).answer).items.size() == 5);
}

// Carries `count` requests of the restore to the node, which answers once b has what they wrote; of the last ones b
// may still have nothing. True: it has ended.
bool carry(Leader& a, BackupRestore& restore, size_t count) {
  std::map<uint64_t, uint32_t> numbers;
  while (!restore.ended()) {
    while (auto next = restore.next(a.now())) {
      if (count-- == 0) return false;
      numbers[a.ask(std::move(next->operation), next->read)] = next->number;
    }
    a.acknowledge();
    for (const NumberedAnswer& reply : a.replies()) {
      if (auto found = numbers.find(reply.id.value); found != numbers.end())
        restore.on_reply(found->second, reply, a.now());
    }
  }
  return true;
}

constexpr int kRestored = 5000;

Store restored_store() {
  Store store;
  for (int i = 0; i < kRestored; ++i)
    store.put(Record("k" + std::to_string(10'000 + i), "restored", {Revision(1), Revision(1), 1}));
  return store;
}

// Some keys that the backup has, and others before, between and behind them.
void spoil(Leader& a) {
  for (int i = 0; i < 3000; i += 500) {
    WriteBatch batch;
    for (int j = i; j < i + 500; ++j) {
      const std::string number = std::to_string(10'000 + j);
      for (const std::string& key : {"a" + number, (j % 2 == 0 ? "k" : "k1x") + number})
        batch.ops.push_back(BatchOp{key, Bytes("spoiled")});
    }
    a.ask(std::move(batch));
    a.acknowledge();
  }
}

bool is_restored(Leader& a) {
  a.replies();
  a.ask(ListKeys{"", "", limits::kListItemsMax, false}, ReadMode::kLocal);
  const Listing listing = std::get<Listing>(a.replies().at(0).answer);
  return !listing.more && listing.items.size() == kRestored &&
         std::all_of(listing.items.begin(), listing.items.end(),
                     [](const Record& item) { return item.value() == "restored"; });
}

TEST_CASE("a restore that replaces leads to its end from wherever one before was given up") {
  for (size_t given_up_after = 0;; ++given_up_after) {
    CAPTURE(given_up_after);
    Leader a;
    spoil(a);
    BackupRestore first(restored_store(), true, seconds(5));
    const bool whole = carry(a, first, given_up_after);
    CHECK(is_restored(a) == whole);
    if (whole) {
      CHECK(given_up_after > 10);
      CHECK_FALSE(first.failed());
      CHECK(first.written() == kRestored);
      CHECK(first.deleted() == 4500);
      break;
    }
    // What the first one wrote last is not committed yet.
    BackupRestore second(restored_store(), true, seconds(5));
    REQUIRE(carry(a, second, SIZE_MAX));
    CHECK_FALSE(second.failed());
    CHECK(is_restored(a));
  }
}

TEST_CASE("a restore gives keys the time that was left, and leaves out those that live by a lease") {
  const auto item = [](const char* key) { return Record(key, "v", {Revision(1), Revision(1), 1}); };
  Store backup;
  for (const char* key : {"due", "forever", "leased", "timed"}) backup.put(item(key));
  backup.put(term_record("due", {9'000, 500, 0}, Revision(1)));
  backup.put(term_record("leased", {0, 0, 7}, Revision(1)));
  backup.put(term_record("timed", {13'000, 60'000, 0}, Revision(1)));
  backup.reach_clock(10'000);
  Leader a;
  for (const char* key : {"leased", "forever", "timed"}) a.put(key);
  a.acknowledge();
  a.replies();
  BackupRestore restore(std::move(backup), true, seconds(5));
  CHECK(restore.keys() == 3);
  CHECK(restore.left_out() == 1);
  REQUIRE(carry(a, restore, SIZE_MAX));
  CHECK_FALSE(restore.failed());
  CHECK(restore.written() == 3);
  CHECK(restore.deleted() == 1);
  const auto read = [&a](const char* key) {
    a.ask(ReadKey{key}, ReadMode::kLocal);
    return a.replies().back().answer;
  };
  CHECK(std::holds_alternative<KeyMissing>(read("leased")));
  CHECK_FALSE(std::get<KeyFound>(read("forever")).life.left_ms);
  const auto left_of = [&](const char* key) {
    const std::optional<uint64_t> left = std::get<KeyFound>(read(key)).life.left_ms;
    REQUIRE(left);
    return *left;
  };
  CHECK(left_of("timed") > 2'900);
  CHECK(left_of("timed") <= 3'000);
  CHECK(left_of("due") <= limits::kTtlMsMin);
}

const Failed kTooMany{ErrorCode::kOverloaded, Outcome::kNotApplied, "too many"};

// That there are no keys, no queues and no topics.
void find_nothing(BackupRestore& restore, Instant now) {
  const auto listing = restore.next(now);
  REQUIRE(listing);
  restore.on_reply(listing->number, {Listing{}, Epoch(1), Revision(1), {}}, now);
  const auto queues = restore.next(now);
  REQUIRE(queues);
  restore.on_reply(queues->number, {QueueList{}, Epoch(1), Revision(1), {}}, now);
  const auto topics = restore.next(now);
  REQUIRE(topics);
  restore.on_reply(topics->number, {TopicList{}, Epoch(1), Revision(1), {}}, now);
}

TEST_CASE("a restore sends again what was refused since too many wait, after a pause and not for ever") {
  Leader a;
  BackupRestore restore(restored_store(), true, seconds(5));
  find_nothing(restore, a.now());
  const auto batch = restore.next(a.now());
  REQUIRE(batch);
  const StoreAnswer refused{kTooMany, Epoch(1), Revision(0), {}};
  restore.on_reply(batch->number, refused, a.now());
  CHECK_FALSE(restore.failed());
  CHECK_FALSE(restore.next(a.now()));
  SUBCASE("until it is taken") {
    const auto again = restore.next(a.now() + milliseconds(100));
    REQUIRE(again);
    CHECK(again->number == batch->number);
    CHECK(std::get<WriteBatch>(again->operation).ops.size() ==
          std::get<WriteBatch>(batch->operation).ops.size());
    restore.on_reply(again->number, {BatchWritten{}, Epoch(1), Revision(2), {}}, a.now());
    CHECK(carry(a, restore, SIZE_MAX));
    CHECK_FALSE(restore.failed());
    CHECK(restore.written() == kRestored);
  }
  SUBCASE("or its time is over") {
    for (int i = 1; i <= 200 && !restore.failed(); ++i) {
      const Instant then = a.now() + i * milliseconds(50);
      if (auto again = restore.next(then)) restore.on_reply(again->number, refused, then);
    }
    CHECK(restore.failed());
    CHECK(restore.ended());
    CHECK_FALSE(restore.may_have_changed());
  }
}

TEST_CASE("a restore outlasts any number of refusals as long as something of it is taken") {
  Leader a;
  BackupRestore restore(restored_store(), true, seconds(2));
  find_nothing(restore, a.now());
  Instant now = a.now();
  for (int turn = 0; !restore.ended();
       ++turn) {  // of each request nine are refused, and one is taken every second
    now += milliseconds(100);
    while (auto next = restore.next(now)) {
      const bool taken = turn % 10 == 9;
      const Answer answer = taken ? Answer(BatchWritten{}) : Answer(kTooMany);
      restore.on_reply(next->number, {answer, Epoch(1), Revision(2), {}}, now);
      if (taken) break;
    }
  }
  CHECK_FALSE(restore.failed());
  CHECK(restore.written() == kRestored);
}

TEST_CASE("a restore may have changed something as soon as one of its requests has an unknown outcome") {
  Leader a;
  BackupRestore restore(restored_store(), true, Duration(0));
  Listing all;
  for (int i = 0; i < 4000; ++i)
    all.items.push_back(Record("a" + std::to_string(10'000 + i), "", {Revision(1), Revision(1), 1}));
  const auto listing = restore.next(a.now());
  REQUIRE(listing);
  restore.on_reply(listing->number, {std::move(all), Epoch(1), Revision(1), {}}, a.now());
  std::vector<uint32_t> deletions;
  while (auto next = restore.next(a.now())) deletions.push_back(next->number);
  REQUIRE(deletions.size() == 4);
  restore.on_reply(deletions.back(), {kTooMany, Epoch(1), {}, {}}, a.now());
  deletions.pop_back();
  for (uint32_t number : deletions)
    restore.on_reply(number, {Failed{ErrorCode::kSteppedDown, Outcome::kUnknown, ""}, Epoch(1), {}, {}},
                     a.now());
  CHECK(restore.ended());
  CHECK(restore.may_have_changed());
}

}  // namespace kvd::sim::backup_node_test
