// Redis 7 streams with a consumer group, in RESP. Behind each command that writes stands WAIT, which is answered once
// the replicas have it, when there are any.
#include <fmt/format.h>

#include <deque>
#include <initializer_list>
#include <iterator>
#include <utility>

#include "peers/session.hpp"

namespace kvd::peers {
namespace {

constexpr char kBlockMs[] = "5000";
constexpr char kWaitMs[] = "5000";
constexpr char kGroup[] = "workers";

struct RespValue {
  char kind = 0;  // + - : $ *
  std::string_view text;
  int64_t number = 0;  // of an integer; length of a string or an array: -1, there is none
  std::vector<RespValue> items;
};

enum class Parsed : uint8_t { kWhole, kPartial, kBad };

Parsed parse_resp(std::string_view bytes, size_t& at, RespValue& value) {
  const auto line = take_line(bytes, at);
  if (!line) return Parsed::kPartial;
  if (line->empty()) return Parsed::kBad;
  value.kind = line->front();
  value.text = line->substr(1);
  if (value.kind == '+' || value.kind == '-') return Parsed::kWhole;
  const bool negative = value.text.starts_with('-');
  const auto number = whole_number(value.text.substr(negative ? 1 : 0));
  if (!number) return Parsed::kBad;
  value.number = negative ? -static_cast<int64_t>(*number) : static_cast<int64_t>(*number);
  if (value.kind == ':' || negative) return Parsed::kWhole;
  if (value.kind == '$') {
    if (bytes.size() < at + *number + 2) return Parsed::kPartial;
    value.text = bytes.substr(at, *number);
    at += *number + 2;
    return Parsed::kWhole;
  }
  if (value.kind != '*') return Parsed::kBad;
  for (uint64_t i = 0; i < *number; ++i) {
    const Parsed parsed = parse_resp(bytes, at, value.items.emplace_back());
    if (parsed != Parsed::kWhole) return parsed;
  }
  return Parsed::kWhole;
}

class Redis final : public Session {
 public:
  using Session::Session;
  void begin() override;
  size_t take(std::string_view bytes) override;
  void send(const std::vector<std::string>& bodies) override;

 private:
  enum class Reply : uint8_t { kDone, kAdded, kRead, kAcknowledged, kCopied };

  void say(Reply reply, std::initializer_list<std::string_view> words);
  void wait();
  void receive();
  void acknowledge();
  void understand(Reply reply, const RespValue& value);
  void take_entries(const RespValue& streams);
  void all_copied();

  std::deque<Reply> replies_;      // that are to come
  size_t sent_ = 0;                // but not copied
  size_t settled_ = 0;             // likewise
  std::vector<std::string> read_;  // likewise: bodies
  std::vector<std::string> held_;  // ids
};

void Redis::say(Reply reply, std::initializer_list<std::string_view> words) {
  auto to = std::back_inserter(output_);
  fmt::format_to(to, "*{}\r\n", words.size());
  for (const std::string_view word : words) fmt::format_to(to, "${}\r\n{}\r\n", word.size(), word);
  replies_.push_back(reply);
}

void Redis::wait() {
  if (terms_.copies > 1) say(Reply::kCopied, {"WAIT", std::to_string(terms_.copies - 1), kWaitMs});
}

void Redis::begin() {
  switch (terms_.part) {
    case Part::kSetUp:
      return say(Reply::kDone, {"XGROUP", "CREATE", terms_.queue, kGroup, "$", "MKSTREAM"});
    case Part::kTearDown:
      return say(Reply::kDone, {"DEL", terms_.queue});
    case Part::kProducer:
    case Part::kConsumer:
      return say(Reply::kDone, {"PING"});
  }
}

void Redis::send(const std::vector<std::string>& bodies) {
  for (const std::string& body : bodies) say(Reply::kAdded, {"XADD", terms_.queue, "*", "m", body});
  wait();
}

void Redis::receive() {
  const std::string name = fmt::format("c{}", terms_.index);
  say(Reply::kRead, {"XREADGROUP", "GROUP", kGroup, name, "COUNT", std::to_string(terms_.batch), "BLOCK",
                     kBlockMs, "STREAMS", terms_.queue, ">"});
  wait();
}

void Redis::acknowledge() {
  auto to = std::back_inserter(output_);
  fmt::format_to(to, "*{}\r\n$4\r\nXACK\r\n", 3 + held_.size());
  for (const std::string_view word : {std::string_view(terms_.queue), std::string_view(kGroup)})
    fmt::format_to(to, "${}\r\n{}\r\n", word.size(), word);
  for (const std::string& id : held_) fmt::format_to(to, "${}\r\n{}\r\n", id.size(), id);
  replies_.push_back(Reply::kAcknowledged);
  held_.clear();
  wait();
}

// One stream, with entries of an id and one field each.
void Redis::take_entries(const RespValue& streams) {
  if (streams.items.size() != 1 || streams.items[0].items.size() != 2)
    return events_.on_failed("an answer to XREADGROUP that is none");
  for (const RespValue& entry : streams.items[0].items[1].items) {
    if (entry.items.size() != 2 || entry.items[1].items.size() != 2)
      return events_.on_failed("an entry of a stream that is none");
    held_.emplace_back(entry.items[0].text);
    read_.emplace_back(entry.items[1].items[1].text);
  }
}

// What was asked is done, and counts.
void Redis::all_copied() {
  if (sent_ > 0) events_.on_sent(std::exchange(sent_, 0));
  if (settled_ > 0) events_.on_settled(std::exchange(settled_, 0));
  for (const std::string& body : read_) events_.on_received(body);
  read_.clear();
  if (!replies_.empty() || !is(Part::kConsumer)) return;
  // One by one an acknowledgement is a request of its own.
  const bool alone = terms_.batch == 1 && !held_.empty();
  if (!held_.empty()) acknowledge();
  if (!alone) receive();
}

void Redis::understand(Reply reply, const RespValue& value) {
  if (value.kind == '-') return events_.on_failed(value.text);
  switch (reply) {
    case Reply::kDone:
      if (is(Part::kConsumer)) receive();
      return events_.on_ready();
    case Reply::kAdded:
      ++sent_;
      break;
    case Reply::kRead:
      if (value.number >= 0) take_entries(value);
      break;
    case Reply::kAcknowledged:
      settled_ += static_cast<size_t>(value.number);
      break;
    case Reply::kCopied:
      if (value.number + 1 < static_cast<int64_t>(terms_.copies))
        return events_.on_failed("too few replicas");
      break;
  }
  if (reply == Reply::kCopied || terms_.copies == 1) all_copied();
}

size_t Redis::take(std::string_view bytes) {
  size_t at = 0;
  while (true) {
    size_t next = at;
    RespValue value;
    const Parsed parsed = parse_resp(bytes, next, value);
    if (parsed == Parsed::kPartial) return at;
    if (parsed == Parsed::kBad || replies_.empty()) {
      events_.on_failed("what is no answer of Redis");
      return at;
    }
    const Reply reply = replies_.front();
    replies_.pop_front();
    understand(reply, value);
    at = next;
  }
}

}  // namespace

std::unique_ptr<Session> make_redis(const Terms& terms, SessionEvents& events) {
  return std::make_unique<Redis>(terms, events);
}

}  // namespace kvd::peers
