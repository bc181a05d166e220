// A backup: the store of one server in one stream of bytes, made while writes go on, in the format of a snapshot on
// disk (journal_format.hpp). Between the parts of the store stand the log's entries that were committed meanwhile. Who
// reads it applies entries and puts items in the order of the file, and so has, at the foot, the store at the foot's
// revision; its digest proves that. Bytes in and out only; used by the HTTP interface and by inspection.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/replica/store.hpp"
#include "journal/journal_format.hpp"

namespace kvd {

class BackupWriter {
 public:
  // Each appends to `out`. The parts come in the order in which ReadSnapshot got them; the head with the first one,
  // the foot with the last one.
  void add(const SnapshotPart& part, std::string& out);

  uint64_t items() const { return items_; }  // until now

 private:
  void add_frame(FrameKind kind, std::string& out, size_t start);

  uint64_t frames_ = 0;
  uint64_t items_ = 0;
  uint64_t checksums_ = 0;
};

class BackupReader {
 public:
  // A store that takes more (Store::bytes()) is refused.
  explicit BackupReader(uint64_t store_bytes_max = UINT64_MAX) : store_bytes_max_(store_bytes_max) {}

  // The next bytes, in pieces of any size. What is wrong with the file, once and for all; empty: nothing until now. It
  // keeps no more of the bytes than one frame.
  const std::string& feed(std::string_view bytes);
  // No more bytes come. Without anything wrong the store is what the server had at foot().revision.
  const std::string& finish();
  bool too_large() const { return too_large_; }  // that is what is wrong

  const SnapshotHead& head() const { return head_; }
  const SnapshotFoot& foot() const { return foot_; }
  const Store& store() const { return store_; }
  Store take_store() { return std::move(store_); }
  uint64_t bytes() const { return offset_ + buffer_.size(); }  // read

 private:
  void take(const Frame& frame);
  void take_head(std::string_view bytes);
  void take_items(const Frame& frame);
  void take_entries(const Frame& frame);
  void take_foot(const Frame& frame);
  void fail(std::string wrong);

  uint64_t store_bytes_max_;
  std::string wrong_;
  bool too_large_ = false;
  std::string buffer_;
  uint64_t offset_ = 0;  // of the buffer in the file
  uint64_t frames_ = 0;
  uint64_t items_ = 0;
  uint64_t checksums_ = 0;
  Space space_ = Space::kData;  // of the last item ...
  std::string last_;            // ... its key
  Revision at_;
  bool ended_ = false;
  SnapshotHead head_;
  SnapshotFoot foot_;
  Store store_;
};

// Whether a file that begins so may be a backup, or a snapshot that was copied out of a data directory.
bool begins_like_backup(std::string_view bytes);

}  // namespace kvd
