// See auth_options.hpp and options_table.hpp.
#include "client/auth_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/decimal.hpp"
#include "base/utf8.hpp"
#include "client/help.hpp"
#include "client/message_flags.hpp"
#include "client/options_table.hpp"
#include "msg/limits.hpp"

namespace kvd::client {
namespace {

// `what`: the operand or flag, as it is typed.
std::string read_access_name(CommandLine& line, const std::string& what, const std::string& name) {
  const std::string problem = problem_of_access_name(name);
  if (!problem.empty()) line.complain_of(what, problem);
  return name;
}

std::string read_access_operand(CommandLine& line, const char* what) {
  return read_access_name(line, what, operand_at(line, 0));
}

std::string read_token_id(CommandLine& line) {
  std::string id = operand_at(line, 0);
  if (!is_token_id(id)) line.complain_of("ID", "give the id of a token, as kvd auth token ls prints it");
  return id;
}

// A whole number with its unit.
std::optional<Duration> unit_span_of(std::string_view text) {
  constexpr std::array<std::pair<char, int64_t>, 4> kUnits = {
      {{'s', 1}, {'m', 60}, {'h', 3'600}, {'d', 86'400}}};
  const auto* unit =
      std::find_if(kUnits.begin(), kUnits.end(), [&](const auto& one) { return text.ends_with(one.first); });
  if (unit == kUnits.end()) return std::nullopt;
  const auto number = parse_decimal(text.substr(0, text.size() - 1));
  constexpr int64_t kSecondsMax = int64_t{limits::kTtlMsMax} / 1000;
  if (!number || *number < 1 || *number > kSecondsMax / unit->second) return std::nullopt;
  return seconds(*number * unit->second);
}

Duration read_token_ttl(CommandLine& line) {
  if (!line.has("ttl")) return Duration(0);
  const auto ttl = unit_span_of(line.text("ttl", ""));
  if (!ttl) line.complain("ttl", "give a whole number with its unit s, m, h or d, as in 90d, up to 3650d");
  return ttl.value_or(Duration(0));
}

std::string read_token_note(CommandLine& line) {
  std::string note = line.text("note", "");
  if (note.size() > limits::kTokenNoteBytes || !is_utf8(note))
    line.complain_of("--note", fmt::format("give at most {} bytes of UTF-8", limits::kTokenNoteBytes));
  return note;
}

Right read_right(CommandLine& line) {
  const auto right = right_of(operand_at(line, 1));
  if (!right) line.complain_of("the right", "give read or write behind the USER");
  return right.value_or(Right::kRead);
}

Resource read_resource(CommandLine& line) {
  const auto resource = resource_of(operand_at(line, 2));
  if (resource) return *resource;
  std::vector<const char*> names;
  for (size_t i = 0; i < kResources; ++i) names.push_back(resource_name(static_cast<Resource>(i)));
  line.complain_of("RESOURCE", fmt::format("give one of {}", fmt::join(names, ", ")));
  return Resource::kKv;
}

// ---- the actions ----

ClientCommand read_policy_put(CommandLine& line, const Surroundings&) {
  return AuthCommand(
      PolicyPutOptions{read_access(line), read_access_operand(line, "NAME"), read_input_file(line, 1)});
}

ClientCommand read_user_put(CommandLine& line, const Surroundings&) {
  UserPutOptions put{
      read_access(line), read_access_operand(line, "NAME"), {line.each("policy"), line.each("identity")}};
  for (const std::string& policy : put.user.policies) read_access_name(line, "--policy", policy);
  for (const std::string& identity : put.user.identities) {
    const std::string problem = problem_of_identity(identity);
    if (!problem.empty()) line.complain_of("--identity", problem);
  }
  return AuthCommand(std::move(put));
}

ClientCommand read_policy_get(CommandLine& line, const Surroundings&) {
  return AuthCommand(PolicyGetOptions{read_access(line), read_access_operand(line, "NAME")});
}

ClientCommand read_user_get(CommandLine& line, const Surroundings&) {
  return AuthCommand(
      UserGetOptions{read_access(line), read_access_operand(line, "NAME"), line.is_on("json")});
}

template <AccessKind kind>
ClientCommand read_access_list(CommandLine& line, const Surroundings&) {
  return AuthCommand(AccessListOptions{read_access(line), kind, line.is_on("json")});
}

template <AccessKind kind>
ClientCommand read_access_remove(CommandLine& line, const Surroundings&) {
  const bool token = kind == AccessKind::kToken;
  return AuthCommand(AccessRemoveOptions{read_access(line), kind,
                                         token ? read_token_id(line) : read_access_operand(line, "NAME")});
}

ClientCommand read_token_create(CommandLine& line, const Surroundings&) {
  return AuthCommand(TokenCreateOptions{read_access(line), read_access_operand(line, "USER"),
                                        read_token_ttl(line), read_token_note(line)});
}

ClientCommand read_whoami(CommandLine& line, const Surroundings&) {
  return AuthCommand(WhoAmIOptions{read_access(line), line.is_on("json")});
}

ClientCommand read_auth_test(CommandLine& line, const Surroundings&) {
  AccessTestOptions test{read_access(line), read_access_operand(line, "USER"), read_right(line),
                         read_resource(line), operand_at(line, 3)};
  if (!test.path.empty() && !has_paths(test.resource))
    line.complain_of("PATH", fmt::format("{} has no paths: give none", resource_name(test.resource)));
  return AuthCommand(std::move(test));
}

ClientCommand read_root_token(CommandLine& line, const Surroundings&) {
  RootTokenOptions options{operand_at(line, 0)};
  if (options.file.empty()) line.complain_of("FILE", "give the name of a file that is not there yet");
  return options;
}

// ---- the table ----

std::vector<ClientEntry> policy_entries() {
  return {
      {store_spec_of("auth policy put", "NAME [FILE|-] [OPTIONS]", 2,
                     "Makes a policy, or changes what it grants, and prints the revision.",
                     std::string(help::kAuthPolicyPut) + help::kAuthWriteCodes, {}),
       read_policy_put},
      {store_spec_of("auth policy get", "NAME [OPTIONS]", 1, "Prints what a policy grants.",
                     std::string(help::kAuthPolicyGet) + help::kAuthReadCodes, {}),
       read_policy_get},
      {store_spec_of("auth policy ls", "[OPTIONS]", 0, "Lists policies, one a line.",
                     std::string(help::kAuthPolicyLs) + help::kAuthReadCodes,
                     {{"json", nullptr, "one JSON object a line, as GET /v1/auth/policies has them"}}),
       read_access_list<AccessKind::kPolicy>},
      {store_spec_of("auth policy rm", "NAME [OPTIONS]", 1, "Deletes a policy.", help::kAuthWriteCodes, {}),
       read_access_remove<AccessKind::kPolicy>},
  };
}

std::vector<ClientEntry> user_entries() {
  return {
      {store_spec_of("auth user put", "NAME [OPTIONS]", 1,
                     "Makes a user, or changes who it is, and prints the revision.",
                     std::string(help::kAuthUserPut) + help::kAuthWriteCodes,
                     {{"policy", "P", "whose rules are granted; may be repeated (none)"},
                      {"identity", "I",
                       "who it is: uri:URI, dns:NAME or email:ADDRESS of a certificate, or uid:N at a Unix "
                       "socket; may be repeated (who shows a token)"}}),
       read_user_put},
      {store_spec_of("auth user get", "NAME [OPTIONS]", 1, "Prints who a user is.",
                     std::string(help::kAuthMembers) + help::kAuthReadCodes,
                     {{"json", nullptr, "print what the server answered"}}),
       read_user_get},
      {store_spec_of("auth user ls", "[OPTIONS]", 0, "Lists users, one a line.",
                     std::string(help::kAuthUserLs) + help::kAuthReadCodes,
                     {{"json", nullptr, "one JSON object a line, as GET /v1/auth/users has them"}}),
       read_access_list<AccessKind::kUser>},
      {store_spec_of("auth user rm", "NAME [OPTIONS]", 1, "Deletes a user, whose tokens are void then.",
                     help::kAuthWriteCodes, {}),
       read_access_remove<AccessKind::kUser>},
  };
}

std::vector<ClientEntry> token_entries() {
  return {
      {store_spec_of("auth token create", "USER [OPTIONS]", 1, "Makes a token of a user, and prints it.",
                     std::string(help::kAuthTokenCreate) + help::kAuthCreateCodes,
                     {{"ttl", "TIME", "how long it counts, with its unit s, m, h or d, as in 90d (for ever)"},
                      {"note", "TEXT", "for people, up to 255 bytes (none)"}}),
       read_token_create},
      {store_spec_of("auth token ls", "[OPTIONS]", 0, "Lists tokens, one a line.",
                     std::string(help::kAuthTokenLs) + help::kAuthReadCodes,
                     {{"json", nullptr, "one JSON object a line, as GET /v1/auth/tokens has them"}}),
       read_access_list<AccessKind::kToken>},
      {store_spec_of("auth token rm", "ID [OPTIONS]", 1, "Deletes a token, which counts no more.",
                     help::kAuthWriteCodes, {}),
       read_access_remove<AccessKind::kToken>},
  };
}

CommandSpec root_token_spec() {
  CommandSpec spec{
      "kvd auth root-token", "FILE", "Makes a token of root, and prints it.", {}, help::kAuthRootToken};
  spec.operands = 1;
  return spec;
}

std::vector<ClientEntry> other_auth_entries() {
  return {
      {store_spec_of("auth whoami", "[OPTIONS]", 0, "Prints as whom the server knows who asks.",
                     std::string(help::kAuthMembers) + help::kAuthReadCodes,
                     {{"json", nullptr, "print what the server answered"}}),
       read_whoami},
      {store_spec_of("auth test", "USER read|write RESOURCE [PATH] [OPTIONS]", 4,
                     "Tells whether a user may do something.", help::kAuthTest, {}),
       read_auth_test},
      {root_token_spec(), read_root_token},
  };
}

}  // namespace

std::vector<ClientEntry> auth_entries() {
  std::vector<ClientEntry> entries;
  for (auto* some : {policy_entries, user_entries, token_entries, other_auth_entries}) {
    for (ClientEntry& entry : some()) entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace kvd::client
