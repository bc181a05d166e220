// See address.hpp.
#include "net/address.hpp"

#include <netinet/in.h>

#include <cstring>

namespace kvd::net {
namespace {

using NameOf = int (*)(const uv_tcp_t*, sockaddr*, int*);

SocketAddress address_of(const uv_tcp_t& tcp, NameOf name_of) {
  sockaddr_storage name{};
  auto* address = reinterpret_cast<sockaddr*>(&name);
  int length = sizeof name;
  return name_of(&tcp, address, &length) == 0 ? SocketAddress(address) : SocketAddress();
}

}  // namespace

SocketAddress::SocketAddress(const sockaddr* address) {
  std::memcpy(&address_, address,
              address->sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in));
}

std::optional<SocketAddress> SocketAddress::from_literal(const std::string& host, uint16_t port) {
  SocketAddress literal;
  auto* storage = &literal.address_;
  if (uv_ip4_addr(host.c_str(), port, reinterpret_cast<sockaddr_in*>(storage)) == 0 ||
      uv_ip6_addr(host.c_str(), port, reinterpret_cast<sockaddr_in6*>(storage)) == 0)
    return literal;
  return std::nullopt;
}

SocketAddress SocketAddress::local_of(const uv_tcp_t& tcp) { return address_of(tcp, uv_tcp_getsockname); }
SocketAddress SocketAddress::remote_of(const uv_tcp_t& tcp) { return address_of(tcp, uv_tcp_getpeername); }

const sockaddr* SocketAddress::get() const { return reinterpret_cast<const sockaddr*>(&address_); }

std::string SocketAddress::host() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (address_.ss_family != AF_UNSPEC) uv_ip_name(get(), text, sizeof text);
  return text;
}

uint16_t SocketAddress::port() const {  // at the same place in both families
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address_)->sin_port);
}

bool SocketAddress::is_loopback() const {
  if (address_.ss_family == AF_INET6)
    return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(&address_)->sin6_addr);
  return ntohl(reinterpret_cast<const sockaddr_in*>(&address_)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

}  // namespace kvd::net
