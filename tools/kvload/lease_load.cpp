// See lease_load.hpp.
#include "kvload/lease_load.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json_writer.hpp"
#include "client/answers.hpp"
#include "kvload/histogram.hpp"
#include "kvload/load.hpp"
#include "kvload/number_behind.hpp"
#include "kvload/process_cpu.hpp"
#include "kvload/turns.hpp"
#include "msg/limits.hpp"

namespace kvd::load {
namespace {

constexpr size_t kLeaseLines = 48;
constexpr double kGrantPatience = 60;  // seconds for all to be granted
constexpr double kEndPatience = 20;    // and to be ended
constexpr uint64_t kMs = 1'000'000;    // in ns
constexpr uint64_t kRepeatAfter = 20 * kMs;
constexpr uint64_t kDialAfter = 50 * kMs;
constexpr uint64_t kAnswerMin = 100 * kMs;
constexpr size_t kNoLease = SIZE_MAX;

class LeaseLoad final : public ConnectionOwner {
 public:
  explicit LeaseLoad(const TermsOptions& options)
      : options_(options),
        ttl_(options.ttl_ms * kMs),
        period_(ttl_ * 3 / 10),
        answer_(std::max(ttl_ / 2, kAnswerMin)),
        together_(options.bulk ? limits::kLeasesAtOnce : 1),
        leases_(options.leases) {}
  LeaseReport run();

 private:
  enum class Kind : uint8_t { kGrant, kRenew, kEnd };
  struct Work {
    uint64_t at = 0;   // not before then
    uint64_t due = 0;  // when it was to be sent
    Kind kind = Kind::kGrant;
    size_t lease = kNoLease;  // or the first one of those that are renewed together
    bool operator>(const Work& other) const { return at > other.at; }
  };
  struct Lease {
    uint64_t id = 0;        // 0: it is to be granted
    uint64_t promised = 0;  // it certainly lives until then
  };
  struct Line {
    std::unique_ptr<Connection> connection;
    Work work;  // without a lease: it waits for no answer
    std::vector<size_t> renewed;
    uint64_t sent = 0;
    uint64_t dial_at = 0;
  };

  void on_open(Connection& connection) override;
  void on_response(Connection& connection, const Response& response) override;
  void on_turn(Connection&) override { send_what_is_due(); }
  void on_lost(Connection& connection, int why) override;

  void on_tick();
  void send_what_is_due();
  void send(Line& line, const Work& work);
  std::string request_of(Line& line, const Work& work);
  void repeat(Line& line);
  void take_grant(const Work& work, uint64_t sent, const Response& response);
  void take_renewal(Line& line, const Work& work, const Response& response);
  void take_left(size_t lease, uint64_t sent, std::optional<int64_t> left_ms);

  const TermsOptions& options_;
  uint64_t ttl_, period_, answer_;  // ns
  size_t together_;
  std::vector<Lease> leases_;
  Turns turns_{[this] { on_tick(); }};
  std::vector<Target> targets_;
  std::vector<pid_t> processes_;
  std::vector<Line> lines_;
  std::vector<size_t> open_;  // lines that wait for no answer
  std::priority_queue<Work, std::vector<Work>, std::greater<>> works_;
  StopSignals signals_{turns_.loop(), {SIGINT, SIGTERM}, [this](int) { interrupted_ = true; }};
  bool interrupted_ = false;  // what there is by then is reported
  size_t granted_ = 0;
  size_t ended_ = 0;
  bool measuring_ = false;
  bool ending_ = false;
  Histogram latencies_;
  LeaseReport report_;
};

void LeaseLoad::on_tick() {
  const uint64_t now = uv_hrtime();
  for (size_t i = 0; i < lines_.size(); ++i) {
    Line& line = lines_[i];
    if (line.work.lease != kNoLease && now > line.sent + answer_) {
      line.connection->close();
      repeat(line);
    }
    if (!line.connection->is_closed() || now < line.dial_at) continue;
    line.dial_at = now + kDialAfter;
    line.connection->open(targets_[i % targets_.size()].server);
  }
  send_what_is_due();
}

void LeaseLoad::on_open(Connection& connection) {
  open_.push_back(connection.index());
  send_what_is_due();
}

void LeaseLoad::on_lost(Connection& connection, int) {
  Line& line = lines_[connection.index()];
  open_.erase(std::remove(open_.begin(), open_.end(), connection.index()), open_.end());
  line.dial_at = uv_hrtime() + kDialAfter;
  if (line.work.lease != kNoLease) repeat(line);
}

// What was not answered, or refused for now. (A renewal, and an end, may as well be done twice; a lease that is granted
// twice runs out.)
void LeaseLoad::repeat(Line& line) {
  if (measuring_) ++report_.failed;
  Work work = std::exchange(line.work, {});
  work.at = uv_hrtime() + kRepeatAfter;
  works_.push(work);
}

void LeaseLoad::send_what_is_due() {
  const uint64_t now = uv_hrtime();
  while (!open_.empty() && !works_.empty() && works_.top().at <= now) {
    const Work work = works_.top();
    works_.pop();
    if (ending_ && work.kind != Kind::kEnd) continue;
    Line& line = lines_[open_.back()];
    open_.pop_back();
    send(line, work);
  }
}

void LeaseLoad::send(Line& line, const Work& work) {
  const std::string request = request_of(line, work);
  line.work = work;
  line.sent = uv_hrtime();
  line.connection->output() += request;
  line.connection->flush();
}

std::string LeaseLoad::request_of(Line& line, const Work& work) {
  const Lease& lease = leases_[work.lease];
  std::string what, body;
  if (work.kind == Kind::kGrant) {
    what = fmt::format("POST /v1/leases?ttl={}&name=kvload", options_.ttl_ms);
  } else if (work.kind == Kind::kEnd) {
    what = fmt::format("DELETE /v1/leases/{}", lease.id);
  } else if (!options_.bulk) {
    what = fmt::format("PUT /v1/leases/{}", lease.id);
  } else {
    what = "POST /v1/leases/renew";
    line.renewed.clear();
    const size_t end = std::min(work.lease + together_, leases_.size());
    for (size_t i = work.lease; i < end; ++i) {
      if (leases_[i].id == 0) continue;
      line.renewed.push_back(i);
      body += fmt::format("{}{}", body.empty() ? "{\"leases\":[" : ",", leases_[i].id);
    }
    body += body.empty() ? "{\"leases\":[]}" : "]}";
  }
  return fmt::format("{} HTTP/1.1\r\n{}Content-Length: {}\r\n\r\n{}", what,
                     targets_[line.connection->index() % targets_.size()].fields, body.size(), body);
}

// ---- what comes back ----

void LeaseLoad::on_response(Connection& connection, const Response& response) {
  Line& line = lines_[connection.index()];
  const Work work = line.work;
  open_.push_back(connection.index());
  if (response.status >= 300 && response.status != 410) return repeat(line);
  line.work = {};
  if (work.kind == Kind::kGrant) return take_grant(work, line.sent, response);
  if (work.kind == Kind::kRenew) return take_renewal(line, work, response);
  ++ended_;
}

void LeaseLoad::take_grant(const Work& work, uint64_t sent, const Response& response) {
  Lease& lease = leases_[work.lease];
  lease.id = number_behind(response.body, "\"lease\":");
  lease.promised = sent + ttl_;
  ++granted_;
  // Not all at the same time.
  const uint64_t due = sent + period_ * work.lease / leases_.size();
  if (!options_.bulk) works_.push({due, due, Kind::kRenew, work.lease});
}

void LeaseLoad::take_renewal(Line& line, const Work& work, const Response& response) {
  if (measuring_) {
    latencies_.record(uv_hrtime() - std::min(work.due, uv_hrtime()));
    ++report_.requests;
  }
  if (!options_.bulk) {
    std::optional<int64_t> left;
    if (response.status == 200) left = static_cast<int64_t>(number_behind(response.body, "\"left_ms\":"));
    take_left(work.lease, line.sent, left);
    if (!left) return;  // which is renewed when it was granted anew
  } else if (const auto left = client::parse_renewals(response.body)) {
    for (size_t i = 0; i < std::min(left->size(), line.renewed.size()); ++i)
      take_left(line.renewed[i], line.sent, (*left)[i]);
  }
  const uint64_t due = line.sent + period_;
  works_.push({due, due, Kind::kRenew, work.lease});
}

void LeaseLoad::take_left(size_t index, uint64_t sent, std::optional<int64_t> left_ms) {
  Lease& lease = leases_[index];
  if (left_ms) {
    lease.promised = std::max(lease.promised, sent + static_cast<uint64_t>(*left_ms) * kMs);
    if (measuring_) ++report_.renewals;
    return;
  }
  const uint64_t now = uv_hrtime();
  ++(now < lease.promised ? report_.early : report_.ran_out);
  lease = {};
  --granted_;
  works_.push({now, now, Kind::kGrant, index});
}

// ---- the whole ----

LeaseReport LeaseLoad::run() {
  report_.leases = leases_.size();
  report_.ttl_ms = options_.ttl_ms;
  report_.bulk = options_.bulk;
  auto targets = resolve(options_.servers, options_.credentials);
  if (!targets) {
    report_.unreachable = targets.error().detail;
    return report_;
  }
  targets_ = std::move(*targets);
  processes_ = listeners(targets_);
  for (size_t i = 0; i < kLeaseLines; ++i) {
    lines_.emplace_back();
    lines_.back().connection = std::make_unique<Connection>(turns_.loop(), *this, i, Keep::kAll);
  }
  for (size_t i = 0; i < leases_.size(); ++i) works_.push({0, 0, Kind::kGrant, i});
  if (options_.bulk) {
    const size_t units = (leases_.size() + together_ - 1) / together_;
    for (size_t i = 0; i < units; ++i) {
      const uint64_t due = uv_hrtime() + period_ * (i + 1) / units;
      works_.push({due, due, Kind::kRenew, i * together_});
    }
  }
  turns_.wait(kGrantPatience, [this] { return interrupted_ || granted_ == leases_.size(); });
  if (granted_ != leases_.size()) {
    report_.unreachable = fmt::format("{} of {} leases were granted", granted_, leases_.size());
    return report_;
  }
  const uint64_t cpu_before = cpu_us(processes_);
  const uint64_t began = uv_hrtime();
  measuring_ = true;
  turns_.wait(options_.seconds, [this] { return interrupted_; });
  measuring_ = false;
  report_.seconds = static_cast<double>(uv_hrtime() - began) / 1e9;
  if (const uint64_t cpu_after = cpu_us(processes_); cpu_after > cpu_before && report_.renewals > 0)
    report_.cpu_us_per_renewal =
        static_cast<double>(cpu_after - cpu_before) / static_cast<double>(report_.renewals);
  report_.p50_ms = static_cast<double>(latencies_.percentile(50)) / 1e6;
  report_.p99_ms = static_cast<double>(latencies_.percentile(99)) / 1e6;
  report_.max_ms = static_cast<double>(latencies_.max()) / 1e6;
  ending_ = true;
  size_t to_end = 0;
  for (size_t i = 0; i < leases_.size(); ++i) {
    if (leases_[i].id == 0) continue;
    works_.push({0, 0, Kind::kEnd, i});
    ++to_end;
  }
  turns_.wait(kEndPatience, [this, to_end] { return ended_ >= to_end; });
  return report_;
}

}  // namespace

LeaseReport load_leases(const TermsOptions& options) { return LeaseLoad(options).run(); }

std::string lease_text(const LeaseReport& report) {
  if (!report.unreachable.empty()) return "not measured: " + report.unreachable + "\n";
  std::string out = fmt::format(
      "{} leases of {} ms, {} renewals {} in {:.1f} s: {:.0f} a second, {:.2f} us of the servers' CPU each\n"
      "from when a request fell due to its answer: p50 {:.2f} ms, p99 {:.2f} ms, max {:.2f} ms; {} were "
      "repeated\n",
      report.leases, report.ttl_ms, report.renewals, report.bulk ? "in bulk" : "one by one", report.seconds,
      static_cast<double>(report.renewals) / report.seconds, report.cpu_us_per_renewal, report.p50_ms,
      report.p99_ms, report.max_ms, report.failed);
  if (report.ran_out > 0)
    out += fmt::format("{} leases ran out, as no renewal was acknowledged in time\n", report.ran_out);
  if (report.sound()) return out + "no lease was early\n";
  return out +
         fmt::format("NOT SOUND: {} leases were over within the time that was promised\n", report.early);
}

std::string lease_json(const LeaseReport& report) {
  JsonWriter json;
  json.begin_object().member("command", "terms").member("ok", report.unreachable.empty() && report.sound());
  json.member("unreachable", report.unreachable).member("leases", report.leases);
  json.member("ttl_ms", report.ttl_ms).member("bulk", report.bulk).member("seconds", report.seconds);
  json.member("requests", report.requests)
      .member("renewals", report.renewals)
      .member("failed", report.failed);
  json.member("early", report.early).member("ran_out", report.ran_out);
  json.member("p50_ms", report.p50_ms).member("p99_ms", report.p99_ms).member("max_ms", report.max_ms);
  json.member("cpu_us_per_renewal", report.cpu_us_per_renewal);
  return json.end_object().take() + "\n";
}

}  // namespace kvd::load
