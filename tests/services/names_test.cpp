// Names and the hosts file (services_harness.hpp): who may change which entry, what is left in ZooKeeper, that no
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

// Of an answer about hosts.
std::string version_of_hosts(const ServiceAnswer& answer) {
  return std::to_string(*answer.notes.number(kNoteHostsVersion));
}
bool is_complete(const ServiceAnswer& answer) {
  return std::get<bool>(answer.notes.find(kNoteComplete)->content);
}

std::string hosts(ServicesHarness& harness, int server = 0, const std::string& query = "") {
  const ServiceAnswer answer = harness.ask(server, "GET hosts" + query);
  CHECK(is_complete(answer));
  return words_of(answer);
}

std::string at(const std::string& address) { return R"({"address":")" + address + "\"}"; }

// Every claim is of a name that has that address, and every allocated address is claimed: none twice.
void check_claims(ServicesHarness& harness) {
  std::map<std::string, std::string> claims;
  for (const std::string& address : harness.children("/kvd/addresses"))
    claims[harness.znode("/kvd/addresses/" + address).data] = address;
  CHECK(claims.size() == harness.children("/kvd/addresses").size());
  size_t allocated = 0;
  const ServiceAnswer all = harness.ask(0, "GET names?recurse=1");
  for (const auto& [name, address] : claims) {
    CHECK(words_of(all).find(fmt::format(R"("path":"{}","address":"{}")", name, address)) !=
          std::string::npos);
    CHECK(harness.znode("/names/" + name).ephemeral_owner ==
          harness.znode("/kvd/addresses/" + address).ephemeral_owner);
  }
  for (size_t from = 0; (from = words_of(all).find(R"("allocated":true)", from)) != std::string::npos; ++from)
    ++allocated;
  CHECK(allocated == claims.size());
}

}  // namespace

TEST_CASE("names: an entry without a session stays until it is deleted") {
  ServicesHarness harness;
  const ServiceAnswer made =
      harness.ask(0, "PUT names/web/1", R"({"address":"10.0.0.5","port":80,"meta":{ "a" : 1 }})");
  CHECK(made.status == ServiceStatus::kCreated);
  CHECK(harness.member(made, "path") == "web/1");
  CHECK(harness.member(made, "address") == "10.0.0.5");
  CHECK(harness.znode("/names/web/1").data == R"({"address":"10.0.0.5","port":80,"meta":{"a":1}})");
  CHECK(harness.znode("/names/web/1").ephemeral_owner == 0);
  const ServiceAnswer got = harness.ask(0, "GET names/web/1");
  CHECK(words_of(got) ==
        fmt::format(R"({{"path":"web/1","address":"10.0.0.5","port":80,"allocated":false,"ephemeral":false,)"
                    R"("version":{},"meta":{{"a":1}}}})",
                    harness.member(made, "version")));
  CHECK(harness.ask(0, "DELETE names/web/1").status == ServiceStatus::kDone);
  CHECK_FALSE(harness.exists("/names/web/1"));
  CHECK(harness.ask(0, "GET names/web/1").status == ServiceStatus::kNotFound);
  CHECK(harness.ask(0, "DELETE names/web/1").status == ServiceStatus::kNotFound);
}

TEST_CASE("names: a change makes a larger version and the same again makes none") {
  ServicesHarness harness;
  const ServiceAnswer one = harness.ask(0, "PUT names/web/1", at("10.0.0.5"));
  const ServiceAnswer same = harness.ask(0, "PUT names/web/1", at("10.0.0.5"));
  CHECK(same.status == ServiceStatus::kOk);
  CHECK(words_of(same) == words_of(one));
  const ServiceAnswer two = harness.ask(0, "PUT names/web/1", at("10.0.0.6"));
  CHECK(two.status == ServiceStatus::kOk);
  CHECK(std::stoll(harness.member(two, "version")) > std::stoll(harness.member(one, "version")));
  harness.ask(0, "DELETE names/web/1");
  const ServiceAnswer anew = harness.ask(0, "PUT names/web/1", at("10.0.0.5"));
  CHECK(anew.status == ServiceStatus::kCreated);
  CHECK(std::stoll(harness.member(anew, "version")) > std::stoll(harness.member(two, "version")));
}

TEST_CASE("names: a session's entry goes with the session and is nobody else's") {
  ServicesHarness harness(2);
  const std::string one = harness.open_session(0);
  const std::string two = harness.open_session(1);
  CHECK(harness.ask(0, "PUT names/web/1?session=" + one, at("10.0.0.5")).status == ServiceStatus::kCreated);
  CHECK(harness.znode("/names/web/1").ephemeral_owner != 0);
  CHECK(harness.ask(1, "PUT names/web/1?session=" + one, at("10.0.0.6")).status ==
        ServiceStatus::kOk);  // from anywhere
  CHECK(harness.ask(0, "PUT names/web/1?session=" + two, at("10.0.0.7")).status == ServiceStatus::kConflict);
  CHECK(harness.ask(1, "PUT names/web/1", at("10.0.0.7")).status == ServiceStatus::kConflict);
  CHECK(harness.ask(0, "DELETE names/web/1").status == ServiceStatus::kConflict);
  CHECK(harness.ask(0, "DELETE names/web/1?session=" + two).status == ServiceStatus::kConflict);
  CHECK(harness.ask(0, "DELETE names/web/2?session=" + two).status == ServiceStatus::kNotFound);
  CHECK(harness.znode("/names/web/1").data == at("10.0.0.6"));
  harness.ask(0, "DELETE sessions/" + one);
  CHECK_FALSE(harness.exists("/names/web/1"));
  CHECK(harness.ask(0, "PUT names/web/1?session=" + two, at("10.0.0.7")).status == ServiceStatus::kCreated);
  CHECK(harness.ask(0, "DELETE names/web/1?session=" + two).status == ServiceStatus::kDone);
  CHECK_FALSE(harness.exists("/names/web/1"));
}

TEST_CASE("names: two sessions of one server do not share an entry") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0);
  const std::string two = harness.open_session(0);
  harness.ask(0, "PUT names/web/1?session=" + one, at("10.0.0.5"));
  CHECK(harness.ask(0, "PUT names/web/1?session=" + two, at("10.0.0.5")).status == ServiceStatus::kConflict);
  CHECK(harness.ask(0, "DELETE names/web/1?session=" + two).status == ServiceStatus::kConflict);
}

TEST_CASE("names: nothing stands below a session's entry and it takes no place of others") {
  ServicesHarness harness;
  const std::string one = harness.open_session(0);
  harness.ask(0, "PUT names/web?session=" + one, at("10.0.0.5"));
  for (const char* path : {"web/1", "web/1/2"}) {
    const ServiceAnswer below = harness.ask(0, fmt::format("PUT names/{}", path), at("10.0.0.6"));
    CHECK(below.status == ServiceStatus::kConflict);
    CHECK(words_of(below).find("a name above it is a session's") != std::string::npos);
  }
  harness.ask(0, "PUT names/api", at("10.0.0.6"));
  harness.ask(0, "PUT names/db/1", at("10.0.0.6"));
  CHECK(harness.ask(0, "PUT names/api?session=" + one, at("10.0.0.5")).status == ServiceStatus::kConflict);
  CHECK(harness.ask(0, "PUT names/db?session=" + one, at("10.0.0.5")).status == ServiceStatus::kConflict);
}

TEST_CASE("names: an entry can be deleted from above others and an empty place too") {
  ServicesHarness harness(1, with_pool());
  harness.ask(0, "PUT names/web/1", "");
  harness.ask(0, "PUT names/web", "");
  CHECK(harness.children("/kvd/addresses").size() == 2);
  CHECK(harness.ask(0, "DELETE names/web").status == ServiceStatus::kDone);
  CHECK(harness.children("/kvd/addresses").size() == 1);
  CHECK(harness.ask(0, "GET names/web").status == ServiceStatus::kNotFound);
  CHECK(harness.ask(0, "GET names/web/1").status == ServiceStatus::kOk);
  CHECK(harness.ask(0, "DELETE names/web").status == ServiceStatus::kConflict);
  CHECK(harness.ask(0, "DELETE names/web/1").status == ServiceStatus::kDone);
  CHECK(harness.ask(0, "DELETE names/web").status == ServiceStatus::kDone);
  CHECK_FALSE(harness.exists("/names/web"));
  CHECK(harness.children("/kvd/addresses").empty());
}

TEST_CASE("names: a connection holds an entry and hears of it now and then") {
  ServicesHarness harness;
  const uint64_t holds = harness.send(0, "POST names/web/1?hold=1", at("10.0.0.5"));
  REQUIRE(harness.heard(holds).lines.size() == 1);
  CHECK(harness.member(harness.heard(holds).lines[0], "address") == "10.0.0.5");
  CHECK(harness.ask(0, "POST names/web/1", at("10.0.0.5")).status == ServiceStatus::kInvalid);
  const uint64_t second = harness.send(0, "POST names/web/1?hold=1", at("10.0.0.6"));
  REQUIRE(harness.heard(second).ended);
  CHECK(harness.heard(second).answer->status == ServiceStatus::kConflict);
  harness.pass(seconds(11));
  REQUIRE(harness.heard(holds).lines.size() == 2);
  CHECK(harness.heard(holds).lines[0] == harness.heard(holds).lines[1]);
  harness.hang_up(holds);
  CHECK_FALSE(harness.exists("/names/web/1"));
}

TEST_CASE("names: who holds one is told before it goes when ZooKeeper may forget the server") {
  ServicesHarness harness(2, with_pool());
  const uint64_t holds = harness.send(0, "POST names/web/1?hold=1");
  harness.cut(0);
  harness.pass(milliseconds(4500));
  CHECK(harness.member(harness.heard(holds).lines.back(), "state") == "lost");
  CHECK_FALSE(harness.heard(holds).ended);
  harness.mend(0);
  CHECK(harness.exists("/names/web/1"));  // the grace is not over
  harness.pass(seconds(3));
  CHECK(harness.heard(holds).ended);
  CHECK_FALSE(harness.exists("/names/web/1"));
  CHECK(harness.children("/kvd/addresses").empty());
}

TEST_CASE("names: an entry that others delete is lost and its claim goes") {
  ServicesHarness harness(1, with_pool());
  const uint64_t holds = harness.send(0, "POST names/web/1?hold=1");
  CHECK(harness.children("/kvd/addresses").size() == 1);
  harness.zk(ZkDelete{"/names/web/1"});
  CHECK(harness.heard(holds).ended);
  CHECK(harness.member(harness.heard(holds).lines.back(), "reason") == "its znode was deleted");
  CHECK(harness.children("/kvd/addresses").empty());
}

TEST_CASE("names: with a server's end its sessions' entries and claims vanish together") {
  ServicesHarness harness(2, with_pool());
  harness.ask(0, "PUT names/web/1?session=" + harness.open_session(0), "");
  harness.ask(0, "PUT names/web/2", "");
  const std::string before = hosts(harness, 1);
  harness.kill(0);
  CHECK(hosts(harness, 1) == before);
  harness.pass(seconds(7));
  CHECK(hosts(harness, 1) != before);
  CHECK(harness.children("/names/web") == std::vector<std::string>{"2"});
  CHECK(harness.children("/kvd/addresses").size() == 1);
}

// ---- addresses ----

TEST_CASE("names: who brings no address gets one that stays its own") {
  ServicesHarness harness(1, with_pool());
  const std::string address = harness.member(harness.ask(0, "PUT names/web/1", ""), "address");
  CHECK(address.starts_with("10.20.0."));
  CHECK(harness.member(harness.ask(0, "PUT names/web/1", R"({"port":80})"), "address") == address);
  CHECK(harness.znode("/kvd/addresses/" + address).data == "web/1");
  check_claims(harness);
  harness.ask(0, "DELETE names/web/1");
  CHECK(harness.children("/kvd/addresses").empty());
  CHECK(harness.member(harness.ask(0, "PUT names/web/1", ""), "address") == address);  // it tends to
  CHECK(harness.ask(0, "PUT names/web/1", at("10.0.0.5")).status == ServiceStatus::kOk);
  CHECK(harness.children("/kvd/addresses").empty());
  CHECK(harness.member(harness.ask(0, "PUT names/web/1", ""), "address") == address);
  check_claims(harness);
}

TEST_CASE("names: without a pool an address has to be brought") {
  ServicesHarness harness;
  const ServiceAnswer refused = harness.ask(0, "PUT names/web/1", "");
  CHECK(refused.status == ServiceStatus::kInvalid);
  CHECK(words_of(refused).find("--names-pool") != std::string::npos);
  const std::string one = harness.open_session(0);
  CHECK(harness.ask(0, "PUT names/web/1?session=" + one, "").status == ServiceStatus::kInvalid);
  CHECK(harness.ask(0, "PUT names/web/1?session=" + one, at("10.0.0.1")).status == ServiceStatus::kCreated);
}

TEST_CASE("names: no two have the same address and a full pool says so") {
  ServicesHarness harness(2, with_pool(28));
  std::set<std::string> addresses;
  const std::string session = harness.open_session(1);
  for (int i = 0; i < 14; ++i) {
    const std::string more = i % 2 == 0 ? "" : "?session=" + session;
    const ServiceAnswer made = harness.ask(i % 2, fmt::format("PUT names/web/n{}{}", i, more), "");
    CHECK(made.status == ServiceStatus::kCreated);
    addresses.insert(harness.member(made, "address"));
  }
  CHECK(addresses.size() == 14);
  CHECK_FALSE(addresses.contains("10.20.0.0"));
  CHECK_FALSE(addresses.contains("10.20.0.15"));
  check_claims(harness);
  const ServiceAnswer refused = harness.ask(0, "PUT names/web/late", "");
  CHECK(refused.status == ServiceStatus::kUnavailable);
  CHECK(words_of(refused).find("exhausted") != std::string::npos);
  harness.ask(0, "DELETE names/web/n4");
  CHECK(harness.ask(0, "PUT names/web/late", "").status == ServiceStatus::kCreated);
  check_claims(harness);
}

TEST_CASE("names: a claim that others left behind is the name's own again and no other's") {
  ServicesHarness harness(1, with_pool(30));
  const std::string address = harness.member(harness.ask(0, "PUT names/web/1", ""), "address");
  harness.zk(ZkDelete{"/names/web/1"});
  const std::string session = harness.open_session(0);
  CHECK(harness.member(harness.ask(0, "PUT names/web/2", ""), "address") != address);
  CHECK(harness.ask(0, "PUT names/web/3", "").status == ServiceStatus::kUnavailable);
  CHECK(harness.member(harness.ask(0, "PUT names/web/1?session=" + session, ""), "address") == address);
  check_claims(harness);
}

TEST_CASE("names: an entry whose claim others deleted can still go") {
  ServicesHarness harness(1, with_pool());
  const std::string session = harness.open_session(0);
  const std::string one = harness.member(harness.ask(0, "PUT names/web/1", ""), "address");
  const std::string two = harness.member(harness.ask(0, "PUT names/web/2?session=" + session, ""), "address");
  const std::string three = harness.member(harness.ask(0, "PUT names/web/3", ""), "address");
  for (const std::string& address : {one, two, three}) harness.zk(ZkDelete{"/kvd/addresses/" + address});
  CHECK(harness.ask(0, "DELETE names/web/1").status == ServiceStatus::kDone);
  CHECK(harness.ask(0, "DELETE names/web/2?session=" + session).status == ServiceStatus::kDone);
  CHECK(harness.ask(0, "PUT names/web/3", at("10.0.0.1")).status == ServiceStatus::kOk);
  CHECK(harness.children("/names/web") == std::vector<std::string>{"3"});
}

TEST_CASE("names: an address that is another's by now stays the other's when the former name goes") {
  ServicesHarness harness(1, with_pool(30));  // two addresses
  const std::string session = harness.open_session(0);
  const std::string kept = harness.member(harness.ask(0, "PUT names/web/1", ""), "address");
  const std::string held =
      harness.member(harness.ask(0, "PUT names/web/2?session=" + session, ""), "address");
  for (const std::string& address : {kept, held}) harness.zk(ZkDelete{"/kvd/addresses/" + address});
  for (const char* name : {"x", "y"})
    CHECK(harness.ask(0, fmt::format("PUT names/{}", name), "").status == ServiceStatus::kCreated);
  CHECK(harness.ask(0, "DELETE names/web/1").status == ServiceStatus::kDone);
  CHECK(harness.ask(0, "PUT names/web/2?session=" + session, at("10.0.0.1")).status == ServiceStatus::kOk);
  CHECK(harness.ask(0, "DELETE names/web/2?session=" + session).status == ServiceStatus::kDone);
  CHECK(harness.children("/kvd/addresses").size() == 2);
  check_claims(harness);
}

TEST_CASE("names: a removal that ZooKeeper forbids is tried again only after a while") {
  ServicesHarness harness;
  const std::string session = harness.open_session(0);
  harness.ask(0, "PUT names/web/1?session=" + session, at("10.0.0.1"));
  harness.forbid_changes("/names/web");
  CHECK(harness.ask(0, "DELETE names/web/1?session=" + session).status == ServiceStatus::kForbidden);
  harness.take_calls();
  harness.pass(seconds(3));
  CHECK(harness.take_calls() < 20);
}

TEST_CASE("names: a registration whose answer is lost is found done and not done twice") {
  ServicesHarness harness(1, with_pool());
  harness.ask(0, "PUT names/web/0", "");
  harness.lose_answer_of(0, ServicesHarness::Kind::kMulti);
  const uint64_t asks = harness.send(0, "PUT names/web/1", "");
  CHECK_FALSE(harness.heard(asks).ended);
  CHECK(harness.exists("/names/web/1"));
  harness.mend(0);
  REQUIRE(harness.heard(asks).ended);
  CHECK(harness.heard(asks).answer->status == ServiceStatus::kOk);
  CHECK(harness.znode("/names/web/1").version == 1);
  check_claims(harness);
}

TEST_CASE("names: a session's registration whose answer is lost goes with the session") {
  ServicesHarness harness(1, with_pool());
  harness.ask(0, "PUT names/web/0", "");
  const std::string session = harness.open_session(0);
  harness.lose_answer_of(0, ServicesHarness::Kind::kMulti);
  const uint64_t asks = harness.send(0, "PUT names/web/1?session=" + session, "");
  harness.hang_up(asks);
  CHECK(harness.exists("/names/web/1"));
  harness.mend(0);
  CHECK(harness.ask(0, "DELETE sessions/" + session).status == ServiceStatus::kDone);
  CHECK_FALSE(harness.exists("/names/web/1"));
  check_claims(harness);
}

TEST_CASE("names: a deletion whose answer is lost is found done") {
  ServicesHarness harness(1, with_pool());
  harness.ask(0, "PUT names/web/1", "");
  harness.lose_answer_of(0, ServicesHarness::Kind::kMulti);
  const uint64_t asks = harness.send(0, "DELETE names/web/1");
  CHECK_FALSE(harness.heard(asks).ended);
  harness.mend(0);
  REQUIRE(harness.heard(asks).ended);
  CHECK(harness.heard(asks).answer->status == ServiceStatus::kDone);
  CHECK(harness.children("/kvd/addresses").empty());
}

TEST_CASE("names: what a session gives back while the answer is lost goes with the connection's return") {
  ServicesHarness harness(1, with_pool());
  const std::string session = harness.open_session(0);
  harness.ask(0, "PUT names/web/1?session=" + session, "");
  harness.lose_answer_of(0, ServicesHarness::Kind::kMulti);
  const uint64_t asks = harness.send(0, "DELETE names/web/1?session=" + session);
  REQUIRE(harness.heard(asks).ended);
  CHECK(harness.heard(asks).answer->status == ServiceStatus::kUnknown);
  harness.mend(0);
  check_claims(harness);
  CHECK_FALSE(harness.exists("/names/web/1"));
  CHECK(harness.ask(0, "PUT names/web/1?session=" + session, "").status == ServiceStatus::kCreated);
}

// ---- reading ----

TEST_CASE("names: a look waits until the entry is another") {
  ServicesHarness harness(2);
  const uint64_t first = harness.send(0, "GET names/web/1?version=0&wait=60000");
  CHECK_FALSE(harness.heard(first).ended);
  const ServiceAnswer made = harness.ask(1, "PUT names/web/1", at("10.0.0.5"));
  REQUIRE(harness.heard(first).ended);
  CHECK(harness.member(*harness.heard(first).answer, "address") == "10.0.0.5");
  const std::string again =
      fmt::format("GET names/web/1?version={}&wait=1000", harness.member(made, "version"));
  const uint64_t changed = harness.send(0, again);
  CHECK_FALSE(harness.heard(changed).ended);
  const ServiceAnswer now = harness.ask(1, "PUT names/web/1", at("10.0.0.6"));
  REQUIRE(harness.heard(changed).ended);
  CHECK(harness.member(*harness.heard(changed).answer, "version") == harness.member(now, "version"));
  const std::string last =
      fmt::format("GET names/web/1?version={}&wait=1000", harness.member(now, "version"));
  const uint64_t same = harness.send(0, last);
  harness.pass(milliseconds(990));
  CHECK_FALSE(harness.heard(same).ended);
  harness.pass(milliseconds(20));
  REQUIRE(harness.heard(same).ended);
  CHECK(harness.heard(same).answer->status == ServiceStatus::kOk);
  const uint64_t gone = harness.send(0, last);
  harness.ask(1, "DELETE names/web/1");
  REQUIRE(harness.heard(gone).ended);
  CHECK(harness.heard(gone).answer->status == ServiceStatus::kNotFound);
}

TEST_CASE("names: a look below a path has all entries and a version that changes with them") {
  ServicesHarness harness(2);
  harness.ask(0, "PUT names/web/2", at("10.0.0.2"));
  harness.ask(0, "PUT names/web/1", at("10.0.0.1"));
  harness.ask(0, "PUT names/web-x", at("10.0.0.3"));
  const ServiceAnswer all = harness.ask(1, "GET names/web?recurse=1");
  CHECK(words_of(all).find(R"("path":"web/1","address":"10.0.0.1")") <
        words_of(all).find(R"("path":"web/2")"));
  CHECK(words_of(all).find("web-x") == std::string::npos);
  CHECK(harness.member(harness.ask(0, "GET names/web?recurse=1"), "version") ==
        harness.member(all, "version"));
  const std::string wait =
      fmt::format("GET names/web?recurse=1&version={}&wait=60000", harness.member(all, "version"));
  const uint64_t looks = harness.send(1, wait);
  harness.ask(0, "PUT names/web-x", at("10.0.0.4"));
  CHECK_FALSE(harness.heard(looks).ended);
  harness.ask(0, "PUT names/web/2", at("10.0.0.5"));
  REQUIRE(harness.heard(looks).ended);
  CHECK(words_of(*harness.heard(looks).answer).find("10.0.0.5") != std::string::npos);
  CHECK(words_of(harness.ask(0, "GET names/none?recurse=1")) ==
        R"({"path":"none","version":0,"entries":[]})");
  CHECK(words_of(harness.ask(0, "GET names?recurse=1")).find("web-x") != std::string::npos);
}

TEST_CASE("hosts: the tree as lines that change with it on every server") {
  ServicesHarness harness(2);
  CHECK(hosts(harness).empty());
  harness.ask(0, "PUT names/web/api/1", at("10.0.0.1"));
  harness.ask(1, "PUT names/db/main?session=" + harness.open_session(1), at("2001:db8::2"));
  CHECK(hosts(harness) == "2001:db8::2\tmain.db main\n10.0.0.1\t1.api.web\n");
  CHECK(hosts(harness, 1) == hosts(harness, 0));
  CHECK(hosts(harness, 0, "?zone=db") == "2001:db8::2\tmain.db main\n");
  const ServiceAnswer text = harness.ask(0, "GET hosts");
  CHECK(std::holds_alternative<PlainText>(text.content));
  const std::string version = version_of_hosts(text);
  CHECK(version_of_hosts(harness.ask(1, "GET hosts")) == version);
  CHECK(
      words_of(harness.ask(0, "GET hosts?format=json")) ==
      fmt::format(
          R"({{"version":{},"complete":true,"hosts":[{{"address":"2001:db8::2","names":["main.db","main"]}},)"
          R"({{"address":"10.0.0.1","names":["1.api.web"]}}]}})",
          version));
  const uint64_t waits = harness.send(0, "GET hosts?wait=60000&since=" + version);
  CHECK_FALSE(harness.heard(waits).ended);
  harness.ask(1, "PUT names/web/api/1", R"({"address":"10.0.0.1","port":81})");  // not in the lines
  CHECK_FALSE(harness.heard(waits).ended);
  harness.ask(1, "DELETE names/web/api/1");
  REQUIRE(harness.heard(waits).ended);
  CHECK(words_of(*harness.heard(waits).answer) == "2001:db8::2\tmain.db main\n");
}

TEST_CASE("hosts: what others wrote is left out where it makes no line") {
  ServicesHarness harness;
  harness.ask(0, "PUT names/web/1", at("10.0.0.1"));
  for (const char* path : {"/names/web/Upper", "/names/web/localhost", "/names/web/a b", "/names/7"})
    harness.zk(ZkCreate{path, at("10.0.0.66"), ZkMode::kPersistent});
  harness.zk(ZkCreate{"/names/web/bad", R"({"address":"10.0.0.66 evil"})", ZkMode::kPersistent});
  harness.zk(ZkCreate{"/names/web/good", R"({"address":"10.0.0.2","weight":1})", ZkMode::kPersistent});
  CHECK(hosts(harness) == "10.0.0.1\t1.web\n10.0.0.2\tgood.web good\n");
  CHECK(harness.ask(0, "GET names/web/bad").status == ServiceStatus::kNotFound);
  CHECK(harness.ask(0, "PUT names/web/bad", at("10.0.0.3")).status == ServiceStatus::kCreated);
  harness.zk(ZkDelete{"/names/web/good"});
  CHECK(hosts(harness) == "10.0.0.1\t1.web\n10.0.0.3\tbad.web bad\n");
}

TEST_CASE("hosts: nobody is given half of it") {
  ServicesHarness harness(2);
  harness.ask(0, "PUT names/web/1", at("10.0.0.1"));
  const std::string version = version_of_hosts(harness.ask(0, "GET hosts"));
  const uint64_t waits = harness.send(0, "GET hosts?wait=3000&since=" + version);
  harness.cut(0);
  harness.ask(1, "PUT names/web/2", at("10.0.0.2"));
  harness.pass(milliseconds(2990));
  CHECK_FALSE(harness.heard(waits).ended);
  harness.pass(milliseconds(20));
  REQUIRE(harness.heard(waits).ended);
  CHECK_FALSE(is_complete(*harness.heard(waits).answer));
  CHECK(version_of_hosts(*harness.heard(waits).answer) == "0");
  CHECK(words_of(*harness.heard(waits).answer).empty());
  harness.mend(0);
  CHECK(hosts(harness) == "10.0.0.1\t1.web\n10.0.0.2\t2.web\n");
}

TEST_CASE("hosts: who waits across a reconnection gets what changed meanwhile") {
  ServicesHarness harness(2);
  harness.ask(0, "PUT names/web/1", at("10.0.0.1"));
  const std::string version = version_of_hosts(harness.ask(0, "GET hosts"));
  const uint64_t same = harness.send(0, "GET hosts?wait=60000&since=" + version);
  harness.cut(0);
  harness.pass(seconds(1));
  harness.mend(0);
  CHECK_FALSE(harness.heard(same).ended);
  harness.cut(0);
  harness.pass(seconds(7));  // another session
  harness.ask(1, "PUT names/web/2", at("10.0.0.2"));
  harness.mend(0);
  REQUIRE(harness.heard(same).ended);
  CHECK(words_of(*harness.heard(same).answer) == "10.0.0.1\t1.web\n10.0.0.2\t2.web\n");
}

TEST_CASE("hosts: what changes while it is being read is read again") {
  ServicesHarness harness;
  harness.ask(0, "PUT names/a/b", at("10.0.0.99"));
  hosts(harness);
  for (int writes = 1; writes <= 8; ++writes) {
    std::vector<ZkRequest> requests;
    for (int i = 1; i <= writes; ++i)
      requests.push_back(ZkSet{"/names/a/b", at(fmt::format("10.0.{}.{}", writes, i))});
    harness.zk_between_turns(std::move(requests));
    CHECK(hosts(harness) == fmt::format("10.0.{0}.{0}\tb.a b\n", writes));
    // Gone and there again, as another kind with others below.
    requests = {ZkDelete{"/names/a/b"}, ZkCreate{"/names/a/b", "", ZkMode::kPersistent}};
    for (int i = 1; i <= writes; ++i)
      requests.push_back(ZkCreate{fmt::format("/names/a/b/c{}", i), at("10.0.0.1"), ZkMode::kPersistent});
    harness.zk_between_turns(std::move(requests));
    std::string lines;
    for (int i = 1; i <= writes; ++i) lines += fmt::format("10.0.0.1\tc{0}.b.a c{0}\n", i);
    CHECK(hosts(harness) == lines);
    requests.clear();
    for (int i = 1; i <= writes; ++i) requests.push_back(ZkDelete{fmt::format("/names/a/b/c{}", i)});
    harness.zk_between_turns(std::move(requests));
    CHECK(hosts(harness).empty());
  }
}

TEST_CASE("names: who waits for an entry across a new ZooKeeper session hears of it") {
  ServicesHarness harness(2);
  const uint64_t waits = harness.send(0, "GET names/a/b?version=0&wait=60000");
  harness.cut(0);
  harness.pass(seconds(7));
  harness.mend(0);
  CHECK_FALSE(harness.heard(waits).ended);
  harness.ask(1, "PUT names/a/b", at("10.0.0.1"));
  CHECK(harness.heard(waits).ended);
}

TEST_CASE("hosts: nothing is watched before it is asked for and nothing polled afterwards") {
  ServicesHarness harness(2);
  harness.take_calls();
  for (int i = 0; i < 50; ++i)
    harness.zk(ZkCreate{fmt::format("/names{}", i == 0 ? "" : fmt::format("/n{}", i)),
                        i == 0 ? "" : at("10.0.0.1"), ZkMode::kPersistent});
  CHECK(harness.take_calls() == 0);
  hosts(harness);
  harness.take_calls();
  harness.pass(seconds(30));
  hosts(harness);
  CHECK(harness.take_calls() == 0);
  harness.zk(ZkSet{"/names/n7", at("10.0.0.2")});
  CHECK(harness.take_calls() == 2);  // its data and its children
}

TEST_CASE(
    "hosts: a tree that is too large is refused in a sentence and read again when it was made smaller") {
  ServicesHarness harness;
  const std::string label(63, 'a');
  std::string path = "/names";
  harness.zk(ZkCreate{path, "", ZkMode::kPersistent});
  for (int i = 0; i < 3; ++i) harness.zk(ZkCreate{path += "/" + label, "", ZkMode::kPersistent});
  std::vector<std::string> made;
  for (int i = 0; i < 950; ++i) {
    made.push_back(fmt::format("{}/n{}", path, i));
    harness.zk(ZkCreate{made.back(), at("10.0.0.1"), ZkMode::kPersistent});
  }
  CHECK(harness.ask(0, "GET hosts").status == ServiceStatus::kTooLarge);
  CHECK(harness.ask(0, "GET names?recurse=1").status == ServiceStatus::kTooLarge);
  for (const std::string& one : made) harness.zk(ZkDelete{one});
  CHECK(harness.ask(0, "GET hosts").status == ServiceStatus::kTooLarge);
  harness.pass(seconds(61));
  CHECK(hosts(harness).empty());
}

TEST_CASE("names: a root that others deleted is made again") {
  ServicesHarness harness;
  CHECK(hosts(harness).empty());
  harness.zk(ZkDelete{"/names"});
  harness.ask(0, "PUT names/a/b", at("10.0.0.1"));
  CHECK(hosts(harness) == "10.0.0.1\tb.a b\n");
}

TEST_CASE("names: what ZooKeeper forbids is said") {
  ServicesHarness harness;
  harness.ask(0, "PUT names/a/b", at("10.0.0.1"));
  harness.forbid_changes("/names/a");
  CHECK(harness.ask(0, "PUT names/a/c", at("10.0.0.1")).status == ServiceStatus::kForbidden);
  CHECK(harness.ask(0, "DELETE names/a/b").status == ServiceStatus::kForbidden);
}

TEST_CASE("names: what is wrong with a request is said") {
  ServicesHarness harness;
  auto status = [&harness](std::string_view request, std::string body = "") {
    const ServiceAnswer answer = harness.ask(0, request, std::move(body));
    CHECK_FALSE(words_of(answer).empty());
    return answer.status;
  };
  CHECK(status("PUT names", at("10.0.0.1")) == ServiceStatus::kInvalid);
  CHECK(status("PUT names/A", at("10.0.0.1")) == ServiceStatus::kInvalid);
  CHECK(status("PUT names/a?x=1", at("10.0.0.1")) == ServiceStatus::kInvalid);
  CHECK(status("PUT names/a", "{") == ServiceStatus::kInvalid);
  CHECK(status("PUT names/a", R"({"meta":{"x":")" + std::string(8192, 'x') + R"("}})") ==
        ServiceStatus::kTooLarge);
  CHECK(status("GET names") == ServiceStatus::kInvalid);
  CHECK(status("GET names/a?recurse=2") == ServiceStatus::kInvalid);
  CHECK(status("GET names/a?version=x") == ServiceStatus::kInvalid);
  CHECK(status("GET names/a?since=1") == ServiceStatus::kInvalid);
  CHECK(status("DELETE names/a?recurse=1") == ServiceStatus::kInvalid);
  CHECK(status("GET hosts/a") == ServiceStatus::kNotFound);
  CHECK(status("GET hosts?zone=A") == ServiceStatus::kInvalid);
  CHECK(status("GET hosts?format=xml") == ServiceStatus::kInvalid);
  CHECK(status("GET hosts?version=1") == ServiceStatus::kInvalid);
  CHECK(status("PUT hosts") == ServiceStatus::kWrongVerb);
}

TEST_CASE("names: a part that cannot be read is not told as complete") {
  ServicesHarness harness;
  harness.ask(0, "PUT names/db/a", R"({"address":"10.0.0.1"})");
  harness.ask(0, "PUT names/web/a", R"({"address":"10.0.0.2"})");
  const auto incomplete = [&](const char* request) {
    const uint64_t asks = harness.send(0, request);
    harness.pass(seconds(2));
    REQUIRE(harness.heard(asks).ended);
    const ServiceAnswer& answer = *harness.heard(asks).answer;
    CHECK(words_of(answer).find("10.0.0") == std::string::npos);
    return !is_complete(answer);
  };
  SUBCASE("from the beginning") {}
  SUBCASE("from some moment on") {
    CHECK(words_of(harness.ask(0, "GET hosts")).find("10.0.0.1") != std::string::npos);
  }
  harness.hide("/names/db");
  harness.zk(ZkCreate{"/names/db/b", "", ZkMode::kPersistent});  // ACLs themselves are not watched
  CHECK(incomplete("GET hosts"));
  CHECK(incomplete("GET hosts?zone=db"));
  CHECK(incomplete("GET hosts?zone=db/a"));
  CHECK(incomplete("GET hosts?format=json"));
  CHECK(words_of(harness.ask(0, "GET hosts?zone=web")) == "10.0.0.2\ta.web a\n");
  CHECK(harness.ask(0, "GET names?recurse=1").status == ServiceStatus::kForbidden);
  CHECK(harness.ask(0, "GET names/db").status == ServiceStatus::kForbidden);
  CHECK(harness.ask(0, "GET names/web?recurse=1").status == ServiceStatus::kOk);
  harness.take_calls();
  harness.pass(seconds(60));
  CHECK(harness.take_calls() < 10);  // it is tried again only when somebody asks
}
