// The connections of a simulated world's clients of the coordination services: each carries one call to one server and
// what is heard of it, until its last answer, until the client hangs up, or until the server's process dies.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "context.hpp"
#include "core/zookeeper/zk_ensemble.hpp"
#include "msg/actors.hpp"

namespace kvd::sim {

// What a client hears: an answer, or a line of one.
struct ServiceReply {
  ServiceAnswer answer;
  bool line = false;
  bool last = true;
};

class ServiceCalls {
 public:
  struct Hosts {
    std::function<void(int server, NodeInput input)> deliver;
    std::function<bool(int server)> runs;  // alive and not paused
    std::function<bool(int server)> alive;
    std::function<int64_t(int server)> seen_zxid;  // the newest that ZooKeeper has shown it
    std::function<const ZkTree&()> tree;           // the newest state
  };
  using Heard =
      std::function<void(const ServiceReply* reply)>;  // null: the connection broke, or there is none

  ServiceCalls(SimContext& context, Hosts hosts) : context_(context), hosts_(std::move(hosts)) {}

  // `request` as on curl's command line, "POST locks/a?session=S&wait=5". Nothing is heard before this returns the
  // number of the call, and nothing after what has `last`, a null, or hang_up().
  uint64_t call(int server, std::string_view request, Heard heard, std::string body = "");
  void hang_up(uint64_t call);  // nothing happens when it is over
  bool open(uint64_t call) const { return calls_.contains(call); }

  bool runs(int server) const { return hosts_.runs(server); }
  bool alive(int server) const { return hosts_.alive(server); }
  int64_t seen_zxid(int server) const { return hosts_.seen_zxid(server); }
  const ZkTree& tree() const { return hosts_.tree(); }

  void on_reply(int server, Reply reply);
  void on_process_died(int server);

 private:
  struct Open {
    int server = 0;
    Heard heard;
  };

  SimContext& context_;
  Hosts hosts_;
  std::map<uint64_t, Open> calls_;
  uint64_t newest_ = uint64_t{1} << 40;  // beyond what other clients reach
};

}  // namespace kvd::sim
