// See lease_keeper.hpp.
#include "core/lease_keeper.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "core/mutation.hpp"

namespace kvd {
namespace {

constexpr Duration kSilenceMost = seconds(10);  // between two lines
constexpr Duration kAskedFor = seconds(5);      // a renewal, an end
constexpr Duration kAskedAgain = seconds(1);

}  // namespace

void LeaseKeeper::handle(LeaseKeeperMessage&& message) {
  std::visit([this](auto&& m) { on(std::forward<decltype(m)>(m)); }, std::move(message));
}

void LeaseKeeper::ask(Question question, Operation operation, Duration timeout) {
  question.at = out_.now;
  std::shared_ptr<const Caller> caller = question.caller;
  questions_.emplace(++last_token_, std::move(question));
  out_.kv_router.post(
      Ask{Ask::By::kLeaseKeeper, last_token_, std::move(operation), timeout, std::move(caller)});
}

void LeaseKeeper::on(Answered&& message) {
  const auto asked = questions_.extract(message.token);
  const Question& question = asked.mapped();
  if (question.clients.empty()) return take_ended(question, message.answer);
  if (question.opens) return take_opened(question, message);
  take_renewed(question, message.answer);
}

// ---- from a call to a hold ----

void LeaseKeeper::on(Call&& message) {
  if (stopping_) return out_.emit(refusal(message, ErrorCode::kShuttingDown, "this server is shutting down"));
  HoldLease& wanted = std::get<HoldLease>(message.what);
  holds_.try_emplace(message.id);
  Operation operation = TakeLease{wanted.id};
  if (wanted.id == 0) operation = std::move(wanted.grant);
  ask({.clients = {message.id}, .opens = true, .lease = wanted.id, .caller = std::move(message.caller)},
      std::move(operation), message.timeout);
}

void LeaseKeeper::take_opened(const Question& question, Answered& answered) {
  const RequestId client = question.clients.front();
  const auto it = holds_.find(client);
  Hold hold;
  hold.caller = question.caller;
  if (const auto* granted = std::get_if<LeaseGranted>(&answered.answer)) {
    hold.lease = granted->id;
    hold.number = kHoldOfGrant;
    hold.ttl = milliseconds(static_cast<int64_t>(granted->ttl_ms));
  } else if (const auto* taken = std::get_if<LeaseTaken>(&answered.answer)) {
    hold.lease = question.lease;
    hold.number = taken->hold;
    hold.ttl = milliseconds(static_cast<int64_t>(taken->ttl_ms));
  } else if (it != holds_.end()) {
    out_.emit(Reply{client, StoreAnswer{std::move(answered.answer), {}, answered.revision, {}}, false, true});
    return forget(it);
  }
  // Nobody waits for it any more. Who has given up taking a lease up may take it up elsewhere.
  if (it == holds_.end()) {
    if (question.lease == 0 && hold.number != 0) end({hold.lease, hold.number}, question.at + 2 * hold.ttl);
    return;
  }
  it->second = hold;
  open(it->second, client, question.at);
}

void LeaseKeeper::open(Hold& hold, RequestId client, Instant asked) {
  hold.until = asked + hold.ttl;
  hold.renew_at = asked + hold.ttl / 3;
  hold.speak_at = out_.now + kSilenceMost;
  Document line;
  line.add("lease", hold.lease).add("ttl_ms", to_ms(hold.ttl)).add("hold", hold.number);
  say(client, with_left(std::move(line), hold), false);
  arm(client, hold);
}

// ---- renewals ----

// Those of one caller in one question: it is judged by his right.
void LeaseKeeper::renew(const std::vector<RequestId>& clients) {
  if (clients.empty()) return;
  std::map<Caller, std::vector<RequestId>> by_caller;
  for (const RequestId client : clients) {
    const auto& caller = holds_.at(client).caller;
    by_caller[caller ? *caller : Caller()].push_back(client);
  }
  for (const auto& [caller, of_one] : by_caller) renew_of_one(of_one, holds_.at(of_one.front()).caller);
}

void LeaseKeeper::renew_of_one(const std::vector<RequestId>& clients,
                               const std::shared_ptr<const Caller>& caller) {
  if (mutated(Mutation::kHoldUnrenewed)) return;
  RenewLeases renewal;
  Duration timeout = kAskedFor;
  for (const RequestId client : clients) {
    const Hold& hold = holds_.at(client);
    renewal.ids.push_back(hold.lease);
    renewal.holds.push_back(hold.number);
    timeout = std::min(timeout, hold.ttl / 3);
  }
  ask({.clients = clients, .caller = caller}, std::move(renewal), timeout);
}

// What is left when the leader answers was left when it was asked, and more: terms are never cut short. Without an
// answer it is asked again well before what was promised has run out.
void LeaseKeeper::take_renewed(const Question& question, const Answer& answer) {
  const auto* renewed = std::get_if<LeasesRenewed>(&answer);
  if (renewed != nullptr && renewed->left_ms.size() != question.clients.size()) renewed = nullptr;
  for (size_t i = 0; i < question.clients.size(); ++i) {
    const RequestId client = question.clients[i];
    const auto it = holds_.find(client);
    if (it == holds_.end()) continue;
    Hold& hold = it->second;
    hold.asked = false;
    const auto* failed = std::get_if<Failed>(&answer);
    if (failed != nullptr && lacks_right(*failed)) {
      say(client, Document().add("state", "lost").add("reason", "forbidden"), true);
      forget(it);
      continue;
    }
    if (renewed == nullptr) {
      hold.renew_at = out_.now + std::min(hold.ttl / 20, kAskedAgain);
    } else if (const auto& left = renewed->left_ms[i]) {
      hold.until = question.at + milliseconds(static_cast<int64_t>(*left));
      hold.renew_at = question.at + hold.ttl / 3;
      hold.unsure = hold.until <= out_.now;
      say_state(client, hold);
    } else {
      const auto& taken = renewed->taken;
      const bool moved = std::find(taken.begin(), taken.end(), hold.lease) != taken.end();
      say(client, Document().add("state", "lost").add("reason", moved ? "taken" : "over"), true);
      forget(it);
      continue;
    }
    arm(client, hold);
  }
}

// ---- the end of a connection, and of this server ----

void LeaseKeeper::on(const CallCancelled& message) {
  const auto it = holds_.find(message.id);
  if (it == holds_.end()) return;
  const Hold hold = it->second;
  forget(it);
  if (hold.number != 0 && !mutated(Mutation::kHoldKept))
    end({hold.lease, hold.number}, hold.until + hold.ttl);
}

void LeaseKeeper::end(Ended ended, Instant until) {
  endings_[ended].until = until;
  end_at_ = out_.now;
}

// Once its time has run out the lease needs nobody to end it. (While nobody leads it does not run.)
void LeaseKeeper::end_again() {
  end_at_ = kNever;
  for (auto it = endings_.begin(); it != endings_.end();) {
    auto& [ended, ending] = *it;
    if (!ending.asked && ending.retry_at <= out_.now) {
      ending.asked = true;
      ask({.ended = ended}, EndLease{ended.first, ended.second}, kAskedFor);
    } else if (!ending.asked && ending.until <= out_.now) {
      it = endings_.erase(it);
      continue;
    } else if (!ending.asked) {
      end_at_ = std::min(end_at_, ending.retry_at);
    }
    ++it;
  }
}

void LeaseKeeper::take_ended(const Question& question, const Answer& answer) {
  const auto it = endings_.find(question.ended);
  const auto* why = std::get_if<Failed>(&answer);
  if (why == nullptr || why->code == ErrorCode::kLeaseOver || stopping_ || it->second.until <= out_.now) {
    endings_.erase(it);
    return;
  }
  it->second.asked = false;
  it->second.retry_at = out_.now + kAskedAgain;
  end_at_ = std::min(end_at_, it->second.retry_at);
}

// Who holds a lease here can take it up at another server.
void LeaseKeeper::on(const StopRequested&) {
  stopping_ = true;
  for (const auto& [client, hold] : holds_) {
    if (hold.number != 0) {
      say(client, with_left(Document().add("state", "stopping"), hold), true);
    } else {
      Failed why{ErrorCode::kShuttingDown, Outcome::kUnknown, "this server is shutting down"};
      out_.emit(Reply{client, StoreAnswer{std::move(why), {}, {}, {}}, false, true});
    }
  }
  holds_.clear();
  due_.clear();
}

// ---- what is said, and when ----

Document LeaseKeeper::with_left(Document line, const Hold& hold) const {
  line.add("left_ms", to_ms(std::max(hold.until - out_.now, Duration(0))));
  return line;
}

void LeaseKeeper::say(RequestId client, Document line, bool last) {
  out_.emit(Reply{client, ServiceAnswer{ServiceStatus::kOk, std::move(line)}, true, last});
}

void LeaseKeeper::say_state(RequestId client, Hold& hold) {
  hold.speak_at = out_.now + kSilenceMost;
  if (hold.unsure) return say(client, Document().add("state", "unsure"), false);
  say(client, with_left(Document().add("state", "held"), hold), false);
}

void LeaseKeeper::arm(RequestId client, Hold& hold, Instant due) {
  due_.erase({hold.due, client});
  hold.due = due;
  if (due != kNever) due_.emplace(due, client);
}

void LeaseKeeper::arm(RequestId client, Hold& hold) {
  Instant due = hold.speak_at;
  if (!hold.asked) due = std::min(due, hold.renew_at);
  if (!hold.unsure) due = std::min(due, hold.until);
  arm(client, hold, due);
}

void LeaseKeeper::forget(Holds::iterator it) {
  arm(it->first, it->second, kNever);
  holds_.erase(it);
}

void LeaseKeeper::look_at(Holds::iterator it, std::vector<RequestId>& to_renew) {
  auto& [client, hold] = *it;
  if (!hold.asked && hold.renew_at <= out_.now) {
    hold.asked = true;
    to_renew.push_back(client);
  }
  const bool ran_out = !hold.unsure && hold.until <= out_.now;
  hold.unsure |= ran_out;
  if (ran_out || hold.speak_at <= out_.now) say_state(client, hold);
  arm(client, hold);
}

void LeaseKeeper::on_time() {
  std::vector<RequestId> to_renew;
  while (!due_.empty() && due_.begin()->first <= out_.now) {
    look_at(holds_.find(due_.begin()->second), to_renew);
    if (to_renew.size() < limits::kLeasesAtOnce) continue;
    renew(to_renew);
    to_renew.clear();
  }
  renew(to_renew);
  if (end_at_ <= out_.now) end_again();
}

uint64_t LeaseKeeper::held() const {
  return static_cast<uint64_t>(
      std::count_if(holds_.begin(), holds_.end(), [](const auto& hold) { return hold.second.number != 0; }));
}

Instant LeaseKeeper::deadline() const {
  return due_.empty() ? end_at_ : std::min(end_at_, due_.begin()->first);
}

}  // namespace kvd
