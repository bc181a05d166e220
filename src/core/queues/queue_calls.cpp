// Queues are made, changed, emptied and deleted: see queue_spaces.hpp.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/mutation.hpp"
#include "core/queues/message_draft.hpp"
#include "core/queues/queue_spaces.hpp"
#include "core/replica/key_effects.hpp"
#include "core/replica/store.hpp"

namespace kvd {
namespace {

Failed refused_call(ErrorCode code, std::string why) {
  return Failed{code, Outcome::kNotApplied, std::move(why)};
}

// What is dead goes from queue to queue, and must not come back to this one.
bool comes_back(const QueueViews& queues, std::string_view name, std::string_view dead_letter) {
  size_t steps = 0;
  while (!dead_letter.empty() && steps++ <= queues.queues()) {
    if (dead_letter == name) return true;
    const QueueView* next = queues.find(dead_letter);
    if (next == nullptr) return false;
    dead_letter = next->config.dead_letter;
  }
  return false;
}

// All of them, whatever their number: the queue bears another number from here on, and what bears this one is deleted
// bit by bit (sweep.hpp).
void empty_number(MessageDraft& draft, uint64_t number, bool names) {
  const Record* emptied = draft.find(emptied_key(number), Space::kQueues);
  names |= emptied != nullptr && empties_names(*emptied);
  draft.set(emptied_record(number, names, draft.view().next));
}

// The ids, oldest first, of those in a state; what is in flight past its time is ready, but not for these.
std::vector<MessageId> in_state(const QueueView& queue, const DeliveriesSpace::Standing* standing,
                                MessageState state, size_t most) {
  std::vector<MessageId> ids;
  if (state == MessageState::kReady) {
    for (auto it = queue.ready.begin(); it != queue.ready.end() && ids.size() < most; ++it)
      ids.push_back(it->id());
  } else if (standing != nullptr) {
    for (const MessageId& id : standing->in[static_cast<size_t>(state)]) {
      if (ids.size() == most) break;
      ids.push_back(id);
    }
  }
  return ids;
}

const DeliveriesSpace::Standing* standing_of(const WriteView& view, uint64_t number) {
  const auto& all = view.store.deliveries().standing;
  const auto it = all.find(number);
  return it == all.end() ? nullptr : &it->second;
}

}  // namespace

Evaluation QueuesSpace::effects_of(Box<MakeQueue>& make, const WriteView& view) {
  MessageDraft draft(view);
  const QueueViews& queues = draft.queues();
  const QueueView* queue = queues.find(make->name);
  if (comes_back(queues, make->name, make->config.dead_letter)) {
    return refused_call(ErrorCode::kQueueCycle,
                        "dead letters would come back to this queue, by way of " + make->config.dead_letter);
  }
  if (queue == nullptr && queues.queues() >= limits::kQueues)
    return refused_call(ErrorCode::kQueueFull,
                        "there are " + std::to_string(limits::kQueues) + " queues already");
  if (queue != nullptr && queue->messages != 0 && queue->config.fifo != make->config.fifo)
    return refused_call(ErrorCode::kNotEmpty, "the order of a queue can be changed only while it is empty");
  if (queue != nullptr && queue->config == make->config) return no_effect(QueueMade{false});
  const StoredQueue stored{queue != nullptr ? queue->number : view.next.value, std::move(make->config)};
  const Record* now = view.latest(queue_key(make->name), kSpace);
  return one_effect(queue_record(make->name, stored, now, view.next), QueueMade{queue == nullptr});
}

Evaluation QueuesSpace::effects_of(DeleteQueue& remove, const WriteView& view) {
  MessageDraft draft(view);
  const QueueView* queue = draft.queues().find(remove.name);
  if (queue == nullptr) return no_queue(remove.name);
  if (remove.if_empty && queue->messages != 0) {
    return refused_call(ErrorCode::kNotEmpty,
                        "there are " + std::to_string(queue->messages) + " messages in the queue");
  }
  draft.erase(queue_key(remove.name), kSpace);
  empty_number(draft, queue->number, false);
  empty_number(draft, queue->made, true);
  return Change{draft.take_effects(), QueueDeleted{}, true};
}

Evaluation QueuesSpace::effects_of(PurgeMessages& purge, const WriteView& view) {
  MessageDraft draft(view);
  const QueueView* queue = draft.queues().find(purge.queue);
  if (queue == nullptr) return no_queue(purge.queue);
  if (!purge.state) {
    const uint64_t count = queue->messages;
    if (count == 0) return no_effect(MessagesPurged{});
    const Record* now = view.latest(queue_key(purge.queue), kSpace);
    const uint64_t number = mutated(Mutation::kPurgeLate) ? queue->number : view.next.value;
    draft.set(queue_record(purge.queue, {number, queue->config}, now, view.next));
    empty_number(draft, queue->number, false);
    return Change{draft.take_effects(), MessagesPurged{count, false}, true};
  }
  MessagesPurged purged;
  for (const MessageId& id :
       in_state(*queue, standing_of(view, queue->number), *purge.state, limits::kPurged + 1)) {
    purged.more = purged.count == limits::kPurged;
    if (purged.more) break;
    const std::string key = message_key(queue->number, id);
    const std::optional<StoredDelivery> now = delivery_of(draft.find(key, Space::kDeliveries));
    const bool other = *purge.state != MessageState::kReady && (!now || now->state != *purge.state);
    if (other || draft.find(key, Space::kMessages) == nullptr) continue;  // at the log's end it is so no more
    draft.forget(key);
    ++purged.count;
  }
  return Change{draft.take_effects(), purged, true};
}

Evaluation QueuesSpace::effects_of(KickMessages& kick, const WriteView& view) {
  MessageDraft draft(view);
  const QueueView* queue = draft.queues().find(kick.queue);
  if (queue == nullptr) return no_queue(kick.queue);
  const QueueView* target = kick.to.empty() ? queue : draft.queues().find(kick.to);
  if (target == nullptr) return no_queue(kick.to);
  MessagesMoved moved;
  size_t bytes = 0;
  for (const MessageId& id : in_state(*queue, standing_of(view, queue->number), kick.state, kick.max)) {
    const std::string key = message_key(queue->number, id);
    const Record* message = draft.find(key, Space::kMessages);
    const std::optional<StoredDelivery> now = delivery_of(draft.find(key, Space::kDeliveries));
    if (message == nullptr || !now || now->state != kick.state) continue;
    if (target == queue) {
      draft.erase(key, Space::kDeliveries);
    } else {
      const Record kept = *message;
      bytes += kept.value().size();
      if (bytes > limits::kWriteBytes || !draft.move(*queue, *target, key, message_of(kept))) break;
    }
    ++moved.count;
  }
  return Change{draft.take_effects(), moved, true};
}

}  // namespace kvd
