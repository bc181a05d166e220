// What a measured phase came to: counts, latencies, failures and gaps, as the load records them and the reports read
// them. Recording a success never allocates. Times are nanoseconds of one monotonic clock.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kvload/histogram.hpp"
#include "kvload/request_text.hpp"

namespace kvd::load {

inline constexpr uint64_t kMillisecond = 1'000'000;  // times are in nanoseconds

struct ServerResult {
  std::string name;
  uint64_t ok = 0;
  uint64_t failed = 0;
  uint64_t connections_lost = 0;  // that were open
  bool targeted = false;          // requests have been meant for it; otherwise it has no gap
  bool is_target = false;         // they are now
  uint64_t gap_ns = 0;            // the longest time without a success while requests were meant for it
  uint64_t last_ok = 0;
};

struct Interval {
  double at_s = 0;  // its end, since the phase began
  double seconds = 0;
  uint64_t ok = 0;
  uint64_t failed = 0;
  uint64_t p50_ns = 0;
  uint64_t p99_ns = 0;
  uint64_t max_ns = 0;
};

struct FailureKind {
  std::string what;     // "503 no-leader", "timed out", "connection lost"
  std::string outcome;  // of writes: "not-applied" or "unknown"; of reads empty
  auto operator<=>(const FailureKind&) const = default;
};

class RunResult {
 public:
  RunResult() = default;
  RunResult(const std::vector<std::string>& servers, uint64_t now, uint64_t interval_ns);

  void record_ok(Kind kind, size_t server, uint64_t latency_ns, uint64_t now, bool found);
  void record_failure(size_t server, std::string_view what, std::string_view outcome);
  // Requests go to these servers from now on, by index.
  void set_targets(const std::vector<size_t>& indices, uint64_t now);
  void tick(uint64_t now);  // at least once per interval
  void finish(uint64_t now);

  Histogram total() const;  // of all kinds, with what was never sent
  uint64_t ok() const;
  uint64_t failed() const;
  uint64_t last_ok() const { return last_ok_; }  // or the begin
  double seconds() const { return static_cast<double>(ended - started) / 1e9; }
  double rate() const { return seconds() > 0 ? static_cast<double>(in_time) / seconds() : 0; }

  uint64_t started = 0;
  uint64_t ended = 0;  // when no more were sent; answers that came later count, but not for the rate
  uint64_t in_time = 0;
  std::array<Histogram, kKinds> latency;
  Histogram unsent;  // of an open loop: what they had waited at the end
  uint64_t not_found = 0;
  std::map<FailureKind, uint64_t> failures;
  std::vector<ServerResult> servers;
  uint64_t gap_ns = 0;  // over all servers
  std::vector<Interval> intervals;
  uint64_t bytes_in = 0;

 private:
  uint64_t last_ok_ = 0;
  uint64_t interval_ns_ = 0;
  uint64_t interval_began_ = 0;
  uint64_t interval_failed_ = 0;
  Histogram interval_latency_;
};

}  // namespace kvd::load
