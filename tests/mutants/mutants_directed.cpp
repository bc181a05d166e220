// Mutations that random schedules hardly ever show, because several rare things have to meet: here they meet. Each play
// says whether the node under test broke the rule.
#include <algorithm>

#include "msg/history.hpp"
#include "mutants.hpp"
#include "services/services_harness.hpp"
#include "sim/single_node_harness.hpp"

namespace kvd::sim {
namespace {

// The first two of epoch 3's log, of which those up to `commit` are committed.
Append two_entries(Revision commit) {
  Append append{Epoch(3), LogPosition{}, commit, {}};
  for (uint64_t revision : {1, 2}) {
    auto entry = std::make_shared<Entry>();
    entry->epoch = Epoch(3);
    entry->revision = Revision(revision);
    entry->effects = {Record("k", "v", {Revision(1), Revision(revision), revision})};
    append.entries.push_back(std::move(entry));
  }
  return append;
}

}  // namespace

// The node leads epoch 1 with b, which does not acknowledge a write; b leads epoch 2, in which it drops that write; the
// node leads epoch 3. Only now does b's acknowledgement of epoch 1 arrive, on the link that has stood all the time: it
// says nothing of what b holds today.
bool breaks_by_foreign_acks() {
  const Member self = member("a", 1);
  const Member b = member("b", 1);
  SingleNodeHarness a;
  const LinkId link = lead_with(a, b);
  a.push(LinkReceived{link, AppendAck{Epoch(1), Revision(0), 0}});
  a.push(LinkReceived{link, HeartbeatAck{Epoch(1), 0, true, 0}});
  a.ask(PutKey{"k", Bytes("v"), {}});
  const auto append = a.sent<Append>(link);
  if (link == LinkId(0) || append.empty() || !a.node().view().leading) return false;
  for (uint64_t epoch : {2, 3}) {
    Register next = a.config();
    next.epoch = Epoch(epoch);
    next.leader = epoch == 2 ? b : self;
    a.change_register(next);
  }
  a.push(LinkReceived{link, AppendAck{Epoch(1), Revision(1), 0}});
  a.push(LinkReceived{link, HeartbeatAck{Epoch(1), 0, true, 0}});
  return a.node().view().epoch == Epoch(3) && a.node().view().commit > Revision(0);
}

// The node takes over from b with an entry that b may have acknowledged, and that c, which is in sync, has not
// confirmed yet. The learner d has what the node knows to be committed, but not that entry.
bool breaks_by_joining_at_commit() {
  const Member self = member("a", 1);
  const Member b = member("b", 1);
  const Member c = member("c", 1);
  const Member d = member("d", 1);
  SingleNodeHarness a;
  for (const Member& other : {b, c, d}) a.register_server(other);
  a.create("/election/server_", encode_server_info(info_of(b)), ZkMode::kEphemeralSequential);
  a.create_register(led_by(b, {self, b, c}, 3));
  a.connect();
  const LinkId from_b = a.greet(b, Epoch(3));
  a.push(LinkReceived{from_b, two_entries(Revision(1))});
  Register next = a.config();
  next.epoch = Epoch(4);
  next.leader = self;
  a.change_register(next);
  const LinkId to_d = a.answer_dial(d, Epoch(4));
  if (to_d == LinkId(0) || !a.node().view().leading || a.node().view().commit != Revision(1)) return false;
  a.push(LinkReceived{to_d, AppendAck{Epoch(4), Revision(1), 0}});
  a.push(LinkReceived{to_d, HeartbeatAck{Epoch(4), 0, true, 0}});
  Result<Register> now = decode_register(a.data(kConfigPath));
  return now && std::count(now->in_sync.begin(), now->in_sync.end(), d) > 0;
}

// Who was in sync has come back empty, and an operator has told the node to begin a new lineage; but another one was
// first, and its lineage lives. The news reaches the node in the very turn in which it acts.
bool breaks_by_old_verdict() {
  const Member lost = member("b", 1);
  const Member returned = member("b", 2);
  for (Duration wait = milliseconds(200); wait < milliseconds(300); wait += milliseconds(5)) {
    SingleNodeHarness a;
    a.register_server(returned);
    a.create(life_path(lost), "");  // so that the node's attempts fail until it is gone
    a.create_register(led_by(lost, {lost}, 3));
    a.connect();
    a.pass(milliseconds(100));
    a.ask(DecideLineage{});
    a.pass(wait);
    if (!a.replies().empty()) return false;
    if (a.node().view().lineage != Lineage(0)) return false;
    a.hold_results();
    a.remove(life_path(lost));
    Register other = a.config();
    other.lineage = Lineage(1);
    other.epoch = Epoch(4);
    other.leader = returned;
    other.in_sync = {returned};
    a.change_register(other);
    a.release_results(milliseconds(25));
    if (a.node().view().leading) return true;
  }
  return false;
}

// ZooKeeper still shows a former life of the node, at another address, which it asks whether that one lives: meanwhile
// the leader dials it.
bool breaks_by_greeting_early() {
  const Member leader = member("b", 1);
  const Member former = member("a", 9);
  SingleNodeHarness a;
  ServerInfo elsewhere = info_of(former);
  elsewhere.peer.host = "elsewhere";
  a.create(member_path(former.id), encode_server_info(elsewhere));
  a.create(life_path(former), encode_server_info(elsewhere));
  a.register_server(leader);
  a.create_register(led_by(leader, {former, leader}, 3));
  a.connect();
  a.pass(milliseconds(100));
  return a.closed(a.greet(leader, Epoch(3))) == 0;
}

// ZooKeeper goes back to a register from before the node was removed from the in-sync set. It knows: it has been told.
bool breaks_by_believing() {
  const Member self = member("a", 1);
  const Member b = member("b", 1);
  SingleNodeHarness a;
  a.create_register(led_by(b, {self, b}, 3));
  const std::string before = a.data(kConfigPath);
  a.connect();
  a.change_register(led_by(b, {b}, 4));
  a.pass(milliseconds(100));
  a.set(kConfigPath, before);
  a.pass(seconds(5));
  return a.node().view().leading;
}

namespace {

// The node leads alone; b has come near enough to be taken into the set. Whether it was nobody has told the node when
// ZooKeeper is empty again.
bool restores_after_growth() {
  const Member self = member("a", 1);
  const Member b = member("b", 1);
  SingleNodeHarness a;
  a.connect();
  if (!a.node().view().active) return false;
  a.register_server(b);
  a.hold_results();
  const LinkId link = a.answer_dial(b, Epoch(1));
  a.push(LinkReceived{link, AppendAck{Epoch(1), Revision(0), 0}});
  a.push(LinkReceived{link, HeartbeatAck{Epoch(1), 0, true, 0, false}});
  const Result<Register> grown = decode_register(a.data(kConfigPath));
  if (!grown || grown->in_sync.size() != 2) return false;
  a.forget_held_results();  // the connection breaks before they arrive
  a.remove(kConfigPath);
  a.remove(member_path(b.id));
  a.remove(life_path(b));
  a.connect();
  a.pass(seconds(5));
  return a.node().view().leading && a.node().view().self == self;
}

}  // namespace

bool breaks_by_forgetting_growth() { return restores_after_growth(); }

// b was in sync as well and is not there: it may have led since, alone.
bool breaks_by_restoring_alone() {
  const Member self = member("a", 1);
  const Member b = member("b", 1);
  SingleNodeHarness a;
  a.create_register(led_by(b, {self, b}, 3));
  a.connect();
  a.remove(kConfigPath);
  a.pass(seconds(5));
  return a.node().view().leading;
}

namespace {

// The node is in sync with b, and both have two entries that are committed.
LinkId follow_with_two_entries(SingleNodeHarness& a, const Member& b) {
  a.register_server(b);
  a.create("/election/server_", encode_server_info(info_of(b)), ZkMode::kEphemeralSequential);
  a.create_register(led_by(b, {member("a", 1), b}, 3));
  a.connect();
  const LinkId link = a.greet(b, Epoch(3));
  a.push(LinkReceived{link, two_entries(Revision(2))});
  return link;
}

}  // namespace

// c speaks of an epoch that ZooKeeper does not show: somebody has led in it, and may have written what the node would
// write next.
bool breaks_by_beginning_twice() {
  const Member b = member("b", 1);
  SingleNodeHarness a;
  follow_with_two_entries(a, b);
  a.greet(member("c", 1), Epoch(4));
  a.prove_dead(b);
  a.pass(seconds(2));
  return a.node().view().leading && a.node().view().epoch == Epoch(4);
}

// The node takes over from b, which is dead, and is given a write. But ZooKeeper had gone back: c has led in an epoch
// of the same number, of which the node has not heard, and goes on in the next one. The node's third entry is not c's.
bool breaks_by_writing_early() {
  const Member self = member("a", 1);
  const Member b = member("b", 1);
  const Member c = member("c", 1);
  SingleNodeHarness a;
  for (const Member& other : {b, c}) a.register_server(other);
  a.create("/election/server_", encode_server_info(info_of(b)), ZkMode::kEphemeralSequential);
  a.create_register(led_by(b, {self, b, c}, 3));
  const Register before = *decode_register(a.data(kConfigPath));
  a.connect();
  a.push(LinkReceived{a.greet(b, Epoch(3)), two_entries(Revision(2))});
  a.prove_dead(b);
  a.pass(milliseconds(500));
  if (!a.node().view().leading || a.node().view().active) return false;
  a.ask(PutKey{"k", Bytes("v"), {}});
  Register theirs = next_epoch(before, 7);
  theirs.leader = c;
  theirs.in_sync = {c};
  const Claim claim{0, std::nullopt, LogPosition{Epoch(4), Revision(3)}, Revision(3), 0, false, Epoch(4)};
  a.set(member_path(c.id), encode_registration({info_of(c), theirs, claim}));
  a.pass(milliseconds(100));
  Register restored = next_epoch(theirs, 8, Epoch(4));
  a.set(kConfigPath, encode_register(restored));
  a.pass(milliseconds(100));
  const LinkId link = a.greet(c, Epoch(5));
  a.push(LinkReceived{link, Append{Epoch(5), LogPosition{Epoch(4), Revision(3)}, Revision(3), {}}});
  const std::vector<AppendAck> acks = a.sent<AppendAck>(link);
  return !acks.empty() && acks.back().match == Revision(3);
}

// b leads again, and its log ends before what is committed: its directory is an old copy.
bool breaks_by_obeying_shorter() {
  const Member b = member("b", 1);
  SingleNodeHarness a;
  follow_with_two_entries(a, b);
  a.change_register(led_by(b, {member("a", 1), b}, 4));
  const LinkId link = a.greet(b, Epoch(4));
  Heartbeat beat{Epoch(4), Revision(1), 7, 0, Revision(1), false};
  a.push(LinkReceived{link, beat});
  a.push(LinkReceived{link, Append{Epoch(4), LogPosition{Epoch(3), Revision(1)}, Revision(1), {}}});
  return !a.sent<AppendAck>(link).empty();
}

// The node's copy is another one than b's at the same revision. What b sends next it must not confirm.
bool breaks_by_counting_differing() {
  const Member b = member("b", 1);
  SingleNodeHarness a;
  const LinkId link = follow_with_two_entries(a, b);
  a.push(
      LinkReceived{link, Heartbeat{Epoch(3), Revision(2), 0, ~a.node().view().digest, Revision(2), false}});
  a.sent<AppendAck>(link);
  a.push(LinkReceived{link, Append{Epoch(3), LogPosition{Epoch(3), Revision(2)}, Revision(2), {}}});
  return !a.sent<AppendAck>(link).empty();
}

// c speaks of a newer epoch. What b, whose epoch is over, sends next the node must not acknowledge.
bool breaks_by_obeying_old() {
  const Member b = member("b", 1);
  SingleNodeHarness a;
  const LinkId link = follow_with_two_entries(a, b);
  a.greet(member("c", 1), Epoch(4));
  a.sent<AppendAck>(link);
  a.push(LinkReceived{link, Append{Epoch(3), LogPosition{Epoch(3), Revision(2)}, Revision(2), {}}});
  return !a.sent<AppendAck>(link).empty();
}

// b has restarted, and its new life is the first below /master. That the former one is dead says nothing of it.
bool breaks_by_death_of_former() {
  const Member former = member("b", 1);
  const Member b = member("b", 2);
  SingleNodeHarness a;
  a.register_server(former);
  a.create_register(led_by(former, {former}, 3));
  for (const char* path : {"/master", "/tasks", "/tasks/t"}) a.create(path, "", ZkMode::kPersistent);
  a.create("/master/master-", "b", ZkMode::kEphemeralSequential);
  a.connect();
  a.remove(member_path(former.id));
  a.remove(life_path(former));
  a.register_server(b);
  return !a.exists("/master/master-0000000000");
}

// b is dead, and a worker of its clients has a task, which it may be at still: it has just lost its server.
bool breaks_by_taking_at_once() {
  const Member b = member("b", 1);
  SingleNodeHarness a;
  a.register_server(b);
  a.create_register(led_by(b, {b}, 3));
  for (const char* path : {"/workers", "/tasks", "/data", "/data/t", "/tasks/t"})
    a.create(path, "", ZkMode::kPersistent);
  a.create("/workers/w", "non");
  a.connect();
  if (a.data("/workers/w") != "t") return false;
  a.prove_dead(b);
  return !a.exists("/workers/w");
}

// The node's disk has not taken the epoch yet in which it is asked to confirm a round.
bool breaks_by_acting_unkept() {
  const Member b = member("b", 1);
  NodeConfig config;
  config.self.durable = true;
  SingleNodeHarness a(config);
  a.register_server(b);
  a.create_register(led_by(b, {b}, 3));
  a.push(DiskAnswer(DiskFound{}));
  a.push(DiskAnswer(DiskOpened{false, false, ""}));
  for (const DiskSnapshotBegin& begun : a.orders<DiskSnapshotBegin>())
    a.push(DiskAnswer(DiskSnapshotDone{begun.number, true}));
  for (const DiskKeep& order : a.orders<DiskKeep>()) a.push(DiskAnswer(DiskKept{order.facts}));
  a.connect();
  const LinkId link = a.greet(b, Epoch(3));
  a.push(LinkReceived{link, Heartbeat{Epoch(3), Revision(0), 7, 0, Revision(0), false}});
  const auto acks = a.sent<HeartbeatAck>(link);
  return std::any_of(acks.begin(), acks.end(), [](const HeartbeatAck& ack) { return ack.round == 7; });
}

// Others delete the znode of a lock's holder, so that the next one holds: the former one has to have heard.
bool breaks_by_unwatched_place() {
  ServicesHarness harness(2);
  const uint64_t first = harness.send(0, "POST locks/l?hold=1");
  const std::string znode = "/l/" + harness.children("/l").front();
  const uint64_t second = harness.send(1, "POST locks/l?hold=1");
  harness.zk(ZkDelete{znode});
  const bool held = ServicesHarness::member(harness.heard(second).lines.back(), "state") == "held";
  return held && !harness.heard(first).ended;
}

// Right before the node takes the first entry out of a queue, somebody else does.
bool breaks_by_taking_twice() {
  ServicesHarness harness;
  harness.ask(0, "POST zkqueues/q", "x");
  const std::string entry = "/q/" + harness.children("/q").front();
  harness.overtake(0, ServicesHarness::Kind::kDelete, ZkDelete{entry});
  return harness.ask(0, "POST zkqueues/q/take").status == ServiceStatus::kOk;
}

// Others delete what stands for a connection that has an entry, so that somebody else takes it: the former one has to
// have heard.
bool breaks_by_unwatched_entry() {
  ServicesHarness harness(2);
  harness.ask(0, "POST zkqueues/q?locking=1", "x");
  const uint64_t first = harness.send(0, "POST zkqueues/q/take?locking=1&hold=1");
  const uint64_t second = harness.send(1, "POST zkqueues/q/take?locking=1&hold=1");
  harness.zk(ZkDelete{"/q/taken/" + harness.children("/q/taken").front()});
  const bool held = ServicesHarness::member(harness.heard(second).lines.back(), "state") == "held";
  return held && !harness.heard(first).ended;
}

// Likewise that of a barrier's member, who is told no word of it.
bool breaks_by_unwatched_member() {
  ServicesHarness harness;
  const uint64_t inside = harness.send(0, "POST barriers/b/enter?size=1&hold=1");
  harness.zk(ZkDelete{"/b/" + harness.children("/b").front()});
  return !harness.heard(inside).ended;
}

// The node refuses a write that b has sent, since it is to hand over to b. Nothing comes of that; but what b has sent
// behind that write, not knowing that it was refused, must not be done before it.
bool breaks_by_forgetting_refusal() {
  const Member b = member("b", 1);
  SingleNodeHarness a;
  const LinkId to_b = lead_with(a, b);
  const LinkId from_b = a.greet(b, Epoch(1));
  a.push(LinkReceived{to_b, AppendAck{Epoch(1), Revision(0), 0}});
  a.ask(MoveLeader{b.id});
  const auto forward = [&](uint64_t request) {
    a.push(LinkReceived{from_b, Forward{request, PutKey{"k", Bytes("v"), {}}, seconds(1), "", {}, 1}});
  };
  forward(1);
  for (int i = 0; i < 25; ++i) {
    a.push(LinkReceived{to_b, HeartbeatAck{Epoch(1), 0, true, 0}});
    a.pass(milliseconds(100));
  }
  forward(2);
  return a.node().view().leading && a.node().view().last.revision > Revision(0);
}

// The answers to two writes of one connection are lost. The leader may have refused the first one for a time and done
// the second: the first one must not come behind it.
bool breaks_by_repeating_behind() {
  const Member b = member("b", 1);
  SingleNodeHarness a;
  a.register_server(b);
  a.create_register(led_by(b, {b}, 3));
  a.connect();
  const LinkId to_b = a.answer_dial(b, Epoch(3));
  StoreCall write;
  write.operation = PutKey{"k", Bytes("v"), {}};
  write.idempotency_key = "once";
  a.push(Call{request_id(7, 0), write});
  write.idempotency_key = "";
  a.push(Call{request_id(7, 1), write});
  a.push(LinkEnded{to_b, LinkEnd::kReset, ""});
  a.pass(milliseconds(500));
  const LinkId again = a.answer_dial(b, Epoch(3));
  return !a.sent<Forward>(again).empty();
}

// A member goes after it was counted, and before all are released for it.
bool breaks_by_unchecked_others() {
  ServicesHarness harness;
  const std::string other = "/b/" + std::string(32, '0');
  harness.zk(ZkCreate{"/b", "", ZkMode::kPersistent});
  harness.zk(ZkCreate{other, "", ZkMode::kEphemeral});
  harness.overtake(0, ServicesHarness::Kind::kMulti, ZkDelete{other});
  harness.send(0, "POST barriers/b/enter?size=2&hold=1");
  return harness.exists("/b/ready");
}

}  // namespace kvd::sim
