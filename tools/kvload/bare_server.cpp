// See bare_server.hpp.
#include "kvload/bare_server.hpp"

#include <fmt/format.h>
#include <llhttp.h>
#include <uv.h>

#include <array>
#include <string>

#include "kvload/loopback_listener.hpp"

namespace kvd::load {
namespace {

std::string& fixed_answer() {
  static std::string answer;
  return answer;
}

// `bytes` in all, where the head leaves room for that.
std::string make_answer(size_t bytes) {
  const auto head = [](size_t body) {
    return fmt::format(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n", body);
  };
  size_t body = bytes - std::min(bytes, head(0).size());
  while (body > 0 && head(body).size() + body > bytes) --body;
  return head(body) + std::string(body, '.');
}

struct Client {
  uv_tcp_t tcp;
  uv_write_t write;
  llhttp_t parser;
  std::string output;
  std::string writing;
  bool waiting = false;

  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&tcp); }
  void close() {
    if (uv_is_closing(reinterpret_cast<uv_handle_t*>(&tcp)) != 0) return;
    uv_close(reinterpret_cast<uv_handle_t*>(&tcp),
             [](uv_handle_t* handle) { delete static_cast<Client*>(handle->data); });
  }
  void flush();
};

void on_written(uv_write_t* request, int status) {
  auto* client = static_cast<Client*>(request->data);
  client->waiting = false;
  if (status != 0) return client->close();
  client->flush();
}

void Client::flush() {
  if (waiting || output.empty()) return;
  uv_buf_t buffer = uv_buf_init(output.data(), static_cast<unsigned>(output.size()));
  const int written = uv_try_write(stream(), &buffer, 1);
  if (written == static_cast<int>(output.size())) return output.clear();
  writing.assign(output, written > 0 ? static_cast<size_t>(written) : 0);
  output.clear();
  waiting = true;
  write.data = this;
  buffer = uv_buf_init(writing.data(), static_cast<unsigned>(writing.size()));
  if (uv_write(&write, stream(), &buffer, 1, on_written) != 0) close();
}

int on_request(llhttp_t* parser) {
  static_cast<Client*>(parser->data)->output += fixed_answer();
  return 0;
}

const llhttp_settings_t* settings() {
  static const llhttp_settings_t made = [] {
    llhttp_settings_t all;
    llhttp_settings_init(&all);
    all.on_message_complete = on_request;
    return all;
  }();
  return &made;
}

void lend_buffer(uv_handle_t*, size_t, uv_buf_t* buffer) {
  static std::array<char, 64 << 10> bytes;
  *buffer = uv_buf_init(bytes.data(), bytes.size());
}

void on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
  auto* client = static_cast<Client*>(stream->data);
  if (size == 0) return;
  if (size < 0 || llhttp_execute(&client->parser, buffer->base, static_cast<size_t>(size)) != HPE_OK)
    return client->close();
  client->flush();
}

void on_connection(uv_stream_t* listener, int status) {
  if (status != 0) return;
  auto* client = new Client;
  uv_tcp_init(listener->loop, &client->tcp);
  client->tcp.data = client;
  llhttp_init(&client->parser, HTTP_REQUEST, settings());
  client->parser.data = client;
  if (uv_accept(listener, client->stream()) != 0) return client->close();
  uv_tcp_nodelay(&client->tcp, 1);
  uv_read_start(client->stream(), lend_buffer, on_read);
}

}  // namespace

int bare_server(const BareServerOptions& options) {
  fixed_answer() = make_answer(options.answer_bytes);
  return serve_loopback(options.port, on_connection);
}

}  // namespace kvd::load
