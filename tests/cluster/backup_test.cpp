// Backup and restore over HTTP: a snapshot that was taken while clients write, and what a cluster that was empty has
// after it was given it.
#include <doctest.h>
#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "cluster/cluster.hpp"
#include "cluster/writer.hpp"

namespace kvd::testing {
namespace {

// As a person would: it comes in chunks, of no known length.
std::string take_snapshot(const KvdServer& server, const std::string& path) {
  ChildProcess curl;
  const std::string url = fmt::format("http://{}:{}/v1/snapshot", server.http().host, server.http().port);
  curl.start({"curl", "--silent", "--show-error", "--fail", "--output", path, url}, path + ".log");
  const auto ended = curl.wait(kDeadline);
  REQUIRE(ended);
  REQUIRE(*ended == 0);
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Of a write that comes with this token for a lock.
int put_fenced(const KvdServer& server, int token) {
  return http_request(server.http(), "PUT", fmt::format("/v1/kv/fenced?fence=lock:{}", token), "value",
                      kDeadline)
      .status;
}

int put_snapshot(const KvdServer& server, const std::string& snapshot) {
  return http_request(server.http(), "PUT", "/v1/snapshot", snapshot, kDeadline).status;
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
    REQUIRE(put_fenced(leader, 7) == 201);
    Writer writer(cluster.addresses());
    cluster.wait_until("others write as well", [&] { return writer.acknowledged() > 20; });
    snapshot = take_snapshot(leader, cluster.directory() + "/backup");
    say(fmt::format("The backup has {} bytes.", snapshot.size()));
    CHECK(put_snapshot(leader, snapshot) == 409);
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
  CHECK(put_snapshot(follower, snapshot.substr(0, snapshot.size() - 1)) == 400);
  std::string damaged = snapshot;
  damaged[damaged.size() / 2] ^= 1;
  CHECK(put_snapshot(follower, damaged) == 400);
  CHECK(cluster.read_all(leader, "").empty());
  say("What is cut or damaged changes nothing.");
  REQUIRE(put_snapshot(follower, snapshot) == 200);
  CHECK(put_snapshot(leader, snapshot) == 409);
  CHECK(put_fenced(leader, 6) == 412);
  CHECK(put_fenced(follower, 7) == 200);
  cluster.wait_all_equal();
  cluster.require_everywhere(before);
}

}  // namespace
}  // namespace kvd::testing
