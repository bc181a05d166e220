// See options.hpp.
#include "client/options.hpp"

#include <fmt/format.h>
#include <sysexits.h>

#include <algorithm>
#include <utility>

#include "client/help.hpp"
#include "client/hosts_file.hpp"
#include "client/options_table.hpp"
#include "msg/znodes.hpp"

namespace kvd::client {
namespace {

constexpr int64_t kGraceMs = 1500;
constexpr int64_t kMillisecondsMax = 86'400'000;
constexpr int64_t kParallelMax = 64;
// A slash in front counts for nothing.
std::string read_path(CommandLine& line) {
  std::string path = line.operands().empty() ? "" : line.operands().front();
  if (path.starts_with('/')) path.erase(0, 1);
  if (path.empty()) line.complain_of("PATH", "give one, as in app/nightly-job");
  return path;
}

// ---- the commands ----

HoldOptions read_held(CommandLine& line, const Surroundings& surroundings, const char* name) {
  if (line.command().empty()) line.complain_of("no command", "give it behind --, as in -- CMD ARGS");
  HoldOptions options;
  options.servers = read_servers(line);
  options.path = read_path(line);
  options.name = read_name(line, name, own_name(surroundings));
  options.grace = read_grace(line);
  options.command = line.command();
  return options;
}

ClientCommand read_lock(CommandLine& line, const Surroundings& surroundings) {
  HoldOptions options = read_held(line, surroundings, "name");
  if (line.has("wait")) options.wait = line.span("wait", Duration(0), 0, kMillisecondsMax);
  return options;
}

ClientCommand read_elect(CommandLine& line, const Surroundings& surroundings) {
  HoldOptions options = read_held(line, surroundings, "candidate");
  options.election = true;
  options.again = line.is_on("again");
  return options;
}

ClientCommand read_work(CommandLine& line, const Surroundings& surroundings) {
  WorkOptions options;
  options.servers = read_servers(line);
  options.name = read_name(line, "name", own_name(surroundings));
  options.exec = read_needed(line, "exec", "give the command to run for each task");
  options.parallel = static_cast<unsigned>(line.number("parallel", 1, 1, kParallelMax));
  options.grace = read_grace(line);
  return options;
}

ClientCommand read_hosts_sync(CommandLine& line, const Surroundings& surroundings) {
  HostsSyncOptions options;
  options.servers = read_servers(line);
  options.file = read_needed(line, "file", "give the hosts file, as in --file /etc/hosts");
  options.zone = line.text("zone", "");
  options.node = line.text("node", surroundings.host);
  if (!is_hosts_node(options.node))
    line.complain("node", "give 1 to 255 printable ASCII characters without spaces");
  options.once = line.is_on("once");
  return options;
}

CommandSpec held_spec_of(const char* name, const char* does, std::string notes, std::vector<FlagSpec> flags) {
  CommandSpec spec =
      client_spec_of(name, "PATH [OPTIONS] -- CMD ARGS...", does, std::move(notes), std::move(flags));
  spec.operands = 1;
  spec.command = true;
  return spec;
}

std::vector<ClientEntry> make_entries() {
  const FlagSpec grace = grace_flag();
  std::vector<ClientEntry> entries{
      {held_spec_of(
           "lock", "Runs a command while it holds a lock.",
           std::string(help::kLock) + help::kHeld + help::kLockCodes,
           {{"wait", "MS",
             "how long to wait for the lock, and a second more for silent servers; 0: not at all (for ever)"},
            {"name", "NAME", "of the holder, as others see it (this machine's name and a number)"},
            grace}),
       read_lock},
      {held_spec_of("elect", "Runs a command while this candidate leads.",
                    std::string(help::kElect) + help::kHeld + help::kElectCodes,
                    {{"candidate", "NAME", "who stands, as others see it (this machine's name and a number)"},
                     {"again", nullptr, "having lost the lead, stand again instead of exiting"},
                     grace}),
       read_elect},
      {client_spec_of(
           "work", "--exec CMD [OPTIONS]", "A worker: runs a command for each task that it is given.",
           help::kWork,
           {{"exec", "CMD", "what to run for each task, as a line for /bin/sh"},
            {"name", "NAME", "of the worker (this machine's name and a number)"},
            {"parallel", "N", "how many tasks at a time, 1 to 64: as workers NAME.1 to NAME.N (1)"},
            grace}),
       read_work},
      {client_spec_of("hosts-sync", "--file FILE [OPTIONS]",
                      "Keeps a block of a hosts file as the cluster's names are.", help::kHostsSync,
                      {{"file", "FILE", "the hosts file, as /etc/hosts"},
                       {"zone", "ZONE", "only the names of this zone (all)"},
                       {"node", "NODE", "in the lines that mark the block (this machine's name)"},
                       {"once", nullptr, "bring it up to date and exit"}}),
       read_hosts_sync},
  };
  for (ClientEntry& entry : store_entries()) entries.push_back(std::move(entry));
  for (ClientEntry& entry : lease_entries()) entries.push_back(std::move(entry));
  for (ClientEntry& entry : config_entries()) entries.push_back(std::move(entry));
  for (ClientEntry& entry : cert_entries()) entries.push_back(std::move(entry));
  for (ClientEntry& entry : auth_entries()) entries.push_back(std::move(entry));
  for (ClientEntry& entry : queue_entries()) entries.push_back(std::move(entry));
  for (ClientEntry& entry : topic_entries()) entries.push_back(std::move(entry));
  return entries;
}

const std::vector<ClientEntry>& all_entries() {
  static const std::vector<ClientEntry> entries = make_entries();
  return entries;
}

const ClientEntry* find(const std::string& name) {
  const std::vector<ClientEntry>& entries = all_entries();
  const auto same = [&name](const ClientEntry& entry) { return entry.spec.name == "kvd " + name; };
  const auto found = std::find_if(entries.begin(), entries.end(), same);
  return found == entries.end() ? nullptr : &*found;
}

// The commands that begin with these words and at least one more.
std::vector<const CommandSpec*> family_of(const std::string& words) {
  std::vector<const CommandSpec*> family;
  for (const ClientEntry& entry : all_entries()) {
    if (entry.spec.name.starts_with("kvd " + words + " ")) family.push_back(&entry.spec);
  }
  return family;
}

}  // namespace

CommandSpec client_spec_of(const char* name, const char* usage, const char* does, std::string notes,
                           std::vector<FlagSpec> flags) {
  const std::vector<FlagSpec> credentials = credential_flags();
  flags.insert(flags.begin(), credentials.begin(), credentials.end());
  flags.insert(flags.begin(),
               {"servers", "SERVER,...",
                "of the cluster, tried in turn, each HOST:PORT, https://HOST:PORT or unix:PATH; also "
                "KVD_SERVERS, unless empty (127.0.0.1:8001)",
                "KVD_SERVERS"});
  return {std::string("kvd ") + name, usage, does, std::move(flags), std::move(notes)};
}

std::vector<Server> read_servers(CommandLine& line) {
  std::vector<Server> servers;
  for (const std::string& text : line.list("servers", "127.0.0.1:8001")) {
    auto server = parse_server(text);
    if (!server) {
      line.complain("servers",
                    "give host:port, https://host:port or unix:/path, with commas between them and IPv6 "
                    "addresses in brackets");
      return servers;
    }
    servers.push_back(std::move(*server));
  }
  const auto given = give_credentials(servers, read_credentials(line));
  if (!given) line.complain_of("no TLS", given.error().detail);
  return servers;
}

std::string read_needed(CommandLine& line, const std::string& flag, const char* remedy) {
  if (!line.has(flag)) line.complain(flag, remedy);
  return line.text(flag, "");
}

std::string read_name(CommandLine& line, const std::string& flag, const std::string& otherwise) {
  const std::string name = line.text(flag, otherwise);
  if (name.empty() || name.size() > 255) line.complain_of("--" + flag, "give 1 to 255 characters");
  return name;
}

std::string own_name(const Surroundings& surroundings) {
  return fmt::format("{}-{}", surroundings.host, surroundings.process);
}

FlagSpec grace_flag() {
  return {"grace", "MS", "between SIGTERM and SIGKILL when the command is stopped (1500)"};
}

Duration read_grace(CommandLine& line) {
  return line.span("grace", milliseconds(kGraceMs), 0, kMillisecondsMax);
}

std::vector<CommandSpec> client_specs() {
  std::vector<CommandSpec> specs;
  for (const ClientEntry& entry : all_entries()) specs.push_back(entry.spec);
  return specs;
}

bool is_client_command(const std::string& name) {
  return name.find(' ') == std::string::npos && (find(name) != nullptr || !family_of(name).empty());
}

Result<ClientCommand, CommandEnd> parse_client_command(const std::string& name,
                                                       const std::vector<std::string>& arguments,
                                                       const Surroundings& surroundings) {
  std::string words = name;
  auto next = arguments.begin();
  for (; find(words) == nullptr && next != arguments.end(); ++next) {
    const std::string longer = words + " " + *next;
    if (find(longer) == nullptr && family_of(longer).empty()) break;
    words = longer;
  }
  const ClientEntry* client = find(words);
  const std::vector<std::string> rest(next, arguments.end());
  if (client == nullptr) return Failure<CommandEnd>(end_of_family(words, family_of(words), rest));
  auto line = CommandLine::parse(client->spec, rest, surroundings.variable);
  if (!line) return Failure<CommandEnd>(std::move(line.error()));
  ClientCommand command = client->read(*line, surroundings);
  if (line->end()) return Failure<CommandEnd>(*line->end());
  return command;
}

}  // namespace kvd::client
