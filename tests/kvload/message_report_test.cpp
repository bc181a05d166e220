// What `kvload queue` and `kvload topic` report, of what was never measured: text for people, JSON for programs, and
// what they draw. Nothing is asked of a server.
#include "kvload/message_report.hpp"

#include <doctest.h>
#include <simdjson.h>

#include <string>

#include "kvload/plots.hpp"
#include "kvload/queue_load.hpp"
#include "kvload/topic_load.hpp"

namespace kvd::message_report_test {
namespace {

using load::Kind;
using load::MessageFigures;
using load::QueueOptions;
using load::QueueReport;
using load::RunResult;
using load::TopicOptions;
using load::TopicReport;

MessageFigures made_figures() {
  MessageFigures figures;
  figures.name = "kvload-queue-1-";
  for (RunResult* result : {&figures.sends, &figures.deliveries, &figures.reads}) {
    *result = RunResult({"a:1", "b:2"}, 1'000'000'000, 100'000'000);
    result->set_targets({0, 1}, 1'000'000'000);
    for (uint64_t i = 1; i <= 100 && result != &figures.reads; ++i)
      result->record_ok(Kind::kPut, i % 2, i * 1'000'000, 1'000'000'000 + i * 10'000'000, true);
    result->tick(2'000'000'000);
    result->finish(3'000'000'000);
  }
  figures.settled = 80;
  return figures;
}

QueueReport made_report(const QueueOptions& options) {
  QueueReport report{options, made_figures(), {}};
  report.findings.acknowledged = 100;
  report.findings.received = 100;
  return report;
}

// Of two subscriptions and a reader.
TopicReport made_topic_report(const TopicOptions& options) {
  TopicReport report{options, made_figures(), {}};
  report.figures.reads.record_ok(Kind::kGet, 0, 5, 3'000'000'000, true);
  report.findings.published.acknowledged = 100;
  report.findings.subscriptions.resize(2);
  for (sim::MessageFindings& one : report.findings.subscriptions) one.received = 100;
  report.findings.readers.resize(1);
  report.findings.readers[0].received = 100;
  return report;
}

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("the report of queues says what was measured, and the verdict") {
  const QueueOptions options;
  QueueReport report = made_report(options);
  CHECK(report.exit_code() == 0);
  CHECK(queue_text(report).find("50 messages/s sent, 50 received, 40 settled, for 2.00 s\n") == 0);
  CHECK(says(queue_text(report),
             "\nnothing lost, nothing that nobody sent, nothing granted to two within its time\n"));
  CHECK_FALSE(says(queue_text(report), "\nread "));
  simdjson::dom::parser parser;
  const std::string json = queue_json(report);
  const simdjson::dom::element root = parser.parse(json);
  CHECK(bool(root["ok"]));
  CHECK(double(root.at_pointer("/sent/rate")) == doctest::Approx(50));
  CHECK(double(root["settled_rate"]) == doctest::Approx(40));
  CHECK(uint64_t(root.at_pointer("/received/latency_us/count")) == 100);
  CHECK(uint64_t(root.at_pointer("/verdict/acknowledged")) == 100);
  CHECK(simdjson::dom::array(root.at_pointer("/received/intervals")).size() == 1);
  CHECK(says(queue_plot(report), "send to receipt"));
}

TEST_CASE("what may not be is told first, then what could not be judged") {
  QueueOptions options;
  options.groups = 1;
  QueueReport report = made_report(options);
  CHECK(says(queue_text(report), "time, each group in its order\n"));
  report.figures.unjudged = "no server tells what is in the queues";
  CHECK(report.exit_code() == 69);
  CHECK(says(queue_text(report), "\nnot judged: no server tells"));
  report.findings.twice = 2;
  report.findings.examples = {"5 was granted twice"};
  CHECK(report.exit_code() == 1);
  CHECK(says(queue_text(report),
             "\nwrong: 5 was granted twice\nNOT SOUND: 0 lost, 0 that nobody sent, 2 granted to two "));
  report.figures.unmeasured = "none of --servers takes connections";
  CHECK(report.exit_code() == 69);
  CHECK(queue_text(report) == "not measured: none of --servers takes connections\n");
}

TEST_CASE("the report of a topic says what was measured, and the verdict") {
  TopicOptions options;
  options.subscriptions = 2;
  TopicReport report = made_topic_report(options);
  CHECK(report.exit_code() == 0);
  CHECK(topic_text(report).find("50 messages/s published, 50 received, 40 settled, 0 read, for 2.00 s\n") ==
        0);
  CHECK(says(topic_text(report),
             "\n100 acknowledged as published, 0 more that may be published; 200 received"));
  CHECK(says(topic_text(report), "within its time; who only reads saw each, once and in order\n"));
  simdjson::dom::parser parser;
  const std::string json = topic_json(report);
  const simdjson::dom::element root = parser.parse(json);
  CHECK(bool(root["ok"]));
  CHECK(uint64_t(root.at_pointer("/options/subscriptions")) == 2);
  CHECK(uint64_t(root.at_pointer("/read/ok")) == 1);
  CHECK(uint64_t(root.at_pointer("/verdict/received")) == 200);
  CHECK(uint64_t(root.at_pointer("/verdict/subscriptions/1/received")) == 100);
  CHECK(uint64_t(root.at_pointer("/verdict/readers/0/received")) == 100);
  CHECK(says(topic_plot(report), "2 subscriptions with 32 consumers each"));
}

TEST_CASE("the report of a topic says whose it is that may not be") {
  TopicOptions options;
  options.groups = 3;
  TopicReport report = made_topic_report(options);
  CHECK(says(topic_text(report), "time, each group in its order; who only reads"));
  report.figures.unjudged = "interrupted before the subscriptions were empty";
  CHECK(report.exit_code() == 69);
  CHECK(says(topic_text(report), "\nnot judged: interrupted"));
  report.findings.subscriptions[1].object(report.findings.subscriptions[1].lost, "5 was lost");
  report.findings.readers[0].object(report.findings.readers[0].twice, "6 was read twice");
  CHECK(report.exit_code() == 1);
  CHECK(says(topic_text(report),
             "\nwrong: subscription 1: 5 was lost\nwrong: reader 0: 6 was read twice\n"
             "NOT SOUND: subscription 1: 1 lost, "));
  CHECK(says(topic_text(report),
             "\nNOT SOUND: reader 0: 0 never read, 0 that nobody sent, 1 read twice, 0 out of order\n"));
  report.figures.unmeasured = "the topic was not made";
  CHECK(report.exit_code() == 69);
  CHECK(topic_text(report) == "not measured: the topic was not made\n");
}

}  // namespace kvd::message_report_test
