// The layout of tasks, which other programs rely on, as plays: it stands as soon as a server is up, whatever happens to
// it.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tasks_harness.hpp"

using namespace kvd;
using namespace kvd::sim;

namespace {

constexpr const char* kLayout[] = {"/tasks", "/data", "/workers", "/master", "/kvd/tasks"};

}  // namespace

TEST_CASE("task layout: it stands as soon as a server is up and asks nothing more") {
  ServicesPlay play(2);
  for (const char* path : kLayout) {
    REQUIRE(play.exists(path));
    CHECK(play.znode(path).ephemeral_owner == 0);
  }
  play.pass(seconds(1));
  play.take_calls();
  play.pass(seconds(60));
  CHECK(play.take_calls() == 0);
}

TEST_CASE("task layout: what was deleted by hand is made anew a moment later and work goes on") {
  ServicesPlay play(2);
  SUBCASE("nobody has used it") {}
  SUBCASE("somebody has") { play.ask(0, "DELETE tasks/" + leave(play, "x")); }
  for (const char* path : {"/tasks", "/data", "/workers", "/kvd/tasks"}) {
    for (const std::string& name : play.children(path)) play.zk(ZkDelete{fmt::format("{}/{}", path, name)});
    play.zk(ZkDelete{path});
  }
  play.pass(milliseconds(500));
  for (const char* path : {"/tasks", "/data", "/workers", "/kvd/tasks"}) CHECK_FALSE(play.exists(path));
  play.pass(seconds(1));
  for (const char* path : kLayout) CHECK(play.exists(path));
  const uint64_t kazoo = play.begin_client();
  play.zk_as(kazoo, ZkCreate{"/workers/k", "non", ZkMode::kEphemeral});
  play.zk_as(kazoo, ZkCreate{"/tasks/t", "", ZkMode::kPersistent});
  play.zk_as(kazoo, ZkCreate{"/data/t", "d", ZkMode::kPersistent});
  CHECK(said(play, "k") == "t");
  play.pass(seconds(1));
  play.take_calls();
  play.pass(seconds(60));
  CHECK(play.take_calls() == 0);
}

TEST_CASE("task layout: below a master that was deleted servers stand again") {
  TasksPlay play(2);
  for (const std::string& name : play.children("/master")) play.zk(ZkDelete{"/master/" + name});
  play.zk(ZkDelete{"/master"});
  play.pass(seconds(2));
  CHECK(play.children("/master").size() == 2);
  const Worker worker(play, "w");
  CHECK(said(play, "w") == "non");
  const std::string id = leave(play, "x", "", 1);
  CHECK(said(play, "w") == id);
}

TEST_CASE("task layout: what ZooKeeper forbids to make is told once and tried now and then") {
  ServicesPlay play;
  play.zk(ZkDelete{"/data"});
  play.forbid_changes("/");
  play.pass(seconds(60));
  CHECK_FALSE(play.exists("/data"));
  CHECK(play.logged("cannot make a znode that others look for") == 1);
  play.take_calls();
  play.pass(seconds(100));
  CHECK(play.take_calls() <= 20);
}
