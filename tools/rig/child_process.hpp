// A process that a test starts and that never outlives it: killed by its pid on destruction, and by the
// kernel when the test itself is killed. Start it from the test's main thread.
#pragma once
#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"

namespace kvd::testing {

class ChildProcess {
 public:
  ChildProcess() = default;
  ~ChildProcess();  // SIGKILL, if it still runs
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // argv[0] is looked up in PATH. What it writes is appended to the file `output`. Must not be running.
  void start(const std::vector<std::string>& argv, const std::string& output);
  bool running();
  pid_t pid() const { return pid_; }
  void signal(int number);
  // Its status as of waitpid(2); empty: it still runs after `limit`. Not running: the status it ended with.
  std::optional<int> wait(Duration limit);
  void kill();                              // SIGKILL, and waits until it is gone
  std::optional<int> stop(Duration limit);  // SIGTERM and wait()
  void pause();   // SIGSTOP, and waits until all its threads stand still (or it is gone)
  void resume();  // SIGCONT

 private:
  pid_t pid_ = 0;  // 0: none
  std::optional<int> status_;
};

}  // namespace kvd::testing
