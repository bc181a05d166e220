// See http_browser.hpp.
#include "shell/http/http_browser.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.hpp"
#include "shell/http/http_host.hpp"

namespace kvd {
namespace {

bool ends_in_number(std::string_view host) {
  const std::string_view last = host.substr(host.rfind('.') + 1);
  return !last.empty() && std::all_of(last.begin(), last.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Rebinding needs a name that its owner can let resolve to any address. No such name is without a dot, or ends in a
// number: that is an address to every browser.
bool is_allowed(std::string_view host, const AllowedHosts& allowed) {
  if (host.find('.') == std::string_view::npos || host.starts_with('[') || ends_in_number(host)) return true;
  return allowed.all ||
         std::any_of(allowed.names.begin(), allowed.names.end(),
                     [host](const std::string& name) { return equal_ignoring_case(host, name); });
}

// "http://HOST:PORT" (RFC 6454, 6.2); "null" has no host.
std::string_view authority_of(std::string_view origin) {
  const size_t scheme = origin.find("://");
  return scheme == std::string_view::npos ? std::string_view() : origin.substr(scheme + 3);
}

}  // namespace

std::optional<BrowserRefusal> browser_refusal(const HttpRequest& request, std::string_view authority,
                                              const AllowedHosts& allowed) {
  std::string_view site, mode;
  std::string_view host = authority.empty() ? request.host : std::string_view();
  std::optional<std::string_view> origin;
  for (size_t i = 0; i < request.fields.size(); ++i) {
    const HttpFields::Field field = request.fields.at(i);
    if (authority.empty() && equal_ignoring_case(field.name, "Host")) authority = field.value;
    if (equal_ignoring_case(field.name, "Origin")) origin = field.value;
    if (equal_ignoring_case(field.name, "Sec-Fetch-Site")) site = field.value;
    if (equal_ignoring_case(field.name, "Sec-Fetch-Mode")) mode = field.value;
  }
  if (host.empty()) host = host_of(authority).value_or(std::string_view());
  if (!is_allowed(host, allowed)) {
    return BrowserRefusal{
        421, "misdirected",
        fmt::format("this server is not known as {0}: say --allow-host {0} if it is", host)};
  }
  const bool foreign = site.empty() ? origin && !equal_ignoring_case(authority_of(*origin), authority)
                                    : site == "cross-site" || site == "same-site";
  const bool link = request.method == HttpMethod::kGet && mode == "navigate";  // what somebody followed
  if (!foreign || link) return std::nullopt;
  return BrowserRefusal{403, "foreign-origin", "web pages of another origin may not use this server"};
}

}  // namespace kvd
