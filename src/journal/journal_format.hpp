// How a journal's files are named and what their bytes mean; see journal.hpp for what they are for. Format 2, all
// numbers little-endian, values as in msg/codec.hpp. Whoever changes it changes kJournalFormat and the golden tests:
// what was written in a former format is read for ever, frame by frame, since each frame's magic tells its format.
// Format 1 had no clocks.
//
//   facts           magic "kvdfacts" | format u32 (4) | length u32 | checksum u64 (of length and content) | JournalRoot
//   log-G-N         frames, then zeros: generation G, running number N; 16 hexadecimal digits each
//   snapshot-G-R    frames: one kSnapshotHead, kSnapshotItems, one kSnapshotFoot; base revision R
//   *.tmp           not finished, of no use           *.damaged    put aside, never read
//
//   frame = magic u32 (kvF1, kvF2) | checksum u64 | length u32 (of the payload) | sequence u64 | safe u64 | opening u64
//           | kind u8 | payload
//
//   a backup        frames: one kSnapshotHead, kBackupEntries and kSnapshotItems, one kSnapshotFoot; a file of any name
//                   outside of the directory (core/replica/backup.hpp)
//
// A checksum covers what follows it and the file's name (a backup's: the word backup). In a log `sequence` counts
// frames over all segments of a generation; `safe` is the highest one that was known to be synced when the frame was
// written: it proves that what is missing below it was lost, not merely never finished. `opening` counts the starts
// of the journal: a frame behind one of a later opening is stale, whatever its checksum says. In a snapshot
// `sequence` counts from 0 and the others are 0.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "journal/files.hpp"
#include "journal/journal.hpp"
#include "msg/disk.hpp"

namespace kvd {

inline constexpr uint32_t kJournalFormat = 2;  // of logs, snapshots and backups
// Of the facts; 1 had no register. 3 and 4 say what 2 says: a kvd that knows no frames of format 2, or no terms and
// leases, has to refuse the directory, and not to take its log for one that is damaged.
inline constexpr uint32_t kFactsFormat = 4;
inline constexpr char kFactsName[] = "facts";
inline constexpr char kFactsTemporary[] = "facts.tmp";

std::string segment_name(uint64_t generation, uint64_t number);
std::string snapshot_name(uint64_t generation, Revision base);
std::string temporary_name(const std::string& name);
std::string damaged_name(const std::string& name);

struct JournalName {
  enum class Kind : uint8_t { kSegment, kSnapshot, kTemporary, kDamaged, kFacts, kOther };
  Kind kind = Kind::kOther;
  uint64_t generation = 0;  // of segments and snapshots
  uint64_t number = 0;      // a segment's; a snapshot's base
};
JournalName parse_journal_name(std::string_view name);

// What `facts` holds: the root from which everything else is found.
struct JournalRoot {
  DiskFacts facts;
  uint64_t generation = 1;
  bool begun = false;     // this generation has at least one segment
  bool snapshot = false;  // this generation began with a snapshot
  bool closed = false;    // nothing was written since everything was made safe
  uint64_t safe = 0;      // the generation's log was synced up to this sequence at least
  uint64_t opening = 0;   // how often the directory was opened
  JournalOptions::Sync sync = JournalOptions::Sync::kAlways;
  std::string boot;
  // Something that was called safe is lost; stays until the facts name another life. Empty: nothing is.
  std::string lost;
  uint32_t format = kFactsFormat;  // that it was read from; the newest is written
};
std::string encode_root(const JournalRoot& root);
// `newer`, when it fails: a later version wrote it.
Result<JournalRoot> decode_root(std::string_view bytes, bool& newer);

// ---- frames ----

enum class FrameKind : uint8_t {
  kRecords,
  kMark,
  kClosing,
  kSnapshotHead,
  kSnapshotItems,
  kSnapshotFoot,
  kBackupEntries,
  kZnodes,  // of a standalone server's znodes (core/zookeeper/znode_log.hpp)
};
inline constexpr size_t kFrameHead = 4 + 8 + 4 + 8 + 8 + 8 + 1;

struct FrameHead {
  FrameKind kind = FrameKind::kMark;
  uint64_t sequence = 0;
  uint64_t safe = 0;
  uint64_t opening = 0;
};
struct Frame {
  FrameHead head;
  CodecFormat format = kNewestCodecFormat;  // of the payload
  uint64_t checksum = 0;
  std::string_view payload;
};

// Of the checksums in a file; a snapshot's by its final name.
uint64_t frame_seed(std::string_view file_name);

// Begins a frame in `out` and returns where it begins; the payload is appended by the caller, then finished.
size_t begin_frame(std::string& out);
// Returns its checksum.
uint64_t finish_frame(std::string& out, size_t start, const FrameHead& head, uint64_t seed);

// The first bytes' frame. Nothing: there is none.
std::optional<Frame> parse_frame(std::string_view bytes, uint64_t seed);
// How long the frame is that begins here, head included, as far as its head tells; 0: none begins here.
uint64_t frame_size(std::string_view head);

// ---- payloads ----

struct SnapshotHead {
  uint32_t format = kJournalFormat;
  DiskFacts facts;
  LogPosition base;
  uint64_t clock = 0;  // ms, of the newest entry that the store had then; 0 in format 1
};
struct SnapshotFoot {
  uint64_t parts = 0;
  uint64_t items = 0;
  Revision revision;  // DiskSnapshotEnd's
  uint64_t digest = 0;
  uint64_t segment = 0;    // the log from the base on begins in this one ...
  uint64_t sequence = 0;   // ... with this frame ...
  uint64_t through = 0;    // ... and up to this one it belongs to the snapshot
  uint64_t checksums = 0;  // of the checksums of all frames before this one
};
inline constexpr size_t kSnapshotFootSize = kFrameHead + 8 * 8;

void encode_records(const std::vector<DiskRecord>& records, std::string& out);
Result<std::vector<DiskRecord>> decode_records(const Frame& frame);
void encode_items(const std::vector<Record>& items, std::string& out);
Result<std::vector<Record>> decode_items(const Frame& frame);
void encode_entries(const std::vector<EntryPointer>& entries, std::string& out);
Result<std::vector<EntryPointer>> decode_entries(const Frame& frame);
void encode_snapshot_head(const SnapshotHead& head, std::string& out);
Result<SnapshotHead> decode_snapshot_head(const Frame& frame);  // of a format that is known
void encode_snapshot_foot(const SnapshotFoot& foot, std::string& out);
Result<SnapshotFoot> decode_snapshot_foot(const Frame& frame);

// The checksum of all checksums until now, with one more.
uint64_t chain_checksums(uint64_t until_now, uint64_t checksum);

// ---- reading ----

// The frames of one file, one after another, with a buffer of about `chunk` bytes.
class FrameFile {
 public:
  FrameFile(Files& files, std::string name, uint64_t size, uint64_t seed, uint64_t chunk);

  // The frame at offset(), and goes behind it; it is valid until the next call. `frame` empty: there is no valid one.
  FileResult next(std::optional<Frame>& frame);
  uint64_t offset() const { return offset_; }  // where the next frame begins
  void seek(uint64_t offset) { offset_ = offset; }
  const std::string& name() const { return name_; }
  uint64_t size() const { return size_; }

 private:
  FileResult try_next(std::optional<Frame>& frame);
  // Makes `bytes` from offset_ on available, or as many as there are.
  FileResult fill(uint64_t bytes);
  std::string_view at_hand() const;

  Files& files_;
  std::string name_;
  uint64_t size_;
  uint64_t seed_;
  uint64_t chunk_;
  uint64_t offset_ = 0;
  std::string buffer_;
  uint64_t buffer_offset_ = 0;
};

// What a missing log frame would be proven lost by: any frame behind it, of the same opening or a later one, that was
// written when the missing one was known to be safe.
struct LossEvidence {
  uint64_t missing = 0;  // sequence
  uint64_t opening = 0;  // of the last frame before it
};
// Looks for such a frame anywhere in the file from `from` on; `found`: where.
FileResult find_loss(Files& files, const std::string& name, uint64_t size, uint64_t from, uint64_t chunk,
                     const LossEvidence& evidence, std::optional<uint64_t>& found);

}  // namespace kvd
