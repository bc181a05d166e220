// Which key comes next, and how large a value is. Deterministic for a seed; pure, no clock. The zipfian choice is that
// of Gray et al., "Quickly generating billion-record synthetic databases" (1994), as YCSB has it, with the popular
// keys spread over the whole range so that a server which keeps its keys in order gains nothing from their order.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/prng.hpp"
#include "base/result.hpp"

namespace kvd::load {

enum class KeyOrder : uint8_t { kUniform, kZipfian, kSequential };

class KeyChooser {
 public:
  // `keys` > 0. `theta` above 0 and below 1, for kZipfian: the larger, the more is asked of few keys.
  KeyChooser(KeyOrder order, uint64_t keys, double theta, uint64_t seed);

  uint64_t next();  // below `keys`

 private:
  uint64_t zipfian_rank();

  KeyOrder order_;
  uint64_t keys_;
  uint64_t sequence_ = 0;
  Prng random_;
  double theta_;
  double zeta_ = 0;
  double alpha_ = 0;
  double eta_ = 0;
  uint64_t spread_ = 1;  // has no divisor in common with keys_: multiplying by it permutes them
};

// "100", "10-1000" (evenly), or "100:90,10000:10" (each with its weight).
class SizeChooser {
 public:
  static Result<SizeChooser> parse(std::string_view text);

  size_t next(Prng& random) const;
  size_t max() const;
  double mean() const;

 private:
  struct Part {
    size_t low = 0;
    size_t high = 0;
    uint64_t weight = 1;
  };
  std::vector<Part> parts_{{100, 100, 1}};
  uint64_t weights_ = 1;
};

}  // namespace kvd::load
