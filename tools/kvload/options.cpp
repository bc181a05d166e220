// See options.hpp.
#include "kvload/options.hpp"

#include <fmt/format.h>
#include <sysexits.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "kvload/queue_text.hpp"
#include "msg/limits.hpp"
#include "msg/znodes.hpp"

namespace kvd::load {
namespace {

constexpr char kExitCodes[] =
    R"(Exit codes: 0; 1 verify found a violation, a stream of watch was not served right, what terms measures ended
early or not at all, or queues or a topic did not keep their word; 64 the command line; 69 nobody answers, something
is not installed, or a step of election failed; 73 the file of --plot cannot be written; 128 + N signal N ended
election.)";
constexpr double kTimeoutMaxMs = 600'000;

CommandSpec spec_of(const char* name, const char* does, std::vector<FlagSpec> flags) {
  return {std::string("kvload ") + name, "[OPTIONS]", does, std::move(flags), kExitCodes};
}

// Of a command that asks servers.
CommandSpec asking_spec_of(const char* name, const char* does, std::vector<FlagSpec> flags) {
  std::vector<FlagSpec> all = client::credential_flags();
  all.insert(all.begin(), {"servers", "SERVER,...",
                           "of kvd's HTTP, each HOST:PORT, https://HOST:PORT or unix:PATH (127.0.0.1:8001)"});
  all.insert(all.end(), std::make_move_iterator(flags.begin()), std::make_move_iterator(flags.end()));
  return spec_of(name, does, std::move(all));
}

const FlagSpec kJson{"json", nullptr, "the result as one JSON object on stdout"};
const FlagSpec kCsv{"csv", nullptr, "the result as CSV on stdout"};
const FlagSpec kPlot{"plot", "FILE", "also draw the result into this SVG file"};

CommandSpec run_spec() {
  return asking_spec_of(
      "run", "Puts servers under load: rate, latencies, failures, gaps.",
      {{"to", "all|leader|followers", "where requests go; the leader is looked for all the time (all)"},
       {"connections", "N", "connections, shared out among the servers (50)"},
       {"pipeline", "N", "unanswered requests per connection, at the most (1)"},
       {"rate", "N", "open loop: requests per second, latency from the intended start; 0: closed loop (0)"},
       {"get", "N", "percent of local reads (what the others leave)"},
       {"put", "N", "percent of writes (0)"},
       {"delete", "N", "percent of deletes (0)"},
       {"linear", "N", "percent of linear reads (0)"},
       {"order", "uniform|zipfian|sequential", "how keys are chosen (uniform)"},
       {"theta", "X", "skew of zipfian (0.99)"},
       {"keys", "N", "how many keys (10000)"},
       {"key-size", "SIZE", "bytes of a key (16)"},
       {"key-prefix", "TEXT", "what every key begins with (kvload-)", "", true},
       {"value-size", "SIZES", "bytes: 100, 10-64K, or 100:90,1M:10 (size:weight) (100)"},
       {"no-prefill", nullptr, "do not write every key once before"},
       {"warm-up", "S", "seconds that do not count (1)"},
       {"duration", "S", "seconds; with --yardstick of each half of a round (10)"},
       {"count", "N", "requests, instead of --duration"},
       {"seed", "N", "of keys, sizes and the mix (1)"},
       {"timeout", "MS", "milliseconds after which an answer counts as lost (5000)"},
       {"yardstick", nullptr,
        "measure a bare libuv and llhttp server in turn with the target, and give ratios"},
       {"rounds", "N", "of --yardstick (5)"},
       {"server-pids", "PID,...",
        "processes whose CPU time counts; otherwise who listens on --servers, if on this machine"},
       kJson,
       kCsv,
       kPlot});
}

CommandSpec verify_spec() {
  return asking_spec_of("verify", "Checks that a cluster under load is linearizable and loses nothing.",
                        {{"clients", "N", "each with one request at a time, mostly to one server (16)"},
                         {"rate", "N", "requests per second of all clients together (2000)"},
                         {"duration", "S", "seconds (30)"},
                         {"keys", "N", "keys in use at a time (16)"},
                         {"txn", nullptr, "keys are accounts: clients transfer amounts, by transactions"},
                         {"seed", "N", "of what clients do; 0: drawn (0)"},
                         kJson});
}

CommandSpec watch_spec() {
  return asking_spec_of("watch", "Opens many streams of a watch, writes, and times what each stream is told.",
                        {{"streams", "N", "shared out among the servers (1000)"},
                         {"rate", "N", "writes per second; 0: none, the streams rest (1000)"},
                         {"duration", "S", "seconds (10)"},
                         kJson});
}

CommandSpec terms_spec() {
  return asking_spec_of(
      "terms", "Renews many leases, or lets many keys end at once, and checks that nothing ends early.",
      {{"leases", "N", "that are renewed each 3/10 of their time, while others may kill servers (1000)"},
       {"ttl", "MS", "of each lease, from 1000 (10000)"},
       {"bulk", nullptr, "renew 1024 leases in a request"},
       {"duration", "S", "seconds; with --keys of the writes before that are compared with (10)"},
       {"keys", "N", "instead of leases: keys whose terms end within one second"},
       {"expire-after", "MS",
        "with --keys: when the first of them ends, from when they are begun to be written (10000)"},
       kJson});
}

CommandSpec queue_spec() {
  return asking_spec_of(
      "queue",
      "Sends messages, receives and settles them, and checks that none is lost, made up or with two at once.",
      {{"producers", "N", "connections that send (32)"},
       {"consumers", "N", "connections that receive and settle (32)"},
       {"rate", "N", "open loop: messages sent per second; 0: closed loop (0)"},
       {"batch", "N", "messages in a request; a receive then settles those of the last one, too (1)"},
       {"size", "SIZE", "bytes of a message, from 48 (100)"},
       {"queues", "N", "queues of its own, which are deleted again (1)"},
       {"groups", "N", "of each queue, whose order is checked; 0: none (0)"},
       {"backlog", "N", "messages that are sent first, and wait all the time (0)"},
       {"ttr", "MS", "for how long a message is granted (30000)"},
       {"duration", "S", "seconds (10)"},
       kJson,
       kPlot});
}

CommandSpec topic_spec() {
  return asking_spec_of(
      "topic",
      "Publishes messages, receives and settles them in each subscription, reads them, and checks that all "
      "get all.",
      {{"publishers", "N", "connections that publish (32)"},
       {"subscriptions", "N", "of the topic, which is its own and is deleted again (1)"},
       {"consumers", "N", "connections of each subscription that receive and settle (32)"},
       {"readers", "N", "connections that read the topic without a subscription (1)"},
       {"rate", "N", "open loop: messages published per second; 0: closed loop (0)"},
       {"batch", "N", "messages in a request; a receive then settles those of the last one, too (1)"},
       {"size", "SIZE", "bytes of a message, from 48 (100)"},
       {"groups", "N", "of the topic, whose subscriptions are then ordered, which is checked; 0: none (0)"},
       {"ttr", "MS", "for how long a message is granted (30000)"},
       {"duration", "S", "seconds (10)"},
       kJson,
       kPlot});
}

CommandSpec election_spec() {
  return spec_of(
      "election", "Starts a cluster, ends its leader again and again, and times what follows.",
      {{"runs", "N", "how often the leader is ended, for each delay (10)"},
       {"how", "kill|stop|term", "SIGKILL, SIGSTOP (and SIGCONT once another leads) or SIGTERM (kill)"},
       {"zookeeper-delay", "MS,...",
        "milliseconds that a byte takes to ZooKeeper, and back; several are measured side by side (0)"},
       {"kvd", "PATH", "the program (beside kvload's build, or in PATH)"},
       {"kvd-flag", "FLAG", "a further flag for every server, as in --kvd-flag=--heartbeat=20"},
       {"limit", "S", "seconds that a step may take (30)"},
       kJson,
       kCsv,
       kPlot});
}

template <class Number>
void read_number(CommandLine& line, const std::string& flag, Number& value, int64_t low, int64_t high) {
  value = static_cast<Number>(line.number(flag, static_cast<int64_t>(value), low, high));
}

void read_access(CommandLine& line, Access& access) {
  if (line.has("servers")) access.servers = line.list("servers", "");
  if (!std::all_of(access.servers.begin(), access.servers.end(),
                   [](const auto& one) { return client::parse_server(one).has_value(); }))
    line.complain("servers", "give HOST:PORT, https://HOST:PORT or unix:PATH, with commas between them");
  access.credentials = client::read_credentials(line);
}

void read_outputs(CommandLine& line, Outputs& outputs) {
  outputs.json = line.is_on("json");
  outputs.csv = line.is_on("csv");
  outputs.plot = line.text("plot", "");
  if (outputs.json && outputs.csv) line.complain_of("--csv", "give only one of --json and --csv");
}

void read_mix(CommandLine& line, std::array<unsigned, kKinds>& mix) {
  int64_t others = 0;
  for (size_t kind = 1; kind < kKinds; ++kind) {
    mix[kind] = static_cast<unsigned>(line.number(kind_name(static_cast<Kind>(kind)), 0, 0, 100));
    others += mix[kind];
  }
  const int64_t get = line.number("get", std::max<int64_t>(100 - others, 0), 0, 100);
  if (get + others != 100) {
    line.complain_of(line.has("get") ? "--get" : "--put", fmt::format("the percentages come to {}, not 100",
                                                                      others + (line.has("get") ? get : 0)));
  }
  mix[0] = static_cast<unsigned>(get);
}

void read_keys(CommandLine& line, LoadOptions& load) {
  constexpr int64_t kKeysMax = 100'000'000;
  load.order = static_cast<KeyOrder>(line.choice("order", "uniform"));
  load.theta = line.real("theta", load.theta, 0.01, 0.999);
  read_number(line, "keys", load.keys, 1, kKeysMax);
  load.key_shape.bytes = static_cast<size_t>(
      line.size("key-size", static_cast<int64_t>(load.key_shape.bytes), 1, limits::kKeyBytes));
  load.key_shape.prefix = line.text("key-prefix", load.key_shape.prefix);
  const std::string& prefix = load.key_shape.prefix;
  const auto plain = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; };
  if (!std::all_of(prefix.begin(), prefix.end(), plain))
    line.complain("key-prefix", "give letters, digits, dots, dashes and underscores");
  if (line.has("key-size") && prefix.size() + std::to_string(load.keys - 1).size() > load.key_shape.bytes)
    line.complain("key-size", fmt::format("{} keys with the prefix '{}' need more bytes", load.keys, prefix));
  auto sizes = SizeChooser::parse(line.text("value-size", "100"));
  if (!sizes) return line.complain("value-size", sizes.error().detail);
  load.value_sizes = std::move(*sizes);
}

RunOptions read_run(CommandLine& line) {
  RunOptions run;
  LoadOptions& load = run.load;
  read_access(line, run);
  run.to = static_cast<Role>(line.choice("to", "all"));
  read_number(line, "connections", load.connections, 1, 10'000);
  read_number(line, "pipeline", load.pipeline, 1, 1024);
  run.rate = line.real("rate", run.rate, 0, 10'000'000);
  read_mix(line, load.mix);
  read_keys(line, load);
  run.prefill = !line.is_on("no-prefill");
  run.warm_up_s = line.real("warm-up", run.warm_up_s, 0, 3600);
  run.seconds = line.real("duration", run.seconds, 0.1, 864'000);
  read_number(line, "count", run.count, 1, 1'000'000'000'000'000);
  read_number(line, "seed", load.seed, 0, INT64_MAX);
  load.timeout_ns = static_cast<uint64_t>(
      line.real("timeout", static_cast<double>(load.timeout_ns) / 1e6, 1, kTimeoutMaxMs) * 1e6);
  run.yardstick = line.is_on("yardstick");
  read_number(line, "rounds", run.rounds, 1, 1000);
  for (const std::string& text :
       line.has("server-pids") ? line.list("server-pids", "") : std::vector<std::string>{}) {
    int pid = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
    if (error != std::errc() || stop != text.data() + text.size() || pid < 1)
      line.complain("server-pids", "give numbers of processes, with commas between them");
    run.server_pids.push_back(pid);
  }
  read_outputs(line, run.outputs);
  if (run.count > 0 && run.yardstick) line.complain("count", "--yardstick measures by --duration");
  if (run.count > 0) run.seconds = 0;
  return run;
}

VerifyOptions read_verify(CommandLine& line) {
  VerifyOptions verify;
  read_access(line, verify);
  read_number(line, "clients", verify.clients, 1, 1000);
  verify.rate = line.real("rate", verify.rate, 1, 100'000);
  verify.seconds = line.real("duration", verify.seconds, 0.1, 86'400);
  read_number(line, "keys", verify.keys, 1, 1000);
  read_number(line, "seed", verify.seed, 0, INT64_MAX);
  verify.txn = line.is_on("txn");
  verify.json = line.is_on("json");
  return verify;
}

WatchOptions read_watch(CommandLine& line) {
  WatchOptions watch;
  read_access(line, watch);
  read_number(line, "streams", watch.streams, 1, 50'000);
  watch.rate = line.real("rate", watch.rate, 0, 1'000'000);
  watch.seconds = line.real("duration", watch.seconds, 0.1, 86'400);
  watch.json = line.is_on("json");
  return watch;
}

TermsOptions read_terms(CommandLine& line) {
  TermsOptions terms;
  read_access(line, terms);
  read_number(line, "leases", terms.leases, 1, 1'000'000);
  read_number(line, "ttl", terms.ttl_ms, limits::kLeaseTtlMsMin, 3'600'000);
  terms.bulk = line.is_on("bulk");
  terms.seconds = line.real("duration", terms.seconds, 0.1, 86'400);
  read_number(line, "keys", terms.keys, 0, 10'000'000);
  read_number(line, "expire-after", terms.expire_after_ms, 500, 3'600'000);
  terms.json = line.is_on("json");
  for (const char* flag : {"leases", "ttl", "bulk"}) {
    if (terms.keys != 0 && line.has(flag)) line.complain(flag, "give this or --keys, not both");
  }
  if (terms.keys == 0 && line.has("expire-after")) line.complain("expire-after", "this is for --keys");
  return terms;
}

// `senders`: the flag of those who send.
void read_messages(CommandLine& line, const char* senders, MessageOptions& messages) {
  read_access(line, messages);
  read_number(line, senders, messages.producers, 1, 50'000);
  read_number(line, "consumers", messages.consumers, 1, 50'000);
  messages.rate = line.real("rate", messages.rate, 0, 10'000'000);
  read_number(line, "batch", messages.batch, 1, limits::kMessagesAtOnce);
  messages.bytes = static_cast<size_t>(
      line.size("size", static_cast<int64_t>(messages.bytes), kMessageBytesMin, limits::kReceivedBytes));
  read_number(line, "groups", messages.groups, 0, 10'000);
  read_number(line, "ttr", messages.ttr_ms, limits::kTtrMsMin, limits::kTtrMsMax);
  messages.seconds = line.real("duration", messages.seconds, 0.1, 86'400);
  messages.outputs.json = line.is_on("json");
  messages.outputs.plot = line.text("plot", "");
  if (messages.batch * messages.bytes > limits::kReceivedBytes)
    line.complain("batch",
                  fmt::format("the messages of a batch may have {} bytes together", limits::kReceivedBytes));
}

QueueOptions read_queue(CommandLine& line) {
  QueueOptions queue;
  read_messages(line, "producers", queue);
  read_number(line, "queues", queue.queues, 1, limits::kQueues);
  read_number(line, "backlog", queue.backlog, 0, 100'000'000);
  return queue;
}

TopicOptions read_topic(CommandLine& line) {
  TopicOptions topic;
  read_messages(line, "publishers", topic);
  read_number(line, "subscriptions", topic.subscriptions, 1, 1000);
  read_number(line, "readers", topic.readers, 0, 1000);
  if (topic.subscriptions * topic.consumers > 50'000)
    line.complain("consumers", "all subscriptions together may have 50000");
  return topic;
}

ElectionOptions read_election(CommandLine& line) {
  ElectionOptions election;
  read_number(line, "runs", election.runs, 1, 10'000);
  election.how = static_cast<Stop>(line.choice("how", "kill"));
  election.delays_ms.clear();
  for (const std::string& text : line.list("zookeeper-delay", "0")) {
    uint32_t delay = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), delay);
    if (error != std::errc() || stop != text.data() + text.size() || delay > 1000)
      line.complain("zookeeper-delay", "give whole numbers from 0 to 1000, with commas between them");
    election.delays_ms.push_back(delay);
  }
  election.kvd = line.text("kvd", "");
  election.kvd_flags = line.each("kvd-flag");
  election.limit_s = line.real("limit", election.limit_s, 1, 600);
  read_outputs(line, election.outputs);
  return election;
}

// Servers of kvload's own, which only it starts.
BareServerOptions read_bare_server(CommandLine& line) {
  BareServerOptions bare;
  read_number(line, "answer-bytes", bare.answer_bytes, 60, 16 << 20);
  read_number(line, "port", bare.port, 1, 65'535);
  bare.tls.certificate = line.text("tls-cert", "");
  bare.tls.key = line.text("tls-key", "");
  return bare;
}

DelayProxyOptions read_delay_proxy(CommandLine& line) {
  DelayProxyOptions proxy;
  read_number(line, "port", proxy.port, 1, 65'535);
  read_number(line, "to-port", proxy.to_port, 1, 65'535);
  read_number(line, "delay", proxy.delay_ms, 0, 1000);
  return proxy;
}

constexpr char kHelp[] = R"(kvload: measures and checks kvd clusters
Usage: kvload COMMAND [OPTIONS]

  run        puts servers under load: rate, latencies, failures, gaps
  verify     checks that a cluster under load is linearizable and loses nothing
  watch      opens many streams of a watch, writes, and times what each stream is told
  terms      renews many leases, or lets many keys end at once, and checks that nothing ends early
  queue      sends, receives and settles messages, and checks that the queues keep their word
  topic      publishes, receives, settles and reads messages, and checks that the topic keeps its word
  election   starts a cluster, ends its leader again and again, and times what follows

kvload COMMAND --help lists the flags of a command.
)";

template <class Options>
Result<Command, CommandEnd> read(const CommandSpec& spec, const std::vector<std::string>& arguments,
                                 Options (*read_options)(CommandLine&)) {
  auto line = CommandLine::parse(spec, arguments);
  if (!line) return Failure<CommandEnd>(std::move(line.error()));
  Command command = read_options(*line);
  if (line->end()) return Failure<CommandEnd>(*line->end());
  return command;
}

}  // namespace

Result<Command, CommandEnd> parse_options(const std::vector<std::string>& arguments) {
  const std::string name = arguments.empty() ? "" : arguments.front();
  if (name == "-h" || name == "--help")
    return Failure<CommandEnd>(CommandEnd{0, std::string(kHelp) + kExitCodes + "\n"});
  const std::vector<std::string> rest(arguments.begin() + (arguments.empty() ? 0 : 1), arguments.end());
  if (name == "run") return read(run_spec(), rest, read_run);
  if (name == "verify") return read(verify_spec(), rest, read_verify);
  if (name == "watch") return read(watch_spec(), rest, read_watch);
  if (name == "terms") return read(terms_spec(), rest, read_terms);
  if (name == "queue") return read(queue_spec(), rest, read_queue);
  if (name == "topic") return read(topic_spec(), rest, read_topic);
  if (name == "election") return read(election_spec(), rest, read_election);
  if (name == "bare-server")
    return read(spec_of("bare-server", "",
                        {{"answer-bytes", "N", ""},
                         {"port", "N", ""},
                         {"tls-cert", "FILE", ""},
                         {"tls-key", "FILE", ""}}),
                rest, read_bare_server);
  if (name == "delay-proxy") {
    const auto spec =
        spec_of("delay-proxy", "", {{"port", "N", ""}, {"to-port", "N", ""}, {"delay", "MS", ""}});
    return read(spec, rest, read_delay_proxy);
  }
  return Failure<CommandEnd>(CommandEnd{
      EX_USAGE, (name.empty() ? "no command" : name) +
                    ": give run, verify, watch, terms, queue, topic or election (kvload --help says more)"});
}

}  // namespace kvd::load
