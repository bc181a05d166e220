// See sessions.hpp.
#include "core/services/sessions.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/mutation.hpp"
#include "msg/calls.hpp"

namespace kvd {
namespace {

constexpr int kConfirmsPerTimeout = 6;
constexpr char kAway[] = "this server cannot reach ZooKeeper";
constexpr Duration kStopGrace = milliseconds(1500);  // below what a stop takes at most

}  // namespace

void Sessions::handle(SessionsMessage&& message) {
  std::visit([this](auto&& m) { on(std::forward<decltype(m)>(m)); }, std::move(message));
}

void Sessions::reply(uint64_t token, ServiceAnswer answer) {
  out_.service_router.post(ServiceAnswered{token, std::move(answer), false, true});
}

// ---- what is asked ----

Document Sessions::shown(const Session& session, bool left) const {
  Document document = Document().add("id", session.id).add("ttl_s", session.ttl / seconds(1));
  if (left) document.add("left_ms", to_ms(session.calls > 0 ? session.ttl : session.ends - out_.now));
  return document;
}

void Sessions::on(ServiceAsked message) {
  const CallName what = message.call.name;
  if (what == CallName::kOpenSession) return open(std::move(message));
  const std::optional<HolderId> found = find(message.call.path, message.call.user);
  if (!found) return reply(message.token, {ServiceStatus::kGone, "there is no such session, or no more"});
  const HolderId holder = *found;
  if (what == CallName::kEndSession) {
    end_one(holder, "the session was ended");
    return reply(message.token, ServiceStatus::kDone);
  }
  if (what == CallName::kRenewSession) renew(holder);
  reply(message.token, {ServiceStatus::kOk, shown(sessions_.at(holder), what == CallName::kShowSession)});
}

// An id is shown to others here and there. It is worth nothing to them.
std::optional<HolderId> Sessions::find(const std::string& id, const std::string& user) const {
  const auto it = by_id_.find(id);
  if (it == by_id_.end()) return std::nullopt;
  const std::string& owner = sessions_.at(it->second).user;
  const bool own =
      user == kRoot || owner.empty() || owner == user;  // empty: opened where rights do not count
  return own ? std::optional(it->second) : std::nullopt;
}

void Sessions::open(ServiceAsked message) {
  if (sessions_.size() >= limits::kClientSessions)
    return reply(message.token, {ServiceStatus::kUnavailable, "too many sessions on this server"});
  Session session;
  session.id = fmt::format("{:016x}-{:016x}", out_.config.self.member.incarnation.value, out_.prng.next());
  session.user = std::move(message.call.user);
  session.ttl = seconds(static_cast<int64_t>(*message.call.number(Parameter::kTtl)));
  const HolderId holder = add(std::move(session));
  renew(holder);
  reply(message.token, {ServiceStatus::kCreated, shown(sessions_.at(holder), false)});
}

HolderId Sessions::add(Session session) {
  const HolderId holder(++counter_);
  if (!session.id.empty()) by_id_[session.id] = holder;
  sessions_.emplace(holder, std::move(session));
  if (confirm_at_ == kNever) confirm_at_ = out_.now;
  return holder;
}

void Sessions::renew(HolderId holder) {
  Session& session = sessions_.at(holder);
  ends_.erase({session.ends, holder});
  session.ends = session.calls > 0 ? kNever : out_.now + session.ttl;
  if (session.calls == 0) ends_.emplace(session.ends, holder);
}

void Sessions::call_ended(uint64_t token) {
  const auto it = named_.find(token);
  if (it == named_.end()) return;
  const HolderId holder = it->second;
  named_.erase(it);
  const auto session = sessions_.find(holder);
  if (session == sessions_.end() || --session->second.calls > 0) return;
  renew(holder);
}

// A grant is worth nothing before it is certain that ZooKeeper would keep it for a while.
void Sessions::on(HolderWanted message) {
  if (stopping_)
    return reply(message.asked.token, {ServiceStatus::kUnavailable, "this server is shutting down"});
  if (const auto holder = find(message.session, message.asked.call.user)) {
    named_[message.asked.token] = *holder;
    ++sessions_.at(*holder).calls;
    renew(*holder);
  }
  if (out_.certain()) return pass_on(std::move(message));
  if (!connected_) return reply(message.asked.token, {ServiceStatus::kUnavailable, kAway});
  waiting_.push_back(std::move(message));
  if (confirm_at_ == kNever) confirm();
}

void Sessions::pass_on(HolderWanted message) {
  ServiceAsked& asked = message.asked;
  if (asked.streams) {
    if (sessions_.size() >= limits::kClientSessions)
      return reply(asked.token, {ServiceStatus::kUnavailable, "too many sessions on this server"});
    Session session;
    session.held_by = asked.token;
    asked.holder = add(std::move(session));
    held_[asked.token] = asked.holder;
  } else {
    const std::optional<HolderId> holder = find(message.session, asked.call.user);
    if (!holder) return reply(asked.token, {ServiceStatus::kGone, "there is no such session, or no more"});
    asked.holder = *holder;
  }
  out_.service_of(asked.call.collection).post(std::move(asked));
}

void Sessions::on(const ServiceDropped& message) {
  call_ended(message.token);
  const size_t waited =
      std::erase_if(waiting_, [&](const HolderWanted& one) { return one.asked.token == message.token; });
  // By way of here, as the call went: it must not come before it.
  if (waited == 0 && message.collection != Collection::kSessions)
    out_.service_of(message.collection).post(message);
  const auto it = held_.find(message.token);
  if (it != held_.end()) end_one(it->second, "the connection was closed");
}

void Sessions::drop(HolderId holder) {
  const auto it = sessions_.find(holder);
  ends_.erase({it->second.ends, holder});
  by_id_.erase(it->second.id);
  if (it->second.held_by) held_.erase(*it->second.held_by);
  sessions_.erase(it);
}

void Sessions::end_one(HolderId holder, const std::string& why) {
  drop(holder);
  tell_services({holder}, why, Duration(0));
}

void Sessions::tell_services(const std::vector<HolderId>& holders, const std::string& why, Duration grace) {
  for (auto& service : out_.services) service.post(HoldersEnded{holders, why, grace});
}

void Sessions::end_all(const std::string& why, Duration grace) {
  if (!sessions_.empty()) {
    out_.log(LogLevel::kWarn, "ends all clients' sessions",
             {{"why", why}, {"sessions", std::to_string(sessions_.size())}});
  }
  std::vector<HolderId> all;
  for (const auto& [holder, session] : sessions_) all.push_back(holder);
  for (const HolderId holder : all) drop(holder);
  if (!all.empty()) tell_services(all, why, grace);
}

void Sessions::refuse_waiting(const std::string& why) {
  for (const HolderWanted& wanted : std::exchange(waiting_, {}))
    reply(wanted.asked.token, {ServiceStatus::kUnavailable, why});
}

void Sessions::on(const StopRequested&) {
  stopping_ = true;
  refuse_waiting("this server is shutting down");
  end_all("this server is shutting down", kStopGrace);
}

// ---- does ZooKeeper still know us? ----

void Sessions::on(const ZkSessionChanged& message) {
  connected_ = message.state == ZkState::kConnected;
  if (message.state == ZkState::kExpired) {
    out_.certain_until = Instant{};
    confirming_.clear();
    end_all("the ZooKeeper session of this server has ended", Duration(0));
  }
  if (!connected_) return refuse_waiting(kAway);
  if (std::exchange(zk_session_, message.session) != message.session) out_.certain_until = Instant{};
  if (out_.config.standalone) out_.certain_until = kNever;  // it asks nobody but itself
  timeout_ = message.timeout;
  if (!sessions_.empty() || !waiting_.empty()) confirm();
}

// Not in the services' line: a long one must not make us doubt.
void Sessions::confirm() {
  confirm_at_ = kNever;
  if (!connected_) return;
  confirm_at_ = out_.now + timeout_ / kConfirmsPerTimeout;
  const ZkCallId id = service_call_id(ServiceActor::kSessions, ++calls_);
  confirming_[id] = out_.now;
  // A sync is answered by the ensemble's leader, which is who ends sessions; a server that is cut off from it still
  // answers reads.
  out_.emit(ZkCall{id, mutated(Mutation::kDoubtByRead) ? ZkRequest(ZkExists{"/"}) : ZkRequest(ZkSync{"/"})});
}

void Sessions::on(const ZkResult& message) {
  const auto it = confirming_.find(message.id);
  if (it == confirming_.end()) return;
  const Instant sent = it->second;
  confirming_.erase(it);
  if (message.code != ZkCode::kOk) return;  // the connection is lost, or soon seen to be
  out_.certain_until = std::max(out_.certain_until, sent + timeout_ * 2 / 3);
  if (!out_.certain()) return;
  for (HolderWanted& wanted : std::exchange(waiting_, {})) pass_on(std::move(wanted));
}

// ---- time ----

void Sessions::on_time() {
  if (!out_.certain() && out_.certain_until != Instant{}) {
    out_.certain_until = Instant{};  // what begins now waits for the next answer
    // Once their grace is over, ZooKeeper's patience is, too.
    if (!mutated(Mutation::kDoubtIgnored)) end_all(kAway, timeout_ / 3);
  }
  while (!ends_.empty() && ends_.begin()->first <= out_.now) {
    end_one(ends_.begin()->second, "the session was not renewed in time");
  }
  if (sessions_.empty() && waiting_.empty()) {
    confirm_at_ = kNever;
  } else if (confirm_at_ <= out_.now) {
    confirm();
  }
}

Instant Sessions::deadline() const {
  Instant earliest = confirm_at_;
  if (out_.certain_until != Instant{}) earliest = std::min(earliest, out_.certain_until);
  if (!ends_.empty()) earliest = std::min(earliest, ends_.begin()->first);
  return earliest;
}

}  // namespace kvd
