// What may be sent to ZooKeeper at all. The client asks before every call and answers kInvalid itself; the
// simulated ensemble asks the same, so that a request which production would refuse is refused there too.
// Never looks at state.
#pragma once
#include <string_view>

#include "msg/zk.hpp"

namespace kvd {

// Absolute, UTF-8, no empty, "." or ".." component, no control characters, no slash at the end. As strict as the C
// client's own test or stricter: ZooKeeper's rules are in its Programmer's Guide, "The ZooKeeper Data Model".
// A sequential path may end in anything (ten digits follow), even in a slash.
bool zk_path_valid(std::string_view path, bool sequential = false);

// All paths are valid, a multi has at least one operation, and paths and data together are within
// limits::kZkData: a server drops the connection of who sends about 1 MiB, and whoever repeats that does so
// for ever.
bool zk_request_valid(const ZkRequest& request);

}  // namespace kvd
