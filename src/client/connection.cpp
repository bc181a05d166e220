// See connection.hpp. A socket outlives its connection until libuv has closed it, hence the two halves.
#include "client/connection.hpp"

#include <array>

#include "base/check.hpp"

namespace kvd::client {

struct Connection::Socket {
  uv_tcp_t tcp;
  uv_connect_t connect;
  uv_write_t write;
  std::string writing;  // what waits for the socket
  bool waiting = false;
  int refused = 0;              // it could not even begin to connect, and is being closed
  Connection* owner = nullptr;  // null: given up

  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&tcp); }
};

namespace {

void lend_buffer(uv_handle_t*, size_t, uv_buf_t* buffer) {
  static std::array<char, 256 << 10> bytes;  // what is read is consumed before the next read
  *buffer = uv_buf_init(bytes.data(), bytes.size());
}

}  // namespace

Connection::Connection(uv_loop_t* loop, ConnectionOwner& owner, size_t index, Keep keep)
    : loop_(loop), owner_(owner), index_(index), parser_(this, on_parsed, keep) {}

void Connection::open(const sockaddr_storage& address) {
  CHECK(is_closed());
  parser_.restart();
  output_.clear();
  socket_ = new Socket;
  socket_->owner = this;
  CHECK(uv_tcp_init(loop_, &socket_->tcp) == 0);
  socket_->tcp.data = socket_;
  socket_->connect.data = socket_;
  socket_->write.data = socket_;
  const int error = uv_tcp_connect(&socket_->connect, &socket_->tcp,
                                   reinterpret_cast<const sockaddr*>(&address), on_connected);
  if (error == 0) return;
  socket_->refused = error;  // no route, or no more sockets: told later, as every other failure is
  uv_close(reinterpret_cast<uv_handle_t*>(&socket_->tcp), [](uv_handle_t* handle) {
    auto* socket = static_cast<Socket*>(handle->data);
    Connection* self = socket->owner;
    const int why = socket->refused;
    delete socket;
    if (self == nullptr) return;
    self->socket_ = nullptr;
    self->owner_.on_lost(*self, why);
  });
}

void Connection::close() {
  if (socket_ == nullptr) return;
  Socket* socket = socket_;
  socket_ = nullptr;
  open_ = false;
  socket->owner = nullptr;
  if (socket->refused != 0) return;
  uv_close(reinterpret_cast<uv_handle_t*>(&socket->tcp),
           [](uv_handle_t* handle) { delete static_cast<Socket*>(handle->data); });
}

int Connection::descriptor() const {
  uv_os_fd_t fd = -1;
  if (socket_ != nullptr) uv_fileno(reinterpret_cast<const uv_handle_t*>(&socket_->tcp), &fd);
  return fd;
}

void Connection::lose(int why) {
  close();
  owner_.on_lost(*this, why);
}

void Connection::on_connected(uv_connect_t* request, int status) {
  auto* socket = static_cast<Socket*>(request->data);
  Connection* self = socket->owner;
  if (self == nullptr) return;
  if (status != 0) return self->lose(status);
  uv_tcp_nodelay(&socket->tcp, 1);
  const int error = uv_read_start(socket->stream(), lend_buffer, on_read);
  if (error != 0) return self->lose(error);
  self->open_ = true;
  self->owner_.on_open(*self);
}

bool Connection::on_parsed(void* owner, const Response& response) {
  auto* self = static_cast<Connection*>(owner);
  self->owner_.on_response(*self, response);
  return self->socket_ != nullptr;
}

void Connection::on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
  Connection* self = static_cast<Socket*>(stream->data)->owner;
  if (self == nullptr || size == 0) return;
  if (size < 0) return self->lose(static_cast<int>(size));
  self->bytes_in_ += static_cast<uint64_t>(size);
  const bool good = self->parser_.feed(buffer->base, static_cast<size_t>(size));
  if (self->socket_ == nullptr) return;  // the owner has closed it
  if (!good) return self->lose(UV_EPROTO);
  self->owner_.on_turn(*self);
}

void Connection::flush() {
  if (!open_ || socket_->waiting || output_.empty()) return;
  uv_buf_t buffer = uv_buf_init(output_.data(), static_cast<unsigned>(output_.size()));
  const int written = uv_try_write(socket_->stream(), &buffer, 1);
  if (written == static_cast<int>(output_.size())) return output_.clear();
  // An error shows again when the rest is written, and is reported there, outside of the owner's call.
  const size_t done = written > 0 ? static_cast<size_t>(written) : 0;
  socket_->writing.assign(output_, done);
  output_.clear();
  socket_->waiting = true;
  buffer = uv_buf_init(socket_->writing.data(), static_cast<unsigned>(socket_->writing.size()));
  CHECK(uv_write(&socket_->write, socket_->stream(), &buffer, 1, on_written) == 0);
}

void Connection::on_written(uv_write_t* request, int status) {
  auto* socket = static_cast<Socket*>(request->data);
  Connection* self = socket->owner;
  if (self == nullptr) return;
  socket->waiting = false;
  if (status != 0) return self->lose(status);
  self->flush();
}

}  // namespace kvd::client
