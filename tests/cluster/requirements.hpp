// What the tests of a program need of the machine beyond ZooKeeper. main() asks before any test runs; each
// program of tests defines it once.
#pragma once
#include <string>

namespace kvd::testing {

// Empty: everything is there, and prepared; otherwise what is missing, for the line that says "skipped".
std::string further_requirement();

}  // namespace kvd::testing
