// See faults.hpp. The budget: whatever was acknowledged is on every server of the in-sync set, so that one of
// them must live on. A server counts only when it says itself that it is in sync with the leader that all
// name, and no other one is lost while the register still counts somebody who is gone.
#include "cluster/faults.hpp"

#include <doctest.h>
#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <charconv>
#include <random>
#include <string_view>

namespace kvd::testing {
namespace {

constexpr size_t kImpairedMax = 2;  // of three servers
constexpr const char* kNames[] = {"killed",   "all killed at once", "asked to stop",    "frozen",
                                  "returned", "ZooKeeper killed",   "ZooKeeper frozen", "ZooKeeper returned"};

}  // namespace

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

void Faults::round() {
  const int64_t steps = random_.between(3, 7);
  for (int64_t i = 0; i < steps; ++i) {
    if (step()) last_a_while();
  }
  heal();
}

// Mostly shorter than any suspicion takes or just about as long; now and then longer than a session.
void Faults::last_a_while() {
  const Duration span = milliseconds(random_.one_in(10)  ? random_.between(4'000, 6'000)
                                     : random_.one_in(3) ? random_.between(600, 2'500)
                                                         : random_.between(1, 600));
  cluster_.wait_for(span);
}

bool Faults::step() {
  if (durable_ && random_.one_in(12)) return kill_all();
  const uint64_t draw = random_.below(100);
  if (draw < 25) return lose(kKill);
  if (draw < 35) return lose(kStop);
  if (draw < 60) return freeze();
  if (draw < 85) return bring_back();
  if (zookeeper_killed_ || zookeeper_frozen_) return return_zookeeper();
  return break_zookeeper(draw < 93 ? kZooKeeperKill : kZooKeeperFreeze);
}

std::vector<KvdServer*> Faults::impaired() {
  std::vector<KvdServer*> list;
  for (const auto& one : cluster_.servers()) {
    if (!one->meant_to_run() || one->paused()) list.push_back(one.get());
  }
  return list;
}

KvdServer* Faults::draw_victim(const std::vector<KvdServer*>& among, bool prefer_leader) {
  if (among.empty()) return nullptr;
  KvdServer* leader = prefer_leader ? cluster_.leader() : nullptr;
  if (leader != nullptr && std::count(among.begin(), among.end(), leader) > 0) return leader;
  return among[random_.below(among.size())];
}

bool Faults::may_lose(const KvdServer& victim) {
  if (durable_) return true;
  const KvdServer* leader = cluster_.leader();
  if (leader == nullptr) return false;
  const auto leading = leader->status();
  if (!leading || leading->leader != leader->id()) return false;
  int left = 0;
  for (const auto& one : cluster_.servers()) {
    if (!leading->has_in_sync(one->id())) continue;
    if (!one->meant_to_run()) return false;  // counted although it is gone: nobody knows yet who is left
    if (one->paused()) continue;             // lives, but cannot say in which life the register counts it
    const auto status = one->status();
    if (!status || !status->ready || !status->complete || status->epoch != leading->epoch) return false;
    if (one.get() != &victim) ++left;
  }
  return left > 0;
}

bool Faults::lose(Kind kind) {
  std::vector<KvdServer*> candidates;
  for (const auto& one : cluster_.servers()) {
    if (one->meant_to_run() && (!one->paused() || kind == kKill)) candidates.push_back(one.get());
  }
  KvdServer* victim = draw_victim(candidates, random_.one_in(2));
  if (victim == nullptr || (!victim->paused() && impaired().size() >= kImpairedMax)) return false;
  if (!may_lose(*victim)) return false;
  if (kind == kKill) {
    victim->kill();
  } else {
    const auto code = victim->stop(kDeadline);
    REQUIRE(code);
    REQUIRE(*code == 0);
  }
  did(kind, fmt::format("{} is {}.", victim->name(), kNames[kind]));
  return true;
}

// In the middle of whatever they do; they return one by one, in any order.
bool Faults::kill_all() {
  for (const auto& one : cluster_.servers()) {
    if (one->meant_to_run()) one->kill();
  }
  did(kKillAll, "All servers are killed at once.");
  return true;
}

bool Faults::freeze() {
  KvdServer* victim = draw_victim(cluster_.serving(), random_.one_in(2));
  if (victim == nullptr || impaired().size() >= kImpairedMax) return false;
  victim->pause();
  did(kFreeze, fmt::format("{} is frozen.", victim->name()));
  return true;
}

bool Faults::bring_back() {
  KvdServer* one = draw_victim(impaired(), false);
  if (one == nullptr) return false;
  if (one->paused()) {
    one->resume();
  } else {
    one->start();
  }
  did(kReturn, fmt::format("{} is back.", one->name()));
  return true;
}

bool Faults::break_zookeeper(Kind kind) {
  if (kind == kZooKeeperKill) {
    cluster_.zookeeper().kill(0);
    zookeeper_killed_ = true;
  } else {
    cluster_.zookeeper().pause(0);
    zookeeper_frozen_ = true;
  }
  did(kind, fmt::format("{}.", kNames[kind]));
  return true;
}

bool Faults::return_zookeeper() {
  if (zookeeper_frozen_) {
    cluster_.zookeeper().resume(0);
  } else {
    cluster_.zookeeper().start();
    REQUIRE(cluster_.zookeeper().wait_ready());
  }
  zookeeper_killed_ = zookeeper_frozen_ = false;
  did(kZooKeeperReturn, "ZooKeeper is back.");
  return true;
}

void Faults::heal() {
  if (zookeeper_killed_ || zookeeper_frozen_) return_zookeeper();
  while (bring_back()) {
  }
  cluster_.wait_all_in_sync();
  say("All are in sync.");
}

void Faults::did(Kind kind, const std::string& sentence) {
  ++done_[kind];
  say(sentence);
}

std::string Faults::summary() const {
  std::string text;
  for (size_t kind = 0; kind < kKinds; ++kind)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", done_[kind], kNames[kind]);
  return text;
}

}  // namespace kvd::testing
