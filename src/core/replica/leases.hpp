// Leases: one time to live for many keys, which who holds it makes longer again and again (Gray and Cheriton, "Leases:
// an efficient fault-tolerant mechanism for distributed file cache consistency"). A lease is replicated state like any
// other: an item of Space::kLeases. Its id is the revision that granted it, so the ids of later ones are larger, and an
// id serves as the fence of whatever the lease stands for. A renewal that was acknowledged is in the log: whoever leads
// next keeps it. While more than three quarters of the time are left a renewal is answered with what is left, so that
// nobody has to be gentle. When a lease ends, by its holder's word or by its time, its keys end in the same entry.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/replica/evaluation.hpp"
#include "core/replica/terms.hpp"

namespace kvd {

// What an item of Space::kLeases holds. Its key is the id, 8 bytes, big-endian; its version counts the holds: who takes
// a lease up has the newest one, and whoever held it before can neither renew nor end it any more.
struct StoredLease {
  uint64_t deadline = 0;  // ms, by the log's clock
  uint64_t ttl = 0;       // ms
  std::string name;       // for people; may be empty
};
std::string lease_key(uint64_t id);
uint64_t lease_id(std::string_view key);
// Of an effect or an item; none: there is no such lease. Null: none.
std::optional<StoredLease> lease_of(const Record* record);

// Why this key cannot be given to this lease. None: it can. A write of many keys may bring it beyond its limit by
// those.
std::optional<Failed> refused_lease(std::string_view key, uint64_t id, const WriteView& view);
// The lease and all its keys, as the log's end knows them. `expired`: by its time.
void add_end_of_lease(uint64_t id, bool expired, const WriteView& view, std::vector<Record>& effects);

struct LeasesSpace {
  static constexpr Space kSpace = Space::kLeases;
  static Evaluation effects_of(GrantLease& grant, const WriteView& view);
  static Evaluation effects_of(TakeLease& take, const WriteView& view);
  static Evaluation effects_of(RenewLeases& renewal, const WriteView& view);
  static Evaluation effects_of(EndLease& end, const WriteView& view);

  void count(const Record& item, bool add);
  bool free_some() { return due.free_some(); }

  DueItems due;
};

}  // namespace kvd
