// See data_space.hpp.
#include "core/replica/data_space.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/replica/store.hpp"
#include "core/replica/table.hpp"
#include "core/replica/tail.hpp"
#include "msg/limits.hpp"

namespace kvd {
namespace {

bool matches(const EntityTags& tags, bool present, Revision modified) {
  if (!present) return false;
  return tags.any || std::count(tags.revisions.begin(), tags.revisions.end(), modified) > 0;
}

bool holds(const Condition& condition, const Record* now) {
  const bool present = now != nullptr;
  const Revision modified = present ? now->modified() : Revision(0);
  if (condition.if_match && !matches(*condition.if_match, present, modified)) return false;
  if (condition.if_none_match && matches(*condition.if_none_match, present, modified)) return false;
  return true;
}

ConditionFailed condition_failed(const Record* now) {
  return ConditionFailed{now != nullptr ? std::optional(now->modified()) : std::nullopt};
}

// What a write at `next` makes of a key that is there until then, or (null) not.
Record written(std::string_view key, const Bytes& value, const Record* now, Revision next) {
  if (now == nullptr) return Record(key, value, {next, next, 1});
  return Record(key, value, {now->created(), next, now->version() + 1});
}

Record deleted(const Record& now, Revision next) {
  return Record::deletion(now.key(), {now.created(), next, 0});
}

// What changes no key.
Evaluation no_effect(auto answer) {
  Evaluation evaluation;
  std::get_if<Change>(&evaluation)->answer = std::move(answer);
  return evaluation;
}

Evaluation one_effect(Record effect, auto answer) {
  Evaluation evaluation = no_effect(std::move(answer));
  std::get_if<Change>(&evaluation)->effects.push_back(std::move(effect));
  return evaluation;
}

// No key, once all that the log holds is committed.
bool empty_at_tail(const WriteView& view) {
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
  return one_effect(written(put.key, put.value, now, view.next), KeyWritten{now == nullptr});
}

Evaluation DataSpace::effects_of(DeleteKey& remove, const WriteView& view) {
  const Record* now = view.latest(remove.key, kSpace);
  if (!holds(remove.condition, now)) return no_effect(condition_failed(now));
  if (now == nullptr) return no_effect(KeyAbsent{});
  return one_effect(deleted(*now, view.next), KeyDeleted{});
}

Evaluation DataSpace::effects_of(DeletePrefix& remove, const WriteView& view) {
  std::vector<const Record*> keys;
  size_t bytes = 0;
  auto add = [&](const Record& record) {
    keys.push_back(&record);
    bytes += record.key().size() + 32;
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
  for (const Record* now : keys) change.effects.push_back(deleted(*now, view.next));
  return change;
}

// One effect per key, the last one: within a batch only the end result is ever visible.
Evaluation DataSpace::effects_of(WriteBatch& batch, const WriteView& view) {
  if (batch.if_empty && !empty_at_tail(view)) {
    return Failed{
        ErrorCode::kNotEmpty, Outcome::kNotApplied,
        "the cluster holds keys: a snapshot is restored into an empty one only, or, with replace=true, in "
        "their place"};
  }
  struct State {
    const Record* before = nullptr;
    bool anew = false;           // it was deleted, or not there, before it was written
    std::optional<Bytes> value;  // none: not there
  };
  std::map<std::string, State> states;
  for (BatchOp& op : batch.ops) {
    auto [it, fresh] = states.try_emplace(op.key);
    State& state = it->second;
    if (fresh) state.before = view.latest(op.key, kSpace);
    const bool present = fresh ? state.before != nullptr : state.value.has_value();
    state.anew |= op.value && !present;
    state.value = std::move(op.value);
  }
  Change change{{}, BatchWritten{}};
  for (const auto& [key, state] : states) {
    if (state.value) {
      change.effects.push_back(written(key, *state.value, state.anew ? nullptr : state.before, view.next));
    } else if (state.before != nullptr) {
      change.effects.push_back(deleted(*state.before, view.next));
    }
  }
  return change;
}

}  // namespace kvd
