// The coordination services, one actor each, in the order of ServiceActor: as that order is, so are their mailboxes in
// the outbox (outbox.hpp), and their turns.
#pragma once
#include <tuple>

#include "core/services/barriers.hpp"
#include "core/services/ids.hpp"
#include "core/services/locks.hpp"
#include "core/services/names.hpp"
#include "core/services/tasks.hpp"
#include "core/services/znodes.hpp"

namespace kvd {

using Services = std::tuple<Locks, Barriers, Ids, Names, Tasks, Znodes>;
static_assert(std::tuple_size_v<Services> == kServiceActors);

}  // namespace kvd
