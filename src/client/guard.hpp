// A command behind a guard: a process between kvd and the command that takes in whatever the command starts and nobody
// waits for any more (a subreaper), in whatever process group or session, and that ends when all of it has ended.
// When kvd itself is killed the guard kills all of it; meanwhile it keeps the connection open that is the grant.
#pragma once
#include <sys/types.h>

#include <string>
#include <vector>

namespace kvd::client {

struct GuardedStart {
  int error = 0;  // errno: nothing runs, and the rest is nothing
  pid_t guard = 0;
  pid_t command = 0;  // and its process group
  int report =
      -1;  // the command's status, as of wait(2), when it has ended; the end when all has. To close it kills
};

// `descriptors` become the command's, from 0 on; `held` (-1: none) stays open as long as the guard lives.
GuardedStart start_guarded(const std::vector<std::string>& command,
                           const std::vector<std::string>& environment, const std::vector<int>& descriptors,
                           int held);

// The guard keeps `held` open from here on in place of what it has kept open before; `report` is that of the start.
void hand_over(int report, int held);

}  // namespace kvd::client
