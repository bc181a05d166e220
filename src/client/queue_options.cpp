// See queue_options.hpp and options_table.hpp.
#include "client/queue_options.hpp"

#include <array>
#include <utility>

#include "client/help.hpp"
#include "client/message_flags.hpp"
#include "client/options_table.hpp"
#include "msg/limits.hpp"

namespace kvd::client {
namespace {

std::string read_queue(CommandLine& line) {
  return read_source_name(line, "Q", "a queue", operand_at(line, 0));
}

MessageSource queue_of(CommandLine& line) { return {MessageSource::Kind::kQueue, read_queue(line), ""}; }

// ---- the actions ----

ClientCommand read_make(CommandLine& line, const Surroundings&) {
  QueueMakeOptions make{read_access(line), read_queue(line), {}};
  read_delivery(line, limits::kInFlightMax, make.config);
  read_bounds(line, make.config);
  make.config.fifo = line.choice("order", "priority") == 1;
  return QueueCommand(std::move(make));
}

ClientCommand read_rm(CommandLine& line, const Surroundings&) {
  return MessageCommand(SourceRemoveOptions{read_access(line), queue_of(line), line.is_on("if-empty")});
}

ClientCommand read_send(CommandLine& line, const Surroundings&) {
  MessageSendOptions send = read_message(line, queue_of(line));
  NewMessage& message = send.message;
  message.priority = static_cast<uint8_t>(line.number("priority", message.priority, 0, UINT8_MAX));
  message.delay_ms = read_unsigned(line, "delay", 0, 0, limits::kTtlMsMax);
  message.max_age_ms = read_unsigned(line, "max-age", 0, 1, limits::kTtlMsMax);
  if (!message.group.empty() && message.delay_ms != 0)
    line.complain("delay", "a message of a --group has no delay of its own");
  return MessageCommand(std::move(send));
}

ClientCommand read_queue_receive(CommandLine& line, const Surroundings&) {
  return read_receive(line, queue_of(line));
}

ClientCommand read_queue_work(CommandLine& line, const Surroundings&) {
  return read_work_on(line, queue_of(line));
}

ClientCommand read_queue_peek(CommandLine& line, const Surroundings&) {
  return read_peek(line, queue_of(line));
}

ClientCommand read_queue_kick(CommandLine& line, const Surroundings&) {
  MessageKickOptions kick =
      read_kick(line, queue_of(line), {MessageState::kDead, MessageState::kDelayed, MessageState::kReady});
  if (line.has("to")) kick.to = read_source_name(line, "--to", "a queue", line.text("to", ""));
  if (kick.state == MessageState::kReady && kick.to.empty())
    line.complain("state", "what is ready stays as it is: with --to it goes to another queue");
  return MessageCommand(std::move(kick));
}

ClientCommand read_purge(CommandLine& line, const Surroundings&) {
  constexpr std::array<const char*, 3> kPurged = {"ready", "delayed", "dead"};
  QueuePurgeOptions purge{read_access(line), read_queue(line), "all"};
  const bool all = line.is_on("all");
  if (all == line.has("state")) line.complain_of("kvd queue purge", "give --all, or --state");
  const size_t state = line.choice("state", kPurged.front());
  if (!all) purge.state = kPurged.at(state);
  return QueueCommand(std::move(purge));
}

ClientCommand read_queue_ls(CommandLine& line, const Surroundings&) {
  SourceListOptions list{read_access(line), MessageSource::Kind::kQueue};
  read_list(line, "a queue", list);
  return MessageCommand(std::move(list));
}

ClientCommand read_queue_stats(CommandLine& line, const Surroundings&) {
  return read_stats(line, queue_of(line));
}

// ---- the table ----

std::vector<FlagSpec> make_flags() {
  std::vector<FlagSpec> flags = delivery_flags();
  flags.push_back({"max-in-flight", "N", "so many are granted at a time (16384)"});
  flags.push_back(
      {"order", "priority|fifo", "fifo: one message after the other, each when the one before is done"});
  for (FlagSpec& flag :
       bound_flags("with more, sends are refused (no bound)", "then a message is dead (never)",
                   "old: what is too many, or too old, is deleted, the oldest first"))
    flags.push_back(std::move(flag));
  return flags;
}

std::vector<FlagSpec> send_flags() {
  std::vector<FlagSpec> flags =
      message_flags("of one group one message is granted at a time, in the order of their sends (none)");
  flags.push_back({"priority", "N", "0 to 255; 0 goes first (100)"});
  flags.push_back({"delay", "MS", "until it is ready (0)"});
  flags.push_back({"max-age", "MS", "then it is dead (the queue's)"});
  return flags;
}

std::vector<ClientEntry> writing_entries() {
  return {
      {store_spec_of("queue make", "Q [OPTIONS]", 1,
                     "Makes a queue, or changes how it is, and prints the revision.",
                     std::string(help::kQueueMake) + help::kQueueWriteCodes, make_flags()),
       read_make},
      {store_spec_of("queue rm", "Q [OPTIONS]", 1, "Deletes a queue with its messages.",
                     help::kQueueWriteCodes, {{"if-empty", nullptr, "only if there are no messages"}}),
       read_rm},
      {store_spec_of("queue send", "Q [BODY|-|@FILE] [OPTIONS]", 2, "Sends messages, and prints their ids.",
                     std::string(help::kQueueSend) + help::kQueueWriteCodes, send_flags()),
       read_send},
      {store_spec_of("queue receive", "Q [OPTIONS]", 1, "Receives messages, and writes their bodies.",
                     help::kQueueReceive, receive_flags()),
       read_queue_receive},
      {store_spec_of("queue kick", "Q [OPTIONS]", 1,
                     "Makes dead or delayed messages ready again, and prints how many.",
                     std::string(help::kQueueKick) + help::kQueueWriteCodes,
                     {{"state", "dead|delayed|ready", "which; ready ones only --to another queue (dead)"},
                      kick_most_flag(),
                      {"to", "Q2", "the queue that they go to (they stay)"}}),
       read_queue_kick},
      {store_spec_of(
           "queue purge", "Q --all|--state STATE [OPTIONS]", 1, "Deletes messages, and prints how many.",
           std::string(help::kQueuePurge) + help::kQueueWriteCodes,
           {{"all", nullptr, "all of them, at once"}, {"state", "ready|delayed|dead", "those alone"}}),
       read_purge},
  };
}

std::vector<ClientEntry> reading_entries() {
  return {
      {store_spec_of("queue peek", "Q [OPTIONS]", 1, "Prints messages without receiving them.",
                     std::string(help::kQueuePeek) + help::kQueueReadCodes,
                     with_read_flags({peek_state_flag()})),
       read_queue_peek},
      {store_spec_of(
           "queue ls", "[PREFIX] [OPTIONS]", 1, "Lists queues, one a line.",
           std::string(help::kQueueLs) + help::kQueueReadCodes,
           with_read_flags({{"json", nullptr, "one JSON object a line, as GET /v1/queues has them"}})),
       read_queue_ls},
      {store_spec_of("queue stats", "Q [OPTIONS]", 1, "Prints how a queue was made, and what is in it.",
                     std::string(help::kQueueStats) + help::kQueueReadCodes, stats_flags()),
       read_queue_stats},
  };
}

}  // namespace

std::vector<ClientEntry> queue_entries() {
  std::vector<ClientEntry> entries = writing_entries();
  for (ClientEntry& entry : reading_entries()) entries.push_back(std::move(entry));
  entries.push_back({client_spec_of("queue work", "Q --exec CMD [OPTIONS]",
                                    "A worker: runs a command for each message that it receives.",
                                    help::kQueueWork, work_flags("the queue's backoff")),
                     read_queue_work});
  entries.back().spec.operands = 1;
  return entries;
}

}  // namespace kvd::client
