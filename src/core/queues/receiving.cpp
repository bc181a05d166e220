// What is granted and settled: see queue_spaces.hpp.
#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/check.hpp"
#include "core/mutation.hpp"
#include "core/queues/message_draft.hpp"
#include "core/queues/queue_spaces.hpp"
#include "core/replica/key_effects.hpp"
#include "core/replica/store.hpp"

namespace kvd {
namespace {

void hand_out(MessageDraft& draft, const QueueView& queue, const ReceiveMessages& receive,
              const MessageId& id, StoredDelivery delivery, std::vector<QueuedMessage>& messages) {
  const WriteView& view = draft.view();
  const std::string key = message_key(queue.number, id);
  delivery.state = MessageState::kInFlight;
  delivery.due = view.clock + (receive.ttr_ms != 0 ? receive.ttr_ms : queue.config.ttr_ms);
  delivery.receipt = view.next.value;
  delivery.ticket = receive.ticket;
  delivery.turn = receive.turn;
  const Record* known = draft.find(key, Space::kDeliveries);
  draft.set(delivery_record(key, delivery, known, view.next));
  messages.push_back(message_for_client(id, *draft.message(queue, key), delivery, view.clock));
}

// What this very call was granted before, when its answer was lost, it gets once more, with another receipt: whoever
// still hears the lost answer, and gives it back as nobody's, has the former one. False: a later sending of the call
// has been here, and this one is answered to nobody.
bool grant_again(MessageDraft& draft, const QueueView& queue, const ReceiveMessages& receive,
                 std::vector<QueuedMessage>& messages) {
  if (receive.ticket == 0 || mutated(Mutation::kTurnIgnored)) return true;
  const auto call = [](uint64_t turn) { return turn >> kSendingBits; };
  auto it = queue.tickets.lower_bound({receive.ticket, call(receive.turn) << kSendingBits, MessageId()});
  for (; it != queue.tickets.end(); ++it) {
    const auto& [ticket, turn, id] = *it;
    if (ticket != receive.ticket || call(turn) != call(receive.turn)) break;
    if (turn > receive.turn) return false;
    const std::string key = message_key(queue.number, id);
    if (draft.changed(key)) continue;  // it settles it
    const std::optional<StoredDelivery> delivery = delivery_of(draft.find(key, Space::kDeliveries));
    if (delivery && draft.message(queue, key) != nullptr)
      hand_out(draft, queue, receive, id, *delivery, messages);
  }
  return true;
}

size_t most_to_grant(const QueueView& queue, const ReceiveMessages& receive) {
  size_t most = receive.max;
  if (queue.full_of_grants()) return 0;
  most = std::min(most, queue.config.max_in_flight - queue.tickets.size());
  if (receive.credit == 0) return most;
  const uint32_t held = queue.granted_to(receive.ticket);
  return held >= receive.credit ? 0 : std::min<size_t>(most, receive.credit - held);
}

// It was ready, but is not to be granted any more.
void end_dead(MessageDraft& draft, const QueueView& queue, const std::string& key, bool spent) {
  if (!spent && queue.config.discard_old) return draft.forget(key);
  draft.bury(queue, key, spent ? "delivered as often as it may be" : "too old");
}

// The first ones that are ready. What this write has settled itself is left to the next one.
void grant(MessageDraft& draft, const QueueView& queue, const ReceiveMessages& receive,
           std::vector<QueuedMessage>& messages) {
  const size_t most = most_to_grant(queue, receive);
  size_t bytes = 0;
  size_t dead = 0;
  auto it = queue.ready.begin();
  if (mutated(Mutation::kReadyUnsorted) && queue.ready.size() > 1) ++it;
  for (; it != queue.ready.end() && messages.size() < most; ++it) {
    const std::string key = message_key(queue.number, it->id());
    if (draft.changed(key)) continue;
    const Record* message = draft.message(queue, key);
    if (message == nullptr && queue.is_subscription()) {  // an incomplete copy that leads all the same
      draft.erase(key, Space::kDeliveries);
      continue;
    }
    CHECK(message != nullptr);
    const Record* known = draft.find(key, Space::kDeliveries);
    StoredDelivery delivery = delivery_of(known).value_or(StoredDelivery());
    const StoredMessage stored = message_of(*message);
    if (draft.is_held_up(queue, stored.group)) continue;
    const size_t body = stored.body.size();
    const bool spent = queue.config.max_deliveries != 0 && delivery.attempts >= queue.config.max_deliveries;
    const bool aged =
        !queue.is_subscription() && stored.deadline != 0 && stored.deadline <= draft.view().clock;
    if (spent || aged) {
      if (++dead > limits::kSwept || draft.full()) break;  // the others another time
      end_dead(draft, queue, key, spent);
      continue;
    }
    if (!messages.empty() && bytes + body > limits::kReceivedBytes) break;
    bytes += body;
    ++delivery.attempts;
    hand_out(draft, queue, receive, it->id(), std::move(delivery), messages);
  }
}

// What a subscription was never granted follows in the order of the topic, as far as its window has room. One that has
// to wait for another of its group is passed over, and remembered.
void grant_next(MessageDraft& draft, const QueueView& subscription, const ReceiveMessages& receive,
                std::vector<QueuedMessage>& messages) {
  const QueueView* topic = draft.queues().topic_of(subscription);
  if (topic == nullptr) return;
  const size_t most = most_to_grant(subscription, receive);
  size_t room = subscription.room();
  size_t bytes = 0;
  for (const QueuedMessage& message : messages) bytes += message.body.size();
  std::set<std::string, std::less<>> busy;
  const MessageId next = std::max(subscription.next(), draft.place(subscription).id);
  for (auto it = topic->ready.upper_bound({0, next}); it != topic->ready.end() && messages.size() < most;
       ++it) {
    if (room-- == 0) break;
    const std::string key = message_key(subscription.number, it->id());
    const StoredMessage stored = message_of(*draft.message(subscription, key));
    if (!messages.empty() && bytes + stored.body.size() > limits::kReceivedBytes) break;
    StoredDelivery delivery;
    const std::optional<std::string_view> lane = subscription.lane_of(stored.group);
    if (lane) delivery.group = *lane;
    if (lane && (subscription.lanes.contains(*lane) || !busy.emplace(*lane).second)) {
      draft.set(delivery_record(key, delivery, nullptr, draft.view().next));
      continue;
    }
    bytes += stored.body.size();
    delivery.attempts = 1;
    hand_out(draft, subscription, receive, it->id(), std::move(delivery), messages);
  }
}

// Of what the topic does not keep any more, and this subscription has not settled, it is told once.
std::optional<Received::Gap> pass_gap(MessageDraft& draft, const QueueView& subscription) {
  const QueueView* topic = draft.queues().topic_of(subscription);
  StoredPlace place = draft.place(subscription);
  if (topic == nullptr) return std::nullopt;
  const MessageId trimmed = draft.place(*topic).id;
  if (trimmed <= place.id) return std::nullopt;
  const Received::Gap gap{place.id, trimmed};
  place.id = trimmed;
  ++place.gaps;
  draft.set_place(subscription, place);
  draft.move_on(subscription);
  return gap;
}

// So that it is known to be in use, to a part of the time after which it would go.
void note_used(MessageDraft& draft, const QueueView& subscription) {
  StoredPlace place = draft.place(subscription);
  const uint64_t noted_for = subscription.expires_ms / kUsesNoted;
  if (subscription.expires_ms == 0 || draft.view().clock < place.used_ms + noted_for) return;
  place.used_ms = draft.view().clock;
  draft.set_place(subscription, place);
}

std::vector<Settled::One> settle_all(MessageDraft& draft, const QueueView& queue,
                                     const std::vector<Settling>& settlings) {
  std::vector<Settled::One> results;
  results.reserve(settlings.size());
  for (const Settling& settling : settlings) results.push_back(settle(draft, queue, settling));
  return results;
}

void refuse_all(MessageDraft& draft, const QueueView& queue, uint64_t its_ticket) {
  auto it = queue.tickets.lower_bound({its_ticket, 0, MessageId()});
  for (; it != queue.tickets.end() && std::get<0>(*it) == its_ticket; ++it) {
    const MessageId& id = std::get<2>(*it);
    const auto delivery = delivery_of(draft.find(message_key(queue.number, id), Space::kDeliveries));
    if (delivery)
      settle(draft, queue, {Settling::Kind::kNack, id, delivery->receipt, 0, "its consumer has gone"});
  }
}

}  // namespace

Evaluation QueuesSpace::effects_of(Box<ReceiveMessages>& receive, const WriteView& view) {
  MessageDraft draft(view);
  const QueueView* queue = draft.queues().find(receive->queue, receive->subscription);
  if (queue == nullptr) return no_source(receive->queue, receive->subscription);
  Received received{receive->queue, receive->turn, {}, {}, receive->subscription};
  received.settled = settle_all(draft, *queue, receive->settlings);
  if (queue->is_subscription()) {
    note_used(draft, *queue);
    received.gap = pass_gap(draft, *queue);
  }
  if (!grant_again(draft, *queue, *receive, received.messages))
    return Failed{ErrorCode::kTimedOut, Outcome::kUnknown, "this call has been sent again since"};
  if (received.messages.empty()) {
    grant(draft, *queue, *receive, received.messages);
    if (queue->is_subscription()) grant_next(draft, *queue, *receive, received.messages);
  }
  Change change{draft.take_effects(), Box(std::move(received))};
  change.makes_room = true;
  return change;
}

Evaluation QueuesSpace::effects_of(Box<SettleMessages>& settle, const WriteView& view) {
  MessageDraft draft(view);
  const QueueView* queue = draft.queues().find(settle->queue, settle->subscription);
  if (queue == nullptr) return no_source(settle->queue, settle->subscription);
  if (queue->is_subscription()) note_used(draft, *queue);
  Settled settled{settle_all(draft, *queue, settle->settlings), false};
  if (settle->ticket != 0) refuse_all(draft, *queue, settle->ticket);
  settled.refused = settle->atomic &&
                    std::any_of(settled.results.begin(), settled.results.end(),
                                [](const Settled::One& one) { return one.result != SettleResult::kDone; });
  if (settled.refused) return no_effect(std::move(settled));
  Change change{draft.take_effects(), std::move(settled)};
  change.makes_room = true;
  return change;
}

}  // namespace kvd
