// Znodes over HTTP as plays (services_harness.hpp): what is shown and how long it is waited for, what writes leave behind,
// and that no ephemeral outlives its holder.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "services_harness.hpp"

using namespace kvd;
using namespace kvd::sim;

namespace {

std::string field(const ServiceAnswer& answer, std::string_view name) {
  for (const auto& one : answer.fields) {
    if (one.name == name) return one.value;
  }
  return "";
}

std::string ephemeral(const std::string& session, const std::string& path = "a",
                      const std::string& more = "") {
  return fmt::format("POST znodes/{}?mode=ephemeral&session={}{}", path, session, more);
}

}  // namespace

TEST_CASE("znodes: created and read and set and deleted") {
  ServicesPlay play;
  const ServiceAnswer created = play.ask(0, "POST znodes/a b", "one");
  CHECK(created.verdict == Verdict::kCreated);
  CHECK(play.member(created, "path") == "a b");
  CHECK(field(created, "Location") == "/v1/znodes/a%20b");
  CHECK(play.ask(0, "POST znodes/a b", "other").verdict == Verdict::kConflict);
  const ServiceAnswer read = play.ask(0, "GET znodes/a b");
  CHECK(read.text == "one");
  CHECK(read.form == Form::kBytes);
  CHECK(field(read, "Kvd-Znode-Version") == "0");
  CHECK(field(read, "Kvd-Znode-Czxid") == play.member(created, "czxid"));
  CHECK(field(read, "Kvd-Znode-Ephemeral-Owner") == "0x0");
  CHECK(play.ask(0, "PUT znodes/a b?version=7", "two").verdict == Verdict::kConditionFailed);
  CHECK(play.ask(0, "PUT znodes/a b?version=0", "two").text == R"({"version":1})");
  CHECK(play.ask(0, "PUT znodes/a b", "three").text == R"({"version":2})");
  CHECK(play.znode("/a b").data == "three");
  CHECK(play.ask(0, "DELETE znodes/a b?version=1").verdict == Verdict::kConditionFailed);
  CHECK(play.ask(0, "DELETE znodes/a b?version=2").verdict == Verdict::kDone);
  CHECK(play.ask(0, "DELETE znodes/a b").verdict == Verdict::kNotFound);
  CHECK(play.ask(0, "PUT znodes/a b", "x").verdict == Verdict::kNotFound);
  CHECK(play.ask(0, "GET znodes/a b").verdict == Verdict::kNotFound);
}

TEST_CASE("znodes: parents are made only when that is asked for") {
  ServicesPlay play;
  CHECK(play.ask(0, "POST znodes/a/b/c").verdict == Verdict::kNotFound);
  CHECK_FALSE(play.exists("/a"));
  CHECK(play.ask(0, "POST znodes/a/b/c?parents=1").verdict == Verdict::kCreated);
  CHECK(play.exists("/a/b/c"));
  const std::string session = play.open_session(0);
  CHECK(play.ask(0, ephemeral(session, "x/y")).verdict == Verdict::kNotFound);
  CHECK(play.ask(0, ephemeral(session, "x/y", "&parents=1")).verdict == Verdict::kCreated);
  CHECK(play.znode("/x/y").ephemeral_owner != 0);
  CHECK(play.ask(0, "POST znodes/x/y/z").verdict == Verdict::kConflict);
}

TEST_CASE("znodes: sequential ones get their digits") {
  ServicesPlay play;
  play.ask(0, "POST znodes/q");
  CHECK(play.member(play.ask(0, "POST znodes/q/item-?seq=1"), "path") == "q/item-0000000000");
  CHECK(play.member(play.ask(0, "POST znodes/q/?seq=1"), "path") == "q/0000000001");
  CHECK(play.ask(0, "POST znodes/q/").verdict == Verdict::kInvalid);
}

TEST_CASE("znodes: children and numbers are shown") {
  ServicesPlay play;
  play.ask(0, "POST znodes/a/c?parents=1", "x");
  play.ask(0, "POST znodes/a/b");
  const ServiceAnswer list = play.ask(0, "GET znodes/a?view=children");
  CHECK(list.text.find(R"("children":["b","c"]})") != std::string::npos);
  CHECK(play.member(list, "cversion") == "2");
  const ServiceAnswer stat = play.ask(0, "GET znodes/a/c?view=stat");
  CHECK(play.member(stat, "data_length") == "1");
  CHECK(play.member(stat, "path") == "a/c");
  const ServiceAnswer root = play.ask(0, "GET znodes/?view=children");
  CHECK(root.text.find(R"("a",)") != std::string::npos);
  CHECK(root.text.find(R"("election","kvd")") != std::string::npos);
}

TEST_CASE("znodes: a look waits for another version and costs nothing while it waits") {
  ServicesPlay play;
  play.ask(0, "POST znodes/a", "one");
  const uint64_t data = play.send(0, "GET znodes/a?version=0&wait=60000");
  const uint64_t stat = play.send(0, "GET znodes/a?view=stat&version=0&wait=60000");
  const uint64_t past = play.send(0, "GET znodes/a?version=5&wait=60000");
  CHECK(play.heard(past).ended);
  play.take_calls();
  play.pass(seconds(30));
  CHECK(play.take_calls() == 0);
  CHECK_FALSE(play.heard(data).ended);
  play.zk(ZkSet{"/a", "two"});
  REQUIRE(play.heard(data).ended);
  CHECK(play.heard(data).answer->text == "two");
  REQUIRE(play.heard(stat).ended);
  CHECK(play.member(*play.heard(stat).answer, "version") == "1");
}

TEST_CASE("znodes: who waits too long gets what there is") {
  ServicesPlay play;
  play.ask(0, "POST znodes/a", "one");
  const uint64_t same = play.send(0, "GET znodes/a?version=0&wait=1000");
  const uint64_t absent = play.send(0, "GET znodes/b?wait=1000");
  play.pass(milliseconds(990));
  CHECK_FALSE(play.heard(same).ended);
  CHECK_FALSE(play.heard(absent).ended);
  play.pass(milliseconds(20));
  REQUIRE(play.heard(same).ended);
  CHECK(play.heard(same).answer->text == "one");
  REQUIRE(play.heard(absent).ended);
  CHECK(play.heard(absent).answer->verdict == Verdict::kNotFound);
}

TEST_CASE("znodes: creation and deletion are waited for") {
  ServicesPlay play;
  for (const std::string view : {"data", "stat", "children"}) {
    CAPTURE(view);
    const uint64_t creation = play.send(0, fmt::format("GET znodes/a?view={}&wait=60000", view));
    CHECK_FALSE(play.heard(creation).ended);
    play.zk(ZkCreate{"/a", "x", ZkMode::kPersistent});
    REQUIRE(play.heard(creation).ended);
    CHECK(play.heard(creation).answer->verdict == Verdict::kOk);
    const uint64_t deletion = play.send(0, fmt::format("GET znodes/a?view={}&{}=0&wait=60000", view,
                                                       view == "children" ? "cversion" : "version"));
    CHECK_FALSE(play.heard(deletion).ended);
    play.zk(ZkDelete{"/a"});
    REQUIRE(play.heard(deletion).ended);
    CHECK(play.heard(deletion).answer->verdict == Verdict::kNotFound);
  }
}

TEST_CASE("znodes: another one with the same version is no longer the same") {
  ServicesPlay play;
  play.ask(0, "POST znodes/a", "one");
  const uint64_t look = play.send(0, "GET znodes/a?version=0&wait=60000");
  play.zk(ZkMulti{{ZkDelete{"/a"}, ZkCreate{"/a", "new", ZkMode::kPersistent}}});
  REQUIRE(play.heard(look).ended);
  CHECK(play.heard(look).answer->text == "new");
}

TEST_CASE("znodes: a change of the list is waited for") {
  ServicesPlay play;
  play.ask(0, "POST znodes/a");
  const uint64_t look = play.send(0, "GET znodes/a?view=children&cversion=0&wait=60000");
  CHECK_FALSE(play.heard(look).ended);
  play.zk(ZkCreate{"/a/b", "", ZkMode::kPersistent});
  REQUIRE(play.heard(look).ended);
  CHECK(play.heard(look).answer->text.find(R"(["b"])") != std::string::npos);
}

TEST_CASE("znodes: a change while the server was cut off is seen when it is back") {
  ServicesPlay play;
  play.ask(0, "POST znodes/a", "one");
  const uint64_t look = play.send(0, "GET znodes/a?version=0&wait=60000");
  const uint64_t other = play.send(0, "GET znodes/b?wait=60000");
  play.cut(0);
  play.zk(ZkSet{"/a", "two"});
  play.zk(ZkCreate{"/b", "came", ZkMode::kPersistent});
  CHECK_FALSE(play.heard(look).ended);
  play.mend(0);
  REQUIRE(play.heard(look).ended);
  CHECK(play.heard(look).answer->text == "two");
  REQUIRE(play.heard(other).ended);
  CHECK(play.heard(other).answer->text == "came");
}

TEST_CASE("znodes: what the node itself watches can be looked at and waited for") {
  ServicesPlay play(2);
  const ServiceAnswer members = play.ask(0, "GET znodes/kvd/members?view=children");
  const uint64_t look =
      play.send(0, fmt::format("GET znodes/kvd/members?view=children&wait=60000&cversion={}",
                               play.member(members, "cversion")));
  CHECK_FALSE(play.heard(look).ended);
  play.kill(1);
  play.pass(seconds(7));
  REQUIRE(play.heard(look).ended);
  CHECK(play.member(*play.heard(look).answer, "children_count") == "1");
}

TEST_CASE("znodes: who hung up is not waited with") {
  ServicesPlay play;
  play.ask(0, "POST znodes/a", "one");
  const uint64_t look = play.send(0, "GET znodes/a?version=0&wait=60000");
  play.hang_up(look);
  play.take_calls();
  play.zk(ZkSet{"/a", "two"});
  CHECK(play.take_calls() == 0);
}

TEST_CASE("znodes: watches that nobody needs any more have their bound") {
  ServicesPlay play;
  const std::string long_name(1000, 'x');
  bool refused = false;
  for (int i = 0; i < 1000 && !refused; ++i) {
    const uint64_t look = play.send(0, fmt::format("GET znodes/{}{}?wait=60000", long_name, i));
    refused = play.heard(look).ended;
    if (refused) CHECK(play.heard(look).answer->verdict == Verdict::kUnavailable);
    play.hang_up(look);
  }
  CHECK(refused);
  CHECK(play.ask(0, fmt::format("GET znodes/{}", long_name)).verdict == Verdict::kNotFound);
}

TEST_CASE("services: who waits has one bound for all of them and keeps nobody from holding") {
  ServicesPlay play;
  const std::string filler(1000, 'x');
  std::vector<uint64_t> looks;
  do {
    looks.push_back(play.send(0, fmt::format("GET znodes/{}{}?wait=60000", filler, looks.size())));
  } while (!play.heard(looks.back()).ended && looks.size() < 1000);
  const std::string session = play.open_session(0);
  play.zk(ZkCreate{"/" + filler, "", ZkMode::kPersistent});
  const std::string barrier = fmt::format("GET barriers/{}?wait=1000", filler);
  const std::string election = fmt::format("GET elections/{}?since=0&wait=1000", filler);
  for (const std::string& call : {barrier, election})
    CHECK(play.ask(0, call).verdict == Verdict::kUnavailable);
  CHECK(play.ask(0, fmt::format("POST barriers/b/enter?size=2&session={}", session)).verdict ==
        Verdict::kAccepted);
  CHECK(play.ask(0, fmt::format("POST locks/{}?session={}", filler, session)).verdict == Verdict::kOk);
  // What has fired is not counted any more.
  for (int i = 0; i < 2; ++i) play.zk(ZkCreate{fmt::format("/{}{}", filler, i), "", ZkMode::kPersistent});
  CHECK_FALSE(play.heard(play.send(0, barrier)).ended);
}

TEST_CASE("services: what is not there any more is not watched") {
  ServicesPlay play;
  for (int i = 0; i < 400; ++i) {
    const std::string path = fmt::format("{}{}", std::string(1000, 'x'), i);
    play.zk(ZkCreate{"/" + path, "", ZkMode::kPersistent});
    const uint64_t lifted = play.send(0, fmt::format("GET barriers/{}?wait=1000", path));
    const uint64_t gone = play.send(0, fmt::format("GET znodes/{}?version=0&wait=1000", path));
    play.zk(ZkDelete{"/" + path});
    REQUIRE(play.heard(lifted).ended);
    REQUIRE(play.heard(lifted).answer->verdict == Verdict::kOk);
    REQUIRE(play.heard(gone).ended);
    REQUIRE(play.heard(gone).answer->verdict == Verdict::kNotFound);
    REQUIRE(play.ask(0, fmt::format("GET tasks/{}?wait=1000", i)).verdict == Verdict::kNotFound);
  }
}

TEST_CASE("services: a watch that outlives what was held is counted") {
  ServicesPlay play;
  const uint64_t kazoo = play.begin_client();
  const std::string session = play.open_session(0);
  const std::string filler(1000, 'x');
  size_t held = 0;
  // Each is another's, and waiting for it leaves a watch on the other's place.
  for (int i = 0; i < 600; ++i) {
    const std::string path = fmt::format("/{}{}", filler, i);
    play.zk(ZkCreate{path, "", ZkMode::kPersistent});
    play.zk_as(kazoo, ZkCreate{path + "/a__lock__", "", ZkMode::kEphemeralSequential});
    held += play.ask(0, fmt::format("POST locks{}?session={}", path, session)).verdict == Verdict::kConflict;
  }
  CHECK(held < 600);
  play.end_client(kazoo);
  CHECK(play.ask(0, fmt::format("POST locks/{}0?session={}", filler, session)).verdict == Verdict::kOk);
}

TEST_CASE("znodes: deleted with all that is below") {
  ServicesPlay play;
  for (const char* path : {"a/b/c/d", "a/b/e", "a/f"})
    play.ask(0, fmt::format("POST znodes/{}?parents=1", path));
  CHECK(play.ask(0, "DELETE znodes/a").verdict == Verdict::kConflict);
  CHECK(play.ask(0, "DELETE znodes/a?recurse=1&version=1").verdict == Verdict::kConditionFailed);
  CHECK(play.exists("/a/b/c/d"));
  CHECK(play.ask(0, "DELETE znodes/a?recurse=1&version=0").verdict == Verdict::kDone);
  CHECK_FALSE(play.exists("/a"));
  CHECK(play.ask(0, "DELETE znodes/a?recurse=1").verdict == Verdict::kNotFound);
}

TEST_CASE("znodes: a deletion of which an answer is lost is not called done") {
  ServicesPlay play;
  play.ask(0, "POST znodes/a/b?parents=1");
  play.lose_answer_of(0, ServicesPlay::Kind::kDelete);
  const uint64_t sweep = play.send(0, "DELETE znodes/a?recurse=1");
  REQUIRE(play.heard(sweep).ended);
  CHECK(play.heard(sweep).answer->verdict == Verdict::kUnknown);
}

TEST_CASE("znodes: the outcome of a persistent create whose answer is lost is unknown") {
  ServicesPlay play;
  play.lose_answer_of(0, ServicesPlay::Kind::kCreate);
  const uint64_t create = play.send(0, "POST znodes/a");
  REQUIRE(play.heard(create).ended);
  CHECK(play.heard(create).answer->verdict == Verdict::kUnknown);
  CHECK(play.exists("/a"));
}

TEST_CASE("znodes: an ephemeral goes with its session") {
  ServicesPlay play(2);
  const std::string session = play.open_session(0, 2);
  CHECK(play.ask(1, ephemeral(session), "x").verdict == Verdict::kCreated);  // by way of the other server
  CHECK(play.znode("/a").data == "x");
  CHECK(play.znode("/a").ephemeral_owner != 0);
  CHECK(play.ask(0, ephemeral(session)).verdict == Verdict::kConflict);
  play.pass(milliseconds(1900));
  CHECK(play.exists("/a"));
  play.pass(milliseconds(200));
  CHECK_FALSE(play.exists("/a"));
}

TEST_CASE("znodes: an ephemeral goes with its connection") {
  ServicesPlay play;
  const uint64_t holds = play.send(0, "POST znodes/a?mode=ephemeral&hold=1");
  REQUIRE(play.heard(holds).lines.size() == 1);
  CHECK(play.member(play.heard(holds).lines[0], "path") == "a");
  play.pass(seconds(11));
  CHECK(play.heard(holds).lines.size() == 2);
  const uint64_t second = play.send(0, "POST znodes/a?mode=ephemeral&hold=1");
  REQUIRE(play.heard(second).ended);
  CHECK(play.heard(second).answer->verdict == Verdict::kConflict);
  CHECK(play.exists("/a"));
  play.hang_up(holds);
  CHECK_FALSE(play.exists("/a"));
}

TEST_CASE("znodes: a connection whose ephemeral somebody deletes hears of it") {
  ServicesPlay play;
  const uint64_t holds = play.send(0, "POST znodes/a?mode=ephemeral&hold=1");
  play.zk(ZkDelete{"/a"});
  REQUIRE(play.heard(holds).ended);
  CHECK(play.member(play.heard(holds).lines.back(), "state") == "lost");
}

TEST_CASE("znodes: an ephemeral that another one has replaced is left alone") {
  ServicesPlay play;
  const std::string session = play.open_session(0);
  play.ask(0, ephemeral(session));
  play.zk(ZkDelete{"/a"});
  play.zk(ZkCreate{"/a", "theirs", ZkMode::kPersistent});
  play.ask(0, "DELETE sessions/" + session);
  CHECK(play.exists("/a"));
  // Nor does what was forgotten stand in the way of the next.
  play.zk(ZkDelete{"/a"});
  const std::string next = play.open_session(0);
  play.ask(0, ephemeral(next));
  play.zk(ZkDelete{"/a"});
  CHECK(play.ask(0, ephemeral(next)).verdict == Verdict::kCreated);
  play.ask(0, "DELETE sessions/" + next);
  CHECK_FALSE(play.exists("/a"));
}

TEST_CASE("znodes: an ephemeral whose answer is lost is found again") {
  ServicesPlay play;
  const std::string session = play.open_session(0);
  play.ask(0, "POST znodes/q");
  for (const std::string path : {"a", "q/n-"}) {
    CAPTURE(path);
    play.lose_answer_of(0, ServicesPlay::Kind::kCreate);
    const uint64_t create = play.send(0, ephemeral(session, path, path == "a" ? "" : "&seq=1"), "x");
    CHECK_FALSE(play.heard(create).ended);
    play.mend(0);
    REQUIRE(play.heard(create).ended);
    CHECK(play.heard(create).answer->verdict == Verdict::kCreated);
  }
  CHECK(play.children("/q").size() == 1);
  play.ask(0, "DELETE sessions/" + session);
  CHECK_FALSE(play.exists("/a"));
  CHECK(play.children("/q").empty());
}

TEST_CASE("znodes: an ephemeral whose answer is lost goes when nobody waits for it") {
  ServicesPlay play;
  const std::string session = play.open_session(0);
  play.ask(0, "POST znodes/q");
  const std::string former = play.member(play.ask(0, ephemeral(session, "q/n-", "&seq=1"), "x"), "path");
  for (const std::string path : {"a", "q/n-"}) {
    CAPTURE(path);
    play.lose_answer_of(0, ServicesPlay::Kind::kCreate);
    const uint64_t create = play.send(0, ephemeral(session, path, path == "a" ? "" : "&seq=1"), "x");
    play.hang_up(create);
    play.mend(0);
  }
  CHECK_FALSE(play.exists("/a"));
  REQUIRE(play.children("/q").size() == 1);  // what the session had before is not taken for it
  CHECK("q/" + play.children("/q")[0] == former);
}

TEST_CASE("znodes: another one's ephemeral is not taken for one whose answer is lost") {
  ServicesPlay play;
  const std::string one = play.open_session(0);
  const std::string two = play.open_session(0);
  play.ask(0, ephemeral(one), "x");
  play.cut(0);
  play.mend(0);
  play.lose_answer_of(0, ServicesPlay::Kind::kCreate);
  const uint64_t create = play.send(0, ephemeral(two), "x");  // which ZooKeeper refused
  play.mend(0);
  REQUIRE(play.heard(create).ended);
  CHECK(play.heard(create).answer->verdict == Verdict::kConflict);
  play.ask(0, "DELETE sessions/" + two);
  CHECK(play.exists("/a"));
}

TEST_CASE("znodes: what another service made there is not taken for one whose answer is lost") {
  ServicesPlay play;
  const std::string session = play.open_session(0);
  play.ask(0, "POST ids/p?max=1&name=m&session=" + session);
  play.lose_answer_of(0, ServicesPlay::Kind::kCreate);
  const uint64_t create = play.send(0, ephemeral(session, "ids/p/1"), "x");  // which ZooKeeper refused
  play.mend(0);
  REQUIRE(play.heard(create).ended);
  CHECK(play.heard(create).answer->verdict == Verdict::kConflict);
}

TEST_CASE("znodes: a removal of which the answer is lost is done in the end") {
  ServicesPlay play;
  const std::string session = play.open_session(0);
  play.ask(0, ephemeral(session));
  play.cut(0);
  play.ask(0, "GET znodes/a");
  play.pass(milliseconds(100));
  play.mend(0);
  play.lose_answer_of(0, ServicesPlay::Kind::kDelete);
  play.ask(0, "DELETE sessions/" + session);
  play.mend(0);
  CHECK_FALSE(play.exists("/a"));
}

TEST_CASE("znodes: a server that ZooKeeper may forget says so before its ephemerals go") {
  ServicesPlay play(2);
  const uint64_t holds = play.send(0, "POST znodes/a?mode=ephemeral&hold=1");
  const std::string session = play.open_session(0, 600);
  play.ask(0, ephemeral(session, "b"));
  play.cut(0);
  play.pass(milliseconds(4500));
  CHECK(play.member(play.heard(holds).lines.back(), "state") == "lost");
  CHECK(play.exists("/a"));
  play.mend(0);
  for (const char* path : {"/a", "/b"}) CHECK(play.exists(path));  // their grace is not over
  play.pass(seconds(2));
  for (const char* path : {"/a", "/b"}) CHECK_FALSE(play.exists(path));
  CHECK(play.heard(holds).ended);
}

TEST_CASE("znodes: what an expired server had is gone and forgotten") {
  ServicesPlay play(2);
  const std::string session = play.open_session(0, 600);
  play.ask(0, ephemeral(session));
  play.pause(0);
  play.pass(seconds(10));
  CHECK_FALSE(play.exists("/a"));
  play.zk(ZkCreate{"/a", "theirs", ZkMode::kPersistent});
  play.resume(0);
  play.pass(seconds(1));
  CHECK(play.exists("/a"));
}

TEST_CASE("znodes: what cannot be asked is refused with a reason") {
  ServicesPlay play;
  const std::string session = play.open_session(0);
  const auto verdict = [&](const std::string& request) { return play.ask(0, request).verdict; };
  for (const char* own : {"kvd", "kvd/config", "election", "election/x", "zookeeper/quota"}) {
    CHECK(verdict(fmt::format("POST znodes/{}", own)) == Verdict::kForbidden);
    CHECK(verdict(fmt::format("PUT znodes/{}", own)) == Verdict::kForbidden);
    CHECK(verdict(fmt::format("DELETE znodes/{}?recurse=1", own)) == Verdict::kForbidden);
  }
  CHECK(verdict("GET znodes/kvd/config") == Verdict::kOk);
  CHECK(verdict("DELETE znodes/?recurse=1") == Verdict::kForbidden);
  CHECK(verdict("POST znodes/") == Verdict::kConflict);
  CHECK(verdict("GET znodes/a//b") == Verdict::kInvalid);
  CHECK(verdict("GET znodes/a/") == Verdict::kInvalid);
  CHECK(verdict("GET znodes/a?view=x") == Verdict::kInvalid);
  CHECK(verdict("GET znodes/a?version=x") == Verdict::kInvalid);
  CHECK(verdict("GET znodes/a?cversion=1") == Verdict::kInvalid);
  CHECK(verdict("GET znodes/a?view=children&version=1") == Verdict::kInvalid);
  CHECK(verdict("POST znodes/a?mode=x") == Verdict::kInvalid);
  CHECK(verdict("POST znodes/a?mode=ephemeral") == Verdict::kInvalid);
  CHECK(verdict("POST znodes/a?session=" + session) == Verdict::kInvalid);
  CHECK(verdict("PUT znodes/a?version=-1") == Verdict::kInvalid);
  CHECK(verdict("DELETE znodes/a?what=1") == Verdict::kInvalid);
  CHECK(play.ask(0, "POST znodes/a", std::string(65'530, 'x')).verdict == Verdict::kTooLarge);
  CHECK(play.ask(0, "PUT znodes/a", std::string(65'536, 'x')).verdict == Verdict::kTooLarge);
  CHECK_FALSE(play.exists("/a"));
}
