// One command as a child process, in a process group of its own, so that what it starts is stopped with it. A Child
// is over when its command has ended and nothing is left in that group: what a command leaves running there is
// stopped too, since it would go on without the grant that it was started under. Loop thread only.
//
// What gets away: a process that leaves the group (setsid), and everything when this program itself is killed by
// SIGKILL.
#pragma once
#include <uv.h>

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "client/loop.hpp"

namespace kvd {

struct ChildOptions {
  std::vector<std::string> command;  // the first is looked up in PATH
  std::vector<std::pair<std::string, std::string>>
      environment;              // beside the inherited one, and instead of it
  Duration grace = seconds(2);  // between SIGTERM and SIGKILL
  // True: it reads `input`, and what it writes to its standard output is kept, up to `output_max` bytes; with more it
  // is stopped. False: both are this program's.
  bool piped = false;
  std::string input;
  size_t output_max = 0;
};

struct ChildEnd {
  int status = 0;  // of exit, when `signal` is 0
  int signal = 0;
  std::string output;
  bool too_much_output = false;
  int code() const { return signal != 0 ? 128 + signal : status; }  // as shells have it
};

class Child {
 public:
  // `on_end` is called once, when start() has returned 0, and may destroy the Child.
  Child(uv_loop_t* loop, ChildOptions options, std::function<void(const ChildEnd&)> on_end);
  ~Child();  // kills what still runs
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // 0, or libuv's error: then nothing runs.
  int start();
  void signal(int number);  // to the group
  void stop();              // SIGTERM, and SIGKILL after the grace time; again: nothing more

 private:
  struct Output;

  int spawn(int input, int output);
  void listen(int output);
  void take(std::string_view bytes);
  void drain();
  void on_exit(int64_t status, int signal);
  void look();
  bool group_is_gone();

  uv_loop_t* loop_;
  ChildOptions options_;
  std::function<void(const ChildEnd&)> on_end_;
  uv_process_t* process_ = nullptr;
  int group_ = 0;             // 0: nothing runs
  Output* output_ = nullptr;  // frees itself when libuv is done with it
  ChildEnd end_;
  bool stopping_ = false;
  uint64_t killed_at_ = 0;  // ns; 0: not yet
  Timer grace_;
  Timer look_again_;
};

}  // namespace kvd
