// Connections, listeners, dialers and timers on a real loop and real sockets of loopback: what each tells its owner,
// and that nobody is told anything after it has gone, whatever was under way. Waiting means running the loop until a
// condition holds or a generous deadline ends the test.
#include <doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <array>
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/address.hpp"
#include "net/dialer.hpp"
#include "net/listener.hpp"
#include "net/loop.hpp"
#include "net/stream.hpp"
#include "net_fixture.hpp"
#include "rig/free_port.hpp"

using namespace kvd;
using namespace kvd::testing;
using net::NextTurn;
using net::Resolver;

namespace {

int option_of(const Stream& stream, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  REQUIRE(getsockopt(stream.descriptor(), IPPROTO_TCP, name, &value, &size) == 0);
  return value;
}

}  // namespace

TEST_CASE_FIXTURE(Net, "two ends talk, and each knows the other one's address") {
  connect();
  CHECK(dialed == 0);
  const std::string question = "how are you", answer = "fine";
  dialer_end->send(question);
  run_until([&] { return accepted->received == question; });
  accepted->send(answer);
  run_until([&] { return dialer_end->received == answer; });
  run_until([&] { return dialer_end->written.size() == 1; });
  CHECK(dialer_end->written == std::vector<int>{0});
  CHECK(dialer_end->stream.remote().host() == "127.0.0.1");
  CHECK(dialer_end->stream.remote().port() == port);
  CHECK(accepted->stream.local().port() == port);
  CHECK(accepted->stream.remote().port() == dialer_end->stream.local().port());
  CHECK(accepted->ends.empty());
}

TEST_CASE_FIXTURE(Net,
                  "what is sent leaves at once on both sides, and who acknowledges nothing is given up") {
  connect();
  CHECK(option_of(dialer_end->stream, TCP_NODELAY) != 0);
  CHECK(option_of(accepted->stream, TCP_NODELAY) != 0);
  accepted->stream.end_unacknowledged_after(seconds(3));
  CHECK(option_of(accepted->stream, TCP_USER_TIMEOUT) == 3000);
  accepted->stream.keep_alive(60);
  CHECK(option_of(accepted->stream, TCP_KEEPIDLE) == 60);
}

TEST_CASE_FIXTURE(Net, "what the system does not take waits, and is counted") {
  connect();
  accepted->stream.stop_reading();
  const std::string much(kMuch, 'x');
  const uv_buf_t one = piece(much);
  const int taken = dialer_end->stream.try_write({&one, 1});
  REQUIRE(taken > 0);
  REQUIRE(static_cast<size_t>(taken) < much.size());
  const std::string rest = much.substr(static_cast<size_t>(taken));
  dialer_end->send(rest);
  CHECK(dialer_end->stream.unsent() > 0);
  CHECK(dialer_end->stream.try_write({&one, 1}) == 0);  // not before what waits
  CHECK(dialer_end->written.empty());
  CHECK(accepted->stream.start_reading() == 0);
  run_until([&] { return !dialer_end->written.empty(); });
  CHECK(dialer_end->stream.unsent() == 0);
  run_until([&] { return accepted->received.size() == much.size(); });
}

TEST_CASE_FIXTURE(Net, "the end of one side comes behind all that it wrote") {
  connect();
  const std::string much(kMuch, 'x');
  dialer_end->send(much);
  CHECK(dialer_end->stream.shut_down() == 0);
  run_until([&] { return !accepted->ends.empty(); });
  CHECK(accepted->received.size() == much.size());
  CHECK(accepted->ends == std::vector<int>{UV_EOF});
  const std::string answer = "bye";  // the other direction stands
  accepted->send(answer);
  run_until([&] { return dialer_end->received == answer; });
}

TEST_CASE_FIXTURE(Net, "closed is an end, reset is an error") {
  SUBCASE("closed") {
    connect();
    dialer_end->stream.close();
    CHECK_FALSE(dialer_end->stream.is_open());
    CHECK(dialer_end->stream.descriptor() == -1);
    run_until([&] { return !accepted->ends.empty(); });
    CHECK(accepted->ends == std::vector<int>{UV_EOF});
  }
  SUBCASE("reset") {
    connect();
    dialer_end->stream.reset();
    run_until([&] { return !accepted->ends.empty(); });
    CHECK(accepted->ends == std::vector<int>{UV_ECONNRESET});
  }
  SUBCASE("reset, behind the own end") {
    connect();
    CHECK(dialer_end->stream.shut_down() == 0);
    dialer_end->stream.reset();
    CHECK_FALSE(dialer_end->stream.is_open());
    run_until([&] { return !accepted->ends.empty(); });
    CHECK(accepted->ends.size() == 1);
  }
}

TEST_CASE_FIXTURE(Net, "writing to who has gone is an error, told to who wrote") {
  connect();
  dialer_end->stream.stop_reading();  // else it hears of it before
  accepted->stream.reset();
  const std::string text = "anybody there?";
  dialer_end->send(text);
  CHECK(dialer_end->written.empty());  // never at once
  run_until([&] { return !dialer_end->written.empty(); });
  CHECK(dialer_end->written.front() < 0);
  CHECK(dialer_end->ends.empty());
}

TEST_CASE_FIXTURE(Net, "writing after the connection has ended with an error is refused") {
  connect();
  accepted->stream.reset();
  run_until([&] { return !dialer_end->ends.empty(); });
  const std::string text = "anybody there?";
  const uv_buf_t one = piece(text);
  CHECK(dialer_end->stream.write({&one, 1}) < 0);
  CHECK(dialer_end->stream.try_write({&one, 1}) < 0);
}

TEST_CASE_FIXTURE(Net, "an owner may go in each of its calls, with its stream") {
  connect();
  const std::string text = "x", much(kMuch, 'x');
  accepted->then = [&] { accepted.reset(); };
  SUBCASE("bytes") { dialer_end->send(text); }
  SUBCASE("end") { dialer_end->stream.close(); }
  SUBCASE("written") { accepted->send(text); }
  SUBCASE("a write is under way") {
    dialer_end->stream.stop_reading();
    accepted->send(much);
    dialer_end->send(text);
  }
  run_until([&] { return !accepted; });
}

TEST_CASE_FIXTURE(Net, "nobody hears of a write that was under way when the stream was closed") {
  connect();
  accepted->stream.stop_reading();
  const std::string much(kMuch, 'x');
  dialer_end->send(much);
  dialer_end->stream.close();
  CHECK(accepted->stream.start_reading() == 0);
  run_until([&] { return !accepted->ends.empty(); });
  CHECK(dialer_end->written.empty());
}

TEST_CASE_FIXTURE(Net, "a port on which nobody listens is refused, by number and by name") {
  for (const char* host : {"127.0.0.1", "localhost"}) {
    dialed.reset();
    const auto dialer = dial(host, free_port());
    CHECK_FALSE(dialed);  // never at once
    run_until([&] { return dialed.has_value(); });
    CHECK(dialed == UV_ECONNREFUSED);
    CHECK(dialer->all_refused());
  }
}

TEST_CASE_FIXTURE(Net, "all addresses of a name are tried") {
  listen();  // on 127.0.0.1; localhost may be ::1 first
  const auto dialer = dial("localhost", port);
  run_until([&] { return dialed.has_value(); });
  CHECK(dialed == 0);
}

TEST_CASE_FIXTURE(Net, "what cannot even begin fails later, and is no refusal") {
  for (const char* host : {"no such name", "255.255.255.255"}) {
    dialed.reset();
    const auto dialer = dial(host, 1);
    CHECK_FALSE(dialed);
    run_until([&] { return dialed.has_value(); });
    CHECK(*dialed < 0);
    CHECK_FALSE(dialer->all_refused());
  }
}

TEST_CASE_FIXTURE(Net, "a dialer that has gone tells nothing") {
  listen();
  for (const char* host : {"127.0.0.1", "localhost", "no such name", "255.255.255.255"}) {
    for (const int turns : {0, 1}) {
      int calls = 0;
      std::optional<Dialer> dialer(std::in_place, loop.get(), host, port, [&](int, Stream) { ++calls; });
      for (int turn = 0; turn < turns; ++turn) uv_run(loop.get(), UV_RUN_NOWAIT);
      const int before = calls;
      dialer.reset();
      const auto other = dial("127.0.0.1", port);  // comes all the way meanwhile
      dialer_end.reset();
      run_until([&] { return dialer_end != nullptr; });
      CHECK(calls == before);
    }
  }
}

TEST_CASE_FIXTURE(Net, "a dialer may go in its call") {
  std::unique_ptr<Dialer> dialer;
  const auto done = [&](int status, Stream) {
    dialed = status;
    dialer.reset();
  };
  listen();
  for (const uint16_t to : {port, free_port()}) {
    dialed.reset();
    dialer = std::make_unique<Dialer>(loop.get(), "127.0.0.1", to, done);
    run_until([&] { return dialed.has_value(); });
  }
  CHECK_FALSE(dialer);
}

TEST_CASE_FIXTURE(Net, "a name becomes addresses; a resolver that has gone tells nothing") {
  std::vector<net::SocketAddress> found;
  std::optional<int> status;
  const Resolver::Done done = [&](int code, std::vector<net::SocketAddress> addresses) {
    status = code;
    found = std::move(addresses);
  };
  {
    Resolver resolver(loop.get(), done);
    REQUIRE(resolver.start("localhost", 7) == 0);
  }
  Resolver resolver(loop.get(), done);
  REQUIRE(resolver.start("127.0.0.2", 8) == 0);
  run_until([&] { return status.has_value(); });
  CHECK(status == 0);
  REQUIRE(found.size() == 1);
  CHECK(found[0].host() == "127.0.0.2");
  CHECK(found[0].port() == 8);
  CHECK(found[0].is_loopback());
}

TEST_CASE_FIXTURE(Net, "addresses as text") {
  const auto host_of = [](const char* text) {
    const auto address = net::SocketAddress::from_literal(text, 1);
    return address ? address->host() + (address->is_loopback() ? " loopback" : "") : "none";
  };
  CHECK(host_of("10.0.0.5") == "10.0.0.5");
  CHECK(host_of("127.9.9.9") == "127.9.9.9 loopback");
  CHECK(host_of("::1") == "::1 loopback");
  CHECK(host_of("2001:db8:0::5") == "2001:db8::5");
  CHECK(host_of("localhost") == "none");
  CHECK(net::SocketAddress().host().empty());
  CHECK(net::SocketAddress().port() == 0);
}

TEST_CASE_FIXTURE(Net, "a port that is taken, and a name that is none, are errors") {
  listen();
  Listener second(loop.get(), [](int, Stream) {});
  const auto taken = second.start("127.0.0.1", port, 8);
  REQUIRE_FALSE(taken.has_value());
  CHECK(taken.error().detail == "address already in use");
  Listener third(loop.get(), [](int, Stream) {});
  CHECK_FALSE(third.start("no such name", 0, 8).has_value());
}

TEST_CASE_FIXTURE(Net, "a listener may go in its call, and what it has accepted stays") {
  listener.emplace(loop.get(), [this](int, Stream stream) {
    accepted = std::make_unique<End>(std::move(stream), prepare_accepted);
    listener.reset();
  });
  port = *listener->start("127.0.0.1", 0, 8);
  const auto dialer = dial("127.0.0.1", port);
  run_until([&] { return accepted && dialer_end; });
  const std::string text = "x";
  dialer_end->send(text);
  run_until([&] { return accepted->received == text; });
}

TEST_CASE_FIXTURE(Net, "a timer rings once, starts anew, stops, and may go in its call") {
  int rings = 0;
  std::unique_ptr<Timer> timer = std::make_unique<Timer>(loop.get(), [&] {
    if (++rings == 2) timer.reset();
  });
  CHECK_FALSE(timer->running());
  timer->start(seconds(100));
  timer->start(Duration(1));
  CHECK(timer->running());
  run_until([&] { return rings == 1; });
  CHECK_FALSE(timer->running());
  timer->start(Duration(0));
  timer->stop();
  CHECK_FALSE(timer->running());
  timer->start(Duration(0));
  run_until([&] { return !timer; });
  CHECK(rings == 2);
}

TEST_CASE_FIXTURE(Net, "the next turn comes once for all who asked, and may be asked for again") {
  int turns = 0;
  std::unique_ptr<NextTurn> next;
  next = std::make_unique<NextTurn>(loop.get(), [&] {
    if (++turns < 3) return next->ask();
    next.reset();
  });
  next->ask();
  next->ask();
  CHECK(turns == 0);
  for (int turn = 1; turn <= 3; ++turn) {
    uv_run(loop.get(), UV_RUN_NOWAIT);
    CHECK(turns == turn);
  }
  CHECK_FALSE(next);
}
