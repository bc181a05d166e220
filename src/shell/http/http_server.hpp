// The HTTP interface on a socket: clients' requests into the node's
// mailboxes, its replies back to the clients. Owned by the daemon; everything
// on the loop's thread. It decides nothing that the node should decide.
//
// A turn of the loop: requests arrive in the poll phase and go to `sink`; then the node runs, reply() takes
// each of its replies, and flush() writes them, one system call per connection. reply() and flush() never
// call `sink` with a new request, so nothing is left behind when the loop goes to sleep. SIGPIPE has to be
// ignored by the process.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "base/result.hpp"
#include "msg/access_table.hpp"
#include "net/handshakes.hpp"
#include "net/listener.hpp"
#include "net/loop.hpp"
#include "shell/audit_log.hpp"
#include "shell/http/http_options.hpp"
#include "shell/input_sink.hpp"
#include "shell/tls_keeper.hpp"

namespace kvd {

class HttpConnection;
struct HttpShared;

// Other machines may reach `address`, whose host may be a name. Blocks: for the start only.
bool reaches_beyond_loopback(uv_loop_t* loop, const Address& address);

class HttpServer {
 public:
  // With `tls`, which outlives it and is started before it, nothing but TLS is served on the port. `audit`, which
  // outlives it, too: who did what.
  HttpServer(uv_loop_t* loop, HttpOptions options, InputSink sink, LogSink log,
             const TlsKeeper* tls = nullptr, AuditLog* audit = nullptr);
  ~HttpServer();  // after close(), if start() was called
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Listens. The address that it got (the port when 0 was asked for); an Error is the system's reason, to
  // which the caller adds the address and --port. Blocks while it resolves a host's name.
  Result<Address> start();
  // Also on the Unix socket of the options, where nothing is encrypted: it leads through no network. Blocks for a
  // moment.
  Result<void> start_socket();

  // The node's reply to a request that this server made. One whose client is gone is dropped.
  void reply(const Reply& reply);
  void stream(const StreamLines& lines);  // to a request that was answered with WatchOpened
  void change_access(AccessTablePointer table, bool whole);
  // Once per turn, after the replies.
  void flush();

  // Graceful stop: no new connections;
  // what is asked on the open ones is still answered, with Connection: close.
  void stop_accepting();
  // Every request is answered and the answers are in the kernel's hands.
  bool drained() const;
  // Closes everything at once.
  void close();

 private:
  void on_connection(int status, net::Stream stream, bool from_network);
  void check_time();
  void resume();
  void keep_bounds();
  uint32_t next_number();

  uv_loop_t* loop_;
  std::unique_ptr<HttpShared> shared_;
  std::optional<net::Listener> listener_;
  std::optional<net::Listener> socket_listener_;
  net::Timer timer_;
  Duration check_interval_{0};
  const TlsKeeper* tls_;
  net::Handshakes handshakes_;  // of the open connections
  size_t checked_ = 0;          // buckets of the open connections in this pass of check_time()
  AccessTablePointer whole_access_ = std::make_shared<const AccessTable>();  // the last that was whole
  bool refusing_ = false;                  // the last connection was refused: that is logged once
  std::vector<HttpConnection*> flushing_;  // swapped with the dirty ones, so that both keep their memory
  uint32_t last_number_ = 0;
};

}  // namespace kvd
