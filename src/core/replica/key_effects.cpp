// See key_effects.hpp.
#include "core/replica/key_effects.hpp"

#include <algorithm>

#include "core/replica/terms.hpp"

namespace kvd {
namespace {

bool matches(const EntityTags& tags, bool present, Revision modified) {
  if (!present) return false;
  return tags.any || std::count(tags.revisions.begin(), tags.revisions.end(), modified) > 0;
}

}  // namespace

bool tags_hold(const Condition& condition, const Record* now) {
  const bool present = now != nullptr;
  const Revision modified = present ? now->modified() : Revision(0);
  if (condition.if_match && !matches(*condition.if_match, present, modified)) return false;
  if (condition.if_none_match && matches(*condition.if_none_match, present, modified)) return false;
  return true;
}

KeyDraft::State& KeyDraft::state_of(const std::string& key) {
  const auto [it, fresh] = states_.try_emplace(key);
  State& state = it->second;
  if (fresh) {
    state.before = view_.latest(key, Space::kData);
    if (state.before != nullptr) state.now = Now::kBefore;
  }
  return state;
}

std::string_view KeyDraft::value_of(const State& state) {
  switch (state.now) {
    case Now::kBefore:
      return state.before->value();
    case Now::kAbsent:
      break;
    case Now::kBytes:
      return state.bytes.view();
    case Now::kText:
      return state.text;
  }
  return {};
}

// A key that is as it was has no effect, and neither has one that is not there and was not.
uint64_t KeyDraft::bytes_of(const std::string& key, const State& state) {
  const bool same = state.now == Now::kBefore || (state.now == Now::kAbsent && state.before == nullptr);
  return same ? 0 : key.size() + value_of(state).size();
}

std::string_view KeyDraft::value(const std::string& key) { return value_of(state_of(key)); }

OpFound KeyDraft::found(const std::string& key) {
  const State& state = state_of(key);
  if (state.now == Now::kBefore) return {state.before->bytes(), state.before->modified()};
  return {state.now == Now::kBytes ? state.bytes : Bytes(state.text), Revision(0)};
}

void KeyDraft::change(const std::string& key, State& state, Now now) {
  if (now != Now::kAbsent) state.anew |= state.now == Now::kAbsent;
  state.now = now;
  bytes_ += bytes_of(key, state);
}

void KeyDraft::put(const std::string& key, Bytes value, const Term& term) {
  State& state = state_of(key);
  if (term.kind != Term::Kind::kKeep) state.term = term;
  bytes_ -= bytes_of(key, state);
  state.bytes = std::move(value);
  std::string().swap(state.text);
  change(key, state, Now::kBytes);
}

void KeyDraft::append(const std::string& key, std::string_view bytes) {
  State& state = state_of(key);
  bytes_ -= bytes_of(key, state);
  if (state.now != Now::kText) {
    state.text = value_of(state);
    copied_ += state.text.size();
  }
  state.text += bytes;
  change(key, state, Now::kText);
}

void KeyDraft::remove(const std::string& key) {
  State& state = state_of(key);
  bytes_ -= bytes_of(key, state);
  state.bytes = Bytes();
  std::string().swap(state.text);
  state.term = Term();
  change(key, state, Now::kAbsent);
}

void KeyDraft::touch(const std::string& key, const Term& term) { state_of(key).term = term; }

std::vector<Record> KeyDraft::effects() const {
  std::vector<Record> effects;
  for (const auto& [key, state] : states_) {
    const Record* now = state.anew ? nullptr : state.before;
    if (state.now == Now::kBytes) {
      effects.push_back(written(key, state.bytes, now, view_.next));
    } else if (state.now == Now::kText) {
      effects.push_back(written(key, state.text, now, view_.next));
    } else if (state.now == Now::kAbsent && state.before != nullptr) {
      effects.push_back(deleted(*state.before, view_.next));
    }
    add_term_effects(key, state.term, view_, effects);
  }
  return effects;
}

}  // namespace kvd
