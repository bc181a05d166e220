// Where a place of a topic is, by its messages: clients name a time, and a subscription or a reader begins behind an
// id. Pure.
#pragma once
#include "core/queues/queue_views.hpp"
#include "core/replica/store.hpp"
#include "msg/topics.hpp"

namespace kvd {

// The id of a topic's last message that was published before `ms`; 0: none was. Of what is committed.
MessageId published_before(const Store& store, uint64_t topic, uint64_t ms);

}  // namespace kvd
