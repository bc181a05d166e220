// See backup.hpp.
#include "core/replica/backup.hpp"

#include <fmt/format.h>

#include <utility>

#include "msg/limits.hpp"

namespace kvd {
namespace {

uint64_t backup_seed() { return frame_seed("backup"); }

}  // namespace

// ---- writing ----

void BackupWriter::add(const SnapshotPart& part, std::string& out) {
  if (frames_ == 0) {
    size_t start = begin_frame(out);
    DiskFacts facts{part.cluster, part.lineage, part.at.epoch, part.from};
    encode_snapshot_head(SnapshotHead{kJournalFormat, std::move(facts), part.at, part.clock}, out);
    add_frame(FrameKind::kSnapshotHead, out, start);
  }
  if (!part.entries.empty()) {
    size_t start = begin_frame(out);
    encode_entries(part.entries, out);
    add_frame(FrameKind::kBackupEntries, out, start);
  }
  if (!part.items.empty()) {
    size_t start = begin_frame(out);
    encode_items(part.items, out);
    items_ += part.items.size();
    add_frame(FrameKind::kSnapshotItems, out, start);
  }
  if (part.more) return;
  SnapshotFoot foot;
  foot.parts = frames_ - 1;
  foot.items = items_;
  foot.revision = part.at.revision;
  foot.digest = part.digest;
  foot.checksums = checksums_;
  size_t start = begin_frame(out);
  encode_snapshot_foot(foot, out);
  add_frame(FrameKind::kSnapshotFoot, out, start);
}

void BackupWriter::add_frame(FrameKind kind, std::string& out, size_t start) {
  checksums_ =
      chain_checksums(checksums_, finish_frame(out, start, FrameHead{kind, frames_, 0, 0}, backup_seed()));
  ++frames_;
}

// ---- reading ----

bool begins_like_backup(std::string_view bytes) {
  return frame_size(bytes) != 0 && static_cast<FrameKind>(bytes[kFrameHead - 1]) == FrameKind::kSnapshotHead;
}

void BackupReader::fail(std::string wrong) {
  if (wrong_.empty()) wrong_ = std::move(wrong);
}

const std::string& BackupReader::feed(std::string_view bytes) {
  buffer_ += bytes;
  size_t done = 0;
  while (wrong_.empty() && !ended_) {
    std::string_view rest = std::string_view(buffer_).substr(done);
    if (rest.size() < kFrameHead) break;
    const uint64_t size = frame_size(rest);
    const bool bounded = size != 0 && size <= limits::kFrameBytes;
    if (bounded && rest.size() < size) break;
    std::optional<Frame> frame = bounded ? parse_frame(rest, backup_seed()) : std::nullopt;
    if (!frame && offset_ == 0 && done == 0) {
      take_head(rest);
    } else if (!frame || frame->head.sequence != frames_) {
      fail(fmt::format("is damaged at byte {}", offset_ + done));
    } else {
      take(*frame);
    }
    done += size;
  }
  if (wrong_.empty()) {
    buffer_.erase(0, done);
    offset_ += done;
    if (ended_ && !buffer_.empty()) fail("goes on behind its end");
  } else {
    std::string().swap(buffer_);
  }
  return wrong_;
}

// The first frame is not a backup's.
void BackupReader::take_head(std::string_view bytes) {
  if (begins_like_backup(bytes)) {
    fail(
        "has a damaged beginning, or comes out of a data directory: such a snapshot is whole only with its "
        "log; take "
        "one with GET /v1/snapshot");
  } else {
    fail("is no snapshot of kvd's");
  }
}

void BackupReader::take(const Frame& frame) {
  if ((frames_ == 0) != (frame.head.kind == FrameKind::kSnapshotHead)) {
    fail(fmt::format("has a part out of place at byte {}", offset_));
    return;
  }
  switch (frame.head.kind) {
    case FrameKind::kSnapshotHead: {
      Result<SnapshotHead> head = decode_snapshot_head(frame);
      if (!head) {
        fail("has a beginning of another version");
        break;
      }
      head_ = std::move(*head);
      at_ = head_.base.revision;
      store_.reach_clock(head_.clock);
      break;
    }
    case FrameKind::kSnapshotItems:
      take_items(frame);
      break;
    case FrameKind::kBackupEntries:
      take_entries(frame);
      break;
    case FrameKind::kSnapshotFoot:
      take_foot(frame);
      break;
    case FrameKind::kRecords:
    case FrameKind::kMark:
    case FrameKind::kClosing:
    case FrameKind::kZnodes:
      fail("holds a part of a log");
      break;
  }
  ++frames_;
  checksums_ = chain_checksums(checksums_, frame.checksum);
  if (store_.bytes() > store_bytes_max_ && wrong_.empty()) {
    too_large_ = true;
    fail(fmt::format("holds more than {} bytes", store_bytes_max_));
  }
}

void BackupReader::take_items(const Frame& frame) {
  Result<std::vector<Record>> items = decode_items(frame);
  if (!items) return fail("holds what cannot be read: " + items.error().detail);
  for (Record& item : *items) {
    const std::pair<Space, std::string_view> before(space_, last_);
    if (std::pair(item.space(), item.key()) <= before) return fail("holds keys out of order");
    space_ = item.space();
    last_ = item.key();
    ++items_;
    store_.put(std::move(item));
  }
}

void BackupReader::take_entries(const Frame& frame) {
  Result<std::vector<EntryPointer>> entries = decode_entries(frame);
  if (!entries) return fail("holds what cannot be read: " + entries.error().detail);
  for (const EntryPointer& entry : *entries) {
    if (entry->revision != at_.next())
      return fail(fmt::format("has revision {} behind {}", entry->revision.value, at_.value));
    at_ = entry->revision;
    store_.apply(*entry);
  }
}

void BackupReader::take_foot(const Frame& frame) {
  Result<SnapshotFoot> foot = decode_snapshot_foot(frame);
  if (!foot) return fail("has an end that cannot be read: " + foot.error().detail);
  foot_ = *foot;
  ended_ = true;
  if (foot_.parts != frames_ - 1 || foot_.items != items_ || foot_.checksums != checksums_) {
    fail("does not hold what its end says");
  } else if (foot_.revision != at_) {
    fail(fmt::format("ends at revision {}, but its end says {}", at_.value, foot_.revision.value));
  } else if (foot_.digest != store_.digest()) {
    fail(fmt::format("has the digest {:016x}, but its end says {:016x}", store_.digest(), foot_.digest));
  }
}

const std::string& BackupReader::finish() {
  if (!ended_) fail(bytes() == 0 ? "is empty" : "is cut off: its end is missing");
  return wrong_;
}

}  // namespace kvd
