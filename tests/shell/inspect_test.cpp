// `kvd inspect` on directories that a journal wrote: what it counts, what it finds, its exit codes, and that it changes
// nothing and finds no fault with a directory that is being written.
#include "shell/data/inspect.hpp"

#include <doctest.h>
#include <fmt/format.h>
#include <simdjson.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "core/replica/backup.hpp"
#include "core/replica/store.hpp"
#include "journal/journal.hpp"
#include "shell/data/directory.hpp"
#include "support/scratch_directory.hpp"

using namespace kvd;

namespace {

constexpr char kSegment[] = "log-0000000000000001-0000000000000001";
constexpr char kSnapshot[] = "snapshot-0000000000000001-0000000000000003";

EntryPointer entry(uint64_t revision) {
  auto made = std::make_shared<Entry>();
  made->epoch = Epoch(revision < 4 ? 1 : 2);
  made->revision = Revision(revision);
  made->effects.push_back(
      Record("k" + std::to_string(revision), "v", {Revision(revision), Revision(revision), 1}));
  return made;
}

// Five entries, and a snapshot of the first three that is whole at the fourth.
struct InspectFixture {
  ScratchDirectory scratch;
  std::string path = scratch / "data";
  std::unique_ptr<Directory> directory = std::move(*Directory::open(path));
  JournalOptions options;
  std::unique_ptr<Journal> journal;
  Store store;

  InspectFixture() {
    options.boot = "boot";
    options.segment_bytes = 4096;
    options.reserve_bytes = 0;
    journal = std::make_unique<Journal>(*directory, options);
    while (std::holds_alternative<DiskOpened>(journal->perform({DiskRead{}}).back()) == false) continue;
    journal->perform(
        {DiskKeep{DiskFacts{"c", Lineage(1), Epoch(2), Member{ServerId{"a"}, Incarnation(255)}}}});
    for (uint64_t revision = 1; revision <= 5; ++revision) write(revision);
  }
  void write(uint64_t revision) {
    if (revision <= 4) store.apply(*entry(revision));
    journal->perform({DiskWrite{revision, {entry(revision)}}});
  }
  void snapshot(uint64_t digest) {
    journal->perform({DiskSnapshotBegin{1, LogPosition{Epoch(1), Revision(3)}, false},
                      DiskSnapshotItems{1, store.items_behind(Space::kData, "", 1000)},
                      DiskSnapshotEnd{1, Revision(4), digest}});
  }
  void damage(const std::string& name, int64_t at) {
    std::fstream file(path + "/" + name, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(at, at < 0 ? std::ios::end : std::ios::beg);
    const auto place = file.tellg();
    const char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(place);
    file.put(byte);
  }
  bool says(const Inspection& inspection, const std::string& text) {
    return inspection.output.find(text) != std::string::npos;
  }
};

}  // namespace

TEST_CASE_FIXTURE(InspectFixture, "a sound directory, while it is in use") {
  snapshot(store.digest());
  const Inspection seen = inspect({path});
  INFO(seen.output);
  CHECK(seen.code == 0);
  CHECK(says(seen, "facts: format 4, generation 1, opened 1 times, --sync always, open or not closed"));
  CHECK(says(seen, "cluster c lineage 1 epoch 2 server a incarnation 00000000000000ff"));
  CHECK(says(seen, std::string(kSnapshot) + ": sound"));
  CHECK(says(seen, "base 3 (epoch 1), whole at 4, 4 keys"));
  CHECK(says(seen, std::string(kSegment) + ": sound"));
  CHECK(says(seen, "5 frames, 5 records"));
  CHECK(says(seen, "revisions 1 to 5, epochs 1 to 2"));
  CHECK(says(seen, "store at revision 4: 4 keys"));
  CHECK(says(seen, "the log goes on to 5"));
  const Inspection json = inspect({"--json", path});
  simdjson::dom::parser parser;
  simdjson::dom::element all = parser.parse(json.output);
  CHECK(bool(all["sound"]));
  CHECK_FALSE(bool(all["facts"]["differs"]));
  CHECK(uint64_t(all["snapshots"].at(0)["end"]) == 4);
  CHECK(uint64_t(all["segments"].at(0)["last_revision"]) == 5);
  CHECK(uint64_t(all["store"]["keys"]) == 4);
  CHECK(all["problems"].get_array().size() == 0);
  for (const char* name : {kSegment, kSnapshot, "facts"}) CHECK(inspect({path + "/" + name}).code == 0);
}

TEST_CASE_FIXTURE(InspectFixture, "what is damaged is named") {
  snapshot(store.digest());
  SUBCASE("a frame before others") {
    damage(kSegment, 40);
    CHECK(inspect({path + "/" + kSegment}).code == 65);
    const Inspection seen = inspect({path});
    CHECK(seen.code == 65);
    CHECK(says(seen, "DAMAGED: " + std::string(kSegment) + " at byte 0: frame 1"));
    simdjson::dom::parser parser;
    CHECK_FALSE(bool(parser.parse(inspect({path, "--json"}).output)["sound"]));
  }
  SUBCASE("a frame between others") {
    damage(kSegment, 120);
    CHECK(says(inspect({path}), "there are later frames"));
  }
  SUBCASE("a snapshot") {
    damage(kSnapshot, -300);
    CHECK(inspect({path}).code == 65);
    CHECK(says(inspect({path + "/" + kSnapshot}), "DAMAGED"));
  }
  SUBCASE("the facts") {
    damage("facts", 50);
    CHECK(says(inspect({path}), "facts is unreadable"));
    CHECK(inspect({path + "/facts"}).code == 65);
  }
  SUBCASE("a missing file") {
    std::filesystem::remove(path + "/" + kSegment);
    CHECK(says(inspect({path}), std::string(kSegment) + " is missing"));
  }
}

TEST_CASE_FIXTURE(InspectFixture, "a digest that the content does not have") {
  snapshot(store.digest() + 1);
  const Inspection seen = inspect({path});
  CHECK(seen.code == 65);
  CHECK(says(seen, "the digest at revision 4"));
  CHECK(inspect({path + "/" + kSnapshot}).code == 0);
}

TEST_CASE_FIXTURE(InspectFixture, "a log that does not follow what is before it") {
  SUBCASE("revisions are left out") {
    journal->perform({DiskWrite{6, {entry(8)}}});
    CHECK(says(inspect({path}), "DAMAGED: in the log revision 8 follows 5"));
  }
  SUBCASE("what is committed is taken back") {
    journal->perform({DiskWrite{6, {DiskCommit{Revision(5)}, DiskTruncate{Revision(4)}}}});
    CHECK(says(inspect({path}), "DAMAGED: the log is cut behind 4, from 5 to 5"));
  }
  CHECK(inspect({path}).code == 65);
}

TEST_CASE_FIXTURE(InspectFixture,
                  "a log that ends where a part that is read at once does, or has not begun") {
  SUBCASE("behind an entry as large as a part") {
    auto large = std::make_shared<Entry>(*entry(6));
    large->effects[0] = Record("large", std::string(1u << 20, 'v'), {Revision(6), Revision(6), 1});
    journal->perform({DiskWrite{6, {EntryPointer(large)}}});
  }
  SUBCASE("with nothing behind the snapshot") {
    journal->perform(
        {DiskSnapshotBegin{1, LogPosition{Epoch(1), Revision(9)}, true}, DiskSnapshotEnd{1, Revision(9), 0}});
  }
  const Inspection seen = inspect({path});
  INFO(seen.output, seen.error);
  CHECK(seen.code == 0);
}

TEST_CASE_FIXTURE(InspectFixture,
                  "what a truncation took back is not in the store, whatever is committed before it") {
  bool hints = false;
  SUBCASE("without a word of what is committed") {}
  SUBCASE("with hints") { hints = true; }
  auto other = [&](uint64_t revision) {
    auto made = std::make_shared<Entry>(*entry(revision));
    made->epoch = Epoch(3);
    made->effects[0] =
        Record("other" + std::to_string(revision), "v", {Revision(revision), Revision(revision), 1});
    return made;
  };
  auto log = [&](std::vector<DiskRecord> records) { journal->perform({DiskWrite{6, std::move(records)}}); };
  if (hints) log({DiskCommit{Revision(3)}});
  log({DiskTruncate{Revision(3)}, other(4), other(5)});
  if (hints) log({DiskCommit{Revision(4)}, DiskCommit{Revision(5)}});
  log({DiskTruncate{Revision(5)}, other(6), DiskTruncate{Revision(5)}});
  store.clear();
  for (uint64_t revision : {1, 2, 3}) store.apply(*entry(revision));
  store.apply(*other(4));
  snapshot(store.digest());
  const Inspection seen = inspect({path});
  INFO(seen.output);
  CHECK(seen.code == 0);
  // With a hint the end of the log is known to be committed as well.
  CHECK(says(seen, hints ? "store at revision 5: 5 keys" : "store at revision 4: 4 keys"));
  CHECK(says(seen, "the log goes on to 5"));
}

TEST_CASE_FIXTURE(InspectFixture, "a torn end is no damage, and looking changes nothing") {
  damage(kSegment, 420);  // in the last frame
  const Inspection seen = inspect({path});
  INFO(seen.output);
  CHECK(says(seen, "4 frames"));
  CHECK(seen.code == 0);
  CHECK(inspect({path}).output == seen.output);
}

TEST_CASE_FIXTURE(InspectFixture, "a directory that is being written is sound") {
  std::atomic<bool> over = false;
  std::thread writer([&] {
    for (uint64_t revision = 6; revision < 500; ++revision) {
      journal->perform(
          {DiskWrite{revision, {entry(revision)}}, DiskWrite{revision, {DiskCommit{Revision(revision)}}}});
    }
    over = true;
  });
  std::string wrong;
  auto look = [&] {
    const Inspection seen = inspect({path});
    if (seen.code != 0) wrong += fmt::format("{}: {}\n", seen.code, seen.output);
  };
  while (!over) look();
  writer.join();
  look();
  CHECK(wrong == "");
}

TEST_CASE_FIXTURE(InspectFixture, "usage, and what is not there") {
  CHECK(inspect({}).code == 64);
  CHECK(inspect({path, path}).code == 64);
  CHECK(inspect({"--what", path}).code == 64);
  CHECK(inspect({""}).code == 64);
  CHECK(inspect({"--help"}).code == 0);
  CHECK(inspect({scratch / "no"}).code == 66);
  CHECK(inspect({path + "/log-no"}).code == 66);
  CHECK(inspect({scratch.path}).code == 66);
  std::ofstream(scratch / "notes") << "x";
  CHECK(inspect({scratch / "notes"}).code == 65);
}

TEST_CASE("inspect: a backup of any name, whole, cut and damaged") {
  ScratchDirectory scratch;
  const std::string path = scratch / "of-monday";
  SnapshotPart part;
  part.cluster = "c";
  part.at = LogPosition{Epoch(1), Revision(3)};
  Store store;
  store.apply(*entry(3));
  part.items = store.items_behind(Space::kData, "", 1000);
  part.digest = store.digest();
  BackupWriter writer;
  std::string bytes;
  writer.add(part, bytes);
  auto look = [&](const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
    return inspect({path, "--json"});
  };
  Inspection whole = look(bytes);
  CHECK(whole.code == 0);
  CHECK(whole.output.find("\"end\":3,\"keys\":1") != std::string::npos);
  CHECK(whole.output.find("\"verified\":true") != std::string::npos);
  CHECK(inspect({path}).output.find("verified") != std::string::npos);
  Inspection cut = look(bytes.substr(0, bytes.size() - 1));
  CHECK(cut.code == 65);
  CHECK(cut.output.find("its end is missing") != std::string::npos);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  Inspection damaged = look(bytes);
  CHECK(damaged.code == 65);
  CHECK(damaged.output.find("is damaged at byte") != std::string::npos);
  CHECK(look("something else altogether, long enough for the head of a frame").code == 65);
}
