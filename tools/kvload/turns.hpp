// A loop of libuv that a measurement turns while it waits for something, with a tick of a millisecond meanwhile. Loop
// thread only.
#pragma once
#include <uv.h>

#include <functional>
#include <utility>

#include "base/time.hpp"
#include "net/loop.hpp"

namespace kvd::load {

class Turns {
 public:
  explicit Turns(std::function<void()> on_tick) : on_tick_(std::move(on_tick)) {}

  uv_loop_t* loop() { return loop_.get(); }
  // Until `done` says so, or the time is over. What `done` says at last.
  bool wait(double seconds, const std::function<bool()>& done) {
    const uint64_t end = uv_hrtime() + static_cast<uint64_t>(seconds * 1e9);
    ticker_.start(kTick);
    while (!done() && uv_hrtime() < end) uv_run(loop_.get(), UV_RUN_ONCE);
    return done();
  }

 private:
  static constexpr Duration kTick = milliseconds(1);

  std::function<void()> on_tick_;
  net::Loop loop_;
  net::Timer ticker_{loop_.get(), [this] {
                       ticker_.start(kTick);
                       on_tick_();
                     }};
};

}  // namespace kvd::load
