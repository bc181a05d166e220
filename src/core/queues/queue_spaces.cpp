// See queue_spaces.hpp: what is counted. What operations lead to is in sending, receiving and queue_calls.
#include "core/queues/queue_spaces.hpp"

#include "base/big_endian.hpp"

namespace kvd {
namespace {

constexpr size_t kStandingFreed = 1024;  // at once

void insert_or_erase(auto& set, const auto& item, bool add) {
  if (add) {
    set.insert(item);
  } else {
    set.erase(item);
  }
}

}  // namespace

void QueuesSpace::count(const Record& item, bool add) {
  if (is_emptied(item.key())) insert_or_erase(emptied, emptied_number(item.key()), add);
}

void MessagesSpace::count(const Record& item, bool add) {
  const auto it = sums.try_emplace(message_key_of(item.key()).number).first;
  Sum& sum = it->second;
  sum.messages += add ? 1 : -1;
  const StoredMessage message = message_of(item);
  sum.bytes += add ? message.body.size() : -message.body.size();
  if (!message.group.empty()) {
    const auto group = sum.groups.try_emplace(std::string(message.group)).first;
    group->second += add ? 1 : -1;
    sum.grouped += add ? 1 : -1;
    if (group->second == 0) sum.groups.erase(group);
  }
  if (sum.messages == 0) sums.erase(it);
}

void DeliveriesSpace::count(const Record& item, bool add) {
  const std::optional<StoredDelivery> delivery = delivery_of(&item);
  if (!delivery) return;
  const auto [number, id] = message_key_of(item.key());
  const auto it = standing.try_emplace(number).first;
  Standing& all = it->second;
  insert_or_erase(all.in[static_cast<size_t>(delivery->state)], id, add);
  const std::pair due(delivery->due, id);
  if (delivery->state == MessageState::kInFlight) insert_or_erase(all.in_flight, due, add);
  if (delivery->state == MessageState::kDelayed) insert_or_erase(all.delayed, due, add);
  if (all.empty()) standing.erase(it);
}

bool DeliveriesSpace::free_some() {
  for (size_t i = 0; i < kStandingFreed && !standing.empty(); ++i) {
    Standing& all = standing.begin()->second;
    if (!all.in_flight.empty()) all.in_flight.erase(all.in_flight.begin());
    if (!all.delayed.empty()) all.delayed.erase(all.delayed.begin());
    bool rest = !all.in_flight.empty() || !all.delayed.empty();
    for (auto& ids : all.in) {
      if (!ids.empty()) ids.erase(ids.begin());
      rest |= !ids.empty();
    }
    if (!rest) standing.erase(standing.begin());
  }
  return !standing.empty();
}

void DedupSpace::count(const Record& item, bool add) {
  const std::optional<StoredName> name = dedup_of(&item);
  if (!name) return;
  due.count(name->deadline, item, add);
  uint64_t& held = names[big_endian(item.key())];
  held += add ? 1 : -1;
  if (held == 0) names.erase(big_endian(item.key()));
}

}  // namespace kvd
