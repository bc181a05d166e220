// The JSON bodies that clients send: POST /v1/kv and PUT /v1/cluster/settings. What comes in is foreign:
// anything missing, unknown, of another type or out of range is refused with a sentence that names the place.
// Pure functions, any thread.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "msg/client.hpp"

namespace kvd {

struct BodyError {
  bool too_large = false;  // 413 instead of 400
  std::string detail;
};

// {"ops":[{"put":{"key":K,"value":V}},{"delete":{"key":K}},...]};
// for bytes that are no UTF-8 "key_b64" and "value_b64".
Result<WriteBatch, BodyError> parse_batch(std::string_view json, size_t value_bytes_max);

// {"min_in_sync":N}, 1 to 64
Result<ChangeSettings, BodyError> parse_settings(std::string_view json);

}  // namespace kvd
