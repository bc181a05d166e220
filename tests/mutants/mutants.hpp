// Where each mutation is hunted: options (on top of their defaults) under which a run soon gets to where the rule
// matters, and the seeds to try. Several, so that a change of the core that shifts a run's course does not hide what
// another seed still shows. What is too rare for that has a test of its own.
#pragma once
#include <cstdint>

#include "core/mutation.hpp"

namespace kvd::sim {

// mutants_directed.cpp. True: the node broke the rule.
bool breaks_by_foreign_acks();
bool breaks_by_old_verdict();
bool breaks_by_joining_at_commit();
bool breaks_by_acting_unkept();
bool breaks_by_believing();
bool breaks_by_forgetting_growth();
bool breaks_by_restoring_alone();
bool breaks_by_beginning_twice();
bool breaks_by_writing_early();
bool breaks_by_obeying_shorter();
bool breaks_by_counting_differing();
bool breaks_by_obeying_old();
bool breaks_by_death_of_former();
bool breaks_by_taking_at_once();
bool breaks_by_unwatched_place();
bool breaks_by_unwatched_member();
bool breaks_by_taking_twice();
bool breaks_by_unwatched_entry();
bool breaks_by_forgetting_refusal();
bool breaks_by_repeating_behind();
bool breaks_by_unchecked_others();
bool breaks_by_greeting_early();

struct Hunt {
  Mutation mutation;
  const char* name;
  const char* options;
  uint64_t seeds = 1;          // from 1 on
  bool (*breaks)() = nullptr;  // instead of options and seeds
  const char* bias = "";       // --long: set on top of what is drawn from the seed
};

// Short timers, much going on, everything fails now and then.
#define KVD_BUSY                                                                              \
  "heartbeat_us=10000 silence_us=90000 lag_us=60000 session_us=1000000 zk_delay_us_max=2000 " \
  "quiet_start_us=1000000 "                                                                   \
  "operations_max=2000 think_us_max=30000 clients=4 keys=3 "
inline constexpr const char* kRough = KVD_BUSY
    "crash_us=500000 down_us_max=300000 pause_us=1000000 hunt_leader=50 "
    "partition_us=1000000 fault_us_max=1000000 zk_lose_sets=20";
// ZooKeeper loses the register's changes, and applies some of them later; servers come and go.
inline constexpr const char* kLost =
    KVD_BUSY "crash_us=400000 down_us_max=300000 zk_lose_sets=60 zk_late_us_max=3000000";
// Hosts vanish silently and are back at once, while not everybody sees ZooKeeper or each other.
inline constexpr const char* kReplaced = KVD_BUSY
    "servers=4 power_us=200000 down_us_max=100000 zk_cut_us=500000 "
    "partition_us=300000 fault_us_max=1000000 hunt_leader=30";
// Leaders die soon after they were elected, and one follower or another is slow.
inline constexpr const char* kTakeovers = KVD_BUSY
    "servers=4 crash_us=200000 down_us_max=300000 slow_us=200000 "
    "fault_us_max=1000000 delay_us_max=10000 hunt_leader=90 clients=8 think_us_max=10000";
// Servers' clocks jump.
inline constexpr const char* kJumping = KVD_BUSY "jump_us=1000000 crash_us=2000000 down_us_max=300000";
// A leader does not notice that the other one goes on without it.
inline constexpr const char* kDeposed =
    KVD_BUSY "isolate_us=400000 fault_us_max=600000 hunt_leader=90 clients=8";
inline constexpr const char* kDeposedByOne = KVD_BUSY
    "servers=2 isolate_us=400000 fault_us_max=600000 hunt_leader=90 "
    "clients=8";

// After the faults some servers are broken for good.
inline constexpr const char* kCores =
    KVD_BUSY "crash_us=500000 down_us_max=300000 fault_phase_us=3000000 core=1";
// One snapshot after another, in small pieces.
inline constexpr const char* kSnapshots = KVD_BUSY
    "sparse=1 crash_us=500000 down_us_max=100000 slow_us=300000 "
    "fault_us_max=500000 keys=8 retained_entries=1 window_bytes=1 snapshot_chunk_bytes=1";

// --long: two servers that lead in turn on links that stand, and are cut off from each other now and then.
inline constexpr const char* kInTurn =
    "servers=2 standalone=0 sparse=0 min_in_sync=1 expect=1 settings=0 depose_and_return_us=300000 "
    "isolate_us=400000 "
    "hunt_leader=90";
// --long: everything is lost again and again, and who begins anew soon loses its ZooKeeper session.
inline constexpr const char* kLostAndCut =
    "servers=2 standalone=0 sparse=0 min_in_sync=1 expect=1 settings=0 total_loss=1 blackout_us=2000000 "
    "down_us_max=30000 session_us=100000 zk_cut_leaders=90 fault_us_max=500000";
// --long: ZooKeeper comes back with older data, or a directory does.
inline constexpr const char* kGoesBack = "standalone=0 twin_us=0 zk_back=1";
inline constexpr const char* kOldCopy = "standalone=0 durable=1 old_copy=1";
// Slow disks that outlive their servers, and power that is lost, often everywhere at once.
inline constexpr const char* kDisks = KVD_BUSY
    "durable=1 disk_us_max=20000 power_us=400000 power_all_us=700000 down_us_max=200000 hunt_leader=50 "
    "clients=8 "
    "think_us_max=10000";
// Disks so slow that leaders die before they have any of their reign on them.
inline constexpr const char* kSlowDisks = KVD_BUSY
    "servers=2 durable=1 disk_us_max=60000 crash_us=200000 down_us_max=50000 hunt_leader=90 clients=8 "
    "think_us_max=10000";
// Holders of two locks who depose each other all the time, and many writes that are not committed yet.
inline constexpr const char* kFencing =
    KVD_BUSY "fenced=80 keyed=30 clients=8 think_us_max=5000 delay_us_max=10000";
// Transactions and sums on a few keys, many of which are not committed yet; now and then answers are lost.
inline constexpr const char* kTogether = KVD_BUSY
    "txn=80 keyed=40 clients=6 think_us_max=5000 delay_us_max=10000 crash_us=2000000 down_us_max=300000";
// The lead moves while clients send one write after another; --long: as well.
#define KVD_HANDED_ON "pipelined=4 moves=20 settings=0 "
inline constexpr const char* kPipelined = KVD_BUSY KVD_HANDED_ON "clients=4";
inline constexpr const char* kHandedOn = KVD_HANDED_ON "servers=3 standalone=0";

// Clients watch what changes at servers that come and go, with little history and less room.
#define KVD_WATCHED "watchers=4 history_bytes=1000 watch_window=300 watch_slice=3 "
inline constexpr const char* kWatched = KVD_BUSY KVD_WATCHED
    "crash_us=1000000 down_us_max=300000 isolate_us=1000000 partition_us=1000000 fault_us_max=1000000";
// ... and learn what they have missed as a snapshot.
inline constexpr const char* kWatchedAnew = KVD_BUSY
    "watchers=4 partition_us=500000 pause_us=500000 fault_us_max=1000000 retained_entries=1 "
    "window_bytes=1000";
// ... and everything is lost now and then.
inline constexpr const char* kWatchedLost =
    KVD_BUSY "servers=2 watchers=4 total_loss=1 blackout_us=2000000 crash_us=1000000 down_us_max=100000";

// Somebody has a certificate of the cluster, and says that he is another server.
inline constexpr const char* kImpostors = KVD_BUSY "impostor_us=500000 standalone=0 servers=3";

// Keys live for a time, or as long as a lease, and much of what changes that is not committed yet.
inline constexpr const char* kTermed =
    KVD_BUSY "terms=8 crash_us=2000000 down_us_max=300000 delay_us_max=30000 clients=1";

// Leases are held by connections, and taken up at another server while the former connection stands.
inline constexpr const char* kHolding =
    KVD_BUSY "holds=8 crash_us=2000000 down_us_max=300000 delay_us_max=30000 clients=1";

// Rights come and go, and servers that do not hear each other judge by old ones.
inline constexpr const char* kRighted = KVD_BUSY
    "rights=4 crash_us=2000000 down_us_max=300000 slow_us=1000000 fault_us_max=600000 delay_us_max=30000 "
    "clients=1";

// Messages are sent and granted, and much of that is not committed yet.
inline constexpr const char* kQueued =
    KVD_BUSY "queues=8 crash_us=2000000 down_us_max=300000 delay_us_max=30000 clients=1";
// ... to few, while little fails.
inline constexpr const char* kQueuedCalm =
    "queues=3 clients=1 operations_max=100 fault_phase_us=2000000 delay_us_max=30000 timeout_us=500000";
// ... by leaders that are deposed without knowing it.
inline constexpr const char* kQueuedDeposed =
    KVD_BUSY "queues=8 isolate_us=400000 fault_us_max=600000 hunt_leader=90 delay_us_max=10000 clients=1";
// ... while links break.
inline constexpr const char* kQueuedCut = KVD_BUSY
    "queues=8 reset_us=200000 half_open_us=400000 moves=10 delay_us_max=10000 clients=2 timeout_us=1000000";

// Messages are published, and granted to subscriptions, and much of that is not committed yet.
inline constexpr const char* kPublished =
    KVD_BUSY "topics=8 crash_us=2000000 down_us_max=300000 delay_us_max=30000 clients=1";

// Clients of one service contend while their servers are cut off from ZooKeeper, which soon forgets them.
#define KVD_CUT_OFF KVD_BUSY "zk_cut_us=800000 crash_us=2000000 down_us_max=500000 fault_us_max=2000000 "
inline constexpr const char* kContended = KVD_CUT_OFF "locks=5";
inline constexpr const char* kLending = KVD_CUT_OFF "clients=1 ids=5";
inline constexpr const char* kWorking = KVD_CUT_OFF "clients=1 tasks=4";
inline constexpr const char* kNaming = KVD_CUT_OFF "clients=1 names=5";
inline constexpr const char* kMeeting = KVD_CUT_OFF "clients=1 barriers=6";
// ... while ZooKeeper's servers that they are connected to lose its leader.
inline constexpr const char* kStranded =
    KVD_BUSY "locks=5 clients=1 zk_strand_us=500000 crash_us=2000000 down_us_max=500000 fault_us_max=3000000";

inline constexpr Hunt kHunts[] = {
    {Mutation::kSetById, "set_by_id", kRough, 100},
    {Mutation::kTakeoverUnconditional, "takeover_unconditional", kRough, 100},
    {Mutation::kOldEpochsAccepted, "old_epochs_accepted", "", 1, breaks_by_obeying_old},
    {Mutation::kShrinkEarly, "shrink_early", kRough, 100},
    {Mutation::kGrowthLate, "growth_late", kRough, 100},
    {Mutation::kIncarnationReplaced, "incarnation_replaced", kReplaced, 100},
    {Mutation::kForeignAcks, "foreign_acks", "", 1, breaks_by_foreign_acks, kInTurn},
    {Mutation::kAmbiguityGuessed, "ambiguity_guessed", kRough, 100},
    {Mutation::kAmbiguityByOneRead, "ambiguity_by_one_read", kLost, 150},
    {Mutation::kLogMatchSkipped, "log_match_skipped", kRough, 100},
    {Mutation::kUncommittedAnswered, "uncommitted_answered", kRough, 100},
    {Mutation::kJoinUnchecked, "join_unchecked", kRough, 100},
    {Mutation::kJoinAtCommit, "join_at_commit", "", 1, breaks_by_joining_at_commit},
    {Mutation::kReadsBeforeActivation, "reads_before_activation", kTakeovers, 60},
    {Mutation::kWrittenEarly, "written_early", "", 1, breaks_by_writing_early, kGoesBack},
    {Mutation::kReadsUnconfirmed, "reads_unconfirmed", kDeposed, 60},
    {Mutation::kReadsAllButOne, "reads_all_but_one", kDeposedByOne, 60},
    {Mutation::kEpochNotKept, "epoch_not_kept", "", 1, breaks_by_acting_unkept, kSlowDisks},
    {Mutation::kLedAgain, "led_again", kDisks, 100},
    {Mutation::kLeaderUnsafe, "leader_unsafe", kDisks, 100},
    {Mutation::kAcknowledgedUnsafe, "acknowledged_unsafe", kDisks, 100},
    {Mutation::kLossByAbsence, "loss_by_absence", kRough, 100},
    {Mutation::kLossByOldVerdict, "loss_by_old_verdict", "", 1, breaks_by_old_verdict, kLostAndCut},
    {Mutation::kGreetedUnregistered, "greeted_unregistered", "", 1, breaks_by_greeting_early},
    {Mutation::kNameUnchecked, "name_unchecked", kImpostors, 20},
    {Mutation::kSilentKept, "silent_kept", kCores, 60},
    {Mutation::kDoubtIgnored, "doubt_ignored", kContended, 60},
    {Mutation::kDoubtByRead, "doubt_by_read", kStranded, 60},
    {Mutation::kPredecessorTrusted, "predecessor_trusted", kContended, 60},
    {Mutation::kPlaceUnwatched, "place_unwatched", "", 1, breaks_by_unwatched_place},
    {Mutation::kRestSkipped, "rest_skipped", kLending, 20},
    {Mutation::kDeathOfFormer, "death_of_former", "", 1, breaks_by_death_of_former},
    {Mutation::kTaskTakenAtOnce, "task_taken_at_once", "", 1, breaks_by_taking_at_once},
    {Mutation::kAttemptUnchecked, "attempt_unchecked", kWorking, 40},
    {Mutation::kAddressUnclaimed, "address_unclaimed", kNaming, 20},
    {Mutation::kViewKept, "view_kept", kNaming, 20},
    {Mutation::kReadyTrusted, "ready_trusted", kMeeting, 20},
    {Mutation::kOthersUnchecked, "others_unchecked", "", 1, breaks_by_unchecked_others},
    {Mutation::kMemberUnwatched, "member_unwatched", "", 1, breaks_by_unwatched_member},
    {Mutation::kLeftAlone, "left_alone", kMeeting, 20},
    {Mutation::kEntryTakenTwice, "entry_taken_twice", "", 1, breaks_by_taking_twice},
    {Mutation::kEntryUnwatched, "entry_unwatched", "", 1, breaks_by_unwatched_entry},
    {Mutation::kSnapshotAnswersMixed, "snapshot_answers_mixed", kSnapshots, 60},
    {Mutation::kRegisterBelieved, "register_believed", "", 1, breaks_by_believing, kGoesBack},
    {Mutation::kGrowthForgotten, "growth_forgotten", "", 1, breaks_by_forgetting_growth, kGoesBack},
    {Mutation::kMissingIgnored, "missing_ignored", "", 1, breaks_by_restoring_alone, kGoesBack},
    {Mutation::kEpochBegunTwice, "epoch_begun_twice", "", 1, breaks_by_beginning_twice, kGoesBack},
    {Mutation::kShorterObeyed, "shorter_obeyed", "", 1, breaks_by_obeying_shorter, kOldCopy},
    {Mutation::kFreshLeads, "fresh_leads", kOldCopy, 200},
    {Mutation::kDifferingCounted, "differing_counted", "", 1, breaks_by_counting_differing, kOldCopy},
    {Mutation::kFenceOfCommitted, "fence_of_committed", kFencing, 20},
    {Mutation::kFenceOfChanges, "fence_of_changes", kFencing, 20},
    {Mutation::kWritesOvertake, "writes_overtake", kPipelined, 20},
    {Mutation::kRefusalForgotten, "refusal_forgotten", "", 1, breaks_by_forgetting_refusal, kHandedOn},
    {Mutation::kTxnOfCommitted, "txn_of_committed", kTogether, 20},
    {Mutation::kTxnTorn, "txn_torn", kTogether, 20},
    {Mutation::kAddReplayed, "add_replayed", kTogether, 20},
    {Mutation::kAddOfCommitted, "add_of_committed", kTogether, 20},
    {Mutation::kRepeatedBehind, "repeated_behind", "", 1, breaks_by_repeating_behind, kHandedOn},
    {Mutation::kClockWithoutLeader, "clock_without_leader", kRough, 20},
    {Mutation::kStallCounted, "stall_counted", kJumping, 20},
    {Mutation::kDeposedClockKept, "deposed_clock_kept", kDeposed, 100},
    {Mutation::kDueByCommitted, "due_by_committed", kTermed, 40},
    {Mutation::kRenewalUnlogged, "renewal_unlogged", kTermed, 20},
    {Mutation::kFormerHoldEnds, "former_hold_ends", kHolding, 20},
    {Mutation::kHoldUnrenewed, "hold_unrenewed", kHolding, 20},
    {Mutation::kHoldKept, "hold_kept", kHolding, 20},
    {Mutation::kForesightKept, "foresight_kept", kQueuedDeposed, 40},
    {Mutation::kDeadDropped, "dead_dropped", kQueued, 20},
    {Mutation::kDeadTwice, "dead_twice", kQueued, 20},
    {Mutation::kReceiptIgnored, "receipt_ignored", kQueued, 20},
    {Mutation::kAttemptsSoft, "attempts_soft", kQueued, 20},
    {Mutation::kGrantOfCommitted, "grant_of_committed", kQueued, 20},
    {Mutation::kReadyUnsorted, "ready_unsorted", kQueued, 20},
    {Mutation::kLaneLoose, "lane_loose", kQueued, 20},
    {Mutation::kPurgeLate, "purge_late", kQueued, 20},
    {Mutation::kDedupOfCommitted, "dedup_of_committed", kQueued, 20},
    {Mutation::kTurnIgnored, "turn_ignored", kQueuedCut, 40},
    {Mutation::kWaitersForgotten, "waiters_forgotten", kQueuedCalm, 40},
    {Mutation::kGhostGrant, "ghost_grant", kQueuedCalm, 40},
    {Mutation::kCursorOverHole, "cursor_over_hole", kPublished, 20},
    {Mutation::kTrimUnsettled, "trim_unsettled", kPublished, 20},
    {Mutation::kSubscribedAtCommit, "subscribed_at_commit", kPublished, 20},
    {Mutation::kGapUntold, "gap_untold", kPublished, 20},
    {Mutation::kReaderRepeats, "reader_repeats", kPublished, 20},
    {Mutation::kReaderUnwoken, "reader_unwoken", kPublished, 40},
    {Mutation::kSeekKeepsGrants, "seek_keeps_grants", kPublished, 20},
    {Mutation::kTermOutlivesKey, "term_outlives_key", kTermed, 20},
    {Mutation::kTermKept, "term_kept", kTermed, 20},
    {Mutation::kExpiredEarly, "expired_early", kTermed, 20},
    {Mutation::kWatchUncommitted, "watch_uncommitted", kWatched, 20},
    {Mutation::kBehindJumps, "behind_jumps", kWatched, 20},
    {Mutation::kOldestOffByOne, "oldest_off_by_one", kWatched, 20},
    {Mutation::kHistoryOverInstall, "history_over_install", kWatchedAnew, 20},
    {Mutation::kHistoryOverLineage, "history_over_lineage", kWatchedLost, 20},
    {Mutation::kTornResume, "torn_resume", kWatched, 20},
    {Mutation::kProgressAhead, "progress_ahead", kWatched, 20},
    {Mutation::kFutureIgnored, "future_ignored", kWatched, 20},
    {Mutation::kProgressLocal, "progress_local", kWatched, 20},
    {Mutation::kStaleRights, "stale_rights", kRighted, 20},
    {Mutation::kNoWindow, "no_window", kWatched, 20},
};

}  // namespace kvd::sim
