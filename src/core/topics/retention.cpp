// See retention.hpp.
#include "core/topics/retention.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

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
  // The oldest one. False: this write has deleted as many records as one may.
  bool drop(const MessageId& id) {
    std::vector<std::string> deliveries;
    for (const uint64_t number : needed(id) ? topic_.subscriptions : std::set<uint64_t>()) {
      const QueueView& subscription = draft_.queues().view(number);
      if (subscription.window.contains(id) || subscription.dead.contains(id))
        deliveries.push_back(message_key(number, id));
    }
    if (!draft_.may_discard(1 + deliveries.size())) return false;
    draft_.forget(message_key(topic_.number, id));
    for (const std::string& key : deliveries) draft_.erase(key, Space::kDeliveries);
    last_ = id;
    dropped_ += 1 + deliveries.size();
    return true;
  }
  size_t dropped() const { return dropped_; }  // records
  // Whoever is behind this, and reads on, has a gap.
  void end() {
    if (dropped_ == 0) return;
    StoredPlace place = draft_.place(topic_);
    place.id = std::max(place.id, last_);
    draft_.set_place(topic_, place);
  }

 private:
  bool needed(const MessageId& id) const { return kept_from_ && id >= *kept_from_; }

  MessageDraft& draft_;
  const QueueView& topic_;
  std::optional<MessageId> kept_from_;
  MessageId last_;
  size_t dropped_ = 0;
};

bool is_aged(const MessageDraft& draft, const QueueView& topic, const MessageId& id) {
  const Record* message = draft.find(message_key(topic.number, id), Space::kMessages);
  const uint64_t deadline = message != nullptr ? message_of(*message).deadline : 0;
  return deadline != 0 && deadline <= draft.view().clock;
}

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

// In their order: one that is not too old yet keeps those behind it.
size_t trim_old(MessageDraft& draft, const QueueView& topic, size_t most) {
  auto it = topic.ready.begin();
  if (it == topic.ready.end() || !is_aged(draft, topic, it->id())) return 0;
  Trimming trimming(draft, topic);
  for (; it != topic.ready.end() && trimming.dropped() < most; ++it) {
    if (!is_aged(draft, topic, it->id()) || !trimming.may_go(it->id()) || !trimming.drop(it->id())) break;
  }
  trimming.end();
  return std::min(most, trimming.dropped());
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
