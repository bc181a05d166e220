// A small blocking HTTP/1.1 client for tests: one connection for each request, closed afterwards. Any thread.
// It never retries and never follows anything: what came back is the answer.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "msg/types.hpp"

namespace kvd::testing {

struct HttpAnswer {
  int status = 0;  // 0: no whole answer came in time; nothing is known of what the request did
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  // The first one's value; names are compared without regard to case. Empty: there is none.
  std::string header(std::string_view name) const;
};

// `limit` bounds the whole exchange. `server` is an IPv4 literal.
HttpAnswer http_request(const Address& server, std::string_view method, std::string_view target,
                        std::string_view body, Duration limit);

}  // namespace kvd::testing
