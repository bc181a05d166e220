// GET /v1/snapshot on loopback, with a scripted node: what goes out and when, and what slow,
// broken and impatient clients meet.
#include <doctest.h>

#include "core/replica/backup.hpp"
#include "http_fixture.hpp"

using namespace kvd;
using namespace kvd::testing;

namespace {

constexpr char kGet[] = "GET /v1/snapshot HTTP/1.1\r\nHost: x\r\n\r\n";

// A node with `count` values in its store, one in each part.
struct ScriptedStore {
  explicit ScriptedStore(size_t count, size_t value_bytes = 10) {
    for (size_t i = 0; i < count; ++i) {
      store.put(Record("k" + std::to_string(100 + i), std::string(value_bytes, 'v'),
                       {Revision(i + 1), Revision(i + 1), 1}));
    }
  }
  SnapshotPart part(const ReadSnapshot& read) const {
    SnapshotPart next;
    next.cluster = "c 1";
    next.at = LogPosition{Epoch(3), Revision(40)};
    next.items = store.items_behind(read.space, read.after, 1);
    next.more = !next.items.empty();
    next.digest = store.digest();
    next.complete = complete;
    return next;
  }
  HttpFixture::Script script() {
    return [this](const StoreCall& request) -> std::optional<Answer> {
      if (const auto* read = std::get_if<ReadSnapshot>(&request.operation)) {
        ++asked;
        return asked > cut_at ? Answer(Failed{ErrorCode::kOverloaded, Outcome::kNotApplied, "too slow"})
                              : Answer(part(*read));
      }
      return Answer(KeyMissing{});
    };
  }
  Store store;
  bool complete = true;
  size_t asked = 0;
  size_t cut_at = SIZE_MAX;
};

std::string wrong_with(const std::string& bytes, const Store& expected) {
  BackupReader reader;
  reader.feed(bytes);
  std::string wrong = reader.finish();
  if (wrong.empty() && reader.store().digest() != expected.digest()) wrong = "another store";
  return wrong;
}

std::string dechunked(std::string_view text) {
  std::string body;
  while (true) {
    size_t end = text.find("\r\n");
    if (end == std::string_view::npos) return body;
    size_t size = std::stoul(std::string(text.substr(0, end)), nullptr, 16);
    if (size == 0) return body;
    body += text.substr(end + 2, size);
    text.remove_prefix(end + 2 + size + 2);
  }
}
std::string body_of(const std::string& answer) { return answer.substr(answer.find("\r\n\r\n") + 4); }

}  // namespace

TEST_CASE("snapshot: it streams in parts, and the connection serves on") {
  ScriptedStore node(20);
  HttpFixture fixture({}, node.script());
  Client client(fixture);
  client.send(std::string(kGet) + "GET /v1/kv/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  std::string all = client.rest();
  CHECK(all.find("Transfer-Encoding: chunked\r\n") != std::string::npos);
  CHECK(all.find("Content-Type: application/octet-stream\r\n") != std::string::npos);
  CHECK(all.find("filename=\"kvd-c1-40.snapshot\"") != std::string::npos);
  CHECK(all.find("Kvd-Revision: 40\r\n") != std::string::npos);
  CHECK(all.find("Kvd-Complete") == std::string::npos);
  CHECK(wrong_with(dechunked(body_of(all)), node.store) == "");
  CHECK(all.find("HTTP/1.1 404") != std::string::npos);
  CHECK(node.asked == 21);
  CHECK(fixture.log.back().message == "has sent a backup");
}

TEST_CASE("snapshot: an HTTP/1.0 client reads until the end; an incomplete copy is marked") {
  ScriptedStore node(5);
  node.complete = false;
  HttpFixture fixture({}, node.script());
  Client client(fixture);
  std::string all = client.send("GET /v1/snapshot HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").rest();
  CHECK(all.find("Transfer-Encoding") == std::string::npos);
  CHECK(all.find("Content-Length") == std::string::npos);
  CHECK(all.find("Kvd-Complete: false\r\n") != std::string::npos);
  CHECK(all.find("Connection: close\r\n") != std::string::npos);
  CHECK(wrong_with(body_of(all), node.store) == "");
}

TEST_CASE("snapshot: HEAD has the head alone, and other methods are refused") {
  ScriptedStore node(5);
  HttpFixture fixture({}, node.script());
  Client client(fixture);
  Response head = client.send("HEAD /v1/snapshot HTTP/1.1\r\nHost: x\r\n\r\n").next(true);
  CHECK(head.status == 200);
  CHECK(head.field("content-disposition") == "attachment; filename=\"kvd-c1-40.snapshot\"");
  CHECK(node.asked == 1);
  Response refused = client.send("DELETE /v1/snapshot HTTP/1.1\r\nHost: x\r\n\r\n").next();
  CHECK(refused.status == 405);
  CHECK(client.send("GET /v1/snapshot?x=1 HTTP/1.1\r\nHost: x\r\n\r\n").next().status == 400);
}

TEST_CASE("snapshot: a client that reads nothing is waited for, and others are served meanwhile") {
  ScriptedStore node(60, 1u << 20);
  HttpFixture fixture({}, node.script());
  Client slow(fixture, 4096);
  slow.send(kGet);
  fixture.run_until([&] { return node.asked > 1; });
  for (int i = 0; i < 10; ++i) fixture.settle();
  size_t asked = node.asked;
  CHECK(asked < 20);  // what the kernel takes, and one part more
  Client other(fixture);
  CHECK(other.send("GET /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n").next().status == 404);
  for (int i = 0; i < 10; ++i) fixture.settle();
  CHECK(node.asked == asked);
  fixture.run_until([&] {
    slow.read_some();
    return node.asked > asked + 2;
  });
}

TEST_CASE("snapshot: what cannot go on is cut off, and a client that goes ends it") {
  ScriptedStore node(20);
  node.cut_at = 5;
  HttpFixture fixture({}, node.script());
  Client client(fixture);
  std::string all = client.send(kGet).rest();
  CHECK(client.was_reset());
  CHECK(wrong_with(dechunked(body_of(all)), node.store) != "");
  CHECK(fixture.log.back().message == "cut a backup off");

  ScriptedStore large(60, 1u << 20);
  HttpFixture second({}, large.script());
  Client gone(second, 4096);
  gone.send(kGet);
  second.run_until([&] { return large.asked > 1; });
  gone.reset();
  second.settle();
  size_t asked = large.asked;
  second.settle();
  CHECK(large.asked == asked);
  CHECK(asked < 60);
}
