// The replicated log as one server holds it, in memory: entries behind a base that a snapshot or pruning has
// covered. A plain object owned by the replica; it knows positions, not the protocol.
#pragma once
#include <deque>

#include "msg/record.hpp"

namespace kvd {

class Log {
 public:
  // Forgets everything; the next entry is base.revision + 1.
  void reset(LogPosition base);
  void append(EntryPointer entry);  // entry->revision is last().revision + 1
  // Removes every entry behind `revision`, which is not below the base.
  void truncate_after(Revision revision);
  // Drops entries up to `committed` while more than `entries_max` are kept, or more than limits::kRetainedBytes.
  void prune(Revision committed, size_t entries_max);

  LogPosition base() const { return base_; }
  LogPosition last() const;
  bool holds(Revision revision) const { return revision > base_.revision && revision <= last().revision; }
  // Null when not held. Valid until the log changes.
  const EntryPointer& at(Revision revision) const;
  // The position at `revision`, which is held or the base.
  LogPosition position(Revision revision) const;

 private:
  size_t offset(Revision revision) const { return revision.value - base_.revision.value - 1; }

  LogPosition base_;
  std::deque<EntryPointer> entries_;
  size_t bytes_ = 0;
};

// What an entry costs in memory and on the wire, roughly.
size_t entry_bytes(const Entry& entry);

}  // namespace kvd
