// See child.hpp.
#include "client/child.hpp"

#include <dirent.h>
#include <errno.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <fstream>
#include <memory>
#include <utility>

#include "base/check.hpp"

namespace kvd {
namespace {

constexpr Duration kLookAgain = milliseconds(20);
// After SIGKILL only what waits for a dead disk or for its parent is left, and it does nothing any more.
constexpr uint64_t kKilledNs = 1'000'000'000;

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

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

// Whether a process of the group runs: the dead that nobody has buried count for kill(2), and where a container's first
// process does not care for orphans they stay for ever.
bool has_living_member(int group) {
  const std::unique_ptr<DIR, int (*)(DIR*)> all(::opendir("/proc"), ::closedir);
  if (all == nullptr) return true;
  while (const dirent* entry = ::readdir(all.get())) {
    if (std::isdigit(static_cast<unsigned char>(entry->d_name[0])) == 0) continue;
    std::ifstream file(fmt::format("/proc/{}/stat", entry->d_name));
    std::string text;
    std::getline(file, text, '\0');
    // Behind the name, which may hold anything: state, parent, group.
    char state = 0;
    int parent = 0;
    int its_group = 0;
    const size_t name_end = std::min(text.rfind(')'), text.size() - 1);
    if (text.empty() ||
        std::sscanf(text.c_str() + name_end + 1, " %c %d %d", &state, &parent, &its_group) != 3)
      continue;
    if (its_group == group && state != 'Z' && state != 'X') return true;
  }
  return false;
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

struct Child::Pipe {
  uv_pipe_t pipe;
  Child* child = nullptr;  // null: nobody listens any more
  Take take = nullptr;

  void close() {
    if (child != nullptr) (child->output_ == this ? child->output_ : child->progress_) = nullptr;
    child = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&pipe),
             [](uv_handle_t* handle) { delete static_cast<Pipe*>(handle->data); });
  }
};

Child::Child(uv_loop_t* loop, ChildOptions options, std::function<void(const ChildEnd&)> on_end)
    : loop_(loop),
      options_(std::move(options)),
      on_end_(std::move(on_end)),
      grace_(loop,
             [this] {
               signal(SIGKILL);
               killed_at_ = uv_hrtime();
             }),
      look_again_(loop, [this] { look(); }) {}

Child::~Child() {
  signal(SIGKILL);
  if (process_ != nullptr) close_handle(process_);
  if (output_ != nullptr) output_->close();
  if (progress_ != nullptr) progress_->close();
}

// ---- starting ----

int Child::start() {
  CHECK(process_ == nullptr);
  if (!options_.piped) return spawn({STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO});
  const int input = file_with(options_.input);
  if (input < 0) return uv_translate_sys_error(errno);
  const int error = start_piped(input);
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

int Child::spawn(const std::vector<int>& fds) {
  std::vector<std::string> environment = environment_with(options_.environment);
  std::vector<char*> environment_pointers = pointers(environment);
  std::vector<char*> command = pointers(options_.command);
  std::vector<uv_stdio_container_t> stdio(fds.size());
  for (size_t i = 0; i < fds.size(); ++i) {
    stdio[i].flags = UV_INHERIT_FD;
    stdio[i].data.fd = fds[i];
  }
  uv_process_options_t options{};
  options.file = command[0];
  options.args = command.data();
  options.env = environment_pointers.data();
  options.flags = UV_PROCESS_DETACHED;  // setsid(): its group's number is its own
  options.stdio = stdio.data();
  options.stdio_count = static_cast<int>(stdio.size());
  options.exit_cb = [](uv_process_t* process, int64_t status, int signal) {
    static_cast<Child*>(process->data)->on_exit(status, signal);
  };
  process_ = new uv_process_t;
  process_->data = this;
  const int error = uv_spawn(loop_, process_, &options);
  if (error == 0) {
    group_ = process_->pid;
  } else {
    close_handle(std::exchange(process_, nullptr));
  }
  return error;
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
    if (size < 0) return from->close();
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

// All that the group has written is in the pipe by now. Who got away with the other end is not waited for.
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

// ---- ending ----

void Child::signal(int number) {
  if (group_ > 0) ::kill(-group_, number);
}

void Child::stop() {
  if (group_ == 0 || std::exchange(stopping_, true)) return;
  signal(SIGTERM);
  signal(SIGCONT);  // what stands still hears SIGTERM only then
  grace_.start(options_.grace);
}

void Child::on_exit(int64_t status, int signal) {
  end_.status = static_cast<int>(status);
  end_.signal = signal;
  close_handle(std::exchange(process_, nullptr));
  look();
}

// The command has ended; has its group?
bool Child::group_is_gone() {
  // Orphans become ours where this program is a container's first process, and nobody else would bury them.
  while (::waitpid(-group_, nullptr, WNOHANG) > 0) continue;
  return (::kill(-group_, 0) != 0 && errno == ESRCH) || !has_living_member(group_);
}

void Child::look() {
  const bool given_up = killed_at_ != 0 && uv_hrtime() - killed_at_ > kKilledNs;
  if (!group_is_gone() && !given_up) {
    stop();
    return look_again_.start(kLookAgain);
  }
  group_ = 0;
  grace_.stop();
  drain(output_);
  const ChildEnd end = std::move(end_);
  const auto call = on_end_;
  call(end);
}

}  // namespace kvd
