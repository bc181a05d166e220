// What is sent: see queue_spaces.hpp.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "core/mutation.hpp"
#include "core/queues/message_draft.hpp"
#include "core/queues/queue_spaces.hpp"
#include "core/replica/key_effects.hpp"
#include "core/replica/store.hpp"
#include "core/topics/retention.hpp"

namespace kvd {
namespace {

Failed queue_full(std::string why) {
  return Failed{ErrorCode::kQueueFull, Outcome::kNotApplied, std::move(why)};
}

// The queue that messages are sent to, as this write finds or makes it.
struct SentTo {
  uint64_t number = 0;
  uint64_t made = 0;
  const QueueConfig& config;
  const QueueView* view = nullptr;  // null: this write makes it
  bool topic = false;
};

// What was sent under this name in the queue's window. None: nothing; then the name is taken.
std::optional<MessageId> sent_before(MessageDraft& draft, const SentTo& queue, const std::string& name,
                                     const MessageId& id) {
  const std::string key = dedup_key(queue.made, name);
  const WriteView& view = draft.view();
  const Record* now = mutated(Mutation::kDedupOfCommitted) ? view.store.find(key, Space::kDedup)
                                                           : draft.find(key, Space::kDedup);
  const std::optional<StoredName> known = dedup_of(now);
  if (known && known->deadline > view.clock) return known->id;
  draft.set(dedup_record(key, {id, view.clock + queue.config.dedup_window_ms}, view.next));
  return std::nullopt;
}

// The least urgent of those that are ready, and behind them the next ones: calls fn(place) until it returns false, from
// behind `last` on; null: from the first one on.
void each_less_urgent(const QueueView& queue, const ReadyPlace* last, auto&& fn) {
  const auto oldest_of = [&](uint32_t priority) {
    return priority > UINT8_MAX ? queue.ready.end()
                                : queue.ready.lower_bound({static_cast<uint8_t>(priority), MessageId()});
  };
  auto end = last != nullptr ? oldest_of(last->priority + 1u) : queue.ready.end();
  while (end != queue.ready.begin()) {
    const uint8_t priority = std::prev(end)->priority;
    const auto first = oldest_of(priority);
    const bool began = last != nullptr && last->priority == priority;
    for (auto it = began ? queue.ready.upper_bound(*last) : first; it != end; ++it) {
      if (!fn(*it)) return;
    }
    end = first;
  }
}

// Makes room by deleting the oldest of the least urgent messages that are ready; a queue that has become much too
// large, send by send. False: they are not enough.
bool discard(MessageDraft& draft, const QueueView& queue) {
  const auto too_many = [&] {
    const MessageDraft::Sum sum = draft.sum_of(queue.number, &queue);
    return beyond_bounds(queue.config, sum.messages, sum.bytes);
  };
  bool more = true;  // may be deleted by this write
  const ReadyPlace* known = draft.discarded_last(queue.number);
  const std::optional<ReadyPlace> last = known != nullptr ? std::optional(*known) : std::nullopt;
  each_less_urgent(queue, last ? &*last : nullptr, [&](const ReadyPlace& place) {
    if (!too_many()) return false;
    more = draft.discard(queue.number, place);
    return more;
  });
  return !more || !too_many();
}

std::optional<Failed> no_room_in(MessageDraft& draft, const SentTo& queue) {
  const MessageDraft::Sum sum = draft.sum_of(queue.number, queue.view);
  if (!beyond_bounds(queue.config, sum.messages, sum.bytes)) return std::nullopt;
  if (queue.topic && queue.view != nullptr && trim_to_bounds(draft, *queue.view)) return std::nullopt;
  if (queue.topic)
    return queue_full(
        "the topic is full: of what its subscriptions have not settled, or of what is published at once");
  if (queue.config.discard_old && queue.view != nullptr && discard(draft, *queue.view)) return std::nullopt;
  return queue_full("the queue is full: it would hold " + std::to_string(sum.messages) + " messages of " +
                    std::to_string(sum.bytes) + " bytes");
}

uint64_t names_of(const WriteView& view, uint64_t made) {
  const auto it = view.store.dedup().names.find(made);
  return it == view.store.dedup().names.end() ? 0 : it->second;
}

StoredMessage stored_of(const NewMessage& message, const QueueConfig& config, const WriteView& view) {
  const uint64_t age_ms = message.max_age_ms != 0 ? message.max_age_ms : config.max_age_ms;
  StoredMessage stored;
  stored.priority = message.priority;
  stored.sent_ms = view.wall_ms;
  stored.deadline = age_ms == 0 ? 0 : view.clock + age_ms;
  stored.group = message.group;
  stored.type = message.type;
  stored.body = message.body.view();
  if (!message.past) return stored;
  stored.sent_ms = message.past->sent_ms;
  stored.dead_from = message.past->dead_from;
  stored.reason = message.past->reason;
  stored.attempts = message.past->attempts;
  return stored;
}

// None: it is ready, and was never granted.
std::optional<StoredDelivery> delivery_of_new(const NewMessage& message, uint64_t clock) {
  StoredDelivery delivery;
  if (message.past && message.past->dead) {
    delivery.state = MessageState::kDead;
    delivery.attempts = message.past->attempt;
    delivery.reason = message.past->why;
  } else if (message.delay_ms != 0) {
    delivery.state = MessageState::kDelayed;
    delivery.due = clock + message.delay_ms;
  } else {
    return std::nullopt;
  }
  return delivery;
}

// `none`: there is no such queue, or topic, which is to be made.
std::optional<Failed> refused_making(MessageDraft& draft, Failed none) {
  if (draft.queues().sources() >= limits::kQueues)
    return queue_full("there are " + std::to_string(limits::kQueues) +
                      " queues, topics and subscriptions already");
  if (draft.may_make_queue()) return std::nullopt;
  none.detail +=
      ", and one transaction makes one queue, or topic, at most";  // their numbers would be the same
  return none;
}

// The queue as this write finds it; where there is none it makes it.
Result<SentTo, Failed> queue_for_sending(MessageDraft& draft, const std::string& name, bool create) {
  static const QueueConfig kDefaults;
  const QueueView* queue = draft.queues().find(name);
  if (queue != nullptr) return SentTo{queue->number, queue->made, queue->config, queue};
  const uint64_t made = draft.view().next.value;
  const SentTo own{made, made, kDefaults, nullptr};
  if (draft.find(queue_key(name), Space::kQueues) != nullptr) return own;
  if (!create) return Failure<Failed>(no_queue(name));
  if (auto failed = refused_making(draft, no_queue(name))) return Failure<Failed>(std::move(*failed));
  draft.set(queue_record(name, {made, kDefaults}, nullptr, draft.view().next));
  return own;
}

// The same of a topic.
Result<SentTo, Failed> topic_for_publishing(MessageDraft& draft, const std::string& name, bool create) {
  static const QueueConfig kDefaults;
  const QueueView* topic = draft.queues().find_topic(name);
  if (topic != nullptr) return SentTo{topic->number, topic->made, topic->config, topic, true};
  const uint64_t made = draft.view().next.value;
  const SentTo own{made, made, kDefaults, nullptr, true};
  if (draft.find(topic_key(name), Space::kQueues) != nullptr) return own;
  if (!create) return Failure<Failed>(no_topic(name));
  if (auto failed = refused_making(draft, no_topic(name))) return Failure<Failed>(std::move(*failed));
  draft.set(topic_record(name, {made, {}}, nullptr, draft.view().next));
  return own;
}

Result<OpSent, Failed> send_to(const SentTo& queue, const NewMessage& message, MessageDraft& draft) {
  const WriteView& view = draft.view();
  const MessageId id = *draft.next_id();
  if (queue.topic && (message.delay_ms != 0 || (message.past && message.past->dead))) {
    return Failure<Failed>(
        Failed{ErrorCode::kInvalid, Outcome::kNotApplied, "a topic takes no delayed or dead messages"});
  }
  if (queue.config.fifo && message.delay_ms != 0) {
    return Failure<Failed>(
        Failed{ErrorCode::kInvalid, Outcome::kNotApplied, "a queue of order fifo takes no delayed messages"});
  }
  if (!message.dedup.empty()) {
    if (const auto before = sent_before(draft, queue, message.dedup, id)) return OpSent{*before, true};
    if (names_of(view, queue.made) >= limits::kDedupNames)
      return Failure<Failed>(
          queue_full("the queue remembers as many dedup names as it may; they go with its dedup_window"));
  }
  StoredMessage stored = stored_of(message, queue.config, view);
  if (queue.topic) {
    stored.priority = 0;
    stored.ordinal = draft.next_ordinal(queue.number, queue.view);
  }
  draft.put(queue.number, id, stored);
  if (const auto delivery = delivery_of_new(message, view.clock))
    draft.set(delivery_record(message_key(queue.number, id), *delivery, nullptr, view.next));
  return OpSent{id, false};
}

Result<OpSent, Failed> sent_or_refused(const Result<SentTo, Failed>& to, const NewMessage& message,
                                       MessageDraft& draft) {
  if (!to) return Failure<Failed>(to.error());
  Result<OpSent, Failed> sent = send_to(*to, message, draft);
  if (!sent || sent->duplicate) return sent;
  if (auto failed = no_room_in(draft, *to)) return Failure<Failed>(std::move(*failed));
  return sent;
}

Evaluation send_all(const Result<SentTo, Failed>& to, const std::vector<NewMessage>& messages,
                    MessageDraft& draft) {
  if (!to) return to.error();
  Sent sent{static_cast<uint32_t>(messages.size()), {}};
  for (uint16_t place = 0; place < sent.count; ++place) {
    const Result<OpSent, Failed> one = send_to(*to, messages[place], draft);
    if (!one) return one.error();
    if (one->duplicate) sent.duplicates.push_back({place, one->id});
  }
  if (sent.duplicates.size() < sent.count) {
    if (auto failed = no_room_in(draft, *to)) return std::move(*failed);
  }
  return Change{draft.take_effects(), std::move(sent)};
}

}  // namespace

Result<OpSent, Failed> send(MessageDraft& draft, const std::string& queue, const NewMessage& message) {
  return sent_or_refused(queue_for_sending(draft, queue, true), message, draft);
}

Result<OpSent, Failed> publish(MessageDraft& draft, const std::string& topic, const NewMessage& message) {
  return sent_or_refused(topic_for_publishing(draft, topic, true), message, draft);
}

Evaluation QueuesSpace::effects_of(Box<SendMessages>& send, const WriteView& view) {
  MessageDraft draft(view);
  return send_all(queue_for_sending(draft, send->queue, send->create), send->messages, draft);
}

Evaluation QueuesSpace::effects_of(Box<PublishMessages>& publish, const WriteView& view) {
  MessageDraft draft(view);
  return send_all(topic_for_publishing(draft, publish->topic, publish->create), publish->messages, draft);
}

}  // namespace kvd
