// How kvload chooses keys and sizes: within bounds, the same for a seed, and as skewed as promised. Counted over many
// draws from fixed seeds, so that it cannot fail by chance.
#include "kvload/distributions.hpp"

#include <doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace kvd::load {
namespace {

std::vector<uint64_t> counts(KeyOrder order, uint64_t keys, size_t draws) {
  KeyChooser chooser(order, keys, 0.99, 7);
  std::vector<uint64_t> list(keys);
  for (size_t i = 0; i < draws; ++i) ++list.at(chooser.next());
  return list;
}

}  // namespace

TEST_CASE("a sequence visits every key in turn") {
  KeyChooser chooser(KeyOrder::kSequential, 3, 0.99, 1);
  for (const uint64_t expected : {0, 1, 2, 0, 1}) CHECK(chooser.next() == expected);
}

TEST_CASE("a uniform choice favours nobody") {
  for (const uint64_t count : counts(KeyOrder::kUniform, 10, 100'000))
    CHECK(std::abs(int64_t(count) - 10'000) < 500);
}

TEST_CASE("a zipfian choice gives the most popular keys what the law says") {
  constexpr uint64_t kKeys = 1000;
  constexpr size_t kDraws = 200'000;
  std::vector<uint64_t> list = counts(KeyOrder::kZipfian, kKeys, kDraws);
  double zeta = 0;
  for (uint64_t i = 1; i <= kKeys; ++i) zeta += 1 / std::pow(double(i), 0.99);
  const auto popular = std::max_element(list.begin(), list.end());
  CHECK(double(*popular) / kDraws == doctest::Approx(1 / zeta).epsilon(0.05));
  std::vector<uint64_t> sorted = list;
  std::sort(sorted.rbegin(), sorted.rend());
  CHECK(double(sorted[1]) / kDraws == doctest::Approx(std::pow(0.5, 0.99) / zeta).epsilon(0.05));
  // The popular ones do not stand together.
  const auto at = [&](size_t rank) {
    return std::find(list.begin(), list.end(), sorted[rank]) - list.begin();
  };
  CHECK(std::abs(at(0) - at(1)) > 1);
}

TEST_CASE("a zipfian choice of very few keys stays within them") {
  for (const uint64_t keys : {1, 2, 3}) {
    const auto list = counts(KeyOrder::kZipfian, keys, 1000);
    CHECK(std::all_of(list.begin(), list.end(), [](uint64_t count) { return count > 0; }));
  }
}

TEST_CASE("the same seed gives the same keys") {
  KeyChooser one(KeyOrder::kZipfian, 100, 0.9, 42);
  KeyChooser other(KeyOrder::kZipfian, 100, 0.9, 42);
  for (int i = 0; i < 100; ++i) CHECK(one.next() == other.next());
}

TEST_CASE("sizes: fixed, even, weighted") {
  Prng random(1);
  CHECK(SizeChooser::parse("100")->next(random) == 100);
  const auto even = SizeChooser::parse("10-20");
  CHECK(even->max() == 20);
  CHECK(even->mean() == 15);
  for (int i = 0; i < 100; ++i) {
    const size_t size = even->next(random);
    CHECK(size >= 10);
    CHECK(size <= 20);
  }
  const auto weighted = SizeChooser::parse("100:90,10000:10");
  CHECK(weighted->mean() == doctest::Approx(1090));
  int large = 0;
  for (int i = 0; i < 10'000; ++i) large += weighted->next(random) == 10'000 ? 1 : 0;
  CHECK(large > 800);
  CHECK(large < 1200);
}

TEST_CASE("sizes with units") {
  CHECK(SizeChooser::parse("64K")->max() == 64 * 1024);
  CHECK(SizeChooser::parse("16M")->max() == 16 * 1024 * 1024);
  CHECK(SizeChooser::parse("1K-3K")->mean() == 2048);
  CHECK(SizeChooser::parse("1K:3,5K:1")->mean() == 2048);
}

TEST_CASE("sizes that make no sense are refused") {
  for (const char* text : {"", "x", "10-", "20-10", "10:0", "10,", "99999999999", "10 20", "K", "64k", "64KB",
                           "17M", "1G", "-5", "1K:2K", "1.5M"})
    CHECK_MESSAGE(!SizeChooser::parse(text), text);
}

}  // namespace kvd::load
