// See linearizability.hpp. State of a key: the number of the value that it holds (0: it does not exist).
// Values are unique, so the revision follows from the value.
#include "judge/linearizability.hpp"

#include <algorithm>
#include <unordered_set>

#include "base/hash.hpp"

namespace kvd::sim {
namespace {

struct Event {
  size_t operation;
  bool is_call;
  int previous;
  int next;
  int match;  // of a call: its return
};

// Calls and returns in the order of time, as a list from which operations are lifted while they are tried.
class EventList {
 public:
  explicit EventList(const std::vector<KeyOperation>& operations) {
    struct Point {
      uint64_t at;
      bool is_call;
      size_t operation;
    };
    std::vector<Point> points;
    for (size_t i = 0; i < operations.size(); ++i) {
      points.push_back({operations[i].called, true, i});
      points.push_back({operations[i].returned, false, i});
    }
    // At the same place (only UINT64_MAX is shared) the order does not matter.
    std::stable_sort(points.begin(), points.end(),
                     [](const Point& a, const Point& b) { return a.at < b.at; });
    events_.push_back({0, false, -1, -1, -1});  // the head
    std::vector<int> call_of(operations.size());
    for (const Point& point : points) {
      const int index = static_cast<int>(events_.size());
      events_.push_back({point.operation, point.is_call, index - 1, -1, -1});
      events_[index - 1].next = index;
      if (point.is_call) {
        call_of[point.operation] = index;
      } else {
        events_[call_of[point.operation]].match = index;
      }
    }
  }

  int first() const { return events_[0].next; }
  const Event& at(int index) const { return events_[index]; }
  void lift(int call) {
    unlink(call);
    unlink(events_[call].match);
  }
  void put_back(int call) {
    relink(events_[call].match);
    relink(call);
  }

 private:
  void unlink(int index) {
    const Event& event = events_[index];
    events_[event.previous].next = event.next;
    if (event.next >= 0) events_[event.next].previous = event.previous;
  }
  void relink(int index) {
    const Event& event = events_[index];
    events_[event.previous].next = index;
    if (event.next >= 0) events_[event.next].previous = index;
  }

  std::vector<Event> events_;
};

class Model {
 public:
  explicit Model(const RevisionOfValue& revisions) : revisions_(revisions) {}

  // The state after `operation`; nothing when it cannot have happened in `state`.
  std::optional<uint64_t> step(uint64_t state, const KeyOperation& operation) const {
    if (operation.kind == KeyOperation::kRead) {
      if (operation.value != state) return std::nullopt;
      return state;
    }
    const Holds condition = holds(state, operation);
    if (operation.returned ==
        UINT64_MAX) {  // need not have happened: only worth placing when it changes something
      if (condition == Holds::kNo || operation.value == state) return std::nullopt;
      return operation.value;
    }
    switch (operation.outcome) {
      case KeyOperation::kDone:
        if (condition == Holds::kNo) return std::nullopt;
        if (operation.created && *operation.created != (state == 0)) return std::nullopt;
        return operation.value;
      case KeyOperation::kNothingThere:
        if (state != 0) return std::nullopt;
        return state;
      case KeyOperation::kConditionFailed:
        if (condition == Holds::kYes) return std::nullopt;
        if (operation.current && !may_be_at(state, *operation.current)) return std::nullopt;
        return state;
    }
    return std::nullopt;
  }

 private:
  enum class Holds { kYes, kNo, kPerhaps };

  Holds holds(uint64_t state, const KeyOperation& operation) const {
    if (state == 0) return operation.if_present || operation.if_revision ? Holds::kNo : Holds::kYes;
    if (operation.if_absent) return Holds::kNo;
    if (!operation.if_revision && operation.unless_revision.empty()) return Holds::kYes;
    auto known = revisions_.find(state);
    if (known == revisions_.end()) return Holds::kPerhaps;
    const auto named = [&](const std::vector<uint64_t>& tags) {
      return std::find(tags.begin(), tags.end(), known->second) != tags.end();
    };
    if (operation.if_revision && !named(*operation.if_revision)) return Holds::kNo;
    return named(operation.unless_revision) ? Holds::kNo : Holds::kYes;
  }

  bool may_be_at(uint64_t state, uint64_t revision) const {
    if (state == 0 || revision == 0) return state == 0 && revision == 0;
    auto known = revisions_.find(state);
    return known == revisions_.end() || known->second == revision;
  }

  const RevisionOfValue& revisions_;
};

// Which operations have been placed, with the state after them: what has been tried once need not be tried
// again.
class Tried {
 public:
  explicit Tried(size_t operations) : bits_((operations + 63) / 64) {}

  void set(size_t i) { bits_[i / 64] |= uint64_t(1) << (i % 64); }
  void clear(size_t i) { bits_[i / 64] &= ~(uint64_t(1) << (i % 64)); }
  bool insert(uint64_t state) {
    std::string key(reinterpret_cast<const char*>(bits_.data()), bits_.size() * sizeof(uint64_t));
    key.append(reinterpret_cast<const char*>(&state), sizeof state);
    return seen_.insert(std::move(key)).second;
  }

 private:
  std::vector<uint64_t> bits_;
  std::unordered_set<std::string> seen_;
};

}  // namespace

Linearizable check_key(const std::vector<KeyOperation>& operations, const RevisionOfValue& revisions,
                       uint64_t steps_max) {
  EventList events(operations);
  const Model model(revisions);
  Tried tried(operations.size());
  struct Placed {
    int call;
    uint64_t state_before;
  };
  std::vector<Placed> placed;
  size_t unreturned = 0;  // operations with a known outcome that are not placed yet
  for (const KeyOperation& operation : operations) unreturned += operation.returned != UINT64_MAX ? 1 : 0;

  uint64_t state = 0;
  int cursor = events.first();
  for (uint64_t steps = 0; unreturned > 0; ++steps) {
    if (steps > steps_max) return Linearizable::kTooHard;
    const Event event = events.at(cursor);
    const KeyOperation& operation = operations[event.operation];
    if (event.is_call) {
      const std::optional<uint64_t> next = model.step(state, operation);
      if (next) {
        tried.set(event.operation);
        if (tried.insert(*next)) {
          placed.push_back({cursor, state});
          state = *next;
          if (operation.returned != UINT64_MAX) --unreturned;
          events.lift(cursor);
          cursor = events.first();
          continue;
        }
        tried.clear(event.operation);
      }
      cursor = event.next;
      continue;
    }
    // A return of what is not placed: too late for everything tried; back.
    if (placed.empty()) return Linearizable::kNo;
    const Placed last = placed.back();
    placed.pop_back();
    const size_t undone = events.at(last.call).operation;
    tried.clear(undone);
    if (operations[undone].returned != UINT64_MAX) ++unreturned;
    state = last.state_before;
    events.put_back(last.call);
    cursor = events.at(last.call).next;
  }
  return Linearizable::kYes;
}

}  // namespace kvd::sim
