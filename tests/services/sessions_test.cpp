// Clients' sessions: a call that waits is a sign of life, and after a stall nobody says what may be true no
// more.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "services_harness.hpp"

namespace kvd::sim::sessions_test {

namespace {

ServiceStatus renewed(ServicesHarness& harness, const std::string& session, int server = 0) {
  return harness.ask(server, "PUT sessions/" + session).status;
}

std::string enter(const std::string& session, const char* more) {
  return fmt::format("POST barriers/b/enter?size=2&session={}{}", session, more);
}

}  // namespace

TEST_CASE("session: a call that waits keeps it and its ttl begins with the answer") {
  ServicesHarness harness(2);
  const std::string session = harness.open_session(0, 2);
  const std::string other = harness.open_session(0, 600);
  for (const int server : {0, 1}) {
    const uint64_t waits = harness.send(server, enter(session, "&member=a&wait=60000"));
    harness.pass(seconds(10));
    CHECK_FALSE(harness.heard(waits).ended);
    CHECK(harness.member(harness.ask(0, "GET sessions/" + session), "left_ms") == "2000");
    CHECK(harness.ask(0, enter(other, "&member=b&wait=1000")).status == ServiceStatus::kOk);
    REQUIRE(harness.heard(waits).ended);
    CHECK(harness.heard(waits).answer->status == ServiceStatus::kOk);
    harness.pass(milliseconds(1900));
    CHECK(renewed(harness, session) == ServiceStatus::kOk);
    for (const auto& [one, member] : {std::pair(session, "a"), std::pair(other, "b")})
      harness.send(0, fmt::format("POST barriers/b/leave?session={}&member={}&wait=1000", one, member));
  }
  harness.pass(seconds(3));
  CHECK(renewed(harness, session) == ServiceStatus::kGone);
}

TEST_CASE("session: it ends its ttl after the last of its calls was given up or cut off") {
  ServicesHarness harness(2);
  const std::string session = harness.open_session(0, 2);
  const uint64_t here = harness.send(0, enter(session, "&wait=60000"));
  harness.send(1, enter(session, "&wait=60000"));
  harness.pass(seconds(5));
  harness.hang_up(here);
  harness.pass(seconds(5));
  CHECK(harness.ask(0, "GET sessions/" + session).status == ServiceStatus::kOk);
  harness.kill(1);
  harness.pass(seconds(3));
  CHECK(renewed(harness, session) == ServiceStatus::kGone);
}

TEST_CASE("session: its client may end it while a call waits") {
  ServicesHarness harness;
  const std::string session = harness.open_session(0, 2);
  const uint64_t waits = harness.send(0, enter(session, "&wait=60000"));
  CHECK(harness.ask(0, "DELETE sessions/" + session).status == ServiceStatus::kDone);
  CHECK(harness.heard(waits).answer->status == ServiceStatus::kGone);
}

TEST_CASE("session: without ZooKeeper none is opened and those that are there are known all the same") {
  ServicesHarness harness(2);
  const std::string session = harness.open_session(0);
  harness.cut(0);
  const ServiceAnswer answer = harness.ask(0, "POST sessions");
  CHECK(answer.status == ServiceStatus::kUnavailable);
  CHECK(words_of(answer) == "this server cannot reach ZooKeeper");
  CHECK(renewed(harness, session) == ServiceStatus::kOk);
  CHECK(renewed(harness, session, 1) == ServiceStatus::kOk);
  harness.mend(0);
  harness.open_session(0);
}

TEST_CASE("session: whoever waits for ZooKeeper's word hears at once when the connection is lost") {
  for (const char* call :
       {"POST locks/l?hold=1", "POST workers?name=w&hold=1", "POST znodes/z?mode=ephemeral&hold=1",
        "POST ids/p?hold=1", "POST barriers/b/enter?size=1&hold=1",
        "POST zkqueues/q/take?locking=1&hold=1"}) {
    ServicesHarness harness;
    const uint64_t asks = harness.send_and_pause(0, call);
    REQUIRE_FALSE(harness.heard(asks).ended);
    harness.cut(0);
    harness.resume(0);
    REQUIRE(harness.heard(asks).ended);
    CHECK(harness.heard(asks).answer->status == ServiceStatus::kUnavailable);
  }
}

TEST_CASE("stall: no stream says again what it had before it says that it is lost") {
  for (const char* call : {"POST locks/l?hold=1", "POST elections/l?hold=1&candidate=c", "POST ids/p?hold=1",
                           "POST barriers/b/enter?hold=1&size=1", "POST workers?hold=1&name=w",
                           "POST znodes/z?hold=1&mode=ephemeral", "POST zkqueues/q/take?locking=1&hold=1"}) {
    ServicesHarness harness;
    harness.ask(0, "POST zkqueues/q?locking=1");
    const uint64_t holds = harness.send(0, call);
    harness.pass(seconds(1));
    const size_t before = harness.heard(holds).lines.size();
    REQUIRE(before > 0);
    harness.pause(0);
    harness.pass(seconds(12));
    harness.resume(0);
    REQUIRE(harness.heard(holds).lines.size() > before);
    CHECK(harness.member(harness.heard(holds).lines.at(before), "state") == "lost");
  }
}

TEST_CASE("stall: what was granted before it is not told after it") {
  ServicesHarness harness;
  harness.ask(0, "POST zkqueues/q?locking=1");
  const std::string session = harness.open_session(0, 600);
  for (const char* call :
       {"POST locks/l?session=", "POST elections/e?candidate=c&session=", "POST ids/p?session=",
        "POST workers?name=w&session=", "POST znodes/z?mode=ephemeral&session=",
        "POST barriers/b/enter?size=1&session=", "POST zkqueues/q/take?locking=1&session="}) {
    for (int turns = 1; turns <= 6; ++turns) {
      const std::string mine = harness.open_session(0, 600);
      const uint64_t asks = harness.send_and_pause(0, call + mine, turns);
      if (harness.heard(asks).ended) {  // before the stall
        harness.resume(0);
        break;
      }
      harness.pass(milliseconds(4500));  // beyond what is certain, and within the time that a call has
      harness.resume(0, true);
      harness.pass(seconds(1));
      REQUIRE(harness.heard(asks).ended);
      CHECK(refuses(harness.heard(asks).answer->status));
      harness.ask(0, "DELETE sessions/" + mine);
    }
  }
}

TEST_CASE("stall: hosts are read again before they are told") {
  ServicesHarness harness(2);
  harness.ask(0, R"(PUT names/web)", R"({"address":"10.0.0.1"})");
  CHECK(words_of(harness.ask(0, "GET hosts")) == "10.0.0.1\tweb\n");
  harness.lag(0);
  harness.ask(1, R"(PUT names/web)", R"({"address":"10.0.0.2"})");
  CHECK(words_of(harness.ask(0, "GET hosts")) == "10.0.0.1\tweb\n");
  harness.pause(0);
  harness.pass(seconds(3));
  const uint64_t asks = harness.send(0, "GET hosts");
  harness.resume(0);
  harness.pass(seconds(1));
  REQUIRE(harness.heard(asks).ended);
  CHECK(words_of(*harness.heard(asks).answer) == "10.0.0.2\tweb\n");
}

}  // namespace kvd::sim::sessions_test
