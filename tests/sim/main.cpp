// The simulator's command line: one seed with its whole story, or many seeds over all cores. Exit codes: 0
// all is well, 1 a correctness failure, 2 a liveness failure, 3 a crash (CHECK, hang), 64 usage. Every
// failure prints the one command that replays it.
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/check.hpp"
#include "world.hpp"

namespace kvd::sim {
namespace {

struct CommandLine {
  uint64_t first = 0;
  uint64_t last = 0;
  bool many = false;
  bool replay_check = false;
  std::string trace_file;  // "-": stdout
  std::vector<std::pair<std::string, int64_t>> overrides;
};

constexpr unsigned kSecondsPerSeed = 240;  // of real time: more is a hang

// For the CHECK hook, which takes no arguments.
uint64_t g_seed = 0;
std::string g_replay;
SimContext* g_context = nullptr;

void on_check_failed() {
  std::fprintf(stderr, "CRASH seed %llu\n", static_cast<unsigned long long>(g_seed));
  if (g_context != nullptr) {
    for (const std::string& line : g_context->trace.tail()) std::fprintf(stderr, "  %s\n", line.c_str());
  }
  std::fprintf(stderr, "  replay: %s\n", g_replay.c_str());
}

std::string replay_command(uint64_t seed, const CommandLine& line) {
  std::string command = fmt::format("sim --seed {}", seed);
  for (const auto& item : line.overrides) command += fmt::format(" --set {}={}", item.first, item.second);
  return command;
}

RunResult run_seed(uint64_t seed, const CommandLine& line, bool traced, std::FILE* out) {
  SimContext context(seed);
  context.options = draw_options(context.prng);
  for (const auto& item : line.overrides) *find_option(context.options, item.first) = item.second;
  if (out != nullptr) fmt::print(out, "seed {}: {}\n", seed, describe(context.options));
  if (traced) {
    context.trace.enable(
        200,
        out == nullptr ? Trace::Sink() : [out](std::string_view text) { fmt::print(out, "{}\n", text); });
  }
  g_seed = seed;
  g_replay = replay_command(seed, line);
  g_context = &context;
  World world(context);
  RunResult result = world.run();
  g_context = nullptr;
  return result;
}

void report_failure(uint64_t seed, const CommandLine& line, const RunResult& result) {
  Prng prng(seed);
  Options options = draw_options(prng);
  for (const auto& item : line.overrides) *find_option(options, item.first) = item.second;
  const std::string text =
      fmt::format("{} seed {}: {}\n  options: {}\n  replay: {}\n",
                  result.verdict == Verdict::kCorrectness ? "CORRECTNESS" : "LIVENESS", seed,
                  result.explanation, describe(options), replay_command(seed, line));
  std::fwrite(text.data(), 1, text.size(), stderr);
}

std::string summary(const RunResult& result) {
  return fmt::format(
      "{} events, {} operations, {} acknowledged writes, {} epochs, {} lineages, {} ms simulated{}",
      result.events, result.operations, result.acknowledged_writes, result.epochs, result.lineages,
      to_ms(result.simulated),
      result.undecided > 0 ? fmt::format(", {} keys undecided", result.undecided) : "");
}

int run_one(const CommandLine& line) {
  std::FILE* out = stdout;
  if (!line.trace_file.empty() && line.trace_file != "-") out = std::fopen(line.trace_file.c_str(), "w");
  if (out == nullptr) {
    fmt::print(stderr, "sim: cannot write {}\n", line.trace_file);
    return 64;
  }
  const RunResult result = run_seed(line.first, line, true, out);
  fmt::print(out, "trace hash {:016x}, state hash {:016x}\n", result.trace_hash, result.state_hash);
  std::fflush(out);
  fmt::print("seed {}: {}\n", line.first, summary(result));
  if (result.verdict != Verdict::kOk) report_failure(line.first, line, result);
  return static_cast<int>(result.verdict);
}

// The same seed must go the same way, and no other way because somebody watches.
int check_replay(uint64_t seed, const CommandLine& line) {
  const RunResult first = run_seed(seed, line, true, nullptr);
  const RunResult second = run_seed(seed, line, true, nullptr);
  const RunResult unwatched = run_seed(seed, line, false, nullptr);
  if (first.trace_hash == second.trace_hash && first.state_hash == second.state_hash &&
      first.state_hash == unwatched.state_hash && first.trace_hash != 0) {
    return 0;
  }
  fmt::print(
      stderr, "NOT DETERMINISTIC seed {}: trace {:016x} {:016x}, state {:016x} {:016x} unwatched {:016x}\n",
      seed, first.trace_hash, second.trace_hash, first.state_hash, second.state_hash, unwatched.state_hash);
  return 1;
}

struct Totals {
  uint64_t done = 0;
  std::map<int, uint64_t> by_code;
  std::vector<uint64_t> failed;
};

struct Tally {  // what a child tells its parent, in one write below PIPE_BUF
  uint64_t operations, writes, epochs, lineages, events;
  int64_t undecided;
};

int run_child(uint64_t seed, const CommandLine& line, int tally_pipe) {
  alarm(kSecondsPerSeed);
  if (line.replay_check) return check_replay(seed, line);
  const RunResult result = run_seed(seed, line, false, nullptr);
  if (result.verdict != Verdict::kOk) report_failure(seed, line, result);
  const Tally tally{result.operations, result.acknowledged_writes,
                    result.epochs,     result.lineages,
                    result.events,     result.undecided};
  if (write(tally_pipe, &tally, sizeof tally) != static_cast<ssize_t>(sizeof tally)) return 3;
  return static_cast<int>(result.verdict);
}

void reap(std::map<pid_t, uint64_t>& running, Totals& totals, const CommandLine& line) {
  int status = 0;
  const pid_t pid = waitpid(-1, &status, 0);
  auto found = running.find(pid);
  if (found == running.end()) return;
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 3;
  if (code != 0) totals.failed.push_back(found->second);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
    fmt::print(stderr, "HANG seed {}: no end after {} s of real time\n  replay: {}\n", found->second,
               kSecondsPerSeed, replay_command(found->second, line));
  } else if (WIFSIGNALED(status) && WTERMSIG(status) != SIGABRT) {
    fmt::print(stderr, "CRASH seed {}: signal {}\n  replay: {}\n", found->second, WTERMSIG(status),
               replay_command(found->second, line));
  }
  ++totals.by_code[code];
  ++totals.done;
  running.erase(found);
}

void add_tallies(int pipe_end, Tally& sum) {
  Tally tally;
  while (read(pipe_end, &tally, sizeof tally) == static_cast<ssize_t>(sizeof tally)) {
    sum.operations += tally.operations;
    sum.writes += tally.writes;
    sum.epochs += tally.epochs;
    sum.lineages += tally.lineages;
    sum.events += tally.events;
    sum.undecided += tally.undecided;
  }
}

int worst(const Totals& totals) {
  for (int code : {3, 1, 2}) {
    if (totals.by_code.count(code) != 0) return code;
  }
  return totals.by_code.size() == 1 && totals.by_code.count(0) != 0 ? 0 : 3;
}

int run_many(const CommandLine& line) {
  int tally_pipe[2];
  if (pipe(tally_pipe) != 0) return 3;
  const size_t cores = std::max(1u, std::thread::hardware_concurrency());
  std::map<pid_t, uint64_t> running;
  Totals totals;
  Tally sum{};
  const uint64_t count = line.last - line.first + 1;
  for (uint64_t seed = line.first; seed <= line.last; ++seed) {
    while (running.size() >= cores) reap(running, totals, line);
    std::fflush(nullptr);
    const pid_t pid = fork();
    if (pid < 0) return 3;
    if (pid == 0) _exit((close(tally_pipe[0]), run_child(seed, line, tally_pipe[1])));
    running[pid] = seed;
    // The pipe holds many tallies, not all of them.
    if (seed % 64 == 0) {
      while (!running.empty()) reap(running, totals, line);
      close(tally_pipe[1]);
      add_tallies(tally_pipe[0], sum);
      close(tally_pipe[0]);
      if (pipe(tally_pipe) != 0) return 3;
      fmt::print(stderr, "{}/{} seeds, {} failed\n", totals.done, count, totals.failed.size());
    }
  }
  while (!running.empty()) reap(running, totals, line);
  close(tally_pipe[1]);
  add_tallies(tally_pipe[0], sum);
  fmt::print("{} seeds: {} ok, {} correctness, {} liveness, {} crashed\n", totals.done, totals.by_code[0],
             totals.by_code[1], totals.by_code[2], totals.by_code[3]);
  fmt::print("{} events, {} operations, {} acknowledged writes, {} epochs, {} lineages, {} keys undecided\n",
             sum.events, sum.operations, sum.writes, sum.epochs, sum.lineages, sum.undecided);
  for (uint64_t seed : totals.failed) fmt::print("failed: {}\n", replay_command(seed, line));
  std::erase_if(totals.by_code, [](const auto& item) { return item.second == 0; });
  return worst(totals);
}

int usage() {
  fmt::print(stderr,
             "usage: sim --seeds A..B | --seed N [--trace FILE]  [--replay-check] [--set OPTION=NUMBER]...\n"
             "  KVD_SIM_SEEDS=A..B overrides --seeds\n");
  return 64;
}

bool parse_number(const std::string& text, uint64_t& out) {
  char* end = nullptr;
  out = std::strtoull(text.c_str(), &end, 10);
  return !text.empty() && *end == '\0';
}

bool parse_range(const std::string& text, CommandLine& line) {
  const size_t dots = text.find("..");
  line.many = true;
  if (dots == std::string::npos) return parse_number(text, line.last) && (line.first = 1, line.last >= 1);
  return parse_number(text.substr(0, dots), line.first) && parse_number(text.substr(dots + 2), line.last) &&
         line.first <= line.last;
}

bool parse_override(const std::string& text, CommandLine& line) {
  const size_t equals = text.find('=');
  Options scratch;
  if (equals == std::string::npos || find_option(scratch, text.substr(0, equals)) == nullptr) return false;
  line.overrides.emplace_back(text.substr(0, equals), std::strtoll(text.c_str() + equals + 1, nullptr, 10));
  return true;
}

bool parse(int argc, char** argv, CommandLine& line) {
  bool seeded = false;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const std::string value = i + 1 < argc ? argv[i + 1] : "";
    if (flag == "--replay-check") {
      line.replay_check = true;
      continue;
    }
    ++i;
    if (flag == "--seed") {
      if (!parse_number(value, line.first)) return false;
      line.last = line.first;
      seeded = true;
    } else if (flag == "--seeds") {
      const char* environment = std::getenv("KVD_SIM_SEEDS");
      if (!parse_range(environment != nullptr ? environment : value, line)) return false;
      seeded = true;
    } else if (flag == "--trace") {
      line.trace_file = value;
    } else if (flag == "--set") {
      if (!parse_override(value, line)) return false;
    } else {
      return false;
    }
  }
  return seeded;
}

}  // namespace

int main(int argc, char** argv) {
  CommandLine line;
  if (!parse(argc, argv, line)) return usage();
  set_check_hook(on_check_failed);
  if (line.many || line.replay_check) return run_many(line);
  return run_one(line);
}

}  // namespace kvd::sim

int main(int argc, char** argv) { return kvd::sim::main(argc, argv); }
