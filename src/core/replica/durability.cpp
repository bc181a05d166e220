// See durability.hpp.
#include "core/replica/durability.hpp"

#include <algorithm>
#include <utility>

#include "core/mutation.hpp"

namespace kvd {
namespace {

constexpr uint64_t kPartsInFlight = 2;
constexpr Duration kNoSpaceRetry = seconds(1);
constexpr size_t kLowSnapshotBytes = 1u << 20;  // of log are reason enough for a snapshot when space is low

}  // namespace

void Durability::begin(const Recovery::Found& found) {
  facts_ = kept_ = found.facts;
  distrusted_ = found.facts.differs;
  safe_end_ = found.log.last().revision;
  commit_ = found.commit;
  log_bytes_ = found.log_bytes;
  snapshots_ = found.snapshot_number;
}

// ---- what changed ----

void Durability::keep(DiskFacts facts) {
  if (!on_disk()) return;
  facts.self = out_.config.self.member;
  facts.differs = distrusted_;
  facts.standalone = out_.config.standalone;
  if (facts == facts_) return;
  facts_ = std::move(facts);
  std::erase_if(held_, [this](const Held& held) { return held.epoch < facts_.epoch; });
  if (!mutated(Mutation::kEpochNotKept)) order(DiskKeep{facts_});
}

void Durability::keep(Epoch epoch) {
  DiskFacts facts = facts_;
  facts.epoch = epoch;
  keep(std::move(facts));
}

void Durability::keep(const Register& remembers, const std::optional<Register>& proposed, Lineage lineage,
                      Epoch epoch) {
  keep(DiskFacts{remembers.cluster, lineage, epoch, Member{}, false, remembers, proposed, false});
}

void Durability::distrust() {
  distrusted_ = true;
  keep(DiskFacts(facts_));
}

void Durability::trust() {
  if (!std::exchange(distrusted_, false)) return;
  keep(DiskFacts(facts_));
}

void Durability::append(EntryPointer entry) {
  if (!on_disk()) return;
  log_bytes_ += entry_bytes(*entry);
  gathered_.emplace_back(std::move(entry));
}

void Durability::truncate(Revision last) {
  if (!on_disk()) return;
  gathered_.emplace_back(DiskTruncate{last});
  safe_end_ = std::min(safe_end_, last);
  for (Unsafe& unsafe : unsafe_) unsafe.end = std::min(unsafe.end, last);
}

// What was gathered before belongs to the generation that ends here; what waited for it waits for the new one.
void Durability::begin_generation(LogPosition base, uint64_t clock, const Log& log) {
  if (!on_disk()) return;
  gathered_.clear();
  unsafe_.clear();
  log_bytes_ = 0;
  safe_end_ = Revision(0);
  commit_ = base.revision;
  begin_snapshot(base, clock, true);
  for (uint64_t r = base.revision.value + 1; r <= log.last().revision.value; ++r) append(log.at(Revision(r)));
  generation_barrier_ = barrier();
  for (Held& held : held_) {
    if (held.number != 0) held.number = generation_barrier_;
  }
}

// ---- once per turn ----

void Durability::flush(const Log& log, const Store& store, Revision commit) {
  if (!on_disk()) return;
  write_log(log, commit);
  write_snapshot(log, store, commit);
}

// How far the commit index is goes along with what has to be written anyway: it is only a hint.
void Durability::write_log(const Log& log, Revision commit) {
  if (gathered_.empty()) return;
  if (commit > commit_) gathered_.emplace_back(DiskCommit{commit});
  commit_ = std::max(commit_, commit);
  order(DiskWrite{++written_, std::exchange(gathered_, {})});
  unsafe_.push_back(Unsafe{written_, log.last().revision, out_.now});
}

// ---- snapshots, while writes go on ----
//
// As those for a learner (replica_leader.cpp): the store is read part by part as it is at that moment, and the log from
// the base on makes of it what it was at the revision of the end.

void Durability::begin_snapshot(LogPosition base, uint64_t clock, bool fresh) {
  snapshot_ = Snapshot{};
  stretch_ = static_cast<uint64_t>(out_.prng.between(100, 150));
  snapshot_->base = base.revision;
  snapshot_->fresh = fresh;
  snapshot_->log_bytes = log_bytes_;
  generation_open_ = fresh;
  order(DiskSnapshotBegin{++snapshots_, base, fresh, clock});
}

bool Durability::snapshot_due(const Store& store) const {
  if (snapshot_ || out_.now < snapshot_after_ || log_bytes_ == 0) return false;
  if (low_) return log_bytes_ >= kLowSnapshotBytes;
  return log_bytes_ >=
         std::max<uint64_t>(out_.config.tuning.snapshot_log_bytes, store.bytes()) * stretch_ / 100;
}

void Durability::write_snapshot(const Log& log, const Store& store, Revision commit) {
  if (!snapshot_ && generation_open_ && out_.now >= snapshot_after_) {
    begin_generation(log.position(commit), store.clock(), log);  // the last attempt met no space
    write_log(log, commit);
  } else if (snapshot_due(store)) {
    begin_snapshot(log.position(commit), store.clock(), false);
  }
  while (snapshot_ && !snapshot_->ended && snapshot_->sent - snapshot_->taken < kPartsInFlight) {
    DiskSnapshotItems part{snapshots_, store.items_behind(snapshot_->space, snapshot_->cursor,
                                                          out_.config.tuning.snapshot_chunk_bytes)};
    if (part.items.empty()) {
      snapshot_->ended = true;
      order(DiskSnapshotEnd{snapshots_, commit, store.digest()});
      return;
    }
    snapshot_->space = part.items.back().space();
    snapshot_->cursor = part.items.back().key();
    ++snapshot_->sent;
    order(std::move(part));
  }
}

void Durability::on_done(const DiskSnapshotDone& done) {
  if (!snapshot_ || done.number != snapshots_) return;
  Snapshot snapshot = *std::exchange(snapshot_, std::nullopt);
  if (!done.done) {
    snapshot_after_ = out_.now + kNoSpaceRetry;
    out_.log(LogLevel::kWarn, "no space for a snapshot on disk: tries again", {});
    return;
  }
  log_bytes_ -= snapshot.log_bytes;
  if (snapshot.fresh) {
    generation_open_ = false;
    safe_end_ = std::max(safe_end_, snapshot.base);
  }
  out_.log(LogLevel::kInfo, "wrote a snapshot to disk",
           {{"revision", std::to_string(snapshot.base.value)}, {"parts", std::to_string(snapshot.sent)}});
}

// ---- what is safe ----

bool Durability::kept(Epoch epoch) const {
  if (!on_disk() || mutated(Mutation::kEpochNotKept)) return true;
  return kept_.epoch >= epoch && kept_.lineage == facts_.lineage && kept_.cluster == facts_.cluster;
}

bool Durability::all_kept() const {
  return !on_disk() || mutated(Mutation::kEpochNotKept) || kept_ == facts_;
}

Revision Durability::safe_end(const Log& log) const {
  if (!on_disk()) return log.last().revision;
  return generation_open_ ? Revision(0) : safe_end_;
}

bool Durability::generation_safe() const { return !generation_open_ && safe_ >= generation_barrier_; }

void Durability::send_when_safe(Epoch epoch, LinkId link, PeerMessage message) {
  uint64_t number = mutated(Mutation::kAcknowledgedUnsafe) ? 0 : barrier();
  hold(Held{number, epoch, link, std::move(message)});
}

void Durability::send_when_kept(Epoch epoch, LinkId link, PeerMessage message) {
  hold(Held{0, epoch, link, std::move(message)});
}

bool Durability::may_go(const Held& held) const {
  bool log_safe = held.number == 0 || (held.number <= safe_ && !generation_open_);
  return log_safe && kept(held.epoch);
}

void Durability::hold(Held held) {
  if (!on_disk() || may_go(held)) {
    out_.emit(LinkSend{held.link, std::move(held.message)});
  } else {
    held_.push_back(std::move(held));
  }
}

void Durability::release() {
  std::vector<Held> waiting;
  for (Held& held : std::exchange(held_, {})) {
    if (may_go(held)) {
      out_.emit(LinkSend{held.link, std::move(held.message)});
    } else {
      waiting.push_back(std::move(held));
    }
  }
  held_ = std::move(waiting);
}

void Durability::on(DiskAnswer answer) {
  if (auto* kept = std::get_if<DiskKept>(&answer)) {
    kept_ = std::move(kept->facts);
  } else if (auto* written = std::get_if<DiskWritten>(&answer)) {
    safe_ = written->number;
    while (!unsafe_.empty() && unsafe_.front().number <= safe_) {
      safe_end_ = unsafe_.front().end;
      unsafe_.pop_front();
    }
  } else if (auto* taken = std::get_if<DiskSnapshotTaken>(&answer)) {
    if (snapshot_ && taken->number == snapshots_) ++snapshot_->taken;
  } else if (auto* done = std::get_if<DiskSnapshotDone>(&answer)) {
    on_done(*done);
  } else if (auto* space = std::get_if<DiskSpace>(&answer)) {
    low_ = space->low;
    out_.log(low_ ? LogLevel::kWarn : LogLevel::kInfo,
             low_ ? "little space is left on disk: refuses writes that grow" : "there is space on disk again",
             {{"detail", space->detail}});
  }
  release();
}

Duration Durability::unsafe_for() const {
  return unsafe_.empty() ? Duration(0) : out_.now - unsafe_.front().since;
}

}  // namespace kvd
