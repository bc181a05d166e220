// Runs the commands of kvd auth: each sends a request, or one for each page, and prints what came of it. Loop thread
// only.
#pragma once
#include <cstdint>

#include "client/auth_options.hpp"
#include "net/loop.hpp"

namespace kvd::client {

// The exit code: see --help of each.
int run_auth_command(net::Loop& loop, const AuthCommand& command, uint64_t seed);

// Asks no server: a new file says how the token is known. Blocking. The exit code, likewise.
int make_root_token(const RootTokenOptions& options);

}  // namespace kvd::client
