// Which hosts the names of a certificate stand for: by that a peer is held to be who it says that it is. What is not
// quite the same is another host.
#include "core/cluster/certified_names.hpp"

#include <doctest.h>

using kvd::is_named;

TEST_CASE("certified names: hosts and addresses, each by its own kind") {
  const std::vector<std::string> names{"dns:kvd1.example", "ip:10.0.0.1", "ip:2001:db8::5",
                                       "uri:spiffe://kvd2.example", "email:kvd3.example"};
  CHECK(is_named("kvd1.example", names));
  CHECK(is_named("KVD1.Example", names));
  CHECK(is_named("10.0.0.1", names));
  CHECK(is_named("2001:DB8:0::5", names));
  for (const char* other : {"kvd2.example", "kvd3.example", "kvd1.example.", "kvd1.exampl", "xkvd1.example",
                            "10.0.0.10", "10.0.0", "2001:db8::6", "spiffe://kvd2.example", ""})
    CHECK_FALSE(is_named(other, names));
  CHECK_FALSE(is_named("kvd1.example", {}));
  CHECK_FALSE(is_named("10.0.0.1", {"dns:10.0.0.1"}));
}

TEST_CASE("certified names: a wildcard is one label, and never an address") {
  const std::vector<std::string> names{"dns:*.kvd.example"};
  CHECK(is_named("a.kvd.example", names));
  CHECK(is_named("A.KVD.example", names));
  for (const char* other : {"kvd.example", ".kvd.example", "a.b.kvd.example", "akvd.example", "*"})
    CHECK_FALSE(is_named(other, names));
  CHECK_FALSE(is_named("10.0.0.1", {"dns:*.0.0.1"}));
}
