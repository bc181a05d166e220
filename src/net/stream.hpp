// One TCP connection that stands, from a Listener or a Dialer, as a value with one owner: reading into a buffer that
// the owner gives, writing, ending. What is sent leaves at once (TCP_NODELAY). SIGPIPE has to be ignored by the
// process. Loop thread only.
#pragma once
#include <span>
#include <string_view>

#include "base/time.hpp"
#include "net/address.hpp"
#include "net/handle.hpp"

namespace kvd::net {

// Whoever is called may close or destroy the stream, and itself. Nobody is called any more after that.
class StreamOwner {
 public:
  virtual ~StreamOwner() = default;
  virtual void on_bytes(std::string_view bytes) = 0;  // in the buffer, until this returns
  virtual void on_end(int why) = 0;                   // nothing more comes: UV_EOF, or what libuv calls it
  virtual void on_written(int status) = 0;            // all that write() was given; or why it cannot be
};

class Stream {
 public:
  Stream() = default;  // none: nothing but is_open(), unsent(), descriptor() and close()
  bool is_open() const { return state_ != nullptr; }

  // Once, before anything else. Many streams may have the same buffer.
  void attach(StreamOwner& owner, std::span<char> buffer);
  int start_reading();  // 0, or libuv's error code
  void stop_reading() { uv_read_stop(uv()); }

  // As many bytes as the system takes at once, or libuv's error code; none while a write() is under way.
  int try_write(std::span<const uv_buf_t> pieces) {
    const int written = uv_try_write(uv(), pieces.data(), static_cast<unsigned int>(pieces.size()));
    return written == UV_EAGAIN ? 0 : written;
  }
  // on_written() follows, never at once: until then `pieces` stay where they are, or the stream is closed. One at a
  // time. 0, or libuv's error code: then nothing follows.
  int write(std::span<const uv_buf_t> pieces);
  size_t unsent() const;  // of what write() was given
  // Behind all that was written the other side sees the end. 0, or libuv's error code.
  int shut_down();

  void close() { state_.reset(); }  // at once
  void reset();  // likewise, and what was not sent yet is thrown away: the other side sees that

  void keep_alive(unsigned int seconds);  // asks after so long without a byte whether the other side is there
  // Ends when the other side's system has acknowledged nothing for so long of what was sent to it.
  void end_unacknowledged_after(Duration patience);
  SocketAddress local() const;
  SocketAddress remote() const;
  int descriptor() const;  // -1: there is none

 private:
  friend class Dialer;
  friend class Listener;
  struct State {
    uv_tcp_t uv;
    uv_write_t write;
    uv_shutdown_t shutdown;
    StreamOwner* owner = nullptr;
    std::span<char> buffer;
  };
  explicit Stream(uv_loop_t* loop);  // connected to nobody yet
  void connected();

  uv_stream_t* uv() const { return reinterpret_cast<uv_stream_t*>(&state_->uv); }

  Owned<State> state_;
};

}  // namespace kvd::net
