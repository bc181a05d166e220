// See guard.hpp. The guard is a fork without exec of a program that may have threads (of look-ups of names): it opens
// files below /proc, signals, waits, and nothing else.
#include "client/guard.hpp"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "client/processes.hpp"

namespace kvd::client {
namespace {

constexpr int kKillAgainMs = 10;
constexpr int kKillRounds = 100;  // what waits for a dead disk does nothing any more
constexpr int kAboveStdio = 16;   // no number that a command gets

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (const std::string& text : texts) all.push_back(const_cast<char*>(text.c_str()));
  all.push_back(nullptr);
  return all;
}

// All that a fork needs, made before it.
struct Plan {
  std::vector<char*> command;
  std::vector<char*> environment;
  std::vector<int> descriptors;
  int held;
  int report;   // the guard's end
  int started;  // the command's number, and errno when it cannot be started
  sigset_t mask;
};

// ---- the command ----

void forget_handlers() {
  for (int number = 1; number <= SIGRTMAX; ++number) {
    struct sigaction action {};
    if (::sigaction(number, nullptr, &action) != 0) continue;
    // What was ignored when kvd began (nohup) stays so; these two kvd ignores itself.
    const bool own = number == SIGPIPE || number == SIGXFSZ;
    if (action.sa_handler == SIG_IGN && !own) continue;
    action = {};
    action.sa_handler = SIG_DFL;
    ::sigaction(number, &action, nullptr);
  }
}

void tell(int fd, int number) {
  while (::write(fd, &number, sizeof number) < 0 && errno == EINTR) continue;
}

[[noreturn]] void become_command(const Plan& plan, pid_t guard) {
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != guard) ::_exit(EXIT_FAILURE);
  const int started = ::fcntl(plan.started, F_DUPFD_CLOEXEC, kAboveStdio);
  tell(started, ::getpid());
  // Away from the numbers that they become, which may be others' of them.
  std::array<int, 8> moved{};
  for (size_t i = 0; i < plan.descriptors.size(); ++i)
    moved[i] = ::fcntl(plan.descriptors[i], F_DUPFD_CLOEXEC, kAboveStdio);
  for (size_t i = 0; i < plan.descriptors.size(); ++i) ::dup2(moved[i], static_cast<int>(i));
  forget_handlers();
  ::sigprocmask(SIG_SETMASK, &plan.mask, nullptr);
  environ = const_cast<char**>(plan.environment.data());
  ::execvp(plan.command[0], plan.command.data());
  tell(started, errno);
  ::_exit(EXIT_FAILURE);
}

// Room for a descriptor in a message to another process.
struct DescriptorMessage {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> room{};
  msghdr message(iovec& bytes) {
    msghdr all{};
    all.msg_iov = &bytes;
    all.msg_iovlen = 1;
    all.msg_control = room.data();
    all.msg_controllen = room.size();
    return all;
  }
};

// ---- the guard ----

// Of what kvd has open, so that its connections end when it ends them.
void close_all_but(int one, int other) {
  if (one > other) std::swap(one, other);
  unsigned from = STDERR_FILENO + 1;
  for (const int kept : {one, other}) {
    if (kept < static_cast<int>(from)) continue;
    if (kept > static_cast<int>(from)) ::close_range(from, static_cast<unsigned>(kept) - 1, 0);
    from = static_cast<unsigned>(kept) + 1;
  }
  ::close_range(from, ~0U, 0);
}

// False: nothing is left.
bool reap(pid_t command, int report) {
  for (;;) {
    int status = 0;
    const pid_t ended = ::waitpid(-1, &status, WNOHANG);
    if (ended == command) ::send(report, &status, sizeof status, MSG_NOSIGNAL);
    if (ended < 0 && errno == ECHILD) return false;
    if (ended <= 0) return true;
  }
}

// What hand_over() has sent is kept open in place of `held`. False: nothing was sent, but kvd has gone.
bool take_over(int report, int& held) {
  char byte = 0;
  iovec bytes{&byte, 1};
  DescriptorMessage taken;
  msghdr message = taken.message(bytes);
  ssize_t size = -1;
  do size = ::recvmsg(report, &message, MSG_CMSG_CLOEXEC);
  while (size < 0 && errno == EINTR);
  const cmsghdr* header = size > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (header == nullptr) return size > 0;
  if (held >= 0) ::close(held);
  std::memcpy(&held, CMSG_DATA(header), sizeof held);
  return true;
}

// Until all has ended, or kvd has gone and all is killed. No signal reaches it but SIGKILL.
[[noreturn]] void guard(const Plan& plan) {
  ::setsid();
  ::prctl(PR_SET_NAME, kGuardName);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const pid_t own = ::getpid();
  const pid_t command = ::fork();
  if (command == 0) become_command(plan, own);
  if (command < 0) {
    const int error = errno;
    tell(plan.started, 0);
    tell(plan.started, error);
    ::_exit(EXIT_FAILURE);
  }
  int held = plan.held;
  close_all_but(plan.report, held);
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  std::array<pollfd, 2> waits = {pollfd{plan.report, POLLIN, 0},
                                 pollfd{::signalfd(-1, &child, SFD_NONBLOCK), POLLIN, 0}};
  for (int killed = 0; reap(command, plan.report) && killed < kKillRounds;) {
    if (killed == 0) ::poll(waits.data(), waits.size(), -1);
    if (killed > 0) ::poll(&waits[1], 1, kKillAgainMs);
    signalfd_siginfo come;
    while (::read(waits[1].fd, &come, sizeof come) > 0) continue;
    if (waits[0].revents == 0 || (killed == 0 && take_over(plan.report, held))) continue;
    signal_below(own, SIGKILL);
    ++killed;
  }
  ::_exit(EXIT_SUCCESS);
}

bool read_number(int fd, int& number) {
  ssize_t size = -1;
  do size = ::read(fd, &number, sizeof number);
  while (size < 0 && errno == EINTR);
  return size == sizeof number;
}

}  // namespace

void hand_over(int report, int held) {
  char byte = 0;
  iovec bytes{&byte, 1};
  DescriptorMessage given;
  msghdr message = given.message(bytes);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof held);
  std::memcpy(CMSG_DATA(header), &held, sizeof held);
  while (::sendmsg(report, &message, MSG_NOSIGNAL) < 0 && errno == EINTR) continue;
}

GuardedStart start_guarded(const std::vector<std::string>& command,
                           const std::vector<std::string>& environment, const std::vector<int>& descriptors,
                           int held) {
  GuardedStart start;
  int started[2];
  int report[2];
  if (::pipe2(started, O_CLOEXEC) != 0) return start.error = errno, start;
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, report) != 0) {
    start.error = errno;
    ::close(started[0]);
    ::close(started[1]);
    return start;
  }
  Plan plan{pointers(command), pointers(environment), descriptors, held, report[1], started[1], {}};
  sigset_t all;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &plan.mask);
  start.guard = ::fork();
  if (start.guard == 0) guard(plan);
  start.error = start.guard < 0 ? errno : 0;
  ::pthread_sigmask(SIG_SETMASK, &plan.mask, nullptr);
  ::close(started[1]);
  ::close(report[1]);
  // The exec closes the other end.
  if (start.error == 0 && !read_number(started[0], start.command)) start.error = ECHILD;
  int error = 0;
  if (start.error == 0 && read_number(started[0], error)) start.error = error;
  ::close(started[0]);
  start.report = report[0];
  if (start.error != 0) {
    ::close(start.report);
    if (start.guard > 0) ::waitpid(start.guard, nullptr, 0);
    start = {.error = start.error};
  }
  return start;
}

}  // namespace kvd::client
