// See queue_reads.hpp.
#include "core/queues/queue_reads.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "base/big_endian.hpp"
#include "core/queues/message_draft.hpp"
#include "core/queues/queue_spaces.hpp"
#include "core/replica/table.hpp"

namespace kvd {
namespace {

// The oldest message of a number. Null: there is none.
const Record* oldest_of(const Store& store, uint64_t number) {
  std::string first;
  append_big_endian(first, number);
  const Table& messages = store.items(Space::kMessages);
  const auto it = messages.lower_bound(first);
  return it != messages.end() && it->key().starts_with(first) ? &*it : nullptr;
}

QueueInfo info_of(const Store& store, const Record& record, const ReadAt& at) {
  StoredQueue stored = queue_of(&record).value_or(StoredQueue());
  QueueInfo info;
  info.name = record.key().substr(1);
  info.config = std::move(stored.config);
  if (const auto sum = store.messages().sums.find(stored.number); sum != store.messages().sums.end()) {
    info.ready = sum->second.messages;
    info.bytes = sum->second.bytes;
    info.groups = info.config.fifo ? 1 : sum->second.groups.size();
    info.blocked = (info.config.fifo ? info.ready : sum->second.grouped) - info.groups;
  }
  const auto& all = store.deliveries().standing;
  if (const auto it = all.find(stored.number); it != all.end()) {
    const auto& standing = it->second;
    const auto count = [&](MessageState state) { return standing.in[static_cast<size_t>(state)].size(); };
    info.in_flight = count(MessageState::kInFlight);
    info.in_flight -= over(standing.in_flight, at.clock);
    info.delayed = count(MessageState::kDelayed);
    info.delayed -= over(standing.delayed, at.clock);
    info.dead = count(MessageState::kDead);
    // An incomplete copy may have deliveries without their messages.
    info.ready -= std::min(info.ready, info.in_flight + info.delayed + info.dead);
  }
  if (const Record* oldest = oldest_of(store, stored.number)) {
    const uint64_t sent_ms = message_of(*oldest).sent_ms;
    info.oldest_ms = at.wall_ms > sent_ms ? at.wall_ms - sent_ms : 0;
  }
  return info;
}

// A queue, or a subscription: the number of its deliveries, and that of their messages.
struct Source {
  uint64_t number = 0;
  uint64_t messages = 0;
  std::optional<MessageId>
      place;  // of a subscription: what has no delivery is settled up to it, and ready behind it
  const Record* message(const Store& store, const MessageId& id) const {
    return store.find(message_key(messages, id), Space::kMessages);
  }
};
std::optional<Source> find_source(const Store& store, const std::string& queue,
                                  const std::string& subscription) {
  if (subscription.empty()) {
    const std::optional<StoredQueue> found = queue_of(store.find(queue_key(queue), Space::kQueues));
    return found ? std::optional(Source{found->number, found->number, {}}) : std::nullopt;
  }
  const auto found = subscription_of(store.find(subscription_key(queue, subscription), Space::kQueues));
  if (!found) return std::nullopt;
  const StoredPlace place = place_of(store.find(place_key(found->number), Space::kQueues));
  return Source{found->number, found->topic, place.id};
}

// One page. `add` takes a message's key as long as there is room, and says whether there is.
class Page {
 public:
  Page(const Store& store, const Source& source, const PeekMessages& peek, const ReadAt& at)
      : store_(store), source_(source), peek_(peek), at_(at) {
    peeked_.complete = at.complete;
  }
  bool add(const std::string& key) {
    peeked_.more = ++looked_ > limits::kPeeked;
    if (peeked_.more) return false;
    const MessageId before = std::exchange(peeked_.last, message_key_of(key).id);
    const Record* message = source_.message(store_, message_key_of(key).id);
    const StoredDelivery delivery =
        delivery_of(store_.find(key, Space::kDeliveries)).value_or(StoredDelivery());
    if (message == nullptr || state_by_clock(delivery, at_.clock) != peek_.state) return true;
    peeked_.more = peeked_.messages.size() == peek_.limit || bytes_ > limits::kReceivedBytes;
    if (peeked_.more) {
      peeked_.last = before;
      return false;
    }
    bytes_ += message->value().size() + limits::kListItemBytes;
    QueuedMessage seen = message_for_client(message_key_of(key).id, *message, delivery, at_.clock);
    seen.state = peek_.state;
    peeked_.messages.push_back(std::move(seen));
    return true;
  }
  Peeked take() { return std::move(peeked_); }

 private:
  const Store& store_;
  const Source& source_;
  const PeekMessages& peek_;
  const ReadAt& at_;
  Peeked peeked_;
  size_t bytes_ = 0;
  size_t looked_ = 0;
};

// What a subscription was never granted: all in its topic that is behind its place and has no delivery.
void add_never_granted(const Store& store, const Source& source, const MessageId& after, Page& page) {
  const Table& all = store.items(Space::kMessages);
  auto it = all.upper_bound(message_key(source.messages, std::max(after, *source.place)));
  for (; it != all.end() && message_key_of(it->key()).number == source.messages; ++it) {
    const std::string key = message_key(source.number, message_key_of(it->key()).id);
    if (store.find(key, Space::kDeliveries) == nullptr && !page.add(key)) return;
  }
}

}  // namespace

uint64_t over(const absl::btree_set<std::pair<uint64_t, MessageId>>& due, uint64_t clock) {
  return static_cast<uint64_t>(std::distance(due.begin(), due.lower_bound({clock + 1, MessageId()})));
}

bool each_of_page(const Store& store, const std::string& prefix, const std::string& after, size_t limit,
                  const std::function<void(const Record&)>& add) {
  const Table& all = store.items(Space::kQueues);
  auto it = after < prefix ? all.lower_bound(prefix) : all.upper_bound(after);
  size_t bytes = 0;
  for (size_t count = 0; it != all.end() && it->key().starts_with(prefix); ++it, ++count) {
    if (count >= limit || bytes > limits::kListBytes) return true;
    add(*it);
    bytes += it->key().size() + it->value().size() + 4 * limits::kListItemBytes;
  }
  return false;
}

Answer read_queue(const Store& store, const ReadQueue& read, const ReadAt& at) {
  const Record* record = store.find(queue_key(read.name), Space::kQueues);
  if (record == nullptr) return no_queue(read.name);
  return Box(QueueFound{info_of(store, *record, at), at.complete});
}

Answer list_queues(const Store& store, const ListQueues& list, const ReadAt& at) {
  QueueList found;
  found.complete = at.complete;
  found.more =
      each_of_page(store, queue_key(list.prefix), queue_key(list.after), list.limit,
                   [&](const Record& record) { found.queues.push_back(info_of(store, record, at)); });
  return found;
}

// Those that are ready are most, as a rule: they are found among all messages. The others have deliveries.
Answer peek_messages(const Store& store, const PeekMessages& peek, const ReadAt& at) {
  const std::optional<Source> queue = find_source(store, peek.queue, peek.subscription);
  if (!queue) return no_source(peek.queue, peek.subscription);
  Page page(store, *queue, peek, at);
  const std::string after = message_key(queue->number, peek.after);
  if (peek.state == MessageState::kReady) {
    std::string first;
    append_big_endian(first, queue->number);
    const Table& all = store.items(peek.subscription.empty() ? Space::kMessages : Space::kDeliveries);
    auto it = peek.after == MessageId() ? all.lower_bound(first) : all.upper_bound(after);
    for (; it != all.end() && it->key().starts_with(first); ++it) {
      if (!page.add(std::string(it->key()))) return page.take();
    }
    if (queue->place) add_never_granted(store, *queue, peek.after, page);
  } else if (const auto standing = store.deliveries().standing.find(queue->number);
             standing != store.deliveries().standing.end()) {
    const auto& ids = standing->second.in[static_cast<size_t>(peek.state)];
    auto it = peek.after == MessageId() ? ids.begin() : ids.upper_bound(peek.after);
    for (; it != ids.end(); ++it) {
      if (!page.add(message_key(queue->number, *it))) break;
    }
  }
  return page.take();
}

Answer peek_message(const Store& store, const PeekMessage& peek, const ReadAt& at) {
  const std::optional<Source> queue = find_source(store, peek.queue, peek.subscription);
  if (!queue) return no_source(peek.queue, peek.subscription);
  const std::string key = message_key(queue->number, peek.id);
  const Record* message = queue->message(store, peek.id);
  if (message == nullptr)
    return Failed{ErrorCode::kNoMessage, Outcome::kNotApplied, "there is no such message, or no more"};
  const std::optional<StoredDelivery> known = delivery_of(store.find(key, Space::kDeliveries));
  const StoredDelivery delivery = known.value_or(StoredDelivery());
  QueuedMessage seen = message_for_client(peek.id, *message, delivery, at.clock);
  const bool settled = !known && queue->place && peek.id <= *queue->place;
  seen.state = settled ? MessageState::kSettled : state_by_clock(delivery, at.clock);
  return Peeked{{std::move(seen)}, false, at.complete, peek.id};
}

}  // namespace kvd
