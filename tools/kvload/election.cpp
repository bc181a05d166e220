// See election.hpp. Starting, ending and asking servers blocks, as in the tests whose processes these are; only while
// an election is under way does a loop turn, with the clients that feel it.
#include "kvload/election.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <simdjson.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <thread>

#include "kvload/election_probe.hpp"
#include "kvload/plots.hpp"
#include "kvload/run_command.hpp"
#include "net/loop.hpp"
#include "rig/free_port.hpp"
#include "rig/kvd_server.hpp"
#include "rig/zookeeper_server.hpp"

namespace kvd::load {
namespace {

using testing::KvdServer;

constexpr size_t kServers = 3;
constexpr int kTickMs = 500;  // of ZooKeeper: sessions last up to 20 of them
constexpr double kSettle = 0.3;

volatile sig_atomic_t interrupted = 0;
bool is_interrupted() { return interrupted != 0; }

void catch_signals() {
  struct sigaction action {};
  action.sa_handler = [](int number) { interrupted = number; };
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

// What ends the command; everything that was started is ended on the way out.
struct Ended : std::runtime_error {
  using std::runtime_error::runtime_error;
};

double ms_since(uint64_t begin, uint64_t now) {
  return (static_cast<double>(now) - static_cast<double>(begin)) / 1e6;
}

// A directory that goes with everything in it.
class Directory {
 public:
  Directory() : path_((std::filesystem::temp_directory_path() / "kvload-XXXXXX").string()) {
    if (mkdtemp(path_.data()) == nullptr) throw Ended("cannot make a temporary directory");
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

template <class Holds>
void wait_until(const std::string& what, double seconds, Holds holds) {
  const uint64_t end = uv_hrtime() + static_cast<uint64_t>(seconds * 1e9);
  while (!holds()) {
    if (is_interrupted()) throw Ended("interrupted");
    if (uv_hrtime() > end) throw Ended(fmt::format("waited {} s in vain until {}", seconds, what));
    std::this_thread::sleep_for(milliseconds(2));
  }
}

std::optional<testing::ServerStatus> status_of(const KvdServer& server) {
  try {
    return server.status();
  } catch (const std::exception&) {  // not the answer of a kvd that can be read
    return std::nullopt;
  }
}

// Three servers and what stands between them and ZooKeeper.
class Ensemble {
 public:
  Ensemble(const ElectionOptions& options, const std::string& directory, uint16_t zookeeper_port,
           uint32_t delay_ms)
      : limit_s_(options.limit_s) {
    uint16_t port = zookeeper_port;
    if (delay_ms > 0) {
      port = testing::free_port();
      proxy_.start({own_program(), "delay-proxy", "--port", std::to_string(port), "--to-port",
                    std::to_string(zookeeper_port), "--delay", std::to_string(delay_ms)},
                   fmt::format("{}/proxy-{}", directory, delay_ms));
    }
    for (size_t i = 0; i < kServers; ++i) {
      std::vector<std::string> flags{"--expect", std::to_string(kServers)};
      flags.insert(flags.end(), options.kvd_flags.begin(), options.kvd_flags.end());
      servers_.push_back(std::make_unique<KvdServer>(
          fmt::format("server {}", i + 1), fmt::format("{}/server-{}-{}", directory, delay_ms, i + 1),
          fmt::format("127.0.0.1:{}/kvload-{}", port, delay_ms), flags));
    }
    for (const auto& server : servers_) server->start();
  }

  KvdServer& wait_for_leader() {
    KvdServer* found = nullptr;
    wait_until("three servers are in sync", limit_s_, [&] {
      found = nullptr;
      for (const auto& server : servers_) {
        if (!server->running())
          throw Ended(fmt::format("{} ended by itself:\n{}", server->name(), server->log()));
        const auto status = status_of(*server);
        if (!status || !status->ready || status->in_sync.size() != kServers) return false;
        if (status->role == "leader") found = server.get();
      }
      return found != nullptr;
    });
    return *found;
  }
  std::vector<KvdServer*> all_but(const KvdServer& one) {
    std::vector<KvdServer*> list;
    for (const auto& server : servers_) {
      if (server.get() != &one) list.push_back(server.get());
    }
    return list;
  }
  std::string describe() const {
    std::string text;
    for (const auto& server : servers_)
      text += fmt::format("\n{}: {}", server->name(), server->get("/v1/cluster", seconds(1)).body);
    return text;
  }

 private:
  double limit_s_;
  testing::ChildProcess proxy_;
  std::vector<std::unique_ptr<KvdServer>> servers_;
};

// What the server that was elected tells about it, on the clock of this process.
void add_steps(KvdServer& elected, uint64_t epoch, uint64_t begin, ElectionRun& run) {
  const testing::HttpAnswer answer = elected.get("/v1/cluster/why");
  const uint64_t now = uv_hrtime();
  simdjson::dom::parser parser;
  simdjson::dom::array elections;
  if (parser.parse(answer.body)["elections"].get(elections)) return;
  for (const auto election : elections) {
    uint64_t of = 0;
    std::string_view cause;
    double ago = 0, deposed = 0, activated = 0;
    if (election["epoch"].get(of) || of != epoch) continue;
    if (election["cause"].get(cause) || election["ago_ms"].get(ago)) return;
    run.cause = cause;
    constexpr double kRounding = 0.5;  // whole milliseconds, rounded down
    const double began = ms_since(begin, now) - ago - kRounding;
    run.elected = std::max(began, 0.0);
    if (election["deposed_ms"].get(deposed)) return;
    run.detected = std::max(began - deposed - kRounding, 0.0);
    if (!election["activated_ms"].get(activated)) run.activated = *run.detected + activated + kRounding;
  }
}

class Driver {
 public:
  explicit Driver(const ElectionOptions& options) : options_(options), terminal_(isatty(2) != 0) {}

  std::vector<ElectionSeries> run();

 private:
  void start_zookeeper();
  ElectionRun run_once(Ensemble& ensemble);
  void end(KvdServer& leader) const;
  void bring_back(KvdServer& old) const;

  const ElectionOptions& options_;
  bool terminal_;
  Directory directory_;
  testing::ZookeeperEnsemble zookeeper_{1, kTickMs};
};

void Driver::start_zookeeper() {
  zookeeper_.start();
  const uint64_t end = uv_hrtime() + 60'000'000'000;
  while (!zookeeper_.wait_ready(milliseconds(200))) {
    if (is_interrupted()) throw Ended("interrupted");
    if (!zookeeper_.running(0) || uv_hrtime() > end)
      throw Ended("ZooKeeper does not start:\n" + zookeeper_.log(0));
  }
}

void Driver::end(KvdServer& leader) const {
  switch (options_.how) {
    case Stop::kKill:
      return leader.kill();
    case Stop::kFreeze:
      return leader.pause();
    case Stop::kTerm:
      leader.stop(Duration::zero());
  }
}

void Driver::bring_back(KvdServer& old) const {
  if (options_.how == Stop::kFreeze) return old.resume();
  if (options_.how == Stop::kTerm) {
    wait_until("the old leader has ended", options_.limit_s, [&] { return !old.running(); });
  }
  old.start();
}

ElectionRun Driver::run_once(Ensemble& ensemble) {
  KvdServer& old = ensemble.wait_for_leader();
  const std::vector<KvdServer*> others = ensemble.all_but(old);
  std::vector<std::string> names;
  for (const KvdServer* server : others) names.push_back(server->id());
  ElectionRun run;
  uint64_t begin = 0;
  uint64_t epoch = 0;
  {
    net::Loop loop;
    ElectionProbe probe(loop.get(), *resolve(names));
    probe.run_for(kSettle + 0.001 * (rand() % 50));  // not always at the same moment between two heartbeats
    begin = uv_hrtime();
    probe.mark(begin);
    end(old);
    if (!probe.wait(options_.limit_s, is_interrupted))
      throw Ended(is_interrupted() ? "interrupted"
                                   : "no write was accepted by a new leader" + ensemble.describe());
    run.accepted = ms_since(begin, *probe.accepted_at());
    run.gap = ms_since(probe.last_before(), *probe.accepted_at());
    epoch = probe.epoch();
  }
  KvdServer* elected = nullptr;
  wait_until("a server says that it leads", options_.limit_s, [&] {
    for (KvdServer* server : others) {
      const auto status = status_of(*server);
      if (status && status->role == "leader") elected = server;
    }
    return elected != nullptr;
  });
  add_steps(*elected, epoch, begin, run);
  bring_back(old);
  const uint64_t back = uv_hrtime();
  wait_until("the old leader is in sync", options_.limit_s, [&] {
    // Both have to say so: a leader may still count the life that a dead server had before, and a thawed one reads
    // first what it was sent before it was dropped.
    const auto leads = status_of(*elected);
    const auto follows = status_of(old);
    if (leads && leads->role != "leader") throw Ended("the lead has moved while the old leader came back");
    return leads && follows && leads->has_in_sync(old.id()) && follows->has_in_sync(old.id()) &&
           follows->epoch == epoch && follows->role == "follower";
  });
  run.in_sync = ms_since(back, uv_hrtime());
  return run;
}

std::vector<ElectionSeries> Driver::run() {
  start_zookeeper();
  std::vector<ElectionSeries> all;
  for (const uint32_t delay : options_.delays_ms) {
    ElectionSeries& series = all.emplace_back();
    series.delay_ms = delay;
    Ensemble ensemble(options_, directory_.path(), zookeeper_.address(0).port, delay);
    for (size_t i = 0; i < options_.runs; ++i) {
      series.runs.push_back(run_once(ensemble));
      if (terminal_)
        fmt::print(stderr, "\r\033[KZooKeeper {} ms away: {} of {}, first accepted write after {:.1f} ms",
                   delay, i + 1, options_.runs, *series.runs.back().accepted);
    }
    if (terminal_) fmt::print(stderr, "\r\033[K");
  }
  return all;
}

std::string find_kvd(const std::string& given) {
  if (!given.empty()) return given;
  const std::filesystem::path built = std::filesystem::path(own_program()).parent_path() / "../src/kvd";
  return access(built.c_str(), X_OK) == 0 ? built.string() : "kvd";
}

}  // namespace

int election_command(const ElectionOptions& options) {
  if (!testing::ZookeeperEnsemble::installed()) {
    fmt::print(stderr, "kvload: needs the packages zookeeper and libslf4j-java, and java in PATH\n");
    return EX_UNAVAILABLE;
  }
  if (const int code = try_plot(options.outputs); code != EX_OK) return code;
  catch_signals();
  testing::set_kvd_program(find_kvd(options.kvd));
  try {
    const std::vector<ElectionSeries> series = Driver(options).run();
    const Outputs& outputs = options.outputs;
    fmt::print("{}", outputs.json  ? election_json(options, series)
                     : outputs.csv ? election_csv(series)
                                   : election_text(options, series));
    return plot_to(outputs, election_plot(options, series));
  } catch (const Ended& ended) {
    fmt::print(stderr, "kvload: {}\n", ended.what());
    return is_interrupted() ? 128 + interrupted : EX_UNAVAILABLE;
  }
}

}  // namespace kvd::load
