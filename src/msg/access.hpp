// Who may do what, as words: users, what shows who one is (tokens, names of certificates, the uid behind a Unix
// socket), and policies, which say what they grant. They are replicated state, items of Space::kAccess; what follows
// from them is the judge's to say (core/access/judge.hpp).
//
//   "p" and the name    a policy
//   "u" and the name    a user
//   "t" and the id      a token: what it is known by, never the token itself
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "msg/record.hpp"
#include "msg/types.hpp"

namespace kvd {

// What rules are about. Most have paths: a rule is for those that begin with its prefix, and with an empty one for all.
enum class Resource : uint8_t {
  kKv,      // keys
  kFences,  // resources that a write may bring a token for
  kLeases,  // whose ids are nobody's: all of them, or none
  kQueues,  // by name
  kTopics,  // ... and what is subscribed to them
  // The coordination services, by their paths.
  kLocks,
  kElections,
  kBarriers,
  kIds,
  kNames,
  kTasks,
  kWorkers,
  kZnodes,
  kZkQueues,
  // Without paths.
  kCluster,
  kMetrics,
  kSnapshot,
  kAuth,  // users, tokens and policies: whoever may write them may give himself the rest
};
inline constexpr size_t kResources = 18;
const char* resource_name(Resource resource);  // as in JSON
std::optional<Resource> resource_of(std::string_view name);
bool has_paths(Resource resource);

// What becomes of who may not: with kWarn he may, and the log tells. Whoever is to change rights needs the right to it
// in any case.
enum class AuthMode : uint8_t { kOff, kWarn, kOn };
const char* auth_mode_name(AuthMode mode);

enum class Right : uint8_t { kRead, kWrite };
const char* right_name(Right right);
std::optional<Right> right_of(std::string_view name);

struct Rule {
  Resource resource = Resource::kKv;
  std::string prefix;  // at most limits::kKeyBytes; of a resource without paths: empty
  bool read = false;   // one of them at least
  bool write = false;
  bool operator==(const Rule&) const = default;
};

// It grants what any of its rules grants. There is no rule that takes something away.
struct Policy {
  std::vector<Rule> rules;  // at most limits::kPolicyRules
  bool operator==(const Policy&) const = default;
};

// These are always there. Root may do everything; he is whom the system knows to be the owner of the server, and who
// has the root token. Anonymous is who shows nothing: he may do what is granted to him as to a user.
inline constexpr std::string_view kRoot = "root";
inline constexpr std::string_view kAnonymous = "anonymous";

struct UserAccount {
  std::vector<std::string> policies;  // names, at most limits::kUserPolicies
  std::vector<std::string>
      identities;  // "uri:..", "dns:..", "email:..", "uid:N"; at most limits::kUserIdentities
  bool operator==(const UserAccount&) const = default;
};

// Who asks, as far as he has shown it.
struct Caller {
  std::string user;  // a name
  // By what: "token:ID", an identity of the user's, or nothing at all. Root's needs no record.
  std::string via;
  uint64_t expires_ms = 0;  // of a token, since 1970; 0: never. Not told to other servers
  auto operator<=>(const Caller&) const = default;
};
inline constexpr std::string_view kViaToken = "token:";
inline constexpr std::string_view kViaNothing = "nothing";

// Both since 1970; of what never expires the first is 0.
constexpr bool is_expired(uint64_t expires_ms, uint64_t now_ms) {
  return expires_ms != 0 && expires_ms <= now_ms;
}

struct TokenRecord {
  std::string user;
  uint64_t user_number = 0;  // the revision that made the user: it is not a later one's of his name
  std::string digest;        // SHA-256 of the secret
  uint64_t expires_ms = 0;   // since 1970; 0: never
  uint64_t made_ms = 0;
  std::string note;  // for people, at most limits::kTokenNoteBytes
  bool operator==(const TokenRecord&) const = default;
};

// ---- tokens as texts ----

// "kvd_", the id, "_", the secret.
struct TokenText {
  std::string id;      // kTokenIdBytes of a-z and 2-7
  std::string secret;  // 43 characters, base64url (RFC 4648, 5) of 32 bytes
  std::string text() const { return "kvd_" + id + "_" + secret; }
};
inline constexpr size_t kTokenIdBytes = 8;
inline constexpr size_t kTokenDigestBytes = 32;
inline constexpr size_t kTokenRandomBytes = kTokenIdBytes + 32;
TokenText new_token(std::string_view random);  // so many bytes
std::optional<TokenText> parse_token(std::string_view text);
bool is_token_id(std::string_view text);

// What a file says of the root token: its id, a space, the secret's SHA-256 in hexadecimal digits.
struct RootToken {
  std::string id;
  std::string digest;
};
std::string root_token_line(const RootToken& token);  // with the line's end
std::optional<RootToken> parse_root_token(std::string_view line);

// ---- what may be written ----

// What is wrong, as a sentence; empty: nothing.
std::string problem_of_access_name(std::string_view name);  // of a policy or user
std::string problem_of_identity(std::string_view identity);

enum class AccessKind : uint8_t { kPolicy, kUser, kToken };
const char* access_kind_name(AccessKind kind);
std::string access_key(AccessKind kind, std::string_view name);
std::string_view access_name(const Record& item);  // behind the first letter
bool is_of(const Record& item, AccessKind kind);

std::string encode_policy(const Policy& policy);
std::string encode_user(const UserAccount& user);
std::string encode_token(const TokenRecord& token);
// Unreadable: none.
std::optional<Policy> stored_policy(const Record& item);
std::optional<UserAccount> stored_user(const Record& item);
std::optional<TokenRecord> stored_token(const Record& item);

// ---- requests, and what is answered ----

struct AccessQuestion {  // may he?
  std::string user;
  std::optional<Right> right;
  std::optional<Resource> resource;
  std::string path;
};

struct PutPolicy {
  std::string name;
  Policy policy;
};
struct PutUser {
  std::string name;
  UserAccount user;
};
struct CreateToken {
  std::string id;
  std::string digest;
  std::string user;
  uint64_t ttl_ms = 0;  // 0: for ever
  std::string note;
};
struct TokenMade {
  std::string user;
  uint64_t expires_ms = 0;  // since 1970; 0: never
};
struct DeleteAccess {
  AccessKind kind = AccessKind::kPolicy;
  std::string name;
};
struct KeptToken {
  std::string id;
  TokenRecord token;
};
// What is wrong with what is to be written, as a sentence; empty: nothing.
std::string problem_of(const PutPolicy& put);
std::string problem_of(const PutUser& put);
std::string problem_of(const KeptToken& kept);
// All of it at once, as a backup has it: what is there, and not among these, goes. Tokens are their users' of these
// names, whoever made these; those that have expired are left out.
struct ReplaceAccess {
  std::vector<PutPolicy> policies;
  std::vector<PutUser> users;
  std::vector<KeptToken> tokens;
};
std::string problem_of(const ReplaceAccess& all);
size_t bytes_of(const ReplaceAccess& all);  // of its records, about; at most limits::kAccessAtOnceBytes
struct ListAccess {
  AccessKind kind = AccessKind::kPolicy;
  std::string name;   // not empty: this one alone
  std::string after;  // else: those behind it
  uint32_t limit = 0;
};

}  // namespace kvd
