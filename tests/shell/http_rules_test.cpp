// What RFC 9110 and RFC 9112 demand of a server's answers, and of what it does with the bytes behind a request, on real
// sockets: each line of the tables names the paragraph. How requests are read is in tests/unit/http_rules_test.cpp.
#include <doctest.h>

#include "http_fixture.hpp"

namespace kvd::testing::http_rules_test {

namespace {

constexpr char kHost[] = " HTTP/1.1\r\nHost: x\r\n";

HttpFixture::Script serving() {
  return [](const StoreCall& request) -> std::optional<Answer> {
    if (std::holds_alternative<ReadKey>(request.operation))
      return KeyFound{Record("k", Bytes("value"), {Revision(1), Revision(2), 1}), true};
    if (std::holds_alternative<DeleteKey>(request.operation)) return KeyDeleted{};
    return KeyWritten{true};
  };
}

struct Exchange {
  const char* paragraph;
  std::string bytes;
  std::vector<int> statuses;  // of all answers
  bool closes = false;        // after them
};

// In one piece, and byte by byte.
void check(const std::vector<Exchange>& exchanges) {
  for (const Exchange& exchange : exchanges) {
    for (bool pieces : {false, true}) {
      CAPTURE(exchange.paragraph);
      CAPTURE(exchange.bytes);
      CAPTURE(pieces);
      HttpFixture fixture({}, serving());
      Client client(fixture);
      if (!pieces) client.send(exchange.bytes);
      for (size_t i = 0; pieces && i < exchange.bytes.size(); ++i) {
        client.send(std::string_view(exchange.bytes).substr(i, 1));
        fixture.run_turns(1);
      }
      for (int status : exchange.statuses) CHECK(client.next().status == status);
      if (!exchange.closes) client.send("GET /v1/kv/last" + std::string(kHost) + "Connection: close\r\n\r\n");
      if (!exchange.closes) CHECK(client.next().status == 200);
      CHECK(client.closed());
    }
  }
}

}  // namespace

TEST_CASE("rules: what is behind a request is neither lost nor taken for another one") {
  const std::string next = "GET /v1/kv/next" + std::string(kHost) + "\r\n";
  const std::string hidden = "DELETE /v1/kv/hidden" + std::string(kHost) + "\r\n";
  const std::string length = "Content-Length: " + std::to_string(hidden.size()) + "\r\n";
  REQUIRE(hidden.size() == 0x2a);
  const std::string chunk = "Transfer-Encoding: chunked\r\n\r\n2a\r\n" + hidden + "\r\n0\r\n\r\n";
  check({
      {"9112 6.3: a body behind 405",
       "PATCH /v1/kv/a" + std::string(kHost) + length + "\r\n" + hidden + next,
       {405, 200}},
      {"9112 6.3: ... in chunks", "PATCH /v1/kv/a" + std::string(kHost) + chunk + next, {405, 200}},
      {"9112 6.3: ... of TRACE",
       "TRACE /v1/kv/a" + std::string(kHost) + length + "\r\n" + hidden + next,
       {405, 200}},
      {"9112 6.3: ... of OPTIONS",
       "OPTIONS /v1/kv/a" + std::string(kHost) + length + "\r\n" + hidden + next,
       {405, 200}},
      {"9112 6.3: ... of OPTIONS *",
       "OPTIONS *" + std::string(kHost) + length + "\r\n" + hidden + next,
       {200, 200}},
      {"9112 6.3: ... of a service", "PATCH /v1/locks/a" + std::string(kHost) + chunk + next, {405, 200}},
      {"9112 6.3: ... behind 404",
       "PUT /nowhere" + std::string(kHost) + length + "\r\n" + hidden + next,
       {404, 200}},
      {"9112 6.3: ... of GET",
       "GET /v1/kv/a" + std::string(kHost) + length + "\r\n" + hidden + next,
       {200, 200}},
      {"9112 6.3: ... with an upgrade",
       "PATCH /v1/kv/a" + std::string(kHost) + "Connection: Upgrade\r\nUpgrade: x\r\n" + length + "\r\n" +
           hidden + next,
       {405, 200}},
      {"9110 10.1.1: a final answer in place of 100 closes, or reads",
       "PATCH /v1/kv/a" + std::string(kHost) + "Expect: 100-continue\r\n" + length + "\r\n" + hidden + next,
       {405},
       true},
      {"9110 10.1.1: ... also in chunks",
       "PATCH /v1/kv/a" + std::string(kHost) + "Expect: 100-continue\r\n" + chunk + next,
       {405},
       true},
      {"9110 10.1.1: after 100 the body is the request's",
       "PUT /v1/kv/a" + std::string(kHost) + "Expect: 100-continue\r\n" + length + "\r\n" + hidden + next,
       {100, 201, 200}},
      {"9110 10.1.1: ... in chunks",
       "PUT /v1/kv/a" + std::string(kHost) + "Expect: 100-continue\r\n" + chunk + next,
       {100, 201, 200}},
      {"9110 10.1.1: no content, no 100",
       "PUT /v1/kv/a" + std::string(kHost) + "Expect: 100-continue\r\n\r\n" + next,
       {201, 200}},
      {"9110 10.1.1: HTTP/1.0 gets no 100",
       "PUT /v1/kv/a HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
       {201},
       true},
      {"9110 9.3.6: CONNECT is refused", "CONNECT x:80" + std::string(kHost) + "\r\n" + hidden, {400}, true},
      {"9112 9.6: nothing is done after close",
       "GET /v1/kv/a" + std::string(kHost) + "Connection: close\r\n\r\n" + hidden,
       {200},
       true},
      {"9112 9.3: HTTP/1.0 closes", "GET /v1/kv/a HTTP/1.0\r\n\r\n" + hidden, {200}, true},
      {"9112 2.2: malformed bytes are 400 and the end", "GARBAGE\r\n\r\n" + hidden, {400}, true},
      {"9112 2.2: ... behind a good request",
       next + "GET / HTTP/1.1\r\nHost: x\r\n\rX" + hidden,
       {200, 400},
       true},
      {"9112 6.3: an ambiguous length is 400 and the end",
       "PUT /v1/kv/a" + std::string(kHost) + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc" + hidden,
       {400},
       true},
      {"9112 6.1: an unknown coding is 501",
       "PUT /v1/kv/a" + std::string(kHost) + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + hidden,
       {501},
       true},
  });
}

TEST_CASE("rules: targets") {
  auto ask = [](const std::string& method_and_target) { return method_and_target + kHost + "\r\n"; };
  check({
      {"9112 3.2.4: OPTIONS *", ask("OPTIONS *"), {200}},
      {"9112 3.2.4: the asterisk is for OPTIONS", ask("GET *"), {400}, true},
      {"9112 3.2.2: an absolute target MUST be taken", ask("GET http://y/v1/kv/a"), {200}},
      {"9112 3.2.2: ... the scheme is case-insensitive", ask("GET HTTP://y:80/v1/kv/a"), {200}},
      {"9110 4.2.1: an empty host MUST be refused", ask("GET http:///v1/kv/a"), {400}, true},
      {"9110 4.2.4: a user in it", ask("GET http://u@y/v1/kv/a"), {400}, true},
      {"9110 4.2.1: letters for a port", ask("GET http://y:8a/v1/kv/a"), {400}, true},
      {"9112 3.2: a fragment is no part of a target", ask("GET /v1/kv/a#b"), {400}, true},
      {"9112 3.2.3: the authority form is for CONNECT", ask("GET y:80"), {400}, true},
      {"9110 4.2.3: broken percent-encoding", ask("GET /v1/kv/%zz"), {400}, true},
      {"9110 15.5.15: too long a target", ask("GET /v1/kv/" + std::string(20'000, 'a')), {414}, true},
      {"9110 14.5: a part of a value",
       "PUT /v1/kv/a" + std::string(kHost) + "Content-Range: bytes 5-9/10\r\nContent-Length: 1\r\n\r\na",
       {400}},
      {"9110 14.5: ... of what is no key",
       "PUT /v1/snapshot" + std::string(kHost) + "Content-Range: bytes 5-9/10\r\nContent-Length: 1\r\n\r\na",
       {400}},
      {"9110 13.1: a condition on a listing",
       "GET /v1/kv" + std::string(kHost) + "If-None-Match: *\r\n\r\n",
       {400}},
      {"9110 13.1: ... of a service",
       "PUT /v1/znodes/a" + std::string(kHost) + "If-Match: \"1\"\r\nContent-Length: 1\r\n\r\na",
       {400}},
  });
}

TEST_CASE("rules: answers") {
  HttpFixture fixture({}, serving());
  Client client(fixture);
  for (const char* target : {"/v1/kv/a", "/nowhere", "/v1/kv/a?x=y"}) {
    Response reply = client.send(std::string("GET ") + target + kHost + "\r\n").next();
    std::string date = reply.field("date");  // 9110 6.6.1 and 5.6.7: Sun, 06 Nov 1994 08:49:37 GMT
    CAPTURE(date);
    CHECK(reply.field("x-content-type-options") == "nosniff");
    CHECK(reply.field("cross-origin-resource-policy") == "same-origin");
    REQUIRE(date.size() == 29);
    CHECK(date.substr(3, 2) == ", ");
    CHECK(date.substr(25) == " GMT");
  }
  Response options = client.send(std::string("OPTIONS *") + kHost + "\r\n").next();
  CHECK(options.field("allow") == "GET, HEAD, PUT, POST, DELETE, OPTIONS");
  CHECK(options.field("content-length") == "0");
  // 9110 15.5.6: 405 MUST come with Allow.
  CHECK(client.send(std::string("PATCH /v1/kv/a") + kHost + "\r\n").next().field("allow") != "");
  CHECK(client.send(std::string("PATCH /metrics") + kHost + "\r\n").next().field("allow") != "");
  // 9110 8.6: no length with 204; 9110 9.3.2: HEAD has the fields of GET, and no content.
  Response deleted = client.send(std::string("DELETE /v1/kv/a") + kHost + "\r\n").next();
  CHECK(deleted.status == 204);
  CHECK(deleted.fields.count("content-length") == 0);
  Response head = client.send(std::string("HEAD /v1/kv/a") + kHost + "\r\n").next(true);
  CHECK(head.field("content-length") == "5");
  Response unchanged =
      client.send(std::string("GET /v1/kv/a") + kHost + "If-None-Match: \"2\"\r\n\r\n").next();
  CHECK(unchanged.status == 304);  // 9110 15.4.5: with the ETag, without content
  CHECK(unchanged.field("etag") == "\"2\"");
  // 9112 9.6: who closes says so.
  Response last = client.send(std::string("GET /v1/kv/a") + kHost + "Connection: close\r\n\r\n").next();
  CHECK(last.field("connection") == "close");
  CHECK(client.closed());
}

}  // namespace kvd::testing::http_rules_test
