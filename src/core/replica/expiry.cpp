// See expiry.hpp.
#include "core/replica/expiry.hpp"

#include "core/mutation.hpp"
#include "core/queues/sweep.hpp"
#include "core/replica/key_effects.hpp"
#include "core/replica/leases.hpp"
#include "core/replica/store.hpp"
#include "core/replica/terms.hpp"
#include "msg/limits.hpp"

namespace kvd {
namespace {

// The clock is told in whole ms: both the time at which something was given a deadline and this one may be later than
// told, by a part of one.
bool is_over(uint64_t deadline, uint64_t clock) { return deadline < clock; }

// Calls fn(item) for what is due in the committed state, until that says that it is enough.
void each_due(const DueItems& due, uint64_t clock, auto fn) {
  for (auto it = due.begin(); it != due.end() && is_over(it->deadline, clock); ++it) {
    if (!fn(it->item)) return;
  }
}

// As it stands at the log's end, where it may have been renewed.
const Record* newest(const Record& committed, const WriteView& view) {
  return mutated(Mutation::kDueByCommitted) ? &committed : view.latest(committed.key(), committed.space());
}

}  // namespace

std::vector<Record> expired(const WriteView& view) {
  std::vector<Record> effects;
  const auto room = [&effects] { return effects.size() < 2 * limits::kExpiryKeys; };
  each_due(view.store.terms().due, view.clock, [&](const Record& item) {
    const std::optional<StoredTerm> term = term_of(newest(item, view));
    if (!term || term->lease != 0 || !is_over(term->deadline, view.clock)) return true;
    const Record* key = view.latest(item.key(), Space::kData);
    if (key != nullptr) effects.push_back(deleted(*key, view.next, true));
    effects.push_back(Record::deletion(item.key(), {item.created(), view.next, 0, Space::kTerms}));
    return room();
  });
  if (!room()) return effects;
  each_due(view.store.leases().due, view.clock, [&](const Record& item) {
    const std::optional<StoredLease> lease = lease_of(newest(item, view));
    if (!lease || !is_over(lease->deadline, view.clock)) return true;
    add_end_of_lease(lease_id(item.key()), true, view, effects);
    return room();
  });
  if (room()) add_swept(view, effects);
  return effects;
}

}  // namespace kvd
