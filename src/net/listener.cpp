// See listener.hpp.
#include "net/listener.hpp"

#include <utility>

#include "base/check.hpp"
#include "net/address.hpp"

namespace kvd::net {

Listener::Listener(uv_loop_t* loop, OnConnection on_connection) : state_(new_state<State>()) {
  CHECK(uv_tcp_init(loop, &state_->uv) == 0);
  state_->call = std::move(on_connection);
}

Result<uint16_t> Listener::start(const std::string& host, uint16_t port, int backlog) {
  const auto addresses = resolve_now(state_->uv.loop, host, port);
  if (!addresses) return Failure<Error>(addresses.error());
  const auto knocked = [](uv_stream_t* listener, int status) {
    Stream stream;
    if (status == 0) {
      stream = Stream(listener->loop);
      status = uv_accept(listener, stream.uv());
      status == 0 ? stream.connected() : stream.close();
    }
    static_cast<State*>(listener->data)->call(status, std::move(stream));
  };
  int code = uv_tcp_bind(&state_->uv, addresses->front().get(), 0);
  if (code == 0) code = uv_listen(reinterpret_cast<uv_stream_t*>(&state_->uv), backlog, knocked);
  if (code != 0) return failure(uv_strerror(code));
  return SocketAddress::local_of(state_->uv).port();
}

}  // namespace kvd::net
