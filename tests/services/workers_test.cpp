// Tasks and workers, continued: answers that are lost, what becomes of a worker's name, what things cost, and
// what is refused.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "core/services/tasks/task_layout.hpp"
#include "msg/name_rules.hpp"
#include "tasks_harness.hpp"

using namespace kvd;
using namespace kvd::sim;
using Kind = ServicesHarness::Kind;

// ---- answers that are lost ----

TEST_CASE("worker: three who wait for one taken name are refused together") {
  TasksHarness harness;
  const uint64_t other = harness.begin_client();
  harness.zk(ZkCreate{"/workers", "", ZkMode::kPersistent});
  harness.zk_as(other, ZkCreate{"/workers/w", "non", ZkMode::kEphemeral});
  uint64_t waiting[3];
  for (uint64_t& one : waiting) one = harness.send(0, "POST workers?name=w&hold=1&wait=1000");
  harness.pass(seconds(2));
  for (const uint64_t one : waiting) CHECK(harness.heard(one).ended);
}

TEST_CASE("worker: one that nobody may write to keeps no task from the others") {
  TasksHarness harness;
  const uint64_t other = harness.begin_client();
  harness.zk(ZkCreate{"/workers", "", ZkMode::kPersistent});
  harness.zk_as(other, ZkCreate{"/workers/a", "non", ZkMode::kEphemeral});
  harness.forbid_changes("/workers/a");
  const std::string id = leave(harness, "x");
  const Worker worker(harness, "w");
  CHECK(harness.member(worker.next(), "id") == id);
}

TEST_CASE("worker: a name that cannot be made is not kept and takes no room") {
  TasksHarness harness;
  harness.zk(ZkCreate{"/workers", "", ZkMode::kPersistent});
  harness.forbid_changes("/workers");
  const std::string session = harness.open_session(0);
  for (int i = 0; i < 2000; ++i) {
    const std::string name = fmt::format("{}{}", std::string(200, 'w'), i / 2);
    REQUIRE(harness.ask(0, fmt::format("POST workers?name={}&session={}", name, session)).status ==
            ServiceStatus::kForbidden);
  }
}

TEST_CASE("worker: a connection hears from its server however short its tasks are") {
  TasksHarness harness;
  const uint64_t held = harness.send(0, "POST workers?name=w&hold=1");
  for (int i = 0; i < 12; ++i) {
    leave(harness, "x");
    const ServiceAnswer got = harness.ask(0, "POST workers/w/next");
    CHECK(finish(harness, got, "r").status == ServiceStatus::kOk);
    harness.pass(seconds(3));
  }
  CHECK(harness.heard(held).lines.size() >= 4);  // one at its beginning and one in each ten seconds
  CHECK_FALSE(harness.heard(held).ended);
}

TEST_CASE("task: a worker that the master has no room to watch gets one when there is room") {
  TasksHarness harness;
  const std::string session = harness.open_session(0);
  watch_as_much_as_may_be(harness, session);
  const uint64_t kazoo = harness.begin_client();
  harness.zk(ZkCreate{"/workers", "", ZkMode::kPersistent});
  const std::string name(200, 'w');
  for (int i = 0; i < 10; ++i)
    harness.zk_as(kazoo, ZkCreate{fmt::format("/workers/{}{}", name, i), "non", ZkMode::kEphemeral});
  for (int i = 0; i < 10; ++i) leave(harness, "x");
  CHECK(said(harness, name + "9") == "non");
  harness.ask(0, fmt::format("DELETE locks/{}0?session={}", std::string(1000, 'x'), session));
  harness.ask(0, fmt::format("DELETE locks/{}1?session={}", std::string(1000, 'x'), session));
  harness.pass(seconds(2));
  CHECK(said(harness, name + "9") != "non");
}

TEST_CASE("task: left while the answer is lost it is there once") {
  TasksHarness harness;
  leave(harness, "first");  // makes the paths
  harness.lose_answer_of(0, Kind::kMulti);
  const uint64_t left = harness.send(0, "POST tasks", "x");
  CHECK_FALSE(harness.heard(left).ended);
  CHECK(harness.children("/tasks").size() == 2);
  harness.mend(0);
  REQUIRE(harness.heard(left).ended);
  CHECK(harness.heard(left).answer->status == ServiceStatus::kAccepted);
  CHECK(harness.children("/tasks").size() == 2);
}

TEST_CASE("task: assigned while the answer is lost it is so once") {
  TasksHarness harness;
  const std::string id = leave(harness, "x");
  harness.lose_answer_of(0, Kind::kMulti);
  const std::string session = harness.open_session(0);
  harness.ask(0, "POST workers?name=w&session=" + session);
  CHECK(said(harness, "w") == id);
  harness.mend(0);
  CHECK(harness.member(harness.ask(0, "POST workers/w/next?session=" + session), "attempt") == "1");
}

TEST_CASE("task: a result whose answer is lost is accepted once") {
  TasksHarness harness;
  const std::string id = leave(harness, "x");
  const Worker worker(harness, "w");
  const ServiceAnswer got = worker.next();
  harness.lose_answer_of(0, Kind::kMulti);
  const uint64_t ends =
      harness.send(0, fmt::format("PUT tasks/{}/result?fence={}", id, harness.member(got, "fence")), "r");
  CHECK_FALSE(harness.heard(ends).ended);
  harness.mend(0);
  REQUIRE(harness.heard(ends).ended);
  CHECK(harness.heard(ends).answer->status == ServiceStatus::kOk);
  CHECK(state_of(harness, id) == "done");
}

TEST_CASE("task: cancelled while the answer is lost it is not removed") {
  TasksHarness harness;
  const std::string id = leave(harness, "x");
  harness.lose_answer_of(0, Kind::kMulti);
  const uint64_t cancels = harness.send(0, "DELETE tasks/" + id);
  harness.mend(0);
  REQUIRE(harness.heard(cancels).ended);
  CHECK(harness.heard(cancels).answer->status == ServiceStatus::kOk);
  CHECK(state_of(harness, id) == "cancelled");
  harness.lose_answer_of(0, Kind::kMulti);
  const uint64_t removes = harness.send(0, "DELETE tasks/" + id);
  harness.mend(0);
  REQUIRE(harness.heard(removes).ended);
  CHECK(harness.heard(removes).answer->status == ServiceStatus::kDone);
}

TEST_CASE("worker: enrolled while the answer is lost it is there once and works") {
  TasksHarness harness;
  const std::string session = harness.open_session(0);
  harness.lose_answer_of(0, Kind::kCreate);
  const uint64_t enrolls = harness.send(0, "POST workers?name=w&session=" + session);
  CHECK_FALSE(harness.heard(enrolls).ended);
  CHECK(said(harness, "w") == "non");
  harness.mend(0);
  REQUIRE(harness.heard(enrolls).ended);
  CHECK(harness.heard(enrolls).answer->status == ServiceStatus::kCreated);
  const std::string id = leave(harness, "x");
  CHECK(harness.member(harness.ask(0, "POST workers/w/next?session=" + session), "id") == id);
}

TEST_CASE("worker: who gave up while the answer was lost leaves no worker behind") {
  TasksHarness harness;
  harness.lose_answer_of(0, Kind::kCreate);
  const uint64_t enrolls = harness.send(0, "POST workers?name=w&hold=1");
  harness.hang_up(enrolls);
  harness.mend(0);
  CHECK(harness.children("/workers").empty());
}

TEST_CASE("worker: another of its name is left alone when the answer to its removal was lost") {
  TasksHarness harness;
  const uint64_t holds = harness.send(0, "POST workers?name=w&hold=1");
  harness.lose_answer_of(0, Kind::kDelete);
  harness.hang_up(holds);
  CHECK(harness.children("/workers").empty());
  const uint64_t kazoo = harness.begin_client();
  harness.zk_as(kazoo, ZkCreate{"/workers/w", "non", ZkMode::kEphemeral});
  harness.mend(0);
  CHECK(harness.children("/workers").size() == 1);
}

TEST_CASE("task: a contender whose creation has no answer is found again") {
  TasksHarness harness;
  harness.lose_answer_of(0, Kind::kCreate);
  harness.zk(ZkDelete{contender_of(harness, 0)});
  CHECK(harness.children("/master").size() == 1);
  harness.mend(0);
  CHECK(harness.children("/master").size() == 1);
  const Worker worker(harness, "w");
  const std::string id = leave(harness, "x");
  CHECK(said(harness, "w") == id);
}

TEST_CASE("task: a waiting look outlives a lost connection") {
  TasksHarness harness(2);
  const std::string id = leave(harness, "x");
  const Worker worker(harness, "w", 1);
  const uint64_t waits = harness.send(0, "GET tasks/" + id + "?wait=60000");
  harness.cut(0);
  harness.pass(ServicesHarness::kSession + seconds(1));  // its session ends, and its watch with it
  CHECK(finish(harness, worker.next(), "r", 1).status == ServiceStatus::kOk);
  harness.mend(0);
  REQUIRE(harness.heard(waits).ended);
  CHECK(harness.member(*harness.heard(waits).answer, "result") == "r");
}

// ---- workers ----

TEST_CASE("worker: a connection that holds it hears of it and lets go of it") {
  TasksHarness harness;
  const uint64_t holds = harness.send(0, "POST workers?name=w&hold=1");
  CHECK(harness.heard(holds).lines == std::vector<std::string>{R"({"worker":"w"})"});
  harness.pass(seconds(11));
  CHECK(harness.heard(holds).lines.back() == R"({"state":"idle"})");
  const std::string id = leave(harness, "x");
  harness.pass(seconds(10));
  CHECK(harness.heard(holds).lines.back() == fmt::format(R"({{"state":"assigned","id":"{}"}})", id));
  CHECK(harness.heard(holds).lines.size() == 3);
  harness.hang_up(holds);
  CHECK(harness.children("/workers").empty());
  CHECK(harness.ask(0, "POST workers/w/next").status == ServiceStatus::kGone);
}

TEST_CASE("worker: it is taken back before ZooKeeper forgets its server and stays until it has let go") {
  TasksHarness harness(2);
  const uint64_t holds = harness.send(0, "POST workers?name=w&hold=1");
  const uint64_t next = harness.send(0, "POST workers/w/next?wait=60000");
  harness.cut(0);
  harness.pass(milliseconds(4500));
  CHECK(harness.member(harness.heard(holds).lines.back(), "state") == "lost");
  CHECK(harness.heard(next).answer->status == ServiceStatus::kGone);
  CHECK_FALSE(harness.heard(holds).ended);
  harness.mend(0);
  CHECK(harness.children("/workers").size() == 1);
  harness.pass(seconds(3));
  CHECK(harness.heard(holds).lines.back() == R"({"state":"over"})");
  CHECK(harness.heard(holds).ended);
  CHECK(harness.children("/workers").empty());
}

TEST_CASE("worker: it goes at once when its client lets go after it was taken back") {
  TasksHarness harness;
  const uint64_t holds = harness.send(0, "POST workers?name=w&hold=1");
  harness.cut(0);
  harness.pass(milliseconds(4500));
  harness.mend(0);
  CHECK(harness.member(harness.heard(holds).lines.back(), "state") == "lost");
  CHECK(harness.children("/workers").size() == 1);
  harness.hang_up(holds);
  CHECK(harness.children("/workers").empty());
}

TEST_CASE("worker: a name is one worker's and who waits gets it next") {
  TasksHarness harness(2);
  const uint64_t holds = harness.send(0, "POST workers?name=w&hold=1");
  const std::string near = harness.open_session(0);
  const std::string far = harness.open_session(1);
  CHECK(harness.ask(0, "POST workers?name=w&session=" + near).status == ServiceStatus::kConflict);
  CHECK(harness.ask(1, "POST workers?name=w&session=" + far).status == ServiceStatus::kConflict);
  const uint64_t late = harness.send(1, "POST workers?name=w&wait=1000&session=" + far);
  const uint64_t also = harness.send(0, "POST workers?name=w&wait=1000&session=" + near);
  harness.pass(milliseconds(1010));
  CHECK(harness.heard(late).answer->status == ServiceStatus::kNotInTime);
  CHECK(harness.heard(also).answer->status == ServiceStatus::kNotInTime);
  const uint64_t waits = harness.send(1, "POST workers?name=w&wait=60000&session=" + far);
  harness.hang_up(holds);
  REQUIRE(harness.heard(waits).ended);
  CHECK(harness.heard(waits).answer->status == ServiceStatus::kCreated);
  CHECK(harness.ask(1, "POST workers?name=w&session=" + far).status == ServiceStatus::kCreated);  // it has it
  const uint64_t local = harness.send(1, "POST workers?name=w&hold=1");
  CHECK(harness.heard(local).lines.empty());
  harness.ask(1, "DELETE sessions/" + far);
  CHECK(harness.heard(local).lines == std::vector<std::string>{R"({"worker":"w"})"});
}

TEST_CASE("worker: who waits for a name does not end with the session of who waited before it") {
  TasksHarness harness(2);
  const uint64_t holds = harness.send(1, "POST workers?name=w&hold=1");
  const std::string session = harness.open_session(0);
  const uint64_t waits = harness.send(0, "POST workers?name=w&wait=60000&session=" + session);
  const uint64_t next = harness.send(0, "POST workers?name=w&hold=1");
  harness.ask(0, "DELETE sessions/" + session);
  CHECK(harness.heard(waits).answer->status == ServiceStatus::kGone);
  harness.hang_up(holds);
  CHECK(harness.heard(next).lines == std::vector<std::string>{R"({"worker":"w"})"});
}

TEST_CASE("worker: any server brings its calls to the one that keeps it and takes its result itself") {
  TasksHarness harness(2);
  const Worker worker(harness, "w", 0);
  const uint64_t waits = harness.send(1, worker.request() + "&wait=60000");
  CHECK_FALSE(harness.heard(waits).ended);
  leave(harness, "x", "", 1);
  REQUIRE(harness.heard(waits).ended);
  const ServiceAnswer got = *harness.heard(waits).answer;
  CHECK(harness.ask(1, "POST workers/w/next").status == ServiceStatus::kGone);
  CHECK(harness.ask(0, "POST workers/w/next").status == ServiceStatus::kGone);  // its session is to be named
  CHECK(finish(harness, got, "r", 1).status == ServiceStatus::kOk);
}

TEST_CASE("worker: its znode deleted by others it is lost") {
  TasksHarness harness;
  const uint64_t holds = harness.send(0, "POST workers?name=w&hold=1");
  harness.zk(ZkDelete{"/workers/w"});
  CHECK(harness.member(harness.heard(holds).lines.back(), "state") == "lost");
  CHECK(harness.heard(holds).ended);
}

// ---- how much, and what not ----

TEST_CASE("task: who waits asks ZooKeeper nothing and a task costs a few calls however many wait") {
  TasksHarness harness;
  for (int i = 0; i < 200; ++i) leave(harness, "x");
  const Worker worker(harness, "w");
  const ServiceAnswer got = worker.next();
  harness.take_calls();
  harness.pass(seconds(5));
  CHECK(harness.take_calls() <= 6);  // only that ZooKeeper still knows this server is asked
  finish(harness, got, "r");
  CHECK(harness.take_calls() <= 20);
}

TEST_CASE("task: a list tells all states") {
  TasksHarness harness;
  const Worker worker(harness, "w");
  harness.zk(ZkCreate{"/tasks/b", "b=", ZkMode::kPersistent});
  harness.zk(ZkCreate{"/data/a", "", ZkMode::kPersistent});
  harness.zk(ZkCreate{"/tasks/a", "", ZkMode::kPersistent});
  harness.zk(ZkCreate{"/tasks/c", "", ZkMode::kPersistent});
  harness.zk(ZkCreate{"/tasks/d", "", ZkMode::kPersistent});
  harness.ask(0, "DELETE tasks/d");
  CHECK(words_of(harness.ask(0, "GET tasks")) ==
        R"({"tasks":[{"id":"a","state":"assigned"},{"id":"b","state":"done"},{"id":"c","state":"waiting"},)"
        R"({"id":"d","state":"cancelled"}],"truncated":false})");
  for (int i = 0; i < 1000; ++i) harness.zk(ZkCreate{fmt::format("/tasks/e{}", i), "", ZkMode::kPersistent});
  CHECK(words_of(harness.ask(0, "GET tasks")).ends_with(R"("truncated":true})"));
}

TEST_CASE("task: what cannot be asked is refused with a reason") {
  TasksHarness harness;
  const std::string one = harness.open_session(0);
  const auto status = [&](const std::string& request, std::string body = "") {
    return harness.ask(0, request, std::move(body)).status;
  };
  CHECK(status("POST tasks", std::string(limits::kTaskBytes, 'x')) == ServiceStatus::kAccepted);
  CHECK(status("POST tasks", std::string(limits::kTaskBytes + 1, 'x')) == ServiceStatus::kTooLarge);
  CHECK(status("POST tasks?what=1") == ServiceStatus::kInvalid);
  CHECK(status("POST tasks?hold=1") == ServiceStatus::kInvalid);
  CHECK(status("POST tasks?retries=1001") == ServiceStatus::kInvalid);
  CHECK(status("POST tasks?kind=" + std::string(65, 'x')) == ServiceStatus::kInvalid);
  CHECK(status("PUT tasks") == ServiceStatus::kWrongVerb);
  CHECK(status("PUT tasks/t") == ServiceStatus::kWrongVerb);
  CHECK(status("GET tasks/t") == ServiceStatus::kNotFound);
  CHECK(status("GET tasks/..") == ServiceStatus::kInvalid);
  CHECK(status("GET tasks/t/result") == ServiceStatus::kWrongVerb);
  CHECK(status("PUT tasks/t/what?fence=1") == ServiceStatus::kNotFound);
  CHECK(status("PUT tasks/t/result") == ServiceStatus::kInvalid);
  CHECK(status("PUT tasks/t/result?fence=x") == ServiceStatus::kInvalid);
  CHECK(status("PUT tasks/t/result?fence=1&status=what") == ServiceStatus::kInvalid);
  CHECK(status("PUT tasks/t/result?fence=1") == ServiceStatus::kNotFound);
  CHECK(status("PUT tasks/t/progress?fence=1", std::string(257, 'x')) == ServiceStatus::kInvalid);
  CHECK(status("PUT tasks/t/progress?fence=1", "\xff") == ServiceStatus::kInvalid);
  CHECK(status("GET workers") == ServiceStatus::kWrongVerb);
  CHECK(status("POST workers?name=w") == ServiceStatus::kInvalid);
  CHECK(status("POST workers?session=" + one) == ServiceStatus::kInvalid);
  CHECK(status("POST workers?name=a/b&session=" + one) == ServiceStatus::kInvalid);
  CHECK(status("POST workers?name=..&session=" + one) == ServiceStatus::kInvalid);
  CHECK(status("POST workers/w/what") == ServiceStatus::kNotFound);
  CHECK(status("POST workers/w/next?hold=1") == ServiceStatus::kInvalid);
  CHECK(status("POST workers/w/next?what=1") == ServiceStatus::kInvalid);
  CHECK(status("POST workers/w/next") == ServiceStatus::kGone);
  const std::string id = leave(harness, "x");
  CHECK(status(fmt::format("PUT tasks/{}/result?fence=1", id)) ==
        ServiceStatus::kConditionFailed);  // nobody has it
}

TEST_CASE("task: the largest result fits beside the largest note") {
  TasksHarness harness;
  const std::string kind(kTaskKindBytes, '\x01');
  const std::string id = leave(harness, "x", "?kind=" + kind);
  const Worker worker(harness, std::string(kTaskNameBytes, '"'));
  const ServiceAnswer got = worker.next();
  CHECK(harness
            .ask(0, fmt::format("PUT tasks/{}/progress?fence={}", id, harness.member(got, "fence")),
                 std::string(limits::kTaskProgressBytes, '\x01'))
            .status == ServiceStatus::kDone);
  CHECK(finish(harness, got, std::string(limits::kTaskBytes + 1, 'r')).status == ServiceStatus::kTooLarge);
  CHECK(finish(harness, got, std::string(limits::kTaskBytes, 'r')).status == ServiceStatus::kOk);
}

TEST_CASE("task: notes are read as they were written and nonsense as nothing") {
  TaskNote note;
  note.end = TaskEnd::kFailed;
  note.attempt = 4;
  note.retries = 9;
  note.kind = "k\"";
  note.worker = "w";
  note.progress = "half\n";
  note.fence = INT64_MAX;
  CHECK(decode_task_note(encode_task_note(note)) == note);
  CHECK(decode_task_note(encode_task_note(TaskNote{})) == TaskNote{});
  for (const char* text : {"", "x", "[]", R"({"attempt":"x","state":1})"})
    CHECK(decode_task_note(text) == TaskNote{});
}

TEST_CASE("task: contenders stand in the order of their numbers whatever comes before") {
  CHECK(contenders_in_order({"a_0000000009", "master-0000000003", "x", "z0000000000", "0000000001"}) ==
        std::vector<std::string>{"z0000000000", "0000000001", "master-0000000003", "a_0000000009"});
}
