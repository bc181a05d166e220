// The election actor, third part: while ZooKeeper's register is not believed (rule 17). This server then stands for
// nothing; it tells the others what it remembers and holds, reads what they tell, and takes over when the ruling says
// that it is the one to do so, or an operator does. See election.hpp.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/cluster/election.hpp"
#include "msg/history.hpp"
#include "msg/znodes.hpp"

namespace kvd {

void Election::on(RegisterDoubted message) {
  if (!doubted_) {
    doubt_since_ = out_.now;
    out_.log(LogLevel::kError,
             "ZooKeeper does not show the register that this server remembers: nobody leads by it",
             {{"found", register_fault_name(message.fault)},
              {"remembered_epoch", std::to_string(message.remembered.epoch.value)}});
  }
  doubted_ = std::move(message);
  held_.reset();  // the replica tells
  register_.reset();
  register_known_ = true;
  new_cluster_ = joined_new_cluster_ = false;
  claiming_ = depose_ = lead_active_ = false;
  told_to_take_over_.reset();
  doubt_.reset();
  listed_fresh_ = false;
  prepared();
  evaluate();
}

void Election::on(CopyHeld message) {
  if (doubted_ || deserted_) held_ = message;
  evaluate();
}

void Election::on(CopyDiffers message) {
  differs_ = message.differs;
  evaluate();
}

// ---- what stands in ZooKeeper of this server ----

// What each one has is what a person has to know who decides.
void Election::tell_if_deserted() {
  if (reading_members()) return;
  if (!nobody_in_sync_is_there()) {
    deserted_ = false;
    held_.reset();
  } else if (!std::exchange(deserted_, true)) {
    out_.replica.post(CopyAsked{});
  }
}

Registration Election::own_registration() const {
  Registration own{out_.config.self, std::nullopt, std::nullopt};
  if (doubted_ && held_) {
    own.remembers = doubted_->remembered;
    own.claim = Claim{doubted_->version, doubted_->proposed, held_->end,  held_->commit,
                      held_->digest,     differs_,           held_->knows};
  } else if (doubted_) {
    own.remembers = doubted_->remembered;
  } else if (register_ && held_) {
    own.remembers = register_;
    own.claim =
        Claim{version_, std::nullopt, held_->end, held_->commit, held_->digest, differs_, held_->knows};
  } else if (register_) {
    // Which register exactly is of no interest while all believe the same one: not worth a write each time.
    const bool told = published_ && published_->remembers && !published_->claim &&
                      published_->remembers->cluster == register_->cluster;
    own.remembers = told ? published_->remembers : register_;
  } else {
    own.remembers = out_.config.remembered.remembers;
  }
  return own;
}

// True: it is being brought up to date, and nothing is to be judged before that.
bool Election::publish() {
  if (calling(Call::kPublish)) return doubted_.has_value();
  if (!published_ || (doubted_ && !held_)) return doubted_.has_value();
  Registration own = own_registration();
  if (own == *published_) return false;
  registering_ = own;
  ZkMulti multi;
  // Only while this life is registered: what a former one has under way must not be taken for ours.
  multi.ops.push_back(ZkCheck{life_path(out_.config.self.member), -1});
  multi.ops.push_back(ZkSet{member_path(out_.config.self.member.id), encode_registration(own), -1});
  call(Call::kPublish, std::move(multi));
  return doubted_.has_value();
}

void Election::on_published(const ZkResult& result) {
  if (result.code == ZkCode::kOk) {
    published_ = registering_;
    evaluate();
  } else if (result.code == ZkCode::kNoNode) {
    begin_anew();
  } else {
    retry_soon();
  }
}

// ---- what the others tell ----

// Nobody begins a cluster while somebody is there who remembers one.
bool Election::others_remember() const {
  if (reading_members()) return true;
  return std::any_of(members_.begin(), members_.end(),
                     [](const auto& entry) { return entry.second.remembers.has_value(); });
}

// Nobody whom we know leads by the register that we believe: it may be one that ZooKeeper has gone back to. A leader
// asks itself.
bool Election::lead_is_doubtful() const {
  return leads() || std::none_of(peers_.begin(), peers_.end(),
                                 [this](const auto& entry) { return entry.second == register_->leader; });
}

bool Election::learn_from_claims() {
  if (!register_ || !lead_is_doubtful()) return false;
  for (const auto& [name, other] : members_) {
    if (!other.claim || !other.remembers || other.remembers->lineage != register_->lineage) continue;
    if (other.info.member == out_.config.self.member) continue;  // from before the register that we believe
    if (past_of(*other.remembers) == past_of(*register_)) continue;
    const bool made_of_ours = descends(*other.remembers, *register_);
    // Nothing was promised in this epoch. If the other one's is not made of it, ours is the one to go.
    const bool retreats = leads() && !lead_active_ && !descends(*register_, *other.remembers);
    if (!made_of_ours && !retreats) continue;
    out_.register_keeper.post(RegisterLearned{*other.remembers, retreats});
    return true;
  }
  return false;
}

// The register keeper changes nothing before that: ZooKeeper may have gone back to our register, and a change of it
// would be a history of its own beside the one that others remember.
void Election::tell_members_read() {
  if (reading_members() || std::exchange(members_told_, true)) return;
  out_.register_keeper.post(MembersRead{});
}

// ---- and what follows ----

void Election::evaluate_doubt() {
  if (!held_ || reading_members()) return;
  std::vector<Registration> all;
  for (const auto& [name, other] : members_) all.push_back(other);
  ruling_ = judge(*doubted_, all);
  if (past_of(ruling_.newest) != past_of(doubted_->remembered) &&
      descends(ruling_.newest, doubted_->remembered)) {
    out_.register_keeper.post(RegisterLearned{ruling_.newest, false});
    return;
  }
  const bool restores = ruling_.kind == Ruling::Kind::kRestore && ruling_.restorer == out_.config.self.member;
  // A flag that was forgotten is no reason to give anything up.
  const bool by_flag = forced_by_flag() && ruling_.kind != Ruling::Kind::kRestore;
  const bool forced = (force_.has_value() || by_flag) && ruling_.told;
  if (force_ && !forced && out_.now >= doubt_since_ + kSettle)
    answer_force(ErrorCode::kNotInSync, ruling_.why);
  if (out_.now < doubt_since_ + kSettle) return;  // see begin_anew()
  if (!restores && !forced) {
    warn_of_ruling();
    if (own_znode_) resign();
    return;
  }
  if (!own_znode_) return stand();
  if (!listed_fresh_) return list_election();
  if (!claiming_ && claim_after_ <= out_.now) restore(!restores);
}

void Election::restore(bool forced) {
  RestoreWanted wanted;
  wanted.version = doubted_->version;
  wanted.base = forced ? doubted_->remembered : ruling_.newest;
  wanted.base.serial = std::max(wanted.base.serial, forced ? 0 : ruling_.serial);
  wanted.above = ruling_.above;
  wanted.own_znode = *own_znode_;
  wanted.forced = forced;
  for (const auto& [name, other] : members_) {
    if (other.info.member != out_.config.self.member)
      wanted.told.emplace_back(other.info.member.id, versions_[name]);
  }
  for (const std::string& name : election_children_) {
    if (name < *own_znode_) wanted.smaller_znodes.push_back(name);
  }
  if (forced) {
    wanted.lost = ruling_.missing;
    // What nobody who is here remembers nobody has decided about: whoever has it keeps it.
    for (const auto& [name, other] : members_) {
      const bool ours = other.remembers && other.remembers->cluster == doubted_->remembered.cluster;
      if (ours && !descends(doubted_->remembered, *other.remembers))
        wanted.given_up.push_back(past_of(*other.remembers));
    }
  }
  claiming_ = true;
  out_.log(LogLevel::kWarn, forced ? "an operator decides for this server's copy" : "restores the register",
           {{"after_epoch", std::to_string(wanted.base.epoch.value)},
            {"revision", std::to_string(held_->end.revision.value)}});
  out_.register_keeper.post(std::move(wanted));
}

// Said once for each state of affairs; /readyz?verbose and /v1/cluster say it as long as it lasts.
void Election::warn_of_ruling() {
  std::string missing;
  for (const Member& member : ruling_.missing) missing += (missing.empty() ? "" : ",") + member.id.value;
  const std::string now = ruling_.why + "|" + missing;
  if (ruling_.kind == Ruling::Kind::kRestore || now == warned_) return;
  warned_ = now;
  out_.log(ruling_.kind == Ruling::Kind::kDecide ? LogLevel::kError : LogLevel::kWarn,
           ruling_.kind == Ruling::Kind::kDecide ? "an operator has to decide which copy goes on"
                                                 : "the register waits to be restored",
           {{"why", ruling_.why},
            {"newest_epoch", std::to_string(ruling_.newest.epoch.value)},
            {"missing", missing}});
  for (const auto& [name, other] : members_) {
    if (!other.remembers || !other.claim) continue;
    out_.log(LogLevel::kWarn, "a server holds",
             {{"server", name},
              {"epoch", std::to_string(other.remembers->epoch.value)},
              {"revision", std::to_string(other.claim->end.revision.value)},
              {"committed", std::to_string(other.claim->commit.value)},
              {"digest", fmt::format("{:016x}", other.claim->digest)}});
  }
}

// ---- on an operator's word ----

void Election::on(ForceLineage message) {
  if (force_) answer_force(ErrorCode::kOverloaded, "another one asked for the same later");
  force_ = message;
  if (doubted_ || deserted_) return evaluate();
  if (!register_ || phase_ != Phase::kRegistered || reading_members())
    return answer_force(ErrorCode::kNotReady, "ZooKeeper is being asked who is there: try again");
  answer_force(ErrorCode::kInvalid, nothing_to_decide());
}

std::string Election::nothing_to_decide() const {
  if (in_sync() && !differs_) return "this server is in sync: there is nothing to decide";
  std::string there;
  for (const Member& member : register_->in_sync) {
    if (member == out_.config.self.member || !is_there(member)) continue;
    there += (there.empty() ? "" : ", ") + member.id.value;
  }
  return "in sync and registered in ZooKeeper, or heard: " + there +
         "; there is nothing to decide while that lasts";
}

void Election::answer_force(ErrorCode code, const std::string& why) {
  const ForceLineage asked = *std::exchange(force_, std::nullopt);
  out_.kv_router.post(Answered{asked.token, Failed{code, Outcome::kNotApplied, why}, Revision(0), false});
}

void Election::settle_force() {
  if (!force_ || !register_) return;
  if (register_->cause != ElectionCause::kForced || register_->leader != out_.config.self.member) {
    answer_force(ErrorCode::kNotInSync, "meanwhile " + register_->leader.id.value + " leads");
    return;
  }
  const ForceLineage asked = *std::exchange(force_, std::nullopt);
  out_.kv_router.post(
      Answered{asked.token, LineageForced{register_->lineage}, lineage_base(register_->lineage), false});
}

}  // namespace kvd
