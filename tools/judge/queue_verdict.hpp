// Whether queues kept their word, by what their clients were told: nothing that was acknowledged as sent is lost,
// nobody receives what nobody sent, nobody is granted what another one has, and the messages of a group come in their
// order. What is sent is told to `sends`, and what is received to `grants`. A send without an answer may have been done
// or not.
#pragma once
#include <cstdint>

#include "judge/grants.hpp"
#include "judge/sent_messages.hpp"

namespace kvd::sim {

struct QueueVerdict {
  // `ttr_ns`: for how long each grant holds.
  explicit QueueVerdict(uint64_t ttr_ns) : grants(sends, findings, ttr_ns) {}
  QueueVerdict(const QueueVerdict&) = delete;
  QueueVerdict& operator=(const QueueVerdict&) = delete;

  MessageFindings findings;  // so far; with what is lost from grants.judge() on
  SentMessages sends{findings};
  Grants grants;
};

}  // namespace kvd::sim
