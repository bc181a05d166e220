// Where the shell's parts put what they learn: into the node's mailboxes and the log. Called on the loop's
// thread; nothing is decided inside the call.
#pragma once
#include <functional>

#include "msg/actors.hpp"

namespace kvd {

using InputSink = std::function<void(NodeInput&&)>;
using LogSink = std::function<void(LogLine)>;

}  // namespace kvd
