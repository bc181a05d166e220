// How the copies of those who are in sync compare with the leader's (rule 18): which agree, which contradict it, which
// may hold more, and for whom a leader that has only its directory waits. Pure: it judges by what it is given.
#pragma once
#include <cstddef>
#include <string>

#include "core/replica/leader_view.hpp"

namespace kvd {

class Copies {
 public:
  explicit Copies(const LeaderView& view) : view_(view) {}

  const LeaderView& view() const { return view_; }

  bool agrees(const Peer& peer) const;
  size_t agreeing(const Member& except) const;
  bool contradicts(const Peer& peer) const;
  const Peer* undecided() const;

  bool awaits_others() const;
  bool waits_for_long() const;
  std::string unconfirmed() const;
  bool may_be_longer(const Peer& peer) const;
  Revision end_of_longer(const Peer& peer) const;
  const Peer* longest() const;

 private:
  bool is_awaited(const Member& member) const;

  LeaderView view_;
};

}  // namespace kvd
