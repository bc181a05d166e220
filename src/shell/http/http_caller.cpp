// See http_caller.hpp.
#include "shell/http/http_caller.hpp"

#include <fmt/format.h>

#include <utility>

#include "base/ascii.hpp"
#include "core/access/judge.hpp"
#include "net/secrets.hpp"

namespace kvd {
namespace {

constexpr std::string_view kScheme = "Bearer ";

std::shared_ptr<const Caller> caller(std::string_view user, std::string via) {
  return std::make_shared<const Caller>(Caller{std::string(user), std::move(via), 0});
}

Failure<CallerError> none(std::string why, std::string shown = {}) {
  return Failure<CallerError>({std::move(why), std::move(shown), false});
}
Failure<CallerError> not_yet() { return Failure<CallerError>({kRightsUnknown, {}, true}); }

}  // namespace

std::shared_ptr<const Caller> root_caller(std::string via) { return caller(kRoot, std::move(via)); }

FoundCaller HttpCaller::find(std::optional<std::string_view> authorization, const HttpAccess& access,
                             uint64_t now_ms) {
  const bool same =
      authorization.has_value() == shown_.has_value() && authorization.value_or("") == shown_.value_or("");
  if (table_ == access.table && same && !has_expired(caller_.get(), now_ms)) return caller_;
  table_.reset();
  FoundCaller found = authorization ? by_token(*authorization, access, now_ms) : by_connection(access);
  if (!found) return found;
  caller_ = *found;
  shown_ = authorization;
  table_ = access.table;
  return found;
}

// Why it is none says nothing about which tokens there are.
FoundCaller HttpCaller::by_token(std::string_view authorization, const HttpAccess& access, uint64_t now_ms) {
  if (!equal_ignoring_case(authorization.substr(0, kScheme.size()), kScheme))
    return none("what is shown is no bearer token: Authorization: Bearer kvd_ID_SECRET");
  const std::optional<TokenText> token = parse_token(authorization.substr(kScheme.size()));
  if (!token) return none("the token is not of the form kvd_ID_SECRET");
  const std::string digest = net::sha256(token->secret);
  const std::string via = fmt::format("{}{}", kViaToken, token->id);
  if (access.root_token && access.root_token->id == token->id &&
      net::equal_secrets(access.root_token->digest, digest))
    return root_caller(via);
  const std::optional<TokenRecord> known = access.table->token(token->id);
  if (!known && !access.whole) return not_yet();
  if (!known || !net::equal_secrets(known->digest, digest))
    return none("this server knows of no such token: it was revoked, or made a moment ago", via);
  if (is_expired(known->expires_ms, now_ms)) return none("the token has expired", via);
  return std::make_shared<const Caller>(Caller{known->user, via, known->expires_ms});
}

FoundCaller HttpCaller::by_connection(const HttpAccess& access) const {
  if (uid_ && (*uid_ == 0 || *uid_ == access.own_uid)) return root_caller(fmt::format("uid:{}", *uid_));
  std::vector<std::string> identities = names_;
  if (uid_) identities.push_back(fmt::format("uid:{}", *uid_));
  for (const std::string& identity : identities) {
    if (const AccessTable::User* user = access.table->known_by(identity)) return caller(user->name, identity);
  }
  if (!identities.empty() && !access.whole) return not_yet();
  return nullptr;
}

bool HttpCaller::still_finds(const Caller* caller, const HttpAccess& access, uint64_t now_ms) {
  if (table_ == access.table && caller_.get() == caller) return !has_expired(caller, now_ms);
  const std::optional<std::string> shown = shown_;
  const auto found = find(shown, access, now_ms);
  if (!found) return false;
  const Caller* now = found->get();
  return caller == nullptr || now == nullptr ? caller == now : *caller == *now;
}

bool has_expired(const Caller* caller, uint64_t now_ms) {
  return caller != nullptr && is_expired(caller->expires_ms, now_ms);
}

}  // namespace kvd
