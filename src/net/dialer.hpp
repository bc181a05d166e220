// One attempt to reach a server: resolves its host's name unless it is an address, and tries all of its addresses in
// turn. Whoever destroys it gives up; how long to be patient is the owner's business. Loop thread only.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "net/address.hpp"
#include "net/loop.hpp"
#include "net/stream.hpp"

namespace kvd::net {

class Dialer {
 public:
  // Called once, never at once, with 0 and the connection or with libuv's error code of the last address. May destroy
  // the Dialer.
  using Done = std::function<void(int status, Stream stream)>;
  Dialer(uv_loop_t* loop, const std::string& host, uint16_t port, Done done);
  Dialer(uv_loop_t* loop, const std::string& path, Done done);  // of a Unix socket
  Dialer(const Dialer&) = delete;
  Dialer& operator=(const Dialer&) = delete;

  // After a failure: that nobody listens was the answer of every address that the host has.
  bool all_refused() const { return all_refused_ && !addresses_.empty(); }

 private:
  void resolved(int status, std::vector<SocketAddress> found);
  void connect_next();
  int connect(const SocketAddress& address);
  uv_connect_t* begin(Stream::Kind kind);
  static void ended(uv_connect_t* request, int status);
  void connected(int status);
  void note_failure(int status);
  void fail_later();

  uv_loop_t* loop_;
  Done done_;
  Resolver resolver_;
  std::vector<SocketAddress> addresses_;
  size_t next_ = 0;          // of the addresses
  int failure_ = 0;          // the last one
  bool all_refused_ = true;  // so far
  Stream stream_;
  std::optional<Timer> failing_;
};

}  // namespace kvd::net
