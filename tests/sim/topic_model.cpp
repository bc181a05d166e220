// See topic_model.hpp: what is committed, as it comes and goes. What becomes of a subscription's messages:
// topic_rules.cpp; what clients are told: topic_answers.cpp.
#include "topic_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace kvd::sim {

uint64_t TopicModel::Topic::bytes() const {
  uint64_t sum = 0;
  for (const auto& [id, message] : messages) sum += message.body.size();
  return sum;
}

void TopicModel::wrong(Turn& turn, const SourceOf& source, const MessageId& id, const std::string& what) {
  turn.why += fmt::format("message {} of {} {} {}; ", to_text(id), source.first, source.second, what);
}

TopicModel::Topic* TopicModel::topic_of(Number number) {
  const auto it = topics_.find(number);
  return it == topics_.end() ? nullptr : &it->second;
}

const TopicModel::Topic* TopicModel::topic_of(Number number) const {
  const auto it = topics_.find(number);
  return it == topics_.end() ? nullptr : &it->second;
}

const TopicModel::Subscription* TopicModel::find(const SourceOf& name) const {
  const auto it = subscription_names_.find(name);
  return it == subscription_names_.end() ? nullptr : &subscriptions_.at(it->second);
}

// As it is before the entry is kept.
TopicModel::Subscription& TopicModel::touch(Turn& turn, Number number) {
  Subscription& subscription = subscriptions_.at(number);
  turn.before.try_emplace(number, subscription);
  return subscription;
}

void TopicModel::on_asked(const Operation& operation) {
  MessageLedger::on_asked(operation);
  if (const auto* remove = std::get_if<DeleteTopic>(&operation)) ++deletes_[{remove->name, ""}];
  if (const auto* remove = std::get_if<DeleteSubscription>(&operation))
    ++deletes_[{remove->topic, remove->name}];
  if (const auto* seek = std::get_if<SeekSubscription>(&operation))
    seeks_[{seek->topic, seek->name}].push_back(seek->to);
  if (const auto* make = std::get_if<Box<MakeSubscription>>(&operation))
    makes_[{(*make)->topic, (*make)->name}].push_back({(*make)->config, (*make)->from});
}

void TopicModel::forget_all() {
  MessageLedger::forget_all();
  topics_.clear();
  subscriptions_.clear();
  topic_names_.clear();
  subscription_names_.clear();
  queues_.clear();
  former_.clear();
  emptied_.clear();
  dedup_.clear();
  gaps_.clear();
  acked_.clear();
  acked_by_.clear();
}

std::string TopicModel::on_entry(const Entry& entry, std::optional<Instant> appended) {
  const bool concerns = std::any_of(entry.effects.begin(), entry.effects.end(), [](const Record& effect) {
    return of_queues(effect.space()) || effect.key().starts_with(kAckedPrefix);
  });
  if (!begin(entry) || !concerns) return {};
  Turn turn{entry, appended, {}, {}, {}, {}, {}, {}, {}, {}, {}, false, {}, {}};
  const auto each = [&](Space space, auto fn) {
    for (const Record& effect : entry.effects) {
      if (effect.space() == space) fn(effect);
    }
  };
  each(Space::kQueues, [&](const Record& effect) { take_source(turn, effect); });
  judge_places(turn);
  each(Space::kDedup, [&](const Record& effect) { take_name(turn, effect); });
  each(Space::kMessages, [&](const Record& effect) { take_message(turn, effect); });
  judge_trimmed(turn);
  each(Space::kDeliveries, [&](const Record& effect) { judge_delivery(turn, effect); });
  for (const Buried& dead : turn.buried) {
    if (!turn.from_queue)
      turn.why += fmt::format("{} is dead in {}, and came from nowhere; ", dead.body, dead.to);
  }
  for (const auto& [number, before] : turn.before) judge_subscription(turn, number);
  each(Space::kData, [&](const Record& effect) {
    if (effect.key().starts_with(kAckedPrefix)) judge_acked_key(turn, effect);
  });
  note_grantable(turn);
  return turn.why.empty() ? turn.why : fmt::format("revision {}: {}", entry.revision.value, turn.why);
}

// ---- topics, subscriptions, and names of sends ----

void TopicModel::take_source(Turn& turn, const Record& record) {
  const std::string_view key = record.key();
  if (names_topic(key)) return take_topic(turn, record);
  if (names_subscription(key)) return take_subscription(turn, record);
  if (is_place(key)) return take_place(turn, record);
  if (names_queue(key)) {
    const std::optional<StoredQueue> queue = queue_of(&record);
    if (queue) queues_[std::string(key.substr(1))] = *queue;
    if (!queue) queues_.erase(std::string(key.substr(1)));
  } else if (is_emptied(key) && record.has_value()) {
    emptied_[emptied_number(key)] = empties_names(record);
  } else if (is_emptied(key)) {  // everything that bore the number is gone by then
    emptied_.erase(emptied_number(key));
    former_.erase(emptied_number(key));
  }
}

void TopicModel::take_topic(Turn& turn, const Record& record) {
  const std::string name(record.key().substr(1));
  const auto known = topic_names_.find(name);
  const std::optional<StoredTopic> stored = kvd::topic_of(&record);
  if (!stored) {
    if (record.has_value()) turn.why += fmt::format("topic {} cannot be read; ", name);
    if (known == topic_names_.end()) return;
    uint64_t& wish = deletes_[{name, ""}];
    if (wish == 0) turn.why += fmt::format("topic {} is deleted, and nobody asked for it; ", name);
    wish -= wish == 0 ? 0 : 1;
    const Number number = known->second;
    topic_names_.erase(known);
    for (const auto& [its_name, its_number] : std::map(subscription_names_)) {
      if (its_name.first == name && subscriptions_.at(its_number).stored.topic == number)
        drop_subscription(turn, its_number);
    }
    topics_.erase(number);
    former_.insert(number);
    return;
  }
  if (known == topic_names_.end()) {
    if (stored->number != turn.entry.revision.value)
      turn.why += fmt::format("topic {} is made with number {}; ", name, stored->number);
    topics_[stored->number] = {name, *stored, {}, {}};
    topic_names_[name] = stored->number;
    return;
  }
  if (stored->number != known->second)
    turn.why += fmt::format("topic {} gets number {}; ", name, stored->number);
  topics_.at(known->second).stored.config = stored->config;
}

void TopicModel::take_subscription(Turn& turn, const Record& record) {
  const auto [topic, own] = subscription_names(record.key());
  const SourceOf name(topic, own);
  const auto known = subscription_names_.find(name);
  const std::optional<StoredSubscription> stored = subscription_of(&record);
  if (!stored) {
    if (record.has_value()) turn.why += fmt::format("subscription {} {} cannot be read; ", topic, own);
    if (known == subscription_names_.end()) return;
    const Subscription& subscription = subscriptions_.at(known->second);
    const uint64_t expires = subscription.stored.config.expires_ms;
    const bool unused = expires != 0 && subscription.place.used_ms + expires <= turn.entry.clock;
    const bool with_topic =
        std::any_of(turn.entry.effects.begin(), turn.entry.effects.end(), [&](const Record& effect) {
          return effect.space() == Space::kQueues && effect.key() == topic_key(name.first) &&
                 !effect.has_value();
        });
    uint64_t& wish = deletes_[name];
    if (!with_topic && !unused && wish == 0)
      turn.why += fmt::format("subscription {} {} is deleted, and nobody asked for it; ", topic, own);
    if (!with_topic && !unused && wish != 0) --wish;
    return drop_subscription(turn, known->second);
  }
  if (known == subscription_names_.end()) return make_subscription(turn, name, *stored);
  if (stored->number != known->second) return move_subscription(turn, name, known->second, *stored);
  Subscription& subscription = touch(turn, known->second);
  const bool reordered = stored->config.ordered != subscription.stored.config.ordered;
  const bool lies =
      std::any_of(subscription.deliveries.begin(), subscription.deliveries.end(),
                  [](const auto& item) { return item.second.became.state != MessageState::kDead; });
  if (reordered && lies)
    turn.why += fmt::format("subscription {} {} changes its order, and has messages; ", topic, own);
  subscription.stored = *stored;
  const uint32_t most = stored->config.max_deliveries;
  uint32_t& least = subscription.least_deliveries;
  if (most != 0 && (least == 0 || most < least)) least = most;
}

// Its place is judged when it is known.
void TopicModel::make_subscription(Turn& turn, const SourceOf& name, const StoredSubscription& stored) {
  const auto topic = topic_names_.find(name.first);
  if (topic == topic_names_.end() || topic->second != stored.topic)
    turn.why += fmt::format("subscription {} {} is of no such topic; ", name.first, name.second);
  if (stored.number != turn.entry.revision.value)
    turn.why += fmt::format("subscription {} {} has number {}; ", name.first, name.second, stored.number);
  Subscription made;
  made.name = name;
  made.stored = stored;
  made.least_deliveries = stored.config.max_deliveries;
  subscriptions_[stored.number] = made;
  subscription_names_[name] = stored.number;
  turn.made.insert(stored.number);
}

void TopicModel::move_subscription(Turn& turn, const SourceOf& name, Number from,
                                   const StoredSubscription& stored) {
  drop_subscription(turn, from);
  make_subscription(turn, name, stored);
  turn.moved.insert(stored.number);
}

void TopicModel::drop_subscription(Turn& turn, Number number) {
  turn.before.erase(number);
  subscription_names_.erase(subscriptions_.at(number).name);
  subscriptions_.erase(number);
  former_.insert(number);
}

void TopicModel::take_place(Turn& turn, const Record& record) {
  const Number number = place_number(record.key());
  const StoredPlace place = place_of(&record);
  if (Topic* topic = topic_of(number)) {
    if (place.id < topic->place.id)
      turn.why += fmt::format("what {} has lost is less than before; ", topic->name);
    topic->place = place;
  } else if (subscriptions_.contains(number)) {
    touch(turn, number).place = place;
  } else if (record.has_value()) {
    turn.why += fmt::format("number {} has a place, and is nobody's; ", number);
  }
}

// What a wish says is before this place, and nothing else. By the clock on the wall some of what was published before
// may be behind it.
bool TopicModel::fits(const Turn& turn, const Topic& topic, const MessageId& place,
                      const TopicPlace& asked) const {
  switch (asked.kind) {
    case TopicPlace::Kind::kFirst:
      return place == topic.place.id;
    case TopicPlace::Kind::kNow:
      return place == MessageId{turn.entry.revision.previous(), limits::kKicked - 1};
    case TopicPlace::Kind::kId:
      return place == std::max(asked.id, topic.place.id);
    case TopicPlace::Kind::kTime:
      break;
  }
  const auto behind = topic.messages.upper_bound(place);
  const bool skips_late = behind != topic.messages.begin() && std::prev(behind)->second.sent_ms >= asked.ms;
  const auto sent = sent_.lower_bound({place.revision, 0});
  const bool behind_one = place.index == limits::kKicked - 1 && sent != sent_.end() && sent->first <= place;
  const bool at_one = behind_one || sent_.contains(place);
  return (place == topic.place.id || (at_one && place > topic.place.id)) && !skips_late;
}

// Of subscriptions that this entry makes, or moves.
void TopicModel::judge_places(Turn& turn) {
  for (const Number number : turn.made) {
    const auto it = subscriptions_.find(number);
    const Topic* topic = it == subscriptions_.end() ? nullptr : topic_of(it->second.stored.topic);
    if (topic == nullptr) continue;
    Subscription& subscription = it->second;
    turn.before.erase(number);
    const MessageId place = subscription.place.id;
    const auto& seeks = seeks_[subscription.name];
    const auto& makes = makes_[subscription.name];
    const bool sought = std::any_of(seeks.begin(), seeks.end(),
                                    [&](const TopicPlace& to) { return fits(turn, *topic, place, to); });
    const bool made = std::any_of(makes.begin(), makes.end(), [&](const MadeWish& wish) {
      return wish.config == subscription.stored.config && fits(turn, *topic, place, wish.from);
    });
    if (turn.moved.contains(number) ? !sought : !made)
      turn.why += fmt::format("subscription {} {} begins behind {}, and nobody asked for that; ",
                              subscription.name.first, subscription.name.second, to_text(place));
    if (subscription.place.used_ms != turn.entry.clock)
      turn.why += fmt::format("subscription {} {} is not in use; ", subscription.name.first,
                              subscription.name.second);
  }
}

void TopicModel::take_name(Turn& turn, const Record& record) {
  const std::string key(record.key());
  const Number made = message_key_of(key).number;
  const auto known = dedup_.find(key);
  if (topic_of(made) == nullptr && known == dedup_.end()) return;  // a queue's
  const std::optional<StoredName> stored = dedup_of(&record);
  const bool runs = known != dedup_.end() && known->second.deadline > turn.entry.clock;
  if (stored) {
    if (runs)
      turn.why += fmt::format("a name is sent as {} while it stands for {}; ", to_text(stored->id),
                              to_text(known->second.id));
    dedup_[key] = *stored;
    return;
  }
  const auto emptied = emptied_.find(made);
  const bool with_its_topic = emptied != emptied_.end() && emptied->second;
  if (runs && !with_its_topic)
    turn.why += fmt::format("the name of {} is forgotten before its time; ", to_text(known->second.id));
  if (known != dedup_.end()) dedup_.erase(known);
}

// ---- messages ----

void TopicModel::take_message(Turn& turn, const Record& record) {
  const MessageKey key = message_key_of(record.key());
  const Number number = key.number;
  const MessageId id = key.id;
  Topic* topic = topic_of(number);
  const StoredMessage stored = record.has_value() ? message_of(record) : StoredMessage();
  if (topic == nullptr) {
    if (former_.contains(number)) {
      if (record.has_value()) turn.why += fmt::format("message {} is of a topic that is gone; ", to_text(id));
      return;
    }
    turn.from_queue |= !record.has_value();
    const auto queue = std::find_if(queues_.begin(), queues_.end(),
                                    [&](const auto& named) { return named.second.number == number; });
    const bool of_topic =
        std::any_of(subscription_names_.begin(), subscription_names_.end(), [&](const auto& named) {
          return source_name(named.first.first, named.first.second) == stored.dead_from;
        });
    if (of_topic && queue != queues_.end())
      turn.buried.push_back(
          {std::string(stored.dead_from), queue->first, std::string(stored.body), stored.attempts});
    return;
  }
  if (!record.has_value()) {
    const auto it = topic->messages.find(id);
    if (it == topic->messages.end()) return wrong(turn, {topic->name, ""}, id, "is deleted, and is none");
    turn.gone[number][id] = it->second;
    topic->messages.erase(it);
    return;
  }
  Message message{std::string(stored.body), std::string(stored.group), std::string(stored.type),
                  stored.sent_ms,           stored.deadline,           stored.ordinal};
  judge_published(turn, *topic, id, message);
  turn.published.insert(number);
  note_sent(id, message.body);
  topic->messages[id] = std::move(message);
}

void TopicModel::judge_published(Turn& turn, Topic& topic, const MessageId& id, const Message& message) {
  const SourceOf source(topic.name, "");
  if (id.revision != turn.entry.revision) wrong(turn, source, id, "is not of its entry's revision");
  if (topic.messages.contains(id)) wrong(turn, source, id, "is written again");
  const std::string why = judge_body(message.body);
  if (!why.empty()) wrong(turn, source, id, why);
  // What this entry cuts off was there when it was made.
  const auto& gone = turn.gone[topic.stored.number];
  uint64_t before = gone.empty() ? 0 : gone.rbegin()->second.ordinal;
  if (!topic.messages.empty()) before = std::max(before, topic.messages.rbegin()->second.ordinal);
  if (message.ordinal != before + 1)
    wrong(turn, source, id, fmt::format("has number {} behind {}", message.ordinal, before));
  const std::string* name = wishes_.sent(message.body);
  if (name == nullptr || name->empty()) return;
  const auto stands_for = dedup_.find(dedup_key(topic.stored.number, *name));
  if (stands_for == dedup_.end() || stands_for->second.id != id)
    wrong(turn, source, id, fmt::format("is published, and its name {} stands for another one", *name));
}

// The last one that goes would neither be too old nor too much.
bool TopicModel::needless(const Turn& turn, Number number, const Topic& topic, const Message& last) const {
  const TopicConfig& config = topic.stored.config;
  if (last.deadline != 0 && last.deadline <= turn.entry.clock) return false;
  if (!turn.published.contains(number)) return true;
  const bool many = config.max_messages != 0 && topic.messages.size() + 1 > config.max_messages;
  const bool large = config.max_bytes != 0 && topic.bytes() + last.body.size() > config.max_bytes;
  return !many && !large;
}

// A topic is cut at its beginning; what a subscription has not settled only if the topic says so.
void TopicModel::judge_trimmed(Turn& turn) {
  for (const auto& [number, gone] : turn.gone) {
    const Topic* topic = topic_of(number);
    if (topic == nullptr || gone.empty()) continue;
    const SourceOf source(topic->name, "");
    const MessageId last = gone.rbegin()->first;
    if (!topic->messages.empty() && topic->messages.begin()->first < last)
      wrong(turn, source, last,
            fmt::format("goes, and {} before it stays", to_text(topic->messages.begin()->first)));
    if (needless(turn, number, *topic, gone.rbegin()->second))
      wrong(turn, source, last, "goes for no reason");
    for (const auto& [its_number, subscription] : subscriptions_) {
      if (subscription.stored.topic != number || turn.made.contains(its_number)) continue;
      touch(turn, its_number);
      const Subscription& before = turn.before.at(its_number);
      for (const auto& [id, message] : gone) {
        const Delivery* delivery = before.delivery(id);
        const bool dead = delivery != nullptr && delivery->became.state == MessageState::kDead;
        if ((dead || !before.ended(id)) && !topic->stored.config.discard_old)
          wrong(turn, before.name, id, "goes before it is settled, and the topic does not say so");
      }
    }
  }
}

// What a transaction does for a message and that it is acknowledged are one.
void TopicModel::judge_acked_key(Turn& turn, const Record& effect) {
  const auto ended = std::find_if(turn.acked.begin(), turn.acked.end(), [&](const Key& key) {
    const auto it = subscriptions_.find(key.first);
    return it != subscriptions_.end() && acked_key(it->second.name, key.second) == effect.key();
  });
  const std::string key(effect.key());
  if (ended == turn.acked.end()) {
    turn.why += fmt::format("{} without an end of its message; ", key);
  } else if (!acked_by_.emplace(key, ended->first).second) {
    turn.why += fmt::format("{} for the second time; ", key);
  }
  const uint64_t times = ++acked_[key];
  if (effect.version() != times || effect.value() != std::to_string(times))
    turn.why += fmt::format("{} is {} instead of {}; ", key, effect.value(), times);
}

// ---- what is left ----

void TopicModel::note_grantable(const Turn& turn) {
  const uint64_t clock = turn.entry.clock;
  for (auto& [number, subscription] : subscriptions_) {
    const bool some = subscription.in_flight(clock) < subscription.stored.config.max_in_flight &&
                      (!grantable(subscription, clock).empty() || grantable_behind(subscription));
    if (!some || !turn.appended) {
      subscription.grantable.reset();
    } else if (!subscription.grantable) {
      subscription.grantable = turn.appended;
    }
  }
}

std::optional<Instant> TopicModel::grantable_since(const SourceOf& source) const {
  const Subscription* subscription = find(source);
  return subscription == nullptr ? std::nullopt : subscription->grantable;
}

std::vector<SourceOf> TopicModel::sources_left() const {
  std::vector<SourceOf> sources;
  for (const auto& item : subscriptions_) {
    const Subscription& subscription = item.second;
    const Topic* topic = topic_of(subscription.stored.topic);
    const bool some = topic != nullptr &&
                      std::any_of(topic->messages.begin(), topic->messages.end(),
                                  [&](const auto& message) { return !subscription.ended(message.first); });
    if (some) sources.push_back(subscription.name);
  }
  return sources;
}

std::string TopicModel::left() const {
  std::string text;
  for (const auto& [number, subscription] : subscriptions_) {
    const Topic* topic = topic_of(subscription.stored.topic);
    if (topic == nullptr) continue;
    for (const auto& [id, message] : topic->messages) {
      if (subscription.ended(id)) continue;
      const Delivery* delivery = subscription.delivery(id);
      const StoredDelivery became = delivery == nullptr ? StoredDelivery() : delivery->became;
      text += fmt::format("message {} of {} {} is {} until {}; ", to_text(id), subscription.name.first,
                          subscription.name.second, message_state_name(became.state), became.due);
    }
  }
  return text;
}

std::string TopicModel::unheard(Instant since, Instant before, Instant now) const {
  for (const auto& [number, subscription] : subscriptions_) {
    for (const auto& [id, delivery] : subscription.deliveries) {
      if (!delivery.in_flight(clock_) || !delivery.granted) continue;
      if (*delivery.granted < since || *delivery.granted > before) continue;
      if (*delivery.granted + lasts(delivery.granted_ms) <= now) continue;
      const auto grant = grants_.find({id, delivery.became.receipt});
      if (grant == grants_.end() || grant->second.told) continue;
      return fmt::format("message {} of {} {} was granted by receipt {} to nobody, and is not given back",
                         to_text(id), subscription.name.first, subscription.name.second,
                         delivery.became.receipt);
    }
  }
  return {};
}

}  // namespace kvd::sim
