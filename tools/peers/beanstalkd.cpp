// beanstalkd 1.12, in its protocol of lines. It has no batches: a batch is as many commands in one write. Consumers of
// batches take what is there, wait for the first message only, and delete what they have together with the next ones
// that they ask for.
#include <fmt/format.h>

#include <iterator>

#include "peers/session.hpp"

namespace kvd::peers {
namespace {

constexpr int kRunSeconds = 60;   // a job comes back when it was not deleted by then
constexpr int kWaitSeconds = 10;  // for the first job

class Beanstalkd final : public Session {
 public:
  using Session::Session;
  void begin() override;
  size_t take(std::string_view bytes) override;
  void send(const std::vector<std::string>& bodies) override;

 private:
  void receive();
  void acknowledge();
  bool understand(std::string_view bytes, size_t& at);
  bool reserved(std::string_view line, std::string_view bytes, size_t& at);
  void answered();

  size_t unanswered_ = 0;          // of what a consumer has asked for
  size_t deletions_ = 0;           // of those
  std::vector<std::string> held_;  // ids
};

// Tubes come and go with their jobs.
void Beanstalkd::begin() {
  if (is(Part::kConsumer)) {
    output_ += fmt::format("watch {0}\r\nignore default\r\nuse {0}\r\n", terms_.queue);
  } else {
    output_ += fmt::format("use {}\r\n", terms_.queue);
  }
}

void Beanstalkd::send(const std::vector<std::string>& bodies) {
  for (const std::string& body : bodies)
    fmt::format_to(std::back_inserter(output_), "put 0 0 {} {}\r\n{}\r\n", kRunSeconds, body.size(), body);
}

void Beanstalkd::receive() {
  output_ += fmt::format("reserve-with-timeout {}\r\n", kWaitSeconds);
  for (size_t i = 1; i < terms_.batch; ++i) output_ += "reserve-with-timeout 0\r\n";
  unanswered_ += terms_.batch;
}

void Beanstalkd::acknowledge() {
  for (const std::string& id : held_) ((output_ += "delete ") += id) += "\r\n";
  unanswered_ += held_.size();
  deletions_ = held_.size();
  held_.clear();
}

// One by one a deletion is a request of its own.
void Beanstalkd::answered() {
  if (--unanswered_ > 0) return;
  const bool alone = terms_.batch == 1 && !held_.empty();
  acknowledge();
  if (!alone) receive();
}

bool Beanstalkd::reserved(std::string_view line, std::string_view bytes, size_t& at) {
  const std::string_view id = take_word(line);
  const auto size = whole_number(line);
  if (!size) {
    events_.on_failed("RESERVED without a size");
    return false;
  }
  if (bytes.size() < at + *size + 2) return false;
  events_.on_received(bytes.substr(at, *size));
  at += *size + 2;
  held_.emplace_back(id);
  return true;
}

// False: it is not whole, or it is no answer.
bool Beanstalkd::understand(std::string_view bytes, size_t& at) {
  auto line = take_line(bytes, at);
  if (!line) return false;
  const std::string_view whole = *line;
  const std::string_view word = take_word(*line);
  if (word == "INSERTED") {
    events_.on_sent(1);
  } else if (word == "USING") {
    if (is(Part::kConsumer)) receive();
    events_.on_ready();
  } else if (word == "RESERVED" && unanswered_ > 0) {
    if (!reserved(*line, bytes, at)) return false;
    answered();
  } else if (word == "DELETED" && deletions_ > 0) {
    --deletions_;
    events_.on_settled(1);
    answered();
  } else if ((word == "TIMED_OUT" || word == "DEADLINE_SOON") && unanswered_ > 0) {
    answered();
  } else if (word != "WATCHING") {
    events_.on_failed(whole);
    return false;
  }
  return true;
}

size_t Beanstalkd::take(std::string_view bytes) {
  size_t at = 0;
  for (size_t next = 0; understand(bytes, next);) at = next;
  return at;
}

}  // namespace

std::unique_ptr<Session> make_beanstalkd(const Terms& terms, SessionEvents& events) {
  return std::make_unique<Beanstalkd>(terms, events);
}

}  // namespace kvd::peers
