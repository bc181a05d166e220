// See world.hpp: what is demanded once the faults are over, of a healthy core first, then of everybody.
#include <fmt/format.h>

#include <algorithm>

#include "base/check.hpp"
#include "msg/text.hpp"
#include "world.hpp"

namespace kvd::sim {
namespace {

// Simulated, and generous: some sessions, a snapshot, some back-offs.
constexpr Duration kHealPatience = seconds(120);
constexpr Duration kCorePatience = seconds(60);
constexpr uint64_t kStatusIds = uint64_t(1) << 62;  // apart from the clients' request numbers

}  // namespace

// ---- a healthy core ----
//
// Faults that stop everywhere at once hide what never ends while one of them lasts. So some servers get well and the
// others stay as they are, or worse: dead, frozen, or cut off from the core and from ZooKeeper. (Who still reaches
// ZooKeeper is not broken enough: of two servers that only ZooKeeper sees, either may lead.)

// In sync, and going to stay.
bool World::holds_everything(int server) const {
  if (!checkers_.config() || !is_alive(server) || leaving_[server]) return false;
  const std::vector<Member>& in_sync = checkers_.config()->in_sync;
  return std::count(in_sync.begin(), in_sync.end(), processes_[server]->member()) > 0;
}

// A living server of the in-sync set, and as many more as min_in_sync asks for; empty: there is no such core.
std::set<int> World::choose_core() {
  std::vector<int> whole;  // may lead
  for (int server : everyone()) {
    if (holds_everything(server)) whole.push_back(server);
  }
  if (whole.empty()) return {};
  std::set<int> core = {whole[context_.prng.below(whole.size())]};
  std::vector<int> others;
  for (int server : everyone()) {
    if (!core.contains(server)) others.push_back(server);
  }
  for (size_t i = others.size(); i > 1; --i) std::swap(others[i - 1], others[context_.prng.below(i)]);
  const Lineage lineage = checkers_.config()->lineage;
  const bool is_new = checkers_.committed().newest() <= lineage_base(lineage);
  int64_t needed = std::max<int64_t>(checkers_.config()->min_in_sync, is_new ? context_.options.expect : 1);
  // A change of min_in_sync may still be under way.
  if (context_.options.settings != 0)
    needed = std::max(needed, context_.options.servers - context_.options.sparse);
  int64_t full = 1;
  for (int server : others) {
    const bool useful = full < needed && !is_sparse(server);
    if (!useful && context_.prng.one_in(2)) continue;
    core.insert(server);
    full += is_sparse(server) ? 0 : 1;
  }
  return full < needed ? std::set<int>() : core;
}

void World::begin_core() {
  if (context_.options.core != 0) core_ = choose_core();
  if (core_.empty() || core_.size() == everyone().size()) {
    heal();
    return;
  }
  std::string names;
  for (int server : core_) names += fmt::format(" s{}", server);
  note("world: only these get well:" + names);
  phase_ = Phase::kCore;
  deadline_ = context_.queue.now() + kCorePatience;
  if (is_alive(twin())) die(twin(), false, false, Duration(0));
  zookeeper_.set_ensemble_up(true);
  network_.heal_among(core_);
  for (int server : everyone()) {
    if (core_.contains(server)) {
      mend(server);
    } else {
      break_for_good(server);
    }
  }
  workload_.start_round(std::vector<int>(core_.begin(), core_.end()));
  poll_core();
}

void World::break_for_good(int server) {
  zookeeper_.cut(server);
  for (int other : core_) {
    // One direction is enough to be of no use.
    const uint64_t ways = context_.prng.below(4);
    if (ways != 1) network_.block(server, other);
    if (ways != 2) network_.block(other, server);
  }
  if (!is_alive(server)) return;
  const uint64_t kind = context_.prng.below(4);
  // It may turn out to be the only one in sync. With what its host forgot it would be gone, and a person had to decide.
  const bool with_host = kind == 0 && context_.options.sync_interval == 0;
  if (kind <= 1) die(server, with_host, false, Duration(0));
  if (kind == 2) pause(server, kCorePatience);
}

void World::mend(int server) {
  processes_[server]->crash_in_next_turn(false);
  disks_[server]->fill(false);
  disks_[server]->slow_down(0);
  if (processes_[server]->paused()) {
    processes_[server]->resume();
    zookeeper_.process_resumed(server);
  }
  zookeeper_.mend(server);
  zookeeper_.release_view(server);
  zookeeper_.rejoin(server);
  if (!is_alive(server)) start(server);
}

void World::poll_core() {
  if (workload_.round_done()) {
    note("world: the core makes progress");
    heal();
  } else if (std::none_of(core_.begin(), core_.end(),
                          [this](int server) { return holds_everything(server); })) {
    note("world: the core has been removed from the in-sync set, by what was under way when it was chosen");
    heal();
  } else if (context_.queue.now() > deadline_) {
    std::string names;
    for (int server : core_) names += fmt::format(" s{}", server);
    context_.fail(Verdict::kLiveness, fmt::format("the healthy core{} could not do in {} s: {}", names,
                                                  to_ms(kCorePatience) / 1000, workload_.round_left()));
  } else {
    context_.queue.after(milliseconds(20), [this] { poll_core(); });
  }
}

// ---- the healed phase ----

void World::heal() {
  note("world: heals");
  phase_ = Phase::kHealed;
  deadline_ = context_.queue.now() + kHealPatience;
  if (is_alive(twin())) die(twin(), false, false, Duration(0));
  zookeeper_.set_ensemble_up(true);
  network_.heal_all();
  for (int server : everyone()) mend(server);
  workload_.on_healed();
  watch_clients_.on_healed();
  term_clients_.on_healed();
  hold_clients_.on_healed();
  queue_clients_.on_healed();
  topic_clients_.on_healed();
  rights_clients_.on_healed();
  // What the services keep is in ZooKeeper alone: there it may well be lost.
  if (context_.options.zk_back != 0 && service_clients_.empty())
    context_.queue.after(context_.up_to(1'500'000), [this] { turn_zookeeper_back(); });
  if (context_.options.old_copy != 0) {
    for (int server : everyone()) disks_[server]->copy();
  }
  context_.queue.after(seconds(2), [this] {
    workload_.stop();
    pipelines_.stop();
    watch_clients_.expect_progress();
    term_clients_.stop();
    hold_clients_.stop();
    queue_clients_.stop();
    topic_clients_.stop();
    rights_clients_.stop();
    for (auto& clients : service_clients_) clients->expect_progress();
    workload_.start_round(everyone());
    poll_convergence();
  });
}

void World::ask_status() {
  for (int server : everyone()) {
    statuses_[server].reset();
    const RequestId id(kStatusIds + ++status_requests_made_);
    StoreCall request;
    request.operation = QueryStatus{};
    status_requests_[id] = server;
    deliver(server, Call{id, std::move(request)});
  }
}

void World::poll_convergence() {
  if (done_) return;
  if (checkers_.awaits_restoration() && !all_in_sync_are_here()) {
    note("world: who was in sync is gone for good, and nobody decides");
    checkers_.restored_by_nobody();
    done_ = true;
    return;
  }
  const std::string why = why_not_converged();
  if (why.empty() && context_.options.old_copy != 0 && give_old_directory()) {
    workload_.start_round(everyone());
  } else if (why.empty()) {
    note("world: converged");
    done_ = true;
    return;
  } else if (context_.queue.now() > deadline_) {
    context_.fail(Verdict::kLiveness, fmt::format("not converged {} s after all faults ended: {}",
                                                  to_ms(kHealPatience) / 1000, why));
    return;
  }
  ask_status();
  context_.queue.after(milliseconds(100), [this] { poll_convergence(); });
}

std::string World::why_not_converged() {
  std::string why;
  if (context_.options.standalone == 0) {  // otherwise there is no ZooKeeper, and so no service
    for (const auto& clients : service_clients_) why += clients->stuck();
  }
  if (checkers_.awaits_restoration()) why += "the register is not restored; ";
  why += pipelines_.stuck() + watch_clients_.stuck() + term_clients_.stuck() + hold_clients_.stuck() +
         queue_clients_.stuck() + topic_clients_.stuck() + topic_streams_.stuck() + rights_clients_.stuck();
  if (!workload_.round_done()) why += "clients do not get their last requests done; ";
  for (int server : everyone()) why += why_not_ready(server);
  if (!why.empty()) return why;
  std::optional<NodeView> reference;
  for (int server : everyone()) {
    const NodeView view = processes_[server]->node().view();
    if (!reference) reference = view;
    if (view.commit != reference->commit) {
      why += fmt::format("s{} is at revision {}, s0 at {}; ", server, view.commit.value,
                         reference->commit.value);
    } else if (view.complete && reference->complete && view.digest != reference->digest) {
      why += fmt::format("s{}'s copy differs; ", server);
    }
    if (!reference->complete) reference = view;
  }
  return why;
}

std::string World::why_not_ready(int server) const {
  if (!is_alive(server)) return fmt::format("s{} is down; ", server);
  if (!statuses_[server]) return fmt::format("s{} has not told its status; ", server);
  const Status& status = *statuses_[server];
  const NodeView view = processes_[server]->node().view();
  const bool complete = view.complete || is_sparse(server);
  if (status.ready && complete) return {};
  return fmt::format("s{} ({}, epoch {}, lineage {}, applied {}, {}): {}; ", server, role_name(status.role),
                     view.epoch.value, view.lineage.value, view.commit.value,
                     view.complete ? "complete" : "incomplete",
                     status.not_ready.empty() ? "ready" : status.not_ready);
}

}  // namespace kvd::sim
