// A journal's lives and deaths on a disk that fails, for many seeds, and the same on disks whose promises are lies,
// which has to be noticed.
//
//   journal_crash [--seeds A..B]   all of these; then says what they were made of, and tries the lies
//   journal_crash --seed N         one of them, told step by step
//   KVD_JOURNAL_SEEDS=A..B overrides --seeds
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/check.hpp"
#include "journal_run.hpp"

namespace kvd::sim {
namespace {

uint64_t g_seed = 0;

void on_check_failed() { fmt::print(stderr, "CRASH: journal_crash --seed {}\n", g_seed); }

bool survives(uint64_t seed, bool traced, Lie lie, JournalRun::Counts& counts) {
  g_seed = seed;
  JournalRun run(seed, traced, lie);
  const std::optional<std::string> why = run.run();
  counts += run.counts();
  if (why && lie == Lie::kNone) fmt::print(stderr, "FAILED: {}: journal_crash --seed {}\n", *why, seed);
  return !why;
}

// What a journal cannot know may cost it what was safe; then the model has to see it.
bool notices(Lie lie, const char* name) {
  constexpr uint64_t kSeeds = 500;
  JournalRun::Counts counts;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    if (!survives(seed, false, lie, counts)) return true;
  }
  fmt::print(stderr, "NOT NOTICED by seeds 1..{}: {}\n", kSeeds, name);
  return false;
}

int run_all(uint64_t first, uint64_t last) {
  const auto begin = std::chrono::steady_clock::now();
  JournalRun::Counts all;
  uint64_t failed = 0;
  for (uint64_t seed = first; seed <= last && failed < 10; ++seed) {
    if (!survives(seed, false, Lie::kNone, all)) ++failed;
  }
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  fmt::print("{} failed of seeds {}..{}, {:.1f} s: {}\n", failed, first, last, took, all.text());
  bool sound = failed == 0;
  sound = notices(Lie::kSync, "a sync that does nothing") && sound;
  sound = notices(Lie::kRename, "a rename that is not safe") && sound;
  sound = notices(Lie::kWrite, "a write that is lost now and then") && sound;
  return sound ? 0 : 1;
}

int main(int argc, char** argv) {
  set_check_hook(on_check_failed);
  std::string seeds = "1..20000";
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--seed") {
      JournalRun::Counts counts;
      return survives(std::strtoull(argv[i + 1], nullptr, 10), true, Lie::kNone, counts) ? 0 : 1;
    }
    if (flag == "--seeds") seeds = argv[i + 1];
  }
  if (const char* environment = std::getenv("KVD_JOURNAL_SEEDS")) seeds = environment;
  char* end = nullptr;
  const uint64_t first = std::strtoull(seeds.c_str(), &end, 10);
  if (argc % 2 == 0 || std::string(end).compare(0, 2, "..") != 0) {
    fmt::print(stderr, "usage: journal_crash [--seeds A..B | --seed N]\n");
    return 64;
  }
  return run_all(first, std::strtoull(end + 2, nullptr, 10));
}

}  // namespace
}  // namespace kvd::sim

int main(int argc, char** argv) { return kvd::sim::main(argc, argv); }
