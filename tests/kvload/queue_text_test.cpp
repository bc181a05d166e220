// What `kvload queue` writes and reads: bodies that tell their number, acknowledgements, and the answers of servers.
// Then its report, of what was never measured.
#include "kvload/queue_text.hpp"

#include <doctest.h>
#include <simdjson.h>

#include <string>
#include <string_view>

#include "kvload/plots.hpp"
#include "kvload/queue_load.hpp"

namespace kvd::load {
namespace {

constexpr size_t kBytes = 60;

MessageId id_of(uint64_t revision, uint16_t index = 0) { return {Revision(revision), index}; }

std::string queue_body(const QueueStamp& stamp, size_t bytes) {
  std::string body;
  append_queue_body(stamp, bytes, body);
  return body;
}

QueueReport made_report(const QueueOptions& options) {
  QueueReport report{options, "kvload-queue-1-", {}, {}, 0, 0, 0, 0, 0, {}, {}, {}, false};
  for (RunResult* result : {&report.sends, &report.deliveries}) {
    *result = RunResult({"a:1", "b:2"}, 1'000'000'000, 100'000'000);
    result->set_targets({0, 1}, 1'000'000'000);
    for (uint64_t i = 1; i <= 100; ++i)
      result->record_ok(Kind::kPut, i % 2, i * 1'000'000, 1'000'000'000 + i * 10'000'000, true);
    result->tick(2'000'000'000);
    result->finish(3'000'000'000);
  }
  report.settled = 80;
  report.findings.acknowledged = 100;
  report.findings.received = 100;
  return report;
}

}  // namespace

TEST_CASE("a body tells its number and its moment, in as many bytes as were asked for") {
  for (const size_t bytes : {kMessageBytesMin, kBytes, size_t{5000}}) {
    const std::string body = queue_body({UINT64_MAX, UINT64_MAX}, bytes);
    CHECK(body.size() == bytes);
    const auto stamp = parse_queue_body(body, bytes);
    REQUIRE(stamp);
    CHECK(stamp->number == UINT64_MAX);
    CHECK(stamp->at == UINT64_MAX);
  }
}

TEST_CASE("what is not such a body is told from one") {
  const std::string body = queue_body({12, 345}, kBytes);
  CHECK(parse_queue_body(body, kBytes));
  CHECK(!parse_queue_body(body, kBytes + 1));
  CHECK(!parse_queue_body(body.substr(0, kBytes - 1), kBytes));
  CHECK(!parse_queue_body("", kBytes));
  CHECK(!parse_queue_body("12 345", 6));
  CHECK(!parse_queue_body("12 x xxx", 8));
  CHECK(!parse_queue_body("-1 5 xxx", 8));
  std::string changed = body;
  changed.back() = 'y';
  CHECK(!parse_queue_body(changed, kBytes));
}

TEST_CASE("a line of a batch has a body, and a group where there is one") {
  std::string lines;
  append_queue_line({1, 2}, 8, "", lines);
  append_queue_line({3, 4}, 8, "g5", lines);
  CHECK(lines == "{\"body\":\"1 2 xxxx\"}\n{\"body\":\"3 4 xxxx\",\"group\":\"g5\"}\n");
}

TEST_CASE("all that is held is acknowledged together") {
  CHECK(acknowledge_body({}) == R"({"ack":[]})");
  CHECK(acknowledge_body({{0, id_of(90), 95}, {1, id_of(90, 3), 96}}) ==
        R"({"ack":[{"id":"90","receipt":95},{"id":"90.3","receipt":96}]})");
}

TEST_CASE("answers are read") {
  QueueAnswerParser parser;
  const QueueAnswer* answer = parser.parse(R"({"id":"90","revision":90})", kBytes);
  REQUIRE(answer != nullptr);
  CHECK(answer->ids == std::vector<MessageId>{id_of(90)});
  answer = parser.parse(R"({"ids":["91","91.1"],"revision":91})", kBytes);
  REQUIRE(answer != nullptr);
  CHECK(answer->ids == std::vector<MessageId>{id_of(91), id_of(91, 1)});
  const std::string body = queue_body({7, 8}, kBytes);
  answer = parser.parse(
      R"({"messages":[{"id":"91.1","receipt":99,"attempt":1,"priority":100,"sent_ms":5,"body":")" + body +
          R"("},{"id":"3","body":"other"}],"settled":["ok","gone","stale"],"more":true})",
      kBytes);
  REQUIRE(answer != nullptr);
  REQUIRE(answer->messages.size() == 2);
  CHECK(answer->messages[0].id == id_of(91, 1));
  CHECK(answer->messages[0].receipt == 99);
  REQUIRE(answer->messages[0].stamp);
  CHECK(answer->messages[0].stamp->number == 7);
  CHECK(answer->messages[0].stamp->at == 8);
  CHECK(!answer->messages[1].stamp);
  CHECK(answer->settled ==
        std::vector<SettleResult>{SettleResult::kDone, SettleResult::kGone, SettleResult::kStale});
  CHECK(answer->more);
  CHECK(answer->ids.empty());
  answer = parser.parse(R"({"results":["ok"],"revision":91})", kBytes);
  REQUIRE(answer != nullptr);
  CHECK(answer->settled == std::vector<SettleResult>{SettleResult::kDone});
  CHECK(!answer->more);
}

TEST_CASE("what no server says is no answer") {
  QueueAnswerParser parser;
  for (const std::string_view json :
       {"", "[]", R"({"id":5})", R"({"id":"x"})", R"({"ids":[1]})", R"({"settled":["well"]})",
        R"({"messages":[1]})", R"({"messages":[{"receipt":1}]})",
        R"({"messages":[{"id":"1","receipt":"1"}]})", R"({"more":1})"})
    CHECK_MESSAGE(parser.parse(json, kBytes) == nullptr, json);
}

TEST_CASE("the report of queues says what was measured, and the verdict") {
  const QueueOptions options;
  QueueReport report = made_report(options);
  CHECK(report.exit_code() == 0);
  CHECK(queue_text(report).find("50 messages/s sent, 50 received, 40 settled") == 0);
  CHECK(queue_text(report).find(
            "\nnothing lost, nothing that nobody sent, nothing granted to two within its time\n") !=
        std::string::npos);
  simdjson::dom::parser parser;
  const std::string json = queue_json(report);
  const simdjson::dom::element root = parser.parse(json);
  CHECK(bool(root["ok"]));
  CHECK(double(root.at_pointer("/sent/rate")) == doctest::Approx(50));
  CHECK(double(root["settled_rate"]) == doctest::Approx(40));
  CHECK(uint64_t(root.at_pointer("/received/latency_us/count")) == 100);
  CHECK(uint64_t(root.at_pointer("/verdict/acknowledged")) == 100);
  CHECK(simdjson::dom::array(root.at_pointer("/received/intervals")).size() == 1);
  CHECK(queue_plot(report).find("send to receipt") != std::string::npos);
}

TEST_CASE("what may not be is told first, then what could not be judged") {
  QueueOptions options;
  options.groups = 1;
  QueueReport report = made_report(options);
  CHECK(queue_text(report).find("time, each group in its order\n") != std::string::npos);
  report.unjudged = "no server tells what is in the queues";
  CHECK(report.exit_code() == 69);
  CHECK(queue_text(report).find("\nnot judged: no server tells") != std::string::npos);
  report.findings.twice = 2;
  report.findings.examples = {"5 was granted twice"};
  CHECK(report.exit_code() == 1);
  CHECK(queue_text(report).find(
            "\nwrong: 5 was granted twice\nNOT SOUND: 0 lost, 0 that nobody sent, 2 granted to two ") !=
        std::string::npos);
  report.unmeasured = "none of --servers takes connections";
  CHECK(report.exit_code() == 69);
  CHECK(queue_text(report) == "not measured: none of --servers takes connections\n");
}

}  // namespace kvd::load
