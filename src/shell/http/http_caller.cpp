// See http_caller.hpp.
#include "shell/http/http_caller.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/ascii.hpp"
#include "net/secrets.hpp"

namespace kvd {
namespace {

constexpr std::string_view kScheme = "Bearer ";

std::shared_ptr<const Caller> caller(std::string_view user, std::string via) {
  return std::make_shared<const Caller>(Caller{std::string(user), std::move(via)});
}

}  // namespace

std::shared_ptr<const Caller> root_caller(std::string via) { return caller(kRoot, std::move(via)); }

Result<std::shared_ptr<const Caller>> HttpCaller::find(std::optional<std::string_view> authorization,
                                                       const HttpAccess& access, uint64_t now_ms) {
  const std::string_view shown = authorization.value_or("");
  if (table_ == access.table && shown == shown_ && !has_expired(now_ms)) return caller_;
  table_.reset();
  expires_ms_ = 0;
  if (authorization) {
    auto found = by_token(shown, access, now_ms);
    if (!found) return found;
    caller_ = std::move(*found);
  } else {
    caller_ = by_connection(access);
  }
  shown_ = shown;
  table_ = access.table;
  return caller_;
}

// Why it is none says nothing about which tokens there are.
Result<std::shared_ptr<const Caller>> HttpCaller::by_token(std::string_view authorization,
                                                           const HttpAccess& access, uint64_t now_ms) {
  if (!equal_ignoring_case(authorization.substr(0, kScheme.size()), kScheme))
    return failure("what is shown is no bearer token: Authorization: Bearer kvd_ID_SECRET");
  const std::optional<TokenText> token = parse_token(authorization.substr(kScheme.size()));
  if (!token) return failure("the token is not of the form kvd_ID_SECRET");
  const std::string digest = net::sha256(token->secret);
  const std::string via = fmt::format("{}{}", kViaToken, token->id);
  if (access.root_token && access.root_token->id == token->id &&
      net::equal_secrets(access.root_token->digest, digest))
    return root_caller(via);
  const std::optional<TokenRecord> known = access.table->token(token->id);
  if (!known || !net::equal_secrets(known->digest, digest))
    return failure("this server knows of no such token: it was revoked, or made a moment ago");
  if (known->expires_ms != 0 && known->expires_ms <= now_ms) return failure("the token has expired");
  expires_ms_ = known->expires_ms;
  return caller(known->user, via);
}

std::shared_ptr<const Caller> HttpCaller::by_connection(const HttpAccess& access) const {
  for (const std::string& name : names_) {
    if (const AccessTable::User* user = access.table->known_by(name))
      return caller(user->name, "certificate");
  }
  if (!uid_) return nullptr;
  const std::string via = fmt::format("uid:{}", *uid_);
  if (*uid_ == 0 || *uid_ == access.own_uid) return root_caller(via);
  const AccessTable::User* user = access.table->known_by(via);
  return user != nullptr ? caller(user->name, via) : nullptr;
}

bool HttpCaller::still_finds(const Caller* caller, const HttpAccess& access, uint64_t now_ms) {
  const std::string shown = shown_;
  const auto found =
      find(shown.empty() ? std::nullopt : std::optional<std::string_view>(shown), access, now_ms);
  if (!found) return false;
  const Caller* now = found->get();
  return caller == nullptr || now == nullptr ? caller == now : *caller == *now;
}

bool still_may(const Caller* who, const AccessTable& before, const AccessTable& now) {
  const std::string_view name = who != nullptr ? std::string_view(who->user) : kAnonymous;
  if (name == kRoot) return true;
  const AccessTable::User* former = before.find(name);
  const AccessTable::User* present = now.find(name);
  if (former == nullptr || present == nullptr || former->number != present->number) return false;
  return std::equal(former->policies.begin(), former->policies.end(), present->policies.begin(),
                    present->policies.end(),
                    [](const auto& one, const auto& other) { return *one == *other; });
}

}  // namespace kvd
