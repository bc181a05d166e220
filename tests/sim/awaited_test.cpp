// Whom a leader waits for that has nothing but its directory: who may hold more is not cut off, whatever ZooKeeper
// shows, and who is known to be the odd one holds nobody up.
#include <doctest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "durable_node.hpp"

namespace kvd::sim {
namespace {

const Member kSelf = member("a", 77);

// Restarted with revision 1 of epoch 3, in which it led a set with b, and perhaps c.
struct Fresh : Durable {
  explicit Fresh(std::vector<Member> in_sync = {kSelf, kB}, const Member& leader = kSelf) {
    for (const Member& other : in_sync) {
      if (other != kSelf) register_server(other);
    }
    for (int n = 0; leader != kSelf && n < 2; ++n)
      create("/election/server_000000000" + std::to_string(n),
             encode_server_info(info_of(n == 0 ? leader : kC)));
    create_register(led_by(leader, std::move(in_sync), 3));
    find(kSelf, 3, {entry(3, 1), DiskCommit{Revision(1)}}, kAllThere);
    connect();
    sync();
  }
  // Beats are answered meanwhile: by c as by one whose log and copy match, by b as by one whose copy differs.
  void passes(Duration span) {
    for (const Instant until = now() + span; now() < until;) {
      pass(milliseconds(50));
      const Epoch epoch = node().view().epoch;
      if (to_c != LinkId(0)) {
        push(LinkReceived{to_c, AppendAck{epoch, Revision(1), 0}});
        for (const Heartbeat& beat : sent<Heartbeat>(to_c))
          push(LinkReceived{to_c, HeartbeatAck{epoch, beat.round, true, 0, false}});
      }
      if (to_b != LinkId(0)) push(LinkReceived{to_b, HeartbeatAck{epoch, 0, false, 0, b_differs}});
      sync();
    }
  }
  Hello hello(const Member& from, uint64_t end) {
    Hello hello{kCluster, Lineage(0), info_of(from), kSelf.id, Epoch(3), false};
    hello.recovered = LogPosition{Epoch(3), Revision(end)};
    return hello;
  }
  // Dials of b meet no process, or one that closes every link.
  void b_is(bool starting, Duration span) {
    for (const Instant until = now() + span; now() < until; pass(milliseconds(10))) {
      const LinkId link = dialed("b");
      if (link == std::exchange(ended, link)) continue;
      if (starting) push(LinkOpened{link});
      push(LinkEnded{link, starting ? LinkEnd::kReset : LinkEnd::kRefused, ""});
      sync();
    }
  }
  LinkId reach(const Member& other, uint64_t end) {
    const LinkId link = dialed(other.id.value);
    REQUIRE(link != LinkId(0));
    push(LinkOpened{link});
    push(LinkReceived{link, hello(other, end)});
    return link;
  }
  std::vector<Member> in_sync() { return decode_register(data(kConfigPath))->in_sync; }
  bool waits() { return node().view().leading && !node().view().active; }

  LinkId to_b{0}, to_c{0}, ended{0};
  bool b_differs = false;
};

}  // namespace

TEST_CASE("awaited: a copy that differs holds nobody up while a third one agrees with the leader's") {
  Fresh a({kSelf, kB, kC});
  a.to_b = a.reach(kB, 1);
  a.to_c = a.reach(kC, 1);
  a.b_differs = true;
  a.passes(seconds(10));
  CHECK(a.node().view().active);
  CHECK(a.in_sync() == std::vector<Member>{kSelf, kC});
}

TEST_CASE("awaited: who holds more and answers the leader, though ZooKeeper does not show it") {
  Fresh a;
  a.to_b = a.reach(kB, 5);
  a.remove(life_path(kB));
  a.remove(member_path(kB.id));
  a.passes(seconds(10));
  CHECK(a.waits());
  CHECK(a.in_sync() == std::vector<Member>{kSelf, kB});
  CHECK(a.sent<Append>(a.to_b).empty());
}

TEST_CASE("awaited: who still starts, though its former process is proven dead") {
  SUBCASE("it was in sync") {
    Fresh a;
    a.b_is(false, milliseconds(200));
    a.b_is(true, seconds(10));
    CHECK(a.waits());
    CHECK(a.in_sync() == std::vector<Member>{kSelf, kB});
    a.b_is(false, seconds(2));
    CHECK(a.node().view().active);
    CHECK(a.in_sync() == std::vector<Member>{kSelf});
  }
  SUBCASE("it led") {
    Fresh a({kSelf, kB, kC}, kB);
    a.b_is(true, milliseconds(1300));  // a link that was closed is dialed twice a second
    a.b_is(false, milliseconds(510));
    REQUIRE(!a.node().view().leading);  // c stands before it
    a.b_is(true, seconds(10));
    CHECK(a.waits());
    CHECK(a.in_sync() == std::vector<Member>{kSelf, kB, kC});
  }
}

TEST_CASE("awaited: nobody is gone because its registration could not be read once") {
  Fresh a;
  a.passes(seconds(10));
  REQUIRE(a.waits());
  a.hold_results();
  a.set(member_path(kB.id), a.data(member_path(kB.id)));
  a.push(ZkWatchFired{member_path(kB.id)});
  for (uint64_t n = 1; n < 100; ++n) {
    ZkResult failed;
    failed.id = zk_call_id(ZkCaller::kElection, n);
    failed.code = ZkCode::kNotConnected;
    a.push(failed);
  }
  a.forget_held_results();
  a.passes(seconds(2));
  CHECK(a.waits());
  CHECK(a.in_sync() == std::vector<Member>{kSelf, kB});
}

TEST_CASE("awaited: what is written meanwhile is refused, and an operator is told what to do") {
  Fresh a;
  a.passes(seconds(10));
  const Revision before = a.node().view().last.revision;
  a.ask(put("k", "v"));
  a.ask(QueryStatus{});
  a.pass(milliseconds(25));
  const auto replies = a.replies();
  REQUIRE(replies.size() == 2);
  const bool refused_first = std::holds_alternative<Failed>(replies[0].answer);
  const Failed failed = std::get<Failed>(replies[refused_first ? 0 : 1].answer);
  CHECK(failed.outcome == Outcome::kNotApplied);
  CHECK(failed.detail == "the leader waits for what is in sync: b");
  const Box<Status> status = std::get<Box<Status>>(replies[refused_first ? 1 : 0].answer);
  CHECK(status->not_ready == "elected, waiting for what is in sync: b");
  CHECK(std::any_of(status->degraded.begin(), status->degraded.end(), [](const std::string& line) {
    return line.find("may hold more: b. Make it reachable from here") != std::string::npos;
  }));
  CHECK(a.logged("waits for what is in sync and may hold more") == 1);
  CHECK(a.node().view().last.revision == before);
}

}  // namespace kvd::sim
