// The blocking HTTP client of the tests with real processes: see the header. poll(2) is where it waits, so
// that one deadline covers everything.
#include "rig/http_client.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>

#include "base/check.hpp"

namespace kvd::testing {
namespace {

using Deadline = std::chrono::steady_clock::time_point;

Deadline deadline_after(Duration limit) { return std::chrono::steady_clock::now() + limit; }

bool ready(int fd, short what, Deadline deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now()).count();
  pollfd item{fd, what, 0};
  return poll(&item, 1, static_cast<int>(std::max<int64_t>(left, 0))) == 1;
}

// -1: there is no connection within the time.
int connect_to(const Address& server, Deadline deadline) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  CHECK(fd >= 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server.port);
  CHECK(inet_pton(AF_INET, server.host.c_str(), &address.sin_addr) == 1);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  bool connected = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  if (!connected && errno == EINPROGRESS && ready(fd, POLLOUT, deadline)) {
    int error = 0;
    socklen_t size = sizeof error;
    connected = getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
  }
  if (connected) return fd;
  close(fd);
  return -1;
}

bool send_all(int fd, std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    if (!ready(fd, POLLOUT, deadline)) return false;
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

// False: the deadline passed, or the connection ended.
bool receive_some(int fd, std::string& bytes, Deadline deadline) {
  char part[16384];
  if (!ready(fd, POLLIN, deadline)) return false;
  const ssize_t got = recv(fd, part, sizeof part, 0);
  if (got <= 0) return false;
  bytes.append(part, static_cast<size_t>(got));
  return true;
}

// Between two calls nothing may come: what does is the end of the connection, or makes it useless.
bool still_open(int fd) {
  char byte = 0;
  return recv(fd, &byte, 1, MSG_PEEK) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

std::optional<size_t> number(std::string_view text) {
  size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The status line and the fields, without the empty line. Nothing: this is no HTTP.
std::optional<HttpAnswer> parse_head(std::string_view bytes) {
  if (bytes.size() < 12 || bytes.substr(0, 7) != "HTTP/1.") return std::nullopt;
  HttpAnswer answer;
  const auto status = number(bytes.substr(9, 3));
  if (!status) return std::nullopt;
  answer.status = static_cast<int>(*status);
  size_t end = std::min(bytes.find("\r\n"), bytes.size());
  while (end < bytes.size()) {
    const size_t begin = end + 2;
    end = std::min(bytes.find("\r\n", begin), bytes.size());
    const std::string_view line = bytes.substr(begin, end - begin);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    std::string_view value = line.substr(colon + 1);
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    answer.headers.emplace_back(line.substr(0, colon), value);
  }
  return answer;
}

// An answer that is cut short is none: kvd always gives the length, or a status that has no body.
HttpAnswer receive_answer(int fd, bool has_body, Deadline deadline) {
  std::string bytes;
  size_t head_end = std::string::npos;
  while ((head_end = bytes.find("\r\n\r\n")) == std::string::npos) {
    if (!receive_some(fd, bytes, deadline)) return {};
  }
  std::optional<HttpAnswer> answer = parse_head(std::string_view(bytes).substr(0, head_end));
  if (!answer) return {};
  if (!has_body || answer->status == 204 || answer->status == 304) return *answer;
  const auto length = number(answer->header("Content-Length"));
  if (!length) return {};
  const size_t body = head_end + 4;
  while (bytes.size() < body + *length) {
    if (!receive_some(fd, bytes, deadline)) return {};
  }
  if (bytes.size() > body + *length) return {};
  answer->body = bytes.substr(body);
  return *answer;
}

}  // namespace

std::string HttpAnswer::header(std::string_view name) const {
  for (const auto& [known, value] : headers) {
    if (known.size() == name.size() && strncasecmp(known.data(), name.data(), name.size()) == 0) return value;
  }
  return {};
}

void HttpConnection::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

bool HttpConnection::send(const HttpCall& call, Duration limit) {
  const Deadline deadline = deadline_after(limit);
  if (fd_ >= 0 && !still_open(fd_)) close();
  if (fd_ < 0) fd_ = connect_to(server_, deadline);
  if (fd_ < 0) return false;
  std::string request = fmt::format("{} {} HTTP/1.1\r\nHost: {}:{}\r\nContent-Length: {}\r\n", call.method,
                                    call.target, server_.host, server_.port, call.body.size());
  for (const auto& [name, value] : call.headers) request += fmt::format("{}: {}\r\n", name, value);
  request += "\r\n";
  request += call.body;
  method_ = call.method;
  // Also when it ends midway: the server may have refused what it has read so far, and said so.
  send_all(fd_, request, deadline);
  return true;
}

HttpAnswer HttpConnection::receive(Duration limit) {
  if (fd_ < 0) return {};
  HttpAnswer answer = receive_answer(fd_, method_ != "HEAD", deadline_after(limit));
  if (answer.status == 0 || answer.header("Connection") == "close") close();
  return answer;
}

HttpAnswer HttpConnection::call(const HttpCall& call, Duration limit) {
  const Deadline deadline = deadline_after(limit);
  if (send(call, limit)) {
    return receive(std::chrono::duration_cast<Duration>(deadline - std::chrono::steady_clock::now()));
  }
  HttpAnswer none;
  none.never_sent = true;
  return none;
}

HttpAnswer http_request(const Address& server, std::string_view method, std::string_view target,
                        std::string_view body, Duration limit) {
  HttpConnection connection(server);
  return connection.call(
      {std::string(method), std::string(target), std::string(body), {{"Connection", "close"}}}, limit);
}

}  // namespace kvd::testing
