// A snapshot file in the making, and one that is read. The writer works on NAME.tmp until the snapshot is whole; the
// reader takes nothing for true that its foot and its checksums do not confirm. Used by the journal and by inspection.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "journal/journal_format.hpp"

namespace kvd {

class SnapshotWriter {
 public:
  SnapshotWriter(Files& files, uint64_t generation, const DiskSnapshotBegin& begin);

  // Each of them: after no_space give_up() is what remains.
  FileResult begin(const DiskFacts& facts);
  FileResult add(const std::vector<Record>& items);
  // Ends and syncs the temporary file. `foot` without what is counted here.
  FileResult finish(SnapshotFoot foot);
  FileResult publish();  // gives it its name: from here on it counts
  FileResult give_up();

  uint64_t number() const { return begin_.number; }
  LogPosition base() const { return begin_.base; }
  std::string name() const { return snapshot_name(generation_, begin_.base.revision); }

 private:
  std::string temporary() const { return temporary_name(name()); }
  FileResult add_frame(FrameKind kind, std::string& bytes);

  Files& files_;
  uint64_t generation_;
  DiskSnapshotBegin begin_;
  uint64_t offset_ = 0;
  uint64_t synced_ = 0;  // bytes
  uint64_t frames_ = 0;
  uint64_t items_ = 0;
  uint64_t checksums_ = 0;
};

class SnapshotReader {
 public:
  SnapshotReader(Files& files, uint64_t generation, Revision base, uint64_t size, uint64_t chunk);

  // Head and foot; then the parts, one after another. `wrong` says what is the matter with the file, once and for all.
  FileResult open(std::string& wrong);
  // The items of the next part. Sets end() when there is none left and the whole file was confirmed.
  FileResult next(std::vector<Record>& items, std::string& wrong);

  const SnapshotHead& head() const { return head_; }
  const SnapshotFoot& foot() const { return foot_; }
  bool end() const { return end_; }
  uint64_t offset() const { return frames_.offset(); }
  const std::string& name() const { return frames_.name(); }

 private:
  void confirm(std::string& wrong);

  Files& files_;
  Revision base_;
  uint64_t seed_;
  FrameFile frames_;
  SnapshotHead head_;
  SnapshotFoot foot_;
  uint64_t parts_ = 0;
  uint64_t items_ = 0;
  uint64_t checksums_ = 0;
  bool end_ = false;
};

}  // namespace kvd
