// See journal_log.hpp.
#include "journal/journal_log.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace kvd {

FileResult replace_facts(Files& files, const JournalRoot& root) {
  if (FileResult error = files.remove(kFactsTemporary)) return error;
  FileResult error = files.create(kFactsTemporary, 0);
  if (!error) error = files.write(kFactsTemporary, 0, encode_root(root));
  if (error) {
    if (error->no_space) files.remove(kFactsTemporary);  // a failure of this shows when it is tried again
    return error;
  }
  if (FileResult failed = files.sync(kFactsTemporary)) return FileError{false, failed->what};
  if (FileResult failed = files.rename(kFactsTemporary, kFactsName)) return FileError{false, failed->what};
  return {};
}

Revision newest_entry(const std::vector<DiskRecord>& records) {
  Revision newest;
  for (const DiskRecord& record : records) {
    if (const auto* entry = std::get_if<EntryPointer>(&record)) newest = std::max(newest, (*entry)->revision);
  }
  return newest;
}

JournalLog::JournalLog(Files& files, const JournalOptions& options, uint64_t generation, uint64_t opening)
    : files_(files),
      mode_(options.sync),
      segment_bytes_(options.segment_bytes),
      generation_(generation),
      opening_(opening) {}

void JournalLog::resume(std::vector<Segment> segments, uint64_t number, uint64_t next_sequence) {
  segments_ = std::move(segments);
  first_number_ = number;
  next_ = next_sequence;
  written_ = synced_ = newest_data_ = marked_ = next_ - 1;  // the facts say so too
  for (const Segment& segment : segments_) newest_ = std::max(newest_, segment.newest);
  newest_written_ = newest_;
}

FileResult JournalLog::create(uint64_t number, uint64_t bytes) {
  const std::string name = segment_name(generation_, number);
  FileResult error = files_.create(name, bytes);
  if (error && error->no_space)
    files_.remove(name);  // what there is of it; of no use, and shows again if it cannot
  return error;
}

FileResult JournalLog::open() {
  if (!segments_.empty()) return {};
  if (FileResult error = create(first_number_, segment_bytes_)) return error;
  segments_.push_back(Segment{first_number_, next_, segment_bytes_, 0, Revision()});
  return {};
}

// Room for the closing frame always stays.
bool JournalLog::fits(uint64_t bytes) const {
  const Segment& segment = segments_.back();
  return segment.end + buffer_.size() + bytes + kFrameHead <= segment.size;
}

FileResult JournalLog::drop(FileError error) {
  buffer_.clear();
  next_ = written_ + 1;
  newest_ = newest_written_;
  return error;
}

FileResult JournalLog::append(const std::vector<DiskRecord>& records) {
  if (records.empty()) return {};
  CHECK(!segments_.empty());
  std::string payload;
  encode_records(records, payload);
  if (FileResult error = add_frame(FrameKind::kRecords, payload)) return error;
  const Revision newest = newest_entry(records);
  tail().newest = std::max(tail().newest, newest);
  newest_ = std::max(newest_, newest);
  return {};
}

FileResult JournalLog::add_frame(FrameKind kind, std::string_view payload) {
  if (!fits(kFrameHead + payload.size())) {
    if (FileResult error = write()) return error;
    if (FileResult error = roll(kFrameHead + payload.size())) return drop(*error);
  }
  const size_t start = begin_frame(buffer_);
  buffer_ += payload;
  finish_frame(buffer_, start, FrameHead{kind, next_++, synced_, opening_}, frame_seed(name_of(tail())));
  return {};
}

// The closing frame is written once its successor exists: a missing one is then known to be lost.
FileResult JournalLog::roll(uint64_t bytes) {
  CHECK(buffer_.empty());
  const uint64_t number = tail().number + 1;
  const uint64_t needed = std::max(segment_bytes_, bytes + kFrameHead);
  if (prepared_bytes_ != 0 && prepared_bytes_ < needed) {
    prepared_bytes_ = 0;
    if (FileResult error = files_.remove(segment_name(generation_, number))) return error;
  }
  if (prepared_bytes_ == 0) {
    if (FileResult error = create(number, needed)) return error;
    prepared_bytes_ = needed;
  }
  std::string frame;
  const size_t start = begin_frame(frame);
  finish_frame(frame, start, FrameHead{FrameKind::kClosing, next_, synced_, opening_},
               frame_seed(name_of(tail())));
  if (FileResult error = files_.write(name_of(tail()), tail().end, frame)) return error;
  dirty_.insert(tail().number);
  tail().end += frame.size();
  written_ = next_++;
  marked_ = synced_;
  // The tail alone may be less safe than the others, whatever --sync says.
  if (mode_ != JournalOptions::Sync::kAlways) {
    if (FileResult error = sync()) return error;
  }
  segments_.push_back(Segment{number, next_, prepared_bytes_, 0, Revision()});
  prepared_bytes_ = 0;
  return {};
}

FileResult JournalLog::write() {
  if (buffer_.empty()) return {};
  if (FileResult error = files_.write(name_of(tail()), tail().end, buffer_)) return drop(*error);
  dirty_.insert(tail().number);
  tail().end += buffer_.size();
  buffer_.clear();
  written_ = next_ - 1;
  marked_ = synced_;
  newest_written_ = newest_;
  newest_data_ = written_;
  return {};
}

FileResult JournalLog::sync() {
  for (uint64_t number : dirty_) {
    if (FileResult error = files_.sync(segment_name(generation_, number)))
      return FileError{false, error->what};
  }
  dirty_.clear();
  synced_ = written_;
  return {};
}

FileResult JournalLog::mark() {
  CHECK(buffer_.empty());
  if (segments_.empty() || synced_ < newest_data_ || marked_ >= newest_data_) return {};
  if (FileResult error = add_frame(FrameKind::kMark, {})) return error;
  const uint64_t data = newest_data_;
  if (FileResult error = write()) return error;
  newest_data_ = data;
  return {};
}

FileResult JournalLog::prepare() {
  if (segments_.empty() || prepared_bytes_ != 0 || tail().end < tail().size / 2) return {};
  if (FileResult error = create(tail().number + 1, segment_bytes_)) return error;
  prepared_bytes_ = segment_bytes_;
  return {};
}

const JournalLog::Segment& JournalLog::first_behind(Revision base) const {
  for (const Segment& segment : segments_) {
    if (segment.newest > base) return segment;
  }
  return segments_.back();
}

FileResult JournalLog::remove_before(uint64_t number) {
  while (!segments_.empty() && segments_.front().number < number) {
    if (FileResult error = files_.remove(name_of(segments_.front()))) return error;
    dirty_.erase(segments_.front().number);
    segments_.erase(segments_.begin());
  }
  return {};
}

FileResult JournalLog::remove_all() {
  if (prepared_bytes_ != 0) {
    if (FileResult error = files_.remove(segment_name(generation_, tail().number + 1))) return error;
    prepared_bytes_ = 0;
  }
  return remove_before(UINT64_MAX);
}

}  // namespace kvd
