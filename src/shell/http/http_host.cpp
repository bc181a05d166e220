// See http_host.hpp.
#include "shell/http/http_host.hpp"

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

// How much of `text` is a name.
size_t name_size(std::string_view text) {
  size_t size = 0;
  while (size < text.size() && kNameBytes[static_cast<unsigned char>(text[size])]) ++size;
  return size;
}

bool is_address(std::string_view text) {
  return text.find(':') != std::string_view::npos && canonical_ip(text);
}

}  // namespace

std::optional<std::string_view> host_of(std::string_view authority) {
  const bool bracket = authority.starts_with('[');
  const size_t end = bracket ? std::min(authority.find(']'), authority.size() - 1) + 1 : name_size(authority);
  const std::string_view host = authority.substr(0, end);
  for (size_t at = end; at < authority.size(); ++at) {
    const bool port = at == end ? authority[at] == ':' : authority[at] >= '0' && authority[at] <= '9';
    if (!port) return std::nullopt;
  }
  const bool valid =
      bracket ? host.ends_with(']') && is_address(host.substr(1, host.size() - 2)) : is_percent_encoded(host);
  return valid ? std::optional(host) : std::nullopt;
}

}  // namespace kvd
