// What kvd promises, shown with real processes and a real ZooKeeper: each test breaks something and looks
// at what clients see. Everything waits for what it expects, with a deadline; no timing is asserted.
#include <doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "cluster/cluster.hpp"
#include "cluster/requirements.hpp"
#include "cluster/writer.hpp"

namespace kvd::testing {

std::string further_requirement() { return ""; }

namespace {

using Keys = std::map<std::string, std::string>;

constexpr Duration kSession = seconds(4);  // as the clusters' --session-timeout
constexpr int kExitUnavailable = 69;       // sysexits.h

// Writes `count` keys through the serving servers in turn.
Keys write_some(Cluster& cluster, const std::string& prefix, int count) {
  Keys written;
  const auto servers = cluster.serving();
  for (int i = 0; i < count; ++i) {
    KvdServer& server = *servers[static_cast<size_t>(i) % servers.size()];
    const std::string key = fmt::format("{}-{}", prefix, i);
    const std::string value = fmt::format("value of {}", key);
    cluster.write(server, key, value);
    written[key] = value;
  }
  say(fmt::format("{} writes were acknowledged.", count));
  return written;
}

void wait_for_writes(Cluster& cluster, const Writer& writer, size_t more) {
  const size_t goal = writer.acknowledged() + more;
  cluster.wait_until(fmt::format("{} more writes are acknowledged", more),
                     [&] { return writer.acknowledged() >= goal; });
}

// Someone else than `former` leads.
KvdServer& wait_for_other_leader(Cluster& cluster, const KvdServer& former) {
  KvdServer* found = nullptr;
  cluster.wait_until(fmt::format("another server than {} leads", former.name()), [&] {
    found = cluster.leader();
    return found != nullptr && found != &former;
  });
  say(fmt::format("{} leads now.", found->name()));
  return *found;
}

KvdServer& follower(Cluster& cluster) {
  const KvdServer& leader = cluster.wait_for_leader();
  const auto servers = cluster.serving();
  return **std::find_if(servers.begin(), servers.end(), [&](KvdServer* one) { return one != &leader; });
}

bool reads(KvdServer& server, const std::string& key, const std::string& value) {
  const HttpAnswer answer = server.get("/v1/kv/" + key);
  return answer.status == 200 && answer.body == value;
}

TEST_CASE("add and read") {
  Cluster cluster;
  cluster.start_all();
  for (const auto& writer : cluster.servers()) {
    const std::string key = "written-to-" + std::to_string(writer->http().port);
    const uint64_t revision = cluster.write(*writer, key, "hello");
    for (const auto& reader : cluster.servers()) {
      const HttpAnswer answer = reader->get(fmt::format("/v1/kv/{}?min_rev={}", key, revision));
      REQUIRE(answer.status == 200);
      REQUIRE(answer.body == "hello");
      REQUIRE(answer.header("Kvd-Complete").empty());
    }
    say(fmt::format("What {} took is read from all.", writer->name()));
  }
  const HttpAnswer updated = cluster.insist(cluster.server(0), {"PUT", "/v1/kv/key", "first", {}});
  REQUIRE(updated.status == 201);
  REQUIRE(cluster.insist(cluster.server(1), {"PUT", "/v1/kv/key", "second", {}}).status == 200);
  cluster.require_everywhere({{"key", "second"}});
  REQUIRE(cluster.lost_write({{"key", "first"}}) ==
          "server 1 has 'second' where 'first' was acknowledged for key");
  REQUIRE(cluster.read_linear(cluster.server(2), "never-written").status == 404);
}

TEST_CASE("three servers started at once elect the smallest znode") {
  Cluster cluster;
  cluster.start_all();
  std::vector<std::string> order;
  cluster.wait_until("every server has its election znode", [&] {
    order = cluster.election_order();
    return order.size() == cluster.servers().size();
  });
  REQUIRE(cluster.wait_for_leader().id() == order.front());
  for (const auto& server : cluster.servers()) REQUIRE(server->status()->leader == order.front());
  say(fmt::format("{} has the smallest election znode, and leads.", order.front()));
}

TEST_CASE("the leader is killed and the next in line leads") {
  Cluster cluster;
  cluster.start_all();
  Keys keys = write_some(cluster, "before", 30);
  cluster.wait_until("every server has its election znode",
                     [&] { return cluster.election_order().size() == cluster.servers().size(); });
  KvdServer& former = cluster.wait_for_leader();
  const auto order = cluster.election_order();
  REQUIRE(order.front() == former.id());

  Writer writer(cluster.addresses());
  wait_for_writes(cluster, writer, 50);
  say(fmt::format("{} is killed under load.", former.name()));
  former.kill();
  REQUIRE(wait_for_other_leader(cluster, former).id() == order.at(1));
  wait_for_writes(cluster, writer, 50);
  keys.merge(writer.stop());
  keys.merge(write_some(cluster, "after", 10));
  cluster.wait_all_in_sync();
  cluster.require_everywhere(keys);
}

TEST_CASE("a killed server returns without catching up") {
  Cluster cluster;
  cluster.start_all();
  Keys keys = write_some(cluster, "old", 10);
  KvdServer& returned = cluster.wait_for_leader();
  returned.kill();
  say(fmt::format("{}, which led, was killed.", returned.name()));
  wait_for_other_leader(cluster, returned);
  keys.merge(write_some(cluster, "while-down", 5));

  returned.start({"--catch-up", "off"});
  cluster.wait_until("the returned server is ready and sparse", [&] {
    const auto status = returned.status();
    return status && status->ready && status->role == "sparse";
  });
  REQUIRE(cluster.wait_for_leader().id() != returned.id());
  for (const auto& [key, value] : keys) {
    const HttpAnswer answer = returned.get("/v1/kv/" + key);
    REQUIRE(answer.status == 404);
    REQUIRE(answer.header("Kvd-Complete") == "false");
  }
  say("It misses every key, and says so.");

  keys["old-3"] = "updated";
  cluster.write(cluster.wait_for_leader(), "old-3", "updated");
  cluster.wait_until("the updated key reaches it", [&] { return reads(returned, "old-3", "updated"); });
  REQUIRE(returned.get("/v1/kv/old-4").status == 404);
  REQUIRE(cluster.read_linear(returned, "old-4").body == keys["old-4"]);
  say("It has the key that was updated, and still not the others.");
  REQUIRE_FALSE(returned.status()->complete);

  returned.kill();
  returned.start();
  cluster.wait_all_in_sync();
  for (const auto& [key, value] : keys) REQUIRE(reads(returned, key, value));
  say("Started as usual it has caught up with everything.");
  cluster.require_everywhere(keys);
}

TEST_CASE("ZooKeeper restarts under load") {
  Cluster cluster;
  cluster.start_all();
  Writer writer(cluster.addresses());
  wait_for_writes(cluster, writer, 50);
  ZookeeperEnsemble& zookeeper = cluster.zookeeper();

  zookeeper.kill(0);
  say("ZooKeeper is killed.");
  wait_for_writes(cluster, writer, 50);
  zookeeper.start();
  REQUIRE(zookeeper.wait_ready());
  say("It is back at once; writes went on meanwhile.");
  wait_for_writes(cluster, writer, 50);
  cluster.wait_all_in_sync();

  zookeeper.kill(0);
  cluster.wait_for(kSession + seconds(2));
  wait_for_writes(cluster, writer, 50);
  zookeeper.start();
  REQUIRE(zookeeper.wait_ready());
  say("It was away for longer than a session, and is back.");
  cluster.wait_until("every server is connected to it again", [&] {
    const auto servers = cluster.serving();
    return std::all_of(servers.begin(), servers.end(), [](KvdServer* one) {
      const auto status = one->status();
      return status && status->zookeeper == "connected";
    });
  });
  wait_for_writes(cluster, writer, 50);
  const Keys keys = writer.stop();
  cluster.wait_all_in_sync();
  cluster.require_everywhere(keys);
}

TEST_CASE("one of three ZooKeepers dies and then the leader") {
  Cluster::Options options;
  options.zookeepers = 3;
  Cluster cluster(options);
  cluster.start_all();
  Writer writer(cluster.addresses());
  wait_for_writes(cluster, writer, 50);
  cluster.zookeeper().kill(0);
  say("The first of three ZooKeepers is killed.");
  wait_for_writes(cluster, writer, 50);

  KvdServer& former = cluster.wait_for_leader();
  former.kill();
  say(fmt::format("{}, which led, is killed.", former.name()));
  wait_for_other_leader(cluster, former);
  wait_for_writes(cluster, writer, 50);
  former.start();
  say(fmt::format("{} is started again.", former.name()));
  cluster.wait_all_in_sync();
  cluster.require_everywhere(writer.stop());
}

TEST_CASE("all servers are killed and a new lineage begins") {
  Cluster cluster;
  cluster.start_all();
  const Keys lost = write_some(cluster, "lost", 5);
  const auto before = cluster.wait_for_leader().status();
  REQUIRE(before);
  REQUIRE(before->lineage == 0);
  for (const auto& server : cluster.servers()) server->kill();
  say("All servers were killed; they kept everything in memory.");

  cluster.start_all();
  for (const auto& server : cluster.servers()) {
    const auto after = server->status();
    REQUIRE(after);
    REQUIRE(after->lineage == 1);
    REQUIRE(after->revision > before->revision);
    REQUIRE(server->get("/v1/kv/lost-0").status == 404);
  }
  REQUIRE(cluster.lost_write(lost) == "server 1 misses the acknowledged key lost-0");
  const uint64_t revision = cluster.write(cluster.server(0), "new", "value");
  REQUIRE(revision > before->revision);
  say("They serve again, empty, with larger revisions.");
  cluster.require_everywhere({{"new", "value"}});
}

TEST_CASE("a second server with the same id gives up") {
  Cluster cluster;
  cluster.start_all();
  KvdServer& first = cluster.server(1);
  KvdServer& second = cluster.add_server({"--id", first.id(), "--log-level", "error"});
  second.start();
  const auto code = second.wait(kDeadline);
  REQUIRE(code);
  REQUIRE(*code == kExitUnavailable);
  REQUIRE(cluster.ended_by_itself() == "server 4 ended by itself with 69");
  second.kill();  // from here on it is not meant to run
  const std::string said = second.log();
  INFO(said);
  REQUIRE(std::count(said.begin(), said.end(), '\n') == 1);
  REQUIRE(said.find(first.id()) != std::string::npos);
  say("The second one said: " + said.substr(0, said.size() - 1));
  cluster.wait_all_in_sync();
  cluster.write(first, "key", "value");
  cluster.require_everywhere({{"key", "value"}});
}

TEST_CASE("the leader is asked to stop and hands over") {
  Cluster cluster;
  cluster.start_all();
  Writer writer(cluster.addresses());
  wait_for_writes(cluster, writer, 50);
  KvdServer& former = cluster.wait_for_leader();
  say(fmt::format("{}, which leads, gets SIGTERM.", former.name()));
  const auto code = former.stop(kDeadline);
  REQUIRE(code);
  REQUIRE(*code == 0);
  wait_for_other_leader(cluster, former);
  wait_for_writes(cluster, writer, 50);
  cluster.wait_all_in_sync();
  cluster.require_everywhere(writer.stop());
}

TEST_CASE("a follower freezes and thaws") {
  Cluster cluster;
  cluster.start_all();
  Writer writer(cluster.addresses());
  wait_for_writes(cluster, writer, 50);
  KvdServer& frozen = follower(cluster);
  frozen.pause();
  say(fmt::format("{}, which follows, is frozen.", frozen.name()));
  wait_for_writes(cluster, writer, 50);
  cluster.wait_all_in_sync();  // without it
  say("Writes go on, and it is not in sync any more.");
  frozen.resume();
  cluster.wait_all_in_sync();
  say("It is in sync again.");
  cluster.require_everywhere(writer.stop());
}

TEST_CASE("the leader freezes and thaws") {
  Cluster cluster;
  cluster.start_all();
  Writer writer(cluster.addresses());
  wait_for_writes(cluster, writer, 50);
  KvdServer& frozen = cluster.wait_for_leader();
  frozen.pause();
  say(fmt::format("{}, which leads, is frozen.", frozen.name()));
  wait_for_other_leader(cluster, frozen);
  wait_for_writes(cluster, writer, 50);
  frozen.resume();
  cluster.wait_all_in_sync();
  say("It is back, and in sync again.");
  cluster.require_everywhere(writer.stop());
}

TEST_CASE("each leader in turn is killed and returns") {
  Cluster cluster;
  cluster.start_all();
  Writer writer(cluster.addresses());
  for (size_t round = 0; round < 2 * cluster.servers().size(); ++round) {
    wait_for_writes(cluster, writer, 20);
    KvdServer& former = cluster.wait_for_leader();
    former.kill();
    say(fmt::format("{}, which led, is killed.", former.name()));
    wait_for_other_leader(cluster, former);
    former.start();
    cluster.wait_all_in_sync();
  }
  cluster.require_everywhere(writer.stop());
}

TEST_CASE("all servers freeze until their sessions have expired") {
  Cluster cluster;
  cluster.start_all();
  Writer writer(cluster.addresses());
  wait_for_writes(cluster, writer, 50);
  for (const auto& server : cluster.servers()) server->pause();
  say("All servers are frozen.");
  cluster.wait_until("all election znodes are gone", [&] { return cluster.election_order().empty(); });
  for (const auto& server : cluster.servers()) server->resume();
  say("ZooKeeper has dropped their znodes; they go on.");
  wait_for_writes(cluster, writer, 50);
  cluster.wait_all_in_sync();
  cluster.wait_until("every server has an election znode again",
                     [&] { return cluster.election_order().size() == cluster.servers().size(); });
  cluster.require_everywhere(writer.stop());
}

}  // namespace
}  // namespace kvd::testing
