// See queue_load.hpp: the half that tells what was measured, and the verdict.
#include <fmt/format.h>
#include <sysexits.h>

#include <iterator>

#include "base/json_writer.hpp"
#include "kvload/queue_load.hpp"
#include "kvload/report.hpp"

namespace kvd::load {
namespace {

double in_ms(uint64_t ns) { return static_cast<double>(ns) / 1e6; }

double settled_rate(const QueueReport& report) {
  const double seconds = report.deliveries.seconds();
  return seconds > 0 ? static_cast<double>(report.settled) / seconds : 0;
}

void append_verdict(std::string& out, const QueueReport& report) {
  const sim::QueueFindings& found = report.findings;
  auto to = std::back_inserter(out);
  if (found.sound() && !report.unjudged.empty()) {
    fmt::format_to(to, "not judged: {}\n", report.unjudged);
  } else if (found.sound()) {
    fmt::format_to(to, "nothing lost, nothing that nobody sent, nothing granted to two within its time{}\n",
                   report.options.groups > 0 ? ", each group in its order" : "");
  } else {
    for (const std::string& one : found.examples) fmt::format_to(to, "wrong: {}\n", one);
    fmt::format_to(
        to,
        "NOT SOUND: {} lost, {} that nobody sent, {} granted to two within their time, {} granted after "
        "their end, {} out of the order of their group, {} stuck\n",
        found.lost, found.unexpected, found.twice, found.after_settled, found.out_of_order, found.stuck);
  }
}

void write_queue_options(JsonWriter& json, const QueueOptions& options) {
  json.key("options").begin_object().key("servers").begin_array();
  for (const std::string& server : options.servers) json.value(server);
  json.end_array().member("producers", options.producers).member("consumers", options.consumers);
  json.member("rate", options.rate).member("batch", options.batch).member("size", options.bytes);
  json.member("queues", options.queues).member("groups", options.groups).member("backlog", options.backlog);
  json.member("ttr_ms", options.ttr_ms).end_object();
}

void write_side(JsonWriter& json, const char* name, const RunResult& result) {
  json.key(name).begin_object().member("ok", result.ok()).member("in_time", result.in_time);
  json.member("failed", result.failed())
      .member("unsent", result.unsent.count())
      .member("rate", result.rate());
  write_latency(json.key("latency_us"), result.total());
  write_failures(json, result);
  json.member("gap_ms", in_ms(result.gap_ns));
  write_intervals(json, result);
  json.end_object();
}

}  // namespace

int QueueReport::exit_code() const {
  if (!unmeasured.empty()) return EX_UNAVAILABLE;
  if (!findings.sound()) return 1;
  return unjudged.empty() ? EX_OK : EX_UNAVAILABLE;
}

std::string queue_text(const QueueReport& report) {
  if (!report.unmeasured.empty()) return "not measured: " + report.unmeasured + "\n";
  std::string out = fmt::format("{:.0f} messages/s sent, {:.0f} received, {:.0f} settled, for {:.2f} s",
                                report.sends.rate(), report.deliveries.rate(), settled_rate(report),
                                report.deliveries.seconds());
  auto to = std::back_inserter(out);
  if (report.options.rate > 0) fmt::format_to(to, ", {:.0f} intended", report.options.rate);
  if (report.sends.unsent.count() > 0)
    fmt::format_to(to, "; {} requests never sent (they count in the latency)", report.sends.unsent.count());
  out += '\n';
  append_latency_head(out);
  append_latency(out, "send", report.sends.total());
  append_latency(out, "receipt", report.deliveries.total());
  append_failures(out, "send", report.sends);
  append_failures(out, "receive", report.deliveries);
  fmt::format_to(to, "longest time without one sent: {}, received: {}\n", span_text(report.sends.gap_ns),
                 span_text(report.deliveries.gap_ns));
  if (report.cpu_us_per_message > 0)
    fmt::format_to(to, "{:.2f} us of the servers' CPU for each message received\n",
                   report.cpu_us_per_message);
  const sim::QueueFindings& found = report.findings;
  fmt::format_to(
      to,
      "{} acknowledged as sent, {} more that may be sent; {} received, {} times once more, {} settled too "
      "late; empty after {:.1f} s\n",
      found.acknowledged, found.maybe_sent, found.received, found.granted_anew, report.stale, report.drain_s);
  append_verdict(out, report);
  return out;
}

std::string queue_json(const QueueReport& report) {
  const sim::QueueFindings& found = report.findings;
  JsonWriter json;
  json.begin_object().member("command", "queue").member("ok", report.exit_code() == EX_OK);
  json.member("unmeasured", report.unmeasured).member("unjudged", report.unjudged);
  write_queue_options(json, report.options);
  json.member("seconds", report.deliveries.seconds());
  write_side(json, "sent", report.sends);
  write_side(json, "received", report.deliveries);
  json.member("settled", report.settled).member("settled_rate", settled_rate(report));
  json.member("stale", report.stale).member("cpu_us_per_message", report.cpu_us_per_message);
  json.member("fill_s", report.fill_s).member("drain_s", report.drain_s);
  json.key("verdict").begin_object().member("acknowledged", found.acknowledged);
  json.member("maybe_sent", found.maybe_sent).member("received", found.received);
  json.member("granted_anew", found.granted_anew).member("lost", found.lost);
  json.member("unexpected", found.unexpected).member("twice", found.twice);
  json.member("after_settled", found.after_settled).member("out_of_order", found.out_of_order);
  json.member("stuck", found.stuck).key("examples").begin_array();
  for (const std::string& one : found.examples) json.value(one);
  json.end_array().end_object();
  return json.end_object().take() + "\n";
}

}  // namespace kvd::load
