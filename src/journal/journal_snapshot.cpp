// See journal_snapshot.hpp.
#include "journal/journal_snapshot.hpp"

#include <fmt/format.h>

namespace kvd {
namespace {

// Synced on the way, so that the log never waits for more than this.
constexpr uint64_t kSyncBytes = 1u << 20;

}  // namespace

SnapshotWriter::SnapshotWriter(Files& files, uint64_t generation, const DiskSnapshotBegin& begin)
    : files_(files), generation_(generation), begin_(begin) {}

FileResult SnapshotWriter::begin(const DiskFacts& facts) {
  if (FileResult error = files_.remove(temporary())) return error;
  if (FileResult error = files_.create(temporary(), 0)) return error;
  std::string bytes;
  begin_frame(bytes);
  encode_snapshot_head(SnapshotHead{kJournalFormat, facts, begin_.base, begin_.clock}, bytes);
  return add_frame(FrameKind::kSnapshotHead, bytes);
}

FileResult SnapshotWriter::add(const std::vector<Record>& items) {
  if (items.empty()) return {};
  std::string bytes;
  begin_frame(bytes);
  encode_items(items, bytes);
  items_ += items.size();
  return add_frame(FrameKind::kSnapshotItems, bytes);
}

FileResult SnapshotWriter::add_frame(FrameKind kind, std::string& bytes) {
  const uint64_t checksum = finish_frame(bytes, 0, FrameHead{kind, frames_, 0, 0}, frame_seed(name()));
  if (FileResult error = files_.write(temporary(), offset_, bytes)) return error;
  offset_ += bytes.size();
  ++frames_;
  checksums_ = chain_checksums(checksums_, checksum);
  if (offset_ - synced_ < kSyncBytes) return {};
  synced_ = offset_;
  if (FileResult error = files_.sync(temporary())) return FileError{false, error->what};
  return {};
}

FileResult SnapshotWriter::finish(SnapshotFoot foot) {
  foot.parts = frames_ - 1;
  foot.items = items_;
  foot.checksums = checksums_;
  std::string bytes;
  begin_frame(bytes);
  encode_snapshot_foot(foot, bytes);
  if (FileResult error = add_frame(FrameKind::kSnapshotFoot, bytes)) return error;
  if (FileResult error = files_.sync(temporary())) return FileError{false, error->what};
  return {};
}

FileResult SnapshotWriter::publish() {
  if (FileResult error = files_.rename(temporary(), name())) return FileError{false, error->what};
  return {};
}

FileResult SnapshotWriter::give_up() { return files_.remove(temporary()); }

SnapshotReader::SnapshotReader(Files& files, uint64_t generation, Revision base, uint64_t size,
                               uint64_t chunk)
    : files_(files),
      base_(base),
      seed_(frame_seed(snapshot_name(generation, base))),
      frames_(files, snapshot_name(generation, base), size, seed_, chunk) {}

FileResult SnapshotReader::open(std::string& wrong) {
  std::string bytes;
  if (frames_.size() >= kSnapshotFootSize) {
    if (FileResult error = files_.read(name(), frames_.size() - kSnapshotFootSize, kSnapshotFootSize, bytes))
      return error;
  }
  std::optional<Frame> last = parse_frame(bytes, seed_);
  if (!last || last->head.kind != FrameKind::kSnapshotFoot) {
    wrong = "has no valid end";
    return {};
  }
  Result<SnapshotFoot> foot = decode_snapshot_foot(*last);
  std::optional<Frame> first;
  if (FileResult error = frames_.next(first)) return error;
  if (!foot || !first || first->head.kind != FrameKind::kSnapshotHead || first->head.sequence != 0) {
    wrong = "has no valid beginning";
    return {};
  }
  Result<SnapshotHead> head = decode_snapshot_head(*first);
  if (!head || head->base.revision != base_) {
    wrong = "has a beginning that does not fit its name";
    return {};
  }
  head_ = std::move(*head);
  foot_ = *foot;
  checksums_ = chain_checksums(0, first->checksum);
  return {};
}

FileResult SnapshotReader::next(std::vector<Record>& items, std::string& wrong) {
  if (frames_.offset() == frames_.size() - kSnapshotFootSize) {
    confirm(wrong);
    return {};
  }
  const uint64_t offset = frames_.offset();
  std::optional<Frame> frame;
  if (FileResult error = frames_.next(frame)) return error;
  if (!frame || frame->head.kind != FrameKind::kSnapshotItems || frame->head.sequence != parts_ + 1) {
    wrong = fmt::format("is damaged at byte {}", offset);
    return {};
  }
  Result<std::vector<Record>> part = decode_items(*frame);
  if (!part) {
    wrong = fmt::format("holds at byte {} what cannot be read: {}", offset, part.error().detail);
    return {};
  }
  ++parts_;
  items_ += part->size();
  checksums_ = chain_checksums(checksums_, frame->checksum);
  items = std::move(*part);
  return {};
}

void SnapshotReader::confirm(std::string& wrong) {
  if (parts_ != foot_.parts || items_ != foot_.items || checksums_ != foot_.checksums) {
    wrong = "does not hold what its end says";
  }
  end_ = true;
}

}  // namespace kvd
