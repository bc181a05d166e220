// See run_command.hpp.
#include "kvload/run_command.hpp"

#include <fmt/format.h>
#include <sysexits.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "base/check.hpp"
#include "client/stop_signals.hpp"
#include "kvload/bare_certificate.hpp"
#include "kvload/leader_watch.hpp"
#include "kvload/plots.hpp"
#include "kvload/process_cpu.hpp"
#include "kvload/report.hpp"
#include "kvload/svg_plot.hpp"
#include "msg/limits.hpp"
#include "msg/znodes.hpp"
#include "net/loop.hpp"
#include "rig/child_process.hpp"
#include "rig/free_port.hpp"

namespace kvd::load {
namespace {

constexpr double kStartPatience = 10;  // seconds for a first connection, and for a leader
constexpr double kIntervals = 120;     // about so many points in the time series

void complain(const std::string& line) { fmt::print(stderr, "kvload: {}\n", line); }

std::vector<size_t> servers_for(Role role, size_t leader, size_t count) {
  if (role == Role::kLeader) return {leader};
  std::vector<size_t> others;
  for (size_t i = 0; i < count; ++i) {
    if (i != leader) others.push_back(i);
  }
  return others;
}

struct Watched {  // a process whose CPU time counts
  std::string server;
  pid_t pid = 0;
};

std::vector<Watched> find_processes(const RunOptions& options) {
  std::vector<Watched> list;
  for (const int pid : options.server_pids) list.push_back({fmt::format("pid {}", pid), pid});
  if (!list.empty()) return list;
  for (const std::string& server : options.servers) {
    const auto pid = listener(client::parse_server(server)->address.port);
    if (pid) list.push_back({server, *pid});
  }
  return list;
}

class Runner {
 public:
  explicit Runner(const RunOptions& options) : options_(options), terminal_(isatty(2) != 0) {
    signals_ =
        std::make_unique<StopSignals>(loop_.get(), std::initializer_list<int>{SIGINT, SIGTERM}, [this](int) {
          if (load_) load_->interrupt();
          if (bare_) bare_->interrupt();
        });
  }

  int run();

 private:
  int find_servers();
  int fill_and_measure();
  bool fills() const;
  int fill();
  Phase phase() const;
  Measured measure(Load& load, const Phase& phase, const std::vector<Watched>& processes);
  void warm_up(Load& load);
  std::string start_bare_server(size_t answer_bytes);  // what is wrong; empty: it runs
  int measure_rounds(RunReport& report);
  void show_progress(const RunResult& result) const;
  void end_progress() const {
    if (terminal_) fmt::print(stderr, "\r\033[K");
  }

  const RunOptions& options_;
  bool terminal_;
  net::Loop loop_;
  std::unique_ptr<StopSignals> signals_;
  std::vector<Target> targets_;
  std::unique_ptr<Load> load_;
  std::unique_ptr<LeaderWatch> watch_;
  std::vector<Watched> processes_;
  testing::ChildProcess bare_process_;
  std::unique_ptr<Load> bare_;
};

void Runner::show_progress(const RunResult& result) const {
  if (!terminal_ || result.intervals.empty()) return;
  const Interval& last = result.intervals.back();
  fmt::print(stderr,
             "\r\033[K{:5.0f} s  {:9.0f} requests/s  p50 {:.0f} us  p99 {:.0f} us  max {:.0f} us  {} failed",
             last.at_s, static_cast<double>(last.ok) / last.seconds, static_cast<double>(last.p50_ns) / 1e3,
             static_cast<double>(last.p99_ns) / 1e3, static_cast<double>(last.max_ns) / 1e3, result.failed());
}

int Runner::find_servers() {
  auto targets = resolve(options_.servers, options_.credentials);
  if (!targets) {
    complain(targets.error().detail);
    return EX_UNAVAILABLE;
  }
  targets_ = std::move(*targets);
  load_ = std::make_unique<Load>(loop_.get(), targets_, options_.load);
  if (options_.to != Role::kAll) {
    watch_ = std::make_unique<LeaderWatch>(loop_.get(), targets_, [this](size_t leader) {
      load_->allow(servers_for(options_.to, leader, targets_.size()));
    });
    if (!watch_->wait(kStartPatience)) {
      complain("none of --servers names one of them as the leader (GET /v1/cluster/leader)");
      return EX_UNAVAILABLE;
    }
  }
  const std::string missing = load_->connect(kStartPatience);
  if (!missing.empty() && !load_->any_open()) {
    complain(fmt::format("{} does not take connections", missing));
    return EX_UNAVAILABLE;
  }
  if (!missing.empty()) complain(fmt::format("{} does not take connections; going on without", missing));
  return EX_OK;
}

bool Runner::fills() const {
  const bool reads = options_.load.mix[0] + options_.load.mix[static_cast<size_t>(Kind::kLinear)] > 0;
  return reads && options_.prefill;
}

int Runner::fill() {
  if (!fills()) return EX_OK;
  Phase filling;
  filling.fill = true;
  filling.interval_s = 1;
  filling.on_progress = [this](const RunResult& result) { show_progress(result); };
  const RunResult result = load_->run(filling);
  end_progress();
  if (load_->unfilled() == 0 || load_->interrupted()) return EX_OK;
  std::string why;
  for (const auto& [kind, count] : result.failures) why += fmt::format("; {} times {}", count, kind.what);
  complain(fmt::format("{} keys could not be written beforehand{}", load_->unfilled(), why));
  return EX_UNAVAILABLE;
}

Phase Runner::phase() const {
  Phase phase;
  phase.seconds = options_.seconds;
  phase.count = options_.count;
  phase.rate = options_.rate;
  phase.interval_s = std::max(0.1, options_.seconds / kIntervals);
  phase.on_progress = [this](const RunResult& result) { show_progress(result); };
  return phase;
}

void Runner::warm_up(Load& load) {
  if (options_.warm_up_s <= 0) return;
  Phase warm = phase();
  warm.seconds = options_.warm_up_s;
  warm.count = 0;
  load.run(warm);
}

Measured Runner::measure(Load& load, const Phase& phase, const std::vector<Watched>& processes) {
  std::vector<std::optional<uint64_t>> before;
  for (const Watched& one : processes) before.push_back(cpu_us(one.pid));
  Measured measured{load.run(phase), {}};
  end_progress();
  for (size_t i = 0; i < processes.size(); ++i) {
    const auto after = cpu_us(processes[i].pid);
    if (before[i] && after)
      measured.cpu.push_back(
          {processes[i].server, processes[i].pid, static_cast<double>(*after - *before[i])});
  }
  return measured;
}

// Which speaks TLS if all targets do: with others among them there is nothing like them.
std::string Runner::start_bare_server(size_t answer_bytes) {
  const std::string port = std::to_string(testing::free_port());
  std::vector<std::string> command{own_program(),    "bare-server",
                                   "--port",         port,
                                   "--answer-bytes", std::to_string(std::max<size_t>(answer_bytes, 60))};
  client::Credentials credentials = options_.credentials;
  BareCertificate shown;
  const bool secure =
      std::all_of(targets_.begin(), targets_.end(), [](const Target& one) { return one.server.https; });
  if (secure) {
    if (const auto made = shown.make(); !made) return made.error().detail;
    command.insert(command.end(), {"--tls-cert", shown.certificate(), "--tls-key", shown.key()});
    credentials.tls = {};
    credentials.tls.authorities = shown.authority();
  }
  bare_process_.start(command, "/dev/null");
  auto targets = resolve({(secure ? "https://127.0.0.1:" : "127.0.0.1:") + port}, credentials);
  if (!targets) return targets.error().detail;
  bare_ = std::make_unique<Load>(loop_.get(), std::move(*targets), options_.load);
  const std::string missing = bare_->connect(kStartPatience);
  return missing.empty() ? "" : missing + " does not take connections";
}

int Runner::measure_rounds(RunReport& report) {
  // Answers of the same size: what differs is what the servers do for them.
  Phase probe = phase();
  probe.seconds = std::max(options_.warm_up_s, 0.2);
  const RunResult warm = load_->run(probe);
  const uint64_t answers = std::max<uint64_t>(warm.ok() + warm.failed(), 1);
  if (const std::string wrong = start_bare_server(warm.bytes_in / answers); !wrong.empty()) {
    complain("the bare server cannot be used: " + wrong);
    return EX_UNAVAILABLE;
  }
  warm_up(*bare_);
  const std::vector<Watched> bare{{"bare", bare_process_.pid()}};
  for (size_t i = 0; i < options_.rounds && !load_->interrupted(); ++i) {
    Round round{measure(*load_, phase(), processes_), measure(*bare_, phase(), bare)};
    report.measured = round.target;
    if (terminal_)
      fmt::print(stderr, "round {}: {:.0f} to {:.0f} requests/s\n", i + 1, round.target.result.rate(),
                 round.bare.result.rate());
    report.rounds.push_back(std::move(round));
  }
  return EX_OK;
}

int Runner::run() {
  if (const int code = try_plot(options_.outputs); code != EX_OK) return code;
  if (const int code = find_servers(); code != EX_OK) return code;
  const int code = fill_and_measure();
  const bool writes = options_.load.mix[static_cast<size_t>(Kind::kPut)] > 0 || fills();
  if (writes) name_what_is_left(options_.servers.front(), options_.load.key_shape.prefix);
  return code;
}

int Runner::fill_and_measure() {
  if (const int code = fill(); code != EX_OK) return code;
  processes_ = find_processes(options_);
  RunReport report{options_, {}, {}};
  if (options_.yardstick) {
    if (const int code = measure_rounds(report); code != EX_OK) return code;
  } else {
    warm_up(*load_);
    report.measured = measure(*load_, phase(), processes_);
  }
  const Outputs& outputs = options_.outputs;
  fmt::print("{}", outputs.json ? run_json(report) : outputs.csv ? run_csv(report) : run_text(report));
  return plot_to(outputs, run_plot(report));
}

}  // namespace

std::string own_program() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

int try_plot(const Outputs& outputs) {
  if (outputs.plot.empty()) return EX_OK;
  std::error_code ignored;
  const bool there = std::filesystem::exists(outputs.plot, ignored);
  const bool good = std::ofstream(outputs.plot, std::ios::app).good();
  if (!good) complain(fmt::format("cannot write {}: {}", outputs.plot, std::strerror(errno)));
  if (good && !there) std::filesystem::remove(outputs.plot, ignored);
  return good ? EX_OK : EX_CANTCREAT;
}

int plot_to(const Outputs& outputs, const std::string& svg) {
  if (outputs.plot.empty()) return EX_OK;
  const std::string error = write_file(outputs.plot, svg);
  if (!error.empty()) complain(error);
  return error.empty() ? EX_OK : EX_CANTCREAT;
}

void name_what_is_left(const std::string& server, const std::string& prefix) {
  if (prefix.empty()) return complain("the keys that it wrote are left; they have no prefix of their own");
  complain(fmt::format(
      "keys that begin with {} are left; to delete them, as often as it says \"more\":true: {}", prefix,
      curl_delete(server, fmt::format("/v1/kv?prefix={}&limit={}", prefix, limits::kListItemsMax))));
}

std::string curl_delete(const std::string& server, const std::string& target) {
  const auto parsed = client::parse_server(server);
  const std::string socket = parsed->socket.empty() ? "" : fmt::format("--unix-socket {} ", parsed->socket);
  const std::string url = !socket.empty() ? "http://localhost"
                          : parsed->https ? client::name_of(*parsed)
                                          : "http://" + client::name_of(*parsed);
  return fmt::format("curl {}-X DELETE '{}{}'", socket, url, target);
}

int run_command(const RunOptions& options) { return Runner(options).run(); }

}  // namespace kvd::load
