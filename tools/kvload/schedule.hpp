// When the requests of an open loop were meant to start: one every so often, whatever the answers do. A request that
// could not be sent in time, because everything before it hangs, still counts from that moment (Tene's "coordinated
// omission" is to count from when it was sent, which hides the very stalls that matter). Pure; nanoseconds.
#pragma once
#include <algorithm>
#include <cstdint>

#include "kvload/histogram.hpp"

namespace kvd::load {

class Schedule {
 public:
  // `rate` requests per second from `start` on, until just before `end`.
  Schedule(double rate, uint64_t start, uint64_t end) : interval_(1e9 / rate), start_(start), end_(end) {}

  uint64_t intended(uint64_t number) const {
    return start_ + static_cast<uint64_t>(static_cast<double>(number) * interval_);
  }
  // How many are meant to have started by `now`.
  uint64_t due(uint64_t now) const {
    if (now < start_) return 0;
    const double last = static_cast<double>(std::min(now, end_ - 1) - start_);
    return static_cast<uint64_t>(last / interval_) + 1;
  }
  bool is_due(uint64_t now) const { return taken_ < due(now); }
  uint64_t take() { return intended(taken_++); }  // the next one's intended start
  uint64_t next() const { return intended(taken_); }
  bool exhausted() const { return intended(taken_) >= end_; }

  // Those that never were sent have waited since their intended start: at `now` they go into `latency` with what they
  // have waited so far. How many that are.
  uint64_t give_up(uint64_t now, Histogram& latency) {
    const uint64_t first = taken_;
    while (is_due(now)) latency.record(now - std::min(now, take()));
    return taken_ - first;
  }

 private:
  double interval_;
  uint64_t start_;
  uint64_t end_;
  uint64_t taken_ = 0;
};

}  // namespace kvd::load
