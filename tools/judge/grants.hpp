// Whether those who receive from one queue, or from one subscription, were granted messages as they have to be: nobody
// what another one has, nothing after its end, and the messages of a group in their order. A plain object that is fed
// while clients work; it knows neither servers nor a clock. Times are nanoseconds of one monotonic clock of the
// clients'. About 32 bytes for each message, all in flight or not.
//
// What a client did not hear counts for nobody: a grant without an answer is no grant, and a settlement counts as asked
// for from the moment when it is sent.
#pragma once
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "judge/sent_messages.hpp"

namespace kvd::sim {

class Grants {
 public:
  // `ttr_ns`: for how long each grant holds. `sent` and `findings` have to outlive it.
  Grants(SentMessages& sent, MessageFindings& findings, uint64_t ttr_ns);

  struct Grant {
    uint64_t number = SentMessages::kNobody;  // as the body tells
    MessageId id;
    uint64_t receipt = 0;
    uint64_t asked = 0;  // when the request was sent
    uint64_t heard = 0;  // when the answer was read
  };
  void granted(const Grant& grant);
  // A request that ends it is sent; and it was answered, for the receipt that it named, as done.
  void settling(uint64_t number);
  void settled(uint64_t number, uint64_t receipt);
  // At the end it was seen there.
  void found(uint64_t number);
  // Nothing is there any more, asked for when so many had been seen (sent.seen_so_far()). What others have seen by then
  // has to have been received, acknowledged or not.
  void emptied(uint64_t seen) { seen_before_ = seen; }

  // Counts what is lost; once, at the end.
  void judge();

 private:
  struct Delivery {
    uint64_t receipt = 0;  // of the newest grant that was heard
    uint64_t asked = 0;
    uint64_t heard = 0;
    bool received = false;
    bool ends = false;  // somebody asked for its end
    bool ended = false;
    bool found = false;
  };
  struct Lane {  // of a group: its newest grant
    uint64_t receipt = 0;
    uint64_t number = 0;
  };

  Delivery* of(uint64_t number);
  void hold_against_group(const Grant& grant);

  SentMessages& sent_;
  MessageFindings& findings_;
  uint64_t ttr_ns_;
  uint64_t seen_before_ = 0;
  std::vector<Delivery> deliveries_;          // by number
  std::unordered_map<uint32_t, Lane> lanes_;  // by group
};

}  // namespace kvd::sim
