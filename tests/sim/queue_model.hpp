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
#include "msg/client.hpp"
#include "queue_wishes.hpp"

namespace kvd::sim {

class QueueModel {
 public:
  // `rate_ppm`: so many millionths of a span a clock may be wrong by.
  explicit QueueModel(int64_t rate_ppm = 0) : rate_ppm_(rate_ppm) {}

  // A client is going to ask for it: each operation once, however often it is sent.
  void on_asked(const Operation& operation);
  // The next committed entry; `appended`: none, if nobody saw when. Each judgement is empty, or says what is wrong.
  std::string on_entry(const Entry& entry, std::optional<Instant> appended);
  // What the client is told that has asked for `operation`. It ends what that promised: nothing of it happens later.
  std::string on_answer(const Operation& operation, const StoreAnswer& answer);
  // An answer came too late, or to nobody: what it grants was told all the same.
  void on_unheard(const StoreAnswer& answer);

  // What is neither settled nor dead, by what is committed. Empty: nothing.
  std::string left() const;
  std::vector<std::string> queues_left() const;  // ... in which queues
  // Grants that were appended in that time, still run by `now`, and were told to nobody. Empty: there are none.
  std::string unheard(Instant since, Instant before, Instant now) const;
  // Since when, by what is committed, there is always something to grant in this queue. None: there is not.
  std::optional<Instant> grantable_since(const std::string& queue) const;

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
  struct Grant {
    Revision at;
    Number number = 0;
    uint32_t attempt = 0;
    bool told = false;
    bool given_back = false;  // and no client had asked for it, or it is another one since
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

  bool begin(const Entry& entry);
  bool follows(const StoreAnswer& answer) const;
  void wrong(Turn& turn, const Key& key, const std::string& what) const;
  const Queue* named(Number number) const;
  std::string name_of(Number number) const;                                // empty: none
  static std::string lane_of(const Queue& queue, const Message& message);  // empty: it goes its own way
  void judge_done(Turn& turn, const Record& effect);
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
  bool wished(const Granted& which, Settling::Kind kind) const;
  void note_settled(const Turn& turn, const Key& key, Settling::Kind kind);
  std::set<std::pair<uint8_t, MessageId>> grantable(Number number, uint64_t clock) const;
  size_t in_flight(Number number, uint64_t clock) const;
  void apply(Turn& turn);
  void note_grantable(const Turn& turn);
  Duration lasts(uint64_t ms) const;

  std::string on(const SendMessages& send, const Sent& sent, Revision revision) const;
  std::string on(const std::vector<Settling>& asked, const std::vector<Settled::One>& told);
  std::string on(const Transaction& transaction, const TxnDone& done);
  std::string on(const ReceiveMessages& receive, const Received& received);
  std::string on_refused(const Operation& operation);
  std::string on_refused(const std::vector<Settling>& settlings);

  int64_t rate_ppm_;
  QueueWishes wishes_;
  Revision newest_;
  uint64_t clock_ = 0;
  bool followed_ = false;  // every entry since the lineage began
  std::map<std::string, Queue> queues_;
  std::map<Number, std::string> names_;
  std::map<Number, bool> emptied_;  // and whether names of sends go, too
  Messages messages_;
  std::map<std::string, StoredName> dedup_;
  std::map<MessageId, std::string> sent_;  // bodies of all that there ever was in this lineage
  std::map<std::string, MessageId> bodies_;
  std::map<Granted, Grant> grants_;
  std::map<Granted, std::map<Settling::Kind, bool>>
      settled_;  // and whether nothing else can have done the same
  std::set<std::string> refused_bodies_;
  std::map<std::pair<Granted, Settling::Kind>, uint64_t> asked_;  // how often
  std::set<std::pair<Granted, Settling::Kind>> refused_;
};

}  // namespace kvd::sim
