// A file that is replaced whole or not at all: on a real disk, with writers that are killed at any moment, and with
// what a power failure leaves, made by hand.
#include "client/whole_file.hpp"

#include <doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <random>

#include "support/scratch_directory.hpp"

using namespace kvd;
using namespace kvd::client;

namespace {

using Way = WholeFile::Way;

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  REQUIRE(file.good());
  std::string content(static_cast<size_t>(file.tellg()), '\0');
  file.seekg(0).read(content.data(), static_cast<std::streamsize>(content.size()));
  return content;
}

void put(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
  REQUIRE(content_of(path) == content);
}

struct stat info_of(const std::string& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info;
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

auto to(const std::string& content) {
  return [content](std::string_view) -> Result<std::string> { return content; };
}

bool update(const std::string& path, const std::string& content, Way way = Way::kRenameWherePossible) {
  const Result<bool> changed = WholeFile(path, way).update(to(content));
  REQUIRE_MESSAGE(changed.has_value(), changed.error().detail);
  CHECK(content_of(path) == content);
  return *changed;
}

bool recover(const std::string& path) {
  const Result<bool> finished = WholeFile(path).recover();
  REQUIRE_MESSAGE(finished.has_value(), finished.error().detail);
  return *finished;
}

void check_nothing_beside(const ScratchDirectory& directory) {
  CHECK_FALSE(exists(directory / ".hosts.kvd-new"));
  CHECK_FALSE(exists(directory / ".hosts.kvd-redo"));
}

}  // namespace

TEST_CASE("a rename replaces the file and keeps its rights") {
  ScratchDirectory directory;
  const std::string path = directory / "hosts";
  put(path, "old\n");
  REQUIRE(::chmod(path.c_str(), 0640) == 0);
  const struct stat before = info_of(path);
  CHECK(update(path, "new\n"));
  CHECK(info_of(path).st_ino != before.st_ino);
  CHECK(info_of(path).st_mode == before.st_mode);
  CHECK_FALSE(update(path, "new\n"));
  check_nothing_beside(directory);
}

TEST_CASE("a file that is not there is made") {
  ScratchDirectory directory;
  const std::string path = directory / "hosts";
  CHECK(update(path, "new\n"));
  CHECK((info_of(path).st_mode & 07777) == 0644);
}

TEST_CASE("a symbolic link stays and what it leads to is replaced") {
  ScratchDirectory directory;
  put(directory / "real", "old\n");
  REQUIRE(::symlink("real", (directory / "hosts").c_str()) == 0);
  CHECK(update(directory / "hosts", "new\n"));
  CHECK(content_of(directory / "real") == "new\n");
  struct stat info {};
  REQUIRE(::lstat((directory / "hosts").c_str(), &info) == 0);
  CHECK(S_ISLNK(info.st_mode));
}

TEST_CASE("in place the inode stays whether the file grows or shrinks") {
  ScratchDirectory directory;
  const std::string path = directory / "hosts";
  put(path, "old\n");
  const ino_t inode = info_of(path).st_ino;
  for (const std::string& content :
       {std::string(20'000, 'a'), std::string("short\n"), std::string(), std::string("again\n")}) {
    CHECK(update(path, content, Way::kInPlace));
    CHECK(info_of(path).st_ino == inode);
    check_nothing_beside(directory);
  }
}

TEST_CASE("a file with another link keeps its inode") {
  ScratchDirectory directory;
  put(directory / "hosts", "old\n");
  REQUIRE(::link((directory / "hosts").c_str(), (directory / "other").c_str()) == 0);
  CHECK(update(directory / "hosts", "new\n"));
  CHECK(content_of(directory / "other") == "new\n");
}

TEST_CASE("a file with extended attributes keeps its inode") {
  ScratchDirectory directory;
  const std::string path = directory / "hosts";
  put(path, "old\n");
  if (::setxattr(path.c_str(), "user.kvd", "x", 1, 0) != 0) {
    MESSAGE("skipped: no extended attributes here");
    return;
  }
  const ino_t inode = info_of(path).st_ino;
  CHECK(update(path, "new\n"));
  CHECK(info_of(path).st_ino == inode);
}

TEST_CASE("a directory that may not be written does not matter") {
  ScratchDirectory directory;
  const std::string path = directory / "hosts";
  put(path, "old\n");
  const uid_t user = ::geteuid();
  REQUIRE(::chmod(directory.path.c_str(), 0555) == 0);
  if (user == 0) {
    REQUIRE(::chown(path.c_str(), 65'534, 65'534) == 0);
    REQUIRE(::seteuid(65'534) == 0);
  }
  const Result<bool> changed = WholeFile(path).update(to("new\n"));
  if (user == 0) REQUIRE(::seteuid(0) == 0);
  REQUIRE(::chmod(directory.path.c_str(), 0755) == 0);
  REQUIRE_MESSAGE(changed.has_value(), changed.error().detail);
  CHECK(content_of(path) == "new\n");
}

TEST_CASE("what the edit refuses is not written") {
  ScratchDirectory directory;
  const std::string path = directory / "hosts";
  put(path, "old\n");
  const Result<bool> changed = WholeFile(path).update([](std::string_view content) -> Result<std::string> {
    CHECK(content == "old\n");
    return failure("no");
  });
  REQUIRE_FALSE(changed.has_value());
  CHECK(changed.error().detail == path + ": no");
  CHECK(content_of(path) == "old\n");
}

TEST_CASE("what is no file or in no directory is refused") {
  ScratchDirectory directory;
  CHECK_FALSE(WholeFile(directory.path).update(to("x")).has_value());
  CHECK_FALSE(WholeFile(directory / "none/hosts").update(to("x")).has_value());
}

// ---- what a power failure leaves ----

TEST_CASE("what a cut off write leaves is told from what somebody else wrote") {
  CHECK(is_cut_off("aaaa", "aaaa", "bb"));
  CHECK(is_cut_off("bbaa", "aaaa", "bb"));
  CHECK(is_cut_off("bb\n\n", "aaaa", "bb"));
  CHECK(is_cut_off("bb\n", "aaaa", "bb"));
  CHECK(is_cut_off("bb", "aaaa", "bb"));
  CHECK(is_cut_off("aabb", "aa", "bbbb"));
  CHECK(is_cut_off(std::string_view("aa\0b", 4), "aa", "bbbb"));
  CHECK_FALSE(is_cut_off("a", "aaaa", "bb"));
  CHECK_FALSE(is_cut_off("bb\n\n\n", "aaaa", "bb"));
  CHECK_FALSE(is_cut_off("caaa", "aaaa", "bb"));
  CHECK_FALSE(is_cut_off("aaab\n", "aaaaa", "bb"));
  CHECK_FALSE(is_cut_off("aaa\nb", "aaaaa", "bb"));
}

TEST_CASE("a start finishes what was cut off") {
  ScratchDirectory directory;
  const std::string path = directory / "hosts";
  for (const char* torn : {"old old old\n", "new old old\n", "new\n\n\n\n\n\n\n\n\n"}) {
    CAPTURE(torn);
    put(path, torn);
    put(directory / ".hosts.kvd-redo", "kvd-redo 1 12 4\nold old old\nnew\n");
    put(directory / ".hosts.kvd-new", "kvd-redo 1 1");
    const ino_t inode = info_of(path).st_ino;
    CHECK(recover(path));
    CHECK(content_of(path) == "new\n");
    CHECK(info_of(path).st_ino == inode);
    check_nothing_beside(directory);
    CHECK_FALSE(recover(path));
  }
}

TEST_CASE("an update first finishes what was cut off") {
  ScratchDirectory directory;
  const std::string path = directory / "hosts";
  put(path, "new old old\n");
  put(directory / ".hosts.kvd-redo", "kvd-redo 1 12 4\nold old old\nnew\n");
  const Result<bool> changed = WholeFile(path).update([](std::string_view content) -> Result<std::string> {
    CHECK(content == "new\n");
    return "newest\n";
  });
  REQUIRE(changed.has_value());
  CHECK(content_of(path) == "newest\n");
  check_nothing_beside(directory);
}

TEST_CASE("copies that speak of something else are dropped") {
  ScratchDirectory directory;
  const std::string path = directory / "hosts";
  for (const char* copy : {"kvd-redo 1 12 4\nold old old\nnew\n", "", "kvd-redo 1 4", "kvd-redo 1 4 4\nold\n",
                           "kvd-redo 1 4 4\nold\nnew\n+", "kvd-redo 1 x 4\nold\nnew\n", "mine\n",
                           "kvd-redo 1 4 99999999999999999999\nold\nnew\n"}) {
    CAPTURE(copy);
    put(path, "an operator's\n");
    put(directory / ".hosts.kvd-redo", copy);
    CHECK_FALSE(recover(path));
    CHECK(content_of(path) == "an operator's\n");
    check_nothing_beside(directory);
  }
  put(directory / ".gone.kvd-redo", "kvd-redo 1 0 4\nnew\n");
  CHECK_FALSE(recover(directory / "gone"));
  CHECK_FALSE(exists(directory / "gone"));
}

// ---- SIGKILL ----

namespace {

constexpr int kKills = 200;

// Two contents that differ in every page and in length.
const std::array<std::string, 2> kContents = {std::string(400'000, 'a') + "\n",
                                              std::string(200'000, 'b') + "\n"};

// A process that replaces the one content by the other for ever. In a process group of its own.
class Writer {
 public:
  Writer(const std::string& path, Way way) {
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      ::setpgid(0, 0);
      WholeFile file(path, way);
      for (bool told = false;; told = true) {
        const auto other = [](std::string_view content) -> Result<std::string> {
          return kContents[content == kContents[0] ? 1 : 0];
        };
        if (!file.update(other)) _exit(1);
        if (!told && ::write(ready[1], "x", 1) != 1) _exit(1);
      }
    }
    ::close(ready[1]);
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    ::close(ready[0]);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

// Until no child is left: the writer, and whatever it has left behind and this process has inherited.
int bury_all() {
  int buried = 0;
  while (::waitpid(-1, nullptr, 0) > 0) ++buried;
  return buried;
}

bool is_whole(const std::string& content) { return content == kContents[0] || content == kContents[1]; }

// In memory where that can be had: syncs cost nothing there, so that most of the time is spent in writes.
struct Kills {
  std::mt19937 random{20'240'607};
  ScratchDirectory directory{::access("/dev/shm", W_OK) == 0 ? "/dev/shm"
                                                             : std::filesystem::temp_directory_path()};
  std::string path = directory / "hosts";
  ino_t inode = 0;

  Kills() {
    REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    put(path, kContents[0]);
    inode = info_of(path).st_ino;
  }
  ~Kills() { ::prctl(PR_SET_CHILD_SUBREAPER, 0); }
  void pause() { ::usleep(random() % 3'000); }  // any moment will do
};

}  // namespace

TEST_CASE("a writer by rename that is killed leaves a whole file") {
  Kills kills;
  for (int i = 0; i < kKills; ++i) {
    const Writer writer(kills.path, Way::kRenameWherePossible);
    kills.pause();
    ::kill(writer.pid(), SIGKILL);
    bury_all();
    REQUIRE(is_whole(content_of(kills.path)));
  }
  CHECK_FALSE(recover(kills.path));
  check_nothing_beside(kills.directory);
}

TEST_CASE("a writer in place that is killed leaves a whole file without anybody's help") {
  Kills kills;
  int outlived = 0;
  for (int i = 0; i < kKills; ++i) {
    const Writer writer(kills.path, Way::kInPlace);
    kills.pause();
    ::kill(writer.pid(), SIGKILL);
    if (bury_all() > 1) ++outlived;
    REQUIRE(is_whole(content_of(kills.path)));
    REQUIRE(info_of(kills.path).st_ino == kills.inode);
  }
  MESSAGE(fmt::format("{} of {} writers were killed in the middle of a write", outlived, kKills));
}

TEST_CASE("what is left when everything is killed in the middle is finished by the next start") {
  Kills kills;
  int torn = 0;
  for (int i = 0; i < kKills; ++i) {
    const Writer writer(kills.path, Way::kInPlace);
    kills.pause();
    ::kill(-writer.pid(), SIGKILL);
    bury_all();
    if (!is_whole(content_of(kills.path))) ++torn;
    recover(kills.path);
    REQUIRE(is_whole(content_of(kills.path)));
    REQUIRE(info_of(kills.path).st_ino == kills.inode);
    check_nothing_beside(kills.directory);
  }
  MESSAGE(fmt::format("{} of {} files were torn before", torn, kKills));
}
