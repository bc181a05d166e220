// The command lines of the subcommands that are clients: what is taken, what is derived, and that every refusal names
// its flag, its remedy and the right exit code.
#include <doctest.h>
#include <sysexits.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "client_options_fixture.hpp"

using namespace kvd;
using namespace kvd::client;
using namespace kvd::client_options_test;

TEST_CASE("which subcommands are clients") {
  for (const char* name :
       {"lock", "elect", "work", "hosts-sync", "lease", "config", "queue", "topic", "cert", "auth"})
    CHECK(is_client_command(name));
  for (const char* name : {"", "inspect", "--host", "Lock", "sync", "config-sync", "config sync"})
    CHECK_FALSE(is_client_command(name));
}

TEST_CASE("a lock and what is taken for granted") {
  const auto options = good<HoldOptions>("lock", {"app/job", "--", "run", "--wait", "--", "x"});
  CHECK_FALSE(options.election);
  CHECK(options.servers == std::vector<Server>{Address{"127.0.0.1", 8001}});
  CHECK(options.path == "app/job");
  CHECK(options.name == "box-17");
  CHECK_FALSE(options.wait.has_value());
  CHECK(options.grace == milliseconds(1500));
  CHECK(options.command == std::vector<std::string>{"run", "--wait", "--", "x"});
}

TEST_CASE("a lock with every flag") {
  const auto options = good<HoldOptions>("lock", {"--servers", "a:1,[::1]:2", "--wait=0", "/app/job",
                                                  "--name", "me", "--grace", "5", "--", "run"});
  CHECK(options.servers == std::vector<Server>{Address{"a", 1}, Address{"::1", 2}});
  CHECK(options.path == "app/job");
  CHECK(options.name == "me");
  CHECK(options.wait == Duration(0));
  CHECK(options.grace == milliseconds(5));
}

TEST_CASE("an election") {
  const auto options = good<HoldOptions>("elect", {"app", "--", "run"});
  CHECK(options.election);
  CHECK(options.name == "box-17");
  CHECK_FALSE(options.again);
  const auto again = good<HoldOptions>("elect", {"app", "--again", "--candidate", "me", "--", "run"});
  CHECK(again.again);
  CHECK(again.name == "me");
}

TEST_CASE("a worker") {
  const auto options = good<WorkOptions>("work", {"--exec", "tr a-z A-Z"});
  CHECK(options.exec == "tr a-z A-Z");
  CHECK(options.name == "box-17");
  CHECK(options.parallel == 1);
  CHECK(options.grace == milliseconds(1500));
  CHECK(good<WorkOptions>("work", {"--exec", "x", "--name", "w", "--parallel", "64"}).parallel == 64);
}

TEST_CASE("a hosts file") {
  const auto options = good<HostsSyncOptions>("hosts-sync", {"--file", "/etc/hosts"});
  CHECK(options.file == "/etc/hosts");
  CHECK(options.zone.empty());
  CHECK(options.node == "box");
  CHECK_FALSE(options.once);
  const auto all =
      good<HostsSyncOptions>("hosts-sync", {"--file", "f", "--zone", "z", "--node", "n", "--once"});
  CHECK(all.zone == "z");
  CHECK(all.node == "n");
  CHECK(all.once);
}

TEST_CASE("a directory that is kept as the keys are") {
  const auto options = good<ConfigSyncOptions>("config", {"sync", "--prefix", "app/", "--to", "conf"});
  CHECK(options.servers == std::vector<Server>{Address{"127.0.0.1", 8001}});
  CHECK(options.prefix == "app/");
  CHECK(options.to == "conf");
  CHECK(options.node == "box");
  CHECK(options.exec.empty());
  const auto all = good<ConfigSyncOptions>(
      "config", {"sync", "--servers=b:2", "--prefix=a/", "--to=d", "--node=n", "--exec=x y"});
  CHECK(all.servers == std::vector<Server>{Address{"b", 2}});
  CHECK(all.node == "n");
  CHECK(all.exec == "x y");
  const auto status =
      good<ConfigStatusOptions>("config", {"status", "--prefix", "app/", "--json", "--timeout", "5"});
  CHECK(status.prefix == "app/");
  CHECK(status.json);
  CHECK(status.access.timeout == milliseconds(5));
  bad("config", {"sync", "--to", "d"}, "--prefix: ", "as in --prefix app/");
  bad("config", {"sync", "--prefix", "app", "--to", "d"}, "--prefix app: ", "end it with a slash");
  bad("config", {"sync", "--prefix", "app/"}, "--to: ", "give the directory");
  bad("config", {"sync", "--prefix", "app/", "--to", "d", "--node", "a b"}, "--node a b: ", "without spaces");
  bad("config", {"sync", "--prefix", std::string(1000, 'a') + "/", "--to", "d", "--node", "a234567890123456"},
      "--node a234567890123456: ", "shorter");
  bad("config", {"status", "--prefix", std::string(1023, 'a') + "/"}, "--prefix a", "fewer than 1024");
  bad("config", {"sync", "x", "--prefix", "app/", "--to", "d"}, "x: ", "not expected here");
}

TEST_CASE("a first word that needs a second one") {
  bad("config", {}, "config: ", "there are kvd config sync, kvd config status");
  bad("config", {"snyc", "--help"}, "config snyc: ", "there are kvd config sync, kvd config status");
  const auto help = parse("config", {"--help"});
  REQUIRE_FALSE(help.has_value());
  CHECK(help.error().code == 0);
  CHECK(help.error().text.find("kvd config status --prefix P") != std::string::npos);
}

TEST_CASE("servers from the environment and a flag that wins over it") {
  const Variables variables = {{"KVD_SERVERS", "b:2"}};
  CHECK(good<HoldOptions>("lock", {"a", "--", "x"}, variables).servers ==
        std::vector<Server>{Address{"b", 2}});
  CHECK(good<HoldOptions>("lock", {"a", "--servers", "c:3", "--", "x"}, variables).servers ==
        std::vector<Server>{Address{"c", 3}});
  CHECK(good<HoldOptions>("lock", {"a", "--", "x"}, {{"KVD_SERVERS", ""}}).servers.front().address.port ==
        8001);
  bad("lock", {"a", "--", "x"}, "KVD_SERVERS=b: ", "host:port", {{"KVD_SERVERS", "b"}}, EX_CONFIG);
}

TEST_CASE("a token in a file") {
  const std::string token = "kvd_abcdef27_" + std::string(43, 'x');
  const std::string path = "client_options_test." + std::to_string(::getpid());
  const auto write = [&](const std::string& content) { std::ofstream(path, std::ios::binary) << content; };
  const std::vector<std::string> command = {"a", "--servers", "a:1,unix:/b", "--token-file", path, "--", "x"};
  for (const char* end : {"", "\n", "\r\n"}) {
    write(token + end);
    const auto options = good<HoldOptions>("lock", command);
    for (const Server& server : options.servers) CHECK(server.token == token);
    CHECK(fields_of(options.servers[0]) == "Host: a:1\r\nAuthorization: Bearer " + token + "\r\n");
    CHECK(fields_of(options.servers[1]) == "Host: localhost\r\nAuthorization: Bearer " + token + "\r\n");
  }
  CHECK(good<HoldOptions>("lock", {"a", "--", "x"}, {{"KVD_TOKEN_FILE", path}}).servers.front().token ==
        token);
  CHECK(fields_of(good<HoldOptions>("lock", {"a", "--", "x"}).servers.front()) == "Host: 127.0.0.1:8001\r\n");
  for (const std::string& content : {std::string(), std::string("\n"), "x" + token, token + "\n" + token,
                                     token + " ", token.substr(1), token + "\r\nX: y"}) {
    write(content);
    bad("lock", command, "no token: " + path + ": ", "give a file with one line, kvd_ID_SECRET");
    const auto refused = parse("lock", command);
    CHECK(refused.error().text.find("xxx") == std::string::npos);
  }
  REQUIRE(::unlink(path.c_str()) == 0);
  bad("lock", command, "no token: " + path + ": ", "No such file");
  bad("lock", {"a", "--", "x"}, "no token: /", "Is a directory", {{"KVD_TOKEN_FILE", "/"}});
}

TEST_CASE("unusable command lines") {
  for (const char* name : {"lock", "elect"}) {
    bad(name, {"a"}, "no command: ", "--");
    bad(name, {"a", "--"}, "no command: ", "--");
    bad(name, {"--", "x"}, "PATH: ", "give one");
    bad(name, {"/", "--", "x"}, "PATH: ", "give one");
    bad(name, {"a", "b", "--", "x"}, "b: ", "not expected here");
    bad(name, {"a", "--grace", "-1", "--", "x"}, "--grace -1: ", "0 to 86400000");
    bad(name, {"a", "--servers", "b", "--", "x"}, "--servers b: ", "host:port");
    bad(name, {"a", "--servers", "b:1,", "--", "x"}, "--servers b:1,: ", "host:port");
    bad(name, {"a", "--colour", "--", "x"}, "--colour: ", "no such flag (");
  }
  bad("lock", {"a", "--wait", "x", "--", "x"}, "--wait x: ", "whole number");
  bad("lock", {"a", "--wait", "--", "x"}, "--wait: ", "give a value");
  bad("lock", {"a", "--name", std::string(256, 'a'), "--", "x"}, "--name: ", "1 to 255");
  bad("lock", {"a", "--again", "--", "x"}, "--again: ", "no such flag");
  bad("elect", {"a", "--candidate", std::string(256, 'a'), "--", "x"}, "--candidate: ", "1 to 255");
  bad("work", {}, "--exec: ", "give the command");
  bad("work", {"--exec", "x", "--parallel", "65"}, "--parallel 65: ", "1 to 64");
  bad("hosts-sync", {}, "--file: ", "give the hosts file");
  bad("hosts-sync", {"--file", "f", "--node", "a b"}, "--node a b: ", "without spaces");
}

TEST_CASE("a variable that is not set leaves an empty value, or none") {
  const auto all_bad = [](const char* command, const std::vector<std::string>& flags,
                          const std::vector<std::string>& behind) {
    for (const std::string& flag : flags) {
      const auto with = [&](std::vector<std::string> arguments) {
        arguments.insert(arguments.end(), behind.begin(), behind.end());
        return arguments;
      };
      bad(command, with({flag, ""}), flag + ": ", "the value is empty");
      bad(command, with({flag + "="}), flag + ": ", "the value is empty");
      bad(command, with({flag, "--grace", "5"}), flag + ": ", "give a value");
    }
  };
  all_bad("lock", {"--servers", "--wait", "--name", "--grace"}, {"a", "--", "x"});
  all_bad("elect", {"--servers", "--candidate", "--grace"}, {"a", "--", "x"});
  all_bad("work", {"--servers", "--exec", "--name", "--parallel", "--grace"}, {"--exec", "x"});
  all_bad("hosts-sync", {"--servers", "--file", "--zone", "--node"}, {"--file", "f"});
  bad("lock", {"", "--", "x"}, "PATH: ", "give one");
  // What stands behind -- is the command's.
  CHECK(good<HoldOptions>("lock", {"a", "--", "run", "--name", ""}).command.size() == 3);
}

TEST_CASE("a switch may be given its value") {
  CHECK(good<HostsSyncOptions>("hosts-sync", {"--file", "f", "--once=true"}).once);
  CHECK_FALSE(good<HostsSyncOptions>("hosts-sync", {"--file", "f", "--once=false"}).once);
  CHECK_FALSE(good<HoldOptions>("elect", {"a", "--again=false", "--", "x"}).again);
  bad("hosts-sync", {"--file", "f", "--once="}, "--once: ", "the value is empty");
  bad("hosts-sync", {"--file", "f", "--once=perhaps"}, "", "--once");
}

TEST_CASE("help of every subcommand tells its usage and its exit codes") {
  for (const CommandSpec& spec : client_specs()) {
    CAPTURE(spec.name);
    std::istringstream words(spec.name.substr(spec.name.find(' ')) + " --help");
    std::vector<std::string> all{std::istream_iterator<std::string>(words), {}};
    const auto end = parse(all.front(), {all.begin() + 1, all.end()});
    REQUIRE_FALSE(end.has_value());
    CHECK(end.error().code == 0);
    CHECK(end.error().text.find("Usage: " + spec.name + " ") != std::string::npos);
    CHECK(end.error().text.find("xit codes: ") != std::string::npos);
    const bool asks = !spec.name.starts_with("kvd cert ") && spec.name != "kvd auth root-token";
    CHECK(asks == (end.error().text.find("--servers SERVER,...") != std::string::npos));
  }
}
