// Files that are made together: all of them with their rights, or none, and nothing that was there is changed. On a
// real disk.
#include "client/new_files.hpp"

#include <doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "support/scratch_directory.hpp"

using namespace kvd;
using namespace kvd::client;

namespace {

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

mode_t rights_of(const std::string& path) {
  struct stat info {};
  REQUIRE(::lstat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

std::vector<std::string> names_in(const ScratchDirectory& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory.path))
    names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("files are made with their rights, whatever the umask") {
  const ScratchDirectory directory;
  const mode_t before = ::umask(0077);
  const auto error = make_new_files({{directory / "key", "secret", 0600}, {directory / "open", "all", 0644}});
  ::umask(before);
  REQUIRE_FALSE(error.has_value());
  CHECK(names_in(directory) == Names{"key", "open"});
  CHECK(content_of(directory / "key") == "secret");
  CHECK(content_of(directory / "open") == "all");
  CHECK(rights_of(directory / "key") == 0600);
  CHECK(rights_of(directory / "open") == 0644);
}

TEST_CASE("nothing is left where one of them cannot be made") {
  const ScratchDirectory directory;
  SUBCASE("since it has come into being meanwhile") {
    // As if another process had made it behind the first.
    const auto error =
        make_new_files({{directory / "a", "1"}, {directory / "b", "2"}, {directory / "a", "3"}});
    REQUIRE(error.has_value());
    CHECK(error->detail == directory / "a" + ": is there already, and is not overwritten");
    CHECK(names_in(directory).empty());
  }
  SUBCASE("since there is no place for it") {
    const auto error = make_new_files({{directory / "a", "1"}, {directory / "none/b", "2"}});
    REQUIRE(error.has_value());
    CHECK(error->detail.find(directory / "none/b" + ": cannot be made: No such file") == 0);
    CHECK(names_in(directory).empty());
  }
}

TEST_CASE("what is there stays") {
  const ScratchDirectory directory;
  std::ofstream(directory / "b") << "old";
  const auto error = make_new_files({{directory / "a", "1"}, {directory / "b", "2"}});
  REQUIRE(error.has_value());
  CHECK(error->detail.find(directory / "b" + ": is there already") == 0);
  CHECK(names_in(directory) == Names{"b"});
  CHECK(content_of(directory / "b") == "old");
}

TEST_CASE("what is in the way is told") {
  const ScratchDirectory directory;
  CHECK_FALSE(something_in_the_way({directory / "a", directory / "b"}).has_value());
  // Also a link that leads nowhere: what is written through it would be somewhere else.
  REQUIRE(::symlink("nowhere", (directory / "b").c_str()) == 0);
  const auto error = something_in_the_way({directory / "a", directory / "b"});
  REQUIRE(error.has_value());
  CHECK(error->detail == directory / "b" + ": is there already, and is not overwritten");
}
