// Locks and elections at their edges, as plays: what can never be had is refused with its reason, and what others put
// at a lock's path lets nobody in twice.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "services_harness.hpp"

using namespace kvd;
using namespace kvd::sim;
using Kind = ServicesPlay::Kind;

namespace {

const std::string kGuid = "0123456789abcdef0123456789abcdef";

void make(ServicesPlay& play, const std::string& path) { play.zk(ZkCreate{path, "", ZkMode::kPersistent}); }

// Whoever asks there, and however, is refused so; and nothing of it stays in ZooKeeper.
void refuses_all(ServicesPlay& play, const std::string& path, Verdict verdict) {
  const std::string session = play.open_session(0);
  const std::string to = path + "?session=" + session;
  for (const std::string& call :
       {"locks/" + to, "locks/" + to + "&wait=1000", "elections/" + to + "&candidate=c",
        "locks/" + path + "?hold=1", "elections/" + path + "?hold=1&candidate=c"})
    CHECK(play.ask(0, "POST " + call).verdict == verdict);
  if (play.exists("/" + path)) CHECK(play.children("/" + path).empty());
  CHECK(play.ask(0, "DELETE locks/" + to).verdict == Verdict::kNotFound);
}

}  // namespace

TEST_CASE("lock: what an ACL forbids is refused for good") {
  ServicesPlay play;
  make(play, "/acl");
  make(play, "/acl/l");
  play.forbid_changes("/acl/l");
  refuses_all(play, "acl/l", Verdict::kForbidden);
  refuses_all(play, "acl/l/below/it", Verdict::kForbidden);
  refuses_all(play, "acl/l/below", Verdict::kForbidden);
}

TEST_CASE("lock: below an ephemeral there is none") {
  ServicesPlay play;
  play.zk(ZkCreate{"/eph", "", ZkMode::kEphemeral});
  refuses_all(play, "eph", Verdict::kConflict);
  refuses_all(play, "eph/l", Verdict::kConflict);
  refuses_all(play, "eph/l/m", Verdict::kConflict);
}

TEST_CASE("lock: a queue that cannot be read is not told as empty and nobody stands in it") {
  ServicesPlay play;
  make(play, "/l");
  play.hide("/l");
  refuses_all(play, "l", Verdict::kForbidden);
  for (const char* call : {"GET locks/l", "GET elections/l", "GET elections/l?since=0&wait=1000"})
    CHECK(play.ask(0, call).verdict == Verdict::kForbidden);
}

TEST_CASE("lock: a holder that cannot be read is not told as another") {
  ServicesPlay play;
  const std::string session = play.open_session(0);
  REQUIRE(play.ask(0, "POST locks/l?session=" + session).verdict == Verdict::kOk);
  play.hide("/l/" + play.children("/l").front());
  CHECK(play.ask(0, "GET locks/l").verdict == Verdict::kForbidden);
}

TEST_CASE("lock: who cannot be told whether it stands in a queue is refused") {
  ServicesPlay play;
  make(play, "/l");
  play.lose_answer_of(0, Kind::kCreate);
  const uint64_t asks = play.send(0, "POST locks/l?session=" + play.open_session(0));
  REQUIRE(play.children("/l").size() == 1);
  play.hide("/l");
  play.mend(0);
  REQUIRE(play.heard(asks).ended);
  CHECK(play.heard(asks).answer->verdict == Verdict::kForbidden);
}

TEST_CASE("lock: where the numbers of places are used up nobody gets in twice") {
  ServicesPlay play;
  make(play, "/l");
  const std::string first = play.open_session(0);
  REQUIRE(play.ask(0, "POST locks/l?session=" + first).verdict == Verdict::kOk);
  play.use_up_numbers("/l");
  const std::string second = play.open_session(0);
  const ServiceAnswer refused = play.ask(0, "POST locks/l?wait=1000&session=" + second);
  CHECK(refused.verdict == Verdict::kConflict);
  CHECK(refused.text.find("used up") != std::string::npos);
  CHECK(play.ask(0, "DELETE locks/l?session=" + first).verdict == Verdict::kDone);
  CHECK(play.ask(0, "POST locks/l?session=" + second).verdict == Verdict::kConflict);
  CHECK(play.ask(0, "POST elections/l?candidate=c&session=" + second).verdict == Verdict::kConflict);
  CHECK(play.children("/l").empty());
  play.zk(ZkDelete{"/l"});
  CHECK(play.ask(0, "POST locks/l?session=" + second).verdict == Verdict::kOk);
}

TEST_CASE("lock: kazoo's negative numbers come first") {
  for (const char* number : {"-2147483648", "-2147483600", "-000000001"}) {
    ServicesPlay play;
    make(play, "/l");
    const uint64_t kazoo = play.begin_client();
    play.zk_as(kazoo, ZkCreate{"/l/" + kGuid + "__lock__" + number, "kazoo", ZkMode::kEphemeral});
    const uint64_t waits = play.send(0, "POST locks/l?hold=1");
    CHECK(play.member(play.heard(waits).lines.back(), "state") == "waiting");
    CHECK(play.member(play.ask(0, "GET locks/l"), "name") == "kazoo");
    play.end_client(kazoo);
    CHECK(play.member(play.heard(waits).lines.back(), "state") == "held");
  }
}

TEST_CASE("lock: what has no number at its end is no place") {
  ServicesPlay play;
  make(play, "/l");
  for (const char* name : {"0000000001", "-0000000001", "__lock__", "__lock__-00000001", "__lock__000000001",
                           "__lock__00000000001", "__lock__x000000001", "__lock__--000000001"})
    make(play, "/l/" + kGuid + name);
  CHECK(play.ask(0, "POST locks/l?session=" + play.open_session(0)).verdict == Verdict::kOk);
}

TEST_CASE("lock: a session stands at a path under one name") {
  ServicesPlay play;
  const std::string session = play.open_session(0);
  CHECK(play.ask(0, "POST elections/e?candidate=a&session=" + session).verdict == Verdict::kOk);
  CHECK(play.ask(0, "POST elections/e?candidate=b&session=" + session).verdict == Verdict::kConflict);
  CHECK(play.ask(0, "POST elections/e?candidate=a&session=" + session).verdict == Verdict::kOk);
  CHECK(play.ask(0, "POST locks/l?name=a&session=" + session).verdict == Verdict::kOk);
  CHECK(play.ask(0, "POST locks/l?name=b&session=" + session).verdict == Verdict::kConflict);
  CHECK(play.ask(0, "POST locks/l?session=" + session).verdict == Verdict::kOk);
}

TEST_CASE("names of holders are texts, since others read them as such") {
  ServicesPlay play;
  const std::string session = "&session=" + play.open_session(0);
  for (const std::string call :
       {"locks/l?name=", "elections/l?candidate=", "ids/p?name=", "barriers/b/enter?size=1&member="}) {
    for (const std::string& name : {std::string("caf\xe9"), std::string(), std::string(1025, 'x')})
      CHECK(play.ask(0, "POST " + call + name + session).verdict == Verdict::kInvalid);
    CHECK_FALSE(refuses(play.ask(0, "POST " + call + "caf\xc3\xa9" + session).verdict));
  }
}
