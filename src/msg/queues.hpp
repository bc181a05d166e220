// Queues of messages in the replicated state: what a client asks of them, and what it is told. A message is sent, is
// granted to whoever receives it, and is settled: acknowledged, given back, or dead. A grant is an entry of the log:
// its revision is the receipt by which the message is settled, and the fence of whoever works on it (the manual's page
// on queues; the states follow Amazon SQS and beanstalkd's protocol). All times are ms by the log's clock
// (core/replica/log_clock.hpp), unless they say otherwise.
#pragma once
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/box.hpp"
#include "base/bytes.hpp"
#include "base/time.hpp"
#include "msg/limits.hpp"
#include "msg/types.hpp"

namespace kvd {

// The revision that sent it, and its place among those of one send. As text "90", or "90.3" for the fourth of several.
struct MessageId {
  Revision revision;
  uint16_t index = 0;  // 0 to limits::kKicked - 1
  auto operator<=>(const MessageId&) const = default;
};
std::string to_text(const MessageId& id);
std::optional<MessageId> parse_message_id(std::string_view text);  // "90.0" is "90"

// What a queue is made with. What is 0 or empty has no bound.
struct QueueConfig {
  uint64_t ttr_ms = 30'000;      // "time to run": a grant ends after it; limits::kTtrMsMin to kTtrMsMax
  uint32_t max_deliveries = 20;  // the end of the last one makes the message dead
  // A message that was refused without a delay waits so long, after its first delivery, its second, ...; the last one
  // repeats. Empty: it does not wait.
  std::vector<uint64_t> backoff_ms;
  std::string dead_letter;             // where what is dead goes; empty: it stays, and is dead there
  uint64_t dedup_window_ms = 300'000;  // two sends of one dedup name in it are one
  uint64_t max_messages = 0;           // 507
  uint64_t max_bytes = 0;              // of bodies: 507
  uint64_t max_age_ms = 0;             // then a message is dead
  uint32_t max_in_flight = 16'384;     // 1 to limits::kInFlightMax
  bool fifo = false;                   // one message after the other: all are one group
  bool discard_old = false;            // of what is too many, or too old, the oldest are deleted
  bool operator==(const QueueConfig&) const = default;
};

// ---- writes ----
struct MakeQueue {  // or change it
  std::string name;
  QueueConfig config;
};
struct DeleteQueue {
  std::string name;
  bool if_empty = false;  // refused (kNotEmpty) while there are messages
};
// What a message of a backup was, and is again: nobody else can say so (core/replica/queue_restore.hpp).
struct MessagePast {
  uint64_t sent_ms = 0;   // as of a QueuedMessage
  std::string dead_from;  // likewise: the queue in which it became dead; empty: it did not come from one
  std::string reason;     // ... why; at most limits::kReasonBytes
  uint32_t attempts = 0;  // ... deliveries there
  bool dead = false;      // it is dead in this queue,
  std::string why;        // ... for this reason; likewise
  uint32_t attempt = 0;   // ... after so many deliveries
};
struct NewMessage {
  Bytes body;
  uint8_t priority = 100;   // 0 goes first
  uint64_t delay_ms = 0;    // 0 to limits::kTtlMsMax; of a group: 0
  uint64_t max_age_ms = 0;  // 0: the queue's
  std::string
      group;  // at most limits::kGroupBytes; of one group one is in flight, in the order that they were sent
  std::string dedup;              // at most limits::kDedupBytes; empty: none
  std::string type;               // of the body, as its sender calls it; at most limits::kTypeBytes
  OptionalBox<MessagePast> past;  // of a backup's message
};
// One revision, all or nothing. A queue that is not there is made.
struct SendMessages {
  std::string queue;
  std::vector<NewMessage> messages;  // 1 to limits::kMessagesAtOnce
  bool create = true;                // false: refused (kNoQueue) when there is none
};
// What becomes of a message that was granted. A receipt counts as long as no newer one was granted.
struct Settling {
  enum class Kind : uint8_t {
    kAck,      // done: it is deleted
    kNack,     // not done: it waits, `ms` or what the queue says, and is granted again
    kRelease,  // not tried: it is ready at once, and this delivery does not count
    kExtend,   // another `ms` for who has it; 0: the queue's time
    kDead,     // it is not to be granted again
  };
  Kind kind = Kind::kAck;
  MessageId id;
  uint64_t receipt = 0;
  std::optional<uint64_t> ms;
  std::string reason;  // kNack, kDead: for people, at most limits::kReasonBytes
};
struct SettleMessages {
  std::string queue;
  std::vector<Settling> settlings;  // 1 to limits::kMessagesAtOnce; each for itself ...
  bool atomic = false;              // ... or all or none
  uint64_t ticket = 0;  // not 0: and whatever is in flight under it is refused, since who had it has gone
  std::string subscription = {};  // as of a receive
};
inline constexpr int kSendingBits = 16;
// Granted to who asks: the first ones that are ready. Where none is, the call waits for them at the leader.
struct ReceiveMessages {
  std::string queue;
  uint32_t max = 1;     // 1 to limits::kMessagesAtOnce, and limits::kReceivedBytes of bodies or one message
  Duration wait{0};     // to limits::kWaitMs
  uint64_t ttr_ms = 0;  // 0: the queue's
  // Who asks, and which of its calls this is, times 2^kSendingBits, and which sending of the call: one that is sent
  // again gets the same messages. Drawn and counted by the server that the call came to.
  uint64_t ticket = 0;
  uint64_t turn = 0;
  uint32_t credit = 0;              // no more than so many in flight under the ticket; 0: no bound
  std::vector<Settling> settlings;  // of the same queue, done before
  std::string subscription =
      {};  // not empty: of the topic `queue` (topics.hpp), and granted are its messages
};
enum class MessageState : uint8_t {
  kReady,
  kDelayed,
  kInFlight,
  kDead,
  kSettled,  // of a subscription, while one before it is not
};
const char* message_state_name(MessageState state);
std::optional<MessageState> message_state(std::string_view name);  // but for the last one

// Those that are dead, or delayed, the oldest first, are ready again, and none of their deliveries counts.
struct KickMessages {
  std::string queue;
  MessageState state = MessageState::kDead;  // or kDelayed; kReady, if they go to another queue
  uint32_t max = limits::kKicked;            // 1 to limits::kKicked
  std::string to;                            // another queue that they go to; empty: they stay
  std::string subscription = {};             // as of a receive; `to` is empty
};
struct PurgeMessages {
  std::string queue;
  std::optional<MessageState> state;  // kReady, kDelayed or kDead: limits::kPurged at once; none: all of them
};

size_t bytes_of(const NewMessage& message);
size_t bytes_of(const std::vector<Settling>& settlings);

// ---- reads ----
struct ReadQueue {
  std::string name;
};
struct ListQueues {
  std::string prefix;
  std::string after;
  uint32_t limit = 0;  // 1 to limits::kListItemsMax
};
struct PeekMessages {  // in the order of their ids; nothing is granted
  std::string queue;
  MessageState state = MessageState::kReady;
  MessageId after;
  uint32_t limit = 0;             // 1 to limits::kListItemsMax, and limits::kReceivedBytes or one
  std::string subscription = {};  // as of a receive
};
struct PeekMessage {
  std::string queue;
  MessageId id;
  std::string subscription = {};  // as of a receive
};

// ---- answers ----
struct QueueMade {
  bool created = false;
};
struct QueueDeleted {};
// The ids are of the answer's revision and of each message's place, but for those that were sent before.
struct Sent {
  struct Duplicate {
    uint16_t place = 0;
    MessageId id;  // of the one that was sent
  };
  uint32_t count = 0;
  std::vector<Duplicate> duplicates;  // by place
};
struct QueuedMessage {
  MessageId id;
  MessageState state = MessageState::kReady;
  uint64_t receipt = 0;  // of the newest grant; 0: it was never granted
  uint32_t attempt = 0;  // deliveries so far, with this one
  uint64_t left_ms = 0;  // in flight, delayed: until it is ready again
  uint8_t priority = 0;
  std::string group;
  std::string type;
  uint64_t sent_ms = 0;  // by the leader's wall clock, since 1970
  Bytes body;
  std::string reason;     // why it was refused last, or is dead
  std::string dead_from;  // the queue in which it became dead; empty: it did not come from one
  uint32_t attempts = 0;  // ... deliveries there
};
enum class SettleResult : uint8_t {
  kDone,
  kGone,   // there is no such message any more
  kStale,  // the receipt does not count any more
};
// What a line with it counts of what a stream may have that its client has not taken.
size_t line_bytes(const QueuedMessage& message);
struct Settled {
  struct One {
    SettleResult result = SettleResult::kDone;
    uint64_t receipt =
        0;  // kStale: the newest; 0: the given one has been used, or the message was never granted
    uint64_t left_ms = 0;  // of an extension
  };
  std::vector<One> results;  // of each
  bool refused = false;      // it was to be atomic, and one is not done: none is
};
struct Received {
  std::string queue;
  uint64_t turn = 0;  // of the call that this answers, and of its sending
  std::vector<QueuedMessage> messages;
  std::vector<Settled::One> settled;
  std::string subscription = {};
  struct Gap {  // of a subscription: something behind `after`, up to `last`, went before it was settled
    MessageId after;
    MessageId last;
  };
  std::optional<Gap> gap = {};
};
struct Peeked {
  std::vector<QueuedMessage> messages;
  bool more = false;
  bool complete = true;
  MessageId last;  // that was looked at: a page ends after limits::kPeeked of them, whatever it has found
  // Of a topic's page: something behind the place that was asked for is not there any more.
  std::optional<Received::Gap> gap = {};
  uint64_t number = 0;  // ... the topic's; not told to other servers
};
struct MessagesMoved {
  uint64_t count = 0;
};
struct MessagesPurged {
  uint64_t count = 0;
  bool more = false;
};
struct QueueInfo {
  std::string name;
  QueueConfig config;
  uint64_t ready = 0;
  uint64_t delayed = 0;
  uint64_t in_flight = 0;
  uint64_t dead = 0;
  uint64_t bytes = 0;                 // of bodies
  uint64_t groups = 0;                // with messages, also dead ones
  uint64_t blocked = 0;               // messages behind the first one of their group
  std::optional<uint64_t> oldest_ms;  // since the oldest one was sent, by wall clocks
  std::optional<uint64_t> waiting;    // receives; known to the leader alone
};
struct QueueFound {
  QueueInfo queue;
  bool complete = true;
};
struct QueueList {
  std::vector<QueueInfo> queues;
  bool more = false;
  bool complete = true;
};

}  // namespace kvd
