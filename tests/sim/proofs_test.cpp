// What follows for tasks from the proof that a server is dead, also where it lives after all: a node alone on a stage,
// and the others' znodes and ports are the test's.
#include <doctest/doctest.h>

#include "single_node_harness.hpp"

using namespace kvd;
using namespace kvd::sim;

namespace {

const Member kOther = member("b", 1);

// The other server leads and is the first below /master, where the node stands behind it.
void begin(SingleNodeHarness& a) {
  Register content;
  content.epoch = Epoch(3);
  content.leader = kOther;
  content.in_sync = {kOther};
  a.register_server(kOther);
  a.create_register(content);
  for (const char* path : {"/master", "/workers", "/tasks", "/data", "/data/t"})
    a.create(path, "", ZkMode::kPersistent);
  a.create("/master/master-", "b", ZkMode::kEphemeralSequential);
  a.create("/tasks/t", "", ZkMode::kPersistent);
  a.connect();
  REQUIRE(a.exists("/master/master-0000000001"));
}

}  // namespace

TEST_CASE("proof: a server that says nothing keeps its contender and one whose port refuses does not") {
  SingleNodeHarness a;
  begin(a);
  for (int i = 0; i < 10; ++i) {
    a.push(LinkEnded{a.dialed("b"), LinkEnd::kUnreachable, "no route"});
    a.pass(seconds(1));
  }
  CHECK(a.exists("/master/master-0000000000"));
  a.prove_dead(kOther);
  CHECK_FALSE(a.exists("/master/master-0000000000"));
  CHECK(a.logged("assigns tasks") == 1);
}

TEST_CASE("proof: it removes one contender and a server that lives after all stands again") {
  SingleNodeHarness a;
  begin(a);
  a.prove_dead(kOther);
  a.create("/master/master-", "b", ZkMode::kEphemeralSequential);
  a.remove("/master/master-0000000001");  // so that the node stands again, behind the other one
  REQUIRE(a.exists("/master/master-0000000003"));
  a.pass(seconds(10));
  CHECK(a.exists("/master/master-0000000002"));
}

TEST_CASE("proof: an idle worker goes at once and one that has a task a third of the session timeout later") {
  SingleNodeHarness a;
  begin(a);
  a.create("/workers/busy", "t");
  a.create("/workers/idle", "non");
  a.prove_dead(kOther);
  CHECK_FALSE(a.exists("/workers/idle"));
  SUBCASE("it is dead") {
    a.pass(milliseconds(1900));
    CHECK(a.exists("/workers/busy"));
    a.pass(milliseconds(200));
    CHECK_FALSE(a.exists("/workers/busy"));
    CHECK(a.logged("has removed a worker of a dead server") == 2);
  }
  SUBCASE("it lives after all") {
    a.greet(kOther, Epoch(3));
    a.pass(seconds(10));
    CHECK(a.data("/workers/busy") == "t");
    a.create("/workers/other", "non");
    a.create("/data/u", "", ZkMode::kPersistent);
    a.create("/tasks/u", "", ZkMode::kPersistent);
    CHECK(a.data("/workers/other") == "u");
  }
}

TEST_CASE("proof: who talks to the node lives although its port refuses until that ends") {
  SingleNodeHarness a;
  begin(a);
  const LinkId caller = a.greet(kOther, Epoch(3));
  a.prove_dead(kOther);
  a.pass(seconds(10));
  CHECK(a.exists("/master/master-0000000000"));
  a.push(LinkEnded{caller, LinkEnd::kReset, "closed"});
  CHECK_FALSE(a.exists("/master/master-0000000000"));
}

TEST_CASE("proof: heard again it is no other one and its time goes on") {
  SingleNodeHarness a;
  begin(a);
  a.create("/workers/busy", "t");
  a.prove_dead(kOther);
  a.pass(milliseconds(1500));
  a.prove_dead(kOther);
  CHECK(a.exists("/workers/busy"));
  a.pass(milliseconds(600));
  CHECK_FALSE(a.exists("/workers/busy"));
}
