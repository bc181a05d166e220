// See listener.hpp.
#include "net/listener.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/check.hpp"
#include "net/address.hpp"
#include "net/stream_state.hpp"

namespace kvd::net {
namespace {

constexpr mode_t kNotForOthers = 0117;  // leaves 0660

// The code of the attempt: 0 when somebody answers there.
int try_to_connect(const std::string& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  path.copy(name.sun_path, sizeof name.sun_path - 1);
  const int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return errno;
  const int code =
      connect(descriptor, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 ? 0 : errno;
  ::close(descriptor);
  return code;
}

Failure<Error> system_failure(int code) { return failure(uv_strerror(uv_translate_sys_error(code))); }

// Makes way for a new socket. Nothing is there, or what somebody left who is gone: else why it stays.
Result<void> make_way(const std::string& path) {
  if (path.size() >= sizeof sockaddr_un::sun_path)
    return failure(fmt::format("a path of at most {} bytes is needed", sizeof sockaddr_un::sun_path - 1));
  struct stat there {};
  const std::string directory = std::filesystem::path(path).parent_path();
  if (access(directory.empty() ? "." : directory.c_str(), W_OK | X_OK) != 0) return system_failure(errno);
  if (lstat(path.c_str(), &there) != 0) return {};
  if (!S_ISSOCK(there.st_mode)) return failure("there is something that is no socket");
  const int code = try_to_connect(path);
  if (code == 0 || code == EAGAIN) return failure("somebody listens there");
  if (code != ECONNREFUSED) return system_failure(code);
  if (unlink(path.c_str()) != 0) return system_failure(errno);
  return {};
}

}  // namespace

Listener::Listener(uv_loop_t* loop, OnConnection on_connection)
    : loop_(loop), call_(std::move(on_connection)) {}

void Listener::make(Stream::Kind kind) {
  state_ = new_state<State>();
  state_->kind = kind;
  state_->call = std::move(call_);
  const bool tcp = kind == Stream::Kind::kTcp;
  CHECK((tcp ? uv_tcp_init(loop_, &state_->uv) : uv_pipe_init(loop_, &state_->pipe, 0)) == 0);
}

int Listener::listen(int backlog) {
  const auto knocked = [](uv_stream_t* listener, int status) {
    auto* state = static_cast<State*>(listener->data);
    Stream stream;
    if (status == 0) {
      stream = Stream(listener->loop, state->kind);
      status = uv_accept(listener, stream.state_->stream());
      status == 0 ? stream.connected() : stream.close();
    }
    state->call(status, std::move(stream));
  };
  return uv_listen(reinterpret_cast<uv_stream_t*>(&state_->uv), backlog, knocked);
}

Result<uint16_t> Listener::start(const std::string& host, uint16_t port, int backlog) {
  const auto addresses = resolve_now(loop_, host, port);
  if (!addresses) return Failure<Error>(addresses.error());
  make(Stream::Kind::kTcp);
  int code = uv_tcp_bind(&state_->uv, addresses->front().get(), 0);
  if (code == 0) code = listen(backlog);
  if (code != 0) return failure(uv_strerror(code));
  return SocketAddress::local_of(state_->uv).port();
}

Result<void> Listener::start(const std::string& path, int backlog) {
  if (auto free = make_way(path); !free) return free;
  make(Stream::Kind::kUnix);
  const mode_t before = umask(kNotForOthers);
  int code = uv_pipe_bind(&state_->pipe, path.c_str());
  umask(before);
  if (code == 0) code = listen(backlog);
  if (code != 0) return failure(uv_strerror(code));
  return {};
}

}  // namespace kvd::net
