// See histogram.hpp. Below 256 every value has a counter of its own; from there on the highest eight bits choose it.
#include "kvload/histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace kvd::load {
namespace {

constexpr int kStepBits = 7;
constexpr uint64_t kSteps = uint64_t{1} << kStepBits;
constexpr int kValueBits = 40;
constexpr uint64_t kValueMax = (uint64_t{1} << kValueBits) - 1;
constexpr size_t kCounters = (kValueBits - kStepBits + 1) * kSteps;

size_t index_of(uint64_t ns) {
  const uint64_t value = std::min(ns, kValueMax);
  const int shift = std::max(0, static_cast<int>(std::bit_width(value)) - kStepBits - 1);
  return static_cast<size_t>(shift) * kSteps + (value >> shift);
}

uint64_t highest_at(size_t index) {
  if (index < 2 * kSteps) return index;
  const size_t shift = index / kSteps - 1;
  return ((index - shift * kSteps + 1) << shift) - 1;
}

}  // namespace

Histogram::Histogram() : counts_(kCounters) {}

void Histogram::record(uint64_t ns, uint64_t times) {
  if (times == 0) return;
  counts_[index_of(ns)] += times;
  count_ += times;
  sum_ += ns * times;
  max_ = std::max(max_, ns);
  min_ = std::min(min_, ns);
}

void Histogram::add(const Histogram& other) {
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
  min_ = std::min(min_, other.min_);
}

void Histogram::clear() {
  if (count_ == 0) return;
  std::fill(counts_.begin(), counts_.end(), 0);
  count_ = sum_ = max_ = 0;
  min_ = UINT64_MAX;
}

double Histogram::mean() const {
  return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

uint64_t Histogram::percentile(double percent) const {
  if (count_ == 0) return 0;
  const double wanted = std::ceil(static_cast<double>(count_) * percent / 100);
  const uint64_t rank = std::clamp<uint64_t>(static_cast<uint64_t>(wanted), 1, count_);
  if (rank == count_) return max_;
  uint64_t seen = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen >= rank) return std::min(highest_at(i), max_);
  }
  return max_;
}

std::vector<Histogram::Step> Histogram::steps() const {
  std::vector<Step> list;
  uint64_t seen = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] == 0) continue;
    seen += counts_[i];
    list.push_back({std::min(highest_at(i), max_), seen});
  }
  return list;
}

}  // namespace kvd::load
