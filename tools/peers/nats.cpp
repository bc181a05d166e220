// NATS 2.9 with JetStream, in its protocol of lines: a stream for work (each message goes once it is acknowledged), or
// for a topic one whose messages stay, and a consumer that is pulled from. A message is acknowledged by a publication,
// which nobody confirms; what came in one read is acknowledged in one write.
#include <fmt/format.h>

#include <iterator>

#include "peers/session.hpp"

namespace kvd::peers {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kAckWaitNs = 60 * kSecondNs;  // a message comes back when it was not acknowledged by then
constexpr int64_t kPullNs = 5 * kSecondNs;
constexpr size_t kPendingMax = 100'000;  // more than consumers can have

class Nats final : public Session {
 public:
  using Session::Session;
  void begin() override;
  size_t take(std::string_view bytes) override;
  void send(const std::vector<std::string>& bodies) override;

 private:
  void publish(std::string_view subject, std::string_view reply, std::string_view body);
  std::string api(std::string_view call) const { return fmt::format("$JS.API.{}.{}", call, terms_.queue); }
  void make_stream();
  void make_consumer();
  void receive();
  bool understand(std::string_view bytes, size_t& at);
  bool take_message(std::string_view arguments, bool headed, std::string_view bytes, size_t& at);
  void answered(std::string_view reply, std::string_view status, std::string_view body);
  void set_up(std::string_view body);

  std::string inbox_;
  size_t wanted_ = 0;   // messages of the pull under way
  size_t settled_ = 0;  // in this read
  bool stream_made_ = false;
};

void Nats::begin() {
  inbox_ = fmt::format("_INBOX.{}.{}", terms_.queue, terms_.index);
  output_ += fmt::format(
      "CONNECT "
      "{{\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,\"protocol\":1}}\r\n"
      "SUB {} 1\r\nPING\r\n",
      inbox_);
}

void Nats::publish(std::string_view subject, std::string_view reply, std::string_view body) {
  fmt::format_to(std::back_inserter(output_), "PUB {} {}{}{}\r\n{}\r\n", subject, reply,
                 reply.empty() ? "" : " ", body.size(), body);
}

void Nats::make_stream() {
  publish(api("STREAM.CREATE"), inbox_,
          fmt::format("{{\"name\":\"{0}\",\"subjects\":[\"{0}\"],\"retention\":\"{3}\",\"storage\":\"{1}\","
                      "\"num_replicas\":{2},\"max_age\":0,\"duplicate_window\":100000000}}",
                      terms_.queue, terms_.files ? "file" : "memory", terms_.copies,
                      terms_.topic ? "limits" : "workqueue"));
}

void Nats::make_consumer() {
  publish(
      api("CONSUMER.DURABLE.CREATE") + ".workers", inbox_,
      fmt::format(
          "{{\"stream_name\":\"{}\",\"config\":{{\"durable_name\":\"workers\",\"ack_policy\":\"explicit\","
          "\"deliver_policy\":\"all\",\"replay_policy\":\"instant\",\"ack_wait\":{},\"max_deliver\":-1,"
          "\"max_ack_pending\":{}}}}}",
          terms_.queue, kAckWaitNs, kPendingMax));
}

void Nats::send(const std::vector<std::string>& bodies) {
  for (const std::string& body : bodies) publish(terms_.queue, inbox_, body);
}

void Nats::receive() {
  wanted_ = terms_.batch;
  publish(api("CONSUMER.MSG.NEXT") + ".workers", inbox_,
          fmt::format("{{\"batch\":{},\"expires\":{}}}", wanted_, kPullNs));
}

void Nats::set_up(std::string_view body) {
  if (body.find("\"error\"") != std::string_view::npos) return events_.on_failed(body);
  if (is(Part::kTearDown) || std::exchange(stream_made_, true)) return events_.on_ready();
  make_consumer();
}

// `status`: of a message that has a header; a pull that has ended has no other.
void Nats::answered(std::string_view reply, std::string_view status, std::string_view body) {
  if (status == "503") return events_.on_failed("no JetStream answers");
  if (is(Part::kSetUp) || is(Part::kTearDown)) return set_up(body);
  if (is(Part::kProducer))
    return body.find("\"error\"") == std::string_view::npos ? events_.on_sent(1) : events_.on_failed(body);
  if (!status.empty()) return receive();
  events_.on_received(body);
  publish(reply, "", "+ACK");
  ++settled_;
  if (--wanted_ == 0) receive();
}

// False: it is not whole. `arguments`: SUBJECT SID [REPLY] [HEADER'S SIZE] SIZE
bool Nats::take_message(std::string_view arguments, bool headed, std::string_view bytes, size_t& at) {
  std::vector<std::string_view> words;
  while (!arguments.empty()) words.push_back(take_word(arguments));
  const size_t sizes = headed ? 2 : 1;
  const auto size = words.size() < 2 + sizes ? std::nullopt : whole_number(words.back());
  const auto head = size && headed ? whole_number(words[words.size() - 2])
                    : size         ? std::optional(uint64_t{0})
                                   : size;
  if (!head || *head > *size) {
    events_.on_failed("a message without a size");
    return false;
  }
  if (bytes.size() < at + *size + 2) return false;
  const std::string_view reply = words.size() > 2 + sizes ? words[2] : std::string_view();
  std::string_view first = bytes.substr(at, *head).substr(0, bytes.substr(at, *head).find("\r\n"));
  take_word(first);  // NATS/1.0
  const std::string_view status = take_word(first);
  const std::string_view body = bytes.substr(at + *head, *size - *head);
  at += *size + 2;
  answered(reply, status, body);
  return true;
}

// False: it is not whole, or the session is over.
bool Nats::understand(std::string_view bytes, size_t& at) {
  auto line = take_line(bytes, at);
  if (!line) return false;
  const std::string_view whole = *line;
  const std::string_view word = take_word(*line);
  if (word == "MSG" || word == "HMSG") return take_message(*line, word == "HMSG", bytes, at);
  if (word == "PING") output_ += "PONG\r\n";
  if (word == "PONG") {
    if (is(Part::kSetUp)) make_stream();
    if (is(Part::kTearDown)) publish(api("STREAM.DELETE"), inbox_, "");
    if (is(Part::kConsumer)) receive();
    if (is(Part::kProducer) || is(Part::kConsumer)) events_.on_ready();
  }
  if (word == "-ERR") events_.on_failed(whole);
  return word != "-ERR";
}

size_t Nats::take(std::string_view bytes) {
  size_t at = 0;
  for (size_t next = 0; understand(bytes, next);) at = next;
  if (settled_ > 0) events_.on_settled(std::exchange(settled_, 0));
  return at;
}

}  // namespace

std::unique_ptr<Session> make_nats(const Terms& terms, SessionEvents& events) {
  return std::make_unique<Nats>(terms, events);
}

}  // namespace kvd::peers
