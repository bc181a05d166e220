// Deterministic randomness: the standard's engine (its output is fixed by the standard), without the
// standard's distributions (theirs is not). Seeded by whoever owns the node: the kernel in production, the
// seed in a simulation.
#pragma once
#include <cstdint>
#include <random>

namespace kvd {

class Prng {
 public:
  explicit Prng(uint64_t seed) : engine_(seed) {}

  uint64_t next() { return engine_(); }
  // Uniform in [0, bound); bound > 0. The modulo's bias is below bound / 2^64.
  uint64_t below(uint64_t bound) { return engine_() % bound; }
  // Uniform in [low, high], both included.
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(below(static_cast<uint64_t>(high - low) + 1));
  }
  bool one_in(uint64_t n) { return below(n) == 0; }

 private:
  std::mt19937_64 engine_;
};

}  // namespace kvd
