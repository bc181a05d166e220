// See held_command.hpp.
#include "client/held_command.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sysexits.h>

#include <algorithm>
#include <utility>

#include "base/percent.hpp"
#include "client/stop_signals.hpp"

namespace kvd::client {
namespace {

// Beyond --wait, for the servers' answers: who has no time to wait is answered, too.
constexpr Duration kPatience = seconds(1);

uint64_t to_ns(Duration span) { return static_cast<uint64_t>(span.count()) * 1000; }

}  // namespace

HeldCommand::HeldCommand(net::Loop& loop, HoldOptions options, uint64_t seed, Duration silence)
    : loop_(loop),
      options_(std::move(options)),
      what_(options_.election ? "the lead of" : "the lock"),
      began_(uv_hrtime()),
      client_(loop.get(), options_.servers, seed),
      deadline_(loop.get(), [this] { on_deadline(); }) {
  HttpRequest request;
  request.method = "POST";
  request.target = [this] { return target(); };
  request.stream = true;
  request.silence = silence;
  if (options_.wait) {
    request.until = began_ + to_ns(*options_.wait + kPatience);
    deadline_.start(*options_.wait + kPatience +
                    milliseconds(100));  // the call, which names a server, comes first
  }
  HttpEvents events;
  events.on_failed = [this](const std::string& why) {
    last_failure_ = why;
    if (!may_try_again()) {
      finish(EX_UNAVAILABLE, fmt::format("no server took the request in time: {}", why));
      return false;
    }
    say_.once(fmt::format("{}; trying on", why));
    return true;
  };
  events.on_answer = [this](const Response& answer) {
    finish(EX_UNAVAILABLE, fmt::format("{} {} is not to be had: {}", what_, options_.path,
                                       problem_text(answer.status, answer.body)));
  };
  events.on_line = [this](const std::string& line) { on_line(line); };
  events.on_end = [this](const std::string& why) { on_out(why); };
  call_ = std::make_unique<HttpCall>(client_, std::move(request), std::move(events));
}

int HeldCommand::run() {
  loop_.run();
  return code_;
}

void HeldCommand::finish(int code, const std::string& line) {
  if (!line.empty()) say_.line(line);
  phase_ = Phase::kDone;
  code_ = code;
  call_.reset();  // which gives the grant back
  child_.reset();
  loop_.stop();
}

// ---- asking ----

std::string HeldCommand::target() const {
  const std::string path = percent_encode_path(options_.path);
  const std::string name = percent_encode(options_.name);
  if (options_.election) return fmt::format("/v1/elections/{}?candidate={}&hold=1", path, name);
  std::string wait;
  if (options_.wait) {
    const auto passed = static_cast<int64_t>((uv_hrtime() - began_) / 1'000'000);
    wait = fmt::format("&wait={}", std::max<int64_t>(to_ms(*options_.wait) - passed, 0));
  }
  return fmt::format("/v1/locks/{}?hold=1{}&name={}", path, wait, name);
}

// Even without any time every server is asked once.
bool HeldCommand::may_try_again() const {
  if (!options_.wait || !call_->tried_all()) return true;
  return uv_hrtime() - began_ < to_ns(*options_.wait);
}

// A server that has taken the request may have frozen since, and others have not been asked in time.
void HeldCommand::on_deadline() {
  if (phase_ != Phase::kQueued) return;
  finish(EX_UNAVAILABLE, fmt::format("{} {} was not granted in time{}{}", what_, options_.path,
                                     last_failure_.empty() ? ": the server is silent" : "; ", last_failure_));
}

// ---- what the server says ----

void HeldCommand::on_line(const std::string& text) {
  const Result<GrantLine> line = parse_grant_line(text);
  if (!line) return on_out(line.error().detail);
  switch (line->kind) {
    case GrantLine::Kind::kProgress:
      return;
    case GrantLine::Kind::kWaiting:
      say_.forget();
      if (phase_ != Phase::kQueued) on_out("the server has queued it again");
      return;
    case GrantLine::Kind::kHeld:
      return on_held(line->fence);
    case GrantLine::Kind::kLost:
      return on_out(line->reason.empty() ? "the server says so" : line->reason);
    case GrantLine::Kind::kTimeout:
      if (phase_ != Phase::kQueued) return on_out("the server says that it was not granted in time");
      return finish(EX_UNAVAILABLE, fmt::format("{} {} was not granted in time", what_, options_.path));
  }
}

void HeldCommand::on_held(uint64_t fence) {
  if (phase_ == Phase::kRunning && fence != fence_) return on_out("the server has granted it anew");
  if (phase_ != Phase::kQueued) return;
  say_.forget();
  fence_ = fence;
  start_command();
}

// The grant, or the place in the queue, is gone.
void HeldCommand::on_out(const std::string& why) {
  if (phase_ == Phase::kRunning) {
    phase_ = Phase::kStopping;
    say_.line(fmt::format("lost {} {} ({}): the command is being stopped", what_, options_.path, why));
    child_->stop();
  } else if (phase_ == Phase::kQueued) {
    if (!may_try_again()) {
      return finish(EX_UNAVAILABLE,
                    fmt::format("{} {} was not granted in time: {}", what_, options_.path, why));
    }
    say_.once(fmt::format("lost the place in the queue ({}); trying on", why));
    call_->try_again();
  }
}

// ---- the command ----

void HeldCommand::start_command() {
  ChildOptions child;
  child.command = options_.command;
  child.grace = options_.grace;
  child.held = call_->descriptor();
  child.environment = {{options_.election ? "KVD_ELECTION" : "KVD_LOCK", options_.path},
                       {"KVD_FENCE", std::to_string(fence_)},
                       {"KVD_FENCE_PARAM", fmt::format("{}:{}", percent_encode_path(options_.path), fence_)}};
  child_ = std::make_unique<Child>(loop_.get(), std::move(child),
                                   [this](const ChildEnd& end) { on_child_end(end); });
  phase_ = Phase::kRunning;
  const int error = child_->start();
  if (error == 0) return;
  const CommandEnd end = start_failure(options_.command, error);
  finish(end.code, end.text);
}

void HeldCommand::on_child_end(const ChildEnd& end) {
  say_survivors(say_, end);
  if (phase_ == Phase::kRunning) return finish(end.code());
  if (!options_.again || interrupted_) return finish(EX_TEMPFAIL);
  child_.reset();
  phase_ = Phase::kQueued;
  call_->try_again();
}

void HeldCommand::on_signal(int number) {
  if (asks_to_end(number)) interrupted_ = true;
  if (child_ != nullptr) {
    child_->pass_on(number);
  } else if (asks_to_end(number) && phase_ == Phase::kQueued) {
    return finish(128 + number);
  }
  // What the server says meanwhile is read before SIGCONT, which libuv hands out last: a command whose grant is gone
  // goes on only to end.
  if (asks_to_pause(number)) ::raise(SIGSTOP);
}

}  // namespace kvd::client
