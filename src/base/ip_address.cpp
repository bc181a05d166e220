// See ip_address.hpp. An IPv6 address is eight groups of sixteen bits; one run of zeros may be left out, and the last
// two groups may be written as an IPv4 address.
#include "base/ip_address.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <vector>

namespace kvd {
namespace {

constexpr size_t kGroups = 8;

std::optional<uint32_t> read_ipv4(std::string_view text) {
  uint32_t address = 0;
  for (int i = 0; i < 4; ++i) {
    const size_t end = i < 3 ? text.find('.') : text.size();
    if (end == std::string_view::npos || end == 0 || end > 3 || (end > 1 && text[0] == '0'))
      return std::nullopt;
    uint32_t octet = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + end, octet);
    if (error != std::errc() || stop != text.data() + end || octet > 255) return std::nullopt;
    address = address << 8 | octet;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return address;
}

std::string write_ipv4(uint32_t address) {
  return fmt::format("{}.{}.{}.{}", address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255);
}

// Groups between colons, none of them empty; an IPv4 address may be the last. Nothing at all is no group.
std::optional<std::vector<uint16_t>> read_groups(std::string_view text, bool may_end_in_ipv4) {
  std::vector<uint16_t> groups;
  if (text.empty()) return groups;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(':', begin), text.size());
    const std::string_view one = text.substr(begin, end - begin);
    begin = end + 1;
    if (may_end_in_ipv4 && end == text.size() && one.find('.') != std::string_view::npos) {
      const std::optional<uint32_t> address = read_ipv4(one);
      if (!address) return std::nullopt;
      groups.push_back(static_cast<uint16_t>(*address >> 16));
      groups.push_back(static_cast<uint16_t>(*address));
      continue;
    }
    uint16_t group = 0;
    const auto [stop, error] = std::from_chars(one.data(), one.data() + one.size(), group, 16);
    if (one.empty() || one.size() > 4 || error != std::errc() || stop != one.data() + one.size())
      return std::nullopt;
    groups.push_back(group);
  }
  return groups;
}

std::optional<std::vector<uint16_t>> read_ipv6(std::string_view text) {
  const size_t gap = text.find("::");
  if (gap == std::string_view::npos) {
    auto all = read_groups(text, true);
    return all && all->size() == kGroups ? all : std::nullopt;
  }
  auto groups = read_groups(text.substr(0, gap), false);
  const auto behind = read_groups(text.substr(gap + 2), true);
  if (!groups || !behind || groups->size() + behind->size() >= kGroups) return std::nullopt;
  groups->resize(kGroups - behind->size());
  groups->insert(groups->end(), behind->begin(), behind->end());
  return groups;
}

std::string write_ipv6(const std::vector<uint16_t>& groups) {
  size_t best = 0;
  size_t longest = 1;  // a single zero is written
  for (size_t begin = 0; begin < kGroups; ++begin) {
    size_t end = begin;
    while (end < kGroups && groups[end] == 0) ++end;
    if (end - begin <= longest) continue;
    best = begin;
    longest = end - begin;
  }
  if (longest == 1) return fmt::format("{:x}", fmt::join(groups, ":"));
  const std::vector<uint16_t> before(groups.begin(), groups.begin() + static_cast<long>(best));
  const std::vector<uint16_t> behind(groups.begin() + static_cast<long>(best + longest), groups.end());
  const bool ipv4 = best == 0 && (longest == 6 || (longest == 5 && groups[5] == 0xffff));
  if (ipv4)
    return fmt::format("::{}{}", longest == 5 ? "ffff:" : "",
                       write_ipv4(uint32_t(groups[6]) << 16 | groups[7]));
  return fmt::format("{:x}::{:x}", fmt::join(before, ":"), fmt::join(behind, ":"));
}

}  // namespace

std::optional<std::string> canonical_ip(std::string_view text) {
  if (const std::optional<uint32_t> four = read_ipv4(text)) return write_ipv4(*four);
  if (const auto six = read_ipv6(text)) return write_ipv6(*six);
  return std::nullopt;
}

}  // namespace kvd
