// Every bound of kvd that is not a flag, in one place, with what happens when it is reached. Any layer above reads
// them; the bounds of HTTP connections are in shell/http/http_options.hpp, because tests shrink those.
#pragma once
#include <cstddef>
#include <cstdint>

namespace kvd::limits {

inline constexpr size_t kKeyBytes = 1024;  // longer or empty: 400
inline constexpr size_t kServerIdBytes = 255;
inline constexpr size_t kIdempotencyKeyBytes = 255;  // longer or empty: 400
// Beyond these a fence is refused: 400.
inline constexpr size_t kFenceResourceBytes = 255;
inline constexpr uint64_t kFenceTokenMax = INT64_MAX;
// Writes with an idempotency key: so many answers are remembered. The oldest are dropped, a batch at once, and of so
// many batches it is still known that their keys were used: 409. Older ones are taken for new.
inline constexpr size_t kRememberedAnswers = 65'536;
inline constexpr size_t kForgottenBatch = 1'024;
inline constexpr size_t kForgottenBatches = 256;
inline constexpr size_t kBatchOps = 1024;  // more: 400
// A batch's JSON is read, evaluated and copied for each follower in one turn of the loop: more: 413.
inline constexpr size_t kBatchBytes = 4u << 20;
// A transaction: conditions (more: 400); its JSON and each branch's operations have the bounds of a batch.
inline constexpr size_t kTxnConditions = 128;
// What its operations found, together, unless that is one value alone: it becomes JSON at once. More: 413.
inline constexpr size_t kTxnFoundBytes = 4u << 20;
// Of an answer that is remembered for an idempotency key; longer ones only transactions and what settles or sends many
// messages have: 413.
inline constexpr size_t kRememberedBytes = 4096;
inline constexpr size_t kDeletedKeys =
    16'384;  // by one prefix, all at once: every other client waits meanwhile: 413
inline constexpr size_t kListItems = 1000;  // a page's size when none is asked for; the most is 10,000
inline constexpr size_t kListItemsMax = 10'000;
// A page ends early after so many bytes of keys, values and what JSON writes beside each: it is made at once, and all
// other clients wait for it.
inline constexpr size_t kListBytes = 512u << 10;
inline constexpr size_t kListItemBytes = 64;
inline constexpr size_t kWriteBytes = 16u << 20;  // one write's keys and values together: 413
// A page of keys that are deleted is never too large.
static_assert(kListItemsMax <= kDeletedKeys);
inline constexpr size_t kClientRequests = 16'384;     // waiting in one node: 503
inline constexpr size_t kWaitingBytes = 128u << 20;   // of writes, likewise: 503
inline constexpr size_t kUncommittedEntries = 8'192;  // in the leader's log: 503
inline constexpr size_t kUncommittedBytes = 64u << 20;
inline constexpr size_t kUncommittedKeys = 16'384;  // and one write more: all of it may be committed at once
// Committed entries kept to catch others up; beyond: a snapshot.
inline constexpr size_t kRetainedEntries = 65'536;
inline constexpr size_t kRetainedBytes = 64u << 20;
// Disk: a snapshot is written once the log behind the last one has this size and that of the store.
inline constexpr size_t kSnapshotLogBytes = 64u << 20;
inline constexpr size_t kAppendBytes = 1u << 20;  // one APPEND carries at least one entry and about this much
// Sent to all peers in one turn of the loop, and at most one entry more: what is copied holds up all others.
inline constexpr size_t kTurnBytes = 4u << 20;
inline constexpr size_t kWindowBytes = 32u << 20;  // sent to one peer and not acknowledged: the rest waits
inline constexpr size_t kSnapshotChunkBytes = 256u << 10;
inline constexpr size_t kSnapshotChunksInFlight = 8;
inline constexpr size_t kFrameBytes = 32u << 20;  // one peer frame; a larger one closes the link
// Unsent on one link: the link is closed and starts anew. More than the writes that may wait to be passed on.
inline constexpr size_t kLinkQueueBytes = 192u << 20;
inline constexpr size_t kMailboxMessages = 65'536;  // per actor: a full one refuses clients and closes links
inline constexpr size_t kLinks = 256;               // peer connections that this node accepts
// Of a stream's lines so many bytes (and one line more) may be on their way to a client that does not take them: what
// follows stays in the history.
inline constexpr size_t kStreamWindow = 256u << 10;
inline constexpr size_t kStreamReport = 64u << 10;  // what was taken is told at least as often
static_assert(2 * kStreamReport <= kStreamWindow);
// In one turn of the loop: changes looked at for one stream, and streams. Few: what is said to thousands must not make
// acknowledgements of writes wait.
inline constexpr size_t kStreamSlice = 4'096;
inline constexpr size_t kStreamVisits = 32;
inline constexpr size_t kStreamPage = 256;  // keys of what is there, read at once
// Terms and leases: beyond these 400; a lease with more keys 409.
inline constexpr uint64_t kTtlMsMin = 100;
inline constexpr uint64_t kTtlMsMax = 315'360'000'000;  // ten years
inline constexpr uint64_t kLeaseTtlMsMin = 1000;
inline constexpr uint64_t kLeaseTtlMsMax = 2'592'000'000;  // thirty days
inline constexpr size_t kLeaseNameBytes = 255;
inline constexpr size_t kLeasesAtOnce = 1024;
inline constexpr size_t kLeaseKeys = 4'096;   // they end in one entry
inline constexpr size_t kLeases = 1'048'576;  // 507
// What has come to its end: keys in one entry, about, of which there is one at a time.
inline constexpr size_t kExpiryKeys = 256;
inline constexpr uint64_t kClockMs =
    30'000;  // with a disk, while anything lives for a time: between two entries
static_assert(2 * (kExpiryKeys + kLeaseKeys + kBatchOps) * (kKeyBytes + 64) < kFrameBytes);
static_assert(2 * kListItemsMax * (kKeyBytes + 64) < kFrameBytes);  // keys and their terms
// Queues: names, texts and times beyond these 400; more queues, or dedup names of one queue, 507; more receives that
// wait at the leader 503.
inline constexpr size_t kQueueNameBytes = 255;
inline constexpr size_t kGroupBytes = 128;
inline constexpr size_t kDedupBytes = 128;
inline constexpr size_t kTypeBytes = 255;
inline constexpr size_t kReasonBytes = 255;
inline constexpr size_t kBackoffs = 64;
inline constexpr uint64_t kTtrMsMin = 100;
inline constexpr uint64_t kTtrMsMax = 43'200'000;  // twelve hours
inline constexpr size_t kQueues = 65'536;
inline constexpr size_t kDedupNames = 1'048'576;
inline constexpr size_t kInFlightMax = 65'536;
inline constexpr size_t kWindowMax = 4096;            // of a subscription
inline constexpr size_t kSubscriptions = 1024;        // of a topic: 507
inline constexpr uint64_t kExpiresMsMin = 3'600'000;  // of a subscription: longer than any receive waits
inline constexpr size_t kMessagesAtOnce = 1024;       // sent, received, settled: 400
inline constexpr size_t kReceivedBytes = 1u << 20;    // of bodies, and one message more
inline constexpr size_t kWaitingReceives = 16'384;
inline constexpr size_t kKicked = 16'384;  // at once; also how many messages one write may make

inline constexpr size_t kPeeked = 65'536;  // looked at for one page
inline constexpr size_t kPurged = 16'384;  // of one state
inline constexpr size_t kSwept = 1024;     // messages, and what is kept of them, deleted in one entry
// Policies, users and tokens; what is longer, and more of them: 413.
inline constexpr size_t kAccessNameBytes = 64;
inline constexpr size_t kScopedKeyBytes = kAccessNameBytes + 22 + kIdempotencyKeyBytes;  // with its user
inline constexpr size_t kPolicies = 1024;
inline constexpr size_t kPolicyRules = 64;
inline constexpr size_t kUsers = 16'384;
inline constexpr size_t kUserPolicies = 64;
inline constexpr size_t kUserIdentities = 64;
inline constexpr size_t kIdentityBytes = 255;
inline constexpr size_t kAccessBytes = 16u << 10;  // of one policy or user, as it is sent
inline constexpr size_t kTokens = 65'536;
inline constexpr size_t kTokenNoteBytes = 255;
inline constexpr size_t kAccessAtOnceBytes = 16u << 20;  // restored by one entry, which also deletes
static_assert(kAccessAtOnceBytes + (kPolicies + kUsers + kTokens) * (kAccessNameBytes + 64) < kFrameBytes);
inline constexpr size_t kHistoryBytesMin = 1u << 20;
inline constexpr size_t kProgressMsMin = 100;  // between two lines that tell how far a stream is; else: 400
inline constexpr size_t kProgressMsMax = 60'000;
inline constexpr size_t kZkData = 64u << 10;  // ZooKeeper drops the connection of who sends about 1 MiB
// Of a task: its data, or its result; together with the rest of what stands in one transaction below kZkData.
inline constexpr size_t kTaskBytes = 60u << 10;
inline constexpr size_t kTaskProgressBytes = 256;
inline constexpr size_t kTasksKept = 4096;  // of those that are over
static_assert(kTaskBytes + 3 * 1024 < kZkData);
inline constexpr size_t kEntryBytes = 60u << 10;  // of an entry of a queue in ZooKeeper; more: 413
static_assert(kEntryBytes + kKeyBytes + 64 < kZkData);
// Of all znodes of a standalone server: paths, data, and what one more takes besides.
inline constexpr size_t kZnodesBytes = 1u << 30;
inline constexpr size_t kZnodeOverhead = 256;
inline constexpr size_t kZkCalls = 256;  // outstanding; more are not sent
// Of these the services': their others wait in line, so that election and the register keeper always have room.
inline constexpr size_t kZkServiceCalls = 128;
static_assert(kZkServiceCalls < kZkCalls);
// Of the paths that the services watch, beside those of the view of all names (256 KiB); ZooKeeper refuses a client
// that tells it more than about 1 MiB at a reconnection. Beyond: 503.
inline constexpr size_t kWatchedBytes = 512u << 10;
inline constexpr size_t kServiceCalls = 16'384;    // of clients, waiting at one server's services: 503
inline constexpr size_t kClientSessions = 65'536;  // on one server: 503
inline constexpr size_t kWaitMs = 600'000;         // the query parameter `wait`; more: 400

}  // namespace kvd::limits
