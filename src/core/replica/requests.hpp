// What is remembered of writes that carried an idempotency key, so that a retry gets the first answer and is not done
// twice. It is replicated state like any other: items of Space::kRequests, written in the same entry as the write that
// they speak of, so that whoever has the one has the other. The write evaluator decides when.
//
//   KEY             digest of the operation (8 bytes) and its encoded answer; the item's revision is the write's
//   \0 and 8 bytes  a batch of forgotten ones: sorted hashes of their keys, named by the newest one's revision
#pragma once
#include <cstdint>
#include <map>
#include <optional>

#include "core/replica/evaluation.hpp"

namespace kvd {

struct RequestsSpace {
  static constexpr Space kSpace = Space::kRequests;
  // A retry gets the first answer, once that is committed. None: it is no retry.
  static std::optional<Evaluation> recall(const WriteCall& call, const WriteView& view);
  // What the results of a transaction, or of many messages, take when they are remembered; other answers take next to
  // nothing: 0.
  static size_t results_bytes(const Answer& answer);
  static Failed too_long(size_t bytes);  // they take more than may be remembered
  // What remembers the change's answer, of a write with a key, and forgets others where too many are remembered.
  static void add_effects(const WriteCall& call, const WriteView& view, Change& change);

  void count(const Record& item, bool add);
  bool free_some();

  // The answers (not the batches of forgotten ones), by their writes' revisions.
  std::map<Revision, Record> by_age;
  // What the batches hold: hash, in how many. At most 262,144, which take 12 MB beside what the store counts.
  std::map<uint64_t, uint32_t> forgotten;
};

}  // namespace kvd
