// Users, tokens and policies between servers: what is beyond its bounds is no message. That all else survives the trip
// is shown by wire_test.
#include <doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "msg/limits.hpp"
#include "msg/wire.hpp"

namespace kvd::access_wire_test {
namespace {

bool passes(Operation what) {
  std::string frame;
  encode_frame(Forward{1, std::move(what), seconds(1)}, frame);
  return decode_body(frame.substr(4)).has_value();
}

PutPolicy policy(std::string name, size_t rules, size_t prefix) {
  const Rule rule{Resource::kKv, std::string(prefix, 'a'), true, false};
  return {std::move(name), Policy{std::vector<Rule>(rules, rule)}};
}

bool replaces(std::vector<PutPolicy> policies, std::string token, size_t digest = kTokenDigestBytes) {
  ReplaceAccess all{std::move(policies), {{"u", {}}}, {}};
  all.tokens.push_back({std::move(token), TokenRecord{"u", 7, std::string(digest, 'd'), 0, 0, ""}});
  return passes(Box(std::move(all)));
}

}  // namespace

TEST_CASE("a user, a token or a policy beyond its bounds is refused") {
  CHECK(passes(Box(policy("p", limits::kPolicyRules, limits::kKeyBytes))));
  CHECK_FALSE(passes(Box(policy("p", limits::kPolicyRules + 1, 1))));
  CHECK_FALSE(passes(Box(policy("p", 1, limits::kKeyBytes + 1))));
  CHECK_FALSE(passes(Box(policy(std::string(limits::kAccessNameBytes + 1, 'p'), 1, 1))));
  CHECK_FALSE(passes(Box(PutUser{"", {}})));
  CHECK_FALSE(passes(Box(CreateToken{"abc", "d", "u", 0, ""})));
  CHECK_FALSE(passes(DeleteAccess{AccessKind::kToken, "abc"}));
  CHECK_FALSE(passes(DeleteAccess{AccessKind::kUser, "a b"}));
  CHECK_FALSE(passes(ListAccess{AccessKind::kUser, "", "", 0}));
}

TEST_CASE("so it is where all of them come at once, and all of them together") {
  CHECK(replaces({policy("p", 1, 1)}, "abcdefgh"));
  CHECK_FALSE(replaces({policy("p", 1, 1)}, "abc"));
  CHECK_FALSE(replaces({policy("p", 1, 1)}, "abcdefgh", kTokenDigestBytes - 1));
  CHECK_FALSE(replaces({policy("a b", 1, 1)}, "abcdefgh"));
  const size_t fit = limits::kAccessAtOnceBytes / (limits::kPolicyRules * (limits::kKeyBytes + 8));
  const PutPolicy full = policy("p", limits::kPolicyRules, limits::kKeyBytes);
  CHECK(replaces(std::vector<PutPolicy>(fit - 1, full), "abcdefgh"));
  CHECK_FALSE(replaces(std::vector<PutPolicy>(fit + 2, full), "abcdefgh"));
}

}  // namespace kvd::access_wire_test
