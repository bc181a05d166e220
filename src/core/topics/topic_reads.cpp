// See topic_reads.hpp.
#include "core/topics/topic_reads.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "base/big_endian.hpp"
#include "core/mutation.hpp"
#include "core/queues/message_draft.hpp"
#include "core/queues/queue_spaces.hpp"
#include "core/replica/table.hpp"
#include "core/topics/topic_places.hpp"

namespace kvd {
namespace {

// Of a topic behind an id, as long as there are any.
Table::Iterator messages_behind(const Store& store, uint64_t number, const MessageId& id) {
  return store.items(Space::kMessages).upper_bound(message_key(number, id));
}

const Record* at_or_null(const Store& store, Table::Iterator it, uint64_t number) {
  const bool is_one = it != store.items(Space::kMessages).end() && message_key_of(it->key()).number == number;
  return is_one ? &*it : nullptr;
}

// The last one is before the first one of the next number.
const Record* last_of(const Store& store, uint64_t number) {
  const Table& all = store.items(Space::kMessages);
  auto it = all.lower_bound(message_key(number + 1, {}));
  if (it == all.begin()) return nullptr;
  --it;
  return at_or_null(store, it, number);
}

MessageId id_of(const Record* message) {
  return message == nullptr ? MessageId() : message_key_of(message->key()).id;
}

TopicInfo topic_info(const Store& store, const Record& record, const ReadAt& at) {
  const StoredTopic stored = topic_of(&record).value_or(StoredTopic());
  TopicInfo info;
  info.name = record.key().substr(1);
  info.config = stored.config;
  if (const auto sum = store.messages().sums.find(stored.number); sum != store.messages().sums.end()) {
    info.messages = sum->second.messages;
    info.bytes = sum->second.bytes;
  }
  const Record* first = at_or_null(store, messages_behind(store, stored.number, {}), stored.number);
  info.first = id_of(first);
  info.last = id_of(last_of(store, stored.number));
  if (first != nullptr) {
    const uint64_t sent_ms = message_of(*first).sent_ms;
    info.oldest_ms = at.wall_ms > sent_ms ? at.wall_ms - sent_ms : 0;
  }
  const std::string prefix = subscription_key(info.name, "");
  const Table& sources = store.items(Space::kQueues);
  for (auto it = sources.lower_bound(prefix); it != sources.end() && it->key().starts_with(prefix); ++it)
    ++info.subscriptions;
  return info;
}

// How many of a topic are behind a place: its messages are counted as they are published.
uint64_t count_behind(const Store& store, uint64_t topic, const MessageId& place) {
  const Record* first = at_or_null(store, messages_behind(store, topic, place), topic);
  if (first == nullptr) return 0;
  return message_of(*last_of(store, topic)).ordinal - message_of(*first).ordinal + 1;
}

uint64_t count_between(const absl::btree_set<MessageId>& ids, const MessageId& behind) {
  return static_cast<uint64_t>(std::distance(ids.upper_bound(behind), ids.end()));
}

SubscriptionInfo subscription_info(const Store& store, const Record& record, const ReadAt& at) {
  StoredSubscription stored = subscription_of(&record).value_or(StoredSubscription());
  const auto [topic, name] = subscription_names(record.key());
  SubscriptionInfo info;
  info.topic = topic;
  info.name = name;
  info.config = std::move(stored.config);
  const StoredPlace place = place_of(store.find(place_key(stored.number), Space::kQueues));
  info.cursor = place.id;
  info.gaps = place.gaps;
  info.behind = count_behind(store, stored.topic, place.id);
  const auto& all = store.deliveries().standing;
  if (const auto it = all.find(stored.number); it != all.end()) {
    const auto& standing = it->second;
    const auto in = [&](MessageState state) -> const auto& {
      return standing.in[static_cast<size_t>(state)];
    };
    info.in_flight = in(MessageState::kInFlight).size() - over(standing.in_flight, at.clock);
    info.delayed = in(MessageState::kDelayed).size() - over(standing.delayed, at.clock);
    info.dead = in(MessageState::kDead).size();
    const uint64_t ended =
        in(MessageState::kSettled).size() + count_between(in(MessageState::kDead), place.id);
    info.behind -= std::min(info.behind, ended);
    for (const MessageState state : {MessageState::kReady, MessageState::kDelayed, MessageState::kInFlight})
      info.behind += in(state).size() - count_between(in(state), place.id);  // dead, and kicked
  }
  info.ready = info.behind - std::min(info.behind, info.in_flight + info.delayed);
  return info;
}

MessageId place_here(const Store& store, uint64_t topic, const TopicPlace& place) {
  switch (place.kind) {
    case TopicPlace::Kind::kFirst:
      return {};
    case TopicPlace::Kind::kNow:
      return id_of(last_of(store, topic));
    case TopicPlace::Kind::kId:
      return place.id;
    case TopicPlace::Kind::kTime:
      return published_before(store, topic, place.ms);
  }
  return {};
}

}  // namespace

Answer read_topic(const Store& store, const ReadTopic& read, const ReadAt& at) {
  const Record* record = store.find(topic_key(read.name), Space::kQueues);
  if (record == nullptr) return no_topic(read.name);
  return Box(TopicFound{topic_info(store, *record, at), at.complete});
}

Answer list_topics(const Store& store, const ListTopics& list, const ReadAt& at) {
  TopicList found;
  found.complete = at.complete;
  found.more =
      each_of_page(store, topic_key(list.prefix), topic_key(list.after), list.limit,
                   [&](const Record& record) { found.topics.push_back(topic_info(store, record, at)); });
  return found;
}

Answer read_subscription(const Store& store, const ReadSubscription& read, const ReadAt& at) {
  const Record* record = store.find(subscription_key(read.topic, read.name), Space::kQueues);
  if (record == nullptr) return no_subscription(read.topic, read.name);
  return Box(SubscriptionFound{subscription_info(store, *record, at), at.complete});
}

Answer list_subscriptions(const Store& store, const ListSubscriptions& list, const ReadAt& at) {
  if (store.find(topic_key(list.topic), Space::kQueues) == nullptr) return no_topic(list.topic);
  SubscriptionList found;
  found.complete = at.complete;
  found.more = each_of_page(
      store, subscription_key(list.topic, ""), subscription_key(list.topic, list.after), list.limit,
      [&](const Record& record) { found.subscriptions.push_back(subscription_info(store, record, at)); });
  return found;
}

Answer page_topic(const Store& store, const PageTopic& page, const ReadAt& at) {
  const std::optional<StoredTopic> topic = topic_of(store.find(topic_key(page.topic), Space::kQueues));
  if (!topic) return no_topic(page.topic);
  Peeked found;
  found.complete = at.complete;
  found.number = topic->number;
  found.last = place_here(store, topic->number, page.after);
  const MessageId trimmed = place_of(store.find(place_key(topic->number), Space::kQueues)).id;
  const bool behind = page.after.kind == TopicPlace::Kind::kId && found.last < trimmed;
  if (behind && !mutated(Mutation::kGapUntold)) found.gap = {found.last, trimmed};
  found.last = std::max(found.last, trimmed);
  size_t bytes = 0;
  auto it = messages_behind(store, topic->number, found.last);
  for (const Record* one = nullptr; (one = at_or_null(store, it, topic->number)) != nullptr; ++it) {
    found.more = found.messages.size() == page.limit || bytes > page.bytes_max;
    if (found.more) break;
    bytes += one->value().size() + limits::kListItemBytes;
    found.last = id_of(one);
    found.messages.push_back(message_for_client(found.last, *one, {}, at.clock));
  }
  return found;
}

}  // namespace kvd
