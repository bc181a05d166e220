// See http_fixture.hpp.
#include "http_fixture.hpp"

#include <arpa/inet.h>
#include <doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <stdexcept>

#include "rig/free_port.hpp"

namespace kvd::testing {
namespace {

constexpr auto kPatience = std::chrono::seconds(30);

}  // namespace

HttpFixture::HttpFixture(HttpOptions options, Script script) : script_(std::move(script)) {
  std::signal(SIGPIPE, SIG_IGN);
  REQUIRE(uv_loop_init(&loop_) == 0);
  uv_prepare_init(&loop_, &prepare_);
  uv_timer_init(&loop_, &waker_);
  prepare_.data = this;
  uv_prepare_start(&prepare_, [](uv_prepare_t* handle) { static_cast<HttpFixture*>(handle->data)->turn(); });
  uv_timer_start(
      &waker_, [](uv_timer_t*) {}, 2, 2);
  if (options.identity.node.value.empty()) options.identity.node = ServerId{"test:1"};
  options.listen = Address{"127.0.0.1", free_port()};
  server_ = std::make_unique<HttpServer>(
      &loop_, options, [this](NodeInput input) { inputs_.push_back(std::move(input)); },
      [this](LogLine line) { log.push_back(std::move(line)); });
  Result<Address> started = server_->start();
  REQUIRE(started.has_value());
  address_ = *started;
}

HttpFixture::~HttpFixture() {
  server_->close();
  server_.reset();
  uv_close(reinterpret_cast<uv_handle_t*>(&prepare_), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&waker_), nullptr);
  uv_run(&loop_, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&loop_) == 0);  // nothing was left open
}

// As the daemon does it: inputs to the node, its replies out, one flush.
void HttpFixture::turn() {
  std::vector<NodeInput> inputs = std::exchange(inputs_, {});
  for (NodeInput& input : inputs) {
    if (auto* gone = std::get_if<CallCancelled>(&input)) cancelled.push_back(gone->id);
    if (auto* told = std::get_if<StreamTaken>(&input)) taken.push_back(*told);
    auto* call = std::get_if<Call>(&input);
    if (call == nullptr) continue;
    const auto* request = std::get_if<StoreCall>(&call->what);
    if (request == nullptr) {
      calls.push_back(std::move(*call));
      continue;
    }
    ++asked;
    std::optional<Answer> found = script_ ? script_(*request) : std::nullopt;
    if (found) {
      answer(*call, std::move(*found));
    } else {
      held.push_back(std::move(*call));
    }
  }
  for (const Reply& reply : std::exchange(replies_, {})) server_->reply(reply);
  for (const StreamLines& lines : std::exchange(lines_, {})) server_->stream(lines);
  server_->flush();
}

void HttpFixture::answer(const Call& call, Answer content) {
  replies_.push_back({call.id, StoreAnswer{std::move(content), epoch, revision, std::nullopt}});
}

void HttpFixture::run_until(const std::function<bool()>& condition) {
  auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("waited in vain");
    uv_run(&loop_, UV_RUN_ONCE);
  }
}

void HttpFixture::settle() {
  Client later(*this);
  CHECK(later.send("ruok").rest() == "imok");
}

void HttpFixture::run_turns(int turns) {
  for (int i = 0; i < turns; ++i) uv_run(&loop_, UV_RUN_ONCE);
}

Client::Client(HttpFixture& fixture, int receive_bytes) : fixture_(fixture) {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(fd_ >= 0);
  if (receive_bytes != 0) setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(fixture.address().port);
  inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
  // The kernel accepts before the loop does.
  REQUIRE(connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
  REQUIRE(fcntl(fd_, F_SETFL, O_NONBLOCK) == 0);
  int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Client::~Client() {
  if (fd_ >= 0) close(fd_);
}

Client& Client::send(std::string_view bytes) {
  fixture_.run_until([&] {
    ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) bytes.remove_prefix(static_cast<size_t>(sent));
    if (sent < 0 && errno != EAGAIN) reset_ = true;
    return bytes.empty() || reset_;
  });
  return *this;
}

void Client::end_sending() { REQUIRE(shutdown(fd_, SHUT_WR) == 0); }

void Client::reset() {
  linger abort{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  close(std::exchange(fd_, -1));
}

bool Client::read_some(size_t most) {
  char buffer[65536];
  ssize_t count = recv(fd_, buffer, std::min(most, sizeof buffer), 0);
  if (count > 0) received_.append(buffer, static_cast<size_t>(count));
  if (count == 0) ended_ = true;
  if (count < 0 && errno != EAGAIN) ended_ = reset_ = true;
  return count > 0;
}

Response Client::next(bool head) {
  size_t end = 0;
  fixture_.run_until([&] {
    read_some();
    end = received_.find("\r\n\r\n");
    return end != std::string::npos || ended_;
  });
  if (end == std::string::npos)
    throw std::runtime_error("the connection ended without an answer: " + received_);
  Response reply;
  std::string_view text = std::string_view(received_).substr(0, end + 2);
  REQUIRE(text.starts_with("HTTP/1.1 "));
  reply.status = std::stoi(std::string(text.substr(9, 3)));
  text.remove_prefix(text.find("\r\n") + 2);
  while (!text.empty()) {
    size_t colon = text.find(": "), line = text.find("\r\n");
    REQUIRE(colon < line);
    std::string name(text.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    CHECK(reply.fields.emplace(name, text.substr(colon + 2, line - colon - 2)).second);
    text.remove_prefix(line + 2);
  }
  size_t length = reply.fields.contains("content-length") ? std::stoul(reply.fields["content-length"]) : 0;
  if (head) length = 0;
  fixture_.run_until([&] {
    read_some();
    return received_.size() >= end + 4 + length || ended_;
  });
  REQUIRE(received_.size() >= end + 4 + length);
  reply.body = received_.substr(end + 4, length);
  received_.erase(0, end + 4 + length);
  return reply;
}

std::string Client::rest() {
  fixture_.run_until([&] {
    while (read_some()) {
    }
    return ended_;
  });
  return std::exchange(received_, "");
}

bool Client::closed() { return rest().empty(); }

}  // namespace kvd::testing
