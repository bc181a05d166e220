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

constexpr int kTakeAttempts = 32;    // to be faster than others
constexpr size_t kLooksAtOnce = 16;  // at numbers that may rest
constexpr int kRestTimeouts = 2;

std::string claim_json(int64_t rest_ms, const std::string& nonce) {
  JsonWriter json;
  return json.begin_object().member("rest_ms", rest_ms).member("nonce", nonce).end_object().take();
}

Document held_shown(uint32_t number, int64_t fence, bool line) {
  Document document;
  if (line) document.add("state", "held");
  return std::move(document).add("id", number).add("fence", fence);
}

}  // namespace

Ids::Ids(Outbox& out)
    : out_(out),
      zk_(out, ServiceActor::kIds),
      claims_(out, {.find = [this](ClaimId id) { find(id); },
                    .check = [this](ClaimId id) { check_own(id, [](ZkCode) {}); },
                    .remove = [this](ClaimId id) { release_now(id); },
                    .end_calls = [this](ClaimId id, const auto& answer) { return end_calls(id, answer); },
                    .unasked = [this](ClaimId id, uint64_t) { unasked(id); },
                    .forgotten = {}}) {}

void Ids::handle(ServiceMessage&& message) {
  std::visit([this](auto&& m) { on(std::forward<decltype(m)>(m)); }, std::move(message));
}

void Ids::reply(uint64_t token, ServiceAnswer answer) {
  pending_.erase(token);
  claims_.reply(token, std::move(answer));
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
  if (claims_.all().size() >= limits::kClientSessions)
    return reply(message.token, {ServiceStatus::kUnavailable, "this server keeps too many ids for clients"});
  claim.watch_bytes = message.streams ? out_.watches.bytes_of(message.call.path) : 0;
  claim.holder = message.holder;
  claim.pool = std::move(message.call.path);
  claim.nonce = fmt::format("{:016x}{:016x}", out_.prng.next(), out_.prng.next());
  if (!message.streams) claim.asker = message.token;
  const ClaimId id = ++counter_;
  if (!claims_.add(id, std::move(claim)))
    return reply(message.token, {ServiceStatus::kUnavailable, kWatchesFull});
  message.streams ? claims_.streams().open(id, message.token) : claims_.ask(message.token, id);
  start(id);
}

std::optional<Ids::ClaimId> Ids::find_held(HolderId holder, const std::string& pool, uint32_t number) const {
  return claims_.find_of(holder, [&](const Claim& claim) {
    return claim.pool == pool && claim.number == number && claim.fence != 0;
  });
}

void Ids::confirm(ServiceAsked message) {
  const auto id = find_held(message.holder, message.call.path, message.call.id);
  if (!id) return reply(message.token, {ServiceStatus::kGone, "the client's session does not have that id"});
  check_own(*id, [this, id = *id, token = message.token](ZkCode code) {
    const Claim* claim = claims_.find(id);
    if (claim != nullptr && code == ZkCode::kOk)
      return reply(token, {ServiceStatus::kOk, held_shown(claim->number, claim->fence, false)});
    if (claim == nullptr || code == ZkCode::kNoNode)
      return reply(token, {ServiceStatus::kGone, "the client's session does not have that id any more"});
    reply(token, zk_refusal(code, false));
  });
}

void Ids::release(ServiceAsked message) {
  const auto id = find_held(message.holder, message.call.path, message.call.id);
  if (!id)
    return reply(message.token, {ServiceStatus::kNotFound, "the client's session does not have that id"});
  claims_.await_end(message.token, *id);
  claims_.give_up(*id);
}

// ---- a claim ----

void Ids::start(ClaimId id) {
  Claim& claim = claims_.at(id);
  claim.number = 0;
  claim.first_over_ms.reset();
  if (++claim.attempts > kTakeAttempts)
    return fail(id, ServiceStatus::kUnavailable, "others were faster again and again; try again");
  survey(claim.pool, true, [this, id](ZkCode code, const Survey& survey) {
    const Claim* mine = claims_.find(id);
    if (mine == nullptr || claims_.put_off(id, code)) return;
    if (mine->leaves) return claims_.forget(id);
    code == ZkCode::kOk ? choose(id, survey) : refuse(id, code);
  });
}

void Ids::start_again(ClaimId id) {
  if (claims_.at(id).leaves) return claims_.forget(id);
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
    Claim* mine = claims_.find(id);
    if (mine == nullptr || claims_.put_off(id, code)) return;
    if (mine->leaves) return claims_.forget(id);
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
  if (claims_.find(id) == nullptr || claims_.put_off(id, result.code)) return;
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
    const Claim* mine = claims_.find(id);
    if (mine == nullptr || claims_.put_off(id, record.code)) return;
    if (record.code != ZkCode::kOk && record.code != ZkCode::kNoNode) return refuse(id, record.code);
    const bool written = record.code == ZkCode::kOk && record.data == claim_json(mine->rest_ms, mine->nonce);
    if (!written) return start_again(id);
    zk_.call(ZkExists{held_path(mine->pool, mine->number)},
             [this, id, zxid = record.stat.modified_zxid](const ZkResult& result) {
               if (claims_.find(id) == nullptr || claims_.put_off(id, result.code)) return;
               const bool ours = result.code == ZkCode::kOk && result.stat.created_zxid == zxid &&
                                 result.stat.ephemeral_owner == claims_.session();
               if (ours) return held(id, zxid);
               start_again(id);
             });
  });
}

void Ids::held(ClaimId id, int64_t fence) {
  Claim& claim = claims_.at(id);
  claim.fence = fence;
  claims_.there(id, held_path(claim.pool, claim.number));
  if (claim.leaves) return release_now(id);
  if (claim.asker)
    reply(*std::exchange(claim.asker, std::nullopt),
          {ServiceStatus::kCreated, held_shown(claim.number, fence, false)});
  if (!claims_.streams().has(id)) return;
  claims_.streams().say(id, held_shown(claim.number, fence, true));
  check_own(id, [](ZkCode) {});
}

// kOk: it has it still; kNoNode: not any more, and it is forgotten. Of a connection's the znode is watched.
void Ids::check_own(ClaimId id, std::function<void(ZkCode)> then) {
  const std::string path = claims_.at(id).znode;
  const bool streams = claims_.streams().has(id);
  zk_.call(ZkSync{path}, [](const ZkResult&) {});
  zk_.call(ZkExists{path, streams}, [this, id, then = std::move(then)](const ZkResult& result) {
    const Claim* claim = claims_.find(id);
    ZkCode code = result.code;
    if (code == ZkCode::kOk && claim != nullptr && result.stat.created_zxid != claim->fence)
      code = ZkCode::kNoNode;
    if (claim != nullptr && !claim->leaves && claims_.streams().has(id)) claims_.put_off(id, code);
    if (code == ZkCode::kNoNode && claim != nullptr && !claim->leaves) claims_.lose(id, kZnodeDeleted);
    then(code);
  });
}

// ---- its end ----

bool Ids::end_calls(ClaimId id, const ServiceAnswer& answer) {
  Claim& claim = claims_.at(id);
  if (claim.asker) claims_.reply(*std::exchange(claim.asker, std::nullopt), answer);
  return claim.fence != 0;
}

void Ids::unasked(ClaimId id) {
  claims_.at(id).asker.reset();
  claims_.give_up(id);
}

void Ids::on(const ServiceDropped& message) {
  pending_.erase(message.token);
  claims_.on(message);
}

// The check: if it vanished and was claimed again, the znode is another one's. One that may not be removed stays lent
// until that is allowed.
void Ids::release_now(ClaimId id) {
  const Claim& claim = claims_.at(id);
  if (claim.fence == 0) return;  // what is under way looks at `leaves` when it has its answer
  ZkMulti multi{{ZkCheck{claims_path(claim.pool, claim.number), claim.version},
                 ZkDelete{held_path(claim.pool, claim.number)},
                 ZkCreate{resting_path(claim.pool, claim.number), "", ZkMode::kPersistent}}};
  zk_.call(std::move(multi), [this, id](const ZkResult& result) {
    if (claims_.find(id) == nullptr) return;
    const bool stays = zk_silent(result.code) || result.code == ZkCode::kNoAuth;
    stays ? claims_.stays(id, result.code) : claims_.forget(id);
  });
}

void Ids::refuse(ClaimId id, ZkCode code) { claims_.fail(id, zk_refusal(code, true)); }

void Ids::fail(ClaimId id, ServiceStatus status, std::string why) {
  claims_.fail(id, {status, std::move(why)});
}

// ---- ZooKeeper ----

void Ids::on(const ZkSessionChanged& message) {
  const bool other = claims_.on(message);
  if (!claims_.connected()) return;
  timeout_ = message.timeout;
  if (other) claims_.lose_all(kSessionEnded);
  for (const ClaimId id : claims_.streamed()) check_own(id, [](ZkCode) {});
  claims_.go_on_adrift();
}

void Ids::on(const ZkWatchFired& message) {
  const auto id = claims_.in(message.path);
  if (id && claims_.streams().has(*id)) check_own(*id, [](ZkCode) {});
}

}  // namespace kvd
