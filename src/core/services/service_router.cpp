// See service_router.hpp.
#include "core/services/service_router.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include "core/services/streams.hpp"
#include "msg/calls.hpp"

namespace kvd {
namespace {

constexpr uint64_t kForwardedBit = 1ull << 63;
constexpr size_t kIdDigits = 16;

// Whose a client's session is: its id begins with the incarnation of the server that keeps it.
std::optional<Incarnation> keeper_of(std::string_view id) {
  uint64_t incarnation = 0;
  if (id.size() != 2 * kIdDigits + 1 || id[kIdDigits] != '-') return std::nullopt;
  const char* end = id.data() + kIdDigits;
  const auto [rest, error] = std::from_chars(id.data(), end, incarnation, 16);
  if (error != std::errc() || rest != end) return std::nullopt;
  return Incarnation(incarnation);
}

}  // namespace

void ServiceRouter::handle(ServiceRouterMessage&& message) {
  std::visit([this](auto&& m) { on(std::forward<decltype(m)>(m)); }, std::move(message));
}

// ---- arrivals ----

void ServiceRouter::on(Call message) {
  CHECK((message.id.value & kForwardedBit) == 0);
  calls_[message.id.value];
  take(message.id.value, std::move(std::get<ServiceCall>(message.what)), message.timeout);
}

void ServiceRouter::take(Token token, ServiceCall call, Duration timeout) {
  Pending& mine = calls_.at(token);
  mine.collection = call.collection;
  mine.reads = call.verb == Verb::kGet;
  if (stopping_) return refuse(token, ServiceStatus::kUnavailable, "this server is shutting down");
  if (calls_.size() > limits::kServiceCalls)
    return refuse(token, ServiceStatus::kUnavailable, "too many calls wait in this server");
  const bool of_sessions = call.collection == Collection::kSessions;
  const bool of_one_session = of_sessions && !call.path.empty();  // known here, whatever ZooKeeper does
  if (!connected_ && !of_one_session)
    return refuse(token, ServiceStatus::kUnavailable, "this server cannot reach ZooKeeper");

  Result<CallRead, ServiceAnswer> read = read_call(call);
  if (!read) return refuse(token, read.error().status, std::move(read.error().why));
  const bool hold = read->hold;
  if (hold && mine.from)
    return refuse(token, ServiceStatus::kInvalid, "what a connection holds cannot be forwarded");
  const Duration waits = milliseconds(static_cast<int64_t>(read->wait_ms.value_or(0)));
  mine.streams = hold;
  mine.by_sessions = hold || read->session || of_sessions;
  if (!hold) {
    mine.deadline = out_.now + waits + timeout;
    deadlines_.emplace(mine.deadline, token);
  }
  const std::optional<std::string> session = of_one_session ? call.path : read->session;
  if (session) {
    const std::optional<Incarnation> keeper = keeper_of(*session);
    if (!keeper) return refuse(token, ServiceStatus::kInvalid, "that is no session's id");
    if (*keeper != out_.config.self.member.incarnation)
      return forward(token, std::move(call), *keeper, waits + timeout);
  }

  const bool grants = call.verb == Verb::kPost || call.verb == Verb::kPut;
  const Instant until = hold && !read->wait_ms ? kNever : out_.now + waits;
  ServiceAsked asked{token, std::move(read->call), HolderId(), hold, until};
  asked.call.body = std::move(call.body);
  asked.call.user = std::move(call.user);
  if (session && !of_sessions) {
    mine.by_session = true;
    mine.grants = grants;
    return out_.sessions.post(HolderWanted{std::move(asked), *session});
  }
  if (hold) return out_.sessions.post(HolderWanted{std::move(asked), ""});
  if (of_sessions) return out_.sessions.post(std::move(asked));
  out_.service_of(asked.call.collection).post(std::move(asked));
}

// As it came: the server that keeps the session reads it, too.
void ServiceRouter::forward(Token token, ServiceCall call, Incarnation keeper, Duration timeout) {
  Pending& mine = calls_.at(token);
  if (mine.from)
    return refuse(token, ServiceStatus::kGone,
                  "the server that kept that session is gone");  // one hop at most
  const auto link = links_.find(keeper);
  if (link == links_.end()) {
    if (registered_.contains(keeper))
      return refuse(token, ServiceStatus::kUnavailable,
                    "the server that keeps that session cannot be reached");
    return refuse(token, ServiceStatus::kGone,
                  "the server that kept that session is gone, and so is the session");
  }
  mine.to = link->second;
  out_.emit(LinkSend{link->second, ServiceForward{token, std::move(call), timeout}});
}

void ServiceRouter::on(PeerSaid message) {
  if (auto* forward = std::get_if<Box<ServiceForward>>(&message.message)) {
    const Token token = kForwardedBit | ++forwards_taken_;
    calls_[token].from = std::pair(message.link, (*forward)->request);
    take(token, std::move((*forward)->call), (*forward)->timeout);
  } else if (auto* result = std::get_if<Box<ServiceForwardResult>>(&message.message)) {
    const auto it = calls_.find((*result)->request);
    if (it != calls_.end() && it->second.to == message.link) finish(it, std::move((*result)->answer));
  } else if (auto* cancelled = std::get_if<ServiceForwardCancelled>(&message.message)) {
    const auto of = std::pair(message.link, cancelled->request);
    const auto it =
        std::find_if(calls_.begin(), calls_.end(), [&](const auto& one) { return one.second.from == of; });
    if (it != calls_.end()) drop(it);
  }
}

// ---- who has gone ----

void ServiceRouter::on(const PeerUp& message) {
  if (message.dialed) links_[message.info.member.incarnation] = message.link;
}

void ServiceRouter::on(const PeerDown& message) {
  const auto known = links_.find(message.member.incarnation);
  if (known != links_.end() && known->second == message.link) links_.erase(known);
  std::vector<Token> lost;
  for (const auto& [token, call] : calls_) {
    if (call.to == message.link || (call.from && call.from->first == message.link)) lost.push_back(token);
  }
  for (const Token token : lost) {
    const auto it = calls_.find(token);
    if (it->second.from) {
      drop(it);
    } else {
      finish(it, {it->second.reads ? ServiceStatus::kUnavailable : ServiceStatus::kUnknown,
                  "the connection to the server that keeps that session broke before it answered"});
    }
  }
}

void ServiceRouter::on(const MembersListed& message) {
  registered_.clear();
  for (const ServerInfo& info : message.members) registered_.insert(info.member.incarnation);
}

void ServiceRouter::on(const CallCancelled& message) {
  const auto it = calls_.find(message.id.value);
  if (it == calls_.end()) return;
  if (it->second.to) out_.emit(LinkSend{*it->second.to, ServiceForwardCancelled{it->first}});
  drop(it);
}

// Nobody waits for it any more.
void ServiceRouter::drop(Calls::iterator it) {
  const auto [token, call] = *it;
  forget(it);
  if (call.to) return;
  const ServiceDropped dropped{token, call.collection};
  if (call.by_sessions) return out_.sessions.post(dropped);
  out_.service_of(call.collection).post(dropped);
}

// ---- answers ----

void ServiceRouter::on(ServiceAnswered message) {
  const auto it = calls_.find(message.token);
  if (it == calls_.end()) return;
  if (it->second.grants && !refuses(message.answer.status) && !out_.certain())
    message.answer = {ServiceStatus::kGone, "this server cannot reach ZooKeeper"};
  if (!message.line && it->second.said) {  // too late for a status
    message.answer = {ServiceStatus::kOk, lost_line(message.answer.why)};
    message.line = message.last = true;
  }
  // A session that is gone is nothing that a connection ever named: it may just ask again.
  if (it->second.streams && message.answer.status == ServiceStatus::kGone)
    message.answer.status = ServiceStatus::kUnavailable;
  if (!message.line) return finish(it, std::move(message.answer));
  it->second.said = true;
  out_.emit(Reply{RequestId(message.token), std::move(message.answer), true, message.last});
  if (message.last) end_stream(it);
}

void ServiceRouter::end_stream(Calls::iterator it) {
  const Token token = it->first;
  const Collection collection = it->second.collection;
  forget(it);
  out_.sessions.post(ServiceDropped{token, collection});
}

void ServiceRouter::finish(Calls::iterator it, ServiceAnswer answer) {
  const auto [token, call] = *it;
  forget(it);
  if (call.by_session) out_.sessions.post(CallAnswered{token});
  if (call.from) {
    out_.emit(LinkSend{call.from->first, ServiceForwardResult{call.from->second, std::move(answer)}});
    return;
  }
  if (call.streams) out_.sessions.post(ServiceDropped{token, call.collection});
  out_.emit(Reply{RequestId(token), std::move(answer), false, true});
}

ServiceRouter::Calls::iterator ServiceRouter::forget(Calls::iterator it) {
  deadlines_.erase({it->second.deadline, it->first});
  return calls_.erase(it);
}

void ServiceRouter::refuse(Token token, ServiceStatus status, std::string why) {
  finish(calls_.find(token), {status, std::move(why)});
}

// ---- time ----

void ServiceRouter::on(const ZkSessionChanged& message) { connected_ = message.state == ZkState::kConnected; }

// What is held is told by sessions, and gets a moment to let go.
void ServiceRouter::on(const StopRequested&) {
  stopping_ = true;
  for (auto& [token, call] : calls_) {
    deadlines_.erase({call.deadline, token});
    call.deadline = std::min(call.deadline, out_.now + kStopLimit);
    deadlines_.emplace(call.deadline, token);
  }
}

void ServiceRouter::on_time() {
  while (!deadlines_.empty() && deadlines_.begin()->first <= out_.now) {
    const auto it = calls_.find(deadlines_.begin()->second);
    const Pending call = it->second;
    const Token token = it->first;
    if (call.to) out_.emit(LinkSend{*call.to, ServiceForwardCancelled{token}});
    const ServiceStatus status = call.reads ? ServiceStatus::kUnavailable : ServiceStatus::kUnknown;
    drop(it);
    ServiceAnswer answer(status,
                         stopping_ ? "this server is shutting down" : "ZooKeeper did not answer in time");
    if (call.said) answer = {ServiceStatus::kOk, lost_line(answer.why)};
    if (call.from) {
      out_.emit(LinkSend{call.from->first, ServiceForwardResult{call.from->second, std::move(answer)}});
    } else {
      out_.emit(Reply{RequestId(token), std::move(answer), call.said, true});
    }
  }
}

Instant ServiceRouter::deadline() const { return deadlines_.empty() ? kNever : deadlines_.begin()->first; }

}  // namespace kvd
