// See term_referee.hpp.
#include "term_referee.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace kvd::sim {
namespace {

constexpr Duration kRounded = milliseconds(2);  // of clocks that show whole milliseconds

bool ends(const Entry& entry, std::string_view key, Space space) {
  return std::any_of(entry.effects.begin(), entry.effects.end(), [&](const Record& effect) {
    return effect.space() == space && effect.key() == key && !effect.has_value();
  });
}

}  // namespace

// By a slow clock a fast one counts so long at least.
Duration TermReferee::lasts(uint64_t ms) const {
  const Duration span = milliseconds(static_cast<int64_t>(ms));
  return span - span * 2 * rate_ppm_ / 1'000'000;
}

const TermReferee::Given* TermReferee::at(const Past& past, Revision revision) {
  auto behind = past.upper_bound(revision);
  if (behind == past.begin()) return nullptr;
  --behind;
  return lineage_of(behind->first) == lineage_of(revision) && behind->second ? &*behind->second : nullptr;
}

const TermReferee::Given* TermReferee::term_of_key(const std::string& key, Revision revision) const {
  const auto past = terms_.find(key);
  return past == terms_.end() ? nullptr : at(past->second, revision);
}

const TermReferee::Given* TermReferee::lease_of_id(uint64_t id, Revision revision) const {
  const auto past = leases_.find(id);
  return past == leases_.end() ? nullptr : at(past->second, revision);
}

// ---- what is committed ----

void TermReferee::begin(const Entry& entry) {
  const Lineage lineage = lineage_of(entry.revision);
  const bool first = entry.revision == lineage_base(lineage).next();
  if (first) {  // with nothing
    keys_.clear();
    attached_.clear();
  }
  followed_ = first || (followed_ && entry.revision == newest_.next());
  newest_ = entry.revision;
}

std::string TermReferee::on_entry(const Entry& entry, std::optional<Instant> appended) {
  if (entry.revision <= newest_) return {};
  begin(entry);
  if (!followed_) return {};
  std::string why;
  const bool by_time = std::any_of(entry.effects.begin(), entry.effects.end(),
                                   [](const Record& effect) { return effect.expired(); });
  for (const Record& effect : entry.effects) {
    const bool of_lease = effect.space() == Space::kLeases && !effect.has_value();
    if (effect.expired() || (of_lease && by_time)) why += judge_expired(entry, effect, appended);
    if (of_lease) why += judge_end_of_lease(entry, lease_id(effect.key()));
  }
  for (const Record& effect : entry.effects) apply(entry, effect, appended);
  for (const Record& effect : entry.effects) {
    if (effect.space() == Space::kData || effect.space() == Space::kTerms)
      why += judge_after(std::string(effect.key()));
  }
  return why.empty() ? why : fmt::format("revision {}: {}", entry.revision.value, why);
}

// What ends by its time was due, by the log's clock and by the true time, and not promised to anybody for longer.
std::string TermReferee::judge_expired(const Entry& entry, const Record& effect,
                                       std::optional<Instant> appended) {
  const std::string key(effect.key());
  if (effect.space() == Space::kLeases) {
    const uint64_t id = lease_id(key);
    const Given* lease = lease_of_id(id, entry.revision);
    if (lease == nullptr) return fmt::format("lease {} expires, and is none; ", id);
    std::string why = judge_due(entry, *lease, fmt::format("lease {}", id), appended);
    if (!appended) return why;
    Promise& promise = of_leases_[id];
    promise.ended = appended;
    return why + promised(promise, promise.until, fmt::format("lease {}", id));
  }
  if (effect.space() != Space::kData) return fmt::format("{} expires in another space; ", key);
  const Given* term = term_of_key(key, entry.revision);
  if (!keys_.contains(key)) return fmt::format("{} expires, and is not there; ", key);
  if (term == nullptr) return fmt::format("{} expires, and has no term; ", key);
  if (term->lease != 0) {
    if (ends(entry, lease_key(term->lease), Space::kLeases)) return {};
    return fmt::format("{} expires without its lease {}; ", key, term->lease);
  }
  std::string why = judge_due(entry, *term, key, appended);
  if (!appended) return why;
  const auto made = std::prev(terms_[key].upper_bound(entry.revision));
  Promise& promise = of_terms_[{key, made->first}];
  promise.ended = appended;
  return why + promised(promise, promise.until, key);
}

std::string TermReferee::judge_due(const Entry& entry, const Given& given, const std::string& what,
                                   std::optional<Instant> appended) const {
  if (entry.clock < given.deadline)
    return fmt::format("{} expires at {} ms of the log's clock, and was to live until {}; ", what,
                       entry.clock, given.deadline);
  if (appended && given.at && *appended - *given.at + kRounded < lasts(given.ttl))
    return fmt::format("{} expires after {} us, and was given {} ms; ", what, (*appended - *given.at).count(),
                       given.ttl);
  return {};
}

// Its keys go with it.
std::string TermReferee::judge_end_of_lease(const Entry& entry, uint64_t id) const {
  std::string why;
  const auto keys = attached_.find(id);
  if (keys == attached_.end()) return why;
  for (const std::string& key : keys->second) {
    if (!ends(entry, key, Space::kData)) why += fmt::format("lease {} ends and leaves {}; ", id, key);
  }
  return why;
}

// A term is of a key that is there, and of a lease that is there.
std::string TermReferee::judge_after(const std::string& key) const {
  const Given* term = term_of_key(key, newest_);
  if (term == nullptr) return {};
  if (!keys_.contains(key)) return fmt::format("{} is gone, and its term is not; ", key);
  if (term->lease != 0 && lease_of_id(term->lease, newest_) == nullptr)
    return fmt::format("{} belongs to lease {}, which is none; ", key, term->lease);
  return {};
}

void TermReferee::apply(const Entry& entry, const Record& effect, std::optional<Instant> appended) {
  const std::string key(effect.key());
  if (effect.space() == Space::kData) {
    if (effect.has_value()) {
      keys_.insert(key);
    } else {
      keys_.erase(key);
    }
  } else if (effect.space() == Space::kTerms) {
    if (const Given* before = term_of_key(key, entry.revision)) attached_[before->lease].erase(key);
    const std::optional<StoredTerm> term = term_of(&effect);
    std::optional<Given>& now = terms_[key][entry.revision];
    now.reset();
    if (term) now = Given{term->deadline, term->ttl, term->lease, appended};
    if (term && term->lease != 0) attached_[term->lease].insert(key);
  } else if (effect.space() == Space::kLeases) {
    const std::optional<StoredLease> lease = lease_of(&effect);
    std::optional<Given>& now = leases_[lease_id(key)][entry.revision];
    now.reset();
    if (lease) now = Given{lease->deadline, lease->ttl, 0, appended};
  }
}

std::string TermReferee::left() const {
  std::string text;
  for (const auto& [key, past] : terms_) {
    if (at(past, newest_) != nullptr) text += fmt::format("{} has a term; ", key);
  }
  for (const auto& [id, past] : leases_) {
    if (at(past, newest_) != nullptr) text += fmt::format("lease {} lives; ", id);
  }
  return text;
}

// ---- what clients are told ----

std::string TermReferee::promised(Promise& promise, Instant until, const std::string& what) {
  promise.until = std::max(promise.until, until);
  if (!promise.ended || *promise.ended + kRounded >= promise.until) return {};
  return fmt::format("{} expired {} us before the time that its client was told; ", what,
                     (promise.until - *promise.ended).count());
}

// An acknowledged write left that of the key's term.
std::string TermReferee::on_term(const std::string& key, const Term& term, Revision revision, Instant asked) {
  if (revision > newest_ || !followed_ || lineage_of(revision) != lineage_of(newest_)) return {};
  const Given* given = term_of_key(key, revision);
  switch (term.kind) {
    case Term::Kind::kKeep:
      return {};
    case Term::Kind::kNone:
      return given == nullptr ? "" : fmt::format("{} still has a term at {}; ", key, revision.value);
    case Term::Kind::kLease:
      if (given != nullptr && given->lease == term.number) return {};
      return fmt::format("{} was given to lease {} at {}, and was not; ", key, term.number, revision.value);
    case Term::Kind::kTime:
      if (given == nullptr || given->lease != 0 || given->ttl != term.number)
        return fmt::format("{} was given {} ms at {}, and has them not; ", key, term.number, revision.value);
      return promised(of_terms_[{key, revision}], asked + lasts(term.number), key);
  }
  return {};
}

// Of a key that is in it more than once the last operation counts.
std::string TermReferee::on_batch(const WriteBatch& batch, Revision revision, Instant asked) {
  std::map<std::string, const BatchOp*> last;
  for (const BatchOp& op : batch.ops) last[op.key] = &op;
  std::string why;
  for (const auto& [key, op] : last) {
    if (op->value) why += on_term(key, op->term, revision, asked);
  }
  return why;
}

std::string TermReferee::on_renewals(const RenewLeases& asked_for, const LeasesRenewed& renewed,
                                     Instant asked) {
  if (renewed.left_ms.size() != asked_for.ids.size()) return "not every renewal is answered; ";
  std::string why;
  for (size_t i = 0; i < renewed.left_ms.size(); ++i) {
    if (!renewed.left_ms[i]) continue;
    const uint64_t id = asked_for.ids[i];
    why += promised(of_leases_[id], asked + lasts(*renewed.left_ms[i]), fmt::format("lease {}", id));
  }
  return why;
}

std::string TermReferee::on_found(const std::string& key, const Lifetime& life, Revision revision) const {
  const Given* term = term_of_key(key, revision);
  if (term == nullptr) {
    const bool none = !life.left_ms && life.lease == 0;
    return none ? "" : fmt::format("{} is said to have a term at {}; ", key, revision.value);
  }
  if (!life.left_ms || life.lease != term->lease)
    return fmt::format("{} is said to have another term than it has at {}; ", key, revision.value);
  const Given* what = term->lease == 0 ? term : lease_of_id(term->lease, revision);
  if (what != nullptr && *life.left_ms <= what->ttl) return {};
  return fmt::format("{} is said to have {} ms left at {}, more than it was given; ", key, *life.left_ms,
                     revision.value);
}

std::string TermReferee::on_lease(const LeaseInfo& info, Revision revision) const {
  const Given* lease = lease_of_id(info.id, revision);
  if (lease == nullptr)
    return fmt::format("lease {} is shown at {}, where it is none; ", info.id, revision.value);
  if (info.ttl_ms == lease->ttl && info.left_ms <= lease->ttl) return {};
  return fmt::format("lease {} is said to have {} of {} ms at {}, and was given {}; ", info.id, info.left_ms,
                     info.ttl_ms, revision.value, lease->ttl);
}

std::string TermReferee::on_answer(const StoreCall& call, const StoreAnswer& answer, Instant asked) {
  const Revision revision = answer.revision;
  const auto* put = std::get_if<PutKey>(&call.operation);
  if (put != nullptr && std::holds_alternative<KeyWritten>(answer.answer))
    return on_term(put->key, put->term, revision, asked);
  const auto* batch = std::get_if<WriteBatch>(&call.operation);
  if (batch != nullptr && std::holds_alternative<BatchWritten>(answer.answer))
    return on_batch(*batch, revision, asked);
  const auto* touch = std::get_if<TouchKey>(&call.operation);
  // A touch that finds what it asks for is no write, and is of no revision of its own.
  if (touch != nullptr && touch->term.kind != Term::Kind::kNone &&
      std::holds_alternative<KeyTouched>(answer.answer))
    return on_term(touch->key, touch->term, revision, asked);
  if (const auto* granted = std::get_if<LeaseGranted>(&answer.answer))
    return promised(of_leases_[granted->id], asked + lasts(granted->ttl_ms),
                    fmt::format("lease {}", granted->id));
  if (const auto* renewed = std::get_if<LeasesRenewed>(&answer.answer))
    return on_renewals(std::get<RenewLeases>(call.operation), *renewed, asked);
  if (!followed_ || lineage_of(revision) != lineage_of(newest_) || revision > newest_) return {};
  if (const auto* found = std::get_if<KeyFound>(&answer.answer))
    return found->complete ? on_found(std::string(found->item.key()), found->life, revision) : "";
  if (const auto* lease = std::get_if<Box<LeaseFound>>(&answer.answer))
    return (*lease)->complete ? on_lease((*lease)->lease, revision) : "";
  std::string why;
  if (const auto* list = std::get_if<LeaseList>(&answer.answer)) {
    for (const LeaseInfo& info : list->leases) why += list->complete ? on_lease(info, revision) : "";
  }
  return why;
}

}  // namespace kvd::sim
