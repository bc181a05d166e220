// Puts a queue of another program under the work that `kvload queue` does, and judges what came of it: how many
// messages a second are sent, received and acknowledged, how soon, and whether all that were sent came.
#pragma once
#include <cstdint>
#include <string>

#include "kvload/histogram.hpp"
#include "peers/options.hpp"

namespace kvd::peers {

struct PeerReport {
  std::string unmeasured;  // why nothing was measured; empty: it was
  double seconds = 0;      // of measuring
  // Within them; latencies are from when a message was to be sent, to its acknowledgement or to its consumer.
  uint64_t settled = 0;
  load::Histogram sends;
  load::Histogram deliveries;
  double drain_s = 0;  // until the queue was empty
  // Over all, until the queue was empty.
  uint64_t acknowledged = 0;
  uint64_t received = 0;    // different ones
  uint64_t duplicates = 0;  // received once more
  uint64_t lost = 0;        // acknowledged as sent, and not received
  uint64_t unexpected = 0;  // received, and never sent

  int exit_code() const;
};

PeerReport drive(const PeerOptions& options);

std::string peer_json(const PeerOptions& options, const PeerReport& report);

}  // namespace kvd::peers
