// The election actor, second half: standing for election, and the claim to lead. See election.hpp.
#include "core/cluster/election.hpp"

#include <algorithm>
#include <utility>

#include "core/mutation.hpp"
#include "msg/history.hpp"
#include "msg/znodes.hpp"

namespace kvd {
namespace {

constexpr size_t kReignsRemembered = 16;
constexpr int kStarting = 4;    // times --leader-silence, from the first connection to ZooKeeper on
constexpr int kOrderLasts = 4;  // heartbeats; whoever gave it gives it again as long as it holds

bool is_among(const std::map<LinkId, Member>& links, const Member& member) {
  return std::any_of(links.begin(), links.end(), [&](const auto& link) { return link.second == member; });
}

}  // namespace

void Election::handle(ElectionMessage&& message) {
  std::visit([this](auto&& m) { on(std::forward<decltype(m)>(m)); }, std::move(message));
}

// ---- calls ----

void Election::call(Call kind, ZkRequest request, std::string name) {
  const ZkCallId id = zk_call_id(ZkCaller::kElection, ++call_counter_);
  calls_[id] = Pending{kind, std::move(name)};
  out_.emit(ZkCall{id, std::move(request)});
}

bool Election::calling(Call kind) const {
  return std::any_of(calls_.begin(), calls_.end(),
                     [kind](const auto& entry) { return entry.second.kind == kind; });
}

void Election::retry_soon() { retry_at_ = std::min(retry_at_, out_.now + kZkRetry); }

void Election::on(ZkResult message) {
  auto it = calls_.find(message.id);
  if (it == calls_.end()) return;
  Pending pending = std::move(it->second);
  calls_.erase(it);
  switch (pending.kind) {
    case Call::kParent:
      if (message.code == ZkCode::kNoAuth) {
        forbidden(pending.name);
      } else if (message.code != ZkCode::kOk && message.code != ZkCode::kNodeExists) {
        retry_soon();
      }
      prepared();
      return;
    case Call::kReadOwn:
      on_own(message);
      return;
    case Call::kReadLife:
      on_life(message);
      return;
    case Call::kRegister:
      on_registered(message);
      return;
    case Call::kListMembers:
      on_members(message);
      return;
    case Call::kGetMember:
      on_member(pending.name, message);
      return;
    case Call::kListElection:
      if (pending.name == "sweep") {
        on_sweep_list(message);
      } else {
        on_election_list(message);
      }
      return;
    case Call::kGetElection:
      on_sweep_item(pending.name, message);
      return;
    case Call::kStand:
      on_stand(message);
      return;
    case Call::kWatchPredecessor:
      if (message.code == ZkCode::kOk && message.stat.ephemeral_owner != 0) return;
      listed_fresh_ = false;  // it went before the watch stood, or nobody knows: look again
      if (message.code == ZkCode::kOk) {
        foreign_.insert(pending.name);
        out_.log(LogLevel::kWarn, "a persistent znode stands for election: passed over; delete it",
                 {{"znode", election_path(pending.name)}});
      }
      if (message.code == ZkCode::kOk || message.code == ZkCode::kNoNode) {
        evaluate();
      } else {
        retry_soon();
      }
      return;
    case Call::kWatchOwn:
      if (message.code == ZkCode::kOk || own_znode_ != pending.name) return;
      if (message.code == ZkCode::kNoNode) {
        own_znode_.reset();
        evaluate();
      } else {
        must_sweep_ = true;
        retry_soon();
      }
      return;
    case Call::kPublish:
      on_published(message);
      return;
    case Call::kIgnored:
      return;
  }
}

void Election::on(ZkWatchFired message) {
  const std::string members = std::string(kMembersPath) + "/";
  // Until then everything but the members that we know is read again on the way there.
  bool registered = phase_ == Phase::kRegistered;
  if (message.path.starts_with(members)) {
    std::string name = message.path.substr(members.size());
    members_.erase(name);
    if (registered) read_member(name);
  } else if (!registered) {
    return;
  } else if (message.path == kMembersPath) {
    list_members();
  } else if (own_znode_ && message.path == election_path(*own_znode_)) {
    call(Call::kWatchOwn, ZkExists{message.path, true}, *own_znode_);
  } else {
    listed_fresh_ = false;  // the predecessor: it may have left, or only been touched
    evaluate();
  }
}

// ---- what decides ----

bool Election::in_sync() const {
  const Member& self = out_.config.self.member;
  return register_ &&
         std::any_of(register_->in_sync.begin(), register_->in_sync.end(), [&](const Member& member) {
           return member == self || (mutated(Mutation::kSetById) && member.id == self.id);
         });
}

bool Election::may_stand() const {
  if (differs_ && !force_) return false;  // rule 18
  return new_cluster_ || in_sync() || (joined_new_cluster_ && own_znode_) || total_loss();
}

// Rule 16: everything is lost when every server that was in sync is registered anew: there is one process per
// id, so the incarnation that had the data is gone. An operator's --force-new-lineage stands in for those
// that never return, but not for one that is registered and lives. The multi that acts on this checks it again.
bool Election::total_loss() const {
  if (!register_ || phase_ != Phase::kRegistered) return false;
  const bool told = force_ || forced_by_flag();
  // Who has a disk may come back with everything, and what others hold on theirs would be wiped: never by itself.
  const bool disks = out_.config.self.durable || register_->disks;
  if (!told && (disks || !all_are_here())) return false;
  return std::all_of(register_->in_sync.begin(), register_->in_sync.end(), [&](const Member& member) {
    if (force_ && differs_ && member == out_.config.self.member) return true;
    auto it = members_.find(member.id.value);
    if (it == members_.end())
      return mutated(Mutation::kLossByAbsence) || (told && !reading_members() && !linked(member));
    return it->second.info.member != member;
  });
}

// The flag holds for a start, not for later.
bool Election::forced_by_flag() const {
  return out_.config.force_new_lineage && !force_spent_ && !registered_before_;
}

// ZooKeeper may have gone back: then somebody remembers a register that ours is not made of, and may need two sessions'
// time until it has one again.
bool Election::all_are_here() const {
  if (out_.now < all_here_at() || reading_members()) return false;
  return std::none_of(members_.begin(), members_.end(), [this](const auto& entry) {
    const std::optional<Register>& known = entry.second.remembers;
    return known && known->cluster == register_->cluster && !descends(*register_, *known);
  });
}

// Who is registered is not known as a whole until that has ended.
// Also until what could not be read is read again: nobody is gone for that alone.
bool Election::reading_members() const {
  return members_unread_ || calling(Call::kListMembers) || calling(Call::kGetMember);
}

bool Election::linked(const Member& member) const { return is_among(peers_, member); }

bool Election::calls(const Member& member) const { return is_among(callers_, member); }

// In this very life.
bool Election::is_there(const Member& member) const {
  auto it = members_.find(member.id.value);
  return linked(member) || (it != members_.end() && it->second.info.member == member);
}

// Nobody who is in sync, with a copy that may be counted, is there: no leader comes from among us, whatever happens.
bool Election::nobody_in_sync_is_there() const {
  if (!register_ || (in_sync() && !differs_)) return false;
  return std::none_of(register_->in_sync.begin(), register_->in_sync.end(), [this](const Member& member) {
    return member != out_.config.self.member && is_there(member);
  });
}

// The register names this server, but for an epoch that a life before this one began: it may have sent entries that
// this disk does not have, and others in their place would pass for the same.
bool Election::led_before() const { return register_->leader == out_.config.self.member && !register_ours_; }

bool Election::leads() const {
  return register_ && register_->leader == out_.config.self.member && !led_before();
}

bool Election::leader_dead() const {
  if (!register_) return false;
  if (led_before()) return true;
  if (dead_.contains(register_->leader)) return true;
  if (linked(register_->leader)) return false;  // it talks to us: what we read of it is old
  auto it = members_.find(register_->leader.id.value);
  return it != members_.end() && it->second.info.member != register_->leader;
}

void Election::on(RegisterSeen message) {
  bool other_leader = !register_ || register_->epoch != message.content.epoch;
  register_ = std::move(message.content);
  version_ = message.version;
  register_ours_ = message.ours;
  register_known_ = true;
  new_cluster_ = false;
  if (doubted_ || other_leader) {
    held_.reset();
    deserted_ = false;
  }
  doubted_.reset();
  ruling_ = Ruling{};
  warned_.clear();
  if (in_sync()) joined_new_cluster_ = false;
  if (other_leader) {
    settle_force();
    lead_active_ = false;
    record_reign();
    claiming_ = depose_ = false;
    told_to_take_over_.reset();
    doubt_.reset();
    listed_fresh_ = false;
    auto forgotten = [this](const Member& member) {
      return member != register_->leader &&
             std::count(register_->in_sync.begin(), register_->in_sync.end(), member) == 0;
    };
    std::erase_if(dead_, forgotten);
    std::erase_if(starting_, forgotten);
  }
  if (!in_sync()) {  // what was decided as a member is void for whoever has to join again
    depose_ = false;
    doubt_.reset();
    told_to_take_over_.reset();
  }
  prepared();
  evaluate();
}

void Election::on(RegisterAbsent) {
  register_known_ = true;
  new_cluster_ = true;
  prepared();
  evaluate();
}

// Brings what stands in ZooKeeper in line with what should. Called whenever something was learned; every
// branch either starts one step, whose result comes back here, or waits.
void Election::evaluate() {
  if (register_) {
    force_spent_ |= in_sync();
    for (const auto& [link, member] : peers_)
      force_spent_ |= std::count(register_->in_sync.begin(), register_->in_sync.end(), member) > 0;
  }
  if (phase_ != Phase::kRegistered || zk_state_ != ZkState::kConnected || sweeping()) return;
  if (must_sweep_) {
    if (!calling(Call::kStand)) sweep();
    return;
  }
  if (!doubted_) tell_if_deserted();
  if (publish()) return;
  if (doubted_) return evaluate_doubt();
  if (learn_from_claims()) return;
  tell_members_read();
  if (!may_stand()) {
    if (own_znode_ && !reading_members()) resign();
    return;
  }
  if (!own_znode_) {
    stand();
    return;
  }
  consider_deposing();
  if (!listed_fresh_) {
    list_election();
    return;
  }
  bool smallest = !election_children_.empty() && election_children_.front() == *own_znode_;
  if (!leads() && (smallest || depose_ || force_) && claim_after_ <= out_.now) claim();
}

// By an ACL, which a person has to change. Said once; /readyz?verbose says it as long as it lasts.
void Election::forbidden(const std::string& path) {
  if (std::exchange(forbidden_, out_.config.zookeeper_prefix + path) == forbidden_) return;
  out_.log(LogLevel::kError, "an ACL in ZooKeeper forbids what this server needs", {{"znode", *forbidden_}});
}

void Election::stand() {
  if (calling(Call::kStand)) return;
  if (stand_after_ > out_.now) return;
  std::string data = encode_server_info(out_.config.self);
  ZkMulti multi;
  // The set is there for its version: if the answer is lost, a repetition fails on it and does not stand
  // twice. And it is of this life's own znode, so that a late request of a former life cannot touch it.
  multi.ops.push_back(ZkSet{life_path(out_.config.self.member), data, life_version_});
  multi.ops.push_back(ZkCreate{election_path(kElectionPrefix), data, ZkMode::kEphemeralSequential});
  call(Call::kStand, std::move(multi));
}

void Election::on_stand(const ZkResult& result) {
  if (phase_ != Phase::kRegistered) return;
  if (result.code == ZkCode::kOk) {
    ++life_version_;
    own_znode_ = result.paths.back().substr(std::string(kElectionPath).size() + 1);
    listed_fresh_ = false;
    out_.log(LogLevel::kInfo, "stands for election", {{"znode", *own_znode_}});
    call(Call::kWatchOwn, ZkExists{election_path(*own_znode_), true}, *own_znode_);
    evaluate();
  } else if (result.code == ZkCode::kNotConnected) {
    retry_soon();
  } else if (result.code == ZkCode::kNoNode) {
    begin_anew();
  } else {
    read_own();  // finds the version and, by a sweep, the znode if there is one
  }
}

void Election::resign() {
  out_.log(LogLevel::kInfo, "stands no longer for election: not in sync", {{"znode", *own_znode_}});
  call(Call::kIgnored, ZkDelete{election_path(*own_znode_)});
  own_znode_.reset();
  listed_fresh_ = false;
}

void Election::list_election() {
  if (!calling(Call::kListElection)) call(Call::kListElection, ZkChildren{kElectionPath}, "list");
}

void Election::on_election_list(const ZkResult& result) {
  if (result.code == ZkCode::kNoNode) return begin_anew();
  if (result.code != ZkCode::kOk) {
    retry_soon();
    return;
  }
  if (!own_znode_) {
    evaluate();
    return;
  }
  election_children_.clear();
  for (const std::string& name : result.children) {
    if (name.starts_with(kElectionPrefix) && !foreign_.contains(name)) election_children_.push_back(name);
  }
  auto own = std::find(election_children_.begin(), election_children_.end(), *own_znode_);
  if (own == election_children_.end()) {
    must_sweep_ = true;
    retry_soon();
    return;
  }
  listed_fresh_ = true;
  if (own != election_children_.begin()) {
    // Only the predecessor is watched: however many stand, one that leaves wakes one.
    const std::string& predecessor = *std::prev(own);
    call(Call::kWatchPredecessor, ZkExists{election_path(predecessor), true}, predecessor);
  }
  evaluate();
}

// ---- deposing a leader that is dead or silent ----

// Decides whether the leader has to go. The first in line acts at once, the k-th waits k more limits, so that
// they do not all collide on one version. `depose_` stays set until the register shows another epoch.
void Election::consider_deposing() {
  if (!register_ || !in_sync() || leads() || depose_) return;
  if (told_to_take_over_ && out_.now > told_until_) told_to_take_over_.reset();
  if (told_to_take_over_) {
    doubt(ElectionCause::kHandedOver, std::nullopt);
    depose();
  } else if (leader_dead()) {
    doubt(ElectionCause::kDead, std::nullopt);
    if (out_.now >= doubt_->since + wait_in_line()) depose();
  } else if (doubt_ && doubt_->cause == ElectionCause::kDead) {
    doubt_.reset();
  }
}

// Whoever stands before us acts first: one --leader-silence for each, but for the leader that is in doubt.
Duration Election::wait_in_line() const {
  return out_.config.leader_silence *
         std::count_if(election_children_.begin(), election_children_.end(), [this](const std::string& name) {
           return name < *own_znode_ && name != register_->leader_znode;
         });
}

// The first moment of a doubt counts, unless it turns out to be of another kind.
void Election::doubt(ElectionCause cause, std::optional<Duration> silent) {
  bool heard_since = doubt_ && silent && *silent < out_.now - doubt_->since;
  if (!doubt_ || doubt_->cause != cause || heard_since) doubt_ = Doubt{cause, out_.now, silent, std::nullopt};
}

void Election::depose() {
  depose_ = true;
  doubt_->agreed = out_.now;
  listed_fresh_ = false;  // every smaller znode must go with the takeover: list them now
}

void Election::record_reign() {
  Reign reign;
  reign.record.epoch = register_->epoch;
  reign.record.leader = register_->leader.id;
  reign.record.cause = register_->cause;
  reign.began = out_.now;
  if (register_->leader == out_.config.self.member && doubt_) {
    reign.doubted = doubt_->since;
    reign.record.silent = doubt_->silent;
    if (doubt_->agreed) reign.record.agreed = *doubt_->agreed - doubt_->since;
    reign.record.deposed = out_.now - doubt_->since;
  } else {
    reign.doubted = out_.now;
  }
  reigns_.push_back(std::move(reign));
  if (reigns_.size() > kReignsRemembered) reigns_.pop_front();
}

void Election::on(LeadActive message) {
  lead_active_ = message.active;
  if (!message.active) return evaluate();
  if (reigns_.empty() || !register_ || reigns_.back().record.epoch != register_->epoch) return;
  reigns_.back().record.activated = out_.now - reigns_.back().doubted;
}

std::vector<ElectionRecord> Election::elections() const {
  std::vector<ElectionRecord> all;
  for (auto it = reigns_.rbegin(); it != reigns_.rend(); ++it) {
    all.push_back(it->record);
    all.back().ago = out_.now - it->began;
  }
  return all;
}

void Election::claim() {
  if (claiming_) return;
  TakeoverWanted takeover;
  for (const std::string& name : election_children_) {
    if (name < *own_znode_) takeover.smaller_znodes.push_back(name);
  }
  takeover.version = version_;
  takeover.own_znode = *own_znode_;
  if (!register_) {
    if (!takeover.smaller_znodes.empty() || others_remember()) return;
    claiming_ = true;
    out_.register_keeper.post(BootstrapWanted{*own_znode_});
  } else if (in_sync() && !(force_ && differs_)) {
    // Who has just started has only its directory, which may be an old copy: who starts after it may have more.
    const bool settled =
        !out_.config.self.durable || out_.now >= connected_at_ + kStarting * out_.config.leader_silence;
    const bool starts = starting_.contains(register_->leader);
    bool gone = (leader_dead() && !led_before() && settled && !starts) ||
                (told_to_take_over_ && told_to_take_over_->leaves);
    // Below min_in_sync nothing is acknowledged without it. With disks it comes back with all that was.
    bool enough = !out_.config.self.durable || register_->in_sync.size() > register_->min_in_sync;
    if (gone && enough) takeover.exclude = register_->leader;
    if (depose_) takeover.cause = doubt_->cause;
    // Its copy may not be safe in the new lineage yet: a further start has to find the operator's word.
    if (led_before() && register_->cause == ElectionCause::kForced) takeover.cause = ElectionCause::kForced;
    claiming_ = true;
    out_.register_keeper.post(std::move(takeover));
  } else if (total_loss()) {
    claiming_ = true;
    std::vector<Member> lost = register_->in_sync;
    std::erase(lost, out_.config.self.member);
    bool all_registered = std::all_of(lost.begin(), lost.end(), [this](const Member& member) {
      return members_.contains(member.id.value);
    });
    const bool by_flag = out_.config.force_new_lineage && (!all_registered || out_.config.self.durable);
    const bool forced = force_ || by_flag;
    out_.register_keeper.post(
        NewLineageWanted{version_, *own_znode_, std::move(lost), all_registered, forced});
  }
}

void Election::on(TakeoverFailed) {
  claiming_ = false;
  claim_after_ = out_.now + kZkRetry;
  listed_fresh_ = false;  // most often a znode on the list had just gone
  retry_soon();
}

void Election::on(LeaderSilent message) {
  if (!register_ || register_->leader != message.leader || register_->epoch != message.epoch) return;
  if (!own_znode_ || !in_sync() || depose_) return;
  // Only who sees ZooKeeper, and in it everybody who is there, can judge: else it may be itself that is cut off.
  if (phase_ != Phase::kRegistered || zk_state_ != ZkState::kConnected) return;
  if (reading_members()) return;
  if (leader_dead()) return;  // that is the better reason, and has a clock of its own
  doubt(ElectionCause::kSilent, message.silent);
  if (message.silent < out_.config.leader_silence + wait_in_line()) return;
  if (!second_opinion()) return;
  depose();
  out_.log(LogLevel::kWarn, "the leader is silent: taking over",
           {{"leader", message.leader.id.value}, {"silent_ms", std::to_string(to_ms(message.silent))}});
  evaluate();
}

// With three or more servers about, one that alone hears nothing is more likely cut off itself: as leader it
// would reach nobody. So another one has to agree; who finds none waits for ZooKeeper's session to decide.
bool Election::second_opinion() {
  if (members_.size() < 3) return true;
  if (agreed_epoch_ == register_->epoch && agreed_until_ > out_.now) return true;
  for (const auto& [link, member] : peers_) {
    if (member.id != register_->leader.id)
      out_.emit(LinkSend{link, Suspect{register_->epoch, register_->leader}});
  }
  return false;
}

void Election::on(PeerSaid message) {
  if (auto* reply = std::get_if<SuspectReply>(&message.message)) {
    if (!register_ || !reply->agrees || reply->epoch != register_->epoch ||
        reply->leader != register_->leader)
      return;
    agreed_epoch_ = reply->epoch;
    agreed_until_ = out_.now + out_.config.leader_silence;
  } else if (auto* order = std::get_if<TakeOver>(&message.message)) {
    if (!register_ || register_->epoch != order->epoch || message.from != register_->leader) return;
    out_.log(LogLevel::kInfo, "the leader hands over", {{"leader", message.from.id.value}});
    told_to_take_over_ = *order;
    told_until_ = out_.now + kOrderLasts * out_.config.heartbeat;
    evaluate();
  }
}

void Election::on(PeerUp message) {
  dead_.erase(message.info.member);
  starting_.erase(message.info.member);
  judge_life(message.info.member, false);
  (message.dialed ? peers_ : callers_)[message.link] = message.info.member;
}

void Election::on(PeerDown message) {
  peers_.erase(message.link);
  const auto caller = callers_.extract(message.link);
  if (!caller.empty() && dead_.contains(caller.mapped())) judge_life(caller.mapped(), true);
}

void Election::on(PeerDead message) {
  dead_.insert(message.member);
  starting_.erase(message.member);
  judge_life(message.member, true);
  if (register_ && register_->leader == message.member) {
    out_.log(LogLevel::kWarn, "the leader is dead", {{"leader", message.member.id.value}});
  }
  evaluate();
}

void Election::on(PeerStarting message) {
  if (message.starts) starting_.insert(message.member);
  if (!message.starts) starting_.erase(message.member);
}

void Election::on(Stalled) {
  // What we believed of others while we slept is worth nothing.
  agreed_until_ = out_.now;
  if (doubt_) doubt_->since = out_.now;
}

// ---- leaving the office in order ----

void Election::on(HandOverWanted message) {
  hand_over_ = std::move(message);
  hand_over_until_ = out_.now + kOrderLasts * out_.config.heartbeat;
  if (phase_ == Phase::kRegistered && !sweeping() && !calling(Call::kStand)) sweep();
}

// Tells the in-sync server with the smallest znode, of those with a disk if there are any, to take over. Sent again by
// the replica until somebody has.
void Election::hand_over() {
  const HandOverWanted wanted = *std::exchange(hand_over_, std::nullopt);
  if (!register_ || register_->leader != out_.config.self.member || out_.now > hand_over_until_) return;
  std::optional<std::pair<LinkId, ServerInfo>> successor;
  for (const auto& [name, standing] : standing_) {
    const Member& member = standing.info.member;
    if (member == register_->leader || (wanted.to && member.id != *wanted.to)) continue;
    if (std::count(register_->in_sync.begin(), register_->in_sync.end(), member) == 0) continue;
    const bool better = !successor || (standing.info.durable && !successor->second.durable);
    for (const auto& [link, peer] : peers_) {
      if (peer == member && better) successor.emplace(link, standing.info);
    }
  }
  if (!successor) return;
  out_.log(LogLevel::kInfo, "handing over", {{"successor", successor->second.member.id.value}});
  out_.emit(LinkSend{successor->first, TakeOver{register_->epoch, wanted.leaves}});
}

// ---- time ----

void Election::on_time() {
  if (phase_ == Phase::kWaiting && wait_until_ <= out_.now) {
    wait_until_ = kNever;
    read_own();
  }
  if (prepare_at_ <= out_.now) {
    prepare_at_ = kNever;
    if (zk_state_ == ZkState::kConnected) prepare();
  }
  if (retry_at_ <= out_.now) {
    retry_at_ = kNever;
    if (zk_state_ == ZkState::kConnected) retry();
  }
  if (stand_after_ != Instant{} && stand_after_ <= out_.now) stand_after_ = Instant{};
  if (force_ && force_->until <= out_.now)
    answer_force(ErrorCode::kTimedOut, doubted_ ? ruling_.why : "ZooKeeper did not take it in time");
  evaluate();
}

// While disconnected nothing is retried: the connection's return starts everything over.
void Election::retry() {
  switch (phase_) {
    case Phase::kPreparing:
      if (!calling(Call::kParent) && prepare_at_ == kNever) prepare();
      break;
    case Phase::kReadingOwn:
    case Phase::kSweeping:
    case Phase::kRegistering:
      read_own();
      break;
    case Phase::kRegistered:
      if (!calling(Call::kListMembers) && !calling(Call::kGetMember)) list_members();
      break;
    default:
      break;
  }
}

Instant Election::deadline() const {
  Instant earliest = std::min(retry_at_, prepare_at_);
  if (doubted_ && doubt_since_ + kSettle > out_.now) earliest = std::min(earliest, doubt_since_ + kSettle);
  if (force_) earliest = std::min(earliest, force_->until);
  if (all_here_at() > out_.now && deserted_) earliest = std::min(earliest, all_here_at());
  if (phase_ == Phase::kWaiting) earliest = std::min(earliest, wait_until_);
  if (stand_after_ > out_.now) earliest = std::min(earliest, stand_after_);
  if (doubt_ && doubt_->cause == ElectionCause::kDead && !depose_) {
    // Waiting for our turn in line. Looking once per heartbeat is exact enough and needs no second
    // computation.
    earliest = std::min(earliest, out_.now + out_.config.heartbeat);
  }
  return earliest;
}

}  // namespace kvd
