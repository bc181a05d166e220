// See queue_views.hpp.
#include "core/queues/queue_views.hpp"

#include <algorithm>
#include <iterator>

#include "base/check.hpp"
#include "core/mutation.hpp"

namespace kvd {
namespace {

constexpr size_t kFreedAtOnce = 1024;

}  // namespace

std::optional<std::string_view> QueueView::lane_of(std::string_view group) const {
  if (mutated(Mutation::kLaneLoose)) return std::nullopt;
  if (config.fifo) return std::string_view();
  return group.empty() ? std::nullopt : std::optional(group);
}

uint32_t QueueView::granted_to(uint64_t ticket) const {
  uint32_t count = 0;
  for (auto it = tickets.lower_bound({ticket, 0, MessageId()});
       it != tickets.end() && std::get<0>(*it) == ticket; ++it)
    ++count;
  return count;
}

// ---- queues ----

QueueView& QueueViews::at(uint64_t number) {
  QueueView& queue = views_[number];
  queue.number = number;
  return queue;
}

void QueueViews::add_queue(const Record& record) {
  if (!names_queue(record.key())) return;
  std::optional<StoredQueue> stored = queue_of(&record);
  if (!stored) return;
  QueueView& queue = at(stored->number);
  queue.made = record.created().value;
  queue.named = true;
  queue.name = record.key().substr(1);
  queue.config = std::move(stored->config);
  by_name_[queue.name] = queue.number;
  if (note_woken_) woken_.insert(queue.name);
  note_time(queue);
}

void QueueViews::remove_queue(const Record& record) {
  if (!names_queue(record.key())) return;
  const auto named = by_name_.find(record.key().substr(1));
  if (named == by_name_.end()) return;
  const auto it = views_.find(named->second);
  by_name_.erase(named);
  QueueView& queue = it->second;
  queue.named = false;
  if (note_woken_) woken_.insert(queue.name);
  note_time(queue);
  if (queue.messages == 0) views_.erase(it);
}

const QueueView* QueueViews::find(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &views_.at(it->second);
}

// ---- messages ----

void QueueViews::add(std::string_view key, const Record* message, const Record* delivery) {
  change(key, message, delivery, true);
}

void QueueViews::remove(std::string_view key, const Record* message, const Record* delivery) {
  change(key, message, delivery, false);
}

void QueueViews::change(std::string_view key, const Record* message, const Record* delivery, bool add) {
  if (message == nullptr) return;
  const auto [number, id] = message_key_of(key);
  const StoredMessage sent = message_of(*message);
  const StoredDelivery became = delivery_of(delivery).value_or(StoredDelivery());
  QueueView& queue = at(number);
  queue.messages += add ? 1 : -1;
  queue.bytes += add ? sent.body.size() : -sent.body.size();
  const std::optional<std::string_view> lane = queue.lane_of(sent.group);
  const bool has_time = became.state == MessageState::kInFlight || became.state == MessageState::kDelayed;
  if (has_time && lane && add) queue.groups[id] = *lane;
  if (has_time) {
    place_due(queue,
              {became.due, id, became.attempts, sent.priority, became.state == MessageState::kInFlight,
               became.ticket, became.turn},
              add);
  }
  if (has_time && lane && !add) queue.groups.erase(id);
  if (became.state != MessageState::kDead) {
    const bool ages = sent.deadline != 0 && became.state != MessageState::kInFlight;
    if (ages && add) queue.ages.emplace(sent.deadline, id);
    if (ages && !add) queue.ages.erase({sent.deadline, id});
    if (lane) {
      place_in_lane(queue, *lane, id, {became.state, false, sent.priority}, add);
    } else if (!has_time) {
      place(queue, {sent.priority, id}, add);
    }
  }
  note_time(queue);
  if (queue.messages == 0 && !queue.named) views_.erase(number);
}

void QueueViews::place(QueueView& queue, const ReadyPlace& place, bool add) {
  if (!add) {
    queue.ready.erase(place);
    return;
  }
  queue.ready.insert(place);
  if (note_woken_ && queue.named) woken_.insert(queue.name);
}

void QueueViews::count_in_flight(QueueView& queue, const DueMessage& message, bool add) {
  if (!message.in_flight) return;
  const std::tuple ticket(message.ticket, message.turn, message.id);
  if (add) {
    queue.tickets.insert(ticket);
  } else {
    queue.tickets.erase(ticket);
    if (note_woken_ && queue.named) woken_.insert(queue.name);  // there is room for another one
  }
}

void QueueViews::place_due(QueueView& queue, const DueMessage& message, bool add) {
  if (add) {
    queue.due.insert(message);
    count_in_flight(queue, message, true);
  } else if (queue.due.erase(message) != 0) {
    count_in_flight(queue, message, false);
  } else if (queue.ripe.erase(message) != 0) {
    if (!queue.groups.contains(message.id)) place(queue, {message.priority, message.id}, false);
  } else {
    queue.dying.erase(message);
  }
}

// ---- lanes ----

void QueueViews::place_in_lane(QueueView& queue, std::string_view group, const MessageId& id,
                               const Lane::Member& member, bool add) {
  auto it = queue.lanes.find(group);
  if (add && it == queue.lanes.end()) it = queue.lanes.emplace(group, Lane()).first;
  if (it == queue.lanes.end()) return;
  Lane& lane = it->second;
  if (add) {
    lane.members[id] = member;
    lane.in_flight += member.state == MessageState::kInFlight ? 1 : 0;
    ++queue.grouped;
  } else if (const auto known = lane.members.find(id); known != lane.members.end()) {
    lane.in_flight -= known->second.state == MessageState::kInFlight && !known->second.ripe ? 1 : 0;
    lane.members.erase(known);
    --queue.grouped;
  }
  refresh(queue, lane);
  if (lane.members.empty()) queue.lanes.erase(it);
}

void QueueViews::refresh(QueueView& queue, Lane& lane) {
  std::optional<ReadyPlace> first;
  if (!lane.members.empty() && lane.in_flight == 0) {
    const auto& [id, member] = *lane.members.begin();
    if (member.state == MessageState::kReady || member.ripe) first = ReadyPlace(member.priority, id);
  }
  if (first == lane.shown) return;
  if (lane.shown) place(queue, *lane.shown, false);
  if (first) place(queue, *first, true);
  lane.shown = first;
}

// ---- time ----

void QueueViews::set_ripe(QueueView& queue, const DueMessage& message, bool ripe) {
  const auto group = queue.groups.find(message.id);
  if (group == queue.groups.end()) return place(queue, {message.priority, message.id}, ripe);
  Lane& lane = queue.lanes.find(group->second)->second;
  Lane::Member& member = lane.members.at(message.id);
  member.ripe = ripe;
  if (message.in_flight) lane.in_flight += ripe ? -1 : 1;
  refresh(queue, lane);
}

void QueueViews::ripen(uint64_t clock) {
  clock_ = clock;
  while (!times_.empty() && times_.begin()->first <= clock) {
    QueueView& queue = views_.at(times_.begin()->second);
    while (!queue.due.empty() && queue.due.begin()->due <= clock) {
      const DueMessage message = *queue.due.begin();
      queue.due.erase(queue.due.begin());
      count_in_flight(queue, message, false);
      const bool last = message.in_flight && queue.config.max_deliveries != 0 &&
                        message.attempts >= queue.config.max_deliveries;
      (last ? queue.dying : queue.ripe).insert(message);
      if (!last) set_ripe(queue, message, true);
    }
    note_time(queue);
  }
}

void QueueViews::unripen(uint64_t clock) {
  clock_ = clock;
  for (auto& [number, queue] : views_) {
    for (auto* passed : {&queue.ripe, &queue.dying}) {
      while (!passed->empty() && std::prev(passed->end())->due > clock) {
        const DueMessage message = *std::prev(passed->end());
        passed->erase(message);
        queue.due.insert(message);
        count_in_flight(queue, message, true);
        if (passed == &queue.ripe) set_ripe(queue, message, false);
      }
    }
    note_time(queue);
  }
}

// When something of it ends next, and whether something has ended that a leader is to write.
void QueueViews::note_time(QueueView& queue) {
  std::optional<uint64_t> next;
  bool works = false;
  if (queue.named) {
    if (!queue.due.empty()) next = queue.due.begin()->due;
    const bool aged = !queue.ages.empty() && queue.ages.begin()->first <= clock_;
    if (!queue.ages.empty() && !aged) next = std::min(next.value_or(UINT64_MAX), queue.ages.begin()->first);
    works = aged || !queue.dying.empty();
  }
  if (works) {
    work_.insert(queue.number);
  } else if (!work_.empty()) {
    work_.erase(queue.number);
  }
  if (next == queue.time) return;
  if (queue.time) times_.erase({*queue.time, queue.number});
  if (next) times_.emplace(*next, queue.number);
  queue.time = next;
}

// ---- the whole ----

bool QueueViews::equals(const QueueViews& other) const {
  QueueViews a = *this;
  QueueViews b = other;
  a.unripen(0);
  b.unripen(0);
  if (a.by_name_ != b.by_name_ || a.views_.size() != b.views_.size()) return false;
  return std::equal(a.views_.begin(), a.views_.end(), b.views_.begin(), [](const auto& x, const auto& y) {
    const QueueView& p = x.second;
    const QueueView& q = y.second;
    if (x.first != y.first || p.named != q.named || p.messages != q.messages || p.bytes != q.bytes)
      return false;
    if (!p.named) return true;  // nobody finds what is left there
    return p.made == q.made && p.config == q.config && p.ready == q.ready && p.due == q.due &&
           p.tickets == q.tickets && p.ages == q.ages && p.lanes == q.lanes && p.grouped == q.grouped;
  });
}

bool QueueViews::free_some() {
  for (size_t freed = 0; freed < kFreedAtOnce && !views_.empty();) {
    QueueView& queue = views_.begin()->second;
    const size_t left = kFreedAtOnce - freed;
    auto end = queue.ready.begin();
    size_t count = 0;
    for (; count < left && end != queue.ready.end(); ++count) ++end;
    queue.ready.erase(queue.ready.begin(), end);
    freed += count + 1;
    if (queue.ready.empty()) views_.erase(views_.begin());
  }
  return !views_.empty();
}

}  // namespace kvd
