// The HTTP client under the subcommands before a server on the same loop, which says byte by byte what is sent and
// when: how an answer is cut into lines, what counts as lost, and that a call may go at any moment.
#include "client/http_client.hpp"

#include <doctest.h>

#include <array>
#include <chrono>
#include <list>
#include <memory>
#include <string_view>
#include <utility>

#include "net/listener.hpp"

using namespace kvd;
using namespace kvd::client;

namespace {

constexpr auto kPatience = std::chrono::seconds(30);
const std::string kHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

// The server's end of a connection.
struct Peer final : net::StreamOwner {
  explicit Peer(net::Stream of) : stream(std::move(of)) {
    static std::array<char, 65'536> buffer;
    stream.attach(*this, buffer);
    REQUIRE(stream.start_reading() == 0);
  }
  void on_bytes(std::string_view bytes) override { received += bytes; }
  void on_end(int) override { ended = true; }
  void on_written(int) override { sending.clear(); }

  void send(std::string_view bytes) {  // at once, as far as the system takes it
    REQUIRE(sending.empty());
    uv_buf_t piece = uv_buf_init(const_cast<char*>(bytes.data()), static_cast<unsigned>(bytes.size()));
    const int taken = stream.try_write({&piece, 1});
    REQUIRE(taken >= 0);
    sending = bytes.substr(static_cast<size_t>(taken));
    if (sending.empty()) return;
    piece = uv_buf_init(sending.data(), static_cast<unsigned>(sending.size()));
    REQUIRE(stream.write({&piece, 1}) == 0);
  }

  net::Stream stream;
  std::string sending;  // the rest
  std::string received;
  bool ended = false;
};

struct Server {
  explicit Server(uv_loop_t* loop)
      : listener(loop, [this](int, net::Stream stream) { peers.emplace_back(std::move(stream)); }) {
    const Result<uint16_t> port = listener.start("127.0.0.1", 0, 16);
    REQUIRE(port.has_value());
    address = Address{"127.0.0.1", *port};
  }

  std::list<Peer> peers;
  Address address;
  net::Listener listener;
};

struct Fixture {
  net::Loop loop;
  Server server{loop.get()};
  HttpClient client{loop.get(), {server.address}, 1};
  std::vector<std::string> said;  // what the call has told, in order
  bool give_up = false;
  std::unique_ptr<HttpCall> call;

  HttpRequest request(bool stream) {
    HttpRequest request;
    request.method = "POST";
    request.target = [] { return "/a?b=c"; };
    request.stream = stream;
    return request;
  }
  HttpEvents events() {
    HttpEvents events;
    events.on_failed = [this](const std::string& why) {
      said.push_back("failed " + why.substr(why.find(": ") + 2));
      return !give_up;
    };
    events.on_answer = [this](const Response& answer) {
      said.push_back("answer " + std::to_string(answer.status) + " " + answer.body);
    };
    events.on_line = [this](const std::string& line) { said.push_back("line " + line); };
    events.on_end = [this](const std::string& why) { said.push_back("end " + why); };
    return events;
  }
  void start(HttpRequest request) { call = std::make_unique<HttpCall>(client, std::move(request), events()); }
  void start_stream() { start(request(true)); }

  void run_until(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    net::Timer waker(loop.get(), [] {});
    while (!condition()) {
      REQUIRE(std::chrono::steady_clock::now() < end);
      waker.start(milliseconds(2));
      uv_run(loop.get(), UV_RUN_ONCE);
    }
  }
  // The n-th connection, with the whole head of its request.
  Peer& peer(size_t number = 1) {
    run_until([&] {
      return server.peers.size() >= number &&
             server.peers.back().received.find("\r\n\r\n") != std::string::npos;
    });
    return server.peers.back();
  }
  void wait_for(const std::vector<std::string>& expected) {
    run_until([&] { return said.size() >= expected.size(); });
    CHECK(said == expected);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a request as the server reads it and its whole answer") {
  HttpRequest whole = request(false);
  whole.fields = "If-Match: \"7\"\r\n";
  whole.body = std::string(5 << 20, 'x');  // more than a socket takes at once
  start(std::move(whole));
  Peer& server_end = peer();
  const size_t head_end = server_end.received.find("\r\n\r\n") + 4;
  run_until([&] { return server_end.received.size() == head_end + (5 << 20); });
  CHECK(server_end.received.substr(0, head_end) ==
        "POST /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(server.address.port) +
            "\r\nConnection: close\r\nIf-Match: \"7\"\r\nContent-Length: 5242880\r\n\r\n");
  server_end.send("HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\nhe");
  server_end.send("llo");
  wait_for({"answer 404 hello"});
  run_until([&] { return server_end.ended; });
}

TEST_CASE_FIXTURE(Fixture, "lines are cut where they end and not where their pieces do") {
  start_stream();
  Peer& server_end = peer();
  for (const char c : kHead + "1\r\na\r\n3\r\nb\nc\r\n2\r\n\n\n\r\n") {
    server_end.send(std::string(1, c));
    uv_run(loop.get(), UV_RUN_NOWAIT);
  }
  server_end.send("4\r\nd\ne\n\r\n4\r\nlast\r\n0\r\n\r\n");
  wait_for({"line ab", "line c", "line ", "line d", "line e", "end the server ended it"});
}

TEST_CASE_FIXTURE(Fixture, "a whole stream in one piece") {
  start_stream();
  peer().send(kHead + "4\r\na\nb\n\r\n0\r\n\r\n");
  wait_for({"line a", "line b", "end the server ended it"});
}

TEST_CASE_FIXTURE(Fixture, "a stream that is refused is an answer") {
  start_stream();
  peer().send("HTTP/1.1 409 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na\n\r\n0\r\n\r\n");
  wait_for({"answer 409 a\n"});
}

TEST_CASE_FIXTURE(Fixture, "what comes behind an answer does not matter") {
  start(request(false));
  peer().send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\naHTTP/1.1 oh no");
  wait_for({"answer 200 a"});
}

TEST_CASE_FIXTURE(Fixture, "503 and lost connections and what is no HTTP are tried again") {
  start(request(false));
  peer(1).send("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
  peer(2).stream.close();
  peer(3).send("SSH-2.0\r\n");
  peer(4).send("HTTP/1.1 204 No\r\n\r\n");
  wait_for({"failed the server says 503", "failed the connection was closed", "failed protocol error",
            "answer 204 "});
}

TEST_CASE_FIXTURE(Fixture, "whether a try may have done what it asked") {
  const std::string refused = "HTTP/1.1 503 No\r\nContent-Length: 25\r\n\r\n{\"outcome\":\"not-applied\"}";
  start(request(false));
  CHECK_FALSE(call->may_be_done());
  peer(1);
  CHECK(call->may_be_done());  // until it is answered
  peer(1).send(refused);
  wait_for({"failed the server says 503"});
  CHECK_FALSE(call->may_be_done());
  peer(2).stream.close();
  wait_for({"failed the server says 503", "failed the connection was closed"});
  CHECK(call->may_be_done());
  peer(3).send(refused);  // that is about this try alone
  wait_for({"failed the server says 503", "failed the connection was closed", "failed the server says 503"});
  CHECK(call->may_be_done());
  start(request(false));
  peer(4).send("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
  run_until([&] { return said.size() == 4; });
  CHECK(call->may_be_done());  // nothing tells
  start(request(false));
  peer(5).send("HTTP/1.1 412 No\r\nContent-Length: 0\r\n\r\n");
  run_until([&] { return said.size() == 5; });
  CHECK_FALSE(call->may_be_done());
}

TEST_CASE_FIXTURE(Fixture, "a call whose owner gives up says nothing more") {
  give_up = true;
  start(request(false));
  Peer& server_end = peer();
  server_end.send("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
  wait_for({"failed the server says 503"});
  run_until([&] { return server_end.ended; });
  uv_run(loop.get(), UV_RUN_NOWAIT);
  CHECK(server.peers.size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "a server that says nothing is given up") {
  HttpRequest short_patience = request(false);
  short_patience.silence = milliseconds(20);
  start(std::move(short_patience));
  peer(2);
  CHECK(said.front() == "failed silent for 20 ms");
}

TEST_CASE_FIXTURE(Fixture, "a silent stream is lost but stays open until its owner is ready") {
  HttpRequest short_patience = request(true);
  short_patience.silence = milliseconds(20);
  start(std::move(short_patience));
  Peer& server_end = peer();
  server_end.send(kHead + "2\r\na\n\r\n");
  run_until([&] { return !said.empty() && said.back().starts_with("end"); });
  CHECK(said == std::vector<std::string>{"line a", "end silent for 20 ms"});
  server_end.send("2\r\nb\n\r\n");
  // Another call goes all the way meanwhile: what was sent before it has come.
  HttpCall other(client, request(false),
                 {nullptr, [this](const Response&) { said.push_back("other"); }, nullptr, nullptr});
  peer(2).send("HTTP/1.1 204 No\r\n\r\n");
  wait_for({"line a", "end silent for 20 ms", "other"});
  CHECK_FALSE(server_end.ended);
  call.reset();
  run_until([&] { return server_end.ended; });
}

TEST_CASE_FIXTURE(Fixture, "what came while this process stood still is read before silence is judged") {
  HttpRequest short_patience = request(true);
  short_patience.silence = milliseconds(400);
  start(std::move(short_patience));
  Peer& server_end = peer();
  server_end.send(kHead + "2\r\na\n\r\n");
  wait_for({"line a"});
  server_end.send("2\r\nb\n\r\n");
  uv_sleep(1000);
  wait_for({"line a", "line b"});
  run_until([&] { return said.size() == 3; });
  CHECK(said.back() == "end silent for 400 ms");
}

TEST_CASE_FIXTURE(Fixture, "a stream that its owner has no use for is asked for anew") {
  start_stream();
  Peer& first = peer();
  first.send(kHead + "2\r\na\n\r\n");
  wait_for({"line a"});
  call->try_again();
  peer(2).send(kHead + "2\r\nb\n\r\n");
  wait_for({"line a", "line b"});
  CHECK(first.ended);
}

TEST_CASE_FIXTURE(Fixture, "a call may go while it tells a line") {
  HttpEvents going = events();
  going.on_line = [this](const std::string& line) {
    said.push_back("line " + line);
    call.reset();
  };
  call = std::make_unique<HttpCall>(client, request(true), going);
  Peer& server_end = peer();
  server_end.send(kHead + "4\r\na\nb\n\r\n0\r\n\r\n");
  run_until([&] { return server_end.ended; });
  CHECK(said == std::vector<std::string>{"line a"});
}

TEST_CASE_FIXTURE(Fixture, "a call may be tried again while it tells a line") {
  HttpEvents again = events();
  again.on_line = [this](const std::string& line) {
    said.push_back("line " + line);
    if (line == "a") call->try_again();
  };
  call = std::make_unique<HttpCall>(client, request(true), again);
  peer(1).send(kHead + "4\r\na\nb\n\r\n0\r\n\r\n");
  peer(2).send(kHead + "2\r\nc\n\r\n0\r\n\r\n");
  wait_for({"line a", "line c", "end the server ended it"});
}

TEST_CASE_FIXTURE(Fixture, "a line without an end is too much at some point") {
  start_stream();
  peer().send(kHead + "200000\r\n" + std::string(2 << 20, 'x'));
  wait_for({"end a line of too many bytes"});
}

TEST_CASE_FIXTURE(Fixture, "servers that cannot be reached for different reasons") {
  // No route, no listener, no such name; and then one that answers.
  client = HttpClient(
      loop.get(),
      {Address{"255.255.255.255", 1}, Address{"127.0.0.1", 1}, Address{"no such name", 1}, server.address},
      1);
  start(request(false));
  peer().send("HTTP/1.1 204 No\r\n\r\n");
  run_until([&] { return said.size() == 4; });
  for (int i = 0; i < 3; ++i) CHECK(said[static_cast<size_t>(i)].starts_with("failed "));
  CHECK(said[1] == "failed connection refused");
  CHECK(said.back() == "answer 204 ");
  CHECK_FALSE(call->tried_all());
  // The next call begins where this one has ended.
  HttpCall next(client, request(false), events());
  peer(2).send("HTTP/1.1 204 No\r\n\r\n");
  run_until([&] { return said.size() == 5; });
  CHECK(said.back() == "answer 204 ");
}

TEST_CASE_FIXTURE(Fixture, "a call may go before it has begun and while it connects") {
  start(request(false));
  call.reset();
  start(request(false));
  uv_run(loop.get(), UV_RUN_NOWAIT);
  call.reset();
  uv_run(loop.get(), UV_RUN_NOWAIT);
  CHECK(said.empty());
}
