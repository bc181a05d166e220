// One connection that stands, TCP or of a Unix socket, from a Listener or a Dialer, as a value with one owner: reading
// into a buffer that the owner gives, writing, ending. What is sent leaves at once (TCP_NODELAY). SIGPIPE has to be
// ignored by the process. It may be secured with TLS: then its owner reads and writes what is inside of that.
// Loop thread only.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "net/address.hpp"
#include "net/handle.hpp"

namespace kvd::net {

class Handshakes;
class TlsSession;
struct StreamState;

// Whoever is called may close or destroy the stream, and itself. Nobody is called any more after that.
class StreamOwner {
 public:
  virtual ~StreamOwner() = default;
  virtual void on_bytes(std::string_view bytes) = 0;  // in the buffer, until this returns
  // Nothing more comes: UV_EOF, or what libuv calls it. UV_EPROTO: the TLS has failed, see tls_failure().
  virtual void on_end(int why) = 0;
  virtual void on_written(int status) = 0;  // all that write() was given; or why it cannot be
  virtual void on_secured() {}              // the handshake is over: tls_names() are known
  // Of an accepted stream: the other side speaks no TLS. The stream is none any more, and what came is thrown away.
  virtual void on_plain() {}
};

class Stream {
 public:
  Stream() = default;  // none: nothing but is_open(), unsent(), descriptor() and close()
  bool is_open() const { return state_ != nullptr; }

  // Once, before anything else. Many streams may have the same buffer.
  void attach(StreamOwner& owner, std::span<char> buffer);
  // Once, behind attach(), whose buffer has 32 KiB at least. The handshake begins with start_reading() and goes on
  // while it is read; what is written waits for it. `handshakes` outlives the stream.
  void secure(TlsSession session, Handshakes& handshakes);

  int start_reading();  // 0, or libuv's error code
  void stop_reading();

  // As many bytes as the system takes at once, or libuv's error code; none while a write() is under way. What is left
  // has to be written next.
  int try_write(std::span<const uv_buf_t> pieces);
  // on_written() follows, never at once: until then `pieces` stay where they are, or the stream is closed. One at a
  // time. 0, or libuv's error code: then nothing follows.
  int write(std::span<const uv_buf_t> pieces);
  size_t unsent() const;  // of what write() was given; with TLS about as many
  // Behind all that was written the other side sees the end; while no write() is under way. 0, or libuv's error code.
  int shut_down();

  void close() { state_.reset(); }  // at once
  void reset();  // likewise, and what was not sent yet is thrown away: the other side sees that

  void keep_alive(unsigned int seconds);  // asks after so long without a byte whether the other side is there
  // Ends when the other side's system has acknowledged nothing for so long of what was sent to it.
  void end_unacknowledged_after(Duration patience);
  SocketAddress local() const;  // none of a Unix socket
  SocketAddress remote() const;
  int descriptor() const;  // -1: there is none
  // Of a Unix socket: who is at the other end (SO_PEERCRED). Nothing: it is TCP.
  std::optional<uint32_t> peer_uid() const;

  bool is_secure() const;
  bool is_shaking_hands() const;
  std::vector<std::string> tls_names() const;  // TlsSession::names(), once it is secured
  bool tls_refused() const;                    // TlsSession::was_refused()
  const std::string& tls_failure() const;      // in words, of a secured one; for on_end(UV_EPROTO)

 private:
  friend class Dialer;
  friend class Listener;
  enum class Kind : uint8_t { kTcp, kUnix };
  struct Close {
    void operator()(StreamState* state) const;
  };
  Stream(uv_loop_t* loop, Kind kind);  // connected to nobody yet
  void connected();

  std::unique_ptr<StreamState, Close> state_;
};

}  // namespace kvd::net
