// What the reports of `kvload queue` and `kvload topic` have in common: lines of text, and members of a JSON object.
// Pure.
#pragma once
#include <string>

#include "base/json_writer.hpp"
#include "judge/sent_messages.hpp"
#include "kvload/message_load.hpp"
#include "kvload/options.hpp"

namespace kvd::load {

struct MessageWords {
  const char* send = "send";
  const char* sent = "sent";
};

// Rates, latencies, failures, gaps and CPU time, a line each.
void append_message_figures(std::string& out, const MessageFigures& figures, const MessageOptions& options,
                            const MessageWords& words);
std::string wrong_counts(const sim::MessageFindings& found);  // of who receives
// Members of an object.
void write_message_options(JsonWriter& json, const char* senders, const MessageOptions& options);
void write_message_side(JsonWriter& json, const char* name, const RunResult& result);
void write_message_figures(JsonWriter& json, const MessageFigures& figures);
void write_sent(JsonWriter& json, const sim::MessageFindings& found);      // what senders know
void write_findings(JsonWriter& json, const sim::MessageFindings& found);  // and others, without examples
void write_examples(JsonWriter& json, const sim::MessageFindings& found);

}  // namespace kvd::load
