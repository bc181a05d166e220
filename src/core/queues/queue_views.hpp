// What follows from the records of queues and is needed to grant their messages: which are ready, in which order, whose
// time comes when, who has how many. It is derived, so nobody replicates it; each copy keeps its own, record by record.
//
// A follower's views are of what is committed. A leader's are of the end of its log (WriteEvaluator), since what it
// has granted there must not be granted once more; what it has to take back when it steps down it takes back one by
// one. So a takeover costs what the end of the log holds, and not what the queues hold. Views answer nobody: what a
// leader says of a message it says in the answer to a write, once that is committed (rule 8).
//
// A topic has a view, too: what is ready in it is all that there is, in its order. So has a subscription: of the
// messages in its window, those that it was granted, or that were passed over, each with a delivery of its own. What is
// behind the window nobody has counted.
//
// Time: who is in flight or delayed becomes ready when the log's clock has reached its due time. That is written
// nowhere; ripen() does it here, and a leader whose clock says less than what this server has heard before takes it
// back (unripen()).
#pragma once
#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "core/queues/stored.hpp"
#include "msg/queues.hpp"
#include "msg/record.hpp"

namespace kvd {

// A message's place among those that are ready.
struct ReadyPlace {
  uint8_t priority = 0;
  uint16_t index = 0;
  uint32_t high = 0, low = 0;  // of the revision: 12 bytes in all, of which there may be millions

  ReadyPlace() = default;
  ReadyPlace(uint8_t its_priority, const MessageId& id)
      : priority(its_priority),
        index(id.index),
        high(static_cast<uint32_t>(id.revision.value >> 32)),
        low(static_cast<uint32_t>(id.revision.value)) {}
  MessageId id() const { return {Revision(uint64_t{high} << 32 | low), index}; }
  bool operator==(const ReadyPlace&) const = default;
  bool operator<(const ReadyPlace& other) const {
    return std::tie(priority, high, low, index) <
           std::tie(other.priority, other.high, other.low, other.index);
  }
};

// A message whose state ends by its time.
struct DueMessage {
  uint64_t due = 0;
  MessageId id;
  uint32_t attempts = 0;
  uint8_t priority = 0;
  bool in_flight = false;
  uint64_t ticket = 0, turn = 0;  // in flight: by whom, and in which call
  bool operator<(const DueMessage& other) const { return std::tie(due, id) < std::tie(other.due, other.id); }
  bool operator==(const DueMessage&) const = default;
};

// The messages of one group, in the order that they were sent. Only the first one may be granted, and only while none
// of the others is in flight (one that was dead and is ready again comes before them).
struct Lane {
  struct Member {
    MessageState state = MessageState::kReady;
    bool ripe = false;  // in flight, or delayed, and its time has come
    uint8_t priority = 0;
    bool operator==(const Member&) const = default;
  };
  absl::btree_map<MessageId, Member> members;
  uint32_t in_flight = 0;           // ... whose time has not come
  std::optional<ReadyPlace> shown;  // who may be granted
  bool operator==(const Lane&) const = default;
};

// That a subscription is in use is written so often in the time after which it would go.
inline constexpr uint64_t kUsesNoted = 8;

struct QueueView {
  enum class Kind : uint8_t { kQueue, kTopic, kSubscription };
  Kind kind = Kind::kQueue;
  uint64_t number = 0;
  uint64_t made = 0;   // the revision of its making
  bool named = false;  // false: deleted, or emptied, and what bears its number is about to go
  std::string name;    // of a subscription its topic's
  QueueConfig config;  // of a topic and a subscription, what there is of it

  // Of a topic.
  std::set<uint64_t> subscriptions;  // their numbers
  // Of a subscription.
  std::string subscription;  // its own name
  uint64_t topic = 0;        // its number
  bool ordered = false;
  uint64_t expires_ms = 0;
  absl::btree_set<MessageId> window;  // with a delivery, but for those that are dead
  absl::btree_set<MessageId> dead;
  // Of both.
  StoredPlace place;

  absl::btree_set<ReadyPlace> ready;
  absl::btree_set<DueMessage> due;    // in flight and delayed
  absl::btree_set<DueMessage> ripe;   // ... whose time has come
  absl::btree_set<DueMessage> dying;  // ... of which it was the last delivery: a leader has to write that
  std::set<std::tuple<uint64_t, uint64_t, MessageId>> tickets;  // in flight, and their time has not come
  std::map<MessageId, std::string> groups;                      // of those with a time, if they are of one
  // Which is dead when: not of what is dead already, nor of what is in flight.
  absl::btree_set<std::pair<uint64_t, MessageId>> ages;
  std::map<std::string, Lane, std::less<>> lanes;
  uint64_t grouped = 0;          // in lanes
  uint64_t messages = 0;         // with those that are dead
  uint64_t bytes = 0;            // of their bodies
  std::optional<uint64_t> time;  // as times_ has it

  bool full_of_grants() const { return tickets.size() >= config.max_in_flight; }
  bool is_subscription() const { return kind == Kind::kSubscription; }
  // Of a subscription: what is behind this was never granted.
  MessageId next() const;
  // ... so many more may be in its window. Dead ones behind its place count, too.
  size_t room() const;
  // ... that expires, and was noted to be used then: from when on nobody has used it for its time.
  uint64_t unused_from(uint64_t used_ms) const { return used_ms + expires_ms + expires_ms / kUsesNoted; }
  // Whose lane a message of this group is in; none: it goes its own way.
  std::optional<std::string_view> lane_of(std::string_view group) const;
  uint32_t granted_to(uint64_t ticket) const;  // in flight
};

class QueueViews {
 public:
  // A record of kQueues has come, or goes.
  void add_queue(const Record& record);
  void remove_queue(const Record& record);
  // A message with this key stands as these two records say, or no longer does. Null: there is none. A delivery without
  // its message, which an incomplete copy may have, counts for nothing.
  void add(std::string_view key, const Record* message, const Record* delivery);
  void remove(std::string_view key, const Record* message, const Record* delivery);

  // Null: there is none. Valid until the views change.
  const QueueView* find(std::string_view name) const { return find_named(queue_key(name)); }
  const QueueView* find_topic(std::string_view name) const { return find_named(topic_key(name)); }
  const QueueView* find_subscription(std::string_view topic, std::string_view name) const {
    return find_named(subscription_key(topic, name));
  }
  const QueueView* find(const std::string& queue, const std::string& subscription) const {
    return subscription.empty() ? find(queue) : find_subscription(queue, subscription);
  }
  // Of a subscription: its topic. Null: an incomplete copy has none.
  const QueueView* topic_of(const QueueView& subscription) const;
  // There is something to grant, and room for it, or to tell.
  bool may_grant(const QueueView& queue) const;
  size_t count(QueueView::Kind kind) const { return counts_[static_cast<size_t>(kind)]; }
  size_t sources() const { return by_name_.size(); }  // of all kinds

  // The log's clock is at `clock`: what is due by then is ready.
  void ripen(uint64_t clock);
  void unripen(uint64_t clock);
  // Something ends by its time, or is to be deleted bit by bit.
  bool has_due() const { return !times_.empty() || !work_.empty(); }
  // Queues with messages that are to die: by their last delivery, or their age by ripen()'s clock.
  const std::set<uint64_t>& work() const { return work_; }
  const QueueView& view(uint64_t number) const { return views_.at(number); }
  // While this server leads: names of queues and topics that have had something new to grant, or are gone, since they
  // were taken. With a subscription's name: that alone.
  void note_woken(bool note) { note_woken_ = note; }
  std::set<std::pair<std::string, std::string>> take_woken() { return std::exchange(woken_, {}); }

  // The same to grant, whatever the way to it: but for who is ripe, which depends on when ripen() was called.
  bool equals(const QueueViews& other) const;
  bool free_some();

 private:
  QueueView& at(uint64_t number);
  void wake(const QueueView& view) { woken_.emplace(view.name, view.subscription); }
  void place(QueueView& queue, const ReadyPlace& place, bool add);
  void place_due(QueueView& queue, const DueMessage& message, bool add);
  void count_in_flight(QueueView& queue, const DueMessage& message, bool add);
  void place_in_lane(QueueView& queue, std::string_view group, const MessageId& id,
                     const Lane::Member& member, bool add);
  void refresh(QueueView& queue, Lane& lane);
  void set_ripe(QueueView& queue, const DueMessage& message, bool ripe);
  void note_time(QueueView& queue);
  void change(std::string_view key, const Record* message, const Record* delivery, bool add);
  void change_subscription(QueueView& subscription, const MessageId& id, const Record* delivery, bool add);
  const QueueView* find_named(std::string_view key) const;
  void configure(QueueView& view, const Record& record);
  void set_place(const Record& record, bool add);
  void set_expiry(QueueView& subscription, bool add);
  void forget_empty(std::map<uint64_t, QueueView>::iterator it);

  std::map<uint64_t, QueueView> views_;                   // by number
  std::map<std::string, uint64_t, std::less<>> by_name_;  // by the key of the record that names it
  std::array<size_t, 3> counts_{};                        // ... by kind
  std::set<std::pair<uint64_t, uint64_t>> times_;         // of each queue the next one, and its number
  std::set<uint64_t> work_;
  uint64_t clock_ = 0;  // that ripen() was told last
  bool note_woken_ = false;
  std::set<std::pair<std::string, std::string>> woken_;
};

// What stands under a key of a space of queues, `before` (null: nothing), is about to become what `record` says.
// `find(key, space)`: what stands in the other spaces, null: nothing.
void view_queues(QueueViews& views, const Record* before, const Record& record, auto&& find) {
  const std::string_view key = record.key();
  const Record* after = record.has_value() ? &record : nullptr;
  if (record.space() == Space::kQueues) {
    if (before != nullptr) views.remove_queue(*before);
    if (after != nullptr) views.add_queue(*after);
  } else if (record.space() == Space::kMessages) {
    const Record* delivery = find(key, Space::kDeliveries);
    views.remove(key, before, delivery);
    views.add(key, after, delivery);
  } else if (record.space() == Space::kDeliveries) {
    const Record* message = find(key, Space::kMessages);
    views.remove(key, message, before);
    views.add(key, message, after);
  }
}

}  // namespace kvd
