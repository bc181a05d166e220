// For tests of what writes lead to: a leader's log and store without the leader. Whatever is evaluated meets what was
// evaluated before, committed or not.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/replica/write_evaluator.hpp"

namespace kvd::evaluator_test {

inline PutKey put(const std::string& key, const std::string& value, Condition condition = {}) {
  return PutKey{key, Bytes(value), std::move(condition)};
}

// What is evaluated is appended, and committed when the test says so.
struct Leader {
  // Evaluates what is not a retry, and appends what it changes.
  Evaluation write(Operation operation, const std::string& key = "", OptionalBox<Fence> fence = {}) {
    WriteCall call(operation, key, fence);
    auto known = evaluator->recall(call, room.clock);
    auto evaluation = known ? std::move(*known) : evaluator->evaluate(call, room);
    if (const auto* change = std::get_if<Change>(&evaluation)) append(change->effects);
    return evaluation;
  }
  // What has come to its end, as the log's next entry. Empty: nothing, and no entry.
  std::vector<Record> expire() {
    std::vector<Record> ended = evaluator->expire(room);
    if (!ended.empty()) append(ended);
    return ended;
  }
  void append(std::vector<Record> changes) {
    auto entry =
        std::make_shared<Entry>(Entry{Epoch(1), log.last().revision.next(), std::move(changes), room.clock});
    evaluator->note_appended(*entry);
    log.append(std::move(entry));
  }
  void commit() {
    while (committed < log.last().revision) {
      committed = committed.next();
      evaluator->note_committed(*log.at(committed));
      store.apply(*log.at(committed));
    }
  }
  void take_over() { evaluator.emplace(log, store, committed); }

  Log log;
  Store store;
  Revision committed;
  WriteEvaluator::Room room{1'000'000, false};
  std::optional<WriteEvaluator> evaluator{std::in_place, log, store, committed};
};

// What was answered, of a write that changes something or not.
template <class T>
std::optional<T> changed(const Evaluation& evaluation) {
  const auto* change = std::get_if<Change>(&evaluation);
  const T* answer = change != nullptr ? std::get_if<T>(&change->answer) : nullptr;
  return answer != nullptr ? std::optional(*answer) : std::nullopt;
}
template <class T>
std::optional<T> unchanged(const Evaluation& evaluation) {
  const auto* same = std::get_if<Unchanged>(&evaluation);
  const T* answer = same != nullptr ? std::get_if<T>(&same->answer) : nullptr;
  return answer != nullptr ? std::optional(*answer) : std::nullopt;
}
// At once, or as an answer about what is there. Null: it is not refused.
inline const Failed* failure_in(const Evaluation& evaluation) {
  if (const auto* change = std::get_if<Change>(&evaluation)) return std::get_if<Failed>(&change->answer);
  if (const auto* same = std::get_if<Unchanged>(&evaluation)) return std::get_if<Failed>(&same->answer);
  return std::get_if<Failed>(&evaluation);
}
inline std::optional<ErrorCode> refused(const Evaluation& evaluation) {
  const Failed* failed = failure_in(evaluation);
  return failed != nullptr ? std::optional(failed->code) : std::nullopt;
}

inline const std::vector<Record>& effects(const Evaluation& evaluation) {
  return std::get<Change>(evaluation).effects;
}

}  // namespace kvd::evaluator_test
