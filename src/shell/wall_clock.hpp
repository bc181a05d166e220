// What the clock of the machine shows: for people, and for what ends at a moment that other machines know, as a token
// does. It may jump, so nothing else is measured by it. Any thread.
#pragma once
#include <chrono>
#include <cstdint>

namespace kvd {

inline uint64_t wall_ms() {  // since 1970
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(since_1970).count());
}

}  // namespace kvd
