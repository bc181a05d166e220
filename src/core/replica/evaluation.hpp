// What a write is evaluated by, and what comes of it: the words between the write evaluator and the spaces of the
// replicated state.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "msg/client.hpp"

namespace kvd {

class Store;
class Tail;

// A write as it was sent. To evaluate it takes its operation apart.
struct WriteCall {
  WriteCall(Operation& operation, const std::string& idempotency_key, const OptionalBox<Fence>& fence);

  Operation& operation;
  const std::string& idempotency_key;  // empty: none
  const OptionalBox<Fence>& fence;
  uint64_t digest = 0;  // of the operation and its fence, with a key
};

// The newest state: the tail of the leader's log over the committed store.
struct WriteView {
  const Store& store;
  const Tail& tail;
  Revision next;             // of the entry that is to be made
  size_t value_bytes_max{};  // what is added to or appended gets no larger
  uint64_t clock = 0;        // the log's, ms: the entry will bear it
  uint64_t wall_ms = 0;      // since 1970, for people

  // A key as the next write sees it. Null: there is none.
  const Record* latest(std::string_view key, Space space) const;
};

struct Change {  // to be appended as the log's next entry, whose revision the effects bear
  std::vector<Record> effects;
  Answer answer;            // once that is committed
  bool makes_room = false;  // or leads to it: done also where there is none
};
struct Unchanged {  // nothing to append
  Answer answer;
  Revision
      about;  // of a retry: the revision of the write that it repeats; 0: the answer is about the log's end
};
// Failed: it is refused, whatever the keys are: for want of room. It has left nothing behind, and so is certainly not
// applied (rule 12). A refusal that follows from what is there is an answer like others: that has to be committed.
using Evaluation = std::variant<Change, Unchanged, Failed>;

}  // namespace kvd
