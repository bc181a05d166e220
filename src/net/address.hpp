// The addresses of sockets as the system has them, IPv4 or IPv6 with a port, and how a host becomes some: it may be a
// name. Loop thread only.
#pragma once
#include <sys/socket.h>
#include <uv.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace kvd::net {

class SocketAddress {
 public:
  SocketAddress() = default;  // none: no host, port 0
  explicit SocketAddress(const sockaddr* address);
  // Nothing: `host` is a name.
  static std::optional<SocketAddress> from_literal(const std::string& host, uint16_t port);

  // Of a socket's two ends; none when it has none any more.
  static SocketAddress local_of(const uv_tcp_t& tcp);
  static SocketAddress remote_of(const uv_tcp_t& tcp);

  std::string host() const;  // as a literal, without brackets
  uint16_t port() const;
  bool is_loopback() const;
  const sockaddr* get() const;

 private:
  sockaddr_storage address_{};
};

// All addresses of a host, one at least; an Error is the system's reason. Blocks: for a program's start only.
Result<std::vector<SocketAddress>> resolve_now(uv_loop_t* loop, const std::string& host, uint16_t port);

// The same without blocking. `done` is called once, in a later turn, with libuv's error code or 0; not at all when the
// Resolver is gone by then. It may destroy the Resolver.
class Resolver {
 public:
  using Done = std::function<void(int status, std::vector<SocketAddress> found)>;
  Resolver(uv_loop_t* loop, Done done);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // 0, or libuv's error code: then `done` is not called. Once.
  int start(const std::string& host, uint16_t port);

 private:
  struct Request;

  uv_loop_t* loop_;
  Done done_;
  Request* request_ = nullptr;  // frees itself when libuv is done with it
};

}  // namespace kvd::net
