// Percent-encoding (RFC 3986, 2.1): bytes in the path or the query of a URL. Pure functions, any thread.
// Nothing is normalised.
#pragma once
#include <string>
#include <string_view>

namespace kvd {

// Every '%' is followed by two hexadecimal digits.
bool is_percent_encoded(std::string_view text);
// Decodes once; '+' stays '+'. `text` satisfies is_percent_encoded().
std::string percent_decode(std::string_view text);
// The same in a query, where every client library writes a space as '+' (and a plus as %2B).
std::string query_decode(std::string_view text);
// Everything but the unreserved characters becomes %XX.
std::string percent_encode(std::string_view bytes);
// The same, but slashes stay: of a path.
std::string percent_encode_path(std::string_view path);

}  // namespace kvd
