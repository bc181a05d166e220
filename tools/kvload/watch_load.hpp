// `kvload watch`: many streams of one watch on the servers of a running cluster, and writes at a steady rate. How long
// a write takes to each stream, from the moment when it was to be sent; what the streams cost the servers; and whether
// any stream missed an event, or had one twice or out of order.
#pragma once
#include <cstdint>
#include <string>

#include "kvload/options.hpp"

namespace kvd::load {

struct WatchReport {
  size_t streams = 0;
  double seconds = 0;                         // of writing
  uint64_t written = 0;                       // acknowledged
  uint64_t failed = 0;                        // writes; then what the streams should have is not known
  uint64_t events = 0;                        // at all streams together
  uint64_t out_of_order = 0;                  // events that were not newer than the one before
  uint64_t short_streams = 0;                 // that have not had every write at the end
  uint64_t lost_streams = 0;                  // whose connection ended
  double p50_ms = 0, p99_ms = 0, max_ms = 0;  // from write to event
  double cpu_us_per_event = 0;  // of the servers that run here, user and system; 0: none is seen
  double kib_per_stream = 0;    // what the servers that run here grew by when the streams were opened
  std::string unreachable;      // why nothing was measured; empty: it was

  bool sound() const { return failed + out_of_order + short_streams + lost_streams == 0; }
};

std::string watch_text(const WatchReport& report);
std::string watch_json(const WatchReport& report);

int watch_command(const WatchOptions& options);  // the exit code; 1: a stream was not served right

}  // namespace kvd::load
