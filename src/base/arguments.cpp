// See arguments.hpp.
#include "base/arguments.hpp"

#include <fmt/format.h>

#include <algorithm>

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

}  // namespace kvd
