// How much CPU time processes of this machine have used, and which process listens on a port: both from /proc.
// Blocking, but only for as long as /proc takes.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "kvload/load.hpp"

namespace kvd::load {

// User and system time in microseconds; nothing: there is no such process. The kernel counts in ticks of 10 ms.
std::optional<uint64_t> cpu_us(pid_t pid);

// Of all of them together; 0: one has ended.
uint64_t cpu_us(const std::vector<pid_t>& pids);

// Who listens on that TCP port; nothing: nobody here, or nobody whose descriptors this user may see.
std::optional<pid_t> listener(uint16_t port);
// Of all of them who are found.
std::vector<pid_t> listeners(const std::vector<Target>& targets);

}  // namespace kvd::load
