// The forms of a node's status: JSON with every promised member, Prometheus text that a scraper can read,
// ZooKeeper's words. Standalone.
#include "shell/http/status_page.hpp"

#include <doctest.h>
#include <simdjson.h>

#include <algorithm>
#include <set>
#include <sstream>

namespace kvd::status_page_test {

namespace {

const HttpIdentity kIdentity{ServerId{"a:1"}, "9.9", {"z1:2181", "z2:2181"}, 100};

ServerInfo server(const char* id, uint16_t port) {
  return {Member{ServerId{id}, Incarnation(port)}, Address{"h", port},
          Address{"h", static_cast<uint16_t>(port + 10000)}};
}

Status sample() {
  Status status;
  status.self = server("a", 1);
  status.role = Role::kLeader;
  status.leader = status.self;
  status.epoch = Epoch(4);
  status.revision = Revision(77);
  status.config = Register{};
  status.config->cluster = "uuid";
  status.config->lineage = Lineage(2);
  status.config->in_sync = {status.self.member, server("b", 2).member};
  status.config->min_in_sync = 2;
  status.members = {{server("a", 1), Role::kLeader, Revision(77), Duration(0)},
                    {server("b\"\\", 2), Role::kFollower, Revision(70), milliseconds(1500)},
                    {server("c", 3), Role::kLearner, std::nullopt, std::nullopt}};
  status.zk_state = ZkState::kConnected;
  status.zk_session_timeout = seconds(6);
  status.complete = status.ready = true;
  status.keys = 5;
  status.durable = true;
  status.store_bytes = 900;
  status.work = WorkStatus{"reads", "bytes", 10, 40, 5};
  status.value_bytes = 6;
  status.digest = 0xabc;
  status.log_clock_ms = 4711;
  status.terms = 6;
  status.leases = 7;
  status.watch = {2, 3, Revision(70), 500, {}};
  status.uptime = milliseconds(12'345);
  status.counters.writes = 9;
  return status;
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("status: the JSON of /v1/cluster") {
  CHECK(
      cluster_json(sample(), kIdentity) ==
      R"({"node":"a:1","role":"leader","cluster":"uuid","lineage":2,"leader":{"id":"a","http":"h:1"},"epoch":4,)"
      R"("revision":77,"in_sync":["a","b"],"min_in_sync":2,"members":[)"
      R"({"id":"a","http":"h:1","role":"leader","match":77,"lag_ms":0},)"
      R"({"id":"b\"\\","http":"h:2","role":"follower","match":70,"lag_ms":1500},)"
      R"({"id":"c","http":"h:3","role":"learner","match":null,"lag_ms":null}],)"
      R"("zookeeper":{"state":"connected","servers":["z1:2181","z2:2181"],"session_timeout_ms":6000},)"
      R"("complete":true,"ready":true,"degraded":[],"work":{"what":"reads","unit":"bytes","done":10,"total":40,)"
      R"("per_second":5},"durable":true,"store_bytes":900,"keys":5,"terms":6,"leases":7,"digest":"0000000000000abc",)"
      R"("log_clock_ms":4711,"watch":{"streams":2,"polls":3,"oldest":70,"history_bytes":500},"version":"9.9",)"
      R"("uptime_s":12})"
      "\n");
}

TEST_CASE("status: before anything is known the JSON has the same members") {
  Status status;
  status.standalone = true;
  status.degraded = {"x"};
  simdjson::dom::parser parser;
  simdjson::dom::object blank, full;
  REQUIRE(parser.parse(cluster_json(status, kIdentity)).get(blank) == simdjson::SUCCESS);
  CHECK(blank["leader"].is_null());
  CHECK(std::string_view(blank["zookeeper"]["state"]) == "none");
  CHECK(std::string_view(blank["degraded"].at(0)) == "x");
  std::set<std::string> blank_names, full_names;
  for (auto field : blank) blank_names.emplace(field.key);
  simdjson::dom::parser other;
  REQUIRE(other.parse(cluster_json(sample(), kIdentity)).get(full) == simdjson::SUCCESS);
  for (auto field : full) full_names.emplace(field.key);
  CHECK(blank_names == full_names);
}

TEST_CASE("status: metrics are well-formed, typed once, and hold the values") {
  HttpCounters counters;
  counters.connections_open = 3;
  counters.responses[2] = 8;
  std::string text = metrics_text(sample(), kIdentity, counters);
  std::istringstream lines(text);
  std::set<std::string> typed, samples;
  std::string last_type;
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    if (line.starts_with("# HELP ")) continue;
    if (line.starts_with("# TYPE ")) {
      last_type = line.substr(7, line.find(' ', 7) - 7);
      CHECK(typed.insert(last_type).second);
      continue;
    }
    std::string name = line.substr(0, line.find_first_of("{ "));
    CHECK(name == last_type);
    CHECK(name.starts_with("kvd_"));
    std::string series = line.substr(0, line.rfind(' '));
    CHECK(samples.insert(series).second);
    CHECK_NOTHROW(std::stod(line.substr(line.rfind(' ') + 1)));
  }
  for (const char* line :
       {"\nkvd_build_info{version=\"9.9\"} 1\n", "\nkvd_role{role=\"leader\"} 1\n",
        "\nkvd_role{role=\"follower\"} 0\n", "\nkvd_revision 77\n", "\nkvd_keys 5\n",
        "\nkvd_writes_total 9\n", "\nkvd_in_sync_members 2\n", "\nkvd_uptime_seconds 12.345\n",
        "\nkvd_member_silent_seconds{member=\"b\\\"\\\\\"} 1.5\n", "\nkvd_http_connections 3\n",
        "\nkvd_http_responses_total{code=\"2xx\"} 8\n", "\nkvd_zookeeper_connected 1\n"}) {
    CAPTURE(line);
    CHECK(contains(text, line));
  }
}

TEST_CASE("status: stat and mntr") {
  HttpCounters counters;
  counters.connections_open = 3;
  std::string stat = stat_text(sample(), kIdentity, counters);
  CHECK(contains(stat, "\nMode: leader\n"));
  CHECK(contains(stat, "\nIn sync: a b\n"));
  CHECK(contains(stat, "\nReady: yes\n"));
  std::string mntr = mntr_text(sample(), kIdentity, counters);
  CHECK(contains(mntr, "\nzk_server_state\tleader\n"));
  CHECK(contains(mntr, "\nkvd_revision\t77\n"));
  std::istringstream lines(mntr);
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    CHECK(std::count(line.begin(), line.end(), '\t') == 1);
    CHECK((line.starts_with("kvd_") || line.starts_with("zk_server_state\t")));
  }
}

}  // namespace kvd::status_page_test
