// A histogram of durations with a bounded relative error, after Gil Tene's HdrHistogram (which Debian 12 has for
// Java and Go only): 128 steps to each power of two, so that what is read back is at most 0.8 % above what was
// recorded. Nanoseconds, 0 to 18 minutes; longer ones count as that. Recording never allocates.
#pragma once
#include <cstdint>
#include <vector>

namespace kvd::load {

class Histogram {
 public:
  Histogram();

  void record(uint64_t ns, uint64_t times = 1);
  void add(const Histogram& other);
  void clear();

  uint64_t count() const { return count_; }
  uint64_t max() const { return max_; }  // exact
  uint64_t min() const { return count_ == 0 ? 0 : min_; }
  double mean() const;
  // The value that `percent` of all are not above; 100 is the maximum. Nothing recorded: 0.
  uint64_t percentile(double percent) const;

  // For each step that holds something, in ascending order: its highest value and how many there are up to it.
  struct Step {
    uint64_t ns = 0;
    uint64_t up_to = 0;
  };
  std::vector<Step> steps() const;

 private:
  std::vector<uint64_t> counts_;
  uint64_t count_ = 0;
  uint64_t sum_ = 0;
  uint64_t max_ = 0;
  uint64_t min_ = UINT64_MAX;
};

}  // namespace kvd::load
