// Instants and durations as values. There is deliberately no now(): whoever needs the time is handed it, so
// that a simulator owns the clock. Resolution: one microsecond; range: about 292,000 years.
#pragma once
#include <chrono>
#include <cstdint>

namespace kvd {

using Duration = std::chrono::microseconds;

struct MonotonicClock {  // satisfies what std::chrono asks of a clock's name, without a now()
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<MonotonicClock, Duration>;
  static constexpr bool is_steady = true;
};

using Instant = MonotonicClock::time_point;

inline constexpr Instant kNever = Instant::max();

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int64_t to_us(Instant at) { return at.time_since_epoch().count(); }
constexpr int64_t to_ms(Duration span) { return std::chrono::duration_cast<milliseconds>(span).count(); }

}  // namespace kvd
