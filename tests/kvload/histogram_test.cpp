// What the histogram gives back is what was put in, to within its promised error; and an open loop's requests count
// from when they were meant to start.
#include "kvload/histogram.hpp"

#include <doctest.h>

#include "kvload/schedule.hpp"

namespace kvd::load {

TEST_CASE("an empty histogram is all zeros") {
  const Histogram histogram;
  CHECK(histogram.count() == 0);
  CHECK(histogram.percentile(99) == 0);
  CHECK(histogram.min() == 0);
  CHECK(histogram.mean() == 0);
  CHECK(histogram.steps().empty());
}

TEST_CASE("values come back at most 0.8 % larger, and never smaller") {
  for (uint64_t value = 1; value < (uint64_t{1} << 39); value = value * 3 / 2 + 1) {
    Histogram histogram;
    histogram.record(value);
    histogram.record(UINT64_MAX / 4);  // so that the maximum does not hide the step
    const uint64_t read = histogram.percentile(50);
    CHECK(read >= value);
    CHECK(double(read) <= double(value) * 1.008);
  }
}

TEST_CASE("percentiles of 1 to 1000") {
  Histogram histogram;
  for (uint64_t i = 1; i <= 1000; ++i) histogram.record(i * 1000);
  CHECK(double(histogram.percentile(50)) == doctest::Approx(500e3).epsilon(0.008));
  CHECK(double(histogram.percentile(99)) == doctest::Approx(990e3).epsilon(0.008));
  CHECK(double(histogram.percentile(99.9)) == doctest::Approx(999e3).epsilon(0.008));
  CHECK(histogram.percentile(100) == 1'000'000);
  CHECK(histogram.max() == 1'000'000);
  CHECK(histogram.min() == 1000);
  CHECK(histogram.mean() == doctest::Approx(500.5e3));
}

TEST_CASE("histograms add up, and steps count all of it") {
  Histogram one;
  Histogram other;
  one.record(10, 3);
  other.record(20'000);
  one.add(other);
  CHECK(one.count() == 4);
  CHECK(one.min() == 10);
  CHECK(one.max() == 20'000);
  const auto steps = one.steps();
  REQUIRE(steps.size() == 2);
  CHECK(steps[0].up_to == 3);
  CHECK(steps[1].up_to == 4);
  one.clear();
  CHECK(one.count() == 0);
  CHECK(one.percentile(100) == 0);
}

TEST_CASE("a schedule says when each request was meant to start") {
  Schedule schedule(1000, 5'000'000, 15'000'000);  // every millisecond, ten times
  CHECK(schedule.due(4'999'999) == 0);
  CHECK(schedule.due(5'000'000) == 1);
  CHECK(schedule.due(8'500'000) == 4);
  CHECK(schedule.due(99'000'000) == 10);
  CHECK(schedule.take() == 5'000'000);
  CHECK(schedule.take() == 6'000'000);
  CHECK(schedule.is_due(7'000'000));
  CHECK(!schedule.is_due(6'999'999));
  CHECK(!schedule.exhausted());
}

TEST_CASE("what was never sent has waited since it was meant to start") {
  Schedule schedule(1000, 0, 10'000'000);
  for (int i = 0; i < 4; ++i) schedule.take();
  Histogram latency;
  CHECK(schedule.give_up(10'000'000, latency) == 6);  // meant for 4 to 9 ms
  CHECK(latency.count() == 6);
  CHECK(latency.max() == 6'000'000);
  CHECK(latency.min() == 1'000'000);
  CHECK(schedule.exhausted());
}

}  // namespace kvd::load
