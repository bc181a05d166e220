// The peer channel on loopback: two ends that talk, and every way in which what is on the other side is
// absent, silent, foreign or too slow. One thread, one loop; waiting means running the loop until a condition
// holds or a generous deadline ends the test.
#include "shell/peers/peer_links.hpp"

#include <arpa/inet.h>
#include <doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <optional>

#include "msg/limits.hpp"
#include "msg/text.hpp"
#include "rig/free_port.hpp"
#include "tls_fixture.hpp"

using namespace kvd;

namespace {

constexpr auto kPatience = std::chrono::seconds(30);

class Loop {
 public:
  Loop() {
    signal(SIGPIPE, SIG_IGN);
    REQUIRE(uv_loop_init(&loop_) == 0);
    REQUIRE(uv_timer_init(&loop_, &ticker_) == 0);
    uv_timer_start(
        &ticker_, [](uv_timer_t*) {}, 1, 5);
  }
  ~Loop() {
    uv_close(reinterpret_cast<uv_handle_t*>(&ticker_), nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);  // ends only when nobody left a handle open
    CHECK(uv_loop_close(&loop_) == 0);
  }
  void run_until(const std::function<bool()>& condition) {
    auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
      REQUIRE_MESSAGE(std::chrono::steady_clock::now() < deadline, "waited in vain");
      uv_run(&loop_, UV_RUN_ONCE);
    }
  }
  uv_loop_t* get() { return &loop_; }

 private:
  uv_loop_t loop_;
  uv_timer_t ticker_;
};

// One server's end of the channel, and what its node was told.
struct Station {
  explicit Station(Loop& loop_of, uint16_t port = kvd::testing::free_port(), const TlsKeeper* tls = nullptr)
      : loop(loop_of),
        address{"127.0.0.1", port},
        links(
            loop.get(), address, [this](NodeInput input) { note(std::move(input)); },
            [this](LogLine line) { log.push_back(to_text(NodeEffect(line))); }, limits::kLinks, tls) {}

  void note(NodeInput input) {
    if (auto* m = std::get_if<LinkAccepted>(&input)) {
      accepted.push_back(m->link);
      names = m->names;
    }
    if (auto* m = std::get_if<LinkOpened>(&input)) {
      opened.push_back(m->link);
      names = m->names;
    }
    if (auto* m = std::get_if<LinkReceived>(&input)) received.push_back(std::move(*m));
    if (auto* m = std::get_if<LinkEnded>(&input)) ended.push_back(std::move(*m));
  }
  void start() { REQUIRE(links.start().has_value()); }
  void send(LinkId link, PeerMessage message) {
    links.perform(LinkSend{link, std::move(message)});
    links.flush();
  }
  LinkEnded wait_for_end() {
    loop.run_until([this] { return !ended.empty(); });
    return ended.front();
  }

  Loop& loop;
  Address address;
  std::vector<LinkId> accepted, opened;
  std::vector<LinkReceived> received;
  std::vector<LinkEnded> ended;
  std::vector<std::string> log;
  std::vector<std::string> names;  // of the newest one's certificate
  PeerLinks links;
};

// A socket without any manners.
class RawSocket {
 public:
  RawSocket() : fd_(socket(AF_INET, SOCK_STREAM, 0)) { REQUIRE(fd_ >= 0); }
  explicit RawSocket(int fd) : fd_(fd) { REQUIRE(fd_ >= 0); }
  ~RawSocket() { close(fd_); }
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;

  void connect_to(const Address& to) {
    sockaddr_in name = socket_address(to);
    REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0);
  }
  void listen_on(const Address& at) {
    sockaddr_in name = socket_address(at);
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0);
    REQUIRE(::listen(fd_, 8) == 0);
  }
  void send(std::string_view bytes) {
    REQUIRE(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
  }
  void half_close() { REQUIRE(::shutdown(fd_, SHUT_WR) == 0); }
  // The other side closed or reset; what came before is dropped.
  bool at_end() {
    char bytes[4096];
    ssize_t size = ::recv(fd_, bytes, sizeof bytes, MSG_DONTWAIT);
    return size == 0 || (size < 0 && errno == ECONNRESET);
  }
  int fd() const { return fd_; }

 private:
  static sockaddr_in socket_address(const Address& address) {
    sockaddr_in name{};
    REQUIRE(uv_ip4_addr(address.host.c_str(), address.port, &name) == 0);
    return name;
  }
  int fd_;
};

Hello hello(const std::string& from, const std::string& to) {
  Hello message;
  message.from = ServerInfo{Member{ServerId{from}, Incarnation(7)}, Address{"h", 1}, Address{"h", 2}};
  message.to = ServerId{to};
  return message;
}

TakeOver take_over(uint64_t number) {
  TakeOver message;
  message.epoch = Epoch(number);
  return message;
}

SnapshotChunk chunk(size_t bytes) {
  SnapshotChunk message;
  message.items.emplace_back("k", std::string(bytes, 'x'), Record::Metadata{});
  return message;
}

std::string frame(const PeerMessage& message) {
  std::string bytes;
  encode_frame(message, bytes);
  return bytes;
}

// a dials b, and both have said hello.
struct Pair {
  Pair() : a(loop), b(loop) {
    b.start();
    a.links.perform(LinkDial{LinkId(1), b.address});
    loop.run_until([this] { return !a.opened.empty() && !b.accepted.empty(); });
    a.send(LinkId(1), hello("a", "b"));
    b.send(LinkId(2), hello("b", "a"));
    loop.run_until([this] { return a.received.size() == 1 && b.received.size() == 1; });
  }
  Loop loop;
  Station a, b;
};

}  // namespace

TEST_CASE("two ends exchange messages in order, many in one turn") {
  Pair pair;
  CHECK(pair.b.accepted == std::vector<LinkId>{LinkId(2)});
  CHECK(pair.b.received[0].link == LinkId(2));
  CHECK(to_text(pair.b.received[0].message) == to_text(PeerMessage(hello("a", "b"))));
  CHECK(to_text(pair.a.received[0].message) == to_text(PeerMessage(hello("b", "a"))));

  constexpr size_t kCount = 20'000;  // more than one turn takes from a link
  for (uint64_t i = 0; i < kCount; ++i) pair.a.links.perform(LinkSend{LinkId(1), take_over(i)});
  pair.a.links.flush();
  pair.loop.run_until([&] { return pair.b.received.size() == kCount + 1; });
  for (uint64_t i = 0; i < kCount; ++i) {
    const auto* message = std::get_if<TakeOver>(&pair.b.received[i + 1].message);
    REQUIRE(message != nullptr);
    REQUIRE(message->epoch == Epoch(i));
  }
  CHECK(pair.a.ended.empty());
  CHECK(pair.b.log.empty());
}

TEST_CASE("large frames pass whole") {
  Pair pair;
  for (size_t size : {size_t{1}, size_t{3} << 20, limits::kFrameBytes - 100}) {
    pair.b.received.clear();
    pair.a.send(LinkId(1), chunk(size));
    pair.loop.run_until([&] { return !pair.b.received.empty(); });
    const auto* message = std::get_if<SnapshotChunk>(&pair.b.received[0].message);
    REQUIRE(message != nullptr);
    CHECK(message->items.at(0).value().size() == size);
  }
}

TEST_CASE("a link that is closed after a send delivers what was sent") {
  Pair pair;
  constexpr size_t kSize = 24u << 20;                       // much more than the sockets' buffers
  pair.b.links.perform(LinkSend{LinkId(2), take_over(1)});  // on its way towards who closes
  pair.a.links.perform(LinkSend{LinkId(1), chunk(kSize)});
  pair.a.links.perform(LinkSend{LinkId(1), take_over(9)});
  pair.a.links.perform(LinkClose{LinkId(1)});
  pair.a.links.perform(LinkSend{LinkId(1), take_over(10)});  // too late: ignored
  pair.a.links.flush();
  pair.b.links.flush();
  CHECK(pair.b.wait_for_end().why == LinkEnd::kReset);
  REQUIRE(pair.b.received.size() == 3);
  CHECK(to_text(pair.b.received[2].message) == to_text(PeerMessage(take_over(9))));
  CHECK(pair.a.ended.empty());  // it closed the link itself
}

TEST_CASE("the end of one side is seen by the other one") {
  Pair pair;
  pair.a.links.close();
  LinkEnded end = pair.b.wait_for_end();
  CHECK(end.link == LinkId(2));
  CHECK(end.why == LinkEnd::kReset);
  pair.b.links.perform(LinkSend{LinkId(2), take_over(1)});  // gone: ignored
  pair.b.links.perform(LinkClose{LinkId(2)});
}

TEST_CASE("dialing nobody is refused, by number and by name") {
  Loop loop;
  Station a(loop);
  Address nobody{"127.0.0.1", kvd::testing::free_port()};
  a.links.perform(LinkDial{LinkId(1), nobody});
  CHECK(a.ended.empty());  // never from inside an order
  CHECK(a.wait_for_end().why == LinkEnd::kRefused);

  a.ended.clear();
  nobody.host = "localhost";
  a.links.perform(LinkDial{LinkId(3), nobody});
  CHECK(a.wait_for_end().why == LinkEnd::kRefused);
  CHECK(a.opened.empty());
}

TEST_CASE("a name is resolved, and all of its addresses are tried") {
  Loop loop;
  Station a(loop), b(loop);
  b.start();
  a.links.perform(LinkDial{LinkId(1), Address{"localhost", b.address.port}});
  loop.run_until([&] { return !a.opened.empty(); });
}

TEST_CASE("no such name, and nobody who answers: unreachable") {
  Loop loop;
  Station a(loop);
  a.links.perform(LinkDial{LinkId(1), Address{"no such name", 1}});
  CHECK(a.wait_for_end().why == LinkEnd::kUnreachable);

  // A full accept queue drops the next connection's first packet: it is never answered.
  RawSocket listener;
  Address silent{"127.0.0.1", kvd::testing::free_port()};
  listener.listen_on(silent);
  REQUIRE(::listen(listener.fd(), 0) == 0);
  RawSocket first, second;
  first.connect_to(silent);
  fcntl(second.fd(), F_SETFL, O_NONBLOCK);
  sockaddr_in name{};
  uv_ip4_addr(silent.host.c_str(), silent.port, &name);
  ::connect(second.fd(), reinterpret_cast<sockaddr*>(&name), sizeof name);
  a.ended.clear();
  a.links.perform(LinkDial{LinkId(3), silent});
  LinkEnded end = a.wait_for_end();
  CHECK(end.why == LinkEnd::kUnreachable);
  CHECK(end.detail == "no connection within 1000 ms");
}

TEST_CASE("a link that is closed while it is dialed ends without a word") {
  Loop loop;
  Station a(loop), b(loop);
  b.start();
  for (uint64_t i = 0; i < 4; ++i) {
    Address to{i % 2 == 0 ? "127.0.0.1" : "localhost", b.address.port};
    a.links.perform(LinkDial{LinkId(2 * i + 1), to});
    a.links.perform(LinkClose{LinkId(2 * i + 1)});
  }
  a.links.perform(LinkDial{LinkId(99), b.address});
  loop.run_until([&] { return !a.opened.empty(); });
  CHECK(a.opened == std::vector<LinkId>{LinkId(99)});
  CHECK(a.ended.empty());
}

TEST_CASE("strangers are recognised by their first bytes") {
  std::string oversized = frame(hello("x", "b"));
  oversized[3] = 0x7f;
  std::string foreign = frame(hello("x", "b"));
  foreign[8] ^= 1;  // another version's magic
  const std::string cases[] = {"GET / HTTP/1.1\r\nHost: b\r\n\r\n",
                               std::string("\0\0\0\0\0", 5),
                               oversized,
                               foreign,
                               frame(take_over(1)),
                               std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11)};
  for (const std::string& bytes : cases) {
    CAPTURE(bytes);
    Loop loop;
    Station b(loop);
    b.start();
    RawSocket stranger;
    stranger.connect_to(b.address);
    stranger.send(bytes);
    LinkEnded end = b.wait_for_end();
    CHECK(end.why == LinkEnd::kProtocol);
    CHECK(end.link == LinkId(2));
    CHECK(b.received.empty());
    REQUIRE(b.log.size() == 1);
    CHECK(b.log[0].find(end.detail) != std::string::npos);
    loop.run_until([&] { return stranger.at_end(); });
  }
}

TEST_CASE("garbage behind a good beginning ends the link; what was whole had arrived") {
  const std::string length_of_a_giant("\xff\xff\xff\xff", 4);
  const std::string unknown_type("\x02\0\0\0\xee\0", 6);
  for (const std::string& garbage : {length_of_a_giant, unknown_type, std::string(4, '\0')}) {
    Loop loop;
    Station b(loop);
    b.start();
    RawSocket peer;
    peer.connect_to(b.address);
    peer.send(frame(hello("x", "b")) + frame(take_over(5)) + garbage);
    CHECK(b.wait_for_end().why == LinkEnd::kProtocol);
    CHECK(b.received.size() == 2);
  }
}

TEST_CASE("half a frame and then the end") {
  Loop loop;
  Station b(loop);
  b.start();
  RawSocket peer;
  peer.connect_to(b.address);
  std::string bytes = frame(hello("x", "b")) + frame(take_over(5));
  peer.send(bytes.substr(0, bytes.size() - 1));
  loop.run_until([&] { return !b.received.empty(); });
  peer.half_close();
  CHECK(b.wait_for_end().why == LinkEnd::kReset);
  CHECK(b.received.size() == 1);
}

TEST_CASE("who connects and says nothing is closed; who has said hello may stay silent") {
  Loop loop;
  Station b(loop);
  b.start();
  RawSocket talker, silent;
  talker.connect_to(b.address);
  talker.send(frame(hello("x", "b")));
  loop.run_until([&] { return b.received.size() == 1; });
  silent.connect_to(b.address);
  LinkEnded end = b.wait_for_end();
  CHECK(end.link == LinkId(4));
  CHECK(end.why == LinkEnd::kProtocol);
  CHECK(end.detail == "no hello within 2000 ms");
  loop.run_until([&] { return silent.at_end(); });
  CHECK(!talker.at_end());
}

TEST_CASE("a reader that never reads overflows its link") {
  Loop loop;
  Station a(loop);
  RawSocket listener;
  Address address{"127.0.0.1", kvd::testing::free_port()};
  listener.listen_on(address);
  a.links.perform(LinkDial{LinkId(1), address});
  loop.run_until([&] { return !a.opened.empty(); });
  constexpr size_t kPiece = 4u << 20;
  for (size_t sent = 0; sent <= limits::kLinkQueueBytes + 4 * kPiece; sent += kPiece)
    a.send(LinkId(1), chunk(kPiece));
  CHECK(a.ended.empty());  // never from inside an order
  CHECK(a.wait_for_end().why == LinkEnd::kOverflow);
  loop.run_until([&] { return !a.log.empty(); });
  CHECK(a.ended.size() == 1);
}

TEST_CASE("the number of accepted links is bounded, and so are the warnings") {
  Loop loop;
  Station b(loop);
  b.start();
  std::vector<std::unique_ptr<RawSocket>> crowd;
  auto knock = [&] {
    crowd.push_back(std::make_unique<RawSocket>());
    crowd.back()->connect_to(b.address);
    crowd.back()->send(frame(hello("x", "b")));
  };
  for (size_t i = 0; i < limits::kLinks; ++i) {
    knock();
    loop.run_until([&] { return b.received.size() == i + 1; });
  }
  for (int i = 0; i < 40; ++i) knock();  // all in the system's queue before the loop turns again
  loop.run_until([&] { return crowd.back()->at_end(); });
  CHECK(b.accepted.size() == limits::kLinks);
  CHECK(b.ended.empty());
  CHECK(b.log.size() >= 1);
  CHECK(b.log.size() <= 20);  // ten a second, and a second may begin in between
}

TEST_CASE("a port that is taken is an error") {
  Loop loop;
  Station first(loop);
  first.start();
  Station second(loop, first.address.port);
  Result<Address> started = second.links.start();
  REQUIRE(!started);
  CHECK(started.error().detail == "address already in use");
}

// ---- with TLS ----

namespace {

// A server whose certificate names it by its own name, and by the address at which all are.
struct SecureStation {
  SecureStation(Loop& loop, const testing::TestAuthority& authority, const std::string& name)
      : tls(
            loop.get(), "peer", files_of(authority, name), TlsKeeper::Sides::kBoth, [](NodeInput&&) {},
            [](const LogLine&) {}),
        station(loop, testing::free_port(), &tls) {
    REQUIRE(tls.start().has_value());
  }
  ~SecureStation() {
    station.links.close();
    tls.close();
  }
  static net::TlsFiles files_of(const testing::TestAuthority& authority, const std::string& name) {
    net::TlsFiles files = authority.files(name);
    files.needs_certificate = true;
    files.protocol = "kvd-peer";
    return files;
  }
  void dial(const SecureStation& other, const std::string& host = "127.0.0.1") {
    station.links.perform(LinkDial{LinkId(1), Address{host, other.station.address.port}});
  }

  TlsKeeper tls;
  Station station;
};

struct TwoNames : testing::TestAuthority {
  TwoNames() {
    sign({"a.example", "127.0.0.1"});
    sign({"b.example", "127.0.0.1"});
  }
};

}  // namespace

TEST_CASE_FIXTURE(TwoNames,
                  "with TLS each side is told the other one's names, and all that is sent arrives") {
  Loop loop;
  SecureStation a(loop, *this, "a.example"), b(loop, *this, "b.example");
  b.station.start();
  a.dial(b);
  loop.run_until([&] { return !a.station.opened.empty() && !b.station.accepted.empty(); });
  CHECK(a.station.names == std::vector<std::string>{"dns:b.example", "ip:127.0.0.1"});
  CHECK(b.station.names == std::vector<std::string>{"dns:a.example", "ip:127.0.0.1"});
  constexpr size_t kSize = 24u << 20;
  a.station.send(LinkId(1), hello("a", "b"));
  a.station.links.perform(LinkSend{LinkId(1), chunk(kSize)});
  a.station.links.perform(LinkSend{LinkId(1), take_over(9)});
  a.station.links.perform(LinkClose{LinkId(1)});
  a.station.links.flush();
  CHECK(b.station.wait_for_end().why == LinkEnd::kReset);
  REQUIRE(b.station.received.size() == 3);
  CHECK(to_text(b.station.received[2].message) == to_text(PeerMessage(take_over(9))));
}

TEST_CASE_FIXTURE(TwoNames, "who is not trusted is told of, is no peer, and nothing follows of it") {
  Loop loop;
  TestAuthority others;
  others.sign({"b.example", "127.0.0.1"});
  SecureStation a(loop, *this, "a.example");
  SUBCASE("another authority") {
    SecureStation b(loop, others, "b.example");
    b.station.start();
    a.dial(b);
    const LinkEnded end = a.station.wait_for_end();
    CHECK(end.why == LinkEnd::kUntrusted);
    CHECK(end.detail.find("the certificate of dns:b.example, ip:127.0.0.1 is not believed") !=
          std::string::npos);
    loop.run_until([&] { return !b.station.log.empty(); });
    CHECK(b.station.accepted.empty());
    CHECK(b.station.ended.empty());
  }
  SUBCASE("another host") {
    SecureStation b(loop, *this, "b.example");
    b.station.start();
    a.dial(b, "localhost");
    CHECK(a.station.wait_for_end().why == LinkEnd::kUntrusted);
    CHECK(a.station.opened.empty());
  }
  SUBCASE("no TLS at who is dialed") {
    Station plain(loop);
    plain.start();
    a.station.links.perform(LinkDial{LinkId(1), plain.address});
    CHECK(a.station.wait_for_end().why != LinkEnd::kRefused);
    CHECK(a.station.opened.empty());
  }
  SUBCASE("no TLS at who dials") {
    Station plain(loop);
    a.station.start();
    plain.links.perform(LinkDial{LinkId(1), a.station.address});
    loop.run_until([&] { return !plain.opened.empty(); });
    plain.send(LinkId(1), hello("b", "a"));
    CHECK(plain.wait_for_end().why == LinkEnd::kReset);
    CHECK(a.station.accepted.empty());
    CHECK(a.station.ended.empty());
    CHECK(a.station.log.size() == 1);
  }
}

TEST_CASE_FIXTURE(TwoNames, "strangers make way for each other, and for servers") {
  Loop loop;
  SecureStation a(loop, *this, "a.example"), b(loop, *this, "b.example");
  a.station.start();
  constexpr size_t kCrowd =
      100;  // more than may be, and no more than the system keeps until they are accepted
  std::vector<std::unique_ptr<RawSocket>> silent;
  for (size_t i = 0; i < kCrowd; ++i) {
    silent.push_back(std::make_unique<RawSocket>());
    silent.back()->connect_to(a.station.address);
  }
  b.dial(a);
  loop.run_until([&] { return !b.station.opened.empty() && !a.station.accepted.empty(); });
  loop.run_until([&] { return silent.front()->at_end(); });
  CHECK_FALSE(silent.back()->at_end());  // whose time is over no later than the first one's
  CHECK(a.station.accepted.size() == 1);
}
