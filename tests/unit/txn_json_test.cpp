// The JSON of a transaction: each condition and operation, and that a refusal names the place.
// Standalone: no sockets, no node.
#include "shell/http/txn_json.hpp"

#include <doctest.h>

#include <string>

#include "msg/limits.hpp"

namespace kvd::txn_json_test {
namespace {

constexpr size_t kLongestValue = 16;
using Of = TxnCondition::Of;
using Is = TxnCondition::Is;
using Kind = TxnOp::Kind;

std::string refusal_of(std::string_view json) {
  const auto parsed = parse_transaction(json, kLongestValue);
  if (parsed) return "";
  return (parsed.error().too_large ? "413 " : "400 ") + parsed.error().detail;
}

TxnCondition condition(const std::string& members) {
  const auto parsed = parse_transaction(
      R"({"if":[{"key":"k",)" + members + R"(}],"then":[{"get":{"key":"k"}}]})", kLongestValue);
  CAPTURE(members);
  REQUIRE(parsed);
  REQUIRE(parsed->conditions.size() == 1);
  CHECK(parsed->conditions[0].key == "k");
  return parsed->conditions[0];
}

std::string list_of(size_t count, const std::string& item) {
  std::string list = "[";
  for (size_t i = 0; i < count; ++i) list += (i == 0 ? "" : ",") + item;
  return list + "]";
}

}  // namespace

TEST_CASE("txn json: each condition") {
  CHECK(condition(R"("revision":41)").of == Of::kRevision);
  CHECK(condition(R"("revision":41)").number == 41);
  CHECK(condition(R"("revision":41)").is == Is::kEqual);
  CHECK(condition(R"("version":3,"op":">")").of == Of::kVersion);
  CHECK(condition(R"("version":3,"op":">")").is == Is::kGreater);
  CHECK(condition(R"("op":"<","version":3)").is == Is::kLess);
  CHECK(condition(R"("value":"x","op":"!=")").is == Is::kNotEqual);
  CHECK(condition(R"("value":"x","op":"=")").value.view() == "x");
  CHECK(condition(R"("value_b64":"/w==")").value.view() == "\xff");
  CHECK(condition(R"("value":"")").of == Of::kValue);
  CHECK(condition(R"("value":"-12","op":"<")").value.view() == "-12");
  CHECK(condition(R"("exists":true)").of == Of::kExists);
  CHECK(condition(R"("exists":true)").number == 1);
  CHECK(condition(R"("exists":false)").number == 0);
}

TEST_CASE("txn json: each operation, in order, in both branches") {
  const auto all = parse_transaction(
      R"({"then":[{"put":{"key":"a","value":"1"}},{"delete":{"key_b64":"/w=="}},{"add":{"key":"n","by":-5}}],)"
      R"("else":[{"append":{"value_b64":"/w==","key":"log"}},{"get":{"key":"a"}}]})",
      kLongestValue);
  REQUIRE(all);
  CHECK(all->conditions.empty());
  REQUIRE(all->then_ops.size() == 3);
  CHECK(all->then_ops[0].kind == Kind::kPut);
  CHECK(all->then_ops[0].value.view() == "1");
  CHECK(all->then_ops[1].kind == Kind::kDelete);
  CHECK(all->then_ops[1].key == "\xff");
  CHECK(all->then_ops[2].kind == Kind::kAdd);
  CHECK(all->then_ops[2].by == -5);
  REQUIRE(all->else_ops.size() == 2);
  CHECK(all->else_ops[0].kind == Kind::kAppend);
  CHECK(all->else_ops[0].value.view() == "\xff");
  CHECK(all->else_ops[1].kind == Kind::kGet);
  CHECK(all->else_ops[1].key == "a");
}

TEST_CASE("txn json: terms of what is put and touched, and a condition on a lease") {
  const auto all = parse_transaction(
      R"({"if":[{"lease":41}],"then":[{"put":{"key":"a","value":"1","ttl":100}},)"
      R"({"put":{"key":"b","ttl":"keep","value":"1"}},{"put":{"key":"c","value":"1","lease":7}},)"
      R"({"touch":{"key":"a","ttl":315360000000}},{"touch":{"lease":8,"key":"b"}}]})",
      kLongestValue);
  REQUIRE(all);
  REQUIRE(all->conditions.size() == 1);
  CHECK(all->conditions[0].of == Of::kLease);
  CHECK(all->conditions[0].number == 41);
  REQUIRE(all->then_ops.size() == 5);
  const Term terms[] = {{Term::Kind::kTime, 100},
                        {Term::Kind::kKeep, 0},
                        {Term::Kind::kLease, 7},
                        {Term::Kind::kTime, 315'360'000'000},
                        {Term::Kind::kLease, 8}};
  for (size_t i = 0; i < 5; ++i) {
    CHECK(all->then_ops[i].term == terms[i]);
    CHECK(all->then_ops[i].kind == (i < 3 ? Kind::kPut : Kind::kTouch));
  }
}

TEST_CASE("txn json: what is acknowledged and sent, and a condition on a receipt") {
  const auto all = parse_transaction(
      R"({"if":[{"queue":"q","id":"90.3","receipt":95},{"receipt":1,"queue_b64":"/w==","id":"7"}],)"
      R"("then":[{"ack":{"queue":"q","id":"90.3","receipt":95}},{"send":{"body_b64":"/w==","queue":"out",)"
      R"("priority":5,"delay":9,"max_age":8,"dedup":"d","type":"t"}}],"else":[{"send":{"queue":"o","body":"",)"
      R"("group":"g"}}]})",
      kLongestValue);
  REQUIRE(all);
  REQUIRE(all->conditions.size() == 2);
  CHECK(all->conditions[0].of == Of::kReceipt);
  CHECK(all->conditions[0].key == "q");
  CHECK(all->conditions[0].message == MessageId{Revision(90), 3});
  CHECK(all->conditions[0].number == 95);
  CHECK(all->conditions[1].key == "\xff");
  REQUIRE(all->then_ops.size() == 2);
  CHECK(all->then_ops[0].kind == Kind::kAck);
  CHECK(all->then_ops[0].key == "q");
  REQUIRE(all->then_ops[0].settling);
  CHECK(all->then_ops[0].settling->kind == Settling::Kind::kAck);
  CHECK(all->then_ops[0].settling->id == MessageId{Revision(90), 3});
  CHECK(all->then_ops[0].settling->receipt == 95);
  CHECK(all->then_ops[1].kind == Kind::kSend);
  CHECK(all->then_ops[1].key == "out");
  REQUIRE(all->then_ops[1].message);
  const NewMessage& sent = *all->then_ops[1].message;
  CHECK(sent.body.view() == "\xff");
  CHECK(sent.priority == 5);
  CHECK(sent.delay_ms == 9);
  CHECK(sent.max_age_ms == 8);
  CHECK(sent.dedup == "d");
  CHECK(sent.type == "t");
  REQUIRE(all->else_ops.size() == 1);
  CHECK(all->else_ops[0].message->group == "g");
}

// Such a text lies nowhere in memory.
TEST_CASE("txn json: a body that is not there") {
  Result<Transaction, BodyError> none = parse_transaction(std::string_view(), 100);
  REQUIRE(!none);
  CHECK(none.error().detail.starts_with("the body is no JSON"));
}

TEST_CASE("txn json: a refusal names the place") {
  struct Case {
    const char* json;
    const char* start;
  };
  const Case cases[] = {
      {"", "400 the body is no JSON"},
      {"[]", "400 the body has to be a JSON object"},
      {"{}", "400 there has to be an operation"},
      {R"({"then":[],"else":[]})", "400 there has to be an operation"},
      {R"({"when":[]})", "400 the member \"when\" is unknown"},
      {R"({"then":[],"then":[]})", "400 \"then\" is given twice"},
      {R"({"if":{}})", "400 \"if\" has to be a list"},
      {R"({"if":[5]})", "400 if[0]: a condition is an object"},
      {R"({"if":[{"exists":true}]})", "400 if[0]: \"key\" is missing"},
      {R"({"if":[{"key":"","exists":true}]})", "400 if[0]: a key has"},
      {R"({"if":[{"key":"a"}]})", "400 if[0]: a condition needs one of"},
      {R"({"if":[{"key":"a","op":"="}]})", "400 if[0]: a condition needs one of"},
      {R"({"if":[{"key":"a","revision":1},{"key":"a","revision":1,"version":1}]})",
       "400 if[1]: a condition needs one"},
      {R"({"if":[{"key":"a","value":"","exists":true}]})", "400 if[0]: a condition needs one"},
      {R"({"if":[{"key":"a","revision":1,"revision":1}]})", "400 if[0]: \"revision\" is given twice"},
      {R"({"if":[{"key":"a","revision":-1}]})", "400 if[0]: \"revision\" has to be a whole number"},
      {R"({"if":[{"key":"a","version":"1"}]})", "400 if[0]: \"version\" has to be a whole number"},
      {R"({"if":[{"key":"a","exists":1}]})", "400 if[0]: \"exists\" has to be true or false"},
      {R"({"if":[{"key":"a","exists":true,"op":"="}]})", "400 if[0]: \"exists\" takes no \"op\""},
      {R"({"if":[{"key":"a","revision":1,"op":"=="}]})", "400 if[0]: \"op\" has to be"},
      {R"({"if":[{"key":"a","value":5}]})", "400 if[0]: \"value\" has to be a string"},
      {R"({"if":[{"key":"a","value":"x","op":"<"}]})",
       "400 if[0]: \"<\" and \">\" compare values as numbers"},
      {R"({"if":[{"key":"a","lease":5}]})", "400 if[0]: \"lease\" takes no \"key\" and no \"op\""},
      {R"({"if":[{"lease":5,"op":"="}]})", "400 if[0]: \"lease\" takes no \"key\" and no \"op\""},
      {R"({"if":[{"lease":"5"}]})", "400 if[0]: \"lease\" has to be a whole number"},
      {R"({"if":[{"lease":5,"exists":true}]})", "400 if[0]: a condition needs one of"},
      {R"({"if":[{"queue":"q","id":"1"}]})",
       "400 if[0]: \"queue\", \"id\" and \"receipt\" are one condition"},
      {R"({"if":[{"queue":"q","receipt":1}]})", "400 if[0]: \"queue\", \"id\" and \"receipt\" are one"},
      {R"({"if":[{"id":"1","receipt":1}]})", "400 if[0]: \"queue\", \"id\" and \"receipt\" are one"},
      {R"({"if":[{"queue":"q","id":"1","receipt":1,"op":"="}]})", "400 if[0]: \"queue\", \"id\" and"},
      {R"({"if":[{"queue":"q","id":"1","receipt":1,"key":"k"}]})", "400 if[0]: \"queue\", \"id\" and"},
      {R"({"if":[{"queue":"q","id":"1","receipt":1,"version":1}]})", "400 if[0]: a condition needs one of"},
      {R"({"if":[{"queue":"q","key":"k","version":1}]})", "400 if[0]: \"queue\", \"id\" and"},
      {R"({"if":[{"queue":"","id":"1","receipt":1}]})", "400 if[0]: \"queue\" has 1 to 255 bytes"},
      {R"({"if":[{"queue":"q","id":1,"receipt":1}]})", "400 if[0]: \"id\" has to be the id of a message"},
      {R"({"if":[{"queue":"q","id":"1.x","receipt":1}]})", "400 if[0]: \"id\" has to be the id of a message"},
      {R"({"if":[{"queue":"q","id":"1","receipt":"1"}]})", "400 if[0]: \"receipt\" has to be a whole number"},
      {R"({"then":[{"ack":5}]})", "400 then[0]: \"ack\" has to be an object"},
      {R"({"then":[{"ack":{"id":"1","receipt":1}}]})", "400 then[0]: \"queue\" is missing"},
      {R"({"then":[{"ack":{"queue":"q","id":"1"}}]})", "400 then[0]: \"receipt\" is missing"},
      {R"({"then":[{"ack":{"queue":"q","id":"1","receipt":1,"delay":1}}]})",
       "400 then[0]: the member \"delay\" is unknown"},
      {R"({"then":[{"send":{"queue":"q"}}]})", "400 then[0]: \"body\" is missing"},
      {R"({"then":[{"send":{"body":""}}]})", "400 then[0]: \"queue\" is missing"},
      {R"({"then":[{"send":{"queue":"q","queue_b64":"cQ==","body":""}}]})", "400 then[0]: "},
      {R"({"then":[{"send":{"queue":"q","body":"12345678901234567"}}]})",
       "413 then[0]: a message may have 16"},
      {R"({"then":[{}]})", "400 then[0]: an operation is an object with one member"},
      {R"({"then":[{"get":{"key":"a"}},{"touch":{"key":"a"}}]})",
       "400 then[1]: \"ttl\" or \"lease\" is missing"},
      {R"({"then":[{"touch":{"key":"a","ttl":"keep"}}]})",
       "400 then[0]: \"ttl\" has to be 100 to 315360000000 milliseconds"},
      {R"({"then":[{"touch":{"key":"a","ttl":100,"value":""}}]})",
       "400 then[0]: the member \"value\" is unknown"},
      {R"({"then":[{"put":{"key":"a","value":"","ttl":99}}]})",
       "400 then[0]: \"ttl\" has to be \"keep\", or 100 to 315360000000 milliseconds"},
      {R"({"then":[{"put":{"key":"a","value":"","ttl":500,"lease":1}}]})",
       "400 then[0]: an operation takes one of \"ttl\" and \"lease\""},
      {R"({"then":[{"append":{"key":"a","value":"","ttl":500}}]})",
       "400 then[0]: the member \"ttl\" is unknown"},
      {R"({"then":[{"add":{"key":"a","by":1,"lease":5}}]})", "400 then[0]: the member \"lease\" is unknown"},
      {R"({"then":[{"rename":{"key":"a"}}]})", "400 then[0]: the operation \"rename\" is unknown"},
      {R"({"then":[{"get":"a"}]})", "400 then[0]: \"get\" has to be an object"},
      {R"({"then":[{"get":{"key":"a","value":""}}]})", "400 then[0]: the member \"value\" is unknown"},
      {R"({"else":[{"put":{"key":"a"}}]})", "400 else[0]: \"value\" is missing"},
      {R"({"else":[{"add":{"key":"a"}}]})", "400 else[0]: \"by\" is missing"},
      {R"({"else":[{"add":{"key":"a","by":1.5}}]})", "400 else[0]: \"by\" has to be a whole number"},
      {R"({"else":[{"add":{"key":"a","by":9223372036854775808}}]})",
       "400 else[0]: \"by\" has to be a whole number"},
      {R"({"else":[{"add":{"key":"a","by":1,"by":2}}]})", "400 else[0]: \"by\" is given twice"},
      {R"({"else":[{"append":{"key":"a","value":"12345678901234567"}}]})",
       "413 else[0]: a value may have 16 bytes"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.json);
    CHECK(refusal_of(one.json).substr(0, std::string_view(one.start).size()) == one.start);
  }
  const auto second = parse_transaction(
      R"({"then":[{"get":{"key":"a"}},{"put":{"key":"a","value":"12345678901234567"}}]})", kLongestValue);
  REQUIRE_FALSE(second);
  CHECK(second.error().op == 1);
}

TEST_CASE("txn json: so many conditions, and operations in each branch") {
  const std::string one_condition = R"({"key":"k","exists":true})";
  const std::string get = R"({"get":{"key":"k"}})";
  const auto refused_with = [&](size_t conditions, size_t then_ops, size_t else_ops) {
    return refusal_of("{\"if\":" + list_of(conditions, one_condition) +
                      ",\"then\":" + list_of(then_ops, get) + ",\"else\":" + list_of(else_ops, get) + "}");
  };
  CHECK(refused_with(limits::kTxnConditions, limits::kBatchOps, limits::kBatchOps).empty());
  CHECK(refused_with(limits::kTxnConditions + 1, 1, 1) == "400 \"if\" has 128 conditions at most");
  CHECK(refused_with(1, limits::kBatchOps + 1, 1) == "400 \"then\" has 1024 operations at most");
  CHECK(refused_with(1, 1, limits::kBatchOps + 1) == "400 \"else\" has 1024 operations at most");
}

}  // namespace kvd::txn_json_test
