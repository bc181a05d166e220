// The JSON body of POST /v1/txn. What comes in is foreign: anything missing, unknown, of another type or out of range
// is refused with a sentence that names the place, as "then[3]: ...". Pure function, any thread.
#pragma once
#include <cstddef>
#include <string_view>

#include "base/result.hpp"
#include "msg/client.hpp"
#include "shell/http/body_json.hpp"

namespace kvd {

// {"if":[CONDITION,..],"then":[OPERATION,..],"else":[OPERATION,..]}, each of the three optional, with one operation at
// least. src/manual/transactions.md has the conditions and operations.
Result<Transaction, BodyError> parse_transaction(std::string_view json, size_t value_bytes_max);

}  // namespace kvd
