// See topic_model.hpp: what becomes of the messages of a subscription.
#include <fmt/format.h>

#include <algorithm>

#include "topic_model.hpp"

namespace kvd::sim {
namespace {

constexpr Duration kClockRounded = milliseconds(2);  // of clocks that show whole milliseconds

}  // namespace

bool TopicModel::Delivery::in_flight(uint64_t clock) const {
  return became.state == MessageState::kInFlight && became.due > clock;
}

bool TopicModel::Delivery::ready(uint64_t clock) const {
  return !over() && (became.state == MessageState::kReady || became.due <= clock);
}

bool TopicModel::Delivery::over() const {
  return became.state == MessageState::kDead || became.state == MessageState::kSettled;
}

const TopicModel::Delivery* TopicModel::Subscription::delivery(const MessageId& id) const {
  const auto it = deliveries.find(id);
  return it == deliveries.end() ? nullptr : &it->second;
}

bool TopicModel::Subscription::ended(const MessageId& id) const {
  const Delivery* found = delivery(id);
  return found == nullptr ? id <= place.id : found->over();
}

MessageId TopicModel::Subscription::next() const {
  return deliveries.empty() ? place.id : std::max(place.id, deliveries.rbegin()->first);
}

size_t TopicModel::Subscription::window() const {
  return static_cast<size_t>(std::count_if(deliveries.begin(), deliveries.end(), [&](const auto& item) {
    return item.second.became.state != MessageState::kDead || item.first > place.id;
  }));
}

size_t TopicModel::Subscription::in_flight(uint64_t clock) const {
  return static_cast<size_t>(std::count_if(deliveries.begin(), deliveries.end(),
                                           [&](const auto& item) { return item.second.in_flight(clock); }));
}

std::string TopicModel::group_of(const Subscription& of, const MessageId& id) const {
  const Topic* topic = topic_of(of.stored.topic);
  if (!of.stored.config.ordered || topic == nullptr) return {};
  const auto message = topic->messages.find(id);
  return message == topic->messages.end() ? std::string() : message->second.group;
}

// ---- one message ----

void TopicModel::judge_delivery(Turn& turn, const Record& record) {
  const auto [number, id] = message_key_of(record.key());
  const auto it = subscriptions_.find(number);
  if (it == subscriptions_.end()) {
    if (topic_of(number) != nullptr) wrong(turn, {topic_of(number)->name, ""}, id, "has become something");
    const bool deleted = !record.has_value() && emptied_.contains(number);
    if (former_.contains(number) && !deleted)
      turn.why += fmt::format("something becomes of message {} of number {}, which was moved, or is gone; ",
                              to_text(id), number);
    return;
  }
  Subscription& of = touch(turn, number);
  if (!record.has_value()) return judge_end(turn, of, id);
  const std::optional<StoredDelivery> after = delivery_of(&record);
  if (!after) return wrong(turn, of.name, id, "cannot be read");
  const Topic* topic = topic_of(of.stored.topic);
  if (topic == nullptr || !topic->messages.contains(id))
    wrong(turn, of.name, id, "is none, and something becomes of it");
  const Delivery* was = of.delivery(id);
  if (after->state == MessageState::kSettled) {
    judge_settled(turn, of, id);
  } else if (after->state == MessageState::kInFlight &&
             (was == nullptr || after->receipt != was->became.receipt)) {
    judge_grant(turn, of, id, *after);
  } else if (after->state == MessageState::kDead) {
    judge_death(turn, of, id, was == nullptr ? Delivery() : *was, false);
  } else {
    judge_left(turn, of, id, *after);
  }
  Delivery& now = of.deliveries[id];
  now.became = *after;
  if (after->state != MessageState::kInFlight) return;
  uint64_t& newest = of.newest[id];
  newest = std::max(newest, after->receipt);
  now.granted = turn.appended;
  now.granted_ms = after->due - std::min(after->due, turn.entry.clock);
}

// Nothing is kept any more of what became of it: the cursor is behind it, or the message itself goes.
void TopicModel::judge_end(Turn& turn, Subscription& of, const MessageId& id) {
  const Delivery* was = of.delivery(id);
  if (was == nullptr) return wrong(turn, of.name, id, "is forgotten, and was nothing");
  const auto gone = turn.gone.find(of.stored.topic);
  const bool goes = gone != turn.gone.end() && gone->second.contains(id);
  const bool acked =
      was->became.state == MessageState::kInFlight && wished({id, was->became.receipt}, Settling::Kind::kAck);
  if (was->became.state == MessageState::kSettled) {
    if (!goes && of.place.id < id) wrong(turn, of.name, id, "was settled, and that is forgotten");
  } else if (!goes) {
    if (of.place.id < id) wrong(turn, of.name, id, "is forgotten before the cursor has passed it");
    judge_settled(turn, of, id);
  } else if (acked && !was->over()) {  // by the same write, perhaps
    settled_[{id, was->became.receipt}][Settling::Kind::kAck] |= false;
    turn.acked.insert({of.stored.number, id});
  }
  of.deliveries.erase(id);
}

void TopicModel::judge_settled(Turn& turn, Subscription& of, const MessageId& id) {
  const Delivery* was = of.delivery(id);
  if (was == nullptr) return wrong(turn, of.name, id, "is settled, and nobody had it");
  of.settled.insert(id);
  if (claim_buried(turn, of, id, *was)) return;
  if (was->became.state != MessageState::kInFlight ||
      !wished({id, was->became.receipt}, Settling::Kind::kAck))
    return wrong(turn, of.name, id,
                 fmt::format("is settled while it was {}, and nobody wanted that",
                             message_state_name(was->became.state)));
  turn.acked.insert({of.stored.number, id});
  note_settled(turn, *was, id, Settling::Kind::kAck);
}

// What is in flight no more by the clock may have ended for another reason.
void TopicModel::note_settled(const Turn& turn, const Delivery& was, const MessageId& id,
                              Settling::Kind kind) {
  settled_[{id, was.became.receipt}][kind] |= was.in_flight(turn.entry.clock);
}

void TopicModel::judge_grant(Turn& turn, Subscription& of, const MessageId& id, const StoredDelivery& after) {
  const uint64_t clock = turn.entry.clock;
  const Delivery* known = of.delivery(id);
  const Delivery was = known == nullptr ? Delivery() : *known;
  const bool again = known != nullptr && is_again(was.became, after, clock);
  const Key key(of.stored.number, id);
  (again ? turn.again : turn.granted).insert(key);
  if (of.ended(id)) wrong(turn, of.name, id, "is granted, and is settled or dead");
  if (!again && !was.ready(clock))
    wrong(turn, of.name, id,
          fmt::format("is granted at {} ms while it is {} until {}", clock,
                      message_state_name(was.became.state), was.became.due));
  const bool ran = !again && was.became.state == MessageState::kInFlight && turn.appended && was.granted;
  if (ran && *turn.appended - *was.granted + kClockRounded < lasts(was.granted_ms))
    wrong(turn, of.name, id,
          fmt::format("is granted again after {} us, and was for {} ms",
                      (*turn.appended - *was.granted).count(), was.granted_ms));
  if (after.receipt != turn.entry.revision.value || after.receipt <= of.newest[id])
    wrong(turn, of.name, id, fmt::format("gets receipt {} behind {}", after.receipt, of.newest[id]));
  if (after.attempts != was.became.attempts + (again ? 0 : 1))
    wrong(turn, of.name, id,
          fmt::format("is granted as attempt {} behind {}", after.attempts, was.became.attempts));
  const SubscriptionConfig& config = of.stored.config;
  if (config.max_deliveries != 0 && !again && after.attempts > config.max_deliveries)
    wrong(turn, of.name, id, fmt::format("is granted {} times", after.attempts));
  if (after.due <= clock) wrong(turn, of.name, id, "is granted for no time");
  const bool used = clock < of.place.used_ms + config.expires_ms / 8 || clock == of.place.used_ms;
  if (config.expires_ms != 0 && !used)
    wrong(turn, of.name, id, "is granted, and the subscription is not in use");
  judge_call(turn, of, id, after);
  if (again) {
    Grant& former = grants_[{id, was.became.receipt}];
    if (former.told) wrong(turn, of.name, id, "is granted anew, and its client was told that it has it");
    former.given_back = true;
  }
  grants_[{id, after.receipt}] = {turn.entry.revision, of.stored.number, after.attempts, false, false};
}

// Who has something of this call already has all of it, under this sending.
void TopicModel::judge_call(Turn& turn, const Subscription& of, const MessageId& id,
                            const StoredDelivery& after) {
  for (const auto& item : turn.before.at(of.stored.number).deliveries) {
    const MessageId& other_id = item.first;
    const Delivery& other = item.second;
    const StoredDelivery& became = other.became;
    const bool same =
        became.ticket == after.ticket && became.turn >> kSendingBits == after.turn >> kSendingBits;
    const bool stays =
        std::none_of(turn.entry.effects.begin(), turn.entry.effects.end(), [&](const Record& effect) {
          return effect.space() == Space::kDeliveries &&
                 effect.key() == message_key(of.stored.number, other_id);
        });
    if (same && stays && other.in_flight(turn.entry.clock))
      wrong(turn, of.name, id, fmt::format("is granted to a call that has {} already", to_text(other_id)));
  }
}

bool TopicModel::take_kick(Turn& turn, const Subscription& of, const Delivery& was) {
  const std::string what = fmt::format("kick {} {}", of.name.first, of.name.second);
  if (turn.taken.contains(what)) return true;
  if (!wishes_.take_kick(source_name(of.name.first, of.name.second), {was.became.state}, "")) return false;
  turn.taken.insert(what);
  return true;
}

// It is given back, or extended, or kicked; or it was passed over.
void TopicModel::judge_left(Turn& turn, Subscription& of, const MessageId& id, const StoredDelivery& after) {
  using Kind = Settling::Kind;
  const uint64_t clock = turn.entry.clock;
  const Delivery* known = of.delivery(id);
  const bool untouched = after.state == MessageState::kReady && after.attempts == 0 && after.receipt == 0;
  if (known == nullptr) {
    if (!untouched || group_of(of, id).empty() || id <= turn.before.at(of.stored.number).next())
      wrong(turn, of.name, id, "was never granted, and something becomes of it");
    return;
  }
  const Delivery was = *known;
  const Granted held{id, was.became.receipt};
  const bool lay = was.became.state == MessageState::kDead || was.became.state == MessageState::kDelayed;
  if (lay && untouched && take_kick(turn, of, was)) return;
  if (was.became.state != MessageState::kInFlight)
    return wrong(turn, of.name, id,
                 fmt::format("is given back while it is {}", message_state_name(was.became.state)));
  if (after.receipt != was.became.receipt) return wrong(turn, of.name, id, "loses its receipt");
  if (after.state == MessageState::kInFlight) {
    if (!wished(held, Kind::kExtend) || after.attempts != was.became.attempts)
      return wrong(turn, of.name, id, "is extended, and nobody asked for it");
    return note_settled(turn, was, id, Kind::kExtend);
  }
  if (after.attempts + 1 == was.became.attempts && after.state == MessageState::kReady) {
    if (wished(held, Kind::kRelease)) return note_settled(turn, was, id, Kind::kRelease);
    const auto grant = grants_.find(held);  // a server may say so of what nobody waits for any more
    if (grant == grants_.end()) return wrong(turn, of.name, id, "is given back, and was not granted");
    grant->second.given_back = true;
    if (grant->second.told) wrong(turn, of.name, id, "is given back, and its client was told that it has it");
    return;
  }
  if (after.attempts != was.became.attempts)
    return wrong(turn, of.name, id, "is given back with other attempts");
  const uint64_t waits = after.state == MessageState::kDelayed ? after.due - clock : 0;
  const bool as_asked = wishes_.nacked(held, waits);
  const bool as_configured = wishes_.nacked(held, std::nullopt) &&
                             waits == backoff_after(of.stored.config.backoff_ms, was.became.attempts);
  if (!as_asked && !as_configured)
    wrong(turn, of.name, id, fmt::format("waits for {} ms, and nobody asked for it", waits));
  if (is_last(was.became, of.stored.config.max_deliveries))
    wrong(turn, of.name, id, "is refused for the last time, and not dead");
  note_settled(turn, was, id, Kind::kNack);
}

// Somebody said so, or it was refused, or kept, for the last time.
void TopicModel::judge_death(Turn& turn, Subscription& of, const MessageId& id, const Delivery& was,
                             bool moves) {
  using Kind = Settling::Kind;
  const auto target = queues_.find(of.stored.config.dead_letter);
  const bool has_room = target != queues_.end() && target->second.config.max_messages == 0 &&
                        target->second.config.max_bytes == 0;
  if (!moves && has_room)
    wrong(turn, of.name, id, fmt::format("is dead, and does not go to {}", target->first));
  const Granted held{id, was.became.receipt};
  const bool flies = was.became.state == MessageState::kInFlight;
  const bool last = is_last(was.became, of.least_deliveries);
  if (flies && wished(held, Kind::kDead)) return note_settled(turn, was, id, Kind::kDead);
  if (flies && last && wished(held, Kind::kNack)) return note_settled(turn, was, id, Kind::kNack);
  if (was.over()) return wrong(turn, of.name, id, "dies twice");
  if (!last || !was.ready(turn.entry.clock))
    wrong(turn, of.name, id,
          fmt::format("dies while it is {} until {}, after {} deliveries",
                      message_state_name(was.became.state), was.became.due, was.became.attempts));
}

// It is dead, and goes to where its subscription has such ones.
bool TopicModel::claim_buried(Turn& turn, const Subscription& of, const MessageId& id, const Delivery& was) {
  const auto copy = std::find_if(turn.buried.begin(), turn.buried.end(), [&](const Buried& dead) {
    const auto sent = sent_.find(id);
    return dead.from == source_name(of.name.first, of.name.second) &&
           dead.to == of.stored.config.dead_letter && sent != sent_.end() && dead.body == sent->second &&
           dead.attempts == was.became.attempts;
  });
  if (copy == turn.buried.end()) return false;
  turn.buried.erase(copy);
  judge_death(turn, subscriptions_.at(of.stored.number), id, was, true);
  return true;
}

// ---- all that it touches of a subscription ----

void TopicModel::judge_subscription(Turn& turn, Number number) {
  const auto it = subscriptions_.find(number);
  if (it == subscriptions_.end()) return;
  const Subscription& before = turn.before.at(number);
  Subscription& after = it->second;
  judge_order(turn, number, before);
  judge_window(turn, number, before, after);
  judge_lanes(turn, number, after);
  judge_cursor(turn, before, after);
}

void TopicModel::judge_cursor(Turn& turn, const Subscription& before, Subscription& after) {
  const Topic* topic = topic_of(after.stored.topic);
  if (topic == nullptr) return;
  const MessageId from = before.place.id;
  const MessageId to = after.place.id;
  if (const auto gone = turn.gone.find(after.stored.topic); gone != turn.gone.end()) {
    for (const auto& [id, message] : gone->second) {
      const bool acked = turn.acked.contains({after.stored.number, id}) && id <= to;
      if (id > from && !before.ended(id) && !acked) after.lost.insert(id);
      if (after.delivery(id) != nullptr) wrong(turn, after.name, id, "is gone, and what became of it is not");
    }
  }
  if (to < from)
    wrong(turn, after.name, from,
          fmt::format("is not passed any more: the cursor goes back to {}", to_text(to)));
  for (auto it = topic->messages.upper_bound(from); it != topic->messages.end() && it->first <= to; ++it) {
    const Delivery* delivery = after.delivery(it->first);
    if (!after.settled.contains(it->first) && (delivery == nullptr || !delivery->over()))
      wrong(turn, after.name, it->first, "is passed by the cursor, and is neither settled nor dead");
  }
  const bool passes_lost = !after.lost.empty() && *after.lost.begin() <= to;
  if (after.place.gaps != before.place.gaps + (passes_lost ? 1 : 0))
    wrong(turn, after.name, to,
          fmt::format("ends a way with {}, and {} gaps are counted", passes_lost ? "a gap" : "no gap",
                      after.place.gaps - before.place.gaps));
  if (passes_lost) gaps_[after.name].push_back({from, to, false});
  after.lost.erase(after.lost.begin(), after.lost.upper_bound(to));
  const auto next = topic->messages.upper_bound(to);
  if (after.lost.empty() && next != topic->messages.end() && after.ended(next->first))
    wrong(turn, after.name, next->first, "has ended, and the cursor does not pass it");
}

// From the cursor on no more than the subscription wants, and none is left out.
void TopicModel::judge_window(Turn& turn, Number number, const Subscription& before,
                              const Subscription& after) {
  const Topic* topic = topic_of(after.stored.topic);
  std::vector<MessageId> fresh;
  for (const auto& [id, delivery] : after.deliveries) {
    if (before.delivery(id) == nullptr) fresh.push_back(id);
  }
  const uint32_t most = after.stored.config.max_in_flight;
  if (!fresh.empty() && before.window() + fresh.size() > most)
    wrong(turn, after.name, fresh.back(), fmt::format("is granted beyond a window of {}", most));
  size_t grants = 0;
  for (const Key& key : turn.granted) grants += key.first == number ? 1 : 0;
  if (grants != 0 && before.in_flight(turn.entry.clock) + grants > most)
    wrong(turn, after.name, fresh.empty() ? MessageId() : fresh.back(),
          fmt::format("is granted, and {} are in flight already", most));
  if (fresh.empty() || topic == nullptr) return;
  for (auto it = topic->messages.upper_bound(after.place.id);
       it != topic->messages.end() && it->first < fresh.back(); ++it) {
    if (after.delivery(it->first) == nullptr)
      wrong(turn, after.name, it->first,
            fmt::format("is left out, and {} is granted", to_text(fresh.back())));
  }
}

// Of those that were granted before, or passed over, which may be granted: of a group only the oldest, while none of it
// is in flight.
std::set<MessageId> TopicModel::grantable(const Subscription& of, uint64_t clock) const {
  std::map<std::string, std::pair<MessageId, bool>> lanes;  // the first one, and whether any is in flight
  for (const auto& [id, delivery] : of.deliveries) {
    const std::string group = group_of(of, id);
    if (group.empty() || delivery.over()) continue;
    lanes.try_emplace(group, id, false).first->second.second |= delivery.in_flight(clock);
  }
  std::set<MessageId> found;
  for (const auto& [id, delivery] : of.deliveries) {
    const std::string group = group_of(of, id);
    const bool first = group.empty() || lanes[group] == std::pair(id, false);
    if (first && delivery.ready(clock) && !is_last(delivery.became, of.least_deliveries)) found.insert(id);
  }
  return found;
}

// Of those that never were, as far as the window has room.
bool TopicModel::grantable_behind(const Subscription& of) const {
  const Topic* topic = topic_of(of.stored.topic);
  if (topic == nullptr) return false;
  std::set<std::string> busy;
  for (const auto& [id, delivery] : of.deliveries) {
    if (!delivery.over()) busy.insert(group_of(of, id));
  }
  busy.erase("");
  size_t window = of.window();
  for (auto it = topic->messages.upper_bound(of.next()); it != topic->messages.end(); ++it) {
    if (window++ >= of.stored.config.max_in_flight) return false;
    if (!busy.contains(group_of(of, it->first))) return true;
  }
  return false;
}

// Of the groups of those that this entry gives more time, though their time was over: no other one may be granted by
// it.
std::set<std::string> TopicModel::groups_held_up(const Turn& turn, Number number,
                                                 const Subscription& before) const {
  std::set<std::string> groups;
  for (const Record& effect : turn.entry.effects) {
    const auto after = effect.space() == Space::kDeliveries ? delivery_of(&effect) : std::nullopt;
    if (!after || message_key_of(effect.key()).number != number) continue;
    const auto known = before.deliveries.find(message_key_of(effect.key()).id);
    if (known == before.deliveries.end()) continue;
    const StoredDelivery& was = known->second.became;
    const bool extended = was.state == MessageState::kInFlight && was.due <= turn.entry.clock &&
                          after->state == MessageState::kInFlight && after->receipt == was.receipt;
    if (extended) groups.insert(group_of(before, known->first));
  }
  groups.erase("");
  return groups;
}

// Nothing is passed over: what may be granted, and is left alone, comes behind all that is granted.
void TopicModel::judge_order(Turn& turn, Number number, const Subscription& before) {
  const auto last = turn.granted.lower_bound({number + 1, MessageId()});
  if (last == turn.granted.begin() || std::prev(last)->first != number) return;
  const MessageId behind = std::prev(last)->second;
  const std::set<std::string> held_up = groups_held_up(turn, number, before);
  for (const MessageId& id : grantable(before, turn.entry.clock)) {
    if (held_up.contains(group_of(before, id))) continue;
    const std::string key = message_key(number, id);
    const bool left = std::none_of(
        turn.entry.effects.begin(), turn.entry.effects.end(),
        [&](const Record& effect) { return effect.space() == Space::kDeliveries && effect.key() == key; });
    if (left && id < behind)
      wrong(turn, before.name, behind, fmt::format("is granted before {}, which is ready", to_text(id)));
  }
}

// Of a group one at a time, and the oldest one.
void TopicModel::judge_lanes(Turn& turn, Number number, const Subscription& after) {
  for (const Key& key : turn.granted) {
    const std::string group = key.first == number ? group_of(after, key.second) : std::string();
    if (group.empty()) continue;
    for (const auto& [id, other] : after.deliveries) {
      if (id == key.second || other.over() || group_of(after, id) != group) continue;
      if (id < key.second)
        wrong(turn, after.name, key.second, fmt::format("is granted before {} of its group", to_text(id)));
      if (other.in_flight(turn.entry.clock))
        wrong(turn, after.name, key.second, fmt::format("is granted beside {} of its group", to_text(id)));
    }
  }
}

}  // namespace kvd::sim
