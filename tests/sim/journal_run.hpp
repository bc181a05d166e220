// One journal's life after life on a disk that fails, drawn from a seed: a node's orders in random batches, ends of the
// process and of the power anywhere, and after each of them what the next life finds, judged by the model.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "journal/journal.hpp"
#include "journal_model.hpp"
#include "sim_files.hpp"

namespace kvd::sim {

class JournalRun {
 public:
  // With a trace it tells on stdout what happens.
  explicit JournalRun(uint64_t seed, bool traced = false, Lie lie = Lie::kNone);
  // What went wrong, if anything.
  std::optional<std::string> run();

  struct Counts {  // that a run is not an empty one
    uint64_t lives = 0, opened = 0, intact = 0, usable = 0, entries = 0, snapshots = 0, refused = 0,
             failures = 0;
    uint64_t syncs = 0, torn = 0, closed = 0;
    Counts& operator+=(const Counts& other);
    std::string text() const;
  };
  const Counts& counts() const { return counts_; }

 private:
  enum class Faults { kNone, kSpace, kErrors, kDamage };

  // ---- lives ----
  void life();
  void last_life();
  bool open();
  bool read_all(JournalModel::Opened& opened);
  void establish(const JournalModel::Opened& opened);
  void end_life();
  void damage();
  void plan_faults();

  // ---- a node's orders ----
  void step();
  void write();
  DiskRecord record();
  void keep(bool another);
  void begin_snapshot(bool fresh);
  void continue_snapshot();
  void flush(size_t orders);
  bool settle();  // until everything is answered; false: it takes for ever, or the life is over
  void perform(std::vector<DiskOrder> orders);
  void hear(const std::vector<DiskAnswer>& answers);
  void idle();
  LogPosition position(Revision revision) const;
  Revision last() const;

  void fail(std::string why);
  void say(const std::string& what);
  bool over() const { return failure_.has_value() || dead_; }

  Prng prng_;
  bool traced_;
  SimFiles files_;
  JournalModel model_;
  JournalOptions options_;
  Faults faults_ = Faults::kNone;
  bool values_large_ = false;
  std::unique_ptr<Journal> journal_;
  std::optional<std::string> failure_;
  Counts counts_;

  // the disk's past
  bool damaged_ = false;         // ever
  JournalModel::Excuse damage_;  // since the journal was last opened
  bool renounced_ = false;       // the journal said that it is not intact, and no other life has begun yet
  bool power_lost_ = false;      // since the journal was last opened or closed
  bool errors_due_ = false;      // in this life a call may fail
  bool closed_ = false;
  uint64_t boot_ = 1;

  // the node
  bool dead_ = false;
  DiskFacts facts_;
  LogPosition base_;               // of the generation, or of a later snapshot
  std::vector<EntryPointer> log_;  // behind base_
  Revision committed_;
  Epoch epoch_{1};
  uint64_t writes_ = 0;
  uint64_t snapshots_ = 0;
  uint64_t marks_ = 0;  // makes every entry and item another one
  bool snapshot_open_ = false;
  bool fresh_ = false;  // the generation's first snapshot is not done
  bool fresh_refused_ = false;
  bool low_ = false;
  std::string last_key_;
  std::vector<DiskOrder> orders_;  // not performed yet
};

}  // namespace kvd::sim
