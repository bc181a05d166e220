// A libuv loop, its timers and its next turn as values with an owner: each may go at any moment, also inside of its own
// call, and calls nobody any more. Loop thread only.
#pragma once
#include <functional>

#include "base/time.hpp"
#include "net/handle.hpp"

namespace kvd::net {

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

template <class Handle>
struct HandleWithCall {
  Handle uv;
  std::function<void()> call;
};

class Timer {
 public:
  Timer(uv_loop_t* loop, std::function<void()> on_time);

  void start(Duration after);  // once; anew if it runs. Rounded up to milliseconds
  void stop();
  bool running() const;

 private:
  Owned<HandleWithCall<uv_timer_t>> state_;
};

class NextTurn {
 public:
  NextTurn(uv_loop_t* loop, std::function<void()> on_turn);

  void ask();  // for one call in the loop's next turn; the loop does not sleep until then

 private:
  Owned<HandleWithCall<uv_idle_t>> state_;
};

}  // namespace kvd::net
