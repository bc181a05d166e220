// What a write leads to, decided once, on the leader: against the newest state, which is the tail of its log over the
// committed store. What is replicated is the effect (rule 8). Pure: it says what is to be appended and answered. It
// knows no roles, asks nobody, and sends nothing.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/replica/log.hpp"
#include "core/replica/store.hpp"
#include "core/replica/tail.hpp"
#include "msg/client.hpp"

namespace kvd {

class WriteEvaluator {
 public:
  // A write as it was sent. To evaluate it takes its operation apart.
  struct Call {
    Call(Operation& operation, const std::string& idempotency_key, const OptionalBox<Fence>& fence);

    Operation& operation;
    const std::string& idempotency_key;  // empty: none
    const OptionalBox<Fence>& fence;
    uint64_t digest = 0;  // of the operation and its fence, with a key
  };
  struct Room {  // what makes the data grow needs it, in memory and on the leader's disk
    uint64_t memory_max = 0;
    bool disk_low = false;
  };

  struct Change {  // to be appended as the log's next entry, whose revision the effects bear
    std::vector<Record> effects;
    Answer answer;  // once that is committed
  };
  struct Unchanged {  // nothing to append
    Answer answer;
    Revision
        about;  // of a retry: the revision of the write that it repeats; 0: the answer is about the log's end
  };
  // Failed: it is refused. It has left nothing behind, and so is certainly not applied (rule 12).
  using Evaluation = std::variant<Change, Unchanged, Failed>;

  // What of the log is behind `committed` is its tail. Log and store outlive this.
  WriteEvaluator(const Log& log, const Store& store, Revision committed);

  // A retry gets the first answer. None: it is no retry.
  std::optional<Evaluation> recall(const Call& call) const;
  Evaluation evaluate(Call& call, const Room& room) const;

  // What becomes of the log, entry by entry.
  void note_appended(const Entry& entry) { tail_.note(entry); }
  void note_committed(const Entry& entry) { tail_.drop(entry); }
  const Tail& tail() const { return tail_; }

 private:
  struct Proposer;

  Revision next_revision() const { return log_.last().revision.next(); }
  const Record* latest(std::string_view key) const;
  uint64_t latest_token(std::string_view resource) const;
  std::vector<Record> larger_tokens(const Call& call) const;
  bool empty_at_tail() const;
  Evaluation propose(PutKey& put) const;
  Evaluation propose(DeleteKey& remove) const;
  Evaluation propose(DeletePrefix& remove) const;
  Evaluation propose(WriteBatch& batch) const;
  void finish(Evaluation& evaluation, std::vector<Record> tokens, const Call& call, const Room& room) const;
  std::optional<Failed> no_room_for(const std::vector<Record>& effects, const Room& room) const;

  const Log& log_;
  const Store& store_;
  Tail tail_;
};

}  // namespace kvd
