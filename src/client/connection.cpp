// See connection.hpp.
#include "client/connection.hpp"

#include <array>
#include <utility>

#include "base/check.hpp"

namespace kvd::client {
namespace {

std::array<char, 256 << 10> read_buffer;  // what is read is consumed before the next read

}  // namespace

Connection::Connection(uv_loop_t* loop, ConnectionOwner& owner, size_t index, Keep keep)
    : loop_(loop), owner_(owner), index_(index), parser_(this, on_parsed, keep) {}

void Connection::open(const Server& server) {
  CHECK(is_closed());
  parser_.restart();
  output_.clear();
  writing_.clear();
  tls_failure_.clear();
  was_refused_ = false;
  server_ = server;
  net::Dialer::Done done = [this](int status, net::Stream stream) { dialed(status, std::move(stream)); };
  if (server.socket.empty()) {
    dialer_.emplace(loop_, server.address.host, server.address.port, std::move(done));
  } else {
    dialer_.emplace(loop_, server.socket, std::move(done));
  }
}

void Connection::dialed(int status, net::Stream stream) {
  dialer_.reset();
  if (status != 0) return owner_.on_lost(*this, status);
  stream_ = std::move(stream);
  stream_.attach(*this, read_buffer);
  if (server_.tls) {
    if (!handshakes_) handshakes_ = std::make_unique<net::Handshakes>(loop_);
    stream_.secure(net::TlsSession(server_.tls, server_.certified), *handshakes_);
  }
  const int error = stream_.start_reading();
  if (error != 0) return lose(error);
  if (!server_.tls) owner_.on_open(*this);
}

void Connection::close() {
  dialer_.reset();
  stream_.close();
}

void Connection::on_end(int why) {
  if (why == UV_EPROTO && stream_.is_secure()) tls_failure_ = stream_.tls_failure();
  was_refused_ = stream_.tls_refused();
  lose(why);
}

void Connection::lose(int why) {
  close();
  owner_.on_lost(*this, why);
}

bool Connection::on_parsed(void* owner, const Response& response) {
  auto* self = static_cast<Connection*>(owner);
  self->owner_.on_response(*self, response);
  return self->is_open();
}

void Connection::on_bytes(std::string_view bytes) {
  bytes_in_ += bytes.size();
  const bool good = parser_.feed(bytes.data(), bytes.size());
  if (!is_open()) return;  // the owner has closed it
  if (!good) return lose(UV_EPROTO);
  owner_.on_turn(*this);
}

void Connection::flush() {
  if (!is_open() || !writing_.empty() || output_.empty()) return;
  uv_buf_t buffer = uv_buf_init(output_.data(), static_cast<unsigned>(output_.size()));
  const int written = stream_.try_write({&buffer, 1});
  if (written == static_cast<int>(output_.size())) return output_.clear();
  // An error shows again when the rest is written, and is reported there, outside of the owner's call.
  writing_.assign(output_, written > 0 ? static_cast<size_t>(written) : 0);
  output_.clear();
  buffer = uv_buf_init(writing_.data(), static_cast<unsigned>(writing_.size()));
  CHECK(stream_.write({&buffer, 1}) == 0);
}

void Connection::on_written(int status) {
  writing_.clear();
  if (status != 0) return lose(status);
  flush();
}

}  // namespace kvd::client
