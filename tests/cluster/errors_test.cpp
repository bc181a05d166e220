// Every way to fail that a client of real servers can meet, and whether the answer says rightly what became
// of the write. ErrorCode by ErrorCode (msg/client.hpp), and where it is shown:
//
//   kNoLeader         here: ZooKeeper is away before anybody could be elected
//   kNotEnoughInSync  here: a new cluster below --expect; followers killed below --min-in-sync
//   kOverloaded       here: the leader's log is full (the other queues: tests/unit/node_test.cpp)
//   kNotReady         never reaches a client: the server asks the leader instead, and where there is none the
//                     answer is kNoLeader (here); its form: tests/unit/http_render_test.cpp
//   kTimedOut         here: writes that nobody confirms, a min_rev that never comes
//   kSteppedDown      here: a frozen leader that was replaced goes on with a write under way
//   kLinkLost         here: the leader dies with a write that another server had passed on to it
//   kTooLarge         here: a value; a prefix with too many keys, refused by the leader
//   kShuttingDown     here: a stop while a write waits for a leader
//   kKeyReused        here
//   kKeyEvicted       tests/unit/node_test.cpp: it takes more writes than a test of real servers should make
//   kNotInSync        here
//   kInvalid          here as HTTP refuses it; the leader's own check: tests/unit/node_test.cpp
#include <doctest.h>
#include <fmt/format.h>
#include <simdjson.h>

#include <deque>

#include "cluster/cluster.hpp"

namespace kvd::testing {
namespace {

constexpr Duration kLimit = seconds(90);  // for answers that come late by design

// Empty: there is no such member.
std::string member_of(const HttpAnswer& answer, const char* name) {
  simdjson::dom::parser parser;
  std::string_view text;
  if (parser.parse(answer.body)[name].get(text) != simdjson::SUCCESS) return "";
  return std::string(text);
}

// A problem of this kind; `outcome` is empty for reads, which have none.
void require_problem(const HttpAnswer& answer, int status, const std::string& kind,
                     const std::string& outcome) {
  INFO(answer.status << " " << answer.body);
  REQUIRE(answer.status == status);
  REQUIRE(answer.header("Content-Type") == "application/problem+json");
  REQUIRE(member_of(answer, "type") == "urn:kvd:" + kind);
  REQUIRE(member_of(answer, "outcome") == outcome);
  REQUIRE(answer.header("Retry-After").empty() == (status != 503));
}

HttpCall put_call(const std::string& key, const std::string& value, int timeout_ms) {
  return {"PUT", fmt::format("/v1/kv/{}?timeout={}", key, timeout_ms), value, {}};
}

HttpAnswer call(const KvdServer& server, HttpCall what) {
  return HttpConnection(server.http()).call(what, kLimit);
}

// Client requests that wait in this server, those that others passed on to it included.
bool has_waiting(const KvdServer& server) {
  const HttpAnswer metrics = server.get("/metrics");
  constexpr std::string_view kName = "\nkvd_waiting_requests ";
  const size_t at = metrics.body.find(kName);
  return at != std::string::npos && metrics.body[at + kName.size()] != '0';
}

std::vector<KvdServer*> followers(Cluster& cluster) {
  std::vector<KvdServer*> list = cluster.serving();
  std::erase(list, &cluster.wait_for_leader());
  return list;
}

void wait_waiting(Cluster& cluster, const KvdServer& server) {
  cluster.wait_until(fmt::format("{} has a request that waits", server.name()),
                     [&] { return has_waiting(server); });
}

void wait_listening(Cluster& cluster, const KvdServer& server) {
  cluster.wait_until(fmt::format("{} listens", server.name()),
                     [&] { return server.get("/livez").status == 200; });
}

TEST_CASE("errors without a leader and at a stop") {
  Cluster::Options options;
  options.servers = 1;
  options.flags = {};
  Cluster cluster(options);
  cluster.zookeeper().kill(0);
  KvdServer& server = cluster.server(0);
  server.start();
  wait_listening(cluster, server);
  require_problem(call(server, put_call("k", "v", 200)), 503, "no-leader", "not-applied");
  require_problem(server.get("/v1/kv/k?timeout=200"), 503, "no-leader", "");
  require_problem(server.get("/v1/kv/k?timeout=200&read=linear"), 503, "no-leader", "");
  require_problem(server.get("/v1/cluster/leader"), 503, "no-leader", "");
  REQUIRE(server.get("/readyz").status == 503);
  REQUIRE_FALSE(has_waiting(server));
  say("Without a leader nothing is done, and it says so.");

  HttpConnection waiting(server.http());
  REQUIRE(waiting.send(put_call("k", "v", 60'000), kLimit));
  wait_waiting(cluster, server);
  REQUIRE(server.stop(kDeadline) == 0);
  require_problem(waiting.receive(kLimit), 503, "shutting-down", "not-applied");
  say("What waited when it was stopped was refused.");
}

TEST_CASE("errors with too few servers in sync") {
  Cluster cluster;
  cluster.server(0).start();
  wait_listening(cluster, cluster.server(0));
  cluster.wait_until("a new cluster waits for --expect", [&] {
    const HttpAnswer answer = call(cluster.server(0), put_call("early", "v", 200));
    if (member_of(answer, "type") == "urn:kvd:no-leader") return false;
    require_problem(answer, 503, "not-enough-in-sync", "not-applied");
    return true;
  });
  cluster.server(1).start();
  cluster.server(2).start();
  cluster.wait_all_in_sync();
  KvdServer& leader = cluster.wait_for_leader();
  cluster.write(leader, "k", "v");
  for (KvdServer* one : followers(cluster)) one->kill();
  int tries = 0;
  cluster.wait_until("the last server refuses writes", [&] {
    const HttpAnswer answer = call(leader, put_call(fmt::format("alone-{}", ++tries), "v", 500));
    if (answer.status == 504) return false;  // it was begun before the deaths were known
    require_problem(answer, 503, "not-enough-in-sync", "not-applied");
    return true;
  });
  require_problem(call(leader, {"DELETE", "/v1/kv/k", "", {}}), 503, "not-enough-in-sync", "not-applied");
  for (KvdServer* one : {&cluster.server(0), &cluster.server(1), &cluster.server(2)}) {
    if (!one->meant_to_run()) one->start();
  }
  cluster.wait_all_in_sync();
  REQUIRE(cluster.read_linear(leader, "early").status == 404);
  REQUIRE(cluster.read_linear(leader, fmt::format("alone-{}", tries)).status == 404);
  cluster.require_everywhere({{"k", "v"}});
}

TEST_CASE("errors of what is too large or not valid") {
  // A machine with other work may take longer over one of these writes than a leader may be silent by default, and
  // nobody is to be replaced here.
  Cluster::Options options;
  options.flags.insert(options.flags.end(), {"--session-timeout", "30000", "--follower-lag", "20000",
                                             "--leader-silence", "30000"});
  Cluster cluster(options);
  cluster.start_all();
  KvdServer& server = *followers(cluster).front();
  const std::string long_key(1025, 'k');
  require_problem(call(server, put_call("large", std::string((1u << 20) + 1, 'x'), 5000)), 413, "too-large",
                  "not-applied");
  require_problem(call(server, put_call(long_key, "v", 5000)), 400, "bad-request", "not-applied");
  require_problem(call(server, {"PUT", "/v1/kv/k", "v", {{"If-Match", "5"}}}), 400, "bad-request",
                  "not-applied");
  require_problem(call(server, {"PUT", "/v1/kv/k", "v", {{"Idempotency-Key", std::string(256, 'i')}}}), 400,
                  "bad-request", "not-applied");
  require_problem(call(server, {"POST", "/v1/kv", R"({"ops":[{"put":{"key":"k"}}]})", {}}), 400,
                  "bad-request", "not-applied");
  require_problem(call(server, {"PUT", "/v1/cluster/settings", R"({"min_in_sync":65})", {}}), 400,
                  "bad-request", "not-applied");
  require_problem(call(server, {"PUT", "/v1/kv/k", "v", {{"If-Match", "\"5\""}}}), 412, "condition-failed",
                  "not-applied");
  require_problem(server.get("/v1/kv/k?timeout=no"), 400, "bad-request", "");
  REQUIRE(cluster.read_linear(server, "k").status == 404);
  REQUIRE(call(server, {"PUT", "/v1/kv/once", "v", {{"Idempotency-Key", "5"}}}).status == 201);
  require_problem(call(server, {"PUT", "/v1/kv/once", "w", {{"Idempotency-Key", "5"}}}), 422,
                  "idempotency-key-reused", "not-applied");
  require_problem(call(server, {"POST", "/v1/cluster/leader?to=nobody", "", {}}), 409, "not-in-sync",
                  "not-applied");
  say("What cannot be right was refused before anything was done.");

  // The keys alone make this more than one write may hold; only the leader can know that.
  for (int batch = 0; batch < 16; ++batch) {
    std::string ops;
    for (int i = 0; i < 1024; ++i) {
      ops += fmt::format(R"({}{{"put":{{"key":"many-{:02}-{:04}-{}","value":""}}}})", i == 0 ? "" : ",",
                         batch, i, std::string(1000, 'k'));
    }
    const HttpAnswer written = call(server, {"POST", "/v1/kv", fmt::format(R"({{"ops":[{}]}})", ops), {}});
    INFO(written.body);
    REQUIRE(written.status == 200);
  }
  require_problem(call(server, {"DELETE", "/v1/kv?prefix=many-", "", {}}), 413, "too-large", "not-applied");
  const HttpAnswer part = call(server, {"DELETE", "/v1/kv?prefix=many-00", "", {}});
  REQUIRE(part.status == 200);
  REQUIRE(part.body == "{\"deleted\":1024}\n");
}

// Nothing is confirmed while a server of the in-sync set is frozen and ZooKeeper, which would have to take it
// out of the set, is frozen too.
void freeze(Cluster& cluster, KvdServer& server) {
  cluster.zookeeper().pause(0);
  server.pause();
  say(fmt::format("ZooKeeper and {} are frozen.", server.name()));
}

TEST_CASE("errors of a full log that nobody confirms") {
  constexpr int kAdmitted = 64;  // of 1 MiB each: limits::kUncommittedBytes
  constexpr int kBeyond = 6;
  Cluster cluster;
  cluster.start_all();
  KvdServer& leader = cluster.wait_for_leader();
  KvdServer& frozen = *followers(cluster).front();
  require_problem(leader.get("/v1/kv/k?timeout=200&min_rev=99"), 504, "timed-out", "");
  freeze(cluster, frozen);

  std::deque<HttpConnection> connections;
  for (int i = 0; i < kAdmitted + kBeyond; ++i) {
    REQUIRE(connections.emplace_back(leader.http())
                .send(put_call(fmt::format("large-{}", i), std::string(1u << 20, 'x'), 4000), kLimit));
  }
  std::vector<std::string> refused;
  for (size_t i = 0; i < connections.size(); ++i) {
    const HttpAnswer answer = connections[i].receive(kLimit);
    if (answer.status == 503) {
      require_problem(answer, 503, "overloaded", "not-applied");
      refused.push_back(fmt::format("large-{}", i));
    } else {
      require_problem(answer, 504, "timed-out", "unknown");
    }
  }
  REQUIRE(refused.size() == kBeyond);
  say(fmt::format("{} writes were not confirmed in time, {} were refused.", kAdmitted, kBeyond));
  frozen.resume();
  cluster.zookeeper().resume(0);
  cluster.wait_all_in_sync();
  for (const std::string& key : refused) REQUIRE(cluster.read_linear(leader, key).status == 404);
  cluster.write(leader, "k", "v");
  cluster.require_everywhere({{"k", "v"}});
}

// What became of a write with an unknown outcome is the same for everybody.
void require_settled(Cluster& cluster, const std::string& key) {
  cluster.wait_all_in_sync();
  cluster.write(cluster.server(0), "afterwards", "v");
  cluster.wait_all_equal();
  const int status = cluster.read_linear(cluster.server(0), key).status;
  REQUIRE((status == 200 || status == 404));
  for (KvdServer* one : cluster.serving()) REQUIRE(cluster.read_linear(*one, key).status == status);
  say(fmt::format("The write turned out to be {}.", status == 200 ? "done" : "not done"));
}

TEST_CASE("errors when the link to the leader is lost") {
  Cluster cluster;
  cluster.start_all();
  KvdServer& leader = cluster.wait_for_leader();
  KvdServer& frozen = *followers(cluster).front();
  KvdServer& asked = *followers(cluster).back();
  freeze(cluster, frozen);
  HttpConnection connection(asked.http());
  REQUIRE(connection.send(put_call("k", "v", 60'000), kLimit));
  wait_waiting(cluster, leader);
  leader.kill();
  require_problem(connection.receive(kLimit), 503, "link-lost", "unknown");
  say("The leader died with the write that it had been passed.");
  frozen.resume();
  cluster.zookeeper().resume(0);
  leader.start();
  require_settled(cluster, "k");
}

TEST_CASE("errors when the leader steps down") {
  Cluster cluster;
  cluster.start_all();
  KvdServer& former = cluster.wait_for_leader();
  KvdServer& dead = *followers(cluster).front();
  KvdServer& next = *followers(cluster).back();
  freeze(cluster, dead);  // so that the write is never confirmed
  HttpConnection connection(former.http());
  REQUIRE(connection.send(put_call("k", "v", 60'000), kLimit));
  wait_waiting(cluster, former);
  former.pause();
  dead.kill();
  cluster.zookeeper().resume(0);
  say(fmt::format("{}, which leads, is frozen with a write under way; {} was killed.", former.name(),
                  dead.name()));
  cluster.wait_until("the last server leads", [&] {
    const auto status = next.status();
    return status && status->role == "leader";
  });
  former.resume();
  require_problem(connection.receive(kLimit), 503, "stepped-down", "unknown");
  say("The former leader found itself replaced.");
  dead.start();
  require_settled(cluster, "k");
}

}  // namespace
}  // namespace kvd::testing
