// What the JSON bodies of requests share: how a refusal is made, texts that may be base64, and the members of an
// operation on a key. For what parses such a body (batch_json, txn_json). Pure functions, any thread.
#pragma once
#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "msg/client.hpp"

namespace kvd {

struct BodyError {
  bool too_large = false;      // 413 instead of 400
  std::string detail;          // a sentence that names the place
  std::optional<uint32_t> op;  // of a transaction's branch: the operation that is too large
};
Failure<BodyError> refuse_body(std::string detail);
Failure<BodyError> refuse_body_size(std::string detail);

// The JSON object that `json` is; it lives as long as `parser`, and until its next text. `what` is how a refusal calls
// it.
Result<simdjson::dom::object, BodyError> parse_body_object(simdjson::dom::parser& parser,
                                                           std::string_view json, std::string_view what);

// One "name" or "name_b64" member of an object.
struct BodyText {
  std::optional<std::string_view> bytes;  // in the document, or in:
  std::optional<std::string> decoded;
  std::string problem;  // empty: none
};
// That `member` is `name`, or `name` in base64.
bool is_text_member(std::string_view member, std::string_view name);
void take_text(BodyText& text, simdjson::dom::key_value_pair member);
// Empty: it is there and may be a key.
std::string problem_of_key(const BodyText& key);

// What an operation is given. Unknown members are refused, and those that are missing.
enum class OpMembers : uint8_t {
  kKey,
  kKeyAndValue,
  kKeyAndBy,
  kPut,    // with a value and perhaps a term: "ttl" (ms, or "keep") or "lease" (an id)
  kTouch,  // with a term: "ttl" (ms) or "lease"
};
struct OpFields {
  std::string key;
  Bytes value;
  int64_t by = 0;
  Term term = {};
};
Result<OpFields, BodyError> parse_op_fields(simdjson::dom::object fields, OpMembers members,
                                            size_t value_bytes_max);

}  // namespace kvd
