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
  // True: it reads `input`; what it writes to its standard output is kept, up to `output_max` bytes, with more it is
  // stopped; and each line that it writes to its descriptor 3 is told, without the newline and at most its first
  // `progress_max` bytes. False: input and output are this program's.
  bool piped = false;
  std::string input;
  size_t output_max = 0;
  size_t progress_max = 0;
  std::function<void(const std::string& line)> on_progress = nullptr;  // may not destroy the Child
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
  struct Pipe;
  using Take = void (Child::*)(std::string_view bytes);

  int start_piped(int input);
  int spawn(const std::vector<int>& fds);
  Pipe* listen(int fd, Take take);
  void take_output(std::string_view bytes);
  void take_progress(std::string_view bytes);
  void drain(Pipe* pipe);
  void on_exit(int64_t status, int signal);
  void look();
  bool group_is_gone();

  uv_loop_t* loop_;
  ChildOptions options_;
  std::function<void(const ChildEnd&)> on_end_;
  uv_process_t* process_ = nullptr;
  int group_ = 0;             // 0: nothing runs
  Pipe* output_ = nullptr;    // frees itself when libuv is done with it
  Pipe* progress_ = nullptr;  // likewise
  std::string line_;          // of progress, so far
  ChildEnd end_;
  bool stopping_ = false;
  uint64_t killed_at_ = 0;  // ns; 0: not yet
  Timer grace_;
  Timer look_again_;
};

}  // namespace kvd
