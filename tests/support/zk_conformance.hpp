// One script of calls and what ZooKeeper answers to them, for any implementation: the simulated ensemble is
// checked by it, and a real server through the client, so that what the simulator promises is what production
// gets. A driver says how to make a call; the script knows nothing else.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "msg/zk.hpp"

namespace kvd::testing {

// Two sessions at the most, 'A' and 'B'.
class ZkDriver {
 public:
  virtual ~ZkDriver() = default;
  virtual uint64_t open(char who) = 0;  // a new session; returns once it is connected
  virtual void close(char who) = 0;     // returns once the session is gone
  virtual ZkResult call(char who, ZkRequest request) = 0;
  // The paths of all watches that have fired and were not returned yet, in order. With `wanted` > 0 it waits
  // for so many.
  virtual std::vector<std::string> watches(char who, size_t wanted) = 0;
  virtual void make_read_only(const std::string& path) = 0;  // by an ACL
  // What the ensemble's wall clock shows.
  virtual int64_t wall_ms() = 0;
};

// Asserts by doctest. Leaves nothing behind that matters, but expects an empty tree.
void check_zk_conformance(ZkDriver& driver);

}  // namespace kvd::testing
