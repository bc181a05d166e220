// See stream.hpp.
#include "net/stream.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "base/check.hpp"

namespace kvd::net {

Stream::Stream(uv_loop_t* loop) : state_(new_state<State>()) { CHECK(uv_tcp_init(loop, &state_->uv) == 0); }

void Stream::connected() { uv_tcp_nodelay(&state_->uv, 1); }

void Stream::attach(StreamOwner& owner, std::span<char> buffer) {
  state_->owner = &owner;
  state_->buffer = buffer;
}

int Stream::start_reading() {
  const auto lend = [](uv_handle_t* handle, size_t, uv_buf_t* to) {
    const std::span<char> buffer = static_cast<State*>(handle->data)->buffer;
    *to = uv_buf_init(buffer.data(), static_cast<unsigned int>(buffer.size()));
  };
  const auto read = [](uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
    StreamOwner& owner = *static_cast<State*>(stream->data)->owner;
    if (size > 0) owner.on_bytes({buffer->base, static_cast<size_t>(size)});
    if (size < 0) owner.on_end(static_cast<int>(size));
  };
  return uv_read_start(uv(), lend, read);
}

int Stream::write(std::span<const uv_buf_t> pieces) {
  const auto written = [](uv_write_t* write, int status) {
    const auto* handle = reinterpret_cast<const uv_handle_t*>(write->handle);
    if (uv_is_closing(handle) == 0) static_cast<State*>(handle->data)->owner->on_written(status);
  };
  return uv_write(&state_->write, uv(), pieces.data(), static_cast<unsigned int>(pieces.size()), written);
}

size_t Stream::unsent() const { return is_open() ? uv_stream_get_write_queue_size(uv()) : 0; }

int Stream::shut_down() {
  return uv_shutdown(&state_->shutdown, uv(), [](uv_shutdown_t*, int) {});
}

void Stream::reset() {
  State* state = state_.release();
  const auto closed = [](uv_handle_t* handle) { delete static_cast<State*>(handle->data); };
  if (uv_tcp_close_reset(&state->uv, closed) != 0) CloseHandle()(state);  // its end was told already
}

void Stream::keep_alive(unsigned int seconds) { uv_tcp_keepalive(&state_->uv, 1, seconds); }

void Stream::end_unacknowledged_after(Duration patience) {
  const auto ms = static_cast<unsigned int>(to_ms(patience));
  setsockopt(descriptor(), IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

SocketAddress Stream::local() const { return SocketAddress::local_of(state_->uv); }
SocketAddress Stream::remote() const { return SocketAddress::remote_of(state_->uv); }

int Stream::descriptor() const {
  uv_os_fd_t fd = -1;
  if (is_open()) uv_fileno(reinterpret_cast<const uv_handle_t*>(&state_->uv), &fd);
  return fd;
}

}  // namespace kvd::net
