// See result.hpp.
#include "kvload/result.hpp"

#include <algorithm>

namespace kvd::load {

RunResult::RunResult(const std::vector<std::string>& names, uint64_t now, uint64_t interval_ns)
    : started(now), last_ok_(now), interval_ns_(interval_ns), interval_began_(now) {
  for (const std::string& name : names) {
    servers.emplace_back().name = name;
    servers.back().last_ok = now;
  }
}

void RunResult::record_ok(Kind kind, size_t server, uint64_t latency_ns, uint64_t now, bool found) {
  latency[static_cast<size_t>(kind)].record(latency_ns);
  interval_latency_.record(latency_ns);
  if (!found) ++not_found;
  if (ended == 0) ++in_time;
  ServerResult& one = servers[server];
  ++one.ok;
  if (one.is_target) one.gap_ns = std::max(one.gap_ns, now - one.last_ok);
  one.last_ok = now;
  gap_ns = std::max(gap_ns, now - last_ok_);
  last_ok_ = now;
}

void RunResult::record_failure(size_t server, std::string_view what, std::string_view outcome) {
  ++failures[FailureKind{std::string(what), std::string(outcome)}];
  ++servers[server].failed;
  ++interval_failed_;
}

void RunResult::set_targets(const std::vector<size_t>& indices, uint64_t now) {
  for (size_t i = 0; i < servers.size(); ++i) {
    ServerResult& one = servers[i];
    const bool is_target = std::find(indices.begin(), indices.end(), i) != indices.end();
    if (one.is_target && !is_target) one.gap_ns = std::max(one.gap_ns, now - one.last_ok);
    if (!one.is_target && is_target) one.last_ok = now;
    one.is_target = is_target;
    one.targeted |= is_target;
  }
}

void RunResult::tick(uint64_t now) {
  if (interval_ns_ == 0 || now < interval_began_ + interval_ns_ || ended != 0) return;
  Interval interval;
  interval.at_s = static_cast<double>(now - started) / 1e9;
  interval.seconds = static_cast<double>(now - interval_began_) / 1e9;
  interval.ok = interval_latency_.count();
  interval.failed = interval_failed_;
  interval.p50_ns = interval_latency_.percentile(50);
  interval.p99_ns = interval_latency_.percentile(99);
  interval.max_ns = interval_latency_.max();
  intervals.push_back(interval);
  interval_latency_.clear();
  interval_failed_ = 0;
  interval_began_ = now;
}

void RunResult::finish(uint64_t now) {
  ended = now;
  gap_ns = std::max(gap_ns, now - last_ok_);
  set_targets({}, now);
}

Histogram RunResult::total() const {
  Histogram sum = unsent;
  for (const Histogram& one : latency) sum.add(one);
  return sum;
}

uint64_t RunResult::ok() const {
  uint64_t sum = 0;
  for (const Histogram& one : latency) sum += one.count();
  return sum;
}

uint64_t RunResult::failed() const {
  uint64_t sum = 0;
  for (const auto& [kind, count] : failures) sum += count;
  return sum;
}

}  // namespace kvd::load
