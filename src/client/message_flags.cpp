// See message_flags.hpp.
#include "client/message_flags.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/decimal.hpp"
#include "client/options_table.hpp"

namespace kvd::client {
namespace {

constexpr char kBatchType[] = "application/x-ndjson";

std::string read_text(CommandLine& line, const char* flag, size_t most) {
  const std::string text = line.text(flag, "");
  if (text.size() > most) line.complain(flag, fmt::format("give 1 to {} bytes", most));
  return text;
}

std::string read_type(CommandLine& line) {
  const std::string type = read_text(line, "type", limits::kTypeBytes);
  const auto odd = [](unsigned char c) { return c < ' ' || c > '~'; };
  if (std::any_of(type.begin(), type.end(), odd))
    line.complain_of("--type", "give printable ASCII characters");
  if (type.starts_with(kBatchType))
    line.complain("type", "to servers this is a batch of messages; send one with --lines");
  return type;
}

}  // namespace

std::string operand_at(const CommandLine& line, size_t place) {
  return place < line.operands().size() ? line.operands()[place] : "";
}

std::string read_source_name(CommandLine& line, const std::string& what, const char* of,
                             const std::string& name) {
  if (name.empty() || name.size() > limits::kQueueNameBytes)
    line.complain_of(what, fmt::format("give {}'s name of 1 to {} bytes", of, limits::kQueueNameBytes));
  return name;
}

uint64_t read_unsigned(CommandLine& line, const char* flag, uint64_t otherwise, uint64_t low, uint64_t high) {
  return static_cast<uint64_t>(line.number(flag, static_cast<int64_t>(otherwise), static_cast<int64_t>(low),
                                           static_cast<int64_t>(high)));
}

// ---- how messages are delivered, and how many there may be ----

std::vector<FlagSpec> delivery_flags() {
  return {{"ttr", "MS", "how long a message is whose who receives it, unless extended (30000)"},
          {"max-deliveries", "N", "the end of the last one makes a message dead; 0: never (20)"},
          {"backoff", "MS,...",
           "how long a message waits that was not done, after its first delivery, its second, ... (0)"},
          {"dead-letter", "Q2", "the queue that dead messages go to (they stay)"}};
}

std::vector<uint64_t> read_backoff(CommandLine& line) {
  std::vector<uint64_t> all;
  if (!line.has("backoff")) return all;
  for (const std::string& text : line.list("backoff", "")) {
    const auto ms = parse_decimal(text);
    const bool good = ms && *ms >= 0 && *ms <= int64_t{limits::kTtlMsMax} && all.size() < limits::kBackoffs;
    if (!good) {
      line.complain("backoff", fmt::format("give up to {} whole numbers of milliseconds, as in 1000,5000",
                                           limits::kBackoffs));
    }
    all.push_back(good ? static_cast<uint64_t>(*ms) : 0);
  }
  return all;
}

std::string read_dead_letter(CommandLine& line) {
  if (!line.has("dead-letter")) return "";
  return read_source_name(line, "--dead-letter", "a queue", line.text("dead-letter", ""));
}

std::vector<FlagSpec> bound_flags(const char* max_messages, const char* max_age, const char* discard) {
  return {{"dedup-window", "MS", "so long two messages of one dedup name are one (300000)"},
          {"max-messages", "N", max_messages},
          {"max-bytes", "BYTES", "likewise, of all bodies; also as 64M (no bound)"},
          {"max-age", "MS", max_age},
          {"discard", "none|old", discard}};
}

// ---- messages ----

std::vector<FlagSpec> message_flags(const char* group) {
  return {{"lines", nullptr, "send each line of the standard input as a message"},
          {"group", "G", group},
          {"dedup", "NAME", "not sent again when one of this name was sent not long ago (none)"},
          {"type", "T", "of the body, as in text/plain; receivers are told it (none)"}};
}

MessageSendOptions read_message(CommandLine& line, MessageSource to) {
  MessageSendOptions send{read_access(line), std::move(to), read_value(line), line.is_on("lines"), {}};
  send.message.group = read_text(line, "group", limits::kGroupBytes);
  send.message.dedup = read_text(line, "dedup", limits::kDedupBytes);
  send.message.type = read_type(line);
  if (send.lines && line.has("dedup")) line.complain("dedup", "this is for one message, not for --lines");
  if (send.lines && send.body.kind != InputSource::Kind::kStandardInput)
    line.complain("lines", "they come from the standard input: give no BODY");
  return send;
}

std::vector<FlagSpec> receive_flags() {
  return {{"max", "N", "messages at the most, 1 to 1024 (1)"},
          {"wait", "MS", "for the first one, up to 600000 (0)"},
          {"ack", nullptr, "they are done once they were written"},
          {"json", nullptr, "also one message as a line of JSON, with its id and receipt"}};
}

MessageCommand read_receive(CommandLine& line, MessageSource source) {
  MessageReceiveOptions receive{read_access(line), std::move(source)};
  receive.max = static_cast<uint32_t>(line.number("max", 1, 1, limits::kMessagesAtOnce));
  receive.wait = line.span("wait", Duration(0), 0, limits::kWaitMs);
  receive.ack = line.is_on("ack");
  receive.json = line.is_on("json") || receive.max > 1;
  return receive;
}

FlagSpec peek_state_flag() { return {"state", "ready|delayed|in_flight|dead", "which (ready)"}; }

MessageCommand read_peek(CommandLine& line, MessageSource source) {
  const auto state = static_cast<MessageState>(line.choice("state", "ready"));
  return MessagePeekOptions{read_access(line), std::move(source), state, read_read_terms(line)};
}

FlagSpec kick_most_flag() { return {"max", "N", "the oldest N, up to 16384 (16384)"}; }

MessageKickOptions read_kick(CommandLine& line, MessageSource source,
                             const std::vector<MessageState>& states) {
  MessageKickOptions kick{read_access(line), std::move(source)};
  kick.state = states.at(line.choice("state", message_state_name(states.front())));
  kick.max = static_cast<uint32_t>(line.number("max", limits::kKicked, 1, limits::kKicked));
  return kick;
}

// ---- what holds them ----

void read_list(CommandLine& line, const char* of, SourceListOptions& list) {
  list.terms = read_read_terms(line);
  list.json = line.is_on("json");
  if (!line.operands().empty()) list.prefix = read_source_name(line, "PREFIX", of, operand_at(line, 0));
}

std::vector<FlagSpec> stats_flags() {
  return with_read_flags({{"json", nullptr, "print what the server answered"}});
}

MessageCommand read_stats(CommandLine& line, MessageSource source) {
  return SourceStatsOptions{read_access(line), std::move(source), read_read_terms(line), line.is_on("json")};
}

// ---- work ----

std::vector<FlagSpec> work_flags(const char* otherwise) {
  return {{"exec", "CMD", "what to run for each message, as a line for /bin/sh"},
          {"delay", "MS", fmt::format("until a message that was not done is granted again ({})", otherwise)},
          grace_flag()};
}

MessageWorkOptions read_work_on(CommandLine& line, MessageSource source) {
  MessageWorkOptions work;
  work.servers = read_servers(line);
  work.source = std::move(source);
  work.exec = read_needed(line, "exec", "give the command to run for each message");
  if (line.has("delay")) work.delay = line.span("delay", Duration(0), 0, int64_t{limits::kTtlMsMax});
  work.grace = read_grace(line);
  return work;
}

}  // namespace kvd::client
