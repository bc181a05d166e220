// Until when something certainly holds that a server has promised: also on a machine that was suspended meanwhile. Loop
// thread only.
#pragma once
#include "base/time.hpp"
#include "net/loop.hpp"

namespace kvd::client {

// By a clock that also runs while the machine is suspended; no timer follows it.
Duration since_boot();
inline constexpr Duration kClockTick = milliseconds(500);  // how often to look at it

// The timer stands still while the machine is suspended; what is left does not.
struct Deadline {
  net::Timer timer;
  Duration due{0};  // since boot
  void start(Duration after);
  Duration left() const;  // 0: it is over
};

}  // namespace kvd::client
