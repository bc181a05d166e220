// Tasks and workers as plays, continued: answers that are lost, what becomes of a worker's name, what things cost, and
// what is refused.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "core/services/tasks/task_layout.hpp"
#include "tasks_harness.hpp"

using namespace kvd;
using namespace kvd::sim;
using Kind = ServicesPlay::Kind;

// ---- answers that are lost ----

TEST_CASE("worker: three who wait for one taken name are refused together") {
  TasksPlay play;
  const uint64_t other = play.begin_client();
  play.zk(ZkCreate{"/workers", "", ZkMode::kPersistent});
  play.zk_as(other, ZkCreate{"/workers/w", "non", ZkMode::kEphemeral});
  uint64_t waiting[3];
  for (uint64_t& one : waiting) one = play.send(0, "POST workers?name=w&hold=1&wait=1000");
  play.pass(seconds(2));
  for (const uint64_t one : waiting) CHECK(play.heard(one).ended);
}

TEST_CASE("worker: one that nobody may write to keeps no task from the others") {
  TasksPlay play;
  const uint64_t other = play.begin_client();
  play.zk(ZkCreate{"/workers", "", ZkMode::kPersistent});
  play.zk_as(other, ZkCreate{"/workers/a", "non", ZkMode::kEphemeral});
  play.forbid_changes("/workers/a");
  const std::string id = leave(play, "x");
  const Worker worker(play, "w");
  CHECK(play.member(worker.next(), "id") == id);
}

TEST_CASE("worker: a name that cannot be made is not kept and takes no room") {
  TasksPlay play;
  play.zk(ZkCreate{"/workers", "", ZkMode::kPersistent});
  play.forbid_changes("/workers");
  const std::string session = play.open_session(0);
  for (int i = 0; i < 2000; ++i) {
    const std::string name = fmt::format("{}{}", std::string(200, 'w'), i / 2);
    REQUIRE(play.ask(0, fmt::format("POST workers?name={}&session={}", name, session)).verdict ==
            Verdict::kForbidden);
  }
}

TEST_CASE("worker: a connection hears from its server however short its tasks are") {
  TasksPlay play;
  const uint64_t held = play.send(0, "POST workers?name=w&hold=1");
  for (int i = 0; i < 12; ++i) {
    leave(play, "x");
    const ServiceAnswer got = play.ask(0, "POST workers/w/next");
    CHECK(finish(play, got, "r").verdict == Verdict::kOk);
    play.pass(seconds(3));
  }
  CHECK(play.heard(held).lines.size() >= 4);  // one at its beginning and one in each ten seconds
  CHECK_FALSE(play.heard(held).ended);
}

TEST_CASE("task: a worker that the master has no room to watch gets one when there is room") {
  TasksPlay play;
  const std::string session = play.open_session(0);
  watch_as_much_as_may_be(play, session);
  const uint64_t kazoo = play.begin_client();
  play.zk(ZkCreate{"/workers", "", ZkMode::kPersistent});
  const std::string name(200, 'w');
  for (int i = 0; i < 10; ++i)
    play.zk_as(kazoo, ZkCreate{fmt::format("/workers/{}{}", name, i), "non", ZkMode::kEphemeral});
  for (int i = 0; i < 10; ++i) leave(play, "x");
  CHECK(said(play, name + "9") == "non");
  play.ask(0, fmt::format("DELETE locks/{}0?session={}", std::string(1000, 'x'), session));
  play.ask(0, fmt::format("DELETE locks/{}1?session={}", std::string(1000, 'x'), session));
  play.pass(seconds(2));
  CHECK(said(play, name + "9") != "non");
}

TEST_CASE("task: left while the answer is lost it is there once") {
  TasksPlay play;
  leave(play, "first");  // makes the paths
  play.lose_answer_of(0, Kind::kMulti);
  const uint64_t left = play.send(0, "POST tasks", "x");
  CHECK_FALSE(play.heard(left).ended);
  CHECK(play.children("/tasks").size() == 2);
  play.mend(0);
  REQUIRE(play.heard(left).ended);
  CHECK(play.heard(left).answer->verdict == Verdict::kAccepted);
  CHECK(play.children("/tasks").size() == 2);
}

TEST_CASE("task: assigned while the answer is lost it is so once") {
  TasksPlay play;
  const std::string id = leave(play, "x");
  play.lose_answer_of(0, Kind::kMulti);
  const std::string session = play.open_session(0);
  play.ask(0, "POST workers?name=w&session=" + session);
  CHECK(said(play, "w") == id);
  play.mend(0);
  CHECK(play.member(play.ask(0, "POST workers/w/next?session=" + session), "attempt") == "1");
}

TEST_CASE("task: a result whose answer is lost is accepted once") {
  TasksPlay play;
  const std::string id = leave(play, "x");
  const Worker worker(play, "w");
  const ServiceAnswer got = worker.next();
  play.lose_answer_of(0, Kind::kMulti);
  const uint64_t ends =
      play.send(0, fmt::format("PUT tasks/{}/result?fence={}", id, play.member(got, "fence")), "r");
  CHECK_FALSE(play.heard(ends).ended);
  play.mend(0);
  REQUIRE(play.heard(ends).ended);
  CHECK(play.heard(ends).answer->verdict == Verdict::kOk);
  CHECK(state_of(play, id) == "done");
}

TEST_CASE("task: cancelled while the answer is lost it is not removed") {
  TasksPlay play;
  const std::string id = leave(play, "x");
  play.lose_answer_of(0, Kind::kMulti);
  const uint64_t cancels = play.send(0, "DELETE tasks/" + id);
  play.mend(0);
  REQUIRE(play.heard(cancels).ended);
  CHECK(play.heard(cancels).answer->verdict == Verdict::kOk);
  CHECK(state_of(play, id) == "cancelled");
  play.lose_answer_of(0, Kind::kMulti);
  const uint64_t removes = play.send(0, "DELETE tasks/" + id);
  play.mend(0);
  REQUIRE(play.heard(removes).ended);
  CHECK(play.heard(removes).answer->verdict == Verdict::kDone);
}

TEST_CASE("worker: enrolled while the answer is lost it is there once and works") {
  TasksPlay play;
  const std::string session = play.open_session(0);
  play.lose_answer_of(0, Kind::kCreate);
  const uint64_t enrolls = play.send(0, "POST workers?name=w&session=" + session);
  CHECK_FALSE(play.heard(enrolls).ended);
  CHECK(said(play, "w") == "non");
  play.mend(0);
  REQUIRE(play.heard(enrolls).ended);
  CHECK(play.heard(enrolls).answer->verdict == Verdict::kCreated);
  const std::string id = leave(play, "x");
  CHECK(play.member(play.ask(0, "POST workers/w/next?session=" + session), "id") == id);
}

TEST_CASE("worker: who gave up while the answer was lost leaves no worker behind") {
  TasksPlay play;
  play.lose_answer_of(0, Kind::kCreate);
  const uint64_t enrolls = play.send(0, "POST workers?name=w&hold=1");
  play.hang_up(enrolls);
  play.mend(0);
  CHECK(play.children("/workers").empty());
}

TEST_CASE("worker: another of its name is left alone when the answer to its removal was lost") {
  TasksPlay play;
  const uint64_t holds = play.send(0, "POST workers?name=w&hold=1");
  play.lose_answer_of(0, Kind::kDelete);
  play.hang_up(holds);
  CHECK(play.children("/workers").empty());
  const uint64_t kazoo = play.begin_client();
  play.zk_as(kazoo, ZkCreate{"/workers/w", "non", ZkMode::kEphemeral});
  play.mend(0);
  CHECK(play.children("/workers").size() == 1);
}

TEST_CASE("task: a contender whose creation has no answer is found again") {
  TasksPlay play;
  play.lose_answer_of(0, Kind::kCreate);
  play.zk(ZkDelete{contender_of(play, 0)});
  CHECK(play.children("/master").size() == 1);
  play.mend(0);
  CHECK(play.children("/master").size() == 1);
  const Worker worker(play, "w");
  const std::string id = leave(play, "x");
  CHECK(said(play, "w") == id);
}

TEST_CASE("task: a waiting look outlives a lost connection") {
  TasksPlay play(2);
  const std::string id = leave(play, "x");
  const Worker worker(play, "w", 1);
  const uint64_t waits = play.send(0, "GET tasks/" + id + "?wait=60000");
  play.cut(0);
  play.pass(ServicesPlay::kSession + seconds(1));  // its session ends, and its watch with it
  CHECK(finish(play, worker.next(), "r", 1).verdict == Verdict::kOk);
  play.mend(0);
  REQUIRE(play.heard(waits).ended);
  CHECK(play.member(*play.heard(waits).answer, "result") == "r");
}

// ---- workers ----

TEST_CASE("worker: a connection that holds it hears of it and lets go of it") {
  TasksPlay play;
  const uint64_t holds = play.send(0, "POST workers?name=w&hold=1");
  CHECK(play.heard(holds).lines == std::vector<std::string>{R"({"worker":"w"})"});
  play.pass(seconds(11));
  CHECK(play.heard(holds).lines.back() == R"({"state":"idle"})");
  const std::string id = leave(play, "x");
  play.pass(seconds(10));
  CHECK(play.heard(holds).lines.back() == fmt::format(R"({{"state":"assigned","id":"{}"}})", id));
  CHECK(play.heard(holds).lines.size() == 3);
  play.hang_up(holds);
  CHECK(play.children("/workers").empty());
  CHECK(play.ask(0, "POST workers/w/next").verdict == Verdict::kGone);
}

TEST_CASE("worker: it is taken back before ZooKeeper forgets its server and stays until it has let go") {
  TasksPlay play(2);
  const uint64_t holds = play.send(0, "POST workers?name=w&hold=1");
  const uint64_t next = play.send(0, "POST workers/w/next?wait=60000");
  play.cut(0);
  play.pass(milliseconds(4500));
  CHECK(play.member(play.heard(holds).lines.back(), "state") == "lost");
  CHECK(play.heard(next).answer->verdict == Verdict::kGone);
  CHECK_FALSE(play.heard(holds).ended);
  play.mend(0);
  CHECK(play.children("/workers").size() == 1);
  play.pass(seconds(3));
  CHECK(play.heard(holds).lines.back() == R"({"state":"over"})");
  CHECK(play.heard(holds).ended);
  CHECK(play.children("/workers").empty());
}

TEST_CASE("worker: it goes at once when its client lets go after it was taken back") {
  TasksPlay play;
  const uint64_t holds = play.send(0, "POST workers?name=w&hold=1");
  play.cut(0);
  play.pass(milliseconds(4500));
  play.mend(0);
  CHECK(play.member(play.heard(holds).lines.back(), "state") == "lost");
  CHECK(play.children("/workers").size() == 1);
  play.hang_up(holds);
  CHECK(play.children("/workers").empty());
}

TEST_CASE("worker: a name is one worker's and who waits gets it next") {
  TasksPlay play(2);
  const uint64_t holds = play.send(0, "POST workers?name=w&hold=1");
  const std::string near = play.open_session(0);
  const std::string far = play.open_session(1);
  CHECK(play.ask(0, "POST workers?name=w&session=" + near).verdict == Verdict::kConflict);
  CHECK(play.ask(1, "POST workers?name=w&session=" + far).verdict == Verdict::kConflict);
  const uint64_t late = play.send(1, "POST workers?name=w&wait=1000&session=" + far);
  const uint64_t also = play.send(0, "POST workers?name=w&wait=1000&session=" + near);
  play.pass(milliseconds(1010));
  CHECK(play.heard(late).answer->verdict == Verdict::kNotInTime);
  CHECK(play.heard(also).answer->verdict == Verdict::kNotInTime);
  const uint64_t waits = play.send(1, "POST workers?name=w&wait=60000&session=" + far);
  play.hang_up(holds);
  REQUIRE(play.heard(waits).ended);
  CHECK(play.heard(waits).answer->verdict == Verdict::kCreated);
  CHECK(play.ask(1, "POST workers?name=w&session=" + far).verdict == Verdict::kCreated);  // it has it
  const uint64_t local = play.send(1, "POST workers?name=w&hold=1");
  CHECK(play.heard(local).lines.empty());
  play.ask(1, "DELETE sessions/" + far);
  CHECK(play.heard(local).lines == std::vector<std::string>{R"({"worker":"w"})"});
}

TEST_CASE("worker: any server brings its calls to the one that keeps it and takes its result itself") {
  TasksPlay play(2);
  const Worker worker(play, "w", 0);
  const uint64_t waits = play.send(1, worker.request() + "&wait=60000");
  CHECK_FALSE(play.heard(waits).ended);
  leave(play, "x", "", 1);
  REQUIRE(play.heard(waits).ended);
  const ServiceAnswer got = *play.heard(waits).answer;
  CHECK(play.ask(1, "POST workers/w/next").verdict == Verdict::kGone);
  CHECK(play.ask(0, "POST workers/w/next").verdict == Verdict::kGone);  // its session is to be named
  CHECK(finish(play, got, "r", 1).verdict == Verdict::kOk);
}

TEST_CASE("worker: its znode deleted by others it is lost") {
  TasksPlay play;
  const uint64_t holds = play.send(0, "POST workers?name=w&hold=1");
  play.zk(ZkDelete{"/workers/w"});
  CHECK(play.member(play.heard(holds).lines.back(), "state") == "lost");
  CHECK(play.heard(holds).ended);
}

// ---- how much, and what not ----

TEST_CASE("task: who waits asks ZooKeeper nothing and a task costs a few calls however many wait") {
  TasksPlay play;
  for (int i = 0; i < 200; ++i) leave(play, "x");
  const Worker worker(play, "w");
  const ServiceAnswer got = worker.next();
  play.take_calls();
  play.pass(seconds(5));
  CHECK(play.take_calls() <= 6);  // only that ZooKeeper still knows this server is asked
  finish(play, got, "r");
  CHECK(play.take_calls() <= 20);
}

TEST_CASE("task: a list tells all states") {
  TasksPlay play;
  const Worker worker(play, "w");
  play.zk(ZkCreate{"/tasks/b", "b=", ZkMode::kPersistent});
  play.zk(ZkCreate{"/data/a", "", ZkMode::kPersistent});
  play.zk(ZkCreate{"/tasks/a", "", ZkMode::kPersistent});
  play.zk(ZkCreate{"/tasks/c", "", ZkMode::kPersistent});
  play.zk(ZkCreate{"/tasks/d", "", ZkMode::kPersistent});
  play.ask(0, "DELETE tasks/d");
  CHECK(play.ask(0, "GET tasks").text ==
        R"({"tasks":[{"id":"a","state":"assigned"},{"id":"b","state":"done"},{"id":"c","state":"waiting"},)"
        R"({"id":"d","state":"cancelled"}],"truncated":false})");
  for (int i = 0; i < 1000; ++i) play.zk(ZkCreate{fmt::format("/tasks/e{}", i), "", ZkMode::kPersistent});
  CHECK(play.ask(0, "GET tasks").text.ends_with(R"("truncated":true})"));
}

TEST_CASE("task: what cannot be asked is refused with a reason") {
  TasksPlay play;
  const std::string one = play.open_session(0);
  const auto verdict = [&](const std::string& request, std::string body = "") {
    return play.ask(0, request, std::move(body)).verdict;
  };
  CHECK(verdict("POST tasks", std::string(limits::kTaskBytes, 'x')) == Verdict::kAccepted);
  CHECK(verdict("POST tasks", std::string(limits::kTaskBytes + 1, 'x')) == Verdict::kTooLarge);
  CHECK(verdict("POST tasks?what=1") == Verdict::kInvalid);
  CHECK(verdict("POST tasks?hold=1") == Verdict::kInvalid);
  CHECK(verdict("POST tasks?retries=1001") == Verdict::kInvalid);
  CHECK(verdict("POST tasks?kind=" + std::string(65, 'x')) == Verdict::kInvalid);
  CHECK(verdict("PUT tasks") == Verdict::kWrongVerb);
  CHECK(verdict("PUT tasks/t") == Verdict::kWrongVerb);
  CHECK(verdict("GET tasks/t") == Verdict::kNotFound);
  CHECK(verdict("GET tasks/..") == Verdict::kInvalid);
  CHECK(verdict("GET tasks/t/result") == Verdict::kWrongVerb);
  CHECK(verdict("PUT tasks/t/what?fence=1") == Verdict::kNotFound);
  CHECK(verdict("PUT tasks/t/result") == Verdict::kInvalid);
  CHECK(verdict("PUT tasks/t/result?fence=x") == Verdict::kInvalid);
  CHECK(verdict("PUT tasks/t/result?fence=1&status=what") == Verdict::kInvalid);
  CHECK(verdict("PUT tasks/t/result?fence=1") == Verdict::kNotFound);
  CHECK(verdict("PUT tasks/t/progress?fence=1", std::string(257, 'x')) == Verdict::kInvalid);
  CHECK(verdict("PUT tasks/t/progress?fence=1", "\xff") == Verdict::kInvalid);
  CHECK(verdict("GET workers") == Verdict::kWrongVerb);
  CHECK(verdict("POST workers?name=w") == Verdict::kInvalid);
  CHECK(verdict("POST workers?session=" + one) == Verdict::kInvalid);
  CHECK(verdict("POST workers?name=a/b&session=" + one) == Verdict::kInvalid);
  CHECK(verdict("POST workers?name=..&session=" + one) == Verdict::kInvalid);
  CHECK(verdict("POST workers/w/what") == Verdict::kNotFound);
  CHECK(verdict("POST workers/w/next?hold=1") == Verdict::kInvalid);
  CHECK(verdict("POST workers/w/next?what=1") == Verdict::kInvalid);
  CHECK(verdict("POST workers/w/next") == Verdict::kGone);
  const std::string id = leave(play, "x");
  CHECK(verdict(fmt::format("PUT tasks/{}/result?fence=1", id)) ==
        Verdict::kConditionFailed);  // nobody has it
}

TEST_CASE("task: the largest result fits beside the largest note") {
  TasksPlay play;
  const std::string kind(kTaskKindBytes, '\x01');
  const std::string id = leave(play, "x", "?kind=" + kind);
  const Worker worker(play, std::string(kTaskNameBytes, '"'));
  const ServiceAnswer got = worker.next();
  CHECK(play.ask(0, fmt::format("PUT tasks/{}/progress?fence={}", id, play.member(got, "fence")),
                 std::string(limits::kTaskProgressBytes, '\x01'))
            .verdict == Verdict::kDone);
  CHECK(finish(play, got, std::string(limits::kTaskBytes + 1, 'r')).verdict == Verdict::kTooLarge);
  CHECK(finish(play, got, std::string(limits::kTaskBytes, 'r')).verdict == Verdict::kOk);
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
