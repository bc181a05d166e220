// The command lines of kvd lease: its actions, what times and ids may be, what excludes what, and that every refusal
// says what to give.
#include "client/lease_options.hpp"

#include <doctest.h>

#include "client_options_fixture.hpp"

using namespace kvd;
using namespace kvd::client;
using namespace kvd::client_options_test;

namespace {

template <class Options>
Options lease(std::vector<std::string> arguments, Variables variables = {}) {
  const auto command = good<LeaseCommand>("lease", std::move(arguments), std::move(variables));
  REQUIRE(std::holds_alternative<Options>(command));
  return std::get<Options>(command);
}

}  // namespace

TEST_CASE("an action is needed") {
  const char* all =
      "there are kvd lease grant, kvd lease renew, kvd lease show, kvd lease ls, kvd lease end, kvd lease "
      "hold";
  bad("lease", {}, "lease: ", all);
  bad("lease", {"gain"}, "lease gain: ", all);
  bad("lease", {"--keys", "show"}, "lease --keys: ", all);
  const auto help = parse("lease", {"--help"});
  REQUIRE_FALSE(help.has_value());
  CHECK(help.error().code == 0);
  CHECK(help.error().text.find("kvd lease hold TTL|--id ID ") != std::string::npos);
  CHECK(is_client_command("lease"));
  CHECK_FALSE(is_client_command("lease grant"));
}

TEST_CASE("a lease that is granted") {
  const auto plain = lease<LeaseGrantOptions>({"grant", "1000"}, {{"KVD_SERVERS", "b:2"}});
  CHECK(plain.ttl == seconds(1));
  CHECK(plain.name.empty());
  CHECK_FALSE(plain.json);
  CHECK(plain.access.servers == std::vector<Server>{Address{"b", 2}});
  CHECK(plain.access.timeout == seconds(10));
  const auto all =
      lease<LeaseGrantOptions>({"grant", "2592000000", "--name", "me", "--json", "--timeout", "5"});
  CHECK(all.ttl == seconds(30 * 86'400));
  CHECK(all.name == "me");
  CHECK(all.json);
  CHECK(all.access.timeout == milliseconds(5));
  for (const char* ttl : {"999", "2592000001", "10s", "", "1e4", "+2000"})
    bad("lease", {"grant", ttl}, "TTL", "milliseconds from 1000 to 2592000000");
  bad("lease", {"grant"}, "TTL: ", "milliseconds");
  bad("lease", {"grant", "5000", "6000"}, "6000: ", "not expected");
  bad("lease", {"grant", "5000", "--name", std::string(256, 'x')}, "--name", "1 to 255");
}

TEST_CASE("ids") {
  CHECK(lease<LeaseRenewOptions>({"renew", "7", "5"}).ids == std::vector<uint64_t>{7, 5});
  CHECK(lease<LeaseRenewOptions>({"renew", "7", "--json"}).json);
  CHECK(lease<LeaseEndOptions>({"end", "9223372036854775807"}).id == INT64_MAX);
  const auto show = lease<LeaseShowOptions>({"show", "7", "--keys", "--linear", "--min-rev", "3"});
  CHECK(show.id == 7);
  CHECK(show.keys);
  CHECK(show.terms.linear);
  CHECK(show.terms.min_revision == 3);
  CHECK_FALSE(show.json);
  for (const char* action : {"renew", "end", "show"}) {
    bad("lease", {action}, "ID: ", "give the id of a lease");
    for (const char* id : {"0", "x", "07", "9223372036854775808"})
      bad("lease", {action, id}, std::string("ID ") + id + ": ", "give the id of a lease");
  }
  bad("lease", {"renew", "7", ""}, "ID: ", "give the id of a lease");
  bad("lease", {"end", "7", "8"}, "8: ", "not expected");
  std::vector<std::string> many(1026, "7");
  many[0] = "renew";
  bad("lease", many, "7: ", "not expected");
  many.pop_back();
  CHECK(lease<LeaseRenewOptions>(many).ids.size() == 1024);
}

TEST_CASE("a list of leases") {
  CHECK(lease<LeaseListOptions>({"ls", "--json"}).json);
  CHECK(lease<LeaseListOptions>({"ls", "--linear"}).terms.linear);
  bad("lease", {"ls", "7"}, "7: ", "not expected");
}

TEST_CASE("a lease that is held") {
  const auto granted = good<LeaseHoldOptions>("lease", {"hold", "5000", "--", "run", "--id", "7"});
  CHECK(granted.ttl == seconds(5));
  CHECK(granted.id == 0);
  CHECK(granted.name == "box-17");
  CHECK(granted.grace == milliseconds(1500));
  CHECK(granted.command == std::vector<std::string>{"run", "--id", "7"});
  const auto taken = good<LeaseHoldOptions>("lease", {"hold", "--id", "7", "--grace", "0"});
  CHECK(taken.id == 7);
  CHECK(taken.ttl == Duration(0));
  CHECK(taken.grace == Duration(0));
  CHECK(taken.command.empty());
  bad("lease", {"hold"}, "TTL: ", "milliseconds");
  bad("lease", {"hold", "5"}, "TTL 5: ", "milliseconds");
  bad("lease", {"hold", "5000", "--id", "7"}, "--id 7: ", "not both");
  bad("lease", {"hold", "--id", "x"}, "--id x: ", "give the id of a lease");
  bad("lease", {"hold", "--id", "7", "--name", "me"}, "--name me: ", "not for one with --id");
}
