// Everything that one simulated run is made of besides its events: drawn from the seed, printed with it, and
// open to overrides on the command line (--set name=value) when a failure is to be narrowed down. Plain
// numbers; durations are in microseconds. No decisions of the run itself are made here.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/prng.hpp"

namespace kvd::sim {

struct Options {
  // the cluster
  int64_t servers = 3;
  int64_t standalone = 0;  // 1: one server without ZooKeeper
  int64_t sparse = 0;      // so many servers (the last ones) run with catch_up off
  int64_t min_in_sync = 1;
  int64_t expect = 1;
  int64_t session_us = 6'000'000;
  int64_t heartbeat_us = 50'000;
  int64_t silence_us = 400'000;
  int64_t lag_us = 300'000;
  // the network
  int64_t wire = 0;           // 1: messages travel as encoded frames
  int64_t delay_us_min = 50;  // one way
  int64_t delay_us_max = 1'000;
  int64_t turn_us_max = 100;  // from an input's arrival to the turn that takes it
  int64_t dial_timeout_us = 1'000'000;
  int64_t tcp_timeout_us = 5'000'000;  // unacknowledged for so long: the sender's end is closed
  int64_t link_packets_max = 100'000;  // more unsent: the sender's end overflows
  // the clients
  int64_t clients = 3;
  int64_t keys = 6;
  int64_t think_us_max = 50'000;
  int64_t bursts = 0;  // 1: now and then a client asks without thinking
  int64_t timeout_us = 2'000'000;
  int64_t value_bytes_max = 16;
  int64_t operations_max = 600;
  int64_t keyed = 0;      // of 100 writes so many carry an idempotency key, and are repeated when in doubt
  int64_t fenced = 0;     // of 100 writes so many carry a fence
  int64_t txn = 0;        // of 100 requests so many are transactions, sums and what else concerns their keys
  int64_t settings = 0;   // of 100 writes so many change min_in_sync
  int64_t locks = 0;      // so many clients contend for locks
  int64_t ids = 0;        // ... for unique ids
  int64_t barriers = 0;   // ... meet at double barriers: six or more
  int64_t names = 0;      // ... for names
  int64_t tasks = 0;      // ... leave tasks, and as many workers do them
  int64_t zkqueues = 0;   // ... put entries into queues in ZooKeeper, and take them
  int64_t pipelined = 0;  // so many clients send writes without waiting for the answers
  int64_t watchers = 0;   // ... watch keys
  int64_t terms = 0;      // ... write keys that live for a time, or as long as a lease
  int64_t holds = 0;      // ... hold a lease each by a connection
  int64_t queues = 0;     // ... send messages to queues, and receive them
  int64_t topics = 0;     // ... publish messages in topics, and receive them by subscriptions
  int64_t rights = 0;     // ... users write, read and receive by rights that come and go
  int64_t moves = 0;      // of 100 writes so many ask another server to lead
  // the faults: mean time between two of a kind; 0: never
  int64_t fault_phase_us = 20'000'000;
  int64_t blackout_us = 0;  // all processes die at once (only with total_loss, or disks)
  int64_t crash_us = 0;     // the process dies; its kernel resets the links
  int64_t power_us = 0;     // the host dies: silence
  int64_t stop_us = 0;      // SIGTERM
  int64_t pause_us = 0;     // SIGSTOP, later SIGCONT
  int64_t jump_us = 0;      // a server's monotonic clock jumps ahead
  int64_t rate_ppm =
      0;  // servers' clocks are faster or slower than the true time by up to so many millionths
  int64_t partition_us = 0;
  int64_t isolate_us = 0;    // one server hears no other one and no ZooKeeper, only its clients
  int64_t reset_us = 0;      // links broken, both ends told
  int64_t half_open_us = 0;  // ... one end told
  int64_t slow_us = 0;       // one direction between two servers gets slow
  int64_t clog_us = 0;       // one server stops reading what another one sends
  int64_t swizzle_us = 0;    // links stop one by one, and go on in another order
  int64_t hold_us = 0;       // one direction of one link stops; the other link between the two goes on
  int64_t depose_and_return_us = 0;  // a leader is deposed and leads again, while answers to it are under way
  int64_t twin_us = 0;               // a second process with the id of another one starts
  int64_t impostor_us = 0;           // who has a certificate of the cluster says that it is another server
  int64_t zk_loss_us = 0;            // one server's connection to ZooKeeper breaks
  int64_t zk_cut_us = 0;             // one server cannot reach ZooKeeper for a while
  int64_t zk_strand_us = 0;          // one server's ZooKeeper server answers reads alone, of an old state
  int64_t zk_down_us = 0;            // nobody can
  int64_t down_us_max = 2'000'000;   // how long a dead server stays away
  int64_t fault_us_max = 3'000'000;  // how long a partition, a pause, a slow link lasts
  // ZooKeeper
  int64_t zk_delay_us_max = 5'000;
  int64_t zk_lag_us_max = 0;  // a session's server may show a state so old
  int64_t zk_lose_sets = 0;   // of 100 changes of the register so many lose their connection
  int64_t ack_crash = 0;      // of 1,000 acknowledged writes so many are the leader's last deed
  int64_t zk_late_us_max =
      0;  // a conditional set whose result was lost may apply so long after the reconnect
  // When the faults are over ZooKeeper comes back (1) with older data, (2) without any; somebody (3) deletes the
  // register, (4) writes an older one in its place.
  int64_t zk_back = 0;
  int64_t zk_cut_leaders =
      0;  // of 100 new leaders so many are cut off from it; others may see nothing new of it
  int64_t hunt_leader = 0;     // of 100 faults at one server so many hit the leader, whoever it is
  int64_t total_loss = 0;      // 1: faults may kill the last living server of the in-sync set
  int64_t quiet_start_us = 0;  // no faults before that
  int64_t core = 0;            // 1: between the faults and their end, only some servers are healthy
  // the disks
  int64_t durable = 0;          // 1: the servers have some, and nobody's end loses anything
  int64_t sync_interval = 0;    // 1: --sync interval, so a host's loss of power is a lost disk
  int64_t disk_us_max = 1'000;  // of one batch
  int64_t segment_bytes = 16'384;
  int64_t reserve_bytes = 4'000;  // less free space is called little
  int64_t disk_read_bytes = 4'096;
  int64_t power_all_us = 0;   // all hosts lose their power at once
  int64_t disk_error_us = 0;  // a sync fails: the process ends
  int64_t rot_us = 0;         // bits turn over while the process is dead
  int64_t lost_disk_us = 0;   // ... everything is gone
  int64_t disk_full_us = 0;   // for a while there is no space
  int64_t disk_slow_us = 0;   // for a while batches take long
  int64_t old_copy = 0;       // 1: when all is well one server's directory becomes an older copy of itself
  // bounds of the nodes, see Tuning; 0: as in production
  int64_t append_bytes = 0;
  int64_t window_bytes = 0;
  int64_t retained_entries = 0;
  int64_t snapshot_chunk_bytes = 0;
  int64_t snapshot_chunks_in_flight = 0;
  int64_t uncommitted_entries = 0;
  int64_t client_requests = 0;
  int64_t snapshot_log_bytes = 0;
  int64_t history_bytes = 0;
  int64_t watch_window = 0;
  int64_t watch_slice = 0;
  int64_t watch_visits = 0;
  int64_t watch_page = 0;
};

Options draw_options(Prng& prng);

// The number called `name`; null when there is none of that name.
int64_t* find_option(Options& options, std::string_view name);

// "servers=3 standalone=0 ...", in a fixed order.
std::string describe(const Options& options);

}  // namespace kvd::sim
