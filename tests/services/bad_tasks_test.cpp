// What others put into ZooKeeper among tasks, workers and masters, as plays: whatever it is, the next task is done, and
// what can never be done has failed and says why.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "core/services/tasks/task_layout.hpp"
#include "tasks_harness.hpp"

using namespace kvd;
using namespace kvd::sim;
using Kind = ServicesPlay::Kind;

namespace {

// By a client that has never heard of kvd.
void leave_by_hand(ServicesPlay& play, const std::string& id, const std::string& data = "d") {
  play.zk(ZkCreate{"/data/" + id, data, ZkMode::kPersistent});
  play.zk(ZkCreate{"/tasks/" + id, "", ZkMode::kPersistent});
}

std::string result_of(ServicesPlay& play, const std::string& id) {
  return play.member(play.ask(0, "GET tasks/" + id), "result");
}

// The next task is done by that worker.
void does_another(ServicesPlay& play, const Worker& worker) {
  const std::string id = leave(play, "x", "", worker.server);
  const ServiceAnswer got = worker.next();
  REQUIRE(play.member(got, "id") == id);
  CHECK(finish(play, got, "r", worker.server).verdict == Verdict::kOk);
}

}  // namespace

TEST_CASE("bad task: one whose data does not come occupies no worker and fails in time") {
  TasksPlay play;
  const Worker worker(play, "w");
  play.zk(ZkCreate{"/tasks/t", "", ZkMode::kPersistent});
  does_another(play, worker);
  CHECK(state_of(play, "t") == "waiting");
  const uint64_t waits = play.send(0, "GET tasks/t?wait=60000");
  play.pass(kTaskDataPatience + seconds(1));
  REQUIRE(play.heard(waits).ended);
  CHECK(play.znode("/tasks/t").data == "t=failed: /data/t did not come");
  CHECK(state_of(play, "t") == "failed");
  does_another(play, worker);
}

TEST_CASE("bad task: its data is awaited also where no more can be watched") {
  TasksPlay play;
  const std::string session = play.open_session(0);
  watch_as_much_as_may_be(play, session);
  play.zk(ZkCreate{"/tasks/t", "", ZkMode::kPersistent});
  play.zk(ZkCreate{"/data/t", "d", ZkMode::kPersistent});
  play.pass(kTaskDataPatience + seconds(1));
  CHECK(state_of(play, "t") == "waiting");
  play.ask(0, "DELETE sessions/" + session);
  const Worker worker(play, "w");
  CHECK(play.member(worker.next(), "data") == "d");
}

TEST_CASE("bad task: who assigns without its data keeps a worker from others for so long and no longer") {
  TasksPlay play;
  const uint64_t kazoo = play.begin_client();
  const Worker worker(play, "w");
  play.zk_as(kazoo, ZkCreate{"/master/m_", "me", ZkMode::kEphemeralSequential});
  play.zk(ZkDelete{contender_of(play, 0)});
  play.zk(ZkCreate{"/tasks/t", "", ZkMode::kPersistent});
  play.zk_as(kazoo, ZkSet{"/workers/w", "t"});
  const uint64_t waits = play.send(0, worker.request() + "&wait=60000");
  const uint64_t impatient = play.send(0, worker.request() + "&wait=1000");
  play.pass(milliseconds(1010));
  CHECK(play.heard(impatient).answer->verdict == Verdict::kDone);
  SUBCASE("it comes") {
    play.zk(ZkCreate{"/data/t", "d", ZkMode::kPersistent});
    REQUIRE(play.heard(waits).ended);
    CHECK(play.member(*play.heard(waits).answer, "data") == "d");
  }
  SUBCASE("it does not come") {
    play.pass(kTaskDataPatience);
    CHECK(said(play, "w") == "non");
    CHECK(state_of(play, "t") == "failed");
    leave_by_hand(play, "u");
    play.zk_as(kazoo, ZkSet{"/workers/w", "u"});
    REQUIRE(play.heard(waits).ended);
    CHECK(play.member(*play.heard(waits).answer, "id") == "u");
  }
}

TEST_CASE("bad task: data that was deleted or that nobody may read fails it") {
  TasksPlay play;
  const std::string hidden = leave(play, "x");
  play.hide("/data/" + hidden);
  const std::string deleted = leave(play, "x");
  play.zk(ZkDelete{"/data/" + deleted});
  const Worker worker(play, "w");
  CHECK(state_of(play, hidden) == "failed");
  CHECK(result_of(play, hidden) == fmt::format("failed: /data/{} cannot be read: no_auth", hidden));
  play.pass(kTaskDataPatience + seconds(1));
  CHECK(result_of(play, deleted) == fmt::format("failed: /data/{} did not come", deleted));
  does_another(play, worker);
}

TEST_CASE("bad task: whose result nobody may write has failed and frees its worker") {
  TasksPlay play(2);
  const int other = 1;
  const Worker worker(play, "w");
  leave_by_hand(play, "t");
  play.forbid_changes("/tasks/t");
  const ServiceAnswer got = worker.next();
  REQUIRE(play.member(got, "id") == "t");
  CHECK(finish(play, got, "r", other).verdict == Verdict::kForbidden);
  CHECK(said(play, "w") == "non");
  CHECK(state_of(play, "t", other) == "failed");
  CHECK(result_of(play, "t") == "failed: ZooKeeper forbids to write to /tasks/t");
  CHECK(play.member(play.ask(0, "GET tasks/t?wait=1000"), "state") == "failed");
  CHECK(play.ask(0, "GET tasks").text == R"({"tasks":[{"id":"t","state":"failed"}],"truncated":false})");
  does_another(play, worker);
  play.pass(std::chrono::minutes(62));
  CHECK_FALSE(play.exists("/tasks/t"));
  CHECK_FALSE(play.exists("/kvd/tasks/t"));
}

TEST_CASE("bad task: one that neither has data nor may be written to has failed") {
  TasksPlay play;
  const Worker worker(play, "w");
  play.zk(ZkCreate{"/tasks/t", "", ZkMode::kPersistent});
  play.forbid_changes("/tasks/t");
  play.pass(kTaskDataPatience + seconds(1));
  CHECK(state_of(play, "t") == "failed");
  CHECK(play.ask(0, "DELETE tasks/t").verdict == Verdict::kDone);
  does_another(play, worker);
}

TEST_CASE(
    "bad task: one that nobody may change cannot be cancelled and one that is hidden is not told as absent") {
  TasksPlay play;
  leave_by_hand(play, "t");
  leave_by_hand(play, "u");
  play.forbid_changes("/tasks/t");
  play.hide("/tasks/u");
  CHECK(play.ask(0, "DELETE tasks/t").verdict == Verdict::kForbidden);
  CHECK(play.ask(0, "GET tasks/u").verdict == Verdict::kForbidden);
  CHECK(play.ask(0, "GET tasks/u?wait=1000").verdict == Verdict::kForbidden);
  CHECK(play.ask(0, "GET tasks").text ==
        R"({"tasks":[{"id":"t","state":"waiting"},{"id":"u","state":"unreadable"}],"truncated":false})");
  const Worker worker(play, "w");
  CHECK(play.member(worker.next(), "id") == "t");
}

TEST_CASE("bad task: an id that no call can name fails it") {
  TasksPlay play;
  const std::string longest(kTaskNameBytes + 1, 't');
  leave_by_hand(play, longest);
  leave_by_hand(play, "non");  // which an idle worker says
  const Worker worker(play, "w");
  CHECK(play.znode("/tasks/" + longest).data == longest + "=failed: its id cannot be used");
  CHECK(play.znode("/tasks/non").data == "non=failed: its id cannot be used");
  does_another(play, worker);
}

TEST_CASE("bad task: a kind that fits into no environment is refused and in a note not believed") {
  TasksPlay play;
  CHECK(play.ask(0, std::string("POST tasks?kind=a\0b", 19)).verdict == Verdict::kInvalid);
  for (const char* kind :
       {"a\\u0000b", "0123456789012345678901234567890123456789012345678901234567890123456789"})
    CHECK(decode_task_note(fmt::format(R"({{"kind":"{}"}})", kind)).kind.empty());
}

TEST_CASE("bad task: notes that nobody may write keep only that task from being assigned") {
  TasksPlay play;
  const std::string id = leave(play, "x");
  play.forbid_changes("/kvd/tasks/" + id);
  const Worker worker(play, "w");
  does_another(play, worker);
}

TEST_CASE("bad master: a contender that is not ephemeral is passed over") {
  TasksPlay play(2);
  play.zk(ZkCreate{"/master/master-", "old", ZkMode::kPersistentSequential});
  play.zk(ZkCreate{"/master/x_", "older", ZkMode::kPersistentSequential});
  for (const int server : {0, 1})
    play.zk(ZkDelete{contender_of(play, server)});  // they stand again, behind those
  const int leads = contender_of(play, 0) < contender_of(play, 1) ? 0 : 1;
  const Worker worker(play, "w", 1 - leads);
  does_another(play, worker);
  play.kill(leads);
  play.pass(ServicesPlay::kSession + seconds(1));
  does_another(play, worker);
}

TEST_CASE(
    "bad layout: tasks that may not be made are refused for good and lists that may not be read are not "
    "empty") {
  SUBCASE("tasks") {
    TasksPlay play;
    play.forbid_changes("/tasks");
    CHECK(play.ask(0, "POST tasks", "x").verdict == Verdict::kForbidden);
  }
  SUBCASE("hidden") {
    TasksPlay play;
    play.hide("/tasks");
    CHECK(play.ask(0, "GET tasks").verdict == Verdict::kForbidden);
  }
  SUBCASE("nothing can be made") {
    ServicesPlay play;
    for (const char* path : {"/tasks", "/data", "/workers"}) play.zk(ZkDelete{path});
    play.forbid_changes("/");
    CHECK(play.ask(0, "POST tasks", "x").verdict == Verdict::kForbidden);
    CHECK(play.ask(0, "POST workers?name=w&session=" + play.open_session(0)).verdict == Verdict::kForbidden);
  }
}
