// What writes lead to (write_evaluator.hpp), and above all those that meet what the leader's log has not committed yet.
// A log and a store are all that it takes: nobody leads, and nothing is sent.
#include "core/replica/write_evaluator.hpp"

#include <doctest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/replica/fences.hpp"
#include "evaluator_fixture.hpp"
#include "msg/limits.hpp"

namespace kvd::evaluator_test {
namespace {

Condition absent() {
  Condition condition;
  condition.if_none_match.emplace().any = true;
  return condition;
}

Condition at(uint64_t revision) {
  Condition condition;
  condition.if_match.emplace().revisions = {Revision(revision)};
  return condition;
}

WriteBatch batch(std::vector<std::string> put, bool if_empty = false) {
  WriteBatch all;
  for (std::string& key : put) all.ops.push_back({std::move(key), Bytes(std::string("v"))});
  all.if_empty = if_empty;
  return all;
}

}  // namespace

TEST_CASE("a condition is held against what is not committed yet") {
  Leader leader;
  CHECK(changed<KeyWritten>(leader.write(put("k", "one", absent())))->created);
  CHECK(unchanged<ConditionFailed>(leader.write(put("k", "two", absent())))->current == Revision(1));
  CHECK_FALSE(changed<KeyWritten>(leader.write(put("k", "two", at(1))))->created);
  CHECK(unchanged<ConditionFailed>(leader.write(put("k", "three", at(1))))->current == Revision(2));
  CHECK(leader.store.size() == 0);
  leader.commit();
  CHECK(unchanged<ConditionFailed>(leader.write(put("k", "three", at(1))))->current == Revision(2));
}

TEST_CASE("a key that the tail deletes is not there, and comes anew") {
  Leader leader;
  leader.write(put("k", "one"));
  leader.commit();
  CHECK(changed<KeyDeleted>(leader.write(DeleteKey{"k", {}})));
  CHECK(unchanged<KeyAbsent>(leader.write(DeleteKey{"k", {}})));
  CHECK_FALSE(unchanged<ConditionFailed>(leader.write(DeleteKey{"k", at(1)}))->current);
  const auto again = leader.write(put("k", "two"));
  CHECK(changed<KeyWritten>(again)->created);
  CHECK(effects(again).front().created() == Revision(3));
  CHECK(effects(again).front().version() == 1);
  CHECK(leader.store.find("k") != nullptr);
}

TEST_CASE("an older effect that is committed does not hide a newer one of the same key") {
  Leader leader;
  leader.write(put("k", "one"));
  leader.write(put("k", "two"));
  const Entry& first = *leader.log.at(Revision(1));
  leader.evaluator->note_committed(first);
  leader.store.apply(first);
  CHECK(unchanged<ConditionFailed>(leader.write(put("k", "three", at(1))))->current == Revision(2));
}

TEST_CASE("who takes over evaluates against all that its log holds") {
  Leader leader;
  leader.write(put("k", "one"), "once", Fence{"lock", 5});
  leader.take_over();
  CHECK(unchanged<ConditionFailed>(leader.write(put("k", "two", absent())))->current == Revision(1));
  CHECK(unchanged<Box<Fenced>>(leader.write(put("k", "two"), "", Fence{"lock", 4})));
  CHECK(unchanged<KeyWritten>(leader.write(put("k", "one"), "once", Fence{"lock", 5}))->created);
}

TEST_CASE("a deletion by prefix sees the tail over the store, in the order of the keys") {
  Leader leader;
  leader.write(batch({"a", "p/1", "p/3", "p/5"}));
  leader.commit();
  leader.write(DeleteKey{"p/3", {}});
  leader.write(batch({"p/2", "p/5"}));
  const auto page = leader.write(DeletePrefix{"p/", 2});
  CHECK(changed<PrefixDeleted>(page)->count == 2);
  CHECK(effects(page)[0].key() == "p/1");
  CHECK(effects(page)[1].key() == "p/2");
  CHECK(changed<PrefixDeleted>(leader.write(DeletePrefix{"p/", 0}))->count == 1);
  CHECK(unchanged<PrefixDeleted>(leader.write(DeletePrefix{"p/", 0}))->count == 0);
}

TEST_CASE("of a batch only the last effect on each key is left") {
  Leader leader;
  leader.write(put("old", "v"));
  WriteBatch both;
  both.ops.push_back({"new", Bytes(std::string("first"))});
  both.ops.push_back({"new", Bytes(std::string("last"))});
  both.ops.push_back({"old", std::nullopt});
  both.ops.push_back({"old", Bytes(std::string("anew"))});
  both.ops.push_back({"never", Bytes(std::string("v"))});
  both.ops.push_back({"never", std::nullopt});
  const auto done = leader.write(both);
  REQUIRE(effects(done).size() == 2);
  CHECK(effects(done)[0].value() == "last");
  CHECK(effects(done)[1].created() == Revision(2));
  WriteBatch nothing;
  nothing.ops.push_back({"never", std::nullopt});
  CHECK(unchanged<BatchWritten>(leader.write(nothing)));
}

TEST_CASE("a token counts before its write is committed, and so does one of a write that changes no key") {
  Leader leader;
  leader.write(put("k", "one"), "", Fence{"lock", 2});
  CHECK((*unchanged<Box<Fenced>>(leader.write(put("k", "late"), "", Fence{"lock", 1})))->current == 2);
  CHECK(changed<KeyWritten>(leader.write(put("k", "same"), "", Fence{"lock", 2})));
  CHECK(changed<KeyWritten>(leader.write(put("k", "other"), "", Fence{"another", 1})));

  const auto nothing = leader.write(DeleteKey{"absent", {}}, "", Fence{"lock", 3});
  CHECK(changed<KeyAbsent>(nothing));
  REQUIRE(effects(nothing).size() == 1);
  CHECK(token_of(&effects(nothing).front()) == 3);
  CHECK(unchanged<Box<Fenced>>(leader.write(put("k", "late"), "", Fence{"lock", 2})));
  CHECK(unchanged<KeyAbsent>(leader.write(DeleteKey{"absent", {}}, "", Fence{"lock", 3})));
}

TEST_CASE("what is refused leaves no token behind") {
  Leader leader;
  leader.room.memory_max = 0;
  CHECK(refused(leader.write(put("k", "v"), "", Fence{"lock", 9})) == ErrorCode::kMemoryFull);
  leader.room = {1'000'000, true};
  CHECK(refused(leader.write(put("k", "v"), "", Fence{"lock", 9})) == ErrorCode::kDiskFull);
  leader.room.disk_low = false;
  CHECK(changed<KeyWritten>(leader.write(put("k", "v"), "", Fence{"lock", 1})));
}

TEST_CASE("without room smaller values and deletions are taken, and what waits to be committed counts") {
  Leader leader;
  leader.write(put("k", std::string(100, 'x')));
  CHECK(leader.store.bytes() == 0);
  leader.room.memory_max = 300;
  CHECK(refused(leader.write(put("other", std::string(100, 'x')))) == ErrorCode::kMemoryFull);
  leader.commit();
  leader.room = {0, true};
  CHECK(changed<KeyWritten>(leader.write(put("k", "small"))));
  CHECK(changed<KeyDeleted>(leader.write(DeleteKey{"k", {}})));
}

TEST_CASE("a retry gets the first answer, of a write that is committed and of one that is not") {
  Leader leader;
  leader.write(put("k", "one"), "once");
  for (int round = 0; round < 2; ++round) {
    const auto again = leader.write(put("k", "one"), "once");
    CHECK(unchanged<KeyWritten>(again)->created);
    CHECK(std::get<Unchanged>(again).about == Revision(1));
    CHECK(refused(leader.write(put("k", "two"), "once")) == ErrorCode::kKeyReused);
    CHECK(refused(leader.write(put("k", "one"), "once", Fence{"lock", 1})) == ErrorCode::kKeyReused);
    leader.commit();
  }
  CHECK(leader.log.last().revision == Revision(1));
}

TEST_CASE("what changes nothing is remembered with an idempotency key, also that a write was fenced off") {
  Leader leader;
  CHECK(changed<KeyAbsent>(leader.write(DeleteKey{"k", {}}, "first")));
  leader.write(put("k", "one"), "", Fence{"lock", 2});
  CHECK(unchanged<KeyAbsent>(leader.write(DeleteKey{"k", {}}, "first")));
  CHECK(changed<Box<Fenced>>(leader.write(put("k", "late"), "second", Fence{"lock", 1})));
  CHECK(unchanged<Box<Fenced>>(leader.write(put("k", "late"), "second", Fence{"lock", 1})));
}

TEST_CASE("answers are forgotten once, and who comes too late is not served again") {
  Leader leader;
  leader.room.memory_max = 1'000'000'000;
  const size_t full = limits::kRememberedAnswers + limits::kForgottenBatch;
  for (size_t i = 0; i < full; ++i) leader.write(put("k", "v"), "key-" + std::to_string(i));
  leader.commit();
  CHECK(effects(leader.write(put("k", "v"), "forgets")).size() > limits::kForgottenBatch);
  CHECK(effects(leader.write(put("k", "v"), "no more")).size() == 2);
  CHECK(unchanged<KeyWritten>(leader.write(put("k", "v"), "key-0")));  // as long as that is not committed
  leader.commit();
  CHECK(refused(leader.write(put("k", "v"), "key-0")) == ErrorCode::kKeyEvicted);
  CHECK(unchanged<KeyWritten>(leader.write(put("k", "v"), "key-" + std::to_string(full - 1))));
}

TEST_CASE("keys whose answers are forgotten are at last forgotten, too, the oldest first") {
  Leader leader;
  leader.room.memory_max = 1'000'000'000;
  const size_t all = limits::kRememberedAnswers + (limits::kForgottenBatches + 2) * limits::kForgottenBatch;
  for (size_t i = 0; i < all; ++i) {
    leader.write(put("k", "v"), "key-" + std::to_string(i));
    if (i % limits::kForgottenBatch == 0) leader.commit();
  }
  leader.commit();
  CHECK(changed<KeyWritten>(leader.write(put("k", "v"), "key-0")));
  CHECK(refused(leader.write(put("k", "v"), "key-" + std::to_string(2 * limits::kForgottenBatch))) ==
        ErrorCode::kKeyEvicted);
}

TEST_CASE("a restore into an empty cluster looks at the tail as well") {
  Leader leader;
  leader.write(put("k", "v"));
  CHECK(refused(leader.write(batch({"a"}, true))) == ErrorCode::kNotEmpty);
  leader.commit();
  CHECK(refused(leader.write(batch({"a"}, true))) == ErrorCode::kNotEmpty);
  leader.write(DeleteKey{"k", {}});
  WriteBatch restored = batch({"a"}, true);
  restored.fences = {Fence{"lock", 7}, Fence{"lock", 8}, Fence{"other", 1}};
  const auto done = leader.write(restored);
  CHECK(changed<BatchWritten>(done));
  CHECK(effects(done).size() == 3);
  CHECK(unchanged<Box<Fenced>>(leader.write(put("a", "late"), "", Fence{"lock", 7})));
}

}  // namespace kvd::evaluator_test
