// See batch_json.hpp.
#include "shell/http/batch_json.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include "base/base64.hpp"
#include "msg/limits.hpp"

namespace kvd {
namespace {

namespace dom = simdjson::dom;

constexpr uint64_t kMinInSyncMax = 64;

Failure<BodyError> refuse(std::string detail) {
  return Failure<BodyError>(BodyError{false, std::move(detail)});
}
Failure<BodyError> refuse_size(std::string detail) {
  return Failure<BodyError>(BodyError{true, std::move(detail)});
}

// One "name" or "name_b64" member of an operation.
struct Text {
  std::optional<std::string_view> bytes;  // in the document, or in:
  std::optional<std::string> decoded;
  std::string problem;  // empty: none
};

void take_text(Text& text, std::string_view name, bool base64, dom::element value) {
  std::string_view content;
  if (text.bytes) {
    text.problem = fmt::format("\"{}\" is given twice", name);
  } else if (value.get(content) != simdjson::SUCCESS) {
    text.problem = fmt::format("\"{}\" has to be a string", name);
  } else if (!base64) {
    text.bytes = content;
  } else {
    text.decoded = base64_decode(content);
    text.bytes = text.decoded;
    if (!text.bytes) text.problem = fmt::format("\"{}\" has to be base64 with padding", name);
  }
}

Result<BatchOp, BodyError> parse_fields(dom::object fields, bool put, size_t value_bytes_max) {
  Text key, value;
  for (dom::key_value_pair field : fields) {
    if (field.key == "key" || field.key == "key_b64") {
      take_text(key, field.key, field.key == "key_b64", field.value);
    } else if (put && (field.key == "value" || field.key == "value_b64")) {
      take_text(value, field.key, field.key == "value_b64", field.value);
    } else {
      return refuse(fmt::format("the member \"{}\" is unknown here", field.key));
    }
    if (!key.problem.empty()) return refuse(key.problem);
    if (!value.problem.empty()) return refuse(value.problem);
  }
  if (!key.bytes) return refuse("\"key\" is missing");
  if (key.bytes->empty() || key.bytes->size() > limits::kKeyBytes) {
    return refuse(fmt::format("a key has 1 to {} bytes", limits::kKeyBytes));
  }
  BatchOp op;
  op.key = *key.bytes;
  if (!put) return op;
  if (!value.bytes) return refuse("\"value\" is missing");
  if (value.bytes->size() > value_bytes_max) {
    return refuse_size(fmt::format("a value may have {} bytes at most", value_bytes_max));
  }
  op.value = Bytes(*value.bytes);
  return op;
}

Result<BatchOp, BodyError> parse_op(dom::element element, size_t value_bytes_max) {
  dom::object object;
  if (element.get(object) != simdjson::SUCCESS || object.size() != 1) {
    return refuse("an operation is an object with one member, \"put\" or \"delete\"");
  }
  dom::key_value_pair only = *object.begin();
  bool put = only.key == "put";
  if (!put && only.key != "delete") return refuse(fmt::format("the operation \"{}\" is unknown", only.key));
  dom::object fields;
  if (only.value.get(fields) != simdjson::SUCCESS)
    return refuse(fmt::format("\"{}\" has to be an object", only.key));
  return parse_fields(fields, put, value_bytes_max);
}

// The one member that the document has to have.
Result<dom::element, BodyError> parse_document(dom::parser& parser, std::string_view json,
                                               std::string_view member) {
  dom::element document;
  simdjson::error_code code = parser.parse(json.data(), json.size()).get(document);
  if (code != simdjson::SUCCESS)
    return refuse(fmt::format("the body is no JSON: {}", simdjson::error_message(code)));
  dom::object object;
  if (document.get(object) != simdjson::SUCCESS) return refuse("the body has to be a JSON object");
  for (dom::key_value_pair field : object) {
    if (field.key != member) return refuse(fmt::format("the member \"{}\" is unknown here", field.key));
  }
  dom::element content;
  if (object.size() != 1 || object.at_key(member).get(content) != simdjson::SUCCESS) {
    return refuse(fmt::format("the body needs one member \"{}\"", member));
  }
  return content;
}

}  // namespace

Result<WriteBatch, BodyError> parse_batch(std::string_view json, size_t value_bytes_max) {
  dom::parser parser;
  Result<dom::element, BodyError> content = parse_document(parser, json, "ops");
  if (!content) return Failure<BodyError>(std::move(content.error()));
  dom::array ops;
  if (content->get(ops) != simdjson::SUCCESS) return refuse("\"ops\" has to be a list");
  WriteBatch batch;
  for (dom::element element : ops) {
    size_t index = batch.ops.size();
    if (index == limits::kBatchOps)
      return refuse(fmt::format("a batch has {} operations at most", limits::kBatchOps));
    Result<BatchOp, BodyError> op = parse_op(element, value_bytes_max);
    if (!op) {
      op.error().detail = fmt::format("ops[{}]: {}", index, op.error().detail);
      return Failure<BodyError>(std::move(op.error()));
    }
    batch.ops.push_back(std::move(*op));
  }
  if (batch.ops.empty()) return refuse("\"ops\" is empty");
  return batch;
}

Result<ChangeSettings, BodyError> parse_settings(std::string_view json) {
  dom::parser parser;
  Result<dom::element, BodyError> content = parse_document(parser, json, "min_in_sync");
  if (!content) return Failure<BodyError>(std::move(content.error()));
  uint64_t number = 0;
  if (content->get(number) != simdjson::SUCCESS || number < 1 || number > kMinInSyncMax) {
    return refuse(fmt::format("\"min_in_sync\" has to be a number from 1 to {}", kMinInSyncMax));
  }
  return ChangeSettings{static_cast<uint32_t>(number)};
}

}  // namespace kvd
