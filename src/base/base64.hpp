// Base64 (RFC 4648, section 4: the usual alphabet, with padding), for bytes that have to travel in JSON.
// Pure functions, any thread.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace kvd {

std::string base64_encode(std::string_view bytes);

// Strict: no line breaks, padding required, unused bits zero. Nothing when `text` is anything else.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace kvd
