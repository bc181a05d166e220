// Runs the commands that kvd topic does not share with kvd queue (message_commands.hpp has the others), but for tail.
// Loop thread only.
#pragma once
#include <cstdint>

#include "client/topic_options.hpp"
#include "net/loop.hpp"

namespace kvd::client {

// The exit code: see --help of each.
int run_topic_command(net::Loop& loop, const TopicCommand& command, uint64_t seed);

}  // namespace kvd::client
