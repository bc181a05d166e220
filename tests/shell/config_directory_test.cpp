// A configuration on a real disk: each version whole behind one link, what is kept and what is shared, what a process
// finds that begins, and what is not touched.
#include "client/config_directory.hpp"

#include <doctest.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "support/scratch_directory.hpp"

using namespace kvd;
using namespace kvd::client;

namespace {

namespace fs = std::filesystem;

using Files = std::map<std::string, std::string>;

std::string bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// All files below it, by their paths.
Files files_of(const fs::path& directory) {
  Files files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(directory)) {
    if (!entry.is_directory()) files[fs::relative(entry.path(), directory).string()] = bytes_of(entry.path());
  }
  return files;
}

std::set<std::string> names_in(const fs::path& directory) {
  std::set<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory))
    names.insert(entry.path().filename().string());
  return names;
}

ConfigSet config_of(const Files& files, uint64_t revision) {
  ConfigSet set;
  for (const auto& [name, value] : files) set[name] = {value, revision};
  return set;
}

ino_t inode_of(const fs::path& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_ino;
}

// A directory "conf" of a test, and the process that keeps it.
struct Kept {
  ScratchDirectory scratch;
  fs::path conf = fs::path(scratch.path) / "conf";
  fs::path versions = fs::path(scratch.path) / "conf.kvd";
  std::unique_ptr<ConfigDirectory> directory;

  Kept() { open(); }
  void open() {
    directory.reset();
    auto opened = ConfigDirectory::open(conf.string());
    REQUIRE_MESSAGE(opened.has_value(), opened.error().text);
    directory = std::move(*opened);
  }
  // Whether anything was changed.
  bool publish(const Files& files, uint64_t revision, const std::string& in_use = "") {
    const ConfigSet set = config_of(files, revision);
    const auto changed = directory->publish(set, name_of(set), revision + 100, in_use);
    REQUIRE_MESSAGE(changed.has_value(), changed.error().detail);
    CHECK(files_of(conf) == files);
    CHECK(directory->published()->name == name_of(set));
    CHECK(fs::equivalent(directory->published()->path, conf));
    return *changed;
  }
  void check_end(int code, const std::string& words) {
    const auto opened = ConfigDirectory::open(conf.string());
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().code == code);
    CHECK(opened.error().text.find(words) != std::string::npos);
  }
};

}  // namespace

TEST_CASE("a version is there as a whole, and what has not changed is shared with the one before") {
  Kept kept;
  CHECK_FALSE(kept.directory->published());
  CHECK_FALSE(fs::exists(kept.conf));
  const std::string every("\0\n\xff every", 9);
  CHECK(kept.publish({{"a", "1"}, {"d/e/b", every}, {"d/c", ""}, {".x", "dot"}}, 5));
  CHECK(fs::read_symlink(kept.conf) == "conf.kvd/5/files");
  const ino_t kept_file = inode_of(kept.conf / "d/e/b");
  const ino_t changed_file = inode_of(kept.conf / "a");
  CHECK(kept.publish({{"a", "2"}, {"d/e/b", every}, {"new", "n"}}, 8));
  CHECK(inode_of(kept.conf / "d/e/b") == kept_file);
  CHECK(inode_of(kept.conf / "a") != changed_file);
  CHECK(files_of(kept.versions / "5/files").size() == 4);
  CHECK(bytes_of(kept.versions / "5/files/a") == "1");
  CHECK(kept.publish({}, 0));
  CHECK(names_in(kept.conf).empty());
  CHECK(names_in(kept.scratch.path) == std::set<std::string>{"conf", "conf.kvd"});
}

TEST_CASE("the present version, the one before and one in use stay") {
  Kept kept;
  kept.publish({{"a", "1"}}, 1);
  const std::string used = kept.directory->published()->path;
  kept.publish({{"a", "2"}}, 2, used);
  kept.publish({{"a", "3"}}, 3, used);
  CHECK(names_in(kept.versions) == std::set<std::string>{"1", "2", "3"});
  std::ofstream(kept.versions / "mine") << "x";
  fs::create_directory(kept.versions / "2024");
  kept.publish({{"a", "4"}}, 4);
  CHECK(names_in(kept.versions) == std::set<std::string>{"2024", "3", "4", "mine"});
}

TEST_CASE("versions of one revision: of a key that is deleted nothing else tells") {
  Kept kept;
  kept.publish({{"a", "1"}, {"b", "2"}}, 7);
  CHECK_FALSE(kept.publish({{"a", "1"}, {"b", "2"}}, 7));
  CHECK(kept.publish({{"a", "1"}}, 7));
  CHECK(fs::read_symlink(kept.conf) == "conf.kvd/7.2/files");
  CHECK(kept.publish({}, 0));
  CHECK(kept.publish({{"a", "1"}}, 7));
  CHECK(fs::read_symlink(kept.conf) == "conf.kvd/7/files");
}

TEST_CASE("who begins finds what is published, and what came of it") {
  Kept kept;
  const Files files{{"a", "1"}, {"d/b", "2"}};
  kept.publish(files, 7);
  CHECK_FALSE(kept.directory->published()->exit);
  kept.open();
  REQUIRE(kept.directory->published());
  CHECK(kept.directory->published()->name.revision == 7);
  CHECK(kept.directory->published()->at == 107);
  CHECK_FALSE(kept.directory->published()->exit);
  kept.directory->note_exit(3);
  kept.open();
  CHECK(kept.directory->published()->exit == 3);
  CHECK_FALSE(kept.publish(files, 7));
  CHECK(kept.directory->published()->exit == 3);
  CHECK(kept.publish(files, 9));
  CHECK_FALSE(kept.directory->published()->exit);
}

TEST_CASE("what comes to be the same again is as new as what it was read of, also for who begins") {
  Kept kept;
  const Files files{{"a", "1"}};
  kept.publish(files, 7);
  kept.directory->note_exit(3);
  const ConfigSet set = config_of(files, 7);
  const auto changed = kept.directory->publish(set, name_of(set), 120, "");
  REQUIRE(changed.has_value());
  CHECK_FALSE(*changed);
  CHECK(kept.directory->published()->at == 120);
  kept.open();
  CHECK(kept.directory->published()->at == 120);
  CHECK(kept.directory->published()->exit == 3);
  CHECK(files_of(kept.conf) == files);
  // Where it cannot be written it is not taken for so new.
  fs::create_directories(kept.versions / "7/about.json.new/in the way");
  CHECK_FALSE(kept.directory->publish(set, name_of(set), 130, "").has_value());
  CHECK(kept.directory->published()->at == 120);
}

TEST_CASE("files that somebody has changed are made anew, and no other version with them") {
  Kept kept;
  const Files files{{"a", "1"}, {"b", "2"}};
  kept.publish(files, 7);
  SUBCASE("changed in place") { std::ofstream(kept.conf / "a") << "changed"; }
  SUBCASE("removed") { fs::remove(kept.conf / "a"); }
  SUBCASE("added") { std::ofstream(kept.conf / "c") << "more"; }
  SUBCASE("the words about it") { fs::remove(kept.versions / "7/about.json"); }
  kept.open();
  CHECK(kept.publish(files, 7));
  CHECK_FALSE(kept.publish(files, 7));
}

TEST_CASE("what was cut off is made anew") {
  Kept kept;
  kept.publish({{"a", "1"}}, 1);
  SUBCASE("in the midst of the files") {
    fs::create_directories(kept.versions / "new/files/d");
    std::ofstream(kept.versions / "new/files/a") << "half";
  }
  SUBCASE("before the link was moved") {
    fs::create_directories(kept.versions / "2/files");
    std::ofstream(kept.versions / "2/about.json") << "{}";
    fs::create_symlink("conf.kvd/2/files", fs::path(kept.scratch.path) / ".conf.kvd-new");
  }
  kept.open();
  CHECK(kept.directory->published()->name.revision == 1);
  CHECK(kept.publish({{"a", "2"}}, 2));
  CHECK(names_in(kept.versions).size() == 2);
  CHECK(names_in(kept.scratch.path) == std::set<std::string>{"conf", "conf.kvd"});
}

TEST_CASE("what is there and is no link of ours is not touched") {
  Kept kept;
  kept.directory.reset();
  fs::remove(kept.versions);
  SUBCASE("a directory") { fs::create_directory(kept.conf); }
  SUBCASE("a file") { std::ofstream(kept.conf) << "mine"; }
  SUBCASE("a link elsewhere") { fs::create_symlink("/etc", kept.conf); }
  SUBCASE("a link to nothing") { fs::create_symlink("gone", kept.conf); }
  SUBCASE("a link that only looks like one") { fs::create_symlink("other/conf.kvd/7/files", kept.conf); }
  kept.check_end(EX_DATAERR, "is no link that kvd config sync has made");
  CHECK(names_in(kept.scratch.path) == std::set<std::string>{"conf"});
}

TEST_CASE("what comes there later is not touched either") {
  Kept kept;
  kept.publish({{"a", "1"}}, 1);
  fs::remove(kept.conf);
  std::ofstream(kept.conf) << "mine";
  const ConfigSet set = config_of({{"a", "2"}}, 2);
  const auto changed = kept.directory->publish(set, name_of(set), 2, "");
  REQUIRE_FALSE(changed.has_value());
  CHECK(bytes_of(kept.conf) == "mine");
}

TEST_CASE("a directory that cannot be had") {
  Kept kept;
  kept.check_end(EX_IOERR, "another kvd config sync keeps it");
  for (const char* name : {"/", ".", "..", "x/.."}) {
    const auto opened = ConfigDirectory::open(name);
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().code == EX_DATAERR);
  }
  CHECK(ConfigDirectory::open(kept.scratch / "no/conf").error().code == EX_IOERR);
  kept.directory.reset();
  fs::remove(kept.versions);
  std::ofstream(kept.versions) << "mine";
  kept.check_end(EX_IOERR, "conf.kvd");
}

TEST_CASE("a slash at the end of the name says nothing") {
  ScratchDirectory scratch;
  auto opened = ConfigDirectory::open(scratch / "conf//");
  REQUIRE(opened.has_value());
  const ConfigSet set = config_of({{"a", "1"}}, 1);
  REQUIRE((*opened)->publish(set, name_of(set), 1, "").has_value());
  CHECK(bytes_of(scratch / "conf/a") == "1");
}
