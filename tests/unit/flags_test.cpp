// The command line: the short form of src/manual/configuration.md, what is derived, and that every refusal names its
// flag, its remedy and the right exit code.
#include "shell/flags.hpp"

#include <doctest.h>
#include <sysexits.h>

#include <map>

using namespace kvd;

namespace {

using Variables = std::map<std::string, std::string>;

Result<Flags, CommandEnd> parse(std::vector<std::string> arguments, Variables variables = {}) {
  return parse_flags(
      std::move(arguments), [variables](const std::string& name) -> std::optional<std::string> {
        auto found = variables.find(name);
        return found == variables.end() ? std::nullopt : std::optional<std::string>(found->second);
      });
}

Flags good(std::vector<std::string> arguments, Variables variables = {}) {
  auto flags = parse(std::move(arguments), std::move(variables));
  REQUIRE_MESSAGE(flags.has_value(), flags.error().text);
  return *flags;
}

void bad(std::vector<std::string> arguments, const std::string& start, const std::string& remedy,
         Variables variables = {}, int code = EX_USAGE) {
  CAPTURE(start);
  auto flags = parse(std::move(arguments), std::move(variables));
  REQUIRE_FALSE(flags.has_value());
  std::string text = flags.error().text;
  CAPTURE(text);
  CHECK(flags.error().code == code);
  CHECK(text.find(start) == 0);
  CHECK(text.find(remedy) != std::string::npos);
  CHECK(text.find('\n') == std::string::npos);
}

}  // namespace

TEST_CASE("the short form: host, port and where ZooKeeper is") {
  for (const char* dashes : {"-", "--"}) {
    for (const char* port : {"zookeeper_port", "zookeeper-port"}) {
      std::string d = dashes;
      Flags flags =
          good({d + "host", "10.0.0.7", d + "port", "8002", d + "zookeeper", "10.0.0.9", d + port, "2182"});
      CHECK(flags.http.listen == Address{"10.0.0.7", 8002});
      CHECK(flags.zk.servers == std::vector<Address>{{"10.0.0.9", 2182}});
      CHECK(flags.zk.prefix.empty());
    }
  }
}

TEST_CASE("without any flag") {
  Flags flags = good({});
  CHECK(flags.http.listen == Address{"127.0.0.1", 8001});
  CHECK(flags.http.identity.value_bytes_max == 1u << 20);
  CHECK(flags.peer_listen == Address{"127.0.0.1", 18001});
  CHECK(flags.node.self.http == Address{"127.0.0.1", 8001});
  CHECK(flags.node.self.peer == Address{"127.0.0.1", 18001});
  CHECK(flags.node.self.member.id.value == "127.0.0.1:8001");
  CHECK(flags.node.min_in_sync == 1);
  CHECK(flags.node.expect == 1);
  CHECK(flags.node.catch_up);
  CHECK_FALSE(flags.node.standalone);
  CHECK_FALSE(flags.node.force_new_lineage);
  CHECK(flags.node.session_timeout == milliseconds(6000));
  CHECK(flags.zk.session_timeout == milliseconds(6000));
  CHECK(flags.zk.servers == std::vector<Address>{{"127.0.0.1", 2181}});
  CHECK(flags.log.threshold == LogThreshold::kInfo);
}

TEST_CASE("every flag arrives") {
  Flags flags = good({"--host=0.0.0.0",
                      "--advertise",
                      "kvd-1",
                      "--peer-port",
                      "9001",
                      "--id",
                      "one",
                      "--catch-up",
                      "off",
                      "--min-in-sync",
                      "2",
                      "--expect",
                      "3",
                      "--session-timeout",
                      "4000",
                      "--heartbeat",
                      "20",
                      "--leader-silence",
                      "200",
                      "--follower-lag",
                      "150",
                      "--max-value",
                      "4096",
                      "--force-new-lineage",
                      "--log-level",
                      "debug",
                      "--log-format",
                      "json"});
  CHECK(flags.http.listen == Address{"0.0.0.0", 8001});
  CHECK(flags.http.identity.value_bytes_max == 4096);
  CHECK(flags.peer_listen == Address{"0.0.0.0", 9001});
  CHECK(flags.node.self.http == Address{"kvd-1", 8001});
  CHECK(flags.node.self.peer == Address{"kvd-1", 9001});
  CHECK(flags.node.self.member.id.value == "one");
  CHECK_FALSE(flags.node.catch_up);
  CHECK(flags.node.min_in_sync == 2);
  CHECK(flags.node.expect == 3);
  CHECK(flags.node.session_timeout == milliseconds(4000));
  CHECK(flags.zk.session_timeout == milliseconds(4000));
  CHECK(flags.node.heartbeat == milliseconds(20));
  CHECK(flags.node.leader_silence == milliseconds(200));
  CHECK(flags.node.follower_lag == milliseconds(150));
  CHECK(flags.node.force_new_lineage);
  CHECK(flags.log.threshold == LogThreshold::kDebug);
  CHECK(flags.log.format == LogFormat::kJson);
}

TEST_CASE("the environment, and a flag that wins over it") {
  Variables variables{
      {"KVD_PORT", "8003"}, {"KVD_MIN_IN_SYNC", "2"}, {"KVD_STANDALONE", "false"}, {"KVD_ID", ""}};
  Flags flags = good({"--min-in-sync", "3"}, variables);
  CHECK(flags.http.listen.port == 8003);
  CHECK(flags.node.min_in_sync == 3);
  CHECK(flags.node.self.member.id.value == "127.0.0.1:8003");
  CHECK(good({}, {{"KVD_STANDALONE", "true"}}).node.standalone);
  bad({}, "KVD_PORT=tcp://10.0.0.1: ", "1 to 65535", {{"KVD_PORT", "tcp://10.0.0.1"}}, EX_CONFIG);
  bad({}, "KVD_STANDALONE=maybe: ", "true, false", {{"KVD_STANDALONE", "maybe"}}, EX_CONFIG);
}

TEST_CASE("the pool of addresses for names") {
  CHECK_FALSE(good({}).node.names_pool.has_value());
  CHECK(good({"--names-pool", "10.20.0.0/16"}).node.names_pool == AddressPool{0x0a140000, 16});
  CHECK(good({"--names-pool", "10.0.0.0/8"}).node.names_pool == AddressPool{0x0a000000, 8});
  CHECK(good({"--names-pool", "10.0.0.4/30"}).node.names_pool == AddressPool{0x0a000004, 30});
  for (const char* text : {"10.20.0.0", "10.20.0.0/", "10.20.0.0/7", "10.20.0.0/31", "10.20.0.0/16x",
                           "10.20.0/16", "fd00::/16", "/16", "/"}) {
    bad({"--names-pool", text}, "--names-pool ", "/8 to /30");
  }
  bad({"--names-pool", "10.20.0.1/16"}, "--names-pool ", "lowest address");
  bad({}, "KVD_NAMES_POOL=x: ", "/8 to /30", {{"KVD_NAMES_POOL", "x"}}, EX_CONFIG);
}

TEST_CASE("ZooKeeper's addresses") {
  auto zk = [](const std::string& text) {
    return good({"--zookeeper", text, "--zookeeper-port", "2999"}).zk;
  };
  CHECK(zk("a,b:2182,c").servers == std::vector<Address>{{"a", 2999}, {"b", 2182}, {"c", 2999}});
  CHECK(zk("[::1]").servers == std::vector<Address>{{"::1", 2999}});
  CHECK(zk("[::1]:2182,b").servers == std::vector<Address>{{"::1", 2182}, {"b", 2999}});
  CHECK(zk("a:1,b:2/kvd/prod").servers == std::vector<Address>{{"a", 1}, {"b", 2}});
  CHECK(zk("a:1,b:2/kvd/prod").prefix == "/kvd/prod");
  CHECK(zk("a/").prefix.empty());
  for (const char* text : {"a,,b", "a,", "::1", "a:0", "a:70000", "a b", "[::1", "a:x"}) {
    bad({"--zookeeper", text}, "--zookeeper ", "host:port,host:port/prefix");
  }
  for (const char* text : {"a//b", "a/b/", "a/../b", "a/.", "a/b c"})
    bad({"--zookeeper", text}, "--zookeeper ", "prefix");
}

TEST_CASE("IPv6 hosts, with brackets or without") {
  for (const char* host : {"::1", "[::1]"}) {
    Flags flags = good({"--host", host});
    CHECK(flags.http.listen == Address{"::1", 8001});
    CHECK(flags.node.self.member.id.value == "[::1]:8001");
  }
}

TEST_CASE("addresses that others could not reach") {
  for (const char* host : {"0.0.0.0", "::", "[::]", "0::0"}) {
    bad({"--host", host}, "--host ", "--advertise HOST");
    CHECK(good({"--host", host, "--advertise", "me"}).node.self.http == Address{"me", 8001});
    bad({"--advertise", host}, "--advertise ", "wildcard");
  }
  bad({"--host", "a:8001"}, "--host a:8001: ", "without a port");
  bad({"--advertise", "x/y"}, "--advertise x/y: ", "without a port");
}

TEST_CASE("peer ports") {
  CHECK(good({"--port", "22767"}).peer_listen.port == 32767);
  bad({"--port", "22768"}, "--port 22768: ", "--peer-port N");
  CHECK(good({"--port", "22768", "--peer-port", "9000"}).peer_listen.port == 9000);
  bad({"--peer-port", "32768"}, "--peer-port 32768: ", "1 to 32767");
  bad({"--peer-port", "8001"}, "--peer-port 8001: ", "another port");
  CHECK(good({"--standalone", "--port", "40000"}).http.listen.port == 40000);
}

TEST_CASE("timers that would make followers and leader race") {
  bad({"--heartbeat", "300"}, "--heartbeat 300: ", "--heartbeat < --follower-lag");
  bad({"--follower-lag", "50"}, "--follower-lag 50: ", "--heartbeat < --follower-lag");
  bad({"--follower-lag", "400"}, "--follower-lag 400: ", "--follower-lag < --leader-silence");
  bad({"--leader-silence", "300"}, "--leader-silence 300: ", "--follower-lag < --leader-silence");
}

TEST_CASE("other values that are refused") {
  for (const char* port : {"0", "65536", "-1", "80x", "99999999999999999999"})
    bad({"--port", port}, "--port ", "1 to 65535");
  bad({"--min-in-sync", "0"}, "--min-in-sync 0: ", "1 to 64");
  bad({"--expect", "65"}, "--expect 65: ", "1 to 64");
  bad({"--max-value", "16777216"}, "--max-value ", "1 to ");
  bad({"--catch-up", "yes"}, "--catch-up yes: ", "on, off");
  bad({"--log-level", "loud"}, "--log-level loud: ", "trace, debug, info, warn, error");
  bad({"--log-format", "xml"}, "--log-format xml: ", "logfmt, json");
  bad({"--id", "a/b"}, "--id a/b: ", "without spaces and slashes");
  bad({"--id", std::string(256, 'x')}, "--id ", "1 to 255");
  bad({"--sync", "always"}, "--sync always: ", "without --data-dir");
  bad({"--data-dir", "/tmp", "--sync", "sometimes"}, "--sync sometimes: ", "always, interval:MS or never");
  bad({"--data-dir", "/tmp", "--sync", "interval:0"}, "--sync interval:0: ", "1 to 3600000");
  bad({"--data-dir", "/tmp", "--sync", "interval:5s"}, "--sync interval:5s: ", "1 to 3600000");
  bad({"--data-dir", "/tmp", "--catch-up", "off"}, "--catch-up off: ", "returns with what it had");
  bad({"--max-memory", "1000"}, "--max-memory 1000: ", "from 1048576");
  bad({"--standalone", "--min-in-sync", "2"}, "--min-in-sync 2: ", "--standalone");
  bad({"--standalone", "--expect", "3"}, "--expect 3: ", "--standalone");
}

TEST_CASE("what is no flag") {
  bad({"--prot", "8001"}, "--prot: ", "the nearest is --port (kvd --help ");
  bad({"serve"}, "serve: there is no such command",
      "inspect, export, lock, elect, work, hosts-sync, get, put, del, ls, txn, add, watch, lease, queue, "
      "topic, config, cert, auth, zookeeper-acl, complete");
  bad({""}, "'': ", "no such command");
  bad({"--port"}, "--port: ", "give a value");
  bad({"--standalone=perhaps"}, "--standalone perhaps: ", "true, false");
}

TEST_CASE("a variable that is not set leaves an empty value, or none") {
  for (const char* flag : {"host",
                           "port",
                           "zookeeper",
                           "zookeeper-port",
                           "id",
                           "peer-port",
                           "advertise",
                           "data-dir",
                           "sync",
                           "catch-up",
                           "min-in-sync",
                           "expect",
                           "session-timeout",
                           "heartbeat",
                           "follower-lag",
                           "leader-silence",
                           "max-memory",
                           "max-value",
                           "names-pool",
                           "log-level",
                           "log-format",
                           "zookeeper-auth-file",
                           "zookeeper-acl"}) {
    const std::string name = std::string("--") + flag;
    bad({name, ""}, name + ": ", "the value is empty");
    bad({name + "="}, name + ": ", "the value is empty");
    bad({"--standalone", name + "=", "--port=8001"}, name + ": ", "the value is empty");
    bad({name, "--standalone"}, name + ": ", "give a value");
    bad({name, "-port", "8001"}, name + ": ", "give a value");
  }
  bad({"--standalone="}, "--standalone: ", "the value is empty");
  bad({"--data_dir", ""}, "--data-dir: ", "the value is empty");
  CHECK(good({"--data-dir=--odd"}).data.directory == "--odd");
  CHECK_FALSE(good({}, {{"KVD_DATA_DIR", ""}}).node.self.durable);
}

TEST_CASE("who this server is to ZooKeeper") {
  CHECK(good({}).zk.auth.file.empty());
  CHECK_FALSE(good({}).zk.all_protected);
  const Flags own = good({"--zookeeper-auth-file", "/etc/kvd/zookeeper"});
  CHECK(own.zk.auth.file == "/etc/kvd/zookeeper");
  CHECK(own.zk.auth.credentials.empty());  // no file is read here
  CHECK_FALSE(own.zk.all_protected);
  const Flags all =
      good({"--zookeeper-acl", "protected"}, {{"KVD_ZOOKEEPER_AUTH_FILE", "/etc/kvd/zookeeper"}});
  CHECK(all.zk.auth.file == "/etc/kvd/zookeeper");
  CHECK(all.zk.all_protected);
  CHECK_FALSE(good({"--zookeeper-acl", "open"}).zk.all_protected);
  bad({"--zookeeper-acl", "protected"}, "--zookeeper-acl protected: ", "--zookeeper-auth-file FILE");
  bad({"--zookeeper-acl", "closed"}, "--zookeeper-acl closed: ", "open, protected");
  bad({}, "KVD_ZOOKEEPER_ACL=protected: ", "--zookeeper-auth-file FILE", {{"KVD_ZOOKEEPER_ACL", "protected"}},
      EX_CONFIG);
  CHECK(good({"--standalone", "--zookeeper-acl", "protected"}).node.standalone);  // which has no ZooKeeper
}

TEST_CASE("of a flag that is given twice the last one counts") {
  CHECK(good({"--port", "8005", "--port", "8006"}).http.listen.port == 8006);
}

TEST_CASE("--help and --version") {
  auto version = parse({"--version"});
  REQUIRE_FALSE(version.has_value());
  CHECK(version.error().code == 0);
  CHECK(version.error().text == "kvd " KVD_VERSION "\n");
  for (const char* flag : {"--help", "-h", "-help"}) {
    auto help = parse({flag});
    REQUIRE_FALSE(help.has_value());
    CHECK(help.error().code == 0);
    for (const char* name : {"--zookeeper-port", "--leader-silence", "--standalone", "KVD_PEER_PORT"}) {
      CAPTURE(name);
      CHECK(help.error().text.find(name) != std::string::npos);
    }
  }
}

TEST_CASE("where the data goes, and when it is safe") {
  CHECK_FALSE(good({}).node.self.durable);
  Flags always = good({"--data-dir", "/var/lib/kvd"});
  CHECK(always.node.self.durable);
  CHECK(always.data.directory == "/var/lib/kvd");
  CHECK(always.data.sync == JournalOptions::Sync::kAlways);
  Flags interval = good({"--data-dir", "d", "--sync", "interval:250"});
  CHECK(interval.data.sync == JournalOptions::Sync::kInterval);
  CHECK(interval.data.interval == milliseconds(250));
  CHECK(good({"--data-dir", "d", "--sync", "never"}).data.sync == JournalOptions::Sync::kOff);
  CHECK(good({}).node.memory_max == static_cast<uint64_t>(INT64_MAX));
  CHECK(good({"--max-memory", "2000000"}).node.memory_max == 2'000'000);
}

TEST_CASE("sizes may have units") {
  CHECK(good({"--max-memory", "64M"}).node.memory_max == 64 << 20);
  CHECK(good({"--max-memory", "3G"}).node.memory_max == uint64_t{3} << 30);
  CHECK(good({"--max-value", "8K"}).http.identity.value_bytes_max == 8192);
  CHECK(good({"--max-value", "8K"}).node.value_bytes_max == 8192);
  for (const char* size : {"64m", "M", "64MB", "1.5G", "-64M", "9999999999G", "64 M"})
    bad({std::string("--max-memory=") + size}, "--max-memory " + std::string(size) + ": ", "64M or 1G");
}

TEST_CASE("variables that mean nothing are told with the nearest one that does") {
  const auto unknown =
      unknown_variables({"PATH", "KVD_PORT", "KVD_SERVERS", "KVD_PROT", "KVD_DATADIR", "KVD_FENCE"});
  REQUIRE(unknown.size() == 2);
  CHECK(unknown[0].name == "KVD_PROT");
  CHECK(unknown[0].nearest == "KVD_PORT");
  CHECK(unknown[1].nearest == "KVD_DATA_DIR");
  // What kvd queue work and kvd topic work tell their commands, which may be kvd's again.
  CHECK(unknown_variables({"KVD_QUEUE", "KVD_TOPIC", "KVD_SUBSCRIPTION", "KVD_MESSAGE_ID", "KVD_RECEIPT",
                           "KVD_ATTEMPT", "KVD_GROUP", "KVD_TYPE"})
            .empty());
}

TEST_CASE("which names requests may use") {
  using Names = std::vector<std::string>;
  CHECK(good({}).http.identity.hosts.names == Names{"127.0.0.1", "127.0.0.1"});
  const AllowedHosts some =
      good({"--advertise", "a.example", "--allow-host", "b.example,c.example"}).http.identity.hosts;
  CHECK(some.names == Names{"127.0.0.1", "a.example", "b.example", "c.example"});
  CHECK_FALSE(some.all);
  CHECK(good({"--allow-host", "*"}).http.identity.hosts.all);
  for (const char* wrong : {"b.example:80", "http://b.example", "a,", ",", "*,a", "a b"})
    bad({"--allow-host", wrong}, "--allow-host", "names without ports");
}
