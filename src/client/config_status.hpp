// `kvd config status`: which node runs which configuration. The configuration and what the nodes say of themselves come
// from one watch stream, and are as new as a linear read; whether a node lives its lease tells. Loop thread only.
#pragma once
#include <cstdint>

#include "client/config_options.hpp"
#include "net/loop.hpp"

namespace kvd::client {

// The exit code: see `kvd config status --help`.
int run_config_status(net::Loop& loop, const ConfigStatusOptions& options, uint64_t seed);

}  // namespace kvd::client
