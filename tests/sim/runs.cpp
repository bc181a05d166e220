// See runs.hpp.
#include "runs.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "base/check.hpp"

namespace kvd::sim {
namespace {

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

struct Message {  // from a child to its parent, in one write below PIPE_BUF
  pid_t child;
  Tally tally;
};

}  // namespace

Options options_of(const RunSpec& spec) {
  Options options;
  if (!spec.plain) {
    Prng prng(spec.seed);
    options = draw_options(prng);
  }
  for (const auto& item : spec.overrides) *find_option(options, item.first) = item.second;
  return options;
}

std::string replay_command(const std::string& program, const RunSpec& spec) {
  std::string command = fmt::format("{} --seed {}{}", program, spec.seed, spec.plain ? " --plain" : "");
  for (const auto& item : spec.overrides) command += fmt::format(" --set {}={}", item.first, item.second);
  return command;
}

bool parse_override(const std::string& text, RunSpec& spec) {
  const size_t equals = text.find('=');
  Options scratch;
  if (equals == std::string::npos || find_option(scratch, text.substr(0, equals)) == nullptr) return false;
  spec.overrides.emplace_back(text.substr(0, equals), std::strtoll(text.c_str() + equals + 1, nullptr, 10));
  return true;
}

std::optional<std::vector<RunSpec>> read_list(const std::string& file) {
  std::ifstream in(file);
  std::vector<RunSpec> runs;
  std::map<std::string, std::vector<std::pair<std::string, int64_t>>> words;
  std::string line;
  bool sound = static_cast<bool>(in);
  while (sound && std::getline(in, line)) {
    std::istringstream rest(line.substr(0, line.find('#')));
    std::string first, word;
    if (!(rest >> first)) continue;
    const bool number = first.find_first_not_of("0123456789") == std::string::npos;
    RunSpec spec{number ? std::strtoull(first.c_str(), nullptr, 10) : 0, true, {}};
    while (sound && rest >> word) {
      if (word == "DRAWN") {
        spec.plain = false;
      } else if (words.contains(word)) {
        spec.overrides.insert(spec.overrides.end(), words[word].begin(), words[word].end());
      } else {
        sound = parse_override(word, spec);
      }
    }
    if (number) {
      runs.push_back(std::move(spec));
    } else {
      words[first] = std::move(spec.overrides);
    }
  }
  if (sound && !runs.empty()) return runs;
  fmt::print(stderr, "sim: {}: cannot be read{}\n", file, line.empty() ? "" : ": " + line);
  return std::nullopt;
}

RunResult run(const RunSpec& spec, const RunManner& manner) {
  SimContext context(spec.seed ^ 0x9e3779b97f4a7c15);  // apart from what the options are drawn with
  context.options = options_of(spec);
  std::FILE* out = manner.out;
  if (out != nullptr) fmt::print(out, "seed {}: {}\n", spec.seed, describe(context.options));
  if (manner.traced) {
    context.trace.enable(
        200,
        out == nullptr ? Trace::Sink() : [out](std::string_view text) { fmt::print(out, "{}\n", text); });
  }
  g_seed = spec.seed;
  g_replay = replay_command(manner.program, spec);
  g_context = &context;
  set_check_hook(manner.quiet ? nullptr : on_check_failed);
  World world(context);
  RunResult result = world.run();
  g_context = nullptr;
  return result;
}

void report_failure(const std::string& program, const RunSpec& spec, const RunResult& result) {
  const std::string text =
      fmt::format("{} seed {}: {}\n  options: {}\n  replay: {}\n",
                  result.verdict == Verdict::kCorrectness ? "CORRECTNESS" : "LIVENESS", spec.seed,
                  result.explanation, describe(options_of(spec)), replay_command(program, spec));
  std::fwrite(text.data(), 1, text.size(), stderr);
}

std::string summary(const RunResult& result) {
  return fmt::format(
      "{} events, {} operations, {} acknowledged writes, {} epochs, {} lineages, {} ms simulated{}",
      result.events, result.operations, result.acknowledged_writes, result.epochs, result.lineages,
      to_ms(result.simulated),
      result.undecided > 0 ? fmt::format(", {} keys undecided", result.undecided) : "");
}

Tally tally_of(const RunResult& result) {
  return {result.events, result.operations, result.acknowledged_writes,
          result.epochs, result.lineages,   static_cast<uint64_t>(result.undecided)};
}

bool run_forked(uint64_t first, uint64_t last, const std::function<int(uint64_t seed, Tally& tally)>& child,
                const std::function<bool(const Finished&)>& finished) {
  int ends[2];
  if (pipe(ends) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) return false;
  const size_t cores = std::max(1u, std::thread::hardware_concurrency());
  std::map<pid_t, uint64_t> running;
  std::map<pid_t, Tally> tallies;
  bool more = true;
  const auto reap = [&] {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, 0);
    auto found = running.find(pid);
    if (found == running.end()) return;
    Message message;  // a child has told its tally before it ends
    while (read(ends[0], &message, sizeof message) == static_cast<ssize_t>(sizeof message)) {
      tallies[message.child] = message.tally;
    }
    Finished end{found->second, WIFEXITED(status) ? WEXITSTATUS(status) : kCrashed,
                 WIFSIGNALED(status) ? WTERMSIG(status) : 0, tallies[pid]};
    if (end.signal == SIGALRM) end.code = kHung;
    running.erase(found);
    tallies.erase(pid);
    more = finished(end) && more;
  };
  bool forked = true;
  for (uint64_t seed = first; more && seed <= last; ++seed) {
    while (running.size() >= cores) reap();
    if (!more) break;
    std::fflush(nullptr);
    const pid_t pid = fork();
    if (pid < 0) {
      forked = false;
      break;
    }
    if (pid == 0) {
      alarm(kSecondsPerSeed);
      Message message{getpid(), {}};
      int code = child(seed, message.tally);
      if (write(ends[1], &message, sizeof message) != static_cast<ssize_t>(sizeof message)) code = kCrashed;
      std::fflush(nullptr);
      _exit(code);
    }
    running[pid] = seed;
  }
  while (!running.empty()) reap();
  close(ends[0]);
  close(ends[1]);
  return forked;
}

}  // namespace kvd::sim
