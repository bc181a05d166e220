// The in-sync set: who must have a write before it is acknowledged (M, rule 5), who leaves the set and why, and whom
// the leader takes in (rule 9). Pure: it judges by what it is given, and the replica carries it out.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "core/replica/copies.hpp"
#include "core/replica/leader_view.hpp"

namespace kvd {

class InSyncSet {
 public:
  explicit InSyncSet(const LeaderView& view) : copies_(view) {}

  const Copies& copies() const { return copies_; }

  std::vector<Member> required() const;  // M, sorted
  // The change of the register that is due, while none is under way; none: all is as it should be.
  std::optional<Proposal> next_proposal() const;
  uint32_t responsive() const;  // how many of the set keep up
  // One that catches up would, at this server's end, be left with nothing.
  bool learner_is_near() const;

 private:
  const char* lag_of(const Member& member) const;
  Instant silent_since(const Member& member) const;
  std::vector<Member> members_to_remove() const;
  std::optional<Member> learner_to_admit() const;

  const LeaderView& view() const { return copies_.view(); }

  Copies copies_;
};

}  // namespace kvd
