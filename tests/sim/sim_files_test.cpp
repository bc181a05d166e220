// That the simulated disk really fails in each of the ways it promises: a journal that passes on a kinder one has shown
// nothing.
#include "sim_files.hpp"

#include <doctest.h>

#include <functional>
#include <set>

namespace kvd::sim {
namespace {

constexpr uint64_t kSeeds = 300;

std::string content(SimFiles& files, const std::string& name) {
  std::string bytes;
  return files.read(name, 0, 1 << 20, bytes) ? "unreadable" : bytes;
}

bool exists(const SimFiles& files, const std::string& name) {
  for (const Files::Info& info : files.files()) {
    if (info.name == name) return true;
  }
  return false;
}

// What was left in the file in any of many runs that differ in their seed only.
std::set<std::string> outcomes(const std::function<void(SimFiles&)>& story, const std::string& name = "log") {
  std::set<std::string> seen;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SimFiles files(seed);
    story(files);
    seen.insert(exists(files, name) ? content(files, name) : "gone");
  }
  return seen;
}

std::string sectors(const std::string& letters) {
  std::string bytes;
  for (char letter : letters) bytes += std::string(SimFiles::kSector, letter);
  return bytes;
}

const std::string kOld = sectors("aaaa");

void make(SimFiles& files) {
  CHECK(!files.create("log", kOld.size()));
  CHECK(!files.write("log", 0, kOld));
  CHECK(!files.sync("log"));
}

}  // namespace

TEST_CASE("what was synced survives a power loss, what was not any part of it") {
  const std::set<std::string> seen = outcomes([](SimFiles& files) {
    make(files);
    CHECK(!files.write("log", SimFiles::kSector, sectors("bb")));
    files.lose_power();
  });
  CHECK(seen.count(sectors("aaaa")) == 1);
  CHECK(seen.count(sectors("abba")) == 1);
  CHECK(seen.count(sectors("abaa")) == 1);
  CHECK(seen.count(sectors("aaba")) == 1);  // the later one alone
  bool torn = false;
  for (const std::string& bytes : seen) {
    CHECK(bytes.substr(0, SimFiles::kSector) == sectors("a"));
    CHECK(bytes.substr(3 * SimFiles::kSector) == sectors("a"));
    torn = torn || (bytes[SimFiles::kSector] == 'b' && bytes[2 * SimFiles::kSector - 1] == 'a');
  }
  CHECK(torn);
  CHECK(outcomes([](SimFiles& files) {
          make(files);
          files.lose_power();
        }) == std::set<std::string>{kOld});
}

TEST_CASE("of what a sector held since the last sync anything may be on the disk") {
  const std::set<std::string> seen = outcomes([](SimFiles& files) {
    make(files);
    for (const char* letter : {"b", "c"}) CHECK(!files.write("log", 0, sectors(letter)));
    files.lose_power();
  });
  for (const char* bytes : {"aaaa", "baaa", "caaa"}) CHECK(seen.count(sectors(bytes)) == 1);
}

TEST_CASE("the end of a process takes nothing of what it wrote") {
  const std::set<std::string> seen = outcomes([](SimFiles& files) {
    make(files);
    CHECK(!files.write("log", 0, sectors("b")));
    files.end_process();
  });
  CHECK(seen == std::set<std::string>{sectors("baaa")});
}

TEST_CASE("a file that grew is shorter after a power loss, or has holes") {
  std::set<uint64_t> sizes;
  bool hole = false;
  for (const std::string& bytes : outcomes([](SimFiles& files) {
         make(files);
         CHECK(!files.write("log", kOld.size(), sectors("bb")));
         files.lose_power();
       })) {
    CHECK(bytes.substr(0, kOld.size()) == kOld);
    sizes.insert(bytes.size());
    hole = hole || bytes.find(std::string(SimFiles::kSector, '\0')) != std::string::npos;
  }
  CHECK(sizes.count(kOld.size()) == 1);
  CHECK(sizes.count(kOld.size() + 2 * SimFiles::kSector) == 1);
  CHECK(sizes.size() > 10);
  CHECK(hole);
}

TEST_CASE("a process that dies has done a part of its last change, and no more") {
  const auto dying = [](uint64_t changes, bool power) {
    return [changes, power](SimFiles& files) {
      make(files);
      files.die_in(changes);
      const bool written = !files.write("log", 0, sectors("bb"));
      CHECK(written == (changes > 1));
      CHECK(files.sync("log"));
      CHECK(files.dead());
      std::string bytes;
      CHECK(files.read("log", 0, 1, bytes));
      CHECK(files.create("other", 1));
      power ? files.lose_power() : files.end_process();
      CHECK(!exists(files, "other"));
    };
  };
  const std::set<std::string> halves = outcomes(dying(1, false));
  CHECK(halves.size() > 20);
  for (const std::string& bytes : halves) CHECK(bytes.find_last_of('b') + 1 == bytes.find_first_of('a'));
  CHECK(outcomes(dying(2, false)) == std::set<std::string>{sectors("bbaa")});
  CHECK(outcomes(dying(2, true)).size() > 4);  // neither all nor nothing
}

TEST_CASE("what a failed sync gave up is shown until the power is lost, whatever is synced then") {
  const auto failing = [](bool power) {
    return [power](SimFiles& files) {
      make(files);
      CHECK(!files.write("log", 0, sectors("bbb")));
      files.fail_sync_in(1);
      CHECK(files.sync("log"));
      files.end_process();
      CHECK(!files.sync("log"));
      if (power) files.lose_power();
    };
  };
  CHECK(outcomes(failing(false)) == std::set<std::string>{sectors("bbba")});
  const std::set<std::string> seen = outcomes(failing(true));
  CHECK(seen.size() > 4);
  CHECK(seen.count(kOld) == 1);
  CHECK(outcomes([&](SimFiles& files) {  // writing it once more helps
          failing(false)(files);
          CHECK(!files.write("log", 0, sectors("bbb")));
          CHECK(!files.sync("log"));
          files.lose_power();
        }) == std::set<std::string>{sectors("bbba")});
}

TEST_CASE("names: created and renamed for good, removed for now") {
  const auto rename_dying = [](bool dies) {
    return [dies](SimFiles& files) {
      make(files);
      CHECK(!files.create("new", 1));
      if (dies) files.die_in(1);
      CHECK(files.rename("new", "log").has_value() == dies);
      files.lose_power();
    };
  };
  const std::string one(1, '\0');
  CHECK(outcomes(rename_dying(false)) == std::set<std::string>{one});
  CHECK(outcomes(rename_dying(true)) == std::set<std::string>{kOld, one});
  const auto removing = [](bool more) {
    return [more](SimFiles& files) {
      make(files);
      CHECK(!files.remove("log"));
      CHECK(!exists(files, "log"));
      if (more) CHECK(!files.create("other", 1));
      files.lose_power();
    };
  };
  CHECK(outcomes(removing(false)) == std::set<std::string>{kOld, "gone"});
  CHECK(outcomes(removing(true)) == std::set<std::string>{"gone"});
  CHECK(outcomes([](SimFiles& files) {  // what a process half did before it died is safe once it was listed
          files.die_in(1);
          CHECK(files.create("log", 0));
          files.end_process();
          if (!exists(files, "log")) CHECK(!files.create("log", 0));
          std::vector<Files::Info> found;
          CHECK(!files.list(found));
          files.lose_power();
        })
            .count("gone") == 0);
}

TEST_CASE("a half created file is there or not, of any size up to its own") {
  std::set<uint64_t> sizes;
  const std::set<std::string> seen = outcomes([&](SimFiles& files) {
    files.die_in(1);
    CHECK(files.create("log", 2048));
    files.end_process();
    if (exists(files, "log")) sizes.insert(content(files, "log").size());
  });
  CHECK(seen.count("gone") == 1);
  CHECK(sizes.count(2048) == 1);
  CHECK(sizes.size() > 10);
}

TEST_CASE("errors come once, where they were asked for") {
  SimFiles files(1);
  make(files);
  std::string bytes;
  files.fail_read_in(2);
  CHECK(!files.read("log", 0, 1, bytes));
  CHECK(files.read("log", 0, 1, bytes));
  CHECK(!files.read("log", 0, 1, bytes));
  files.fail_write_in(1);
  CHECK(files.write("log", 0, "b"));
  CHECK(!files.write("log", 0, "b"));
  CHECK(files.read("nothing", 0, 1, bytes));
  CHECK(files.write("nothing", 0, "b"));
  CHECK(files.sync("nothing"));
  CHECK(files.rename("nothing", "log"));
  CHECK(!files.remove("nothing"));
  CHECK(files.create("log", 1));
}

TEST_CASE("there is no space until there is") {
  SimFiles files(1);
  make(files);
  files.set_budget(kOld.size() + 100);
  CHECK(files.free_bytes() == 100);
  const FileResult refused = files.create("other", 101);
  CHECK(refused.has_value());
  CHECK(refused->no_space);
  CHECK(!exists(files, "other"));
  CHECK(!files.write("log", 0, kOld));  // what was allocated can be written
  const FileResult full = files.write("log", kOld.size(), sectors("b"));
  CHECK(full.has_value());
  CHECK(full->no_space);
  files.set_budget(0);
  CHECK(files.free_bytes() == 0);
  files.set_budget(SimFiles::kNoLimit);
  CHECK(!files.write("log", kOld.size(), sectors("b")));
}

TEST_CASE("damage is of what is safe as well") {
  SimFiles files(1);
  make(files);
  files.flip_bit("log", 5, 0);
  CHECK(content(files, "log")[5] == ('a' ^ 1));
  files.lose_power();
  CHECK(content(files, "log")[5] == ('a' ^ 1));
  files.cut("log", 7);
  files.lose_power();
  CHECK(content(files, "log").size() == 7);
  files.lose_file("log");
  files.lose_power();
  CHECK(!exists(files, "log"));
}

}  // namespace kvd::sim
