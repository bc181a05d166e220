// See drive.hpp. A queue is made, worked on, emptied and deleted. Whatever goes wrong with a connection ends the run.
#include "peers/drive.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

#include "kvload/load.hpp"
#include "kvload/pacer.hpp"
#include "kvload/queue_text.hpp"
#include "kvload/schedule.hpp"
#include "kvload/turns.hpp"
#include "peers/line.hpp"

namespace kvd::peers {
namespace {

constexpr double kQueueMade = 60;   // seconds; a cluster may still elect
constexpr double kOneTry = 10;      // of making it, or deleting it
constexpr double kTryAgain = 0.25;  // after a refusal
constexpr double kLinesReady = 30;
constexpr double kDrainStall = 75;  // without a message more; what is not acknowledged comes back after 60
constexpr size_t kReadBytes = 256 << 10;
constexpr size_t kAhead = 4;  // batches of each consumer: so far may they be behind in a closed loop
constexpr uint8_t kSentForSure = 1;
constexpr uint8_t kCame = 2;

class Drive {
 public:
  explicit Drive(const PeerOptions& options) : options_(options), buffer_(kReadBytes) {}
  PeerReport run();

 private:
  // A connection with its session.
  struct Worker final : SessionEvents {
    explicit Worker(Drive& of) : drive(of) {}
    void on_ready() override;
    void on_sent(size_t messages) override { drive.take_sent(*this, messages); }
    void on_received(std::string_view body) override { drive.take_received(body); }
    void on_settled(size_t messages) override { drive.take_settled(messages); }
    void on_failed(std::string_view what) override { fail(std::string(what)); }
    void fail(const std::string& why);

    Drive& drive;
    bool ready = false;
    std::string failure;
    std::deque<std::pair<uint64_t, uint64_t>> unsent;  // number, and when it was to be sent
    std::unique_ptr<PeerLine> line;
  };

  std::unique_ptr<Worker> make_worker(Part part, size_t index);
  bool one_call(Part part, double seconds);
  bool open_all();
  void work();
  void empty();
  void on_tick();
  void send(Worker& worker, uint64_t intended);
  void produce();
  bool may_send(uint64_t now) const;
  void take_sent(Worker& worker, size_t messages);
  void take_received(std::string_view body);
  void take_settled(size_t messages);

  const PeerOptions& options_;
  PeerReport report_;
  load::Turns turns_{[this] { on_tick(); }};
  load::Pacer pacer_{turns_.loop(), [this] { produce(); }};
  std::vector<load::Target> targets_;
  std::vector<char> buffer_;
  std::string queue_;
  std::vector<std::unique_ptr<Worker>> workers_;
  size_t ready_ = 0;
  std::string failure_;  // of any worker, the first
  std::deque<Worker*> idle_;
  std::optional<load::Schedule> schedule_;
  std::vector<std::string> bodies_;
  std::vector<uint8_t> messages_;  // what is known of each, by number
  uint64_t unsettled_ = 0;         // received, but not settled
  uint64_t end_ = 0;
  uint64_t received_at_ = 0;  // when there was something last
  bool producing_ = false;
  bool measuring_ = false;
};

void Drive::Worker::on_ready() {
  ready = true;
  ++drive.ready_;
}

void Drive::Worker::fail(const std::string& why) {
  if (failure.empty()) failure = why.empty() ? "a refusal" : why;
}

std::unique_ptr<Drive::Worker> Drive::make_worker(Part part, size_t index) {
  auto worker = std::make_unique<Worker>(*this);
  const Terms terms{part, queue_, index, options_.batch, options_.copies, options_.files, options_.topic};
  worker->line = std::make_unique<PeerLine>(
      turns_.loop(), targets_[index % targets_.size()].server.address, buffer_,
      make_session(options_.peer, terms, *worker),
      [to = worker.get()](const std::string& why) { to->fail("connection: " + why); });
  return worker;
}

// Again and again where it is refused.
bool Drive::one_call(Part part, double seconds) {
  const uint64_t end = uv_hrtime() + static_cast<uint64_t>(seconds * 1e9);
  do {
    const auto worker = make_worker(part, 0);
    if (turns_.wait(kOneTry, [&] { return worker->ready || !worker->failure.empty(); }) && worker->ready)
      return true;
    failure_ = worker->failure.empty() ? "no answer" : worker->failure;
    turns_.wait(kTryAgain, [] { return false; });
  } while (uv_hrtime() < end);
  return false;
}

bool Drive::open_all() {
  ready_ = 0;
  for (size_t i = 0; i < options_.producers + options_.consumers; ++i)
    workers_.push_back(make_worker(i < options_.producers ? Part::kProducer : Part::kConsumer, i));
  turns_.wait(kLinesReady, [this] { return ready_ == workers_.size() || !failure_.empty(); });
  if (ready_ == workers_.size() && failure_.empty()) return true;
  report_.unmeasured = failure_.empty()
                           ? fmt::format("{} of {} connections were ready", ready_, workers_.size())
                           : std::exchange(failure_, {});
  return false;
}

void Drive::on_tick() {
  for (const auto& worker : workers_) {
    worker->line->session().tick();
    worker->line->flush();
    if (failure_.empty()) failure_ = worker->failure;
  }
  produce();
}

// As `kvload queue` does: in a closed loop what is measured is not how much faster sends are.
bool Drive::may_send(uint64_t now) const {
  if (!producing_ || now >= end_) return false;
  if (schedule_) return schedule_->is_due(now);
  return report_.acknowledged < report_.received + kAhead * options_.consumers * options_.batch;
}

void Drive::produce() {
  const uint64_t now = uv_hrtime();
  while (!idle_.empty() && may_send(now)) {
    Worker& worker = *idle_.front();
    idle_.pop_front();
    send(worker, schedule_ ? schedule_->take() : now);
  }
  if (schedule_ && producing_ && !schedule_->exhausted()) pacer_.start(schedule_->next());
}

void Drive::send(Worker& worker, uint64_t intended) {
  bodies_.clear();
  for (size_t i = 0; i < options_.batch; ++i) {
    load::append_queue_body({messages_.size(), intended}, options_.bytes, bodies_.emplace_back());
    worker.unsent.emplace_back(messages_.size(), intended);
    messages_.push_back(0);
  }
  worker.line->session().send(bodies_);
  worker.line->flush();
}

void Drive::take_sent(Worker& worker, size_t messages) {
  if (messages > worker.unsent.size()) return worker.fail("more acknowledgements than messages");
  const uint64_t now = uv_hrtime();
  for (; messages > 0; --messages) {
    const auto [number, intended] = worker.unsent.front();
    worker.unsent.pop_front();
    messages_[number] |= kSentForSure;
    ++report_.acknowledged;
    if (measuring_) report_.sends.record(now - intended);
  }
  if (worker.unsent.empty()) idle_.push_back(&worker);
}

void Drive::take_received(std::string_view body) {
  const auto stamp = load::parse_queue_body(body, options_.bytes);
  if (!stamp || stamp->number >= messages_.size()) {
    ++report_.unexpected;
    return;
  }
  const uint64_t now = uv_hrtime();
  uint8_t& message = messages_[stamp->number];
  ++((message & kCame) != 0 ? report_.duplicates : report_.received);
  message |= kCame;
  ++unsettled_;
  received_at_ = now;
  if (measuring_) report_.deliveries.record(now - std::min(now, stamp->at));
}

void Drive::take_settled(size_t messages) {
  unsettled_ -= std::min<uint64_t>(messages, unsettled_);
  if (measuring_) report_.settled += messages;
}

void Drive::work() {
  for (size_t i = 0; i < options_.producers; ++i) idle_.push_back(workers_[i].get());
  const uint64_t began = uv_hrtime();
  end_ = began + static_cast<uint64_t>(options_.seconds * 1e9);
  if (options_.rate > 0) schedule_.emplace(options_.rate / static_cast<double>(options_.batch), began, end_);
  producing_ = measuring_ = true;
  produce();
  turns_.wait(options_.seconds, [this] {
    produce();
    return !failure_.empty();
  });
  producing_ = measuring_ = false;
  pacer_.stop();
  const uint64_t now = uv_hrtime();
  if (schedule_) schedule_->give_up(std::min(now, end_), report_.sends);
  report_.seconds = static_cast<double>(now - began) / 1e9;
}

void Drive::empty() {
  const uint64_t began = received_at_ = uv_hrtime();
  const auto sent = [](const std::unique_ptr<Worker>& worker) { return worker->unsent.empty(); };
  turns_.wait(1e9, [&] {
    const bool all = std::all_of(workers_.begin(), workers_.end(), sent);
    if (all && report_.received >= report_.acknowledged && unsettled_ == 0) return true;
    return !failure_.empty() || static_cast<double>(uv_hrtime() - received_at_) / 1e9 > kDrainStall;
  });
  report_.drain_s = static_cast<double>(uv_hrtime() - began) / 1e9;
  report_.unmeasured = failure_;
  for (const uint8_t message : messages_) report_.lost += message == kSentForSure ? 1 : 0;
}

PeerReport Drive::run() {
  auto targets = load::resolve(options_.servers);
  if (!targets) {
    report_.unmeasured = targets.error().detail;
    return report_;
  }
  targets_ = std::move(*targets);
  queue_ = fmt::format("kvd-peers-{:x}", std::random_device()());
  const bool made = options_.peer == Peer::kBeanstalkd || one_call(Part::kSetUp, kQueueMade);
  if (!made) report_.unmeasured = "the queue was not made: " + failure_;
  failure_.clear();
  if (made && open_all()) {
    work();
    empty();
  }
  workers_.clear();
  if (made && options_.peer != Peer::kBeanstalkd && !one_call(Part::kTearDown, kOneTry) &&
      report_.unmeasured.empty())
    report_.unmeasured = "the queue was not deleted: " + failure_;
  return report_;
}

}  // namespace

PeerReport drive(const PeerOptions& options) { return Drive(options).run(); }

}  // namespace kvd::peers
