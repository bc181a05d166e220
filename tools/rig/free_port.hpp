// A free TCP port on loopback for a server that a test starts. Always below
// 32768: above, the kernel may give the port to an outgoing connection, even to
// one that dials that very port. Never the same twice in one process, nor one that another test which still runs
// was given.
#pragma once
#include <cstdint>

namespace kvd::testing {

// Free together with the port `offset` above it,
// as kvd's peer port follows from its HTTP port. 0: only itself.
uint16_t free_port(uint16_t offset = 0);

}  // namespace kvd::testing
