// See ip_address.hpp.
// The system's own reader and writer: they know texts alone, no sockets.
#include "base/ip_address.hpp"

#include <arpa/inet.h>

namespace kvd {

std::optional<std::string> canonical_ip(std::string_view text) {
  const std::string whole(text);
  if (whole.find('\0') != std::string::npos) return std::nullopt;
  in6_addr address{};  // has room for an IPv4 address, too
  char written[INET6_ADDRSTRLEN];
  for (const int family : {AF_INET, AF_INET6}) {
    if (inet_pton(family, whole.c_str(), &address) == 1)
      return inet_ntop(family, &address, written, sizeof written);
  }
  return std::nullopt;
}

}  // namespace kvd
