// A listening socket, TCP's or a Unix one: each connection that comes is handed over as a Stream. Who lets go of it
// listens no more, and keeps the streams. Loop thread only.
#pragma once
#include <functional>
#include <string>

#include "base/result.hpp"
#include "net/handle.hpp"
#include "net/stream.hpp"

namespace kvd::net {

class Listener {
 public:
  // `status` is libuv's error code, with no stream, or 0. May destroy the Listener.
  using OnConnection = std::function<void(int status, Stream stream)>;
  Listener(uv_loop_t* loop, OnConnection on_connection);

  // At the first address of a host, which may be a name: that blocks. The port that it got, which is another one when
  // it was 0; an Error is the system's reason. Once.
  Result<uint16_t> start(const std::string& host, uint16_t port, int backlog);
  // A Unix socket, which its group may use (mode 0660) and which goes with the Listener. One that is there already is
  // replaced when nobody answers at it. Blocks for a moment. Once.
  Result<void> start(const std::string& path, int backlog);

 private:
  struct State {
    union {
      uv_tcp_t uv;
      uv_pipe_t pipe;  // then uv is none
    };
    Stream::Kind kind;
    OnConnection call;
  };
  void make(Stream::Kind kind);
  int listen(int backlog);

  uv_loop_t* loop_;
  OnConnection call_;
  Owned<State> state_;  // once started
};

}  // namespace kvd::net
