// The replica actor where copies contradict each other (rule 18): a follower that knows more to be committed than its
// leader has, or other things; and the leader of such a one. No code path of kvd leads here: a directory was an old
// copy, or was changed elsewhere, or memory is broken. See replica.hpp.
//
// Of two copies that differ nobody can tell which is right. Where two agree that were in sync together with the odd
// one, that one is taken for wrong. A log that is merely shorter lacks what was acknowledged, or may have been: its
// server does not lead.
#include <algorithm>

#include "core/mutation.hpp"
#include "core/replica/replica.hpp"

namespace kvd {

// ---- as follower ----

// From here on this copy is not in sync, not ready, and does not stand for election. It is kept.
void Replica::contradicted(Revision revision, Evidence by) {
  if (diverged_) return;
  diverged_ = Contradiction{following().leader, by};
  disk_.distrust();
  out_.election.post(CopyDiffers{true});
  out_.log(LogLevel::kError, "this copy differs from the leader's",
           {{"leader", following().leader.id.value},
            {"at", std::to_string(revision.value)},
            {"committed", std::to_string(commit_.value)}});
}

// Two copies at one revision are equal, byte by byte.
void Replica::compare_digests(uint64_t leaders) {
  if (!sparse_ && store_.digest() != leaders) contradicted(commit_, Evidence::kDigest);
}

// Another leader may have another log, and whether it contradicts this one shows before anything of it is counted. A
// digest is compared now and then only.
void Replica::judge_anew() {
  if (!diverged_ || diverged_->by != Evidence::kLog || diverged_->leader == register_->leader) return;
  agree_again();
  if (disk_.generation_safe()) disk_.trust();
  if (following().leader == register_->leader) ask_anew();  // what it sent before this was not answered
}

// Where this copy ends, which lets the leader look for where the logs match.
void Replica::ask_anew() {
  if (!following().link) return;
  out_.emit(
      LinkSend{*following().link, AppendNack{epoch_, false, commit_, following().snapshot, sparse_, {}}});
}

void Replica::agree_again() {
  if (!std::exchange(diverged_, std::nullopt)) return;
  out_.election.post(CopyDiffers{false});
}

// Two others, both of them in sync together with this server before, agree with each other and not with it. Where what
// is committed here is missing there, it may have been acknowledged, and no number of copies is an argument.
bool Replica::voted_out(const std::vector<Member>& before) const {
  if (!diverged_ || diverged_->by != Evidence::kDigest) return false;
  auto in = [](const std::vector<Member>& members, const Member& member) {
    return std::count(members.begin(), members.end(), member) > 0;
  };
  const Member& self = out_.config.self.member;
  if (!in(before, self) || in(register_->in_sync, self)) return false;
  return std::count_if(before.begin(), before.end(),
                       [&](const Member& member) { return in(register_->in_sync, member); }) > 1;
}

// The leader's log ends before what is committed here. So it has lost acknowledged writes, or this copy has some that
// never were. To follow it would throw them away.
bool Replica::refuses(const PeerSaid& said, Revision leaders_end) {
  if (diverged_ && !mutated(Mutation::kDifferingCounted)) {
    confirm(said.link, 0);
    return true;
  }
  following().lacks = !following().staging && leaders_end < commit_ && !mutated(Mutation::kShorterObeyed);
  if (!following().lacks) return false;
  // Who is not in sync does not depose anybody: it is its copy that is the odd one.
  if (!was_in_sync_) contradicted(leaders_end.next(), Evidence::kLog);
  const LogPosition held = log_.position(commit_);
  out_.emit(LinkSend{said.link, AppendNack{epoch_, false, commit_, following().snapshot, sparse_, held}});
  return true;
}

// It takes the copy of those who agree with each other, as a newcomer does.
void Replica::begin_copy_anew() {
  out_.log(LogLevel::kError, "gives up this copy, which differs from those that are in sync, and joins anew",
           {{"committed", std::to_string(commit_.value)}});
  drop_staging();
  drop(std::exchange(store_, Store()));
  log_.reset(LogPosition{Epoch(0), lineage_base(lineage_)});
  commit_ = recovered_end_ = following().verified = lineage_base(lineage_);
  caught_up_ = false;
  following().lacks = false;
  agree_again();
  disk_.begin_generation(log_.base(), store_.clock(), log_);
  begin_history(commit_, WatchBreak::kCopy);
  ask_anew();
}

// ---- as leader ----

std::string Replica::contradicted_by() const {
  const Peer* peer = leader() ? copies().undecided() : nullptr;
  return peer == nullptr ? "" : peer->member.id.value;
}

std::string Replica::unconfirmed() const { return copies().unconfirmed(); }

bool Replica::waits_for_long() const { return copies().waits_for_long(); }

// Those who are in sync have more than this server's log, which has promised nothing yet in its reign: it lacks what
// was acknowledged, or may lack it. One of them leads instead.
void Replica::yield_to_longer() {
  if (leader()->active || out_.now < leader()->hand_over_at) return;
  const Copies copies = this->copies();
  const Peer* longest = copies.longest();
  if (longest == nullptr) return;
  leader()->hand_over_at = out_.now + 2 * out_.config.heartbeat;
  out_.log(LogLevel::kError, "this server lacks what others have: it does not lead",
           {{"end", std::to_string(log_.last().revision.value)},
            {"theirs", std::to_string(copies.end_of_longer(*longest).value)},
            {"successor", longest->member.id.value}});
  out_.election.post(HandOverWanted{longest->member.id, true});
}

}  // namespace kvd
