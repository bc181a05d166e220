// The text of IP addresses, as inet_pton reads and inet_ntop writes it, without sockets: 10.0.0.5 and 2001:db8::5
// (RFC 4291, 2.2; written as RFC 5952 has it). No names, no zones, no prefixes, no octal.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace kvd {

// The one form in which equal addresses are equal texts; nothing: `text` is none.
std::optional<std::string> canonical_ip(std::string_view text);

}  // namespace kvd
