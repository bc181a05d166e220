// The command lines of the store's commands: where values come from, what excludes what, and that a number may be
// negative.
#include "client/store_options.hpp"

#include <doctest.h>

#include "client_options_fixture.hpp"

using namespace kvd;
using namespace kvd::client;
using namespace kvd::client_options_test;

namespace {

template <class Options>
Options store(const std::string& name, std::vector<std::string> arguments, Variables variables = {}) {
  const auto command = good<StoreCommand>(name, std::move(arguments), std::move(variables));
  REQUIRE(std::holds_alternative<Options>(command));
  return std::get<Options>(command);
}

}  // namespace

TEST_CASE("a key and what is taken for granted") {
  const auto get = store<GetOptions>("get", {"/app//a b"});
  CHECK(get.key == "/app//a b");
  CHECK(get.access.servers == std::vector<Server>{Address{"127.0.0.1", 8001}});
  CHECK(get.access.timeout == seconds(10));
  CHECK_FALSE(get.json);
  CHECK_FALSE(get.terms.linear);
  CHECK(get.terms.min_revision == 0);
  const auto all = store<GetOptions>("get", {"--json", "a", "--linear", "--min-rev", "7", "--timeout", "5"},
                                     {{"KVD_SERVERS", "b:2,c:3"}});
  CHECK(all.access.servers == std::vector<Server>{Address{"b", 2}, Address{"c", 3}});
  CHECK(all.access.timeout == milliseconds(5));
  CHECK(all.json);
  CHECK(all.terms.linear);
  CHECK(all.terms.min_revision == 7);
}

TEST_CASE("where a value comes from") {
  using Kind = InputSource::Kind;
  const auto value = [](std::vector<std::string> arguments) {
    return store<PutOptions>("put", std::move(arguments)).value;
  };
  CHECK(value({"a"}).kind == Kind::kStandardInput);
  CHECK(value({"a", "-"}).kind == Kind::kStandardInput);
  CHECK(value({"a", ""}).kind == Kind::kText);
  CHECK(value({"a", ""}).text.empty());
  CHECK(value({"a", "x@y"}).text == "x@y");
  CHECK(value({"--", "-a", "-1"}).text == "-1");
  CHECK(value({"a", "@-"}).kind == Kind::kFile);
  CHECK(value({"a", "@-"}).text == "-");
  bad("put", {"a", "@"}, "@: ", "file's name");
  bad("put", {"a", "-1"}, "-1: ", "no such flag");
  const auto body = [](std::vector<std::string> arguments) {
    return store<TxnOptions>("txn", std::move(arguments)).body;
  };
  CHECK(body({}).kind == Kind::kStandardInput);
  CHECK(body({"-"}).kind == Kind::kStandardInput);
  CHECK(body({"@f"}).kind == Kind::kFile);
  CHECK(body({"@f"}).text == "@f");
  bad("txn", {""}, "FILE: ", "empty");
}

TEST_CASE("what a write depends on") {
  const auto put = store<PutOptions>("put", {"a", "x", "--if-rev", "5", "--fence", "a:b:34", "--json"});
  CHECK(put.terms.if_revision == 5);
  CHECK_FALSE(put.terms.if_absent);
  CHECK(put.terms.fence == "a:b:34");
  CHECK(put.json);
  CHECK(store<PutOptions>("put", {"a", "--if-absent"}).terms.if_absent);
  CHECK(store<TxnOptions>("txn", {"--fence", "a:1"}).terms.fence == "a:1");
  bad("put", {"a", "--if-rev", "5", "--if-absent"}, "--if-absent", "not both");
  for (const char* revision : {"0", "-1", "x", "9223372036854775808"})
    bad("put", {"a", "--if-rev", revision}, "--if-rev ", "whole number from 1");
  for (const std::string fence : {"a", "a:", ":1", "a:0", "a:-1", "a:01", "a:9223372036854775808"})
    bad("del", {"a", "--fence", fence}, "--fence " + fence + ": ", "RESOURCE:TOKEN");
  CHECK(store<AddOptions>("add", {"a", "--fence", std::string(255, 'r') + ":1"}).terms.fence.size() == 257);
  bad("add", {"a", "--fence", std::string(256, 'r') + ":1"}, "--fence r", "RESOURCE:TOKEN");
}

TEST_CASE("one key or all with a prefix") {
  CHECK(store<DelOptions>("del", {"a", "--if-rev", "3"}).key == "a");
  const auto all = store<DelOptions>("del", {"--prefix", "a/"});
  CHECK(all.key.empty());
  CHECK(all.prefix == "a/");
  bad("del", {}, "KEY: ", "1 to 1024");
  bad("del", {"--prefix", ""}, "--prefix: ", "the value is empty");
  bad("del", {"a", "--prefix", "b"}, "--prefix b: ", "not both");
  bad("del", {"--prefix", "b", "--if-rev", "3"}, "--if-rev 3: ", "one KEY");
}

TEST_CASE("a listing") {
  const auto list = store<ListOptions>("ls", {});
  CHECK(list.prefix.empty());
  CHECK_FALSE(list.values);
  CHECK_FALSE(list.nul);
  const auto all = store<ListOptions>("ls", {"a", "-0", "--values", "--json", "--linear"});
  CHECK(all.prefix == "a");
  CHECK(all.values);
  CHECK(all.json);
  CHECK(all.nul);
  CHECK(all.terms.linear);
  bad("ls", {std::string(1025, 'a')}, "PREFIX: ", "1024");
}

TEST_CASE("what is added, also less than nothing") {
  CHECK(store<AddOptions>("add", {"a"}).amount == 1);
  CHECK(store<AddOptions>("add", {"a", "5"}).amount == 5);
  CHECK(store<AddOptions>("add", {"a", "-3", "--timeout", "5"}).amount == -3);
  CHECK(store<AddOptions>("add", {"--timeout", "5", "--", "-a", "-3"}).key == "-a");
  CHECK(store<AddOptions>("add", {"a", "-9223372036854775808"}).amount == INT64_MIN);
  for (const char* amount : {"", "x", "1.5", "+1", "-01", "-3x", "9223372036854775808"})
    bad("add", {"a", amount}, "N: ", "whole number");
  bad("add", {"a", "-x"}, "-x: ", "no such flag");
  bad("add", {"a", "1", "2"}, "2: ", "not expected here");
}

TEST_CASE("keys that no server takes are refused here") {
  for (const char* name : {"get", "put", "add"}) {
    bad(name, {}, "KEY: ", "1 to 1024");
    bad(name, {""}, "KEY: ", "1 to 1024");
    bad(name, {std::string(1025, 'a')}, "KEY: ", "1 to 1024");
    bad(name, {"a", "--timeout", "0"}, "--timeout 0: ", "1 to 600000");
  }
}

TEST_CASE("what is watched") {
  const auto one = good<WatchOptions>("watch", {"a b"});
  CHECK(one.servers == std::vector<Server>{Address{"127.0.0.1", 8001}});
  CHECK(one.key == "a b");
  CHECK(one.prefix.empty());
  CHECK_FALSE(one.since);
  CHECK_FALSE(one.state);
  CHECK_FALSE(one.linear);
  CHECK_FALSE(one.values);
  CHECK_FALSE(one.json);
  CHECK_FALSE(one.nul);
  const auto many = good<WatchOptions>(
      "watch", {"--prefix", "a/", "--since", "0", "--state", "--linear", "--values", "--json", "-0"},
      {{"KVD_SERVERS", "b:2,c:3"}});
  CHECK(many.servers == std::vector<Server>{Address{"b", 2}, Address{"c", 3}});
  CHECK(many.key.empty());
  CHECK(many.prefix == "a/");
  CHECK(many.since == 0);
  CHECK(many.state);
  CHECK(many.linear);
  CHECK(many.values);
  CHECK(many.json);
  CHECK(many.nul);
  const auto all = good<WatchOptions>("watch", {});
  CHECK((all.key.empty() && all.prefix.empty()));
  CHECK(good<WatchOptions>("watch", {"--", "-a"}).key == "-a");
  bad("watch", {""}, "KEY: ", "1 to 1024 bytes");
  bad("watch", {std::string(1025, 'a')}, "KEY: ", "1 to 1024 bytes");
  bad("watch", {"--prefix", std::string(1025, 'a')}, "--prefix: ", "1 to 1024 bytes");
  bad("watch", {"a", "--prefix", "b"}, "--prefix", "not both");
  bad("watch", {"a", "b"}, "", "b");
  bad("watch", {"a", "--since", "-1"}, "--since ", "whole number from 0");
  bad("watch", {"a", "--timeout", "5"}, "--timeout", "no such flag");
}
