// What people and programs get to read of a run: text, JSON, CSV. Pure; latencies are microseconds, by the clock of
// the client.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/json_writer.hpp"
#include "kvload/options.hpp"
#include "kvload/result.hpp"

namespace kvd::load {

struct ServerCpu {
  std::string server;
  int pid = 0;
  double us = 0;  // used during the phase
};

struct Measured {
  RunResult result;
  std::vector<ServerCpu> cpu;  // of the servers that are on this machine

  double cpu_us_per_request() const;  // of all servers together; 0: not known
};

struct Spread {
  double median = 0;
  double min = 0;
  double max = 0;
};
Spread spread(std::vector<double> values);

struct Round {
  Measured target;
  Measured bare;
};

struct RunReport {
  const RunOptions& options;
  Measured measured;          // with a yardstick: of the last round
  std::vector<Round> rounds;  // of a yardstick
};

inline constexpr double kPercentiles[] = {50, 75, 90, 95, 99, 99.9, 99.99};

// Parts of reports, as other commands have them, too.
std::string span_text(uint64_t ns);  // three digits and a unit
void write_latency(JsonWriter& json, const Histogram& latency);
void write_failures(JsonWriter& json, const RunResult& result);
void write_intervals(JsonWriter& json, const RunResult& result);
void append_failures(std::string& out, const char* name, const RunResult& result);
void append_latency_head(std::string& out);
void append_latency(std::string& out, const char* name, const Histogram& latency);  // a line below it

std::string run_text(const RunReport& report);
std::string run_json(const RunReport& report);
std::string run_csv(const RunReport& report);

}  // namespace kvd::load
