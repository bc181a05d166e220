// What a journal has been told and has promised, and whether what it finds after its process's end is one of the
// things that it may find. Knows the vocabulary of msg/disk.hpp, nothing of files: it would judge any journal.
#pragma once
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "msg/disk.hpp"

namespace kvd::sim {

class JournalModel {
 public:
  // ---- what crossed, in this order ----

  // It is about to be performed: from now on it may be on the disk.
  void on_order(const DiskOrder& order);
  // Why it should not have been given (`nothing`: it is one that was due).
  std::optional<std::string> on_answer(const DiskAnswer& answer);
  bool all_answered() const;
  // The journal had time to note how much is safe.
  void on_marked();

  // ---- after the end of a life ----

  struct Opened {  // all answers to DiskRead
    DiskFound found;
    std::vector<Record> items;
    std::vector<DiskRecord> records;
    DiskOpened opened;
  };
  struct Excuse {
    bool lost = false;  // bytes that were called safe: so less than everything may be found, if it says so
    // ... and among them the last ones, of which nothing on the disk could tell yet that they were: see on_marked().
    bool tail = false;
    bool marks = false;  // ... and what tells it
  };
  // What is wrong with it, if anything. What was found counts as safe from now on, and what was not found must never
  // come back.
  std::optional<std::string> on_opened(const Opened& opened, const Excuse& excuse);
  bool holds_copy() const;  // some generation was called whole
  // Then: what the node goes on from.
  const std::vector<EntryPointer>& log() const { return log_; }  // behind the snapshot's base
  Revision committed() const { return committed_; }              // known to be, at least

 private:
  struct Snapshot {
    uint64_t number = 0;
    bool given_up = false;  // answered so: nothing more is due for it
    LogPosition base;
    std::vector<Record> items;
    bool ended = false;
    bool done = false;  // answered so
    Revision revision;
    uint64_t digest = 0;
  };
  struct Generation {
    std::vector<DiskRecord> records;
    size_t safe = 0;    // so many of them
    size_t marked = 0;  // so many of them, and the disk tells it
    std::vector<Snapshot> snapshots;
    bool whole() const;  // its first snapshot was answered
  };
  struct Write {
    uint64_t number;
    size_t generation, records;  // it is safe with so many of them
  };
  struct Match {  // where what was found stands in what was ordered
    size_t generation, snapshot, records;
    bool newest;  // there was nothing newer that was answered
  };

  void begin(const DiskSnapshotBegin& order);
  std::optional<std::string> on_written(const DiskWritten& answer);
  std::optional<std::string> on_done(const DiskSnapshotDone& answer);
  std::optional<std::string> replay(const Opened& opened);
  std::optional<size_t> facts_found(const DiskFacts& facts) const;
  std::optional<Match> find(const Opened& opened) const;
  std::optional<size_t> find_records(const Generation& generation, LogPosition base) const;
  void adopt(const Match& match);
  void give_up(uint64_t number);
  bool nothing_found(const Opened& opened) const;

  std::vector<DiskFacts> facts_ = {{}};  // all that were to be kept, nothing at first
  size_t facts_safe_ = 0;                // the index of the newest of them that is
  std::vector<Generation> generations_;
  std::deque<DiskFacts> keeping_;
  std::deque<Write> writing_;
  std::deque<uint64_t> taking_;  // snapshots' numbers, for each DiskSnapshotItems
  std::deque<uint64_t> ending_;
  std::vector<EntryPointer> log_;
  Revision committed_;
};

}  // namespace kvd::sim
