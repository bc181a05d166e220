// Znodes over HTTP (services_harness.hpp): what is shown and how long it is waited for, what writes leave behind,
// and that no ephemeral outlives its holder.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "services_harness.hpp"

using namespace kvd;
using namespace kvd::sim;

namespace {

std::string ephemeral(const std::string& session, const std::string& path = "a",
                      const std::string& more = "") {
  return fmt::format("POST znodes/{}?mode=ephemeral&session={}{}", path, session, more);
}

}  // namespace

TEST_CASE("znodes: created and read and set and deleted") {
  ServicesHarness harness;
  const ServiceAnswer created = harness.ask(0, "POST znodes/a b", "one");
  CHECK(created.status == ServiceStatus::kCreated);
  CHECK(harness.member(created, "path") == "a b");
  CHECK(created.notes.text(kNoteMade) == "znodes/a b");
  CHECK(harness.ask(0, "POST znodes/a b", "other").status == ServiceStatus::kConflict);
  const ServiceAnswer read = harness.ask(0, "GET znodes/a b");
  CHECK(words_of(read) == "one");
  CHECK(std::holds_alternative<Octets>(read.content));
  CHECK(read.notes.number(kNoteZnodeVersion) == 0);
  CHECK(read.notes.number(kNoteZnodeCzxid) == std::get<Document>(created.content).number("czxid"));
  CHECK(read.notes.text(kNoteZnodeOwner) == "0x0");
  CHECK(harness.ask(0, "PUT znodes/a b?version=7", "two").status == ServiceStatus::kConditionFailed);
  CHECK(words_of(harness.ask(0, "PUT znodes/a b?version=0", "two")) == R"({"version":1})");
  CHECK(words_of(harness.ask(0, "PUT znodes/a b", "three")) == R"({"version":2})");
  CHECK(harness.znode("/a b").data == "three");
  CHECK(harness.ask(0, "DELETE znodes/a b?version=1").status == ServiceStatus::kConditionFailed);
  CHECK(harness.ask(0, "DELETE znodes/a b?version=2").status == ServiceStatus::kDone);
  CHECK(harness.ask(0, "DELETE znodes/a b").status == ServiceStatus::kNotFound);
  CHECK(harness.ask(0, "PUT znodes/a b", "x").status == ServiceStatus::kNotFound);
  CHECK(harness.ask(0, "GET znodes/a b").status == ServiceStatus::kNotFound);
}

TEST_CASE("znodes: parents are made only when that is asked for") {
  ServicesHarness harness;
  CHECK(harness.ask(0, "POST znodes/a/b/c").status == ServiceStatus::kNotFound);
  CHECK_FALSE(harness.exists("/a"));
  CHECK(harness.ask(0, "POST znodes/a/b/c?parents=1").status == ServiceStatus::kCreated);
  CHECK(harness.exists("/a/b/c"));
  const std::string session = harness.open_session(0);
  CHECK(harness.ask(0, ephemeral(session, "x/y")).status == ServiceStatus::kNotFound);
  CHECK(harness.ask(0, ephemeral(session, "x/y", "&parents=1")).status == ServiceStatus::kCreated);
  CHECK(harness.znode("/x/y").ephemeral_owner != 0);
  CHECK(harness.ask(0, "POST znodes/x/y/z").status == ServiceStatus::kConflict);
}

TEST_CASE("znodes: sequential ones get their digits") {
  ServicesHarness harness;
  harness.ask(0, "POST znodes/q");
  CHECK(harness.member(harness.ask(0, "POST znodes/q/item-?seq=1"), "path") == "q/item-0000000000");
  CHECK(harness.member(harness.ask(0, "POST znodes/q/?seq=1"), "path") == "q/0000000001");
  CHECK(harness.ask(0, "POST znodes/q/").status == ServiceStatus::kInvalid);
}

TEST_CASE("znodes: children and numbers are shown") {
  ServicesHarness harness;
  harness.ask(0, "POST znodes/a/c?parents=1", "x");
  harness.ask(0, "POST znodes/a/b");
  const ServiceAnswer list = harness.ask(0, "GET znodes/a?view=children");
  CHECK(words_of(list).find(R"("children":["b","c"]})") != std::string::npos);
  CHECK(harness.member(list, "cversion") == "2");
  const ServiceAnswer stat = harness.ask(0, "GET znodes/a/c?view=stat");
  CHECK(harness.member(stat, "data_length") == "1");
  CHECK(harness.member(stat, "path") == "a/c");
  const ServiceAnswer root = harness.ask(0, "GET znodes/?view=children");
  CHECK(words_of(root).find(R"("a",)") != std::string::npos);
  CHECK(words_of(root).find(R"("election","kvd")") != std::string::npos);
}

TEST_CASE("znodes: a look waits for another version and costs nothing while it waits") {
  ServicesHarness harness;
  harness.ask(0, "POST znodes/a", "one");
  const uint64_t data = harness.send(0, "GET znodes/a?version=0&wait=60000");
  const uint64_t stat = harness.send(0, "GET znodes/a?view=stat&version=0&wait=60000");
  const uint64_t past = harness.send(0, "GET znodes/a?version=5&wait=60000");
  CHECK(harness.heard(past).ended);
  harness.take_calls();
  harness.pass(seconds(30));
  CHECK(harness.take_calls() == 0);
  CHECK_FALSE(harness.heard(data).ended);
  harness.zk(ZkSet{"/a", "two"});
  REQUIRE(harness.heard(data).ended);
  CHECK(words_of(*harness.heard(data).answer) == "two");
  REQUIRE(harness.heard(stat).ended);
  CHECK(harness.member(*harness.heard(stat).answer, "version") == "1");
}

TEST_CASE("znodes: who waits too long gets what there is") {
  ServicesHarness harness;
  harness.ask(0, "POST znodes/a", "one");
  const uint64_t same = harness.send(0, "GET znodes/a?version=0&wait=1000");
  const uint64_t absent = harness.send(0, "GET znodes/b?wait=1000");
  harness.pass(milliseconds(990));
  CHECK_FALSE(harness.heard(same).ended);
  CHECK_FALSE(harness.heard(absent).ended);
  harness.pass(milliseconds(20));
  REQUIRE(harness.heard(same).ended);
  CHECK(words_of(*harness.heard(same).answer) == "one");
  REQUIRE(harness.heard(absent).ended);
  CHECK(harness.heard(absent).answer->status == ServiceStatus::kNotFound);
}

TEST_CASE("znodes: creation and deletion are waited for") {
  ServicesHarness harness;
  for (const std::string view : {"data", "stat", "children"}) {
    CAPTURE(view);
    const uint64_t creation = harness.send(0, fmt::format("GET znodes/a?view={}&wait=60000", view));
    CHECK_FALSE(harness.heard(creation).ended);
    harness.zk(ZkCreate{"/a", "x", ZkMode::kPersistent});
    REQUIRE(harness.heard(creation).ended);
    CHECK(harness.heard(creation).answer->status == ServiceStatus::kOk);
    const uint64_t deletion = harness.send(0, fmt::format("GET znodes/a?view={}&{}=0&wait=60000", view,
                                                          view == "children" ? "cversion" : "version"));
    CHECK_FALSE(harness.heard(deletion).ended);
    harness.zk(ZkDelete{"/a"});
    REQUIRE(harness.heard(deletion).ended);
    CHECK(harness.heard(deletion).answer->status == ServiceStatus::kNotFound);
  }
}

TEST_CASE("znodes: another one with the same version is no longer the same") {
  ServicesHarness harness;
  harness.ask(0, "POST znodes/a", "one");
  const uint64_t look = harness.send(0, "GET znodes/a?version=0&wait=60000");
  harness.zk(ZkMulti{{ZkDelete{"/a"}, ZkCreate{"/a", "new", ZkMode::kPersistent}}});
  REQUIRE(harness.heard(look).ended);
  CHECK(words_of(*harness.heard(look).answer) == "new");
}

TEST_CASE("znodes: a change of the list is waited for") {
  ServicesHarness harness;
  harness.ask(0, "POST znodes/a");
  const uint64_t look = harness.send(0, "GET znodes/a?view=children&cversion=0&wait=60000");
  CHECK_FALSE(harness.heard(look).ended);
  harness.zk(ZkCreate{"/a/b", "", ZkMode::kPersistent});
  REQUIRE(harness.heard(look).ended);
  CHECK(words_of(*harness.heard(look).answer).find(R"(["b"])") != std::string::npos);
}

TEST_CASE("znodes: a change while the server was cut off is seen when it is back") {
  ServicesHarness harness;
  harness.ask(0, "POST znodes/a", "one");
  const uint64_t look = harness.send(0, "GET znodes/a?version=0&wait=60000");
  const uint64_t other = harness.send(0, "GET znodes/b?wait=60000");
  harness.cut(0);
  harness.zk(ZkSet{"/a", "two"});
  harness.zk(ZkCreate{"/b", "came", ZkMode::kPersistent});
  CHECK_FALSE(harness.heard(look).ended);
  harness.mend(0);
  REQUIRE(harness.heard(look).ended);
  CHECK(words_of(*harness.heard(look).answer) == "two");
  REQUIRE(harness.heard(other).ended);
  CHECK(words_of(*harness.heard(other).answer) == "came");
}

TEST_CASE("znodes: what the node itself watches can be looked at and waited for") {
  ServicesHarness harness(2);
  const ServiceAnswer members = harness.ask(0, "GET znodes/kvd/members?view=children");
  const uint64_t look =
      harness.send(0, fmt::format("GET znodes/kvd/members?view=children&wait=60000&cversion={}",
                                  harness.member(members, "cversion")));
  CHECK_FALSE(harness.heard(look).ended);
  harness.kill(1);
  harness.pass(seconds(7));
  REQUIRE(harness.heard(look).ended);
  CHECK(harness.member(*harness.heard(look).answer, "children_count") == "1");
}

TEST_CASE("znodes: who hung up is not waited with") {
  ServicesHarness harness;
  harness.ask(0, "POST znodes/a", "one");
  const uint64_t look = harness.send(0, "GET znodes/a?version=0&wait=60000");
  harness.hang_up(look);
  harness.take_calls();
  harness.zk(ZkSet{"/a", "two"});
  CHECK(harness.take_calls() == 0);
}

TEST_CASE("znodes: watches that nobody needs any more have their bound") {
  ServicesHarness harness;
  const std::string long_name(1000, 'x');
  bool refused = false;
  for (int i = 0; i < 1000 && !refused; ++i) {
    const uint64_t look = harness.send(0, fmt::format("GET znodes/{}{}?wait=60000", long_name, i));
    refused = harness.heard(look).ended;
    if (refused) CHECK(harness.heard(look).answer->status == ServiceStatus::kUnavailable);
    harness.hang_up(look);
  }
  CHECK(refused);
  CHECK(harness.ask(0, fmt::format("GET znodes/{}", long_name)).status == ServiceStatus::kNotFound);
}

TEST_CASE("services: who waits has one bound for all of them and keeps nobody from holding") {
  ServicesHarness harness;
  const std::string filler(1000, 'x');
  std::vector<uint64_t> looks;
  do {
    looks.push_back(harness.send(0, fmt::format("GET znodes/{}{}?wait=60000", filler, looks.size())));
  } while (!harness.heard(looks.back()).ended && looks.size() < 1000);
  const std::string session = harness.open_session(0);
  harness.zk(ZkCreate{"/" + filler, "", ZkMode::kPersistent});
  const std::string barrier = fmt::format("GET barriers/{}?wait=1000", filler);
  const std::string election = fmt::format("GET elections/{}?since=0&wait=1000", filler);
  for (const std::string& call : {barrier, election})
    CHECK(harness.ask(0, call).status == ServiceStatus::kUnavailable);
  CHECK(harness.ask(0, fmt::format("POST barriers/b/enter?size=2&session={}", session)).status ==
        ServiceStatus::kAccepted);
  CHECK(harness.ask(0, fmt::format("POST locks/{}?session={}", filler, session)).status ==
        ServiceStatus::kOk);
  // What has fired is not counted any more.
  for (int i = 0; i < 2; ++i) harness.zk(ZkCreate{fmt::format("/{}{}", filler, i), "", ZkMode::kPersistent});
  CHECK_FALSE(harness.heard(harness.send(0, barrier)).ended);
}

TEST_CASE("services: what is not there any more is not watched") {
  ServicesHarness harness;
  for (int i = 0; i < 400; ++i) {
    const std::string path = fmt::format("{}{}", std::string(1000, 'x'), i);
    harness.zk(ZkCreate{"/" + path, "", ZkMode::kPersistent});
    const uint64_t lifted = harness.send(0, fmt::format("GET barriers/{}?wait=1000", path));
    const uint64_t gone = harness.send(0, fmt::format("GET znodes/{}?version=0&wait=1000", path));
    harness.zk(ZkDelete{"/" + path});
    REQUIRE(harness.heard(lifted).ended);
    REQUIRE(harness.heard(lifted).answer->status == ServiceStatus::kOk);
    REQUIRE(harness.heard(gone).ended);
    REQUIRE(harness.heard(gone).answer->status == ServiceStatus::kNotFound);
    REQUIRE(harness.ask(0, fmt::format("GET tasks/{}?wait=1000", i)).status == ServiceStatus::kNotFound);
  }
}

TEST_CASE("services: a watch that outlives what was held is counted") {
  ServicesHarness harness;
  const uint64_t kazoo = harness.begin_client();
  const std::string session = harness.open_session(0);
  const std::string filler(1000, 'x');
  size_t held = 0;
  // Each is another's, and waiting for it leaves a watch on the other's place.
  for (int i = 0; i < 600; ++i) {
    const std::string path = fmt::format("/{}{}", filler, i);
    harness.zk(ZkCreate{path, "", ZkMode::kPersistent});
    harness.zk_as(kazoo, ZkCreate{path + "/a__lock__", "", ZkMode::kEphemeralSequential});
    held += harness.ask(0, fmt::format("POST locks{}?session={}", path, session)).status ==
            ServiceStatus::kConflict;
  }
  CHECK(held < 600);
  harness.end_client(kazoo);
  CHECK(harness.ask(0, fmt::format("POST locks/{}0?session={}", filler, session)).status ==
        ServiceStatus::kOk);
}

TEST_CASE("znodes: deleted with all that is below") {
  ServicesHarness harness;
  for (const char* path : {"a/b/c/d", "a/b/e", "a/f"})
    harness.ask(0, fmt::format("POST znodes/{}?parents=1", path));
  CHECK(harness.ask(0, "DELETE znodes/a").status == ServiceStatus::kConflict);
  CHECK(harness.ask(0, "DELETE znodes/a?recurse=1&version=1").status == ServiceStatus::kConditionFailed);
  CHECK(harness.exists("/a/b/c/d"));
  CHECK(harness.ask(0, "DELETE znodes/a?recurse=1&version=0").status == ServiceStatus::kDone);
  CHECK_FALSE(harness.exists("/a"));
  CHECK(harness.ask(0, "DELETE znodes/a?recurse=1").status == ServiceStatus::kNotFound);
}

TEST_CASE("znodes: a deletion of which an answer is lost is not called done") {
  ServicesHarness harness;
  harness.ask(0, "POST znodes/a/b?parents=1");
  harness.lose_answer_of(0, ServicesHarness::Kind::kDelete);
  const uint64_t sweep = harness.send(0, "DELETE znodes/a?recurse=1");
  REQUIRE(harness.heard(sweep).ended);
  CHECK(harness.heard(sweep).answer->status == ServiceStatus::kUnknown);
}

TEST_CASE("znodes: the outcome of a persistent create whose answer is lost is unknown") {
  ServicesHarness harness;
  harness.lose_answer_of(0, ServicesHarness::Kind::kCreate);
  const uint64_t create = harness.send(0, "POST znodes/a");
  REQUIRE(harness.heard(create).ended);
  CHECK(harness.heard(create).answer->status == ServiceStatus::kUnknown);
  CHECK(harness.exists("/a"));
}

TEST_CASE("znodes: an ephemeral goes with its session") {
  ServicesHarness harness(2);
  const std::string session = harness.open_session(0, 2);
  CHECK(harness.ask(1, ephemeral(session), "x").status ==
        ServiceStatus::kCreated);  // by way of the other server
  CHECK(harness.znode("/a").data == "x");
  CHECK(harness.znode("/a").ephemeral_owner != 0);
  CHECK(harness.ask(0, ephemeral(session)).status == ServiceStatus::kConflict);
  harness.pass(milliseconds(1900));
  CHECK(harness.exists("/a"));
  harness.pass(milliseconds(200));
  CHECK_FALSE(harness.exists("/a"));
}

TEST_CASE("znodes: an ephemeral goes with its connection") {
  ServicesHarness harness;
  const uint64_t holds = harness.send(0, "POST znodes/a?mode=ephemeral&hold=1");
  REQUIRE(harness.heard(holds).lines.size() == 1);
  CHECK(harness.member(harness.heard(holds).lines[0], "path") == "a");
  harness.pass(seconds(11));
  CHECK(harness.heard(holds).lines.size() == 2);
  const uint64_t second = harness.send(0, "POST znodes/a?mode=ephemeral&hold=1");
  REQUIRE(harness.heard(second).ended);
  CHECK(harness.heard(second).answer->status == ServiceStatus::kConflict);
  CHECK(harness.exists("/a"));
  harness.hang_up(holds);
  CHECK_FALSE(harness.exists("/a"));
}

TEST_CASE("znodes: a connection whose ephemeral somebody deletes hears of it") {
  ServicesHarness harness;
  const uint64_t holds = harness.send(0, "POST znodes/a?mode=ephemeral&hold=1");
  harness.zk(ZkDelete{"/a"});
  REQUIRE(harness.heard(holds).ended);
  CHECK(harness.member(harness.heard(holds).lines.back(), "state") == "lost");
}

TEST_CASE("znodes: an ephemeral that another one has replaced is left alone") {
  ServicesHarness harness;
  const std::string session = harness.open_session(0);
  harness.ask(0, ephemeral(session));
  harness.zk(ZkDelete{"/a"});
  harness.zk(ZkCreate{"/a", "theirs", ZkMode::kPersistent});
  harness.ask(0, "DELETE sessions/" + session);
  CHECK(harness.exists("/a"));
  // Nor does what was forgotten stand in the way of the next.
  harness.zk(ZkDelete{"/a"});
  const std::string next = harness.open_session(0);
  harness.ask(0, ephemeral(next));
  harness.zk(ZkDelete{"/a"});
  CHECK(harness.ask(0, ephemeral(next)).status == ServiceStatus::kCreated);
  harness.ask(0, "DELETE sessions/" + next);
  CHECK_FALSE(harness.exists("/a"));
}

TEST_CASE("znodes: an ephemeral whose answer is lost is found again") {
  ServicesHarness harness;
  const std::string session = harness.open_session(0);
  harness.ask(0, "POST znodes/q");
  for (const std::string path : {"a", "q/n-"}) {
    CAPTURE(path);
    harness.lose_answer_of(0, ServicesHarness::Kind::kCreate);
    const uint64_t create = harness.send(0, ephemeral(session, path, path == "a" ? "" : "&seq=1"), "x");
    CHECK_FALSE(harness.heard(create).ended);
    harness.mend(0);
    REQUIRE(harness.heard(create).ended);
    CHECK(harness.heard(create).answer->status == ServiceStatus::kCreated);
  }
  CHECK(harness.children("/q").size() == 1);
  harness.ask(0, "DELETE sessions/" + session);
  CHECK_FALSE(harness.exists("/a"));
  CHECK(harness.children("/q").empty());
}

TEST_CASE("znodes: an ephemeral whose answer is lost goes when nobody waits for it") {
  ServicesHarness harness;
  const std::string session = harness.open_session(0);
  harness.ask(0, "POST znodes/q");
  const std::string former =
      harness.member(harness.ask(0, ephemeral(session, "q/n-", "&seq=1"), "x"), "path");
  for (const std::string path : {"a", "q/n-"}) {
    CAPTURE(path);
    harness.lose_answer_of(0, ServicesHarness::Kind::kCreate);
    const uint64_t create = harness.send(0, ephemeral(session, path, path == "a" ? "" : "&seq=1"), "x");
    harness.hang_up(create);
    harness.mend(0);
  }
  CHECK_FALSE(harness.exists("/a"));
  REQUIRE(harness.children("/q").size() == 1);  // what the session had before is not taken for it
  CHECK("q/" + harness.children("/q")[0] == former);
}

TEST_CASE("znodes: another one's ephemeral is not taken for one whose answer is lost") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0);
  const std::string two = harness.open_session(0);
  harness.ask(0, ephemeral(one), "x");
  harness.cut(0);
  harness.mend(0);
  harness.lose_answer_of(0, ServicesHarness::Kind::kCreate);
  const uint64_t create = harness.send(0, ephemeral(two), "x");  // which ZooKeeper refused
  harness.mend(0);
  REQUIRE(harness.heard(create).ended);
  CHECK(harness.heard(create).answer->status == ServiceStatus::kConflict);
  harness.ask(0, "DELETE sessions/" + two);
  CHECK(harness.exists("/a"));
}

TEST_CASE("znodes: what another service made there is not taken for one whose answer is lost") {
  ServicesHarness harness;
  const std::string session = harness.open_session(0);
  harness.ask(0, "POST ids/p?max=1&name=m&session=" + session);
  harness.lose_answer_of(0, ServicesHarness::Kind::kCreate);
  const uint64_t create = harness.send(0, ephemeral(session, "ids/p/1"), "x");  // which ZooKeeper refused
  harness.mend(0);
  REQUIRE(harness.heard(create).ended);
  CHECK(harness.heard(create).answer->status == ServiceStatus::kConflict);
}

TEST_CASE("znodes: a removal of which the answer is lost is done in the end") {
  ServicesHarness harness;
  const std::string session = harness.open_session(0);
  harness.ask(0, ephemeral(session));
  harness.cut(0);
  harness.ask(0, "GET znodes/a");
  harness.pass(milliseconds(100));
  harness.mend(0);
  harness.lose_answer_of(0, ServicesHarness::Kind::kDelete);
  harness.ask(0, "DELETE sessions/" + session);
  harness.mend(0);
  CHECK_FALSE(harness.exists("/a"));
}

TEST_CASE("znodes: a server that ZooKeeper may forget says so before its ephemerals go") {
  ServicesHarness harness(2);
  const uint64_t holds = harness.send(0, "POST znodes/a?mode=ephemeral&hold=1");
  const std::string session = harness.open_session(0, 600);
  harness.ask(0, ephemeral(session, "b"));
  harness.cut(0);
  harness.pass(milliseconds(4500));
  CHECK(harness.member(harness.heard(holds).lines.back(), "state") == "lost");
  CHECK(harness.exists("/a"));
  harness.mend(0);
  for (const char* path : {"/a", "/b"}) CHECK(harness.exists(path));  // their grace is not over
  harness.pass(seconds(2));
  for (const char* path : {"/a", "/b"}) CHECK_FALSE(harness.exists(path));
  CHECK(harness.heard(holds).ended);
}

TEST_CASE("znodes: what an expired server had is gone and forgotten") {
  ServicesHarness harness(2);
  const std::string session = harness.open_session(0, 600);
  harness.ask(0, ephemeral(session));
  harness.pause(0);
  harness.pass(seconds(10));
  CHECK_FALSE(harness.exists("/a"));
  harness.zk(ZkCreate{"/a", "theirs", ZkMode::kPersistent});
  harness.resume(0);
  harness.pass(seconds(1));
  CHECK(harness.exists("/a"));
}

TEST_CASE("znodes: what cannot be asked is refused with a reason") {
  ServicesHarness harness;
  const std::string session = harness.open_session(0);
  const auto status = [&](const std::string& request) { return harness.ask(0, request).status; };
  for (const char* own : {"kvd", "kvd/config", "election", "election/x", "zookeeper/quota"}) {
    CHECK(status(fmt::format("POST znodes/{}", own)) == ServiceStatus::kForbidden);
    CHECK(status(fmt::format("PUT znodes/{}", own)) == ServiceStatus::kForbidden);
    CHECK(status(fmt::format("DELETE znodes/{}?recurse=1", own)) == ServiceStatus::kForbidden);
  }
  CHECK(status("GET znodes/kvd/config") == ServiceStatus::kOk);
  CHECK(status("DELETE znodes/?recurse=1") == ServiceStatus::kForbidden);
  CHECK(status("POST znodes/") == ServiceStatus::kConflict);
  CHECK(status("GET znodes/a//b") == ServiceStatus::kInvalid);
  CHECK(status("GET znodes/a/") == ServiceStatus::kInvalid);
  CHECK(status("GET znodes/a?view=x") == ServiceStatus::kInvalid);
  CHECK(status("GET znodes/a?version=x") == ServiceStatus::kInvalid);
  CHECK(status("GET znodes/a?cversion=1") == ServiceStatus::kInvalid);
  CHECK(status("GET znodes/a?view=children&version=1") == ServiceStatus::kInvalid);
  CHECK(status("POST znodes/a?mode=x") == ServiceStatus::kInvalid);
  CHECK(status("POST znodes/a?mode=ephemeral") == ServiceStatus::kInvalid);
  CHECK(status("POST znodes/a?session=" + session) == ServiceStatus::kInvalid);
  CHECK(status("PUT znodes/a?version=-1") == ServiceStatus::kInvalid);
  CHECK(status("DELETE znodes/a?what=1") == ServiceStatus::kInvalid);
  CHECK(harness.ask(0, "POST znodes/a", std::string(65'530, 'x')).status == ServiceStatus::kTooLarge);
  CHECK(harness.ask(0, "PUT znodes/a", std::string(65'536, 'x')).status == ServiceStatus::kTooLarge);
  CHECK_FALSE(harness.exists("/a"));
}
