// Tasks, workers, master and backups (services_harness.hpp): who gets what, once, and what becomes of it when
// somebody fails. The numbers in names are clients/workers/masters.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "msg/limits.hpp"
#include "tasks_harness.hpp"

using namespace kvd;
using namespace kvd::sim;
using Kind = ServicesHarness::Kind;

TEST_CASE("task: servers stand below master once there are tasks and not before") {
  ServicesHarness harness(2);
  CHECK(harness.children("/master").empty());
  const Worker worker(harness, "w");
  CHECK(harness.children("/master").empty());
  const std::string id = leave(harness, "data", "", 1);
  CHECK(harness.children("/master").size() == 2);
  CHECK(harness.member(worker.next(), "id") == id);
}

TEST_CASE("task: a worker gets it and its result comes back") {
  TasksHarness harness;
  const ServiceAnswer left = harness.ask(0, "POST tasks?kind=sum", "1 2");
  CHECK(left.status == ServiceStatus::kAccepted);
  const std::string id = harness.member(left, "id");
  CHECK(left.notes.text(kNoteMade) == "tasks/" + id);
  CHECK(words_of(harness.ask(0, "GET tasks/" + id)) ==
        fmt::format(R"({{"id":"{}","state":"waiting","attempt":0,"kind":"sum"}})", id));
  const Worker worker(harness, "w");
  const ServiceAnswer got = worker.next();
  CHECK(got.status == ServiceStatus::kOk);
  CHECK(words_of(got) == fmt::format(R"({{"id":"{}","attempt":1,"fence":{},"kind":"sum","data":"1 2"}})", id,
                                     harness.znode("/workers/w").modified_zxid));
  CHECK(words_of(worker.next()) == words_of(got));  // the same again until it is over
  CHECK(words_of(harness.ask(0, "GET tasks/" + id)) ==
        fmt::format(R"({{"id":"{}","state":"assigned","attempt":1,"worker":"w","kind":"sum"}})", id));
  const uint64_t waits = harness.send(0, "GET tasks/" + id + "?wait=60000");
  CHECK_FALSE(harness.heard(waits).ended);
  CHECK(finish(harness, got, "3").status == ServiceStatus::kOk);
  REQUIRE(harness.heard(waits).ended);
  CHECK(
      words_of(*harness.heard(waits).answer) ==
      fmt::format(R"({{"id":"{}","state":"done","attempt":1,"worker":"w","kind":"sum","result":"3"}})", id));
  CHECK(worker.next().status == ServiceStatus::kDone);
}

TEST_CASE("task: what stands in ZooKeeper is what other programs know") {
  TasksHarness harness;
  const std::string id = leave(harness, "do it");
  CHECK(harness.znode("/tasks/" + id).data.empty());
  CHECK(harness.znode("/data/" + id).data == "do it");
  CHECK(harness.znode("/data/" + id).ephemeral_owner == 0);
  CHECK(harness.children("/master").size() == 1);
  CHECK(contender_of(harness, 0) == "/master/master-0000000000");
  const Worker worker(harness, "w");
  CHECK(harness.znode("/workers/w").ephemeral_owner != 0);
  CHECK(said(harness, "w") == id);
  finish(harness, worker.next(), std::string("\0\xff", 2));
  CHECK(said(harness, "w") == "non");
  CHECK(harness.znode("/tasks/" + id).data == id + "=" + std::string("\0\xff", 2));
  CHECK(harness.member(harness.ask(0, "GET tasks/" + id), "result_b64") == "AP8=");
  CHECK(harness.children("/tasks").size() == 1);
  CHECK(harness.children("/kvd/tasks").size() == 1);
}

TEST_CASE("task: a client and a worker that know nothing of kvd") {
  TasksHarness harness;
  const uint64_t kazoo = harness.begin_client();
  const uint64_t its_worker = harness.begin_client();
  const std::string path =
      harness.zk_as(kazoo, ZkCreate{"/tasks/task-", "", ZkMode::kPersistentSequential}).path;
  const std::string id = path.substr(7);
  harness.zk_as(kazoo, ZkCreate{"/data/" + id, "d", ZkMode::kPersistent});
  CHECK(id == "task-0000000001");
  CHECK(state_of(harness, id) == "waiting");
  harness.zk_as(its_worker, ZkCreate{"/workers/k", "non", ZkMode::kEphemeral});
  CHECK(said(harness, "k") == id);
  CHECK(state_of(harness, id) == "assigned");
  // A kvd client's task goes to it as well, once it is done with the first.
  const std::string second = leave(harness, "e");
  CHECK(said(harness, "k") == id);
  harness.zk_as(its_worker, ZkSet{"/tasks/" + id, id + "=r"});
  harness.zk_as(its_worker, ZkSet{"/workers/k", "non"});
  CHECK(said(harness, "k") == second);
  CHECK(harness.member(harness.ask(0, "GET tasks/" + id), "result") == "r");
  CHECK(state_of(harness, id) == "done");
  harness.end_client(its_worker);
  CHECK(state_of(harness, second) == "waiting");
  // And a kvd worker does what kazoo's client left.
  const Worker worker(harness, "w");
  finish(harness, worker.next(), "s");
  CHECK(harness.znode("/tasks/" + second).data == second + "=s");
}

TEST_CASE("task: its data may come later than itself") {
  TasksHarness harness;
  const Worker worker(harness, "w");
  harness.zk(ZkCreate{"/tasks/t", "", ZkMode::kPersistent});
  CHECK(said(harness, "w") == "non");
  const uint64_t waits = harness.send(0, worker.request() + "&wait=60000");
  harness.zk(ZkCreate{"/data/t", "d", ZkMode::kPersistent});
  REQUIRE(harness.heard(waits).ended);
  CHECK(harness.member(*harness.heard(waits).answer, "data") == "d");
}

TEST_CASE("task: another program uses a name again at once and its second task is done as well") {
  TasksHarness harness;
  const Worker worker(harness, "w");
  harness.zk(ZkCreate{"/data/t", "d", ZkMode::kPersistent});
  harness.zk(ZkCreate{"/tasks/t", "", ZkMode::kPersistent});
  finish(harness, worker.next(), "1");
  harness.zk(ZkMulti{{ZkDelete{"/tasks/t"}, ZkCreate{"/tasks/t", "", ZkMode::kPersistent}}});
  const ServiceAnswer again = worker.next();
  CHECK(again.status == ServiceStatus::kOk);
  CHECK(harness.member(again, "attempt") == "1");  // what was noted of the first does not count
  CHECK(finish(harness, again, "2").status == ServiceStatus::kOk);
}

TEST_CASE("task: a note goes with its task whoever removes it") {
  TasksHarness harness;
  const std::string one = leave(harness, "");
  const std::string two = leave(harness, "");
  harness.zk(ZkDelete{"/tasks/" + one});
  CHECK(harness.children("/kvd/tasks") == std::vector<std::string>{two});
  harness.kill(0);
  harness.zk(ZkDelete{"/tasks/" + two});
  harness.start(0);
  harness.pass(ServicesHarness::kSession + seconds(1));
  CHECK(harness.children("/kvd/tasks").empty());
}

// ---- the course's scenarios ----

TEST_CASE("task: (1/1/1) the worker fails and does it when it is back") {
  TasksHarness harness;
  const std::string id = leave(harness, "x");
  const Worker first(harness, "w");
  const ServiceAnswer lost = first.next();
  first.quit();
  CHECK(state_of(harness, id) == "waiting");
  const Worker second(harness, "w");
  const ServiceAnswer got = second.next();
  CHECK(harness.member(got, "id") == id);
  CHECK(harness.member(got, "attempt") == "2");
  CHECK(std::stoll(harness.member(got, "fence")) > std::stoll(harness.member(lost, "fence")));
  CHECK(finish(harness, lost, "late").status == ServiceStatus::kConditionFailed);
  CHECK(finish(harness, got, "good").status == ServiceStatus::kOk);
  CHECK(finish(harness, lost, "later").status == ServiceStatus::kConditionFailed);
  CHECK(harness.znode("/tasks/" + id).data == id + "=good");
}

TEST_CASE("task: (1/1/1) the client fails and its task is done and forgotten in time") {
  TasksHarness harness;
  const std::string id = leave(harness, "x");
  const uint64_t waits = harness.send(0, "GET tasks/" + id + "?wait=60000");
  harness.hang_up(waits);
  const Worker worker(harness, "w");
  CHECK(finish(harness, worker.next(), "y").status == ServiceStatus::kOk);
  CHECK_FALSE(harness.heard(waits).ended);
  harness.pass(std::chrono::minutes(59));
  CHECK(state_of(harness, id) == "done");
  harness.pass(std::chrono::minutes(2));
  CHECK(harness.ask(0, "GET tasks/" + id).status == ServiceStatus::kNotFound);
  for (const char* path : {"/tasks", "/data", "/kvd/tasks"}) CHECK(harness.children(path).empty());
}

TEST_CASE("task: (1/2/1) a worker fails before it has begun and the other does its task") {
  TasksHarness harness;
  const Worker first(harness, "a");
  const Worker second(harness, "b");
  const std::string id = leave(harness, "x");
  CHECK(said(harness, "a") == id);
  first.quit();
  CHECK(said(harness, "b") == id);
  CHECK(finish(harness, second.next(), "y").status == ServiceStatus::kOk);
  CHECK(state_of(harness, id) == "done");
}

TEST_CASE("task: (1/2/1) a worker's server dies while it works and the other does its task") {
  TasksHarness harness(2);
  const Worker first(harness, "a", 1);
  const Worker second(harness, "b", 0);
  const std::string id = leave(harness, "x");
  const ServiceAnswer lost = first.next();
  CHECK(harness.member(lost, "id") == id);
  harness.kill(1);
  harness.pass(seconds(1));
  CHECK(second.next().status == ServiceStatus::kDone);  // it may be at it still
  harness.pass(ServicesHarness::kSession + seconds(1));
  const ServiceAnswer got = second.next();
  CHECK(harness.member(got, "attempt") == "2");
  CHECK(finish(harness, lost, "late").status == ServiceStatus::kConditionFailed);
  CHECK(finish(harness, got, "y").status == ServiceStatus::kOk);
}

TEST_CASE("task: (1/2/1) a worker that wrote its result and died before it was idle has done its task") {
  TasksHarness harness;
  const uint64_t kazoo = harness.begin_client();
  harness.zk_as(kazoo, ZkCreate{"/workers/a", "non", ZkMode::kEphemeral});
  const std::string id = leave(harness, "x");
  harness.zk_as(kazoo, ZkSet{"/tasks/" + id, id + "=y"});
  harness.end_client(kazoo);
  const Worker second(harness, "b");
  CHECK(second.next().status == ServiceStatus::kDone);
  CHECK(harness.member(harness.ask(0, "GET tasks/" + id), "attempt") == "1");
}

TEST_CASE("task: (2/2/1) workers compete and each task runs once and the oldest first") {
  TasksHarness harness(2);
  std::vector<std::string> left;
  for (int i = 0; i < 10; ++i) left.push_back(leave(harness, std::to_string(i), "", i % 2));
  const Worker first(harness, "a", 0);
  const Worker second(harness, "b", 1);
  std::vector<std::string> done;
  for (int i = 0; i < 5; ++i) {
    for (const Worker* worker : {&first, &second}) {
      const ServiceAnswer got = worker->next();
      CHECK(harness.member(got, "attempt") == "1");
      done.push_back(harness.member(got, "id"));
      CHECK(finish(harness, got, "r", worker->server).status == ServiceStatus::kOk);
    }
  }
  CHECK(done == left);
  CHECK(first.next().status == ServiceStatus::kDone);
  CHECK(second.next().status == ServiceStatus::kDone);
}

TEST_CASE("task: (2/2/2) the backup resumes when the master fails") {
  TasksHarness harness(2);
  CHECK(contender_of(harness, 0) < contender_of(harness, 1));
  const Worker first(harness, "a", 1);
  const Worker second(harness, "b", 1);
  const std::string one = leave(harness, "1", "", 1);
  const ServiceAnswer got = first.next();
  harness.kill(0);
  const std::string two = leave(harness, "2", "", 1);
  CHECK(said(harness, "b") == "non");
  CHECK(finish(harness, got, "r", 1).status == ServiceStatus::kOk);
  harness.pass(ServicesHarness::kSession + seconds(1));
  CHECK(harness.member(second.next(), "id") == two);   // idle for longest
  CHECK(first.next().status == ServiceStatus::kDone);  // the first task has been done once and is left alone
  CHECK(state_of(harness, one, 1) == "done");
  const std::string three = leave(harness, "3", "", 1);
  CHECK(harness.member(first.next(), "id") == three);
}

// ZooKeeper still keeps that server's session.
static bool session_lives(const ServicesHarness& harness, int server, int life = 1) {
  return harness.exists(fmt::format("/kvd/lives/s{}.{:016x}", server, 0x1000 * life + server));
}

TEST_CASE("task: (2/2/2) the next in line assigns long before the session of a killed master has ended") {
  TasksHarness harness(3);
  const Worker worker(harness, "w", 2);
  harness.kill(0);
  SUBCASE("one") {}
  SUBCASE("two at once") { harness.kill(1); }
  const std::string id = leave(harness, "x", "", 2);
  harness.pass(milliseconds(100));
  CHECK(said(harness, "w") == id);
  CHECK(session_lives(harness, 0));
  CHECK(contender_of(harness, 0).empty());
  harness.pass(ServicesHarness::kSession + seconds(1));
  CHECK_FALSE(session_lives(harness, 0));
  CHECK(harness.member(worker.next(), "attempt") == "1");
}

TEST_CASE("task: (2/2/2) of a master that stands still there is no proof that it is dead") {
  TasksHarness harness(2);
  const Worker worker(harness, "w", 1);
  harness.pause(0);
  leave(harness, "x", "", 1);
  harness.pass(ServicesHarness::kSession - seconds(1));
  CHECK_FALSE(contender_of(harness, 0).empty());
  CHECK(said(harness, "w") == "non");
}

TEST_CASE("task: what is proven of a server's former life is not held against the present one") {
  TasksHarness harness(2);
  harness.kill(0);
  SUBCASE("it is back before anybody has tried its port") {}
  SUBCASE("it is back later") { harness.pass(milliseconds(100)); }
  harness.start(0);
  harness.pass(milliseconds(100));
  CHECK(harness.children("/master").size() == 2);
  CHECK(contender_of(harness, 0) > contender_of(harness, 1));
  const Worker worker(harness, "w", 0);
  const std::string id = leave(harness, "x", "", 1);
  CHECK(said(harness, "w") == id);
  harness.kill(1);
  leave(harness, "y", "", 0);
  finish(harness, worker.next(), "r");
  harness.pass(milliseconds(100));
  CHECK(said(harness, "w") != "non");
}

TEST_CASE("task: a server that was killed and is back does not wait for its own former contender") {
  TasksHarness harness;
  const Worker former(harness, "a");
  harness.kill(0);
  harness.start(0);
  const Worker worker(harness, "b");
  const std::string id = leave(harness, "x", "?retries=0");
  harness.pass(milliseconds(100));
  CHECK(said(harness, "b") == id);
  CHECK_FALSE(harness.exists("/workers/a"));
}

TEST_CASE("task: workers of a dead server make way and those that have a task do so later") {
  TasksHarness harness(3);
  int dies = 0;
  SUBCASE("the master") {}
  SUBCASE("another") { dies = 1; }
  const Worker busy(harness, "a", dies);
  const std::string one = leave(harness, "1", "", 2);
  REQUIRE(said(harness, "a") == one);
  const Worker idle(harness, "b", dies);
  const Worker other(harness, "c", 2);
  harness.kill(dies);
  harness.pass(milliseconds(100));
  const std::string two = leave(harness, "2", "?retries=0", 2);
  CHECK(said(harness, "a") == one);
  CHECK_FALSE(harness.exists("/workers/b"));
  CHECK(said(harness, "c") == two);
  finish(harness, other.next(), "r", 2);
  CHECK(other.next().status == ServiceStatus::kDone);
  const Worker again(harness, "b", 2);  // its name is free
  harness.pass(ServicesHarness::kSession / 3);
  CHECK(session_lives(harness, dies));
  CHECK(harness.member(other.next(), "id") == one);
  CHECK(harness.member(other.next(), "attempt") == "2");
  CHECK(finish(harness, other.next(), "r", 2).status == ServiceStatus::kOk);
}

TEST_CASE("task: (2/2/2) a paused master finds that it leads no more when it goes on") {
  TasksHarness harness(2);
  const Worker worker(harness, "w", 1);
  harness.pause(0);
  const std::string one = leave(harness, "1", "", 1);
  const std::string two = leave(harness, "2", "", 1);
  CHECK(said(harness, "w") == "non");
  harness.pass(ServicesHarness::kSession + seconds(1));
  CHECK(said(harness, "w") == one);
  const int64_t fence = harness.znode("/workers/w").modified_zxid;
  harness.resume(0);
  harness.pass(seconds(1));
  CHECK(harness.znode("/workers/w").modified_zxid == fence);
  CHECK(state_of(harness, two, 1) == "waiting");
}

TEST_CASE("task: a master whose contender has gone cannot assign") {
  TasksHarness harness(2);
  const Worker worker(harness, "w", 0);
  harness.pause(1);  // so that nobody else assigns
  harness.overtake(0, Kind::kMulti, ZkDelete{contender_of(harness, 0)});
  harness.zk(ZkCreate{"/data/t", "d", ZkMode::kPersistent});
  harness.zk(ZkCreate{"/tasks/t", "", ZkMode::kPersistent});
  CHECK(said(harness, "w") == "non");
  CHECK(contender_of(harness, 0) > contender_of(harness, 1));  // it stands again, last
  harness.resume(1);
  CHECK(said(harness, "w") == "t");
  CHECK(harness.member(worker.next(), "attempt") == "1");
}

TEST_CASE("task: who is first below /master assigns and be it another program") {
  TasksHarness harness;
  const uint64_t kazoo = harness.begin_client();
  harness.zk_as(kazoo, ZkCreate{"/master/m_", "me", ZkMode::kEphemeralSequential});
  harness.zk(ZkDelete{contender_of(harness, 0)});
  const Worker worker(harness, "w");
  const std::string id = leave(harness, "x");
  CHECK(worker.next().status == ServiceStatus::kDone);
  // It does it as the course has it, and kvd's worker works for it.
  harness.zk_as(kazoo, ZkSet{"/workers/w", id});
  const ServiceAnswer got = worker.next();
  CHECK(harness.member(got, "data") == "x");
  CHECK(finish(harness, got, "y").status == ServiceStatus::kOk);
  CHECK(state_of(harness, id) == "done");
  const std::string second = leave(harness, "z");
  CHECK(said(harness, "w") == "non");
  harness.end_client(kazoo);
  CHECK(said(harness, "w") == second);
}

TEST_CASE("task: after a restart of all servers everything goes on") {
  TasksHarness harness(2);
  const Worker worker(harness, "w");
  const std::string one = leave(harness, "1");
  const std::string two = leave(harness, "2");
  const std::string three = leave(harness, "3", "?retries=7");
  const std::string cancelled = leave(harness, "4");
  finish(harness, worker.next(), "r");
  CHECK(harness.member(worker.next(), "id") == two);
  harness.ask(0, "DELETE tasks/" + cancelled);
  harness.kill(0);
  harness.kill(1);
  harness.pass(ServicesHarness::kSession + seconds(1));
  CHECK(harness.children("/workers").empty());
  harness.start(0);
  harness.start(1);
  CHECK(harness.member(harness.ask(1, "GET tasks/" + one), "result") == "r");
  CHECK(state_of(harness, cancelled, 1) == "cancelled");
  const Worker again(harness, "w", 1);
  ServiceAnswer got = again.next();
  CHECK(harness.member(got, "id") == two);
  CHECK(harness.member(got, "attempt") == "2");
  finish(harness, got, "r");
  got = again.next();
  CHECK(harness.member(got, "id") == three);
  CHECK(harness.member(got, "attempt") == "1");
  finish(harness, got, "r");
  CHECK(again.next().status == ServiceStatus::kDone);
}

// ---- attempts, ends, time ----

TEST_CASE("task: a worker that is back under its name with another session has no task") {
  TasksHarness harness;
  const uint64_t kazoo = harness.begin_client();
  const uint64_t again = harness.begin_client();
  harness.zk_as(kazoo, ZkCreate{"/workers/k", "non", ZkMode::kEphemeral});
  const std::string id = leave(harness, "x");
  CHECK(said(harness, "k") == id);
  harness.pause(0);
  harness.end_client(kazoo);
  harness.zk_as(again, ZkCreate{"/workers/k", "non", ZkMode::kEphemeral});
  harness.resume(0);  // which sees one list of workers, the same as before
  CHECK(said(harness, "k") == id);
  CHECK(harness.member(harness.ask(0, "GET tasks/" + id), "attempt") == "2");
}

TEST_CASE("task: it fails when its retries are used up") {
  TasksHarness harness;
  const std::string id = leave(harness, "x", "?retries=2");
  for (int i = 1; i <= 3; ++i) {
    const Worker worker(harness, "w");
    CHECK(harness.member(worker.next(), "attempt") == std::to_string(i));
    CHECK(state_of(harness, id) == "assigned");
    worker.quit();
  }
  CHECK(state_of(harness, id) == "failed");
  CHECK(harness.znode("/tasks/" + id).data == id + "=failed");
  const Worker worker(harness, "w");
  CHECK(worker.next().status == ServiceStatus::kDone);
}

TEST_CASE("task: a worker may say that it failed") {
  TasksHarness harness;
  const std::string id = leave(harness, "x");
  const Worker worker(harness, "w");
  const ServiceAnswer got = worker.next();
  CHECK(finish(harness, got, "no such file", 0, "&status=failed").status == ServiceStatus::kOk);
  CHECK(state_of(harness, id) == "failed");
  CHECK(harness.member(harness.ask(0, "GET tasks/" + id), "result") == "no such file");
  CHECK(finish(harness, got, "no such file", 0, "&status=failed").status ==
        ServiceStatus::kOk);  // said again
  CHECK(finish(harness, got, "ah").status == ServiceStatus::kConditionFailed);
}

TEST_CASE("task: cancelled while it waits it is given to nobody") {
  TasksHarness harness;
  const std::string id = leave(harness, "x");
  const uint64_t waits = harness.send(0, "GET tasks/" + id + "?wait=60000");
  const ServiceAnswer answer = harness.ask(0, "DELETE tasks/" + id);
  CHECK(answer.status == ServiceStatus::kOk);
  CHECK(words_of(answer) == fmt::format(R"({{"id":"{}","state":"cancelled"}})", id));
  REQUIRE(harness.heard(waits).ended);
  CHECK(harness.member(*harness.heard(waits).answer, "state") == "cancelled");
  const Worker worker(harness, "w");
  CHECK(worker.next().status == ServiceStatus::kDone);
  CHECK(harness.ask(0, "DELETE tasks/" + id).status == ServiceStatus::kDone);
  CHECK(harness.ask(0, "GET tasks/" + id).status == ServiceStatus::kNotFound);
  CHECK(harness.ask(0, "DELETE tasks/" + id).status == ServiceStatus::kNotFound);
}

TEST_CASE("task: a worker hears that its task was cancelled and gets another one when it asks") {
  TasksHarness harness(2);
  const uint64_t holds = harness.send(0, "POST workers?name=w&hold=1");
  const std::string id = leave(harness, "x");
  const std::string other = leave(harness, "y");
  const ServiceAnswer got = harness.ask(0, "POST workers/w/next");
  CHECK(
      harness.ask(1, fmt::format("PUT tasks/{}/progress?fence={}", id, harness.member(got, "fence")), "half")
          .status == ServiceStatus::kDone);
  CHECK(harness.member(harness.ask(0, "GET tasks/" + id), "progress") == "half");
  harness.ask(1, "DELETE tasks/" + id);
  CHECK(harness.heard(holds).lines.back() == fmt::format(R"({{"state":"cancel","id":"{}"}})", id));
  CHECK(finish(harness, got, "r").status == ServiceStatus::kConditionFailed);
  CHECK(
      harness.ask(0, fmt::format("PUT tasks/{}/progress?fence={}", id, harness.member(got, "fence")), "more")
          .status == ServiceStatus::kConditionFailed);
  CHECK(state_of(harness, id) == "cancelled");
  CHECK(said(harness, "w") == id);  // it may be at it still
  const uint64_t next = harness.send(0, "POST workers/w/next?wait=1000");
  REQUIRE(harness.heard(next).ended);
  CHECK(harness.member(*harness.heard(next).answer, "id") == other);
}

TEST_CASE("task: one that was cancelled before its worker fetched it makes way") {
  TasksHarness harness;
  const Worker worker(harness, "w");
  const std::string id = leave(harness, "x");
  const std::string other = leave(harness, "y");
  CHECK(said(harness, "w") == id);
  harness.ask(0, "DELETE tasks/" + id);
  CHECK(said(harness, "w") == other);
}

TEST_CASE("task: who has cancelled one that was done meanwhile does not remove it") {
  TasksHarness harness;
  const std::string id = leave(harness, "x");
  harness.overtake(0, Kind::kMulti, ZkSet{"/tasks/" + id, id + "=r"});
  CHECK(harness.ask(0, "DELETE tasks/" + id).status == ServiceStatus::kConflict);
  CHECK(harness.member(harness.ask(0, "GET tasks/" + id), "result") == "r");
}

TEST_CASE("task: one that is cancelled while it is being assigned is not given out") {
  TasksHarness harness;
  const std::string id = leave(harness, "x");
  harness.overtake(0, Kind::kMulti, ZkSet{"/tasks/" + id, id + "=cancelled"});
  harness.zk(ZkCreate{"/workers/k", "non", ZkMode::kEphemeral});
  CHECK(said(harness, "k") == "non");
}

TEST_CASE("task: a result that a later attempt overtakes is refused") {
  TasksHarness harness;
  const std::string id = leave(harness, "x");
  const Worker worker(harness, "w");
  const ServiceAnswer got = worker.next();
  harness.overtake(0, Kind::kMulti, ZkSet{"/workers/w", id});  // the same task, yet another attempt
  CHECK(finish(harness, got, "r").status == ServiceStatus::kConditionFailed);
  CHECK(state_of(harness, id) == "assigned");
}

TEST_CASE("task: a new master judges by the ensemble's clock how long one has been over") {
  TasksHarness harness(2);
  const std::string id = leave(harness, "x", "", 1);
  const Worker worker(harness, "w", 1);
  finish(harness, worker.next(), "r", 1);
  harness.pass(std::chrono::minutes(40));
  harness.kill(0);
  harness.pass(std::chrono::minutes(15));
  CHECK(state_of(harness, id, 1) == "done");
  harness.pass(std::chrono::minutes(10));
  CHECK(harness.ask(1, "GET tasks/" + id).status == ServiceStatus::kNotFound);
  for (const char* path : {"/tasks", "/data", "/kvd/tasks"}) CHECK(harness.children(path).empty());
}

TEST_CASE("task: of those that are over a bounded number is kept") {
  TasksHarness harness;
  harness.kill(0);
  for (int i = 0; i < 4200; i += 100) {
    ZkMulti multi;
    for (int n = i; n < i + 100; ++n)
      multi.ops.emplace_back(
          ZkCreate{fmt::format("/tasks/t{}", n), fmt::format("t{}=r", n), ZkMode::kPersistent});
    REQUIRE(harness.zk(std::move(multi)).code == ZkCode::kOk);
  }
  harness.start(0);
  harness.pass(seconds(10));
  CHECK(harness.children("/tasks").size() == limits::kTasksKept);
  harness.pass(std::chrono::minutes(61));
  CHECK(harness.children("/tasks").empty());
}

TEST_CASE("task: one that goes while the master looks at it does not make it look at all others") {
  TasksHarness harness;
  for (int i = 0; i < 100; ++i)
    harness.zk(ZkCreate{fmt::format("/tasks/over-{}", i), fmt::format("over-{}=r", i), ZkMode::kPersistent});
  const uint64_t kazoo = harness.begin_client();
  harness.zk(ZkCreate{"/workers", "", ZkMode::kPersistent});
  harness.zk_as(kazoo, ZkCreate{"/workers/w", "non", ZkMode::kEphemeral});
  const std::string id = leave(harness, "x");
  REQUIRE(said(harness, "w") == id);
  harness.take_calls();
  harness.zk_between_turns(
      {ZkSet{"/tasks/" + id, id + "=r"}, ZkSet{"/workers/w", "non"}, ZkDelete{"/tasks/" + id}});
  harness.pass(seconds(1));
  CHECK_FALSE(harness.exists("/tasks/" + id));
  CHECK(harness.take_calls() < 50);
}
