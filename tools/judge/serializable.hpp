// Is a history of operations on several keys strictly serializable, in the order of the revisions that clients were
// told? The revision of an answer is the operation's place, so that only what nobody was told the outcome of has to be
// searched for: whether, and in which gap between two revisions, it was done. Pure.
#pragma once
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "judge/store_model.hpp"

namespace kvd::sim {

struct StoreOperation {
  const Operation* operation = nullptr;
  const Answer* answer = nullptr;  // null: its outcome is not known
  uint64_t called = 0;             // places in the order of all calls and returns
  uint64_t returned = UINT64_MAX;
  uint64_t revision = 0;  // with an answer: of the entry that it made, or of the store that it saw
  std::string text;       // for people
};

struct Serializable {
  bool too_hard = false;                 // neither proven nor refuted after so many steps
  std::optional<std::string> violation;  // an explanation; none: there is none, or it is too hard
};

// The store is empty at revision `base`. `taken`: revisions that are other operations', so that no unknown one of these
// has them.
Serializable check_serializable(const std::vector<StoreOperation>& operations, uint64_t base,
                                const std::set<uint64_t>& taken, uint64_t steps_max);

}  // namespace kvd::sim
