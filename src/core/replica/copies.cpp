// See copies.hpp.
#include "core/replica/copies.hpp"

#include <algorithm>

#include "core/mutation.hpp"

namespace kvd {

bool Copies::agrees(const Peer& peer) const {
  const bool there = view_.now - peer.heard <= view_.config.follower_lag && !view_.dead.contains(peer.member);
  return there && peer.whole && peer.match && !peer.differs && peer.held == Revision(0);
}

// In-sync servers, other than this one and `except`, whose copies are as ours.
size_t Copies::agreeing(const Member& except) const {
  const auto& in_sync = view_.content.in_sync;
  return static_cast<size_t>(std::count_if(in_sync.begin(), in_sync.end(), [&](const Member& member) {
    const Peer* peer = member == except ? nullptr : view_.peer_of(member);
    return peer != nullptr && agrees(*peer);
  }));
}

bool Copies::contradicts(const Peer& peer) const { return peer.differs || peer.held != Revision(0); }

// An in-sync server whose copy contradicts ours, while no third one tells which is right. Null: there is none.
const Peer* Copies::undecided() const {
  for (const auto& [link, peer] : view_.peers) {
    if (contradicts(peer) && view_.confirmed_in_sync(peer.member) && agreeing(peer.member) == 0) return &peer;
  }
  return nullptr;
}

// Who is in sync and has not confirmed where its log matches, as "b, c".
std::string Copies::unconfirmed() const {
  std::string names;
  for (const Member& member : view_.content.in_sync) {
    const Peer* peer = view_.peer_of(member);
    const bool matches = peer != nullptr && peer->match;
    if (member == view_.self() || (matches && !(view_.reign.fresh && is_awaited(member)))) continue;
    names += (names.empty() ? "" : ", ") + member.id.value;
  }
  return names;
}

// A directory that was put back lacks what its server had acknowledged, and the last of it may be known to nobody as
// committed. So a leader that has followed nobody in its life, but has only its directory, waits for those who start
// after it: a little for everybody, and for as long as it takes for who still starts (its directory may be larger than
// ours), and for whom ZooKeeper shows to be there, and who is out of reach, has not confirmed where its log matches, or
// may have more (is_awaited). It says nothing to whom a start has found more, which would cut it off there, but hands
// over. (Others are behind each other all the time, with what nobody was told of.)
bool Copies::awaits_others() const {
  if (!view_.reign.fresh || view_.reign.active || mutated(Mutation::kFreshLeads)) return false;
  if (view_.now - view_.reign.since <= view_.reign.usual_start) return true;
  return std::any_of(view_.content.in_sync.begin(), view_.content.in_sync.end(),
                     [this](const Member& member) { return is_awaited(member); });
}

// Who answers us is there, whatever ZooKeeper shows: a link on which nothing comes back is closed. (That of one who has
// dialed us shows nothing: it may be half of a connection.) Whose copy is known to differ while a third one agrees with
// ours is not waited for: the third one tells who is right.
bool Copies::is_awaited(const Member& member) const {
  if (member == view_.self()) return false;
  const Peer* peer = view_.peer_of(member);
  if (peer == nullptr)
    return view_.starting.contains(member) ||
           (view_.registered.contains(member) && !view_.dead.contains(member));
  if (peer->differs && agreeing(member) > 0) return false;
  return !peer->match || peer->held != Revision(0) || peer->recovered > view_.reign.found;
}

// Beyond what any start takes: what is written meanwhile would wait for as long as nobody knows.
bool Copies::waits_for_long() const {
  return !view_.reign.active && view_.now - view_.reign.since > view_.reign.usual_start && awaits_others();
}

bool Copies::may_be_longer(const Peer& peer) const {
  return awaits_others() && view_.confirmed_in_sync(peer.member) && !view_.dead.contains(peer.member) &&
         peer.recovered > view_.reign.found;
}

// Where a log ends that is longer than ours; 0: it is not.
Revision Copies::end_of_longer(const Peer& peer) const {
  return may_be_longer(peer) ? peer.recovered.revision : peer.held;
}

// Who has most of those in sync that have more than ours, once everybody who can has spoken. Null: nobody, or not yet.
const Peer* Copies::longest() const {
  const Peer* longest = nullptr;
  for (const Member& member : view_.content.in_sync) {
    if (member == view_.self() || view_.dead.contains(member)) continue;
    const Peer* peer = view_.peer_of(member);
    const bool longer = peer != nullptr && end_of_longer(*peer) != Revision(0);
    const bool silent = peer == nullptr || (!longer && view_.now - peer->heard > view_.config.follower_lag);
    if (silent && view_.now - view_.reign.since > view_.config.follower_lag) continue;
    if (silent || (!longer && !peer->match)) return nullptr;
    if (longer && (longest == nullptr || end_of_longer(*peer) > end_of_longer(*longest))) longest = peer;
  }
  return longest;
}

}  // namespace kvd
