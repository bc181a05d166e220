// See topic_restore.hpp.
#include "core/replica/topic_restore.hpp"

#include <algorithm>
#include <map>
#include <variant>

#include "core/queues/queue_spaces.hpp"
#include "core/replica/terms.hpp"
#include "msg/limits.hpp"

namespace kvd {
namespace {

constexpr size_t kPublishedBytes = 1u << 20;  // in one batch, or one message

// Behind what a subscription has settled without a hole; what is dead in it is a hole, too.
MessageId settled_up_to(const Store& backup, const StoredSubscription& subscription) {
  MessageId place = place_of(backup.find(place_key(subscription.number), Space::kQueues)).id;
  const auto standing = backup.deliveries().standing.find(subscription.number);
  if (standing == backup.deliveries().standing.end()) return place;
  for (const MessageState state :
       {MessageState::kReady, MessageState::kDelayed, MessageState::kInFlight, MessageState::kDead}) {
    const auto& ids = standing->second.in[static_cast<size_t>(state)];
    if (ids.empty() || *ids.begin() > place) continue;
    place = *ids.begin();
    if (place.index > 0) {
      --place.index;
    } else {
      place = {place.revision.previous(), limits::kKicked - 1};
    }
  }
  return place;
}

}  // namespace

TopicRestore::TopicRestore(const Store& backup) : backup_(backup) {
  page_.limit = limits::kListItemsMax;
  std::map<uint64_t, size_t> by_number;
  const auto& sums = backup.messages().sums;
  for (const Record& item : backup.items(Space::kQueues)) {
    std::optional<StoredTopic> stored = names_topic(item.key()) ? kvd::topic_of(&item) : std::nullopt;
    if (!stored) continue;
    if (const auto sum = sums.find(stored->number); sum != sums.end()) messages_ += sum->second.messages;
    by_number.emplace(stored->number, topics_.size());
    topics_.push_back({std::string(item.key().substr(1)), std::move(*stored), {}});
  }
  for (const Record& item : backup.items(Space::kQueues)) {
    std::optional<StoredSubscription> stored =
        names_subscription(item.key()) ? subscription_of(&item) : std::nullopt;
    const auto topic = stored ? by_number.find(stored->topic) : by_number.end();
    if (topic == by_number.end()) continue;
    topics_[topic->second].subscriptions.push_back(
        {std::string(subscription_names(item.key()).second), stored->config, settled_up_to(backup, *stored)});
  }
  for (Topic& topic : topics_) {
    std::sort(topic.subscriptions.begin(), topic.subscriptions.end(),
              [](const Subscription& a, const Subscription& b) { return a.place < b.place; });
  }
  begin_topic();
}

// ---- what is there ----

std::optional<Operation> TopicRestore::next_clearing() {
  if (busy_ || (doomed_.empty() && !more_pages_)) return std::nullopt;
  busy_ = true;
  if (doomed_.empty()) return page_;
  DeleteTopic remove{std::move(doomed_.back())};
  doomed_.pop_back();
  return remove;
}

void TopicRestore::take_listing(const TopicList& list) {
  for (const TopicInfo& info : list.topics) doomed_.push_back(info.name);
  more_pages_ = list.more && !list.topics.empty();
  if (more_pages_) page_.after = list.topics.back().name;
}

// ---- what is written ----

void TopicRestore::begin_topic() {
  step_ = Step::kMake;
  subscription_ = 0;
  if (at_ == topics_.size()) return;
  next_ = backup_.items(Space::kMessages).lower_bound(message_key(topics_[at_].stored.number, {}));
}

bool TopicRestore::has_more() const {
  return next_ != backup_.items(Space::kMessages).end() &&
         message_key_of(next_->key()).number == topics_[at_].stored.number;
}

std::optional<Operation> TopicRestore::next() {
  if (busy_ || at_ == topics_.size()) return std::nullopt;
  busy_ = true;
  const Topic& topic = topics_[at_];
  if (step_ == Step::kConfigure) return Box(MakeTopic{topic.name, topic.stored.config});
  if (step_ == Step::kMake) {
    TopicConfig unbounded;
    unbounded.dedup_window_ms = topic.stored.config.dedup_window_ms;
    return Box(MakeTopic{topic.name, unbounded});
  }
  if (!subscription_due()) return Box(next_messages());
  const Subscription& subscription = topic.subscriptions[subscription_];
  return Box(
      MakeSubscription{topic.name, subscription.name, subscription.config, {TopicPlace::Kind::kNow, {}, 0}});
}

// All that it has settled is published, and nothing else.
bool TopicRestore::subscription_due() const {
  const std::vector<Subscription>& all = topics_[at_].subscriptions;
  return subscription_ < all.size() &&
         (!has_more() || message_key_of(next_->key()).id > all[subscription_].place);
}

PublishMessages TopicRestore::next_messages() {
  PublishMessages publish{topics_[at_].name, {}, false};
  size_t bytes = 0;
  for (; has_more() && !subscription_due() && publish.messages.size() < limits::kMessagesAtOnce; ++next_) {
    const StoredMessage stored = message_of(*next_);
    NewMessage message;
    message.body = next_->bytes().last(stored.body.size());
    message.group = stored.group;
    message.type = stored.type;
    if (stored.deadline != 0)
      message.max_age_ms =
          std::clamp<uint64_t>(left_until(stored.deadline, backup_.clock()), 1, limits::kTtlMsMax);
    message.past.emplace().sent_ms = stored.sent_ms;
    bytes += bytes_of(message);
    if (!publish.messages.empty() && bytes > kPublishedBytes) break;
    publish.messages.push_back(std::move(message));
  }
  return publish;
}

// Steps that have nothing to do are passed over.
void TopicRestore::go_on() {
  if (step_ == Step::kConfigure) {
    ++at_;
    return begin_topic();
  }
  step_ = has_more() || subscription_ < topics_[at_].subscriptions.size() ? Step::kWrite : Step::kConfigure;
}

void TopicRestore::done(const Answer& answer) {
  busy_ = false;
  if (const auto* list = std::get_if<TopicList>(&answer)) return take_listing(*list);
  if (std::holds_alternative<TopicDeleted>(answer)) return;
  if (const auto* sent = std::get_if<Sent>(&answer)) {
    written_ += sent->count;
  } else if (step_ == Step::kWrite) {
    ++subscription_;
  }
  go_on();
}

}  // namespace kvd
