// Runs the commands that kvd queue does not share with kvd topic (message_commands.hpp has the others). Loop thread
// only.
#pragma once
#include <cstdint>

#include "client/queue_options.hpp"
#include "net/loop.hpp"

namespace kvd::client {

// The exit code: see --help of each.
int run_queue_command(net::Loop& loop, const QueueCommand& command, uint64_t seed);

}  // namespace kvd::client
