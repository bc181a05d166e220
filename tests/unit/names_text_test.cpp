// What a name is, what its body and its znode hold, and the hosts file that names make: the pure part of the service of
// names. (What becomes of them in ZooKeeper is played in tests/services/names_test.cpp.)
#include <doctest/doctest.h>

#include <map>

#include "base/ip_address.hpp"
#include "core/services/names/hosts_text.hpp"
#include "core/services/names/name_entry.hpp"
#include "msg/name_rules.hpp"

using namespace kvd;

namespace {

std::string problem_of_body(const std::string& body) {
  const Result<NameEntry> entry = parse_name(body);
  return entry ? "" : entry.error().detail;
}

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("names: parts are labels of host names") {
  const std::string longest(63, 'a');
  for (const std::string& path :
       {std::string("web"), std::string("web/api/1"), std::string("a-b/0"), longest, std::string("x/0x7f")})
    CHECK(problem_of_name(path) == "");
  for (const std::string& path :
       {std::string("/web"), std::string("web/"), std::string("web//1"), std::string("-a"),
        std::string("a-/b"), std::string("a_b"), std::string("a.b"), longest + "a", std::string("a b"),
        std::string("\xc3\xa4")})
    CHECK(says(problem_of_name(path), "each part of a name has 1 to 63 characters"));
  CHECK(says(problem_of_name(""), "has to name an entry"));
  CHECK(says(problem_of_name("web/Api"), "lower case"));
  CHECK(says(problem_of_name("web/localhost"), "'localhost'"));
  std::string deep = "a";
  for (int i = 0; i < 126; ++i) deep += "/a";
  CHECK(problem_of_name(deep) == "");
  CHECK(says(problem_of_name(deep + "/a"), "253 bytes"));
}

TEST_CASE("names: none is taken for an address by resolvers") {
  for (const char* path : {"2/1", "7", "0x7f/1", "0x"}) CHECK(says(problem_of_name(path), "no number"));
  CHECK(problem_of_name("0xg/1") == "");
}

TEST_CASE("names: the host name is the path turned round") {
  CHECK(host_name_of("db") == "db");
  CHECK(host_name_of("web/api/1") == "1.api.web");
}

TEST_CASE("names: equal addresses are equal texts, and what is none is refused") {
  for (const auto& pair :
       std::map<std::string, std::string>{{"0.0.0.0", "0.0.0.0"},
                                          {"255.255.255.255", "255.255.255.255"},
                                          {"::", "::"},
                                          {"0:0:0:0:0:0:0:1", "::1"},
                                          {"FE80::A", "fe80::a"},
                                          {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
                                          {"0:0:1:0:0:0:1:0", "0:0:1::1:0"},
                                          {"::ffff:1.2.3.4", "::ffff:1.2.3.4"},
                                          {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"}}) {
    CAPTURE(pair.first);
    CHECK(canonical_ip(pair.first) == pair.second);
  }
  for (const char* text :
       {"",          ":",        ":::",     "1.2.3",         "1.2.3.4.5",         "01.2.3.4",  "1..2.3",
        "256.0.0.1", "1.2.3.4 ", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1.2.3.4::", "12345::",
        "::g",       "1:",       ":1",      "::%lo",         "10.0.0.0/8",        "localhost"}) {
    CAPTURE(text);
    CHECK_FALSE(canonical_ip(text));
  }
  CHECK_FALSE(canonical_ip(std::string("1.2.3.4\0x", 9)));
}

TEST_CASE("names: a body's members are optional and kept as they came") {
  CHECK(parse_name("") == NameEntry{});
  CHECK(parse_name(" {} ") == NameEntry{});
  const std::string body =
      R"( { "port" : 80, "meta" : { "a b" : [ 1.50, "}\"{ ," ], "n": 18446744073709551615 },
      "address" : "2001:DB8:0::5" } )";
  const Result<NameEntry> entry = parse_name(body);
  REQUIRE(entry.has_value());
  CHECK(entry->address == "2001:db8::5");
  CHECK(entry->port == 80);
  CHECK(entry->meta == R"({"a b":[1.50,"}\"{ ,"],"n":18446744073709551615})");
  CHECK_FALSE(entry->allocated);
  CHECK(parse_name(R"({"meta":{}})")->meta == "{}");
  CHECK(parse_name(R"({"\u006deta":{"x":{}},"port":0})")->meta == R"({"x":{}})");
}

TEST_CASE("names: what is wrong with a body is said") {
  CHECK(says(problem_of_body("{"), "no JSON"));
  CHECK(says(problem_of_body("[]"), "has to be a JSON object"));
  CHECK(says(problem_of_body(R"({"addres":"10.0.0.1"})"), "\"addres\" is unknown"));
  CHECK(says(problem_of_body(R"({"allocated":true})"), "\"allocated\" is unknown"));
  for (const char* address : {R"("10.0.0")", R"("10.0.0.256")", R"("host")", R"("")", "5", "null",
                              R"("::1%lo")", R"("10.0.0.1\u0000")", R"("10.0.0.1\tevil")"})
    CHECK(says(problem_of_body(std::string(R"({"address":)") + address + "}"), "IPv4 or IPv6"));
  for (const char* port : {"-1", "65536", "80.0", R"("80")", "null"})
    CHECK(says(problem_of_body(std::string(R"({"port":)") + port + "}"), "0 to 65535"));
  CHECK(says(problem_of_body(R"({"meta":[1]})"), "\"meta\" has to be a JSON object"));
  CHECK(says(problem_of_body(R"({"port":1,"port":2})"), "given twice"));
}

TEST_CASE("names: a znode's data is read as it was written") {
  for (const NameEntry& entry :
       {NameEntry{"10.0.0.5", 80, R"({"a":{"b":[1,2]}})", true}, NameEntry{"::1", std::nullopt, "", false},
        NameEntry{"10.0.0.5", 0, "{}", false}})
    CHECK(decode_name(encode_name(entry)) == entry);
  CHECK(encode_name({"10.0.0.5", 80, "{}", true}) ==
        R"({"address":"10.0.0.5","port":80,"allocated":true,"meta":{}})");
}

TEST_CASE("names: what others wrote is read with patience") {
  CHECK(decode_name(R"({"address":"10.0.0.5","weight":3,"meta":7})") ==
        NameEntry{"10.0.0.5", std::nullopt, "", false});
  for (const char* data : {"", "10.0.0.5", "{}", "[]", R"({"address":"x"})", R"({"port":80})"})
    CHECK_FALSE(decode_name(data).has_value());
  CHECK_FALSE(decode_name(R"({"address":"10.0.0.5","x":")" + std::string(2 * kNameBodyBytes, 'x') + "\"}")
                  .has_value());
}

TEST_CASE("names: a pool has neither its network's address nor the broadcast's") {
  const AddressPool small{0x0a000004, 30};
  CHECK(pool_size(small) == 2);
  CHECK(pool_address(small, 0) == "10.0.0.5");
  CHECK(pool_address(small, 1) == "10.0.0.6");
  const AddressPool large{0x0a000000, 8};
  CHECK(pool_size(large) == 16'777'214);
  CHECK(pool_address(large, 16'777'213) == "10.255.255.254");
}

TEST_CASE("hosts: a line each with the short name where it is the only one") {
  const std::string text = hosts_file(host_lines({{"web/api/1", "10.0.0.1"},
                                                  {"web/api/blue", "10.0.0.2"},
                                                  {"web/db-1", "10.0.0.3"},
                                                  {"shop/db-1", "2001:db8::4"},
                                                  {"cache", "10.0.0.5"},
                                                  {"old/cache", "10.0.0.6"},
                                                  {"web/0x7f", "10.0.0.7"}}));
  CHECK(text ==
        "10.0.0.5\tcache\n"
        "10.0.0.6\tcache.old\n"
        "2001:db8::4\tdb-1.shop\n"
        "10.0.0.7\t0x7f.web\n"
        "10.0.0.1\t1.api.web\n"
        "10.0.0.2\tblue.api.web blue\n"
        "10.0.0.3\tdb-1.web\n");
  CHECK(hosts_file(host_lines({})) == "");
}

TEST_CASE("hosts: the version is the text's and survives any reader of JSON") {
  CHECK(version_of("a") == version_of("a"));
  CHECK(version_of("a") != version_of("b"));
  for (int i = 0; i < 1000; ++i) {
    const uint64_t version = version_of(std::to_string(i));
    CHECK(version >= 1);
    CHECK(version < 1ull << 53);
  }
}
