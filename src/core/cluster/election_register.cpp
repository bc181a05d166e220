// The election actor, first half: from a new ZooKeeper session to a registered server that knows who else is
// there. See election.hpp; the claim to lead is in election.cpp.
#include <algorithm>
#include <utility>

#include "core/cluster/election.hpp"
#include "core/mutation.hpp"
#include "msg/znodes.hpp"

namespace kvd {
namespace {

constexpr int kExitUnavailable = 69;
constexpr size_t kSweepWindow = 64;

}  // namespace

void Election::on(ZkSessionChanged message) {
  ZkState before = std::exchange(zk_state_, message.state);
  if (message.state == ZkState::kConnecting) {  // the session may well live on
    if (before == ZkState::kConnected) {
      out_.log(LogLevel::kWarn,
               "lost the connection to ZooKeeper: serving goes on, but nobody can be replaced");
    }
    return;
  }
  if (message.state == ZkState::kExpired) {
    out_.log(LogLevel::kWarn, "ZooKeeper session expired", {{"znode", own_znode_.value_or("")}});
    registered_before_ = registered_before_ || phase_ == Phase::kRegistered;
    phase_ = Phase::kNoSession;
    session_ = 0;
    calls_.clear();
    own_znode_.reset();
    listed_fresh_ = claiming_ = must_sweep_ = false;
    out_.emit(ZkReopen{});
    return;
  }
  session_timeout_ = message.timeout;
  if (connected_at_ == kNever) connected_at_ = out_.now;
  bool same = session_ == message.session;
  session_ = message.session;
  if (!same || before != ZkState::kConnected) {
    out_.log(LogLevel::kInfo, same ? "reconnected to ZooKeeper" : "connected to ZooKeeper",
             {{"session_timeout_ms", std::to_string(to_ms(message.timeout))}});
  }
  // The same session again: a watch is set only when its answer arrives, and events may have been missed.
  // Start over; every step finds what the former attempt left behind.
  begin_session();
}

void Election::begin_session() {
  register_known_ = claiming_ = listed_fresh_ = false;
  prepare();
}

void Election::prepare() {
  phase_ = Phase::kPreparing;
  prepare_at_ = kNever;
  // Results of calls from before are told apart by their numbers, which are forgotten here; and with the
  // watches that may have been lost, so may have been what they would have told.
  calls_.clear();
  members_.clear();
  members_unread_ = false;
  members_told_ = false;
  published_.reset();
  call(Call::kParent, ZkCreate{kElectionPath, "", ZkMode::kPersistent}, kElectionPath);
  call(Call::kParent, ZkCreate{kRootPath, "", ZkMode::kPersistent}, kRootPath);
  call(Call::kParent, ZkCreate{kMembersPath, "", ZkMode::kPersistent}, kMembersPath);
  call(Call::kParent, ZkCreate{kLivesPath, "", ZkMode::kPersistent}, kLivesPath);
}

// A znode is gone that all of this hangs on: somebody deleted it, or ZooKeeper came back without it. Who deletes by
// hand does it step by step, and is not to find anew what has just been deleted: so not at once.
void Election::begin_anew() {
  phase_ = Phase::kPreparing;
  calls_.clear();
  own_znode_.reset();
  listed_fresh_ = claiming_ = must_sweep_ = false;
  prepare_at_ = out_.now + kSettle;
}

void Election::prepared() {
  if (phase_ == Phase::kPreparing && register_known_ && !calling(Call::kParent)) read_own();
}

void Election::read_own() {
  phase_ = Phase::kReadingOwn;
  call(Call::kReadOwn, ZkGet{member_path(out_.config.self.member.id)});
}

void Election::on_own(const ZkResult& result) {
  if (phase_ != Phase::kReadingOwn) return;
  old_own_.reset();
  old_life_ = false;
  stale_.clear();
  if (result.code ==
      ZkCode::kNoNode) {  // our life's znode may be there all the same: somebody deleted this one
    call(Call::kReadLife, ZkExists{life_path(out_.config.self.member)});
    return;
  }
  Result<Registration> content = decode_registration(result.data);
  if (result.code != ZkCode::kOk || !content) {
    retry_soon();
    return;
  }
  old_own_ = Registered{*content, result.stat.version, result.stat.ephemeral_owner};
  call(Call::kReadLife, ZkExists{life_path(content->info.member)});
}

void Election::on_life(const ZkResult& result) {
  if (phase_ != Phase::kReadingOwn) return;
  if (result.code != ZkCode::kOk && result.code != ZkCode::kNoNode) {
    retry_soon();
    return;
  }
  old_life_ = result.code == ZkCode::kOk;
  if (!old_own_) {
    register_own();
    return;
  }
  const ServerInfo& found = old_own_->content.info;
  bool ours = found.member == out_.config.self.member;
  if (ours && old_life_ && result.stat.ephemeral_owner == session_) {
    // A registration whose answer was lost, or a reconnection.
    life_version_ = result.stat.version;
    published_ = old_own_->content;
    old_own_.reset();
    sweep();
  } else if (ours && registered_before_) {
    sweep();  // of a session that has ended
  } else if (registered_before_) {
    superseded(found);
  } else if (found.peer == out_.config.self.peer) {
    sweep();  // we listen on its address, so it does not
  } else {
    phase_ = Phase::kChecking;
    out_.log(LogLevel::kInfo, "a former registration of this id is still there: asking whether it lives",
             {{"address", format_address(found.peer)}});
    out_.links.post(AliveCheck{found});
  }
}

void Election::superseded(const ServerInfo& other) {
  out_.emit(Exit{kExitUnavailable, "another server is running with the id " + other.member.id.value + " at " +
                                       format_address(other.http) + ": stop it, or choose another --id"});
}

void Election::on(AliveChecked message) {
  if (phase_ != Phase::kChecking || !old_own_) return;
  switch (message.verdict) {
    case AliveChecked::Verdict::kAlive:
      superseded(old_own_->content.info);
      return;
    case AliveChecked::Verdict::kDead:
      sweep();
      return;
    case AliveChecked::Verdict::kSilent: {
      phase_ = Phase::kWaiting;
      Duration wait = std::max(session_timeout_, Duration(milliseconds(1000)));
      wait_until_ = out_.now + wait;
      out_.log(LogLevel::kWarn,
               "a former registration of this id neither answers nor refuses: waiting for its session",
               {{"wait_ms", std::to_string(to_ms(wait))}});
      return;
    }
  }
}

// ---- looking through /election ----
//
// A sequential create whose answer is lost leaves a znode whose name we do not know. Its data and owner tell.

void Election::sweep() {
  if (phase_ != Phase::kRegistered) phase_ = Phase::kSweeping;
  std::erase_if(calls_, [](const auto& entry) { return entry.second.kind == Call::kGetElection; });
  standing_.clear();
  to_sweep_.clear();
  call(Call::kListElection, ZkChildren{kElectionPath}, "sweep");
}

bool Election::sweeping() const {
  return std::any_of(calls_.begin(), calls_.end(), [](const auto& entry) {
    const Pending& pending = entry.second;
    return pending.kind == Call::kGetElection ||
           (pending.kind == Call::kListElection && pending.name == "sweep");
  });
}

// A few at a time: what is outstanding at ZooKeeper has a bound, and /election may hold more than that.
void Election::sweep_on() {
  size_t asked = static_cast<size_t>(std::count_if(
      calls_.begin(), calls_.end(), [](const auto& e) { return e.second.kind == Call::kGetElection; }));
  for (; asked < kSweepWindow && !to_sweep_.empty(); ++asked) {
    std::string name = std::move(to_sweep_.back());
    to_sweep_.pop_back();
    call(Call::kGetElection, ZkGet{election_path(name)}, name);
  }
  if (asked == 0) swept();
}

void Election::on_sweep_list(const ZkResult& result) {
  if (result.code == ZkCode::kNoNode) return begin_anew();
  if (result.code != ZkCode::kOk) {
    retry_soon();
    return;
  }
  for (const std::string& name : result.children) {
    if (name.starts_with(kElectionPrefix)) to_sweep_.push_back(name);
  }
  sweep_on();
}

void Election::on_sweep_item(const std::string& name, const ZkResult& result) {
  if (result.code == ZkCode::kOk) {
    Result<ServerInfo> info = decode_server_info(result.data);
    if (info) standing_[name] = Standing{*info, result.stat.ephemeral_owner};
  } else if (result.code != ZkCode::kNoNode) {
    std::erase_if(calls_, [](const auto& entry) { return entry.second.kind == Call::kGetElection; });
    to_sweep_.clear();
    retry_soon();
    return;
  }
  sweep_on();
}

void Election::swept() {
  own_znode_.reset();
  stale_.clear();
  for (const auto& [name, standing] : standing_) {
    if (standing.info.member.id != out_.config.self.member.id) continue;
    if (standing.owner == session_ && !own_znode_) {
      own_znode_ = name;
    } else {
      stale_.push_back(name);
    }
  }
  must_sweep_ = false;
  listed_fresh_ = false;
  if (hand_over_) hand_over();
  if (old_own_) {
    register_own();
    return;
  }
  for (const std::string& name : stale_) call(Call::kIgnored, ZkDelete{election_path(name)});
  if (phase_ == Phase::kSweeping) {
    phase_ = Phase::kRegistered;
    list_members();
  }
  if (own_znode_) call(Call::kWatchOwn, ZkExists{election_path(*own_znode_), true}, *own_znode_);
  evaluate();
}

// ---- registering ----

void Election::register_own() {
  phase_ = Phase::kRegistering;
  registering_ = own_registration();
  const std::string registration = encode_registration(registering_);
  const std::string data = encode_server_info(out_.config.self);
  ZkMulti multi;
  const Member& self = out_.config.self.member;
  if (old_own_) multi.ops.push_back(ZkDelete{member_path(self.id), old_own_->version});
  // With the former life's own znode, so that whatever it may still have under way fails.
  if (old_life_) multi.ops.push_back(ZkDelete{life_path(old_own_ ? old_own_->content.info.member : self)});
  for (const std::string& name : stale_) multi.ops.push_back(ZkDelete{election_path(name)});
  multi.ops.push_back(ZkCreate{member_path(self.id), registration, ZkMode::kEphemeral});
  multi.ops.push_back(ZkCreate{life_path(self), data, ZkMode::kEphemeral});
  // In a new cluster everyone stands at once. One multi, since a repetition then fails on the member's
  // fixed name instead of standing twice.
  if (new_cluster_) {
    multi.ops.push_back(ZkCreate{election_path(kElectionPrefix), data, ZkMode::kEphemeralSequential});
  }
  call(Call::kRegister, std::move(multi));
}

void Election::on_registered(const ZkResult& result) {
  if (phase_ != Phase::kRegistering) return;
  if (result.code != ZkCode::kOk) {
    // Done or not, or somebody else's: look again. kNodeExists is usually our own attempt, whose answer was
    // lost.
    const bool deletes = old_own_ || old_life_ || !stale_.empty();  // which may be what was not there
    if (result.code == ZkCode::kNoNode && !deletes) return begin_anew();
    if (result.code == ZkCode::kNoAuth) {
      forbidden(member_path(out_.config.self.member.id));
      return begin_anew();
    }
    retry_soon();
    return;
  }
  forbidden_.reset();
  phase_ = Phase::kRegistered;
  life_version_ = 0;
  published_ = registering_;
  if (old_own_ && old_own_->session != session_) judge_session(old_own_->session, true);
  old_own_.reset();
  stale_.clear();
  // By what was made, not by what is known now: the register may have appeared while the request was under
  // way.
  const std::string prefix = std::string(kElectionPath) + "/";
  if (!result.paths.empty() && result.paths.back().starts_with(prefix)) {
    joined_new_cluster_ = !in_sync();
    own_znode_ = result.paths.back().substr(prefix.size());
  }
  out_.log(LogLevel::kInfo, "registered",
           {{"id", out_.config.self.member.id.value}, {"znode", own_znode_.value_or("")}});
  if (registered_before_ && register_ && register_->leader != out_.config.self.member) {
    // After a mass expiry everyone comes back at once. Whoever leads may stand first, so that nobody has to
    // take over.
    stand_after_ = out_.now + milliseconds(out_.prng.between(200, 1000));
  }
  list_members();
  if (own_znode_) call(Call::kWatchOwn, ZkExists{election_path(*own_znode_), true}, *own_znode_);
  evaluate();
}

// ---- who else is there ----

void Election::list_members() { call(Call::kListMembers, ZkChildren{kMembersPath, true}); }

void Election::read_member(const std::string& name) {
  call(Call::kGetMember, ZkGet{member_path(ServerId{name}), true}, name);
}

void Election::on_members(const ZkResult& result) {
  if (result.code == ZkCode::kNoNode) return begin_anew();
  members_unread_ = result.code != ZkCode::kOk;
  if (members_unread_) {
    retry_soon();
    return;
  }
  listed_ = std::set<std::string>(result.children.begin(), result.children.end());
  std::erase_if(members_, [&](const auto& entry) { return !listed_.contains(entry.first); });
  std::erase_if(lives_, [&](const auto& entry) { return !listed_.contains(entry.first.value); });
  // Only who is new is read: a member that changes fires the watch that came with reading it. So one death
  // costs each server one listing, however many servers there are.
  for (const std::string& name : listed_) {
    if (!members_.contains(name)) read_member(name);
  }
  members_changed();
}

void Election::on_member(const std::string& name, const ZkResult& result) {
  if (result.code == ZkCode::kOk) {
    Result<Registration> content = decode_registration(result.data);
    if (content && content->info.member.id.value == name) {
      meet(content->info.member, result.stat.ephemeral_owner);
      members_[name] = std::move(*content);
    }
    versions_[name] = result.stat.version;
  } else {
    members_.erase(name);
    members_unread_ |= result.code == ZkCode::kNotConnected || result.code == ZkCode::kUnknown;
    if (result.code != ZkCode::kNoNode) retry_soon();
  }
  members_changed();
}

// What a server makes in ZooKeeper hangs on its session there. One that another has replaced, of this life or another,
// is over, but stays until ZooKeeper has counted its timeout.
void Election::meet(const Member& member, uint64_t session) {
  const Life former = std::exchange(lives_[member.id], Life{member, session});
  const bool replaced = former.session != 0 && former.session != session;
  if (replaced && (former.member == member || !linked(former.member))) judge_session(former.session, true);
  if (dead_.contains(member)) judge_life(member, true);
}

// Who talks to us is not dead, though its port refuses: a firewall may, or it is not where it says.
void Election::judge_life(const Member& member, bool dead) {
  const auto it = lives_.find(member.id);
  if (it == lives_.end() || (dead && calls(member))) return;
  if (it->second.member == member || mutated(Mutation::kDeathOfFormer))
    judge_session(it->second.session, dead);
}

void Election::judge_session(uint64_t session, bool dead) {
  out_.services.at(static_cast<size_t>(ServiceActor::kTasks)).post(SessionJudged{session, dead});
}

void Election::members_changed() {
  if (members_unread_ || calling(Call::kGetMember) || phase_ != Phase::kRegistered) return;
  const Member& self = out_.config.self.member;
  auto own = members_.find(self.id.value);
  if (own != members_.end() && own->second.info.member != self) {
    superseded(own->second.info);
    return;
  }
  out_.links.post(MembersListed{members()});
  out_.replica.post(MembersListed{members()});
  out_.service_router.post(MembersListed{members()});
  if (own == members_.end() && !calling(Call::kListMembers)) {
    begin_anew();  // gone: deleted by hand, or this list is older than our registration
    return;
  }
  evaluate();
}

std::vector<ServerInfo> Election::members() const {
  std::vector<ServerInfo> all;
  for (const auto& [name, member] : members_) all.push_back(member.info);
  return all;
}

}  // namespace kvd
