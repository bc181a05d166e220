// What runs below a process: its children, theirs, and so on, as /proc shows them. Below one that is a subreaper stays
// whatever was started there, also in another process group or session and when its parent has ended.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace kvd::client {

inline constexpr const char* kGuardName =
    "kvd-guard";  // of the process between kvd and its command (guard.hpp)

enum class Guarded : uint8_t {
  kLeaveOut,  // what is below another guard: its own kvd tells it
  kTakeIn,
};

// Those that live, `root` not among them.
std::vector<pid_t> processes_below(pid_t root, Guarded guarded);

// Sends all of them the signal; also to those that are started meanwhile, as long as there is one that has not got it.
void signal_below(pid_t root, int number, Guarded guarded = Guarded::kTakeIn);

}  // namespace kvd::client
