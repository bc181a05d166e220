// See queue_restore.hpp.
#include "core/replica/queue_restore.hpp"

#include <algorithm>
#include <variant>

#include "base/big_endian.hpp"
#include "core/queues/queue_spaces.hpp"
#include "core/replica/terms.hpp"
#include "msg/limits.hpp"
#include "msg/queues.hpp"

namespace kvd {
namespace {

constexpr size_t kSentBytes = 1u << 20;  // in one batch, or one message

// As long as its messages are not all there.
QueueConfig unbounded(QueueConfig config) {
  config.max_messages = 0;
  config.max_bytes = 0;
  config.max_age_ms = 0;
  config.dead_letter.clear();
  return config;
}

std::string_view queue_in(const Operation& operation) {
  if (const auto* purge = std::get_if<PurgeMessages>(&operation)) return purge->queue;
  if (const auto* make = std::get_if<Box<MakeQueue>>(&operation)) return (*make)->name;
  if (const auto* send = std::get_if<Box<SendMessages>>(&operation)) return (*send)->queue;
  return {};
}

}  // namespace

QueueRestore::QueueRestore(const Store& backup) : backup_(backup) {
  page_.limit = limits::kListItemsMax;
  const auto& sums = backup.messages().sums;
  for (const Record& item : backup.items(Space::kQueues)) {
    std::optional<StoredQueue> stored = names_queue(item.key()) ? queue_of(&item) : std::nullopt;
    if (!stored) continue;
    if (const auto sum = sums.find(stored->number); sum != sums.end()) messages_ += sum->second.messages;
    queues_.emplace_back(item.key().substr(1), std::move(*stored));
  }
}

const StoredQueue* QueueRestore::find(std::string_view name) const {
  const auto it = std::lower_bound(queues_.begin(), queues_.end(), name,
                                   [](const Named& queue, std::string_view of) { return queue.first < of; });
  return it != queues_.end() && it->first == name ? &it->second : nullptr;
}

// ---- what is there ----

std::optional<Operation> QueueRestore::next_clearing() {
  if (pending_.empty()) {
    if (waiting_ != 0 || !more_pages_) return std::nullopt;
    ++waiting_;
    return page_;
  }
  ++waiting_;
  std::optional<Operation> next = std::move(pending_.back());
  pending_.pop_back();
  return next;
}

void QueueRestore::take_listing(const QueueList& list) {
  for (const QueueInfo& info : list.queues) {
    const StoredQueue* known = find(info.name);
    if (known == nullptr) {
      pending_.emplace_back(DeleteQueue{info.name, false});
      continue;
    }
    there_.insert(info.name);
    QueueConfig config = unbounded(known->config);
    config.fifo = info.config.fifo;  // until it is empty
    pending_.emplace_back(Box(MakeQueue{info.name, std::move(config)}));
  }
  more_pages_ = list.more && !list.queues.empty();
  if (more_pages_) page_.after = list.queues.back().name;
}

// ---- what is written ----

std::optional<Operation> QueueRestore::next() {
  auto idle = std::find_if(open_.begin(), open_.end(), [](const auto& entry) { return !entry.second.busy; });
  if (idle == open_.end() && opened_ < queues_.size()) {
    const auto& [name, queue] = queues_[opened_++];
    std::string number;
    append_big_endian(number, queue.number);
    const Table::Iterator first = backup_.items(Space::kMessages).lower_bound(number);
    const Step step = there_.contains(name) ? Step::kEmpty : Step::kMake;
    idle = open_.emplace(name, Open{queue, std::move(number), first, step}).first;
  }
  if (idle == open_.end()) return open_.empty() ? next_configuration() : std::nullopt;
  idle->second.busy = true;
  return next_of(idle->first, idle->second);
}

Operation QueueRestore::next_of(const std::string& name, Open& open) const {
  if (open.step == Step::kEmpty) return PurgeMessages{name, std::nullopt};
  if (open.step == Step::kMake) return Box(MakeQueue{name, unbounded(open.queue.config)});
  return Box(next_messages(name, open));
}

bool QueueRestore::has_more(const Open& open) const {
  return open.next != backup_.items(Space::kMessages).end() && open.next->key().starts_with(open.number);
}

SendMessages QueueRestore::next_messages(const std::string& name, Open& open) const {
  SendMessages send{name, {}, false};
  size_t bytes = 0;
  for (; has_more(open) && send.messages.size() < limits::kMessagesAtOnce; ++open.next) {
    NewMessage message = again(*open.next, open.queue.config.fifo);
    bytes += bytes_of(message);
    if (!send.messages.empty() && bytes > kSentBytes) break;
    send.messages.push_back(std::move(message));
  }
  return send;
}

NewMessage QueueRestore::again(const Record& item, bool fifo) const {
  const StoredMessage stored = message_of(item);
  const StoredDelivery delivery =
      delivery_of(backup_.find(item.key(), Space::kDeliveries)).value_or(StoredDelivery());
  const uint64_t clock = backup_.clock();
  NewMessage message;
  message.body = item.bytes().last(stored.body.size());
  message.priority = stored.priority;
  message.group = stored.group;
  message.type = stored.type;
  if (stored.deadline != 0)
    message.max_age_ms = std::clamp<uint64_t>(left_until(stored.deadline, clock), 1, limits::kTtlMsMax);
  if (delivery.state == MessageState::kDelayed && stored.group.empty() && !fifo)
    message.delay_ms = std::min(left_until(delivery.due, clock), limits::kTtlMsMax);
  MessagePast& past = message.past.emplace();
  past.sent_ms = stored.sent_ms;
  past.dead_from = stored.dead_from;
  past.reason = stored.reason;
  past.attempts = stored.attempts;
  past.dead = delivery.state == MessageState::kDead;
  if (!past.dead) return message;
  past.why = delivery.reason;
  past.attempt = delivery.attempts;
  return message;
}

std::optional<Operation> QueueRestore::next_configuration() {
  while (configured_ < queues_.size()) {
    const auto& [name, queue] = queues_[configured_++];
    if (queue.config == unbounded(queue.config)) continue;
    ++waiting_;
    return Box(MakeQueue{name, queue.config});
  }
  return std::nullopt;
}

void QueueRestore::done(const Operation& operation, const Answer& answer) {
  const auto it = open_.find(queue_in(operation));
  if (it == open_.end()) {
    --waiting_;
    if (const auto* list = std::get_if<QueueList>(&answer)) take_listing(*list);
    return;
  }
  Open& open = it->second;
  open.busy = false;
  if (const auto* send = std::get_if<Box<SendMessages>>(&operation)) written_ += (*send)->messages.size();
  open.step = open.step == Step::kEmpty ? Step::kMake : Step::kSend;
  if (open.step == Step::kSend && !has_more(open)) open_.erase(it);
}

}  // namespace kvd
