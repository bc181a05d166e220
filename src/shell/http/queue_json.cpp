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
#include "shell/http/config_json.hpp"
#include "shell/http/http_response.hpp"

namespace kvd {
namespace {

using QueueMember = ConfigMember<QueueConfig>;
constexpr QueueMember kConfigMembers[] = {
    {"ttr", [](BodyElement v, QueueConfig& c) { return take_ttr(v, c.ttr_ms); }},
    {"max_deliveries",
     [](BodyElement v, QueueConfig& c) { return take_bounded(v, 0, UINT32_MAX, "", c.max_deliveries); }},
    {"backoff", [](BodyElement v, QueueConfig& c) { return take_backoff(v, c.backoff_ms); }},
    {"dedup_window", [](BodyElement v, QueueConfig& c) { return take_time(v, c.dedup_window_ms); }},
    {"max_messages",
     [](BodyElement v, QueueConfig& c) { return take_bounded(v, 0, UINT64_MAX, "", c.max_messages); }},
    {"max_bytes",
     [](BodyElement v, QueueConfig& c) { return take_bounded(v, 0, UINT64_MAX, "", c.max_bytes); }},
    {"max_age", [](BodyElement v, QueueConfig& c) { return take_time(v, c.max_age_ms); }},
    {"max_in_flight",
     [](BodyElement v, QueueConfig& c) {
       return take_bounded(v, 1, limits::kInFlightMax, "", c.max_in_flight);
     }},
    {"order", [](BodyElement v, QueueConfig& c) { return take_choice(v, "priority", "fifo", c.fifo); }},
    {"discard", [](BodyElement v, QueueConfig& c) { return take_choice(v, "none", "old", c.discard_old); }},
};

// A message's members, one after the other.
class MessageReader {
 public:
  explicit MessageReader(MessagesFor whom) : whom_(whom) {}

  std::string take(BodyMember member) {
    const std::pair<std::string_view, BodyText*> texts[] = {
        {"body", &body_}, {"group", &group_}, {"dedup", &dedup_}, {"type", &type_}};
    for (const auto& [name, text] : texts) {
      if (!is_text_member(member.key, name)) continue;
      take_text(*text, member);
      return text->problem;
    }
    if (whom_ == MessagesFor::kTopic) return unknown_member(member.key);
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
    if (!seen_.insert(member.key).second) return given_twice(member.key);
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
  MessagesFor whom_;
  BodyText body_, group_, dedup_, type_;
  std::set<std::string_view> seen_;
  NewMessage message_;
};

Failure<BodyError> refuse_message_size(size_t body_bytes_max) {
  return refuse_body_size(fmt::format("a message may have {} bytes at most", body_bytes_max));
}

Result<NewMessage, BodyError> parse_message(simdjson::dom::parser& parser, std::string_view line,
                                            size_t body_bytes_max, MessagesFor whom) {
  Result<simdjson::dom::object, BodyError> object = parse_body_object(parser, line, "it");
  if (!object) return Failure<BodyError>(std::move(object.error()));
  MessageReader reader(whom);
  for (const BodyMember member : *object) {
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

  std::string take(BodyMember member) {
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
    if (!seen_.insert(member.key).second) return given_twice(member.key);
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

Result<Settling, BodyError> parse_settling(BodyElement element, const KnownSettling& known) {
  simdjson::dom::object members;
  if (element.get(members) != simdjson::SUCCESS)
    return refuse_body("a message is an object with \"id\" and \"receipt\"");
  SettlingReader reader(known);
  for (const BodyMember member : members) {
    if (std::string problem = reader.take(member); !problem.empty()) return refuse_body(std::move(problem));
  }
  if (std::string problem = reader.end(); !problem.empty()) return refuse_body(std::move(problem));
  return reader.take_settling();
}

// The members of an operation of a transaction: what it is done to, into `op`, and those that `reader` takes. What is
// wrong with one; none: they are taken.
std::optional<BodyError> read_op(simdjson::dom::object fields, SourceReader source, auto& reader, TxnOp& op) {
  for (const BodyMember member : fields) {
    std::string problem = source.knows(member.key) ? source.take(member) : reader.take(member);
    if (!problem.empty()) return BodyError{false, std::move(problem), {}};
  }
  std::string problem = source.end(op.key, op.subscription);
  if (problem.empty()) problem = reader.end();
  if (!problem.empty()) return BodyError{false, std::move(problem), {}};
  return std::nullopt;
}

Result<TxnOp, BodyError> parse_new_op(simdjson::dom::object fields, MessagesFor whom, size_t body_bytes_max) {
  const bool of_topic = whom == MessagesFor::kTopic;
  MessageReader reader(whom);
  TxnOp op;
  op.kind = of_topic ? TxnOp::Kind::kPublish : TxnOp::Kind::kSend;
  const SourceReader source(of_topic ? SourceReader::Of::kTopic : SourceReader::Of::kQueue);
  if (std::optional<BodyError> wrong = read_op(fields, source, reader, op))
    return Failure<BodyError>(std::move(*wrong));
  if (reader.body().size() > body_bytes_max) return refuse_message_size(body_bytes_max);
  op.message = reader.take_message();
  return op;
}

}  // namespace

BodyText* SourceReader::text_of(std::string_view member) {
  if (of_ != Of::kTopic && is_text_member(member, "queue")) return &queue_;
  if (of_ != Of::kQueue && is_text_member(member, "topic")) return &topic_;
  if (of_ == Of::kEither && is_text_member(member, "subscription")) return &subscription_;
  return nullptr;
}

std::string SourceReader::take(simdjson::dom::key_value_pair member) {
  BodyText& text = *text_of(member.key);
  take_text(text, member);
  return text.problem;
}

std::string SourceReader::end(std::string& name, std::string& subscription) const {
  const auto taken = [](const BodyText& text, std::string_view called, std::string& target) {
    if (!text.bytes) return fmt::format("\"{}\" is missing", called);
    return take_named(text, called, 1, limits::kQueueNameBytes, target);
  };
  const bool of_topic = topic_.bytes || subscription_.bytes;
  if (queue_.bytes && of_topic) return "\"queue\" and \"topic\" exclude each other";
  if (of_ != Of::kTopic && !of_topic) return taken(queue_, "queue", name);
  std::string problem = taken(topic_, "topic", name);
  if (problem.empty() && of_ == Of::kEither) problem = taken(subscription_, "subscription", subscription);
  return problem;
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
  TxnOp op;
  op.kind = TxnOp::Kind::kAck;
  if (std::optional<BodyError> wrong = read_op(fields, SourceReader(SourceReader::Of::kEither), reader, op))
    return Failure<BodyError>(std::move(*wrong));
  op.settling = reader.take_settling();
  return op;
}

Result<TxnOp, BodyError> parse_send_op(simdjson::dom::object fields, size_t body_bytes_max) {
  return parse_new_op(fields, MessagesFor::kQueue, body_bytes_max);
}
Result<TxnOp, BodyError> parse_publish_op(simdjson::dom::object fields, size_t body_bytes_max) {
  return parse_new_op(fields, MessagesFor::kTopic, body_bytes_max);
}

Result<QueueConfig, BodyError> parse_queue_config(std::string_view json) {
  QueueConfig config;
  if (std::optional<BodyError> wrong =
          read_config<QueueConfig>(json, kConfigMembers, config, &config.dead_letter))
    return Failure<BodyError>(std::move(*wrong));
  return config;
}

Result<std::vector<NewMessage>, BodyError> parse_messages(std::string_view lines, size_t body_bytes_max,
                                                          MessagesFor whom) {
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
    Result<NewMessage, BodyError> message = parse_message(parser, line, body_bytes_max, whom);
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
  for (const BodyMember member : *object) {
    size_t which = 0;
    while (which < kSettlings.size() && member.key != kSettlings[which].name) ++which;
    if (which == kSettlings.size()) return refuse_body(unknown_member(member.key));
    if (std::exchange(seen[which], true)) return refuse_body(given_twice(member.key));
    simdjson::dom::array list;
    if (member.value.get(list) != simdjson::SUCCESS)
      return refuse_body(fmt::format("\"{}\" has to be a list", member.key));
    for (const BodyElement element : list) {
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
