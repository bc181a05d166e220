// See config_stream.hpp.
#include "client/config_stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/percent.hpp"
#include "client/answers.hpp"

namespace kvd::client {
namespace {

constexpr size_t kConfigLineBytes = 128 << 20;  // the largest value, each byte of it escaped
constexpr Duration kStaleTooLong = seconds(5);
constexpr Duration kSilenceLeast = seconds(3);

}  // namespace

ConfigStream::ConfigStream(net::Loop& loop, HttpClient& client, const std::string& prefix, size_t servers,
                           Duration progress, ConfigStreamEvents events)
    : mirror_(prefix),
      servers_(servers),
      events_(std::move(events)),
      news_(loop.get(), [this] { events_.on_news(); }),
      stale_(loop.get(), [this] { try_on("the server does not hear the leader"); }) {
  HttpRequest request;
  request.method = "GET";
  const std::string target = fmt::format("/v1/watch?prefix={}&state=1&read=linear&progress={}",
                                         percent_encode(prefix), to_ms(progress));
  request.target = [target] { return target; };
  request.stream = true;
  request.line_bytes = kConfigLineBytes;
  request.silence = std::max(3 * progress, kSilenceLeast);
  HttpEvents http;
  http.on_failed = [this](const std::string& why) {
    refused_.clear();
    note_failure(why);
    return true;
  };
  http.on_answer = [this](const Response& answer) { on_answer(answer); };
  http.on_head = [this](const Response& head) { on_head(head); };
  http.on_line = [this](const std::string& line) { on_line(line); };
  http.on_end = [this](const std::string& why) { try_on(why); };
  call_ = std::make_unique<HttpCall>(client, std::move(request), std::move(http));
}

void ConfigStream::note_failure(const std::string& why) {
  if (++failures_ == servers_) events_.on_all_away(why);
}

// At the next server. What was told stays in the mirror until that one begins.
void ConfigStream::try_on(const std::string& why) {
  stale_.stop();
  note_failure(why);
  call_->try_again();
}

// One server may be of an older version, or behind a proxy that takes no such request.
void ConfigStream::on_answer(const Response& answer) {
  const std::string text = problem_text(answer.status, answer.body);
  answer.status < 500 ? void(refused_.insert(call_->server())) : refused_.clear();
  if (!refuses_access(answer.status) && refused_.size() < servers_) return try_on(text);
  const auto refused = events_.on_refused;
  refused(text);
}

void ConfigStream::on_head(const Response& head) {
  refused_.clear();
  if (field_of(head, "Kvd-Complete") == "false") return try_on("this server's copy lacks keys");
  mirror_.begin();
}

void ConfigStream::on_line(const std::string& text) {
  const auto line = parse_watched_line(text);
  if (!line) return try_on(line.error().detail);
  using Kind = WatchedLine::Kind;
  if (line->kind == Kind::kGone) return try_on(fmt::format("the server cannot go on ({})", line->reason));
  mirror_.apply(*line);
  if (line->kind == Kind::kStale && !stale_.running()) stale_.start(kStaleTooLong);
  if (line->kind == Kind::kCurrent) stale_.stop();
  if (mirror_.is_whole() && !mirror_.is_stale()) failures_ = 0;
  news_.ask();
}

}  // namespace kvd::client
