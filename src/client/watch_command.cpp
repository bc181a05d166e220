// See watch_command.hpp.
#include "client/watch_command.hpp"

#include <fmt/format.h>
#include <sysexits.h>

#include <utility>

#include "base/command_line.hpp"
#include "base/decimal.hpp"
#include "base/percent.hpp"
#include "client/output.hpp"

namespace kvd::client {
namespace {

constexpr size_t kLineBytes = 128 << 20;  // the largest value, each byte of it escaped
constexpr Duration kLook = milliseconds(500);
constexpr char kNoWay[] = "read what is there, and watch behind the revision of that";

}  // namespace

WatchCommand::WatchCommand(net::Loop& loop, WatchOptions options, uint64_t seed)
    : loop_(loop),
      options_(std::move(options)),
      client_(loop.get(), options_.servers, seed),
      look_(loop.get(),
            [this] {
              if (nobody_reads()) return finish(EX_IOERR);
              look_.start(kLook);
            }),
      since_(options_.since) {}

int WatchCommand::run() {
  ask();
  look_.start(kLook);
  loop_.run();
  return code_;
}

void WatchCommand::finish(int code) {
  code_ = code;
  call_.reset();
  look_.stop();
  loop_.stop();
}

std::string WatchCommand::target() const {
  std::string target = "/v1/watch?";
  target += options_.key.empty() ? "prefix=" + percent_encode(options_.prefix)
                                 : "key=" + percent_encode(options_.key);
  if (since_) target += fmt::format("&since={}", *since_);
  if (options_.state) target += "&state=1";
  if (!options_.values) target += "&values=0";
  if (options_.linear) target += "&read=linear";
  return target;
}

void WatchCommand::ask() {
  HttpRequest request;
  request.method = "GET";
  request.target = [this] { return target(); };
  request.stream = true;
  request.line_bytes = kLineBytes;
  HttpEvents events;
  events.on_failed = [this](const std::string& why) {
    say_.once(why + "; trying on");
    return true;
  };
  events.on_answer = [this](const Response& answer) { on_answer(answer); };
  events.on_head = [this](const Response& head) { on_head(head); };
  events.on_line = [this](const std::string& line) { on_line(line); };
  events.on_end = [this](const std::string& why) { try_on(why); };
  call_ = std::make_unique<HttpCall>(client_, std::move(request), std::move(events));
}

// At the next server.
void WatchCommand::try_on(const std::string& why) {
  call_->try_again();
  say_.once(why + "; trying on");
}

// ---- what a server says ----

void WatchCommand::on_head(const Response& head) {
  refused_ = 0;
  held_.clear();
  say_.forget();
  if (field_of(head, "Kvd-Complete") == "false") say_.once("this server's copy may lack keys");
  if (since_) return;
  const auto revision = parse_decimal(field_of(head, "Kvd-Revision"));
  if (!revision) return try_on("an answer without its revision");
  if (!options_.state) since_ = static_cast<uint64_t>(*revision);
  if (!std::exchange(in_state_, false)) return;
  WatchedLine reset;
  reset.type = "reset";
  reset.revision = static_cast<uint64_t>(*revision);
  put_out(printed(reset,
                  fmt::format(R"({{"type":"reset","revision":{},"reason":"connection"}})", reset.revision)));
}

void WatchCommand::on_answer(const Response& answer) {
  const std::string text = problem_text(answer.status, answer.body);
  if (answer.status == 410 && ++refused_ < options_.servers.size()) return try_on(text);
  if (answer.status != 410 && answer.status >= 500) return try_on(text);
  finish(tell(CommandEnd{answer.status == 410 ? EX_UNAVAILABLE : EX_DATAERR, text}));
}

void WatchCommand::on_line(const std::string& text) {
  using Kind = WatchedLine::Kind;
  const auto line = parse_watched_line(text);
  if (!line) return try_on(line.error().detail);
  switch (line->kind) {
    case Kind::kChange:
      return on_change(*line, text);
    case Kind::kProgress:
      since_ = line->revision;
      if (options_.json || line->linear) put_out(printed(*line, text));
      return;
    case Kind::kSynced:
      since_ = line->revision;
      in_state_ = false;
      return put_out(printed(*line, text));
    case Kind::kReset:
      since_.reset();
      in_state_ = false;
      held_.clear();
      return put_out(printed(*line, text));
    case Kind::kGone:
      return on_gone(*line);
    case Kind::kStale:
      say_.once("the server does not hear the leader: others may know more");
      break;
    case Kind::kCurrent:
      say_.forget();
      break;
    case Kind::kOther:
      break;
  }
  if (options_.json) put_out(text + "\n");
}

// What comes together is printed together: where the connection breaks in between, it all comes again.
void WatchCommand::on_change(const WatchedLine& line, const std::string& text) {
  held_ += printed(line, text);
  if (line.more) return;
  if (line.state) {
    in_state_ = true;
  } else {
    since_ = line.revision;
  }
  put_out(std::exchange(held_, {}));
}

// Others may know what this server does not, unless what it has told is not so.
void WatchCommand::on_gone(const WatchedLine& line) {
  if (line.reason != "lineage" && line.reason != "copy")
    return try_on(fmt::format("the server cannot go on ({})", line.reason));
  finish(
      tell(CommandEnd{EX_UNAVAILABLE, fmt::format("the server cannot go on ({}): {}", line.reason, kNoWay)}));
}

// ---- output ----

std::string WatchCommand::printed(const WatchedLine& line, const std::string& text) const {
  if (options_.json) return text + "\n";
  const char tab = options_.nul ? '\0' : '\t';
  std::string out = fmt::format("{}{}{}{}{}", line.revision, tab, line.type, tab, line.key);
  if (options_.values) (out += tab) += line.value;
  return out += options_.nul ? '\0' : '\n';
}

void WatchCommand::put_out(const std::string& lines) {
  if (const int code = print(lines); code != EX_OK) finish(code);
}

}  // namespace kvd::client
