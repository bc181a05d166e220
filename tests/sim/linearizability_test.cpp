// The linearizability checker against histories whose verdict is known: right ones it must let pass, wrong
// ones it must refuse. Without the latter half a checker that always says yes would pass.
#include "judge/linearizability.hpp"

#include <doctest.h>

namespace kvd::sim::linearizability_test {
namespace {

constexpr uint64_t kSteps = 100'000;

KeyOperation put(uint64_t called, uint64_t returned, uint64_t value) {
  KeyOperation operation;
  operation.kind = KeyOperation::kWrite;
  operation.called = called;
  operation.returned = returned;
  operation.value = value;
  return operation;
}

KeyOperation read(uint64_t called, uint64_t returned, uint64_t value) {
  KeyOperation operation;
  operation.called = called;
  operation.returned = returned;
  operation.value = value;
  return operation;
}

Linearizable verdict(const std::vector<KeyOperation>& operations, const RevisionOfValue& revisions = {}) {
  return check_key(operations, revisions, kSteps);
}

}  // namespace

TEST_CASE("one after another") {
  CHECK(verdict({put(1, 2, 7), read(3, 4, 7)}) == Linearizable::kYes);
  CHECK(verdict({read(1, 2, 0), put(3, 4, 7)}) == Linearizable::kYes);
  CHECK(verdict({put(1, 2, 7), read(3, 4, 0)}) == Linearizable::kNo);
  CHECK(verdict({put(1, 2, 7), put(3, 4, 8), read(5, 6, 7)}) == Linearizable::kNo);
  CHECK(verdict({read(1, 2, 9)}) == Linearizable::kNo);
}

TEST_CASE("concurrent operations may take either order, and the same one for everybody") {
  CHECK(verdict({put(1, 10, 7), put(2, 9, 8), read(11, 12, 7)}) == Linearizable::kYes);
  CHECK(verdict({put(1, 10, 7), put(2, 9, 8), read(11, 12, 8)}) == Linearizable::kYes);
  CHECK(verdict({put(1, 10, 7), put(2, 9, 8), read(11, 12, 8), read(13, 14, 7)}) == Linearizable::kNo);
  // A read that began before a write ended may miss it; once somebody has seen it, nobody may miss it again.
  CHECK(verdict({put(1, 10, 7), read(2, 3, 7), read(4, 5, 7)}) == Linearizable::kYes);
  CHECK(verdict({put(1, 10, 7), read(2, 3, 7), read(4, 5, 0)}) == Linearizable::kNo);
}

TEST_CASE("a write that never returned may have happened at any time, or not") {
  const KeyOperation open = put(1, UINT64_MAX, 7);
  CHECK(verdict({open, read(2, 3, 0)}) == Linearizable::kYes);
  CHECK(verdict({open, read(2, 3, 0), read(4, 5, 7)}) == Linearizable::kYes);
  CHECK(verdict({open, read(2, 3, 7), read(4, 5, 0)}) == Linearizable::kNo);
  CHECK(verdict({put(3, UINT64_MAX, 7), read(1, 2, 7)}) == Linearizable::kNo);
}

TEST_CASE("what a write was told counts") {
  KeyOperation created = put(3, 4, 8);
  created.created = true;
  CHECK(verdict({put(1, 2, 7), created}) == Linearizable::kNo);
  CHECK(verdict({put(5, 6, 7), created}) == Linearizable::kYes);

  KeyOperation conditional = put(3, 4, 8);
  conditional.if_revision = std::vector<uint64_t>{100};
  CHECK(verdict({put(1, 2, 7), conditional}, {{7, 100}}) == Linearizable::kYes);
  CHECK(verdict({put(1, 2, 7), conditional}, {{7, 101}}) == Linearizable::kNo);
  CHECK(verdict({conditional}) == Linearizable::kNo);

  KeyOperation refused = conditional;
  refused.outcome = KeyOperation::kConditionFailed;
  refused.current = 101;
  CHECK(verdict({put(1, 2, 7), refused}, {{7, 101}}) == Linearizable::kYes);
  CHECK(verdict({put(1, 2, 7), refused}, {{7, 100}}) == Linearizable::kNo);
  CHECK(verdict({put(1, 2, 7), refused}, {{7, 102}}) == Linearizable::kNo);

  KeyOperation absent = put(3, 4, 8);
  absent.if_absent = true;
  CHECK(verdict({put(1, 2, 7), absent}) == Linearizable::kNo);

  KeyOperation present = put(3, 4, 8);
  present.if_present = true;
  CHECK(verdict({put(1, 2, 7), present}) == Linearizable::kYes);
  CHECK(verdict({present}) == Linearizable::kNo);

  KeyOperation several = put(3, 4, 8);
  several.if_revision = std::vector<uint64_t>{99, 100};
  CHECK(verdict({put(1, 2, 7), several}, {{7, 100}}) == Linearizable::kYes);
  CHECK(verdict({put(1, 2, 7), several}, {{7, 101}}) == Linearizable::kNo);

  KeyOperation unless = put(3, 4, 8);
  unless.unless_revision = {99, 100};
  CHECK(verdict({unless}) == Linearizable::kYes);
  CHECK(verdict({put(1, 2, 7), unless}, {{7, 101}}) == Linearizable::kYes);
  CHECK(verdict({put(1, 2, 7), unless}, {{7, 100}}) == Linearizable::kNo);
  unless.outcome = KeyOperation::kConditionFailed;
  CHECK(verdict({put(1, 2, 7), unless}, {{7, 100}}) == Linearizable::kYes);
  CHECK(verdict({put(1, 2, 7), unless}, {{7, 101}}) == Linearizable::kNo);

  KeyOperation nothing = put(3, 4, 0);
  nothing.outcome = KeyOperation::kNothingThere;
  CHECK(verdict({nothing}) == Linearizable::kYes);
  CHECK(verdict({put(1, 2, 7), nothing}) == Linearizable::kNo);
}

TEST_CASE("it says so when it gives up") {
  std::vector<KeyOperation> operations;
  for (uint64_t i = 0; i < 40; ++i) operations.push_back(put(i + 1, 1000 + i, i + 1));
  operations.push_back(read(2000, 2001, 99));
  CHECK(check_key(operations, {}, 1000) == Linearizable::kTooHard);
}

}  // namespace kvd::sim::linearizability_test
