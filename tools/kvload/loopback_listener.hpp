// What kvload's own servers have in common: they listen on a port of loopback until they are killed. The loop's thread
// only.
#pragma once
#include <uv.h>

#include <cstdint>

namespace kvd::load {

// Serves on the default loop and does not return unless it cannot listen, which is one line on stderr; the exit code.
int serve_loopback(uint16_t port, uv_connection_cb on_connection);

}  // namespace kvd::load
