// The words for ZooKeeper: ids of calls, modes, and which requests may be sent at all. What ZooKeeper does with
// them is asked of a real one and of the simulated one (support/zk_conformance.cpp).
#include "msg/zk.hpp"

#include <doctest.h>

#include <set>

#include "msg/zk_checks.hpp"

namespace kvd::zk_test {

TEST_CASE("zk: a path is UTF-8") {
  CHECK(zk_path_valid("/\xc3\xa4"));
  CHECK_FALSE(zk_path_valid("/\xe4"));
  CHECK_FALSE(zk_path_valid("/a\xff/b"));
}

TEST_CASE("the id of a call to ZooKeeper tells who called and no two are the same") {
  std::set<ZkCallId> ids;
  for (const ZkCaller caller : {ZkCaller::kRegisterKeeper, ZkCaller::kElection, ZkCaller::kServices}) {
    for (const uint64_t counter : {uint64_t{1}, uint64_t{2}, uint64_t{16}, uint64_t{1} << 59}) {
      const ZkCallId id = zk_call_id(caller, counter);
      CHECK(zk_caller(id) == caller);
      CHECK(id != ZkCallId(0));  // which stands for no call
      CHECK(ids.insert(id).second);
    }
  }
}

TEST_CASE("digits complete the path of a sequential znode of either kind and of no other") {
  for (const ZkMode mode : {ZkMode::kPersistentSequential, ZkMode::kEphemeralSequential}) {
    CHECK(zk_is_sequential(mode));
    CHECK(zk_request_valid(ZkCreate{"/queue/", "", mode}));
    CHECK(zk_request_valid(ZkMulti{{ZkCreate{"/queue/", "", mode}}}));
    CHECK_FALSE(zk_request_valid(ZkCreate{"/queue//", "", mode}));
  }
  for (const ZkMode mode : {ZkMode::kPersistent, ZkMode::kEphemeral}) {
    CHECK_FALSE(zk_is_sequential(mode));
    CHECK_FALSE(zk_request_valid(ZkCreate{"/queue/", "", mode}));
  }
}

}  // namespace kvd::zk_test
