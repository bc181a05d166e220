// Where a test's server runs: at which address, and what has to come before its command so that it gets
// there. Plain data; the network of the tests with partitions makes such places, everybody else uses
// loopback.
#pragma once
#include <string>
#include <vector>

namespace kvd::testing {

struct Place {
  std::string host = "127.0.0.1";     // IPv4, to listen on and to be reached at by the test itself
  std::vector<std::string> launcher;  // before the program's name
};

}  // namespace kvd::testing
