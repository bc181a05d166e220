// See delay_proxy.hpp. A connection has two halves; each keeps what it has read until that is due at the other. The
// end of one half is due after what came before it, and ends both.
#include "kvload/delay_proxy.hpp"

#include <arpa/inet.h>
#include <uv.h>

#include <array>
#include <deque>
#include <string>

#include "kvload/loopback_listener.hpp"

namespace kvd::load {
namespace {

DelayProxyOptions& settings() {
  static DelayProxyOptions given;
  return given;
}

struct Chunk {
  uint64_t due = 0;
  std::string bytes;  // empty: the end
};

struct Pair;

struct Half {
  uv_tcp_t tcp;
  uv_timer_t timer;  // of what goes out here
  std::deque<Chunk> waiting;
  Pair* pair = nullptr;
  Half* other = nullptr;

  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&tcp); }
  void take(std::string bytes);
  void hand_on();
};

struct Pair {
  Half client;
  Half server;
  uv_connect_t connect;
  int handles = 4;
  bool closing = false;

  void close() {
    if (closing) return;
    closing = true;
    for (Half* half : {&client, &server}) {
      const auto closed = [](uv_handle_t* handle) {
        Pair* pair = static_cast<Half*>(handle->data)->pair;
        if (--pair->handles == 0) delete pair;
      };
      uv_close(reinterpret_cast<uv_handle_t*>(&half->tcp), closed);
      uv_close(reinterpret_cast<uv_handle_t*>(&half->timer), closed);
    }
  }
};

struct Write {
  uv_write_t request;
  std::string bytes;
};

void Half::take(std::string bytes) {
  waiting.push_back({uv_now(tcp.loop) + settings().delay_ms, std::move(bytes)});
  if (uv_is_active(reinterpret_cast<uv_handle_t*>(&timer)) == 0) hand_on();
}

void Half::hand_on() {
  while (!waiting.empty() && !pair->closing) {
    const uint64_t now = uv_now(tcp.loop);
    if (waiting.front().due > now) {
      const auto again = [](uv_timer_t* due) { static_cast<Half*>(due->data)->hand_on(); };
      uv_timer_start(&timer, again, waiting.front().due - now, 0);
      return;
    }
    if (waiting.front().bytes.empty()) return pair->close();
    auto* write = new Write;
    write->bytes = std::move(waiting.front().bytes);
    waiting.pop_front();
    uv_buf_t buffer = uv_buf_init(write->bytes.data(), static_cast<unsigned>(write->bytes.size()));
    write->request.data = write;
    const auto written = [](uv_write_t* request, int) { delete static_cast<Write*>(request->data); };
    if (uv_write(&write->request, stream(), &buffer, 1, written) != 0) {
      delete write;
      return pair->close();
    }
  }
}

void lend_buffer(uv_handle_t*, size_t, uv_buf_t* buffer) {
  static std::array<char, 64 << 10> bytes;
  *buffer = uv_buf_init(bytes.data(), bytes.size());
}

void on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
  auto* half = static_cast<Half*>(stream->data);
  if (size == 0) return;
  if (size < 0) uv_read_stop(stream);
  half->other->take(size > 0 ? std::string(buffer->base, static_cast<size_t>(size)) : std::string());
}

void on_dialed(uv_connect_t* request, int status) {
  auto* pair = static_cast<Pair*>(request->data);
  if (pair->closing) return;
  if (status != 0) return pair->close();
  uv_read_start(pair->client.stream(), lend_buffer, on_read);
  uv_read_start(pair->server.stream(), lend_buffer, on_read);
}

void on_connection(uv_stream_t* listener, int status) {
  if (status != 0) return;
  auto* pair = new Pair;
  pair->client.other = &pair->server;
  pair->server.other = &pair->client;
  for (Half* half : {&pair->client, &pair->server}) {
    half->pair = pair;
    uv_tcp_init(listener->loop, &half->tcp);
    uv_timer_init(listener->loop, &half->timer);
    half->tcp.data = half;
    half->timer.data = half;
  }
  if (uv_accept(listener, pair->client.stream()) != 0) return pair->close();
  uv_tcp_nodelay(&pair->client.tcp, 1);
  uv_tcp_nodelay(&pair->server.tcp, 1);
  sockaddr_in address{};
  uv_ip4_addr("127.0.0.1", settings().to_port, &address);
  pair->connect.data = pair;
  if (uv_tcp_connect(&pair->connect, &pair->server.tcp, reinterpret_cast<sockaddr*>(&address), on_dialed) !=
      0)
    pair->close();
}

}  // namespace

int delay_proxy(const DelayProxyOptions& options) {
  settings() = options;
  return serve_loopback(options.port, on_connection);
}

}  // namespace kvd::load
