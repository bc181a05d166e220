// Runs the store's commands: kvd get, put, del, ls, txn, add. What they print goes to standard output, and why there
// is nothing to standard error. Loop thread only.
#pragma once
#include <cstdint>

#include "client/store_options.hpp"
#include "net/loop.hpp"

namespace kvd::client {

// The exit code: see --help of each.
int run_store_command(net::Loop& loop, const StoreCommand& command, uint64_t seed);

}  // namespace kvd::client
