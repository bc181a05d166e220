// What a standalone server keeps of its znodes, on files in memory: what survives, what a torn tail and a damaged
// middle are taken for, and that no number is told twice.
#include "core/zookeeper/znode_log.hpp"

#include <doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "support/memory_files.hpp"

namespace kvd {
namespace {

constexpr char kFile[] = "znodes";

// One life of a server: a ZooKeeper and its log.
struct Life {
  Prng prng{7};
  ZkEnsemble zookeeper{prng};
  ZnodeLog log;
  std::string wrong;
  uint64_t session = 0;

  explicit Life(MemoryFiles& files) : log(files) {
    Result<ZnodeLog::Found> found = log.open();
    if (!found) {
      wrong = found.error().detail;
      return;
    }
    zookeeper.resume(std::move(found->tree), found->zxid);
    session = zookeeper.open_session(seconds(10), Instant());
  }
  ZkResult call(ZkRequest request) {
    ZkResult result = zookeeper.apply(session, ZkCall{ZkCallId(1), std::move(request)}).result;
    std::string changes;
    encode_newest_change(zookeeper, changes);
    if (!changes.empty()) REQUIRE_FALSE(log.append(changes));
    return result;
  }
  ZkResult create(const std::string& path, ZkMode mode = ZkMode::kPersistent) {
    return call(ZkCreate{path, "data of " + path, mode});
  }
};

TEST_CASE("a life without space at its start begins its epoch before anything of it is told") {
  MemoryFiles files;
  int64_t told = 0;
  {
    Life life(files);
    CHECK(life.log.begun());
    told = life.create("/a").stat.created_zxid;
  }
  const size_t budget = files.budget;
  for (int i = 0; i < 2; ++i) {
    files.budget = 0;
    Life life(files);
    CHECK(life.wrong.empty());
    CHECK_FALSE(life.log.begun());
    CHECK(life.zookeeper.tree().contains("/a"));
    files.budget = budget;
    REQUIRE_FALSE(life.log.append(""));  // an ephemeral's creation changes nothing that is kept
    CHECK(life.log.begun());
    const int64_t zxid = life.zookeeper.zxid();
    CHECK(zxid > told);
    told = zxid + 1000;  // of ephemerals
  }
  CHECK(Life(files).zookeeper.zxid() > told);
}

TEST_CASE("persistent znodes outlive their server, with versions and times, and ephemerals do not") {
  MemoryFiles files;
  ZkTree before;
  {
    Life life(files);
    life.create("/a");
    life.create("/a/b");
    life.create("/a/mine", ZkMode::kEphemeral);
    life.call(ZkSet{"/a/b", "changed", 0});
    life.create("/gone");
    life.call(ZkDelete{"/gone", -1});
    before = life.zookeeper.tree();
  }
  files.lose_power();
  Life life(files);
  REQUIRE(life.wrong.empty());
  const ZkTree& tree = life.zookeeper.tree();
  CHECK(tree.size() == before.size() - 1);
  CHECK_FALSE(tree.contains("/a/mine"));
  CHECK_FALSE(tree.contains("/gone"));
  const ZkZnode& node = tree.at("/a/b");
  CHECK(node.data == "changed");
  CHECK(node.version == 1);
  CHECK(node.created_zxid == before.at("/a/b").created_zxid);
  CHECK(node.modified_zxid == before.at("/a/b").modified_zxid);
  CHECK(tree.at("/a").children_count == 1);
  CHECK(tree.at("/").children_count == 2);  // /zookeeper, too
}

TEST_CASE("numbers of children go on, also those of ephemerals, and so do zxids") {
  MemoryFiles files;
  int64_t told = 0;
  for (int i = 0; i < 3; ++i) {
    Life life(files);
    if (i == 0) life.create("/q");
    CHECK(life.create("/q/n-", ZkMode::kEphemeralSequential).path ==
          "/q/n-000000000" + std::to_string(3 * i));
    const ZkResult kept = life.create("/q/n-", ZkMode::kPersistentSequential);
    CHECK(kept.path == "/q/n-000000000" + std::to_string(3 * i + 1));
    CHECK(kept.stat.created_zxid > told);
    life.create("/q/mine", ZkMode::kEphemeral);
    for (int more = 0; more < 10; ++more)  // of which nothing is kept
      told = life.call(ZkSet{"/q/mine", "x", -1}).stat.modified_zxid;
    CHECK(told > kept.stat.created_zxid);
    files.lose_power();
  }
}

TEST_CASE("what a multi replaces by an ephemeral is gone afterwards") {
  MemoryFiles files;
  {
    Life life(files);
    life.create("/x");
    const ZkMulti multi{{ZkDelete{"/x", -1}, ZkCreate{"/x", "", ZkMode::kEphemeral}}};
    CHECK(life.call(multi).code == ZkCode::kOk);
  }
  CHECK_FALSE(Life(files).zookeeper.tree().contains("/x"));
}

TEST_CASE("a torn tail was never told of; a damaged middle is an error") {
  MemoryFiles files;
  {
    Life life(files);
    for (const char* path : {"/a", "/b", "/c"}) life.create(path);
  }
  const std::string whole = files.files.at(kFile);
  for (size_t cut = 1; cut < 60; ++cut) {
    files.files.at(kFile) = whole.substr(0, whole.size() - cut);
    Life life(files);
    CHECK(life.wrong.empty());
    CHECK(life.zookeeper.tree().contains("/b"));
    CHECK_FALSE(life.zookeeper.tree().contains("/c"));
  }
  for (const char* where : {"data of /a", "data of /b"}) {
    std::string damaged = whole;
    damaged[damaged.find(where)] ^= 1;
    files.files.at(kFile) = damaged;
    CHECK(Life(files).wrong.find("damaged") != std::string::npos);
    CHECK(files.files.at(kFile) == damaged);  // kept for whoever looks into it
  }
}

TEST_CASE("what a file began with is never a torn tail") {
  MemoryFiles files;
  {
    Life life(files);
    for (int i = 10; i < 60; ++i) life.call(ZkCreate{"/n" + std::to_string(i), std::string(60'000, 'x')});
  }
  CHECK(Life(files).wrong.empty());  // which begins the file anew
  const std::string whole = files.files.at(kFile);
  for (const size_t size : {size_t{20}, size_t{70}, whole.size() / 2, whole.size() - 1}) {
    files.files.at(kFile) = whole.substr(0, size);
    CHECK(Life(files).wrong.find("damaged") != std::string::npos);
  }
}

TEST_CASE("a start that fails half way leaves what was there") {
  MemoryFiles files;
  Life(files).create("/a");
  for (const char* step : {"create", "write", "sync", "rename"}) {
    files.before = [step](const std::string& what, const std::string&) -> FileResult {
      if (what != step) return {};
      return FileError{false, "no more"};
    };
    CHECK(Life(files).wrong == "no more");
    files.before = nullptr;
    files.lose_power();
    CHECK(Life(files).zookeeper.tree().contains("/a"));
  }
}

TEST_CASE("a file that has grown is begun anew, with the same znodes") {
  MemoryFiles files;
  {
    Life life(files);
    life.create("/big");
    uint64_t largest = 0;
    bool shrank = false;
    for (int i = 0; i < 1500 && !shrank; ++i) {
      life.call(ZkSet{"/big", std::string(60'000, static_cast<char>('a' + i % 26)), -1});
      const uint64_t size = files.files.at(kFile).size();
      shrank = size < largest;
      largest = size;
    }
    CHECK(shrank);
    life.create("/after");
  }
  files.lose_power();
  Life life(files);
  CHECK(life.zookeeper.tree().contains("/after"));
  CHECK(life.zookeeper.tree().at("/big").data.size() == 60'000);
}

}  // namespace
}  // namespace kvd
