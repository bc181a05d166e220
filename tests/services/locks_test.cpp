// Locks, elections and clients' sessions (services_harness.hpp): whom they exclude, what clients hear and when,
// and what is left in ZooKeeper.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "services_harness.hpp"

using namespace kvd;
using namespace kvd::sim;

namespace {

std::string lock(const std::string& session, const std::string& more = "") {
  return "POST locks/a/b?session=" + session + more;
}

}  // namespace

TEST_CASE("lock: the second waits for the first and has the larger fence") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0);
  const std::string two = harness.open_session(0);
  const ServiceAnswer held = harness.ask(0, lock(one));
  CHECK(held.status == ServiceStatus::kOk);
  CHECK(harness.ask(0, lock(two)).status == ServiceStatus::kConflict);
  CHECK(harness.children("/a/b").size() == 1);  // who would not wait has left no place behind
  const uint64_t waits = harness.send(0, lock(two, "&wait=1000"));
  CHECK_FALSE(harness.heard(waits).ended);
  CHECK(harness.ask(0, "DELETE locks/a/b?session=" + one).status == ServiceStatus::kDone);
  REQUIRE(harness.heard(waits).ended);
  CHECK(harness.heard(waits).answer->status == ServiceStatus::kOk);
  CHECK(std::stoll(harness.member(*harness.heard(waits).answer, "fence")) >
        std::stoll(harness.member(held, "fence")));
}

TEST_CASE("lock: who waits too long is told so and leaves the queue") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0);
  const std::string two = harness.open_session(0);
  harness.ask(0, lock(one));
  const uint64_t waits = harness.send(0, lock(two, "&wait=1000"));
  harness.pass(milliseconds(990));
  CHECK_FALSE(harness.heard(waits).ended);
  harness.pass(milliseconds(20));
  REQUIRE(harness.heard(waits).ended);
  CHECK(harness.heard(waits).answer->status == ServiceStatus::kNotInTime);
  CHECK(harness.children("/a/b").size() == 1);
}

TEST_CASE("lock: a path that only begins like one of kvd's own is like any other") {
  ServicesHarness harness;
  const uint64_t first = harness.send(0, "POST locks/elections/x?hold=1");
  const uint64_t second = harness.send(0, "POST locks/elections/x?hold=1");
  harness.hang_up(first);
  CHECK(harness.member(harness.heard(second).lines.back(), "state") == "held");
}

TEST_CASE("lock: asked for again it is the same grant") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0);
  const ServiceAnswer first = harness.ask(0, lock(one));
  const ServiceAnswer second = harness.ask(0, lock(one));
  CHECK(words_of(first) == words_of(second));
  CHECK(harness.children("/a/b").size() == 1);
}

TEST_CASE("lock: kazoo's places count and kvd's look like them") {
  ServicesHarness harness;
  const uint64_t kazoo = harness.begin_client();
  harness.zk(ZkCreate{"/a", "", ZkMode::kPersistent});
  harness.zk(ZkCreate{"/a/b", "", ZkMode::kPersistent});
  harness.zk_as(
      kazoo, ZkCreate{"/a/b/0123456789abcdef0123456789abcdef__lock__", "me", ZkMode::kEphemeralSequential});
  const std::string one = harness.open_session(0);
  const uint64_t waits = harness.send(0, lock(one, "&wait=60000"));
  CHECK(harness.member(harness.ask(0, "GET locks/a/b"), "name") == "me");
  CHECK_FALSE(harness.heard(waits).ended);
  harness.end_client(kazoo);
  REQUIRE(harness.heard(waits).ended);
  CHECK(harness.heard(waits).answer->status == ServiceStatus::kOk);
  const std::vector<std::string> places = harness.children("/a/b");
  REQUIRE(places.size() == 1);
  CHECK(places[0].find("__lock__") == 32);
}

TEST_CASE("lock: one that leaves wakes one, and who waits asks nothing") {
  ServicesHarness harness;
  std::vector<std::string> sessions;
  std::vector<uint64_t> waiting;
  for (int i = 0; i < 100; ++i) {
    sessions.push_back(harness.open_session(0, 3600));
    waiting.push_back(harness.send(0, lock(sessions.back(), "&wait=600000")));
  }
  harness.pass(seconds(1));
  harness.take_calls();
  harness.ask(0, "DELETE locks/a/b?session=" + sessions[0]);
  // A delete and a look at the queue: however many wait.
  CHECK(harness.take_calls() == 2);
  CHECK(harness.heard(waiting[1]).ended);
  CHECK_FALSE(harness.heard(waiting[2]).ended);
  harness.pass(seconds(5));
  CHECK(harness.take_calls() <=
        6);  // only that ZooKeeper still knows this server is asked, six times in its timeout
}

TEST_CASE("lock: a create whose answer is lost is found again and not made twice") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0);
  harness.ask(0, lock(one));  // makes the path
  harness.ask(0, "DELETE locks/a/b?session=" + one);
  harness.lose_answer_of(0, ServicesHarness::Kind::kCreate);
  const uint64_t waits = harness.send(0, lock(one, "&wait=60000"));
  CHECK_FALSE(harness.heard(waits).ended);
  CHECK(harness.children("/a/b").size() == 1);
  harness.mend(0);
  REQUIRE(harness.heard(waits).ended);
  CHECK(harness.heard(waits).answer->status == ServiceStatus::kOk);
  CHECK(harness.children("/a/b").size() == 1);
}

TEST_CASE("lock: who gave up while the answer of its create was lost leaves nothing behind") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0);
  harness.ask(0, lock(one));
  harness.ask(0, "DELETE locks/a/b?session=" + one);
  harness.lose_answer_of(0, ServicesHarness::Kind::kCreate);
  const uint64_t waits = harness.send(0, lock(one, "&wait=60000"));
  harness.hang_up(waits);
  harness.mend(0);
  CHECK(harness.children("/a/b").empty());
}

TEST_CASE("lock: a connection that holds it lets go of it with its end") {
  ServicesHarness harness;
  const uint64_t first = harness.send(0, "POST locks/a/b?hold=1&name=x");
  REQUIRE(harness.heard(first).lines.size() == 1);
  CHECK(harness.member(harness.heard(first).lines[0], "state") == "held");
  const uint64_t second = harness.send(0, "POST locks/a/b?hold=1");
  REQUIRE(harness.heard(second).lines.size() == 1);
  CHECK(harness.heard(second).lines[0] == R"({"state":"waiting","ahead":1})");
  harness.hang_up(first);
  REQUIRE(harness.heard(second).lines.size() == 2);
  CHECK(harness.member(harness.heard(second).lines[1], "state") == "held");
  harness.pass(seconds(11));  // a line now and then, so that both ends know of each other
  CHECK(harness.heard(second).lines.size() == 3);
}

TEST_CASE("lock: a server takes only as many places as ZooKeeper hears of in one message") {
  ServicesHarness harness;
  const std::string path(1000, 'p');
  std::vector<uint64_t> places;
  do {
    places.push_back(harness.send(0, "POST locks/" + path + "?hold=1"));
    REQUIRE(places.size() < 1000);
  } while (!harness.heard(places.back()).ended);
  CHECK(harness.heard(places.back()).answer->status == ServiceStatus::kUnavailable);
  CHECK(places.size() > 100);
  harness.hang_up(places[0]);
  CHECK_FALSE(harness.heard(harness.send(0, "POST locks/" + path + "?hold=1")).ended);
}

TEST_CASE("lock: a place that cannot be removed yet asks for no time") {
  ServicesHarness harness;
  harness.send(0, "POST locks/a/b?hold=1");
  const uint64_t second = harness.send(0, "POST locks/a/b?hold=1");
  harness.cut(0);
  harness.hang_up(second);
  harness.pass(seconds(12));  // the harness ends a node that wants one turn after another
  CHECK(harness.heard(second).lines.size() == 1);
}

TEST_CASE("lock: a server that ZooKeeper may forget takes its grants back before ZooKeeper passes them on") {
  ServicesHarness harness(2);
  const uint64_t first = harness.send(0, "POST locks/a/b?hold=1");
  const uint64_t second = harness.send(1, "POST locks/a/b?hold=1");
  const uint64_t third = harness.send(0, "POST locks/a/b?hold=1");
  harness.cut(0);
  bool told = false;
  for (int i = 0; i < 1000 && !harness.heard(first).ended; ++i) {
    harness.pass(milliseconds(10));
    told |= harness.member(harness.heard(first).lines.back(), "state") == "lost";
    if (harness.member(harness.heard(second).lines.back(), "state") == "held") CHECK(told);
  }
  CHECK(told);
  CHECK(harness.heard(third).ended);
  harness.pass(seconds(3));
  CHECK(harness.member(harness.heard(second).lines.back(), "state") == "held");
}

TEST_CASE("lock: what was taken back is not held again when ZooKeeper returns in time") {
  ServicesHarness harness(2);
  const uint64_t first = harness.send(0, "POST locks/a/b?hold=1");
  const uint64_t second = harness.send(1, "POST locks/a/b?hold=1");
  harness.cut(0);
  harness.pass(milliseconds(4500));  // two thirds are over, and the session lives
  CHECK(harness.member(harness.heard(first).lines.back(), "state") == "lost");
  CHECK_FALSE(harness.heard(first).ended);
  harness.mend(0);
  CHECK(harness.member(harness.heard(second).lines.back(), "state") == "waiting");  // the grace is not over
  harness.hang_up(first);                                                           // the client has let go
  CHECK(harness.member(harness.heard(second).lines.back(), "state") == "held");
}

TEST_CASE("lock: a paused server does not believe in its grants when it goes on") {
  ServicesHarness harness(2);
  const std::string session = harness.open_session(0, 600);
  harness.ask(0, lock(session));
  const uint64_t second = harness.send(1, "POST locks/a/b?hold=1");
  harness.pause(0);
  harness.pass(seconds(10));
  CHECK(harness.member(harness.heard(second).lines.back(), "state") == "held");
  harness.resume(0);
  CHECK(harness.ask(0, "GET sessions/" + session).status == ServiceStatus::kGone);
}

TEST_CASE("lock: who has been told of the loss is not told so again") {
  ServicesHarness harness(2);
  const uint64_t first = harness.send(0, "POST locks/a/b?hold=1");
  harness.pause(0);
  harness.pass(seconds(10));
  harness.resume(0);
  const auto& lines = harness.heard(first).lines;
  CHECK(harness.heard(first).ended);
  CHECK(std::count_if(lines.begin(), lines.end(),
                      [&](const std::string& line) { return harness.member(line, "state") == "lost"; }) == 1);
}

TEST_CASE("session: silence ends it and frees what it holds") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0, 2);
  harness.ask(0, lock(one));
  for (int i = 0; i < 5; ++i) {
    harness.pass(seconds(1));
    CHECK(harness.ask(0, "PUT sessions/" + one).status == ServiceStatus::kOk);
  }
  harness.pass(milliseconds(1990));
  CHECK(harness.children("/a/b").size() == 1);
  harness.pass(milliseconds(20));
  CHECK(harness.children("/a/b").empty());
  CHECK(harness.ask(0, "PUT sessions/" + one).status == ServiceStatus::kGone);
  CHECK(harness.ask(0, lock(one)).status == ServiceStatus::kGone);
}

TEST_CASE("session: any server takes its calls and none after its server's end") {
  ServicesHarness harness(2);
  const std::string one = harness.open_session(0);
  CHECK(harness.ask(1, lock(one)).status == ServiceStatus::kOk);
  CHECK(harness.znode("/a/b/" + harness.children("/a/b")[0]).ephemeral_owner != 0);
  CHECK(harness.ask(1, "PUT sessions/" + one).status == ServiceStatus::kOk);
  harness.kill(0);
  const ServiceStatus at_once = harness.ask(1, "PUT sessions/" + one).status;
  CHECK(at_once == ServiceStatus::kUnavailable);  // it is registered, and its session may live
  harness.pass(seconds(7));
  CHECK(harness.ask(1, "PUT sessions/" + one).status == ServiceStatus::kGone);
  CHECK(harness.children("/a/b").empty());
}

TEST_CASE("session: a call that waits at another server is given up with its connection") {
  ServicesHarness harness(2);
  const std::string one = harness.open_session(0);
  const std::string two = harness.open_session(0);
  harness.ask(0, lock(one));
  const uint64_t waits = harness.send(1, lock(two, "&wait=60000"));
  CHECK(harness.children("/a/b").size() == 2);
  harness.hang_up(waits);
  CHECK(harness.children("/a/b").size() == 1);
}

TEST_CASE("session: a server that stops tells those who hold and lets them finish") {
  ServicesHarness harness(2);
  const uint64_t first = harness.send(0, "POST locks/a/b?hold=1");
  const uint64_t second = harness.send(1, "POST locks/a/b?hold=1");
  harness.stop(0);
  CHECK(harness.member(harness.heard(first).lines.back(), "state") == "lost");
  CHECK(harness.member(harness.heard(second).lines.back(), "state") == "waiting");
  CHECK_FALSE(harness.exited(0));
  harness.hang_up(first);
  CHECK(harness.member(harness.heard(second).lines.back(), "state") == "held");
  harness.pass(seconds(3));
  CHECK(harness.exited(0));
}

TEST_CASE("election: who stands need not wait, and a look waits for another leader") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0);
  const std::string two = harness.open_session(0);
  const ServiceAnswer leads = harness.ask(0, "POST elections/e?candidate=x&session=" + one);
  CHECK(leads.status == ServiceStatus::kOk);
  const ServiceAnswer queued = harness.ask(0, "POST elections/e?candidate=y&session=" + two);
  CHECK(queued.status == ServiceStatus::kAccepted);
  CHECK(words_of(queued) == R"({"path":"e","leading":false,"ahead":1})");
  const uint64_t looks =
      harness.send(0, fmt::format("GET elections/e?since={}&wait=60000", harness.member(leads, "fence")));
  CHECK_FALSE(harness.heard(looks).ended);
  harness.ask(0, "DELETE elections/e?session=" + one);
  REQUIRE(harness.heard(looks).ended);
  CHECK(harness.member(*harness.heard(looks).answer, "name") == "y");
}

TEST_CASE("election: a look where nobody stands waits for the first one") {
  ServicesHarness harness;
  const uint64_t looks = harness.send(0, "GET elections/e/f?since=0&wait=60000");
  CHECK_FALSE(harness.heard(looks).ended);
  const std::string one = harness.open_session(0);
  harness.ask(0, "POST elections/e/f?candidate=x&session=" + one);
  REQUIRE(harness.heard(looks).ended);
  CHECK(harness.member(*harness.heard(looks).answer, "name") == "x");
}

TEST_CASE("services: what cannot be asked is refused with a reason") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0);
  const auto status = [&](const std::string& request) { return harness.ask(0, request).status; };
  CHECK(status("POST locks/a") == ServiceStatus::kInvalid);
  CHECK(status("POST locks/?session=" + one) == ServiceStatus::kInvalid);
  CHECK(status("POST locks/a//b?session=" + one) == ServiceStatus::kInvalid);
  CHECK(status("POST locks/election?session=" + one) == ServiceStatus::kForbidden);
  CHECK(status("POST locks/kvd/members?session=" + one) == ServiceStatus::kForbidden);
  CHECK(status("POST locks/kvdx?session=" + one) == ServiceStatus::kOk);
  CHECK(status("POST locks/a?session=nonsense") == ServiceStatus::kInvalid);
  CHECK(status("POST locks/a?session=0000000000000000-0000000000000000") == ServiceStatus::kGone);
  CHECK(status("POST locks/a?wait=x&session=" + one) == ServiceStatus::kInvalid);
  CHECK(status("POST locks/a?what=1&session=" + one) == ServiceStatus::kInvalid);
  CHECK(status("POST locks/a?hold=1&session=" + one) == ServiceStatus::kInvalid);
  CHECK(status("PUT locks/a?session=" + one) == ServiceStatus::kWrongVerb);
  CHECK(status("DELETE locks/a?session=" + one) == ServiceStatus::kNotFound);
  CHECK(status("POST elections/a?session=" + one) == ServiceStatus::kInvalid);
  CHECK(status("POST sessions?ttl=0") == ServiceStatus::kInvalid);
  CHECK(status("POST sessions?ttl=3601") == ServiceStatus::kInvalid);
  CHECK(status("PUT sessions") == ServiceStatus::kWrongVerb);
  harness.cut(0);
  CHECK(status("GET locks/a") == ServiceStatus::kUnavailable);
  CHECK(status("GET sessions/" + one) == ServiceStatus::kOk);
}

TEST_CASE("lock: a call and its end that come together leave nothing behind") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0);
  harness.ask(0, lock(one));
  harness.ask(0, "DELETE locks/a/b?session=" + one);
  harness.pause(0);  // what comes is seen in one turn
  const uint64_t asks = harness.send(0, lock(one, "&wait=60000"));
  harness.hang_up(asks);
  harness.resume(0);
  CHECK(harness.children("/a/b").empty());
}

TEST_CASE("lock: a session loses its grants no sooner than their holder could be told") {
  ServicesHarness harness(2);
  const std::string one = harness.open_session(0, 600);
  harness.ask(0, lock(one));
  const uint64_t second = harness.send(1, "POST locks/a/b?hold=1");
  harness.cut(0);
  harness.pass(milliseconds(4500));
  harness.mend(0);
  CHECK(harness.ask(0, "GET sessions/" + one).status == ServiceStatus::kGone);
  CHECK(harness.member(harness.heard(second).lines.back(), "state") == "waiting");
  harness.pass(seconds(3));
  CHECK(harness.member(harness.heard(second).lines.back(), "state") == "held");
}

TEST_CASE("election: a look outlives the end of the ZooKeeper session of its server") {
  ServicesHarness harness(2);
  const std::string two = harness.open_session(1, 600);
  const ServiceAnswer leads = harness.ask(1, "POST elections/e?candidate=x&session=" + two);
  const uint64_t looks =
      harness.send(0, fmt::format("GET elections/e?since={}&wait=600000", harness.member(leads, "fence")));
  harness.cut(0);
  harness.pass(seconds(8));
  harness.mend(0);
  harness.pass(seconds(1));
  CHECK_FALSE(harness.heard(looks).ended);
  harness.ask(1, "DELETE elections/e?session=" + two);
  CHECK(harness.heard(looks).ended);
}
