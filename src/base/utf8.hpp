// Whether bytes are well-formed UTF-8 (RFC 3629). In a file of its own, since what answers it, simdjson,
// costs two seconds wherever its header is included.
#pragma once
#include <string_view>

namespace kvd {

bool is_utf8(std::string_view bytes);

}  // namespace kvd
