// The referee of terms and leases (term_referee.hpp) before entries and answers that are as they should be, and before
// those that break one rule each.
#include "term_referee.hpp"

#include <doctest.h>

#include <string>
#include <utility>
#include <vector>

namespace kvd::sim {
namespace {

Record value(const std::string& key, uint64_t revision) {
  return Record(key, "1", {Revision(revision), Revision(revision), 1});
}
Record gone(const std::string& key, uint64_t revision, Space space = Space::kData, bool expired = false) {
  return Record::deletion(key, {Revision(1), Revision(revision), 0, space}, expired);
}
Record term(const std::string& key, uint64_t revision, StoredTerm what) {
  return term_record(key, what, Revision(revision));
}

std::string number(uint64_t value) {
  std::string bytes;
  for (int shift = 0; shift < 64; shift += 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

// Entries one after the other, a revision for each; the log's clock is the true time.
struct Refereed {
  std::string entry(std::vector<Record> effects, uint64_t at_ms) {
    return referee.on_entry(Entry{Epoch(1), Revision(++revision), std::move(effects), at_ms},
                            Instant(milliseconds(static_cast<int64_t>(at_ms))));
  }
  std::string answer(Operation operation, Answer answer, uint64_t asked_ms, uint64_t at_revision = 0) {
    StoreCall call;
    call.operation = std::move(operation);
    StoreAnswer said;
    said.answer = std::move(answer);
    said.revision = Revision(at_revision == 0 ? revision : at_revision);
    return referee.on_answer(call, said, Instant(milliseconds(static_cast<int64_t>(asked_ms))));
  }
  std::string put(uint64_t at_ms, uint64_t ttl) {
    const uint64_t r = revision + 1;
    return entry({value("k", r), term("k", r, {at_ms + ttl, ttl, 0})}, at_ms);
  }
  std::string grant(uint64_t at_ms, uint64_t ttl) {
    const std::string bytes = number(at_ms + ttl) + number(ttl) + std::string(4, '\0');  // and no name
    const uint64_t r = revision + 1;
    lease = r;
    return entry({Record(lease_key(lease), bytes, {Revision(r), Revision(r), 1, Space::kLeases})}, at_ms);
  }
  std::string attach(uint64_t at_ms) {
    const uint64_t r = revision + 1;
    return entry({value("l", r), term("l", r, {0, 0, lease})}, at_ms);
  }
  std::string expire(uint64_t at_ms) {
    const uint64_t r = revision + 1;
    return entry({gone("k", r, Space::kData, true), gone("k", r, Space::kTerms)}, at_ms);
  }
  std::string end_lease(uint64_t at_ms, bool expired) {
    const uint64_t r = revision + 1;
    return entry({gone("l", r, Space::kData, expired), gone("l", r, Space::kTerms),
                  gone(lease_key(lease), r, Space::kLeases)},
                 at_ms);
  }
  PutKey put_call(Term what) { return PutKey{"k", Bytes("1"), {}, what}; }

  TermReferee referee;
  uint64_t revision = 0;
  uint64_t lease = 0;
};

bool says(const std::string& why, const std::string& part) { return why.find(part) != std::string::npos; }

constexpr Term kHalfSecond = {Term::Kind::kTime, 500};

}  // namespace

TEST_CASE("term referee: what lives and ends as it should") {
  Refereed all;
  CHECK(all.put(1000, 500) == "");
  CHECK(all.answer(all.put_call(kHalfSecond), KeyWritten{true}, 990) == "");
  CHECK(all.answer(ReadKey{"k"}, KeyFound{value("k", 1), true, {500, 0}}, 1000) == "");
  CHECK(all.grant(1000, 1000) == "");
  CHECK(all.answer(GrantLease{1000, ""}, LeaseGranted{all.lease, 1000}, 999) == "");
  CHECK(all.attach(1100) == "");
  CHECK(says(all.referee.left(), "k has a term; l has a term; lease 2 lives"));
  CHECK(all.expire(1500) == "");
  CHECK(all.answer(RenewLeases{{all.lease}}, LeasesRenewed{{500}}, 1490) == "");
  CHECK(all.end_lease(2000, true) == "");
  CHECK(all.referee.left() == "");
  CHECK(all.answer(ReadKey{"k"}, KeyFound{value("k", 1), true, {}}, 2000) == "");
}

TEST_CASE("term referee: what expires before its time, by either clock") {
  Refereed by_log;
  by_log.put(1000, 500);
  CHECK(says(by_log.expire(1499), "expires at 1499 ms of the log's clock"));
  Refereed by_truth;
  by_truth.put(1000, 500);
  CHECK(says(
      by_truth.referee.on_entry(
          Entry{Epoch(1), Revision(2), {gone("k", 2, Space::kData, true), gone("k", 2, Space::kTerms)}, 1500},
          Instant(milliseconds(1400))),
      "expires after 400000 us"));
  Refereed lease;
  lease.grant(1000, 1000);
  lease.attach(1000);
  CHECK(says(lease.end_lease(1900, true), "lease 1 expires at 1900"));
  Refereed ended;  // by somebody's word
  ended.grant(1000, 1000);
  ended.attach(1000);
  CHECK(ended.end_lease(1100, false) == "");
}

TEST_CASE("term referee: what was promised to a client holds, whether it heard before or after") {
  for (const bool before : {false, true}) {
    Refereed all;
    all.grant(1000, 1000);
    all.attach(1000);
    const auto hear = [&] { return all.answer(RenewLeases{{all.lease}}, LeasesRenewed{{1000}}, 1500); };
    if (before) CHECK(hear() == "");
    const std::string why = all.end_lease(2000, true);
    CHECK(says(before ? why : hear(), "expired 500000 us before the time that its client was told"));
  }
}

TEST_CASE("term referee: what expires without a reason") {
  Refereed forever;
  forever.entry({value("k", 1)}, 1000);
  CHECK(says(forever.entry({gone("k", 2, Space::kData, true)}, 9000), "k expires, and has no term"));
  Refereed absent;
  absent.entry({value("x", 1)}, 1000);
  CHECK(says(absent.entry({gone("k", 2, Space::kData, true)}, 9000), "k expires, and is not there"));
  Refereed leased;
  leased.grant(1000, 1000);
  leased.attach(1000);
  CHECK(says(leased.entry({gone("l", 3, Space::kData, true), gone("l", 3, Space::kTerms)}, 9000),
             "l expires without its lease 1"));
}

TEST_CASE("term referee: a term goes with its key, and a lease with its keys") {
  Refereed term_left;
  term_left.put(1000, 500);
  CHECK(says(term_left.entry({gone("k", 2)}, 1100), "k is gone, and its term is not"));
  Refereed keys_left;
  keys_left.grant(1000, 1000);
  keys_left.attach(1000);
  CHECK(says(keys_left.entry({gone(lease_key(1), 3, Space::kLeases)}, 1100), "lease 1 ends and leaves l"));
  Refereed no_lease;
  CHECK(says(no_lease.entry({value("k", 1), term("k", 1, {0, 0, 7})}, 1000),
             "belongs to lease 7, which is none"));
}

TEST_CASE("term referee: an acknowledged write has left the term that it said") {
  Refereed all;
  all.put(1000, 500);
  CHECK(says(all.answer(all.put_call({}), KeyWritten{true}, 1000), "k still has a term"));
  CHECK(says(all.answer(all.put_call({Term::Kind::kTime, 600}), KeyWritten{true}, 1000), "was given 600 ms"));
  CHECK(says(all.answer(all.put_call({Term::Kind::kLease, 7}), KeyWritten{true}, 1000),
             "was given to lease 7"));
  CHECK(all.answer(all.put_call({Term::Kind::kKeep, 0}), KeyWritten{true}, 1000) == "");
  const WriteBatch batch{{BatchOp{"k", Bytes("1"), kHalfSecond}, BatchOp{"k", Bytes("1"), {}}}};
  CHECK(says(all.answer(batch, BatchWritten{}, 1000), "k still has a term"));
}

TEST_CASE("term referee: no read shows more than was given, or something else") {
  Refereed all;
  all.put(1000, 500);
  all.grant(1000, 1000);
  const auto read = [&](Lifetime life) {
    return all.answer(ReadKey{"k"}, KeyFound{value("k", 1), true, life}, 1000);
  };
  CHECK(read({500, 0}) == "");
  CHECK(says(read({501, 0}), "more than it was given"));
  CHECK(says(read({}), "another term"));
  CHECK(says(read({500, 2}), "another term"));
  CHECK(all.answer(ListLeases{0, 1}, LeaseList{{LeaseInfo{2, 1000, 1000, ""}}, false, true}, 1000) == "");
  CHECK(says(all.answer(ListLeases{0, 1}, LeaseList{{LeaseInfo{2, 1000, 1001, ""}}, false, true}, 1000),
             "is said to have 1001 of 1000 ms"));
  CHECK(says(all.answer(ReadLease{9, false}, Box(LeaseFound{LeaseInfo{9, 1, 1, ""}, {}, true}), 1000),
             "lease 9 is shown"));
}

TEST_CASE("term referee: a new lineage begins with nothing, and what was not seen is not judged") {
  Refereed all;
  all.put(1000, 500);
  const Revision first = lineage_base(Lineage(2)).next();
  CHECK(all.referee.on_entry(Entry{Epoch(2), first, {value("x", first.value)}, 10}, std::nullopt) == "");
  CHECK(all.referee.left() == "");
  const Revision third = first.next().next();
  CHECK(all.referee.on_entry(Entry{Epoch(2), third, {gone("x", third.value, Space::kData, true)}, 20},
                             std::nullopt) == "");
}

}  // namespace kvd::sim
