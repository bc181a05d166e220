// See access.hpp.
#include "msg/access.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/base64.hpp"
#include "base/check.hpp"
#include "base/utf8.hpp"
#include "msg/access_fields.hpp"
#include "msg/limits.hpp"

namespace kvd {
namespace {

constexpr std::string_view kTokenMark = "kvd_";
constexpr std::string_view kIdLetters = "abcdefghijklmnopqrstuvwxyz234567";
constexpr size_t kSecretBytes = 43;
constexpr std::array<std::string_view, 4> kIdentityKinds = {"uri:", "dns:", "email:", "uid:"};
constexpr std::array<char, 3> kKindLetters = {'p', 'u', 't'};  // by AccessKind

constexpr std::array<const char*, kResources> kResourceNames = {
    "kv",    "fences", "leases",  "queues", "topics",   "locks",   "elections", "barriers", "ids",
    "names", "tasks",  "workers", "znodes", "zkqueues", "cluster", "metrics",   "snapshot", "auth"};

bool is_url_letter(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

std::string hexadecimal(std::string_view bytes) {
  std::string digits;
  for (const char c : bytes) digits += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return digits;
}

std::optional<std::string> from_hexadecimal(std::string_view digits) {
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    unsigned char byte = 0;
    const char* end = digits.data() + i + 2;
    if (std::from_chars(digits.data() + i, end, byte, 16).ptr != end) return std::nullopt;
    bytes += static_cast<char>(byte);
  }
  return digits.size() % 2 == 0 ? std::optional(std::move(bytes)) : std::nullopt;
}

template <class T>
std::string encoded(const T& value) {
  std::string bytes;
  Encoder(bytes).put(value);
  return bytes;
}

template <class T>
std::optional<T> decoded(const Record& item) {
  Decoder decoder(item.value());
  T value;
  decoder.get(value);
  decoder.finish();
  return decoder.failed() ? std::nullopt : std::optional(std::move(value));
}

}  // namespace

const char* resource_name(Resource resource) { return kResourceNames.at(static_cast<size_t>(resource)); }

std::optional<Resource> resource_of(std::string_view name) {
  const auto* found = std::find(kResourceNames.begin(), kResourceNames.end(), name);
  if (found == kResourceNames.end()) return std::nullopt;
  return static_cast<Resource>(found - kResourceNames.begin());
}

bool has_paths(Resource resource) {
  switch (resource) {
    case Resource::kLeases:
    case Resource::kCluster:
    case Resource::kMetrics:
    case Resource::kSnapshot:
    case Resource::kAuth:
      return false;
    default:
      return true;
  }
}

const char* auth_mode_name(AuthMode mode) {
  constexpr std::array<const char*, 3> kNames = {"off", "warn", "on"};
  return kNames.at(static_cast<size_t>(mode));
}

const char* right_name(Right right) { return right == Right::kRead ? "read" : "write"; }

std::optional<Right> right_of(std::string_view name) {
  if (name == "read") return Right::kRead;
  return name == "write" ? std::optional(Right::kWrite) : std::nullopt;
}

// ---- tokens ----

TokenText new_token(std::string_view random) {
  CHECK(random.size() == kTokenRandomBytes);
  TokenText token;
  for (const char c : random.substr(0, kTokenIdBytes))
    token.id += kIdLetters[static_cast<unsigned char>(c) % kIdLetters.size()];
  token.secret = base64_encode(random.substr(kTokenIdBytes));
  token.secret.resize(kSecretBytes);  // without the padding
  std::replace(token.secret.begin(), token.secret.end(), '+', '-');
  std::replace(token.secret.begin(), token.secret.end(), '/', '_');
  return token;
}

bool is_token_id(std::string_view text) {
  return text.size() == kTokenIdBytes &&
         std::all_of(text.begin(), text.end(), [](char c) { return kIdLetters.find(c) != kIdLetters.npos; });
}

std::optional<TokenText> parse_token(std::string_view text) {
  if (!text.starts_with(kTokenMark)) return std::nullopt;
  text.remove_prefix(kTokenMark.size());
  if (text.size() != kTokenIdBytes + 1 + kSecretBytes || text[kTokenIdBytes] != '_') return std::nullopt;
  TokenText token{std::string(text.substr(0, kTokenIdBytes)), std::string(text.substr(kTokenIdBytes + 1))};
  const bool whole =
      is_token_id(token.id) && std::all_of(token.secret.begin(), token.secret.end(), is_url_letter);
  return whole ? std::optional(std::move(token)) : std::nullopt;
}

std::string root_token_line(const RootToken& token) {
  return fmt::format("{} {}\n", token.id, hexadecimal(token.digest));
}

std::optional<RootToken> parse_root_token(std::string_view line) {
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  const size_t space = std::min(line.find(' '), line.size());
  const std::optional<std::string> digest = from_hexadecimal(line.substr(std::min(space + 1, line.size())));
  if (!is_token_id(line.substr(0, space)) || !digest || digest->size() != kTokenDigestBytes)
    return std::nullopt;
  return RootToken{std::string(line.substr(0, space)), *digest};
}

// ---- what may be written ----

std::string problem_of_access_name(std::string_view name) {
  const bool plain =
      std::all_of(name.begin(), name.end(), [](char c) { return is_url_letter(c) || c == '.'; });
  if (!name.empty() && name.size() <= limits::kAccessNameBytes && plain) return {};
  return fmt::format("a name here has 1 to {} letters, digits, and characters of '._-'",
                     limits::kAccessNameBytes);
}

std::string problem_of_identity(std::string_view identity) {
  const auto* kind = std::find_if(kIdentityKinds.begin(), kIdentityKinds.end(),
                                  [&](std::string_view one) { return identity.starts_with(one); });
  const std::string_view rest = kind == kIdentityKinds.end() ? "" : identity.substr(kind->size());
  if (rest.empty() || identity.size() > limits::kIdentityBytes || !is_utf8(identity))
    return fmt::format(
        "an identity is uri:URI, dns:NAME or email:ADDRESS of a certificate, or uid:NUMBER of a "
        "Unix socket's other side, and has at most {} bytes",
        limits::kIdentityBytes);
  const bool number = std::all_of(rest.begin(), rest.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (*kind == "uid:" && (!number || rest.size() > 10 || (rest.size() > 1 && rest[0] == '0')))
    return "uid: is followed by a number";
  return *kind == "uid:" && rest == "0" ? "uid:0 is root already" : "";
}

std::string problem_of(const PutPolicy& put) {
  if (std::string wrong = problem_of_access_name(put.name); !wrong.empty()) return wrong;
  const std::vector<Rule>& rules = put.policy.rules;
  if (rules.size() > limits::kPolicyRules) return fmt::format("a policy has {} rules", rules.size());
  const bool fit = std::all_of(rules.begin(), rules.end(),
                               [](const Rule& rule) { return rule.prefix.size() <= limits::kKeyBytes; });
  return fit ? "" : fmt::format("the prefix of a rule has at most {} bytes", limits::kKeyBytes);
}

std::string problem_of(const PutUser& put) {
  if (std::string wrong = problem_of_access_name(put.name); !wrong.empty()) return wrong;
  if (put.user.policies.size() > limits::kUserPolicies ||
      put.user.identities.size() > limits::kUserIdentities)
    return "a user has too many policies or identities";
  for (const std::string& policy : put.user.policies) {
    if (std::string wrong = problem_of_access_name(policy); !wrong.empty()) return wrong;
  }
  for (const std::string& identity : put.user.identities) {
    if (std::string wrong = problem_of_identity(identity); !wrong.empty()) return wrong;
  }
  return "";
}

std::string problem_of(const KeptToken& kept) {
  if (!is_token_id(kept.id)) return "what a token is called is no id of a token";
  if (kept.token.digest.size() != kTokenDigestBytes) return "a token's digest has another length";
  if (kept.token.note.size() > limits::kTokenNoteBytes) return "the note of a token is too long";
  return problem_of_access_name(kept.token.user);
}

namespace {

template <class Writes>
std::string first_problem(const Writes& writes) {
  for (const auto& write : writes) {
    if (std::string wrong = problem_of(write); !wrong.empty()) return wrong;
  }
  return "";
}

}  // namespace

std::string problem_of(const ReplaceAccess& all) {
  if (all.policies.size() > limits::kPolicies || all.users.size() > limits::kUsers ||
      all.tokens.size() > limits::kTokens)
    return "there are more of a kind than may be";
  std::set<std::string_view> identities;
  for (const PutUser& put : all.users) {
    if (put.name == kRoot) return "root is always there, and no record";
    if (put.name == kAnonymous && !put.user.identities.empty()) return "anonymous has no identities";
    for (const std::string& identity : put.user.identities) {
      if (!identities.insert(identity).second) return identity + " is the identity of two users";
    }
  }
  if (std::string wrong = first_problem(all.policies); !wrong.empty()) return wrong;
  if (std::string wrong = first_problem(all.users); !wrong.empty()) return wrong;
  return first_problem(all.tokens);
}

// As much as they take encoded, or a little more.
size_t bytes_of(const ReplaceAccess& all) {
  constexpr size_t kEach = 8, kOfToken = 64;  // beside texts
  size_t bytes = 0;
  for (const PutPolicy& put : all.policies) {
    bytes += kEach + put.name.size();
    for (const Rule& rule : put.policy.rules) bytes += kEach + rule.prefix.size();
  }
  for (const PutUser& put : all.users) {
    bytes += 2 * kEach + put.name.size();
    for (const auto* texts : {&put.user.policies, &put.user.identities}) {
      for (const std::string& text : *texts) bytes += kEach + text.size();
    }
  }
  for (const KeptToken& kept : all.tokens)
    bytes += kOfToken + kept.token.user.size() + kept.token.digest.size() + kept.token.note.size();
  return bytes;
}

const char* access_kind_name(AccessKind kind) {
  constexpr std::array<const char*, 3> kNames = {"policy", "user", "token"};
  return kNames.at(static_cast<size_t>(kind));
}

std::string access_key(AccessKind kind, std::string_view name) {
  return kKindLetters.at(static_cast<size_t>(kind)) + std::string(name);
}

std::string_view access_name(const Record& item) { return item.key().substr(1); }

bool is_of(const Record& item, AccessKind kind) {
  return item.key().starts_with(kKindLetters.at(static_cast<size_t>(kind)));
}

std::string encode_policy(const Policy& policy) { return encoded(policy); }
std::string encode_user(const UserAccount& user) { return encoded(user); }
std::string encode_token(const TokenRecord& token) { return encoded(token); }

std::optional<Policy> stored_policy(const Record& item) { return decoded<Policy>(item); }
std::optional<UserAccount> stored_user(const Record& item) { return decoded<UserAccount>(item); }
std::optional<TokenRecord> stored_token(const Record& item) { return decoded<TokenRecord>(item); }

}  // namespace kvd
