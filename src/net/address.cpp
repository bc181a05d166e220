// See address.hpp.
#include "net/address.hpp"

#include <netdb.h>
#include <netinet/in.h>

#include <cstring>
#include <memory>
#include <utility>

namespace kvd::net {
namespace {

using NameOf = int (*)(const uv_tcp_t*, sockaddr*, int*);

SocketAddress address_of(const uv_tcp_t& tcp, NameOf name_of) {
  sockaddr_storage name{};
  auto* address = reinterpret_cast<sockaddr*>(&name);
  int length = sizeof name;
  return name_of(&tcp, address, &length) == 0 ? SocketAddress(address) : SocketAddress();
}

int look_up(uv_loop_t* loop, uv_getaddrinfo_t* request, uv_getaddrinfo_cb done, const std::string& host,
            uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  return uv_getaddrinfo(loop, request, done, host.c_str(), std::to_string(port).c_str(), &hints);
}

std::vector<SocketAddress> take(addrinfo* found) {
  std::vector<SocketAddress> addresses;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) addresses.emplace_back(at->ai_addr);
  uv_freeaddrinfo(found);
  return addresses;
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

Result<std::vector<SocketAddress>> resolve_now(uv_loop_t* loop, const std::string& host, uint16_t port) {
  uv_getaddrinfo_t request{};
  const int code = look_up(loop, &request, nullptr, host, port);
  if (code != 0) return failure(uv_strerror(code));
  return take(request.addrinfo);
}

struct Resolver::Request {
  uv_getaddrinfo_t uv{};
  Resolver* resolver = nullptr;  // null: nobody waits for it any more
};

Resolver::Resolver(uv_loop_t* loop, Done done) : loop_(loop), done_(std::move(done)) {}

Resolver::~Resolver() {
  if (request_ == nullptr) return;
  request_->resolver = nullptr;
  uv_cancel(reinterpret_cast<uv_req_t*>(&request_->uv));  // too late where it has begun
}

int Resolver::start(const std::string& host, uint16_t port) {
  request_ = new Request;
  request_->uv.data = request_;
  request_->resolver = this;
  const auto resolved = [](uv_getaddrinfo_t* uv, int status, addrinfo* found) {
    const std::unique_ptr<Request> request(static_cast<Request*>(uv->data));
    std::vector<SocketAddress> addresses = take(found);
    Resolver* resolver = request->resolver;
    if (resolver == nullptr) return;
    resolver->request_ = nullptr;
    const Done done = std::move(resolver->done_);  // which may destroy the Resolver
    done(status, std::move(addresses));
  };
  const int code = look_up(loop_, &request_->uv, resolved, host, port);
  if (code != 0) delete std::exchange(request_, nullptr);
  return code;
}

}  // namespace kvd::net
