// The signals that ask a program to end, on a loop. What was ignored when the program began (nohup) stays so. Does not
// keep the loop alive by itself; it must go before the loop is closed. Loop thread only.
#pragma once
#include <signal.h>
#include <uv.h>

#include <functional>
#include <initializer_list>
#include <vector>

namespace kvd {

class StopSignals {
 public:
  StopSignals(uv_loop_t* loop, std::initializer_list<int> numbers, std::function<void(int)> on_stop);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  int count() const { return count_; }  // how many have come
  bool stopped() const { return count_ > 0; }

 private:
  std::vector<uv_signal_t*> signals_;
  std::function<void(int number)> on_stop_;
  int count_ = 0;
};

}  // namespace kvd
