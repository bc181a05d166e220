// The command lines of kvd auth: names of three words, what names, identities, times and rights may be, and that every
// refusal says what to give.
#include "client/auth_options.hpp"

#include <doctest.h>

#include "client_options_fixture.hpp"
#include "msg/limits.hpp"

using namespace kvd;
using namespace kvd::client;
using namespace kvd::client_options_test;

namespace {

template <class Options>
Options auth(std::vector<std::string> arguments, Variables variables = {}) {
  const auto command = good<AuthCommand>("auth", std::move(arguments), std::move(variables));
  REQUIRE(std::holds_alternative<Options>(command));
  return std::get<Options>(command);
}

}  // namespace

TEST_CASE("the second and the third word") {
  bad("auth", {}, "auth: ", "there are kvd auth policy put, kvd auth policy get");
  bad("auth", {"polcy", "put"}, "auth polcy: ", "kvd auth whoami, kvd auth test, kvd auth root-token");
  bad("auth", {"policy"}, "auth policy: ",
      "there are kvd auth policy put, kvd auth policy get, kvd auth policy ls, kvd auth policy rm");
  bad("auth", {"token", "put", "x"},
      "auth token put: ", "there are kvd auth token create, kvd auth token ls, kvd auth token rm");
  for (const std::vector<std::string>& words : {std::vector<std::string>{"--help"}, {"user", "--help"}}) {
    const auto help = parse("auth", words);
    REQUIRE_FALSE(help.has_value());
    CHECK(help.error().code == 0);
    CHECK(help.error().text.find("kvd auth user put NAME") != std::string::npos);
  }
  CHECK(is_client_command("auth"));
}

TEST_CASE("policies") {
  const auto put = auth<PolicyPutOptions>({"policy", "put", "app"}, {{"KVD_SERVERS", "b:2"}});
  CHECK(put.name == "app");
  CHECK(put.document.kind == InputSource::Kind::kStandardInput);
  CHECK(put.access.servers == std::vector<Server>{Address{"b", 2}});
  CHECK(auth<PolicyPutOptions>({"policy", "put", "app", "-"}).document.kind ==
        InputSource::Kind::kStandardInput);
  const auto file = auth<PolicyPutOptions>({"policy", "put", "app", "p.json"}).document;
  CHECK(file.kind == InputSource::Kind::kFile);
  CHECK(file.text == "p.json");
  CHECK(auth<PolicyGetOptions>({"policy", "get", "a.b_c-1"}).name == "a.b_c-1");
  CHECK(auth<AccessListOptions>({"policy", "ls", "--json"}).json);
  CHECK(auth<AccessRemoveOptions>({"policy", "rm", "app"}).kind == AccessKind::kPolicy);
  for (const char* action : {"put", "get", "rm"}) {
    for (const std::string& name :
         {std::string(), std::string("a/b"), std::string("a b"), std::string(65, 'a')})
      bad("auth", {"policy", action, name}, "NAME: ", "a name here has 1 to 64");
    bad("auth", {"policy", action}, "NAME: ", "a name here has 1 to 64");
  }
  bad("auth", {"policy", "put", "app", ""}, "FILE: ", "the name is empty");
  bad("auth", {"policy", "ls", "app"}, "app: ", "not expected");
}

TEST_CASE("users") {
  const auto put = auth<UserPutOptions>({"user", "put", "billing", "--policy", "app", "--policy", "more",
                                         "--identity", "uri:spiffe://corp/a,b", "--identity", "uid:1000"});
  CHECK(put.name == "billing");
  CHECK(put.user.policies == std::vector<std::string>{"app", "more"});
  CHECK(put.user.identities == std::vector<std::string>{"uri:spiffe://corp/a,b", "uid:1000"});
  CHECK(auth<UserPutOptions>({"user", "put", "billing"}).user == UserAccount());
  CHECK(auth<UserGetOptions>({"user", "get", "billing", "--json"}).json);
  CHECK(auth<AccessListOptions>({"user", "ls"}).kind == AccessKind::kUser);
  CHECK(auth<AccessRemoveOptions>({"user", "rm", "billing"}).kind == AccessKind::kUser);
  bad("auth", {"user", "put", "billing", "--policy", "a,b"}, "--policy: ", "a name here has 1 to 64");
  bad("auth", {"user", "put", "billing", "--identity", "billing"}, "--identity: ", "an identity is uri:URI");
  bad("auth", {"user", "put", "billing", "--identity", "uid:0"}, "--identity: ", "root already");
}

TEST_CASE("tokens") {
  const auto plain = auth<TokenCreateOptions>({"token", "create", "billing"});
  CHECK(plain.user == "billing");
  CHECK(plain.ttl == Duration(0));
  CHECK(plain.note.empty());
  const std::pair<const char*, Duration> spans[] = {{"1s", seconds(1)},
                                                    {"90m", seconds(5'400)},
                                                    {"36h", seconds(129'600)},
                                                    {"90d", seconds(7'776'000)},
                                                    {"3650d", milliseconds(limits::kTtlMsMax)}};
  for (const auto& [text, ttl] : spans)
    CHECK(auth<TokenCreateOptions>({"token", "create", "billing", "--ttl", text}).ttl == ttl);
  for (const char* text : {"0d", "3651d", "90", "d", "-1d", "1.5h", "1w", "01d", "9223372036854775807d"})
    bad("auth", {"token", "create", "billing", "--ttl", text}, std::string("--ttl ") + text + ": ",
        "as in 90d");
  CHECK(
      auth<TokenCreateOptions>({"token", "create", "billing", "--note", std::string(255, 'x')}).note.size() ==
      255);
  bad("auth", {"token", "create", "billing", "--note", std::string(256, 'x')},
      "--note: ", "at most 255 bytes");
  bad("auth", {"token", "create", "billing", "--note", "\xff"}, "--note: ", "UTF-8");
  bad("auth", {"token", "create"}, "USER: ", "a name here has 1 to 64");
  CHECK(auth<AccessRemoveOptions>({"token", "rm", "abcdef27"}).kind == AccessKind::kToken);
  for (const char* id : {"", "abcdefgh1", "abcdefg1", "ABCDEFGH"})
    bad("auth", {"token", "rm", id}, "ID: ", "as kvd auth token ls prints it");
}

TEST_CASE("who may do what") {
  CHECK(auth<WhoAmIOptions>({"whoami", "--json"}).json);
  const auto test = auth<AccessTestOptions>({"test", "billing", "write", "kv", "app/x"});
  CHECK(test.user == "billing");
  CHECK(test.right == Right::kWrite);
  CHECK(test.resource == Resource::kKv);
  CHECK(test.path == "app/x");
  CHECK(auth<AccessTestOptions>({"test", "billing", "read", "cluster"}).path.empty());
  bad("auth", {"test", "billing"}, "the right: ", "give read or write");
  bad("auth", {"test", "billing", "change", "kv"}, "the right: ", "give read or write");
  bad("auth", {"test", "billing", "read"}, "RESOURCE: ", "give one of kv, fences");
  bad("auth", {"test", "billing", "read", "keys"}, "RESOURCE: ", "cluster, metrics, snapshot, auth");
  bad("auth", {"test", "billing", "read", "cluster", "x"}, "PATH: ", "cluster has no paths");
}

TEST_CASE("a root token") {
  CHECK(good<RootTokenOptions>("auth", {"root-token", "root"}).file == "root");
  bad("auth", {"root-token"}, "FILE: ", "a file that is not there yet");
  bad("auth", {"root-token", "root", "--servers", "a:1"}, "--servers: ", "no such flag");
}
