// One command as a child process, with all that it starts, in whatever process group or session: a Child is over when
// nothing of it is left. What the command leaves running is stopped, since it would go on without the grant that it was
// started under. Loop thread only.
//
// What gets away: what others start for it (systemd, cron, a daemon of containers, another machine), what this user may
// not signal (setuid), and everything when this program and the guard (guard.hpp) are both killed by SIGKILL.
#pragma once
#include <sys/types.h>
#include <uv.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/command_line.hpp"
#include "base/time.hpp"
#include "client/processes.hpp"
#include "client/say.hpp"
#include "net/loop.hpp"

namespace kvd::client {

struct ChildOptions {
  std::vector<std::string> command;  // the first is looked up in PATH
  std::vector<std::pair<std::string, std::string>>
      environment;              // beside the inherited one, and instead of it
  Duration grace = seconds(2);  // between SIGTERM and SIGKILL
  // The connection that is its grant: kept open until all has ended, also when this program is killed. -1: none.
  int held = -1;
  enum class Streams : uint8_t {
    kInherited,  // input and output are this program's
    kInput,      // it reads `input`; the output is this program's
    // It reads `input`; what it writes to its standard output is kept, up to `output_max` bytes, with more it is
    // stopped; and each line that it writes to its descriptor 3 is told, without the newline and at most its first
    // `progress_max` bytes.
    kPiped,
  };
  Streams streams = Streams::kInherited;
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
  std::vector<pid_t> survivors;                                     // of SIGKILL
  int code() const { return signal != 0 ? 128 + signal : status; }  // as shells have it
};

// When start() has said `error`: the exit code that shells have for it, and a line.
CommandEnd start_failure(const std::vector<std::string>& command, int error);
void say_survivors(Say& say, const ChildEnd& end);  // of a command that runs alone

class Child {
 public:
  // `on_end` is called once, when start() has returned 0, and may destroy the Child.
  Child(uv_loop_t* loop, ChildOptions options, std::function<void(const ChildEnd&)> on_end);
  ~Child();  // kills what still runs
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // 0, or libuv's error: then nothing runs.
  int start();
  // To the command's process group; to all that runs what stops (SIGSTOP for SIGTSTP and the like, which means nothing
  // without a terminal) and what continues.
  void pass_on(int number);
  // That connection is the grant from here on, and is kept open in place of ChildOptions::held.
  void keep_open(int held);
  void stop();  // SIGTERM, and SIGKILL after the grace time; again: nothing more

 private:
  struct Pipe;
  using Take = void (Child::*)(std::string_view bytes);

  int start_piped(int input);
  int spawn(const std::vector<int>& descriptors);
  Pipe* listen(int fd, Take take);
  void take_output(std::string_view bytes);
  void take_progress(std::string_view bytes);
  void take_report(std::string_view bytes);
  void drain(Pipe* pipe);
  void signal_all(int number, Guarded guarded);
  void kill();
  void on_guard_end();

  uv_loop_t* loop_;
  ChildOptions options_;
  std::function<void(const ChildEnd&)> on_end_;
  pid_t guard_ = 0;           // 0: nothing runs
  pid_t group_ = 0;           // the command's
  Pipe* report_ = nullptr;    // of the guard; frees itself when libuv is done with it
  Pipe* output_ = nullptr;    // likewise
  Pipe* progress_ = nullptr;  // likewise
  std::string status_;        // the bytes of what wait(2) says
  std::string line_;          // of progress, so far
  ChildEnd end_;
  bool stopping_ = false;
  int kills_ = 0;
  net::Timer grace_;
  net::Timer look_again_;
};

}  // namespace kvd::client
