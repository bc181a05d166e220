// What the cluster has committed, as the checkers learned it from the first node that committed each entry:
// the one history that all others are held against. Pure bookkeeping; it never looks into a node by itself.
#pragma once
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "msg/record.hpp"

namespace kvd::sim {

class CommittedHistory {
 public:
  // Adds what a node says is committed. An explanation when that contradicts what is known: another entry at
  // this revision, an epoch that goes back, a client's value or a write with an idempotency key that
  // is done a second time, a fence that is not raised.
  std::optional<std::string> record(const EntryPointer& entry);

  // The entry at `revision`; null: nobody has committed one yet.
  const Entry* at(Revision revision) const;

  // What the newest write to `key` up to `at`, within the lineage of `at`, did; null: there was none.
  const Record* latest(const std::string& key, Revision at, Revision* modified) const;

  // The revision under which a client's value was written.
  std::optional<Revision> revision_of(uint64_t value_number) const;
  // The tokens that were remembered for `resource` up to `at`, within the lineage of `at`: rising.
  std::vector<uint64_t> tokens(const std::string& resource, Revision at) const;
  const std::unordered_map<uint64_t, Revision>& values() const { return values_; }
  const std::map<std::string, std::map<Revision, const Record*>>& keys() const { return keys_; }

  Revision newest() const { return entries_.empty() ? Revision(0) : entries_.rbegin()->first; }

 private:
  std::optional<std::string> contradiction(const Entry& entry) const;
  std::optional<std::string> done_twice(const Record& effect, Revision revision);
  std::optional<std::string> not_raised(const Record& effect, Revision revision);

  std::map<Revision, EntryPointer> entries_;
  std::map<std::string, std::map<Revision, const Record*>> keys_;
  std::unordered_map<uint64_t, Revision> values_;
  std::map<std::pair<Lineage, std::string>, Revision> requests_;  // by idempotency key
  // The tokens of a resource, by the revisions that brought them.
  std::map<std::pair<Lineage, std::string>, std::map<Revision, uint64_t>> fences_;
};

// What an entry does to clients' keys, without what is remembered of requests.
inline size_t data_effects(const Entry& entry) {
  return static_cast<size_t>(
      std::count_if(entry.effects.begin(), entry.effects.end(),
                    [](const Record& effect) { return effect.space() == Space::kData; }));
}

// Clients write values "v<number>" and padding; 0: none of theirs.
uint64_t value_number(std::string_view value);
std::string make_value(uint64_t number, size_t bytes);

}  // namespace kvd::sim
