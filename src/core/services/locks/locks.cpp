// See locks.hpp.
#include "core/services/locks/locks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "core/services/zk_refusal.hpp"
#include "msg/calls.hpp"

namespace kvd {
namespace {

bool is_election(const TypedCall& call) { return call.collection == Collection::kElections; }

// Of a session, as what it has lost.
std::string place_of(const std::string& path, bool election) { return (election ? "e" : "l") + path; }

}  // namespace

Locks::Locks(Outbox& out)
    : out_(out),
      zk_(out, ServiceActor::kLocks),
      contenders_(out, zk_,
                  {[this](PlaceId id, int64_t fence) { on_held(id, fence); },
                   [this](PlaceId id, size_t ahead) { on_waits(id, ahead); },
                   [this](PlaceId id, const std::string& why) { on_lost(id, why); },
                   [this](PlaceId id, const ServiceAnswer& answer) { grants_.fail(id, answer); },
                   [this](PlaceId id, ZkCode code) { on_left(id, code); }}),
      grants_(out, {.find = {},  // the contenders keep what is adrift
                    .check = {},
                    .remove = [this](PlaceId id) { contenders_.leave(id); },
                    .end_calls = [this](PlaceId id, const auto& answer) { return end_calls(id, answer); },
                    .unasked = [this](PlaceId id, uint64_t token) { unasked(id, token); },
                    .forgotten = {}}) {}

void Locks::handle(ServiceMessage&& message) {
  std::visit([this](auto&& m) { on(std::forward<decltype(m)>(m)); }, std::move(message));
}

void Locks::reply(uint64_t token, ServiceAnswer answer) {
  pending_reads_.erase(token);
  grants_.reply(token, std::move(answer));
}

// ---- what is asked ----

void Locks::on(ServiceAsked message) {
  switch (message.call.name) {
    case CallName::kShowLock:
    case CallName::kShowElection:
      return show(std::move(message));
    case CallName::kTakeLock:
    case CallName::kStand:
      return post(std::move(message));
    case CallName::kLeaveLock:
    case CallName::kLeaveElection:
      return leave(std::move(message));
    default:
      CHECK(!"a call of locks or elections");
  }
}

void Locks::post(ServiceAsked message) {
  const bool election = is_election(message.call);
  const std::optional<std::string> name =
      message.call.text(election ? Parameter::kCandidate : Parameter::kName);
  const auto lost = grants_.losses().take(message.holder, place_of(message.call.path, election));
  if (lost) return reply(message.token, {ServiceStatus::kGone, *lost});
  std::optional<PlaceId> place = find(message.holder, message.call.path, election);
  if (place && name && grants_.at(*place).name != *name)
    return reply(message.token,
                 {ServiceStatus::kConflict,
                  fmt::format("the client's session stands there as {}", grants_.at(*place).name)});
  if (!place) {
    const std::string stands_as = name.value_or(out_.config.self.member.id.value);
    place = contenders_.join(message.call.path, stands_as);
    if (!place) return reply(message.token, {ServiceStatus::kUnavailable, kWatchesFull});
    Grant grant;
    grant.holder = message.holder;
    grant.name = stands_as;
    grant.path = std::move(message.call.path);
    grant.election = election;
    grants_.add(*place, std::move(grant));
  }
  Grant& grant = grants_.at(*place);
  if (message.streams) {
    grants_.streams().open(*place, message.token);
    grant.stream_until = message.until;
  } else {
    grants_.ask(message.token, *place);
    grant.asking[message.token] = {message.until, message.until > out_.now};
  }
  answer_askers(*place);
}

void Locks::leave(ServiceAsked message) {
  const bool election = is_election(message.call);
  const std::optional<PlaceId> place = find(message.holder, message.call.path, election);
  const auto lost = grants_.losses().take(message.holder, place_of(message.call.path, election));
  if (lost) return reply(message.token, {ServiceStatus::kGone, *lost});
  if (!place)
    return reply(message.token, {ServiceStatus::kNotFound, "the client's session has no place there"});
  grants_.await_end(message.token, *place);
  grants_.take_back(*place, "it was given back", Duration(0));
}

std::optional<PlaceId> Locks::find(HolderId holder, const std::string& path, bool election) const {
  return grants_.find_of(
      holder, [&](const Grant& grant) { return grant.path == path && grant.election == election; });
}

// ---- what becomes of a place ----

Document Locks::shown(const Grant& grant, bool with_path) const {
  Document document;
  if (with_path) document.add("path", grant.path.substr(1));
  if (grant.election) {
    document.add("leading", grant.held);
  } else {
    document.add("state", grant.held ? "held" : "waiting");
  }
  if (grant.held) {
    document.add("fence", grant.fence);
  } else {
    document.add("ahead", grant.ahead.value_or(0));
  }
  return document;
}

void Locks::tell(PlaceId id) {
  const Grant& grant = grants_.at(id);
  if (grant.held || grant.ahead) grants_.streams().say(id, shown(grant, false));
}

void Locks::on_held(PlaceId id, int64_t fence) {
  Grant& grant = grants_.at(id);
  if (std::exchange(grant.held, true)) return;  // looked at again
  grant.fence = fence;
  tell(id);
  answer_askers(id);
}

void Locks::on_waits(PlaceId id, size_t ahead) {
  Grant& grant = grants_.at(id);
  if (std::exchange(grant.ahead, ahead) != ahead) tell(id);
  answer_askers(id);
}

// Answers those who may wait no longer.
void Locks::answer_askers(PlaceId id) {
  Grant& grant = grants_.at(id);
  if (grant.over) return;
  const bool known = grant.held || grant.ahead.has_value();
  for (auto it = grant.asking.begin(); known && it != grant.asking.end();) {
    const auto [token, asker] = *it;
    if (!grant.held && asker.until > out_.now) {
      due_ = std::min(due_, asker.until);
      ++it;
      continue;
    }
    it = grant.asking.erase(it);
    grant.known |= grant.held || grant.election;
    if (grant.held) {
      reply(token, {ServiceStatus::kOk, shown(grant, true)});
    } else if (grant.election) {
      reply(token, {ServiceStatus::kAccepted, shown(grant, true)});
    } else {
      reply(token, {asker.waits ? ServiceStatus::kNotInTime : ServiceStatus::kConflict,
                    fmt::format("held by another; {} in line before this one", *grant.ahead)});
    }
  }
  if (grants_.streams().has(id) && known && !grant.held) {
    if (grant.stream_until <= out_.now) {
      grants_.streams().end(id, timeout_line());
    } else {
      due_ = std::min(due_, grant.stream_until);
    }
  }
  if (!grant.known && !grants_.streams().has(id) && grant.asking.empty()) grants_.give_up(id);
}

bool Locks::end_calls(PlaceId id, const ServiceAnswer& answer) {
  Grant& grant = grants_.at(id);
  for (const auto& [token, asker] : std::exchange(grant.asking, {})) grants_.reply(token, answer);
  return grant.held;
}

void Locks::unasked(PlaceId id, uint64_t token) {
  grants_.at(id).asking.erase(token);
  answer_askers(id);
}

void Locks::on_lost(PlaceId id, const std::string& why) {
  const Grant& grant = grants_.at(id);
  const bool heard = !grant.asking.empty() || grants_.streams().has(id) || grant.over;
  if (!heard) grants_.losses().add(grant.holder, place_of(grant.path, grant.election), why);
  grants_.lose(id, why);
}

void Locks::on_left(PlaceId id, ZkCode code) {
  code == ZkCode::kOk ? grants_.forget(id) : grants_.not_left(id, code);
}

void Locks::on(const ServiceDropped& message) {
  pending_reads_.erase(message.token);
  grants_.on(message);
}

// ---- who holds ----

// With the connection what was watched may have changed unseen, and with a session the watches are gone.
void Locks::on(const ZkSessionChanged& message) {
  contenders_.on(message);
  if (message.state != ZkState::kConnected) return;
  std::vector<uint64_t> watching;
  for (const auto& [token, pending] : pending_reads_) {
    if (!pending.watched.empty()) watching.push_back(token);
  }
  for (const uint64_t token : watching) look(token, false);
}

void Locks::show(ServiceAsked message) {
  PendingRead pending;
  pending.election = is_election(message.call);
  if (const auto since = message.call.number(Parameter::kSince)) pending.since = static_cast<int64_t>(*since);
  pending.path = std::move(message.call.path);
  pending.until = message.until;
  pending_reads_[message.token] = std::move(pending);
  look(message.token, false);
}

// Only where nobody stands the queue itself is watched: otherwise whoever joins it would wake those who look.
void Locks::look(uint64_t token, bool watch) {
  pending_reads_.at(token).watched.clear();
  read(token, ZkChildren{pending_reads_.at(token).path}, watch, [this, token, watch](const ZkResult& result) {
    const PendingRead& pending = pending_reads_.at(token);
    const bool there = result.code == ZkCode::kOk;
    if (!there && result.code != ZkCode::kNoNode) return refuse_by(token, result.code, false);
    const std::vector<std::string> all = places_in_order(result.children);
    if (!all.empty()) return look_at_first(token, pending.path + "/" + all.front(), all.size() - 1);
    const bool waits = pending.since == 0 && pending.until > out_.now;  // until somebody stands
    if (!waits || (watch && there)) return answer_show(token, pending.path, std::nullopt, 0);
    if (!watch) return look(token, true);
    read(token, ZkExists{pending.path}, true, [this, token](const ZkResult& exists) {
      if (exists.code == ZkCode::kOk) return look(token, true);
      if (exists.code != ZkCode::kNoNode) return refuse_by(token, exists.code, false);
      answer_show(token, pending_reads_.at(token).path, std::nullopt, 0);
    });
  });
}

void Locks::refuse_by(uint64_t token, ZkCode code, bool write) { reply(token, zk_refusal(code, write)); }

void Locks::read(uint64_t token, ZkRequest request, bool watch, ZkCalls::Then then) {
  auto tell = [this, token, then = std::move(then)](const ZkResult& result, bool watches) {
    const auto it = pending_reads_.find(token);
    if (it == pending_reads_.end()) return;
    it->second.watches = watches;
    then(result);
  };
  if (watch) return zk_.watch(std::move(request), std::move(tell));
  zk_.call(std::move(request), [tell = std::move(tell)](const ZkResult& result) { tell(result, false); });
}

void Locks::look_at_first(uint64_t token, const std::string& first, size_t waiting) {
  const bool watch = pending_reads_.at(token).since && pending_reads_.at(token).until > out_.now;
  read(token, ZkGet{first}, watch,
       [this, token, first, waiting](const ZkResult& result) { on_first(token, first, waiting, result); });
}

void Locks::on_first(uint64_t token, const std::string& first, size_t waiting, const ZkResult& result) {
  if (result.code == ZkCode::kNoNode) return look(token, false);  // it has just left
  if (result.code != ZkCode::kOk) return refuse_by(token, result.code, false);
  answer_show(token, first, std::pair(result.data, result.stat.created_zxid), waiting);
}

void Locks::answer_show(uint64_t token, const std::string& watched,
                        std::optional<std::pair<std::string, int64_t>> holder, size_t waiting) {
  PendingRead& pending = pending_reads_.at(token);
  const bool same = pending.since && (holder ? holder->second : 0) == *pending.since;
  if (same && pending.until > out_.now) {
    if (!pending.watches) return reply(token, {ServiceStatus::kUnavailable, kWatchesFull});
    pending.watched = watched;
    due_ = std::min(due_, pending.until);
    return;
  }
  Value first;
  if (holder) first = Document().add("name", Octets{holder->first}).add("fence", holder->second);
  reply(token, {ServiceStatus::kOk, Document()
                                        .add("path", pending.path.substr(1))
                                        .add(pending.election ? "leader" : "holder", std::move(first))
                                        .add("waiting", waiting)});
}

void Locks::on(const ZkWatchFired& message) {
  contenders_.on(message);
  std::vector<uint64_t> concerned;
  for (const auto& [token, pending] : pending_reads_) {
    if (!pending.watched.empty() && message.path == pending.watched) concerned.push_back(token);
  }
  for (const uint64_t token : concerned) look(token, false);
}

// ---- time ----

// Looked through only when the earliest moment that was ever given since the last look has passed.
void Locks::on_time() {
  contenders_.on_time();
  grants_.on_time();
  if (due_ > out_.now) return;
  for (const PlaceId id : grants_.keys()) answer_askers(id);
  std::vector<uint64_t> late;
  for (const auto& [token, pending] : pending_reads_) {
    if (!pending.watched.empty() && pending.until <= out_.now) late.push_back(token);
  }
  for (const uint64_t token : late) look(token, false);
  due_ = next_due();
}

Instant Locks::next_due() const {
  Instant next = kNever;
  for (const auto& [id, grant] : grants_.all()) {
    if (grant.held || !grant.ahead || grant.over) continue;
    if (grants_.streams().has(id)) next = std::min(next, grant.stream_until);
    for (const auto& [token, asker] : grant.asking) next = std::min(next, asker.until);
  }
  for (const auto& [token, pending] : pending_reads_) {
    if (!pending.watched.empty()) next = std::min(next, pending.until);
  }
  return next;
}

Instant Locks::deadline() const { return std::min({due_, contenders_.deadline(), grants_.deadline()}); }

}  // namespace kvd
