// See deadline.hpp.
#include "client/deadline.hpp"

#include <time.h>

#include <algorithm>
#include <chrono>

namespace kvd::client {

Duration since_boot() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return seconds(now.tv_sec) + std::chrono::duration_cast<Duration>(std::chrono::nanoseconds(now.tv_nsec));
}

void Deadline::start(Duration after) {
  due = since_boot() + after;
  timer.start(after);
}

Duration Deadline::left() const { return std::max(due - since_boot(), Duration(0)); }

}  // namespace kvd::client
