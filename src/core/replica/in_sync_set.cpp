// See in_sync_set.hpp.
#include "core/replica/in_sync_set.hpp"

#include <algorithm>

#include "core/mutation.hpp"

namespace kvd {
namespace {

std::vector<Member> without(std::vector<Member> members, const std::vector<Member>& removed) {
  std::erase_if(members, [&](const Member& m) { return std::count(removed.begin(), removed.end(), m) > 0; });
  return members;
}

bool has_id(const std::vector<Member>& members, const ServerId& id) {
  return std::any_of(members.begin(), members.end(), [&](const Member& m) { return m.id == id; });
}

}  // namespace

// ---- M: who must have a write before it is acknowledged (rule 5) ----

// The confirmed set and, while a change is unresolved, the proposed one: by incarnation, since another life
// of a member has not got what the former one had. Counting only the new set too early loses what the old set
// was promised; counting only the old one too long would let the new one lead without our latest writes.
std::vector<Member> InSyncSet::required() const {
  std::vector<Member> members = view().content.in_sync;
  if (view().reign.proposal) {
    const std::vector<Member>& proposed = view().reign.proposal->in_sync;
    if (mutated(Mutation::kShrinkEarly) && proposed.size() < members.size()) return proposed;
    if (mutated(Mutation::kGrowthLate)) return members;
    if (mutated(Mutation::kIncarnationReplaced))
      std::erase_if(members, [&](auto& m) { return has_id(proposed, m.id); });
    members.insert(members.end(), proposed.begin(), proposed.end());
  }
  std::sort(members.begin(), members.end());
  members.erase(std::unique(members.begin(), members.end()), members.end());
  return members;
}

// ---- who leaves ----

// Why a member is to leave the in-sync set; null: it keeps up.
const char* InSyncSet::lag_of(const Member& member) const {
  if (member == view().self()) return nullptr;
  if (view().dead.contains(member)) return "dead";
  const Peer* peer = view().peer_of(member);
  if (peer == nullptr) {
    auto it = view().reign.unlinked_since.find(member);
    bool long_ago =
        it != view().reign.unlinked_since.end() && view().now - it->second > view().config.follower_lag;
    return long_ago ? "not connected" : nullptr;
  }
  if (copies_.may_be_longer(*peer)) return nullptr;
  if (view().now - peer->heard > view().config.follower_lag) return "silent";
  // Where nobody knows whose copy is wrong it stays, and so nothing is committed. Who has more than a leader that has
  // promised nothing is not the odd one.
  if (copies_.contradicts(*peer) && peer->held != Revision(0) && !view().reign.active) return nullptr;
  if (copies_.contradicts(*peer)) return copies_.agreeing(member) > 0 ? "differs" : nullptr;
  if (!peer->whole && view().now - peer->incomplete_since > view().config.follower_lag) return "incomplete";
  bool behind = !peer->match || *peer->match < view().end;
  return behind && view().now - peer->progress > view().config.follower_lag ? "behind" : nullptr;
}

uint32_t InSyncSet::responsive() const {
  const auto& in_sync = view().content.in_sync;
  return static_cast<uint32_t>(std::count_if(
      in_sync.begin(), in_sync.end(), [this](const Member& member) { return lag_of(member) == nullptr; }));
}

Instant InSyncSet::silent_since(const Member& member) const {
  auto it = view().reign.unlinked_since.find(member);
  if (it != view().reign.unlinked_since.end()) return it->second;
  const Peer* peer = view().peer_of(member);
  return peer != nullptr ? peer->heard : view().reign.since;
}

// Who must go. The dead (proven: in memory nothing is left of them) at once. The merely silent, and with disks the
// dead, only as long as enough remain for --min-in-sync: below it no write can be acknowledged anyway, and a server
// that stays in the set can still take over with everything that was acknowledged, should this one die next.
// Shrinking to oneself alone is the last resort: with silent (not dead) followers it is as likely that this server is
// the one cut off, and then they should rather depose it.
std::vector<Member> InSyncSet::members_to_remove() const {
  if (copies_.awaits_others()) return {};
  std::vector<Member> dead;
  std::vector<Member> gone;  // the dead and the silent
  for (const Member& member : view().content.in_sync) {
    if (lag_of(member) == nullptr) continue;
    gone.push_back(member);
    if (view().dead.contains(member)) dead.push_back(member);
  }
  if (gone.empty()) return {};
  if (mutated(Mutation::kSilentKept)) return dead;
  size_t remaining = view().content.in_sync.size() - gone.size();
  if (remaining < view().content.min_in_sync)
    return view().config.self.durable ? std::vector<Member>{} : dead;
  if (remaining == 1 && dead.size() < gone.size()) {
    for (const Member& member : gone) {
      const Duration silent = view().now - silent_since(member);
      const bool talks = view().peer_of(member) != nullptr && silent <= view().config.follower_lag;
      const bool patient = !talks && silent < kLastShrinkPatience * view().config.leader_silence;
      if (patient && !view().dead.contains(member)) return dead;
    }
  }
  return gone;
}

// ---- who joins ----

// Rule 9: a learner may be proposed only when, at this very moment, it is verified to have all that is
// committed and all that this leader's log held at its takeover. Committed as far as this leader knows is not
// enough: its predecessor may have acknowledged more.
std::optional<Member> InSyncSet::learner_to_admit() const {
  for (const auto& [link, peer] : view().peers) {
    if (view().confirmed_in_sync(peer.member) || view().dead.contains(peer.member)) continue;
    Revision needed =
        mutated(Mutation::kJoinAtCommit) ? view().commit : std::max(view().commit, view().reign.takeover);
    bool verified = peer.whole && peer.match && *peer.match >= needed;
    if (!verified && !mutated(Mutation::kJoinUnchecked)) continue;
    if (view().now - peer.heard > view().config.follower_lag) continue;
    return peer.member;
  }
  return std::nullopt;
}

bool InSyncSet::learner_is_near() const {
  return std::any_of(view().peers.begin(), view().peers.end(), [this](const auto& entry) {
    const Peer& peer = entry.second;
    bool there = view().now - peer.heard <= view().config.follower_lag && !view().dead.contains(peer.member);
    return there && !peer.sparse && (peer.snapshot || peer.match);
  });
}

// ---- one change at a time ----

std::optional<Proposal> InSyncSet::next_proposal() const {
  const std::vector<Member> removed = members_to_remove();
  const auto& settings = view().reign.settings;
  std::optional<Member> learner;
  if (removed.empty()) learner = learner_to_admit();
  if (removed.empty() && !learner && settings.empty()) return std::nullopt;  // as in nearly every turn
  Proposal proposal;
  proposal.in_sync = view().content.in_sync;
  proposal.min_in_sync = view().content.min_in_sync;
  if (!removed.empty()) {
    proposal.in_sync = without(proposal.in_sync, removed);
    for (const Member& member : removed) {
      proposal.why += (proposal.why.empty() ? "" : ", ") + member.id.value + " " + lag_of(member);
    }
  } else if (learner) {
    std::erase_if(proposal.in_sync, [&](const Member& member) { return member.id == learner->id; });
    proposal.in_sync.push_back(*learner);
    std::sort(proposal.in_sync.begin(), proposal.in_sync.end());
    proposal.why = learner->id.value + " caught up";
  } else {
    proposal.min_in_sync = settings.front().second;
    proposal.why = "settings";
  }
  return proposal;
}

}  // namespace kvd
