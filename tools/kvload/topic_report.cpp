// See topic_load.hpp: the half that tells what was measured, and the verdict.
#include <fmt/format.h>

#include <iterator>
#include <vector>

#include "kvload/message_report.hpp"
#include "kvload/topic_load.hpp"

namespace kvd::load {
namespace {

void append_unsound(std::string& out, const sim::TopicFindings& found) {
  auto to = std::back_inserter(out);
  for (const std::string& one : found.total().examples) fmt::format_to(to, "wrong: {}\n", one);
  if (!found.published.sound())
    fmt::format_to(to, "NOT SOUND: {} published that nobody sent\n", found.published.unexpected);
  for (size_t i = 0; i < found.subscriptions.size(); ++i) {
    if (!found.subscriptions[i].sound())
      fmt::format_to(to, "NOT SOUND: subscription {}: {}\n", i, wrong_counts(found.subscriptions[i]));
  }
  for (size_t i = 0; i < found.readers.size(); ++i) {
    const sim::MessageFindings& one = found.readers[i];
    if (!one.sound())
      fmt::format_to(
          to, "NOT SOUND: reader {}: {} never read, {} that nobody sent, {} read twice, {} out of order\n", i,
          one.lost, one.unexpected, one.twice, one.out_of_order);
  }
}

void append_topic_verdict(std::string& out, const TopicReport& report) {
  const TopicOptions& options = report.options;
  if (!report.findings.sound()) return append_unsound(out, report.findings);
  auto to = std::back_inserter(out);
  if (!report.figures.unjudged.empty()) {
    fmt::format_to(to, "not judged: {}\n", report.figures.unjudged);
    return;
  }
  fmt::format_to(
      to,
      "each subscription got each message, nothing that nobody sent, nothing granted to two within "
      "its time{}{}\n",
      options.groups > 0 ? ", each group in its order" : "",
      options.readers > 0 ? "; who only reads saw each, once and in order" : "");
}

void write_each(JsonWriter& json, const char* name, const std::vector<sim::MessageFindings>& all) {
  json.key(name).begin_array();
  for (const sim::MessageFindings& one : all) {
    json.begin_object();
    write_findings(json, one);
    json.end_object();
  }
  json.end_array();
}

}  // namespace

std::string topic_text(const TopicReport& report) {
  const MessageFigures& figures = report.figures;
  if (!figures.unmeasured.empty()) return "not measured: " + figures.unmeasured + "\n";
  std::string out;
  append_message_figures(out, figures, report.options, {"publish", "published"});
  const sim::MessageFindings found = report.findings.total();
  fmt::format_to(
      std::back_inserter(out),
      "{} acknowledged as published, {} more that may be published; {} received by all "
      "subscriptions together, {} times once more, {} settled too late; all received after {:.1f} s\n",
      found.acknowledged, found.maybe_sent, found.received, found.granted_anew, figures.stale,
      figures.drain_s);
  append_topic_verdict(out, report);
  return out;
}

std::string topic_json(const TopicReport& report) {
  JsonWriter json;
  json.begin_object().member("command", "topic").member("ok", report.exit_code() == 0);
  json.member("unmeasured", report.figures.unmeasured).member("unjudged", report.figures.unjudged);
  json.key("options").begin_object();
  write_message_options(json, "publishers", report.options);
  json.member("subscriptions", report.options.subscriptions).member("readers", report.options.readers);
  json.end_object();
  write_message_figures(json, report.figures);
  write_message_side(json, "read", report.figures.reads);
  const sim::MessageFindings total = report.findings.total();
  json.key("verdict").begin_object();
  write_sent(json, total);
  write_findings(json, total);
  write_examples(json, total);
  write_each(json, "subscriptions", report.findings.subscriptions);
  write_each(json, "readers", report.findings.readers);
  json.end_object();
  return json.end_object().take() + "\n";
}

}  // namespace kvd::load
