// The JSON of queues: a configuration, a batch of messages, what becomes of messages; and that a refusal names the
// place. Standalone: no sockets, no node.
#include "shell/http/queue_json.hpp"

#include <doctest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "msg/limits.hpp"

namespace kvd::queue_json_test {
namespace {

constexpr size_t kLongestBody = 16;
using Kind = Settling::Kind;

std::string text_of(const BodyError& error) { return (error.too_large ? "413 " : "400 ") + error.detail; }
std::string config_refusal(std::string_view json) {
  const auto parsed = parse_queue_config(json);
  return parsed ? "" : text_of(parsed.error());
}
std::string message_refusal(std::string_view lines) {
  const auto parsed = parse_messages(lines, kLongestBody, MessagesFor::kQueue);
  return parsed ? "" : text_of(parsed.error());
}
std::string settling_refusal(std::string_view json) {
  const auto parsed = parse_settlings(json);
  return parsed ? "" : text_of(parsed.error());
}

QueueConfig config_of(std::string_view json) {
  const auto parsed = parse_queue_config(json);
  CAPTURE(json);
  if (!parsed) FAIL(parsed.error().detail);
  return *parsed;
}
std::vector<NewMessage> messages_of(std::string_view lines) {
  const auto parsed = parse_messages(lines, kLongestBody, MessagesFor::kQueue);
  CAPTURE(lines);
  if (!parsed) FAIL(parsed.error().detail);
  return *parsed;
}
std::vector<Settling> settlings_of(std::string_view json) {
  const auto parsed = parse_settlings(json);
  CAPTURE(json);
  if (!parsed) FAIL(parsed.error().detail);
  return *parsed;
}

std::string list_of(size_t count, const std::string& item) {
  std::string list = "[";
  for (size_t i = 0; i < count; ++i) list += (i == 0 ? "" : ",") + item;
  return list + "]";
}
std::string lines_of(size_t count, const std::string& line) {
  std::string lines;
  for (size_t i = 0; i < count; ++i) lines += line + "\n";
  return lines;
}

}  // namespace

TEST_CASE("queue json: a configuration, whole and by defaults") {
  CHECK(config_of("{}") == QueueConfig());
  const QueueConfig all = config_of(
      R"({"ttr":100,"max_deliveries":0,"backoff":[0,1000],"dead_letter":"d/1","dedup_window":0,"max_messages":7,)"
      R"("max_bytes":18446744073709551615,"max_age":9,"max_in_flight":1,"order":"fifo","discard":"old"})");
  CHECK(all.ttr_ms == 100);
  CHECK(all.max_deliveries == 0);
  CHECK(all.backoff_ms == std::vector<uint64_t>{0, 1000});
  CHECK(all.dead_letter == "d/1");
  CHECK(all.dedup_window_ms == 0);
  CHECK(all.max_messages == 7);
  CHECK(all.max_bytes == UINT64_MAX);
  CHECK(all.max_age_ms == 9);
  CHECK(all.max_in_flight == 1);
  CHECK(all.fifo);
  CHECK(all.discard_old);
  CHECK(config_of(R"({"dead_letter_b64":"/w=="})").dead_letter == "\xff");
  CHECK(config_of(R"({"dead_letter":""})") == QueueConfig());
  CHECK(config_of(R"({"order":"priority","discard":"none","backoff":[]})") == QueueConfig());
  CHECK(config_of(R"({"ttr":43200000,"max_in_flight":65536,"max_deliveries":4294967295})").ttr_ms ==
        43'200'000);
  CHECK(config_of(R"({"backoff":)" + list_of(limits::kBackoffs, "5") + "}").backoff_ms.size() ==
        limits::kBackoffs);
}

TEST_CASE("queue json: what a configuration cannot be") {
  const std::pair<std::string, const char*> cases[] = {
      {"", "400 the body is no JSON"},
      {"[]", "400 the body has to be a JSON object"},
      {R"({"ttl":1})", "400 the member \"ttl\" is unknown here"},
      {R"({"name":"q"})", "400 the member \"name\" is unknown here"},
      {R"({"ttr":99})", "400 \"ttr\" has to be a whole number from 100 to 43200000 (milliseconds)"},
      {R"({"ttr":43200001})", "400 \"ttr\" has to be"},
      {R"({"ttr":"500"})", "400 \"ttr\" has to be"},
      {R"({"ttr":500.0})", "400 \"ttr\" has to be"},
      {R"({"ttr":500,"ttr":500})", "400 \"ttr\" is given twice"},
      {R"({"max_deliveries":4294967296})",
       "400 \"max_deliveries\" has to be a whole number from 0 to 4294967295"},
      {R"({"max_deliveries":-1})", "400 \"max_deliveries\" has to be"},
      {R"({"backoff":5})", "400 \"backoff\" has to be a list of at most 64 delays"},
      {R"({"backoff":[5,-1]})", "400 \"backoff\" has to be"},
      {R"({"backoff":[315360000001]})", "400 \"backoff\" has to be"},
      {R"({"backoff":)" + list_of(limits::kBackoffs + 1, "5") + "}", "400 \"backoff\" has to be"},
      {R"({"dead_letter":5})", "400 \"dead_letter\" has to be a string"},
      {R"({"dead_letter_b64":"x"})", "400 \"dead_letter_b64\" has to be base64 with padding"},
      {R"({"dead_letter":"a","dead_letter_b64":"/w=="})", "400 \"dead_letter_b64\" is given twice"},
      {R"({"dead_letter":")" + std::string(256, 'q') + "\"}", "400 \"dead_letter\" has 0 to 255 bytes"},
      {R"({"dedup_window":315360000001})", "400 \"dedup_window\" has to be"},
      {R"({"max_messages":18446744073709551616})", "400 the body is no JSON"},
      {R"({"max_bytes":null})", "400 \"max_bytes\" has to be"},
      {R"({"max_age":true})", "400 \"max_age\" has to be"},
      {R"({"max_in_flight":0})", "400 \"max_in_flight\" has to be a whole number from 1 to 65536"},
      {R"({"max_in_flight":65537})", "400 \"max_in_flight\" has to be"},
      {R"({"order":"lifo"})", "400 \"order\" has to be \"priority\" or \"fifo\""},
      {R"({"order":1})", "400 \"order\" has to be"},
      {R"({"discard":"new"})", "400 \"discard\" has to be \"none\" or \"old\""},
  };
  for (const auto& one : cases) {
    const std::string& json = one.first;
    const char* const refusal = one.second;
    CAPTURE(json);
    CAPTURE(config_refusal(json));
    CHECK(config_refusal(json).starts_with(refusal));
  }
}

TEST_CASE("queue json: a batch has a message in each line") {
  const std::vector<NewMessage> all = messages_of(
      "{\"body\":\"a\"}\r\n\n \t\n"
      R"({"type":"text/plain","body_b64":"/w==","priority":255,"delay":7,"max_age":9,"dedup":"d"})"
      "\n"
      R"({"group":"g","delay":0,"body":""})");
  REQUIRE(all.size() == 3);
  CHECK(all[0].body.view() == "a");
  CHECK(all[0].priority == 100);
  CHECK(all[0].delay_ms == 0);
  CHECK(all[0].group.empty());
  CHECK(all[1].body.view() == "\xff");
  CHECK(all[1].priority == 255);
  CHECK(all[1].delay_ms == 7);
  CHECK(all[1].max_age_ms == 9);
  CHECK(all[1].dedup == "d");
  CHECK(all[1].type == "text/plain");
  CHECK(all[2].body.size() == 0);
  CHECK(all[2].group == "g");
  CHECK(messages_of(R"({"body":"a","group_b64":"/w==","dedup_b64":"/g==","type_b64":"/Q=="})")[0].group ==
        "\xff");
  CHECK(messages_of(lines_of(limits::kMessagesAtOnce, R"({"body":"a"})")).size() == limits::kMessagesAtOnce);
  CHECK(messages_of(R"({"body":"0123456789abcdef"})")[0].body.size() == kLongestBody);
  const std::string name(128, 'n');
  CHECK(messages_of(R"({"body":"","group":")" + name + R"(","dedup":")" + name + "\"}")[0].dedup == name);
}

TEST_CASE("queue json: what a message of a batch cannot be, and in which line") {
  const std::string long_name(129, 'n');
  const std::pair<std::string, const char*> cases[] = {
      {"", "400 there is no message in the body"},
      {"\n \r\n", "400 there is no message in the body"},
      {"{\"body\":\"a\"}\n\n{\"body\"}", "400 line 3: it is no JSON"},
      {"{\"body\":\"a\"}\n\"b\"\n", "400 line 2: it has to be a JSON object"},
      {R"({"body":"a"}{"body":"b"})", "400 line 1: it is no JSON"},
      {"{}", "400 line 1: \"body\" is missing"},
      {R"({"body":5})", "400 line 1: \"body\" has to be a string"},
      {R"({"body":"a","body_b64":"YQ=="})", "400 line 1: \"body_b64\" is given twice"},
      {R"({"body_b64":"YQ"})", "400 line 1: \"body_b64\" has to be base64 with padding"},
      {R"({"body":"0123456789abcdefg"})", "413 line 1: a message may have 16 bytes at most"},
      {R"({"body":"a","id":"9"})", "400 line 1: the member \"id\" is unknown here"},
      {R"({"body":"a","priority":256})", "400 line 1: \"priority\" has to be a whole number from 0 to 255"},
      {R"({"body":"a","priority":1,"priority":1})", "400 line 1: \"priority\" is given twice"},
      {R"({"body":"a","delay":315360000001})", "400 line 1: \"delay\" has to be"},
      {R"({"body":"a","max_age":-1})", "400 line 1: \"max_age\" has to be"},
      {R"({"body":"a","group":""})", "400 line 1: \"group\" has 1 to 128 bytes"},
      {R"({"body":"a","group":")" + long_name + "\"}", "400 line 1: \"group\" has"},
      {R"({"body":"a","group":"g","delay":1})", "400 line 1: a message of a group has no delay"},
      {R"({"body":"a","dedup":""})", "400 line 1: \"dedup\" has 1 to 128 bytes"},
      {R"({"body":"a","dedup":")" + long_name + "\"}", "400 line 1: \"dedup\" has"},
      {R"({"body":"a","type":")" + std::string(256, 't') + "\"}", "400 line 1: \"type\" has 0 to 255 bytes"},
      {R"({"body":"a","type":"a\r\nb"})", "400 line 1: \"type\" may not have control characters"},
      {lines_of(limits::kMessagesAtOnce + 1, R"({"body":"a"})"),
       "400 line 1025: a batch has 1024 messages at most"},
  };
  for (const auto& one : cases) {
    const std::string& lines = one.first;
    const char* const refusal = one.second;
    CAPTURE(lines.substr(0, 100));
    CAPTURE(message_refusal(lines));
    CHECK(message_refusal(lines).starts_with(refusal));
  }
}

TEST_CASE("queue json: a batch has a size that it may not exceed") {
  const std::string half(limits::kWriteBytes / 2, 'x');
  const std::string line = R"({"body":")" + half + "\"}\n";
  CHECK(parse_messages(line, limits::kWriteBytes, MessagesFor::kQueue).has_value());
  const auto both = parse_messages(line + line, limits::kWriteBytes, MessagesFor::kQueue);
  REQUIRE_FALSE(both.has_value());
  CHECK(both.error().too_large);
  CHECK(both.error().detail == "line 2: the messages of a batch may have 16777216 bytes together");
}

TEST_CASE("queue json: what becomes of messages, in one order whatever the body's") {
  const std::vector<Settling> all = settlings_of(
      R"({"dead":[{"id":"7","receipt":70,"reason":"no such order"}],"extend":[{"id":"6","receipt":60},)"
      R"({"id":"5","receipt":50,"ttr":100}],"release":[{"id":"4","receipt":40}],)"
      R"("nack":[{"id":"3","receipt":30,"delay":0,"reason_b64":"/w=="},{"receipt":31,"id":"3.1"}],)"
      R"("ack":[{"id":"1.1023","receipt":18446744073709551615},{"id":"2.0","receipt":20}]})");
  const std::pair<Kind, MessageId> expected[] = {
      {Kind::kAck, {Revision(1), 1023}},  {Kind::kAck, {Revision(2), 0}},
      {Kind::kNack, {Revision(3), 0}},    {Kind::kNack, {Revision(3), 1}},
      {Kind::kRelease, {Revision(4), 0}}, {Kind::kExtend, {Revision(6), 0}},
      {Kind::kExtend, {Revision(5), 0}},  {Kind::kDead, {Revision(7), 0}},
  };
  REQUIRE(all.size() == std::size(expected));
  for (size_t i = 0; i < all.size(); ++i) {
    CHECK(all[i].kind == expected[i].first);
    CHECK(all[i].id == expected[i].second);
  }
  CHECK(all[0].receipt == UINT64_MAX);
  CHECK_FALSE(all[0].ms.has_value());
  CHECK(all[2].ms == 0);
  CHECK(all[2].reason == "\xff");
  CHECK_FALSE(all[3].ms.has_value());
  CHECK(all[3].receipt == 31);
  CHECK_FALSE(all[5].ms.has_value());
  CHECK(all[6].ms == 100);
  CHECK(all[7].reason == "no such order");
  CHECK(settlings_of("{}").empty());
  CHECK(settlings_of(R"({"ack":[]})").empty());
  const std::string half = list_of(limits::kMessagesAtOnce / 2, R"({"id":"1","receipt":2})");
  CHECK(settlings_of(R"({"ack":)" + half + R"(,"nack":)" + half + "}").size() == limits::kMessagesAtOnce);
}

TEST_CASE("queue json: what becomes of no message, and where it stands") {
  const std::string half = list_of(limits::kMessagesAtOnce / 2, R"({"id":"1","receipt":2})");
  const std::pair<std::string, const char*> cases[] = {
      {"{", "400 the body is no JSON"},
      {"5", "400 the body has to be a JSON object"},
      {R"({"acks":[]})", "400 the member \"acks\" is unknown here"},
      {R"({"ack":[],"ack":[]})", "400 \"ack\" is given twice"},
      {R"({"ack":{"id":"1","receipt":2}})", "400 \"ack\" has to be a list"},
      {R"({"ack":["1"]})", "400 ack[0]: a message is an object with \"id\" and \"receipt\""},
      {R"({"ack":[{"id":"1","receipt":2},{"receipt":2}]})", "400 ack[1]: \"id\" is missing"},
      {R"({"ack":[{"id":"1"}]})", "400 ack[0]: \"receipt\" is missing"},
      {R"({"ack":[{"id":1,"receipt":2}]})", "400 ack[0]: \"id\" has to be the id of a message, a string"},
      {R"({"ack":[{"id":"1.","receipt":2}]})", "400 ack[0]: \"id\" has to be"},
      {R"({"ack":[{"id":"1","id":"1","receipt":2}]})", "400 ack[0]: \"id\" is given twice"},
      {R"({"ack":[{"id":"1","receipt":0}]})",
       "400 ack[0]: \"receipt\" has to be the receipt of a message, a number"},
      {R"({"ack":[{"id":"1","receipt":"2"}]})", "400 ack[0]: \"receipt\" has to be"},
      {R"({"ack":[{"id":"1","receipt":2,"reason":"r"}]})",
       "400 ack[0]: the member \"reason\" is unknown here"},
      {R"({"ack":[{"id":"1","receipt":2,"delay":1}]})", "400 ack[0]: the member \"delay\" is unknown here"},
      {R"({"nack":[{"id":"1","receipt":2,"delay":315360000001}]})", "400 nack[0]: \"delay\" has to be"},
      {R"({"nack":[{"id":"1","receipt":2,"delay":1,"delay":1}]})", "400 nack[0]: \"delay\" is given twice"},
      {R"({"nack":[{"id":"1","receipt":2,"ttr":100}]})", "400 nack[0]: the member \"ttr\" is unknown here"},
      {R"({"nack":[{"id":"1","receipt":2,"reason":5}]})", "400 nack[0]: \"reason\" has to be a string"},
      {R"({"release":[{"id":"1","receipt":2,"delay":1}]})",
       "400 release[0]: the member \"delay\" is unknown here"},
      {R"({"extend":[{"id":"1","receipt":2,"ttr":99}]})",
       "400 extend[0]: \"ttr\" has to be a whole number from 100 to 43200000 (milliseconds)"},
      {R"({"extend":[{"id":"1","receipt":2,"reason":"r"}]})",
       "400 extend[0]: the member \"reason\" is unknown here"},
      {R"({"dead":[{"id":"1","receipt":2,"reason":")" + std::string(256, 'r') + "\"}]}",
       "400 dead[0]: \"reason\" has 0 to 255 bytes"},
      {R"({"ack":)" + half + R"(,"nack":)" + half + R"(,"dead":[{"id":"1","receipt":2}]})",
       "400 dead[0]: 1024 messages are settled at most"},
  };
  for (const auto& one : cases) {
    const std::string& json = one.first;
    const char* const refusal = one.second;
    CAPTURE(json.substr(0, 100));
    CAPTURE(settling_refusal(json));
    CHECK(settling_refusal(json).starts_with(refusal));
  }
}

}  // namespace kvd::queue_json_test
