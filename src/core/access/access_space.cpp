// See access_space.hpp.
#include "core/access/access_space.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/hash.hpp"
#include "core/replica/store.hpp"
#include "core/replica/table.hpp"
#include "core/replica/tail.hpp"
#include "msg/limits.hpp"

namespace kvd {
namespace {

constexpr size_t kLookedAt = 16;  // tokens, for such as are good for nothing

Failed invalid(std::string why) { return {ErrorCode::kInvalid, Outcome::kNotApplied, std::move(why)}; }

AccessKind kind_of_item(const Record& item) {
  for (const AccessKind kind : {AccessKind::kPolicy, AccessKind::kUser}) {
    if (is_of(item, kind)) return kind;
  }
  return AccessKind::kToken;
}

// There are as many as may be. (What the log's tail adds is little.)
std::optional<Failed> too_many(AccessKind kind, const Record* now, const WriteView& view) {
  constexpr std::array<size_t, 3> kMost = {limits::kPolicies, limits::kUsers, limits::kTokens};
  const auto which = static_cast<size_t>(kind);
  if (now != nullptr || view.store.access().counts.at(which) < kMost.at(which)) return std::nullopt;
  return Failed{ErrorCode::kTooLarge, Outcome::kNotApplied,
                "there are " + std::to_string(kMost.at(which)) + " of this kind already: delete some"};
}

// `now`: what is there, or null.
Record record_of(const std::string& key, std::string_view value, const Record* now, const WriteView& view) {
  const Revision created = now != nullptr ? now->created() : view.next;
  const uint64_t version = now != nullptr ? now->version() + 1 : 1;
  return Record(key, value, {created, view.next, version, Space::kAccess});
}

Evaluation written(AccessKind kind, std::string_view name, std::string_view value, const WriteView& view) {
  const std::string key = access_key(kind, name);
  const Record* now = view.latest(key, Space::kAccess);
  if (auto full = too_many(kind, now, view)) return std::move(*full);
  return Change{{record_of(key, value, now, view)}, KeyWritten{now == nullptr}};
}

Record deletion(std::string_view key, const WriteView& view) {
  return Record::deletion(key, {view.next, view.next, 0, Space::kAccess});
}

// Whose it is at the log's end, if another one's.
std::optional<std::string> other_user_of(const std::string& identity, std::string_view user,
                                         const WriteView& view) {
  std::optional<std::string> other;
  const auto has_it = [&](const Record* item) {
    const std::optional<UserAccount> account = item != nullptr ? stored_user(*item) : std::nullopt;
    return account && std::count(account->identities.begin(), account->identities.end(), identity) > 0;
  };
  view.tail.effects(Space::kAccess).each([&](const Record& effect) {
    if (effect.has_value() && is_of(effect, AccessKind::kUser) && access_name(effect) != user &&
        has_it(&effect))
      other = access_name(effect);
  });
  const auto& known = view.store.access().users_by_identity;
  const auto found = known.find(identity);
  if (other || found == known.end() || found->second == user) return other;
  const Record* now = view.latest(access_key(AccessKind::kUser, found->second), Space::kAccess);
  return has_it(now) ? std::optional(found->second) : std::nullopt;
}

// It has expired, or its user has gone.
bool is_dead(const Record& item, const WriteView& view) {
  const std::optional<TokenRecord> token = stored_token(item);
  if (!token || is_expired(token->expires_ms, view.wall_ms)) return true;
  const Record* user = view.latest(access_key(AccessKind::kUser, token->user), Space::kAccess);
  return user == nullptr || user->created().value != token->user_number;
}

void add_dead_behind(const std::string& key, const WriteView& view, std::vector<Record>& effects) {
  const Table& all = view.store.items(Space::kAccess);
  auto it = all.upper_bound(key);
  for (size_t i = 0; i < kLookedAt && it != all.end(); ++i, ++it) {
    const bool known = view.latest(it->key(), Space::kAccess) != nullptr;
    if (known && is_of(*it, AccessKind::kToken) && is_dead(*it, view))
      effects.push_back(deletion(it->key(), view));
  }
}

// Its records' values by their keys.
std::map<std::string, std::string> values_of(const ReplaceAccess& all, const WriteView& view) {
  std::map<std::string, std::string> values;
  for (const PutPolicy& put : all.policies)
    values.emplace(access_key(AccessKind::kPolicy, put.name), encode_policy(put.policy));
  for (const PutUser& put : all.users)
    values.emplace(access_key(AccessKind::kUser, put.name), encode_user(put.user));
  for (const KeptToken& kept : all.tokens) {
    TokenRecord token = kept.token;
    const std::string user = access_key(AccessKind::kUser, token.user);
    if (!values.contains(user) || is_expired(token.expires_ms, view.wall_ms)) continue;
    const Record* now = view.latest(user, Space::kAccess);
    token.user_number = (now != nullptr ? now->created() : view.next).value;
    values.emplace(access_key(AccessKind::kToken, kept.id), encode_token(token));
  }
  return values;
}

}  // namespace

Result<ReplaceAccess> replacement_by(const Store& backup) {
  ReplaceAccess all;
  for (const Record& item : backup.items(Space::kAccess)) {
    const std::string name(access_name(item));
    auto policy = is_of(item, AccessKind::kPolicy) ? stored_policy(item) : std::nullopt;
    auto user = is_of(item, AccessKind::kUser) ? stored_user(item) : std::nullopt;
    auto token = is_of(item, AccessKind::kToken) ? stored_token(item) : std::nullopt;
    if (policy) {
      all.policies.push_back({name, std::move(*policy)});
    } else if (user) {
      all.users.push_back({name, std::move(*user)});
    } else if (!token) {
      return failure("this version cannot read all of its users, tokens and policies");
    } else if (const Record* owner = backup.find(access_key(AccessKind::kUser, token->user), Space::kAccess);
               owner != nullptr && owner->created().value == token->user_number) {
      all.tokens.push_back({name, std::move(*token)});
    }
  }
  if (std::string wrong = problem_of(all); !wrong.empty()) return failure(std::move(wrong));
  return all;
}

std::vector<Record> access_records(const Store& store, const Tail* tail) {
  std::map<std::string_view, const Record*> newest;  // of few
  if (tail != nullptr)
    tail->effects(Space::kAccess).each([&](const Record& effect) { newest[effect.key()] = &effect; });
  std::vector<Record> records;
  records.reserve(store.size(Space::kAccess) + newest.size());
  auto next = newest.begin();
  const auto take = [&records](const Record& record) {
    if (record.has_value()) records.push_back(record);
  };
  for (const Record& item : store.items(Space::kAccess)) {
    for (; next != newest.end() && next->first < item.key(); ++next) take(*next->second);
    if (!newest.contains(item.key())) take(item);
  }
  for (; next != newest.end(); ++next) take(*next->second);
  return records;
}

Evaluation AccessSpace::effects_of(Box<PutPolicy>& put, const WriteView& view) {
  return written(AccessKind::kPolicy, put->name, encode_policy(put->policy), view);
}

Evaluation AccessSpace::effects_of(Box<PutUser>& put, const WriteView& view) {
  if (put->name == kRoot) return invalid("root is always there, and may do everything");
  if (put->name == kAnonymous && !put->user.identities.empty())
    return invalid("anonymous is who shows nothing: he has no identities");
  for (const std::string& policy : put->user.policies) {
    if (view.latest(access_key(AccessKind::kPolicy, policy), Space::kAccess) == nullptr)
      return invalid("there is no policy " + policy);
  }
  for (const std::string& identity : put->user.identities) {
    if (auto other = other_user_of(identity, put->name, view))
      return Failed{ErrorCode::kAccessExists, Outcome::kNotApplied, identity + " is the user " + *other};
  }
  return written(AccessKind::kUser, put->name, encode_user(put->user), view);
}

Evaluation AccessSpace::effects_of(Box<CreateToken>& create, const WriteView& view) {
  const std::string user_key = access_key(AccessKind::kUser, create->user);
  const Record* user = view.latest(user_key, Space::kAccess);
  if (create->user == kRoot || create->user == kAnonymous)
    return invalid(create->user +
                   " has no tokens: root is who owns the server, or has its --root-token-file");
  if (user == nullptr) return no_access(AccessKind::kUser, create->user);
  const std::string key = access_key(AccessKind::kToken, create->id);
  if (view.latest(key, Space::kAccess) != nullptr)
    return Failed{ErrorCode::kAccessExists, Outcome::kNotApplied,
                  "there is a token " + create->id + " already"};
  TokenRecord token;
  token.user = create->user;
  token.user_number = user->created().value;
  token.digest = create->digest;
  token.made_ms = view.wall_ms;
  token.expires_ms = create->ttl_ms == 0 ? 0 : view.wall_ms + create->ttl_ms;
  token.note = create->note;
  Evaluation evaluation = written(AccessKind::kToken, create->id, encode_token(token), view);
  if (auto* change = std::get_if<Change>(&evaluation)) {
    change->answer = TokenMade{token.user, token.expires_ms};
    add_dead_behind(key, view, change->effects);
  }
  return evaluation;
}

Evaluation AccessSpace::effects_of(Box<ReplaceAccess>& all, const WriteView& view) {
  const std::map<std::string, std::string> values = values_of(*all, view);
  Change change{{}, KeyWritten{false}};
  for (const Record& now : access_records(view.store, &view.tail)) {
    if (!values.contains(std::string(now.key()))) change.effects.push_back(deletion(now.key(), view));
  }
  for (const auto& [key, value] : values) {
    const Record* now = view.latest(key, Space::kAccess);
    if (now == nullptr || now->value() != value) change.effects.push_back(record_of(key, value, now, view));
  }
  return change;
}

Evaluation AccessSpace::effects_of(DeleteAccess& remove, const WriteView& view) {
  const std::string key = access_key(remove.kind, remove.name);
  if (view.latest(key, Space::kAccess) == nullptr) return no_access(remove.kind, remove.name);
  return Change{{deletion(key, view)}, KeyDeleted{}};
}

void AccessSpace::count(const Record& item, bool add) {
  const AccessKind kind = kind_of_item(item);
  counts.at(static_cast<size_t>(kind)) += add ? size_t{1} : -size_t{1};
  const uint64_t hash = hash_bytes(item.key(), item.value_hash() ^ item.modified().value);
  digest += add ? hash : -hash;
  if (kind != AccessKind::kUser) return;
  const std::string user(access_name(item));
  const std::optional<UserAccount> account = stored_user(item);
  if (!account) return;
  for (const std::string& identity : account->identities) {
    if (add) {
      users_by_identity[identity] = user;
    } else if (const auto found = users_by_identity.find(identity);
               found != users_by_identity.end() && found->second == user) {
      users_by_identity.erase(found);
    }
  }
}

}  // namespace kvd
