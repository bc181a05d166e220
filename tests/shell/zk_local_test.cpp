// The ZooKeeper of a standalone server on a real loop: the order of what the node hears, and that nothing is answered
// before it is kept.
#include "shell/zookeeper/zk_local.hpp"

#include <doctest.h>

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "support/memory_files.hpp"

using namespace kvd;

namespace {

struct ZkLocalFixture {
  uv_loop_t loop{};
  MemoryFiles files;
  std::vector<std::string> heard;  // "session", "watch PATH", "result NUMBER CODE", "failed"
  std::unique_ptr<ZkLocal> zk;

  ZkLocalFixture() {
    REQUIRE(uv_loop_init(&loop) == 0);
    zk = std::make_unique<ZkLocal>(&loop, 7, seconds(6), [this](NodeInput&& input) { hear(input); });
  }
  ~ZkLocalFixture() {
    bool closed = false;
    zk->close([&] { closed = true; });
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(closed);
    CHECK(uv_loop_close(&loop) == 0);
  }

  void hear(const NodeInput& input) {
    if (std::holds_alternative<ZkSessionChanged>(input)) heard.emplace_back("session");
    if (const auto* fired = std::get_if<ZkWatchFired>(&input)) heard.push_back("watch " + fired->path);
    if (const auto* result = std::get_if<ZkResult>(&input))
      heard.push_back("result " + std::to_string(result->id.value) + " " + zk_code_name(result->code));
    if (std::holds_alternative<DiskAnswer>(input)) heard.emplace_back("failed");
  }
  void keep() { REQUIRE_FALSE(zk->keep_in(files)); }
  void call(uint64_t number, ZkRequest request) { zk->perform(ZkCall{ZkCallId(number), std::move(request)}); }
  // Gives the calls of a turn, and waits for what comes of them.
  std::vector<std::string> turn() {
    CHECK(heard.empty());  // never from within a call
    zk->flush();
    uv_run(&loop, UV_RUN_DEFAULT);
    return std::exchange(heard, {});
  }
  void start() {
    zk->start();
    CHECK(std::exchange(heard, {}) == std::vector<std::string>{"session"});
  }
};

using Heard = std::vector<std::string>;
const std::string kOk = zk_code_name(ZkCode::kOk);

}  // namespace

TEST_CASE_FIXTURE(ZkLocalFixture,
                  "results come in the order of the calls, and watches before what shows the change") {
  SUBCASE("in memory") {}
  SUBCASE("kept") { keep(); }
  start();
  call(1, ZkCreate{"/a", "1"});
  call(2, ZkGet{"/a", true});
  call(3, ZkSet{"/a", "2"});
  call(4, ZkGet{"/a"});
  CHECK(turn() ==
        Heard{"result 1 " + kOk, "result 2 " + kOk, "watch /a", "result 3 " + kOk, "result 4 " + kOk});
  call(5, ZkSet{"/a", "3"});
  CHECK(turn() == Heard{"result 5 " + kOk});  // the watch is spent
}

TEST_CASE_FIXTURE(ZkLocalFixture, "what comes while a batch is written is the next one") {
  keep();
  start();
  call(1, ZkCreate{"/a"});
  zk->flush();
  call(2, ZkCreate{"/b"});
  call(3, ZkExists{"/a"});
  const int syncs = files.syncs;
  CHECK(turn() == Heard{"result 1 " + kOk, "result 2 " + kOk, "result 3 " + kOk});
  CHECK(files.syncs - syncs <= 2);
}

TEST_CASE_FIXTURE(ZkLocalFixture, "a read needs no disk, and neither does what is not kept") {
  keep();
  start();
  call(1, ZkCreate{"/a"});
  turn();
  const int writes = files.writes;
  call(2, ZkGet{"/a"});
  call(3, ZkSync{"/"});
  call(4, ZkDelete{"/none"});
  CHECK(turn() == Heard{"result 2 " + kOk, "result 3 " + kOk,
                        std::string("result 4 ") + zk_code_name(ZkCode::kNoNode)});
  CHECK(files.writes == writes);
}

TEST_CASE_FIXTURE(ZkLocalFixture, "what cannot be kept is not answered, and ends the server") {
  keep();
  start();
  files.before = [](const std::string& what, const std::string&) -> FileResult {
    if (what != "sync") return {};
    return FileError{false, "sync: broken"};
  };
  call(1, ZkCreate{"/a"});
  CHECK(turn() == Heard{"failed"});
  call(2, ZkCreate{"/b"});
  CHECK(turn().empty());
}

TEST_CASE_FIXTURE(ZkLocalFixture, "on a full disk writes are refused, and reads are not") {
  keep();
  start();
  files.free = 1u << 20;
  call(1, ZkCreate{"/a"});
  call(2, ZkExists{"/zookeeper"});
  CHECK(turn() == Heard{std::string("result 1 ") + zk_code_name(ZkCode::kNotConnected), "result 2 " + kOk});
  files.free = UINT64_MAX;
  call(3, ZkCreate{"/a"});
  CHECK(turn() == Heard{"result 3 " + kOk});
}
