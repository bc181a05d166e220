// Whether queues kept their word, by what their clients were told: nothing that was acknowledged as sent is lost, nobody
// receives what nobody sent, nobody is granted what another one has, and the messages of a group come in their order.
// A plain object that is fed while clients work; it knows neither servers nor a clock. Times are nanoseconds of one
// monotonic clock of the clients'. About 50 bytes for each message, all in flight or not.
//
// What a client did not hear counts for nobody: a send without an answer may have been done or not, a grant without one
// is no grant, and a settlement counts as asked for from the moment when it is sent.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "msg/queues.hpp"

namespace kvd::sim {

struct QueueFindings {
  uint64_t acknowledged = 0;  // messages, as sent
  uint64_t maybe_sent = 0;    // whose sends had no answer that tells
  uint64_t received = 0;      // messages, by somebody
  uint64_t granted_anew = 0;  // grants of a message beyond its first one
  // What may not be.
  uint64_t lost = 0;           // acknowledged, never received, and not in its queue
  uint64_t unexpected = 0;     // received, and nobody sent it; or sent once and there under two ids
  uint64_t twice = 0;          // granted while another one had it
  uint64_t after_settled = 0;  // granted though its end was acknowledged before
  uint64_t out_of_order = 0;   // granted before the end of an earlier one of its group, or behind a later one
  uint64_t stuck = 0;          // in its queue at the end, though clients have long waited for it
  std::vector<std::string> examples;  // the first ones of what may not be, in words

  bool sound() const { return lost + unexpected + twice + after_settled + out_of_order + stuck == 0; }
};

class QueueVerdict {
 public:
  static constexpr uint32_t kNoGroup = UINT32_MAX;
  static constexpr uint64_t kNobody = UINT64_MAX;  // the number of a message whose body is no client's

  // `ttr_ns`: for how long each grant holds.
  explicit QueueVerdict(uint64_t ttr_ns);

  // A message is to be sent: the number that its body has to tell, from 0 on. `group` is one of one queue, small.
  uint64_t send(uint32_t group);
  void sent(uint64_t number, const MessageId& id);
  void not_sent(uint64_t number);  // certainly

  struct Grant {
    uint64_t number = kNobody;  // as the body tells
    MessageId id;
    uint64_t receipt = 0;
    uint64_t asked = 0;  // when the request was sent
    uint64_t heard = 0;  // when the answer was read
  };
  void granted(const Grant& grant);
  // A request that ends it is sent; and it was answered, for the receipt that it named, as done.
  void settling(uint64_t number);
  void settled(uint64_t number, uint64_t receipt);
  // At the end it was seen in its queue.
  void found(uint64_t number);

  // So far, without what is lost.
  const QueueFindings& findings() const { return findings_; }
  // With it; once, at the end.
  QueueFindings judge();

 private:
  enum class Sent : uint8_t { kMaybe, kYes, kNo };
  struct Message {
    MessageId id;          // as told with its send or with its first grant; revision 0: not known
    uint64_t receipt = 0;  // of the newest grant that was heard
    uint64_t asked = 0;
    uint64_t heard = 0;
    uint32_t group = kNoGroup;
    Sent sent = Sent::kMaybe;
    bool received = false;
    bool ends = false;  // somebody asked for its end
    bool ended = false;
    bool found = false;
  };
  struct Lane {  // of a group: its newest grant
    uint64_t receipt = 0;
    uint64_t number = 0;
  };

  Message* of(uint64_t number) { return number < messages_.size() ? &messages_[number] : nullptr; }
  bool is_same(Message& message, uint64_t number, const MessageId& id);
  void hold_against_group(const Message& message, const Grant& grant);
  void object(uint64_t& count, std::string what);

  uint64_t ttr_ns_;
  std::vector<Message> messages_;             // by number
  std::unordered_map<uint32_t, Lane> lanes_;  // by group
  QueueFindings findings_;
};

}  // namespace kvd::sim
