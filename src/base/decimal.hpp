// Whole numbers as text in their one canonical form: decimal digits without leading zeros, `-` before a negative one,
// -9223372036854775808 to 9223372036854775807. Each number has one such text, so that texts and numbers can stand for
// each other. Pure functions, any thread.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace kvd {

// Nothing: `text` is anything else, such as "+1", "01", "-0", " 1" or "". The other way is std::to_string.
std::optional<int64_t> parse_decimal(std::string_view text);

}  // namespace kvd
