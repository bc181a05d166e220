// A request as the parser would have read it, for tests of what judges one.
// It has no body.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "shell/http/http_parser.hpp"

namespace kvd::testing {

using HttpFieldList = std::vector<std::pair<std::string, std::string>>;

inline HttpRequest made_request(HttpMethod method, std::string target, const HttpFieldList& fields = {}) {
  HttpRequest out;
  out.method = method;
  out.target = std::move(target);
  for (const auto& [name, value] : fields) {
    out.fields.append_name(name);
    out.fields.end_name();
    out.fields.append_value(value);
    out.fields.end_value();
  }
  return out;
}

}  // namespace kvd::testing
