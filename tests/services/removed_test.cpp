// What others delete: whose znode it was hears so at once, in every service, and nobody asks ZooKeeper for it
// again and again.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "services_harness.hpp"

using namespace kvd;
using namespace kvd::sim;

namespace {

std::string last_state(const ServicesHarness& harness, uint64_t request) {
  return ServicesHarness::member(harness.heard(request).lines.back(), "state");
}

// Of a stream that was told so by its last line.
bool lost(const ServicesHarness& harness, uint64_t request) {
  return harness.heard(request).ended && last_state(harness, request) == "lost";
}

// Of a call that waited.
bool gone(const ServicesHarness& harness, uint64_t request) {
  return harness.heard(request).ended && harness.heard(request).answer->status == ServiceStatus::kGone;
}

// The child of `path` that is not among `known`.
std::string newest(const ServicesHarness& harness, const std::string& path, std::vector<std::string>& known) {
  for (const std::string& name : harness.children(path)) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    known.push_back(name);
    return path + "/" + name;
  }
  FAIL("nothing new");
  return "";
}

// Three places at /l, in their order: the streams and their znodes.
struct Line {
  explicit Line(ServicesHarness& harness) {
    std::vector<std::string> known;
    for (size_t i = 0; i < 3; ++i) {
      requests.push_back(harness.send(0, "POST locks/l?hold=1"));
      znodes.push_back(newest(harness, "/l", known));
    }
  }
  std::vector<uint64_t> requests;
  std::vector<std::string> znodes;
};

}  // namespace

TEST_CASE("removed: one that waits in a queue hears of it, whoever stands before it") {
  ServicesHarness harness;
  const Line line(harness);
  harness.zk(ZkDelete{line.znodes[1]});
  CHECK(lost(harness, line.requests[1]));
  CHECK(last_state(harness, line.requests[0]) == "held");
  CHECK(last_state(harness, line.requests[2]) == "waiting");
  harness.zk(ZkDelete{line.znodes[0]});
  CHECK(lost(harness, line.requests[0]));
  CHECK(last_state(harness, line.requests[2]) == "held");
  harness.zk(ZkDelete{line.znodes[2]});
  CHECK(lost(harness, line.requests[2]));
}

TEST_CASE("removed: a place whose data others change stays and is watched on") {
  ServicesHarness harness;
  const Line line(harness);
  for (int i = 0; i < 3; ++i) {
    harness.zk(ZkSet{line.znodes[0], "x"});
    harness.zk(ZkSet{line.znodes[2], "x"});
  }
  CHECK(last_state(harness, line.requests[0]) == "held");
  CHECK(last_state(harness, line.requests[1]) == "waiting");
  harness.zk(ZkDelete{line.znodes[2]});
  CHECK(lost(harness, line.requests[2]));
  harness.zk(ZkDelete{line.znodes[0]});
  CHECK(lost(harness, line.requests[0]));
  CHECK(last_state(harness, line.requests[1]) == "held");
}

TEST_CASE("removed: places that vanish while their server is cut off are told lost when it is back") {
  ServicesHarness harness;
  const Line line(harness);
  harness.cut(0);
  harness.zk(ZkDelete{line.znodes[1]});
  harness.mend(0);
  CHECK(lost(harness, line.requests[1]));
  CHECK(last_state(harness, line.requests[2]) == "waiting");
  harness.cut(0);
  harness.zk(ZkDelete{line.znodes[0]});
  harness.mend(0);
  CHECK(lost(harness, line.requests[0]));
  CHECK(last_state(harness, line.requests[2]) == "held");
  harness.zk(ZkDelete{line.znodes[2]});
  CHECK(lost(harness, line.requests[2]));
}

TEST_CASE("removed: all places of a queue at once, and the queue") {
  ServicesHarness harness;
  const Line line(harness);
  ZkMulti all;
  for (const std::string& znode : line.znodes) all.ops.emplace_back(ZkDelete{znode});
  all.ops.emplace_back(ZkDelete{"/l"});
  harness.zk(all);
  for (const uint64_t request : line.requests) CHECK(lost(harness, request));
}

TEST_CASE("removed: while a place looks where it stands it may vanish") {
  for (int turns = 1; turns < 8; ++turns) {
    CAPTURE(turns);
    ServicesHarness harness;
    const uint64_t first = harness.send(0, "POST locks/l?hold=1");
    std::vector<std::string> known = harness.children("/l");
    const uint64_t second = harness.send_and_pause(0, "POST locks/l?hold=1", turns);
    if (harness.children("/l").size() == 2) harness.zk(ZkDelete{newest(harness, "/l", known)});
    harness.resume(0);
    const bool there = harness.children("/l").size() == 2;
    CHECK((there ? last_state(harness, second) == "waiting" : harness.heard(second).ended));
    CHECK(last_state(harness, first) == "held");
  }
}

TEST_CASE(
    "removed: a call that waits for a lock hears of it, and a session without one by its next call, once") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0, 3600);
  const std::string two = harness.open_session(0, 3600);
  std::vector<std::string> known;
  const ServiceAnswer first = harness.ask(0, "POST locks/l?session=" + one);
  const std::string held = newest(harness, "/l", known);
  const uint64_t waits = harness.send(0, "POST locks/l?wait=60000&session=" + two);
  harness.zk(ZkDelete{newest(harness, "/l", known)});
  CHECK(gone(harness, waits));
  harness.zk(ZkDelete{held});
  const ServiceAnswer told = harness.ask(0, "POST locks/l?session=" + one);
  CHECK(told.status == ServiceStatus::kGone);
  CHECK(words_of(told) == "its znode was deleted");
  const ServiceAnswer again = harness.ask(0, "POST locks/l?session=" + one);
  REQUIRE(again.status == ServiceStatus::kOk);
  CHECK(std::stoll(harness.member(again, "fence")) > std::stoll(harness.member(first, "fence")));
  // Who gives back what is lost hears so, too.
  harness.zk(ZkDelete{newest(harness, "/l", known)});
  CHECK(harness.ask(0, "DELETE locks/l?session=" + one).status == ServiceStatus::kGone);
  CHECK(harness.ask(0, "DELETE locks/l?session=" + one).status == ServiceStatus::kNotFound);
}

TEST_CASE("removed: a candidate of a session that only asks now and then") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0, 3600);
  const std::string two = harness.open_session(0, 3600);
  std::vector<std::string> known;
  harness.ask(0, "POST elections/e?candidate=a&session=" + one);
  newest(harness, "/e", known);
  CHECK(harness.ask(0, "POST elections/e?candidate=b&session=" + two).status == ServiceStatus::kAccepted);
  harness.zk(ZkDelete{newest(harness, "/e", known)});
  // What is lost in the election is nothing to a lock at that path.
  CHECK(harness.ask(0, "POST locks/e?session=" + two).status == ServiceStatus::kConflict);
  CHECK(harness.ask(0, "POST elections/e?candidate=b&session=" + two).status == ServiceStatus::kGone);
  CHECK(harness.ask(0, "POST elections/e?candidate=b&session=" + two).status == ServiceStatus::kAccepted);
}

TEST_CASE("removed: what a grant costs ZooKeeper") {
  ServicesHarness harness;
  harness.ask(0, "POST locks/l?session=" + harness.open_session(0));  // makes the path
  harness.take_calls();
  const uint64_t waits = harness.send(0, "POST locks/l?hold=1");
  CHECK(harness.take_calls() == 4);  // create, list, the one before it, itself
  const uint64_t leaves = harness.send(0, "POST locks/l?hold=1");
  CHECK(harness.take_calls() == 4);
  harness.hang_up(leaves);
  CHECK(harness.take_calls() == 1);
  CHECK(last_state(harness, waits) == "waiting");
}

TEST_CASE("removed: a member of a double barrier that waits") {
  ServicesHarness harness;
  const std::string session = harness.open_session(0, 3600);
  std::vector<std::string> known;
  const uint64_t stream = harness.send(0, "POST barriers/b/enter?size=9&hold=1");
  const std::string first = newest(harness, "/b", known);
  const uint64_t call = harness.send(0, "POST barriers/b/enter?size=9&wait=60000&session=" + session);
  const std::string second = newest(harness, "/b", known);
  const std::string asks = "POST barriers/b/enter?size=9&member=c&session=" + session;
  CHECK(harness.ask(0, asks).status == ServiceStatus::kAccepted);
  const std::string third = newest(harness, "/b", known);
  for (const std::string& znode : {first, second, third}) {
    harness.zk(ZkSet{znode, "x"});  // it is still there
    harness.zk(ZkDelete{znode});
  }
  CHECK(lost(harness, stream));
  CHECK(gone(harness, call));
  CHECK(harness.ask(0, asks).status == ServiceStatus::kGone);
  CHECK(harness.ask(0, asks).status == ServiceStatus::kAccepted);
}

TEST_CASE("removed: a member of a double barrier that is in") {
  ServicesHarness harness;
  const std::string session = harness.open_session(0, 3600);
  const uint64_t stream = harness.send(0, "POST barriers/b/enter?size=2&hold=1");
  const std::string first = "/b/" + harness.children("/b")[0];
  const std::string enter = "POST barriers/b/enter?size=2&session=" + session;
  const std::string second = "/b/" + harness.member(harness.ask(0, enter), "member");
  CHECK(last_state(harness, stream) == "released");
  harness.zk(ZkDelete{first});
  CHECK(lost(harness, stream));
  harness.zk(ZkDelete{second});
  CHECK(harness.ask(0, "POST barriers/b/leave?session=" + session).status == ServiceStatus::kGone);
  CHECK(harness.ask(0, "POST barriers/b/leave?session=" + session).status == ServiceStatus::kNotFound);
  CHECK(harness.ask(0, enter).status == ServiceStatus::kAccepted);
}

TEST_CASE("removed: a member of a double barrier whose server is cut off meanwhile") {
  ServicesHarness harness;
  for (const int size : {1, 9}) {
    CAPTURE(size);
    const uint64_t stream = harness.send(0, fmt::format("POST barriers/{}/enter?size={}&hold=1", size, size));
    const std::string path = fmt::format("/{}", size);
    harness.cut(0);
    harness.zk(ZkDelete{path + "/" + harness.children(path)[0]});
    harness.mend(0);
    CHECK(lost(harness, stream));
  }
}

TEST_CASE("removed: a member of a double barrier that leaves has left") {
  ServicesHarness harness;
  const std::string session = harness.open_session(0, 3600);
  const uint64_t other = harness.begin_client();
  const std::string enter = "POST barriers/b/enter?size=1&session=" + session;
  const std::string own = "/b/" + harness.member(harness.ask(0, enter), "member");
  harness.zk_as(other, ZkCreate{"/b/" + std::string(32, 'f'), "", ZkMode::kEphemeral});
  const uint64_t leaves = harness.send(0, "POST barriers/b/leave?wait=60000&session=" + session);
  CHECK_FALSE(harness.heard(leaves).ended);
  if (harness.exists(own)) harness.zk(ZkDelete{own});
  CHECK_FALSE(harness.heard(leaves).ended);
  harness.end_client(other);
  REQUIRE(harness.heard(leaves).ended);
  CHECK(harness.heard(leaves).answer->status == ServiceStatus::kOk);
}

TEST_CASE("removed: an id, a znode and a name of a session are told by the next call for them") {
  ServicesHarness harness;
  const std::string session = harness.open_session(0, 3600);
  const std::string by = "session=" + session;
  harness.ask(0, "POST ids/p?max=1&" + by);
  harness.ask(0, "POST znodes/z?mode=ephemeral&" + by);
  const std::string body = R"({"address":"10.0.0.1"})";
  harness.ask(0, "PUT names/n?" + by, body);
  const uint64_t waits = harness.send(0, "GET znodes/z?version=0&wait=60000");
  for (const char* path : {"/ids/p/1", "/z", "/names/n"}) harness.zk(ZkDelete{path});
  CHECK(harness.ask(0, "PUT ids/p/1?" + by).status == ServiceStatus::kGone);
  REQUIRE(harness.heard(waits).ended);
  CHECK(harness.heard(waits).answer->status == ServiceStatus::kNotFound);
  CHECK(harness.ask(0, "GET znodes/z").status == ServiceStatus::kNotFound);
  CHECK(harness.ask(0, "GET names/n").status == ServiceStatus::kNotFound);
  CHECK(harness.ask(0, "PUT names/n?" + by, body).status == ServiceStatus::kCreated);  // not 200: made anew
}
