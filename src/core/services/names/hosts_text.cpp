// See hosts_text.hpp.
#include "core/services/names/hosts_text.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.hpp"
#include "core/services/names/name_entry.hpp"
#include "msg/name_rules.hpp"

namespace kvd {
namespace {

constexpr uint64_t kVersionMask = (1ull << 53) - 1;

std::string_view first_label(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

}  // namespace

std::vector<HostLine> host_lines(const std::map<std::string, std::string>& addresses) {
  std::map<std::string_view, size_t> with_label;
  for (const auto& [path, address] : addresses) ++with_label[first_label(path)];
  std::vector<HostLine> lines;
  for (const auto& [path, address] : addresses) {
    HostLine line{address, {host_name_of(path)}};
    const std::string_view label = first_label(path);
    if (label != path && with_label[label] == 1 && !is_number(label)) line.names.emplace_back(label);
    lines.push_back(std::move(line));
  }
  return lines;
}

std::string hosts_file(const std::vector<HostLine>& lines) {
  std::string text;
  for (const HostLine& line : lines)
    text += fmt::format("{}\t{}\n", line.address, fmt::join(line.names, " "));
  return text;
}

uint64_t version_of(std::string_view text) { return std::max<uint64_t>(1, hash_bytes(text) & kVersionMask); }

}  // namespace kvd
