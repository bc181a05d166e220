// See queue_model.hpp: what is committed. What clients are told: queue_answers.cpp.
#include "queue_model.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kvd::sim {
namespace {

constexpr Duration kGrantRounded = milliseconds(2);  // of clocks that show whole milliseconds

}  // namespace

bool QueueModel::Message::in_flight(uint64_t clock) const {
  return became.state == MessageState::kInFlight && became.due > clock;
}

bool QueueModel::Message::ready(uint64_t clock) const {
  if (became.state == MessageState::kDead) return false;
  return became.state == MessageState::kReady || became.due <= clock;
}

std::string QueueModel::name_of(Number number) const {
  const auto it = names_.find(number);
  return it == names_.end() ? std::string() : it->second;
}

const QueueModel::Queue* QueueModel::named(Number number) const {
  const auto it = names_.find(number);
  return it == names_.end() ? nullptr : &queues_.at(it->second);
}

// Of a queue of order fifo all are of one.
std::string QueueModel::lane_of(const Queue& queue, const Message& message) {
  if (queue.stored.config.fifo) return "all";
  return message.group.empty() ? std::string() : "of " + message.group;
}

void QueueModel::wrong(Turn& turn, const Key& key, const std::string& what) const {
  turn.why += fmt::format(
      "message {} of {} {}; ", to_text(key.second),
      names_.contains(key.first) ? name_of(key.first) : fmt::format("number {}", key.first), what);
}

void QueueModel::forget_all() {
  MessageLedger::forget_all();
  queues_.clear();
  names_.clear();
  emptied_.clear();
  others_.clear();
  subscriptions_.clear();
  messages_.clear();
  dedup_.clear();
}

// What a transaction does for a message and that it is acknowledged are one.
void QueueModel::judge_done(Turn& turn, const Record& effect) {
  const auto ended = std::find_if(turn.changes.begin(), turn.changes.end(), [&](const auto& change) {
    return change.second.ends() && done_key(change.first.second) == effect.key();
  });
  if (ended == turn.changes.end())
    turn.why += fmt::format("{} without an end of its message; ", effect.key());
  if (effect.version() != 1 || effect.value() != "1")
    turn.why += fmt::format("{} for the second time; ", effect.key());
}

std::string QueueModel::on_entry(const Entry& entry, std::optional<Instant> appended) {
  const bool about_queues = std::any_of(entry.effects.begin(), entry.effects.end(), [](const Record& effect) {
    return of_queues(effect.space()) || effect.key().starts_with(kDonePrefix);
  });
  if (!begin(entry) || !about_queues) return {};
  take_topics(entry);
  Turn turn{entry, appended, {}, {}, {}, {}, {}, {}};
  for (const Record& effect : entry.effects) {
    if (!is_mine(effect)) continue;
    const auto [number, id] = message_key_of(effect.key());
    Change& change = turn.changes[{number, id}];
    (effect.space() == Space::kMessages ? change.message : change.delivery) = &effect;
    const auto known = messages_.find({number, id});
    if (known != messages_.end()) change.before = &known->second;
  }
  for (const auto& [key, change] : turn.changes) {
    const std::optional<StoredDelivery> now = delivery_of(change.delivery);
    if (now && change.before != nullptr && is_again(change.before->became, *now, entry.clock))
      turn.again.insert(key);
  }
  for (const Record& effect : entry.effects) {
    if (effect.space() == Space::kData && effect.key().starts_with(kDonePrefix)) judge_done(turn, effect);
  }
  judge_order(turn);
  take_queues(turn);
  for (const Record& effect : entry.effects) {
    const bool mine = !others_.contains(message_key_of(effect.key()).number);
    if (effect.space() == Space::kDedup && mine) take_name(turn, effect);
  }
  pair_moved(turn);
  for (const auto& [key, change] : turn.changes) {
    if (change.begins()) {
      judge_sent(turn, key, change);
    } else if (change.ends() && turn.moved.contains(key)) {
      judge_moved(turn, key, change);
    } else if (change.ends()) {
      judge_gone(turn, key, change);
    } else {
      judge_delivery(turn, key, change);
    }
  }
  apply(turn);
  judge_lanes(turn);
  for (const Record& effect : entry.effects) {
    if (effect.space() == Space::kQueues) take_emptied(turn, effect);
  }
  note_grantable(turn);
  return turn.why.empty() ? turn.why : fmt::format("revision {}: {}", entry.revision.value, turn.why);
}

// ---- queues, and names of sends ----

void QueueModel::take_topics(const Entry& entry) {
  for (const Record& effect : entry.effects) {
    if (effect.space() != Space::kQueues) continue;
    const std::optional<StoredTopic> topic = names_topic(effect.key()) ? topic_of(&effect) : std::nullopt;
    if (topic) others_.insert(topic->number);
    const auto subscription = names_subscription(effect.key()) ? subscription_of(&effect) : std::nullopt;
    if (!subscription) continue;
    others_.insert(subscription->number);
    const auto [of, name] = subscription_names(effect.key());
    subscriptions_.insert(source_name(of, name));
  }
}

bool QueueModel::is_mine(const Record& effect) const {
  const bool of_messages = effect.space() == Space::kMessages || effect.space() == Space::kDeliveries;
  return of_messages && !others_.contains(message_key_of(effect.key()).number);
}

void QueueModel::take_queues(Turn& turn) {
  for (const Record& effect : turn.entry.effects) {
    if (effect.space() != Space::kQueues) continue;
    if (names_queue(effect.key())) {
      take_queue(turn, effect);
    } else if (is_emptied(effect.key()) && effect.has_value()) {
      emptied_[emptied_number(effect.key())] = empties_names(effect);
    }
  }
  for (const auto& [number, names] : emptied_) {
    const bool by_number = !names && names_.contains(number);
    if (by_number) turn.why += fmt::format("{} is emptied under the number that it bears; ", name_of(number));
  }
}

void QueueModel::take_queue(Turn& turn, const Record& record) {
  const std::string name(record.key().substr(1));
  const auto known = queues_.find(name);
  const std::optional<StoredQueue> stored = queue_of(&record);
  if (!stored) {
    if (record.has_value()) turn.why += fmt::format("queue {} cannot be read; ", name);
    if (known == queues_.end()) return;
    if (!wishes_.take_delete(name))
      turn.why += fmt::format("queue {} is deleted, and nobody asked for it; ", name);
    names_.erase(known->second.stored.number);
    queues_.erase(known);
    return;
  }
  if (known == queues_.end()) {
    if (stored->number != turn.entry.revision.value || names_.contains(stored->number))
      turn.why += fmt::format("queue {} is made with number {}; ", name, stored->number);
    queues_[name] = {*stored, stored->number, stored->config.max_deliveries, {}};
    names_[stored->number] = name;
    return;
  }
  Queue& queue = known->second;
  if (stored->number != queue.stored.number) {
    if (stored->number != turn.entry.revision.value)
      turn.why += fmt::format("queue {} gets number {}; ", name, stored->number);
    if (!wishes_.take_purge_of_all(name))
      turn.why += fmt::format("queue {} is emptied, and nobody asked for it; ", name);
    names_.erase(queue.stored.number);
    names_[stored->number] = name;
  } else if (stored->config.fifo != queue.stored.config.fifo) {
    const auto first = messages_.lower_bound({stored->number, MessageId()});
    if (first != messages_.end() && first->first.first == stored->number)
      turn.why += fmt::format("queue {} changes its order, and is not empty; ", name);
  }
  queue.stored = *stored;
  const uint32_t most = stored->config.max_deliveries;
  if (most != 0 && (queue.least_deliveries == 0 || most < queue.least_deliveries))
    queue.least_deliveries = most;
}

// Everything that bore the number is gone by then.
void QueueModel::take_emptied(Turn& turn, const Record& record) {
  if (!is_emptied(record.key()) || record.has_value()) return;
  const uint64_t number = emptied_number(record.key());
  const auto rest = messages_.lower_bound({number, MessageId()});
  if (rest != messages_.end() && rest->first.first == number) wrong(turn, rest->first, "is left behind");
  emptied_.erase(number);
}

void QueueModel::take_name(Turn& turn, const Record& record) {
  const std::string key(record.key());
  const auto known = dedup_.find(key);
  const std::optional<StoredName> stored = dedup_of(&record);
  const std::string name = key.substr(std::min<size_t>(key.size(), 8));
  const bool runs = known != dedup_.end() && known->second.deadline > turn.entry.clock;
  if (stored) {
    if (runs)
      turn.why += fmt::format("{} is sent as {} while that name stands for {}; ", name, to_text(stored->id),
                              to_text(known->second.id));
    dedup_[key] = *stored;
    return;
  }
  const uint64_t made = message_key_of(key).number;
  const auto emptied = emptied_.find(made);
  const bool with_its_queue = emptied != emptied_.end() && emptied->second;
  if (runs && !with_its_queue) turn.why += fmt::format("the name {} is forgotten before its time; ", name);
  if (known != dedup_.end()) dedup_.erase(known);
}

// ---- messages that come and go ----

namespace {

auto read_message(const Record& record, auto message) {
  const StoredMessage stored = message_of(record);
  message.body = stored.body;
  message.group = stored.group;
  message.type = stored.type;
  message.dead_from = stored.dead_from;
  message.priority = stored.priority;
  message.deadline = stored.deadline;
  return message;
}

}  // namespace

bool QueueModel::may_be(const Key& gone, const Message& before, const Key& sent, const Message& after) const {
  const Queue* from = named(gone.first);
  const bool same = before.body == after.body && before.type == after.type && before.group == after.group &&
                    before.priority == after.priority;
  if (!same || from == nullptr || gone.first == sent.first) return false;
  if (after.dead_from == name_of(gone.first)) return true;
  return !before.in_flight(clock_) && after.dead_from == before.dead_from;  // it was kicked
}

void QueueModel::pair_moved(Turn& turn) {
  for (const auto& [key, change] : turn.changes) {
    if (!change.begins()) continue;
    const Message after = read_message(*change.message, Message());
    for (const auto& [gone, other] : turn.changes) {
      if (!other.ends() || turn.moved.contains(gone) || !may_be(gone, *other.before, key, after)) continue;
      turn.moved[gone] = key;
      turn.moved_from[key] = gone;
      break;
    }
  }
}

void QueueModel::judge_sent(Turn& turn, const Key& key, const Change& change) {
  const auto& [number, id] = key;
  const Message message = read_message(*change.message, Message());
  if (change.before != nullptr) return wrong(turn, key, "is written again");
  const Queue* queue = named(number);
  if (queue == nullptr) return wrong(turn, key, "is sent to no queue");
  if (id.revision != turn.entry.revision) wrong(turn, key, "is not of its entry's revision");
  const std::optional<StoredDelivery> became = delivery_of(change.delivery);
  const bool waits = became && became->state == MessageState::kDelayed && became->attempts == 0 &&
                     became->receipt == 0 && became->due > turn.entry.clock;
  if (change.delivery != nullptr && !waits) wrong(turn, key, "is new, and something has become of it");
  if (turn.moved_from.contains(key)) return;
  if (subscriptions_.contains(message.dead_from)) return;
  if (!message.dead_from.empty()) return wrong(turn, key, "is dead elsewhere, and came from nowhere");
  const std::string why = judge_body(message.body);
  if (!why.empty()) wrong(turn, key, why);
  const std::string* name = wishes_.sent(message.body);
  if (name == nullptr || name->empty()) return;
  const auto stands_for = dedup_.find(dedup_key(queue->made, *name));
  if (stands_for == dedup_.end() || stands_for->second.id != id)
    wrong(turn, key, fmt::format("is sent, and its name {} stands for another one", *name));
}

// What was in flight or delayed is ready once its time is over, too.
std::set<MessageState> QueueModel::states_of(const Message& message, uint64_t clock) {
  std::set<MessageState> states = {message.became.state};
  if (message.ready(clock)) states.insert(MessageState::kReady);
  return states;
}

bool QueueModel::take_purge(Turn& turn, const std::string& queue, const Message& message) {
  const std::string what = "purge " + queue;
  if (turn.taken.contains(what)) return true;
  if (!wishes_.take_purge(queue, states_of(message, turn.entry.clock))) return false;
  turn.taken.insert(what);
  return true;
}

bool QueueModel::take_kick(Turn& turn, const std::string& queue, const Message& message,
                           const std::string& to) {
  const std::string what = fmt::format("kick {} to {}", queue, to);
  if (turn.taken.contains(what)) return true;
  if (!wishes_.take_kick(queue, states_of(message, turn.entry.clock), to)) return false;
  turn.taken.insert(what);
  return true;
}

// What is in flight no more by the clock may have ended for another reason.
void QueueModel::note_settled(const Turn& turn, const Key& key, Settling::Kind kind) {
  const Message& before = *turn.changes.at(key).before;
  settled_[{key.second, before.became.receipt}][kind] |= before.in_flight(turn.entry.clock);
}

// To where its queue has what is dead, or by somebody's wish.
void QueueModel::judge_moved(Turn& turn, const Key& key, const Change& change) {
  const Key to = turn.moved.at(key);
  const Record& record = *turn.changes.at(to).message;
  const std::string from = name_of(key.first);
  const Message after = read_message(record, Message());
  if (after.dead_from != from || change.before->dead_from == from) {
    if (take_kick(turn, from, *change.before, name_of(to.first))) return;
  }
  if (after.dead_from != from) return wrong(turn, key, "goes to another queue, and nobody asked for it");
  if (named(key.first)->stored.config.dead_letter != name_of(to.first))
    wrong(turn, key, fmt::format("is dead, and goes to {}", name_of(to.first)));
  if (message_of(record).attempts != change.before->became.attempts)
    wrong(turn, key,
          fmt::format("is dead after {} deliveries, and said to be after {}", change.before->became.attempts,
                      message_of(record).attempts));
  judge_death(turn, key, *change.before);
}

void QueueModel::judge_gone(Turn& turn, const Key& key, const Change& change) {
  const Message& before = *change.before;
  const StoredDelivery& became = before.became;
  const Queue* queue = named(key.first);
  if (queue == nullptr) {
    if (!emptied_.contains(key.first)) wrong(turn, key, "is deleted with nothing that tells why");
    return;
  }
  if (before.has_delivery && (change.delivery == nullptr || change.delivery->has_value()))
    wrong(turn, key, "is gone, and what became of it is not");
  const Granted held{key.second, became.receipt};
  const uint64_t clock = turn.entry.clock;
  if (became.state == MessageState::kInFlight && wished(held, Settling::Kind::kAck))
    return note_settled(turn, key, Settling::Kind::kAck);
  const bool old = before.deadline != 0 && before.deadline <= clock && !before.in_flight(clock);
  const bool makes_room =
      before.ready(clock) && std::any_of(turn.changes.begin(), turn.changes.end(), [&](const auto& other) {
        return other.first.first == key.first && other.second.begins();
      });
  if (queue->stored.config.discard_old && (old || makes_room)) return;
  // Last, since each purge that was asked for explains the deletions of one entry.
  if (!before.in_flight(clock) && take_purge(turn, name_of(key.first), before)) return;
  wrong(turn, key,
        fmt::format("is gone while it was {}, and nobody wanted that", message_state_name(became.state)));
}

// ---- what becomes of them ----

void QueueModel::judge_delivery(Turn& turn, const Key& key, const Change& change) {
  if (change.before == nullptr) {
    if (change.delivery != nullptr && change.delivery->has_value())
      wrong(turn, key, "is none, and something becomes of it");
    return;
  }
  if (change.delivery == nullptr) return;
  const Message& before = *change.before;
  const StoredDelivery& was = before.became;
  const std::string name = name_of(key.first);
  if (name.empty()) {
    if (!emptied_.contains(key.first)) wrong(turn, key, "is of no queue, and something becomes of it");
    return;
  }
  if (!change.delivery->has_value()) {  // as if it had never been granted
    const bool lay = was.state == MessageState::kDead || was.state == MessageState::kDelayed;
    if (lay && take_kick(turn, name, before, "")) return;
    return judge_given_back(turn, key, before, StoredDelivery());
  }
  const std::optional<StoredDelivery> after = delivery_of(change.delivery);
  if (!after) return wrong(turn, key, "cannot be read");
  if (after->state == MessageState::kInFlight && after->receipt != was.receipt)
    return judge_grant(turn, key, before, *after);
  if (after->state == MessageState::kDead) {
    const Queue* target = nullptr;
    const auto found = queues_.find(named(key.first)->stored.config.dead_letter);
    if (found != queues_.end() && found->first != name) target = &found->second;
    if (target != nullptr && target->stored.config.max_messages == 0 && target->stored.config.max_bytes == 0)
      wrong(turn, key, fmt::format("is dead, and does not go to {}", found->first));
    return judge_death(turn, key, before);
  }
  judge_given_back(turn, key, before, *after);
}

void QueueModel::judge_grant(Turn& turn, const Key& key, const Message& before, const StoredDelivery& after) {
  const uint64_t clock = turn.entry.clock;
  const StoredDelivery& was = before.became;
  const Queue& queue = *named(key.first);
  const bool again = turn.again.contains(key);
  if (!again && !before.ready(clock))
    wrong(turn, key,
          fmt::format("is granted at {} ms while it is {} until {}", clock, message_state_name(was.state),
                      was.due));
  const bool ran = !again && was.state == MessageState::kInFlight && turn.appended && before.granted;
  if (ran && *turn.appended - *before.granted + kGrantRounded < lasts(before.granted_ms))
    wrong(turn, key,
          fmt::format("is granted again after {} us, and was for {} ms",
                      (*turn.appended - *before.granted).count(), before.granted_ms));
  if (after.receipt != turn.entry.revision.value || after.receipt <= before.newest)
    wrong(turn, key, fmt::format("gets receipt {} behind {}", after.receipt, before.newest));
  if (after.attempts != was.attempts + (again ? 0 : 1))
    wrong(turn, key, fmt::format("is granted as attempt {} behind {}", after.attempts, was.attempts));
  if (queue.stored.config.max_deliveries != 0 && !again &&
      after.attempts > queue.stored.config.max_deliveries)
    wrong(turn, key, fmt::format("is granted {} times", after.attempts));
  if (after.due <= clock) wrong(turn, key, "is granted for no time");
  judge_call(turn, key, after);
  if (again) {
    Grant& former = grants_[{key.second, was.receipt}];
    if (former.told) wrong(turn, key, "is granted anew, and its client was told that it has it");
    former.given_back = true;
  }
  grants_[{key.second, after.receipt}] = {turn.entry.revision, key.first, after.attempts, false, false};
}

// Who has something of this call already has all of it, under this sending.
void QueueModel::judge_call(Turn& turn, const Key& key, const StoredDelivery& after) {
  for (auto it = messages_.lower_bound({key.first, MessageId()});
       it != messages_.end() && it->first.first == key.first; ++it) {
    const StoredDelivery& other = it->second.became;
    const bool same =
        other.ticket == after.ticket && other.turn >> kSendingBits == after.turn >> kSendingBits;
    if (same && it->second.in_flight(turn.entry.clock) && !turn.changes.contains(it->first))
      wrong(turn, key, fmt::format("is granted to a call that has {} already", to_text(it->first.second)));
  }
}

// Or it is extended.
void QueueModel::judge_given_back(Turn& turn, const Key& key, const Message& before,
                                  const StoredDelivery& after) {
  using Kind = Settling::Kind;
  const uint64_t clock = turn.entry.clock;
  const StoredDelivery& was = before.became;
  const Granted held{key.second, was.receipt};
  if (was.state != MessageState::kInFlight)
    return wrong(turn, key, fmt::format("is given back while it is {}", message_state_name(was.state)));
  const bool at_once = !turn.changes.at(key).delivery->has_value();
  if (!at_once && after.receipt != was.receipt) return wrong(turn, key, "loses its receipt");
  if (after.state == MessageState::kInFlight) {
    if (!wished(held, Kind::kExtend) || after.attempts != was.attempts)
      return wrong(turn, key, "is extended, and nobody asked for it");
    return note_settled(turn, key, Kind::kExtend);
  }
  const QueueConfig& config = named(key.first)->stored.config;
  if (after.attempts + 1 == was.attempts && after.state == MessageState::kReady) {
    if (wished(held, Kind::kRelease)) return note_settled(turn, key, Kind::kRelease);
    const auto grant = grants_.find(held);  // a server may say so of what nobody waits for any more
    if (grant == grants_.end()) return wrong(turn, key, "is given back, and was not granted");
    grant->second.given_back = true;
    if (grant->second.told) wrong(turn, key, "is given back, and its client was told that it has it");
    return;
  }
  if (after.attempts != was.attempts) return wrong(turn, key, "is given back with other attempts");
  const uint64_t waits = after.state == MessageState::kDelayed ? after.due - clock : 0;
  const bool as_asked = wishes_.nacked(held, waits);
  const bool as_configured =
      wishes_.nacked(held, std::nullopt) && waits == backoff_after(config.backoff_ms, was.attempts);
  if (!as_asked && !as_configured)
    wrong(turn, key, fmt::format("waits for {} ms, and nobody asked for it", waits));
  if (is_last(was, config.max_deliveries)) wrong(turn, key, "is refused for the last time, and not dead");
  note_settled(turn, key, Kind::kNack);
}

// Somebody said so, or it was refused, or kept, for the last time, or it is too old.
void QueueModel::judge_death(Turn& turn, const Key& key, const Message& before) {
  using Kind = Settling::Kind;
  const StoredDelivery& was = before.became;
  const Granted held{key.second, was.receipt};
  const uint64_t clock = turn.entry.clock;
  const bool flies = was.state == MessageState::kInFlight;
  const bool last = is_last(was, named(key.first)->least_deliveries);
  if (flies && wished(held, Kind::kDead)) return note_settled(turn, key, Kind::kDead);
  if (flies && last && wished(held, Kind::kNack)) return note_settled(turn, key, Kind::kNack);
  const bool old = before.deadline != 0 && before.deadline <= clock && !before.in_flight(clock);
  const bool spent = last && before.ready(clock);
  if (was.state == MessageState::kDead) return wrong(turn, key, "dies twice");
  if (!old && !spent)
    wrong(turn, key,
          fmt::format("dies while it is {} until {}, after {} deliveries", message_state_name(was.state),
                      was.due, was.attempts));
}

// ---- order ----

// Which may be granted, the first ones first: of a group only the oldest that is not dead, while none of it is in
// flight.
std::set<std::pair<uint8_t, MessageId>> QueueModel::grantable(Number number, uint64_t clock) const {
  struct Head {
    MessageId id;
    bool in_flight = false;
  };
  const Queue& queue = *named(number);
  std::map<std::string, Head> lanes;
  const auto each = [&](auto fn) {
    for (auto it = messages_.lower_bound({number, MessageId()});
         it != messages_.end() && it->first.first == number; ++it)
      fn(it->first.second, it->second);
  };
  each([&](const MessageId& id, const Message& message) {
    const std::string lane = lane_of(queue, message);
    if (lane.empty() || message.became.state == MessageState::kDead) return;
    lanes.try_emplace(lane, Head{id, false}).first->second.in_flight |= message.in_flight(clock);
  });
  std::set<std::pair<uint8_t, MessageId>> found;
  each([&](const MessageId& id, const Message& message) {
    const std::string lane = lane_of(queue, message);
    const bool first =
        lane.empty() || (lanes.contains(lane) && lanes[lane].id == id && !lanes[lane].in_flight);
    const bool spent = is_last(message.became, queue.least_deliveries);
    if (first && !spent && message.ready(clock)) found.emplace(message.priority, id);
  });
  return found;
}

size_t QueueModel::in_flight(Number number, uint64_t clock) const {
  size_t count = 0;
  for (auto it = messages_.lower_bound({number, MessageId()});
       it != messages_.end() && it->first.first == number; ++it)
    count += it->second.in_flight(clock) ? 1 : 0;
  return count;
}

// Of the groups of those that this entry gives more time, though their time was over: no other one may be granted by
// it.
std::set<std::pair<QueueModel::Number, std::string>> QueueModel::lanes_held_up(const Turn& turn) const {
  std::set<std::pair<Number, std::string>> lanes;
  for (const auto& [key, change] : turn.changes) {
    const std::optional<StoredDelivery> after = delivery_of(change.delivery);
    const Queue* queue = named(key.first);
    if (!after || change.before == nullptr || queue == nullptr) continue;
    const StoredDelivery& before = change.before->became;
    const bool extended = before.state == MessageState::kInFlight && before.due <= turn.entry.clock &&
                          after->state == MessageState::kInFlight && after->receipt == before.receipt;
    const std::string lane = lane_of(*queue, *change.before);
    if (extended && !lane.empty()) lanes.emplace(key.first, lane);
  }
  return lanes;
}

// Nothing is passed over: what may be granted, and is left alone, comes behind all that is granted. And no more is in
// flight than the queue wants.
void QueueModel::judge_order(Turn& turn) {
  std::map<Number, std::vector<Key>> grants;
  for (const auto& [key, change] : turn.changes) {
    const std::optional<StoredDelivery> after = delivery_of(change.delivery);
    const bool granted = after && change.before != nullptr && after->state == MessageState::kInFlight &&
                         after->receipt != change.before->became.receipt;
    if (granted && !turn.again.contains(key) && named(key.first) != nullptr) grants[key.first].push_back(key);
  }
  const std::set<std::pair<Number, std::string>> held_up = lanes_held_up(turn);
  for (const auto& [number, keys] : grants) {
    for (const auto& first : grantable(number, turn.entry.clock)) {
      const MessageId& id = first.second;
      if (turn.changes.contains({number, id})) continue;
      if (held_up.contains({number, lane_of(*named(number), messages_.at({number, id}))})) continue;
      const auto behind = std::find_if(keys.begin(), keys.end(), [&](const Key& key) {
        return first < std::pair(messages_.at(key).priority, key.second);
      });
      if (behind == keys.end()) break;
      wrong(turn, *behind, fmt::format("is granted before {}, which is ready", to_text(id)));
    }
    const uint32_t most = named(number)->stored.config.max_in_flight;
    if (in_flight(number, turn.entry.clock) + keys.size() > most)
      wrong(turn, keys.front(), fmt::format("is granted, and {} are in flight already", most));
  }
}

// Of a group one at a time, and the oldest one.
void QueueModel::judge_lanes(Turn& turn) {
  for (const auto& [key, change] : turn.changes) {
    const auto now = messages_.find(key);
    const Queue* queue = named(key.first);
    if (queue == nullptr || now == messages_.end() || change.delivery == nullptr) continue;
    const std::string lane = lane_of(*queue, now->second);
    const bool granted =
        now->second.newest == turn.entry.revision.value && now->second.in_flight(turn.entry.clock);
    if (!granted || lane.empty() || turn.again.contains(key)) continue;
    for (auto it = messages_.lower_bound({key.first, MessageId()});
         it != messages_.end() && it->first.first == key.first; ++it) {
      const bool lives = it->second.became.state != MessageState::kDead;
      if (it->first == key || lane_of(*queue, it->second) != lane || !lives) continue;
      if (it->first < key)
        wrong(turn, key, fmt::format("is granted before {} of its group", to_text(it->first.second)));
      if (it->second.in_flight(turn.entry.clock))
        wrong(turn, key, fmt::format("is granted beside {} of its group", to_text(it->first.second)));
    }
  }
}

// ---- what comes of it ----

void QueueModel::apply(Turn& turn) {
  for (const auto& [key, change] : turn.changes) {
    if (change.message != nullptr && !change.message->has_value()) {
      messages_.erase(key);
      continue;
    }
    if (change.begins()) {
      Message& message = messages_[key];
      message = read_message(*change.message, Message());
      note_sent(key.second, message.body);
    }
    const auto now = messages_.find(key);
    if (now == messages_.end() || change.delivery == nullptr) continue;
    Message& message = now->second;
    message.has_delivery = change.delivery->has_value();
    message.became = delivery_of(change.delivery).value_or(StoredDelivery());
    message.newest = std::max(message.newest, message.became.receipt);
    if (message.became.state != MessageState::kInFlight) continue;
    message.granted = turn.appended;
    message.granted_ms = message.became.due - std::min(message.became.due, turn.entry.clock);
  }
}

void QueueModel::note_grantable(const Turn& turn) {
  for (auto& [name, queue] : queues_) {
    const uint64_t number = queue.stored.number;
    const bool some = in_flight(number, turn.entry.clock) < queue.stored.config.max_in_flight &&
                      !grantable(number, turn.entry.clock).empty();
    if (!some || !turn.appended) {
      queue.grantable.reset();
    } else if (!queue.grantable) {
      queue.grantable = turn.appended;
    }
  }
}

std::optional<Instant> QueueModel::grantable_since(const SourceOf& queue) const {
  const auto it = queues_.find(queue.first);
  return it == queues_.end() ? std::nullopt : it->second.grantable;
}

std::vector<SourceOf> QueueModel::sources_left() const {
  std::set<SourceOf> sources;
  for (const auto& [key, message] : messages_) {
    const std::string name = name_of(key.first);
    if (!name.empty() && message.became.state != MessageState::kDead) sources.emplace(name, "");
  }
  return {sources.begin(), sources.end()};
}

std::string QueueModel::left() const {
  std::string text;
  for (const auto& [key, message] : messages_) {
    const std::string name = name_of(key.first);
    if (name.empty() || message.became.state == MessageState::kDead) continue;
    text += fmt::format("message {} of {} is {} until {}; ", to_text(key.second), name,
                        message_state_name(message.became.state), message.became.due);
  }
  return text;
}

std::string QueueModel::unheard(Instant since, Instant before, Instant now) const {
  for (const auto& [key, message] : messages_) {
    if (name_of(key.first).empty() || !message.in_flight(clock_) || !message.granted) continue;
    if (*message.granted < since || *message.granted > before) continue;
    if (*message.granted + lasts(message.granted_ms) <= now) continue;
    const auto grant = grants_.find({key.second, message.became.receipt});
    if (grant == grants_.end() || grant->second.told) continue;
    return fmt::format("message {} of {} was granted at revision {} to nobody, and is not given back",
                       to_text(key.second), name_of(key.first), grant->second.at.value);
  }
  return {};
}

}  // namespace kvd::sim
