// How long keys live (core/replica/terms.hpp, leases.hpp, expiry.hpp), as the write evaluator decides it: a log, a
// store and a clock that the test sets, and nobody who leads.
#include "core/replica/terms.hpp"

#include <doctest.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/replica/leases.hpp"
#include "core/replica/table.hpp"
#include "evaluator_fixture.hpp"
#include "msg/limits.hpp"

namespace kvd::evaluator_test {
namespace {

using Kind = Term::Kind;

constexpr Term kForever = {Kind::kNone, 0};
constexpr Term kKept = {Kind::kKeep, 0};
constexpr Term lasting(uint64_t ms) { return {Kind::kTime, ms}; }
constexpr Term held_by(uint64_t lease) { return {Kind::kLease, lease}; }

PutKey put_for(const std::string& key, const Term& term) { return PutKey{key, Bytes("v"), {}, term}; }
TouchKey touch(const std::string& key, const Term& term) { return TouchKey{key, term, {}}; }
TxnOp op_on(TxnOp::Kind kind, const std::string& key, const Term& term = {}) {
  return {kind, key, Bytes("1"), 1, term};
}
Transaction txn(std::vector<TxnOp> ops) { return {{}, std::move(ops), {}}; }

// As the next write would see it; none: the key has no term.
std::optional<StoredTerm> term_in(const Leader& leader, const std::string& key) {
  const Record* in_tail = leader.evaluator->tail().find(key, Space::kTerms);
  return term_of(in_tail != nullptr ? in_tail : leader.store.find(key, Space::kTerms));
}
uint64_t deadline_in(const Leader& leader, const std::string& key) {
  const auto term = term_in(leader, key);
  REQUIRE(term);
  CHECK(term->lease == 0);
  return term->deadline;
}
uint64_t lease_in(const Leader& leader, const std::string& key) {
  const auto term = term_in(leader, key);
  REQUIRE(term);
  CHECK(term->deadline == 0);
  return term->lease;
}

uint64_t granted(Leader& leader, uint64_t ttl_ms) {
  const auto lease = changed<LeaseGranted>(leader.write(GrantLease{ttl_ms, "n"}));
  REQUIRE(lease);
  CHECK(lease->ttl_ms == ttl_ms);
  return lease->id;
}
std::vector<std::optional<uint64_t>> renewed(Leader& leader, std::vector<uint64_t> ids) {
  const Evaluation evaluation = leader.write(RenewLeases{std::move(ids), {}});
  if (auto all = changed<LeasesRenewed>(evaluation)) return all->left_ms;
  const auto same = unchanged<LeasesRenewed>(evaluation);
  REQUIRE(same);
  return same->left_ms;
}

// What an entry does: "d:KEY" a deletion, "x:KEY" one by its time, "=:KEY" a value; t: and l: of the other spaces.
std::vector<std::string> words(const std::vector<Record>& effects) {
  std::vector<std::string> found;
  for (const Record& effect : effects) {
    const bool lease = effect.space() == Space::kLeases;
    std::string word = effect.space() == Space::kTerms ? "t" : lease ? "l" : "";
    word += effect.has_value() ? "=:" : effect.expired() ? "x:" : "d:";
    found.push_back(word + (lease ? std::to_string(lease_id(effect.key())) : std::string(effect.key())));
  }
  return found;
}
using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("terms: a put gives a term, which stands beside its key in the same entry") {
  Leader leader;
  leader.room.clock = 5000;
  const auto first = leader.write(put_for("k", lasting(300)));
  CHECK(words(effects(first)) == Words{"=:k", "t=:k"});
  CHECK(deadline_in(leader, "k") == 5300);
  CHECK(term_in(leader, "k")->ttl == 300);
  for (const Record& effect : effects(first)) CHECK(effect.modified() == Revision(1));
  leader.commit();
  CHECK(leader.store.size() == 1);
  CHECK(leader.store.size(Space::kTerms) == 1);
}

TEST_CASE("terms: a put ends the term that is there, keeps it, or brings another one") {
  for (const bool committed : {false, true}) {
    Leader leader;
    leader.write(put_for("k", lasting(300)));
    if (committed) leader.commit();
    leader.room.clock = 100;
    CHECK(words(effects(leader.write(put_for("k", kKept)))) == Words{"=:k"});
    CHECK(deadline_in(leader, "k") == 300);
    leader.write(put_for("k", lasting(1000)));
    CHECK(deadline_in(leader, "k") == 1100);
    CHECK(words(effects(leader.write(put_for("k", kForever)))) == Words{"=:k", "td:k"});
    CHECK_FALSE(term_in(leader, "k"));
    CHECK(words(effects(leader.write(put_for("k", kForever)))) == Words{"=:k"});
    CHECK(words(effects(leader.write(put_for("k", kKept)))) == Words{"=:k"});
    leader.commit();
    CHECK(leader.store.size(Space::kTerms) == 0);
    CHECK_FALSE(leader.store.has_due());
  }
}

TEST_CASE("terms: a put that fails its condition leaves the term as it was") {
  Leader leader;
  leader.write(put_for("k", lasting(300)));
  Condition absent;
  absent.if_none_match.emplace().any = true;
  CHECK(unchanged<ConditionFailed>(leader.write(PutKey{"k", Bytes("w"), absent, kForever})));
  CHECK(unchanged<ConditionFailed>(leader.write(TouchKey{"k", kForever, absent})));
  CHECK(deadline_in(leader, "k") == 300);
}

TEST_CASE("terms: sums and appended bytes keep the term; a key that they make has none") {
  Leader leader;
  leader.write(PutKey{"n", Bytes("1"), {}, lasting(300)});
  leader.room.clock = 100;
  CHECK(words(effects(leader.write(AddNumber{"n", 2, {}}))) == Words{"=:n"});
  CHECK(words(effects(leader.write(AppendBytes{"n", Bytes("0"), {}}))) == Words{"=:n"});
  CHECK(words(effects(leader.write(
            txn({op_on(TxnOp::Kind::kAdd, "n"), op_on(TxnOp::Kind::kAppend, "n")})))) == Words{"=:n"});
  CHECK(deadline_in(leader, "n") == 300);
  leader.write(AddNumber{"new", 2, {}});
  CHECK_FALSE(term_in(leader, "new"));
}

TEST_CASE("terms: a touch changes the term and nothing of the key") {
  Leader leader;
  CHECK(unchanged<KeyAbsent>(leader.write(touch("k", lasting(300)))));
  leader.write(put("k", "v"));
  leader.room.clock = 50;
  const auto given = leader.write(touch("k", lasting(300)));
  CHECK(changed<KeyTouched>(given)->left_ms == 300);
  CHECK(words(effects(given)) == Words{"t=:k"});
  CHECK(deadline_in(leader, "k") == 350);
  CHECK(words(effects(leader.write(touch("k", kForever)))) == Words{"td:k"});
  CHECK(unchanged<KeyTouched>(leader.write(touch("k", kForever)))->left_ms == 0);
  leader.write(DeleteKey{"k", {}});
  CHECK(unchanged<KeyAbsent>(leader.write(touch("k", lasting(300)))));
  CHECK_FALSE(term_in(leader, "k"));
}

TEST_CASE("terms: whatever deletes a key takes its term away in the same entry") {
  const std::vector<std::pair<Operation, Words>> ways = {
      {DeleteKey{"p/a", {}}, {"d:p/a", "td:p/a"}},
      {DeletePrefix{"p/", 0}, {"d:p/a", "td:p/a", "d:p/b"}},
      {DeletePrefix{"p/", 1}, {"d:p/a", "td:p/a"}},
      {WriteBatch{{BatchOp{"p/a", {}, {}}}, false, {}}, {"d:p/a", "td:p/a"}},
      {Transaction(txn({op_on(TxnOp::Kind::kDelete, "p/a")})), {"d:p/a", "td:p/a"}},
  };
  for (const auto& [operation, expected] : ways) {
    for (const bool committed : {false, true}) {
      Leader leader;
      leader.write(put_for("p/a", lasting(300)));
      leader.write(put("p/b", "v"));
      if (committed) leader.commit();
      CHECK(words(effects(leader.write(operation))) == expected);
      CHECK_FALSE(term_in(leader, "p/a"));
      leader.commit();
      CHECK(leader.store.size(Space::kTerms) == 0);
    }
  }
}

TEST_CASE("terms: in a batch and in a transaction the last word on a key counts") {
  Leader leader;
  leader.write(put_for("k", lasting(300)));
  const Bytes value("v");
  leader.write(WriteBatch{{{"k", value, lasting(700)}, {"k", value, kKept}}, false, {}});
  CHECK(deadline_in(leader, "k") == 700);
  leader.write(WriteBatch{{{"k", {}, {}}, {"k", value, kKept}}, false, {}});
  CHECK_FALSE(term_in(leader, "k"));  // it was made anew: there was nothing to keep
  using K = TxnOp::Kind;
  leader.write(txn({op_on(K::kPut, "k", lasting(100)), op_on(K::kTouch, "k", lasting(900))}));
  CHECK(deadline_in(leader, "k") == 900);
  leader.write(txn({op_on(K::kTouch, "k", lasting(200)), op_on(K::kAdd, "k")}));
  CHECK(deadline_in(leader, "k") == 200);
  const auto anew =
      leader.write(txn({op_on(K::kDelete, "k"), op_on(K::kTouch, "k", lasting(1)), op_on(K::kAdd, "k")}));
  CHECK(words(effects(anew)) == Words{"=:k", "td:k"});
  CHECK_FALSE(std::get<OpTouched>((*changed<Box<TxnDone>>(anew))->results[1]).touched);
  leader.write(txn({op_on(K::kTouch, "none", lasting(200))}));
  CHECK_FALSE(term_in(leader, "none"));
  const auto short_lived = leader.write(txn({op_on(K::kPut, "x", lasting(100)), op_on(K::kDelete, "x")}));
  CHECK(unchanged<Box<TxnDone>>(short_lived));
}

TEST_CASE(
    "terms: a term that is renewed while it is remembered for an idempotency key stands beside the answer") {
  Leader leader;
  CHECK(effects(leader.write(put_for("k", lasting(300)), "once")).size() == 3);
  leader.room.clock = 200;
  CHECK(unchanged<KeyWritten>(leader.write(put_for("k", lasting(300)), "once"))->created);
  CHECK(deadline_in(leader, "k") == 300);
  CHECK(refused(leader.write(put_for("k", lasting(301)), "once")) == ErrorCode::kKeyReused);
  CHECK(effects(leader.write(touch("k", lasting(500)), "touched")).size() == 2);
  leader.room.clock = 300;
  CHECK(unchanged<KeyTouched>(leader.write(touch("k", lasting(500)), "touched"))->left_ms == 400);
  leader.room.clock = 800;
  CHECK(unchanged<KeyTouched>(leader.write(touch("k", lasting(500)), "touched"))->left_ms == 0);
}

TEST_CASE("terms: what is due ends, in the order of the deadlines, and what is not due stays") {
  Leader leader;
  leader.write(put_for("b", lasting(200)));
  leader.write(put_for("a", lasting(300)));
  leader.write(put_for("c", lasting(200)));
  leader.write(put("forever", "v"));
  leader.commit();
  leader.room.clock = 200;  // or it may be a part of a millisecond before that
  CHECK(leader.expire().empty());
  leader.room.clock = 201;
  CHECK(words(leader.expire()) == Words{"x:b", "td:b", "x:c", "td:c"});
  leader.room.clock = 1'000'000;
  leader.commit();
  CHECK(words(leader.expire()) == Words{"x:a", "td:a"});
  leader.commit();
  CHECK(leader.expire().empty());
  CHECK(leader.store.size() == 1);
  CHECK_FALSE(leader.store.has_due());
}

TEST_CASE("terms: what the tail has made of a key counts, not what is committed") {
  Leader leader;
  for (const char* key : {"deleted", "forever", "kept", "leased", "longer", "shorter"})
    leader.write(put_for(key, lasting(100)));
  const uint64_t lease = granted(leader, 60'000);
  leader.commit();
  leader.room.clock = 99;
  leader.write(DeleteKey{"deleted", {}});
  leader.write(put_for("forever", kForever));
  leader.write(put_for("kept", kKept));
  leader.write(touch("leased", held_by(lease)));
  leader.write(touch("longer", lasting(500)));
  leader.write(touch("shorter", lasting(1)));
  leader.room.clock = 101;
  CHECK(words(leader.expire()) == Words{"x:kept", "td:kept", "x:shorter", "td:shorter"});
  CHECK(leader.expire().empty());  // not twice
}

TEST_CASE("terms: a key that is only in the tail is not looked for: it is due once it is committed") {
  Leader leader;
  leader.write(put_for("k", lasting(100)));
  leader.room.clock = 101;
  CHECK(leader.expire().empty());
  leader.commit();
  CHECK(words(leader.expire()) == Words{"x:k", "td:k"});
}

TEST_CASE("terms: what is due comes in pages") {
  Leader leader;
  const size_t keys = 2 * limits::kExpiryKeys + 1;
  for (size_t i = 0; i < keys; ++i) leader.write(put_for(std::to_string(i), lasting(100)));
  leader.room.memory_max = 100'000'000;
  leader.commit();
  leader.room.clock = 101;
  for (const size_t effects : {2 * limits::kExpiryKeys, 2 * limits::kExpiryKeys, size_t{2}, size_t{0}}) {
    CHECK(leader.expire().size() == effects);
    leader.commit();
  }
  CHECK(leader.store.size() == 0);
}

TEST_CASE("leases: an id is the revision that granted it, and there is one while it lives") {
  Leader leader;
  leader.write(put("other", "v"));
  leader.room.clock = 10;
  const uint64_t id = granted(leader, 5000);
  CHECK(id == 2);
  const auto lease = lease_of(leader.evaluator->tail().find(lease_key(id), Space::kLeases));
  REQUIRE(lease);
  CHECK(lease->deadline == 5010);
  CHECK(lease->ttl == 5000);
  CHECK(lease->name == "n");
  CHECK(lease_id(lease_key(0x0102030405060708)) == 0x0102030405060708);
  CHECK(lease_key(9) < lease_key(10));
}

TEST_CASE("leases: keys are given to one that is there, by each kind of write, and to no other") {
  Leader leader;
  const uint64_t id = granted(leader, 5000);
  leader.write(put("k", "v"));
  using K = TxnOp::Kind;
  const Bytes value("v");
  const std::vector<std::function<Operation(uint64_t)>> ways = {
      [](uint64_t lease) { return Operation(put_for("k", held_by(lease))); },
      [](uint64_t lease) { return Operation(touch("k", held_by(lease))); },
      [&](uint64_t lease) {
        return Operation(WriteBatch{{{"k", value, held_by(lease)}}, false, {}});
      },
      [](uint64_t lease) { return Operation(txn({op_on(K::kPut, "k", held_by(lease))})); },
      [](uint64_t lease) { return Operation(txn({op_on(K::kTouch, "k", held_by(lease))})); },
  };
  for (const auto& way : ways) {
    leader.write(put("k", "v"));
    CHECK(refused(leader.write(way(id + 1))) == ErrorCode::kLeaseOver);
    CHECK(refused(leader.write(way(0))) == ErrorCode::kLeaseOver);
    CHECK_FALSE(term_in(leader, "k"));
    leader.write(way(id));
    CHECK(lease_in(leader, "k") == id);
  }
  leader.write(EndLease{id});
  for (const auto& way : ways) {
    leader.write(put("k", "v"));
    CHECK(refused(leader.write(way(id))) == ErrorCode::kLeaseOver);
  }
  CHECK(unchanged<KeyAbsent>(leader.write(touch("nothing", held_by(id)))));
}

TEST_CASE("leases: a renewal is logged from three quarters of the time on, and answered before") {
  Leader leader;
  const uint64_t id = granted(leader, 4000);
  leader.room.clock = 999;
  CHECK(renewed(leader, {id})[0] == 3001);
  CHECK(leader.log.last().revision == Revision(1));
  leader.room.clock = 1000;
  CHECK(renewed(leader, {id, 77})[0] == 4000);
  CHECK(leader.log.last().revision == Revision(2));
  CHECK(lease_of(leader.evaluator->tail().find(lease_key(id), Space::kLeases))->deadline == 5000);
  CHECK_FALSE(renewed(leader, {77, id})[0]);
  CHECK(renewed(leader, {77, id})[1] == 4000);
  CHECK(leader.log.last().revision == Revision(2));
  leader.commit();
  leader.room.clock = 6000;  // late, and nobody has ended it yet
  CHECK(renewed(leader, {id, id}) == std::vector<std::optional<uint64_t>>{4000, 4000});
  leader.commit();
  CHECK(leader.store.leases().due.size() == 1);
  leader.write(EndLease{id});
  CHECK_FALSE(renewed(leader, {id})[0]);
}

TEST_CASE("leases: who takes one up holds it, and who held it before can neither renew nor end it") {
  Leader leader;
  const uint64_t id = granted(leader, 4000);
  leader.room.clock = 500;
  const auto taken = changed<LeaseTaken>(leader.write(TakeLease{id}));
  REQUIRE(taken);
  CHECK(taken->ttl_ms == 4000);
  CHECK(taken->hold == kHoldOfGrant + 1);
  CHECK(lease_of(leader.evaluator->tail().find(lease_key(id), Space::kLeases))->deadline == 4500);
  leader.commit();
  leader.room.clock = 3000;
  const auto both =
      changed<LeasesRenewed>(leader.write(RenewLeases{{id, id, 99}, {kHoldOfGrant, taken->hold, 1}}));
  REQUIRE(both);
  CHECK(both->left_ms == std::vector<std::optional<uint64_t>>{std::nullopt, 4000, std::nullopt});
  CHECK(both->taken == std::vector<uint64_t>{id});
  leader.commit();
  CHECK(refused(leader.write(EndLease{id, kHoldOfGrant})) == ErrorCode::kLeaseOver);
  CHECK(changed<LeaseTaken>(leader.write(TakeLease{id}))->hold == taken->hold + 1);  // the tail's counts
  CHECK(refused(leader.write(EndLease{id, taken->hold})) == ErrorCode::kLeaseOver);
  CHECK(renewed(leader, {id})[0] == 4000);  // anybody's
  CHECK(changed<LeaseEnded>(leader.write(EndLease{id, taken->hold + 1})));
  CHECK(refused(leader.write(TakeLease{id})) == ErrorCode::kLeaseOver);
}

TEST_CASE("leases: the end takes the keys along, as the tail knows them") {
  Leader leader;
  const uint64_t one = granted(leader, 5000);
  const uint64_t two = granted(leader, 5000);
  for (const char* key : {"a", "freed", "gone", "moved", "z"}) leader.write(put_for(key, held_by(one)));
  leader.write(put_for("not yet", held_by(two)));
  leader.commit();
  leader.write(touch("moved", held_by(two)));
  leader.write(touch("not yet", held_by(one)));
  leader.write(put_for("freed", kForever));
  leader.write(DeleteKey{"gone", {}});
  leader.write(put_for("m", held_by(one)));
  const auto end = leader.write(EndLease{one});
  CHECK(changed<LeaseEnded>(end));
  CHECK(words(effects(end)) == Words{"d:a", "td:a", "d:m", "td:m", "d:not yet", "td:not yet", "d:z", "td:z",
                                     "ld:" + std::to_string(one)});
  CHECK(refused(leader.write(EndLease{one})) == ErrorCode::kLeaseOver);
  leader.commit();
  CHECK(leader.store.find("freed") != nullptr);
  CHECK(leader.store.find("moved") != nullptr);
  CHECK(leader.store.size() == 2);
  CHECK(leader.store.terms().attached.size() == 1);
  CHECK(leader.store.leases().due.size() == 1);
}

TEST_CASE("leases: one that is due ends with its keys; what the tail has renewed lives") {
  Leader leader;
  const uint64_t one = granted(leader, 1000);
  const uint64_t two = granted(leader, 1000);
  const uint64_t three = granted(leader, 1000);
  leader.write(put_for("a", held_by(one)));
  leader.write(put_for("b", held_by(two)));
  leader.write(put_for("c", held_by(three)));
  leader.write(put_for("t", lasting(1000)));
  leader.commit();
  leader.room.clock = 999;
  renewed(leader, {two});
  leader.room.clock = 1001;
  const auto number = [](uint64_t id) { return std::to_string(id); };
  CHECK(words(leader.expire()) ==
        Words{"x:t", "td:t", "x:a", "td:a", "ld:" + number(one), "x:c", "td:c", "ld:" + number(three)});
  CHECK(leader.expire().empty());
  CHECK(refused(leader.write(put_for("d", held_by(one)))) == ErrorCode::kLeaseOver);
  CHECK_FALSE(renewed(leader, {one})[0]);
  leader.commit();
  CHECK(leader.store.size() == 1);
  CHECK(leader.store.find("b") != nullptr);
}

TEST_CASE("leases: one holds so many keys, committed or not, and those that it has may be written again") {
  Leader leader;
  leader.room.memory_max = 100'000'000;
  const uint64_t id = granted(leader, 5000);
  const auto batch_of = [&](size_t from, size_t to) {
    WriteBatch batch;
    for (; from < to; ++from) batch.ops.push_back({"k" + std::to_string(from), Bytes("v"), held_by(id)});
    return batch;
  };
  const size_t half = limits::kLeaseKeys / 2;
  for (size_t i = 0; i < half; i += limits::kBatchOps) leader.write(batch_of(i, i + limits::kBatchOps));
  leader.commit();
  for (size_t i = half; i < 2 * half; i += limits::kBatchOps) {
    const size_t more = std::min(limits::kBatchOps, 2 * half - 1 - i);
    CHECK_FALSE(refused(leader.write(batch_of(i, i + more))));
  }
  CHECK_FALSE(refused(leader.write(put_for("last", held_by(id)))));
  CHECK(refused(leader.write(put_for("one more", held_by(id)))) == ErrorCode::kLeaseFull);
  CHECK(refused(leader.write(batch_of(2 * half, 2 * half + 2))) == ErrorCode::kLeaseFull);
  CHECK_FALSE(refused(leader.write(put_for("last", held_by(id)))));
  CHECK_FALSE(refused(leader.write(touch("k0", held_by(id)))));
  CHECK(effects(leader.write(EndLease{id})).size() == 2 * limits::kLeaseKeys + 1);
}

TEST_CASE("terms: a full store takes no new term, and what ends always goes") {
  Leader leader;
  const uint64_t id = granted(leader, 1000);
  leader.write(put_for("k", lasting(1000)));
  leader.write(put_for("l", held_by(id)));
  leader.write(put("forever", "v"));
  leader.commit();
  leader.room.memory_max = leader.store.bytes();
  CHECK(refused(leader.write(touch("forever", lasting(1000)))) == ErrorCode::kMemoryFull);
  CHECK(refused(leader.write(GrantLease{1000, ""})) == ErrorCode::kMemoryFull);
  CHECK(changed<KeyTouched>(leader.write(touch("k", lasting(2000)))));
  leader.room.clock = 900;
  leader.room.disk_low = true;
  CHECK(renewed(leader, {id})[0] == 1000);
  leader.commit();
  leader.room.clock = 5000;
  CHECK(leader.expire().size() == 5);
  CHECK(changed<KeyDeleted>(leader.write(DeleteKey{"forever", {}})));
}

TEST_CASE("terms: the store counts what is due and what is attached, whatever comes in which order") {
  const auto item = [](std::string_view key, StoredTerm term, uint64_t revision) {
    return term_record(key, term, Revision(revision));
  };
  Store store;
  store.put(item("a", {300, 100, 0}, 1));
  store.put(item("b", {200, 100, 0}, 2));
  store.put(item("l", {0, 0, 7}, 3));
  store.put(item("m", {0, 0, 7}, 4));
  REQUIRE(store.terms().due.size() == 2);
  CHECK(store.terms().due.begin()->item.key() == "b");
  CHECK(store.terms().attached.at(7).size() == 2);
  store.put(item("b", {400, 100, 0}, 5));  // from a snapshot, in the place of what is there
  CHECK(store.terms().due.begin()->item.key() == "a");
  CHECK(store.terms().due.size() == 2);
  store.apply(Entry{Epoch(1), Revision(6), {item("l", {500, 100, 0}, 6), item("a", {0, 0, 8}, 6)}});
  CHECK(store.terms().attached.at(7).size() == 1);
  CHECK(store.terms().attached.at(8).begin()->key() == "a");
  CHECK(store.terms().due.size() == 2);
  store.apply(Entry{Epoch(1), Revision(5), {item("a", {600, 100, 0}, 5)}});  // it is newer here
  CHECK(store.terms().attached.at(8).size() == 1);
  store.apply(
      Entry{Epoch(1), Revision(7), {Record::deletion("a", {Revision(6), Revision(7), 0, Space::kTerms})}});
  CHECK(store.terms().attached.size() == 1);
  CHECK(store.has_due());
  while (store.free_some()) {
  }
  CHECK(store.terms().due.empty());
  CHECK(store.terms().attached.empty());
  store.clear();
  CHECK_FALSE(store.has_due());
}

TEST_CASE("terms: an item that cannot be read is no term") {
  CHECK_FALSE(term_of(nullptr));
  const Record broken("k", "short", {Revision(1), Revision(1), 1, Space::kTerms});
  CHECK_FALSE(term_of(&broken));
  CHECK_FALSE(lease_of(&broken));
  const Record gone = Record::deletion("k", {Revision(1), Revision(2), 0, Space::kTerms});
  CHECK_FALSE(term_of(&gone));
  const Record term = term_record("k", {1, 2, 3}, Revision(4));
  CHECK(term_of(&term)->deadline == 1);
  CHECK(term_of(&term)->ttl == 2);
  CHECK(term_of(&term)->lease == 3);
}

}  // namespace kvd::evaluator_test
