// See kv_router.hpp.
#include "core/kv_router.hpp"

#include <algorithm>
#include <utility>

#include "core/mutation.hpp"

namespace kvd {
namespace {

constexpr uint64_t kOthersBit = 1ull << 63;
constexpr LinkId kOurselves{0};
constexpr Duration kRouteRetry = milliseconds(10);
constexpr Duration kGivenBackWithin = seconds(5);

bool is_failure(const Answer& answer, ErrorCode code) {
  const auto* failed = std::get_if<Failed>(&answer);
  return failed != nullptr && failed->code == code;
}

template <class Iterator>
struct Walk {
  Iterator first, behind;
  Iterator begin() const { return first; }
  Iterator end() const { return behind; }
};

// The requests of one connection, by their places: which begin again, so that this is not their order (comes_before()).
template <class Requests>
auto of_connection(Requests& requests, uint64_t token) {
  const uint32_t connection = connection_of(RequestId(token));
  return Walk<decltype(requests.begin())>{requests.lower_bound(request_id(connection, 0).value),
                                          requests.upper_bound(request_id(connection, UINT32_MAX).value)};
}

}  // namespace

void KvRouter::handle(KvRouterMessage&& message) {
  std::visit([this](auto&& m) { on(std::forward<decltype(m)>(m)); }, std::move(message));
  if (!left_order_.empty()) go_on_behind();
}

// ---- arrivals ----

bool KvRouter::full() const {
  return requests_.size() - receives_.size() > out_.config.tuning.client_requests ||
         waiting_bytes_ > limits::kWaitingBytes;
}

void KvRouter::on(Call&& message) {
  Token token = message.id.value;
  CHECK((token & kOthersBit) == 0);
  StoreCall& call = std::get<StoreCall>(message.what);
  if (std::holds_alternative<DecideLineage>(call.operation)) {
    Request& request = keep(token, call.operation, message.timeout);
    request.write = true;
    request.where = Where::kReplica;
    // Its own answer says more than that the time is over.
    out_.election.post(ForceLineage{token, out_.now + message.timeout * 3 / 4});
    return;
  }
  const bool write = is_write(call.operation);
  const bool local = !write && call.read == ReadMode::kLocal;
  if (local && !stopping_ && call.min_revision <= applied_ && answered_here(call.operation)) {
    out_.replica.post(Read{token, std::move(call.operation), false});
    return;
  }
  Request& request = keep(token, call.operation, message.timeout);
  if (request.receives) std::get<Box<ReceiveMessages>>(call.operation)->ticket = out_.prng.next() | 1;
  request.operation = std::move(call.operation);
  request.idempotency_key = std::move(call.idempotency_key);
  request.fence = std::move(call.fence);
  request.caller = std::move(message.caller);
  request.write = write;
  request.ordered = write && !request.receives;
  if (request.ordered) ++ordered_;
  request.linear = !local;
  request.min_revision = call.min_revision;
  if (stopping_) {
    fail(token, ErrorCode::kShuttingDown, Outcome::kNotApplied, "this server is shutting down");
  } else if (full() || (request.receives && receives_.size() > limits::kWaitingReceives)) {
    fail(token, ErrorCode::kOverloaded, Outcome::kNotApplied, "too many requests wait in this server");
  } else {
    route(token, request);
  }
}

KvRouter::Request& KvRouter::keep(Token token, const Operation& operation, Duration timeout) {
  auto [it, fresh] = requests_.try_emplace(token);
  CHECK(fresh);
  Request& request = it->second;
  request.bytes = operation_bytes(operation);
  request.deadline = out_.now + timeout;
  waiting_bytes_ += request.bytes;
  if (const auto* receive = std::get_if<Box<ReceiveMessages>>(&operation)) {
    request.receives = true;
    request.beyond_wait = std::max(timeout - (*receive)->wait, Duration(0));
    receives_.emplace(request.deadline, token);
  } else {
    next_deadline_ = std::min(next_deadline_, request.deadline);
  }
  return request;
}

void KvRouter::forget(Requests::iterator it) {
  auto& [token, request] = *it;
  if (request.ordered) leave_order(token, request);
  if (request.where == Where::kRevision) awaiting_.erase({request.min_revision, token});
  if (request.where == Where::kApplied) awaiting_.erase({request.revision, token});
  if (request.receives) {
    receives_.erase({request.deadline, token});
    const auto by = receives_by_.find({request.from, request.number});
    if (by != receives_by_.end() && by->second == token) receives_by_.erase(by);
  }
  waiting_bytes_ -= request.bytes;
  requests_.erase(it);
}

// A write that is on its way goes on; only nobody waits for it.
void KvRouter::on(const CallCancelled& message) {
  auto it = requests_.find(message.id.value);
  if (it == requests_.end()) return;
  withdraw(it->first, it->second);
  forget(it);
}

KvRouter::Asker KvRouter::asker_of(Ask::By by) {
  switch (by) {
    case Ask::By::kWatch:
      return Asker::kWatch;
    case Ask::By::kLeaseKeeper:
      return Asker::kLeaseKeeper;
    case Ask::By::kConsumers:
      return Asker::kConsumers;
  }
  CHECK(false);
}

void KvRouter::on(Ask&& message) {
  const Token token = kOthersBit | ++others_taken_;
  // A write may be what gives back what this server's clients have held.
  const Duration timeout = stopping_ ? std::min(message.timeout, kStopLimit) : message.timeout;
  Request& request = keep(token, message.operation, timeout);
  request.write = is_write(message.operation);
  request.operation = std::move(message.operation);
  request.caller = std::move(message.caller);
  request.linear = true;
  request.asker = asker_of(message.by);
  request.number = message.token;
  if (request.receives) receives_by_[{request.from, request.number}] = token;
  if (stopping_ && !request.write) {
    fail(token, ErrorCode::kShuttingDown, Outcome::kNotApplied, "this server is shutting down");
  } else if (request.write && full()) {
    fail(token, ErrorCode::kOverloaded, Outcome::kNotApplied, "too many requests wait in this server");
  } else {
    route(token, request);
  }
}

void KvRouter::on_forward(const PeerSaid& said, Forward forward) {
  Token token = kOthersBit | ++others_taken_;
  Operation& operation = forward.operation;
  std::shared_ptr<const Caller> caller;
  if (forward.caller) caller = std::make_shared<const Caller>(std::move(*forward.caller));
  // It is never repeated here: what it asks need not be remembered.
  Request& request = keep(token, operation, forward.timeout);
  request.write = is_write(operation);
  request.linear = true;
  request.asker = Asker::kServer;
  request.from = said.link;
  request.number = forward.request;
  if (request.receives) receives_by_[{request.from, request.number}] = token;
  request.where = Where::kReplica;
  // One hop at most: whether we lead or not, our replica answers.
  if (std::holds_alternative<QueryStatus>(operation)) {
    fail(token, ErrorCode::kInvalid, Outcome::kNotApplied, "a status query cannot be forwarded");
  } else if (std::holds_alternative<DecideLineage>(operation)) {
    fail(token, ErrorCode::kInvalid, Outcome::kNotApplied,
         "whose copy goes on is decided at that server itself");
  } else if (std::holds_alternative<ReadSnapshot>(operation)) {
    fail(token, ErrorCode::kInvalid, Outcome::kNotApplied, "a snapshot cannot be asked of another server");
  } else if (stopping_) {
    fail(token, ErrorCode::kNoLeader, Outcome::kNotApplied, "the leader is shutting down");
  } else if (full()) {
    fail(token, ErrorCode::kOverloaded, Outcome::kNotApplied, "too many requests wait in the leader");
  } else if (request.write) {
    out_.replica.post(Propose{token, std::move(operation), std::move(forward.idempotency_key),
                              std::move(forward.fence), said.link, forward.term, request.deadline,
                              std::move(caller)});
  } else {
    out_.replica.post(Read{token, std::move(operation), true, Read::By::kKvRouter, std::move(caller)});
  }
}

// ---- where to ----

// By this server's own copy. A snapshot is, whatever the copy is worth: that is also how data is salvaged.
bool KvRouter::answered_here(const Operation& read) const {
  return role_.readable || std::holds_alternative<ReadSnapshot>(read);
}

void KvRouter::route(Token token, Request& request) {
  const bool local = !request.linear && answered_here(request.operation);
  if (!request.linear && request.min_revision > applied_) {
    request.where = Where::kRevision;
    awaiting_.emplace(request.min_revision, token);
    return;
  }
  if (local) {
    out_.replica.post(Read{token, std::move(request.operation), false});
    forget(requests_.find(token));
    return;
  }
  if (request.where == Where::kBehind) --behind_;
  request.where = Where::kNowhere;
  if (!way_) return;
  if (request.ordered) {
    if (ordered_ - on_way_ > 1 && has_to_wait(token)) {
      request.where = Where::kBehind;
      ++behind_;
      return;
    }
    request.term = term_;
    ++on_way_;
  }
  send(token, request);
}

void KvRouter::send(Token token, Request& request) {
  if (request.receives) {
    ReceiveMessages& receive = *std::get<Box<ReceiveMessages>>(request.operation);
    ++receive.turn;
    Duration& wait = receive.wait;
    wait = std::clamp(request.deadline - request.beyond_wait - out_.now, Duration(0), wait);
  }
  if (*way_ != kOurselves) {
    request.where = Where::kLeader;
    request.link = way_;
    ++forwarded_;
    Forward forward{token,         request.operation, request.deadline - out_.now, request.idempotency_key,
                    request.fence, request.term};
    if (request.caller) forward.caller.emplace() = *request.caller;
    out_.emit(LinkSend{*way_, std::move(forward)});
    return;
  }
  request.where = Where::kReplica;
  if (request.write) {
    out_.replica.post(Propose{token, request.operation, request.idempotency_key, request.fence, kOurselves,
                              request.term, request.deadline, request.caller});
  } else {
    out_.replica.post(Read{token, request.operation, true, Read::By::kKvRouter, request.caller});
  }
}

void KvRouter::find_way() {
  std::optional<LinkId> way;
  if (role_.leading) {
    way = kOurselves;
  } else if (role_.leader) {
    auto link = links_.find(role_.leader->id);
    if (link != links_.end()) way = link->second.first;
  }
  if (way == way_) return;
  way_ = way;
  begin_term();
}

// ---- the order of a connection's writes ----

// Whoever has what was sent so far may still do it, also after what is sent from here on.
void KvRouter::begin_term() {
  ++term_;
  on_way_ = 0;
}

// It will be sent again.
void KvRouter::call_back(Request& request) {
  if (request.ordered && request.term == term_) --on_way_;
  request.term = 0;
}

// While all writes are on the same way, nobody has to be looked for.
bool KvRouter::has_to_wait(Token token) const {
  if (mutated(Mutation::kWritesOvertake)) return false;
  for (const auto& [before, other] : of_connection(requests_, token)) {
    if (other.ordered && other.term != term_ && comes_before(RequestId(before), RequestId(token)))
      return true;
  }
  return false;
}

void KvRouter::leave_order(Token token, Request& request) {
  call_back(request);
  request.ordered = false;
  --ordered_;
  if (request.where == Where::kBehind) --behind_;
  if (behind_ != 0) left_order_.push_back(connection_of(RequestId(token)));
}

void KvRouter::go_on_behind() {
  for (const uint32_t connection : std::exchange(left_order_, {})) {
    for (auto& [token, request] : of_connection(requests_, request_id(connection, 0).value)) {
      if (request.where == Where::kBehind) route(token, request);
    }
  }
}

// ---- when the way changes ----

// A write without an idempotency key that may have been done must not be done again.
bool KvRouter::may_repeat(const Request& request) const {
  bool of_keys = !std::holds_alternative<ChangeSettings>(request.operation) &&
                 !std::holds_alternative<MoveLeader>(request.operation);
  if (request.withdrawn) return false;
  return !request.write || request.receives || (of_keys && !request.idempotency_key.empty());
}

// What is lost may have been refused for a time, and what was sent behind it on its connection may have been done: sent
// again it would come after that.
bool KvRouter::may_ask_again(Token token, const Request& request) const {
  if (!may_repeat(request)) return false;
  if (!request.ordered || mutated(Mutation::kRepeatedBehind)) return true;
  if (request.followed) return false;
  for (const auto& [behind, other] : of_connection(requests_, token)) {
    if (other.where == Where::kLeader && other.ordered && comes_before(RequestId(token), RequestId(behind)))
      return false;
  }
  return true;
}

// One that is given up and may be done was sent behind those before it.
void KvRouter::mark_followed(Token token) {
  for (auto& [before, other] : of_connection(requests_, token))
    other.followed |= comes_before(RequestId(before), RequestId(token));
}

// As soon as there is a leader, and not before a pause: the one that we know may be the one that failed us.
void KvRouter::try_again(Request& request) {
  // What this term has sent behind it is refused, too (Replica::takes_writes).
  if (request.ordered && request.term == term_) begin_term();
  call_back(request);
  request.where = Where::kNowhere;
  request.link.reset();
  retry_at_ = std::min(retry_at_, out_.now + kRouteRetry);
}

void KvRouter::route_waiting() {
  std::vector<Token> waiting;
  for (auto& [token, request] : requests_) {
    if (request.where == Where::kNowhere || request.where == Where::kBehind) waiting.push_back(token);
  }
  for (Token token : waiting) route(token, requests_.at(token));
}

void KvRouter::on(const PeerUp& message) {
  http_[message.info.member.id] = message.info.http;
  if (!message.dialed) return;
  links_[message.info.member.id] = {message.link, message.info};
  find_way();
  route_waiting();
}

// What was forwarded on this link has no answer any more. A read is simply asked again, and so is a write with an
// idempotency key that nothing came behind. Another write may have been done, and doing it again could do it twice, or
// out of its order: its outcome is unknown.
void KvRouter::on(const PeerDown& message) {
  if (!message.dialed) {
    for (auto& [token, request] : requests_) {
      if (request.from != message.link) continue;
      if (request.receives) receives_by_.erase({request.from, request.number});
      request.from = LinkId(0);
      withdraw(token, request);
    }
    out_.replica.post(SenderGone{message.link});
    return;
  }
  auto known = links_.find(message.member.id);
  if (known != links_.end() && known->second.first == message.link) links_.erase(known);
  find_way();
  std::vector<std::pair<Token, bool>> lost;
  for (auto& [token, request] : requests_) {
    if (request.where == Where::kLeader && request.link == message.link)
      lost.emplace_back(token, may_ask_again(token, request));
  }
  for (const auto& [token, again] : lost) {
    Request& request = requests_.at(token);
    if (again) {
      request.in_doubt = true;
      call_back(request);
      route(token, request);
    } else {
      fail(token, ErrorCode::kLinkLost, Outcome::kUnknown,
           request.idempotency_key.empty() ? "the connection to the leader broke before it answered: read "
                                             "the key before you repeat the write"
                                           : "the connection to the leader broke before it answered: repeat "
                                             "the write with its Idempotency-Key");
    }
  }
}

void KvRouter::on(RoleChanged&& message) {
  bool other_leader = role_.leader != message.leader && message.leader;
  role_ = std::move(message);
  find_way();
  if (other_leader) leave_former_leader();
  route_waiting();
}

// A frozen server does not break its links, so what was forwarded to it would wait until the deadline. What may be
// repeated is asked again. Another write's answer may just be on its way; after a while its outcome is unknown.
void KvRouter::leave_former_leader() {
  auto link = links_.find(role_.leader->id);
  std::optional<LinkId> now = link == links_.end() ? std::nullopt : std::optional(link->second.first);
  std::vector<Token> again;
  for (auto& [token, request] : requests_) {
    if (request.where != Where::kLeader || request.link == now) continue;
    if (may_ask_again(token, request)) {
      again.push_back(token);
    } else {
      end_earlier(token, request, out_.now + out_.config.leader_silence);
    }
  }
  for (const Token token : again) {
    Request& request = requests_.at(token);
    request.in_doubt = true;
    call_back(request);
    request.where = Where::kNowhere;
  }
}

void KvRouter::on(PeerSaid&& message) {
  if (auto* forward = std::get_if<Forward>(&message.message)) {
    on_forward(message, std::move(*forward));
  } else if (auto* result = std::get_if<ForwardResult>(&message.message)) {
    auto it = requests_.find(result->request);
    if (it == requests_.end() || it->second.where != Where::kLeader || it->second.link != message.link)
      return give_back(result->answer);  // too late, or not what we asked
    on_forward_result(std::move(*result));
  } else if (auto* cancelled = std::get_if<ForwardCancelled>(&message.message)) {
    on_forward_cancelled(message, cancelled->request);
  }
}

// ---- answers ----

// Whoever was asked does not lead (then nothing was done), or stopped leading before it knew what becomes of it.
bool KvRouter::again_elsewhere(Request& request, const Answer& answer) {
  if (request.withdrawn) return false;
  // What is given back nobody else would ask for again.
  const bool busy = request.asker == Asker::kNobody && is_failure(answer, ErrorCode::kOverloaded);
  bool nothing_done = busy || is_failure(answer, ErrorCode::kNoLeader);
  bool stepped_down = is_failure(answer, ErrorCode::kSteppedDown) && may_repeat(request);
  if (!nothing_done && !stepped_down) return false;
  request.in_doubt |= stepped_down;
  try_again(request);
  return true;
}

void KvRouter::on(Answered&& message) {
  if (message.local) {  // nothing is kept of these
    if (std::holds_alternative<Failed>(message.answer)) ++refused_;
    reply(RequestId(message.token), std::move(message.answer), message.revision);
    return;
  }
  auto it = requests_.find(message.token);
  if (it == requests_.end()) return give_back(message.answer);  // expired or cancelled
  if (it->second.asker != Asker::kServer && again_elsewhere(it->second, message.answer)) return;
  finish(it, std::move(message.answer), message.revision);
}

// A former sending of a call, over the same link: the present one gets what that was granted, under another receipt.
bool KvRouter::answers_former(const Request& request, const Answer& answer) const {
  const auto* received = std::get_if<Box<Received>>(&answer);
  return received != nullptr && (*received)->turn != std::get<Box<ReceiveMessages>>(request.operation)->turn;
}

// What it has been granted is counted from now on: the time for which it would have waited for messages is not for
// waiting until this server has them, too.
void KvRouter::hasten(Token token, Request& request) {
  end_earlier(token, request, out_.now + request.beyond_wait);
}

void KvRouter::end_earlier(Token token, Request& request, Instant deadline) {
  if (request.receives) receives_.erase({request.deadline, token});
  request.deadline = std::min(request.deadline, deadline);
  if (request.receives) {
    receives_.emplace(request.deadline, token);
  } else {
    next_deadline_ = std::min(next_deadline_, request.deadline);
  }
}

void KvRouter::on_forward_result(ForwardResult result) {
  auto it = requests_.find(result.request);
  Request& request = it->second;
  if (answers_former(request, result.answer)) return;
  if (again_elsewhere(request, result.answer)) return;
  bool done = !std::holds_alternative<Failed>(result.answer);
  if (done && result.revision > applied_ && request.write) {
    // Answered once this server has it too, so that its clients always read their own writes here.
    if (request.ordered) leave_order(result.request, request);
    if (request.receives) hasten(result.request, request);
    request.where = Where::kApplied;
    request.answer = std::move(result.answer);
    request.revision = result.revision;
    awaiting_.emplace(request.revision, result.request);
    return;
  }
  finish(it, std::move(result.answer), result.revision);
}

void KvRouter::on(const Applied& message) {
  applied_ = message.revision;
  while (!awaiting_.empty() && awaiting_.begin()->first <= applied_) {
    auto it = requests_.find(awaiting_.begin()->second);
    awaiting_.erase(awaiting_.begin());
    if (it->second.where == Where::kApplied) {
      finish(it, std::move(*it->second.answer), it->second.revision);
    } else {
      route(it->first, it->second);
    }
  }
}

// Made where the shell takes it from.
void KvRouter::reply(RequestId id, Answer&& answer, Revision revision) {
  Reply& reply = std::get<Reply>(out_.effects.append(std::in_place_type<Reply>));
  reply.id = id;
  StoreAnswer& said = std::get<StoreAnswer>(reply.what);
  said.answer = std::move(answer);
  said.epoch = role_.epoch;
  said.revision = revision;
  if (!std::holds_alternative<Failed>(said.answer)) return;  // it tells where else to ask
  if (role_.leading) {
    said.leader = out_.config.self.http;
  } else if (role_.leader) {
    auto known = http_.find(role_.leader->id);
    if (known != http_.end()) said.leader = known->second;
  }
}

void KvRouter::finish(Requests::iterator it, Answer answer, Revision revision) {
  const Request& request = it->second;
  if (auto* failed = std::get_if<Failed>(&answer)) {
    ++refused_;
    if (request.in_doubt && request.write) failed->outcome = Outcome::kUnknown;
  }
  switch (request.asker) {
    case Asker::kClient:
      reply(RequestId(it->first), std::move(answer), revision);
      break;
    case Asker::kServer:
      if (request.from != LinkId(0)) {
        out_.emit(LinkSend{request.from, ForwardResult{request.number, std::move(answer), revision}});
      } else {
        give_back(answer);
      }
      break;
    case Asker::kWatch:
      out_.watch.post(Answered{request.number, std::move(answer), revision});
      break;
    case Asker::kLeaseKeeper:
      out_.lease_keeper.post(Answered{request.number, std::move(answer), revision});
      break;
    case Asker::kConsumers:
      out_.consumers.post(Answered{request.number, std::move(answer), revision});
      break;
    case Asker::kNobody:
      break;
  }
  forget(it);
}

void KvRouter::fail(Token token, ErrorCode code, Outcome outcome, std::string detail) {
  auto it = requests_.find(token);
  finish(it, Failed{code, it->second.write ? outcome : Outcome::kNotApplied, std::move(detail)}, applied_);
}

// A client may wait for an hour, a stop may not: what only waits is refused at once, and what is under way
// gets as long as the replica takes to hand over.
void KvRouter::on(const StopRequested&) {
  stopping_ = true;
  for (Token token : tokens_by_deadline(kNever)) {
    Request& request = requests_.at(token);
    if (request.where == Where::kRevision || request.where == Where::kNowhere ||
        request.where == Where::kBehind || request.receives) {
      if (request.where == Where::kApplied) {  // it is done
        finish(requests_.find(token), std::move(*request.answer), request.revision);
        continue;
      }
      withdraw(token, request);
      const Outcome outcome = request.receives ? Outcome::kUnknown : Outcome::kNotApplied;
      fail(token, ErrorCode::kShuttingDown, outcome, "this server is shutting down");
    } else {
      request.deadline = std::min(request.deadline, out_.now + kStopLimit);
    }
  }
  next_deadline_ = std::min(next_deadline_, out_.now + kStopLimit);
}

// ---- receives that nobody waits for any more ----

// Who has it may have granted something to it by now: then that comes back as an answer to nobody.
void KvRouter::withdraw(Token token, Request& request) {
  if (!request.receives) return;
  request.withdrawn = true;
  if (request.where == Where::kReplica) out_.replica.post(Withdraw{token});
  if (request.where == Where::kLeader) out_.emit(LinkSend{*request.link, ForwardCancelled{token}});
  if (request.where == Where::kApplied) give_back(*request.answer);
}

void KvRouter::on(const AskWithdrawn& message) {
  const auto it = receives_by_.find({kOurselves, message.token});
  if (it == receives_by_.end()) return;
  const Token token = it->second;
  Request& request = requests_.at(token);
  withdraw(token, request);
  if (request.where == Where::kNowhere)
    fail(token, ErrorCode::kTimedOut, Outcome::kNotApplied, "nobody waits for it any more");
}

void KvRouter::on_forward_cancelled(const PeerSaid& said, uint64_t number) {
  const auto it = receives_by_.find({said.link, number});
  if (it != receives_by_.end()) withdraw(it->second, requests_.at(it->second));
}

// Messages that were granted to nobody are ready again, as if they had not been. If this cannot be said in time, their
// grants run out.
void KvRouter::give_back(const Answer& answer) {
  const auto* box = std::get_if<Box<Received>>(&answer);
  if (box == nullptr || (*box)->messages.empty() || mutated(Mutation::kGhostGrant)) return;
  SettleMessages settle;
  settle.queue = (*box)->queue;
  settle.subscription = (*box)->subscription;
  for (const QueuedMessage& message : (*box)->messages)
    settle.settlings.push_back({Settling::Kind::kRelease, message.id, message.receipt, {}, {}});
  Operation operation = Box(std::move(settle));
  const Token token = kOthersBit | ++others_taken_;
  Request& request = keep(token, operation, stopping_ ? kStopLimit : kGivenBackWithin);
  request.write = request.linear = true;
  request.operation = std::move(operation);
  request.asker = Asker::kNobody;
  route(token, request);
}

// ---- time ----

void KvRouter::expire(Token token) {
  auto it = requests_.find(token);
  Request& request = it->second;
  switch (request.where) {
    case Where::kApplied:  // it is done; that this server lags is no reason to say otherwise
      finish(it, std::move(*request.answer), request.revision);
      return;
    case Where::kRevision:
      fail(token, ErrorCode::kTimedOut, Outcome::kNotApplied,
           "this server has not reached revision " + std::to_string(request.min_revision.value) + " in time");
      return;
    case Where::kNowhere:
      fail(
          token, ErrorCode::kNoLeader, Outcome::kNotApplied,
          role_.doubted
              ? "nobody leads: ZooKeeper does not show the register that this server remembers; see degraded "
                "in GET /v1/cluster"
              : "no leader was found in time; see GET /v1/cluster, and try again");
      return;
    case Where::kBehind:
      fail(token, ErrorCode::kNoLeader, Outcome::kNotApplied,
           "the lead moved, and the writes before this one on its connection were not answered in time; "
           "try again");
      return;
    case Where::kReplica:
    case Where::kLeader:
      withdraw(token, request);
      if (request.ordered) mark_followed(token);
      fail(token, ErrorCode::kTimedOut, Outcome::kUnknown,
           request.write ? "the leader did not confirm the write in time: read the key before you repeat it"
                         : "the leader did not confirm the read in time: try again, or with read=local");
      return;
  }
}

std::vector<KvRouter::Token> KvRouter::tokens_by_deadline(Instant until) const {
  std::vector<std::pair<Instant, Token>> found;
  for (const auto& [token, request] : requests_) {
    if (request.deadline <= until) found.emplace_back(request.deadline, token);
  }
  std::sort(found.begin(), found.end());
  std::vector<Token> tokens;
  for (const auto& [deadline, token] : found) tokens.push_back(token);
  return tokens;
}

// Most requests end long before their deadline. So the deadlines are in no order: all are looked through when the
// earliest that was ever given since the last look has passed.
void KvRouter::on_time() {
  while (!receives_.empty() && receives_.begin()->first <= out_.now) expire(receives_.begin()->second);
  if (next_deadline_ <= out_.now) {
    for (Token token : tokens_by_deadline(out_.now)) expire(token);
    if (!left_order_.empty()) go_on_behind();
    next_deadline_ = kNever;
    for (const auto& [token, request] : requests_) {
      if (!request.receives) next_deadline_ = std::min(next_deadline_, request.deadline);
    }
  }
  if (retry_at_ <= out_.now) {
    retry_at_ = kNever;
    route_waiting();
  }
}

Instant KvRouter::deadline() const {
  const Instant receives = receives_.empty() ? kNever : receives_.begin()->first;
  return std::min({retry_at_, next_deadline_, receives});
}

}  // namespace kvd
