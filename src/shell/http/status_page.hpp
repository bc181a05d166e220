// One Status in the forms that people and machines ask for: JSON, Prometheus text (exposition format 0.0.4),
// health checks, ZooKeeper's four-letter words. Pure functions, any thread; they decide nothing.
#pragma once
#include <string>

#include "msg/client.hpp"
#include "shell/http/http_api.hpp"

namespace kvd {

std::string cluster_json(const Status& status, const HttpIdentity& identity);
std::string elections_json(const Status& status, const HttpIdentity& identity);  // newest first
std::string metrics_text(const Status& status, const HttpIdentity& identity, const HttpCounters& counters);
// For ?verbose: one line for each thing that matters, "[+]" or "[-]" first, the verdict last.
std::string health_text(const Status& status);
std::string stat_text(const Status& status, const HttpIdentity& identity, const HttpCounters& counters);
// Tab-separated, a line for each value; names start with kvd_, but for zk_server_state.
std::string mntr_text(const Status& status, const HttpIdentity& identity, const HttpCounters& counters);

inline constexpr std::string_view kPrometheusText = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace kvd
