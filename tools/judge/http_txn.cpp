// See http_txn.hpp.
#include "judge/http_txn.hpp"

#include <simdjson.h>

#include "base/base64.hpp"
#include "base/json_writer.hpp"

namespace kvd::testing {
namespace {

namespace dom = simdjson::dom;

constexpr const char* kOpNames[] = {"put", "delete", "add", "append", "get", "touch"};
constexpr const char* kComparisons[] = {"=", "!=", "<", ">"};

void write_condition(JsonWriter& json, const TxnCondition& condition) {
  json.begin_object();
  if (condition.of != TxnCondition::Of::kLease) json.bytes_member("key", condition.key);
  switch (condition.of) {
    case TxnCondition::Of::kLease:
      json.member("lease", condition.number).end_object();
      return;
    case TxnCondition::Of::kExists:
      json.member("exists", condition.number == 1).end_object();
      return;
    case TxnCondition::Of::kRevision:
      json.member("revision", condition.number);
      break;
    case TxnCondition::Of::kVersion:
      json.member("version", condition.number);
      break;
    case TxnCondition::Of::kValue:
      json.bytes_member("value", condition.value.view());
      break;
    case TxnCondition::Of::kReceipt:
      break;  // nobody asks for it here
  }
  json.member("op", kComparisons[static_cast<size_t>(condition.is)]).end_object();
}

void write_term(JsonWriter& json, const Term& term) {
  if (term.kind == Term::Kind::kKeep) json.member("ttl", "keep");
  if (term.kind == Term::Kind::kTime) json.member("ttl", term.number);
  if (term.kind == Term::Kind::kLease) json.member("lease", term.number);
}

void write_ops(JsonWriter& json, const char* branch, const std::vector<TxnOp>& ops) {
  json.key(branch).begin_array();
  for (const TxnOp& op : ops) {
    json.begin_object().key(kOpNames[static_cast<size_t>(op.kind)]).begin_object();
    json.bytes_member("key", op.key);
    if (op.kind == TxnOp::Kind::kAdd) json.member("by", op.by);
    if (op.kind == TxnOp::Kind::kPut || op.kind == TxnOp::Kind::kAppend)
      json.bytes_member("value", op.value.view());
    if (op.kind == TxnOp::Kind::kPut || op.kind == TxnOp::Kind::kTouch) write_term(json, op.term);
    json.end_object().end_object();
  }
  json.end_array();
}

template <class T>
std::optional<T> member(dom::element object, const char* name) {
  T content{};
  if (object[name].get(content) != simdjson::SUCCESS) return std::nullopt;
  return content;
}

std::optional<OpResult> found(dom::element result) {
  if (result.is_null()) return OpMissing{};
  const auto revision = member<uint64_t>(result, "revision");
  const auto text = member<std::string_view>(result, "value");
  const auto encoded = member<std::string_view>(result, "value_b64");
  const auto decoded = encoded ? base64_decode(*encoded) : std::nullopt;
  if (!revision || !(text || decoded)) return std::nullopt;
  return OpFound{Bytes(text ? *text : std::string_view(*decoded)), Revision(*revision)};
}

std::optional<OpResult> result_of(const TxnOp& op, dom::element result) {
  switch (op.kind) {
    case TxnOp::Kind::kPut:
      if (auto created = member<bool>(result, "created")) return OpPut{*created};
      break;
    case TxnOp::Kind::kDelete:
      if (auto deleted = member<bool>(result, "deleted")) return OpDeleted{*deleted};
      break;
    case TxnOp::Kind::kAdd:
      if (auto value = member<int64_t>(result, "value")) return OpAdded{*value};
      break;
    case TxnOp::Kind::kAppend:
      if (auto created = member<bool>(result, "created")) return OpAppended{*created};
      break;
    case TxnOp::Kind::kGet:
      return found(result);
    case TxnOp::Kind::kTouch:
      if (auto touched = member<bool>(result, "touched")) return OpTouched{*touched};
      break;
    case TxnOp::Kind::kAck:
    case TxnOp::Kind::kSend:
      break;  // nobody asks for it here
  }
  return std::nullopt;
}

}  // namespace

std::string transaction_json(const Transaction& transaction) {
  JsonWriter json;
  json.begin_object().key("if").begin_array();
  for (const TxnCondition& condition : transaction.conditions) write_condition(json, condition);
  json.end_array();
  write_ops(json, "then", transaction.then_ops);
  write_ops(json, "else", transaction.else_ops);
  return json.end_object().take();
}

std::optional<HttpTxnDone> read_txn_answer(const Transaction& transaction, std::string_view body) {
  dom::parser parser;
  dom::element document;
  if (parser.parse(body.data(), body.size()).get(document) != simdjson::SUCCESS) return std::nullopt;
  const auto succeeded = member<bool>(document, "succeeded");
  const auto revision = member<uint64_t>(document, "revision");
  const auto results = member<dom::array>(document, "results");
  if (!succeeded || !revision || !results) return std::nullopt;
  const std::vector<TxnOp>& ops = *succeeded ? transaction.then_ops : transaction.else_ops;
  if (results->size() != ops.size()) return std::nullopt;
  HttpTxnDone answer{TxnDone{*succeeded, {}}, *revision};
  for (dom::element result : *results) {
    const auto one = result_of(ops[answer.done.results.size()], result);
    if (!one) return std::nullopt;
    answer.done.results.push_back(*one);
  }
  return answer;
}

}  // namespace kvd::testing
