// What kvload draws: of a run, of queues and of topics, the latencies by percentile and the rate over time, of elections
// how their steps are distributed. Pure; svg_plot.hpp does the drawing.
#pragma once
#include <string>
#include <vector>

#include "kvload/election.hpp"
#include "kvload/queue_load.hpp"
#include "kvload/report.hpp"
#include "kvload/topic_load.hpp"

namespace kvd::load {

std::string run_plot(const RunReport& report);
std::string queue_plot(const QueueReport& report);
std::string topic_plot(const TopicReport& report);
std::string election_plot(const ElectionOptions& options, const std::vector<ElectionSeries>& series);

}  // namespace kvd::load
