// Judges topics and subscriptions by the committed entries and by what their clients ask for and are told, as the model
// of queues does (queue_model.hpp): the entries' records are read, and what they mean is a model of its own, which
// knows nothing of the servers' views. A message is written once and goes from the topic's beginning on, when nobody
// needs it or the topic says so. For each subscription it is settled, or dead, or lost, before the cursor passes it,
// and until then it is granted while nobody else has it, in the topic's order. With a seek all that begins anew.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/queues/stored.hpp"
#include "message_ledger.hpp"

namespace kvd::sim {

// The key that a transaction adds to when it acknowledges this message for this subscription: once, as long as that is
// not moved back.
inline constexpr std::string_view kAckedPrefix = "acked/";
inline std::string acked_key(const SourceOf& source, const MessageId& id) {
  return std::string(kAckedPrefix) + source.first + "/" + source.second + "/" + to_text(id);
}

class TopicModel : public MessageLedger {
 public:
  // `rate_ppm`: so many millionths of a span a clock may be wrong by.
  explicit TopicModel(int64_t rate_ppm = 0) : MessageLedger(rate_ppm) {}

  void on_asked(const Operation& operation) override;
  std::string on_entry(const Entry& entry, std::optional<Instant> appended) override;
  std::string on_answer(const Operation& operation, const StoreAnswer& answer) override;
  std::string left() const override;
  std::vector<SourceOf> sources_left() const override;
  std::string unheard(Instant since, Instant before, Instant now) const override;
  std::optional<Instant> grantable_since(const SourceOf& source) const override;

 private:
  using Number = uint64_t;
  using Key = std::pair<Number, MessageId>;
  struct Message {
    std::string body;
    std::string group;
    std::string type;
    uint64_t sent_ms = 0;
    uint64_t deadline = 0;
    uint64_t ordinal = 0;
  };
  struct Topic {
    std::string name;
    StoredTopic stored;
    StoredPlace place;
    std::map<MessageId, Message> messages;
    uint64_t bytes() const;
  };
  struct Delivery {
    StoredDelivery became;
    std::optional<Instant> granted;  // or extended
    uint64_t granted_ms = 0;         // for so long
    bool ready(uint64_t clock) const;
    bool in_flight(uint64_t clock) const;
    bool over() const;
  };
  struct Subscription {
    SourceOf name;
    StoredSubscription stored;
    StoredPlace place;
    uint32_t least_deliveries =
        0;  // that it was ever configured with: the end of so many may be noticed late
    std::map<MessageId, Delivery> deliveries;
    std::map<MessageId, uint64_t> newest;  // of all receipts of a message
    std::set<MessageId> settled;           // all that ever were
    std::set<MessageId> lost;              // before they were settled; and nobody was told of it
    std::optional<Instant> grantable;

    const Delivery* delivery(const MessageId& id) const;
    bool ended(const MessageId& id) const;  // settled, or dead
    MessageId next() const;                 // what is behind it was never granted, nor passed over
    size_t window() const;                  // with what is dead behind the cursor
    size_t in_flight(uint64_t clock) const;
  };
  struct Gap {
    MessageId after;
    MessageId last;
    bool told = false;
  };
  struct Buried {  // a message that is written into a queue, as dead
    std::string from;
    std::string to;
    std::string body;
    uint32_t attempts = 0;
  };
  struct Turn {  // one entry, while it is judged
    const Entry& entry;
    std::optional<Instant> appended;
    std::map<Number, Subscription> before;                // of those that it touches
    std::set<Number> made;                                // subscriptions ...
    std::set<Number> moved;                               // ... by a seek
    std::map<Number, std::map<MessageId, Message>> gone;  // of topics
    std::set<Number> published;                           // topics in which something is
    std::set<Key> granted;                                // but for those ...
    std::set<Key> again;                                  // ... of a call that was sent again
    std::set<Key> acked;                                  // for a subscription
    std::vector<Buried> buried;
    bool from_queue = false;      // a message of a queue is gone
    std::set<std::string> taken;  // from the wishes
    std::string why;
  };
  struct MadeWish {
    SubscriptionConfig config;
    TopicPlace from;
  };

  // topic_model.cpp: what comes and goes
  void forget_all() override;
  static void wrong(Turn& turn, const SourceOf& source, const MessageId& id, const std::string& what);
  Subscription& touch(Turn& turn, Number number);
  Topic* topic_of(Number number);
  const Topic* topic_of(Number number) const;
  const Subscription* find(const SourceOf& name) const;
  void take_source(Turn& turn, const Record& record);
  void take_topic(Turn& turn, const Record& record);
  void take_subscription(Turn& turn, const Record& record);
  void take_place(Turn& turn, const Record& record);
  void make_subscription(Turn& turn, const SourceOf& name, const StoredSubscription& stored);
  void move_subscription(Turn& turn, const SourceOf& name, Number from, const StoredSubscription& stored);
  void drop_subscription(Turn& turn, Number number);
  bool fits(const Turn& turn, const Topic& topic, const MessageId& place, const TopicPlace& asked) const;
  void judge_places(Turn& turn);
  void take_name(Turn& turn, const Record& record);
  void take_message(Turn& turn, const Record& record);
  void judge_published(Turn& turn, Topic& topic, const MessageId& id, const Message& message);
  void judge_trimmed(Turn& turn);
  bool needless(const Turn& turn, Number number, const Topic& topic, const Message& last) const;
  void judge_acked_key(Turn& turn, const Record& effect);
  void note_grantable(const Turn& turn);

  // topic_rules.cpp: what becomes of a subscription's messages
  void judge_delivery(Turn& turn, const Record& record);
  void judge_end(Turn& turn, Subscription& of, const MessageId& id);
  void judge_settled(Turn& turn, Subscription& of, const MessageId& id);
  void judge_grant(Turn& turn, Subscription& of, const MessageId& id, const StoredDelivery& after);
  void judge_call(Turn& turn, const Subscription& of, const MessageId& id, const StoredDelivery& after);
  void judge_left(Turn& turn, Subscription& of, const MessageId& id, const StoredDelivery& after);
  void judge_death(Turn& turn, Subscription& of, const MessageId& id, const Delivery& was, bool moves);
  bool claim_buried(Turn& turn, const Subscription& of, const MessageId& id, const Delivery& was);
  bool take_kick(Turn& turn, const Subscription& of, const Delivery& was);
  void judge_subscription(Turn& turn, Number number);
  void judge_cursor(Turn& turn, const Subscription& before, Subscription& after);
  void judge_window(Turn& turn, Number number, const Subscription& before, const Subscription& after);
  void judge_order(Turn& turn, Number number, const Subscription& before);
  void judge_lanes(Turn& turn, Number number, const Subscription& after);
  std::set<std::string> groups_held_up(const Turn& turn, Number number, const Subscription& before) const;
  std::set<MessageId> grantable(const Subscription& of, uint64_t clock) const;
  bool grantable_behind(const Subscription& of) const;
  std::string group_of(const Subscription& of, const MessageId& id) const;  // empty: it goes its own way
  void note_settled(const Turn& turn, const Delivery& was, const MessageId& id, Settling::Kind kind);

  // topic_answers.cpp
  std::string on(const SourceOf& source, const std::vector<Settling>& asked,
                 const std::vector<Settled::One>& told) const;
  std::string on(const Transaction& transaction, const TxnDone& done) const;
  std::string on(const ReceiveMessages& receive, const Received& received);
  std::string on(const PageTopic& asked, const Peeked& page, Revision revision) const;
  std::string on(const TopicInfo& info) const;
  std::string on(const SubscriptionInfo& info) const;
  std::string on_read(const Operation& operation, const StoreAnswer& answer) const;

  std::map<SourceOf, uint64_t> deletes_;  // of a topic: with no name of a subscription
  std::map<SourceOf, std::vector<MadeWish>> makes_;
  std::map<SourceOf, std::vector<TopicPlace>> seeks_;
  std::map<Number, Topic> topics_;
  std::map<Number, Subscription> subscriptions_;
  std::map<std::string, Number> topic_names_;
  std::map<SourceOf, Number> subscription_names_;
  std::map<std::string, StoredQueue> queues_;
  std::set<Number> former_;         // of topics and subscriptions that are gone, or were moved
  std::map<Number, bool> emptied_;  // and whether names go, too
  std::map<std::string, StoredName> dedup_;
  std::map<SourceOf, std::vector<Gap>> gaps_;
  std::map<std::string, uint64_t> acked_;              // how often each key was added to
  std::set<std::pair<std::string, Number>> acked_by_;  // ... and for a subscription of which number
};

}  // namespace kvd::sim
