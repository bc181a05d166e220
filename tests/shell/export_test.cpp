// `kvd export` on directories that a journal wrote: what the snapshot holds and what is said of it, which directories
// are refused, that nothing in them changes, and that a file is there whole or not at all.
#include "shell/data/export.hpp"

#include <doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>

#include "base/hash.hpp"
#include "core/replica/backup.hpp"
#include "journal/journal.hpp"
#include "shell/data/directory.hpp"
#include "shell/data/new_file.hpp"
#include "support/scratch_directory.hpp"

using namespace kvd;

namespace {

namespace fs = std::filesystem;

constexpr char kSegment[] = "log-0000000000000001-0000000000000001";
constexpr char kSnapshot[] = "snapshot-0000000000000001-0000000000000003";

EntryPointer entry(uint64_t revision, const std::string& value = "v") {
  auto made = std::make_shared<Entry>();
  made->epoch = Epoch(revision < 4 ? 1 : 2);
  made->revision = Revision(revision);
  made->effects.push_back(
      Record("k" + std::to_string(revision), value, {Revision(revision), Revision(revision), 1}));
  return made;
}

DiskFacts facts_of(Lineage lineage = Lineage(0), Incarnation life = Incarnation(255)) {
  DiskFacts facts;
  facts.cluster = "c";
  facts.lineage = lineage;
  facts.epoch = Epoch(3);
  facts.self = Member{ServerId{"a"}, life};
  return facts;
}

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Names, bytes and times of all that is in a directory, itself included.
using Tree = std::map<std::string, std::pair<std::string, int64_t>>;
Tree tree_of(const fs::path& path) {
  const auto time = [](const fs::path& of) { return fs::last_write_time(of).time_since_epoch().count(); };
  Tree tree;
  tree["."] = {"", time(path)};
  for (const auto& file : fs::directory_iterator(path))
    tree[file.path().filename()] = {content(file.path()), time(file.path())};
  return tree;
}

// A directory with five entries, of a server that was killed.
struct ExportFixture {
  ScratchDirectory scratch;
  std::string path = scratch / "data";
  std::string file = scratch / "out";
  JournalOptions options;
  std::unique_ptr<Directory> directory;
  std::unique_ptr<Journal> journal;
  Store store;
  std::vector<std::string> lines;
  int stop_after = -1;  // questions whether to stop

  ExportFixture() {
    options.boot = "another boot";
    options.segment_bytes = 4096;
    options.reserve_bytes = 0;
    begin();
    for (uint64_t revision = 1; revision <= 5; ++revision) write({entry(revision)});
    for (uint64_t revision = 1; revision <= 4; ++revision) store.apply(*entry(revision));
  }
  void begin() {
    directory = std::move(*Directory::open(path));
    journal = std::make_unique<Journal>(*directory, options);
    while (std::holds_alternative<DiskOpened>(journal->perform({DiskRead{}}).back()) == false) continue;
    journal->perform({DiskKeep{facts_of()}});
  }
  void end() {
    journal.reset();
    directory.reset();
  }
  void write(std::vector<DiskRecord> records) { journal->perform({DiskWrite{1, std::move(records)}}); }
  void snapshot(uint64_t digest) {
    journal->perform({DiskSnapshotBegin{1, LogPosition{Epoch(1), Revision(3)}, false},
                      DiskSnapshotItems{1, store.items_behind(Space::kData, "", 1000)},
                      DiskSnapshotEnd{1, Revision(4), digest}});
  }
  void damage(const std::string& name, int64_t at) {
    std::fstream stream(path + "/" + name, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(at, at < 0 ? std::ios::end : std::ios::beg);
    const auto place = stream.tellg();
    const char byte = static_cast<char>(stream.get() ^ 1);
    stream.seekp(place);
    stream.put(byte);
  }

  int run(std::vector<std::string> arguments) {
    lines.clear();
    int asked = 0;
    ExportHooks hooks;
    hooks.say = [this](const std::string& line) { lines.push_back(line); };
    hooks.stop = [this, asked]() mutable { return stop_after >= 0 && asked++ >= stop_after ? SIGTERM : 0; };
    const auto parsed = parse_export(arguments);
    if (parsed) return export_directory(*parsed, hooks);
    hooks.say(parsed.error().text);
    return parsed.error().code;
  }
  bool says(const std::string& text) const {
    return std::any_of(lines.begin(), lines.end(),
                       [&](const std::string& line) { return line.find(text) != std::string::npos; });
  }
  std::string last_line() const { return lines.empty() ? "" : lines.back(); }

  // With this code and one line, and nothing has come into being.
  void refused(int code, const std::string& text) {
    end();
    const Tree before = tree_of(path);
    CHECK(run({path, file}) == code);
    CAPTURE(last_line());
    CHECK(lines.size() == 1);
    CHECK(says(text));
    CHECK(tree_of(path) == before);
    for (const auto& there : fs::directory_iterator(scratch.path)) CHECK(there.path() == path);
  }
  // What the file holds, having been verified.
  Store exported(int code = 0) {
    end();
    const Tree before = tree_of(path);
    CHECK(run({path, file}) == code);
    CAPTURE(last_line());
    CHECK(tree_of(path) == before);
    BackupReader reader;
    reader.feed(content(file));
    REQUIRE(reader.finish() == "");
    head = reader.head();
    return reader.take_store();
  }
  SnapshotHead head;
};

std::string digest_of(const Store& store) { return fmt::format("{:016x}", store.digest()); }

}  // namespace

TEST_CASE_FIXTURE(ExportFixture, "all that is in the log, and how much of it is known to be committed") {
  Store all;
  for (uint64_t revision = 1; revision <= 5; ++revision) all.apply(*entry(revision));
  std::string tail;
  SUBCASE("nothing of it") { tail = "the last 5 entries (revisions 1 to 5) are not known to be committed"; }
  SUBCASE("with a hint") {
    write({DiskCommit{Revision(3)}});
    tail = "the last 2 entries (revisions 4 to 5) are not known to be committed";
  }
  SUBCASE("with a snapshot, which is whole at 4") {
    snapshot(store.digest());
    tail = "the last entry (revision 5) is not known to be committed";
  }
  SUBCASE("all of it") { write({DiskCommit{Revision(5)}}); }
  const Store found = exported();
  CHECK(found.digest() == all.digest());
  CHECK(head.base == LogPosition{Epoch(2), Revision(5)});
  CHECK(head.facts.cluster == "c");
  CHECK(head.facts.self == facts_of().self);
  CHECK(last_line() == "exported server a, cluster c, lineage 0, epoch 2, revision 5, 5 keys, digest " +
                           digest_of(all) + ", to " + file);
  CHECK(lines.size() == (tail.empty() ? 1 : 2));
  CHECK(says(tail));
  struct stat status {};
  REQUIRE(stat(file.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE_FIXTURE(ExportFixture, "what a truncation took back is not in it") {
  auto other = std::make_shared<Entry>(*entry(4, "other"));
  other->epoch = Epoch(3);
  write({DiskTruncate{Revision(3)}, EntryPointer(other)});
  const Store found = exported();
  CHECK(found.size() == 4);
  REQUIRE(found.find("k4") != nullptr);
  CHECK(found.find("k4")->value() == "other");
  CHECK(says("epoch 3, revision 4, 4 keys"));
}

TEST_CASE_FIXTURE(ExportFixture, "more than goes into one part, in all spaces") {
  for (uint64_t revision = 6; revision < 10; ++revision) write({entry(revision, std::string(200'000, 'v'))});
  auto request = std::make_shared<Entry>(*entry(10));
  request->effects[0] = Record("r", "answer", {Revision(10), Revision(10), 1, Space::kRequests});
  write({EntryPointer(request)});
  const Store found = exported();
  CHECK(found.size() == 9);
  CHECK(found.size(Space::kRequests) == 1);
}

TEST_CASE_FIXTURE(ExportFixture, "a torn end that nobody was told of is no loss") {
  end();
  damage(kSegment, 420);  // in the last frame
  CHECK(exported().size() == 4);
  CHECK_FALSE(says("WARNING"));
}

TEST_CASE_FIXTURE(ExportFixture, "of a damaged directory its whole beginning, with a warning") {
  std::string why;
  SUBCASE("the end had been safe") {
    journal->idle();  // a frame that says so
    end();
    damage(kSegment, 420);
    why = "it had been safe";
  }
  SUBCASE("a start has found a loss") {
    journal->idle();
    end();
    damage(kSegment, 420);
    Journal again(*(directory = std::move(*Directory::open(path))), options);
    while (std::holds_alternative<DiskOpened>(again.perform({DiskRead{}}).back()) == false) continue;
    why = "it had been safe";
  }
  CHECK(exported(1).size() == 4);
  CHECK(says("WARNING: ACKNOWLEDGED WRITES MAY BE MISSING: "));
  CHECK(says(why));
  CHECK(says("revision 4, 4 keys"));
}

TEST_CASE_FIXTURE(ExportFixture, "after a loss of power, unless each write was synced") {
  int code = 0;
  SUBCASE("each was") {}
  SUBCASE("not each") {
    options.sync = JournalOptions::Sync::kInterval;
    code = 1;
  }
  end();
  begin();
  CHECK(exported(code).size() == 5);
  CHECK(says("MAY BE MISSING: the machine has started anew") == (code == 1));
}

TEST_CASE_FIXTURE(ExportFixture, "a lineage whose data were not in place yet") {
  journal->perform({DiskKeep{facts_of(Lineage(1))}});
  CHECK(exported(1).size() == 5);
  CHECK(says("this is lineage 0, and lineage 1 had begun, of which nothing is here"));
  CHECK(says("exported server a, cluster c, lineage 0,"));
  CHECK(head.facts.lineage == Lineage(0));
}

TEST_CASE_FIXTURE(ExportFixture, "what cannot be used is refused, and nothing is written") {
  snapshot(store.digest());
  end();
  SUBCASE("facts that are damaged") {
    damage("facts", 50);
    refused(65, "facts is unreadable");
  }
  SUBCASE("no facts") {
    fs::remove(path + "/facts");
    refused(65, "facts is missing");
  }
  SUBCASE("facts of a newer version") {
    std::string facts = content(path + "/facts");
    constexpr uint32_t kNext = kFactsFormat + 1;
    const uint64_t checksum = hash_bytes(facts.substr(12, 4) + facts.substr(24), kNext);
    facts.replace(8, 4, reinterpret_cast<const char*>(&kNext), 4);
    facts.replace(16, 8, reinterpret_cast<const char*>(&checksum), 8);
    std::ofstream(path + "/facts", std::ios::binary) << facts;
    refused(65, "was written by a newer kvd");
  }
  SUBCASE("a snapshot that is damaged") {
    damage(kSnapshot, -300);
    refused(65, kSnapshot);
  }
  SUBCASE("a log that is damaged before the snapshot is whole") {
    damage(kSegment, 300);
    refused(65, kSegment);
  }
  SUBCASE("no log") {
    fs::remove(path + "/" + kSegment);
    refused(65, std::string(kSegment) + " is missing");
  }
}

TEST_CASE_FIXTURE(ExportFixture, "what is not whole or does not fit together is refused") {
  SUBCASE("a digest") {
    snapshot(store.digest() + 1);
    refused(65, "do not fit together: the digest at revision 4");
  }
  SUBCASE("a log") {
    write({entry(8)});
    refused(65, "do not fit together: in the log revision 8 follows 5");
  }
  SUBCASE("a generation without its snapshot") {
    journal->perform(
        {DiskSnapshotBegin{1, LogPosition{Epoch(2), Revision(9)}, true}, DiskSnapshotEnd{1, Revision(9), 0}});
    fs::remove(path + "/snapshot-0000000000000002-0000000000000009");
    refused(65, "the snapshot of generation 2 is missing");
  }
  SUBCASE("a copy that contradicted the leader's") {
    journal->perform({DiskKeep{facts_of(Lineage(0), Incarnation(0))}});
    refused(65, "given it up");
  }
}

TEST_CASE_FIXTURE(ExportFixture, "where there is nothing of kvd's") {
  end();
  fs::remove_all(path);
  SUBCASE("an empty directory") {
    fs::create_directory(path);
    refused(66, path + ": there is no data of kvd's in it");
  }
  SUBCASE("other files") {
    fs::create_directory(path);
    std::ofstream(path + "/notes") << "x";
    refused(66, path + ": there is no data of kvd's in it");
  }
  SUBCASE("what a server has opened and not yet used") {
    Journal fresh(*(directory = std::move(*Directory::open(path))), options);
    fresh.perform({DiskRead{}});
    refused(66, path + ": there is no data of kvd's in it");
  }
  SUBCASE("no directory") {
    CHECK(run({path, file}) == 66);
    CHECK(last_line() == path + ": No such file or directory");
  }
  SUBCASE("a file") {
    std::ofstream(path) << "x";
    CHECK(run({path, file}) == 66);
    CHECK(last_line() == path + ": Not a directory");
  }
  CHECK_FALSE(fs::exists(file));
}

TEST_CASE_FIXTURE(ExportFixture, "a directory that a server uses") {
  CHECK(run({path, file}) == 75);
  CHECK(lines.size() == 1);
  CHECK(says(fmt::format("{}: a server uses it (process {}): take GET /v1/snapshot", path, getpid())));
  CHECK_FALSE(fs::exists(file));
}

TEST_CASE_FIXTURE(ExportFixture, "a file that may not be made") {
  end();
  const Tree before = tree_of(path);
  SUBCASE("there is one already") {
    std::ofstream(file) << "precious";
    CHECK(run({path, file}) == 73);
    CHECK(content(file) == "precious");
    CHECK(last_line() == file + ": is there already, and is not overwritten");
  }
  SUBCASE("there is a link to nothing") {
    fs::create_symlink("nothing", file);
    CHECK(run({path, file}) == 73);
  }
  SUBCASE("there is no such directory") {
    CHECK(run({path, scratch / "no/out"}) == 73);
    CHECK(last_line() == scratch / "no/out: cannot be made: No such file or directory");
  }
  SUBCASE("inside of what is not changed") {
    fs::create_directory_symlink(path, scratch / "link");
    for (const std::string& inside : {path + "/out", scratch / "link/out", path + "/./out"}) {
      CHECK(run({path, inside}) == 64);
      CHECK(says("is inside of " + path));
    }
  }
  CHECK(lines.size() == 1);
  CHECK(tree_of(path) == before);
}

TEST_CASE_FIXTURE(ExportFixture, "a signal gives it up, and nothing is left") {
  for (stop_after = 0; stop_after < 4; ++stop_after) refused(128 + SIGTERM, "signal 15");
  stop_after = -1;
  CHECK(exported().size() == 5);
}

TEST_CASE_FIXTURE(ExportFixture, "command lines that are no good") {
  end();
  const auto bad = [this](const std::vector<std::string>& arguments, const char* start) {
    CHECK(run(arguments) == 64);
    CHECK_MESSAGE(last_line().starts_with(start), last_line());
  };
  bad({}, "DIR: give the data directory");
  bad({"", file}, "DIR: give the data directory");
  bad({path, file, file + "2"}, (file + "2: not expected here").c_str());
  bad({"--what", file}, "--what: there is no such flag");
  bad({path, "--what"}, "--what: there is no such flag");
  bad({path, ""}, "FILE: the name is empty");
  CHECK_FALSE(fs::exists(file));
}

TEST_CASE("a new file that somebody else makes meanwhile is theirs") {
  ScratchDirectory scratch;
  const std::string path = scratch / "file";
  {
    Result<NewFile> file = NewFile::create(path);
    REQUIRE(file.has_value());
    CHECK_FALSE(file->write("ours").has_value());
    CHECK_FALSE(fs::exists(path));
    std::ofstream(path) << "theirs";
    const std::optional<Error> error = file->finish();
    REQUIRE(error.has_value());
    CHECK(error->detail == path + ": rename: File exists");
  }
  CHECK(content(path) == "theirs");
  CHECK(std::distance(fs::directory_iterator(scratch.path), {}) == 1);
}
