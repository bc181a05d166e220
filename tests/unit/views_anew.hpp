// The views of queues and topics, made of nothing but the records at the log's end: what a leader has is held against
// them.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "core/queues/queue_views.hpp"
#include "core/replica/table.hpp"
#include "evaluator_fixture.hpp"

namespace kvd::evaluator_test {

inline QueueViews made_anew(const Leader& leader) {
  QueueViews views;
  std::map<std::pair<Space, std::string>, Record> records;
  for (const Space space : {Space::kQueues, Space::kMessages, Space::kDeliveries}) {
    for (const Record& item : leader.store.items(space)) records[{space, std::string(item.key())}] = item;
    leader.evaluator->tail().effects(space).each([&](const Record& effect) {
      records[{space, std::string(effect.key())}] = effect;
    });
  }
  std::erase_if(records, [](const auto& entry) { return !entry.second.has_value(); });
  const auto find = [&](std::string_view key, Space space) -> const Record* {
    const auto it = records.find({space, std::string(key)});
    return it == records.end() ? nullptr : &it->second;
  };
  for (const auto& [place, record] : records) {
    if (place.first == Space::kQueues) views.add_queue(record);
    if (place.first == Space::kMessages)
      views.add(record.key(), &record, find(record.key(), Space::kDeliveries));
    const bool alone = place.first == Space::kDeliveries && find(record.key(), Space::kMessages) == nullptr;
    if (alone) views.add(record.key(), nullptr, &record);
  }
  return views;
}

}  // namespace kvd::evaluator_test
