// Policies, users and tokens as JSON: what requests bring, and what answers show of them, which of a token is nothing
// that could make one its holder. Pure functions, any thread.
#pragma once
#include <string_view>

#include "base/json_writer.hpp"
#include "base/result.hpp"
#include "msg/access.hpp"
#include "msg/access_table.hpp"
#include "shell/http/body_json.hpp"

namespace kvd {

Result<Policy, BodyError> parse_policy(std::string_view json);
Result<UserAccount, BodyError> parse_user(std::string_view json);
Result<CreateToken, BodyError> parse_token_wish(std::string_view json);  // without an id and a digest

// Members of an object, which the caller opens and closes.
void write_rules(JsonWriter& json, const std::vector<Rule>& rules);
// An item of Space::kAccess; of a token nothing that could show that one is its holder. `now_ms` since 1970.
void write_access(JsonWriter& json, const Record& item, const AccessTable& table, uint64_t now_ms);

}  // namespace kvd
