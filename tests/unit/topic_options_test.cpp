// The command lines of kvd topic: its actions, what names, places and numbers may be, what excludes what, and that
// every refusal says what to give.
#include "client/topic_options.hpp"

#include <doctest.h>

#include "client_options_fixture.hpp"

using namespace kvd;
using namespace kvd::client;
using namespace kvd::client_options_test;

namespace {

template <class Options, class Command = MessageCommand>
Options topic(std::vector<std::string> arguments) {
  const auto command = good<Command>("topic", std::move(arguments));
  REQUIRE(std::holds_alternative<Options>(command));
  return std::get<Options>(command);
}

void wrong(std::vector<std::string> arguments, const std::string& start, const std::string& remedy) {
  bad("topic", std::move(arguments), start, remedy);
}

MessageSource topic_named(const std::string& name) { return {MessageSource::Kind::kTopic, name, ""}; }
MessageSource subscription_named(const std::string& of, const std::string& name) {
  return {MessageSource::Kind::kSubscription, of, name};
}

std::string query_of(const TopicPlace& place) {
  std::string query;
  add_place(query, "after", place);
  return query;
}

}  // namespace

TEST_CASE("an action of a topic is needed") {
  wrong({}, "topic: ", "there are kvd topic make, kvd topic rm, ");
  wrong({"push", "t"}, "topic push: ", "kvd topic work");
  const auto help = parse("topic", {"work", "--help"});
  REQUIRE_FALSE(help.has_value());
  CHECK(help.error().code == 0);
  CHECK(help.error().text.find("KVD_SUBSCRIPTION") != std::string::npos);
}

TEST_CASE("the names of a topic and of a subscription") {
  for (const char* action : {"make", "rm", "stats", "publish", "read", "tail", "subscriptions"}) {
    wrong({action}, "T: ", "1 to 255 bytes");
    wrong({action, std::string(256, 't')}, "T: ", "1 to 255 bytes");
  }
  for (const char* action : {"subscribe", "unsubscribe", "seek", "receive", "peek", "kick", "work"}) {
    wrong({action}, "T: ", "a topic's name");
    wrong({action, "t"}, "S: ", "a subscription's name");
    wrong({action, "t", std::string(256, 's')}, "S: ", "1 to 255 bytes");
  }
  CHECK(topic<SourceRemoveOptions>({"rm", "a/b c"}).source == topic_named("a/b c"));
  CHECK(topic<SourceRemoveOptions>({"unsubscribe", "t", "s"}).source == subscription_named("t", "s"));
  CHECK(topic<SourceStatsOptions>({"stats", "t"}).source == topic_named("t"));
  CHECK(topic<SourceStatsOptions>({"stats", "t", "s", "--json"}).source == subscription_named("t", "s"));
  CHECK(topic<SourceListOptions>({"ls", "a"}).prefix == "a");
  CHECK(topic<SourceListOptions>({"ls"}).kind == MessageSource::Kind::kTopic);
  const auto list = topic<SourceListOptions>({"subscriptions", "t", "--linear"});
  CHECK(list.kind == MessageSource::Kind::kSubscription);
  CHECK(list.topic == "t");
  CHECK(list.terms.linear);
  CHECK(path_of_source(topic_named("a/b")) == "/v1/topics/a%2Fb");
  CHECK(path_of_source(subscription_named("t", "a b"), "/kick") == "/v1/topics/t/subscriptions/a%20b/kick");
  wrong({"rm", "t", "s"}, "s: ", "not expected");
}

TEST_CASE("a topic that is made, and what is published") {
  CHECK(topic<TopicMakeOptions, TopicCommand>({"make", "t"}).config == TopicConfig());
  const auto make =
      topic<TopicMakeOptions, TopicCommand>({"make", "t", "--dedup-window", "7", "--max-messages", "8",
                                             "--max-bytes", "64K", "--max-age", "9", "--discard", "old"});
  CHECK(make.config == TopicConfig{7, 8, 65'536, 9, true});
  wrong({"make", "t", "--ttr", "100"}, "--ttr", "");
  wrong({"make", "t", "--discard", "all"}, "--discard", "old");
  const auto message = topic<MessageSendOptions>(
      {"publish", "t", "body", "--group", "g", "--dedup", "d", "--type", "text/plain"});
  CHECK(message.to == topic_named("t"));
  CHECK(message.body.text == "body");
  CHECK(message.message.group == "g");
  CHECK(message.message.dedup == "d");
  CHECK(message.message.type == "text/plain");
  CHECK(topic<MessageSendOptions>({"publish", "t", "--lines"}).lines);
  for (const char* flag : {"--priority", "--delay", "--max-age"})
    wrong({"publish", "t", "x", flag, "5"}, flag, "");
}

TEST_CASE("places in a topic") {
  const auto read = [](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"read", "t"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return query_of(topic<TopicReadOptions, TopicCommand>(arguments).from);
  };
  CHECK(read({}) == "after=first");
  CHECK(read({"--from", "now"}) == "after=now");
  CHECK(read({"--from", "90"}) == "after=90");
  CHECK(read({"--from", "90.1"}) == "after=90.1");
  CHECK(read({"--since", "1796037508409"}) == "time=1796037508409");
  wrong({"read", "t", "--from", "9x"}, "--from: ", "the id of a message");
  wrong({"read", "t", "--since", "yesterday"}, "--since", "whole number");
  wrong({"read", "t", "--since", "5", "--from", "first"}, "--since", "not both");
  CHECK(topic<TopicReadOptions, TopicCommand>({"read", "t", "--limit", "5"}).limit == 5);
  CHECK(topic<TopicReadOptions, TopicCommand>({"read", "t"}).limit == UINT64_MAX);
  wrong({"read", "t", "--limit", "0"}, "--limit", "1");
  const auto tail = good<TopicTailOptions>("topic", {"tail", "t"}, {{"KVD_SERVERS", "b:2"}});
  CHECK(tail.servers == std::vector<Server>{Address{"b", 2}});
  CHECK(tail.topic == "t");
  CHECK(query_of(tail.from) == "after=now");
  CHECK(query_of(good<TopicTailOptions>("topic", {"tail", "t", "--from", "first"}).from) == "after=first");
  wrong({"tail", "t", "--timeout", "5"}, "--timeout", "");
}

TEST_CASE("subscriptions are made and moved") {
  const auto plain = topic<SubscribeOptions, TopicCommand>({"subscribe", "t", "s"});
  CHECK(plain.subscription == subscription_named("t", "s"));
  CHECK(plain.config == SubscriptionConfig());
  CHECK(query_of(plain.from) == "after=now");
  const auto all = topic<SubscribeOptions, TopicCommand>(
      {"subscribe", "t", "s", "--from", "7", "--ttr", "100", "--max-deliveries", "0", "--backoff", "0,5",
       "--dead-letter", "q", "--max-in-flight", "4096", "--ordered", "--expires", "3600000"});
  CHECK(all.config == SubscriptionConfig{100, 0, {0, 5}, "q", 4096, true, 3'600'000});
  CHECK(query_of(all.from) == "after=7");
  wrong({"subscribe", "t", "s", "--expires", "3599999"}, "--expires", "3600000");
  wrong({"subscribe", "t", "s", "--max-in-flight", "4097"}, "--max-in-flight", "4096");
  wrong({"subscribe", "t", "s", "x"}, "x: ", "not expected");
  const auto place = [](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"seek", "t", "s"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return query_of(topic<SeekOptions, TopicCommand>(arguments).to);
  };
  CHECK(place({"first"}) == "after=first");
  CHECK(place({"90.1"}) == "after=90.1");
  CHECK(place({"--since", "5"}) == "time=5");
  wrong({"seek", "t", "s"}, "PLACE: ", "first, now");
  wrong({"seek", "t", "s", "now", "--since", "5"}, "--since", "not both");
}

TEST_CASE("messages of a subscription") {
  const auto receive = topic<MessageReceiveOptions>({"receive", "t", "s", "--max", "2", "--wait", "5"});
  CHECK(receive.source == subscription_named("t", "s"));
  CHECK(receive.max == 2);
  CHECK(topic<MessagePeekOptions>({"peek", "t", "s", "--state", "dead"}).state == MessageState::kDead);
  const auto kick = topic<MessageKickOptions>({"kick", "t", "s", "--state", "delayed"});
  CHECK(kick.source == subscription_named("t", "s"));
  CHECK(kick.state == MessageState::kDelayed);
  wrong({"kick", "t", "s", "--state", "ready"}, "--state", "dead, delayed");
  wrong({"kick", "t", "s", "--to", "q"}, "--to", "");
  const auto work = good<MessageWorkOptions>("topic", {"work", "t", "s", "--exec", "cat", "--delay", "5"});
  CHECK(work.source == subscription_named("t", "s"));
  CHECK(work.exec == "cat");
  CHECK(work.delay == milliseconds(5));
  wrong({"work", "t", "s"}, "--exec", "the command to run");
}
