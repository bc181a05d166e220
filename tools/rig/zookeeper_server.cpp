// Starts and ends ZooKeeper servers: see the header. Each has a directory with its configuration, its data
// and what it prints; ports are drawn when the ensemble is made and kept over restarts.
#include "rig/zookeeper_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/check.hpp"
#include "rig/free_port.hpp"

namespace kvd::testing {
namespace {

constexpr char kZookeeperJar[] = "/usr/share/java/zookeeper.jar";
constexpr char kLoggerJar[] = "/usr/share/java/slf4j-simple.jar";

std::string make_directory() {
  std::string path = (std::filesystem::temp_directory_path() / "kvd-zookeeper-XXXXXX").string();
  CHECK(mkdtemp(path.data()) != nullptr);
  return path;
}

int left_ms(std::chrono::steady_clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::max<int64_t>(left.count(), 0));
}

bool wait_for(int fd, short what, std::chrono::steady_clock::time_point deadline) {
  pollfd item{fd, what, 0};
  return poll(&item, 1, left_ms(deadline)) == 1;
}

}  // namespace

ZookeeperEnsemble::ZookeeperEnsemble(int size, int tick_ms, Place place)
    : directory_(make_directory()), place_(std::move(place)) {
  for (int i = 0; i < size; ++i) {
    auto member = std::make_unique<Member>();
    member->directory = fmt::format("{}/{}", directory_, i + 1);
    member->client_port = free_port();
    member->quorum_port = free_port();
    member->election_port = free_port();
    members_.push_back(std::move(member));
  }
  for (int i = 0; i < size; ++i) write_configuration(i, tick_ms);
}

ZookeeperEnsemble::~ZookeeperEnsemble() {
  members_.clear();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

bool ZookeeperEnsemble::installed() {
  if (!std::filesystem::exists(kZookeeperJar) || !std::filesystem::exists(kLoggerJar)) return false;
  const char* path = getenv("PATH");
  std::istringstream directories(path == nullptr ? "" : path);
  for (std::string directory; std::getline(directories, directory, ':');) {
    if (access((directory + "/java").c_str(), X_OK) == 0) return true;
  }
  return false;
}

void ZookeeperEnsemble::write_configuration(int index, int tick_ms) const {
  const Member& mine = *members_[index];
  std::filesystem::create_directories(mine.directory + "/data");
  std::ofstream file(mine.directory + "/zoo.cfg");
  file << fmt::format(
      "tickTime={}\ndataDir={}/data\nclientPort={}\nclientPortAddress={}\nadmin.enableServer=false\n"
      "maxClientCnxns=0\n",
      tick_ms, mine.directory, mine.client_port, place_.host);
  if (size() > 1) {
    file << "initLimit=20\nsyncLimit=10\n";
    for (int i = 0; i < size(); ++i) {
      file << fmt::format("server.{}=127.0.0.1:{}:{}\n", i + 1, members_[i]->quorum_port,
                          members_[i]->election_port);
    }
    std::ofstream(mine.directory + "/data/myid") << index + 1 << "\n";
  }
  file.close();
  CHECK(file.good());
}

std::vector<Address> ZookeeperEnsemble::addresses() const {
  std::vector<Address> list;
  for (int i = 0; i < size(); ++i) list.push_back(address(i));
  return list;
}

std::string ZookeeperEnsemble::connect_string() const {
  std::string text;
  for (const Address& one : addresses())
    text += fmt::format("{}{}:{}", text.empty() ? "" : ",", one.host, one.port);
  return text;
}

void ZookeeperEnsemble::start(int member) {
  Member& mine = *members_.at(member);
  std::vector<std::string> argv = place_.launcher;
  const std::vector<std::string> command = {"java",
                                            "-XX:TieredStopAtLevel=1",
                                            "-XX:+UseSerialGC",
                                            "-Xmx128m",
                                            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                                            "-cp",
                                            fmt::format("{}:{}", kZookeeperJar, kLoggerJar),
                                            "org.apache.zookeeper.server.quorum.QuorumPeerMain",
                                            mine.directory + "/zoo.cfg"};
  argv.insert(argv.end(), command.begin(), command.end());
  mine.process.start(argv, mine.directory + "/output");
}

void ZookeeperEnsemble::start() {
  for (int i = 0; i < size(); ++i) start(i);
}

bool ZookeeperEnsemble::wait_ready(Duration limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (int i = 0; i < size(); ++i) {
    // Asked just as its port opens a server may never answer: hence the short limit for each try. It grows when it
    // was too short, as it would be for ever on a busy machine.
    Duration patience = milliseconds(300);
    while (running(i)) {
      const auto asked = std::chrono::steady_clock::now();
      if (zookeeper_srvr(address(i), patience).find("Mode:") != std::string::npos) break;
      if (std::chrono::steady_clock::now() >= deadline) return false;
      if (std::chrono::steady_clock::now() >= asked + patience) patience *= 2;
      std::this_thread::sleep_for(milliseconds(20));
    }
    if (!running(i) && size() == 1) return false;
  }
  return true;
}

void ZookeeperEnsemble::save_data(int member) const {
  const std::string& directory = members_.at(member)->directory;
  std::filesystem::remove_all(directory + "/saved");
  std::filesystem::copy(directory + "/data/version-2", directory + "/saved",
                        std::filesystem::copy_options::recursive);
}

void ZookeeperEnsemble::restore_data(int member) const {
  const std::string& directory = members_.at(member)->directory;
  wipe_data(member);
  std::filesystem::copy(directory + "/saved", directory + "/data/version-2",
                        std::filesystem::copy_options::recursive);
}

void ZookeeperEnsemble::wipe_data(int member) const {
  CHECK(std::filesystem::remove_all(members_.at(member)->directory + "/data/version-2") > 0);
}

std::string ZookeeperEnsemble::log(int member) const {
  std::ostringstream text;
  text << std::ifstream(members_.at(member)->directory + "/output").rdbuf();
  return text.str();
}

std::string zookeeper_srvr(const Address& server, Duration limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  CHECK(fd >= 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server.port);
  inet_pton(AF_INET, server.host.c_str(), &address.sin_addr);
  std::string answer;
  connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
  if (wait_for(fd, POLLOUT, deadline) && send(fd, "srvr", 4, MSG_NOSIGNAL) == 4) {
    char part[4096];
    while (wait_for(fd, POLLIN, deadline)) {
      const ssize_t got = recv(fd, part, sizeof part, 0);
      if (got <= 0) break;
      answer.append(part, static_cast<size_t>(got));
    }
  }
  close(fd);
  return answer;
}

}  // namespace kvd::testing
