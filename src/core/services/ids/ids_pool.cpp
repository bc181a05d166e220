// What a pool of ids looks like in ZooKeeper, and the rests of its numbers. See ids.hpp.
#include <fmt/format.h>
#include <simdjson.h>

#include <charconv>
#include <memory>

#include "core/services/ids/ids.hpp"
#include "core/services/ids/ids_paths.hpp"
#include "core/services/zk_refusal.hpp"
#include "msg/calls.hpp"

namespace kvd {
namespace {

constexpr size_t kShowsAtOnce = 16;  // each may ask for some thousand znodes

std::set<uint32_t> numbers_of(const std::vector<std::string>& names) {
  std::set<uint32_t> numbers;
  for (const std::string& name : names) {
    if (const auto number = id_number(name)) numbers.insert(*number);
  }
  return numbers;
}

// What is wrong there is taken for the longest rest.
int64_t rest_of(const std::string& claim) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  uint64_t rest = 0;
  if (parser.parse(claim).get(root) != simdjson::SUCCESS ||
      root["rest_ms"].get_uint64().get(rest) != simdjson::SUCCESS)
    rest = kIdRestMsMax;
  return static_cast<int64_t>(std::min(rest, kIdRestMsMax));
}

}  // namespace

// The first call is a write: what is read behind it is at least as new, and its moment is ZooKeeper's present.
void Ids::survey(const std::string& pool, bool make, SurveyThen then) {
  struct Found {
    Survey survey;
    ZkCode code = ZkCode::kOk;
  };
  const auto found = std::make_shared<Found>();
  const auto take = [found](const ZkResult& result) {  // what is not there counts less than what is refused
    if (found->code == ZkCode::kOk || found->code == ZkCode::kNoNode)
      found->code = result.code == ZkCode::kOk ? found->code : result.code;
    return numbers_of(result.children);
  };
  zk_.call(ZkSet{pool_path(pool), ""}, [found, take](const ZkResult& result) {
    take(result);
    found->survey.now_ms = result.stat.modified_ms;
  });
  zk_.call(ZkChildren{claims_path(pool)},
           [found, take](const ZkResult& result) { found->survey.claims = take(result); });
  zk_.call(ZkChildren{resting_path(pool)},
           [found, take](const ZkResult& result) { found->survey.resting = take(result); });
  zk_.call(ZkChildren{held_path(pool)},
           [this, found, take, pool, make, then = std::move(then)](const ZkResult& result) {
             found->survey.held = take(result);
             if (found->code != ZkCode::kNoNode || !make) {
               if (found->code == ZkCode::kOk) begin_rests(pool, found->survey);
               return then(found->code, found->survey);
             }
             const auto made = std::make_shared<ZkCode>(ZkCode::kOk);
             const auto keep = [made](ZkCode code) {
               if (*made == ZkCode::kOk) *made = code;
             };
             zk_.make_path(held_path(pool), keep);
             zk_.make_path(claims_path(pool), keep);
             zk_.make_path(resting_path(pool), [this, pool, then, made, keep](ZkCode code) {
               keep(code);
               survey(pool, false, [made, then](ZkCode again, const Survey& survey) {
                 const bool refused = again == ZkCode::kNoNode && *made != ZkCode::kOk;
                 then(refused ? *made : again, survey);
               });
             });
           });
}

// Of those that vanished without a word. Nothing waits for the results: what is asked next is asked behind them. Where
// the step is forbidden the number can be neither lent nor told to rest.
void Ids::begin_rests(const std::string& pool, Survey& survey) {
  survey.unmarked = std::make_shared<ZkCode>(ZkCode::kOk);
  for (const uint32_t number : survey.claims) {
    if (survey.held.contains(number) || !survey.resting.insert(number).second) continue;
    const std::string held = held_path(pool, number);
    ZkMulti multi{{ZkCreate{held, "", ZkMode::kEphemeral}, ZkDelete{held},
                   ZkCreate{resting_path(pool, number), "", ZkMode::kPersistent}}};
    zk_.call(std::move(multi), [unmarked = survey.unmarked](const ZkResult& result) {
      if (result.code == ZkCode::kNoAuth) *unmarked = result.code;
    });
  }
}

// First the claim and then its rest: a later claim has another version, which the next one will not overwrite.
void Ids::look_at_rests(const std::string& pool, const std::vector<uint32_t>& numbers, RestsThen then) {
  if (numbers.empty()) return then(ZkCode::kOk, {});
  struct Found {
    std::vector<Rest> rests;
    ZkCode code = ZkCode::kOk;
  };
  const auto found = std::make_shared<Found>();
  const auto take = [found](ZkCode code) {
    if (code != ZkCode::kOk && code != ZkCode::kNoNode) found->code = code;
    return code == ZkCode::kOk;
  };
  for (const uint32_t number : numbers) {
    zk_.call(ZkGet{claims_path(pool, number)}, [found, take, number](const ZkResult& result) {
      Rest& rest = found->rests.emplace_back(Rest{.number = number});
      if (!take(result.code)) return;
      rest.version = result.stat.version;
      rest.rest_ms = rest_of(result.data);
    });
    const bool last = number == numbers.back();
    zk_.call(ZkExists{resting_path(pool, number)}, [found, take, last, then](const ZkResult& result) {
      if (take(result.code)) found->rests.back().since_ms = result.stat.created_ms;
      if (last) then(found->code, found->rests);
    });
  }
}

int64_t Ids::left_ms(const Rest& rest, int64_t now_ms) {
  return rest.rest_ms - std::max<int64_t>(0, now_ms - *rest.since_ms);
}

// ---- reads ----

void Ids::show(ServiceAsked message) {
  PendingCall pending;
  pending.max = static_cast<uint32_t>(*message.call.number(Parameter::kMax));
  if (pending_.size() >= kShowsAtOnce)
    return reply(message.token,
                 {ServiceStatus::kUnavailable, "too many look at pools of ids at once; try again"});
  pending.pool = message.call.path;
  pending_[message.token] = std::move(pending);
  survey(message.call.path, false, [this, token = message.token](ZkCode code, const Survey& survey) {
    if (refuses_show(token, code == ZkCode::kNoNode ? ZkCode::kOk : code)) return;
    PendingCall& mine = pending_.at(token);
    mine.held = survey.held;
    std::vector<uint32_t> resting;
    std::set_difference(survey.resting.begin(), survey.resting.end(), survey.held.begin(), survey.held.end(),
                        std::back_inserter(resting));
    look_at_rests(mine.pool, resting,
                  [this, token, now_ms = survey.now_ms](ZkCode rests_code, const std::vector<Rest>& rests) {
                    if (refuses_show(token, rests_code)) return;
                    for (const Rest& rest : rests) {
                      if (!rest.since_ms || left_ms(rest, now_ms) > 0)
                        pending_.at(token).resting.insert(rest.number);
                    }
                    show_held(token);
                  });
  });
}

bool Ids::refuses_show(uint64_t token, ZkCode code) {
  if (!pending_.contains(token)) return true;
  if (code == ZkCode::kOk) return false;
  reply(token, zk_refusal(code, false));
  return true;
}

void Ids::show_held(uint64_t token) {
  const PendingCall& pending = pending_.at(token);
  const auto held = std::make_shared<ValueList>();
  const auto finish = [this, token, held] {
    const PendingCall& mine = pending_.at(token);
    std::set<uint32_t> taken = mine.resting;
    taken.insert(mine.held.begin(), mine.held.end());
    taken.erase(taken.upper_bound(mine.max), taken.end());
    reply(token, {ServiceStatus::kOk, Document()
                                          .add("held", std::move(*held))
                                          .add("resting", ValueList(mine.resting.begin(), mine.resting.end()))
                                          .add("free", mine.max - taken.size())});
  };
  if (pending.held.empty()) return finish();
  for (const uint32_t number : pending.held) {
    const bool last = number == *pending.held.rbegin();
    zk_.call(ZkGet{held_path(pending.pool, number)},
             [this, token, held, finish, number, last](const ZkResult& result) {
               if (refuses_show(token, result.code == ZkCode::kNoNode ? ZkCode::kOk : result.code)) return;
               if (result.code == ZkCode::kOk)
                 held->push_back(Document()
                                     .add("id", number)
                                     .add("name", Octets{result.data})
                                     .add("fence", result.stat.created_zxid));
               if (last) finish();
             });
  }
}

}  // namespace kvd
