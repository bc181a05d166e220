// See queue_json.hpp.
#include "shell/http/queue_json.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <array>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "msg/limits.hpp"
#include "shell/http/http_response.hpp"

namespace kvd {
namespace {

using QueueElement = simdjson::dom::element;
using QueueMember = simdjson::dom::key_value_pair;

// Each that returns a string here: empty when the value is taken, else what it has to be, or what is wrong.

template <class Number>
std::string take_bounded(QueueElement value, uint64_t min, uint64_t max, std::string_view unit,
                         Number& target) {
  uint64_t number = 0;
  if (value.get(number) != simdjson::SUCCESS || number < min || number > max)
    return fmt::format("a whole number from {} to {}{}", min, max, unit);
  target = static_cast<Number>(number);
  return "";
}
std::string take_ms(QueueElement value, uint64_t min, uint64_t max, uint64_t& target) {
  return take_bounded(value, min, max, " (milliseconds)", target);
}
std::string take_time(QueueElement value, uint64_t& target) {
  return take_ms(value, 0, limits::kTtlMsMax, target);
}

std::string take_backoff(QueueElement value, QueueConfig& config) {
  const std::string wanted =
      fmt::format("a list of at most {} delays, each a whole number from 0 to {} (milliseconds)",
                  limits::kBackoffs, limits::kTtlMsMax);
  simdjson::dom::array list;
  if (value.get(list) != simdjson::SUCCESS) return wanted;
  for (const QueueElement delay : list) {
    if (config.backoff_ms.size() == limits::kBackoffs ||
        !take_time(delay, config.backoff_ms.emplace_back()).empty())
      return wanted;
  }
  return "";
}

// One of two words, of which the second one sets the flag.
std::string take_choice(QueueElement value, std::string_view off, std::string_view on, bool& flag) {
  std::string_view word;
  const bool known = value.get(word) == simdjson::SUCCESS && (word == off || word == on);
  flag = word == on;
  return known ? "" : fmt::format("\"{}\" or \"{}\"", off, on);
}

struct ConfigMember {
  std::string_view name;
  std::string (*take)(QueueElement value, QueueConfig& config);
};
constexpr ConfigMember kConfigMembers[] = {
    {"ttr", [](QueueElement v,
               QueueConfig& c) { return take_ms(v, limits::kTtrMsMin, limits::kTtrMsMax, c.ttr_ms); }},
    {"max_deliveries",
     [](QueueElement v, QueueConfig& c) { return take_bounded(v, 0, UINT32_MAX, "", c.max_deliveries); }},
    {"backoff", take_backoff},
    {"dedup_window", [](QueueElement v, QueueConfig& c) { return take_time(v, c.dedup_window_ms); }},
    {"max_messages",
     [](QueueElement v, QueueConfig& c) { return take_bounded(v, 0, UINT64_MAX, "", c.max_messages); }},
    {"max_bytes",
     [](QueueElement v, QueueConfig& c) { return take_bounded(v, 0, UINT64_MAX, "", c.max_bytes); }},
    {"max_age", [](QueueElement v, QueueConfig& c) { return take_time(v, c.max_age_ms); }},
    {"max_in_flight",
     [](QueueElement v, QueueConfig& c) {
       return take_bounded(v, 1, limits::kInFlightMax, "", c.max_in_flight);
     }},
    {"order", [](QueueElement v, QueueConfig& c) { return take_choice(v, "priority", "fifo", c.fifo); }},
    {"discard", [](QueueElement v, QueueConfig& c) { return take_choice(v, "none", "old", c.discard_old); }},
};

std::string unknown_member(std::string_view name) {
  return fmt::format("the member \"{}\" is unknown here", name);
}

std::string take_config_member(QueueMember member, QueueConfig& config) {
  for (const ConfigMember& known : kConfigMembers) {
    if (member.key != known.name) continue;
    const std::string wanted = known.take(member.value, config);
    return wanted.empty() ? "" : fmt::format("\"{}\" has to be {}", member.key, wanted);
  }
  return unknown_member(member.key);
}

// Empty: it was not given, or is taken.
std::string take_named(const BodyText& text, std::string_view name, size_t min, size_t max,
                       std::string& target) {
  if (!text.bytes) return "";
  if (text.bytes->size() < min || text.bytes->size() > max)
    return fmt::format("\"{}\" has {} to {} bytes", name, min, max);
  target = *text.bytes;
  return "";
}

// A message's members, one after the other.
class MessageReader {
 public:
  std::string take(QueueMember member) {
    const std::pair<std::string_view, BodyText*> texts[] = {
        {"body", &body_}, {"group", &group_}, {"dedup", &dedup_}, {"type", &type_}};
    for (const auto& [name, text] : texts) {
      if (!is_text_member(member.key, name)) continue;
      take_text(*text, member);
      return text->problem;
    }
    std::string wanted;
    if (member.key == "priority") {
      wanted = take_bounded(member.value, 0, UINT8_MAX, "", message_.priority);
    } else if (member.key == "delay") {
      wanted = take_time(member.value, message_.delay_ms);
    } else if (member.key == "max_age") {
      wanted = take_time(member.value, message_.max_age_ms);
    } else {
      return unknown_member(member.key);
    }
    if (!seen_.insert(member.key).second) return fmt::format("\"{}\" is given twice", member.key);
    return wanted.empty() ? "" : fmt::format("\"{}\" has to be {}", member.key, wanted);
  }

  std::string end() {
    if (!body_.bytes) return "\"body\" is missing";
    std::string problem = take_named(group_, "group", 1, limits::kGroupBytes, message_.group);
    if (problem.empty()) problem = take_named(dedup_, "dedup", 1, limits::kDedupBytes, message_.dedup);
    if (problem.empty()) problem = take_named(type_, "type", 0, limits::kTypeBytes, message_.type);
    if (!problem.empty()) return problem;
    if (!is_field_value(message_.type)) return "\"type\" may not have control characters";
    if (!message_.group.empty() && message_.delay_ms != 0)
      return "a message of a group has no delay of its own: \"delay\" and \"group\" exclude each other";
    return "";
  }
  std::string_view body() const { return *body_.bytes; }
  NewMessage take_message() {
    message_.body = Bytes(body());
    return std::move(message_);
  }

 private:
  BodyText body_, group_, dedup_, type_;
  std::set<std::string_view> seen_;
  NewMessage message_;
};

Failure<BodyError> refuse_message_size(size_t body_bytes_max) {
  return refuse_body_size(fmt::format("a message may have {} bytes at most", body_bytes_max));
}

Result<NewMessage, BodyError> parse_message(simdjson::dom::parser& parser, std::string_view line,
                                            size_t body_bytes_max) {
  Result<simdjson::dom::object, BodyError> object = parse_body_object(parser, line, "it");
  if (!object) return Failure<BodyError>(std::move(object.error()));
  MessageReader reader;
  for (const QueueMember member : *object) {
    if (std::string problem = reader.take(member); !problem.empty()) return refuse_body(std::move(problem));
  }
  if (std::string problem = reader.end(); !problem.empty()) return refuse_body(std::move(problem));
  if (reader.body().size() > body_bytes_max) return refuse_message_size(body_bytes_max);
  return reader.take_message();
}

struct KnownSettling {
  std::string_view name;
  Settling::Kind kind;
  std::string_view time;  // the member that is a time; empty: none
  uint64_t time_min;
  uint64_t time_max;
  bool reason;
};
constexpr std::array<KnownSettling, 5> kSettlings = {{
    {"ack", Settling::Kind::kAck, "", 0, 0, false},
    {"nack", Settling::Kind::kNack, "delay", 0, limits::kTtlMsMax, true},
    {"release", Settling::Kind::kRelease, "", 0, 0, false},
    {"extend", Settling::Kind::kExtend, "ttr", limits::kTtrMsMin, limits::kTtrMsMax, false},
    {"dead", Settling::Kind::kDead, "", 0, 0, true},
}};

// The members of one message that is settled.
class SettlingReader {
 public:
  explicit SettlingReader(const KnownSettling& known) : known_(known) { settling_.kind = known.kind; }

  std::string take(QueueMember member) {
    if (known_.reason && is_text_member(member.key, "reason")) {
      take_text(reason_, member);
      return reason_.problem;
    }
    std::string wanted;
    if (member.key == "id") {
      wanted = take_message_id(member.value, settling_.id);
    } else if (member.key == "receipt") {
      if (!take_bounded(member.value, 1, UINT64_MAX, "", settling_.receipt).empty())
        wanted = "the receipt of a message, a number";
    } else if (!known_.time.empty() && member.key == known_.time) {
      wanted = take_ms(member.value, known_.time_min, known_.time_max, settling_.ms.emplace());
    } else {
      return unknown_member(member.key);
    }
    if (!seen_.insert(member.key).second) return fmt::format("\"{}\" is given twice", member.key);
    return wanted.empty() ? "" : fmt::format("\"{}\" has to be {}", member.key, wanted);
  }

  std::string end() {
    for (const std::string_view name : {"id", "receipt"}) {
      if (!seen_.contains(name)) return fmt::format("\"{}\" is missing", name);
    }
    return take_named(reason_, "reason", 0, limits::kReasonBytes, settling_.reason);
  }
  Settling take_settling() { return std::move(settling_); }

 private:
  const KnownSettling& known_;
  BodyText reason_;
  std::set<std::string_view> seen_;
  Settling settling_;
};

Result<Settling, BodyError> parse_settling(QueueElement element, const KnownSettling& known) {
  simdjson::dom::object members;
  if (element.get(members) != simdjson::SUCCESS)
    return refuse_body("a message is an object with \"id\" and \"receipt\"");
  SettlingReader reader(known);
  for (const QueueMember member : members) {
    if (std::string problem = reader.take(member); !problem.empty()) return refuse_body(std::move(problem));
  }
  if (std::string problem = reader.end(); !problem.empty()) return refuse_body(std::move(problem));
  return reader.take_settling();
}

// The members of an operation of a transaction: the queue's name, and those that `reader` takes. A Failure says what is
// wrong with one.
Result<std::string, BodyError> parse_op_of_queue(simdjson::dom::object fields, auto& reader) {
  BodyText queue;
  for (const QueueMember member : fields) {
    std::string problem;
    if (is_text_member(member.key, "queue")) {
      take_text(queue, member);
      problem = queue.problem;
    } else {
      problem = reader.take(member);
    }
    if (!problem.empty()) return refuse_body(std::move(problem));
  }
  std::string name;
  std::string problem = take_queue_name(queue, name);
  if (problem.empty()) problem = reader.end();
  if (!problem.empty()) return refuse_body(std::move(problem));
  return name;
}

}  // namespace

std::string take_queue_name(const BodyText& text, std::string& name) {
  if (!text.bytes) return "\"queue\" is missing";
  return take_named(text, "queue", 1, limits::kQueueNameBytes, name);
}

std::string take_message_id(simdjson::dom::element value, MessageId& id) {
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS) return "the id of a message, a string";
  const std::optional<MessageId> parsed = parse_message_id(text);
  if (!parsed) return "the id of a message, a string";
  id = *parsed;
  return "";
}

Result<TxnOp, BodyError> parse_ack_op(simdjson::dom::object fields) {
  SettlingReader reader(kSettlings[0]);
  Result<std::string, BodyError> queue = parse_op_of_queue(fields, reader);
  if (!queue) return Failure<BodyError>(std::move(queue.error()));
  TxnOp op;
  op.kind = TxnOp::Kind::kAck;
  op.key = std::move(*queue);
  op.settling = reader.take_settling();
  return op;
}

Result<TxnOp, BodyError> parse_send_op(simdjson::dom::object fields, size_t body_bytes_max) {
  MessageReader reader;
  Result<std::string, BodyError> queue = parse_op_of_queue(fields, reader);
  if (!queue) return Failure<BodyError>(std::move(queue.error()));
  if (reader.body().size() > body_bytes_max) return refuse_message_size(body_bytes_max);
  TxnOp op;
  op.kind = TxnOp::Kind::kSend;
  op.key = std::move(*queue);
  op.message = reader.take_message();
  return op;
}

Result<QueueConfig, BodyError> parse_queue_config(std::string_view json) {
  simdjson::dom::parser parser;
  Result<simdjson::dom::object, BodyError> object = parse_body_object(parser, json, "the body");
  if (!object) return Failure<BodyError>(std::move(object.error()));
  QueueConfig config;
  BodyText dead_letter;
  std::set<std::string_view> seen;
  for (const QueueMember member : *object) {
    std::string problem;
    if (is_text_member(member.key, "dead_letter")) {
      take_text(dead_letter, member);
      problem = dead_letter.problem;
    } else if (!seen.insert(member.key).second) {
      problem = fmt::format("\"{}\" is given twice", member.key);
    } else {
      problem = take_config_member(member, config);
    }
    if (!problem.empty()) return refuse_body(std::move(problem));
  }
  std::string problem =
      take_named(dead_letter, "dead_letter", 0, limits::kQueueNameBytes, config.dead_letter);
  if (!problem.empty()) return refuse_body(std::move(problem));
  return config;
}

Result<std::vector<NewMessage>, BodyError> parse_messages(std::string_view lines, size_t body_bytes_max) {
  simdjson::dom::parser parser;
  std::vector<NewMessage> messages;
  size_t bytes = 0;
  for (size_t number = 1; !lines.empty(); ++number) {
    const size_t end = lines.find('\n');
    const std::string_view line = lines.substr(0, end);
    lines = end == std::string_view::npos ? std::string_view() : lines.substr(end + 1);
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (messages.size() == limits::kMessagesAtOnce)
      return refuse_body(
          fmt::format("line {}: a batch has {} messages at most", number, limits::kMessagesAtOnce));
    Result<NewMessage, BodyError> message = parse_message(parser, line, body_bytes_max);
    if (!message) {
      message.error().detail = fmt::format("line {}: {}", number, message.error().detail);
      return Failure<BodyError>(std::move(message.error()));
    }
    bytes += bytes_of(*message);
    if (bytes > limits::kWriteBytes)
      return refuse_body_size(fmt::format("line {}: the messages of a batch may have {} bytes together",
                                          number, limits::kWriteBytes));
    messages.push_back(std::move(*message));
  }
  if (messages.empty()) return refuse_body("there is no message in the body: it has a line of JSON for each");
  return messages;
}

Result<std::vector<Settling>, BodyError> parse_settlings(std::string_view json) {
  simdjson::dom::parser parser;
  Result<simdjson::dom::object, BodyError> object = parse_body_object(parser, json, "the body");
  if (!object) return Failure<BodyError>(std::move(object.error()));
  std::array<std::vector<Settling>, kSettlings.size()> found;
  std::array<bool, kSettlings.size()> seen{};
  size_t count = 0;
  for (const QueueMember member : *object) {
    size_t which = 0;
    while (which < kSettlings.size() && member.key != kSettlings[which].name) ++which;
    if (which == kSettlings.size()) return refuse_body(unknown_member(member.key));
    if (std::exchange(seen[which], true))
      return refuse_body(fmt::format("\"{}\" is given twice", member.key));
    simdjson::dom::array list;
    if (member.value.get(list) != simdjson::SUCCESS)
      return refuse_body(fmt::format("\"{}\" has to be a list", member.key));
    for (const QueueElement element : list) {
      const std::string place = fmt::format("{}[{}]", member.key, found[which].size());
      if (++count > limits::kMessagesAtOnce)
        return refuse_body(
            fmt::format("{}: {} messages are settled at most", place, limits::kMessagesAtOnce));
      Result<Settling, BodyError> one = parse_settling(element, kSettlings[which]);
      if (!one) return refuse_body(fmt::format("{}: {}", place, one.error().detail));
      found[which].push_back(std::move(*one));
    }
  }
  std::vector<Settling> settlings;
  for (std::vector<Settling>& list : found)
    settlings.insert(settlings.end(), std::make_move_iterator(list.begin()),
                     std::make_move_iterator(list.end()));
  return settlings;
}

}  // namespace kvd
