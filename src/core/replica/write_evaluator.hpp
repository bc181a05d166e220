// What a write leads to, decided once, on the leader: against the newest state, which is the tail of its log over the
// committed store. What is replicated is the effect (rule 8). Pure: it says what is to be appended and answered. It
// knows no roles, asks nobody, and sends nothing.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "core/replica/evaluation.hpp"
#include "core/replica/expiry.hpp"
#include "core/replica/log.hpp"
#include "core/replica/store.hpp"
#include "core/replica/tail.hpp"
#include "msg/access_table.hpp"
#include "msg/client.hpp"

namespace kvd {

class WriteEvaluator {
 public:
  struct Room {  // what makes the data grow needs it, in memory and on the leader's disk; and the time
    uint64_t memory_max = 0;
    bool disk_low = false;
    size_t value_bytes_max = 1u << 20;  // no value gets larger by what is appended to it
    uint64_t clock = 0;                 // the log's, ms
    uint64_t wall_ms = 0;               // since 1970
  };

  // What of the log is behind `committed` is its tail. Log and store outlive this, and meanwhile the store's views of
  // queues are of the log's end.
  WriteEvaluator(const Log& log, Store& store, Revision committed);
  WriteEvaluator(const WriteEvaluator&) = delete;
  WriteEvaluator& operator=(const WriteEvaluator&) = delete;
  ~WriteEvaluator();

  // A retry gets the first answer. None: it is no retry.
  std::optional<Evaluation> recall(const WriteCall& call, uint64_t clock) const;
  Evaluation evaluate(WriteCall& call, const Room& room) const;
  // What is to end at this time of the log's clock. Empty: nothing.
  std::vector<Record> expire(const Room& room) const { return expired(view(room)); }

  // What becomes of the log, entry by entry.
  void note_appended(const Entry& entry);
  void note_committed(const Entry& entry) { tail_.drop(entry); }
  const Tail& tail() const { return tail_; }
  // Who may do what at the log's end. Valid until the next entry.
  const AccessTable& access();

 private:
  WriteView view(const Room& room) const {
    return {store_, tail_, log_.last().revision.next(), room.value_bytes_max, room.clock, room.wall_ms};
  }
  const Record* latest(std::string_view key, Space space) const;
  std::optional<Failed> no_room_for(const std::vector<Record>& effects, size_t results,
                                    const Room& room) const;

  const Log& log_;
  Store& store_;
  Tail tail_;
  AccessTablePointer access_;  // null: to be made
};

}  // namespace kvd
