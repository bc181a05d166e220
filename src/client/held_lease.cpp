// See held_lease.hpp.
#include "client/held_lease.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sysexits.h>

#include <algorithm>
#include <utility>

#include "base/percent.hpp"
#include "client/output.hpp"
#include "client/stop_signals.hpp"
#include "msg/znodes.hpp"

namespace kvd::client {
namespace {

constexpr Duration kNoSilence = seconds(365 * 86'400);  // the connection stays open however silent it is
constexpr Duration kAskedMin = milliseconds(250);
constexpr Duration kAskedMax = seconds(5);
constexpr Duration kNextMin = milliseconds(50);
constexpr Duration kNextMax = milliseconds(400);
constexpr Duration kEndMax = seconds(3);
constexpr Duration kStandstill = seconds(1);          // without a turn, although each tick makes one
constexpr Duration kReadWaiting = milliseconds(500);  // what has waited is read by then
constexpr int kLeasesFull = 507;                      // at all servers
constexpr char kNotRenewed[] = "no server renewed it in time";

// Of the time of a lease: each of a few servers has its turn before what is left is over.
Duration patience_with_asked(Duration ttl) {
  return ttl == Duration(0) ? kAskedMax : std::clamp(ttl / 4, kAskedMin, kAskedMax);
}

// Servers renew after a third of the time and say so, and write at least every 10 s.
Duration patience_with_holder(Duration ttl) { return std::min(ttl / 2, kStreamSilence); }

}  // namespace

HeldLease::HeldLease(net::Loop& loop, LeaseHoldOptions options, uint64_t seed)
    : loop_(loop),
      options_(std::move(options)),
      prng_(seed),
      id_(options_.id),
      promised_{net::Timer(loop.get(), [this] { on_lost(kNotRenewed); })},
      patience_(loop.get(), [this] { on_silence(); }),
      pause_(loop.get(), [this] { ask(); }),
      tick_(loop.get(), [this] { on_tick(); }),
      seen_(since_boot()) {
  tick_.start(kClockTick);
}

int HeldLease::run() {
  ask();
  loop_.run();
  return code_;
}

void HeldLease::finish(int code, const std::string& line) {
  if (!line.empty()) say_.line(line);
  phase_ = Phase::kDone;
  code_ = code;
  end_.reset();
  tries_.clear();  // which ends the lease
  child_.reset();
  loop_.stop();
}

// ---- the clock ----

// Lines that wait while this process is stopped, or the machine suspended, were true when they were written. So only
// what comes later tells anything, and another server is asked if nothing does.
void HeldLease::watch_clock() {
  const Duration now = since_boot();
  const bool stood_still = now - std::exchange(seen_, now) > kStandstill;
  if (stood_still) new_from_ = now + kReadWaiting;
  if (stood_still && phase_ == Phase::kHeld && current_ != nullptr) patience_.start(kReadWaiting);
}

bool HeldLease::promise(const Try* one, int64_t left_ms) {
  if (since_boot() < new_from_) return false;
  promiser_ = one;
  promised_.start(milliseconds(left_ms));
  return true;
}

void HeldLease::on_tick() {
  tick_.start(kClockTick);
  watch_clock();
  // No timer has run while the machine was suspended.
  if (phase_ == Phase::kHeld && promised_.left() == Duration(0)) on_lost(kNotRenewed);
}

void HeldLease::on_silence() {
  watch_clock();
  if (phase_ < Phase::kStopping && !patience_.running()) ask_next(said_of(*current_, "silent"));
}

// ---- asking ----

std::string HeldLease::target() const {
  if (id_ != 0) return fmt::format("/v1/leases/{}?hold=1", id_);
  return fmt::format("/v1/leases?ttl={}&name={}&hold=1", to_ms(options_.ttl), percent_encode(options_.name));
}

// A server whose answer is still to come is not asked twice, but given time once more.
void HeldLease::ask() {
  const auto unanswered = [this](const std::unique_ptr<Try>& one) {
    return one->server == server_ && !one->held;
  };
  const auto open = std::find_if(tries_.begin(), tries_.end(), unanswered);
  if (open != tries_.end()) {
    current_ = open->get();
    return patience_.start(patience_with_asked(ttl_));
  }
  Try* one = tries_.emplace_back(std::make_unique<Try>()).get();
  current_ = one;
  one->server = server_;
  one->client =
      std::make_unique<HttpClient>(loop_.get(), std::vector{options_.servers[server_]}, prng_.next());
  HttpRequest request;
  request.method = "POST";
  request.target = [this] { return target(); };
  request.stream = true;
  // Nobody else knows of a lease that is granted too late.
  request.silence = id_ == 0 ? kStreamSilence : kNoSilence;
  HttpEvents events;
  events.on_failed = [this, one](const std::string& why) { return on_failed(one, why); };
  events.on_answer = [this, one](const Response& answer) { on_answer(one, answer); };
  events.on_line = [this, one](const std::string& line) { on_line(one, line); };
  events.on_end = [this, one](const std::string& why) { on_end(one, why); };
  one->call = std::make_unique<HttpCall>(*one->client, std::move(request), std::move(events));
  if (id_ != 0) patience_.start(patience_with_asked(ttl_));
}

// At once, until each has been asked in vain.
void HeldLease::ask_next(const std::string& why) {
  say_.once(why + "; trying on");
  current_ = nullptr;
  patience_.stop();
  server_ = (server_ + 1) % options_.servers.size();
  if (++failures_ < options_.servers.size()) return ask();
  const Duration most = std::min(kNextMax, kNextMin * (2 << std::min<size_t>(failures_, 8)));
  pause_.start(Duration(prng_.between(kNextMin.count(), most.count())));
}

std::string HeldLease::said_of(const Try& one, const std::string& why) const {
  return fmt::format("{}: {}", name_of(options_.servers[one.server]), why);
}

void HeldLease::forget(const Try* one) {
  if (!one->held && one->call->may_be_done()) perhaps_taken_ = true;
  const auto same = [one](const std::unique_ptr<Try>& each) { return each.get() == one; };
  tries_.erase(std::find_if(tries_.begin(), tries_.end(), same));
  if (promiser_ == one) promiser_ = nullptr;
}

// ---- what a server says ----

bool HeldLease::on_failed(const Try* one, const std::string& why) {
  const bool current = one == current_;
  forget(one);
  if (current && phase_ < Phase::kStopping) ask_next(why);
  return false;
}

void HeldLease::on_answer(const Try* one, const Response& answer) {
  const std::string text = problem_text(answer.status, answer.body);
  if (phase_ == Phase::kAsking && (answer.status < 500 || answer.status == kLeasesFull))
    return finish(EX_UNAVAILABLE, fmt::format("the lease is not to be had: {}", text));
  const bool refused = refuses_access(answer.status) && phase_ == Phase::kHeld && one == current_;
  if (answer.status == 410 || refused) return on_lost(text);
  on_failed(one, said_of(*one, text));
}

void HeldLease::on_end(const Try* one, const std::string& why) {
  const bool current = one == current_;
  const std::string text = said_of(*one, why);
  if (id_ == 0 || one->call->descriptor() < 0) forget(one);
  if (current && phase_ < Phase::kStopping) ask_next(text);
}

void HeldLease::on_line(Try* one, const std::string& text) {
  watch_clock();
  const Result<LeaseLine> line = parse_lease_line(text);
  if (line && line->id != 0 && phase_ != Phase::kStopping) on_taken_up(one, *line);
  if (phase_ >= Phase::kStopping) return;
  if (!line) return on_end(one, line.error().detail);
  switch (line->kind) {
    case LeaseLine::Kind::kProgress:
      return;
    case LeaseLine::Kind::kUnsure:  // a line that came with it may say more
      if (one == promiser_) promised_.start(Duration(0));
      return;
    case LeaseLine::Kind::kHeld:
      return on_held(one, *line);
    case LeaseLine::Kind::kLost:
      if (line->reason == "taken") return on_taken(one);
      return on_lost(line->reason == "over" || line->reason.empty() ? "it is over" : line->reason);
    case LeaseLine::Kind::kStopping:
      if (phase_ == Phase::kHeld) promise(one, line->left_ms);
      return on_end(one, "the server stops");
  }
}

void HeldLease::on_taken_up(Try* one, const LeaseLine& line) {
  one->held = true;
  perhaps_taken_ = false;
  id_ = line.id;
  hold_ = std::max(hold_, line.hold);
  ttl_ = milliseconds(line.ttl_ms);
  if (child_ != nullptr) child_->keep_open(one->call->descriptor());
}

void HeldLease::on_held(const Try* one, const LeaseLine& line) {
  if (id_ == 0) return on_end(one, "a lease without its id");
  if (one != current_) pause_.stop();
  current_ = one;
  server_ = one->server;
  failures_ = 0;
  say_.forget();
  const bool counts = promise(one, line.left_ms);
  patience_.start(counts ? patience_with_holder(ttl_) : kReadWaiting);
  if (counts && phase_ == Phase::kAsking) begin();
}

// By a server that was asked later, or was slow, if there is one, or by a request whose answer was lost; else by
// somebody else.
void HeldLease::on_taken(const Try* one) {
  const bool current = one == current_;
  forget(one);
  if (!current) return;
  if (tries_.empty() && perhaps_taken_)
    return ask_next("a request whose answer was lost may have taken it up");
  if (tries_.empty()) return on_lost("another one has taken it up");
  current_ = tries_.back().get();
  server_ = current_->server;
  patience_.start(patience_with_asked(ttl_));
}

void HeldLease::on_lost(const std::string& why) {
  if (phase_ == Phase::kEnding) return finish(code_);  // nobody was told in time
  if (phase_ == Phase::kAsking)
    return finish(EX_UNAVAILABLE, fmt::format("the lease is not to be had: {}", why));
  if (phase_ != Phase::kHeld) return;
  phase_ = Phase::kStopping;
  promised_.timer.stop();
  patience_.stop();
  pause_.stop();
  const std::string text = fmt::format("lost the lease {} ({})", id_, why);
  if (child_ == nullptr) return finish(EX_TEMPFAIL, text);
  say_.line(text + ": the command is being stopped");
  child_->stop();
}

// ---- while it is held ----

void HeldLease::begin() {
  phase_ = Phase::kHeld;
  if (options_.command.empty()) {
    if (const int code = print(fmt::format("{}\n", id_)); code != EX_OK) end_lease(code);
    return;
  }
  ChildOptions child;
  child.command = options_.command;
  child.grace = options_.grace;
  child.held = current_->call->descriptor();
  child.environment = {{"KVD_LEASE", std::to_string(id_)}};
  child_ = std::make_unique<Child>(loop_.get(), std::move(child),
                                   [this](const ChildEnd& end) { on_child_end(end); });
  const int error = child_->start();
  if (error == 0) return;
  child_.reset();
  const CommandEnd end = start_failure(options_.command, error);
  say_.line(end.text);
  end_lease(end.code);
}

void HeldLease::on_child_end(const ChildEnd& end) {
  say_survivors(say_, end);
  child_.reset();
  if (phase_ == Phase::kStopping) return finish(EX_TEMPFAIL);
  end_lease(end.code());
}

// Also where no connection stands that could be closed, and so that it is over when this process is; but not where
// another process has taken it up.
void HeldLease::end_lease(int code) {
  phase_ = Phase::kEnding;
  code_ = code;
  patience_.stop();
  pause_.stop();
  promised_.start(std::min(promised_.left(), kEndMax));
  HttpRequest request;
  request.method = "DELETE";
  request.target = [this] {
    ending_ = hold_;
    const std::string hold = ending_ == 0 ? "" : fmt::format("hold={}&", ending_);
    return fmt::format("/v1/leases/{}?{}timeout={}", id_, hold,
                       std::max<int64_t>(to_ms(promised_.left()), 1));
  };
  request.until = uv_hrtime() + static_cast<uint64_t>(promised_.left().count()) * 1000;
  HttpEvents events;
  events.on_failed = [](const std::string&) { return true; };  // until there is no time left
  events.on_answer = [this](const Response& answer) { on_ended(answer); };
  std::vector<Server> servers = options_.servers;
  std::rotate(servers.begin(), servers.begin() + static_cast<ptrdiff_t>(server_), servers.end());
  client_ = std::make_unique<HttpClient>(loop_.get(), std::move(servers), prng_.next());
  end_ = std::make_unique<HttpCall>(*client_, std::move(request), std::move(events));
}

// Who holds it may be this process, through a server whose answer, with its number, came meanwhile or is still to come.
void HeldLease::on_ended(const Response& answer) {
  const auto under_way = [](const std::unique_ptr<Try>& one) { return !one->held; };
  const bool perhaps_ours =
      hold_ != ending_ || (hold_ != 0 && std::any_of(tries_.begin(), tries_.end(), under_way));
  if (answer.status >= 500 || (answer.status == 410 && perhaps_ours)) return end_->try_again();
  const bool refused = refuses_access(answer.status);
  finish(code_,
         refused ? fmt::format("the lease {} is not ended: {}", id_, problem_text(answer.status, answer.body))
                 : "");
}

void HeldLease::on_signal(int number) {
  if (child_ != nullptr) {
    child_->pass_on(number);
  } else if (asks_to_end(number)) {
    if (phase_ == Phase::kAsking) return finish(128 + number);
    if (phase_ == Phase::kEnding) return finish(code_);
    return end_lease(EX_OK);
  }
  if (asks_to_pause(number)) ::raise(SIGSTOP);
}

}  // namespace kvd::client
