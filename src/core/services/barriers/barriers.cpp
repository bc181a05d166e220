// See barriers.hpp: what is asked, and single barriers.
#include "core/services/barriers/barriers.hpp"

#include <fmt/format.h>

#include "base/check.hpp"
#include "msg/calls.hpp"

namespace kvd {
namespace {

Document path_shown(std::string_view path) { return Document().add("path", path.substr(1)); }

}  // namespace

Barriers::Barriers(Outbox& out)
    : out_(out),
      zk_(out, ServiceActor::kBarriers),
      members_(out, {.find = [this](MemberId id) { find(id); },
                     .check = [this](MemberId id) { go_on(id); },
                     .remove = [this](MemberId id) { remove_own(id); },
                     .end_calls = [this](MemberId id, const auto& answer) { return end_calls(id, answer); },
                     .unasked = [this](MemberId id, uint64_t token) { unasked(id, token); },
                     .forgotten = [this](MemberId id, Member& member) { forgotten(id, member); }}) {}

void Barriers::handle(ServiceMessage&& message) {
  std::visit([this](auto&& m) { on(std::forward<decltype(m)>(m)); }, std::move(message));
}

void Barriers::forget_until(uint64_t token) {
  const auto it = until_.find(token);
  if (it == until_.end()) return;
  untils_.erase({it->second, token});
  until_.erase(it);
}

void Barriers::reply(uint64_t token, ServiceAnswer answer) {
  forget_until(token);
  pending_.erase(token);
  members_.reply(token, std::move(answer));
}

void Barriers::refuse(uint64_t token, ZkCode code, bool write) { reply(token, zk_refusal(code, write)); }

void Barriers::on(ServiceAsked message) {
  const std::string& path = message.call.path;
  until_[message.token] = message.until;
  switch (message.call.name) {
    case CallName::kRaiseBarrier:
      return raise(message.token, path, true);
    case CallName::kLowerBarrier:
      return lower(message.token, path);
    case CallName::kShowBarrier:
      pending_[message.token] = PendingCall{path, message.until, false};
      return show(message.token);
    case CallName::kEnterBarrier:
      return enter(std::move(message));
    case CallName::kLeaveBarrier:
      return leave(std::move(message));
    default:
      CHECK(!"a call of barriers");
  }
}

// ---- single ----

void Barriers::raise(uint64_t token, const std::string& path, bool parents) {
  zk_.call(ZkCreate{path, "", ZkMode::kPersistent}, [this, token, path, parents](const ZkResult& result) {
    if (result.code == ZkCode::kOk) return reply(token, {ServiceStatus::kCreated, path_shown(path)});
    if (result.code == ZkCode::kNodeExists) return reply(token, {ServiceStatus::kOk, path_shown(path)});
    if (result.code != ZkCode::kNoNode || !parents) return refuse(token, result.code);
    zk_.make_path(path.substr(0, path.rfind('/')), [this, token, path](ZkCode code) {
      if (code == ZkCode::kOk) return raise(token, path, false);
      refuse(token, code);
    });
  });
}

void Barriers::show(uint64_t token) {
  const PendingCall& pending = pending_.at(token);
  const bool waits = pending.until > out_.now;
  if (waits) return look_for(pending.path, {token});
  zk_.call(ZkGet{pending.path}, [this, token](const ZkResult& result) { shown(token, result, false); });
}

void Barriers::shown(uint64_t token, const ZkResult& result, bool watches) {
  const auto it = pending_.find(token);
  if (it == pending_.end()) return;
  PendingCall& mine = it->second;
  if (result.code == ZkCode::kNoNode)
    return reply(token, {ServiceStatus::kOk, path_shown(mine.path).add("up", false)});
  if (result.code != ZkCode::kOk) return refuse(token, result.code, false);
  if (mine.until <= out_.now) return reply(token, {ServiceStatus::kNotInTime, "the barrier is still there"});
  if (!watches) return reply(token, {ServiceStatus::kUnavailable, kWatchesFull});
  mine.waiting = true;
  waiting_.emplace(mine.path, token);
  untils_.emplace(mine.until, token);
}

bool Barriers::stop_waiting(uint64_t token) {
  PendingCall& pending = pending_.at(token);
  if (!std::exchange(pending.waiting, false)) return false;
  const auto [begin, end] = waiting_.equal_range(pending.path);
  waiting_.erase(std::find_if(begin, end, [token](const auto& one) { return one.second == token; }));
  untils_.erase({pending.until, token});
  return true;
}

// One read for them all.
void Barriers::look_for(const std::string& path, std::vector<uint64_t> tokens) {
  zk_.watch(ZkGet{path}, [this, tokens = std::move(tokens)](const ZkResult& result, bool watches) {
    for (const uint64_t token : tokens) shown(token, result, watches);
  });
}

// A `ready` that was left behind by a double one goes with it: all or nothing, so that no member is overlooked.
void Barriers::lower(uint64_t token, const std::string& path) {
  zk_.call(ZkDelete{path}, [this, token, path](const ZkResult& result) {
    if (result.code == ZkCode::kOk || result.code == ZkCode::kNoNode)
      return reply(token, ServiceStatus::kDone);
    if (result.code != ZkCode::kNotEmpty) return refuse(token, result.code);
    zk_.call(ZkMulti{{ZkDelete{path + "/ready"}, ZkDelete{path}}}, [this, token](const ZkResult& both) {
      if (both.code == ZkCode::kOk) return reply(token, ServiceStatus::kDone);
      if (zk_silent(both.code) || both.code == ZkCode::kNoAuth) return refuse(token, both.code);
      reply(token, {ServiceStatus::kConflict, "members are in, or there are other znodes below it"});
    });
  });
}

// ---- ZooKeeper, time ----

void Barriers::on(const ZkWatchFired& message) {
  std::vector<uint64_t> lifted;
  const auto [begin, end] = waiting_.equal_range(message.path);
  for (auto it = begin; it != end; ++it) lifted.push_back(it->second);
  for (const uint64_t token : lifted) stop_waiting(token);
  if (!lifted.empty()) look_for(message.path, lifted);
  std::vector<MemberId> members;
  const auto [first, last] = watched_.equal_range(message.path);
  for (auto it = first; it != last; ++it) members.push_back(it->second);
  for (const MemberId id : members) woken(id);
  const auto own = members_.in(message.path);
  if (!own) return;
  members_.at(*own).own_watched = false;
  check_own(*own);
}

void Barriers::on(const ZkSessionChanged& message) {
  const bool other = members_.on(message);
  if (!members_.connected()) return;
  if (other) members_.lose_all(kSessionEnded);
  std::vector<uint64_t> tokens;
  for (const auto& [path, token] : waiting_) tokens.push_back(token);
  for (const uint64_t token : tokens) {
    if (stop_waiting(token)) show(token);
  }
  std::vector<MemberId> all;
  for (const MemberId id : members_.keys()) {
    Member& member = members_.at(id);
    member.ready_absent = false;  // what came and went meanwhile is missed
    member.own_watched = false;
    if (!members_.is_adrift(id)) all.push_back(id);
  }
  for (const MemberId id : all) {
    woken(id);
    if (members_.at(id).phase == Phase::kReleased) check_own(id);
  }
  members_.go_on_adrift();
}

void Barriers::on(const ServiceDropped& message) {
  if (pending_.contains(message.token)) stop_waiting(message.token);
  pending_.erase(message.token);
  forget_until(message.token);
  members_.on(message);
}

void Barriers::on_time() {
  while (!untils_.empty() && untils_.begin()->first <= out_.now) {
    const uint64_t token = untils_.begin()->second;
    untils_.erase(untils_.begin());
    if (pending_.contains(token)) {
      if (stop_waiting(token)) show(token);
    } else {
      answer(members_.asked(token));
    }
  }
  members_.on_time();
}

Instant Barriers::deadline() const {
  const Instant next = untils_.empty() ? kNever : untils_.begin()->first;
  return std::min(next, members_.deadline());
}

}  // namespace kvd
