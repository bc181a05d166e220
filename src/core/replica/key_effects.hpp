// What makes effects of clients' keys: a condition on one key, what a write leaves of it, and a draft of what several
// operations leave of several keys, one effect for each. Pure.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/replica/evaluation.hpp"

namespace kvd {

// In all of these `now` is the key as it is; null: there is none.
bool tags_hold(const Condition& condition, const Record* now);
inline bool holds(const Condition& condition, const Record* now) {
  return (!condition.if_match && !condition.if_none_match) || tags_hold(condition, now);
}
inline ConditionFailed condition_failed(const Record* now) {
  return ConditionFailed{now != nullptr ? std::optional(now->modified()) : std::nullopt};
}
// What a write at `next` makes of a key; `value` is a std::string_view or Bytes.
Record written(std::string_view key, const auto& value, const Record* now, Revision next) {
  if (now == nullptr) return Record(key, value, {next, next, 1});
  return Record(key, value, {now->created(), next, now->version() + 1});
}
inline Record deleted(const Record& now, Revision next, bool expired = false) {
  return Record::deletion(now.key(), {now.created(), next, 0}, expired);
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

// Several keys, operation by operation: each sees what those before it did. The view outlives it.
class KeyDraft {
 public:
  explicit KeyDraft(const WriteView& view) : view_(view) {}

  bool present(const std::string& key) { return state_of(key).now != Now::kAbsent; }
  // Empty where there is none. Valid until the key's next operation.
  std::string_view value(const std::string& key);
  // The same, to be kept, with the revision of what wrote it; 0: this draft did. The key is there.
  OpFound found(const std::string& key);

  void put(const std::string& key, Bytes value, const Term& term);
  void append(const std::string& key, std::string_view bytes);
  void remove(const std::string& key);
  void touch(const std::string& key, const Term& term);  // it is there

  uint64_t bytes() const { return bytes_; }  // of the effects: keys and values
  uint64_t copied() const {
    return copied_;
  }                                     // of values that were appended to, also of what was deleted since
  std::vector<Record> effects() const;  // in the order of their keys, each with what becomes of its term

 private:
  enum class Now : uint8_t {
    kBefore,  // as it was
    kAbsent,
    kBytes,  // it was put
    kText,   // ... and appended to
  };
  struct State {
    const Record* before = nullptr;
    Now now = Now::kAbsent;
    bool anew = false;  // it was deleted, or not there, before it was written
    Term term = {Term::Kind::kKeep, 0};
    Bytes bytes;
    std::string text;
  };

  State& state_of(const std::string& key);
  static std::string_view value_of(const State& state);
  static uint64_t bytes_of(const std::string& key, const State& state);
  void change(const std::string& key, State& state, Now now);

  const WriteView& view_;
  std::map<std::string, State> states_;
  uint64_t bytes_ = 0;
  uint64_t copied_ = 0;
};

}  // namespace kvd
