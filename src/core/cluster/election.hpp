// The election actor: this server's presence in ZooKeeper and its claim to lead. It registers
// /kvd/members/ID, stands for election with /election/server_N while it may lead, watches only its
// predecessor there, and asks the register keeper for the takeover when the smallest znode is its own or the leader is
// dead or silent.
//
// "May lead" means: in sync according to the register, or part of a cluster that has no register yet, or of
// one that has lost everything. So the plain rule, the smallest sequence number leads, is literally
// what zkCli.sh shows.
#pragma once
#include <deque>
#include <map>
#include <optional>
#include <set>

#include "core/cluster/restoration.hpp"
#include "core/outbox.hpp"

namespace kvd {

class Election {
  // From a sign that somebody has deleted what stands in ZooKeeper until it is made anew.
  static constexpr Duration kSettle = milliseconds(1000);

 public:
  explicit Election(Outbox& out) : out_(out) {}

  void handle(ElectionMessage&& message);
  void on_time();
  Instant deadline() const;

  ZkState zk_state() const { return zk_state_; }
  Duration session_timeout() const { return session_timeout_; }
  std::vector<ServerInfo> members() const;        // as registered, this server included
  std::vector<ElectionRecord> elections() const;  // newest first
  // While the register is in doubt: what is wrong with it, and what is to become of it.
  const std::optional<RegisterDoubted>& doubted() const { return doubted_; }
  const Ruling& ruling() const { return ruling_; }
  bool deserted() const { return deserted_; }
  const std::optional<std::string>& forbidden() const { return forbidden_; }             // a znode, by an ACL
  const std::map<std::string, Registration>& registrations() const { return members_; }  // by id

 private:
  enum class Phase {
    kNoSession,
    kPreparing,   // parents are being created, the register is being read
    kReadingOwn,  // is there a /kvd/members/ID already?
    kChecking,    // there is, of another life: does it answer?
    kWaiting,     // it neither answers nor refuses: until its session must have ended
    kSweeping,    // looking through /election for what is ours
    kRegistering,
    kRegistered,
  };
  enum class Call {
    kParent,
    kReadOwn,
    kReadLife,
    kRegister,
    kListMembers,
    kGetMember,
    kListElection,
    kGetElection,
    kStand,
    kWatchPredecessor,
    kWatchOwn,
    kPublish,
    kIgnored
  };
  struct Pending {
    Call kind = Call::kIgnored;
    std::string name;  // of the znode concerned
  };
  struct Registered {  // a znode below /kvd/members
    Registration content;
    int32_t version = 0;
    uint64_t session = 0;
  };
  struct Doubt {  // why the current leader is to be deposed
    ElectionCause cause = ElectionCause::kFirstInLine;
    Instant since{};
    std::optional<Duration> silent;
    std::optional<Instant> agreed;
  };
  struct Reign {
    ElectionRecord record;  // `ago` is filled in when asked for
    Instant began{};
    Instant doubted{};
  };
  struct Life {  // as registered
    Member member;
    uint64_t session = 0;  // in ZooKeeper
  };
  struct Standing {  // a znode below /election, as the last sweep found it
    ServerInfo info;
    uint64_t owner = 0;
  };

  void on(ZkSessionChanged message);
  void on(ZkResult message);
  void on(ZkWatchFired message);
  void on(RegisterSeen message);
  void on(RegisterAbsent message);
  void on(RegisterDoubted message);
  void on(CopyHeld message);
  void on(CopyDiffers message);
  void on(ForceLineage message);
  void on(PeerUp message);
  void on(PeerDown message);
  void on(PeerDead message);
  void on(PeerStarting message);
  void on(PeerSaid message);
  void on(AliveChecked message);
  void on(TakeoverFailed message);
  void on(LeaderSilent message);
  void on(HandOverWanted message);
  void on(LeadActive message);
  void on(Stalled message);

  // election_register.cpp: from a new session to a registered server.
  void begin_session();
  void begin_anew();
  void prepare();
  void prepared();
  void read_own();
  void on_own(const ZkResult& result);
  void on_life(const ZkResult& result);
  void register_own();
  void on_registered(const ZkResult& result);
  void sweep();
  bool sweeping() const;
  void on_sweep_list(const ZkResult& result);
  void sweep_on();
  void on_sweep_item(const std::string& name, const ZkResult& result);
  void swept();
  void hand_over();
  void list_members();
  void on_members(const ZkResult& result);
  void on_member(const std::string& name, const ZkResult& result);
  void read_member(const std::string& name);
  void members_changed();
  void superseded(const ServerInfo& other);
  void meet(const Member& member, uint64_t session);
  void judge_life(const Member& member, bool dead);
  void judge_session(uint64_t session, bool dead);

  // election.cpp: standing and leading.
  void evaluate();
  void forbidden(const std::string& path);
  void stand();
  void on_stand(const ZkResult& result);
  void resign();
  void list_election();
  void on_election_list(const ZkResult& result);
  void consider_deposing();
  void doubt(ElectionCause cause, std::optional<Duration> silent);
  void depose();
  void record_reign();
  void claim();
  bool in_sync() const;
  bool may_stand() const;
  bool total_loss() const;
  bool led_before() const;
  bool leads() const;
  bool forced_by_flag() const;
  bool all_are_here() const;
  Instant all_here_at() const { return connected_at_ + 2 * session_timeout_; }
  bool reading_members() const;
  bool nobody_in_sync_is_there() const;
  bool linked(const Member& member) const;
  bool calls(const Member& member) const;
  bool is_there(const Member& member) const;
  bool leader_dead() const;
  bool second_opinion();

  // election_doubt.cpp: while the register is in doubt, and what the others think of it.
  void evaluate_doubt();
  void restore(bool forced);
  void warn_of_ruling();
  bool lead_is_doubtful() const;
  bool learn_from_claims();
  void tell_members_read();
  bool others_remember() const;
  void tell_if_deserted();
  Registration own_registration() const;
  bool publish();
  void on_published(const ZkResult& result);
  void answer_force(ErrorCode code, const std::string& why);
  std::string nothing_to_decide() const;
  void settle_force();

  Duration wait_in_line() const;

  void call(Call kind, ZkRequest request, std::string name = "");
  bool calling(Call kind) const;
  void retry_soon();
  void retry();

  Outbox& out_;
  Phase phase_ = Phase::kNoSession;
  ZkState zk_state_ = ZkState::kConnecting;
  uint64_t session_ = 0;
  Duration session_timeout_{0};
  Instant connected_at_ = kNever;  // first, to ZooKeeper
  bool force_spent_ = false;  // a server in sync has been met, or this was one: --force-new-lineage is void
  bool registered_before_ = false;  // in an earlier session of this process
  std::map<ZkCallId, Pending> calls_;
  uint64_t call_counter_ = 0;

  std::optional<Register> register_;
  int32_t version_ = -1;             // the register's
  bool register_ours_ = false;       // RegisterSeen::ours
  bool register_known_ = false;      // read, or known absent, in the current ZooKeeper session
  bool new_cluster_ = false;         // there is none
  bool joined_new_cluster_ = false;  // stood before there was one, and was never in sync since

  std::optional<Registered> old_own_;            // a registration of this id, to be replaced
  bool old_life_ = false;                        // with its znode below /kvd/lives
  std::vector<std::string> stale_;               // a former life's election znodes
  int32_t life_version_ = 0;                     // of our znode below /kvd/lives
  std::map<std::string, Registration> members_;  // as last read, by id
  bool members_unread_ = false;                  // a list or a registration could not be read
  std::map<std::string, int32_t> versions_;      // of their znodes
  bool members_told_ = false;                    // to the register keeper, in this connection
  Registration registering_;                     // ours, on its way
  std::optional<Registration> published_;        // ours, as it stands there
  std::set<std::string> listed_;                 // names of /kvd/members' children

  std::optional<RegisterDoubted> doubted_;
  std::optional<CopyHeld> held_;  // since then, or while deserted_
  bool deserted_ = false;         // as was last known for certain: nobody is left who was in sync
  Ruling ruling_;
  std::string warned_;        // of what, last
  bool lead_active_ = false;  // our reign may acknowledge
  bool differs_ = false;      // our copy contradicts the leader's
  std::optional<ForceLineage> force_;

  std::optional<std::string> own_znode_;
  bool must_sweep_ = false;  // a create's outcome is unknown: look for our own before another one
  std::optional<HandOverWanted> hand_over_;
  Instant hand_over_until_{};
  std::map<std::string, Standing> standing_;
  std::vector<std::string> to_sweep_;  // not asked for yet
  std::set<std::string> foreign_;      // below /election, but nobody's ephemeral: never leads, never leaves
  std::vector<std::string> election_children_;  // sorted, as last listed
  bool listed_fresh_ = false;                   // since the last reason to doubt
  bool claiming_ = false;                       // a takeover is on its way

  std::set<Member> dead_;           // proofs of death
  std::set<Member> starting_;       // ... and they live anew, or will
  std::map<ServerId, Life> lives_;  // the latest of each that has been read
  std::optional<Doubt> doubt_;      // of the current leader
  bool depose_ = false;             // decided: list, then claim
  std::optional<TakeOver> told_to_take_over_;
  Instant told_until_{};
  std::deque<Reign> reigns_;          // oldest first
  Epoch agreed_epoch_;                // somebody agreed that this epoch's leader is silent ...
  Instant agreed_until_{};            // ... and that counts until then
  std::map<LinkId, Member> peers_;    // links that we dialed
  std::map<LinkId, Member> callers_;  // and that others did

  std::optional<std::string> forbidden_;
  Instant prepare_at_ = kNever;  // kPreparing begins then
  Instant doubt_since_{};
  Instant stand_after_{};
  Instant claim_after_{};
  Instant retry_at_ = kNever;
  Instant wait_until_ = kNever;  // kWaiting
};

}  // namespace kvd
