// See config_json.hpp.
#include "shell/http/config_json.hpp"

#include "msg/limits.hpp"

namespace kvd {

std::string take_ms(BodyElement value, uint64_t min, uint64_t max, uint64_t& target) {
  return take_bounded(value, min, max, " (milliseconds)", target);
}
std::string take_time(BodyElement value, uint64_t& target) {
  return take_ms(value, 0, limits::kTtlMsMax, target);
}
std::string take_ttr(BodyElement value, uint64_t& target) {
  return take_ms(value, limits::kTtrMsMin, limits::kTtrMsMax, target);
}

std::string take_backoff(BodyElement value, std::vector<uint64_t>& target) {
  const std::string wanted =
      fmt::format("a list of at most {} delays, each a whole number from 0 to {} (milliseconds)",
                  limits::kBackoffs, limits::kTtlMsMax);
  simdjson::dom::array list;
  if (value.get(list) != simdjson::SUCCESS) return wanted;
  for (const BodyElement delay : list) {
    if (target.size() == limits::kBackoffs || !take_time(delay, target.emplace_back()).empty()) return wanted;
  }
  return "";
}

std::string take_choice(BodyElement value, std::string_view off, std::string_view on, bool& flag) {
  std::string_view word;
  const bool known = value.get(word) == simdjson::SUCCESS && (word == off || word == on);
  flag = word == on;
  return known ? "" : fmt::format("\"{}\" or \"{}\"", off, on);
}

std::string take_named(const BodyText& text, std::string_view name, size_t min, size_t max,
                       std::string& target) {
  if (!text.bytes) return "";
  if (text.bytes->size() < min || text.bytes->size() > max)
    return fmt::format("\"{}\" has {} to {} bytes", name, min, max);
  target = *text.bytes;
  return "";
}

std::string unknown_member(std::string_view name) {
  return fmt::format("the member \"{}\" is unknown here", name);
}
std::string given_twice(std::string_view name) { return fmt::format("\"{}\" is given twice", name); }

std::string take_dead_letter(const BodyText& text, std::string& target) {
  return take_named(text, "dead_letter", 0, limits::kQueueNameBytes, target);
}

}  // namespace kvd
