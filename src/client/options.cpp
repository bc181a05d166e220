// See options.hpp. CLI11 splits and documents the command line; what a value may be is decided here, so that every
// complaint has the same form: the flag or variable, what it was given, and what to do.
#include "client/options.hpp"

#include <fmt/format.h>
#include <sysexits.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <map>
#include <memory>

#include "base/arguments.hpp"
#include "client/help.hpp"
#include "client/hosts_file.hpp"
#include "msg/znodes.hpp"

namespace kvd {
namespace {

constexpr int64_t kGraceMs = 1500;
constexpr int64_t kMillisecondsMax = 86'400'000;
constexpr int64_t kParallelMax = 64;
// What CLI11 calls usage does not know of what stands behind --.
class UsageLine : public CLI::Formatter {
 public:
  explicit UsageLine(std::string line) : line_(std::move(line)) {}
  std::string make_usage(const CLI::App*, std::string) const override { return "Usage: " + line_ + "\n"; }

 private:
  std::string line_;
};

struct Refusal {
  ClientOptionsEnd end;
};

[[noreturn]] void refuse(const std::string& what, const std::string& remedy, int code = EX_USAGE) {
  throw Refusal{{code, fmt::format("{}: {}", what, remedy)}};
}

struct Flag {
  const char* name;
  const char* value;  // what --help calls it; null: a switch
  const char* help;
};
struct Description;

class Parser {
 public:
  explicit Parser(const Description& description);

  // Throws what CLI11 throws.
  void parse(std::vector<std::string> arguments) {
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
    app_.parse(arguments);
  }
  std::string help() const { return app_.help(); }

  bool takes_value(std::string_view flag) const { return given_.count(std::string(flag)) != 0; }
  bool is_on(const std::string& flag) const { return has(flag) && app_.get_option("--" + flag)->as<bool>(); }
  bool has(const std::string& flag) const { return app_.count("--" + flag) > 0; }
  std::string text(const std::string& flag, const std::string& otherwise) const {
    return has(flag) ? given_.at(flag) : otherwise;
  }
  std::string needed(const std::string& flag, const char* remedy) const {
    if (!has(flag)) refuse("--" + flag, remedy);
    return given_.at(flag);
  }
  // A slash in front counts for nothing.
  std::string path() const {
    const std::string path = path_.substr(path_.starts_with('/') ? 1 : 0);
    if (path.empty()) refuse("PATH", "give one, as in app/nightly-job");
    return path;
  }
  std::string name(const std::string& flag, const std::string& otherwise) const {
    const std::string name = text(flag, otherwise);
    if (name.empty() || name.size() > 255) refuse("--" + flag, "give 1 to 255 characters");
    return name;
  }
  int64_t number(const std::string& flag, int64_t otherwise, int64_t low, int64_t high) const;
  Duration grace() const { return milliseconds(number("grace", kGraceMs, 0, kMillisecondsMax)); }
  std::vector<Address> servers(const Surroundings& surroundings) const;

 private:
  CLI::App app_;
  std::map<std::string, std::string> given_;
  std::string path_;
};

int64_t Parser::number(const std::string& flag, int64_t otherwise, int64_t low, int64_t high) const {
  if (!has(flag)) return otherwise;
  const std::string& content = given_.at(flag);
  int64_t number = 0;
  const char* end = content.data() + content.size();
  const auto [stop, error] = std::from_chars(content.data(), end, number);
  if (error != std::errc() || stop != end || number < low || number > high)
    refuse("--" + flag + " " + content, fmt::format("give a whole number from {} to {}", low, high));
  return number;
}

std::vector<Address> Parser::servers(const Surroundings& surroundings) const {
  const std::optional<std::string> variable = surroundings.variable("KVD_SERVERS");
  const bool from_variable = !has("servers") && variable && !variable->empty();
  const std::string list = from_variable ? *variable : text("servers", "127.0.0.1:8001");
  std::vector<Address> servers;
  for (size_t at = 0; at <= list.size();) {
    const size_t end = std::min(list.find(',', at), list.size());
    const auto server = parse_address(list.substr(at, end - at));
    if (!server) {
      refuse((from_variable ? "KVD_SERVERS=" : "--servers ") + list,
             "give host:port,host:port with IPv6 addresses in brackets",
             from_variable ? EX_CONFIG : EX_USAGE);
    }
    servers.push_back(*server);
    at = end + 1;
  }
  return servers;
}

std::string own_name(const Surroundings& surroundings) {
  return fmt::format("{}-{}", surroundings.host, surroundings.process);
}

// Takes what stands behind -- out of `arguments`.
std::vector<std::string> take_command(std::vector<std::string>& arguments) {
  const auto dashes = std::find(arguments.begin(), arguments.end(), "--");
  if (dashes == arguments.end()) return {};
  std::vector<std::string> command(dashes + 1, arguments.end());
  arguments.erase(dashes, arguments.end());
  return command;
}

// ---- the commands ----

HoldOptions read_held(const Parser& parser, const Surroundings& surroundings, const char* name,
                      std::vector<std::string> command) {
  HoldOptions options;
  options.servers = parser.servers(surroundings);
  options.path = parser.path();
  options.name = parser.name(name, own_name(surroundings));
  options.grace = parser.grace();
  options.command = std::move(command);
  return options;
}

ClientCommand read_lock(const Parser& parser, const Surroundings& surroundings,
                        std::vector<std::string> command) {
  HoldOptions options = read_held(parser, surroundings, "name", std::move(command));
  if (parser.has("wait")) options.wait = milliseconds(parser.number("wait", 0, 0, kMillisecondsMax));
  return options;
}

ClientCommand read_elect(const Parser& parser, const Surroundings& surroundings,
                         std::vector<std::string> command) {
  HoldOptions options = read_held(parser, surroundings, "candidate", std::move(command));
  options.election = true;
  options.again = parser.is_on("again");
  return options;
}

ClientCommand read_work(const Parser& parser, const Surroundings& surroundings, std::vector<std::string>) {
  WorkOptions options;
  options.servers = parser.servers(surroundings);
  options.name = parser.name("name", own_name(surroundings));
  options.exec = parser.needed("exec", "give the command to run for each task");
  options.parallel = static_cast<unsigned>(parser.number("parallel", 1, 1, kParallelMax));
  options.grace = parser.grace();
  return options;
}

ClientCommand read_hosts_sync(const Parser& parser, const Surroundings& surroundings,
                              std::vector<std::string>) {
  HostsSyncOptions options;
  options.servers = parser.servers(surroundings);
  options.file = parser.needed("file", "give the hosts file, as in --file /etc/hosts");
  options.zone = parser.text("zone", "");
  options.node = parser.text("node", surroundings.host);
  if (!is_hosts_node(options.node))
    refuse("--node " + options.node, "give 1 to 255 printable ASCII characters without spaces");
  options.once = parser.is_on("once");
  return options;
}

struct Description {
  const char* name;
  const char* usage;
  const char* does;
  std::string help;
  std::vector<Flag> flags;
  ClientCommand (*read)(const Parser&, const Surroundings&, std::vector<std::string> command);
  bool held = false;  // takes PATH and a command behind --
};

Parser::Parser(const Description& description)
    : app_(description.does, std::string("kvd ") + description.name) {
  app_.set_help_flag("-h,--help", "print this and exit");
  app_.formatter(std::make_shared<UsageLine>(fmt::format("kvd {} {}", description.name, description.usage)));
  app_.footer(description.help);
  if (description.held) app_.add_option("PATH", path_)->group("");
  for (const Flag& flag : description.flags) {
    const std::string name = std::string("--") + flag.name;
    CLI::Option* option = flag.value != nullptr ? app_.add_option(name, given_[flag.name], flag.help)
                                                : app_.add_flag(name, flag.help);
    if (flag.value != nullptr) option->type_name(flag.value);
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
}

const std::vector<Description>& descriptions() {
  static const Flag servers = {
      "servers", "HOST:PORT,...",
      "of the cluster, tried in turn; also KVD_SERVERS, unless empty (127.0.0.1:8001)"};
  static const Flag grace = {"grace", "MS", "between SIGTERM and SIGKILL when the command is stopped (1500)"};
  static const std::vector<Description> all = {
      {"lock",
       "PATH [OPTIONS] -- CMD ARGS...",
       "Runs a command while it holds a lock.",
       std::string(help::kLock) + help::kHeld + help::kLockCodes,
       {servers,
        {"wait", "MS",
         "how long to wait for the lock, and a second more for silent servers; 0: not at all (for ever)"},
        {"name", "NAME", "of the holder, as others see it (this machine's name and a number)"},
        grace},
       read_lock,
       true},
      {"elect",
       "PATH [OPTIONS] -- CMD ARGS...",
       "Runs a command while this candidate leads.",
       std::string(help::kElect) + help::kHeld + help::kElectCodes,
       {servers,
        {"candidate", "NAME", "who stands, as others see it (this machine's name and a number)"},
        {"again", nullptr, "having lost the lead, stand again instead of exiting"},
        grace},
       read_elect,
       true},
      {"work",
       "--exec CMD [OPTIONS]",
       "A worker: runs a command for each task that it is given.",
       help::kWork,
       {servers,
        {"exec", "CMD", "what to run for each task, as a line for /bin/sh"},
        {"name", "NAME", "of the worker (this machine's name and a number)"},
        {"parallel", "N", "how many tasks at a time, 1 to 64: as workers NAME.1 to NAME.N (1)"},
        grace},
       read_work},
      {"hosts-sync",
       "--file FILE [OPTIONS]",
       "Keeps a block of a hosts file as the cluster's names are.",
       help::kHostsSync,
       {servers,
        {"file", "FILE", "the hosts file, as /etc/hosts"},
        {"zone", "ZONE", "only the names of this zone (all)"},
        {"node", "NODE", "in the lines that mark the block (this machine's name)"},
        {"once", nullptr, "bring it up to date and exit"}},
       read_hosts_sync},
  };
  return all;
}

const Description* find(const std::string& name) {
  const auto same = [&name](const Description& description) { return description.name == name; };
  const auto found = std::find_if(descriptions().begin(), descriptions().end(), same);
  return found == descriptions().end() ? nullptr : &*found;
}

tl::unexpected<ClientOptionsEnd> end_with(int code, std::string text) {
  return tl::unexpected<ClientOptionsEnd>(ClientOptionsEnd{code, std::move(text)});
}

}  // namespace

bool is_client_command(const std::string& name) { return find(name) != nullptr; }

tl::expected<ClientCommand, ClientOptionsEnd> parse_client_command(const std::string& name,
                                                                   std::vector<std::string> arguments,
                                                                   const Surroundings& surroundings) {
  const Description& description = *find(name);
  std::vector<std::string> command;
  if (description.held) command = take_command(arguments);
  const std::string hint = fmt::format("(kvd {} --help lists the flags)", name);
  Parser parser(description);
  const auto takes_value = [&parser](std::string_view flag) { return parser.takes_value(flag); };
  if (const auto missing = missing_value(arguments, takes_value))
    return end_with(EX_USAGE, fmt::format("{} {}", *missing, hint));
  try {
    parser.parse(std::move(arguments));
    if (description.held && command.empty()) refuse("no command", "give it behind --, as in -- CMD ARGS");
    return description.read(parser, surroundings, std::move(command));
  } catch (const CLI::CallForHelp&) {
    return end_with(0, parser.help());
  } catch (const CLI::ParseError& error) {
    return end_with(EX_USAGE, fmt::format("{} {}", error.what(), hint));
  } catch (const Refusal& refusal) {
    return tl::unexpected<ClientOptionsEnd>(refusal.end);
  }
}

}  // namespace kvd
