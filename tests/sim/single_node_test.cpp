// What a node does when others, or ZooKeeper, tell it something that a healthy cluster never would, or at a moment that
// random schedules seldom hit.
#include <doctest.h>

#include "core/replica/backup.hpp"
#include "msg/history.hpp"
#include "msg/limits.hpp"
#include "single_node_harness.hpp"

namespace kvd::sim::single_node_test {
namespace {

const Member kB = member("b", 1);
const Member kC = member("c", 1);

// What `leader` would make of it by a takeover.
Register taken_over(const Register& before, const Member& leader, uint64_t id) {
  Register content = next_epoch(before, id);
  content.leader = leader;
  content.in_sync = {leader};
  return content;
}

// The node as a learner of b, which has greeted it.
struct Learner : SingleNodeHarness {
  explicit Learner(NodeConfig config = {}) : SingleNodeHarness(config) {
    register_server(kB);
    create_register(led_by(kB, {kB}, 3));
    connect();
    link = greet(kB, Epoch(3));
  }
  EntryPointer entry(uint64_t epoch, uint64_t revision) {
    auto made = std::make_shared<Entry>();
    made->epoch = Epoch(epoch);
    made->revision = Revision(revision);
    made->effects = {Record("k", std::to_string(revision), {Revision(1), Revision(revision), revision})};
    return made;
  }
  void append(uint64_t epoch, LogPosition previous, std::vector<EntryPointer> entries, uint64_t commit) {
    push(LinkReceived{link, Append{Epoch(epoch), previous, Revision(commit), std::move(entries)}});
  }
  void beat(uint64_t commit, uint64_t digest, uint64_t epoch = 3) {
    push(LinkReceived{link, Heartbeat{Epoch(epoch), Revision(commit), 0, digest}});
  }
  // It says so itself, and confirms nothing.
  bool refuses_to_follow() {
    beat(9, 0);
    const auto acks = sent<HeartbeatAck>(link);
    return !acks.empty() && acks.back().differs && !acks.back().whole && acks.back().round == 0;
  }
  LinkId link;
};

// The node as the leader that began a cluster, with b registered beside it.
struct Leader : SingleNodeHarness {
  explicit Leader(NodeConfig config = {}) : SingleNodeHarness(config) {
    connect();
    REQUIRE(node().view().active);
    register_server(kB);
  }
};

PutKey put(const std::string& key, const std::string& value) { return PutKey{key, Bytes(value), {}}; }

// `a` leads, and b, which is whole and has the log up to `match`, answers its dial.
LinkId meet_b(SingleNodeHarness& a, Revision match) {
  LinkId link = a.answer_dial(kB, Epoch(1));
  REQUIRE(link != LinkId(0));
  a.push(LinkReceived{link, AppendAck{Epoch(1), match, 0}});
  a.push(LinkReceived{link, HeartbeatAck{Epoch(1), 0, true, 0}});
  return link;
}

}  // namespace

TEST_CASE("a copy that contradicts the leader's log is kept, and counted no further") {
  SUBCASE("by the entry before the first one") {
    Learner a;
    a.append(3, LogPosition{}, {a.entry(3, 1), a.entry(3, 2)}, 2);
    REQUIRE(a.node().view().commit == Revision(2));
    a.append(3, LogPosition{Epoch(2), Revision(1)}, {}, 2);
    CHECK(a.refuses_to_follow());
    CHECK(a.node().view().commit == Revision(2));
  }
  SUBCASE("by an entry") {
    Learner a;
    a.append(3, LogPosition{}, {a.entry(3, 1)}, 1);
    a.append(3, LogPosition{}, {a.entry(2, 1)}, 1);
    CHECK(a.refuses_to_follow());
    CHECK(a.node().view().commit == Revision(1));
  }
  SUBCASE("what is not committed is only truncated") {
    Learner a;
    a.append(3, LogPosition{}, {a.entry(2, 1), a.entry(2, 2)}, 1);
    a.append(3, LogPosition{Epoch(2), Revision(1)}, {a.entry(3, 2)}, 1);
    CHECK_FALSE(a.exit());
    CHECK(a.node().entry_at(Revision(2))->epoch == Epoch(3));
  }
}

TEST_CASE("a copy that differs from the leader's at one revision says so, once, and is degraded") {
  Learner a;
  a.append(3, LogPosition{}, {a.entry(3, 1)}, 1);
  uint64_t digest = a.node().view().digest;
  a.beat(1, digest);
  CHECK(a.logged("differs from the leader's") == 0);
  a.beat(1, digest + 1);
  a.beat(1, digest + 1);
  CHECK(a.logged("differs from the leader's") == 1);
  a.ask(QueryStatus{});
  auto replies = a.replies();
  REQUIRE(replies.size() == 1);
  bool degraded = false;
  for (const std::string& line : std::get<Box<Status>>(replies[0].answer)->degraded)
    degraded |= line.find("differs") != std::string::npos;
  CHECK(degraded);
}

TEST_CASE("an epoch that a hello speaks of fences everything older") {
  Learner a;
  CHECK(a.node().view().epoch == Epoch(3));
  a.greet(kC, Epoch(4));
  CHECK(a.node().view().epoch == Epoch(4));
  a.append(3, LogPosition{}, {a.entry(3, 1)}, 1);
  CHECK(a.node().view().last.revision == Revision(0));
  auto nacks = a.sent<AppendNack>(a.link);
  REQUIRE(nacks.size() == 1);
  CHECK(nacks[0].stale);
}

TEST_CASE("what ZooKeeper shows of a server counts for less than what it says itself") {
  Learner a;
  const Member newer = member("b", 2);
  LinkId link = a.answer_dial(newer, Epoch(3));
  REQUIRE(link != LinkId(0));
  // The list still shows the former life; reading it again must not declare the living one dead.
  a.set(member_path(kB.id), encode_server_info(info_of(kB)));
  CHECK(a.closed(link) == 0);
  // Its link ends, and its registration is what is left to go by.
  a.set(member_path(kB.id), encode_server_info(info_of(member("b", 3))));
  a.push(LinkEnded{link, LinkEnd::kReset, ""});
  a.pass(milliseconds(100));
  CHECK(a.answer_dial(member("b", 3), Epoch(3)) != LinkId(0));
}

TEST_CASE("what waits at a leader that froze goes to its successor: reads again, writes as unknown") {
  Learner a;
  a.register_server(kC);
  LinkId to_b = a.answer_dial(kB, Epoch(3));
  LinkId to_c = a.answer_dial(kC, Epoch(3));
  REQUIRE(to_c != LinkId(0));
  a.ask(ReadKey{"k"});
  uint64_t write = a.ask(put("k", "v"));
  CHECK(a.sent<Forward>(to_b).size() == 2);

  Register next = a.config();
  next.epoch = Epoch(4);
  next.leader = kC;
  next.in_sync = {kB, kC};
  a.change_register(next);
  auto again = a.sent<Forward>(to_c);
  REQUIRE(again.size() == 1);
  CHECK(std::holds_alternative<ReadKey>(again[0].operation));
  CHECK(a.replies().empty());
  a.pass(milliseconds(450));  // the default silence limit and a little
  auto replies = a.replies();
  REQUIRE(replies.size() == 1);
  CHECK(replies[0].id == RequestId(write));
  CHECK(std::get<Failed>(replies[0].answer).outcome == Outcome::kUnknown);
}

TEST_CASE("a register that goes back, or vanishes, is not believed") {
  Learner a;
  SUBCASE("an older epoch at a newer version") { a.change_register(led_by(kB, {kB}, 2)); }
  SUBCASE("gone") {
    a.remove(kConfigPath);
    a.connect();
  }
  SUBCASE("unreadable") { a.set(kConfigPath, "{}"); }
  SUBCASE("another cluster's") {
    Register other = led_by(kB, {kB}, 9);
    other.cluster = "another";
    a.set(kConfigPath, encode_register(other));
  }
  a.pass(seconds(1));
  CHECK_FALSE(a.exit());
  CHECK(a.logged("ZooKeeper does not show the register that this server remembers") == 1);
  CHECK_FALSE(a.node().view().leading);
  CHECK(a.closed(a.link) == 1);
  const Result<Registration> told = decode_registration(a.data(member_path(ServerId{"a"})));
  REQUIRE(told);
  REQUIRE(told->claim);
  CHECK(told->remembers->epoch == Epoch(3));
}

TEST_CASE("no new lineage begins while a life of the in-sync set is registered") {
  SingleNodeHarness a;
  // b's znode shows another life than the one in sync, as a late request could leave it; that one lives all the same.
  a.create(member_path(kB.id), encode_server_info(info_of(member("b", 2))));
  a.create(life_path(kB), "");
  a.create_register(led_by(kB, {kB}, 3));
  a.connect();
  a.pass(seconds(15));
  CHECK(a.node().view().lineage == Lineage(0));
  CHECK_FALSE(a.node().view().leading);
  a.remove(life_path(kB));
  a.pass(seconds(1));
  CHECK(a.node().view().lineage == Lineage(1));
  CHECK(a.node().view().leading);
}

TEST_CASE("no new lineage begins while somebody remembers a register that is not made of ZooKeeper's") {
  SingleNodeHarness a;
  Register old = led_by(kB, {kB}, 3);  // ZooKeeper has gone back to it, and b has begun another life since
  a.register_server(member("b", 2));
  a.create_register(old);
  Registration other{info_of(kC), taken_over(a.config(), kC, 77), std::nullopt};
  a.create(member_path(kC.id), encode_registration(other));
  a.create(life_path(kC), "");
  a.connect();
  a.pass(seconds(20));
  CHECK(a.node().view().lineage == Lineage(0));
  CHECK_FALSE(a.node().view().leading);
}

TEST_CASE(
    "a leader that was cut off obeys who remembers a successor, although ZooKeeper shows its own register") {
  Leader a;
  a.remove(member_path(kB.id));
  const Result<Register> ours = decode_register(a.data(kConfigPath));
  REQUIRE(ours);
  Registration other{info_of(kB), taken_over(*ours, kB, 77),
                     Claim{0, std::nullopt, LogPosition{}, Revision(0), 0, false, Epoch(0)}};
  a.create(member_path(kB.id), encode_registration(other));
  a.pass(seconds(2));
  CHECK_FALSE(a.node().view().leading);
  CHECK(a.logged("ZooKeeper does not show the register that this server remembers") == 1);
}

TEST_CASE("/election with more znodes than ZooKeeper calls may be outstanding") {
  SingleNodeHarness a;
  for (size_t i = 0; i < limits::kZkCalls + 50; ++i)
    a.create("/election/server_", encode_server_info(info_of(kB)), ZkMode::kEphemeralSequential);
  a.create(member_path(ServerId{"a"}),
           encode_server_info(info_of(member("a", 9))));  // makes it look through them
  a.connect();
  a.push(LinkEnded{LinkId(1), LinkEnd::kRefused, ""});
  a.pass(milliseconds(100));
  CHECK(a.logged("registered") == 1);
  CHECK(a.most_calls() < limits::kZkCalls);
}

TEST_CASE("a persistent znode below /election is passed over") {
  SingleNodeHarness a;
  a.create("/election/server_0000000000", "somebody's experiment", ZkMode::kPersistent);
  a.create("/election/server_", "another", ZkMode::kPersistent);
  a.connect();
  a.pass(milliseconds(100));
  CHECK(a.node().view().leading);
  CHECK(a.logged("a persistent znode stands for election") >= 1);
  CHECK(a.exists("/election/server_0000000000"));
}

TEST_CASE("a mailbox that overflows closes the link once") {
  Learner a;
  for (size_t i = 0; i < limits::kMailboxMessages + 100; ++i)
    a.node().push(LinkReceived{a.link, Heartbeat{Epoch(3), Revision(0), 0, 0}});
  a.pass(milliseconds(13));
  CHECK(a.closed(a.link) == 1);
  // Its successor is not the one that was closed.
  LinkId next = a.greet(kB, Epoch(3));
  a.push(LinkReceived{next, Heartbeat{Epoch(3), Revision(0), 1, 0}});
  CHECK(a.sent<HeartbeatAck>(next).size() == 1);
}

TEST_CASE("a last server that stops waits for the learner that is about to have everything") {
  Leader a;
  a.ask(put("k", "v"));
  LinkId link = a.answer_dial(kB, Epoch(1));
  REQUIRE(link != LinkId(0));
  a.push(LinkReceived{link, AppendAck{Epoch(1), Revision(1), 0}});
  a.push(StopRequested{});
  a.pass(milliseconds(100));
  CHECK_FALSE(a.exit());
  a.push(LinkReceived{link, HeartbeatAck{Epoch(1), 0, true, 0}});
  CHECK(a.logged("in-sync set changed") == 1);
  a.create("/election/server_", encode_server_info(info_of(kB)), ZkMode::kEphemeralSequential);
  a.pass(milliseconds(300));
  CHECK(a.sent<TakeOver>(link).size() >= 1);
  CHECK_FALSE(a.exit());
}

TEST_CASE("who is in sync and says that it misses something, or takes nothing, leaves the set") {
  Leader a;
  a.ask(put("k", "v"));
  LinkId link = meet_b(a, Revision(1));
  REQUIRE(a.logged("in-sync set changed") == 1);
  bool whole = true;
  auto link_again = [&] {
    a.push(LinkEnded{link, LinkEnd::kReset, ""});
    a.pass(milliseconds(100));
    link = a.answer_dial(kB, Epoch(1));
    REQUIRE(link != LinkId(0));
    a.push(LinkReceived{link, AppendAck{Epoch(1), Revision(1), 0}});
  };
  SUBCASE("misses something") {
    link_again();
    whole = false;
  }
  SUBCASE("takes nothing") {}
  SUBCASE("takes nothing on another link") { link_again(); }
  a.ask(put("k", "w"));
  a.replies();
  for (int i = 0; i < 10; ++i) {  // it lives
    a.push(LinkReceived{link, HeartbeatAck{Epoch(1), 0, whole, 0}});
    if (!whole) a.push(LinkReceived{link, AppendAck{Epoch(1), Revision(2), 0}});
    a.pass(milliseconds(50));
  }
  CHECK(a.logged("in-sync set changed") == 2);
  CHECK(a.replies().size() == 1);
}

TEST_CASE("a learner that is always a little behind is waited for and admitted while writes go on") {
  Leader a;
  a.ask(put("k", "v"));
  LinkId link = meet_b(a, Revision(0));
  for (uint64_t revision = 2; revision < 10; ++revision) {
    a.ask(put("k", "v"));  // always before the last one's acknowledgement
    a.push(LinkReceived{link, AppendAck{Epoch(1), Revision(revision - 1), 0}});
  }
  CHECK(a.logged("in-sync set changed") == 1);
}

TEST_CASE("a learner that is nearly there, and then takes nothing, holds writes up once, and not for long") {
  Leader a;
  a.ask(put("k", "v"));
  LinkId link = meet_b(a, Revision(0));
  a.ask(put("k", "w"));
  a.replies();
  a.ask(put("k", "x"));
  CHECK(a.replies().empty());
  for (int i = 0; i < 7; ++i) {  // it lives
    a.pass(milliseconds(50));
    a.push(LinkReceived{link, HeartbeatAck{Epoch(1), 0, true, 0}});
    if (i < 5) CHECK(a.replies().empty());
  }
  CHECK_FALSE(a.replies().empty());
  a.ask(put("k", "y"));
  CHECK(a.replies().size() == 1);
  CHECK(a.logged("in-sync set changed") == 0);
}

TEST_CASE("a last server with nobody near stops at once") {
  Leader a;
  a.push(StopRequested{});
  a.pass(milliseconds(13));
  REQUIRE(a.exit());
  CHECK(a.exit()->code == 0);
}

TEST_CASE("a copy that was sparse only while it was empty is sent the log") {
  Leader a;
  a.ask(put("k", "v"));
  LinkId link = a.answer_dial(kB, Epoch(1), true);
  REQUIRE(link != LinkId(0));
  a.push(LinkReceived{link, AppendNack{Epoch(1), false, Revision(0), 0, true}});
  auto begun = a.sent<SnapshotBegin>(link);
  REQUIRE(begun.size() == 1);
  CHECK(begun[0].sparse);
  a.sent<Append>(link);
  // It has become complete meanwhile, and refuses to start with nothing.
  a.push(LinkReceived{link, AppendNack{Epoch(1), false, Revision(0), 1, false}});
  CHECK(a.sent<SnapshotBegin>(link).empty());
  auto appends = a.sent<Append>(link);
  REQUIRE(appends.size() == 1);
  CHECK(appends[0].previous.revision == Revision(0));
}

TEST_CASE(
    "after a snapshot with a wrong digest the next one waits, and nothing said of the wrong one counts") {
  Leader a;
  for (size_t i = 0; i < limits::kRetainedEntries + 10; ++i) {
    StoreCall request;
    request.operation = put("k", "v");
    a.node().push(Call{RequestId(1'000'000 + i), std::move(request)});
    if (i % 1000 == 0) a.pass(Duration(1));
  }
  a.pass(milliseconds(100));
  REQUIRE(a.node().view().log_base > Revision(0));
  LinkId link = a.answer_dial(kB, Epoch(1));
  REQUIRE(link != LinkId(0));
  a.push(LinkReceived{link, AppendNack{Epoch(1), false, Revision(0), 0}});
  CHECK(a.sent<SnapshotBegin>(link).size() == 1);
  a.push(LinkReceived{link, SnapshotAck{Epoch(1), 1, 0, true}});
  a.push(LinkReceived{link, AppendNack{Epoch(1), false, Revision(0), 1}});
  Revision end = a.node().view().last.revision;
  a.push(LinkReceived{link, AppendAck{Epoch(1), end, 1}});
  a.push(LinkReceived{link, HeartbeatAck{Epoch(1), 0, true, 1}});
  CHECK(a.logged("in-sync set changed") == 0);
  a.pass(milliseconds(500));
  CHECK(a.sent<SnapshotBegin>(link).empty());
  for (int i = 0; i < 10; ++i) {  // it lives
    a.push(LinkReceived{link, HeartbeatAck{Epoch(1), 0, false, 1}});
    a.pass(milliseconds(100));
  }
  auto begun = a.sent<SnapshotBegin>(link);
  REQUIRE(begun.size() == 1);
  CHECK(begun[0].number > 1);
}

TEST_CASE(
    "a write with an idempotency key is asked again when the leader is lost, and stays in doubt until it is "
    "known") {
  Learner a;
  a.register_server(kC);
  LinkId to_b = a.answer_dial(kB, Epoch(3));
  LinkId to_c = a.answer_dial(kC, Epoch(3));
  REQUIRE(to_c != LinkId(0));
  uint64_t plain = a.ask(put("k", "w"));
  uint64_t keyed = a.ask_once("id", put("k", "v"));
  REQUIRE(a.sent<Forward>(to_b).size() == 2);
  a.push(LinkEnded{to_b, LinkEnd::kReset, ""});
  auto replies = a.replies();
  REQUIRE(replies.size() == 1);
  CHECK(replies[0].id == RequestId(plain));
  CHECK(std::get<Failed>(replies[0].answer).code == ErrorCode::kLinkLost);
  CHECK(std::get<Failed>(replies[0].answer).outcome == Outcome::kUnknown);

  Register next = a.config();
  next.epoch = Epoch(4);
  next.leader = kC;
  next.in_sync = {kC};
  a.change_register(next);
  auto again = a.sent<Forward>(to_c);
  REQUIRE(again.size() == 1);
  CHECK(again[0].idempotency_key == "id");
  // That one did nothing, but the first attempt may have.
  Failed refusal{ErrorCode::kNotEnoughInSync, Outcome::kNotApplied, "too few"};
  a.push(LinkReceived{to_c, ForwardResult{again[0].request, refusal, Revision(0)}});
  replies = a.replies();
  REQUIRE(replies.size() == 1);
  CHECK(replies[0].id == RequestId(keyed));
  CHECK(std::get<Failed>(replies[0].answer).outcome == Outcome::kUnknown);
}

namespace {

// b is in sync with the leader a, and stands for election behind it.
LinkId join_b(SingleNodeHarness& a) {
  LinkId link = meet_b(a, a.node().view().last.revision);
  REQUIRE(a.logged("in-sync set changed") == 1);
  a.create("/election/server_", encode_server_info(info_of(kB)), ZkMode::kEphemeralSequential);
  return link;
}

Register read_register(const SingleNodeHarness& a) {
  Result<Register> content = decode_register(a.data(kConfigPath));
  REQUIRE(content);
  return *content;
}

}  // namespace

TEST_CASE("a leader that is told to move finishes its writes, holds the next ones and stays in sync") {
  Leader a;
  LinkId link = join_b(a);
  uint64_t before = a.ask(put("k", "before"));
  uint64_t move = a.ask(MoveLeader{kB.id});
  uint64_t after = a.ask(put("k", "after"));
  a.pass(milliseconds(100));
  CHECK(a.sent<TakeOver>(link).empty());  // b has not acknowledged the write
  a.push(LinkReceived{link, AppendAck{Epoch(1), Revision(1), 0}});
  a.pass(milliseconds(50));
  auto orders = a.sent<TakeOver>(link);
  REQUIRE(orders.size() >= 1);
  CHECK_FALSE(orders[0].leaves);
  auto replies = a.replies();
  REQUIRE(replies.size() == 1);
  CHECK(replies[0].id == RequestId(before));

  Register next = read_register(a);
  next.epoch = Epoch(2);
  next.leader = kB;
  next.cause = ElectionCause::kHandedOver;
  a.change_register(next);
  replies = a.replies();
  REQUIRE(replies.size() == 1);
  CHECK(replies[0].id == RequestId(move));
  CHECK(std::get<LeaderMoved>(replies[0].answer).leader == kB.id);
  auto forwards = a.sent<Forward>(link);
  REQUIRE(forwards.size() == 1);
  CHECK(forwards[0].request == after);
}

TEST_CASE("a leader that leaves is not taken in again by its successor, whom it hears before ZooKeeper") {
  Leader a;
  LinkId link = join_b(a);
  a.push(StopRequested{});
  a.pass(milliseconds(50));
  auto orders = a.sent<TakeOver>(link);
  REQUIRE(orders.size() >= 1);
  CHECK(orders[0].leaves);
  LinkId from_b = a.greet(kB, Epoch(2));
  a.push(LinkReceived{from_b, Heartbeat{Epoch(2), Revision(0), 1, 0}});
  auto acks = a.sent<HeartbeatAck>(from_b);
  REQUIRE(acks.size() == 1);
  CHECK(acks[0].round == 1);
  CHECK_FALSE(acks[0].whole);
}

TEST_CASE("a lead is not moved to a server that is not in sync, nor for ever") {
  Leader a;
  a.ask(MoveLeader{kB.id});
  a.ask(MoveLeader{});
  auto replies = a.replies();
  REQUIRE(replies.size() == 2);
  for (const NumberedAnswer& reply : replies) {
    CHECK(std::get<Failed>(reply.answer).code == ErrorCode::kNotInSync);
    CHECK(std::get<Failed>(reply.answer).outcome == Outcome::kNotApplied);
  }
  a.ask(MoveLeader{member("a", 1).id});
  replies = a.replies();
  REQUIRE(replies.size() == 1);
  CHECK(std::holds_alternative<LeaderMoved>(replies[0].answer));

  LinkId link = join_b(a);
  uint64_t move = a.ask(MoveLeader{kB.id});
  for (int i = 0; i < 25; ++i) {  // b lives, and does nothing
    a.push(LinkReceived{link, HeartbeatAck{Epoch(1), 0, true, 0}});
    a.pass(milliseconds(100));
  }
  replies = a.replies();
  REQUIRE(replies.size() == 1);
  CHECK(replies[0].id == RequestId(move));
  CHECK(std::get<Failed>(replies[0].answer).code == ErrorCode::kTimedOut);
  CHECK(a.node().view().active);
  a.ask(put("k", "v"));
  a.push(LinkReceived{link, AppendAck{Epoch(1), Revision(1), 0}});
  CHECK(a.replies().size() == 1);
}

TEST_CASE("whoever takes over tells why, and how long each step took") {
  Learner a;
  a.create("/election/server_", encode_server_info(info_of(kB)), ZkMode::kEphemeralSequential);
  Register with_a = a.config();
  with_a.in_sync = {member("a", 1), kB};
  a.change_register(with_a);
  a.push(LinkReceived{a.link, TakeOver{Epoch(3), false}});
  a.pass(milliseconds(100));
  Register now = read_register(a);
  CHECK(now.leader == member("a", 1));
  CHECK(now.cause == ElectionCause::kHandedOver);
  CHECK(now.in_sync == with_a.in_sync);  // b stays
  a.ask(QueryStatus{});
  auto replies = a.replies();
  REQUIRE(replies.size() == 1);
  const auto& elections = std::get<Box<Status>>(replies[0].answer)->elections;
  REQUIRE(elections.size() == 2);
  CHECK(elections[0].epoch == Epoch(4));
  CHECK(elections[0].cause == ElectionCause::kHandedOver);
  CHECK(elections[0].deposed.has_value());
  CHECK_FALSE(elections[0].activated.has_value());  // b has not confirmed the log
  CHECK(elections[1].epoch == Epoch(3));
  CHECK_FALSE(elections[1].deposed.has_value());
}

TEST_CASE("a registration that somebody deleted is made anew") {
  Leader a;
  a.remove(member_path(ServerId{"a"}));
  a.pass(milliseconds(100));
  CHECK(a.exists(member_path(ServerId{"a"})));
  CHECK(a.logged("registered") == 2);
  CHECK(a.node().view().active);
}

TEST_CASE("an order to take over is not carried out when it is old") {
  Learner a;
  a.create("/election/server_", encode_server_info(info_of(kB)), ZkMode::kEphemeralSequential);
  Register with_a = a.config();
  with_a.in_sync = {member("a", 1), kB};
  a.change_register(with_a);
  a.push(ZkSessionChanged{ZkState::kConnecting, 0, Duration(0)});
  a.push(LinkReceived{a.link, TakeOver{Epoch(3), false}});
  for (int i = 0; i < 10; ++i) {
    a.beat(0, 0);
    a.pass(milliseconds(100));
  }
  a.reconnect();
  a.beat(0, 0);
  a.pass(milliseconds(100));
  CHECK(read_register(a).leader == kB);
}

TEST_CASE(
    "whom a server greeted before there was a register it greets anew when that is of another lineage") {
  for (const uint64_t lineage : {0, 1}) {
    SingleNodeHarness a;
    a.register_server(kB);
    a.create("/election/server_", encode_server_info(info_of(kB)), ZkMode::kEphemeralSequential);
    a.connect();
    a.pass(milliseconds(100));
    const LinkId link = a.greet(kB, Epoch(0));
    REQUIRE(a.closed(link) == 0);
    Register content = led_by(kB, {kB}, 3);
    content.lineage = Lineage(lineage);
    a.create_register(content);
    CHECK(a.closed(link) == static_cast<int>(lineage));
  }
}

TEST_CASE("another cluster's epoch is not believed by a server that has no register yet") {
  SingleNodeHarness a;
  // b has registered, and stands before a, but has not begun the cluster; a stranger of another one calls.
  a.register_server(kB);
  a.create("/election/server_", encode_server_info(info_of(kB)), ZkMode::kEphemeralSequential);
  a.connect();
  a.push(LinkAccepted{LinkId(2), "c"});
  a.push(
      LinkReceived{LinkId(2), Hello{"another", Lineage(0), info_of(kC), ServerId{"a"}, Epoch(500), false}});
  CHECK(a.node().view().epoch == Epoch(0));
}

TEST_CASE("who does not belong here is refused with one line, and nothing else happens") {
  Learner a;
  a.append(3, LogPosition{}, {a.entry(3, 1)}, 1);
  int refused = 0;
  uint64_t accepted = 100;
  auto refuse = [&](PeerMessage first) {
    a.pass(milliseconds(1100));  // one line a second at most
    const LinkId link(accepted += 2);
    a.push(LinkAccepted{link, "192.0.2.1:5"});
    a.push(LinkReceived{link, std::move(first)});
    CHECK(a.closed(link) == 1);
    CHECK(a.logged("refused a peer") == ++refused);
    // What it says after that is not heard.
    a.push(LinkReceived{link,
                        Append{Epoch(9), LogPosition{Epoch(3), Revision(1)}, Revision(1), {a.entry(9, 2)}}});
    CHECK(a.node().view().epoch == Epoch(3));
    CHECK(a.node().view().last.revision == Revision(1));
  };
  const Hello honest{a.config().cluster, Lineage(0), info_of(kC), ServerId{"a"}, Epoch(9), false};
  Hello hello = honest;
  hello.cluster = "another";
  refuse(hello);
  hello = honest;
  hello.to = ServerId{"z"};
  refuse(hello);
  hello = honest;
  hello.from = info_of(member("a", 1));  // ourselves
  refuse(hello);
  refuse(Heartbeat{Epoch(9), Revision(1), 0, 0});

  // And who answers where somebody else was dialed: this server itself, as TCP may have it, or another one.
  for (const Member& who : {member("a", 1), kC}) {
    a.pass(milliseconds(1100));
    LinkId link = a.answer_dial_as(kB, who, Epoch(9));
    for (int i = 0; i < 100 && link == LinkId(0); ++i) {  // between two dials
      a.pass(milliseconds(13));
      link = a.answer_dial_as(kB, who, Epoch(9));
    }
    REQUIRE(link != LinkId(0));
    CHECK(a.closed(link) == 1);
    CHECK(a.logged("refused a peer") == ++refused);
    CHECK(a.node().view().epoch == Epoch(3));
  }
}

TEST_CASE("a lease is not over within the time that it was given, also by a part of a millisecond") {
  Leader a;
  const auto lives = [&](uint64_t id) {
    a.ask(ReadLease{id, false});
    const auto replies = a.replies();
    REQUIRE(replies.size() == 1);
    return std::holds_alternative<Box<LeaseFound>>(replies[0].answer);
  };
  for (int phase = 0; phase < 10; ++phase) {
    CAPTURE(phase);
    a.step(Duration(100));
    const Instant granted = a.now();
    a.ask(GrantLease{limits::kLeaseTtlMsMin, ""});
    const auto replies = a.replies();
    REQUIRE(replies.size() == 1);
    const uint64_t id = std::get<LeaseGranted>(replies[0].answer).id;
    const Instant end = granted + milliseconds(static_cast<int64_t>(limits::kLeaseTtlMsMin));
    while (a.now() + Duration(12'500) < end) a.step(Duration(12'500));
    a.step(end - a.now() - Duration(10));
    CHECK(lives(id));
    a.step(milliseconds(2));
    a.step(milliseconds(2));
    CHECK_FALSE(lives(id));
  }
}

// ---- parts of this server's own copy ----

TEST_CASE("a snapshot in parts while writes go on is the store at its end") {
  NodeConfig config;
  config.tuning.snapshot_chunk_bytes = 100;
  Leader a(config);
  int written = 0;
  auto write = [&] { a.ask(put("k" + std::to_string(written++ * 7 % 20), std::string(20, 'v'))); };
  for (int i = 0; i < 20; ++i) write();
  a.replies();
  BackupWriter writer;
  std::string bytes;
  ReadSnapshot next;
  SnapshotPart part;
  do {
    a.ask(next, ReadMode::kLocal);
    part = *std::get<Box<SnapshotPart>>(a.replies().at(0).answer);
    CHECK(part.complete);
    writer.add(part, bytes);
    next.since = part.at.revision;
    if (!part.items.empty()) {
      next.space = part.items.back().space();
      next.after = part.items.back().key();
    }
    // More entries than one part takes, now and then: the items wait for the next one.
    for (int i = 0; i < written % 6 && part.more && written < 60; ++i) write();
    if (written == 40) a.ask(DeleteKey{"k3", {}});
    if (written++ == 40) a.ask_once("once", put("k4", "w"));
    a.replies();
  } while (part.more);
  BackupReader reader;
  CHECK(reader.feed(bytes) == "");
  CHECK(reader.finish() == "");
  CHECK(reader.store().digest() == a.node().view().digest);
  CHECK(reader.foot().revision == a.node().view().commit);
}

TEST_CASE("a snapshot that the log does not reach back to is refused, and one of the future") {
  NodeConfig config;
  config.tuning.retained_entries = 2;
  Leader a(config);
  for (int i = 0; i < 10; ++i) a.ask(put("k", "v"));
  a.pass(milliseconds(100));
  a.replies();
  auto answer = [&](uint64_t since) {
    a.ask(ReadSnapshot{Revision(since), Space::kData, ""}, ReadMode::kLocal);
    return a.replies().at(0).answer;
  };
  CHECK(std::holds_alternative<Failed>(answer(3)));
  CHECK(std::holds_alternative<Failed>(answer(11)));
  CHECK(std::get<Box<SnapshotPart>>(answer(9))->entries.size() == 1);
}

TEST_CASE("a server without a leader, and one that catches up, give what they have") {
  SingleNodeHarness alone;
  alone.ask(ReadSnapshot{}, ReadMode::kLocal);
  const auto nothing = *std::get<Box<SnapshotPart>>(alone.replies().at(0).answer);
  CHECK_FALSE(nothing.complete);
  CHECK_FALSE(nothing.more);

  Learner a;
  a.append(3, LogPosition{}, {a.entry(3, 1), a.entry(3, 2)}, 2);
  a.ask(ReadSnapshot{}, ReadMode::kLocal);
  const auto some = *std::get<Box<SnapshotPart>>(a.replies().at(0).answer);
  CHECK_FALSE(some.complete);
  CHECK(some.at.revision == Revision(2));
  CHECK(some.items.size() == 1);
}

// Whoever passed it on may know other calls than this server does.
TEST_CASE("a call of a service that another server passes on is read here, too") {
  Learner node;
  const auto answer_to = [&](ServiceCall call) {
    node.push(LinkReceived{node.link, Box(ServiceForward{1, std::move(call), seconds(5)})});
    const auto results = node.sent<Box<ServiceForwardResult>>(node.link);
    REQUIRE(results.size() == 1);
    return results.front()->answer;
  };
  const NamedText session{"session", "0000000000000001-0000000000000001"};
  const auto locks = [&](Verb verb, NamedText further) {
    return answer_to({Collection::kLocks, verb, "a", {std::move(further), session}, ""});
  };
  CHECK(locks(Verb::kPost, {"name", "n"}).status == ServiceStatus::kGone);
  CHECK(locks(Verb::kPost, {"name", ""}).status == ServiceStatus::kInvalid);
  CHECK(locks(Verb::kPost, {"name", "n"}).why == "there is no such session, or no more");
  CHECK(locks(Verb::kPost, {"new", "1"}).why == "the query parameter 'new' is not known here");
  CHECK(locks(Verb::kPut, {"name", "n"}).why == "GET, HEAD, POST, DELETE");
  CHECK(locks(Verb::kDelete, {"name", "n"}).why == "the query parameter 'name' is not known here");
  CHECK(answer_to({Collection::kLocks, Verb::kPost, "a", {{"hold", "1"}}, ""}).why ==
        "what a connection holds cannot be forwarded");
  CHECK(answer_to({Collection::kTasks, Verb::kGet, "t/new", {session}, ""}).status ==
        ServiceStatus::kNotFound);
}

}  // namespace kvd::sim::single_node_test
