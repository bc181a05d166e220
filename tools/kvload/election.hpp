// `kvload election`: a ZooKeeper and three kvd servers of its own in a temporary directory, whose leader is ended again
// and again. Everything it starts is ended by its pid before it returns, also when something fails or a signal comes.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "kvload/options.hpp"

namespace kvd::load {

// One end of a leader, in milliseconds since it was signalled; nothing: not known.
struct ElectionRun {
  std::string cause;                // as GET /v1/cluster/why names it
  std::optional<double> detected;   // the successor begins to doubt the leader
  std::optional<double> elected;    // the register names the successor
  std::optional<double> activated;  // the successor could acknowledge a write
  std::optional<double> accepted;   // the first write was acknowledged in the new epoch, as its client saw it
  std::optional<double> gap;      // the longest that the clients went without an acknowledgement around that
  std::optional<double> in_sync;  // since the old leader was started, or thawed: until it is in sync
};

struct ElectionSeries {
  uint32_t delay_ms = 0;
  std::vector<ElectionRun> runs;
};

int election_command(const ElectionOptions& options);

std::string election_text(const ElectionOptions& options, const std::vector<ElectionSeries>& series);
std::string election_json(const ElectionOptions& options, const std::vector<ElectionSeries>& series);
std::string election_csv(const std::vector<ElectionSeries>& series);

// The figures of a run, in the order of time, with the names that reports give them.
struct ElectionFigure {
  const char* name;   // in JSON and CSV, with _ms behind it
  const char* title;  // for people
  std::optional<double> ElectionRun::*member;
};
extern const std::vector<ElectionFigure> kElectionFigures;
// Of all runs that know it, sorted.
std::vector<double> known_values(const ElectionSeries& series, const ElectionFigure& figure);

}  // namespace kvd::load
