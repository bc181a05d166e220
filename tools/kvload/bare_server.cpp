// See bare_server.hpp.
#include "kvload/bare_server.hpp"

#include <fmt/format.h>
#include <llhttp.h>
#include <sysexits.h>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/handshakes.hpp"
#include "net/listener.hpp"
#include "net/loop.hpp"
#include "net/tls.hpp"

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

class Server;

class Client : public net::StreamOwner {
 public:
  Client(Server& server, net::Stream stream);

 private:
  void on_bytes(std::string_view bytes) override;
  void on_end(int) override;
  void on_written(int status) override;
  void flush();

  Server& server_;
  net::Stream stream_;
  llhttp_t parser_;
  std::string output_;
  std::string writing_;  // what write() was given; empty: nothing
};

class Server {
 public:
  explicit Server(std::shared_ptr<const net::TlsContext> tls)
      : tls_(std::move(tls)),
        handshakes_(loop_.get()),
        listener_(loop_.get(), [this](int, net::Stream stream) {
          if (stream.is_open()) clients_.push_back(std::make_unique<Client>(*this, std::move(stream)));
        }) {}

  int run(uint16_t port) {
    if (const auto started = listener_.start("127.0.0.1", port, 1024); !started) {
      fmt::print(stderr, "kvload: port {}: {}\n", port, started.error().detail);
      return EX_UNAVAILABLE;
    }
    loop_.run();
    return EX_OK;
  }

  void secure(net::Stream& stream) {
    if (tls_) stream.secure(net::TlsSession(tls_), handshakes_);
  }
  std::span<char> buffer() { return buffer_; }
  void forget(const Client* client) {
    std::erase_if(clients_, [client](const auto& one) { return one.get() == client; });
  }

 private:
  net::Loop loop_;
  std::shared_ptr<const net::TlsContext> tls_;
  net::Handshakes handshakes_;
  std::array<char, 64 << 10> buffer_;
  std::vector<std::unique_ptr<Client>> clients_;
  net::Listener listener_;
};

int on_request(llhttp_t* parser) {
  *static_cast<std::string*>(parser->data) += fixed_answer();
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

Client::Client(Server& server, net::Stream stream) : server_(server), stream_(std::move(stream)) {
  llhttp_init(&parser_, HTTP_REQUEST, settings());
  parser_.data = &output_;
  stream_.attach(*this, server_.buffer());
  server_.secure(stream_);
  stream_.start_reading();
}

void Client::on_bytes(std::string_view bytes) {
  if (llhttp_execute(&parser_, bytes.data(), bytes.size()) != HPE_OK) return server_.forget(this);
  flush();
}

void Client::on_end(int) { server_.forget(this); }

void Client::on_written(int status) {
  writing_.clear();
  if (status != 0) return server_.forget(this);
  flush();
}

void Client::flush() {
  if (!writing_.empty() || output_.empty()) return;
  uv_buf_t all = uv_buf_init(output_.data(), static_cast<unsigned>(output_.size()));
  const int written = stream_.try_write({&all, 1});
  if (written == static_cast<int>(output_.size())) return output_.clear();
  writing_.assign(output_, written > 0 ? static_cast<size_t>(written) : 0);
  output_.clear();
  all = uv_buf_init(writing_.data(), static_cast<unsigned>(writing_.size()));
  if (stream_.write({&all, 1}) != 0) server_.forget(this);
}

}  // namespace

int bare_server(const BareServerOptions& options) {
  fixed_answer() = make_answer(options.answer_bytes);
  std::shared_ptr<const net::TlsContext> tls;
  if (!options.tls.certificate.empty()) {
    auto loaded = net::TlsContext::load(net::TlsContext::Side::kServer, options.tls);
    if (!loaded) {
      fmt::print(stderr, "kvload: {}\n", loaded.error().detail);
      return EX_NOINPUT;
    }
    tls = std::move(*loaded);
  }
  return Server(std::move(tls)).run(options.port);
}

}  // namespace kvd::load
