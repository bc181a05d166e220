// See watch_copy.hpp.
#include "watch_copy.hpp"

#include <fmt/format.h>

#include <utility>

namespace kvd::sim {

void WatchCopy::begin(const WatchFilter& filter) {
  forget();
  filter_ = filter;
}

void WatchCopy::forget() {
  items_.clear();
  torn_.clear();
  point_.reset();
  whole_ = false;
}

void WatchCopy::begin_at(Revision revision, bool whole) {
  forget();
  point_ = revision;
  whole_ = whole;
}

void WatchCopy::read_at(Revision revision, const Answer& found, bool with_values) {
  begin_at(revision, false);
  const auto keep = [&](const Record& record) { items_[std::string(record.key())] = {record, with_values}; };
  if (const auto* one = std::get_if<KeyFound>(&found)) {
    keep(one->item);
    whole_ = one->complete;
  } else if (const auto* listing = std::get_if<Listing>(&found)) {
    for (const Record& item : listing->items) keep(item);
    whole_ = listing->complete && !listing->more;
  } else if (const auto* missing = std::get_if<KeyMissing>(&found)) {
    whole_ = missing->complete;
  }
}

bool WatchCopy::take(const WatchEvent& event, bool with_values) {
  torn_.push_back({event.record, with_values});
  if (event.more) return false;
  for (Known& known : std::exchange(torn_, {})) items_[std::string(known.record.key())] = std::move(known);
  return !event.state;
}

void WatchCopy::leave() {
  torn_.clear();
  if (!point_) forget();
}

std::string WatchCopy::reach(Revision revision, const CommittedHistory& committed) {
  if (point_ && revision < *point_)
    return fmt::format("{} is reached behind {}", revision.value, point_->value);
  point_ = revision;
  return check(revision, committed);
}

std::string WatchCopy::check(Revision at, const CommittedHistory& committed) const {
  for (const auto& [key, known] : items_) {
    Revision modified;
    const Record* now = committed.latest(key, at, &modified);
    const Record& record = known.record;
    if (now == nullptr || !(record.metadata() == now->metadata()) || record.has_value() != now->has_value() ||
        (known.with_value && record.value() != now->value()))
      return fmt::format("at {} it has {} as of revision {}; committed is {}", at.value, key,
                         record.modified().value, now == nullptr ? 0 : modified.value);
  }
  if (!whole_) return {};
  for (auto it = committed.keys().lower_bound(filter_.key);
       it != committed.keys().end() && it->first.starts_with(filter_.key); ++it) {
    Revision modified;
    const Record* now = filter_.matches(it->first) ? committed.latest(it->first, at, &modified) : nullptr;
    if (now != nullptr && now->has_value() && !items_.contains(it->first))
      return fmt::format("at {} it misses {}, which was written at {}", at.value, it->first, modified.value);
  }
  return {};
}

}  // namespace kvd::sim
