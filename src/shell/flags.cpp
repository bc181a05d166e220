// See flags.hpp. CLI11 splits and documents the command line; what a value may be is decided here, so that
// every complaint has the same form: the flag or variable, what it was given, and what to do.
#include "shell/flags.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sysexits.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include "base/arguments.hpp"
#include "msg/limits.hpp"
#include "msg/znodes.hpp"

namespace kvd {
namespace {

constexpr uint16_t kPeerPortOffset = 10'000;
// From 32768 on the kernel hands out ports to outgoing connections:
// a retry to a dead port could connect to itself.
constexpr uint16_t kPeerPortMax = 32'767;
constexpr int64_t kMillisecondsMax = 3'600'000;
constexpr int64_t kValueBytesMax = limits::kWriteBytes - limits::kKeyBytes;
constexpr int64_t kMemoryMin = 1 << 20;
constexpr int64_t kServersMax = 64;  // in sync: what the register can hold

struct Spec {
  const char* name;
  const char* value;  // what --help calls it; null: a switch
  const char* help;
};
constexpr Spec kSpecs[] = {
    {"host", "HOST", "address to listen on (127.0.0.1)"},
    {"port", "N", "HTTP port (8001)"},
    {"zookeeper", "SERVERS", "host, or host:port,host:port/prefix; IPv6 in brackets (127.0.0.1)"},
    {"zookeeper-port", "N", "port of the ZooKeeper servers given without one (2181)"},
    {"id", "NAME", "stable name of this server, without spaces and slashes (advertise:port)"},
    {"peer-port", "N", "port for the other servers, at most 32767 (port + 10000)"},
    {"advertise", "HOST", "how others reach this server; needed with a wildcard --host (host)"},
    {"insecure", nullptr,
     "let --host be reached from other machines: nothing is encrypted, nobody is asked who he is"},
    {"allow-host", "NAMES",
     "further names with dots that requests may use, a,b; * for any (host, advertise)"},
    {"data-dir", "DIR", "keep everything in this directory, too (none: in memory only)"},
    {"sync", "WHEN",
     "with --data-dir, what an acknowledged write has gone through: always (synced to disk), interval:MS "
     "(written, "
     "synced every MS ms), never (written); with the latter two this server's newest writes are lost with "
     "its power, "
     "and it then joins anew (always)"},
    {"catch-up", "on|off", "off: a server that returns fills only as keys are updated (on)"},
    {"min-in-sync", "N", "refuse writes while fewer servers are in sync, 1 to 64 (1)"},
    {"expect", "N", "a new cluster takes its first write once N servers are in sync, 1 to 64 (1)"},
    {"session-timeout", "MS", "ZooKeeper session, 1 to 3600000; servers clamp it (6000)"},
    {"heartbeat", "MS", "between a leader's signs of life; below --follower-lag (50)"},
    {"follower-lag", "MS", "after which a silent follower is dropped; below --leader-silence (300)"},
    {"leader-silence", "MS", "after which a leader is suspected, up to 3600000 (400)"},
    {"max-memory", "SIZE",
     "of the store, as 512M or 2G; writes that grow it beyond are refused with 507 (no limit)"},
    {"max-value", "SIZE", "larger values are refused with 413, up to 16776192 (1048576)"},
    {"names-pool", "CIDR", "IPv4 network, /8 to /30, for names that bring no address (none: they have to)"},
    {"force-new-lineage", nullptr, "the operator's word that what is lost is lost; see README"},
    {"standalone", nullptr, "one server, no ZooKeeper"},
    {"log-level", "LEVEL", "trace, debug (links, ZooKeeper), info, warn or error (info)"},
    {"log-format", "FORMAT", "logfmt or json (logfmt on a terminal, else json)"},
};

constexpr std::array kCommands = {"inspect", "export", "lock", "elect", "work", "hosts-sync"};
// Of the clients, and what commands find that they run.
constexpr std::array kOtherVariables = {"KVD_SERVERS", "KVD_LOCK",    "KVD_ELECTION", "KVD_FENCE",
                                        "KVD_TASK",    "KVD_ATTEMPT", "KVD_KIND",     "KVD_FENCE_PARAM"};

std::string variable_name(std::string_view flag) {
  std::string name = "KVD_";
  for (char c : flag) name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

// -zookeeper and --zookeeper_port become --zookeeper and --zookeeper-port; -h, -5 and what follows '=' stay.
std::string normalised(const std::string& argument) {
  size_t dashes = argument.find_first_not_of('-');
  if (dashes == std::string::npos || dashes == 0 || dashes > 2) return argument;
  if (std::isalpha(static_cast<unsigned char>(argument[dashes])) == 0) return argument;
  size_t end = std::min(argument.find('='), argument.size());
  std::string name = argument.substr(dashes, end - dashes);
  if (dashes == 1 && name.size() == 1) return argument;
  std::replace(name.begin(), name.end(), '_', '-');
  return "--" + name + argument.substr(end);
}

// Where a value came from: its flag, its variable, or nowhere.
struct Given {
  std::string text;
  bool from_variable = false;
};

// Reads values one by one and keeps the first complaint; what comes after it is moot.
class Reader {
 public:
  explicit Reader(std::map<std::string, Given> given) : given_(std::move(given)) {}

  bool has(const std::string& name) const { return given_.count(name) != 0; }
  std::string text(const std::string& name, const std::string& otherwise) const {
    auto found = given_.find(name);
    return found == given_.end() ? otherwise : found->second.text;
  }
  int64_t size(const std::string& name, int64_t otherwise, int64_t low, int64_t high) {
    if (!has(name)) return otherwise;
    const auto bytes = parse_size(text(name, ""));
    if (bytes && *bytes >= low && *bytes <= high) return *bytes;
    complain(name,
             fmt::format("give a whole number of bytes from {} to {}, as in 65536, 64M or 1G", low, high));
    return otherwise;
  }
  int64_t number(const std::string& name, int64_t otherwise, int64_t low, int64_t high) {
    if (!has(name)) return otherwise;
    std::string content = text(name, "");
    int64_t number = 0;
    auto [end, error] = std::from_chars(content.data(), content.data() + content.size(), number);
    if (error == std::errc() && end == content.data() + content.size() && number >= low && number <= high)
      return number;
    complain(name, fmt::format("give a whole number from {} to {}", low, high));
    return otherwise;
  }
  uint16_t port(const std::string& name, uint16_t otherwise) {
    return static_cast<uint16_t>(number(name, otherwise, 1, 65'535));
  }
  Duration span(const std::string& name, Duration otherwise) {
    return milliseconds(number(name, to_ms(otherwise), 1, kMillisecondsMax));
  }
  bool flag(const std::string& name) { return choice(name, "false", {"true", "false"}) == 0; }
  // The index of what was chosen.
  size_t choice(const std::string& name, const std::string& otherwise,
                const std::vector<std::string>& choices) {
    auto found = std::find(choices.begin(), choices.end(), text(name, otherwise));
    if (found != choices.end()) return static_cast<size_t>(found - choices.begin());
    complain(name, fmt::format("give one of {}", fmt::join(choices, ", ")));
    return 0;
  }

  void complain(const std::string& name, const std::string& remedy) {
    auto found = given_.find(name);
    if (found == given_.end()) return end_with(EX_USAGE, fmt::format("--{}: {}", name, remedy));
    bool variable = found->second.from_variable;
    std::string source = variable ? variable_name(name) + "=" : "--" + name + " ";
    end_with(variable ? EX_CONFIG : EX_USAGE, fmt::format("{}{}: {}", source, found->second.text, remedy));
  }
  const std::optional<FlagsEnd>& end() const { return end_; }

 private:
  void end_with(int code, std::string line) {
    if (!end_) end_ = FlagsEnd{code, std::move(line)};
  }
  std::map<std::string, Given> given_;
  std::optional<FlagsEnd> end_;
};

bool is_ipv6(const std::string& host) {
  in6_addr ignored{};
  return inet_pton(AF_INET6, host.substr(0, host.find('%')).c_str(), &ignored) == 1;
}

bool is_wildcard(const std::string& host) {
  in6_addr six{};
  in_addr four{};
  if (inet_pton(AF_INET6, host.c_str(), &six) == 1) return IN6_IS_ADDR_UNSPECIFIED(&six);
  return inet_pton(AF_INET, host.c_str(), &four) == 1 && four.s_addr == INADDR_ANY;
}

bool is_host(const std::string& host) {
  auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_'; };
  if (is_ipv6(host)) return true;
  return !host.empty() && host.size() <= 253 && std::all_of(host.begin(), host.end(), allowed);
}

std::string without_brackets(const std::string& host) {
  bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  return bracketed ? host.substr(1, host.size() - 2) : host;
}

std::string read_host(Reader& reader, const std::string& name, const std::string& otherwise) {
  std::string host = without_brackets(reader.text(name, otherwise));
  if (!is_host(host)) reader.complain(name, "give a host name or an address, without a port");
  return host;
}

// ZooKeeper's rules for paths, plus none of its own: the first slash is there, the last one is not.
bool is_znode_prefix(const std::string& prefix) {
  for (size_t start = 1; start <= prefix.size();) {
    size_t end = std::min(prefix.find('/', start), prefix.size());
    std::string part = prefix.substr(start, end - start);
    if (part.empty() || part == "." || part == "..") return false;
    if (std::any_of(part.begin(), part.end(), [](unsigned char c) { return c <= ' ' || c >= 0x7f; }))
      return false;
    start = end + 1;
  }
  return prefix.back() != '/';
}

void read_zookeeper(Reader& reader, ZkOptions& zk) {
  const char* remedy = "give host, or host:port,host:port/prefix with IPv6 addresses in brackets";
  uint16_t port = reader.port("zookeeper-port", 2181);
  std::string text = reader.text("zookeeper", "127.0.0.1");
  size_t slash = std::min(text.find('/'), text.size());
  if (slash + 1 < text.size()) {  // a lone slash is the root: no prefix
    zk.prefix = text.substr(slash);
    if (!is_znode_prefix(zk.prefix))
      return reader.complain("zookeeper", "the prefix is no path of a znode; " + std::string(remedy));
  }
  std::string servers = text.substr(0, slash);
  for (size_t start = 0; start <= servers.size();) {
    size_t end = std::min(servers.find(',', start), servers.size());
    std::string server = servers.substr(start, end - start);
    bool bare = server.find(':') == std::string::npos || (!server.empty() && server.back() == ']');
    Result<Address> address = bare ? Address{without_brackets(server), port} : parse_address(server);
    if (!address || !is_host(address->host)) return reader.complain("zookeeper", remedy);
    zk.servers.push_back(*address);
    start = end + 1;
  }
}

void read_addresses(Reader& reader, Flags& flags) {
  std::string host = read_host(reader, "host", "127.0.0.1");
  uint16_t port = reader.port("port", 8001);
  bool standalone = flags.node.standalone;
  if (is_wildcard(host) && !reader.has("advertise") && !standalone) {
    reader.complain("host", "others cannot connect to a wildcard; also give --advertise HOST");
  }
  std::string advertise = read_host(reader, "advertise", host);
  if (reader.has("advertise") && is_wildcard(advertise)) {
    reader.complain("advertise",
                    "others cannot connect to a wildcard; give the name or address of this machine");
  }
  auto peer_port = static_cast<uint16_t>(reader.number("peer-port", 0, 1, kPeerPortMax));
  if (peer_port == 0 && port + kPeerPortOffset <= kPeerPortMax)
    peer_port = static_cast<uint16_t>(port + kPeerPortOffset);
  if (peer_port == 0 && !standalone) {
    reader.complain(
        "port", fmt::format("port + {} is above {}; also give --peer-port N", kPeerPortOffset, kPeerPortMax));
  }
  if (peer_port == port && !standalone) reader.complain("peer-port", "give another port than --port");

  flags.http.listen = Address{host, port};
  flags.peer_listen = Address{host, peer_port};
  flags.node.self.http = Address{advertise, port};
  flags.node.self.peer = Address{advertise, peer_port};
  std::string id = reader.text("id", format_address(flags.node.self.http));
  auto allowed = [](unsigned char c) { return c > ' ' && c < 0x7f && c != '/'; };
  if (id.empty() || id.size() > 255 || id == "." || id == ".." ||
      !std::all_of(id.begin(), id.end(), allowed)) {
    reader.complain("id", "give 1 to 255 printable ASCII characters without spaces and slashes");
  }
  flags.node.self.member.id = ServerId{id};
}

// Names without a dot and addresses need no mention: see shell/http_browser.hpp.
void read_allowed_hosts(Reader& reader, Flags& flags) {
  AllowedHosts& hosts = flags.http.identity.hosts;
  hosts.names = {flags.http.listen.host, flags.node.self.http.host};
  std::string list = reader.text("allow-host", "");
  if (list == "*") hosts.all = true;
  for (size_t at = 0; !hosts.all && reader.has("allow-host") && at <= list.size();) {
    const size_t end = std::min(list.find(',', at), list.size());
    std::string name = list.substr(at, end - at);
    at = end + 1;
    if (!is_host(name))
      return reader.complain("allow-host", "give names without ports, with commas between them, or *");
    hosts.names.push_back(std::move(name));
  }
}

void read_replication(Reader& reader, Flags& flags) {
  NodeConfig& node = flags.node;
  node.catch_up = reader.choice("catch-up", "on", {"on", "off"}) == 0;
  node.min_in_sync = static_cast<uint32_t>(reader.number("min-in-sync", node.min_in_sync, 1, kServersMax));
  node.expect = static_cast<uint32_t>(reader.number("expect", node.expect, 1, kServersMax));
  const char* alone = "a --standalone server has no others to wait for; leave one of the two out";
  if (node.standalone && node.min_in_sync > 1) reader.complain("min-in-sync", alone);
  if (node.standalone && node.expect > 1) reader.complain("expect", alone);
  node.force_new_lineage = reader.flag("force-new-lineage");
  node.session_timeout = reader.span("session-timeout", node.session_timeout);
  node.heartbeat = reader.span("heartbeat", node.heartbeat);
  node.leader_silence = reader.span("leader-silence", node.leader_silence);
  node.follower_lag = reader.span("follower-lag", node.follower_lag);
  if (node.heartbeat >= node.follower_lag) {
    bool lag = reader.has("follower-lag");
    reader.complain(lag ? "follower-lag" : "heartbeat",
                    fmt::format("must hold --heartbeat < --follower-lag, but these are {} and {} ms",
                                to_ms(node.heartbeat), to_ms(node.follower_lag)));
  }
  if (node.follower_lag >= node.leader_silence) {
    bool silence = reader.has("leader-silence");
    reader.complain(silence ? "leader-silence" : "follower-lag",
                    fmt::format("must hold --follower-lag < --leader-silence, but these are {} and {} ms",
                                to_ms(node.follower_lag), to_ms(node.leader_silence)));
  }
  flags.zk.session_timeout = node.session_timeout;
}

void read_storage(Reader& reader, Flags& flags) {
  flags.node.memory_max = static_cast<uint64_t>(reader.size("max-memory", INT64_MAX, kMemoryMin, INT64_MAX));
  flags.data.directory = reader.text("data-dir", "");
  flags.node.self.durable = !flags.data.directory.empty();
  std::string sync = reader.text("sync", "always");
  constexpr std::string_view kInterval = "interval:";
  if (sync.starts_with(kInterval)) {
    int64_t ms = 0;
    const char* end = sync.data() + sync.size();
    auto [stop, error] = std::from_chars(sync.data() + kInterval.size(), end, ms);
    if (error != std::errc() || stop != end || ms < 1 || ms > kMillisecondsMax)
      reader.complain("sync", "give interval:MS with 1 to 3600000 ms");
    flags.data.sync = JournalOptions::Sync::kInterval;
    flags.data.interval = milliseconds(ms);
  } else if (sync == "never") {
    flags.data.sync = JournalOptions::Sync::kBySystem;
  } else if (sync != "always") {
    reader.complain("sync", "give always, interval:MS or never");
  }
  if (reader.has("sync") && !flags.node.self.durable)
    reader.complain("sync", "there is nothing to sync without --data-dir");
  if (flags.node.self.durable && !flags.node.catch_up)
    reader.complain("catch-up",
                    "a server with --data-dir returns with what it had; leave one of the two out");
}

void read_names_pool(Reader& reader, NodeConfig& node) {
  if (!reader.has("names-pool")) return;
  const std::string text = reader.text("names-pool", "");
  const size_t slash = std::min(text.find('/'), text.size());
  const char* end = text.data() + text.size();
  in_addr network{};
  int prefix = 0;
  const auto [stop, error] = std::from_chars(text.data() + std::min(slash + 1, text.size()), end, prefix);
  if (inet_pton(AF_INET, text.substr(0, slash).c_str(), &network) != 1 || error != std::errc() ||
      stop != end || prefix < 8 || prefix > 30) {
    return reader.complain("names-pool", "give an IPv4 network from /8 to /30, as in 10.20.0.0/16");
  }
  const AddressPool pool{ntohl(network.s_addr), prefix};
  if ((pool.network & (UINT32_MAX >> prefix)) != 0)
    return reader.complain("names-pool", "bits behind the network's are set; give its lowest address");
  node.names_pool = pool;
}

tl::expected<Flags, FlagsEnd> read_flags(Reader reader) {
  Flags flags;
  flags.node.standalone = reader.flag("standalone");
  read_addresses(reader, flags);
  read_allowed_hosts(reader, flags);
  flags.http.identity.insecure = reader.flag("insecure");
  read_zookeeper(reader, flags.zk);
  read_replication(reader, flags);
  read_storage(reader, flags);
  read_names_pool(reader, flags.node);
  flags.node.zookeeper_prefix = flags.zk.prefix;
  flags.http.restore_bytes_max = flags.node.memory_max;
  HttpIdentity& identity = flags.http.identity;
  identity.value_bytes_max = static_cast<size_t>(
      reader.size("max-value", static_cast<int64_t>(identity.value_bytes_max), 1, kValueBytesMax));
  identity.node = flags.node.self.member.id;
  identity.version = KVD_VERSION;
  if (!flags.node.standalone) {
    for (const Address& server : flags.zk.servers)
      identity.zookeeper_servers.push_back(format_address(server));
  }
  flags.log.threshold = static_cast<LogThreshold>(
      reader.choice("log-level", "info", {"trace", "debug", "info", "warn", "error"}));
  if (reader.has("log-format")) {
    flags.log.format = static_cast<LogFormat>(reader.choice("log-format", "", {"logfmt", "json"}));
  } else {
    flags.log.format = default_log_format();
  }
  if (reader.end()) return tl::unexpected<FlagsEnd>(*reader.end());
  return flags;
}

tl::unexpected<FlagsEnd> usage(std::string line) {
  return tl::unexpected<FlagsEnd>(FlagsEnd{EX_USAGE, std::move(line)});
}

bool takes_value(std::string_view flag) {
  return std::any_of(std::begin(kSpecs), std::end(kSpecs),
                     [flag](const Spec& spec) { return spec.value != nullptr && spec.name == flag; });
}

}  // namespace

std::vector<UnknownVariable> unknown_variables(const std::vector<std::string>& names) {
  std::vector<std::string> known(kOtherVariables.begin(), kOtherVariables.end());
  for (const Spec& spec : kSpecs) known.push_back(variable_name(spec.name));
  std::vector<UnknownVariable> unknown;
  for (const std::string& name : names) {
    if (name.starts_with("KVD_") && std::find(known.begin(), known.end(), name) == known.end())
      unknown.push_back({name, nearest(name, known)});
  }
  return unknown;
}

tl::expected<Flags, FlagsEnd> parse_flags(std::vector<std::string> arguments,
                                          const Environment& environment) {
  CLI::App app("kvd: a replicated key-value store and coordination daemon", "kvd");
  app.set_help_flag("-h,--help", "print this and exit");
  bool version = false;
  app.add_flag("--version", version, "print the version and exit");
  app.footer(
      "Every flag but --help and --version can also be given in the environment: --peer-port N as "
      "KVD_PEER_PORT=N.\n\n"
      "Instead of serving, kvd also\n"
      "  inspect FILE|DIR [--json]       looks at a data directory or one file of it\n"
      "  export DIR [FILE]               writes what a stopped server's directory holds as a snapshot\n"
      "  lock PATH -- CMD ARGS...        runs a command while it holds a lock\n"
      "  elect PATH -- CMD ARGS...       runs a command while this candidate leads\n"
      "  work --exec CMD                 runs a command for each task that it is given\n"
      "  hosts-sync --file FILE          keeps a block of a hosts file as the cluster's names are\n"
      "The last four ask servers that run; --help behind their names says more.");
  app.allow_extras();
  std::map<std::string, CLI::Option*> options;
  std::map<std::string, std::string> values;
  for (const Spec& spec : kSpecs) {
    std::string flag = std::string("--") + spec.name;
    CLI::Option* option = spec.value != nullptr ? app.add_option(flag, values[spec.name], spec.help)
                                                : app.add_flag(flag, values[spec.name], spec.help);
    if (spec.value != nullptr) option->type_name(spec.value);
    // So that a wrapper's flags can be overridden.
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    options[spec.name] = option;
  }
  std::transform(arguments.begin(), arguments.end(), arguments.begin(), normalised);
  if (const auto missing = missing_value(arguments, takes_value))
    return usage(fmt::format("{} (kvd --help lists the flags)", *missing));
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  try {
    app.parse(arguments);
  } catch (const CLI::CallForHelp&) {
    return tl::unexpected<FlagsEnd>(FlagsEnd{0, app.help()});
  } catch (const CLI::ParseError& error) {
    return usage(fmt::format("{} (kvd --help lists the flags)", error.what()));
  }
  if (!app.remaining().empty()) {
    const std::string what = app.remaining().front();
    if (!what.empty() && !what.starts_with('-')) {
      return usage(fmt::format(
          "{}: there is no such command; there are {} (kvd --help says more); without one kvd is a server",
          what, fmt::join(kCommands, ", ")));
    }
    return usage(
        fmt::format("{}: there is no such flag (kvd --help lists them)", what.empty() ? "''" : what));
  }
  if (version) return tl::unexpected<FlagsEnd>(FlagsEnd{0, "kvd " KVD_VERSION "\n"});

  std::map<std::string, Given> given;
  for (const auto& [name, option] : options) {
    std::optional<std::string> variable = environment(variable_name(name));
    if (option->count() > 0) {
      given[name] = Given{values[name], false};
    } else if (variable && !variable->empty()) {
      given[name] = Given{*variable, true};
    }
  }
  return read_flags(Reader(std::move(given)));
}

}  // namespace kvd
