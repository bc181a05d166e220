// The replica actor where copies contradict each other (rule 18): a follower that knows more to be committed than its
// leader has, or other things; and the leader of such a one. No code path of kvd leads here: a directory was an old
// copy, or was changed elsewhere, or memory is broken. See replica.hpp.
//
// Of two copies that differ nobody can tell which is right. With a third one that agrees with either, the odd one is
// taken for wrong. A log that is merely shorter is: what it lacks was acknowledged.
#include <algorithm>

#include "core/mutation.hpp"
#include "core/replica.hpp"

namespace kvd {

// ---- as follower ----

// From here on this copy is not in sync, not ready, and does not stand for election. It is kept.
void Replica::contradicted(Revision revision, Evidence by) {
  if (diverged_) return;
  diverged_ = Contradiction{following_.leader, by};
  disk_.distrust();
  out_.election.post(CopyDiffers{true});
  out_.log(LogLevel::kError, "this copy differs from the leader's",
           {{"leader", following_.leader.id.value},
            {"at", std::to_string(revision.value)},
            {"committed", std::to_string(commit_.value)}});
}

// Two copies at one revision are equal, byte by byte.
void Replica::compare_digests(uint64_t leaders) {
  if (!sparse_ && store_.digest() != leaders) contradicted(commit_, Evidence::kDigest);
}

// Another leader may have another log, and whether it contradicts this one shows before anything of it is counted. A
// digest is compared now and then only.
void Replica::judge_anew() {
  if (!diverged_ || diverged_->by != Evidence::kLog || diverged_->leader == register_->leader) return;
  diverged_.reset();
  if (disk_.generation_safe()) disk_.trust();
  out_.election.post(CopyDiffers{false});
}

// The leader's log ends before what is committed here. So it has lost acknowledged writes, or this copy has some that
// never were. To follow it would throw them away.
bool Replica::refuses(const PeerSaid& said, Revision leaders_end) {
  if (diverged_ && !mutated(Mutation::kDifferingCounted)) {
    confirm(said.link, 0);
    return true;
  }
  following_.lacks = !following_.staging && leaders_end < commit_ && !mutated(Mutation::kShorterObeyed);
  if (!following_.lacks) return false;
  // Who is not in sync does not depose anybody: it is its copy that is the odd one.
  if (!was_in_sync_) contradicted(leaders_end.next(), Evidence::kLog);
  const LogPosition held = log_.position(commit_);
  out_.emit(LinkSend{said.link, AppendNack{epoch_, false, commit_, following_.snapshot, sparse_, held}});
  return true;
}

// The others agree with each other, and have gone on without this copy: it takes theirs, as a newcomer does.
void Replica::begin_copy_anew() {
  out_.log(LogLevel::kError, "gives up this copy, which differs from those that are in sync, and joins anew",
           {{"committed", std::to_string(commit_.value)}});
  drop_staging();
  drop(std::exchange(store_, Store()));
  log_.reset(LogPosition{Epoch(0), lineage_base(lineage_)});
  commit_ = recovered_end_ = following_.verified = lineage_base(lineage_);
  caught_up_ = false;
  diverged_.reset();
  following_.lacks = false;
  disk_.begin_generation(log_.base(), log_);
  out_.election.post(CopyDiffers{false});
  out_.front.post(Applied{commit_});
  if (following_.link) {
    out_.emit(
        LinkSend{*following_.link, AppendNack{epoch_, false, commit_, following_.snapshot, sparse_, {}}});
  }
}

// ---- as leader ----

bool Replica::agrees(const Peer& peer) const {
  const bool there = out_.now - peer.heard <= out_.config.follower_lag && !dead_.contains(peer.member);
  return there && peer.whole && peer.match && !peer.differs && peer.held == Revision(0);
}

// In-sync servers, other than this one and `except`, whose copies are as ours.
size_t Replica::agreeing(const Member& except) const {
  return static_cast<size_t>(
      std::count_if(register_->in_sync.begin(), register_->in_sync.end(), [&](const Member& member) {
        const Peer* peer = member == except ? nullptr : peer_of(member);
        return peer != nullptr && agrees(*peer);
      }));
}

bool Replica::contradicts(const Peer& peer) const { return peer.differs || peer.held != Revision(0); }

// An in-sync server whose copy contradicts ours, while no third one tells which is right. Null: there is none.
const Replica::Peer* Replica::undecided() const {
  if (!leader_) return nullptr;
  for (const auto& [link, peer] : peers_) {
    if (contradicts(peer) && confirmed_in_sync(peer.member) && agreeing(peer.member) == 0) return &peer;
  }
  return nullptr;
}

std::string Replica::contradicted_by() const {
  const Peer* peer = undecided();
  return peer == nullptr ? "" : peer->member.id.value;
}

// Those who are in sync know more to be committed than this server's log has, which has promised nothing yet in its
// reign: it lacks what was acknowledged. One of them leads instead, once everybody who can has spoken.
void Replica::yield_to_longer() {
  if (leader_->active || out_.now < leader_->hand_over_at) return;
  const Peer* longest = nullptr;
  size_t longer = 0;
  for (const Member& member : register_->in_sync) {
    if (member == out_.config.self.member || dead_.contains(member)) continue;
    const Peer* peer = peer_of(member);
    const bool silent = peer == nullptr || out_.now - peer->heard > out_.config.follower_lag;
    if (silent && out_.now - leader_->since > out_.config.follower_lag) continue;
    if (silent || (peer->held == Revision(0) && !peer->match)) return;
    if (peer->held == Revision(0)) continue;
    ++longer;
    if (longest == nullptr || peer->held > longest->held) longest = peer;
  }
  if (longest == nullptr || longer <= agreeing(Member{})) return;
  leader_->hand_over_at = out_.now + 2 * out_.config.heartbeat;
  out_.log(LogLevel::kError, "this server lacks what others know to be committed: it does not lead",
           {{"end", std::to_string(log_.last().revision.value)},
            {"theirs", std::to_string(longest->held.value)},
            {"successor", longest->member.id.value}});
  out_.election.post(HandOverWanted{longest->member.id, true});
}

}  // namespace kvd
