// See watch_command.hpp.
#include "client/watch_command.hpp"

#include <fmt/format.h>
#include <sysexits.h>

#include <utility>

#include "base/command_line.hpp"
#include "base/decimal.hpp"
#include "base/percent.hpp"

namespace kvd::client {
namespace {

constexpr char kNoWay[] = "read what is there, and watch behind the revision of that";

}  // namespace

WatchCommand::WatchCommand(net::Loop& loop, WatchOptions options, uint64_t seed)
    : StreamCommand(loop, options.servers, seed), options_(std::move(options)), since_(options_.since) {}

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

}  // namespace kvd::client
