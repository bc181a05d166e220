// What a copy tells of queues: of what is committed in it, and nothing else. Followers and leaders answer alike, and
// nobody looks at the views. Pure.
#pragma once
#include "core/replica/store.hpp"
#include "msg/client.hpp"

namespace kvd {

struct ReadAt {
  uint64_t clock = 0;    // the log's, as far as this server has heard
  uint64_t wall_ms = 0;  // this server's
  bool complete = true;
};
Answer read_queue(const Store& store, const ReadQueue& read, const ReadAt& at);
Answer list_queues(const Store& store, const ListQueues& list, const ReadAt& at);
Answer peek_messages(const Store& store, const PeekMessages& peek, const ReadAt& at);
Answer peek_message(const Store& store, const PeekMessage& peek, const ReadAt& at);

}  // namespace kvd
