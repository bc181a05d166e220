// See options.hpp. A swarm: every seed switches off most faults, since faults of all kinds at once hide each
// other's failures (a cluster that is always down never reaches the interesting states).
#include "options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kvd::sim {
namespace {

using Field = std::pair<const char*, int64_t Options::*>;

constexpr Field kFields[] = {
    {"servers", &Options::servers},
    {"standalone", &Options::standalone},
    {"sparse", &Options::sparse},
    {"min_in_sync", &Options::min_in_sync},
    {"expect", &Options::expect},
    {"session_us", &Options::session_us},
    {"heartbeat_us", &Options::heartbeat_us},
    {"silence_us", &Options::silence_us},
    {"lag_us", &Options::lag_us},
    {"wire", &Options::wire},
    {"delay_us_min", &Options::delay_us_min},
    {"delay_us_max", &Options::delay_us_max},
    {"turn_us_max", &Options::turn_us_max},
    {"dial_timeout_us", &Options::dial_timeout_us},
    {"tcp_timeout_us", &Options::tcp_timeout_us},
    {"link_packets_max", &Options::link_packets_max},
    {"clients", &Options::clients},
    {"keys", &Options::keys},
    {"think_us_max", &Options::think_us_max},
    {"bursts", &Options::bursts},
    {"timeout_us", &Options::timeout_us},
    {"value_bytes_max", &Options::value_bytes_max},
    {"operations_max", &Options::operations_max},
    {"settings", &Options::settings},
    {"moves", &Options::moves},
    {"pipelined", &Options::pipelined},
    {"keyed", &Options::keyed},
    {"fault_phase_us", &Options::fault_phase_us},
    {"blackout_us", &Options::blackout_us},
    {"crash_us", &Options::crash_us},
    {"power_us", &Options::power_us},
    {"stop_us", &Options::stop_us},
    {"pause_us", &Options::pause_us},
    {"jump_us", &Options::jump_us},
    {"rate_ppm", &Options::rate_ppm},
    {"partition_us", &Options::partition_us},
    {"isolate_us", &Options::isolate_us},
    {"reset_us", &Options::reset_us},
    {"half_open_us", &Options::half_open_us},
    {"slow_us", &Options::slow_us},
    {"clog_us", &Options::clog_us},
    {"swizzle_us", &Options::swizzle_us},
    {"hold_us", &Options::hold_us},
    {"depose_and_return_us", &Options::depose_and_return_us},
    {"locks", &Options::locks},
    {"ids", &Options::ids},
    {"names", &Options::names},
    {"tasks", &Options::tasks},
    {"barriers", &Options::barriers},
    {"zkqueues", &Options::zkqueues},
    {"twin_us", &Options::twin_us},
    {"impostor_us", &Options::impostor_us},
    {"zk_loss_us", &Options::zk_loss_us},
    {"zk_cut_us", &Options::zk_cut_us},
    {"zk_strand_us", &Options::zk_strand_us},
    {"zk_down_us", &Options::zk_down_us},
    {"down_us_max", &Options::down_us_max},
    {"fault_us_max", &Options::fault_us_max},
    {"zk_delay_us_max", &Options::zk_delay_us_max},
    {"zk_lag_us_max", &Options::zk_lag_us_max},
    {"zk_lose_sets", &Options::zk_lose_sets},
    {"ack_crash", &Options::ack_crash},
    {"zk_late_us_max", &Options::zk_late_us_max},
    {"zk_cut_leaders", &Options::zk_cut_leaders},
    {"hunt_leader", &Options::hunt_leader},
    {"total_loss", &Options::total_loss},
    {"quiet_start_us", &Options::quiet_start_us},
    {"core", &Options::core},
    {"append_bytes", &Options::append_bytes},
    {"window_bytes", &Options::window_bytes},
    {"retained_entries", &Options::retained_entries},
    {"snapshot_chunk_bytes", &Options::snapshot_chunk_bytes},
    {"snapshot_chunks_in_flight", &Options::snapshot_chunks_in_flight},
    {"uncommitted_entries", &Options::uncommitted_entries},
    {"client_requests", &Options::client_requests},
    {"durable", &Options::durable},
    {"sync_interval", &Options::sync_interval},
    {"disk_us_max", &Options::disk_us_max},
    {"segment_bytes", &Options::segment_bytes},
    {"reserve_bytes", &Options::reserve_bytes},
    {"disk_read_bytes", &Options::disk_read_bytes},
    {"power_all_us", &Options::power_all_us},
    {"disk_error_us", &Options::disk_error_us},
    {"rot_us", &Options::rot_us},
    {"lost_disk_us", &Options::lost_disk_us},
    {"disk_full_us", &Options::disk_full_us},
    {"disk_slow_us", &Options::disk_slow_us},
    {"snapshot_log_bytes", &Options::snapshot_log_bytes},
    {"fenced", &Options::fenced},
    {"zk_back", &Options::zk_back},
    {"old_copy", &Options::old_copy},
    {"txn", &Options::txn},
    {"watchers", &Options::watchers},
    {"history_bytes", &Options::history_bytes},
    {"watch_window", &Options::watch_window},
    {"watch_slice", &Options::watch_slice},
    {"watch_visits", &Options::watch_visits},
    {"watch_page", &Options::watch_page},
    {"terms", &Options::terms},
    {"holds", &Options::holds},
    {"queues", &Options::queues},
    {"topics", &Options::topics},
    {"rights", &Options::rights},
};

int64_t pick(Prng& prng, std::initializer_list<int64_t> choices) {
  return *(choices.begin() + prng.below(choices.size()));
}

void draw_cluster(Prng& prng, Options& options) {
  options.servers = pick(prng, {1, 2, 2, 3, 3, 3, 3, 4, 5});
  options.standalone = options.servers == 1 && prng.one_in(2) ? 1 : 0;
  if (options.servers > 1 && prng.one_in(5)) options.sparse = prng.between(1, options.servers - 1);
  if (prng.one_in(4))
    options.min_in_sync = prng.between(1, std::max<int64_t>(1, options.servers - options.sparse - 1));
  if (prng.one_in(3)) options.expect = prng.between(1, options.servers);
  if (options.standalone == 1) options.min_in_sync = options.expect = 1;
  // Not all seeds at the defaults: other ratios between the timers find other races.
  switch (prng.below(4)) {
    case 0:
      options.heartbeat_us = 10'000, options.lag_us = 60'000, options.silence_us = 90'000,
      options.session_us = 1'000'000;
      break;
    case 1:
      options.heartbeat_us = 100'000, options.lag_us = 1'000'000, options.silence_us = 2'000'000;
      options.session_us = 2'000'000;
      break;
    default:
      break;
  }
  options.wire = prng.one_in(4) ? 1 : 0;
  options.delay_us_max = pick(prng, {100, 1'000, 1'000, 10'000, 30'000});
  options.turn_us_max = pick(prng, {1, 100, 100, 2'000});
  options.dial_timeout_us = pick(prng, {300'000, 1'000'000, 3'000'000});
  options.tcp_timeout_us = pick(prng, {500'000, 2'000'000, 5'000'000, 20'000'000});
  options.link_packets_max = prng.one_in(6) ? 50 : 100'000;
}

void draw_clients(Prng& prng, Options& options) {
  options.clients = prng.between(1, 6);
  options.keys = pick(prng, {1, 2, 4, 6, 12});
  options.timeout_us = pick(prng, {200'000, 1'000'000, 2'000'000, 5'000'000});
  options.value_bytes_max = prng.one_in(5) ? 20'000 : 16;
  options.operations_max = pick(prng, {300, 800, 2'000});
  options.bursts = prng.one_in(2) ? 1 : 0;
  options.keyed = prng.one_in(2) ? 60 : 0;
  options.settings = options.standalone == 0 && prng.one_in(4) ? 4 : 0;
}

void draw_faults(Prng& prng, Options& options) {
  options.fault_phase_us = pick(prng, {5'000'000, 20'000'000, 40'000'000});
  const int64_t calm = pick(prng, {1, 1, 3, 10});  // how rare the faults are that do occur
  for (int64_t Options::*fault :
       {&Options::crash_us, &Options::power_us, &Options::stop_us, &Options::pause_us, &Options::partition_us,
        &Options::isolate_us, &Options::reset_us, &Options::half_open_us, &Options::slow_us,
        &Options::clog_us, &Options::swizzle_us, &Options::zk_loss_us, &Options::zk_cut_us,
        &Options::zk_down_us}) {
    if (prng.one_in(3)) options.*fault = pick(prng, {300'000, 1'000'000, 3'000'000}) * calm;
  }
  if (prng.one_in(4)) {  // a calm ZooKeeper: only the servers and their links fail
    options.zk_loss_us = options.zk_cut_us = options.zk_down_us = 0;
  } else {
    options.zk_lag_us_max = pick(prng, {0, 0, 20'000, 500'000});
    if (prng.one_in(4)) options.zk_late_us_max = pick(prng, {300'000, 3'000'000});
  }
  options.zk_delay_us_max = pick(prng, {1'000, 5'000, 50'000});
  options.down_us_max = pick(prng, {20'000, 500'000, 2'000'000, 15'000'000});
  options.fault_us_max = pick(prng, {100'000, 1'000'000, 3'000'000, 12'000'000});
  options.hunt_leader = pick(prng, {0, 50, 90});
  options.total_loss = prng.one_in(5) ? 1 : 0;
  if (options.total_loss == 1 && prng.one_in(2)) options.blackout_us = 3'000'000;
  if (prng.one_in(5)) options.zk_lose_sets = pick(prng, {10, 50});
  if (prng.one_in(5)) options.ack_crash = pick(prng, {5, 30});
  if (prng.one_in(8)) options.twin_us = 5'000'000;
  options.core = prng.one_in(2) ? 1 : 0;
  options.quiet_start_us = prng.one_in(2) ? 3'000'000 : 0;
  // The requests last as long as the faults do.
  options.think_us_max = 2 * options.fault_phase_us * options.clients / options.operations_max;
  if (options.standalone == 1) {  // a standalone memory server that dies begins anew, by design
    options.crash_us = options.power_us = options.stop_us = options.blackout_us = options.ack_crash = 0;
    options.twin_us = options.core = 0;
  }
}

// Tiny bounds, each by itself: what is rare in production happens all the time.
void draw_bounds(Prng& prng, Options& options) {
  if (!prng.one_in(3)) return;
  if (prng.one_in(2)) options.append_bytes = 1;
  if (prng.one_in(3)) options.window_bytes = pick(prng, {1, 300});
  // As in production, the window closes before the link's queue is full.
  if (options.append_bytes == 1 && options.link_packets_max < 1'000) options.window_bytes = 1;
  if (prng.one_in(2)) options.retained_entries = pick(prng, {1, 1, 20});
  if (prng.one_in(2)) options.snapshot_chunk_bytes = 1;
  if (prng.one_in(2)) options.snapshot_chunks_in_flight = 1;
  if (prng.one_in(4)) options.uncommitted_entries = pick(prng, {1, 4});
  if (prng.one_in(6)) options.client_requests = 2;
}

// Faults that were added later, drawn last.
void draw_schedules(Prng& prng, Options& options) {
  if (options.servers < 2) return;
  if (prng.one_in(4)) options.hold_us = pick(prng, {300'000, 1'000'000, 3'000'000});
  if (prng.one_in(6)) options.depose_and_return_us = pick(prng, {500'000, 2'000'000});
  if (prng.one_in(4)) options.moves = pick(prng, {1, 5});
  if (options.zk_cut_us != 0 && prng.one_in(4)) options.zk_cut_leaders = pick(prng, {20, 70});
}

// Behind all above, so that the seeds without disks keep their meaning.
void draw_disks(Prng& prng, Options& options) {
  if (prng.one_in(2)) return;
  options.durable = 1;
  options.total_loss = 0;
  options.disk_us_max = pick(prng, {1, 100, 1'000, 1'000, 20'000});
  options.segment_bytes = pick(prng, {1'024, 4'096, 16'384, 65'536});
  options.reserve_bytes = pick(prng, {0, 4'000, 4'000});
  options.disk_read_bytes = pick(prng, {64, 4'096, 65'536});
  options.snapshot_log_bytes = pick(prng, {1, 1'000, 10'000, 100'000, 0});
  const int64_t calm = pick(prng, {1, 1, 3, 10});
  for (int64_t Options::*fault :
       {&Options::crash_us, &Options::power_us, &Options::stop_us, &Options::blackout_us,
        &Options::power_all_us, &Options::disk_error_us, &Options::rot_us, &Options::lost_disk_us,
        &Options::disk_full_us, &Options::disk_slow_us}) {
    if (prng.one_in(3)) options.*fault = pick(prng, {500'000, 1'000'000, 3'000'000}) * calm;
  }
  options.sync_interval = prng.one_in(4) ? 1 : 0;
}

void draw_watchers(Prng& prng, Options& options) {
  options.watchers = prng.one_in(2) ? prng.between(1, 4) : 0;
  options.history_bytes = pick(prng, {1, 300, 1'000, 4'000, 20'000, 0});
  options.watch_window = pick(prng, {100, 300, 2'000, 0});
  options.watch_slice = pick(prng, {1, 3, 8, 0});
  options.watch_visits = pick(prng, {1, 2, 4, 0});
  options.watch_page = pick(prng, {1, 2, 0});
}

}  // namespace

Options draw_options(Prng& prng) {
  Options options;
  draw_cluster(prng, options);
  draw_clients(prng, options);
  draw_faults(prng, options);
  draw_bounds(prng, options);
  draw_schedules(prng, options);
  draw_disks(prng, options);
  options.fenced = prng.one_in(3) ? 40 : 0;
  if (options.standalone == 0 && prng.one_in(3)) options.zk_back = prng.between(1, 4);
  if (options.durable == 1 && options.servers > 1 && prng.one_in(3)) options.old_copy = 1;
  options.pipelined = prng.one_in(3) ? 2 : 0;
  if (prng.one_in(6)) options.jump_us = pick(prng, {1'000'000, 5'000'000});
  // Who pipelines does not wait, and one entry a round trip is slow: what is sent has to be done before time is up.
  if (options.pipelined > 0 && options.window_bytes == 1)
    options.operations_max =
        std::min(options.operations_max, 30'000'000 / (options.delay_us_max + options.disk_us_max));
  options.txn = prng.one_in(3) ? 40 : 0;
  draw_watchers(prng, options);
  options.terms = prng.one_in(3) ? prng.between(1, 4) : 0;
  options.holds = prng.one_in(3) ? prng.between(1, 4) : 0;
  options.rate_ppm = prng.one_in(3) ? 500 : 0;
  options.queues = prng.one_in(3) ? prng.between(1, 4) : 0;
  options.topics = prng.one_in(6) ? prng.between(1, 4) : 0;
  options.impostor_us = prng.one_in(4) ? 1'000'000 : 0;
  options.rights = prng.one_in(3) ? prng.between(1, 4) : 0;
  return options;
}

int64_t* find_option(Options& options, std::string_view name) {
  for (const Field& field : kFields) {
    if (name == field.first) return &(options.*field.second);
  }
  return nullptr;
}

std::string describe(const Options& options) {
  std::string text;
  for (const Field& field : kFields) {
    fmt::format_to(std::back_inserter(text), "{}{}={}", text.empty() ? "" : " ", field.first,
                   options.*field.second);
  }
  return text;
}

}  // namespace kvd::sim
