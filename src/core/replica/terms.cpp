// See terms.hpp.
#include "core/replica/terms.hpp"

#include <algorithm>
#include <string>

#include "core/mutation.hpp"
#include "core/replica/key_effects.hpp"
#include "core/replica/leases.hpp"
#include "core/replica/store.hpp"
#include "msg/codec.hpp"

namespace kvd {
namespace {

constexpr size_t kAtOnce = 1024;  // freed

}  // namespace

Record term_record(std::string_view key, const StoredTerm& term, Revision revision) {
  std::string bytes;
  Encoder encoder(bytes);
  encoder.put(term.deadline);
  encoder.put(term.ttl);
  encoder.put(term.lease);
  return Record(key, bytes, {revision, revision, 1, Space::kTerms});
}

std::optional<StoredTerm> term_of(const Record* record) {
  if (record == nullptr || !record->has_value()) return std::nullopt;
  Decoder decoder(record->value());
  StoredTerm term;
  decoder.get(term.deadline);
  decoder.get(term.ttl);
  decoder.get(term.lease);
  decoder.finish();
  return decoder.failed() ? std::nullopt : std::optional(term);
}

std::optional<Failed> refused_term(std::string_view key, const Term& term, const WriteView& view) {
  return term.kind == Term::Kind::kLease ? refused_lease(key, term.number, view) : std::nullopt;
}

void add_term_effects(std::string_view key, const Term& term, const WriteView& view,
                      std::vector<Record>& effects) {
  switch (term.kind) {
    case Term::Kind::kKeep:
      return;
    case Term::Kind::kNone: {
      const Record* now = view.latest(key, Space::kTerms);
      if (now == nullptr || mutated(Mutation::kTermOutlivesKey)) return;
      effects.push_back(Record::deletion(key, {now->created(), view.next, 0, Space::kTerms}));
      return;
    }
    case Term::Kind::kTime:
      effects.push_back(term_record(key, {view.clock + term.number, term.number, 0}, view.next));
      return;
    case Term::Kind::kLease:
      effects.push_back(term_record(key, {0, 0, term.number}, view.next));
      return;
  }
}

Evaluation TermsSpace::effects_of(TouchKey& touch, const WriteView& view) {
  const Record* now = view.latest(touch.key, Space::kData);
  if (!holds(touch.condition, now)) return no_effect(condition_failed(now));
  if (now == nullptr) return no_effect(KeyAbsent{});
  if (auto failed = refused_term(touch.key, touch.term, view)) return std::move(*failed);
  Change change{{}, KeyTouched{touch.term.kind == Term::Kind::kTime ? touch.term.number : 0}};
  add_term_effects(touch.key, touch.term, view, change.effects);
  return change;
}

void DueItems::count(uint64_t deadline, const Record& item, bool add) {
  if (add) {
    insert({deadline, item});
  } else {
    erase({deadline, item});
  }
}

bool DueItems::free_some() {
  for (size_t i = 0; i < kAtOnce && !empty(); ++i) erase(begin());
  return !empty();
}

void TermsSpace::count(const Record& item, bool add) {
  const std::optional<StoredTerm> term = term_of(&item);
  if (!term) return;
  if (term->lease == 0) return due.count(term->deadline, item, add);
  KeySet& keys = attached[term->lease];
  if (add) {
    keys.insert(item);
  } else {
    keys.erase(item);
    if (keys.empty()) attached.erase(term->lease);
  }
}

bool TermsSpace::free_some() {
  for (size_t i = 0; i < kAtOnce && !attached.empty(); ++i) {
    KeySet& keys = attached.begin()->second;
    keys.erase(keys.begin());
    if (keys.empty()) attached.erase(attached.begin());
  }
  return due.free_some() || !attached.empty();
}

}  // namespace kvd
