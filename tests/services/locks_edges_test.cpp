// Locks and elections at their edges: what can never be had is refused with its reason, and what others put
// at a lock's path lets nobody in twice.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "services_harness.hpp"

namespace kvd::sim::locks_edges_test {
using Kind = ServicesHarness::Kind;

namespace {

const std::string kGuid = "0123456789abcdef0123456789abcdef";

void make(ServicesHarness& harness, const std::string& path) {
  harness.zk(ZkCreate{path, "", ZkMode::kPersistent});
}

// Whoever asks there, and however, is refused so; and nothing of it stays in ZooKeeper.
void refuses_all(ServicesHarness& harness, const std::string& path, ServiceStatus status) {
  const std::string session = harness.open_session(0);
  const std::string to = path + "?session=" + session;
  for (const std::string& call :
       {"locks/" + to, "locks/" + to + "&wait=1000", "elections/" + to + "&candidate=c",
        "locks/" + path + "?hold=1", "elections/" + path + "?hold=1&candidate=c"})
    CHECK(harness.ask(0, "POST " + call).status == status);
  if (harness.exists("/" + path)) CHECK(harness.children("/" + path).empty());
  CHECK(harness.ask(0, "DELETE locks/" + to).status == ServiceStatus::kNotFound);
}

}  // namespace

TEST_CASE("lock: what an ACL forbids is refused for good") {
  ServicesHarness harness;
  make(harness, "/acl");
  make(harness, "/acl/l");
  harness.forbid_changes("/acl/l");
  refuses_all(harness, "acl/l", ServiceStatus::kForbidden);
  refuses_all(harness, "acl/l/below/it", ServiceStatus::kForbidden);
  refuses_all(harness, "acl/l/below", ServiceStatus::kForbidden);
}

TEST_CASE("lock: below an ephemeral there is none") {
  ServicesHarness harness;
  harness.zk(ZkCreate{"/eph", "", ZkMode::kEphemeral});
  refuses_all(harness, "eph", ServiceStatus::kConflict);
  refuses_all(harness, "eph/l", ServiceStatus::kConflict);
  refuses_all(harness, "eph/l/m", ServiceStatus::kConflict);
}

TEST_CASE("lock: a queue that cannot be read is not told as empty and nobody stands in it") {
  ServicesHarness harness;
  make(harness, "/l");
  harness.hide("/l");
  refuses_all(harness, "l", ServiceStatus::kForbidden);
  for (const char* call : {"GET locks/l", "GET elections/l", "GET elections/l?since=0&wait=1000"})
    CHECK(harness.ask(0, call).status == ServiceStatus::kForbidden);
}

TEST_CASE("lock: a holder that cannot be read is not told as another") {
  ServicesHarness harness;
  const std::string session = harness.open_session(0);
  REQUIRE(harness.ask(0, "POST locks/l?session=" + session).status == ServiceStatus::kOk);
  harness.hide("/l/" + harness.children("/l").front());
  CHECK(harness.ask(0, "GET locks/l").status == ServiceStatus::kForbidden);
}

TEST_CASE("lock: who cannot be told whether it stands in a queue is refused") {
  ServicesHarness harness;
  make(harness, "/l");
  harness.lose_answer_of(0, Kind::kCreate);
  const uint64_t asks = harness.send(0, "POST locks/l?session=" + harness.open_session(0));
  REQUIRE(harness.children("/l").size() == 1);
  harness.hide("/l");
  harness.mend(0);
  REQUIRE(harness.heard(asks).ended);
  CHECK(harness.heard(asks).answer->status == ServiceStatus::kForbidden);
}

TEST_CASE("lock: where the numbers of places are used up nobody gets in twice") {
  ServicesHarness harness;
  make(harness, "/l");
  const std::string first = harness.open_session(0);
  REQUIRE(harness.ask(0, "POST locks/l?session=" + first).status == ServiceStatus::kOk);
  harness.use_up_numbers("/l");
  const std::string second = harness.open_session(0);
  const ServiceAnswer refused = harness.ask(0, "POST locks/l?wait=1000&session=" + second);
  CHECK(refused.status == ServiceStatus::kConflict);
  CHECK(words_of(refused).find("used up") != std::string::npos);
  CHECK(harness.ask(0, "DELETE locks/l?session=" + first).status == ServiceStatus::kDone);
  CHECK(harness.ask(0, "POST locks/l?session=" + second).status == ServiceStatus::kConflict);
  CHECK(harness.ask(0, "POST elections/l?candidate=c&session=" + second).status == ServiceStatus::kConflict);
  CHECK(harness.children("/l").empty());
  harness.zk(ZkDelete{"/l"});
  CHECK(harness.ask(0, "POST locks/l?session=" + second).status == ServiceStatus::kOk);
}

TEST_CASE("lock: kazoo's negative numbers come first") {
  for (const char* number : {"-2147483648", "-2147483600", "-000000001"}) {
    ServicesHarness harness;
    make(harness, "/l");
    const uint64_t kazoo = harness.begin_client();
    harness.zk_as(kazoo, ZkCreate{"/l/" + kGuid + "__lock__" + number, "kazoo", ZkMode::kEphemeral});
    const uint64_t waits = harness.send(0, "POST locks/l?hold=1");
    CHECK(harness.member(harness.heard(waits).lines.back(), "state") == "waiting");
    CHECK(harness.member(harness.ask(0, "GET locks/l"), "name") == "kazoo");
    harness.end_client(kazoo);
    CHECK(harness.member(harness.heard(waits).lines.back(), "state") == "held");
  }
}

TEST_CASE("lock: what has no number at its end is no place") {
  ServicesHarness harness;
  make(harness, "/l");
  for (const char* name : {"0000000001", "-0000000001", "__lock__", "__lock__-00000001", "__lock__000000001",
                           "__lock__00000000001", "__lock__x000000001", "__lock__--000000001"})
    make(harness, "/l/" + kGuid + name);
  CHECK(harness.ask(0, "POST locks/l?session=" + harness.open_session(0)).status == ServiceStatus::kOk);
}

TEST_CASE("lock: a session stands at a path under one name") {
  ServicesHarness harness;
  const std::string session = harness.open_session(0);
  CHECK(harness.ask(0, "POST elections/e?candidate=a&session=" + session).status == ServiceStatus::kOk);
  CHECK(harness.ask(0, "POST elections/e?candidate=b&session=" + session).status == ServiceStatus::kConflict);
  CHECK(harness.ask(0, "POST elections/e?candidate=a&session=" + session).status == ServiceStatus::kOk);
  CHECK(harness.ask(0, "POST locks/l?name=a&session=" + session).status == ServiceStatus::kOk);
  CHECK(harness.ask(0, "POST locks/l?name=b&session=" + session).status == ServiceStatus::kConflict);
  CHECK(harness.ask(0, "POST locks/l?session=" + session).status == ServiceStatus::kOk);
}

TEST_CASE("names of holders are texts, since others read them as such") {
  ServicesHarness harness;
  const std::string session = "&session=" + harness.open_session(0);
  for (const std::string call :
       {"locks/l?name=", "elections/l?candidate=", "ids/p?name=", "barriers/b/enter?size=1&member="}) {
    for (const std::string& name : {std::string("caf\xe9"), std::string(), std::string(1025, 'x')})
      CHECK(harness.ask(0, "POST " + call + name + session).status == ServiceStatus::kInvalid);
    CHECK_FALSE(refuses(harness.ask(0, "POST " + call + "caf\xc3\xa9" + session).status));
  }
}

}  // namespace kvd::sim::locks_edges_test
