// kvload's command line: what is taken, and that every mistake is one line with exit code 64. Nothing is run, so that
// no server is needed.
#include "kvload/options.hpp"

#include <doctest.h>

namespace kvd::load {
namespace {

RunOptions run_of(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "run");
  const auto command = parse_options(std::move(arguments));
  REQUIRE_MESSAGE(command, command.error().text);
  return std::get<RunOptions>(*command);
}

}  // namespace

TEST_CASE("run without flags reads at the usual port") {
  const RunOptions run = run_of({});
  CHECK(run.servers == std::vector<std::string>{"127.0.0.1:8001"});
  CHECK(run.load.mix == std::array<unsigned, 4>{100, 0, 0, 0});
  CHECK(run.rate == 0);
  CHECK(run.prefill);
  CHECK(run.to == Role::kAll);
}

TEST_CASE("reads are what the other percentages leave") {
  CHECK(run_of({"--put", "30", "--linear", "5"}).load.mix == std::array<unsigned, 4>{65, 30, 0, 5});
  CHECK(run_of({"--get", "90", "--delete", "10"}).load.mix == std::array<unsigned, 4>{90, 0, 10, 0});
}

TEST_CASE("run takes all of its flags") {
  const RunOptions run = run_of({"--servers",
                                 "a:1,b:2",
                                 "--to",
                                 "followers",
                                 "--connections",
                                 "7",
                                 "--pipeline",
                                 "3",
                                 "--rate",
                                 "100.5",
                                 "--order",
                                 "zipfian",
                                 "--theta",
                                 "0.5",
                                 "--keys",
                                 "10",
                                 "--key-size",
                                 "20",
                                 "--key-prefix",
                                 "x-",
                                 "--value-size",
                                 "1-9",
                                 "--no-prefill",
                                 "--warm-up",
                                 "0",
                                 "--count",
                                 "5",
                                 "--seed",
                                 "9",
                                 "--timeout",
                                 "250",
                                 "--server-pids",
                                 "1,2",
                                 "--json",
                                 "--plot",
                                 "f.svg"});
  CHECK(run.servers == std::vector<std::string>{"a:1", "b:2"});
  CHECK(run.to == Role::kFollowers);
  CHECK(run.load.connections == 7);
  CHECK(run.load.pipeline == 3);
  CHECK(run.rate == 100.5);
  CHECK(run.load.order == KeyOrder::kZipfian);
  CHECK(run.load.value_sizes.max() == 9);
  CHECK(run.load.key_shape.bytes == 20);
  CHECK(run_of({"--key-size", "1K"}).load.key_shape.bytes == 1024);
  CHECK(run_of({}).load.key_shape.bytes == 16);
  CHECK(run.load.timeout_ns == 250'000'000);
  CHECK(run.count == 5);
  CHECK(run.seconds == 0);
  CHECK(run.server_pids == std::vector<int>{1, 2});
  CHECK(run.outputs.plot == "f.svg");
}

TEST_CASE("terms is about leases, or about keys") {
  const auto leases = parse_options({"terms", "--leases", "7", "--ttl", "1000", "--bulk", "--duration", "5"});
  REQUIRE(leases);
  const auto& renewed = std::get<TermsOptions>(*leases);
  CHECK(renewed.leases == 7);
  CHECK(renewed.ttl_ms == 1000);
  CHECK(renewed.bulk);
  CHECK(renewed.seconds == 5);
  CHECK(renewed.keys == 0);
  const auto keys = parse_options({"terms", "--keys", "9", "--expire-after", "700", "--json"});
  REQUIRE(keys);
  CHECK(std::get<TermsOptions>(*keys).keys == 9);
  CHECK(std::get<TermsOptions>(*keys).expire_after_ms == 700);
  CHECK(std::get<TermsOptions>(*keys).json);
}

TEST_CASE("queue takes all of its flags") {
  const auto plain = parse_options({"queue"});
  REQUIRE(plain);
  CHECK(std::get<QueueOptions>(*plain).batch == 1);
  CHECK(std::get<QueueOptions>(*plain).rate == 0);
  CHECK(std::get<QueueOptions>(*plain).ttr_ms == 30'000);
  const auto command =
      parse_options({"queue",      "--servers", "a:1,b:2", "--producers", "3",      "--consumers", "4",
                     "--rate",     "50.5",      "--batch", "100",         "--size", "1K",          "--queues",
                     "5",          "--groups",  "6",       "--backlog",   "1000",   "--ttr",       "2000",
                     "--duration", "0.5",       "--json",  "--plot",      "f.svg"});
  REQUIRE_MESSAGE(command, command.error().text);
  const auto& queue = std::get<QueueOptions>(*command);
  CHECK(queue.servers.size() == 2);
  CHECK(queue.producers == 3);
  CHECK(queue.consumers == 4);
  CHECK(queue.rate == 50.5);
  CHECK(queue.batch == 100);
  CHECK(queue.bytes == 1024);
  CHECK(queue.queues == 5);
  CHECK(queue.groups == 6);
  CHECK(queue.backlog == 1000);
  CHECK(queue.ttr_ms == 2000);
  CHECK(queue.seconds == 0.5);
  CHECK(queue.outputs.json);
  CHECK(queue.outputs.plot == "f.svg");
}

TEST_CASE("topic takes all of its flags") {
  const auto plain = parse_options({"topic"});
  REQUIRE(plain);
  CHECK(std::get<TopicOptions>(*plain).subscriptions == 1);
  CHECK(std::get<TopicOptions>(*plain).readers == 1);
  CHECK(std::get<TopicOptions>(*plain).groups == 0);
  const auto command = parse_options({"topic",
                                      "--servers",
                                      "a:1,b:2",
                                      "--publishers",
                                      "3",
                                      "--consumers",
                                      "4",
                                      "--rate",
                                      "50.5",
                                      "--batch",
                                      "100",
                                      "--size",
                                      "1K",
                                      "--groups",
                                      "6",
                                      "--readers",
                                      "0",
                                      "--ttr",
                                      "2000",
                                      "--duration",
                                      "0.5",
                                      "--json",
                                      "--plot",
                                      "f.svg",
                                      "--subscriptions",
                                      "5"});
  REQUIRE_MESSAGE(command, command.error().text);
  const auto& topic = std::get<TopicOptions>(*command);
  CHECK(topic.servers.size() == 2);
  CHECK(topic.producers == 3);
  CHECK(topic.consumers == 4);
  CHECK(topic.rate == 50.5);
  CHECK(topic.batch == 100);
  CHECK(topic.bytes == 1024);
  CHECK(topic.groups == 6);
  CHECK(topic.readers == 0);
  CHECK(topic.subscriptions == 5);
  CHECK(topic.ttr_ms == 2000);
  CHECK(topic.seconds == 0.5);
  CHECK(topic.outputs.json);
  CHECK(topic.outputs.plot == "f.svg");
}

TEST_CASE("election takes a list of delays") {
  const auto command = parse_options(
      {"election", "--runs", "3", "--how", "stop", "--zookeeper-delay", "0,5,25", "--kvd-flag=--x=1"});
  REQUIRE(command);
  const auto& election = std::get<ElectionOptions>(*command);
  CHECK(election.runs == 3);
  CHECK(election.how == Stop::kFreeze);
  CHECK(election.delays_ms == std::vector<uint32_t>{0, 5, 25});
  CHECK(election.kvd_flags == std::vector<std::string>{"--x=1"});
}

TEST_CASE("every mistake is one line, and exit code 64") {
  const std::vector<std::vector<std::string>> mistakes = {
      {},
      {"walk"},
      {"run", "--bogus"},
      {"run", "extra"},
      {"run", "--put"},
      {"run", "--put", "x"},
      {"run", "--put", "101"},
      {"run", "--put", "60", "--delete", "60"},
      {"run", "--get", "50"},
      {"run", "--connections", "0"},
      {"run", "--connections", "1.5"},
      {"run", "--connections", "-1"},
      {"run", "--rate", "fast"},
      {"run", "--to", "nobody"},
      {"run", "--order", "random"},
      {"run", "--servers", "here"},
      {"run", "--servers", "a:1,b"},
      {"run", "--value-size", "9-1"},
      {"run", "--key-size", "8", "--keys", "1000"},
      {"run", "--key-size", "0"},
      {"run", "--key-size", "2K"},
      {"run", "--key-size", "many"},
      {"run", "--key-prefix", "a b"},
      {"run", "--timeout", "0"},
      {"run", "--json", "--csv"},
      {"run", "--yardstick", "--count", "3"},
      {"verify", "--rate", "0"},
      {"verify", "--servers", "x"},
      {"terms", "--ttl", "999"},
      {"terms", "--leases", "0"},
      {"terms", "--keys", "5", "--bulk"},
      {"terms", "--keys", "5", "--ttl", "1000"},
      {"terms", "--expire-after", "1000"},
      {"queue", "--producers", "0"},
      {"queue", "--consumers", "0"},
      {"queue", "--batch", "1025"},
      {"queue", "--batch", "1000", "--size", "2K"},
      {"queue", "--size", "47"},
      {"queue", "--ttr", "99"},
      {"queue", "--csv"},
      {"topic", "--producers", "1"},
      {"topic", "--subscriptions", "0"},
      {"topic", "--subscriptions", "1000", "--consumers", "51"},
      {"topic", "--batch", "1000", "--size", "2K"},
      {"topic", "--backlog", "1"},
      {"election", "--runs", "0"},
      {"election", "--how", "shout"},
      {"election", "--zookeeper-delay", "-5"},
      {"election", "--zookeeper-delay", "a"},
  };
  for (const auto& arguments : mistakes) {
    const auto command = parse_options(arguments);
    const std::string line = arguments.empty() ? "" : arguments.back();
    REQUIRE_MESSAGE(!command, line);
    CHECK_MESSAGE(command.error().code == 64, line);
    CHECK_MESSAGE(!command.error().text.empty(), line);
    CHECK_MESSAGE(command.error().text.find('\n') == std::string::npos, command.error().text);
  }
}

TEST_CASE("verify: accounts only where they are asked for") {
  for (const bool txn : {false, true}) {
    std::vector<std::string> arguments{"verify"};
    if (txn) arguments.push_back("--txn");
    const auto command = parse_options(arguments);
    REQUIRE(command);
    CHECK(std::get<VerifyOptions>(*command).txn == txn);
  }
}

TEST_CASE("help is no mistake") {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--help"}, {"run", "--help"}, {"verify", "--help"}, {"election", "-h"}}) {
    const auto command = parse_options(arguments);
    REQUIRE(!command);
    CHECK(command.error().code == 0);
    CHECK(command.error().text.find("--help") != std::string::npos);
    CHECK(command.error().text.find("delay-proxy") == std::string::npos);
  }
}

}  // namespace kvd::load
