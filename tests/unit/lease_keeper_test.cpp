// What the lease keeper asks, and what it tells whom. The test answers in place of the KV router, and passes the
// time.
#include <doctest.h>

#include <optional>
#include <string>
#include <vector>

#include "lease_keeper_harness.hpp"
#include "msg/limits.hpp"

namespace kvd::lease_keeper_test {
namespace {

Ask the_one(const std::vector<Ask>& asked) {
  REQUIRE(asked.size() == 1);
  return asked.front();
}

// A hold of lease 7, just granted.
struct Holding : Keeper {
  explicit Holding(uint64_t ttl_ms) {
    call(kClient, {0, {ttl_ms, "n"}});
    answer(the_one(asked()), LeaseGranted{7, ttl_ms});
    said();
  }
};

using Lines = std::vector<std::string>;

TEST_CASE("lease keeper: a grant is opened, renewed in time, and told") {
  Keeper keeper;
  keeper.call(kClient, {0, {3000, "n"}});
  const Ask ask = the_one(keeper.asked());
  CHECK(std::get<GrantLease>(ask.operation).ttl_ms == 3000);
  CHECK(std::get<GrantLease>(ask.operation).name == "n");
  keeper.sleep(milliseconds(20));  // which count against what is left
  keeper.answer(ask, LeaseGranted{7, 3000});
  CHECK(keeper.said() == Lines{R"(client {"lease":7,"ttl_ms":3000,"hold":1,"left_ms":2980})"});
  CHECK(keeper.held() == 1);

  keeper.pass(milliseconds(979));
  CHECK(keeper.asked().empty());
  keeper.pass(milliseconds(1));
  const Ask renewal = the_one(keeper.asked());
  CHECK(std::get<RenewLeases>(renewal.operation).ids == std::vector<uint64_t>{7});
  CHECK(std::get<RenewLeases>(renewal.operation).holds == std::vector<uint64_t>{kHoldOfGrant});
  keeper.sleep(milliseconds(5));
  keeper.answer(renewal, LeasesRenewed{{3000}, {}});
  CHECK(keeper.said() == Lines{R"(client {"state":"held","left_ms":2995})"});
}

TEST_CASE(
    "lease keeper: who takes a lease up holds it by another number, and hears when it was taken in turn") {
  Keeper keeper;
  keeper.call(kClient, {7, {}});
  const Ask ask = the_one(keeper.asked());
  CHECK(std::get<TakeLease>(ask.operation).id == 7);
  keeper.answer(ask, LeaseTaken{3000, 4});
  CHECK(keeper.said() == Lines{R"(client {"lease":7,"ttl_ms":3000,"hold":4,"left_ms":3000})"});
  keeper.pass(seconds(1));
  const Ask renewal = the_one(keeper.asked());
  CHECK(std::get<RenewLeases>(renewal.operation).holds == std::vector<uint64_t>{4});
  keeper.answer(renewal, LeasesRenewed{{std::nullopt}, {7}});
  CHECK(keeper.said() == Lines{R"(client {"state":"lost","reason":"taken"}.)"});
  CHECK(keeper.held() == 0);
  keeper.close(kClient);
  CHECK(keeper.asked().empty());
}

TEST_CASE("lease keeper: what is refused is told as it is") {
  Keeper keeper;
  keeper.call(kClient, {7, {}});
  keeper.answer(the_one(keeper.asked()), lease_over());
  CHECK(keeper.said() == Lines{"client " + refusal_of(ErrorCode::kLeaseOver)});
  CHECK(keeper.held() == 0);
}

TEST_CASE("lease keeper: a lease that is over is lost") {
  Holding keeper(3000);
  keeper.pass(seconds(1));
  keeper.answer(the_one(keeper.asked()), LeasesRenewed{{std::nullopt}, {}});
  CHECK(keeper.said() == Lines{R"(client {"state":"lost","reason":"over"}.)"});
}

TEST_CASE(
    "lease keeper: while nobody answers it asks again, says once that it is unsure, and goes on afterwards") {
  Holding keeper(3000);
  Lines said;
  int tries = 0;
  while (keeper.now() < Instant(seconds(104))) {
    keeper.pass(milliseconds(10));
    for (const Ask& ask : keeper.asked()) {
      CHECK(std::get<RenewLeases>(ask.operation).ids == std::vector<uint64_t>{7});
      ++tries;
      keeper.fail(ask);
    }
    for (std::string& line : keeper.said()) said.push_back(std::move(line));
    const bool unsure = keeper.now() >= Instant(seconds(103));
    CHECK(said == (unsure ? Lines{R"(client {"state":"unsure"})"} : Lines{}));
  }
  CHECK(tries > 10);
  keeper.pass(seconds(1));
  keeper.answer(the_one(keeper.asked()), LeasesRenewed{{2500}, {}});
  CHECK(keeper.said() == Lines{R"(client {"state":"held","left_ms":2500})"});
}

TEST_CASE("lease keeper: something is said every ten seconds") {
  Holding keeper(3'600'000);
  keeper.pass(milliseconds(9999));
  CHECK(keeper.said().empty());
  keeper.pass(milliseconds(1));
  CHECK(keeper.said() == Lines{R"(client {"state":"held","left_ms":3590000})"});
  keeper.pass(seconds(10));
  CHECK(keeper.said() == Lines{R"(client {"state":"held","left_ms":3580000})"});
  CHECK(keeper.asked().empty());
}

TEST_CASE("lease keeper: those that are due together are renewed by one write, of so many at most") {
  Keeper keeper;
  const size_t count = limits::kLeasesAtOnce + 1;
  for (uint32_t i = 0; i < count; ++i) {
    keeper.call(request_id(i + 1, 0), {0, {3000, ""}});
    keeper.answer(the_one(keeper.asked()), LeaseGranted{i + 1, 3000});
  }
  keeper.said();
  keeper.sleep(seconds(1));
  keeper.wake();
  const std::vector<Ask> all = keeper.asked();
  REQUIRE(all.size() == 2);
  CHECK(std::get<RenewLeases>(all[0].operation).ids.size() == limits::kLeasesAtOnce);
  CHECK(std::get<RenewLeases>(all[1].operation).ids.size() == 1);
}

TEST_CASE("lease keeper: a closed connection ends its lease, and is not the last word") {
  Holding keeper(3000);
  keeper.close(kClient);
  CHECK(keeper.held() == 0);
  keeper.pass(Duration(0));
  for (int i = 0; i < 2; ++i) {
    const Ask end = the_one(keeper.asked());
    CHECK(std::get<EndLease>(end.operation).id == 7);
    CHECK(std::get<EndLease>(end.operation).hold == kHoldOfGrant);
    keeper.fail(end);
    keeper.pass(milliseconds(999));
    CHECK(keeper.asked().empty());
    keeper.pass(milliseconds(1));
  }
  keeper.answer(the_one(keeper.asked()), lease_over());  // an answer that was lost had done it
  CHECK(keeper.deadline() == kNever);
}

TEST_CASE("lease keeper: what has run out needs no end") {
  Holding keeper(1000);
  keeper.close(kClient);
  keeper.pass(Duration(0));
  const Ask end = the_one(keeper.asked());
  keeper.sleep(seconds(2));
  keeper.fail(end);
  CHECK(keeper.deadline() == kNever);
}

TEST_CASE(
    "lease keeper: a grant that comes when its client has gone is ended, and what is taken up is left "
    "alone") {
  Keeper keeper;
  keeper.call(kClient, {0, {3000, ""}});
  const Ask grant = the_one(keeper.asked());
  keeper.close(kClient);
  keeper.call(kOther, {5, {}});
  const Ask take = the_one(keeper.asked());
  keeper.close(kOther);
  keeper.answer(grant, LeaseGranted{7, 3000});
  keeper.answer(take, LeaseTaken{3000, 2});
  keeper.pass(Duration(0));
  CHECK(std::get<EndLease>(the_one(keeper.asked()).operation).id == 7);
  CHECK(keeper.said().empty());
}

TEST_CASE("lease keeper: a server that stops lets go of leases that live on") {
  Holding keeper(3000);
  keeper.call(kOther, {0, {3000, ""}});
  const Ask grant = the_one(keeper.asked());
  keeper.pass(milliseconds(500));
  CHECK_FALSE(keeper.drained());
  keeper.stop();
  CHECK(keeper.said() == Lines{R"(client {"state":"stopping","left_ms":2500}.)",
                               "other " + refusal_of(ErrorCode::kShuttingDown)});
  CHECK(keeper.drained());
  keeper.close(kClient);
  CHECK(keeper.asked().empty());
  keeper.answer(grant, LeaseGranted{8, 3000});  // nobody has it: it is ended while that is possible
  CHECK_FALSE(keeper.drained());
  keeper.pass(Duration(0));
  keeper.fail(the_one(keeper.asked()));
  CHECK(keeper.drained());
  keeper.call(kClient, {7, {}});
  CHECK(keeper.said() == Lines{"client " + refusal_of(ErrorCode::kShuttingDown)});
}

}  // namespace
}  // namespace kvd::lease_keeper_test
