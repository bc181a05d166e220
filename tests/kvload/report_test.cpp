// The reports of a run say the same thing in all forms, and what they say adds up. They are made from a result that
// was never measured.
#include "kvload/report.hpp"

#include <doctest.h>

#include <nlohmann/json.hpp>

namespace kvd::load {
namespace {

Result made_result() {
  Result result({"a:1", "b:2"}, 1'000'000'000, 100'000'000);
  result.set_targets({0}, 1'000'000'000);
  for (uint64_t i = 1; i <= 100; ++i)
    result.record_ok(Kind::kGet, 0, i * 1'000'000, 1'000'000'000 + i * 10'000'000, i != 50);
  result.record_failure(0, "503 no-leader", "not-applied");
  result.tick(2'000'000'000);
  result.finish(3'000'000'000);
  return result;
}

}  // namespace

TEST_CASE("the JSON of a run adds up") {
  const RunOptions options;
  RunReport report{options, {made_result(), {{"a:1", 12, 5000}}}, {}};
  const auto json = nlohmann::json::parse(run_json(report));
  CHECK(json["ok"] == 100);
  CHECK(json["failed"] == 1);
  CHECK(json["requests"] == 101);
  CHECK(json["not_found"] == 1);
  CHECK(json["rate"] == doctest::Approx(50));
  CHECK(json["latency_us"]["count"] == 100);
  CHECK(json["latency_us"]["p50"].get<double>() == doctest::Approx(50'000).epsilon(0.01));
  CHECK(json["latency_us"]["p99.99"] == 100'000);
  CHECK(json["by_kind"]["get"] == json["latency_us"]);
  CHECK(json["failures"][0]["outcome"] == "not-applied");
  CHECK(json["gap_ms"] == 1000);
  CHECK(json["by_server"][0]["gap_ms"] == 1000);
  CHECK(json["by_server"][1]["gap_ms"].is_null());
  CHECK(json["cpu_us_per_request"] == 50);
  CHECK(json["intervals"].size() == 1);
  CHECK(!json.contains("yardstick"));
}

TEST_CASE("text and CSV have every percentile") {
  const RunOptions options;
  const RunReport report{options, {made_result(), {}}, {}};
  const std::string text = run_text(report);
  CHECK(text.find("p99.99") != std::string::npos);
  CHECK(text.find("503 no-leader, outcome not-applied") != std::string::npos);
  const std::string csv = run_csv(report);
  CHECK(csv.starts_with(
      "kind,count,rate,p50_us,p75_us,p90_us,p95_us,p99_us,p99.9_us,p99.99_us,max_us\nall,100,50.0,"));
  CHECK(csv.find("\nget,100,") != std::string::npos);
}

TEST_CASE("a yardstick gives ratios with their spread") {
  RunOptions options;
  RunReport report{options, {made_result(), {}}, {}};
  Round round{{made_result(), {{"a:1", 1, 100}}}, {made_result(), {{"bare", 2, 50}}}};
  report.rounds.assign(3, round);
  report.rounds[0].target.result.in_time = 50;
  const auto json = nlohmann::json::parse(run_json(report))["yardstick"];
  CHECK(json["ratio_of_rates"]["median"] == 1);
  CHECK(json["ratio_of_rates"]["min"] == 0.5);
  CHECK(json["ratio_of_p99"]["max"] == 1);
  CHECK(json["ratio_of_cpu"]["median"] == 2);
  CHECK(json["cpu_us_per_request"]["median"] == 1);
  CHECK(json["cpu_us_per_request_bare"]["median"] == 0.5);
  CHECK(json["rounds"].size() == 3);
  CHECK(run_text(report).find("rate, target to bare     1.000 (0.500 to 1.000)") != std::string::npos);
}

TEST_CASE("a server's gap counts only while requests are meant for it") {
  Result result({"a:1", "b:2"}, 0, 0);
  result.set_targets({0}, 0);
  result.record_ok(Kind::kPut, 0, 1, 10, true);
  result.set_targets({1}, 15);
  result.record_ok(Kind::kPut, 1, 1, 35, true);
  result.finish(40);
  CHECK(result.servers[0].gap_ns == 10);
  CHECK(result.servers[1].gap_ns == 20);
  CHECK(result.gap_ns == 25);
}

TEST_CASE("the spread of values") {
  CHECK(spread({}).median == 0);
  CHECK(spread({3, 1, 2}).median == 2);
  CHECK(spread({4, 1, 2, 3}).median == 2.5);
  CHECK(spread({4, 1, 2, 3}).max == 4);
}

}  // namespace kvd::load
