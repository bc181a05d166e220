// How the JSON that makes queues, topics and subscriptions is read, member by member. Each that returns a string here:
// empty when the value is taken, else what it has to be. Pure functions, any thread.
#pragma once
#include <fmt/format.h>
#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shell/http/body_json.hpp"

namespace kvd {

using BodyElement = simdjson::dom::element;
using BodyMember = simdjson::dom::key_value_pair;

template <class Number>
std::string take_bounded(BodyElement value, uint64_t min, uint64_t max, std::string_view unit,
                         Number& target) {
  uint64_t number = 0;
  if (value.get(number) != simdjson::SUCCESS || number < min || number > max)
    return fmt::format("a whole number from {} to {}{}", min, max, unit);
  target = static_cast<Number>(number);
  return "";
}
std::string take_ms(BodyElement value, uint64_t min, uint64_t max, uint64_t& target);
std::string take_time(BodyElement value, uint64_t& target);  // 0 to limits::kTtlMsMax
std::string take_ttr(BodyElement value, uint64_t& target);
std::string take_backoff(BodyElement value, std::vector<uint64_t>& target);
// One of two words, of which the second one sets the flag.
std::string take_choice(BodyElement value, std::string_view off, std::string_view on, bool& flag);

// What is wrong, or empty: it was not given, or is taken.
std::string take_named(const BodyText& text, std::string_view name, size_t min, size_t max,
                       std::string& target);
std::string unknown_member(std::string_view name);
std::string given_twice(std::string_view name);

template <class Target>
struct ConfigMember {
  std::string_view name;
  std::string (*take)(BodyElement value, Target& target);
};
template <class Target>
std::string take_config_member(BodyMember member, std::span<const ConfigMember<Target>> known,
                               Target& target) {
  for (const ConfigMember<Target>& one : known) {
    if (member.key != one.name) continue;
    const std::string wanted = one.take(member.value, target);
    return wanted.empty() ? "" : fmt::format("\"{}\" has to be {}", member.key, wanted);
  }
  return unknown_member(member.key);
}

// What is wrong with `dead_letter`; or empty: it is taken.
std::string take_dead_letter(const BodyText& text, std::string& target);

// An object with these members, and one more where there are dead letters. What is wrong with it; none: it is taken.
template <class Target>
std::optional<BodyError> read_config(std::string_view json, std::span<const ConfigMember<Target>> known,
                                     Target& target, std::string* dead_letter) {
  simdjson::dom::parser parser;
  Result<simdjson::dom::object, BodyError> object = parse_body_object(parser, json, "the body");
  if (!object) return std::move(object.error());
  BodyText text;
  std::set<std::string_view> seen;
  for (const BodyMember member : *object) {
    std::string problem;
    if (dead_letter != nullptr && is_text_member(member.key, "dead_letter")) {
      take_text(text, member);
      problem = text.problem;
    } else if (!seen.insert(member.key).second) {
      problem = given_twice(member.key);
    } else {
      problem = take_config_member(member, known, target);
    }
    if (!problem.empty()) return BodyError{false, std::move(problem), {}};
  }
  std::string problem = dead_letter != nullptr ? take_dead_letter(text, *dead_letter) : "";
  if (!problem.empty()) return BodyError{false, std::move(problem), {}};
  return std::nullopt;
}

}  // namespace kvd
