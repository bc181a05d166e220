// Whether a web page may be behind a request. A browser sends a page's requests to any server that its user can reach,
// loopback included, and a page whose name is made to resolve to such a server (DNS rebinding) reads the answers, too.
// Pure functions, any thread.
#pragma once
#include <optional>
#include <string>

#include "shell/http/http_options.hpp"
#include "shell/http/http_parser.hpp"

namespace kvd {

struct BrowserRefusal {
  uint16_t status = 0;
  std::string_view kind;
  std::string detail;
};

// `authority` is the target's own, empty when it has none. What no browser sent is never refused for its origin.
std::optional<BrowserRefusal> browser_refusal(const HttpRequest& request, std::string_view authority,
                                              const AllowedHosts& allowed);

}  // namespace kvd
