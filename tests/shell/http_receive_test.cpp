// Messages of queues on a real socket: who waits for some has to be there when they come, and what is sent and received
// as it is.
#include <doctest.h>

#include "http_fixture.hpp"

namespace kvd::testing::http_receive_test {

namespace {

constexpr char kWait[] = "POST /v1/queues/q/receive?wait=60000 HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr char kReceive[] = "POST /v1/queues/q/receive HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr char kRead[] = "GET /v1/kv/k HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr char kRemove[] = "DELETE /v1/kv/k HTTP/1.1\r\nHost: x\r\n\r\n";

std::string send_of(const std::string& body, const std::string& fields = "") {
  return "POST /v1/queues/q/messages HTTP/1.1\r\nHost: x\r\n" + fields +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// What the node was asked, once it has `count` requests.
Call asked(HttpFixture& fixture, size_t count = 1) {
  fixture.run_until([&] { return fixture.held.size() == count; });
  return fixture.held.back();
}
template <class T>
T operation(const Call& call) {
  const auto& boxed = std::get<StoreCall>(call.what).operation;
  REQUIRE(std::holds_alternative<Box<T>>(boxed));
  return *std::get<Box<T>>(boxed);
}

}  // namespace

TEST_CASE("receives: the end of the client's side ends one that waits") {
  for (const bool orderly : {true, false}) {
    CAPTURE(orderly);
    HttpFixture fixture;
    Client client(fixture);
    client.send(kWait);
    const Call call = asked(fixture);
    CHECK(operation<ReceiveMessages>(call).wait == seconds(60));
    if (orderly) {
      client.end_sending();
    } else {
      client.reset();
    }
    fixture.run_until([&] { return !fixture.cancelled.empty(); });
    CHECK(fixture.cancelled == std::vector<RequestId>{call.id});
    fixture.answer(call, Box(Received{}));  // on its way to nobody
    fixture.settle();
  }
}

TEST_CASE("receives: one that does not wait is answered after the client's last word") {
  HttpFixture fixture;
  Client client(fixture);
  client.send(kReceive);
  const Call call = asked(fixture);
  client.end_sending();
  fixture.settle();
  CHECK(fixture.cancelled.empty());
  fixture.answer(call, Box(Received{}));
  CHECK(client.next().status == 204);
  CHECK(client.closed());
}

TEST_CASE(
    "receives: one whose client has gone before its turn is not asked for, and what is before it is "
    "answered") {
  HttpFixture fixture;
  Client client(fixture);
  client.send(std::string(kRead) + kWait);
  const Call read = asked(fixture);
  client.end_sending();
  fixture.settle();
  CHECK(fixture.held.size() == 1);
  CHECK(fixture.cancelled.empty());
  fixture.answer(read, KeyMissing{});
  CHECK(client.next().status == 404);
  CHECK(client.closed());
  CHECK_FALSE(client.was_reset());
  CHECK(fixture.asked == 1);
}

TEST_CASE("receives: nothing is done behind one before it is answered") {
  HttpFixture fixture;
  Client client(fixture);
  client.send(std::string(kWait) + kRemove);
  const Call waiting = asked(fixture);
  fixture.settle();
  CHECK(fixture.held.size() == 1);
  fixture.answer(waiting, Box(Received{}));
  CHECK(client.next().status == 204);
  const Call remove = asked(fixture, 2);
  fixture.answer(remove, KeyDeleted{});
  CHECK(client.next().status == 204);

  client.send(std::string(kReceive) + kRemove);
  asked(fixture, 3);
  fixture.settle();
  CHECK(fixture.held.size() == 3);
  fixture.answer(fixture.held[2], Box(Received{}));
  CHECK(client.next().status == 204);
  asked(fixture, 4);
  fixture.answer(fixture.held[3], KeyDeleted{});
  CHECK(client.next().status == 204);
}

TEST_CASE("receives: a message comes out as it was sent, and so does an empty one") {
  HttpOptions options;
  options.identity.value_bytes_max = 10;
  HttpFixture fixture(options);
  Client client(fixture);
  for (const std::string& body : {std::string("0123\0\xff 89", 9), std::string()}) {
    fixture.held.clear();
    client.send(send_of(body, "Content-Type: image/x; a=\"b\"\r\n"));
    const Call sent = asked(fixture);
    const NewMessage message = operation<SendMessages>(sent).messages.at(0);
    CHECK(message.body.view() == body);
    CHECK(message.type == "image/x; a=\"b\"");
    fixture.answer(sent, Sent{1, {}});
    Response response = client.next();
    CHECK(response.status == 201);
    CHECK(response.body == "{\"id\":\"40\",\"revision\":40}\n");

    fixture.held.clear();
    client.send("POST /v1/queues/q/receive?raw=1 HTTP/1.1\r\nHost: x\r\n\r\n");
    Received received;
    QueuedMessage& granted = received.messages.emplace_back();
    granted.id = MessageId{Revision(40), 0};
    granted.receipt = 41;
    granted.attempt = 1;
    granted.type = message.type;
    granted.body = message.body;
    fixture.answer(asked(fixture), Box(std::move(received)));
    response = client.next();
    CHECK(response.status == 200);
    CHECK(response.body == body);
    CHECK(response.field("content-type") == "image/x; a=\"b\"");
    CHECK(response.field("kvd-message-id") == "40");
    CHECK(response.field("kvd-receipt") == "41");
    CHECK(response.field("kvd-attempt") == "1");
  }
  client.send(send_of("0123456789a"));
  const Response response = client.next();
  CHECK(response.status == 413);
  CHECK(response.body.find("a message") != std::string::npos);
  CHECK(response.body.find("\"outcome\":\"not-applied\"") != std::string::npos);
}

}  // namespace kvd::testing::http_receive_test
