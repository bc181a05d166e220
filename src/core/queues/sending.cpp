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

// Makes room by deleting the oldest of the least urgent messages that are ready; a queue that has become much too
// large, send by send. False: they are not enough.
bool discard(MessageDraft& draft, const QueueView& queue, uint64_t messages, uint64_t bytes) {
  auto end = queue.ready.end();
  size_t deleted = 0;
  while (end != queue.ready.begin() && beyond_bounds(queue.config, messages, bytes)) {
    const auto first = queue.ready.lower_bound(ReadyPlace(std::prev(end)->priority, MessageId()));
    for (auto it = first; it != end && beyond_bounds(queue.config, messages, bytes); ++it) {
      const std::string key = message_key(queue.number, it->id());
      bytes -= message_of(*draft.find(key, Space::kMessages)).body.size();
      --messages;
      draft.forget(key);
      if (++deleted == limits::kPurged) return true;
    }
    end = first;
  }
  return !beyond_bounds(queue.config, messages, bytes);
}

std::optional<Failed> no_room_in(MessageDraft& draft, const SentTo& queue) {
  if (draft.added(queue.number) == 0) return std::nullopt;  // all of it was sent before
  const uint64_t messages = (queue.view != nullptr ? queue.view->messages : 0) + draft.added(queue.number);
  const uint64_t bytes = (queue.view != nullptr ? queue.view->bytes : 0) + draft.added_bytes(queue.number);
  if (!beyond_bounds(queue.config, messages, bytes)) return std::nullopt;
  if (queue.config.discard_old && queue.view != nullptr && discard(draft, *queue.view, messages, bytes))
    return std::nullopt;
  return queue_full("the queue is full: it would hold " + std::to_string(messages) + " messages of " +
                    std::to_string(bytes) + " bytes");
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

Evaluation send_to(const SentTo& queue, SendMessages& send, MessageDraft& draft) {
  const WriteView& view = draft.view();
  Sent sent{static_cast<uint32_t>(send.messages.size()), {}};
  for (uint16_t place = 0; place < sent.count; ++place) {
    const NewMessage& message = send.messages[place];
    const MessageId id = *draft.next_id();
    if (!message.dedup.empty()) {
      if (const auto before = sent_before(draft, queue, message.dedup, id)) {
        sent.duplicates.push_back({place, *before});
        continue;
      }
      if (names_of(view, queue.made) >= limits::kDedupNames)
        return queue_full("the queue remembers as many dedup names as it may; they go with its dedup_window");
    }
    draft.put(queue.number, id, stored_of(message, queue.config, view));
    if (const auto delivery = delivery_of_new(message, view.clock))
      draft.set(delivery_record(message_key(queue.number, id), *delivery, nullptr, view.next));
  }
  if (auto failed = no_room_in(draft, queue)) return std::move(*failed);
  return Change{draft.take_effects(), std::move(sent)};
}

}  // namespace

Evaluation QueuesSpace::effects_of(Box<SendMessages>& send, const WriteView& view) {
  MessageDraft draft(view);
  const QueueView* queue = draft.queues().find(send->queue);
  if (queue != nullptr) {
    const bool delayed = std::any_of(send->messages.begin(), send->messages.end(),
                                     [](const NewMessage& message) { return message.delay_ms != 0; });
    if (queue->config.fifo && delayed)
      return Failed{ErrorCode::kInvalid, Outcome::kNotApplied,
                    "a queue of order fifo takes no delayed messages"};
    return send_to({queue->number, queue->made, queue->config, queue}, *send, draft);
  }
  if (!send->create) return no_queue(send->queue);
  if (draft.queues().queues() >= limits::kQueues)
    return queue_full("there are " + std::to_string(limits::kQueues) + " queues already");
  const StoredQueue made{view.next.value, {}};
  draft.set(queue_record(send->queue, made, nullptr, view.next));
  return send_to({made.number, made.number, made.config, nullptr}, *send, draft);
}

}  // namespace kvd
