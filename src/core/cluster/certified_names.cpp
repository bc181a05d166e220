// See certified_names.hpp.
#include "core/cluster/certified_names.hpp"

#include <algorithm>

#include "base/ip_address.hpp"

namespace kvd {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

bool names_host(std::string_view certified, std::string_view host) {
  if (!certified.starts_with("*.")) return same(certified, host);
  const size_t dot = host.find('.');
  return dot != std::string_view::npos && dot > 0 && same(certified.substr(1), host.substr(dot));
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
