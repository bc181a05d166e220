// Is a history of one key's operations linearizable? The algorithm of Wing and Gong with Lowe's memoisation,
// as Porcupine has it; a key is checked by itself, since linearizability is local (Herlihy and Wing, 3.2).
// Pure: no world in here.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"

namespace kvd::sim {

inline constexpr uint64_t kNoRevision =
    0;  // not known; in a state: the key does not exist, or its write was never seen

// What one operation did to one key, as its client saw it. Values are numbered, 0: no value.
struct KeyOperation {
  enum Kind : uint8_t {
    kWrite,  // put `value` (0: delete), on the condition below
    kRead,   // saw `value`
  } kind = kRead;
  uint64_t called = 0;             // a place in the order of all calls and returns
  uint64_t returned = UINT64_MAX;  // UINT64_MAX: never, its outcome is not known
  uint64_t value = 0;
  // Condition of a write: it is only done when the key is at one of these revisions / is at none of those / exists /
  // does not exist.
  std::optional<std::vector<uint64_t>> if_revision;
  std::vector<uint64_t> unless_revision;
  bool if_present = false;
  bool if_absent = false;
  // What a write that returned was told.
  enum Outcome : uint8_t { kDone, kConditionFailed, kNothingThere } outcome = kDone;
  std::optional<bool> created;      // of kDone: whether the key was not there before
  std::optional<uint64_t> current;  // of kConditionFailed: the key's revision; 0: it was not there
  std::string text;                 // for people
};

// value -> revision under which it was written, as far as anybody saw it.
using RevisionOfValue = std::map<uint64_t, uint64_t>;

enum class Linearizable { kYes, kNo, kTooHard };

// kTooHard after `steps_max` steps: neither proven nor refuted.
Linearizable check_key(const std::vector<KeyOperation>& operations, const RevisionOfValue& revisions,
                       uint64_t steps_max);

}  // namespace kvd::sim
