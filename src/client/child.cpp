// See child.hpp.
#include "client/child.hpp"

#include <errno.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/check.hpp"
#include "client/guard.hpp"
#include "client/stop_signals.hpp"

namespace kvd::client {
namespace {

constexpr Duration kLeftBehind = milliseconds(5);  // until what the command has left counts as left
constexpr Duration kKillAgain = milliseconds(20);
// Later only what waits for a dead disk is left, which does nothing any more, and what this user may not kill.
constexpr int kKills = 50;

std::vector<std::string> environment_with(const std::vector<std::pair<std::string, std::string>>& extra) {
  std::vector<std::string> all;
  for (const auto& [name, value] : extra) all.push_back(name + "=" + value);
  for (char** at = environ; *at != nullptr; ++at) {
    const std::string_view entry = *at;
    const std::string_view name = entry.substr(0, entry.find('='));
    const auto same = [name](const auto& pair) { return pair.first == name; };
    if (std::none_of(extra.begin(), extra.end(), same)) all.emplace_back(entry);
  }
  return all;
}

// A file in memory that is at its beginning: what reads it need not read it, or may open it anew as /dev/stdin.
int file_with(std::string_view bytes) {
  const int fd = memfd_create("kvd-input", MFD_CLOEXEC);
  for (size_t at = 0; fd >= 0 && at < bytes.size();) {
    const ssize_t written = ::pwrite(fd, bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (written < 0 && errno != EINTR) return ::close(fd), -1;
    if (written > 0) at += static_cast<size_t>(written);
  }
  return fd;
}

// The bytes of a character of UTF-8 that was cut off.
void drop_broken_end(std::string& text) {
  size_t end = text.size();
  while (end > 0 && (static_cast<unsigned char>(text[end - 1]) & 0xc0) == 0x80) --end;
  if (end == 0) return;
  const auto lead = static_cast<unsigned char>(text[end - 1]);
  const size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
  if (end - 1 + size > text.size()) text.resize(end - 1);
}

}  // namespace

CommandEnd start_failure(const std::vector<std::string>& command, int error) {
  constexpr int kNotFound = 127;
  constexpr int kNotRun = 126;
  return {error == UV_ENOENT ? kNotFound : kNotRun,
          fmt::format("{}: {}", command.front(), uv_strerror(error))};
}

void say_survivors(Say& say, const ChildEnd& end) {
  if (end.survivors.empty()) return;
  say.line(fmt::format("cannot kill what the command has started: {}", fmt::join(end.survivors, ", ")));
}

struct Child::Pipe {
  uv_pipe_t pipe;
  Child* child = nullptr;  // null: nobody listens any more
  Take take = nullptr;

  void close() {
    if (child != nullptr) {
      for (Pipe** own : {&child->output_, &child->progress_, &child->report_}) {
        if (*own == this) *own = nullptr;
      }
    }
    child = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&pipe),
             [](uv_handle_t* handle) { delete static_cast<Pipe*>(handle->data); });
  }
};

Child::Child(uv_loop_t* loop, ChildOptions options, std::function<void(const ChildEnd&)> on_end)
    : loop_(loop),
      options_(std::move(options)),
      on_end_(std::move(on_end)),
      grace_(loop, [this] { kill(); }),
      look_again_(loop, [this] { kills_ > 0 ? kill() : stop(); }) {}

Child::~Child() {
  signal_all(SIGKILL, Guarded::kTakeIn);
  for (Pipe* pipe : {output_, progress_, report_}) {
    if (pipe != nullptr) pipe->close();
  }
  if (guard_ > 0) ::waitpid(guard_, nullptr, 0);  // which the closed report ends
}

// ---- starting ----

int Child::start() {
  CHECK(guard_ == 0);
  using Streams = ChildOptions::Streams;
  if (options_.streams == Streams::kInherited) return spawn({STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO});
  const int input = file_with(options_.input);
  if (input < 0) return uv_translate_sys_error(errno);
  const int error =
      options_.streams == Streams::kPiped ? start_piped(input) : spawn({input, STDOUT_FILENO, STDERR_FILENO});
  ::close(input);
  return error;
}

// Pipes, and not the sockets that libuv would make: a command cannot open those as /dev/stdout or /dev/fd/3.
int Child::start_piped(int input) {
  int output[2];
  int progress[2];
  int error = uv_pipe(output, UV_NONBLOCK_PIPE, 0);
  if (error != 0) return error;
  error = uv_pipe(progress, UV_NONBLOCK_PIPE, 0);
  if (error == 0) {
    error = spawn({input, output[1], STDERR_FILENO, progress[1]});
    ::close(progress[1]);
    if (error == 0) progress_ = listen(progress[0], &Child::take_progress);
    if (error != 0) ::close(progress[0]);
  }
  ::close(output[1]);
  if (error == 0) output_ = listen(output[0], &Child::take_output);
  if (error != 0) ::close(output[0]);
  return error;
}

int Child::spawn(const std::vector<int>& descriptors) {
  // What is left of a guard that was killed comes to this process.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const GuardedStart started =
      start_guarded(options_.command, environment_with(options_.environment), descriptors, options_.held);
  if (started.error != 0) return uv_translate_sys_error(started.error);
  guard_ = started.guard;
  group_ = started.command;
  report_ = listen(started.report, &Child::take_report);
  return 0;
}

// ---- what it writes ----

Child::Pipe* Child::listen(int fd, Take take) {
  auto* listening = new Pipe;
  listening->child = this;
  listening->take = take;
  listening->pipe.data = listening;
  CHECK(uv_pipe_init(loop_, &listening->pipe, 0) == 0);
  CHECK(uv_pipe_open(&listening->pipe, fd) == 0);
  const auto lend = [](uv_handle_t*, size_t, uv_buf_t* to) {
    static std::array<char, 64 << 10> bytes;  // what is read is consumed before the next read
    *to = uv_buf_init(bytes.data(), bytes.size());
  };
  const auto read = [](uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
    auto* from = static_cast<Pipe*>(stream->data);
    if (from->child == nullptr || size == 0) return;
    if (size < 0) {
      Child* child = from->child;
      const bool over = child->report_ == from;
      from->close();
      return over ? child->on_guard_end() : void();
    }
    (from->child->*from->take)({buffer->base, static_cast<size_t>(size)});
  };
  CHECK(uv_read_start(reinterpret_cast<uv_stream_t*>(&listening->pipe), lend, read) == 0);
  return listening;
}

void Child::take_output(std::string_view bytes) {
  const size_t room = options_.output_max - end_.output.size();
  end_.output.append(bytes.substr(0, room));
  if (bytes.size() <= room) return;
  end_.too_much_output = true;
  stop();
}

void Child::take_progress(std::string_view bytes) {
  for (const char c : bytes) {
    if (c == '\n') {
      if (line_.size() == options_.progress_max) drop_broken_end(line_);
      options_.on_progress(std::exchange(line_, ""));
    } else if (line_.size() < options_.progress_max) {
      line_ += c;
    }
  }
}

void Child::take_report(std::string_view bytes) {
  status_ += bytes;
  look_again_.start(kLeftBehind);
}

// All that the command and its own have written is in the pipe by now. Who got away with the other end is not waited
// for.
void Child::drain(Pipe* pipe) {
  uv_os_fd_t fd = -1;
  if (pipe == nullptr || uv_fileno(reinterpret_cast<uv_handle_t*>(&pipe->pipe), &fd) != 0) return;
  std::array<char, 4096> bytes;
  while (!end_.too_much_output) {
    const ssize_t size = ::read(fd, bytes.data(), bytes.size());
    if (size > 0) (this->*pipe->take)({bytes.data(), static_cast<size_t>(size)});
    if (size == 0 || (size < 0 && errno != EINTR)) return;
  }
}

void Child::keep_open(int held) {
  uv_os_fd_t fd = -1;
  if (report_ != nullptr && uv_fileno(reinterpret_cast<uv_handle_t*>(&report_->pipe), &fd) == 0)
    hand_over(fd, held);
}

// ---- ending ----

void Child::pass_on(int number) {
  if (asks_to_pause(number)) return signal_all(SIGSTOP, Guarded::kTakeIn);
  if (number == SIGCONT) return signal_all(SIGCONT, Guarded::kTakeIn);
  if (guard_ > 0 && status_.empty()) ::kill(-group_, number);
}

void Child::signal_all(int number, Guarded guarded) {
  if (guard_ == 0) return;
  signal_below(guard_, number, guarded);
  if (processes_below(::getpid(), Guarded::kTakeIn).empty()) ::kill(-group_, number);  // there is no /proc
}

// A kvd among what the command has started tells its own command.
void Child::stop() {
  if (guard_ == 0 || std::exchange(stopping_, true)) return;
  signal_all(SIGTERM, Guarded::kLeaveOut);
  signal_all(SIGCONT, Guarded::kTakeIn);  // what stands still hears SIGTERM only then
  grace_.start(options_.grace);
}

void Child::kill() {
  if (++kills_ <= kKills) {
    signal_all(SIGKILL, Guarded::kTakeIn);
    return look_again_.start(kKillAgain);
  }
  end_.survivors = processes_below(guard_, Guarded::kTakeIn);
  ::kill(guard_, SIGKILL);
  report_->close();
  on_guard_end();
}

void Child::on_guard_end() {
  ::waitpid(std::exchange(guard_, 0), nullptr, 0);
  grace_.stop();
  look_again_.stop();
  int status = SIGKILL;  // unless it is told: then the guard was killed, and the command with it
  if (status_.size() == sizeof status) {
    std::memcpy(&status, status_.data(), sizeof status);
  } else {
    signal_below(::getpid(), SIGKILL, Guarded::kLeaveOut);
  }
  end_.status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  end_.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  drain(progress_);
  drain(output_);
  const ChildEnd end = std::move(end_);
  const auto call = on_end_;
  call(end);
}

}  // namespace kvd::client
