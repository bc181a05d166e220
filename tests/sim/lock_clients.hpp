// Clients of a simulated world that contend for locks by connections that hold (POST locks/..?hold=1), and the referee
// between them: of one lock each grant has a larger fence than all before it, and nobody is granted it while a server
// that runs still lets another client believe that it holds it. A server that stands still is excused, since nothing
// can tell its clients anything: that is what fences are for.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "context.hpp"
#include "msg/actors.hpp"

namespace kvd::sim {

class LockClients {
 public:
  struct Hosts {
    std::function<void(int server, NodeInput input)> deliver;
    std::function<bool(int server)> runs;  // alive and not paused
    std::function<bool(int server)> alive;
  };
  LockClients(SimContext& context, Hosts hosts);

  void start();
  bool on_reply(int server, const ServiceReply& reply);  // false: it is nobody's here
  void on_process_died(int server);                      // its connections are reset
  uint64_t grants() const { return grants_; }
  // Faults have ended: from here on everybody has to get on. Empty, or who does not.
  void expect_progress();
  std::string stuck() const;

 private:
  struct Client {
    std::string path;
    int server = 0;
    uint64_t request = 0;  // 0: none is open
    bool held = false;
    uint64_t grants_since = 0;  // after the faults
  };

  void think(int client);
  void ask(int client);
  void hang_up(int client, uint64_t request);
  void hang_up_later(int client, Duration most);
  void granted(int client, int64_t fence);
  Duration up_to(Duration most) {
    return Duration(static_cast<int64_t>(prng_.below(static_cast<uint64_t>(most.count()) + 1)));
  }

  SimContext& context_;
  Hosts hosts_;
  Prng prng_;  // their own, so that the rest of a run is drawn as it is without them
  std::vector<Client> clients_;
  std::map<std::string, int64_t> fences_;  // the largest by lock
  uint64_t requests_ = 0;
  uint64_t grants_ = 0;
  bool progress_expected_ = false;
};

}  // namespace kvd::sim
