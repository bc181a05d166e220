// See expiry_load.hpp.
#include "kvload/expiry_load.hpp"

#include <fmt/format.h>
#include <sysexits.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json_writer.hpp"
#include "kvload/histogram.hpp"
#include "kvload/leader_watch.hpp"
#include "kvload/lease_load.hpp"
#include "kvload/load.hpp"
#include "kvload/number_behind.hpp"
#include "kvload/run_command.hpp"
#include "kvload/turns.hpp"

namespace kvd::load {
namespace {

constexpr std::string_view kTermsPrefix = "kvload-terms/";
constexpr size_t kProbes = 4;  // connections that write other keys
constexpr size_t kProbeKeys = 1000;
constexpr size_t kTermsFillers = 4;   // connections that write the keys that end
constexpr size_t kKeysAtOnce = 500;   // in one request
constexpr uint64_t kSpanMs = 1000;    // in which they all end
constexpr uint64_t kTermMsMin = 100;  // that is left when the last one is written
constexpr uint64_t kMetricsEveryNs = 20'000'000;
constexpr double kLeaderWait = 20;  // seconds
constexpr double kGoneWait = 120;

// The connections, by what they are for; each has one request under way at most.
class ExpiryLoad final : public ConnectionOwner {
 public:
  explicit ExpiryLoad(const TermsOptions& options) : options_(options) {}
  ExpiryReport run();

 private:
  enum class Role : uint8_t { kProbe, kFiller, kMetrics };
  struct Line {
    std::unique_ptr<Connection> connection;
    Role role = Role::kProbe;
    bool waits = false;
    uint64_t sent = 0;
    size_t keys = 0;  // in the request that a filler has sent
  };

  void on_open(Connection& connection) override { go_on(lines_[connection.index()]); }
  void on_response(Connection& connection, const Response& response) override;
  void on_turn(Connection& connection) override { go_on(lines_[connection.index()]); }
  void on_lost(Connection& connection, int why) override;

  void add(Role role, const Target& target);
  void go_on(Line& line);
  void send(Line& line, const std::string& what, const std::string& body);
  void fill(Line& line);
  std::optional<std::string> prepare();
  bool wait(double seconds, const std::function<bool()>& done);
  bool is_ended_by(uint64_t ns) const { return uv_hrtime() >= ns; }

  const TermsOptions& options_;
  Turns turns_{[] {}};
  std::vector<Line> lines_;
  Target leader_;
  bool probing_ = false;
  bool filling_ = false;
  bool asking_ = false;     // for the metrics
  uint64_t terms_ = 0;      // as the metrics were last
  uint64_t asked_at_ = 0;   // when that was asked
  uint64_t others_ = 0;     // terms that are not ours
  uint64_t first_end_ = 0;  // ns
  size_t filled_ = 0;       // keys that were handed out
  size_t written_ = 0;      // and acknowledged
  uint64_t probes_ = 0;
  Histogram* latencies_ = nullptr;
  Histogram before_, meanwhile_;
  std::string lost_;  // why it cannot go on
  ExpiryReport report_;
};

bool ExpiryLoad::wait(double seconds, const std::function<bool()>& done) {
  turns_.wait(seconds, [&] { return !lost_.empty() || done(); });
  return done();
}

void ExpiryLoad::add(Role role, const Target& target) {
  lines_.emplace_back();
  lines_.back().role = role;
  lines_.back().connection =
      std::make_unique<Connection>(turns_.loop(), *this, lines_.size() - 1, Keep::kAll);
  lines_.back().connection->open(target.server);
}

void ExpiryLoad::on_lost(Connection&, int why) {
  lost_ = fmt::format("a connection to {} has ended: {}", leader_.name, uv_strerror(why));
}

void ExpiryLoad::go_on(Line& line) {
  if (line.waits || !line.connection->is_open()) return;
  if (line.role == Role::kProbe && probing_) {
    send(line, fmt::format("PUT /v1/kv/{}probe/{}", kTermsPrefix, probes_++ % kProbeKeys), "kvload");
  } else if (line.role == Role::kMetrics && asking_ && uv_hrtime() >= line.sent + kMetricsEveryNs) {
    send(line, "GET /metrics", "");
  } else if (line.role == Role::kFiller && filling_) {
    fill(line);
  }
}

void ExpiryLoad::send(Line& line, const std::string& what, const std::string& body) {
  line.connection->output() +=
      fmt::format("{} HTTP/1.1\r\n{}Content-Length: {}\r\n\r\n{}", what, leader_.fields, body.size(), body);
  line.waits = true;
  line.sent = uv_hrtime();
  line.connection->flush();
}

// The deadlines are spread evenly over their second.
void ExpiryLoad::fill(Line& line) {
  line.keys = std::min(kKeysAtOnce, options_.keys - filled_);
  if (line.keys == 0) return;
  const uint64_t now = uv_hrtime();
  if (now + kTermMsMin * 1'000'000 > first_end_) {
    lost_ = fmt::format("only {} of {} keys were written in time: give a longer --expire-after", filled_,
                        options_.keys);
    return;
  }
  const uint64_t left_ms = (first_end_ - now) / 1'000'000;
  std::string body = "{\"ops\":[";
  for (size_t i = filled_; i < filled_ + line.keys; ++i) {
    body += fmt::format("{}{{\"put\":{{\"key\":\"{}key/{}\",\"value\":\"\",\"ttl\":{}}}}}",
                        i == filled_ ? "" : ",", kTermsPrefix, i, left_ms + i * kSpanMs / options_.keys);
  }
  filled_ += line.keys;
  send(line, "POST /v1/kv", body + "]}");
}

void ExpiryLoad::on_response(Connection& connection, const Response& response) {
  Line& line = lines_[connection.index()];
  line.waits = false;
  const bool good = response.status == 200 || response.status == 201;
  if (line.role == Role::kProbe) {
    if (latencies_ != nullptr && good) latencies_->record(uv_hrtime() - line.sent);
    if (!good) ++report_.failed;
  } else if (!good) {
    lost_ = fmt::format("{} answers {}: {}", leader_.name, response.status, response.body.substr(0, 200));
  } else if (line.role == Role::kFiller) {
    written_ += line.keys;
  } else {
    terms_ = number_behind(response.body, "\nkvd_terms ");
    asked_at_ = line.sent;
  }
}

// Nothing: all is open, and known how many terms there are beside ours.
std::optional<std::string> ExpiryLoad::prepare() {
  auto targets = resolve(options_.servers, options_.credentials);
  if (!targets) return targets.error().detail;
  {
    LeaderWatch watch(turns_.loop(), *targets, nullptr);
    const auto leader = watch.wait(kLeaderWait);
    if (!leader) return "none of the servers leads, or they do not tell";
    leader_ = (*targets)[*leader];
  }
  for (size_t i = 0; i < kProbes; ++i) add(Role::kProbe, leader_);
  for (size_t i = 0; i < kTermsFillers; ++i) add(Role::kFiller, leader_);
  add(Role::kMetrics, leader_);
  asking_ = true;
  if (!wait(kLeaderWait, [this] { return asked_at_ != 0; })) return "the leader shows no metrics";
  others_ = terms_;
  return std::nullopt;
}

ExpiryReport ExpiryLoad::run() {
  report_.keys = options_.keys;
  const auto give_up = [this](const std::string& why) {
    report_.unreachable = why;
    return report_;
  };
  if (const auto why = prepare()) return give_up(*why);
  asking_ = false;
  probing_ = true;
  latencies_ = &before_;
  const auto kick = [this] {
    for (Line& line : lines_) go_on(line);
  };
  kick();
  wait(options_.seconds, [] { return false; });
  probing_ = false;
  filling_ = true;
  const uint64_t began = uv_hrtime();
  first_end_ = began + options_.expire_after_ms * 1'000'000;
  const uint64_t last_end = first_end_ + kSpanMs * 1'000'000;
  kick();
  wait(static_cast<double>(options_.expire_after_ms) / 1e3, [this] { return written_ == options_.keys; });
  if (!lost_.empty()) return give_up(lost_);
  report_.write_s = static_cast<double>(uv_hrtime() - began) / 1e9;
  filling_ = false;
  asking_ = true;
  // What was asked last before the first one ends tells whether all are there.
  uint64_t there = UINT64_MAX;
  uint64_t seen = 0;
  wait(static_cast<double>(options_.expire_after_ms) / 1e3 + 1, [&] {
    kick();
    if (asked_at_ > seen && asked_at_ > began + static_cast<uint64_t>(report_.write_s * 1e9) &&
        uv_hrtime() < first_end_)
      there = terms_ - std::min(terms_, others_);
    seen = asked_at_;
    return is_ended_by(first_end_);
  });
  if (!lost_.empty()) return give_up(lost_);
  if (there == UINT64_MAX) {
    return give_up(
        "the leader told nothing between the last write and the first end: give a longer --expire-after");
  }
  if (there < options_.keys) report_.early = options_.keys - there;
  probing_ = true;
  latencies_ = &meanwhile_;
  uint64_t gone_at = 0;
  wait(kGoneWait, [&] {
    kick();
    if (is_ended_by(last_end) && asked_at_ > last_end && terms_ <= others_ && gone_at == 0)
      gone_at = uv_hrtime();
    return gone_at != 0;
  });
  if (!lost_.empty()) return give_up(lost_);
  report_.left = gone_at == 0 ? terms_ - std::min(terms_, others_) : 0;
  report_.gone_s = static_cast<double>(std::max(gone_at, last_end) - last_end) / 1e9;
  report_.writes_before = before_.count();
  report_.writes_meanwhile = meanwhile_.count();
  report_.before_p50_ms = static_cast<double>(before_.percentile(50)) / 1e6;
  report_.before_p99_ms = static_cast<double>(before_.percentile(99)) / 1e6;
  report_.meanwhile_p50_ms = static_cast<double>(meanwhile_.percentile(50)) / 1e6;
  report_.meanwhile_p99_ms = static_cast<double>(meanwhile_.percentile(99)) / 1e6;
  return report_;
}

}  // namespace

ExpiryReport load_terms(const TermsOptions& options) { return ExpiryLoad(options).run(); }

std::string expiry_text(const ExpiryReport& report) {
  if (!report.unreachable.empty()) return "not measured: " + report.unreachable + "\n";
  std::string out = fmt::format(
      "{} keys, written in {:.1f} s, with terms that ended within a second\n"
      "the last one was gone {:.2f} s after the last deadline\n"
      "writes of other keys: p50 {:.2f} ms before, {:.2f} ms meanwhile ({:.1f} times); "
      "p99 {:.2f} ms before, {:.2f} ms meanwhile ({:.1f} times); {} failed\n",
      report.keys, report.write_s, report.gone_s, report.before_p50_ms, report.meanwhile_p50_ms,
      report.ratio_p50(), report.before_p99_ms, report.meanwhile_p99_ms, report.ratio_p99(), report.failed);
  if (report.sound()) return out + "no key was early, and none is left\n";
  return out + fmt::format("NOT SOUND: {} keys were gone before their deadline, {} are left\n", report.early,
                           report.left);
}

std::string expiry_json(const ExpiryReport& report) {
  JsonWriter json;
  json.begin_object().member("command", "terms").member("ok", report.unreachable.empty() && report.sound());
  json.member("unreachable", report.unreachable)
      .member("keys", report.keys)
      .member("write_s", report.write_s);
  json.member("early", report.early).member("left", report.left).member("gone_s", report.gone_s);
  json.member("writes_before", report.writes_before).member("writes_meanwhile", report.writes_meanwhile);
  json.member("failed", report.failed);
  json.member("before_p50_ms", report.before_p50_ms).member("before_p99_ms", report.before_p99_ms);
  json.member("meanwhile_p50_ms", report.meanwhile_p50_ms)
      .member("meanwhile_p99_ms", report.meanwhile_p99_ms);
  json.member("ratio_p50", report.ratio_p50()).member("ratio_p99", report.ratio_p99());
  return json.end_object().take() + "\n";
}

int terms_command(const TermsOptions& options) {
  if (options.keys == 0) {
    const LeaseReport leases = load_leases(options);
    fmt::print("{}", options.json ? lease_json(leases) : lease_text(leases));
    if (!leases.unreachable.empty()) return EX_UNAVAILABLE;
    return leases.sound() ? EX_OK : 1;
  }
  const ExpiryReport keys = load_terms(options);
  fmt::print("{}", options.json ? expiry_json(keys) : expiry_text(keys));
  name_what_is_left(options.servers.front(), std::string(kTermsPrefix));
  if (!keys.unreachable.empty()) return EX_UNAVAILABLE;
  return keys.sound() ? EX_OK : 1;
}

}  // namespace kvd::load
