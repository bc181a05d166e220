// What consumers of queues ask, and what they tell whom. The test answers in place of the KV router, and passes the
// time.
#include <doctest.h>

#include <string>
#include <vector>

#include "consumers_harness.hpp"
#include "msg/limits.hpp"

namespace kvd::consumers_test {
namespace {

using Lines = std::vector<std::string>;

Ask only(const std::vector<Ask>& asked) {
  REQUIRE(asked.size() == 1);
  return asked.front();
}
const ReceiveMessages& receive_in(const Ask& ask) { return *std::get<Box<ReceiveMessages>>(ask.operation); }
uint64_t call_of(const Ask& ask) { return receive_in(ask).turn >> kSendingBits; }
const SettleMessages& settle_in(const Ask& ask) { return *std::get<Box<SettleMessages>>(ask.operation); }
Answer some(size_t count) {
  Received received{"q", 0, {}, {}};
  received.messages.resize(count);
  return Box(std::move(received));
}
Failed failed(ErrorCode code) { return {code, Outcome::kUnknown, "why"}; }

// A consumer whose stream is open, with the receive that waits.
struct Open : Harness {
  Open() {
    call(kClient, {"q", 3, 700});
    first = only(asked());
    answer(first, some(0));
    waiting = only(asked());
    CHECK(said() == Lines{R"({"state":"idle"})"});
  }
  Ask first;
  Ask waiting;
};

}  // namespace

TEST_CASE("consumers: the first receive does not wait, the others do, under one ticket and with its credit") {
  Open consumer;
  CHECK(receive_in(consumer.first).queue == "q");
  CHECK(receive_in(consumer.first).wait == Duration(0));
  CHECK(receive_in(consumer.first).credit == 3);
  CHECK(receive_in(consumer.first).max == 3);
  CHECK(receive_in(consumer.first).ttr_ms == 700);
  CHECK(receive_in(consumer.waiting).wait == seconds(10));
  CHECK(receive_in(consumer.waiting).ticket == receive_in(consumer.first).ticket);
  CHECK(call_of(consumer.waiting) > call_of(consumer.first));
  CHECK(consumer.open() == 1);
  consumer.answer(consumer.waiting, some(2));
  CHECK(consumer.said() == Lines{"messages 2"});
  CHECK(consumer.asked().size() == 1);
}

TEST_CASE("consumers: a queue that is not there is refused, and one that goes is told") {
  Harness none;
  none.call(kClient, {"q", 1, 0});
  none.answer(only(none.asked()), failed(ErrorCode::kNoQueue));
  CHECK(none.said() ==
        Lines{"refused " + std::to_string(static_cast<int>(ErrorCode::kNoQueue)) + ". no line"});
  CHECK(none.open() == 0);

  Open consumer;
  consumer.answer(consumer.waiting, failed(ErrorCode::kNoQueue));
  CHECK(consumer.said() == Lines{R"({"state":"lost","reason":"no queue"}.)"});
  CHECK(consumer.open() == 0);
  CHECK(consumer.asked().empty());
}

TEST_CASE("consumers: a call that failed is asked again as the same call, and later sending") {
  Open consumer;
  consumer.answer(consumer.waiting, failed(ErrorCode::kNoLeader));
  CHECK(consumer.said() == Lines{R"({"state":"waiting","reason":"why"})"});
  CHECK(consumer.asked().empty());
  consumer.pass(milliseconds(200));
  const Ask again = only(consumer.asked());
  CHECK(call_of(again) == call_of(consumer.waiting));
  CHECK(receive_in(again).turn > receive_in(consumer.waiting).turn);
  consumer.answer(again, failed(ErrorCode::kNoLeader));
  CHECK(consumer.said().empty());  // it has been told
  consumer.pass(milliseconds(200));
  consumer.answer(only(consumer.asked()), some(0));
  CHECK(consumer.said() == Lines{R"({"state":"idle"})"});
}

TEST_CASE("consumers: while nobody can be asked that is said again every ten seconds") {
  Open consumer;
  consumer.answer(consumer.waiting, failed(ErrorCode::kNoLeader));
  CHECK(consumer.said().size() == 1);
  for (int second = 0; second < 10; ++second) {
    CHECK(consumer.said().empty());
    consumer.pass(seconds(1));
    consumer.answer(only(consumer.asked()), failed(ErrorCode::kNoLeader));
  }
  CHECK(consumer.said() == Lines{R"({"state":"waiting","reason":"why"})"});
}

TEST_CASE("consumers: who does not take its lines is granted nothing more until it does") {
  Open consumer;
  const auto large = [](size_t count) {
    Received received{"q", 0, {}, {}};
    received.messages.resize(count);
    for (QueuedMessage& message : received.messages)
      message.body = Bytes(std::string(limits::kStreamWindow / 2, 'x'));
    return received;
  };
  Ask asked = consumer.waiting;
  consumer.answer(asked, Box(large(1)));
  asked = only(consumer.asked());  // half of it is nothing yet
  consumer.answer(asked, Box(large(1)));
  CHECK(consumer.said() == Lines{"messages 1", "messages 1"});
  CHECK(consumer.asked().empty());
  consumer.pass(seconds(60));
  CHECK(consumer.asked().empty());
  const size_t one = line_bytes(large(1).messages.front());
  consumer.taken(kClient, one);
  const Ask next = only(consumer.asked());
  CHECK(call_of(next) == call_of(asked) + 1);
  CHECK(receive_in(next).ticket == receive_in(asked).ticket);
  consumer.taken(kClient, one);  // that one waits already
  CHECK(consumer.asked().empty());
  consumer.answer(next, Box(large(2)));
  CHECK(consumer.asked().empty());
  consumer.close(kClient);  // nothing is under way: what it had is refused at once
  CHECK(settle_in(only(consumer.asked())).ticket == receive_in(asked).ticket);
  consumer.taken(kClient, one);
  CHECK(consumer.asked().empty());
}

TEST_CASE("consumers: what a closed connection had is refused once its receive is over") {
  Open consumer;
  consumer.close(kClient);
  CHECK(consumer.open() == 0);
  CHECK(consumer.asked().empty());
  CHECK(consumer.withdrawn() == std::vector<uint64_t>{consumer.waiting.token});
  consumer.answer(consumer.waiting, failed(ErrorCode::kTimedOut));
  const Ask end = only(consumer.asked());
  CHECK(settle_in(end).queue == "q");
  CHECK(settle_in(end).ticket == receive_in(consumer.first).ticket);
  consumer.answer(end, failed(ErrorCode::kNoLeader));
  CHECK(consumer.asked().empty());
  consumer.pass(seconds(1));
  const Ask again = only(consumer.asked());
  consumer.answer(again, Settled{});
  consumer.pass(seconds(1));
  CHECK(consumer.asked().empty());
  CHECK(consumer.said().empty());
}

TEST_CASE("consumers: a server that stops says so, and leaves what was granted to its client") {
  Open consumer;
  consumer.stop();
  CHECK(consumer.said() == Lines{R"({"state":"stopping"}.)"});
  CHECK(consumer.withdrawn() == std::vector<uint64_t>{consumer.waiting.token});
  CHECK(consumer.asked().empty());
  CHECK(consumer.drained());
  consumer.answer(consumer.waiting, failed(ErrorCode::kShuttingDown));
  CHECK(consumer.asked().empty());
}

}  // namespace kvd::consumers_test
