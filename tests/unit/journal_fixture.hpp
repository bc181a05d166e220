// A journal on a directory in memory, and short ways to order things of it and to see what a start finds. For the
// journal's tests.
#pragma once
#include <doctest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/hash.hpp"
#include "core/replica/journal_view.hpp"
#include "journal/journal.hpp"
#include "journal/journal_format.hpp"
#include "support/memory_files.hpp"

namespace kvd {

inline EntryPointer entry(uint64_t revision, size_t bytes = 1) {
  auto made = std::make_shared<Entry>();
  made->epoch = Epoch(1);
  made->revision = Revision(revision);
  made->effects.push_back(Record("k" + std::to_string(revision), std::string(bytes, 'v'),
                                 {Revision(revision), Revision(revision), 1}));
  return made;
}

inline DiskFacts facts_of(uint64_t life) {
  return DiskFacts{"cluster", Lineage(1), Epoch(3), Member{ServerId{"a"}, Incarnation(life)}};
}

inline Record item(const std::string& key) { return Record(key, "value", {Revision(1), Revision(2), 1}); }

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

struct JournalFixture {
  MemoryFiles files;
  JournalOptions options;
  std::unique_ptr<Journal> journal;
  // What the last open() found.
  DiskFound found;
  std::vector<Record> items;
  std::vector<uint64_t> revisions;  // of entries; 0 for every other record
  std::vector<uint64_t> clocks;     // of entries
  DiskOpened opened;
  std::string failed;
  std::vector<DiskAnswer> rest;
  uint64_t numbers = 0;  // of DiskWrites, given

  JournalFixture() {
    options.boot = "boot";
    options.segment_bytes = 4096;
    options.reserve_bytes = 0;
    options.read_bytes = 64;
  }

  bool take(std::vector<DiskAnswer> answers) {
    for (DiskAnswer& answer : answers) {
      if (auto* begin = std::get_if<DiskFound>(&answer)) {
        found = *begin;
      } else if (auto* part = std::get_if<DiskPart>(&answer)) {
        items.insert(items.end(), part->items.begin(), part->items.end());
        for (const DiskRecord& record : part->records) {
          const auto* e = std::get_if<EntryPointer>(&record);
          revisions.push_back(e != nullptr ? (*e)->revision.value : 0);
          if (e != nullptr) clocks.push_back((*e)->clock);
        }
      } else if (auto* end = std::get_if<DiskOpened>(&answer)) {
        opened = *end;
        return true;
      } else if (auto* failure = std::get_if<DiskFailed>(&answer)) {
        failed = failure->what;
        return true;
      } else {
        rest.push_back(std::move(answer));
      }
    }
    return false;
  }

  // Who only looks changes nothing, whatever is there.
  DiskOpened look() {
    const auto hook = std::exchange(files.before, nullptr);
    const auto before = files.files;
    JournalView view(files, options.boot);
    const FileResult error = view.read([](uint64_t, uint64_t) { return true; });
    CHECK(error.has_value() == view.journal().newer());
    CHECK(files.files == before);
    files.before = hook;
    return view.opened();
  }

  // A new process on what there is, which judges it as one does that only looks.
  void open() {
    journal.reset();
    const DiskOpened seen = look();
    start();
    if (!failed.empty()) return;
    CHECK(seen.intact == opened.intact);
    CHECK(seen.usable == opened.usable);
    CHECK(opened.why.starts_with(seen.why));  // which files were put aside comes behind it
    CHECK(seen.why.empty() == opened.why.empty());
  }
  void start() {
    journal = std::make_unique<Journal>(files, options);
    found = DiskFound();
    items.clear();
    revisions.clear();
    clocks.clear();
    opened = DiskOpened();
    failed.clear();
    rest.clear();
    for (int i = 0; i < 10'000; ++i) {
      if (take(journal->perform({DiskRead{}}))) return;
    }
    FAIL("opening does not end");
  }
  void open_new(uint64_t life = 1) {
    open();
    REQUIRE(perform({DiskKeep{facts_of(life)}}) == "kept ");
  }

  static std::string text(const DiskAnswer& answer) {
    if (const auto* a = std::get_if<DiskWritten>(&answer))
      return "written " + std::to_string(a->number) + " ";
    if (std::holds_alternative<DiskKept>(answer)) return "kept ";
    if (std::holds_alternative<DiskSnapshotTaken>(answer)) return "taken ";
    if (const auto* a = std::get_if<DiskSnapshotDone>(&answer)) return a->done ? "done " : "given up ";
    if (const auto* a = std::get_if<DiskSpace>(&answer)) return a->low ? "low " : "enough ";
    if (const auto* a = std::get_if<DiskFailed>(&answer)) return "failed: " + a->what + " ";
    if (std::holds_alternative<DiskClosed>(answer)) return "closed ";
    if (std::holds_alternative<DiskOpened>(answer)) return "opened ";
    return "? ";
  }
  static std::string text(const std::vector<DiskAnswer>& answers) {
    std::string all;
    for (const DiskAnswer& answer : answers) all += text(answer);
    return all;
  }
  std::string perform(std::vector<DiskOrder> orders) { return text(journal->perform(std::move(orders))); }
  std::string idle() { return text(journal->idle()); }

  DiskWrite write_of(std::vector<uint64_t> entries, size_t bytes = 1) {
    DiskWrite write;
    write.number = ++numbers;
    for (uint64_t revision : entries) write.records.push_back(entry(revision, bytes));
    return write;
  }
  // One DiskWrite each; they are answered.
  void write(uint64_t first, uint64_t last, size_t bytes = 1) {
    for (uint64_t revision = first; revision <= last; ++revision) {
      DiskWrite order = write_of({revision}, bytes);
      const std::string answer = "written " + std::to_string(order.number) + " ";
      REQUIRE(perform({std::move(order)}) == answer);
    }
  }
  // Whole, with one item; the log up to `end` belongs to it.
  std::string snapshot(uint64_t base, uint64_t end, bool fresh = false, uint64_t number = 1) {
    return perform({DiskSnapshotBegin{number, LogPosition{Epoch(1), Revision(base)}, fresh},
                    DiskSnapshotItems{number, {item("a")}}, DiskSnapshotEnd{number, Revision(end), 77}});
  }

  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& [name, content] : files.files) all.push_back(name);
    return all;
  }
  std::string& segment(uint64_t number, uint64_t generation = 1) {
    return files.files.at(segment_name(generation, number));
  }
  // Where the frames of a segment begin, and at last the end of all.
  std::vector<uint64_t> frames(uint64_t number, uint64_t generation = 1) {
    const std::string name = segment_name(generation, number);
    FrameFile file(files, name, files.files.at(name).size(), frame_seed(name), 4096);
    std::vector<uint64_t> offsets = {0};
    for (std::optional<Frame> frame;;) {
      file.next(frame);
      if (!frame) return offsets;
      offsets.push_back(file.offset());
    }
  }
  // Bytes go bad, on the disk too.
  void damage(const std::string& name, uint64_t offset) {
    for (auto* directory : {&files.files, &files.safe}) (*directory).at(name)[offset] ^= 1;
  }
  void lose_file(const std::string& name) {
    files.files.erase(name);
    files.safe.erase(name);
  }
};

inline std::vector<uint64_t> up_to(uint64_t last) {
  std::vector<uint64_t> all;
  for (uint64_t i = 1; i <= last; ++i) all.push_back(i);
  return all;
}

}  // namespace kvd
