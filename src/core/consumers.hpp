// The consumers: connections to this server that consume a queue. Each is a loop of receives in the connection's name,
// which wait at the leader: as long as fewer messages than its credit are in flight there under its ticket, it is
// granted more, and what is granted becomes a line. Who does not take the lines is granted nothing more, beyond one
// answer that is under way: its messages come back in their time, and go to somebody else. Whoever reads the lines
// settles the messages by calls of their own, at any server, which makes room for others. When the connection is
// closed, what was not settled is refused: it is ready at once, and this delivery counts. When this server dies, the
// grants run out by their time. What the consumers ask goes through the KV router to the leader, like a client's.
#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/outbox.hpp"

namespace kvd {

class Consumers {
 public:
  explicit Consumers(Outbox& out) : out_(out) {}

  void handle(ConsumersMessage&& message);
  void on_time();
  Instant deadline() const;

  uint64_t open() const { return consumers_.size(); }  // for status
  bool drained() const { return stopping_ && consumers_.empty() && endings_.empty(); }

 private:
  struct Consumer {
    ConsumeQueue wanted;
    std::shared_ptr<const Caller> caller;  // whose right is judged with each receive
    uint64_t ticket = 0;
    uint64_t call = 1;   // of its receives, which one is next or under way
    uint64_t tries = 0;  // of that one
    uint64_t token = 0;  // by which it was asked; 0: none is
    bool opened = false;
    bool waits = false;       // nobody could be asked, and the client was told
    size_t untaken = 0;       // of its lines; at limits::kStreamWindow it asks for nothing more
    Instant ask_at = kNever;  // again: in due_
    Instant speak_at{};
  };
  using All = std::map<RequestId, Consumer>;
  struct Ending {  // what is in flight under a ticket is to be refused
    SettleMessages settle;
    Instant until{};
    Instant ask_at{};
    bool asked = false;
  };

  void on(Call&& message);
  void on(const CallCancelled& message);
  void on(const StreamTaken& message);
  void on(Answered&& message);
  void on(const StopRequested& message);

  void receive(RequestId client, Consumer& consumer, Duration timeout);
  void receive_more(RequestId client, Consumer& consumer);
  void take(All::iterator it, Answered& answered);
  void take_failure(All::iterator it, Answered& answered, const Failed& failed);
  void forget(All::iterator it);
  void end(const Consumer& consumer, const std::vector<QueuedMessage>& unseen);
  void end_again();
  void say(RequestId client, Consumer& consumer, Document line, bool last);

  Outbox& out_;
  All consumers_;
  std::set<std::pair<Instant, RequestId>> due_;
  std::map<uint64_t, RequestId> asked_;  // receives, by token
  std::map<uint64_t, Consumer> closed_;  // whose connection is, but not the receive under way: by its token
  std::map<uint64_t, Ending> endings_;   // by the token of the newest question, or of none
  uint64_t last_token_ = 0;
  bool stopping_ = false;
};

}  // namespace kvd
