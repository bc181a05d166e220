// A TCP proxy on loopback that hands every byte on after a fixed delay, in either direction, so that a ZooKeeper on
// this machine is as far away as one in another building. Runs until it is killed; a process of its own.
#pragma once
#include "kvload/options.hpp"

namespace kvd::load {

int delay_proxy(const DelayProxyOptions& options);  // the exit code

}  // namespace kvd::load
