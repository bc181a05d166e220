// The log's own time: what terms and leases are counted by. It runs only while a leader is active, by that leader's
// monotonic clock, and is stamped on every entry. So between two entries it advances by no more than the true time
// that passed, whoever led (oscillators apart), and a wall clock, a suspended machine or a loop that slept counts for
// little. It stands still without a leader: what is counted by it comes late then, and never early. No clock decides
// what is safe: what has expired is what a committed entry says.
//
// A server that follows keeps what its leader said last, and goes on from there when it leads. It believes the newest
// epoch's leader alone, also when that says less than one before: a leader that was deposed without knowing it let its
// clock run beside its successor's, and nothing that was acknowledged counts by what it showed. For the same reason a
// leader tells its clock with its entries alone until it is active: before, it may show what it showed in a reign that
// others had already ended.
#pragma once
#include <cstdint>

#include "base/time.hpp"
#include "msg/types.hpp"

namespace kvd {

class LogClock {
 public:
  uint64_t ms() const { return static_cast<uint64_t>(time_ / milliseconds(1)); }

  // An entry of the log, or a snapshot's: what follows it is never stamped with less.
  void reach(uint64_t ms);
  // What the leader of `epoch` says.
  void hear(Epoch epoch, uint64_t ms);
  // This server leads `epoch`, and is active from now on.
  void start(Epoch epoch, Instant now);
  // Once in each turn from then on. What is longer than `turn_max` was no turn: the loop slept, or the machine did, or
  // a standalone server had nothing to do. 0: it stands still.
  void run(Instant now, Duration turn_max);

 private:
  Duration time_{0};
  Epoch epoch_;  // whose leader it was heard from
  Instant turned_{};
};

}  // namespace kvd
