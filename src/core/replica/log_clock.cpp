// See log_clock.hpp.
#include "core/replica/log_clock.hpp"

#include <algorithm>

#include "core/mutation.hpp"

namespace kvd {

void LogClock::reach(uint64_t ms) {
  time_ = std::max(time_, Duration(milliseconds(static_cast<int64_t>(ms))));
}

void LogClock::hear(Epoch epoch, uint64_t ms) {
  if (epoch < epoch_) return;
  if (epoch > epoch_ && !mutated(Mutation::kDeposedClockKept)) time_ = Duration(0);
  epoch_ = epoch;
  reach(ms);
}

void LogClock::start(Epoch epoch, Instant now) {
  epoch_ = epoch;
  if (mutated(Mutation::kClockWithoutLeader)) time_ += now - turned_;
  turned_ = now;
}

void LogClock::run(Instant now, Duration turn_max) {
  const Duration passed = now - turned_;
  time_ += mutated(Mutation::kStallCounted) ? passed : std::min(passed, turn_max);
  turned_ = now;
}

}  // namespace kvd
