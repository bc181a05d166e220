// What the journal promises: what was called safe comes back, what is lost is noticed, and what never was safe is not
// taken for a loss. Each case fails without the piece of code that it is about. Chance is tried in tests/sim.
#include "journal/journal.hpp"

#include "journal_fixture.hpp"

using namespace kvd;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

bool all_zero(const std::string& bytes, uint64_t from) {
  return bytes.find_first_not_of('\0', from) == std::string::npos;
}

}  // namespace

// ---- what comes back ----

TEST_CASE_FIXTURE(JournalFixture, "an empty directory is nothing that was lost") {
  for (int i = 0; i < 2; ++i) {
    open();
    CHECK(found.facts == DiskFacts{});
    CHECK_FALSE(opened.intact);
    CHECK_FALSE(opened.usable);
    CHECK(opened.why.empty());
  }
  CHECK(names() == std::vector<std::string>{"facts"});
}

TEST_CASE_FIXTURE(JournalFixture, "facts and records come back after a clean end and after a crash") {
  open_new();
  write(1, 3);
  DiskWrite more;
  more.number = 9;
  more.records = {DiskTruncate{Revision(2)}, entry(3), DiskCommit{Revision(3)}};
  CHECK(perform({more}) == "written 9 ");
  SUBCASE("crash") {}
  SUBCASE("power loss") { files.lose_power(); }
  SUBCASE("clean end") { CHECK(perform({DiskClose{}}) == "closed "); }
  open();
  CHECK(opened.intact);
  CHECK(opened.usable);
  CHECK(found.facts == facts_of(1));
  CHECK(found.base == LogPosition{});
  CHECK(revisions == std::vector<uint64_t>{1, 2, 3, 0, 3, 0});
  write(4, 5);
  open();
  CHECK(revisions == std::vector<uint64_t>{1, 2, 3, 0, 3, 0, 4, 5});
  CHECK(perform({DiskRead{}}).empty());
}

TEST_CASE_FIXTURE(JournalFixture, "a server without a log yet is intact") {
  open_new();
  open();
  CHECK(opened.intact);
  CHECK(opened.usable);
}

TEST_CASE_FIXTURE(JournalFixture, "orders that wait together share one write and one sync") {
  open_new();
  write(1, 1);
  const int syncs = files.syncs;
  const int writes = files.writes;
  CHECK(perform({write_of({2}), write_of({3, 4}), DiskWrite{50, {}}, write_of({5})}) ==
        "written 2 written 3 written 50 written 4 ");
  CHECK(files.syncs == syncs + 1);
  CHECK(files.writes == writes + 1);
  files.lose_power();
  open();
  CHECK(revisions == up_to(5));
}

TEST_CASE_FIXTURE(JournalFixture, "a hint at commits is not worth a sync, but does not overtake one") {
  open_new();
  write(1, 1);
  const int syncs = files.syncs;
  CHECK(perform({DiskWrite{7, {DiskCommit{Revision(1)}}}}) == "written 7 ");
  CHECK(files.syncs == syncs);
  files.before = [](const std::string& what, const std::string&) {
    return what == "sync" ? FileResult(FileError{false, "broken"}) : FileResult();
  };
  CHECK(perform({write_of({2}), DiskWrite{8, {DiskCommit{Revision(1)}}}}) == "failed: broken ");
}

TEST_CASE_FIXTURE(JournalFixture,
                  "the facts are safe when they are called kept, and what was written before them too") {
  open_new(1);
  CHECK(perform({write_of({1}), DiskKeep{facts_of(2)}}) == "written 1 kept ");
  files.lose_power();
  open();
  CHECK(found.facts == facts_of(2));
  CHECK(revisions == up_to(1));
}

// ---- segments ----

TEST_CASE_FIXTURE(JournalFixture, "the log goes on over segments, each prepared before it is needed") {
  open_new();
  write(1, 4, 500);
  CHECK(files.files.count(segment_name(1, 2)) == 1);
  int creates = 0;
  files.before = [&](const std::string& what, const std::string& name) {
    if (what == "create" && name != kFactsTemporary) ++creates;
    return FileResult();
  };
  write(5, 8, 500);
  CHECK(frames(2).size() > 1);
  CHECK(creates == 0);
  write(9, 40, 500);
  files.before = nullptr;
  open();
  CHECK(opened.intact);
  CHECK(revisions == up_to(40));
  write(41, 41);
  open();
  CHECK(revisions == up_to(41));
}

TEST_CASE_FIXTURE(JournalFixture, "a batch larger than a segment gets its own") {
  open_new();
  write(1, 1);
  write(2, 2, 10'000);
  write(3, 3);
  write(4, 4, 50'000);
  CHECK(files.files.at(segment_name(1, 2)).size() > 10'000);
  open();
  CHECK(opened.intact);
  CHECK(revisions == up_to(4));
}

TEST_CASE_FIXTURE(JournalFixture, "a prepared segment that is too small for a batch is not used") {
  open_new();
  write(1, 5, 500);
  REQUIRE(files.files.count(segment_name(1, 2)) == 1);
  write(6, 6, 10'000);
  CHECK(frames(2).back() + kFrameHead <= segment(2).size());  // allocated, with room for its end
  open();
  CHECK(revisions == up_to(6));
}

TEST_CASE_FIXTURE(JournalFixture, "segments are synced together when one batch spans them") {
  open_new();
  write(1, 6, 500);
  CHECK(perform({write_of({7}, 500), write_of({8}, 500), write_of({9}, 500)}) ==
        "written 7 written 8 written 9 ");
  files.lose_power();
  open();
  CHECK(opened.intact);
  CHECK(revisions == up_to(9));
}

// ---- torn tails ----

TEST_CASE_FIXTURE(JournalFixture,
                  "a torn end is cut without a word, and nothing behind it comes to life again") {
  open_new();
  write(1, 2);
  perform({write_of({3}), write_of({4})});
  const std::vector<uint64_t> at = frames(1);
  const std::string before = segment(1);
  damage(segment_name(1, 1), at[2] + 20);
  open();
  CHECK(opened.intact);
  CHECK(revisions == up_to(2));
  CHECK(all_zero(segment(1), at[2]));
  CHECK(all_zero(files.safe.at(segment_name(1, 1)), at[2]));
  // What was cut is back, as if that had not reached the disk.
  write(3, 3);
  const uint64_t end = frames(1).back();
  REQUIRE(end == at[3]);
  segment(1).replace(end, at[4] - end, before.substr(end, at[4] - end));
  REQUIRE(frames(1).back() == at[4]);
  open();
  CHECK(opened.intact);
  CHECK(revisions == up_to(3));
}

TEST_CASE_FIXTURE(JournalFixture,
                  "a segment that a torn end never reached is gone, and does not come to life") {
  open_new();
  write(1, 4, 500);
  perform({write_of({5}, 500), write_of({6}, 500), write_of({7}, 500), write_of({8}, 500)});
  REQUIRE(frames(2).size() > 1);
  damage(segment_name(1, 1), frames(1)[4] + 5);
  open();
  CHECK(opened.intact);
  CHECK(revisions == up_to(4));
  CHECK(all_zero(segment(2), 0));
}

TEST_CASE_FIXTURE(
    JournalFixture,
    "what is not known to be safe is written once more: the system may only pretend to have it") {
  open_new();
  write(1, 2);
  CHECK(idle().empty());
  files.before = [](const std::string& what, const std::string&) {
    return what == "sync" ? FileResult(FileError{false, "fdatasync: Input/output error"}) : FileResult();
  };
  CHECK(perform({write_of({3})}) == "failed: fdatasync: Input/output error ");
  files.before = nullptr;
  int written = 0;
  files.before = [&](const std::string& what, const std::string& name) {
    if (what == "write" && name == segment_name(1, 1)) ++written;
    return FileResult();
  };
  open();
  CHECK(written > 0);
  files.lose_power();
  open();
  CHECK(opened.intact);
  CHECK(revisions == up_to(3));
}

TEST_CASE_FIXTURE(JournalFixture, "what was cut long ago proves no new loss") {
  open_new(1);
  write(1, 6);
  const std::string former = segment(1);
  const std::vector<uint64_t> at = frames(1);
  damage(segment_name(1, 1), at[2] + 30);
  open();
  REQUIRE_FALSE(opened.intact);
  perform({DiskKeep{facts_of(2)}});
  write(3, 4);
  // As if the zeros had not reached the disk; what is torn now was never called safe by a frame of this opening.
  segment(1).replace(at[5], at[6] - at[5], former.substr(at[5], at[6] - at[5]));
  damage(segment_name(1, 1), at[3] + 30);
  open();
  CHECK(opened.why.empty());
  CHECK(opened.intact);
  CHECK(revisions == up_to(3));
}

// ---- losses ----

TEST_CASE_FIXTURE(JournalFixture,
                  "damage before what was safe is a loss, and stays one until another life begins") {
  open_new(1);
  write(1, 5);
  damage(segment_name(1, 1), frames(1)[2] + 30);
  open();
  CHECK_FALSE(opened.intact);
  CHECK(opened.usable);
  CHECK(contains(opened.why, segment_name(1, 1) + " at byte " + std::to_string(frames(1)[2])));
  CHECK(contains(opened.why, "frame 3"));
  CHECK(revisions == up_to(2));
  const std::string why = opened.why;
  open();
  CHECK_FALSE(opened.intact);
  CHECK(opened.usable);
  CHECK(opened.why == why);
  perform({DiskKeep{facts_of(1)}});
  write(3, 3);
  open();
  CHECK_FALSE(opened.intact);
  CHECK(revisions == up_to(3));
  perform({DiskKeep{facts_of(2)}});
  open();
  CHECK(opened.intact);
  CHECK(opened.why.empty());
}

TEST_CASE_FIXTURE(JournalFixture, "the last frame's loss shows once an idle moment has marked it as safe") {
  open_new();
  write(1, 2);
  bool marked = false;
  SUBCASE("marked") {
    marked = true;
    const int syncs = files.syncs;
    CHECK(idle().empty());
    CHECK(files.syncs == syncs + 1);
    const int writes = files.writes;
    CHECK(idle().empty());
    CHECK(files.writes == writes);
  }
  SUBCASE("not yet") {}
  damage(segment_name(1, 1), frames(1)[1] + 30);
  open();
  CHECK(opened.intact != marked);
  CHECK(revisions == up_to(1));
}

TEST_CASE_FIXTURE(JournalFixture, "the facts remember how far the log was safe") {
  open_new();
  write(1, 2);
  SUBCASE("when it ended cleanly") {
    perform({DiskClose{}});
    lose_file(segment_name(1, 1));
    open();
    CHECK_FALSE(opened.intact);
    CHECK_FALSE(opened.usable);
    CHECK(contains(opened.why, segment_name(1, 1) + " is missing"));
  }
  SUBCASE("when they were kept") {
    perform({DiskKeep{facts_of(1)}});
    damage(segment_name(1, 1), frames(1)[1] + 30);
    open();
    CHECK_FALSE(opened.intact);
    CHECK(revisions == up_to(1));
  }
}

TEST_CASE_FIXTURE(JournalFixture, "a missing segment is a loss; what is behind it is put aside") {
  open_new();
  write(1, 40, 500);
  const std::vector<std::string> before = names();
  REQUIRE(before.size() > 6);
  SUBCASE("in the middle") {
    lose_file(segment_name(1, 3));
    open();
    CHECK(opened.usable);
    CHECK(contains(opened.why, segment_name(1, 3) + " is missing"));
    CHECK(contains(opened.why, segment_name(1, 4) + ".damaged"));
    CHECK(files.files.count(segment_name(1, 4)) == 0);
    CHECK(files.files.count(segment_name(1, 4) + ".damaged") == 1);
    write(revisions.back() + 1, 60, 500);
    open();
    CHECK(revisions == up_to(60));
  }
  SUBCASE("the last one with anything in it") {
    for (uint64_t n = before.size(); n > 4; --n) files.files.erase(segment_name(1, n));
    open();
    CHECK(opened.usable);
    CHECK(contains(opened.why, segment_name(1, 5) + " is missing"));
  }
  SUBCASE("the first one") {
    lose_file(segment_name(1, 1));
    open();
    CHECK_FALSE(opened.usable);
    CHECK(revisions.empty());
    CHECK(contains(opened.why, segment_name(1, 1) + " is missing"));
    CHECK(contains(opened.why, "and"));
    write(1, 1);
    open();
    CHECK(revisions == up_to(1));
  }
  CHECK_FALSE(opened.intact);
}

TEST_CASE_FIXTURE(JournalFixture, "a segment behind a gap shows the gap, even when no frame does") {
  open_new();
  perform({write_of({1}, 3000), write_of({2}, 3000), write_of({3}, 3000), write_of({4}, 3000)});
  lose_file(segment_name(1, 2));
  damage(segment_name(1, 1), frames(1)[1] + 2);
  open();
  CHECK_FALSE(opened.intact);
  CHECK(contains(opened.why, "is missing"));
}

TEST_CASE_FIXTURE(JournalFixture, "one set of damaged files is kept: the newest") {
  open_new(1);
  write(1, 20, 500);
  lose_file(segment_name(1, 2));
  open();
  CHECK(files.files.count(segment_name(1, 3) + ".damaged") == 1);
  perform({DiskKeep{facts_of(2)}});
  write(revisions.back() + 1, 60, 500);
  lose_file(segment_name(1, 4));
  open();
  CHECK(files.files.count(segment_name(1, 3) + ".damaged") == 0);
  CHECK(files.files.count(segment_name(1, 5) + ".damaged") == 1);
}

TEST_CASE_FIXTURE(JournalFixture,
                  "a crash while the directory is put in order does not make a loss look well") {
  open_new();
  write(1, 30, 500);
  damage(segment_name(1, 2), frames(2)[1] + 30);
  const auto state = files.files;
  for (int last = 0;; ++last) {
    files.files = files.safe = state;
    int changes = 0;
    files.before = [&](const std::string& what, const std::string&) {
      return what != "read" && changes++ >= last ? FileResult(FileError{false, "dead"}) : FileResult();
    };
    open();
    const bool over = failed.empty();
    files.before = nullptr;
    files.lose_power();
    open();
    CHECK_FALSE(opened.intact);
    CHECK(opened.usable);
    CHECK_FALSE(opened.why.empty());
    CHECK_FALSE(revisions.empty());
    if (over) break;
  }
}

TEST_CASE_FIXTURE(JournalFixture,
                  "nor does one make a directory without readable facts look like a new one") {
  open_new();
  write(1, 3);
  damage("facts", 40);
  const auto state = files.files;
  for (int last = 0;; ++last) {
    files.files = files.safe = state;
    int changes = 0;
    files.before = [&](const std::string& what, const std::string&) {
      return what != "read" && changes++ >= last ? FileResult(FileError{false, "dead"}) : FileResult();
    };
    open();
    const bool over = failed.empty();
    files.before = nullptr;
    open();
    CHECK_FALSE(opened.intact);
    CHECK_FALSE(opened.usable);
    CHECK(contains(opened.why, "facts is"));
    CHECK(files.files.count(segment_name(1, 1) + ".damaged") == 1);
    CHECK(files.files.count("facts.damaged") == 1);
    if (over) break;
  }
}

TEST_CASE_FIXTURE(JournalFixture, "facts that cannot be read leave nothing that could be used") {
  open_new();
  write(1, 3);
  bool unreadable = true;
  SUBCASE("damaged") { damage("facts", 40); }
  SUBCASE("cut off") { files.files["facts"].resize(10); }
  SUBCASE("missing") {
    lose_file("facts");
    unreadable = false;
  }
  open();
  CHECK_FALSE(opened.intact);
  CHECK_FALSE(opened.usable);
  CHECK(contains(opened.why, unreadable ? "facts is unreadable" : "facts is missing"));
  CHECK(found.facts == DiskFacts{});
  CHECK(revisions.empty());
  CHECK(files.files.count(segment_name(1, 1) + ".damaged") == 1);
  CHECK(files.files.count("facts.damaged") == (unreadable ? 1 : 0));
  perform({DiskKeep{facts_of(2)}});
  write(1, 1);
  open();
  CHECK(opened.intact);
  CHECK(revisions == up_to(1));
}

TEST_CASE_FIXTURE(JournalFixture, "a directory of a newer version is refused, and stays as it is") {
  open_new();
  std::string bytes = files.files.at("facts");
  constexpr uint32_t kNewer = kFactsFormat + 1;
  bytes[8] = static_cast<char>(kNewer);
  // The head is the same in every format, and its checksum tells it from damage.
  const uint64_t checksum = hash_bytes(bytes.substr(12, 4) + bytes.substr(24), kNewer);
  for (int i = 0; i < 8; ++i) bytes[16 + i] = static_cast<char>(checksum >> (8 * i));
  files.files["facts"] = bytes;
  const auto before = files.files;
  open();
  CHECK(failed == "this directory was written by a newer kvd (format " + std::to_string(kNewer) + ")");
  CHECK(files.files == before);
  CHECK(perform({DiskRead{}}).empty());
}

// ---- snapshots ----

TEST_CASE_FIXTURE(JournalFixture, "a snapshot stands for the log before it") {
  open_new();
  write(1, 20, 500);
  CHECK(snapshot(10, 20) == "taken done ");
  CHECK(files.files.count(segment_name(1, 1)) == 0);
  CHECK(files.files.count(snapshot_name(1, Revision(10))) == 1);
  write(21, 22, 500);
  files.lose_power();
  open();
  CHECK(opened.intact);
  CHECK(found.base == LogPosition{Epoch(1), Revision(10)});
  CHECK(found.snapshot_end == Revision(20));
  CHECK(found.snapshot_digest == 77);
  CHECK(items == std::vector<Record>{item("a")});
  CHECK(revisions.front() == 11);
  CHECK(revisions.back() == 22);
  CHECK(snapshot(22, 22) == "taken done ");
  CHECK(files.files.count(snapshot_name(1, Revision(10))) == 0);
  open();
  CHECK(opened.intact);
  CHECK(found.base == LogPosition{Epoch(1), Revision(22)});
}

TEST_CASE_FIXTURE(JournalFixture, "what a snapshot covers is not read from the log again") {
  open_new();
  write(1, 4);
  DiskWrite again = write_of({});
  again.records = {DiskTruncate{Revision(1)}, entry(2), entry(3), entry(4)};
  perform({again});
  CHECK(snapshot(3, 4) == "taken done ");
  std::vector<DiskRecord> records;
  journal = std::make_unique<Journal>(files, options);
  for (int i = 0; i < 100; ++i) {
    for (DiskAnswer& answer : journal->perform({DiskRead{}})) {
      if (auto* part = std::get_if<DiskPart>(&answer)) {
        records.insert(records.end(), part->records.begin(), part->records.end());
      }
    }
  }
  REQUIRE(records.size() == 3);
  CHECK(std::get<EntryPointer>(records[0])->revision == Revision(4));
  CHECK(std::get<DiskTruncate>(records[1]).last == Revision(3));
  CHECK(std::get<EntryPointer>(records[2])->revision == Revision(4));
}

TEST_CASE_FIXTURE(JournalFixture, "a snapshot is written in parts, and only a whole one counts") {
  open_new();
  write(1, 2);
  CHECK(perform({DiskSnapshotBegin{1, LogPosition{Epoch(1), Revision(1)}, false}}).empty());
  CHECK(perform({DiskSnapshotItems{1, {item("a"), item("b")}}, write_of({3}),
                 DiskSnapshotItems{1, {item("c")}}}) == "taken taken written 3 ");
  SUBCASE("a crash before its end") {
    open();
    CHECK(opened.intact);
    CHECK(items.empty());
    CHECK(revisions == up_to(3));
    CHECK(names() == std::vector<std::string>{"facts", segment_name(1, 1)});
  }
  SUBCASE("another one instead") {
    CHECK(perform({DiskSnapshotBegin{2, LogPosition{Epoch(1), Revision(2)}, false},
                   DiskSnapshotItems{1, {item("z")}}, DiskSnapshotEnd{1, Revision(3), 1}})
              .empty());
    CHECK(perform({DiskSnapshotItems{2, {item("d")}}, DiskSnapshotEnd{2, Revision(3), 1}}) == "taken done ");
    open();
    CHECK(items == std::vector<Record>{item("d")});
    CHECK(revisions == std::vector<uint64_t>{3});
  }
  SUBCASE("its end") {
    CHECK(perform({DiskSnapshotEnd{1, Revision(3), 1}}) == "done ");
    open();
    CHECK(items == std::vector<Record>{item("a"), item("b"), item("c")});
    CHECK(revisions == std::vector<uint64_t>{2, 3});
  }
}

TEST_CASE_FIXTURE(JournalFixture, "what a snapshot covers comes back without harm when it was only removed") {
  open_new();
  write(1, 20, 500);
  snapshot(5, 20);
  const auto before = files.files;
  snapshot(20, 20);
  for (const auto& [name, content] : before) {
    if (name != "facts") files.files.try_emplace(name, content);
  }
  open();
  CHECK(opened.intact);
  CHECK(found.base.revision == Revision(20));
  CHECK(files.files.count(snapshot_name(1, Revision(5))) == 0);
  CHECK(files.files.count(segment_name(1, 2)) == 0);
}

TEST_CASE_FIXTURE(JournalFixture, "a snapshot that cannot be read leaves nothing that could be used") {
  open_new();
  write(1, 20, 500);
  snapshot(10, 20);
  const std::string name = snapshot_name(1, Revision(10));
  const uint64_t size = files.files.at(name).size();
  SUBCASE("its beginning") { damage(name, 20); }
  SUBCASE("a part") { damage(name, size - kSnapshotFootSize - 3); }
  SUBCASE("its end") { damage(name, size - 1); }
  SUBCASE("cut off") { files.files[name].resize(size - 1); }
  SUBCASE("empty") { files.files[name].clear(); }
  SUBCASE("missing") { lose_file(name); }
  open();
  CHECK_FALSE(opened.intact);
  CHECK_FALSE(opened.usable);
  CHECK(contains(opened.why, files.files.count(name + ".damaged") == 1 ? name : segment_name(1, 1)));
  CHECK(files.files.count(name) == 0);
  perform({DiskKeep{facts_of(2)}});
  write(1, 1);
  open();
  CHECK(opened.intact);
  CHECK(revisions == up_to(1));
}

TEST_CASE_FIXTURE(JournalFixture, "parts of a snapshot that were exchanged are noticed") {
  open_new();
  write(1, 1);
  perform({DiskSnapshotBegin{1, LogPosition{Epoch(1), Revision(1)}, false}, DiskSnapshotItems{1, {item("a")}},
           DiskSnapshotEnd{1, Revision(1), 1}});
  const std::string name = snapshot_name(1, Revision(1));
  const std::string former = files.files.at(name);
  perform({DiskSnapshotBegin{2, LogPosition{Epoch(1), Revision(1)}, false}, DiskSnapshotItems{2, {item("b")}},
           DiskSnapshotEnd{2, Revision(1), 1}});
  std::string& now = files.files.at(name);
  REQUIRE(now.size() == former.size());
  now.replace(0, now.size() - kSnapshotFootSize, former.substr(0, now.size() - kSnapshotFootSize));
  open();
  CHECK_FALSE(opened.usable);
  CHECK(contains(opened.why, "does not hold what its end says"));
}

TEST_CASE_FIXTURE(JournalFixture, "a log that ends before a snapshot is whole makes it unusable") {
  open_new();
  write(1, 6);
  CHECK(snapshot(2, 6) == "taken done ");
  damage(segment_name(1, 1), frames(1)[4] + 30);
  open();
  CHECK_FALSE(opened.intact);
  CHECK_FALSE(opened.usable);
}

TEST_CASE_FIXTURE(JournalFixture,
                  "a revision alone does not tell that the log reaches to where a snapshot is whole") {
  open_new();
  write(1, 5);
  DiskWrite again = write_of({});
  again.records = {DiskTruncate{Revision(3)}, entry(4), entry(5)};
  perform({again});
  CHECK(snapshot(2, 5) == "taken done ");
  damage(segment_name(1, 1), frames(1)[5] + 30);
  open();
  CHECK_FALSE(opened.intact);
  CHECK_FALSE(opened.usable);
}

// ---- generations ----

TEST_CASE_FIXTURE(JournalFixture, "a copy that is replaced as a whole counts from its first snapshot on") {
  open_new();
  write(1, 3);
  CHECK(perform({DiskSnapshotBegin{1, LogPosition{Epoch(1), Revision(10)}, true}}).empty());
  CHECK(perform({write_of({11}), DiskSnapshotItems{1, {item("a")}}}) == "taken ");
  SUBCASE("a crash before") {
    open();
    CHECK(opened.intact);
    CHECK(revisions == up_to(3));
    CHECK(names() == std::vector<std::string>{"facts", segment_name(1, 1)});
  }
  SUBCASE("facts in between do not begin it") {
    CHECK(perform({DiskKeep{facts_of(1)}}) == "kept ");
    open();
    CHECK(revisions == up_to(3));
  }
  SUBCASE("a clean end in between does not either") {
    CHECK(perform({DiskClose{}}) == "closed ");
    open();
    CHECK(opened.intact);
    CHECK(revisions == up_to(3));
  }
  SUBCASE("its end") {
    CHECK(perform({write_of({12}), DiskSnapshotEnd{1, Revision(12), 5}}) == "written 4 written 5 done ");
    CHECK(files.files.count(segment_name(1, 1)) == 0);
    files.lose_power();
    open();
    CHECK(opened.intact);
    CHECK(found.base.revision == Revision(10));
    CHECK(found.snapshot_end == Revision(12));
    CHECK(revisions == std::vector<uint64_t>{11, 12});
    write(13, 13);
    SUBCASE("and its snapshot is missed") {
      lose_file(snapshot_name(2, Revision(10)));
      open();
      CHECK_FALSE(opened.usable);
      CHECK(contains(opened.why, "the snapshot of generation 2 is missing"));
    }
    SUBCASE("and so is its log") {
      lose_file(segment_name(2, 1));
      open();
      CHECK_FALSE(opened.usable);
    }
  }
  SUBCASE("another one before its end") {
    CHECK(snapshot(20, 20, true, 2) == "taken written 4 done ");
    open();
    CHECK(found.base.revision == Revision(20));
    CHECK(revisions.empty());
    CHECK(opened.intact);
  }
}

TEST_CASE_FIXTURE(JournalFixture,
                  "a new generation that is given up leaves the former one, and waits for another") {
  open_new();
  write(1, 3);
  CHECK(perform({DiskSnapshotBegin{1, LogPosition{Epoch(1), Revision(10)}, true}, write_of({11})}).empty());
  files.budget = files.used();
  CHECK(perform({DiskSnapshotItems{1, std::vector<Record>(100, item("a"))}}) == "given up ");
  CHECK(files.files.count(segment_name(2, 1)) == 0);
  files.budget = UINT64_MAX;
  CHECK(perform({write_of({12})}).empty());
  CHECK(perform({DiskSnapshotBegin{2, LogPosition{Epoch(1), Revision(12)}, false}}) == "given up ");
  SUBCASE("restart") {
    open();
    CHECK(opened.intact);
    CHECK(revisions == up_to(3));
  }
  SUBCASE("another") {
    CHECK(perform({DiskSnapshotBegin{3, LogPosition{Epoch(1), Revision(11)}, true}, write_of({12})}).empty());
    CHECK(perform({DiskSnapshotEnd{3, Revision(12), 1}}) == "written 4 written 5 written 6 done ");
    open();
    CHECK(opened.intact);
    CHECK(revisions == std::vector<uint64_t>{12});
  }
}
