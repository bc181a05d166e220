// What others delete, as plays: whose znode it was hears so at once, in every service, and nobody asks ZooKeeper for it
// again and again.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "services_harness.hpp"

using namespace kvd;
using namespace kvd::sim;

namespace {

std::string last_state(const ServicesPlay& play, uint64_t request) {
  return ServicesPlay::member(play.heard(request).lines.back(), "state");
}

// Of a stream that was told so by its last line.
bool lost(const ServicesPlay& play, uint64_t request) {
  return play.heard(request).ended && last_state(play, request) == "lost";
}

// Of a call that waited.
bool gone(const ServicesPlay& play, uint64_t request) {
  return play.heard(request).ended && play.heard(request).answer->verdict == Verdict::kGone;
}

// The child of `path` that is not among `known`.
std::string newest(const ServicesPlay& play, const std::string& path, std::vector<std::string>& known) {
  for (const std::string& name : play.children(path)) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    known.push_back(name);
    return path + "/" + name;
  }
  FAIL("nothing new");
  return "";
}

// Three places at /l, in their order: the streams and their znodes.
struct Line {
  explicit Line(ServicesPlay& play) {
    std::vector<std::string> known;
    for (size_t i = 0; i < 3; ++i) {
      requests.push_back(play.send(0, "POST locks/l?hold=1"));
      znodes.push_back(newest(play, "/l", known));
    }
  }
  std::vector<uint64_t> requests;
  std::vector<std::string> znodes;
};

}  // namespace

TEST_CASE("removed: one that waits in a queue hears of it, whoever stands before it") {
  ServicesPlay play;
  const Line line(play);
  play.zk(ZkDelete{line.znodes[1]});
  CHECK(lost(play, line.requests[1]));
  CHECK(last_state(play, line.requests[0]) == "held");
  CHECK(last_state(play, line.requests[2]) == "waiting");
  play.zk(ZkDelete{line.znodes[0]});
  CHECK(lost(play, line.requests[0]));
  CHECK(last_state(play, line.requests[2]) == "held");
  play.zk(ZkDelete{line.znodes[2]});
  CHECK(lost(play, line.requests[2]));
}

TEST_CASE("removed: a place whose data others change stays and is watched on") {
  ServicesPlay play;
  const Line line(play);
  for (int i = 0; i < 3; ++i) {
    play.zk(ZkSet{line.znodes[0], "x"});
    play.zk(ZkSet{line.znodes[2], "x"});
  }
  CHECK(last_state(play, line.requests[0]) == "held");
  CHECK(last_state(play, line.requests[1]) == "waiting");
  play.zk(ZkDelete{line.znodes[2]});
  CHECK(lost(play, line.requests[2]));
  play.zk(ZkDelete{line.znodes[0]});
  CHECK(lost(play, line.requests[0]));
  CHECK(last_state(play, line.requests[1]) == "held");
}

TEST_CASE("removed: places that vanish while their server is cut off are told lost when it is back") {
  ServicesPlay play;
  const Line line(play);
  play.cut(0);
  play.zk(ZkDelete{line.znodes[1]});
  play.mend(0);
  CHECK(lost(play, line.requests[1]));
  CHECK(last_state(play, line.requests[2]) == "waiting");
  play.cut(0);
  play.zk(ZkDelete{line.znodes[0]});
  play.mend(0);
  CHECK(lost(play, line.requests[0]));
  CHECK(last_state(play, line.requests[2]) == "held");
  play.zk(ZkDelete{line.znodes[2]});
  CHECK(lost(play, line.requests[2]));
}

TEST_CASE("removed: all places of a queue at once, and the queue") {
  ServicesPlay play;
  const Line line(play);
  ZkMulti all;
  for (const std::string& znode : line.znodes) all.ops.emplace_back(ZkDelete{znode});
  all.ops.emplace_back(ZkDelete{"/l"});
  play.zk(all);
  for (const uint64_t request : line.requests) CHECK(lost(play, request));
}

TEST_CASE("removed: while a place looks where it stands it may vanish") {
  for (int turns = 1; turns < 8; ++turns) {
    CAPTURE(turns);
    ServicesPlay play;
    const uint64_t first = play.send(0, "POST locks/l?hold=1");
    std::vector<std::string> known = play.children("/l");
    const uint64_t second = play.send_and_pause(0, "POST locks/l?hold=1", turns);
    if (play.children("/l").size() == 2) play.zk(ZkDelete{newest(play, "/l", known)});
    play.resume(0);
    const bool there = play.children("/l").size() == 2;
    CHECK((there ? last_state(play, second) == "waiting" : play.heard(second).ended));
    CHECK(last_state(play, first) == "held");
  }
}

TEST_CASE(
    "removed: a call that waits for a lock hears of it, and a session without one by its next call, once") {
  ServicesPlay play;
  const std::string one = play.open_session(0, 3600);
  const std::string two = play.open_session(0, 3600);
  std::vector<std::string> known;
  const ServiceAnswer first = play.ask(0, "POST locks/l?session=" + one);
  const std::string held = newest(play, "/l", known);
  const uint64_t waits = play.send(0, "POST locks/l?wait=60000&session=" + two);
  play.zk(ZkDelete{newest(play, "/l", known)});
  CHECK(gone(play, waits));
  play.zk(ZkDelete{held});
  const ServiceAnswer told = play.ask(0, "POST locks/l?session=" + one);
  CHECK(told.verdict == Verdict::kGone);
  CHECK(told.text == "its znode was deleted");
  const ServiceAnswer again = play.ask(0, "POST locks/l?session=" + one);
  REQUIRE(again.verdict == Verdict::kOk);
  CHECK(std::stoll(play.member(again, "fence")) > std::stoll(play.member(first, "fence")));
  // Who gives back what is lost hears so, too.
  play.zk(ZkDelete{newest(play, "/l", known)});
  CHECK(play.ask(0, "DELETE locks/l?session=" + one).verdict == Verdict::kGone);
  CHECK(play.ask(0, "DELETE locks/l?session=" + one).verdict == Verdict::kNotFound);
}

TEST_CASE("removed: a candidate of a session that only asks now and then") {
  ServicesPlay play;
  const std::string one = play.open_session(0, 3600);
  const std::string two = play.open_session(0, 3600);
  std::vector<std::string> known;
  play.ask(0, "POST elections/e?candidate=a&session=" + one);
  newest(play, "/e", known);
  CHECK(play.ask(0, "POST elections/e?candidate=b&session=" + two).verdict == Verdict::kAccepted);
  play.zk(ZkDelete{newest(play, "/e", known)});
  // What is lost in the election is nothing to a lock at that path.
  CHECK(play.ask(0, "POST locks/e?session=" + two).verdict == Verdict::kConflict);
  CHECK(play.ask(0, "POST elections/e?candidate=b&session=" + two).verdict == Verdict::kGone);
  CHECK(play.ask(0, "POST elections/e?candidate=b&session=" + two).verdict == Verdict::kAccepted);
}

TEST_CASE("removed: what a grant costs ZooKeeper") {
  ServicesPlay play;
  play.ask(0, "POST locks/l?session=" + play.open_session(0));  // makes the path
  play.take_calls();
  const uint64_t waits = play.send(0, "POST locks/l?hold=1");
  CHECK(play.take_calls() == 4);  // create, list, the one before it, itself
  const uint64_t leaves = play.send(0, "POST locks/l?hold=1");
  CHECK(play.take_calls() == 4);
  play.hang_up(leaves);
  CHECK(play.take_calls() == 1);
  CHECK(last_state(play, waits) == "waiting");
}

TEST_CASE("removed: a member of a double barrier that waits") {
  ServicesPlay play;
  const std::string session = play.open_session(0, 3600);
  std::vector<std::string> known;
  const uint64_t stream = play.send(0, "POST barriers/b/enter?size=9&hold=1");
  const std::string first = newest(play, "/b", known);
  const uint64_t call = play.send(0, "POST barriers/b/enter?size=9&wait=60000&session=" + session);
  const std::string second = newest(play, "/b", known);
  const std::string asks = "POST barriers/b/enter?size=9&member=c&session=" + session;
  CHECK(play.ask(0, asks).verdict == Verdict::kAccepted);
  const std::string third = newest(play, "/b", known);
  for (const std::string& znode : {first, second, third}) {
    play.zk(ZkSet{znode, "x"});  // it is still there
    play.zk(ZkDelete{znode});
  }
  CHECK(lost(play, stream));
  CHECK(gone(play, call));
  CHECK(play.ask(0, asks).verdict == Verdict::kGone);
  CHECK(play.ask(0, asks).verdict == Verdict::kAccepted);
}

TEST_CASE("removed: a member of a double barrier that is in") {
  ServicesPlay play;
  const std::string session = play.open_session(0, 3600);
  const uint64_t stream = play.send(0, "POST barriers/b/enter?size=2&hold=1");
  const std::string first = "/b/" + play.children("/b")[0];
  const std::string enter = "POST barriers/b/enter?size=2&session=" + session;
  const std::string second = "/b/" + play.member(play.ask(0, enter), "member");
  CHECK(last_state(play, stream) == "released");
  play.zk(ZkDelete{first});
  CHECK(lost(play, stream));
  play.zk(ZkDelete{second});
  CHECK(play.ask(0, "POST barriers/b/leave?session=" + session).verdict == Verdict::kGone);
  CHECK(play.ask(0, "POST barriers/b/leave?session=" + session).verdict == Verdict::kNotFound);
  CHECK(play.ask(0, enter).verdict == Verdict::kAccepted);
}

TEST_CASE("removed: a member of a double barrier whose server is cut off meanwhile") {
  ServicesPlay play;
  for (const int size : {1, 9}) {
    CAPTURE(size);
    const uint64_t stream = play.send(0, fmt::format("POST barriers/{}/enter?size={}&hold=1", size, size));
    const std::string path = fmt::format("/{}", size);
    play.cut(0);
    play.zk(ZkDelete{path + "/" + play.children(path)[0]});
    play.mend(0);
    CHECK(lost(play, stream));
  }
}

TEST_CASE("removed: a member of a double barrier that leaves has left") {
  ServicesPlay play;
  const std::string session = play.open_session(0, 3600);
  const uint64_t other = play.begin_client();
  const std::string enter = "POST barriers/b/enter?size=1&session=" + session;
  const std::string own = "/b/" + play.member(play.ask(0, enter), "member");
  play.zk_as(other, ZkCreate{"/b/" + std::string(32, 'f'), "", ZkMode::kEphemeral});
  const uint64_t leaves = play.send(0, "POST barriers/b/leave?wait=60000&session=" + session);
  CHECK_FALSE(play.heard(leaves).ended);
  if (play.exists(own)) play.zk(ZkDelete{own});
  CHECK_FALSE(play.heard(leaves).ended);
  play.end_client(other);
  REQUIRE(play.heard(leaves).ended);
  CHECK(play.heard(leaves).answer->verdict == Verdict::kOk);
}

TEST_CASE("removed: an id, a znode and a name of a session are told by the next call for them") {
  ServicesPlay play;
  const std::string session = play.open_session(0, 3600);
  const std::string by = "session=" + session;
  play.ask(0, "POST ids/p?max=1&" + by);
  play.ask(0, "POST znodes/z?mode=ephemeral&" + by);
  const std::string body = R"({"address":"10.0.0.1"})";
  play.ask(0, "PUT names/n?" + by, body);
  const uint64_t waits = play.send(0, "GET znodes/z?version=0&wait=60000");
  for (const char* path : {"/ids/p/1", "/z", "/names/n"}) play.zk(ZkDelete{path});
  CHECK(play.ask(0, "PUT ids/p/1?" + by).verdict == Verdict::kGone);
  REQUIRE(play.heard(waits).ended);
  CHECK(play.heard(waits).answer->verdict == Verdict::kNotFound);
  CHECK(play.ask(0, "GET znodes/z").verdict == Verdict::kNotFound);
  CHECK(play.ask(0, "GET names/n").verdict == Verdict::kNotFound);
  CHECK(play.ask(0, "PUT names/n?" + by, body).verdict == Verdict::kCreated);  // not 200: made anew
}
