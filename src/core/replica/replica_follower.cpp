// The replica actor as follower and learner: what the leader sends. See replica.hpp.
#include <algorithm>
#include <utility>

#include "core/mutation.hpp"
#include "core/replica/replica.hpp"

namespace kvd {
void Replica::from_leader(const PeerSaid& said, PeerMessage& message) {
  if (auto* append = std::get_if<Append>(&message)) {
    if (accept_leader(said, append->epoch)) {
      on_append(said, *append);
    } else if (append->epoch < epoch_) {
      out_.emit(LinkSend{said.link, AppendNack{epoch_, true, Revision(0), 0, sparse_, {}}});
    }
  } else if (auto* heartbeat = std::get_if<Heartbeat>(&message)) {
    if (accept_leader(said, heartbeat->epoch)) {
      if (heartbeat->clock != 0) clock_.hear(heartbeat->epoch, heartbeat->clock);
      on_heartbeat(said, *heartbeat);
    } else if (heartbeat->epoch < epoch_) {
      out_.emit(LinkSend{said.link, HeartbeatAck{epoch_, 0, false, 0, false}});
    }
  } else if (auto* begin = std::get_if<SnapshotBegin>(&message)) {
    if (accept_leader(said, begin->epoch)) on_snapshot_begin(said, *begin);
  } else if (auto* chunk = std::get_if<SnapshotChunk>(&message)) {
    if (accept_leader(said, chunk->epoch)) on_snapshot_chunk(said, *chunk);
  } else if (auto* end = std::get_if<SnapshotEnd>(&message)) {
    if (accept_leader(said, end->epoch)) on_snapshot_end(said, *end);
  }
}

// Rule 4: nothing of an older epoch is accepted once a newer one is known.
bool Replica::accept_leader(const PeerSaid& said, Epoch epoch) {
  if (doubted_) return false;
  if (epoch < epoch_ && !mutated(Mutation::kOldEpochsAccepted)) return false;
  learn_epoch(epoch);
  if (leader()) return false;  // one leader per epoch, and it is this server
  if (register_ && register_->epoch == epoch && register_->leader != said.from) return false;
  if (following().link != said.link) {
    // A new link says nothing about what was verified on the one before.
    following().link = said.link;
    following().verified = commit_;
    following().lacks = false;
    drop_staging();
    following().snapshot = 0;
  }
  following().leader = said.from;
  following().heard = out_.now;
  return true;
}

// ---- the log ----

// Rule 7: an acknowledgement asserts that our log is the leader's up to there, which the entry before the
// first new one shows by its epoch and revision. False: it is not there, or another one.
bool Replica::take_entries(Log& log, const Append& append, Revision floor) {
  const LogPosition& previous = append.previous;
  if (previous.revision < log.base().revision || previous.revision > log.last().revision) return false;
  bool same = log.position(previous.revision).epoch == previous.epoch;
  if (!same && !mutated(Mutation::kLogMatchSkipped)) {
    if (previous.revision <= floor) contradicted(previous.revision, Evidence::kLog);
    return false;
  }
  for (const EntryPointer& entry : append.entries) {
    if (EntryPointer held = log.at(entry->revision)) {
      if (held->epoch == entry->epoch) continue;
      if (entry->revision <= floor) {
        contradicted(entry->revision, Evidence::kLog);
        return false;
      }
      truncate_after(log, entry->revision.previous());
    }
    log.append(entry);
    clock_.hear(append.epoch, entry->clock);
    if (&log == &log_) disk_.append(entry);
  }
  return true;
}

void Replica::truncate_after(Log& log, Revision revision) {
  log.truncate_after(revision);
  if (&log != &log_) return;  // a snapshot's, which is not on disk yet
  disk_.truncate(revision);
  recovered_end_ = std::min(recovered_end_, revision);
}

// What a former leader sent and this epoch's has not got nobody can have acknowledged. An idle leader sends nothing
// that would take its place, and reads here may be waiting for it (set_caught_up).
void Replica::drop_void_tail(Revision leaders_end) {
  const Revision next = std::max(leaders_end, commit_).next();
  if (next <= log_.last().revision && log_.position(next).epoch < epoch_)
    truncate_after(log_, next.previous());
}

// Where the leader should look next: our end, or the start of the run of entries that cannot be right.
Revision Replica::hint(const Log& log, const LogPosition& previous, Revision floor) const {
  if (previous.revision > log.last().revision) return log.last().revision;
  if (previous.revision <= floor) return floor;
  Revision at = previous.revision;
  Epoch wrong = log.position(at).epoch;
  while (at > floor && log.position(at).epoch == wrong) at = at.previous();
  return at;
}

void Replica::on_append(const PeerSaid& said, const Append& append) {
  bool staging = following().staging.has_value();
  Log& log = staging ? following().staging->log : log_;
  Revision floor = staging ? log.base().revision : commit_;
  if (diverged_ && !mutated(Mutation::kDifferingCounted)) return;
  if (following().lacks && refuses(said, append.previous.revision)) return;
  if (!take_entries(log, append, floor)) {
    if (diverged_) return;
    out_.emit(LinkSend{
        said.link,
        AppendNack{epoch_, false, hint(log, append.previous, floor), following().snapshot, sparse_, {}}});
    return;
  }
  Revision match(append.previous.revision.value + append.entries.size());
  AppendAck ack{epoch_, match, following().snapshot};
  if (staging) {  // it counts only once this copy says that it is whole, which waits for the disk
    out_.emit(LinkSend{said.link, ack});
    following().staging->commit = std::max(following().staging->commit, append.commit);
    install_if_complete(said.link);
  } else {
    disk_.send_when_safe(epoch_, said.link, ack);
    following().verified = std::min(std::max(following().verified, match), log_.last().revision);
    learn_commit(append.commit);
  }
}

// What the leader has committed is committed here as far as our log is verified to be the leader's, and no
// further: a longer tail of our own may be about to be truncated. And only as far as it is safe on disk, so that
// nothing that was visible here is gone after a restart.
void Replica::learn_commit(Revision commit) {
  following().leader_commit = std::max(following().leader_commit, commit);
  Revision known = std::min({following().leader_commit, following().verified, disk_.safe_end(log_)});
  if (known > commit_) advance(known);
}

void Replica::on_heartbeat(const PeerSaid& said, const Heartbeat& heartbeat) {
  if (refuses(said, std::max(heartbeat.end, heartbeat.commit))) return;
  if (following().staging) {
    following().staging->commit = std::max(following().staging->commit, heartbeat.commit);
    install_if_complete(said.link);
  } else {
    drop_void_tail(heartbeat.end);
    learn_commit(heartbeat.commit);
  }
  if (!following().staging && commit_ == heartbeat.commit) {
    if (!sparse_) {
      if (disk_.generation_safe()) set_caught_up();
    } else if (store_.digest() == heartbeat.digest) {
      // Key by key this copy has become the leader's: sparse is over.
      out_.log(LogLevel::kInfo, "the copy has become complete",
               {{"revision", std::to_string(commit_.value)}});
      set_sparse(false);
      // A restart must not find it as it was before: it is complete from here on only.
      disk_.begin_generation(log_.position(commit_), store_.clock(), log_);
      if (disk_.generation_safe()) set_caught_up();
    }
    compare_digests(heartbeat.digest);
  }
  if (!heartbeat.notice) confirm(said.link, heartbeat.round);
}

void Replica::confirm(LinkId link, uint64_t round) {
  // Who leaves is not to be taken in again. A leader that has handed over may hear its successor before it sees that.
  bool leaves = stopping_ && (!was_in_sync_ || register_->leader == out_.config.self.member);
  bool whole = !sparse_ && !following().staging && disk_.generation_safe() && !leaves;
  const bool differs = diverged_ && !mutated(Mutation::kDifferingCounted);
  // That this server lives is said at once: a slow disk is no silence. It confirms nothing.
  if (!disk_.kept(epoch_) || differs)
    out_.emit(LinkSend{link, HeartbeatAck{epoch_, 0, false, following().snapshot, differs}});
  if (differs) return;
  disk_.send_when_kept(epoch_, link, HeartbeatAck{epoch_, round, whole, following().snapshot, false});
}

// ---- snapshots ----

void Replica::on_snapshot_begin(const PeerSaid& said, const SnapshotBegin& begin) {
  if (diverged_) return;  // this copy is kept
  drop_staging();
  following().snapshot = begin.number;
  if (begin.sparse && !sparse_) {  // this copy has become complete meanwhile
    out_.emit(
        LinkSend{said.link, AppendNack{epoch_, false, log_.last().revision, begin.number, sparse_, {}}});
    return;
  }
  if (begin.base.revision < commit_) return;  // we have more: the log will show it
  // Said at once, since an idle leader has nothing more to send that could be acknowledged.
  out_.emit(LinkSend{said.link, AppendAck{epoch_, begin.base.revision, begin.number}});
  if (begin.sparse) {
    // The gap is not filled, so what we hold from before it may be stale for ever: start with nothing.
    drop(std::exchange(store_, Store()));
    store_.reach_clock(begin.clock);
    log_.reset(begin.base);
    commit_ = begin.base.revision;
    following().verified = commit_;
    caught_up_ = false;
    disk_.begin_generation(begin.base, store_.clock(), log_);
    set_sparse(true);
    begin_history(commit_, WatchBreak::kSnapshot);
    return;
  }
  following().staging = Staging{};
  following().staging->log.reset(begin.base);
  following().staging->store.reach_clock(begin.clock);
  following().staging->commit = begin.base.revision;
  catching_up_.begin(begin.keys);
  out_.log(LogLevel::kInfo, "receives a snapshot", {{"revision", std::to_string(begin.base.revision.value)}});
}

void Replica::on_snapshot_chunk(const PeerSaid& said, SnapshotChunk& chunk) {
  if (!following().staging) return;
  Staging& staging = *following().staging;
  staging.items += chunk.items.size();
  catching_up_.reach(staging.items);
  for (Record& item : chunk.items) staging.store.put(std::move(item));
  ++staging.chunks;
  out_.emit(LinkSend{said.link, SnapshotAck{epoch_, following().snapshot, staging.chunks, false}});
}

void Replica::on_snapshot_end(const PeerSaid& said, const SnapshotEnd& end) {
  if (!following().staging) return;
  following().staging->end = end;
  following().staging->commit = std::max(following().staging->commit, end.revision);
  install_if_complete(said.link);
}

// Replaces the old copy when the new one is whole. Until then readers see the old one, which is old but
// consistent.
void Replica::install_if_complete(LinkId link) {
  Staging& staging = *following().staging;
  if (!staging.end || staging.log.last().revision < staging.end->revision) return;
  bool sound = staging.end->revision >= std::max(commit_, staging.log.base().revision);
  for (uint64_t r = staging.log.base().revision.value + 1; r <= staging.end->revision.value; ++r) {
    staging.store.apply(*staging.log.at(Revision(r)));
  }
  if (!sound || staging.store.digest() != staging.end->digest) {
    out_.log(LogLevel::kError, "a snapshot's digest is wrong: asking for another one",
             {{"revision", std::to_string(staging.end->revision.value)}});
    drop_staging();
    out_.emit(LinkSend{link, SnapshotAck{epoch_, following().snapshot, 0, true}});
    return;
  }
  drop(std::exchange(store_, std::move(staging.store)));
  store_.view_anew();
  log_ = std::move(staging.log);
  commit_ = staging.end->revision;
  recovered_end_ = std::min(recovered_end_, log_.last().revision);  // what was behind it is void
  if (out_.config.self.durable)
    caught_up_ = false;  // until it is on disk: reads must not go back after a restart
  disk_.begin_generation(log_.position(commit_), store_.clock(), log_);
  catching_up_.end();
  following().verified = log_.last().revision;
  Revision leader_commit = staging.commit;
  following().staging.reset();
  ++counters_.snapshots_installed;
  out_.log(LogLevel::kInfo, "installed a snapshot",
           {{"revision", std::to_string(commit_.value)}, {"keys", std::to_string(store_.size())}});
  begin_history(commit_, WatchBreak::kSnapshot);
  if (!out_.config.self.durable) set_caught_up();
  announce();
  learn_commit(leader_commit);
  confirm(link, 0);
}

}  // namespace kvd
