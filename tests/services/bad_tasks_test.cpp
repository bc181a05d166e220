// What others put into ZooKeeper among tasks, workers and masters: whatever it is, the next task is done, and
// what can never be done has failed and says why.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "core/services/tasks/task_layout.hpp"
#include "msg/name_rules.hpp"
#include "tasks_harness.hpp"

using namespace kvd;
using namespace kvd::sim;
using Kind = ServicesHarness::Kind;

namespace {

// By a client that has never heard of kvd.
void leave_by_hand(ServicesHarness& harness, const std::string& id, const std::string& data = "d") {
  harness.zk(ZkCreate{"/data/" + id, data, ZkMode::kPersistent});
  harness.zk(ZkCreate{"/tasks/" + id, "", ZkMode::kPersistent});
}

std::string result_of(ServicesHarness& harness, const std::string& id) {
  return harness.member(harness.ask(0, "GET tasks/" + id), "result");
}

// The next task is done by that worker.
void does_another(ServicesHarness& harness, const Worker& worker) {
  const std::string id = leave(harness, "x", "", worker.server);
  const ServiceAnswer got = worker.next();
  REQUIRE(harness.member(got, "id") == id);
  CHECK(finish(harness, got, "r", worker.server).status == ServiceStatus::kOk);
}

}  // namespace

TEST_CASE("bad task: one whose data does not come occupies no worker and fails in time") {
  TasksHarness harness;
  const Worker worker(harness, "w");
  harness.zk(ZkCreate{"/tasks/t", "", ZkMode::kPersistent});
  does_another(harness, worker);
  CHECK(state_of(harness, "t") == "waiting");
  const uint64_t waits = harness.send(0, "GET tasks/t?wait=60000");
  harness.pass(kTaskDataPatience + seconds(1));
  REQUIRE(harness.heard(waits).ended);
  CHECK(harness.znode("/tasks/t").data == "t=failed: /data/t did not come");
  CHECK(state_of(harness, "t") == "failed");
  does_another(harness, worker);
}

TEST_CASE("bad task: its data is awaited also where no more can be watched") {
  TasksHarness harness;
  const std::string session = harness.open_session(0);
  watch_as_much_as_may_be(harness, session);
  harness.zk(ZkCreate{"/tasks/t", "", ZkMode::kPersistent});
  harness.zk(ZkCreate{"/data/t", "d", ZkMode::kPersistent});
  harness.pass(kTaskDataPatience + seconds(1));
  CHECK(state_of(harness, "t") == "waiting");
  harness.ask(0, "DELETE sessions/" + session);
  const Worker worker(harness, "w");
  CHECK(harness.member(worker.next(), "data") == "d");
}

TEST_CASE("bad task: who assigns without its data keeps a worker from others for so long and no longer") {
  TasksHarness harness;
  const uint64_t kazoo = harness.begin_client();
  const Worker worker(harness, "w");
  harness.zk_as(kazoo, ZkCreate{"/master/m_", "me", ZkMode::kEphemeralSequential});
  harness.zk(ZkDelete{contender_of(harness, 0)});
  harness.zk(ZkCreate{"/tasks/t", "", ZkMode::kPersistent});
  harness.zk_as(kazoo, ZkSet{"/workers/w", "t"});
  const uint64_t waits = harness.send(0, worker.request() + "&wait=60000");
  const uint64_t impatient = harness.send(0, worker.request() + "&wait=1000");
  harness.pass(milliseconds(1010));
  CHECK(harness.heard(impatient).answer->status == ServiceStatus::kDone);
  SUBCASE("it comes") {
    harness.zk(ZkCreate{"/data/t", "d", ZkMode::kPersistent});
    REQUIRE(harness.heard(waits).ended);
    CHECK(harness.member(*harness.heard(waits).answer, "data") == "d");
  }
  SUBCASE("it does not come") {
    harness.pass(kTaskDataPatience);
    CHECK(said(harness, "w") == "non");
    CHECK(state_of(harness, "t") == "failed");
    leave_by_hand(harness, "u");
    harness.zk_as(kazoo, ZkSet{"/workers/w", "u"});
    REQUIRE(harness.heard(waits).ended);
    CHECK(harness.member(*harness.heard(waits).answer, "id") == "u");
  }
}

TEST_CASE("bad task: data that was deleted or that nobody may read fails it") {
  TasksHarness harness;
  const std::string hidden = leave(harness, "x");
  harness.hide("/data/" + hidden);
  const std::string deleted = leave(harness, "x");
  harness.zk(ZkDelete{"/data/" + deleted});
  const Worker worker(harness, "w");
  CHECK(state_of(harness, hidden) == "failed");
  CHECK(result_of(harness, hidden) == fmt::format("failed: /data/{} cannot be read: no_auth", hidden));
  harness.pass(kTaskDataPatience + seconds(1));
  CHECK(result_of(harness, deleted) == fmt::format("failed: /data/{} did not come", deleted));
  does_another(harness, worker);
}

TEST_CASE("bad task: whose result nobody may write has failed and frees its worker") {
  TasksHarness harness(2);
  const int other = 1;
  const Worker worker(harness, "w");
  leave_by_hand(harness, "t");
  harness.forbid_changes("/tasks/t");
  const ServiceAnswer got = worker.next();
  REQUIRE(harness.member(got, "id") == "t");
  CHECK(finish(harness, got, "r", other).status == ServiceStatus::kForbidden);
  CHECK(said(harness, "w") == "non");
  CHECK(state_of(harness, "t", other) == "failed");
  CHECK(result_of(harness, "t") == "failed: ZooKeeper forbids to write to /tasks/t");
  CHECK(harness.member(harness.ask(0, "GET tasks/t?wait=1000"), "state") == "failed");
  CHECK(words_of(harness.ask(0, "GET tasks")) ==
        R"({"tasks":[{"id":"t","state":"failed"}],"truncated":false})");
  does_another(harness, worker);
  harness.pass(std::chrono::minutes(62));
  CHECK_FALSE(harness.exists("/tasks/t"));
  CHECK_FALSE(harness.exists("/kvd/tasks/t"));
}

TEST_CASE("bad task: one that neither has data nor may be written to has failed") {
  TasksHarness harness;
  const Worker worker(harness, "w");
  harness.zk(ZkCreate{"/tasks/t", "", ZkMode::kPersistent});
  harness.forbid_changes("/tasks/t");
  harness.pass(kTaskDataPatience + seconds(1));
  CHECK(state_of(harness, "t") == "failed");
  CHECK(harness.ask(0, "DELETE tasks/t").status == ServiceStatus::kDone);
  does_another(harness, worker);
}

TEST_CASE(
    "bad task: one that nobody may change cannot be cancelled and one that is hidden is not told as absent") {
  TasksHarness harness;
  leave_by_hand(harness, "t");
  leave_by_hand(harness, "u");
  harness.forbid_changes("/tasks/t");
  harness.hide("/tasks/u");
  CHECK(harness.ask(0, "DELETE tasks/t").status == ServiceStatus::kForbidden);
  CHECK(harness.ask(0, "GET tasks/u").status == ServiceStatus::kForbidden);
  CHECK(harness.ask(0, "GET tasks/u?wait=1000").status == ServiceStatus::kForbidden);
  CHECK(words_of(harness.ask(0, "GET tasks")) ==
        R"({"tasks":[{"id":"t","state":"waiting"},{"id":"u","state":"unreadable"}],"truncated":false})");
  const Worker worker(harness, "w");
  CHECK(harness.member(worker.next(), "id") == "t");
}

TEST_CASE("bad task: an id that no call can name fails it") {
  TasksHarness harness;
  const std::string longest(kTaskNameBytes + 1, 't');
  leave_by_hand(harness, longest);
  leave_by_hand(harness, "non");  // which an idle worker says
  const Worker worker(harness, "w");
  CHECK(harness.znode("/tasks/" + longest).data == longest + "=failed: its id cannot be used");
  CHECK(harness.znode("/tasks/non").data == "non=failed: its id cannot be used");
  does_another(harness, worker);
}

TEST_CASE("bad task: a kind that fits into no environment is refused and in a note not believed") {
  TasksHarness harness;
  CHECK(harness.ask(0, std::string("POST tasks?kind=a\0b", 19)).status == ServiceStatus::kInvalid);
  for (const char* kind :
       {"a\\u0000b", "0123456789012345678901234567890123456789012345678901234567890123456789"})
    CHECK(decode_task_note(fmt::format(R"({{"kind":"{}"}})", kind)).kind.empty());
}

TEST_CASE("bad task: notes that nobody may write keep only that task from being assigned") {
  TasksHarness harness;
  const std::string id = leave(harness, "x");
  harness.forbid_changes("/kvd/tasks/" + id);
  const Worker worker(harness, "w");
  does_another(harness, worker);
}

TEST_CASE("bad master: a contender that is not ephemeral is passed over") {
  TasksHarness harness(2);
  harness.zk(ZkCreate{"/master/master-", "old", ZkMode::kPersistentSequential});
  harness.zk(ZkCreate{"/master/x_", "older", ZkMode::kPersistentSequential});
  for (const int server : {0, 1})
    harness.zk(ZkDelete{contender_of(harness, server)});  // they stand again, behind those
  const int leads = contender_of(harness, 0) < contender_of(harness, 1) ? 0 : 1;
  const Worker worker(harness, "w", 1 - leads);
  does_another(harness, worker);
  harness.kill(leads);
  harness.pass(ServicesHarness::kSession + seconds(1));
  does_another(harness, worker);
}

TEST_CASE(
    "bad layout: tasks that may not be made are refused for good and lists that may not be read are not "
    "empty") {
  SUBCASE("tasks") {
    TasksHarness harness;
    harness.forbid_changes("/tasks");
    CHECK(harness.ask(0, "POST tasks", "x").status == ServiceStatus::kForbidden);
  }
  SUBCASE("hidden") {
    TasksHarness harness;
    harness.hide("/tasks");
    CHECK(harness.ask(0, "GET tasks").status == ServiceStatus::kForbidden);
  }
  SUBCASE("nothing can be made") {
    ServicesHarness harness;
    for (const char* path : {"/tasks", "/data", "/workers"}) harness.zk(ZkDelete{path});
    harness.forbid_changes("/");
    CHECK(harness.ask(0, "POST tasks", "x").status == ServiceStatus::kForbidden);
    CHECK(harness.ask(0, "POST workers?name=w&session=" + harness.open_session(0)).status ==
          ServiceStatus::kForbidden);
  }
}
