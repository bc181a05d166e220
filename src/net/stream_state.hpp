// What is behind a Stream, for the parts of this layer only: its memory lives until libuv is done with the handle, a
// turn after the Stream has let go of it.
#pragma once
#include <memory>
#include <span>

#include "net/stream.hpp"
#include "net/tls_layer.hpp"

namespace kvd::net {

struct StreamState {
  union {
    uv_tcp_t uv;
    uv_pipe_t pipe;  // then uv is none
  };
  bool is_tcp = true;
  uv_write_t write;
  uv_shutdown_t shutdown;
  StreamOwner* owner = nullptr;
  std::span<char> buffer;
  std::unique_ptr<TlsLayer> tls;  // none: what is sent is what is written

  int start_reading();
  int shut_down();
  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&uv); }
  // Its owner has let go of it.
  bool is_closing() { return uv_is_closing(reinterpret_cast<uv_handle_t*>(&uv)) != 0; }
};

}  // namespace kvd::net
