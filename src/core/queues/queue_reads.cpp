// See queue_reads.hpp.
#include "core/queues/queue_reads.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "base/big_endian.hpp"
#include "core/queues/message_draft.hpp"
#include "core/queues/queue_spaces.hpp"
#include "core/replica/table.hpp"

namespace kvd {
namespace {

// How many of them have come to their time.
uint64_t over(const absl::btree_set<std::pair<uint64_t, MessageId>>& due, uint64_t clock) {
  return static_cast<uint64_t>(std::distance(due.begin(), due.lower_bound({clock + 1, MessageId()})));
}

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
    const auto in = [&](MessageState state) { return standing.in[static_cast<size_t>(state)].size(); };
    info.in_flight = in(MessageState::kInFlight)-over(standing.in_flight, at.clock);
    info.delayed = in(MessageState::kDelayed)-over(standing.delayed, at.clock);
    info.dead = in(MessageState::kDead);
    // An incomplete copy may have deliveries without their messages.
    info.ready -= std::min(info.ready, info.in_flight + info.delayed + info.dead);
  }
  if (const Record* oldest = oldest_of(store, stored.number)) {
    const uint64_t sent_ms = message_of(*oldest).sent_ms;
    info.oldest_ms = at.wall_ms > sent_ms ? at.wall_ms - sent_ms : 0;
  }
  return info;
}

// One page. `add` takes a message's key as long as there is room, and says whether there is.
class Page {
 public:
  Page(const Store& store, const PeekMessages& peek, const ReadAt& at) : store_(store), peek_(peek), at_(at) {
    peeked_.complete = at.complete;
  }
  bool add(const std::string& key) {
    peeked_.more = ++looked_ > limits::kPeeked;
    if (peeked_.more) return false;
    const MessageId before = std::exchange(peeked_.last, message_key_of(key).id);
    const Record* message = store_.find(key, Space::kMessages);
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
  const PeekMessages& peek_;
  const ReadAt& at_;
  Peeked peeked_;
  size_t bytes_ = 0;
  size_t looked_ = 0;
};

}  // namespace

Answer read_queue(const Store& store, const ReadQueue& read, const ReadAt& at) {
  const Record* record = store.find(queue_key(read.name), Space::kQueues);
  if (record == nullptr) return no_queue(read.name);
  return Box(QueueFound{info_of(store, *record, at), at.complete});
}

Answer list_queues(const Store& store, const ListQueues& list, const ReadAt& at) {
  QueueList found;
  found.complete = at.complete;
  const Table& all = store.items(Space::kQueues);
  const std::string prefix = queue_key(list.prefix);
  const std::string after = queue_key(list.after);
  auto it = after < prefix ? all.lower_bound(prefix) : all.upper_bound(after);
  size_t bytes = 0;
  for (; it != all.end() && it->key().starts_with(prefix); ++it) {
    found.more = found.queues.size() >= list.limit || bytes > limits::kListBytes;
    if (found.more) break;
    found.queues.push_back(info_of(store, *it, at));
    bytes += it->key().size() + it->value().size() + 4 * limits::kListItemBytes;
  }
  return found;
}

// Those that are ready are most, as a rule: they are found among all messages. The others have deliveries.
Answer peek_messages(const Store& store, const PeekMessages& peek, const ReadAt& at) {
  const std::optional<StoredQueue> queue = queue_of(store.find(queue_key(peek.queue), Space::kQueues));
  if (!queue) return no_queue(peek.queue);
  Page page(store, peek, at);
  const std::string after = message_key(queue->number, peek.after);
  if (peek.state == MessageState::kReady) {
    std::string first;
    append_big_endian(first, queue->number);
    const Table& all = store.items(Space::kMessages);
    auto it = peek.after == MessageId() ? all.lower_bound(first) : all.upper_bound(after);
    for (; it != all.end() && it->key().starts_with(first); ++it) {
      if (!page.add(std::string(it->key()))) break;
    }
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
  const std::optional<StoredQueue> queue = queue_of(store.find(queue_key(peek.queue), Space::kQueues));
  if (!queue) return no_queue(peek.queue);
  const std::string key = message_key(queue->number, peek.id);
  const Record* message = store.find(key, Space::kMessages);
  if (message == nullptr)
    return Failed{ErrorCode::kNoMessage, Outcome::kNotApplied, "there is no such message, or no more"};
  const StoredDelivery delivery = delivery_of(store.find(key, Space::kDeliveries)).value_or(StoredDelivery());
  QueuedMessage seen = message_for_client(peek.id, *message, delivery, at.clock);
  seen.state = state_by_clock(delivery, at.clock);
  return Peeked{{std::move(seen)}, false, peek.id, at.complete};
}

}  // namespace kvd
