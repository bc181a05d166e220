// See message_load.hpp.
#include "kvload/message_load.hpp"

#include <fmt/format.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "kvload/descriptor_limit.hpp"
#include "kvload/number_behind.hpp"
#include "kvload/process_cpu.hpp"

namespace kvd::load {
namespace {

constexpr double kFirstOpen = 10;   // seconds for a first connection
constexpr double kPlacesMade = 60;  // and for making, and deleting, what is worked on
constexpr double kSidesOpen = 20;   // and for all connections
constexpr double kFillStall = 15;   // without a message more
constexpr double kDrainStall = 15;  // beyond a grant's time
constexpr double kLookPatience = 20;
constexpr uint64_t kTickNs = 10 * kMillisecond;
constexpr uint64_t kServerSlackMs = 500;  // beyond the server's time for a request
constexpr uint64_t kMoveAfter = 20 * kMillisecond;
constexpr uint64_t kLookAgain = 50 * kMillisecond;
constexpr uint64_t kWaitMostMs = 5000;  // of a receive
constexpr uint64_t kWaitLeastMs = 20;
constexpr size_t kTogether = 100;         // messages in a request that fills or empties
constexpr size_t kFillBytes = 256 << 10;  // in one that fills
constexpr size_t kDialedTogether = 256;   // at the same time
constexpr size_t kAhead = 4;  // requests of each consumer: so far may they be behind in a closed loop
constexpr size_t kPeekPage = 1000;
constexpr double kPoints = 120;  // about so many in the time series
constexpr std::string_view kStates[] = {"ready", "delayed", "in_flight", "dead"};

}  // namespace

int MessageFigures::exit_code(bool sound) const {
  if (!unmeasured.empty()) return EX_UNAVAILABLE;
  if (!sound) return 1;
  return unjudged.empty() ? EX_OK : EX_UNAVAILABLE;
}

MessageLoad::MessageLoad(const MessageOptions& options, const MessagePlaces& places, std::string name)
    : options_(options), places_(places), terminal_(isatty(2) != 0), lanes_(places.count) {
  figures_.name = std::move(name);
}

// ---- connections ----

void MessageLoad::on_open(Connection& connection) {
  Line& line = lines_[connection.index()];
  line.dialing = false;
  --dialing_;
  ++open_;
  go_on(line);
}

void MessageLoad::on_lost(Connection& connection, int why) {
  Line& line = lines_[connection.index()];
  if (line.dialing) {
    line.dialing = false;
    --dialing_;
  } else {
    --open_;
  }
  const Task task = std::exchange(line.task, Task::kNone);
  if (task != Task::kNone) fail(line, task, name_of_loss(why), task == Task::kSend ? "unknown" : "");
  move_on(line);
}

// The next server, a little later.
void MessageLoad::move_on(Line& line) {
  line.server = (line.server + 1) % targets_.size();
  line.not_before = uv_hrtime() + kMoveAfter;
  if (!line.connection->is_open() || targets_.size() == 1) return;
  line.connection->close();
  --open_;
}

void MessageLoad::dial(Line& line) {
  if (dialing_ >= kDialedTogether) return;
  line.dialing = true;
  ++dialing_;
  line.connection->open(targets_[line.server].server);
}

void MessageLoad::look_after(Line& line, uint64_t now) {
  if (line.task != Task::kNone && now > line.deadline) {
    line.connection->close();
    --open_;
    const Task task = std::exchange(line.task, Task::kNone);
    fail(line, task, "timed out", task == Task::kSend ? "unknown" : "");
    move_on(line);
  }
  if (line.connection->is_closed()) {
    if (now >= line.not_before) dial(line);
  } else {
    go_on(line);
  }
}

void MessageLoad::on_tick() {
  const uint64_t now = uv_hrtime();
  if (now < tick_at_) return;
  tick_at_ = now + kTickNs;
  for (Line& line : lines_) look_after(line, now);
  if (measuring_) {
    figures_.sends.tick(now);
    figures_.deliveries.tick(now);
    figures_.reads.tick(now);
  }
  if (now < progress_at_) return;
  progress_at_ = now + 1000 * kMillisecond;
  show_progress();
}

void MessageLoad::show_progress() const {
  if (!terminal_) return;
  const Progress now = progress();
  if (stage_ == Stage::kMaking || stage_ == Stage::kDeleting) {
    fmt::print(stderr, "\r\033[K{} of {} {}", done_, to_do_, stage_ == Stage::kMaking ? "made" : "deleted");
  } else if (stage_ == Stage::kFilling) {
    fmt::print(stderr, "\r\033[K{} of {} messages of the backlog sent", now.acknowledged, places_.backlog);
  } else if (stage_ == Stage::kDraining) {
    fmt::print(stderr, "\r\033[Kemptying: {} of {} messages received", now.received, now.acknowledged);
  } else if (measuring_ && !figures_.deliveries.intervals.empty() && !figures_.sends.intervals.empty()) {
    const Interval& sent = figures_.sends.intervals.back();
    const Interval& last = figures_.deliveries.intervals.back();
    fmt::print(
        stderr,
        "\r\033[K{:5.0f} s  {:9.0f} sent/s  {:9.0f} received/s  p50 {:.0f} us  p99 {:.0f} us  max {:.0f} us  "
        "{} failed",
        last.at_s, static_cast<double>(sent.ok) / sent.seconds, static_cast<double>(last.ok) / last.seconds,
        static_cast<double>(last.p50_ns) / 1e3, static_cast<double>(last.p99_ns) / 1e3,
        static_cast<double>(last.max_ns) / 1e3, figures_.sends.failed() + figures_.deliveries.failed());
  }
}

void MessageLoad::kick() {
  for (Line& line : lines_) go_on(line);
}

void MessageLoad::go_on(Line& line) {
  const uint64_t now = uv_hrtime();
  if (!line.connection->is_open() || line.task != Task::kNone || now < line.not_before) return;
  switch (stage_) {
    case Stage::kMaking:
    case Stage::kDeleting:
      if (todo_.empty()) return;
      line.place = todo_.front();
      todo_.pop_front();
      return ask_place(line, stage_ == Stage::kMaking ? Task::kMake : Task::kDelete);
    case Stage::kFilling:
      return is_producer(line) ? fill(line) : void();
    case Stage::kWorking:
      if (is_reader(line)) return read(line);
      return is_producer(line) ? produce(line, now) : consume(line, now);
    case Stage::kDraining:
      if (is_reader(line)) return read(line);
      return is_producer(line) ? void() : drain(line);
    case Stage::kLooking:
      return look(line);
  }
}

// ---- requests ----

void MessageLoad::ask(Line& line, Task task, std::string_view what, std::string_view fields,
                      std::string_view body, uint64_t wait_ms) {
  const size_t space = what.find(' ');
  fmt::format_to(std::back_inserter(line.connection->output()),
                 "{} {}{} HTTP/1.1\r\n{}Content-Length: {}\r\n{}\r\n{}", what.substr(0, space),
                 path_of(line.place), what.substr(space + 1), targets_[line.server].fields, body.size(),
                 fields, body);
  line.task = task;
  line.asked = uv_hrtime();
  line.deadline = line.asked + (kTimeoutMs + kServerSlackMs + wait_ms) * kMillisecond;
  if (task == Task::kSend) ++sends_;
  line.connection->flush();
}

void MessageLoad::ask_place(Line& line, Task task) {
  if (task == Task::kDelete) return ask(line, task, "DELETE ", "", "");
  ask(line, task, "PUT ", "", making_of(line.place));
}

void MessageLoad::fill(Line& line) {
  const uint64_t sent = progress().acknowledged + filling_;
  const size_t left = places_.backlog - std::min<size_t>(places_.backlog, sent);
  if (left == 0) return;
  const size_t each = (places_.backlog + places_.sources - 1) / places_.sources;
  const size_t most = std::clamp<size_t>(kFillBytes / options_.bytes, 1, kTogether);
  const size_t count = std::min({left, each, most});
  filling_ += count;
  send(line, count, uv_hrtime(), true);
}

void MessageLoad::produce(Line& line, uint64_t now) {
  if (now >= end_) return;
  if (may_send(now))
    return send(line, options_.batch, schedule_ ? schedule_->take() : now, options_.batch > 1);
  if (!std::exchange(line.idle, true)) idle_.push_back(line.connection->index());
}

// A closed loop leaves off while the consumers are behind: else what is measured is how much faster sends are.
bool MessageLoad::may_send(uint64_t now) const {
  if (schedule_) return schedule_->is_due(now);
  return backlog() < places_.backlog + kAhead * options_.consumers * options_.batch;
}

// What waits is never less than the backlog.
bool MessageLoad::may_receive() const {
  return places_.backlog == 0 || backlog() >= places_.backlog + receiving_ + options_.batch;
}

void MessageLoad::release(std::deque<size_t>& waiting) {
  if (waiting.empty()) return;
  Line& line = lines_[waiting.front()];
  waiting.pop_front();
  line.idle = false;
  go_on(line);
}

// Due requests go one by one to the producers that have been free the longest.
void MessageLoad::produce_what_is_due() {
  const uint64_t now = uv_hrtime();
  while (!idle_.empty() && schedule_->is_due(now)) release(idle_);
  if (!schedule_->exhausted()) pacer_.start(schedule_->next());
}

void MessageLoad::send(Line& line, size_t count, uint64_t intended, bool together) {
  line.place = place_to_send(sent_++);
  line.intended = intended;
  line.count = count;
  std::string body, group;
  for (size_t i = 0; i < count; ++i) {
    uint32_t lane = sim::SentMessages::kNoGroup;
    if (options_.groups > 0) {
      const uint64_t of_place = lanes_[line.place]++ % options_.groups;
      lane = static_cast<uint32_t>(line.place * options_.groups + of_place);
      group = fmt::format("g{}", of_place);
    }
    const uint64_t number = sent_messages().send(lane);
    if (i == 0) line.first = number;
    if (together) {
      append_queue_line({number, intended}, options_.bytes, group, body);
    } else {
      append_queue_body({number, intended}, options_.bytes, body);
    }
  }
  const bool named = !together && !group.empty();
  ask(line, Task::kSend,
      fmt::format("POST /messages?create=0&timeout={}{}{}", kTimeoutMs, named ? "&group=" : "",
                  named ? group : std::string()),
      together ? "Content-Type: application/x-ndjson\r\n" : "", body);
}

// How many sources this consumer serves, and the next one of them.
size_t MessageLoad::served_by(const Line& line) const {
  const size_t place = line.connection->index() - options_.producers;
  return place >= places_.sources ? 1 : (places_.sources - place + places_.consumers - 1) / places_.consumers;
}

size_t MessageLoad::next_source(Line& line) {
  const size_t place = line.connection->index() - options_.producers;
  return (place + line.turn++ % served_by(line) * places_.consumers) % places_.sources;
}

void MessageLoad::consume(Line& line, uint64_t now) {
  if (now >= end_) return;
  if (options_.batch == 1 && !line.held.empty()) return acknowledge(line);
  const bool turns = served_by(line) > 1;
  if (!line.held.empty() && (turns || !may_receive())) return settle(line);
  if (!may_receive()) {
    if (!std::exchange(line.idle, true)) parked_.push_back(line.connection->index());
    return;
  }
  if (line.held.empty()) line.place = next_source(line);
  const uint64_t left_ms = (end_ - now) / kMillisecond;
  receive(line, options_.batch, std::clamp(left_ms, kWaitLeastMs, turns ? kWaitLeastMs : kWaitMostMs));
}

// What it holds is settled in the same call.
void MessageLoad::receive(Line& line, size_t most, uint64_t wait_ms) {
  note_settling(line, line.held.size());
  line.most = most;
  receiving_ += most;
  ask(line, Task::kReceive, fmt::format("POST /receive?max={}&wait={}&timeout={}", most, wait_ms, kTimeoutMs),
      "", line.held.empty() ? std::string() : acknowledge_body(line.held), wait_ms);
}

void MessageLoad::acknowledge(Line& line) {
  note_settling(line, 1);
  const HeldMessage& message = line.held.front();
  ask(line, Task::kAck,
      fmt::format("DELETE /messages/{}?receipt={}&timeout={}", to_text(message.id), message.receipt,
                  kTimeoutMs),
      "", "");
}

void MessageLoad::settle(Line& line) {
  note_settling(line, line.held.size());
  ask(line, Task::kSettle, fmt::format("POST /settle?timeout={}", kTimeoutMs), "",
      acknowledge_body(line.held));
}

void MessageLoad::note_settling(Line& line, size_t count) {
  line.count = count;
  for (size_t i = 0; i < count; ++i) grants(line.place).settling(line.held[i].number);
}

// A source is empty when its leader says so, and no send is under way, nor may be.
void MessageLoad::drain(Line& line) {
  if (line.held.empty()) {
    if (undrained_ == 0) return;
    if (std::exchange(line.to_count, false) && all_is_sent()) {
      line.first = sent_messages().seen_so_far();
      return ask(line, Task::kCount, fmt::format("GET ?read=linear&timeout={}", kTimeoutMs), "", "");
    }
    size_t tries = served_by(line);
    do {
      if (tries-- == 0) return;
      line.place = next_source(line);
    } while (drained_[line.place]);
  }
  const size_t most = std::max(options_.batch, std::clamp<size_t>(kFillBytes / options_.bytes, 1, kTogether));
  receive(line, most, undrained_ > places_.consumers ? 0 : kWaitLeastMs);
}

// Page after page, one at a time.
void MessageLoad::look(Line& line) {
  while (look_source_ < places_.sources && drained_[look_source_]) ++look_source_;
  if (look_source_ == places_.sources || std::exchange(looking_, true)) return;
  line.place = look_source_;
  ask(line, Task::kLook,
      fmt::format("GET /messages?state={}&limit={}&read=linear&timeout={}{}{}", kStates[look_state_],
                  kPeekPage, kTimeoutMs, look_after_.empty() ? "" : "&after=", look_after_),
      "", "");
}

// ---- answers ----

void MessageLoad::on_response(Connection& connection, const Response& response) {
  Line& line = lines_[connection.index()];
  switch (std::exchange(line.task, Task::kNone)) {
    case Task::kNone:  // what nobody asked for: as useless as no HTTP
      connection.close();
      return on_lost(connection, UV_EPROTO);
    case Task::kMake:
    case Task::kDelete:
      return take_place(line, response);
    case Task::kSend:
      return take_sent(line, response);
    case Task::kReceive:
      return take_received(line, Task::kReceive, response);
    case Task::kSettle:
      return take_received(line, Task::kSettle, response);
    case Task::kAck:
      return take_acknowledged(line, response);
    case Task::kCount:
      return take_count(line, response);
    case Task::kLook:
      return take_look(line, response);
    case Task::kRead:
      return take_read(line, response);
  }
}

// It is asked again elsewhere; but for a send, which may have been done.
void MessageLoad::fail(Line& line, Task task, const std::string& what, std::string_view outcome) {
  if (task == Task::kSend) {
    --sends_;
    if (stage_ == Stage::kFilling) filling_ -= line.count;
    if (outcome != "not-applied") sends_end_ = std::max(sends_end_, line.asked + kTimeoutMs * kMillisecond);
    for (size_t i = 0; outcome == "not-applied" && i < line.count; ++i)
      sent_messages().not_sent(line.first + i);
  }
  if (task == Task::kMake || task == Task::kDelete) todo_.push_back(line.place);
  if (task == Task::kReceive) receiving_ -= line.most;
  if (task == Task::kLook) looking_ = false;
  if (!measuring_) return;
  RunResult& result = task == Task::kSend   ? figures_.sends
                      : task == Task::kRead ? figures_.reads
                                            : figures_.deliveries;
  result.record_failure(line.server, what, outcome);
}

void MessageLoad::take_place(Line& line, const Response& response) {
  const bool deleting = stage_ == Stage::kDeleting;
  if (response.status / 100 == 2 || (deleting && response.status == 404)) {
    ++done_;
    return;
  }
  fail(line, deleting ? Task::kDelete : Task::kMake, name_of_refusal(response), "");
  move_on(line);
}

void MessageLoad::take_sent(Line& line, const Response& response) {
  const QueueAnswer* answer = response.status == 201 ? parser_.parse(response.body, options_.bytes) : nullptr;
  if (answer == nullptr || answer->ids.size() != line.count) {
    fail(line, Task::kSend, name_of_refusal(response), client::problem_member(response.body, "outcome"));
    return move_on(line);
  }
  --sends_;
  if (stage_ == Stage::kFilling) filling_ -= line.count;
  const uint64_t now = uv_hrtime();
  for (size_t i = 0; i < line.count; ++i) {
    sent_messages().sent(line.first + i, answer->ids[i]);
    if (measuring_) figures_.sends.record_ok(Kind::kPut, line.server, now - line.intended, now, true);
  }
  if (may_receive()) release(parked_);
}

void MessageLoad::take_received(Line& line, Task task, const Response& response) {
  const std::string_view body = response.status == 204 ? std::string_view("{}") : response.body;
  const QueueAnswer* answer = response.status / 100 == 2 ? parser_.parse(body, options_.bytes) : nullptr;
  if (answer == nullptr || answer->settled.size() != line.count) {
    fail(line, task, name_of_refusal(response), client::problem_member(response.body, "outcome"));
    return move_on(line);
  }
  if (task == Task::kReceive) receiving_ -= line.most;
  const uint64_t now = uv_hrtime();
  take_results(line, answer->settled);
  line.to_count = answer->messages.empty();
  if (!answer->messages.empty()) received_at_ = now;
  for (const ReceivedMessage& message : answer->messages) {
    const uint64_t number = message.stamp ? message.stamp->number : sim::SentMessages::kNobody;
    grants(line.place).granted({number, message.id, message.receipt, line.asked, now});
    line.held.push_back({number, message.id, message.receipt});
    if (measuring_ && message.stamp)
      figures_.deliveries.record_ok(Kind::kGet, line.server, now - std::min(now, message.stamp->at), now,
                                    true);
  }
  if (schedule_) return;
  for (size_t i = 0; i < answer->messages.size() && may_send(now); i += options_.batch) release(idle_);
}

void MessageLoad::take_results(Line& line, const std::vector<SettleResult>& results) {
  for (size_t i = 0; i < results.size(); ++i) note_result(line, line.held[i], results[i]);
  line.held.erase(line.held.begin(), line.held.begin() + static_cast<ptrdiff_t>(results.size()));
}

void MessageLoad::take_acknowledged(Line& line, const Response& response) {
  const bool gone = response.status == 404;
  if (response.status != 204 && !gone && response.status != 412) {
    fail(line, Task::kAck, name_of_refusal(response), client::problem_member(response.body, "outcome"));
    return move_on(line);
  }
  take_results(line, {gone                     ? SettleResult::kGone
                      : response.status == 412 ? SettleResult::kStale
                                               : SettleResult::kDone});
}

// What is gone may have been settled by an earlier request, whose answer did not come.
void MessageLoad::note_result(const Line& line, const HeldMessage& message, SettleResult result) {
  if (result == SettleResult::kDone) grants(line.place).settled(message.number, message.receipt);
  if (result == SettleResult::kDone && measuring_) ++figures_.settled;
  if (result == SettleResult::kStale) ++figures_.stale;
}

void MessageLoad::take_count(Line& line, const Response& response) {
  if (response.status != 200 && response.status != 404) {
    fail(line, Task::kCount, name_of_refusal(response), "");
    return move_on(line);
  }
  counted_ = true;
  uint64_t left = 0;
  for (const std::string_view state : kStates)
    left += number_behind(response.body, fmt::format("\"{}\":", state));
  if (left > 0) {
    line.not_before = uv_hrtime() + kLookAgain;
  } else if (!drained_[line.place]) {
    drained_[line.place] = true;
    --undrained_;
    grants(line.place).emptied(line.first);
  }
}

void MessageLoad::take_look(Line& line, const Response& response) {
  const QueueAnswer* answer = response.status == 200 ? parser_.parse(response.body, options_.bytes) : nullptr;
  if (answer == nullptr) {
    fail(line, Task::kLook, name_of_refusal(response), "");
    return move_on(line);
  }
  looking_ = false;
  for (const ReceivedMessage& message : answer->messages)
    grants(line.place).found(message.stamp ? message.stamp->number : sim::SentMessages::kNobody);
  look_after_ = answer->more ? to_text(answer->messages.back().id) : std::string();
  if (answer->more || ++look_state_ < std::size(kStates)) return;
  look_state_ = 0;
  ++look_source_;
}

void MessageLoad::take_read(Line& line, const Response& response) {
  const QueueAnswer* answer = response.status == 200 ? parser_.parse(response.body, options_.bytes) : nullptr;
  if (answer == nullptr || !take_page(line, *answer)) {
    fail(line, Task::kRead, name_of_refusal(response), "");
    return move_on(line);
  }
  const uint64_t now = uv_hrtime();
  if (!answer->messages.empty()) received_at_ = now;
  for (const ReceivedMessage& message : answer->messages) {
    if (measuring_ && message.stamp)
      figures_.reads.record_ok(Kind::kGet, line.server, now - std::min(now, message.stamp->at), now, true);
  }
}

// ---- the whole ----

bool MessageLoad::for_all(Stage stage, const std::vector<size_t>& places) {
  stage_ = stage;
  done_ = 0;
  to_do_ = places.size();
  todo_.assign(places.begin(), places.end());
  kick();
  return turns_.wait(kPlacesMade, [this] { return done_ == to_do_ || signals_.count() > 1; }) &&
         done_ == to_do_;
}

bool MessageLoad::make(const std::vector<size_t>& places) {
  if (for_all(Stage::kMaking, places)) return true;
  figures_.unmeasured = fmt::format("{} of {} {} were made", done_, to_do_, places_.noun);
  return false;
}

bool MessageLoad::prepare() {
  raise_descriptor_limit();
  auto targets = resolve(options_.servers, options_.credentials);
  if (!targets) {
    figures_.unmeasured = targets.error().detail;
    return false;
  }
  targets_ = std::move(*targets);
  processes_ = listeners(targets_);
  lines_.resize(options_.producers + places_.consumers + places_.readers);
  for (size_t i = 0; i < lines_.size(); ++i) {
    lines_[i].connection = std::make_unique<Connection>(turns_.loop(), *this, i, Keep::kAll);
    lines_[i].server = (i < options_.producers ? i : i - options_.producers) % targets_.size();
  }
  turns_.wait(kFirstOpen, [this] { return open_ > 0 || is_over(); });
  if (open_ == 0) {
    figures_.unmeasured = "none of --servers takes connections";
    return false;
  }
  making_ = true;
  if (!make_all()) return false;
  turns_.wait(kSidesOpen, [this] { return open_ == lines_.size() || is_over(); });
  return true;
}

bool MessageLoad::fill_backlog() {
  if (places_.backlog == 0) return true;
  stage_ = Stage::kFilling;
  const uint64_t began = uv_hrtime();
  uint64_t sent = 0;
  uint64_t sent_at = began;
  const auto stalls = [&] {
    const uint64_t now = uv_hrtime();
    if (progress().acknowledged != sent) sent_at = now;
    sent = progress().acknowledged;
    return static_cast<double>(now - sent_at) / 1e9 > kFillStall;
  };
  kick();
  turns_.wait(1e9, [&] { return sent >= places_.backlog || stalls() || is_over(); });
  figures_.fill_s = static_cast<double>(uv_hrtime() - began) / 1e9;
  if (sent >= places_.backlog) return true;
  figures_.unmeasured = fmt::format("{} of {} messages of the backlog were sent", sent, places_.backlog);
  return false;
}

void MessageLoad::work() {
  const uint64_t began = uv_hrtime();
  const auto interval = static_cast<uint64_t>(std::max(0.1, options_.seconds / kPoints) * 1e9);
  std::vector<std::string> names;
  std::vector<size_t> all;
  for (const Target& target : targets_) {
    all.push_back(names.size());
    names.push_back(target.name);
  }
  for (RunResult* result : {&figures_.sends, &figures_.deliveries, &figures_.reads}) {
    *result = RunResult(names, began, interval);
    result->set_targets(all, began);
  }
  const uint64_t cpu_before = cpu_us(processes_);
  end_ = began + static_cast<uint64_t>(options_.seconds * 1e9);
  if (options_.rate > 0) schedule_.emplace(options_.rate / static_cast<double>(options_.batch), began, end_);
  stage_ = Stage::kWorking;
  measuring_ = true;
  kick();
  if (schedule_) produce_what_is_due();
  turns_.wait(options_.seconds, [this] { return is_over(); });
  measuring_ = false;
  const uint64_t now = uv_hrtime();
  pacer_.stop();
  if (schedule_) schedule_->give_up(std::min(now, end_), figures_.sends.unsent);
  figures_.sends.finish(now);
  figures_.deliveries.finish(now);
  figures_.reads.finish(now);
  const uint64_t cpu_after = cpu_us(processes_);
  if (cpu_after > cpu_before && figures_.deliveries.in_time > 0)
    figures_.cpu_us_per_message =
        static_cast<double>(cpu_after - cpu_before) / static_cast<double>(figures_.deliveries.in_time);
}

void MessageLoad::empty() {
  const uint64_t began = received_at_ = uv_hrtime();
  const uint64_t patience = options_.ttr_ms * kMillisecond + static_cast<uint64_t>(kDrainStall * 1e9);
  drained_.assign(places_.sources, false);
  undrained_ = places_.sources;
  stage_ = Stage::kDraining;
  const int stops = signals_.count();
  const auto stopped = [&] { return signals_.count() > stops; };
  const auto holds = [](const Line& line) { return !line.held.empty(); };
  kick();
  turns_.wait(1e9, [&] {
    if (undrained_ == 0 && std::none_of(lines_.begin(), lines_.end(), holds) && is_all_read()) return true;
    return stopped() || uv_hrtime() > received_at_ + patience;
  });
  figures_.drain_s = static_cast<double>(uv_hrtime() - began) / 1e9;
  if (stopped()) {
    figures_.unjudged = fmt::format("interrupted before the {} were empty", places_.noun);
  } else if (undrained_ > 0 && !counted_) {
    figures_.unjudged = fmt::format("no server tells what is in the {}", places_.noun);
  } else if (!is_all_read()) {
    figures_.unjudged = "no server tells all that there is to who only reads";
  } else if (undrained_ > 0) {
    look_at_what_is_left();
  }
}

void MessageLoad::look_at_what_is_left() {
  stage_ = Stage::kLooking;
  kick();
  const auto all_seen = [this] { return look_source_ == places_.sources; };
  if (!turns_.wait(kLookPatience, all_seen))
    figures_.unjudged = fmt::format("no server tells what is left in the {}", places_.noun);
}

void MessageLoad::run() {
  const bool ready = prepare() && fill_backlog();
  bool sound = true;
  if (ready) {
    work();
    empty();
    sound = judge();
  }
  // What was wrong can be looked at, and what was not judged emptied by others.
  const bool keep = ready && (!sound || !figures_.unjudged.empty());
  figures_.left = making_ && (keep || !for_all(Stage::kDeleting, all_to_delete()));
  if (terminal_) fmt::print(stderr, "\r\033[K");
}

}  // namespace kvd::load
