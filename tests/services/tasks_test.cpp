// Tasks, workers, master and backups as plays (services_harness.hpp): who gets what, once, and what becomes of it when
// somebody fails. The numbers in names are clients/workers/masters.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "msg/limits.hpp"
#include "tasks_harness.hpp"

using namespace kvd;
using namespace kvd::sim;
using Kind = ServicesPlay::Kind;

TEST_CASE("task: servers stand below master once there are tasks and not before") {
  ServicesPlay play(2);
  CHECK(play.children("/master").empty());
  const Worker worker(play, "w");
  CHECK(play.children("/master").empty());
  const std::string id = leave(play, "data", "", 1);
  CHECK(play.children("/master").size() == 2);
  CHECK(play.member(worker.next(), "id") == id);
}

TEST_CASE("task: a worker gets it and its result comes back") {
  TasksPlay play;
  const ServiceAnswer left = play.ask(0, "POST tasks?kind=sum", "1 2");
  CHECK(left.verdict == Verdict::kAccepted);
  const std::string id = play.member(left, "id");
  CHECK(left.fields == std::vector<NamedText>{{"Location", "/v1/tasks/" + id}});
  CHECK(play.ask(0, "GET tasks/" + id).text ==
        fmt::format(R"({{"id":"{}","state":"waiting","attempt":0,"kind":"sum"}})", id));
  const Worker worker(play, "w");
  const ServiceAnswer got = worker.next();
  CHECK(got.verdict == Verdict::kOk);
  CHECK(got.text == fmt::format(R"({{"id":"{}","attempt":1,"fence":{},"kind":"sum","data":"1 2"}})", id,
                                play.znode("/workers/w").modified_zxid));
  CHECK(worker.next().text == got.text);  // the same again until it is over
  CHECK(play.ask(0, "GET tasks/" + id).text ==
        fmt::format(R"({{"id":"{}","state":"assigned","attempt":1,"worker":"w","kind":"sum"}})", id));
  const uint64_t waits = play.send(0, "GET tasks/" + id + "?wait=60000");
  CHECK_FALSE(play.heard(waits).ended);
  CHECK(finish(play, got, "3").verdict == Verdict::kOk);
  REQUIRE(play.heard(waits).ended);
  CHECK(
      play.heard(waits).answer->text ==
      fmt::format(R"({{"id":"{}","state":"done","attempt":1,"worker":"w","kind":"sum","result":"3"}})", id));
  CHECK(worker.next().verdict == Verdict::kDone);
}

TEST_CASE("task: what stands in ZooKeeper is what other programs know") {
  TasksPlay play;
  const std::string id = leave(play, "do it");
  CHECK(play.znode("/tasks/" + id).data.empty());
  CHECK(play.znode("/data/" + id).data == "do it");
  CHECK(play.znode("/data/" + id).ephemeral_owner == 0);
  CHECK(play.children("/master").size() == 1);
  CHECK(contender_of(play, 0) == "/master/master-0000000000");
  const Worker worker(play, "w");
  CHECK(play.znode("/workers/w").ephemeral_owner != 0);
  CHECK(said(play, "w") == id);
  finish(play, worker.next(), std::string("\0\xff", 2));
  CHECK(said(play, "w") == "non");
  CHECK(play.znode("/tasks/" + id).data == id + "=" + std::string("\0\xff", 2));
  CHECK(play.member(play.ask(0, "GET tasks/" + id), "result_b64") == "AP8=");
  CHECK(play.children("/tasks").size() == 1);
  CHECK(play.children("/kvd/tasks").size() == 1);
}

TEST_CASE("task: a client and a worker that know nothing of kvd") {
  TasksPlay play;
  const uint64_t kazoo = play.begin_client();
  const uint64_t its_worker = play.begin_client();
  const std::string path =
      play.zk_as(kazoo, ZkCreate{"/tasks/task-", "", ZkMode::kPersistentSequential}).path;
  const std::string id = path.substr(7);
  play.zk_as(kazoo, ZkCreate{"/data/" + id, "d", ZkMode::kPersistent});
  CHECK(id == "task-0000000001");
  CHECK(state_of(play, id) == "waiting");
  play.zk_as(its_worker, ZkCreate{"/workers/k", "non", ZkMode::kEphemeral});
  CHECK(said(play, "k") == id);
  CHECK(state_of(play, id) == "assigned");
  // A kvd client's task goes to it as well, once it is done with the first.
  const std::string second = leave(play, "e");
  CHECK(said(play, "k") == id);
  play.zk_as(its_worker, ZkSet{"/tasks/" + id, id + "=r"});
  play.zk_as(its_worker, ZkSet{"/workers/k", "non"});
  CHECK(said(play, "k") == second);
  CHECK(play.member(play.ask(0, "GET tasks/" + id), "result") == "r");
  CHECK(state_of(play, id) == "done");
  play.end_client(its_worker);
  CHECK(state_of(play, second) == "waiting");
  // And a kvd worker does what kazoo's client left.
  const Worker worker(play, "w");
  finish(play, worker.next(), "s");
  CHECK(play.znode("/tasks/" + second).data == second + "=s");
}

TEST_CASE("task: its data may come later than itself") {
  TasksPlay play;
  const Worker worker(play, "w");
  play.zk(ZkCreate{"/tasks/t", "", ZkMode::kPersistent});
  CHECK(said(play, "w") == "non");
  const uint64_t waits = play.send(0, worker.request() + "&wait=60000");
  play.zk(ZkCreate{"/data/t", "d", ZkMode::kPersistent});
  REQUIRE(play.heard(waits).ended);
  CHECK(play.member(*play.heard(waits).answer, "data") == "d");
}

TEST_CASE("task: another program uses a name again at once and its second task is done as well") {
  TasksPlay play;
  const Worker worker(play, "w");
  play.zk(ZkCreate{"/data/t", "d", ZkMode::kPersistent});
  play.zk(ZkCreate{"/tasks/t", "", ZkMode::kPersistent});
  finish(play, worker.next(), "1");
  play.zk(ZkMulti{{ZkDelete{"/tasks/t"}, ZkCreate{"/tasks/t", "", ZkMode::kPersistent}}});
  const ServiceAnswer again = worker.next();
  CHECK(again.verdict == Verdict::kOk);
  CHECK(play.member(again, "attempt") == "1");  // what was noted of the first does not count
  CHECK(finish(play, again, "2").verdict == Verdict::kOk);
}

TEST_CASE("task: a note goes with its task whoever removes it") {
  TasksPlay play;
  const std::string one = leave(play, "");
  const std::string two = leave(play, "");
  play.zk(ZkDelete{"/tasks/" + one});
  CHECK(play.children("/kvd/tasks") == std::vector<std::string>{two});
  play.kill(0);
  play.zk(ZkDelete{"/tasks/" + two});
  play.start(0);
  play.pass(ServicesPlay::kSession + seconds(1));
  CHECK(play.children("/kvd/tasks").empty());
}

// ---- the course's scenarios ----

TEST_CASE("task: (1/1/1) the worker fails and does it when it is back") {
  TasksPlay play;
  const std::string id = leave(play, "x");
  const Worker first(play, "w");
  const ServiceAnswer lost = first.next();
  first.quit();
  CHECK(state_of(play, id) == "waiting");
  const Worker second(play, "w");
  const ServiceAnswer got = second.next();
  CHECK(play.member(got, "id") == id);
  CHECK(play.member(got, "attempt") == "2");
  CHECK(std::stoll(play.member(got, "fence")) > std::stoll(play.member(lost, "fence")));
  CHECK(finish(play, lost, "late").verdict == Verdict::kConditionFailed);
  CHECK(finish(play, got, "good").verdict == Verdict::kOk);
  CHECK(finish(play, lost, "later").verdict == Verdict::kConditionFailed);
  CHECK(play.znode("/tasks/" + id).data == id + "=good");
}

TEST_CASE("task: (1/1/1) the client fails and its task is done and forgotten in time") {
  TasksPlay play;
  const std::string id = leave(play, "x");
  const uint64_t waits = play.send(0, "GET tasks/" + id + "?wait=60000");
  play.hang_up(waits);
  const Worker worker(play, "w");
  CHECK(finish(play, worker.next(), "y").verdict == Verdict::kOk);
  CHECK_FALSE(play.heard(waits).ended);
  play.pass(std::chrono::minutes(59));
  CHECK(state_of(play, id) == "done");
  play.pass(std::chrono::minutes(2));
  CHECK(play.ask(0, "GET tasks/" + id).verdict == Verdict::kNotFound);
  for (const char* path : {"/tasks", "/data", "/kvd/tasks"}) CHECK(play.children(path).empty());
}

TEST_CASE("task: (1/2/1) a worker fails before it has begun and the other does its task") {
  TasksPlay play;
  const Worker first(play, "a");
  const Worker second(play, "b");
  const std::string id = leave(play, "x");
  CHECK(said(play, "a") == id);
  first.quit();
  CHECK(said(play, "b") == id);
  CHECK(finish(play, second.next(), "y").verdict == Verdict::kOk);
  CHECK(state_of(play, id) == "done");
}

TEST_CASE("task: (1/2/1) a worker's server dies while it works and the other does its task") {
  TasksPlay play(2);
  const Worker first(play, "a", 1);
  const Worker second(play, "b", 0);
  const std::string id = leave(play, "x");
  const ServiceAnswer lost = first.next();
  CHECK(play.member(lost, "id") == id);
  play.kill(1);
  play.pass(seconds(1));
  CHECK(second.next().verdict == Verdict::kDone);  // it may be at it still
  play.pass(ServicesPlay::kSession + seconds(1));
  const ServiceAnswer got = second.next();
  CHECK(play.member(got, "attempt") == "2");
  CHECK(finish(play, lost, "late").verdict == Verdict::kConditionFailed);
  CHECK(finish(play, got, "y").verdict == Verdict::kOk);
}

TEST_CASE("task: (1/2/1) a worker that wrote its result and died before it was idle has done its task") {
  TasksPlay play;
  const uint64_t kazoo = play.begin_client();
  play.zk_as(kazoo, ZkCreate{"/workers/a", "non", ZkMode::kEphemeral});
  const std::string id = leave(play, "x");
  play.zk_as(kazoo, ZkSet{"/tasks/" + id, id + "=y"});
  play.end_client(kazoo);
  const Worker second(play, "b");
  CHECK(second.next().verdict == Verdict::kDone);
  CHECK(play.member(play.ask(0, "GET tasks/" + id), "attempt") == "1");
}

TEST_CASE("task: (2/2/1) workers compete and each task runs once and the oldest first") {
  TasksPlay play(2);
  std::vector<std::string> left;
  for (int i = 0; i < 10; ++i) left.push_back(leave(play, std::to_string(i), "", i % 2));
  const Worker first(play, "a", 0);
  const Worker second(play, "b", 1);
  std::vector<std::string> done;
  for (int i = 0; i < 5; ++i) {
    for (const Worker* worker : {&first, &second}) {
      const ServiceAnswer got = worker->next();
      CHECK(play.member(got, "attempt") == "1");
      done.push_back(play.member(got, "id"));
      CHECK(finish(play, got, "r", worker->server).verdict == Verdict::kOk);
    }
  }
  CHECK(done == left);
  CHECK(first.next().verdict == Verdict::kDone);
  CHECK(second.next().verdict == Verdict::kDone);
}

TEST_CASE("task: (2/2/2) the backup resumes when the master fails") {
  TasksPlay play(2);
  CHECK(contender_of(play, 0) < contender_of(play, 1));
  const Worker first(play, "a", 1);
  const Worker second(play, "b", 1);
  const std::string one = leave(play, "1", "", 1);
  const ServiceAnswer got = first.next();
  play.kill(0);
  const std::string two = leave(play, "2", "", 1);
  CHECK(said(play, "b") == "non");
  CHECK(finish(play, got, "r", 1).verdict == Verdict::kOk);
  play.pass(ServicesPlay::kSession + seconds(1));
  CHECK(play.member(second.next(), "id") == two);  // idle for longest
  CHECK(first.next().verdict == Verdict::kDone);   // the first task has been done once and is left alone
  CHECK(state_of(play, one, 1) == "done");
  const std::string three = leave(play, "3", "", 1);
  CHECK(play.member(first.next(), "id") == three);
}

// ZooKeeper still keeps that server's session.
static bool session_lives(const ServicesPlay& play, int server, int life = 1) {
  return play.exists(fmt::format("/kvd/lives/s{}.{:016x}", server, 0x1000 * life + server));
}

TEST_CASE("task: (2/2/2) the next in line assigns long before the session of a killed master has ended") {
  TasksPlay play(3);
  const Worker worker(play, "w", 2);
  play.kill(0);
  SUBCASE("one") {}
  SUBCASE("two at once") { play.kill(1); }
  const std::string id = leave(play, "x", "", 2);
  play.pass(milliseconds(100));
  CHECK(said(play, "w") == id);
  CHECK(session_lives(play, 0));
  CHECK(contender_of(play, 0).empty());
  play.pass(ServicesPlay::kSession + seconds(1));
  CHECK_FALSE(session_lives(play, 0));
  CHECK(play.member(worker.next(), "attempt") == "1");
}

TEST_CASE("task: (2/2/2) of a master that stands still there is no proof that it is dead") {
  TasksPlay play(2);
  const Worker worker(play, "w", 1);
  play.pause(0);
  leave(play, "x", "", 1);
  play.pass(ServicesPlay::kSession - seconds(1));
  CHECK_FALSE(contender_of(play, 0).empty());
  CHECK(said(play, "w") == "non");
}

TEST_CASE("task: what is proven of a server's former life is not held against the present one") {
  TasksPlay play(2);
  play.kill(0);
  SUBCASE("it is back before anybody has tried its port") {}
  SUBCASE("it is back later") { play.pass(milliseconds(100)); }
  play.start(0);
  play.pass(milliseconds(100));
  CHECK(play.children("/master").size() == 2);
  CHECK(contender_of(play, 0) > contender_of(play, 1));
  const Worker worker(play, "w", 0);
  const std::string id = leave(play, "x", "", 1);
  CHECK(said(play, "w") == id);
  play.kill(1);
  leave(play, "y", "", 0);
  finish(play, worker.next(), "r");
  play.pass(milliseconds(100));
  CHECK(said(play, "w") != "non");
}

TEST_CASE("task: a server that was killed and is back does not wait for its own former contender") {
  TasksPlay play;
  const Worker former(play, "a");
  play.kill(0);
  play.start(0);
  const Worker worker(play, "b");
  const std::string id = leave(play, "x", "?retries=0");
  play.pass(milliseconds(100));
  CHECK(said(play, "b") == id);
  CHECK_FALSE(play.exists("/workers/a"));
}

TEST_CASE("task: workers of a dead server make way and those that have a task do so later") {
  TasksPlay play(3);
  int dies = 0;
  SUBCASE("the master") {}
  SUBCASE("another") { dies = 1; }
  const Worker busy(play, "a", dies);
  const std::string one = leave(play, "1", "", 2);
  REQUIRE(said(play, "a") == one);
  const Worker idle(play, "b", dies);
  const Worker other(play, "c", 2);
  play.kill(dies);
  play.pass(milliseconds(100));
  const std::string two = leave(play, "2", "?retries=0", 2);
  CHECK(said(play, "a") == one);
  CHECK_FALSE(play.exists("/workers/b"));
  CHECK(said(play, "c") == two);
  finish(play, other.next(), "r", 2);
  CHECK(other.next().verdict == Verdict::kDone);
  const Worker again(play, "b", 2);  // its name is free
  play.pass(ServicesPlay::kSession / 3);
  CHECK(session_lives(play, dies));
  CHECK(play.member(other.next(), "id") == one);
  CHECK(play.member(other.next(), "attempt") == "2");
  CHECK(finish(play, other.next(), "r", 2).verdict == Verdict::kOk);
}

TEST_CASE("task: (2/2/2) a paused master finds that it leads no more when it goes on") {
  TasksPlay play(2);
  const Worker worker(play, "w", 1);
  play.pause(0);
  const std::string one = leave(play, "1", "", 1);
  const std::string two = leave(play, "2", "", 1);
  CHECK(said(play, "w") == "non");
  play.pass(ServicesPlay::kSession + seconds(1));
  CHECK(said(play, "w") == one);
  const int64_t fence = play.znode("/workers/w").modified_zxid;
  play.resume(0);
  play.pass(seconds(1));
  CHECK(play.znode("/workers/w").modified_zxid == fence);
  CHECK(state_of(play, two, 1) == "waiting");
}

TEST_CASE("task: a master whose contender has gone cannot assign") {
  TasksPlay play(2);
  const Worker worker(play, "w", 0);
  play.pause(1);  // so that nobody else assigns
  play.overtake(0, Kind::kMulti, ZkDelete{contender_of(play, 0)});
  play.zk(ZkCreate{"/data/t", "d", ZkMode::kPersistent});
  play.zk(ZkCreate{"/tasks/t", "", ZkMode::kPersistent});
  CHECK(said(play, "w") == "non");
  CHECK(contender_of(play, 0) > contender_of(play, 1));  // it stands again, last
  play.resume(1);
  CHECK(said(play, "w") == "t");
  CHECK(play.member(worker.next(), "attempt") == "1");
}

TEST_CASE("task: who is first below /master assigns and be it another program") {
  TasksPlay play;
  const uint64_t kazoo = play.begin_client();
  play.zk_as(kazoo, ZkCreate{"/master/m_", "me", ZkMode::kEphemeralSequential});
  play.zk(ZkDelete{contender_of(play, 0)});
  const Worker worker(play, "w");
  const std::string id = leave(play, "x");
  CHECK(worker.next().verdict == Verdict::kDone);
  // It does it as the course has it, and kvd's worker works for it.
  play.zk_as(kazoo, ZkSet{"/workers/w", id});
  const ServiceAnswer got = worker.next();
  CHECK(play.member(got, "data") == "x");
  CHECK(finish(play, got, "y").verdict == Verdict::kOk);
  CHECK(state_of(play, id) == "done");
  const std::string second = leave(play, "z");
  CHECK(said(play, "w") == "non");
  play.end_client(kazoo);
  CHECK(said(play, "w") == second);
}

TEST_CASE("task: after a restart of all servers everything goes on") {
  TasksPlay play(2);
  const Worker worker(play, "w");
  const std::string one = leave(play, "1");
  const std::string two = leave(play, "2");
  const std::string three = leave(play, "3", "?retries=7");
  const std::string cancelled = leave(play, "4");
  finish(play, worker.next(), "r");
  CHECK(play.member(worker.next(), "id") == two);
  play.ask(0, "DELETE tasks/" + cancelled);
  play.kill(0);
  play.kill(1);
  play.pass(ServicesPlay::kSession + seconds(1));
  CHECK(play.children("/workers").empty());
  play.start(0);
  play.start(1);
  CHECK(play.member(play.ask(1, "GET tasks/" + one), "result") == "r");
  CHECK(state_of(play, cancelled, 1) == "cancelled");
  const Worker again(play, "w", 1);
  ServiceAnswer got = again.next();
  CHECK(play.member(got, "id") == two);
  CHECK(play.member(got, "attempt") == "2");
  finish(play, got, "r");
  got = again.next();
  CHECK(play.member(got, "id") == three);
  CHECK(play.member(got, "attempt") == "1");
  finish(play, got, "r");
  CHECK(again.next().verdict == Verdict::kDone);
}

// ---- attempts, ends, time ----

TEST_CASE("task: a worker that is back under its name with another session has no task") {
  TasksPlay play;
  const uint64_t kazoo = play.begin_client();
  const uint64_t again = play.begin_client();
  play.zk_as(kazoo, ZkCreate{"/workers/k", "non", ZkMode::kEphemeral});
  const std::string id = leave(play, "x");
  CHECK(said(play, "k") == id);
  play.pause(0);
  play.end_client(kazoo);
  play.zk_as(again, ZkCreate{"/workers/k", "non", ZkMode::kEphemeral});
  play.resume(0);  // which sees one list of workers, the same as before
  CHECK(said(play, "k") == id);
  CHECK(play.member(play.ask(0, "GET tasks/" + id), "attempt") == "2");
}

TEST_CASE("task: it fails when its retries are used up") {
  TasksPlay play;
  const std::string id = leave(play, "x", "?retries=2");
  for (int i = 1; i <= 3; ++i) {
    const Worker worker(play, "w");
    CHECK(play.member(worker.next(), "attempt") == std::to_string(i));
    CHECK(state_of(play, id) == "assigned");
    worker.quit();
  }
  CHECK(state_of(play, id) == "failed");
  CHECK(play.znode("/tasks/" + id).data == id + "=failed");
  const Worker worker(play, "w");
  CHECK(worker.next().verdict == Verdict::kDone);
}

TEST_CASE("task: a worker may say that it failed") {
  TasksPlay play;
  const std::string id = leave(play, "x");
  const Worker worker(play, "w");
  const ServiceAnswer got = worker.next();
  CHECK(finish(play, got, "no such file", 0, "&status=failed").verdict == Verdict::kOk);
  CHECK(state_of(play, id) == "failed");
  CHECK(play.member(play.ask(0, "GET tasks/" + id), "result") == "no such file");
  CHECK(finish(play, got, "no such file", 0, "&status=failed").verdict == Verdict::kOk);  // said again
  CHECK(finish(play, got, "ah").verdict == Verdict::kConditionFailed);
}

TEST_CASE("task: cancelled while it waits it is given to nobody") {
  TasksPlay play;
  const std::string id = leave(play, "x");
  const uint64_t waits = play.send(0, "GET tasks/" + id + "?wait=60000");
  const ServiceAnswer answer = play.ask(0, "DELETE tasks/" + id);
  CHECK(answer.verdict == Verdict::kOk);
  CHECK(answer.text == fmt::format(R"({{"id":"{}","state":"cancelled"}})", id));
  REQUIRE(play.heard(waits).ended);
  CHECK(play.member(*play.heard(waits).answer, "state") == "cancelled");
  const Worker worker(play, "w");
  CHECK(worker.next().verdict == Verdict::kDone);
  CHECK(play.ask(0, "DELETE tasks/" + id).verdict == Verdict::kDone);
  CHECK(play.ask(0, "GET tasks/" + id).verdict == Verdict::kNotFound);
  CHECK(play.ask(0, "DELETE tasks/" + id).verdict == Verdict::kNotFound);
}

TEST_CASE("task: a worker hears that its task was cancelled and gets another one when it asks") {
  TasksPlay play(2);
  const uint64_t holds = play.send(0, "POST workers?name=w&hold=1");
  const std::string id = leave(play, "x");
  const std::string other = leave(play, "y");
  const ServiceAnswer got = play.ask(0, "POST workers/w/next");
  CHECK(play.ask(1, fmt::format("PUT tasks/{}/progress?fence={}", id, play.member(got, "fence")), "half")
            .verdict == Verdict::kDone);
  CHECK(play.member(play.ask(0, "GET tasks/" + id), "progress") == "half");
  play.ask(1, "DELETE tasks/" + id);
  CHECK(play.heard(holds).lines.back() == fmt::format(R"({{"state":"cancel","id":"{}"}})", id));
  CHECK(finish(play, got, "r").verdict == Verdict::kConditionFailed);
  CHECK(play.ask(0, fmt::format("PUT tasks/{}/progress?fence={}", id, play.member(got, "fence")), "more")
            .verdict == Verdict::kConditionFailed);
  CHECK(state_of(play, id) == "cancelled");
  CHECK(said(play, "w") == id);  // it may be at it still
  const uint64_t next = play.send(0, "POST workers/w/next?wait=1000");
  REQUIRE(play.heard(next).ended);
  CHECK(play.member(*play.heard(next).answer, "id") == other);
}

TEST_CASE("task: one that was cancelled before its worker fetched it makes way") {
  TasksPlay play;
  const Worker worker(play, "w");
  const std::string id = leave(play, "x");
  const std::string other = leave(play, "y");
  CHECK(said(play, "w") == id);
  play.ask(0, "DELETE tasks/" + id);
  CHECK(said(play, "w") == other);
}

TEST_CASE("task: who has cancelled one that was done meanwhile does not remove it") {
  TasksPlay play;
  const std::string id = leave(play, "x");
  play.overtake(0, Kind::kMulti, ZkSet{"/tasks/" + id, id + "=r"});
  CHECK(play.ask(0, "DELETE tasks/" + id).verdict == Verdict::kConflict);
  CHECK(play.member(play.ask(0, "GET tasks/" + id), "result") == "r");
}

TEST_CASE("task: one that is cancelled while it is being assigned is not given out") {
  TasksPlay play;
  const std::string id = leave(play, "x");
  play.overtake(0, Kind::kMulti, ZkSet{"/tasks/" + id, id + "=cancelled"});
  play.zk(ZkCreate{"/workers/k", "non", ZkMode::kEphemeral});
  CHECK(said(play, "k") == "non");
}

TEST_CASE("task: a result that a later attempt overtakes is refused") {
  TasksPlay play;
  const std::string id = leave(play, "x");
  const Worker worker(play, "w");
  const ServiceAnswer got = worker.next();
  play.overtake(0, Kind::kMulti, ZkSet{"/workers/w", id});  // the same task, yet another attempt
  CHECK(finish(play, got, "r").verdict == Verdict::kConditionFailed);
  CHECK(state_of(play, id) == "assigned");
}

TEST_CASE("task: a new master judges by the ensemble's clock how long one has been over") {
  TasksPlay play(2);
  const std::string id = leave(play, "x", "", 1);
  const Worker worker(play, "w", 1);
  finish(play, worker.next(), "r", 1);
  play.pass(std::chrono::minutes(40));
  play.kill(0);
  play.pass(std::chrono::minutes(15));
  CHECK(state_of(play, id, 1) == "done");
  play.pass(std::chrono::minutes(10));
  CHECK(play.ask(1, "GET tasks/" + id).verdict == Verdict::kNotFound);
  for (const char* path : {"/tasks", "/data", "/kvd/tasks"}) CHECK(play.children(path).empty());
}

TEST_CASE("task: of those that are over a bounded number is kept") {
  TasksPlay play;
  play.kill(0);
  for (int i = 0; i < 4200; i += 100) {
    ZkMulti multi;
    for (int n = i; n < i + 100; ++n)
      multi.ops.emplace_back(
          ZkCreate{fmt::format("/tasks/t{}", n), fmt::format("t{}=r", n), ZkMode::kPersistent});
    REQUIRE(play.zk(std::move(multi)).code == ZkCode::kOk);
  }
  play.start(0);
  play.pass(seconds(10));
  CHECK(play.children("/tasks").size() == limits::kTasksKept);
  play.pass(std::chrono::minutes(61));
  CHECK(play.children("/tasks").empty());
}

TEST_CASE("task: one that goes while the master looks at it does not make it look at all others") {
  TasksPlay play;
  for (int i = 0; i < 100; ++i)
    play.zk(ZkCreate{fmt::format("/tasks/over-{}", i), fmt::format("over-{}=r", i), ZkMode::kPersistent});
  const uint64_t kazoo = play.begin_client();
  play.zk(ZkCreate{"/workers", "", ZkMode::kPersistent});
  play.zk_as(kazoo, ZkCreate{"/workers/w", "non", ZkMode::kEphemeral});
  const std::string id = leave(play, "x");
  REQUIRE(said(play, "w") == id);
  play.take_calls();
  play.zk_between_turns(
      {ZkSet{"/tasks/" + id, id + "=r"}, ZkSet{"/workers/w", "non"}, ZkDelete{"/tasks/" + id}});
  play.pass(seconds(1));
  CHECK_FALSE(play.exists("/tasks/" + id));
  CHECK(play.take_calls() < 50);
}
