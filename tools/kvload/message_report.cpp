// See message_report.hpp.
#include "kvload/message_report.hpp"

#include <fmt/format.h>

#include <iterator>

#include "kvload/report.hpp"

namespace kvd::load {
namespace {

double in_ms(uint64_t ns) { return static_cast<double>(ns) / 1e6; }

double settled_rate(const MessageFigures& figures) {
  const double seconds = figures.deliveries.seconds();
  return seconds > 0 ? static_cast<double>(figures.settled) / seconds : 0;
}

}  // namespace

void append_message_figures(std::string& out, const MessageFigures& figures, const MessageOptions& options,
                            const MessageWords& words) {
  auto to = std::back_inserter(out);
  const bool read = figures.reads.ok() > 0;
  fmt::format_to(to, "{:.0f} messages/s {}, {:.0f} received, {:.0f} settled", figures.sends.rate(),
                 words.sent, figures.deliveries.rate(), settled_rate(figures));
  if (read) fmt::format_to(to, ", {:.0f} read", figures.reads.rate());
  fmt::format_to(to, ", for {:.2f} s", figures.deliveries.seconds());
  if (options.rate > 0) fmt::format_to(to, ", {:.0f} intended", options.rate);
  if (figures.sends.unsent.count() > 0)
    fmt::format_to(to, "; {} requests never sent (they count in the latency)", figures.sends.unsent.count());
  out += '\n';
  append_latency_head(out);
  append_latency(out, words.send, figures.sends.total());
  append_latency(out, "receipt", figures.deliveries.total());
  if (read) append_latency(out, "read", figures.reads.total());
  append_failures(out, words.send, figures.sends);
  append_failures(out, "receive", figures.deliveries);
  append_failures(out, "read", figures.reads);
  fmt::format_to(to, "longest time without one {}: {}, received: {}\n", words.sent,
                 span_text(figures.sends.gap_ns), span_text(figures.deliveries.gap_ns));
  if (figures.cpu_us_per_message > 0)
    fmt::format_to(to, "{:.2f} us of the servers' CPU for each message received\n",
                   figures.cpu_us_per_message);
}

std::string wrong_counts(const sim::MessageFindings& found) {
  return fmt::format(
      "{} lost, {} that nobody sent, {} granted to two within their time, {} granted after their end, {} out "
      "of the order of their group, {} stuck",
      found.lost, found.unexpected, found.twice, found.after_settled, found.out_of_order, found.stuck);
}

void write_message_options(JsonWriter& json, const char* senders, const MessageOptions& options) {
  json.key("servers").begin_array();
  for (const std::string& server : options.servers) json.value(server);
  json.end_array().member(senders, options.producers).member("consumers", options.consumers);
  json.member("rate", options.rate).member("batch", options.batch).member("size", options.bytes);
  json.member("groups", options.groups).member("ttr_ms", options.ttr_ms);
}

void write_message_side(JsonWriter& json, const char* name, const RunResult& result) {
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

void write_message_figures(JsonWriter& json, const MessageFigures& figures) {
  json.member("seconds", figures.deliveries.seconds());
  write_message_side(json, "sent", figures.sends);
  write_message_side(json, "received", figures.deliveries);
  json.member("settled", figures.settled).member("settled_rate", settled_rate(figures));
  json.member("stale", figures.stale).member("cpu_us_per_message", figures.cpu_us_per_message);
  json.member("fill_s", figures.fill_s).member("drain_s", figures.drain_s);
}

void write_sent(JsonWriter& json, const sim::MessageFindings& found) {
  json.member("acknowledged", found.acknowledged).member("maybe_sent", found.maybe_sent);
}

void write_findings(JsonWriter& json, const sim::MessageFindings& found) {
  json.member("received", found.received).member("granted_anew", found.granted_anew);
  json.member("lost", found.lost).member("unexpected", found.unexpected).member("twice", found.twice);
  json.member("after_settled", found.after_settled).member("out_of_order", found.out_of_order);
  json.member("stuck", found.stuck);
}

void write_examples(JsonWriter& json, const sim::MessageFindings& found) {
  json.key("examples").begin_array();
  for (const std::string& one : found.examples) json.value(one);
  json.end_array();
}

}  // namespace kvd::load
