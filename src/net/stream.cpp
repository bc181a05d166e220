// See stream.hpp.
#include "net/stream.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <utility>

#include "base/check.hpp"
#include "net/stream_state.hpp"

namespace kvd::net {

int StreamState::start_reading() {
  const auto lend = [](uv_handle_t* handle, size_t, uv_buf_t* to) {
    const auto* state = static_cast<StreamState*>(handle->data);
    const std::span<char> room = state->tls ? state->tls->lend() : state->buffer;
    *to = uv_buf_init(room.data(), static_cast<unsigned int>(room.size()));
  };
  const auto read = [](uv_stream_t* from, ssize_t size, const uv_buf_t* room) {
    const auto* state = static_cast<StreamState*>(from->data);
    if (size < 0) {
      const int why = static_cast<int>(size);
      return state->tls ? state->tls->on_end(why) : state->owner->on_end(why);
    }
    const std::string_view bytes(room->base, static_cast<size_t>(size));
    if (bytes.empty()) return;
    state->tls ? state->tls->on_bytes(bytes) : state->owner->on_bytes(bytes);
  };
  return uv_read_start(stream(), lend, read);
}

int StreamState::shut_down() {
  return uv_shutdown(&shutdown, stream(), [](uv_shutdown_t*, int) {});
}

void Stream::Close::operator()(StreamState* state) const {
  if (state->tls) state->tls->leave(true);
  CloseHandle()(state);
}

Stream::Stream(uv_loop_t* loop, Kind kind) : state_(new StreamState) {
  state_->uv.data = state_.get();
  state_->is_tcp = kind == Kind::kTcp;
  CHECK((state_->is_tcp ? uv_tcp_init(loop, &state_->uv) : uv_pipe_init(loop, &state_->pipe, 0)) == 0);
}

void Stream::connected() {
  if (state_->is_tcp) uv_tcp_nodelay(&state_->uv, 1);
}

void Stream::attach(StreamOwner& owner, std::span<char> buffer) {
  state_->owner = &owner;
  state_->buffer = buffer;
}

void Stream::secure(TlsSession session, Handshakes& handshakes) {
  state_->tls = std::make_unique<TlsLayer>(*state_, std::move(session), handshakes);
}

int Stream::start_reading() {
  if (state_->tls && !state_->tls->start_reading()) return 0;
  return state_->start_reading();
}

void Stream::stop_reading() {
  if (state_->tls) state_->tls->stop_reading();
  uv_read_stop(state_->stream());
}

int Stream::try_write(std::span<const uv_buf_t> pieces) {
  if (state_->tls) return state_->tls->try_write(pieces);
  const int written = uv_try_write(state_->stream(), pieces.data(), static_cast<unsigned int>(pieces.size()));
  return written == UV_EAGAIN ? 0 : written;
}

int Stream::write(std::span<const uv_buf_t> pieces) {
  if (state_->tls) return state_->tls->write(pieces);
  const auto written = [](uv_write_t* write, int status) {
    auto* state = static_cast<StreamState*>(write->handle->data);
    if (!state->is_closing()) state->owner->on_written(status);
  };
  return uv_write(&state_->write, state_->stream(), pieces.data(), static_cast<unsigned int>(pieces.size()),
                  written);
}

size_t Stream::unsent() const {
  if (!is_open()) return 0;
  return state_->tls ? state_->tls->unsent() : uv_stream_get_write_queue_size(state_->stream());
}

int Stream::shut_down() { return state_->tls ? state_->tls->shut_down() : state_->shut_down(); }

void Stream::reset() {
  if (!state_->is_tcp) return state_.reset();
  if (state_->tls) state_->tls->leave(false);
  StreamState* state = state_.release();
  const auto closed = [](uv_handle_t* handle) { delete static_cast<StreamState*>(handle->data); };
  if (uv_tcp_close_reset(&state->uv, closed) != 0) CloseHandle()(state);  // its end was told already
}

void Stream::keep_alive(unsigned int seconds) {
  if (state_->is_tcp) uv_tcp_keepalive(&state_->uv, 1, seconds);
}

void Stream::end_unacknowledged_after(Duration patience) {
  const auto ms = static_cast<unsigned int>(to_ms(patience));
  setsockopt(descriptor(), IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

SocketAddress Stream::local() const {
  return state_->is_tcp ? SocketAddress::local_of(state_->uv) : SocketAddress();
}
SocketAddress Stream::remote() const {
  return state_->is_tcp ? SocketAddress::remote_of(state_->uv) : SocketAddress();
}

int Stream::descriptor() const {
  uv_os_fd_t fd = -1;
  if (is_open()) uv_fileno(reinterpret_cast<const uv_handle_t*>(&state_->uv), &fd);
  return fd;
}

std::optional<uint32_t> Stream::peer_uid() const {
  ucred who{};
  socklen_t size = sizeof who;
  if (state_->is_tcp || getsockopt(descriptor(), SOL_SOCKET, SO_PEERCRED, &who, &size) != 0)
    return std::nullopt;
  return who.uid;
}

bool Stream::is_secure() const { return state_->tls != nullptr; }
bool Stream::is_shaking_hands() const { return state_->tls && state_->tls->is_shaking_hands(); }
std::vector<std::string> Stream::tls_names() const { return state_->tls->session().names(); }
bool Stream::tls_refused() const { return state_->tls && state_->tls->session().was_refused(); }
const std::string& Stream::tls_failure() const { return state_->tls->session().failure(); }

}  // namespace kvd::net
