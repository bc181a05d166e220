// The JSON of topics and subscriptions: what they are made with, lines of messages, what transactions publish and
// settle; and that a refusal names the place. Standalone: no sockets, no node.
#include "shell/http/topic_json.hpp"

#include <doctest.h>

#include <string>
#include <utility>

#include "msg/limits.hpp"
#include "shell/http/queue_json.hpp"
#include "shell/http/txn_json.hpp"

namespace kvd::topic_json_test {
namespace {

constexpr size_t kLongestBody = 16;
using From = TopicPlace::Kind;

template <class T>
T read(Result<T, BodyError> parsed) {
  if (!parsed) FAIL(parsed.error().detail);
  return std::move(*parsed);
}
template <class T>
std::string refusal(const Result<T, BodyError>& parsed) {
  return parsed ? "" : (parsed.error().too_large ? "413 " : "400 ") + parsed.error().detail;
}
TopicPlace from_of(const std::string& value) {
  return read(parse_subscription("{\"from\":" + value + "}")).from;
}
// Each case: a body, and how the sentence about it begins.
void check_refusals(const auto& cases, auto parse) {
  for (const auto& one : cases) {
    const std::string json = one.first;
    const std::string told = refusal(parse(json));
    CAPTURE(json);
    CAPTURE(told);
    CHECK(told.starts_with(one.second));
  }
}

}  // namespace

TEST_CASE("topic json: a topic, whole and by defaults") {
  CHECK(read(parse_topic_config("{}")) == TopicConfig());
  const TopicConfig all = read(
      parse_topic_config(R"({"dedup_window":0,"max_messages":7,"max_bytes":18446744073709551615,"max_age":9,)"
                         R"("discard":"old"})"));
  CHECK(all.dedup_window_ms == 0);
  CHECK(all.max_messages == 7);
  CHECK(all.max_bytes == UINT64_MAX);
  CHECK(all.max_age_ms == 9);
  CHECK(all.discard_old);
  const std::pair<const char*, const char*> cases[] = {
      {"", "400 the body is no JSON"},
      {"7", "400 the body has to be a JSON object"},
      {R"({"ttr":500})", "400 the member \"ttr\" is unknown here"},
      {R"({"dead_letter":"q"})", "400 the member \"dead_letter\" is unknown here"},
      {R"({"max_age":1,"max_age":1})", "400 \"max_age\" is given twice"},
      {R"({"max_age":315360000001})", "400 \"max_age\" has to be a whole number from 0 to 315360000000"},
      {R"({"dedup_window":-1})", "400 \"dedup_window\" has to be"},
      {R"({"max_messages":"7"})", "400 \"max_messages\" has to be"},
      {R"({"max_bytes":1.5})", "400 \"max_bytes\" has to be"},
      {R"({"discard":"new"})", "400 \"discard\" has to be \"none\" or \"old\""},
  };
  check_refusals(cases, parse_topic_config);
}

TEST_CASE("topic json: a subscription, whole and by defaults") {
  const SubscriptionBody bare = read(parse_subscription("{}"));
  CHECK(bare.config == SubscriptionConfig());
  CHECK(bare.from == TopicPlace{From::kNow, {}, 0});
  const SubscriptionBody all = read(parse_subscription(
      R"({"ttr":100,"max_deliveries":0,"backoff":[0,1000],"dead_letter_b64":"/w==","max_in_flight":1,)"
      R"("ordered":true,"expires":3600000,"from":"first"})"));
  CHECK(all.config.ttr_ms == 100);
  CHECK(all.config.max_deliveries == 0);
  CHECK(all.config.backoff_ms == std::vector<uint64_t>{0, 1000});
  CHECK(all.config.dead_letter == "\xff");
  CHECK(all.config.max_in_flight == 1);
  CHECK(all.config.ordered);
  CHECK(all.config.expires_ms == 3'600'000);
  CHECK(all.from == TopicPlace{});
  CHECK(read(parse_subscription(R"({"max_in_flight":4096,"expires":0})")).config == SubscriptionConfig());
  CHECK(from_of("\"now\"") == TopicPlace{From::kNow, {}, 0});
  CHECK(from_of("\"90.3\"") == TopicPlace{From::kId, {Revision(90), 3}, 0});
  CHECK(from_of("\"0\"") == TopicPlace{From::kId, {}, 0});
  CHECK(from_of("{\"time\":1700000000000}") == TopicPlace{From::kTime, {}, 1'700'000'000'000});
}

TEST_CASE("topic json: what a subscription cannot be") {
  const std::string from = "400 \"from\" has to be \"first\", \"now\", the id of a message or {\"time\":MS}";
  const std::pair<std::string, std::string> cases[] = {
      {"[]", "400 the body has to be a JSON object"},
      {R"({"dedup_window":1})", "400 the member \"dedup_window\" is unknown here"},
      {R"({"order":"fifo"})", "400 the member \"order\" is unknown here"},
      {R"({"ttr":99})", "400 \"ttr\" has to be a whole number from 100 to 43200000 (milliseconds)"},
      {R"({"max_deliveries":-1})", "400 \"max_deliveries\" has to be"},
      {R"({"backoff":[-1]})", "400 \"backoff\" has to be a list of at most 64 delays"},
      {R"({"dead_letter":")" + std::string(256, 'q') + "\"}", "400 \"dead_letter\" has 0 to 255 bytes"},
      {R"({"max_in_flight":0})", "400 \"max_in_flight\" has to be a whole number from 1 to 4096"},
      {R"({"max_in_flight":4097})", "400 \"max_in_flight\" has to be"},
      {R"({"ordered":1})", "400 \"ordered\" has to be true or false"},
      {R"({"ordered":true,"ordered":true})", "400 \"ordered\" is given twice"},
      {R"({"expires":3599999})",
       "400 \"expires\" has to be 0, or a whole number from 3600000 to 315360000000 (milliseconds)"},
      {R"({"expires":315360000001})", "400 \"expires\" has to be"},
      {R"({"expires":false})", "400 \"expires\" has to be"},
      {R"({"from":"last"})", from},
      {R"({"from":"7."})", from},
      {R"({"from":7})", from},
      {R"({"from":{}})", from},
      {R"({"from":{"time":"now"}})", from},
      {R"({"from":{"time":1,"id":"7"}})", from},
      {R"({"from":{"ms":1}})", from},
  };
  check_refusals(cases, parse_subscription);
}

TEST_CASE("topic json: a line of a topic has what all readers can have") {
  const auto lines = read(parse_messages(R"({"body_b64":"/w==","group":"g","dedup":"d","type":"text/plain"})",
                                         kLongestBody, MessagesFor::kTopic));
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].body.view() == "\xff");
  CHECK(lines[0].group == "g");
  CHECK(lines[0].dedup == "d");
  CHECK(lines[0].type == "text/plain");
  const std::pair<const char*, const char*> cases[] = {
      {R"({"body":"a","priority":5})", "400 line 1: the member \"priority\" is unknown here"},
      {R"({"body":"a","delay":5})", "400 line 1: the member \"delay\" is unknown here"},
      {R"({"body":"a","max_age":5})", "400 line 1: the member \"max_age\" is unknown here"},
      {R"({"body":"0123456789abcdefg"})", "413 line 1: a message may have 16 bytes at most"},
      {"{}", "400 line 1: \"body\" is missing"},
  };
  check_refusals(cases, [](std::string_view lines_of) {
    return parse_messages(lines_of, kLongestBody, MessagesFor::kTopic);
  });
}

TEST_CASE("topic json: a transaction publishes, and settles for a subscription") {
  const Transaction all = read(
      parse_transaction(R"({"if":[{"topic":"t","subscription_b64":"/w==","id":"90.3","receipt":95}],)"
                        R"("then":[{"ack":{"topic_b64":"/g==","subscription":"s","id":"90.3","receipt":95}},)"
                        R"({"publish":{"topic":"t","body":"b","group":"g","dedup":"d","type":"x"}}]})",
                        kLongestBody));
  REQUIRE(all.conditions.size() == 1);
  CHECK(all.conditions[0].of == TxnCondition::Of::kReceipt);
  CHECK(all.conditions[0].key == "t");
  CHECK(all.conditions[0].subscription == "\xff");
  CHECK(all.conditions[0].message == MessageId{Revision(90), 3});
  REQUIRE(all.then_ops.size() == 2);
  CHECK(all.then_ops[0].kind == TxnOp::Kind::kAck);
  CHECK(all.then_ops[0].key == "\xfe");
  CHECK(all.then_ops[0].subscription == "s");
  CHECK(all.then_ops[0].settling->receipt == 95);
  CHECK(all.then_ops[1].kind == TxnOp::Kind::kPublish);
  CHECK(all.then_ops[1].key == "t");
  CHECK(all.then_ops[1].subscription.empty());
  CHECK(all.then_ops[1].message->body.view() == "b");
  CHECK(all.then_ops[1].message->group == "g");
}

TEST_CASE("topic json: what a transaction cannot ask of topics") {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"if":[{"topic":"t","id":"1","receipt":1}]})", "400 if[0]: \"subscription\" is missing"},
      {R"({"if":[{"subscription":"s","id":"1","receipt":1}]})", "400 if[0]: \"topic\" is missing"},
      {R"({"if":[{"queue":"q","topic":"t","subscription":"s","id":"1","receipt":1}]})",
       "400 if[0]: \"queue\" and \"topic\" exclude each other"},
      {R"({"if":[{"topic":"t","subscription":"s","id":"1"}]})",
       "400 if[0]: \"queue\", \"id\" and \"receipt\""},
      {R"({"if":[{"topic":"t","key":"k","exists":true}]})", "400 if[0]: \"queue\", \"id\" and \"receipt\""},
      {R"({"if":[{"topic":"t","topic":"t","subscription":"s","id":"1","receipt":1}]})",
       "400 if[0]: \"topic\" is given twice"},
      {R"({"then":[{"ack":{"topic":"t","id":"1","receipt":1}}]})",
       "400 then[0]: \"subscription\" is missing"},
      {R"({"then":[{"ack":{"subscription":"s","id":"1","receipt":1}}]})",
       "400 then[0]: \"topic\" is missing"},
      {R"({"then":[{"ack":{"queue":"q","subscription":"s","id":"1","receipt":1}}]})",
       "400 then[0]: \"queue\" and \"topic\" exclude each other"},
      {R"({"then":[{"ack":{"topic":"","subscription":"s","id":"1","receipt":1}}]})",
       "400 then[0]: \"topic\" has 1 to 255 bytes"},
      {R"({"then":[{"ack":{"topic":"t","subscription":"","id":"1","receipt":1}}]})",
       "400 then[0]: \"subscription\" has 1 to 255 bytes"},
      {R"({"then":[{"ack":{"topic":"t","subscription":5,"id":"1","receipt":1}}]})",
       "400 then[0]: \"subscription\" has to be a string"},
      {R"({"then":[{"publish":{"body":"b"}}]})", "400 then[0]: \"topic\" is missing"},
      {R"({"then":[{"publish":{"topic":"t"}}]})", "400 then[0]: \"body\" is missing"},
      {R"({"then":[{"publish":{"queue":"q","body":"b"}}]})",
       "400 then[0]: the member \"queue\" is unknown here"},
      {R"({"then":[{"publish":{"topic":"t","subscription":"s","body":"b"}}]})",
       "400 then[0]: the member \"subscription\" is unknown here"},
      {R"({"then":[{"publish":{"topic":"t","body":"b","priority":1}}]})",
       "400 then[0]: the member \"priority\" is unknown here"},
      {R"({"then":[{"publish":{"topic":"t","body":"0123456789abcdefg"}}]})",
       "413 then[0]: a message may have 16 bytes at most"},
      {R"({"then":[{"send":{"topic":"t","body":"b"}}]})",
       "400 then[0]: the member \"topic\" is unknown here"},
  };
  check_refusals(cases, [](std::string_view json) { return parse_transaction(json, kLongestBody); });
}

}  // namespace kvd::topic_json_test
