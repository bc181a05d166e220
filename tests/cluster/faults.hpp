// Breaks a cluster of real processes in rounds, drawn from a seed: kills, stops, freezes and restarts
// servers, and ZooKeeper, several at once. It never loses more than the failure budget allows, which it reads
// off what the servers say. Main thread.
#pragma once
#include <array>
#include <string>

#include "base/prng.hpp"
#include "cluster/cluster.hpp"

namespace kvd::testing {

// Which faults are drawn, in which order and for how long, follows from the seed; what they meet does not.
// Drawn at random, unless KVD_FAULTS_SEED names one; printed.
uint64_t draw_seed();

class Faults {
 public:
  // `durable`: the servers have disks that stay, and so any of them, and all at once, may be killed.
  Faults(Cluster& cluster, uint64_t seed, bool durable = false)
      : cluster_(cluster), random_(seed), durable_(durable) {}

  // Some faults one after another, each lasting a while, the next one often before the last is over; then
  // everything is made whole, and all servers are in sync again.
  void round();
  std::string summary() const;  // how many of each kind so far

 private:
  enum Kind : uint8_t {
    kKill,
    kKillAll,
    kStop,
    kFreeze,
    kReturn,
    kZooKeeperKill,
    kZooKeeperFreeze,
    kZooKeeperReturn,
    kKinds
  };

  bool step();  // false: what was drawn is not possible now
  bool lose(Kind kind);
  bool kill_all();
  bool freeze();
  bool bring_back();
  bool break_zookeeper(Kind kind);
  bool return_zookeeper();
  void heal();
  void last_a_while();
  KvdServer* draw_victim(const std::vector<KvdServer*>& among, bool prefer_leader);
  std::vector<KvdServer*> impaired();
  bool may_lose(const KvdServer& victim);
  void did(Kind kind, const std::string& sentence);

  Cluster& cluster_;
  Prng random_;
  bool durable_;
  bool zookeeper_killed_ = false;
  bool zookeeper_frozen_ = false;
  std::array<int, kKinds> done_{};
};

}  // namespace kvd::testing
