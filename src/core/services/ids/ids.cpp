// See ids.hpp.
#include "core/services/ids/ids.hpp"

#include <fmt/format.h>

#include "base/check.hpp"
#include "base/json_writer.hpp"
#include "core/mutation.hpp"
#include "core/services/ids/ids_paths.hpp"
#include "core/services/zk_refusal.hpp"
#include "msg/calls.hpp"

namespace kvd {
namespace {

constexpr Duration kRetry = milliseconds(20);
constexpr Duration kRefusedRetry = seconds(10);
constexpr int kAttempts = 32;        // to be faster than others
constexpr size_t kLooksAtOnce = 16;  // at numbers that may rest
constexpr int kRestTimeouts = 2;

std::string claim_json(int64_t rest_ms, const std::string& nonce) {
  JsonWriter json;
  return json.begin_object().member("rest_ms", rest_ms).member("nonce", nonce).end_object().take();
}

std::string held_json(uint32_t number, int64_t fence, bool line) {
  JsonWriter json;
  json.begin_object();
  if (line) json.member("state", "held");
  return json.member("id", number).member("fence", fence).end_object().take();
}

}  // namespace

void Ids::handle(ServiceMessage&& message) {
  std::visit([this](auto&& m) { on(std::forward<decltype(m)>(m)); }, std::move(message));
}

void Ids::reply(uint64_t token, ServiceStatus status, std::string text) {
  pending_.erase(token);
  askers_.erase(token);
  out_.service_router.post(
      ServiceAnswered{token, ServiceAnswer{status, std::move(text), ContentType::kJson, {}}, false, true});
}

// ---- what is asked ----

void Ids::on(ServiceAsked message) {
  switch (message.call.name) {
    case CallName::kShowIds:
      return show(std::move(message));
    case CallName::kLendId:
      return post(std::move(message));
    case CallName::kConfirmId:
      return confirm(std::move(message));
    case CallName::kReleaseId:
      return release(std::move(message));
    default:
      CHECK(!"a call of ids");
  }
}

void Ids::post(ServiceAsked message) {
  Claim claim;
  claim.max = static_cast<uint32_t>(*message.call.number(Parameter::kMax));
  const int64_t usual = to_ms(kRestTimeouts * timeout_);
  claim.rest_ms = static_cast<int64_t>(message.call.number(Parameter::kRest).value_or(usual));
  claim.name = message.call.text(Parameter::kName).value_or(out_.config.self.member.id.value);
  if (claims_.size() >= limits::kClientSessions)
    return reply(message.token, ServiceStatus::kUnavailable, "this server keeps too many ids for clients");
  claim.watched = message.streams ? out_.watches.bytes_of(message.call.path) : 0;
  if (!out_.watches.take(claim.watched))
    return reply(message.token, ServiceStatus::kUnavailable, kWatchesFull);
  claim.holder = message.holder;
  claim.pool = std::move(message.call.path);
  claim.nonce = fmt::format("{:016x}{:016x}", out_.prng.next(), out_.prng.next());
  claim.asker = message.token;
  const ClaimId id = ++counter_;
  askers_[message.token] = id;
  if (message.streams) streams_.open(id, message.token);
  by_holder_.emplace(claim.holder, id);
  claims_.emplace(id, std::move(claim));
  start(id);
}

std::optional<Ids::ClaimId> Ids::find_held(HolderId holder, const std::string& pool, uint32_t number) const {
  for (auto it = by_holder_.lower_bound({holder, 0}); it != by_holder_.end() && it->first == holder; ++it) {
    const Claim& claim = claims_.at(it->second);
    if (claim.pool == pool && claim.number == number && claim.fence != 0 && !claim.over) return it->second;
  }
  return std::nullopt;
}

void Ids::confirm(ServiceAsked message) {
  const auto id = find_held(message.holder, message.call.path, message.call.id);
  if (!id) return reply(message.token, ServiceStatus::kGone, "the client's session does not have that id");
  check_own(*id, [this, id = *id, token = message.token](ZkCode code) {
    const Claim* claim = find_claim(id);
    if (claim != nullptr && code == ZkCode::kOk)
      return reply(token, ServiceStatus::kOk, held_json(claim->number, claim->fence, false));
    if (claim == nullptr || code == ZkCode::kNoNode)
      return reply(token, ServiceStatus::kGone, "the client's session does not have that id any more");
    const ServiceAnswer answer = zk_refusal(code, false);
    reply(token, answer.status, answer.text);
  });
}

void Ids::release(ServiceAsked message) {
  const auto id = find_held(message.holder, message.call.path, message.call.id);
  if (!id)
    return reply(message.token, ServiceStatus::kNotFound, "the client's session does not have that id");
  claims_.at(*id).leaving.insert(message.token);
  askers_[message.token] = *id;
  give_up(*id);
}

// ---- a claim ----

Ids::Claim* Ids::find_claim(ClaimId id) {
  const auto it = claims_.find(id);
  return it == claims_.end() ? nullptr : &it->second;
}

void Ids::start(ClaimId id) {
  Claim& claim = claims_.at(id);
  claim.number = 0;
  claim.first_over_ms.reset();
  if (++claim.attempts > kAttempts)
    return fail(id, ServiceStatus::kUnavailable, "others were faster again and again; try again");
  survey(claim.pool, true, [this, id](ZkCode code, const Survey& survey) {
    const Claim* mine = find_claim(id);
    if (mine == nullptr || put_off(id, code)) return;
    if (mine->over) return forget(id);
    code == ZkCode::kOk ? choose(id, survey) : refuse(id, code);
  });
}

void Ids::start_again(ClaimId id) {
  if (claims_.at(id).over) return forget(id);
  start(id);
}

void Ids::choose(ClaimId id, const Survey& survey) {
  Claim& claim = claims_.at(id);
  std::vector<uint32_t> fresh;
  claim.used.clear();
  for (uint32_t number = 1; number <= claim.max; ++number) {
    if (survey.held.contains(number)) continue;
    const bool used = survey.claims.contains(number);
    const bool resting = survey.resting.contains(number);
    if (used && resting) claim.used.push_back(number);
    if (!used && !resting) fresh.push_back(number);
  }
  if (!fresh.empty()) return claim_now(id, fresh[out_.prng.below(fresh.size())], std::nullopt);
  for (size_t i = claim.used.size(); i > 1; --i) std::swap(claim.used[i - 1], claim.used[out_.prng.below(i)]);
  claim.now_ms = survey.now_ms;
  claim.unmarked = survey.unmarked;
  choose_used(id);
}

void Ids::choose_used(ClaimId id) {
  Claim& claim = claims_.at(id);
  if (claim.used.empty() && claim.unmarked && *claim.unmarked != ZkCode::kOk)
    return refuse(id, *claim.unmarked);
  if (claim.used.empty()) {
    std::string why = fmt::format("all ids up to {} are lent or rest", claim.max);
    if (claim.first_over_ms) why += fmt::format("; the first one has rested in {} ms", *claim.first_over_ms);
    return fail(id, ServiceStatus::kUnavailable, std::move(why));
  }
  const auto some = claim.used.end() - static_cast<ptrdiff_t>(std::min(claim.used.size(), kLooksAtOnce));
  const std::vector<uint32_t> numbers(some, claim.used.end());
  claim.used.erase(some, claim.used.end());
  look_at_rests(claim.pool, numbers, [this, id](ZkCode code, const std::vector<Rest>& rests) {
    Claim* mine = find_claim(id);
    if (mine == nullptr || put_off(id, code)) return;
    if (mine->over) return forget(id);
    if (code != ZkCode::kOk) return refuse(id, code);
    const Rest* longest = nullptr;
    for (const Rest& rest : rests) {
      if (rest.version < 0 || !rest.since_ms) continue;
      const int64_t left = left_ms(rest, mine->now_ms);
      if (left > 0 && !mutated(Mutation::kRestSkipped)) {
        mine->first_over_ms = std::min(left, mine->first_over_ms.value_or(left));
      } else if (longest == nullptr || *rest.since_ms < *longest->since_ms) {
        longest = &rest;
      }
    }
    if (longest != nullptr) return claim_now(id, longest->number, longest->version);
    choose_used(id);
  });
}

// `version`: of its last claim; none: it was never claimed. The write to the pool's znode tells the zxid of it all.
void Ids::claim_now(ClaimId id, uint32_t number, std::optional<int32_t> version) {
  Claim& claim = claims_.at(id);
  claim.number = number;
  claim.version = version ? *version + 1 : 0;
  std::string words = claim_json(claim.rest_ms, claim.nonce);
  ZkMulti multi;
  multi.ops.emplace_back(ZkCreate{held_path(claim.pool, number), claim.name, ZkMode::kEphemeral});
  if (version) {
    multi.ops.emplace_back(ZkSet{claims_path(claim.pool, number), std::move(words), *version});
    multi.ops.emplace_back(ZkDelete{resting_path(claim.pool, number)});
  } else {
    multi.ops.emplace_back(ZkCreate{claims_path(claim.pool, number), std::move(words), ZkMode::kPersistent});
  }
  multi.ops.emplace_back(ZkSet{pool_path(claim.pool), ""});
  zk_.call(std::move(multi), [this, id](const ZkResult& result) { on_claimed(id, result); });
}

void Ids::on_claimed(ClaimId id, const ZkResult& result) {
  if (find_claim(id) == nullptr || put_off(id, result.code)) return;
  switch (result.code) {
    case ZkCode::kOk:
      return held(id, result.stats.back().modified_zxid);
    case ZkCode::kNodeExists:
    case ZkCode::kBadVersion:
    case ZkCode::kNoNode:
      return start_again(id);  // somebody was faster
    default:
      refuse(id, result.code);
  }
}

// Was it claimed? The claim has our nonce then, and the ephemeral came with just that write of it.
void Ids::find(ClaimId id) {
  const Claim& claim = claims_.at(id);
  if (claim.number == 0) return start_again(id);
  zk_.call(ZkSync{pool_path(claim.pool)}, [](const ZkResult&) {});
  zk_.call(ZkGet{claims_path(claim.pool, claim.number)}, [this, id](const ZkResult& record) {
    const Claim* mine = find_claim(id);
    if (mine == nullptr || put_off(id, record.code)) return;
    if (record.code != ZkCode::kOk && record.code != ZkCode::kNoNode) return refuse(id, record.code);
    const bool written = record.code == ZkCode::kOk && record.data == claim_json(mine->rest_ms, mine->nonce);
    if (!written) return start_again(id);
    zk_.call(ZkExists{held_path(mine->pool, mine->number)},
             [this, id, zxid = record.stat.modified_zxid](const ZkResult& result) {
               if (find_claim(id) == nullptr || put_off(id, result.code)) return;
               const bool ours = result.code == ZkCode::kOk && result.stat.created_zxid == zxid &&
                                 result.stat.ephemeral_owner == session_;
               if (ours) return held(id, zxid);
               start_again(id);
             });
  });
}

void Ids::held(ClaimId id, int64_t fence) {
  Claim& claim = claims_.at(id);
  claim.fence = fence;
  if (claim.over) return release_now(id);
  if (!streams_.has(id)) {
    if (claim.asker)
      reply(*std::exchange(claim.asker, std::nullopt), ServiceStatus::kCreated,
            held_json(claim.number, fence, false));
    return;
  }
  if (claim.asker) askers_.erase(*std::exchange(claim.asker, std::nullopt));
  streamed_[held_path(claim.pool, claim.number)] = id;
  streams_.say(id, held_json(claim.number, fence, true));
  check_own(id, [](ZkCode) {});
}

// kOk: it has it still; kNoNode: not any more, and it is forgotten. Of a connection's the znode is watched.
void Ids::check_own(ClaimId id, std::function<void(ZkCode)> then) {
  const std::string path = held_path(claims_.at(id).pool, claims_.at(id).number);
  zk_.call(ZkSync{path}, [](const ZkResult&) {});
  zk_.call(ZkExists{path, streams_.has(id)}, [this, id, then = std::move(then)](const ZkResult& result) {
    const Claim* claim = find_claim(id);
    ZkCode code = result.code;
    if (code == ZkCode::kOk && claim != nullptr && result.stat.created_zxid != claim->fence)
      code = ZkCode::kNoNode;
    if (claim != nullptr && !claim->over && streams_.has(id)) put_off(id, code);
    if (code == ZkCode::kNoNode && claim != nullptr && !claim->over) lose(id, "its znode was deleted");
    then(code);
  });
}

// ---- its end ----

void Ids::on(const HoldersEnded& message) {
  std::vector<ClaimId> theirs;
  for (const HolderId holder : message.holders) {
    for (auto it = by_holder_.lower_bound({holder, 0}); it != by_holder_.end() && it->first == holder; ++it)
      theirs.push_back(it->second);
  }
  for (const ClaimId id : theirs) {
    Claim& claim = claims_.at(id);
    if (claim.over) continue;
    if (claim.asker && !streams_.has(id))
      reply(*std::exchange(claim.asker, std::nullopt), ServiceStatus::kGone, message.why);
    const Duration grace = claim.fence != 0 ? message.grace : Duration(0);
    if (!streams_.part(id, message.why, grace)) give_up(id);
  }
}

void Ids::on(const ServiceDropped& message) {
  pending_.erase(message.token);
  const auto asked = askers_.find(message.token);
  std::optional<ClaimId> id = streams_.dropped(message.token);
  if (asked != askers_.end()) {
    id = asked->second;
    askers_.erase(asked);
    if (claims_.at(*id).leaving.erase(message.token) > 0) return;
    claims_.at(*id).asker.reset();  // it was not told
  }
  if (id) give_up(*id);
}

void Ids::give_up(ClaimId id) {
  Claim& claim = claims_.at(id);
  if (claim.asker) askers_.erase(*std::exchange(claim.asker, std::nullopt));
  if (std::exchange(claim.over, true)) return;
  if (claim.fence != 0)
    release_now(id);  // otherwise what is under way looks at `over` when it has its answer
}

// The check: if it vanished and was claimed again, the znode is another one's. One that may not be removed stays lent
// until that is allowed.
void Ids::release_now(ClaimId id) {
  const Claim& claim = claims_.at(id);
  ZkMulti multi{{ZkCheck{claims_path(claim.pool, claim.number), claim.version},
                 ZkDelete{held_path(claim.pool, claim.number)},
                 ZkCreate{resting_path(claim.pool, claim.number), "", ZkMode::kPersistent}}};
  zk_.call(std::move(multi), [this, id](const ZkResult& result) {
    Claim* mine = find_claim(id);
    if (mine == nullptr) return;
    const bool later = put_off(id, result.code);
    const bool refused = !later && zk_refusal(result.code, true).status == ServiceStatus::kForbidden;
    for (const uint64_t token : std::exchange(mine->leaving, {})) {
      if (later) {
        reply(token, ServiceStatus::kUnknown,
              "ZooKeeper did not answer; it is given back as soon as it does");
      } else if (refused) {
        reply(token, ServiceStatus::kForbidden, zk_refusal(result.code, true).text);
      } else {
        reply(token, ServiceStatus::kDone);
      }
    }
    if (!later && !refused) return forget(id);
    if (!refused) return;
    adrift_.insert(id);
    retry_in(kRefusedRetry);
  });
}

void Ids::refuse(ClaimId id, ZkCode code) {
  const ServiceAnswer answer = zk_refusal(code, true);
  fail(id, answer.status, answer.text);
}

void Ids::fail(ClaimId id, ServiceStatus status, std::string why) {
  Claim& claim = claims_.at(id);
  if (claim.asker) {
    const uint64_t token = *std::exchange(claim.asker, std::nullopt);
    streams_.dropped(token);
    reply(token, status, std::move(why));
  }
  forget(id);
}

void Ids::lose(ClaimId id, const std::string& why) {
  streams_.end_lost(id, why);
  for (const uint64_t token : std::exchange(claims_.at(id).leaving, {})) reply(token, ServiceStatus::kDone);
  fail(id, ServiceStatus::kGone, why);
}

void Ids::forget(ClaimId id) {
  const Claim& claim = claims_.at(id);
  const auto streamed = streamed_.find(held_path(claim.pool, claim.number));
  if (streamed != streamed_.end() && streamed->second == id) streamed_.erase(streamed);
  streams_.forget(id);
  out_.watches.give_back(claim.watched);
  by_holder_.erase({claim.holder, id});
  adrift_.erase(id);
  claims_.erase(id);
}

// ---- ZooKeeper, time ----

bool Ids::put_off(ClaimId id, ZkCode code) {
  if (!zk_silent(code)) return false;
  adrift_.insert(id);
  retry_in(kRetry);
  return true;
}

void Ids::retry_in(Duration pause) {
  if (connected_) retry_at_ = std::min(retry_at_, out_.now + pause);
}

void Ids::go_on_adrift() {
  retry_at_ = kNever;
  for (const ClaimId id : std::exchange(adrift_, {})) {
    const Claim& claim = claims_.at(id);
    if (claim.fence == 0) {
      find(id);
    } else if (claim.over) {
      release_now(id);
    } else {
      check_own(id, [](ZkCode) {});
    }
  }
}

void Ids::on(const ZkSessionChanged& message) {
  connected_ = message.state == ZkState::kConnected;
  if (!connected_) return;
  timeout_ = message.timeout;
  const bool other = std::exchange(session_, message.session) != message.session;
  while (other && !claims_.empty())
    lose(claims_.begin()->first, "the ZooKeeper session of this server has ended");
  for (const auto& [path, id] : streamed_) check_own(id, [](ZkCode) {});
  go_on_adrift();
}

void Ids::on(const ZkWatchFired& message) {
  const auto it = streamed_.find(message.path);
  if (it != streamed_.end()) check_own(it->second, [](ZkCode) {});
}

void Ids::on_time() {
  for (const ClaimId id : streams_.on_time()) give_up(id);
  if (retry_at_ <= out_.now) go_on_adrift();
}

}  // namespace kvd
