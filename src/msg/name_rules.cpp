// See name_rules.hpp.
#include "msg/name_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/utf8.hpp"
#include "msg/zk_checks.hpp"
#include "msg/znodes.hpp"

namespace kvd {
namespace {

constexpr size_t kPoolBytes = 255;
constexpr size_t kLabelBytes = 63;
constexpr size_t kHostNameBytes = 253;

bool is_one_part(std::string_view name, size_t bytes_max) {
  return !name.empty() && name.size() <= bytes_max && name.find('/') == std::string_view::npos &&
         zk_path_valid(fmt::format("/{}", name));
}

}  // namespace

std::string_view own_znode_above(std::string_view path) {
  for (const std::string_view own :
       {std::string_view(kElectionPath), std::string_view(kRootPath), std::string_view("/zookeeper")}) {
    if (at_or_below(path, own)) return own;
  }
  return {};
}

std::string problem_of_holder_name(std::string_view name) {
  if (!name.empty() && name.size() <= kHolderNameBytes && is_utf8(name)) return {};
  return fmt::format("a name is a text in UTF-8 of 1 to {} bytes", kHolderNameBytes);
}

bool is_label(std::string_view text) {
  auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  return !text.empty() && text.size() <= kLabelBytes && std::all_of(text.begin(), text.end(), allowed) &&
         text.front() != '-' && text.back() != '-' && text != "localhost";
}

bool is_number(std::string_view label) {
  const bool hexadecimal = label.starts_with("0x");
  if (hexadecimal) label.remove_prefix(2);
  return std::all_of(label.begin(), label.end(), [hexadecimal](char c) {
    return (c >= '0' && c <= '9') || (hexadecimal && c >= 'a' && c <= 'f');
  });
}

std::string problem_of_name(std::string_view path) {
  if (path.empty()) return "the path has to name an entry, as in /v1/names/web/1";
  if (path.size() > kHostNameBytes) return fmt::format("a name has at most {} bytes", kHostNameBytes);
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    begin = end + 1;
    if (is_label(part)) continue;
    if (std::any_of(part.begin(), part.end(), [](char c) { return c >= 'A' && c <= 'Z'; }))
      return "names are host names, and these are lower case here: no A to Z";
    if (part == "localhost") return "'localhost' is no name to give away";
    return "each part of a name has 1 to 63 characters a to z, 0 to 9 and '-', which is neither first nor "
           "last";
  }
  if (is_number(path.substr(0, path.find('/'))))
    return "the first part of a name is no number: 1.2 would be an address";
  return {};
}

std::string problem_of_pool(std::string_view pool) {
  if (is_one_part(pool, kPoolBytes)) return {};
  return fmt::format("a pool's name has 1 to {} bytes and could be a znode's", kPoolBytes);
}

std::optional<uint32_t> id_number(std::string_view name) {
  uint32_t number = 0;
  const char* end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data(), end, number);
  if (error != std::errc() || rest != end || name.front() == '0' || number == 0 || number > kIdMax)
    return std::nullopt;
  return number;
}

bool task_name_valid(std::string_view name) { return is_one_part(name, kTaskNameBytes); }

bool task_kind_valid(std::string_view kind) {
  return kind.size() <= kTaskKindBytes && is_utf8(kind) && kind.find('\0') == std::string_view::npos;
}

}  // namespace kvd
