// See stop_signals.hpp.
#include "client/stop_signals.hpp"

#include <utility>

#include "base/check.hpp"

namespace kvd {

StopSignals::StopSignals(uv_loop_t* loop, std::initializer_list<int> numbers,
                         std::function<void(int)> on_stop)
    : on_stop_(std::move(on_stop)) {
  for (const int number : numbers) {
    struct sigaction before {};
    if (sigaction(number, nullptr, &before) == 0 && before.sa_handler == SIG_IGN) continue;
    auto* signal = signals_.emplace_back(new uv_signal_t);
    CHECK(uv_signal_init(loop, signal) == 0);
    signal->data = this;
    const auto come = [](uv_signal_t* handle, int come_number) {
      auto* self = static_cast<StopSignals*>(handle->data);
      ++self->count_;
      self->on_stop_(come_number);
    };
    CHECK(uv_signal_start(signal, come, number) == 0);
    uv_unref(reinterpret_cast<uv_handle_t*>(signal));
  }
}

StopSignals::~StopSignals() {
  for (uv_signal_t* signal : signals_)
    uv_close(reinterpret_cast<uv_handle_t*>(signal),
             [](uv_handle_t* handle) { delete reinterpret_cast<uv_signal_t*>(handle); });
}

}  // namespace kvd
