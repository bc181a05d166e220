// Signals on a loop: those that ask a program to end, and for one that runs a command those that it passes on. What
// was ignored when the program began (nohup) stays so. Does not keep the loop alive by itself; it must go before the
// loop is closed. Loop thread only.
#pragma once
#include <signal.h>
#include <uv.h>

#include <functional>
#include <vector>

namespace kvd::client {

bool asks_to_end(int number);  // SIGHUP, SIGINT, SIGQUIT, SIGTERM
bool asks_to_pause(
    int number);  // what a terminal sends on Ctrl-Z, and to who reads or writes in the background
// All that a program can hear, but those that tell of its own faults and children.
std::vector<int> signals_for_a_command();

class StopSignals {
 public:
  StopSignals(uv_loop_t* loop, const std::vector<int>& numbers, std::function<void(int)> on_stop);
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

}  // namespace kvd::client
