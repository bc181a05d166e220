// What the models of queues and of topics keep in the same way: what was asked for, which messages there ever were, who
// was granted which of them, and what was settled and refused.
#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/queues/stored.hpp"
#include "message_judge.hpp"
#include "queue_wishes.hpp"

namespace kvd::sim {

class MessageLedger : public MessageJudge {
 public:
  void on_asked(const Operation& operation) override;
  void on_unheard(const StoreAnswer& answer) override;

 protected:
  struct Grant {
    Revision at;
    uint64_t number = 0;
    uint32_t attempt = 0;
    bool told = false;
    bool given_back = false;  // and no client had asked for it, or it is another one since
  };

  explicit MessageLedger(int64_t rate_ppm) : rate_ppm_(rate_ppm) {}

  // A lineage begins with nothing.
  virtual void forget_all();
  // False: not every entry since the lineage began was seen.
  bool begin(const Entry& entry);
  // What an answer speaks of was seen.
  bool follows(const StoreAnswer& answer) const;
  // Somebody asked for it, and was not refused for certain.
  bool wished(const Granted& which, Settling::Kind kind) const;
  // By a slow clock a fast one counts so long at least.
  Duration lasts(uint64_t ms) const;
  // A call that is sent again gets the same messages, under other receipts.
  static bool is_again(const StoredDelivery& was, const StoredDelivery& now, uint64_t clock);
  static bool is_last(const StoredDelivery& became, uint32_t deliveries);
  static uint64_t backoff_after(const std::vector<uint64_t>& backoff_ms, uint32_t attempts);
  // A new message: nobody may have sent it, or for the second time, or who was refused.
  std::string judge_body(const std::string& body) const;
  void note_sent(const MessageId& id, const std::string& body);

  // What clients are told.
  std::string on_sent(const std::vector<NewMessage>& asked, const Sent& sent, Revision revision) const;
  std::string on_sent(const NewMessage& asked, const OpSent& sent) const;
  std::string on_granted(const ReceiveMessages& asked, const std::vector<QueuedMessage>& told);
  std::string on_refused(const Operation& operation);
  std::string on_refused(const std::vector<Settling>& settlings);

  int64_t rate_ppm_;
  QueueWishes wishes_;
  Revision newest_;
  uint64_t clock_ = 0;
  std::map<MessageId, std::string> sent_;  // bodies of all that there ever was in this lineage
  std::map<Granted, Grant> grants_;
  std::map<Granted, std::map<Settling::Kind, bool>>
      settled_;  // and whether nothing else can have done the same
  struct Asked {
    uint64_t times = 0;
    Revision first;  // the newest revision by then
  };
  std::map<std::pair<Granted, Settling::Kind>, Asked> asked_;

 private:
  bool followed_ = false;  // every entry since the lineage began
  std::map<std::string, MessageId> bodies_;
  std::set<std::string> refused_bodies_;
  std::set<std::pair<Granted, Settling::Kind>> refused_;
};

}  // namespace kvd::sim
