// The replica actor: a write's way into the log. Conditions are evaluated here, once, against the newest
// state of the leader's log, and what is replicated is the effect; see replica.hpp.
#include <algorithm>

#include "core/mutation.hpp"
#include "core/replica/fences.hpp"
#include "core/replica/replica.hpp"
#include "core/replica/table.hpp"
#include "msg/wire.hpp"

namespace kvd {
namespace {

constexpr size_t kSettingsWaiting = 64;

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

}  // namespace

// A key as the next write sees it: the log's tail over the committed store. Null: there is none.
const Record* Replica::latest(std::string_view key) const {
  if (const Record* in_tail = leader_->tail->find(key)) return in_tail->has_value() ? in_tail : nullptr;
  return store_.find(key);
}

// The largest token that a write brought for this resource, in the same view; 0: none did.
uint64_t Replica::latest_token(std::string_view resource) const {
  const Record* in_tail = leader_->fences->find(resource);
  if (in_tail != nullptr && !mutated(Mutation::kFenceOfCommitted)) return token_of(in_tail);
  return token_of(store_.find(resource, Space::kFences));
}

// What of its tokens is to be remembered with the next write.
std::vector<Record> Replica::larger_tokens(const Ticket& ticket) const {
  std::map<std::string_view, uint64_t> tokens;
  for (const Fence& fence : ticket.fences) {
    uint64_t& token = tokens[fence.resource];
    token = std::max(token, fence.token);
  }
  std::vector<Record> effects;
  for (const auto& [resource, token] : tokens) {
    if (token > latest_token(resource)) effects.push_back(remember_token(resource, token, next_revision()));
  }
  return effects;
}

// Else its KV router sends it again, here or to somebody else, and with it what it had sent behind it by then: else
// that would be done before (the other part is KvRouter::has_to_wait).
bool Replica::takes_writes(const Propose& message) {
  Sender& sender = senders_[message.from];
  sender.newest = std::max(sender.newest, message.term);
  const char* why = !leader_    ? "this server does not lead"
                    : stopping_ ? "the leader is shutting down"
                    : move_     ? "the leader is handing over"
                                : nullptr;
  if (why == nullptr) return true;
  passed_over(message.from, message.term);
  refuse(message.token, ErrorCode::kNoLeader, Outcome::kNotApplied, why);
  return false;
}

void Replica::passed_over(LinkId from, uint64_t term) {
  uint64_t& refused = senders_[from].refused;
  refused = std::max(refused, term + 1);
}

// It was sent before its KV router heard that one of its term was refused, which may come once more: then in its place.
bool Replica::overtakes(const Ticket& ticket) {
  if (ticket.term >= senders_[ticket.from].refused || mutated(Mutation::kRefusalForgotten)) return false;
  passed_over(ticket.from, ticket.term);
  refuse(ticket.token, ErrorCode::kNoLeader, Outcome::kNotApplied,
         "the leader did not take a write before this one");
  return true;
}

// A write of one key adds little to what is committed at once, and waits for nobody's batches.
bool Replica::overloaded(const Operation& operation) const {
  const bool many =
      std::holds_alternative<WriteBatch>(operation) || std::holds_alternative<DeletePrefix>(operation);
  return leader_->writes.size() >= out_.config.tuning.uncommitted_entries ||
         leader_->uncommitted_bytes >= limits::kUncommittedBytes ||
         (many && leader_->uncommitted_keys >= limits::kUncommittedKeys);
}

// Everything that can be refused is refused before the log: then "not applied" is certain (rule 12).
bool Replica::admit(const Ticket& ticket, const Operation& operation) {
  if (operation_bytes(operation) > limits::kWriteBytes) {
    refuse(ticket.token, ErrorCode::kTooLarge, Outcome::kNotApplied,
           "one write holds at most " + std::to_string(limits::kWriteBytes) + " bytes");
  } else if (leader_->reads.size() >= out_.config.tuning.client_requests) {
    refuse(ticket.token, ErrorCode::kOverloaded, Outcome::kNotApplied,
           "too many requests wait for confirmation");
  } else if (overloaded(operation)) {
    refuse(ticket.token, ErrorCode::kOverloaded, Outcome::kNotApplied,
           "too many writes wait for replication");
  } else {
    return true;
  }
  return false;
}

bool Replica::enough_in_sync(const Ticket& ticket) {
  auto no = [&](std::string detail) {
    refuse(ticket.token, ErrorCode::kNotEnoughInSync, Outcome::kNotApplied, std::move(detail));
    return false;
  };
  uint32_t confirmed = static_cast<uint32_t>(register_->in_sync.size());
  bool is_new = log_.last().revision == lineage_base(lineage_);
  if (is_new && confirmed < out_.config.expect) {
    return no("a new cluster's first write waits for " + std::to_string(out_.config.expect) +
              " servers in sync (--expect); now: " + std::to_string(confirmed));
  }
  if (waits_for_long()) return no("the leader waits for what is in sync: " + unconfirmed());
  if (const Peer* other = undecided()) {
    return no("the copies of " + out_.config.self.member.id.value + " and " + other->member.id.value +
              " differ, and no third one tells which is right; see GET /v1/cluster");
  }
  uint32_t there = std::min(confirmed, responsive());
  if (there < register_->min_in_sync) {
    return no("too few servers are in sync: " + std::to_string(there) + ", min_in_sync is " +
              std::to_string(register_->min_in_sync) +
              "; see GET /v1/cluster: start servers, or lower it with PUT /v1/cluster/settings");
  }
  return true;
}

// A retry gets the first answer, once that is committed. True: it was one.
bool Replica::recall(const Ticket& ticket) {
  if (ticket.idempotency_key.empty()) return false;
  std::optional<RememberedAnswer> known = find_remembered(store_, ticket.idempotency_key);
  if (auto it = leader_->requests.find(ticket.idempotency_key); it != leader_->requests.end())
    known = it->second;
  if (known && known->digest != ticket.digest) {
    refuse(ticket.token, ErrorCode::kKeyReused, Outcome::kNotApplied,
           "another request has been made with this idempotency key");
  } else if (known) {
    leader_->reads.push_back(
        PendingRead{ticket.token, 0, known->revision, {}, std::move(known->answer), known->revision});
  } else if (is_forgotten(store_, ticket.idempotency_key)) {
    refuse(ticket.token, ErrorCode::kKeyEvicted, Outcome::kUnknown,
           "a write with this idempotency key was done long ago and its answer is forgotten: not done again");
  } else {
    return false;
  }
  return true;
}

void Replica::on(Propose&& message) {
  if (!takes_writes(message)) return;
  Ticket ticket{message.token, std::move(message.idempotency_key), 0, {}, message.from, message.term};
  if (!admit(ticket, message.operation)) return;
  if (const auto* settings = std::get_if<ChangeSettings>(&message.operation)) {
    change_settings(message.token, *settings);
    return;
  }
  if (const auto* move = std::get_if<MoveLeader>(&message.operation)) {
    move_leader(message.token, *move);
    return;
  }
  if (!ticket.idempotency_key.empty()) ticket.digest = operation_digest(message.operation, message.fence);
  if (recall(ticket) || !enough_in_sync(ticket) || overtakes(ticket)) return;
  if (message.fence) {
    const uint64_t current = latest_token(message.fence->resource);
    if (message.fence->token < current) {
      unchanged(std::move(ticket), Box(Fenced{std::move(*message.fence), current}));
      return;
    }
    ticket.fences.push_back(std::move(*message.fence));
  }
  struct Proposer {
    Replica& replica;
    Ticket& ticket;
    void operator()(PutKey& put) { replica.propose(std::move(ticket), put); }
    void operator()(DeleteKey& remove) { replica.propose(std::move(ticket), remove); }
    void operator()(DeletePrefix& remove) { replica.propose(std::move(ticket), remove); }
    void operator()(WriteBatch& batch) { replica.propose(std::move(ticket), batch); }
    void operator()(ChangeSettings&) { CHECK(!"settings are no data"); }
    void operator()(MoveLeader&) { CHECK(!"a hand-over is no data"); }
    void operator()(ReadKey&) { CHECK(!"a read was proposed"); }
    void operator()(ListKeys&) { CHECK(!"a read was proposed"); }
    void operator()(QueryStatus&) { CHECK(!"a query was proposed"); }
    void operator()(ReadSnapshot&) { CHECK(!"a read was proposed"); }
    void operator()(DecideLineage&) { CHECK(!"a decision is no data"); }
  };
  std::visit(Proposer{*this, ticket}, message.operation);
}

void Replica::note_in_tail(const Entry& entry) {
  leader_->uncommitted_bytes += entry_bytes(entry);
  leader_->uncommitted_keys += entry.effects.size();
  for (const Record& effect : entry.effects) {
    if (effect.space() == Space::kRequests) {
      if (!effect.has_value()) continue;
      auto remembered = read_remembered(effect.key(), effect.value(), entry.revision);
      if (remembered) leader_->requests[std::string(effect.key())] = std::move(*remembered);
      continue;
    }
    Index& tail = effect.space() == Space::kFences ? *leader_->fences : *leader_->tail;
    if (Record* now = tail.find(effect.key())) {
      *now = effect;
    } else {
      tail.insert(effect);
    }
  }
}

void Replica::drop_from_tail(const Entry& entry) {
  leader_->uncommitted_bytes -= entry_bytes(entry);
  leader_->uncommitted_keys -= entry.effects.size();
  for (const Record& effect : entry.effects) {
    if (effect.space() == Space::kRequests) {
      leader_->requests.erase(std::string(effect.key()));
      continue;
    }
    Index& tail = effect.space() == Space::kFences ? *leader_->fences : *leader_->tail;
    const Record* newest = tail.find(effect.key());
    if (newest != nullptr && newest->modified() == entry.revision) tail.erase(effect.key());
  }
}

// What makes the data grow needs room for it, in memory and on this server's disk. Deletes and smaller values always
// go: how else would there be room again?
bool Replica::room_for(const Ticket& ticket, const std::vector<Record>& effects) {
  int64_t growth = 0;
  const auto is_deletion = [](const Record& effect) { return !effect.has_value(); };
  if (std::all_of(effects.begin(), effects.end(), is_deletion)) return true;
  for (const Record& effect : effects) {
    const Record* now = store_.find(effect.key(), effect.space());
    if (effect.has_value()) growth += static_cast<int64_t>(item_bytes(effect));
    if (now != nullptr) growth -= static_cast<int64_t>(item_bytes(*now));
  }
  if (growth <= 0) return true;
  if (disk_.low()) {
    refuse(ticket.token, ErrorCode::kDiskFull, Outcome::kNotApplied,
           "little space is left on the leader's disk: only deletes and smaller values are taken");
    return false;
  }
  uint64_t wanted = store_.bytes() + leader_->uncommitted_bytes + static_cast<uint64_t>(growth);
  if (wanted > out_.config.memory_max) {
    refuse(ticket.token, ErrorCode::kMemoryFull, Outcome::kNotApplied,
           "the store has reached the leader's --max-memory, " + std::to_string(out_.config.memory_max) +
               " bytes: only deletes and smaller values are taken");
    return false;
  }
  return true;
}

void Replica::write(Ticket ticket, std::vector<Record> effects, Answer answer) {
  std::vector<Record> tokens = larger_tokens(ticket);
  std::move(tokens.begin(), tokens.end(), std::back_inserter(effects));
  if (!room_for(ticket, effects)) return;
  auto entry = std::make_shared<Entry>();
  entry->epoch = epoch_;
  entry->revision = next_revision();
  entry->effects = std::move(effects);
  if (!ticket.idempotency_key.empty()) {
    entry->effects.push_back(remember(ticket.idempotency_key, ticket.digest, answer, entry->revision));
    if (commit_ >= leader_->forgetting) {
      std::vector<Record> forgotten = forget_oldest(store_, entry->revision);
      if (!forgotten.empty()) leader_->forgetting = entry->revision;
      std::move(forgotten.begin(), forgotten.end(), std::back_inserter(entry->effects));
    }
  }
  note_in_tail(*entry);
  disk_.append(entry);
  leader_->writes.push_back(PendingWrite{entry->revision, ticket.token, std::move(answer)});
  senders_[ticket.from].appended = entry->revision;
  // An idle follower has had nothing to acknowledge: the clock for its lag starts now.
  for (auto& [link, peer] : peers_) {
    if (peer.match == log_.last().revision) peer.progress = out_.now;
  }
  log_.append(std::move(entry));
}

// A refused condition, a delete of what is not there, a token that is too small: nothing to replicate, but the answer
// speaks of the newest state. It is a linear read of the log's tail, and is only true once that is committed and this
// server confirmed as leader. With an idempotency key it is remembered like any other: an earlier attempt that
// is still under way somewhere must not be done after this answer. And so is a larger token (fences.hpp): who has
// been answered counts on it that the holder before is shut out.
void Replica::unchanged(Ticket ticket, Answer answer) {
  const bool no_token = larger_tokens(ticket).empty() || mutated(Mutation::kFenceOfChanges);
  if (ticket.idempotency_key.empty() && no_token) {
    leader_->reads.push_back(
        PendingRead{ticket.token, 0, log_.last().revision, {}, std::move(answer), {}, ticket.from});
  } else {
    write(std::move(ticket), {}, std::move(answer));
  }
}

void Replica::propose(Ticket ticket, PutKey& put) {
  const Record* now = latest(put.key);
  if (!holds(put.condition, now)) {
    unchanged(std::move(ticket), condition_failed(now));
    return;
  }
  write(std::move(ticket), {written(put.key, put.value, now, next_revision())}, KeyWritten{now == nullptr});
}

void Replica::propose(Ticket ticket, DeleteKey& remove) {
  const Record* now = latest(remove.key);
  if (!holds(remove.condition, now)) {
    unchanged(std::move(ticket), condition_failed(now));
  } else if (now == nullptr) {
    unchanged(std::move(ticket), KeyAbsent{});
  } else {
    write(std::move(ticket), {deleted(*now, next_revision())}, KeyDeleted{});
  }
}

void Replica::propose(Ticket ticket, DeletePrefix& remove) {
  std::vector<const Record*> keys;
  size_t bytes = 0;
  auto add = [&](const Record& record) {
    keys.push_back(&record);
    bytes += record.key().size() + 32;
  };
  auto too_many = [&] { return keys.size() > limits::kDeletedKeys || bytes > limits::kWriteBytes; };
  auto enough = [&] { return remove.limit != 0 ? keys.size() >= remove.limit : too_many(); };
  const Index& tail = *leader_->tail;
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
    refuse(ticket.token, ErrorCode::kTooLarge, Outcome::kNotApplied,
           "these are too many keys to be deleted in one write: delete them in pages, with limit=" +
               std::to_string(limits::kListItemsMax) + ", again and again until \"more\" is false");
    return;
  }
  const auto before = [](const Record* a, const Record* b) { return a->key() < b->key(); };
  std::sort(keys.begin() + from_store, keys.end(), before);
  std::inplace_merge(keys.begin(), keys.begin() + from_store, keys.end(), before);
  if (remove.limit != 0) keys.resize(std::min<size_t>(keys.size(), remove.limit));
  std::vector<Record> effects;
  effects.reserve(keys.size());
  for (const Record* now : keys) effects.push_back(deleted(*now, next_revision()));
  if (effects.empty()) {
    unchanged(std::move(ticket), PrefixDeleted{0});
  } else {
    uint64_t count = effects.size();
    write(std::move(ticket), std::move(effects), PrefixDeleted{count});
  }
}

// No key, once all that the log holds is committed.
bool Replica::empty_at_tail() const {
  const Index& tail = *leader_->tail;
  bool made = false;
  tail.each([&](const Record& record) { made |= record.has_value(); });
  const Table& all = store_.items();
  return !made && std::all_of(all.begin(), all.end(),
                              [&](const Record& item) { return tail.find(item.key()) != nullptr; });
}

// One effect per key, the last one: within a batch only the end result is ever visible.
void Replica::propose(Ticket ticket, WriteBatch& batch) {
  if (batch.if_empty && !empty_at_tail()) {
    refuse(ticket.token, ErrorCode::kNotEmpty, Outcome::kNotApplied,
           "the cluster holds keys: a snapshot is restored into an empty one only, or, with replace=true, in "
           "their "
           "place");
    return;
  }
  std::move(batch.fences.begin(), batch.fences.end(), std::back_inserter(ticket.fences));
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
  std::vector<Record> effects;
  for (const auto& [key, state] : states) {
    if (state.value) {
      effects.push_back(written(key, *state.value, state.anew ? nullptr : state.before, next_revision()));
    } else if (state.before != nullptr) {
      effects.push_back(deleted(*state.before, next_revision()));
    }
  }
  if (effects.empty()) {
    unchanged(std::move(ticket), BatchWritten{});
  } else {
    write(std::move(ticket), std::move(effects), BatchWritten{});
  }
}

// From here on no write is taken; when those under way are done, the successor is told. Writes that come meanwhile wait
// in the KV router, and go to the new leader.
void Replica::move_leader(uint64_t token, const MoveLeader& move) {
  const Member& self = out_.config.self.member;
  if (move.to == self.id) {
    answer(token, LeaderMoved{self.id}, commit_);
    return;
  }
  std::string others;
  bool possible = false;
  for (const Member& member : register_->in_sync) {
    const Peer* peer = peer_of(member);
    if (member == self || (out_.config.self.durable && peer != nullptr && !peer->durable)) continue;
    possible |= !move.to || member.id == *move.to;
    others += (others.empty() ? "" : ", ") + member.id.value;
  }
  if (!possible) {
    const std::string kind = out_.config.self.durable ? "server with a disk" : "server";
    refuse(token, ErrorCode::kNotInSync, Outcome::kNotApplied,
           others.empty() ? "no other " + kind + " is in sync"
                          : "not an in-sync " + kind + "; besides the leader these are: " + others);
    return;
  }
  move_ = Move{token, move.to, epoch_, out_.now + kMoveLimit};
  out_.log(LogLevel::kInfo, "asked to hand over", {{"to", move.to ? move.to->value : "the next in line"}});
}

void Replica::change_settings(uint64_t token, const ChangeSettings& settings) {
  if (settings.min_in_sync < 1 || settings.min_in_sync > 64) {
    refuse(token, ErrorCode::kInvalid, Outcome::kNotApplied, "min_in_sync must be 1 to 64");
  } else if (leader_->settings.size() >= kSettingsWaiting) {
    refuse(token, ErrorCode::kOverloaded, Outcome::kNotApplied, "too many settings changes wait");
  } else {
    leader_->settings.emplace_back(token, settings.min_in_sync);
  }
}

}  // namespace kvd
