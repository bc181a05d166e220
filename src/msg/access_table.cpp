// See access_table.hpp.
#include "msg/access_table.hpp"

#include <algorithm>
#include <utility>

namespace kvd {

AccessTable::AccessTable() {
  users_.emplace(kRoot, User{std::string(kRoot), 0, true, {}});
  users_.emplace(kAnonymous, User{std::string(kAnonymous), 0, false, {}});
}

AccessTable::AccessTable(const std::vector<Record>& records) : AccessTable() {
  for (const Record& item : records) {
    if (!is_of(item, AccessKind::kPolicy)) continue;
    if (auto policy = stored_policy(item))
      policies_.emplace(access_name(item), std::make_shared<const Policy>(std::move(*policy)));
  }
  for (const Record& item : records) {
    if (is_of(item, AccessKind::kUser)) add_user(item);
    if (is_of(item, AccessKind::kToken)) tokens_.push_back(item);
  }
}

// A policy that is not there grants nothing. An identity of two users, which nobody can make, is the first one's.
void AccessTable::add_user(const Record& item) {
  const std::optional<UserAccount> account = stored_user(item);
  const std::string name(access_name(item));
  if (!account || name == kRoot) return;
  User& user = users_[name];
  user.name = name;
  user.number = item.created().value;
  for (const std::string& policy : account->policies) {
    const auto found = policies_.find(policy);
    if (found != policies_.end()) user.policies.push_back(found->second);
  }
  if (name == kAnonymous) return;
  for (const std::string& identity : account->identities) by_identity_.emplace(identity, &user);
}

const AccessTable::User* AccessTable::find(std::string_view name) const {
  const auto found = users_.find(name);
  return found == users_.end() ? nullptr : &found->second;
}

const AccessTable::User* AccessTable::known_by(std::string_view identity) const {
  const auto found = by_identity_.find(identity);
  return found == by_identity_.end() ? nullptr : found->second;
}

bool AccessTable::shows(const Caller& caller, uint64_t now_ms) const {
  if (caller.user == kRoot || caller.user == kAnonymous) return true;
  if (caller.via.starts_with(kViaToken)) {
    const std::optional<TokenRecord> known = token(std::string_view(caller.via).substr(kViaToken.size()));
    return known && known->user == caller.user && !is_expired(known->expires_ms, now_ms);
  }
  const User* user = known_by(caller.via);
  return user != nullptr && user->name == caller.user;
}

bool AccessTable::is_void(const TokenRecord& token) const {
  const User* user = find(token.user);
  return user == nullptr || user->number == 0 || user->number != token.user_number ||
         user->name == kAnonymous;
}

std::optional<TokenRecord> AccessTable::token(std::string_view id) const {
  const std::string key = access_key(AccessKind::kToken, id);
  const auto found =
      std::lower_bound(tokens_.begin(), tokens_.end(), key,
                       [](const Record& item, const std::string& k) { return item.key() < k; });
  if (found == tokens_.end() || found->key() != key) return std::nullopt;
  std::optional<TokenRecord> token = stored_token(*found);
  return token && !is_void(*token) ? std::move(token) : std::nullopt;
}

}  // namespace kvd
