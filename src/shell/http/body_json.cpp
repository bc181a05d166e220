// See body_json.hpp.
#include "shell/http/body_json.hpp"

#include <fmt/format.h>

#include <utility>

#include "base/base64.hpp"
#include "base/json.hpp"
#include "msg/limits.hpp"

namespace kvd {

Failure<BodyError> refuse_body(std::string detail) {
  return Failure<BodyError>(BodyError{false, std::move(detail), {}});
}
Failure<BodyError> refuse_body_size(std::string detail) {
  return Failure<BodyError>(BodyError{true, std::move(detail), {}});
}

Result<simdjson::dom::object, BodyError> parse_body_object(simdjson::dom::parser& parser,
                                                           std::string_view json, std::string_view what) {
  simdjson::dom::element root;
  const simdjson::error_code code = parse_json(parser, json, root);
  if (code != simdjson::SUCCESS)
    return refuse_body(fmt::format("{} is no JSON: {}", what, simdjson::error_message(code)));
  simdjson::dom::object object;
  if (root.get(object) != simdjson::SUCCESS)
    return refuse_body(fmt::format("{} has to be a JSON object", what));
  return object;
}

bool is_text_member(std::string_view member, std::string_view name) {
  return member.starts_with(name) && (member.size() == name.size() || member.substr(name.size()) == "_b64");
}

void take_text(BodyText& text, simdjson::dom::key_value_pair member) {
  std::string_view content;
  if (text.bytes) {
    text.problem = fmt::format("\"{}\" is given twice", member.key);
  } else if (member.value.get(content) != simdjson::SUCCESS) {
    text.problem = fmt::format("\"{}\" has to be a string", member.key);
  } else if (!member.key.ends_with("_b64")) {
    text.bytes = content;
  } else {
    text.decoded = base64_decode(content);
    text.bytes = text.decoded;
    if (!text.bytes) text.problem = fmt::format("\"{}\" has to be base64 with padding", member.key);
  }
}

std::string problem_of_key(const BodyText& key) {
  if (!key.bytes) return "\"key\" is missing";
  const bool usable = !key.bytes->empty() && key.bytes->size() <= limits::kKeyBytes;
  return usable ? "" : fmt::format("a key has 1 to {} bytes", limits::kKeyBytes);
}

namespace {

// One of "ttl" and "lease". Empty: it is well.
std::string take_term(simdjson::dom::key_value_pair field, bool may_keep, std::optional<Term>& term) {
  if (term) return "an operation takes one of \"ttl\" and \"lease\"";
  Term& taken = term.emplace();
  std::string_view word;
  if (field.key == "lease") {
    taken.kind = Term::Kind::kLease;
    return field.value.get(taken.number) == simdjson::SUCCESS ? "" : "\"lease\" has to be the id of a lease";
  }
  if (may_keep && field.value.get(word) == simdjson::SUCCESS && word == "keep") {
    taken.kind = Term::Kind::kKeep;
    return "";
  }
  taken.kind = Term::Kind::kTime;
  const bool number = field.value.get(taken.number) == simdjson::SUCCESS;
  if (number && taken.number >= limits::kTtlMsMin && taken.number <= limits::kTtlMsMax) return "";
  return fmt::format("\"ttl\" has to be {}{} to {} milliseconds", may_keep ? "\"keep\", or " : "",
                     limits::kTtlMsMin, limits::kTtlMsMax);
}

}  // namespace

Result<OpFields, BodyError> parse_op_fields(simdjson::dom::object fields, OpMembers members,
                                            size_t value_bytes_max) {
  BodyText key, value;
  std::optional<int64_t> by;
  std::optional<Term> term;
  const bool with_value = members == OpMembers::kKeyAndValue || members == OpMembers::kPut;
  const bool with_term = members == OpMembers::kPut || members == OpMembers::kTouch;
  for (simdjson::dom::key_value_pair field : fields) {
    if (is_text_member(field.key, "key")) {
      take_text(key, field);
    } else if (with_value && is_text_member(field.key, "value")) {
      take_text(value, field);
    } else if (members == OpMembers::kKeyAndBy && field.key == "by") {
      if (by) return refuse_body("\"by\" is given twice");
      if (field.value.get(by.emplace()) != simdjson::SUCCESS)
        return refuse_body("\"by\" has to be a whole number of 64 bits");
    } else if (with_term && (field.key == "ttl" || field.key == "lease")) {
      std::string problem = take_term(field, members == OpMembers::kPut, term);
      if (!problem.empty()) return refuse_body(std::move(problem));
    } else {
      return refuse_body(fmt::format("the member \"{}\" is unknown here", field.key));
    }
    if (!key.problem.empty()) return refuse_body(key.problem);
    if (!value.problem.empty()) return refuse_body(value.problem);
  }
  if (std::string problem = problem_of_key(key); !problem.empty()) return refuse_body(std::move(problem));
  OpFields out;
  out.key = *key.bytes;
  if (members == OpMembers::kKeyAndBy) {
    if (!by) return refuse_body("\"by\" is missing");
    out.by = *by;
  } else if (members == OpMembers::kTouch) {
    if (!term) return refuse_body("\"ttl\" or \"lease\" is missing");
  } else if (with_value) {
    if (!value.bytes) return refuse_body("\"value\" is missing");
    if (value.bytes->size() > value_bytes_max)
      return refuse_body_size(fmt::format("a value may have {} bytes at most", value_bytes_max));
    out.value = Bytes(*value.bytes);
  }
  out.term = term.value_or(Term());
  return out;
}

}  // namespace kvd
