// What a start finds in the directory: reads it in parts, judges what is missing, and puts the directory in order
// before anything new is written. Used by journal.cpp; who only looks (journal_view.hpp) goes no further than reading.
//
// The judgement: the log ends at the first frame that is not valid. That is a torn tail, which nobody was ever told of,
// unless something proves that the frame had been safe (the facts, or any later frame's `safe`), or a file is missing.
// Then something is lost that was called safe. That verdict is written into the facts before anything is cut, and stays
// there until the facts name another life of this server: a crash in between must not make it look well again.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "journal/journal_log.hpp"
#include "journal/journal_snapshot.hpp"

namespace kvd {

class JournalRecovery {
 public:
  struct Found {
    JournalRoot root;
    std::vector<JournalLog::Segment> segments;
    uint64_t number = 1;  // without segments: that of the first one
    uint64_t next = 1;    // sequence
  };

  JournalRecovery(Files& files, const JournalOptions& options);

  // The next answer to DiskRead. Without space for the facts it is to be called again.
  FileResult read(std::vector<DiskAnswer>& answers);
  bool done() const { return stage_ == Stage::kDone; }

  // Everything was read and judged; until here nothing was changed. The next read() puts the directory in order.
  bool judged() const { return stage_ == Stage::kPutInOrder; }
  // From then on.
  DiskOpened verdict() const;
  const JournalRoot& root() const { return root_; }
  const std::string& loss() const { return lost_; }  // found now; empty: none
  bool facts_readable() const { return facts_readable_; }
  bool newer() const { return newer_; }  // a later version wrote it, which is an error of read()
  const Found& found() const { return found_; }

 private:
  enum class Stage : uint8_t { kStart, kSnapshot, kLog, kPutInOrder, kDone };

  // Reading: nothing is changed.
  FileResult start(DiskFound& answer);
  FileResult read_facts();
  FileResult open_snapshot(DiskFound& answer);
  void find_segments();
  FileResult read_snapshot(DiskPart& part);
  FileResult read_log(DiskPart& part);
  bool take_frame(const Frame& frame, DiskPart& part);
  bool is_behind_base(DiskRecord& record) const;
  void open_segment();
  void close_segment(uint64_t closing_frame);
  FileResult end_of_log();
  FileResult look_behind();
  void judge_boots();
  void lose(const std::string& why);
  void lose_all(const std::string& why);

  // Putting in order: each of these may be repeated.
  FileResult put_in_order();
  FileResult record_loss();
  FileResult remove_what_is_over();
  std::vector<std::string> what_goes_aside() const;
  FileResult clear_behind();
  FileResult secure_tail();
  FileResult copy_facts();
  FileResult rewrite(JournalLog::Segment& segment, bool first);
  FileResult zero_rest(const JournalLog::Segment& tail, bool& changed);
  FileResult begin_opening();
  FileResult remove(const std::string& name);
  bool is_unusable() const;

  Files& files_;
  JournalOptions options_;
  Stage stage_ = Stage::kStart;
  JournalRoot root_;
  bool facts_readable_ = false;
  bool newer_ = false;
  std::map<std::string, uint64_t> all_;  // size by name, of what is there

  std::unique_ptr<SnapshotReader> snapshot_;
  std::vector<JournalLog::Segment> segments_;  // all of this generation from the base on; read up to `at_`
  size_t at_ = 0;
  std::unique_ptr<FrameFile> frames_;  // of segments_[at_]
  uint64_t first_number_ = 1;
  uint64_t next_ = 1;      // the sequence that is expected
  uint64_t opening_ = 0;   // of the last frame
  uint64_t safe_ = 0;      // the highest sequence that is known to have been synced
  bool anything_ = false;  // a snapshot or a record
  std::string lost_;       // why, found now
  bool unusable_ = false;
  bool recorded_ = false;  // the loss, with what follows
  bool former_aside_goes_ = false;
  std::vector<std::string> aside_;
  uint64_t bytes_ = 0;  // read
  Found found_;
};

}  // namespace kvd
