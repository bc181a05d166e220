// Who must acknowledge, who leaves the in-sync set and who joins it (in_sync_set.hpp): a leader's books as values, and
// no cluster.
#include "core/replica/in_sync_set.hpp"

#include <doctest.h>

#include <set>
#include <string>
#include <vector>

namespace kvd::in_sync_set_test {
namespace {

Member member(const std::string& id, uint64_t incarnation = 1) {
  return Member{ServerId{id}, Incarnation(incarnation)};
}

const Member kA = member("a");  // leads
const Member kB = member("b");
const Member kC = member("c");

// A leader of a, b and c, which all have its log of 10 entries, 7 of them from before its takeover.
struct Books {
  Books() {
    config.self.member = kA;
    content.leader = kA;
    content.in_sync = {kA, kB, kC};
    reign.takeover = Revision(7);
    reign.active = true;
    link(kB);
    link(kC);
  }
  Peer& link(const Member& to) {
    Peer& peer = peers[LinkId(peers.size() + 1)];
    peer.member = to;
    peer.whole = true;
    peer.match = Revision(10);
    peer.heard = peer.progress = peer.incomplete_since = now;
    return peer;
  }
  Peer& of(const Member& member) {
    for (auto& [link, peer] : peers) {
      if (peer.member == member) return peer;
    }
    return link(member);
  }
  void pass(Duration time) {
    now += time;
    for (auto& [link, peer] : peers) peer.heard = now;
  }
  InSyncSet set() const {
    return InSyncSet(
        {config, content, reign, peers, dead, starting, registered, Revision(10), Revision(10), now});
  }
  // Who would be in sync, as "a b"; "-": nothing is to be changed.
  std::string proposed() const {
    const auto proposal = set().next_proposal();
    if (!proposal) return "-";
    why = proposal->why;
    std::string ids;
    for (const Member& in : proposal->in_sync) ids += (ids.empty() ? "" : " ") + in.id.value;
    return ids;
  }

  Log log;
  Store store;
  NodeConfig config;
  Register content;
  Leading reign{log, store, Revision(0)};
  Peers peers;
  std::set<Member> dead;
  std::set<Member> starting;
  std::set<Member> registered;
  Instant now{seconds(100)};
  mutable std::string why;
};

}  // namespace

TEST_CASE("a growth counts at once, a shrink not yet, and another life is another member") {
  Books books;
  CHECK(books.set().required() == std::vector<Member>{kA, kB, kC});
  books.reign.proposal.emplace().in_sync = {kA, kB};
  CHECK(books.set().required() == std::vector<Member>{kA, kB, kC});
  books.reign.proposal->in_sync = {kA, kB, member("c", 2), member("d")};
  CHECK(books.set().required() == std::vector<Member>{kA, kB, kC, member("c", 2), member("d")});
}

TEST_CASE("nobody leaves who keeps up; who is silent, behind or not connected leaves after a while") {
  Books books;
  const Duration lag = books.config.follower_lag;
  CHECK(books.proposed() == "-");

  books.of(kC).match = Revision(9);
  books.pass(lag);
  CHECK(books.proposed() == "-");
  books.pass(Duration(1));
  CHECK(books.proposed() == "a b");
  CHECK(books.why == "c behind");
  CHECK(books.set().responsive() == 2);

  books.of(kC).match = Revision(10);
  books.of(kC).heard = books.now - lag - Duration(1);
  CHECK(books.proposed() == "a b");
  CHECK(books.why == "c silent");

  std::erase_if(books.peers, [](const auto& entry) { return entry.second.member == kC; });
  CHECK(books.proposed() == "-");
  books.reign.unlinked_since[kC] = books.now - lag - Duration(1);
  CHECK(books.proposed() == "a b");
  CHECK(books.why == "c not connected");
}

TEST_CASE("below min_in_sync only the dead leave, and with disks not even they") {
  Books books;
  books.content.min_in_sync = 2;
  books.dead = {kB};
  books.of(kC).heard = books.now - seconds(10);
  CHECK(books.proposed() == "a c");
  CHECK(books.why == "b dead");
  books.config.self.durable = true;
  CHECK(books.proposed() == "-");
}

TEST_CASE("a leader is patient before it goes on alone, but not with who is proven dead, or talks and lags") {
  Books books;
  const Duration patience = kLastShrinkPatience * books.config.leader_silence;
  books.of(kB).heard = books.of(kC).heard = books.now - patience + Duration(1);
  CHECK(books.proposed() == "-");
  books.dead = {kB};
  CHECK(books.proposed() == "a c");
  books.dead = {kB, kC};
  CHECK(books.proposed() == "a");
  books.dead = {};
  books.now += Duration(1);
  CHECK(books.proposed() == "a");
  books.of(kB).heard = books.of(kC).heard = books.now;
  books.of(kB).match = books.of(kC).match = Revision(9);
  books.of(kB).progress = books.of(kC).progress = books.now - seconds(10);
  CHECK(books.proposed() == "a");
}

TEST_CASE("a learner joins with all that is committed and all that the leader's log held at its takeover") {
  Books books;
  const Member d = member("d");
  books.of(d).match = Revision(9);
  CHECK(books.proposed() == "-");
  books.of(d).match = Revision(10);
  books.of(d).whole = false;
  CHECK(books.proposed() == "-");
  books.of(d).whole = true;
  CHECK(books.proposed() == "a b c d");
  books.reign.takeover = Revision(11);
  CHECK(books.proposed() == "-");
  books.reign.takeover = Revision(7);
  books.of(d).heard = books.now - seconds(10);
  CHECK(books.proposed() == "-");
}

TEST_CASE(
    "another life of a member takes its place; who is to leave comes before who joins, and settings come "
    "last") {
  Books books;
  books.reign.settings.emplace_back(1, 3);
  books.of(member("c", 2));
  books.dead = {kC};
  CHECK(books.proposed() == "a b");
  books.content.in_sync = {kA, kB};
  CHECK(books.proposed() == "a b c");
  CHECK(books.set().next_proposal()->in_sync.back() == member("c", 2));
  CHECK(books.set().next_proposal()->min_in_sync == 1);
  books.content.in_sync = {kA, kB, member("c", 2)};
  CHECK(books.set().next_proposal()->min_in_sync == 3);
}

TEST_CASE("whose copy differs leaves only where a third one agrees with the leader's") {
  Books books;
  books.of(kC).differs = true;
  CHECK(books.proposed() == "a b");
  CHECK(books.why == "c differs");
  books.of(kB).whole = false;
  CHECK(books.proposed() == "-");
}

TEST_CASE("a leader that has only its directory removes nobody whom it awaits") {
  Books books;
  books.reign.active = false;
  books.reign.fresh = true;
  books.reign.since = books.now;
  books.dead = {kC};
  CHECK(books.proposed() == "-");
  books.pass(kLastShrinkPatience * books.config.leader_silence + Duration(1));
  books.of(kC).match = Revision(10);
  CHECK(books.proposed() == "a b");
  books.of(kB).match.reset();
  CHECK(books.proposed() == "-");
}

TEST_CASE("a leader that has only its directory removes nobody who still starts") {
  Books books;
  books.reign.active = false;
  books.reign.fresh = true;
  books.reign.since = books.now;
  books.peers.clear();
  books.link(kB);
  books.dead = {kC};
  books.starting = {kC};
  books.pass(seconds(100));
  CHECK(books.proposed() == "-");
  books.starting = {};
  CHECK(books.proposed() == "a b");
}

}  // namespace kvd::in_sync_set_test
