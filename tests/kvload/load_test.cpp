// The load against a server of its own that answers as it is told: that a stall is not hidden by an open loop, and
// that failures are counted by what they were. Its clock is real, so only what no slow machine can break is asserted.
#include "kvload/load.hpp"

#include <doctest.h>
#include <fmt/format.h>

#include <memory>

#include "client/response_parser.hpp"

namespace kvd::load {
namespace {

constexpr char kOk[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
constexpr char kRefusal[] =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 78\r\n\r\n"
    R"({"type":"urn:kvd:no-leader","status":503,"detail":"x","outcome":"not-applied"})";

// Answers each request after `hold_ms` since the first one, or at once when that is over. On the load's own loop.
class SlowServer {
 public:
  SlowServer(uv_loop_t* loop, std::string answer, uint64_t hold_ms)
      : answer_(std::move(answer)), hold_ms_(hold_ms) {
    uv_tcp_init(loop, &listener_);
    listener_.data = this;
    sockaddr_in address{};
    uv_ip4_addr("127.0.0.1", 0, &address);
    REQUIRE(uv_tcp_bind(&listener_, reinterpret_cast<sockaddr*>(&address), 0) == 0);
    REQUIRE(uv_listen(reinterpret_cast<uv_stream_t*>(&listener_), 16, accept) == 0);
    int size = sizeof address;
    uv_tcp_getsockname(&listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    uv_timer_init(loop, &timer_);
    timer_.data = this;
  }

  std::string name() const { return fmt::format("127.0.0.1:{}", port_); }
  void close() {
    uv_close(reinterpret_cast<uv_handle_t*>(&listener_), nullptr);
    uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr);
    for (uv_tcp_t* client : clients_)
      uv_close(reinterpret_cast<uv_handle_t*>(client),
               [](uv_handle_t* handle) { delete reinterpret_cast<uv_tcp_t*>(handle); });
    clients_.clear();
  }

 private:
  static void accept(uv_stream_t* listener, int) {
    auto* self = static_cast<SlowServer*>(listener->data);
    auto* client = new uv_tcp_t;
    uv_tcp_init(listener->loop, client);
    client->data = self;
    uv_accept(listener, reinterpret_cast<uv_stream_t*>(client));
    self->clients_.push_back(client);
    const auto lend = [](uv_handle_t*, size_t, uv_buf_t* buffer) {
      static char bytes[65536];
      *buffer = uv_buf_init(bytes, sizeof bytes);
    };
    uv_read_start(reinterpret_cast<uv_stream_t*>(client), lend, read);
  }
  static void read(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
    auto* self = static_cast<SlowServer*>(stream->data);
    if (size <= 0) return;
    const std::string_view text(buffer->base, static_cast<size_t>(size));
    for (size_t at = 0; (at = text.find("\r\n\r\n", at)) != std::string_view::npos; at += 4)
      self->held_.push_back(stream);
    if (self->over_) return self->answer_held();
    if (uv_is_active(reinterpret_cast<uv_handle_t*>(&self->timer_)) != 0) return;
    const auto end = [](uv_timer_t* timer) {
      auto* server = static_cast<SlowServer*>(timer->data);
      server->over_ = true;
      server->answer_held();
    };
    uv_timer_start(&self->timer_, end, self->hold_ms_, 0);
  }
  void answer_held() {
    for (uv_stream_t* stream : held_) {
      uv_buf_t buffer = uv_buf_init(answer_.data(), static_cast<unsigned>(answer_.size()));
      uv_try_write(stream, &buffer, 1);
    }
    held_.clear();
  }

  std::string answer_;
  uint64_t hold_ms_;
  uv_tcp_t listener_;
  uv_timer_t timer_;
  std::vector<uv_tcp_t*> clients_;
  std::vector<uv_stream_t*> held_;
  uint16_t port_ = 0;
  bool over_ = false;
};

struct Bench {
  Bench(std::string answer, uint64_t hold_ms, LoadOptions options) {
    uv_loop_init(&loop);
    server = std::make_unique<SlowServer>(&loop, std::move(answer), hold_ms);
    load = std::make_unique<Load>(&loop, *resolve({server->name()}), std::move(options));
    REQUIRE(load->connect(10).empty());
  }
  ~Bench() {
    load.reset();
    server->close();
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop) == 0);
  }
  uv_loop_t loop;
  std::unique_ptr<SlowServer> server;
  std::unique_ptr<Load> load;
};

LoadOptions two_connections() {
  LoadOptions options;
  options.connections = 2;
  return options;
}

}  // namespace

TEST_CASE("an open loop counts what a stall held up") {
  Bench bench(kOk, 300, two_connections());
  Phase phase;
  phase.seconds = 0.6;
  phase.rate = 1000;
  const RunResult result = bench.load->run(phase);
  // Two connections hang for half of the time: a closed loop would see two slow requests out of hundreds.
  const Histogram total = result.total();
  CHECK(total.count() == 600);
  CHECK(total.max() >= 290'000'000);
  CHECK(total.percentile(75) >= 100'000'000);
  CHECK(result.gap_ns >= 290'000'000);
}

TEST_CASE("a closed loop sends what was asked for, and no more") {
  LoadOptions options = two_connections();
  options.pipeline = 4;
  Bench bench(kOk, 0, options);
  Phase phase;
  phase.count = 1000;
  const RunResult result = bench.load->run(phase);
  CHECK(result.ok() == 1000);
  CHECK(result.failed() == 0);
  CHECK(result.unsent.count() == 0);
  CHECK(result.servers[0].ok == 1000);
}

TEST_CASE("failures are told apart by their problem and outcome") {
  LoadOptions options = two_connections();
  options.mix = {0, 100, 0, 0};
  Bench bench(kRefusal, 0, options);
  Phase phase;
  phase.count = 4;
  const RunResult result = bench.load->run(phase);
  CHECK(result.ok() == 0);
  REQUIRE(result.failures.size() == 1);
  CHECK(result.failures.begin()->first == FailureKind{"503 no-leader", "not-applied"});
  CHECK(result.failures.begin()->second == 4);
}

TEST_CASE("what is not answered in time is lost, with an outcome that nobody knows") {
  LoadOptions options = two_connections();
  options.mix = {0, 100, 0, 0};
  options.timeout_ns = 50'000'000;
  Bench bench(kOk, 60'000, options);
  Phase phase;
  phase.count = 2;
  const RunResult result = bench.load->run(phase);
  REQUIRE(result.failures.size() == 1);
  CHECK(result.failures.begin()->first == FailureKind{"timed out", "unknown"});
}

TEST_CASE("members of a problem are found, and nothing else") {
  const std::string_view body = R"({"type":"urn:kvd:x","detail":"outcome","outcome":"unknown","status":503})";
  CHECK(client::problem_member(body, "outcome") == "unknown");
  CHECK(client::problem_member(body, "type") == "urn:kvd:x");
  CHECK(client::problem_member(body, "status").empty());
  CHECK(client::problem_member(body, "none").empty());
  CHECK(client::problem_member("", "type").empty());
}

TEST_CASE("requests are what kvd expects") {
  const std::string values = value_bytes(8);
  const RequestText text({"p-", 6}, "Host: h:1\r\n", values);
  std::string out;
  text.append(Kind::kGet, 7, 0, out);
  text.append(Kind::kLinear, 1234567, 0, out);
  text.append(Kind::kDelete, 0, 0, out);
  text.append(Kind::kPut, 12, 3, out);
  CHECK(out ==
        "GET /v1/kv/p-0007 HTTP/1.1\r\nHost: h:1\r\n\r\n"
        "GET /v1/kv/p-1234567?read=linear HTTP/1.1\r\nHost: h:1\r\n\r\n"
        "DELETE /v1/kv/p-0000 HTTP/1.1\r\nHost: h:1\r\n\r\n"
        "PUT /v1/kv/p-0012 HTTP/1.1\r\nHost: h:1\r\nContent-Length: 3\r\n\r\n" +
            values.substr(0, 3));
}

}  // namespace kvd::load
