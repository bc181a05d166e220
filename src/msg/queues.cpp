// See queues.hpp.
#include "msg/queues.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/check.hpp"

namespace kvd {
namespace {

constexpr std::array<const char*, 5> kMessageStates = {"ready", "delayed", "in_flight", "dead", "settled"};

// Digits alone, and all of them.
template <class Number>
bool read_number(std::string_view text, Number& number) {
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && rest == end && !text.empty();
}

}  // namespace

std::string to_text(const MessageId& id) {
  std::string text = std::to_string(id.revision.value);
  return id.index == 0 ? text : text + "." + std::to_string(id.index);
}

std::optional<MessageId> parse_message_id(std::string_view text) {
  MessageId id;
  const size_t point = text.find('.');
  const bool whole = read_number(text.substr(0, point), id.revision.value) &&
                     (point == std::string_view::npos || read_number(text.substr(point + 1), id.index));
  return whole && id.index < limits::kKicked ? std::optional(id) : std::nullopt;
}

const char* message_state_name(MessageState state) { return kMessageStates.at(static_cast<size_t>(state)); }

std::optional<MessageState> message_state(std::string_view name) {
  const auto* const found = std::find(kMessageStates.begin(), kMessageStates.end(), name);
  const auto state = static_cast<MessageState>(found - kMessageStates.begin());
  return found == kMessageStates.end() || state == MessageState::kSettled ? std::nullopt
                                                                          : std::optional(state);
}

size_t bytes_of(const NewMessage& message) {
  const size_t sent = sizeof message + message.body.size() + message.group.size() + message.dedup.size() +
                      message.type.size();
  if (!message.past) return sent;
  const MessagePast& past = *message.past;
  return sent + sizeof past + past.dead_from.size() + past.reason.size() + past.why.size();
}

size_t line_bytes(const QueuedMessage& message) {
  return sizeof message + message.body.size() + message.group.size() + message.type.size() +
         message.reason.size() + message.dead_from.size();
}

size_t bytes_of(const std::vector<Settling>& settlings) {
  size_t bytes = settlings.size() * sizeof(Settling);
  for (const Settling& one : settlings) bytes += one.reason.size();
  return bytes;
}

}  // namespace kvd
