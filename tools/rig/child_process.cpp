// Child processes by fork and exec: see the header. Not posix_spawn, which cannot ask the kernel to end the
// child with its parent.
#include "rig/child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "base/check.hpp"

namespace kvd::testing {

ChildProcess::~ChildProcess() { kill(); }

void ChildProcess::start(const std::vector<std::string>& argv, const std::string& output) {
  CHECK(!running());
  status_.reset();
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  pid_ = fork();
  CHECK(pid_ >= 0);
  if (pid_ > 0) return;

  // In the child, where only what is safe in a signal handler may be called:
  // other threads' locks are as they were.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(126);  // too late for that
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int out = open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (out < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0) _exit(126);
  // Some libraries' sockets are inherited (the ZooKeeper client's): a child that held one would keep it open.
  if (close_range(3, ~0u, 0) != 0) _exit(126);
  execvp(arguments[0], arguments.data());
  _exit(127);
}

bool ChildProcess::running() {
  if (pid_ == 0) return false;
  int status = 0;
  pid_t ended = 0;
  do {
    ended = waitpid(pid_, &status, WNOHANG);
  } while (ended < 0 && errno == EINTR);
  if (ended == 0) return true;
  CHECK(ended == pid_);
  pid_ = 0;
  status_ = status;
  return false;
}

void ChildProcess::signal(int number) {
  if (running()) ::kill(pid_, number);
}

std::optional<int> ChildProcess::wait(Duration limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (running()) {
    if (std::chrono::steady_clock::now() >= deadline) return std::nullopt;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return status_;
}

void ChildProcess::kill() {
  signal(SIGKILL);  // ends a stopped process as well
  while (running()) std::this_thread::sleep_for(milliseconds(1));
}

std::optional<int> ChildProcess::stop(Duration limit) {
  signal(SIGTERM);
  return wait(limit);
}

// The signal alone stops nothing yet: the thread that the kernel picks for it has to run first, and until then the
// others go on and answer. On a busy machine that takes longer than a request.
void ChildProcess::pause() {
  if (!running()) return;
  ::kill(pid_, SIGSTOP);
  siginfo_t what{};
  while (waitid(P_PID, static_cast<id_t>(pid_), &what, WSTOPPED | WEXITED | WNOWAIT) < 0)
    CHECK(errno == EINTR);
}
void ChildProcess::resume() { signal(SIGCONT); }

}  // namespace kvd::testing
