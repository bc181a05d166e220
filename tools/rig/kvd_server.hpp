// One kvd process of a test, which can be killed, stopped, frozen and started again on the same ports. Killed
// by its pid on destruction. Start it from the test's main thread; ask it from any.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "rig/child_process.hpp"
#include "rig/http_client.hpp"
#include "rig/place.hpp"

namespace kvd::testing {

// What GET /v1/cluster says.
struct ServerStatus {
  std::string node;
  std::string role;
  std::string leader;  // id; empty: none is known
  uint64_t lineage = 0;
  uint64_t epoch = 0;
  uint64_t revision = 0;
  std::vector<std::string> in_sync;  // ids, sorted
  bool complete = false;
  bool ready = false;
  std::string digest;     // of all keys and values of this copy
  std::string zookeeper;  // state

  bool has_in_sync(const std::string& id) const;
};

class KvdServer {
 public:
  // `flags` are given at every start, after those that name ports and ZooKeeper. All that the process writes
  // is appended to `log_path`.
  KvdServer(std::string name, std::string log_path, const std::string& zookeeper,
            std::vector<std::string> flags, Place place = {});

  const std::string& name() const { return name_; }  // for narration: "server 1"
  std::string id() const;                            // "HOST:PORT"
  Address http() const { return {place_.host, http_port_}; }
  std::string log() const;  // all that it has written so far

  void start(const std::vector<std::string>& more_flags = {});
  void kill();  // SIGKILL, and waits until it is gone
  std::optional<int> stop(
      Duration limit);  // SIGTERM; the exit code, negative for a signal; empty: still runs
  std::optional<int> wait(Duration limit);  // for its end, likewise
  void pause();
  void resume();

  // What the test wants, as opposed to what is: a server that is meant to run and does not has failed.
  bool meant_to_run() const { return meant_to_run_; }
  bool paused() const { return paused_; }
  bool running() { return process_.running(); }

  HttpAnswer get(const std::string& target, Duration limit = seconds(10)) const;
  HttpAnswer put(const std::string& key, const std::string& value, Duration limit = seconds(10)) const;
  std::optional<ServerStatus> status() const;  // empty: no answer

 private:
  std::string name_;
  std::string log_path_;
  Place place_;
  uint16_t http_port_;
  uint16_t peer_port_;
  std::vector<std::string> flags_;
  bool meant_to_run_ = false;
  bool paused_ = false;
  ChildProcess process_;
};

// Path of the program that every KvdServer runs. Set it before the first start.
void set_kvd_program(std::string path);
const std::string& kvd_program();

}  // namespace kvd::testing
