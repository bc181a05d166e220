// That the model of a journal accepts what may be found after a crash and nothing else: what the randomised test of
// the journal stands on.
#include "journal_model.hpp"

#include <doctest.h>

namespace kvd::sim {
namespace {

EntryPointer entry(uint64_t revision, uint64_t epoch = 1) {
  auto made = std::make_shared<Entry>();
  made->epoch = Epoch(epoch);
  made->revision = Revision(revision);
  return made;
}

const DiskFacts kFacts{"c", Lineage(), Epoch(1), {ServerId{"s0"}, Incarnation(1)}};

// A generation from 10 on, with 11 and 12 written; 12 is not known to be safe.
JournalModel model() {
  JournalModel made;
  made.on_order(DiskKeep{kFacts});
  made.on_order(DiskSnapshotBegin{1, {Epoch(1), Revision(10)}, true});
  made.on_order(DiskSnapshotItems{1, {Record("a", "", {})}});
  made.on_order(DiskSnapshotEnd{1, Revision(10), 77});
  made.on_order(DiskWrite{1, {entry(11)}});
  made.on_order(DiskWrite{2, {entry(12)}});
  CHECK(!made.on_answer(DiskKept{kFacts}));
  CHECK(!made.on_answer(DiskSnapshotTaken{1}));
  CHECK(!made.on_answer(DiskSnapshotDone{1, true}));
  CHECK(!made.on_answer(DiskWritten{1}));
  return made;
}

JournalModel::Opened opened(std::vector<DiskRecord> records) {
  JournalModel::Opened made;
  made.found = {kFacts, {Epoch(1), Revision(10)}, 0, Revision(10), 77, 0};
  made.items = {Record("a", "", {})};
  made.records = std::move(records);
  made.opened = {true, true, ""};
  return made;
}

bool accepts(JournalModel tried, const JournalModel::Opened& found, JournalModel::Excuse excuse = {}) {
  return !tried.on_opened(found, excuse);
}

}  // namespace

TEST_CASE("journal model: everything that was safe, and any part of the rest") {
  CHECK(accepts(model(), opened({entry(11)})));
  CHECK(accepts(model(), opened({entry(11), entry(12)})));
  CHECK_FALSE(accepts(model(), opened({})));
  CHECK_FALSE(accepts(model(), opened({entry(12)})));
  CHECK_FALSE(accepts(model(), opened({entry(11, 2)})));
  CHECK_FALSE(accepts(model(), opened({entry(11), entry(12), entry(13)})));
  CHECK_FALSE(accepts(model(), opened({entry(11), DiskTruncate{Revision(10)}})));
}

TEST_CASE("journal model: less only with an excuse, and only when it says so") {
  JournalModel::Opened less = opened({});
  CHECK_FALSE(accepts(model(), less, {true}));
  less.opened = {false, true, "why"};
  CHECK(accepts(model(), less, {true}));
  CHECK_FALSE(accepts(model(), less, {false}));
  less.opened.usable = false;
  CHECK(accepts(model(), less, {true}));
  less.opened.intact = true;
  CHECK_FALSE(accepts(model(), less, {true}));
}

TEST_CASE("journal model: of the last that was safe nothing may tell, until it is marked") {
  JournalModel made = model();
  CHECK(!made.on_answer(DiskWritten{2}));
  CHECK_FALSE(accepts(made, opened({entry(11)})));
  CHECK(accepts(made, opened({entry(11)}), {true, true}));
  made.on_marked();
  CHECK_FALSE(accepts(made, opened({entry(11)}), {true, true}));
  CHECK(accepts(made, opened({entry(11)}), {true, true, true}));
}

TEST_CASE("journal model: facts and snapshots as they were") {
  JournalModel::Opened other = opened({entry(11)});
  SUBCASE("other facts") { other.found.facts.epoch = Epoch(2); }
  SUBCASE("no facts") { other.found.facts = {}; }
  SUBCASE("another base") { other.found.base.epoch = Epoch(0); }
  SUBCASE("another digest") { other.found.snapshot_digest = 1; }
  SUBCASE("an item less") { other.items.clear(); }
  SUBCASE("a log that does not reach the snapshot's end") { other.found.snapshot_end = Revision(12); }
  CHECK_FALSE(accepts(model(), other));
}

TEST_CASE("journal model: what was not found never comes back, what was found has to stay") {
  JournalModel first = model();
  CHECK(!first.on_opened(opened({entry(11)}), {}));
  CHECK_FALSE(accepts(first, opened({entry(11), entry(12)})));
  JournalModel second = model();
  CHECK(!second.on_opened(opened({entry(11), entry(12)}), {}));
  CHECK_FALSE(accepts(second, opened({entry(11)})));
}

TEST_CASE("journal model: a generation counts from its first snapshot's end on") {
  JournalModel made = model();
  made.on_order(DiskSnapshotBegin{2, {Epoch(2), Revision(30)}, true});
  made.on_order(DiskWrite{3, {entry(31, 2)}});
  JournalModel::Opened other = opened({entry(31, 2)});
  other.found.base = {Epoch(2), Revision(30)};
  other.found.snapshot_end = Revision(31);
  other.found.snapshot_digest = 78;
  other.items.clear();
  CHECK(accepts(made, opened({entry(11)})));
  CHECK_FALSE(accepts(made, other));
  made.on_order(DiskSnapshotEnd{2, Revision(31), 78});
  CHECK(accepts(made, opened({entry(11)})));
  CHECK(accepts(made, other));
  for (uint64_t number : {2, 3}) CHECK(!made.on_answer(DiskWritten{number}));
  CHECK(!made.on_answer(DiskSnapshotDone{2, true}));
  CHECK_FALSE(accepts(made, opened({entry(11)})));
  CHECK(accepts(made, other));
}

TEST_CASE("journal model: answers come once, in order") {
  JournalModel made = model();
  CHECK_FALSE(made.all_answered());
  CHECK(made.on_answer(DiskWritten{3}));
  CHECK(made.on_answer(DiskKept{kFacts}));
  CHECK(made.on_answer(DiskSnapshotDone{1, true}));
  CHECK(made.on_answer(DiskSnapshotTaken{1}));
  CHECK(!made.on_answer(DiskWritten{2}));
  CHECK(made.all_answered());
}

}  // namespace kvd::sim
