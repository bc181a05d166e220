// See peer_socket.hpp.
#include "shell/peers/peer_socket.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "msg/znodes.hpp"

namespace kvd {
namespace {

constexpr unsigned kUnacknowledgedMs = 3000;

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

void prepare_socket(uv_tcp_t* tcp) {
  uv_tcp_nodelay(tcp, 1);
  uv_os_fd_t fd = -1;
  if (uv_fileno(reinterpret_cast<uv_handle_t*>(tcp), &fd) != 0) return;
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUnacknowledgedMs, sizeof kUnacknowledgedMs);
}

std::string local_name(const uv_tcp_t* tcp) { return format_address(address_of(tcp, uv_tcp_getsockname)); }
std::string remote_name(const uv_tcp_t* tcp) { return format_address(address_of(tcp, uv_tcp_getpeername)); }
uint16_t local_port(const uv_tcp_t* tcp) { return address_of(tcp, uv_tcp_getsockname).port; }

}  // namespace kvd
