// See topic_options.hpp and options_table.hpp.
#include "client/topic_options.hpp"

#include <utility>

#include "client/help.hpp"
#include "client/message_flags.hpp"
#include "client/options_table.hpp"
#include "client/store_client.hpp"
#include "msg/limits.hpp"

namespace kvd::client {
namespace {

using SourceKind = MessageSource::Kind;

constexpr char kPlaceRemedy[] = "give first, now, or the id of a message, as in 90.1";

std::string read_topic(CommandLine& line) {
  return read_source_name(line, "T", "a topic", operand_at(line, 0));
}

MessageSource topic_of(CommandLine& line) { return {SourceKind::kTopic, read_topic(line), ""}; }

MessageSource subscription_of(CommandLine& line) {
  std::string topic = read_topic(line);
  return {SourceKind::kSubscription, std::move(topic),
          read_source_name(line, "S", "a subscription", operand_at(line, 1))};
}

TopicPlace read_place(CommandLine& line, const std::string& what, const std::string& text) {
  const std::optional<TopicPlace> place = parse_place(text);
  if (!place) line.complain_of(what, kPlaceRemedy);
  return place.value_or(TopicPlace());
}

TopicPlace read_since(CommandLine& line) {
  TopicPlace place;
  place.kind = TopicPlace::Kind::kTime;
  place.ms = read_unsigned(line, "since", 0, 0, INT64_MAX);
  return place;
}

std::vector<FlagSpec> with_from_flags(const char* from, std::vector<FlagSpec> flags) {
  std::vector<FlagSpec> all = {
      {"from", "first|now|ID", from},
      {"since", "MS",
       "what was published then or later, in ms since 1970, as $(date -d '1 hour ago' +%s000)"}};
  for (FlagSpec& flag : flags) all.push_back(std::move(flag));
  return all;
}

TopicPlace read_from(CommandLine& line, const char* otherwise) {
  if (line.has("since") && line.has("from")) line.complain("since", "give this or --from, not both");
  return line.has("since") ? read_since(line) : read_place(line, "--from", line.text("from", otherwise));
}

// ---- the actions ----

ClientCommand read_topic_make(CommandLine& line, const Surroundings&) {
  TopicMakeOptions make{read_access(line), read_topic(line), {}};
  read_bounds(line, make.config);
  return TopicCommand(std::move(make));
}

ClientCommand read_topic_rm(CommandLine& line, const Surroundings&) {
  return MessageCommand(SourceRemoveOptions{read_access(line), topic_of(line)});
}

ClientCommand read_topic_ls(CommandLine& line, const Surroundings&) {
  SourceListOptions list{read_access(line), SourceKind::kTopic};
  read_list(line, "a topic", list);
  return MessageCommand(std::move(list));
}

ClientCommand read_topic_stats(CommandLine& line, const Surroundings&) {
  const bool whole = line.operands().size() < 2;
  return read_stats(line, whole ? topic_of(line) : subscription_of(line));
}

ClientCommand read_publish(CommandLine& line, const Surroundings&) {
  return MessageCommand(read_message(line, topic_of(line)));
}

ClientCommand read_topic_read(CommandLine& line, const Surroundings&) {
  TopicReadOptions read{read_access(line), read_topic(line), read_from(line, "first")};
  if (line.has("limit")) read.limit = read_unsigned(line, "limit", 0, 1, INT64_MAX);
  read.terms = read_read_terms(line);
  return TopicCommand(std::move(read));
}

ClientCommand read_tail(CommandLine& line, const Surroundings&) {
  return TopicTailOptions{read_servers(line), read_topic(line), read_from(line, "now")};
}

ClientCommand read_subscribe(CommandLine& line, const Surroundings&) {
  SubscribeOptions subscribe{read_access(line), subscription_of(line), {}, read_from(line, "now")};
  read_delivery(line, limits::kWindowMax, subscribe.config);
  subscribe.config.ordered = line.is_on("ordered");
  subscribe.config.expires_ms = read_unsigned(line, "expires", 0, limits::kExpiresMsMin, limits::kTtlMsMax);
  return TopicCommand(std::move(subscribe));
}

ClientCommand read_unsubscribe(CommandLine& line, const Surroundings&) {
  return MessageCommand(SourceRemoveOptions{read_access(line), subscription_of(line)});
}

ClientCommand read_subscriptions(CommandLine& line, const Surroundings&) {
  SourceListOptions list{read_access(line), SourceKind::kSubscription, read_topic(line)};
  list.terms = read_read_terms(line);
  list.json = line.is_on("json");
  return MessageCommand(std::move(list));
}

ClientCommand read_seek(CommandLine& line, const Surroundings&) {
  SeekOptions seek{read_access(line), subscription_of(line), {}};
  const std::string place = operand_at(line, 2);
  if (line.has("since") && !place.empty()) line.complain("since", "give this or a PLACE, not both");
  seek.to = line.has("since") ? read_since(line) : read_place(line, "PLACE", place);
  return TopicCommand(std::move(seek));
}

ClientCommand read_topic_receive(CommandLine& line, const Surroundings&) {
  return read_receive(line, subscription_of(line));
}

ClientCommand read_topic_work(CommandLine& line, const Surroundings&) {
  return read_work_on(line, subscription_of(line));
}

ClientCommand read_topic_peek(CommandLine& line, const Surroundings&) {
  return read_peek(line, subscription_of(line));
}

ClientCommand read_topic_kick(CommandLine& line, const Surroundings&) {
  return MessageCommand(
      read_kick(line, subscription_of(line), {MessageState::kDead, MessageState::kDelayed}));
}

// ---- the table ----

std::vector<FlagSpec> subscribe_flags() {
  std::vector<FlagSpec> flags = delivery_flags();
  flags.push_back({"max-in-flight", "N",
                   "no message is granted that is so many behind the oldest one that is not settled (4096)"});
  flags.push_back({"ordered", nullptr, "of one group one message after the other"});
  flags.push_back(
      {"expires", "MS", "it is deleted when nobody has received for so long, 3600000 or more (never)"});
  return with_from_flags("where it begins, if it is new: ID is behind that message (now)", std::move(flags));
}

std::vector<ClientEntry> entries_of_topics() {
  return {
      {store_spec_of("topic make", "T [OPTIONS]", 1,
                     "Makes a topic, or changes how it is, and prints the revision.",
                     std::string(help::kTopicMake) + help::kTopicWriteCodes,
                     bound_flags("the oldest beyond it go (no bound)", "older ones go (never)",
                                 "old: also what a subscription has not settled goes; none: it stays, and "
                                 "publishing is refused")),
       read_topic_make},
      {store_spec_of("topic rm", "T [OPTIONS]", 1, "Deletes a topic with its messages and subscriptions.",
                     help::kTopicWriteCodes, {}),
       read_topic_rm},
      {store_spec_of(
           "topic ls", "[PREFIX] [OPTIONS]", 1, "Lists topics, one a line.",
           std::string(help::kTopicLs) + help::kTopicReadCodes,
           with_read_flags({{"json", nullptr, "one JSON object a line, as GET /v1/topics has them"}})),
       read_topic_ls},
      {store_spec_of("topic stats", "T [S] [OPTIONS]", 2,
                     "Prints how a topic, or a subscription, was made, and what is in it.",
                     std::string(help::kQueueStats) + help::kTopicReadCodes, stats_flags()),
       read_topic_stats},
      {store_spec_of("topic publish", "T [BODY|-|@FILE] [OPTIONS]", 2,
                     "Publishes messages, and prints their ids.",
                     std::string(help::kQueueSend) + help::kTopicWriteCodes,
                     message_flags("ordered subscriptions keep the order of each group (none)")),
       read_publish},
      {store_spec_of("topic read", "T [OPTIONS]", 1, "Prints the messages that there are.",
                     std::string(help::kTopicRead) + help::kTopicReadCodes,
                     with_from_flags("where to begin: ID is behind that message (first)",
                                     with_read_flags({{"limit", "N", "messages at the most (all)"}}))),
       read_topic_read},
      {client_spec_of("topic tail", "T [OPTIONS]", "Prints messages as they come.", help::kTopicTail,
                      with_from_flags("where to begin: ID is behind that message (now)", {})),
       read_tail},
  };
}

std::vector<ClientEntry> entries_of_subscriptions() {
  return {
      {store_spec_of("topic subscribe", "T S [OPTIONS]", 2,
                     "Makes a subscription, or changes how it is, and prints the revision.",
                     std::string(help::kTopicSubscribe) + help::kTopicWriteCodes, subscribe_flags()),
       read_subscribe},
      {store_spec_of("topic unsubscribe", "T S [OPTIONS]", 2, "Deletes a subscription.",
                     help::kTopicWriteCodes, {}),
       read_unsubscribe},
      {store_spec_of(
           "topic subscriptions", "T [OPTIONS]", 1, "Lists the subscriptions of a topic, one a line.",
           std::string(help::kTopicSubscriptions) + help::kTopicReadCodes,
           with_read_flags(
               {{"json", nullptr, "one JSON object a line, as GET /v1/topics/T/subscriptions has them"}})),
       read_subscriptions},
      {store_spec_of("topic seek", "T S PLACE|--since MS [OPTIONS]", 3,
                     "Puts a subscription to another place, and prints the revision.",
                     std::string(help::kTopicSeek) + help::kTopicWriteCodes,
                     {{"since", "MS", "before what was published then or later, in ms since 1970"}}),
       read_seek},
      {store_spec_of("topic receive", "T S [OPTIONS]", 2,
                     "Receives messages of a subscription, and writes their bodies.", help::kTopicReceive,
                     receive_flags()),
       read_topic_receive},
      {store_spec_of(
           "topic peek", "T S [OPTIONS]", 2, "Prints messages of a subscription without receiving them.",
           std::string(help::kQueuePeek) + help::kTopicReadCodes, with_read_flags({peek_state_flag()})),
       read_topic_peek},
      {store_spec_of("topic kick", "T S [OPTIONS]", 2,
                     "Makes dead or delayed messages ready again, and prints how many.",
                     std::string(help::kTopicKick) + help::kTopicWriteCodes,
                     {{"state", "dead|delayed", "which (dead)"}, kick_most_flag()}),
       read_topic_kick},
      {client_spec_of("topic work", "T S --exec CMD [OPTIONS]",
                      "A worker: runs a command for each message that it receives.", help::kTopicWork,
                      work_flags("the subscription's backoff")),
       read_topic_work},
  };
}

}  // namespace

std::vector<ClientEntry> topic_entries() {
  std::vector<ClientEntry> entries = entries_of_topics();
  entries.back().spec.operands = 1;
  for (ClientEntry& entry : entries_of_subscriptions()) entries.push_back(std::move(entry));
  entries.back().spec.operands = 2;
  return entries;
}

void add_place(std::string& query, const char* name, const TopicPlace& place) {
  const bool by_time = place.kind == TopicPlace::Kind::kTime;
  add_parameter(query, by_time ? "time" : name, by_time ? std::to_string(place.ms) : to_text(place));
}

}  // namespace kvd::client
