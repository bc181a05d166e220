// The JSON bodies of POST /v1/kv and PUT /v1/cluster/settings (that of transactions: txn_json.hpp). What comes in is
// foreign: anything missing, unknown, of another type or out of range is refused with a sentence that names the place.
// Pure functions, any thread.
#pragma once
#include <cstddef>
#include <string_view>

#include "base/result.hpp"
#include "msg/client.hpp"
#include "shell/http/body_json.hpp"

namespace kvd {

// {"ops":[{"put":{"key":K,"value":V}},{"delete":{"key":K}},...]};
// for bytes that are no UTF-8 "key_b64" and "value_b64".
Result<WriteBatch, BodyError> parse_batch(std::string_view json, size_t value_bytes_max);

// {"min_in_sync":N}, 1 to 64
Result<ChangeSettings, BodyError> parse_settings(std::string_view json);

// {"leases":[ID, ...]}: 1 to limits::kLeasesAtOnce.
Result<RenewLeases, BodyError> parse_renewal(std::string_view json);

}  // namespace kvd
