// Runs kvd lease grant, renew, show, ls and end: each sends a request, or one for each page, and prints what came of
// it. Loop thread only.
#pragma once
#include <cstdint>

#include "client/lease_options.hpp"
#include "net/loop.hpp"

namespace kvd::client {

// The exit code: see --help of each.
int run_lease_command(net::Loop& loop, const LeaseCommand& command, uint64_t seed);

}  // namespace kvd::client
