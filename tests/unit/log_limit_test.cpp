// The limit on lines that repeat themselves: which of them are said and when, and which pass for the same. Numbers
// stand in for the clock.
#include "shell/log_limit.hpp"

#include <doctest.h>
#include <fmt/format.h>

#include <vector>

namespace kvd {
namespace {

constexpr uint64_t kSecond = 1000;
constexpr uint64_t kMinute = 60 * kSecond;
constexpr uint64_t kHour = 60 * kMinute;

TEST_CASE("a line that is heard on and on is said at growing intervals, with the number of those between") {
  LogLimit limit;
  std::vector<uint64_t> said;
  uint64_t heard = 0;
  uint64_t counted = 0;
  for (uint64_t now = 0; now <= 5 * kHour; now += 100) {
    ++heard;
    const auto left_out = limit.heard("refused", now);
    if (!left_out) continue;
    said.push_back(now / kSecond);
    counted += *left_out + 1;
    if (now == 0) CHECK(*left_out == 0);
  }
  const std::vector<uint64_t> first{0, 10, 30, 70, 150, 310, 630, 1230, 1830};
  REQUIRE(said.size() > first.size());
  CHECK(std::vector<uint64_t>(said.begin(), said.begin() + 9) == first);
  CHECK(said.size() <= 6 + 5 * 6);
  CHECK(heard - counted < 6000);  // since the last one
}

TEST_CASE("what was silent for a minute is said at once again, and not sooner") {
  LogLimit limit;
  CHECK(limit.heard("refused", 0));
  CHECK_FALSE(limit.heard("refused", kSecond));
  CHECK(limit.heard("refused", kSecond + kMinute) == 0);
  CHECK_FALSE(limit.heard("refused", kSecond + kMinute + 9 * kSecond));
  CHECK(limit.heard("refused", kSecond + kMinute + 10 * kSecond) == 1);
}

TEST_CASE("lines are the same when only their numbers differ") {
  LogLimit limit;
  CHECK(limit.heard("Socket [127.0.0.1:2181] retcode=-4, errno=111(Connection refused)", 0));
  CHECK_FALSE(limit.heard("Socket [127.0.0.2:2182] retcode=-4, errno=111(Connection refused)", 1));
  CHECK(limit.heard("Socket [127.0.0.1:2181] retcode=-4, errno=104(Connection reset by peer)", 2));
  CHECK(limit.heard("sessionId=0x10f00ba has expired", 3));
  CHECK_FALSE(limit.heard("sessionId=0x2bad has expired", 4));
  CHECK(limit.heard("late by 12ms", 5));
  CHECK_FALSE(limit.heard("late by 7ms", 6));
  CHECK(limit.heard("", 7));
  CHECK_FALSE(limit.heard("", 8));
}

TEST_CASE("ever new lines are not said for ever") {
  LogLimit limit;
  size_t said = 0;
  for (uint64_t now = 0; now < kMinute; now += 10) {
    if (limit.heard(fmt::format("trouble {}", std::string(now / 10 + 1, 'x')), now)) ++said;
  }
  CHECK(said == 32);
  CHECK(limit.heard("another day", kHour));
}

}  // namespace
}  // namespace kvd
