// What ZooKeeper forbids, as plays: whoever asks is told so with the reason, nothing is called done, left, empty or
// absent that is not, and nobody tries again without a pause. Locks have plays of their own (locks_edges_test.cpp).
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "services_harness.hpp"

using namespace kvd;
using namespace kvd::sim;
using Kind = ServicesPlay::Kind;

namespace {

void make(ServicesPlay& play, const std::string& path) { play.zk(ZkCreate{path, "", ZkMode::kPersistent}); }

// Of what is refused for good ZooKeeper is asked now and then, and not as often as of what a moment may cure.
void is_quiet(ServicesPlay& play) {
  play.take_calls();
  play.pass(seconds(30));
  CHECK(play.take_calls() < 200);
}

std::string enter(const std::string& session, int size, const std::string& more = "") {
  return fmt::format("POST barriers/b/enter?session={}&size={}{}", session, size, more);
}

std::string leave(const std::string& session, const std::string& more = "") {
  return fmt::format("POST barriers/b/leave?session={}{}", session, more);
}

}  // namespace

TEST_CASE("forbidden: a lock that may not be removed is not called given back, and goes once it may") {
  ServicesPlay play;
  const std::string session = play.open_session(0, 3600);
  const uint64_t stream = play.send(0, "POST locks/s?hold=1");
  play.ask(0, "POST locks/l?session=" + session);
  play.forbid_changes("/l");
  play.forbid_changes("/s");
  CHECK(play.ask(0, "DELETE locks/l?session=" + session).verdict == Verdict::kForbidden);
  CHECK(play.member(play.ask(0, "GET locks/l"), "waiting") == "0");
  CHECK(play.children("/l").size() == 1);
  play.hang_up(stream);
  is_quiet(play);
  play.permit("/l");
  play.permit("/s");
  play.pass(seconds(11));
  CHECK(play.children("/l").empty());
  CHECK(play.children("/s").empty());
}

TEST_CASE("forbidden: a barrier that may not be read is neither entered nor cleared away") {
  ServicesPlay play;
  play.zk(ZkCreate{"/b", "theirs", ZkMode::kPersistent});
  make(play, "/b/ready");
  play.hide("/b");
  CHECK(play.ask(0, enter(play.open_session(0), 2)).verdict == Verdict::kForbidden);
  CHECK(play.ask(0, "GET barriers/b").verdict == Verdict::kForbidden);
  CHECK(play.znode("/b").data == "theirs");
  CHECK(play.children("/b").size() == 1);
}

TEST_CASE("forbidden: a barrier that cannot be read any more is not told as left by anybody") {
  ServicesPlay play(2);
  const std::string one = play.open_session(0, 3600);
  const std::string two = play.open_session(1, 3600);
  play.ask(0, enter(one, 2));
  play.ask(1, enter(two, 2));
  play.ask(0, enter(one, 2));
  play.hide("/b");
  CHECK(play.ask(0, leave(one)).verdict == Verdict::kForbidden);
  CHECK(play.ask(0, leave(one, "&wait=1000")).verdict == Verdict::kForbidden);
  is_quiet(play);
  play.permit("/b");
  const uint64_t first = play.send(0, leave(one, "&wait=60000"));
  CHECK_FALSE(play.heard(first).ended);
  CHECK(play.member(*play.heard(play.send(1, leave(two, "&wait=60000"))).answer, "state") == "left");
  REQUIRE(play.heard(first).ended);
  CHECK(play.member(*play.heard(first).answer, "state") == "left");
}

TEST_CASE("forbidden: who waits at a barrier that cannot be read any more hears so") {
  ServicesPlay play;
  const uint64_t waits = play.send(0, enter(play.open_session(0), 2, "&wait=60000"));
  play.cut(0);
  play.hide("/b");
  play.mend(0);
  REQUIRE(play.heard(waits).ended);
  CHECK(play.heard(waits).answer->verdict == Verdict::kForbidden);
  CHECK(play.children("/b").empty());
}

TEST_CASE("forbidden: a member that may not be removed has not left") {
  ServicesPlay play;
  const std::string session = play.open_session(0, 3600);
  CHECK(play.ask(0, enter(session, 1)).verdict == Verdict::kOk);
  play.forbid_changes("/b");
  CHECK(play.ask(0, leave(session, "&wait=1000")).verdict == Verdict::kForbidden);
  CHECK(play.ask(0, "DELETE barriers/b").verdict == Verdict::kForbidden);
  play.ask(0, "DELETE sessions/" + session);
  is_quiet(play);
  CHECK(play.children("/b").size() == 2);
  play.permit("/b");
  play.pass(seconds(11));
  CHECK(play.children("/b").size() == 1);
}

TEST_CASE("forbidden: a member whose znode cannot be read is waited for all the same") {
  ServicesPlay play;
  const std::string session = play.open_session(0, 3600);
  const uint64_t kazoo = play.begin_client();
  const std::string first = "/b/" + std::string(32, '0');
  CHECK(play.ask(0, enter(session, 1)).verdict == Verdict::kOk);
  play.zk_as(kazoo, ZkCreate{first, "", ZkMode::kEphemeral});
  play.hide(first);
  const uint64_t leaves = play.send(0, leave(session, "&wait=60000"));
  CHECK_FALSE(play.heard(leaves).ended);
  is_quiet(play);
  play.zk_as(kazoo, ZkDelete{first});
  REQUIRE(play.heard(leaves).ended);
  CHECK(play.member(*play.heard(leaves).answer, "state") == "left");
}

TEST_CASE("forbidden: a ready that somebody has put znodes below is in the way, and that is told") {
  ServicesPlay play;
  const std::string session = play.open_session(0, 3600);
  play.ask(0, enter(session, 1));
  make(play, "/b/ready/x");
  CHECK(play.ask(0, leave(session)).verdict == Verdict::kConflict);
  play.zk(ZkDelete{"/b/ready/x"});
  CHECK(play.ask(0, leave(session)).verdict == Verdict::kOk);
}

TEST_CASE("forbidden: a pool of ids that cannot be read is not told as free") {
  ServicesPlay play;
  make(play, "/ids");
  make(play, "/ids/p");
  make(play, "/ids/p/1");
  play.hide("/ids/p");
  CHECK(play.ask(0, "GET ids/p").verdict == Verdict::kForbidden);
  const std::string session = play.open_session(0);
  CHECK(play.ask(0, "POST ids/p?session=" + session).verdict == Verdict::kForbidden);
  CHECK(play.ask(0, "POST ids/p?hold=1").verdict == Verdict::kForbidden);
  is_quiet(play);
}

TEST_CASE("forbidden: a pool of ids that may not be written to is no pool that is exhausted") {
  ServicesPlay play;
  const std::string session = play.open_session(0, 3600);
  REQUIRE(play.ask(0, "POST ids/p?max=1&rest=0&session=" + session).verdict == Verdict::kCreated);
  play.zk(ZkDelete{"/ids/p/1"});  // it was lent once, and its rest has not begun
  play.forbid_changes("/ids/p");
  CHECK(play.ask(0, "POST ids/p?max=1&session=" + session).verdict == Verdict::kForbidden);
  CHECK(play.ask(0, "POST ids/p?max=2&session=" + session).verdict == Verdict::kForbidden);
}

TEST_CASE("forbidden: a pool of ids that an operator has made is used though none could be made beside it") {
  ServicesPlay play;
  make(play, "/ids");
  make(play, "/ids/p");
  play.forbid_changes("/ids");
  const std::string session = play.open_session(0);
  CHECK(play.ask(0, "POST ids/p?session=" + session).verdict == Verdict::kCreated);
  CHECK(play.ask(0, "POST ids/q?session=" + session).verdict == Verdict::kForbidden);
}

TEST_CASE("forbidden: an id that may not be removed is not called given back, and goes once it may") {
  ServicesPlay play;
  const std::string session = play.open_session(0, 3600);
  play.ask(0, "POST ids/p?max=1&session=" + session);
  play.forbid_changes("/ids/p");
  CHECK(play.ask(0, "DELETE ids/p/1?session=" + session).verdict == Verdict::kForbidden);
  CHECK(play.exists("/ids/p/1"));
  is_quiet(play);
  play.permit("/ids/p");
  play.pass(seconds(11));
  CHECK_FALSE(play.exists("/ids/p/1"));
  CHECK(play.exists("/kvd/ids/p/resting/1"));
}

TEST_CASE("forbidden: below an ephemeral there is neither id nor barrier") {
  ServicesPlay play;
  make(play, "/ids");
  play.zk(ZkCreate{"/ids/p", "", ZkMode::kEphemeral});
  play.zk(ZkCreate{"/b", "", ZkMode::kEphemeral});
  const std::string session = play.open_session(0);
  CHECK(play.ask(0, "POST ids/p?session=" + session).verdict == Verdict::kConflict);
  CHECK(play.ask(0, enter(session, 1)).verdict == Verdict::kConflict);
  CHECK(play.ask(0, "PUT barriers/b/c").verdict == Verdict::kConflict);
  is_quiet(play);
}

TEST_CASE("forbidden: a tree of znodes that cannot be listed is left whole") {
  ServicesPlay play;
  for (const char* path : {"/t", "/t/a", "/t/b", "/t/b/c"}) make(play, path);
  play.hide("/t/b");
  const ServiceAnswer refused = play.ask(0, "DELETE znodes/t?recurse=1");
  CHECK(refused.verdict == Verdict::kForbidden);
  CHECK(refused.text.find("t/b cannot be listed") != std::string::npos);
  CHECK(play.exists("/t/a"));
  CHECK(play.exists("/t/b/c"));
}

TEST_CASE("forbidden: an ephemeral that cannot be looked for is not made twice") {
  for (const char* more : {"", "&seq=1"}) {
    CAPTURE(more);
    ServicesPlay play;
    make(play, "/e");
    play.lose_answer_of(0, Kind::kCreate);
    const uint64_t asks = play.send(0, fmt::format("POST znodes/e/x?mode=ephemeral&hold=1{}", more));
    REQUIRE(play.children("/e").size() == 1);
    play.hide("/e");
    play.hide("/e/" + play.children("/e")[0]);
    play.mend(0);
    REQUIRE(play.heard(asks).ended);
    CHECK(play.heard(asks).answer->verdict == Verdict::kForbidden);
    CHECK(play.children("/e").size() == 1);
  }
}

TEST_CASE("forbidden: an ephemeral that may not be removed goes once it may") {
  ServicesPlay play;
  make(play, "/e");
  const uint64_t holds = play.send(0, "POST znodes/e/x?mode=ephemeral&hold=1");
  play.forbid_changes("/e");
  play.hang_up(holds);
  is_quiet(play);
  CHECK(play.exists("/e/x"));
  play.permit("/e");
  play.pass(seconds(11));
  CHECK_FALSE(play.exists("/e/x"));
}

TEST_CASE("forbidden: a name that may not be removed or read is not called deleted") {
  ServicesPlay play;
  const std::string session = play.open_session(0, 3600);
  const std::string body = R"({"address":"10.0.0.1"})";
  for (const char* name : {"a/kept", "b/kept"}) play.ask(0, fmt::format("PUT names/{}", name), body);
  for (const char* name : {"a/mine", "b/mine"})
    play.ask(0, fmt::format("PUT names/{}?session={}", name, session), body);
  play.forbid_changes("/names/a");
  play.hide("/names/b/kept");
  play.hide("/names/b/mine");
  for (const char* name : {"a/kept", "b/kept"})
    CHECK(play.ask(0, fmt::format("DELETE names/{}", name)).verdict == Verdict::kForbidden);
  for (const char* name : {"a/mine", "b/mine"}) {
    CHECK(play.ask(0, fmt::format("DELETE names/{}?session={}", name, session)).verdict ==
          Verdict::kForbidden);
    CHECK(play.exists(fmt::format("/names/{}", name)));
  }
  CHECK(play.ask(0, fmt::format("PUT names/a/new?session={}", session), body).verdict == Verdict::kForbidden);
  is_quiet(play);
  play.permit("/names/a");
  play.permit("/names/b/mine");
  play.pass(seconds(2));
  CHECK_FALSE(play.exists("/names/a/mine"));
  CHECK_FALSE(play.exists("/names/b/mine"));
}

TEST_CASE("forbidden: a server that may not see who stands to assign stands aside") {
  ServicesPlay play;
  play.ask(0, "POST tasks", "x");
  play.kill(0);
  play.pass(seconds(7));
  play.hide("/master");
  play.start(0);
  is_quiet(play);
  CHECK(play.children("/master").empty());
}
