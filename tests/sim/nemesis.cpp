// See nemesis.hpp.
#include "nemesis.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace kvd::sim {

void Nemesis::start() {
  context_.queue.after(Duration(context_.options.quiet_start_us), [this] {
    for (int fault = 0; fault < kFaults; ++fault) plan(static_cast<Fault>(fault));
  });
}

int64_t Nemesis::mean_us(Fault fault) const {
  const Options& options = context_.options;
  switch (fault) {
    case kBlackout:
      return options.blackout_us;
    case kCrash:
      return options.crash_us;
    case kPower:
      return options.power_us;
    case kStop:
      return options.stop_us;
    case kPause:
      return options.pause_us;
    case kJump:
      return options.jump_us;
    case kPartition:
      return options.partition_us;
    case kIsolate:
      return options.isolate_us;
    case kReset:
      return options.reset_us;
    case kHalfOpen:
      return options.half_open_us;
    case kSlow:
      return options.slow_us;
    case kClog:
      return options.clog_us;
    case kSwizzle:
      return options.swizzle_us;
    case kHold:
      return options.hold_us;
    case kDeposeAndReturn:
      return options.depose_and_return_us;
    case kTwin:
      return options.twin_us;
    case kImpostor:
      return options.impostor_us;
    case kZkLoss:
      return options.zk_loss_us;
    case kZkCut:
      return options.zk_cut_us;
    case kZkStrand:
      return options.zk_strand_us;
    case kZkDown:
      return options.zk_down_us;
    case kPowerAll:
      return options.power_all_us;
    case kDiskError:
      return options.disk_error_us;
    case kRot:
      return options.rot_us;
    case kLostDisk:
      return options.lost_disk_us;
    case kDiskFull:
      return options.disk_full_us;
    case kDiskSlow:
      return options.disk_slow_us;
    case kFaults:
      break;
  }
  return 0;
}

void Nemesis::plan(Fault fault) {
  if (mean_us(fault) == 0) return;
  context_.queue.after(context_.up_to(2 * mean_us(fault)), [this, fault] {
    if (!world_.faults_allowed()) return;
    inject(fault);
    plan(fault);
  });
}

// A dead server comes back at once more often than after long: that is when the others still believe in its
// old life.
Duration Nemesis::away() {
  if (context_.prng.one_in(3)) return context_.up_to(50'000);
  return context_.up_to(context_.options.down_us_max);
}

int Nemesis::victim() {
  const std::optional<int> leader = world_.leader();
  const bool hunt = context_.prng.below(100) < static_cast<uint64_t>(context_.options.hunt_leader);
  return hunt && leader ? *leader : any_server();
}

void Nemesis::inject(Fault fault) {
  const int server = victim();
  if (context_.trace.wanted()) {
    context_.trace.add(fmt::format("{} nemesis: fault {} at s{}", to_us(context_.queue.now()),
                                   static_cast<int>(fault), server));
  }
  switch (fault) {
    case kBlackout:
      for (int all = 0; all < context_.options.servers; ++all) world_.kill(all, DeathKind::kCrash, away());
      return;
    case kPowerAll:
      for (int all = 0; all < context_.options.servers; ++all)
        world_.kill(all, DeathKind::kPowerLoss, away());
      return;
    case kCrash:
      world_.kill(server, context_.prng.one_in(2) ? DeathKind::kCrash : DeathKind::kCrashInTurn, away());
      return;
    case kPower:
      world_.kill(server, DeathKind::kPowerLoss, away());
      return;
    case kStop:
      world_.stop_gracefully(server, away());
      return;
    case kPause:
      world_.pause(server, lasting());
      return;
    case kJump:
      world_.jump_clock(server, context_.up_to(60'000'000));
      return;
    case kPartition:
      partition();
      return;
    case kIsolate:
      isolate(server);
      return;
    case kReset:
      world_.network().break_some_link(true);
      return;
    case kHalfOpen:
      world_.network().break_some_link(false);
      return;
    case kSlow:
      slow();
      return;
    case kClog:
      clog();
      return;
    case kSwizzle:
      swizzle();
      return;
    case kHold:
      hold();
      return;
    case kDeposeAndReturn:
      depose_and_return();
      return;
    case kTwin:
      world_.start_twin(server, lasting());
      return;
    case kImpostor:
      world_.impersonate(server, any_server());
      return;
    case kZkLoss:
      world_.zookeeper().lose_connection(server);
      return;
    case kZkCut:
      world_.zookeeper().cut(server);
      undo_after(lasting(), [this, server] { world_.zookeeper().mend(server); });
      return;
    case kZkStrand:
      world_.zookeeper().strand(server);
      undo_after(lasting(), [this, server] { world_.zookeeper().rejoin(server); });
      return;
    case kZkDown:
      world_.zookeeper().set_ensemble_up(false);
      undo_after(lasting(), [this] { world_.zookeeper().set_ensemble_up(true); });
      return;
    case kDiskError:
    case kRot:
    case kLostDisk:
    case kDiskFull:
    case kDiskSlow:
      inject_at_disk(fault, server);
      return;
    case kFaults:
      return;
  }
}

void Nemesis::inject_at_disk(Fault fault, int server) {
  SimDisk& disk = world_.disk(server);
  if (fault == kDiskError) {
    if (world_.is_alive(server)) disk.fail_sync();
  } else if (fault == kRot || fault == kLostDisk) {
    world_.kill_and_damage(server, fault == kLostDisk, away());
  } else if (fault == kDiskFull) {
    disk.fill(true);
    undo_after(lasting(), [&disk] { disk.fill(false); });
  } else {
    disk.slow_down(context_.options.fault_us_max / 4);
    undo_after(lasting(), [&disk] { disk.slow_down(0); });
  }
}

void Nemesis::undo_after(Duration span, EventQueue::Action undo) {
  context_.queue.after(span, [this, undo = std::move(undo)] {
    if (world_.faults_allowed()) undo();
  });
}

// The server does not notice at once that the others may go on without it, while clients still reach it.
void Nemesis::isolate(int server) {
  const int servers = static_cast<int>(context_.options.servers);
  for (int other = 0; other < servers; ++other) {
    if (other == server) continue;
    world_.network().block(server, other);
    world_.network().block(other, server);
  }
  world_.zookeeper().cut(server);
  undo_after(lasting(), [this, server, servers] {
    for (int other = 0; other < servers; ++other) {
      if (other == server) continue;
      world_.network().unblock(server, other);
      world_.network().unblock(other, server);
    }
    world_.zookeeper().mend(server);
  });
}

// One server alone, a random split, or single directions.
void Nemesis::partition() {
  const int servers = static_cast<int>(context_.options.servers);
  std::vector<std::pair<int, int>> pairs;
  const uint64_t kind = context_.prng.below(3);
  const int alone = victim();
  const uint64_t side = context_.prng.below(uint64_t(1) << servers);
  const bool one_way = context_.prng.one_in(3);
  for (int a = 0; a < servers; ++a) {
    for (int b = 0; b < servers; ++b) {
      if (a == b) continue;
      const bool first = kind == 0 ? a == alone : ((side >> a) & 1) != 0;
      const bool second = kind == 0 ? b == alone : ((side >> b) & 1) != 0;
      if (kind == 2 ? context_.prng.one_in(4) : (one_way ? first && !second : first != second)) {
        pairs.emplace_back(a, b);
      }
    }
  }
  for (const auto& pair : pairs) world_.network().block(pair.first, pair.second);
  undo_after(lasting(), [this, pairs] {
    for (const auto& pair : pairs) world_.network().unblock(pair.first, pair.second);
  });
}

void Nemesis::slow() {
  const int from = any_server();
  const int to = any_server();
  world_.network().slow_down(from, to, context_.up_to(500'000));
  undo_after(lasting(), [this, from, to] { world_.network().slow_down(from, to, Duration(0)); });
}

void Nemesis::clog() {
  const int from = victim();
  const int to = any_server();
  for (int dialer : {from, to}) world_.network().clog(from, to, dialer);
  undo_after(lasting(), [this, from, to] {
    for (int dialer : {from, to}) world_.network().unclog(from, to, dialer);
  });
}

void Nemesis::hold() {
  const int from = victim();
  const int to = any_server();
  const int dialer = context_.prng.one_in(2) ? from : to;
  world_.network().clog(from, to, dialer);
  undo_after(lasting(), [this, from, to, dialer] { world_.network().unclog(from, to, dialer); });
}

// What the leader hears on its own links stops, then what it says on them: another one takes over, and the same befalls
// that one, until the first one leads again (or it has lasted long enough). Then all goes on at once: what was said in
// the former reign arrives in the new one.
void Nemesis::depose_and_return() {
  const std::optional<int> leader = world_.leader();
  if (!leader) return;
  Deposed planned{*leader, {}, context_.queue.now() + lasting()};
  for (int other = 0; other < context_.options.servers; ++other) {
    if (other != *leader) world_.network().clog(other, *leader, *leader);
  }
  context_.queue.after(context_.up_to(2 * context_.options.lag_us),
                       [this, planned] { depose_again(planned); });
}

void Nemesis::depose_again(Deposed deposed) {
  if (!world_.faults_allowed()) return;
  const int leader = world_.leader().value_or(deposed.first);
  const int servers = static_cast<int>(context_.options.servers);
  if (context_.queue.now() >= deposed.until || (leader == deposed.first && deposed.interrupted.size() > 1)) {
    deposed.interrupted.push_back(deposed.first);
    for (int a : deposed.interrupted) {
      for (int b = 0; b < servers; ++b) {
        world_.network().unclog(a, b, a);
        world_.network().unclog(b, a, a);
      }
    }
    return;
  }
  if (std::count(deposed.interrupted.begin(), deposed.interrupted.end(), leader) == 0) {
    deposed.interrupted.push_back(leader);
    for (int other = 0; other < servers; ++other) {
      if (other == leader) continue;
      world_.network().clog(leader, other, leader);
      world_.network().clog(other, leader, leader);
    }
  }
  const bool soon = context_.prng.one_in(2);
  context_.queue.after(soon ? milliseconds(1) : context_.up_to(context_.options.heartbeat_us),
                       [this, deposed = std::move(deposed)] { depose_again(deposed); });
}

// So every link is now and then the only one that stands, or the only one that does not.
void Nemesis::swizzle() {
  std::vector<std::pair<int, int>> pairs;
  const int servers = static_cast<int>(context_.options.servers);
  for (int a = 0; a < servers; ++a) {
    for (int b = 0; b < servers; ++b) {
      if (a != b && !context_.prng.one_in(3)) pairs.emplace_back(a, b);
    }
  }
  const Duration span = lasting();
  for (const auto& pair : pairs) {
    const Duration stops = context_.up_to(span.count());
    undo_after(stops, [this, pair] { world_.network().block(pair.first, pair.second); });
    undo_after(span + context_.up_to(span.count()),
               [this, pair] { world_.network().unblock(pair.first, pair.second); });
  }
}

}  // namespace kvd::sim
