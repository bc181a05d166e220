// Letters of ASCII without regard to case, as protocols compare names: HTTP's fields, DNS's labels. No locale, and no
// other bytes.
#pragma once
#include <algorithm>
#include <string>
#include <string_view>

namespace kvd {

constexpr char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

inline std::string to_lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) { return to_lower(c); });
  return text;
}

inline bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return to_lower(x) == to_lower(y); });
}

}  // namespace kvd
