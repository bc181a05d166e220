// The HTTP server's bounds and timeouts on loopback: what a slow, silent, greedy or numerous client meets.
// Timeouts are shrunk by options; nothing here asserts how long something took.
#include <doctest.h>

#include "http_fixture.hpp"
#include "shell/http/http_output.hpp"

namespace kvd::testing::http_limits_test {

namespace {

constexpr char kHost[] = " HTTP/1.1\r\nHost: x\r\n";

std::string get(const std::string& target) { return "GET " + target + kHost + "\r\n"; }
std::string repeated(const std::string& text, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += text;
  return out;
}

HttpFixture::Script serving(size_t value_bytes) {
  Bytes value(std::string(value_bytes, 'v'));
  return [value](const StoreCall&) -> std::optional<Answer> {
    return KeyFound{Record("k", value, {Revision(1), Revision(2), 1}), true};
  };
}
HttpOptions patient() {
  HttpOptions options;
  options.idle = options.receive = options.head = options.ended = options.stall = seconds(60);
  return options;
}

}  // namespace

TEST_CASE("limits: a request that stops half-way is 408") {
  HttpOptions options = patient();
  options.receive = milliseconds(20);
  for (const char* bytes :
       {"GET /v1/kv/a HTTP/1.1\r\nHo", "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab",
        "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"}) {
    HttpFixture fixture(options);
    Client client(fixture);
    Response reply = client.send(bytes).next();
    CHECK(reply.status == 408);
    CHECK(reply.field("connection") == "close");
    bool write = bytes[0] == 'P';
    CHECK((reply.body.find("\"outcome\":\"not-applied\"") != std::string::npos) == write);
    CHECK(client.closed());
    CHECK(fixture.asked == 0);
  }
}

TEST_CASE("limits: who sends byte by byte has a bounded time for a head, and for a body by its length") {
  HttpOptions options = patient();
  options.head = milliseconds(20);
  options.body_bytes_a_second = 10'000'000;
  for (const char* bytes :
       {"GET /v1/kv/a HTTP/1.1\r\nHost: x\r\nA: ", "\r\n",
        "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
        "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nf4240\r\n"}) {
    CAPTURE(bytes);
    HttpFixture fixture(options);
    Client client(fixture);
    client.send(bytes);
    const char* more = bytes[0] == '\r' ? "\r\n" : "y";
    fixture.run_until([&] {
      client.send(more);
      client.read_some();
      return !client.received().empty();
    });
    CHECK(client.next().status == 408);
    CHECK(client.closed());
    CHECK(fixture.asked == 0);
  }
}

TEST_CASE("limits: a body that comes fast enough, and one that has not been asked for yet, are waited for") {
  HttpOptions options = patient();
  options.head = milliseconds(20);
  options.body_bytes_a_second = 1;
  HttpFixture fixture(options);
  auto pass = [&](const std::function<void()>& each_turn) {
    const uint64_t begun = uv_now(fixture.loop());
    fixture.run_until([&] {
      each_turn();
      return uv_now(fixture.loop()) > begun + 100;
    });
  };
  Client slow(fixture);
  slow.send("PUT /v1/kv/a" + std::string(kHost) + "Transfer-Encoding: chunked\r\n\r\n");
  pass([&] { slow.send("1\r\nx\r\n"); });
  slow.send("0\r\n\r\n");
  fixture.run_until([&] { return fixture.held.size() == 1; });
  options.receive = milliseconds(20);
  HttpFixture hasty(options);
  Client expecting(hasty);
  expecting.send(get("/v1/kv/a") + "PUT /v1/kv/b" + kHost +
                 "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n");
  hasty.run_until([&] { return hasty.held.size() == 1; });
  const uint64_t begun = uv_now(hasty.loop());
  hasty.run_until([&] { return uv_now(hasty.loop()) > begun + 100; });
  hasty.answer(hasty.held[0], KeyMissing{});
  CHECK(expecting.next().status == 404);
  CHECK(expecting.next().status == 100);
}

TEST_CASE("limits: a client that has ended its side is not waited for until its request's own end") {
  HttpOptions options = patient();
  options.ended = milliseconds(20);
  HttpFixture fixture(options);
  Client gone(fixture);
  gone.send(get("/v1/kv/a?min_rev=99&timeout=600000")).end_sending();
  fixture.run_until([&] { return !fixture.cancelled.empty(); });
  CHECK(fixture.cancelled[0] == fixture.held[0].id);
  CHECK(gone.closed());
  CHECK(fixture.server().drained());
}

TEST_CASE("limits: an idle connection is closed without a word, a waiting one is not") {
  HttpOptions options = patient();
  options.idle = options.receive = milliseconds(20);
  HttpFixture fixture(options);
  Client idle(fixture), waiting(fixture);
  waiting.send(get("/v1/kv/a"));
  fixture.run_until([&] { return fixture.held.size() == 1; });
  CHECK(idle.closed());
  CHECK(Client(fixture).closed());  // one that came later has had its time, too
  CHECK(fixture.cancelled.empty());
  fixture.answer(fixture.held[0], KeyMissing{});
  CHECK(waiting.next().status == 404);
  CHECK(waiting.closed());
}

TEST_CASE("limits: an output gives its memory back, but nothing that is still to be written") {
  HttpOutput output;
  const std::string answer(20'000, 'a');
  output.text() += answer;
  output.give_back();
  CHECK(output.text() == answer);
  output.text().clear();
  output.give_back();
  CHECK(output.text().capacity() < 100);
}

TEST_CASE("limits: a client of many is watched like one of few") {
  HttpOptions options = patient();
  options.idle = milliseconds(20);
  HttpFixture fixture(options, serving(3));
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 3000; ++i) {
    clients.push_back(std::make_unique<Client>(fixture));
    fixture.run_turns(i % 100 == 0 ? 1 : 0);
  }
  for (auto& client : clients) CHECK(client->closed());
}

TEST_CASE("limits: no more requests of one connection are in flight than allowed") {
  HttpOptions options = patient();
  options.pipelined_max = 5;
  HttpFixture fixture(options);
  Client client(fixture);
  client.send(repeated(get("/v1/kv/a"), 23)).end_sending();
  fixture.run_until([&] { return fixture.held.size() == 5; });
  fixture.settle();
  CHECK(fixture.held.size() == 5);
  for (size_t i = 0; i < 23; ++i) {
    fixture.run_until([&] { return fixture.held.size() > i; });
    CHECK(fixture.held.size() <= i + 5);
    fixture.answer(fixture.held[i], KeyMissing{});
    CHECK(client.next().status == 404);
  }
  CHECK(client.closed());
}

TEST_CASE("limits: an expecting request at the end of a full pipeline goes on") {
  HttpOptions options = patient();
  options.pipelined_max = 1;
  HttpFixture fixture(options);
  Client client(fixture);
  client.send(get("/v1/kv/a") + "PUT /v1/kv/b" + kHost + "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n");
  fixture.run_until([&] { return fixture.held.size() == 1; });
  fixture.answer(fixture.held[0], KeyMissing{});
  CHECK(client.next().status == 404);
  CHECK(client.next().status == 100);
  client.send("x");
  fixture.run_until([&] { return fixture.held.size() == 2; });
  fixture.answer(fixture.held[1], KeyWritten{});
  CHECK(client.next().status == 200);
}

TEST_CASE("limits: who reads slowly is read slowly, and gets everything in the end") {
  constexpr size_t kValueBytes = 200'000, kRequests = 400;
  HttpOptions options = patient();
  options.pipelined_max = 4;
  options.unsent_bytes_max = 500'000;
  HttpFixture fixture(options, serving(kValueBytes));
  Client client(fixture);
  client.send(repeated(get("/v1/kv/k"), kRequests));
  size_t asked = 0;
  do {  // until nothing moves any more
    asked = fixture.asked;
    fixture.run_turns(30);
  } while (fixture.asked != asked);
  CHECK(fixture.asked < kRequests / 2);  // the kernel holds some megabytes of the 80
  for (size_t i = 0; i < kRequests; ++i) {
    Response reply = client.next();
    CHECK(reply.status == 200);
    CHECK(reply.body.size() == kValueBytes);
  }
  CHECK(fixture.asked == kRequests);
  CHECK(fixture.server().drained());
}

TEST_CASE("limits: who takes nothing is closed") {
  HttpOptions options = patient();
  options.stall = milliseconds(30);
  HttpFixture fixture(options, serving(1 << 20));
  Client client(fixture, 4096);
  client.send(repeated(get("/v1/kv/k"), 64));
  fixture.run_until([&] { return fixture.asked > 0; });
  // Its connection is gone with all that it held.
  fixture.run_until([&] { return fixture.server().drained(); });
  client.rest();
  CHECK(client.was_reset());
}

TEST_CASE("limits: when all together hold too much, the one that holds the most goes") {
  HttpOptions options = patient();
  options.held_bytes_max = 20u << 20;
  HttpFixture fixture(options, [&](const StoreCall& request) -> std::optional<Answer> {
    if (std::get<ReadKey>(request.operation).key == "wait") return std::nullopt;
    return KeyFound{Record("k", std::string(1 << 20, 'v'), {Revision(1), Revision(2), 1}), true};
  });
  Client modest(fixture), greedy(fixture, 4096);
  modest.send(get("/v1/kv/wait"));
  fixture.run_until([&] { return fixture.held.size() == 1; });
  greedy.send(repeated(get("/v1/kv/k"), 100));
  fixture.run_until([&] { return !fixture.log.empty(); });
  CHECK(fixture.log[0].level == LogLevel::kWarn);
  CHECK(fixture.cancelled.empty());
  fixture.answer(fixture.held[0], KeyMissing{});
  CHECK(modest.next().status == 404);
  greedy.rest();
  CHECK(greedy.was_reset());
}

TEST_CASE("limits: bodies that are being received count as held") {
  HttpOptions options = patient();
  options.held_bytes_max = 1u << 20;
  HttpFixture fixture(options);
  Client greedy(fixture);
  greedy.send("POST /v1/kv" + std::string(kHost) + "Content-Length: 4000000\r\n\r\n" +
              std::string(3u << 20, 'x'));
  Response reply = greedy.next();
  CHECK(reply.status == 503);
  CHECK(reply.field("retry-after") == "1");
  CHECK(reply.body.find("\"outcome\":\"not-applied\"") != std::string::npos);
  CHECK(greedy.closed());
  CHECK_FALSE(greedy.was_reset());
  CHECK(fixture.log.size() == 1);
}

TEST_CASE(
    "limits: a value that is too long is refused by its length, and the answer survives the unread body") {
  HttpOptions options = patient();
  options.identity.value_bytes_max = 1000;
  HttpFixture fixture(options);
  for (const char* framing :
       {"Content-Length: 3000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n2dc6c0\r\n"}) {
    Client client(fixture);
    client.send("PUT /v1/kv/k" + std::string(kHost) + framing + std::string(3'000'000, 'x'));
    Response reply = client.next();
    CHECK(reply.status == 413);
    CHECK(reply.body.find("a value may have 1000 bytes at most") != std::string::npos);
    CHECK(reply.body.find("\"outcome\":\"not-applied\"") != std::string::npos);
    CHECK(client.closed());
    CHECK_FALSE(client.was_reset());
  }
  Client client(fixture);
  client.send("PUT /v1/kv/k" + std::string(kHost) + "Content-Length: 1000\r\n\r\n" + std::string(1000, 'x'));
  fixture.run_until([&] { return fixture.held.size() == 1; });
}

TEST_CASE("limits: after its last answer a connection is not kept for a client that never ends it") {
  HttpOptions options = patient();
  options.linger = milliseconds(20);
  options.connections_max = 1;
  HttpFixture fixture(options, serving(3));
  Client client(fixture);
  client.send("nonsense nonsense\r\n\r\n");
  CHECK(client.next().status == 400);
  CHECK(client.closed());  // their side ended
  fixture.run_until([&] {  // ... and later ours was dropped: another one takes the place
    Client next(fixture);
    return next.send(get("/v1/kv/k")).next().status == 200;
  });
}

TEST_CASE("limits: who goes on sending what is refused is heard out, and reads the answer then") {
  HttpOptions options = patient();
  options.linger = milliseconds(200);
  HttpFixture fixture(options);
  for (bool slept = true; slept;) {  // a machine that sleeps for as long as `linger` proves nothing
    slept = false;
    Client client(fixture);
    client.send("PUT /nowhere" + std::string(kHost) + "Content-Length: 1000000\r\n\r\n");
    const uint64_t begun = uv_now(fixture.loop());
    for (uint64_t last = begun; last < begun + 500; last = uv_now(fixture.loop())) {
      client.send("x");
      fixture.run_turns(1);
      slept |= uv_now(fixture.loop()) > last + 100;
    }
    if (slept) continue;
    client.end_sending();
    CHECK(client.next().status == 404);
    CHECK(client.closed());
    CHECK_FALSE(client.was_reset());
  }
}

TEST_CASE("limits: ... but not for ever") {
  HttpOptions options = patient();
  options.linger = seconds(60);
  options.linger_max = milliseconds(20);
  HttpFixture fixture(options);
  Client client(fixture);
  client.send("PUT /nowhere" + std::string(kHost) + "Content-Length: 1000000000\r\n\r\n");
  fixture.run_until([&] {
    client.send("more");
    return client.was_reset();
  });
}

TEST_CASE("limits: connections beyond the limit are told so, and others take their place later") {
  HttpOptions options = patient();
  options.connections_max = 2;
  options.linger = milliseconds(50);
  HttpFixture fixture(options, serving(3));
  auto first = std::make_unique<Client>(fixture);
  Client second(fixture);
  CHECK(first->send(get("/v1/kv/k")).next().status == 200);
  CHECK(second.send(get("/v1/kv/k")).next().status == 200);
  for (int i = 0; i < 3; ++i) {
    Client third(fixture);
    third.send(get("/v1/kv/k"));
    Response reply = third.next();
    CHECK(reply.status == 503);
    CHECK(reply.field("retry-after") == "1");
    CHECK(reply.field("connection") == "close");
    CHECK(third.closed());
  }
  CHECK(fixture.asked == 2);
  CHECK(fixture.log.size() == 1);  // said once, not per connection
  first.reset();
  fixture.run_until([&] {
    Client next(fixture);
    return next.send(get("/v1/kv/k")).next().status == 200;
  });
  CHECK(second.send(get("/v1/kv/k")).next().status == 200);
}

TEST_CASE("limits: so many are told at a time that there are too many, and more are dropped without a word") {
  HttpOptions options = patient();
  options.connections_max = 1;
  options.refused_max = 1;
  options.linger = seconds(60);
  HttpFixture fixture(options, serving(1));
  Client first(fixture);
  CHECK(first.send(get("/v1/kv/k")).next().status == 200);
  Client second(fixture);
  CHECK(second.next().status == 503);  // and lingers
  Client third(fixture);
  CHECK(third.closed());
  CHECK(third.received().empty());
  CHECK(fixture.asked == 1);
}

}  // namespace kvd::testing::http_limits_test
