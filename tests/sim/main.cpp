// The simulator's command line: one seed with its whole story, or many seeds over all cores. Exit codes: 0
// all is well, 1 a correctness failure, 2 a liveness failure, 3 a crash (CHECK, hang), 64 usage. Every
// failure prints the one command that replays it.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "runs.hpp"

namespace kvd::sim {
namespace {

struct CommandLine {
  std::string program;
  RunSpec spec;  // its seed is the first one
  uint64_t last = 0;
  bool many = false;
  bool replay_check = false;
  std::string trace_file;  // "-": stdout
  std::string list_file;
};

RunSpec with_seed(const CommandLine& line, uint64_t seed) {
  RunSpec spec = line.spec;
  spec.seed = seed;
  return spec;
}

int run_one(const CommandLine& line) {
  std::FILE* out = stdout;
  if (!line.trace_file.empty() && line.trace_file != "-") out = std::fopen(line.trace_file.c_str(), "w");
  if (out == nullptr) {
    fmt::print(stderr, "sim: cannot write {}\n", line.trace_file);
    return 64;
  }
  const RunResult result = run(line.spec, {line.program, true, out});
  fmt::print(out, "trace hash {:016x}, state hash {:016x}\n", result.trace_hash, result.state_hash);
  std::fflush(out);
  fmt::print("seed {}: {}\n", line.spec.seed, summary(result));
  if (result.verdict != Verdict::kOk) report_failure(line.program, line.spec, result);
  return static_cast<int>(result.verdict);
}

// The same seed must go the same way, and no other way because somebody watches.
int check_replay(const RunSpec& spec, const std::string& program) {
  const RunResult first = run(spec, {program, true});
  const RunResult second = run(spec, {program, true});
  const RunResult unwatched = run(spec, {program, false});
  if (first.trace_hash == second.trace_hash && first.state_hash == second.state_hash &&
      first.state_hash == unwatched.state_hash && first.trace_hash != 0) {
    return 0;
  }
  fmt::print(stderr,
             "NOT DETERMINISTIC seed {}: trace {:016x} {:016x}, state {:016x} {:016x} unwatched {:016x}\n",
             spec.seed, first.trace_hash, second.trace_hash, first.state_hash, second.state_hash,
             unwatched.state_hash);
  return 1;
}

// How far a run of many seeds has come: one line that rewrites itself on a terminal, a line every few seconds
// elsewhere.
class Progress {
 public:
  explicit Progress(uint64_t count) : count_(count) {}

  void show(uint64_t done, size_t failed) {
    const auto now = std::chrono::steady_clock::now();
    if (now - shown_at_ < (terminal_ ? std::chrono::milliseconds(200) : std::chrono::seconds(5))) return;
    shown_at_ = now;
    const double spent = std::chrono::duration<double>(now - began_at_).count();
    const double rate = static_cast<double>(done) / std::max(spent, 0.001);
    const double left = static_cast<double>(count_ - done) / std::max(rate, 0.001);
    fmt::print(stderr, "{}{}/{} seeds, {:.1f} a second, {} failed, {:.0f} s to go{}",
               terminal_ ? "\r\033[K" : "", done, count_, rate, failed, left, terminal_ ? "" : "\n");
    std::fflush(stderr);
  }
  void clear() const {
    if (terminal_) fmt::print(stderr, "\r\033[K");
  }
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_at_).count();
  }

 private:
  uint64_t count_;
  bool terminal_ = isatty(2) != 0;
  std::chrono::steady_clock::time_point began_at_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point shown_at_ = began_at_;
};

struct Totals {
  uint64_t done = 0;
  std::map<int, uint64_t> by_code;
  std::vector<uint64_t> failed;
  Tally sum;
};

void add(Totals& totals, const Finished& end) {
  ++totals.done;
  ++totals.by_code[end.code];
  if (end.code != 0) totals.failed.push_back(end.seed);
  totals.sum.events += end.tally.events;
  totals.sum.operations += end.tally.operations;
  totals.sum.writes += end.tally.writes;
  totals.sum.epochs += end.tally.epochs;
  totals.sum.lineages += end.tally.lineages;
  totals.sum.undecided += end.tally.undecided;
}

// A run that fails reports itself; one that is ended by a signal cannot. (A failed CHECK, which aborts, has.)
void report_end(const CommandLine& line, const Finished& end) {
  const std::string command = replay_command(line.program, with_seed(line, end.seed));
  if (end.code == kHung) {
    fmt::print(stderr, "HANG seed {}: no end after {} s of real time\n  replay: {}\n", end.seed,
               kSecondsPerSeed, command);
  } else if (end.signal != 0 && end.signal != SIGABRT) {
    fmt::print(stderr, "CRASH seed {}: signal {}\n  replay: {}\n", end.seed, end.signal, command);
  }
}

int run_many(const CommandLine& line) {
  Totals totals;
  Progress progress(line.last - line.spec.seed + 1);
  const auto child = [&](uint64_t seed, Tally& tally) {
    const RunSpec spec = with_seed(line, seed);
    if (line.replay_check) return check_replay(spec, line.program);
    const RunResult result = run(spec, {line.program});
    if (result.verdict != Verdict::kOk) report_failure(line.program, spec, result);
    tally = tally_of(result);
    return static_cast<int>(result.verdict);
  };
  const bool forked = run_forked(line.spec.seed, line.last, child, [&](const Finished& end) {
    report_end(line, end);
    add(totals, end);
    progress.show(totals.done, totals.failed.size());
    return true;
  });
  progress.clear();
  if (!forked) fmt::print(stderr, "sim: cannot make a process\n");
  const uint64_t crashed = totals.by_code[kCrashed] + totals.by_code[kHung];
  fmt::print("{} seeds in {:.0f} s: {} ok, {} correctness, {} liveness, {} crashed\n", totals.done,
             progress.seconds(), totals.by_code[0], totals.by_code[1], totals.by_code[2], crashed);
  fmt::print("{} events, {} operations, {} acknowledged writes, {} epochs, {} lineages, {} keys undecided\n",
             totals.sum.events, totals.sum.operations, totals.sum.writes, totals.sum.epochs,
             totals.sum.lineages, totals.sum.undecided);
  for (uint64_t seed : totals.failed) {
    fmt::print("failed: {}\n", replay_command(line.program, with_seed(line, seed)));
  }
  if (crashed != 0 || !forked) return kCrashed;
  for (int code : {1, 2}) {
    if (totals.by_code[code] != 0) return code;
  }
  return totals.by_code[0] == totals.done && totals.done != 0 ? 0 : kCrashed;
}

// Every line of the list, whatever the seeds.
int run_list(const CommandLine& line) {
  const auto runs = read_list(line.list_file);
  if (!runs) return 64;
  size_t failed = 0;
  run_forked(
      1, runs->size(),
      [&](uint64_t place, Tally&) {
        const RunSpec& spec = (*runs)[place - 1];
        const RunResult result = run(spec, {line.program});
        if (result.verdict != Verdict::kOk) report_failure(line.program, spec, result);
        return static_cast<int>(result.verdict);
      },
      [&](const Finished& end) {
        failed += end.code != 0 ? 1 : 0;
        return true;
      });
  fmt::print("{} runs, {} failed\n", runs->size(), failed);
  return failed == 0 ? 0 : 1;
}

int usage() {
  fmt::print(stderr,
             "usage: sim --seeds A..B | --seed N [--trace FILE] | --list FILE  [--replay-check] [--plain] "
             "[--set OPTION=NUMBER]...\n"
             "  --plain: options from their defaults instead of drawn from the seed\n"
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
  if (dots == std::string::npos) return parse_number(text, line.last) && (line.spec.seed = 1, line.last >= 1);
  return parse_number(text.substr(0, dots), line.spec.seed) &&
         parse_number(text.substr(dots + 2), line.last) && line.spec.seed <= line.last;
}

bool parse(int argc, char** argv, CommandLine& line) {
  bool seeded = false;
  line.program = argv[0];
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--replay-check") {
      line.replay_check = true;
      continue;
    }
    if (flag == "--plain") {
      line.spec.plain = true;
      continue;
    }
    const std::string value = i + 1 < argc ? argv[i + 1] : "";
    ++i;
    if (flag == "--seed") {
      if (!parse_number(value, line.spec.seed)) return false;
      line.last = line.spec.seed;
      seeded = true;
    } else if (flag == "--seeds") {
      const char* environment = std::getenv("KVD_SIM_SEEDS");
      if (!parse_range(environment != nullptr ? environment : value, line)) return false;
      seeded = true;
    } else if (flag == "--list") {
      line.list_file = value;
      seeded = true;
    } else if (flag == "--trace") {
      line.trace_file = value;
    } else if (flag == "--set") {
      if (!parse_override(value, line.spec)) return false;
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
  if (!line.list_file.empty()) return run_list(line);
  if (line.many || line.replay_check) return run_many(line);
  return run_one(line);
}

}  // namespace kvd::sim

int main(int argc, char** argv) { return kvd::sim::main(argc, argv); }
