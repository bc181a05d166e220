// How a test with faults ends: what the clients saw is judged, and what the servers have is compared. The
// cluster has to be whole again by then; all of it fails the test by itself.
#pragma once
#include "cluster/clients.hpp"
#include "cluster/cluster.hpp"

namespace kvd::testing {

// Waits until the clients have had `more` further writes acknowledged.
void wait_for_writes(Cluster& cluster, Clients& clients, size_t more);

// Ends the clients. Every server is ready and in sync, all copies are equal, every key is read back from
// every server, and the whole record, with that in it, is one linearizable history that lost nothing.
void judge(Cluster& cluster, Clients& clients);

}  // namespace kvd::testing
