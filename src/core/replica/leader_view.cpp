// See leader_view.hpp.
#include "core/replica/leader_view.hpp"

#include <algorithm>

#include "core/mutation.hpp"

namespace kvd {

bool LeaderView::confirmed_in_sync(const Member& member) const {
  return std::count(content.in_sync.begin(), content.in_sync.end(), member) > 0;
}

const Peer* LeaderView::peer_of(const Member& member) const {
  for (const auto& [link, peer] : peers) {
    if (peer.member == member || (mutated(Mutation::kSetById) && peer.member.id == member.id)) return &peer;
  }
  return nullptr;
}

}  // namespace kvd
