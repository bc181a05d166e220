// `kvload terms --keys N`: many keys whose terms all end within one second. How long after the last deadline the last of
// them was gone, and what writes of other keys took meanwhile, as a ratio to before.
#pragma once
#include <cstdint>
#include <string>

#include "kvload/options.hpp"

namespace kvd::load {

struct ExpiryReport {
  size_t keys = 0;
  double write_s = 0;                                // that writing them took
  uint64_t early = 0;                                // that were gone before the first deadline
  double gone_s = 0;                                 // from the last deadline until the last one was gone
  uint64_t left = 0;                                 // that were not gone in time
  uint64_t writes_before = 0, writes_meanwhile = 0;  // of other keys
  uint64_t failed = 0;                               // of those
  double before_p50_ms = 0, before_p99_ms = 0, meanwhile_p50_ms = 0, meanwhile_p99_ms = 0;
  std::string unreachable;  // why nothing was measured; empty: it was

  bool sound() const { return early == 0 && left == 0; }
  double ratio_p50() const { return before_p50_ms > 0 ? meanwhile_p50_ms / before_p50_ms : 0; }
  double ratio_p99() const { return before_p99_ms > 0 ? meanwhile_p99_ms / before_p99_ms : 0; }
};

std::string expiry_text(const ExpiryReport& report);
std::string expiry_json(const ExpiryReport& report);

ExpiryReport load_terms(const TermsOptions& options);

int terms_command(
    const TermsOptions& options);  // also of leases; the exit code; 1: something ended early, or never

}  // namespace kvd::load
