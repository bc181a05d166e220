// `kvload terms --leases N`: many leases that are renewed one by one or in bulk at the servers of a running cluster,
// which others may kill meanwhile. How many renewals were acknowledged and how soon, and whether any lease was over
// before the time that its last acknowledged renewal has promised.
#pragma once
#include <cstdint>
#include <string>

#include "kvload/options.hpp"

namespace kvd::load {

struct LeaseReport {
  size_t leases = 0;
  uint64_t ttl_ms = 0;
  bool bulk = false;
  double seconds = 0;                         // of renewing
  uint64_t requests = 0;                      // that were acknowledged
  uint64_t renewals = 0;                      // of leases, in them
  uint64_t failed = 0;                        // requests, which were repeated
  uint64_t early = 0;                         // leases that were over within the time that was promised
  uint64_t ran_out = 0;                       // that were over later, as no renewal was acknowledged in time
  double p50_ms = 0, p99_ms = 0, max_ms = 0;  // of requests, from when they fell due to their answer
  double cpu_us_per_renewal =
      0;                    // of the servers that run here, user and system; 0: none is seen, or one ended
  std::string unreachable;  // why nothing was measured; empty: it was

  bool sound() const { return early == 0; }
};

std::string lease_text(const LeaseReport& report);
std::string lease_json(const LeaseReport& report);

LeaseReport load_leases(const TermsOptions& options);

}  // namespace kvd::load
