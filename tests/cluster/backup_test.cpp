// Backup and restore: a snapshot that was taken over HTTP while clients write, or out of the directories of servers
// that are gone, and what a cluster that was empty has after it was given it.
#include <doctest.h>
#include <fmt/format.h>

#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "cluster/cluster.hpp"
#include "cluster/writer.hpp"

namespace kvd::testing {
namespace {

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// As a person would: it comes in chunks, of no known length.
std::string take_snapshot(const KvdServer& server, const std::string& path) {
  ChildProcess curl;
  const std::string url = fmt::format("http://{}:{}/v1/snapshot", server.http().host, server.http().port);
  curl.start({"curl", "--silent", "--show-error", "--fail", "--output", path, url}, path + ".log");
  const auto ended = curl.wait(kDeadline);
  REQUIRE(ended);
  REQUIRE(*ended == 0);
  return content(path);
}

// Of a write that comes with this token for a lock.
int put_fenced(Cluster& cluster, const KvdServer& server, int token) {
  return cluster.insist(server, {"PUT", fmt::format("/v1/kv/fenced?fence=lock:{}", token), "value", {}})
      .status;
}

int put_snapshot(Cluster& cluster, const KvdServer& server, const std::string& snapshot,
                 const char* query = "") {
  return cluster.insist(server, {"PUT", fmt::format("/v1/snapshot{}", query), snapshot, {}}).status;
}

// One that fails midway since servers fell behind is ended as the manual says: once more, in place of what is there.
void restore(Cluster& cluster, const KvdServer& server, const std::string& snapshot, const char* query = "") {
  cluster.wait_until("the backup is restored", [&] {
    const int status = put_snapshot(cluster, server, snapshot, query);
    query = "?replace=true";
    REQUIRE((status == 200 || status >= 500));
    return status == 200;
  });
}

TEST_CASE("a backup taken under writes is restored into an empty cluster only") {
  std::map<std::string, std::string> before;
  std::string snapshot;
  {
    Cluster cluster;
    cluster.start_all();
    KvdServer& leader = cluster.wait_for_leader();
    for (int i = 0; i < 300; ++i) {
      const std::string key = fmt::format("before-{}", i);
      cluster.write(leader, key, before[key] = fmt::format("value {}", i));
    }
    REQUIRE(put_fenced(cluster, leader, 7) == 201);
    Writer writer(cluster.addresses());
    cluster.wait_until("others write as well", [&] { return writer.acknowledged() > 20; });
    snapshot = take_snapshot(leader, cluster.directory() + "/backup");
    say(fmt::format("The backup has {} bytes.", snapshot.size()));
    CHECK(put_snapshot(cluster, leader, snapshot) == 409);
    writer.stop();
  }
  Cluster::Options options;
  options.durable = true;
  Cluster cluster(options);
  cluster.start_all();
  KvdServer& leader = cluster.wait_for_leader();
  auto servers = cluster.serving();
  std::erase(servers, &leader);
  KvdServer& follower = *servers.front();
  CHECK(put_snapshot(cluster, follower, snapshot.substr(0, snapshot.size() - 1)) == 400);
  std::string damaged = snapshot;
  damaged[damaged.size() / 2] ^= 1;
  CHECK(put_snapshot(cluster, follower, damaged) == 400);
  CHECK(cluster.read_all(leader, "").empty());
  say("What is cut or damaged changes nothing.");
  restore(cluster, follower, snapshot);
  CHECK(put_snapshot(cluster, leader, snapshot) == 409);
  CHECK(put_fenced(cluster, leader, 6) == 412);
  CHECK(put_fenced(cluster, follower, 7) == 200);
  cluster.wait_all_equal();
  cluster.require_everywhere(before);
}

TEST_CASE("a backup is restored in place of what is there and its server is killed in the midst") {
  Cluster::Options options;
  options.durable = true;
  Cluster cluster(options);
  cluster.start_all();
  KvdServer* leader = &cluster.wait_for_leader();
  std::map<std::string, std::string> before;
  constexpr int kKeys = 20'000;
  for (int i = 0; i < kKeys; i += 1000) {
    std::string ops;
    for (int j = i; j < i + 1000; ++j) {
      const std::string key = fmt::format("key-{:06}", j);
      before[key] = fmt::format("value {}", j);
      ops += fmt::format(R"({}{{"put":{{"key":"{}","value":"{}"}}}})", j > i ? "," : "", key, before[key]);
    }
    REQUIRE(cluster.insist(*leader, {"POST", "/v1/kv", "{\"ops\":[" + ops + "]}", {}}).status == 200);
  }
  const std::string snapshot = take_snapshot(*leader, cluster.directory() + "/backup");
  const auto spoil = [&] {
    const HttpAnswer deleted = cluster.insist(*leader, {"DELETE", "/v1/kv?prefix=key-&limit=5000", "", {}});
    REQUIRE(deleted.body == "{\"deleted\":5000,\"more\":true}\n");
    for (const char* key : {"a", "key-010000", "key-010000x", "z"}) cluster.write(*leader, key, "spoiled");
  };
  spoil();
  auto servers = cluster.serving();
  std::erase(servers, leader);
  restore(cluster, *servers.front(), snapshot, "?replace=true");
  cluster.wait_all_equal();
  CHECK(cluster.read_all(*leader, "") == before);
  say("Through a follower it replaces what was there.");

  spoil();
  ChildProcess curl;
  const std::string url =
      fmt::format("http://{}:{}/v1/snapshot?replace=true", leader->http().host, leader->http().port);
  curl.start({"curl", "--silent", "--retry", "9", "--upload-file", cluster.directory() + "/backup", url},
             cluster.directory() + "/curl.log");
  cluster.wait_until("it has begun", [&] {
    return http_request(servers.front()->http(), "GET", "/v1/kv/a", "", kDeadline).status == 404;
  });
  leader->kill();
  REQUIRE(curl.wait(kDeadline));
  say("The server that restores is killed; the same once more, through another one.");
  leader = &cluster.wait_for_leader();
  restore(cluster, *leader, snapshot, "?replace=true");
  for (const auto& server : cluster.servers()) {
    if (!server->running()) server->start();
  }
  cluster.wait_all_equal();
  CHECK(cluster.read_all(cluster.wait_for_leader(), "") == before);
}

// What `kvd export` says at its end of a directory, and the snapshot.
struct Exported {
  uint64_t epoch = 0;
  uint64_t revision = 0;
  std::string snapshot;
};

Exported export_directory(const std::string& directory) {
  const std::string file = directory + ".snapshot";
  const std::string log = directory + ".log";
  ChildProcess process;
  process.start({kvd_program(), "export", directory, file}, log);
  REQUIRE(process.wait(kDeadline) == 0);
  const std::string said = content(log);
  Exported exported;
  const size_t at = said.rfind("epoch ");
  REQUIRE(at != std::string::npos);
  REQUIRE(std::sscanf(said.c_str() + at, "epoch %" SCNu64 ", revision %" SCNu64, &exported.epoch,
                      &exported.revision) == 2);
  exported.snapshot = content(file);
  return exported;
}

TEST_CASE("what was acknowledged is exported from the directories of killed servers") {
  std::map<std::string, std::string> acknowledged;
  Exported best;
  {
    Cluster::Options options;
    options.durable = true;
    Cluster cluster(options);
    cluster.start_all();
    Writer writer(cluster.addresses());
    cluster.wait_until("there are writes", [&] { return writer.acknowledged() > 100; });
    for (const auto& server : cluster.servers()) server->kill();
    acknowledged = writer.stop();
    for (size_t i = 0; i < cluster.servers().size(); ++i) {
      Exported exported = export_directory(cluster.data_directory(i));
      say(fmt::format("{} has epoch {}, revision {}.", cluster.server(i).name(), exported.epoch,
                      exported.revision));
      const auto newness = [](const Exported& of) { return std::pair(of.epoch, of.revision); };
      if (newness(exported) > newness(best)) best = std::move(exported);
    }
  }
  Cluster cluster;
  cluster.start_all();
  restore(cluster, cluster.wait_for_leader(), best.snapshot);
  cluster.wait_all_equal();
  cluster.require_everywhere(acknowledged);
}

}  // namespace
}  // namespace kvd::testing
