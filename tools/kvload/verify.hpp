// `kvload verify`: clients that read and write a few keys of a running cluster while others do to it what they like,
// and a judgement of what they were told: is every key's history linearizable, do reads show a client's own writes,
// is any acknowledged write missing at the end? With --txn the keys are accounts, and what is judged is all of them
// together: strictly serializable transfers. The checker is the one that judges kvd's own tests.
#pragma once
#include <cstdint>
#include <map>
#include <string>

#include "kvload/options.hpp"

namespace kvd::load {

struct Verdict {
  uint64_t seed = 0;
  bool together = false;  // all keys were judged together
  double seconds = 0;
  uint64_t acknowledged = 0;  // writes that changed something
  uint64_t unchanged = 0;     // writes whose condition failed, or that found nothing to delete
  uint64_t not_applied = 0;   // writes
  uint64_t unknown = 0;       // writes
  uint64_t linear_reads = 0;
  uint64_t local_reads = 0;
  uint64_t keys = 0;
  double gap_ms = 0;  // the longest time without an acknowledged write
  std::map<std::string, uint64_t> failures;
  std::string violation;    // empty: there is none
  std::string unreachable;  // why nothing could be judged; empty: it was

  int exit_code() const;
};

std::string verdict_text(const Verdict& verdict);
std::string verdict_json(const Verdict& verdict);

int verify_command(const VerifyOptions& options);

}  // namespace kvd::load
