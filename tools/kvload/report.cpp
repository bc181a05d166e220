// See report.hpp.
#include "kvload/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace kvd::load {
namespace {

using Json = nlohmann::ordered_json;

double us(uint64_t ns) { return static_cast<double>(ns) / 1e3; }
double ms(uint64_t ns) { return static_cast<double>(ns) / 1e6; }

const char* role_name(Role role) {
  return role == Role::kAll ? "all" : role == Role::kLeader ? "leader" : "followers";
}

const char* order_name(KeyOrder order) {
  return order == KeyOrder::kUniform ? "uniform" : order == KeyOrder::kZipfian ? "zipfian" : "sequential";
}

// A duration as people like it: three digits and a unit.
std::string span(uint64_t ns) {
  const double value = static_cast<double>(ns);
  if (ns < 1'000'000) return fmt::format("{:.3g} us", value / 1e3);
  if (ns < 1'000'000'000) return fmt::format("{:.3g} ms", value / 1e6);
  return fmt::format("{:.3g} s", value / 1e9);
}

Json latency_json(const Histogram& latency) {
  Json json;
  json["count"] = latency.count();
  json["min"] = us(latency.min());
  json["mean"] = latency.mean() / 1e3;
  for (const double percent : kPercentiles)
    json[fmt::format("p{}", percent)] = us(latency.percentile(percent));
  json["max"] = us(latency.max());
  return json;
}

Json spread_json(const Spread& spread) {
  return {{"median", spread.median}, {"min", spread.min}, {"max", spread.max}};
}

Json options_json(const RunOptions& options) {
  Json mix;
  for (size_t kind = 0; kind < kKinds; ++kind)
    mix[kind_name(static_cast<Kind>(kind))] = options.load.mix[kind];
  return {{"servers", options.servers},
          {"to", role_name(options.to)},
          {"connections", options.load.connections},
          {"pipeline", options.load.pipeline},
          {"rate", options.rate},
          {"mix", mix},
          {"order", order_name(options.load.order)},
          {"keys", options.load.keys},
          {"key_size", options.load.key_shape.bytes},
          {"value_size_mean", options.load.value_sizes.mean()},
          {"warm_up_s", options.warm_up_s}};
}

void add_result(Json& json, const Measured& measured) {
  const Result& result = measured.result;
  json["seconds"] = result.seconds();
  json["requests"] = result.ok() + result.failed();
  json["ok"] = result.ok();
  json["in_time"] = result.in_time;
  json["not_found"] = result.not_found;
  json["failed"] = result.failed();
  json["unsent"] = result.unsent.count();
  json["rate"] = result.rate();
  json["latency_us"] = latency_json(result.total());
  json["by_kind"] = Json::object();
  for (size_t kind = 0; kind < kKinds; ++kind) {
    if (result.latency[kind].count() > 0)
      json["by_kind"][kind_name(static_cast<Kind>(kind))] = latency_json(result.latency[kind]);
  }
  json["failures"] = Json::array();
  for (const auto& [kind, count] : result.failures)
    json["failures"].push_back({{"what", kind.what}, {"outcome", kind.outcome}, {"count", count}});
  json["gap_ms"] = ms(result.gap_ns);
  json["by_server"] = Json::array();
  for (const ServerResult& one : result.servers) {
    Json server{{"server", one.name},
                {"ok", one.ok},
                {"failed", one.failed},
                {"connections_lost", one.connections_lost},
                {"gap_ms", nullptr}};
    if (one.targeted) server["gap_ms"] = ms(one.gap_ns);
    json["by_server"].push_back(server);
  }
  json["cpu"] = Json::array();
  for (const ServerCpu& one : measured.cpu)
    json["cpu"].push_back({{"server", one.server}, {"pid", one.pid}, {"ms", one.us / 1e3}});
  json["cpu_us_per_request"] = measured.cpu.empty() ? Json(nullptr) : Json(measured.cpu_us_per_request());
}

Json intervals_json(const Result& result) {
  Json list = Json::array();
  for (const Interval& one : result.intervals)
    list.push_back({{"at_s", one.at_s},
                    {"rate", static_cast<double>(one.ok) / one.seconds},
                    {"failed", one.failed},
                    {"p50_us", us(one.p50_ns)},
                    {"p99_us", us(one.p99_ns)},
                    {"max_us", us(one.max_ns)}});
  return list;
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

Json yardstick_json(const std::vector<Round>& rounds) {
  const Ratios ratios = ratios_of(rounds);
  Json json{{"ratio_of_rates", spread_json(ratios.rate)},
            {"ratio_of_p99", spread_json(ratios.p99)},
            {"ratio_of_cpu", spread_json(ratios.cpu)},
            {"rate", spread_json(ratios.rate_target)},
            {"rate_bare", spread_json(ratios.rate_bare)},
            {"cpu_us_per_request", spread_json(ratios.cpu_target)},
            {"cpu_us_per_request_bare", spread_json(ratios.cpu_bare)},
            {"rounds", Json::array()}};
  for (const Round& round : rounds) {
    Json one;
    add_result(one["target"], round.target);
    add_result(one["bare"], round.bare);
    json["rounds"].push_back(one);
  }
  return json;
}

void append_latency(std::string& out, const char* name, const Histogram& latency) {
  fmt::format_to(std::back_inserter(out), "{:8} {:>10}", name, latency.count());
  for (const double percent : kPercentiles)
    fmt::format_to(std::back_inserter(out), " {:>9}", span(latency.percentile(percent)));
  fmt::format_to(std::back_inserter(out), " {:>9}\n", span(latency.max()));
}

void append_latencies(std::string& out, const Result& result) {
  fmt::format_to(std::back_inserter(out), "{:8} {:>10}", "latency", "count");
  for (const double percent : kPercentiles)
    fmt::format_to(std::back_inserter(out), " {:>9}", fmt::format("p{}", percent));
  fmt::format_to(std::back_inserter(out), " {:>9}\n", "max");
  append_latency(out, "all", result.total());
  for (size_t kind = 0; kind < kKinds; ++kind) {
    if (result.latency[kind].count() > 0)
      append_latency(out, kind_name(static_cast<Kind>(kind)), result.latency[kind]);
  }
}

void append_failures(std::string& out, const Result& result) {
  auto to = std::back_inserter(out);
  for (const auto& [kind, count] : result.failures)
    fmt::format_to(to, "failed   {:>10}  {}{}{}\n", count, kind.what,
                   kind.outcome.empty() ? "" : ", outcome ", kind.outcome);
  for (const ServerResult& one : result.servers) {
    if (!one.targeted) continue;
    fmt::format_to(to,
                   "server   {:>10}  {}: {} failed, {} connections lost, longest time without a success {}\n",
                   one.ok, one.name, one.failed, one.connections_lost, span(one.gap_ns));
  }
  if (result.servers.size() > 1)
    fmt::format_to(to, "longest time without a success anywhere: {}\n", span(result.gap_ns));
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
  const Result& result = report.measured.result;
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
  append_failures(out, result);
  append_cpu(out, report.measured);
  return out;
}

std::string run_json(const RunReport& report) {
  Json json{{"command", "run"}, {"options", options_json(report.options)}};
  add_result(json, report.measured);
  json["intervals"] = intervals_json(report.measured.result);
  if (!report.rounds.empty()) json["yardstick"] = yardstick_json(report.rounds);
  return json.dump(2) + "\n";
}

std::string run_csv(const RunReport& report) {
  const Result& result = report.measured.result;
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
