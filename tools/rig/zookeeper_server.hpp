// Real ZooKeeper servers for tests: one, or an ensemble, in a temporary directory on loopback. Every server
// can be killed, stopped, paused and started again with its data. Ended and removed on destruction. Needs
// Debian's packages zookeeper, libslf4j-java and a JRE; one test process, main thread.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "msg/types.hpp"
#include "rig/child_process.hpp"
#include "rig/place.hpp"

namespace kvd::testing {

class ZookeeperEnsemble {
 public:
  // `size` 1 or 3. Sessions last 2 to 20 ticks. All members run in one place. Nothing is started yet.
  explicit ZookeeperEnsemble(int size = 1, int tick_ms = 500, Place place = {});
  ~ZookeeperEnsemble();
  ZookeeperEnsemble(const ZookeeperEnsemble&) = delete;
  ZookeeperEnsemble& operator=(const ZookeeperEnsemble&) = delete;

  static bool installed();  // false: there is no ZooKeeper on this machine

  int size() const { return static_cast<int>(members_.size()); }
  std::vector<Address> addresses() const;
  Address address(int member) const { return {place_.host, members_.at(member)->client_port}; }
  std::string connect_string() const;  // "127.0.0.1:P,127.0.0.1:Q"

  // start() returns at once; true from wait_ready() means that all running members serve.
  void start(int member);
  void start();  // all
  [[nodiscard]] bool wait_ready(Duration limit = seconds(60));

  void kill(int member) { members_.at(member)->process.kill(); }
  [[nodiscard]] bool stop(int member) { return members_.at(member)->process.stop(seconds(60)).has_value(); }
  void pause(int member) { members_.at(member)->process.pause(); }
  void resume(int member) { members_.at(member)->process.resume(); }
  // Of one that does not run: a copy of its data is kept, comes back in place of what it has since, or all is gone.
  void save_data(int member) const;
  void restore_data(int member) const;
  void wipe_data(int member) const;
  bool running(int member) { return members_.at(member)->process.running(); }
  std::string log(int member) const;  // what it has written so far, for failed tests

 private:
  struct Member {
    std::string directory;
    uint16_t client_port = 0;
    uint16_t quorum_port = 0;
    uint16_t election_port = 0;
    ChildProcess process;
  };
  void write_configuration(int index, int tick_ms) const;
  std::string directory_;
  Place place_;
  std::vector<std::unique_ptr<Member>> members_;
};

// The answer to ZooKeeper's four-letter command `srvr`; empty when there is none within `limit`.
std::string zookeeper_srvr(const Address& server, Duration limit);

}  // namespace kvd::testing
