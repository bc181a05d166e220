// How many connections kvload may have: each takes a descriptor. (So it does at the servers, which see to that
// themselves.) Any thread.
#pragma once
#include <sys/resource.h>

namespace kvd::load {

// As many as the system allows.
inline void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace kvd::load
