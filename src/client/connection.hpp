// One HTTP client connection on a libuv loop: requests are appended as bytes and written together, answers come back
// in the order of the requests. It never reconnects by itself; whoever owns it decides. Loop thread only.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "client/response_parser.hpp"
#include "client/server.hpp"
#include "net/dialer.hpp"
#include "net/handshakes.hpp"
#include "net/stream.hpp"

namespace kvd::client {

class Connection;

class ConnectionOwner {
 public:
  virtual ~ConnectionOwner() = default;
  virtual void on_open(Connection& connection) = 0;
  virtual void on_response(Connection& connection, const Response& response) = 0;
  // All that had come is delivered: the moment to append more and flush().
  virtual void on_turn(Connection& connection) = 0;
  // It could not be opened, or has ended. `why` is a libuv error code; UV_EPROTO: what came is no HTTP, or the TLS has
  // failed (tls_failure()).
  virtual void on_lost(Connection& connection, int why) = 0;
};

class Connection final : private net::StreamOwner {
 public:
  Connection(uv_loop_t* loop, ConnectionOwner& owner, size_t index, Keep keep = Keep::kFailures);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  size_t index() const { return index_; }  // the owner's number for it
  bool is_open() const { return stream_.is_open() && !stream_.is_shaking_hands(); }
  bool is_closed() const { return !dialer_ && !stream_.is_open(); }

  void open(const Server& server);  // must be closed; on_open() or on_lost() follows, never at once
  void close();                     // silently; what is unanswered stays so

  std::string& output() { return output_; }  // append whole requests
  void flush();                              // writes what the socket takes; the rest goes when it takes more

  int descriptor() const { return stream_.descriptor(); }  // -1: it is not open

  // What has come of an answer that is not whole yet (ResponseParser::under_way()).
  Response* under_way() { return parser_.under_way(); }

  uint64_t bytes_in() const { return bytes_in_; }
  // Why the TLS has failed, in words; empty: that is not why it was lost.
  const std::string& tls_failure() const { return tls_failure_; }
  bool was_refused() const { return was_refused_; }  // the server took nothing, for the certificate's sake

 private:
  void on_bytes(std::string_view bytes) override;
  void on_end(int why) override;
  void on_written(int status) override;
  void on_secured() override { owner_.on_open(*this); }
  void dialed(int status, net::Stream stream);
  static bool on_parsed(void* self, const Response& response);
  void lose(int why);

  uv_loop_t* loop_;
  ConnectionOwner& owner_;
  size_t index_;
  ResponseParser parser_;
  Server server_;
  std::unique_ptr<net::Handshakes> handshakes_;  // once there is TLS; outlives stream_
  std::optional<net::Dialer> dialer_;            // while it is neither open nor closed
  net::Stream stream_;
  std::string output_;
  std::string writing_;  // what waits for the socket
  uint64_t bytes_in_ = 0;
  std::string tls_failure_;
  bool was_refused_ = false;
};

}  // namespace kvd::client
