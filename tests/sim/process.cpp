// See process.hpp.
#include "process.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace kvd::sim {
namespace {
constexpr int kTurnsAtOnceMax = 20'000;  // without the clock moving: the node spins
}

Process::Process(SimContext& context, int server, ProcessOwner& owner)
    : context_(context), server_(server), owner_(owner) {
  const int64_t most = context.options.rate_ppm;
  if (most != 0) rate_ppm_ = context.prng.between(-most, most);
}

Instant Process::by_its_clock(Instant now) const {
  return now + ahead_ + now.time_since_epoch() * rate_ppm_ / 1'000'000;
}

void Process::start(const NodeConfig& config) {
  ++lives_;
  if (context_.trace.wanted()) {
    trace_.enable(0, [this](std::string_view line) { context_.trace.add(std::string(line)); });
  }
  node_ = std::make_unique<Node>(config, context_.prng.next(), &trace_);
  plan_turn();
}

void Process::kill() {
  ++lives_;
  node_.reset();
  paused_ = turn_planned_ = crash_armed_ = false;
  timer_ = kNever;
  waiting_.clear();
}

void Process::pause() { paused_ = true; }

void Process::resume() {
  if (!node_ || !paused_) return;
  paused_ = false;
  const uint64_t life = lives_;
  turn();
  if (life != lives_) return;
  shuffle_waiting();
  for (NodeInput& input : std::exchange(waiting_, {})) {
    if (life != lives_) return;
    deliver(std::move(input));
  }
}

void Process::jump_clock(Duration by) {
  if (!node_) return;
  ahead_ += by;
  plan_turn();
}

// What came over one link, or from ZooKeeper, keeps its order.
void Process::shuffle_waiting() {
  const auto source = [](const NodeInput& input) -> uint64_t {
    if (const auto* message = std::get_if<LinkReceived>(&input)) return message->link.value;
    if (const auto* message = std::get_if<LinkOpened>(&input)) return message->link.value;
    if (const auto* message = std::get_if<LinkAccepted>(&input)) return message->link.value;
    if (const auto* message = std::get_if<LinkEnded>(&input)) return message->link.value;
    const auto* call = std::get_if<Call>(&input);
    const bool client = (call != nullptr && !std::holds_alternative<ServiceCall>(call->what)) ||
                        std::holds_alternative<CallCancelled>(input) ||
                        std::holds_alternative<StreamTaken>(input);
    return client ? UINT64_MAX : 0;
  };
  std::map<uint64_t, uint64_t> places;
  for (const NodeInput& input : waiting_) {
    if (!places.contains(source(input))) places[source(input)] = context_.prng.next();
  }
  std::stable_sort(waiting_.begin(), waiting_.end(), [&](const NodeInput& a, const NodeInput& b) {
    return places[source(a)] < places[source(b)];
  });
}

void Process::deliver(NodeInput input) {
  if (!node_) return;
  if (paused_) {
    waiting_.push_back(std::move(input));
    return;
  }
  node_->push(std::move(input));
  plan_turn();
}

void Process::plan_turn() {
  if (turn_planned_) return;
  turn_planned_ = true;
  context_.queue.after(context_.up_to(context_.options.turn_us_max), [this, life = lives_] {
    if (life != lives_) return;
    turn_planned_ = false;
    if (!paused_) turn();
  });
}

void Process::turn() {
  const Instant now = context_.queue.now();
  turns_at_once_ = now == turned_at_ ? turns_at_once_ + 1 : 0;
  turned_at_ = now;
  if (turns_at_once_ > kTurnsAtOnceMax) {
    context_.fail(Verdict::kLiveness,
                  fmt::format("s{} spins: pump() asks for another turn at once, for ever", server_));
    return;
  }
  const Instant deadline = node_->pump(by_its_clock(now));
  const uint64_t life = lives_;
  owner_.on_turn(server_);
  perform_effects();
  if (life == lives_) plan_timer(deadline);
}

void Process::perform_effects() {
  const uint64_t life = lives_;
  AppendBuffer<NodeEffect> effects = std::move(node_->take_effects());
  size_t crash_at = SIZE_MAX;
  if (crash_armed_ && !effects.empty()) crash_at = context_.prng.below(effects.size());
  for (size_t i = 0; i < effects.size(); ++i) {
    if (i == crash_at) {
      owner_.crash(server_);
      return;
    }
    owner_.perform(server_, std::move(effects[i]));
    if (life != lives_) return;  // the effect was its end
  }
}

// `wanted`: by its clock.
void Process::plan_timer(Instant wanted) {
  Instant deadline = wanted;
  if (wanted != kNever) {
    deadline -= ahead_ + (wanted - ahead_).time_since_epoch() * rate_ppm_ / (1'000'000 + rate_ppm_);
    while (by_its_clock(deadline) < wanted) deadline += Duration(1);
  }
  if (deadline == timer_ && deadline > context_.queue.now()) return;  // planned already
  timer_ = deadline;
  if (deadline == kNever) return;
  context_.queue.at(deadline, [this, life = lives_, deadline] {
    if (life != lives_ || timer_ != deadline) return;
    timer_ = kNever;
    if (!paused_) turn();
  });
}

}  // namespace kvd::sim
