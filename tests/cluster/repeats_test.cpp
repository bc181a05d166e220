// What kvd spares its clients when the lead changes: planned hand-overs, and writes with an idempotency key, which it
// repeats itself and which anybody may repeat through any server; and what it never spares a client that has lost its
// lock meanwhile.
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

HttpAnswer fenced_put(const KvdServer& server, const std::string& key, const std::string& value,
                      const std::string& token) {
  return HttpConnection(server.http())
      .call({"PUT", fmt::format("/v1/kv/{}?timeout=30000&fence=lock:{}", key, token), value, {}}, kDeadline);
}

// Takes the lock from whoever has it; the token that comes with it.
std::string take_lock(const KvdServer& server, const std::string& holder) {
  const HttpAnswer taken =
      HttpConnection(server.http()).call({"PUT", "/v1/kv/lock?timeout=30000", holder, {}}, kDeadline);
  REQUIRE((taken.status == 200 || taken.status == 201));
  return taken.header("Kvd-Revision");
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

TEST_CASE("a deposed holder of a lock is refused after a change of the leader") {
  Cluster cluster;
  cluster.start_all();
  std::map<std::string, std::string> written;
  for (int round = 0; round < 3; ++round) {
    KvdServer& leader = cluster.wait_for_leader();
    const std::string former = take_lock(follower_of(cluster, leader), "former");
    REQUIRE(fenced_put(leader, "job", "begun", former).status < 300);
    leader.kill();
    KvdServer& next = cluster.wait_for_leader();
    const std::string newer = take_lock(next, "newer");
    // The newer holder's first word shuts the former one out, even though it changes nothing.
    HttpAnswer first =
        HttpConnection(follower_of(cluster, next).http())
            .call({"DELETE", "/v1/kv/absent?timeout=30000&fence=lock:" + newer, "", {}}, kDeadline);
    REQUIRE(first.status == 404);
    leader.start();
    cluster.wait_all_in_sync();
    next.kill();
    KvdServer& last = cluster.wait_for_leader();
    for (KvdServer* server : cluster.serving()) {
      const HttpAnswer late = fenced_put(*server, "job", "done by the former one", former);
      INFO(late.body);
      REQUIRE(late.status == 412);
      REQUIRE(late.body.find("\"type\":\"urn:kvd:fenced\"") != std::string::npos);
      REQUIRE(late.body.find("\"outcome\":\"not-applied\"") != std::string::npos);
      REQUIRE(late.body.find("\"current_fence\":" + newer + "}") != std::string::npos);
      say(fmt::format("{} leads after two changes; the former holder by {}: {}", last.name(), server->name(),
                      late.body));
    }
    REQUIRE(cluster.read_linear(last, "job").body == "begun");
    REQUIRE(fenced_put(follower_of(cluster, last), "job", written["job"] = "done", newer).status == 200);
    cluster.require_everywhere(written);
    next.start();
    cluster.wait_all_in_sync();
    REQUIRE(fenced_put(next, "job", "late again", former).status == 412);
  }
  cluster.require_everywhere(written);
  cluster.wait_all_equal();
}

}  // namespace kvd::testing
