// Servers with --data-dir: what they come back with after every one of them was killed, what a lost or damaged disk
// means, and who may use a directory. Real processes on real files.
#include <doctest.h>
#include <fmt/format.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "base/prng.hpp"
#include "cluster/clients.hpp"
#include "cluster/cluster.hpp"
#include "cluster/faults.hpp"
#include "cluster/judgement.hpp"
#include "cluster/writer.hpp"

namespace kvd::testing {
namespace {

using Clock = std::chrono::steady_clock;

Cluster::Options durable() {
  Cluster::Options options;
  options.durable = true;
  return options;
}

int count(const std::string& text, const std::string& phrase) {
  int found = 0;
  for (size_t at = 0; (at = text.find(phrase, at)) != std::string::npos; at += phrase.size()) ++found;
  return found;
}

// What this server's log has said since `before`, an earlier log().
bool has_said(const KvdServer& server, const std::string& before, const std::string& phrase) {
  return server.log().find(phrase, before.size()) != std::string::npos;
}

void wait_for_more(Cluster& cluster, const Writer& writer, size_t more) {
  const size_t wanted = writer.acknowledged() + more;
  cluster.wait_until("more writes are acknowledged", [&] { return writer.acknowledged() >= wanted; });
}

TEST_CASE("all servers are killed in the middle of writes and nothing is lost") {
  Prng random(draw_seed());
  Cluster cluster(durable());
  cluster.start_all();
  Writer writer(cluster.addresses());
  Clients clients(cluster.addresses(), 6, random.next());
  for (int round = 0; round < 4; ++round) {
    wait_for_writes(cluster, clients, 100);
    for (const auto& one : cluster.servers()) one->kill();
    std::vector<size_t> order = {0, 1, 2};
    for (size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
    say(fmt::format("All are killed; they return in the order {}, {}, {}.", order[0] + 1, order[1] + 1,
                    order[2] + 1));
    for (size_t index : order) {
      cluster.server(index).start();
      cluster.wait_for(milliseconds(random.between(0, 800)));
    }
    cluster.wait_all_in_sync();
    clients.next_keys();
  }
  for (const auto& one : cluster.servers()) {
    CHECK(count(one->log(), "joins anew") == 0);
    CHECK(count(one->log(), "A NEW LINEAGE") == 0);
  }
  judge(cluster, clients);
  cluster.require_everywhere(writer.stop());
}

TEST_CASE("a follower that was away takes what it missed from the log") {
  Cluster cluster(durable());
  cluster.start_all();
  KvdServer& leader = cluster.wait_for_leader();
  auto servers = cluster.serving();
  std::erase(servers, &leader);
  KvdServer& follower = *servers.front();
  cluster.write(leader, "before", "v");
  cluster.wait_all_equal();
  const std::string before = follower.log();
  follower.kill();
  for (int i = 0; i < 50; ++i) cluster.write(leader, fmt::format("k{}", i), "missed");
  follower.start();
  cluster.wait_all_in_sync();
  cluster.wait_all_equal();
  CHECK(has_said(follower, before, "identity=kept"));
  CHECK_FALSE(has_said(follower, before, "installed a snapshot"));
  say("It has all, without a snapshot.");
}

TEST_CASE("a lost or damaged disk is healed by the others") {
  Cluster cluster(durable());
  cluster.start_all();
  Writer writer(cluster.addresses());
  for (const char* what : {"lost", "damaged"}) {
    wait_for_more(cluster, writer, 50);
    KvdServer& victim = cluster.wait_for_leader();
    size_t index = 0;
    while (&cluster.server(index) != &victim) ++index;
    const std::string before = victim.log();
    victim.kill();
    const std::filesystem::path directory = cluster.data_directory(index);
    if (std::string(what) == "lost") {
      std::filesystem::remove_all(directory);
    } else {
      for (const auto& file : std::filesystem::directory_iterator(directory)) {
        if (!file.path().filename().string().starts_with("log-")) continue;
        std::fstream bytes(file.path(), std::ios::in | std::ios::out | std::ios::binary);
        bytes.seekp(200);
        bytes.put('\xA5');
      }
    }
    say(fmt::format("{} led; it is killed and its disk is {}.", victim.name(), what));
    victim.start();
    cluster.wait_all_in_sync();
    CHECK(has_said(victim, before, "identity=new"));
    if (std::string(what) == "damaged") CHECK(has_said(victim, before, "joins anew"));
    wait_for_more(cluster, writer, 50);
  }
  const auto written = writer.stop();
  cluster.wait_all_equal();
  cluster.require_everywhere(written);
}

TEST_CASE("a data directory is for one process and one server of one cluster") {
  Cluster cluster(durable());
  cluster.start_all();
  auto refused = [&](const std::vector<std::string>& flags, int code, const std::string& reason) {
    KvdServer other("another server", cluster.directory() + "/other.log",
                    cluster.zookeeper().connect_string(), {});
    other.start(flags);
    const auto ended = other.wait(kDeadline);
    REQUIRE(ended);
    CHECK(*ended == code);
    INFO(other.log());
    CHECK(other.log().find(reason) != std::string::npos);
  };
  refused({"--data-dir", cluster.data_directory(0)}, 69, "in use by another process");
  KvdServer& victim = cluster.server(0);
  victim.kill();
  refused({"--data-dir", cluster.data_directory(0)}, 78, "belongs to the server " + victim.id());
  // Elsewhere in ZooKeeper there is no register: that is not taken for the cluster's, nor is another one begun there.
  KvdServer elsewhere("elsewhere", cluster.directory() + "/elsewhere.log",
                      cluster.zookeeper().connect_string() + "/another", {});
  elsewhere.start({"--data-dir", cluster.data_directory(0), "--id", victim.id()});
  cluster.wait_until("it says whom it waits for", [&] {
    return elsewhere.log().find("the register waits to be restored") != std::string::npos;
  });
  CHECK(elsewhere.log().find("ZooKeeper does not show the register that this server remembers") !=
        std::string::npos);
  elsewhere.kill();
  victim.start();
  cluster.wait_until("the first server is in sync again", [&] {
    const auto status = victim.status();
    return status && status->ready && status->complete;
  });
}

TEST_CASE("one durable server alone keeps everything") {
  Cluster::Options options;
  options.servers = 1;
  options.durable = true;
  options.flags = {"--standalone"};
  Cluster cluster(options);
  KvdServer& server = cluster.server(0);
  std::map<std::string, std::string> expected;
  for (int life = 0; life < 3; ++life) {
    server.start();
    cluster.wait_until("it is ready", [&] { return server.get("/readyz").status == 200; });
    for (const auto& [key, value] : expected) CHECK(server.get("/v1/kv/" + key).body == value);
    for (int i = 0; i < 20; ++i) {
      const std::string key = fmt::format("k{}-{}", life, i);
      cluster.write(server, key, expected[key] = fmt::format("v{}", i));
    }
    if (life == 1) {
      const auto code = server.stop(kDeadline);
      REQUIRE(code);
      CHECK(*code == 0);
    } else {
      server.kill();
    }
  }
}

TEST_CASE("durable servers and ZooKeeper fail at random") {
  const uint64_t seed = draw_seed();
  Cluster cluster(durable());
  cluster.start_all();
  Writer writer(cluster.addresses());
  Clients clients(cluster.addresses(), 6, seed);
  Faults faults(cluster, seed, true);
  const auto end = Clock::now() + (getenv("KVD_TEST_LONG") != nullptr ? seconds(600) : seconds(25));
  while (Clock::now() < end) {
    faults.round();
    wait_for_writes(cluster, clients, 20);
    clients.next_keys();
  }
  say(faults.summary() + ".");
  for (const auto& one : cluster.servers()) CHECK(count(one->log(), "joins anew") == 0);
  judge(cluster, clients);
  cluster.require_everywhere(writer.stop());
}

}  // namespace
}  // namespace kvd::testing
