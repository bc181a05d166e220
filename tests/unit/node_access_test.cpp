// Rights at a node's only door: every call is judged there, whoever brings it, and one that says nothing of who asks is
// anonymous'.
#include <doctest.h>

#include <memory>
#include <string>
#include <utility>

#include "core/node.hpp"
#include "support/store_client.hpp"

namespace kvd::node_access_test {
namespace {

std::shared_ptr<const Caller> caller(const std::string& user) {
  return std::make_shared<const Caller>(Caller{user, "dns:" + user});
}

// A standalone node, with a user "u" who may do what `rules` say.
struct Single {
  explicit Single(AuthMode mode, std::vector<Rule> rules = {}) : node(config(mode), 1, &trace) {
    node.pump(now);
    ask(Box(PutPolicy{"p", Policy{std::move(rules)}}), caller("root"));
    ask(Box(PutUser{"u", UserAccount{{"p"}, {"dns:u"}}}), caller("root"));
  }

  static NodeConfig config(AuthMode mode) {
    NodeConfig config;
    config.self =
        ServerInfo{Member{ServerId{"a:1"}, Incarnation(1)}, Address{"a", 8001}, Address{"a", 18001}};
    config.standalone = true;
    config.auth = mode;
    return config;
  }

  Answer ask(Operation operation, std::shared_ptr<const Caller> who, const std::string& key = "") {
    StoreCall call;
    call.operation = std::move(operation);
    call.idempotency_key = key;
    Call whole{RequestId(++requests), std::move(call)};
    whole.caller = std::move(who);
    node.push(std::move(whole));
    node.pump(now);
    std::optional<Answer> answer;
    for (NodeEffect& effect : node.take_effects()) {
      if (auto* changed = std::get_if<AccessChanged>(&effect)) table = changed->table;
      if (const auto* line = std::get_if<LogLine>(&effect))
        warnings += line->message == "would be refused with --auth on";
      if (auto reply = answer_of_store(effect)) answer = std::move(reply->answer);
    }
    REQUIRE(answer.has_value());
    return std::move(*answer);
  }
  bool refuses(Operation operation, std::shared_ptr<const Caller> who, ErrorCode code) {
    const Answer answer = ask(std::move(operation), std::move(who));
    const auto* failed = std::get_if<Failed>(&answer);
    return failed != nullptr && failed->code == code;
  }

  Trace trace;
  Node node;
  Instant now{};
  uint64_t requests = 0;
  int warnings = 0;
  AccessTablePointer table;
};

PutKey put(const std::string& key) { return PutKey{key, Bytes("v"), {}, {}}; }
Rule on_keys(std::string prefix) { return {Resource::kKv, std::move(prefix), true, true}; }

}  // namespace

TEST_CASE("node: who shows nothing may nothing, and a user what is granted to him") {
  Single one(AuthMode::kOn, {on_keys("app/")});
  CHECK(one.refuses(put("app/x"), nullptr, ErrorCode::kUnauthenticated));
  CHECK(one.refuses(ReadKey{"app/x"}, nullptr, ErrorCode::kUnauthenticated));
  CHECK(one.refuses(QueryStatus{}, nullptr, ErrorCode::kUnauthenticated));
  CHECK(std::holds_alternative<Box<Status>>(one.ask(QueryStatus{QueryStatus::Use::kHealth}, nullptr)));
  CHECK(std::holds_alternative<KeyWritten>(one.ask(put("app/x"), caller("u"))));
  CHECK(one.refuses(put("b"), caller("u"), ErrorCode::kForbidden));
  CHECK(one.refuses(put("app/x"), caller("nobody"), ErrorCode::kUnauthenticated));
  CHECK(std::holds_alternative<KeyWritten>(one.ask(put("b"), caller("root"))));
  const Answer status = one.ask(QueryStatus{}, caller("root"));
  CHECK(std::get<Box<Status>>(status)->counters.unauthenticated == 4);
  CHECK(std::get<Box<Status>>(status)->counters.forbidden == 1);
}

TEST_CASE("node: with warn all may as without rights, and the log tells; but rights themselves are guarded") {
  for (const AuthMode mode : {AuthMode::kWarn, AuthMode::kOff}) {
    Single one(mode, {on_keys("app/")});
    CHECK(std::holds_alternative<KeyWritten>(one.ask(put("b"), caller("u"))));
    CHECK(std::holds_alternative<KeyWritten>(one.ask(put("b"), nullptr)));
    CHECK(one.warnings == (mode == AuthMode::kWarn ? 2 : 0));
    CHECK(one.refuses(Box(PutPolicy{"q", {}}), nullptr, ErrorCode::kUnauthenticated));
    CHECK(one.refuses(Box(PutPolicy{"q", {}}), caller("u"), ErrorCode::kForbidden));
    CHECK(one.refuses(Box(CreateToken{"aaaaaaaa", "d", "u", 0, ""}), nullptr, ErrorCode::kUnauthenticated));
    CHECK(one.refuses(DeleteAccess{AccessKind::kUser, "u"}, nullptr, ErrorCode::kUnauthenticated));
    CHECK(one.refuses(ListAccess{AccessKind::kUser, "", "", 10}, nullptr, ErrorCode::kUnauthenticated));
  }
}

TEST_CASE("node: an answer that is remembered is its user's alone") {
  Single one(AuthMode::kOn, {on_keys("")});
  one.ask(Box(PutUser{"v", UserAccount{{"p"}, {"dns:v"}}}), caller("root"));
  const Answer first = one.ask(AddNumber{"n", 1, {}}, caller("u"), "key");
  CHECK(std::get<NumberIs>(first).value == 1);
  const Answer again = one.ask(AddNumber{"n", 1, {}}, caller("u"), "key");
  CHECK(std::get<NumberIs>(again).value == 1);
  const Answer others = one.ask(AddNumber{"n", 1, {}}, caller("v"), "key");
  CHECK(std::get<NumberIs>(others).value == 2);
}

TEST_CASE("node: the shell is told of what changed, and of nothing else") {
  Single one(AuthMode::kOn, {on_keys("app/")});
  REQUIRE(one.table != nullptr);
  CHECK(one.table->find("u")->policies.size() == 1);
  one.table.reset();
  one.ask(put("app/x"), caller("u"));
  CHECK(one.table == nullptr);
  one.ask(DeleteAccess{AccessKind::kUser, "u"}, caller("root"));
  REQUIRE(one.table != nullptr);
  CHECK(one.table->find("u") == nullptr);
  CHECK(one.refuses(put("app/x"), caller("u"), ErrorCode::kUnauthenticated));
}

}  // namespace kvd::node_access_test
