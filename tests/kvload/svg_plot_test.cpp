// Plots are well-formed XML whatever they are given, and show what there is. A small reader of tags is all that the
// check needs: every tag is closed by its own name, every attribute quoted, and no stray characters stand in text.
#include "kvload/svg_plot.hpp"

#include <doctest.h>

#include <cctype>

#include "kvload/plots.hpp"

namespace kvd::load {
namespace {

// Why this is not well-formed; empty: it is.
std::string flaw(std::string_view xml) {
  std::vector<std::string> open;
  for (size_t at = 0; at < xml.size(); ++at) {
    if (xml[at] == '&') {
      const std::string_view entity = xml.substr(at, xml.find(';', at) - at + 1);
      if (entity != "&amp;" && entity != "&lt;" && entity != "&gt;" && entity != "&quot;") return "an open &";
    }
    if (xml[at] == '>') return "a stray >";
    if (xml[at] != '<') continue;
    const size_t end = xml.find('>', at);
    if (end == std::string_view::npos) return "an open <";
    const std::string_view tag = xml.substr(at + 1, end - at - 1);
    if (tag.find('<') != std::string_view::npos) return "a < within a tag";
    if (std::count(tag.begin(), tag.end(), '"') % 2 != 0) return "an open quote";
    const std::string name(tag.substr(tag.starts_with('/') ? 1 : 0,
                                      tag.find_first_of(" /", 1) - (tag.starts_with('/') ? 1 : 0)));
    if (tag.starts_with('/')) {
      if (open.empty() || open.back() != name) return "closes " + name;
      open.pop_back();
    } else if (!tag.starts_with('?') && !tag.ends_with('/')) {
      open.push_back(name);
    }
    at = end;
  }
  return open.empty() ? "" : "leaves open " + open.back();
}

}  // namespace

TEST_CASE("the check for well-formedness sees flaws") {
  for (const char* bad : {"<a>", "<a></b>", "<a>&x</a>", "<a b=\"></a>", "<a>></a>", "<a", "<a <b/>"})
    CHECK_MESSAGE(!flaw(bad).empty(), bad);
  CHECK(flaw("<?xml version=\"1.0\"?><a b=\"c\"><d/>&amp;</a>").empty());
}

TEST_CASE("a plot is well-formed whatever it is called and given") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::string nasty = "a<b>&\"c\"\n";
  for (const bool log : {false, true}) {
    const Panel panel{
        nasty,
        nasty,
        nasty,
        {{nasty, {{0, 0}, {1, 5}, {2, -1}, {3, nan}}, false}, {"flat", {{1, 7}}, true}, {"none", {}, false}},
        log,
        log,
        {}};
    const std::string svg = svg_plot(nasty, nasty, {panel, Panel{}});
    CHECK(flaw(svg).empty());
    CHECK(svg.find("nan") == std::string::npos);
    CHECK(svg.find("inf") == std::string::npos);
  }
}

TEST_CASE("a run's plot has its three panels") {
  const RunOptions options;
  RunReport report{options, {RunResult({"a:1"}, 0, 1000), {}}, {}};
  RunResult& result = report.measured.result;
  for (uint64_t i = 1; i <= 1000; ++i) {
    result.record_ok(i % 2 == 0 ? Kind::kGet : Kind::kPut, 0, i * 1000, i * 10, true);
    result.tick(i * 10);
  }
  result.record_failure(0, "x", "");
  result.finish(10'000);
  const std::string svg = run_plot(report);
  CHECK(flaw(svg).empty());
  for (const char* expected : {"Latency by percentile", "99.9 %", "Rate over time", "Latency over time",
                               ">get<", ">put<", ">all<", ">failed<"})
    CHECK_MESSAGE(svg.find(expected) != std::string::npos, expected);
  const RunReport empty{options, {RunResult({"a:1"}, 0, 0), {}}, {}};
  CHECK(flaw(run_plot(empty)).empty());
}

TEST_CASE("elections are drawn side by side") {
  const ElectionOptions options;
  ElectionRun near{"dead", 5.0, 8.0, 9.0, 10.0, 11.0, 30.0};
  ElectionRun unknown;
  ElectionRun far;
  far.accepted = 60;
  const std::vector<ElectionSeries> series{{0, {near, unknown}}, {25, {far}}};
  const std::string svg = election_plot(options, series);
  CHECK(flaw(svg).empty());
  CHECK(svg.find("ZooKeeper 25 ms away") != std::string::npos);
  CHECK(svg.find("first accepted write") != std::string::npos);
  CHECK(election_csv(series) ==
        "zookeeper_delay_ms,cause,detected_ms,new_leader_ms,activated_ms,first_write_ms,gap_ms,in_sync_ms\n"
        "0,dead,5.0,8.0,9.0,10.0,11.0,30.0\n0,,,,,,,\n25,,,,,60.0,,\n");
  CHECK(election_text(options, series).find("old leader back in sync            1     30.0") !=
        std::string::npos);
}

}  // namespace kvd::load
