// See history.hpp.
#include "core/watch/history.hpp"

#include <algorithm>

#include "core/mutation.hpp"
#include "core/replica/log.hpp"

namespace kvd {
namespace {

bool changes_data(const Entry& entry) {
  return std::any_of(entry.effects.begin(), entry.effects.end(),
                     [](const Record& effect) { return effect.space() == Space::kData; });
}

}  // namespace

void History::reset(Revision base) {
  entries_.clear();
  bytes_ = 0;
  oldest_ = newest_ = base;
}

void History::add(const EntryPointer& entry) {
  newest_ = entry->revision;
  if (!changes_data(*entry)) return;
  entries_.push_back(entry);
  bytes_ += entry_bytes(*entry);
  while (bytes_ > bytes_max_ && entries_.size() > 1) drop_first();
}

void History::drop_first() {
  oldest_ = entries_.front()->revision;
  if (mutated(Mutation::kOldestOffByOne)) oldest_ = oldest_.previous();
  bytes_ -= entry_bytes(*entries_.front());
  entries_.pop_front();
}

size_t History::first_behind(Revision revision) const {
  const auto it =
      std::upper_bound(entries_.begin(), entries_.end(), revision,
                       [](Revision at, const EntryPointer& entry) { return at < entry->revision; });
  return static_cast<size_t>(it - entries_.begin());
}

}  // namespace kvd
