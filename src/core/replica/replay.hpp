// The data as a directory holds it: the snapshot and the log behind it, put together from what the disk reads, and
// judged whether they fit. A plain object of whoever reads a directory: a start (recovery.hpp), inspection and export.
#pragma once
#include <string>

#include "core/replica/log.hpp"
#include "core/replica/store.hpp"
#include "msg/disk.hpp"

namespace kvd {

struct Replayed {
  Store store;  // at `commit`
  Log log;
  Revision commit;         // the last entry that is known to be committed
  uint64_t log_bytes = 0;  // about; read behind the snapshot
};

class Replay {
 public:
  // Of `into`, which outlives it, only this changes anything before finish().
  explicit Replay(Replayed& into) : into_(into) {}

  // What DiskRead brings, in its order. Of the committed entries about `retained` stay in the log.
  void begin(const DiskFound& found);
  void take(DiskPart& part, size_t retained);
  void finish();

  // Of finish(): why the snapshot and the log are not one server's data. Empty: they are.
  const std::string& wrong() const { return wrong_; }

 private:
  void take(const DiskRecord& record);
  void advance(Revision commit);
  void check_snapshot();
  void fail(std::string wrong);

  Replayed& into_;
  Revision snapshot_end_;
  uint64_t snapshot_digest_ = 0;
  uint64_t digest_ = 0;   // the last one that was compared with it
  Revision hint_;         // the newest DiskCommit's
  bool checked_ = false;  // the snapshot's digest came out right
  std::string wrong_;
};

// A new lineage had begun in the directory, and what belongs to it was not yet in place: the data are those of one
// before.
bool holds_former_lineage(const DiskFound& found);

}  // namespace kvd
