// One kvd process of a test: see the header. It starts, signals and ends the process; nothing here waits for
// anything but the end of the process.
#include "rig/kvd_server.hpp"

#include <fmt/format.h>
#include <simdjson.h>
#include <sys/wait.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "rig/free_port.hpp"

namespace kvd::testing {
namespace {

std::string& program() {
  static std::string path;
  return path;
}

std::optional<int> exit_code(std::optional<int> status) {
  if (!status) return std::nullopt;
  return WIFEXITED(*status) ? WEXITSTATUS(*status) : -WTERMSIG(*status);
}

// Throws simdjson_error when the answer is not what it should be, which fails the test.
ServerStatus parse_status(const std::string& json) {
  simdjson::dom::parser parser;
  const simdjson::dom::element root = parser.parse(json);
  const auto text = [](simdjson::dom::element value) { return std::string(std::string_view(value)); };
  ServerStatus status;
  status.node = text(root["node"]);
  status.role = text(root["role"]);
  if (!simdjson::dom::element(root["leader"]).is_null()) status.leader = text(root["leader"]["id"]);
  status.lineage = root["lineage"];
  status.epoch = root["epoch"];
  status.revision = root["revision"];
  for (const simdjson::dom::element id : root["in_sync"].get_array()) status.in_sync.push_back(text(id));
  std::sort(status.in_sync.begin(), status.in_sync.end());
  status.complete = root["complete"];
  status.ready = root["ready"];
  status.digest = text(root["digest"]);
  status.zookeeper = text(root["zookeeper"]["state"]);
  return status;
}

}  // namespace

void set_kvd_program(std::string path) { program() = std::move(path); }
const std::string& kvd_program() { return program(); }

bool ServerStatus::has_in_sync(const std::string& id) const {
  return std::binary_search(in_sync.begin(), in_sync.end(), id);
}

KvdServer::KvdServer(std::string name, std::string log_path, const std::string& zookeeper,
                     std::vector<std::string> flags, Place place)
    : name_(std::move(name)),
      log_path_(std::move(log_path)),
      place_(std::move(place)),
      http_port_(free_port()),
      peer_port_(free_port()) {
  flags_ = {"--host",       place_.host,
            "--port",       std::to_string(http_port_),
            "--peer-port",  std::to_string(peer_port_),
            "--zookeeper",  zookeeper,
            "--log-format", "logfmt"};
  if (!place_.host.starts_with("127."))
    flags_.push_back("--insecure");  // a network namespace of the test's own
  flags_.insert(flags_.end(), flags.begin(), flags.end());
}

std::string KvdServer::id() const { return fmt::format("{}:{}", place_.host, http_port_); }

std::string KvdServer::log() const {
  std::ostringstream text;
  text << std::ifstream(log_path_).rdbuf();
  return text.str();
}

void KvdServer::start(const std::vector<std::string>& more_flags) {
  std::vector<std::string> argv = place_.launcher;
  argv.push_back(program());
  argv.insert(argv.end(), flags_.begin(), flags_.end());
  argv.insert(argv.end(), more_flags.begin(), more_flags.end());
  process_.start(argv, log_path_);
  meant_to_run_ = true;
  paused_ = false;
}

void KvdServer::kill() {
  meant_to_run_ = false;
  process_.kill();
}

std::optional<int> KvdServer::stop(Duration limit) {
  meant_to_run_ = false;
  return exit_code(process_.stop(limit));
}

std::optional<int> KvdServer::wait(Duration limit) { return exit_code(process_.wait(limit)); }

void KvdServer::pause() {
  paused_ = true;
  process_.pause();
}

void KvdServer::resume() {
  process_.resume();
  paused_ = false;
}

HttpAnswer KvdServer::get(const std::string& target, Duration limit) const {
  return http_request(http(), "GET", target, "", limit);
}

HttpAnswer KvdServer::put(const std::string& key, const std::string& value, Duration limit) const {
  return http_request(http(), "PUT", "/v1/kv/" + key, value, limit);
}

std::optional<ServerStatus> KvdServer::status() const {
  const HttpAnswer answer = get("/v1/cluster", seconds(5));
  if (answer.status != 200) return std::nullopt;
  return parse_status(answer.body);
}

}  // namespace kvd::testing
