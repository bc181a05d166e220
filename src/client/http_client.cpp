// See http_client.hpp.
#include "client/http_client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "client/answers.hpp"
#include "msg/znodes.hpp"

namespace kvd::client {
namespace {

constexpr Duration kConnect = seconds(3);
constexpr Duration kPauseMin = milliseconds(100);
constexpr Duration kPauseMax = seconds(2);
constexpr size_t kAnswerBytesMax = 64 << 20;  // the largest value in base64, with much room

Duration since(uint64_t ns) { return Duration((uv_hrtime() - ns) / 1000); }

// Who fails without a word about the outcome may be a proxy that knows nothing of it.
bool leaves_doubt(const Response& answer) {
  if (answer.status < 400) return false;
  const std::string outcome = problem_outcome(answer.body);
  return outcome == "unknown" || (answer.status >= 500 && outcome != "not-applied");
}

}  // namespace

HttpClient::HttpClient(uv_loop_t* loop, std::vector<Server> servers, uint64_t seed)
    : loop_(loop), servers_(std::move(servers)), prng_(seed) {}

HttpCall::HttpCall(HttpClient& client, HttpRequest request, HttpEvents events)
    : client_(client),
      request_(std::move(request)),
      events_(std::move(events)),
      timer_(client.loop_, [this] { on_time(); }),
      connection_(client.loop_, *this, 0, Keep::kAll) {
  timer_.start(Duration(0));
}

HttpCall::~HttpCall() { *alive_ = false; }

// ---- connecting ----

void HttpCall::begin() {
  phase_ = Phase::kConnecting;
  server_ = client_.current_;
  began_ = uv_hrtime();
  lines_.clear();
  searched_ = 0;
  answer_.reset();
  share_ = share();
  wait(std::min(kConnect, share_));
  connection_.open(client_.servers_[server_]);
}

void HttpCall::on_open(Connection&) {
  phase_ = Phase::kAsked;
  unsettled_ = true;
  wait(std::min(request_.silence, time_left()));
  connection_.output() =
      fmt::format("{} {} HTTP/1.1\r\n{}Connection: close\r\n{}Content-Length: {}\r\n\r\n{}", request_.method,
                  request_.target(), fields_of(client_.servers_[server_]), request_.fields,
                  request_.body.size(), request_.body);
  connection_.flush();
}

void HttpCall::on_lost(Connection&, int why) {
  if (phase_ == Phase::kDone) return;
  if (answer_) return on_whole();  // what came behind it does not matter
  const std::string& tls = connection_.tls_failure();
  const std::string words = why == UV_EOF  ? "the connection was closed"
                            : !tls.empty() ? tls
                                           : uv_strerror(why);
  if (phase_ == Phase::kStreaming) return end(words);
  if (connection_.was_refused()) unsettled_ = false;
  fail(words);
}

Duration HttpCall::share() const {
  const uint64_t now = uv_hrtime();
  if (request_.until == 0) return Duration::max();
  if (request_.until <= now) return Duration(0);
  const size_t untried = std::max(client_.servers_.size(), tries_ + 1) - tries_;
  return Duration((request_.until - now) / 1000 / untried);
}

Duration HttpCall::time_left() const { return share_ - since(began_); }

void HttpCall::wait(Duration most) {
  waits_ = std::max(most, Duration(0));
  over_at_ = uv_hrtime() + static_cast<uint64_t>(waits_.count()) * 1000;
  timer_.start(waits_);
}

void HttpCall::on_time() {
  if (phase_ != Phase::kPausing && uv_hrtime() > over_at_ + kStoodStillNs) {
    // This process stood still, or the machine: what has come meanwhile is read first.
    over_at_ = uv_hrtime();
    return timer_.start(milliseconds(1));  // with none it would come before the reading
  }
  const auto silence = [&] { return fmt::format("silent for {} ms", to_ms(waits_)); };
  switch (phase_) {
    case Phase::kPausing:
      return begin();
    case Phase::kConnecting:
      return fail(fmt::format("no connection within {} ms", to_ms(waits_)));
    case Phase::kAsked:
      return fail(silence());
    case Phase::kStreaming:
      return end(silence());
    case Phase::kDone:
      return;
  }
}

// ---- what comes back ----

void HttpCall::on_response(Connection&, const Response& response) { answer_ = response; }

void HttpCall::on_turn(Connection&) {
  if (phase_ == Phase::kDone) return;
  wait(request_.silence);
  if (answer_) return on_whole();
  Response* part = connection_.under_way();
  if (part == nullptr) return;
  if (part->body.size() > kAnswerBytesMax) return fail("an answer of too many bytes");
  if (!request_.stream || part->status != 200 || !begin_lines(*part)) return;
  lines_ += std::exchange(part->body, {});
  deliver_lines();
}

void HttpCall::on_whole() {
  connection_.close();
  unsettled_ = leaves_doubt(*answer_);
  if (answer_->status == 503) return fail(problem_text(503, answer_->body));
  if (request_.stream && answer_->status == 200) {
    if (!begin_lines(*answer_)) return;
    lines_ += std::exchange(answer_->body, {});
    return deliver_lines();
  }
  phase_ = Phase::kDone;
  timer_.stop();
  const Response answer = std::move(*answer_);
  const auto call = events_.on_answer;
  call(answer);
}

// False: whoever was told of the head wants no lines.
bool HttpCall::begin_lines(const Response& head) {
  if (std::exchange(phase_, Phase::kStreaming) == Phase::kStreaming || !events_.on_head) return true;
  const auto alive = alive_;
  const auto on_head = events_.on_head;
  on_head(head);
  return *alive && phase_ == Phase::kStreaming;
}

void HttpCall::deliver_lines() {
  const auto alive = alive_;
  const auto on_line = events_.on_line;
  size_t begin = 0;
  for (size_t end; (end = lines_.find('\n', std::max(begin, searched_))) != std::string::npos;
       begin = end + 1) {
    on_line(lines_.substr(begin, end - begin));
    if (!*alive || phase_ != Phase::kStreaming) return;
  }
  lines_.erase(0, begin);
  searched_ = lines_.size();
  if (answer_) return end("the server ended it");
  if (lines_.size() > request_.line_bytes) end("a line of too many bytes");
}

// ---- going on ----

void HttpCall::pause() {
  connection_.close();
  phase_ = Phase::kPausing;
  in_doubt_ |= std::exchange(unsettled_, false);
  if (client_.current_ == server_) client_.current_ = (server_ + 1) % client_.servers_.size();
  ++tries_;
  if (uv_hrtime() - began_ > static_cast<uint64_t>(kPauseMax.count()) * 1000) failures_ = 0;
  const Duration most = std::min(kPauseMax, kPauseMin * (2 << std::min(failures_++, 8U)));
  timer_.start(Duration(client_.prng_.between(kPauseMin.count(), most.count())));
}

void HttpCall::try_again() { pause(); }

void HttpCall::fail(const std::string& why) {
  pause();
  const auto alive = alive_;
  const auto call = events_.on_failed;
  const bool more = call(fmt::format("{}: {}", name_of(client_.servers_[server_]), why));
  if (!*alive || more) return;
  phase_ = Phase::kDone;
  timer_.stop();
}

void HttpCall::end(const std::string& why) {
  phase_ = Phase::kDone;
  timer_.stop();
  const auto call = events_.on_end;
  call(why);
}

}  // namespace kvd::client
