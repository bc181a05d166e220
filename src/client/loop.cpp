// See loop.hpp.
#include "client/loop.hpp"

#include <utility>

#include "base/check.hpp"

namespace kvd::client {

Loop::Loop() { CHECK(uv_loop_init(&loop_) == 0); }

Loop::~Loop() {
  uv_run(&loop_, UV_RUN_DEFAULT);  // what is being closed
  CHECK(uv_loop_close(&loop_) == 0);
}

void Loop::run() { uv_run(&loop_, UV_RUN_DEFAULT); }
void Loop::stop() { uv_stop(&loop_); }

Timer::Timer(uv_loop_t* loop, std::function<void()> on_time)
    : timer_(new uv_timer_t), on_time_(std::move(on_time)) {
  CHECK(uv_timer_init(loop, timer_) == 0);
  timer_->data = this;
}

Timer::~Timer() { close_handle(timer_); }

void Timer::start(Duration after) {
  const auto fired = [](uv_timer_t* timer) {
    const auto call = static_cast<Timer*>(timer->data)->on_time_;  // its owner may go meanwhile
    call();
  };
  uv_update_time(timer_->loop);
  const auto ms = static_cast<uint64_t>(std::chrono::ceil<milliseconds>(after).count());
  CHECK(uv_timer_start(timer_, fired, ms, 0) == 0);
}

void Timer::stop() { uv_timer_stop(timer_); }

}  // namespace kvd::client
