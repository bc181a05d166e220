// The layout of tasks, which other programs rely on: it stands as soon as a server is up, whatever happens to
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
  ServicesHarness harness(2);
  for (const char* path : kLayout) {
    REQUIRE(harness.exists(path));
    CHECK(harness.znode(path).ephemeral_owner == 0);
  }
  harness.pass(seconds(1));
  harness.take_calls();
  harness.pass(seconds(60));
  CHECK(harness.take_calls() == 0);
}

TEST_CASE("task layout: what was deleted by hand is made anew a moment later and work goes on") {
  ServicesHarness harness(2);
  SUBCASE("nobody has used it") {}
  SUBCASE("somebody has") { harness.ask(0, "DELETE tasks/" + leave(harness, "x")); }
  for (const char* path : {"/tasks", "/data", "/workers", "/kvd/tasks"}) {
    for (const std::string& name : harness.children(path))
      harness.zk(ZkDelete{fmt::format("{}/{}", path, name)});
    harness.zk(ZkDelete{path});
  }
  harness.pass(milliseconds(500));
  for (const char* path : {"/tasks", "/data", "/workers", "/kvd/tasks"}) CHECK_FALSE(harness.exists(path));
  harness.pass(seconds(1));
  for (const char* path : kLayout) CHECK(harness.exists(path));
  const uint64_t kazoo = harness.begin_client();
  harness.zk_as(kazoo, ZkCreate{"/workers/k", "non", ZkMode::kEphemeral});
  harness.zk_as(kazoo, ZkCreate{"/tasks/t", "", ZkMode::kPersistent});
  harness.zk_as(kazoo, ZkCreate{"/data/t", "d", ZkMode::kPersistent});
  CHECK(said(harness, "k") == "t");
  harness.pass(seconds(1));
  harness.take_calls();
  harness.pass(seconds(60));
  CHECK(harness.take_calls() == 0);
}

TEST_CASE("task layout: below a master that was deleted servers stand again") {
  TasksHarness harness(2);
  for (const std::string& name : harness.children("/master")) harness.zk(ZkDelete{"/master/" + name});
  harness.zk(ZkDelete{"/master"});
  harness.pass(seconds(2));
  CHECK(harness.children("/master").size() == 2);
  const Worker worker(harness, "w");
  CHECK(said(harness, "w") == "non");
  const std::string id = leave(harness, "x", "", 1);
  CHECK(said(harness, "w") == id);
}

TEST_CASE("task layout: what ZooKeeper forbids to make is told once and tried now and then") {
  ServicesHarness harness;
  harness.zk(ZkDelete{"/data"});
  harness.forbid_changes("/");
  harness.pass(seconds(60));
  CHECK_FALSE(harness.exists("/data"));
  CHECK(harness.logged("cannot make a znode that others look for") == 1);
  harness.take_calls();
  harness.pass(seconds(100));
  CHECK(harness.take_calls() <= 20);
}
