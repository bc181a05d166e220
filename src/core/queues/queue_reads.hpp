// What a copy tells of queues: of what is committed in it, and nothing else. Followers and leaders answer alike, and
// nobody looks at the views. Pure.
#pragma once
#include <absl/container/btree_set.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "core/replica/store.hpp"
#include "msg/client.hpp"

namespace kvd {

struct ReadAt {
  uint64_t clock = 0;    // the log's, as far as this server has heard
  uint64_t wall_ms = 0;  // this server's
  bool complete = true;
};
// How many of them have come to their time.
uint64_t over(const absl::btree_set<std::pair<uint64_t, MessageId>>& due, uint64_t clock);
// Calls add(record) of the space kQueues for a page: whose keys begin with `prefix`, behind `after`. True: there are
// more.
bool each_of_page(const Store& store, const std::string& prefix, const std::string& after, size_t limit,
                  const std::function<void(const Record&)>& add);

Answer read_queue(const Store& store, const ReadQueue& read, const ReadAt& at);
Answer list_queues(const Store& store, const ListQueues& list, const ReadAt& at);
Answer peek_messages(const Store& store, const PeekMessages& peek, const ReadAt& at);
Answer peek_message(const Store& store, const PeekMessage& peek, const ReadAt& at);

}  // namespace kvd
