// A wake-up on a loop to within microseconds, where libuv's timers know milliseconds only: what paces an open loop. Loop
// thread only; it must go before the loop is closed.
#pragma once
#include <uv.h>

#include <cstdint>
#include <functional>

namespace kvd::load {

class Pacer {
 public:
  Pacer(uv_loop_t* loop, std::function<void()> on_time);
  ~Pacer();
  Pacer(const Pacer&) = delete;
  Pacer& operator=(const Pacer&) = delete;

  // Once, by uv_hrtime(), though not at once: a wake-up costs more than sending a few together. Anew if it runs.
  void start(uint64_t at);
  void stop();

 private:
  std::function<void()> on_time_;
  uv_poll_t* poll_;
  int fd_;
};

}  // namespace kvd::load
