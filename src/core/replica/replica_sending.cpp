// The replica actor as leader: what goes to which follower, of the log's entries, heartbeats and snapshots, and when.
// See replica.hpp.
#include <utility>

#include "core/replica/replica.hpp"

namespace kvd {

void Replica::restart_peer(Peer& peer) {
  LinkId link = peer.link;
  Member member = peer.member;
  bool sparse = peer.sparse;
  bool durable = peer.durable;
  LogPosition recovered = peer.recovered;
  peer = Peer{};
  peer.link = link;
  peer.member = member;
  peer.sparse = sparse;
  peer.durable = durable;
  peer.recovered = recovered;
  peer.next = log_.last().revision.next();
  peer.heard = peer.progress = peer.incomplete_since = peer.heartbeat_at = out_.now;
}

void Replica::send_heartbeat(Peer& peer, bool notice) {
  if (copies().may_be_longer(peer)) return;  // it would cut off what it does not name
  if (!notice) peer.heartbeat_at = out_.now + out_.config.heartbeat;
  peer.told_commit = commit_;
  out_.emit(LinkSend{peer.link, Heartbeat{epoch_, commit_, leader()->round, store_.digest(),
                                          log_.last().revision, notice, active() ? clock_.ms() : 0}});
}

void Replica::send_entries(Peer& peer) {
  if (peer.snapshot_after != kNever) return;
  if (peer.next <= log_.base().revision) {  // pruned away meanwhile
    begin_snapshot(peer);
  }
  if (peer.probing) {
    // Ask first where the logs match. Mostly they match at the end, and this one empty Append is all.
    if (!peer.probe_sent) {
      out_.emit(LinkSend{peer.link, Append{epoch_, log_.position(peer.next.previous()), commit_, {}}});
    }
    peer.probe_sent = true;
    return;
  }
  while (peer.next <= log_.last().revision && peer.in_flight_bytes < out_.config.tuning.window_bytes) {
    if (leader()->turn_bytes >= out_.config.tuning.turn_bytes) return;
    Append append{epoch_, log_.position(peer.next.previous()), commit_, {}};
    size_t bytes = 0;
    while (peer.next <= log_.last().revision && bytes < out_.config.tuning.append_bytes) {
      append.entries.push_back(log_.at(peer.next));
      bytes += entry_bytes(*append.entries.back());
      peer.next = peer.next.next();
    }
    peer.in_flight.emplace_back(peer.next.previous(), bytes);
    peer.in_flight_bytes += bytes;
    leader()->turn_bytes += bytes;
    peer.told_commit = commit_;
    out_.emit(LinkSend{peer.link, std::move(append)});
  }
}

// ---- snapshots, while writes go on ----
//
// The log behind `base` is streamed as usual, and the store is read key by key as it is when each chunk is
// sent, so it is at `base` in some places and later in others. The receiver applies the log over it, skipping
// what a key already is beyond; once it has applied the revision at which the last chunk was sent, the two
// are equal, which the digest proves. No copy of the store is made, and no write waits.

void Replica::begin_snapshot(Peer& peer) {
  bool known = peer.snapshot.has_value();
  peer.snapshot_after = kNever;
  if (peer.whole) peer.incomplete_since = out_.now;
  peer.whole = false;
  ++peer.snapshots;
  peer.probing = false;
  peer.match.reset();
  peer.next = commit_.next();
  peer.in_flight.clear();
  peer.in_flight_bytes = 0;
  peer.snapshot.reset();
  if (!peer.sparse) {
    peer.snapshot = Peer::Snapshot{};
    peer.snapshot->base = commit_;
    ++counters_.snapshots_sent;
    if (!known) {
      out_.log(LogLevel::kInfo, "sends a snapshot",
               {{"to", peer.member.id.value},
                {"revision", std::to_string(commit_.value)},
                {"keys", std::to_string(store_.size())}});
    }
  }
  out_.emit(LinkSend{peer.link, SnapshotBegin{epoch_, peer.snapshots, log_.position(commit_), peer.sparse,
                                              store_.size(), store_.clock()}});
}

void Replica::send_snapshot(Peer& peer) {
  if (!peer.snapshot || peer.snapshot_after != kNever) return;
  Peer::Snapshot& snapshot = *peer.snapshot;
  while (!snapshot.all_sent &&
         snapshot.sent - snapshot.taken < out_.config.tuning.snapshot_chunks_in_flight) {
    if (leader()->turn_bytes >= out_.config.tuning.turn_bytes) return;
    SnapshotChunk chunk{epoch_, store_.items_behind(snapshot.space, snapshot.cursor,
                                                    out_.config.tuning.snapshot_chunk_bytes)};
    if (chunk.items.empty()) {
      // Whoever installs this may lead one day: not without what our predecessor may have acknowledged.
      if (peer.next <= leader()->takeover) return;
      snapshot.all_sent = true;
      out_.emit(LinkSend{peer.link, SnapshotEnd{epoch_, commit_, store_.digest()}});
      return;
    }
    snapshot.space = chunk.items.back().space();
    snapshot.cursor = chunk.items.back().key();
    for (const Record& item : chunk.items) leader()->turn_bytes += item.key().size() + item.value().size();
    ++snapshot.sent;
    out_.emit(LinkSend{peer.link, std::move(chunk)});
  }
}

}  // namespace kvd
