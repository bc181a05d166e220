// What was sent to a queue, or published in a topic, by what the senders were told; and what whoever is told of
// messages finds wrong. A plain object that is fed while clients work. About 32 bytes for each message.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "msg/queues.hpp"

namespace kvd::sim {

// Of senders, of who receives, or of a reader. Each of them fills in what it can know.
struct MessageFindings {
  uint64_t acknowledged = 0;  // messages, as sent
  uint64_t maybe_sent = 0;    // whose sends had no answer that tells
  uint64_t received = 0;      // messages, by somebody; or read
  uint64_t granted_anew = 0;  // grants of a message beyond its first one
  // What may not be.
  uint64_t lost = 0;           // acknowledged, never received, and not there; or never read
  uint64_t unexpected = 0;     // received, and nobody sent it; or sent once and there under two ids
  uint64_t twice = 0;          // granted while another one had it; or read twice
  uint64_t after_settled = 0;  // granted though its end was acknowledged before
  uint64_t out_of_order = 0;   // granted before the end of an earlier one of its group, or behind a later one
  uint64_t stuck = 0;          // there at the end, though clients have long waited for it
  std::vector<std::string> examples;  // the first ones of what may not be, in words

  static constexpr size_t kExamples = 10;
  bool sound() const { return lost + unexpected + twice + after_settled + out_of_order + stuck == 0; }
  // One more of what may not be: `count` is a member of this.
  void object(uint64_t& count, std::string what);
  // All but the examples.
  void add(const MessageFindings& other);
};

class SentMessages {
 public:
  static constexpr uint32_t kNoGroup = UINT32_MAX;
  static constexpr uint64_t kNobody = UINT64_MAX;  // the number of a message whose body is no client's

  enum class Sent : uint8_t { kMaybe, kYes, kNo };
  struct Message {
    MessageId id;  // as told with its send, or to the first one who saw it; revision 0: not known
    uint32_t group = kNoGroup;
    Sent sent = Sent::kMaybe;
    uint64_t seen =
        0;  // by somebody else than its sender, as the first one, the second one, ...; 0: by nobody

    // Whether it was there for who asked when so many had been seen.
    bool was_there(uint64_t so_many) const { return sent == Sent::kYes || (seen != 0 && seen <= so_many); }
  };

  // `findings` has to outlive it.
  explicit SentMessages(MessageFindings& findings) : findings_(findings) {}

  // A message is to be sent: the number that its body has to tell, from 0 on. `group` is one of one queue, small.
  uint64_t send(uint32_t group);
  void sent(uint64_t number, const MessageId& id);
  void not_sent(uint64_t number);  // certainly
  // Somebody saw one that tells this number, under this id. False: it is no message that was sent. `told` are the
  // findings of who saw it.
  bool seen(uint64_t number, const MessageId& id, MessageFindings& told);

  uint64_t seen_so_far() const { return seen_; }  // different messages
  size_t size() const { return messages_.size(); }
  const Message& operator[](uint64_t number) const { return messages_[number]; }

 private:
  bool is_same(uint64_t number, const MessageId& id, MessageFindings& told);

  MessageFindings& findings_;
  std::vector<Message> messages_;  // by number
  uint64_t seen_ = 0;
};

}  // namespace kvd::sim
