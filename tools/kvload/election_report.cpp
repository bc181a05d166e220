// See election.hpp: the half that writes down what was measured.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/json_writer.hpp"
#include "kvload/election.hpp"

namespace kvd::load {
namespace {

const char* stop_name(Stop how) {
  return how == Stop::kKill ? "SIGKILL" : how == Stop::kFreeze ? "SIGSTOP" : "SIGTERM";
}

double at_percent(const std::vector<double>& sorted, double percent) {
  const auto rank = static_cast<size_t>(std::ceil(static_cast<double>(sorted.size()) * percent / 100));
  return sorted[std::max<size_t>(rank, 1) - 1];
}

}  // namespace

const std::vector<ElectionFigure> kElectionFigures = {
    {"detected", "detected", &ElectionRun::detected},
    {"new_leader", "new leader", &ElectionRun::elected},
    {"activated", "new leader is ready", &ElectionRun::activated},
    {"first_write", "first accepted write", &ElectionRun::accepted},
    {"gap", "longest without a write", &ElectionRun::gap},
    {"in_sync", "old leader back in sync", &ElectionRun::in_sync},
};

std::vector<double> known_values(const ElectionSeries& series, const ElectionFigure& figure) {
  std::vector<double> values;
  for (const ElectionRun& run : series.runs) {
    if (run.*figure.member) values.push_back(*(run.*figure.member));
  }
  std::sort(values.begin(), values.end());
  return values;
}

std::string election_text(const ElectionOptions& options, const std::vector<ElectionSeries>& all) {
  std::string out = fmt::format(
      "milliseconds since {} to the leader ('back in sync': since it was {}); one ZooKeeper, three servers\n",
      stop_name(options.how), options.how == Stop::kFreeze ? "thawed" : "started again");
  for (const ElectionSeries& series : all) {
    fmt::format_to(std::back_inserter(out), "\n{:30} {:>5} {:>8} {:>8} {:>8} {:>8}\n",
                   fmt::format("ZooKeeper {} ms away", series.delay_ms), "runs", "min", "p50", "p90", "max");
    for (const ElectionFigure& figure : kElectionFigures) {
      const std::vector<double> values = known_values(series, figure);
      if (values.empty()) continue;
      fmt::format_to(std::back_inserter(out), "{:30} {:>5} {:>8.1f} {:>8.1f} {:>8.1f} {:>8.1f}\n",
                     figure.title, values.size(), values.front(), at_percent(values, 50),
                     at_percent(values, 90), values.back());
    }
  }
  return out;
}

std::string election_json(const ElectionOptions& options, const std::vector<ElectionSeries>& all) {
  JsonWriter json;
  json.begin_object().member("command", "election").member("signal", stop_name(options.how));
  json.key("series").begin_array();
  for (const ElectionSeries& series : all) {
    json.begin_object().member("zookeeper_delay_ms", series.delay_ms).key("summary").begin_object();
    for (const ElectionFigure& figure : kElectionFigures) {
      const std::vector<double> values = known_values(series, figure);
      if (values.empty()) continue;
      json.key(fmt::format("{}_ms", figure.name)).begin_object();
      json.member("count", values.size()).member("min", values.front());
      json.member("p50", at_percent(values, 50)).member("p90", at_percent(values, 90));
      json.member("max", values.back()).end_object();
    }
    json.end_object().key("runs").begin_array();
    for (const ElectionRun& run : series.runs) {
      json.begin_object().member("cause", run.cause);
      for (const ElectionFigure& figure : kElectionFigures) {
        const auto& value = run.*figure.member;
        json.key(fmt::format("{}_ms", figure.name));
        value ? json.value(*value) : json.null();
      }
      json.end_object();
    }
    json.end_array().end_object();
  }
  return json.end_array().end_object().take() + "\n";
}

std::string election_csv(const std::vector<ElectionSeries>& all) {
  std::string out = "zookeeper_delay_ms,cause";
  for (const ElectionFigure& figure : kElectionFigures) out += fmt::format(",{}_ms", figure.name);
  out += '\n';
  for (const ElectionSeries& series : all) {
    for (const ElectionRun& run : series.runs) {
      out += fmt::format("{},{}", series.delay_ms, run.cause);
      for (const ElectionFigure& figure : kElectionFigures) {
        const auto& value = run.*figure.member;
        out += value ? fmt::format(",{:.1f}", *value) : std::string(",");
      }
      out += '\n';
    }
  }
  return out;
}

}  // namespace kvd::load
