// See journal_model.hpp.
#include "journal_model.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kvd::sim {
namespace {

std::string text(LogPosition position) {
  return fmt::format("{}.{}", position.epoch.value, position.revision.value);
}

// The log with one more record; false: the record does not fit.
bool apply(const DiskRecord& record, LogPosition base, std::vector<EntryPointer>& log) {
  const Revision last = log.empty() ? base.revision : log.back()->revision;
  if (const auto* entry = std::get_if<EntryPointer>(&record)) {
    if ((*entry)->revision != last.next()) return false;
    log.push_back(*entry);
  } else if (const auto* cut = std::get_if<DiskTruncate>(&record)) {
    if (cut->last < base.revision || cut->last > last) return false;
    log.resize(cut->last.value - base.revision.value);
  }
  return true;
}

}  // namespace

bool JournalModel::Generation::whole() const {
  return std::any_of(snapshots.begin(), snapshots.end(), [](const Snapshot& s) { return s.done; });
}

// ---- what crossed ----

void JournalModel::on_order(const DiskOrder& order) {
  if (const auto* keep = std::get_if<DiskKeep>(&order)) {
    facts_.push_back(keep->facts);
    keeping_.push_back(keep->facts);
  } else if (const auto* write = std::get_if<DiskWrite>(&order)) {
    Generation& generation = generations_.back();
    generation.records.insert(generation.records.end(), write->records.begin(), write->records.end());
    writing_.push_back({write->number, generations_.size() - 1, generation.records.size()});
  } else if (const auto* beginning = std::get_if<DiskSnapshotBegin>(&order)) {
    begin(*beginning);
  } else if (const auto* items = std::get_if<DiskSnapshotItems>(&order)) {
    Snapshot& snapshot = generations_.back().snapshots.back();
    snapshot.items.insert(snapshot.items.end(), items->items.begin(), items->items.end());
    if (!snapshot.given_up) taking_.push_back(items->number);
  } else if (const auto* end = std::get_if<DiskSnapshotEnd>(&order)) {
    Snapshot& snapshot = generations_.back().snapshots.back();
    if (snapshot.given_up) return;
    snapshot.ended = true;
    snapshot.revision = end->revision;
    snapshot.digest = end->digest;
    ending_.push_back(end->number);
  }
}

void JournalModel::begin(const DiskSnapshotBegin& order) {
  if (order.fresh) generations_.emplace_back();
  std::vector<Snapshot>& snapshots = generations_.back().snapshots;
  std::erase_if(snapshots, [](const Snapshot& s) { return !s.ended; });  // given up
  snapshots.push_back({order.number, false, order.base, {}, false, false, {}, 0});
}

std::optional<std::string> JournalModel::on_answer(const DiskAnswer& answer) {
  if (const auto* kept = std::get_if<DiskKept>(&answer)) {
    if (keeping_.empty() || keeping_.front() != kept->facts) return "kept what was not due";
    keeping_.pop_front();
    facts_safe_ = facts_.size() - 1 - keeping_.size();
  } else if (const auto* written = std::get_if<DiskWritten>(&answer)) {
    return on_written(*written);
  } else if (const auto* taken = std::get_if<DiskSnapshotTaken>(&answer)) {
    if (taking_.empty() || taking_.front() != taken->number) return "took items that were not due";
    taking_.pop_front();
  } else if (const auto* done = std::get_if<DiskSnapshotDone>(&answer)) {
    return on_done(*done);
  }
  return std::nullopt;
}

std::optional<std::string> JournalModel::on_written(const DiskWritten& answer) {
  if (writing_.empty() || writing_.front().number != answer.number) {
    return fmt::format("wrote {}, which was not due", answer.number);
  }
  size_t& safe = generations_[writing_.front().generation].safe;
  safe = std::max(safe, writing_.front().records);
  writing_.pop_front();
  return std::nullopt;
}

// That there was no space may be said at any time.
std::optional<std::string> JournalModel::on_done(const DiskSnapshotDone& answer) {
  if (!answer.done) {
    give_up(answer.number);
    return std::nullopt;
  }
  if (ending_.empty() || ending_.front() != answer.number) return "ended a snapshot that was not due";
  ending_.pop_front();
  for (Generation& generation : generations_) {
    for (Snapshot& snapshot : generation.snapshots)
      snapshot.done = snapshot.done || snapshot.number == answer.number;
  }
  return std::nullopt;
}

void JournalModel::give_up(uint64_t number) {
  std::erase(taking_, number);
  std::erase(ending_, number);
  for (Generation& generation : generations_) {
    for (Snapshot& snapshot : generation.snapshots) {
      if (snapshot.number != number) continue;
      snapshot.given_up = true;
      snapshot.ended = false;  // never to be seen
    }
  }
}

bool JournalModel::all_answered() const {
  return keeping_.empty() && writing_.empty() && taking_.empty() && ending_.empty();
}

void JournalModel::on_marked() {
  if (!generations_.empty() && all_answered()) generations_.back().marked = generations_.back().safe;
}

// ---- what was found ----

std::optional<std::string> JournalModel::on_opened(const Opened& opened, const Excuse& excuse) {
  keeping_.clear();
  writing_.clear();
  taking_.clear();
  ending_.clear();
  const bool intact = opened.opened.intact;
  const std::optional<size_t> facts = facts_found(opened.found.facts);
  if (!facts) return "found facts that nobody kept";
  const bool any = holds_copy();
  if (*facts < facts_safe_ && (intact || !excuse.lost)) return "has old facts";
  if (!intact && !excuse.lost && any) return "a false alarm: " + opened.opened.why;
  facts_.resize(*facts + 1);
  facts_safe_ = *facts;
  log_.clear();
  committed_ = opened.found.base.revision;
  if (!opened.opened.usable || (!any && nothing_found(opened))) {
    if (any && intact) return "intact, and nothing can be used";
    generations_.clear();
    return std::nullopt;
  }
  if (std::optional<std::string> why = replay(opened)) return why;
  const std::optional<Match> match = find(opened);
  if (!match) {
    return fmt::format("found what was never so: the snapshot at {} with {} items and {} entries behind it",
                       text(opened.found.base), opened.items.size(), log_.size());
  }
  const Generation& generation = generations_[match->generation];
  const size_t needed = !excuse.tail ? generation.safe : excuse.marks ? 0 : generation.marked;
  if (intact && (!match->newest || match->records < needed)) {
    return "intact, but not everything is there that was called safe";
  }
  adopt(*match);
  return std::nullopt;
}

bool JournalModel::holds_copy() const {
  return std::any_of(generations_.begin(), generations_.end(),
                     [](const Generation& generation) { return generation.whole(); });
}

// Before the first generation is whole, that is a copy, too.
bool JournalModel::nothing_found(const Opened& opened) const {
  return opened.found.base == LogPosition{} && opened.items.empty() && opened.records.empty();
}

// With several equal ones the newest that may be meant: a default is what was there at first.
std::optional<size_t> JournalModel::facts_found(const DiskFacts& facts) const {
  for (size_t i = facts_.size(); i-- > 0;) {
    if (facts_[i] == facts) return i;
  }
  return facts == DiskFacts{} ? std::optional<size_t>(0) : std::nullopt;
}

// As a node does it: entries follow each other, and what is committed is not truncated.
std::optional<std::string> JournalModel::replay(const Opened& opened) {
  const LogPosition base = opened.found.base;
  const auto end = [&] { return log_.empty() ? base.revision : log_.back()->revision; };
  for (const DiskRecord& record : opened.records) {
    const auto* cut = std::get_if<DiskTruncate>(&record);
    if (cut != nullptr && cut->last < committed_) return "the log truncates what it had called committed";
    if (!apply(record, base, log_)) return "the log's records do not follow each other";
    if (const auto* commit = std::get_if<DiskCommit>(&record)) {
      committed_ = std::max(committed_, std::min(commit->revision, end()));
    }
  }
  const Revision last = end();
  if (last < opened.found.snapshot_end) return "the log does not reach to where the snapshot is whole";
  committed_ = std::min(std::max(committed_, opened.found.snapshot_end), last);
  return std::nullopt;
}

std::optional<JournalModel::Match> JournalModel::find(const Opened& opened) const {
  const DiskFound& found = opened.found;
  bool newest =
      true;  // no generation after this one was answered; an older snapshot with all of the log does as well
  for (size_t g = generations_.size(); g-- > 0;) {
    const Generation& generation = generations_[g];
    for (size_t s = generation.snapshots.size(); s-- > 0;) {
      const Snapshot& snapshot = generation.snapshots[s];
      const bool same = snapshot.ended && snapshot.base == found.base &&
                        snapshot.revision == found.snapshot_end && snapshot.digest == found.snapshot_digest &&
                        snapshot.items == opened.items;
      if (same) {
        if (std::optional<size_t> records = find_records(generation, found.base)) {
          return Match{g, s, *records, newest};
        }
      }
    }
    newest = newest && !generation.whole();
  }
  return std::nullopt;
}

// After how many of the generation's records the log was what was found; the most, if there are several.
std::optional<size_t> JournalModel::find_records(const Generation& generation, LogPosition base) const {
  std::vector<EntryPointer> log;
  size_t equal = 0;  // so many of the first entries behind `base` are those that were found
  std::optional<size_t> found;
  const LogPosition first = generation.snapshots.front().base;
  if (base.revision < first.revision) return std::nullopt;
  const size_t skipped = base.revision.value - first.revision.value;
  for (size_t i = 0; i <= generation.records.size(); ++i) {
    if (log.size() >= skipped && log.size() - skipped == log_.size() && equal == log_.size()) found = i;
    if (i == generation.records.size()) break;
    const size_t before = log.size();
    if (!apply(generation.records[i], first, log)) return std::nullopt;
    if (log.size() > before && before == skipped + equal && equal < log_.size() &&
        *log.back() == *log_[equal]) {
      ++equal;
    } else if (log.size() < before) {
      equal = std::min(equal, log.size() > skipped ? log.size() - skipped : 0);
    }
  }
  return found;
}

// What is not there is void; what is there has to stay.
void JournalModel::adopt(const Match& match) {
  generations_.resize(match.generation + 1);
  Generation& generation = generations_.back();
  generation.records.resize(match.records);
  generation.safe = generation.marked = match.records;
  generation.snapshots.resize(match.snapshot + 1);
  generation.snapshots.back().done = true;
}

}  // namespace kvd::sim
