// See stop_signals.hpp.
#include "kvload/stop_signals.hpp"

#include <signal.h>

#include "base/check.hpp"

namespace kvd::load {

StopSignals::StopSignals(uv_loop_t* loop, std::function<void()> on_stop) : on_stop_(std::move(on_stop)) {
  const int numbers[] = {SIGINT, SIGTERM};
  for (int i = 0; i < 2; ++i) {
    signals_[i] = new uv_signal_t;
    CHECK(uv_signal_init(loop, signals_[i]) == 0);
    signals_[i]->data = this;
    const auto come = [](uv_signal_t* signal, int) {
      auto* self = static_cast<StopSignals*>(signal->data);
      ++self->count_;
      self->on_stop_();
    };
    CHECK(uv_signal_start(signals_[i], come, numbers[i]) == 0);
    uv_unref(reinterpret_cast<uv_handle_t*>(signals_[i]));
  }
}

StopSignals::~StopSignals() {
  for (uv_signal_t* signal : signals_)
    uv_close(reinterpret_cast<uv_handle_t*>(signal),
             [](uv_handle_t* handle) { delete reinterpret_cast<uv_signal_t*>(handle); });
}

}  // namespace kvd::load
