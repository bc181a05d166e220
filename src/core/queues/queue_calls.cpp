// Queues are made, changed, emptied and deleted: see queue_spaces.hpp.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/big_endian.hpp"
#include "core/mutation.hpp"
#include "core/queues/message_draft.hpp"
#include "core/queues/queue_spaces.hpp"
#include "core/replica/key_effects.hpp"
#include "core/replica/store.hpp"
#include "core/replica/table.hpp"

namespace kvd {
namespace {

Failed refused_call(ErrorCode code, std::string why) {
  return Failed{code, Outcome::kNotApplied, std::move(why)};
}

// What is dead goes from queue to queue, and must not come back to this one.
bool comes_back(const QueueViews& queues, std::string_view name, std::string_view dead_letter) {
  size_t steps = 0;
  while (!dead_letter.empty() && steps++ <= queues.count(QueueView::Kind::kQueue)) {
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

// The committed ones in a state, oldest first, as far as they are in it at the log's end, too: by the clock, so that
// those whose time has come are ready. Calls fn(key, message) until it returns false.
void each_in_state(MessageDraft& draft, const QueueView& queue, MessageState state, auto&& fn) {
  const uint64_t number = queue.number;
  const WriteView& view = draft.view();
  const auto goes_on = [&](const std::string& key) {
    const Record* message = draft.message(queue, key);
    const StoredDelivery delivery =
        delivery_of(draft.find(key, Space::kDeliveries)).value_or(StoredDelivery());
    if (message == nullptr || state_by_clock(delivery, view.clock) != state) return true;
    return fn(key, *message);
  };
  if (state == MessageState::kReady) {
    std::string first;
    append_big_endian(first, number);
    const Table& all = view.store.items(Space::kMessages);
    for (auto it = all.lower_bound(first); it != all.end() && it->key().starts_with(first); ++it) {
      if (!goes_on(std::string(it->key()))) return;
    }
    return;
  }
  const auto standing = view.store.deliveries().standing.find(number);
  if (standing == view.store.deliveries().standing.end()) return;
  for (const MessageId& id : standing->second.in[static_cast<size_t>(state)]) {
    if (!goes_on(message_key(number, id))) return;
  }
}

// As if it had never been delivered. In the window of a subscription it stays.
void make_ready(MessageDraft& draft, const QueueView& queue, const std::string& key) {
  if (!queue.is_subscription()) return draft.erase(key, Space::kDeliveries);
  const Record* known = draft.find(key, Space::kDeliveries);
  StoredDelivery delivery;
  const Record* message = draft.message(queue, key);
  if (const auto lane = queue.lane_of(message_of(*message).group)) delivery.group = *lane;
  draft.set(delivery_record(key, delivery, known, draft.view().next));
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
  if (queue == nullptr && queues.sources() >= limits::kQueues)
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
  each_in_state(draft, *queue, *purge.state, [&](const std::string& key, const Record&) {
    purged.more = purged.count == limits::kPurged;
    if (purged.more) return false;
    draft.forget(key);
    ++purged.count;
    return true;
  });
  return Change{draft.take_effects(), purged, true};
}

Evaluation QueuesSpace::effects_of(KickMessages& kick, const WriteView& view) {
  MessageDraft draft(view);
  const QueueView* queue = draft.queues().find(kick.queue, kick.subscription);
  if (queue == nullptr) return no_source(kick.queue, kick.subscription);
  const QueueView* target = kick.to.empty() ? queue : draft.queues().find(kick.to);
  if (target == nullptr) return no_queue(kick.to);
  if (target == queue && kick.state == MessageState::kReady) return no_effect(MessagesMoved{});
  MessagesMoved moved;
  size_t bytes = 0;
  each_in_state(draft, *queue, kick.state, [&](const std::string& key, const Record& message) {
    if (moved.count == kick.max) return false;
    if (target == queue) {
      make_ready(draft, *queue, key);
    } else {
      const Record kept = message;
      bytes += kept.value().size();
      if (bytes > limits::kWriteBytes || !draft.move(*queue, *target, key, message_of(kept))) return false;
    }
    ++moved.count;
    return true;
  });
  return Change{draft.take_effects(), moved, true};
}

}  // namespace kvd
