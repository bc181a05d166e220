// What a node with a disk does, step by step, with a disk that answers when the test lets it: what it finds there, what
// has to be safe before it is said, and what a full, stuck or failing disk means.
#include <doctest.h>

#include "durable_node.hpp"
#include "msg/limits.hpp"

namespace kvd::sim {

TEST_CASE("durable: nothing is done and nobody is served before the directory is read") {
  Durable a;
  a.connect();
  a.ask(put("k", "v"));
  auto replies = a.replies();
  REQUIRE(replies.size() == 1);
  CHECK(std::get<Failed>(replies[0].answer).code == ErrorCode::kNotReady);
  CHECK_FALSE(a.exists(member_path(kA.id)));
  a.push(LinkAccepted{LinkId(2), "b"});
  CHECK(a.closed(LinkId(2)) == 1);
  a.find_nothing();
  CHECK(a.exists(member_path(kA.id)));
}

TEST_CASE("durable: a new identity is on disk before it is used") {
  Durable a;
  a.connect();
  a.push(DiskAnswer(DiskFound{}));
  a.push(DiskAnswer(DiskOpened{false, false, ""}));
  auto begun = a.orders<DiskSnapshotBegin>();
  REQUIRE(begun.size() == 1);
  a.push(DiskAnswer(DiskSnapshotDone{begun[0].number, true}));
  CHECK_FALSE(a.exists(member_path(kA.id)));
  auto kept = a.orders<DiskKeep>();
  REQUIRE(kept.size() == 1);
  CHECK(kept[0].facts.self == kA);
  a.push(DiskAnswer(DiskKept{kept[0].facts}));
  CHECK(a.exists(member_path(kA.id)));
}

TEST_CASE("durable: no space to begin with is waited for") {
  Durable a;
  a.connect();
  a.push(DiskAnswer(DiskFound{}));
  a.push(DiskAnswer(DiskOpened{false, false, ""}));
  a.keep_all();
  a.push(DiskAnswer(DiskSnapshotDone{a.orders<DiskSnapshotBegin>().at(0).number, false}));
  CHECK_FALSE(a.exists(member_path(kA.id)));
  a.pass(seconds(2));
  auto again = a.orders<DiskSnapshotBegin>();
  REQUIRE(again.size() == 1);
  a.push(DiskAnswer(DiskSnapshotDone{again[0].number, true}));
  CHECK(a.exists(member_path(kA.id)));
}

TEST_CASE("durable: a server whose disk has everything is who it was, and has what it had") {
  Returned a;
  CHECK(a.node().view().self == member("a", 77));
  CHECK(a.node().view().commit == Revision(2));
  CHECK(a.node().view().last == LogPosition{Epoch(3), Revision(3)});
  CHECK(a.exists(life_path(member("a", 77))));
  SUBCASE("but shows its copy only once it is as new as what its clients may have seen") {
    a.ask(ReadKey{"k"}, ReadMode::kLocal);
    CHECK(a.replies().empty());
    a.push(LinkReceived{a.link, Heartbeat{Epoch(3), Revision(2), 0, a.node().view().digest}});
    CHECK_FALSE(a.node().view().complete);
    a.append(3, LogPosition{Epoch(3), Revision(3)}, {}, 3);
    a.push(LinkReceived{a.link, Heartbeat{Epoch(3), Revision(3), 0, a.node().view().digest}});
    CHECK(a.node().view().complete);
    CHECK(a.replies().size() == 1);
  }
  SUBCASE("unless what was not committed turns out to be void") {
    a.append(4, LogPosition{Epoch(3), Revision(2)}, {entry(4, 3)}, 2);
    a.sync();
    a.push(LinkReceived{a.link, Heartbeat{Epoch(4), Revision(2), 0, a.node().view().digest, Revision(3)}});
    CHECK(a.node().view().complete);
  }
  SUBCASE("also where the next leader has nothing in its place") {
    a.append(4, LogPosition{Epoch(3), Revision(2)}, {}, 2);
    a.push(LinkReceived{a.link, Heartbeat{Epoch(4), Revision(2), 0, a.node().view().digest, Revision(2)}});
    CHECK(a.node().view().last.revision == Revision(2));
    CHECK(a.node().view().complete);
  }
  SUBCASE("which what the next leader has as well is not") {
    a.append(4, LogPosition{Epoch(3), Revision(3)}, {}, 2);
    a.push(LinkReceived{a.link, Heartbeat{Epoch(4), Revision(2), 0, a.node().view().digest, Revision(3)}});
    CHECK(a.node().view().last.revision == Revision(3));
    CHECK_FALSE(a.node().view().complete);
  }
}

TEST_CASE("durable: a server whose disk may lack something is another one, with what could be read") {
  Returned a(kBeginning);
  CHECK(a.node().view().self == kA);
  CHECK(a.node().view().last.revision == Revision(3));
  CHECK(a.logged("joins anew") == 1);
}

TEST_CASE("durable: what does not fit together is not used") {
  Durable a;
  const Member former = member("a", 77);
  SUBCASE("a gap in the log") { a.find(former, 3, {entry(3, 1), entry(3, 3)}, kAllThere); }
  SUBCASE("a snapshot with another digest than it should have") {
    DiskFound found;
    found.facts = DiskFacts{kCluster, Lineage(0), Epoch(3), former};
    found.snapshot_digest = 5;
    a.push(DiskAnswer(found));
    a.push(DiskAnswer(kAllThere));
  }
  SUBCASE("a snapshot whose log is not there") {
    DiskFound found;
    found.facts = DiskFacts{kCluster, Lineage(0), Epoch(3), former};
    found.snapshot_end = Revision(2);
    a.push(DiskAnswer(found));
    DiskPart part;
    part.records = {entry(3, 1)};
    a.push(DiskAnswer(part));
    a.push(DiskAnswer(kAllThere));
  }
  SUBCASE("a truncation of what is committed") {
    a.find(former, 3, {entry(3, 1), DiskCommit{Revision(1)}, DiskTruncate{Revision(0)}}, kAllThere);
  }
  SUBCASE("a copy that was known to be wrong") {
    a.find(Member{kA.id, Incarnation(0)}, 3, {entry(3, 1)}, kAllThere);
  }
  auto begun = a.orders<DiskSnapshotBegin>();
  REQUIRE(begun.size() == 1);
  CHECK(begun[0].fresh);
  CHECK(a.logged("joins anew") == 1);
  // Nobody is to be found with nothing under the name of who had something, whenever the next crash comes.
  auto kept = a.orders<DiskKeep>();
  REQUIRE(kept.size() == 2);
  CHECK(kept[0].facts.self == Member{kA.id, Incarnation(0)});
  a.push(DiskAnswer(DiskSnapshotDone{begun[0].number, true}));
  a.push(DiskAnswer(DiskKept{kept[0].facts}));
  a.connect();
  CHECK_FALSE(a.exists(member_path(kA.id)));
  CHECK(kept[1].facts.self == kA);
}

TEST_CASE("durable: what was truncated while a snapshot was written is no part of it") {
  Durable a;
  a.connect();
  const std::vector<EntryPointer> committed = {entry(3, 1), entry(4, 2)};
  Store store;
  for (const EntryPointer& one : committed) store.apply(*one);
  DiskFound found;
  found.facts = DiskFacts{kCluster, Lineage(0), Epoch(4), kA};
  found.snapshot_end = Revision(2);
  found.snapshot_digest = store.digest();
  a.push(DiskAnswer(found));
  DiskPart part;
  part.records = {committed[0], entry(3, 2), DiskTruncate{Revision(1)}, committed[1]};
  a.push(DiskAnswer(part));
  a.push(DiskAnswer(kAllThere));
  CHECK(a.logged("joins anew") == 0);
  CHECK(a.node().view().commit == Revision(2));
  CHECK(a.node().view().digest == store.digest());
}

TEST_CASE("durable: the directory of another server or cluster is refused") {
  Durable a;
  SUBCASE("another id") {
    a.find(kB, 3, {}, kAllThere);
    REQUIRE(a.exit());
    CHECK(a.exit()->reason.find("belongs to the server b") != std::string::npos);
  }
  SUBCASE("another cluster") {
    a.register_server(kB);
    a.create_register(led_by(kB, {kB}, 3));
    a.find(kA, 3, {}, kAllThere, "some-other-uuid");
    a.connect();
    REQUIRE(a.exit());
    CHECK(a.exit()->reason.find("belongs to another cluster, some-other-uuid") != std::string::npos);
  }
  SUBCASE("no cluster where there should be one") {
    a.find(kA, 3, {}, kAllThere);
    a.connect();
    REQUIRE(a.exit());
    CHECK(a.exit()->reason.find("ZooKeeper has no register") != std::string::npos);
  }
  CHECK(a.exit()->code == 78);
}

TEST_CASE("durable: a follower acknowledges what is on its disk, and not before") {
  Returned a;
  a.sent<AppendAck>(a.link);
  a.append(3, LogPosition{Epoch(3), Revision(3)}, {entry(3, 4)}, 4);
  CHECK(a.sent<AppendAck>(a.link).empty());
  CHECK(a.node().view().commit == Revision(3));  // nor does it show it
  auto writes = a.orders<DiskWrite>();
  REQUIRE(writes.size() == 1);
  a.push(DiskAnswer(DiskWritten{writes[0].number}));
  auto acks = a.sent<AppendAck>(a.link);
  REQUIRE(acks.size() == 1);
  CHECK(acks[0].match == Revision(4));
  CHECK(a.node().view().commit == Revision(4));
}

TEST_CASE("durable: an epoch is on disk before anything is confirmed in it") {
  Returned a;
  a.sent<HeartbeatAck>(a.link);
  a.push(LinkReceived{a.link, Heartbeat{Epoch(4), Revision(2), 1, a.node().view().digest, Revision(3)}});
  auto alive = a.sent<HeartbeatAck>(a.link);  // that it lives, and no more
  REQUIRE(alive.size() == 1);
  CHECK(alive[0].round == 0);
  CHECK_FALSE(alive[0].whole);
  a.append(4, LogPosition{Epoch(3), Revision(3)}, {}, 2);
  CHECK(a.sent<AppendAck>(a.link).empty());
  auto kept = a.orders<DiskKeep>();
  REQUIRE(kept.size() == 1);
  CHECK(kept[0].facts.epoch == Epoch(4));
  a.push(DiskAnswer(DiskKept{kept[0].facts}));
  auto confirmed = a.sent<HeartbeatAck>(a.link);
  REQUIRE(confirmed.size() == 1);
  CHECK(confirmed[0].round == 1);
  CHECK(a.sent<AppendAck>(a.link).size() == 1);
}

TEST_CASE("durable: what waits for the disk is not said any more once the epoch has passed") {
  Returned a;
  a.append(3, LogPosition{Epoch(3), Revision(3)}, {entry(3, 4)}, 2);
  a.append(4, LogPosition{Epoch(3), Revision(2)}, {entry(4, 3)}, 2);
  a.sent<AppendAck>(a.link);
  a.sync();
  auto acks = a.sent<AppendAck>(a.link);
  REQUIRE(acks.size() == 1);
  CHECK(acks[0].epoch == Epoch(4));
  CHECK(acks[0].match == Revision(3));
}

TEST_CASE("durable: the leader counts itself when its own disk has the write") {
  Durable a;
  a.find_nothing();
  a.connect();
  a.sync();
  REQUIRE(a.node().view().active);
  a.ask(put("k", "v"));
  CHECK(a.replies().empty());
  a.sync();
  CHECK(a.replies().size() == 1);
}

TEST_CASE("durable: a new leader says nothing of its log before its epoch is on disk") {
  Durable a;
  a.find_nothing();
  a.connect();
  CHECK(a.node().view().leading);
  CHECK_FALSE(a.node().view().active);
  a.register_server(kB);
  LinkId link = a.answer_dial(kB, Epoch(1));
  REQUIRE(link != LinkId(0));
  a.pass(milliseconds(200));
  CHECK_FALSE(a.sent<Heartbeat>(link).empty());
  CHECK(a.sent<Append>(link).empty());
  a.sync();
  CHECK(a.node().view().active);
  CHECK_FALSE(a.sent<Append>(link).empty());
}

TEST_CASE("durable: a leader that has restarted leads only in another epoch") {
  Durable a;
  const Member self = member("a", 77);
  a.create_register(led_by(self, {self}, 3));
  a.find(self, 3, {entry(3, 1)}, kAllThere);
  a.connect();
  a.pass(milliseconds(50));
  CHECK(a.node().view().leading);
  CHECK(a.node().view().epoch == Epoch(4));
  Result<Register> now = decode_register(a.data(kConfigPath));
  REQUIRE(now);
  CHECK(now->epoch == Epoch(4));
  CHECK(now->in_sync == std::vector<Member>{self});
  CHECK(a.node().view().commit == Revision(0));
  a.sync();
  CHECK(a.node().view().commit == Revision(1));
}

TEST_CASE("durable: a leader that has only its directory waits for an in-sync server that ZooKeeper shows") {
  Durable a;
  const Member self = member("a", 77);
  a.register_server(kB);
  a.create_register(led_by(self, {self, kB}, 3));
  a.find(self, 3, {entry(3, 1)}, kAllThere);
  a.connect();
  const auto passes = [&](Duration span) {
    for (Instant until = a.now() + span; a.now() < until;) {
      a.pass(milliseconds(100));
      a.sync();
    }
  };
  passes(seconds(20));
  CHECK(a.node().view().leading);
  CHECK_FALSE(a.node().view().active);
  a.ask(QueryStatus{});
  const auto replies = a.replies();
  REQUIRE(replies.size() == 1);
  CHECK(std::get<Box<Status>>(replies[0].answer)->not_ready == "elected, waiting for what is in sync: b");
  SUBCASE("until it is known to be dead") { a.prove_dead(kB); }
  SUBCASE("or has gone") {
    a.remove(life_path(kB));
    a.remove(member_path(kB.id));
  }
  passes(seconds(2));
  CHECK(a.node().view().active);
  CHECK(decode_register(a.data(kConfigPath))->in_sync == std::vector<Member>{self});
}

TEST_CASE("durable: with a disk nothing is given up by itself") {
  Register all_new = led_by(kB, {kB, kC}, 3);
  NodeConfig config = durable_config();
  bool forced = false;
  SUBCASE("although every server of the set is another one now") {}
  SUBCASE("but by an operator's word it is") { config.force_new_lineage = forced = true; }
  Durable a(config);
  a.register_server(member("b", 2));
  a.register_server(member("c", 2));
  a.create_register(all_new);
  a.find_nothing();
  a.connect();
  a.pass(seconds(2));
  Result<Register> now = decode_register(a.data(kConfigPath));
  REQUIRE(now);
  CHECK(now->lineage == Lineage(forced ? 1 : 0));
}

TEST_CASE("durable: a copy that a snapshot replaced counts once it is on disk") {
  Returned a(kBeginning, {kB});
  a.sent<HeartbeatAck>(a.link);
  Store store;
  Record item("k", "9", {Revision(1), Revision(9), 9});
  store.put(item);
  a.push(LinkReceived{a.link, SnapshotBegin{Epoch(3), 1, LogPosition{Epoch(3), Revision(9)}, false, 1}});
  a.push(LinkReceived{a.link, SnapshotChunk{Epoch(3), {item}}});
  a.push(LinkReceived{a.link, SnapshotEnd{Epoch(3), Revision(9), store.digest()}});
  CHECK(a.node().view().commit == Revision(9));
  auto before = a.sent<HeartbeatAck>(a.link);
  REQUIRE_FALSE(before.empty());
  for (const HeartbeatAck& ack : before) CHECK_FALSE(ack.whole);
  CHECK_FALSE(a.node().view().complete);
  auto begun = a.orders<DiskSnapshotBegin>();
  REQUIRE(begun.size() == 1);
  CHECK(begun[0].fresh);
  CHECK(begun[0].base == LogPosition{Epoch(3), Revision(9)});
  auto parts = a.orders<DiskSnapshotItems>();
  REQUIRE(parts.size() == 1);
  CHECK(parts[0].items == std::vector<Record>{item});
  a.append(3, LogPosition{Epoch(3), Revision(9)}, {entry(3, 10)}, 9);
  CHECK(a.sent<AppendAck>(a.link).size() == 1);  // of the snapshot's base
  SUBCASE("when there is space for it") { a.sync(); }
  SUBCASE("again, when there was none") {
    a.push(DiskAnswer(DiskSnapshotDone{begun[0].number, false}));
    a.orders<DiskSnapshotEnd>();
    a.orders<DiskWrite>();
    for (int i = 0; i < 30; ++i) {
      a.push(LinkReceived{a.link, Heartbeat{Epoch(3), Revision(9), 0, store.digest()}});
      a.pass(milliseconds(50));
    }
    begun = a.orders<DiskSnapshotBegin>();
    REQUIRE(begun.size() == 1);
    CHECK(a.orders<DiskWrite>().size() == 1);  // the entry goes to the new generation, too
    CHECK(a.sent<AppendAck>(a.link).empty());
    a.push(DiskAnswer(DiskSnapshotDone{begun[0].number, true}));
    a.push(DiskAnswer(DiskWritten{100}));
  }
  auto after = a.sent<HeartbeatAck>(a.link);
  REQUIRE_FALSE(after.empty());
  CHECK(after.back().whole);
  auto acks = a.sent<AppendAck>(a.link);
  REQUIRE(acks.size() == 1);
  CHECK(acks[0].match == Revision(10));
}

TEST_CASE("durable: a copy that begins with nothing does so on disk, and again once it is complete") {
  NodeConfig config = durable_config();
  config.catch_up = false;
  Returned a(kBeginning, {kB}, config);
  a.push(LinkReceived{a.link, SnapshotBegin{Epoch(3), 1, LogPosition{Epoch(3), Revision(9)}, true}});
  a.append(3, LogPosition{Epoch(3), Revision(9)}, {entry(3, 10)}, 10);
  auto begun = a.orders<DiskSnapshotBegin>();
  REQUIRE(begun.size() == 1);
  CHECK(begun[0].fresh);
  CHECK(begun[0].base == LogPosition{Epoch(3), Revision(9)});
  a.sync();
  a.sent<HeartbeatAck>(a.link);
  Store store;
  store.apply(*entry(3, 10));
  const Heartbeat heartbeat{Epoch(3), Revision(10), 0, store.digest()};
  a.push(LinkReceived{a.link, heartbeat});
  a.push(LinkReceived{a.link, heartbeat});
  begun = a.orders<DiskSnapshotBegin>();
  REQUIRE(begun.size() == 1);
  CHECK(begun[0].fresh);
  CHECK(begun[0].base == LogPosition{Epoch(3), Revision(10)});
  CHECK_FALSE(a.node().view().complete);
  for (const HeartbeatAck& ack : a.sent<HeartbeatAck>(a.link)) CHECK_FALSE(ack.whole);
  a.sync();
  a.push(LinkReceived{a.link, heartbeat});
  CHECK(a.node().view().complete);
  auto acks = a.sent<HeartbeatAck>(a.link);
  REQUIRE_FALSE(acks.empty());
  CHECK(acks.back().whole);
}

TEST_CASE("durable: who is in sync after a restart is complete, whatever --catch-up says") {
  NodeConfig config = durable_config();
  config.catch_up = false;
  Returned a(kAllThere, {member("a", 77), kB}, config);
  a.sent<HeartbeatAck>(a.link);
  a.push(LinkReceived{a.link, Heartbeat{Epoch(3), Revision(2), 0, a.node().view().digest}});
  auto acks = a.sent<HeartbeatAck>(a.link);
  REQUIRE_FALSE(acks.empty());
  CHECK(acks.back().whole);
}

TEST_CASE("durable: a snapshot is written when the log has grown long, part by part") {
  NodeConfig config = durable_config();
  config.tuning.snapshot_log_bytes = 1000;
  config.tuning.snapshot_chunk_bytes = 1;
  Durable a(config);
  a.find_nothing();
  a.connect();
  a.sync();
  for (int i = 0; i < 4; ++i) {
    a.ask(put("k" + std::to_string(i), std::string(300, 'v')));
    a.keep_all();
    for (const DiskWrite& order : a.orders<DiskWrite>()) a.push(DiskAnswer(DiskWritten{order.number}));
  }
  auto begun = a.orders<DiskSnapshotBegin>();
  REQUIRE(begun.size() == 1);
  CHECK_FALSE(begun[0].fresh);
  size_t parts = 0;
  for (int i = 0; i < 10; ++i) {
    auto now = a.orders<DiskSnapshotItems>();
    CHECK(now.size() <= 2);
    parts += now.size();
    for (const DiskSnapshotItems& part : now) a.push(DiskAnswer(DiskSnapshotTaken{part.number}));
  }
  CHECK(parts >= begun[0].base.revision.value);
  auto ended = a.orders<DiskSnapshotEnd>();
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].digest == a.node().view().digest);
}

TEST_CASE("durable: a full disk refuses what grows, and lets go what does not") {
  Durable a;
  a.find_nothing();
  a.connect();
  a.sync();
  auto outcome = [&](Operation operation) -> std::optional<ErrorCode> {
    a.ask(std::move(operation));
    a.sync();
    auto replies = a.replies();
    REQUIRE(replies.size() == 1);
    auto* failed = std::get_if<Failed>(&replies[0].answer);
    if (failed == nullptr) return std::nullopt;
    CHECK(failed->outcome == Outcome::kNotApplied);
    return failed->code;
  };
  CHECK_FALSE(outcome(put("k", "value")));
  a.push(DiskAnswer(DiskSpace{true, 0, "full"}));
  CHECK(outcome(put("k2", "v")) == ErrorCode::kDiskFull);
  CHECK(outcome(put("k", "longer value")) == ErrorCode::kDiskFull);
  CHECK_FALSE(outcome(put("k", "less")));
  CHECK_FALSE(outcome(ReadKey{"k"}));
  CHECK_FALSE(outcome(DeleteKey{"k", {}}));
  a.push(DiskAnswer(DiskSpace{false, 0, ""}));
  CHECK_FALSE(outcome(put("k2", "v")));
}

TEST_CASE("durable: a leader whose disk does not answer hands over") {
  Durable a;
  a.find_nothing();
  a.connect();
  a.sync();
  a.register_server(kB);
  LinkId link = a.answer_dial(kB, Epoch(1));
  a.push(LinkReceived{link, AppendAck{Epoch(1), Revision(0), 0}});
  a.push(LinkReceived{link, HeartbeatAck{Epoch(1), 0, true, 0}});
  a.sync();  // a larger set is remembered before it is ordered
  REQUIRE(a.logged("in-sync set changed") == 1);
  a.sync();
  a.create("/election/server_", encode_server_info(info_of(kB)), ZkMode::kEphemeralSequential);
  a.ask(put("k", "v"));
  a.push(LinkReceived{link, AppendAck{Epoch(1), Revision(1), 0}});
  for (int i = 0; i < 30; ++i) {
    a.push(LinkReceived{link, HeartbeatAck{Epoch(1), 0, true, 0}});
    a.pass(milliseconds(50));
  }
  auto told = a.sent<TakeOver>(link);
  REQUIRE_FALSE(told.empty());
  CHECK(told[0].leaves);
}

TEST_CASE("durable: a disk that fails ends the process with what it said") {
  Durable a;
  a.find_nothing();
  a.push(DiskAnswer(DiskFailed{"fdatasync log-1-1: Input/output error"}));
  REQUIRE(a.exit());
  CHECK(a.exit()->code == 74);
  CHECK(a.exit()->reason.find("Input/output error") != std::string::npos);
}

TEST_CASE("durable: what a damaged directory without readable facts lacks is told, too") {
  Durable a;
  a.push(DiskAnswer(DiskFound{}));
  a.push(DiskAnswer(DiskOpened{false, false, "facts is missing"}));
  CHECK(a.logged("joins anew") == 1);
}

TEST_CASE("durable: a new lineage whose beginning was interrupted is gone on with") {
  Durable a;
  const Member self = member("a", 77);
  Register content = led_by(self, {self}, 4);
  content.lineage = Lineage(1);
  a.create_register(content);
  DiskFound found;  // the facts are the new lineage's, the data is still the former one's
  found.facts = DiskFacts{kCluster, Lineage(1), Epoch(4), self};
  a.push(DiskAnswer(found));
  DiskPart part;
  part.records = {entry(3, 1)};
  a.push(DiskAnswer(part));
  a.push(DiskAnswer(kAllThere));
  auto begun = a.orders<DiskSnapshotBegin>();
  REQUIRE(begun.size() == 1);
  CHECK(begun[0].base == LogPosition{Epoch(0), lineage_base(Lineage(1))});
  a.keep_all();
  a.push(DiskAnswer(DiskSnapshotDone{begun[0].number, true}));
  CHECK(a.node().view().self == self);  // nothing was acknowledged in it yet, so nothing is missing
  a.connect();
  a.pass(milliseconds(50));
  a.sync();
  CHECK(a.node().view().active);
  CHECK(a.node().view().epoch == Epoch(5));
}

TEST_CASE("durable: a tail that a snapshot has replaced is not waited for") {
  Returned a;
  Store store;
  Record item("k", "2", {Revision(1), Revision(2), 2});
  store.put(item);
  const uint64_t digest = store.digest();
  a.push(LinkReceived{a.link, SnapshotBegin{Epoch(4), 1, LogPosition{Epoch(3), Revision(2)}, false, 1}});
  a.push(LinkReceived{a.link, SnapshotChunk{Epoch(4), {item}}});
  a.push(LinkReceived{a.link, SnapshotEnd{Epoch(4), Revision(2), digest}});
  REQUIRE(a.node().view().last == LogPosition{Epoch(3), Revision(2)});
  a.sync();
  a.push(LinkReceived{a.link, Heartbeat{Epoch(4), Revision(2), 0, digest}});
  CHECK(a.node().view().complete);
}

TEST_CASE("durable: who takes over keeps the former leader in the set below min_in_sync") {
  const Member self = member("a", 77);
  Register content = led_by(kB, {self, kB}, 3);
  size_t left = 1;
  SUBCASE("enough are left without it") {}
  SUBCASE("too few are") {
    content.min_in_sync = 2;
    left = 2;
  }
  Durable a;
  a.register_server(kB);
  a.create_register(content);
  a.create("/election/server_", encode_server_info(info_of(kB)), ZkMode::kEphemeralSequential);
  a.find(self, 3, {entry(3, 1)}, kAllThere);
  a.connect();
  LinkId link = a.greet(kB, Epoch(3));
  a.push(LinkReceived{link, TakeOver{Epoch(3), true}});
  Result<Register> now = decode_register(a.data(kConfigPath));
  REQUIRE(now);
  CHECK(now->leader == self);
  CHECK(now->in_sync.size() == left);
}

TEST_CASE("durable: a copy of the directory does not run beside the server that it was taken from") {
  Durable a;
  const Member self = member("a", 77);
  ServerInfo own = info_of(self);
  own.durable = true;
  ServerInfo other = own;
  other.peer.host = "elsewhere";
  a.create(member_path(self.id), encode_server_info(other));
  a.create(life_path(self), encode_server_info(other));
  a.create_register(led_by(kB, {self, kB}, 3));
  a.find(self, 3, {entry(3, 1)}, kAllThere);
  a.connect();
  Address there = other.peer;
  ServerInfo answering = other;
  SUBCASE("which answers") {}
  SUBCASE("but this server itself may be what answers there") { answering = own; }
  LinkId link = a.dialed(there.host);
  REQUIRE(link != LinkId(0));
  a.push(LinkOpened{link});
  a.push(LinkReceived{link, Hello{kCluster, Lineage(0), answering, self.id, Epoch(3), false}});
  bool another = answering != own;
  CHECK(a.exit().has_value() == another);
  if (another) CHECK(a.exit()->code == 69);
}

TEST_CASE("durable: a server alone does not begin anew in place of what it cannot read") {
  NodeConfig config = durable_config();
  config.standalone = true;
  const DiskOpened useless{false, false, "damaged"};
  SUBCASE("by itself") {
    Durable a(config);
    a.find(kA, 3, {}, useless, kCluster, true);
    REQUIRE(a.exit());
    CHECK(a.exit()->code == 78);
    CHECK(a.orders<DiskSnapshotBegin>().empty());
  }
  SUBCASE("but by an operator's word, with revisions that were never used") {
    config.force_new_lineage = true;
    Durable a(config);
    a.find(kA, 3, {}, useless, kCluster, true);
    CHECK_FALSE(a.exit());
    auto begun = a.orders<DiskSnapshotBegin>();
    REQUIRE(begun.size() == 1);
    CHECK(begun[0].base.revision == lineage_base(Lineage(1)));
  }
}

TEST_CASE(
    "durable: while nobody writes, and something lives for a time, an entry tells the clock now and then") {
  NodeConfig config = durable_config();
  config.standalone = true;
  Durable a(config);
  a.find_nothing();
  a.sync();
  const auto written = [&a] {
    std::vector<EntryPointer> entries;
    for (const DiskWrite& order : a.orders<DiskWrite>()) {
      for (const DiskRecord& record : order.records) {
        if (const auto* kept = std::get_if<EntryPointer>(&record)) entries.push_back(*kept);
      }
      a.push(DiskAnswer(DiskWritten{order.number}));
    }
    return entries;
  };
  a.ask(put("k", "v"));
  const std::vector<EntryPointer> first = written();
  REQUIRE(first.size() == 1);
  a.pass(seconds(40));
  CHECK(written().empty());  // nothing lives for a time
  a.ask(PutKey{"k", Bytes("v"), {}, Term{Term::Kind::kTime, 1'000'000}});
  const std::vector<EntryPointer> given = written();
  REQUIRE(given.size() == 1);
  a.pass(seconds(29));
  CHECK(written().empty());
  a.pass(seconds(2));
  const std::vector<EntryPointer> told = written();
  REQUIRE(told.size() == 1);
  CHECK(told[0]->effects.empty());
  CHECK(told[0]->clock >= given[0]->clock + limits::kClockMs);
  // Its next life goes on from there.
  Durable next(config);
  next.find(kA, 3, {DiskRecord(first[0]), DiskRecord(given[0]), DiskRecord(told[0])}, kAllThere, kCluster,
            true);
  next.sync();
  next.ask(ReadKey{"k"});
  const auto replies = next.replies();
  REQUIRE(replies.size() == 1);
  const auto left = std::get<KeyFound>(replies[0].answer).life.left_ms;
  CHECK(*left <= 1'000'000 - limits::kClockMs);
}

TEST_CASE("a store that has reached its limit refuses what grows") {
  NodeConfig config;
  config.memory_max = 2000;
  SingleNodeHarness a(config);
  a.connect();
  a.ask(put("k", std::string(1000, 'v')));
  a.ask(put("l", std::string(1000, 'v')));
  a.ask(put("k", std::string(900, 'v')));
  a.ask(DeleteKey{"k", {}});
  a.ask(put("l", std::string(1000, 'v')));
  auto replies = a.replies();
  REQUIRE(replies.size() == 5);
  for (size_t i : {0, 2, 3, 4}) CHECK_FALSE(std::holds_alternative<Failed>(replies[i].answer));
  CHECK(std::get<Failed>(replies[1].answer).code == ErrorCode::kMemoryFull);
  CHECK(std::get<Failed>(replies[1].answer).outcome == Outcome::kNotApplied);
}

}  // namespace kvd::sim
