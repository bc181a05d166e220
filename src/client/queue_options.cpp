// See queue_options.hpp and options_table.hpp.
#include "client/queue_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/decimal.hpp"
#include "client/help.hpp"
#include "client/options_table.hpp"
#include "msg/limits.hpp"

namespace kvd::client {
namespace {

constexpr int64_t kLongestMs = limits::kTtlMsMax;
constexpr char kBatchType[] = "application/x-ndjson";

std::string read_queue(CommandLine& line, const std::string& what, const std::string& name) {
  if (name.empty() || name.size() > limits::kQueueNameBytes)
    line.complain_of(what, fmt::format("give a queue's name of 1 to {} bytes", limits::kQueueNameBytes));
  return name;
}

std::string read_queue(CommandLine& line) {
  return read_queue(line, "Q", line.operands().empty() ? "" : line.operands().front());
}

uint64_t read_ms(CommandLine& line, const char* flag, uint64_t otherwise, uint64_t low, uint64_t high) {
  return static_cast<uint64_t>(line.number(flag, static_cast<int64_t>(otherwise), static_cast<int64_t>(low),
                                           static_cast<int64_t>(high)));
}

std::string read_text(CommandLine& line, const char* flag, size_t most) {
  const std::string text = line.text(flag, "");
  if (text.size() > most) line.complain(flag, fmt::format("give 1 to {} bytes", most));
  return text;
}

std::vector<uint64_t> read_backoff(CommandLine& line) {
  std::vector<uint64_t> all;
  if (!line.has("backoff")) return all;
  for (const std::string& text : line.list("backoff", "")) {
    const auto ms = parse_decimal(text);
    const bool good = ms && *ms >= 0 && *ms <= kLongestMs && all.size() < limits::kBackoffs;
    if (!good) {
      line.complain("backoff", fmt::format("give up to {} whole numbers of milliseconds, as in 1000,5000",
                                           limits::kBackoffs));
    }
    all.push_back(good ? static_cast<uint64_t>(*ms) : 0);
  }
  return all;
}

std::string read_type(CommandLine& line) {
  const std::string type = read_text(line, "type", limits::kTypeBytes);
  const auto odd = [](unsigned char c) { return c < ' ' || c > '~'; };
  if (std::any_of(type.begin(), type.end(), odd)) line.complain_of("--type", "give printable ASCII characters");
  if (type.starts_with(kBatchType))
    line.complain("type", "to servers this is a batch of messages; send one with --lines");
  return type;
}

// ---- the actions ----

ClientCommand read_make(CommandLine& line, const Surroundings&) {
  QueueMakeOptions make{read_access(line), read_queue(line), {}};
  QueueConfig& config = make.config;
  config.ttr_ms = read_ms(line, "ttr", config.ttr_ms, limits::kTtrMsMin, limits::kTtrMsMax);
  config.max_deliveries = static_cast<uint32_t>(
      line.number("max-deliveries", int64_t{config.max_deliveries}, 0, int64_t{UINT32_MAX}));
  config.backoff_ms = read_backoff(line);
  if (line.has("dead-letter"))
    config.dead_letter = read_queue(line, "--dead-letter", line.text("dead-letter", ""));
  config.dedup_window_ms = read_ms(line, "dedup-window", config.dedup_window_ms, 0, limits::kTtlMsMax);
  config.max_messages = read_ms(line, "max-messages", 0, 1, INT64_MAX);
  config.max_bytes = static_cast<uint64_t>(line.size("max-bytes", 0, 1, INT64_MAX));
  config.max_age_ms = read_ms(line, "max-age", 0, 1, limits::kTtlMsMax);
  config.max_in_flight = static_cast<uint32_t>(
      line.number("max-in-flight", int64_t{config.max_in_flight}, 1, limits::kInFlightMax));
  config.fifo = line.choice("order", "priority") == 1;
  config.discard_old = line.choice("discard", "none") == 1;
  return QueueCommand(std::move(make));
}

ClientCommand read_rm(CommandLine& line, const Surroundings&) {
  return QueueCommand(QueueRemoveOptions{read_access(line), read_queue(line), line.is_on("if-empty")});
}

ClientCommand read_send(CommandLine& line, const Surroundings&) {
  QueueSendOptions send{read_access(line), read_queue(line), read_value(line), line.is_on("lines"), {}};
  NewMessage& message = send.message;
  message.priority = static_cast<uint8_t>(line.number("priority", message.priority, 0, UINT8_MAX));
  message.delay_ms = read_ms(line, "delay", 0, 0, limits::kTtlMsMax);
  message.max_age_ms = read_ms(line, "max-age", 0, 1, limits::kTtlMsMax);
  message.group = read_text(line, "group", limits::kGroupBytes);
  message.dedup = read_text(line, "dedup", limits::kDedupBytes);
  message.type = read_type(line);
  if (!message.group.empty() && message.delay_ms != 0)
    line.complain("delay", "a message of a --group has no delay of its own");
  if (send.lines && line.has("dedup")) line.complain("dedup", "this is for one message, not for --lines");
  if (send.lines && send.body.kind != InputSource::Kind::kStandardInput)
    line.complain("lines", "they come from the standard input: give no BODY");
  return QueueCommand(std::move(send));
}

ClientCommand read_receive(CommandLine& line, const Surroundings&) {
  QueueReceiveOptions receive{read_access(line), read_queue(line)};
  receive.max = static_cast<uint32_t>(line.number("max", 1, 1, limits::kMessagesAtOnce));
  receive.wait = line.span("wait", Duration(0), 0, limits::kWaitMs);
  receive.ack = line.is_on("ack");
  receive.json = line.is_on("json") || receive.max > 1;
  return QueueCommand(std::move(receive));
}

ClientCommand read_queue_work(CommandLine& line, const Surroundings&) {
  QueueWorkOptions work;
  work.servers = read_servers(line);
  work.queue = read_queue(line);
  work.exec = read_needed(line, "exec", "give the command to run for each message");
  if (line.has("delay")) work.delay = line.span("delay", Duration(0), 0, kLongestMs);
  work.grace = read_grace(line);
  return work;
}

ClientCommand read_peek(CommandLine& line, const Surroundings&) {
  const auto state = static_cast<MessageState>(line.choice("state", "ready"));
  return QueueCommand(QueuePeekOptions{read_access(line), read_queue(line), state, read_read_terms(line)});
}

ClientCommand read_kick(CommandLine& line, const Surroundings&) {
  QueueKickOptions options{read_access(line), {}};
  KickMessages& kick = options.kick;
  kick.queue = read_queue(line);
  constexpr std::array kKicked = {MessageState::kDead, MessageState::kDelayed, MessageState::kReady};
  kick.state = kKicked.at(line.choice("state", "dead"));
  kick.max = static_cast<uint32_t>(line.number("max", limits::kKicked, 1, limits::kKicked));
  if (line.has("to")) kick.to = read_queue(line, "--to", line.text("to", ""));
  if (kick.state == MessageState::kReady && kick.to.empty())
    line.complain("state", "what is ready stays as it is: with --to it goes to another queue");
  return QueueCommand(std::move(options));
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
  QueueListOptions list{read_access(line), "", read_read_terms(line), line.is_on("json")};
  if (!line.operands().empty()) list.prefix = read_queue(line, "PREFIX", line.operands().front());
  return QueueCommand(std::move(list));
}

ClientCommand read_stats(CommandLine& line, const Surroundings&) {
  return QueueCommand(
      QueueStatsOptions{read_access(line), read_queue(line), read_read_terms(line), line.is_on("json")});
}

// ---- the table ----

std::vector<FlagSpec> make_flags() {
  return {{"ttr", "MS", "how long a message is whose who receives it, unless extended (30000)"},
          {"max-deliveries", "N", "the end of the last one makes a message dead; 0: never (20)"},
          {"backoff", "MS,...",
           "how long a message waits that was not done, after its first delivery, its second, ... (0)"},
          {"dead-letter", "Q2", "the queue that dead messages go to (they stay)"},
          {"dedup-window", "MS", "so long two sends of one dedup name are one (300000)"},
          {"max-messages", "N", "with more, sends are refused (no bound)"},
          {"max-bytes", "BYTES", "likewise, of all bodies; also as 64M (no bound)"},
          {"max-age", "MS", "then a message is dead (never)"},
          {"max-in-flight", "N", "so many are granted at a time (16384)"},
          {"order", "priority|fifo", "fifo: one message after the other, each when the one before is done"},
          {"discard", "none|old", "old: what is too many, or too old, is deleted, the oldest first"}};
}

std::vector<FlagSpec> send_flags() {
  return {{"lines", nullptr, "send each line of the standard input as a message"},
          {"priority", "N", "0 to 255; 0 goes first (100)"},
          {"delay", "MS", "until it is ready (0)"},
          {"group", "G", "of one group one message is granted at a time, in the order of their sends (none)"},
          {"dedup", "NAME", "not sent again when one of this name was sent not long ago (none)"},
          {"max-age", "MS", "then it is dead (the queue's)"},
          {"type", "T", "of the body, as in text/plain; receivers are told it (none)"}};
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
                     help::kQueueReceive,
                     {{"max", "N", "messages at the most, 1 to 1024 (1)"},
                      {"wait", "MS", "for the first one, up to 600000 (0)"},
                      {"ack", nullptr, "they are done once they were written"},
                      {"json", nullptr, "also one message as a line of JSON, with its id and receipt"}}),
       read_receive},
      {store_spec_of("queue kick", "Q [OPTIONS]", 1,
                     "Makes dead or delayed messages ready again, and prints how many.",
                     std::string(help::kQueueKick) + help::kQueueWriteCodes,
                     {{"state", "dead|delayed|ready", "which; ready ones only --to another queue (dead)"},
                      {"max", "N", "the oldest N, up to 16384 (16384)"},
                      {"to", "Q2", "the queue that they go to (they stay)"}}),
       read_kick},
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
                     with_read_flags({{"state", "ready|delayed|in_flight|dead", "which (ready)"}})),
       read_peek},
      {store_spec_of(
           "queue ls", "[PREFIX] [OPTIONS]", 1, "Lists queues, one a line.",
           std::string(help::kQueueLs) + help::kQueueReadCodes,
           with_read_flags({{"json", nullptr, "one JSON object a line, as GET /v1/queues has them"}})),
       read_queue_ls},
      {store_spec_of("queue stats", "Q [OPTIONS]", 1, "Prints how a queue was made, and what is in it.",
                     std::string(help::kQueueStats) + help::kQueueReadCodes,
                     with_read_flags({{"json", nullptr, "print what the server answered"}})),
       read_stats},
  };
}

}  // namespace

std::vector<ClientEntry> queue_entries() {
  std::vector<ClientEntry> entries = writing_entries();
  for (ClientEntry& entry : reading_entries()) entries.push_back(std::move(entry));
  entries.push_back(
      {client_spec_of(
           "queue work", "Q --exec CMD [OPTIONS]",
           "A worker: runs a command for each message that it receives.", help::kQueueWork,
           {{"exec", "CMD", "what to run for each message, as a line for /bin/sh"},
            {"delay", "MS", "until a message that was not done is granted again (the queue's backoff)"},
            grace_flag()}),
       read_queue_work});
  entries.back().spec.operands = 1;
  return entries;
}

}  // namespace kvd::client
