// SIGINT and SIGTERM on a loop: what measures ends early, and reports what it has. Does not keep the loop alive by
// itself; it must go before the loop is closed. Loop thread only.
#pragma once
#include <uv.h>

#include <functional>

namespace kvd::load {

class StopSignals {
 public:
  StopSignals(uv_loop_t* loop, std::function<void()> on_stop);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  int count() const { return count_; }  // how many have come
  bool stopped() const { return count_ > 0; }

 private:
  uv_signal_t* signals_[2];
  std::function<void()> on_stop_;
  int count_ = 0;
};

}  // namespace kvd::load
