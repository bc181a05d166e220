// A libuv loop and its timers as values with an owner. libuv frees a handle's memory only after a turn of the loop;
// what is here hides that: a Timer may go at any moment, also inside of its own call. Loop thread only.
#pragma once
#include <uv.h>

#include <functional>

#include "base/time.hpp"

namespace kvd::client {

class Loop {
 public:
  Loop();
  ~Loop();  // after everything that lives on it
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  uv_loop_t* get() { return &loop_; }
  void run();   // until stop(), or until nothing is left that could happen
  void stop();  // at the end of this turn

 private:
  uv_loop_t loop_;
};

class Timer {
 public:
  Timer(uv_loop_t* loop, std::function<void()> on_time);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void start(Duration after);  // once; anew if it runs. Rounded up to milliseconds
  void stop();

 private:
  uv_timer_t* timer_;
  std::function<void()> on_time_;
};

// For handles that were allocated by new: libuv is done with them a turn later.
template <class Handle>
void close_handle(Handle* handle) {
  uv_close(reinterpret_cast<uv_handle_t*>(handle),
           [](uv_handle_t* closed) { delete reinterpret_cast<Handle*>(closed); });
}

}  // namespace kvd::client
