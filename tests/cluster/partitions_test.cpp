// Servers and ZooKeeper on hosts of their own, and a network between them that drops what one sends to
// another: whoever is cut off from whom, clients see one history and lose nothing. The clients reach every
// server always.
#include <doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <optional>

#include "base/prng.hpp"
#include "cluster/clients.hpp"
#include "cluster/faults.hpp"
#include "cluster/judgement.hpp"
#include "cluster/network.hpp"
#include "cluster/requirements.hpp"

namespace kvd::testing {

std::string further_requirement() { return Network::enter(); }

namespace {

constexpr int kServers = 3;
constexpr int kZookeeper = kServers;  // the host behind the servers'

Cluster::Options options_for(const Network& network) {
  Cluster::Options options;
  for (int i = 0; i < kServers; ++i) options.places.push_back(network.place(i));
  options.zookeeper_place = network.place(kZookeeper);
  return options;
}

// Three servers under load, and who they are: the hosts' numbers of the leader and of its followers.
class Partition {
 public:
  Partition() : cluster(options_for(network)) {
    cluster.start_all();
    clients.emplace(cluster.addresses(), 6, seed);
    wait_for_writes(cluster, *clients, 50);
    look();
  }

  KvdServer& server(int host) { return cluster.server(static_cast<size_t>(host)); }
  std::string name(int host) { return host == kZookeeper ? "ZooKeeper" : server(host).name(); }
  void look() {
    const KvdServer& found = cluster.wait_for_leader();
    for (int i = 0, next = 0; i < kServers; ++i) (&server(i) == &found ? leader : followers[next++]) = i;
  }

  void cut(int from, int to) {
    network.cut(from, to);
    say(fmt::format("What {} sends to {} is dropped.", name(from), name(to)));
  }
  void cut_both(int a, int b) { cut(a, b), cut(b, a); }
  void heal() {
    network.heal();
    cluster.wait_all_in_sync();
    say("The network is whole, and all are in sync.");
    wait_for_writes(cluster, *clients, 20);
    clients->next_keys();
    look();
  }

  // Some server other than this one leads and is ready.
  void wait_for_successor(int of) {
    cluster.wait_until(fmt::format("another server than {} leads", name(of)), [&] {
      for (int i = 0; i < kServers; ++i) {
        const auto status = i == of ? std::nullopt : server(i).status();
        if (!status || status->role != "leader" || !status->ready) continue;
        say(fmt::format("{} leads now.", name(i)));
        return true;
      }
      return false;
    });
  }
  void wait_out_of_sync(int host, int as_seen_by) {
    cluster.wait_until(fmt::format("{} is not in sync any more", name(host)), [&] {
      const auto status = server(as_seen_by).status();
      return status && !status->has_in_sync(server(host).id());
    });
    say(fmt::format("{} is not in sync any more.", name(host)));
  }
  void wait_zookeeper(int host, const std::string& state) {
    cluster.wait_until(fmt::format("{} is {} to ZooKeeper", name(host), state), [&] {
      const auto status = server(host).status();
      return status && status->zookeeper == state;
    });
  }
  void wait_for_writes_now() {
    wait_for_writes(cluster, *clients, 50);
    say("Writes go on.");
  }

  static constexpr uint64_t seed = 1;
  Network network{kServers + 1};
  Cluster cluster;
  std::optional<Clients> clients;
  int leader = 0;
  int followers[kServers - 1] = {};
};

TEST_CASE("the leader cut off from ZooKeeper") {
  Partition p;
  p.cut_both(p.leader, kZookeeper);
  p.wait_zookeeper(p.leader, "connecting");
  p.wait_for_writes_now();
  const std::string id = p.server(p.leader).id();
  p.cluster.wait_until("its election znode is gone", [&] {
    const auto order = p.cluster.election_order();
    return std::count(order.begin(), order.end(), id) == 0;
  });
  say("Its session has expired.");
  p.wait_for_writes_now();
  p.heal();
  judge(p.cluster, *p.clients);
}

TEST_CASE("the leader cut off from one follower") {
  Partition p;
  p.cut_both(p.leader, p.followers[0]);
  p.wait_out_of_sync(p.followers[0], p.leader);
  p.wait_for_writes_now();
  p.heal();
  judge(p.cluster, *p.clients);
}

TEST_CASE("the leader cut off from both followers") {
  Partition p;
  const int former = p.leader;
  for (const int follower : p.followers) p.cut_both(former, follower);
  p.wait_for_successor(former);
  p.wait_for_writes_now();
  p.heal();
  judge(p.cluster, *p.clients);
}

TEST_CASE("the leader cut off from everybody") {
  Partition p;
  const int former = p.leader;
  for (const int other : {p.followers[0], p.followers[1], kZookeeper}) p.cut_both(former, other);
  p.wait_zookeeper(former, "connecting");
  p.wait_for_successor(former);
  p.wait_for_writes_now();
  p.heal();
  judge(p.cluster, *p.clients);
}

TEST_CASE("one-way cuts between the leader and one follower") {
  Partition p;
  p.cut(p.leader, p.followers[0]);
  p.wait_out_of_sync(p.followers[0], p.followers[1]);
  p.wait_for_writes_now();
  p.heal();
  p.cut(p.followers[0], p.leader);
  p.wait_out_of_sync(p.followers[0], p.followers[1]);
  p.wait_for_writes_now();
  p.heal();
  judge(p.cluster, *p.clients);
}

TEST_CASE("one-way cuts between the leader and both followers") {
  Partition p;
  int former = p.leader;
  for (const int follower : p.followers) p.cut(former, follower);
  p.wait_for_successor(former);
  p.wait_for_writes_now();
  p.heal();
  former = p.leader;
  for (const int follower : p.followers) p.cut(follower, former);
  p.wait_for_successor(former);
  p.wait_for_writes_now();
  p.heal();
  judge(p.cluster, *p.clients);
}

TEST_CASE("one-way cuts between the leader and ZooKeeper") {
  Partition p;
  p.cut(p.leader, kZookeeper);
  p.wait_zookeeper(p.leader, "connecting");
  p.wait_for_writes_now();
  p.heal();
  p.cut(kZookeeper, p.leader);
  p.wait_zookeeper(p.leader, "connecting");
  p.wait_for_writes_now();
  p.heal();
  judge(p.cluster, *p.clients);
}

// All at once; none of them may succeed.
void require_refused(const KvdServer& server, const std::vector<HttpCall>& calls) {
  std::deque<HttpConnection> connections;
  for (const HttpCall& call : calls) REQUIRE(connections.emplace_back(server.http()).send(call, kDeadline));
  for (HttpConnection& connection : connections) {
    const HttpAnswer answer = connection.receive(kDeadline);
    INFO(answer.status << " " << answer.body);
    REQUIRE((answer.status == 503 || answer.status == 504));
  }
}

// It wakes up as the leader that it was, hears from nobody, and is asked at once.
TEST_CASE("a leader frozen and cut off answers nothing when it goes on") {
  Partition p;
  p.clients->stop();  // their writes would keep the reads waiting
  KvdServer& former = p.server(p.leader);
  p.cluster.write(former, "k", "old");
  former.pause();
  say(fmt::format("{}, which leads, is frozen.", former.name()));
  for (const int other : {p.followers[0], p.followers[1], kZookeeper}) p.cut_both(p.leader, other);
  p.wait_for_successor(p.leader);
  p.cluster.write(p.server(p.followers[0]), "k", "new");
  former.resume();
  std::vector<HttpCall> calls(20, {"GET", "/v1/kv/k?read=linear&timeout=1000", "", {}});
  calls.insert(calls.end(), 20, {"PUT", "/v1/kv/late?timeout=1000", "v", {}});
  require_refused(former, calls);
  say("It goes on, and answers neither reads nor writes.");
  p.network.heal();
  p.cluster.wait_all_in_sync();
  judge(p.cluster, *p.clients);
  p.cluster.require_everywhere({{"k", "new"}});
}

// What a server had sent to the leader when it was cut off may not keep it from being heard afterwards: TCP
// by itself waits ever longer before it tries again.
TEST_CASE("a server that was cut off serves once it is in sync again") {
  Partition p;
  const int follower = p.followers[0];
  p.cut_both(p.leader, follower);
  p.wait_out_of_sync(follower, p.leader);
  p.cluster.wait_for(seconds(15));
  p.network.heal();
  p.cluster.wait_all_in_sync();
  say("The network is whole, and all are in sync.");
  const HttpAnswer answer =
      http_request(p.server(follower).http(), "PUT", "/v1/kv/afterwards", "v", kDeadline);
  INFO(answer.status << " " << answer.body);
  REQUIRE(answer.status == 201);
  judge(p.cluster, *p.clients);
}

// Any set of one-way cuts, for any time: it need not leave anybody able to serve, only nothing be lost.
TEST_CASE("cuts at random") {
  constexpr int kRounds = 8;
  const uint64_t seed = draw_seed();
  Partition p;
  Prng random(seed);
  for (int round = 0; round < kRounds; ++round) {
    for (int64_t steps = random.between(1, 4); steps > 0; --steps) {
      const int from = static_cast<int>(random.below(kServers + 1));
      const int to = (from + 1 + static_cast<int>(random.below(kServers))) % (kServers + 1);
      p.cut(from, to);
      if (random.one_in(2)) p.cut(to, from);
      p.cluster.wait_for(milliseconds(random.between(10, 2'000)));
    }
    p.heal();
  }
  judge(p.cluster, *p.clients);
}

}  // namespace
}  // namespace kvd::testing
