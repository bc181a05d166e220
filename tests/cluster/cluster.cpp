// Clusters of real processes: see the header. A failed expectation throws (doctest's FAIL), which is how the
// destructor knows that the directory is to be kept.
#include "cluster/cluster.hpp"

#include <doctest.h>
#include <fmt/format.h>
#include <simdjson.h>
#include <stdlib.h>
#include <zookeeper/zookeeper.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

#include "msg/znodes.hpp"

namespace kvd::testing {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kTickMs = 500;

std::string make_directory() {
  std::string path = (std::filesystem::temp_directory_path() / "kvd-cluster-XXXXXX").string();
  REQUIRE(mkdtemp(path.data()) != nullptr);
  return path;
}

// A session of its own with the synchronous API, for as long as one look takes.
class ZookeeperReader {
 public:
  explicit ZookeeperReader(const std::string& servers) {
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    handle_ = zookeeper_init(servers.c_str(), nullptr, 10'000, nullptr, nullptr, 0);
    REQUIRE(handle_ != nullptr);
  }
  ~ZookeeperReader() { zookeeper_close(handle_); }
  ZookeeperReader(const ZookeeperReader&) = delete;
  ZookeeperReader& operator=(const ZookeeperReader&) = delete;

  std::optional<std::vector<std::string>> children(const std::string& path) {
    String_vector names{};
    if (zoo_get_children(handle_, path.c_str(), 0, &names) != ZOK) return std::nullopt;
    std::vector<std::string> list(names.data, names.data + names.count);
    deallocate_String_vector(&names);
    return list;
  }
  std::optional<std::string> content(const std::string& path) {
    std::string bytes(65536, '\0');
    int size = static_cast<int>(bytes.size());
    if (zoo_get(handle_, path.c_str(), 0, bytes.data(), &size, nullptr) != ZOK) return std::nullopt;
    bytes.resize(static_cast<size_t>(std::max(size, 0)));
    return bytes;
  }

 private:
  zhandle_t* handle_;
};

// In the order of their numbers; empty: something went away meanwhile.
std::optional<std::vector<std::string>> read_election(const std::string& servers) {
  ZookeeperReader reader(servers);
  auto names = reader.children(kElectionPath);
  if (!names) return std::nullopt;
  std::sort(names->begin(), names->end());  // equal prefixes, then ten digits
  std::vector<std::string> ids;
  for (const std::string& name : *names) {
    const auto content = reader.content(fmt::format("{}/{}", kElectionPath, name));
    if (!content) return std::nullopt;
    const auto info = decode_server_info(*content);
    if (!info) return std::nullopt;
    ids.push_back(info->member.id.value);
  }
  return ids;
}

}  // namespace

void say(const std::string& sentence) {
  static const auto begin = Clock::now();
  fmt::print("{:6.1f} s  {}\n", std::chrono::duration<double>(Clock::now() - begin).count(), sentence);
  fflush(stdout);
}

Cluster::Cluster(const Options& options)
    : directory_(make_directory()),
      zookeeper_(options.zookeepers, kTickMs, options.zookeeper_place),
      flags_(options.flags),
      durable_(options.durable),
      places_(options.places) {
  for (int i = 0; i < options.servers; ++i) add_server({});
  zookeeper_.start();
  if (!zookeeper_.wait_ready()) FAIL("ZooKeeper did not start: " << zookeeper_.log(0));
  say(fmt::format("ZooKeeper serves at {}.", zookeeper_.connect_string()));
}

Cluster::~Cluster() {
  servers_.clear();
  if (std::uncaught_exceptions() > 0) {
    for (int i = 0; i < zookeeper_.size(); ++i)
      std::ofstream(fmt::format("{}/zookeeper-{}.log", directory_, i + 1)) << zookeeper_.log(i);
    say(fmt::format("The logs are kept in {}.", directory_));
    return;
  }
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

KvdServer& Cluster::add_server(std::vector<std::string> flags) {
  std::vector<std::string> all = {"--session-timeout", "4000", "--log-level", "debug"};
  all.insert(all.end(), flags_.begin(), flags_.end());
  all.insert(all.end(), flags.begin(), flags.end());
  const size_t number = servers_.size() + 1;
  if (durable_) all.insert(all.end(), {"--data-dir", data_directory(number - 1)});
  servers_.push_back(std::make_unique<KvdServer>(
      fmt::format("server {}", number), fmt::format("{}/server-{}.log", directory_, number),
      zookeeper_.connect_string(), std::move(all), number <= places_.size() ? places_[number - 1] : Place()));
  return *servers_.back();
}

std::string Cluster::data_directory(size_t index) const {
  return fmt::format("{}/data-{}", directory_, index + 1);
}

std::vector<KvdServer*> Cluster::serving() {
  std::vector<KvdServer*> list;
  for (const auto& one : servers_) {
    if (one->meant_to_run() && !one->paused()) list.push_back(one.get());
  }
  return list;
}

std::vector<Address> Cluster::addresses() const {
  std::vector<Address> list;
  for (const auto& one : servers_) list.push_back(one->http());
  return list;
}

void Cluster::start_all() {
  for (const auto& one : servers_) one->start();
  wait_all_in_sync();
  say(fmt::format("{} servers are up, {} leads.", servers_.size(), wait_for_leader().name()));
}

void Cluster::wait_until(const std::string& what, const std::function<bool()>& holds, Duration limit) {
  const auto deadline = Clock::now() + limit;
  while (!holds()) {
    const std::string ended = ended_by_itself();
    if (!ended.empty()) FAIL(ended << " while waiting until " << what);
    if (Clock::now() >= deadline) FAIL("waited in vain until " << what << describe());
    std::this_thread::sleep_for(milliseconds(20));
  }
}

void Cluster::wait_for(Duration span) {
  const auto end = Clock::now() + span;
  wait_until("time has passed", [&] { return Clock::now() >= end; });
}

std::string Cluster::ended_by_itself() {
  for (const auto& one : servers_) {
    if (!one->meant_to_run() || one->running()) continue;
    return fmt::format("{} ended by itself with {}", one->name(), one->wait(Duration::zero()).value_or(0));
  }
  return "";
}

std::string Cluster::describe() {
  std::string text;
  for (KvdServer* one : serving()) {
    std::string answer = one->get("/v1/cluster", seconds(5)).body;
    text += fmt::format("\n  {} at {}: {}", one->name(), one->id(), answer.empty() ? "no answer" : answer);
  }
  return text;
}

KvdServer* Cluster::leader() {
  std::string id;
  for (KvdServer* one : serving()) {
    const auto status = one->status();
    if (!status || status->leader.empty() || (!id.empty() && id != status->leader)) return nullptr;
    id = status->leader;
  }
  for (KvdServer* one : serving()) {
    if (one->id() != id) continue;
    const auto status = one->status();
    return status && status->role == "leader" && status->ready ? one : nullptr;
  }
  return nullptr;
}

KvdServer& Cluster::wait_for_leader() {
  KvdServer* found = nullptr;
  wait_until("all servers agree on a leader that is ready", [&] { return (found = leader()) != nullptr; });
  return *found;
}

bool Cluster::all_in_sync() {
  std::vector<std::string> ids;
  for (KvdServer* one : serving()) ids.push_back(one->id());
  std::sort(ids.begin(), ids.end());
  for (KvdServer* one : serving()) {
    const auto status = one->status();
    if (!status || !status->ready || !status->complete || status->in_sync != ids) return false;
    if (one->get("/readyz").status != 200) return false;
  }
  return true;
}

void Cluster::wait_all_in_sync() {
  wait_until("all servers are ready and in sync", [this] { return all_in_sync(); });
}

void Cluster::wait_all_equal() {
  wait_until("all copies are equal", [this] {
    std::optional<ServerStatus> first;
    for (KvdServer* one : serving()) {
      const auto status = one->status();
      if (!status || !status->complete) return false;
      if (first && (status->revision != first->revision || status->digest != first->digest)) return false;
      if (!first) first = status;
    }
    return first.has_value();
  });
}

HttpAnswer Cluster::insist(const KvdServer& server, const HttpCall& call) {
  HttpAnswer answer;
  wait_until(fmt::format("{} answers {} {}", server.name(), call.method, call.target), [&] {
    answer = HttpConnection(server.http()).call(call, kDeadline);
    const bool refused = answer.status == 503 || answer.status == 504;
    return !refused || answer.body.find("\"outcome\":\"unknown\"") != std::string::npos;
  });
  return answer;
}

HttpAnswer Cluster::read_linear(const KvdServer& server, const std::string& key) {
  return insist(server, {"GET", "/v1/kv/" + key + "?read=linear", "", {}});
}

uint64_t Cluster::write(KvdServer& server, const std::string& key, const std::string& value) {
  uint64_t revision = 0;
  wait_until(fmt::format("{} acknowledges a write of {}", server.name(), key), [&] {
    const HttpAnswer answer = server.put(key, value);
    if (answer.status != 200 && answer.status != 201) return false;
    revision = std::stoull(answer.header("Kvd-Revision"));
    return true;
  });
  return revision;
}

std::map<std::string, std::string> Cluster::read_all(KvdServer& server, const std::string& prefix) {
  std::map<std::string, std::string> all;
  std::string after;
  for (bool more = true; more;) {
    HttpAnswer page;
    const std::string target =
        fmt::format("/v1/kv?read=linear&prefix={}{}", prefix, after.empty() ? "" : "&after=" + after);
    wait_until(fmt::format("{} lists its keys", server.name()), [&] {
      page = server.get(target);
      return page.status == 200;
    });
    simdjson::dom::parser parser;
    const simdjson::dom::element root = parser.parse(page.body);
    for (const simdjson::dom::element item : root["items"].get_array()) {
      after = std::string(std::string_view(item["key"]));
      all[after] = std::string(std::string_view(item["value"]));
    }
    more = !page.header("Link").empty();
  }
  return all;
}

std::string Cluster::lost_write(const std::map<std::string, std::string>& expected) {
  for (KvdServer* one : serving()) {
    const auto found = read_all(*one, "");
    for (const auto& [key, value] : expected) {
      const auto it = found.find(key);
      if (it == found.end()) return fmt::format("{} misses the acknowledged key {}", one->name(), key);
      if (it->second == value) continue;
      return fmt::format("{} has '{}' where '{}' was acknowledged for {}", one->name(), it->second, value,
                         key);
    }
  }
  return "";
}

void Cluster::require_everywhere(const std::map<std::string, std::string>& expected) {
  REQUIRE(!expected.empty());
  REQUIRE(!serving().empty());
  const std::string lost = lost_write(expected);
  if (!lost.empty()) FAIL(lost << describe());
  say(fmt::format("All {} acknowledged keys are on {} servers.", expected.size(), serving().size()));
}

std::vector<std::string> Cluster::election_order() {
  std::vector<std::string> order;
  wait_until("the election znodes can be read", [&] {
    auto read = read_election(zookeeper_.connect_string());
    if (read) order = std::move(*read);
    return read.has_value();
  });
  return order;
}

}  // namespace kvd::testing
