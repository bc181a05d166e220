// The yardstick: the least that a server of one libuv loop can do for a request. llhttp reads it, a fixed answer goes
// back, one write for all that one read brought; over TLS, if the target speaks that. Runs until it is killed; a process
// of its own.
#pragma once
#include "kvload/options.hpp"

namespace kvd::load {

int bare_server(const BareServerOptions& options);  // the exit code

}  // namespace kvd::load
