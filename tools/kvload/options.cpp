// See options.hpp.
#include "kvload/options.hpp"

#include <fmt/format.h>
#include <sysexits.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

#include "base/arguments.hpp"
#include "msg/limits.hpp"
#include "msg/znodes.hpp"

namespace kvd::load {
namespace {

// What CLI11 cannot check by itself ends the reading with one line.
struct Refusal {
  std::string line;
};

[[noreturn]] void refuse(std::string_view flag, std::string_view given, std::string_view remedy) {
  throw Refusal{fmt::format("--{}{}{}: {}", flag, given.empty() ? "" : " ", given, remedy)};
}

std::string complaint(double low, double high) {
  return low == std::floor(low) ? fmt::format("give a number from {:.0f} to {:.0f}", low, high)
                                : fmt::format("give a number from {} to {:.0f}", low, high);
}

template <class Number>
CLI::Option* add_number(CLI::App& app, const std::string& flag, Number& value, const std::string& help,
                        double low, double high) {
  const auto check = [low, high](const std::string& text) -> std::string {
    char* end = nullptr;
    const double number = std::strtod(text.c_str(), &end);
    const bool whole =
        std::is_floating_point_v<Number> || text.find_first_not_of("0123456789") == std::string::npos;
    if (text.empty() || *end != '\0' || !(number >= low && number <= high) || !whole)
      return complaint(low, high);
    return "";
  };
  return app.add_option("--" + flag, value, help)->check(CLI::Validator(check, ""))->capture_default_str();
}

template <class Choice>
void add_choice(CLI::App& app, const std::string& flag, Choice& value, const std::string& help,
                const std::vector<std::pair<std::string, Choice>>& choices) {
  std::string names;
  std::string current;
  for (const auto& [name, choice] : choices) {
    names += (names.empty() ? "" : "|") + name;
    if (choice == value) current = name;
  }
  app.add_option_function<std::string>(
         "--" + flag,
         [&value, choices, flag, names](const std::string& text) {
           for (const auto& [name, choice] : choices) {
             if (name == text) return void(value = choice);
           }
           refuse(flag, text, "give one of " + names);
         },
         fmt::format("{} ({})", help, current))
      ->type_name(names);
}

void add_servers(CLI::App& app, std::vector<std::string>& servers) {
  app.add_option("--servers", servers, "HOST:PORT,... of kvd's HTTP")->delimiter(',')->capture_default_str();
}

void add_outputs(CLI::App& app, Outputs& outputs) {
  app.add_flag("--json", outputs.json, "the result as one JSON object on stdout");
  app.add_flag("--csv", outputs.csv, "the result as CSV on stdout");
  app.add_option("--plot", outputs.plot, "also draw the result into this SVG file")->type_name("FILE");
}

void check_servers(const std::vector<std::string>& servers) {
  for (const std::string& server : servers) {
    if (!parse_address(server)) refuse("servers", server, "give HOST:PORT,HOST:PORT,...");
  }
}

void check_outputs(const Outputs& outputs) {
  if (outputs.json && outputs.csv) refuse("csv", "", "give only one of --json and --csv");
}

struct RunText {  // what is read further after CLI11
  std::map<Kind, int> mix;
  std::string key_size = "16";
  std::string value_size = "100";
  bool no_prefill = false;
};

void add_run(CLI::App& app, RunOptions& run, RunText& text) {
  add_servers(app, run.servers);
  add_choice<Role>(app, "to", run.to, "where requests go; the leader is looked for all the time",
                   {{"all", Role::kAll}, {"leader", Role::kLeader}, {"followers", Role::kFollowers}});
  LoadOptions& load = run.load;
  add_number(app, "connections", load.connections, "connections, shared out among the servers", 1, 10'000);
  add_number(app, "pipeline", load.pipeline, "unanswered requests per connection, at the most", 1, 1024);
  add_number(app, "rate", run.rate,
             "open loop: requests per second, latency from the intended start; 0: closed loop", 0,
             10'000'000);
  for (const auto& [kind, what] :
       std::map<Kind, const char*>{{Kind::kGet, "local reads (what the others leave)"},
                                   {Kind::kPut, "writes"},
                                   {Kind::kDelete, "deletes"},
                                   {Kind::kLinear, "linear reads"}})
    add_number(app, kind_name(kind), text.mix.emplace(kind, 0).first->second,
               fmt::format("percent of {}", what), 0, 100);
  add_choice<KeyOrder>(app, "order", load.order, "how keys are chosen",
                       {{"uniform", KeyOrder::kUniform},
                        {"zipfian", KeyOrder::kZipfian},
                        {"sequential", KeyOrder::kSequential}});
  add_number(app, "theta", load.theta, "skew of zipfian", 0.01, 0.999);
  add_number(app, "keys", load.keys, "how many keys", 1, 100'000'000);
  app.add_option("--key-size", text.key_size, "bytes of a key")->capture_default_str()->type_name("SIZE");
  app.add_option("--key-prefix", load.key_shape.prefix, "what every key begins with")->capture_default_str();
  app.add_option("--value-size", text.value_size, "bytes: 100, 10-64K, or 100:90,1M:10 (size:weight)")
      ->capture_default_str()
      ->type_name("SIZES");
  app.add_flag("--no-prefill", text.no_prefill, "do not write every key once before");
  add_number(app, "warm-up", run.warm_up_s, "seconds that do not count", 0, 3600);
  add_number(app, "duration", run.seconds, "seconds; with --yardstick of each half of a round", 0.1, 864'000);
  add_number(app, "count", run.count, "requests, instead of --duration", 1, 1e15);
  add_number(app, "seed", load.seed, "of keys, sizes and the mix", 0, 1e18);
  app.add_option_function<double>(
         "--timeout",
         [&load](const double& ms) {
           if (!(ms >= 1 && ms <= 600'000)) refuse("timeout", fmt::format("{}", ms), complaint(1, 600'000));
           load.timeout_ns = static_cast<uint64_t>(ms * 1e6);
         },
         "milliseconds after which an answer counts as lost (5000)")
      ->type_name("MS");
  app.add_flag("--yardstick", run.yardstick,
               "measure a bare libuv and llhttp server in turn with the target, and give ratios");
  add_number(app, "rounds", run.rounds, "of --yardstick", 1, 1000);
  app.add_option("--server-pids", run.server_pids,
                 "processes whose CPU time counts; otherwise who listens on --servers, if on this machine")
      ->delimiter(',');
  add_outputs(app, run.outputs);
}

void finish_run(RunOptions& run, const RunText& text, const CLI::App& app) {
  check_servers(run.servers);
  check_outputs(run.outputs);
  int others = 0;
  for (const auto& [kind, percent] : text.mix) {
    run.load.mix[static_cast<size_t>(kind)] = static_cast<unsigned>(percent);
    if (kind != Kind::kGet) others += percent;
  }
  const bool get_given = app.count("--get") > 0;
  const int get = get_given ? text.mix.at(Kind::kGet) : 100 - others;
  if (get < 0 || get + others != 100)
    refuse(get_given ? "get" : "put", "",
           fmt::format("the percentages come to {}, not 100", others + (get_given ? get : 0)));
  run.load.mix[0] = static_cast<unsigned>(get);
  auto sizes = SizeChooser::parse(text.value_size);
  if (!sizes) refuse("value-size", text.value_size, sizes.error().detail);
  run.load.value_sizes = std::move(*sizes);
  const auto plain = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; };
  const std::string& prefix = run.load.key_shape.prefix;
  if (!std::all_of(prefix.begin(), prefix.end(), plain))
    refuse("key-prefix", prefix, "give letters, digits, dots, dashes and underscores");
  const std::optional<int64_t> key_size = parse_size(text.key_size);
  if (!key_size || *key_size < 1 || *key_size > static_cast<int64_t>(limits::kKeyBytes))
    refuse("key-size", text.key_size, "give a number of bytes from 1 to 1024");
  run.load.key_shape.bytes = static_cast<size_t>(*key_size);
  if (app.count("--key-size") > 0 &&
      prefix.size() + std::to_string(run.load.keys - 1).size() > run.load.key_shape.bytes)
    refuse("key-size", "",
           fmt::format("{} keys with the prefix '{}' need more bytes", run.load.keys, prefix));
  if (run.count > 0 && run.yardstick) refuse("count", "", "--yardstick measures by --duration");
  if (run.count > 0) run.seconds = 0;
  run.prefill = !text.no_prefill;
}

void add_verify(CLI::App& app, VerifyOptions& verify) {
  add_servers(app, verify.servers);
  add_number(app, "clients", verify.clients, "each with one request at a time, mostly to one server", 1,
             1000);
  add_number(app, "rate", verify.rate, "requests per second of all clients together", 1, 100'000);
  add_number(app, "duration", verify.seconds, "seconds", 0.1, 86'400);
  add_number(app, "keys", verify.keys, "keys in use at a time", 1, 1000);
  add_number(app, "seed", verify.seed, "of what clients do; 0: drawn", 0, 1e18);
  app.add_flag("--json", verify.json, "the result as one JSON object on stdout");
}

void add_election(CLI::App& app, ElectionOptions& election) {
  add_number(app, "runs", election.runs, "how often the leader is ended, for each delay", 1, 10'000);
  add_choice<Stop>(app, "how", election.how, "SIGKILL, SIGSTOP (and SIGCONT once another leads) or SIGTERM",
                   {{"kill", Stop::kKill}, {"stop", Stop::kFreeze}, {"term", Stop::kTerm}});
  app.add_option("--zookeeper-delay", election.delays_ms,
                 "milliseconds that a byte takes to ZooKeeper, and back; several are measured side by side")
      ->delimiter(',')
      ->check(CLI::Range(0, 1000).description(""))
      ->type_name("MS,...")
      ->capture_default_str();
  app.add_option("--kvd", election.kvd, "the program (beside kvload's build, or in PATH)")->type_name("PATH");
  app.add_option("--kvd-flag", election.kvd_flags,
                 "a further flag for every server, as in --kvd-flag=--heartbeat=20");
  add_number(app, "limit", election.limit_s, "seconds that a step may take", 1, 600);
  add_outputs(app, election.outputs);
}

tl::unexpected<OptionsEnd> usage(std::string line) {
  return tl::unexpected<OptionsEnd>(OptionsEnd{EX_USAGE, std::move(line)});
}

// CLI11 may put more than one sentence, or line, into what it says.
std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

tl::expected<Command, OptionsEnd> parse_options(std::vector<std::string> arguments) {
  CLI::App app("kvload: measures and checks kvd clusters", "kvload");
  app.set_help_flag("-h,--help", "print this and exit");
  app.require_subcommand(1);
  app.footer(
      "kvload COMMAND --help lists the flags of a command.\n"
      "Exit codes: 0; 1 verify found a violation; 64 the command line; 69 nobody answers, something is not "
      "installed, "
      "or a step of election failed; 73 the file of --plot cannot be written; 128 + N signal N ended "
      "election.");
  RunOptions run;
  RunText run_text;
  VerifyOptions verify;
  ElectionOptions election;
  BareServerOptions bare;
  DelayProxyOptions proxy;
  CLI::App* commands[] = {
      app.add_subcommand("run", "put servers under load; rate, latencies, failures, gaps"),
      app.add_subcommand("verify", "check that a cluster under load is linearizable and loses nothing"),
      app.add_subcommand("election",
                         "start a cluster, end its leader again and again, and time what follows"),
      app.add_subcommand("bare-server")->group(""), app.add_subcommand("delay-proxy")->group("")};
  add_run(*commands[0], run, run_text);
  add_verify(*commands[1], verify);
  add_election(*commands[2], election);
  add_number(*commands[3], "answer-bytes", bare.answer_bytes, "", 60, 16 << 20);
  add_number(*commands[3], "port", bare.port, "", 1, 65'535)->required();
  add_number(*commands[4], "port", proxy.port, "", 1, 65'535)->required();
  add_number(*commands[4], "to-port", proxy.to_port, "", 1, 65'535)->required();
  add_number(*commands[4], "delay", proxy.delay_ms, "", 0, 1000);
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  try {
    app.parse(arguments);
    if (*commands[0]) {
      finish_run(run, run_text, *commands[0]);
      return Command(run);
    }
    if (*commands[1]) {
      check_servers(verify.servers);
      return Command(verify);
    }
    if (*commands[2]) {
      check_outputs(election.outputs);
      return Command(election);
    }
    if (*commands[3]) return Command(bare);
    return Command(proxy);
  } catch (const CLI::CallForHelp&) {
    return tl::unexpected<OptionsEnd>(OptionsEnd{0, app.help()});
  } catch (const CLI::ParseError& error) {
    return usage(first_line(error.what()) + " (--help lists what there is)");
  } catch (const Refusal& refusal) {
    return usage(refusal.line);
  }
}

}  // namespace kvd::load
