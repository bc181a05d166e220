// Topics and subscriptions are made, changed, moved and deleted: see core/queues/queue_spaces.hpp. What is published is
// in core/queues/sending.cpp, and what is granted in receiving.cpp: there queues and topics are alike.
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
#include "core/topics/topic_places.hpp"

namespace kvd {
namespace {

Failed refused_source(ErrorCode code, std::string why) {
  return Failed{code, Outcome::kNotApplied, std::move(why)};
}

Failed no_more_sources() {
  return refused_source(ErrorCode::kQueueFull, "there are " + std::to_string(limits::kQueues) +
                                                   " queues, topics and subscriptions already");
}

// Of what is committed, and what the log will add to it.
MessageId behind_time(MessageDraft& draft, const QueueView& topic, uint64_t ms) {
  MessageId id = published_before(draft.view().store, topic.number, ms);
  for (auto it = topic.ready.upper_bound({0, id}); it != topic.ready.end(); ++it) {
    const Record* message = draft.find(message_key(topic.number, it->id()), Space::kMessages);
    if (message == nullptr || message_of(*message).sent_ms >= ms) break;
    id = it->id();
  }
  return id;
}

// Behind which message a subscription begins. What the topic does not keep any more by then is no gap.
MessageId place_in(MessageDraft& draft, const QueueView& topic, const TopicPlace& place) {
  const MessageId trimmed = draft.place(topic).id;
  switch (place.kind) {
    case TopicPlace::Kind::kFirst:
      return trimmed;
    case TopicPlace::Kind::kNow:
      return {draft.view().next.previous(), limits::kKicked - 1};
    case TopicPlace::Kind::kId:
      return std::max(place.id, trimmed);
    case TopicPlace::Kind::kTime:
      return std::max(behind_time(draft, topic, place.ms), trimmed);
  }
  return trimmed;
}

}  // namespace

Evaluation QueuesSpace::effects_of(Box<MakeTopic>& make, const WriteView& view) {
  const QueueViews& queues = view.store.queues();
  const QueueView* topic = queues.find_topic(make->name);
  if (topic == nullptr && queues.sources() >= limits::kQueues) return no_more_sources();
  const Record* now = view.latest(topic_key(make->name), kSpace);
  const std::optional<StoredTopic> known = topic_of(now);
  if (known && known->config == make->config) return no_effect(TopicMade{false});
  const StoredTopic stored{known ? known->number : view.next.value, make->config};
  return one_effect(topic_record(make->name, stored, now, view.next), TopicMade{!known});
}

Evaluation QueuesSpace::effects_of(DeleteTopic& remove, const WriteView& view) {
  MessageDraft draft(view);
  const QueueView* topic = draft.queues().find_topic(remove.name);
  if (topic == nullptr) return no_topic(remove.name);
  for (const uint64_t number : topic->subscriptions) delete_subscription(draft, draft.queues().view(number));
  draft.erase(topic_key(remove.name), kSpace);
  give_up(draft, topic->number, true);
  return Change{draft.take_effects(), TopicDeleted{}, true};
}

// One that is there keeps its place.
Evaluation QueuesSpace::effects_of(Box<MakeSubscription>& make, const WriteView& view) {
  MessageDraft draft(view);
  const QueueView* topic = draft.queues().find_topic(make->topic);
  if (topic == nullptr) return no_topic(make->topic);
  const std::string key = subscription_key(make->topic, make->name);
  const Record* now = view.latest(key, kSpace);
  std::optional<StoredSubscription> known = subscription_of(now);
  if (known && known->config == make->config) return no_effect(TopicMade{false});
  if (known) {
    const QueueView& subscription = draft.queues().view(known->number);
    if (subscription.ordered != make->config.ordered && !subscription.window.empty())
      return refused_source(ErrorCode::kNotEmpty,
                            "\"ordered\" can be changed only while no message is in flight or waits");
    known->config = make->config;
    draft.set(subscription_record(key, *known, now, view.next));
    StoredPlace place = draft.place(subscription);
    place.used_ms = view.clock;  // its end is counted from here
    draft.set_place(subscription, place);
    return Change{draft.take_effects(), TopicMade{false}};
  }
  if (draft.queues().sources() >= limits::kQueues) return no_more_sources();
  if (topic->subscriptions.size() >= limits::kSubscriptions)
    return refused_source(ErrorCode::kQueueFull, "the topic has " + std::to_string(limits::kSubscriptions) +
                                                     " subscriptions already");
  const StoredSubscription stored{view.next.value, topic->number, make->config};
  draft.set(subscription_record(key, stored, nullptr, view.next));
  StoredPlace place;
  place.id = place_in(draft, *topic, make->from);
  place.used_ms = view.clock;
  if (mutated(Mutation::kSubscribedAtCommit)) place.id = {view.next.next(), 0};
  draft.set(place_record(stored.number, place, nullptr, view.next));
  return Change{draft.take_effects(), TopicMade{true}};
}

Evaluation QueuesSpace::effects_of(DeleteSubscription& remove, const WriteView& view) {
  MessageDraft draft(view);
  const QueueView* subscription = draft.queues().find_subscription(remove.topic, remove.name);
  if (subscription == nullptr) return no_subscription(remove.topic, remove.name);
  delete_subscription(draft, *subscription);
  return Change{draft.take_effects(), TopicDeleted{}, true};
}

// Under another number, so that all that was granted before counts no more.
Evaluation QueuesSpace::effects_of(SeekSubscription& seek, const WriteView& view) {
  MessageDraft draft(view);
  const QueueView* subscription = draft.queues().find_subscription(seek.topic, seek.name);
  const QueueView* topic = subscription != nullptr ? draft.queues().topic_of(*subscription) : nullptr;
  if (topic == nullptr) return no_subscription(seek.topic, seek.name);
  StoredPlace place = draft.place(*subscription);
  place.id = place_in(draft, *topic, seek.to);
  place.used_ms = view.clock;
  const SubscriptionMoved moved{place.id};
  if (mutated(Mutation::kSeekKeepsGrants)) {
    draft.set_place(*subscription, place);
    return Change{draft.take_effects(), moved, true};
  }
  const std::string key = subscription_key(seek.topic, seek.name);
  const Record* now = view.latest(key, kSpace);
  StoredSubscription stored = subscription_of(now).value_or(StoredSubscription());
  stored.number = view.next.value;
  draft.set(subscription_record(key, stored, now, view.next));
  give_up(draft, subscription->number, false);
  draft.set(place_record(stored.number, place, nullptr, view.next));
  return Change{draft.take_effects(), moved, true};
}

}  // namespace kvd
