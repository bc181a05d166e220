// One run of the simulator by its seed and options, and many of them over all cores: what the programs `sim` and
// `mutants` have in common. Every run of many has a process of its own, so that a crash or a hang of one is only that
// one's failure.
#pragma once
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "world.hpp"

namespace kvd::sim {

// What determines a run, given the program. The randomness of the run itself does not depend on how options are drawn:
// a run whose options are all given keeps its meaning when drawing changes.
struct RunSpec {
  uint64_t seed = 0;
  bool plain = false;  // options start from their defaults instead of being drawn from the seed
  std::vector<std::pair<std::string, int64_t>> overrides;  // names that find_option() knows
};

Options options_of(const RunSpec& spec);
// The one command that replays the run. `program`: how the simulator is started.
std::string replay_command(const std::string& program, const RunSpec& spec);
// "name=number": false when there is no such option.
bool parse_override(const std::string& text, RunSpec& spec);
// The runs of a list such as regressions.txt: a line is "SEED [NAME=NUMBER | WORD]...  # what", after
// "WORD NAME=NUMBER..." has said what a word stands for. DRAWN: what is not given is drawn from the seed; else it has
// its default. Nothing, and a line on stderr: it cannot be read.
std::optional<std::vector<RunSpec>> read_list(const std::string& file);

// `traced`: lines go to `out` (null: nowhere, they only count for the hash). When a CHECK fails, says on stderr which
// run it was, unless `quiet`.
struct RunManner {
  std::string program = "sim";
  bool traced = false;
  std::FILE* out = nullptr;
  bool quiet = false;
};
RunResult run(const RunSpec& spec, const RunManner& manner);
void report_failure(const std::string& program, const RunSpec& spec, const RunResult& result);
std::string summary(const RunResult& result);

struct Tally {  // what a run adds to the totals of many
  uint64_t events = 0;
  uint64_t operations = 0;
  uint64_t writes = 0;
  uint64_t epochs = 0;
  uint64_t lineages = 0;
  uint64_t undecided = 0;
};
Tally tally_of(const RunResult& result);

inline constexpr int kCrashed = 3;  // exit code beside the verdicts'
inline constexpr int kHung = 4;
struct Finished {
  uint64_t seed = 0;
  int code = 0;    // a verdict, kCrashed or kHung
  int signal = 0;  // that ended it; 0: none
  Tally tally;
};

inline constexpr unsigned kSecondsPerSeed = 240;  // of real time: more is a hang

// Runs child(seed, tally) for every seed from `first` to `last`, each in a process of its own, as many at once as there
// are cores; what it returns is its exit code. finished() hears of each one's end, in the order of the ends; once it
// returns false no more are begun. False: no process could be made.
bool run_forked(uint64_t first, uint64_t last, const std::function<int(uint64_t seed, Tally& tally)>& child,
                const std::function<bool(const Finished&)>& finished);

}  // namespace kvd::sim
