// Requests that a client sends without waiting for the answers (RFC 9112, 9.3.2): which of them the node has at the
// same time, and what becomes of those that wait.
#include <doctest.h>

#include "http_fixture.hpp"

namespace kvd::testing::http_pipeline_test {

namespace {

constexpr char kHost[] = " HTTP/1.1\r\nHost: x\r\n";

std::string without_body(const std::string& line, const std::string& fields = "") {
  return line + kHost + fields + "\r\n";
}
std::string with_body(const std::string& line, const std::string& body, const std::string& fields = "") {
  return without_body(line, fields + "Content-Length: " + std::to_string(body.size()) + "\r\n") + body;
}
std::string get(const std::string& key) { return without_body("GET /v1/kv/" + key); }
std::string put(const std::string& key) { return with_body("PUT /v1/kv/" + key, "value"); }

const std::string kBatch = with_body("POST /v1/kv", R"({"ops":[{"delete":{"key":"a"}}]})");
const std::string kKeyed = with_body("PUT /v1/kv/a", "value", "Idempotency-Key: once\r\n");
const std::string kRemove = without_body("DELETE /v1/kv/a");
const std::string kRemoveAll = without_body("DELETE /v1/kv?prefix=a");
const std::string kList = without_body("GET /v1/kv?prefix=a");
const std::string kHead = without_body("HEAD /v1/kv/a");
const std::string kLinear = without_body("GET /v1/kv/a?read=linear");
const std::string kStatus = without_body("GET /v1/cluster");
const std::string kSettings = with_body("PUT /v1/cluster/settings", R"({"min_in_sync":1})");
const std::string kMove = without_body("POST /v1/cluster/leader");
const std::string kLock = without_body("POST /v1/locks/a?session=s");
const std::string kLocks = without_body("GET /v1/locks/a");
const std::string kHold = without_body("POST /v1/locks/a?hold=1");

size_t known(const HttpFixture& fixture) { return fixture.held.size() + fixture.calls.size(); }

Answer answer_to(const StoreCall& request) {
  if (std::holds_alternative<ReadKey>(request.operation)) return KeyMissing{};
  if (std::holds_alternative<ListKeys>(request.operation)) return Listing{};
  if (std::holds_alternative<PutKey>(request.operation)) return KeyWritten{true};
  if (std::holds_alternative<DeleteKey>(request.operation)) return KeyDeleted{};
  if (std::holds_alternative<DeletePrefix>(request.operation)) return PrefixDeleted{1};
  if (std::holds_alternative<WriteBatch>(request.operation)) return BatchWritten{};
  if (std::holds_alternative<ChangeSettings>(request.operation)) return SettingsChanged{1};
  if (std::holds_alternative<MoveLeader>(request.operation)) return LeaderMoved{ServerId{"b"}};
  return Status{};
}

// All that the node knows of.
void answer_all(HttpFixture& fixture) {
  for (const Call& call : std::exchange(fixture.held, {}))
    fixture.answer(call, answer_to(std::get<StoreCall>(call.what)));
  for (const Call& call : std::exchange(fixture.calls, {}))
    fixture.say({call.id, ServiceAnswer{ServiceStatus::kOk, Document()}, false, true});
}

void check_answer(Client& client, const std::string& request) {
  const bool head = request.starts_with("HEAD");
  const int status = client.next(head).status;
  CHECK((status / 100 == 2 || (status == 404 && (head || request.starts_with("GET")))));
}

}  // namespace

TEST_CASE(
    "pipelines: what is behind a request of another kind is not handed to the node before that is answered") {
  struct Pair {
    std::string first, second;
  };
  const Pair pairs[] = {
      {put("a"), get("a")}, {put("a"), kHead},      {put("a"), kList},     {put("a"), kLinear},
      {put("a"), kStatus},  {kRemove, get("a")},    {kRemoveAll, kList},   {kBatch, get("a")},
      {kKeyed, get("a")},   {get("a"), put("a")},   {kLinear, put("a")},   {kLinear, kRemove},
      {kLinear, kBatch},    {kLinear, kKeyed},      {kList, kRemoveAll},   {kHead, put("a")},
      {kSettings, kStatus}, {kSettings, kSettings}, {kSettings, put("a")}, {put("a"), kSettings},
      {kMove, put("a")},    {put("a"), kMove},      {kLock, put("a")},     {put("a"), kLock},
      {kLock, kLock},       {kLock, kLocks},        {kLocks, kLock},       {put("a"), kHold},
  };
  for (const Pair& pair : pairs) {
    CAPTURE(pair.first);
    CAPTURE(pair.second);
    HttpFixture fixture;
    Client client(fixture);
    client.send(pair.first + pair.second);
    fixture.run_until([&] { return known(fixture) == 1; });
    fixture.settle();
    CHECK(known(fixture) == 1);
    CHECK_FALSE(client.read_some());
    answer_all(fixture);
    check_answer(client, pair.first);
    fixture.run_until([&] { return known(fixture) == 1; });
    answer_all(fixture);
    check_answer(client, pair.second);
  }
}

TEST_CASE("pipelines: reads are under way together, and so are writes of keys, in their order") {
  HttpFixture fixture;
  Client reader(fixture), writer(fixture);
  std::string reads, writes;
  for (int i = 0; i < 8; ++i) reads += get("a") + kLinear + kList + kHead + kStatus;
  reader.send(reads);
  fixture.run_until([&] { return fixture.held.size() == 40; });
  answer_all(fixture);
  for (int i = 0; i < 40; ++i) CHECK(reader.next(i % 5 == 3).status != 0);
  for (int i = 0; i < 8; ++i) writes += put("a") + kRemove + kBatch + kKeyed + kRemoveAll;
  writer.send(writes);
  fixture.run_until([&] { return fixture.held.size() == 40; });
  for (size_t i = 1; i < 40; ++i) CHECK(comes_before(fixture.held[i - 1].id, fixture.held[i].id));
  answer_all(fixture);
  for (int i = 0; i < 40; ++i) CHECK(writer.next().status < 300);
}

TEST_CASE("pipelines: kinds in turn, more of them than may be in flight") {
  HttpOptions options;
  options.pipelined_max = 3;
  HttpFixture fixture(options, [](const StoreCall& request) { return std::optional(answer_to(request)); });
  Client client(fixture);
  std::string all;
  for (int i = 0; i < 50; ++i) all += put("a") + get("a") + get("b") + without_body("GET /nowhere") + kRemove;
  client.send(all).end_sending();
  for (int i = 0; i < 50; ++i) {
    for (int status : {201, 404, 404, 404, 204}) REQUIRE(client.next().status == status);
  }
  CHECK(client.closed());
  CHECK(fixture.asked == 200);
}

TEST_CASE("pipelines: nothing is done behind a stream before it ends, and its client's end is still seen") {
  for (const bool ends : {true, false}) {
    CAPTURE(ends);
    HttpFixture fixture;
    Client client(fixture);
    client.send(kHold + put("a") + get("a"));
    fixture.run_until([&] { return fixture.calls.size() == 1; });
    const RequestId stream = std::exchange(fixture.calls, {})[0].id;
    auto say = [&](bool last) {
      fixture.say({stream, ServiceAnswer{ServiceStatus::kOk, Document()}, true, last});
    };
    say(false);
    fixture.settle();
    CHECK(fixture.asked == 0);
    if (ends) {
      say(true);
      fixture.run_until([&] { return fixture.asked == 1; });
      answer_all(fixture);
      fixture.run_until([&] { return fixture.asked == 2; });
      answer_all(fixture);
      client.end_sending();
      const std::string all = client.rest();
      CHECK(all.find("0\r\n\r\nHTTP/1.1 201") < all.find("HTTP/1.1 404"));
    } else {
      client.end_sending();
      fixture.run_until([&] { return !fixture.cancelled.empty(); });
      CHECK(fixture.cancelled == std::vector<RequestId>{stream});
      CHECK(fixture.asked == 0);
    }
  }
}

TEST_CASE("pipelines: a client that ends its side behind a request that waits is served to the end") {
  HttpFixture fixture;
  Client client(fixture);
  client.send(put("a") + get("a") + get("b") + put("b")).end_sending();
  for (size_t asked : {1, 3, 4}) {
    fixture.run_until([&] { return fixture.asked == asked; });
    fixture.settle();
    CHECK(fixture.asked == asked);
    CHECK(fixture.cancelled.empty());
    answer_all(fixture);
  }
  for (int status : {201, 404, 404, 201}) CHECK(client.next().status == status);
  CHECK(client.closed());
  CHECK_FALSE(client.was_reset());
}

TEST_CASE("pipelines: a client that goes takes what waits with it") {
  HttpFixture fixture;
  Client client(fixture);
  client.send(put("a") + get("a"));
  fixture.run_until([&] { return fixture.held.size() == 1; });
  client.reset();
  fixture.run_until([&] { return !fixture.cancelled.empty(); });
  fixture.settle();
  CHECK(fixture.cancelled == std::vector<RequestId>{fixture.held[0].id});
  CHECK(fixture.asked == 1);
  CHECK(fixture.server().drained());
}

TEST_CASE("pipelines: a client that has to wait for kvd is not one that is slow") {
  HttpOptions options;
  options.idle = options.receive = options.head = milliseconds(20);
  HttpFixture fixture(options);
  Client client(fixture);
  const std::string last = get("c");
  client.send(put("a") + put("b") + get("a") + last.substr(0, 20));
  fixture.run_until([&] { return fixture.held.size() == 2; });
  const uint64_t begun = uv_now(fixture.loop());
  fixture.run_until([&] { return uv_now(fixture.loop()) > begun + 200; });
  CHECK(fixture.cancelled.empty());
  answer_all(fixture);
  CHECK(client.next().status == 201);
  CHECK(client.next().status == 201);
  fixture.run_until([&] { return fixture.held.size() == 1; });
  client.send(last.substr(20));
  fixture.run_until([&] { return fixture.held.size() == 2; });
  answer_all(fixture);
  CHECK(client.next().status == 404);
  CHECK(client.next().status == 404);
}

TEST_CASE("pipelines: what is sent behind a request that waits is left in the socket") {
  HttpOptions options;
  options.held_bytes_max = 300'000;  // more would cost the client its connection
  HttpFixture fixture(options);
  Client client(fixture);
  constexpr size_t kReads = 20'000;
  std::string all = put("a");
  for (size_t i = 0; i < kReads; ++i) all += get("a");
  client.send(all);
  fixture.run_until([&] { return fixture.held.size() == 1; });
  fixture.settle();
  CHECK(fixture.asked == 1);
  CHECK(fixture.log.empty());
  answer_all(fixture);
  CHECK(client.next().status == 201);
  for (size_t i = 0; i < kReads; ++i) {
    fixture.run_until(
        [&] { return client.read_some() || !fixture.held.empty() || !client.received().empty(); });
    answer_all(fixture);
    REQUIRE(client.next().status == 404);
  }
}

TEST_CASE("pipelines: a graceful stop does not begin what waits") {
  HttpFixture fixture;
  Client client(fixture);
  client.send(put("a") + get("a"));
  fixture.run_until([&] { return fixture.held.size() == 1; });
  fixture.settle();
  fixture.server().stop_accepting();
  answer_all(fixture);
  const Response reply = client.next();
  CHECK(reply.status == 201);
  CHECK(reply.field("connection") == "close");
  CHECK(client.closed());
  CHECK(fixture.asked == 1);
}

}  // namespace kvd::testing::http_pipeline_test
