// The replica actor at the end of a reign: on an operator's word, to a server with a disk, for a disk that does not
// answer, and when this server stops. See replica.hpp.
#include <string>

#include "core/replica/replica.hpp"

namespace kvd {
namespace {

// After a successor with a disk that did not take over: writes wait meanwhile.
constexpr Duration kYieldPause = milliseconds(60'000);

// A disk that has not answered for so long is given up.
constexpr int kDiskPatience = 2;  // times --leader-silence

}  // namespace

// From here on no write is taken; when those under way are done, the successor is told. Writes that come meanwhile wait
// in the KV router, and go to the new leader.
void Replica::move_leader(uint64_t token, const MoveLeader& move) {
  const Member& self = out_.config.self.member;
  if (move.to == self.id) {
    answer(token, LeaderMoved{self.id}, commit_);
    return;
  }
  std::string others;
  bool possible = false;
  for (const Member& member : register_->in_sync) {
    const Peer* peer = view().peer_of(member);
    if (member == self || (out_.config.self.durable && peer != nullptr && !peer->durable)) continue;
    possible |= !move.to || member.id == *move.to;
    others += (others.empty() ? "" : ", ") + member.id.value;
  }
  if (!possible) {
    const std::string kind = out_.config.self.durable ? "server with a disk" : "server";
    refuse(token, ErrorCode::kNotInSync, Outcome::kNotApplied,
           others.empty() ? "no other " + kind + " is in sync"
                          : "not an in-sync " + kind + "; besides the leader these are: " + others);
    return;
  }
  move_ = Move{token, move.to, epoch_, out_.now + kMoveLimit};
  out_.log(LogLevel::kInfo, "asked to hand over", {{"to", move.to ? move.to->value : "the next in line"}});
}

// The register tells who leads now, whatever became of the order.
void Replica::finish_move() {
  if (register_->epoch > move_->from) {
    const ServerId& leader = register_->leader.id;
    const bool done = !move_->to || *move_->to == leader;
    if (move_->token && done) answer(*move_->token, LeaderMoved{leader}, commit_);
    if (move_->token && !done)
      refuse(*move_->token, ErrorCode::kTimedOut, Outcome::kUnknown,
             "meanwhile " + leader.value + " took over");
    move_.reset();
  } else if (out_.now >= move_->limit) {
    if (move_->token)
      refuse(*move_->token, ErrorCode::kTimedOut, Outcome::kUnknown,
             "the successor did not take over in time");
    move_.reset();
  }
}

// A leader whose disk takes nothing any more stalls everybody. What it has begun cannot be finished here: whoever takes
// over decides it.
void Replica::give_up_stuck_disk() {
  bool stuck = disk_.unsafe_for() > kDiskPatience * out_.config.leader_silence;
  if (!stuck || required().size() == 1 || out_.now < leader()->hand_over_at) return;
  leader()->hand_over_at = out_.now + 2 * out_.config.heartbeat;
  out_.log(LogLevel::kError, "this server's disk does not answer: gives up the lead",
           {{"waiting_ms", std::to_string(to_ms(disk_.unsafe_for()))}});
  out_.election.post(HandOverWanted{std::nullopt, true});
}

// What is only in memory is gone with the power. So where somebody in sync has a disk nobody without one stays leader.
void Replica::yield_to_disk() {
  const bool free = leader()->active && !stopping_ && !move_ && !leader()->proposal;
  if (out_.config.self.durable || !free || out_.now < leader()->yield_at) return;
  for (const auto& [link, peer] : peers_) {
    if (!peer.durable || !view().confirmed_in_sync(peer.member) || !copies().agrees(peer)) continue;
    out_.log(LogLevel::kInfo, "hands over to a server that has a disk", {{"to", peer.member.id.value}});
    leader()->yield_at = out_.now + kYieldPause;
    move_ = Move{std::nullopt, peer.member.id, epoch_, out_.now + kMoveLimit};
    return;
  }
}

void Replica::on(const StopRequested&) {
  if (stopping_) return;
  stopping_ = true;
  stop_limit_ = out_.now + kStopLimit;
  if (leader()) refuse_receives(leader()->receives.take_all(), "the leader is shutting down");
}

// Before a planned end of its reign the leader finishes what it has begun and asks the successor to take over. Reads
// need not be finished: who asked is told to ask the next leader.
void Replica::drain() {
  bool busy = leader() && !(leader()->writes.empty() && !leader()->proposal);
  if (leader() && !busy && required().size() > 1 && out_.now >= leader()->hand_over_at) {
    leader()->hand_over_at = out_.now + 2 * out_.config.heartbeat;
    out_.election.post(HandOverWanted{move_ ? move_->to : std::nullopt, stopping_});
  }
  if (!stopping_ || stop_done_) return;
  bool alone = leader() && required().size() == 1 && !in_sync().learner_is_near();
  stop_done_ = out_.now >= stop_limit_ || !leader() ||
               (alone && !busy && leader()->reads.empty() && leader()->early.empty());
}

}  // namespace kvd
