// See processes.hpp.
#include "client/processes.hpp"

#include <dirent.h>
#include <signal.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace kvd::client {
namespace {

constexpr int kRoundsMax = 20;  // a command that forks faster than that is stopped by what comes next

struct Process {
  pid_t pid = 0;
  pid_t parent = 0;
  bool alive = false;
  bool guard = false;
};

std::optional<Process> read_process(const char* number) {
  const std::string name = std::string("/proc/") + number + "/stat";
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(name.c_str(), "re"), std::fclose);
  if (file == nullptr) return std::nullopt;
  char bytes[512];
  const std::string_view text(bytes, std::fread(bytes, 1, sizeof bytes - 1, file.get()));
  bytes[text.size()] = '\0';
  // "12 (name) S 1 ...": the name may hold anything.
  const size_t open = text.find('(');
  const size_t close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos) return std::nullopt;
  Process process;
  char state = 0;
  if (std::sscanf(bytes + close + 1, " %c %d", &state, &process.parent) != 2) return std::nullopt;
  process.pid = std::atoi(number);
  process.alive = state != 'Z' && state != 'X';
  process.guard = text.substr(open + 1, close - open - 1) == kGuardName;
  return process;
}

std::vector<Process> all_processes() {
  std::vector<Process> all;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/proc"), ::closedir);
  if (directory == nullptr) return all;
  while (const dirent* entry = ::readdir(directory.get())) {
    if (std::isdigit(static_cast<unsigned char>(entry->d_name[0])) == 0) continue;
    if (const auto process = read_process(entry->d_name)) all.push_back(*process);
  }
  return all;
}

}  // namespace

std::vector<pid_t> processes_below(pid_t root, Guarded guarded) {
  const std::vector<Process> all = all_processes();
  std::vector<pid_t> below;
  std::vector<pid_t> parents = {root};
  while (!parents.empty()) {
    const pid_t parent = parents.back();
    parents.pop_back();
    for (const Process& process : all) {
      if (process.parent != parent || (process.guard && guarded == Guarded::kLeaveOut)) continue;
      parents.push_back(process.pid);
      if (process.alive) below.push_back(process.pid);
    }
  }
  return below;
}

void signal_below(pid_t root, int number, Guarded guarded) {
  std::vector<pid_t> told;
  for (int round = 0; round < kRoundsMax; ++round) {
    bool news = false;
    for (const pid_t pid : processes_below(root, guarded)) {
      if (std::find(told.begin(), told.end(), pid) != told.end()) continue;
      news = true;
      told.push_back(pid);
      ::kill(pid, number);
    }
    if (!news) return;
  }
}

}  // namespace kvd::client
