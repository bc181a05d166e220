// See txn_json.hpp.
#include "shell/http/txn_json.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/decimal.hpp"
#include "msg/limits.hpp"
#include "shell/http/queue_json.hpp"

namespace kvd {
namespace {

using TxnElement = simdjson::dom::element;
using TxnMember = simdjson::dom::key_value_pair;

// Empty: it is taken. (As all that return a string here: else what is wrong with it.)
std::string take_operator(TxnElement value, TxnCondition::Is& is) {
  std::string_view text;
  if (value.get(text) == simdjson::SUCCESS) {
    constexpr std::string_view kOperators[] = {"=", "!=", "<", ">"};
    for (size_t i = 0; i < std::size(kOperators); ++i) {
      if (text != kOperators[i]) continue;
      is = static_cast<TxnCondition::Is>(i);
      return "";
    }
  }
  return "\"op\" has to be \"=\", \"!=\", \"<\" or \">\"";
}

std::string take_number(TxnMember member, TxnCondition::Of of, TxnCondition& condition) {
  condition.of = of;
  if (member.value.get(condition.number) == simdjson::SUCCESS) return "";
  return fmt::format("\"{}\" has to be a whole number, 0 or more", member.key);
}

std::string take_existence(TxnElement value, TxnCondition& condition) {
  condition.of = TxnCondition::Of::kExists;
  bool exists = false;
  if (value.get(exists) != simdjson::SUCCESS) return "\"exists\" has to be true or false";
  condition.number = exists ? 1 : 0;
  return "";
}

// A condition's members, one after the other.
class ConditionReader {
 public:
  std::string take(TxnMember member) {
    if (source_.knows(member.key)) return source_.take(member);
    if (!is_text_member(member.key, "key") && !is_text_member(member.key, "value") &&
        !seen_.insert(member.key).second)
      return fmt::format("\"{}\" is given twice", member.key);
    if (is_text_member(member.key, "key")) {
      take_text(key_, member);
      return key_.problem;
    }
    if (member.key == "id") {
      has_id_ = true;
      const std::string wanted = take_message_id(member.value, condition_.message);
      return wanted.empty() ? "" : "\"id\" has to be " + wanted;
    }
    if (member.key == "op") {
      has_operator_ = true;
      return take_operator(member.value, condition_.is);
    }
    if (is_text_member(member.key, "value")) {
      take_text(value_, member);
      if (!value_.problem.empty()) return value_.problem;
      condition_.of = TxnCondition::Of::kValue;
      condition_.value = Bytes(*value_.bytes);
    } else if (member.key == "revision") {
      return one_of_one(take_number(member, TxnCondition::Of::kRevision, condition_));
    } else if (member.key == "version") {
      return one_of_one(take_number(member, TxnCondition::Of::kVersion, condition_));
    } else if (member.key == "lease") {
      return one_of_one(take_number(member, TxnCondition::Of::kLease, condition_));
    } else if (member.key == "receipt") {
      return one_of_one(take_number(member, TxnCondition::Of::kReceipt, condition_));
    } else if (member.key == "exists") {
      return one_of_one(take_existence(member.value, condition_));
    } else {
      return fmt::format("the member \"{}\" is unknown here", member.key);
    }
    return one_of_one("");
  }

  std::string end() {
    const bool granted = condition_.of == TxnCondition::Of::kReceipt;
    if (granted != has_id_ || granted != source_.given() || (granted && (key_.bytes || has_operator_))) {
      return "\"queue\", \"id\" and \"receipt\" are one condition, without a \"key\" and an \"op\": it holds "
             "while the message is granted by that receipt. \"topic\" and \"subscription\" may stand for the "
             "queue";
    }
    if (granted) return source_.end(condition_.key, condition_.subscription);
    if (condition_.of == TxnCondition::Of::kLease) {
      const bool alone = !key_.bytes && !has_operator_;
      return alone ? "" : "\"lease\" takes no \"key\" and no \"op\": it holds while there is such a lease";
    }
    if (std::string problem = problem_of_key(key_); !problem.empty()) return problem;
    if (subjects_ == 0) return kOneSubject;
    if (has_operator_ && condition_.of == TxnCondition::Of::kExists)
      return "\"exists\" takes no \"op\": say true or false";
    const bool order =
        condition_.is == TxnCondition::Is::kLess || condition_.is == TxnCondition::Is::kGreater;
    if (order && condition_.of == TxnCondition::Of::kValue && !parse_decimal(condition_.value.view())) {
      return "\"<\" and \">\" compare values as numbers: \"value\" has to be a decimal number of 64 bits, "
             "without leading zeros";
    }
    condition_.key = *key_.bytes;
    return "";
  }
  TxnCondition take_condition() { return std::move(condition_); }

 private:
  static constexpr const char* kOneSubject =
      "a condition needs one of \"revision\", \"exists\", \"version\", \"value\", \"lease\" and "
      "\"receipt\"";

  std::string one_of_one(std::string problem) {
    return ++subjects_ == 1 || !problem.empty() ? problem : kOneSubject;
  }

  BodyText key_;
  BodyText value_;
  SourceReader source_{SourceReader::Of::kEither};
  std::set<std::string_view> seen_;
  int subjects_ = 0;
  bool has_operator_ = false;
  bool has_id_ = false;
  TxnCondition condition_;
};

Result<TxnCondition, BodyError> parse_condition(TxnElement element) {
  simdjson::dom::object members;
  if (element.get(members) != simdjson::SUCCESS) return refuse_body("a condition is an object");
  ConditionReader reader;
  for (TxnMember member : members) {
    if (std::string problem = reader.take(member); !problem.empty()) return refuse_body(std::move(problem));
  }
  if (std::string problem = reader.end(); !problem.empty()) return refuse_body(std::move(problem));
  return reader.take_condition();
}

struct KnownOp {
  std::string_view name;
  TxnOp::Kind kind;
  OpMembers members;
};
constexpr KnownOp kTxnOps[] = {
    {"put", TxnOp::Kind::kPut, OpMembers::kPut},
    {"delete", TxnOp::Kind::kDelete, OpMembers::kKey},
    {"add", TxnOp::Kind::kAdd, OpMembers::kKeyAndBy},
    {"append", TxnOp::Kind::kAppend, OpMembers::kKeyAndValue},
    {"get", TxnOp::Kind::kGet, OpMembers::kKey},
    {"touch", TxnOp::Kind::kTouch, OpMembers::kTouch},
    {"ack", TxnOp::Kind::kAck, OpMembers::kKey},  // these three read their own members
    {"send", TxnOp::Kind::kSend, OpMembers::kKey},
    {"publish", TxnOp::Kind::kPublish, OpMembers::kKey},
};

Result<TxnOp, BodyError> parse_txn_op(TxnElement element, size_t value_bytes_max) {
  simdjson::dom::object object;
  if (element.get(object) != simdjson::SUCCESS || object.size() != 1) {
    return refuse_body(
        "an operation is an object with one member: \"put\", \"delete\", \"add\", \"append\", \"get\", "
        "\"touch\", \"ack\", \"send\" or \"publish\"");
  }
  const TxnMember only = *object.begin();
  for (const KnownOp& known : kTxnOps) {
    if (only.key != known.name) continue;
    simdjson::dom::object fields;
    if (only.value.get(fields) != simdjson::SUCCESS)
      return refuse_body(fmt::format("\"{}\" has to be an object", only.key));
    if (known.kind == TxnOp::Kind::kAck) return parse_ack_op(fields);
    if (known.kind == TxnOp::Kind::kSend) return parse_send_op(fields, value_bytes_max);
    if (known.kind == TxnOp::Kind::kPublish) return parse_publish_op(fields, value_bytes_max);
    Result<OpFields, BodyError> op = parse_op_fields(fields, known.members, value_bytes_max);
    if (!op) return Failure<BodyError>(std::move(op.error()));
    return TxnOp{known.kind, std::move(op->key), std::move(op->value), op->by, op->term, {}, {}, {}};
  }
  return refuse_body(fmt::format("the operation \"{}\" is unknown", only.key));
}

// One of the three lists. `parse_one` reads an element.
template <class T>
std::optional<BodyError> parse_list(TxnMember member, size_t items_max, std::string_view what,
                                    std::vector<T>& items, auto parse_one) {
  simdjson::dom::array list;
  if (member.value.get(list) != simdjson::SUCCESS)
    return refuse_body(fmt::format("\"{}\" has to be a list", member.key)).value();
  for (TxnElement element : list) {
    const size_t place = items.size();
    if (place == items_max)
      return refuse_body(fmt::format("\"{}\" has {} {} at most", member.key, items_max, what)).value();
    Result<T, BodyError> item = parse_one(element);
    if (item) {
      items.push_back(std::move(*item));
      continue;
    }
    item.error().detail = fmt::format("{}[{}]: {}", member.key, place, item.error().detail);
    if (item.error().too_large) item.error().op = static_cast<uint32_t>(place);
    return std::move(item.error());
  }
  return std::nullopt;
}

std::optional<BodyError> take_part(TxnMember member, size_t value_bytes_max, Transaction& transaction) {
  const auto op = [&](TxnElement element) { return parse_txn_op(element, value_bytes_max); };
  if (member.key == "if")
    return parse_list(member, limits::kTxnConditions, "conditions", transaction.conditions, parse_condition);
  if (member.key == "then")
    return parse_list(member, limits::kBatchOps, "operations", transaction.then_ops, op);
  if (member.key == "else")
    return parse_list(member, limits::kBatchOps, "operations", transaction.else_ops, op);
  return refuse_body(fmt::format("the member \"{}\" is unknown here", member.key)).value();
}

}  // namespace

Result<Transaction, BodyError> parse_transaction(std::string_view json, size_t value_bytes_max) {
  simdjson::dom::parser parser;
  Result<simdjson::dom::object, BodyError> parts = parse_body_object(parser, json, "the body");
  if (!parts) return Failure<BodyError>(std::move(parts.error()));
  Transaction transaction;
  std::set<std::string_view> seen;
  for (TxnMember member : *parts) {
    if (!seen.insert(member.key).second) return refuse_body(fmt::format("\"{}\" is given twice", member.key));
    if (auto error = take_part(member, value_bytes_max, transaction))
      return Failure<BodyError>(std::move(*error));
  }
  if (transaction.then_ops.empty() && transaction.else_ops.empty())
    return refuse_body("there has to be an operation in \"then\" or \"else\"");
  return transaction;
}

}  // namespace kvd
