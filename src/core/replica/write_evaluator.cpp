// See write_evaluator.hpp.
#include "core/replica/write_evaluator.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "base/check.hpp"
#include "core/mutation.hpp"
#include "core/replica/fences.hpp"
#include "core/replica/requests.hpp"
#include "core/replica/table.hpp"
#include "msg/limits.hpp"
#include "msg/wire.hpp"

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
WriteEvaluator::Evaluation no_effect(auto answer) {
  WriteEvaluator::Evaluation evaluation;
  std::get_if<WriteEvaluator::Change>(&evaluation)->answer = std::move(answer);
  return evaluation;
}

WriteEvaluator::Evaluation one_effect(Record effect, auto answer) {
  WriteEvaluator::Evaluation evaluation = no_effect(std::move(answer));
  std::get_if<WriteEvaluator::Change>(&evaluation)->effects.push_back(std::move(effect));
  return evaluation;
}

void append(std::vector<Record>& effects, std::vector<Record> more) {
  std::move(more.begin(), more.end(), std::back_inserter(effects));
}

Failed refused(ErrorCode code, std::string detail, Outcome outcome = Outcome::kNotApplied) {
  return Failed{code, outcome, std::move(detail)};
}

}  // namespace

WriteEvaluator::Call::Call(Operation& what, const std::string& key, const OptionalBox<Fence>& token)
    : operation(what), idempotency_key(key), fence(token) {
  if (!key.empty()) digest = operation_digest(operation, fence);
}

WriteEvaluator::WriteEvaluator(const Log& log, const Store& store, Revision committed)
    : log_(log), store_(store) {
  for (uint64_t r = committed.value + 1; r <= log.last().revision.value; ++r)
    tail_.note(*log.at(Revision(r)));
}

// ---- the newest state ----

// A key as the next write sees it. Null: there is none.
const Record* WriteEvaluator::latest(std::string_view key) const {
  if (const Record* in_tail = tail_.find(key, Space::kData)) return in_tail->has_value() ? in_tail : nullptr;
  return store_.find(key);
}

// The largest token that a write brought for this resource; 0: none did.
uint64_t WriteEvaluator::latest_token(std::string_view resource) const {
  const Record* in_tail = tail_.find(resource, Space::kFences);
  if (in_tail != nullptr && !mutated(Mutation::kFenceOfCommitted)) return token_of(in_tail);
  return token_of(store_.find(resource, Space::kFences));
}

// No key, once all that the log holds is committed.
bool WriteEvaluator::empty_at_tail() const {
  const Index& tail = tail_.effects(Space::kData);
  bool made = false;
  tail.each([&](const Record& record) { made |= record.has_value(); });
  const Table& all = store_.items();
  return !made && std::all_of(all.begin(), all.end(),
                              [&](const Record& item) { return tail.find(item.key()) != nullptr; });
}

// ---- retries ----

std::optional<WriteEvaluator::Evaluation> WriteEvaluator::recall(const Call& call) const {
  if (call.idempotency_key.empty()) return std::nullopt;
  std::optional<RememberedAnswer> known = read_remembered(tail_.find(call.idempotency_key, Space::kRequests));
  if (!known) known = read_remembered(store_.find(call.idempotency_key, Space::kRequests));
  if (known && known->digest != call.digest)
    return refused(ErrorCode::kKeyReused, "another request has been made with this idempotency key");
  if (known) return Unchanged{std::move(known->answer), known->revision};
  if (is_forgotten(store_, call.idempotency_key)) {
    return refused(
        ErrorCode::kKeyEvicted,
        "a write with this idempotency key was done long ago and its answer is forgotten: not done again",
        Outcome::kUnknown);
  }
  return std::nullopt;
}

// ---- what each operation does to the clients' keys; without an effect it changes none ----

WriteEvaluator::Evaluation WriteEvaluator::propose(PutKey& put) const {
  const Record* now = latest(put.key);
  if (!holds(put.condition, now)) return no_effect(condition_failed(now));
  return one_effect(written(put.key, put.value, now, next_revision()), KeyWritten{now == nullptr});
}

WriteEvaluator::Evaluation WriteEvaluator::propose(DeleteKey& remove) const {
  const Record* now = latest(remove.key);
  if (!holds(remove.condition, now)) return no_effect(condition_failed(now));
  if (now == nullptr) return no_effect(KeyAbsent{});
  return one_effect(deleted(*now, next_revision()), KeyDeleted{});
}

WriteEvaluator::Evaluation WriteEvaluator::propose(DeletePrefix& remove) const {
  std::vector<const Record*> keys;
  size_t bytes = 0;
  auto add = [&](const Record& record) {
    keys.push_back(&record);
    bytes += record.key().size() + 32;
  };
  auto too_many = [&] { return keys.size() > limits::kDeletedKeys || bytes > limits::kWriteBytes; };
  auto enough = [&] { return remove.limit != 0 ? keys.size() >= remove.limit : too_many(); };
  const Index& tail = tail_.effects(Space::kData);
  const Table& all = store_.items();
  for (auto it = all.lower_bound(remove.prefix);
       it != all.end() && it->key().starts_with(remove.prefix) && !enough(); ++it) {
    if (tail.find(it->key()) == nullptr) add(*it);
  }
  const auto from_store = static_cast<std::ptrdiff_t>(keys.size());
  tail.each([&](const Record& record) {
    if (record.has_value() && record.key().starts_with(remove.prefix)) add(record);
  });
  if (remove.limit == 0 && too_many()) {
    return refused(ErrorCode::kTooLarge,
                   "these are too many keys to be deleted in one write: delete them in pages, with limit=" +
                       std::to_string(limits::kListItemsMax) + ", again and again until \"more\" is false");
  }
  const auto before = [](const Record* a, const Record* b) { return a->key() < b->key(); };
  std::sort(keys.begin() + from_store, keys.end(), before);
  std::inplace_merge(keys.begin(), keys.begin() + from_store, keys.end(), before);
  if (remove.limit != 0) keys.resize(std::min<size_t>(keys.size(), remove.limit));
  Change change{{}, PrefixDeleted{keys.size()}};
  change.effects.reserve(keys.size());
  for (const Record* now : keys) change.effects.push_back(deleted(*now, next_revision()));
  return change;
}

// One effect per key, the last one: within a batch only the end result is ever visible.
WriteEvaluator::Evaluation WriteEvaluator::propose(WriteBatch& batch) const {
  if (batch.if_empty && !empty_at_tail()) {
    return refused(
        ErrorCode::kNotEmpty,
        "the cluster holds keys: a snapshot is restored into an empty one only, or, with replace=true, in "
        "their place");
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
    if (fresh) state.before = latest(op.key);
    const bool present = fresh ? state.before != nullptr : state.value.has_value();
    state.anew |= op.value && !present;
    state.value = std::move(op.value);
  }
  Change change{{}, BatchWritten{}};
  for (const auto& [key, state] : states) {
    if (state.value) {
      change.effects.push_back(
          written(key, *state.value, state.anew ? nullptr : state.before, next_revision()));
    } else if (state.before != nullptr) {
      change.effects.push_back(deleted(*state.before, next_revision()));
    }
  }
  return change;
}

// ---- all of it ----

struct WriteEvaluator::Proposer {
  const WriteEvaluator& evaluator;

  Evaluation operator()(PutKey& put) { return evaluator.propose(put); }
  Evaluation operator()(DeleteKey& remove) { return evaluator.propose(remove); }
  Evaluation operator()(DeletePrefix& remove) { return evaluator.propose(remove); }
  Evaluation operator()(WriteBatch& batch) { return evaluator.propose(batch); }
  Evaluation operator()(ChangeSettings&) { CHECK(!"settings are no data"); }
  Evaluation operator()(MoveLeader&) { CHECK(!"a hand-over is no data"); }
  Evaluation operator()(ReadKey&) { CHECK(!"a read was proposed"); }
  Evaluation operator()(ListKeys&) { CHECK(!"a read was proposed"); }
  Evaluation operator()(QueryStatus&) { CHECK(!"a query was proposed"); }
  Evaluation operator()(ReadSnapshot&) { CHECK(!"a read was proposed"); }
  Evaluation operator()(DecideLineage&) { CHECK(!"a decision is no data"); }
};

WriteEvaluator::Evaluation WriteEvaluator::evaluate(Call& call, const Room& room) const {
  const uint64_t current = call.fence ? latest_token(call.fence->resource) : 0;
  const bool fenced_off = call.fence && call.fence->token < current;
  Evaluation evaluation =
      fenced_off ? no_effect(Box(Fenced{*call.fence, current})) : std::visit(Proposer{*this}, call.operation);
  finish(evaluation, fenced_off ? std::vector<Record>{} : larger_tokens(call), call, room);
  return evaluation;
}

// What of its tokens is to be remembered; several of a restore only.
std::vector<Record> WriteEvaluator::larger_tokens(const Call& call) const {
  std::map<std::string_view, uint64_t> tokens;
  const auto bring = [&](const Fence& fence) {
    uint64_t& token = tokens[fence.resource];
    token = std::max(token, fence.token);
  };
  if (call.fence) bring(*call.fence);
  if (const auto* batch = std::get_if<WriteBatch>(&call.operation))
    std::for_each(batch->fences.begin(), batch->fences.end(), bring);
  std::vector<Record> effects;
  for (const auto& [resource, token] : tokens) {
    if (token > latest_token(resource)) effects.push_back(remember_token(resource, token, next_revision()));
  }
  return effects;
}

// A refused condition, a delete of what is not there, a token that is too small: nothing to replicate. But with an
// idempotency key the answer is remembered like any other: an earlier attempt that is still under way somewhere must
// not be done after this answer. And so is a larger token (fences.hpp): who has been answered counts on it that the
// holder before is shut out.
void WriteEvaluator::finish(Evaluation& evaluation, std::vector<Record> tokens, const Call& call,
                            const Room& room) const {
  auto* change = std::get_if<Change>(&evaluation);
  if (change == nullptr) return;
  const bool no_token = tokens.empty() || mutated(Mutation::kFenceOfChanges);
  if (change->effects.empty() && call.idempotency_key.empty() && no_token) {
    evaluation = Unchanged{std::move(change->answer), Revision(0)};
    return;
  }
  append(change->effects, std::move(tokens));
  if (auto full = no_room_for(change->effects, room)) {
    evaluation = std::move(*full);
  } else if (!call.idempotency_key.empty()) {
    change->effects.push_back(remember(call.idempotency_key, call.digest, change->answer, next_revision()));
    append(change->effects, forget_oldest(store_, tail_, next_revision()));
  }
}

// Deletes and smaller values always go: how else would there be room again?
std::optional<Failed> WriteEvaluator::no_room_for(const std::vector<Record>& effects,
                                                  const Room& room) const {
  int64_t growth = 0;
  const auto is_deletion = [](const Record& effect) { return !effect.has_value(); };
  if (std::all_of(effects.begin(), effects.end(), is_deletion)) return std::nullopt;
  for (const Record& effect : effects) {
    const Record* now = store_.find(effect.key(), effect.space());
    if (effect.has_value()) growth += static_cast<int64_t>(item_bytes(effect));
    if (now != nullptr) growth -= static_cast<int64_t>(item_bytes(*now));
  }
  if (growth <= 0) return std::nullopt;
  if (room.disk_low) {
    return refused(ErrorCode::kDiskFull,
                   "little space is left on the leader's disk: only deletes and smaller values are taken");
  }
  if (store_.bytes() + tail_.bytes() + static_cast<uint64_t>(growth) > room.memory_max) {
    return refused(ErrorCode::kMemoryFull, "the store has reached the leader's --max-memory, " +
                                               std::to_string(room.memory_max) +
                                               " bytes: only deletes and smaller values are taken");
  }
  return std::nullopt;
}

}  // namespace kvd
