// Topics in the replicated state: a topic is a log of messages, and a subscription is a position in it, with what
// became of the messages around it. What is published is there once, for all who read; a subscription's messages are
// granted and settled as those of a queue are (queues.hpp), by the same calls, which then name the subscription. All
// times are ms by the log's clock, unless they say otherwise.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "msg/queues.hpp"

namespace kvd {

// What a topic is made with. What is 0 has no bound. What a subscription has not settled is kept all the same, unless
// `discard_old` says that the bounds come first.
struct TopicConfig {
  uint64_t dedup_window_ms = 300'000;  // as a queue's
  uint64_t max_messages = 0;           // the oldest ones beyond it go
  uint64_t max_bytes = 0;              // ... of bodies
  uint64_t max_age_ms = 0;             // older ones go
  bool discard_old = false;
  bool operator==(const TopicConfig&) const = default;
};
struct SubscriptionConfig {
  uint64_t ttr_ms = 30'000;
  uint32_t max_deliveries = 20;
  std::vector<uint64_t> backoff_ms;
  std::string dead_letter;         // a queue
  uint32_t max_in_flight = 4'096;  // from the oldest that is not settled on: 1 to limits::kWindowMax
  bool ordered = false;            // of one group one after the other
  uint64_t expires_ms = 0;         // it is deleted when nobody has asked for it so long; 0: never
  bool operator==(const SubscriptionConfig&) const = default;
};
// A place in a topic: behind a message.
struct TopicPlace {
  enum class Kind : uint8_t {
    kFirst,  // before all that there are
    kNow,    // behind all that there are
    kId,     // behind that id, which need not be there
    kTime,  // before what was published at `ms`, since 1970, or later, by the publishers' leaders' wall clocks
  };
  Kind kind = Kind::kFirst;
  MessageId id;
  uint64_t ms = 0;
  bool operator==(const TopicPlace&) const = default;
};

std::string to_text(const TopicPlace& place);                  // "first", "now", an id, or "time=7ms"
std::optional<TopicPlace> parse_place(std::string_view text);  // one of the first three

// ---- writes ----
struct MakeTopic {  // or change it
  std::string name;
  TopicConfig config;
};
struct DeleteTopic {  // with its subscriptions
  std::string name;
};
// One revision, all or nothing; a topic that is not there is made. Messages have no priority and no delay.
struct PublishMessages {
  std::string topic;
  std::vector<NewMessage> messages;  // 1 to limits::kMessagesAtOnce
  bool create = true;                // false: refused (kNoTopic) when there is none
};
struct MakeSubscription {  // or change it: then its place stays
  std::string topic;
  std::string name;
  SubscriptionConfig config;
  TopicPlace from;
};
struct DeleteSubscription {
  std::string topic;
  std::string name;
};
// It goes on from there. What was granted before counts no more.
struct SeekSubscription {
  std::string topic;
  std::string name;
  TopicPlace to;
};

// ---- reads ----
struct ReadTopic {
  std::string name;
};
struct ListTopics {
  std::string prefix;
  std::string after;
  uint32_t limit = 0;  // 1 to limits::kListItemsMax
};
struct ReadSubscription {
  std::string topic;
  std::string name;
};
struct ListSubscriptions {
  std::string topic;
  std::string after;
  uint32_t limit = 0;  // likewise
};
// Of the messages themselves, in their order: whoever reads so keeps the place for himself. Answered with Peeked.
struct PageTopic {
  std::string topic;
  TopicPlace after;
  uint32_t limit = 0;                         // 1 to limits::kListItemsMax
  size_t bytes_max = limits::kReceivedBytes;  // ... or one message; not told to other servers
};

// ---- answers ----
struct TopicMade {  // or a subscription
  bool created = false;
};
struct TopicDeleted {  // likewise
};
struct SubscriptionMoved {
  MessageId to;  // behind it
};
struct TopicInfo {
  std::string name;
  TopicConfig config;
  uint64_t messages = 0;
  uint64_t bytes = 0;                 // of bodies
  MessageId first;                    // that there is; none: 0
  MessageId last;                     // likewise
  std::optional<uint64_t> oldest_ms;  // since the first one was published, by wall clocks
  uint64_t subscriptions = 0;
};
struct TopicFound {
  TopicInfo topic;
  bool complete = true;
};
struct TopicList {
  std::vector<TopicInfo> topics;
  bool more = false;
  bool complete = true;
};
struct SubscriptionInfo {
  std::string topic;
  std::string name;
  SubscriptionConfig config;
  uint64_t behind = 0;  // neither settled nor dead, with those in flight
  uint64_t ready = 0;   // of these: nobody has them, and they wait for no time
  uint64_t delayed = 0;
  uint64_t in_flight = 0;
  uint64_t dead = 0;
  uint64_t gaps = 0;                // how often something went before it was settled
  MessageId cursor;                 // all up to it is settled, or dead
  std::optional<uint64_t> waiting;  // receives; known to the leader alone
};
struct SubscriptionFound {
  SubscriptionInfo subscription;
  bool complete = true;
};
struct SubscriptionList {
  std::vector<SubscriptionInfo> subscriptions;
  bool more = false;
  bool complete = true;
};

}  // namespace kvd
