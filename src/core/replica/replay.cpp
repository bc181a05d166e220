// See replay.hpp.
#include "core/replica/replay.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kvd {

void Replay::begin(const DiskFound& found) {
  into_.log.reset(found.base);
  into_.commit = found.base.revision;
  into_.store.reach_clock(found.clock);
  snapshot_end_ = found.snapshot_end;
  snapshot_digest_ = found.snapshot_digest;
}

void Replay::take(DiskPart& part, size_t retained) {
  for (Record& item : part.items) into_.store.put(std::move(item));
  for (const DiskRecord& record : part.records) {
    if (wrong_.empty()) take(record);
  }
  check_snapshot();
  into_.log.prune(into_.commit, retained);
}

void Replay::take(const DiskRecord& record) {
  const Revision last = into_.log.last().revision;
  if (const auto* entry = std::get_if<EntryPointer>(&record)) {
    if ((*entry)->revision != last.next())
      return fail(fmt::format("in the log revision {} follows {}", (*entry)->revision.value, last.value));
    into_.log_bytes += entry_bytes(**entry);
    into_.log.append(*entry);
  } else if (const auto* cut = std::get_if<DiskTruncate>(&record)) {
    if (cut->last < into_.commit || cut->last > last)
      return fail(fmt::format("the log is cut behind {}, from {} to {}", cut->last.value, into_.commit.value,
                              last.value));
    into_.log.truncate_after(cut->last);
  } else {
    hint_ = std::max(hint_, std::get<DiskCommit>(record).revision);
  }
  advance(std::min(hint_, into_.log.last().revision));
}

void Replay::advance(Revision commit) {
  while (into_.commit < commit) {
    check_snapshot();
    into_.commit = into_.commit.next();
    into_.store.apply(*into_.log.at(into_.commit));
  }
}

// At exactly the revision that it names, the copy has to have its digest.
void Replay::check_snapshot() {
  if (checked_ || !wrong_.empty() || into_.commit != snapshot_end_) return;
  digest_ = into_.store.digest();
  checked_ = digest_ == snapshot_digest_;
}

// The entries that make the snapshot whole were committed when it was; some that were read before them were not, and
// had to be truncated first.
void Replay::finish() {
  const Revision last = into_.log.last().revision;
  if (wrong_.empty()) advance(std::min(std::max(hint_, snapshot_end_), last));
  check_snapshot();
  if (checked_) return;
  if (last < snapshot_end_)
    return fail(fmt::format("the log ends at {}, before the snapshot is whole", last.value));
  fail(fmt::format("the digest at revision {} is {:016x}, and the snapshot says {:016x}", snapshot_end_.value,
                   digest_, snapshot_digest_));
}

void Replay::fail(std::string wrong) {
  if (wrong_.empty()) wrong_ = std::move(wrong);
}

bool holds_former_lineage(const DiskFound& found) {
  return found.base.revision < lineage_base(found.facts.lineage);
}

}  // namespace kvd
