// `kvload queue`: producers and consumers, a connection each, of queues of its own at the servers of a running cluster,
// which others may kill meanwhile. How many messages a second are sent, received and settled, how soon a message is
// with its consumer; and, when the queues have been emptied, whether they kept their word (judge/queue_verdict.hpp).
#pragma once
#include <string>

#include "judge/queue_verdict.hpp"
#include "kvload/message_load.hpp"
#include "kvload/options.hpp"

namespace kvd::load {

struct QueueReport {
  const QueueOptions& options;
  MessageFigures figures;
  sim::MessageFindings findings;

  int exit_code() const { return figures.exit_code(findings.sound()); }
};

std::string queue_text(const QueueReport& report);
std::string queue_json(const QueueReport& report);

int queue_command(const QueueOptions& options);

}  // namespace kvd::load
