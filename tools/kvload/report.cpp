// See report.hpp.
#include "kvload/report.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/json_writer.hpp"

namespace kvd::load {
namespace {

double us(uint64_t ns) { return static_cast<double>(ns) / 1e3; }
double ms(uint64_t ns) { return static_cast<double>(ns) / 1e6; }

const char* role_name(Role role) {
  return role == Role::kAll ? "all" : role == Role::kLeader ? "leader" : "followers";
}

const char* order_name(KeyOrder order) {
  return order == KeyOrder::kUniform ? "uniform" : order == KeyOrder::kZipfian ? "zipfian" : "sequential";
}

void write_spread(JsonWriter& json, const char* name, const Spread& spread) {
  json.key(name).begin_object();
  json.member("median", spread.median).member("min", spread.min).member("max", spread.max).end_object();
}

void write_options(JsonWriter& json, const RunOptions& options) {
  json.key("options").begin_object().key("servers").begin_array();
  for (const std::string& server : options.servers) json.value(server);
  json.end_array().member("to", role_name(options.to)).member("connections", options.load.connections);
  json.member("pipeline", options.load.pipeline).member("rate", options.rate).key("mix").begin_object();
  for (size_t kind = 0; kind < kKinds; ++kind)
    json.member(kind_name(static_cast<Kind>(kind)), options.load.mix[kind]);
  json.end_object().member("order", order_name(options.load.order)).member("keys", options.load.keys);
  json.member("key_size", options.load.key_shape.bytes);
  json.member("value_size_mean", options.load.value_sizes.mean()).member("warm_up_s", options.warm_up_s);
  json.end_object();
}

void write_servers(JsonWriter& json, const Measured& measured) {
  json.key("by_server").begin_array();
  for (const ServerResult& one : measured.result.servers) {
    json.begin_object().member("server", one.name).member("ok", one.ok).member("failed", one.failed);
    json.member("connections_lost", one.connections_lost).key("gap_ms");
    one.targeted ? json.value(ms(one.gap_ns)) : json.null();
    json.end_object();
  }
  json.end_array().key("cpu").begin_array();
  for (const ServerCpu& one : measured.cpu)
    json.begin_object()
        .member("server", one.server)
        .member("pid", one.pid)
        .member("ms", one.us / 1e3)
        .end_object();
  json.end_array().key("cpu_us_per_request");
  measured.cpu.empty() ? json.null() : json.value(measured.cpu_us_per_request());
}

// Members of an object that is begun.
void write_result(JsonWriter& json, const Measured& measured) {
  const RunResult& result = measured.result;
  json.member("seconds", result.seconds()).member("requests", result.ok() + result.failed());
  json.member("ok", result.ok()).member("in_time", result.in_time).member("not_found", result.not_found);
  json.member("failed", result.failed())
      .member("unsent", result.unsent.count())
      .member("rate", result.rate());
  write_latency(json.key("latency_us"), result.total());
  json.key("by_kind").begin_object();
  for (size_t kind = 0; kind < kKinds; ++kind) {
    if (result.latency[kind].count() > 0)
      write_latency(json.key(kind_name(static_cast<Kind>(kind))), result.latency[kind]);
  }
  json.end_object();
  write_failures(json, result);
  json.member("gap_ms", ms(result.gap_ns));
  write_servers(json, measured);
}

struct Ratios {
  Spread rate, p99, cpu, cpu_target, cpu_bare, rate_target, rate_bare;
};

Ratios ratios_of(const std::vector<Round>& rounds) {
  std::vector<double> rate, p99, cpu, cpu_target, cpu_bare, rate_target, rate_bare;
  for (const Round& round : rounds) {
    rate_target.push_back(round.target.result.rate());
    rate_bare.push_back(round.bare.result.rate());
    cpu_target.push_back(round.target.cpu_us_per_request());
    cpu_bare.push_back(round.bare.cpu_us_per_request());
    if (cpu_target.back() > 0 && cpu_bare.back() > 0) cpu.push_back(cpu_target.back() / cpu_bare.back());
    if (rate_bare.back() > 0) rate.push_back(rate_target.back() / rate_bare.back());
    const auto bare_p99 = static_cast<double>(round.bare.result.total().percentile(99));
    if (bare_p99 > 0)
      p99.push_back(static_cast<double>(round.target.result.total().percentile(99)) / bare_p99);
  }
  return {spread(rate),     spread(p99),         spread(cpu),      spread(cpu_target),
          spread(cpu_bare), spread(rate_target), spread(rate_bare)};
}

void write_yardstick(JsonWriter& json, const std::vector<Round>& rounds) {
  const Ratios ratios = ratios_of(rounds);
  json.key("yardstick").begin_object();
  write_spread(json, "ratio_of_rates", ratios.rate);
  write_spread(json, "ratio_of_p99", ratios.p99);
  write_spread(json, "ratio_of_cpu", ratios.cpu);
  write_spread(json, "rate", ratios.rate_target);
  write_spread(json, "rate_bare", ratios.rate_bare);
  write_spread(json, "cpu_us_per_request", ratios.cpu_target);
  write_spread(json, "cpu_us_per_request_bare", ratios.cpu_bare);
  json.key("rounds").begin_array();
  for (const Round& round : rounds) {
    json.begin_object().key("target").begin_object();
    write_result(json, round.target);
    json.end_object().key("bare").begin_object();
    write_result(json, round.bare);
    json.end_object().end_object();
  }
  json.end_array().end_object();
}

void append_latencies(std::string& out, const RunResult& result) {
  append_latency_head(out);
  append_latency(out, "all", result.total());
  for (size_t kind = 0; kind < kKinds; ++kind) {
    if (result.latency[kind].count() > 0)
      append_latency(out, kind_name(static_cast<Kind>(kind)), result.latency[kind]);
  }
}

void append_servers(std::string& out, const RunResult& result) {
  append_failures(out, "failed", result);
  auto to = std::back_inserter(out);
  for (const ServerResult& one : result.servers) {
    if (!one.targeted) continue;
    fmt::format_to(to,
                   "server   {:>10}  {}: {} failed, {} connections lost, longest time without a success {}\n",
                   one.ok, one.name, one.failed, one.connections_lost, span_text(one.gap_ns));
  }
  if (result.servers.size() > 1)
    fmt::format_to(to, "longest time without a success anywhere: {}\n", span_text(result.gap_ns));
}

void append_cpu(std::string& out, const Measured& measured) {
  const auto requests = static_cast<double>(std::max<uint64_t>(measured.result.ok(), 1));
  for (const ServerCpu& one : measured.cpu)
    fmt::format_to(std::back_inserter(out), "CPU      {:>7.2f} us/request  {} (pid {}), {:.0f} % of a core\n",
                   one.us / requests, one.server, one.pid, one.us / measured.result.seconds() / 1e4);
}

std::string in_words(const Spread& spread, const char* format) {
  return fmt::format("{} ({} to {})", fmt::format(fmt::runtime(format), spread.median),
                     fmt::format(fmt::runtime(format), spread.min),
                     fmt::format(fmt::runtime(format), spread.max));
}

std::string yardstick_text(const std::vector<Round>& rounds) {
  const Ratios ratios = ratios_of(rounds);
  std::string out =
      fmt::format("{} rounds, target and bare server in turn; median (min to max)\n", rounds.size());
  auto to = std::back_inserter(out);
  fmt::format_to(to, "rate, target to bare     {}\n", in_words(ratios.rate, "{:.3f}"));
  fmt::format_to(to, "p99, target to bare      {}\n", in_words(ratios.p99, "{:.2f}"));
  if (ratios.cpu.max > 0) fmt::format_to(to, "CPU, target to bare      {}\n", in_words(ratios.cpu, "{:.2f}"));
  fmt::format_to(to, "requests/s, target       {}\n", in_words(ratios.rate_target, "{:.0f}"));
  fmt::format_to(to, "requests/s, bare         {}\n", in_words(ratios.rate_bare, "{:.0f}"));
  if (ratios.cpu_target.max > 0)
    fmt::format_to(to, "CPU us/request, target   {}\n", in_words(ratios.cpu_target, "{:.2f}"));
  fmt::format_to(to, "CPU us/request, bare     {}\n", in_words(ratios.cpu_bare, "{:.2f}"));
  return out;
}

}  // namespace

std::string span_text(uint64_t ns) {
  const double value = static_cast<double>(ns);
  if (ns < 1'000'000) return fmt::format("{:.3g} us", value / 1e3);
  if (ns < 1'000'000'000) return fmt::format("{:.3g} ms", value / 1e6);
  return fmt::format("{:.3g} s", value / 1e9);
}

void write_latency(JsonWriter& json, const Histogram& latency) {
  json.begin_object().member("count", latency.count()).member("min", us(latency.min()));
  json.member("mean", latency.mean() / 1e3);
  for (const double percent : kPercentiles)
    json.member(fmt::format("p{}", percent), us(latency.percentile(percent)));
  json.member("max", us(latency.max())).end_object();
}

void write_failures(JsonWriter& json, const RunResult& result) {
  json.key("failures").begin_array();
  for (const auto& [kind, count] : result.failures) {
    json.begin_object().member("what", kind.what).member("outcome", kind.outcome).member("count", count);
    json.end_object();
  }
  json.end_array();
}

void write_intervals(JsonWriter& json, const RunResult& result) {
  json.key("intervals").begin_array();
  for (const Interval& one : result.intervals) {
    json.begin_object().member("at_s", one.at_s).member("rate", static_cast<double>(one.ok) / one.seconds);
    json.member("failed", one.failed).member("p50_us", us(one.p50_ns)).member("p99_us", us(one.p99_ns));
    json.member("max_us", us(one.max_ns)).end_object();
  }
  json.end_array();
}

void append_failures(std::string& out, const char* name, const RunResult& result) {
  for (const auto& [kind, count] : result.failures)
    fmt::format_to(std::back_inserter(out), "{:8} {:>10}  {}{}{}\n", name, count, kind.what,
                   kind.outcome.empty() ? "" : ", outcome ", kind.outcome);
}

void append_latency_head(std::string& out) {
  fmt::format_to(std::back_inserter(out), "{:8} {:>10}", "latency", "count");
  for (const double percent : kPercentiles)
    fmt::format_to(std::back_inserter(out), " {:>9}", fmt::format("p{}", percent));
  fmt::format_to(std::back_inserter(out), " {:>9}\n", "max");
}

void append_latency(std::string& out, const char* name, const Histogram& latency) {
  fmt::format_to(std::back_inserter(out), "{:8} {:>10}", name, latency.count());
  for (const double percent : kPercentiles)
    fmt::format_to(std::back_inserter(out), " {:>9}", span_text(latency.percentile(percent)));
  fmt::format_to(std::back_inserter(out), " {:>9}\n", span_text(latency.max()));
}

double Measured::cpu_us_per_request() const {
  double sum = 0;
  for (const ServerCpu& one : cpu) sum += one.us;
  return result.ok() == 0 ? 0 : sum / static_cast<double>(result.ok());
}

Spread spread(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {median, values.front(), values.back()};
}

std::string run_text(const RunReport& report) {
  const RunResult& result = report.measured.result;
  std::string out;
  if (!report.rounds.empty()) out += yardstick_text(report.rounds) + "\nthe target in the last round:\n";
  fmt::format_to(std::back_inserter(out), "{:.0f} requests/s for {:.2f} s", result.rate(), result.seconds());
  if (report.options.rate > 0)
    fmt::format_to(std::back_inserter(out), ", {:.0f} intended", report.options.rate);
  fmt::format_to(std::back_inserter(out), "; {} ok ({} of them found nothing), {} failed", result.ok(),
                 result.not_found, result.failed());
  if (result.unsent.count() > 0)
    fmt::format_to(std::back_inserter(out), ", {} never sent (they count in the latency)",
                   result.unsent.count());
  out += '\n';
  append_latencies(out, result);
  append_servers(out, result);
  append_cpu(out, report.measured);
  return out;
}

std::string run_json(const RunReport& report) {
  JsonWriter json;
  json.begin_object().member("command", "run");
  write_options(json, report.options);
  write_result(json, report.measured);
  write_intervals(json, report.measured.result);
  if (!report.rounds.empty()) write_yardstick(json, report.rounds);
  return json.end_object().take() + "\n";
}

std::string run_csv(const RunReport& report) {
  const RunResult& result = report.measured.result;
  std::string out = "kind,count,rate";
  for (const double percent : kPercentiles) out += fmt::format(",p{}_us", percent);
  out += ",max_us\n";
  const auto line = [&](const char* name, const Histogram& latency, double rate) {
    out += fmt::format("{},{},{:.1f}", name, latency.count(), rate);
    for (const double percent : kPercentiles) out += fmt::format(",{:.1f}", us(latency.percentile(percent)));
    out += fmt::format(",{:.1f}\n", us(latency.max()));
  };
  line("all", result.total(), result.rate());
  const double seconds = std::max(result.seconds(), 1e-9);
  for (size_t kind = 0; kind < kKinds; ++kind) {
    const Histogram& latency = result.latency[kind];
    if (latency.count() > 0)
      line(kind_name(static_cast<Kind>(kind)), latency, static_cast<double>(latency.count()) / seconds);
  }
  return out;
}

}  // namespace kvd::load
