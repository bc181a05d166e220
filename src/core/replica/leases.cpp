// See leases.hpp.
#include "core/replica/leases.hpp"

#include <algorithm>
#include <utility>

#include "base/big_endian.hpp"
#include "core/mutation.hpp"
#include "core/replica/key_effects.hpp"
#include "core/replica/store.hpp"
#include "core/replica/table.hpp"
#include "core/replica/tail.hpp"
#include "msg/codec.hpp"
#include "msg/limits.hpp"

namespace kvd {
namespace {

Record lease_record(uint64_t id, const StoredLease& lease, uint64_t hold, Revision revision) {
  std::string bytes;
  Encoder encoder(bytes);
  encoder.put(lease.deadline);
  encoder.put(lease.ttl);
  encoder.put(lease.name);
  return Record(lease_key(id), bytes, {Revision(id), revision, hold, Space::kLeases});
}

// Calls fn(term record) for each key that belongs to the lease at the log's end.
void each_attached(uint64_t id, const WriteView& view, auto fn) {
  const Index& tail = view.tail.effects(Space::kTerms);
  const auto& attached = view.store.terms().attached;
  if (const auto it = attached.find(id); it != attached.end()) {
    for (const Record& record : it->second) {
      if (tail.find(record.key()) == nullptr) fn(record);
    }
  }
  if (view.tail.attached(id) == 0) return;
  tail.each([&](const Record& record) {
    const std::optional<StoredTerm> term = term_of(&record);
    if (term && term->lease == id) fn(record);
  });
}

}  // namespace

std::string lease_key(uint64_t id) {
  std::string key;
  append_big_endian(key, id);
  return key;
}

uint64_t lease_id(std::string_view key) { return big_endian(key); }

std::optional<StoredLease> lease_of(const Record* record) {
  if (record == nullptr || !record->has_value()) return std::nullopt;
  Decoder decoder(record->value());
  StoredLease lease;
  decoder.get(lease.deadline);
  decoder.get(lease.ttl);
  decoder.get(lease.name);
  decoder.finish();
  return decoder.failed() ? std::nullopt : std::optional(std::move(lease));
}

std::optional<Failed> refused_lease(std::string_view key, uint64_t id, const WriteView& view) {
  if (view.latest(lease_key(id), Space::kLeases) == nullptr) return lease_over();
  const auto& attached = view.store.terms().attached;
  const auto it = attached.find(id);
  // Those whose term the tail has made another one are still counted.
  const size_t keys = view.tail.attached(id) + (it == attached.end() ? 0 : it->second.size());
  if (keys < limits::kLeaseKeys) return std::nullopt;
  const std::optional<StoredTerm> now = term_of(view.latest(key, Space::kTerms));
  if (now && now->lease == id) return std::nullopt;
  return Failed{ErrorCode::kLeaseFull, Outcome::kNotApplied,
                "a lease holds at most " + std::to_string(limits::kLeaseKeys) + " keys"};
}

void add_end_of_lease(uint64_t id, bool expired, const WriteView& view, std::vector<Record>& effects) {
  std::vector<Record> terms;
  each_attached(id, view, [&](const Record& term) { terms.push_back(term); });
  std::sort(terms.begin(), terms.end(), ByKey());
  for (const Record& term : terms) {
    const Record* now = view.latest(term.key(), Space::kData);
    if (now != nullptr) effects.push_back(deleted(*now, view.next, expired));
    effects.push_back(Record::deletion(term.key(), {term.created(), view.next, 0, Space::kTerms}));
  }
  const std::string key = lease_key(id);
  effects.push_back(Record::deletion(key, {Revision(id), view.next, 0, Space::kLeases}));
}

Evaluation LeasesSpace::effects_of(GrantLease& grant, const WriteView& view) {
  const uint64_t id = view.next.value;
  StoredLease lease{view.clock + grant.ttl_ms, grant.ttl_ms, std::move(grant.name)};
  return one_effect(lease_record(id, lease, kHoldOfGrant, view.next), LeaseGranted{id, grant.ttl_ms});
}

Evaluation LeasesSpace::effects_of(TakeLease& take, const WriteView& view) {
  const Record* now = view.latest(lease_key(take.id), kSpace);
  std::optional<StoredLease> lease = lease_of(now);
  if (!lease) return lease_over();
  lease->deadline = view.clock + lease->ttl;
  const uint64_t hold = now->version() + 1;
  return one_effect(lease_record(take.id, *lease, hold, view.next), LeaseTaken{lease->ttl, hold});
}

Evaluation LeasesSpace::effects_of(RenewLeases& renewal, const WriteView& view) {
  Change change;
  LeasesRenewed renewed;
  for (size_t i = 0; i < renewal.ids.size(); ++i) {
    const uint64_t id = renewal.ids[i];
    const Record* now = view.latest(lease_key(id), kSpace);
    std::optional<StoredLease> lease = lease_of(now);
    std::optional<uint64_t>& left = renewed.left_ms.emplace_back();
    if (!lease) continue;
    if (!renewal.holds.empty() && renewal.holds[i] != now->version()) {
      renewed.taken.push_back(id);
      continue;
    }
    left = left_until(lease->deadline, view.clock);
    if (*left > lease->ttl / 4 * 3) continue;
    left = lease->ttl;
    lease->deadline = view.clock + lease->ttl;
    if (!mutated(Mutation::kRenewalUnlogged))
      change.effects.push_back(lease_record(id, *lease, now->version(), view.next));
  }
  change.answer = std::move(renewed);
  return change;
}

Evaluation LeasesSpace::effects_of(EndLease& end, const WriteView& view) {
  const Record* now = view.latest(lease_key(end.id), kSpace);
  const bool anybodys = end.hold == 0 || mutated(Mutation::kFormerHoldEnds);
  if (now == nullptr || (!anybodys && end.hold != now->version())) return lease_over();
  Change change{{}, LeaseEnded{}};
  add_end_of_lease(end.id, false, view, change.effects);
  return change;
}

void LeasesSpace::count(const Record& item, bool add) {
  const std::optional<StoredLease> lease = lease_of(&item);
  if (lease) due.count(lease->deadline, item, add);
}

}  // namespace kvd
