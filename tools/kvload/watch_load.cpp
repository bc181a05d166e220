// See watch_load.hpp.
#include "kvload/watch_load.hpp"

#include <fmt/format.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <string_view>
#include <vector>

#include "base/json_writer.hpp"
#include "kvload/descriptor_limit.hpp"
#include "kvload/histogram.hpp"
#include "kvload/load.hpp"
#include "kvload/number_behind.hpp"
#include "kvload/process_cpu.hpp"
#include "kvload/turns.hpp"

namespace kvd::load {
namespace {

constexpr double kStreamPatience = 20;  // seconds for the streams to open, and to have everything at the end
constexpr size_t kStampWriters = 16;
constexpr size_t kStampKeys = 1000;
constexpr std::string_view kStampPrefix = "kvload-watch/";
constexpr size_t kDialedAtOnce = 256;

uint64_t resident_bytes(pid_t pid) {
  std::ifstream statm(fmt::format("/proc/{}/statm", pid));
  uint64_t size = 0, resident = 0;
  statm >> size >> resident;
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

class WatchLoad final : public ConnectionOwner {
 public:
  explicit WatchLoad(const WatchOptions& options) : options_(options) {}
  WatchReport run();

 private:
  struct Stream {
    std::unique_ptr<Connection> connection;
    uint64_t events = 0;
    uint64_t newest = 0;  // revision
    bool begun = false;
  };
  struct Writer {
    std::unique_ptr<Connection> connection;
    bool waits = false;
  };

  void on_open(Connection& connection) override;
  void on_response(Connection& connection, const Response& response) override;
  void on_turn(Connection& connection) override;
  void on_lost(Connection& connection, int why) override;

  bool is_writer(const Connection& connection) const { return connection.index() >= options_.streams; }
  const Target& target_of(size_t index) const { return targets_[index % targets_.size()]; }
  void take_line(Stream& stream, std::string_view line);
  void write_what_is_due();
  bool open_streams();
  uint64_t memory() const;

  const WatchOptions& options_;
  Turns turns_{[this] { write_what_is_due(); }};
  std::vector<Target> targets_;
  std::vector<pid_t> processes_;
  std::vector<Stream> streams_;
  std::vector<Writer> writers_;
  bool writing_ = false;
  uint64_t began_ = 0;
  uint64_t due_ = 0;  // writes that were handed out
  size_t open_ = 0;
  Histogram latencies_;
  WatchReport report_;
};

void WatchLoad::on_open(Connection& connection) {
  if (is_writer(connection)) return;
  connection.output() += fmt::format("GET /v1/watch?prefix={}&progress=60000 HTTP/1.1\r\n{}\r\n",
                                     kStampPrefix, target_of(connection.index()).fields);
  connection.flush();
}

void WatchLoad::on_response(Connection& connection, const Response& response) {
  if (!is_writer(connection)) return;  // a stream has ended: its connection does, too
  writers_[connection.index() - options_.streams].waits = false;
  const bool done = response.status == 200 || response.status == 201;
  ++(done ? report_.written : report_.failed);
}

void WatchLoad::on_lost(Connection& connection, int) {
  if (!is_writer(connection)) {
    ++report_.lost_streams;
    return;
  }
  Writer& writer = writers_[connection.index() - options_.streams];
  if (std::exchange(writer.waits, false)) ++report_.failed;
}

void WatchLoad::on_turn(Connection& connection) {
  Response* response = is_writer(connection) ? nullptr : connection.under_way();
  if (response == nullptr) return;
  Stream& stream = streams_[connection.index()];
  if (!std::exchange(stream.begun, true)) ++open_;
  std::string_view rest = response->body;
  for (size_t end; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1))
    take_line(stream, rest.substr(0, end));
  response->body.erase(0, response->body.size() - rest.size());
}

void WatchLoad::take_line(Stream& stream, std::string_view line) {
  const uint64_t sent = number_behind(line, "\"value\":\"");
  if (sent == 0) return;  // no event
  const uint64_t revision = number_behind(line, "\"revision\":");
  if (revision <= stream.newest) ++report_.out_of_order;
  stream.newest = revision;
  ++stream.events;
  ++report_.events;
  latencies_.record(uv_hrtime() - sent);
}

// Open loop: a write is stamped with the moment when it was to be sent, also when no connection was free then.
void WatchLoad::write_what_is_due() {
  if (!writing_) return;
  const double ns_each = 1e9 / options_.rate;
  for (Writer& writer : writers_) {
    const uint64_t at = began_ + static_cast<uint64_t>(static_cast<double>(due_) * ns_each);
    if (at > uv_hrtime()) return;
    if (writer.waits || !writer.connection->is_open()) continue;
    const std::string stamp = std::to_string(at);
    writer.connection->output() +=
        fmt::format("PUT /v1/kv/{}{} HTTP/1.1\r\n{}Content-Length: {}\r\n\r\n{}", kStampPrefix,
                    due_ % kStampKeys, target_of(writer.connection->index()).fields, stamp.size(), stamp);
    writer.connection->flush();
    writer.waits = true;
    ++due_;
  }
}

bool WatchLoad::open_streams() {
  for (size_t i = 0; i < kStampWriters; ++i) {
    writers_.push_back({std::make_unique<Connection>(turns_.loop(), *this, options_.streams + i)});
    writers_.back().connection->open(target_of(options_.streams + i).server);
  }
  const auto writers_open = [this] {
    return std::all_of(writers_.begin(), writers_.end(),
                       [](const Writer& one) { return one.connection->is_open(); });
  };
  if (!turns_.wait(kStreamPatience, writers_open)) return false;
  const uint64_t before = memory();
  streams_.resize(options_.streams);
  for (size_t i = 0; i < streams_.size(); ++i) {
    streams_[i].connection = std::make_unique<Connection>(turns_.loop(), *this, i, Keep::kAll);
    streams_[i].connection->open(target_of(i).server);
    if (!turns_.wait(kStreamPatience, [&] { return open_ + report_.lost_streams + kDialedAtOnce > i; }))
      return false;
  }
  const bool all =
      turns_.wait(kStreamPatience, [this] { return open_ + report_.lost_streams >= streams_.size(); });
  report_.kib_per_stream = static_cast<double>(memory() - std::min(memory(), before)) / 1024 /
                           static_cast<double>(options_.streams);
  return all && open_ == streams_.size();
}

uint64_t WatchLoad::memory() const {
  uint64_t sum = 0;
  for (const pid_t pid : processes_) sum += resident_bytes(pid);
  return sum;
}

WatchReport WatchLoad::run() {
  raise_descriptor_limit();
  report_.streams = options_.streams;
  auto targets = resolve(options_.servers, options_.credentials);
  if (!targets) {
    report_.unreachable = targets.error().detail;
    return report_;
  }
  targets_ = std::move(*targets);
  processes_ = listeners(targets_);
  if (!open_streams()) {
    report_.unreachable = fmt::format("{} of {} streams could be opened", open_, options_.streams);
    return report_;
  }
  const uint64_t cpu_before = cpu_us(processes_);
  began_ = uv_hrtime();
  writing_ = options_.rate > 0;
  turns_.wait(options_.seconds, [] { return false; });
  writing_ = false;
  report_.seconds = static_cast<double>(uv_hrtime() - began_) / 1e9;
  const auto everything = [this] {
    const bool written =
        std::none_of(writers_.begin(), writers_.end(), [](const Writer& w) { return w.waits; });
    return written && std::all_of(streams_.begin(), streams_.end(),
                                  [this](const Stream& s) { return s.events >= report_.written; });
  };
  turns_.wait(kStreamPatience, everything);
  for (const Stream& stream : streams_) report_.short_streams += stream.events != report_.written ? 1 : 0;
  report_.p50_ms = static_cast<double>(latencies_.percentile(50)) / 1e6;
  report_.p99_ms = static_cast<double>(latencies_.percentile(99)) / 1e6;
  report_.max_ms = static_cast<double>(latencies_.max()) / 1e6;
  if (report_.events > 0)
    report_.cpu_us_per_event =
        static_cast<double>(cpu_us(processes_) - cpu_before) / static_cast<double>(report_.events);
  return report_;
}

}  // namespace

std::string watch_text(const WatchReport& report) {
  if (!report.unreachable.empty()) return "not measured: " + report.unreachable + "\n";
  std::string out = fmt::format("{} streams, {:.1f} KiB of the servers' memory each; {} writes in {:.1f} s\n",
                                report.streams, report.kib_per_stream, report.written, report.seconds);
  if (report.events > 0) {
    out += fmt::format(
        "{} events, {:.0f} a second, {:.2f} us of the servers' CPU each\nwrite to event: p50 {:.2f} ms, p99 "
        "{:.2f} ms, "
        "max {:.2f} ms\n",
        report.events, static_cast<double>(report.events) / report.seconds, report.cpu_us_per_event,
        report.p50_ms, report.p99_ms, report.max_ms);
  }
  if (report.sound()) return out + "every stream had every write once and in order\n";
  return out + fmt::format(
                   "NOT SOUND: {} writes failed, {} events out of order, {} streams without every write, {} "
                   "streams ended\n",
                   report.failed, report.out_of_order, report.short_streams, report.lost_streams);
}

std::string watch_json(const WatchReport& report) {
  JsonWriter json;
  json.begin_object().member("command", "watch").member("ok", report.unreachable.empty() && report.sound());
  json.member("unreachable", report.unreachable).member("streams", report.streams);
  json.member("seconds", report.seconds).member("written", report.written).member("failed", report.failed);
  json.member("events", report.events).member("out_of_order", report.out_of_order);
  json.member("short_streams", report.short_streams).member("lost_streams", report.lost_streams);
  json.member("p50_ms", report.p50_ms).member("p99_ms", report.p99_ms).member("max_ms", report.max_ms);
  json.member("cpu_us_per_event", report.cpu_us_per_event).member("kib_per_stream", report.kib_per_stream);
  return json.end_object().take() + "\n";
}

int watch_command(const WatchOptions& options) {
  const WatchReport report = WatchLoad(options).run();
  fmt::print("{}", options.json ? watch_json(report) : watch_text(report));
  if (!report.unreachable.empty()) return EX_UNAVAILABLE;
  return report.sound() ? EX_OK : 1;
}

}  // namespace kvd::load
