// What a node with a disk does over restarts with what it does not believe, or what others do not: its own copy, a
// register, an operator's word.
#include <doctest.h>

#include "durable_node.hpp"
#include "msg/history.hpp"

namespace kvd::sim {

TEST_CASE(
    "durable: a copy that contradicted a leader's is kept over a restart, under another name, and not "
    "counted") {
  Durable a;
  const Member former = member("a", 77);
  a.register_server(kB);
  a.create_register(led_by(kB, {kB, kC}, 3));
  DiskFound found;
  found.facts = DiskFacts{kCluster, Lineage(0), Epoch(3), former, false, std::nullopt, std::nullopt, true};
  a.push(DiskAnswer(found));
  DiskPart part;
  part.records = {entry(3, 1), entry(3, 2), DiskCommit{Revision(2)}};
  a.push(DiskAnswer(part));
  a.push(DiskAnswer(kAllThere));
  CHECK(a.orders<DiskSnapshotBegin>().empty());
  const auto kept = a.orders<DiskKeep>();
  REQUIRE(kept.size() == 1);
  CHECK(kept[0].facts.self == kA);
  CHECK(kept[0].facts.differs);
  a.push(DiskAnswer(DiskKept{kept[0].facts}));
  a.connect();
  a.sync();
  const LinkId link = a.greet(kB, Epoch(3));
  a.push(LinkReceived{link, SnapshotBegin{Epoch(3), 1, LogPosition{Epoch(3), Revision(9)}, false, 1}});
  a.push(LinkReceived{link, Heartbeat{Epoch(3), Revision(9), 0, 1234, Revision(9), false}});
  CHECK(a.node().view().commit == Revision(2));
  CHECK(a.node().items().size() == 1);
  const auto acks = a.sent<HeartbeatAck>(link);
  REQUIRE(!acks.empty());
  CHECK(acks.back().differs);
  CHECK(a.orders<DiskSnapshotBegin>().empty());
}

TEST_CASE(
    "durable: an operator's word holds until the copy is safe in the new lineage, however often a server "
    "starts") {
  Durable a;
  const Member self = member("a", 77);
  Register content = led_by(self, {self}, 3);
  content.lineage = Lineage(1);
  content.cause = ElectionCause::kForced;
  a.create_register(content);
  a.find(self, 2, {entry(2, 1), DiskCommit{Revision(1)}}, kAllThere);
  a.connect();
  a.keep_all();
  a.pass(seconds(1));
  const Result<Register> now = decode_register(a.data(kConfigPath));
  REQUIRE(now);
  CHECK(now->epoch == Epoch(4));
  CHECK(now->cause == ElectionCause::kForced);
  CHECK(a.node().items().size() == 1);
}

// ZooKeeper has gone back to the register that this server remembers, and shows nobody else yet.
TEST_CASE("durable: a takeover begins no epoch that the directory knows of") {
  const Member self = member("a", 77);
  Durable a;
  a.create_register(led_by(self, {self, kB}, 3));
  DiskFound found;
  found.facts = DiskFacts{kCluster, Lineage(0), Epoch(4), self, false, std::nullopt, std::nullopt};
  found.facts.remembers = decode_register(a.data(kConfigPath)).value();
  a.push(DiskAnswer(found));
  a.push(DiskAnswer(DiskPart{}));
  a.push(DiskAnswer(kAllThere));
  a.keep_all();
  a.connect();
  a.keep_all();
  a.pass(seconds(1));
  const Result<Register> now = decode_register(a.data(kConfigPath));
  REQUIRE(now);
  CHECK(now->leader == self);
  CHECK(now->epoch == Epoch(5));
}

TEST_CASE("durable: a larger set that was ordered before a restart is told while the register is in doubt") {
  const Member self = member("a", 77);
  Register remembers = led_by(self, {self, kB}, 3);
  remembers.cluster = kCluster;
  remembers.epoch_id = 5;
  Register proposed = next_change(remembers);
  proposed.in_sync = {self, kB, kC};
  DiskFound found;
  found.facts = DiskFacts{kCluster, Lineage(0), Epoch(3), self, false, remembers, proposed};
  Durable a;
  a.push(DiskAnswer(found));
  a.push(DiskAnswer(DiskPart{}));
  a.push(DiskAnswer(kAllThere));
  a.keep_all();
  a.connect();  // there is no register
  a.keep_all();
  a.pass(seconds(2));
  const Result<Registration> told = decode_registration(a.data(member_path(self.id)));
  REQUIRE(told);
  REQUIRE(told->claim);
  REQUIRE(told->claim->proposed);
  CHECK(told->claim->proposed->in_sync == proposed.in_sync);
  CHECK(told->remembers == remembers);
}

TEST_CASE("nobody begins anew by itself once a server with a disk was in sync") {
  for (bool disks : {false, true}) {
    CAPTURE(disks);
    SingleNodeHarness a;  // without one
    a.register_server(member("b", 2));
    Register content = led_by(kB, {kB}, 3);
    content.disks = disks;
    a.create_register(content);
    a.connect();
    a.pass(seconds(15));
    CHECK(a.node().view().leading == !disks);
    CHECK(a.node().view().lineage == Lineage(disks ? 0 : 1));
  }
}

TEST_CASE("durable: that a copy contradicts the leader's is not forgotten by a restart") {
  Returned a;
  a.orders<DiskKeep>();
  SUBCASE("another digest at the same revision") {
    a.append(3, LogPosition{Epoch(3), Revision(3)}, {}, 3);
    a.push(LinkReceived{a.link, Heartbeat{Epoch(3), Revision(3), 0, 1234}});
  }
  SUBCASE("another entry where something is committed") {
    a.append(3, LogPosition{Epoch(2), Revision(2)}, {}, 2);
  }
  auto kept = a.orders<DiskKeep>();
  REQUIRE(kept.size() == 1);
  CHECK(kept[0].facts.self == member("a", 77));
  CHECK(kept[0].facts.differs);
}

TEST_CASE(
    "durable: a leader that has only its directory says nothing to whom a start has found more, also when it "
    "is read") {
  Durable a;
  const Member self = member("a", 77);
  a.register_server(kB);
  a.create_register(led_by(self, {self, kB}, 3));
  a.find(self, 3, {entry(3, 1), DiskCommit{Revision(1)}}, kAllThere);
  a.connect();
  a.sync();
  REQUIRE(a.node().view().leading);
  const LinkId link = a.dialed("b");
  REQUIRE(link != LinkId(0));
  a.push(LinkOpened{link});
  Hello hello{kCluster, Lineage(0), info_of(kB), self.id, Epoch(3), false};
  hello.recovered = LogPosition{Epoch(3), Revision(9)};
  a.push(LinkReceived{link, hello});
  a.ask(ReadKey{"k"});
  a.sync();
  a.pass(milliseconds(100));
  CHECK(a.sent<Heartbeat>(link).empty());
  CHECK(a.sent<Append>(link).empty());
  CHECK(a.logged("this server lacks what others have") > 0);
}

}  // namespace kvd::sim
