// See serializable.hpp.
#include "judge/serializable.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <tuple>
#include <unordered_set>

#include "base/hash.hpp"

namespace kvd::sim {
namespace {

struct Known {
  const StoreOperation* operation = nullptr;
  bool changes = false;
  uint64_t first_return = UINT64_MAX;  // of this one and all behind it
  uint64_t before = 0;                 // the revision of the one before it
  uint64_t gap = 0;                    // so many unknown ones may be between the two
};

std::string told_text(const StoreOperation& operation) {
  return fmt::format("{} (told revision {})", operation.text, operation.revision);
}

class StoreSearch {
 public:
  StoreSearch(const std::vector<StoreOperation>& operations, uint64_t base, const std::set<uint64_t>& taken,
              uint64_t steps_max)
      : steps_left_(steps_max) {
    for (const StoreOperation& operation : operations) {
      if (operation.answer == nullptr) {
        unknown_.push_back(&operation);
      } else {
        known_.push_back({&operation, changes_keys(*operation.operation, *operation.answer)});
      }
    }
    std::sort(known_.begin(), known_.end(), [](const Known& a, const Known& b) {
      return std::tuple(a.operation->revision, !a.changes, a.operation->called) <
             std::tuple(b.operation->revision, !b.changes, b.operation->called);
    });
    used_.resize(unknown_.size());
    measure_gaps(base, taken);
  }

  Serializable run() {
    if (auto why = against_time()) return {false, why};
    if (goes_on({}, 0, 0)) return {};
    if (steps_left_ == 0) return {true, std::nullopt};
    const std::string last = farthest_ == 0 ? "nothing" : told_text(*known_[farthest_ - 1].operation);
    return {false,
            fmt::format("{} cannot have come behind {}", told_text(*known_[farthest_].operation), last)};
  }

 private:
  void measure_gaps(uint64_t base, const std::set<uint64_t>& taken) {
    uint64_t first_return = UINT64_MAX;
    for (auto known = known_.rbegin(); known != known_.rend(); ++known)
      known->first_return = first_return = std::min(first_return, known->operation->returned);
    for (Known& known : known_) {
      const uint64_t revision = known.operation->revision;
      known.before = base;
      known.gap = revision - base - (known.changes && revision > base ? 1 : 0);
      const auto others = std::distance(taken.upper_bound(base), taken.upper_bound(revision));
      known.gap -= std::min(known.gap, static_cast<uint64_t>(others));
      base = revision;
    }
  }

  // What was told a revision has to have been called before anything of a larger one returned.
  std::optional<std::string> against_time() const {
    const StoreOperation* latest = nullptr;
    for (size_t i = 0; i < known_.size(); ++i) {
      const StoreOperation& now = *known_[i].operation;
      if (latest != nullptr && now.returned < latest->called)
        return fmt::format("{} had returned when {} was called", told_text(now), told_text(*latest));
      if (latest == nullptr || now.called > latest->called) latest = &now;
      const bool twice = i > 0 && known_[i].changes && known_[i - 1].changes &&
                         known_[i - 1].operation->revision == now.revision;
      if (twice)
        return fmt::format("{} and {} are one revision", told_text(now), told_text(*known_[i - 1].operation));
    }
    return std::nullopt;
  }

  // All from `next` on can be placed behind `store`; `inserted` unknown ones already stand in the gap before it.
  bool goes_on(const ModelStore& store, size_t next, uint64_t inserted) {
    if (next == known_.size()) return true;
    farthest_ = std::max(farthest_, next);
    if (steps_left_ == 0 || !seen_.insert(state_text(store, next, inserted)).second) return false;
    --steps_left_;
    const StoreOperation& known = *known_[next].operation;
    const ModelPlace here{known.revision, known.revision};
    for (const ModelStore& after : outcomes(store, *known.operation, known.answer, here)) {
      if (goes_on(after, next + 1, 0)) return true;
    }
    return inserted < known_[next].gap && insert_unknown(store, next, inserted);
  }

  bool insert_unknown(const ModelStore& store, size_t next, uint64_t inserted) {
    const Known& known = known_[next];
    const ModelPlace place{known.before + 1 + inserted, known.operation->revision - (known.changes ? 1 : 0)};
    for (size_t i = 0; i < unknown_.size(); ++i) {
      if (used_[i] || unknown_[i]->called > known.first_return) continue;
      for (const ModelStore& after : outcomes(store, *unknown_[i]->operation, nullptr, place)) {
        used_[i] = true;
        const bool fits = goes_on(after, next, inserted + 1);
        used_[i] = false;
        if (fits) return true;
      }
    }
    return false;
  }

  // What has been tried once in vain need not be tried again.
  std::string state_text(const ModelStore& store, size_t next, uint64_t inserted) const {
    std::string text = fmt::format("{} {} ", next, inserted);
    for (const bool used : used_) text += used ? '1' : '0';
    for (const auto& [key, item] : store) {
      text += fmt::format(" {} {:x} {} {} {}", key, hash_bytes(item.value), item.revision.least,
                          item.revision.most, item.version);
    }
    return text;
  }

  uint64_t steps_left_;
  std::vector<Known> known_;
  std::vector<const StoreOperation*> unknown_;
  std::vector<bool> used_;
  std::unordered_set<std::string> seen_;
  size_t farthest_ = 0;
};

}  // namespace

Serializable check_serializable(const std::vector<StoreOperation>& operations, uint64_t base,
                                const std::set<uint64_t>& taken, uint64_t steps_max) {
  return StoreSearch(operations, base, taken, steps_max).run();
}

}  // namespace kvd::sim
