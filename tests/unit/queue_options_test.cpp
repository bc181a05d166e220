// The command lines of kvd queue: its actions, what names, times and numbers may be, what excludes what, and that every
// refusal says what to give.
#include "client/queue_options.hpp"

#include <doctest.h>

#include "client_options_fixture.hpp"

using namespace kvd;
using namespace kvd::client;
using namespace kvd::client_options_test;

namespace {

template <class Options, class Command = MessageCommand>
Options queue(std::vector<std::string> arguments) {
  const auto command = good<Command>("queue", std::move(arguments));
  REQUIRE(std::holds_alternative<Options>(command));
  return std::get<Options>(command);
}

MessageSource queue_named(const std::string& name) { return {MessageSource::Kind::kQueue, name, ""}; }

void wrong(std::vector<std::string> arguments, const std::string& start, const std::string& remedy) {
  bad("queue", std::move(arguments), start, remedy);
}

}  // namespace

TEST_CASE("an action of a queue is needed") {
  wrong({}, "queue: ", "there are kvd queue make, kvd queue rm, kvd queue send, ");
  wrong({"push", "q"}, "queue push: ", "kvd queue work");
  const auto help = parse("queue", {"work", "--help"});
  REQUIRE_FALSE(help.has_value());
  CHECK(help.error().code == 0);
  CHECK(help.error().text.find("KVD_RECEIPT") != std::string::npos);
}

TEST_CASE("the name of a queue") {
  for (const char* action : {"make", "rm", "send", "receive", "work", "peek", "kick", "purge", "stats"}) {
    wrong({action}, "Q: ", "1 to 255 bytes");
    wrong({action, std::string(256, 'q')}, "Q: ", "1 to 255 bytes");
  }
  CHECK(queue<SourceRemoveOptions>({"rm", "a/b c"}).source == queue_named("a/b c"));
  CHECK(queue<SourceRemoveOptions>({"rm", std::string(255, 'q')}).source.name.size() == 255);
  CHECK(queue<SourceListOptions>({"ls"}).prefix.empty());
  CHECK(queue<SourceListOptions>({"ls", "a"}).prefix == "a");
  wrong({"rm", "a", "b"}, "b: ", "not expected");
}

TEST_CASE("a queue that is made") {
  CHECK(queue<QueueMakeOptions, QueueCommand>({"make", "q"}).config == QueueConfig());
  const auto make = queue<QueueMakeOptions, QueueCommand>(
      {"make",          "q",  "--ttr",           "100", "--max-deliveries", "0",    "--backoff",   "0,1000,5",
       "--dead-letter", "q2", "--dedup-window",  "7",   "--max-messages",   "8",    "--max-bytes", "64K",
       "--max-age",     "9",  "--max-in-flight", "1",   "--order",          "fifo", "--discard",   "old"});
  QueueConfig all;
  all.ttr_ms = 100;
  all.max_deliveries = 0;
  all.backoff_ms = {0, 1000, 5};
  all.dead_letter = "q2";
  all.dedup_window_ms = 7;
  all.max_messages = 8;
  all.max_bytes = 65'536;
  all.max_age_ms = 9;
  all.max_in_flight = 1;
  all.fifo = true;
  all.discard_old = true;
  CHECK(make.config == all);
  for (const char* ttr : {"99", "43200001", "x", "1.5"}) wrong({"make", "q", "--ttr", ttr}, "--ttr", "");
  for (const char* backoff : {"x", "1,,2", "-1", "1,315360000001"})
    wrong({"make", "q", "--backoff", backoff}, "--backoff", "milliseconds");
  std::string many = "1";
  for (int i = 1; i < 64; ++i) many += ",1";
  CHECK(queue<QueueMakeOptions, QueueCommand>({"make", "q", "--backoff", many}).config.backoff_ms.size() ==
        64);
  wrong({"make", "q", "--backoff", many + ",1"}, "--backoff", "up to 64");
  wrong({"make", "q", "--order", "lifo"}, "--order", "fifo");
  wrong({"make", "q", "--max-in-flight", "0"}, "--max-in-flight", "");
}

TEST_CASE("a message that is sent") {
  const auto plain = queue<MessageSendOptions>({"send", "q", "hello"});
  CHECK(plain.body.kind == InputSource::Kind::kText);
  CHECK(plain.body.text == "hello");
  CHECK_FALSE(plain.lines);
  CHECK(plain.message.priority == 100);
  const auto file = queue<MessageSendOptions>({"send", "q", "@f"});
  CHECK(file.body.kind == InputSource::Kind::kFile);
  CHECK(file.body.text == "f");
  for (auto arguments : {std::vector<std::string>{"send", "q"}, {"send", "q", "-"}})
    CHECK(queue<MessageSendOptions>(arguments).body.kind == InputSource::Kind::kStandardInput);
  const auto all = queue<MessageSendOptions>({"send", "q", "--priority", "0", "--group", "g", "--dedup", "d",
                                              "--max-age", "5", "--type", "text/plain; charset=x"});
  CHECK(all.message.priority == 0);
  CHECK(all.message.group == "g");
  CHECK(all.message.dedup == "d");
  CHECK(all.message.max_age_ms == 5);
  CHECK(all.message.type == "text/plain; charset=x");
  CHECK(queue<MessageSendOptions>({"send", "q", "--delay", "5"}).message.delay_ms == 5);
  CHECK(queue<MessageSendOptions>({"send", "q", "-", "--lines"}).lines);
  wrong({"send", "q", "--priority", "256"}, "--priority", "255");
  wrong({"send", "q", "--group", std::string(129, 'g')}, "--group", "1 to 128 bytes");
  wrong({"send", "q", "--delay", "5", "--group", "g"}, "--delay", "no delay of its own");
  wrong({"send", "q", "--lines", "--dedup", "d"}, "--dedup", "one message");
  wrong({"send", "q", "body", "--lines"}, "--lines", "standard input");
  wrong({"send", "q", "--type", "a\r\nHost: b"}, "--type", "printable");
  wrong({"send", "q", "--type", "application/x-ndjson"}, "--type", "--lines");
}

TEST_CASE("messages that are received") {
  const auto plain = queue<MessageReceiveOptions>({"receive", "q"});
  CHECK(plain.max == 1);
  CHECK(plain.wait == Duration(0));
  CHECK_FALSE(plain.ack);
  CHECK_FALSE(plain.json);
  CHECK(queue<MessageReceiveOptions>({"receive", "q", "--max", "2"}).json);
  CHECK(queue<MessageReceiveOptions>({"receive", "q", "--json", "--ack"}).ack);
  CHECK(queue<MessageReceiveOptions>({"receive", "q", "--wait", "600000"}).wait == seconds(600));
  wrong({"receive", "q", "--max", "1025"}, "--max", "1024");
  wrong({"receive", "q", "--wait", "600001"}, "--wait", "600000");
}

TEST_CASE("messages that are looked at, kicked and purged") {
  CHECK(queue<MessagePeekOptions>({"peek", "q"}).state == MessageState::kReady);
  CHECK(queue<MessagePeekOptions>({"peek", "q", "--state", "in_flight", "--linear"}).state ==
        MessageState::kInFlight);
  CHECK(queue<MessagePeekOptions>({"peek", "q", "--state", "dead"}).state == MessageState::kDead);
  wrong({"peek", "q", "--state", "gone"}, "--state", "in_flight");
  const auto plain = queue<MessageKickOptions>({"kick", "q"});
  CHECK(plain.source == queue_named("q"));
  CHECK(plain.state == MessageState::kDead);
  CHECK(plain.max == 16'384);
  CHECK(plain.to.empty());
  const auto all = queue<MessageKickOptions>({"kick", "q", "--max", "1", "--to", "p"});
  CHECK(all.max == 1);
  CHECK(all.to == "p");
  CHECK(queue<MessageKickOptions>({"kick", "q", "--state", "delayed"}).state == MessageState::kDelayed);
  CHECK(queue<MessageKickOptions>({"kick", "q", "--state", "ready", "--to", "p"}).state ==
        MessageState::kReady);
  wrong({"kick", "q", "--state", "ready"}, "--state", "--to");
  wrong({"kick", "q", "--max", "16385"}, "--max", "16384");
  CHECK(queue<QueuePurgeOptions, QueueCommand>({"purge", "q", "--all"}).state == "all");
  CHECK(queue<QueuePurgeOptions, QueueCommand>({"purge", "q", "--state", "dead"}).state == "dead");
  wrong({"purge", "q"}, "kvd queue purge: ", "--all, or --state");
  wrong({"purge", "q", "--all", "--state", "ready"}, "kvd queue purge: ", "--all, or --state");
  wrong({"purge", "q", "--state", "in_flight"}, "--state", "dead");
}

TEST_CASE("a worker of a queue") {
  const auto plain =
      good<MessageWorkOptions>("queue", {"work", "q", "--exec", "cat"}, {{"KVD_SERVERS", "b:2"}});
  CHECK(plain.servers == std::vector<Server>{Address{"b", 2}});
  CHECK(plain.source == queue_named("q"));
  CHECK(plain.exec == "cat");
  CHECK_FALSE(plain.delay.has_value());
  CHECK(plain.grace == milliseconds(1500));
  const auto all =
      good<MessageWorkOptions>("queue", {"work", "q", "--exec", "x", "--delay", "0", "--grace", "5"});
  CHECK(all.delay == Duration(0));
  CHECK(all.grace == milliseconds(5));
  wrong({"work", "q"}, "--exec", "the command to run");
  wrong({"work", "q", "--exec", "x", "--timeout", "5"}, "--timeout", "");
}
