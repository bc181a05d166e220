// How actors speak: every handler gets an Outbox and puts messages into it; nobody calls anybody. The node
// owns the mailboxes behind it and hands them out in a fixed order (node.cpp).
#pragma once
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "base/append_buffer.hpp"
#include "base/bounded_queue.hpp"
#include "base/check.hpp"
#include "base/prng.hpp"
#include "base/time.hpp"
#include "core/config.hpp"
#include "core/services/watch_budget.hpp"
#include "core/zk_call_window.hpp"
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

// Who keeps a collection of the services. Sessions stand before them all.
enum class ServiceActor : uint8_t { kLocks, kBarriers, kIds, kNames, kTasks, kZnodes, kZkQueues, kSessions };
inline constexpr auto kServiceActors = static_cast<size_t>(ServiceActor::kSessions);  // which is not counted
constexpr ServiceActor actor_of(Collection collection) {
  switch (collection) {
    case Collection::kSessions:
      return ServiceActor::kSessions;
    case Collection::kLocks:
    case Collection::kElections:
      return ServiceActor::kLocks;
    case Collection::kBarriers:
      return ServiceActor::kBarriers;
    case Collection::kIds:
      return ServiceActor::kIds;
    case Collection::kNames:
    case Collection::kHosts:
      return ServiceActor::kNames;
    case Collection::kTasks:
    case Collection::kWorkers:
      return ServiceActor::kTasks;
    case Collection::kZnodes:
      return ServiceActor::kZnodes;
    case Collection::kZkQueues:
      return ServiceActor::kZkQueues;
  }
  CHECK(false);
}

// Calls to ZooKeeper bear their actor's number, so that the result finds its way back.
inline ZkCallId service_call_id(ServiceActor actor, uint64_t counter) {
  return zk_call_id(ZkCaller::kServices, counter * (kServiceActors + 1) + static_cast<uint64_t>(actor));
}
inline ServiceActor service_actor(ZkCallId id) {
  return static_cast<ServiceActor>(zk_counter(id) % (kServiceActors + 1));
}

// What all actors of a node share.
struct Outbox {
  // Fixed for the life of the node.
  const NodeConfig& config;
  Prng& prng;
  // The time of the current turn.
  Instant now{};
  bool slept = false;  // this server's loop did, before it
  // ZooKeeper knows this server's session until then, for all that Sessions has heard; Instant{}: who can tell?
  // Afterwards what hangs on it may be another's.
  Instant certain_until{};
  // Since 1970, for people: no decision rests on it.
  uint64_t wall_ms() const {
    return config.wall_at_zero_ms + static_cast<uint64_t>(to_ms(now.time_since_epoch()));
  }
  bool certain() const { return now < certain_until; }

  Mailbox<LinksMessage> links;
  Mailbox<RegisterKeeperMessage> register_keeper;
  Mailbox<ElectionMessage> election;
  Mailbox<ReplicaMessage> replica;
  Mailbox<KvRouterMessage> kv_router;
  Mailbox<WatchMessage> watch;
  Mailbox<LeaseKeeperMessage> lease_keeper;
  Mailbox<ConsumersMessage> consumers;
  Mailbox<TopicReadersMessage> topic_readers;
  Mailbox<ServiceRouterMessage> service_router;
  Mailbox<SessionsMessage> sessions;
  std::array<Mailbox<ServiceMessage>, kServiceActors> services;  // by ServiceActor
  ZkCallWindow zk_call_window;
  WatchBudget watches{config.zookeeper_prefix.size()};  // of the services
  AppendBuffer<NodeEffect> effects;

  template <class Effect>
  void emit(Effect&& effect) {
    effects.append(std::forward<Effect>(effect));
  }
  // Of a collection that is not sessions'.
  Mailbox<ServiceMessage>& service_of(Collection collection) {
    return services.at(static_cast<size_t>(actor_of(collection)));
  }
  void log(LogLevel level, std::string message, std::vector<std::pair<std::string, std::string>> fields = {});
};

// Compiled in outbox.cpp only: each is a good second wherever it is compiled.
extern template class AppendBuffer<LinksMessage>;
extern template class AppendBuffer<RegisterKeeperMessage>;
extern template class AppendBuffer<ElectionMessage>;
extern template class AppendBuffer<ReplicaMessage>;
extern template class AppendBuffer<KvRouterMessage>;
extern template class AppendBuffer<WatchMessage>;
extern template class AppendBuffer<LeaseKeeperMessage>;
extern template class AppendBuffer<ServiceRouterMessage>;
extern template class AppendBuffer<SessionsMessage>;
extern template class AppendBuffer<ServiceMessage>;
extern template class AppendBuffer<NodeEffect>;

}  // namespace kvd
