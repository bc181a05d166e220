// What a server knows of another one, on the link that it dialed to it: while it leads, how far the other one's log and
// copy are. Plain data; the replica keeps it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/time.hpp"
#include "msg/record.hpp"
#include "msg/types.hpp"

namespace kvd {

struct Peer {
  LinkId link;
  Member member;
  bool whole = false;      // it has said so, of the newest snapshot: its log and copy make all the data
  bool sparse = false;     // wants no snapshot
  bool durable = false;    // has a disk
  LogPosition recovered;   // where its log ended when it started
  uint64_t snapshots = 0;  // begun on this link in this epoch
  std::optional<Revision> match;  // verified in this epoch, on this link
  Revision next;                  // to be sent
  bool probing = true;            // looking for where the logs match: one Append at a time
  bool probe_sent = false;
  Revision told_commit;
  Revision held;         // it knows more to be committed than our log has, up to here: rule 18
  bool differs = false;  // its copy contradicts ours
  uint64_t round = 0;    // confirmed
  Instant heard{};
  Instant progress{};          // when match advanced, or the log began to be ahead of it
  Instant incomplete_since{};  // while not whole
  Instant heartbeat_at{};
  std::deque<std::pair<Revision, size_t>> in_flight;  // last revision and bytes of each unacknowledged Append
  size_t in_flight_bytes = 0;
  struct Snapshot {
    Revision base;
    Space space = Space::kData;  // of the last item sent
    std::string cursor;          // ... its key
    bool all_sent = false;
    uint64_t sent = 0;  // chunks
    uint64_t taken = 0;
  };
  std::optional<Snapshot> snapshot;
  Instant snapshot_after = kNever;  // the last one came out wrong: another one then, and nothing before
  Instant awaited_since = kNever;   // commit waits for this learner (Replica::await_learners)
  Instant not_awaited_before{};
};

using Peers = std::map<LinkId, Peer>;  // those links that stand

}  // namespace kvd
