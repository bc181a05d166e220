// See plots.hpp.
#include "kvload/plots.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "kvload/svg_plot.hpp"

namespace kvd::load {
namespace {

// Percentiles stand at 1 / (1 - share), so that each further nine gets as much room as the one before.
Panel percentiles_panel(const std::vector<std::pair<std::string, Histogram>>& histograms) {
  Panel panel{"Latency by percentile",
              "percentile",
              "milliseconds",
              {},
              true,
              true,
              {{1, "0"}, {2, "50 %"}, {10, "90 %"}, {100, "99 %"}, {1000, "99.9 %"}, {10'000, "99.99 %"}}};
  uint64_t largest = 0;
  for (const auto& [name, histogram] : histograms) {
    Series series{name, {}, true};
    largest = std::max(largest, histogram.count());
    for (const Histogram::Step& step : histogram.steps()) {
      const double left = static_cast<double>(histogram.count() - step.up_to);
      const double x =
          left == 0 ? static_cast<double>(histogram.count()) : static_cast<double>(histogram.count()) / left;
      series.points.emplace_back(std::min(x, 10'000.0), static_cast<double>(step.ns) / 1e6);
      if (x >= 10'000) break;
    }
    panel.series.push_back(std::move(series));
  }
  while (panel.x_marks.size() > 3 && panel.x_marks.back().first > static_cast<double>(largest) * 10)
    panel.x_marks.pop_back();
  return panel;
}

Series rate_series(const char* name, const RunResult& result, uint64_t Interval::*count) {
  Series series{name, {}, false};
  for (const Interval& one : result.intervals)
    series.points.emplace_back(one.at_s, static_cast<double>(one.*count) / one.seconds);
  return series;
}

Panel rate_panel(const RunResult& result) {
  Panel panel{"Rate over time", "seconds", "requests/s", {}, false, false, {}};
  panel.series.push_back(rate_series("answered", result, &Interval::ok));
  if (result.failed() > 0) panel.series.push_back(rate_series("failed", result, &Interval::failed));
  return panel;
}

Panel latency_panel(const RunResult& result) {
  Panel panel{"Latency over time", "seconds", "milliseconds", {}, false, true, {}};
  Series p50{"p50", {}, false};
  Series p99{"p99", {}, false};
  Series max{"max", {}, false};
  for (const Interval& one : result.intervals) {
    p50.points.emplace_back(one.at_s, static_cast<double>(one.p50_ns) / 1e6);
    p99.points.emplace_back(one.at_s, static_cast<double>(one.p99_ns) / 1e6);
    max.points.emplace_back(one.at_s, static_cast<double>(one.max_ns) / 1e6);
  }
  panel.series = {std::move(p50), std::move(p99), std::move(max)};
  return panel;
}

std::string message_plot(const MessageFigures& figures, const MessageOptions& options,
                         const std::string& who) {
  Panel rates{"Rate over time", "seconds", "messages/s", {}, false, false, {}};
  rates.series.push_back(rate_series("sent", figures.sends, &Interval::ok));
  rates.series.push_back(rate_series("received", figures.deliveries, &Interval::ok));
  const std::string loop = options.rate > 0 ? fmt::format("open loop of {:.0f} messages/s", options.rate)
                                            : std::string("closed loop");
  return svg_plot(
      fmt::format("{:.0f} messages/s", figures.deliveries.rate()),
      fmt::format("{}, {}, {} at a time; {:.1f} s; longest time without one received {:.1f} ms", loop, who,
                  options.batch, figures.deliveries.seconds(),
                  static_cast<double>(figures.deliveries.gap_ns) / 1e6),
      {percentiles_panel({{"send", figures.sends.total()}, {"send to receipt", figures.deliveries.total()}}),
       rates, latency_panel(figures.deliveries)});
}

}  // namespace

std::string run_plot(const RunReport& report) {
  const RunResult& result = report.measured.result;
  std::vector<std::pair<std::string, Histogram>> histograms;
  for (size_t kind = 0; kind < kKinds; ++kind) {
    if (result.latency[kind].count() > 0)
      histograms.emplace_back(kind_name(static_cast<Kind>(kind)), result.latency[kind]);
  }
  if (!report.rounds.empty()) {
    histograms = {{"target", result.total()}, {"bare server", report.rounds.back().bare.result.total()}};
  } else if (histograms.size() != 1) {
    histograms.insert(histograms.begin(), {"all", result.total()});
  }
  const LoadOptions& load = report.options.load;
  const std::string loop = report.options.rate > 0
                               ? fmt::format("open loop of {:.0f} requests/s", report.options.rate)
                               : std::string("closed loop");
  return svg_plot(
      fmt::format("{:.0f} requests/s", result.rate()),
      fmt::format("{}, {} connections, {} at a time; {:.1f} s, {} failed; longest time without a success "
                  "{:.1f} ms",
                  loop, load.connections, load.pipeline, result.seconds(), result.failed(),
                  static_cast<double>(result.gap_ns) / 1e6),
      {percentiles_panel(histograms), rate_panel(result), latency_panel(result)});
}

std::string queue_plot(const QueueReport& report) {
  const QueueOptions& options = report.options;
  return message_plot(report.figures, options,
                      fmt::format("{} producers, {} consumers", options.producers, options.consumers));
}

std::string topic_plot(const TopicReport& report) {
  const TopicOptions& options = report.options;
  return message_plot(report.figures, options,
                      fmt::format("{} publishers, {} subscriptions with {} consumers each", options.producers,
                                  options.subscriptions, options.consumers));
}

std::string election_plot(const ElectionOptions& options, const std::vector<ElectionSeries>& all) {
  // One panel for each step, so that the distances to ZooKeeper stand side by side.
  std::vector<Panel> panels;
  for (const ElectionFigure& figure : kElectionFigures) {
    Panel panel{figure.title,
                "percent of the elections",
                "milliseconds",
                {},
                false,
                true,
                {{0, "0"}, {25, "25 %"}, {50, "50 %"}, {75, "75 %"}, {100, "100 %"}}};
    for (const ElectionSeries& one : all) {
      const std::vector<double> values = known_values(one, figure);
      if (values.empty()) continue;
      Series series{fmt::format("ZooKeeper {} ms away", one.delay_ms), {{0, values.front()}}, false};
      for (size_t i = 0; i < values.size(); ++i)
        series.points.emplace_back(100 * static_cast<double>(i + 1) / static_cast<double>(values.size()),
                                   values[i]);
      panel.series.push_back(std::move(series));
    }
    panels.push_back(std::move(panel));
  }
  const char* how = options.how == Stop::kKill     ? "killed"
                    : options.how == Stop::kFreeze ? "frozen"
                                                   : "stopped";
  return svg_plot("Elections",
                  fmt::format("milliseconds after the leader was {}; {} runs each", how, options.runs),
                  panels);
}

}  // namespace kvd::load
