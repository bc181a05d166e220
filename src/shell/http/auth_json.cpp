// See auth_json.hpp.
#include "shell/http/auth_json.hpp"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/utf8.hpp"
#include "msg/limits.hpp"
#include "shell/http/config_json.hpp"

namespace kvd {
namespace {

std::string take_rights(BodyElement value, Rule& rule) {
  constexpr char kWanted[] = "a list of \"read\" and \"write\"";
  simdjson::dom::array rights;
  if (value.get(rights) != simdjson::SUCCESS || rights.size() == 0) return kWanted;
  for (const BodyElement element : rights) {
    std::string_view name;
    const auto right = element.get(name) == simdjson::SUCCESS ? right_of(name) : std::nullopt;
    if (!right) return kWanted;
    (*right == Right::kRead ? rule.read : rule.write) = true;
  }
  return "";
}

// {"RESOURCE":"PREFIX","may":["read"]}; of a prefix that is no text "RESOURCE_b64".
std::string take_rule(BodyElement value, Rule& rule) {
  simdjson::dom::object object;
  if (value.get(object) != simdjson::SUCCESS) return "an object as {\"kv\":\"app/\",\"may\":[\"read\"]}";
  BodyText prefix;
  std::optional<Resource> resource;
  for (const BodyMember member : object) {
    if (member.key == "may") {
      if (std::string wanted = take_rights(member.value, rule); !wanted.empty())
        return fmt::format("a rule whose \"may\" is {}", wanted);
      continue;
    }
    std::string_view name = member.key;
    if (name.ends_with("_b64")) name.remove_suffix(4);
    const std::optional<Resource> known = resource_of(name);
    if (!known) return fmt::format("a rule, and there is no resource \"{}\"", name);
    if (std::exchange(resource, known)) return "a rule about one resource";
    take_text(prefix, member);
    if (!prefix.problem.empty()) return fmt::format("a rule, and {}", prefix.problem);
  }
  if (!resource || (!rule.read && !rule.write)) return "a rule with a resource and with \"may\"";
  rule.resource = *resource;
  rule.prefix = *prefix.bytes;
  if (rule.prefix.size() > limits::kKeyBytes)
    return fmt::format("a rule with a prefix of {} bytes at most", limits::kKeyBytes);
  if (!has_paths(*resource) && !rule.prefix.empty())
    return fmt::format("a rule without a prefix: \"{}\" is one thing", resource_name(*resource));
  return "";
}

std::string take_rules(BodyElement value, Policy& policy) {
  simdjson::dom::array rules;
  if (value.get(rules) != simdjson::SUCCESS || rules.size() > limits::kPolicyRules)
    return fmt::format("a list of at most {} rules", limits::kPolicyRules);
  for (const BodyElement element : rules) {
    if (std::string wanted = take_rule(element, policy.rules.emplace_back()); !wanted.empty())
      return fmt::format("a list of rules, of which number {} has to be {}", policy.rules.size(), wanted);
  }
  return "";
}

std::string take_list(BodyElement value, size_t most, std::string (*problem)(std::string_view),
                      std::vector<std::string>& target) {
  simdjson::dom::array list;
  if (value.get(list) != simdjson::SUCCESS || list.size() > most)
    return fmt::format("a list of at most {} texts", most);
  for (const BodyElement element : list) {
    std::string_view text;
    if (element.get(text) != simdjson::SUCCESS) return "a list of texts";
    if (std::string wrong = problem(text); !wrong.empty())
      return fmt::format("a list of names, and \"{}\" is none: {}", text, wrong);
    target.emplace_back(text);
  }
  return "";
}

std::string take_note(BodyElement value, CreateToken& wish) {
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS || text.size() > limits::kTokenNoteBytes)
    return fmt::format("a text of at most {} bytes", limits::kTokenNoteBytes);
  wish.note = text;
  return "";
}

std::string take_user_name(BodyElement value, CreateToken& wish) {
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS || !problem_of_access_name(text).empty())
    return "the name of a user";
  wish.user = text;
  return "";
}

constexpr ConfigMember<Policy> kPolicyMembers[] = {{"rules", take_rules}};
constexpr ConfigMember<UserAccount> kUserMembers[] = {
    {"policies",
     [](BodyElement v, UserAccount& u) {
       return take_list(v, limits::kUserPolicies, problem_of_access_name, u.policies);
     }},
    {"identities",
     [](BodyElement v, UserAccount& u) {
       return take_list(v, limits::kUserIdentities, problem_of_identity, u.identities);
     }},
};
constexpr ConfigMember<CreateToken> kTokenMembers[] = {
    {"user", take_user_name},
    {"ttl_ms", [](BodyElement v, CreateToken& t) { return take_ms(v, 1000, limits::kTtlMsMax, t.ttl_ms); }},
    {"note", take_note},
};

template <class T>
Result<T, BodyError> parse(std::string_view json, std::span<const ConfigMember<T>> members) {
  T value;
  if (auto wrong = read_config<T>(json, members, value, nullptr))
    return Failure<BodyError>(std::move(*wrong));
  return value;
}

void write_token(JsonWriter& json, const Record& item, const AccessTable& table, uint64_t now_ms) {
  const TokenRecord token = stored_token(item).value_or(TokenRecord());
  json.member("id", access_name(item)).member("user", token.user).member("note", token.note);
  json.member("made_ms", token.made_ms).key("expires_ms");
  token.expires_ms == 0 ? json.null() : json.value(token.expires_ms);
  const bool expired = is_expired(token.expires_ms, now_ms);
  json.member("state", table.is_void(token) ? "void" : expired ? "expired" : "valid");
}

}  // namespace

Result<Policy, BodyError> parse_policy(std::string_view json) { return parse<Policy>(json, kPolicyMembers); }
Result<UserAccount, BodyError> parse_user(std::string_view json) {
  return parse<UserAccount>(json, kUserMembers);
}

Result<CreateToken, BodyError> parse_token_wish(std::string_view json) {
  Result<CreateToken, BodyError> wish = parse<CreateToken>(json, kTokenMembers);
  if (wish && wish->user.empty()) return refuse_body("a token is a user's: the member \"user\" is missing");
  return wish;
}

void write_rules(JsonWriter& json, const std::vector<Rule>& rules) {
  json.key("rules").begin_array();
  for (const Rule& rule : rules) {
    json.begin_object().bytes_member(resource_name(rule.resource), rule.prefix);
    json.key("may").begin_array();
    if (rule.read) json.value(right_name(Right::kRead));
    if (rule.write) json.value(right_name(Right::kWrite));
    json.end_array().end_object();
  }
  json.end_array();
}

void write_access(JsonWriter& json, const Record& item, const AccessTable& table, uint64_t now_ms) {
  if (is_of(item, AccessKind::kToken)) return write_token(json, item, table, now_ms);
  json.member("name", access_name(item));
  if (is_of(item, AccessKind::kPolicy))
    return write_rules(json, stored_policy(item).value_or(Policy()).rules);
  const UserAccount user = stored_user(item).value_or(UserAccount());
  json.list_member("policies", user.policies).list_member("identities", user.identities);
}

}  // namespace kvd
