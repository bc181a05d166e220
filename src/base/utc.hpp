// Moments as the commands print them: in UTC, to the second. Pure; any thread. What a server has said may be out of
// range, and is checked before.
#pragma once
#include <fmt/chrono.h>

#include <ctime>
#include <string>

namespace kvd {

// As in 2026-03-01T12:00:00Z (RFC 3339), of seconds since 1970 in a year of four digits.
inline std::string utc_text(std::time_t seconds) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(seconds));
}

}  // namespace kvd
