// libFuzzer over what a start finds in a data directory: arbitrary bytes as facts, segments and snapshots, as they are
// and (so that the checksums let them through) as what a journal wrote and something changed. It must end in an answer,
// and a directory that was put in order once must be found like that again.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "../support/memory_files.hpp"
#include "journal/journal.hpp"
#include "journal/journal_format.hpp"

namespace {

using namespace kvd;

void require(bool condition) {
  if (!condition) std::abort();
}

struct Seen {
  DiskOpened opened;
  bool failed = false;
  size_t items = 0;
  size_t records = 0;
  bool operator==(const Seen& other) const {
    return failed == other.failed && opened.usable == other.opened.usable && records == other.records &&
           items == other.items;
  }
};

JournalOptions options() {
  JournalOptions chosen;
  chosen.boot = "boot";
  chosen.segment_bytes = 1024;
  chosen.reserve_bytes = 0;
  chosen.read_bytes = 100;
  return chosen;
}

Seen open(MemoryFiles& files) {
  Journal journal(files, options());
  Seen seen;
  for (int i = 0;; ++i) {
    require(i < 100'000);
    for (const DiskAnswer& answer : journal.perform({DiskRead{}})) {
      if (const auto* part = std::get_if<DiskPart>(&answer)) {
        seen.items += part->items.size();
        seen.records += part->records.size();
      }
      seen.failed = seen.failed || std::holds_alternative<DiskFailed>(answer);
      const auto* end = std::get_if<DiskOpened>(&answer);
      if (end != nullptr) seen.opened = *end;
      if (end != nullptr || seen.failed) return seen;
    }
  }
}

// The same bytes behind the checksum that they need to be looked at.
std::string as_frames(const std::string& name, std::string_view bytes) {
  std::string out;
  uint64_t sequence = 1;
  while (!bytes.empty()) {
    const size_t size = std::min<size_t>(bytes.size(), static_cast<uint8_t>(bytes[0]));
    const size_t start = begin_frame(out);
    out += bytes.substr(0, size).substr(size > 0 ? 1 : 0);
    const auto kind = static_cast<FrameKind>(bytes[0] % 6);
    finish_frame(out, start, FrameHead{kind, sequence++, 0, 1}, frame_seed(name));
    bytes.remove_prefix(std::max<size_t>(size, 1));
  }
  return out + std::string(100, '\0');
}

MemoryFiles written() {
  MemoryFiles files;
  Journal journal(files, options());
  while (files.files.count(kFactsName) == 0) journal.perform({DiskRead{}});
  for (uint64_t revision = 1; revision <= 12; ++revision) {
    auto entry = std::make_shared<Entry>();
    entry->revision = Revision(revision);
    entry->effects.push_back(
        Record("key", std::string(100, 'v'), {Revision(1), Revision(revision), revision}));
    journal.perform({DiskWrite{revision, {EntryPointer(std::move(entry))}}});
    if (revision != 7) continue;
    journal.perform({DiskSnapshotBegin{1, LogPosition{Epoch(), Revision(5)}, false},
                     DiskSnapshotItems{1, {Record("key", "value", {Revision(1), Revision(5), 5})}},
                     DiskSnapshotEnd{1, Revision(7), 1}});
  }
  return files;
}

void put(MemoryFiles& files, std::string_view bytes, bool framed) {
  const std::string names[] = {kFactsName, segment_name(1, 1), segment_name(1, 2),
                               snapshot_name(1, Revision(5)), segment_name(2, 1)};
  const std::string& name = names[static_cast<uint8_t>(bytes[0]) % std::size(names)];
  bytes.remove_prefix(1);
  files.files[name] = framed ? as_frames(name, bytes) : std::string(bytes);
}

// Bytes in threes: which file, where in it, what to put there.
void change(MemoryFiles& files, std::string_view bytes) {
  for (size_t i = 0; i + 3 < bytes.size(); i += 4) {
    auto file = files.files.begin();
    std::advance(file, static_cast<uint8_t>(bytes[i]) % files.files.size());
    if (file->second.empty()) continue;
    const size_t at = static_cast<uint8_t>(bytes[i + 1]) * 256u + static_cast<uint8_t>(bytes[i + 2]);
    file->second[at % file->second.size()] = bytes[i + 3];
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  MemoryFiles files;
  if (data[0] % 3 == 0) {
    files = written();
    change(files, bytes.substr(1));
  } else {
    if (data[0] % 2 == 0) files = written();
    put(files, bytes.substr(1), data[0] % 3 == 1);
  }
  const Seen first = open(files);
  if (first.failed) return 0;
  const Seen again = open(files);
  require(!again.failed);
  if (first.opened.usable) require(again == first);
  if (!first.opened.intact) require(!again.opened.intact);
  return 0;
}
