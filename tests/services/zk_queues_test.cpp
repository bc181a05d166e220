// Queues in ZooKeeper (services_harness.hpp), beside clients that do with znodes what kazoo does: what is put and in
// which order it is taken, by one only; whose an entry is until it is done or given back; and what lost answers, other
// clients and ends of sessions make of it.
#include "core/services/zk_queues/zk_queues.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <set>

#include "services_harness.hpp"

namespace kvd::sim::zk_queues_test {
using Kind = ServicesHarness::Kind;

namespace {

// kazoo's put, into either kind of queue.
void kazoo_puts(ServicesHarness& harness, const std::string& data, const std::string& entries = "/q",
                int priority = 100) {
  harness.zk(ZkCreate{"/q", "", ZkMode::kPersistent});
  if (entries != "/q") {
    harness.zk(ZkCreate{"/q/taken", "", ZkMode::kPersistent});
    harness.zk(ZkCreate{entries, "", ZkMode::kPersistent});
  }
  harness.zk(
      ZkCreate{fmt::format("{}/entry-{:03}-", entries, priority), data, ZkMode::kPersistentSequential});
}

std::string lock(const std::string& session, const std::string& more = "") {
  return fmt::format("POST zkqueues/q/take?locking=1&session={}{}", session, more);
}

std::string finish(const std::string& entry, const std::string& how) {
  return fmt::format("DELETE zkqueues/q/{}?{}", entry, how);
}

ServiceStatus status(ServicesHarness& harness, const std::string& request, int server = 0) {
  return harness.ask(server, request).status;
}

std::string data_of(const ServiceAnswer& answer) { return ServicesHarness::member(answer, "data"); }

std::string last_line(const ServicesHarness& harness, uint64_t request, const char* name = "state") {
  const auto& lines = harness.heard(request).lines;
  return lines.empty() ? "" : ServicesHarness::member(lines.back(), name);
}

// A locking queue with one entry, "x".
struct One {
  One() {
    entry = harness.member(harness.ask(0, "POST zkqueues/q?locking=1", "x"), "entry");
    session = harness.open_session(0, 600);
  }
  ServicesHarness harness{2};
  std::string entry;
  std::string session;
};

}  // namespace

TEST_CASE("zkqueues: entries are put where kazoo puts them, and taken in its order") {
  ServicesHarness harness;
  CHECK(words_of(harness.ask(0, "POST zkqueues/a/q", "one")) ==
        R"({"path":"a/q","entry":"entry-100-0000000000"})");
  harness.ask(0, "POST zkqueues/a/q?priority=999", "last");
  harness.ask(0, "POST zkqueues/a/q", "two");
  harness.ask(0, "POST zkqueues/a/q?priority=7", "first");
  CHECK(harness.children("/a/q") == std::vector<std::string>{"entry-007-0000000003", "entry-100-0000000000",
                                                             "entry-100-0000000002", "entry-999-0000000001"});
  CHECK(harness.znode("/a/q/entry-100-0000000000").data == "one");
  CHECK(harness.znode("/a/q/entry-100-0000000000").ephemeral_owner == 0);
  CHECK(words_of(harness.ask(0, "GET zkqueues/a/q")) ==
        R"({"path":"a/q","entries":["entry-007-0000000003","entry-100-0000000000","entry-100-0000000002",)"
        R"("entry-999-0000000001"]})");
  CHECK(words_of(harness.ask(0, "POST zkqueues/a/q/take")) ==
        R"({"path":"a/q","entry":"entry-007-0000000003","data":"first"})");
  for (const char* data : {"one", "two", "last"})
    CHECK(data_of(harness.ask(0, "POST zkqueues/a/q/take")) == data);
  CHECK(status(harness, "POST zkqueues/a/q/take") == ServiceStatus::kDone);
  CHECK(harness.children("/a/q").empty());
}

TEST_CASE("zkqueues: a locking queue has entries and taken") {
  ServicesHarness harness;
  harness.ask(0, "POST zkqueues/q?locking=1&priority=0", "one");
  harness.ask(0, "POST zkqueues/q?locking=1", "two");
  CHECK(harness.children("/q") == std::vector<std::string>{"entries", "taken"});
  const std::string session = harness.open_session(0);
  const ServiceAnswer had = harness.ask(0, lock(session));
  const ZkZnode& taken = harness.znode("/q/taken/entry-000-0000000000");
  CHECK(words_of(had) ==
        fmt::format(R"({{"path":"q","entry":"entry-000-0000000000","fence":{},"data":"one"}})",
                    taken.created_zxid));
  CHECK(taken.ephemeral_owner != 0);
  CHECK(taken.data.size() == 32);
  CHECK(words_of(harness.ask(0, "GET zkqueues/q?locking=1")) ==
        R"({"path":"q","entries":["entry-000-0000000000","entry-100-0000000001"],)"
        R"("taken":["entry-000-0000000000"]})");
  CHECK(status(harness, finish("entry-000-0000000000", "session=" + session)) == ServiceStatus::kDone);
  CHECK(harness.children("/q/entries") == std::vector<std::string>{"entry-100-0000000001"});
  CHECK(harness.children("/q/taken").empty());
  CHECK(data_of(harness.ask(0, lock(session))) == "two");
}

TEST_CASE("zkqueues: a queue that is not there is empty") {
  ServicesHarness harness;
  CHECK(words_of(harness.ask(0, "GET zkqueues/q")) == R"({"path":"q","entries":[]})");
  CHECK(words_of(harness.ask(0, "GET zkqueues/q?locking=1")) == R"({"path":"q","entries":[],"taken":[]})");
  CHECK(status(harness, "POST zkqueues/q/take") == ServiceStatus::kDone);
  CHECK(status(harness, lock(harness.open_session(0))) == ServiceStatus::kDone);
  CHECK_FALSE(harness.exists("/q"));
}

TEST_CASE("zkqueues: an entry that cannot be text is told in base64") {
  ServicesHarness harness;
  harness.ask(0, "POST zkqueues/q", "\xff\x01");
  CHECK(harness.member(harness.ask(0, "POST zkqueues/q/take"), "data_b64") == "/wE=");
}

TEST_CASE("zkqueues: what is no entry stays") {
  ServicesHarness harness;
  harness.ask(0, "POST zkqueues/q?locking=1", "x");
  harness.zk(ZkCreate{"/q/item-0000000000", "other", ZkMode::kPersistent});
  CHECK(status(harness, "POST zkqueues/q/take") == ServiceStatus::kDone);
  CHECK(words_of(harness.ask(0, "GET zkqueues/q")) == R"({"path":"q","entries":[]})");
  CHECK(harness.children("/q").size() == 3);
}

TEST_CASE("zkqueues: whoever waits is given what comes, in turn, and asks nothing meanwhile") {
  for (const std::string locking : {"", "&locking=1"}) {
    CAPTURE(locking);
    ServicesHarness harness(2);
    std::vector<uint64_t> waits;
    for (int i = 0; i < 4; ++i) {
      const std::string whose = locking.empty() ? "" : "&session=" + harness.open_session(0, 600);
      waits.push_back(harness.send(0, fmt::format("POST zkqueues/q/take?wait=60000{}{}", locking, whose)));
    }
    harness.take_calls();
    harness.pass(seconds(20));
    CHECK(harness.take_calls() < 60);  // of the sessions alone
    for (size_t i = 0; i < 2; ++i) {
      CHECK_FALSE(harness.heard(waits[i]).ended);
      kazoo_puts(harness, std::to_string(i), locking.empty() ? "/q" : "/q/entries");
      REQUIRE(harness.heard(waits[i]).ended);
      CHECK(data_of(*harness.heard(waits[i]).answer) == std::to_string(i));
    }
    harness.hang_up(waits[2]);
    harness.ask(1, fmt::format("POST zkqueues/q?priority=1{}", locking), "2");
    REQUIRE(harness.heard(waits[3]).ended);
    CHECK(data_of(*harness.heard(waits[3]).answer) == "2");
    CHECK_FALSE(harness.heard(waits[2]).ended);
  }
}

TEST_CASE("zkqueues: whoever waits too long gets nothing") {
  ServicesHarness harness;
  const uint64_t plain = harness.send(0, "POST zkqueues/p/take?wait=1000");
  const uint64_t call = harness.send(0, lock(harness.open_session(0), "&wait=2000"));
  const uint64_t stream = harness.send(0, "POST zkqueues/q/take?locking=1&hold=1&wait=2000");
  CHECK(last_line(harness, stream) == "waiting");
  harness.pass(milliseconds(990));
  CHECK_FALSE(harness.heard(plain).ended);
  harness.pass(milliseconds(1020));
  for (const uint64_t one : {plain, call}) {
    REQUIRE(harness.heard(one).ended);
    CHECK(harness.heard(one).answer->status == ServiceStatus::kDone);
  }
  REQUIRE(harness.heard(stream).ended);
  CHECK(last_line(harness, stream) == "timeout");
  kazoo_puts(harness, "x", "/q/entries");
  CHECK(harness.children("/q/taken").empty());
}

TEST_CASE("zkqueues: one that another client takes first is nobody else's") {
  ServicesHarness harness;
  harness.ask(0, "POST zkqueues/q", "one");
  harness.ask(0, "POST zkqueues/q", "two");
  harness.overtake(0, Kind::kDelete, ZkDelete{"/q/entry-100-0000000000"});
  CHECK(data_of(harness.ask(0, "POST zkqueues/q/take")) == "two");
  CHECK(harness.children("/q").empty());
}

TEST_CASE("zkqueues: one that changes while it is taken is told as it is then") {
  ServicesHarness harness;
  harness.ask(0, "POST zkqueues/q", "one");
  harness.overtake(0, Kind::kDelete, ZkSet{"/q/entry-100-0000000000", "changed"});
  CHECK(data_of(harness.ask(0, "POST zkqueues/q/take")) == "changed");
}

TEST_CASE("zkqueues: many at two servers take each entry once") {
  for (const std::string locking : {"", "&locking=1"}) {
    ServicesHarness harness(2);
    std::vector<uint64_t> waits;
    for (int i = 0; i < 10; ++i) {
      const std::string whose = locking.empty() ? "" : "&session=" + harness.open_session(i % 2, 600);
      waits.push_back(
          harness.send(i % 2, fmt::format("POST zkqueues/q/take?wait=60000{}{}", locking, whose)));
    }
    for (int i = 0; i < 10; ++i)
      harness.ask(0, fmt::format("POST zkqueues/q?priority=1{}", locking), std::to_string(i));
    std::set<std::string> all;
    for (const uint64_t one : waits) {
      REQUIRE(harness.heard(one).ended);
      CHECK(all.insert(data_of(*harness.heard(one).answer)).second);
    }
  }
}

TEST_CASE("zkqueues: of an entry whose removal was not answered nobody knows who has it") {
  ServicesHarness harness;
  harness.ask(0, "POST zkqueues/q", "x");
  harness.lose_answer_of(0, Kind::kDelete);
  const uint64_t takes = harness.send(0, "POST zkqueues/q/take?wait=60000");
  REQUIRE(harness.heard(takes).ended);
  CHECK(harness.heard(takes).answer->status == ServiceStatus::kUnknown);
  harness.mend(0);
  harness.lose_answer_of(0, Kind::kCreate);
  const uint64_t puts = harness.send(0, "POST zkqueues/q", "y");
  REQUIRE(harness.heard(puts).ended);
  CHECK(harness.heard(puts).answer->status == ServiceStatus::kUnknown);
  CHECK(harness.children("/q").size() == 1);
}

TEST_CASE("zkqueues: a session has one entry until it is done, and the same call finds it") {
  One one;
  kazoo_puts(one.harness, "y", "/q/entries");
  const ServiceAnswer first = one.harness.ask(0, lock(one.session));
  const ServiceAnswer again = one.harness.ask(1, lock(one.session, "&wait=1000"));
  CHECK(words_of(first) == words_of(again));
  CHECK(one.harness.children("/q/taken").size() == 1);
  const std::string other = one.harness.open_session(1, 600);
  CHECK(data_of(one.harness.ask(1, lock(other))) == "y");
  CHECK(status(one.harness, finish(one.entry, "session=" + other)) == ServiceStatus::kNotFound);
  CHECK(status(one.harness, finish(one.entry, "session=" + one.session), 1) == ServiceStatus::kDone);
  CHECK(status(one.harness, finish(one.entry, "session=" + one.session)) == ServiceStatus::kNotFound);
  CHECK(status(one.harness, lock(one.session)) == ServiceStatus::kDone);
}

TEST_CASE("zkqueues: an entry goes back with its session") {
  One one;
  const std::string first = one.harness.open_session(0, 2);
  CHECK(data_of(one.harness.ask(0, lock(first))) == "x");
  const uint64_t waits = one.harness.send(1, lock(one.session, "&wait=60000"));
  one.harness.pass(milliseconds(1900));
  CHECK_FALSE(one.harness.heard(waits).ended);
  one.harness.pass(milliseconds(200));
  REQUIRE(one.harness.heard(waits).ended);
  CHECK(data_of(*one.harness.heard(waits).answer) == "x");
  CHECK(status(one.harness, finish(one.entry, "session=" + first)) == ServiceStatus::kGone);
  CHECK(status(one.harness, finish(one.entry, "session=" + one.session)) == ServiceStatus::kDone);
}

TEST_CASE("zkqueues: an entry goes back with its connection, or is done by its fence") {
  One one;
  const uint64_t holds = one.harness.send(0, "POST zkqueues/q/take?locking=1&hold=1");
  REQUIRE(last_line(one.harness, holds, "data") == "x");
  const int64_t fence = one.harness.znode("/q/taken/" + one.entry).created_zxid;
  CHECK(last_line(one.harness, holds, "fence") == std::to_string(fence));
  one.harness.pass(seconds(11));
  CHECK(last_line(one.harness, holds) == "held");
  CHECK(last_line(one.harness, holds, "data") == "");
  one.harness.hang_up(holds);
  CHECK(one.harness.children("/q/taken").empty());
  const uint64_t next = one.harness.send(0, "POST zkqueues/q/take?locking=1&hold=1");
  const std::string how = "fence=" + last_line(one.harness, next, "fence");
  CHECK(status(one.harness, finish(one.entry, how), 1) == ServiceStatus::kNotFound);
  CHECK(status(one.harness, finish(one.entry, fmt::format("fence={}", fence))) ==
        ServiceStatus::kConditionFailed);
  CHECK(status(one.harness, finish(one.entry, how)) == ServiceStatus::kDone);
  REQUIRE(one.harness.heard(next).ended);
  CHECK(last_line(one.harness, next) == "done");
  CHECK(one.harness.children("/q/entries").empty());
  CHECK(status(one.harness, finish(one.entry, how)) == ServiceStatus::kNotFound);
}

TEST_CASE("zkqueues: what nobody was told of goes back") {
  One one;
  const uint64_t asks = one.harness.send_and_pause(0, lock(one.session), 3);
  REQUIRE_FALSE(one.harness.heard(asks).ended);
  one.harness.hang_up(asks);
  one.harness.resume(0);
  CHECK(one.harness.children("/q/taken").empty());
  CHECK(one.harness.children("/q/entries").size() == 1);
  CHECK(data_of(one.harness.ask(0, lock(one.session))) == "x");
}

TEST_CASE("zkqueues: one that is done while it is taken is not given out") {
  One one;
  one.harness.overtake(0, Kind::kCreate, ZkDelete{"/q/entries/" + one.entry});
  CHECK(status(one.harness, lock(one.session)) == ServiceStatus::kDone);
  CHECK(one.harness.children("/q/taken").empty());
}

TEST_CASE("zkqueues: one that kazoo has is not given out before it is given back") {
  One one;
  const uint64_t kazoo = one.harness.begin_client();
  one.harness.zk_as(kazoo, ZkCreate{"/q/taken/" + one.entry, "theirs", ZkMode::kEphemeral});
  CHECK(status(one.harness, lock(one.session)) == ServiceStatus::kDone);
  const uint64_t waits = one.harness.send(0, lock(one.session, "&wait=60000"));
  one.harness.end_client(kazoo);
  REQUIRE(one.harness.heard(waits).ended);
  CHECK(data_of(*one.harness.heard(waits).answer) == "x");
}

TEST_CASE("zkqueues: who takes at the same moment as another gets the next") {
  One one;
  kazoo_puts(one.harness, "y", "/q/entries");
  one.harness.overtake(0, Kind::kCreate, ZkCreate{"/q/taken/" + one.entry, "theirs", ZkMode::kEphemeral});
  CHECK(data_of(one.harness.ask(0, lock(one.session))) == "y");
}

TEST_CASE("zkqueues: an entry whose taking was not answered is found, or given back") {
  for (const bool patient : {true, false}) {
    CAPTURE(patient);
    One one;
    one.harness.lose_answer_of(0, Kind::kCreate);
    const uint64_t asks = one.harness.send(0, lock(one.session));
    CHECK_FALSE(one.harness.heard(asks).ended);
    REQUIRE(one.harness.children("/q/taken").size() == 1);
    if (!patient) one.harness.hang_up(asks);
    one.harness.mend(0);
    CHECK(one.harness.children("/q/taken").size() == (patient ? 1 : 0));
    CHECK(one.harness.heard(asks).ended == patient);
    if (patient) CHECK(data_of(*one.harness.heard(asks).answer) == "x");
  }
}

TEST_CASE("zkqueues: another one's is not taken for one whose taking was not answered") {
  One one;
  one.harness.overtake(0, Kind::kCreate, ZkCreate{"/q/taken/" + one.entry, "theirs", ZkMode::kEphemeral});
  one.harness.lose_answer_of(0, Kind::kCreate);
  const uint64_t asks = one.harness.send(0, lock(one.session));
  one.harness.mend(0);
  REQUIRE(one.harness.heard(asks).ended);
  CHECK(one.harness.heard(asks).answer->status == ServiceStatus::kDone);
  CHECK(one.harness.znode("/q/taken/" + one.entry).data == "theirs");
}

TEST_CASE("zkqueues: an end whose answer was lost is told by the same call again") {
  One one;
  one.harness.ask(0, lock(one.session));
  const uint64_t holds = one.harness.send(0, "POST zkqueues/q/take?locking=1&hold=1");
  kazoo_puts(one.harness, "y", "/q/entries");
  REQUIRE(last_line(one.harness, holds, "data") == "y");
  one.harness.lose_answer_of(0, Kind::kMulti);
  const uint64_t ends = one.harness.send(0, finish(one.entry, "session=" + one.session));
  REQUIRE(one.harness.heard(ends).ended);
  CHECK(one.harness.heard(ends).answer->status == ServiceStatus::kUnknown);
  one.harness.mend(0);
  CHECK(status(one.harness, finish(one.entry, "session=" + one.session)) == ServiceStatus::kDone);
  CHECK(one.harness.children("/q/entries").size() == 1);
  // A connection's is looked after.
  const std::string second = last_line(one.harness, holds, "entry");
  one.harness.lose_answer_of(0, Kind::kMulti);
  one.harness.send(0, finish(second, "fence=" + last_line(one.harness, holds, "fence")));
  one.harness.mend(0);
  REQUIRE(one.harness.heard(holds).ended);
  CHECK(last_line(one.harness, holds) == "done");
}

TEST_CASE("zkqueues: an end that was never done is done by the same call again, or the entry goes back") {
  One one;
  one.harness.ask(0, lock(one.session));
  one.harness.forbid_changes("/q/entries");
  CHECK(status(one.harness, finish(one.entry, "session=" + one.session)) == ServiceStatus::kForbidden);
  CHECK(one.harness.children("/q/taken").size() == 1);
  CHECK(data_of(one.harness.ask(0, lock(one.session))) == "x");
  one.harness.permit("/q/entries");
  CHECK(status(one.harness, finish(one.entry, "session=" + one.session)) == ServiceStatus::kDone);
}

TEST_CASE("zkqueues: whoever has what others delete hears of it") {
  One one;
  one.harness.ask(0, lock(one.session));
  one.harness.zk(ZkDelete{"/q/taken/" + one.entry});
  CHECK(status(one.harness, lock(one.session)) == ServiceStatus::kGone);
  const std::string fence = one.harness.member(one.harness.ask(0, lock(one.session)), "fence");
  one.harness.zk(ZkDelete{"/q/taken/" + one.entry});
  const uint64_t kazoo = one.harness.begin_client();
  one.harness.zk_as(kazoo, ZkCreate{"/q/taken/" + one.entry, "theirs", ZkMode::kEphemeral});
  CHECK(status(one.harness, finish(one.entry, "session=" + one.session)) == ServiceStatus::kGone);
  CHECK(one.harness.children("/q/taken").size() == 1);  // theirs
  CHECK(one.harness.children("/q/entries").size() == 1);
  one.harness.end_client(kazoo);
  const uint64_t holds = one.harness.send(0, "POST zkqueues/q/take?locking=1&hold=1");
  CHECK(std::stoll(last_line(one.harness, holds, "fence")) > std::stoll(fence));
  one.harness.zk(ZkDelete{"/q/taken/" + one.entry});
  REQUIRE(one.harness.heard(holds).ended);
  CHECK(last_line(one.harness, holds) == "lost");
}

TEST_CASE("zkqueues: whose entry others delete has it no more") {
  One one;
  one.harness.ask(0, lock(one.session));
  one.harness.zk(ZkDelete{"/q/entries/" + one.entry});
  const ServiceAnswer ended = one.harness.ask(0, finish(one.entry, "session=" + one.session));
  CHECK(ended.status == ServiceStatus::kGone);
  CHECK(words_of(ended) == "its entry was deleted");
  CHECK(one.harness.children("/q/taken").empty());
  kazoo_puts(one.harness, "y", "/q/entries");
  const std::string second = one.harness.member(one.harness.ask(0, lock(one.session)), "entry");
  one.harness.zk(ZkDelete{"/q/entries/" + second});
  CHECK(status(one.harness, lock(one.session)) == ServiceStatus::kGone);
  CHECK(one.harness.children("/q/taken").empty());
}

TEST_CASE("zkqueues: a server that is cut off takes entries back before others can have them") {
  One one;
  const uint64_t holds = one.harness.send(0, "POST zkqueues/q/take?locking=1&hold=1");
  const uint64_t waits = one.harness.send(1, lock(one.harness.open_session(1, 600), "&wait=60000"));
  one.harness.cut(0);
  one.harness.pass(milliseconds(4500));
  CHECK(last_line(one.harness, holds) == "lost");
  CHECK_FALSE(one.harness.heard(waits).ended);
  one.harness.pass(seconds(3));
  REQUIRE(one.harness.heard(waits).ended);
  CHECK(data_of(*one.harness.heard(waits).answer) == "x");
  one.harness.mend(0);
  CHECK(status(one.harness, finish(one.entry, "session=" + one.session)) == ServiceStatus::kGone);
}

TEST_CASE("zkqueues: who waits goes on when the server is back") {
  ServicesHarness harness(2);
  const uint64_t plain = harness.send(0, "POST zkqueues/p/take?wait=60000");
  const uint64_t call = harness.send(0, lock(harness.open_session(0, 600), "&wait=60000"));
  harness.cut(0);
  harness.ask(1, "POST zkqueues/p", "x");
  harness.ask(1, "POST zkqueues/q?locking=1", "y");
  harness.pass(milliseconds(500));
  CHECK_FALSE(harness.heard(plain).ended);
  harness.mend(0);
  REQUIRE(harness.heard(plain).ended);
  CHECK(data_of(*harness.heard(plain).answer) == "x");
  REQUIRE(harness.heard(call).ended);
  CHECK(data_of(*harness.heard(call).answer) == "y");
  // Also with a new session, for whom no session waits.
  const uint64_t later = harness.send(0, "POST zkqueues/p/take?wait=60000");
  harness.cut(0);
  harness.pass(seconds(8));
  harness.ask(1, "POST zkqueues/p", "z");
  harness.mend(0);
  harness.pass(seconds(1));
  REQUIRE(harness.heard(later).ended);
  CHECK(data_of(*harness.heard(later).answer) == "z");
}

TEST_CASE("zkqueues: what ZooKeeper forbids is told, and nobody asks again and again") {
  One one;
  ServicesHarness& harness = one.harness;
  const uint64_t waits = harness.send(0, "POST zkqueues/p/take?wait=60000");
  harness.ask(0, "POST zkqueues/p?priority=1", "x");
  REQUIRE(harness.heard(waits).ended);
  harness.ask(0, "POST zkqueues/p", "y");
  harness.forbid_changes("/p");
  CHECK(status(harness, "POST zkqueues/p") == ServiceStatus::kForbidden);
  CHECK(status(harness, "POST zkqueues/p/take?wait=60000") == ServiceStatus::kForbidden);
  harness.hide("/p");
  CHECK(status(harness, "POST zkqueues/p/take?wait=60000") == ServiceStatus::kForbidden);
  CHECK(status(harness, "GET zkqueues/p") == ServiceStatus::kForbidden);
  harness.hide("/q/entries/" + one.entry);
  CHECK(status(harness, lock(one.session, "&wait=60000")) == ServiceStatus::kForbidden);
  const uint64_t stream = harness.send(0, "POST zkqueues/q/take?locking=1&hold=1");
  REQUIRE(harness.heard(stream).ended);
  CHECK(harness.heard(stream).answer->status == ServiceStatus::kForbidden);
  CHECK(harness.children("/q/taken").empty());
  harness.forbid_changes("/q/taken");
  CHECK(status(harness, lock(one.session, "&wait=60000")) == ServiceStatus::kForbidden);
  harness.zk(ZkCreate{"/e", "", ZkMode::kEphemeral});
  CHECK(status(harness, "POST zkqueues/e") == ServiceStatus::kConflict);
  CHECK(status(harness, "POST zkqueues/e/q/take?wait=1000") == ServiceStatus::kConflict);
  harness.take_calls();
  harness.pass(seconds(30));
  CHECK(harness.take_calls() < 200);
}

TEST_CASE("zkqueues: an entry that may not be given back goes back once it may") {
  One one;
  const uint64_t holds = one.harness.send(0, "POST zkqueues/q/take?locking=1&hold=1");
  one.harness.forbid_changes("/q/taken");
  one.harness.hang_up(holds);
  one.harness.pass(seconds(5));
  CHECK(one.harness.children("/q/taken").size() == 1);
  one.harness.permit("/q/taken");
  one.harness.pass(seconds(11));
  CHECK(one.harness.children("/q/taken").empty());
}

TEST_CASE("zkqueues: an entry with znodes below it is in the way, and that is told") {
  ServicesHarness harness;
  harness.ask(0, "POST zkqueues/q", "x");
  harness.zk(ZkCreate{"/q/entry-100-0000000000/below", "", ZkMode::kPersistent});
  CHECK(status(harness, "POST zkqueues/q/take?wait=1000") == ServiceStatus::kConflict);
}

TEST_CASE("zkqueues: a list has its bound, and taking has none") {
  ServicesHarness harness;
  for (size_t i = 0; i <= ZkQueues::kEntriesMax; ++i) kazoo_puts(harness, "x");
  const ServiceAnswer refused = harness.ask(0, "GET zkqueues/q");
  CHECK(refused.status == ServiceStatus::kTooLarge);
  CHECK(words_of(refused).find("5001 entries") != std::string::npos);
  CHECK(data_of(harness.ask(0, "POST zkqueues/q/take")) == "x");
  CHECK(status(harness, "GET zkqueues/q") == ServiceStatus::kOk);
}

TEST_CASE("zkqueues: who cannot be told of changes is not kept waiting") {
  ServicesHarness harness;
  const std::string filler(1000, 'x');
  uint64_t last = 0;
  for (int i = 0; i < 1000; ++i) {
    last = harness.send(0, fmt::format("POST zkqueues/{}{}/take?wait=60000", filler, i));
    if (harness.heard(last).ended) break;
  }
  REQUIRE(harness.heard(last).ended);
  CHECK(harness.heard(last).answer->status == ServiceStatus::kUnavailable);
  harness.ask(0, "POST zkqueues/" + filler, "x");
  CHECK(data_of(harness.ask(0, fmt::format("POST zkqueues/{}/take?wait=60000", filler))) == "x");
}

}  // namespace kvd::sim::zk_queues_test
