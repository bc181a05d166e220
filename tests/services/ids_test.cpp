// Unique ids (services_harness.hpp): that no number has two holders, that one rests before it is lent again,
// whoever released it and however, and what is found again after a lost answer.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <set>

#include "services_harness.hpp"

using namespace kvd;
using namespace kvd::sim;

namespace {

constexpr Duration kRest = 2 * ServicesHarness::kSession;  // when nothing else was asked for

std::string claim(const std::string& session, const std::string& more = "") {
  return fmt::format("POST ids/p?session={}{}", session, more);
}

std::string pool(ServicesHarness& harness, int max) {
  return words_of(harness.ask(0, fmt::format("GET ids/p?max={}", max)));
}

}  // namespace

TEST_CASE("ids: each claim gets another number until none is left") {
  ServicesHarness harness(2);
  const std::string one = harness.open_session(0, 3600);
  const std::string two = harness.open_session(1, 3600);
  std::set<std::string> ids;
  int64_t fence = 0;
  for (int i = 0; i < 20; ++i) {
    const ServiceAnswer answer = harness.ask(i % 2, claim(i % 2 == 0 ? one : two, "&max=20&name=n"));
    REQUIRE(answer.status == ServiceStatus::kCreated);
    const std::string id = harness.member(answer, "id");
    CHECK(ids.insert(id).second);
    CHECK(std::stoi(id) >= 1);
    CHECK(std::stoi(id) <= 20);
    CHECK(std::stoll(harness.member(answer, "fence")) > fence);
    fence = std::stoll(harness.member(answer, "fence"));
    CHECK(harness.znode("/ids/p/" + id).data == "n");
    CHECK(harness.znode("/ids/p/" + id).created_zxid == fence);
  }
  CHECK(harness.ask(0, claim(one, "&max=20")).status == ServiceStatus::kUnavailable);
  CHECK(harness.ask(0, claim(one, "&max=21")).status == ServiceStatus::kCreated);
}

TEST_CASE("ids: a released one rests and is lent again with a larger fence") {
  ServicesHarness harness(2);
  const std::string one = harness.open_session(0, 3600);
  const ServiceAnswer first = harness.ask(0, claim(one, "&max=1"));
  CHECK(harness.ask(1, "DELETE ids/p/1?session=" + one).status == ServiceStatus::kDone);
  CHECK_FALSE(harness.exists("/ids/p/1"));
  const std::string two = harness.open_session(1, 3600);
  const ServiceAnswer refused = harness.ask(1, claim(two, "&max=1"));
  CHECK(refused.status == ServiceStatus::kUnavailable);
  CHECK(words_of(refused).find("in 12000 ms") != std::string::npos);
  CHECK(pool(harness, 3) == R"({"held":[],"resting":[1],"free":2})");
  harness.pass(kRest - milliseconds(10));
  CHECK(harness.ask(1, claim(two, "&max=1")).status == ServiceStatus::kUnavailable);
  harness.pass(milliseconds(20));
  CHECK(pool(harness, 3) == R"({"held":[],"resting":[],"free":3})");
  const ServiceAnswer second = harness.ask(1, claim(two, "&max=1"));
  REQUIRE(second.status == ServiceStatus::kCreated);
  CHECK(std::stoll(harness.member(second, "fence")) > std::stoll(harness.member(first, "fence")));
}

TEST_CASE("ids: how long it rests was said with its claim") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0, 3600);
  harness.ask(0, claim(one, "&max=1&rest=500"));
  harness.ask(0, "DELETE ids/p/1?session=" + one);
  CHECK(harness.ask(0, claim(one, "&max=1&rest=0")).status == ServiceStatus::kUnavailable);
  harness.pass(milliseconds(510));
  CHECK(harness.ask(0, claim(one, "&max=1&rest=0")).status == ServiceStatus::kCreated);
  harness.ask(0, "DELETE ids/p/1?session=" + one);
  CHECK(harness.ask(0, claim(one, "&max=1")).status == ServiceStatus::kCreated);
}

TEST_CASE("ids: one that vanished with its server rests once somebody has seen that") {
  ServicesHarness harness(2);
  const std::string one = harness.open_session(0, 3600);
  harness.ask(0, claim(one, "&max=1&rest=4000"));
  harness.kill(0);
  harness.pass(seconds(7));
  CHECK_FALSE(harness.exists("/ids/p/1"));
  const std::string two = harness.open_session(1, 3600);
  harness.pass(seconds(10));
  // Nobody knows when it vanished: it might have been just now.
  CHECK(harness.ask(1, claim(two, "&max=1")).status == ServiceStatus::kUnavailable);
  harness.pass(milliseconds(3990));
  CHECK(harness.ask(1, claim(two, "&max=1")).status == ServiceStatus::kUnavailable);
  harness.pass(milliseconds(20));
  CHECK(harness.ask(1, claim(two, "&max=1")).status == ServiceStatus::kCreated);
}

TEST_CASE("ids: a rest begins when anybody asks the pool for whatever number") {
  ServicesHarness harness(2);
  const std::string one = harness.open_session(0, 3600);
  harness.ask(0, claim(one, "&max=1&rest=4000"));
  harness.kill(0);
  harness.pass(seconds(7));
  const std::string two = harness.open_session(1, 3600);
  harness.ask(1, claim(two, "&max=2"));
  harness.pass(milliseconds(4010));
  CHECK(harness.member(harness.ask(1, claim(two, "&max=2")), "id") == "1");
}

TEST_CASE("ids: a rest does not begin while somebody has it, whoever has seen it vanished") {
  ServicesHarness harness(2);
  const std::string one = harness.open_session(0, 3600);
  const std::string two = harness.open_session(1, 3600);
  harness.ask(0, claim(one, "&max=1&rest=0"));
  harness.zk(ZkDelete{"/ids/p/1"});
  const uint64_t late = harness.send_and_pause(0, claim(one, "&max=1"));
  CHECK(harness.ask(1, claim(two, "&max=1&rest=4000")).status == ServiceStatus::kCreated);
  harness.resume(0);
  REQUIRE(harness.heard(late).ended);
  CHECK(harness.heard(late).answer->status == ServiceStatus::kUnavailable);
  harness.kill(1);
  harness.pass(seconds(7));
  CHECK_FALSE(harness.exists("/ids/p/1"));
  CHECK(harness.ask(0, claim(one, "&max=1")).status == ServiceStatus::kUnavailable);
}

TEST_CASE("ids: of two servers that see the same number free one gets it") {
  ServicesHarness harness(2);
  const std::string one = harness.open_session(0, 3600);
  const std::string two = harness.open_session(1, 3600);
  harness.ask(0, claim(one, "&max=1&rest=0"));
  for (const bool fresh : {true, false}) {
    CAPTURE(fresh);
    const std::string max = fresh ? "&max=2&rest=0" : "&max=1&rest=0";
    if (!fresh) harness.ask(0, "DELETE ids/p/1?session=" + one);
    const uint64_t late = harness.send_and_pause(0, claim(one, max));
    CHECK(harness.ask(1, claim(two, max)).status == ServiceStatus::kCreated);
    harness.resume(0);
    REQUIRE(harness.heard(late).ended);
    CHECK(harness.heard(late).answer->status == ServiceStatus::kUnavailable);
  }
}

TEST_CASE("ids: a rest outlives every server") {
  ServicesHarness harness(2);
  const std::string one = harness.open_session(0, 3600);
  harness.ask(0, claim(one, "&max=1&rest=60000"));
  harness.ask(0, "DELETE ids/p/1?session=" + one);
  harness.kill(0);
  harness.pass(seconds(30));
  const std::string two = harness.open_session(1, 3600);
  CHECK(harness.ask(1, claim(two, "&max=1")).status == ServiceStatus::kUnavailable);
  harness.pass(seconds(31));
  CHECK(harness.ask(1, claim(two, "&max=1")).status == ServiceStatus::kCreated);
}

TEST_CASE("ids: the end of a session releases what it has") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0, 2);
  harness.ask(0, claim(one, "&max=1"));
  harness.pass(seconds(3));
  CHECK_FALSE(harness.exists("/ids/p/1"));
  CHECK(harness.exists("/kvd/ids/p/resting/1"));
}

TEST_CASE("ids: a connection holds one as long as it stands") {
  ServicesHarness harness;
  const uint64_t holds = harness.send(0, "POST ids/p?hold=1&max=1&name=x");
  REQUIRE(harness.heard(holds).lines.size() == 1);
  CHECK(harness.member(harness.heard(holds).lines[0], "state") == "held");
  CHECK(harness.member(harness.heard(holds).lines[0], "id") == "1");
  harness.pass(seconds(11));
  CHECK(harness.heard(holds).lines.size() == 2);
  const uint64_t second = harness.send(0, "POST ids/p?hold=1&max=1");
  REQUIRE(harness.heard(second).ended);
  CHECK(harness.heard(second).answer->status == ServiceStatus::kUnavailable);
  CHECK(harness.exists("/ids/p/1"));
  harness.hang_up(holds);
  CHECK_FALSE(harness.exists("/ids/p/1"));
}

TEST_CASE("ids: a connection whose number somebody deletes hears of it") {
  ServicesHarness harness;
  const uint64_t holds = harness.send(0, "POST ids/p?hold=1&max=1");
  harness.zk(ZkDelete{"/ids/p/1"});
  REQUIRE(harness.heard(holds).ended);
  CHECK(harness.member(harness.heard(holds).lines.back(), "state") == "lost");
}

TEST_CASE("ids: confirmed while it is lent and gone when it is not") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0);
  const std::string two = harness.open_session(0);
  const ServiceAnswer claimed = harness.ask(0, claim(one, "&max=1"));
  CHECK(words_of(harness.ask(0, "PUT ids/p/1?session=" + one)) == words_of(claimed));
  CHECK(harness.ask(0, "PUT ids/p/1?session=" + two).status == ServiceStatus::kGone);
  CHECK(harness.ask(0, "DELETE ids/p/1?session=" + two).status == ServiceStatus::kNotFound);
  harness.zk(ZkDelete{"/ids/p/1"});
  CHECK(harness.ask(0, "PUT ids/p/1?session=" + one).status == ServiceStatus::kGone);
  CHECK(harness.ask(0, "DELETE ids/p/1?session=" + one).status == ServiceStatus::kNotFound);
}

TEST_CASE("ids: who lost one does not release the next holder's") {
  ServicesHarness harness(2);
  const std::string one = harness.open_session(0);
  const std::string two = harness.open_session(1);
  harness.ask(0, claim(one, "&max=1&rest=0"));
  harness.zk(ZkDelete{"/ids/p/1"});
  const ServiceAnswer second = harness.ask(1, claim(two, "&max=1"));
  REQUIRE(second.status == ServiceStatus::kCreated);
  CHECK(harness.ask(0, "DELETE ids/p/1?session=" + one).status == ServiceStatus::kDone);
  CHECK(words_of(harness.ask(1, "PUT ids/p/1?session=" + two)) == words_of(second));
}

TEST_CASE("ids: a claim of which the answer is lost is found again") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0);
  harness.lose_answer_of(0, ServicesHarness::Kind::kMulti);
  const uint64_t claims = harness.send(0, claim(one, "&max=2&rest=0"));
  CHECK_FALSE(harness.heard(claims).ended);
  harness.mend(0);
  REQUIRE(harness.heard(claims).ended);
  const ServiceAnswer fresh = *harness.heard(claims).answer;
  REQUIRE(fresh.status == ServiceStatus::kCreated);
  CHECK(harness.children("/ids/p").size() == 1);
  CHECK(std::stoll(harness.member(fresh, "fence")) ==
        harness.znode("/ids/p/" + harness.member(fresh, "id")).created_zxid);
  // And one that was lent before.
  const std::string id = harness.member(fresh, "id");
  harness.ask(0, fmt::format("DELETE ids/p/{}?session={}", id, one));
  harness.ask(0, claim(one, "&max=2"));
  harness.lose_answer_of(0, ServicesHarness::Kind::kMulti);
  const uint64_t again = harness.send(0, claim(one, "&max=2"));
  harness.mend(0);
  REQUIRE(harness.heard(again).ended);
  CHECK(harness.member(*harness.heard(again).answer, "id") == id);
  CHECK(harness.children("/ids/p").size() == 2);
}

TEST_CASE("ids: a claim that nobody waits for is given back") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0);
  harness.lose_answer_of(0, ServicesHarness::Kind::kMulti);
  const uint64_t claims = harness.send(0, claim(one, "&max=1"));
  harness.hang_up(claims);
  CHECK(harness.exists("/ids/p/1"));
  harness.mend(0);
  CHECK_FALSE(harness.exists("/ids/p/1"));
  CHECK(harness.exists("/kvd/ids/p/resting/1"));
}

TEST_CASE("ids: a release of which the answer is lost is not done twice") {
  ServicesHarness harness(2);
  const std::string one = harness.open_session(0);
  harness.ask(0, claim(one, "&max=1&rest=0"));
  harness.lose_answer_of(0, ServicesHarness::Kind::kMulti);
  const uint64_t release = harness.send(0, "DELETE ids/p/1?session=" + one);
  REQUIRE(harness.heard(release).ended);
  CHECK(harness.heard(release).answer->status == ServiceStatus::kUnknown);
  const std::string two = harness.open_session(1);
  REQUIRE(harness.ask(1, claim(two, "&max=1")).status == ServiceStatus::kCreated);
  harness.mend(0);
  CHECK(harness.ask(1, "PUT ids/p/1?session=" + two).status == ServiceStatus::kOk);
}

TEST_CASE("ids: a server that ZooKeeper may forget takes them back before they can be lent again") {
  ServicesHarness harness(2);
  const uint64_t first = harness.send(0, "POST ids/p?hold=1&max=1&rest=0");
  const std::string two = harness.open_session(1, 3600);
  harness.cut(0);
  bool told = false;
  bool lent = false;
  for (int i = 0; i < 1000 && !lent; ++i) {
    harness.pass(milliseconds(10));
    told |= harness.member(harness.heard(first).lines.back(), "state") == "lost";
    lent = harness.ask(1, claim(two, "&max=1&rest=0")).status == ServiceStatus::kCreated;
    if (lent) CHECK(told);
  }
  CHECK(lent);
}

TEST_CASE("ids: those that others claim by hand are not lent") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0);
  harness.ask(0, claim(one, "&max=2&rest=0"));
  const std::string free = harness.exists("/ids/p/1") ? "2" : "1";
  const uint64_t kazoo = harness.begin_client();
  harness.zk_as(kazoo, ZkCreate{"/ids/p/" + free, "theirs", ZkMode::kEphemeral});
  CHECK(harness.ask(0, claim(one, "&max=2")).status == ServiceStatus::kUnavailable);
  CHECK(pool(harness, 2).find(fmt::format(R"("id":{},"name":"theirs")", free)) != std::string::npos);
  harness.end_client(kazoo);
  CHECK(harness.member(harness.ask(0, claim(one, "&max=2")), "id") == free);
}

TEST_CASE("ids: a pool is shown as it is") {
  ServicesHarness harness;
  CHECK(pool(harness, 5) == R"({"held":[],"resting":[],"free":5})");
  CHECK_FALSE(harness.exists("/ids"));
  const std::string one = harness.open_session(0);
  const ServiceAnswer claimed = harness.ask(0, claim(one, "&max=1&name=me"));
  CHECK(pool(harness, 5) ==
        fmt::format(R"({{"held":[{{"id":1,"name":"me","fence":{}}}],"resting":[],"free":4}})",
                    harness.member(claimed, "fence")));
  harness.zk(ZkDelete{"/ids/p/1"});
  CHECK(pool(harness, 5) == R"({"held":[],"resting":[1],"free":4})");
}

TEST_CASE("ids: what was made by hand and makes no sense does no harm") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0);
  harness.ask(0, claim(one, "&max=1&rest=0"));
  harness.ask(0, "DELETE ids/p/1?session=" + one);
  harness.zk(ZkCreate{"/ids/p/007", "", ZkMode::kPersistent});
  harness.zk(ZkCreate{"/ids/p/x", "", ZkMode::kPersistent});
  harness.zk(ZkSet{"/kvd/ids/p/claims/1", "nonsense"});
  CHECK(pool(harness, 1) == R"({"held":[],"resting":[1],"free":0})");
  CHECK(harness.ask(0, claim(one, "&max=1")).status == ServiceStatus::kUnavailable);
  harness.pass(seconds(3601));
  CHECK(pool(harness, 1) == R"({"held":[],"resting":[],"free":1})");
}

TEST_CASE("ids: what cannot be asked is refused with a reason") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0);
  const auto status = [&](const std::string& request) { return harness.ask(0, request).status; };
  CHECK(status("POST ids/p") == ServiceStatus::kInvalid);
  CHECK(status("POST ids/?session=" + one) == ServiceStatus::kInvalid);
  CHECK(status("POST ids/..?session=" + one) == ServiceStatus::kInvalid);
  CHECK(status("POST ids/p/1?session=" + one) == ServiceStatus::kWrongVerb);
  CHECK(status("GET ids/p/1") == ServiceStatus::kWrongVerb);
  CHECK(status("PUT ids/p?session=" + one) == ServiceStatus::kWrongVerb);
  CHECK(status("PUT ids/p/1") == ServiceStatus::kInvalid);
  CHECK(status("DELETE ids/p/1") == ServiceStatus::kInvalid);
  CHECK(status("DELETE ids/p/0?session=" + one) == ServiceStatus::kInvalid);
  CHECK(status("DELETE ids/p/1025?session=" + one) == ServiceStatus::kInvalid);
  CHECK(status("DELETE ids/p/1/2?session=" + one) == ServiceStatus::kInvalid);
  CHECK(status(claim(one, "&max=0")) == ServiceStatus::kInvalid);
  CHECK(status(claim(one, "&max=1025")) == ServiceStatus::kInvalid);
  CHECK(status(claim(one, "&rest=3600001")) == ServiceStatus::kInvalid);
  CHECK(status(claim(one, "&name=")) == ServiceStatus::kInvalid);
  CHECK(status(claim(one, "&what=1")) == ServiceStatus::kInvalid);
  CHECK(status(claim(one, "&wait=1")) == ServiceStatus::kInvalid);
  CHECK_FALSE(harness.exists("/ids"));
}
