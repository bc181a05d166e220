// The replica actor: the log, and with it everything that is promised to clients. As leader it appends, replicates,
// commits and answers; as follower it accepts, truncates, applies; as learner it takes a snapshot while writes go on.
//
// It keeps the roles and the wiring; what can be decided without them is decided by values of its own (src/README.md
// has the list). Its parts, by what they do, each in replica_NAME.cpp: write (which writes are taken), receives (of
// messages, and who waits for them), leader (commit, what followers answer), sending, reads, handover, follower, and
// differs (copies that contradict each other). The rules that the comments name by number are in src/README.md.
#pragma once
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>

#include "core/outbox.hpp"
#include "core/queues/queue_reads.hpp"
#include "core/replica/copies.hpp"
#include "core/replica/durability.hpp"
#include "core/replica/following.hpp"
#include "core/replica/in_sync_set.hpp"
#include "core/replica/leading.hpp"
#include "core/replica/log.hpp"
#include "core/replica/log_clock.hpp"
#include "core/replica/peer.hpp"
#include "core/replica/progress.hpp"
#include "core/replica/recovery.hpp"
#include "core/replica/store.hpp"

namespace kvd {

class Replica {
 public:
  explicit Replica(Outbox& out);

  // Before anything else, when there is a disk: with what it held, and how long it took to read it.
  void restore(Recovery::Found found, Duration took);
  void handle(ReplicaMessage&& message);
  void on_time();
  // Once per turn, after all mailboxes: sends what the turn's writes and reads have gathered, one batch per
  // peer.
  void flush();
  Instant deadline() const;

  // For views and status.
  Role role() const;
  bool leading() const { return leader() != nullptr; }
  bool active() const { return leader() && leader()->active; }
  bool readable() const { return caught_up_ || sparse_; }
  bool complete() const { return caught_up_ && !sparse_; }
  bool hears_leader() const;
  bool diverged() const { return diverged_.has_value(); }
  // Whose copy differs, as long as nobody knows which is right; empty: nobody's.
  std::string contradicted_by() const;
  // While leading: who is in sync and has not confirmed where its log matches, as "b, c".
  std::string unconfirmed() const;
  bool waits_for_long() const;  // while leading: for those
  bool stopped() const { return stop_done_; }
  Lineage lineage() const { return lineage_; }
  Epoch epoch() const { return epoch_; }
  Revision commit() const { return commit_; }
  const Log& log() const { return log_; }
  uint64_t clock_ms() const { return clock_.ms(); }
  const Store& store() const { return store_; }
  std::vector<Member> required() const;
  const std::optional<Register>& config() const { return register_; }
  struct PeerView {
    Member member;
    bool sparse = false;
    std::optional<Revision> match;
    Duration silent{0};
  };
  std::vector<PeerView> peer_views() const;
  std::optional<Duration> leader_silence() const;
  uint32_t responsive() const;
  const Counters& counters() const { return counters_; }
  bool disk_low() const { return disk_.low(); }
  std::optional<WorkStatus> work() const { return catching_up_.status(); }

 private:
  enum class Evidence { kLog, kDigest };
  struct Contradiction {  // this copy differs from the leader's
    Member leader;
    Evidence by = Evidence::kLog;
  };

  struct Sender {          // a KV router, and of its writes' terms
    uint64_t newest = 0;   // the newest
    uint64_t refused = 0;  // ... those below this: one of them was refused, and may be sent again
    Revision appended;     // its newest write in the log
  };
  static constexpr Duration kMoveLimit = milliseconds(2000);  // then this server goes on leading
  struct Move {                     // a planned hand-over; outlives the reign that it ends
    std::optional<uint64_t> token;  // none: this server wants it itself
    std::optional<ServerId> to;
    Epoch from;
    Instant limit{};
  };

  void on(const RegisterSeen& message);
  void on(const RegisterAbsent& message);
  void on(const RegisterDoubted& message);
  void on(const CopyAsked& message);
  void on(const ChangeResolved& message);
  void on(const PeerUp& message);
  void on(const PeerDown& message);
  void on(const PeerDead& message);
  void on(const PeerStarting& message);
  void on(PeerSaid&& message);
  void on(Propose&& message);
  void on(const SenderGone& message);
  void on(const Withdraw& message);
  void on(MembersListed&& message);
  void on(Read&& message);
  void on(const TopicsRead& message) { topics_read_ = message.wanted; }
  void on(DiskAnswer&& message);
  void on(const Stalled& message);
  void on(const StopRequested& message);

  Leading* leader() { return std::get_if<Leading>(&role_); }  // null: this server does not lead
  const Leading* leader() const { return std::get_if<Leading>(&role_); }
  Following& following();  // this server does not lead

  // replica.cpp
  void lead();
  void step_down(const std::string& why);
  void follow(const Register& content);
  void begin_lineage(Lineage lineage);
  void carry_over(const Register& content);
  void remember_register();
  void forget_the_dead();
  void learn_epoch(Epoch epoch);
  void set_sparse(bool sparse);
  void set_caught_up();
  void announce();
  void drop(Store store);
  void drop_staging();
  void forget_leader();
  void advance(Revision commit);
  std::vector<EntryPointer> committed_since(Revision revision) const;
  void begin_history(Revision base, WatchBreak why);
  void tell_watchers();
  void answer(uint64_t token, Answer what, Revision revision);
  void refuse(uint64_t token, ErrorCode code, Outcome outcome, std::string detail);
  void on_suspect(const PeerSaid& said, const Suspect& suspect);

  // replica_write.cpp
  bool takes_writes(const Propose& message);
  bool overtakes(const Propose& message);
  void passed_over(LinkId from, uint64_t term);
  bool overloaded(const Operation& operation) const;
  std::optional<Failed> missing_right(const std::shared_ptr<const Caller>& caller, const Operation& operation,
                                      const OptionalBox<Fence>& fence);
  bool may_still(const Propose& message);
  bool admit(const Propose& message);
  std::optional<std::string> too_few_in_sync() const;
  bool enough_in_sync(uint64_t token);
  void expire_what_is_due();
  void run_clock();
  void write_clock();
  WriteEvaluator::Room room() const;
  void carry_out(const Propose& message, Evaluation&& evaluation);
  void put_off(Propose&& message);
  std::deque<Propose> forget_early_writes();
  void append(const Propose& message, Change& change);
  void append_entry(std::vector<Record> effects);
  void answer_later(const Propose& message, Unchanged& unchanged);
  void change_settings(uint64_t token, const ChangeSettings& settings);

  // replica_receives.cpp
  void receive(Propose&& message);
  void forget_former_sendings(const ReceiveMessages& receive);
  void serve_receives(const SourceName& source);
  void refuse_without_right(const WaitingReceive& waiting, Failed failed);
  void serve_woken();
  void end_receives();
  void refuse_receives(const std::vector<WaitingReceive>& receives, const std::string& why);

  // replica_leader.cpp
  LeaderView view() const;
  InSyncSet in_sync() const { return InSyncSet(view()); }
  Copies copies() const { return Copies(view()); }
  void from_follower(const PeerSaid& said, PeerMessage& message);
  void on_ack(Peer& peer, const AppendAck& ack);
  void on_nack(Peer& peer, const AppendNack& nack);
  void on_heartbeat_ack(Peer& peer, const HeartbeatAck& ack);
  void on_snapshot_ack(Peer& peer, const SnapshotAck& ack);
  void flush_as_leader();
  void commit_what_is_held();
  Revision await_learners(Revision held);
  void mark_commit();
  void activate();
  void lead_on_time();
  void propose_what_is_due();
  void propose_register(Proposal proposal);
  void order_proposal();
  Register proposed_register() const;

  // replica_sending.cpp
  void restart_peer(Peer& peer);
  void send_heartbeat(Peer& peer, bool notice);
  void send_entries(Peer& peer);
  void begin_snapshot(Peer& peer);
  void send_snapshot(Peer& peer);

  // replica_reads.cpp
  Answer read_now(const Operation& operation) const;
  Answer read_queue_here(const ReadQueue& read, const ReadAt& at) const;
  Answer read_subscription_here(const ReadSubscription& read, const ReadAt& at) const;
  Lifetime lifetime_of(const std::string& key) const;
  uint64_t left_until(uint64_t deadline) const;
  LeaseInfo lease_info(const Record& record) const;
  Answer read_lease(const ReadLease& read) const;
  Answer list_leases(const ListLeases& list) const;
  Answer list_access(const ListAccess& list) const;
  Answer read_here(const Operation& operation, Revision& at);
  Answer read_snapshot(const ReadSnapshot& read, Revision& at) const;
  void serve_reads();
  bool round_confirmed(uint64_t round) const;

  // replica_handover.cpp
  void move_leader(uint64_t token, const MoveLeader& move);
  void finish_move();
  void give_up_stuck_disk();
  void yield_to_disk();
  void drain();

  // replica_follower.cpp
  void from_leader(const PeerSaid& said, PeerMessage& message);
  bool accept_leader(const PeerSaid& said, Epoch epoch);
  void on_append(const PeerSaid& said, const Append& append);
  void on_heartbeat(const PeerSaid& said, const Heartbeat& heartbeat);
  void on_snapshot_begin(const PeerSaid& said, const SnapshotBegin& begin);
  void on_snapshot_chunk(const PeerSaid& said, SnapshotChunk& chunk);
  void on_snapshot_end(const PeerSaid& said, const SnapshotEnd& end);
  void install_if_complete(LinkId link);
  void confirm(LinkId link, uint64_t round);
  bool take_entries(Log& log, const Append& append, Revision floor);
  void truncate_after(Log& log, Revision revision);
  void drop_void_tail(Revision leaders_end);
  void compare_digests(uint64_t leaders);
  Revision hint(const Log& log, const LogPosition& previous, Revision floor) const;
  void learn_commit(Revision commit);

  // replica_differs.cpp
  void contradicted(Revision revision, Evidence by);
  void judge_anew();
  void agree_again();
  void ask_anew();
  bool voted_out(const std::vector<Member>& before) const;
  bool refuses(const PeerSaid& said, Revision leaders_end);
  void begin_copy_anew();
  void yield_to_longer();

  Outbox& out_;
  std::optional<Register> register_;
  Lineage lineage_;
  Epoch epoch_;  // newest known, from the register or from a peer: everything older is refused (rule 4)
  Log log_;
  LogClock clock_;
  Store store_;
  std::vector<Store> freeing_;  // former ones, freed bit by bit
  Durability disk_;
  Duration recovery_took_{0};
  Revision recovered_end_;  // what this server's clients may have seen before it restarted ends here
  Revision commit_;         // known committed, applied to store_, visible
  bool caught_up_ = false;  // the copy has once been as new as its leader's
  bool sparse_ = false;
  bool was_in_sync_ = false;
  bool doubted_ = false;                   // the register is not believed: rule 17
  std::optional<Contradiction> diverged_;  // rule 18
  bool carrying_ = false;                  // a new lineage begins with this copy, which is not safe yet
  std::optional<Register> proposed_;       // ordered with a larger in-sync set, while its outcome is open
  // Exactly one of the two, so that nothing of a reign can be left in a follower, nor of a leader that was followed in
  // its successor. Beside it stands what outlives a role. A server that changes its role keeps the links on which it
  // has been greeted (peers_), and what is proven or registered of others. It answers for terms of senders across its
  // reigns, and a hand-over ends the reign that it was begun in. What is committed, doubted or contradicted is true of
  // this copy, whoever leads.
  std::variant<Following, Leading> role_;
  std::map<LinkId, Sender> senders_;  // see Propose
  Peers peers_;                       // that we dialed
  std::set<Member> dead_;             // proven
  std::set<Member> starting_;         // ... and lives anew, or will
  std::set<Member> registered_;       // in ZooKeeper
  std::optional<RoleChanged> announced_;
  bool told_current_ = false;  // watch
  bool topics_read_ = false;   // see TopicsRead
  bool stopping_ = false;
  bool stop_done_ = false;
  Instant stop_limit_ = kNever;
  std::optional<Move> move_;
  Progress catching_up_;
  Counters counters_;
};

}  // namespace kvd
