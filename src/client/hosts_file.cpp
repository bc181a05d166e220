// See hosts_file.hpp.
#include "client/hosts_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace kvd::client {
namespace {

constexpr std::string_view kBegin = "# BEGIN kvd ";
constexpr std::string_view kEndMark = "# END kvd ";

struct Place {  // of a line, with its line end
  size_t begin = 0;
  size_t end = 0;
};

// The line that starts at `at`, without its line end and blanks before that.
std::string_view line_at(std::string_view text, size_t at, Place& place) {
  const size_t newline = text.find('\n', at);
  place = {at, newline == std::string_view::npos ? text.size() : newline + 1};
  std::string_view line = text.substr(at, place.end - at);
  while (!line.empty() && std::string_view(" \t\r\n").find(line.back()) != std::string_view::npos)
    line.remove_suffix(1);
  return line;
}

// Where the one line `marker` is; nothing: there is none.
Result<std::optional<Place>> find_marker(std::string_view text, std::string_view marker) {
  std::optional<Place> found;
  for (Place place; place.end < text.size();) {
    if (line_at(text, place.end, place) != marker) continue;
    if (found) return failure(fmt::format("there is more than one line '{}'", marker));
    found = place;
  }
  return found;
}

bool has_marker(std::string_view block) {
  for (Place place; place.end < block.size();) {
    const std::string_view line = line_at(block, place.end, place);
    if (line.starts_with(kBegin) || line.starts_with(kEndMark)) return true;
  }
  return false;
}

}  // namespace

bool is_hosts_node(std::string_view node) {
  const auto allowed = [](unsigned char c) { return c > ' ' && c < 0x7f; };
  return !node.empty() && node.size() <= 255 && std::all_of(node.begin(), node.end(), allowed);
}

Result<std::string> edit_hosts_file(std::string_view text, std::string_view node, std::string_view block) {
  if (has_marker(block)) return failure("the new block holds a line that looks like a marker");
  if (block.find('\0') != std::string_view::npos) return failure("the new block holds a NUL");
  const std::string begin_line = fmt::format("{}{}", kBegin, node);
  const std::string end_line = fmt::format("{}{}", kEndMark, node);
  const auto begin = find_marker(text, begin_line);
  if (!begin) return Failure<Error>(begin.error());
  const auto end = find_marker(text, end_line);
  if (!end) return Failure<Error>(end.error());
  if (begin->has_value() != end->has_value()) {
    return failure(fmt::format("there is '{}' without '{}'", *begin ? begin_line : end_line,
                               *begin ? end_line : begin_line));
  }
  if (*begin && (*end)->begin < (*begin)->begin)
    return failure(fmt::format("'{}' stands before '{}'", end_line, begin_line));

  std::string out(text.substr(0, *begin ? (*begin)->begin : text.size()));
  if (!out.empty() && out.back() != '\n') out += '\n';
  out += begin_line + "\n";
  out += block;
  if (!block.empty() && block.back() != '\n') out += '\n';
  out += end_line + "\n";
  if (*end) out += text.substr((*end)->end);
  return out;
}

}  // namespace kvd::client
