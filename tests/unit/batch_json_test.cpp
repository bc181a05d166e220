// JSON bodies: what a batch and the settings may look like, and that a refusal names the place.
// Standalone: no sockets, no node.
#include "shell/http/batch_json.hpp"

#include <doctest.h>

#include "msg/limits.hpp"

namespace kvd::batch_json_test {

namespace {

constexpr size_t kValueBytes = 16;

std::string error_of(std::string_view json) {
  Result<WriteBatch, BodyError> batch = parse_batch(json, kValueBytes);
  if (batch) return "";
  return (batch.error().too_large ? "413 " : "400 ") + batch.error().detail;
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

std::string puts(size_t count) {
  std::string json = "{\"ops\":[";
  for (size_t i = 0; i < count; ++i)
    json += i == 0 ? R"({"delete":{"key":"k"}})" : R"(,{"delete":{"key":"k"}})";
  return json + "]}";
}

}  // namespace

TEST_CASE("batch: puts and deletes in order, text and bytes") {
  auto batch = parse_batch(R"({"ops":[{"put":{"key":"a","value":"1\u0000é"}},{"delete":{"key_b64":"/w=="}},)"
                           R"({"put":{"value_b64":"","key":"a"}}]})",
                           kValueBytes);
  REQUIRE(batch.has_value());
  REQUIRE(batch->ops.size() == 3);
  CHECK(batch->ops[0].key == "a");
  CHECK(batch->ops[0].value->view() == std::string_view("1\0é", 4));
  CHECK(batch->ops[1].key == "\xff");
  CHECK_FALSE(batch->ops[1].value.has_value());
  CHECK(batch->ops[2].value->size() == 0);
}

TEST_CASE("batch: a put may bring a term") {
  auto batch =
      parse_batch(R"({"ops":[{"put":{"key":"a","value":"1","ttl":5000}},{"put":{"key":"b","value":"1",)"
                  R"("ttl":"keep"}},{"put":{"key":"c","value":"1","lease":18446744073709551615}},)"
                  R"({"put":{"key":"d","value":"1"}}]})",
                  kValueBytes);
  REQUIRE(batch.has_value());
  CHECK(batch->ops[0].term == Term{Term::Kind::kTime, 5000});
  CHECK(batch->ops[1].term == Term{Term::Kind::kKeep, 0});
  CHECK(batch->ops[2].term == Term{Term::Kind::kLease, UINT64_MAX});
  CHECK(batch->ops[3].term == Term());
}

TEST_CASE("leases: a list of ids to be renewed") {
  auto renewal = parse_renewal(R"({"leases":[3,18446744073709551615]})");
  REQUIRE(renewal.has_value());
  CHECK(renewal->ids == std::vector<uint64_t>{3, UINT64_MAX});
  const std::pair<const char*, const char*> cases[] = {
      {R"({"leases":[]})", "\"leases\" is empty"},
      {R"({"leases":3})", "\"leases\" has to be a list"},
      {R"({"leases":[3,"4"]})", "leases[1] has to be the id of a lease"},
      {R"({"leases":[-1]})", "leases[0] has to be the id of a lease"},
      {R"({"leases":[1],"x":1})", "the member \"x\" is unknown"},
      {R"({"lease":[1]})", "the member \"lease\" is unknown"},
      {"{}", "the body needs one member \"leases\""},
      {"[1]", "the body has to be a JSON object"},
      {"", "the body is no JSON"},
  };
  for (const auto& one : cases) {
    CAPTURE(one.first);
    const auto refused = parse_renewal(one.first);
    REQUIRE_FALSE(refused.has_value());
    CHECK(contains(refused.error().detail, one.second));
  }
  std::string ids = "1";
  for (size_t i = 1; i < limits::kLeasesAtOnce; ++i) ids += ",18446744073709551615";
  const std::string most = R"({"leases":[)" + ids + "]}";
  CHECK(most.size() <= limits::kLeasesAtOnce * 24);  // as much as the face reads
  CHECK(parse_renewal(most).has_value());
  CHECK_FALSE(parse_renewal(R"({"leases":[)" + ids + ",1]}").has_value());
}

TEST_CASE("batch: a refusal names the operation") {
  struct Case {
    const char* json;
    const char* part;
  };
  const Case cases[] = {
      {R"({"ops":[{"put":{"key":"a","value":"x"}},{"put":{"key":"a"}}]})",
       "400 ops[1]: \"value\" is missing"},
      {R"({"ops":[{"put":{"value":"x"}}]})", "400 ops[0]: \"key\" is missing"},
      {R"({"ops":[{"put":{"key":"","value":"x"}}]})", "400 ops[0]: a key has"},
      {R"({"ops":[{"put":{"key":5,"value":"x"}}]})", "400 ops[0]: \"key\" has to be a string"},
      {R"({"ops":[{"put":{"key":"a","value":null}}]})", "400 ops[0]: \"value\" has to be a string"},
      {R"({"ops":[{"put":{"key":"a","value_b64":"x"}}]})", "400 ops[0]: \"value_b64\" has to be base64"},
      {R"({"ops":[{"put":{"key":"a","value":"","value_b64":""}}]})", "given twice"},
      {R"({"ops":[{"delete":{"key":"a","value":"x"}}]})", "400 ops[0]: the member \"value\" is unknown"},
      {R"({"ops":[{"put":{"key":"a","value":"x","if":1}}]})", "400 ops[0]: the member \"if\" is unknown"},
      {R"({"ops":[{"put":{"key":"a","value":"","ttl":99}}]})",
       "400 ops[0]: \"ttl\" has to be \"keep\", or 100 to 315360000000 milliseconds"},
      {R"({"ops":[{"put":{"key":"a","value":"","ttl":315360000001}}]})", "400 ops[0]: \"ttl\" has to be"},
      {R"({"ops":[{"put":{"key":"a","value":"","ttl":"kept"}}]})", "400 ops[0]: \"ttl\" has to be"},
      {R"({"ops":[{"put":{"key":"a","value":"","lease":"7"}}]})", "400 ops[0]: \"lease\" has to be the id"},
      {R"({"ops":[{"put":{"key":"a","value":"","lease":7,"ttl":500}}]})",
       "400 ops[0]: an operation takes one of \"ttl\" and \"lease\""},
      {R"({"ops":[{"delete":{"key":"a","ttl":500}}]})", "400 ops[0]: the member \"ttl\" is unknown"},
      {R"({"ops":[{"get":{"key":"a"}}]})", "400 ops[0]: the operation \"get\" is unknown"},
      {R"({"ops":[{"put":{"key":"a","value":"x"},"delete":{"key":"a"}}]})", "400 ops[0]: an operation is"},
      {R"({"ops":[{}]})", "400 ops[0]: an operation is"},
      {R"({"ops":["put"]})", "400 ops[0]: an operation is"},
      {R"({"ops":[{"put":[]}]})", "400 ops[0]: \"put\" has to be an object"},
      {R"({"ops":[{"put":{"key":"a","value":"12345678901234567"}}]})",
       "413 ops[0]: a value may have 16 bytes"},
      {R"({"ops":[]})", "400 \"ops\" is empty"},
      {R"({"ops":{}})", "400 \"ops\" has to be a list"},
      {R"({"ops":[],"x":1})", "400 the member \"x\" is unknown"},
      {R"({})", "400 the body needs one member \"ops\""},
      {R"([])", "400 the body has to be a JSON object"},
      {R"({"ops":[)", "400 the body is no JSON"},
      {"", "400 the body is no JSON"},
      {"{\"ops\":[{\"delete\":{\"key\":\"\xff\"}}]}", "400 the body is no JSON"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.json);
    CAPTURE(error_of(c.json));
    CHECK(contains(error_of(c.json), c.part));
  }
}

TEST_CASE("batch: bounds") {
  CHECK(error_of(puts(limits::kBatchOps)).empty());
  CHECK(contains(error_of(puts(limits::kBatchOps + 1)), "400 a batch has 1024 operations at most"));
  std::string key = std::string(limits::kKeyBytes, 'k');
  CHECK(error_of(R"({"ops":[{"delete":{"key":")" + key + R"("}}]})").empty());
  CHECK(contains(error_of(R"({"ops":[{"delete":{"key":")" + key + R"(k"}}]})"),
                 "ops[0]: a key has 1 to 1024 bytes"));
}

TEST_CASE("settings: one number in range") {
  auto settings = parse_settings(R"({"min_in_sync":2})");
  REQUIRE(settings.has_value());
  CHECK(settings->min_in_sync == 2);
  CHECK(parse_settings(R"({"min_in_sync":64})").has_value());
  for (const char* bad : {R"({"min_in_sync":0})", R"({"min_in_sync":65})", R"({"min_in_sync":-1})",
                          R"({"min_in_sync":"2"})", R"({"min_in_sync":1.5})", R"({})", R"({"x":1})",
                          R"({"min_in_sync":1,"min_in_sync":2})", R"(2)", ""}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_settings(bad).has_value());
  }
}

}  // namespace kvd::batch_json_test
