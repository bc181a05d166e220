// What a node does before anything else when it has a disk: reads what the life before has left, and settles who this
// server is now. A plain object owned by the node; while it is at work no other actor runs.
//
// The identity of the life before goes on only where the disk is sure to have everything that was ever called safe.
// Otherwise this is another incarnation (rule 2): it keeps what it can use, joins like any newcomer, and is not counted
// as a holder of what the former one acknowledged.
#pragma once
#include <optional>
#include <string>

#include "core/outbox.hpp"
#include "core/replica/progress.hpp"
#include "core/replica/replay.hpp"

namespace kvd {

class Recovery {
 public:
  explicit Recovery(Outbox& out) : out_(out), progress_(out, "reads its data directory", "bytes") {}
  Recovery(const Recovery&) = delete;
  Recovery& operator=(const Recovery&) = delete;

  void start();
  void on(DiskAnswer answer);
  void on_time();
  Instant deadline() const;

  // Then the rest may be taken, once.
  bool done() const { return phase_ == Phase::kDone; }
  struct Found : Replayed {
    DiskFacts facts;               // as they are on disk now: who this server is
    uint64_t snapshot_number = 0;  // the last one used
  };
  Found take() { return std::move(found_); }
  const Progress& progress() const { return progress_; }

 private:
  enum class Phase { kReading, kKeeping, kDone };

  bool refuse(const DiskFacts& facts);
  void on_found(DiskFound& found);
  void on_part(DiskPart& part);
  void on_opened(const DiskOpened& opened);
  bool former_lineage() const;
  void begin_empty();
  void keep();

  Outbox& out_;
  Phase phase_ = Phase::kReading;
  Progress progress_;
  Found found_;
  Replay replay_{found_};
  DiskFound snapshot_;
  bool begins_empty_ = false;
  bool kept_ = false;
  bool emptied_ = false;
  Instant empty_again_at_ = kNever;
};

}  // namespace kvd
