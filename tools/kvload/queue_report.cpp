// See queue_load.hpp: the half that tells what was measured, and the verdict.
#include <fmt/format.h>

#include <iterator>

#include "kvload/message_report.hpp"
#include "kvload/queue_load.hpp"

namespace kvd::load {
namespace {

void append_queue_verdict(std::string& out, const QueueReport& report) {
  const sim::MessageFindings& found = report.findings;
  auto to = std::back_inserter(out);
  if (found.sound() && !report.figures.unjudged.empty()) {
    fmt::format_to(to, "not judged: {}\n", report.figures.unjudged);
  } else if (found.sound()) {
    fmt::format_to(to, "nothing lost, nothing that nobody sent, nothing granted to two within its time{}\n",
                   report.options.groups > 0 ? ", each group in its order" : "");
  } else {
    for (const std::string& one : found.examples) fmt::format_to(to, "wrong: {}\n", one);
    fmt::format_to(to, "NOT SOUND: {}\n", wrong_counts(found));
  }
}

}  // namespace

std::string queue_text(const QueueReport& report) {
  const MessageFigures& figures = report.figures;
  if (!figures.unmeasured.empty()) return "not measured: " + figures.unmeasured + "\n";
  std::string out;
  append_message_figures(out, figures, report.options, {});
  const sim::MessageFindings& found = report.findings;
  fmt::format_to(
      std::back_inserter(out),
      "{} acknowledged as sent, {} more that may be sent; {} received, {} times once more, {} settled too "
      "late; empty after {:.1f} s\n",
      found.acknowledged, found.maybe_sent, found.received, found.granted_anew, figures.stale,
      figures.drain_s);
  append_queue_verdict(out, report);
  return out;
}

std::string queue_json(const QueueReport& report) {
  JsonWriter json;
  json.begin_object().member("command", "queue").member("ok", report.exit_code() == 0);
  json.member("unmeasured", report.figures.unmeasured).member("unjudged", report.figures.unjudged);
  json.key("options").begin_object();
  write_message_options(json, "producers", report.options);
  json.member("queues", report.options.queues).member("backlog", report.options.backlog).end_object();
  write_message_figures(json, report.figures);
  json.key("verdict").begin_object();
  write_sent(json, report.findings);
  write_findings(json, report.findings);
  write_examples(json, report.findings);
  json.end_object();
  return json.end_object().take() + "\n";
}

}  // namespace kvd::load
