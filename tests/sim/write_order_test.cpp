// Writes of one connection are done in their order, also while the lead moves: step by step, at one server. Random
// schedules are the simulator's (pipelines.hpp).
#include <doctest.h>

#include <algorithm>

#include "single_node_harness.hpp"

namespace kvd::sim::write_order_test {
namespace {

const Member kA = member("a", 1);
const Member kB = member("b", 1);
const Member kC = member("c", 1);
const Failed kRefused{ErrorCode::kNoLeader, Outcome::kNotApplied, "somebody else leads"};

PutKey put(const std::string& value) { return PutKey{"k", Bytes(value), {}}; }

// The node, linked with b, which leads, and with c.
struct Stage : SingleNodeHarness {
  Stage() {
    register_server(kB);
    register_server(kC);
    Register content;
    content.epoch = Epoch(3);
    content.leader = kB;
    content.in_sync = {kB};
    create_register(content);
    connect();
    to_b = answer_dial(kB, Epoch(3));
    to_c = answer_dial(kC, Epoch(3));
    REQUIRE(to_c != LinkId(0));
  }
  RequestId write(uint32_t connection, uint32_t place, const std::string& value,
                  const std::string& key = "") {
    StoreCall request;
    request.operation = put(value);
    request.idempotency_key = key;
    const RequestId id = request_id(connection, place);
    push(Call{id, std::move(request)});
    return id;
  }
  void led_by_c() {
    Register next = config();
    next.epoch = Epoch(4);
    next.leader = kC;
    next.in_sync = {kC};
    change_register(next);
  }
  void answer(LinkId link, RequestId request, Answer content, uint64_t revision) {
    push(LinkReceived{link, ForwardResult{request.value, std::move(content), Revision(revision)}});
  }
  std::vector<uint64_t> forwarded(LinkId link) {
    std::vector<uint64_t> requests;
    for (const Forward& forward : sent<Forward>(link)) requests.push_back(forward.request);
    return requests;
  }
  LinkId to_b, to_c;
};

using Requests = std::vector<uint64_t>;

}  // namespace

TEST_CASE("order: a write waits for one before it on its connection that another leader may still do") {
  Stage a;
  const RequestId first = a.write(7, 0, "first");
  CHECK(a.forwarded(a.to_b) == Requests{first.value});
  a.led_by_c();
  const RequestId second = a.write(7, 1, "second");
  const RequestId third = a.write(7, 2, "third");
  const RequestId other = a.write(8, 0, "another client's");
  CHECK(a.forwarded(a.to_c) == Requests{other.value});
  SUBCASE("until it is done") {
    a.answer(a.to_b, first, KeyWritten{true}, 1);
    CHECK(a.replies().empty());  // this server has not got it yet
  }
  SUBCASE("until it is refused") {
    a.answer(a.to_b, first, Failed{ErrorCode::kOverloaded, Outcome::kNotApplied, "too many"}, 0);
    CHECK(a.replies().size() == 1);
  }
  SUBCASE("until nobody knows what became of it") {
    a.push(LinkEnded{a.to_b, LinkEnd::kReset, ""});
    const auto replies = a.replies();
    REQUIRE(replies.size() == 1);
    CHECK(std::get<Failed>(replies[0].answer).outcome == Outcome::kUnknown);
  }
  SUBCASE("and no longer than for a leader that is silent") {
    a.pass(milliseconds(900));
    const auto replies = a.replies();
    REQUIRE(replies.size() == 1);
    CHECK(replies[0].id == first);
    CHECK(std::get<Failed>(replies[0].answer).outcome == Outcome::kUnknown);
  }
  SUBCASE("or until its client has gone") { a.push(CallCancelled{first}); }
  CHECK(a.forwarded(a.to_c) == Requests{second.value, third.value});
  CHECK(a.forwarded(a.to_b).empty());
}

TEST_CASE("order: writes that were refused, and those that came since, are sent again in their order") {
  Stage a;
  const RequestId first = a.write(7, 0x7fff'ffff, "first");
  const RequestId second = a.write(7, 0, "second");  // places begin again
  auto sent = a.sent<Forward>(a.to_b);
  REQUIRE(sent.size() == 2);
  CHECK(sent[0].term == sent[1].term);
  a.answer(a.to_b, first, kRefused, 0);
  const RequestId third = a.write(7, 1, "third");
  const RequestId other = a.write(8, 0, "another client's");
  CHECK(a.forwarded(a.to_b) == Requests{other.value});
  a.answer(a.to_b, second, kRefused, 0);
  a.pass(milliseconds(25));
  // One that is still behind goes when the next one is answered: the map of requests knows no places.
  Requests again;
  uint64_t term = sent[0].term;
  for (const RequestId expected : {first, second, third}) {
    for (const Forward& forward : a.sent<Forward>(a.to_b)) {
      CHECK(forward.term > term);
      again.push_back(forward.request);
    }
    a.answer(a.to_b, expected, KeyWritten{}, 0);
  }
  CHECK(again == Requests{first.value, second.value, third.value});
  CHECK(a.replies().size() == 3);
}

TEST_CASE("order: a write that waits in vain was not done") {
  Stage a;
  a.write(7, 0, "first", "once");
  a.led_by_c();
  CHECK(a.forwarded(a.to_c).size() == 1);  // with its idempotency key it is simply asked again
  a.push(LinkEnded{a.to_c, LinkEnd::kReset, ""});
  const RequestId second = a.write(7, 1, "second");
  a.pass(milliseconds(5100));
  const auto replies = a.replies();
  REQUIRE(replies.size() == 2);
  CHECK(std::get<Failed>(replies[0].answer).outcome == Outcome::kUnknown);
  CHECK(replies[1].id == second);
  CHECK(std::get<Failed>(replies[1].answer).outcome == Outcome::kNotApplied);
}

// The node leads, and b is in sync with it.
struct LeadingStage : SingleNodeHarness {
  LeadingStage() {
    to_b = lead_with(*this, kB);
    from_b = greet(kB, Epoch(1));
    push(LinkReceived{to_b, AppendAck{Epoch(1), Revision(0), 0}});
    beat();
    REQUIRE(node().view().active);
  }
  void beat() { push(LinkReceived{to_b, HeartbeatAck{Epoch(1), 0, true, 0}}); }
  LinkId to_b, from_b;
};

TEST_CASE(
    "order: a write that found nothing to do is not done anew once one behind it may live on in the log") {
  LeadingStage a;
  const RequestId first = request_id(7, 0);
  StoreCall removal;
  removal.operation = DeleteKey{"absent", {}};
  a.push(Call{first, std::move(removal)});
  const RequestId second = request_id(7, 1);
  StoreCall write;
  write.operation = put("v");
  write.idempotency_key = "once";
  a.push(Call{second, std::move(write)});
  CHECK(a.node().view().last.revision == Revision(1));
  Register next = a.config();
  next.epoch = Epoch(2);
  next.leader = kB;
  a.change_register(next);
  a.pass(milliseconds(25));
  const auto replies = a.replies();
  REQUIRE(replies.size() == 1);
  CHECK(replies[0].id == first);
  CHECK(std::get<Failed>(replies[0].answer).code == ErrorCode::kSteppedDown);
  CHECK(std::get<Failed>(replies[0].answer).outcome == Outcome::kNotApplied);
  const auto again = a.sent<Forward>(a.to_b);
  REQUIRE(again.size() == 1);
  CHECK(again[0].request == second.value);
}

TEST_CASE("order: a leader refuses what was sent behind a write that it refused, and nothing else") {
  LeadingStage a;
  auto forward = [&](uint64_t request, uint64_t term) {
    const Revision before = a.node().view().last.revision;
    a.push(LinkReceived{a.from_b, Forward{request, put("v"), seconds(1), "", {}, term}});
    return a.node().view().last.revision > before;
  };
  CHECK(forward(1, 5));
  a.push(LinkReceived{a.to_b, AppendAck{Epoch(1), Revision(1), 0}});
  a.ask(MoveLeader{kB.id});
  CHECK_FALSE(forward(2, 5));
  for (int i = 0; i < 25; ++i) {  // b does not take over
    a.beat();
    a.pass(milliseconds(100));
  }
  CHECK_FALSE(forward(3, 5));
  CHECK(forward(2, 6));
  CHECK(forward(3, 6));
  a.ask(put("of a client here"));
  CHECK(a.node().view().last.revision == Revision(4));
  std::vector<uint64_t> refused;
  for (const ForwardResult& result : a.sent<ForwardResult>(a.from_b)) {
    const auto* failed = std::get_if<Failed>(&result.answer);
    if (failed != nullptr && failed->code == ErrorCode::kNoLeader) refused.push_back(result.request);
  }
  CHECK(refused == std::vector<uint64_t>{2, 3});
}

TEST_CASE("order: writes wait for a new leader to be active, in their order, and are nowhere before that") {
  SingleNodeHarness a;
  const LinkId to_b = lead_with(a, kB);
  const LinkId from_b = a.greet(kB, Epoch(1));
  a.ask(put("first"));
  a.push(LinkReceived{from_b, Forward{5, put("second"), seconds(1), "", {}, 1}});
  a.ask(put("third"));
  CHECK_FALSE(a.node().view().active);
  CHECK(a.node().view().last.revision == Revision(0));
  const auto activate = [&] {
    a.push(LinkReceived{to_b, AppendAck{Epoch(1), Revision(0), 0}});
    a.push(LinkReceived{to_b, HeartbeatAck{Epoch(1), 0, true, 0, false}});
    return a.node().view().active;
  };
  SUBCASE("until it is") {
    CHECK(activate());
    REQUIRE(a.node().view().last.revision == Revision(3));
    const auto appends = a.sent<Append>(to_b);
    REQUIRE(!appends.empty());
    std::vector<std::string> values;
    for (const EntryPointer& entry : appends.back().entries)
      values.emplace_back(entry->effects.front().value());
    CHECK(values == std::vector<std::string>{"first", "second", "third"});
  }
  SUBCASE("or for nothing, when nobody hears of them any more") {
    a.push(LinkEnded{from_b, LinkEnd::kReset, ""});
    CHECK(activate());
    CHECK(a.node().view().last.revision == Revision(2));
  }
  SUBCASE("or for nothing, when their time is over") {
    a.push(LinkReceived{from_b, Forward{6, put("late"), milliseconds(50), "", {}, 1}});
    a.pass(milliseconds(100));
    CHECK(activate());
    CHECK(a.node().view().last.revision == Revision(3));
  }
  SUBCASE("and go to whoever leads instead") {
    a.change_register(led_by(kB, {a.node().view().self, kB}, 2));
    CHECK(a.replies().empty());
    CHECK(a.sent<Forward>(to_b).size() == 2);
    const auto refused = a.sent<ForwardResult>(from_b);
    REQUIRE(refused.size() == 1);
    const auto* failed = std::get_if<Failed>(&refused.front().answer);
    REQUIRE(failed != nullptr);
    CHECK(failed->outcome == Outcome::kNotApplied);
  }
}

TEST_CASE("order: a write with a key that is refused for a time holds up nobody") {
  LeadingStage a;
  auto forward = [&](uint64_t request, const std::string& key) {
    const Revision before = a.node().view().last.revision;
    a.push(LinkReceived{a.from_b, Forward{request, put("v"), seconds(1), key, {}, 5}});
    return a.node().view().last.revision > before;
  };
  auto set_min_in_sync = [&](uint32_t count) {
    a.ask(ChangeSettings{count});
    a.pass(milliseconds(25));
    REQUIRE(decode_register(a.data(kConfigPath))->min_in_sync == count);
  };
  set_min_in_sync(3);  // two are in sync
  CHECK_FALSE(forward(1, "once"));
  set_min_in_sync(1);
  CHECK(forward(2, ""));
}

// The leader may have refused the first one for a time, and done the second.
TEST_CASE(
    "order: a write with a key whose answer is lost is not sent again behind others of its connection") {
  Stage a;
  const RequestId first = a.write(7, 0x7fff'ffff, "first", "once");  // places begin again behind it
  Requests again;
  SUBCASE("one that was sent, when the connection breaks") {
    again = {a.write(7, 0, "second", "twice").value};
    a.push(LinkEnded{a.to_b, LinkEnd::kReset, ""});
  }
  SUBCASE("one without a key") {
    a.write(7, 0, "second");
    a.push(LinkEnded{a.to_b, LinkEnd::kReset, ""});
  }
  SUBCASE("one that was sent, when another leads") {
    again = {a.write(7, 0, "second", "twice").value};
    a.led_by_c();
    CHECK(a.forwarded(a.to_c).empty());
    a.pass(milliseconds(900));  // a leader that is silent
  }
  SUBCASE("one that was given up") {
    StoreCall second;
    second.operation = put("second");
    a.push(Call{request_id(7, 0), std::move(second), milliseconds(100)});
    a.pass(milliseconds(200));
    a.push(LinkEnded{a.to_b, LinkEnd::kReset, ""});
  }
  a.led_by_c();
  a.pass(milliseconds(50));
  const auto replies = a.replies();
  const auto reply = std::find_if(replies.begin(), replies.end(),
                                  [&](const NumberedAnswer& candidate) { return candidate.id == first; });
  REQUIRE(reply != replies.end());
  CHECK(std::get<Failed>(reply->answer).outcome == Outcome::kUnknown);
  CHECK(a.forwarded(a.to_c) == again);
}

}  // namespace kvd::sim::write_order_test
