// See rights_clients.hpp.
#include "rights_clients.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "msg/limits.hpp"
#include "msg/text.hpp"

namespace kvd::sim {
namespace {

constexpr uint32_t kRightsConnection = 11u << 26;  // apart from those of all other clients
constexpr Duration kChangePause = milliseconds(120);
constexpr Duration kUserPause = milliseconds(150);
constexpr Duration kRightsWaitMost = milliseconds(1500);
constexpr Duration kProbePause = milliseconds(50);
constexpr size_t kAdministrators = 2;
constexpr size_t kCallsAtOnce = 8;  // calls of a user under way
constexpr int kRightsTries = 3;
constexpr uint64_t kRightsNumbers = uint64_t{1} << 40;  // of values, apart from those of other clients
constexpr const char* kStranger = "stranger";

bool concerns_queues(const Operation& operation) {
  return std::holds_alternative<Box<SendMessages>>(operation) ||
         std::holds_alternative<Box<ReceiveMessages>>(operation);
}

std::string policy_of(const std::string& area) { return "p" + area; }

Policy whole(const std::string& area) {
  return {
      {{Resource::kKv, "r/" + area + "/", true, true}, {Resource::kQueues, "r." + area + ".", true, true}}};
}

// By which he shows who he is; it is his as long as he is there.
std::string identity_of(const std::string& user) { return "dns:" + user; }

std::shared_ptr<const Caller> caller_of(const std::string& user) {
  return std::make_shared<const Caller>(Caller{user, identity_of(user), 0});
}

}  // namespace

RightsClients::RightsClients(SimContext& context, Hosts& hosts, Checkers& checkers)
    : context_(context),
      hosts_(hosts),
      checkers_(checkers),
      prng_(context.options.rights == 0 ? 0 : context.prng.next()) {
  for (int64_t i = 0; i < context.options.rights; ++i) {
    const std::string name = fmt::format("u{}", i);
    users_.push_back({name, caller_of(name)});
  }
}

void RightsClients::start() {
  if (users_.empty()) return;
  for (size_t i = 0; i < users_.size(); ++i) think(i);
  for (size_t i = 0; i < kAdministrators; ++i) administer(i);
}

bool RightsClients::same_lineage(Revision revision) const {
  const Lineage lineage = lineage_of(revision);
  return lineage == lineage_of(checkers_.committed().newest()) && checkers_.config() &&
         lineage == checkers_.config()->lineage;
}

void RightsClients::wrong(int server, const std::string& why) {
  if (!why.empty())
    context_.fail(Verdict::kCorrectness, fmt::format("s{} tells a client with rights: {}", server, why));
}

// ---- what they do ----

// Users do not wait for answers: what they send goes on while their rights change.
void RightsClients::think(size_t user) {
  const Duration pause = prng_.one_in(2) ? Duration(0) : up_to(kUserPause);
  context_.queue.after(pause + milliseconds(1), [this, user] { act(user); });
}

void RightsClients::act(size_t user) {
  if (stopped_) return;
  if (users_[user].connection == 0 || prng_.one_in(12)) connect(users_[user]);
  const auto under_way =
      static_cast<size_t>(std::count_if(asked_.begin(), asked_.end(), [&](const auto& one) {
        return one.second.who == Who::kUser && one.second.index == user;
      }));
  if (users_[user].connection != 0 && under_way < kCallsAtOnce) ask(user);
  think(user);
}

void RightsClients::connect(User& user) {
  user.connection = 0;
  user.server = static_cast<int>(prng_.below(static_cast<uint64_t>(context_.options.servers)));
  if (hosts_.host_state(user.server) != HostState::kRunning) return;
  user.connection = kRightsConnection + ++connections_;
  user.place = 0;
}

void RightsClients::ask(size_t index) {
  User& user = users_[index];
  Asked asked = any_call(user);
  asked.index = index;
  asked.server = user.server;
  asked.floor = floor_;
  if (concerns_queues(asked.call.operation)) checkers_.queues().on_asked(asked.call.operation);
  send(std::move(asked), request_id(user.connection, user.place++), user.caller);
}

void RightsClients::administer(size_t administrator) {
  context_.queue.after(up_to(kChangePause) + milliseconds(1), [this, administrator] {
    if (stopped_) return;
    Asked asked;
    asked.who = Who::kAdministrator;
    asked.index = administrator;
    asked.call.operation = any_change();
    if (concerns_queues(asked.call.operation)) checkers_.queues().on_asked(asked.call.operation);
    send_anywhere(std::move(asked), nullptr);
  });
}

// By a connection of its own.
void RightsClients::send_anywhere(Asked asked, const std::shared_ptr<const Caller>& caller) {
  asked.server = static_cast<int>(prng_.below(static_cast<uint64_t>(context_.options.servers)));
  if (hosts_.host_state(asked.server) != HostState::kRunning) return unheard(std::move(asked));
  send(std::move(asked), request_id(kRightsConnection + ++connections_, 0), caller);
}

void RightsClients::send(Asked asked, RequestId id, const std::shared_ptr<const Caller>& caller) {
  asked.oldest = checkers_.oldest_copy(asked.server);
  asked.copy = checkers_.copy_of(asked.server);
  asked.in_time = healed_;
  Duration timeout(context_.options.timeout_us);
  if (const auto* receive = std::get_if<Box<ReceiveMessages>>(&asked.call.operation))
    timeout += (*receive)->wait;
  const int server = asked.server;
  StoreCall call = asked.call;
  asked_.emplace(id, std::move(asked));
  context_.queue.after(timeout + kReplyGrace, [this, id] { give_up(id); });
  hosts_.deliver(server, Call{id, std::move(call), timeout, caller});
}

void RightsClients::give_up(RequestId id) {
  auto found = asked_.extract(id);
  if (found.empty()) return;
  Asked asked = std::move(found.mapped());
  if (asked.in_time)
    context_.fail(Verdict::kLiveness, fmt::format("s{} did not answer a client with rights in time: {}",
                                                  asked.server, to_text(asked.call.operation)));
  hosts_.deliver(asked.server, CallCancelled{id});
  unheard(std::move(asked));
}

void RightsClients::on_process_died(int server) {
  for (User& user : users_) {
    if (user.server == server) user.connection = 0;
  }
  std::vector<Asked> lost;
  for (auto it = asked_.begin(); it != asked_.end();) {
    const auto next = std::next(it);
    if (it->second.server == server) lost.push_back(std::move(asked_.extract(it).mapped()));
    it = next;
  }
  for (Asked& asked : lost) unheard(std::move(asked));
}

// Whether it is done nobody here knows.
void RightsClients::unheard(Asked asked) {
  if (asked.who == Who::kLastRound) return go_on_later();
  const bool again = !stopped_ && asked.tries < kRightsTries &&
                     (asked.who == Who::kAdministrator || !asked.call.idempotency_key.empty()) &&
                     !concerns_queues(asked.call.operation);
  if (again) {
    context_.queue.after(up_to(kChangePause), [this, asked = std::move(asked)]() mutable {
      ++asked.tries;
      const bool user = asked.who == Who::kUser;
      const auto caller = user ? users_[asked.index].caller : nullptr;
      send_anywhere(std::move(asked), caller);
    });
  } else if (asked.who == Who::kAdministrator) {
    administer(asked.index);
  }
}

// ---- what they hear ----

bool RightsClients::on_reply(int server, const NumberedAnswer& reply) {
  const uint32_t number = connection_of(reply.id);
  if (number <= kRightsConnection || number > kRightsConnection + connections_) return false;
  auto found = asked_.extract(reply.id);
  if (found.empty()) {  // it has given up
    checkers_.queues().on_unheard(reply);
    return true;
  }
  Asked asked = std::move(found.mapped());
  const auto* failed = std::get_if<Failed>(&reply.answer);
  if (failed != nullptr && failed->outcome == Outcome::kUnknown) {
    unheard(std::move(asked));
    return true;
  }
  hear(server, asked, reply);
  return true;
}

void RightsClients::hear(int server, const Asked& asked, const StoreAnswer& answer) {
  const Operation& operation = asked.call.operation;
  if (concerns_queues(operation)) {
    wrong(server, checkers_.queues().on_answer(operation, answer));
  } else {
    checkers_.on_reply(server, asked.call, answer, Revision(0));
  }
  const auto* failed = std::get_if<Failed>(&answer.answer);
  if (failed != nullptr && asked.tries == 1) checkers_.on_certainly_not(asked.call);
  if (asked.who == Who::kUser) {
    judge_user(server, asked, answer);
  } else if (is_access_write(operation)) {
    judge_change(server, asked, answer);
  }
  if (asked.who == Who::kLastRound) return hear_last_round(asked, answer);
  if (asked.who == Who::kAdministrator) administer(asked.index);
}

void RightsClients::judge_user(int server, const Asked& asked, const StoreAnswer& answer) {
  const auto* failed = std::get_if<Failed>(&answer.answer);
  if (failed == nullptr) return wrong(server, judge_done(server, asked, answer));
  if (!lacks_right(*failed) || !same_lineage(asked.oldest) || !checkers_.is_complete(server)) return;
  wrong(server,
        checkers_.rights().on_refused(users_[asked.index].name, asked.needs, failed->code, asked.oldest));
}

// An answer that was remembered is of a write that was done before.
std::string RightsClients::judge_done(int server, const Asked& asked, const StoreAnswer& answer) const {
  const std::string& user = users_[asked.index].name;
  const RightsReferee& referee = checkers_.rights();
  if (!is_write(asked.call.operation))
    return referee.on_read(user, asked.needs, asked.copy, checkers_.copy_of(server));
  if (const auto* received = std::get_if<Box<Received>>(&answer.answer)) {
    std::string why;
    for (const QueuedMessage& message : (*received)->messages)
      why += referee.on_done(user, asked.needs, Revision(message.receipt));
    return why;
  }
  const bool behind =
      answer.revision <= asked.floor && same_lineage(asked.floor) && same_lineage(answer.revision);
  std::string why = referee.on_done(user, asked.needs, answer.revision);
  if (behind)
    why += fmt::format("{} is revision {}, and {} had been acknowledged before it was asked for; ",
                       to_text(asked.call.operation), answer.revision.value, asked.floor.value);
  return why;
}

void RightsClients::judge_change(int server, const Asked& asked, const StoreAnswer& answer) {
  if (const auto* failed = std::get_if<Failed>(&answer.answer)) {
    if (lacks_right(*failed)) wrong(server, "root is refused: " + failed->detail);
    return;
  }
  wrong(server, checkers_.rights().on_changed(asked.call.operation, asked.oldest, answer.revision));
  floor_ = std::max(floor_, answer.revision);
}

// ---- what they ask ----

Bytes RightsClients::new_value() { return Bytes(make_value(kRightsNumbers + ++numbers_, 0)); }

std::string RightsClients::any_key(const User& user) {
  return fmt::format("r/{}/{}/{}", any_area(), user.name, prng_.below(2));
}

RightsClients::Asked RightsClients::any_call(const User& user) {
  Asked asked;
  const auto needs = [&](Right right, const std::string& path, Resource resource = Resource::kKv) {
    asked.needs.push_back({resource, right, path});
    return path;
  };
  Operation& operation = asked.call.operation;
  switch (prng_.below(10)) {
    case 0:
      operation = ReadKey{needs(Right::kRead, any_key(user))};
      asked.call.read = prng_.one_in(2) ? ReadMode::kLinear : ReadMode::kLocal;
      return asked;
    case 1:
    case 2: {
      ReceiveMessages receive;
      receive.queue = needs(Right::kWrite, fmt::format("r.{}.{}", any_area(), user.name), Resource::kQueues);
      receive.wait = prng_.one_in(3) ? Duration(0) : up_to(kRightsWaitMost);
      receive.ttr_ms = limits::kTtrMsMin;
      operation = std::move(receive);
      return asked;
    }
    case 3:
      operation = AppendBytes{needs(Right::kWrite, any_key(user) + "/log"), Bytes("."), {}};
      break;
    case 4: {
      WriteBatch batch;
      for (int i = 0; i < 2; ++i) batch.ops.push_back({needs(Right::kWrite, any_key(user)), new_value()});
      operation = std::move(batch);
      break;
    }
    case 5: {
      Transaction transaction;
      transaction.then_ops.push_back({TxnOp::Kind::kPut, needs(Right::kWrite, any_key(user)), new_value()});
      transaction.then_ops.push_back({TxnOp::Kind::kGet, needs(Right::kRead, any_key(user)), {}});
      operation = std::move(transaction);
      break;
    }
    default:
      operation = PutKey{needs(Right::kWrite, any_key(user)), new_value(), {}};
  }
  if (prng_.one_in(4)) asked.call.idempotency_key = fmt::format("rights-{}", ++numbers_);
  return asked;
}

// What grants less than it might.
Policy RightsClients::some_of(const std::string& area) {
  Policy policy = whole(area);
  switch (prng_.below(3)) {
    case 0:
      policy.rules.clear();
      break;
    case 1:  // to read, and nothing of queues
      policy.rules.resize(1);
      policy.rules.front().write = false;
      break;
    default:  // of one user's keys
      policy.rules.front().prefix += users_[prng_.below(users_.size())].name + "/";
  }
  return policy;
}

// More is given than taken: who has no right mostly is refused by the first server, which tells little.
Operation RightsClients::any_change() {
  const std::string area = any_area();
  const std::string user = users_[prng_.below(users_.size())].name;
  switch (prng_.below(17)) {
    case 16:
      return any_replacement();
    case 0:
      return DeleteAccess{AccessKind::kPolicy, policy_of(area)};
    case 1:
      return DeleteAccess{AccessKind::kUser, user};
    case 2:
    case 3:
      return PutPolicy{policy_of(area), some_of(area)};
    case 4:
    case 5:
    case 6:
      return PutPolicy{policy_of(area), whole(area)};
    case 7:
    case 8:
    case 9:
      return any_message(area, user);
    case 10:
    case 11:
      return PutUser{user, {{}, {identity_of(user)}}};
    case 12:
      return PutUser{user, {{policy_of(area)}, {identity_of(user)}}};
    default: {
      PutUser put{user, {{}, {identity_of(user)}}};
      for (uint64_t i = 0; i < kAreas; ++i) put.user.policies.push_back(policy_of(std::to_string(i)));
      return put;
    }
  }
}

// As from a backup of another day.
ReplaceAccess RightsClients::any_replacement() {
  ReplaceAccess all;
  for (uint64_t i = 0; i < kAreas; ++i) {
    const std::string area = std::to_string(i);
    if (!prng_.one_in(6))
      all.policies.push_back({policy_of(area), prng_.one_in(4) ? some_of(area) : whole(area)});
  }
  for (const User& user : users_) {
    PutUser put{user.name, {{policy_of(any_area()), policy_of(any_area())}, {identity_of(user.name)}}};
    if (!prng_.one_in(4)) all.users.push_back(std::move(put));
  }
  return all;
}

SendMessages RightsClients::any_message(const std::string& area, const std::string& user) {
  SendMessages send;
  send.queue = fmt::format("r.{}.{}", area, user);
  NewMessage message;
  message.body = Bytes(fmt::format("rights-{}", ++numbers_));
  send.messages.push_back(std::move(message));
  return send;
}

// ---- the last round ----

void RightsClients::stop() {
  stopped_ = true;
  if (!users_.empty()) begin_last_round();
}

// Whatever is still under way may come in between: then it is begun again.
void RightsClients::begin_last_round() {
  changes_.clear();
  if (users_.size() > 1)
    changes_.emplace_back(PutUser{users_.back().name, {{}, {identity_of(users_.back().name)}}});
  changes_.emplace_back(PutUser{users_.front().name, {{policy_of("0")}, {identity_of(users_.front().name)}}});
  changes_.emplace_back(PutPolicy{policy_of("0"), whole("0")});
  probes_.clear();
  for (int server = 0; server < context_.options.servers; ++server) {
    probes_.push_back({server, users_.front().name, {}});
    probes_.push_back({server, kStranger, ErrorCode::kUnauthenticated});
    if (users_.size() > 1) probes_.push_back({server, users_.back().name, ErrorCode::kForbidden});
  }
  go_on_later();
}

void RightsClients::go_on_later() {
  context_.queue.after(kProbePause, [this] { go_on(); });
}

void RightsClients::go_on() {
  Asked asked;
  asked.who = Who::kLastRound;
  if (!changes_.empty()) {
    asked.call.operation = changes_.back();
    send_anywhere(std::move(asked), nullptr);
  } else if (!probes_.empty()) {
    const Probe& probe = probes_.back();
    if (hosts_.host_state(probe.server) != HostState::kRunning) return go_on_later();
    asked.server = probe.server;
    asked.call.operation = PutKey{fmt::format("r/0/{}/last", probe.user), new_value(), {}};
    send(std::move(asked), request_id(kRightsConnection + ++connections_, 0), caller_of(probe.user));
  }
}

void RightsClients::hear_last_round(const Asked& asked, const StoreAnswer& answer) {
  const auto* failed = std::get_if<Failed>(&answer.answer);
  if (is_access_write(asked.call.operation)) {
    // Of a policy that was deleted meanwhile there is nothing to give.
    if (failed != nullptr && failed->code == ErrorCode::kInvalid) return begin_last_round();
    if (failed == nullptr) changes_.pop_back();
    return go_on_later();
  }
  const Probe& probe = probes_.back();
  const bool as_expected = failed == nullptr ? !probe.refused : failed->code == probe.refused;
  // A server that misses something for good serves root alone.
  const bool sparse = failed != nullptr && failed->code == ErrorCode::kNotReady &&
                      context_.options.sparse != 0 && !checkers_.is_complete(probe.server);
  if (as_expected || sparse) {
    probes_.pop_back();
  } else if (failed == nullptr || lacks_right(*failed)) {
    return begin_last_round();
  }
  go_on_later();
}

std::string RightsClients::stuck() const {
  if (users_.empty()) return {};
  if (!stopped_) return "clients with rights go on; ";
  if (!changes_.empty()) return fmt::format("rights cannot be changed: {}; ", to_text(changes_.back()));
  if (probes_.empty()) return {};
  const Probe& probe = probes_.back();
  return fmt::format("s{} does not {} what {} asks for; ", probe.server, probe.refused ? "refuse" : "do",
                     probe.user);
}

}  // namespace kvd::sim
