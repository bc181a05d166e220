// Clients' sessions as plays: a call that waits is a sign of life, and after a stall nobody says what may be true no
// more.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "services_harness.hpp"

using namespace kvd;
using namespace kvd::sim;

namespace {

Verdict renewed(ServicesPlay& play, const std::string& session, int server = 0) {
  return play.ask(server, "PUT sessions/" + session).verdict;
}

std::string enter(const std::string& session, const char* more) {
  return fmt::format("POST barriers/b/enter?size=2&session={}{}", session, more);
}

}  // namespace

TEST_CASE("session: a call that waits keeps it and its ttl begins with the answer") {
  ServicesPlay play(2);
  const std::string session = play.open_session(0, 2);
  const std::string other = play.open_session(0, 600);
  for (const int server : {0, 1}) {
    const uint64_t waits = play.send(server, enter(session, "&member=a&wait=60000"));
    play.pass(seconds(10));
    CHECK_FALSE(play.heard(waits).ended);
    CHECK(play.member(play.ask(0, "GET sessions/" + session), "left_ms") == "2000");
    CHECK(play.ask(0, enter(other, "&member=b&wait=1000")).verdict == Verdict::kOk);
    REQUIRE(play.heard(waits).ended);
    CHECK(play.heard(waits).answer->verdict == Verdict::kOk);
    play.pass(milliseconds(1900));
    CHECK(renewed(play, session) == Verdict::kOk);
    for (const auto& [one, member] : {std::pair(session, "a"), std::pair(other, "b")})
      play.send(0, fmt::format("POST barriers/b/leave?session={}&member={}&wait=1000", one, member));
  }
  play.pass(seconds(3));
  CHECK(renewed(play, session) == Verdict::kGone);
}

TEST_CASE("session: it ends its ttl after the last of its calls was given up or cut off") {
  ServicesPlay play(2);
  const std::string session = play.open_session(0, 2);
  const uint64_t here = play.send(0, enter(session, "&wait=60000"));
  play.send(1, enter(session, "&wait=60000"));
  play.pass(seconds(5));
  play.hang_up(here);
  play.pass(seconds(5));
  CHECK(play.ask(0, "GET sessions/" + session).verdict == Verdict::kOk);
  play.kill(1);
  play.pass(seconds(3));
  CHECK(renewed(play, session) == Verdict::kGone);
}

TEST_CASE("session: its client may end it while a call waits") {
  ServicesPlay play;
  const std::string session = play.open_session(0, 2);
  const uint64_t waits = play.send(0, enter(session, "&wait=60000"));
  CHECK(play.ask(0, "DELETE sessions/" + session).verdict == Verdict::kDone);
  CHECK(play.heard(waits).answer->verdict == Verdict::kGone);
}

TEST_CASE("session: without ZooKeeper none is opened and those that are there are known all the same") {
  ServicesPlay play(2);
  const std::string session = play.open_session(0);
  play.cut(0);
  const ServiceAnswer answer = play.ask(0, "POST sessions");
  CHECK(answer.verdict == Verdict::kUnavailable);
  CHECK(answer.text == "this server cannot reach ZooKeeper");
  CHECK(renewed(play, session) == Verdict::kOk);
  CHECK(renewed(play, session, 1) == Verdict::kOk);
  play.mend(0);
  play.open_session(0);
}

TEST_CASE("session: whoever waits for ZooKeeper's word hears at once when the connection is lost") {
  for (const char* call :
       {"POST locks/l?hold=1", "POST workers?name=w&hold=1", "POST znodes/z?mode=ephemeral&hold=1",
        "POST ids/p?hold=1", "POST barriers/b/enter?size=1&hold=1"}) {
    ServicesPlay play;
    const uint64_t asks = play.send_and_pause(0, call);
    REQUIRE_FALSE(play.heard(asks).ended);
    play.cut(0);
    play.resume(0);
    REQUIRE(play.heard(asks).ended);
    CHECK(play.heard(asks).answer->verdict == Verdict::kUnavailable);
  }
}

TEST_CASE("stall: no stream says again what it had before it says that it is lost") {
  for (const char* call : {"POST locks/l?hold=1", "POST elections/l?hold=1&candidate=c", "POST ids/p?hold=1",
                           "POST barriers/b/enter?hold=1&size=1", "POST workers?hold=1&name=w",
                           "POST znodes/z?hold=1&mode=ephemeral"}) {
    ServicesPlay play;
    const uint64_t holds = play.send(0, call);
    play.pass(seconds(1));
    const size_t before = play.heard(holds).lines.size();
    REQUIRE(before > 0);
    play.pause(0);
    play.pass(seconds(12));
    play.resume(0);
    REQUIRE(play.heard(holds).lines.size() > before);
    CHECK(play.member(play.heard(holds).lines.at(before), "state") == "lost");
  }
}

TEST_CASE("stall: what was granted before it is not told after it") {
  ServicesPlay play;
  const std::string session = play.open_session(0, 600);
  for (const char* call :
       {"POST locks/l?session=", "POST elections/e?candidate=c&session=", "POST ids/p?session=",
        "POST workers?name=w&session=", "POST znodes/z?mode=ephemeral&session=",
        "POST barriers/b/enter?size=1&session="}) {
    for (int turns = 1; turns <= 6; ++turns) {
      const std::string mine = play.open_session(0, 600);
      const uint64_t asks = play.send_and_pause(0, call + mine, turns);
      if (play.heard(asks).ended) {  // before the stall
        play.resume(0);
        break;
      }
      play.pass(milliseconds(4500));  // beyond what is certain, and within the time that a call has
      play.resume(0, true);
      play.pass(seconds(1));
      REQUIRE(play.heard(asks).ended);
      CHECK(refuses(play.heard(asks).answer->verdict));
      play.ask(0, "DELETE sessions/" + mine);
    }
  }
}

TEST_CASE("stall: hosts are read again before they are told") {
  ServicesPlay play(2);
  play.ask(0, R"(PUT names/web)", R"({"address":"10.0.0.1"})");
  CHECK(play.ask(0, "GET hosts").text == "10.0.0.1\tweb\n");
  play.lag(0);
  play.ask(1, R"(PUT names/web)", R"({"address":"10.0.0.2"})");
  CHECK(play.ask(0, "GET hosts").text == "10.0.0.1\tweb\n");
  play.pause(0);
  play.pass(seconds(3));
  const uint64_t asks = play.send(0, "GET hosts");
  play.resume(0);
  play.pass(seconds(1));
  REQUIRE(play.heard(asks).ended);
  CHECK(play.heard(asks).answer->text == "10.0.0.2\tweb\n");
}
