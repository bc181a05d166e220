// Two ends of a connection on a real loop and real sockets of loopback, each of which writes down what it is told.
// Waiting means running the loop until a condition holds or a generous deadline ends the test.
#pragma once
#include <doctest.h>

#include <array>
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/dialer.hpp"
#include "net/listener.hpp"
#include "net/loop.hpp"
#include "net/stream.hpp"

namespace kvd::testing {

using net::Dialer;
using net::Listener;
using net::Stream;
using net::StreamOwner;
using net::Timer;

inline constexpr auto kPatience = std::chrono::seconds(30);
inline constexpr size_t kMuch = 32u << 20;  // much more than the sockets' buffers

inline uv_buf_t piece(const std::string& text) {
  return uv_buf_init(const_cast<char*>(text.data()), static_cast<unsigned int>(text.size()));
}

// One end of a connection, which writes down what it is told.
struct End final : StreamOwner {
  // `prepare` secures it, where that is wanted.
  explicit End(Stream of, const std::function<void(Stream&)>& prepare) : stream(std::move(of)) {
    stream.attach(*this, buffer);
    if (prepare) prepare(stream);
    CHECK(stream.start_reading() == 0);
  }
  void on_bytes(std::string_view bytes) override {
    received += bytes;
    if (then) then();
  }
  void on_end(int why) override {
    ends.push_back(why);
    if (then) then();
  }
  void on_written(int status) override {
    written.push_back(status);
    if (then) then();
  }
  void on_secured() override {
    secured = true;
    if (then) then();
  }
  void on_plain() override {
    plain = true;
    if (then) then();
  }
  // All of it, or what the system does not take at once waits.
  void send(const std::string& text) {
    const uv_buf_t one = piece(text);
    REQUIRE(stream.write({&one, 1}) == 0);
  }

  std::array<char, 64 << 10> buffer{};
  Stream stream;
  std::string received;
  std::vector<int> ends, written;
  bool secured = false, plain = false;
  std::function<void()> then;
};

struct Net {
  Net() { std::signal(SIGPIPE, SIG_IGN); }

  void run_until(const std::function<bool()>& condition) {
    Timer ticker(loop.get(), [&] { ticker.start(milliseconds(5)); });
    ticker.start(milliseconds(1));
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
      REQUIRE_MESSAGE(std::chrono::steady_clock::now() < deadline, "waited in vain");
      uv_run(loop.get(), UV_RUN_ONCE);
    }
  }
  void listen() {
    listener.emplace(loop.get(), [this](int status, Stream stream) {
      REQUIRE(status == 0);
      accepted = std::make_unique<End>(std::move(stream), prepare_accepted);
    });
    const auto started = listener->start("127.0.0.1", 0, 8);
    REQUIRE(started.has_value());
    port = *started;
  }
  std::unique_ptr<Dialer> dial(const std::string& host, uint16_t to) {
    return std::make_unique<Dialer>(loop.get(), host, to, [this](int status, Stream stream) {
      dialed = status;
      if (status == 0) dialer_end = std::make_unique<End>(std::move(stream), prepare_dialed);
    });
  }
  void connect() {
    listen();
    const auto dialer = dial("127.0.0.1", port);
    run_until([&] { return accepted && dialer_end; });
  }

  net::Loop loop;  // goes last, and waits until nothing is left on it
  std::optional<Listener> listener;
  uint16_t port = 0;
  std::unique_ptr<End> accepted, dialer_end;
  std::optional<int> dialed;
  std::function<void(Stream&)> prepare_accepted, prepare_dialed;
};

}  // namespace kvd::testing
