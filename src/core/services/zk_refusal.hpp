// What a client of the services is told when ZooKeeper refused, or did not answer.
// One place for all services: the same failure has the same status and sentence everywhere.
#pragma once
#include "msg/services.hpp"
#include "msg/zk.hpp"

namespace kvd {

// `code` is not kOk. `write`: something may have been done.
ServiceAnswer zk_refusal(ZkCode code, bool write);

// To whom would have to be told of changes: kUnavailable.
inline constexpr char kWatchesFull[] =
    "this server watches as much in ZooKeeper as it may; try again later, or another server";

}  // namespace kvd
