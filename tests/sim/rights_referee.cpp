// See rights_referee.hpp.
#include "rights_referee.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

namespace kvd::sim {
namespace {

// Of "r/AREA/USER/..".
std::string user_of(std::string_view key) {
  const size_t area_end = key.find('/', kRightsPrefix.size());
  if (area_end == std::string_view::npos) return {};
  key.remove_prefix(area_end + 1);
  return std::string(key.substr(0, key.find('/')));
}

}  // namespace

// ---- what is committed ----

// As it was left by the last change up to there; there is none in another lineage.
const RightsReferee::State& RightsReferee::state_at(Revision revision) const {
  static const State kNothing;
  auto behind = states_.upper_bound(revision);
  if (behind == states_.begin()) return kNothing;
  --behind;
  return lineage_of(behind->first) == lineage_of(revision) ? behind->second : kNothing;
}

std::string RightsReferee::on_entry(const Entry& entry) {
  if (entry.revision <= newest_) return {};
  const bool first = entry.revision == lineage_base(lineage_of(entry.revision)).next();
  followed_ = first || (followed_ && entry.revision == newest_.next());
  newest_ = entry.revision;
  if (!followed_) return {};
  std::string why;
  const bool changes = std::any_of(entry.effects.begin(), entry.effects.end(),
                                   [](const Record& effect) { return effect.space() == Space::kAccess; });
  for (const Record& effect : entry.effects) {
    if (effect.space() == Space::kData && effect.key().starts_with(kRightsPrefix))
      why += judge_write(entry, effect);
  }
  if (!changes) return why;
  State next = state_at(entry.revision);
  next.epoch = entry.epoch;
  next.clock = entry.clock;
  for (const Record& effect : entry.effects) {
    if (effect.space() == Space::kAccess) apply(next, effect);
  }
  states_.emplace(entry.revision, std::move(next));
  return why;
}

std::string RightsReferee::judge_write(const Entry& entry, const Record& effect) const {
  const std::string user = user_of(effect.key());
  const Need need{Resource::kKv, Right::kWrite, std::string(effect.key())};
  if (grants(state_at(entry.revision), user, need)) return {};
  return fmt::format("revision {} is a write of {} by {}, who had no right to it there; ",
                     entry.revision.value, effect.key(), user);
}

void RightsReferee::apply(State& state, const Record& effect) {
  const std::string name(access_name(effect));
  if (is_of(effect, AccessKind::kPolicy)) {
    state.policies.erase(name);
    if (auto policy = effect.has_value() ? stored_policy(effect) : std::nullopt)
      state.policies.emplace(name, std::move(*policy));
  } else if (is_of(effect, AccessKind::kUser)) {
    state.users.erase(name);
    if (auto user = effect.has_value() ? stored_user(effect) : std::nullopt)
      state.users.emplace(name, std::move(*user));
  }
}

bool RightsReferee::grants(const State& state, const std::string& user, const Need& need) {
  const auto account = state.users.find(user);
  if (account == state.users.end()) return false;
  for (const std::string& name : account->second.policies) {
    const auto policy = state.policies.find(name);
    if (policy == state.policies.end()) continue;
    for (const Rule& rule : policy->second.rules) {
      const bool right = need.right == Right::kRead ? rule.read : rule.write;
      if (right && rule.resource == need.resource && need.path.starts_with(rule.prefix)) return true;
    }
  }
  return false;
}

bool RightsReferee::grants(const State& state, const std::string& user, const Needs& needs) {
  return std::all_of(needs.begin(), needs.end(), [&](const Need& need) { return grants(state, user, need); });
}

// ---- what is appended ----

void RightsReferee::on_appended(const Entry& entry) {
  Appended appended{entry.epoch, entry.clock, {}, {}};
  for (const Record& effect : entry.effects) {
    if (effect.space() != Space::kAccess) continue;
    appended.keys.emplace_back(effect.key());
    if (!effect.has_value()) appended.gone.emplace_back(effect.key());
  }
  if (!appended.keys.empty()) appended_[entry.revision].push_back(std::move(appended));
}

// A log behind `from` may hold, or have held, what would take it away, and is not committed (yet).
bool RightsReferee::may_be_lost(const std::string& user, ErrorCode code, Revision from) const {
  const std::string own = access_key(AccessKind::kUser, user);
  for (auto it = appended_.upper_bound(from); it != appended_.end(); ++it) {
    const auto committed = states_.find(it->first);
    for (const Appended& appended : it->second) {
      const bool counted = committed != states_.end() && committed->second.epoch == appended.epoch &&
                           committed->second.clock == appended.clock;
      if (counted) continue;
      const bool unknown = code == ErrorCode::kUnauthenticated;
      const auto& keys = unknown ? appended.gone : appended.keys;
      const bool concerns = std::any_of(keys.begin(), keys.end(), [&](const std::string& key) {
        return key == own || (!unknown && !key.starts_with(access_key(AccessKind::kUser, "")));
      });
      if (concerns) return true;
    }
  }
  return false;
}

// ---- what clients are told ----

bool RightsReferee::judges(Revision revision) const {
  return followed_ && lineage_of(revision) == lineage_of(newest_);
}

std::string RightsReferee::on_done(const std::string& user, const Needs& needs, Revision at) const {
  if (!judges(at)) return {};
  if (at > newest_) return fmt::format("revision {} is acknowledged, and not committed; ", at.value);
  if (grants(state_at(Revision(at.value - 1)), user, needs)) return {};
  return fmt::format("{} wrote {} as revision {}, where he had no right to; ", user, needs.front().path,
                     at.value);
}

std::string RightsReferee::on_read(const std::string& user, const Needs& needs, Revision from,
                                   Revision to) const {
  if (!judges(from) || !judges(to)) return {};
  if (grants(state_at(from), user, needs)) return {};
  for (auto it = states_.upper_bound(from); it != states_.end() && it->first <= to; ++it) {
    if (grants(it->second, user, needs)) return {};
  }
  return fmt::format("{} read {} between the revisions {} and {}, where he had no right to; ", user,
                     needs.front().path, from.value, to.value);
}

std::string RightsReferee::on_refused(const std::string& user, const Needs& needs, ErrorCode code,
                                      Revision from) const {
  if (!judges(from)) return {};
  const bool unknown = code == ErrorCode::kUnauthenticated;
  const auto refuses = [&](const State& state) {
    return unknown ? !state.users.contains(user) : !grants(state, user, needs);
  };
  if (refuses(state_at(from))) return {};
  for (auto it = states_.upper_bound(from); it != states_.end(); ++it) {
    if (refuses(it->second)) return {};
  }
  // The leader judges by what is not committed.
  if (may_be_lost(user, code, from)) return {};
  return fmt::format("{} is {} for {}, and had the right to it from revision {} to {}; ", user,
                     unknown ? "unknown" : "refused", needs.front().path, from.value, newest_.value);
}

bool RightsReferee::was_as(const ReplaceAccess& all, Revision from, Revision at) const {
  std::map<std::string, Policy, std::less<>> policies;
  for (const PutPolicy& put : all.policies) policies.emplace(put.name, put.policy);
  std::map<std::string, UserAccount, std::less<>> users;
  for (const PutUser& put : all.users) users.emplace(put.name, put.user);
  const auto is_as = [&](const State& state) { return state.policies == policies && state.users == users; };
  return is_as(state_at(from)) || std::any_of(states_.upper_bound(from), states_.upper_bound(at),
                                              [&](const auto& made) { return is_as(made.second); });
}

std::string RightsReferee::on_changed(const Operation& operation, Revision from, Revision at) const {
  if (!judges(at)) return {};
  const auto made = states_.find(at);
  const State state = made != states_.end() ? made->second : State();
  bool as_asked = false;
  if (const auto* policy = std::get_if<Box<PutPolicy>>(&operation)) {
    const auto it = state.policies.find((*policy)->name);
    as_asked = it != state.policies.end() && it->second == (*policy)->policy;
  } else if (const auto* user = std::get_if<Box<PutUser>>(&operation)) {
    const auto it = state.users.find((*user)->name);
    as_asked = it != state.users.end() && it->second == (*user)->user;
  } else if (const auto* all = std::get_if<Box<ReplaceAccess>>(&operation)) {
    as_asked = was_as(**all, std::min(from, at), at);
  } else if (const auto* gone = std::get_if<DeleteAccess>(&operation)) {
    const bool there = gone->kind == AccessKind::kUser ? state.users.contains(gone->name)
                                                       : state.policies.contains(gone->name);
    as_asked = made != states_.end() && !there;
  }
  return as_asked ? ""
                  : fmt::format("a change of rights is acknowledged as revision {}, and is not; ", at.value);
}

}  // namespace kvd::sim
