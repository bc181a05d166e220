// See queue_views.hpp.
#include "core/queues/queue_views.hpp"

#include <algorithm>
#include <iterator>

#include "base/check.hpp"
#include "core/mutation.hpp"

namespace kvd {
namespace {

constexpr size_t kFreedAtOnce = 1024;

// What the record of a name says of its number; 0: nothing, it is damaged.
uint64_t number_in(const Record& record) {
  if (names_queue(record.key())) return queue_of(&record).value_or(StoredQueue()).number;
  if (names_topic(record.key())) return topic_of(&record).value_or(StoredTopic()).number;
  return subscription_of(&record).value_or(StoredSubscription()).number;
}

bool names_any(std::string_view key) {
  return names_queue(key) || names_topic(key) || names_subscription(key);
}

}  // namespace

MessageId QueueView::next() const {
  MessageId last = place.id;
  if (!window.empty()) last = std::max(last, *window.rbegin());
  if (!dead.empty()) last = std::max(last, *dead.rbegin());
  return last;
}

size_t QueueView::room() const {
  const auto behind = std::distance(dead.upper_bound(place.id), dead.end());
  const size_t used = window.size() + static_cast<size_t>(behind);
  return used >= config.max_in_flight ? 0 : config.max_in_flight - used;
}

std::optional<std::string_view> QueueView::lane_of(std::string_view group) const {
  if (mutated(Mutation::kLaneLoose) || kind == Kind::kTopic) return std::nullopt;
  if (kind == Kind::kQueue && config.fifo) return std::string_view();
  if (kind == Kind::kSubscription && !ordered) return std::nullopt;
  return group.empty() ? std::nullopt : std::optional(group);
}

uint32_t QueueView::granted_to(uint64_t ticket) const {
  uint32_t count = 0;
  for (auto it = tickets.lower_bound({ticket, 0, MessageId()});
       it != tickets.end() && std::get<0>(*it) == ticket; ++it)
    ++count;
  return count;
}

// ---- queues ----

QueueView& QueueViews::at(uint64_t number) {
  QueueView& queue = views_[number];
  queue.number = number;
  return queue;
}

void QueueViews::configure(QueueView& view, const Record& record) {
  if (std::optional<StoredQueue> queue = names_queue(record.key()) ? queue_of(&record) : std::nullopt) {
    view.kind = QueueView::Kind::kQueue;
    view.name = record.key().substr(1);
    view.config = std::move(queue->config);
  } else if (std::optional<StoredTopic> topic =
                 names_topic(record.key()) ? kvd::topic_of(&record) : std::nullopt) {
    const TopicConfig& config = topic->config;
    view.kind = QueueView::Kind::kTopic;
    view.name = record.key().substr(1);
    view.config = QueueConfig();
    view.config.dedup_window_ms = config.dedup_window_ms;
    view.config.max_messages = config.max_messages;
    view.config.max_bytes = config.max_bytes;
    view.config.max_age_ms = config.max_age_ms;
    view.config.discard_old = config.discard_old;
  } else if (std::optional<StoredSubscription> subscription = subscription_of(&record)) {
    SubscriptionConfig& config = subscription->config;
    const auto [topic_name, name] = subscription_names(record.key());
    view.kind = QueueView::Kind::kSubscription;
    view.name = topic_name;
    view.subscription = name;
    view.topic = subscription->topic;
    view.ordered = config.ordered;
    view.expires_ms = config.expires_ms;
    view.config = QueueConfig();
    view.config.ttr_ms = config.ttr_ms;
    view.config.max_deliveries = config.max_deliveries;
    view.config.backoff_ms = std::move(config.backoff_ms);
    view.config.dead_letter = std::move(config.dead_letter);
    view.config.max_in_flight = config.max_in_flight;
  }
}

void QueueViews::add_queue(const Record& record) {
  if (is_place(record.key())) return set_place(record, true);
  const uint64_t number = names_any(record.key()) ? number_in(record) : 0;
  if (number == 0) return;
  QueueView& view = at(number);
  view.made = record.created().value;
  view.named = true;
  configure(view, record);
  by_name_[std::string(record.key())] = number;
  ++counts_[static_cast<size_t>(view.kind)];
  if (view.is_subscription()) at(view.topic).subscriptions.insert(number);
  set_expiry(view, true);
  if (note_woken_) wake(view);
  note_time(view);
}

void QueueViews::remove_queue(const Record& record) {
  if (is_place(record.key())) return set_place(record, false);
  const auto named = by_name_.find(record.key());
  if (named == by_name_.end()) return;
  const auto it = views_.find(named->second);
  by_name_.erase(named);
  QueueView& view = it->second;
  --counts_[static_cast<size_t>(view.kind)];
  set_expiry(view, false);
  view.named = false;
  if (note_woken_) wake(view);
  note_time(view);
  if (const auto topic = views_.find(view.topic); view.is_subscription() && topic != views_.end()) {
    topic->second.subscriptions.erase(view.number);
    forget_empty(topic);
  }
  forget_empty(it);
}

// Nothing bears its number any more.
void QueueViews::forget_empty(std::map<uint64_t, QueueView>::iterator it) {
  const QueueView& view = it->second;
  const bool empty = view.messages == 0 && view.subscriptions.empty() && view.place == StoredPlace();
  if (empty && !view.named) views_.erase(it);
}

const QueueView* QueueViews::find_named(std::string_view key) const {
  const auto it = by_name_.find(key);
  return it == by_name_.end() ? nullptr : &views_.at(it->second);
}

const QueueView* QueueViews::topic_of(const QueueView& subscription) const {
  const auto it = views_.find(subscription.topic);
  return it == views_.end() || !it->second.named ? nullptr : &it->second;
}

bool QueueViews::may_grant(const QueueView& queue) const {
  if (queue.full_of_grants()) return false;
  if (!queue.ready.empty() || !queue.is_subscription()) return !queue.ready.empty();
  const QueueView* topic = topic_of(queue);
  if (topic == nullptr) return false;
  if (topic->place.id > queue.place.id) return true;  // a gap is to be told
  return queue.room() != 0 && !topic->ready.empty() && std::prev(topic->ready.end())->id() > queue.next();
}

// ---- places of subscriptions and topics ----

void QueueViews::set_place(const Record& record, bool add) {
  const auto it = views_.find(place_number(record.key()));
  if (it == views_.end()) return;
  QueueView& view = it->second;
  set_expiry(view, false);
  view.place = add ? place_of(&record) : StoredPlace();
  set_expiry(view, true);
  if (note_woken_ && view.named) wake(view);
  note_time(view);
  forget_empty(it);
}

// When it was used so long ago that it is to go: kept as an age.
void QueueViews::set_expiry(QueueView& view, bool add) {
  if (!view.is_subscription() || view.expires_ms == 0 || !view.named) return;
  const std::pair end(view.unused_from(view.place.used_ms), MessageId());
  if (add) {
    view.ages.insert(end);
  } else {
    view.ages.erase(end);
  }
}

// ---- messages ----

void QueueViews::add(std::string_view key, const Record* message, const Record* delivery) {
  change(key, message, delivery, true);
}

void QueueViews::remove(std::string_view key, const Record* message, const Record* delivery) {
  change(key, message, delivery, false);
}

void QueueViews::change(std::string_view key, const Record* message, const Record* delivery, bool add) {
  const auto [number, id] = message_key_of(key);
  if (message == nullptr) {
    const auto known = views_.find(number);
    const bool of_subscription = known != views_.end() && known->second.is_subscription();
    if (delivery != nullptr && of_subscription) change_subscription(known->second, id, delivery, add);
    return;
  }
  const StoredMessage sent = message_of(*message);
  const StoredDelivery became = delivery_of(delivery).value_or(StoredDelivery());
  QueueView& queue = at(number);
  queue.messages += add ? 1 : -1;
  queue.bytes += add ? sent.body.size() : -sent.body.size();
  const std::optional<std::string_view> lane = queue.lane_of(sent.group);
  const bool has_time = became.state == MessageState::kInFlight || became.state == MessageState::kDelayed;
  if (has_time && lane && add) queue.groups[id] = *lane;
  if (has_time) {
    place_due(queue,
              {became.due, id, became.attempts, sent.priority, became.state == MessageState::kInFlight,
               became.ticket, became.turn},
              add);
  }
  if (has_time && lane && !add) queue.groups.erase(id);
  if (became.state != MessageState::kDead) {
    const bool ages = sent.deadline != 0 && became.state != MessageState::kInFlight;
    if (ages && add) queue.ages.emplace(sent.deadline, id);
    if (ages && !add) queue.ages.erase({sent.deadline, id});
    if (lane) {
      place_in_lane(queue, *lane, id, {became.state, false, sent.priority}, add);
    } else if (!has_time) {
      place(queue, {sent.priority, id}, add);
    }
  }
  note_time(queue);
  forget_empty(views_.find(number));
}

// By its delivery alone: the message itself is the topic's, and may be gone.
void QueueViews::change_subscription(QueueView& view, const MessageId& id, const Record* record, bool add) {
  const StoredDelivery delivery = delivery_of(record).value_or(StoredDelivery());
  const bool is_dead = delivery.state == MessageState::kDead;
  auto& ids = is_dead ? view.dead : view.window;
  if (add) {
    ids.insert(id);
  } else {
    ids.erase(id);
  }
  view.messages += add ? 1 : -1;
  const std::optional<std::string_view> lane = view.lane_of(delivery.group);
  const bool in_flight = delivery.state == MessageState::kInFlight;
  const bool has_time = in_flight || delivery.state == MessageState::kDelayed;
  if (has_time && lane && add) view.groups[id] = *lane;
  if (has_time)
    place_due(view, {delivery.due, id, delivery.attempts, 0, in_flight, delivery.ticket, delivery.turn}, add);
  if (has_time && lane && !add) view.groups.erase(id);
  if (!is_dead && delivery.state != MessageState::kSettled) {
    if (lane) {
      place_in_lane(view, *lane, id, {delivery.state, false, 0}, add);
    } else if (!has_time) {
      place(view, {0, id}, add);
    }
  }
  if (note_woken_ && view.named && !add) wake(view);  // the window may have room
  note_time(view);
  forget_empty(views_.find(view.number));
}

void QueueViews::place(QueueView& queue, const ReadyPlace& place, bool add) {
  if (!add) {
    queue.ready.erase(place);
    return;
  }
  queue.ready.insert(place);
  if (note_woken_ && queue.named) wake(queue);
}

void QueueViews::count_in_flight(QueueView& queue, const DueMessage& message, bool add) {
  if (!message.in_flight) return;
  const std::tuple ticket(message.ticket, message.turn, message.id);
  if (add) {
    queue.tickets.insert(ticket);
  } else {
    queue.tickets.erase(ticket);
    if (note_woken_ && queue.named) wake(queue);  // there is room for another one
  }
}

void QueueViews::place_due(QueueView& queue, const DueMessage& message, bool add) {
  if (add) {
    queue.due.insert(message);
    count_in_flight(queue, message, true);
  } else if (queue.due.erase(message) != 0) {
    count_in_flight(queue, message, false);
  } else if (queue.ripe.erase(message) != 0) {
    if (!queue.groups.contains(message.id)) place(queue, {message.priority, message.id}, false);
  } else {
    queue.dying.erase(message);
  }
}

// ---- lanes ----

void QueueViews::place_in_lane(QueueView& queue, std::string_view group, const MessageId& id,
                               const Lane::Member& member, bool add) {
  auto it = queue.lanes.find(group);
  if (add && it == queue.lanes.end()) it = queue.lanes.emplace(group, Lane()).first;
  if (it == queue.lanes.end()) return;
  Lane& lane = it->second;
  if (add) {
    lane.members[id] = member;
    lane.in_flight += member.state == MessageState::kInFlight ? 1 : 0;
    ++queue.grouped;
  } else if (const auto known = lane.members.find(id); known != lane.members.end()) {
    lane.in_flight -= known->second.state == MessageState::kInFlight && !known->second.ripe ? 1 : 0;
    lane.members.erase(known);
    --queue.grouped;
  }
  refresh(queue, lane);
  if (lane.members.empty()) queue.lanes.erase(it);
}

void QueueViews::refresh(QueueView& queue, Lane& lane) {
  std::optional<ReadyPlace> first;
  if (!lane.members.empty() && lane.in_flight == 0) {
    const auto& [id, member] = *lane.members.begin();
    if (member.state == MessageState::kReady || member.ripe) first = ReadyPlace(member.priority, id);
  }
  if (first == lane.shown) return;
  if (lane.shown) place(queue, *lane.shown, false);
  if (first) place(queue, *first, true);
  lane.shown = first;
}

// ---- time ----

void QueueViews::set_ripe(QueueView& queue, const DueMessage& message, bool ripe) {
  const auto group = queue.groups.find(message.id);
  if (group == queue.groups.end()) return place(queue, {message.priority, message.id}, ripe);
  Lane& lane = queue.lanes.find(group->second)->second;
  Lane::Member& member = lane.members.at(message.id);
  member.ripe = ripe;
  if (message.in_flight) lane.in_flight += ripe ? -1 : 1;
  refresh(queue, lane);
}

void QueueViews::ripen(uint64_t clock) {
  clock_ = clock;
  while (!times_.empty() && times_.begin()->first <= clock) {
    QueueView& queue = views_.at(times_.begin()->second);
    while (!queue.due.empty() && queue.due.begin()->due <= clock) {
      const DueMessage message = *queue.due.begin();
      queue.due.erase(queue.due.begin());
      count_in_flight(queue, message, false);
      const bool last = message.in_flight && queue.config.max_deliveries != 0 &&
                        message.attempts >= queue.config.max_deliveries;
      (last ? queue.dying : queue.ripe).insert(message);
      if (!last) set_ripe(queue, message, true);
    }
    note_time(queue);
  }
}

void QueueViews::unripen(uint64_t clock) {
  clock_ = clock;
  for (auto& [number, queue] : views_) {
    for (auto* passed : {&queue.ripe, &queue.dying}) {
      while (!passed->empty() && std::prev(passed->end())->due > clock) {
        const DueMessage message = *std::prev(passed->end());
        passed->erase(message);
        queue.due.insert(message);
        count_in_flight(queue, message, true);
        if (passed == &queue.ripe) set_ripe(queue, message, false);
      }
    }
    note_time(queue);
  }
}

// When something of it ends next, and whether something has ended that a leader is to write.
void QueueViews::note_time(QueueView& queue) {
  std::optional<uint64_t> next;
  bool works = false;
  if (queue.named) {
    if (!queue.due.empty()) next = queue.due.begin()->due;
    const bool aged = !queue.ages.empty() && queue.ages.begin()->first <= clock_;
    if (!queue.ages.empty() && !aged) next = std::min(next.value_or(UINT64_MAX), queue.ages.begin()->first);
    works = aged || !queue.dying.empty();
  }
  if (works) {
    work_.insert(queue.number);
  } else if (!work_.empty()) {
    work_.erase(queue.number);
  }
  if (next == queue.time) return;
  if (queue.time) times_.erase({*queue.time, queue.number});
  if (next) times_.emplace(*next, queue.number);
  queue.time = next;
}

// ---- the whole ----

bool QueueViews::equals(const QueueViews& other) const {
  QueueViews a = *this;
  QueueViews b = other;
  a.unripen(0);
  b.unripen(0);
  if (a.by_name_ != b.by_name_ || a.counts_ != b.counts_) return false;
  // What has no name any more nobody finds.
  return std::all_of(a.by_name_.begin(), a.by_name_.end(), [&](const auto& named) {
    const QueueView& p = a.views_.at(named.second);
    const QueueView& q = b.views_.at(named.second);
    return p.kind == q.kind && p.messages == q.messages && p.bytes == q.bytes && p.made == q.made &&
           p.config == q.config && p.ready == q.ready && p.due == q.due && p.tickets == q.tickets &&
           p.ages == q.ages && p.lanes == q.lanes && p.grouped == q.grouped && p.place == q.place &&
           p.subscriptions == q.subscriptions && p.topic == q.topic && p.window == q.window &&
           p.dead == q.dead;
  });
}

bool QueueViews::free_some() {
  for (size_t freed = 0; freed < kFreedAtOnce && !views_.empty();) {
    QueueView& queue = views_.begin()->second;
    const size_t left = kFreedAtOnce - freed;
    auto end = queue.ready.begin();
    size_t count = 0;
    for (; count < left && end != queue.ready.end(); ++count) ++end;
    queue.ready.erase(queue.ready.begin(), end);
    freed += count + 1;
    if (queue.ready.empty()) views_.erase(views_.begin());
  }
  return !views_.empty();
}

}  // namespace kvd
