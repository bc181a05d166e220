// See topics.hpp.
#include "msg/topics.hpp"

namespace kvd {

std::string to_text(const TopicPlace& place) {
  switch (place.kind) {
    case TopicPlace::Kind::kFirst:
      return "first";
    case TopicPlace::Kind::kNow:
      return "now";
    case TopicPlace::Kind::kId:
      return to_text(place.id);
    case TopicPlace::Kind::kTime:
      return "time=" + std::to_string(place.ms) + "ms";
  }
  return "?";
}

std::optional<TopicPlace> parse_place(std::string_view text) {
  if (text == "first") return TopicPlace{};
  if (text == "now") return TopicPlace{TopicPlace::Kind::kNow, {}, 0};
  const std::optional<MessageId> id = parse_message_id(text);
  return id ? std::optional(TopicPlace{TopicPlace::Kind::kId, *id, 0}) : std::nullopt;
}

}  // namespace kvd
