// Finds ports by binding them for a moment: see the header. Another process may still take one before its
// user binds it, which random choice among 22,000 makes rare.
#include "support/free_port.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

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

}  // namespace

uint16_t free_port(uint16_t offset) {
  static std::set<uint16_t> given;
  static std::mt19937 random{std::random_device{}()};  // tests that run at the same time should not meet
  for (int attempt = 0; attempt < 10'000; ++attempt) {
    const auto port = static_cast<uint16_t>(kFirst + random() % (kLast - kFirst - offset + 1u));
    const auto other = static_cast<uint16_t>(port + offset);
    if (given.contains(port) || given.contains(other) || !can_bind(port) || !can_bind(other)) continue;
    given.insert({port, other});
    return port;
  }
  CHECK(!"a free port");
  return 0;
}

}  // namespace kvd::testing
