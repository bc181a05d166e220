// What reads the flags that kvd queue and kvd topic have in common (message_options.hpp), for the tables of both
// (options_table.hpp).
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/command_line.hpp"
#include "client/message_options.hpp"
#include "msg/limits.hpp"

namespace kvd::client {

std::string operand_at(const CommandLine& line, size_t place);  // empty: there is none
// `what`: the operand or flag, as it is typed. `of`: whose name it is, as in "a queue".
std::string read_source_name(CommandLine& line, const std::string& what, const char* of,
                             const std::string& name);
uint64_t read_unsigned(CommandLine& line, const char* flag, uint64_t otherwise, uint64_t low, uint64_t high);

// How messages are delivered, of queues and subscriptions; each as `config` has it where the flag is missing.
std::vector<FlagSpec> delivery_flags();
std::vector<uint64_t> read_backoff(CommandLine& line);
std::string read_dead_letter(CommandLine& line);
template <class Config>
void read_delivery(CommandLine& line, size_t most_in_flight, Config& config) {
  config.ttr_ms = read_unsigned(line, "ttr", config.ttr_ms, limits::kTtrMsMin, limits::kTtrMsMax);
  config.max_deliveries =
      static_cast<uint32_t>(read_unsigned(line, "max-deliveries", config.max_deliveries, 0, UINT32_MAX));
  config.backoff_ms = read_backoff(line);
  config.dead_letter = read_dead_letter(line);
  config.max_in_flight =
      static_cast<uint32_t>(read_unsigned(line, "max-in-flight", config.max_in_flight, 1, most_in_flight));
}

// The bounds of queues and topics, likewise. `discard`: what that flag's help says.
std::vector<FlagSpec> bound_flags(const char* max_messages, const char* max_age, const char* discard);
template <class Config>
void read_bounds(CommandLine& line, Config& config) {
  config.dedup_window_ms = read_unsigned(line, "dedup-window", config.dedup_window_ms, 0, limits::kTtlMsMax);
  config.max_messages = read_unsigned(line, "max-messages", 0, 1, INT64_MAX);
  config.max_bytes = static_cast<uint64_t>(line.size("max-bytes", 0, 1, INT64_MAX));
  config.max_age_ms = read_unsigned(line, "max-age", 0, 1, limits::kTtlMsMax);
  config.discard_old = line.choice("discard", "none") == 1;
}

// The body, and the flags that all messages have. What else one may have is read by whoever knows it.
std::vector<FlagSpec> message_flags(const char* group);
MessageSendOptions read_message(CommandLine& line, MessageSource to);

std::vector<FlagSpec> receive_flags();
MessageCommand read_receive(CommandLine& line, MessageSource source);
FlagSpec peek_state_flag();
MessageCommand read_peek(CommandLine& line, MessageSource source);
FlagSpec kick_most_flag();
// `states`: those that the flag names, in its order; the first one where it is missing.
MessageKickOptions read_kick(CommandLine& line, MessageSource source,
                             const std::vector<MessageState>& states);
// With the prefix that the first operand is, if there is one. `of`: as in read_source_name().
void read_list(CommandLine& line, const char* of, SourceListOptions& list);
std::vector<FlagSpec> stats_flags();
MessageCommand read_stats(CommandLine& line, MessageSource source);
std::vector<FlagSpec> work_flags(const char* otherwise);  // the delay of what was not done
MessageWorkOptions read_work_on(CommandLine& line, MessageSource source);

}  // namespace kvd::client
