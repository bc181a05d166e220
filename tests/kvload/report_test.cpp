// The reports of a run say the same thing in all forms, and what they say adds up. They are made from a result that
// was never measured.
#include "kvload/report.hpp"

#include <doctest.h>
#include <simdjson.h>

namespace kvd::load {
namespace {

RunResult made_result() {
  RunResult result({"a:1", "b:2"}, 1'000'000'000, 100'000'000);
  result.set_targets({0}, 1'000'000'000);
  for (uint64_t i = 1; i <= 100; ++i)
    result.record_ok(Kind::kGet, 0, i * 1'000'000, 1'000'000'000 + i * 10'000'000, i != 50);
  result.record_failure(0, "503 no-leader", "not-applied");
  result.tick(2'000'000'000);
  result.finish(3'000'000'000);
  return result;
}

// One figure of what a run says, by its JSON pointer (RFC 6901).
double figure(const std::string& json, const std::string& pointer) {
  simdjson::dom::parser parser;
  double number = -1;
  const auto error = parser.parse(json).at_pointer(pointer).get(number);
  REQUIRE_MESSAGE(!error, pointer);
  return number;
}

}  // namespace

TEST_CASE("the JSON of a run adds up") {
  const RunOptions options;
  RunReport report{options, {made_result(), {{"a:1", 12, 5000}}}, {}};
  const std::string json = run_json(report);
  CHECK(figure(json, "/ok") == 100);
  CHECK(figure(json, "/failed") == 1);
  CHECK(figure(json, "/requests") == 101);
  CHECK(figure(json, "/not_found") == 1);
  CHECK(figure(json, "/rate") == doctest::Approx(50));
  CHECK(figure(json, "/latency_us/count") == 100);
  CHECK(figure(json, "/latency_us/p50") == doctest::Approx(50'000).epsilon(0.01));
  CHECK(figure(json, "/latency_us/p99.99") == 100'000);
  CHECK(figure(json, "/by_kind/get/p99.99") == 100'000);
  CHECK(figure(json, "/gap_ms") == 1000);
  CHECK(figure(json, "/by_server/0/gap_ms") == 1000);
  CHECK(figure(json, "/cpu_us_per_request") == 50);
  CHECK(figure(json, "/intervals/0/failed") == 1);
  simdjson::dom::parser parser;
  const simdjson::dom::element root = parser.parse(json);
  CHECK(std::string_view(root.at_pointer("/failures/0/outcome")) == "not-applied");
  CHECK(root.at_pointer("/by_server/1/gap_ms").is_null());
  CHECK(simdjson::dom::array(root["intervals"]).size() == 1);
  CHECK(root["yardstick"].error() == simdjson::NO_SUCH_FIELD);
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
  const std::string json = run_json(report);
  CHECK(figure(json, "/yardstick/ratio_of_rates/median") == 1);
  CHECK(figure(json, "/yardstick/ratio_of_rates/min") == 0.5);
  CHECK(figure(json, "/yardstick/ratio_of_p99/max") == 1);
  CHECK(figure(json, "/yardstick/ratio_of_cpu/median") == 2);
  CHECK(figure(json, "/yardstick/cpu_us_per_request/median") == 1);
  CHECK(figure(json, "/yardstick/cpu_us_per_request_bare/median") == 0.5);
  CHECK(figure(json, "/yardstick/rounds/2/bare/ok") == 100);
  CHECK(run_text(report).find("rate, target to bare     1.000 (0.500 to 1.000)") != std::string::npos);
}

TEST_CASE("a server's gap counts only while requests are meant for it") {
  RunResult result({"a:1", "b:2"}, 0, 0);
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
