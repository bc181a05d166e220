// What kvd spares its clients when the lead changes: planned hand-overs, and writes with an idempotency key, which it
// repeats itself and which anybody may repeat through any server.
#include <doctest.h>
#include <fmt/format.h>

#include "cluster/cluster.hpp"

namespace kvd::testing {
namespace {

HttpAnswer keyed_put(const KvdServer& server, const std::string& key, const std::string& value,
                     const std::string& idempotency_key) {
  return HttpConnection(server.http())
      .call({"PUT", "/v1/kv/" + key + "?timeout=30000", value, {{"Idempotency-Key", idempotency_key}}},
            kDeadline);
}

KvdServer& follower_of(Cluster& cluster, const KvdServer& leader) {
  for (KvdServer* server : cluster.serving()) {
    if (server != &leader) return *server;
  }
  FAIL("no server but the leader serves");
  return cluster.server(0);
}

}  // namespace

TEST_CASE("the lead is moved on request and nobody is refused") {
  Cluster cluster;
  cluster.start_all();
  for (int round = 0; round < 5; ++round) {
    KvdServer& former = cluster.wait_for_leader();
    KvdServer& next = follower_of(cluster, former);
    // Writes and linear reads are under way on other connections while the lead moves.
    std::vector<std::unique_ptr<HttpConnection>> connections;
    for (const Address& server : cluster.addresses()) {
      for (int i = 0; i < 8; ++i) {
        connections.push_back(std::make_unique<HttpConnection>(server));
        const bool read = i % 4 == 3;
        REQUIRE(connections.back()->send(
            {read ? "GET" : "PUT",
             fmt::format("/v1/kv/{}-{}{}", round, connections.size(), read ? "?read=linear" : ""),
             read ? "" : "value",
             {}},
            kDeadline));
      }
    }
    const HttpAnswer moved =
        HttpConnection(former.http()).call({"POST", "/v1/cluster/leader?to=" + next.id(), "", {}}, kDeadline);
    INFO(moved.body);
    REQUIRE(moved.status == 200);
    for (const auto& connection : connections) {
      const HttpAnswer answer = connection->receive(kDeadline);
      INFO(answer.body);
      REQUIRE((answer.status == 201 || answer.status == 404));
    }
    cluster.wait_until("the new leader is known to all", [&] { return cluster.leader() == &next; });
    say(fmt::format("{} has handed over to {}; {} requests meanwhile were all served.", former.name(),
                    next.name(), connections.size()));
  }
  cluster.wait_all_in_sync();  // nobody has left the set, or stays out of it
  const HttpAnswer why = cluster.wait_for_leader().get("/v1/cluster/why");
  REQUIRE(why.status == 200);
  REQUIRE(why.body.find("\"cause\":\"handed-over\"") != std::string::npos);
  REQUIRE(why.body.find("\"activated_ms\":null") != std::string::npos);  // of those that others began
}

TEST_CASE("a write with an idempotency key outlives the leader and is done once") {
  Cluster cluster;
  cluster.start_all();
  cluster.write(cluster.server(0), "first", "value");  // it waits for --expect, which two servers are not
  std::map<std::string, std::string> written = {{"first", "value"}};
  for (int round = 0; round < 4; ++round) {
    KvdServer& leader = cluster.wait_for_leader();
    KvdServer& taker = follower_of(cluster, leader);
    const std::string key = fmt::format("key-{}", round);
    const std::string name = fmt::format("once-{}", round);
    leader.pause();  // it takes the write from the other server, and does not answer
    HttpConnection waiting(taker.http());
    REQUIRE(waiting.send({"PUT", "/v1/kv/" + key + "?timeout=30000", "value", {{"Idempotency-Key", name}}},
                         kDeadline));
    leader.kill();
    const HttpAnswer first = waiting.receive(kDeadline);
    INFO(first.body);
    REQUIRE(first.status == 201);
    say(fmt::format("{}, which led, died under a write that came through {}: {} {}", leader.name(),
                    taker.name(), first.status, first.body));
    for (KvdServer* server : cluster.serving()) {
      const HttpAnswer again = keyed_put(*server, key, "value", name);
      REQUIRE(again.status == first.status);
      REQUIRE(again.body == first.body);
      REQUIRE(keyed_put(*server, key, "another value", name).status == 422);
    }
    written[key] = "value";
    leader.start();
    cluster.wait_all_in_sync();
    // Also a copy that came by a snapshot or the log of another leader knows it.
    REQUIRE(keyed_put(leader, key, "value", name).body == first.body);
  }
  cluster.require_everywhere(written);
  cluster.wait_all_equal();
}

}  // namespace kvd::testing
