// A number out of text that a server has sent, where reading it as JSON would cost more than what is measured. Pure
// functions, any thread.
#pragma once
#include <charconv>
#include <cstdint>
#include <string_view>

namespace kvd::load {

// That stands right behind the first `name`; 0: there is none.
inline uint64_t number_behind(std::string_view text, std::string_view name) {
  const size_t at = text.find(name);
  uint64_t number = 0;
  if (at != std::string_view::npos)
    std::from_chars(text.data() + at + name.size(), text.data() + text.size(), number);
  return number;
}

}  // namespace kvd::load
