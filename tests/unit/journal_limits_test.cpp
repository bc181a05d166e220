// What the journal does when the disk is full or fails, what the other promises than --sync always are worth, and the
// bytes of its format. The rest is in journal_test.cpp.
#include "journal/journal.hpp"
#include "journal/journal_format.hpp"
#include "journal_fixture.hpp"

using namespace kvd;

// ---- space ----

TEST_CASE_FIXTURE(JournalFixture,
                  "without space what is to be written waits, in its order, and then goes on") {
  open_new();
  write(1, 2, 500);
  files.budget = files.used();
  CHECK(perform({write_of({3}, 400), write_of({4}, 3000), write_of({5}), DiskKeep{facts_of(2)}}) ==
        "written 3 low ");
  CHECK(perform({write_of({6})}).empty());
  CHECK(idle().empty());
  files.budget = UINT64_MAX;
  CHECK(idle() == "written 4 written 5 kept written 6 enough ");
  files.lose_power();
  open();
  CHECK(opened.intact);
  CHECK(revisions == up_to(6));
  CHECK(found.facts == facts_of(2));
}

TEST_CASE_FIXTURE(JournalFixture, "what a write without space has left behind is written over") {
  open_new();
  write(1, 1);
  // A file system that copies what is overwritten: a write into the middle of a file may fail as well.
  bool fails = true;
  files.before = [&](const std::string& what, const std::string& name) {
    if (what != "write" || name != segment_name(1, 1) || !fails) return FileResult();
    segment(1).replace(frames(1).back(), 60, std::string(60, 'x'));
    return FileResult(FileError{true, "write: No space left on device"});
  };
  CHECK(perform({write_of({2}), write_of({3})}) == "low ");
  fails = false;
  CHECK(idle() == "written 2 written 3 enough ");
  open();
  CHECK(opened.intact);
  CHECK(revisions == up_to(3));
}

TEST_CASE_FIXTURE(JournalFixture,
                  "without space a clean end does not wait, nor does it promise more than was safe") {
  open_new();
  write(1, 1, 500);
  files.budget = files.used();
  CHECK(perform({write_of({2}, 9000)}) == "low ");
  CHECK(perform({write_of({3}), DiskClose{}}) == "closed ");
  CHECK(idle().empty());
  files.budget = UINT64_MAX;
  open();
  CHECK(opened.intact);
  CHECK(revisions == up_to(1));
}

TEST_CASE_FIXTURE(JournalFixture, "a start without space for the facts waits as well") {
  open_new();
  write(1, 1);
  files.budget = 10;
  journal = std::make_unique<Journal>(files, options);
  std::string answers;
  for (int i = 0; i < 5; ++i) answers += perform({DiskRead{}});
  CHECK(contains(answers, "low"));
  CHECK_FALSE(contains(answers, "opened"));
  files.budget = UINT64_MAX;
  CHECK(contains(idle(), "opened"));
}

TEST_CASE_FIXTURE(JournalFixture, "a snapshot without space is given up, and its space with it") {
  open_new();
  write(1, 1, 500);
  const uint64_t used = files.used();
  SUBCASE("of its own") {
    files.budget = used + 1000;
    CHECK(perform({DiskSnapshotBegin{1, LogPosition{Epoch(1), Revision(1)}, false},
                   DiskSnapshotItems{1, std::vector<Record>(100, item("a"))}}) == "given up ");
    CHECK(perform({DiskSnapshotItems{1, {item("a")}}, DiskSnapshotEnd{1, Revision(1), 1}}).empty());
    CHECK(files.used() == used);
  }
  SUBCASE("at its end") {
    CHECK(perform({DiskSnapshotBegin{1, LogPosition{Epoch(1), Revision(1)}, false}}).empty());
    files.budget = files.used();
    CHECK(perform({DiskSnapshotEnd{1, Revision(1), 1}}) == "given up ");
    CHECK(files.used() == used);
  }
  SUBCASE("for the log") {
    CHECK(perform({DiskSnapshotBegin{1, LogPosition{Epoch(1), Revision(1)}, false},
                   DiskSnapshotItems{1, std::vector<Record>(200, item("a"))}}) == "taken ");
    files.budget = files.used();
    CHECK(perform({write_of({2}, 3500)}) == "given up written 2 ");
  }
  SUBCASE("for the facts of a new generation") {
    write(2, 2);
    files.before = [](const std::string& what, const std::string& name) {
      return what == "create" && name == kFactsTemporary ? FileResult(FileError{true, "full"}) : FileResult();
    };
    CHECK(snapshot(9, 9, true) == "taken given up ");
    CHECK(names() == std::vector<std::string>{"facts", segment_name(1, 1)});
    files.before = nullptr;
    open();
    CHECK(opened.intact);
    CHECK(revisions == up_to(2));
    CHECK(names() == std::vector<std::string>{"facts", segment_name(1, 1)});
  }
}

TEST_CASE_FIXTURE(JournalFixture, "little space is told before there is none, and not twice") {
  options.reserve_bytes = 80'000;
  files.free = 100'000;
  open_new();
  write(1, 1);
  files.free = 79'000;
  CHECK(perform({write_of({2})}) == "written 2 low ");
  CHECK(idle().empty());
  write(3, 3);
  files.free = 81'000;
  CHECK(idle().empty());
  files.free = 90'000;
  CHECK(idle() == "enough ");
}

TEST_CASE_FIXTURE(JournalFixture, "without space for the next segment this one is written to its end") {
  open_new();
  write(1, 1);
  files.budget = files.used();
  int creates = 0;
  files.before = [&](const std::string& what, const std::string&) {
    if (what == "create") ++creates;
    return FileResult();
  };
  write(2, 6, 500);
  CHECK(creates == 1);
  CHECK(idle().empty());
  write(7, 7);
  CHECK(creates == 2);
  CHECK(contains(perform({write_of({8}, 900)}), "low"));
}

// ---- failures ----

TEST_CASE_FIXTURE(JournalFixture, "any other error is the end") {
  open_new();
  write(1, 1);
  std::string fails;
  SUBCASE("sync") { fails = "sync"; }
  SUBCASE("write") { fails = "write"; }
  files.before = [&](const std::string& what, const std::string& name) {
    return what == fails ? FileResult(FileError{false, what + " " + name + ": Input/output error"})
                         : FileResult();
  };
  CHECK(perform({write_of({2}), write_of({3})}) ==
        "failed: " + fails + " " + segment_name(1, 1) + ": Input/output error ");
  CHECK(perform({write_of({4}), DiskClose{}}).empty());
  CHECK(idle().empty());
}

TEST_CASE_FIXTURE(JournalFixture,
                  "a sync that fails for want of space is the end too: nothing is known of what it had") {
  open_new();
  write(1, 1);
  files.before = [&](const std::string& what, const std::string&) {
    return what == "sync" ? FileResult(FileError{true, "sync: Disk quota exceeded"}) : FileResult();
  };
  CHECK(perform({write_of({2})}) == "failed: sync: Disk quota exceeded ");
}

TEST_CASE_FIXTURE(JournalFixture, "a file that cannot be read is the end, not a loss") {
  open_new();
  write(1, 1);
  files.before = [&](const std::string& what, const std::string& name) {
    return what == "read" && name == segment_name(1, 1)
               ? FileResult(FileError{false, "read: Input/output error"})
               : FileResult();
  };
  open();
  CHECK(failed == "read: Input/output error");
}

// ---- other promises than --sync always ----

TEST_CASE_FIXTURE(JournalFixture,
                  "--sync interval syncs in idle moments, and knows when that was not enough") {
  options.sync = JournalOptions::Sync::kInterval;
  open_new();
  write(1, 1);
  const int syncs = files.syncs;
  write(2, 3);
  CHECK(files.syncs == syncs);
  SUBCASE("synced in between") {
    CHECK(idle().empty());
    CHECK(files.syncs == syncs + 1);
    CHECK(idle().empty());
    files.lose_power();
    options.boot = "another";
    open();
    CHECK_FALSE(opened.intact);
    CHECK(opened.usable);
    CHECK(contains(opened.why, "the machine has started anew"));
    CHECK(revisions == up_to(3));
    open();
    CHECK_FALSE(opened.intact);
  }
  SUBCASE("only the process died") {
    options.sync = JournalOptions::Sync::kAlways;
    open();
    CHECK(opened.intact);
    files.lose_power();
    options.boot = "another";
    open();
    CHECK(opened.intact);
    CHECK(revisions == up_to(3));
  }
  SUBCASE("a clean end") {
    CHECK(perform({DiskClose{}}) == "closed ");
    files.lose_power();
    options.boot = "another";
    open();
    CHECK(opened.intact);
    CHECK(revisions == up_to(3));
  }
  SUBCASE("a clean end with a new generation begun") {
    CHECK(perform({DiskSnapshotBegin{1, LogPosition{Epoch(1), Revision(10)}, true}, DiskClose{}}) ==
          "closed ");
    files.lose_power();
    options.boot = "another";
    open();
    CHECK(opened.intact);
    CHECK(revisions == up_to(3));
  }
  SUBCASE("a snapshot") {
    CHECK(snapshot(1, 3) == "taken done ");
    files.lose_power();
    options.boot = "another";
    open();
    CHECK(opened.usable);
    CHECK(revisions == std::vector<uint64_t>{2, 3});
  }
}

TEST_CASE_FIXTURE(JournalFixture,
                  "--sync never leaves it to the system, but for the segments before the last") {
  options.sync = JournalOptions::Sync::kOff;
  open_new();
  write(1, 1);
  const int syncs = files.syncs;
  write(2, 2);
  CHECK(idle().empty());
  CHECK(files.syncs == syncs);
  write(3, 20, 500);
  CHECK(files.syncs > syncs);
  files.lose_power();
  options.boot = "";
  open();
  CHECK_FALSE(opened.intact);
  CHECK(opened.usable);
  CHECK(revisions.size() > 5);
}

// ---- the format ----

TEST_CASE("names") {
  using Kind = JournalName::Kind;
  JournalName name = parse_journal_name(segment_name(10, 255));
  CHECK(segment_name(10, 255) == "log-000000000000000a-00000000000000ff");
  CHECK(name.kind == Kind::kSegment);
  CHECK(name.generation == 10);
  CHECK(name.number == 255);
  name = parse_journal_name(snapshot_name(1, Revision(uint64_t{1} << 40)));
  CHECK(name.kind == Kind::kSnapshot);
  CHECK(name.number == uint64_t{1} << 40);
  CHECK(parse_journal_name("facts").kind == Kind::kFacts);
  CHECK(parse_journal_name("facts.tmp").kind == Kind::kTemporary);
  CHECK(parse_journal_name(segment_name(1, 1) + ".damaged").kind == Kind::kDamaged);
  for (const char* other :
       {"", "lock", "notes.tmp", "log-1-1", "log-000000000000000A-00000000000000ff",
        "log-000000000000000a-00000000000000ff0", "log-000000000000000a_00000000000000ff"}) {
    CHECK(parse_journal_name(other).kind == Kind::kOther);
  }
}

namespace {

std::string hexadecimal(std::string_view bytes) {
  std::string text;
  for (unsigned char byte : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string bytes_of(std::string_view digits) {
  std::string bytes;
  for (size_t at = 0; at < digits.size(); at += 2)
    bytes += static_cast<char>(std::stoi(std::string(digits.substr(at, 2)), nullptr, 16));
  return bytes;
}

// What format 1 wrote. Nothing writes it any more, and it has to be read for ever: whoever updates a server has such a
// directory.
constexpr char kLogOfFormat1[] =
    "6b764631efc4af191bde04ab480000000100000000000000000000000000000001000000000000000003000000000100"
    "000000000000050000000000000001000000020000006b35010100000076050000000000000001000000000000000001"
    "04000000000000000203000000000000006b764631b80ed38272c8b31800000000020000000000000001000000000000"
    "00010000000000000001";
constexpr char kSnapshotOfFormat1[] =
    "6b764631065ca7794cd5dced3c0000000000000000000000000000000000000000000000000000000301000000070000"
    "00636c757374657201000000000000000300000000000000010000006101000000000000000100000000000000040000"
    "00000000006b7646311cbb24ca432fc08f2b000000010000000000000000000000000000000000000000000000040100"
    "000001000000610500000076616c7565010000000000000002000000000000000100000000000000006b76463149d247"
    "b0fbf7119b40000000020000000000000000000000000000000000000000000000050100000000000000010000000000"
    "000005000000000000004d00000000000000010000000000000001000000000000000200000000000000daacdcd8d308"
    "ae0b";
constexpr char kFactsOfFormat2[] =
    "6b7664666163747302000000540000004d54e6fb7d3af39507000000636c757374657201000000000000000300000000"
    "000000010000006101000000000000000100000000000000010000000000000000000001000000000000000004000000"
    "626f6f740000000000000000";

}  // namespace

// A change of these bytes is a change of the format: directories that exist could not be read any more.
TEST_CASE_FIXTURE(JournalFixture, "the bytes on the disk are those of format 2") {
  open_new();
  auto stamped = std::make_shared<Entry>(*entry(5));
  stamped->clock = 258;
  DiskWrite order{1, {stamped, DiskTruncate{Revision(4)}, DiskCommit{Revision(3)}}};
  perform({order});
  idle();
  snapshot(4, 5);
  CHECK(hexadecimal(segment(1).substr(0, frames(1).back())) ==
        "6b7646326b03ca90c41088ad510000000100000000000000000000000000000001000000000000000003000000000100"
        "000000000000050000000000000000020100000000000001000000020000006b35010100000076050000000000000001"
        "00000000000000000104000000000000000203000000000000006b764632b80ed38272c8b31800000000020000000000"
        "00000100000000000000010000000000000001");
  CHECK(hexadecimal(files.files.at(snapshot_name(1, Revision(4)))) ==
        "6b764632ffb7b9d5a3f74069440000000000000000000000000000000000000000000000000000000302000000070000"
        "00636c757374657201000000000000000300000000000000010000006101000000000000000100000000000000040000"
        "000000000000000000000000006b764632be5abb12400021822c00000001000000000000000000000000000000000000"
        "0000000000040100000001000000610500000076616c7565010000000000000002000000000000000100000000000000"
        "00006b764632f054ce7f6ecfd21340000000020000000000000000000000000000000000000000000000050100000000"
        "000000010000000000000005000000000000004d00000000000000010000000000000001000000000000000200000000"
        "0000000d32556d189700e4");
  CHECK(hexadecimal(files.files.at("facts")) ==
        "6b766466616374730400000054000000af5e96719f7f291f07000000636c757374657201000000000000000300000000"
        "000000010000006101000000000000000100000000000000010000000000000000000001000000000000000004000000"
        "626f6f740000000000000000");
}

TEST_CASE_FIXTURE(JournalFixture,
                  "a directory of format 1 is read, and what is written behind it is of format 2") {
  files.files["facts"] = bytes_of(kFactsOfFormat2);
  files.files[segment_name(1, 1)] = bytes_of(kLogOfFormat1);
  files.files[snapshot_name(1, Revision(4))] = bytes_of(kSnapshotOfFormat1);
  open();
  CHECK(opened.intact);
  CHECK(opened.usable);
  CHECK(found.base == LogPosition{Epoch(1), Revision(4)});
  CHECK(found.clock == 0);
  CHECK(revisions == std::vector<uint64_t>{5, 0, 0});
  auto stamped = std::make_shared<Entry>(*entry(5));
  stamped->clock = 1234;
  CHECK(perform({DiskWrite{2, {stamped}}}) == "written 2 ");
  open();
  CHECK(opened.intact);
  CHECK(revisions == std::vector<uint64_t>{5, 0, 0, 5});
  CHECK(clocks == std::vector<uint64_t>{0, 1234});
  CHECK(segment(1).starts_with("kvF1"));
  CHECK(segment(1).find("kvF2") != std::string::npos);
}

TEST_CASE("facts of format 1 are read: they know no register") {
  const std::string digits =
      "6b76646661637473010000005000000041abe571304f5c4207000000636c757374657201000000000000000300000000"
      "000000010000006101000000000000000100000000000000010000000000000000000001000000000000000004000000"
      "626f6f7400000000";
  const std::string bytes = bytes_of(digits);
  bool newer = true;
  const Result<JournalRoot> root = decode_root(bytes, newer);
  REQUIRE(root);
  CHECK_FALSE(newer);
  CHECK(root->facts.cluster == "cluster");
  CHECK(root->facts.epoch == Epoch(3));
  CHECK_FALSE(root->facts.remembers);
  CHECK_FALSE(root->facts.standalone);
}
