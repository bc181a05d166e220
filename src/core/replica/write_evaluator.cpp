// See write_evaluator.hpp.
#include "core/replica/write_evaluator.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <variant>

#include "base/check.hpp"
#include "core/mutation.hpp"
#include "core/queues/queue_views.hpp"
#include "core/replica/spaces.hpp"
#include "core/replica/table.hpp"

namespace kvd {
namespace {

// Lets the space whose own the operation is say what it leads to.
template <size_t I = 0, class Op>
Evaluation evaluate_in_its_space(Op& operation, const WriteView& view) {
  if constexpr (I == kSpaces) {
    CHECK(!"only what writes into a space is evaluated");
  } else if constexpr (Takes<std::tuple_element_t<I, Spaces>, Op>) {
    return std::tuple_element_t<I, Spaces>::effects_of(operation, view);
  } else {
    return evaluate_in_its_space<I + 1>(operation, view);
  }
}

bool foresees() { return !mutated(Mutation::kGrantOfCommitted); }

}  // namespace

WriteEvaluator::WriteEvaluator(const Log& log, Store& store, Revision committed) : log_(log), store_(store) {
  store_.foresee(foresees());
  for (uint64_t r = committed.value + 1; r <= log.last().revision.value; ++r)
    note_appended(*log.at(Revision(r)));
}

// What was foreseen and is not committed is taken back from the views: first everything that is not so, then the
// queues, then what is.
WriteEvaluator::~WriteEvaluator() {
  if (foresees() && !mutated(Mutation::kForesightKept)) {
    std::set<std::string> messages;
    for (const Space space : {Space::kMessages, Space::kDeliveries})
      tail_.effects(space).each([&](const Record& effect) { messages.emplace(effect.key()); });
    std::set<std::string> queues;
    tail_.effects(Space::kQueues).each([&](const Record& effect) { queues.emplace(effect.key()); });
    QueueViews& views = store_.queues();
    for (const std::string& key : messages)
      views.remove(key, latest(key, Space::kMessages), latest(key, Space::kDeliveries));
    for (const std::string& key : queues) {
      if (const Record* queue = latest(key, Space::kQueues)) views.remove_queue(*queue);
      if (const Record* queue = store_.find(key, Space::kQueues)) views.add_queue(*queue);
    }
    for (const std::string& key : messages)
      views.add(key, store_.find(key, Space::kMessages), store_.find(key, Space::kDeliveries));
  }
  store_.foresee(false);
}

const Record* WriteEvaluator::latest(std::string_view key, Space space) const {
  return view(Room()).latest(key, space);
}

void WriteEvaluator::note_appended(const Entry& entry) {
  tail_.note(entry);
  const auto find = [this](std::string_view key, Space space) { return latest(key, space); };
  for (const Record& effect : entry.effects) {
    const bool viewed = of_queues(effect.space()) && foresees();
    if (viewed) view_queues(store_.queues(), find(effect.key(), effect.space()), effect, find);
    if (effect.space() == Space::kAccess) access_.reset();
    tail_.note(effect);
  }
}

const AccessTable& WriteEvaluator::access() {
  if (!access_) access_ = std::make_shared<const AccessTable>(access_records(store_, &tail_));
  return *access_;
}

std::optional<Evaluation> WriteEvaluator::recall(const WriteCall& call, uint64_t clock) const {
  const bool again = std::holds_alternative<AddNumber>(call.operation) && mutated(Mutation::kAddReplayed);
  return again ? std::nullopt : RequestsSpace::recall(call, view(Room{.clock = clock}));
}

// A refused condition, a delete of what is not there, a sum with what is no number, a token that is too small: nothing
// to replicate. But with an idempotency key the answer is remembered like any other: an earlier attempt that is still
// under way somewhere must not be done after this answer. And so is a larger token (fences.hpp), unless the write has
// failed: who has been answered counts on it that the holder before is shut out.
Evaluation WriteEvaluator::evaluate(WriteCall& call, const Room& room) const {
  const WriteView view = this->view(room);
  const uint64_t current = call.fence ? FencesSpace::latest_token(call.fence->resource, view) : 0;
  const bool fenced_off = call.fence && call.fence->token < current;
  Evaluation evaluation =
      fenced_off ? Evaluation(Change{{}, Box(Fenced{*call.fence, current})})
                 : std::visit([&](auto& operation) { return evaluate_in_its_space(operation, view); },
                              call.operation);
  // What cannot be done with what is there is an answer about the newest state, too.
  if (auto* failed = std::get_if<Failed>(&evaluation)) evaluation = Change{{}, Answer(std::move(*failed))};
  auto* change = std::get_if<Change>(&evaluation);
  if (change == nullptr) return evaluation;
  size_t results = call.idempotency_key.empty() ? 0 : RequestsSpace::results_bytes(change->answer);
  if (results > limits::kRememberedBytes) {
    *change = Change{{}, RequestsSpace::too_long(results)};
    results = 0;
  }
  const bool failed = std::holds_alternative<Failed>(change->answer);
  const bool forgets_token = failed || (change->effects.empty() && mutated(Mutation::kFenceOfChanges));
  if (!fenced_off && !forgets_token) FencesSpace::add_effects(call, view, *change);
  if (change->effects.empty() && call.idempotency_key.empty()) {
    evaluation = Unchanged{std::move(change->answer), Revision(0)};
  } else if (auto full = change->makes_room ? std::nullopt : no_room_for(change->effects, results, room)) {
    evaluation = std::move(*full);
  } else {
    RequestsSpace::add_effects(call, view, *change);
  }
  return evaluation;
}

// Deletes and smaller values always go: how else would there be room again? `results` are remembered beside them.
std::optional<Failed> WriteEvaluator::no_room_for(const std::vector<Record>& effects, size_t results,
                                                  const Room& room) const {
  auto growth = static_cast<int64_t>(results);
  const auto is_deletion = [](const Record& effect) { return !effect.has_value(); };
  const bool only_reads = effects.empty() && results > 0;
  if (!only_reads && std::all_of(effects.begin(), effects.end(), is_deletion)) return std::nullopt;
  for (const Record& effect : effects) {
    const Record* now = store_.find(effect.key(), effect.space());
    if (effect.has_value()) growth += static_cast<int64_t>(item_bytes(effect));
    if (now != nullptr) growth -= static_cast<int64_t>(item_bytes(*now));
  }
  const bool grants = std::any_of(effects.begin(), effects.end(), [](const Record& effect) {
    return effect.space() == Space::kLeases && effect.has_value() && effect.created() == effect.modified();
  });
  if (grants && store_.size(Space::kLeases) >= limits::kLeases) {
    return Failed{ErrorCode::kMemoryFull, Outcome::kNotApplied,
                  "there are " + std::to_string(limits::kLeases) + " leases already"};
  }
  if (growth <= 0) return std::nullopt;
  if (room.disk_low) {
    return Failed{ErrorCode::kDiskFull, Outcome::kNotApplied,
                  "little space is left on the leader's disk: only deletes and smaller values are taken"};
  }
  if (store_.bytes() + tail_.bytes() + static_cast<uint64_t>(growth) > room.memory_max) {
    return Failed{ErrorCode::kMemoryFull, Outcome::kNotApplied,
                  "the store has reached the leader's --max-memory, " + std::to_string(room.memory_max) +
                      " bytes: only deletes and smaller values are taken"};
  }
  return std::nullopt;
}

}  // namespace kvd
