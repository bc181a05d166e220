// The clients' side of a run: every request with the answer that its client got, and from them the operations
// per key that the linearizability checker takes. Written by the workload; judged at the end of a run.
#pragma once
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "judge/linearizability.hpp"
#include "msg/client.hpp"

namespace kvd::sim {

struct ClientOperation {
  RequestId id;
  StoreCall request;
  Duration timeout{0};
  int client = 0;
  int server = 0;
  uint64_t called = 0;               // places in the order of all calls and returns
  uint64_t returned = UINT64_MAX;    // UINT64_MAX: no answer arrived (yet), or none that tells the outcome
  std::optional<StoreAnswer> reply;  // as it reached the client
  bool repeated = false;             // with its idempotency key, after an attempt whose outcome is unknown
  bool certainly_not = false;        // refused before it could reach a server, or by one that says so
  Revision floor;  // newest revision that any client knew acknowledged when this one was called
};

class History {
 public:
  size_t begin(ClientOperation operation);
  void finish(size_t index, StoreAnswer reply);  // the answer reached the client
  void refuse(size_t index);                     // certainly not done

  const std::vector<ClientOperation>& operations() const { return operations_; }
  ClientOperation& operation(size_t index) { return operations_[index]; }

  // An explanation when some key's history is not linearizable, or a fence let somebody through. Each lineage is
  // judged by itself: between two of them all data was lost, by definition. `undecided` counts the keys that were too
  // hard.
  std::optional<std::string> check(const std::vector<std::string>& keys, uint64_t steps_max,
                                   int& undecided) const;

  // An explanation when the operations on the keys with `prefix` together are not strictly serializable, in the order of
  // their revisions. Operations on several keys are transactions there: no other one may come to them, nor a listing.
  // `taken`: revisions that are known to be of other keys. `undecided` counts the lineages that were too hard.
  std::optional<std::string> check_together(const std::string& prefix, std::set<uint64_t> taken,
                                            uint64_t steps_max, int& undecided) const;
  // The same when a number at `key`, which nothing but additions changes, cannot be the sum of those that were
  // acknowledged and of some whose outcome is not known, in that lineage. `value`: where it ended.
  std::optional<std::string> check_sum(const std::string& key, Lineage lineage, int64_t value) const;

 private:
  // The same when a write was acknowledged although another one with a larger token for its resource had been
  // acknowledged before it was called: by what the clients saw alone.
  std::optional<std::string> check_fences() const;

  std::vector<ClientOperation> operations_;
  uint64_t place_ = 0;
};

// The part of `operation` that concerns `key`; nothing when none does.
std::optional<KeyOperation> project(const ClientOperation& operation, const std::string& key);

}  // namespace kvd::sim
