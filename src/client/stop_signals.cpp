// See stop_signals.hpp.
#include "client/stop_signals.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.hpp"

namespace kvd::client {

namespace {

constexpr std::array kEnd = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
constexpr std::array kPause = {SIGTSTP, SIGTTIN, SIGTTOU};
// SIGPIPE and SIGXFSZ say that an own write failed, which the write says, too.
constexpr std::array kOwn = {SIGABRT, SIGBUS,  SIGCHLD, SIGFPE,  SIGILL, SIGKILL, SIGPIPE,
                             SIGSEGV, SIGSTOP, SIGSYS,  SIGTRAP, SIGURG, SIGXFSZ};

bool is_among(const auto& numbers, int number) {
  return std::find(numbers.begin(), numbers.end(), number) != numbers.end();
}

}  // namespace

bool asks_to_end(int number) { return is_among(kEnd, number); }
bool asks_to_pause(int number) { return is_among(kPause, number); }

std::vector<int> signals_for_a_command() {
  std::vector<int> all;
  for (int number = 1; number <= SIGRTMAX; ++number) {
    const bool of_the_library = number > SIGSYS && number < SIGRTMIN;
    if (!of_the_library && !is_among(kOwn, number)) all.push_back(number);
  }
  return all;
}

StopSignals::StopSignals(uv_loop_t* loop, const std::vector<int>& numbers, std::function<void(int)> on_stop)
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

}  // namespace kvd::client
