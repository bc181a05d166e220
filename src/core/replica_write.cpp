// The replica actor: a write's way into the log. Conditions are evaluated here, once, against the newest
// state of the leader's log, and what is replicated is the effect; see replica.hpp.
#include <algorithm>

#include "core/replica.hpp"

namespace kvd {
namespace {

bool matches(const EntityTags& tags, bool present, Revision modified) {
  if (!present) return false;
  return tags.any || std::count(tags.revisions.begin(), tags.revisions.end(), modified) > 0;
}

bool holds(const Condition& condition, bool present, Revision modified) {
  if (condition.if_match && !matches(*condition.if_match, present, modified)) return false;
  if (condition.if_none_match && matches(*condition.if_none_match, present, modified)) return false;
  return true;
}

size_t operation_bytes(const Operation& operation) {
  if (const auto* put = std::get_if<PutKey>(&operation)) return put->key.size() + put->value.size();
  size_t bytes = 0;
  if (const auto* batch = std::get_if<WriteBatch>(&operation)) {
    for (const BatchOp& op : batch->ops) bytes += op.key.size() + (op.value ? op.value->size() : 0);
  }
  return bytes;
}

}  // namespace

Replica::Latest Replica::latest(std::string_view key) const {
  if (auto it = leader_->tail.find(key); it != leader_->tail.end()) {
    const Tail& tail = it->second;
    return Latest{tail.present, tail.revision, tail.created, tail.version};
  }
  const Store::Value* value = store_.find(key);
  if (value == nullptr) return Latest{};
  return Latest{true, value->modified, value->created, value->version};
}

// Everything that can be refused is refused here, before the log: then "not applied" is certain (rule 12).
bool Replica::admit(const Propose& message) {
  auto no = [&](ErrorCode code, std::string detail) {
    refuse(message.token, code, Outcome::kNotApplied, std::move(detail));
    return false;
  };
  if (!leader_) return no(ErrorCode::kNoLeader, "this server does not lead");
  if (stopping_) return no(ErrorCode::kNoLeader, "the leader is shutting down");
  if (std::holds_alternative<ChangeSettings>(message.operation)) {
    if (leader_->settings.size() >= 64) return no(ErrorCode::kOverloaded, "too many settings changes wait");
    return true;
  }
  uint32_t confirmed = static_cast<uint32_t>(register_->in_sync.size());
  bool virgin = log_.last().revision == lineage_base(lineage_);
  if (virgin && confirmed < out_.config.expect) {
    return no(ErrorCode::kNotEnoughInSync,
              "a new cluster's first write waits for " + std::to_string(out_.config.expect) +
                  " servers in sync (--expect); now: " + std::to_string(confirmed));
  }
  uint32_t there = std::min(confirmed, responsive());
  if (there < register_->min_in_sync) {
    return no(ErrorCode::kNotEnoughInSync, "too few servers are in sync: " + std::to_string(there) +
                                               ", min_in_sync is " + std::to_string(register_->min_in_sync));
  }
  if (operation_bytes(message.operation) > limits::kWriteBytes) {
    return no(ErrorCode::kTooLarge,
              "one write holds at most " + std::to_string(limits::kWriteBytes) + " bytes");
  }
  if (leader_->reads.size() >= out_.config.tuning.client_requests) {
    return no(ErrorCode::kOverloaded, "too many requests wait for confirmation");
  }
  if (leader_->writes.size() >= out_.config.tuning.uncommitted_entries ||
      leader_->uncommitted_bytes >= limits::kUncommittedBytes) {
    return no(ErrorCode::kOverloaded, "too many writes wait for replication");
  }
  return true;
}

void Replica::on(Propose message) {
  if (!admit(message)) return;
  struct Proposer {
    Replica& replica;
    uint64_t token;
    void operator()(PutKey& put) { replica.propose(token, put); }
    void operator()(DeleteKey& remove) { replica.propose(token, remove); }
    void operator()(DeletePrefix& remove) { replica.propose(token, remove); }
    void operator()(WriteBatch& batch) { replica.propose(token, batch); }
    void operator()(ChangeSettings& settings) { replica.propose(token, settings); }
    void operator()(ReadKey&) { CHECK(!"a read was proposed"); }
    void operator()(ListKeys&) { CHECK(!"a read was proposed"); }
    void operator()(QueryStatus&) { CHECK(!"a query was proposed"); }
  };
  std::visit(Proposer{*this, message.token}, message.operation);
}

void Replica::write(uint64_t token, std::vector<Effect> effects, Answer answer) {
  auto entry = std::make_shared<Entry>();
  entry->epoch = epoch_;
  entry->revision = log_.last().revision.next();
  entry->effects = std::move(effects);
  for (Effect& effect : entry->effects) {
    if (effect.created == Revision(0)) effect.created = entry->revision;
    leader_->tail[effect.key] =
        Tail{entry->revision, effect.value.has_value(), effect.created, effect.version};
  }
  leader_->uncommitted_bytes += entry_bytes(*entry);
  leader_->writes.push_back(PendingWrite{entry->revision, token, std::move(answer)});
  // An idle follower has had nothing to acknowledge: the clock for its lag starts now.
  for (auto& [link, peer] : peers_) {
    if (peer.match == log_.last().revision) peer.progress = out_.now;
  }
  log_.append(std::move(entry));
}

// A refused condition, a delete of what is not there: nothing to replicate, but the answer speaks of the
// newest state. It is a linear read of the log's tail, and is only true once that is committed and this
// server confirmed as leader.
void Replica::unchanged(uint64_t token, Answer answer) {
  leader_->reads.push_back(PendingRead{token, 0, log_.last().revision, {}, std::move(answer)});
}

void Replica::propose(uint64_t token, PutKey& put) {
  Latest now = latest(put.key);
  if (!holds(put.condition, now.present, now.modified)) {
    unchanged(token, ConditionFailed{now.present ? std::optional(now.modified) : std::nullopt});
    return;
  }
  Effect effect;
  effect.key = std::move(put.key);
  effect.value = std::move(put.value);
  effect.created = now.present ? now.created : Revision(0);
  effect.version = now.present ? now.version + 1 : 1;
  std::vector<Effect> effects;
  effects.push_back(std::move(effect));
  write(token, std::move(effects), KeyWritten{!now.present});
}

void Replica::propose(uint64_t token, DeleteKey& remove) {
  Latest now = latest(remove.key);
  if (!holds(remove.condition, now.present, now.modified)) {
    unchanged(token, ConditionFailed{now.present ? std::optional(now.modified) : std::nullopt});
  } else if (!now.present) {
    unchanged(token, KeyAbsent{});
  } else {
    std::vector<Effect> effects(1);
    effects[0].key = std::move(remove.key);
    effects[0].created = now.created;
    write(token, std::move(effects), KeyDeleted{});
  }
}

void Replica::propose(uint64_t token, DeletePrefix& remove) {
  std::map<std::string, Revision> keys;  // name, created
  store_.each_key(remove.prefix, [&](const std::string& key) { keys[key] = store_.find(key)->created; });
  for (auto it = leader_->tail.lower_bound(remove.prefix);
       it != leader_->tail.end() && it->first.starts_with(remove.prefix); ++it) {
    if (it->second.present) {
      keys[it->first] = it->second.created;
    } else {
      keys.erase(it->first);
    }
  }
  std::vector<Effect> effects;
  size_t bytes = 0;
  for (const auto& [key, created] : keys) {
    bytes += key.size() + 32;
    Effect effect;
    effect.key = key;
    effect.created = created;
    effects.push_back(std::move(effect));
  }
  if (bytes > limits::kWriteBytes) {
    refuse(token, ErrorCode::kTooLarge, Outcome::kNotApplied,
           std::to_string(keys.size()) + " keys are too many for one write: delete by longer prefixes");
  } else if (effects.empty()) {
    unchanged(token, PrefixDeleted{0});
  } else {
    uint64_t count = effects.size();
    write(token, std::move(effects), PrefixDeleted{count});
  }
}

// One effect per key, the last one: within a batch only the end result is ever visible.
void Replica::propose(uint64_t token, WriteBatch& batch) {
  struct State {
    Latest before;
    Latest after;
    std::optional<Bytes> value;
  };
  std::map<std::string, State> states;
  for (BatchOp& op : batch.ops) {
    auto [it, fresh] = states.try_emplace(op.key);
    State& state = it->second;
    if (fresh) state.before = state.after = latest(op.key);
    if (op.value) {
      if (!state.after.present) state.after.created = Revision(0);
      state.after.version = state.after.created == Revision(0) ? 1 : state.before.version + 1;
      state.after.present = true;
    } else {
      state.after = Latest{};
    }
    state.value = std::move(op.value);
  }
  std::vector<Effect> effects;
  for (auto& [key, state] : states) {
    if (!state.before.present && !state.after.present) continue;
    Effect effect;
    effect.key = key;
    effect.value = std::move(state.value);
    effect.created = state.after.present ? state.after.created : state.before.created;
    effect.version = state.after.version;
    effects.push_back(std::move(effect));
  }
  if (effects.empty()) {
    unchanged(token, BatchWritten{});
  } else {
    write(token, std::move(effects), BatchWritten{});
  }
}

void Replica::propose(uint64_t token, ChangeSettings& settings) {
  if (settings.min_in_sync < 1 || settings.min_in_sync > 64) {
    refuse(token, ErrorCode::kInvalid, Outcome::kNotApplied, "min_in_sync must be 1 to 64");
    return;
  }
  leader_->settings.emplace_back(token, settings.min_in_sync);
}

}  // namespace kvd
