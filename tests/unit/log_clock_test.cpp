// The log's clock: by whose word it goes, and what it does not count. The simulator holds it against the true time
// (tests/sim/checkers.cpp).
#include "core/replica/log_clock.hpp"

#include <doctest.h>

namespace kvd::log_clock_test {
namespace {

constexpr Duration kTurn = milliseconds(100);

Instant at(int64_t ms) { return Instant(milliseconds(ms)); }

}  // namespace

TEST_CASE("log clock: it runs while this server leads, and no turn counts for more than a turn") {
  LogClock clock;
  clock.start(Epoch(1), at(5000));
  CHECK(clock.ms() == 0);
  clock.run(at(5040), kTurn);
  CHECK(clock.ms() == 40);
  clock.run(at(65'000), kTurn);  // the loop slept for a minute
  CHECK(clock.ms() == 140);
}

TEST_CASE("log clock: parts of a millisecond add up") {
  LogClock clock;
  clock.start(Epoch(1), at(0));
  for (int i = 1; i <= 2500; ++i) clock.run(Instant(Duration(i * 400)), kTurn);
  CHECK(clock.ms() == 1000);
}

TEST_CASE("log clock: a successor goes on where it heard the leader last") {
  LogClock clock;
  clock.hear(Epoch(1), 700);
  clock.hear(Epoch(1), 650);  // on its way for longer
  CHECK(clock.ms() == 700);
  clock.start(Epoch(2), at(90'000));
  clock.run(at(90'030), kTurn);
  CHECK(clock.ms() == 730);
}

TEST_CASE("log clock: who was deposed without knowing it takes over its successor's") {
  LogClock clock;
  clock.start(Epoch(1), at(0));
  clock.run(at(90), kTurn);
  clock.hear(Epoch(2), 20);
  CHECK(clock.ms() == 20);
  clock.hear(Epoch(1), 80);  // late
  CHECK(clock.ms() == 20);
}

TEST_CASE("log clock: it is never behind an entry that is there") {
  LogClock clock;
  clock.hear(Epoch(3), 10);
  clock.reach(50);
  clock.start(Epoch(4), at(0));
  clock.run(at(1), kTurn);
  CHECK(clock.ms() == 51);
}

}  // namespace kvd::log_clock_test
