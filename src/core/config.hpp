// What a node is told at its start and never again. Filled from flags by the shell, from a seed by the
// simulator.
#pragma once
#include <optional>
#include <string>

#include "base/time.hpp"
#include "msg/access.hpp"
#include "msg/disk.hpp"
#include "msg/limits.hpp"
#include "msg/types.hpp"

namespace kvd {

// An actor asks ZooKeeper again so long after it had no answer, and after it was refused what others have to allow
// first.
inline constexpr Duration kZkRetry = milliseconds(20);
inline constexpr Duration kZkRefusedRetry = seconds(10);
// What a server that stops is in the midst of may take so long.
inline constexpr Duration kStopLimit = milliseconds(2000);

// Bounds that a simulation makes tiny, to meet often what production seldom does. All at least 1.
struct Tuning {
  size_t append_bytes = limits::kAppendBytes;
  size_t turn_bytes = limits::kTurnBytes;
  size_t window_bytes = limits::kWindowBytes;
  size_t retained_entries = limits::kRetainedEntries;
  size_t snapshot_chunk_bytes = limits::kSnapshotChunkBytes;
  size_t snapshot_chunks_in_flight = limits::kSnapshotChunksInFlight;
  size_t uncommitted_entries = limits::kUncommittedEntries;
  size_t client_requests = limits::kClientRequests;
  size_t snapshot_log_bytes = limits::kSnapshotLogBytes;
  size_t watch_window = limits::kStreamWindow;
  size_t watch_slice = limits::kStreamSlice;
  size_t watch_visits = limits::kStreamVisits;
  size_t watch_page = limits::kStreamPage;
};

// An IPv4 network whose addresses are given to names that bring none.
struct AddressPool {
  uint32_t network = 0;  // its lowest address; the first byte is the highest
  int prefix = 24;       // bits of the network, 8 to 30
  bool operator==(const AddressPool&) const = default;
};

struct NodeConfig {
  ServerInfo self;  // with a fresh incarnation; a disk that has everything brings its own
  // What the disk told of the life before. Set by the node itself.
  DiskFacts remembered;
  bool standalone = false;
  bool catch_up = true;
  uint32_t min_in_sync = 1;  // for a register that this node creates; 1 to 64
  uint32_t expect = 1;       // a new cluster's first write waits for so many servers in sync; 1 to 64
  bool force_new_lineage = false;
  uint64_t wall_at_zero_ms = 0;      // what a clock on the wall showed at Instant{}, ms since 1970
  uint64_t memory_max = UINT64_MAX;  // bytes of the store, Store::bytes(): nothing grows beyond
  // No value gets larger by what is added or appended to it. (How large one may be sent is the shell's to say.)
  size_t value_bytes_max = 1u << 20;
  // What is kept of the newest changes for who watches: bytes of entries, as the log counts them.
  size_t history_bytes = 64u << 20;
  std::optional<AddressPool> names_pool;
  AuthMode auth = AuthMode::kOff;
  bool insecure = false;         // other machines may reach it though something is missing that guards it
  bool peer_tls = false;         // links tell the names of certificates, which bind who says Hello
  std::string zookeeper_prefix;  // before every path there; may be empty
  // `heartbeat` < `follower_lag` < `leader_silence`: a leader that lives and reaches ZooKeeper wins the race
  // against its suspicious followers.
  Duration session_timeout = milliseconds(6000);
  Duration heartbeat = milliseconds(50);
  Duration leader_silence = milliseconds(400);
  Duration follower_lag = milliseconds(300);
  Tuning tuning;
};

}  // namespace kvd
