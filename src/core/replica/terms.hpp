// How long keys may live. A term is replicated state like any other: an item of Space::kTerms under the key's own
// name, written in the same entry as the key. It stands beside the key's record rather than in it, so that a new term
// leaves the key's revision alone, and a key without one costs nothing.
//
// A term is a time by the log's clock (log_clock.hpp), or a lease's id (leases.hpp): then the key lives as long as
// that. A write ends the term that a key has, unless it brings another one or says that it is to be kept; sums and
// appended bytes keep it. What has come to its end is deleted by the leader, in an entry like any other (expiry.hpp):
// nobody else looks at the clock.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "core/replica/evaluation.hpp"

namespace kvd {

// What an item of Space::kTerms holds.
struct StoredTerm {
  uint64_t deadline = 0;  // ms, by the log's clock; of a lease: 0
  uint64_t ttl = 0;       // ms, that it was given; of a lease: 0
  uint64_t lease = 0;     // its id; 0: a time
};
Record term_record(std::string_view key, const StoredTerm& term, Revision revision);
// Of an effect or an item; none: there is no term, or it cannot be read. Null: none.
std::optional<StoredTerm> term_of(const Record* record);
// ms of the log's clock; 0: it is over.
inline uint64_t left_until(uint64_t deadline, uint64_t clock) {
  return deadline > clock ? deadline - clock : 0;
}

// Why the key cannot be given this term. None: it can.
std::optional<Failed> refused_term(std::string_view key, const Term& term, const WriteView& view);
// What a write leaves of a key's term; `term` is what the write says. Of a key that is deleted: Term(), which ends it.
void add_term_effects(std::string_view key, const Term& term, const WriteView& view,
                      std::vector<Record>& effects);

// Items by their deadlines, and at the same one by their keys.
struct Due {
  uint64_t deadline = 0;
  Record item;
};
struct DueOrder {
  using is_transparent = void;
  using Place = std::pair<uint64_t, std::string_view>;
  static Place place(const Due& due) { return {due.deadline, due.item.key()}; }
  bool operator()(const Due& a, const Due& b) const { return place(a) < place(b); }
  bool operator()(const Place& a, const Due& b) const { return a < place(b); }
};
struct DueItems : std::set<Due, DueOrder> {
  void count(uint64_t deadline, const Record& item, bool add);  // it has come, or goes
  bool free_some();
};
struct ByKey {
  bool operator()(const Record& a, const Record& b) const { return a.key() < b.key(); }
};
using KeySet = std::set<Record, ByKey>;

struct TermsSpace {
  static constexpr Space kSpace = Space::kTerms;
  static Evaluation effects_of(TouchKey& touch, const WriteView& view);

  void count(const Record& item, bool add);
  bool free_some();

  DueItems due;                         // those that are times
  std::map<uint64_t, KeySet> attached;  // the others, by their lease
};

}  // namespace kvd
