// The address of a socket as the system has it: IPv4 or IPv6, and a port. A value; names are the Resolver's
// (resolver.hpp).
#pragma once
#include <sys/socket.h>
#include <uv.h>

#include <optional>
#include <string>

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

}  // namespace kvd::net
