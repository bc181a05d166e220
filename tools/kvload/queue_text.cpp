// See queue_text.hpp.
#include "kvload/queue_text.hpp"

#include <charconv>

namespace kvd::load {
namespace {

constexpr char kPadding = 'x';

void append_number(uint64_t number, std::string& out) {
  char digits[20];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

std::optional<MessageId> id_in(simdjson::dom::element value) {
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS) return std::nullopt;
  return parse_message_id(text);
}

std::optional<SettleResult> settle_result(std::string_view name) {
  if (name == "ok") return SettleResult::kDone;
  if (name == "gone") return SettleResult::kGone;
  if (name == "stale") return SettleResult::kStale;
  return std::nullopt;
}

bool read_ids(simdjson::dom::array list, std::vector<MessageId>& ids) {
  for (const auto value : list) {
    const auto id = id_in(value);
    if (!id) return false;
    ids.push_back(*id);
  }
  return true;
}

bool read_results(simdjson::dom::array list, std::vector<SettleResult>& results) {
  for (const auto value : list) {
    std::string_view name;
    if (value.get(name) != simdjson::SUCCESS) return false;
    const auto result = settle_result(name);
    if (!result) return false;
    results.push_back(*result);
  }
  return true;
}

}  // namespace

void append_queue_body(const QueueStamp& stamp, size_t bytes, std::string& out) {
  const size_t end = out.size() + bytes;
  append_number(stamp.number, out);
  out += ' ';
  append_number(stamp.at, out);
  out += ' ';
  out.resize(end, kPadding);
}

void append_queue_line(const QueueStamp& stamp, size_t bytes, std::string_view group, std::string& out) {
  out += "{\"body\":\"";
  append_queue_body(stamp, bytes, out);
  if (!group.empty()) (out += "\",\"group\":\"") += group;
  out += "\"}\n";
}

std::optional<QueueStamp> parse_queue_body(std::string_view body, size_t bytes) {
  if (body.size() != bytes) return std::nullopt;
  QueueStamp stamp;
  const char* at = body.data();
  const char* const end = at + body.size();
  for (uint64_t* number : {&stamp.number, &stamp.at}) {
    const auto [behind, error] = std::from_chars(at, end, *number);
    if (error != std::errc() || behind == end || *behind != ' ') return std::nullopt;
    at = behind + 1;
  }
  const auto rest = std::string_view(at, static_cast<size_t>(end - at));
  if (rest.find_first_not_of(kPadding) != std::string_view::npos) return std::nullopt;
  return stamp;
}

std::string acknowledge_body(const std::vector<HeldMessage>& held) {
  std::string body = "{\"ack\":[";
  for (const HeldMessage& one : held) {
    if (body.back() != '[') body += ',';
    (body += "{\"id\":\"") += to_text(one.id);
    body += "\",\"receipt\":";
    append_number(one.receipt, body);
    body += '}';
  }
  return body + "]}";
}

const QueueAnswer* QueueAnswerParser::parse(std::string_view json, size_t bytes) {
  answer_.ids.clear();
  answer_.messages.clear();
  answer_.settled.clear();
  answer_.more = false;
  simdjson::dom::object object;
  if (parser_.parse(json).get(object) != simdjson::SUCCESS) return nullptr;
  return read(object, bytes) ? &answer_ : nullptr;
}

bool QueueAnswerParser::read(simdjson::dom::object object, size_t bytes) {
  simdjson::dom::array list;
  for (const auto member : object) {
    if (member.key == "more") {
      if (member.value.get(answer_.more) != simdjson::SUCCESS) return false;
    } else if (member.key == "id") {
      const auto id = id_in(member.value);
      if (!id) return false;
      answer_.ids.push_back(*id);
    } else if (member.value.get(list) != simdjson::SUCCESS) {
      continue;  // a member that tells nothing here
    } else if (member.key == "ids") {
      if (!read_ids(list, answer_.ids)) return false;
    } else if (member.key == "settled" || member.key == "results") {
      if (!read_results(list, answer_.settled)) return false;
    } else if (member.key == "messages") {
      if (!read_messages(list, bytes)) return false;
    }
  }
  return true;
}

bool QueueAnswerParser::read_messages(simdjson::dom::array list, size_t bytes) {
  for (const auto value : list) {
    simdjson::dom::object message;
    if (value.get(message) != simdjson::SUCCESS) return false;
    ReceivedMessage received;
    bool has_id = false;
    for (const auto member : message) {
      std::string_view body;
      if (member.key == "id") {
        const auto id = id_in(member.value);
        has_id = id.has_value();
        received.id = id.value_or(MessageId());
      } else if (member.key == "receipt") {
        if (member.value.get(received.receipt) != simdjson::SUCCESS) return false;
      } else if (member.key == "body" && member.value.get(body) == simdjson::SUCCESS) {
        received.stamp = parse_queue_body(body, bytes);
      }
    }
    if (!has_id) return false;
    answer_.messages.push_back(received);
  }
  return true;
}

}  // namespace kvd::load
