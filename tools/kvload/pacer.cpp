// See pacer.hpp.
#include "kvload/pacer.hpp"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/check.hpp"

namespace kvd::load {
namespace {

constexpr uint64_t kPaceMin = 50'000;

}  // namespace

Pacer::Pacer(uv_loop_t* loop, std::function<void()> on_time)
    : on_time_(std::move(on_time)),
      poll_(new uv_poll_t),
      fd_(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {
  CHECK(fd_ >= 0);
  CHECK(uv_poll_init(loop, poll_, fd_) == 0);
  poll_->data = this;
  CHECK(uv_poll_start(poll_, UV_READABLE, [](uv_poll_t* poll, int, int) {
          auto* self = static_cast<Pacer*>(poll->data);
          uint64_t times = 0;
          if (read(self->fd_, &times, sizeof times) > 0) self->on_time_();
        }) == 0);
}

Pacer::~Pacer() {
  uv_close(reinterpret_cast<uv_handle_t*>(poll_),
           [](uv_handle_t* closed) { delete reinterpret_cast<uv_poll_t*>(closed); });
  ::close(fd_);
}

void Pacer::start(uint64_t at) {
  at = std::max(at, uv_hrtime() + kPaceMin);
  itimerspec when{};
  when.it_value.tv_sec = static_cast<time_t>(at / 1'000'000'000);
  when.it_value.tv_nsec = static_cast<long>(at % 1'000'000'000);
  timerfd_settime(fd_, TFD_TIMER_ABSTIME, &when, nullptr);
}

void Pacer::stop() {
  const itimerspec never{};
  timerfd_settime(fd_, 0, &never, nullptr);
}

}  // namespace kvd::load
