// See certified_names.hpp.
#include "core/cluster/certified_names.hpp"

#include <algorithm>

#include "base/ascii.hpp"
#include "base/ip_address.hpp"

namespace kvd {
namespace {

bool names_host(std::string_view certified, std::string_view host) {
  if (!certified.starts_with("*.")) return equal_ignoring_case(certified, host);
  const size_t dot = host.find('.');
  return dot != std::string_view::npos && dot > 0 &&
         equal_ignoring_case(certified.substr(1), host.substr(dot));
}

}  // namespace

bool is_named(std::string_view host, const std::vector<std::string>& names) {
  constexpr std::string_view kDns = "dns:", kIp = "ip:";
  const std::optional<std::string> address = canonical_ip(host);
  return std::any_of(names.begin(), names.end(), [&](std::string_view name) {
    if (address) return name.starts_with(kIp) && *address == name.substr(kIp.size());
    return name.starts_with(kDns) && names_host(name.substr(kDns.size()), host);
  });
}

}  // namespace kvd
