// See queue_rebuilt.hpp.
#include "queue_rebuilt.hpp"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "core/queues/queue_views.hpp"
#include "core/replica/store.hpp"
#include "core/replica/table.hpp"

namespace kvd::sim {
namespace {

using QueueRecords = std::map<std::pair<Space, std::string>, Record>;

// A leader's are those at the end of its log.
QueueRecords records_of(const Node& node) {
  QueueRecords records;
  const NodeView view = node.view();
  for (const Space space : {Space::kQueues, Space::kMessages, Space::kDeliveries}) {
    for (const Record& item : node.store().items(space)) records[{space, std::string(item.key())}] = item;
  }
  if (!view.leading) return records;
  for (Revision revision = view.commit.next(); revision <= view.last.revision; revision = revision.next()) {
    for (const Record& effect : node.entry_at(revision)->effects) {
      if (of_queues(effect.space())) records[{effect.space(), std::string(effect.key())}] = effect;
    }
  }
  return records;
}

}  // namespace

std::string judge_views(const Node& node) {
  const NodeView view = node.view();
  if (!view.complete && !view.leading)
    return {};  // it may lack what they follow from, and never grants anything
  const QueueRecords records = records_of(node);
  const auto find = [&](std::string_view key, Space space) -> const Record* {
    const auto it = records.find({space, std::string(key)});
    return it == records.end() || !it->second.has_value() ? nullptr : &it->second;
  };
  QueueViews rebuilt;
  for (const auto& [place, record] : records) {
    if (!record.has_value()) continue;
    if (place.first == Space::kQueues) rebuilt.add_queue(record);
    if (place.first == Space::kMessages)
      rebuilt.add(record.key(), &record, find(record.key(), Space::kDeliveries));
  }
  if (node.store().queues().equals(rebuilt)) return {};
  return fmt::format("they are not what {} records lead to", records.size());
}

}  // namespace kvd::sim
