// The replica actor as leader: its turn, commit, what followers answer, changes of the register. See replica.hpp.
#include <algorithm>
#include <utility>

#include "core/mutation.hpp"
#include "core/queues/queue_views.hpp"
#include "core/replica/replica.hpp"
#include "msg/history.hpp"

namespace kvd {
namespace {

constexpr Duration kProposalRetry = milliseconds(20);
constexpr Duration kSnapshotRetry = milliseconds(1000);  // after one whose digest was wrong

// A link on which nothing comes back for so long is given up and dialed anew.
constexpr int kStaleLink = 8;  // times --leader-silence

// Before a learner that took too long is waited for again.
constexpr int kAwaitPause = 20;  // times --follower-lag

}  // namespace

LeaderView Replica::view() const {
  return {.config = out_.config,
          .content = *register_,
          .reign = *leader(),
          .peers = peers_,
          .dead = dead_,
          .starting = starting_,
          .registered = registered_,
          .commit = commit_,
          .end = log_.last().revision,
          .now = out_.now};
}

std::vector<Member> Replica::required() const {
  return leader() ? in_sync().required() : std::vector<Member>{};
}

// ---- one turn ----

void Replica::flush_as_leader() {
  if (leader()->proposal && !leader()->proposal->ordered) order_proposal();
  commit_what_is_held();
  serve_reads();
  // One confirmation round at a time: reads that arrive meanwhile share the next one.
  bool waiting = !leader()->reads.empty() && leader()->reads.back().round == 0;
  if (waiting && required().size() > 1 && round_confirmed(leader()->round)) {
    ++leader()->round;
    for (PendingRead& read : leader()->reads) {
      if (read.round == 0) read.round = leader()->round;
    }
    for (auto& [link, peer] : peers_) send_heartbeat(peer, false);
  }
  // Each in turn comes first, since what is large may leave nothing of this turn for the others.
  auto next = peers_.upper_bound(leader()->served);
  for (size_t i = 0; i < peers_.size(); ++i, ++next) {
    if (next == peers_.end()) next = peers_.begin();
    auto& [link, peer] = *next;
    if (i == 0) leader()->served = link;
    if (copies().may_be_longer(peer)) continue;
    // First of all on a new link: it tells how far our log goes (rule 18).
    if (peer.heartbeat_at <= out_.now) send_heartbeat(peer, false);
    send_entries(peer);
    send_snapshot(peer);
    if (peer.heartbeat_at <= out_.now) {
      send_heartbeat(peer, false);
    } else if (peer.told_commit < commit_ && peer.match) {
      send_heartbeat(peer, true);
    }
  }
  propose_what_is_due();
}

// ---- commit ----

void Replica::commit_what_is_held() {
  if (register_->in_sync.size() < register_->min_in_sync) return;
  Revision held = mutated(Mutation::kLeaderUnsafe) ? log_.last().revision : disk_.safe_end(log_);  // rule 13
  for (const Member& member : required()) {
    if (member == out_.config.self.member) continue;
    const Peer* peer = view().peer_of(member);
    if (peer == nullptr || !peer->whole || !peer->match) return;
    held = std::min(held, *peer->match);
  }
  held = await_learners(held);
  if (held > commit_) {
    for (uint64_t r = commit_.value + 1; r <= held.value; ++r) {
      leader()->evaluator.note_committed(*log_.at(Revision(r)));
    }
    counters_.writes += held.value - commit_.value;
    advance(held);
  }
  // Rule 10: what the former leader may have acknowledged must be committed here before anything else is
  // promised. How far that goes we cannot know, but it is not beyond our own log.
  if (!leader()->active && commit_ >= leader()->takeover) activate();
  while (leader()->active && !leader()->writes.empty() &&
         (leader()->writes.front().revision <= commit_ || mutated(Mutation::kUncommittedAnswered))) {
    PendingWrite& write = leader()->writes.front();
    answer(write.token, std::move(write.answer), write.revision);
    leader()->writes.pop_front();
  }
}

// Rule 9 asks of a learner that it has all that is committed, at one and the same moment. While writes go on without a
// pause, one whose disk or way is slower than the others' never has. So commit waits for a learner that is as good as
// there, as it will for the member: until it is admitted, or not longer than for a silent member, and then not again
// for a while. Nor for one that has just left the set, and not when somebody else is about to lead.
Revision Replica::await_learners(Revision held) {
  if (!leader()->active || ((stopping_ || move_) && required().size() > 1)) return held;
  for (auto& [link, peer] : peers_) {
    const bool member = view().confirmed_in_sync(peer.member);
    const bool lives = peer.whole && peer.match && !dead_.contains(peer.member) &&
                       out_.now - peer.heard <= out_.config.follower_lag;
    const bool near = lives && *peer.match >= leader()->commit_before && out_.now >= peer.not_awaited_before;
    if (peer.awaited_since == kNever && near && !member) peer.awaited_since = out_.now;
    const bool awaited = peer.awaited_since != kNever;
    const bool in_vain = awaited && (!lives || out_.now - peer.awaited_since > out_.config.follower_lag);
    if (member || in_vain) {
      peer.awaited_since = kNever;
      peer.not_awaited_before = out_.now + kAwaitPause * out_.config.follower_lag;
    } else if (awaited) {
      held = std::min(held, std::max(*peer.match, commit_));
    }
  }
  return held;
}

void Replica::mark_commit() {
  if (out_.now - leader()->marked_at < out_.config.heartbeat) return;
  leader()->commit_before = std::exchange(leader()->commit_marked, commit_);
  leader()->marked_at = out_.now;
}

void Replica::activate() {
  leader()->active = true;
  clock_.start(epoch_, out_.now);
  store_.queues().unripen(clock_.ms());
  store_.queues().ripen(clock_.ms());
  set_caught_up();
  out_.election.post(LeadActive{});
  out_.register_keeper.post(LeadActive{});
  out_.log(LogLevel::kInfo, "takes writes",
           {{"epoch", std::to_string(epoch_.value)},
            {"revision", std::to_string(commit_.value)},
            {"after_ms", std::to_string(to_ms(out_.now - leader()->since))}});
  announce();
  for (Propose& message : forget_early_writes()) {
    if (message.until > out_.now) {
      on(std::move(message));
    } else {
      refuse(message.token, ErrorCode::kTimedOut, Outcome::kNotApplied, "the leader took no writes in time");
    }
  }
}

// ---- what followers answer ----

void Replica::from_follower(const PeerSaid& said, PeerMessage& message) {
  Peer& peer = peers_.at(said.link);
  Epoch spoken;  // of the answer
  if (auto* ack = std::get_if<AppendAck>(&message)) spoken = ack->epoch;
  if (auto* nack = std::get_if<AppendNack>(&message)) spoken = nack->epoch;
  if (auto* beat = std::get_if<HeartbeatAck>(&message)) spoken = beat->epoch;
  if (auto* snap = std::get_if<SnapshotAck>(&message)) spoken = snap->epoch;
  if (spoken > epoch_) {
    learn_epoch(spoken);
    return;
  }
  if (!leader()) return;
  // An answer to an earlier epoch's question counts for nothing in this one.
  if (spoken != epoch_ && !mutated(Mutation::kForeignAcks)) return;
  peer.heard = out_.now;
  if (auto* ack = std::get_if<AppendAck>(&message)) on_ack(peer, *ack);
  if (auto* nack = std::get_if<AppendNack>(&message)) on_nack(peer, *nack);
  if (auto* beat = std::get_if<HeartbeatAck>(&message)) on_heartbeat_ack(peer, *beat);
  if (auto* snap = std::get_if<SnapshotAck>(&message)) on_snapshot_ack(peer, *snap);
}

void Replica::on_ack(Peer& peer, const AppendAck& ack) {
  // An answer out of a snapshot that has been given up says nothing of the one that replaced it.
  if (ack.snapshot != peer.snapshots && !mutated(Mutation::kSnapshotAnswersMixed)) return;
  if (ack.match > log_.last().revision) return;  // no follower of ours can say that
  peer.probing = false;
  if (!peer.match || ack.match > *peer.match) {
    peer.match = ack.match;
    peer.progress = out_.now;
  }
  if (peer.next <= ack.match) peer.next = ack.match.next();
  while (!peer.in_flight.empty() && peer.in_flight.front().first <= ack.match) {
    peer.in_flight_bytes -= peer.in_flight.front().second;
    peer.in_flight.pop_front();
  }
}

void Replica::on_nack(Peer& peer, const AppendNack& nack) {
  if (nack.stale || nack.snapshot != peer.snapshots || peer.snapshot_after != kNever) return;
  peer.held = nack.held.revision > log_.last().revision ? nack.held.revision : Revision(0);
  if (peer.held != Revision(0)) return;
  peer.match.reset();
  peer.sparse = nack.sparse;
  Revision hint = std::min(nack.hint, peer.next.previous());
  bool fresh_sparse = peer.sparse && hint == lineage_base(lineage_) && commit_ > hint;
  if (hint < log_.base().revision || peer.snapshot || fresh_sparse) {
    begin_snapshot(peer);
    return;
  }
  peer.next = hint.next();
  peer.probing = true;
  peer.probe_sent = false;
  peer.in_flight.clear();
  peer.in_flight_bytes = 0;
}

void Replica::on_heartbeat_ack(Peer& peer, const HeartbeatAck& ack) {
  peer.round = std::max(peer.round, ack.round);
  peer.differs = ack.differs;
  if (ack.differs) {
    if (peer.whole) peer.incomplete_since = out_.now;
    peer.whole = false;
    peer.match.reset();
  }
  // Only of the newest snapshot: what was said before it was begun is not true any more. (A sparse copy that
  // had just become equal to an empty leader's could else be counted after it was told to start with
  // nothing.)
  bool newest = ack.snapshot == peer.snapshots || mutated(Mutation::kSnapshotAnswersMixed);
  if (!ack.whole || !newest || peer.whole) return;
  if (peer.snapshot || peer.sparse)
    out_.log(LogLevel::kInfo, "caught up", {{"server", peer.member.id.value}});
  peer.whole = true;
  peer.sparse = false;
  peer.snapshot.reset();
}

void Replica::on_snapshot_ack(Peer& peer, const SnapshotAck& ack) {
  if (!peer.snapshot || ack.number != peer.snapshots) return;
  if (ack.failed) {
    // Whatever it says of this one from here on counts for nothing: not that it is whole, nor how far it is.
    ++peer.snapshots;
    peer.match.reset();
    peer.whole = false;
    peer.in_flight.clear();
    peer.in_flight_bytes = 0;
    peer.snapshot_after = out_.now + kSnapshotRetry;
  } else {
    peer.snapshot->taken = std::max(peer.snapshot->taken, std::min(ack.chunks, peer.snapshot->sent));
  }
}

// ---- the in-sync set: in_sync_set.hpp decides ----

uint32_t Replica::responsive() const { return leader() ? in_sync().responsive() : 0; }

void Replica::lead_on_time() {
  leader()->turn_bytes = 0;
  give_up_stuck_disk();
  if (waits_for_long() && !std::exchange(leader()->told_awaited, true))
    out_.log(LogLevel::kWarn, "waits for what is in sync and may hold more: make it reachable, or stop it",
             {{"awaited", unconfirmed()}});
  yield_to_longer();
  yield_to_disk();
  mark_commit();
  for (auto& [link, peer] : peers_) {
    // Also before the epoch is on disk, which nothing else is: the register has named this leader already.
    if (peer.heartbeat_at <= out_.now) send_heartbeat(peer, false);
    if (peer.snapshot_after <= out_.now) begin_snapshot(peer);
    if (out_.now - peer.heard > kStaleLink * out_.config.leader_silence) {
      peer.heard = out_.now;  // said once; the link's end follows
      out_.links.post(LinkStale{link});
    }
  }
  // Members without a link: since when.
  for (const Member& member : register_->in_sync) {
    if (view().peer_of(member) == nullptr) leader()->unlinked_since.try_emplace(member, out_.now);
  }
  std::erase_if(leader()->unlinked_since, [this](const auto& entry) {
    return view().peer_of(entry.first) != nullptr || !view().confirmed_in_sync(entry.first);
  });
}

void Replica::propose_what_is_due() {
  if (leader()->proposal || leader()->propose_after > out_.now) return;
  auto& settings = leader()->settings;
  while (!settings.empty() && settings.front().second == register_->min_in_sync) {
    answer(settings.front().first, SettingsChanged{register_->min_in_sync}, commit_);
    settings.pop_front();
  }
  if (auto proposal = in_sync().next_proposal()) propose_register(std::move(*proposal));
}

void Replica::propose_register(Proposal proposal) {
  proposal.change_id = out_.prng.next() | 1;
  leader()->proposal = std::move(proposal);  // from here on both sets count
  const bool grows = std::any_of(leader()->proposal->in_sync.begin(), leader()->proposal->in_sync.end(),
                                 [this](const Member& member) { return !view().confirmed_in_sync(member); });
  if (grows && !mutated(Mutation::kGrowthForgotten)) {  // it may lead before we hear of it: rule 17
    proposed_ = proposed_register();
    remember_register();
  }
  if (disk_.all_kept()) order_proposal();
  for (auto& [link, peer] : peers_) {
    if (!view().confirmed_in_sync(peer.member)) peer.progress = out_.now;
  }
}

Register Replica::proposed_register() const {
  Register content = next_change(*register_);
  content.in_sync = leader()->proposal->in_sync;
  content.min_in_sync = leader()->proposal->min_in_sync;
  content.change_id = leader()->proposal->change_id;
  content.disks |= std::any_of(content.in_sync.begin(), content.in_sync.end(), [this](const Member& member) {
    const Peer* peer = view().peer_of(member);
    return peer != nullptr && peer->durable;
  });
  return content;
}

void Replica::order_proposal() {
  leader()->proposal->ordered = true;
  out_.register_keeper.post(RegisterChangeWanted{proposed_register()});
}

void Replica::on(const ChangeResolved& message) {
  if (!leader() || !leader()->proposal || leader()->proposal->change_id != message.change_id) return;
  Proposal proposal = std::move(*leader()->proposal);
  leader()->proposal.reset();
  if (!message.applied) {
    leader()->propose_after = out_.now + kProposalRetry;
    return;
  }
  std::string names;
  for (const Member& member : proposal.in_sync) names += (names.empty() ? "" : ",") + member.id.value;
  out_.log(
      LogLevel::kInfo, "in-sync set changed",
      {{"in_sync", names}, {"min_in_sync", std::to_string(proposal.min_in_sync)}, {"why", proposal.why}});
}

}  // namespace kvd
