// See loopback_listener.hpp.
#include "kvload/loopback_listener.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sysexits.h>

namespace kvd::load {

int serve_loopback(uint16_t port, uv_connection_cb on_connection) {
  uv_loop_t* loop = uv_default_loop();
  uv_tcp_t listener;
  sockaddr_in address{};
  uv_tcp_init(loop, &listener);
  uv_ip4_addr("127.0.0.1", port, &address);
  int error = uv_tcp_bind(&listener, reinterpret_cast<sockaddr*>(&address), 0);
  if (error == 0) error = uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 1024, on_connection);
  if (error != 0) {
    fmt::print(stderr, "kvload: port {}: {}\n", port, uv_strerror(error));
    return EX_UNAVAILABLE;
  }
  return uv_run(loop, UV_RUN_DEFAULT);
}

}  // namespace kvd::load
