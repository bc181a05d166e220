// Streams with TLS, and those of Unix sockets: what a plain one of TCP promises, they promise, too. And what is theirs
// alone.
#include <doctest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "net/handshakes.hpp"
#include "net_fixture.hpp"
#include "tls_fixture.hpp"

using namespace kvd;
using namespace kvd::testing;
using net::Handshakes;
using net::TlsSession;

namespace {

struct SecureNet : Net {
  SecureNet() {
    authority.sign({"localhost", "127.0.0.1"});
    prepare_accepted = [this](Stream& stream) {
      stream.secure(TlsSession(authority.server("localhost")), handshakes);
    };
    prepare_dialed = [this](Stream& stream) {
      stream.secure(TlsSession(authority.client(), "127.0.0.1"), handshakes);
    };
  }
  void connect_securely() {
    connect();
    run_until([&] { return accepted->secured && dialer_end->secured; });
  }

  TestAuthority authority;
  Handshakes handshakes{loop.get(), 100};
};

std::string mixed(size_t bytes) {
  std::string text(bytes, 0);
  for (size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>(i * i >> 8);
  return text;
}

}  // namespace

TEST_CASE_FIXTURE(SecureNet, "what is written before the handshake is over goes behind it") {
  connect();
  CHECK(handshakes.under_way() == 2);
  CHECK(dialer_end->stream.is_shaking_hands());
  const std::string question = "how are you", answer = mixed(kMuch);
  dialer_end->send(question);
  accepted->send(answer);
  run_until([&] { return accepted->received == question && dialer_end->received.size() == answer.size(); });
  CHECK(dialer_end->received == answer);
  run_until([&] { return !dialer_end->written.empty() && !accepted->written.empty(); });
  CHECK(dialer_end->written == std::vector<int>{0});
  CHECK(accepted->written == std::vector<int>{0});
  CHECK(handshakes.under_way() == 0);
  CHECK(dialer_end->stream.tls_names() == std::vector<std::string>{"dns:localhost", "ip:127.0.0.1"});
}

TEST_CASE_FIXTURE(SecureNet, "what the system does not take at once is written next, and comes whole") {
  connect_securely();
  accepted->stream.stop_reading();
  const std::string much = mixed(kMuch), small = "and a little";
  const std::vector<uv_buf_t> pieces{piece(small), piece(much), piece(small)};
  const int taken = dialer_end->stream.try_write(pieces);
  REQUIRE(taken >= 0);
  const std::string all = small + much + small;
  REQUIRE(static_cast<size_t>(taken) < all.size());
  const std::string rest = all.substr(static_cast<size_t>(taken));
  dialer_end->send(rest);
  CHECK(dialer_end->stream.unsent() > 0);
  CHECK(dialer_end->stream.try_write(pieces) == 0);
  CHECK(accepted->stream.start_reading() == 0);
  run_until([&] { return !dialer_end->written.empty(); });
  CHECK(dialer_end->stream.unsent() == 0);
  run_until([&] { return accepted->received.size() == all.size(); });
  CHECK(accepted->received == all);
}

TEST_CASE_FIXTURE(SecureNet, "many small pieces are taken at once") {
  connect_securely();
  std::vector<std::string> texts;
  std::vector<uv_buf_t> pieces;
  std::string all;
  for (int i = 0; i < 300; ++i) texts.push_back(mixed(static_cast<size_t>(i)));
  for (const std::string& text : texts) {
    pieces.push_back(piece(text));
    all += text;
  }
  CHECK(dialer_end->stream.try_write(pieces) == static_cast<int>(all.size()));
  run_until([&] { return accepted->received.size() == all.size(); });
  CHECK(accepted->received == all);
}

TEST_CASE_FIXTURE(SecureNet, "the end of one side comes behind all that it wrote, and is no accident") {
  connect_securely();
  const std::string much = mixed(kMuch);
  dialer_end->send(much);
  run_until([&] { return !dialer_end->written.empty(); });
  CHECK(dialer_end->stream.shut_down() == 0);
  run_until([&] { return !accepted->ends.empty(); });
  CHECK(accepted->received.size() == much.size());
  CHECK(accepted->ends == std::vector<int>{UV_EOF});
  const std::string answer = "bye";  // the other direction stands
  accepted->send(answer);
  run_until([&] { return dialer_end->received == answer; });
}

TEST_CASE_FIXTURE(SecureNet, "who closes says so, and a reset is an error") {
  connect_securely();
  int expected = UV_EOF;
  SUBCASE("closed") { dialer_end->stream.close(); }
  SUBCASE("reset") {
    dialer_end->stream.reset();
    expected = UV_ECONNRESET;
  }
  run_until([&] { return !accepted->ends.empty(); });
  CHECK(accepted->ends == std::vector<int>{expected});
}

TEST_CASE_FIXTURE(SecureNet, "who is cut off without a word has not ended") {
  connect_securely();
  REQUIRE(shutdown(dialer_end->stream.descriptor(), SHUT_WR) == 0);  // as on the way, by somebody else
  run_until([&] { return !accepted->ends.empty(); });
  CHECK(accepted->ends == std::vector<int>{UV_ECONNRESET});
}

TEST_CASE_FIXTURE(SecureNet, "the end waits until its owner reads") {
  connect_securely();
  const std::string last = "last words";
  accepted->then = [&] { accepted->stream.stop_reading(); };
  dialer_end->send(last);
  run_until([&] { return !dialer_end->written.empty(); });
  CHECK(dialer_end->stream.shut_down() == 0);
  run_until([&] { return accepted->received == last; });
  for (int turn = 0; turn < 20; ++turn) uv_run(loop.get(), UV_RUN_NOWAIT);
  CHECK(accepted->ends.empty());
  accepted->then = nullptr;
  CHECK(accepted->stream.start_reading() == 0);
  run_until([&] { return !accepted->ends.empty(); });
  CHECK(accepted->ends == std::vector<int>{UV_EOF});
}

TEST_CASE_FIXTURE(SecureNet, "for a handshake too many the oldest one is given up") {
  Handshakes few(loop.get(), 1);
  prepare_accepted = [&](Stream& stream) {
    few.make_room();
    stream.secure(TlsSession(authority.server("localhost")), few);
  };
  prepare_dialed = nullptr;  // it never says a word
  connect();
  const std::unique_ptr<End> silent = std::move(accepted), silent_dialer = std::move(dialer_end);
  const auto dialer = dial("127.0.0.1", port);
  run_until([&] { return accepted && dialer_end; });
  CHECK(silent->ends == std::vector<int>{UV_ETIMEDOUT});
  CHECK(few.under_way() == 1);
  accepted.reset();
  CHECK(few.under_way() == 0);
}

TEST_CASE_FIXTURE(SecureNet, "who is not believed hears so, and is not spoken to") {
  TestAuthority others;
  prepare_dialed = [&](Stream& stream) {
    stream.secure(TlsSession(others.client(), "127.0.0.1"), handshakes);
  };
  connect();
  const std::string secret = "a secret";
  dialer_end->send(secret);
  run_until([&] { return !dialer_end->ends.empty() && !accepted->ends.empty(); });
  CHECK(dialer_end->ends == std::vector<int>{UV_EPROTO});
  CHECK(dialer_end->stream.tls_failure().find("is not believed") != std::string::npos);
  CHECK(accepted->stream.tls_failure().find("unknown ca") != std::string::npos);
  CHECK(accepted->received.empty());
  CHECK(handshakes.under_way() == 0);
}

TEST_CASE_FIXTURE(SecureNet, "plain bytes make a plain stream, and are thrown away") {
  prepare_dialed = nullptr;
  connect();
  dialer_end->send("GET / HTTP/1.0\r\n\r\n");
  run_until([&] { return accepted->plain; });
  CHECK(accepted->received.empty());
  CHECK_FALSE(accepted->stream.is_secure());
  CHECK(handshakes.under_way() == 0);
  const std::string answer = "this port speaks TLS";
  accepted->send(answer);
  run_until([&] { return dialer_end->received == answer; });
}

TEST_CASE_FIXTURE(SecureNet, "an owner may go in each of its calls, with its stream") {
  const std::string text = "x", much = mixed(kMuch);
  SUBCASE("secured") {
    connect();
    accepted->then = [&] { accepted.reset(); };
  }
  SUBCASE("bytes") {
    connect_securely();
    accepted->then = [&] { accepted.reset(); };
    dialer_end->send(text);
  }
  SUBCASE("end") {
    connect_securely();
    accepted->then = [&] { accepted.reset(); };
    dialer_end->stream.close();
  }
  SUBCASE("written") {
    connect_securely();
    accepted->then = [&] { accepted.reset(); };
    accepted->send(text);
  }
  SUBCASE("a write is under way") {
    connect_securely();
    accepted->then = [&] { accepted.reset(); };
    dialer_end->stream.stop_reading();
    accepted->send(much);
    dialer_end->send(text);
  }
  SUBCASE("plain") {
    prepare_dialed = nullptr;
    connect();
    accepted->then = [&] { accepted.reset(); };
    dialer_end->send(text);
  }
  run_until([&] { return !accepted; });
  dialer_end.reset();
  CHECK(handshakes.under_way() == 0);
}

TEST_CASE_FIXTURE(SecureNet, "a crowd of handshakes comes to its end, and who goes meanwhile is forgotten") {
  constexpr size_t kCrowd = 60;  // some 40 ms of computation
  std::vector<std::unique_ptr<End>> served, asking;
  listener.emplace(loop.get(), [&](int status, Stream stream) {
    REQUIRE(status == 0);
    served.push_back(std::make_unique<End>(std::move(stream), prepare_accepted));
  });
  port = *listener->start("127.0.0.1", 0, 128);
  std::vector<std::unique_ptr<Dialer>> dialers;
  for (size_t i = 0; i < kCrowd; ++i) {
    dialers.push_back(std::make_unique<Dialer>(loop.get(), "127.0.0.1", port, [&](int status, Stream stream) {
      REQUIRE(status == 0);
      asking.push_back(std::make_unique<End>(std::move(stream), prepare_dialed));
    }));
  }
  run_until([&] { return served.size() == kCrowd && asking.size() == kCrowd; });
  for (size_t i = 0; i < kCrowd; i += 10) served[i].reset();
  run_until([&] {
    return std::all_of(served.begin(), served.end(), [](const auto& end) { return !end || end->secured; });
  });
  run_until([&] {
    return std::all_of(asking.begin(), asking.end(),
                       [](const auto& end) { return end->secured || !end->ends.empty(); });
  });
  CHECK(handshakes.under_way() <= kCrowd / 10);
  asking.clear();
  served.clear();
  CHECK(handshakes.under_way() == 0);
}

TEST_CASE_FIXTURE(Net, "a Unix socket is a stream, and knows who is there") {
  const ScratchDirectory directory;
  const std::string path = directory / "socket";
  listener.emplace(loop.get(), [&](int, Stream stream) {
    accepted = std::make_unique<End>(std::move(stream), prepare_accepted);
  });
  REQUIRE(listener->start(path, 8).has_value());
  struct stat made {};
  REQUIRE(stat(path.c_str(), &made) == 0);
  CHECK((made.st_mode & 07777) == 0660);
  const Dialer dialer(loop.get(), path, [&](int status, Stream stream) {
    REQUIRE(status == 0);
    dialer_end = std::make_unique<End>(std::move(stream), prepare_dialed);
  });
  run_until([&] { return accepted && dialer_end; });
  const std::string much = mixed(kMuch);
  dialer_end->send(much);
  run_until([&] { return accepted->received.size() == much.size(); });
  CHECK(accepted->stream.peer_uid() == getuid());
  CHECK(accepted->stream.remote().port() == 0);
  dialer_end->stream.reset();
  run_until([&] { return !accepted->ends.empty(); });
  listener.reset();
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE_FIXTURE(Net, "a Unix socket takes the place of one that nobody answers at, and of nothing else") {
  const ScratchDirectory directory;
  const std::string path = directory / "socket";
  const auto refused = [&](const std::string& where) {
    Listener other(loop.get(), [](int, Stream) {});
    const auto started = other.start(where, 8);
    return started ? std::string() : started.error().detail;
  };
  listener.emplace(loop.get(), [](int, Stream) {});
  REQUIRE(listener->start(path, 8).has_value());
  CHECK(refused(path) == "somebody listens there");
  std::filesystem::create_hard_link(path, directory / "kept");
  listener.reset();
  std::filesystem::rename(directory / "kept", path);  // as after a kill
  CHECK(refused(path).empty());
  std::ofstream(directory / "file") << "text";
  CHECK(refused(directory / "file") == "there is something that is no socket");
  CHECK(std::filesystem::exists(directory / "file"));
  CHECK(refused(directory / std::string(200, 'x')).find("a path of at most") == 0);
  CHECK(refused(directory / "no such/socket") == "no such file or directory");
}

TEST_CASE_FIXTURE(Net, "dialing a Unix socket that is none fails later") {
  for (const std::string& path : {std::string("/nowhere/at/all"), "/" + std::string(200, 'x')}) {
    dialed.reset();
    const Dialer dialer(loop.get(), path, [&](int status, Stream) { dialed = status; });
    CHECK_FALSE(dialed);
    run_until([&] { return dialed.has_value(); });
    CHECK(*dialed < 0);
    CHECK_FALSE(dialer.all_refused());
  }
}
