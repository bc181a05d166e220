// `kvload topic`: publishers, the consumers of each subscription, and readers, a connection each, of a topic of its own
// at the servers of a running cluster, which others may kill meanwhile. How many messages a second are published,
// received, settled and read, and how soon; and, when all is received, whether the topic kept its word
// (judge/topic_verdict.hpp).
#pragma once
#include <string>

#include "judge/topic_verdict.hpp"
#include "kvload/message_load.hpp"
#include "kvload/options.hpp"

namespace kvd::load {

struct TopicReport {
  const TopicOptions& options;
  MessageFigures figures;
  sim::TopicFindings findings;

  int exit_code() const { return figures.exit_code(findings.sound()); }
};

std::string topic_text(const TopicReport& report);
std::string topic_json(const TopicReport& report);

int topic_command(const TopicOptions& options);

}  // namespace kvd::load
