// See journal_recovery.hpp.
#include "journal/journal_recovery.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kvd {
namespace {

using Kind = JournalName::Kind;

bool is_log_kind(FrameKind kind) {
  return kind == FrameKind::kRecords || kind == FrameKind::kMark || kind == FrameKind::kClosing;
}

bool is_zero(std::string_view bytes) { return bytes.find_first_not_of('\0') == std::string_view::npos; }

std::string listed(const std::vector<std::string>& names) {
  constexpr size_t kShown = 3;
  std::string text;
  for (size_t i = 0; i < std::min(kShown, names.size()); ++i)
    text += (i == 0 ? "" : ", ") + damaged_name(names[i]);
  if (names.size() > kShown) text += fmt::format(" and {} more", names.size() - kShown);
  return text;
}

}  // namespace

JournalRecovery::JournalRecovery(Files& files, const JournalOptions& options)
    : files_(files), options_(options) {}

FileResult JournalRecovery::read(std::vector<DiskAnswer>& answers) {
  if (stage_ == Stage::kStart) {
    DiskFound found;
    if (FileResult error = start(found)) return error;
    answers.push_back(std::move(found));
    return {};
  }
  if (judged()) {
    if (FileResult error = put_in_order()) return error;
    stage_ = Stage::kDone;
    answers.push_back(verdict());
    return {};
  }
  DiskPart part;
  const uint64_t until = bytes_ + options_.read_bytes;
  while (bytes_ < until && (stage_ == Stage::kSnapshot || stage_ == Stage::kLog)) {
    if (FileResult error = stage_ == Stage::kSnapshot ? read_snapshot(part) : read_log(part)) return error;
  }
  part.bytes = bytes_;
  answers.push_back(std::move(part));  // empty after a long stretch of frames without records, or at the end
  return {};
}

// ---- reading ----

void JournalRecovery::lose(const std::string& why) {
  if (lost_.empty()) lost_ = why;
  stage_ = Stage::kPutInOrder;
}

void JournalRecovery::lose_all(const std::string& why) {
  unusable_ = true;
  lose(why);
}

FileResult JournalRecovery::start(DiskFound& answer) {
  std::vector<Files::Info> files;
  if (FileResult error = files_.list(files)) return error;
  for (const Files::Info& file : files) all_[file.name] = file.size;
  if (FileResult error = read_facts()) return error;
  answer.facts = root_.facts;
  if (stage_ == Stage::kPutInOrder) return {};
  stage_ = Stage::kLog;
  if (FileResult error = open_snapshot(answer)) return error;
  find_segments();
  if (unusable_) return {};
  answer.bytes = snapshot_ ? all_[snapshot_->name()] : 0;
  for (const JournalLog::Segment& segment : segments_) answer.bytes += segment.size;
  if (snapshot_) stage_ = Stage::kSnapshot;
  return {};
}

FileResult JournalRecovery::read_facts() {
  uint64_t newest = 0;  // generation
  bool data = false;
  for (const auto& [name, size] : all_) {
    const JournalName parsed = parse_journal_name(name);
    newest = std::max(newest, parsed.generation);
    data = data || parsed.kind == Kind::kSegment || parsed.kind == Kind::kSnapshot ||
           parsed.kind == Kind::kDamaged;
  }
  if (all_.count(kFactsName) == 0) {
    root_.generation = newest + 1;
    if (data) lose_all("facts is missing");
    facts_readable_ = !data;
    return {};
  }
  std::string bytes;
  if (FileResult error = files_.read(kFactsName, 0, all_[kFactsName], bytes)) return error;
  Result<JournalRoot> root = decode_root(bytes, newer_);
  if (newer_) {
    return FileError{false,
                     fmt::format("this directory was written by a newer kvd ({})", root.error().detail)};
  }
  if (!root) {
    root_.generation = newest + 1;
    lose_all(fmt::format("facts is unreadable: {}", root.error().detail));
    return {};
  }
  root_ = std::move(*root);
  facts_readable_ = true;
  safe_ = root_.safe;
  return {};
}

FileResult JournalRecovery::open_snapshot(DiskFound& answer) {
  const JournalName* newest = nullptr;
  JournalName found;
  for (const auto& [name, size] : all_) {
    const JournalName parsed = parse_journal_name(name);
    if (parsed.kind != Kind::kSnapshot || parsed.generation != root_.generation) continue;
    found = parsed;
    newest = &found;
  }
  if (newest == nullptr) {
    if (root_.snapshot) lose_all(fmt::format("the snapshot of generation {} is missing", root_.generation));
    return {};
  }
  const Revision base(newest->number);
  const uint64_t size = all_[snapshot_name(root_.generation, base)];
  snapshot_ = std::make_unique<SnapshotReader>(files_, root_.generation, base, size, options_.read_bytes);
  std::string wrong;
  if (FileResult error = snapshot_->open(wrong)) return error;
  if (!wrong.empty()) {
    lose_all(fmt::format("{} {}", snapshot_->name(), wrong));
    return {};
  }
  anything_ = true;
  first_number_ = snapshot_->foot().segment;
  next_ = snapshot_->foot().sequence;
  safe_ = std::max(safe_, snapshot_->foot().through);
  answer.base = snapshot_->head().base;
  answer.clock = snapshot_->head().clock;
  answer.snapshot_end = snapshot_->foot().revision;
  answer.snapshot_digest = snapshot_->foot().digest;
  return {};
}

void JournalRecovery::find_segments() {
  for (const auto& [name, size] : all_) {
    const JournalName parsed = parse_journal_name(name);
    if (parsed.kind != Kind::kSegment || parsed.generation != root_.generation) continue;
    if (parsed.number < first_number_) continue;
    segments_.push_back(JournalLog::Segment{parsed.number, 0, size, 0, Revision()});
  }
  if (!unusable_ && !segments_.empty() && segments_.front().number == first_number_) open_segment();
}

void JournalRecovery::open_segment() {
  JournalLog::Segment& segment = segments_[at_];
  segment.first = next_;
  const std::string name = segment_name(root_.generation, segment.number);
  frames_ = std::make_unique<FrameFile>(files_, name, segment.size, frame_seed(name), options_.read_bytes);
}

FileResult JournalRecovery::read_snapshot(DiskPart& part) {
  std::vector<Record> items;
  std::string wrong;
  const uint64_t before = snapshot_->offset();
  if (FileResult error = snapshot_->next(items, wrong)) return error;
  bytes_ += snapshot_->offset() - before;
  if (!wrong.empty()) {
    lose_all(fmt::format("{} {}", snapshot_->name(), wrong));
    return {};
  }
  std::move(items.begin(), items.end(), std::back_inserter(part.items));
  if (snapshot_->end()) stage_ = Stage::kLog;
  return {};
}

FileResult JournalRecovery::read_log(DiskPart& part) {
  if (!frames_) return end_of_log();
  const uint64_t offset = frames_->offset();
  std::optional<Frame> frame;
  if (FileResult error = frames_->next(frame)) return error;
  // Nothing may be changed before look_behind() has judged: a valid frame out of its order ends the log as well.
  const bool next_one = frame && is_log_kind(frame->head.kind) && frame->head.sequence == next_ &&
                        frame->head.opening >= opening_ && take_frame(*frame, part);
  if (!next_one) {
    segments_[at_].end = offset;
    return end_of_log();
  }
  bytes_ += frames_->offset() - offset;
  segments_[at_].end = frames_->offset();
  if (frame->head.kind == FrameKind::kClosing) close_segment(offset);
  return {};
}

// Not taken: it is valid and yet cannot be read.
bool JournalRecovery::take_frame(const Frame& frame, DiskPart& part) {
  if (frame.head.kind == FrameKind::kRecords) {
    Result<std::vector<DiskRecord>> records = decode_records(frame);
    if (!records) {
      lose(fmt::format("frame {} in {} cannot be read: {}", next_, frames_->name(), records.error().detail));
      return false;
    }
    segments_[at_].newest = std::max(segments_[at_].newest, newest_entry(*records));
    anything_ = true;
    for (DiskRecord& record : *records) {
      if (is_behind_base(record)) part.records.push_back(std::move(record));
    }
  }
  safe_ = std::max(safe_, frame.head.safe);
  opening_ = frame.head.opening;
  ++next_;
  return true;
}

// The first segments also hold what the snapshot covers. A truncation into that leaves the base: what followed it is
// covered as well, up to the base.
bool JournalRecovery::is_behind_base(DiskRecord& record) const {
  const Revision base = snapshot_ ? snapshot_->head().base.revision : Revision();
  if (auto* cut = std::get_if<DiskTruncate>(&record)) cut->last = std::max(cut->last, base);
  const auto* entry = std::get_if<EntryPointer>(&record);
  return entry == nullptr || (*entry)->revision > base;
}

// The segment goes on in the next one. If that is missing, the log goes on in place of the closing frame.
void JournalRecovery::close_segment(uint64_t closing_frame) {
  const uint64_t number = segments_[at_].number + 1;
  if (at_ + 1 < segments_.size() && segments_[at_ + 1].number == number) {
    ++at_;
    return open_segment();
  }
  --next_;
  segments_[at_].end = closing_frame;
  lose(fmt::format("{} is missing", segment_name(root_.generation, number)));
}

FileResult JournalRecovery::end_of_log() {
  stage_ = Stage::kPutInOrder;
  if (frames_) {
    if (FileResult error = look_behind()) return error;
  } else if (root_.begun || !segments_.empty()) {
    lose(fmt::format("{} is missing", segment_name(root_.generation, first_number_)));
  }
  judge_boots();
  return {};
}

// Whether the frame that is expected here was lost rather than never finished.
FileResult JournalRecovery::look_behind() {
  const std::string here = fmt::format("{} at byte {}: frame {}", frames_->name(), segments_[at_].end, next_);
  if (safe_ >= next_) lose(fmt::format("{} is damaged or missing, and it had been safe", here));
  const LossEvidence evidence{next_, opening_};
  for (size_t i = at_; i < segments_.size() && lost_.empty(); ++i) {
    const std::string name = segment_name(root_.generation, segments_[i].number);
    if (segments_[i].number != segments_[at_].number + (i - at_)) {
      lose(fmt::format("a segment before {} is missing", name));
      return {};
    }
    std::optional<uint64_t> found;
    if (FileResult error = find_loss(files_, name, segments_[i].size, i == at_ ? segments_[i].end : 0,
                                     options_.read_bytes, evidence, found)) {
      return error;
    }
    if (found)
      lose(fmt::format("{} is damaged or missing, and {} at byte {} shows that it had been safe", here, name,
                       *found));
  }
  return {};
}

void JournalRecovery::judge_boots() {
  const bool same = !options_.boot.empty() && options_.boot == root_.boot;
  const bool open = facts_readable_ && root_.opening > 0 && !root_.closed;
  if (open && !same && root_.sync != JournalOptions::Sync::kAlways) {
    lose(
        "the machine has started anew since, and without --sync always the last writes may not have outlived "
        "that");
  }
}

// ---- putting in order ----

FileResult JournalRecovery::put_in_order() {
  unusable_ = is_unusable();
  if (!lost_.empty()) {
    if (FileResult error = record_loss()) return error;
  }
  if (FileResult error = remove_what_is_over()) return error;
  if (FileResult error = clear_behind()) return error;
  if (FileResult error = secure_tail()) return error;
  if (!facts_readable_ && all_.count(kFactsName) != 0) {
    if (FileResult error = copy_facts()) return error;
  }
  return begin_opening();
}

// What cannot be read stays in its place until there are other facts: without any, nothing would tell of a loss.
FileResult JournalRecovery::copy_facts() {
  const std::string copy = damaged_name(kFactsName);
  std::string bytes;
  if (FileResult error = files_.read(kFactsName, 0, all_[kFactsName], bytes)) return error;
  if (FileResult error = files_.remove(copy)) return error;
  if (FileResult error = files_.create(copy, 0)) return error;
  return files_.write(copy, 0, bytes);
}

// Before anything is cut: what proves the loss may be among it.
FileResult JournalRecovery::record_loss() {
  if (!recorded_) {
    recorded_ = true;
    aside_ = what_goes_aside();
    former_aside_goes_ = root_.lost.empty() && !aside_.empty();
    root_.lost = lost_ + (aside_.empty() ? "" : "; put aside: " + listed(aside_));
  }
  if (!facts_readable_) return {};
  if (FileResult error = replace_facts(files_, root_)) return error;
  for (auto it = all_.begin(); former_aside_goes_ && it != all_.end();) {
    const std::string name = (it++)->first;
    if (parse_journal_name(name).kind != Kind::kDamaged) continue;
    if (FileResult error = remove(name)) return error;
  }
  return {};
}

FileResult JournalRecovery::remove(const std::string& name) {
  all_.erase(name);
  return files_.remove(name);
}

FileResult JournalRecovery::remove_what_is_over() {
  for (auto it = all_.begin(); it != all_.end();) {
    const std::string name = (it++)->first;
    const JournalName parsed = parse_journal_name(name);
    const bool own = parsed.generation == root_.generation;
    bool over = parsed.kind == Kind::kTemporary;
    if (facts_readable_ && parsed.kind == Kind::kSegment) over = !own || parsed.number < first_number_;
    if (facts_readable_ && parsed.kind == Kind::kSnapshot)
      over = !own || (snapshot_ && name != snapshot_->name());
    if (!over) continue;
    if (FileResult error = remove(name)) return error;
  }
  return {};
}

std::vector<std::string> JournalRecovery::what_goes_aside() const {
  std::vector<std::string> names;
  for (const auto& [name, size] : all_) {
    const JournalName parsed = parse_journal_name(name);
    if (parsed.kind != Kind::kSegment && parsed.kind != Kind::kSnapshot) continue;
    if (facts_readable_ && parsed.generation != root_.generation) continue;
    const bool behind = parsed.kind == Kind::kSegment && parsed.number >= first_number_ &&
                        (!frames_ || parsed.number > segments_[at_].number);
    if (unusable_ || behind) names.push_back(name);
  }
  return names;
}

// What is behind the log's end must not be taken for its continuation later.
FileResult JournalRecovery::clear_behind() {
  for (const std::string& name : aside_) {
    if (all_.count(name) == 0) continue;
    if (FileResult error = files_.rename(name, damaged_name(name))) return FileError{false, error->what};
    all_.erase(name);
  }
  if (!frames_) return {};
  while (segments_.size() > at_ + 1) {
    const std::string name = segment_name(root_.generation, segments_.back().number);
    if (all_.count(name) != 0) {
      if (FileResult error = remove(name)) return error;
    }
    segments_.pop_back();
  }
  return {};
}

// After a failed sync the system may show bytes that the disk does not have: what is not known to be safe is written
// once more, and the rest of the segment is zeros again.
FileResult JournalRecovery::secure_tail() {
  if (!frames_ || unusable_) return {};
  size_t first = at_;
  while (first > 0 && segments_[first].first > safe_ + 1) --first;
  for (size_t i = first; i <= at_; ++i) {
    if (FileResult error = rewrite(segments_[i], i == first)) return error;
  }
  return {};
}

FileResult JournalRecovery::rewrite(JournalLog::Segment& segment, bool first) {
  const std::string name = segment_name(root_.generation, segment.number);
  FrameFile frames(files_, name, segment.size, frame_seed(name), options_.read_bytes);
  uint64_t offset = 0;
  for (uint64_t sequence = segment.first; first && sequence <= safe_ && frames.offset() < segment.end;
       ++sequence) {
    std::optional<Frame> frame;
    if (FileResult error = frames.next(frame)) return error;
    if (!frame) return FileError{false, fmt::format("{} does not stay as it was read", name)};
    offset = frames.offset();
  }
  bool changed = offset < segment.end;
  std::string bytes;
  for (; offset < segment.end; offset += bytes.size()) {
    if (FileResult error =
            files_.read(name, offset, std::min(options_.read_bytes, segment.end - offset), bytes))
      return error;
    if (bytes.empty()) return FileError{false, fmt::format("{} is shorter than it was", name)};
    if (FileResult error = files_.write(name, offset, bytes)) return error;
  }
  if (FileResult error = zero_rest(segment, changed)) return error;
  if (!changed) return {};
  if (FileResult error = files_.sync(name)) return FileError{false, error->what};
  return {};
}

FileResult JournalRecovery::zero_rest(const JournalLog::Segment& tail, bool& changed) {
  const std::string name = segment_name(root_.generation, tail.number);
  std::string bytes;
  for (uint64_t at = tail.end; at < tail.size; at += options_.read_bytes) {
    if (FileResult error = files_.read(name, at, std::min(options_.read_bytes, tail.size - at), bytes))
      return error;
    if (is_zero(bytes)) continue;
    changed = true;
    if (FileResult error = files_.write(name, at, std::string(bytes.size(), '\0'))) return error;
  }
  return {};
}

// From here on it is another run's directory.
FileResult JournalRecovery::begin_opening() {
  JournalRoot root = root_;
  found_ = Found();
  if (unusable_) {
    ++root.generation;
    root.begun = root.snapshot = false;
  } else {
    if (frames_) found_.segments = segments_;
    found_.number = first_number_;
    found_.next = next_;
  }
  root.safe = found_.next - 1;
  root.closed = false;
  root.begun = !found_.segments.empty();
  root.sync = options_.sync;
  root.boot = options_.boot;
  ++root.opening;
  found_.root = root;
  return replace_facts(files_, root);
}

// A snapshot is whole only with the log up to where it was ended.
bool JournalRecovery::is_unusable() const {
  return unusable_ || (snapshot_ && next_ <= snapshot_->foot().through);
}

DiskOpened JournalRecovery::verdict() const {
  DiskOpened opened;
  opened.why = recorded_ || lost_.empty() ? root_.lost : lost_;
  const bool empty = !anything_ && root_.facts == DiskFacts{};
  opened.intact = opened.why.empty() && !empty;
  opened.usable = opened.intact || (anything_ && !is_unusable());
  return opened;
}

}  // namespace kvd
