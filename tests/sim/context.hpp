// What all parts of a simulated world share: the queue of events, which is the clock; the one source of
// randomness; the trace; and the verdict. No part keeps time or randomness of its own, so that a seed
// determines everything.
#pragma once
#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/prng.hpp"
#include "base/time.hpp"
#include "base/trace.hpp"
#include "options.hpp"

namespace kvd::sim {

inline constexpr Duration kReplyGrace =
    seconds(1);  // beyond its timeout a request gets this long to be answered

// Events in the order of their times; at the same time in the order in which they were planned.
class EventQueue {
 public:
  using Action = std::function<void()>;

  Instant now() const { return now_; }
  bool empty() const { return events_.empty(); }
  uint64_t executed() const { return executed_; }

  void at(Instant when, Action action) {
    events_.push_back(Event{std::max(when, now_), sequence_++, std::move(action)});
    std::push_heap(events_.begin(), events_.end(), later);
  }
  void after(Duration span, Action action) { at(now_ + span, std::move(action)); }

  // Jumps to the next event and runs it. Not to be called when empty.
  void step() {
    std::pop_heap(events_.begin(), events_.end(), later);
    Event event = std::move(events_.back());
    events_.pop_back();
    now_ = event.when;
    ++executed_;
    event.action();
  }

 private:
  struct Event {
    Instant when;
    uint64_t sequence;
    Action action;
  };
  static bool later(const Event& a, const Event& b) {
    return a.when != b.when ? a.when > b.when : a.sequence > b.sequence;
  }

  Instant now_ = Instant(seconds(1));
  uint64_t sequence_ = 0;
  uint64_t executed_ = 0;
  std::vector<Event> events_;
};

enum class Verdict { kOk = 0, kCorrectness = 1, kLiveness = 2 };

struct SimContext {
  explicit SimContext(uint64_t seed) : prng(seed) {}

  // The first failure is the verdict: what comes later is usually its consequence.
  void fail(Verdict kind, std::string what) {
    if (verdict != Verdict::kOk) return;
    verdict = kind;
    explanation = std::move(what);
  }
  Duration up_to(int64_t us) { return Duration(us <= 0 ? 0 : prng.between(0, us)); }

  Options options;
  EventQueue queue;
  Prng prng;
  Trace trace;
  Verdict verdict = Verdict::kOk;
  std::string explanation;
};

}  // namespace kvd::sim
