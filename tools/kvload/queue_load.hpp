// `kvload queue`: producers and consumers, a connection each, of queues of its own at the servers of a running cluster,
// which others may kill meanwhile. How many messages a second are sent, received and settled, how soon a message is
// with its consumer; and, when the queues have been emptied, whether they kept their word (judge/queue_verdict.hpp).
#pragma once
#include <string>

#include "judge/queue_verdict.hpp"
#include "kvload/options.hpp"
#include "kvload/result.hpp"

namespace kvd::load {

struct QueueReport {
  const QueueOptions& options;
  std::string prefix;    // of the queues' names
  RunResult sends;       // of messages, from when they were to be sent to the answer
  RunResult deliveries;  // from when they were to be sent to who receives them
  uint64_t settled = 0;  // of those that were received, meanwhile
  uint64_t stale = 0;    // that could not be settled any more, since others had them or had settled them
  double cpu_us_per_message =
      0;               // of the servers that run here, for each received; 0: none is seen, or one ended
  double fill_s = 0;   // for the backlog
  double drain_s = 0;  // until the queues were empty
  sim::QueueFindings findings;
  std::string unmeasured;    // why nothing was measured; empty: it was
  std::string unjudged;      // why it was not judged; empty: it was
  bool queues_left = false;  // they were not deleted

  int exit_code() const;
};

std::string queue_text(const QueueReport& report);
std::string queue_json(const QueueReport& report);

int queue_command(const QueueOptions& options);

}  // namespace kvd::load
