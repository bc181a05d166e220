// A small blocking HTTP/1.1 client for tests. It never retries and never follows anything: what came back is
// the answer. http_request() from any thread; an HttpConnection belongs to one thread at a time.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "msg/types.hpp"

namespace kvd::testing {

struct HttpAnswer {
  int status = 0;           // 0: no whole answer came in time; nothing is known of what the request did
  bool never_sent = false;  // of status 0: there was no connection, so that it certainly did nothing
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  // The first one's value; names are compared without regard to case. Empty: there is none.
  std::string header(std::string_view name) const;
};

struct HttpCall {
  std::string method;
  std::string target;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // besides Host, Content-Length and Connection
};

// A connection that is kept between calls and made anew when it has ended. `server` is an IPv4 literal.
class HttpConnection {
 public:
  explicit HttpConnection(Address server) : server_(std::move(server)) {}
  ~HttpConnection() { close(); }
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  HttpAnswer call(const HttpCall& call, Duration limit);  // `limit` bounds all of it
  // In two halves, so that something can happen in between. False: there is no connection.
  bool send(const HttpCall& call, Duration limit);
  HttpAnswer receive(Duration limit);  // the answer to the last one sent
  void close();

 private:
  Address server_;
  int fd_ = -1;         // does not block by itself
  std::string method_;  // of the last call
};

// One connection for one request, closed afterwards.
HttpAnswer http_request(const Address& server, std::string_view method, std::string_view target,
                        std::string_view body, Duration limit);

}  // namespace kvd::testing
