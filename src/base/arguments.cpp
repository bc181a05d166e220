// See arguments.hpp.
#include "base/arguments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <utility>

namespace kvd {

std::optional<std::string> missing_value(const std::vector<std::string>& arguments,
                                         const std::function<bool(std::string_view name)>& takes_value) {
  constexpr std::string_view kDashes = "--";
  constexpr const char* kNone = "{}: give a value";
  constexpr const char* kEmpty = "{}: the value is empty; give one, or leave the flag out";
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (!argument.starts_with(kDashes)) continue;
    const size_t end = std::min(argument.find('='), argument.size());
    const std::string_view flag = argument.substr(0, end);
    if (end + 1 == argument.size()) return fmt::format(kEmpty, flag);
    if (end < argument.size() || !takes_value(flag.substr(kDashes.size()))) continue;
    if (++i == arguments.size() || arguments[i].starts_with(kDashes)) return fmt::format(kNone, flag);
    if (arguments[i].empty()) return fmt::format(kEmpty, flag);
  }
  return std::nullopt;
}

std::optional<int64_t> parse_size(std::string_view text) {
  constexpr std::string_view kUnits = "KMG";
  int shift = 0;
  if (const size_t unit = text.empty() ? text.npos : kUnits.find(text.back()); unit != text.npos) {
    shift = 10 * (static_cast<int>(unit) + 1);
    text.remove_suffix(1);
  }
  int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  const int64_t most = INT64_MAX >> shift;
  if (error != std::errc() || stop != end || number > most || number < -most) return std::nullopt;
  return number * (int64_t{1} << shift);
}

namespace {

size_t distance(std::string_view a, std::string_view b) {  // of Levenshtein
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = std::exchange(row[j + 1], std::min({changed, row[j] + 1, row[j + 1] + 1}));
    }
  }
  return row.back();
}

}  // namespace

std::string nearest(std::string_view name, const std::vector<std::string>& known) {
  return *std::min_element(known.begin(), known.end(), [name](const auto& a, const auto& b) {
    return distance(name, a) < distance(name, b);
  });
}

}  // namespace kvd
