// Finds ports by binding them for a moment, and reserves their numbers: see the header. A process that is not a
// test may still take one before its user binds it, which random choice among 22,000 makes rare.
#include "rig/free_port.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <random>
#include <set>

#include "base/check.hpp"

namespace kvd::testing {
namespace {

constexpr uint16_t kFirst = 10'000;
constexpr uint16_t kLast = 32'767;

bool can_bind(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0);
  const int on = 1;  // as servers do: a port in TIME_WAIT is free
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool bound = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  return bound;
}

// By a name that no other process can bind while this one lives. Like ports, such names belong to one network
// namespace.
bool reserve(uint16_t port) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;  // and the name begins with a zero: it is no file
  snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "kvd-test-port-%d", port);
  if (bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0) return true;
  close(fd);
  return false;
}

}  // namespace

uint16_t free_port(uint16_t offset) {
  static std::set<uint16_t> given;
  static std::mt19937 random{std::random_device{}()};
  for (int attempt = 0; attempt < 10'000; ++attempt) {
    const auto port = static_cast<uint16_t>(kFirst + random() % (kLast - kFirst - offset + 1u));
    const auto other = static_cast<uint16_t>(port + offset);
    if (given.contains(port) || given.contains(other) || !can_bind(port) || !can_bind(other)) continue;
    if (!reserve(port) || (offset != 0 && !reserve(other))) continue;
    given.insert({port, other});
    return port;
  }
  CHECK(!"a free port");
  return 0;
}

}  // namespace kvd::testing
