// Streams of watches on a real socket: their head goes out at once, what the kernel has taken is reported, nothing is
// done behind one that lasts, and how they end.
#include <doctest.h>

#include "http_fixture.hpp"
#include "msg/limits.hpp"

namespace kvd::testing::http_streams_test {

namespace {

constexpr char kWatch[] = "GET /v1/watch?prefix=a HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr char kRead[] = "GET /v1/kv/k HTTP/1.1\r\nHost: x\r\n\r\n";

Call watch_of(HttpFixture& fixture) {
  fixture.run_until([&] { return !fixture.calls.empty(); });
  Call call = std::move(fixture.calls.back());
  fixture.calls.pop_back();
  REQUIRE(std::holds_alternative<Box<WatchCall>>(call.what));
  return call;
}

Reply opened(RequestId id) {
  return {id, WatchAnswer{WatchOpened{true}, Epoch(3), Revision(40)}, true, false};
}

WatchEvent change(std::string_view value, uint64_t revision = 41) {
  return {Record("a", value, {Revision(41), Revision(revision), 1}), false, false};
}

// A client whose stream is open.
struct Watching {
  HttpFixture& server;
  Client client;
  Call call;

  explicit Watching(HttpFixture& fixture, std::string_view request = kWatch, int receive_bytes = 0)
      : server(fixture), client(fixture, receive_bytes) {
    client.send(request);
    call = watch_of(server);
    server.say(opened(call.id));
  }
  void say(WatchLine line, bool last = false) {
    std::vector<WatchLine> lines;
    lines.push_back(std::move(line));
    server.say(StreamLines{call.id, std::move(lines), last});
  }
  void await(const std::string& text) {
    server.run_until([&] {
      while (client.read_some()) {
      }
      return client.received().find(text) != std::string::npos;
    });
  }
  bool has(const std::string& text) const { return client.received().find(text) != std::string::npos; }
};

}  // namespace

TEST_CASE("streams: the head goes out before there is any line") {
  HttpFixture fixture;
  Watching watching(fixture);
  watching.await("\r\n\r\n");
  CHECK(watching.client.received().starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(watching.client.received().ends_with("\r\n\r\n"));
  CHECK(watching.has("Content-Type: application/x-ndjson\r\n"));
  CHECK(watching.has("Transfer-Encoding: chunked\r\n"));
  CHECK(watching.has("Cache-Control: no-store\r\n"));
  CHECK(watching.has("Kvd-Revision: 40\r\n"));
  CHECK(watching.has("Kvd-Epoch: 3\r\n"));
  CHECK_FALSE(watching.has("Content-Length"));
  CHECK_FALSE(watching.has("Connection: close"));
}

TEST_CASE(
    "streams: what is said at once is a chunk, and the last line ends the answer but not the connection") {
  HttpFixture fixture;
  Watching watching(fixture);
  fixture.say(StreamLines{watching.call.id, {WatchStale{milliseconds(5)}, WatchCurrent{Revision(7)}}, false});
  watching.await("\"current\"");
  CHECK(watching.has(
      "\r\n\r\n3f\r\n{\"type\":\"stale\",\"silent_ms\":5}\n{\"type\":\"current\",\"revision\":7}\n\r\n"));
  watching.say(WatchGone{Revision(7), Revision(4), WatchBreak::kHistory}, true);
  watching.client.send(kRead);
  fixture.run_until([&] { return fixture.held.size() == 1; });
  fixture.answer(fixture.held[0], KeyMissing{});
  watching.await("HTTP/1.1 404");
  CHECK(watching.has("\"reason\":\"history\"}\n\r\n0\r\n\r\nHTTP/1.1 404"));
  CHECK(fixture.cancelled.empty());
}

TEST_CASE("streams: as Server-Sent Events") {
  HttpFixture fixture;
  Watching watching(fixture,
                    "GET /v1/watch?key=a&values=0 HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n");
  watching.say(change("v"));
  watching.await("\n\n");
  CHECK(watching.has("Content-Type: text/event-stream\r\n"));
  CHECK(
      watching.has("\r\nid: 41\ndata: "
                   "{\"type\":\"put\",\"key\":\"a\",\"revision\":41,\"version\":1,\"created\":41}\n\n\r\n"));
}

TEST_CASE(
    "streams: a client of HTTP/1.0 gets the lines as they are and the end of the connection behind them") {
  for (const char* field : {"", "Connection: keep-alive\r\n"}) {
    HttpFixture fixture;
    Watching watching(fixture, std::string("GET /v1/watch?key=a HTTP/1.0\r\n") + field + "\r\n");
    watching.await("\r\n\r\n");  // also without a line
    watching.say(WatchProgress{Revision(41), false});
    watching.say(WatchGone{Revision(41), Revision(4), WatchBreak::kStopping}, true);
    const std::string all = watching.client.rest();
    CHECK(all.find("chunked") == std::string::npos);
    CHECK(all.find("keep-alive") == std::string::npos);
    CHECK(
        all.ends_with("\r\n\r\n{\"type\":\"progress\",\"revision\":41}\n"
                      "{\"type\":\"gone\",\"revision\":41,\"oldest\":4,\"reason\":\"stopping\"}\n"));
    CHECK_FALSE(watching.client.was_reset());
  }
}

TEST_CASE("streams: what was taken is reported once it was everything, in the node's own count") {
  HttpFixture fixture;
  Watching watching(fixture);
  const WatchEvent small = change("v");
  watching.say(small);
  watching.await("\"v\"");
  fixture.settle();
  CHECK(fixture.taken.empty());  // not enough yet

  const WatchEvent large = change(std::string(limits::kStreamReport, '\x01'), 42);  // six bytes each as JSON
  watching.say(large);
  watching.await("\"revision\":42");
  fixture.run_until([&] { return !fixture.taken.empty(); });
  REQUIRE(fixture.taken.size() == 1);
  CHECK(fixture.taken[0].id == watching.call.id);
  CHECK(fixture.taken[0].bytes == line_bytes(small, true) + line_bytes(large, true));
  watching.say(small);
  watching.await("\"revision\":41,\"version\":1,\"created\":41}\n\r\n");
  fixture.settle();
  CHECK(fixture.taken.size() == 1);
}

TEST_CASE("streams: nothing is reported while the client takes nothing, and all of it when it goes on") {
  HttpFixture fixture;
  Watching watching(fixture, kWatch, 4096);
  watching.await("\r\n\r\n");
  size_t said = 0;
  for (uint64_t revision = 100; revision < 200; ++revision) {
    const WatchEvent event = change(std::string(limits::kStreamReport, 'x'), revision);
    said += line_bytes(event, true);
    watching.say(event);
  }
  fixture.settle();
  fixture.settle();
  size_t reported = 0;  // what the socket itself has room for
  for (const StreamTaken& taken : fixture.taken) reported += taken.bytes;
  CHECK(reported < said);
  watching.await("\"revision\":199");
  fixture.run_until([&] {
    reported = 0;
    for (const StreamTaken& taken : fixture.taken) reported += taken.bytes;
    return reported == said;
  });
  for (const StreamTaken& taken : fixture.taken) CHECK(taken.id == watching.call.id);
}

TEST_CASE("streams: of what a consumer is granted is reported what it has taken") {
  HttpFixture fixture;
  Client client(fixture, 4096);
  client.send("POST /v1/queues/q/consume?hold=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
  fixture.run_until([&] { return !fixture.calls.empty(); });
  const RequestId id = fixture.calls.back().id;
  size_t said = 0;
  for (uint64_t revision = 100; revision < 200; ++revision) {
    Received received{"q", 0, {}, {}};
    received.messages.resize(1);
    received.messages[0].id.revision = Revision(revision);
    received.messages[0].body = Bytes(std::string(limits::kStreamReport, 'x'));
    said += line_bytes(received.messages[0]);
    fixture.say(Reply{id, StoreAnswer{Box(std::move(received)), {}, {}, {}}, true, false});
  }
  const auto reported = [&] {
    size_t bytes = 0;
    for (const StreamTaken& taken : fixture.taken) bytes += taken.bytes;
    return bytes;
  };
  fixture.settle();
  fixture.settle();
  CHECK(reported() < said);
  fixture.run_until([&] {
    while (client.read_some()) {
    }
    return reported() == said;
  });
  for (const StreamTaken& taken : fixture.taken) CHECK(taken.id == id);
}

TEST_CASE("streams: a consumer of a subscription is told what it has missed, before what it is granted") {
  HttpFixture fixture;
  Client client(fixture);
  client.send(
      "POST /v1/topics/t/subscriptions/s/consume?hold=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
  fixture.run_until([&] { return !fixture.calls.empty(); });
  const auto& consume = std::get<ConsumeQueue>(fixture.calls.back().what);
  CHECK(consume.queue == "t");
  CHECK(consume.subscription == "s");
  Received received{"t", 0, {}, {}, "s"};
  received.gap = Received::Gap{{Revision(7), 0}, {Revision(9), 3}};
  received.messages.resize(1);
  received.messages[0].id.revision = Revision(10);
  received.messages[0].body = Bytes("b");
  fixture.say(Reply{fixture.calls.back().id, StoreAnswer{Box(std::move(received)), {}, {}, {}}, true, false});
  fixture.run_until([&] {
    client.read_some();
    return client.received().find("\"body\":\"b\"}}\n") != std::string::npos;
  });
  const std::string& all = client.received();
  const size_t gap = all.find("{\"gap\":{\"after\":\"7\",\"last\":\"9.3\"}}\n");
  CHECK(gap != std::string::npos);
  CHECK(gap < all.find("{\"message\":{\"id\":\"10\","));
}

TEST_CASE("streams: a topic is read as events, and what is taken of it is reported") {
  HttpFixture fixture;
  Client client(fixture);
  client.send("GET /v1/topics/t/stream?after=3 HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n");
  fixture.run_until([&] { return !fixture.calls.empty(); });
  const RequestId id = fixture.calls.back().id;
  const auto await = [&](const std::string& text) {
    fixture.run_until([&] {
      client.read_some();
      return client.received().find(text) != std::string::npos;
    });
  };
  Peeked page;
  page.last = {Revision(3), 0};
  fixture.say(Reply{id, StoreAnswer{page, {}, {}, {}}, true, false});
  await("id: 3\ndata: {\"progress\":\"3\"}\n\n");
  CHECK(client.received().find("Content-Type: text/event-stream\r\n") != std::string::npos);
  CHECK(fixture.taken.empty());
  page.messages.resize(1);
  page.messages[0].id.revision = Revision(10);
  page.messages[0].body = Bytes(std::string(limits::kStreamReport, 'x'));
  fixture.say(Reply{id, StoreAnswer{page, {}, {}, {}}, true, false});
  await("xx\"}}\n\n");
  fixture.run_until([&] { return !fixture.taken.empty(); });
  CHECK(fixture.taken.back().id == id);
  CHECK(fixture.taken.back().bytes == line_bytes(page.messages[0]));
  fixture.say(Reply{id, ServiceAnswer{ServiceStatus::kOk, Document().add("state", "stopping")}, true, true});
  await("data: {\"state\":\"stopping\"}\n\n");
}

TEST_CASE("streams: nothing of one that has ended is reported for the next") {
  HttpFixture fixture;
  Watching watching(fixture);
  fixture.say(StreamLines{watching.call.id,
                          {change(std::string(limits::kStreamReport, 'x')),
                           WatchGone{Revision(41), Revision(4), WatchBreak::kHistory}},
                          true});
  watching.await("\"gone\"");
  watching.client.send(kWatch);
  const Call next = watch_of(fixture);
  CHECK(next.id != watching.call.id);
  fixture.say(opened(next.id));
  fixture.say(StreamLines{next.id, {WatchProgress{Revision(50), false}}, false});
  watching.await("\"progress\"");
  fixture.settle();
  CHECK(fixture.taken.empty());
}

TEST_CASE("streams: a request behind one waits for its end") {
  HttpFixture fixture;
  Watching watching(fixture, std::string(kWatch) + kRead);
  watching.say(change("v"));
  watching.await("\"v\"");
  fixture.settle();
  CHECK(fixture.held.empty());
  watching.say(WatchGone{Revision(41), Revision(4), WatchBreak::kSnapshot}, true);
  fixture.run_until([&] { return fixture.held.size() == 1; });
  fixture.answer(fixture.held[0], KeyMissing{});
  watching.await("0\r\n\r\nHTTP/1.1 404");
}

TEST_CASE("streams: one waits for the requests before it") {
  HttpFixture fixture;
  Client client(fixture);
  client.send(std::string(kRead) + kWatch);
  fixture.run_until([&] { return fixture.held.size() == 1; });
  fixture.settle();
  CHECK(fixture.calls.empty());
  fixture.answer(fixture.held[0], KeyMissing{});
  fixture.say(opened(watch_of(fixture).id));
  CHECK(client.next().status == 404);
  CHECK(client.next().status == 200);
}

TEST_CASE("streams: the end of the client's side ends one") {
  for (const bool orderly : {true, false}) {
    CAPTURE(orderly);
    HttpFixture fixture;
    Watching watching(fixture);
    watching.await("\r\n\r\n");
    if (orderly) {
      watching.client.end_sending();
    } else {
      watching.client.reset();
    }
    fixture.run_until([&] { return !fixture.cancelled.empty(); });
    CHECK(fixture.cancelled == std::vector<RequestId>{watching.call.id});
    watching.say(change("v"));  // on its way to nobody
    fixture.settle();
  }
}

TEST_CASE("streams: who has ended its side before the head gets none") {
  HttpFixture fixture;
  Client client(fixture);
  client.send(kWatch);
  const Call call = watch_of(fixture);
  client.end_sending();
  fixture.settle();
  CHECK(fixture.cancelled.empty());  // it may be refused with a whole answer
  fixture.say(opened(call.id));
  fixture.say(StreamLines{call.id, {WatchProgress{Revision(41), false}}, false});
  fixture.run_until([&] { return !fixture.cancelled.empty(); });
  CHECK(fixture.cancelled.front() == call.id);
}

TEST_CASE(
    "streams: a stop waits until the last line is with the kernel, and then ends the connection in order") {
  HttpFixture fixture;
  Watching watching(fixture);
  watching.await("\r\n\r\n");
  fixture.server().stop_accepting();
  fixture.run_turns(3);
  CHECK_FALSE(fixture.server().drained());
  watching.say(WatchGone{Revision(41), Revision(4), WatchBreak::kStopping}, true);
  fixture.run_until([&] { return fixture.server().drained(); });
  fixture.server().close();
  CHECK(watching.client.rest().ends_with("\"reason\":\"stopping\"}\n\r\n0\r\n\r\n"));
  CHECK_FALSE(watching.client.was_reset());
}

TEST_CASE("streams: an answer that is none leaves the connection as it was") {
  HttpFixture fixture;
  Client client(fixture);
  client.send(kWatch);
  fixture.say(
      {watch_of(fixture).id, WatchAnswer{HistoryGone{Revision(30)}, Epoch(3), Revision(40)}, false, true});
  const Response gone = client.next();
  CHECK(gone.status == 410);
  CHECK(gone.body.find("\"oldest\":30") != std::string::npos);
  client.send("GET /v1/kv/k?since=40&wait=5 HTTP/1.1\r\nHost: x\r\n\r\n");
  fixture.run_until([&] { return !fixture.calls.empty(); });
  REQUIRE(std::holds_alternative<Box<PollCall>>(fixture.calls.back().what));
  fixture.say({fixture.calls.back().id, WatchAnswer{NotChanged{}, Epoch(3), Revision(41)}, false, true});
  const Response same = client.next();
  CHECK(same.status == 304);
  CHECK(same.body.empty());
  CHECK(same.field("kvd-revision") == "41");
  CHECK(same.field("connection").empty());
}

}  // namespace kvd::testing::http_streams_test
