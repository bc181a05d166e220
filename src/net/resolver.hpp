// How a host becomes addresses: it may be a name, or an address already. Both ask the system and know only what it
// knows. Loop thread only.
#pragma once
#include <uv.h>

#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "net/address.hpp"

namespace kvd::net {

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
