// Fencing tokens of writes that are not committed yet, of a log that was taken over, and on the way from one server to
// another: what one node does step by step. Whole stories of clients are the simulator's.
#include "core/replica/fences.hpp"

#include <doctest.h>

#include <algorithm>
#include <map>

#include "single_node_harness.hpp"

namespace kvd::sim::fences_test {
namespace {

const Member kA = member("a", 1);
const Member kB = member("b", 1);
const Member kC = member("c", 1);

PutKey put(const std::string& value) { return PutKey{"k", Bytes(value), {}}; }

// The largest token that came before; 0: it was not fenced off.
uint64_t fenced_by(const StoreAnswer& reply) {
  const auto* fenced = std::get_if<Box<Fenced>>(&reply.answer);
  return fenced != nullptr ? (*fenced)->current : 0;
}

// The node in a cluster of its own and b, of which one leads epoch 1.
struct Pair : SingleNodeHarness {
  explicit Pair(const Member& leader) {
    register_server(kB);
    if (leader == kB)
      create("/election/server_", encode_server_info(info_of(kB)), ZkMode::kEphemeralSequential);
    Register content;
    content.epoch = Epoch(1);
    content.leader = leader;
    content.in_sync = {kA, kB};
    create_register(content);
    connect();
    link = answer_dial(kB, Epoch(1));
    if (leader == kA) acknowledge(node().view().last.revision);
  }
  // b has the log up to there, and confirms that the node leads.
  void acknowledge(Revision match) {
    const Epoch epoch = node().view().epoch;
    push(LinkReceived{link, AppendAck{epoch, match, 0}});
    for (const Heartbeat& beat : sent<Heartbeat>(link))
      push(LinkReceived{link, HeartbeatAck{epoch, beat.round, true, 0}});
  }
  void now_leads(const Member& leader) {
    Register next = config();
    next.epoch = node().view().epoch.next();
    next.leader = leader;
    change_register(next);
  }
  LinkId link;
};

EntryPointer entry(uint64_t revision, uint64_t token) {
  auto made = std::make_shared<Entry>();
  made->epoch = Epoch(1);
  made->revision = Revision(revision);
  made->effects = {Record("k", "v", {Revision(1), made->revision, revision}),
                   remember_token("lock", token, made->revision)};
  return made;
}

}  // namespace

TEST_CASE("tokens of writes that are not committed count, and who is fenced off is told once they are") {
  Pair a(kA);
  a.ask_fenced("lock", 2, put("two"));
  a.ask_fenced("lock", 3, put("three"));
  const uint64_t late = a.ask_fenced("lock", 1, put("late"));
  CHECK(a.replies().empty());
  a.acknowledge(Revision(1));
  CHECK(a.replies().size() == 1);
  const uint64_t later = a.ask_fenced("lock", 2, put("later"));  // the third one is still in the log's tail
  CHECK(a.node().view().last.revision == Revision(2));
  CHECK(a.replies().empty());
  a.acknowledge(Revision(2));
  a.acknowledge(Revision(2));
  std::map<uint64_t, uint64_t> fenced;
  for (const NumberedAnswer& reply : a.replies()) fenced[reply.id.value] = fenced_by(reply);
  CHECK(fenced == std::map<uint64_t, uint64_t>{{late - 1, 0}, {late, 3}, {later, 3}});
  a.ask_fenced("lock", 2, put("latest"));  // and is not, by now
  a.acknowledge(Revision(2));
  CHECK(fenced_by(a.replies().at(0)) == 3);
}

TEST_CASE("a new leader holds writes against the tokens of the log that it took over") {
  Pair a(kB);
  const LinkId from_b = a.greet(kB, Epoch(1));
  a.push(LinkReceived{from_b, Append{Epoch(1), LogPosition{}, Revision(1), {entry(1, 4), entry(2, 5)}}});
  REQUIRE(a.node().view().commit == Revision(1));
  uint64_t current = 5;
  SUBCASE("its own end, which was never acknowledged") {}
  SUBCASE("not of what was dropped from it") {
    Heartbeat shorter{Epoch(2), Revision(1), 0, 0, Revision(1)};
    a.now_leads(kC);
    a.push(LinkReceived{a.greet(kC, Epoch(2)), shorter});
    REQUIRE(a.node().view().last.revision == Revision(1));
    current = 4;
  }
  a.now_leads(kA);
  REQUIRE(a.node().view().leading);
  a.ask_fenced("lock", current - 1, put("late"));
  a.ask_fenced("lock", current, put("in time"));
  a.acknowledge(a.node().view().last.revision);
  a.acknowledge(a.node().view().last.revision);
  std::vector<NumberedAnswer> replies = a.replies();
  REQUIRE(replies.size() == 2);
  std::sort(replies.begin(), replies.end(), [](auto& x, auto& y) { return x.id < y.id; });
  CHECK(fenced_by(replies[0]) == current);
  CHECK(std::holds_alternative<KeyWritten>(replies[1].answer));
}

TEST_CASE(
    "who is fenced off by a leader that is deposed before it can confirm it is judged by the next one") {
  Pair a(kA);
  a.ask_fenced("lock", 2, put("two"));
  const uint64_t late = a.ask_fenced("lock", 1, put("one"));
  a.now_leads(kB);
  const std::vector<NumberedAnswer> replies = a.replies();
  REQUIRE(replies.size() == 1);
  CHECK(std::get<Failed>(replies[0].answer).outcome == Outcome::kUnknown);
  a.pass(milliseconds(50));
  const std::vector<Forward> forwards = a.sent<Forward>(a.link);
  REQUIRE(forwards.size() == 1);
  CHECK(forwards[0].request == late);
  REQUIRE(forwards[0].fence);
  CHECK(*forwards[0].fence == Fence{"lock", 1});
}

TEST_CASE("a fence goes along to the leader, and again to the next one") {
  Pair a(kB);
  a.ask_fenced("lock", 1, put("one"), "once");
  std::vector<Forward> forwards = a.sent<Forward>(a.link);
  REQUIRE(forwards.size() == 1);
  REQUIRE(forwards[0].fence);
  CHECK(*forwards[0].fence == Fence{"lock", 1});
  a.push(LinkEnded{a.link, LinkEnd::kReset, ""});
  a.pass(milliseconds(100));
  const LinkId again = a.answer_dial(kB, Epoch(1));
  REQUIRE(again != LinkId(0));
  forwards = a.sent<Forward>(again);
  REQUIRE(forwards.size() == 1);
  REQUIRE(forwards[0].fence);
  CHECK(*forwards[0].fence == Fence{"lock", 1});
  a.push(
      LinkReceived{again, ForwardResult{forwards[0].request, Box(Fenced{Fence{"lock", 1}, 2}), Revision(0)}});
  CHECK(fenced_by(a.replies().at(0)) == 2);
}

TEST_CASE("a leader takes the fence of a write that another server forwards") {
  Pair a(kA);
  const LinkId from_b = a.greet(kB, Epoch(1));
  a.push(LinkReceived{from_b, Forward{1, put("two"), seconds(1), "", Fence{"lock", 2}}});
  a.push(LinkReceived{from_b, Forward{2, put("one"), seconds(1), "", Fence{"lock", 1}}});
  a.acknowledge(Revision(1));
  a.acknowledge(Revision(1));
  const std::vector<ForwardResult> results = a.sent<ForwardResult>(from_b);
  REQUIRE(results.size() == 2);
  CHECK(std::holds_alternative<KeyWritten>(results[0].answer));
  CHECK(std::get<Box<Fenced>>(results[1].answer)->current == 2);
}

}  // namespace kvd::sim::fences_test
