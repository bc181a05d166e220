// See resolver.hpp.
#include "net/resolver.hpp"

#include <netdb.h>

#include <memory>
#include <utility>

namespace kvd::net {
namespace {

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
