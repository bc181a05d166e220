// See queue_load.hpp. Each connection has one request under way at most. A run goes through stages: the queues are made,
// filled, worked on, emptied, and deleted.
#include "kvload/queue_load.hpp"

#include <fmt/format.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

#include "kvload/descriptor_limit.hpp"
#include "kvload/load.hpp"
#include "kvload/number_behind.hpp"
#include "kvload/pacer.hpp"
#include "kvload/plots.hpp"
#include "kvload/process_cpu.hpp"
#include "kvload/queue_text.hpp"
#include "kvload/run_command.hpp"
#include "kvload/turns.hpp"
#include "msg/limits.hpp"

namespace kvd::load {
namespace {

using sim::QueueVerdict;

constexpr double kQueueReach = 10;  // seconds for a first connection
constexpr double kQueuesMade = 60;  // and for making, and deleting, the queues
constexpr double kSidesOpen = 20;   // and for all connections
constexpr double kFillStall = 15;   // without a message more
constexpr double kDrainStall = 15;  // beyond a grant's time
constexpr double kLookPatience = 20;
constexpr uint64_t kTickNs = 10 * kMillisecond;
constexpr uint64_t kQueueTimeoutMs = 2000;  // the server's time for a request
constexpr uint64_t kServerSlackMs = 500;    // beyond it
constexpr uint64_t kMoveAfter = 20 * kMillisecond;
constexpr uint64_t kLookAgain = 50 * kMillisecond;
constexpr uint64_t kWaitMostMs = 5000;  // of a receive
constexpr uint64_t kWaitLeastMs = 20;
constexpr size_t kTogether = 100;         // messages in a request that fills or empties
constexpr size_t kFillBytes = 256 << 10;  // in one that fills
constexpr size_t kQueuesDialed = 256;     // at the same time
constexpr size_t kAhead = 4;  // requests of each consumer: so far may they be behind in a closed loop
constexpr size_t kPeekPage = 1000;
constexpr double kQueuePoints = 120;  // about so many in the time series
constexpr std::string_view kStates[] = {"ready", "delayed", "in_flight", "dead"};

class QueueLoad final : public ConnectionOwner {
 public:
  QueueLoad(const QueueOptions& options, uint64_t seed)
      : options_(options),
        terminal_(isatty(2) != 0),
        verdict_(options.ttr_ms * kMillisecond),
        lanes_(options.queues) {
    report_.prefix = fmt::format("kvload-queue-{:x}-", seed);
  }
  QueueReport run();

 private:
  enum class Stage : uint8_t { kMaking, kFilling, kWorking, kDraining, kLooking, kDeleting };
  enum class Task : uint8_t { kNone, kMake, kDelete, kSend, kReceive, kAck, kSettle, kCount, kLook };
  struct Line {
    std::unique_ptr<Connection> connection;
    size_t server = 0;
    uint64_t not_before = 0;  // no request, or no dialing, until then
    bool dialing = false;
    bool idle = false;  // a producer in idle_, or a consumer in parked_
    // What it waits for.
    Task task = Task::kNone;
    size_t queue = 0;
    uint64_t asked = 0;
    uint64_t deadline = 0;
    uint64_t intended = 0;  // of a send
    uint64_t first = 0;     // and the numbers of its messages
    size_t count = 0;       // or of those that are to be settled
    size_t most = 0;        // of a receive
    // Of a consumer.
    std::vector<HeldMessage> held;  // of `queue`
    size_t turn = 0;                // of the queues that it serves
    bool to_count = false;          // it received nothing from `queue`
  };

  void on_open(Connection& connection) override;
  void on_response(Connection& connection, const Response& response) override;
  void on_turn(Connection& connection) override { go_on(lines_[connection.index()]); }
  void on_lost(Connection& connection, int why) override;

  bool is_producer(const Line& line) const { return line.connection->index() < options_.producers; }
  bool is_over() const { return signals_.stopped(); }
  std::string queue_name(size_t queue) const { return fmt::format("{}{}", report_.prefix, queue); }
  uint64_t backlog() const {
    const sim::QueueFindings& found = verdict_.findings();
    return found.acknowledged - std::min(found.acknowledged, found.received);
  }

  void on_tick();
  void look_after(Line& line, uint64_t now);
  void dial(Line& line);
  void show_progress() const;
  void kick();
  void go_on(Line& line);
  void ask(Line& line, Task task, std::string_view what, std::string_view fields, std::string_view body,
           uint64_t wait_ms = 0);
  void ask_queue(Line& line, Task task);
  void fail(Line& line, Task task, const std::string& what, std::string_view outcome);
  void move_on(Line& line);

  void fill(Line& line);
  void produce(Line& line, uint64_t now);
  void produce_what_is_due();
  bool may_send(uint64_t now) const;
  bool may_receive() const;
  void release(std::deque<size_t>& waiting);
  void send(Line& line, size_t count, uint64_t intended, bool together);
  void consume(Line& line, uint64_t now);
  void drain(Line& line);
  void receive(Line& line, size_t most, uint64_t wait_ms);
  void acknowledge(Line& line);
  void settle(Line& line);
  void look(Line& line);
  size_t served_by(const Line& line) const;
  size_t next_queue(Line& line);
  void note_settling(Line& line, size_t count);

  void take_sent(Line& line, const Response& response);
  void take_received(Line& line, Task task, const Response& response);
  void take_acknowledged(Line& line, const Response& response);
  void take_results(Line& line, const std::vector<SettleResult>& results);
  void take_count(Line& line, const Response& response);
  void take_look(Line& line, const Response& response);
  void take_queue(Line& line, const Response& response);
  void note_result(const HeldMessage& message, SettleResult result);

  bool prepare();
  bool fill_backlog();
  void work();
  void empty();
  void look_at_what_is_left();
  bool for_all_queues(Stage stage);

  const QueueOptions& options_;
  bool terminal_;
  QueueVerdict verdict_;
  std::vector<uint64_t> lanes_;  // by queue: messages so far, which take its groups in turn
  QueueReport report_{options_, {}, {}, {}, 0, 0, 0, 0, 0, {}, {}, {}, false};
  Turns turns_{[this] { on_tick(); }};
  StopSignals signals_{turns_.loop(), {SIGINT, SIGTERM}, [](int) {}};
  Pacer pacer_{turns_.loop(), [this] { produce_what_is_due(); }};
  std::vector<Target> targets_;
  std::vector<pid_t> processes_;
  std::vector<Line> lines_;
  QueueAnswerParser parser_;
  Stage stage_ = Stage::kMaking;
  uint64_t tick_at_ = 0;
  uint64_t progress_at_ = 0;
  size_t dialing_ = 0;
  size_t open_ = 0;
  size_t sends_ = 0;         // under way
  size_t receiving_ = 0;     // messages, at the most, of receives that are under way
  std::deque<size_t> todo_;  // queues to be made, or deleted
  size_t queues_done_ = 0;
  bool making_ = false;  // it has begun
  size_t sent_to_ = 0;   // requests so far, which take the queues in turn
  size_t filling_ = 0;   // messages under way
  bool measuring_ = false;
  uint64_t end_ = 0;
  std::optional<Schedule> schedule_;  // of requests
  std::deque<size_t> idle_;           // producers that wait: for the schedule, or for the consumers
  std::deque<size_t> parked_;         // consumers that leave the backlog as it is
  std::vector<bool> drained_;
  size_t undrained_ = 0;
  uint64_t received_at_ = 0;  // when there was something last
  bool counted_ = false;      // a server has told what is in a queue, since the last message
  bool looking_ = false;
  size_t look_queue_ = 0;
  size_t look_state_ = 0;
  std::string look_after_;
};

// ---- connections ----

void QueueLoad::on_open(Connection& connection) {
  Line& line = lines_[connection.index()];
  line.dialing = false;
  --dialing_;
  ++open_;
  go_on(line);
}

void QueueLoad::on_lost(Connection& connection, int why) {
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
void QueueLoad::move_on(Line& line) {
  line.server = (line.server + 1) % targets_.size();
  line.not_before = uv_hrtime() + kMoveAfter;
  if (!line.connection->is_open() || targets_.size() == 1) return;
  line.connection->close();
  --open_;
}

void QueueLoad::dial(Line& line) {
  if (dialing_ >= kQueuesDialed) return;
  line.dialing = true;
  ++dialing_;
  line.connection->open(targets_[line.server].address);
}

void QueueLoad::look_after(Line& line, uint64_t now) {
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

void QueueLoad::on_tick() {
  const uint64_t now = uv_hrtime();
  if (now < tick_at_) return;
  tick_at_ = now + kTickNs;
  for (Line& line : lines_) look_after(line, now);
  if (measuring_) {
    report_.sends.tick(now);
    report_.deliveries.tick(now);
  }
  if (now < progress_at_) return;
  progress_at_ = now + 1000 * kMillisecond;
  show_progress();
}

void QueueLoad::show_progress() const {
  if (!terminal_) return;
  const sim::QueueFindings& found = verdict_.findings();
  if (stage_ == Stage::kMaking || stage_ == Stage::kDeleting) {
    fmt::print(stderr, "\r\033[K{} of {} queues {}", queues_done_, options_.queues,
               stage_ == Stage::kMaking ? "made" : "deleted");
  } else if (stage_ == Stage::kFilling) {
    fmt::print(stderr, "\r\033[K{} of {} messages of the backlog sent", found.acknowledged, options_.backlog);
  } else if (stage_ == Stage::kDraining) {
    fmt::print(stderr, "\r\033[Kemptying: {} of {} messages received", found.received, found.acknowledged);
  } else if (measuring_ && !report_.deliveries.intervals.empty() && !report_.sends.intervals.empty()) {
    const Interval& sent = report_.sends.intervals.back();
    const Interval& last = report_.deliveries.intervals.back();
    fmt::print(
        stderr,
        "\r\033[K{:5.0f} s  {:9.0f} sent/s  {:9.0f} received/s  p50 {:.0f} us  p99 {:.0f} us  max {:.0f} us  "
        "{} failed",
        last.at_s, static_cast<double>(sent.ok) / sent.seconds, static_cast<double>(last.ok) / last.seconds,
        static_cast<double>(last.p50_ns) / 1e3, static_cast<double>(last.p99_ns) / 1e3,
        static_cast<double>(last.max_ns) / 1e3, report_.sends.failed() + report_.deliveries.failed());
  }
}

void QueueLoad::kick() {
  for (Line& line : lines_) go_on(line);
}

void QueueLoad::go_on(Line& line) {
  const uint64_t now = uv_hrtime();
  if (!line.connection->is_open() || line.task != Task::kNone || now < line.not_before) return;
  switch (stage_) {
    case Stage::kMaking:
    case Stage::kDeleting:
      if (todo_.empty()) return;
      line.queue = todo_.front();
      todo_.pop_front();
      return ask_queue(line, stage_ == Stage::kMaking ? Task::kMake : Task::kDelete);
    case Stage::kFilling:
      return is_producer(line) ? fill(line) : void();
    case Stage::kWorking:
      return is_producer(line) ? produce(line, now) : consume(line, now);
    case Stage::kDraining:
      return is_producer(line) ? void() : drain(line);
    case Stage::kLooking:
      return look(line);
  }
}

// ---- requests ----

// `what`: method, and the path below the queue's with its query. `wait_ms`: how long the server is to wait at the most.
void QueueLoad::ask(Line& line, Task task, std::string_view what, std::string_view fields,
                    std::string_view body, uint64_t wait_ms) {
  const size_t space = what.find(' ');
  fmt::format_to(std::back_inserter(line.connection->output()),
                 "{} /v1/queues/{}{} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n{}\r\n{}",
                 what.substr(0, space), queue_name(line.queue), what.substr(space + 1),
                 targets_[line.server].name, body.size(), fields, body);
  line.task = task;
  line.asked = uv_hrtime();
  line.deadline = line.asked + (kQueueTimeoutMs + kServerSlackMs + wait_ms) * kMillisecond;
  if (task == Task::kSend) ++sends_;
  line.connection->flush();
}

void QueueLoad::ask_queue(Line& line, Task task) {
  if (task == Task::kDelete) return ask(line, task, "DELETE ", "", "");
  ask(line, task, "PUT ", "",
      fmt::format("{{\"ttr\":{},\"max_deliveries\":0,\"max_in_flight\":{}}}", options_.ttr_ms,
                  limits::kInFlightMax));
}

void QueueLoad::fill(Line& line) {
  const uint64_t sent = verdict_.findings().acknowledged + filling_;
  const size_t left = options_.backlog - std::min<size_t>(options_.backlog, sent);
  if (left == 0) return;
  const size_t each = (options_.backlog + options_.queues - 1) / options_.queues;
  const size_t most = std::clamp<size_t>(kFillBytes / options_.bytes, 1, kTogether);
  const size_t count = std::min({left, each, most});
  filling_ += count;
  send(line, count, uv_hrtime(), true);
}

void QueueLoad::produce(Line& line, uint64_t now) {
  if (now >= end_) return;
  if (may_send(now))
    return send(line, options_.batch, schedule_ ? schedule_->take() : now, options_.batch > 1);
  if (!std::exchange(line.idle, true)) idle_.push_back(line.connection->index());
}

// A closed loop leaves off while the consumers are behind: else what is measured is how much faster sends are.
bool QueueLoad::may_send(uint64_t now) const {
  if (schedule_) return schedule_->is_due(now);
  return backlog() < options_.backlog + kAhead * options_.consumers * options_.batch;
}

// What waits is never less than the backlog.
bool QueueLoad::may_receive() const {
  return options_.backlog == 0 || backlog() >= options_.backlog + receiving_ + options_.batch;
}

void QueueLoad::release(std::deque<size_t>& waiting) {
  if (waiting.empty()) return;
  Line& line = lines_[waiting.front()];
  waiting.pop_front();
  line.idle = false;
  go_on(line);
}

// Due requests go one by one to the producers that have been free the longest.
void QueueLoad::produce_what_is_due() {
  const uint64_t now = uv_hrtime();
  while (!idle_.empty() && schedule_->is_due(now)) release(idle_);
  if (!schedule_->exhausted()) pacer_.start(schedule_->next());
}

void QueueLoad::send(Line& line, size_t count, uint64_t intended, bool together) {
  line.queue = sent_to_++ % options_.queues;
  line.intended = intended;
  line.count = count;
  std::string body, group;
  for (size_t i = 0; i < count; ++i) {
    uint32_t lane = QueueVerdict::kNoGroup;
    if (options_.groups > 0) {
      const uint64_t of_queue = lanes_[line.queue]++ % options_.groups;
      lane = static_cast<uint32_t>(line.queue * options_.groups + of_queue);
      group = fmt::format("g{}", of_queue);
    }
    const uint64_t number = verdict_.send(lane);
    if (i == 0) line.first = number;
    if (together) {
      append_queue_line({number, intended}, options_.bytes, group, body);
    } else {
      append_queue_body({number, intended}, options_.bytes, body);
    }
  }
  const bool named = !together && !group.empty();
  ask(line, Task::kSend,
      fmt::format("POST /messages?create=0&timeout={}{}{}", kQueueTimeoutMs, named ? "&group=" : "",
                  named ? group : std::string()),
      together ? "Content-Type: application/x-ndjson\r\n" : "", body);
}

// How many queues this consumer serves, and the next one of them.
size_t QueueLoad::served_by(const Line& line) const {
  const size_t place = line.connection->index() - options_.producers;
  return place >= options_.queues ? 1
                                  : (options_.queues - place + options_.consumers - 1) / options_.consumers;
}

size_t QueueLoad::next_queue(Line& line) {
  const size_t place = line.connection->index() - options_.producers;
  return (place + line.turn++ % served_by(line) * options_.consumers) % options_.queues;
}

void QueueLoad::consume(Line& line, uint64_t now) {
  if (now >= end_) return;
  if (options_.batch == 1 && !line.held.empty()) return acknowledge(line);
  const bool turns = served_by(line) > 1;
  if (!line.held.empty() && (turns || !may_receive())) return settle(line);
  if (!may_receive()) {
    if (!std::exchange(line.idle, true)) parked_.push_back(line.connection->index());
    return;
  }
  if (line.held.empty()) line.queue = next_queue(line);
  const uint64_t left_ms = (end_ - now) / kMillisecond;
  receive(line, options_.batch, std::clamp(left_ms, kWaitLeastMs, turns ? kWaitLeastMs : kWaitMostMs));
}

// What it holds is settled in the same call.
void QueueLoad::receive(Line& line, size_t most, uint64_t wait_ms) {
  note_settling(line, line.held.size());
  line.most = most;
  receiving_ += most;
  ask(line, Task::kReceive,
      fmt::format("POST /receive?max={}&wait={}&timeout={}", most, wait_ms, kQueueTimeoutMs), "",
      line.held.empty() ? std::string() : acknowledge_body(line.held), wait_ms);
}

void QueueLoad::acknowledge(Line& line) {
  note_settling(line, 1);
  const HeldMessage& message = line.held.front();
  ask(line, Task::kAck,
      fmt::format("DELETE /messages/{}?receipt={}&timeout={}", to_text(message.id), message.receipt,
                  kQueueTimeoutMs),
      "", "");
}

void QueueLoad::settle(Line& line) {
  note_settling(line, line.held.size());
  ask(line, Task::kSettle, fmt::format("POST /settle?timeout={}", kQueueTimeoutMs), "",
      acknowledge_body(line.held));
}

void QueueLoad::note_settling(Line& line, size_t count) {
  line.count = count;
  for (size_t i = 0; i < count; ++i) verdict_.settling(line.held[i].number);
}

// A queue is empty when its leader says so, and no send is under way.
void QueueLoad::drain(Line& line) {
  if (line.held.empty()) {
    if (undrained_ == 0) return;
    if (std::exchange(line.to_count, false) && sends_ == 0)
      return ask(line, Task::kCount, fmt::format("GET ?read=linear&timeout={}", kQueueTimeoutMs), "", "");
    size_t tries = served_by(line);
    do {
      if (tries-- == 0) return;
      line.queue = next_queue(line);
    } while (drained_[line.queue]);
  }
  const size_t most = std::max(options_.batch, std::clamp<size_t>(kFillBytes / options_.bytes, 1, kTogether));
  receive(line, most, undrained_ > options_.consumers ? 0 : kWaitLeastMs);
}

// Page after page, one at a time.
void QueueLoad::look(Line& line) {
  while (look_queue_ < options_.queues && drained_[look_queue_]) ++look_queue_;
  if (look_queue_ == options_.queues || std::exchange(looking_, true)) return;
  line.queue = look_queue_;
  ask(line, Task::kLook,
      fmt::format("GET /messages?state={}&limit={}&read=linear&timeout={}{}{}", kStates[look_state_],
                  kPeekPage, kQueueTimeoutMs, look_after_.empty() ? "" : "&after=", look_after_),
      "", "");
}

// ---- answers ----

void QueueLoad::on_response(Connection& connection, const Response& response) {
  Line& line = lines_[connection.index()];
  switch (std::exchange(line.task, Task::kNone)) {
    case Task::kNone:  // what nobody asked for: as useless as no HTTP
      connection.close();
      return on_lost(connection, UV_EPROTO);
    case Task::kMake:
    case Task::kDelete:
      return take_queue(line, response);
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
  }
}

// It is asked again elsewhere; but for a send, which may have been done.
void QueueLoad::fail(Line& line, Task task, const std::string& what, std::string_view outcome) {
  if (task == Task::kSend) {
    --sends_;
    if (stage_ == Stage::kFilling) filling_ -= line.count;
    for (size_t i = 0; outcome == "not-applied" && i < line.count; ++i) verdict_.not_sent(line.first + i);
  }
  if (task == Task::kMake || task == Task::kDelete) todo_.push_back(line.queue);
  if (task == Task::kReceive) receiving_ -= line.most;
  if (task == Task::kLook) looking_ = false;
  if (!measuring_) return;
  RunResult& result = task == Task::kSend ? report_.sends : report_.deliveries;
  result.record_failure(line.server, what, outcome);
}

void QueueLoad::take_queue(Line& line, const Response& response) {
  const bool deleting = stage_ == Stage::kDeleting;
  if (response.status / 100 == 2 || (deleting && response.status == 404)) {
    ++queues_done_;
    return;
  }
  fail(line, deleting ? Task::kDelete : Task::kMake, name_of_refusal(response), "");
  move_on(line);
}

void QueueLoad::take_sent(Line& line, const Response& response) {
  const QueueAnswer* answer = response.status == 201 ? parser_.parse(response.body, options_.bytes) : nullptr;
  if (answer == nullptr || answer->ids.size() != line.count) {
    fail(line, Task::kSend, name_of_refusal(response), client::problem_member(response.body, "outcome"));
    return move_on(line);
  }
  --sends_;
  if (stage_ == Stage::kFilling) filling_ -= line.count;
  const uint64_t now = uv_hrtime();
  for (size_t i = 0; i < line.count; ++i) {
    verdict_.sent(line.first + i, answer->ids[i]);
    if (measuring_) report_.sends.record_ok(Kind::kPut, line.server, now - line.intended, now, true);
  }
  if (may_receive()) release(parked_);
}

void QueueLoad::take_received(Line& line, Task task, const Response& response) {
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
    const uint64_t number = message.stamp ? message.stamp->number : QueueVerdict::kNobody;
    verdict_.granted({number, message.id, message.receipt, line.asked, now});
    line.held.push_back({number, message.id, message.receipt});
    if (measuring_ && message.stamp)
      report_.deliveries.record_ok(Kind::kGet, line.server, now - std::min(now, message.stamp->at), now,
                                   true);
  }
  if (schedule_) return;
  for (size_t i = 0; i < answer->messages.size() && may_send(now); i += options_.batch) release(idle_);
}

void QueueLoad::take_results(Line& line, const std::vector<SettleResult>& results) {
  for (size_t i = 0; i < results.size(); ++i) note_result(line.held[i], results[i]);
  line.held.erase(line.held.begin(), line.held.begin() + static_cast<ptrdiff_t>(results.size()));
}

void QueueLoad::take_acknowledged(Line& line, const Response& response) {
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
void QueueLoad::note_result(const HeldMessage& message, SettleResult result) {
  if (result == SettleResult::kDone) verdict_.settled(message.number, message.receipt);
  if (result == SettleResult::kDone && measuring_) ++report_.settled;
  if (result == SettleResult::kStale) ++report_.stale;
}

void QueueLoad::take_count(Line& line, const Response& response) {
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
  } else if (!drained_[line.queue]) {
    drained_[line.queue] = true;
    --undrained_;
  }
}

void QueueLoad::take_look(Line& line, const Response& response) {
  const QueueAnswer* answer = response.status == 200 ? parser_.parse(response.body, options_.bytes) : nullptr;
  if (answer == nullptr) {
    fail(line, Task::kLook, name_of_refusal(response), "");
    return move_on(line);
  }
  looking_ = false;
  for (const ReceivedMessage& message : answer->messages)
    verdict_.found(message.stamp ? message.stamp->number : QueueVerdict::kNobody);
  look_after_ = answer->more ? to_text(answer->messages.back().id) : std::string();
  if (answer->more || ++look_state_ < std::size(kStates)) return;
  look_state_ = 0;
  ++look_queue_;
}

// ---- the whole ----

bool QueueLoad::for_all_queues(Stage stage) {
  stage_ = stage;
  queues_done_ = 0;
  todo_.clear();
  for (size_t i = 0; i < options_.queues; ++i) todo_.push_back(i);
  kick();
  return turns_.wait(kQueuesMade, [this] {
    return queues_done_ == options_.queues || signals_.count() > 1;
  }) && queues_done_ == options_.queues;
}

bool QueueLoad::prepare() {
  raise_descriptor_limit();
  auto targets = resolve(options_.servers);
  if (!targets) {
    report_.unmeasured = targets.error().detail;
    return false;
  }
  targets_ = std::move(*targets);
  processes_ = listeners(targets_);
  lines_.resize(options_.producers + options_.consumers);
  for (size_t i = 0; i < lines_.size(); ++i) {
    lines_[i].connection = std::make_unique<Connection>(turns_.loop(), *this, i, Keep::kAll);
    lines_[i].server = (i < options_.producers ? i : i - options_.producers) % targets_.size();
  }
  turns_.wait(kQueueReach, [this] { return open_ > 0 || is_over(); });
  if (open_ == 0) {
    report_.unmeasured = "none of --servers takes connections";
    return false;
  }
  making_ = true;
  if (!for_all_queues(Stage::kMaking)) {
    report_.unmeasured = fmt::format("{} of {} queues were made", queues_done_, options_.queues);
    return false;
  }
  turns_.wait(kSidesOpen, [this] { return open_ == lines_.size() || is_over(); });
  return true;
}

bool QueueLoad::fill_backlog() {
  if (options_.backlog == 0) return true;
  stage_ = Stage::kFilling;
  const uint64_t began = uv_hrtime();
  uint64_t sent = 0;
  uint64_t sent_at = began;
  const auto stalls = [&] {
    const uint64_t now = uv_hrtime();
    if (verdict_.findings().acknowledged != sent) sent_at = now;
    sent = verdict_.findings().acknowledged;
    return static_cast<double>(now - sent_at) / 1e9 > kFillStall;
  };
  kick();
  turns_.wait(1e9, [&] { return sent >= options_.backlog || stalls() || is_over(); });
  report_.fill_s = static_cast<double>(uv_hrtime() - began) / 1e9;
  if (sent >= options_.backlog) return true;
  report_.unmeasured = fmt::format("{} of {} messages of the backlog were sent", sent, options_.backlog);
  return false;
}

void QueueLoad::work() {
  const uint64_t began = uv_hrtime();
  const auto interval = static_cast<uint64_t>(std::max(0.1, options_.seconds / kQueuePoints) * 1e9);
  std::vector<std::string> names;
  std::vector<size_t> all;
  for (const Target& target : targets_) {
    all.push_back(names.size());
    names.push_back(target.name);
  }
  for (RunResult* result : {&report_.sends, &report_.deliveries}) {
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
  if (schedule_) schedule_->give_up(std::min(now, end_), report_.sends.unsent);
  report_.sends.finish(now);
  report_.deliveries.finish(now);
  const uint64_t cpu_after = cpu_us(processes_);
  if (cpu_after > cpu_before && report_.deliveries.in_time > 0)
    report_.cpu_us_per_message =
        static_cast<double>(cpu_after - cpu_before) / static_cast<double>(report_.deliveries.in_time);
}

void QueueLoad::empty() {
  const uint64_t began = received_at_ = uv_hrtime();
  const uint64_t patience = options_.ttr_ms * kMillisecond + static_cast<uint64_t>(kDrainStall * 1e9);
  drained_.assign(options_.queues, false);
  undrained_ = options_.queues;
  stage_ = Stage::kDraining;
  const int stops = signals_.count();
  const auto stopped = [&] { return signals_.count() > stops; };
  const auto holds = [](const Line& line) { return !line.held.empty(); };
  kick();
  turns_.wait(1e9, [&] {
    if (undrained_ == 0 && std::none_of(lines_.begin(), lines_.end(), holds)) return true;
    return stopped() || uv_hrtime() > received_at_ + patience;
  });
  report_.drain_s = static_cast<double>(uv_hrtime() - began) / 1e9;
  if (stopped()) {
    report_.unjudged = "interrupted before the queues were empty";
  } else if (undrained_ > 0 && counted_) {
    look_at_what_is_left();
  } else if (undrained_ > 0) {
    report_.unjudged = "no server tells what is in the queues";
  }
}

void QueueLoad::look_at_what_is_left() {
  stage_ = Stage::kLooking;
  kick();
  const auto all_seen = [this] { return look_queue_ == options_.queues; };
  if (!turns_.wait(kLookPatience, all_seen)) report_.unjudged = "no server tells what is left in the queues";
}

QueueReport QueueLoad::run() {
  const bool ready = prepare() && fill_backlog();
  if (ready) {
    work();
    empty();
    report_.findings = report_.unjudged.empty() ? verdict_.judge() : verdict_.findings();
  }
  // What was wrong can be looked at, and what was not judged emptied by others.
  const bool keep = ready && (!report_.findings.sound() || !report_.unjudged.empty());
  report_.queues_left = making_ && (keep || !for_all_queues(Stage::kDeleting));
  if (terminal_) fmt::print(stderr, "\r\033[K");
  return report_;
}

}  // namespace

int queue_command(const QueueOptions& options) {
  if (const int code = try_plot(options.outputs); code != EX_OK) return code;
  const QueueReport report = QueueLoad(options, std::random_device()()).run();
  fmt::print("{}", options.outputs.json ? queue_json(report) : queue_text(report));
  if (report.queues_left)
    fmt::print(
        stderr,
        "kvload: the queues {}0 to {} are left; to delete one: curl -X DELETE 'http://{}/v1/queues/{}0'\n",
        report.prefix, options.queues - 1, options.servers.front(), report.prefix);
  if (!report.unmeasured.empty()) return report.exit_code();
  const int plotted = plot_to(options.outputs, queue_plot(report));
  return report.exit_code() != EX_OK ? report.exit_code() : plotted;
}

}  // namespace kvd::load
