// What ZooKeeper forbids: whoever asks is told so with the reason, nothing is called done, left, empty or
// absent that is not, and nobody tries again without a pause. Locks have cases of their own (locks_edges_test.cpp).
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "services_harness.hpp"

namespace kvd::sim::forbidden_test {
using Kind = ServicesHarness::Kind;

namespace {

void make(ServicesHarness& harness, const std::string& path) {
  harness.zk(ZkCreate{path, "", ZkMode::kPersistent});
}

// Of what is refused for good ZooKeeper is asked now and then, and not as often as of what a moment may cure.
void is_quiet(ServicesHarness& harness) {
  harness.take_calls();
  harness.pass(seconds(30));
  CHECK(harness.take_calls() < 200);
}

std::string enter(const std::string& session, int size, const std::string& more = "") {
  return fmt::format("POST barriers/b/enter?session={}&size={}{}", session, size, more);
}

std::string leave(const std::string& session, const std::string& more = "") {
  return fmt::format("POST barriers/b/leave?session={}{}", session, more);
}

}  // namespace

TEST_CASE("forbidden: a lock that may not be removed is not called given back, and goes once it may") {
  ServicesHarness harness;
  const std::string session = harness.open_session(0, 3600);
  const uint64_t stream = harness.send(0, "POST locks/s?hold=1");
  harness.ask(0, "POST locks/l?session=" + session);
  harness.forbid_changes("/l");
  harness.forbid_changes("/s");
  CHECK(harness.ask(0, "DELETE locks/l?session=" + session).status == ServiceStatus::kForbidden);
  CHECK(harness.member(harness.ask(0, "GET locks/l"), "waiting") == "0");
  CHECK(harness.children("/l").size() == 1);
  harness.hang_up(stream);
  is_quiet(harness);
  harness.permit("/l");
  harness.permit("/s");
  harness.pass(seconds(11));
  CHECK(harness.children("/l").empty());
  CHECK(harness.children("/s").empty());
}

TEST_CASE("forbidden: a barrier that may not be read is neither entered nor cleared away") {
  ServicesHarness harness;
  harness.zk(ZkCreate{"/b", "theirs", ZkMode::kPersistent});
  make(harness, "/b/ready");
  harness.hide("/b");
  CHECK(harness.ask(0, enter(harness.open_session(0), 2)).status == ServiceStatus::kForbidden);
  CHECK(harness.ask(0, "GET barriers/b").status == ServiceStatus::kForbidden);
  CHECK(harness.znode("/b").data == "theirs");
  CHECK(harness.children("/b").size() == 1);
}

TEST_CASE("forbidden: a barrier that cannot be read any more is not told as left by anybody") {
  ServicesHarness harness(2);
  const std::string one = harness.open_session(0, 3600);
  const std::string two = harness.open_session(1, 3600);
  harness.ask(0, enter(one, 2));
  harness.ask(1, enter(two, 2));
  harness.ask(0, enter(one, 2));
  harness.hide("/b");
  CHECK(harness.ask(0, leave(one)).status == ServiceStatus::kForbidden);
  CHECK(harness.ask(0, leave(one, "&wait=1000")).status == ServiceStatus::kForbidden);
  is_quiet(harness);
  harness.permit("/b");
  const uint64_t first = harness.send(0, leave(one, "&wait=60000"));
  CHECK_FALSE(harness.heard(first).ended);
  CHECK(harness.member(*harness.heard(harness.send(1, leave(two, "&wait=60000"))).answer, "state") == "left");
  REQUIRE(harness.heard(first).ended);
  CHECK(harness.member(*harness.heard(first).answer, "state") == "left");
}

TEST_CASE("forbidden: who waits at a barrier that cannot be read any more hears so") {
  ServicesHarness harness;
  const uint64_t waits = harness.send(0, enter(harness.open_session(0), 2, "&wait=60000"));
  harness.cut(0);
  harness.hide("/b");
  harness.mend(0);
  REQUIRE(harness.heard(waits).ended);
  CHECK(harness.heard(waits).answer->status == ServiceStatus::kForbidden);
  CHECK(harness.children("/b").empty());
}

TEST_CASE("forbidden: a member that may not be removed has not left") {
  ServicesHarness harness;
  const std::string session = harness.open_session(0, 3600);
  CHECK(harness.ask(0, enter(session, 1)).status == ServiceStatus::kOk);
  harness.forbid_changes("/b");
  CHECK(harness.ask(0, leave(session, "&wait=1000")).status == ServiceStatus::kForbidden);
  CHECK(harness.ask(0, "DELETE barriers/b").status == ServiceStatus::kForbidden);
  harness.ask(0, "DELETE sessions/" + session);
  is_quiet(harness);
  CHECK(harness.children("/b").size() == 2);
  harness.permit("/b");
  harness.pass(seconds(11));
  CHECK(harness.children("/b").size() == 1);
}

TEST_CASE("forbidden: a member whose znode cannot be read is waited for all the same") {
  ServicesHarness harness;
  const std::string session = harness.open_session(0, 3600);
  const uint64_t kazoo = harness.begin_client();
  const std::string first = "/b/" + std::string(32, '0');
  CHECK(harness.ask(0, enter(session, 1)).status == ServiceStatus::kOk);
  harness.zk_as(kazoo, ZkCreate{first, "", ZkMode::kEphemeral});
  harness.hide(first);
  const uint64_t leaves = harness.send(0, leave(session, "&wait=60000"));
  CHECK_FALSE(harness.heard(leaves).ended);
  is_quiet(harness);
  harness.zk_as(kazoo, ZkDelete{first});
  REQUIRE(harness.heard(leaves).ended);
  CHECK(harness.member(*harness.heard(leaves).answer, "state") == "left");
}

TEST_CASE("forbidden: a ready that somebody has put znodes below is in the way, and that is told") {
  ServicesHarness harness;
  const std::string session = harness.open_session(0, 3600);
  harness.ask(0, enter(session, 1));
  make(harness, "/b/ready/x");
  CHECK(harness.ask(0, leave(session)).status == ServiceStatus::kConflict);
  harness.zk(ZkDelete{"/b/ready/x"});
  CHECK(harness.ask(0, leave(session)).status == ServiceStatus::kOk);
}

TEST_CASE("forbidden: a pool of ids that cannot be read is not told as free") {
  ServicesHarness harness;
  make(harness, "/ids");
  make(harness, "/ids/p");
  make(harness, "/ids/p/1");
  harness.hide("/ids/p");
  CHECK(harness.ask(0, "GET ids/p").status == ServiceStatus::kForbidden);
  const std::string session = harness.open_session(0);
  CHECK(harness.ask(0, "POST ids/p?session=" + session).status == ServiceStatus::kForbidden);
  CHECK(harness.ask(0, "POST ids/p?hold=1").status == ServiceStatus::kForbidden);
  is_quiet(harness);
}

TEST_CASE("forbidden: a pool of ids that may not be written to is no pool that is exhausted") {
  ServicesHarness harness;
  const std::string session = harness.open_session(0, 3600);
  REQUIRE(harness.ask(0, "POST ids/p?max=1&rest=0&session=" + session).status == ServiceStatus::kCreated);
  harness.zk(ZkDelete{"/ids/p/1"});  // it was lent once, and its rest has not begun
  harness.forbid_changes("/ids/p");
  CHECK(harness.ask(0, "POST ids/p?max=1&session=" + session).status == ServiceStatus::kForbidden);
  CHECK(harness.ask(0, "POST ids/p?max=2&session=" + session).status == ServiceStatus::kForbidden);
}

TEST_CASE("forbidden: a pool of ids that an operator has made is used though none could be made beside it") {
  ServicesHarness harness;
  make(harness, "/ids");
  make(harness, "/ids/p");
  harness.forbid_changes("/ids");
  const std::string session = harness.open_session(0);
  CHECK(harness.ask(0, "POST ids/p?session=" + session).status == ServiceStatus::kCreated);
  CHECK(harness.ask(0, "POST ids/q?session=" + session).status == ServiceStatus::kForbidden);
}

TEST_CASE("forbidden: an id that may not be removed is not called given back, and goes once it may") {
  ServicesHarness harness;
  const std::string session = harness.open_session(0, 3600);
  harness.ask(0, "POST ids/p?max=1&session=" + session);
  harness.forbid_changes("/ids/p");
  CHECK(harness.ask(0, "DELETE ids/p/1?session=" + session).status == ServiceStatus::kForbidden);
  CHECK(harness.exists("/ids/p/1"));
  is_quiet(harness);
  harness.permit("/ids/p");
  harness.pass(seconds(11));
  CHECK_FALSE(harness.exists("/ids/p/1"));
  CHECK(harness.exists("/kvd/ids/p/resting/1"));
}

TEST_CASE("forbidden: below an ephemeral there is neither id nor barrier") {
  ServicesHarness harness;
  make(harness, "/ids");
  harness.zk(ZkCreate{"/ids/p", "", ZkMode::kEphemeral});
  harness.zk(ZkCreate{"/b", "", ZkMode::kEphemeral});
  const std::string session = harness.open_session(0);
  CHECK(harness.ask(0, "POST ids/p?session=" + session).status == ServiceStatus::kConflict);
  CHECK(harness.ask(0, enter(session, 1)).status == ServiceStatus::kConflict);
  CHECK(harness.ask(0, "PUT barriers/b/c").status == ServiceStatus::kConflict);
  is_quiet(harness);
}

TEST_CASE("forbidden: a tree of znodes that cannot be listed is left whole") {
  ServicesHarness harness;
  for (const char* path : {"/t", "/t/a", "/t/b", "/t/b/c"}) make(harness, path);
  harness.hide("/t/b");
  const ServiceAnswer refused = harness.ask(0, "DELETE znodes/t?recurse=1");
  CHECK(refused.status == ServiceStatus::kForbidden);
  CHECK(words_of(refused).find("t/b cannot be listed") != std::string::npos);
  CHECK(harness.exists("/t/a"));
  CHECK(harness.exists("/t/b/c"));
}

TEST_CASE("forbidden: an ephemeral that cannot be looked for is not made twice") {
  for (const char* more : {"", "&seq=1"}) {
    CAPTURE(more);
    ServicesHarness harness;
    make(harness, "/e");
    harness.lose_answer_of(0, Kind::kCreate);
    const uint64_t asks = harness.send(0, fmt::format("POST znodes/e/x?mode=ephemeral&hold=1{}", more));
    REQUIRE(harness.children("/e").size() == 1);
    harness.hide("/e");
    harness.hide("/e/" + harness.children("/e")[0]);
    harness.mend(0);
    REQUIRE(harness.heard(asks).ended);
    CHECK(harness.heard(asks).answer->status == ServiceStatus::kForbidden);
    CHECK(harness.children("/e").size() == 1);
  }
}

TEST_CASE("forbidden: an ephemeral that may not be removed goes once it may") {
  ServicesHarness harness;
  make(harness, "/e");
  const uint64_t holds = harness.send(0, "POST znodes/e/x?mode=ephemeral&hold=1");
  harness.forbid_changes("/e");
  harness.hang_up(holds);
  is_quiet(harness);
  CHECK(harness.exists("/e/x"));
  harness.permit("/e");
  harness.pass(seconds(11));
  CHECK_FALSE(harness.exists("/e/x"));
}

TEST_CASE("forbidden: a name that may not be removed or read is not called deleted") {
  ServicesHarness harness;
  const std::string session = harness.open_session(0, 3600);
  const std::string body = R"({"address":"10.0.0.1"})";
  for (const char* name : {"a/kept", "b/kept"}) harness.ask(0, fmt::format("PUT names/{}", name), body);
  for (const char* name : {"a/mine", "b/mine"})
    harness.ask(0, fmt::format("PUT names/{}?session={}", name, session), body);
  harness.forbid_changes("/names/a");
  harness.hide("/names/b/kept");
  harness.hide("/names/b/mine");
  for (const char* name : {"a/kept", "b/kept"})
    CHECK(harness.ask(0, fmt::format("DELETE names/{}", name)).status == ServiceStatus::kForbidden);
  for (const char* name : {"a/mine", "b/mine"}) {
    CHECK(harness.ask(0, fmt::format("DELETE names/{}?session={}", name, session)).status ==
          ServiceStatus::kForbidden);
    CHECK(harness.exists(fmt::format("/names/{}", name)));
  }
  CHECK(harness.ask(0, fmt::format("PUT names/a/new?session={}", session), body).status ==
        ServiceStatus::kForbidden);
  is_quiet(harness);
  harness.permit("/names/a");
  harness.permit("/names/b/mine");
  harness.pass(seconds(2));
  CHECK_FALSE(harness.exists("/names/a/mine"));
  CHECK_FALSE(harness.exists("/names/b/mine"));
}

TEST_CASE("forbidden: a server that may not see who stands to assign stands aside") {
  ServicesHarness harness;
  harness.ask(0, "POST tasks", "x");
  harness.kill(0);
  harness.pass(seconds(7));
  harness.hide("/master");
  harness.start(0);
  is_quiet(harness);
  CHECK(harness.children("/master").empty());
}

}  // namespace kvd::sim::forbidden_test
