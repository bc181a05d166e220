// Receives that wait at the leader until there is something to grant: of each queue in the order in which they came.
// Plain memory: with the reign they end, and are asked of the next leader.
#pragma once
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "msg/actors.hpp"

namespace kvd {

// A queue, or a topic and its subscription.
using SourceName = std::pair<std::string, std::string>;
inline SourceName source_of(const ReceiveMessages& receive) { return {receive.queue, receive.subscription}; }

struct WaitingReceive {
  Propose message;                    // of a ReceiveMessages whose settlings are done ...
  std::vector<Settled::One> settled;  // ... and led to this
  Instant until{};
};

class WaitingReceives {
 public:
  using Line = std::list<WaitingReceive>;

  void add(WaitingReceive receive);
  // Null: nobody waits there.
  Line* of(const SourceName& source);
  // Subscriptions of a topic, and a queue, of this name, at which somebody waits.
  std::vector<SourceName> sources(const std::string& name) const;
  WaitingReceive take(Line& line, Line::iterator it);
  std::optional<WaitingReceive> take(uint64_t token);  // none: it does not wait
  std::optional<WaitingReceive> take_due(Instant now);
  std::vector<WaitingReceive> take_all();
  std::vector<WaitingReceive> take_of(LinkId from);
  size_t size() const { return where_.size(); }
  uint64_t size(const SourceName& source) const;
  Instant deadline() const { return due_.empty() ? kNever : due_.begin()->first; }

 private:
  std::map<SourceName, Line> lines_;
  std::map<uint64_t, Line::iterator> where_;  // by token
  std::set<std::pair<Instant, uint64_t>> due_;
};

}  // namespace kvd
