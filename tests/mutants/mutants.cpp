// Does the simulator notice when a rule is dropped? Linked with a build of the core whose rules can be switched off one
// at a time (core/mutation.hpp). A mutation that nobody notices is a defect of the simulator.
//
//   mutants                      every mutation on the ground where it is quickly noticed (kHunts): one of those seeds
//                                must fail with the mutation, and all up to that one pass without
//   mutants --long               every mutation on the same ground as everything else: options drawn from the seeds, a
//                                few of them pinned for the rarest (Hunt::bias), until it is noticed or the budget is
//                                spent. What is hunted by a directed test is only reported.
//                                Takes hours, and so only when KVD_TEST_LONG=1 is in the environment
//   mutants --only NAME ...      that one only
//   mutants --only NAME --seeds A..B [--plain] [--set OPTION=NUMBER]...   which of these seeds notice it?
#include "mutants.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/mutation.hpp"
#include "sim/runs.hpp"

namespace kvd::sim {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kSkipped = 77;                // as meson understands it
constexpr uint64_t kLongFirst = 1'000'000;  // seeds of --long
constexpr uint64_t kLongSeeds = 400'000;    // per mutation
constexpr std::chrono::minutes kLongPatience(20);

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

RunSpec spec_of(const Hunt& hunt, bool plain) {
  RunSpec spec;
  spec.plain = plain;
  std::string_view rest = plain ? hunt.options : hunt.bias;
  while (!rest.empty()) {
    const size_t space = std::min(rest.find(' '), rest.size());
    if (!parse_override(std::string(rest.substr(0, space)), spec)) {
      fmt::print(stderr, "mutants: {}: no such option: {}\n", hunt.name, rest.substr(0, space));
      std::exit(64);
    }
    rest.remove_prefix(std::min(space + 1, rest.size()));
  }
  return spec;
}

struct Search {
  uint64_t tried = 0;
  std::vector<uint64_t> failed;
  bool forked = true;
};

// Runs the seeds with `mutation`; to the end, or until the first failure.
Search search(Mutation mutation, RunSpec spec, uint64_t first, uint64_t last, bool all,
              Clock::time_point until) {
  Search found;
  g_mutation = mutation;
  const bool quiet = mutation != Mutation::kNone;
  const auto child = [&](uint64_t seed, Tally&) {
    if (quiet && std::freopen("/dev/null", "w", stderr) == nullptr) return kCrashed;
    spec.seed = seed;
    const RunResult result = run(spec, {"sim", false, nullptr, quiet});
    if (!quiet && result.verdict != Verdict::kOk) report_failure("sim", spec, result);
    return static_cast<int>(result.verdict);
  };
  found.forked = run_forked(first, last, child, [&](const Finished& end) {
    ++found.tried;
    if (end.code != 0) found.failed.push_back(end.seed);
    return (all || found.failed.empty()) && Clock::now() < until;
  });
  return found;
}

// In a process of its own: it may well end in a CHECK.
bool breaks(const Hunt& hunt, Mutation mutation) {
  g_mutation = mutation;
  bool broken = false;
  run_forked(
      1, 1, [&](uint64_t, Tally&) { return hunt.breaks() ? 1 : 0; },
      [&](const Finished& end) {
        broken = end.code != 0;
        return true;
      });
  return broken;
}

bool act_out(const Hunt& hunt) {
  const bool with = breaks(hunt, hunt.mutation);
  const bool without = breaks(hunt, Mutation::kNone);
  fmt::print("{:24} {}{}\n", hunt.name, with ? "noticed in a test of its own" : "NOT NOTICED",
             without ? ", BUT ALSO FAILS WITHOUT THE MUTATION" : "");
  return with && !without;
}

bool hunt_down(const Hunt& hunt) {
  if (hunt.breaks != nullptr) return act_out(hunt);
  const auto begin = Clock::now();
  const RunSpec spec = spec_of(hunt, true);
  const Search with = search(hunt.mutation, spec, 1, hunt.seeds, false, Clock::time_point::max());
  if (with.failed.empty()) {
    fmt::print("{:24} NOT NOTICED by seeds 1..{}\n", hunt.name, hunt.seeds);
    return false;
  }
  const double took = seconds_since(begin);
  const uint64_t seed = with.failed.front();
  const Search without = search(Mutation::kNone, spec, 1, seed, true, Clock::time_point::max());
  const bool sound = without.failed.empty() && without.forked && with.forked;
  fmt::print("{:24} noticed by seed {}, {:.1f} s{}\n", hunt.name, seed, took,
             sound ? "" : ", BUT ALSO FAILS WITHOUT THE MUTATION");
  std::fflush(stdout);
  return sound;
}

bool hunt_long(const Hunt& hunt) {
  const auto begin = Clock::now();
  const RunSpec spec = spec_of(hunt, false);
  const Search found =
      search(hunt.mutation, spec, kLongFirst, kLongFirst + kLongSeeds, false, begin + kLongPatience);
  const double took = seconds_since(begin);
  bool sound = true;
  if (!found.failed.empty()) {
    const uint64_t seed = found.failed.front();
    sound = search(Mutation::kNone, spec, seed, seed, true, Clock::time_point::max()).failed.empty();
  }
  fmt::print("{:24} {} after {} seeds, {:.1f} s{}\n", hunt.name,
             found.failed.empty() ? "NOT NOTICED" : "noticed", found.tried, took,
             sound ? "" : ", BUT ALSO FAILS WITHOUT THE MUTATION");
  std::fflush(stdout);
  return sound && (!found.failed.empty() || hunt.breaks != nullptr);
}

int explore(const Hunt& hunt, const RunSpec& spec, uint64_t first, uint64_t last) {
  const auto begin = Clock::now();
  const Search found = search(hunt.mutation, spec, first, last, true, Clock::time_point::max());
  fmt::print("{:24} noticed by {} of {} seeds, {:.1f} s:", hunt.name, found.failed.size(), found.tried,
             seconds_since(begin));
  for (size_t i = 0; i < std::min<size_t>(found.failed.size(), 20); ++i) fmt::print(" {}", found.failed[i]);
  fmt::print("\n");
  std::fflush(stdout);
  return 0;
}

int usage() {
  fmt::print(stderr,
             "usage: mutants [--long] [--only NAME] [--seeds A..B [--plain] [--set OPTION=NUMBER]...]\n");
  return 64;
}

struct CommandLine {
  bool all_day = false;
  std::string only;
  RunSpec spec;
  uint64_t first = 0;
  uint64_t last = 0;
};

bool parse(int argc, char** argv, CommandLine& line) {
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--long" || flag == "--plain") {
      (flag == "--long" ? line.all_day : line.spec.plain) = true;
      continue;
    }
    if (++i == argc) return false;
    const std::string value = argv[i];
    if (flag == "--only") {
      line.only = value;
    } else if (flag == "--set") {
      if (!parse_override(value, line.spec)) return false;
    } else if (flag == "--seeds") {
      char* end = nullptr;
      line.first = std::strtoull(value.c_str(), &end, 10);
      if (std::string(end).compare(0, 2, "..") != 0) return false;
      line.last = std::strtoull(end + 2, nullptr, 10);
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  CommandLine line;
  if (!parse(argc, argv, line)) return usage();
  const char* environment = std::getenv("KVD_TEST_LONG");
  if (line.all_day && (environment == nullptr || std::string(environment) != "1")) {
    fmt::print("skipped: KVD_TEST_LONG is not 1\n");
    return kSkipped;
  }
  int missed = 0;
  int hunts = 0;
  for (const Hunt& hunt : kHunts) {
    if (!line.only.empty() && line.only != hunt.name) continue;
    ++hunts;
    if (line.last != 0) {
      explore(hunt, line.spec, line.first, line.last);
    } else if (!(line.all_day ? hunt_long(hunt) : hunt_down(hunt))) {
      ++missed;
    }
  }
  if (hunts == 0) return usage();
  fmt::print("{} mutations, {} missed\n", hunts, missed);
  return missed == 0 ? 0 : 1;
}

}  // namespace kvd::sim

int main(int argc, char** argv) { return kvd::sim::main(argc, argv); }
