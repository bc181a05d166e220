// See utf8.hpp.
#include "base/utf8.hpp"

#include <simdjson.h>

namespace kvd {

bool is_utf8(std::string_view bytes) { return simdjson::validate_utf8(bytes.data(), bytes.size()); }

}  // namespace kvd
