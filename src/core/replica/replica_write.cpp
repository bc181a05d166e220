// The replica actor: a write's way into the log. Here it is taken or refused; what it leads to is the write evaluator's
// to say. See replica.hpp.
#include <algorithm>

#include "core/access/judge.hpp"
#include "core/mutation.hpp"
#include "core/queues/queue_views.hpp"
#include "core/replica/replica.hpp"

namespace kvd {
namespace {

constexpr size_t kSettingsWaiting = 64;

// All but the first one, as effects of the next revision (Mutation::kTxnTorn).
std::vector<Record> moved_on(const std::vector<Record>& effects) {
  std::vector<Record> moved;
  for (auto effect = effects.begin() + 1; effect != effects.end(); ++effect) {
    Record::Metadata metadata = effect->metadata();
    if (metadata.created == metadata.modified) metadata.created = metadata.created.next();
    metadata.modified = metadata.modified.next();
    moved.push_back(effect->has_value() ? Record(effect->key(), effect->value(), metadata)
                                        : Record::deletion(effect->key(), metadata));
  }
  return moved;
}

}  // namespace

// Else its KV router sends it again, here or to somebody else, and with it what it had sent behind it by then: else
// that would be done before (the other part is KvRouter::has_to_wait).
bool Replica::takes_writes(const Propose& message) {
  Sender& sender = senders_[message.from];
  sender.newest = std::max(sender.newest, message.term);
  const char* why = !leader()   ? "this server does not lead"
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
bool Replica::overtakes(const Propose& message) {
  if (message.term == 0) return false;  // it is of no order
  if (message.term >= senders_[message.from].refused || mutated(Mutation::kRefusalForgotten)) return false;
  passed_over(message.from, message.term);
  refuse(message.token, ErrorCode::kNoLeader, Outcome::kNotApplied,
         "the leader did not take a write before this one");
  return true;
}

// A write of one key adds little to what is committed at once, and waits for nobody's batches.
bool Replica::overloaded(const Operation& operation) const {
  const bool many =
      std::holds_alternative<WriteBatch>(operation) || std::holds_alternative<DeletePrefix>(operation) ||
      std::holds_alternative<Box<Transaction>>(operation) || std::holds_alternative<EndLease>(operation) ||
      std::holds_alternative<RenewLeases>(operation) ||
      std::holds_alternative<Box<SendMessages>>(operation) ||
      std::holds_alternative<Box<ReplaceAccess>>(operation) ||
      std::holds_alternative<Box<PublishMessages>>(operation) ||
      std::holds_alternative<DeleteTopic>(operation) || std::holds_alternative<SeekSubscription>(operation) ||
      std::holds_alternative<Box<SettleMessages>>(operation) ||
      std::holds_alternative<Box<ReceiveMessages>>(operation) ||
      std::holds_alternative<KickMessages>(operation) || std::holds_alternative<PurgeMessages>(operation);
  const Tail& tail = leader()->evaluator.tail();
  return leader()->writes.size() + leader()->early.size() >= out_.config.tuning.uncommitted_entries ||
         tail.bytes() + leader()->early_bytes >= limits::kUncommittedBytes ||
         (many && tail.keys() >= limits::kUncommittedKeys);
}

// Rule 19. The server that was asked judged by its own copy, which may be behind, and the write may have waited since.
// Here it is judged by the log's end: once a revocation has its place there, nothing behind it is done in the name of
// the right that is gone.
std::optional<Failed> Replica::missing_right(const std::shared_ptr<const Caller>& caller,
                                             const Operation& operation, const OptionalBox<Fence>& fence) {
  if (!caller || mutated(Mutation::kStaleRights)) return std::nullopt;
  const Subject subject{caller.get(), leader()->evaluator.access(), out_.wall_ms()};
  return kvd::missing_right(subject, operation, fence);
}

bool Replica::may_still(const Propose& message) {
  std::optional<Failed> failed = missing_right(message.caller, message.operation, message.fence);
  if (failed) answer(message.token, std::move(*failed), commit_);
  return !failed;
}

// Everything that can be refused is refused before the log: then "not applied" is certain (rule 12).
bool Replica::admit(const Propose& message) {
  if (operation_bytes(message.operation) > limits::kWriteBytes) {
    refuse(message.token, ErrorCode::kTooLarge, Outcome::kNotApplied,
           "one write holds at most " + std::to_string(limits::kWriteBytes) + " bytes");
  } else if (leader()->reads.size() >= out_.config.tuning.client_requests) {
    refuse(message.token, ErrorCode::kOverloaded, Outcome::kNotApplied,
           "too many requests wait for confirmation");
  } else if (overloaded(message.operation)) {
    refuse(message.token, ErrorCode::kOverloaded, Outcome::kNotApplied,
           "too many writes wait for replication");
  } else {
    return true;
  }
  return false;
}

// Why nothing may be written now. None: it may.
std::optional<std::string> Replica::too_few_in_sync() const {
  const InSyncSet set = in_sync();
  uint32_t confirmed = static_cast<uint32_t>(register_->in_sync.size());
  bool is_new = log_.last().revision == lineage_base(lineage_);
  if (is_new && confirmed < out_.config.expect) {
    return "a new cluster's first write waits for " + std::to_string(out_.config.expect) +
           " servers in sync (--expect); now: " + std::to_string(confirmed);
  }
  if (set.copies().waits_for_long())
    return "the leader waits for what is in sync: " + set.copies().unconfirmed();
  if (const Peer* other = set.copies().undecided()) {
    return "the copies of " + out_.config.self.member.id.value + " and " + other->member.id.value +
           " differ, and no third one tells which is right; see GET /v1/cluster";
  }
  uint32_t there = std::min(confirmed, set.responsive());
  if (there >= register_->min_in_sync) return std::nullopt;
  return "too few servers are in sync: " + std::to_string(there) + ", min_in_sync is " +
         std::to_string(register_->min_in_sync) +
         "; see GET /v1/cluster: start servers, or lower it with PUT /v1/cluster/settings";
}

bool Replica::enough_in_sync(uint64_t token) {
  std::optional<std::string> why = too_few_in_sync();
  if (why) refuse(token, ErrorCode::kNotEnoughInSync, Outcome::kNotApplied, std::move(*why));
  return !why;
}

void Replica::on(Propose&& message) {
  if (!takes_writes(message) || !admit(message)) return;
  if (const auto* settings = std::get_if<ChangeSettings>(&message.operation)) {
    if (may_still(message)) change_settings(message.token, *settings);
    return;
  }
  if (const auto* move = std::get_if<MoveLeader>(&message.operation)) {
    if (may_still(message)) move_leader(message.token, *move);
    return;
  }
  // A server that slept sees to its mailbox before its timers, and what is given a term now must not have that sleep
  // counted against it.
  if (active() && out_.slept) run_clock();
  WriteCall call(message.operation, message.idempotency_key, message.fence);
  if (auto known = leader()->evaluator.recall(call, clock_.ms())) {
    carry_out(message, std::move(*known));
  } else if (enough_in_sync(message.token) && !overtakes(message) && may_still(message)) {
    if (!active() && !mutated(Mutation::kWrittenEarly)) return put_off(std::move(message));
    if (std::holds_alternative<Box<ReceiveMessages>>(message.operation)) return receive(std::move(message));
    carry_out(message, leader()->evaluator.evaluate(call, room()));
  }
}

// Nor does it run while no writes are taken: no renewal would get through.
void Replica::run_clock() {
  clock_.run(out_.now, too_few_in_sync() ? Duration(0) : out_.config.leader_silence / 2);
  store_.queues().ripen(clock_.ms());
}

// Rule 10: ZooKeeper may have gone back to the register that this reign was made of. Then another one may have the same
// number, and this one is taken back: nothing of it may be in a log, here or at a follower.
void Replica::put_off(Propose&& message) {
  leader()->early_bytes += operation_bytes(message.operation);
  leader()->early.push_back(std::move(message));
}

std::deque<Propose> Replica::forget_early_writes() {
  leader()->early_bytes = 0;
  return std::exchange(leader()->early, {});
}

// Nobody hears what becomes of its writes any more.
void Replica::on(const SenderGone& message) {
  senders_.erase(message.link);
  if (!leader()) return;
  refuse_receives(leader()->receives.take_of(message.link), "its sender is gone");
  for (Propose& propose : forget_early_writes()) {
    if (propose.from != message.link) {
      put_off(std::move(propose));
    } else {
      refuse(propose.token, ErrorCode::kNoLeader, Outcome::kNotApplied, "its sender is gone");
    }
  }
}

WriteEvaluator::Room Replica::room() const {
  return {out_.config.memory_max, disk_.low(), out_.config.value_bytes_max, clock_.ms(), out_.wall_ms()};
}

// What has come to its end by the log's clock is deleted as a client's write would be: under the same conditions, but
// for want of room. Nobody waits for it, so that one such entry at a time is enough: writes come in between.
void Replica::expire_what_is_due() {
  if (!store_.has_due() || leader()->expiring > commit_ || stopping_ || move_ || too_few_in_sync()) return;
  WriteEvaluator::Room room = this->room();
  if (mutated(Mutation::kExpiredEarly)) room.clock += 200;
  std::vector<Record> effects = leader()->evaluator.expire(room);
  if (effects.empty()) return write_clock();
  for (const Record& effect : effects) counters_.expired += effect.expired() ? 1 : 0;
  append_entry(std::move(effects));
  leader()->expiring = log_.last().revision;
}

// A restart of all goes on from where the newest entry says that the clock stood. While nobody writes, one with nothing
// else tells it now and then.
void Replica::write_clock() {
  const EntryPointer newest = log_.at(log_.last().revision);
  const uint64_t written = newest ? newest->clock : store_.clock();
  if (out_.config.self.durable && clock_.ms() >= written + limits::kClockMs) append_entry({});
}

void Replica::carry_out(const Propose& message, Evaluation&& evaluation) {
  struct Performer {
    Replica& replica;
    const Propose& message;
    void operator()(Change& change) { replica.append(message, change); }
    void operator()(Unchanged& unchanged) { replica.answer_later(message, unchanged); }
    void operator()(Failed& failed) { replica.answer(message.token, std::move(failed), replica.commit_); }
  };
  std::visit(Performer{*this, message}, evaluation);
}

void Replica::append(const Propose& message, Change& change) {
  const bool torn =
      mutated(Mutation::kTxnTorn) && std::holds_alternative<Box<Transaction>>(message.operation);
  if (torn && change.effects.size() > 1) {
    append_entry({change.effects.front()});
    change.effects = moved_on(change.effects);
  }
  append_entry(std::move(change.effects));
  const Revision revision = log_.last().revision;
  leader()->writes.push_back(PendingWrite{revision, message.token, std::move(change.answer)});
  senders_[message.from].appended = revision;
}

void Replica::append_entry(std::vector<Record> effects) {
  auto entry = std::make_shared<Entry>();
  entry->epoch = epoch_;
  entry->revision = log_.last().revision.next();
  entry->effects = std::move(effects);
  entry->clock = clock_.ms();
  leader()->evaluator.note_appended(*entry);
  disk_.append(entry);
  // An idle follower has had nothing to acknowledge: the clock for its lag starts now.
  for (auto& [link, peer] : peers_) {
    if (peer.match == log_.last().revision) peer.progress = out_.now;
  }
  if (mutated(Mutation::kWatchUncommitted)) out_.watch.post(Committed{{entry}});
  log_.append(std::move(entry));
}

// There is nothing to replicate, but the answer speaks of the newest state, or of a write that may not be committed
// yet. It is a linear read of the log up to there, and is only true once that is committed and this server confirmed
// as leader.
void Replica::answer_later(const Propose& message, Unchanged& unchanged) {
  const Revision about = unchanged.about;
  leader()->reads.push_back(PendingRead{message.token,
                                        0,
                                        about == Revision(0) ? log_.last().revision : about,
                                        {},
                                        std::move(unchanged.answer),
                                        about,
                                        message.from});
}

void Replica::change_settings(uint64_t token, const ChangeSettings& settings) {
  if (settings.min_in_sync < 1 || settings.min_in_sync > 64) {
    refuse(token, ErrorCode::kInvalid, Outcome::kNotApplied, "min_in_sync must be 1 to 64");
  } else if (leader()->settings.size() >= kSettingsWaiting) {
    refuse(token, ErrorCode::kOverloaded, Outcome::kNotApplied, "too many settings changes wait");
  } else {
    leader()->settings.emplace_back(token, settings.min_in_sync);
  }
}

}  // namespace kvd
