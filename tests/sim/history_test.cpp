// How whole requests become operations on single keys, and that a wrong story of several clients is found: the first
// half of what the linearizability checker stands on.
#include "judge/history.hpp"

#include <doctest.h>

#include "history_fixture.hpp"
#include "judge/committed.hpp"

namespace kvd::sim {
namespace {

KeyFound found(uint64_t value, uint64_t revision) {
  return KeyFound{Record("a/0", make_value(value, 0), {{}, Revision(revision)})};
}

bool is_wrong(const History& history) {
  int undecided = 0;
  const bool wrong = history.check({"a/0", "b/1"}, 100'000, undecided).has_value();
  CHECK(undecided == 0);
  return wrong;
}

Bytes value(uint64_t number) { return Bytes(make_value(number, 0)); }

}  // namespace

TEST_CASE("a stale read is found, a fresh one passes") {
  History history;
  hear(history, ask(history, PutKey{"a/0", value(1), {}}), KeyWritten{true}, 1);
  hear(history, ask(history, PutKey{"a/0", value(2), {}}), KeyWritten{false}, 2);
  SUBCASE("fresh") {
    hear(history, ask(history, ReadKey{"a/0"}), found(2, 2), 2);
    CHECK_FALSE(is_wrong(history));
  }
  SUBCASE("stale") {
    hear(history, ask(history, ReadKey{"a/0"}), found(1, 1), 2);
    CHECK(is_wrong(history));
  }
  SUBCASE("stale in a list") {
    hear(history, ask(history, ListKeys{}), Listing{{found(1, 1).item}, false, true}, 2);
    CHECK(is_wrong(history));
  }
}

TEST_CASE("batches and prefix deletes count for each key") {
  History history;
  WriteBatch batch;
  batch.ops.push_back({"a/0", value(1)});
  batch.ops.push_back({"b/1", value(2)});
  hear(history, ask(history, batch), BatchWritten{}, 1);
  hear(history, ask(history, DeletePrefix{"a/"}), PrefixDeleted{1}, 2);
  SUBCASE("gone") {
    hear(history, ask(history, ReadKey{"a/0"}), KeyMissing{}, 2);
    CHECK_FALSE(is_wrong(history));
  }
  SUBCASE("still there") {
    hear(history, ask(history, ReadKey{"a/0"}), found(1, 1), 2);
    CHECK(is_wrong(history));
  }
  SUBCASE("too much gone") {
    hear(history, ask(history, ReadKey{"b/1"}), KeyMissing{}, 2);
    CHECK(is_wrong(history));
  }
}

TEST_CASE("a full page of a deletion may have left a key, one that is not full has not") {
  History history;
  hear(history, ask(history, PutKey{"a/0", value(1), {}}), KeyWritten{true}, 1);
  SUBCASE("full") {
    hear(history, ask(history, DeletePrefix{"a/", 1}), PrefixDeleted{1}, 2);
    SUBCASE("left") { hear(history, ask(history, ReadKey{"a/0"}), found(1, 1), 2); }
    SUBCASE("gone") { hear(history, ask(history, ReadKey{"a/0"}), KeyMissing{}, 2); }
    CHECK_FALSE(is_wrong(history));
  }
  SUBCASE("not full") {
    hear(history, ask(history, DeletePrefix{"a/", 2}), PrefixDeleted{1}, 2);
    hear(history, ask(history, ReadKey{"a/0"}), found(1, 1), 2);
    CHECK(is_wrong(history));
  }
}

TEST_CASE("conditions count with all their tags") {
  History history;
  hear(history, ask(history, PutKey{"a/0", value(1), {}}), KeyWritten{true}, 1);
  Condition condition;
  SUBCASE("any, and there is one") { condition.if_match = EntityTags{true, {}}; }
  SUBCASE("the second of two") { condition.if_match = EntityTags{false, {Revision(7), Revision(1)}}; }
  SUBCASE("none of two") { condition.if_none_match = EntityTags{false, {Revision(7), Revision(8)}}; }
  const size_t write = ask(history, PutKey{"a/0", value(2), condition});
  SUBCASE("done") {
    hear(history, write, KeyWritten{false}, 2);
    CHECK_FALSE(is_wrong(history));
  }
  SUBCASE("refused") {
    hear(history, write, ConditionFailed{Revision(1)}, 1);
    CHECK(is_wrong(history));
  }
}

TEST_CASE(
    "a given-up attempt may be done again in a later lineage, which does not remember the answered one") {
  History history;
  const size_t write = ask(history, PutKey{"a/0", value(1), {}});
  hear(history, write, KeyWritten{true}, 1);
  const uint64_t later = lineage_base(Lineage(1)).value + 1;
  hear(history, ask(history, ReadKey{"a/0"}), found(1, later), later);
  CHECK(is_wrong(history));
  SUBCASE("by its client") { history.operation(write).repeated = true; }
  SUBCASE("or by the servers, as it has a key") { history.operation(write).request.idempotency_key = "once"; }
  CHECK_FALSE(is_wrong(history));
}

TEST_CASE("a write that is repeated has a revision of its own in each lineage that it was done in") {
  History history;
  const size_t write = ask(history, PutKey{"a/0", value(1), {}});
  history.operation(write).repeated = true;
  EntityTags tags;
  SUBCASE("a condition names the earlier one") {
    tags.revisions = {Revision(7)};
    hear(history, ask(history, PutKey{"a/0", value(2), {{}, tags}}), ConditionFailed{Revision(7)}, 7);
  }
  SUBCASE("a condition fails on the earlier one") {
    tags.revisions = {Revision(5)};
    hear(history, ask(history, PutKey{"a/0", value(2), {tags, {}}}), ConditionFailed{Revision(7)}, 7);
  }
  const uint64_t later = lineage_base(Lineage(1)).value + 1;
  hear(history, write, KeyWritten{true}, later);
  CHECK_FALSE(is_wrong(history));
}

TEST_CASE("certainly not done is no operation, unknown is an open one") {
  History history;
  const size_t write = ask(history, PutKey{"a/0", value(1), {}});
  Failed failed;
  SUBCASE("certainly not, and seen all the same") {
    failed.outcome = Outcome::kNotApplied;
    hear(history, write, failed, 0);
    hear(history, ask(history, ReadKey{"a/0"}), found(1, 1), 1);
    CHECK(is_wrong(history));
  }
  SUBCASE("unknown, and seen") {
    failed.outcome = Outcome::kUnknown;
    hear(history, write, failed, 0);
    hear(history, ask(history, ReadKey{"a/0"}), found(1, 1), 1);
    CHECK_FALSE(is_wrong(history));
  }
  SUBCASE("never answered, and not seen") {
    hear(history, ask(history, ReadKey{"a/0"}), KeyMissing{}, 0);
    CHECK_FALSE(is_wrong(history));
  }
}

TEST_CASE("a write with a smaller token is not acknowledged after one with a larger one was") {
  History history;
  const DeleteKey nothing{"c/2", {}};
  const size_t early = ask(history, nothing, 1);
  hear(history, ask(history, nothing, 2), KeyAbsent{}, 1);
  hear(history, ask(history, nothing, 4), Failed{ErrorCode::kTimedOut, Outcome::kUnknown, ""}, 1);
  hear(history, ask(history, nothing, 2), KeyAbsent{}, 1);
  hear(history, ask(history, nothing, 1, "other lock"), KeyAbsent{}, 1);
  hear(history, ask(history, nothing), KeyAbsent{}, 1);
  hear(history, early, KeyAbsent{}, 1);  // it may have been done first
  const size_t late = ask(history, nothing, 1);
  SUBCASE("never answered") { CHECK_FALSE(is_wrong(history)); }
  SUBCASE("fenced off") {
    hear(history, late, Box(Fenced{Fence{"lock", 1}, 2}), 1);
    CHECK_FALSE(is_wrong(history));
  }
  SUBCASE("acknowledged") {
    hear(history, late, KeyAbsent{}, 1);
    CHECK(is_wrong(history));
  }
  SUBCASE("acknowledged in a later lineage") {
    hear(history, late, KeyAbsent{}, lineage_base(Lineage(1)).value);
    CHECK_FALSE(is_wrong(history));
  }
  SUBCASE("acknowledged after a smaller one was again") {
    hear(history, ask(history, nothing, 3), KeyAbsent{}, 1);
    hear(history, ask(history, nothing, 2), KeyAbsent{}, 1);
    CHECK(is_wrong(history));
  }
}

TEST_CASE("a write that was fenced off is not done") {
  History history;
  const size_t write = ask(history, PutKey{"a/0", value(1), {}}, 1);
  hear(history, write, Box(Fenced{Fence{"lock", 1}, 2}), 1);
  hear(history, ask(history, ReadKey{"a/0"}), KeyMissing{}, 1);
  CHECK_FALSE(is_wrong(history));
  hear(history, ask(history, ReadKey{"a/0"}), found(1, 1), 1);
  CHECK(is_wrong(history));
}

TEST_CASE("lineages are judged one by one") {
  History history;
  hear(history, ask(history, PutKey{"a/0", value(1), {}}), KeyWritten{true}, 1);
  const uint64_t next_lineage = lineage_base(Lineage(1)).value;
  hear(history, ask(history, ReadKey{"a/0"}), KeyMissing{}, next_lineage);
  CHECK_FALSE(is_wrong(history));
  hear(history, ask(history, ReadKey{"a/0"}), KeyMissing{}, 1);
  CHECK(is_wrong(history));
}

}  // namespace kvd::sim
