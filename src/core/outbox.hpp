// How actors speak: every handler gets an Outbox and puts messages into it; nobody calls anybody. The node
// owns the mailboxes behind it and hands them out in a fixed order (node.cpp).
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "base/bounded_queue.hpp"
#include "base/check.hpp"
#include "base/prng.hpp"
#include "base/time.hpp"
#include "core/config.hpp"
#include "msg/actors.hpp"
#include "msg/limits.hpp"

namespace kvd {

// What comes from outside is refused at kMailboxMessages (Node::push). One such message causes few inside the
// node, but a step-down answers everything that waits at once: hence the headroom, which can only be passed
// by a bug.
inline constexpr size_t kMailboxHeadroom = limits::kMailboxMessages + 2 * limits::kClientRequests;

template <class Message>
class Mailbox {
 public:
  // From outside the node.
  template <class Content>
  [[nodiscard]] bool offer(Content&& content) {
    return messages_.size() < limits::kMailboxMessages && messages_.push(std::forward<Content>(content));
  }
  // From another actor.
  template <class Content>
  void post(Content&& content) {
    bool accepted = messages_.push(std::forward<Content>(content));
    CHECK(accepted);
  }
  bool empty() const { return messages_.empty(); }
  // For the actor that it is for, which may take it apart; until drop_first().
  Message& first() { return messages_.front(); }
  void drop_first() { messages_.pop_front(); }

 private:
  BoundedQueue<Message> messages_{kMailboxHeadroom};
};

struct Outbox {
  // Fixed for the life of the node.
  const NodeConfig& config;
  Prng& prng;
  // The time of the current turn.
  Instant now{};

  Mailbox<LinksMessage> links;
  Mailbox<MembershipMessage> membership;
  Mailbox<ElectionMessage> election;
  Mailbox<ReplicaMessage> replica;
  Mailbox<FrontMessage> front;
  std::vector<NodeEffect> effects;

  template <class Effect>
  void emit(Effect&& effect) {
    effects.emplace_back(std::forward<Effect>(effect));
  }
  void log(LogLevel level, std::string message,
           std::vector<std::pair<std::string, std::string>> fields = {}) {
    emit(LogLine{level, std::move(message), std::move(fields)});
  }
};

}  // namespace kvd
