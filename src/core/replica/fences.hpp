// Fencing tokens: what makes a lock safe against a holder that was paused (Kleppmann, "How to do distributed locking").
// Whoever grants the lock hands out a larger number each time, and every write under the lock brings that number, here
// called the token of a resource. The largest token that came is remembered for each resource, and a write with a
// smaller one is refused: from the first answer to the newer holder on, nothing of the former one is done any more.
//
// It is replicated state like any other: items of Space::kFences, written in the same entry as the write that brought
// the token, so that whoever has the one has the other. Tokens only grow, and a resource is never deleted: what a new
// one takes counts for --max-memory like a key.
//
// A token counts as soon as its write is answered by anything but a failure, also when that changed no key (a condition
// that does not hold, a delete of what is not there): then an entry is written that holds nothing but the token. The
// newer holder has been answered, and relies on it. What is refused for another reason (no room, too large, no leader)
// leaves no token behind. A retry by its idempotency key gets its first answer, however old its token is by now; that a
// write was fenced off is such an answer, too.
//
// Pure; the write evaluator decides when.
#pragma once
#include <cstdint>
#include <string_view>

#include "core/replica/evaluation.hpp"

namespace kvd {

// The effect that remembers `token`; it belongs into the entry of the write that brought it, which is at `revision`.
Record remember_token(std::string_view resource, uint64_t token, Revision revision);
// What an effect of Space::kFences, or an item, holds; 0: it cannot be read as a token. Null: 0.
uint64_t token_of(const Record* fence);

struct FencesSpace {
  static constexpr Space kSpace = Space::kFences;
  static Evaluation effects_of(DropFence& drop, const WriteView& view);
  // The largest token that a write brought for this resource; 0: none did.
  static uint64_t latest_token(std::string_view resource, const WriteView& view);
  // What of a write's tokens is to be remembered with it.
  static void add_effects(const WriteCall& call, const WriteView& view, Change& change);

  void count(const Record&, bool) {}
  bool free_some() { return false; }
};

}  // namespace kvd
