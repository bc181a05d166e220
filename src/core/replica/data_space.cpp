// See data_space.hpp.
#include "core/replica/data_space.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "core/mutation.hpp"
#include "core/queues/queue_views.hpp"
#include "core/replica/key_effects.hpp"
#include "core/replica/store.hpp"
#include "core/replica/table.hpp"
#include "core/replica/tail.hpp"
#include "core/replica/terms.hpp"
#include "core/replica/txn.hpp"
#include "msg/limits.hpp"

namespace kvd {
namespace {

// No key and no queue, once all that the log holds is committed.
bool empty_at_tail(const WriteView& view) {
  if (view.store.queues().sources() != 0) return false;
  const Index& tail = view.tail.effects(Space::kData);
  bool made = false;
  tail.each([&](const Record& record) { made |= record.has_value(); });
  const Table& all = view.store.items();
  return !made && std::all_of(all.begin(), all.end(),
                              [&](const Record& item) { return tail.find(item.key()) != nullptr; });
}

}  // namespace

Evaluation DataSpace::effects_of(PutKey& put, const WriteView& view) {
  const Record* now = view.latest(put.key, kSpace);
  if (!holds(put.condition, now)) return no_effect(condition_failed(now));
  if (auto failed = refused_term(put.key, put.term, view)) return std::move(*failed);
  Evaluation evaluation = one_effect(written(put.key, put.value, now, view.next), KeyWritten{now == nullptr});
  const bool kept = put.term.kind == Term::Kind::kNone && mutated(Mutation::kTermKept);
  if (!kept) add_term_effects(put.key, put.term, view, std::get_if<Change>(&evaluation)->effects);
  return evaluation;
}

Evaluation DataSpace::effects_of(DeleteKey& remove, const WriteView& view) {
  const Record* now = view.latest(remove.key, kSpace);
  if (!holds(remove.condition, now)) return no_effect(condition_failed(now));
  if (now == nullptr) return no_effect(KeyAbsent{});
  Evaluation evaluation = one_effect(deleted(*now, view.next), KeyDeleted{});
  add_term_effects(remove.key, Term(), view, std::get_if<Change>(&evaluation)->effects);
  return evaluation;
}

Evaluation DataSpace::effects_of(DeletePrefix& remove, const WriteView& view) {
  std::vector<const Record*> keys;
  size_t bytes = 0;
  auto add = [&](const Record& record) {
    keys.push_back(&record);
    const size_t effects = view.latest(record.key(), Space::kTerms) != nullptr ? 2 : 1;
    bytes += effects * (record.key().size() + 32);
  };
  auto too_many = [&] { return keys.size() > limits::kDeletedKeys || bytes > limits::kWriteBytes; };
  auto enough = [&] { return remove.limit != 0 ? keys.size() >= remove.limit : too_many(); };
  const Index& tail = view.tail.effects(Space::kData);
  const Table& all = view.store.items();
  for (auto it = all.lower_bound(remove.prefix);
       it != all.end() && it->key().starts_with(remove.prefix) && !enough(); ++it) {
    if (tail.find(it->key()) == nullptr) add(*it);
  }
  const auto from_store = static_cast<std::ptrdiff_t>(keys.size());
  tail.each([&](const Record& record) {
    if (record.has_value() && record.key().starts_with(remove.prefix)) add(record);
  });
  if (remove.limit == 0 && too_many()) {
    return Failed{ErrorCode::kTooLarge, Outcome::kNotApplied,
                  "these are too many keys to be deleted in one write: delete them in pages, with limit=" +
                      std::to_string(limits::kListItemsMax) + ", again and again until \"more\" is false"};
  }
  const auto before = [](const Record* a, const Record* b) { return a->key() < b->key(); };
  std::sort(keys.begin() + from_store, keys.end(), before);
  std::inplace_merge(keys.begin(), keys.begin() + from_store, keys.end(), before);
  if (remove.limit != 0) keys.resize(std::min<size_t>(keys.size(), remove.limit));
  Change change{{}, PrefixDeleted{keys.size()}};
  change.effects.reserve(keys.size());
  for (const Record* now : keys) {
    change.effects.push_back(deleted(*now, view.next));
    add_term_effects(now->key(), Term(), view, change.effects);
  }
  return change;
}

Evaluation DataSpace::effects_of(AddNumber& add, const WriteView& view) { return sum_of(add, view); }

Evaluation DataSpace::effects_of(AppendBytes& append, const WriteView& view) {
  return appended(append, view);
}

Evaluation DataSpace::effects_of(Box<Transaction>& transaction, const WriteView& view) {
  return done_or_refused(*transaction, view);
}

// One effect per key, the last one: within a batch only the end result is ever visible.
Evaluation DataSpace::effects_of(WriteBatch& batch, const WriteView& view) {
  if (batch.if_empty && !empty_at_tail(view)) {
    return Failed{ErrorCode::kNotEmpty, Outcome::kNotApplied,
                  "the cluster holds keys or queues: a snapshot is restored into an empty one only, or, with "
                  "replace=true, in their place"};
  }
  KeyDraft draft(view);
  for (BatchOp& op : batch.ops) {
    if (op.value) {
      if (auto failed = refused_term(op.key, op.term, view)) return std::move(*failed);
      draft.put(op.key, std::move(*op.value), op.term);
    } else {
      draft.remove(op.key);
    }
  }
  return Change{draft.effects(), BatchWritten{}};
}

}  // namespace kvd
