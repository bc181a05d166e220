// The writing end of one generation's log: frames go into preallocated segments, and what was synced is known. Used by
// journal.cpp alone. It never reads; what a start finds in the segments is journal_recovery's business.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "journal/journal_format.hpp"

namespace kvd {

// Writes `facts` so that a crash leaves the old or the new one. Without space nothing has changed.
FileResult replace_facts(Files& files, const JournalRoot& root);

Revision newest_entry(const std::vector<DiskRecord>& records);

class JournalLog {
 public:
  struct Segment {
    uint64_t number = 0;
    uint64_t first = 0;  // sequence of its first frame
    uint64_t size = 0;
    uint64_t end = 0;  // behind its last frame
    Revision newest;   // no entry in it is newer
  };

  JournalLog(Files& files, const JournalOptions& options, uint64_t generation, uint64_t opening);
  // Goes on behind what was found; all of it is synced. Without segments it begins with the given number and sequence.
  void resume(std::vector<Segment> segments, uint64_t number, uint64_t next_sequence);

  // After an error of any of these, what was appended and is not written() is dropped: append it again.
  FileResult open();  // the first segment, if there is none
  // Takes the records into the next frame; without any, there is none. Returns through written() only after write().
  FileResult append(const std::vector<DiskRecord>& records);
  FileResult write();  // what was appended
  FileResult sync();   // what is written
  // When that is not yet known to a later frame: adds one that says how far the log is synced. To be written.
  FileResult mark();
  FileResult prepare();  // the next segment, once this one is half full: so that going on to it is cheap

  bool empty() const { return segments_.empty(); }
  uint64_t generation() const { return generation_; }
  uint64_t appended() const { return next_ - 1; }  // sequences
  uint64_t written() const { return written_; }
  uint64_t synced() const { return synced_; }
  bool data_unsynced() const { return newest_data_ > synced_; }  // records, not only marks
  Revision newest_written() const { return newest_written_; }

  // Where the log behind `base` begins. There is a segment.
  const Segment& first_behind(Revision base) const;
  FileResult remove_before(uint64_t number);  // the segments with smaller numbers
  FileResult remove_all();

 private:
  FileResult add_frame(FrameKind kind, std::string_view payload);
  FileResult roll(uint64_t bytes);
  FileResult drop(FileError error);
  FileResult create(uint64_t number, uint64_t bytes);
  bool fits(uint64_t bytes) const;
  Segment& tail() { return segments_.back(); }
  std::string name_of(const Segment& segment) const { return segment_name(generation_, segment.number); }

  Files& files_;
  JournalOptions::Sync mode_;
  uint64_t segment_bytes_;
  uint64_t generation_;
  uint64_t opening_;

  std::vector<Segment> segments_;
  uint64_t prepared_bytes_ = 0;  // of the successor, when there is one
  uint64_t first_number_ = 1;
  std::string buffer_;        // appended and not written
  std::set<uint64_t> dirty_;  // numbers of segments with what is written and not synced
  uint64_t next_ = 1;         // sequence
  uint64_t written_ = 0;
  uint64_t synced_ = 0;
  uint64_t newest_data_ = 0;  // sequence of the last frame with records that is written
  uint64_t marked_ = 0;       // the highest `safe` in a written frame
  Revision newest_;
  Revision newest_written_;
};

}  // namespace kvd
