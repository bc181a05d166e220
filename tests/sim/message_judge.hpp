// Who judges messages by the committed entries, by what clients ask for, and by what they are told: a model for queues,
// another one for topics (queue_model.hpp, topic_model.hpp). Each judgement is empty, or says what is wrong.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "msg/client.hpp"

namespace kvd::sim {

// A queue; or a topic, and a subscription.
using SourceOf = std::pair<std::string, std::string>;

class MessageJudge {
 public:
  virtual ~MessageJudge() = default;

  // A client is going to ask for it: each operation once, however often it is sent.
  virtual void on_asked(const Operation& operation) = 0;
  // The next committed entry; `appended`: none, if nobody saw when.
  virtual std::string on_entry(const Entry& entry, std::optional<Instant> appended) = 0;
  // What the client is told that has asked for `operation`. It ends what that promised: nothing of it happens later.
  virtual std::string on_answer(const Operation& operation, const StoreAnswer& answer) = 0;
  // An answer came too late, or to nobody: what it grants was told all the same.
  virtual void on_unheard(const StoreAnswer& answer) = 0;

  // What is neither settled nor dead, by what is committed. Empty: nothing.
  virtual std::string left() const = 0;
  virtual std::vector<SourceOf> sources_left() const = 0;  // ... where
  // Grants that were appended in that time, still run by `now`, and were told to nobody. Empty: there are none.
  virtual std::string unheard(Instant since, Instant before, Instant now) const = 0;
  // Since when, by what is committed, there is always something to grant there. None: there is not.
  virtual std::optional<Instant> grantable_since(const SourceOf& source) const = 0;
};

}  // namespace kvd::sim
