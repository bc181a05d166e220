// See loop.hpp.
#include "net/loop.hpp"

#include <utility>

#include "base/check.hpp"

namespace kvd::net {

Loop::Loop() { CHECK(uv_loop_init(&loop_) == 0); }

Loop::~Loop() {
  uv_run(&loop_, UV_RUN_DEFAULT);  // what is being closed
  CHECK(uv_loop_close(&loop_) == 0);
}

void Loop::run() { uv_run(&loop_, UV_RUN_DEFAULT); }
void Loop::stop() { uv_stop(&loop_); }

Timer::Timer(uv_loop_t* loop, std::function<void()> on_time)
    : state_(new_state<HandleWithCall<uv_timer_t>>()) {
  CHECK(uv_timer_init(loop, &state_->uv) == 0);
  state_->call = std::move(on_time);
}

void Timer::start(Duration after) {
  const auto fired = [](uv_timer_t* timer) { static_cast<HandleWithCall<uv_timer_t>*>(timer->data)->call(); };
  uv_update_time(state_->uv.loop);
  const auto ms = static_cast<uint64_t>(std::chrono::ceil<milliseconds>(after).count());
  CHECK(uv_timer_start(&state_->uv, fired, ms, 0) == 0);
}

void Timer::stop() { uv_timer_stop(&state_->uv); }
bool Timer::running() const { return uv_is_active(reinterpret_cast<const uv_handle_t*>(&state_->uv)) != 0; }

NextTurn::NextTurn(uv_loop_t* loop, std::function<void()> on_turn)
    : state_(new_state<HandleWithCall<uv_idle_t>>()) {
  CHECK(uv_idle_init(loop, &state_->uv) == 0);
  state_->call = std::move(on_turn);
}

void NextTurn::ask() {
  const auto turned = [](uv_idle_t* idle) {
    uv_idle_stop(idle);
    static_cast<HandleWithCall<uv_idle_t>*>(idle->data)->call();
  };
  CHECK(uv_idle_start(&state_->uv, turned) == 0);
}

}  // namespace kvd::net
