// Runs the commands of kvd queue but for work: each sends a request, or one for each page or batch, and prints what
// came of it. Loop thread only.
#pragma once
#include <cstdint>

#include "client/queue_options.hpp"
#include "net/loop.hpp"

namespace kvd::client {

// The exit code: see --help of each.
int run_queue_command(net::Loop& loop, const QueueCommand& command, uint64_t seed);

// Of a queue, and of what is below it: percent-encoded, and without a slash at its end.
std::string path_of_queue(const std::string& queue, const char* below = "");

}  // namespace kvd::client
