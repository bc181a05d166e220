// See log.hpp.
#include "core/replica/log.hpp"

#include "base/check.hpp"
#include "msg/limits.hpp"

namespace kvd {

size_t entry_bytes(const Entry& entry) {
  size_t bytes = 32;
  for (const Record& effect : entry.effects) {
    bytes += 32 + effect.key().size() + effect.value().size();
  }
  return bytes;
}

void Log::reset(LogPosition base) {
  base_ = base;
  entries_.clear();
  bytes_ = 0;
}

LogPosition Log::last() const {
  if (entries_.empty()) return base_;
  return LogPosition{entries_.back()->epoch, entries_.back()->revision};
}

void Log::append(EntryPointer entry) {
  CHECK(entry->revision == last().revision.next());
  bytes_ += entry_bytes(*entry);
  entries_.push_back(std::move(entry));
}

void Log::truncate_after(Revision revision) {
  CHECK(revision >= base_.revision);
  while (!entries_.empty() && entries_.back()->revision > revision) {
    bytes_ -= entry_bytes(*entries_.back());
    entries_.pop_back();
  }
}

void Log::prune(Revision committed, size_t entries_max) {
  while (!entries_.empty() && entries_.front()->revision <= committed &&
         (entries_.size() > entries_max || bytes_ > limits::kRetainedBytes)) {
    base_ = LogPosition{entries_.front()->epoch, entries_.front()->revision};
    bytes_ -= entry_bytes(*entries_.front());
    entries_.pop_front();
  }
}

const EntryPointer& Log::at(Revision revision) const {
  static const EntryPointer none;
  return holds(revision) ? entries_[offset(revision)] : none;
}

LogPosition Log::position(Revision revision) const {
  if (revision == base_.revision) return base_;
  CHECK(holds(revision));
  return LogPosition{entries_[offset(revision)]->epoch, revision};
}

}  // namespace kvd
