// How queues and topics are written: the records of their four spaces. A message that was never granted, and waits for
// nothing, has no delivery: a grant writes some sixty bytes and not the body once more, and a backlog costs one record
// for each message.
//
//   kQueues      "q" and the name: a number, which its messages bear, and how it was made
//                "s", the length of the topic's name, that, and the subscription's: the same, and the topic's number
//                "t" and the name: the same of a topic
//                "u" and a number: the place of a subscription, or up to where a topic has gone
//                "x" and a number: what bears it is being deleted, bit by bit
//   kMessages    the queue's number, the message's id: what was sent
//   kDeliveries  the same, or the number of a subscription and the id: what became of it
//   kDedup       the number of the queue's making, the name: which message was sent with it, and until when that counts
//
// Numbers are revisions: the one that made the queue, or that emptied it. Nobody finds what bears a former one.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "msg/queues.hpp"
#include "msg/record.hpp"
#include "msg/topics.hpp"

namespace kvd {

inline bool of_queues(Space space) { return space >= Space::kQueues && space <= Space::kDedup; }

struct StoredQueue {
  uint64_t number = 0;
  QueueConfig config;
};
std::string queue_key(std::string_view name);
std::string emptied_key(uint64_t number);
inline bool names_queue(std::string_view key) { return key.starts_with('q'); }
inline bool names_subscription(std::string_view key) { return key.starts_with('s'); }
inline bool names_topic(std::string_view key) { return key.starts_with('t'); }
inline bool is_place(std::string_view key) { return key.starts_with('u'); }
inline bool is_emptied(std::string_view key) { return key.starts_with('x'); }
uint64_t emptied_number(std::string_view key);
// The effect that makes the queue, or changes it. `now`: as it is; null: there is none.
Record queue_record(std::string_view name, const StoredQueue& queue, const Record* now, Revision next);
std::optional<StoredQueue> queue_of(const Record* record);  // null, or unreadable: none
// What bears the number is to be deleted; `names`: and the names of sends.
Record emptied_record(uint64_t number, bool names, Revision next);
bool empties_names(const Record& emptied);

// Of kMessages and kDeliveries.
struct MessageKey {
  uint64_t number = 0;
  MessageId id;
};
std::string message_key(uint64_t number, const MessageId& id);
MessageKey message_key_of(std::string_view key);

struct StoredTopic {
  uint64_t number = 0;
  TopicConfig config;
};
std::string topic_key(std::string_view name);
Record topic_record(std::string_view name, const StoredTopic& topic, const Record* now, Revision next);
std::optional<StoredTopic> topic_of(const Record* record);

struct StoredSubscription {
  uint64_t number = 0;  // another one after each seek
  uint64_t topic = 0;   // its number
  SubscriptionConfig config;
};
std::string subscription_key(std::string_view topic, std::string_view name);
// Of a subscription's key: the topic's name, and its own.
std::pair<std::string_view, std::string_view> subscription_names(std::string_view key);
Record subscription_record(std::string_view key, const StoredSubscription& subscription, const Record* now,
                           Revision next);
std::optional<StoredSubscription> subscription_of(const Record* record);

struct StoredPlace {
  MessageId id;  // all up to it is settled, or dead; of a topic: the newest one that is not kept any more
  uint64_t gaps = 0;     // that were told
  uint64_t used_ms = 0;  // log clock, about: when somebody asked for it last, if it expires
  bool operator==(const StoredPlace&) const = default;
};
std::string place_key(uint64_t number);
uint64_t place_number(std::string_view key);
Record place_record(uint64_t number, const StoredPlace& place, const Record* now, Revision next);
StoredPlace place_of(const Record* record);  // null: as it is at first

struct StoredMessage {
  uint8_t priority = 0;
  uint64_t sent_ms = 0;   // wall clock
  uint64_t deadline = 0;  // log clock; 0: it does not age
  std::string_view group;
  std::string_view type;
  std::string_view dead_from;  // empty: it was sent
  std::string_view reason;     // ... of its death there, after so many
  uint32_t attempts = 0;       // deliveries
  uint64_t ordinal = 0;        // of a topic: one more than that of the message before
  std::string_view body;       // all that follows
};
Record message_record(std::string_view key, const StoredMessage& message, Revision next);
// It speaks of the record's own bytes. Unreadable: an empty one.
StoredMessage message_of(const Record& record);

struct StoredDelivery {
  MessageState state = MessageState::kReady;
  uint32_t attempts = 0;
  uint64_t due = 0;      // log clock: in flight and delayed
  uint64_t receipt = 0;  // of the newest grant; 0: none yet
  uint64_t ticket = 0;   // ... to whom
  uint64_t turn = 0;
  std::string reason;
  std::string group;  // of a subscription that is ordered: its message's
};
Record delivery_record(std::string_view key, const StoredDelivery& delivery, const Record* now,
                       Revision next);
std::optional<StoredDelivery> delivery_of(const Record* record);  // null, or unreadable: none

// Once its time has come, what was in flight or delayed is ready.
MessageState state_by_clock(const StoredDelivery& delivery, uint64_t clock);

struct StoredName {
  MessageId id;
  uint64_t deadline = 0;  // log clock
};
std::string dedup_key(uint64_t made, std::string_view name);
Record dedup_record(std::string_view key, const StoredName& name, Revision next);
std::optional<StoredName> dedup_of(const Record* record);

// That a record of these spaces is gone.
Record gone(const Record& record, Revision next);

}  // namespace kvd
