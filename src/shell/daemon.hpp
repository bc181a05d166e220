// One running server: the node, the sockets and ZooKeeper on one libuv loop. Called once by main. It wires
// and performs; what to do is the node's decision alone.
#pragma once
#include "shell/flags.hpp"

namespace kvd {

// Serves until the node says Exit, after SIGTERM or SIGINT for example. Returns the process's exit code
// (sysexits). Whatever ends it but an ordinary stop is one line "kvd: ..." on standard error.
int run_daemon(Flags flags);

}  // namespace kvd
