// See dialer.hpp.
#include "net/dialer.hpp"

#include <sys/un.h>

#include <utility>

#include "net/stream_state.hpp"

namespace kvd::net {

Dialer::Dialer(uv_loop_t* loop, const std::string& host, uint16_t port, Done done)
    : loop_(loop),
      done_(std::move(done)),
      resolver_(loop, [this](int status, std::vector<SocketAddress> found) {
        resolved(status, std::move(found));
      }) {
  const auto literal = SocketAddress::from_literal(host, port);
  const int code = literal ? 0 : resolver_.start(host, port);
  if (literal) resolved(0, {*literal});
  if (code != 0) resolved(code, {});
}

Dialer::Dialer(uv_loop_t* loop, const std::string& path, Done done)
    : loop_(loop), done_(std::move(done)), resolver_(loop, {}) {
  if (path.size() >= sizeof sockaddr_un::sun_path) {  // of which libuv would take a part
    note_failure(UV_ENAMETOOLONG);
    fail_later();
  } else {
    uv_connect_t* request = begin(Stream::Kind::kUnix);
    uv_pipe_connect(request, &stream_.state_->pipe, path.c_str(), ended);
  }
}

void Dialer::resolved(int status, std::vector<SocketAddress> found) {
  failure_ = status;
  addresses_ = std::move(found);
  connect_next();
}

void Dialer::connect_next() {
  while (next_ < addresses_.size()) {
    const int code = connect(addresses_[next_++]);
    if (code == 0) return;
    note_failure(code);
  }
  fail_later();
}

uv_connect_t* Dialer::begin(Stream::Kind kind) {
  stream_ = Stream(loop_, kind);
  auto* request = new uv_connect_t;
  request->data = this;
  return request;
}

void Dialer::ended(uv_connect_t* request, int status) {
  const bool given_up = uv_is_closing(reinterpret_cast<const uv_handle_t*>(request->handle)) != 0;
  auto* dialer = static_cast<Dialer*>(request->data);
  delete request;
  if (!given_up) dialer->connected(status);
}

int Dialer::connect(const SocketAddress& address) {
  uv_connect_t* request = begin(Stream::Kind::kTcp);
  const int code = uv_tcp_connect(request, &stream_.state_->uv, address.get(), ended);
  if (code != 0) delete request;
  return code;
}

void Dialer::connected(int status) {
  if (status != 0) {
    note_failure(status);
    return connect_next();
  }
  stream_.connected();
  const Done done = std::move(done_);  // which may destroy the Dialer
  done(0, std::move(stream_));
}

void Dialer::note_failure(int status) {
  failure_ = status;
  all_refused_ = all_refused_ && status == UV_ECONNREFUSED;
}

void Dialer::fail_later() {
  stream_.close();
  failing_.emplace(loop_, [this] {
    const Done done = std::move(done_);
    done(failure_, Stream());
  });
  failing_->start(Duration(0));
}

}  // namespace kvd::net
