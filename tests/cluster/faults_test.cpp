// Real servers and a real ZooKeeper under random faults, and clients whose whole record is judged: nothing
// that was acknowledged may be lost, and all of it must be the history of one linearizable store.
#include "cluster/faults.hpp"

#include <doctest.h>
#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <deque>

#include "cluster/clients.hpp"
#include "cluster/judgement.hpp"
#include "cluster/writer.hpp"

namespace kvd::testing {
namespace {

using Clock = std::chrono::steady_clock;

TEST_CASE("servers and ZooKeeper fail at random") {
  const uint64_t seed = draw_seed();
  Cluster cluster;
  cluster.start_all();
  Writer writer(cluster.addresses());
  Clients clients(cluster.addresses(), 6, seed);
  Faults faults(cluster, seed);
  const auto end = Clock::now() + (getenv("KVD_TEST_LONG") != nullptr ? seconds(600) : seconds(25));
  while (Clock::now() < end) {
    faults.round();
    wait_for_writes(cluster, clients, 20);
    clients.next_keys();
  }
  say(faults.summary() + ".");
  judge(cluster, clients);
  cluster.require_everywhere(writer.stop());
}

// What is asked of a frozen leader arrives as soon as it goes on, before it has heard of its successor. That
// what it has is old it cannot know yet, so it must ask.
TEST_CASE("a frozen leader that goes on serves nothing stale") {
  constexpr int kReads = 30;
  Cluster cluster;
  cluster.start_all();
  Clients clients(cluster.addresses(), 6, 1);
  wait_for_writes(cluster, clients, 50);
  KvdServer& former = cluster.wait_for_leader();
  cluster.write(former, "k", "old");
  former.pause();
  say(fmt::format("{}, which leads, is frozen.", former.name()));
  KvdServer* next = nullptr;
  cluster.wait_until("another server leads",
                     [&] { return (next = cluster.leader()) != nullptr && next != &former; });
  cluster.write(*next, "k", "new");
  std::deque<HttpConnection> connections;
  for (int i = 0; i < kReads; ++i)
    REQUIRE(connections.emplace_back(former.http()).send({"GET", "/v1/kv/k?read=linear", "", {}}, kDeadline));
  say(fmt::format("{} leads, and has a newer value; the former leader goes on.", next->name()));
  former.resume();
  for (HttpConnection& connection : connections) {
    const HttpAnswer answer = connection.receive(kDeadline);
    INFO(answer.status << " " << answer.body);
    REQUIRE((answer.status == 200 || answer.status == 503 || answer.status == 504));
    if (answer.status == 200) REQUIRE(answer.body == "new");
  }
  wait_for_writes(cluster, clients, 50);
  judge(cluster, clients);
}

TEST_CASE("a frozen follower holds writes up only for a while") {
  constexpr int kWrites = 200;
  Cluster cluster;
  cluster.start_all();
  KvdServer& leader = cluster.wait_for_leader();
  auto servers = cluster.serving();
  std::erase(servers, &leader);
  cluster.write(leader, "before", "v");
  servers.front()->pause();
  Duration longest{0};
  for (int i = 0; i < kWrites; ++i) {
    const auto began = Clock::now();
    const HttpAnswer answer = leader.put(fmt::format("k{}", i), "v", kDeadline);
    INFO(answer.status << " " << answer.body);
    REQUIRE(answer.status == 201);
    longest = std::max(longest, std::chrono::duration_cast<Duration>(Clock::now() - began));
  }
  say(fmt::format("{} is frozen. {} writes were acknowledged since; the slowest took {} ms.",
                  servers.front()->name(), kWrites, to_ms(longest)));
  servers.front()->resume();
  cluster.wait_all_in_sync();
  cluster.wait_all_equal();
}

}  // namespace
}  // namespace kvd::testing
