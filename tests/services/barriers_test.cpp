// Barriers as plays (services_harness.hpp): who is released and who is not, what the next use sees of the former one, and
// members that are kazoo's, which are played here in the order of its own calls.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "services_harness.hpp"

using namespace kvd;
using namespace kvd::sim;

namespace {

std::string enter(const std::string& session, int size, const std::string& more = "") {
  return fmt::format("POST barriers/b/enter?session={}&size={}{}", session, size, more);
}

std::string leave(const std::string& session, const std::string& more = "") {
  return fmt::format("POST barriers/b/leave?session={}{}", session, more);
}

std::string state(const ServicesPlay& play, uint64_t request) {
  const auto& heard = play.heard(request);
  return heard.ended ? ServicesPlay::member(*heard.answer, "state") : "";
}

// Two servers with a session each, both waiting at once for the release.
struct Pair {
  ServicesPlay play{2};
  std::string one = play.open_session(0, 600);
  std::string two = play.open_session(1, 600);
};

}  // namespace

TEST_CASE("barrier: it is there until it is lifted") {
  ServicesPlay play(2);
  CHECK(play.ask(0, "GET barriers/a/b").text == R"({"path":"a/b","up":false})");
  CHECK(play.ask(0, "PUT barriers/a/b").verdict == Verdict::kCreated);
  CHECK(play.ask(1, "PUT barriers/a/b").verdict == Verdict::kOk);
  CHECK(play.znode("/a/b").ephemeral_owner == 0);
  CHECK(play.ask(1, "GET barriers/a/b").verdict == Verdict::kNotInTime);
  const uint64_t waits = play.send(1, "GET barriers/a/b?wait=60000");
  const uint64_t gives_up = play.send(1, "GET barriers/a/b?wait=1000");
  play.take_calls();
  play.pass(milliseconds(990));
  CHECK(play.take_calls() == 0);
  CHECK_FALSE(play.heard(gives_up).ended);
  play.pass(milliseconds(20));
  REQUIRE(play.heard(gives_up).ended);
  CHECK(play.heard(gives_up).answer->verdict == Verdict::kNotInTime);
  CHECK(play.ask(0, "DELETE barriers/a/b").verdict == Verdict::kDone);
  REQUIRE(play.heard(waits).ended);
  CHECK(play.heard(waits).answer->verdict == Verdict::kOk);
  CHECK(play.ask(0, "DELETE barriers/a/b").verdict == Verdict::kDone);
}

TEST_CASE("barrier: one that is lifted while a server is cut off is seen when it is back") {
  ServicesPlay play;
  play.ask(0, "PUT barriers/b");
  const uint64_t waits = play.send(0, "GET barriers/b?wait=60000");
  play.cut(0);
  play.zk(ZkDelete{"/b"});
  CHECK_FALSE(play.heard(waits).ended);
  play.mend(0);
  CHECK(play.heard(waits).ended);
}

TEST_CASE("barrier: one that is lifted and put up again at once still stands") {
  ServicesPlay play;
  play.ask(0, "PUT barriers/b");
  const uint64_t waits = play.send(0, "GET barriers/b?wait=60000");
  play.zk(ZkMulti{{ZkDelete{"/b"}, ZkCreate{"/b", "", ZkMode::kPersistent}}});
  CHECK_FALSE(play.heard(waits).ended);
  play.zk(ZkDelete{"/b"});
  CHECK(play.heard(waits).ended);
}

TEST_CASE("double barrier: all are released when the last one is in") {
  Pair pair;
  ServicesPlay& play = pair.play;
  const std::string three = play.open_session(0, 600);
  const uint64_t first = play.send(0, enter(pair.one, 3, "&wait=60000&member=x"));
  const uint64_t second = play.send(1, enter(pair.two, 3, "&wait=60000"));
  CHECK_FALSE(play.heard(first).ended);
  CHECK(play.children("/b").size() == 2);
  play.take_calls();
  play.pass(seconds(1));
  CHECK(play.take_calls() <= 2);  // only that ZooKeeper still knows the two servers is asked
  CHECK(state(play, play.send(0, enter(three, 3))) == "released");
  CHECK(state(play, first) == "released");
  CHECK(state(play, second) == "released");
  const std::string znode = "/b/" + play.member(*play.heard(first).answer, "member");
  CHECK(play.znode(znode).data == "x");
  CHECK(play.znode(znode).ephemeral_owner != 0);
  CHECK(znode.size() == 3 + 32);
  CHECK(play.exists("/b/ready"));
}

TEST_CASE("double barrier: a place is kept between two questions") {
  Pair pair;
  ServicesPlay& play = pair.play;
  const ServiceAnswer waits = play.ask(0, enter(pair.one, 2, "&member=x"));
  CHECK(waits.verdict == Verdict::kAccepted);
  CHECK(waits.text == R"({"state":"waiting","present":1,"size":2})");
  CHECK(play.ask(1, enter(pair.one, 2, "&member=x")).verdict == Verdict::kAccepted);  // from another server
  CHECK(play.children("/b").size() == 1);
  const uint64_t late = play.send(0, enter(pair.one, 2, "&member=x&wait=1000"));
  play.pass(milliseconds(1010));
  CHECK(state(play, late) == "waiting");
  play.ask(1, enter(pair.two, 2));
  CHECK(play.ask(0, enter(pair.one, 2, "&member=x")).verdict == Verdict::kOk);
  CHECK(play.ask(0, enter(pair.one, 3, "&member=x")).verdict == Verdict::kConflict);
}

TEST_CASE("double barrier: one session may be several members") {
  ServicesPlay play;
  const std::string session = play.open_session(0);
  CHECK(play.ask(0, enter(session, 2, "&member=x")).verdict == Verdict::kAccepted);
  CHECK(play.ask(0, enter(session, 2, "&member=y")).verdict == Verdict::kOk);
}

TEST_CASE("double barrier: who died before has never entered") {
  Pair pair;
  ServicesPlay& play = pair.play;
  play.ask(0, enter(pair.one, 2));
  play.ask(0, "DELETE sessions/" + pair.one);
  CHECK(play.children("/b").empty());
  CHECK(play.ask(1, enter(pair.two, 2)).verdict == Verdict::kAccepted);
  const uint64_t waits = play.send(1, enter(pair.two, 2, "&wait=60000"));
  play.ask(0, enter(play.open_session(0), 2));
  CHECK(state(play, waits) == "released");
}

TEST_CASE("double barrier: a place that nobody was told of is given up") {
  ServicesPlay play;
  const std::string session = play.open_session(0);
  const uint64_t waits = play.send(0, enter(session, 2, "&wait=60000"));
  CHECK(play.children("/b").size() == 1);
  play.hang_up(waits);
  CHECK(play.children("/b").empty());
  play.ask(0, enter(session, 2));
  play.hang_up(play.send(0, enter(session, 2, "&wait=60000")));
  CHECK(play.children("/b").size() == 1);  // this one is known
}

TEST_CASE("double barrier: all leave together") {
  Pair pair;
  ServicesPlay& play = pair.play;
  const std::string three = play.open_session(0, 600);
  play.ask(0, enter(pair.one, 3));
  play.ask(1, enter(pair.two, 3));
  play.ask(0, enter(three, 3));
  play.ask(0, enter(pair.one, 3));
  play.ask(1, enter(pair.two, 3));
  const ServiceAnswer early = play.ask(0, leave(pair.one));
  CHECK(early.verdict == Verdict::kAccepted);
  CHECK(play.member(early, "state") == "leaving");
  CHECK_FALSE(play.exists("/b/ready"));
  CHECK(play.ask(0, enter(pair.one, 3)).verdict == Verdict::kConflict);
  const uint64_t first = play.send(0, leave(pair.one, "&wait=60000"));
  const uint64_t second = play.send(1, leave(pair.two, "&wait=60000"));
  CHECK_FALSE(play.heard(first).ended);
  CHECK_FALSE(play.heard(second).ended);
  // Whoever is not the first of them may have to wait for it, and in which order they stand is drawn.
  CHECK(state(play, play.send(0, leave(three, "&wait=60000"))) == "left");
  CHECK(state(play, first) == "left");
  CHECK(state(play, second) == "left");
  CHECK(play.children("/b").empty());
  CHECK(play.ask(0, leave(three)).verdict == Verdict::kNotFound);
}

TEST_CASE("double barrier: who dies inside has left") {
  Pair pair;
  ServicesPlay& play = pair.play;
  play.ask(0, enter(pair.one, 2));
  play.ask(1, enter(pair.two, 2));
  play.ask(0, enter(pair.one, 2));
  const uint64_t leaves = play.send(0, leave(pair.one, "&wait=60000"));
  CHECK_FALSE(play.heard(leaves).ended);
  play.kill(1);
  play.pass(seconds(7));
  CHECK(state(play, leaves) == "left");
}

TEST_CASE("double barrier: who leaves before it is complete just goes") {
  ServicesPlay play;
  const std::string session = play.open_session(0);
  play.ask(0, enter(session, 2));
  CHECK(state(play, play.send(0, leave(session))) == "left");
  CHECK(play.children("/b").empty());
}

TEST_CASE("double barrier: it is used again and again") {
  Pair pair;
  ServicesPlay& play = pair.play;
  for (int use = 0; use < 4; ++use) {
    CAPTURE(use);
    CHECK(play.ask(use % 2, enter(pair.one, 2)).verdict == Verdict::kAccepted);
    CHECK(play.ask(1, enter(pair.two, 2)).verdict == Verdict::kOk);
    CHECK(play.ask(0, enter(pair.one, 2)).verdict == Verdict::kOk);
    const uint64_t first = play.send(0, leave(pair.one, "&wait=60000"));
    CHECK(state(play, play.send(1, leave(pair.two, "&wait=60000"))) == "left");
    CHECK(state(play, first) == "left");
  }
}

TEST_CASE("double barrier: who leaves does not wait for those of the next use") {
  Pair pair;
  ServicesPlay& play = pair.play;
  play.ask(0, enter(pair.one, 2));
  play.ask(1, enter(pair.two, 2));
  play.ask(0, enter(pair.one, 2));
  const uint64_t first = play.send(0, leave(pair.one, "&wait=60000"));
  play.cut(0);
  const uint64_t second = play.send(1, leave(pair.two, "&wait=60000"));
  const uint64_t kazoo = play.begin_client();
  play.zk_as(kazoo, ZkCreate{"/b/00000000000000000000000000000000", "", ZkMode::kEphemeral});
  CHECK_FALSE(play.heard(first).ended);
  play.mend(0);
  CHECK(state(play, first) == "left");
  CHECK(state(play, second) == "left");
}

TEST_CASE("double barrier: a ready that a dead use left behind releases nobody") {
  ServicesPlay play;
  play.zk(ZkCreate{"/b", "", ZkMode::kPersistent});
  play.zk(ZkCreate{"/b/ready", "", ZkMode::kPersistent});
  const std::string one = play.open_session(0);
  const std::string two = play.open_session(0);
  CHECK(play.ask(0, enter(one, 2)).verdict == Verdict::kAccepted);
  CHECK_FALSE(play.exists("/b/ready"));  // nobody was in, so it goes: kazoo's would count it
  play.zk(ZkCreate{"/b/ready", "", ZkMode::kPersistent});
  CHECK(play.ask(0, enter(one, 2)).verdict == Verdict::kOk);
  play.ask(0, "DELETE sessions/" + one);
  // Somebody is in who came before this ready: it may be in use.
  const uint64_t kazoo = play.begin_client();
  play.zk_as(kazoo, ZkCreate{"/b/00000000000000000000000000000000", "", ZkMode::kEphemeral});
  const uint64_t waits = play.send(0, enter(two, 3, "&wait=60000"));
  CHECK(play.exists("/b/ready"));
  CHECK_FALSE(play.heard(waits).ended);
  play.ask(0, enter(play.open_session(0), 3));
  CHECK(state(play, waits) == "released");
}

TEST_CASE("double barrier: a barrier's own data is left alone") {
  ServicesPlay play;
  play.zk(ZkCreate{"/b", "mine", ZkMode::kPersistent});
  play.zk(ZkCreate{"/b/ready", "", ZkMode::kPersistent});
  const std::string one = play.open_session(0);
  CHECK(play.ask(0, enter(one, 2)).verdict == Verdict::kAccepted);
  CHECK(play.ask(0, enter(play.open_session(0), 2)).verdict == Verdict::kOk);
  CHECK(play.ask(0, enter(one, 2)).verdict == Verdict::kOk);
  CHECK(play.znode("/b").data == "mine");
}

TEST_CASE("double barrier: what somebody else writes there releases nobody") {
  ServicesPlay play;
  const std::string one = play.open_session(0);
  play.ask(0, enter(one, 2));
  play.zk(ZkSet{"/b", "hello"});
  play.cut(0);
  play.mend(0);
  CHECK(play.ask(0, enter(one, 2)).verdict == Verdict::kAccepted);
}

TEST_CASE("double barrier: kazoo's members and kvd's release each other") {
  ServicesPlay play;
  const std::string name = "0123456789abcdef0123456789abcdef";
  const uint64_t kazoo = play.begin_client();
  const std::string one = play.open_session(0);
  // Kazoo's comes last: it counts two and makes ready.
  const uint64_t waits = play.send(0, enter(one, 2, "&wait=60000"));
  play.zk_as(kazoo, ZkCreate{"/b/" + name, "host-1", ZkMode::kEphemeral});
  CHECK_FALSE(play.heard(waits).ended);
  play.zk_as(kazoo, ZkCreate{"/b/ready", "", ZkMode::kPersistent});
  CHECK(state(play, waits) == "released");
  // It leaves first: takes ready away, and its own znode unless it has the lowest name.
  play.zk_as(kazoo, ZkDelete{"/b/ready"});
  const bool lowest = play.children("/b")[0] == name;
  if (!lowest) play.zk_as(kazoo, ZkDelete{"/b/" + name});
  const uint64_t leaves = play.send(0, leave(one, "&wait=60000"));
  CHECK(play.heard(leaves).ended == !lowest);
  if (lowest) play.zk_as(kazoo, ZkDelete{"/b/" + name});
  CHECK(state(play, leaves) == "left");
  // And kvd's comes last: the ready that kazoo's waits for.
  play.zk_as(kazoo, ZkCreate{"/b/" + name, "host-1", ZkMode::kEphemeral});
  CHECK(state(play, play.send(0, enter(one, 2))) == "released");
  CHECK(play.exists("/b/ready"));
}

TEST_CASE("double barrier: the lowest name stays until the others have left") {
  ServicesPlay play;
  const std::string one = play.open_session(0);
  const uint64_t kazoo = play.begin_client();
  const std::string last(32, 'f');
  play.ask(0, enter(one, 2));
  play.zk_as(kazoo, ZkCreate{"/b/" + last, "", ZkMode::kEphemeral});
  play.zk_as(kazoo, ZkCreate{"/b/ready", "", ZkMode::kPersistent});
  const uint64_t leaves = play.send(0, leave(one, "&wait=60000"));
  CHECK_FALSE(play.exists("/b/ready"));
  CHECK(play.children("/b").size() == 2);  // kazoo's will wait for this one's end
  play.zk_as(kazoo, ZkDelete{"/b/" + last});
  CHECK(state(play, leaves) == "left");
  CHECK(play.children("/b").empty());
}

TEST_CASE("double barrier: a ready that came and went while a server was cut off has released") {
  Pair pair;
  ServicesPlay& play = pair.play;
  const std::string three = play.open_session(1, 600);
  const uint64_t waits = play.send(0, enter(pair.one, 2, "&wait=60000"));
  play.cut(0);
  CHECK(play.ask(1, enter(pair.two, 2)).verdict == Verdict::kOk);
  CHECK(play.ask(1, leave(pair.two)).verdict == Verdict::kAccepted);
  CHECK_FALSE(play.exists("/b/ready"));
  play.mend(0);
  CHECK(state(play, waits) == "released");
}

TEST_CASE("double barrier: a ready that came and went at once has released") {
  ServicesPlay play;
  const std::string one = play.open_session(0);
  const uint64_t waits = play.send(0, enter(one, 2, "&wait=60000"));
  play.zk(ZkMulti{{ZkCreate{"/b/ready", "", ZkMode::kPersistent}, ZkDelete{"/b/ready"}}});
  CHECK(state(play, waits) == "released");
}

TEST_CASE("double barrier: who saw that all are in and is late does not complete the next use") {
  ServicesPlay play;
  const std::string session = play.open_session(0);
  const uint64_t kazoo = play.begin_client();
  const std::string others = "/b/00000000000000000000000000000000";
  play.zk(ZkCreate{"/b", "", ZkMode::kPersistent});
  play.zk_as(kazoo, ZkCreate{others, "", ZkMode::kEphemeral});
  const uint64_t late = play.send_and_pause(0, enter(session, 2, "&wait=60000"), 3);
  REQUIRE(play.children("/b").size() == 2);  // it is in and has asked who else is
  play.zk(ZkDelete{"/b/" + play.children("/b")[1]});
  play.zk(ZkDelete{others});
  play.zk_as(kazoo, ZkCreate{others, "", ZkMode::kEphemeral});
  play.resume(0);
  CHECK_FALSE(play.exists("/b/ready"));
  REQUIRE(play.heard(late).ended);
  CHECK(play.heard(late).answer->verdict == Verdict::kGone);
}

TEST_CASE("double barrier: one that goes after it was counted releases nobody") {
  ServicesPlay play;
  const std::string other = "/b/" + std::string(32, '0');
  play.zk(ZkCreate{"/b", "", ZkMode::kPersistent});
  play.zk(ZkCreate{other, "", ZkMode::kEphemeral});
  play.overtake(0, ServicesPlay::Kind::kMulti, ZkDelete{other});
  const std::string session = play.open_session(0);
  CHECK(play.ask(0, enter(session, 2)).verdict == Verdict::kAccepted);
  CHECK_FALSE(play.exists("/b/ready"));
  play.zk(ZkCreate{other, "", ZkMode::kEphemeral});
  CHECK(play.ask(0, enter(play.open_session(0), 2)).verdict == Verdict::kOk);
  CHECK(play.ask(0, enter(session, 2)).verdict == Verdict::kOk);
}

TEST_CASE("double barrier: a place of which the answer is lost is found again") {
  Pair pair;
  ServicesPlay& play = pair.play;
  play.ask(1, enter(pair.two, 2));
  play.lose_answer_of(0, ServicesPlay::Kind::kCreate);
  const uint64_t waits = play.send(0, enter(pair.one, 2, "&wait=60000"));
  CHECK_FALSE(play.heard(waits).ended);
  play.mend(0);
  CHECK(state(play, waits) == "released");
  CHECK(play.children("/b").size() == 3);
}

TEST_CASE("double barrier: a place of which the answer is lost goes when nobody waits for it") {
  Pair pair;
  ServicesPlay& play = pair.play;
  play.ask(1, enter(pair.two, 2));
  play.lose_answer_of(0, ServicesPlay::Kind::kCreate);
  const uint64_t waits = play.send(0, enter(pair.one, 2, "&wait=60000"));
  play.hang_up(waits);
  CHECK(play.children("/b").size() == 2);
  play.mend(0);
  CHECK(play.children("/b").size() == 1);
}

TEST_CASE("double barrier: a completion of which the answer is lost is seen") {
  Pair pair;
  ServicesPlay& play = pair.play;
  play.ask(1, enter(pair.two, 2));
  play.lose_answer_of(0, ServicesPlay::Kind::kMulti);
  const uint64_t last = play.send(0, enter(pair.one, 2, "&wait=60000"));
  CHECK_FALSE(play.heard(last).ended);
  CHECK(play.ask(1, enter(pair.two, 2)).verdict == Verdict::kOk);
  play.mend(0);
  CHECK(state(play, last) == "released");
}

TEST_CASE("double barrier: a leave of which an answer is lost goes on") {
  Pair pair;
  ServicesPlay& play = pair.play;
  play.ask(0, enter(pair.one, 2));
  play.ask(1, enter(pair.two, 2));
  play.ask(0, enter(pair.one, 2));
  play.lose_answer_of(0, ServicesPlay::Kind::kDelete);
  const uint64_t first = play.send(0, leave(pair.one, "&wait=60000"));
  play.mend(0);
  CHECK_FALSE(play.heard(first).ended);
  play.lose_answer_of(0, ServicesPlay::Kind::kDelete);
  const uint64_t second = play.send(1, leave(pair.two, "&wait=60000"));
  play.mend(0);
  CHECK(state(play, first) == "left");
  CHECK(state(play, second) == "left");
  CHECK(play.children("/b").empty());
}

TEST_CASE("double barrier: a connection is a membership") {
  ServicesPlay play;
  const uint64_t first = play.send(0, "POST barriers/b/enter?size=2&hold=1");
  REQUIRE(play.heard(first).lines.size() == 1);
  CHECK(play.heard(first).lines[0] == R"({"state":"waiting","present":1,"size":2})");
  const uint64_t second = play.send(0, "POST barriers/b/enter?size=2&hold=1");
  CHECK(play.member(play.heard(first).lines.back(), "state") == "released");
  CHECK(play.member(play.heard(second).lines.back(), "state") == "released");
  play.hang_up(first);
  CHECK(play.children("/b").size() == 2);  // the other one and ready
  const uint64_t late = play.send(0, "POST barriers/b/enter?size=3&hold=1&wait=1000");
  play.pass(milliseconds(1010));
  REQUIRE(play.heard(late).ended);
  CHECK(play.member(play.heard(late).lines.back(), "state") == "timeout");
  CHECK(play.children("/b").size() == 2);
}

TEST_CASE("double barrier: what is refused after a first line is told as a line") {
  ServicesPlay play;
  play.zk(ZkCreate{"/b", "", ZkMode::kPersistent});
  const uint64_t waits = play.send(0, "POST barriers/b/enter?size=2&hold=1");
  const uint64_t kazoo = play.begin_client();
  play.cut(0);
  play.zk_as(kazoo, ZkCreate{"/b/other", "", ZkMode::kEphemeral});
  play.forbid_changes("/b");
  play.mend(0);  // now it finds that all are in, and may not say so
  CHECK(play.heard(waits).ended);
  CHECK_FALSE(play.heard(waits).answer);
  CHECK(play.member(play.heard(waits).lines.back(), "state") == "lost");
}

TEST_CASE("double barrier: a server that ZooKeeper may forget says so") {
  Pair pair;
  ServicesPlay& play = pair.play;
  const uint64_t holds = play.send(0, "POST barriers/b/enter?size=2&hold=1");
  const uint64_t waits = play.send(0, enter(pair.one, 3, "&wait=60000"));
  play.cut(0);
  play.pass(milliseconds(4500));
  CHECK(play.member(play.heard(holds).lines.back(), "state") == "lost");
  REQUIRE(play.heard(waits).ended);
  CHECK(play.heard(waits).answer->verdict == Verdict::kGone);
  play.pass(seconds(5));
  CHECK(play.ask(1, enter(pair.two, 2)).verdict == Verdict::kAccepted);
}

TEST_CASE("double barrier: it can be cleared away when nobody is in") {
  ServicesPlay play;
  const std::string one = play.open_session(0);
  CHECK(play.ask(0, enter(one, 1)).verdict == Verdict::kOk);
  CHECK(play.ask(0, "DELETE barriers/b").verdict == Verdict::kConflict);
  play.ask(0, "DELETE sessions/" + one);
  CHECK(play.exists("/b/ready"));
  CHECK(play.ask(0, "DELETE barriers/b").verdict == Verdict::kDone);
  CHECK_FALSE(play.exists("/b"));
}

TEST_CASE("double barrier: whose znode somebody deletes is no member any more") {
  ServicesPlay play;
  const std::string one = play.open_session(0);
  const uint64_t waits = play.send(0, enter(one, 2, "&wait=60000"));
  play.zk(ZkDelete{"/b/" + play.children("/b")[0]});
  play.zk(ZkMulti{{ZkCreate{"/b/x", "", ZkMode::kPersistent}, ZkDelete{"/b/x"}}});
  play.cut(0);
  play.mend(0);
  REQUIRE(play.heard(waits).ended);
  CHECK(play.heard(waits).answer->verdict == Verdict::kGone);
}

TEST_CASE("barriers: what cannot be asked is refused with a reason") {
  ServicesPlay play;
  const std::string one = play.open_session(0);
  const auto verdict = [&](const std::string& request) { return play.ask(0, request).verdict; };
  CHECK(verdict("POST barriers/b?size=1&session=" + one) == Verdict::kInvalid);
  CHECK(verdict("POST barriers/enter?size=1&session=" + one) == Verdict::kInvalid);
  CHECK(verdict("POST barriers/b/enter?size=1") == Verdict::kInvalid);
  CHECK(verdict("POST barriers/b/enter?session=" + one) == Verdict::kInvalid);
  CHECK(verdict(enter(one, 0)) == Verdict::kInvalid);
  CHECK(verdict(enter(one, 10'001)) == Verdict::kInvalid);
  CHECK(verdict(enter(one, 1, "&member=")) == Verdict::kInvalid);
  CHECK(verdict(enter(one, 1, "&what=1")) == Verdict::kInvalid);
  CHECK(verdict("POST barriers/kvd/enter?size=1&session=" + one) == Verdict::kForbidden);
  CHECK(verdict("POST barriers/b/leave") == Verdict::kInvalid);
  CHECK(verdict(leave(one, "&size=1")) == Verdict::kInvalid);
  CHECK(verdict(leave(one)) == Verdict::kNotFound);
  CHECK(verdict("PUT barriers/a//b") == Verdict::kInvalid);
  CHECK(verdict("PUT barriers/election") == Verdict::kForbidden);
  CHECK(verdict("PUT barriers/b?size=1") == Verdict::kInvalid);
  CHECK(verdict("GET barriers/b?what=1") == Verdict::kInvalid);
  CHECK_FALSE(play.exists("/b"));
  const uint64_t holds = play.send(0, "POST barriers/b/leave?hold=1");
  REQUIRE(play.heard(holds).ended);
  CHECK(play.heard(holds).answer->verdict == Verdict::kInvalid);
}
