// Answers of the coordination services on a real socket: whole ones, and those that a connection holds, which go out
// line by line.
#include <doctest.h>

#include "http_fixture.hpp"

namespace kvd::testing::http_lines_test {

namespace {

constexpr char kHold[] = "POST /v1/locks/a/b?hold=1&name=x%20y HTTP/1.1\r\nHost: x\r\n\r\n";

// {"a":TEXT}
Reply line(RequestId id, std::string_view text, bool last = false) {
  return {id, ServiceAnswer{ServiceStatus::kOk, Document().add("a", text)}, true, last};
}

Call call_of(HttpFixture& fixture) {
  fixture.run_until([&] { return !fixture.calls.empty(); });
  Call call = std::move(fixture.calls.back());
  fixture.calls.pop_back();
  return call;
}

const ServiceCall& service_of(const Call& call) { return std::get<ServiceCall>(call.what); }

void await(HttpFixture& fixture, Client& client, const std::string& text) {
  fixture.run_until([&] {
    client.read_some();
    return client.received().find(text) != std::string::npos;
  });
}

}  // namespace

TEST_CASE("lines: each goes out when it is said, and the last one ends the answer") {
  HttpFixture fixture;
  Client client(fixture);
  client.send(kHold);
  const Call call = call_of(fixture);
  CHECK(service_of(call).path == "a/b");
  CHECK(service_of(call).parameters == std::vector<NamedText>{{"hold", "1"}, {"name", "x y"}});
  fixture.say(line(call.id, "one"));
  await(fixture, client, "\"one\"}\n");
  CHECK(client.received().find("Transfer-Encoding: chunked") != std::string::npos);
  CHECK(client.received().find("application/x-ndjson") != std::string::npos);
  fixture.say(line(call.id, "two", true));
  client.send("GET /v1/locks/a HTTP/1.1\r\nHost: x\r\n\r\n");  // the connection goes on
  const Call next = call_of(fixture);
  fixture.say({next.id, ServiceAnswer{ServiceStatus::kNotFound, "nothing"}, false, true});
  await(fixture, client, "HTTP/1.1 404");
  CHECK(client.received().find("c\r\n{\"a\":\"one\"}\n\r\nc\r\n{\"a\":\"two\"}\n\r\n0\r\n\r\nHTTP/1.1 404") !=
        std::string::npos);
  CHECK(fixture.cancelled.empty());
}

TEST_CASE("lines: a client of HTTP/1.0 gets them as they are and the end of the connection behind them") {
  for (const char* field : {"", "Connection: keep-alive\r\n"}) {
    HttpFixture fixture;
    Client client(fixture);
    client.send(std::string("POST /v1/locks/a?hold=1 HTTP/1.0\r\n") + field + "\r\n");
    const Call call = call_of(fixture);
    fixture.say(line(call.id, "one"));
    fixture.say(line(call.id, "two", true));
    const std::string all = client.rest();
    CHECK(all.find("chunked") == std::string::npos);
    CHECK(all.find("keep-alive") == std::string::npos);
    CHECK(all.ends_with("\r\n\r\n{\"a\":\"one\"}\n{\"a\":\"two\"}\n"));
  }
}

TEST_CASE("lines: who has ended the connection before the first one holds nothing") {
  HttpFixture fixture;
  Client client(fixture);
  client.send(kHold);
  const Call call = call_of(fixture);
  client.end_sending();
  Client other(fixture);  // by the time that it is heard the end of the first one has been, too
  other.send("GET /v1/locks/a HTTP/1.1\r\nHost: x\r\n\r\n");
  call_of(fixture);
  CHECK(fixture.cancelled.empty());  // a whole answer could still be sent
  fixture.say(line(call.id, "one"));
  fixture.run_until([&] { return !fixture.cancelled.empty(); });
  CHECK(fixture.cancelled.front() == call.id);
  CHECK(client.rest().empty());
}

TEST_CASE("lines: a connection that ends gives up what it held") {
  for (const bool orderly : {true, false}) {
    CAPTURE(orderly);
    HttpFixture fixture;
    Client client(fixture);
    client.send(kHold);
    const Call call = call_of(fixture);
    fixture.say(line(call.id, "one"));
    await(fixture, client, "\"one\"}\n");
    if (orderly) {
      client.end_sending();
    } else {
      client.reset();
    }
    fixture.run_until([&] { return !fixture.cancelled.empty(); });
    CHECK(fixture.cancelled == std::vector<RequestId>{call.id});
  }
}

TEST_CASE("lines: who only waits may end its side and still gets the answer") {
  HttpFixture fixture;
  Client client(fixture);
  client.send("POST /v1/locks/a?session=s&wait=5 HTTP/1.1\r\nHost: x\r\n\r\n");
  const Call call = call_of(fixture);
  client.end_sending();
  fixture.settle();
  fixture.say({call.id, ServiceAnswer{ServiceStatus::kOk, Document()}, false, true});
  CHECK(client.next().body == "{}\n");
  CHECK(fixture.cancelled.empty());
}

TEST_CASE("lines: answers to what was asked before come first") {
  HttpFixture fixture;
  Client client(fixture);
  client.send("GET /v1/kv/slow HTTP/1.1\r\nHost: x\r\n\r\n" + std::string(kHold));
  fixture.run_until([&] { return fixture.held.size() == 1; });
  fixture.answer(fixture.held[0], KeyMissing{});
  const Call call = call_of(fixture);
  fixture.say(line(call.id, "one", true));
  await(fixture, client, "\"one\"}\n\r\n0\r\n\r\n");
  CHECK(client.received().find("HTTP/1.1 404") == 0);
  CHECK(client.received().ends_with("\r\n\r\nc\r\n{\"a\":\"one\"}\n\r\n0\r\n\r\n"));
}

}  // namespace kvd::testing::http_lines_test
