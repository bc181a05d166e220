// Judges queues by the committed entries and by what their clients ask for and are told. The entries' records are read
// (core/queues/stored.hpp); what they mean is a model of its own, which knows nothing of the servers' views: a message
// is written once, is granted while nobody else has it, by priority and in the order of its group, and ends for a
// reason. Times are those of the entries' clock; where somebody saw when an entry was appended, the true time counts,
// too.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "core/queues/stored.hpp"
#include "message_ledger.hpp"
#include "msg/client.hpp"

namespace kvd::sim {

class QueueModel : public MessageLedger {
 public:
  // `rate_ppm`: so many millionths of a span a clock may be wrong by.
  explicit QueueModel(int64_t rate_ppm = 0) : MessageLedger(rate_ppm) {}

  std::string on_entry(const Entry& entry, std::optional<Instant> appended) override;
  std::string on_answer(const Operation& operation, const StoreAnswer& answer) override;
  std::string left() const override;
  std::vector<SourceOf> sources_left() const override;
  std::string unheard(Instant since, Instant before, Instant now) const override;
  std::optional<Instant> grantable_since(const SourceOf& queue) const override;

 private:
  struct Queue {
    StoredQueue stored;
    uint64_t made = 0;
    uint32_t least_deliveries =
        0;  // that it was ever configured with: the end of so many may be noticed late
    std::optional<Instant> grantable;
  };
  struct Message {
    std::string body;
    std::string group;
    std::string type;
    std::string dead_from;
    uint8_t priority = 0;
    uint64_t deadline = 0;
    StoredDelivery became;
    bool has_delivery = false;
    uint64_t newest = 0;             // of all its receipts
    std::optional<Instant> granted;  // or extended
    uint64_t granted_ms = 0;         // for so long
    bool ready(uint64_t clock) const;
    bool in_flight(uint64_t clock) const;
  };
  // In the order in which they were sent.
  using Number = uint64_t;
  using Key = std::pair<Number, MessageId>;
  using Messages = std::map<Key, Message>;
  struct Change {  // of one message, by one entry
    const Message* before = nullptr;
    const Record* message = nullptr;   // an effect on it
    const Record* delivery = nullptr;  // ... on what became of it
    bool ends() const { return before != nullptr && message != nullptr && !message->has_value(); }
    bool begins() const { return message != nullptr && message->has_value(); }
  };
  struct Turn {  // one entry, while it is judged
    const Entry& entry;
    std::optional<Instant> appended;
    std::map<Key, Change> changes;
    std::map<Key, Key> moved;       // whence: where to
    std::map<Key, Key> moved_from;  // the other way round
    std::set<Key> again;            // granted once more to a call that was sent again
    std::set<std::string> taken;    // from the wishes
    std::string why;
  };

  void forget_all() override;
  void wrong(Turn& turn, const Key& key, const std::string& what) const;
  const Queue* named(Number number) const;
  std::string name_of(Number number) const;                                // empty: none
  static std::string lane_of(const Queue& queue, const Message& message);  // empty: it goes its own way
  void judge_done(Turn& turn, const Record& effect);
  void take_topics(const Entry& entry);
  bool is_mine(const Record& effect) const;
  void take_queues(Turn& turn);
  void take_queue(Turn& turn, const Record& record);
  void take_emptied(Turn& turn, const Record& record);
  void take_name(Turn& turn, const Record& record);
  void pair_moved(Turn& turn);
  bool may_be(const Key& gone, const Message& before, const Key& sent, const Message& after) const;
  void judge_sent(Turn& turn, const Key& key, const Change& change);
  void judge_moved(Turn& turn, const Key& key, const Change& change);
  void judge_gone(Turn& turn, const Key& key, const Change& change);
  void judge_delivery(Turn& turn, const Key& key, const Change& change);
  void judge_grant(Turn& turn, const Key& key, const Message& before, const StoredDelivery& after);
  void judge_call(Turn& turn, const Key& key, const StoredDelivery& after);
  void judge_given_back(Turn& turn, const Key& key, const Message& before, const StoredDelivery& after);
  void judge_death(Turn& turn, const Key& key, const Message& before);
  void judge_order(Turn& turn);
  std::set<std::pair<Number, std::string>> lanes_held_up(const Turn& turn) const;
  void judge_lanes(Turn& turn);
  static std::set<MessageState> states_of(const Message& message, uint64_t clock);
  bool take_purge(Turn& turn, const std::string& queue, const Message& message);
  bool take_kick(Turn& turn, const std::string& queue, const Message& message, const std::string& to);
  void note_settled(const Turn& turn, const Key& key, Settling::Kind kind);
  std::set<std::pair<uint8_t, MessageId>> grantable(Number number, uint64_t clock) const;
  size_t in_flight(Number number, uint64_t clock) const;
  void apply(Turn& turn);
  void note_grantable(const Turn& turn);

  std::string on(const std::vector<Settling>& asked, const std::vector<Settled::One>& told);
  std::string on(const Transaction& transaction, const TxnDone& done);
  std::string on(const ReceiveMessages& receive, const Received& received);

  std::map<std::string, Queue> queues_;
  std::map<Number, std::string> names_;
  std::map<Number, bool> emptied_;       // and whether names of sends go, too
  std::set<Number> others_;              // of topics and subscriptions, which topic_model.hpp judges
  std::set<std::string> subscriptions_;  // as dead letters call them
  Messages messages_;
  std::map<std::string, StoredName> dedup_;
};

}  // namespace kvd::sim
