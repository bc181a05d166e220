// What kvd keeps in ZooKeeper: readable by people, equal after the way there and back, and refused with a reason that
// names the member when it is not what kvd writes.
#include "msg/znodes.hpp"

#include <doctest.h>

namespace kvd::znodes_test {
namespace {

Register example() {
  Register content;
  content.cluster = "3b241101-e2bb-4255-8caf-4136c566a962";
  content.lineage = Lineage(1);
  content.epoch = Epoch(3);
  content.leader = Member{ServerId{"a:8001"}, Incarnation(0xfedcba9876543210)};
  content.cause = ElectionCause::kHandedOver;
  content.leader_znode = "server_0000000004";
  content.in_sync = {content.leader, Member{ServerId{"b:8001"}, Incarnation(2)}};
  content.min_in_sync = 2;
  content.change_id = 0xffffffffffffffff;
  content.serial = 9;
  content.epoch_id = 0x10;
  content.history = {PastEpoch{Epoch(1), 0xffffffffffffffff, 3}, PastEpoch{Epoch(2), 1, 8}};
  return content;
}

void replace(std::string& text, const std::string& what, const std::string& with) {
  size_t at = text.find(what);
  REQUIRE(at != std::string::npos);
  text.replace(at, what.size(), with);
}

}  // namespace

TEST_CASE("the register comes back as it was written") {
  auto back = decode_register(encode_register(example()));
  REQUIRE(back);
  CHECK(*back == example());
}

TEST_CASE("a register that lacks something or has another type is refused by name") {
  for (const char* name :
       {"cluster", "lineage", "epoch", "leader", "cause", "in_sync", "min_in_sync", "change"}) {
    std::string json = encode_register(example());
    replace(json, "\"" + std::string(name) + "\":", "\"other\":");
    auto back = decode_register(json);
    REQUIRE_FALSE(back);
    CHECK(back.error().detail.find(name) != std::string::npos);
  }
  std::string json = encode_register(example());
  replace(json, "\"epoch\":3", "\"epoch\":\"3\"");
  CHECK_FALSE(decode_register(json));
  CHECK_FALSE(decode_register(""));
  CHECK_FALSE(decode_register("[]"));
  CHECK_FALSE(decode_register("{"));
}

TEST_CASE("a register of the first version, which remembered nothing of the ones before it, is read") {
  std::string json = encode_register(example());
  json = json.substr(0, json.find(",\"serial\"")) + "}";
  const auto back = decode_register(json);
  REQUIRE(back);
  CHECK(back->epoch == Epoch(3));
  CHECK(back->serial == 0);
  CHECK(back->history.empty());
}

TEST_CASE("what a register remembers has to be of its form") {
  for (const char* wrong : {"\"1/2\"", "\"1/x/3\"", "\"/1/2\"", "\"1/1/\"", "1", "\"1/1/2/3\""}) {
    std::string json = encode_register(example());
    const size_t from = json.find("\"history\":[") + 11;
    json.replace(from, json.find(']', from) - from, wrong);
    CAPTURE(json);
    CHECK_FALSE(decode_register(json));
  }
}

TEST_CASE("a registration comes back, with what its server remembers and holds") {
  Registration one{
      ServerInfo{Member{ServerId{"a"}, Incarnation(5)}, Address{"a", 8001}, Address{"a", 18001}, true},
      example(), Claim{kNoVersion, example(), LogPosition{Epoch(3), Revision(7)}, Revision(6), 0xff, true}};
  auto back = decode_registration(encode_registration(one));
  REQUIRE(back);
  CHECK(*back == one);
  one.claim->found = 7;
  one.claim->proposed.reset();
  back = decode_registration(encode_registration(one));
  REQUIRE(back);
  CHECK(*back == one);
  one.claim.reset();
  one.remembers.reset();
  back = decode_registration(encode_registration(one));
  REQUIRE(back);
  CHECK(*back == one);
  CHECK(decode_server_info(encode_registration(one)));
  CHECK_FALSE(decode_registration("{\"id\":\"a\"}"));
}

TEST_CASE("a server's description comes back, and a port of 0 does not") {
  ServerInfo info{Member{ServerId{"a \"quoted\" id"}, Incarnation(5)}, Address{"::1", 8001},
                  Address{"a", 18001}};
  auto back = decode_server_info(encode_server_info(info));
  REQUIRE(back);
  CHECK(*back == info);
  std::string json = encode_server_info(info);
  replace(json, "a:18001", "a:0");
  CHECK_FALSE(decode_server_info(json));
}

TEST_CASE("addresses, with brackets around IPv6") {
  CHECK(format_address(Address{"::1", 2181}) == "[::1]:2181");
  CHECK(format_address(Address{"host", 1}) == "host:1");
  for (const char* good : {"[::1]:2181", "host:1", "10.0.0.1:65535"}) {
    auto address = parse_address(good);
    REQUIRE(address);
    CHECK(format_address(*address) == good);
  }
  for (const char* bad : {"", "host", "host:", ":1", "host:0", "host:65536", "host:x", "[::1]", "[::1:2"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_address(bad));
  }
}

}  // namespace kvd::znodes_test
