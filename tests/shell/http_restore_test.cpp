// PUT /v1/snapshot on loopback, with a scripted node: what is written and in which order, and what remains of uploads
// that are refused, damaged, cut or given up.
#include <doctest.h>

#include <algorithm>
#include <map>

#include "core/queues/stored.hpp"
#include "core/replica/backup.hpp"
#include "core/replica/fences.hpp"
#include "http_fixture.hpp"
#include "msg/limits.hpp"

namespace kvd::testing::http_restore_test {

namespace {

constexpr size_t kBatchKeys = 1024;  // of small values

std::string bytes_of(const Store& store) {  // in several frames
  BackupWriter writer;
  std::string bytes;
  SnapshotPart part;
  part.cluster = "c";
  part.at = LogPosition{Epoch(3), Revision(40)};
  part.digest = store.digest();
  do {
    const bool first = part.items.empty();
    part.items = first ? store.items_behind(Space::kData, "", 10'000)
                       : store.items_behind(part.items.back().space(), part.items.back().key(), 10'000);
    part.more = !part.items.empty();
    writer.add(part, bytes);
  } while (part.more);
  return bytes;
}

std::string snapshot_of(size_t keys, size_t fences = 0) {
  Store store;
  for (size_t i = 0; i < keys; ++i) {
    store.put(Record("k" + std::to_string(100'000 + i), "value", {Revision(i + 1), Revision(i + 1), 1}));
  }
  for (size_t i = 0; i < fences; ++i)
    store.put(remember_token("lock-" + std::to_string(i), i + 1, Revision(i + 1)));
  store.put(Record("once", "an answer", {Revision(1), Revision(1), 1, Space::kRequests}));
  if (fences > 0) {  // what no fence looks like
    store.put(remember_token(std::string(limits::kFenceResourceBytes + 1, 'r'), 1, Revision(1)));
    store.put(Record("short", "1234567", {Revision(1), Revision(1), 1, Space::kFences}));
  }
  return bytes_of(store);
}

// A key, and a queue of messages.
std::string snapshot_with_queue(size_t messages) {
  Store store;
  store.put(Record("k", "value", {Revision(1), Revision(1), 1}));
  store.put(queue_record("q", {2, QueueConfig()}, nullptr, Revision(2)));
  StoredMessage message;
  message.body = "body";
  for (uint16_t i = 0; i < messages; ++i)
    store.put(message_record(message_key(2, {Revision(3), i}), message, Revision(3)));
  return bytes_of(store);
}

std::string put(const std::string& fields) {
  return "PUT /v1/snapshot HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n";
}
std::string put_whole(const std::string& body) {
  return put("Content-Length: " + std::to_string(body.size()) + "\r\n") + body;
}
std::string chunk(std::string_view bytes) {
  char size[16];
  std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  return size + std::string(bytes) + "\r\n";
}

// A server whose node writes every batch, or keeps them in fixture.held.
struct Restores {
  explicit Restores(HttpOptions options = {})
      : fixture(options, [this](const StoreCall& request) {
          const auto* batch = std::get_if<WriteBatch>(&request.operation);
          if (batch == nullptr) return std::optional<Answer>(KeyMissing{});
          batches.push_back(*batch);
          return verdict;
        }) {}
  // The next restore is taken and everything of it is written: nothing is left of those before.
  bool work() {
    verdict = BatchWritten{};
    const size_t before = batches.size();
    Client client(fixture);
    const Response reply = client.send(put_whole(whole)).next();
    return reply.status == 200 && batches.size() == before + 3 && batches[before].if_empty;
  }
  void hold() { verdict = std::nullopt; }
  void write_held() {
    for (const Call& call : std::exchange(fixture.held, {})) fixture.answer(call, BatchWritten{});
  }

  const std::string whole = snapshot_of(3000);
  std::optional<Answer> verdict = BatchWritten{};
  std::vector<WriteBatch> batches;
  HttpFixture fixture;
};

std::string replace_whole(const std::string& body) {
  return "PUT /v1/snapshot?replace=true HTTP/1.1\r\nHost: x\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

// A node that has keys, and answers at once: until `fails_at` requests have come, then nothing works any more.
struct Keys {
  Keys() : fixture({}, [this](const StoreCall& request) { return std::optional<Answer>(answer(request)); }) {}

  Answer answer(const StoreCall& request) {
    if (++asked > fails_at) return Failed{ErrorCode::kNoLeader, Outcome::kNotApplied, "no leader"};
    if (const auto* list = std::get_if<ListKeys>(&request.operation)) {
      linear &= request.read == ReadMode::kLinear;
      Listing listing;
      for (auto it = content.upper_bound(list->after); it != content.end() && !listing.more; ++it) {
        listing.items.push_back(Record(it->first, "", {Revision(1), Revision(1), 1}));
        listing.more = listing.items.size() == page && std::next(it) != content.end();
      }
      return listing;
    }
    if (std::holds_alternative<ListQueues>(request.operation)) return QueueList{};
    if (std::holds_alternative<ListTopics>(request.operation)) return TopicList{};
    const auto& batch = std::get<WriteBatch>(request.operation);
    CHECK_FALSE(batch.if_empty);
    CHECK(batch.ops.size() <= limits::kBatchOps);
    for (const BatchOp& op : batch.ops) {
      if (op.value) content[op.key] = op.value->view();
      if (!op.value) CHECK(content.erase(op.key) == 1);
      most = std::max(most, content.size());
    }
    return BatchWritten{};
  }
  Response replace(const std::string& snapshot) {
    Client client(fixture);
    return client.send(replace_whole(snapshot)).next();
  }
  // Some that the snapshot of 3000 keys has, some before, between and behind them.
  void fill() {
    content.clear();
    for (size_t i = 0; i < 3000; i += 2) content["k" + std::to_string(100'000 + i)] = "other";
    for (size_t i = 0; i < 1400; ++i) {
      for (const char* beside : {"a", "k10", "z"}) content[beside + std::to_string(i) + "x"] = "old";
    }
  }
  bool is_snapshot() const {
    return content.size() == 3000 && std::all_of(content.begin(), content.end(),
                                                 [](const auto& item) { return item.second == "value"; });
  }

  std::map<std::string, std::string, std::less<>> content;
  size_t page = 1000;
  size_t fails_at = SIZE_MAX;
  size_t asked = 0;
  size_t most = 0;
  bool linear = true;
  HttpFixture fixture;
};

bool not_applied(const Response& reply) {
  return reply.body.find("\"outcome\":\"not-applied\"") != std::string::npos;
}

}  // namespace

TEST_CASE("restore: a whole snapshot is written in batches, only the first of which wants an empty cluster") {
  Restores node;
  Client client(node.fixture);
  Response done = client.send(put_whole(node.whole)).next();
  CHECK(done.status == 200);
  CHECK(done.body == "{\"keys\":3000,\"queues\":0,\"topics\":0,\"messages\":0,\"revision\":40}\n");
  REQUIRE(node.batches.size() == 3);
  CHECK(node.batches[0].if_empty);
  CHECK_FALSE(node.batches[1].if_empty);
  CHECK_FALSE(node.batches[2].if_empty);
  CHECK(node.batches[0].ops.size() + node.batches[1].ops.size() + node.batches[2].ops.size() == 3000);
  CHECK(client.send(put_whole(node.whole)).next().status == 200);  // the connection serves on
}

TEST_CASE("restore: fences go along with the keys, and also alone") {
  size_t keys = 0;
  size_t batches = 0;
  SUBCASE("as many as keys") { keys = 3000, batches = 3; }
  SUBCASE("more than keys") { keys = 1, batches = 3; }
  SUBCASE("no keys") { keys = 0, batches = 3; }
  SUBCASE("more keys") { keys = 5000, batches = 5; }
  constexpr size_t kFences = 2500;
  Restores node;
  Client client(node.fixture);
  Response done = client.send(put_whole(snapshot_of(keys, kFences))).next();
  CHECK(done.status == 200);
  CHECK(done.body ==
        "{\"keys\":" + std::to_string(keys) + ",\"queues\":0,\"topics\":0,\"messages\":0,\"revision\":40}\n");
  REQUIRE(node.batches.size() == batches);
  CHECK(node.batches[0].if_empty);
  std::map<std::string, uint64_t> fences;
  size_t ops = 0;
  for (const WriteBatch& batch : node.batches) {
    CHECK(batch.fences.size() <= limits::kBatchOps);
    for (const Fence& fence : batch.fences) fences[fence.resource] = fence.token;
    ops += batch.ops.size();
  }
  CHECK(ops == keys);
  CHECK(fences.size() == kFences);
  for (size_t i = 0; i < kFences; ++i) CHECK(fences["lock-" + std::to_string(i)] == i + 1);
}

TEST_CASE("restore: what fails between fences is told as done in part") {
  Restores node;
  node.hold();
  Client client(node.fixture);
  client.send(put_whole(snapshot_of(0, 2000)));
  node.fixture.run_until([&] { return node.fixture.held.size() == 1; });
  node.verdict = Failed{ErrorCode::kNoLeader, Outcome::kNotApplied, "no leader"};
  node.write_held();
  CHECK(client.next().body.find("\"outcome\":\"unknown\"") != std::string::npos);
}

TEST_CASE("restore: the first batch goes alone, then eight at a time") {
  Restores node;
  node.hold();
  Client client(node.fixture);
  client.send(put_whole(snapshot_of(11 * kBatchKeys)));
  node.fixture.run_until([&] { return !node.fixture.held.empty(); });
  node.fixture.settle();
  CHECK(node.batches.size() == 1);
  node.write_held();
  node.fixture.run_until([&] { return node.batches.size() == 9; });
  node.fixture.settle();
  CHECK(node.batches.size() == 9);
  node.write_held();
  node.fixture.run_until([&] { return node.batches.size() == 11; });
  node.write_held();
  CHECK(client.next().status == 200);
}

TEST_CASE("restore: what fails is told, and how far it came") {
  Restores node;
  Client client(node.fixture);
  node.verdict = Failed{ErrorCode::kNotEmpty, Outcome::kNotApplied, "there are keys"};
  Response refused = client.send(put_whole(node.whole)).next();
  CHECK(refused.status == 409);
  CHECK(not_applied(refused));
  CHECK(node.batches.size() == 1);

  node.hold();
  client.send(put_whole(node.whole));
  node.fixture.run_until([&] { return node.fixture.held.size() == 1; });
  node.verdict = Failed{ErrorCode::kTimedOut, Outcome::kUnknown, "late"};
  node.write_held();
  Response failed = client.next();
  CHECK(failed.status == 504);
  CHECK(failed.body.find("1024 of 3000 keys") != std::string::npos);
  CHECK(failed.body.find("\"outcome\":\"unknown\"") != std::string::npos);
  CHECK(node.work());
}

TEST_CASE("restore: of what is cut or damaged nothing is written") {
  Restores node;
  const size_t size = node.whole.size();
  auto refused = [&](const std::string& body) {
    Client client(node.fixture);
    Response reply = client.send(put_whole(body)).next();
    return reply.status == 400 && not_applied(reply) && reply.body.find("bad-snapshot") != std::string::npos;
  };
  for (size_t length : {size_t{0}, size_t{1}, size_t{40}, size / 2, size - 1}) {
    CAPTURE(length);
    CHECK(refused(node.whole.substr(0, length)));
  }
  for (size_t at : {size_t{0}, size_t{30}, size / 2, size - 1}) {
    CAPTURE(at);
    std::string damaged = node.whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    CHECK(refused(damaged));
  }
  CHECK(refused(node.whole + "x"));
  CHECK(node.batches.empty());
  CHECK(node.work());
}

TEST_CASE("restore: a body in chunks of any size, and one that is not in chunks after all") {
  Restores node;
  for (size_t piece : {size_t{7}, size_t{5000}, node.whole.size()}) {
    CAPTURE(piece);
    std::string request = put("Transfer-Encoding: chunked\r\n");
    for (size_t at = 0; at < node.whole.size(); at += piece) request += chunk(node.whole.substr(at, piece));
    node.batches.clear();
    Client client(node.fixture);
    client.send(request + "0\r\n\r\nGET /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(client.next().status == 200);
    CHECK(client.next().status == 404);  // what follows is not part of it
    CHECK(node.batches.size() == 3);
  }
  node.batches.clear();
  Client broken(node.fixture);
  broken.send(put("Transfer-Encoding: chunked\r\n") + chunk(node.whole.substr(0, 5000)) + "nonsense");
  CHECK(broken.next().status == 400);
  CHECK(node.batches.empty());
  CHECK(node.work());
}

TEST_CASE("restore: who expects 100-continue gets it, or in its place the refusal") {
  Restores node;
  Client client(node.fixture);
  const std::string asks =
      "Expect: 100-continue\r\nContent-Length: " + std::to_string(node.whole.size()) + "\r\n";
  CHECK(client.send(put(asks)).next().status == 100);
  for (const char* other : {"", "Idempotency-Key: 1\r\n"}) {
    Client refused(node.fixture);
    Response reply = refused.send(put(asks + other)).next();
    CHECK(reply.status == (*other == '\0' ? 503 : 400));
    CHECK(not_applied(reply));
    CHECK(reply.field("connection") == "close");
    CHECK(refused.closed());
  }
  CHECK(client.send(node.whole).next().status == 200);
  CHECK(node.batches.size() == 3);
  Client chunked(node.fixture);
  CHECK(chunked.send(put("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n")).next().status == 100);
  CHECK(chunked.send(chunk("nonsense") + "0\r\n\r\n").next().status == 400);
  CHECK(node.work());
}

TEST_CASE("restore: one at a time, from the head of its request to its answer") {
  Restores node;
  node.hold();
  Client first(node.fixture);
  auto second = [&](const std::string& request) {
    Client client(node.fixture);
    Response reply = client.send(request).next();
    return reply.status == 503 && not_applied(reply);
  };
  first.send(put_whole(node.whole).substr(0, 200));
  node.fixture.settle();
  CHECK(second(put_whole(node.whole)));
  CHECK(second(put_whole("short")));
  // Another one on the same connection waits for its turn to be refused.
  first.send(put_whole(node.whole).substr(200) + put_whole("short"));
  while (node.batches.size() < 3) {
    node.fixture.run_until([&] { return !node.fixture.held.empty(); });
    CHECK(second(put_whole(node.whole)));
    node.write_held();
  }
  CHECK(first.next().status == 200);
  CHECK(first.next().status == 503);
  CHECK(node.work());
}

TEST_CASE("restore: behind a request that is not answered it is refused and keeps nobody out") {
  Restores node;
  node.hold();
  Client client(node.fixture);
  client.send("GET /v1/locks/l?wait=true HTTP/1.1\r\nHost: x\r\n\r\n");
  node.fixture.run_until([&] { return node.fixture.calls.size() == 1; });
  client.send(put_whole(node.whole));
  node.fixture.settle();
  CHECK(node.work());
  const RequestId first = node.fixture.calls[0].id;
  node.fixture.say({first, ServiceAnswer{ServiceStatus::kOk, Document()}, false, true});
  CHECK(client.next().status == 200);
  const Response refused = client.next();
  CHECK(refused.status == 503);
  CHECK(not_applied(refused));
}

TEST_CASE("restore: who leaves while it uploads leaves nothing behind") {
  HttpOptions options;
  options.held_bytes_max = 10'000;  // less than one of the pieces below
  Restores node(options);
  const std::string piece = put_whole(snapshot_of(10'000)).substr(0, 70'000);
  for (int round = 0; round < 5; ++round) {
    Client reset(node.fixture);
    reset.send(piece);
    node.fixture.settle();
    reset.reset();
    node.fixture.settle();
    for (const std::string& cut :
         {piece, put("Transfer-Encoding: chunked\r\n") + chunk(node.whole.substr(0, 70'000))}) {
      Client ended(node.fixture);
      ended.send(cut).end_sending();
      CHECK(ended.closed());  // the request is not whole, so there is no answer to it
    }
    CHECK(node.batches.empty());
    CHECK(node.work());
    node.batches.clear();
  }
  for (const LogLine& line : node.fixture.log) CHECK(line.level == LogLevel::kInfo);  // nobody held too much
}

TEST_CASE("restore: who leaves while it is written ends it") {
  Restores node;
  node.hold();
  Client client(node.fixture);
  client.send(put_whole(snapshot_of(4 * kBatchKeys)));
  node.fixture.run_until([&] { return node.batches.size() == 1; });
  node.write_held();
  node.fixture.run_until([&] { return node.batches.size() == 4; });
  client.reset();
  node.fixture.run_until([&] { return node.fixture.cancelled.size() == 4; });  // the request itself, as well
  for (const Call& call : node.fixture.held) {
    CHECK(std::count(node.fixture.cancelled.begin(), node.fixture.cancelled.end(), call.id) == 1);
  }
  node.write_held();  // late replies hurt nobody
  node.fixture.settle();
  node.batches.clear();
  CHECK(node.work());
}

TEST_CASE("restore: a client that ends its side behind the snapshot gets its answer") {
  Restores node;
  node.hold();
  Client client(node.fixture);
  client.send(put_whole(node.whole)).end_sending();
  while (node.batches.size() < 3) {
    node.fixture.run_until([&] { return !node.fixture.held.empty(); });
    node.write_held();
  }
  CHECK(client.next().status == 200);
  CHECK(client.closed());
  CHECK(node.work());
}

TEST_CASE("restore: a client that stops in the middle is told so") {
  HttpOptions options;
  options.receive = milliseconds(20);
  Restores node(options);
  Client client(node.fixture);
  Response reply = client.send(put_whole(node.whole).substr(0, 5000)).next();
  CHECK(reply.status == 408);
  CHECK(not_applied(reply));
  CHECK(node.batches.empty());
  CHECK(node.work());
}

TEST_CASE("restore: a snapshot larger than the server may hold is refused midway") {
  HttpOptions options;
  options.restore_bytes_max = 2'000'000;
  Restores node(options);
  Client client(node.fixture);
  // It goes on sending what nobody wants, and reads only then.
  Response reply = client.send(put_whole(snapshot_of(200'000))).next();
  CHECK(reply.status == 413);
  CHECK(not_applied(reply));
  CHECK(client.closed());
  CHECK_FALSE(client.was_reset());
  CHECK(node.batches.empty());
  CHECK(node.work());
}

TEST_CASE("restore: in place of what is there, whatever that is") {
  Keys node;
  const std::string whole = snapshot_of(3000, 5);
  SUBCASE("nothing") {
    CHECK(node.replace(whole).body ==
          "{\"keys\":3000,\"queues\":0,\"topics\":0,\"messages\":0,\"deleted\":0,\"revision\":40}\n");
  }
  SUBCASE("the same") {
    for (int twice : {0, 1}) {
      CAPTURE(twice);
      CHECK(node.replace(whole).body ==
            "{\"keys\":3000,\"queues\":0,\"topics\":0,\"messages\":0,\"deleted\":0,\"revision\":40}\n");
    }
  }
  SUBCASE("other keys, and some of the same") {
    node.fill();
    CHECK(node.replace(whole).body ==
          "{\"keys\":3000,\"queues\":0,\"topics\":0,\"messages\":0,\"deleted\":4200,\"revision\":40}\n");
    CHECK(node.most <= 5700);  // never larger than what was there
  }
  CHECK(node.is_snapshot());
  CHECK(node.linear);
}

TEST_CASE("restore: with a snapshot without keys, all that is there is deleted") {
  Keys node;
  node.fill();
  CHECK(node.replace(snapshot_of(0)).body ==
        "{\"keys\":0,\"queues\":0,\"topics\":0,\"messages\":0,\"deleted\":5700,\"revision\":40}\n");
  CHECK(node.content.empty());
}

TEST_CASE("restore: what fails while it replaces is told, and the same once more leads to the end") {
  const std::string whole = snapshot_of(3000);
  size_t requests = 0;
  {
    Keys node;
    node.fill();
    REQUIRE(node.replace(whole).status == 200);
    requests = node.asked;
  }
  for (size_t fails_at = 0; fails_at < requests; ++fails_at) {
    CAPTURE(fails_at);
    Keys node;
    node.fill();
    const auto before = node.content;
    node.fails_at = fails_at;
    const Response failed = node.replace(whole);
    CHECK(failed.status == 503);
    if (node.content == before) {
      CHECK(not_applied(failed));
    } else {
      CHECK(failed.body.find("\"outcome\":\"unknown\"") != std::string::npos);
      CHECK(failed.body.find("keys were certainly deleted and") != std::string::npos);
      CHECK(failed.body.find("replace=true") != std::string::npos);
    }
    CHECK_FALSE(node.is_snapshot());
    node.fails_at = SIZE_MAX;
    CHECK(node.replace(whole).status == 200);
    CHECK(node.is_snapshot());
  }
}

// Which makes queues and takes messages, but for the second batch of them when it is to fail.
Answer taken_of_queues(const StoreCall& request, size_t& sends, bool fails) {
  if (std::holds_alternative<WriteBatch>(request.operation)) return BatchWritten{};
  if (std::holds_alternative<Box<MakeQueue>>(request.operation)) return QueueMade{true};
  const auto& send = *std::get<Box<SendMessages>>(request.operation);
  if (++sends == 2 && fails) return Failed{ErrorCode::kTimedOut, Outcome::kUnknown, "late"};
  return Sent{static_cast<uint32_t>(send.messages.size()), {}};
}

TEST_CASE("restore: queues and their messages are counted, and how many were written when it fails") {
  for (const bool fails : {false, true}) {
    CAPTURE(fails);
    size_t sends = 0;
    HttpFixture fixture({}, [&](const StoreCall& request) {
      return std::optional<Answer>(taken_of_queues(request, sends, fails));
    });
    Client client(fixture);
    const Response reply = client.send(put_whole(snapshot_with_queue(2000))).next();
    CHECK(sends == 2);
    if (fails) {
      CHECK(reply.body.find("1 of 1 keys and 1024 of 2000 messages were certainly written") !=
            std::string::npos);
      CHECK(reply.body.find("\"outcome\":\"unknown\"") != std::string::npos);
    } else {
      CHECK(reply.body == "{\"keys\":1,\"queues\":1,\"topics\":0,\"messages\":2000,\"revision\":40}\n");
    }
  }
}

TEST_CASE("restore: damaged, it replaces nothing") {
  Keys node;
  node.fill();
  const auto before = node.content;
  std::string damaged = snapshot_of(3000);
  damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 1);
  CHECK(node.replace(damaged).status == 400);
  CHECK(node.content == before);
  CHECK(node.asked == 0);
}

TEST_CASE("restore: that the client has gone in its midst is in the log, with what to do") {
  Restores node;
  node.hold();
  {
    Client client(node.fixture);
    client.send(put_whole(node.whole));
    node.fixture.run_until([&] { return node.batches.size() == 1; });
    node.write_held();
    node.fixture.run_until([&] { return node.batches.size() == 3; });
    client.reset();
    node.fixture.run_until([&] { return node.fixture.log.size() == 1; });
  }
  const LogLine& line = node.fixture.log[0];
  CHECK(line.level == LogLevel::kWarn);
  CHECK(line.message.find("with replace=true") != std::string::npos);
  CHECK(line.fields[1] == std::pair<std::string, std::string>("written", "1024"));
}

}  // namespace kvd::testing::http_restore_test
