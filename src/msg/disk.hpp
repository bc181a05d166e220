// What a node and its disk say to each other (--data-dir). The disk performs the orders in the order in which they were
// given; where it can, it gathers those that wait and makes them safe with one sync.
//
// "Safe" means what --sync promises: written and synced (always), or only written (interval, never). A DiskWrite that
// holds nothing but DiskCommits is not synced for its own sake: it is answered once everything before it is safe.
//
// The directory holds the facts that a server must never forget (DiskFacts), and a generation of the data: a snapshot
// and the log from its base on. A copy that is replaced as a whole (by a leader's snapshot, by a new lineage) begins a
// new generation; until that one's first snapshot is whole, a restart finds the former generation.
#pragma once
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "msg/record.hpp"
#include "msg/types.hpp"

namespace kvd {

struct DiskFacts {
  std::string cluster;  // uuid; empty: never belonged to one
  Lineage lineage;
  Epoch epoch;              // the newest known
  Member self;              // whose data
  bool standalone = false;  // of a server without ZooKeeper
  // Rule 17: the newest register that this server acted under, and as leader a larger in-sync set that it has ordered.
  std::optional<Register> remembers;
  std::optional<Register> proposed;
  bool differs = false;  // this copy contradicted a leader's: rule 18
  bool operator==(const DiskFacts&) const = default;
};

struct DiskTruncate {  // the log's entries behind `last` are void
  Revision last;
  bool operator==(const DiskTruncate&) const = default;
};
struct DiskCommit {  // everything up to here is known to be committed; a hint, never waited for
  Revision revision;
  bool operator==(const DiskCommit&) const = default;
};
using DiskRecord = std::variant<EntryPointer, DiskTruncate, DiskCommit>;

// ---- from the node ----

// At the start, again and again: the next part of what is there. Each has one answer.
struct DiskRead {};
// The facts, as they are from now on; answered by DiskKept once they are safe, and with them all that was before them.
struct DiskKeep {
  DiskFacts facts;
};
struct DiskWrite {  // appends to the log; answered by DiskWritten once it and everything before it is safe
  uint64_t number = 0;
  std::vector<DiskRecord> records;
};
// A snapshot is written in parts while the log goes on: it is the store at `base` in some places and later in others,
// and whole together with the log up to the revision that DiskSnapshotEnd names. Beginning another one gives up the
// one before. Answers bear its number.
struct DiskSnapshotBegin {
  uint64_t number = 0;
  LogPosition base;
  // Of a new generation: what is written to the log from here on follows `base`, and is called safe when the snapshot
  // is done. When that is given up, what was written since is void: it is called safe once a later fresh one is done,
  // which has to stand for it.
  bool fresh = false;
  uint64_t clock = 0;  // ms, of the newest entry that the store has
};
struct DiskSnapshotItems {  // answered by DiskSnapshotTaken; key order over all parts, space by space
  uint64_t number = 0;
  std::vector<Record> items;
};
struct DiskSnapshotEnd {  // answered by DiskSnapshotDone
  uint64_t number = 0;
  Revision revision;    // the log up to here makes it whole
  uint64_t digest = 0;  // of the store there
};
// The last order: everything is made safe and marked as cleanly ended; answered by DiskClosed. What waits for space is
// given up: it was never called safe.
struct DiskClose {};

using DiskOrder = std::variant<DiskRead, DiskKeep, DiskWrite, DiskSnapshotBegin, DiskSnapshotItems,
                               DiskSnapshotEnd, DiskClose>;

// ---- to the node ----

// To DiskRead: once DiskFound, then DiskParts, then once DiskOpened.
struct DiskFound {
  DiskFacts facts;        // default: nothing is there, or nothing readable
  LogPosition base;       // of the snapshot that follows
  uint64_t clock = 0;     // ms, of the newest entry that was in the store when it was begun
  Revision snapshot_end;  // DiskSnapshotEnd's
  uint64_t snapshot_digest = 0;
  uint64_t bytes = 0;  // to be read, for the progress
};
struct DiskPart {
  std::vector<Record> items;  // of the snapshot, first all of these
  // Of the log behind the base, as they were written: each entry follows the one before it, or what a truncation has
  // left (which is never below the base).
  std::vector<DiskRecord> records;
  uint64_t bytes = 0;  // read until now
};
// What could not be used is out of the way now: writing goes on behind the last record that was read.
struct DiskOpened {
  // Everything is there that was ever called safe. Otherwise this is another incarnation (rule 2): what was read is a
  // beginning of the data, or (`usable` false) nothing that a copy can be made of. It stays so over further starts
  // until a DiskKeep names another `self`.
  bool intact = false;
  bool usable = false;
  std::string why;  // not intact: one line for the operator; empty when the directory was empty
};
struct DiskKept {
  DiskFacts facts;
};
struct DiskWritten {
  uint64_t number = 0;
};
struct DiskSnapshotTaken {
  uint64_t number = 0;  // of the snapshot; once for each DiskSnapshotItems
};
struct DiskSnapshotDone {
  uint64_t number = 0;
  bool done = false;  // false: no space for it, the former one stays
};
struct DiskSpace {     // when it changes
  bool low = false;    // little is left: nothing that grows should be written
  uint64_t free = 0;   // bytes
  std::string detail;  // for the logs
};
struct DiskFailed {  // nothing can be promised any more: the process has to end
  std::string what;  // one line for the operator
};
struct DiskClosed {};

using DiskAnswer = std::variant<DiskFound, DiskPart, DiskOpened, DiskKept, DiskWritten, DiskSnapshotTaken,
                                DiskSnapshotDone, DiskSpace, DiskFailed, DiskClosed>;

}  // namespace kvd
