// The HTTP server on loopback: framing, order, every status of the interface, refusals.
// Its bounds and timeouts are in http_limits_test.cpp.
#include <doctest.h>

#include "http_fixture.hpp"

namespace kvd::testing::http_server_test {

namespace {

constexpr char kHost[] = " HTTP/1.1\r\nHost: x\r\n";

// Keys answer according to their names.
std::optional<Answer> scripted(const StoreCall& request) {
  auto item = [](std::string_view key, std::string_view value) {
    return Record(key, value, {Revision(1), Revision(7), 1});
  };
  if (const auto* read = std::get_if<ReadKey>(&request.operation)) {
    if (read->key.starts_with("missing")) return KeyMissing{};
    if (read->key == "late") return Failed{ErrorCode::kTimedOut, Outcome::kNotApplied, "too late"};
    if (read->key == "incomplete") return KeyFound{item(read->key, "v"), false};
    if (read->key == "empty") return KeyFound{item(read->key, ""), true};
    return KeyFound{item(read->key, "value of " + read->key), true};
  }
  if (const auto* put = std::get_if<PutKey>(&request.operation)) {
    if (put->key == "conflict") return ConditionFailed{Revision(9)};
    if (put->key == "lost") return Failed{ErrorCode::kTimedOut, Outcome::kUnknown, "no answer in time"};
    if (put->key == "leaderless") return Failed{ErrorCode::kNoLeader, Outcome::kNotApplied, "no leader"};
    return KeyWritten{put->value.view() == "new"};
  }
  if (const auto* gone = std::get_if<DeleteKey>(&request.operation)) {
    if (gone->key == "missing") return KeyAbsent{};
    if (gone->key == "conflict") return ConditionFailed{std::nullopt};
    return KeyDeleted{};
  }
  if (std::holds_alternative<ListKeys>(request.operation)) return Listing{{item("a", "1")}, true, true};
  if (std::holds_alternative<DeletePrefix>(request.operation)) return PrefixDeleted{3};
  if (const auto* batch = std::get_if<WriteBatch>(&request.operation)) {
    if (batch->ops.empty()) return std::nullopt;
    return BatchWritten{};
  }
  if (const auto* change = std::get_if<ChangeSettings>(&request.operation))
    return SettingsChanged{change->min_in_sync};
  Status status;
  status.role = Role::kFollower;
  status.ready = true;
  return status;
}

std::string put(const std::string& key, const std::string& value) {
  return "PUT /v1/kv/" + key + kHost + "Content-Length: " + std::to_string(value.size()) + "\r\n\r\n" + value;
}
std::string get(const std::string& target) { return "GET " + target + kHost + "\r\n"; }
bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("server: a value, with everything that an answer carries") {
  HttpFixture fixture({}, scripted);
  Client client(fixture);
  Response reply = client.send(get("/v1/kv/a%20b")).next();
  CHECK(reply.status == 200);
  CHECK(reply.body == "value of a b");
  CHECK(reply.field("content-type") == "application/octet-stream");
  CHECK(reply.field("etag") == "\"7\"");
  CHECK(reply.field("kvd-node") == "test:1");
  CHECK(reply.field("kvd-epoch") == "3");
  CHECK(reply.field("kvd-revision") == "40");
  CHECK_FALSE(reply.fields.contains("kvd-complete"));
  CHECK_FALSE(reply.fields.contains("connection"));
}

TEST_CASE("server: every status of the interface") {
  HttpFixture fixture({}, scripted);
  Client client(fixture);
  struct Case {
    std::string request;
    int status;
    const char* body_part;
  };
  std::string batch = R"({"ops":[{"delete":{"key":"a"}}]})";
  auto post = [](const char* path, const std::string& body) {
    return std::string("POST ") + path + kHost + "Content-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
  };
  const Case cases[] = {
      {get("/v1/kv/missing"), 404, ""},
      {get("/v1/kv/empty"), 200, ""},
      {get("/v1/kv/late"), 504, "urn:kvd:timed-out"},
      {"GET /v1/kv/a" + std::string(kHost) + "If-None-Match: \"7\"\r\n\r\n", 304, ""},
      {"GET /v1/kv/a" + std::string(kHost) + "If-Match: \"8\"\r\n\r\n", 412, "\"current\":7"},
      {put("k", "new"), 201, "{\"key\":\"k\",\"revision\":40,\"created\":true}"},
      {put("k", "old"), 200, "\"created\":false"},
      {put("k", ""), 200, "\"created\":false"},
      {post("/v1/kv/k", "old"), 200, "\"created\":false"},
      {put("conflict", "x"), 412, "\"current\":9"},
      {put("lost", "x"), 504, "\"outcome\":\"unknown\""},
      {put("leaderless", "x"), 503, "\"outcome\":\"not-applied\""},
      {"DELETE /v1/kv/k" + std::string(kHost) + "\r\n", 204, ""},
      {"DELETE /v1/kv/missing" + std::string(kHost) + "\r\n", 404, ""},
      {"DELETE /v1/kv/conflict" + std::string(kHost) + "\r\n", 412, "not-applied"},
      {"DELETE /v1/kv?prefix=a" + std::string(kHost) + "\r\n", 200, "{\"deleted\":3}"},
      {"DELETE /v1/kv" + std::string(kHost) + "\r\n", 400, "prefix"},
      {get("/v1/kv?limit=1"), 200,
       "\"items\":[{\"key\":\"a\",\"value\":\"1\",\"revision\":7,\"version\":1}]"},
      {post("/v1/kv", batch), 200, "{\"revision\":40}"},
      {post("/v1/kv", "{\"ops\":[7]}"), 400, "ops[0]"},
      {"PUT /v1/cluster/settings" + std::string(kHost) + "Content-Length: 17\r\n\r\n{\"min_in_sync\":2}", 200,
       "{\"min_in_sync\":2}"},
      {"PUT /v1/cluster/settings" + std::string(kHost) + "Content-Length: 2\r\n\r\n{}", 400, "min_in_sync"},
      {get("/v1/cluster"), 200, "\"role\":\"follower\""},
      {get("/v1/cluster/leader"), 503, "urn:kvd:no-leader"},
      {get("/livez"), 200, "ok\n"},
      {get("/readyz"), 200, "ok\n"},
      {get("/healthz?verbose"), 200, "[-]leader unknown"},
      {get("/metrics"), 200, "kvd_http_requests_total"},
      {get("/nowhere"), 404, "urn:kvd:no-such-path"},
      {"PATCH /v1/kv/a" + std::string(kHost) + "\r\n", 405, "urn:kvd:method-not-allowed"},
      {get("/v1/kv/a?read=foo"), 400, "'read'"},
  };
  for (const Case& c : cases) {  // one connection: every answer leaves it in order for the next one
    CAPTURE(c.request);
    Response reply = client.send(c.request).next();
    CHECK(reply.status == c.status);
    CHECK(contains(reply.body, c.body_part));
    if (*c.body_part == '\0') CHECK(reply.body.empty());
    CHECK(reply.fields.contains("retry-after") == (c.status == 503));
    CHECK(reply.fields.contains("allow") == (c.status == 405));
    CHECK(reply.field("kvd-node") == "test:1");
    CHECK(reply.field("kvd-epoch") == "3");
    CHECK(reply.field("kvd-revision") == "40");  // also of those that the node never saw: what it said last
    if (c.status >= 400 && !reply.body.empty())
      CHECK(reply.field("content-type") == "application/problem+json");
  }
}

TEST_CASE("server: an answer to nobody's question knows epoch 0") {
  HttpFixture fixture;
  Client client(fixture);
  Response reply = client.send(get("/nowhere")).next();
  CHECK(reply.field("kvd-epoch") == "0");
  CHECK(reply.field("kvd-revision") == "0");
}

TEST_CASE("server: pipelined answers come in the order of the requests, whatever the node's order") {
  HttpFixture fixture;
  Client client(fixture);
  client.send(get("/v1/kv/a") + get("/v1/kv?limit=1") + get("/nowhere") + get("/v1/kv/c") + get("/v1/kv/d"));
  fixture.run_until([&] { return fixture.held.size() == 4; });
  fixture.answer(fixture.held[3], KeyMissing{});
  fixture.answer(fixture.held[2], Failed{ErrorCode::kTimedOut, Outcome::kNotApplied, "too late"});
  fixture.settle();
  client.read_some();
  CHECK(client.received().empty());  // the first two are not answered yet
  fixture.answer(fixture.held[1], Listing{});
  fixture.settle();
  client.read_some();
  CHECK(client.received().empty());
  fixture.answer(fixture.held[0], KeyFound{Record("a", "va", {Revision(1), Revision(2), 1}), true});
  CHECK(client.next().body == "va");
  CHECK(contains(client.next().body, "items"));
  CHECK(contains(client.next().body, "no-such-path"));
  CHECK(client.next().status == 504);
  CHECK(client.next().status == 404);
  CHECK(fixture.server().drained());
}

TEST_CASE("server: requests that arrive byte by byte") {
  HttpFixture fixture({}, scripted);
  Client client(fixture);
  std::string bytes = put("k", "new") + get("/v1/kv/a");
  for (char c : bytes) {
    client.send(std::string_view(&c, 1));
    fixture.run_turns(2);
  }
  CHECK(client.next().status == 201);
  CHECK(client.next().body == "value of a");
}

TEST_CASE("server: chunked bodies") {
  HttpFixture fixture;
  Client client(fixture);
  client.send("PUT /v1/kv/k" + std::string(kHost) + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  fixture.settle();
  CHECK(fixture.held.empty());
  client.send("2\r\nde\r\n0\r\n\r\n");
  fixture.run_until([&] { return fixture.held.size() == 1; });
  CHECK(std::get<PutKey>(std::get<StoreCall>(fixture.held[0].what).operation).value.view() == "abcde");
}

TEST_CASE("server: curl -d marks a raw value as a form; it stays the raw value") {
  HttpFixture fixture;
  Client client(fixture);
  client.send("POST /v1/kv/k" + std::string(kHost) +
              "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 5\r\n\r\na=%20");
  fixture.run_until([&] { return fixture.held.size() == 1; });
  CHECK(std::get<PutKey>(std::get<StoreCall>(fixture.held[0].what).operation).value.view() == "a=%20");
}

TEST_CASE("server: Expect: 100-continue is answered before the body, and after what came before") {
  HttpFixture fixture;
  Client client(fixture);
  std::string expecting = std::string(kHost) + "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n";
  client.send(get("/v1/kv/first") + "PUT /v1/kv/k" + expecting);
  fixture.run_until([&] { return fixture.held.size() == 1; });
  fixture.settle();
  client.read_some();
  CHECK(client.received().empty());
  fixture.answer(fixture.held[0], KeyMissing{});
  CHECK(client.next().status == 404);
  CHECK(client.next().status == 100);
  client.send("abc");
  fixture.run_until([&] { return fixture.held.size() == 2; });
  fixture.answer(fixture.held[1], KeyWritten{true});
  CHECK(client.next().status == 201);
}

TEST_CASE("server: what will be refused is refused before its body is sent") {
  HttpOptions options;
  options.identity.value_bytes_max = 2;
  const std::pair<const char*, int> cases[] = {
      {"PUT /v1/kv/k", 413}, {"PUT /nowhere", 404}, {"PATCH /v1/kv/k", 405}, {"PUT /v1/kv/k?x=1", 400}};
  for (const auto& one : cases) {
    const auto& [request, status] = one;
    CAPTURE(one.first);
    HttpFixture fixture(options);
    Client client(fixture);
    client.send(request + std::string(kHost) + "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    Response reply = client.next();
    CHECK(reply.status == status);
    CHECK(reply.field("connection") == "close");
    CHECK(client.closed());
    CHECK(fixture.asked == 0);
  }
}

TEST_CASE("server: a refused request's small body is skipped and the connection goes on") {
  HttpFixture fixture({}, scripted);
  Client client(fixture);
  client.send("PUT /nowhere" + std::string(kHost) + "Content-Length: 5000\r\n\r\n" + std::string(5000, 'x') +
              "PUT /v1/kv/k?x=1" + kHost + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n" +
              get("/v1/kv/a"));
  CHECK(client.next().status == 404);
  CHECK(client.next().status == 400);
  CHECK(client.next().body == "value of a");
}

TEST_CASE("server: HEAD has the length, but no body") {
  HttpFixture fixture({}, scripted);
  Client client(fixture);
  for (const char* target : {"/v1/kv/abc", "/v1/kv/missing", "/nowhere", "/metrics", "/v1/kv/late"}) {
    CAPTURE(target);
    Response full = client.send(get(target)).next();
    Response head = client.send("HEAD " + std::string(target) + kHost + "\r\n").next(true);
    CHECK(head.status == full.status);
    CHECK(head.fields.contains("content-length"));
    for (Response* reply : {&full, &head})
      CHECK(reply->fields.erase("date") == 1);  // a second may pass between them
    if (std::string(target) != "/metrics") CHECK(head.fields == full.fields);
  }
  CHECK(client.send(get("/v1/kv/abc")).next().body == "value of abc");  // nothing was left over
}

TEST_CASE("server: HTTP/1.0 without Host ends after its answer, unless it wants to go on") {
  HttpFixture fixture({}, scripted);
  Client once(fixture);
  Response reply = once.send("GET /v1/kv/a HTTP/1.0\r\n\r\n").next();
  CHECK(reply.body == "value of a");
  CHECK(reply.field("connection") == "close");
  CHECK(once.closed());
  Client again(fixture);
  for (int i = 0; i < 2; ++i) {
    reply = again.send("GET /v1/kv/a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").next();
    CHECK(reply.field("connection") == "keep-alive");
  }
}

TEST_CASE("server: Connection: close is honoured after the answers before it") {
  HttpFixture fixture;
  Client client(fixture);
  client.send(get("/v1/kv/a") + "GET /v1/kv/b" + kHost + "Connection: close\r\n\r\n" + get("/v1/kv/never"));
  fixture.run_until([&] { return fixture.held.size() == 2; });
  fixture.answer(fixture.held[1], KeyMissing{});
  fixture.answer(fixture.held[0], KeyMissing{});
  CHECK_FALSE(client.next().fields.contains("connection"));
  CHECK(client.next().field("connection") == "close");
  CHECK(client.closed());
  CHECK(fixture.asked == 2);
}

TEST_CASE("server: a client that ends its side still gets its answers") {
  HttpFixture fixture;
  Client client(fixture);
  client.send(get("/v1/kv/a") + get("/v1/kv/b")).end_sending();
  fixture.run_until([&] { return fixture.held.size() == 2; });
  fixture.settle();
  CHECK(fixture.cancelled.empty());
  fixture.answer(fixture.held[0], KeyMissing{});
  fixture.answer(fixture.held[1], KeyMissing{});
  CHECK(client.next().status == 404);
  CHECK(client.next().status == 404);
  CHECK(client.closed());
  CHECK_FALSE(client.was_reset());
}

TEST_CASE("server: a client that is gone cancels what it asked for, and late replies hurt nobody") {
  HttpFixture fixture;
  auto client = std::make_unique<Client>(fixture);
  client->send(get("/v1/kv/a") + get("/nowhere") + get("/v1/kv/b"));
  fixture.run_until([&] { return fixture.held.size() == 2; });
  client->reset();
  fixture.run_until([&] { return fixture.cancelled.size() == 2; });
  CHECK(fixture.cancelled[0] == fixture.held[1].id);  // the newest first
  CHECK(fixture.cancelled[1] == fixture.held[0].id);
  CHECK(fixture.server().drained());
  fixture.answer(fixture.held[0], KeyMissing{});
  fixture.settle();
  Client other(fixture);
  other.send(get("/v1/kv/c"));
  fixture.run_until([&] { return fixture.held.size() == 3; });
  CHECK(fixture.held[2].id != fixture.held[0].id);
  fixture.answer(fixture.held[1], KeyMissing{});
  fixture.answer(fixture.held[2], KeyMissing{});
  CHECK(other.next().status == 404);
}

TEST_CASE("server: request numbers leave the highest bit to the node") {
  HttpFixture fixture;
  Client client(fixture);
  client.send(get("/v1/kv/a"));
  fixture.run_until([&] { return fixture.held.size() == 1; });
  CHECK((fixture.held[0].id.value >> 63) == 0);
}

TEST_CASE("server: malformed requests are answered once, in their turn, and end the connection") {
  const std::pair<std::string, int> cases[] = {
      {"NONSENSE\r\n\r\n", 400},
      {"GET /v1/kv/a HTTP/1.1\r\n\r\n", 400},
      {"GET /v1/kv/%zz" + std::string(kHost) + "\r\n", 400},
      {"PUT /v1/kv/a" + std::string(kHost) +
           "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       400},
      {"PUT /v1/kv/a" + std::string(kHost) + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400},
      {"GET /v1/kv/" + std::string(20'000, 'a') + kHost + "\r\n", 414},
      {"GET /v1/kv/a" + std::string(kHost) + "X: " + std::string(20'000, 'a') + "\r\n\r\n", 431},
      {"GET / HTTP/2.0\r\n\r\n", 505},
      {"CONNECT host:80" + std::string(kHost) + "\r\n", 400},
  };
  for (const auto& one : cases) {
    const auto& [bytes, status] = one;
    CAPTURE(one.first.substr(0, 60));
    HttpFixture fixture;
    Client client(fixture);
    client.send(get("/v1/kv/first") + bytes + get("/v1/kv/never"));
    fixture.run_until([&] { return fixture.held.size() == 1; });
    fixture.answer(fixture.held[0], KeyMissing{});
    CHECK(client.next().status == 404);
    Response reply = client.next();
    CHECK(reply.status == status);
    CHECK(reply.field("content-type") == "application/problem+json");
    CHECK(reply.field("connection") == "close");
    CHECK(reply.field("kvd-revision") == "40");
    CHECK(client.closed());
    CHECK(fixture.asked == 1);
  }
}

TEST_CASE("server: an offered upgrade is not taken") {
  HttpFixture fixture({}, scripted);
  Client client(fixture);
  client.send("GET /v1/kv/a" + std::string(kHost) +
              "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n" + get("/v1/kv/b"));
  CHECK(client.next().body == "value of a");
  CHECK(client.next().body == "value of b");
}

TEST_CASE("server: ZooKeeper's four-letter words") {
  HttpFixture fixture({}, scripted);
  for (const char* bytes : {"ruok\n", "ruok", "ruok\r\n"}) {
    Client client(fixture);
    CHECK(client.send(bytes).rest() == "imok");
  }
  Client ended(fixture);
  ended.send("ruok").end_sending();
  CHECK(ended.rest() == "imok");
  Client split(fixture);
  for (const char* piece : {"s", "ta", "t\n"}) {
    split.send(piece);
    fixture.run_turns(3);
  }
  CHECK(contains(split.rest(), "Mode: follower\n"));
  Client monitor(fixture);
  CHECK(contains(monitor.send("mntr\n").rest(), "zk_server_state\tfollower\n"));
  Client unknown(fixture);
  CHECK(unknown.send("conf\n").next().status == 400);
  Client half(fixture);
  half.send("ru").end_sending();
  CHECK(half.closed());
}

TEST_CASE("server: large values arrive whole in both directions") {
  std::string value;
  for (int i = 0; i < 1 << 20; ++i) value += static_cast<char>(i * 31 >> 3);
  std::string stored;
  HttpFixture fixture({}, [&](const StoreCall& request) -> std::optional<Answer> {
    if (const auto* write = std::get_if<PutKey>(&request.operation)) {
      stored = std::string(write->value.view());
      return KeyWritten{true};
    }
    return KeyFound{Record("k", stored, {Revision(1), Revision(2), 1}), true};
  });
  Client client(fixture);
  CHECK(client.send(put("k", value)).next().status == 201);
  CHECK(stored == value);
  client.send(get("/v1/kv/k") + get("/nowhere") + get("/v1/kv/k"));
  CHECK(client.next().body == value);
  CHECK(client.next().status == 404);
  CHECK(client.next().body == value);
}

TEST_CASE("server: a graceful stop answers what is asked and says that it closes") {
  HttpFixture fixture;
  Client busy(fixture), idle(fixture);
  busy.send(get("/v1/kv/a") + get("/v1/kv/b"));
  fixture.run_until([&] { return fixture.held.size() == 2; });
  CHECK_FALSE(fixture.server().drained());
  fixture.server().stop_accepting();
  fixture.answer(fixture.held[0], KeyMissing{});
  CHECK_FALSE(busy.next().fields.contains("connection"));  // another answer follows
  fixture.answer(fixture.held[1], KeyMissing{});
  CHECK(busy.next().field("connection") == "close");
  CHECK(busy.closed());
  CHECK(fixture.server().drained());
  idle.send(get("/nowhere") + get("/v1/kv/never"));
  CHECK(idle.next().field("connection") == "close");
  CHECK(idle.closed());
  CHECK(fixture.asked == 2);
}

TEST_CASE("server: an address that is taken is an error with its reason") {
  HttpFixture fixture;
  HttpOptions options;
  options.listen = fixture.address();
  HttpServer second(
      fixture.loop(), options, [](NodeInput) {}, [](LogLine) {});
  Result<Address> started = second.start();
  REQUIRE_FALSE(started.has_value());
  CHECK(contains(started.error().detail, "in use"));
  second.close();
  fixture.settle();
  HttpOptions nowhere;
  nowhere.listen = Address{"no-such-host.invalid", 1};
  HttpServer third(
      fixture.loop(), nowhere, [](NodeInput) {}, [](LogLine) {});
  CHECK_FALSE(third.start().has_value());
  third.close();
  fixture.settle();
}

}  // namespace kvd::testing::http_server_test
