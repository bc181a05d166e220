// See retention.hpp.
#include "core/topics/retention.hpp"

#include <algorithm>
#include <string>

#include "core/mutation.hpp"

namespace kvd {
namespace {

MessageId behind(MessageId id) {
  ++id.index;
  return id;
}

// Cuts one message after the other off.
class Trimming {
 public:
  Trimming(MessageDraft& draft, const QueueView& topic)
      : draft_(draft), topic_(topic), kept_from_(kvd::kept_from(draft.queues(), topic)) {}

  bool may_go(const MessageId& id) const {
    return !needed(id) || topic_.config.discard_old || mutated(Mutation::kTrimUnsettled);
  }
  // False: this write has deleted as many as one may.
  bool drop(const MessageId& id) {
    if (!draft_.discard(message_key(topic_.number, id))) return false;
    for (const uint64_t number : topic_.subscriptions)
      draft_.erase(message_key(number, id), Space::kDeliveries);
    if (needed(id)) lost_ = id;
    return true;
  }
  void end() {
    if (!lost_) return;
    StoredPlace place = draft_.place(topic_);
    place.id = std::max(place.id, *lost_);
    draft_.set_place(topic_, place);
  }

 private:
  bool needed(const MessageId& id) const { return kept_from_ && id >= *kept_from_; }

  MessageDraft& draft_;
  const QueueView& topic_;
  std::optional<MessageId> kept_from_;
  std::optional<MessageId> lost_;
};

}  // namespace

std::optional<MessageId> kept_from(const QueueViews& queues, const QueueView& topic) {
  std::optional<MessageId> first;
  const auto keep = [&](const MessageId& id) { first = first ? std::min(*first, id) : id; };
  for (const uint64_t number : topic.subscriptions) {
    const QueueView& subscription = queues.view(number);
    keep(behind(subscription.place.id));
    if (!subscription.window.empty()) keep(*subscription.window.begin());
    if (!subscription.dead.empty()) keep(*subscription.dead.begin());
  }
  return first;
}

bool trim_to_bounds(MessageDraft& draft, const QueueView& topic) {
  Trimming trimming(draft, topic);
  const auto too_many = [&] {
    const MessageDraft::Sum sum = draft.sum_of(topic.number, &topic);
    return beyond_bounds(topic.config, sum.messages, sum.bytes);
  };
  bool more = true;  // may be deleted by this write
  for (auto it = topic.ready.begin();
       more && it != topic.ready.end() && too_many() && trimming.may_go(it->id()); ++it)
    more = trimming.drop(it->id());
  trimming.end();
  return !more || !too_many();
}

size_t trim_old(MessageDraft& draft, const QueueView& topic, size_t most) {
  Trimming trimming(draft, topic);
  size_t count = 0;
  for (auto it = topic.ready.begin(); it != topic.ready.end() && count < most; ++it) {
    const Record* message = draft.find(message_key(topic.number, it->id()), Space::kMessages);
    const uint64_t deadline = message == nullptr ? 0 : message_of(*message).deadline;
    const bool old = deadline != 0 && deadline <= draft.view().clock;
    if (!old || !trimming.may_go(it->id()) || !trimming.drop(it->id())) break;
    ++count;
  }
  trimming.end();
  return count;
}

void give_up(MessageDraft& draft, uint64_t number, bool names) {
  draft.erase(place_key(number), Space::kQueues);
  draft.set(emptied_record(number, names, draft.view().next));
}

void delete_subscription(MessageDraft& draft, const QueueView& subscription) {
  draft.erase(subscription_key(subscription.name, subscription.subscription), Space::kQueues);
  give_up(draft, subscription.number, false);
}

}  // namespace kvd
