// What a server knows of the leader that it follows, or would: it begins anew with every leader and every epoch. A
// server that knows of no leader is a follower, too. Plain data of the replica.
#pragma once
#include <cstdint>
#include <optional>

#include "base/time.hpp"
#include "core/replica/log.hpp"
#include "core/replica/store.hpp"
#include "msg/peer.hpp"
#include "msg/types.hpp"

namespace kvd {

struct Staging {  // a snapshot that is arriving, with the log behind it
  Store store;
  Log log;
  uint64_t chunks = 0;
  uint64_t items = 0;
  std::optional<SnapshotEnd> end;
  Revision commit;
};

struct Following {
  std::optional<LinkId> link;  // that the leader dialed
  Member leader;
  Instant heard{};
  Instant reported{};      // last LeaderSilent
  Revision verified;       // our log is the leader's up to here: rule 7
  Revision leader_commit;  // newest heard of
  uint64_t snapshot = 0;   // number of the last one begun on this link in this epoch
  bool lacks = false;      // its log does not have what is committed here: rule 18
  std::optional<Staging> staging;
};

}  // namespace kvd
