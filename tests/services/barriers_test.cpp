// Barriers (services_harness.hpp): who is released and who is not, what the next use sees of the former one, and
// members that are kazoo's, which are played here in the order of its own calls.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "services_harness.hpp"

namespace kvd::sim::barriers_test {

namespace {

std::string enter(const std::string& session, int size, const std::string& more = "") {
  return fmt::format("POST barriers/b/enter?session={}&size={}{}", session, size, more);
}

std::string leave(const std::string& session, const std::string& more = "") {
  return fmt::format("POST barriers/b/leave?session={}{}", session, more);
}

std::string state(const ServicesHarness& harness, uint64_t request) {
  const auto& heard = harness.heard(request);
  return heard.ended ? ServicesHarness::member(*heard.answer, "state") : "";
}

// Two servers with a session each, both waiting at once for the release.
struct Pair {
  ServicesHarness harness{2};
  std::string one = harness.open_session(0, 600);
  std::string two = harness.open_session(1, 600);
};

}  // namespace

TEST_CASE("barrier: it is there until it is lifted") {
  ServicesHarness harness(2);
  CHECK(words_of(harness.ask(0, "GET barriers/a/b")) == R"({"path":"a/b","up":false})");
  CHECK(harness.ask(0, "PUT barriers/a/b").status == ServiceStatus::kCreated);
  CHECK(harness.ask(1, "PUT barriers/a/b").status == ServiceStatus::kOk);
  CHECK(harness.znode("/a/b").ephemeral_owner == 0);
  CHECK(harness.ask(1, "GET barriers/a/b").status == ServiceStatus::kNotInTime);
  const uint64_t waits = harness.send(1, "GET barriers/a/b?wait=60000");
  const uint64_t gives_up = harness.send(1, "GET barriers/a/b?wait=1000");
  harness.take_calls();
  harness.pass(milliseconds(990));
  CHECK(harness.take_calls() == 0);
  CHECK_FALSE(harness.heard(gives_up).ended);
  harness.pass(milliseconds(20));
  REQUIRE(harness.heard(gives_up).ended);
  CHECK(harness.heard(gives_up).answer->status == ServiceStatus::kNotInTime);
  CHECK(harness.ask(0, "DELETE barriers/a/b").status == ServiceStatus::kDone);
  REQUIRE(harness.heard(waits).ended);
  CHECK(harness.heard(waits).answer->status == ServiceStatus::kOk);
  CHECK(harness.ask(0, "DELETE barriers/a/b").status == ServiceStatus::kDone);
}

TEST_CASE("barrier: one that is lifted while a server is cut off is seen when it is back") {
  ServicesHarness harness;
  harness.ask(0, "PUT barriers/b");
  const uint64_t waits = harness.send(0, "GET barriers/b?wait=60000");
  harness.cut(0);
  harness.zk(ZkDelete{"/b"});
  CHECK_FALSE(harness.heard(waits).ended);
  harness.mend(0);
  CHECK(harness.heard(waits).ended);
}

TEST_CASE("barrier: one that is lifted and put up again at once still stands") {
  ServicesHarness harness;
  harness.ask(0, "PUT barriers/b");
  const uint64_t waits = harness.send(0, "GET barriers/b?wait=60000");
  harness.zk(ZkMulti{{ZkDelete{"/b"}, ZkCreate{"/b", "", ZkMode::kPersistent}}});
  CHECK_FALSE(harness.heard(waits).ended);
  harness.zk(ZkDelete{"/b"});
  CHECK(harness.heard(waits).ended);
}

TEST_CASE("double barrier: all are released when the last one is in") {
  Pair pair;
  ServicesHarness& harness = pair.harness;
  const std::string three = harness.open_session(0, 600);
  const uint64_t first = harness.send(0, enter(pair.one, 3, "&wait=60000&member=x"));
  const uint64_t second = harness.send(1, enter(pair.two, 3, "&wait=60000"));
  CHECK_FALSE(harness.heard(first).ended);
  CHECK(harness.children("/b").size() == 2);
  harness.take_calls();
  harness.pass(seconds(1));
  CHECK(harness.take_calls() <= 2);  // only that ZooKeeper still knows the two servers is asked
  CHECK(state(harness, harness.send(0, enter(three, 3))) == "released");
  CHECK(state(harness, first) == "released");
  CHECK(state(harness, second) == "released");
  const std::string znode = "/b/" + harness.member(*harness.heard(first).answer, "member");
  CHECK(harness.znode(znode).data == "x");
  CHECK(harness.znode(znode).ephemeral_owner != 0);
  CHECK(znode.size() == 3 + 32);
  CHECK(harness.exists("/b/ready"));
}

TEST_CASE("double barrier: a place is kept between two questions") {
  Pair pair;
  ServicesHarness& harness = pair.harness;
  const ServiceAnswer waits = harness.ask(0, enter(pair.one, 2, "&member=x"));
  CHECK(waits.status == ServiceStatus::kAccepted);
  CHECK(words_of(waits) == R"({"state":"waiting","present":1,"size":2})");
  CHECK(harness.ask(1, enter(pair.one, 2, "&member=x")).status ==
        ServiceStatus::kAccepted);  // from another server
  CHECK(harness.children("/b").size() == 1);
  const uint64_t late = harness.send(0, enter(pair.one, 2, "&member=x&wait=1000"));
  harness.pass(milliseconds(1010));
  CHECK(state(harness, late) == "waiting");
  harness.ask(1, enter(pair.two, 2));
  CHECK(harness.ask(0, enter(pair.one, 2, "&member=x")).status == ServiceStatus::kOk);
  CHECK(harness.ask(0, enter(pair.one, 3, "&member=x")).status == ServiceStatus::kConflict);
}

TEST_CASE("double barrier: one session may be several members") {
  ServicesHarness harness;
  const std::string session = harness.open_session(0);
  CHECK(harness.ask(0, enter(session, 2, "&member=x")).status == ServiceStatus::kAccepted);
  CHECK(harness.ask(0, enter(session, 2, "&member=y")).status == ServiceStatus::kOk);
}

TEST_CASE("double barrier: who died before has never entered") {
  Pair pair;
  ServicesHarness& harness = pair.harness;
  harness.ask(0, enter(pair.one, 2));
  harness.ask(0, "DELETE sessions/" + pair.one);
  CHECK(harness.children("/b").empty());
  CHECK(harness.ask(1, enter(pair.two, 2)).status == ServiceStatus::kAccepted);
  const uint64_t waits = harness.send(1, enter(pair.two, 2, "&wait=60000"));
  harness.ask(0, enter(harness.open_session(0), 2));
  CHECK(state(harness, waits) == "released");
}

TEST_CASE("double barrier: a place that nobody was told of is given up") {
  ServicesHarness harness;
  const std::string session = harness.open_session(0);
  const uint64_t waits = harness.send(0, enter(session, 2, "&wait=60000"));
  CHECK(harness.children("/b").size() == 1);
  harness.hang_up(waits);
  CHECK(harness.children("/b").empty());
  harness.ask(0, enter(session, 2));
  harness.hang_up(harness.send(0, enter(session, 2, "&wait=60000")));
  CHECK(harness.children("/b").size() == 1);  // this one is known
}

TEST_CASE("double barrier: all leave together") {
  Pair pair;
  ServicesHarness& harness = pair.harness;
  const std::string three = harness.open_session(0, 600);
  harness.ask(0, enter(pair.one, 3));
  harness.ask(1, enter(pair.two, 3));
  harness.ask(0, enter(three, 3));
  harness.ask(0, enter(pair.one, 3));
  harness.ask(1, enter(pair.two, 3));
  const ServiceAnswer early = harness.ask(0, leave(pair.one));
  CHECK(early.status == ServiceStatus::kAccepted);
  CHECK(harness.member(early, "state") == "leaving");
  CHECK_FALSE(harness.exists("/b/ready"));
  CHECK(harness.ask(0, enter(pair.one, 3)).status == ServiceStatus::kConflict);
  const uint64_t first = harness.send(0, leave(pair.one, "&wait=60000"));
  const uint64_t second = harness.send(1, leave(pair.two, "&wait=60000"));
  CHECK_FALSE(harness.heard(first).ended);
  CHECK_FALSE(harness.heard(second).ended);
  // Whoever is not the first of them may have to wait for it, and in which order they stand is drawn.
  CHECK(state(harness, harness.send(0, leave(three, "&wait=60000"))) == "left");
  CHECK(state(harness, first) == "left");
  CHECK(state(harness, second) == "left");
  CHECK(harness.children("/b").empty());
  CHECK(harness.ask(0, leave(three)).status == ServiceStatus::kNotFound);
}

TEST_CASE("double barrier: who dies inside has left") {
  Pair pair;
  ServicesHarness& harness = pair.harness;
  harness.ask(0, enter(pair.one, 2));
  harness.ask(1, enter(pair.two, 2));
  harness.ask(0, enter(pair.one, 2));
  const uint64_t leaves = harness.send(0, leave(pair.one, "&wait=60000"));
  CHECK_FALSE(harness.heard(leaves).ended);
  harness.kill(1);
  harness.pass(seconds(7));
  CHECK(state(harness, leaves) == "left");
}

TEST_CASE("double barrier: who leaves before it is complete just goes") {
  ServicesHarness harness;
  const std::string session = harness.open_session(0);
  harness.ask(0, enter(session, 2));
  CHECK(state(harness, harness.send(0, leave(session))) == "left");
  CHECK(harness.children("/b").empty());
}

TEST_CASE("double barrier: it is used again and again") {
  Pair pair;
  ServicesHarness& harness = pair.harness;
  for (int use = 0; use < 4; ++use) {
    CAPTURE(use);
    CHECK(harness.ask(use % 2, enter(pair.one, 2)).status == ServiceStatus::kAccepted);
    CHECK(harness.ask(1, enter(pair.two, 2)).status == ServiceStatus::kOk);
    CHECK(harness.ask(0, enter(pair.one, 2)).status == ServiceStatus::kOk);
    const uint64_t first = harness.send(0, leave(pair.one, "&wait=60000"));
    CHECK(state(harness, harness.send(1, leave(pair.two, "&wait=60000"))) == "left");
    CHECK(state(harness, first) == "left");
  }
}

TEST_CASE("double barrier: who leaves does not wait for those of the next use") {
  Pair pair;
  ServicesHarness& harness = pair.harness;
  harness.ask(0, enter(pair.one, 2));
  harness.ask(1, enter(pair.two, 2));
  harness.ask(0, enter(pair.one, 2));
  const uint64_t first = harness.send(0, leave(pair.one, "&wait=60000"));
  harness.cut(0);
  const uint64_t second = harness.send(1, leave(pair.two, "&wait=60000"));
  const uint64_t kazoo = harness.begin_client();
  harness.zk_as(kazoo, ZkCreate{"/b/00000000000000000000000000000000", "", ZkMode::kEphemeral});
  CHECK_FALSE(harness.heard(first).ended);
  harness.mend(0);
  CHECK(state(harness, first) == "left");
  CHECK(state(harness, second) == "left");
}

TEST_CASE("double barrier: a ready that a dead use left behind releases nobody") {
  ServicesHarness harness;
  harness.zk(ZkCreate{"/b", "", ZkMode::kPersistent});
  harness.zk(ZkCreate{"/b/ready", "", ZkMode::kPersistent});
  const std::string one = harness.open_session(0);
  const std::string two = harness.open_session(0);
  CHECK(harness.ask(0, enter(one, 2)).status == ServiceStatus::kAccepted);
  CHECK_FALSE(harness.exists("/b/ready"));  // nobody was in, so it goes: kazoo's would count it
  harness.zk(ZkCreate{"/b/ready", "", ZkMode::kPersistent});
  CHECK(harness.ask(0, enter(one, 2)).status == ServiceStatus::kOk);
  harness.ask(0, "DELETE sessions/" + one);
  // Somebody is in who came before this ready: it may be in use.
  const uint64_t kazoo = harness.begin_client();
  harness.zk_as(kazoo, ZkCreate{"/b/00000000000000000000000000000000", "", ZkMode::kEphemeral});
  const uint64_t waits = harness.send(0, enter(two, 3, "&wait=60000"));
  CHECK(harness.exists("/b/ready"));
  CHECK_FALSE(harness.heard(waits).ended);
  harness.ask(0, enter(harness.open_session(0), 3));
  CHECK(state(harness, waits) == "released");
}

TEST_CASE("double barrier: a barrier's own data is left alone") {
  ServicesHarness harness;
  harness.zk(ZkCreate{"/b", "mine", ZkMode::kPersistent});
  harness.zk(ZkCreate{"/b/ready", "", ZkMode::kPersistent});
  const std::string one = harness.open_session(0);
  CHECK(harness.ask(0, enter(one, 2)).status == ServiceStatus::kAccepted);
  CHECK(harness.ask(0, enter(harness.open_session(0), 2)).status == ServiceStatus::kOk);
  CHECK(harness.ask(0, enter(one, 2)).status == ServiceStatus::kOk);
  CHECK(harness.znode("/b").data == "mine");
}

TEST_CASE("double barrier: what somebody else writes there releases nobody") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0);
  harness.ask(0, enter(one, 2));
  harness.zk(ZkSet{"/b", "hello"});
  harness.cut(0);
  harness.mend(0);
  CHECK(harness.ask(0, enter(one, 2)).status == ServiceStatus::kAccepted);
}

TEST_CASE("double barrier: kazoo's members and kvd's release each other") {
  ServicesHarness harness;
  const std::string name = "0123456789abcdef0123456789abcdef";
  const uint64_t kazoo = harness.begin_client();
  const std::string one = harness.open_session(0);
  // Kazoo's comes last: it counts two and makes ready.
  const uint64_t waits = harness.send(0, enter(one, 2, "&wait=60000"));
  harness.zk_as(kazoo, ZkCreate{"/b/" + name, "host-1", ZkMode::kEphemeral});
  CHECK_FALSE(harness.heard(waits).ended);
  harness.zk_as(kazoo, ZkCreate{"/b/ready", "", ZkMode::kPersistent});
  CHECK(state(harness, waits) == "released");
  // It leaves first: takes ready away, and its own znode unless it has the lowest name.
  harness.zk_as(kazoo, ZkDelete{"/b/ready"});
  const bool lowest = harness.children("/b")[0] == name;
  if (!lowest) harness.zk_as(kazoo, ZkDelete{"/b/" + name});
  const uint64_t leaves = harness.send(0, leave(one, "&wait=60000"));
  CHECK(harness.heard(leaves).ended == !lowest);
  if (lowest) harness.zk_as(kazoo, ZkDelete{"/b/" + name});
  CHECK(state(harness, leaves) == "left");
  // And kvd's comes last: the ready that kazoo's waits for.
  harness.zk_as(kazoo, ZkCreate{"/b/" + name, "host-1", ZkMode::kEphemeral});
  CHECK(state(harness, harness.send(0, enter(one, 2))) == "released");
  CHECK(harness.exists("/b/ready"));
}

TEST_CASE("double barrier: the lowest name stays until the others have left") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0);
  const uint64_t kazoo = harness.begin_client();
  const std::string last(32, 'f');
  harness.ask(0, enter(one, 2));
  harness.zk_as(kazoo, ZkCreate{"/b/" + last, "", ZkMode::kEphemeral});
  harness.zk_as(kazoo, ZkCreate{"/b/ready", "", ZkMode::kPersistent});
  const uint64_t leaves = harness.send(0, leave(one, "&wait=60000"));
  CHECK_FALSE(harness.exists("/b/ready"));
  CHECK(harness.children("/b").size() == 2);  // kazoo's will wait for this one's end
  harness.zk_as(kazoo, ZkDelete{"/b/" + last});
  CHECK(state(harness, leaves) == "left");
  CHECK(harness.children("/b").empty());
}

TEST_CASE("double barrier: a ready that came and went while a server was cut off has released") {
  Pair pair;
  ServicesHarness& harness = pair.harness;
  const std::string three = harness.open_session(1, 600);
  const uint64_t waits = harness.send(0, enter(pair.one, 2, "&wait=60000"));
  harness.cut(0);
  CHECK(harness.ask(1, enter(pair.two, 2)).status == ServiceStatus::kOk);
  CHECK(harness.ask(1, leave(pair.two)).status == ServiceStatus::kAccepted);
  CHECK_FALSE(harness.exists("/b/ready"));
  harness.mend(0);
  CHECK(state(harness, waits) == "released");
}

TEST_CASE("double barrier: a ready that came and went at once has released") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0);
  const uint64_t waits = harness.send(0, enter(one, 2, "&wait=60000"));
  harness.zk(ZkMulti{{ZkCreate{"/b/ready", "", ZkMode::kPersistent}, ZkDelete{"/b/ready"}}});
  CHECK(state(harness, waits) == "released");
}

TEST_CASE("double barrier: who saw that all are in and is late does not complete the next use") {
  ServicesHarness harness;
  const std::string session = harness.open_session(0);
  const uint64_t kazoo = harness.begin_client();
  const std::string others = "/b/00000000000000000000000000000000";
  harness.zk(ZkCreate{"/b", "", ZkMode::kPersistent});
  harness.zk_as(kazoo, ZkCreate{others, "", ZkMode::kEphemeral});
  const uint64_t late = harness.send_and_pause(0, enter(session, 2, "&wait=60000"), 3);
  REQUIRE(harness.children("/b").size() == 2);  // it is in and has asked who else is
  harness.zk(ZkDelete{"/b/" + harness.children("/b")[1]});
  harness.zk(ZkDelete{others});
  harness.zk_as(kazoo, ZkCreate{others, "", ZkMode::kEphemeral});
  harness.resume(0);
  CHECK_FALSE(harness.exists("/b/ready"));
  REQUIRE(harness.heard(late).ended);
  CHECK(harness.heard(late).answer->status == ServiceStatus::kGone);
}

TEST_CASE("double barrier: one that goes after it was counted releases nobody") {
  ServicesHarness harness;
  const std::string other = "/b/" + std::string(32, '0');
  harness.zk(ZkCreate{"/b", "", ZkMode::kPersistent});
  harness.zk(ZkCreate{other, "", ZkMode::kEphemeral});
  harness.overtake(0, ServicesHarness::Kind::kMulti, ZkDelete{other});
  const std::string session = harness.open_session(0);
  CHECK(harness.ask(0, enter(session, 2)).status == ServiceStatus::kAccepted);
  CHECK_FALSE(harness.exists("/b/ready"));
  harness.zk(ZkCreate{other, "", ZkMode::kEphemeral});
  CHECK(harness.ask(0, enter(harness.open_session(0), 2)).status == ServiceStatus::kOk);
  CHECK(harness.ask(0, enter(session, 2)).status == ServiceStatus::kOk);
}

TEST_CASE("double barrier: a place of which the answer is lost is found again") {
  Pair pair;
  ServicesHarness& harness = pair.harness;
  harness.ask(1, enter(pair.two, 2));
  harness.lose_answer_of(0, ServicesHarness::Kind::kCreate);
  const uint64_t waits = harness.send(0, enter(pair.one, 2, "&wait=60000"));
  CHECK_FALSE(harness.heard(waits).ended);
  harness.mend(0);
  CHECK(state(harness, waits) == "released");
  CHECK(harness.children("/b").size() == 3);
}

TEST_CASE("double barrier: a place of which the answer is lost goes when nobody waits for it") {
  Pair pair;
  ServicesHarness& harness = pair.harness;
  harness.ask(1, enter(pair.two, 2));
  harness.lose_answer_of(0, ServicesHarness::Kind::kCreate);
  const uint64_t waits = harness.send(0, enter(pair.one, 2, "&wait=60000"));
  harness.hang_up(waits);
  CHECK(harness.children("/b").size() == 2);
  harness.mend(0);
  CHECK(harness.children("/b").size() == 1);
}

TEST_CASE("double barrier: a completion of which the answer is lost is seen") {
  Pair pair;
  ServicesHarness& harness = pair.harness;
  harness.ask(1, enter(pair.two, 2));
  harness.lose_answer_of(0, ServicesHarness::Kind::kMulti);
  const uint64_t last = harness.send(0, enter(pair.one, 2, "&wait=60000"));
  CHECK_FALSE(harness.heard(last).ended);
  CHECK(harness.ask(1, enter(pair.two, 2)).status == ServiceStatus::kOk);
  harness.mend(0);
  CHECK(state(harness, last) == "released");
}

TEST_CASE("double barrier: a leave of which an answer is lost goes on") {
  Pair pair;
  ServicesHarness& harness = pair.harness;
  harness.ask(0, enter(pair.one, 2));
  harness.ask(1, enter(pair.two, 2));
  harness.ask(0, enter(pair.one, 2));
  harness.lose_answer_of(0, ServicesHarness::Kind::kDelete);
  const uint64_t first = harness.send(0, leave(pair.one, "&wait=60000"));
  harness.mend(0);
  CHECK_FALSE(harness.heard(first).ended);
  harness.lose_answer_of(0, ServicesHarness::Kind::kDelete);
  const uint64_t second = harness.send(1, leave(pair.two, "&wait=60000"));
  harness.mend(0);
  CHECK(state(harness, first) == "left");
  CHECK(state(harness, second) == "left");
  CHECK(harness.children("/b").empty());
}

TEST_CASE("double barrier: a connection is a membership") {
  ServicesHarness harness;
  const uint64_t first = harness.send(0, "POST barriers/b/enter?size=2&hold=1");
  REQUIRE(harness.heard(first).lines.size() == 1);
  CHECK(harness.heard(first).lines[0] == R"({"state":"waiting","present":1,"size":2})");
  const uint64_t second = harness.send(0, "POST barriers/b/enter?size=2&hold=1");
  CHECK(harness.member(harness.heard(first).lines.back(), "state") == "released");
  CHECK(harness.member(harness.heard(second).lines.back(), "state") == "released");
  harness.hang_up(first);
  CHECK(harness.children("/b").size() == 2);  // the other one and ready
  const uint64_t late = harness.send(0, "POST barriers/b/enter?size=3&hold=1&wait=1000");
  harness.pass(milliseconds(1010));
  REQUIRE(harness.heard(late).ended);
  CHECK(harness.member(harness.heard(late).lines.back(), "state") == "timeout");
  CHECK(harness.children("/b").size() == 2);
}

TEST_CASE("double barrier: what is refused after a first line is told as a line") {
  ServicesHarness harness;
  harness.zk(ZkCreate{"/b", "", ZkMode::kPersistent});
  const uint64_t waits = harness.send(0, "POST barriers/b/enter?size=2&hold=1");
  const uint64_t kazoo = harness.begin_client();
  harness.cut(0);
  harness.zk_as(kazoo, ZkCreate{"/b/other", "", ZkMode::kEphemeral});
  harness.forbid_changes("/b");
  harness.mend(0);  // now it finds that all are in, and may not say so
  CHECK(harness.heard(waits).ended);
  CHECK_FALSE(harness.heard(waits).answer);
  CHECK(harness.member(harness.heard(waits).lines.back(), "state") == "lost");
}

TEST_CASE("double barrier: a server that ZooKeeper may forget says so") {
  Pair pair;
  ServicesHarness& harness = pair.harness;
  const uint64_t holds = harness.send(0, "POST barriers/b/enter?size=2&hold=1");
  const uint64_t waits = harness.send(0, enter(pair.one, 3, "&wait=60000"));
  harness.cut(0);
  harness.pass(milliseconds(4500));
  CHECK(harness.member(harness.heard(holds).lines.back(), "state") == "lost");
  REQUIRE(harness.heard(waits).ended);
  CHECK(harness.heard(waits).answer->status == ServiceStatus::kGone);
  harness.pass(seconds(5));
  CHECK(harness.ask(1, enter(pair.two, 2)).status == ServiceStatus::kAccepted);
}

TEST_CASE("double barrier: it can be cleared away when nobody is in") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0);
  CHECK(harness.ask(0, enter(one, 1)).status == ServiceStatus::kOk);
  CHECK(harness.ask(0, "DELETE barriers/b").status == ServiceStatus::kConflict);
  harness.ask(0, "DELETE sessions/" + one);
  CHECK(harness.exists("/b/ready"));
  CHECK(harness.ask(0, "DELETE barriers/b").status == ServiceStatus::kDone);
  CHECK_FALSE(harness.exists("/b"));
}

TEST_CASE("double barrier: whose znode somebody deletes is no member any more") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0);
  const uint64_t waits = harness.send(0, enter(one, 2, "&wait=60000"));
  harness.zk(ZkDelete{"/b/" + harness.children("/b")[0]});
  harness.zk(ZkMulti{{ZkCreate{"/b/x", "", ZkMode::kPersistent}, ZkDelete{"/b/x"}}});
  harness.cut(0);
  harness.mend(0);
  REQUIRE(harness.heard(waits).ended);
  CHECK(harness.heard(waits).answer->status == ServiceStatus::kGone);
}

TEST_CASE("barriers: what cannot be asked is refused with a reason") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0);
  const auto status = [&](const std::string& request) { return harness.ask(0, request).status; };
  CHECK(status("POST barriers/b?size=1&session=" + one) == ServiceStatus::kInvalid);
  CHECK(status("POST barriers/enter?size=1&session=" + one) == ServiceStatus::kInvalid);
  CHECK(status("POST barriers/b/enter?size=1") == ServiceStatus::kInvalid);
  CHECK(status("POST barriers/b/enter?session=" + one) == ServiceStatus::kInvalid);
  CHECK(status(enter(one, 0)) == ServiceStatus::kInvalid);
  CHECK(status(enter(one, 10'001)) == ServiceStatus::kInvalid);
  CHECK(status(enter(one, 1, "&member=")) == ServiceStatus::kInvalid);
  CHECK(status(enter(one, 1, "&what=1")) == ServiceStatus::kInvalid);
  CHECK(status("POST barriers/kvd/enter?size=1&session=" + one) == ServiceStatus::kForbidden);
  CHECK(status("POST barriers/b/leave") == ServiceStatus::kInvalid);
  CHECK(status(leave(one, "&size=1")) == ServiceStatus::kInvalid);
  CHECK(status(leave(one)) == ServiceStatus::kNotFound);
  CHECK(status("PUT barriers/a//b") == ServiceStatus::kInvalid);
  CHECK(status("PUT barriers/election") == ServiceStatus::kForbidden);
  CHECK(status("PUT barriers/b?size=1") == ServiceStatus::kInvalid);
  CHECK(status("GET barriers/b?what=1") == ServiceStatus::kInvalid);
  CHECK_FALSE(harness.exists("/b"));
  const uint64_t holds = harness.send(0, "POST barriers/b/leave?hold=1");
  REQUIRE(harness.heard(holds).ended);
  CHECK(harness.heard(holds).answer->status == ServiceStatus::kInvalid);
}

}  // namespace kvd::sim::barriers_test
