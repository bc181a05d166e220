// What clients of queues have asked for, so that the model of queues can tell what became of a message from what should
// not have: an acknowledged message and one that was dropped look the same in the log.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "msg/client.hpp"

namespace kvd::sim {

// A message under one of its grants.
struct Granted {
  MessageId id;
  uint64_t receipt = 0;
  auto operator<=>(const Granted&) const = default;
};
// The message of a settling, under the grant that it names.
inline Granted granted(const Settling& settling) { return {settling.id, settling.receipt}; }

// What an operation settles and sends, a transaction by its first branch.
std::vector<Settling> settlings_of(const Operation& operation);
std::vector<NewMessage> messages_of(const Operation& operation);
// The key that a transaction adds to when it acknowledges this message: that is to happen once.
inline constexpr std::string_view kDonePrefix = "done/";
inline std::string done_key(const MessageId& id) { return std::string(kDonePrefix) + to_text(id); }

// As kicks are noted, and dead letters name where they come from: a queue, or a subscription of a topic.
inline std::string source_name(std::string_view queue, std::string_view subscription) {
  return std::string(queue) + (subscription.empty() ? "" : "/") + std::string(subscription);
}

class QueueWishes {
 public:
  void note(
      const Operation& operation);  // it is asked for, once or, with an idempotency key, until it is answered

  bool settled(const Granted& which, Settling::Kind kind) const;
  // A refusal with this wait, or with the queue's.
  bool nacked(const Granted& which, std::optional<uint64_t> ms) const;
  // The dedup name with which this body is to be sent, or empty; null: nobody sends it.
  const std::string* sent(std::string_view body) const;
  // Each is done once for each time that it was asked for. False: it was not asked for so often.
  bool take_purge_of_all(const std::string& queue);
  bool take_delete(const std::string& queue);
  // ... and of one state: of those in which a message is, by its record or by the clock.
  bool take_purge(const std::string& queue, const std::set<MessageState>& states);
  bool take_kick(const std::string& queue, const std::set<MessageState>& states, const std::string& to);

 private:
  using Kinds = std::array<bool, 5>;
  struct OfState {
    uint64_t times = 0;
    std::set<MessageState> states;
    void note(MessageState state) {
      ++times;
      states.insert(state);
    }
    bool take(const std::set<MessageState>& any);
  };
  void note(const std::vector<Settling>& settlings);

  std::map<Granted, Kinds> settled_;
  std::map<Granted, std::set<std::optional<uint64_t>>> nacks_;
  std::map<std::string, std::string, std::less<>> sent_;  // dedup names by body
  std::map<std::string, uint64_t> purges_;                // of all
  std::map<std::string, uint64_t> deletes_;
  std::map<std::string, OfState> some_purges_;
  std::map<std::pair<std::string, std::string>, OfState> kicks_;
};

}  // namespace kvd::sim
