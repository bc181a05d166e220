// See process_cpu.hpp.
#include "kvload/process_cpu.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

namespace kvd::load {
namespace {

constexpr char kListening[] = "0A";

// The inodes of the sockets that listen on `port`, from a table like /proc/net/tcp.
void add_inodes(const char* table, uint16_t port, std::set<std::string>& inodes) {
  std::ifstream file(table);
  const std::string wanted = fmt::format(":{:04X}", port);
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string slot, local, remote, state, queues, timer, retransmits, user, timeout, inode;
    fields >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> user >> timeout >> inode;
    if (state == kListening && local.ends_with(wanted)) inodes.insert(fmt::format("socket:[{}]", inode));
  }
}

bool holds_one_of(const std::filesystem::path& process, const std::set<std::string>& sockets) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(process / "fd", error)) {
    const auto link = std::filesystem::read_symlink(entry.path(), error);
    if (!error && sockets.contains(link.string())) return true;
  }
  return false;
}

}  // namespace

std::optional<uint64_t> cpu_us(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  if (!std::getline(file, text)) return std::nullopt;
  std::istringstream fields(text.substr(text.rfind(')') + 1));  // the name may hold anything
  std::string skipped;
  for (int i = 3; i <= 13; ++i) fields >> skipped;
  uint64_t user = 0;
  uint64_t system = 0;
  if (!(fields >> user >> system)) return std::nullopt;
  return (user + system) * 1'000'000 / static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
}

uint64_t cpu_us(const std::vector<pid_t>& pids) {
  uint64_t sum = 0;
  for (const pid_t pid : pids) {
    const auto one = cpu_us(pid);
    if (!one) return 0;
    sum += *one;
  }
  return sum;
}

std::optional<pid_t> listener(uint16_t port) {
  std::set<std::string> sockets;
  add_inodes("/proc/net/tcp", port, sockets);
  add_inodes("/proc/net/tcp6", port, sockets);
  if (sockets.empty()) return std::nullopt;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    pid_t pid = 0;
    const auto [end, bad] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (bad != std::errc() || *end != '\0') continue;
    if (holds_one_of(entry.path(), sockets)) return pid;
  }
  return std::nullopt;
}

std::vector<pid_t> listeners(const std::vector<Target>& targets) {
  std::vector<pid_t> pids;
  for (const Target& target : targets) {
    if (const auto pid = listener(target.server.address.port)) pids.push_back(*pid);
  }
  return pids;
}

}  // namespace kvd::load
