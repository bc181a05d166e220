// See batch_json.hpp.
#include "shell/http/batch_json.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include "msg/limits.hpp"

namespace kvd {
namespace {

namespace dom = simdjson::dom;

constexpr uint64_t kMinInSyncMax = 64;

Result<BatchOp, BodyError> parse_op(dom::element element, size_t value_bytes_max) {
  dom::object object;
  if (element.get(object) != simdjson::SUCCESS || object.size() != 1) {
    return refuse_body("an operation is an object with one member, \"put\" or \"delete\"");
  }
  dom::key_value_pair only = *object.begin();
  bool put = only.key == "put";
  if (!put && only.key != "delete")
    return refuse_body(fmt::format("the operation \"{}\" is unknown", only.key));
  dom::object fields;
  if (only.value.get(fields) != simdjson::SUCCESS)
    return refuse_body(fmt::format("\"{}\" has to be an object", only.key));
  Result<OpFields, BodyError> op =
      parse_op_fields(fields, put ? OpMembers::kPut : OpMembers::kKey, value_bytes_max);
  if (!op) return Failure<BodyError>(std::move(op.error()));
  return BatchOp{std::move(op->key), put ? std::optional(std::move(op->value)) : std::nullopt, op->term};
}

// The one member that the document has to have.
Result<dom::element, BodyError> parse_document(dom::parser& parser, std::string_view json,
                                               std::string_view member) {
  Result<dom::object, BodyError> object = parse_body_object(parser, json, "the body");
  if (!object) return Failure<BodyError>(std::move(object.error()));
  for (dom::key_value_pair field : *object) {
    if (field.key != member) return refuse_body(fmt::format("the member \"{}\" is unknown here", field.key));
  }
  dom::element content;
  if (object->size() != 1 || object->at_key(member).get(content) != simdjson::SUCCESS) {
    return refuse_body(fmt::format("the body needs one member \"{}\"", member));
  }
  return content;
}

}  // namespace

Result<WriteBatch, BodyError> parse_batch(std::string_view json, size_t value_bytes_max) {
  dom::parser parser;
  Result<dom::element, BodyError> content = parse_document(parser, json, "ops");
  if (!content) return Failure<BodyError>(std::move(content.error()));
  dom::array ops;
  if (content->get(ops) != simdjson::SUCCESS) return refuse_body("\"ops\" has to be a list");
  WriteBatch batch;
  for (dom::element element : ops) {
    size_t index = batch.ops.size();
    if (index == limits::kBatchOps)
      return refuse_body(fmt::format("a batch has {} operations at most", limits::kBatchOps));
    Result<BatchOp, BodyError> op = parse_op(element, value_bytes_max);
    if (!op) {
      op.error().detail = fmt::format("ops[{}]: {}", index, op.error().detail);
      return Failure<BodyError>(std::move(op.error()));
    }
    batch.ops.push_back(std::move(*op));
  }
  if (batch.ops.empty()) return refuse_body("\"ops\" is empty");
  return batch;
}

Result<ChangeSettings, BodyError> parse_settings(std::string_view json) {
  dom::parser parser;
  Result<dom::element, BodyError> content = parse_document(parser, json, "min_in_sync");
  if (!content) return Failure<BodyError>(std::move(content.error()));
  uint64_t number = 0;
  if (content->get(number) != simdjson::SUCCESS || number < 1 || number > kMinInSyncMax) {
    return refuse_body(fmt::format("\"min_in_sync\" has to be a number from 1 to {}", kMinInSyncMax));
  }
  return ChangeSettings{static_cast<uint32_t>(number)};
}

Result<RenewLeases, BodyError> parse_renewal(std::string_view json) {
  dom::parser parser;
  Result<dom::element, BodyError> content = parse_document(parser, json, "leases");
  if (!content) return Failure<BodyError>(std::move(content.error()));
  dom::array ids;
  if (content->get(ids) != simdjson::SUCCESS) return refuse_body("\"leases\" has to be a list");
  RenewLeases renewal;
  for (dom::element element : ids) {
    if (element.get(renewal.ids.emplace_back()) != simdjson::SUCCESS)
      return refuse_body(fmt::format("leases[{}] has to be the id of a lease", renewal.ids.size() - 1));
    if (renewal.ids.size() > limits::kLeasesAtOnce)
      return refuse_body(fmt::format("\"leases\" has {} ids at most", limits::kLeasesAtOnce));
  }
  if (renewal.ids.empty()) return refuse_body("\"leases\" is empty");
  return renewal;
}

}  // namespace kvd
