// What a Host field or the authority of a target says (RFC 9110, 7.2; RFC 3986, 3.2): whom a request is for.
// Pure functions, any thread.
#pragma once
#include <optional>
#include <string_view>

namespace kvd {

// The host of `host` or `host:port`, an IPv6 address with its brackets; may be empty. Nothing: it is neither, or
// names a user. A comma, which a name may have by the letter, is refused: so two Host fields look that were joined.
std::optional<std::string_view> host_of(std::string_view authority);

}  // namespace kvd
