// Locks, elections and clients' sessions as plays (services_harness.hpp): whom they exclude, what clients hear and when,
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
  ServicesPlay play;
  const std::string one = play.open_session(0);
  const std::string two = play.open_session(0);
  const ServiceAnswer held = play.ask(0, lock(one));
  CHECK(held.verdict == Verdict::kOk);
  CHECK(play.ask(0, lock(two)).verdict == Verdict::kConflict);
  CHECK(play.children("/a/b").size() == 1);  // who would not wait has left no place behind
  const uint64_t waits = play.send(0, lock(two, "&wait=1000"));
  CHECK_FALSE(play.heard(waits).ended);
  CHECK(play.ask(0, "DELETE locks/a/b?session=" + one).verdict == Verdict::kDone);
  REQUIRE(play.heard(waits).ended);
  CHECK(play.heard(waits).answer->verdict == Verdict::kOk);
  CHECK(std::stoll(play.member(*play.heard(waits).answer, "fence")) > std::stoll(play.member(held, "fence")));
}

TEST_CASE("lock: who waits too long is told so and leaves the queue") {
  ServicesPlay play;
  const std::string one = play.open_session(0);
  const std::string two = play.open_session(0);
  play.ask(0, lock(one));
  const uint64_t waits = play.send(0, lock(two, "&wait=1000"));
  play.pass(milliseconds(990));
  CHECK_FALSE(play.heard(waits).ended);
  play.pass(milliseconds(20));
  REQUIRE(play.heard(waits).ended);
  CHECK(play.heard(waits).answer->verdict == Verdict::kNotInTime);
  CHECK(play.children("/a/b").size() == 1);
}

TEST_CASE("lock: a path that only begins like one of kvd's own is like any other") {
  ServicesPlay play;
  const uint64_t first = play.send(0, "POST locks/elections/x?hold=1");
  const uint64_t second = play.send(0, "POST locks/elections/x?hold=1");
  play.hang_up(first);
  CHECK(play.member(play.heard(second).lines.back(), "state") == "held");
}

TEST_CASE("lock: asked for again it is the same grant") {
  ServicesPlay play;
  const std::string one = play.open_session(0);
  const ServiceAnswer first = play.ask(0, lock(one));
  const ServiceAnswer second = play.ask(0, lock(one));
  CHECK(first.text == second.text);
  CHECK(play.children("/a/b").size() == 1);
}

TEST_CASE("lock: kazoo's places count and kvd's look like them") {
  ServicesPlay play;
  const uint64_t kazoo = play.begin_client();
  play.zk(ZkCreate{"/a", "", ZkMode::kPersistent});
  play.zk(ZkCreate{"/a/b", "", ZkMode::kPersistent});
  play.zk_as(kazoo,
             ZkCreate{"/a/b/0123456789abcdef0123456789abcdef__lock__", "me", ZkMode::kEphemeralSequential});
  const std::string one = play.open_session(0);
  const uint64_t waits = play.send(0, lock(one, "&wait=60000"));
  CHECK(play.member(play.ask(0, "GET locks/a/b"), "name") == "me");
  CHECK_FALSE(play.heard(waits).ended);
  play.end_client(kazoo);
  REQUIRE(play.heard(waits).ended);
  CHECK(play.heard(waits).answer->verdict == Verdict::kOk);
  const std::vector<std::string> places = play.children("/a/b");
  REQUIRE(places.size() == 1);
  CHECK(places[0].find("__lock__") == 32);
}

TEST_CASE("lock: one that leaves wakes one, and who waits asks nothing") {
  ServicesPlay play;
  std::vector<std::string> sessions;
  std::vector<uint64_t> waiting;
  for (int i = 0; i < 100; ++i) {
    sessions.push_back(play.open_session(0, 3600));
    waiting.push_back(play.send(0, lock(sessions.back(), "&wait=600000")));
  }
  play.pass(seconds(1));
  play.take_calls();
  play.ask(0, "DELETE locks/a/b?session=" + sessions[0]);
  // A delete and a look at the queue: however many wait.
  CHECK(play.take_calls() == 2);
  CHECK(play.heard(waiting[1]).ended);
  CHECK_FALSE(play.heard(waiting[2]).ended);
  play.pass(seconds(5));
  CHECK(play.take_calls() <=
        6);  // only that ZooKeeper still knows this server is asked, six times in its timeout
}

TEST_CASE("lock: a create whose answer is lost is found again and not made twice") {
  ServicesPlay play;
  const std::string one = play.open_session(0);
  play.ask(0, lock(one));  // makes the path
  play.ask(0, "DELETE locks/a/b?session=" + one);
  play.lose_answer_of(0, ServicesPlay::Kind::kCreate);
  const uint64_t waits = play.send(0, lock(one, "&wait=60000"));
  CHECK_FALSE(play.heard(waits).ended);
  CHECK(play.children("/a/b").size() == 1);
  play.mend(0);
  REQUIRE(play.heard(waits).ended);
  CHECK(play.heard(waits).answer->verdict == Verdict::kOk);
  CHECK(play.children("/a/b").size() == 1);
}

TEST_CASE("lock: who gave up while the answer of its create was lost leaves nothing behind") {
  ServicesPlay play;
  const std::string one = play.open_session(0);
  play.ask(0, lock(one));
  play.ask(0, "DELETE locks/a/b?session=" + one);
  play.lose_answer_of(0, ServicesPlay::Kind::kCreate);
  const uint64_t waits = play.send(0, lock(one, "&wait=60000"));
  play.hang_up(waits);
  play.mend(0);
  CHECK(play.children("/a/b").empty());
}

TEST_CASE("lock: a connection that holds it lets go of it with its end") {
  ServicesPlay play;
  const uint64_t first = play.send(0, "POST locks/a/b?hold=1&name=x");
  REQUIRE(play.heard(first).lines.size() == 1);
  CHECK(play.member(play.heard(first).lines[0], "state") == "held");
  const uint64_t second = play.send(0, "POST locks/a/b?hold=1");
  REQUIRE(play.heard(second).lines.size() == 1);
  CHECK(play.heard(second).lines[0] == R"({"state":"waiting","ahead":1})");
  play.hang_up(first);
  REQUIRE(play.heard(second).lines.size() == 2);
  CHECK(play.member(play.heard(second).lines[1], "state") == "held");
  play.pass(seconds(11));  // a line now and then, so that both ends know of each other
  CHECK(play.heard(second).lines.size() == 3);
}

TEST_CASE("lock: a server takes only as many places as ZooKeeper hears of in one message") {
  ServicesPlay play;
  const std::string path(1000, 'p');
  std::vector<uint64_t> places;
  do {
    places.push_back(play.send(0, "POST locks/" + path + "?hold=1"));
    REQUIRE(places.size() < 1000);
  } while (!play.heard(places.back()).ended);
  CHECK(play.heard(places.back()).answer->verdict == Verdict::kUnavailable);
  CHECK(places.size() > 100);
  play.hang_up(places[0]);
  CHECK_FALSE(play.heard(play.send(0, "POST locks/" + path + "?hold=1")).ended);
}

TEST_CASE("lock: a place that cannot be removed yet asks for no time") {
  ServicesPlay play;
  play.send(0, "POST locks/a/b?hold=1");
  const uint64_t second = play.send(0, "POST locks/a/b?hold=1");
  play.cut(0);
  play.hang_up(second);
  play.pass(seconds(12));  // the play ends a node that wants one turn after another
  CHECK(play.heard(second).lines.size() == 1);
}

TEST_CASE("lock: a server that ZooKeeper may forget takes its grants back before ZooKeeper passes them on") {
  ServicesPlay play(2);
  const uint64_t first = play.send(0, "POST locks/a/b?hold=1");
  const uint64_t second = play.send(1, "POST locks/a/b?hold=1");
  const uint64_t third = play.send(0, "POST locks/a/b?hold=1");
  play.cut(0);
  bool told = false;
  for (int i = 0; i < 1000 && !play.heard(first).ended; ++i) {
    play.pass(milliseconds(10));
    told |= play.member(play.heard(first).lines.back(), "state") == "lost";
    if (play.member(play.heard(second).lines.back(), "state") == "held") CHECK(told);
  }
  CHECK(told);
  CHECK(play.heard(third).ended);
  play.pass(seconds(3));
  CHECK(play.member(play.heard(second).lines.back(), "state") == "held");
}

TEST_CASE("lock: what was taken back is not held again when ZooKeeper returns in time") {
  ServicesPlay play(2);
  const uint64_t first = play.send(0, "POST locks/a/b?hold=1");
  const uint64_t second = play.send(1, "POST locks/a/b?hold=1");
  play.cut(0);
  play.pass(milliseconds(4500));  // two thirds are over, and the session lives
  CHECK(play.member(play.heard(first).lines.back(), "state") == "lost");
  CHECK_FALSE(play.heard(first).ended);
  play.mend(0);
  CHECK(play.member(play.heard(second).lines.back(), "state") == "waiting");  // the grace is not over
  play.hang_up(first);                                                        // the client has let go
  CHECK(play.member(play.heard(second).lines.back(), "state") == "held");
}

TEST_CASE("lock: a paused server does not believe in its grants when it goes on") {
  ServicesPlay play(2);
  const std::string session = play.open_session(0, 600);
  play.ask(0, lock(session));
  const uint64_t second = play.send(1, "POST locks/a/b?hold=1");
  play.pause(0);
  play.pass(seconds(10));
  CHECK(play.member(play.heard(second).lines.back(), "state") == "held");
  play.resume(0);
  CHECK(play.ask(0, "GET sessions/" + session).verdict == Verdict::kGone);
}

TEST_CASE("lock: who has been told of the loss is not told so again") {
  ServicesPlay play(2);
  const uint64_t first = play.send(0, "POST locks/a/b?hold=1");
  play.pause(0);
  play.pass(seconds(10));
  play.resume(0);
  const auto& lines = play.heard(first).lines;
  CHECK(play.heard(first).ended);
  CHECK(std::count_if(lines.begin(), lines.end(),
                      [&](const std::string& line) { return play.member(line, "state") == "lost"; }) == 1);
}

TEST_CASE("session: silence ends it and frees what it holds") {
  ServicesPlay play;
  const std::string one = play.open_session(0, 2);
  play.ask(0, lock(one));
  for (int i = 0; i < 5; ++i) {
    play.pass(seconds(1));
    CHECK(play.ask(0, "PUT sessions/" + one).verdict == Verdict::kOk);
  }
  play.pass(milliseconds(1990));
  CHECK(play.children("/a/b").size() == 1);
  play.pass(milliseconds(20));
  CHECK(play.children("/a/b").empty());
  CHECK(play.ask(0, "PUT sessions/" + one).verdict == Verdict::kGone);
  CHECK(play.ask(0, lock(one)).verdict == Verdict::kGone);
}

TEST_CASE("session: any server takes its calls and none after its server's end") {
  ServicesPlay play(2);
  const std::string one = play.open_session(0);
  CHECK(play.ask(1, lock(one)).verdict == Verdict::kOk);
  CHECK(play.znode("/a/b/" + play.children("/a/b")[0]).ephemeral_owner != 0);
  CHECK(play.ask(1, "PUT sessions/" + one).verdict == Verdict::kOk);
  play.kill(0);
  const Verdict at_once = play.ask(1, "PUT sessions/" + one).verdict;
  CHECK(at_once == Verdict::kUnavailable);  // it is registered, and its session may live
  play.pass(seconds(7));
  CHECK(play.ask(1, "PUT sessions/" + one).verdict == Verdict::kGone);
  CHECK(play.children("/a/b").empty());
}

TEST_CASE("session: a call that waits at another server is given up with its connection") {
  ServicesPlay play(2);
  const std::string one = play.open_session(0);
  const std::string two = play.open_session(0);
  play.ask(0, lock(one));
  const uint64_t waits = play.send(1, lock(two, "&wait=60000"));
  CHECK(play.children("/a/b").size() == 2);
  play.hang_up(waits);
  CHECK(play.children("/a/b").size() == 1);
}

TEST_CASE("session: a server that stops tells those who hold and lets them finish") {
  ServicesPlay play(2);
  const uint64_t first = play.send(0, "POST locks/a/b?hold=1");
  const uint64_t second = play.send(1, "POST locks/a/b?hold=1");
  play.stop(0);
  CHECK(play.member(play.heard(first).lines.back(), "state") == "lost");
  CHECK(play.member(play.heard(second).lines.back(), "state") == "waiting");
  CHECK_FALSE(play.exited(0));
  play.hang_up(first);
  CHECK(play.member(play.heard(second).lines.back(), "state") == "held");
  play.pass(seconds(3));
  CHECK(play.exited(0));
}

TEST_CASE("election: who stands need not wait, and a look waits for another leader") {
  ServicesPlay play;
  const std::string one = play.open_session(0);
  const std::string two = play.open_session(0);
  const ServiceAnswer leads = play.ask(0, "POST elections/e?candidate=x&session=" + one);
  CHECK(leads.verdict == Verdict::kOk);
  const ServiceAnswer queued = play.ask(0, "POST elections/e?candidate=y&session=" + two);
  CHECK(queued.verdict == Verdict::kAccepted);
  CHECK(queued.text == R"({"path":"e","leading":false,"ahead":1})");
  const uint64_t looks =
      play.send(0, fmt::format("GET elections/e?since={}&wait=60000", play.member(leads, "fence")));
  CHECK_FALSE(play.heard(looks).ended);
  play.ask(0, "DELETE elections/e?session=" + one);
  REQUIRE(play.heard(looks).ended);
  CHECK(play.member(*play.heard(looks).answer, "name") == "y");
}

TEST_CASE("election: a look where nobody stands waits for the first one") {
  ServicesPlay play;
  const uint64_t looks = play.send(0, "GET elections/e/f?since=0&wait=60000");
  CHECK_FALSE(play.heard(looks).ended);
  const std::string one = play.open_session(0);
  play.ask(0, "POST elections/e/f?candidate=x&session=" + one);
  REQUIRE(play.heard(looks).ended);
  CHECK(play.member(*play.heard(looks).answer, "name") == "x");
}

TEST_CASE("services: what cannot be asked is refused with a reason") {
  ServicesPlay play;
  const std::string one = play.open_session(0);
  const auto verdict = [&](const std::string& request) { return play.ask(0, request).verdict; };
  CHECK(verdict("POST locks/a") == Verdict::kInvalid);
  CHECK(verdict("POST locks/?session=" + one) == Verdict::kInvalid);
  CHECK(verdict("POST locks/a//b?session=" + one) == Verdict::kInvalid);
  CHECK(verdict("POST locks/election?session=" + one) == Verdict::kForbidden);
  CHECK(verdict("POST locks/kvd/members?session=" + one) == Verdict::kForbidden);
  CHECK(verdict("POST locks/kvdx?session=" + one) == Verdict::kOk);
  CHECK(verdict("POST locks/a?session=nonsense") == Verdict::kInvalid);
  CHECK(verdict("POST locks/a?session=0000000000000000-0000000000000000") == Verdict::kGone);
  CHECK(verdict("POST locks/a?wait=x&session=" + one) == Verdict::kInvalid);
  CHECK(verdict("POST locks/a?what=1&session=" + one) == Verdict::kInvalid);
  CHECK(verdict("POST locks/a?hold=1&session=" + one) == Verdict::kInvalid);
  CHECK(verdict("PUT locks/a?session=" + one) == Verdict::kWrongVerb);
  CHECK(verdict("DELETE locks/a?session=" + one) == Verdict::kNotFound);
  CHECK(verdict("POST elections/a?session=" + one) == Verdict::kInvalid);
  CHECK(verdict("POST sessions?ttl=0") == Verdict::kInvalid);
  CHECK(verdict("POST sessions?ttl=3601") == Verdict::kInvalid);
  CHECK(verdict("PUT sessions") == Verdict::kWrongVerb);
  play.cut(0);
  CHECK(verdict("GET locks/a") == Verdict::kUnavailable);
  CHECK(verdict("GET sessions/" + one) == Verdict::kOk);
}

TEST_CASE("lock: a call and its end that come together leave nothing behind") {
  ServicesPlay play;
  const std::string one = play.open_session(0);
  play.ask(0, lock(one));
  play.ask(0, "DELETE locks/a/b?session=" + one);
  play.pause(0);  // what comes is seen in one turn
  const uint64_t asks = play.send(0, lock(one, "&wait=60000"));
  play.hang_up(asks);
  play.resume(0);
  CHECK(play.children("/a/b").empty());
}

TEST_CASE("lock: a session loses its grants no sooner than their holder could be told") {
  ServicesPlay play(2);
  const std::string one = play.open_session(0, 600);
  play.ask(0, lock(one));
  const uint64_t second = play.send(1, "POST locks/a/b?hold=1");
  play.cut(0);
  play.pass(milliseconds(4500));
  play.mend(0);
  CHECK(play.ask(0, "GET sessions/" + one).verdict == Verdict::kGone);
  CHECK(play.member(play.heard(second).lines.back(), "state") == "waiting");
  play.pass(seconds(3));
  CHECK(play.member(play.heard(second).lines.back(), "state") == "held");
}

TEST_CASE("election: a look outlives the end of the ZooKeeper session of its server") {
  ServicesPlay play(2);
  const std::string two = play.open_session(1, 600);
  const ServiceAnswer leads = play.ask(1, "POST elections/e?candidate=x&session=" + two);
  const uint64_t looks =
      play.send(0, fmt::format("GET elections/e?since={}&wait=600000", play.member(leads, "fence")));
  play.cut(0);
  play.pass(seconds(8));
  play.mend(0);
  play.pass(seconds(1));
  CHECK_FALSE(play.heard(looks).ended);
  play.ask(1, "DELETE elections/e?session=" + two);
  CHECK(play.heard(looks).ended);
}
