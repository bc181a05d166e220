// The blocking HTTP client of the tests with real processes: see the header. Its sockets do not block by
// themselves; poll(2) is where it waits, so that one deadline covers everything.
#include "cluster/http_client.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
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

using Clock = std::chrono::steady_clock;

class Exchange {
 public:
  explicit Exchange(Duration limit)
      : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), deadline_(Clock::now() + limit) {
    CHECK(fd_ >= 0);
  }
  ~Exchange() { close(fd_); }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  bool connect_to(const Address& server) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server.port);
    CHECK(inet_pton(AF_INET, server.host.c_str(), &address.sin_addr) == 1);
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return true;
    if (errno != EINPROGRESS || !ready(POLLOUT)) return false;
    int error = 0;
    socklen_t size = sizeof error;
    return getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
  }

  bool send_all(std::string_view bytes) {
    while (!bytes.empty()) {
      if (!ready(POLLOUT)) return false;
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }

  // Until the other side closes. False: the deadline passed, or the connection broke.
  bool receive_all(std::string& bytes) {
    char part[16384];
    while (ready(POLLIN)) {
      const ssize_t got = recv(fd_, part, sizeof part, 0);
      if (got == 0) return true;
      if (got < 0) return false;
      bytes.append(part, static_cast<size_t>(got));
    }
    return false;
  }

 private:
  bool ready(short what) {
    const auto left = std::chrono::ceil<milliseconds>(deadline_ - Clock::now()).count();
    pollfd item{fd_, what, 0};
    return poll(&item, 1, static_cast<int>(std::max<int64_t>(left, 0))) == 1;
  }
  int fd_;
  Clock::time_point deadline_;
};

std::optional<size_t> number(std::string_view text) {
  size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// An answer that is cut short is none: kvd always gives the length, or a status that has no body.
HttpAnswer parse(std::string_view bytes, bool has_body) {
  const size_t head_end = bytes.find("\r\n\r\n");
  if (head_end == std::string_view::npos || bytes.size() < 12 || bytes.substr(0, 7) != "HTTP/1.") return {};
  HttpAnswer answer;
  const auto status = number(bytes.substr(9, 3));
  if (!status) return {};
  answer.status = static_cast<int>(*status);
  size_t at = bytes.find("\r\n") + 2;
  while (at < head_end) {
    const size_t end = bytes.find("\r\n", at);
    const std::string_view line = bytes.substr(at, end - at);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return {};
    std::string_view value = line.substr(colon + 1);
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    answer.headers.emplace_back(line.substr(0, colon), value);
    at = end + 2;
  }
  if (!has_body || *status == 204 || *status == 304) return answer;
  answer.body = bytes.substr(head_end + 4);
  const auto length = number(answer.header("Content-Length"));
  if (!length || *length != answer.body.size()) return {};
  return answer;
}

}  // namespace

std::string HttpAnswer::header(std::string_view name) const {
  for (const auto& [known, value] : headers) {
    if (known.size() == name.size() && strncasecmp(known.data(), name.data(), name.size()) == 0) return value;
  }
  return {};
}

HttpAnswer http_request(const Address& server, std::string_view method, std::string_view target,
                        std::string_view body, Duration limit) {
  Exchange exchange(limit);
  if (!exchange.connect_to(server)) return {};
  const std::string request =
      fmt::format("{} {} HTTP/1.1\r\nHost: {}:{}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
                  method, target, server.host, server.port, body.size(), body);
  std::string bytes;
  if (!exchange.send_all(request) || !exchange.receive_all(bytes)) return {};
  return parse(bytes, method != "HEAD");
}

}  // namespace kvd::testing
