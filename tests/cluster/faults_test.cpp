// Real servers and a real ZooKeeper under random faults, and clients whose whole record is judged: nothing
// that was acknowledged may be lost, and all of it must be the history of one linearizable store.
#include "cluster/faults.hpp"

#include <doctest.h>
#include <fmt/format.h>
#include <stdlib.h>

#include <charconv>
#include <random>
#include <string_view>

#include "cluster/clients.hpp"
#include "cluster/judgement.hpp"
#include "cluster/writer.hpp"

namespace kvd::testing {
namespace {

using Clock = std::chrono::steady_clock;

// Which faults, in which order and for how long, follows from it; what they meet does not.
uint64_t draw_seed() {
  const char* given = getenv("KVD_FAULTS_SEED");
  uint64_t seed = std::random_device{}();
  if (given != nullptr) {
    const std::string_view text(given);
    REQUIRE(std::from_chars(text.data(), text.data() + text.size(), seed).ec == std::errc());
  }
  say(fmt::format("The faults are those of KVD_FAULTS_SEED={}.", seed));
  return seed;
}

TEST_CASE("servers and ZooKeeper fail at random") {
  const uint64_t seed = draw_seed();
  Cluster cluster;
  cluster.start_all();
  Writer writer(cluster.addresses());
  Clients clients(cluster.addresses(), 6, seed);
  Faults faults(cluster, seed);
  const auto end = Clock::now() + (getenv("KVD_TEST_LONG") != nullptr ? seconds(600) : seconds(45));
  while (Clock::now() < end) {
    faults.round();
    wait_for_writes(cluster, clients, 20);
    clients.next_keys();
  }
  say(faults.summary() + ".");
  judge(cluster, clients);
  cluster.require_everywhere(writer.stop());
}

}  // namespace
}  // namespace kvd::testing
