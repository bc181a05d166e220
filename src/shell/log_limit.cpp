// See log_limit.hpp. What was silent for a minute is forgotten, so that the next trouble is said at once again and the
// number of lines that are remembered stays small; beyond a limit nothing new is said, as then "the same" has failed.
#include "shell/log_limit.hpp"

#include <algorithm>
#include <utility>

namespace kvd {
namespace {

constexpr uint64_t kFirstPauseMs = 10'000;
constexpr uint64_t kLongestPauseMs = 600'000;
constexpr uint64_t kForgottenAfterMs = 60'000;
constexpr size_t kLinesMax = 32;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alphanumeric(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Without the words that begin with a digit, hexadecimal numbers and 12ms among them.
std::string without_numbers(std::string_view text) {
  std::string rest;
  for (size_t at = 0; at < text.size();) {
    const auto end = std::find_if_not(text.begin() + at, text.end(), is_alphanumeric) - text.begin();
    const size_t length = std::max<size_t>(end - at, 1);
    if (!is_digit(text[at])) rest.append(text, at, length);
    at += length;
  }
  return rest;
}

}  // namespace

std::optional<uint64_t> LogLimit::heard(std::string_view line, uint64_t now_ms) {
  std::erase_if(lines_,
                [now_ms](const auto& one) { return now_ms - one.second.heard_ms >= kForgottenAfterMs; });
  std::string key = without_numbers(line);
  if (!lines_.contains(key) && lines_.size() >= kLinesMax) return std::nullopt;
  const auto [it, fresh] = lines_.try_emplace(std::move(key));
  Line& found = it->second;
  found.heard_ms = now_ms;
  if (!fresh && now_ms - found.said_ms < found.pause_ms) {
    ++found.left_out;
    return std::nullopt;
  }
  found.said_ms = now_ms;
  found.pause_ms = fresh ? kFirstPauseMs : std::min(found.pause_ms * 2, kLongestPauseMs);
  return std::exchange(found.left_out, 0);
}

}  // namespace kvd
