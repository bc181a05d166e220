// The coordination services, one actor each, in the order of ServiceActor: as that order is, so are their mailboxes in
// the outbox (outbox.hpp), and their turns.
#pragma once
#include <tuple>

#include "core/services/barriers/barriers.hpp"
#include "core/services/ids/ids.hpp"
#include "core/services/locks/locks.hpp"
#include "core/services/names/names.hpp"
#include "core/services/tasks/tasks.hpp"
#include "core/services/zk_queues/zk_queues.hpp"
#include "core/services/znodes/znodes.hpp"

namespace kvd {

using Services = std::tuple<Locks, Barriers, Ids, Names, Tasks, Znodes, ZkQueues>;
static_assert(std::tuple_size_v<Services> == kServiceActors);

}  // namespace kvd
