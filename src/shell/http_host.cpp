// See http_host.hpp.
#include "shell/http_host.hpp"

#include <algorithm>
#include <array>

#include "base/ip_address.hpp"
#include "base/percent.hpp"

namespace kvd {
namespace {

constexpr std::array<bool, 256> kNameBytes = [] {
  std::array<bool, 256> of{};
  for (char c = 'a'; c <= 'z'; ++c) of[static_cast<unsigned char>(c)] = true;
  for (char c = 'A'; c <= 'Z'; ++c) of[static_cast<unsigned char>(c)] = true;
  for (char c = '0'; c <= '9'; ++c) of[static_cast<unsigned char>(c)] = true;
  for (char c : std::string_view("-._~%!$&'()*+;=")) of[static_cast<unsigned char>(c)] = true;
  return of;
}();

bool is_name(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return kNameBytes[c]; }) &&
         (text.find('%') == std::string_view::npos || is_percent_encoded(text));
}

}  // namespace

std::optional<std::string_view> host_of(std::string_view authority) {
  const bool bracket = authority.starts_with('[');
  const size_t end = bracket ? authority.find(']') : std::min(authority.find(':'), authority.size());
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view host = authority.substr(0, bracket ? end + 1 : end);
  std::string_view port = authority.substr(host.size());
  if (!port.empty() && port.front() != ':') return std::nullopt;
  if (!port.empty()) port.remove_prefix(1);
  if (!std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return std::nullopt;
  const bool valid =
      bracket ? host.find(':') != host.npos && canonical_ip(host.substr(1, host.size() - 2)) : is_name(host);
  return valid ? std::optional(host) : std::nullopt;
}

}  // namespace kvd
