// See decimal.hpp.
#include "base/decimal.hpp"

#include <charconv>
#include <string>

namespace kvd {

std::optional<int64_t> parse_decimal(std::string_view text) {
  constexpr size_t kDigitsMax = 20;  // with the sign; whole values are asked about
  if (text.size() > kDigitsMax) return std::nullopt;
  int64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (std::to_string(number) != text) return std::nullopt;
  return number;
}

}  // namespace kvd
