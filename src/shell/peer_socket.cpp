// See peer_socket.hpp.
#include "shell/peer_socket.hpp"

#include "msg/znodes.hpp"

namespace kvd {
namespace {

using NameOf = int (*)(const uv_tcp_t*, sockaddr*, int*);

Address address_of(const uv_tcp_t* tcp, NameOf name_of) {
  sockaddr_storage name{};
  int length = sizeof name;
  if (name_of(tcp, reinterpret_cast<sockaddr*>(&name), &length) != 0) return {};
  char host[64] = "";
  if (name.ss_family == AF_INET6) {
    const auto* ip6 = reinterpret_cast<const sockaddr_in6*>(&name);
    uv_ip6_name(ip6, host, sizeof host);
    return {host, ntohs(ip6->sin6_port)};
  }
  const auto* ip4 = reinterpret_cast<const sockaddr_in*>(&name);
  uv_ip4_name(ip4, host, sizeof host);
  return {host, ntohs(ip4->sin_port)};
}

}  // namespace

std::string local_name(const uv_tcp_t* tcp) { return format_address(address_of(tcp, uv_tcp_getsockname)); }
std::string remote_name(const uv_tcp_t* tcp) { return format_address(address_of(tcp, uv_tcp_getpeername)); }
uint16_t local_port(const uv_tcp_t* tcp) { return address_of(tcp, uv_tcp_getsockname).port; }

}  // namespace kvd
