// What a leader judges the others by: the register, its books on them, what is proven of them, and the time. A value
// for the length of one decision.
#pragma once
#include <set>

#include "base/time.hpp"
#include "core/config.hpp"
#include "core/replica/leading.hpp"
#include "core/replica/peer.hpp"
#include "msg/types.hpp"

namespace kvd {

// Times --leader-silence: what a leader waits for others before it goes on without them.
inline constexpr int kLastShrinkPatience = 4;

struct LeaderView {
  const NodeConfig& config;
  const Register& content;  // of the register: the confirmed set
  const Leading& reign;
  const Peers& peers;
  const std::set<Member>& dead;        // proven
  const std::set<Member>& starting;    // see PeerStarting
  const std::set<Member>& registered;  // in ZooKeeper
  Revision commit;
  Revision end;  // of the leader's log
  Instant now{};

  const Member& self() const { return config.self.member; }
  bool confirmed_in_sync(const Member& member) const;
  const Peer* peer_of(const Member& member) const;  // null: no link to it stands
};

}  // namespace kvd
