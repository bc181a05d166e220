// See topic_json.hpp.
#include "shell/http/topic_json.hpp"

#include <fmt/format.h>

#include <optional>
#include <string>

#include "msg/limits.hpp"
#include "shell/http/config_json.hpp"
#include "shell/http/http_text.hpp"

namespace kvd {
namespace {

using TopicMember = ConfigMember<TopicConfig>;
constexpr TopicMember kTopicMembers[] = {
    {"dedup_window", [](BodyElement v, TopicConfig& c) { return take_time(v, c.dedup_window_ms); }},
    {"max_messages",
     [](BodyElement v, TopicConfig& c) { return take_bounded(v, 0, UINT64_MAX, "", c.max_messages); }},
    {"max_bytes",
     [](BodyElement v, TopicConfig& c) { return take_bounded(v, 0, UINT64_MAX, "", c.max_bytes); }},
    {"max_age", [](BodyElement v, TopicConfig& c) { return take_time(v, c.max_age_ms); }},
    {"discard", [](BodyElement v, TopicConfig& c) { return take_choice(v, "none", "old", c.discard_old); }},
};

std::string take_ordered(BodyElement value, SubscriptionBody& body) {
  return value.get(body.config.ordered) == simdjson::SUCCESS ? "" : "true or false";
}

std::string take_expires(BodyElement value, SubscriptionBody& body) {
  uint64_t& ms = body.config.expires_ms;
  const bool taken =
      take_time(value, ms).empty() && (ms == 0 || (ms >= limits::kExpiresMsMin && ms <= limits::kTtlMsMax));
  if (taken) return "";
  return fmt::format("0, or a whole number from {} to {} (milliseconds)", limits::kExpiresMsMin,
                     limits::kTtlMsMax);
}

// Since when: {"time":MS}.
bool take_since(BodyElement value, TopicPlace& place) {
  simdjson::dom::object object;
  if (value.get(object) != simdjson::SUCCESS || object.size() != 1) return false;
  const BodyMember only = *object.begin();
  place.kind = TopicPlace::Kind::kTime;
  return only.key == "time" && only.value.get(place.ms) == simdjson::SUCCESS;
}

std::string take_from(BodyElement value, SubscriptionBody& body) {
  std::string_view text;
  if (value.get(text) == simdjson::SUCCESS) {
    const std::optional<TopicPlace> place = parse_place(text);
    if (place) body.from = *place;
    if (place) return "";
  } else if (take_since(value, body.from)) {
    return "";
  }
  return "\"first\", \"now\", the id of a message or {\"time\":MS}";
}

using SubscriptionMember = ConfigMember<SubscriptionBody>;
constexpr SubscriptionMember kSubscriptionMembers[] = {
    {"ttr", [](BodyElement v, SubscriptionBody& b) { return take_ttr(v, b.config.ttr_ms); }},
    {"max_deliveries",
     [](BodyElement v, SubscriptionBody& b) {
       return take_bounded(v, 0, UINT32_MAX, "", b.config.max_deliveries);
     }},
    {"backoff", [](BodyElement v, SubscriptionBody& b) { return take_backoff(v, b.config.backoff_ms); }},
    {"max_in_flight",
     [](BodyElement v, SubscriptionBody& b) {
       return take_bounded(v, 1, limits::kWindowMax, "", b.config.max_in_flight);
     }},
    {"ordered", take_ordered},
    {"expires", take_expires},
    {"from", take_from},
};

}  // namespace

Result<TopicConfig, BodyError> parse_topic_config(std::string_view json) {
  TopicConfig config;
  if (std::optional<BodyError> wrong = read_config<TopicConfig>(json, kTopicMembers, config, nullptr))
    return Failure<BodyError>(std::move(*wrong));
  return config;
}

Result<SubscriptionBody, BodyError> parse_subscription(std::string_view json) {
  SubscriptionBody body;
  if (std::optional<BodyError> wrong =
          read_config<SubscriptionBody>(json, kSubscriptionMembers, body, &body.config.dead_letter))
    return Failure<BodyError>(std::move(*wrong));
  return body;
}

}  // namespace kvd
