// Rules that a test can switch off one at a time, to show that the simulator notices. Only a build of the core for
// tests (-DKVD_MUTATIONS) has the switch; in every other mutated() is false at compile time, and nothing is left of it.
//
// Each name says what is done instead of what the rule asks for; the numbers are those of "The rules" in src/README.md.
#pragma once
#include <cstdint>

namespace kvd {

enum class Mutation : uint8_t {
  kNone,
  kSetById,                //  2: who restarts empty is still taken for the member that it was
  kTakeoverUnconditional,  //  3: the register is set whatever its version
  kOldEpochsAccepted,      //  4: a deposed leader is still obeyed
  kShrinkEarly,            //  5: who is to leave the set is not waited for while that is only proposed
  kGrowthLate,             //  5: who is to join the set is not waited for before that is confirmed
  kIncarnationReplaced,    //  5: a proposed new life of a member stands in for the old one at once
  kForeignAcks,            //  5: acknowledgements of another epoch count
  kAmbiguityGuessed,       //  6: a change whose result was lost is taken for not done
  kAmbiguityByOneRead,     //  6: ... for whatever the next read shows, however old that is
  kLogMatchSkipped,        //  7: entries are taken whatever precedes them
  kUncommittedAnswered,    //  8: a write is acknowledged once it is in the leader's own log
  kJoinUnchecked,          //  9: whoever talks to the leader is admitted
  kJoinAtCommit,           //  9: ... whoever has what this leader knows to be committed
  kWrittenEarly,           // 10: a new leader appends to its log before all of it is committed
  kReadsBeforeActivation,  // 10: a new leader answers reads before its log is committed
  kReadsUnconfirmed,       // 11: reads are answered without asking anybody
  kReadsAllButOne,         // 11: ... when all but one have confirmed
  kEpochNotKept,           //  4: an epoch is acted on without being on disk
  kLedAgain,               //  4: a leader that has restarted goes on in the epoch that it led
  kLeaderUnsafe,           // 13: the leader counts itself before its disk does
  kAcknowledgedUnsafe,     // 13: a follower acknowledges before its disk does
  kLossByAbsence,          // 16: a server whose registration is gone is taken for lost
  kLossByOldVerdict,       // 16: ... that verdict is carried out on whatever the register says by then
  kNameUnchecked,          //     who has a certificate of the cluster may say that it is any server
  kGreetedUnregistered,    //     peers are accepted before this life is registered
  kSilentKept,             //     who is silent but not proven dead is never removed from the set
  kDoubtIgnored,           //     a server that ZooKeeper may have forgotten keeps what its clients hold
  kDoubtByRead,            //     ... takes an answer of any server of the ensemble for one of its leader
  kPredecessorTrusted,     //     a place in a queue holds once the one before it is gone, wherever it stands
  kPlaceUnwatched,         //     ... does not watch its own znode, which others may delete
  kRestSkipped,            //     an id is lent again as soon as it is free
  kDeathOfFormer,          //     the proof that a server's former life is dead counts for the present one
  kTaskTakenAtOnce,        //     what a dead server's worker has is given to another one at once
  kAttemptUnchecked,       //     a result counts whichever attempt it is of
  kAddressUnclaimed,       //     an allocated address is not claimed for its name
  kViewKept,               //     the view of all names outlives the session whose watches kept it
  kReadyTrusted,           //     a `ready` releases whoever meets it, of whichever use of the barrier it is
  kOthersUnchecked,  //     a barrier is completed though others of those that were counted have gone meanwhile
  kMemberUnwatched,  //     a barrier's member does not watch its own znode, which others may delete
  kLeftAlone,        //     who leaves a barrier does not wait for the others
  kEntryTakenTwice,  //     an entry of a queue is given out although another one has taken it meanwhile
  kEntryUnwatched,  //     a connection that has an entry does not watch its own znode, which others may delete
  kSnapshotAnswersMixed,  //     answers out of a snapshot that was given up count for its successor
  kRegisterBelieved,      // 17: whatever register ZooKeeper shows is believed
  kGrowthForgotten,       // 17: a larger in-sync set that was ordered is not remembered
  kMissingIgnored,        // 17: the register is restored without asking everybody who was in sync
  kEpochBegunTwice,       // 17: a takeover begins an epoch of which somebody has spoken already
  kShorterObeyed,         // 18: a leader that lacks what is known to be committed is followed
  kFreshLeads,            // 18: a leader that has only its directory cuts off what others have beyond it
  kDifferingCounted,      // 18: a copy that is known to differ counts as before
  kFenceOfCommitted,      //  8: a write's token is held against those of committed writes only
  kFenceOfChanges,        //     the token of a write that changes no key is forgotten
  kWritesOvertake,        //     a write does not wait for one before it on its connection that went elsewhere
  kRefusalForgotten,      //     a write is done although one that its server sent before it was refused
  kTxnOfCommitted,        //  8: a transaction is held against committed writes only
  kTxnTorn,               //     ... becomes two entries
  kAddReplayed,           //     an addition that is repeated with its idempotency key is done once more
  kAddOfCommitted,        //  8: ... adds to the committed number, whatever the tail makes of it
  kRepeatedBehind,        //     a write whose answer is lost is sent again behind others of its connection
  kClockWithoutLeader,    //     the log's clock counts the time without a leader
  kStallCounted,          //     ... the time in which the leader's loop slept
  kDeposedClockKept,      //     ... what it showed to a leader that was deposed without knowing it
  kDueByCommitted,        //  8: what ends is decided by what is committed, whatever the tail makes of it
  kRenewalUnlogged,       //     a lease's renewal is answered without being in the log
  kFormerHoldEnds,        //     who held a lease before somebody took it up ends it
  kHoldUnrenewed,         //     a lease that a connection holds is not renewed
  kHoldKept,              //     ... does not end with its connection
  kForesightKept,         //     who steps down keeps what it foresaw of queues
  kDeadDropped,           //     a message that is dead, and nobody takes, is dropped
  kDeadTwice,             //     ... stays where it was when it goes where the dead go
  kReceiptIgnored,        //     whoever had a message once may settle it
  kAttemptsSoft,          //     a message is refused as often as anybody likes
  kGrantOfCommitted,      //  8: messages are granted by what is committed, whatever the tail makes of them
  kReadyUnsorted,         //     ... the second one that is ready before the first
  kLaneLoose,             //     messages of one group are granted side by side
  kCursorOverHole,        //     a subscription's place moves over what is not settled
  kTrimUnsettled,         //     a topic loses what is not settled yet, though it is not to
  kSubscribedAtCommit,    //     what is published just after a subscription was made it does not get
  kGapUntold,             //     who reads a topic along is not told of what went behind its place
  kReaderRepeats,         //     ... is told a page once more
  kReaderUnwoken,         //     ... is not told what is published while it waits
  kSeekKeepsGrants,       //     what was granted before a subscription was moved still settles
  kPurgeLate,             //     a queue that is emptied loses what is sent to it later, too
  kDedupOfCommitted,      //  8: names of sends are held against committed ones only
  kTurnIgnored,           //     a receive that is repeated gets other messages
  kWaitersForgotten,      //     who waits for a message is not told of one
  kGhostGrant,            //     what was granted to nobody is not given back
  kTermOutlivesKey,       //     the term of a key that was deleted, or written anew, stays
  kTermKept,              //     a key keeps its term when it is put without one
  kExpiredEarly,          //     a term ends before its time
  kWatchUncommitted,      //  8: what watchers are told is not committed yet
  kBehindJumps,           //     a stream that is read too slowly goes on with what is left of the history
  kOldestOffByOne,        //     the history is said to reach back one revision further than it does
  kHistoryOverInstall,    //     ... to go on where a snapshot has taken the place of what came between
  kHistoryOverLineage,    //     ... where a new lineage has begun
  kTornResume,            //     a stream may be resumed from the midst of a revision
  kProgressAhead,         //     a stream tells progress that it has not made
  kFutureIgnored,         //     a stream that was at another server begins again with what this one has
  kProgressLocal,         //     progress is called linear without asking anybody
  kStaleRights,           // 19: the leader does not judge a write once more
  kNoWindow,              //     a stream gets its lines whether they are taken or not
};

#ifdef KVD_MUTATIONS
inline Mutation g_mutation = Mutation::kNone;  // set before a node is made
inline bool mutated(Mutation which) { return g_mutation == which; }
#else
constexpr bool mutated(Mutation) { return false; }
#endif

}  // namespace kvd
