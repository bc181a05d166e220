// The replica actor: its roles, its register, what it hears of other servers, time. See replica.hpp.
#include "core/replica/replica.hpp"

#include <algorithm>
#include <utility>

#include "core/mutation.hpp"
#include "msg/history.hpp"

namespace kvd {

Replica::Replica(Outbox& out)
    : out_(out),
      disk_(out),
      sparse_(!out.config.catch_up && !out.config.standalone),
      catching_up_(out, "receives a snapshot", "keys") {
  if (sparse_) out_.links.post(SparseChanged{true});
}

void Replica::restore(Recovery::Found found, Duration took) {
  recovery_took_ = took;
  disk_.begin(found);
  lineage_ = found.facts.lineage;
  epoch_ = found.facts.epoch;
  proposed_ = found.facts.proposed;
  store_ = std::move(found.store);
  store_.view_anew();
  clock_.reach(store_.clock());
  log_ = std::move(found.log);
  commit_ = following().verified = found.commit;
  recovered_end_ = log_.last().revision;
  if (found.facts.differs) {
    diverged_ = Contradiction{Member{}, Evidence::kDigest};
    out_.election.post(CopyDiffers{true});
  }
  out_.links.post(LogRecovered{log_.last()});
  begin_history(log_.base().revision, WatchBreak::kSnapshot);
  out_.watch.post(Committed{committed_since(log_.base().revision)});
}

void Replica::handle(ReplicaMessage&& message) {
  std::visit([this](auto&& m) { on(std::forward<decltype(m)>(m)); }, std::move(message));
}

// ---- roles ----

Following& Replica::following() {
  auto* following = std::get_if<Following>(&role_);
  CHECK(following != nullptr);
  return *following;
}

void Replica::on(const RegisterSeen& message) {
  const Register& content = message.content;
  doubted_ = false;
  if (content.lineage > lineage_) {
    const bool ours = content.cause == ElectionCause::kForced && content.leader == out_.config.self.member;
    ours ? carry_over(content) : begin_lineage(content.lineage);
  }
  std::vector<Member> before = register_ ? register_->in_sync : std::vector<Member>{};
  register_ = content;
  forget_the_dead();
  if (content.epoch < epoch_)
    return;  // a peer has told us of a newer one; the register keeper is looking for it
  bool newer = content.epoch > epoch_;
  epoch_ = content.epoch;
  const Member& self = out_.config.self.member;
  const bool open =
      proposed_ && proposed_->epoch_id == content.epoch_id && proposed_->serial > content.serial;
  if (!open) proposed_.reset();
  remember_register();
  if (content.leader == self && (message.ours || mutated(Mutation::kLedAgain))) {
    if (!leader()) lead();
    if (content.in_sync != before) ++counters_.in_sync_changes;
  } else {
    if (leader()) step_down("the register names " + content.leader.id.value + " as leader");
    judge_anew();
    if (newer || following().leader != content.leader) follow(content);
  }
  bool in_sync = std::count(content.in_sync.begin(), content.in_sync.end(), self) > 0;
  if (was_in_sync_ && !in_sync) {
    out_.log(LogLevel::kWarn, "removed from the in-sync set",
             {{"leader", content.leader.id.value}, {"epoch", std::to_string(content.epoch.value)}});
  }
  if (!was_in_sync_ && in_sync && content.leader != self) {
    out_.log(LogLevel::kInfo, "in sync",
             {{"leader", content.leader.id.value}, {"revision", std::to_string(commit_.value)}});
  }
  if (!was_in_sync_ && in_sync)
    set_sparse(false);  // its copy was complete when it joined, perhaps in a life before
  was_in_sync_ = in_sync;
  if (voted_out(before)) begin_copy_anew();
  announce();
  if (move_) finish_move();
}

// Rule 17. What is remembered is on disk before anything is done under it.
void Replica::remember_register() {
  if (carrying_ || !register_) return;
  disk_.keep(*register_, proposed_, lineage_, epoch_);
}

// Nobody leads this server, and it leads nobody, until ZooKeeper shows a register that follows from what it remembers.
void Replica::on(const RegisterDoubted& message) {
  doubted_ = true;
  if (leader()) step_down("ZooKeeper does not show the register that this server leads by");
  forget_leader();
  following().verified = commit_;
  was_in_sync_ = false;
  register_ = message.remembered;
  proposed_ = message.proposed;
  epoch_ = std::max(epoch_, message.remembered.epoch);
  remember_register();
  on(CopyAsked{});
  announce();
  if (move_) finish_move();
}

void Replica::on(const CopyAsked&) {
  out_.election.post(CopyHeld{log_.last(), commit_, store_.digest(), epoch_});
}

// Only those that the register or a change of it still counts on are worth remembering.
void Replica::forget_the_dead() {
  auto counted = [](const std::vector<Member>& members, const Member& member) {
    return std::count(members.begin(), members.end(), member) > 0;
  };
  auto forgotten = [&](const Member& member) {
    return member != register_->leader && !counted(register_->in_sync, member) &&
           !(leader() && leader()->proposal && counted(leader()->proposal->in_sync, member));
  };
  std::erase_if(dead_, forgotten);
  std::erase_if(starting_, forgotten);
}

// In a new cluster there is nothing to miss, so nobody is sparse.
void Replica::on(const RegisterAbsent&) { set_sparse(false); }

// Everything was lost, and a new history begins: whatever is left of the old one must go, here too (rule 16).
void Replica::begin_lineage(Lineage lineage) {
  if (leader()) step_down("a new lineage has begun");
  bool had_data = log_.last().revision > lineage_base(lineage_);
  lineage_ = lineage;
  log_.reset(LogPosition{Epoch(0), lineage_base(lineage)});
  drop(std::exchange(store_, Store()));
  commit_ = recovered_end_ = lineage_base(lineage);
  disk_.begin_generation(log_.base(), store_.clock(), log_);
  forget_leader();
  caught_up_ = false;
  agree_again();
  begin_history(commit_, WatchBreak::kLineage);
  if (register_ || had_data) {
    out_.log(LogLevel::kError, "A NEW LINEAGE BEGINS: all data of the former one is lost",
             {{"lineage", std::to_string(lineage.value)}});
  }
}

// An operator has decided for this server's copy, with all that its log has: others may have been told that it was
// done. The log begins one revision behind the lineage's beginning, so that nobody who is there takes itself for
// complete. On disk the copy comes first and the lineage's number after it: a restart in between finds the former
// ones and does this again.
void Replica::carry_over(const Register& content) {
  if (leader()) step_down("a new lineage has begun");
  advance(log_.last().revision);
  lineage_ = content.lineage;
  const LogPosition base{content.epoch, lineage_base(lineage_).next()};
  log_.reset(base);
  commit_ = recovered_end_ = base.revision;
  carrying_ = out_.config.self.durable;
  disk_.begin_generation(base, store_.clock(), log_);
  forget_leader();
  agree_again();
  begin_history(commit_, WatchBreak::kLineage);
  out_.log(LogLevel::kError, "A NEW LINEAGE BEGINS, on an operator's word: with this server's copy",
           {{"lineage", std::to_string(lineage_.value)}, {"keys", std::to_string(store_.size())}});
}

void Replica::lead() {
  drop_staging();
  if (sparse_) store_.view_anew();
  role_.emplace<Leading>(log_, store_, commit_);
  clock_.reach(store_.clock());
  if (const EntryPointer& newest = log_.at(log_.last().revision)) clock_.reach(newest->clock);
  leader()->found = log_.last();
  leader()->takeover = log_.last().revision;
  leader()->fresh = !caught_up_ && out_.config.self.durable;
  leader()->since = leader()->marked_at = out_.now;
  // A server that still reads its directory is not to be seen anywhere. The others' directories are as large as
  // ours, or larger when ours is an old one.
  leader()->usual_start = std::max(kLastShrinkPatience * out_.config.leader_silence, recovery_took_);
  leader()->commit_before = leader()->commit_marked = commit_;
  set_sparse(false);
  set_caught_up();
  ++counters_.elections;
  for (auto& [link, peer] : peers_) restart_peer(peer);
  out_.log(LogLevel::kInfo, "elected",
           {{"epoch", std::to_string(epoch_.value)},
            {"revision", std::to_string(leader()->takeover.value)},
            {"cause", election_cause_name(register_->cause)},
            {"in_sync_size", std::to_string(register_->in_sync.size())}});
}

void Replica::step_down(const std::string& why) {
  CHECK(leader());
  out_.log(LogLevel::kWarn, "stepped down", {{"reason", why}, {"epoch", std::to_string(epoch_.value)}});
  const auto writes = std::move(leader()->writes);
  const auto early = forget_early_writes();
  const auto receives = leader()->receives.take_all();
  const auto reads = std::move(leader()->reads);
  const auto settings = std::move(leader()->settings);
  role_.emplace<Following>();
  ++counters_.step_downs;
  out_.election.post(LeadActive{false});
  // What is in the log may live on under the next leader, or not: nobody here can know (rule 12).
  const std::string line =
      "this server stopped leading before the write was confirmed: read the key before you repeat it";
  for (const PendingWrite& write : writes) {
    refuse(write.token, ErrorCode::kSteppedDown, Outcome::kUnknown, line);
  }
  for (const Propose& message : early) {
    refuse(message.token, ErrorCode::kNoLeader, Outcome::kNotApplied,
           "this server stopped leading: try again");
  }
  refuse_receives(receives, "this server stopped leading: try again");
  for (const auto& [token, min] : settings) {
    refuse(token, ErrorCode::kSteppedDown, Outcome::kUnknown, line);
  }
  for (const PendingRead& read : reads) {
    // A write that changes nothing is asked again only when its KV router's others were not appended since: one
    // behind it on its connection may live on in the log.
    const bool write = read.answer && read.revision == Revision();
    const auto sender = senders_.find(read.from);
    const bool overtaken = write && sender != senders_.end() && sender->second.appended > read.after;
    // A receive that waited in vain may have settled something before.
    const auto* received = read.answer ? std::get_if<Box<Received>>(&*read.answer) : nullptr;
    const bool settled = received != nullptr && !(*received)->settled.empty();
    refuse(read.token, overtaken || settled ? ErrorCode::kSteppedDown : ErrorCode::kNoLeader,
           settled ? Outcome::kUnknown : Outcome::kNotApplied, "this server stopped leading: try again");
  }
  for (auto& [link, sender] : senders_) sender = Sender{sender.newest, sender.newest + 1, Revision()};
  following().heard = out_.now;
  following().verified = commit_;
  announce();
}

void Replica::follow(const Register& content) {
  std::optional<LinkId> link = following().leader == content.leader ? following().link : std::nullopt;
  forget_leader();
  following().link = link;
  following().leader = content.leader;
  following().heard = out_.now;
  following().verified = commit_;
  out_.log(LogLevel::kInfo, "follows",
           {{"leader", content.leader.id.value}, {"epoch", std::to_string(content.epoch.value)}});
}

// Rule 4: whoever speaks of a newer epoch is believed at once. Nothing of an older one is accepted from here
// on.
void Replica::learn_epoch(Epoch epoch) {
  if (epoch <= epoch_) return;
  if (leader()) step_down("a peer knows a newer epoch, " + std::to_string(epoch.value));
  epoch_ = epoch;
  if (!carrying_) disk_.keep(epoch_);
  Member leader = following().leader;
  forget_leader();
  following().leader = leader;
  following().heard = out_.now;
  following().verified = commit_;
  out_.register_keeper.post(EpochHeard{epoch});
  announce();
}

void Replica::set_sparse(bool sparse) {
  if (sparse_ == sparse) return;
  sparse_ = sparse;
  if (!sparse && !leader()) store_.view_anew();
  out_.links.post(SparseChanged{sparse});
  announce();
}

// Not before everything that was visible here in the life before is visible again: reads never go back.
void Replica::set_caught_up() {
  if (caught_up_ || commit_ < recovered_end_) return;
  caught_up_ = true;
  announce();
}

void Replica::announce() {
  RoleChanged role;
  role.leading = leading();
  role.active = active();
  role.readable = readable();
  role.complete = complete();
  role.doubted = doubted_;
  role.epoch = epoch_;
  bool named = register_ && !doubted_ && register_->epoch == epoch_;
  if (named && (leader() || register_->leader != out_.config.self.member)) role.leader = register_->leader;
  bool same = announced_ && announced_->leading == role.leading && announced_->active == role.active &&
              announced_->readable == role.readable && announced_->complete == role.complete &&
              announced_->doubted == role.doubted && announced_->epoch == role.epoch &&
              announced_->leader == role.leader;
  if (same) return;
  announced_ = role;
  out_.watch.post(role);
  out_.topic_readers.post(role);
  out_.kv_router.post(std::move(role));
  tell_watchers();
}

Role Replica::role() const {
  if (leader()) return Role::kLeader;
  if (sparse_) return Role::kSparse;
  if (was_in_sync_) return Role::kFollower;
  return register_ ? Role::kLearner : Role::kCandidate;
}

bool Replica::hears_leader() const {
  const auto silence = leader_silence();
  return silence && *silence <= out_.config.leader_silence;
}

std::optional<Duration> Replica::leader_silence() const {
  const auto* following = std::get_if<Following>(&role_);
  if (following == nullptr || !following->link) return std::nullopt;
  return out_.now - following->heard;
}

// ---- peers ----

void Replica::on(const PeerUp& message) {
  dead_.erase(message.info.member);
  starting_.erase(message.info.member);
  learn_epoch(message.epoch);
  if (!message.dialed) return;
  Peer peer;
  peer.link = message.link;
  peer.member = message.info.member;
  peer.sparse = message.sparse;
  peer.recovered = message.recovered;
  peer.durable = message.info.durable;
  Peer& kept = peers_[message.link] = std::move(peer);
  if (leader()) restart_peer(kept);
}

void Replica::on(const PeerDown& message) {
  if (message.dialed) {
    peers_.erase(message.link);
  } else if (!leader() && following().link == message.link) {
    // A new link starts from nothing: half a snapshot, or what was verified on the old one, is void.
    following().link.reset();
    following().snapshot = 0;
    drop_staging();
    following().verified = commit_;
  }
}

void Replica::on(const PeerDead& message) {
  dead_.insert(message.member);
  starting_.erase(message.member);
}

void Replica::on(const PeerStarting& message) {
  if (message.starts) starting_.insert(message.member);
  if (!message.starts) starting_.erase(message.member);
}

void Replica::on(MembersListed&& message) {
  registered_.clear();
  for (const ServerInfo& info : message.members) registered_.insert(info.member);
}

void Replica::on(PeerSaid&& message) {
  if (auto* suspect = std::get_if<Suspect>(&message.message)) {
    on_suspect(message, *suspect);
  } else if (peers_.contains(message.link)) {
    from_follower(message, message.message);
  } else {
    from_leader(message, message.message);
  }
}

// The second opinion. A little before our own limit is soon enough: the asker repeats the question.
void Replica::on_suspect(const PeerSaid& said, const Suspect& suspect) {
  bool known = !leader() && suspect.epoch == epoch_ && register_ && suspect.leader == register_->leader;
  bool silent =
      known && out_.now - following().heard > out_.config.leader_silence - 2 * out_.config.heartbeat;
  bool agrees = known && (silent || dead_.contains(suspect.leader));
  out_.emit(LinkSend{said.link, SuspectReply{suspect.epoch, suspect.leader, agrees}});
}

// ---- what is committed is applied and visible, and nothing else (rule 8) ----

void Replica::advance(Revision commit) {
  CHECK(commit >= commit_);
  CHECK(commit <= log_.last().revision);
  if (commit == commit_) return;
  const Revision before = std::exchange(commit_, commit);
  std::vector<EntryPointer> entries = committed_since(before);
  for (const EntryPointer& entry : entries) store_.apply(*entry);
  out_.kv_router.post(Applied{commit_});
  if (topics_read_) out_.topic_readers.post(Committed{entries});
  if (!leader() || !mutated(Mutation::kWatchUncommitted)) out_.watch.post(Committed{std::move(entries)});
}

std::vector<EntryPointer> Replica::committed_since(Revision revision) const {
  std::vector<EntryPointer> entries;
  entries.reserve(commit_.value - revision.value);
  while (revision < commit_) entries.push_back(log_.at(revision = revision.next()));
  return entries;
}

// The copy did not come to `commit_` by what was committed here since.
void Replica::begin_history(Revision base, WatchBreak why) {
  out_.kv_router.post(Applied{commit_});
  if (why == WatchBreak::kSnapshot && mutated(Mutation::kHistoryOverInstall)) return;
  if (why == WatchBreak::kLineage && mutated(Mutation::kHistoryOverLineage)) return;
  out_.watch.post(HistoryReset{base, why});
  out_.topic_readers.post(HistoryReset{base, why});
}

void Replica::tell_watchers() {
  const bool current = readable() && (active() || hears_leader());
  if (std::exchange(told_current_, current) == current) return;
  const CopyHeard heard{current, leader_silence().value_or(Duration(0))};
  out_.watch.post(heard);
  out_.topic_readers.post(heard);
}

void Replica::answer(uint64_t token, Answer what, Revision revision) {
  out_.kv_router.post(Answered{token, std::move(what), revision, false});
}

void Replica::refuse(uint64_t token, ErrorCode code, Outcome outcome, std::string detail) {
  answer(token, Failed{code, outcome, std::move(detail)}, commit_);
}

// ---- time ----

// The loop itself slept: the answers that we miss may be waiting unread in our own sockets. Timers run before
// sockets are read, so without this a server that was stopped for two seconds would depose a healthy leader,
// and a leader that was stopped would throw everybody out.
void Replica::on(const Stalled&) {
  for (auto& [link, peer] : peers_) peer.heard = peer.progress = peer.incomplete_since = out_.now;
  if (leader()) {
    leader()->unlinked_since.clear();
  } else {
    following().heard = out_.now;
  }
}

void Replica::on(DiskAnswer&& message) {
  bool unsafe = !disk_.generation_safe();
  disk_.on(std::move(message));
  if (disk_.generation_safe()) {
    if (std::exchange(carrying_, false)) remember_register();
    if (!diverged_) disk_.trust();
  }
  if (leader()) return;  // flush() commits
  if (!following().staging) learn_commit(commit_);
  if (unsafe && disk_.generation_safe() && following().link) confirm(*following().link, 0);
}

void Replica::on_time() {
  log_.prune(commit_, out_.config.tuning.retained_entries);
  if (active()) run_clock();
  // Bit by bit, so that who begins to lead has little of it left to do. What a deposed leader's clock said too much is
  // taken back then.
  if (!leader() && !sparse_) store_.queues().ripen(clock_.ms());
  if (leader()) {
    lead_on_time();
  } else if (register_ && register_->epoch == epoch_ && !doubted_) {
    Duration silent = out_.now - following().heard;
    if (silent > out_.config.leader_silence && out_.now - following().reported >= out_.config.heartbeat) {
      following().reported = out_.now;
      out_.election.post(LeaderSilent{register_->leader, epoch_, silent});
    }
  }
  tell_watchers();
  if (move_) finish_move();
  if (stopping_ || move_) drain();
}

Instant Replica::deadline() const {
  // Once the register is known there is always something to watch, and a heartbeat's pace is enough for all
  // of it; that regularity is also what lets the node notice when its own loop has slept.
  const bool alone_at_work = (stopping_ && !stop_done_) || (active() && store_.has_due());
  bool watches = out_.config.standalone ? alone_at_work : register_ || stopping_;
  const bool sends_on = leader() && leader()->turn_bytes >= out_.config.tuning.turn_bytes;
  if (!freeing_.empty() || sends_on) return out_.now;
  const Instant receives = leader() ? leader()->receives.deadline() : kNever;
  return std::min(receives, watches ? out_.now + out_.config.heartbeat / 2 : kNever);
}

// What ends by its time ends behind the renewals that have waited in this server's sockets while it slept.
void Replica::flush() {
  if (active()) {
    end_receives();
    expire_what_is_due();
    serve_woken();
  }
  if (leader() && disk_.all_kept() && !carrying_) flush_as_leader();
  disk_.flush(log_, store_, commit_);
  if (!freeing_.empty() && !freeing_.back().free_some()) freeing_.pop_back();
}

// A small one goes at once.
void Replica::drop(Store store) {
  if (store.free_some()) freeing_.push_back(std::move(store));
}

void Replica::drop_staging() {
  if (following().staging) drop(std::move(following().staging->store));
  following().staging.reset();
}

void Replica::forget_leader() {
  drop_staging();
  role_.emplace<Following>();
}

std::vector<Replica::PeerView> Replica::peer_views() const {
  std::vector<PeerView> views;
  for (const auto& [link, peer] : peers_) {
    views.push_back(PeerView{peer.member, !peer.whole && peer.sparse, leader() ? peer.match : std::nullopt,
                             out_.now - peer.heard});
  }
  return views;
}

}  // namespace kvd
