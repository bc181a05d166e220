// Files on a real directory: what each operation leaves there, and what the operator is told when the directory is of
// no use.
#include "shell/data/directory.hpp"

#include <doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "support/scratch_directory.hpp"

using namespace kvd;

namespace {

std::unique_ptr<Directory> opened(const std::string& path) {
  Result<std::unique_ptr<Directory>> directory = Directory::open(path);
  REQUIRE(directory.has_value());
  return std::move(*directory);
}

std::string refusal(const std::string& path) {
  Result<std::unique_ptr<Directory>> directory = Directory::open(path);
  REQUIRE_FALSE(directory.has_value());
  return directory.error().detail;
}

std::string content(Directory& directory, const std::string& name) {
  std::string bytes;
  REQUIRE_FALSE(directory.read(name, 0, 1u << 20, bytes));
  return bytes;
}

std::vector<std::string> names(Directory& directory) {
  std::vector<Files::Info> files;
  REQUIRE_FALSE(directory.list(files));
  std::vector<std::string> all;
  for (const Files::Info& file : files) all.push_back(file.name);
  return all;
}

}  // namespace

TEST_CASE("what is done to files is there, for the next one too") {
  ScratchDirectory scratch;
  auto directory = opened(scratch / "data");
  struct stat status {};
  REQUIRE(stat((scratch / "data").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0700);
  CHECK_FALSE(directory->create("a", 5000));
  CHECK(content(*directory, "a") == std::string(5000, '\0'));
  REQUIRE(stat((scratch / "data/a").c_str(), &status) == 0);
  CHECK(status.st_blocks * 512 >= 5000);  // it will not lack space
  CHECK_FALSE(directory->write("a", 10, "hello"));
  CHECK_FALSE(directory->write("a", 5000, "behind"));
  CHECK_FALSE(directory->sync("a"));
  CHECK_FALSE(directory->create("b", 0));
  CHECK_FALSE(directory->write("b", 0, "b's"));
  CHECK_FALSE(directory->rename("b", "a.tmp"));
  CHECK_FALSE(directory->rename("a.tmp", "c"));
  CHECK_FALSE(directory->create("d", 1));
  CHECK_FALSE(directory->rename("c", "d"));
  CHECK(content(*directory, "d") == "b's");
  CHECK_FALSE(directory->create("e", 1));
  CHECK_FALSE(directory->remove("e"));
  CHECK_FALSE(directory->remove("e"));
  CHECK(names(*directory) == std::vector<std::string>{"a", "d", "lock"});
  directory.reset();
  directory = opened(scratch / "data");
  std::string bytes;
  CHECK_FALSE(directory->read("a", 8, 9, bytes));
  CHECK(bytes == std::string("\0\0hello\0\0", 9));
  CHECK_FALSE(directory->read("a", 5003, 100, bytes));
  CHECK(bytes == "ind");
  CHECK(content(*directory, "d") == "b's");
  CHECK(directory->free_bytes() > 0);
}

TEST_CASE("errors name the call and the file") {
  ScratchDirectory scratch;
  auto directory = opened(scratch.path);
  std::string bytes;
  REQUIRE_FALSE(directory->create("a", 0));
  CHECK(directory->create("a", 0)->what == "create a: File exists");
  CHECK(directory->read("b", 0, 1, bytes)->what == "open b: No such file or directory");
  CHECK(directory->rename("b", "c")->what == "rename b: No such file or directory");
  const auto huge = directory->create("huge", uint64_t{1} << 60);
  REQUIRE(huge.has_value());
  CHECK(names(*directory) == std::vector<std::string>{"a", "lock"});
}

TEST_CASE("a full disk is told from a broken one") {
  if (access("/dev/full", W_OK) != 0) return;
  ScratchDirectory scratch;
  auto directory = opened(scratch.path);
  REQUIRE(symlink("/dev/full", (scratch / "link").c_str()) == 0);
  // Links are not followed: what is not our own file is nobody's log.
  const FileResult linked = directory->write("link", 0, "x");
  REQUIRE(linked.has_value());
  CHECK_FALSE(linked->no_space);
  const uint64_t free = directory->free_bytes();
  if (free > (uint64_t{1} << 43)) return;  // more than a file may have
  const FileResult full = directory->create("large", free + (uint64_t{1} << 34));
  REQUIRE(full.has_value());
  CHECK(full->no_space);
  CHECK(names(*directory) == std::vector<std::string>{"lock"});
}

TEST_CASE("one process at a time, with a line that says so") {
  ScratchDirectory scratch;
  auto directory = opened(scratch.path);
  const std::string why = refusal(scratch.path);
  CHECK(why.find(scratch.path + ": in use by another process " + std::to_string(getpid())) == 0);
  auto looking = Directory::open_to_look(scratch.path);
  REQUIRE(looking.has_value());
  REQUIRE_FALSE(directory->create("a", 3));
  CHECK(content(**looking, "a").size() == 3);
  CHECK((*looking)->write("a", 0, "x").has_value());
  CHECK((*looking)->create("b", 0).has_value());
  CHECK((*looking)->remove("a").has_value());
  CHECK((*looking)->rename("a", "b").has_value());
  directory.reset();
  directory = opened(scratch.path);
}

TEST_CASE("who looks at a directory keeps servers out, and no other who looks") {
  ScratchDirectory scratch;
  std::string owner;
  auto first = std::move(*Directory::open_to_look(scratch.path));
  CHECK(first->keep_servers_out(owner).value_or(false));  // nobody was ever there
  CHECK_FALSE(std::filesystem::exists(scratch / "lock"));
  auto server = opened(scratch.path);
  auto second = std::move(*Directory::open_to_look(scratch.path));
  CHECK_FALSE(second->keep_servers_out(owner).value_or(true));
  CHECK(owner == std::to_string(getpid()));
  server.reset();
  CHECK(second->keep_servers_out(owner).value_or(false));
  auto third = std::move(*Directory::open_to_look(scratch.path));
  CHECK(third->keep_servers_out(owner).value_or(false));
  // The number of a server that is gone is nobody's.
  std::ofstream(scratch / "lock") << INT32_MAX;
  CHECK(refusal(scratch.path).find(": in use by another process; give every server") != std::string::npos);
  second.reset();
  third.reset();
  server = opened(scratch.path);
}

TEST_CASE("what is no directory of use is refused") {
  ScratchDirectory scratch;
  std::ofstream(scratch / "file") << "x";
  CHECK(refusal(scratch / "file") == scratch / "file: Not a directory");
  CHECK(refusal(scratch / "no/where") ==
        scratch / "no/where: the directory cannot be made: No such file or directory");
  if (getuid() == 0) return;  // may write everywhere
  REQUIRE(chmod(scratch.path.c_str(), 0500) == 0);
  CHECK(refusal(scratch.path).find("nothing can be written there: Permission denied") != std::string::npos);
  REQUIRE(chmod(scratch.path.c_str(), 0700) == 0);
}
