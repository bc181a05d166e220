// Moments as people and programs read them: in UTC (RFC 3339). Pure; any thread. What another machine has said may be
// out of range, and is checked before: a year has four digits.
#pragma once
#include <fmt/chrono.h>

#include <cstdint>
#include <string>

namespace kvd {

// As in 2026-03-01T12:00:00Z.
inline std::string utc_text(int64_t seconds_since_1970) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time_t{seconds_since_1970}));
}

// As in 2026-03-01T12:00:00.250Z, of milliseconds since 1970.
inline std::string utc_text_ms(uint64_t ms) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(static_cast<std::time_t>(ms / 1000)),
                     ms % 1000);
}

}  // namespace kvd
