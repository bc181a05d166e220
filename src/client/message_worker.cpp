// See message_worker.hpp.
#include "client/message_worker.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sysexits.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/json_writer.hpp"
#include "client/message_commands.hpp"
#include "client/stop_signals.hpp"

namespace kvd::client {
namespace {

constexpr Duration kWaitMax = seconds(10);  // for a message
constexpr Duration kPatienceMin = milliseconds(250);
constexpr Duration kPatienceMax = seconds(5);        // with a server, for what it does at once
constexpr Duration kReceivePace = milliseconds(50);  // should a server not wait at all
constexpr Duration kSourcePause = seconds(1);        // until what is not there is looked for again
constexpr Duration kKillMax = seconds(1);            // from SIGKILL until a process is gone
constexpr Duration kSettlePatience = seconds(3);     // once this program is to end

// To the end of what is promised: SIGTERM, the grace time, SIGKILL.
Duration grace_in(Duration ttr, Duration grace) { return std::min(grace, ttr / 4); }
Duration ending_in(Duration ttr, Duration grace) {
  return grace_in(ttr, grace) + std::min(ttr / 12, kKillMax);
}

std::vector<std::pair<std::string, std::string>> environment_of(const MessageSource& source,
                                                                const QueueMessage& message) {
  std::vector<std::pair<std::string, std::string>> all = {{"KVD_MESSAGE_ID", message.id},
                                                          {"KVD_RECEIPT", std::to_string(message.receipt)},
                                                          {"KVD_ATTEMPT", std::to_string(message.attempt)},
                                                          {"KVD_GROUP", message.group},
                                                          {"KVD_TYPE", message.type}};
  const bool of_queue = source.kind == MessageSource::Kind::kQueue;
  all.emplace_back(of_queue ? "KVD_QUEUE" : "KVD_TOPIC", source.name);
  if (!of_queue) all.emplace_back("KVD_SUBSCRIPTION", source.subscription);
  return all;
}

// As in "queue q", for people.
std::string title_of_source(const MessageSource& source) {
  if (source.kind == MessageSource::Kind::kQueue) return "queue " + source.name;
  if (source.kind == MessageSource::Kind::kTopic) return "topic " + source.name;
  return fmt::format("subscription {} of topic {}", source.subscription, source.name);
}

}  // namespace

MessageWorker::MessageWorker(net::Loop& loop, MessageWorkOptions options, uint64_t seed)
    : loop_(loop),
      options_(std::move(options)),
      client_(loop.get(), options_.servers, seed),
      promised_{net::Timer(loop.get(), [this] { watch_clock(); })},
      extend_at_(loop.get(), [this] { extend(); }),
      tick_(loop.get(), [this] { watch_clock(); }),
      again_(loop.get(), [this] { next(); }),
      hurry_(loop.get(), [this] { stop(); }) {}

int MessageWorker::run() {
  next();
  loop_.run();
  return code_;
}

void MessageWorker::finish(int code, const std::string& line) {
  if (!line.empty()) say_.line(line);
  code_ = code;
  call_.reset();
  extension_.reset();
  child_.reset();
  loop_.stop();
}

// Of a message's time: several servers have their turns before it is over.
Duration MessageWorker::patience() const {
  return ttr_ == Duration(0) ? kPatienceMax : std::clamp(ttr_ / 8, kPatienceMin, kPatienceMax);
}

// A request that is sent until a server has answered; each may take so long as patience() says, and of the time up to
// `until` its share at most (HttpRequest).
std::unique_ptr<HttpCall> MessageWorker::ask(std::string method, std::string path, std::string body,
                                             HttpEvents events, uint64_t until) {
  HttpRequest request;
  request.method = std::move(method);
  request.target = [this, path = std::move(path)] {
    asked_ = since_boot();
    const char* join = path.find('?') == std::string::npos ? "?" : "&";
    return fmt::format("{}{}timeout={}", path, join, to_ms(patience()) * 9 / 10);
  };
  request.body = std::move(body);
  request.silence = patience();
  request.until = until;
  if (!events.on_failed) {
    events.on_failed = [this](const std::string& why) {
      say_.once(message_ ? about_message(why + "; trying on") : why + "; trying on");
      return true;
    };
  }
  return std::make_unique<HttpCall>(client_, std::move(request), std::move(events));
}

void MessageWorker::next() {
  if (draining_) return finish(EX_OK);
  ttr_ == Duration(0) ? learn() : receive();
}

// ---- the queue, or the subscription ----

// A local copy may not know it yet.
void MessageWorker::learn() {
  HttpEvents events;
  events.on_answer = [this](const Response& answer) { on_learned(answer); };
  call_ = ask("GET", path_of_source(options_.source, "?read=linear"), "", std::move(events));
}

void MessageWorker::on_learned(const Response& answer) {
  if (is_refused(answer)) return;
  const auto ttr_ms = parse_number_in(answer.body, "ttr");
  if (!ttr_ms || *ttr_ms <= 0) {
    say_.once("the answer does not tell how long a message is its receiver's; trying on");
    return call_->try_again();
  }
  ttr_ = milliseconds(*ttr_ms);
  call_.reset();
  next();
}

// True: the answer is of no use, and has led to something.
bool MessageWorker::is_refused(const Response& answer) {
  if (answer.status / 100 == 2) return false;
  const std::string why =
      fmt::format("{}: {}", title_of_source(options_.source), problem_text(answer.status, answer.body));
  const std::string kind = answer.status == 404 ? text_in(answer.body, "type") : "";
  if (kind == "urn:kvd:no-queue" || kind == "urn:kvd:no-topic") {
    say_.once(why + "; trying on");
    ttr_ = Duration(0);
    call_.reset();
    again_.start(kSourcePause);
  } else if (answer.status >= 500 || answer.status == 408) {
    say_.once(why + "; trying on");
    call_->try_again();
  } else {
    finish(EX_UNAVAILABLE, why);
  }
  return true;
}

// ---- a message ----

// Of the time for which a message is ours the wait takes a third at most: it may have been granted at once.
void MessageWorker::receive() {
  const Duration wait = std::min(kWaitMax, ttr_ / 3);
  HttpRequest request;
  request.method = "POST";
  request.target = [this, wait] {
    asked_ = since_boot();
    return fmt::format("{}?wait={}&ttr={}&timeout={}", path_of_source(options_.source, "/receive"),
                       to_ms(wait), to_ms(ttr_), to_ms(kPatienceMax) * 9 / 10);
  };
  request.silence = wait + kPatienceMax;
  HttpEvents events;
  events.on_failed = [this](const std::string& why) {
    say_.once(why + "; trying on");
    return true;
  };
  events.on_answer = [this](const Response& answer) { on_received(answer); };
  call_ = std::make_unique<HttpCall>(client_, std::move(request), std::move(events));
}

void MessageWorker::on_received(const Response& answer) {
  if (is_refused(answer)) return;
  say_.forget();
  auto page = answer.status == 204 ? MessagePage() : parse_message_page(answer.body);
  if (!page) {
    say_.once(fmt::format("no message of {}: {}; trying on", title_of_source(options_.source),
                          page.error().detail));
    return call_->try_again();
  }
  if (page->gap) say_.line(gap_text(*page->gap));
  call_.reset();
  if (page->messages.empty()) return again_.start(kReceivePace);
  message_ = std::move(page->messages.front());
  on_message();
}

std::string MessageWorker::about_message(const std::string& what) const {
  return fmt::format("message {} (attempt {}): {}", message_->id, message_->attempt, what);
}

void MessageWorker::on_message() {
  fate_ = Fate::kByCode;
  promise(asked_);
  // This program, or the server, stood still meanwhile.
  if (promised_.left() == Duration(0)) return settle("release");
  const std::string all = message_->group + message_->type;
  if (all.find('\0') != std::string::npos)
    return settle("nack", "its group or its type holds a NUL, which no environment can");
  run_command();
}

// From when it was asked for, as nobody knows when it was granted.
void MessageWorker::promise(Duration asked) {
  const Duration passed = since_boot() - asked;
  promised_.start(std::max(ttr_ - ending_in(ttr_, options_.grace) - passed, Duration(0)));
  extend_at_.start(std::max(ttr_ / 3 - passed, Duration(0)));
}

void MessageWorker::forget_message() {
  message_.reset();
  promised_.timer.stop();
  extend_at_.stop();
  tick_.stop();
  extension_.reset();
}

// ---- the command ----

void MessageWorker::run_command() {
  const std::vector<std::string> command = {"/bin/sh", "-c", options_.exec};
  ChildOptions child;
  child.command = command;
  child.environment = environment_of(options_.source, *message_);
  child.grace = grace_in(ttr_, options_.grace);
  child.streams = ChildOptions::Streams::kInput;
  child.input = std::move(message_->body);
  child_ = std::make_unique<Child>(loop_.get(), std::move(child),
                                   [this](const ChildEnd& end) { on_command_end(end); });
  const int error = child_->start();
  if (error == 0) return tick_.start(kClockTick);
  child_.reset();
  const std::string why = start_failure(command, error).text;
  say_.line(about_message(why));
  settle("nack", why);
}

void MessageWorker::on_command_end(const ChildEnd& end) {
  child_.reset();
  say_survivors(say_, end);
  promised_.timer.stop();
  extend_at_.stop();
  tick_.stop();
  extension_.reset();
  switch (fate_) {
    case Fate::kLost:
      forget_message();
      return next();
    case Fate::kReleased:
      return settle("release");
    case Fate::kByCode:
      if (end.code() == EX_OK) return settle("ack");
      return settle("nack", end.signal != 0 ? fmt::format("ended by signal {}", end.signal)
                                            : fmt::format("exit code {}", end.status));
  }
}

// ---- its time ----

void MessageWorker::extend() {
  if (child_ == nullptr || fate_ == Fate::kLost) return;
  HttpEvents events;
  events.on_failed = [this](const std::string& why) {
    say_.once(about_message(why + "; trying on"));
    return promised_.left() > Duration(0);
  };
  events.on_answer = [this](const Response& answer) { on_extended(answer); };
  extension_ =
      ask("PUT",
          fmt::format("{}/{}?receipt={}&ttr={}", path_of_source(options_.source, "/messages"), message_->id,
                      message_->receipt, to_ms(ttr_)),
          "", std::move(events), uv_hrtime() + static_cast<uint64_t>(promised_.left().count()) * 1000);
}

void MessageWorker::on_extended(const Response& answer) {
  if (answer.status == 200) {
    say_.forget();
    extension_.reset();
    return promise(asked_);
  }
  const std::string why = problem_text(answer.status, answer.body);
  if (answer.status == 404 || answer.status == 412 || refuses_access(answer.status)) return lose(why);
  say_.once(about_message("its time is not extended: " + why + "; trying on"));
  extension_->try_again();
}

// No timer runs while the machine is suspended.
void MessageWorker::watch_clock() {
  if (child_ == nullptr || fate_ == Fate::kLost) return;
  if (promised_.left() == Duration(0)) return lose("no server extended its time");
  tick_.start(std::min(kClockTick, promised_.left()));
}

void MessageWorker::lose(const std::string& why) {
  fate_ = Fate::kLost;
  extension_.reset();
  extend_at_.stop();
  promised_.timer.stop();
  say_.line(about_message(why + ": the command is being stopped"));
  child_->stop();
}

// ---- what becomes of it ----

// Until a server has answered, also when the time of the message is over: the receipt tells what that is worth then.
void MessageWorker::settle(std::string_view verb, const std::string& reason) {
  JsonWriter json;
  json.begin_object().key(verb).begin_array().begin_object();
  json.member("id", message_->id).member("receipt", message_->receipt);
  if (verb == "nack" && options_.delay) json.member("delay", to_ms(*options_.delay));
  if (!reason.empty()) json.member("reason", reason);
  json.end_object().end_array().end_object();
  if (draining_) hurry_.start(kSettlePatience);
  HttpEvents events;
  events.on_answer = [this, verb](const Response& answer) { on_settled(verb, answer); };
  call_ = ask("POST", path_of_source(options_.source, "/settle"), json.take(), std::move(events));
}

// Where an earlier answer was lost the message is gone, or not this one's any more, since that try did what it asked.
void MessageWorker::on_settled(std::string_view verb, const Response& answer) {
  if (answer.status >= 500 || answer.status == 408) {
    say_.once(about_message(problem_text(answer.status, answer.body) + "; trying on"));
    return call_->try_again();
  }
  const auto results = parse_texts_in(answer.body, "results");
  const std::string result = results && !results->empty() ? results->front() : "";
  const bool done_before = call_->may_be_done() && (verb != "ack" || result != "stale");
  if (answer.status != 200) {
    say_.line(about_message("what became of it is not taken: " + problem_text(answer.status, answer.body)));
    if (refuses_access(answer.status)) return finish(EX_UNAVAILABLE);
  } else if (result == "ok" || done_before) {
    say_.forget();
  } else {
    say_.line(about_message(result == "gone" ? "it was deleted meanwhile" : "its receipt counts no more"));
  }
  call_.reset();
  forget_message();
  next();
}

// ---- the end ----

void MessageWorker::on_signal(int number) {
  if (asks_to_end(number)) {
    if (std::exchange(draining_, true)) return stop();
    if (!message_) return finish(EX_OK);
    return hurry_.start(child_ != nullptr ? options_.grace : kSettlePatience);
  }
  // A command whose time is over goes on only to end.
  if (number == SIGCONT) watch_clock();
  if (child_ != nullptr) child_->pass_on(number);
  if (asks_to_pause(number)) ::raise(SIGSTOP);
}

void MessageWorker::stop() {
  if (!message_) return finish(EX_OK);
  if (child_ == nullptr) return finish(EX_OK, about_message("no server was told in time what became of it"));
  if (fate_ == Fate::kByCode) fate_ = Fate::kReleased;
  child_->stop();
}

}  // namespace kvd::client
