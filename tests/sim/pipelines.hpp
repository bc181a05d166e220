// Clients of a simulated world that send one write after another down a connection without waiting for the answers, and
// the referee: revisions of what is acknowledged of one connection ascend in the order in which it was sent, whatever
// becomes of the lead meanwhile.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "checkers.hpp"
#include "context.hpp"
#include "network.hpp"
#include "support/store_client.hpp"

namespace kvd::sim {

class Pipelines {
 public:
  Pipelines(SimContext& context, Hosts& hosts, Checkers& checkers);

  void start();
  void stop() { stopped_ = true; }  // no new requests
  // A reply to one of these clients; false: to somebody else.
  bool on_reply(int server, const NumberedAnswer& reply);
  void on_process_died(int server);
  // Empty, or who has waited for longer than any request may.
  std::string stuck() const;

 private:
  struct Connection {
    uint32_t number = 0;  // 0: none
    int server = 0;
    uint64_t sent = 0;
    std::map<uint64_t, Call> waiting;           // by how many were sent before
    std::map<uint64_t, Revision> acknowledged;  // ... that changed something
    Instant last_sent{};
  };

  void act(Connection& client);
  Duration pause();
  void open(Connection& client);
  void close(Connection& client);
  void send(Connection& client);
  Operation make_write(const Connection& client);
  void check_order(const Connection& client, uint64_t place);

  SimContext& context_;
  Hosts& hosts_;
  Checkers& checkers_;
  Prng prng_;  // their own, so that the rest of a run is drawn as it is without them
  uint64_t writes_left_;
  std::vector<Connection> clients_;
  uint32_t connections_ = 0;
  uint64_t values_ = 0;
  bool stopped_ = false;
};

}  // namespace kvd::sim
