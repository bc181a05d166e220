// See message_draft.hpp.
#include "core/queues/message_draft.hpp"

#include <algorithm>

#include "core/mutation.hpp"
#include "core/replica/store.hpp"
#include "core/replica/tail.hpp"

namespace kvd {
namespace {

uint64_t backoff_of(const QueueConfig& config, uint32_t attempts) {
  if (config.backoff_ms.empty() || attempts == 0) return 0;
  return config.backoff_ms[std::min<size_t>(attempts, config.backoff_ms.size()) - 1];
}

}  // namespace

const QueueViews& MessageDraft::queues() const { return view_.store.queues(); }

const Record* MessageDraft::find(const std::string& key, Space space) const {
  const auto it = effects_.find({space, key});
  if (it != effects_.end()) return it->second.has_value() ? &it->second : nullptr;
  return view_.latest(key, space);
}

bool MessageDraft::changed(const std::string& key) const {
  return effects_.contains({Space::kMessages, key}) || effects_.contains({Space::kDeliveries, key});
}

const Record* MessageDraft::message(const QueueView& queue, const std::string& key) const {
  if (!queue.is_subscription()) return find(key, Space::kMessages);
  return find(message_key(queue.topic, message_key_of(key).id), Space::kMessages);
}

StoredPlace MessageDraft::place(const QueueView& view) const {
  return place_of(find(place_key(view.number), Space::kQueues));
}

void MessageDraft::set_place(const QueueView& view, const StoredPlace& place) {
  set(place_record(view.number, place, find(place_key(view.number), Space::kQueues), view_.next));
}

uint64_t MessageDraft::next_ordinal(uint64_t number, const QueueView* before) {
  const auto [it, first] = ordinals_.try_emplace(number);
  if (first && before != nullptr && !before->ready.empty()) {
    const std::string last = message_key(number, std::prev(before->ready.end())->id());
    it->second = message_of(*view_.latest(last, Space::kMessages)).ordinal;
  }
  return ++it->second;
}

void MessageDraft::hold_up(const QueueView& queue, std::string_view group) {
  if (const auto lane = queue.lane_of(group)) held_up_.emplace(queue.number, *lane);
}

bool MessageDraft::is_held_up(const QueueView& queue, std::string_view group) const {
  const auto lane = held_up_.empty() ? std::nullopt : queue.lane_of(group);
  return lane && held_up_.contains({queue.number, std::string(*lane)});
}

void MessageDraft::set(Record effect) {
  std::pair place(effect.space(), std::string(effect.key()));
  effects_.insert_or_assign(std::move(place), std::move(effect));
}

// What this write itself has made is no effect once it is gone again.
void MessageDraft::erase(const std::string& key, Space space) {
  const Record* now = view_.latest(key, space);
  if (now != nullptr) {
    set(gone(*now, view_.next));
  } else {
    effects_.erase({space, key});
  }
}

std::vector<Record> MessageDraft::take_effects() {
  std::vector<Record> effects;
  effects.reserve(effects_.size());
  for (auto& [place, effect] : effects_) effects.push_back(std::move(effect));
  effects_.clear();
  return effects;
}

std::optional<MessageId> MessageDraft::next_id() {
  if (made_ == limits::kKicked) return std::nullopt;
  return MessageId{view_.next, static_cast<uint16_t>(made_++)};
}

void MessageDraft::put(uint64_t number, const MessageId& id, const StoredMessage& message) {
  set(message_record(message_key(number, id), message, view_.next));
  Sum& change = changes_[number];
  ++change.messages;
  change.bytes += message.body.size();
  bytes_ += message.body.size();
}

MessageDraft::Sum MessageDraft::sum_of(uint64_t number, const QueueView* before) const {
  Sum sum;
  if (before != nullptr) sum = {before->messages, before->bytes};
  const auto it = changes_.find(number);
  if (it == changes_.end()) return sum;
  return {sum.messages + it->second.messages, sum.bytes + it->second.bytes};
}

void MessageDraft::forget(const std::string& key) {
  const Record* message = find(key, Space::kMessages);
  if (message != nullptr) {
    Sum& change = changes_[message_key_of(key).number];
    --change.messages;
    change.bytes -= message_of(*message).body.size();
  }
  erase(key, Space::kMessages);
  erase(key, Space::kDeliveries);
}

void MessageDraft::settled(const QueueView& queue, const std::string& key) {
  if (!queue.is_subscription()) return forget(key);
  if (message_key_of(key).id <= place(queue).id) return erase(key, Space::kDeliveries);  // it was dead
  const Record* known = find(key, Space::kDeliveries);
  StoredDelivery delivery;
  delivery.state = MessageState::kSettled;
  set(delivery_record(key, delivery, known, view_.next));
  move_on(queue);
}

void MessageDraft::move_on(const QueueView& subscription) {
  const QueueView* topic = queues().topic_of(subscription);
  if (topic == nullptr) return;
  StoredPlace at = place(subscription);
  if (place(*topic).id > at.id) return;
  const MessageId before = at.id;
  for (auto it = topic->ready.upper_bound({0, at.id}); it != topic->ready.end(); ++it) {
    const std::string key = message_key(subscription.number, it->id());
    const std::optional<StoredDelivery> delivery = delivery_of(find(key, Space::kDeliveries));
    const bool is_settled = delivery && delivery->state == MessageState::kSettled;
    const bool is_dead = delivery && delivery->state == MessageState::kDead;
    if (!is_settled && !is_dead && !mutated(Mutation::kCursorOverHole)) break;
    if (is_settled) erase(key, Space::kDeliveries);
    at.id = it->id();
  }
  if (at.id != before) set_place(subscription, at);
}

// One message may always go, with all that hangs on it.
bool MessageDraft::may_discard(size_t records) {
  if (discarded_ != 0 && discarded_ + records > limits::kPurged) return false;
  discarded_ += records;
  return true;
}

bool MessageDraft::discard(uint64_t number, const ReadyPlace& place) {
  if (!may_discard(1)) return false;
  discarded_last_.insert_or_assign(number, place);
  forget(message_key(number, place.id()));
  return true;
}

const ReadyPlace* MessageDraft::discarded_last(uint64_t number) const {
  const auto it = discarded_last_.find(number);
  return it == discarded_last_.end() ? nullptr : &it->second;
}

bool beyond_bounds(const QueueConfig& config, uint64_t messages, uint64_t bytes) {
  return (config.max_messages != 0 && messages > config.max_messages) ||
         (config.max_bytes != 0 && bytes > config.max_bytes);
}

bool MessageDraft::move(const QueueView& from, const QueueView& to, const std::string& key,
                        const StoredMessage& as) {
  const Sum sum = sum_of(to.number, &to);
  if (full() || from.number == to.number ||
      beyond_bounds(to.config, sum.messages + 1, sum.bytes + as.body.size()))
    return false;
  const std::optional<MessageId> id = next_id();
  if (!id) return false;
  StoredMessage moved = as;
  moved.deadline = to.config.max_age_ms == 0 ? 0 : view_.clock + to.config.max_age_ms;
  moved.ordinal = 0;
  if (from.is_subscription()) moved.priority = NewMessage().priority;
  put(to.number, *id, moved);
  settled(from, key);
  return true;
}

// Both or neither: the copy that is read there and the end of the one here are one entry's.
void MessageDraft::bury(const QueueView& queue, const std::string& key, std::string reason) {
  if (this->message(queue, key) == nullptr) return erase(key, Space::kDeliveries);  // of an incomplete copy
  const Record message = *this->message(queue, key);  // kept while it is replaced
  const Record* known = find(key, Space::kDeliveries);
  StoredDelivery delivery = delivery_of(known).value_or(StoredDelivery());
  const QueueView* target = queues().find(queue.config.dead_letter);
  if (target != nullptr) {
    StoredMessage dead = message_of(message);
    const std::string from = queue.is_subscription() ? queue.name + "/" + queue.subscription : queue.name;
    dead.dead_from = from;
    dead.reason = reason;
    dead.attempts = delivery.attempts;
    if (move(queue, *target, key, dead)) {
      if (mutated(Mutation::kDeadTwice)) set(message);
      return;
    }
  }
  if (mutated(Mutation::kDeadDropped)) return forget(key);
  delivery.state = MessageState::kDead;
  delivery.due = 0;
  delivery.reason = std::move(reason);
  set(delivery_record(key, delivery, known, view_.next));
  if (queue.is_subscription()) move_on(queue);
}

// ---- settling ----

Settled::One settle(MessageDraft& draft, const QueueView& queue, const Settling& settling) {
  const std::string key = message_key(queue.number, settling.id);
  if (draft.message(queue, key) == nullptr) return {SettleResult::kGone};
  const Record* known = draft.find(key, Space::kDeliveries);
  StoredDelivery delivery = delivery_of(known).value_or(StoredDelivery());
  const bool behind = known == nullptr && queue.is_subscription() && settling.id <= draft.place(queue).id;
  if (behind || delivery.state == MessageState::kSettled) return {SettleResult::kGone};
  const bool newest = delivery.receipt == settling.receipt || mutated(Mutation::kReceiptIgnored);
  if (!newest || delivery.state != MessageState::kInFlight)
    return {SettleResult::kStale, delivery.receipt > settling.receipt ? delivery.receipt : 0};
  const WriteView& view = draft.view();
  const auto leave = [&](MessageState state, uint64_t wait_ms) {
    delivery.state = state;
    delivery.due = wait_ms == 0 ? 0 : view.clock + wait_ms;
    draft.set(delivery_record(key, delivery, known, view.next));
  };
  switch (settling.kind) {
    case Settling::Kind::kAck:
      draft.settled(queue, key);
      break;
    case Settling::Kind::kNack: {
      const bool last = queue.config.max_deliveries != 0 && delivery.attempts >= queue.config.max_deliveries;
      if (last && !mutated(Mutation::kAttemptsSoft)) {
        draft.bury(queue, key, settling.reason.empty() ? "refused" : settling.reason);
        break;
      }
      const uint64_t wait_ms = settling.ms.value_or(backoff_of(queue.config, delivery.attempts));
      delivery.reason = settling.reason;
      leave(wait_ms == 0 ? MessageState::kReady : MessageState::kDelayed, wait_ms);
      break;
    }
    case Settling::Kind::kRelease:
      if (--delivery.attempts == 0 && !queue.is_subscription()) {
        draft.erase(key, Space::kDeliveries);
      } else {
        leave(MessageState::kReady, 0);
      }
      break;
    case Settling::Kind::kExtend: {
      const uint64_t ttr_ms = settling.ms.value_or(queue.config.ttr_ms);
      if (delivery.due <= view.clock) draft.hold_up(queue, message_of(*draft.message(queue, key)).group);
      leave(MessageState::kInFlight, ttr_ms);
      return {SettleResult::kDone, 0, ttr_ms};
    }
    case Settling::Kind::kDead:
      draft.bury(queue, key, settling.reason.empty() ? "refused for good" : settling.reason);
      break;
  }
  return {};
}

bool is_granted(const WriteView& view, const QueueView& queue, const MessageId& id, uint64_t receipt) {
  const MessageDraft draft(view);
  const std::string key = message_key(queue.number, id);
  const auto delivery = delivery_of(draft.find(key, Space::kDeliveries));
  return delivery && delivery->state == MessageState::kInFlight && delivery->receipt == receipt &&
         draft.message(queue, key) != nullptr;
}

// ---- what clients see ----

QueuedMessage message_for_client(const MessageId& id, const Record& message, const StoredDelivery& delivery,
                                 uint64_t clock) {
  const StoredMessage stored = message_of(message);
  QueuedMessage seen;
  seen.id = id;
  seen.state = delivery.state;
  seen.receipt = delivery.receipt;
  seen.attempt = delivery.attempts;
  seen.left_ms = left_until(delivery.due, clock);
  seen.priority = stored.priority;
  seen.group = stored.group;
  seen.type = stored.type;
  seen.sent_ms = stored.sent_ms;
  seen.body = message.bytes().last(stored.body.size());
  seen.reason = delivery.reason.empty() ? std::string(stored.reason) : delivery.reason;
  seen.dead_from = stored.dead_from;
  seen.attempts = stored.attempts;
  return seen;
}

}  // namespace kvd
