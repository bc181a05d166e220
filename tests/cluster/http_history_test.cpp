// The record of HTTP clients against answers whose verdict is known: right ones it must let pass, wrong ones
// it must refuse. Without the latter half a run under faults would prove nothing.
#include "judge/http_history.hpp"

#include <doctest.h>
#include <fmt/format.h>

#include "judge/committed.hpp"

namespace kvd::testing {
namespace {

HttpAnswer answer(int status, uint64_t revision, uint64_t tag = 0, std::string body = "") {
  HttpAnswer made;
  made.status = status;
  made.headers = {{"Kvd-Revision", std::to_string(revision)}};
  if (tag != 0) made.headers.emplace_back("ETag", fmt::format("\"{}\"", tag));
  made.body = std::move(body);
  return made;
}

HttpAnswer problem(int status, std::string outcome, uint64_t tag = 0) {
  HttpAnswer made =
      answer(status, 9, tag, outcome.empty() ? "{}" : fmt::format(R"({{"outcome":"{}"}})", outcome));
  made.headers.emplace_back("Content-Type", "application/problem+json");
  if (status == 503) made.headers.emplace_back("Retry-After", "1");
  return made;
}

HttpAnswer nothing(bool never_sent) {
  HttpAnswer made;
  made.never_sent = never_sent;
  return made;
}

HttpOperation put(uint64_t value) {
  HttpOperation operation;
  operation.kind = HttpOperation::kPut;
  operation.key = "k";
  operation.value = sim::make_value(value, 0);
  return operation;
}

HttpOperation remove() {
  HttpOperation operation;
  operation.kind = HttpOperation::kDelete;
  operation.key = "k";
  return operation;
}

HttpOperation read(bool linear, uint64_t min_rev = 0) {
  HttpOperation operation;
  operation.key = "k";
  operation.linear = linear;
  operation.min_rev = min_rev;
  return operation;
}

struct Step {
  HttpOperation operation;
  HttpAnswer answer;
};

// One after another.
std::string verdict(const std::vector<Step>& steps) {
  HttpHistory history;
  for (const Step& step : steps) history.finish(history.begin(step.operation), step.answer);
  return history.violation();
}

bool finds(const std::vector<Step>& steps, const std::string& what) {
  const std::string found = verdict(steps);
  INFO(found);
  CHECK(found.find(what) != std::string::npos);
  return found.find(what) != std::string::npos;
}

const Step kPut7{put(7), answer(201, 5, 5)};

TEST_CASE("a request has the form that HTTP asks for") {
  HttpOperation operation = put(7);
  operation.condition.if_match = EntityTags{false, {Revision(3), Revision(4)}};
  operation.condition.if_none_match = EntityTags{true, {}};
  const HttpCall call = operation.call();
  CHECK(call.method == "PUT");
  CHECK(call.target == "/v1/kv/k?timeout=1000");
  CHECK(call.body == "v7");
  CHECK(call.headers == std::vector<std::pair<std::string, std::string>>{{"If-Match", "\"3\", \"4\""},
                                                                         {"If-None-Match", "*"}});
  CHECK(remove().call().method == "DELETE");
  CHECK(read(true).call().target == "/v1/kv/k?timeout=1000&read=linear");
  CHECK(read(false, 8).call().target == "/v1/kv/k?timeout=1000&min_rev=8");
}

TEST_CASE("one after another, everything as it should be") {
  HttpOperation conditional = put(8);
  conditional.condition.if_match = EntityTags{false, {Revision(4)}};
  CHECK(verdict({{read(true), answer(404, 0)},
                 kPut7,
                 {read(true), answer(200, 5, 5, "v7")},
                 {conditional, problem(412, "not-applied", 5)},
                 {read(false, 5), answer(200, 6, 5, "v7")},
                 {remove(), answer(204, 7)},
                 {remove(), answer(404, 7)},
                 {read(false), answer(200, 6, 5, "v7")},
                 {read(true), answer(404, 7)},
                 {read(true), problem(504, "")}}) == "");
}

TEST_CASE("what became of a failed write is as it was told") {
  CHECK(verdict({{put(7), problem(503, "unknown")}, {read(true), answer(404, 0)}}) == "");
  CHECK(verdict({{put(7), problem(503, "unknown")}, {read(true), answer(200, 1, 1, "v7")}}) == "");
  CHECK(verdict({{put(7), nothing(false)}, {read(true), answer(200, 1, 1, "v7")}}) == "");
  CHECK(verdict({{put(7), problem(503, "not-applied")}, {read(true), answer(404, 0)}}) == "");
  finds({{put(7), problem(503, "not-applied")}, {read(true), answer(200, 1, 1, "v7")}}, "not linearizable");
  finds({{put(7), nothing(true)}, {read(true), answer(200, 1, 1, "v7")}}, "not linearizable");
  finds({{put(7), problem(503, "not-applied")}, {read(false), answer(200, 1, 1, "v7")}},
        "which nobody wrote");
}

TEST_CASE("a lost write, a stale linear read and a new lineage are found") {
  finds({kPut7, {read(true), answer(404, 5)}}, "not linearizable");
  finds({kPut7, {put(8), answer(200, 6, 6)}, {read(true), answer(200, 6, 5, "v7")}}, "not linearizable");
  finds({kPut7, {put(8), answer(201, 6, 6)}}, "not linearizable");
  finds({kPut7, {read(true), answer(404, uint64_t(1) << 40)}}, "new lineage");
}

TEST_CASE("a local read shows all that was acknowledged up to its revision") {
  const Step put8{put(8), answer(200, 6, 6)};
  CHECK(verdict({kPut7, put8, {read(false), answer(200, 5, 5, "v7")}}) == "");
  finds({kPut7, put8, {read(false, 6), answer(200, 5, 5, "v7")}}, "asked for revision 6");
  finds({kPut7, put8, {read(false), answer(200, 6, 5, "v7")}}, "misses 6");
  finds({kPut7, put8, {read(false), answer(404, 6)}}, "shows nothing");
  finds({kPut7, put8, {read(false), answer(200, 6, 6, "v7")}}, "which wrote v8");
  finds({kPut7, put8, {read(false), answer(200, 5, 6, "v8")}}, "as part of revision 5");
  CHECK(verdict({kPut7, {remove(), nothing(false)}, {read(false), answer(404, 6)}}) == "");
}

TEST_CASE("an answer that breaks the rules of the interface is found") {
  finds({{put(7), problem(503, "")}}, "is no answer to that");
  finds({{put(7), problem(503, "perhaps")}}, "is no answer to that");
  finds({{read(true), problem(503, "not-applied")}}, "is no answer to that");
  finds({{put(7), problem(500, "unknown")}}, "is no answer to that");
  finds({{put(7), answer(200, 5, 6)}}, "is no answer to that");
  finds({{put(7), answer(503, 5, 0, R"({"outcome":"unknown"})")}}, "is no answer to that");
  HttpAnswer partial = answer(404, 5);
  partial.headers.emplace_back("Kvd-Complete", "false");
  finds({{read(false), partial}}, "a copy that misses keys");
}

// A transfer of 3 from the account "a" to "b", if there is as much.
HttpOperation transfer() {
  HttpOperation operation;
  operation.kind = HttpOperation::kTxn;
  operation.transaction.conditions = {
      {"a", TxnCondition::Of::kValue, TxnCondition::Is::kGreater, 0, Bytes("2")}};
  operation.transaction.then_ops = {{TxnOp::Kind::kAdd, "a", {}, -3}, {TxnOp::Kind::kAdd, "b", {}, 3}};
  operation.transaction.else_ops = {{TxnOp::Kind::kGet, "a", {}, 0}};
  return operation;
}

HttpOperation deposit(int64_t by) {
  HttpOperation operation;
  operation.kind = HttpOperation::kAdd;
  operation.key = "a";
  operation.by = by;
  operation.idempotency_key = "once";
  return operation;
}

TEST_CASE("transactions and additions have the form that HTTP asks for") {
  const HttpCall call = transfer().call();
  CHECK(call.method == "POST");
  CHECK(call.target == "/v1/txn?timeout=1000");
  CHECK(call.body == R"({"if":[{"key":"a","value":"2","op":">"}],)"
                     R"("then":[{"add":{"key":"a","by":-3}},{"add":{"key":"b","by":3}}],)"
                     R"("else":[{"get":{"key":"a"}}]})");
  CHECK(deposit(-5).call().target == "/v1/kv/a?timeout=1000&add=-5");
  CHECK(deposit(-5).call().headers ==
        std::vector<std::pair<std::string, std::string>>{{"Idempotency-Key", "once"}});
}

TEST_CASE("accounts are judged together") {
  const Step five{deposit(5), answer(200, 1, 1, R"({"key":"a","value":5,"revision":1})")};
  const Step moved{
      transfer(),
      answer(200, 2, 0, R"({"succeeded":true,"revision":2,"results":[{"value":2},{"value":3}]})")};
  const Step refused{
      transfer(),
      answer(200, 2, 0, R"({"succeeded":false,"revision":2,"results":[{"value":"2","revision":2}]})")};
  CHECK(verdict({five, moved, refused}) == "");
  finds({five, refused}, "not serializable");
  finds({five, moved, moved}, "one revision");
  finds({five, {transfer(), answer(200, 2, 0, R"({"succeeded":true,"revision":2,"results":[{"value":2}]})")}},
        "is no answer to that");
  finds({five,
         {transfer(),
          answer(200, 3, 0, R"({"succeeded":true,"revision":2,"results":[{"value":2},{"value":3}]})")}},
        "is no answer to that");
  finds({{deposit(5), answer(200, 1, 1, R"({"key":"a","value":"5","revision":1})")}}, "is no answer to that");
  HttpHistory history;
  CHECK(history.finish(history.begin(moved.operation), moved.answer) == 2);
  CHECK(history.counts().acknowledged == 1);
  CHECK(history.keys() == std::set<std::string>{"a", "b"});
}

TEST_CASE("operations are counted by what became of them") {
  HttpHistory history;
  for (const auto& [operation, told] :
       std::vector<std::pair<HttpOperation, HttpAnswer>>{{put(7), answer(201, 5, 5)},
                                                         {put(8), problem(412, "not-applied", 5)},
                                                         {put(9), problem(503, "not-applied")},
                                                         {put(10), nothing(false)},
                                                         {read(true), answer(200, 5, 5, "v7")},
                                                         {read(false), answer(200, 5, 5, "v7")}}) {
    history.finish(history.begin(operation), told);
  }
  const HttpHistory::Counts counts = history.counts();
  CHECK(counts.acknowledged == 1);
  CHECK(counts.done == 2);
  CHECK(counts.certainly_not == 1);
  CHECK(counts.unknown == 1);
  CHECK(counts.linear_reads == 1);
  CHECK(counts.local_reads == 1);
}

}  // namespace
}  // namespace kvd::testing
