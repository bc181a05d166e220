// Names and the hosts file as plays (services_harness.hpp): who may change which entry, what is left in ZooKeeper, that no
// two names have the same address, and that nobody is given half a hosts file.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "services_harness.hpp"

using namespace kvd;
using namespace kvd::sim;

namespace {

NodeConfig with_pool(int prefix = 24) {
  NodeConfig config;
  config.names_pool = AddressPool{0x0a140000, prefix};  // 10.20.0.0
  return config;
}

std::string field(const ServiceAnswer& answer, const std::string& name) {
  for (const NamedText& one : answer.fields) {
    if (one.name == name) return one.value;
  }
  return {};
}

std::string hosts(ServicesPlay& play, int server = 0, const std::string& query = "") {
  const ServiceAnswer answer = play.ask(server, "GET hosts" + query);
  CHECK(field(answer, "Kvd-Complete") == "true");
  return answer.text;
}

std::string at(const std::string& address) { return R"({"address":")" + address + "\"}"; }

// Every claim is of a name that has that address, and every allocated address is claimed: none twice.
void check_claims(ServicesPlay& play) {
  std::map<std::string, std::string> claims;
  for (const std::string& address : play.children("/kvd/addresses"))
    claims[play.znode("/kvd/addresses/" + address).data] = address;
  CHECK(claims.size() == play.children("/kvd/addresses").size());
  size_t allocated = 0;
  const ServiceAnswer all = play.ask(0, "GET names?recurse=1");
  for (const auto& [name, address] : claims) {
    CHECK(all.text.find(fmt::format(R"("path":"{}","address":"{}")", name, address)) != std::string::npos);
    CHECK(play.znode("/names/" + name).ephemeral_owner ==
          play.znode("/kvd/addresses/" + address).ephemeral_owner);
  }
  for (size_t from = 0; (from = all.text.find(R"("allocated":true)", from)) != std::string::npos; ++from)
    ++allocated;
  CHECK(allocated == claims.size());
}

}  // namespace

TEST_CASE("names: an entry without a session stays until it is deleted") {
  ServicesPlay play;
  const ServiceAnswer made =
      play.ask(0, "PUT names/web/1", R"({"address":"10.0.0.5","port":80,"meta":{ "a" : 1 }})");
  CHECK(made.verdict == Verdict::kCreated);
  CHECK(play.member(made, "path") == "web/1");
  CHECK(play.member(made, "address") == "10.0.0.5");
  CHECK(play.znode("/names/web/1").data == R"({"address":"10.0.0.5","port":80,"meta":{"a":1}})");
  CHECK(play.znode("/names/web/1").ephemeral_owner == 0);
  const ServiceAnswer got = play.ask(0, "GET names/web/1");
  CHECK(got.text ==
        fmt::format(R"({{"path":"web/1","address":"10.0.0.5","port":80,"allocated":false,"ephemeral":false,)"
                    R"("version":{},"meta":{{"a":1}}}})",
                    play.member(made, "version")));
  CHECK(play.ask(0, "DELETE names/web/1").verdict == Verdict::kDone);
  CHECK_FALSE(play.exists("/names/web/1"));
  CHECK(play.ask(0, "GET names/web/1").verdict == Verdict::kNotFound);
  CHECK(play.ask(0, "DELETE names/web/1").verdict == Verdict::kNotFound);
}

TEST_CASE("names: a change makes a larger version and the same again makes none") {
  ServicesPlay play;
  const ServiceAnswer one = play.ask(0, "PUT names/web/1", at("10.0.0.5"));
  const ServiceAnswer same = play.ask(0, "PUT names/web/1", at("10.0.0.5"));
  CHECK(same.verdict == Verdict::kOk);
  CHECK(same.text == one.text);
  const ServiceAnswer two = play.ask(0, "PUT names/web/1", at("10.0.0.6"));
  CHECK(two.verdict == Verdict::kOk);
  CHECK(std::stoll(play.member(two, "version")) > std::stoll(play.member(one, "version")));
  play.ask(0, "DELETE names/web/1");
  const ServiceAnswer anew = play.ask(0, "PUT names/web/1", at("10.0.0.5"));
  CHECK(anew.verdict == Verdict::kCreated);
  CHECK(std::stoll(play.member(anew, "version")) > std::stoll(play.member(two, "version")));
}

TEST_CASE("names: a session's entry goes with the session and is nobody else's") {
  ServicesPlay play(2);
  const std::string one = play.open_session(0);
  const std::string two = play.open_session(1);
  CHECK(play.ask(0, "PUT names/web/1?session=" + one, at("10.0.0.5")).verdict == Verdict::kCreated);
  CHECK(play.znode("/names/web/1").ephemeral_owner != 0);
  CHECK(play.ask(1, "PUT names/web/1?session=" + one, at("10.0.0.6")).verdict ==
        Verdict::kOk);  // from anywhere
  CHECK(play.ask(0, "PUT names/web/1?session=" + two, at("10.0.0.7")).verdict == Verdict::kConflict);
  CHECK(play.ask(1, "PUT names/web/1", at("10.0.0.7")).verdict == Verdict::kConflict);
  CHECK(play.ask(0, "DELETE names/web/1").verdict == Verdict::kConflict);
  CHECK(play.ask(0, "DELETE names/web/1?session=" + two).verdict == Verdict::kConflict);
  CHECK(play.ask(0, "DELETE names/web/2?session=" + two).verdict == Verdict::kNotFound);
  CHECK(play.znode("/names/web/1").data == at("10.0.0.6"));
  play.ask(0, "DELETE sessions/" + one);
  CHECK_FALSE(play.exists("/names/web/1"));
  CHECK(play.ask(0, "PUT names/web/1?session=" + two, at("10.0.0.7")).verdict == Verdict::kCreated);
  CHECK(play.ask(0, "DELETE names/web/1?session=" + two).verdict == Verdict::kDone);
  CHECK_FALSE(play.exists("/names/web/1"));
}

TEST_CASE("names: two sessions of one server do not share an entry") {
  ServicesPlay play;
  const std::string one = play.open_session(0);
  const std::string two = play.open_session(0);
  play.ask(0, "PUT names/web/1?session=" + one, at("10.0.0.5"));
  CHECK(play.ask(0, "PUT names/web/1?session=" + two, at("10.0.0.5")).verdict == Verdict::kConflict);
  CHECK(play.ask(0, "DELETE names/web/1?session=" + two).verdict == Verdict::kConflict);
}

TEST_CASE("names: nothing stands below a session's entry and it takes no place of others") {
  ServicesPlay play;
  const std::string one = play.open_session(0);
  play.ask(0, "PUT names/web?session=" + one, at("10.0.0.5"));
  for (const char* path : {"web/1", "web/1/2"}) {
    const ServiceAnswer below = play.ask(0, fmt::format("PUT names/{}", path), at("10.0.0.6"));
    CHECK(below.verdict == Verdict::kConflict);
    CHECK(below.text.find("a name above it is a session's") != std::string::npos);
  }
  play.ask(0, "PUT names/api", at("10.0.0.6"));
  play.ask(0, "PUT names/db/1", at("10.0.0.6"));
  CHECK(play.ask(0, "PUT names/api?session=" + one, at("10.0.0.5")).verdict == Verdict::kConflict);
  CHECK(play.ask(0, "PUT names/db?session=" + one, at("10.0.0.5")).verdict == Verdict::kConflict);
}

TEST_CASE("names: an entry can be deleted from above others and an empty place too") {
  ServicesPlay play(1, with_pool());
  play.ask(0, "PUT names/web/1", "");
  play.ask(0, "PUT names/web", "");
  CHECK(play.children("/kvd/addresses").size() == 2);
  CHECK(play.ask(0, "DELETE names/web").verdict == Verdict::kDone);
  CHECK(play.children("/kvd/addresses").size() == 1);
  CHECK(play.ask(0, "GET names/web").verdict == Verdict::kNotFound);
  CHECK(play.ask(0, "GET names/web/1").verdict == Verdict::kOk);
  CHECK(play.ask(0, "DELETE names/web").verdict == Verdict::kConflict);
  CHECK(play.ask(0, "DELETE names/web/1").verdict == Verdict::kDone);
  CHECK(play.ask(0, "DELETE names/web").verdict == Verdict::kDone);
  CHECK_FALSE(play.exists("/names/web"));
  CHECK(play.children("/kvd/addresses").empty());
}

TEST_CASE("names: a connection holds an entry and hears of it now and then") {
  ServicesPlay play;
  const uint64_t holds = play.send(0, "POST names/web/1?hold=1", at("10.0.0.5"));
  REQUIRE(play.heard(holds).lines.size() == 1);
  CHECK(play.member(play.heard(holds).lines[0], "address") == "10.0.0.5");
  CHECK(play.ask(0, "POST names/web/1", at("10.0.0.5")).verdict == Verdict::kInvalid);
  const uint64_t second = play.send(0, "POST names/web/1?hold=1", at("10.0.0.6"));
  REQUIRE(play.heard(second).ended);
  CHECK(play.heard(second).answer->verdict == Verdict::kConflict);
  play.pass(seconds(11));
  REQUIRE(play.heard(holds).lines.size() == 2);
  CHECK(play.heard(holds).lines[0] == play.heard(holds).lines[1]);
  play.hang_up(holds);
  CHECK_FALSE(play.exists("/names/web/1"));
}

TEST_CASE("names: who holds one is told before it goes when ZooKeeper may forget the server") {
  ServicesPlay play(2, with_pool());
  const uint64_t holds = play.send(0, "POST names/web/1?hold=1");
  play.cut(0);
  play.pass(milliseconds(4500));
  CHECK(play.member(play.heard(holds).lines.back(), "state") == "lost");
  CHECK_FALSE(play.heard(holds).ended);
  play.mend(0);
  CHECK(play.exists("/names/web/1"));  // the grace is not over
  play.pass(seconds(3));
  CHECK(play.heard(holds).ended);
  CHECK_FALSE(play.exists("/names/web/1"));
  CHECK(play.children("/kvd/addresses").empty());
}

TEST_CASE("names: an entry that others delete is lost and its claim goes") {
  ServicesPlay play(1, with_pool());
  const uint64_t holds = play.send(0, "POST names/web/1?hold=1");
  CHECK(play.children("/kvd/addresses").size() == 1);
  play.zk(ZkDelete{"/names/web/1"});
  CHECK(play.heard(holds).ended);
  CHECK(play.member(play.heard(holds).lines.back(), "reason") == "its znode was deleted");
  CHECK(play.children("/kvd/addresses").empty());
}

TEST_CASE("names: with a server's end its sessions' entries and claims vanish together") {
  ServicesPlay play(2, with_pool());
  play.ask(0, "PUT names/web/1?session=" + play.open_session(0), "");
  play.ask(0, "PUT names/web/2", "");
  const std::string before = hosts(play, 1);
  play.kill(0);
  CHECK(hosts(play, 1) == before);
  play.pass(seconds(7));
  CHECK(hosts(play, 1) != before);
  CHECK(play.children("/names/web") == std::vector<std::string>{"2"});
  CHECK(play.children("/kvd/addresses").size() == 1);
}

// ---- addresses ----

TEST_CASE("names: who brings no address gets one that stays its own") {
  ServicesPlay play(1, with_pool());
  const std::string address = play.member(play.ask(0, "PUT names/web/1", ""), "address");
  CHECK(address.starts_with("10.20.0."));
  CHECK(play.member(play.ask(0, "PUT names/web/1", R"({"port":80})"), "address") == address);
  CHECK(play.znode("/kvd/addresses/" + address).data == "web/1");
  check_claims(play);
  play.ask(0, "DELETE names/web/1");
  CHECK(play.children("/kvd/addresses").empty());
  CHECK(play.member(play.ask(0, "PUT names/web/1", ""), "address") == address);  // it tends to
  CHECK(play.ask(0, "PUT names/web/1", at("10.0.0.5")).verdict == Verdict::kOk);
  CHECK(play.children("/kvd/addresses").empty());
  CHECK(play.member(play.ask(0, "PUT names/web/1", ""), "address") == address);
  check_claims(play);
}

TEST_CASE("names: without a pool an address has to be brought") {
  ServicesPlay play;
  const ServiceAnswer refused = play.ask(0, "PUT names/web/1", "");
  CHECK(refused.verdict == Verdict::kInvalid);
  CHECK(refused.text.find("--names-pool") != std::string::npos);
  const std::string one = play.open_session(0);
  CHECK(play.ask(0, "PUT names/web/1?session=" + one, "").verdict == Verdict::kInvalid);
  CHECK(play.ask(0, "PUT names/web/1?session=" + one, at("10.0.0.1")).verdict == Verdict::kCreated);
}

TEST_CASE("names: no two have the same address and a full pool says so") {
  ServicesPlay play(2, with_pool(28));
  std::set<std::string> addresses;
  const std::string session = play.open_session(1);
  for (int i = 0; i < 14; ++i) {
    const std::string more = i % 2 == 0 ? "" : "?session=" + session;
    const ServiceAnswer made = play.ask(i % 2, fmt::format("PUT names/web/n{}{}", i, more), "");
    CHECK(made.verdict == Verdict::kCreated);
    addresses.insert(play.member(made, "address"));
  }
  CHECK(addresses.size() == 14);
  CHECK_FALSE(addresses.contains("10.20.0.0"));
  CHECK_FALSE(addresses.contains("10.20.0.15"));
  check_claims(play);
  const ServiceAnswer refused = play.ask(0, "PUT names/web/late", "");
  CHECK(refused.verdict == Verdict::kUnavailable);
  CHECK(refused.text.find("exhausted") != std::string::npos);
  play.ask(0, "DELETE names/web/n4");
  CHECK(play.ask(0, "PUT names/web/late", "").verdict == Verdict::kCreated);
  check_claims(play);
}

TEST_CASE("names: a claim that others left behind is the name's own again and no other's") {
  ServicesPlay play(1, with_pool(30));
  const std::string address = play.member(play.ask(0, "PUT names/web/1", ""), "address");
  play.zk(ZkDelete{"/names/web/1"});
  const std::string session = play.open_session(0);
  CHECK(play.member(play.ask(0, "PUT names/web/2", ""), "address") != address);
  CHECK(play.ask(0, "PUT names/web/3", "").verdict == Verdict::kUnavailable);
  CHECK(play.member(play.ask(0, "PUT names/web/1?session=" + session, ""), "address") == address);
  check_claims(play);
}

TEST_CASE("names: an entry whose claim others deleted can still go") {
  ServicesPlay play(1, with_pool());
  const std::string session = play.open_session(0);
  const std::string one = play.member(play.ask(0, "PUT names/web/1", ""), "address");
  const std::string two = play.member(play.ask(0, "PUT names/web/2?session=" + session, ""), "address");
  const std::string three = play.member(play.ask(0, "PUT names/web/3", ""), "address");
  for (const std::string& address : {one, two, three}) play.zk(ZkDelete{"/kvd/addresses/" + address});
  CHECK(play.ask(0, "DELETE names/web/1").verdict == Verdict::kDone);
  CHECK(play.ask(0, "DELETE names/web/2?session=" + session).verdict == Verdict::kDone);
  CHECK(play.ask(0, "PUT names/web/3", at("10.0.0.1")).verdict == Verdict::kOk);
  CHECK(play.children("/names/web") == std::vector<std::string>{"3"});
}

TEST_CASE("names: an address that is another's by now stays the other's when the former name goes") {
  ServicesPlay play(1, with_pool(30));  // two addresses
  const std::string session = play.open_session(0);
  const std::string kept = play.member(play.ask(0, "PUT names/web/1", ""), "address");
  const std::string held = play.member(play.ask(0, "PUT names/web/2?session=" + session, ""), "address");
  for (const std::string& address : {kept, held}) play.zk(ZkDelete{"/kvd/addresses/" + address});
  for (const char* name : {"x", "y"})
    CHECK(play.ask(0, fmt::format("PUT names/{}", name), "").verdict == Verdict::kCreated);
  CHECK(play.ask(0, "DELETE names/web/1").verdict == Verdict::kDone);
  CHECK(play.ask(0, "PUT names/web/2?session=" + session, at("10.0.0.1")).verdict == Verdict::kOk);
  CHECK(play.ask(0, "DELETE names/web/2?session=" + session).verdict == Verdict::kDone);
  CHECK(play.children("/kvd/addresses").size() == 2);
  check_claims(play);
}

TEST_CASE("names: a removal that ZooKeeper forbids is tried again only after a while") {
  ServicesPlay play;
  const std::string session = play.open_session(0);
  play.ask(0, "PUT names/web/1?session=" + session, at("10.0.0.1"));
  play.forbid_changes("/names/web");
  CHECK(play.ask(0, "DELETE names/web/1?session=" + session).verdict == Verdict::kForbidden);
  play.take_calls();
  play.pass(seconds(3));
  CHECK(play.take_calls() < 20);
}

TEST_CASE("names: a registration whose answer is lost is found done and not done twice") {
  ServicesPlay play(1, with_pool());
  play.ask(0, "PUT names/web/0", "");
  play.lose_answer_of(0, ServicesPlay::Kind::kMulti);
  const uint64_t asks = play.send(0, "PUT names/web/1", "");
  CHECK_FALSE(play.heard(asks).ended);
  CHECK(play.exists("/names/web/1"));
  play.mend(0);
  REQUIRE(play.heard(asks).ended);
  CHECK(play.heard(asks).answer->verdict == Verdict::kOk);
  CHECK(play.znode("/names/web/1").version == 1);
  check_claims(play);
}

TEST_CASE("names: a session's registration whose answer is lost goes with the session") {
  ServicesPlay play(1, with_pool());
  play.ask(0, "PUT names/web/0", "");
  const std::string session = play.open_session(0);
  play.lose_answer_of(0, ServicesPlay::Kind::kMulti);
  const uint64_t asks = play.send(0, "PUT names/web/1?session=" + session, "");
  play.hang_up(asks);
  CHECK(play.exists("/names/web/1"));
  play.mend(0);
  CHECK(play.ask(0, "DELETE sessions/" + session).verdict == Verdict::kDone);
  CHECK_FALSE(play.exists("/names/web/1"));
  check_claims(play);
}

TEST_CASE("names: a deletion whose answer is lost is found done") {
  ServicesPlay play(1, with_pool());
  play.ask(0, "PUT names/web/1", "");
  play.lose_answer_of(0, ServicesPlay::Kind::kMulti);
  const uint64_t asks = play.send(0, "DELETE names/web/1");
  CHECK_FALSE(play.heard(asks).ended);
  play.mend(0);
  REQUIRE(play.heard(asks).ended);
  CHECK(play.heard(asks).answer->verdict == Verdict::kDone);
  CHECK(play.children("/kvd/addresses").empty());
}

TEST_CASE("names: what a session gives back while the answer is lost goes with the connection's return") {
  ServicesPlay play(1, with_pool());
  const std::string session = play.open_session(0);
  play.ask(0, "PUT names/web/1?session=" + session, "");
  play.lose_answer_of(0, ServicesPlay::Kind::kMulti);
  const uint64_t asks = play.send(0, "DELETE names/web/1?session=" + session);
  REQUIRE(play.heard(asks).ended);
  CHECK(play.heard(asks).answer->verdict == Verdict::kUnknown);
  play.mend(0);
  check_claims(play);
  CHECK_FALSE(play.exists("/names/web/1"));
  CHECK(play.ask(0, "PUT names/web/1?session=" + session, "").verdict == Verdict::kCreated);
}

// ---- reading ----

TEST_CASE("names: a look waits until the entry is another") {
  ServicesPlay play(2);
  const uint64_t first = play.send(0, "GET names/web/1?version=0&wait=60000");
  CHECK_FALSE(play.heard(first).ended);
  const ServiceAnswer made = play.ask(1, "PUT names/web/1", at("10.0.0.5"));
  REQUIRE(play.heard(first).ended);
  CHECK(play.member(*play.heard(first).answer, "address") == "10.0.0.5");
  const std::string again = fmt::format("GET names/web/1?version={}&wait=1000", play.member(made, "version"));
  const uint64_t changed = play.send(0, again);
  CHECK_FALSE(play.heard(changed).ended);
  const ServiceAnswer now = play.ask(1, "PUT names/web/1", at("10.0.0.6"));
  REQUIRE(play.heard(changed).ended);
  CHECK(play.member(*play.heard(changed).answer, "version") == play.member(now, "version"));
  const std::string last = fmt::format("GET names/web/1?version={}&wait=1000", play.member(now, "version"));
  const uint64_t same = play.send(0, last);
  play.pass(milliseconds(990));
  CHECK_FALSE(play.heard(same).ended);
  play.pass(milliseconds(20));
  REQUIRE(play.heard(same).ended);
  CHECK(play.heard(same).answer->verdict == Verdict::kOk);
  const uint64_t gone = play.send(0, last);
  play.ask(1, "DELETE names/web/1");
  REQUIRE(play.heard(gone).ended);
  CHECK(play.heard(gone).answer->verdict == Verdict::kNotFound);
}

TEST_CASE("names: a look below a path has all entries and a version that changes with them") {
  ServicesPlay play(2);
  play.ask(0, "PUT names/web/2", at("10.0.0.2"));
  play.ask(0, "PUT names/web/1", at("10.0.0.1"));
  play.ask(0, "PUT names/web-x", at("10.0.0.3"));
  const ServiceAnswer all = play.ask(1, "GET names/web?recurse=1");
  CHECK(all.text.find(R"("path":"web/1","address":"10.0.0.1")") < all.text.find(R"("path":"web/2")"));
  CHECK(all.text.find("web-x") == std::string::npos);
  CHECK(play.member(play.ask(0, "GET names/web?recurse=1"), "version") == play.member(all, "version"));
  const std::string wait =
      fmt::format("GET names/web?recurse=1&version={}&wait=60000", play.member(all, "version"));
  const uint64_t looks = play.send(1, wait);
  play.ask(0, "PUT names/web-x", at("10.0.0.4"));
  CHECK_FALSE(play.heard(looks).ended);
  play.ask(0, "PUT names/web/2", at("10.0.0.5"));
  REQUIRE(play.heard(looks).ended);
  CHECK(play.heard(looks).answer->text.find("10.0.0.5") != std::string::npos);
  CHECK(play.ask(0, "GET names/none?recurse=1").text == R"({"path":"none","version":0,"entries":[]})");
  CHECK(play.ask(0, "GET names?recurse=1").text.find("web-x") != std::string::npos);
}

TEST_CASE("hosts: the tree as lines that change with it on every server") {
  ServicesPlay play(2);
  CHECK(hosts(play).empty());
  play.ask(0, "PUT names/web/api/1", at("10.0.0.1"));
  play.ask(1, "PUT names/db/main?session=" + play.open_session(1), at("2001:db8::2"));
  CHECK(hosts(play) == "2001:db8::2\tmain.db main\n10.0.0.1\t1.api.web\n");
  CHECK(hosts(play, 1) == hosts(play, 0));
  CHECK(hosts(play, 0, "?zone=db") == "2001:db8::2\tmain.db main\n");
  const ServiceAnswer text = play.ask(0, "GET hosts");
  CHECK(text.form == Form::kText);
  const std::string version = field(text, "Kvd-Hosts-Version");
  CHECK(field(play.ask(1, "GET hosts"), "Kvd-Hosts-Version") == version);
  CHECK(
      play.ask(0, "GET hosts?format=json").text ==
      fmt::format(
          R"({{"version":{},"complete":true,"hosts":[{{"address":"2001:db8::2","names":["main.db","main"]}},)"
          R"({{"address":"10.0.0.1","names":["1.api.web"]}}]}})",
          version));
  const uint64_t waits = play.send(0, "GET hosts?wait=60000&since=" + version);
  CHECK_FALSE(play.heard(waits).ended);
  play.ask(1, "PUT names/web/api/1", R"({"address":"10.0.0.1","port":81})");  // not in the lines
  CHECK_FALSE(play.heard(waits).ended);
  play.ask(1, "DELETE names/web/api/1");
  REQUIRE(play.heard(waits).ended);
  CHECK(play.heard(waits).answer->text == "2001:db8::2\tmain.db main\n");
}

TEST_CASE("hosts: what others wrote is left out where it makes no line") {
  ServicesPlay play;
  play.ask(0, "PUT names/web/1", at("10.0.0.1"));
  for (const char* path : {"/names/web/Upper", "/names/web/localhost", "/names/web/a b", "/names/7"})
    play.zk(ZkCreate{path, at("10.0.0.66"), ZkMode::kPersistent});
  play.zk(ZkCreate{"/names/web/bad", R"({"address":"10.0.0.66 evil"})", ZkMode::kPersistent});
  play.zk(ZkCreate{"/names/web/good", R"({"address":"10.0.0.2","weight":1})", ZkMode::kPersistent});
  CHECK(hosts(play) == "10.0.0.1\t1.web\n10.0.0.2\tgood.web good\n");
  CHECK(play.ask(0, "GET names/web/bad").verdict == Verdict::kNotFound);
  CHECK(play.ask(0, "PUT names/web/bad", at("10.0.0.3")).verdict == Verdict::kCreated);
  play.zk(ZkDelete{"/names/web/good"});
  CHECK(hosts(play) == "10.0.0.1\t1.web\n10.0.0.3\tbad.web bad\n");
}

TEST_CASE("hosts: nobody is given half of it") {
  ServicesPlay play(2);
  play.ask(0, "PUT names/web/1", at("10.0.0.1"));
  const std::string version = field(play.ask(0, "GET hosts"), "Kvd-Hosts-Version");
  const uint64_t waits = play.send(0, "GET hosts?wait=3000&since=" + version);
  play.cut(0);
  play.ask(1, "PUT names/web/2", at("10.0.0.2"));
  play.pass(milliseconds(2990));
  CHECK_FALSE(play.heard(waits).ended);
  play.pass(milliseconds(20));
  REQUIRE(play.heard(waits).ended);
  CHECK(field(*play.heard(waits).answer, "Kvd-Complete") == "false");
  CHECK(field(*play.heard(waits).answer, "Kvd-Hosts-Version") == "0");
  CHECK(play.heard(waits).answer->text.empty());
  play.mend(0);
  CHECK(hosts(play) == "10.0.0.1\t1.web\n10.0.0.2\t2.web\n");
}

TEST_CASE("hosts: who waits across a reconnection gets what changed meanwhile") {
  ServicesPlay play(2);
  play.ask(0, "PUT names/web/1", at("10.0.0.1"));
  const std::string version = field(play.ask(0, "GET hosts"), "Kvd-Hosts-Version");
  const uint64_t same = play.send(0, "GET hosts?wait=60000&since=" + version);
  play.cut(0);
  play.pass(seconds(1));
  play.mend(0);
  CHECK_FALSE(play.heard(same).ended);
  play.cut(0);
  play.pass(seconds(7));  // another session
  play.ask(1, "PUT names/web/2", at("10.0.0.2"));
  play.mend(0);
  REQUIRE(play.heard(same).ended);
  CHECK(play.heard(same).answer->text == "10.0.0.1\t1.web\n10.0.0.2\t2.web\n");
}

TEST_CASE("hosts: what changes while it is being read is read again") {
  ServicesPlay play;
  play.ask(0, "PUT names/a/b", at("10.0.0.99"));
  hosts(play);
  for (int writes = 1; writes <= 8; ++writes) {
    std::vector<ZkRequest> requests;
    for (int i = 1; i <= writes; ++i)
      requests.push_back(ZkSet{"/names/a/b", at(fmt::format("10.0.{}.{}", writes, i))});
    play.zk_between_turns(std::move(requests));
    CHECK(hosts(play) == fmt::format("10.0.{0}.{0}\tb.a b\n", writes));
    // Gone and there again, as another kind with others below.
    requests = {ZkDelete{"/names/a/b"}, ZkCreate{"/names/a/b", "", ZkMode::kPersistent}};
    for (int i = 1; i <= writes; ++i)
      requests.push_back(ZkCreate{fmt::format("/names/a/b/c{}", i), at("10.0.0.1"), ZkMode::kPersistent});
    play.zk_between_turns(std::move(requests));
    std::string lines;
    for (int i = 1; i <= writes; ++i) lines += fmt::format("10.0.0.1\tc{0}.b.a c{0}\n", i);
    CHECK(hosts(play) == lines);
    requests.clear();
    for (int i = 1; i <= writes; ++i) requests.push_back(ZkDelete{fmt::format("/names/a/b/c{}", i)});
    play.zk_between_turns(std::move(requests));
    CHECK(hosts(play).empty());
  }
}

TEST_CASE("names: who waits for an entry across a new ZooKeeper session hears of it") {
  ServicesPlay play(2);
  const uint64_t waits = play.send(0, "GET names/a/b?version=0&wait=60000");
  play.cut(0);
  play.pass(seconds(7));
  play.mend(0);
  CHECK_FALSE(play.heard(waits).ended);
  play.ask(1, "PUT names/a/b", at("10.0.0.1"));
  CHECK(play.heard(waits).ended);
}

TEST_CASE("hosts: nothing is watched before it is asked for and nothing polled afterwards") {
  ServicesPlay play(2);
  play.take_calls();
  for (int i = 0; i < 50; ++i)
    play.zk(ZkCreate{fmt::format("/names{}", i == 0 ? "" : fmt::format("/n{}", i)),
                     i == 0 ? "" : at("10.0.0.1"), ZkMode::kPersistent});
  CHECK(play.take_calls() == 0);
  hosts(play);
  play.take_calls();
  play.pass(seconds(30));
  hosts(play);
  CHECK(play.take_calls() == 0);
  play.zk(ZkSet{"/names/n7", at("10.0.0.2")});
  CHECK(play.take_calls() == 2);  // its data and its children
}

TEST_CASE(
    "hosts: a tree that is too large is refused in a sentence and read again when it was made smaller") {
  ServicesPlay play;
  const std::string label(63, 'a');
  std::string path = "/names";
  play.zk(ZkCreate{path, "", ZkMode::kPersistent});
  for (int i = 0; i < 3; ++i) play.zk(ZkCreate{path += "/" + label, "", ZkMode::kPersistent});
  std::vector<std::string> made;
  for (int i = 0; i < 950; ++i) {
    made.push_back(fmt::format("{}/n{}", path, i));
    play.zk(ZkCreate{made.back(), at("10.0.0.1"), ZkMode::kPersistent});
  }
  CHECK(play.ask(0, "GET hosts").verdict == Verdict::kTooLarge);
  CHECK(play.ask(0, "GET names?recurse=1").verdict == Verdict::kTooLarge);
  for (const std::string& one : made) play.zk(ZkDelete{one});
  CHECK(play.ask(0, "GET hosts").verdict == Verdict::kTooLarge);
  play.pass(seconds(61));
  CHECK(hosts(play).empty());
}

TEST_CASE("names: a root that others deleted is made again") {
  ServicesPlay play;
  CHECK(hosts(play).empty());
  play.zk(ZkDelete{"/names"});
  play.ask(0, "PUT names/a/b", at("10.0.0.1"));
  CHECK(hosts(play) == "10.0.0.1\tb.a b\n");
}

TEST_CASE("names: what ZooKeeper forbids is said") {
  ServicesPlay play;
  play.ask(0, "PUT names/a/b", at("10.0.0.1"));
  play.forbid_changes("/names/a");
  CHECK(play.ask(0, "PUT names/a/c", at("10.0.0.1")).verdict == Verdict::kForbidden);
  CHECK(play.ask(0, "DELETE names/a/b").verdict == Verdict::kForbidden);
}

TEST_CASE("names: what is wrong with a request is said") {
  ServicesPlay play;
  auto verdict = [&play](std::string_view request, std::string body = "") {
    const ServiceAnswer answer = play.ask(0, request, std::move(body));
    CHECK_FALSE(answer.text.empty());
    return answer.verdict;
  };
  CHECK(verdict("PUT names", at("10.0.0.1")) == Verdict::kInvalid);
  CHECK(verdict("PUT names/A", at("10.0.0.1")) == Verdict::kInvalid);
  CHECK(verdict("PUT names/a?x=1", at("10.0.0.1")) == Verdict::kInvalid);
  CHECK(verdict("PUT names/a", "{") == Verdict::kInvalid);
  CHECK(verdict("PUT names/a", R"({"meta":{"x":")" + std::string(8192, 'x') + R"("}})") ==
        Verdict::kTooLarge);
  CHECK(verdict("GET names") == Verdict::kInvalid);
  CHECK(verdict("GET names/a?recurse=2") == Verdict::kInvalid);
  CHECK(verdict("GET names/a?version=x") == Verdict::kInvalid);
  CHECK(verdict("GET names/a?since=1") == Verdict::kInvalid);
  CHECK(verdict("DELETE names/a?recurse=1") == Verdict::kInvalid);
  CHECK(verdict("GET hosts/a") == Verdict::kNotFound);
  CHECK(verdict("GET hosts?zone=A") == Verdict::kInvalid);
  CHECK(verdict("GET hosts?format=xml") == Verdict::kInvalid);
  CHECK(verdict("GET hosts?version=1") == Verdict::kInvalid);
  CHECK(verdict("PUT hosts") == Verdict::kWrongVerb);
}

TEST_CASE("names: a part that cannot be read is not told as complete") {
  ServicesPlay play;
  play.ask(0, "PUT names/db/a", R"({"address":"10.0.0.1"})");
  play.ask(0, "PUT names/web/a", R"({"address":"10.0.0.2"})");
  const auto incomplete = [&](const char* request) {
    const uint64_t asks = play.send(0, request);
    play.pass(seconds(2));
    REQUIRE(play.heard(asks).ended);
    const auto& fields = play.heard(asks).answer->fields;
    CHECK(play.heard(asks).answer->text.find("10.0.0") == std::string::npos);
    return std::any_of(fields.begin(), fields.end(), [](const NamedText& one) {
      return one.name == "Kvd-Complete" && one.value == "false";
    });
  };
  SUBCASE("from the beginning") {}
  SUBCASE("from some moment on") {
    CHECK(play.ask(0, "GET hosts").text.find("10.0.0.1") != std::string::npos);
  }
  play.hide("/names/db");
  play.zk(ZkCreate{"/names/db/b", "", ZkMode::kPersistent});  // ACLs themselves are not watched
  CHECK(incomplete("GET hosts"));
  CHECK(incomplete("GET hosts?zone=db"));
  CHECK(incomplete("GET hosts?zone=db/a"));
  CHECK(incomplete("GET hosts?format=json"));
  CHECK(play.ask(0, "GET hosts?zone=web").text == "10.0.0.2\ta.web a\n");
  CHECK(play.ask(0, "GET names?recurse=1").verdict == Verdict::kForbidden);
  CHECK(play.ask(0, "GET names/db").verdict == Verdict::kForbidden);
  CHECK(play.ask(0, "GET names/web?recurse=1").verdict == Verdict::kOk);
  play.take_calls();
  play.pass(seconds(60));
  CHECK(play.take_calls() < 10);  // it is tried again only when somebody asks
}
