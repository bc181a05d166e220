// Unique ids as plays (services_harness.hpp): that no number has two holders, that one rests before it is lent again,
// whoever released it and however, and what is found again after a lost answer.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <set>

#include "services_harness.hpp"

using namespace kvd;
using namespace kvd::sim;

namespace {

constexpr Duration kRest = 2 * ServicesPlay::kSession;  // when nothing else was asked for

std::string claim(const std::string& session, const std::string& more = "") {
  return fmt::format("POST ids/p?session={}{}", session, more);
}

std::string pool(ServicesPlay& play, int max) {
  return play.ask(0, fmt::format("GET ids/p?max={}", max)).text;
}

}  // namespace

TEST_CASE("ids: each claim gets another number until none is left") {
  ServicesPlay play(2);
  const std::string one = play.open_session(0, 3600);
  const std::string two = play.open_session(1, 3600);
  std::set<std::string> ids;
  int64_t fence = 0;
  for (int i = 0; i < 20; ++i) {
    const ServiceAnswer answer = play.ask(i % 2, claim(i % 2 == 0 ? one : two, "&max=20&name=n"));
    REQUIRE(answer.verdict == Verdict::kCreated);
    const std::string id = play.member(answer, "id");
    CHECK(ids.insert(id).second);
    CHECK(std::stoi(id) >= 1);
    CHECK(std::stoi(id) <= 20);
    CHECK(std::stoll(play.member(answer, "fence")) > fence);
    fence = std::stoll(play.member(answer, "fence"));
    CHECK(play.znode("/ids/p/" + id).data == "n");
    CHECK(play.znode("/ids/p/" + id).created_zxid == fence);
  }
  CHECK(play.ask(0, claim(one, "&max=20")).verdict == Verdict::kUnavailable);
  CHECK(play.ask(0, claim(one, "&max=21")).verdict == Verdict::kCreated);
}

TEST_CASE("ids: a released one rests and is lent again with a larger fence") {
  ServicesPlay play(2);
  const std::string one = play.open_session(0, 3600);
  const ServiceAnswer first = play.ask(0, claim(one, "&max=1"));
  CHECK(play.ask(1, "DELETE ids/p/1?session=" + one).verdict == Verdict::kDone);
  CHECK_FALSE(play.exists("/ids/p/1"));
  const std::string two = play.open_session(1, 3600);
  const ServiceAnswer refused = play.ask(1, claim(two, "&max=1"));
  CHECK(refused.verdict == Verdict::kUnavailable);
  CHECK(refused.text.find("in 12000 ms") != std::string::npos);
  CHECK(pool(play, 3) == R"({"held":[],"resting":[1],"free":2})");
  play.pass(kRest - milliseconds(10));
  CHECK(play.ask(1, claim(two, "&max=1")).verdict == Verdict::kUnavailable);
  play.pass(milliseconds(20));
  CHECK(pool(play, 3) == R"({"held":[],"resting":[],"free":3})");
  const ServiceAnswer second = play.ask(1, claim(two, "&max=1"));
  REQUIRE(second.verdict == Verdict::kCreated);
  CHECK(std::stoll(play.member(second, "fence")) > std::stoll(play.member(first, "fence")));
}

TEST_CASE("ids: how long it rests was said with its claim") {
  ServicesPlay play;
  const std::string one = play.open_session(0, 3600);
  play.ask(0, claim(one, "&max=1&rest=500"));
  play.ask(0, "DELETE ids/p/1?session=" + one);
  CHECK(play.ask(0, claim(one, "&max=1&rest=0")).verdict == Verdict::kUnavailable);
  play.pass(milliseconds(510));
  CHECK(play.ask(0, claim(one, "&max=1&rest=0")).verdict == Verdict::kCreated);
  play.ask(0, "DELETE ids/p/1?session=" + one);
  CHECK(play.ask(0, claim(one, "&max=1")).verdict == Verdict::kCreated);
}

TEST_CASE("ids: one that vanished with its server rests once somebody has seen that") {
  ServicesPlay play(2);
  const std::string one = play.open_session(0, 3600);
  play.ask(0, claim(one, "&max=1&rest=4000"));
  play.kill(0);
  play.pass(seconds(7));
  CHECK_FALSE(play.exists("/ids/p/1"));
  const std::string two = play.open_session(1, 3600);
  play.pass(seconds(10));
  // Nobody knows when it vanished: it might have been just now.
  CHECK(play.ask(1, claim(two, "&max=1")).verdict == Verdict::kUnavailable);
  play.pass(milliseconds(3990));
  CHECK(play.ask(1, claim(two, "&max=1")).verdict == Verdict::kUnavailable);
  play.pass(milliseconds(20));
  CHECK(play.ask(1, claim(two, "&max=1")).verdict == Verdict::kCreated);
}

TEST_CASE("ids: a rest begins when anybody asks the pool for whatever number") {
  ServicesPlay play(2);
  const std::string one = play.open_session(0, 3600);
  play.ask(0, claim(one, "&max=1&rest=4000"));
  play.kill(0);
  play.pass(seconds(7));
  const std::string two = play.open_session(1, 3600);
  play.ask(1, claim(two, "&max=2"));
  play.pass(milliseconds(4010));
  CHECK(play.member(play.ask(1, claim(two, "&max=2")), "id") == "1");
}

TEST_CASE("ids: a rest does not begin while somebody has it, whoever has seen it vanished") {
  ServicesPlay play(2);
  const std::string one = play.open_session(0, 3600);
  const std::string two = play.open_session(1, 3600);
  play.ask(0, claim(one, "&max=1&rest=0"));
  play.zk(ZkDelete{"/ids/p/1"});
  const uint64_t late = play.send_and_pause(0, claim(one, "&max=1"));
  CHECK(play.ask(1, claim(two, "&max=1&rest=4000")).verdict == Verdict::kCreated);
  play.resume(0);
  REQUIRE(play.heard(late).ended);
  CHECK(play.heard(late).answer->verdict == Verdict::kUnavailable);
  play.kill(1);
  play.pass(seconds(7));
  CHECK_FALSE(play.exists("/ids/p/1"));
  CHECK(play.ask(0, claim(one, "&max=1")).verdict == Verdict::kUnavailable);
}

TEST_CASE("ids: of two servers that see the same number free one gets it") {
  ServicesPlay play(2);
  const std::string one = play.open_session(0, 3600);
  const std::string two = play.open_session(1, 3600);
  play.ask(0, claim(one, "&max=1&rest=0"));
  for (const bool fresh : {true, false}) {
    CAPTURE(fresh);
    const std::string max = fresh ? "&max=2&rest=0" : "&max=1&rest=0";
    if (!fresh) play.ask(0, "DELETE ids/p/1?session=" + one);
    const uint64_t late = play.send_and_pause(0, claim(one, max));
    CHECK(play.ask(1, claim(two, max)).verdict == Verdict::kCreated);
    play.resume(0);
    REQUIRE(play.heard(late).ended);
    CHECK(play.heard(late).answer->verdict == Verdict::kUnavailable);
  }
}

TEST_CASE("ids: a rest outlives every server") {
  ServicesPlay play(2);
  const std::string one = play.open_session(0, 3600);
  play.ask(0, claim(one, "&max=1&rest=60000"));
  play.ask(0, "DELETE ids/p/1?session=" + one);
  play.kill(0);
  play.pass(seconds(30));
  const std::string two = play.open_session(1, 3600);
  CHECK(play.ask(1, claim(two, "&max=1")).verdict == Verdict::kUnavailable);
  play.pass(seconds(31));
  CHECK(play.ask(1, claim(two, "&max=1")).verdict == Verdict::kCreated);
}

TEST_CASE("ids: the end of a session releases what it has") {
  ServicesPlay play;
  const std::string one = play.open_session(0, 2);
  play.ask(0, claim(one, "&max=1"));
  play.pass(seconds(3));
  CHECK_FALSE(play.exists("/ids/p/1"));
  CHECK(play.exists("/kvd/ids/p/resting/1"));
}

TEST_CASE("ids: a connection holds one as long as it stands") {
  ServicesPlay play;
  const uint64_t holds = play.send(0, "POST ids/p?hold=1&max=1&name=x");
  REQUIRE(play.heard(holds).lines.size() == 1);
  CHECK(play.member(play.heard(holds).lines[0], "state") == "held");
  CHECK(play.member(play.heard(holds).lines[0], "id") == "1");
  play.pass(seconds(11));
  CHECK(play.heard(holds).lines.size() == 2);
  const uint64_t second = play.send(0, "POST ids/p?hold=1&max=1");
  REQUIRE(play.heard(second).ended);
  CHECK(play.heard(second).answer->verdict == Verdict::kUnavailable);
  CHECK(play.exists("/ids/p/1"));
  play.hang_up(holds);
  CHECK_FALSE(play.exists("/ids/p/1"));
}

TEST_CASE("ids: a connection whose number somebody deletes hears of it") {
  ServicesPlay play;
  const uint64_t holds = play.send(0, "POST ids/p?hold=1&max=1");
  play.zk(ZkDelete{"/ids/p/1"});
  REQUIRE(play.heard(holds).ended);
  CHECK(play.member(play.heard(holds).lines.back(), "state") == "lost");
}

TEST_CASE("ids: confirmed while it is lent and gone when it is not") {
  ServicesPlay play;
  const std::string one = play.open_session(0);
  const std::string two = play.open_session(0);
  const ServiceAnswer claimed = play.ask(0, claim(one, "&max=1"));
  CHECK(play.ask(0, "PUT ids/p/1?session=" + one).text == claimed.text);
  CHECK(play.ask(0, "PUT ids/p/1?session=" + two).verdict == Verdict::kGone);
  CHECK(play.ask(0, "DELETE ids/p/1?session=" + two).verdict == Verdict::kNotFound);
  play.zk(ZkDelete{"/ids/p/1"});
  CHECK(play.ask(0, "PUT ids/p/1?session=" + one).verdict == Verdict::kGone);
  CHECK(play.ask(0, "DELETE ids/p/1?session=" + one).verdict == Verdict::kNotFound);
}

TEST_CASE("ids: who lost one does not release the next holder's") {
  ServicesPlay play(2);
  const std::string one = play.open_session(0);
  const std::string two = play.open_session(1);
  play.ask(0, claim(one, "&max=1&rest=0"));
  play.zk(ZkDelete{"/ids/p/1"});
  const ServiceAnswer second = play.ask(1, claim(two, "&max=1"));
  REQUIRE(second.verdict == Verdict::kCreated);
  CHECK(play.ask(0, "DELETE ids/p/1?session=" + one).verdict == Verdict::kDone);
  CHECK(play.ask(1, "PUT ids/p/1?session=" + two).text == second.text);
}

TEST_CASE("ids: a claim of which the answer is lost is found again") {
  ServicesPlay play;
  const std::string one = play.open_session(0);
  play.lose_answer_of(0, ServicesPlay::Kind::kMulti);
  const uint64_t claims = play.send(0, claim(one, "&max=2&rest=0"));
  CHECK_FALSE(play.heard(claims).ended);
  play.mend(0);
  REQUIRE(play.heard(claims).ended);
  const ServiceAnswer fresh = *play.heard(claims).answer;
  REQUIRE(fresh.verdict == Verdict::kCreated);
  CHECK(play.children("/ids/p").size() == 1);
  CHECK(std::stoll(play.member(fresh, "fence")) ==
        play.znode("/ids/p/" + play.member(fresh, "id")).created_zxid);
  // And one that was lent before.
  const std::string id = play.member(fresh, "id");
  play.ask(0, fmt::format("DELETE ids/p/{}?session={}", id, one));
  play.ask(0, claim(one, "&max=2"));
  play.lose_answer_of(0, ServicesPlay::Kind::kMulti);
  const uint64_t again = play.send(0, claim(one, "&max=2"));
  play.mend(0);
  REQUIRE(play.heard(again).ended);
  CHECK(play.member(*play.heard(again).answer, "id") == id);
  CHECK(play.children("/ids/p").size() == 2);
}

TEST_CASE("ids: a claim that nobody waits for is given back") {
  ServicesPlay play;
  const std::string one = play.open_session(0);
  play.lose_answer_of(0, ServicesPlay::Kind::kMulti);
  const uint64_t claims = play.send(0, claim(one, "&max=1"));
  play.hang_up(claims);
  CHECK(play.exists("/ids/p/1"));
  play.mend(0);
  CHECK_FALSE(play.exists("/ids/p/1"));
  CHECK(play.exists("/kvd/ids/p/resting/1"));
}

TEST_CASE("ids: a release of which the answer is lost is not done twice") {
  ServicesPlay play(2);
  const std::string one = play.open_session(0);
  play.ask(0, claim(one, "&max=1&rest=0"));
  play.lose_answer_of(0, ServicesPlay::Kind::kMulti);
  const uint64_t release = play.send(0, "DELETE ids/p/1?session=" + one);
  REQUIRE(play.heard(release).ended);
  CHECK(play.heard(release).answer->verdict == Verdict::kUnknown);
  const std::string two = play.open_session(1);
  REQUIRE(play.ask(1, claim(two, "&max=1")).verdict == Verdict::kCreated);
  play.mend(0);
  CHECK(play.ask(1, "PUT ids/p/1?session=" + two).verdict == Verdict::kOk);
}

TEST_CASE("ids: a server that ZooKeeper may forget takes them back before they can be lent again") {
  ServicesPlay play(2);
  const uint64_t first = play.send(0, "POST ids/p?hold=1&max=1&rest=0");
  const std::string two = play.open_session(1, 3600);
  play.cut(0);
  bool told = false;
  bool lent = false;
  for (int i = 0; i < 1000 && !lent; ++i) {
    play.pass(milliseconds(10));
    told |= play.member(play.heard(first).lines.back(), "state") == "lost";
    lent = play.ask(1, claim(two, "&max=1&rest=0")).verdict == Verdict::kCreated;
    if (lent) CHECK(told);
  }
  CHECK(lent);
}

TEST_CASE("ids: those that others claim by hand are not lent") {
  ServicesPlay play;
  const std::string one = play.open_session(0);
  play.ask(0, claim(one, "&max=2&rest=0"));
  const std::string free = play.exists("/ids/p/1") ? "2" : "1";
  const uint64_t kazoo = play.begin_client();
  play.zk_as(kazoo, ZkCreate{"/ids/p/" + free, "theirs", ZkMode::kEphemeral});
  CHECK(play.ask(0, claim(one, "&max=2")).verdict == Verdict::kUnavailable);
  CHECK(pool(play, 2).find(fmt::format(R"("id":{},"name":"theirs")", free)) != std::string::npos);
  play.end_client(kazoo);
  CHECK(play.member(play.ask(0, claim(one, "&max=2")), "id") == free);
}

TEST_CASE("ids: a pool is shown as it is") {
  ServicesPlay play;
  CHECK(pool(play, 5) == R"({"held":[],"resting":[],"free":5})");
  CHECK_FALSE(play.exists("/ids"));
  const std::string one = play.open_session(0);
  const ServiceAnswer claimed = play.ask(0, claim(one, "&max=1&name=me"));
  CHECK(pool(play, 5) ==
        fmt::format(R"({{"held":[{{"id":1,"name":"me","fence":{}}}],"resting":[],"free":4}})",
                    play.member(claimed, "fence")));
  play.zk(ZkDelete{"/ids/p/1"});
  CHECK(pool(play, 5) == R"({"held":[],"resting":[1],"free":4})");
}

TEST_CASE("ids: what was made by hand and makes no sense does no harm") {
  ServicesPlay play;
  const std::string one = play.open_session(0);
  play.ask(0, claim(one, "&max=1&rest=0"));
  play.ask(0, "DELETE ids/p/1?session=" + one);
  play.zk(ZkCreate{"/ids/p/007", "", ZkMode::kPersistent});
  play.zk(ZkCreate{"/ids/p/x", "", ZkMode::kPersistent});
  play.zk(ZkSet{"/kvd/ids/p/claims/1", "nonsense"});
  CHECK(pool(play, 1) == R"({"held":[],"resting":[1],"free":0})");
  CHECK(play.ask(0, claim(one, "&max=1")).verdict == Verdict::kUnavailable);
  play.pass(seconds(3601));
  CHECK(pool(play, 1) == R"({"held":[],"resting":[],"free":1})");
}

TEST_CASE("ids: what cannot be asked is refused with a reason") {
  ServicesPlay play;
  const std::string one = play.open_session(0);
  const auto verdict = [&](const std::string& request) { return play.ask(0, request).verdict; };
  CHECK(verdict("POST ids/p") == Verdict::kInvalid);
  CHECK(verdict("POST ids/?session=" + one) == Verdict::kInvalid);
  CHECK(verdict("POST ids/..?session=" + one) == Verdict::kInvalid);
  CHECK(verdict("POST ids/p/1?session=" + one) == Verdict::kWrongVerb);
  CHECK(verdict("GET ids/p/1") == Verdict::kWrongVerb);
  CHECK(verdict("PUT ids/p?session=" + one) == Verdict::kWrongVerb);
  CHECK(verdict("PUT ids/p/1") == Verdict::kInvalid);
  CHECK(verdict("DELETE ids/p/1") == Verdict::kInvalid);
  CHECK(verdict("DELETE ids/p/0?session=" + one) == Verdict::kInvalid);
  CHECK(verdict("DELETE ids/p/1025?session=" + one) == Verdict::kInvalid);
  CHECK(verdict("DELETE ids/p/1/2?session=" + one) == Verdict::kInvalid);
  CHECK(verdict(claim(one, "&max=0")) == Verdict::kInvalid);
  CHECK(verdict(claim(one, "&max=1025")) == Verdict::kInvalid);
  CHECK(verdict(claim(one, "&rest=3600001")) == Verdict::kInvalid);
  CHECK(verdict(claim(one, "&name=")) == Verdict::kInvalid);
  CHECK(verdict(claim(one, "&what=1")) == Verdict::kInvalid);
  CHECK(verdict(claim(one, "&wait=1")) == Verdict::kInvalid);
  CHECK_FALSE(play.exists("/ids"));
}
