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
