// What clients asked over HTTP and what they were told, put into the words that the simulator's history
// speaks, so that the same checker judges both. Any thread may record; judged once all clients have ended.
#pragma once
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "judge/history.hpp"
#include "rig/http_client.hpp"

namespace kvd::testing {

struct HttpOperation {
  enum Kind : uint8_t { kPut, kDelete, kRead, kAdd, kTxn } kind = kRead;
  std::string key;          // not of kTxn
  std::string value;        // of kPut; from sim::make_value(), never the same twice
  int64_t by = 0;           // of kAdd
  Transaction transaction;  // of kTxn
  std::string idempotency_key;
  Condition condition;
  bool linear = false;   // of kRead
  uint64_t min_rev = 0;  // of a local read
  int client = 0;
  int server = 0;
  uint64_t timeout_ms = 1000;

  HttpCall call() const;
};

// A write is done only if the key is at that revision; 0: only if it does not exist.
Condition only_if(uint64_t revision);

class HttpHistory {
 public:
  struct Counts {
    size_t done = 0;           // writes, failed conditions included; reads
    size_t certainly_not = 0;  // writes
    size_t unknown = 0;        // writes
    size_t linear_reads = 0;
    size_t local_reads = 0;
    size_t acknowledged = 0;                 // writes that changed something
    std::map<std::string, size_t> failures;  // of writes and reads: "503 no-leader", "no answer"
    Duration gap{0};                         // the longest time from one acknowledgement to the next
  };

  // Everything happens in `lineage`: an answer of another one means that all was lost.
  explicit HttpHistory(Lineage lineage = Lineage(0)) : lineage_(lineage) {}

  // The operation is about to be sent. Its number.
  size_t begin(const HttpOperation& operation);
  // What came back, also when that is nothing. The key's revision by that; 0: it does not tell, or there is
  // no such key.
  uint64_t finish(size_t number, const HttpAnswer& answer);

  Counts counts() const;
  std::set<std::string> keys() const;

  // With kAdd or kTxn it has no local reads and is judged as that of all keys together.
  // An explanation when the record cannot be that of one linearizable store in which nothing acknowledged was
  // lost, or when an answer breaks the rules of the interface; empty: all is well.
  std::string violation() const;

 private:
  using Clock = std::chrono::steady_clock;
  void count(const sim::ClientOperation& operation, const Answer& answer);
  void complain(const sim::ClientOperation& operation, const HttpAnswer& answer, const std::string& what);

  const Lineage lineage_;
  mutable std::mutex mutex_;
  sim::History history_;
  Counts counts_;
  std::string complaint_;  // the first one
  std::set<std::string> keys_;
  bool together_ = false;  // there is an operation on several keys, or one that depends on what is there
  Clock::time_point acknowledged_at_{};
};

}  // namespace kvd::testing
