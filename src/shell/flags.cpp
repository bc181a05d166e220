// See flags.hpp.
#include "shell/flags.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sysexits.h>

#include <algorithm>
#include <array>
#include <charconv>

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

constexpr std::array kCommands = {"inspect", "export",        "lock",    "elect", "work",   "hosts-sync",
                                  "get",     "put",           "del",     "ls",    "txn",    "add",
                                  "watch",   "lease",         "queue",   "topic", "config", "cert",
                                  "auth",    "zookeeper-acl", "complete"};
// Of the clients, and what commands find that they run.
constexpr std::array kOtherVariables = {"KVD_SERVERS",    "KVD_CACERT",
                                        "KVD_CERT",       "KVD_KEY",
                                        "KVD_TOKEN_FILE", "KVD_LOCK",
                                        "KVD_ELECTION",   "KVD_FENCE",
                                        "KVD_TASK",       "KVD_ATTEMPT",
                                        "KVD_KIND",       "KVD_FENCE_PARAM",
                                        "KVD_LEASE",      "KVD_CONFIG_REVISION",
                                        "KVD_CONFIG_DIR", "KVD_QUEUE",
                                        "KVD_TOPIC",      "KVD_SUBSCRIPTION",
                                        "KVD_MESSAGE_ID", "KVD_RECEIPT",
                                        "KVD_GROUP",      "KVD_TYPE"};

std::string variable_name(std::string_view flag) {
  std::string name = "KVD_";
  for (char c : flag) name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

constexpr char kNotes[] =
    R"(Every flag but --help and --version can also be given in the environment: --peer-port N as KVD_PEER_PORT=N.

Instead of serving, kvd also
  inspect FILE|DIR [--json]       looks at a data directory or one file of it
  export DIR [FILE]               writes what a stopped server's directory holds as a snapshot
  lock PATH -- CMD ARGS...        runs a command while it holds a lock
  elect PATH -- CMD ARGS...       runs a command while this candidate leads
  work --exec CMD                 runs a command for each task that it is given
  hosts-sync --file FILE          keeps a block of a hosts file as the cluster's names are
  get, put, del, ls, txn, add, watch
                                  read, write and watch keys
  lease ACTION ...                grants, renews, shows, ends and holds leases
  queue ACTION ..., topic ACTION ...
                                  send, receive and work on messages of queues and topics
  config sync --prefix P --to DIR keeps a directory as the keys below a prefix are
  config status --prefix P        tells which node runs which configuration
  auth ACTION ...                 makes policies, users and tokens, and tells who may do what
  cert create-ca, cert create-server HOST..., cert create-client NAME
                                  make certificates for development and small clusters
  zookeeper-acl apply|show        protects the cluster's own znodes in ZooKeeper, or shows which are open
  complete [WORDS...]             what can follow on a command line; the shells' completion asks it
Those from lock to auth ask servers that run. --help behind their names says more.)";

CommandSpec make_spec() {
  CommandSpec spec{"kvd", "[OPTIONS]", "kvd: a replicated key-value store and coordination daemon"};
  spec.notes = kNotes;
  spec.version = "kvd " KVD_VERSION "\n";
  spec.operands = SIZE_MAX;  // none: each is told as no command
  spec.flags = {
      {"host", "HOST", "address to listen on (127.0.0.1)"},
      {"port", "N", "HTTP port (8001)"},
      {"zookeeper-acl", "open|protected",
       "of the services' znodes; protected: others may read them only (open)"},
      {"id", "NAME", "stable name of this server, without spaces and slashes (advertise:port)"},
      {"peer-port", "N", "port for the other servers, at most 32767 (port + 10000)"},
      {"advertise", "HOST", "how others reach this server; needed with a wildcard --host (host)"},
      {"tls-cert", "FILE",
       "serve HTTPS, and nothing else on the port: its certificate and those above it, PEM (none)"},
      {"tls-key", "FILE", "the private key of --tls-cert, PEM"},
      {"client-ca", "FILE",
       "clients' certificates are asked for, and have to be signed by one of these, PEM (none)"},
      {"client-cert", "ask|required",
       "required: who shows no certificate is refused; goes with --client-ca (ask)"},
      {"peer-ca", "FILE",
       "speak TLS with the other servers, whose certificates one of these has to have signed, PEM (none)"},
      {"peer-cert", "FILE", "with --peer-ca, this server's certificate for the others, PEM (--tls-cert)"},
      {"peer-key", "FILE", "its private key, PEM (--tls-key)"},
      {"socket", "PATH", "also serve HTTP on this Unix socket, which its owner and group may use (none)"},
      {"auth", "off|warn|on",
       "on: users may do what policies grant them, and others nothing; warn: they may, and the log tells "
       "what would be refused; see kvd-security(7) (off)"},
      {"root-token-file", "FILE",
       "of a token that may do everything its digest, as kvd auth root-token writes it (none)"},
      {"max-per-user", "N", "connections of one user to this server; more are answered 429 (no limit)"},
      {"audit-log", "FILE|-",
       "append a line of JSON to it for each refusal, change of rights or of the cluster, backup and "
       "restore; SIGHUP opens it anew (none)"},
      {"audit-writes", nullptr, "and for each write that was done"},
      {"insecure", nullptr,
       "let --host be reached from other machines: whoever does may read and change everything"},
      {"allow-host", "NAMES",
       "further names with dots that requests may use, a,b; * for any (host, advertise)"},
      {"data-dir", "DIR", "keep everything in this directory, too (none: in memory only)"},
      {"sync", "always|interval:MS|never",
       "with --data-dir, what an acknowledged write has gone through: always (synced to disk), interval:MS "
       "(written, synced every MS ms), never (written); with the latter two this server's newest writes are "
       "lost with its power, and it then joins anew (always)"},
      {"catch-up", "on|off", "off: a server that returns fills only as keys are updated (on)"},
      {"min-in-sync", "N", "refuse writes while fewer servers are in sync, 1 to 64 (1)"},
      {"expect", "N", "a new cluster takes its first write once N servers are in sync, 1 to 64 (1)"},
      {"session-timeout", "MS", "ZooKeeper session, 1 to 3600000; servers clamp it (6000)"},
      {"heartbeat", "MS", "between a leader's signs of life; below --follower-lag (50)"},
      {"follower-lag", "MS", "after which a silent follower is dropped; below --leader-silence (300)"},
      {"leader-silence", "MS", "after which a leader is suspected, up to 3600000 (400)"},
      {"max-memory", "SIZE",
       "of the store, as 512M or 2G; writes that grow it beyond are refused with 507 (no limit)"},
      {"history", "SIZE", "of the newest changes, kept for watches, from 1M (64M)"},
      {"max-value", "SIZE", "larger values are refused with 413, up to 16776192 (1048576)"},
      {"names-pool", "CIDR", "IPv4 network, /8 to /30, for names that bring no address (none: they have to)"},
      {"force-new-lineage", nullptr, "the operator's word that what is lost is lost; see kvd-operations(7)"},
      {"standalone", nullptr, "one server, no ZooKeeper"},
      {"log-level", "trace|debug|info|warn|error",
       "the least that is logged; debug: links, ZooKeeper (info)"},
      {"log-format", "logfmt|json", "of the log (logfmt on a terminal, else json)"},
  };
  const std::vector<FlagSpec> zookeeper = zookeeper_flags();
  spec.flags.insert(spec.flags.begin() + 2, zookeeper.begin(), zookeeper.end());  // behind --port
  for (FlagSpec& flag : spec.flags) flag.variable = variable_name(flag.name);
  return spec;
}

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

uint16_t read_port(CommandLine& line, const std::string& flag, uint16_t otherwise) {
  return static_cast<uint16_t>(line.number(flag, otherwise, 1, 65'535));
}

Duration read_span(CommandLine& line, const std::string& flag, Duration otherwise) {
  return line.span(flag, otherwise, 1, kMillisecondsMax);
}

std::string read_host(CommandLine& line, const std::string& name, const std::string& otherwise) {
  std::string host = without_brackets(line.text(name, otherwise));
  if (!is_host(host)) line.complain(name, "give a host name or an address, without a port");
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

void read_access(CommandLine& line, Flags& flags) {
  flags.zk.all_protected = line.choice("zookeeper-acl", "open") == 1;
  if (flags.zk.all_protected && flags.zk.auth.file.empty() && !flags.node.standalone)
    line.complain("zookeeper-acl", "protected from whom? also give --zookeeper-auth-file FILE");
}

void read_addresses(CommandLine& line, Flags& flags) {
  std::string host = read_host(line, "host", "127.0.0.1");
  uint16_t port = read_port(line, "port", 8001);
  bool standalone = flags.node.standalone;
  if (is_wildcard(host) && !line.has("advertise") && !standalone) {
    line.complain("host", "others cannot connect to a wildcard; also give --advertise HOST");
  }
  std::string advertise = read_host(line, "advertise", host);
  if (line.has("advertise") && is_wildcard(advertise)) {
    line.complain("advertise",
                  "others cannot connect to a wildcard; give the name or address of this machine");
  }
  auto peer_port = static_cast<uint16_t>(line.number("peer-port", 0, 1, kPeerPortMax));
  if (peer_port == 0 && port + kPeerPortOffset <= kPeerPortMax)
    peer_port = static_cast<uint16_t>(port + kPeerPortOffset);
  if (peer_port == 0 && !standalone) {
    line.complain(
        "port", fmt::format("port + {} is above {}; also give --peer-port N", kPeerPortOffset, kPeerPortMax));
  }
  if (peer_port == port && !standalone) line.complain("peer-port", "give another port than --port");

  flags.http.listen = Address{host, port};
  flags.peer_listen = Address{host, peer_port};
  flags.node.self.http = Address{advertise, port};
  flags.node.self.peer = Address{advertise, peer_port};
  std::string id = line.text("id", format_address(flags.node.self.http));
  auto allowed = [](unsigned char c) { return c > ' ' && c < 0x7f && c != '/'; };
  if (id.empty() || id.size() > 255 || id == "." || id == ".." ||
      !std::all_of(id.begin(), id.end(), allowed)) {
    line.complain("id", "give 1 to 255 printable ASCII characters without spaces and slashes");
  }
  flags.node.self.member.id = ServerId{id};
}

// Names without a dot and addresses need no mention: see shell/http/http_browser.hpp.
void read_allowed_hosts(CommandLine& line, Flags& flags) {
  AllowedHosts& hosts = flags.http.identity.hosts;
  hosts.names = {flags.http.listen.host, flags.node.self.http.host};
  std::string list = line.text("allow-host", "");
  if (list == "*") hosts.all = true;
  for (size_t at = 0; !hosts.all && line.has("allow-host") && at <= list.size();) {
    const size_t end = std::min(list.find(',', at), list.size());
    std::string name = list.substr(at, end - at);
    at = end + 1;
    if (!is_host(name))
      return line.complain("allow-host", "give names without ports, with commas between them, or *");
    hosts.names.push_back(std::move(name));
  }
}

void read_tls(CommandLine& line, Flags& flags) {
  net::TlsFiles& files = flags.http_tls;
  files.certificate = line.text("tls-cert", "");
  files.key = line.text("tls-key", "");
  files.authorities = line.text("client-ca", "");
  files.needs_certificate = line.choice("client-cert", "ask") == 1;
  flags.http.identity.https = !files.certificate.empty();
  if (!files.certificate.empty() && files.key.empty())
    line.complain("tls-cert", "its private key is needed, too: give --tls-key FILE");
  const char* alone = "it says something of HTTPS: also give --tls-cert FILE";
  for (const char* flag : {"tls-key", "client-ca"}) {
    if (!line.text(flag, "").empty() && files.certificate.empty()) line.complain(flag, alone);
  }
  if (files.needs_certificate && files.authorities.empty())
    line.complain("client-cert", "nobody's certificate would be believed: also give --client-ca FILE");
  flags.http.socket = line.text("socket", "");
}

void read_peer_tls(CommandLine& line, Flags& flags) {
  net::TlsFiles& files = flags.peer_tls;
  files.authorities = line.text("peer-ca", "");
  files.needs_certificate = true;
  files.protocol = "kvd-peer";
  files.own_host = flags.node.self.peer.host;
  const bool own = !line.text("peer-cert", "").empty();
  files.certificate = own ? line.text("peer-cert", "") : flags.http_tls.certificate;
  files.key = own ? line.text("peer-key", "") : flags.http_tls.key;
  const char* alone = "it says something of the links between servers: also give --peer-ca FILE";
  for (const char* flag : {"peer-cert", "peer-key"}) {
    if (!line.text(flag, "").empty() && files.authorities.empty()) line.complain(flag, alone);
  }
  if (own != !line.text("peer-key", "").empty())
    line.complain(own ? "peer-cert" : "peer-key", "a certificate and its private key go together: give both");
  if (files.authorities.empty()) {
    files = {};
  } else if (flags.node.standalone) {
    line.complain("peer-ca", "a --standalone server has no others to talk to; leave one of the two out");
  } else if (files.certificate.empty()) {
    line.complain("peer-ca",
                  "this server has to show a certificate, too: give --peer-cert FILE and --peer-key FILE");
  }
  files.apart_from = flags.http_tls.authorities;
  flags.http_tls.apart_from = files.authorities;
  flags.node.peer_tls = !files.authorities.empty();
}

void read_auth(CommandLine& line, Flags& flags) {
  flags.node.auth = flags.http.auth.mode = static_cast<AuthMode>(line.choice("auth", "off"));
  flags.root_token_file = line.text("root-token-file", "");
  flags.http.auth.connections_each = static_cast<size_t>(line.number("max-per-user", 0, 1, INT32_MAX));
  if (line.has("max-per-user") && flags.node.auth != AuthMode::kOn)
    line.complain("max-per-user", "there are no users without --auth on");
  flags.audit_log = line.text("audit-log", "");
  flags.http.audit_writes = line.is_on("audit-writes");
  if (flags.http.audit_writes && flags.audit_log.empty())
    line.complain("audit-writes", "there is no audit log: also give --audit-log FILE");
}

void read_replication(CommandLine& line, Flags& flags) {
  NodeConfig& node = flags.node;
  node.catch_up = line.choice("catch-up", "on") == 0;
  node.min_in_sync = static_cast<uint32_t>(line.number("min-in-sync", node.min_in_sync, 1, kServersMax));
  node.expect = static_cast<uint32_t>(line.number("expect", node.expect, 1, kServersMax));
  const char* alone = "a --standalone server has no others to wait for; leave one of the two out";
  if (node.standalone && node.min_in_sync > 1) line.complain("min-in-sync", alone);
  if (node.standalone && node.expect > 1) line.complain("expect", alone);
  node.force_new_lineage = line.is_on("force-new-lineage");
  node.session_timeout = read_span(line, "session-timeout", node.session_timeout);
  node.heartbeat = read_span(line, "heartbeat", node.heartbeat);
  node.leader_silence = read_span(line, "leader-silence", node.leader_silence);
  node.follower_lag = read_span(line, "follower-lag", node.follower_lag);
  if (node.heartbeat >= node.follower_lag) {
    bool lag = line.has("follower-lag");
    line.complain(lag ? "follower-lag" : "heartbeat",
                  fmt::format("must hold --heartbeat < --follower-lag, but these are {} and {} ms",
                              to_ms(node.heartbeat), to_ms(node.follower_lag)));
  }
  if (node.follower_lag >= node.leader_silence) {
    bool silence = line.has("leader-silence");
    line.complain(silence ? "leader-silence" : "follower-lag",
                  fmt::format("must hold --follower-lag < --leader-silence, but these are {} and {} ms",
                              to_ms(node.follower_lag), to_ms(node.leader_silence)));
  }
  flags.zk.session_timeout = node.session_timeout;
}

void read_storage(CommandLine& line, Flags& flags) {
  flags.node.memory_max = static_cast<uint64_t>(line.size("max-memory", INT64_MAX, kMemoryMin, INT64_MAX));
  flags.node.history_bytes = static_cast<size_t>(line.size(
      "history", static_cast<int64_t>(flags.node.history_bytes), limits::kHistoryBytesMin, INT64_MAX));
  flags.data.directory = line.text("data-dir", "");
  flags.node.self.durable = !flags.data.directory.empty();
  std::string sync = line.text("sync", "always");
  constexpr std::string_view kInterval = "interval:";
  if (sync.starts_with(kInterval)) {
    int64_t ms = 0;
    const char* end = sync.data() + sync.size();
    auto [stop, error] = std::from_chars(sync.data() + kInterval.size(), end, ms);
    if (error != std::errc() || stop != end || ms < 1 || ms > kMillisecondsMax)
      line.complain("sync", "give interval:MS with 1 to 3600000 ms");
    flags.data.sync = JournalOptions::Sync::kInterval;
    flags.data.interval = milliseconds(ms);
  } else if (sync == "never") {
    flags.data.sync = JournalOptions::Sync::kOff;
  } else if (sync != "always") {
    line.complain("sync", "give always, interval:MS or never");
  }
  if (line.has("sync") && !flags.node.self.durable)
    line.complain("sync", "there is nothing to sync without --data-dir");
  if (flags.node.self.durable && !flags.node.catch_up)
    line.complain("catch-up", "a server with --data-dir returns with what it had; leave one of the two out");
}

void read_names_pool(CommandLine& line, NodeConfig& node) {
  if (!line.has("names-pool")) return;
  const std::string text = line.text("names-pool", "");
  const size_t slash = std::min(text.find('/'), text.size());
  const char* end = text.data() + text.size();
  in_addr network{};
  int prefix = 0;
  const auto [stop, error] = std::from_chars(text.data() + std::min(slash + 1, text.size()), end, prefix);
  if (inet_pton(AF_INET, text.substr(0, slash).c_str(), &network) != 1 || error != std::errc() ||
      stop != end || prefix < 8 || prefix > 30) {
    return line.complain("names-pool", "give an IPv4 network from /8 to /30, as in 10.20.0.0/16");
  }
  const AddressPool pool{ntohl(network.s_addr), prefix};
  if ((pool.network & (UINT32_MAX >> prefix)) != 0)
    return line.complain("names-pool", "bits behind the network's are set; give its lowest address");
  node.names_pool = pool;
}

Result<Flags, CommandEnd> read_flags(CommandLine line) {
  Flags flags;
  flags.node.standalone = line.is_on("standalone");
  read_addresses(line, flags);
  read_allowed_hosts(line, flags);
  flags.http.identity.insecure = flags.node.insecure = line.is_on("insecure");
  read_tls(line, flags);
  read_peer_tls(line, flags);
  read_zookeeper(line, flags.zk);
  read_access(line, flags);
  read_auth(line, flags);
  read_replication(line, flags);
  read_storage(line, flags);
  read_names_pool(line, flags.node);
  flags.node.zookeeper_prefix = flags.zk.prefix;
  flags.http.restore_bytes_max = flags.node.memory_max;
  HttpIdentity& identity = flags.http.identity;
  identity.value_bytes_max = static_cast<size_t>(
      line.size("max-value", static_cast<int64_t>(identity.value_bytes_max), 1, kValueBytesMax));
  flags.node.value_bytes_max = identity.value_bytes_max;
  identity.node = flags.node.self.member.id;
  identity.version = KVD_VERSION;
  if (!flags.node.standalone) {
    for (const Address& server : flags.zk.servers)
      identity.zookeeper_servers.push_back(format_address(server));
  }
  flags.log.threshold = static_cast<LogThreshold>(line.choice("log-level", "info"));
  if (line.has("log-format")) {
    flags.log.format = static_cast<LogFormat>(line.choice("log-format", ""));
  } else {
    flags.log.format = default_log_format();
  }
  if (line.end()) return Failure<CommandEnd>(*line.end());
  return flags;
}

}  // namespace

const CommandSpec& server_spec() {
  static const CommandSpec spec = make_spec();
  return spec;
}

std::vector<FlagSpec> zookeeper_flags() {
  std::vector<FlagSpec> flags = {
      {"zookeeper", "SERVERS", "host, or host:port,host:port/prefix; IPv6 in brackets (127.0.0.1)"},
      {"zookeeper-port", "N", "port of the ZooKeeper servers given without one (2181)"},
      {"zookeeper-auth-file", "FILE",
       "one line user:password, as whom ZooKeeper lets others not change the cluster's own znodes (none)"},
  };
  for (FlagSpec& flag : flags) flag.variable = variable_name(flag.name);
  return flags;
}

void read_zookeeper(CommandLine& line, ZkOptions& zk) {
  const char* remedy = "give host, or host:port,host:port/prefix with IPv6 addresses in brackets";
  uint16_t port = read_port(line, "zookeeper-port", 2181);
  std::string text = line.text("zookeeper", "127.0.0.1");
  size_t slash = std::min(text.find('/'), text.size());
  if (slash + 1 < text.size()) {  // a lone slash is the root: no prefix
    zk.prefix = text.substr(slash);
    if (!is_znode_prefix(zk.prefix))
      return line.complain("zookeeper", "the prefix is no path of a znode; " + std::string(remedy));
  }
  zk.auth.file = line.text("zookeeper-auth-file", "");
  std::string servers = text.substr(0, slash);
  for (size_t start = 0; start <= servers.size();) {
    size_t end = std::min(servers.find(',', start), servers.size());
    std::string server = servers.substr(start, end - start);
    bool bare = server.find(':') == std::string::npos || (!server.empty() && server.back() == ']');
    Result<Address> address = bare ? Address{without_brackets(server), port} : parse_address(server);
    if (!address || !is_host(address->host)) return line.complain("zookeeper", remedy);
    zk.servers.push_back(*address);
    start = end + 1;
  }
}

std::vector<UnknownVariable> unknown_variables(const std::vector<std::string>& names) {
  std::vector<std::string> known(kOtherVariables.begin(), kOtherVariables.end());
  for (const FlagSpec& flag : server_spec().flags) known.push_back(flag.variable);
  std::vector<UnknownVariable> unknown;
  for (const std::string& name : names) {
    if (name.starts_with("KVD_") && std::find(known.begin(), known.end(), name) == known.end())
      unknown.push_back({name, nearest(name, known)});
  }
  return unknown;
}

Result<Flags, CommandEnd> parse_flags(const std::vector<std::string>& arguments,
                                      const Environment& environment) {
  auto line = CommandLine::parse(server_spec(), arguments, environment);
  if (!line) return Failure<CommandEnd>(std::move(line.error()));
  if (line->operands().empty()) return read_flags(std::move(*line));
  const std::string& what = line->operands().front();
  line->complain_of(
      what.empty() ? "''" : what,
      fmt::format(
          "there is no such command; there are {} (kvd --help says more); without one kvd is a server",
          fmt::join(kCommands, ", ")));
  return Failure<CommandEnd>(*line->end());
}

}  // namespace kvd
