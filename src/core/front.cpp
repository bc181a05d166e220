// See front.hpp.
#include "core/front.hpp"

#include <algorithm>
#include <utility>

namespace kvd {
namespace {

constexpr uint64_t kForwardedBit = 1ull << 63;
constexpr Duration kRetry = milliseconds(10);
constexpr Duration kStopLimit = milliseconds(2000);

bool is_failure(const Answer& answer, ErrorCode code) {
  const auto* failed = std::get_if<Failed>(&answer);
  return failed != nullptr && failed->code == code;
}

}  // namespace

void Front::handle(FrontMessage message) {
  std::visit([this](auto&& m) { on(std::forward<decltype(m)>(m)); }, std::move(message));
}

// ---- arrivals ----

bool Front::full() const {
  return requests_.size() > out_.config.tuning.client_requests || waiting_bytes_ > limits::kWaitingBytes;
}

void Front::on(ClientRequest message) {
  Token token = message.id.value;
  CHECK((token & kForwardedBit) == 0);
  Request request;
  request.operation = std::move(message.operation);
  request.idempotency_key = std::move(message.idempotency_key);
  request.bytes = operation_bytes(request.operation);
  waiting_bytes_ += request.bytes;
  request.linear = is_write(request.operation) || message.read == ReadMode::kLinear;
  request.min_revision = message.min_revision;
  request.deadline = out_.now + message.timeout;
  auto [it, fresh] = requests_.try_emplace(token, std::move(request));
  CHECK(fresh);
  deadlines_.emplace(it->second.deadline, token);
  if (stopping_) {
    fail(token, ErrorCode::kShuttingDown, Outcome::kNotApplied, "this server is shutting down");
  } else if (full()) {
    fail(token, ErrorCode::kOverloaded, Outcome::kNotApplied, "too many requests wait in this server");
  } else {
    route(token, it->second);
  }
}

void Front::on(ClientCancelled message) {
  auto it = requests_.find(message.id.value);
  if (it == requests_.end()) return;
  deadlines_.erase({it->second.deadline, it->first});
  awaiting_.erase({it->second.min_revision, it->first});
  awaiting_.erase({it->second.revision, it->first});
  waiting_bytes_ -= it->second.bytes;
  requests_.erase(it);  // a write that is on its way goes on; only nobody waits for it
}

void Front::on_forward(const PeerSaid& said, Forward forward) {
  Token token = kForwardedBit | ++forwards_taken_;
  Request request;
  request.operation = std::move(forward.operation);
  request.idempotency_key = std::move(forward.idempotency_key);
  request.bytes = operation_bytes(request.operation);
  waiting_bytes_ += request.bytes;
  request.linear = true;
  request.deadline = out_.now + forward.timeout;
  request.from = std::pair(said.link, forward.request);
  request.where = Where::kReplica;
  Operation operation = request.operation;
  bool write = is_write(operation);
  deadlines_.emplace(request.deadline, token);
  requests_.emplace(token, std::move(request));
  // One hop at most: whether we lead or not, our replica answers.
  if (std::holds_alternative<QueryStatus>(operation)) {
    fail(token, ErrorCode::kInvalid, Outcome::kNotApplied, "a status query cannot be forwarded");
  } else if (std::holds_alternative<ReadSnapshot>(operation)) {
    fail(token, ErrorCode::kInvalid, Outcome::kNotApplied, "a snapshot cannot be asked of another server");
  } else if (stopping_) {
    fail(token, ErrorCode::kNoLeader, Outcome::kNotApplied, "the leader is shutting down");
  } else if (full()) {
    fail(token, ErrorCode::kOverloaded, Outcome::kNotApplied, "too many requests wait in the leader");
  } else if (write) {
    out_.replica.post(Propose{token, std::move(operation), requests_.at(token).idempotency_key});
  } else {
    out_.replica.post(Read{token, std::move(operation), true});
  }
}

// ---- where to ----

void Front::route(Token token, Request& request) {
  if (std::holds_alternative<ReadSnapshot>(request.operation)) {
    // Of this very server's copy, whatever it is worth: that is also how data is salvaged.
    request.where = Where::kReplica;
    out_.replica.post(Read{token, request.operation, false});
    return;
  }
  if (!request.linear && request.min_revision > applied_) {
    request.where = Where::kRevision;
    awaiting_.emplace(request.min_revision, token);
    return;
  }
  bool write = is_write(request.operation);
  if (role_.leading || (!request.linear && role_.readable)) {
    request.where = Where::kReplica;
    if (write) {
      out_.replica.post(Propose{token, request.operation, request.idempotency_key});
    } else {
      out_.replica.post(Read{token, request.operation, request.linear});
    }
    return;
  }
  if (role_.leader) {
    auto link = links_.find(role_.leader->id);
    if (link != links_.end()) {
      request.where = Where::kLeader;
      request.link = link->second.first;
      ++forwarded_;
      out_.emit(LinkSend{link->second.first, Forward{token, request.operation, request.deadline - out_.now,
                                                     request.idempotency_key}});
      return;
    }
  }
  request.where = Where::kNowhere;
}

// A write without an idempotency key that may have been done must not be done again.
bool Front::may_repeat(const Request& request) const {
  bool of_keys = !std::holds_alternative<ChangeSettings>(request.operation) &&
                 !std::holds_alternative<MoveLeader>(request.operation);
  return !is_write(request.operation) || (of_keys && !request.idempotency_key.empty());
}

// As soon as there is a leader, and not before a pause: the one that we know may be the one that failed us.
void Front::try_again(Request& request) {
  request.where = Where::kNowhere;
  request.link.reset();
  retry_at_ = std::min(retry_at_, out_.now + kRetry);
}

void Front::route_waiting() {
  for (auto& [token, request] : requests_) {
    if (request.where == Where::kNowhere) route(token, request);
  }
}

void Front::on(PeerUp message) {
  http_[message.info.member.id] = message.info.http;
  if (!message.dialed) return;
  links_[message.info.member.id] = {message.link, message.info};
  route_waiting();
}

// What was forwarded on this link has no answer any more. A read, or a write with an idempotency key, is simply asked
// again. Another write may have been done, and doing it again could do it twice: its outcome is unknown.
void Front::on(PeerDown message) {
  if (!message.dialed) {
    for (auto& [token, request] : requests_) {
      if (request.from && request.from->first == message.link) request.from->first = LinkId(0);
    }
    return;
  }
  auto known = links_.find(message.member.id);
  if (known != links_.end() && known->second.first == message.link) links_.erase(known);
  std::vector<Token> lost;
  for (auto& [token, request] : requests_) {
    if (request.where == Where::kLeader && request.link == message.link) lost.push_back(token);
  }
  for (Token token : lost) {
    Request& request = requests_.at(token);
    if (may_repeat(request)) {
      request.in_doubt = true;
      route(token, request);
    } else {
      fail(token, ErrorCode::kLinkLost, Outcome::kUnknown,
           "the connection to the leader broke before it answered: read the key before you repeat the write");
    }
  }
}

void Front::on(RoleChanged message) {
  bool other_leader = role_.leader != message.leader && message.leader;
  role_ = std::move(message);
  if (other_leader) leave_former_leader();
  route_waiting();
}

// A frozen server does not break its links, so what was forwarded to it would wait until the deadline. What may be
// repeated is asked again. Another write's answer may just be on its way; after a while its outcome is unknown.
void Front::leave_former_leader() {
  auto link = links_.find(role_.leader->id);
  std::optional<LinkId> now = link == links_.end() ? std::nullopt : std::optional(link->second.first);
  for (auto& [token, request] : requests_) {
    if (request.where != Where::kLeader || request.link == now) continue;
    if (may_repeat(request)) {
      request.in_doubt = true;
      request.where = Where::kNowhere;
    } else {
      deadlines_.erase({request.deadline, token});
      request.deadline = std::min(request.deadline, out_.now + out_.config.leader_silence);
      deadlines_.emplace(request.deadline, token);
    }
  }
}

void Front::on(PeerSaid message) {
  if (auto* forward = std::get_if<Forward>(&message.message)) {
    on_forward(message, std::move(*forward));
  } else if (auto* result = std::get_if<ForwardResult>(&message.message)) {
    auto it = requests_.find(result->request);
    if (it == requests_.end() || it->second.where != Where::kLeader || it->second.link != message.link)
      return;  // too late, or not what we asked
    on_forward_result(std::move(*result));
  }
}

// ---- answers ----

// Whoever was asked does not lead (then nothing was done), or stopped leading before it knew what becomes of it.
bool Front::again_elsewhere(Request& request, const Answer& answer) {
  bool nothing_done = is_failure(answer, ErrorCode::kNoLeader);
  bool stepped_down = is_failure(answer, ErrorCode::kSteppedDown) && may_repeat(request);
  if (!nothing_done && !stepped_down) return false;
  request.in_doubt |= stepped_down;
  try_again(request);
  return true;
}

void Front::on(Answered message) {
  auto it = requests_.find(message.token);
  if (it == requests_.end()) return;  // expired or cancelled
  Request& request = it->second;
  if (!request.from) {
    if (again_elsewhere(request, message.answer)) return;
    if (is_failure(message.answer, ErrorCode::kNotReady)) {
      request.linear = true;  // no copy of our own: ask the leader instead
      route(it->first, request);
      return;
    }
  }
  finish(message.token, std::move(message.answer), message.revision);
}

void Front::on_forward_result(ForwardResult result) {
  Request& request = requests_.at(result.request);
  if (again_elsewhere(request, result.answer)) return;
  bool done = !std::holds_alternative<Failed>(result.answer);
  if (done && result.revision > applied_ && is_write(request.operation)) {
    // Answered once this server has it too, so that its clients always read their own writes here.
    request.where = Where::kApplied;
    request.answer = std::move(result.answer);
    request.revision = result.revision;
    awaiting_.emplace(request.revision, result.request);
    return;
  }
  finish(result.request, std::move(result.answer), result.revision);
}

void Front::on(Applied message) {
  applied_ = message.revision;
  while (!awaiting_.empty() && awaiting_.begin()->first <= applied_) {
    Token token = awaiting_.begin()->second;
    awaiting_.erase(awaiting_.begin());
    auto it = requests_.find(token);
    if (it == requests_.end()) continue;
    if (it->second.where == Where::kApplied) {
      finish(token, std::move(*it->second.answer), it->second.revision);
    } else {
      route(token, it->second);
    }
  }
}

ClientReply Front::reply_to(RequestId id, Answer answer, Revision revision) const {
  ClientReply reply{id, std::move(answer), role_.epoch, revision, std::nullopt};
  if (!std::holds_alternative<Failed>(reply.answer)) return reply;  // it tells where else to ask
  if (role_.leading) {
    reply.leader = out_.config.self.http;
  } else if (role_.leader) {
    auto known = http_.find(role_.leader->id);
    if (known != http_.end()) reply.leader = known->second;
  }
  return reply;
}

void Front::finish(Token token, Answer answer, Revision revision) {
  auto it = requests_.find(token);
  if (auto* failed = std::get_if<Failed>(&answer)) {
    ++refused_;
    if (it->second.in_doubt && is_write(it->second.operation)) failed->outcome = Outcome::kUnknown;
  }
  if (it->second.from) {
    auto [link, number] = *it->second.from;
    if (link != LinkId(0)) out_.emit(LinkSend{link, ForwardResult{number, std::move(answer), revision}});
  } else {
    out_.emit(reply_to(RequestId(token), std::move(answer), revision));
  }
  deadlines_.erase({it->second.deadline, token});
  waiting_bytes_ -= it->second.bytes;
  requests_.erase(it);
}

void Front::fail(Token token, ErrorCode code, Outcome outcome, std::string detail) {
  bool write = is_write(requests_.at(token).operation);
  finish(token, Failed{code, write ? outcome : Outcome::kNotApplied, std::move(detail)}, applied_);
}

// A client may wait for an hour, a stop may not: what only waits is refused at once, and what is under way
// gets as long as the replica takes to hand over.
void Front::on(StopRequested) {
  stopping_ = true;
  const auto waiting = std::exchange(deadlines_, {});
  for (const auto& [deadline, token] : waiting) {
    Request& request = requests_.at(token);
    if (request.where == Where::kRevision || request.where == Where::kNowhere) {
      awaiting_.erase({request.min_revision, token});
      fail(token, ErrorCode::kShuttingDown, Outcome::kNotApplied, "this server is shutting down");
    } else {
      request.deadline = std::min(deadline, out_.now + kStopLimit);
      deadlines_.emplace(request.deadline, token);
    }
  }
}

// ---- time ----

void Front::expire(Token token, Request& request) {
  switch (request.where) {
    case Where::kApplied:  // it is done; that this server lags is no reason to say otherwise
      awaiting_.erase({request.revision, token});
      finish(token, std::move(*request.answer), request.revision);
      return;
    case Where::kRevision:
      awaiting_.erase({request.min_revision, token});
      fail(token, ErrorCode::kTimedOut, Outcome::kNotApplied,
           "this server has not reached revision " + std::to_string(request.min_revision.value) + " in time");
      return;
    case Where::kNowhere:
      fail(token, ErrorCode::kNoLeader, Outcome::kNotApplied,
           "no leader was found in time; see GET /v1/cluster, and try again");
      return;
    case Where::kReplica:
    case Where::kLeader:
      fail(token, ErrorCode::kTimedOut, Outcome::kUnknown,
           is_write(request.operation)
               ? "the leader did not confirm the write in time: read the key before you repeat it"
               : "the leader did not confirm the read in time: try again, or with read=local");
      return;
  }
}

void Front::on_time() {
  while (!deadlines_.empty() && deadlines_.begin()->first <= out_.now) {
    Token token = deadlines_.begin()->second;
    deadlines_.erase(deadlines_.begin());
    expire(token, requests_.at(token));
  }
  if (retry_at_ <= out_.now) {
    retry_at_ = kNever;
    route_waiting();
  }
}

Instant Front::deadline() const {
  Instant earliest = retry_at_;
  if (!deadlines_.empty()) earliest = std::min(earliest, deadlines_.begin()->first);
  return earliest;
}

}  // namespace kvd
