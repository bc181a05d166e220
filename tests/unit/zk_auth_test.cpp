// --zookeeper-auth-file as it is read, and ACLs: which one znodes are made with, and what one that ZooKeeper shows
// means for kvd.
#include "shell/zookeeper/zk_auth.hpp"

#include <doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "shell/zookeeper/zk_acl.hpp"

namespace kvd {
namespace {

// A file of its own, which is gone behind the test.
struct File {
  explicit File(const std::string& content, mode_t mode = 0600) {
    const int fd = ::mkstemp(path.data());
    REQUIRE(fd >= 0);
    REQUIRE(::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
    REQUIRE(::fchmod(fd, mode) == 0);
    ::close(fd);
  }
  ~File() { ::unlink(path.c_str()); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  std::string path = "/tmp/kvd-zk-auth-XXXXXX";
};

std::string problem_of(const std::string& path) {
  ZkAuth auth;
  auth.file = path;
  const std::optional<Error> error = read_zk_auth(auth);
  REQUIRE(error.has_value());
  CHECK(auth.credentials.empty());
  CHECK(error->detail.starts_with("--zookeeper-auth-file " + path + ": "));
  CHECK(error->detail.find('\n') == std::string::npos);
  return error->detail;
}

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

// As ZooKeeper shows it.
struct Shown {
  explicit Shown(std::vector<std::pair<std::string, int>> the_entries) : entries(std::move(the_entries)) {
    for (auto& [who, perms] : entries) {
      const size_t colon = who.find(':');
      who[colon] = '\0';
      acls.push_back({perms, {who.data(), who.data() + colon + 1}});
    }
    vector = {static_cast<int32_t>(acls.size()), acls.data()};
  }

  std::vector<std::pair<std::string, int>> entries;
  std::vector<struct ACL> acls;
  struct ACL_vector vector {};
};

ZkProtection protection(std::vector<std::pair<std::string, int>> entries) {
  const Shown shown(std::move(entries));
  return zk_protection(shown.vector, "kvd");
}

}  // namespace

TEST_CASE("a file with one line user:password") {
  for (const std::string line : {"kvd:secret", "kvd:secret\n", "kvd:with:colons\n", "a:b"}) {
    const File file(line);
    ZkAuth auth;
    auth.file = file.path;
    CHECK_FALSE(read_zk_auth(auth).has_value());
    CHECK(auth.credentials == line.substr(0, line.find('\n')));
    CHECK(auth.user() == line.substr(0, line.find(':')));
    CHECK_FALSE(auth.exposed);
  }
}

TEST_CASE("a file that all may read is told") {
  for (const auto& [mode, exposed] :
       {std::pair(0600, false), std::pair(0640, false), std::pair(0644, true)}) {
    const File file("kvd:secret\n", static_cast<mode_t>(mode));
    ZkAuth auth;
    auth.file = file.path;
    CHECK_FALSE(read_zk_auth(auth).has_value());
    CHECK(auth.exposed == exposed);
  }
}

TEST_CASE(
    "what cannot be read, or is no user and password, is told with its reason and without what is in it") {
  CHECK(contains(problem_of("/nowhere/auth"), "No such file"));
  CHECK(contains(problem_of("/tmp"), "directory"));
  for (const auto& [content, reason] : std::vector<std::pair<std::string, const char*>>{
           {"", "is empty"},
           {"\n", "no colon"},
           {"secret\n", "no colon"},
           {":secret\n", "no user"},
           {"kvd:\n", "no password"},
           {"kvd:secret\nmore:secret\n", "more than one line"},
           {"kvd:secret\n\n", "more than one line"},
           {"kvd:secret\r\n", "printable ASCII"},
           {"kvd: secret\n", "printable ASCII"},
           {"kvd:secr\xC3\xA9t\n", "printable ASCII"},
           {std::string("kvd:se\0cret\n", 12), "printable ASCII"},
           {"kvd:" + std::string(2000, 's') + "\n", "1024 bytes"}}) {
    const std::string& text = content;  // which a lambda may capture
    CAPTURE(text);
    const File file(text);
    const std::string problem = problem_of(file.path);
    CHECK(contains(problem, reason));
    CHECK_FALSE(contains(problem, "secret"));
  }
}

TEST_CASE("which znodes are kvd's own, below a prefix, too") {
  for (const char* path :
       {"/kvd", "/kvd/config", "/kvd/members/a:1", "/election", "/election/server_0000000001"})
    CHECK(zk_is_own(path));
  for (const char* path : {"/", "/app", "/kvd2", "/elections/a", "/app/kvd", "/zookeeper"})
    CHECK_FALSE(zk_is_own(path));
  CHECK(zk_without_prefix("/a/b/kvd", "/a/b") == "/kvd");
  CHECK(zk_without_prefix("/a/b", "/a/b") == "/");
  CHECK(zk_without_prefix("/a/bc", "/a/b") == "/a/bc");
  CHECK(zk_without_prefix("/kvd", "") == "/kvd");
}

TEST_CASE("what new znodes get") {
  const ZkAcls nobody{"/a", false, false};
  const ZkAcls own{"/a", true, false};
  const ZkAcls all{"/a", true, true};
  for (const char* path : {"/a/kvd", "/a/election/server_", "/a/app/lock", "/a"}) {
    const bool is_own = zk_is_own(zk_without_prefix(path, "/a"));
    CHECK(nobody.of(path) == zk_open_acl());
    CHECK((own.of(path) == zk_protected_acl()) == is_own);
    CHECK(all.of(path) == zk_protected_acl());
  }
  CHECK(zk_acl_text(*zk_open_acl()) == "world:anyone:cdrwa");
  CHECK(zk_acl_text(*zk_protected_acl()) == "auth::cdrwa, world:anyone:r");
}

TEST_CASE("what an ACL that ZooKeeper shows says") {
  const std::pair<std::string, int> readable = {"world:anyone", ZOO_PERM_READ};
  CHECK(protection({{"digest:kvd:aGFzaA==", ZOO_PERM_ALL}, readable}) == ZkProtection::kProtected);
  CHECK(protection({{"digest:kvd:aGFzaA==", ZOO_PERM_ALL}}) == ZkProtection::kProtected);
  CHECK(protection({{"digest:ops:aGFzaA==", ZOO_PERM_ALL}, {"digest:kvd:aGFzaA==", ZOO_PERM_ALL}}) ==
        ZkProtection::kProtected);
  CHECK(protection({{"world:anyone", ZOO_PERM_ALL}}) == ZkProtection::kOpen);
  for (const int perm : {ZOO_PERM_WRITE, ZOO_PERM_CREATE, ZOO_PERM_DELETE, ZOO_PERM_ADMIN})
    CHECK(protection({{"digest:kvd:aGFzaA==", ZOO_PERM_ALL}, {"world:anyone", perm}}) == ZkProtection::kOpen);
  // Another password, which ZooKeeper does not show; another user; not everything.
  CHECK(protection({{"digest:kvd:x", ZOO_PERM_ALL}, readable}) == ZkProtection::kForeign);
  CHECK(protection({{"digest:ops:aGFzaA==", ZOO_PERM_ALL}, readable}) == ZkProtection::kForeign);
  CHECK(protection({{"digest:kvd:aGFzaA==", ZOO_PERM_READ | ZOO_PERM_ADMIN}}) == ZkProtection::kForeign);
  CHECK(protection({readable}) == ZkProtection::kForeign);
  const Shown shown({{"digest:kvd:aGFzaA==", ZOO_PERM_ALL}, {"ip:10.0.0.1", ZOO_PERM_READ | ZOO_PERM_WRITE}});
  CHECK(zk_acl_text(shown.vector) == "digest:kvd:cdrwa, ip:10.0.0.1:rw");
}

}  // namespace kvd
