// What is remembered of writes that carried an idempotency key, so that a retry gets the first answer and is not done
// twice. It is replicated state like any other: items of Space::kRequests, written in the same entry as the write that
// they speak of, so that whoever has the one has the other. Pure functions; the write evaluator decides when.
//
//   KEY             digest of the operation (8 bytes) and its encoded answer; the item's revision is the write's
//   \0 and 8 bytes  a batch of forgotten ones: sorted hashes of their keys, named by the newest one's revision
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/replica/store.hpp"
#include "core/replica/tail.hpp"
#include "msg/client.hpp"

namespace kvd {

struct RememberedAnswer {
  uint64_t digest = 0;  // of the operation, operation_digest()
  Answer answer;
  Revision revision;  // of the write
};

// What an effect of Space::kRequests, or an item, holds; nothing for a deletion, a batch of forgotten keys, and null.
std::optional<RememberedAnswer> read_remembered(const Record* request);
// The key was used, but its answer is no longer remembered (or, with a probability of 2^-64, it looks like one).
bool is_forgotten(const Store& store, const std::string& key);

// The effect that remembers `answer`; it belongs into the entry of the write itself, which is at `revision`.
Record remember(std::string_view key, uint64_t digest, const Answer& answer, Revision revision);
// The effects, in the entry at `revision`, that make room once more than limits::kRememberedAnswers are held; none
// before that, nor while the tail forgets the oldest already.
std::vector<Record> forget_oldest(const Store& store, const Tail& tail, Revision revision);

}  // namespace kvd
